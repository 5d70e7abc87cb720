"""`audiosim batch`, a straight line: pairs, what is still to be done, rows into the journal, outputs, exit code."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from .. import audio, gates, metrics, pairing
from ..config import Settings
from ..errors import ExitCode, UsageError, worst
from ..journal import Journal
from ..match import Policy
from ..rows import Row, number, to_jsonl
from . import formats
from .compare import panel, say

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from ..batch import Pool, Terms

LINE_SECONDS = 10.0  # between two lines of progress where stderr is no terminal


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What only this command takes, as it was typed."""

    paths: Sequence[str]
    manifest: str | None
    rule: str
    include: Sequence[str]
    exclude: Sequence[str]
    dry_run: bool
    allow_missing: bool
    output: str | None
    resume: bool
    source: str | None
    merge: bool
    shard: str | None


def run(request: Request, settings: Settings) -> ExitCode:
    """Compare all pairs, or read a journal, and write what was asked for."""
    if request.source is not None or request.merge:
        return _from_journals(request, settings)
    found = _pairs(request)
    if request.shard:
        found.pairs[:] = pairing.shard(found.pairs, *_shard(request.shard))
    if request.dry_run:
        return _print_pairs(found, request, settings)
    for line in found.unpaired:
        say(line)
    missing = [ExitCode.INPUT] if found.unpaired and not request.allow_missing and request.manifest is None else []
    terms = _terms(settings)
    for pair in found.pairs:
        terms.specs_of(pair)  # a wrong spec or gate of a manifest is said before the work
    path = request.output or _temporary()
    with Journal(path, terms.settings, resume=request.resume) as journal:
        if journal.repaired:
            say(journal.repaired)
        try:
            codes = _work(found.pairs, terms, journal, settings)
        except (KeyboardInterrupt, OSError) as stopped:
            _say_how_to_go_on(journal, request, len(found.pairs))
            if isinstance(stopped, KeyboardInterrupt):
                return ExitCode.INTERRUPTED
            raise
        places = [slot for pair in found.pairs for slot in terms.slots(pair)]
        codes += _outputs(lambda: journal.rows(places), request, settings)
    if request.output is None:
        Path(path).unlink()
    return worst([*missing, *codes])


def _pairs(request: Request) -> pairing.Pairing:
    if request.manifest is not None:
        if request.paths:
            raise UsageError("give --manifest or folders, not both")
        source = None
        if request.manifest == "-":
            if sys.stdin is None or sys.stdin.isatty():
                raise UsageError("--manifest - reads a table from standard input, but nothing is piped in")
            source = sys.stdin
        return pairing.manifest(request.manifest, source)
    if len(request.paths) < 2:
        raise UsageError("batch needs a folder of references and one or more of tests, or --manifest FILE")
    reference, *tests = request.paths
    return pairing.folders(reference, tests, request.rule, request.include, request.exclude)


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
            raise UsageError("--shard auto reads the variables of a Slurm job array, and there are none; give I/N")
    part, _, count = text.partition("/")
    if not (part.isdecimal() and count.isdecimal() and 1 <= int(part) <= int(count)):
        raise UsageError(f"--shard is I/N with I from 1 to N, such as 1/4, or auto, not {text!r}")
    return int(part), int(count)


def _terms(settings: Settings) -> Terms:
    from ..batch import Terms

    specs = settings.metric or panel(settings.preset)
    for spec in specs:
        metrics.parse(spec)
    each = [text for text in settings.require if not getattr(gates.parse(text), "pooled", None)]
    return Terms(
        specs=tuple(dict.fromkeys(specs)),
        policy=Policy(**settings.policy()),
        require=tuple(each),
        bands=settings.bands,
        bins=settings.bins,
        times=settings.times,
        backend=settings.backend,
    )


def _work(pairs: Sequence[pairing.Pair], terms: Terms, journal: Journal, settings: Settings) -> list[ExitCode]:
    """Do what the journal does not answer yet; the exit codes of the rows made."""
    from .. import batch

    jobs = batch.outstanding(pairs, terms, journal)
    if len(jobs) < len(pairs) and not settings.quiet:
        say(f"{len(pairs) - len(jobs)} of {len(pairs)} pairs are in {journal.name} already")
    if jobs:
        with _Watch(len(jobs), settings) as watch:
            for rows in batch.run(jobs, terms, journal, _pool(len(jobs), terms, settings)):
                watch.done(rows)
    return []


def _pool(jobs: int, terms: Terms, settings: Settings) -> Pool:
    from ..batch import Processes

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    def note() -> None:
        if not settings.quiet:
            say("compiling kernels for their first use on this machine: up to a minute, only once")

    return Processes(terms, min(settings.jobs or cores, jobs), note)


class _Watch:
    """How far it is, on stderr: a bar on a terminal, lines elsewhere, nothing with --quiet."""

    def __init__(self, total: int, settings: Settings) -> None:
        self.total, self.settings = total, settings
        self.count = self.failed = 0
        self.worst: tuple[float, str] | None = None
        self.begun = self.said = monotonic()
        self.bar: Progress | None = None
        self.task: TaskID | None = None

    def __enter__(self) -> _Watch:
        if not self.settings.quiet and sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

            self.bar = Progress(
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
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
        if not self.settings.quiet:
            seconds = monotonic() - self.begun
            say(
                f"compared {self.count} pairs in {seconds:.1f} s, {self.count / max(seconds, 1e-9):.3g} pairs/s"
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
        if self.bar is not None and self.task is not None:
            self.bar.update(self.task, advance=1, description=self._state())
        elif not self.settings.quiet and now - self.said > LINE_SECONDS:
            self.said = now
            rate = self.count / (now - self.begun)
            left = (self.total - self.count) / rate
            say(f"{self.count} of {self.total} pairs, {rate:.3g} pairs/s, {left:.0f} s left, {self._state()}")

    def _state(self) -> str:
        failed = f"{self.failed} failed" if self.failed else ""
        return ", ".join(filter(None, (self.worst[1] if self.worst else "", failed)))


def _temporary() -> str:
    handle, path = tempfile.mkstemp(prefix="audiosim-", suffix=".jsonl")
    os.close(handle)
    return path


def _say_how_to_go_on(journal: Journal, request: Request, pairs: int) -> None:
    answered = sum(e.answered for e in journal.entries.values())
    how = "the same command goes on from there" if request.output else f"go on from there with -o {journal.name}"
    say(f"stopped; {answered} rows on {pairs} pairs are in {journal.name}: {how}")


def _print_pairs(found: pairing.Pairing, request: Request, settings: Settings) -> ExitCode:
    """What would be compared."""
    columns = ("id", "system", "reference", "test")
    rows = [{c: getattr(pair, c) for c in columns} for pair in found.pairs]
    form = formats.chosen(settings.format, None, sys.stdout.isatty())
    if form == "table":
        from .table import console, rows_table

        shown = [{k: "" if v is None else audio.display_name(v) for k, v in row.items()} for row in rows]
        systems = any(row["system"] for row in rows)
        rows_table(shown, columns if systems else tuple(c for c in columns if c != "system"), console())
    else:
        sys.stdout.write(formats.rows_text(rows, form))
    for line in found.unpaired:
        say(line)
    missing = found.unpaired and not request.allow_missing and request.manifest is None
    return ExitCode.INPUT if missing else ExitCode.OK


def _from_journals(request: Request, settings: Settings) -> ExitCode:
    """Write out, or put together, what journals hold; nothing is computed."""
    raise NotImplementedError


def _outputs(rows: Any, request: Request, settings: Settings) -> list[ExitCode]:
    """Everything that is made of the rows, and the exit codes."""
    from .. import batch

    codes = [code for row in rows() for code in batch.exit_codes(row)]
    form = formats.chosen(settings.format, None, sys.stdout.isatty())
    if form == "jsonl":
        for row in rows():
            sys.stdout.write(to_jsonl([row]))
    else:
        sys.stdout.write(
            formats.WRITERS["tsv"](list(rows()), ("id", "spec", "value", "unit", "status", "reason", "worst_s"))
        )
    return codes
