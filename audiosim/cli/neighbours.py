"""`audiosim neighbours`: what is most like each recording of a collection, and how unequally often they are it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..audio import data_name, display_name
from ..collection import tables
from ..collection.tables import File
from ..config import Settings
from ..errors import ExitCode, NothingToCompare, UsageError, worst
from ..judge.rows import SCHEMA, Row, to_json, to_jsonl
from . import collection, formats
from .collection import Measured, Request
from .compare import put, say

if TYPE_CHECKING:
    from ..collection.neighbours import Neighbours

FORMATS = formats.TABLES
HUBS = 1.0  # hubness from which on there are some
SHOWN = 20  # queries that a terminal shows
COLUMNS = ("spec", "query", "rank", "file", "distance", "scaled")


@dataclass(frozen=True)
class Found:
    """The neighbours by one metric. queries: the files that were asked about, in the order of the rows."""

    seen: Measured
    queries: list[File]
    neighbours: Neighbours
    whole: bool  # whether every item was asked about, so that the occurrences tell of hubs

    def rows(self, scaled: bool) -> list[Row]:
        """A row for each query and rank; a query with nothing near has none."""
        found = self.neighbours
        return [
            {
                "spec": self.seen.spec,
                "query": query.name,
                "rank": rank + 1,
                "file": self.seen.files[item].name,
                "distance": float(found.distances[q, rank]),
                "scaled": float(found.scaled[q, rank]) if scaled else None,
            }
            for q, query in enumerate(self.queries)
            for rank, item in enumerate(found.nearest[q].tolist())
            if item >= 0
        ]

    def hubs(self, scaled: bool) -> dict[str, Any] | None:
        """How unequally often items are neighbours."""
        if not self.whole:
            return None
        found = self.neighbours
        most = int(found.occurrences.argmax())
        return {
            "hubness": found.hubness,
            "unscaled": found.plain_hubness if scaled else None,
            "most": {"file": self.seen.files[most].name, "times": int(found.occurrences[most])},
            "never": int((found.occurrences == 0).sum()),
        }


def run(
    request: Request,
    settings: Settings,
    *,
    queries: Sequence[str],
    k: int,
    scaling: str,
    filtered: str | None,
    output: str | None,
    report: str | None,
) -> ExitCode:
    """Find the neighbours, and write them."""
    form = formats.chosen(settings.format, output, sys.stdout.isatty(), FORMATS)
    for path, option in ((output, "--output"), (report, "--report")):
        if path is not None and not (path == "-" and option == "--output"):
            formats.check_output(path, option)
    name = collection.chosen_scaling(scaling)
    if filtered is not None and request.labels is None:
        raise UsageError("--filter is a column of a table: give the table with --labels FILE")
    collection.specs(settings)
    items = collection.gather(request, settings)
    if len(items) == 1 and not queries:
        raise NothingToCompare(f"{display_name(items[0].name)} is the only recording: it has no neighbours")
    asked, outside = _asked(queries, items)
    group_of = None if filtered is None else tables.codes([*items, *outside], filtered, str(request.labels))
    try:
        known = collection.measure(request, settings, items, outside)
        found = []
        for seen in known.measured:
            group = None
            if group_of is not None:
                number = {f.path: int(g) for f, g in zip([*items, *outside], group_of, strict=True)}
                import numpy as np

                group = np.array([number[f.path] for f in seen.files])
            found.append(_find(seen, asked, k, name, group, settings))
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    scaled = name != "none"
    if report is not None:
        _report(report, found, k, settings, scaled)
    _write(found, form, output, k, name)
    if not settings.quiet and form not in ("table", "json"):
        for one in found:
            if line := _hubs_line(one, k, scaled):
                say(line)
    return worst(known.codes)


def _asked(queries: Sequence[str], items: Sequence[File]) -> tuple[list[File] | None, list[File]]:
    """The files that are asked about, None for all, and those of them that are outside of the collection."""
    if not queries:
        return None, []
    inside = {os.path.realpath(f.path): f for f in items}
    by_name = {f.name: f for f in items}
    asked = []
    for query in dict.fromkeys(queries):
        own = inside.get(os.path.realpath(query)) or (None if os.path.exists(query) else by_name.get(query))  # noqa: PTH110
        asked.append(own or File(data_name(query), query))
    known = {f.path for f in items}
    return asked, [f for f in asked if f.path not in known]


def _find(seen: Measured, asked: Sequence[File] | None, k: int, scaling: Any, group: Any, settings: Settings) -> Found:
    from ..collection import neighbours
    from ..engine.threads import cores

    place = {f.path: p for p, f in reversed(list(enumerate(seen.files)))}
    points = list(range(seen.space.items)) if asked is None else [place[f.path] for f in asked if f.path in place]
    fit = collection.fitted(scaling, seen, settings)
    with collection.progress(settings, f"queries by {seen.spec}", len(points)) as done:
        found = neighbours.find(seen.space, points, k, fit, group, settings.jobs or cores(), done)
    return Found(seen, [seen.files[p] for p in points], found, asked is None)


def _write(found: Sequence[Found], form: str, output: str | None, k: int, scaling: str) -> None:
    scaled = scaling != "none"
    if form == "table":
        _print(found, output, k, scaled)
        return
    rows = [row for one in found for row in one.rows(scaled)]
    if form == "jsonl":
        put(to_jsonl(rows), output)
    elif form == "json":
        told = [
            {
                "spec": one.seen.spec,
                "items": one.seen.space.items,
                "queries": len(one.queries),
                "hubs": one.hubs(scaled),
                "without": [{"path": data_name(p), "reason": why} for p, why in one.seen.without.items()],
            }
            for one in found
        ]
        head = {"schema": SCHEMA, "k": k, "scaling": scaling, "metrics": told, "rows": rows}
        put(to_json(head), output)
    else:
        put(formats.WRITERS[form](rows, COLUMNS if scaled else COLUMNS[:-1]), output)


def _print(found: Sequence[Found], output: str | None, k: int, scaled: bool) -> None:
    import io

    from rich.text import Text

    from . import layout
    from .table import console
    from .words import number

    out = console() if output in (None, "-") else console(page := io.StringIO())
    for one in found:
        table = layout.plain_table()
        for column in ("query", "rank", "file", "distance", *(("scaled",) if scaled else ())):
            table.add_column(column, justify="left" if column in ("query", "file") else "right")
        shown = {f.name for f in one.queries[:SHOWN]}
        last = None
        for row in one.rows(scaled):
            if row["query"] in shown:
                query = "" if row["query"] == last else display_name(row["query"])
                last = row["query"]
                cells = [query, str(row["rank"]), display_name(row["file"]), number(row["distance"])]
                table.add_row(*map(Text, [*cells, *([number(row["scaled"])] if scaled else [])]))
        out.print(Text(one.seen.spec, style="bold"))
        layout.put(table, out)
        if len(one.queries) > SHOWN:
            out.print(Text(f"and of {len(one.queries) - SHOWN} more queries; -o FILE.csv has them all", style="dim"))
        if line := _hubs_line(one, k, scaled):
            out.print(Text(line, style="dim"))
    if output not in (None, "-"):
        put(page.getvalue(), output)


def _hubs_line(one: Found, k: int, scaled: bool) -> str:
    hubs = one.hubs(scaled)
    if hubs is None:
        return ""
    without = "" if hubs["unscaled"] is None else f" ({hubs['unscaled']:.2f} without scaling)"
    most, file = hubs["most"], display_name(hubs["most"]["file"])
    remedy = "; --scaling mp evens hubs out" if not scaled and hubs["hubness"] > HUBS else ""
    return (
        f"{one.seen.spec}: hubness {hubs['hubness']:.2f}{without}: {file} is among the {k} nearest of {most['times']} "
        f"of {len(one.queries)} recordings, {hubs['never']} are of none{remedy}"
    )


def _report(path: str, found: Sequence[Found], k: int, settings: Settings, scaled: bool) -> None:
    from .. import audio
    from ..match import Policy
    from ..report import neighbours

    paths = {f.name: f.path for one in found for f in (*one.seen.files, *one.queries)}
    reading = Policy(**settings.policy()).reading
    queries = max((len(one.queries) for one in found), default=0)
    shown = min(queries, neighbours.QUERIES)
    made = neighbours.page(
        (row for one in found for row in one.rows(scaled)),
        lambda name: audio.load(paths[name], **reading),
        notes=[
            *(line for one in found if (line := _hubs_line(one, k, scaled))),
            *([f"The first {shown} of {queries} queries."] if shown < queries else []),
        ],
    )
    formats.write_file(path, made.text, "--report")
    if made.left_out and not settings.quiet:
        say(f"left out of the report, to keep it small: the sound of {len(made.left_out)} recordings")
