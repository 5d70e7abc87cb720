"""Tables, bars and sparklines for people. What programs read is in formats.py."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import inf, isfinite, isnan
from typing import TYPE_CHECKING, Any, TextIO

from ..audio import display_name

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

Row = Mapping[str, Any]
SPARKS = "▁▂▃▄▅▆▇█"
RAMP = " .:-=+*#%@"  # the same for terminals that know ASCII only
FILE_WIDTH = 160  # columns of a table that goes to a file


def console(file: TextIO | None = None) -> Console:
    """A console on stdout, or plain text for a file."""
    from rich.console import Console

    if file is None:
        return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    return Console(file=file, width=FILE_WIDTH, no_color=True, highlight=False, markup=False, emoji=False)


def print_results(pairs: Sequence[Row], out: Console) -> None:
    """One pair: a row a metric. Several: a ranking, a row a test, the best number of each column in bold."""
    from rich.text import Text

    if len(pairs) == 1:
        _print_header(pairs[0], out)
        out.print(_metric_table(pairs[0], out))
    else:
        out.print(Text(f"reference  {display_name(pairs[0]['reference'])}"))
        out.print(_ranking(pairs, out))
    for pair in pairs:
        of = f"{display_name(pair['test'])}: " if len(pairs) > 1 else ""
        reasons = {
            f"{of}{r['reason']}" if pair["rate"] is None else f"{of}{r['spec']}: {r['reason']}": None
            for r in pair["results"]
            if r["status"] != "ok"
        }
        for reason in reasons:
            out.print(Text(reason, style="yellow"))
        for result in pair["results"]:
            if result["per_band"] is not None:
                if len(pairs) > 1:
                    out.print(Text(display_name(pair["test"]), style="bold"))
                _print_bands(result, out)


def rows_table(rows: Sequence[Row], columns: Sequence[str], out: Console) -> None:
    """Rows of text as a borderless table."""
    from rich.text import Text

    table = _plain_table()
    for column in columns:
        table.add_column(column.replace("_", " "), overflow="fold")
    for row in rows:
        table.add_row(*(Text("" if row[c] is None else str(row[c])) for c in columns))
    out.print(table)


def number(value: float) -> str:
    """Five significant digits."""
    return f"{value:.5g}"


def sparkline(values: Sequence[float], width: int, ascii_only: bool) -> str:
    """The course of the values, low to high; blank where there is none."""
    cells = _means(values, width)
    finite = [c for c in cells if isfinite(c)]
    marks = RAMP if ascii_only else SPARKS
    low, high = (min(finite), max(finite)) if finite else (0.0, 0.0)
    span = high - low or 1.0

    def mark(value: float) -> str:
        if isnan(value):
            return " "
        share = 1.0 if value == inf else 0.0 if value == -inf else (value - low) / span
        return marks[min(int(share * len(marks)), len(marks) - 1)]

    return "".join(map(mark, cells))


def bar(value: float, low: float, high: float, width: int, ascii_only: bool) -> str:
    """A bar from low to the value, full at high."""
    if not isfinite(value) or high <= low:
        return ""
    return ("#" if ascii_only else "█") * round((value - low) / (high - low) * width)


def hertz(frequency: float) -> str:
    """As people say it: 250 Hz, 2.1 kHz."""
    if frequency >= 999.5:
        return f"{float(f'{frequency / 1000:.2g}'):g} kHz"
    return f"{frequency:.0f} Hz"


def _print_header(pair: Row, out: Console) -> None:
    from rich.text import Text

    out.print(Text(f"reference  {display_name(pair['reference'])}"))
    out.print(Text(f"test       {display_name(pair['test'])}"))
    if pair["rate"] is not None:
        count = pair["channels"]
        channels = "mono" if count == 1 else "stereo" if count == 2 else f"{count} channels"
        out.print(Text(f"compared   {pair['duration_s']:.3f} s at {pair['rate']} Hz, {channels}"))


def _metric_table(pair: Row, out: Console) -> Table:
    from rich.text import Text

    over_time = any(r["per_time"] is not None for r in pair["results"])
    table = _plain_table()
    table.add_column("metric", overflow="fold")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("better")
    if over_time:
        table.add_column("over time")
    for result in pair["results"]:
        cells = [Text(result["spec"]), _value(result), Text(_unit(result)), Text(result["better"])]
        if over_time:
            per_time = result["per_time"]
            cells.append(Text(sparkline(per_time, 40, out.options.ascii_only) if per_time is not None else ""))
        table.add_row(*cells)
    return table


def _ranking(pairs: Sequence[Row], out: Console) -> Table:
    from rich.text import Text

    del out
    table = _plain_table()
    table.add_column("rank", justify="right")
    table.add_column("test", overflow="fold")
    columns = pairs[0]["results"]
    for result in columns:
        unit = _unit(result)
        table.add_column(result["spec"] + (f" [{unit}]" if unit else ""), justify="right", overflow="fold")
    best = []
    for i, column in enumerate(columns):
        values = [p["results"][i]["value"] for p in pairs if not isnan(p["results"][i]["value"])]
        best.append((max if column["better"] == "higher" else min)(values, default=None))
    for rank, pair in enumerate(pairs, 1):
        cells = [_value(r, r["value"] == best[i]) for i, r in enumerate(pair["results"])]
        table.add_row(str(rank), Text(display_name(pair["test"])), *cells)
    return table


def _print_bands(result: Row, out: Console) -> None:
    from rich.text import Text

    from .. import metrics

    values = result["per_band"]
    finite = [v for v in values if isfinite(v)]
    low = min([0.0, *finite])
    high = max([0.0, *finite])
    card = metrics.get(result["metric"]).CARD
    unit = card.profile_unit or ("share" if card.profile == "share" else _unit(result))
    out.print(Text(f"\n{result['spec']} by band" + (f" [{unit}]" if unit else ""), style="bold"))
    width = max(10, min(60, out.width - 24))
    for frequency, value in zip(result["bands"], values, strict=True):
        drawn = bar(value, low, high, width, out.options.ascii_only)
        out.print(Text(f"{hertz(frequency):>8}  {'' if isnan(value) else number(value):>10}  {drawn}"))


def _value(result: Row, best: bool = False) -> Any:
    from rich.text import Text

    if result["status"] in ("undefined", "error"):
        return Text(result["status"], style="yellow" if result["status"] == "undefined" else "red")
    return Text(number(result["value"]), style="bold green" if best else "bold")


def _unit(result: Row) -> str:
    return "" if result["unit"] == "1" else str(result["unit"])


def _plain_table() -> Table:
    from rich.table import Table

    return Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="dim")


def _means(values: Sequence[float], width: int) -> list[float]:
    """At most `width` means of neighbours; what is missing does not count."""
    count = len(values)
    if count <= width:
        return list(values)
    cells = []
    for i in range(width):
        part = [v for v in values[i * count // width : (i + 1) * count // width] if not isnan(v)]
        cells.append(sum(part) / len(part) if part else float("nan"))
    return cells
