"""`audiosim compare`: settings, two recordings, results, gates, output, in this order."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from .. import audio, match as matching, metrics
from ..comparison import Comparison, Detail, as_many, compare_signals, order_of
from ..config import Settings, nearest
from ..diagnosis.words import listed
from ..engine import start
from ..engine.cache import caching
from ..errors import ExitCode, InputError, MetricError, Mismatch, UsageError, worst
from ..judge import gates
from ..judge.assembly import pair_row
from ..judge.rows import VERDICT, flat
from ..match import Policy
from ..presets import PRESETS
from ..result import failed
from ..signal import Signal
from . import figures, formats, next as following

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis
    from ..judge.verdict import Verdict

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Sources:
    """Paths of the sources of a mixture and of their estimates; in_order: the n-th estimate is of the n-th source."""

    sources: Sequence[str]
    estimates: Sequence[str]
    in_order: bool


@dataclass(frozen=True, slots=True)
class Given:
    """One pair of paths; loaded: gives its two Signals, or raises; others: what stands beside them in a mixture."""

    reference: str
    test: str
    loaded: Callable[[], tuple[Signal, Signal]]
    others: Sequence[tuple[Signal, Signal]] = ()


def asked_for(
    reference: str | None, tests: Sequence[str], sources: Sequence[str], estimates: Sequence[str], in_order: bool
) -> tuple[str, Sequence[str]] | Sources:
    """What the arguments and flags name: one reference and its tests, or sources and estimates; else UsageError."""
    if sources or estimates:
        if reference is not None:
            raise UsageError("give REF and TEST, or --source and --estimate, not both")
        as_many(sources, estimates)
        return Sources(sources, estimates, in_order)
    if in_order:
        raise UsageError("--in-order is for --source and --estimate")
    if reference is None or not tests:
        missing = "REF" if reference is None else "TEST..."
        raise UsageError(f"Missing argument '{missing}' (see `audiosim compare --help`)")
    return reference, tests


def run(
    recordings: tuple[str, Sequence[str]] | Sources,
    settings: Settings,
    *,
    with_map: bool,
    output: str | None,
    report: str | None = None,
    plot: str | None = None,
) -> ExitCode:
    """Compare, print, and return the exit code. Raises AudiosimError when nothing at all could be compared."""
    form = formats.chosen(settings.format, output, sys.stdout.isatty())
    detail = _detail(settings, with_map, form)
    pictured = form == "html" or report is not None or plot is not None
    if pictured:
        detail = "map"
    started, now = datetime.now(UTC), perf_counter()
    separated = isinstance(recordings, Sources)
    if isinstance(recordings, Sources):
        names, tests = [*recordings.sources, *recordings.estimates], recordings.estimates
    else:
        names, tests = [recordings[0], *recordings[1]], recordings[1]
    if names.count("-") > 1:
        raise UsageError("standard input can be read only once: give - for one recording only")
    if output not in (None, "-"):
        formats.check_output(str(output))
    if report is not None:
        formats.check_output(report, "--report")
    if plot is not None:
        if len(tests) > 1:
            raise UsageError("--plot draws one pair; give one TEST")
        figures.check_plot(plot)
    required = [gates.parse(text) for text in settings.require]
    judging = _judges(settings, form, output, required, report)
    specs = list(dict.fromkeys([*panel(settings), *gates.specs(required)]))
    chosen = [metrics.get(metrics.parse(spec).name) for spec in specs]
    if all(metric.sha256 is None for metric in chosen):
        start.load_numba()
    bands = "bins" if settings.bins else None
    policy = Policy(**settings.policy())

    pairs: list[Row] = []
    codes: list[ExitCode] = []
    told: set[str] = set()
    mending: list[dict[str, str]] = []  # flags for those that were not compared
    kept = figures.Worst()
    given = (
        _separated(recordings, settings, specs)
        if isinstance(recordings, Sources)
        else _decoded(*recordings, settings, specs)
    )
    for pair in given:
        reference, name = pair.reference, pair.test
        begun = perf_counter()
        try:
            ref, test = pair.loaded()
            with caching(ref.samples, test.samples) if judging else nullcontext():
                done = compare_signals(
                    ref,
                    test,
                    specs,
                    policy,
                    detail=detail,
                    band_edges=bands,
                    jobs=settings.jobs,
                    backend=settings.backend,
                    others=pair.others,
                )
                diagnosis, opinion = _opinion(ref, test, done, settings) if judging else (None, None)
            verdicts = gates.judge(required, done, policy, settings.jobs, opinion)
        except (InputError, MetricError) as problem:
            if len(tests) == 1:
                if isinstance(problem, Mismatch) and not settings.quiet:
                    problem.add_note(following.after_mismatch(reference, name))
                raise
            say(f"error: {problem}")
            if isinstance(problem, Mismatch):
                mending.append(problem.flags)
            codes.append(problem.exit_code)
            pairs.append(_unanswered(reference, name, specs, required, problem))
            continue
        if not settings.quiet:
            for sentence in matching.describe(done.match):
                if sentence.startswith("the reference peaks"):  # the same for every test
                    if sentence in told:
                        continue
                    told.add(sentence)
                say(f"{audio.display_name(name)}: {sentence}" if len(tests) > 1 else sentence)
            looked = sys.stdout.isatty() and sys.stderr.isatty() and not judging  # the diagnosis says it, too
            if looked and settings.align == "none" and (late := matching.hint(done.ref, done.test)):
                say(f"{audio.display_name(name)}: {late}" if len(tests) > 1 else late)
        if settings.verbose:
            from .. import scratch

            say(f"{audio.display_name(name)}: compared in {perf_counter() - begun:.3f} s")
            if held := sum(scratch.held(signal.samples) for signal in (done.ref, done.test)):
                say(f"{audio.display_name(name)}: {held / 1e6:.0f} MB of samples are held in memory")
        codes += [ExitCode.METRIC for r in done.results.values() if r.status == "error"]
        codes += [ExitCode.GATE for v in verdicts if not v.passed]
        seen = form == "table" and output in (None, "-")  # the table says which gates held
        _report_gates(verdicts, audio.display_name(name) if len(tests) > 1 else "", settings.quiet or seen)
        if settings.verdict and form in formats.BARE and not settings.quiet:
            _report_opinion(diagnosis, opinion, audio.display_name(name) if len(tests) > 1 else "")
        pairs.append(_answered(reference, name, done, verdicts, settings, with_map, diagnosis, opinion))
        if pictured:
            kept.add(pairs[-1], done)
    if any(flags != mending[0] for flags in mending) and not settings.quiet:
        say(f"to compare all of these, use {_mending(mending)}")
    pairs = pairs if separated else _ranked(pairs)
    if form == "html" or report is not None:
        page, left_out = figures.page(pairs, kept, settings)
        for sentence in left_out:
            say(sentence)
    if form == "html":
        put(page, output)
    elif form == "junit":
        put(_junit(pairs, started, perf_counter() - now), output)
    else:
        write(pairs, form, output)
    if report is not None:
        formats.write_file(report, page, "--report")
    if plot is not None:
        figures.write_plot(plot, kept, specs)
    if form == "table" and not separated:
        following.say(following.after_compare(pairs, settings, report), settings)
    return worst(codes)


def write(pairs: Sequence[Row], form: str, output: str | None) -> None:
    """Write the results to stdout, or to the file."""
    text: str | bytes
    if form == "parquet":
        text = formats.to_parquet(flat(pairs), ())
    elif form == "markdown":
        from .markdown import of_pairs

        text = of_pairs(pairs)
    elif form != "table":
        text = formats.pairs_text(pairs, form)
    elif output in (None, "-"):
        from . import screen, table

        screen.print_results(pairs, table.console())
        return
    else:
        import io

        from . import screen, table

        screen.print_results(pairs, table.console(page := io.StringIO()))
        text = page.getvalue()
    put(text, output)


def _junit(pairs: Sequence[Row], started: datetime, seconds: float) -> str:
    import socket

    from .junit import to_junit

    timestamp = started.replace(tzinfo=None).isoformat(timespec="seconds")
    return to_junit(flat(pairs), seconds=seconds, timestamp=timestamp, hostname=socket.gethostname())


def put(text: str | bytes, output: str | None) -> None:
    """Write text or bytes to stdout, or to the file."""
    if output in (None, "-"):
        if isinstance(text, bytes):
            sys.stdout.buffer.write(text)
        else:
            sys.stdout.write(text)
        sys.stdout.flush()
    else:
        formats.write_file(str(output), text)


@cache
def announce_compilation(quiet: bool, specs: Sequence[str] = (), each: bool = False) -> None:
    """Say on stderr that kernels are being compiled: once, or in one line that counts where that is a terminal.

    specs: the metrics of which they are, where that is known. each: say every kernel's name. Cached ones say nothing.
    """
    if quiet:
        return
    from ..engine.compilation import NOTICE, expected, when_compiling

    most = expected(spec.partition(":")[0] for spec in specs)
    terminal = sys.stderr.isatty() and not each
    count = 0

    def begun(kernel: str) -> None:
        nonlocal count
        count += 1
        if each:
            say(f"compiling {kernel}")
        elif terminal:
            progress_line(f"{NOTICE}: {count}" + f" of {most}" * (count <= most))
        elif count == 1:
            say(f"{NOTICE}" + f": {most}" * (most > 0))

    when_compiling(begun, lambda: progress_line("") if terminal else None)


def progress_line(text: str) -> None:
    """In the place of the last line of the terminal; empty: nothing."""
    from shutil import get_terminal_size

    line = f"audiosim: {text}"[: get_terminal_size().columns - 1] if text else ""
    print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


def decode(reference: str, test: str, settings: Settings) -> tuple[Signal, Signal]:
    """Two recordings, decoded in two threads."""
    with closing(_decoded(reference, [test], settings)) as pairs:
        return next(pairs).loaded()


def _decoded(
    reference: str, tests: Sequence[str], settings: Settings, specs: Sequence[str] = ()
) -> Generator[Given, None, None]:
    """Each test with the reference.

    The reference is decoded and analysed once, and the next test is decoded while this one is compared.
    """
    load = partial(audio.load, **Policy(**settings.policy()).reading)
    pool = ThreadPoolExecutor(2, "decode")
    try:
        ref = pool.submit(load, reference)
        ahead = pool.submit(load, tests[0])
        announce_compilation(settings.quiet, tuple(specs))  # loads numba, while the files are read
        with caching(ref.result().samples) if len(tests) > 1 else nullcontext():
            for i, name in enumerate(tests):
                test = ahead
                if i + 1 < len(tests):
                    ahead = pool.submit(load, tests[i + 1])
                yield Given(reference, name, partial(_both, ref, test))
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _both(ref: Future[Signal], test: Future[Signal]) -> tuple[Signal, Signal]:
    return ref.result(), test.result()


def _separated(given: Sources, settings: Settings, specs: Sequence[str]) -> Generator[Given, None, None]:
    """Each source with its estimate. All are held in memory."""
    policy = Policy(**settings.policy())
    with ThreadPoolExecutor(settings.jobs, "decode") as pool:
        signals = list(pool.map(partial(audio.load, **policy.reading), [*given.sources, *given.estimates]))
    announce_compilation(settings.quiet, tuple(specs))
    count = len(given.sources)
    refs, tests = signals[:count], signals[count:]
    order = list(range(count))
    if not given.in_order:
        order = order_of(refs, tests, specs[0], policy, jobs=settings.jobs)
    with caching(*(signal.samples for signal in signals)):
        for j, i in enumerate(order):
            pairs = [(ref, tests[k]) for ref, k in zip(refs, order, strict=True)]
            pair = pairs.pop(j)
            yield Given(given.sources[j], given.estimates[i], lambda pair=pair: pair, pairs)  # type: ignore[misc]


def _detail(settings: Settings, with_map: bool, form: str) -> Detail:
    if with_map and form not in ("json", "jsonl"):
        raise UsageError(f"--map needs --format json or jsonl, not {form}")
    profile = settings.bands or settings.bins or settings.times
    if form in ("value", "markdown", "junit") and profile:
        raise UsageError(f"--format {form} prints only values; use tsv, csv or json with --bands and --times")
    if form == "html" and settings.backend == "torch":
        raise UsageError("--format html shows bands and times, which --backend torch does not have; leave one out")
    return "map" if with_map else "profile" if profile else "value"


def _judges(
    settings: Settings, form: str, output: str | None, required: Sequence[gates.Gate], report: str | None
) -> bool:
    """Whether pairs get a verdict and a diagnosis, which cost time."""
    if any(gate.spec == VERDICT for gate in required):
        return True
    if settings.verdict is not None:
        return settings.verdict
    seen = form == "table" and output in (None, "-") and sys.stdout.isatty() and not settings.metric
    return seen or form == "html" or report is not None


def _opinion(ref: Signal, test: Signal, done: Comparison, settings: Settings) -> tuple[Diagnosis, Verdict]:
    """What happened to the sound, and what a listener would say; ref, test: as they were decoded."""
    from ..diagnosis import diagnose
    from ..judge.verdict import verdict

    diagnosis = diagnose(ref, test)
    return diagnosis, verdict(ref, test, diagnosis, done.results, settings.jobs)


def _mending(flags: Sequence[Mapping[str, str]]) -> str:
    """The flags that mend all of these."""
    every = {flag: value for one in flags for flag, value in one.items()}
    if any(one.get("channels") == "mono" for one in flags):  # it does where match does, but not the other way round
        every["channels"] = "mono"
    return Mismatch.mended({flag: every[flag] for flag in ("rate", "channels", "length") if flag in every})


def panel(settings: Settings) -> Sequence[str]:
    """The specs that were asked for, else those of the preset, of which the configuration's come first."""
    known = {**PRESETS, **settings.presets}
    if settings.metric:
        return settings.metric
    if settings.preset not in known:
        near = nearest(settings.preset, list(known))
        raise UsageError(f"unknown preset {settings.preset!r}{near}; one of: {', '.join(known)}")
    return known[settings.preset]


def _answered(
    reference: str,
    test: str,
    done: Comparison,
    verdicts: Sequence[gates.Verdict],
    settings: Settings,
    with_map: bool,
    diagnosis: Diagnosis | None,
    opinion: Verdict | None,
) -> Row:
    row = pair_row(
        audio.data_name(reference),
        audio.data_name(test),
        done.results,
        [gates.row(v) for v in verdicts],
        rate=done.ref.rate,
        channels=done.ref.channels,
        duration_s=done.ref.duration,
        match=done.match,
        verdict=opinion,
        diagnosis=diagnosis,
    )
    for result in row["results"]:  # all come out of one pass; only what was asked for is shown
        if not with_map:
            result["map"] = None
            result.update({} if settings.bands or settings.bins else {"per_band": None, "bands": None, "edges": None})
            result.update({} if settings.times else {"per_time": None, "times": None})
    return row


def _unanswered(
    reference: str, test: str, specs: Sequence[str], required: Sequence[gates.Gate], problem: Exception
) -> Row:
    results = {spec: failed(str(problem), 0, metrics.scale(spec)) for spec in specs}
    verdicts = gates.unanswered(required, str(problem))
    return pair_row(audio.data_name(reference), audio.data_name(test), results, [gates.row(v) for v in verdicts])


def _ranked(pairs: list[Row]) -> list[Row]:
    """Best first, by the first metric; those without a value come last, in the order given."""

    def key(pair: Mapping[str, Any]) -> tuple[bool, float]:
        first = pair["results"][0]
        value = first["value"]
        return value != value, -value if first["better"] == "higher" else value

    return sorted(pairs, key=lambda p: (True, 0.0) if key(p)[0] else key(p))


def _report_opinion(diagnosis: Diagnosis | None, opinion: Verdict | None, of: str) -> None:
    if diagnosis and opinion:
        for sentence in (opinion.sentence, *listed((f.sentence, f.minor) for f in diagnosis.findings)):
            say(f"{of}: {sentence}" if of else sentence)


def _report_gates(verdicts: Sequence[gates.Verdict], of: str, quiet: bool) -> None:
    where = f"{of}: " if of else ""
    for v in verdicts:
        if v.gate.spec == VERDICT:
            if not v.passed or not quiet:
                say(f"{where}gate {'held' if v.passed else 'failed'}: {v.gate.text}: {v.reason}")
            continue
        unit = metrics.scale(v.gate.spec).unit
        unit = "" if unit == "1" or v.gate.familiar else f" {unit}"
        if v.value != v.value:
            say(f"{where}gate failed: {v.gate.text}: {v.reason}")
        elif not v.passed:
            channel = f" {v.reason}" if (v.gate.channel or v.gate.familiar) and v.reason else ""
            say(f"{where}gate failed: {v.gate.text}: {v.value:.6g}{unit}{channel}, missed by {v.missed_by:.6g}{unit}")
        elif not quiet:
            say(f"{where}gate held: {v.gate.text}: {v.value:.6g}{unit}")


def say(sentence: str) -> None:
    """A note or problem, on stderr."""
    print("audiosim:", " ".join(sentence.split()), file=sys.stderr, flush=True)
