"""Arguments only: what can be typed, and its help. Nothing heavy is imported here, `--help` must be quick."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup

from ..config import KEYS, Align, Backend, Channels, Format, Gain, Length, Polarity, Rate, ReportAudio, resolve, whole


class _AsTyped:
    """Hands a value on as it was typed: config.resolve checks flags, variables and files alike."""

    @staticmethod
    def coerce(value: Any, param: Any, ctx: Any) -> Any:
        del ctx
        return () if value is None and (param.multiple or param.nargs == -1) else value


def _as_typed(params: list[Any]) -> list[Any]:
    # Typer would load pydantic to convert strings to strings, which costs 0.13 s, more than the rest of start-up.
    for param in params:
        param._runtime_param = _AsTyped
    return params


class _Command(TyperCommand):
    def get_params(self, ctx: Any) -> list[Any]:
        return _as_typed(super().get_params(ctx))


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _as_typed(super().get_params(ctx))


app = typer.Typer(
    name="audiosim",
    cls=_Group,
    help="How alike two recordings sound, where and when they differ.",
    epilog="Exit codes, configuration files and environment variables: man audiosim.",
    no_args_is_help=True,
    rich_markup_mode=None,  # Rich would eat the square brackets of the help, and costs 0.1 s
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def command() -> TyperGroup:
    """The command tree of the program."""
    tree = typer.main.get_command(app)
    assert isinstance(tree, TyperGroup)
    return tree


def _print_version(wanted: bool) -> None:
    if wanted:
        from .. import __version__

        print(f"audiosim {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    del version


def _metric_names(incomplete: str) -> list[str]:
    # The folder listing of audiosim.metrics.names(), which would import numpy at every TAB.
    folder = Path(__file__).parents[1] / "metrics"
    names = sorted(p.stem.replace("_", "-") for p in folder.glob("[!_]*.py"))
    return [n for n in names if n.startswith(incomplete)]


MetricOption = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--metric",
        metavar="SPEC",
        autocompletion=_metric_names,
        help="name, or name:option=value,option=value; repeatable. The first one ranks.",
    ),
]
PresetOption = Annotated[
    str | None, typer.Option("--preset", help="The metrics taken without -m: a named panel (default: default).")
]
RequireOption = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        metavar="GATE",
        help="What must hold, else exit code 1: 'si-sdr>=20', 'log-mel<3', per band 'si-sdr@4000-8000>=10'.",
    ),
]
BandsOption = Annotated[
    bool | None, typer.Option("--bands/--no-bands", help="Add where: each metric in every frequency band.")
]
BinsOption = Annotated[
    bool | None, typer.Option("--bins/--no-bins", help="As --bands, but in every bin instead of at most 40 bands.")
]
TimesOption = Annotated[bool | None, typer.Option("--times/--no-times", help="Add when: each metric over time.")]
BackendOption = Annotated[
    Backend | None,
    typer.Option("--backend", help="torch: the numbers of audiosim.Loss, on a GPU if any (default: numba)."),
]
ReportOption = Annotated[
    str | None,
    typer.Option("--report", metavar="FILE", help="Write a page to look at and listen to: one HTML file."),
]
ReportAudioOption = Annotated[
    ReportAudio | None,
    typer.Option("--report-audio", help="What its players play: the worst 10 s, all, or none (default: worst)."),
]
JobsOption = Annotated[
    int | None, typer.Option("-j", "--jobs", help="Threads (default: all cores). The numbers do not depend on it.")
]
RateOption = Annotated[
    Rate | None, typer.Option("--rate", help="Recordings of different rates: refuse, or resample (default: error).")
]
ChannelsOption = Annotated[
    Channels | None,
    typer.Option("--channels", help="Different channels: refuse, mix to mono, or match (default: error)."),
]
LengthOption = Annotated[
    Length | None,
    typer.Option("--length", help="Different lengths; auto trims within 50 ms, else refuses (default: auto)."),
]
AlignOption = Annotated[
    Align | None,
    typer.Option("--align", help="Find and remove a delay, down to fractions of a sample (default: none)."),
]
GainOption = Annotated[Gain | None, typer.Option("--gain", help="Remove a difference in level (default: none).")]
PolarityOption = Annotated[
    Polarity | None, typer.Option("--polarity", help="Turn the test over where it is inverted (default: keep).")
]
LevelOption = Annotated[
    float | None,
    typer.Option(
        "--level",
        metavar="DB",
        help="Playback level, dB SPL of a full-scale sine, for metrics to which it matters (default: their own).",
    ),
]
AudiogramOption = Annotated[
    str | None,
    typer.Option(
        "--audiogram",
        metavar="DB/...",
        help="The listener's hearing losses at 250/500/1000/2000/4000/6000 Hz, such as 20/20/25/35/45/50, or N1 to N7 "
        "or S1 to S3, for metrics to which they matter (default: their own).",
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="Default: table on a terminal, tsv elsewhere, or what the suffix of -o says."),
]
BatchFormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="Of standard output, or of the file of --from (default: table, or tsv in a pipe)."),
]
OutputOption = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file, at once or not at all.")
]
PlotOption = Annotated[
    str | None,
    typer.Option("--plot", metavar="FILE", help="Draw a figure for a paper: .png, .svg or .pdf (extra plot)."),
]
QuietOption = Annotated[bool | None, typer.Option("-q", "--quiet", help="No notes on stderr, only errors.")]
VerboseOption = Annotated[
    bool | None, typer.Option("-v", "--verbose", help="Say what is being done; the traceback of an internal error.")
]


@app.command(
    "compare",
    cls=_Command,
    short_help="Compare recordings with a reference, by any of the metrics.",
    epilog="The metrics and their options: audiosim explain.",
)
def compare(
    reference: Annotated[str, typer.Argument(metavar="REF", help="The reference; - reads standard input.")],
    tests: Annotated[
        list[str], typer.Argument(metavar="TEST", help="What is compared with it; several give a ranking.")
    ],
    metric: MetricOption = None,
    preset: PresetOption = None,
    format: FormatOption = None,
    bands: BandsOption = None,
    bins: BinsOption = None,
    times: TimesOption = None,
    with_map: Annotated[bool, typer.Option("--map", help="Add the map of time by band (json and jsonl only).")] = False,
    require: RequireOption = None,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    length: LengthOption = None,
    align: AlignOption = None,
    gain: GainOption = None,
    polarity: PolarityOption = None,
    level: LevelOption = None,
    audiogram: AudiogramOption = None,
    backend: BackendOption = None,
    jobs: JobsOption = None,
    output: OutputOption = None,
    report: ReportOption = None,
    report_audio: ReportAudioOption = None,
    plot: PlotOption = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """Compare one or more recordings with a reference.

    \b
    audiosim compare original.wav decoded.wav
    audiosim compare original.wav a.ogg b.ogg c.mp3 -m log-mel -m si-sdr
    audiosim compare original.wav decoded.wav --require 'si-sdr>=20' --format json
    audiosim compare original.wav decoded.wav --report out.html

    The results go to standard output, everything else to standard error. What is done to make two recordings
    comparable is always said. In tsv, csv and value a number that does not exist is nan, an infinite one inf or -inf;
    in json both are null, and status says which.
    """
    settings = resolve({k: v for k, v in locals().items() if k in KEYS})
    from .compare import run

    return run(reference, list(tests), settings, with_map=with_map, output=output, report=report, plot=plot)


@app.command(
    "batch",
    cls=_Command,
    short_help="Compare two folders, a manifest or a whole corpus; go on where it stopped.",
    epilog="The metrics and their options: audiosim explain.",
)
def batch(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="REFDIR TESTDIR", help="A folder of references, and one or more of tests."),
    ] = None,
    metric: MetricOption = None,
    preset: PresetOption = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The journal (jsonl): a row a pair and metric, kept at once; the next run goes on from it. "
            "With --from, the file of the export.",
        ),
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            help="Pairs from a table, csv, tsv or jsonl, with the columns reference and test; - reads standard input.",
        ),
    ] = None,
    pair: Annotated[
        str,
        typer.Option(
            "--pair", metavar="RULE", help="Which files belong together: relpath, stem, order, regex:PATTERN."
        ),
    ] = "relpath",
    include: Annotated[
        list[str] | None, typer.Option("--include", metavar="PATTERN", help="Only these, such as '*.wav'; repeatable.")
    ] = None,
    exclude: Annotated[
        list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="Not these; repeatable.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Print the pairs, and compare nothing.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Files without a partner are no reason for exit code 3.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Go on with the journal, or put it aside and begin anew."),
    ] = True,
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Compare nothing: write out what a journal holds.")
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="The arguments are journals: put them together into that of -o.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N", help="Only part I of N, or auto: as the variables of Slurm say."),
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="ADDRESS", help="Let the workers of this Dask scheduler compute (tcp://...)."),
    ] = None,
    require: RequireOption = None,
    baseline: Annotated[
        str | None,
        typer.Option("--baseline", metavar="FILE", help="A journal to be no worse than, else exit code 1."),
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance",
            metavar="METRIC=AMOUNT",
            help="How much worse is still good: 'mr-stft=2%', 'si-sdr=0.5' in its unit, 'all=1%'; repeatable.",
        ),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Write the baseline anew, and say what is different.")
    ] = False,
    ratings: Annotated[
        str | None,
        typer.Option("--ratings", metavar="FILE", help="What listeners said (csv: test or id, rating): who agrees?"),
    ] = None,
    worst: Annotated[int, typer.Option("--worst", metavar="N", help="How many of the worst to name.")] = 5,
    export: Annotated[
        list[str] | None,
        typer.Option(
            "--export", metavar="FILE", help="As its suffix says: csv tsv json jsonl md xml (JUnit) html parquet."
        ),
    ] = None,
    report: ReportOption = None,
    report_audio: ReportAudioOption = None,
    format: BatchFormatOption = None,
    bands: BandsOption = None,
    bins: BinsOption = None,
    times: TimesOption = None,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    length: LengthOption = None,
    align: AlignOption = None,
    gain: GainOption = None,
    polarity: PolarityOption = None,
    level: LevelOption = None,
    audiogram: AudiogramOption = None,
    backend: BackendOption = None,
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", help="Processes (default: one a core).")] = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """Compare folders of recordings pair by pair.

    \b
    audiosim batch originals/ decoded/ -o run.jsonl
    audiosim batch originals/ opus/ mp3/ -m visqol -m log-mel -o run.jsonl
    audiosim batch --manifest pairs.csv -o run.jsonl --require 'mean(log-mel)<=3'
    audiosim batch --from run.jsonl --format markdown

    Every pair has a row, also one that cannot be read. What is in the journal is not computed again, as long as the
    files, the options and the version of the metric are the same; failures are tried again.
    """
    settings = resolve({k: v for k, v in locals().items() if k in KEYS})
    from .batch import Request, run
    from .outcome import Wishes

    return run(
        Request(
            paths=paths or (),
            manifest=manifest,
            rule=pair,
            include=include or (),
            exclude=exclude or (),
            dry_run=dry_run,
            allow_missing=allow_missing,
            output=output,
            resume=resume,
            source=source,
            merge=merge,
            shard=shard,
            dask=dask,
            wishes=Wishes(
                worst=whole(worst, "--worst", least=0),
                ratings=ratings,
                baseline=baseline,
                update_baseline=update_baseline,
                tolerance=tolerance or (),
                export=export or (),
                report=report,
            ),
        ),
        settings,
    )


@app.command(
    "explain",
    cls=_Command,
    short_help="The metrics; what one of them means; how two recordings differ by it.",
)
def explain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", autocompletion=_metric_names, help="A metric; without it, the list of all."),
    ] = None,
    reference: Annotated[str | None, typer.Argument(metavar="REF", help="With TEST: where the two differ.")] = None,
    test: Annotated[str | None, typer.Argument(metavar="TEST", help="What is compared with REF.")] = None,
    format: FormatOption = None,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    length: LengthOption = None,
    align: AlignOption = None,
    gain: GainOption = None,
    polarity: PolarityOption = None,
    level: LevelOption = None,
    audiogram: AudiogramOption = None,
    gradient: Annotated[
        bool, typer.Option("--gradient", help="With REF and TEST: what training on this loss would change first.")
    ] = False,
    jobs: JobsOption = None,
    output: OutputOption = None,
    plot: PlotOption = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """List the metrics, explain one, or say where, when and how two recordings differ by it.

    \b
    audiosim explain
    audiosim explain si-sdr
    audiosim explain log-mel original.wav decoded.wav
    audiosim explain mr-stft original.wav decoded.wav --gradient
    """
    settings = resolve({k: v for k, v in locals().items() if k in KEYS})
    from . import explain as pages

    return pages.run(name, reference, test, settings, gradient=gradient, output=output, plot=plot)
