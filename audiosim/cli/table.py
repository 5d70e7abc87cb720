"""Tables, bars and sparklines for people. What programs read is in formats.py."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from math import inf, isfinite, isnan
from typing import TYPE_CHECKING, Any, TextIO

from ..audio import display_name
from ..results import header, reasons, shown, shown_unit
from .layout import GAPS, natural, plain_table, put, without_common_start
from .words import about, faulty_channels, number, told

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from ..judge.gates import Change
    from ..judge.summary import Agreement, Agreements, Interval, Score, Summary

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
        put(_metric_table(pairs[0], out), out)
    else:
        out.print(Text(f"reference  {display_name(pairs[0]['reference'])}"))
        _print_ranking(pairs, out)
    for pair in pairs:
        of = f"{display_name(pair['test'])}: " if len(pairs) > 1 else ""
        for reason, status in reasons(pair).items():
            out.print(Text(of + reason, style="dim" if status == "ok" else "yellow"))
        for result in pair["results"]:
            if result["per_band"] is not None:
                if len(pairs) > 1:
                    out.print(Text(display_name(pair["test"]), style="bold"))
                _print_bands(result, out)


def print_summary(summary: Summary, out: Console) -> None:
    """One system: a row a metric. Several: a ranking, a row a system, the best mean of each column in bold.

    Below stands how many values are infinite, and what has none.
    """
    from rich.text import Text

    table = plain_table()
    by_spec: dict[str, list[Score]] = {}
    for score in summary.scores:
        by_spec.setdefault(score.spec, []).append(score)
    if len(summary.systems) > 1:
        table.add_column("rank", justify="right")
        table.add_column("system")
        for scores in by_spec.values():
            table.add_column(Text(heading(scores[0])), justify="right", no_wrap=True)
        for rank, system in enumerate(summary.systems, 1):
            cells = [_mean(summary.score(spec, system), best_mean(scores)) for spec, scores in by_spec.items()]
            table.add_row(str(rank), Text(display_name(system or "")), *cells)
    else:
        table.add_column("metric")
        for name in ("mean", "median", "5 %", "95 %"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("better")
        for (score,) in by_spec.values():
            numbers = ["" if isnan(v) else number(v) for v in (score.median, score.p5, score.p95)]
            table.add_row(Text(heading(score)), _mean(score), *numbers, score.better)
    put(table, out, keep=2 if len(summary.systems) > 1 else 1)
    for score in summary.scores:
        told = counts(score, "pairs")
        if told:
            of = f"{display_name(score.system)}: " if score.system is not None else ""
            out.print(Text(f"{of}{score.spec}: {told}", style="yellow"))
    if faulty := faulty_channels(summary):
        out.print(Text(faulty, style="yellow"))


def print_differences(summary: Summary, out: Console) -> None:
    """How far each system is from the first, pair by pair, with the 95 % interval of the difference."""
    from rich.text import Text

    first = summary.systems[0] if summary.systems else None
    others = [s for s in summary.scores if s.difference == s.difference]
    if not others:
        return
    out.print()
    table = plain_table()
    table.add_column("metric")
    table.add_column("system")
    table.add_column(Text(f"minus {display_name(str(first))}"), justify="right", no_wrap=True)
    for score in others:
        sure = not score.difference_interval[0] <= 0 <= score.difference_interval[1]
        cell = Text(number(score.difference), style="bold" if sure else "")
        cell.append(f" {interval(score.difference_interval)}", style="dim")
        table.add_row(Text(heading(score)), Text(display_name(str(score.system))), cell)
    put(table, out)


def print_worst(summary: Summary, out: Console, count: int = 5) -> None:
    """The worst pairs by each metric, of all systems: value, second, file."""
    from rich.text import Text

    for spec in dict.fromkeys(score.spec for score in summary.scores):
        places = summary.worst(spec, count)
        if not places:
            continue
        out.print(Text(f"\nworst by {heading(places[0][0])}", style="bold"))
        table = plain_table()
        table.add_column("value", justify="right")
        table.add_column("at", justify="right", no_wrap=True)
        table.add_column("test")
        for _, place in places:
            at = f"{place.worst_s:.2f} s" if isfinite(place.worst_s) else ""
            table.add_row(number(place.value), at, Text(display_name(place.test)))
        put(table, out)


def print_agreement(agreements: Agreements, out: Console) -> None:
    """How every metric agrees with people, a row a metric and group; then whether the best beats the second."""
    from rich.text import Text

    rows = agreements.rows
    columns: dict[str, Callable[[Agreement], float]] = {
        "Kendall": lambda r: r.kendall,
        "in item": lambda r: r.within_item,
        "by condition": lambda r: r.per_condition,
        "triplets": lambda r: r.triplets,
        "RMSE": lambda r: r.rmse,
    }
    columns = {name: of for name, of in columns.items() if any(of(r) == of(r) for r in rows)}
    out.print(Text("\nagreement with people", style="bold"))
    table = plain_table()
    table.add_column("metric")
    grouped = any(r.group is not None for r in rows)
    if grouped:
        table.add_column("group")
    for name in ("pairs", "Pearson", "Spearman", *columns):
        table.add_column(name, justify="right", no_wrap=True)
    for r in rows:
        group = [Text(_group(r))] if grouped else []
        cells = [_with_interval(r.pearson, r.pearson_interval), _with_interval(r.spearman, r.spearman_interval)]
        numbers = ["" if isnan(of(r)) else f"{of(r):.3f}" for of in columns.values()]
        table.add_row(Text(r.spec), *group, str(r.pairs), *cells, *numbers)
    put(table, out, keep=1 + grouped)
    if agreements.hidden:
        out.print(Text(f"{agreements.hidden} rated pairs of a file with itself are left out", style="dim"))
    left = {r.spec: r.left_out for r in agreements.overall() if r.left_out}
    for spec, count in left.items():
        out.print(Text(f"{spec}: {count} rated pairs have no finite number and are left out", style="yellow"))
    contest = agreements.contest
    if contest is not None:
        out.print(
            Text(
                f"{contest.best} agrees better than {contest.second} by {contest.difference:.3f} of Spearman "
                f"{interval(contest.interval, 3)}, p = {contest.p:.3g} (paired bootstrap, one-sided)"
            )
        )


def print_changes(changes: Sequence[Change], out: Console, most: int = 20) -> None:
    """What is not as in the baseline: the worst first, then what got better, is new or missing; the rest is counted."""
    from rich.text import Text

    if not changes:
        return
    kinds = {"worse": "worse", "other": "not comparable", "missing": "missing"}
    kinds |= {"better": "better", "new": "new", "same": "as before"}
    count = {name: sum(c.kind == kind for c in changes) for kind, name in kinds.items()}
    out.print(Text("\nagainst the baseline: " + ", ".join(f"{n} {name}" for name, n in count.items() if n)))
    changed = sorted((c for c in changes if c.kind != "same"), key=lambda c: (c.passed, -abs(c.severity)))
    table = plain_table()
    table.add_column("pair")
    table.add_column("metric")
    table.add_column("")
    table.add_column("how")
    for c in changed[:most]:
        kind = Text(kinds[c.kind], style="green" if c.kind == "better" else "" if c.passed else "red")
        table.add_row(Text(about(c.id, c.system)), Text(c.spec), kind, Text(told(c)))
    if changed:
        put(table, out)
    if len(changed) > most:
        out.print(Text(f"and {len(changed) - most} more"))


def best_mean(scores: Sequence[Score]) -> float | None:
    """The best mean of one metric; None where no system has one."""
    means = [s.mean for s in scores if not isnan(s.mean)]
    return (max if scores[0].better == "higher" else min)(means, default=None)


def counts(score: Score, things: str = "") -> str:
    """How many values are infinite, missing or of identical recordings, and what was done with the infinite ones; empty
    where there are none of these."""
    kinds = {"infinite": score.infinite, "undefined": score.undefined, "failed": score.error}
    told = ", ".join(f"{n} {name}" for name, n in (kinds | {"identical": score.identical}).items() if n)
    if not told:
        return ""
    good, bad = score.infinite - score.infinitely_bad, score.infinitely_bad
    done = f"; {good} infinitely good left out" if good and (score.numbers or bad) else ""
    done += f"; {bad} infinitely bad counted" if bad else ""
    return f"{told} of {score.pairs} {things}".rstrip() + done


def heading(score: Score) -> str:
    """The metric, with its unit."""
    return score.spec if score.unit == "1" else f"{score.spec} [{score.unit}]"


def interval(ends: Interval, digits: int = 4) -> str:
    """An interval in brackets; nothing where there is none."""
    low, high = ends
    return "" if isnan(low) else f"[{low:.{digits}g}, {high:.{digits}g}]"


def rows_table(rows: Sequence[Row], columns: Sequence[str], out: Console) -> None:
    """Rows of text as a borderless table."""
    from rich.text import Text

    table = plain_table()
    for column in columns:
        table.add_column(column.replace("_", " "))
    for row in rows:
        table.add_row(*(Text("" if row[c] is None else str(row[c])) for c in columns))
    put(table, out)


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


def _mean(score: Score | None, best: float | None = None) -> Any:
    from rich.text import Text

    if score is None or isnan(score.mean):
        return Text("" if score is None else "no number", style="yellow")
    cell = Text(number(score.mean), style="bold green" if score.mean == best else "bold")
    cell.append(f" {interval(score.interval)}", style="not bold dim")
    return cell


def _with_interval(value: float, ends: Interval) -> Any:
    from rich.text import Text

    if isnan(value):
        return Text("")
    low, high = ends
    cell = Text(f"{value:.3f}", style="bold")
    cell.append("" if isnan(low) else f" [{low:.2f}, {high:.2f}]", style="not bold dim")
    return cell


def _group(row: Agreement) -> str:
    if row.group is not None:
        return display_name(row.group)
    return f"mean of {row.groups}" if row.groups > 1 else ""


def _print_header(pair: Row, out: Console) -> None:
    from rich.text import Text

    for line in header(pair):
        out.print(Text(line))


def _metric_table(pair: Row, out: Console) -> Table:
    from rich.text import Text

    table = plain_table()
    table.add_column("metric")
    table.add_column("value", justify="right", no_wrap=True)
    table.add_column("unit")
    table.add_column("better")
    for result in pair["results"]:
        table.add_row(Text(result["spec"]), _value(result), Text(shown_unit(result)), Text(result["better"]))
    courses = [r["per_time"] for r in pair["results"]]
    if any(course is not None for course in courses):
        heading = "over time"
        beside = out.width - sum(natural(table)) - GAPS[0] * len(table.columns)
        width = min(beside if beside > len(heading) else out.width - len(heading) - GAPS[-1], 40)
        lines = [sparkline(c, width, out.options.ascii_only) if c is not None else "" for c in courses]
        drawn = plain_table()
        for column in table.columns:
            drawn.add_column(column.header, justify=column.justify, no_wrap=column.no_wrap)
        drawn.add_column(heading)
        for row in zip(*(column.cells for column in table.columns), lines, strict=True):
            drawn.add_row(*row)
        return drawn
    return table


def _print_ranking(pairs: Sequence[Row], out: Console) -> None:
    """A row a test; where that is too wide, without what all names begin with."""
    from rich.text import Text

    names = [display_name(pair["test"]) for pair in pairs]
    table = _ranking(pairs, names)
    if sum(natural(table)) + GAPS[0] * (len(table.columns) - 1) > out.width:
        start, names = without_common_start(names)
        if start:
            out.print(Text(f"tests      {start}..."))
            table = _ranking(pairs, names)
    put(table, out, keep=2)


def _ranking(pairs: Sequence[Row], names: Sequence[str]) -> Table:
    from rich.text import Text

    table = plain_table()
    table.add_column("rank", justify="right")
    table.add_column("test")
    columns = pairs[0]["results"]
    for result in columns:
        unit = shown_unit(result)
        table.add_column(result["spec"] + (f" [{unit}]" if unit else ""), justify="right")
    best = []
    for i, column in enumerate(columns):
        values = [p["results"][i]["value"] for p in pairs if not isnan(p["results"][i]["value"])]
        best.append((max if column["better"] == "higher" else min)(values, default=None))
    for rank, (pair, name) in enumerate(zip(pairs, names, strict=True), 1):
        cells = [_value(r, r["value"] == best[i]) for i, r in enumerate(pair["results"])]
        table.add_row(str(rank), Text(name), *cells)
    return table


def _print_bands(result: Row, out: Console) -> None:
    from rich.text import Text

    from .. import metrics

    values = result["per_band"]
    finite = [v for v in values if isfinite(v)]
    low = min([0.0, *finite])
    high = max([0.0, *finite])
    card = metrics.get(result["metric"]).card
    unit = card.profile_unit or ("share" if card.profile == "share" else shown_unit(result))
    out.print(Text(f"\n{result['spec']} by band" + (f" [{unit}]" if unit else ""), style="bold"))
    width = max(10, min(60, out.width - 24))
    for frequency, value in zip(result["bands"], values, strict=True):
        drawn = bar(value, low, high, width, out.options.ascii_only)
        out.print(Text(f"{hertz(frequency):>8}  {'' if isnan(value) else number(value):>10}  {drawn}"))


def _value(result: Row, best: bool = False) -> Any:
    from rich.text import Text

    style = {"undefined": "yellow", "error": "red"}.get(result["status"], "bold green" if best else "bold")
    return Text(shown(result), style=style)


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
