"""`audiosim batch`: find the pairs, compute what the journal lacks, write the outputs, return the exit code."""

from __future__ import annotations

import os
import sys
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import chain, groupby
from math import ceil
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from .. import audio, metrics
from ..batch import pairing
from ..batch.journal import Journal, header, load, read, slot
from ..config import Settings
from ..errors import ExitCode, UsageError, worst
from ..judge import gates
from ..judge.rows import VERDICT, Held, Row, number, things
from ..match import Policy, check
from . import formats, next as following, outcome
from .compare import panel, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..batch.workers import Job, Pool, Terms
    from ..judge.summary import Summary

LINE_SECONDS = 10.0  # between two lines of progress where stderr is no terminal
ASKED_SECONDS = 1.0  # the same, with --progress
FIRST = 10  # pairs from which on it is said how long the rest takes


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options that only this command has, as they were typed."""

    paths: Sequence[str]
    no_reference: Sequence[str]
    manifest: str | None
    rule: str
    include: Sequence[str]
    exclude: Sequence[str]
    stems: bool
    dry_run: bool
    allow_missing: bool
    output: str | None
    resume: bool
    diagnose: bool
    source: str | None
    merge: bool
    shard: str | None
    dask: str | None
    metric_files: Sequence[str]
    remote_metric_files: bool
    wishes: outcome.Wishes


def _pace(rate: float, things: str) -> str:
    """Three digits, and never a power of ten."""
    return f"{rate:.0f} {things}/s" if rate >= 100 else f"{rate:.3g} {things}/s"


def run(request: Request, settings: Settings) -> ExitCode:
    """Compare all pairs, or read a journal, and write the outputs that were asked for."""
    begun = datetime.now(UTC)
    if request.merge:
        return _merge(request, settings)
    outcome.check(request.wishes)
    if request.source is None and not request.dry_run:
        outcome.chosen(settings)
    if request.source is not None:
        return _from_journal(request, settings, begun)
    found = _pairs(request)
    if request.shard:
        found.pairs[:] = pairing.shard(found.pairs, *_shard(request.shard))
    if request.dry_run:
        return _print_pairs(found, request, settings)
    for line in [*found.unpaired, *(() if settings.quiet else found.notes)]:
        say(line)
    if found.pairs and not request.dask and not (request.output and Path(request.output).exists()):
        from ..batch.workers import prepared

        prepared()
    missing = [ExitCode.INPUT] if _is_short(found, request) else []
    if request.metric_files and request.dask and not request.remote_metric_files:
        raise UsageError(
            "--metric-file is code, which Dask's workers do not run unless --remote-metric-files is given too"
        )
    terms = _terms(request, settings)
    for pair in found.pairs:
        terms.specs_of(pair)  # report a wrong spec or gate of a manifest before the work
    path = request.output if request.output is not None else temporary()
    with Journal(path, terms.settings, resume=request.resume) as journal:
        if journal.repaired:
            say(journal.repaired)
        try:
            ended = _compare(found.pairs, terms, journal, request, settings, begun)
        except (KeyboardInterrupt, OSError) as stopped:
            _say_how_to_go_on(journal, request, found.pairs)
            if isinstance(stopped, KeyboardInterrupt):
                return ExitCode.INTERRUPTED
            raise
        form = outcome.chosen(settings)
        outcome.write(ended, request.wishes, settings, form, None)
        outcome.tell(ended, settings)
    following.say(following.after_batch(ended.summary, request.output, request.wishes.report), settings)
    if request.output is None:
        Path(path).unlink()
    return worst([*missing, *ended.codes])


def _compare(
    pairs: Sequence[pairing.Pair],
    terms: Terms,
    journal: Journal,
    request: Request,
    settings: Settings,
    begun: datetime,
) -> outcome.Outcome:
    """Compute what the journal does not hold yet, and judge all of it."""
    from ..batch import workers
    from ..engine.threads import cores

    jobs = workers.outstanding(pairs, terms, journal)
    named = things(p.reference for p in pairs)
    if len(jobs) < len(pairs) and not settings.quiet:
        say(f"{len(pairs) - len(jobs)} of {len(pairs)} {named} are in {journal.name} already")

    names = audio.data_name
    beside = {(names(p.reference), names(p.test), p.start, p.duration): p.others for p in pairs if p.others}

    def judged(held: Held) -> outcome.Outcome:
        ended = outcome.judge(lambda: iter(held), terms.settings, terms.gates_over_all, request.wishes, begun)
        return replace(ended, beside=beside)

    with closing(_pool(terms, request, settings)) as pool:
        if jobs:
            with _Watch(len(jobs), settings, settings.jobs or cores(), named) as watch:
                for rows in workers.run(jobs, terms, journal, pool):
                    watch.done(rows)
        held = Held(workers.rows(pairs, terms, journal))
        ended = judged(held)
        if places := _unplaced(ended.summary, pairs, terms, journal):
            done = chain.from_iterable(workers.run(places, terms, journal, pool))
            seconds = {slot(row): row["worst_s"] for row in done}
            ended = judged(Held({**row, "worst_s": seconds.get(slot(row), row["worst_s"])} for row in held))
    return ended


def _unplaced(summary: Summary, pairs: Sequence[pairing.Pair], terms: Terms, journal: Journal) -> list[Job]:
    """Jobs to find the second at which the worst pairs of each metric are worst."""
    from ..batch.workers import Job

    wanted: dict[tuple[str, str, str | None], list[str]] = {}
    for score in summary.scores:
        for place in score.worst:
            wanted.setdefault((place.id, place.test, score.system), []).append(score.spec)
    jobs = []
    for pair in pairs:
        specs = wanted.get((pair.id, audio.data_name(pair.test), pair.system), [])
        entries = {place[-1]: journal.entries.get(place) for place in terms.slots(pair)}
        open_ones = [s for s in specs if (e := entries.get(s)) is not None and e.answered and not e.placed]
        if open_ones:
            jobs.append(Job(pair, tuple(open_ones), where=True))
    return jobs


def _is_short(found: pairing.Pairing, request: Request) -> bool:
    """Whether to end with an error because recordings have no partner."""
    return bool(found.unpaired) and not request.allow_missing and request.manifest is None


def _pairs(request: Request) -> pairing.Pairing:
    if request.no_reference:
        if request.paths or request.manifest is not None or request.stems:
            raise UsageError(
                "--no-reference takes the place of folders and --manifest, and knows no --stems; for several folders"
                " repeat it"
            )
        return pairing.alone(request.no_reference, request.include, request.exclude)
    if request.manifest is not None:
        if request.paths:
            raise UsageError("give --manifest or folders, not both")
        source = None
        if request.manifest == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise UsageError("--manifest - reads a table from standard input, but nothing is piped in")
            source = sys.stdin
        if request.stems:
            raise UsageError("--stems is for folders; in a manifest the column mixture says what belongs together")
        return pairing.manifest(request.manifest, source)
    if len(request.paths) < 2:
        raise UsageError(
            "batch needs a folder of references and one or more folders of tests, or --manifest FILE; "
            "--no-reference FOLDER is for metrics that judge the test alone"
        )
    reference, *tests = request.paths
    return pairing.folders(reference, tests, request.rule, request.include, request.exclude, request.stems)


def _shard(text: str) -> tuple[int, int]:
    """(part from 1, of how many)."""
    if text == "auto":
        for index, count, first in (
            ("SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", os.environ.get("SLURM_ARRAY_TASK_MIN", "0")),
            ("SLURM_PROCID", "SLURM_NTASKS", "0"),
        ):
            if index in os.environ and count in os.environ:
                text = f"{int(os.environ[index]) - int(first) + 1}/{os.environ[count]}"
                break
        else:
            raise UsageError("--shard auto reads the variables of a Slurm job array, but none are set; give I/N")
    part, _, count = text.partition("/")
    if not (part.isdecimal() and count.isdecimal() and 1 <= int(part) <= int(count)):
        raise UsageError(f"--shard is I/N with I from 1 to N, such as 1/4, or auto, not {text!r}")
    return int(part), int(count)


def _terms(request: Request, settings: Settings) -> Terms:
    from ..batch.workers import Terms

    specs = panel(settings)
    for spec in specs:
        metrics.parse(spec)
    if request.no_reference:
        _check_alone([*specs, *(gates.parse(text, batch=True).spec for text in settings.require)], request)
    policy = Policy(**settings.policy())
    check(policy)
    return Terms(
        specs=tuple(dict.fromkeys(specs)),
        policy=policy,
        require=settings.require,
        bands=settings.bands,
        bins=settings.bins,
        times=settings.times,
        backend=settings.backend,
        diagnose=request.diagnose,
        metric_files=tuple(str(Path(f).expanduser().absolute()) for f in request.metric_files),
    )


def _check_alone(specs: Sequence[str], request: Request) -> None:
    """UsageError for what needs a reference."""
    if request.diagnose:
        raise UsageError("--diagnose says what happened on the way from a reference; leave out --no-reference")
    for spec in specs:
        known = spec != VERDICT and metrics.parse(spec)
        if not (known and metrics.get(known.name).card.non_intrusive) or known.options.get("drop"):
            able = [name for name in metrics.names() if metrics.get(name).card.non_intrusive]
            raise UsageError(f"{spec} needs a reference; with --no-reference ask for -m {', -m '.join(able)}")


def _pool(terms: Terms, request: Request, settings: Settings) -> Pool:
    def note(sentence: str) -> None:
        if not settings.quiet:
            say(sentence)

    if request.dask is not None:
        from ..batch.dask_pool import Dask

        return Dask(terms, request.dask, note)
    from ..batch.workers import Processes
    from ..engine.threads import cores

    return Processes(terms, settings.jobs or cores(), note)


class Pace:
    """How fast so many workers do their pairs. A worker's first pair does not count once there are others: its start
    and its kernels are in it."""

    def __init__(self, workers: int, begun: float) -> None:
        self._last = deque([begun] * workers, workers)  # when the last pairs were done, one a worker
        self._sum, self._pairs, self._done = 0.0, 0, 0

    def done(self, now: float) -> None:
        """A pair is done."""
        if self._done == len(self._last):  # the first of each
            self._sum, self._pairs = 0.0, 0
        self._done += 1
        self._sum += now - self._last[0]
        self._pairs += 1
        self._last.append(now)

    @property
    def rate(self) -> float:
        """Pairs per second."""
        return len(self._last) * self._pairs / max(self._sum, 1e-9)


class _Watch:
    """Progress on stderr: a bar on a terminal, lines elsewhere, nothing with --quiet unless --progress asks for it."""

    def __init__(self, total: int, settings: Settings, workers: int = 1, things: str = "pairs") -> None:
        self.total, self.settings, self.things = total, settings, things
        self.shown = not settings.quiet if settings.progress is None else settings.progress
        self.count = self.failed = 0
        self.worst: tuple[float, str] | None = None
        self.begun = self.said = monotonic()
        self.pace = Pace(min(workers, total), self.begun)
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def __enter__(self) -> _Watch:
        if self.shown and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            self.bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.description}"),
                console=Console(stderr=True, markup=False, highlight=False, emoji=False),
                transient=True,
            )
            self.bar.start()
            self.task = self.bar.add_task("", total=self.total)
        return self

    def __exit__(self, *_: object) -> None:
        if self.bar is not None:
            self.bar.stop()
        if self.count and not self.settings.quiet:
            seconds = monotonic() - self.begun
            say(
                f"{'compared' if self.things == 'pairs' else 'judged'} {self.count} {self.things} in {seconds:.1f} s, "
                + _pace(self.count / max(seconds, 1e-9), self.things)
                + (f", {self.failed} failed" if self.failed else "")
            )

    def done(self, rows: Sequence[Row]) -> None:
        self.count += 1
        self.failed += any(row["fault"] for row in rows)
        if rows:
            value = number(rows[0])
            bad = value if rows[0]["better"] == "lower" else -value
            if value == value and (self.worst is None or bad > self.worst[0]):
                unit = "" if rows[0]["unit"] == "1" else f" {rows[0]['unit']}"
                self.worst = bad, f"worst {rows[0]['spec']} {value:.4g}{unit} ({audio.display_name(rows[0]['id'])})"
        now = monotonic()
        self.pace.done(now)
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, advance=1, description=self._state())
        elif self.shown and self.count < self.total:
            asked = bool(self.settings.progress)
            if now - self.said > (ASKED_SECONDS if asked else LINE_SECONDS) or (asked and self.count == FIRST):
                self.said = now
                say(f"{self.count} of {self.total} {self.things}, {self._state()}")

    def _state(self) -> str:
        """Pairs per second and time left, as soon as they are known, the worst pair, and how many failed."""
        known = self.count >= min(FIRST, self.total)
        left = timedelta(seconds=ceil((self.total - self.count) / self.pace.rate))
        pace = f"{_pace(self.pace.rate, self.things)}, {left} left" if known else ""
        failed = f"{self.failed} failed" if self.failed else ""
        return ", ".join(filter(None, (pace, self.worst[1] if self.worst else "", failed)))


def temporary() -> str:
    """An empty file that is kept where work is interrupted."""
    handle, path = tempfile.mkstemp(prefix="audiosim-", suffix=".jsonl")
    os.close(handle)
    return path


def _say_how_to_go_on(journal: Journal, request: Request, pairs: Sequence[pairing.Pair]) -> None:
    answered = sum(e.answered for e in journal.entries.values())
    how = "the same command resumes there" if request.output else f"resume with -o {journal.name}"
    say(f"stopped; {answered} rows on {len(pairs)} {things(p.reference for p in pairs)} are in {journal.name}: {how}")


def _print_pairs(found: pairing.Pairing, request: Request, settings: Settings) -> ExitCode:
    """Print the pairs that would be compared."""
    left_out = {name for name in ("system", "reference") if not any(getattr(p, name) for p in found.pairs)}
    columns = ("id", "system", "reference", "test")
    rows = [{c: getattr(pair, c) for c in columns} for pair in found.pairs]
    form = formats.chosen(settings.format, None, sys.stdout.isatty(), formats.TABLES)
    if form == "table":
        from .table import console, rows_table

        shown = [{k: "" if v is None else audio.display_name(v) for k, v in row.items()} for row in rows]
        rows_table(shown, tuple(c for c in columns if c not in left_out), console())
    else:
        sys.stdout.write(formats.rows_text(rows, form))
    for line in [*found.unpaired, *(() if settings.quiet else found.notes)]:
        say(line)
    following.say(following.after_dry_run(len(found.pairs), things(p.reference for p in found.pairs)), settings)
    return ExitCode.INPUT if _is_short(found, request) else ExitCode.OK


def _from_journal(request: Request, settings: Settings, begun: datetime) -> ExitCode:
    """Export what a journal holds; nothing is computed."""
    from ..batch.workers import judged

    if request.paths or request.manifest is not None:
        raise UsageError("--from reads a journal instead of folders or a manifest; leave those out")
    source = str(request.source)
    required = [gates.parse(text, batch=True) for text in settings.require]

    made_with, held = load(source)

    def rows() -> Iterator[Row]:
        if not required:
            return iter(held)
        pairs = groupby(held, key=lambda row: slot(row)[:-1])
        return chain.from_iterable(judged(rows, required) for _, rows in pairs)

    over_all = [gate for gate in required if gate.pooled is not None]
    ended = outcome.judge(rows, made_with, over_all, request.wishes, begun)
    output = None if request.output == "-" else request.output
    form = outcome.chosen(settings, output)
    outcome.write(ended, request.wishes, settings, form, output)
    outcome.tell(ended, settings)
    following.say(following.after_batch(ended.summary, source, request.wishes.report), settings)
    return worst(list(ended.codes))


def _merge(request: Request, settings: Settings) -> ExitCode:
    """Merge the last rows of several journals; a value replaces a failure."""
    if len(request.paths) < 1 or request.output is None:
        raise UsageError(
            "--merge needs the journals to read and one to write: audiosim batch --merge a.jsonl b.jsonl -o c.jsonl"
        )
    made = {path: header(path) for path in request.paths}
    first = made[request.paths[0]]
    for path, under in made.items():
        if under != first:
            raise UsageError(f"{audio.display_name(path)} and {request.paths[0]} were made with different settings")
    count = 0
    with Journal(request.output, first) as journal:
        for path in request.paths:
            better = []
            for row in read(path):
                known = journal.entries.get(slot(row))
                if known is None or (row["status"] != "error" and (not known.answered or known.key != row["key"])):
                    if known is None:
                        journal.write(row)
                    else:
                        better.append(row)
                    count += 1
            journal.replace(better)
    if not settings.quiet:
        say(f"{count} rows of {len(request.paths)} journals are in {audio.display_name(request.output)}")
    following.say(following.after_merge(request.output), settings)
    return ExitCode.OK
