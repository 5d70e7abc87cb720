"""`audiosim retrieval`: how well metrics find what belongs together in a collection, and how alike they rank."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..audio import data_name
from ..collection import tables
from ..collection.tables import File, Trial
from ..config import Settings
from ..errors import ExitCode, NothingToCompare, UsageError, worst
from ..judge.rows import SCHEMA, Row, to_json, to_jsonl
from . import collection, formats
from .collection import Measured, Request
from .compare import put, say

if TYPE_CHECKING:
    from ..collection.evaluation import Evaluation
    from ..collection.space import Space
    from ..judge.retrieval import Estimate

COLUMNS = ("method", "against", "measure", "value", "low", "high", "cases", "chance", "p")

LEGEND = (
    "Of two methods: by how much more often that of the row is right than that of the column, with McNemar's p; how "
    "well the column's ranking agrees with the first ten of the row's."
)


def run(
    request: Request,
    settings: Settings,
    *,
    label: str | None,
    trials: str | None,
    k: int,
    scalings: Sequence[str],
    filtered: str | None,
    output: str | None,
) -> ExitCode:
    """Ask all methods about all recordings, and write how they answer."""
    form = formats.chosen(settings.format, output, sys.stdout.isatty(), formats.TABLES)
    if output not in (None, "-"):
        formats.check_output(str(output))
    names = [collection.chosen_scaling(name) for name in dict.fromkeys(scalings or ("none",))]
    if request.labels is None and (filtered or label):
        raise UsageError("--label and --filter are columns of a table: give the table with --labels FILE")
    specs = collection.specs(settings)
    specs = collection.specs(settings)
    items = collection.gather(request, settings)
    column = None
    if request.labels is not None:
        column = tables.label(items, label, filtered, request.labels)
        for asked in filter(None, (column, filtered)):
            tables.codes(items, asked, request.labels)
    if column is None and trials is None and len(specs) * len(names) < 2:
        raise UsageError("there is nothing to judge by: give --labels or --trials, or several metrics to compare")
    choices = [] if trials is None else tables.trials(trials, items)
    try:
        known = collection.measure(request, settings, items)
        answer = _evaluate(known.measured, names, k, items, column, filtered, choices, settings)
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    if not settings.quiet:
        for line in answer.notes:
            say(line)
    rows = answer.rows(k)
    if form == "table":
        _print(rows, output)
    elif form == "jsonl":
        put(to_jsonl(rows), output)
    elif form == "json":
        without = {path: why for seen in known.measured for path, why in seen.without.items()}
        told = [{"path": data_name(path), "reason": why} for path, why in without.items()]
        head = {"schema": SCHEMA, "items": answer.items, "k": k, "label": column, "filter": filtered}
        put(to_json({**head, "without": told, "rows": rows}), output)
    else:
        put(formats.WRITERS[form](rows, COLUMNS), output)
    return worst(known.codes)


@dataclass(frozen=True)
class Answer:
    """names: of the methods. labelled, chosen: whether there are labels, and choices of listeners."""

    names: list[str]
    found: Evaluation
    items: int
    labelled: bool
    chosen: bool
    notes: list[str]

    def rows(self, k: int) -> list[Row]:
        """What each method does, then what tells each two apart."""
        return [
            *(row for m in range(len(self.names)) for row in self._own(m, k)),
            *(
                row
                for a in range(len(self.names))
                for b in range(len(self.names))
                if a != b
                for row in self._both(a, b)
            ),
        ]

    def _own(self, m: int, k: int) -> Iterator[Row]:
        from ..judge import retrieval

        found, name = self.found, self.names[m]
        if self.labelled:
            chance = retrieval.average(found.chance).value
            yield _row(name, "precision@1", retrieval.share(found.first[m]), chance)
            yield _row(name, f"precision@{k}", retrieval.average(found.precision[m]), chance)
            yield _row(name, "map", retrieval.average(found.average_precision[m]))
            yield _row(name, "triplets", retrieval.average(found.triplets[m]), 0.5)
        if self.chosen:
            choices = retrieval.choices(found.choices[m])
            yield _row(name, "first place", choices.first, choices.by_chance)
            yield _row(name, "response rank", choices.rank, choices.rank_by_chance)
            yield _row(name, "triplets chosen", choices.triplets, 0.5)
        hubs = retrieval.hubness(found.occurrences[m])
        yield {**_EMPTY, "method": name, "measure": f"hubness@{k}", "value": hubs, "cases": self.items}

    def _both(self, a: int, b: int) -> Iterator[Row]:
        from ..judge import retrieval

        found, pair = self.found, {"method": self.names[a], "against": self.names[b]}
        right: dict[str, list[Any]] = {}
        if self.labelled:
            right["precision@1"] = [found.first[m] for m in (a, b)]
        if self.chosen:
            right["first place"] = [retrieval.firsts(found.choices[m]) for m in (a, b)]
        for measure, (first, second) in right.items() if a < b else ():
            gain = _row(self.names[a], measure, retrieval.average(first - second))
            yield {**gain, **pair, "p": retrieval.mcnemar(first, second).p}
        yield {**_row(self.names[a], "top-10 agreement", retrieval.average(found.agreement[a, b])), **pair}


_EMPTY: Row = dict.fromkeys(COLUMNS)


def _row(method: str, measure: str, found: Estimate, chance: float | None = None) -> Row:
    value, low, high, cases = found
    known = {"value": value, "low": low, "high": high, "cases": cases, "chance": chance}
    return {**_EMPTY, "method": method, "measure": measure, **known}


def _evaluate(
    measured: Sequence[Measured],
    scalings: Sequence[Any],
    k: int,
    items: Sequence[File],
    column: str | None,
    filtered: str | None,
    choices: Sequence[Trial],
    settings: Settings,
) -> Answer:
    """What the methods do on the recordings that all metrics have something to compare of."""
    from ..collection.evaluation import Method, evaluate
    from ..collection.space import Space
    from ..engine.threads import cores

    paths = [{f.path for f in seen.files} for seen in measured]
    common = [f for f in items if all(f.path in known for known in paths)]
    if len(common) < 2:
        raise NothingToCompare("fewer than two recordings have something to compare by all metrics")
    names, methods = [], []
    for seen in measured:
        place = {f.path: p for p, f in enumerate(seen.files)}
        spots = [place[f.path] for f in common]
        if spots != list(range(seen.space.items)):
            seen = Measured(seen.spec, _only(Space, seen.space, spots), common, seen.without)
        for name in scalings:
            names.append(seen.spec if name == "none" else f"{seen.spec} {name}")
            methods.append(Method(seen.space, collection.fitted(name, seen, settings)))
    number = {id(f): i for i, f in enumerate(common)}
    trials = []
    for trial in choices:
        all_of = [number.get(id(items[i])) for i in (trial.target, trial.chosen, *trial.unchosen)]
        if None not in all_of:
            target, chosen, *others = (i for i in all_of if i is not None)
            trials.append(Trial(target, chosen, tuple(others)))
    notes = []
    if len(trials) < len(choices):
        notes.append(f"{len(choices) - len(trials)} of {len(choices)} choices are of recordings without a distance")
    label, group = (None if c is None else tables.codes(common, c, "--labels") for c in (column, filtered))
    with collection.progress(settings, "queries", len(common)) as done:
        found = evaluate(methods, k, label, group, trials, settings.jobs or cores(), done)
    return Answer(names, found, len(common), label is not None, bool(choices), notes)


def _only(kind: type[Space], space: Space, spots: Sequence[int]) -> Space:
    """The space of some of its items."""
    import numpy as np

    kept = np.array(spots)
    return kind(len(kept), len(kept), lambda point, to: space.between(int(kept[point]), kept[to]))


def _print(rows: Sequence[Row], output: str | None) -> None:
    import io

    from rich.text import Text

    from . import layout
    from .table import console, interval
    from .words import number

    out = console() if output in (None, "-") else console(page := io.StringIO())

    def cell(row: Row | None) -> str:
        if row is None or row["value"] != row["value"]:
            return ""
        ends = "" if row["low"] is None else f" {interval((row['low'], row['high']), 3)}"
        return f"{number(float(format(row['value'], '.3g')))}{ends}"

    def head(*names: str) -> Any:
        table = layout.plain_table()
        for i, name in enumerate(names):
            table.add_column(name, justify="right" if i else "left")
        return table

    methods = list(dict.fromkeys(row["method"] for row in rows))
    own = {(row["measure"], row["method"]): row for row in rows if row["against"] is None}
    table = head("measure", *methods, "by chance")
    for measure in dict.fromkeys(measure for measure, _ in own):
        known = [own.get((measure, method)) for method in methods]
        table.add_row(*map(Text, [measure, *map(cell, known), _short(known[0]["chance"] if known[0] else None)]))
    layout.put(table, out, keep=1)
    both = {(row["measure"], row["method"], row["against"]): row for row in rows if row["against"] is not None}
    for measure in dict.fromkeys(measure for measure, *_ in both):
        out.print()
        table = head(measure, *methods)
        for method in methods:
            cells = [both.get((measure, method, against)) for against in methods]
            table.add_row(*map(Text, [method, *(_told(row, cell(row)) for row in cells)]))
        layout.put(table, out, keep=1)
    if both:
        out.print()
        out.print(Text(LEGEND, style="dim"))
    if output not in (None, "-"):
        put(page.getvalue(), output)


def _told(row: Row | None, said: str) -> str:
    return said if row is None or row["p"] is None else f"{said} p {row['p']:.2g}"


def _short(value: float | None) -> str:
    from .words import number

    return "" if value is None or value != value else number(value)
