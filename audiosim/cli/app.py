"""The arguments of the command line and their help. Nothing heavy is imported here, because `--help` must be quick."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from typer.core import TyperCommand, TyperGroup

from ..config import (
    KEYS,
    Backend,
    Channels,
    Damaged,
    Format,
    FullScale,
    Gain,
    Length,
    Polarity,
    Rate,
    ReportAudio,
    Settings,
    Tables,
    Unfamiliar,
    positive,
    resolve,
    whole,
)
from ..errors import UsageError
from ..presets import PRESETS


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


class _Compare(_Command):
    """Its help ends with what values of the metrics mean that it takes by default."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        from ..judge.reading import scale_of

        known = [(name, scale_of(name)) for name in PRESETS["default"]]
        with formatter.section("What values mean"):
            formatter.write_dl([(name, scale.told()) for name, scale in known if scale is not None])
        super().format_epilog(ctx, formatter)


class _Group(TyperGroup):
    def get_params(self, ctx: Any) -> list[Any]:
        return _as_typed(super().get_params(ctx))


app = typer.Typer(
    name="audiosim",
    cls=_Group,
    help="How alike two recordings sound, and where, when and why they differ.",
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
        import sys

        if {"-v", "--verbose"} & set(sys.argv[1:]):
            from ..engine.compilation import target

            print(f"kernels: {target()}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Print the version and exit; with -v also the processor that kernels are compiled for.",
        ),
    ] = False,
    verbose: Annotated[bool, typer.Option("-v", hidden=True)] = False,
) -> None:
    del version, verbose


def _settings(given: dict[str, Any]) -> Settings:
    """The settings in force, of the parameters of a command."""
    flags = {key: value for key, value in given.items() if key in KEYS}
    if given.get("json"):
        if flags["format"] not in (None, "json"):
            raise UsageError(f"--json is --format json; leave out either --json or --format {flags['format']}")
        flags["format"] = "json"
    return resolve(flags)


def _offer(files: list[str] | None) -> None:
    """Let metrics of these files be asked for."""
    if files:
        from .. import metrics

        for file in files:
            metrics.add_file(file)


def _metric_names(ctx: typer.Context, incomplete: str) -> list[str]:
    # The folder listing of audiosim.metrics.names(), which would import numpy at every TAB.
    from importlib.metadata import entry_points

    folder = Path(__file__).parents[1] / "metrics"
    files = [*folder.glob("[!_]*.py"), *map(Path, ctx.params.get("metric_file") or ())]
    outside = [entry.name for entry in entry_points(group="audiosim.metrics")]
    names = sorted({name.replace("_", "-") for name in [*(f.stem for f in files), *outside]})
    return [n for n in names if n.startswith(incomplete)]


TASKS = ("amplifier", "denoiser", "vocoder", "synthesiser", "codec", "bandwidth")  # of audiosim.bench


def _tasks(incomplete: str) -> list[str]:
    return [name for name in TASKS if name.startswith(incomplete)]


def _presets(incomplete: str) -> list[str]:
    known = dict(PRESETS)
    with suppress(UsageError):
        known |= resolve({}).presets
    return [name for name in known if name.startswith(incomplete)]


def _alignments(incomplete: str) -> list[str]:
    return [
        word for word in ("none", "auto", "auto:", "drift", "drift:", "find", "warp") if word.startswith(incomplete)
    ]


MetricOption = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--metric",
        metavar="SPEC",
        autocompletion=_metric_names,
        help="A metric: name, or name:option=value,option=value; repeatable. Rankings go by the first.",
    ),
]
MetricFileOption = Annotated[
    list[str] | None,
    typer.Option(
        "--metric-file",
        metavar="FILE",
        help="A Python file that holds a metric, which is called like the file; its code is run. Repeatable.",
    ),
]
PresetOption = Annotated[
    str | None,
    typer.Option(
        "--preset",
        metavar="NAME",
        autocompletion=_presets,
        help=f"The set of metrics to use without -m: {', '.join(PRESETS)}, or one of the table presets of a "
        "configuration file (default: default).",
    ),
]
RequireOption = Annotated[
    list[str] | None,
    typer.Option(
        "--require",
        metavar="GATE",
        help="A gate, which must hold or the exit code is 1: 'si-sdr>=20', 'log-mel<3', 'si-sdr@4000-8000>=10' in a "
        "band (Hz), 'min_channel(snr)>=60' in every channel, 'verdict<=inaudible'; repeatable.",
    ),
]
BandsOption = Annotated[
    bool | None, typer.Option("--bands/--no-bands", help="Show where: each metric per frequency band.")
]
BinsOption = Annotated[
    bool | None,
    typer.Option("--bins/--no-bins", help="Like --bands, with every frequency bin instead of at most 40 bands."),
]
TimesOption = Annotated[bool | None, typer.Option("--times/--no-times", help="Show when: each metric over time.")]
VerdictOption = Annotated[
    bool | None,
    typer.Option(
        "--verdict/--no-verdict",
        help="Say whether a listener would notice, and what happened to the sound (default: without -m, on a "
        "terminal, and in reports).",
    ),
]
BackendOption = Annotated[
    Backend | None,
    typer.Option(
        "--backend", help="torch gives the values of audiosim.Loss, on a GPU if there is one (default: numba)."
    ),
]
ReportOption = Annotated[
    str | None,
    typer.Option("--report", metavar="FILE", help="Write a report to look at and listen to: one HTML file."),
]
ReportAudioOption = Annotated[
    ReportAudio | None,
    typer.Option(
        "--report-audio", help="What the report can play: the worst 10 s, everything, or nothing (default: worst)."
    ),
]
JobsOption = Annotated[
    int | None, typer.Option("-j", "--jobs", help="Threads (default: one per core). The values do not depend on it.")
]
WorkersOption = Annotated[int | None, typer.Option("-j", "--jobs", help="Worker processes (default: one per core).")]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="PATTERN", help="Only files like these, such as '*.wav'; repeatable."),
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="PATTERN", help="No files like these; repeatable.")
]
RateOption = Annotated[
    Rate | None,
    typer.Option("--rate", help="If the sample rates differ: refuse, or resample the lower one (default: error)."),
]
ChannelsOption = Annotated[
    Channels | None,
    typer.Option(
        "--channels",
        help="If the channel counts differ: refuse, mix both to mono, or repeat a single channel (default: error).",
    ),
]
LengthOption = Annotated[
    Length | None,
    typer.Option("--length", help="If the lengths differ; auto trims up to 50 ms and refuses more (default: auto)."),
]
AlignOption = Annotated[
    str | None,
    typer.Option(
        "--align",
        metavar="[none|auto|drift|find|warp|auto:SECONDS]",
        autocompletion=_alignments,
        help="Find and remove a delay of up to 1 s, or up to SECONDS, to a fraction of a sample; drift: clocks that "
        "differ, too; find: compare a clip with its place in a longer recording; warp: two performances of one piece, "
        "the test laid on the time of the reference. Nothing is changed where the answer is not clear (default: "
        "none).",
    ),
]
GainOption = Annotated[
    Gain | None, typer.Option("--gain", help="Scale the test to the RMS level of the reference (default: none).")
]
PolarityOption = Annotated[
    Polarity | None, typer.Option("--polarity", help="Invert the test if its polarity is opposite (default: keep).")
]
FullScaleOption = Annotated[
    FullScale | None,
    typer.Option(
        "--full-scale",
        help="If samples peak above +6 dBFS: refuse, divide them by 32768 (int16) or 8388608 (int24), or keep them "
        "with a note (default: keep).",
    ),
]
UnfamiliarOption = Annotated[
    Unfamiliar | None,
    typer.Option(
        "--unfamiliar",
        help="A sound unlike those that a metric was judged on: mark its value with ? or ??, or give an error instead "
        "(default: mark).",
    ),
]
LevelOption = Annotated[
    float | None,
    typer.Option(
        "--level",
        metavar="DB",
        help="Playback level: dB SPL of a full-scale sine, for the metrics that depend on it (default: their own).",
    ),
]
AudiogramOption = Annotated[
    str | None,
    typer.Option(
        "--audiogram",
        metavar="DB/...",
        help="The listener's hearing loss in dB at 250/500/1000/2000/4000/6000 Hz, such as 20/20/25/35/45/50, or a "
        "standard audiogram, N1 to N7 or S1 to S3; for the metrics that use one (default: their own).",
    ),
]
DamagedOption = Annotated[
    Damaged | None,
    typer.Option(
        "--damaged",
        help="A file that is damaged, cut short or can be read only in part: refuse it, or go on with what can be read "
        "and say so (default: error).",
    ),
]
RawOption = Annotated[
    str | None,
    typer.Option(
        "--raw",
        metavar="RATE:CHANNELS:FORMAT",
        help="Read files without a header as PCM, such as 48000:2:s16le; formats: u8, s8, s16le, s24le, s32le, f32le, "
        "f64le, the same with be, ulaw, alaw.",
    ),
]
FormatOption = Annotated[
    Format | None,
    typer.Option("--format", help="Default: what the suffix of -o says, else table on a terminal and tsv elsewhere."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="The same as --format json.")]
ExplainFormatOption = Annotated[
    Tables | None,
    typer.Option("--format", help="Default: what the suffix of -o says, else table on a terminal and tsv elsewhere."),
]
BenchFormatOption = Annotated[
    Literal["table", "tsv", "csv", "json", "jsonl", "markdown"] | None,
    typer.Option("--format", help="Default: what the suffix of -o says, else table on a terminal and tsv elsewhere."),
]
BatchFormatOption = Annotated[
    Format | None,
    typer.Option(
        "--format", help="For standard output, or the file that --from writes (default: table, or tsv in a pipe)."
    ),
]
OutputOption = Annotated[
    str | None, typer.Option("-o", "--output", metavar="FILE", help="Write to this file, completely or not at all.")
]
RankingOption = Annotated[
    str | None,
    typer.Option(
        "--plot",
        metavar="FILE",
        help="Draw each metric's mean over the pairs of each system with its 95 % interval, the best system first: "
        ".png, .svg or .pdf (needs the extra plot).",
    ),
]
PlotOption = Annotated[
    str | None,
    typer.Option(
        "--plot", metavar="FILE", help="Draw a figure for a paper: .png, .svg or .pdf (needs the extra plot)."
    ),
]
QuietOption = Annotated[bool | None, typer.Option("-q", "--quiet", help="Print only errors on stderr, no notes.")]
VerboseOption = Annotated[
    bool | None,
    typer.Option("-v", "--verbose", help="Say what is being done, and print the traceback of an internal error."),
]


@app.command(
    "compare",
    cls=_Compare,
    short_help="Compare one or more recordings with a reference.",
    epilog="audiosim explain lists the metrics; audiosim explain NAME tells the options of one.",
)
def compare(
    reference: Annotated[
        str | None, typer.Argument(metavar="REF", help="The reference; - reads standard input.", show_default=False)
    ] = None,
    tests: Annotated[
        list[str] | None, typer.Argument(metavar="TEST", help="The recordings to compare with it; several are ranked.")
    ] = None,
    source: Annotated[
        list[str] | None,
        typer.Option(
            "--source",
            metavar="FILE",
            help="A source of a mixture, in place of REF and TEST; repeatable. Metrics of separation, such as "
            "bss-eval, compare its estimate with all of them.",
        ),
    ] = None,
    estimate: Annotated[
        list[str] | None,
        typer.Option(
            "--estimate",
            metavar="FILE",
            help="What was separated: as many as there are sources, which they are given to so that the mean of the "
            "first metric is best (of bss-eval: its SIR).",
        ),
    ] = None,
    in_order: Annotated[
        bool, typer.Option("--in-order", help="The first --estimate is of the first --source, and so on.")
    ] = False,
    metric: MetricOption = None,
    metric_file: MetricFileOption = None,
    preset: PresetOption = None,
    format: FormatOption = None,
    json: JsonOption = False,
    bands: BandsOption = None,
    bins: BinsOption = None,
    times: TimesOption = None,
    with_map: Annotated[
        bool, typer.Option("--map", help="Add the map of time by frequency band (json and jsonl only).")
    ] = False,
    require: RequireOption = None,
    verdict: VerdictOption = None,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    length: LengthOption = None,
    align: AlignOption = None,
    gain: GainOption = None,
    polarity: PolarityOption = None,
    level: LevelOption = None,
    audiogram: AudiogramOption = None,
    full_scale: FullScaleOption = None,
    unfamiliar: UnfamiliarOption = None,
    damaged: DamagedOption = None,
    raw: RawOption = None,
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
    audiosim compare original.wav decoded.wav --require 'si-sdr>=20' --json
    audiosim compare original.wav decoded.wav --preset speech
    audiosim compare original.wav decoded.wav --require 'verdict<=inaudible'
    audiosim compare original.wav decoded.wav --report out.html
    audiosim compare --source a.wav --source b.wav --estimate 1.wav --estimate 2.wav -m bss-eval

    Results go to standard output, everything else to standard error. A note says what was done to make two recordings
    comparable. In tsv, csv and value an undefined value is nan, and an infinite one inf or -inf; in json both are null,
    and status says which.
    """
    settings = _settings(locals())
    _offer(metric_file)
    from .compare import asked_for, run

    recordings = asked_for(reference, tests or (), source or (), estimate or (), in_order)
    return run(recordings, settings, with_map=with_map, output=output, report=report, plot=plot)


@app.command(
    "batch",
    cls=_Command,
    short_help="Compare folders pair by pair, and resume after an interruption.",
    epilog="audiosim explain lists the metrics; audiosim explain NAME tells the options of one.",
)
def batch(
    paths: Annotated[
        list[str] | None,
        typer.Argument(metavar="REFDIR TESTDIR", help="A folder of references, and one or more folders of tests."),
    ] = None,
    no_reference: Annotated[
        list[str] | None,
        typer.Option(
            "--no-reference",
            metavar="FOLDER",
            help="A folder of recordings without references, for metrics that judge the test alone; several are "
            "systems. Repeatable.",
        ),
    ] = None,
    metric: MetricOption = None,
    metric_file: MetricFileOption = None,
    preset: PresetOption = None,
    output: Annotated[
        str | None,
        typer.Option(
            "-o",
            "--output",
            metavar="FILE",
            help="The journal (jsonl): one row per pair and metric, written at once; the next run resumes from it. "
            "With --from, the file to export to.",
        ),
    ] = None,
    manifest: Annotated[
        str | None,
        typer.Option(
            "--manifest",
            metavar="FILE",
            help="A table of pairs (csv, tsv or jsonl) with the columns reference and test; - reads standard input.",
        ),
    ] = None,
    pair: Annotated[
        str,
        typer.Option(
            "--pair", metavar="RULE", help="Which files belong together: relpath, stem, order or regex:PATTERN."
        ),
    ] = "relpath",
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    stems: Annotated[
        bool,
        typer.Option(
            "--stems",
            help="The files in one folder are the sources of a mixture, which metrics such as bss-eval look for in "
            "each estimate. In a manifest the column mixture says so.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("-n", "--dry-run", help="Print the pairs and compare nothing.")] = False,
    allow_missing: Annotated[
        bool, typer.Option("--allow-missing", help="Do not exit with 3 because of files without a partner.")
    ] = False,
    resume: Annotated[
        bool,
        typer.Option("--resume/--no-resume", help="Resume from the journal, or rename it to FILE.old and start again."),
    ] = True,
    source: Annotated[
        str | None, typer.Option("--from", metavar="FILE", help="Compare nothing; export what a journal holds.")
    ] = None,
    merge: Annotated[
        bool, typer.Option("--merge", help="Merge the journals given as arguments into the one of -o.")
    ] = False,
    shard: Annotated[
        str | None,
        typer.Option("--shard", metavar="I/N", help="Do only part I of N; auto reads both from Slurm's variables."),
    ] = None,
    remote_metric_files: Annotated[
        bool,
        typer.Option(
            "--remote-metric-files",
            help="Let Dask's workers run the code of --metric-file, which they must find under the same path.",
        ),
    ] = False,
    dask: Annotated[
        str | None,
        typer.Option("--dask", metavar="ADDRESS", help="Compute on the workers of this Dask scheduler (tcp://...)."),
    ] = None,
    require: RequireOption = None,
    baseline: Annotated[
        str | None,
        typer.Option(
            "--baseline", metavar="FILE", help="The journal of an earlier run; exit with 1 if anything got worse."
        ),
    ] = None,
    tolerance: Annotated[
        list[str] | None,
        typer.Option(
            "--tolerance",
            metavar="METRIC=AMOUNT",
            help="How much worse is accepted: 'mr-stft=2%', 'si-sdr=0.5' in its unit, 'all=1%'; repeatable.",
        ),
    ] = None,
    update_baseline: Annotated[
        bool, typer.Option("--update-baseline", help="Overwrite the baseline, and say what changed.")
    ] = False,
    ratings: Annotated[
        str | None,
        typer.Option(
            "--ratings", metavar="FILE", help="Listeners' ratings (csv: test or id, rating): which metric agrees?"
        ),
    ] = None,
    worst: Annotated[int, typer.Option("--worst", metavar="N", help="How many of the worst pairs to list.")] = 5,
    export: Annotated[
        list[str] | None,
        typer.Option(
            "--export",
            metavar="FILE",
            help="Export as the suffix says: csv tsv json jsonl md xml (JUnit) html parquet.",
        ),
    ] = None,
    report: ReportOption = None,
    report_audio: ReportAudioOption = None,
    plot: RankingOption = None,
    format: BatchFormatOption = None,
    json: JsonOption = False,
    bands: BandsOption = None,
    bins: BinsOption = None,
    times: TimesOption = None,
    diagnose: Annotated[
        bool, typer.Option("--diagnose", help="Say of each pair what happened to the sound, and count the causes.")
    ] = False,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    length: LengthOption = None,
    align: AlignOption = None,
    gain: GainOption = None,
    polarity: PolarityOption = None,
    level: LevelOption = None,
    audiogram: AudiogramOption = None,
    full_scale: FullScaleOption = None,
    unfamiliar: UnfamiliarOption = None,
    damaged: DamagedOption = None,
    raw: RawOption = None,
    backend: BackendOption = None,
    jobs: WorkersOption = None,
    progress: Annotated[
        bool | None,
        typer.Option(
            "--progress/--no-progress",
            help="Say how many pairs are done, pairs per second and the time left, even without a terminal or with -q; "
            "or never.",
        ),
    ] = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """Compare folders of recordings pair by pair.

    \b
    audiosim batch originals/ decoded/ -o run.jsonl
    audiosim batch originals/ opus/ mp3/ -m visqol -m log-mel -o run.jsonl
    audiosim batch --manifest pairs.csv -o run.jsonl --require 'mean(log-mel)<=3'
    audiosim batch --no-reference denoised/ -m dnsmos -o run.jsonl
    audiosim batch --from run.jsonl --format markdown

    Every pair gets a row, even if it cannot be read. What the journal holds is not computed again as long as the files,
    the options and the version of the metric are the same. Failures are tried again.
    """
    settings = _settings(locals())
    _offer(metric_file)
    from .batch import Request, run
    from .outcome import Wishes

    return run(
        Request(
            paths=paths or (),
            no_reference=no_reference or (),
            manifest=manifest,
            rule=pair,
            include=include or (),
            exclude=exclude or (),
            stems=stems,
            dry_run=dry_run,
            allow_missing=allow_missing,
            output=output,
            resume=resume,
            diagnose=diagnose,
            source=source,
            merge=merge,
            shard=shard,
            dask=dask,
            metric_files=metric_file or (),
            remote_metric_files=remote_metric_files,
            wishes=Wishes(
                worst=whole(worst, "--worst", least=0),
                ratings=ratings,
                baseline=baseline,
                update_baseline=update_baseline,
                tolerance=tolerance or (),
                export=export or (),
                report=report,
                plot=plot,
            ),
        ),
        settings,
    )


FolderOption = Annotated[
    str | None,
    typer.Argument(metavar="FOLDER", help="A folder of recordings; without it, those that --labels names."),
]
LabelsOption = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="FILE",
        help="A table (csv, tsv or jsonl) with a column file, a path below FOLDER or from the table, and others, such "
        "as artist or genre.",
    ),
]
FeaturesOption = Annotated[
    str | None,
    typer.Option(
        "--journal",
        metavar="FILE",
        help="Keep the features of the recordings here, and do not compute them again; an interrupted run resumes.",
    ),
]
FilterOption = Annotated[
    str | None,
    typer.Option(
        "--filter",
        metavar="COLUMN",
        help="A column of --labels, such as artist: recordings that share it are not each other's neighbours.",
    ),
]
DistanceOption = Annotated[
    list[str] | None,
    typer.Option(
        "-m",
        "--metric",
        metavar="SPEC",
        autocompletion=_metric_names,
        help="A metric that is a distance: name, or name:option=value; repeatable (default: timbre-js).",
    ),
]


@app.command(
    "neighbours",
    cls=_Command,
    short_help="Find what is most like each recording of a collection.",
    epilog="audiosim explain lists the metrics; audiosim explain NAME tells the options of one.",
)
def neighbours(
    folder: FolderOption = None,
    query: Annotated[
        list[str] | None,
        typer.Option(
            "--query",
            metavar="FILE",
            help="Only the neighbours of this recording, which may be one of the collection or not; repeatable.",
        ),
    ] = None,
    metric: DistanceOption = None,
    metric_file: MetricFileOption = None,
    count: Annotated[int, typer.Option("-k", "--count", metavar="N", help="Neighbours of each recording.")] = 10,
    scaling: Annotated[
        str,
        typer.Option(
            "--scaling",
            metavar="[none|mp|mp-empiric|nicdm]",
            help="Make hubs rarer, which are near to very many: by Mutual Proximity, of normal distributions or of the "
            "distances themselves, or by the distances to the nearest (NICDM).",
        ),
    ] = "none",
    labels: LabelsOption = None,
    filter: FilterOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    journal: FeaturesOption = None,
    output: OutputOption = None,
    report: Annotated[
        str | None,
        typer.Option("--report", metavar="FILE", help="Write a page to listen to the neighbours: one HTML file."),
    ] = None,
    format: ExplainFormatOption = None,
    json: JsonOption = False,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    length: LengthOption = None,
    damaged: DamagedOption = None,
    raw: RawOption = None,
    jobs: WorkersOption = None,
    progress: Annotated[
        bool | None,
        typer.Option("--progress/--no-progress", help="Say how much is done, even without a terminal; or never."),
    ] = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """Find what is most like each recording of a collection.

    \b
    audiosim neighbours music/
    audiosim neighbours music/ --query song.wav -k 5
    audiosim neighbours music/ --scaling mp --journal features.jsonl -o neighbours.csv
    audiosim neighbours music/ --labels tracks.csv --filter artist --report neighbours.html

    The recordings may play anything, be of any length and at any rate. Metrics that compare moment by moment, such as
    log-mel, take small collections only, pair by pair. Hubness is the skewness of how often recordings are among the
    neighbours of others: above 1, a few are neighbours of many.
    """
    settings = _settings(locals())
    _offer(metric_file)
    from .collection import Request
    from .neighbours import run

    return run(
        Request(
            folder=folder,
            labels=labels,
            include=include or (),
            exclude=exclude or (),
            journal=journal,
            metric_files=metric_file or (),
        ),
        settings,
        queries=query or (),
        k=whole(count, "-k"),
        scaling=scaling,
        filtered=filter,
        output=output,
        report=report,
    )


@app.command(
    "retrieval",
    cls=_Command,
    short_help="Say how well metrics find what belongs together in a collection.",
    epilog="audiosim explain lists the metrics; audiosim explain NAME tells the options of one.",
)
def retrieval(
    folder: FolderOption = None,
    labels: LabelsOption = None,
    label: Annotated[
        str | None,
        typer.Option(
            "--label",
            metavar="COLUMN",
            help="The column of --labels that says what belongs together (default: label, or the only one).",
        ),
    ] = None,
    trials: Annotated[
        str | None,
        typer.Option(
            "--trials",
            metavar="FILE",
            help="Choices of listeners: a table with the columns target, chosen and unchosen, a row for each recording "
            "that was offered and not chosen; a column trial tells choices of the same two apart.",
        ),
    ] = None,
    metric: DistanceOption = None,
    metric_file: MetricFileOption = None,
    count: Annotated[int, typer.Option("-k", "--count", metavar="N", help="Neighbours that precision counts.")] = 10,
    scaling: Annotated[
        list[str] | None,
        typer.Option(
            "--scaling",
            metavar="[none|mp|mp-empiric|nicdm]",
            help="Judge every metric with this scaling against hubs (see audiosim neighbours); repeatable.",
        ),
    ] = None,
    filter: FilterOption = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    journal: FeaturesOption = None,
    output: OutputOption = None,
    format: ExplainFormatOption = None,
    json: JsonOption = False,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    length: LengthOption = None,
    damaged: DamagedOption = None,
    raw: RawOption = None,
    jobs: WorkersOption = None,
    progress: Annotated[
        bool | None,
        typer.Option("--progress/--no-progress", help="Say how much is done, even without a terminal; or never."),
    ] = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """Say how well metrics find what belongs together in a collection, and how alike they rank.

    \b
    audiosim retrieval music/ --labels tracks.csv --label genre --filter artist
    audiosim retrieval music/ --labels tracks.csv -m timbre-js -m timbre-kl --scaling none --scaling mp
    audiosim retrieval music/ --trials choices.csv -m timbre-js -m timbre-kl
    audiosim retrieval music/ -m timbre-js -m timbre-kl

    Every recording asks for the others. Precision, mean average precision (MAP), and how often one of the same label is
    nearer than one of another; with choices of listeners, how often the chosen recording is the nearest (first place),
    its mean rank, and triplets; hubness. Of each two metrics: McNemar's test, and how alike they rank what is nearest.
    All with 95 % intervals over the queries or choices.
    """
    settings = _settings(locals())
    _offer(metric_file)
    from .collection import Request
    from .retrieval import run

    return run(
        Request(
            folder=folder,
            labels=labels,
            include=include or (),
            exclude=exclude or (),
            journal=journal,
            metric_files=metric_file or (),
        ),
        settings,
        label=label,
        trials=trials,
        k=whole(count, "-k"),
        scalings=scaling or (),
        filtered=filter,
        output=output,
    )


@app.command(
    "explain",
    cls=_Command,
    short_help="Say what happened to a recording, and what metrics mean.",
)
def explain(
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", autocompletion=_metric_names, help="A metric; without it, all are listed."),
    ] = None,
    reference: Annotated[
        str | None, typer.Argument(metavar="REF", help="The reference: what happened on the way from it to TEST?")
    ] = None,
    test: Annotated[str | None, typer.Argument(metavar="TEST", help="The recording to compare with REF.")] = None,
    metric_file: MetricFileOption = None,
    format: ExplainFormatOption = None,
    json: JsonOption = False,
    rate: RateOption = None,
    channels: ChannelsOption = None,
    length: LengthOption = None,
    align: AlignOption = None,
    gain: GainOption = None,
    polarity: PolarityOption = None,
    level: LevelOption = None,
    audiogram: AudiogramOption = None,
    full_scale: FullScaleOption = None,
    damaged: DamagedOption = None,
    raw: RawOption = None,
    every: Annotated[bool, typer.Option("--all", help="Without NAME: list all metrics, by family.")] = False,
    gradient: Annotated[
        bool,
        typer.Option("--gradient", help="With NAME REF TEST: show what training on this loss would change first."),
    ] = False,
    residual: Annotated[
        str | None,
        typer.Option("--residual", metavar="FILE", help="With REF TEST: write the test minus the reference (wav)."),
    ] = None,
    jobs: JobsOption = None,
    output: OutputOption = None,
    plot: PlotOption = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """List the metrics, explain one, say what happened to a recording, or where and when two differ by a metric.

    \b
    audiosim explain
    audiosim explain si-sdr
    audiosim explain original.wav decoded.wav
    audiosim explain original.wav decoded.wav --residual difference.wav
    audiosim explain log-mel original.wav decoded.wav
    audiosim explain mr-stft original.wav decoded.wav --gradient

    A first argument that names both a metric and a file is the metric; ./lsd is the file.
    """
    settings = _settings(locals())
    _offer(metric_file)
    from . import explain as pages

    return pages.run(
        name, reference, test, settings, every=every, gradient=gradient, residual=residual, output=output, plot=plot
    )


@app.command("audit", cls=_Command, short_help="Say what is true of a metric, and whether its card says the same.")
def audit(
    metrics: Annotated[
        list[str],
        typer.Argument(metavar="METRIC", autocompletion=_metric_names, help="Metrics, with options or not."),
    ],
    sound: Annotated[
        list[str] | None,
        typer.Option(
            "--sound",
            metavar="FILE",
            help="A recording to try it on, of which the loudest three seconds are used; repeatable (default: "
            "synthetic speech and chords).",
        ),
    ] = None,
    full: Annotated[
        bool,
        typer.Option("--full", help="Also descend on samples, and say how far other metrics fall; takes a minute."),
    ] = False,
    rule: Annotated[
        list[str] | None,
        typer.Option(
            "--require",
            metavar="RULE",
            help="A rule, which must hold or the exit code is 1: a property, such as 'monotony>=0.9' or "
            "'triangle<=0', or 'contradicted<=0', how often its card is; repeatable.",
        ),
    ] = None,
    metric_file: MetricFileOption = None,
    format: ExplainFormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """Say what is true of a metric, ours or another's, and whether its card says the same.

    \b
    audiosim audit log-mel
    audiosim audit mse si-sdr mr-stft --json
    audiosim audit huber --metric-file huber.py --require 'contradicted<=0'
    audiosim audit log-mel:bands=64 --sound speech.wav --require 'monotony>=0.9'
    audiosim audit tversky --full

    Identity, symmetry, triangle inequality, order under twelve graded distortions, what is not heard, added against
    missing sound, masking, pitch, gradients, cost. Values are of a distance: how much worse than the reference with
    itself. docs/audit.md says how each is measured. Gradients need torch.
    """
    settings = _settings(locals())
    _offer(metric_file)
    from .audit import run

    return run(list(metrics), settings, sounds=list(sound or ()), rules=list(rule or ()), full=full, output=output)


@app.command("bench", cls=_Command, short_help="Train small networks: which loss teaches best?")
def bench(
    task: Annotated[
        list[str] | None,
        typer.Option(
            "--task",
            metavar="TASK",
            autocompletion=_tasks,
            help="amplifier, denoiser, vocoder, synthesiser, codec or bandwidth, one variant such as amplifier/gru, "
            "or a file with a task of yours; repeatable (default: all).",
        ),
    ] = None,
    loss: Annotated[
        list[str] | None,
        typer.Option(
            "--loss", metavar="SPEC", help="A loss: a metric with a gradient, or 'mr-stft + 0.1*esr'; repeatable."
        ),
    ] = None,
    steps: Annotated[
        int | None,
        typer.Option("--steps", metavar="N", help="Steps of each training (default: those of the task, 300 or more)."),
    ] = None,
    seconds: Annotated[
        str | None,
        typer.Option("--cpu", metavar="SECONDS", help="As many steps as fit into so much CPU time."),
    ] = None,
    seeds: Annotated[int, typer.Option("--seeds", metavar="N", help="Networks that are trained with each loss.")] = 1,
    learning_rate: Annotated[
        list[str] | None,
        typer.Option(
            "--learning-rate",
            metavar="RATE",
            help="What validation chooses from; repeatable (default: 0.001, 0.003 and 0.01).",
        ),
    ] = None,
    journal: Annotated[
        str | None,
        typer.Option(
            "--journal",
            metavar="FILE",
            help="Keep what is trained here, and do not train it again; without --loss, print the table of it.",
        ),
    ] = None,
    metric_file: MetricFileOption = None,
    format: BenchFormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """Train small networks with one loss after another, and let other metrics judge what they have learned.

    \b
    audiosim bench --task amplifier/convolution --loss esr --loss mr-stft
    audiosim bench --loss esr --loss 'mr-stft + esr' --seeds 3 --journal bench.jsonl
    audiosim bench --task my_task.py --loss log-mel --loss auditory --cpu 60

    No judge is of the family of the loss that it judges. The rank is 0 for a loss that all judges have first, and 1 for
    one that all have last. A task of yours has RATE, network(), batch(rng) and held_out(split): pydoc
    audiosim.bench.task. Needs torch.
    """
    settings = _settings(locals())
    _offer(metric_file)
    from .bench import run

    return run(
        task or list(TASKS),
        loss or (),
        settings,
        seeds=whole(seeds, "--seeds", least=1),
        steps=None if steps is None else whole(steps, "--steps", least=1),
        seconds=None if seconds is None else positive(seconds, "--cpu"),
        rates=[positive(rate, "--learning-rate") for rate in learning_rate or ()],
        journal=journal,
        output=output,
    )


ACTIONS = ("list", "get", "check", "calibrate")  # of models


def _models(incomplete: str) -> list[str]:
    from ..trained.weights import models

    return [name for name in models() if name.startswith(incomplete)]


@app.command("models", cls=_Command, short_help="Trained models: which are here, how to get one, and to check it.")
def models(
    action: Annotated[
        str,
        typer.Argument(
            metavar="[list|get|check|calibrate]",
            autocompletion=lambda incomplete: [word for word in ACTIONS if word.startswith(incomplete)],
            help="List the known models; get one; check that one gives the values that it should; or tell a metric "
            "what is familiar.",
        ),
    ] = "list",
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME", autocompletion=_models, help="Models (list: all); of calibrate a metric and a folder."
        ),
    ] = None,
    format: ExplainFormatOption = None,
    json: JsonOption = False,
    output: OutputOption = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """List the trained models that metrics use, get one, or check one.

    \b
    audiosim models
    audiosim models get dnsmos-p835
    audiosim models check dnsmos-p835
    audiosim models calibrate pesq my_recordings/

    Weights come neither with audiosim nor by themselves. A metric looks for them where its option model=PATH says, in
    the models folder, $XDG_DATA_HOME/audiosim/models or ~/.local/share/audiosim/models, and in the package that brings
    them. models get downloads them into the models folder; what does not have the known sha256 is not kept. Mind the
    licences.

    models calibrate keeps statistics of the recordings below a folder, 20 or more, for a metric of speech: its values
    are then marked as unfamiliar where a recording is unlike these, instead of unlike the speech that audiosim knows.
    """
    settings = _settings(locals())
    from .models import run

    return run(action, names or (), settings, output)


@app.command(
    "sets",
    cls=_Command,
    short_help="Compare folders of recordings as sets, without pairs.",
    epilog="What the numbers are, and when to trust them: docs/sets.md.",
)
def sets(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REF TEST...", help="A folder of references, and one or more folders to hold against it."
        ),
    ] = None,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    embedding: Annotated[
        str | None,
        typer.Option(
            "--embedding",
            metavar="MODEL",
            help="A trained model in place of statistics of auditory bands: musicnn-mtt, or a file of ONNX with its "
            "sidecar (docs/embeddings.md).",
        ),
    ] = None,
    nearest: Annotated[
        int,
        typer.Option("--nearest", metavar="K", help="Neighbours that density, coverage, precision and recall go by."),
    ] = 5,
    draws: Annotated[
        int,
        typer.Option("--draws", metavar="N", help="Resamples of recordings for the 95 % intervals; 0: no intervals."),
    ] = 200,
    keep: Annotated[
        bool,
        typer.Option(
            "--keep/--no-keep", help="Keep what was computed of each recording for the next time, in the user's cache."
        ),
    ] = True,
    format: ExplainFormatOption = None,
    json: JsonOption = False,
    damaged: DamagedOption = None,
    raw: RawOption = None,
    jobs: JobsOption = None,
    output: OutputOption = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """Say how far folders of recordings lie from a folder of references, when no recording has a partner.

    \b
    audiosim sets real/ generated/
    audiosim sets real/ model_a/ model_b/ -o ranking.csv

    Fréchet and kernel distance (KAD) are 0 for sets of one kind; the kernel distance may fall below 0, because its
    errors go both ways. Infinite: the Fréchet distance that larger sets would have. Precision and density: whether what
    is in the test could be in the reference; recall and coverage: whether all that is in the reference is in the test.
    All are taken over statistics of auditory bands in windows of 1 s, not over a trained network: numbers called FAD
    are others. With --embedding a network takes their place. What was computed is kept by content, so the same command
    resumes where it was stopped.
    """
    settings = _settings(locals())
    from .sets import run

    return run(
        list(folders or ()),
        settings,
        include=include or (),
        exclude=exclude or (),
        nearest=whole(nearest, "--nearest"),
        embedding=embedding,
        draws=whole(draws, "--draws", least=0),
        keep=keep,
        output=output,
    )


@app.command("warm", cls=_Command, short_help="Compile kernels ahead, for images of containers and for CI.")
def warm(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="METRIC", autocompletion=_metric_names, help="Metrics, with options or not; or all."),
    ] = None,
    metric_file: MetricFileOption = None,
    preset: PresetOption = None,
    quiet: QuietOption = None,
    verbose: VerboseOption = None,
) -> int:
    """Compile the kernels of metrics ahead, so that the first comparison need not; by default those of the preset.

    \b
    audiosim warm
    audiosim warm pesq stoi
    audiosim warm all

    They are kept where XDG_CACHE_HOME says, in ~/.cache/audiosim by default.
    """
    settings = _settings(locals())
    _offer(metric_file)
    from .warm import run

    return run(list(names or ()), settings)
