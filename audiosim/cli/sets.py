"""`audiosim sets`: folders of recordings against a folder of references, as a table or as data."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from time import monotonic
from typing import Any

from .. import __version__
from ..audio import display_name
from ..config import Settings
from ..errors import ExitCode, UsageError
from ..judge.rows import SCHEMA, to_json, to_jsonl
from ..sets.compared import Compared, Sets, compare_sets
from ..sets.distances import Estimate
from . import formats
from .compare import announce_compilation, progress_line, put, say

LINE_SECONDS = 10.0  # between lines on progress where there is no terminal
OUTLIERS = 3  # recordings of a set that the table names
WORTH = 0.02  # of the distance, that they must be responsible for
NOTHING = 1e-9  # what is smaller is rounding
HEADINGS = (
    "set",
    "recordings",
    "Fréchet",
    "95 %",
    "infinite",
    "KAD",
    "density",
    "coverage",
    "precision",
    "recall",
    "KL",
)


def run(
    folders: Sequence[str],
    settings: Settings,
    *,
    include: Sequence[str],
    exclude: Sequence[str],
    nearest: int,
    draws: int,
    keep: bool,
    output: str | None,
    embedding: str | None = None,
) -> ExitCode:
    """Compare, and print the sets, the nearest first."""
    if len(folders) < 2:
        raise UsageError("sets needs a folder of references and one or more folders of tests")
    form = formats.chosen(settings.format, output, sys.stdout.isatty(), formats.TABLES)
    if output not in (None, "-"):
        formats.check_output(str(output))
    announce_compilation(settings.quiet)
    watch = _Watch(settings)
    try:
        found = compare_sets(
            folders[0],
            folders[1],
            *folders[2:],
            embedding=embedding,
            nearest=nearest,
            draws=draws,
            keep=keep,
            include=include,
            exclude=exclude,
            damaged=settings.damaged,
            raw=settings.raw,
            jobs=settings.jobs,
            progress=watch,
        )
    except KeyboardInterrupt:
        watch.end()
        say(f"stopped after {watch.done} recordings" + (": the same command goes on from there" if keep else ""))
        return ExitCode.INTERRUPTED
    finally:
        watch.end()
    put(_text(found, form), output)
    for line in found.unread:
        say(line)
    if not settings.quiet:
        for line in [*found.notes, *(f"{display_name(one.name)}: {note}" for one in found.sets for note in one.notes)]:
            say(line)
    return ExitCode.INPUT if found.unread else ExitCode.OK


class _Watch:
    """How many recordings are done, on stderr: one line of a terminal, or a line now and then."""

    def __init__(self, settings: Settings) -> None:
        self.done = 0
        self._shown = not settings.quiet if settings.progress is None else settings.progress
        self._terminal = sys.stderr.isatty()
        self._said = monotonic()

    def __call__(self, done: int, of: int) -> None:
        self.done = done
        if self._shown and self._terminal:
            progress_line(f"{done} of {of} recordings" if done < of else "comparing the sets")
        elif self._shown and monotonic() - self._said > LINE_SECONDS:
            self._said = monotonic()
            say(f"{done} of {of} recordings")

    def end(self) -> None:
        if self._shown and self._terminal:
            progress_line("")


def _text(found: Sets, form: str) -> str:
    rows = [one.row() for one in found.sets]
    about = {"reference": found.reference, "recordings": found.recordings, "points": found.points}
    if form in ("json", "jsonl"):
        whole = [{**row, "influence": dict(one.influence)} for row, one in zip(rows, found.sets, strict=True)]
        if form == "jsonl":
            return to_jsonl(whole)
        head = {"schema": SCHEMA, "audiosim": __version__, "embedding": found.embedding, "reference": about}
        return to_json({**head, "sets": whole, "unread": list(found.unread), "notes": list(found.notes)})
    if form == "table":
        return _table(found)
    cells: list[dict[str, Any]] = [{**row, "notes": "; ".join(row["notes"])} for row in rows]
    blank = [{k: None if v != v else v for k, v in row.items()} for row in cells]
    return formats.rows_text(blank, form)


def _table(found: Sets) -> str:
    import io

    from rich.text import Text

    from . import layout
    from .table import console

    out = console(page := io.StringIO())
    about = f"{found.reference}: {found.recordings} recordings, {found.points} points"
    out.print(Text(f"held against {about} ({found.embedding})", style="dim"))
    table = layout.plain_table()
    for k, head in enumerate(HEADINGS):
        table.add_column(head, justify="left" if k == 0 else "right", no_wrap=k > 0)
    for one in found.sets:
        table.add_row(*map(Text, _cells(one)))
    layout.put(table, out, keep=1)
    for one in found.sets:
        least = max(WORTH * one.distances.frechet.value, NOTHING)
        far = [(name, by) for name, by in list(one.influence.items())[:OUTLIERS] if by > least]
        if far:
            named = ", ".join(f"{display_name(name)} (-{_number(by)})" for name, by in far)
            layout.print_point(f"{display_name(one.name)} would be nearer without {named}", out)
    return page.getvalue()


def _cells(one: Compared) -> list[str]:
    d = one.distances
    numbers = (d.frechet_infinite, d.kernel.value, d.density.value, d.coverage.value, d.precision.value, d.recall.value)
    return [
        display_name(one.name),
        str(one.recordings),
        _number(d.frechet.value),
        _interval(d.frechet),
        *map(_number, numbers),
        _number(d.divergence),
    ]


def _interval(found: Estimate) -> str:
    return "" if found.low != found.low else f"{_number(found.low)} to {_number(found.high)}"


def _number(x: float) -> str:
    return "" if x != x else "0" if abs(x) < NOTHING else f"{x:.3g}" if abs(x) < 1000 else f"{x:.0f}"
