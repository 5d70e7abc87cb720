"""Tables that fit the screen: no word in them is broken."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

GAPS = (3, 2)  # between columns: where there is room, and where there is not


def plain_table(gap: int = GAPS[0]) -> Table:
    """A table without lines."""
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, gap, 0, 0), header_style="dim")


def put(table: Table, out: Console, keep: int = 0) -> None:
    """Print a table: as it is, else with cells of several lines, else in parts or row by row.

    keep: how many columns stand at the left of every part; 0: there are no parts.
    """
    most, least = natural(table), _least(table)
    gap = next((gap for gap in GAPS if sum(most) + gap * (len(most) - 1) <= out.width), GAPS[-1])
    parts = _parts(least, out.width, gap, keep)
    if not parts:
        _print_rows(table, out)
    for i, part in enumerate(parts):
        if i:
            out.print()
        widths = _widths([least[k] for k in part], [most[k] for k in part], out.width - gap * (len(part) - 1))
        fitted = plain_table(gap)
        for k, width in zip(part, widths, strict=True):
            column = table.columns[k]
            fitted.add_column(column.header, justify=column.justify, width=width)
        for row in zip(*(table.columns[k].cells for k in part), strict=True):
            fitted.add_row(*row)
        out.print(fitted)


def print_point(text: str, out: Console) -> None:
    """A point of a list, whose further lines stand below its first word."""
    from rich.text import Text

    for i, line in enumerate(Text(text).wrap(out, max(out.width - 2, 10))):
        out.print(Text("  " if i else "- ") + line)


def natural(table: Table) -> list[int]:
    """The width that each column would like to have."""
    return [max(text.cell_len for text in _texts(column)) for column in table.columns]


def natural_fits(table: Table, width: int) -> bool:
    """Whether the table fits without a cell of several lines."""
    return sum(natural(table)) + GAPS[0] * (len(table.columns) - 1) <= width


def fits(table: Table, width: int) -> bool:
    """Whether all columns fit beside one another, with cells of several lines where that helps."""
    return sum(_least(table)) + GAPS[-1] * (len(table.columns) - 1) <= width


def without_common_start(names: Sequence[str]) -> tuple[str, list[str]]:
    """What all names begin with, up to a separator, and the names without it."""
    first, last = min(names), max(names)  # what these two share, all between them share
    most = min(len(first), len(last)) - 1  # something of each name is left
    same = next((i for i in range(most) if first[i] != last[i]), most) if len(names) > 1 else 0
    start = first[: 1 + max(first.rfind(mark, 0, same) for mark in "/\\_- .")]
    return start, [name[len(start) :] for name in names]


def _least(table: Table) -> list[int]:
    """The width that each column needs, so that no word is broken."""
    words = [_longest_word(_texts(column)) for column in table.columns]
    return [m if c.no_wrap else w for m, w, c in zip(natural(table), words, table.columns, strict=True)]


def _texts(column: Any) -> list[Any]:
    """The heading and the cells."""
    from rich.text import Text

    return [cell if isinstance(cell, Text) else Text(str(cell)) for cell in (column.header, *column.cells)]


def _longest_word(texts: Sequence[Any]) -> int:
    from rich.cells import cell_len

    return max((cell_len(word) for text in texts for word in text.plain.split()), default=0)


def _parts(least: Sequence[int], width: int, gap: int, keep: int) -> list[list[int]]:
    """The columns of each table that fits the width; none where there is no way."""
    if sum(least) + gap * (len(least) - 1) <= width:
        return [list(range(len(least)))]
    left = width - sum(least[:keep]) - gap * keep
    if not keep or left < max(least[keep:], default=0):
        return []
    parts: list[list[int]] = []
    room = -1
    for k in range(keep, len(least)):
        if room < least[k]:
            parts.append(list(range(keep)))
            room = left
        parts[-1].append(k)
        room -= least[k] + gap
    return parts


def _widths(least: Sequence[int], most: Sequence[int], width: int) -> list[int]:
    """At least the least of each column, at most the most; those that want little more are served first."""
    widths = list(least)
    spare = width - sum(least)
    order = sorted(range(len(least)), key=lambda k: most[k] - least[k])
    for done, k in enumerate(order):
        more = min(most[k] - least[k], spare // (len(order) - done))
        widths[k] += more
        spare -= more
    return widths


def _print_rows(table: Table, out: Console) -> None:
    """Row by row, each cell in a line of its own behind the column's name."""
    from rich.text import Text

    headings, *rows = zip(*(_texts(column) for column in table.columns), strict=True)
    margin = max(heading.cell_len for heading in headings) + GAPS[-1]
    for i, row in enumerate(rows):
        if i:
            out.print()
        for heading, cell, column in zip(headings, row, table.columns, strict=True):
            name = Text.assemble((f"{heading.plain:<{margin}}", "dim"))
            if margin + (cell.cell_len if column.no_wrap else _longest_word([cell])) > out.width:
                out.print(name)
                out.print(cell, overflow="fold")
            elif cell:
                for k, line in enumerate(cell.wrap(out, out.width - margin)):
                    out.print((name if k == 0 else Text(" " * margin)) + line)
