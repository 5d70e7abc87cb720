"""`audiosim bench`: which loss teaches a network best, one trial after another, in a journal that can be resumed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .. import bench
from ..config import Settings
from ..errors import ExitCode, UsageError
from ..judge.rows import to_json, to_jsonl
from . import formats
from .compare import announce_compilation, progress_line, put, say

FORMATS = (*formats.TABLES, "markdown")
Row = dict[str, Any]


def run(
    tasks: Sequence[str],
    losses: Sequence[str],
    settings: Settings,
    *,
    seeds: int,
    steps: int | None,
    seconds: float | None,
    rates: Sequence[float],
    journal: str | None,
    output: str | None,
) -> ExitCode:
    """Train what the journal lacks, and print the table of all that was asked for."""
    form = formats.chosen(settings.format, output, sys.stdout.isatty(), FORMATS)
    if output not in (None, "-"):
        formats.check_output(str(output))
    losses = list(dict.fromkeys(losses))
    if not losses and journal:
        _put(bench.table(bench.read(Path(journal))), form, output)
        return ExitCode.OK
    wanted = [task for name in dict.fromkeys(tasks) for task in bench.load(name)]
    if not losses:
        raise UsageError("there is nothing to train with: give a --loss, or several to compare")
    if any(rate <= 0 for rate in rates):
        raise UsageError("a learning rate is above 0")
    bench.usable(losses, wanted)
    plan = bench.Plan(wanted, losses, range(seeds), bench.Budget(steps, seconds), tuple(rates) or bench.LADDER)
    announce_compilation(settings.quiet)
    shown = sys.stderr.isatty() and not settings.quiet
    done: list[Row] = []
    try:
        for row in bench.run(plan, None if journal is None else Path(journal), progress_line if shown else _nothing):
            done.append(row)  # noqa: PERF402  # they are counted where this is interrupted
    except KeyboardInterrupt:
        kept = f"{journal} holds them, and the same command goes on" if journal else "-o FILE would have kept them"
        say(f"interrupted: {len(done)} of {len(plan.trials)} trials are done; {kept}")
        return ExitCode.INTERRUPTED
    finally:
        if shown:
            progress_line("")
    _put(bench.table(done), form, output)
    return ExitCode.OK


def _put(rows: Sequence[bench.Row], form: str, output: str | None) -> None:
    if form == "json":
        put(to_json([asdict(row) for row in rows]), output)
    elif form == "jsonl":
        put(to_jsonl([asdict(row) for row in rows]), output)
    elif form == "markdown":
        put(markdown(rows), output)
    elif form == "table":
        _print(rows, output)
    else:
        lines = [{**asdict(row), **row.judged} for row in rows]
        columns = [c for c in asdict(rows[0]) if c != "judged"] if rows else []
        columns += list(dict.fromkeys(name for row in rows for name in row.judged))
        put(formats.to_tsv(lines, columns) if form == "tsv" else formats.to_csv(lines, columns), output)


def _nothing(_: str) -> None:
    pass


def _cells(row: bench.Row, names: Sequence[str]) -> list[str]:
    rank = "" if row.rank is None else f"{row.rank:.2f}"
    between = "" if row.low is None or row.high is None else f"{row.low:.2f} to {row.high:.2f}"
    costs = ["" if v is None else f"{v:{f}}" for v, f in ((row.rate, "g"), (row.steps, "d"), (row.step_ms, ".0f"))]
    said = ["" if (v := row.judged.get(name)) is None else f"{v:.3g}" for name in names]
    return [row.loss, rank, between, *costs, *said]


HEADINGS = ("loss", "rank", "95 %", "rate", "steps", "ms/step")


def _tables(rows: Sequence[bench.Row]) -> list[tuple[str, list[str], list[list[str]], list[str]]]:
    """Of each task its name, headings, lines, and sentences on losses that cannot do it."""
    found = []
    for task in dict.fromkeys(row.task for row in rows):
        mine = [row for row in rows if row.task == task]
        names = list(dict.fromkeys(name for row in mine for name in row.judged))
        heads = list(HEADINGS[:3] if task == "all" else HEADINGS) + names
        lines = [_cells(row, names)[: len(heads)] for row in mine if row.reason is None]
        found.append((task, heads, lines, [f"{row.loss}: n/a: {row.reason}" for row in mine if row.reason]))
    return found


def markdown(rows: Sequence[bench.Row]) -> str:
    """One table a task."""
    text = []
    for task, heads, lines, without in _tables(rows):
        text.append(f"**{task}**\n\n| {' | '.join(heads)} |\n|{'---|' * len(heads)}")
        text += [f"| {' | '.join([f'`{line[0]}`', *line[1:]])} |" for line in lines]
        text += ["", *(f"- {sentence}" for sentence in without), ""]
    return "\n".join(text).rstrip() + "\n"


def _print(rows: Sequence[bench.Row], output: str | None) -> None:
    import io

    from rich.text import Text

    from . import layout
    from .table import console

    out = console() if output in (None, "-") else console(page := io.StringIO())
    for i, (task, heads, lines, without) in enumerate(_tables(rows)):
        if i:
            out.print()
        out.print(Text(task, style="bold"))
        table = layout.plain_table()
        for k, head in enumerate(heads):
            table.add_column(head, justify="left" if k == 0 else "right", no_wrap=k > 0)
        for line in lines:
            table.add_row(*map(Text, line))
        layout.put(table, out, keep=1)
        for sentence in without:
            layout.print_point(sentence, out)
    out.print(Text("rank: 0 first, 1 last, by judges of other families than the loss's", style="dim"))
    if output not in (None, "-"):
        put(page.getvalue(), output)
