"""Where and when two recordings differ, drawn with characters: upwards is worse, whatever the metric's direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, floor, isfinite, isnan, log, log10
from typing import TYPE_CHECKING, Any, Literal

from ..audio import display_name
from ..results import number, shown_unit

if TYPE_CHECKING:
    from rich.console import Console

Row = Mapping[str, Any]
Axis = Literal["band", "time"]

BLOCKS = "▁▂▃▄▅▆▇█"
LINES = "._-=+*#"  # the same for terminals that know ASCII only
RAMP = " .:-=+*#%@"  # and as brightness
TALLEST = 8  # lines of a chart
SCREEN = 24  # lines, where a screen does not say how many it has
NARROW = 20  # columns: a chart of less goes to a line of its own
WIDEST = 120
LOWEST = 20.0  # Hz at which the axis begins


@dataclass(frozen=True, slots=True)
class Course:
    """One metric's values along frequency or time.

    values: one a band or frame; edges: of these, one more. best, worst: values at the bottom and at the top.
    """

    test: str
    name: str
    values: Sequence[float]
    edges: Sequence[float]
    better: str
    best: float
    worst: float

    def badness(self, value: float) -> float:
        """From 0 at the bottom to 1 at the top; nan where there is no value."""
        if isnan(value):
            return value
        if not isfinite(value):
            return 1.0 if (value > 0) == (self.better == "lower") else 0.0
        span = self.worst - self.best
        return min(max((value - self.best) / span, 0.0), 1.0) if span else 0.0

    @property
    def worst_at(self) -> tuple[float, int]:
        """The worst value, and which it is; nan and -1 where there is none."""
        known = [(value, i) for i, value in enumerate(self.values) if not isnan(value)]
        return (max if self.better == "lower" else min)(known, key=lambda k: k[0], default=(float("nan"), -1))


def print_courses(pairs: Sequence[Row], out: Console, used: int) -> None:
    """All profiles of these comparisons, in at most one screen: charts where there is room, else a line each.

    used: lines of the screen that are taken already.
    """
    kinds: dict[Axis, list[Course]] = {"band": courses(pairs, "band"), "time": courses(pairs, "time")}
    kinds = {axis: found for axis, found in kinds.items() if found}
    if not kinds:
        return
    screen = max(out.height, SCREEN) - 2  # the prompt, and a line to spare
    room = (screen - used) // sum(map(len, kinds.values()))
    tall = min(room - 3, TALLEST)  # without the title, the axis and the line between two charts
    for axis, found in kinds.items():
        if tall >= 2:
            for course in found:
                _print_chart(course, axis, tall, out)
        else:
            _print_lines(found, axis, screen // len(kinds), out)


def courses(pairs: Sequence[Row], axis: Axis) -> list[Course]:
    """The profiles by metric, so that the tests stand below one another, with one scale for all tests of a metric."""
    from .. import metrics

    found = []
    for i, first in enumerate(pairs[0]["results"]):
        rows = [(pair, pair["results"][i]) for pair in pairs]
        key = f"per_{axis}"
        rows = [(pair, row) for pair, row in rows if row[key] is not None and len(row[key])]
        if not rows:
            continue
        card = metrics.get(first["metric"]).card
        share = card.profile == "share"
        unit = card.profile_unit or ("share" if share else shown_unit(first))
        better = "lower" if share else first["better"]
        known = [value for _, row in rows for value in row[key] if isfinite(value)]
        base = 0.0 if share else None if card.profile_unit else card.identical
        ends = [*known, base] if base is not None and isfinite(base) else known
        low, high = (min(ends), max(ends)) if ends else (0.0, 0.0)
        best, worst = (low, high) if better == "lower" else (high, low)
        for pair, row in rows:
            test = display_name(pair["test"]) if len(pairs) > 1 else ""
            name = row["spec"] + (f" [{unit}]" if unit else "")
            edges = _edges(row, pair) if axis == "band" else _bounds(row, pair)
            found.append(Course(test, name, row[key], edges, better, best, worst))
    return found


def shades(course: Course, cells: Sequence[float]) -> list[float]:
    """The badness in each cell, of which the edges are given: the worst value that lies in it."""
    found = []
    k = 0
    for low, high in pairwise(cells):
        while k < len(course.values) and course.edges[k + 1] <= low:
            k += 1
        worst, j = float("nan"), k
        while j < len(course.values) and course.edges[j] < high:
            value = course.badness(course.values[j])
            if not isnan(value) and not worst >= value:
                worst = value
            j += 1
        found.append(worst)
    return found


def sparkline(badness: Sequence[float], ascii_only: bool) -> str:
    """One line, a mark a value from 0 to 1; blank where there is none."""
    return columns(badness, 1, ascii_only)[0]


def columns(badness: Sequence[float], height: int, ascii_only: bool) -> list[str]:
    """Columns from 0 to 1 on so many lines, the topmost first; blank where there is no value."""
    marks = LINES if ascii_only else BLOCKS
    steps = len(marks)

    def mark(value: float, line: int) -> str:
        if isnan(value):
            return " "
        level = min(int(value * steps * height), steps * height - 1) - line * steps
        return " " if level < 0 else marks[min(level, steps - 1)]

    return ["".join(mark(value, line) for value in badness) for line in reversed(range(height))]


def hertz(frequency: float) -> str:
    """As people say it: 250 Hz, 2.1 kHz."""
    if frequency >= 999.5:
        return f"{float(f'{frequency / 1000:.2g}'):g} kHz"
    return f"{frequency:.0f} Hz"


def frequency_cells(low: float, high: float, width: int) -> list[float]:
    """Edges of so many cells on a logarithmic axis, Hz."""
    low = max(low, LOWEST)
    high = max(high, 2 * low)
    return [low * (high / low) ** (i / width) for i in range(width + 1)]


def frequency_ticks(low: float, high: float, width: int) -> str:
    """The axis below them: each | stands at its frequency."""
    low = max(low, LOWEST)
    high = max(high, 2 * low)
    steps = [m * 10.0**k for k in range(1, 6) for m in (1, 2, 5)]
    places = {f: log(f / low) / log(high / low) for f in steps if low <= f < high}
    powers = sorted(places, key=lambda f: (log10(f) % 1 > 1e-9, f))  # of ten, which come first
    return _ticks([(places[f], hertz(f)) for f in powers], width)


def time_ticks(seconds: float, width: int) -> str:
    """The axis below so many seconds: each | stands at its time."""
    if not seconds > 0:
        return ""
    least = seconds * 10 / width  # a tick needs ten columns
    power = 10.0 ** floor(log10(least))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= least * 0.999)
    digits = max(0, -floor(log10(step) + 1e-9))
    return _ticks([(i * step / seconds, f"{i * step:.{digits}f} s") for i in range(ceil(seconds / step))], width)


def _ticks(places: Sequence[tuple[float, str]], width: int) -> str:
    """Labels at parts of the width; those that come first are put first, those that find no room are left out."""
    line = [" "] * width
    for at, label in places:
        text = f"|{label}"
        start = min(int(at * width), width - 1)
        around = line[max(start - 1, 0) : start + len(text) + 1]
        if start + len(text) <= width and set(around) <= {" "}:
            line[start : start + len(text)] = text
    return "".join(line).rstrip()


def _cells(found: Sequence[Course], axis: Axis, width: int) -> tuple[list[float], str]:
    """The edges of the cells of an axis that they share, and its ticks."""
    low, high = min(c.edges[0] for c in found), max(c.edges[-1] for c in found)
    if axis == "band":
        return frequency_cells(low, high, width), frequency_ticks(low, high, width)
    return [high * i / width for i in range(width + 1)], time_ticks(high, width)


def _print_chart(course: Course, axis: Axis, height: int, out: Console) -> None:
    from rich.text import Text

    best, _, worst = _scale(course).split()
    margin = max(len(worst), len(best)) + 1
    width = max(min(out.width - margin - 1, WIDEST), 10)
    cells, ticks = _cells([course], axis, width)
    ascii_only = out.options.ascii_only
    of = f"{course.test}: " if course.test else ""
    out.print()
    title = Text(f"{of}{course.name} {'by band' if axis == 'band' else 'over time'}", style="bold")
    title.append(_worst_of(course, axis), style="not bold")
    title.append("; up is worse", style="not bold dim")
    for part in title.wrap(out, out.width):
        out.print(part)
    for i, line in enumerate(columns(shades(course, cells), height, ascii_only)):
        label = worst if i == 0 else best if i == height - 1 else ""
        out.print(Text.assemble((f"{label:>{margin - 1}} ", "dim"), line.rstrip()))
    out.print(Text(" " * margin + ticks, style="dim"))


def _print_lines(found: Sequence[Course], axis: Axis, lines: int, out: Console) -> None:
    """In so many lines: a line a course, all on one axis, with its name and scale; two lines where that is too wide."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    from .layout import GAPS, without_common_start

    gap = GAPS[-1]
    tests = [c.test for c in found]
    short = dict(zip(dict.fromkeys(tests), without_common_start(list(dict.fromkeys(tests)))[1], strict=True))
    names = [f"{c.name}  {short[c.test]}".rstrip() for c in found]
    ends = [_scale(course) for course in found]
    room = max(map(cell_len, names))
    left = room + gap + max(len(end) for end in ends) + gap
    beside = out.width - left >= NARROW
    width = min(out.width - (left if beside else 0) - 1, WIDEST)
    most = max((lines - 4) // (1 if beside else 2), 2)  # without the title, the axis, an empty line, and what is left
    cells, ticks = _cells(found, axis, width)
    out.print()
    out.print(Text.assemble((f"{'by band' if axis == 'band' else 'over time'}", "bold"), ("; up is worse", "dim")))
    for course, name, end in list(zip(found, names, ends, strict=True))[:most]:
        line = sparkline(shades(course, cells), out.options.ascii_only).rstrip()
        if beside:
            out.print(Text.assemble(set_cell_size(name, room + gap), (f"{end:<{left - room - gap}}", "dim"), line))
        else:
            for part in Text.assemble(name, "  ", (end, "dim")).wrap(out, out.width):
                out.print(part)
            out.print(Text(line))
    out.print(Text((" " * left if beside else "") + ticks, style="dim"))
    if len(found) > most:
        out.print(Text(f"... and {len(found) - most} more: --format json has all", style="dim"))


def _scale(course: Course) -> str:
    """The values at the bottom and at the top."""
    return f"{course.best:.3g} to {course.worst:.3g}"


def _worst_of(course: Course, axis: Axis) -> str:
    value, i = course.worst_at
    if i < 0:
        return ": no values"
    middle = (course.edges[i] + course.edges[i + 1]) / 2
    return f": worst {number(value)} at {hertz(middle) if axis == 'band' else f'{middle:.2f} s'}"


def _edges(row: Row, pair: Row) -> list[float]:
    """Of the bands, Hz; halfway between their centres where only these are known."""
    if row.get("edges") is not None and len(row["edges"]) == len(row["per_band"]) + 1:
        return list(row["edges"])
    return _between(row["bands"], 0.0, (pair["rate"] or 2 * row["bands"][-1]) / 2)


def _bounds(row: Row, pair: Row) -> list[float]:
    """Of the frames, s."""
    return _between(row["times"], 0.0, max(pair["duration_s"] or 0.0, row["times"][-1]))


def _between(centres: Sequence[float], first: float, last: float) -> list[float]:
    return [first, *((a + b) / 2 for a, b in pairwise(centres)), max(last, centres[-1] + 1e-9)]
