"""Tables of batches, and of rows, for people. What programs read is in formats.py."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from math import isfinite, isnan
from typing import TYPE_CHECKING, Any, TextIO

from ..audio import display_name
from ..judge.contradiction import of_batch
from .layout import plain_table, put
from .words import about, causes, faulty_channels, number, told

if TYPE_CHECKING:
    from rich.console import Console

    from ..judge.gates import Change
    from ..judge.summary import Agreement, Agreements, Interval, Score, Summary

Row = Mapping[str, Any]
FILE_WIDTH = 160  # columns of a table that goes to a file


def console(file: TextIO | None = None) -> Console:
    """A console on stdout, or plain text for a file."""
    from rich.console import Console

    if file is None:
        return Console(file=sys.stdout, highlight=False, markup=False, emoji=False)
    return Console(file=file, width=FILE_WIDTH, no_color=True, highlight=False, markup=False, emoji=False)


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
    if len(summary.systems) > 1 and summary.ranked_by is not None:
        out.print(Text(f"ranked by {summary.ranked_by}; + and -: surely better or worse than the first", style="dim"))
    for score in summary.scores:
        told = counts(score, summary.things)
        if told:
            of = f"{display_name(score.system)}: " if score.system is not None else ""
            out.print(Text(f"{of}{score.spec}: {told}", style="yellow"))
    if faulty := faulty_channels(summary):
        out.print(Text(faulty, style="yellow"))
    for cause in causes(summary):
        out.print(Text(cause))
    for line in of_batch(summary):
        out.print(Text(line, style="yellow"))


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
        cell = Text(number(score.difference), style="" if score.surely_better is None else "bold")
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


def _mean(score: Score | None, best: float | None = None) -> Any:
    from rich.text import Text

    if score is None or isnan(score.mean):
        return Text("" if score is None else "no number", style="yellow")
    cell = Text(number(score.mean), style="bold green" if score.mean == best else "bold")
    sure = score.surely_better
    cell.append("" if sure is None else " +" if sure else " -", style="green" if sure else "red")
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
