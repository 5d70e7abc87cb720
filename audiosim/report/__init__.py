"""The report: one HTML page that works offline from disk, to look at and listen to."""

from __future__ import annotations

import heapq
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import count, groupby, takewhile
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from .. import __version__
from ..errors import AudiosimError
from ..judge.rows import Row, number, things, to_json

if TYPE_CHECKING:
    from ..comparison import Comparison
    from .sound import Sound

Audio = Literal["worst", "full", "none"]

DETAILS = 20  # pairs that are shown with pictures and sound
TABLE = 1000  # pairs in the table
UNREAD = 100  # of them, that could not be compared
WORST = 3  # pairs that are named of each system
CAP = 15_000_000  # bytes of a page
FULL = 25_000_000  # of one that plays all of the recordings
# What the page holds of a row for programs.
DATA = (
    "id",
    "system",
    "group",
    "reference",
    "test",
    "metric",
    "spec",
    "value",
    "unit",
    "better",
    "status",
    "reason",
    "reading",
    "gates",
)
ARRAYS = ("per_band", "bands", "edges", "per_time", "times", "map")


@dataclass(frozen=True, slots=True)
class Page:
    """text: the HTML. left_out: a sentence for each thing that did not fit, naming it; the page says them too."""

    text: str
    left_out: tuple[str, ...]


@dataclass(slots=True)
class _Pair:
    """One pair of the table: its rows without arrays."""

    rows: list[Row]
    badness: tuple[int, float]
    anchor: str | None = None

    @property
    def gates(self) -> list[Row]:
        return [g for r in self.rows for g in r["gates"]]

    @property
    def failed(self) -> list[str]:
        return [g["require"] for g in self.gates if not g["passed"]]

    @property
    def system(self) -> str:
        return self.rows[0].get("system") or ""

    @property
    def unread(self) -> bool:
        """Whether the recordings could not be read, so that there is nothing to show or play."""
        return self.rows[0]["rate"] is None


@dataclass(slots=True)
class _Table:
    """The table of all pairs, without arrays."""

    kept: list[_Pair] = field(default_factory=list)  # the worst first
    total: int = 0
    gated: bool = False
    failed: int = 0
    broken: int = 0
    metrics: dict[str, Row] = field(default_factory=dict)  # the first row of each spec


def page(
    rows: Iterable[Row],
    recompute: Callable[[Sequence[Row]], Comparison],
    *,
    title: str = "Audio comparison",
    summary: Sequence[Mapping[str, Any]] = (),
    verdicts: Sequence[Row] = (),
    notes: Sequence[str] = (),
    audio: Audio = "worst",
    details: int = DETAILS,
    cap: int | None = None,
) -> Page:
    """The report of one pair or of many.

    rows: one per pair and metric, those of a pair together (rows.flat; the rows of a batch's journal). They are read
        once, and only the worst 1000 pairs are kept, without their arrays.
    recompute: the rows of one pair -> its Comparison with detail="map", with the specs of these rows. It is called
        for the `details` worst pairs only, one after the other, and each Comparison is let go before the next.
        An AudiosimError that it raises is shown in the place of the pair.
    summary: rows of equal keys for a table at the top, such as those of summary.py; numbers or strings. Where they
        have the means of several systems with their intervals, these are drawn as well.
    verdicts: on all pairs together (gates.row), of which the rows know nothing.
    notes: sentences on all pairs together.
    audio: "worst" plays at most 10 s where a pair is worst, "full" all of it, "none" nothing.
    cap: bytes of the page, 15 MB unless it is given, 25 MB with full audio. Sound, then pictures of the least bad pairs
        are left out to stay below it.

    The worst pair has an error or a failed gate, then the worst value of the first metric. The text is to be written
    as UTF-8; no name that it shows can become markup.
    """
    from markupsafe import Markup

    cap = (FULL if audio == "full" else CAP) if cap is None else cap
    table = _read(rows)
    shown = _shown(table, details)
    for i, pair in enumerate(shown, 1):
        pair.anchor = f"pair-{i}"
    folder = _folder([str(p.rows[0].get("id") or p.rows[0]["test"]) for p in table.kept])
    templates = environment()
    frame = templates.get_template("page.html.jinja")
    style, script = (asset(name) for name in ("style.css", "page.js"))
    named = things(p.rows[0]["reference"] for p in table.kept)
    values = {
        "title": title,
        "version": __version__,
        "style": Markup(style),
        "script": Markup(script),
        "style_hash": hashed(style),
        "script_hash": hashed(script),
        "pairs_total": table.total,
        "things": named,
        "gated": table.gated or bool(verdicts),
        "verdicts": [_verdict(v) for v in verdicts],
        "verdicts_failed": sum(not v["passed"] for v in verdicts),
        "failed": table.failed,
        "broken": table.broken,
        "ranked_by": next(iter(table.metrics), ""),
        "summary": _summary([{named if k == "pairs" else k: v for k, v in row.items()} for row in summary]),
        "rankings": _rankings(summary),
        "notes": notes,
        "worst": _worst(table, folder),
    }
    while True:
        data = to_json([{k: r[k] for k in DATA if k in r} for p in table.kept for r in p.rows], None)
        values["data"] = Markup(_for_script(data))
        values["table"] = _cells(table, folder) if table.total != 1 or table.broken else None
        values["items"] = _items(table, folder)
        used = len(frame.render(**values).encode())
        if used <= cap // 2 or len(table.kept) <= max(len(shown), 1):
            break
        table.kept = table.kept[: max(len(table.kept) // 2, len(shown))]  # so many metrics that it is too long
    used += sum(2 * (6 * len(p.rows[0]["test"].encode()) + 100) for p in shown)  # what is left out will be named
    blocks, left_out = [], []
    for i, pair in enumerate(shown):
        block, problems = _block(
            pair, recompute, audio, cap - used, (cap - used) // (len(shown) - i), i == 0, folder, templates
        )
        left_out += problems
        used += len(block.encode())
        blocks.append(Markup(block))
    return Page(frame.render(**values, blocks=blocks, left_out=left_out), tuple(left_out))


def _shown(table: _Table, details: int) -> list[_Pair]:
    """The pairs to show in detail, the worst first: the worst of all, and of each of a few systems its worst."""
    known = [p for p in table.kept if not p.unread]
    firsts = {p.system: i for i, p in reversed(list(enumerate(known)))}
    wanted = sorted(firsts.values())[:details] if 1 < len(firsts) <= max(details // 2, 1) else []
    others = [i for i in range(len(known)) if i not in set(wanted)][: max(details - len(wanted), 0)]
    return [known[i] for i in sorted([*wanted, *others])]


def badness(rows: Sequence[Row]) -> tuple[int, float]:
    """What pairs are ranked by, the worst largest: error, failed gate, no value, then the first row's value."""
    first = rows[0]
    value = -number(first) if first["better"] == "higher" else number(first)
    failed = any(not g["passed"] for r in rows for g in r["gates"])
    error = any(r["status"] == "error" for r in rows)
    return (3 if error else 2 if failed else 1 if value != value else 0), value if value == value else -inf


def _read(rows: Iterable[Row]) -> _Table:
    """One pass over the rows; only the worst pairs are kept."""
    table, order = _Table(), count(0, -1)
    heaps: dict[bool, list[tuple[tuple[int, float], int, _Pair]]] = {True: [], False: []}  # by whether unread
    for _, group in groupby(rows, key=_same_pair):
        slim: list[Row] = [{k: v for k, v in row.items() if k not in ARRAYS} for row in group]
        pair = _Pair(slim, badness(slim))
        table.total += 1
        table.gated |= bool(pair.gates)
        table.failed += bool(pair.failed) and not pair.unread
        table.broken += pair.unread
        for row in slim:
            table.metrics.setdefault(row["spec"], row)
        heap, entry = heaps[pair.unread], (pair.badness, next(order), pair)
        if len(heap) < (UNREAD if pair.unread else TABLE - UNREAD):
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    table.kept = [pair for _, _, pair in sorted(heaps[True] + heaps[False], reverse=True, key=lambda e: e[:2])]
    return table


def _same_pair(row: Row) -> tuple[Any, ...]:
    return tuple(row.get(key) for key in ("id", "system", "reference", "test", "start"))


def _block(
    pair: _Pair,
    recompute: Callable[[Sequence[Row]], Comparison],
    audio: Audio,
    room: int,
    share: int,
    first: bool,
    folder: str,
    templates: Any,
) -> tuple[str, list[str]]:
    """(HTML of one pair, what was left out). room: bytes left; share: of it, where every pair gets as much."""
    from . import pair as pairs

    name = pairs.name(pair.rows[0], folder)
    frame = {
        "anchor": pair.anchor,
        "first": first,
        "name": name,
        "gates": len(pair.gates),
        "gates_failed": pair.failed,
    }
    template = templates.get_template("pair.html.jinja")
    try:
        comparison = recompute(pair.rows)
        view, sound, left_out = _heard(comparison, pair.rows, audio, room, share, name)
        block = pairs.block(pair.rows, comparison, sound, view)
    except AudiosimError as problem:
        return template.render(**frame, problem=str(problem)), []
    if "player" in block:
        from markupsafe import Markup

        block["player"] = Markup(_for_script(to_json(block["player"], None)))
    text = template.render(**frame, **block)
    if sound and len(text) > room:
        left_out.append(f"{name}: its sound")
        text = template.render(
            **frame, **{**block, "sound": None, "sound_note": "Its sound is left out: the page is full."}
        )
    if len(text) > room:
        left_out.append(f"{name}: its pictures")
        text = template.render(**frame, problem="Its pictures are left out: the page is full.")
    return text, left_out


def _heard(
    comparison: Comparison, rows: Sequence[Row], audio: Audio, room: int, share: int, name: str
) -> tuple[tuple[float, float], Sound | None, list[str]]:
    """(seconds that the pictures show, the sound, what was left out of it)."""
    from .pair import LONG
    from .sound import EXCERPT, SHORTEST, cut, duration, worst

    whole, alone = duration(comparison), not rows[0]["reference"]
    specs = [r["spec"] for r in rows if r["spec"] in comparison.results]
    left_out = []
    if audio == "full":
        samples = min(comparison.ref.channels, 2) * (comparison.ref.length + comparison.test.length)
        sound = cut(comparison, 0.0, whole, alone=alone) if samples <= 8 * room else None
        if sound and sound.size <= room:
            return (0.0, whole), sound, []
        left_out.append(f"{name}: its sound, but for where it is worst")
    sound, seconds = None, EXCERPT
    while True:
        start, end = worst(comparison, specs, seconds)
        if audio == "none":
            break
        sound = cut(comparison, start, end, alone=alone)
        fair = min(max(share // 2, room // 8), room)  # half of a pair's share, or more while there is plenty
        if sound.size <= fair:
            break
        if seconds <= SHORTEST:
            left_out.append(f"{name}: its sound")
            sound = None
            break
        seconds = max(SHORTEST, 0.9 * min(seconds, whole) * fair / sound.size)
    begin = min(max((start + end - LONG) / 2, 0.0), max(whole - LONG, 0.0))
    return (begin, min(begin + LONG, whole)), sound, left_out


def _cells(table: _Table, folder: str) -> dict[str, Any]:
    """The table of all pairs, a column a metric."""
    from .pair import answer, name, told

    specs = list(table.metrics)
    references = {p.rows[0]["reference"] for p in table.kept}
    rows = []
    for pair in table.kept:
        first, answers = pair.rows[0], {r["spec"]: answer(r) for r in pair.rows}
        bare = {**first, "system": None}
        reason = first["reason"] if pair.unread else None
        rows.append(
            {
                "name": name(bare, folder),
                "anchor": pair.anchor,
                "reference": None
                if len(references) == 1 or _alike(first)
                else f"reference {name({'test': first['reference']})}",
                "reason": reason,
                "system": first.get("system") or "",
                "group": first.get("group") or "",
                "state": "error" if pair.unread else "failed" if pair.failed else "",
                "rank": 2 if pair.unread else 1 if pair.failed else 0,
                "gates": pair.gates,
                "gates_failed": pair.failed,
                "verdict": told(first)["verdict"],
                "causes": [c["sentence"] for c in first.get("causes") or ()],
                "cells": [answers.get(s, {"text": "", "sort": "", "failed": False, "reason": None}) for s in specs],
            }
        )
    return {
        "rows": rows,
        "folder": folder,
        "gated": table.gated,
        "more": table.total > len(rows),
        "systems": any(r["system"] for r in rows),
        "groups": any(r["group"] for r in rows),
        "verdicts": any(r["verdict"] for r in rows),
        "causes": any(r["causes"] for r in rows),
        "metrics": [answer(r) for r in table.metrics.values()],
    }


def _items(table: _Table, folder: str) -> dict[str, Any] | None:
    """A row an item and a column a system, for each metric; None where there are not several of both."""
    from .pair import answer, name

    systems = list(dict.fromkeys(p.system for p in sorted(table.kept, key=lambda p: p.badness)))
    of_item: dict[str, dict[str, _Pair]] = {}
    for pair in table.kept:
        of_item.setdefault(str(pair.rows[0].get("id") or pair.rows[0]["test"]), {}).setdefault(pair.system, pair)
    if len(systems) < 2 or len(of_item) < 2:
        return None
    answers = {id(p): {r["spec"]: answer(r) for r in p.rows} for p in table.kept}
    nothing = {"text": "", "sort": "", "reading": None}

    def cell(found: Mapping[str, _Pair], system: str, spec: str) -> dict[str, Any]:
        pair = found.get(system)
        return nothing if pair is None else {**answers[id(pair)].get(spec, nothing), "anchor": pair.anchor}

    return {
        "systems": systems,
        "tables": [
            {
                **answer(first),
                "rows": [
                    {"name": name({"test": item}, folder), "cells": [cell(found, s, spec) for s in systems]}
                    for item, found in of_item.items()
                ],
            }
            for spec, first in table.metrics.items()
        ],
    }


def _worst(table: _Table, folder: str) -> list[dict[str, Any]]:
    """The worst pairs of each system; nothing where there are not several systems."""
    from .pair import answer, name

    by_system: dict[str, list[_Pair]] = {}
    for pair in table.kept:
        by_system.setdefault(pair.system, []).append(pair)
    if len(by_system) < 2:
        return []
    return [
        {
            "system": system,
            "pairs": [
                {"name": name({**p.rows[0], "system": None}, folder), "anchor": p.anchor, **answer(p.rows[0])}
                for p in pairs[:WORST]
            ],
        }
        for system, pairs in sorted(by_system.items())
    ]


def _rankings(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each metric the systems, the best first: where their means and intervals lie between the least and the
    largest of all."""
    from .charts import ARROWS, number as short, percent

    by_metric: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        if all(isinstance(row.get(k), int | float) and isfinite(row[k]) for k in ("mean", "low", "high")):
            by_metric.setdefault(row["metric"], []).append(row)
    drawn = []
    for metric, scores in by_metric.items():
        if len(scores) < 2:
            continue
        better = scores[0]["better"]
        low, high = min(s["low"] for s in scores), max(s["high"] for s in scores)
        span = (high - low) or 1.0
        x = {k: [percent(0.02 + 0.96 * (s[k] - low) / span) for s in scores] for k in ("low", "mean", "high")}
        order = sorted(range(len(scores)), key=lambda i: scores[i]["mean"], reverse=better == "higher")
        drawn.append(
            {
                "metric": metric,
                "unit": "" if scores[0]["unit"] == "1" else scores[0]["unit"],
                "better": better,
                "arrow": ARROWS[better],
                "least": short(low),
                "most": short(high),
                "bars": [
                    {
                        "system": scores[i]["system"],
                        "text": short(float(f"{scores[i]['mean']:.3g}")),
                        "interval": f"{short(scores[i]['low'])} to {short(scores[i]['high'])}",
                        **{k: at[i] for k, at in x.items()},
                    }
                    for i in order
                ],
            }
        )
    return drawn


def _alike(row: Row) -> bool:
    """Whether reference and test are called the same, in folders of their own."""
    return str(row["reference"]).rpartition("/")[2] == str(row.get("id") or row["test"]).rpartition("/")[2]


def _verdict(row: Row) -> dict[str, Any]:
    """A gate over all pairs as the head of the page says it."""
    from .charts import number as short

    value = row["value"]
    said = short(value) if value is not None and value == value else row["reason"] or "no value"
    return {"require": row["require"], "system": row.get("system"), "passed": row["passed"], "said": said}


def _folder(names: Sequence[str]) -> str:
    """The folder that all names share, which need not be repeated."""
    folders = [n.split("/")[:-1] for n in names]
    shared = takewhile(lambda level: len(set(level)) == 1, zip(*folders, strict=False))
    return "".join(f"{level[0]}/" for level in shared) if len(names) > 1 else ""


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Any rows of equal keys as a table."""
    from .charts import number as short

    if not rows:
        return None

    def cell(value: Any) -> dict[str, Any]:
        if isinstance(value, int | float) and not isinstance(value, bool):
            known = isfinite(value)
            return {
                "text": short(value) if value == value else "",
                "sort": repr(value) if known else "",
                "number": True,
            }
        text = "" if value is None else str(value)
        return {"text": text, "sort": text, "number": False}

    keys = [key for key in rows[0] if any(row.get(key) is not None for row in rows)]
    cells = [[cell(row.get(key)) for key in keys] for row in rows]
    kinds = ["number" if any(r[i]["number"] for r in cells) else "text" for i in range(len(keys))]
    columns = [{"name": k.replace("_", " "), "kind": kind} for k, kind in zip(keys, kinds, strict=True)]
    return {"columns": columns, "rows": cells}


def environment() -> Any:
    """The templates of this folder."""
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=jinja2.ChainableUndefined,
        trim_blocks=True,
    )


def asset(name: str) -> str:
    """The text of a file of this folder."""
    return Path(__file__).with_name(name).read_text(encoding="utf-8")


def hashed(text: str) -> str:
    """As the page's content security policy names a script or style that may stand in it."""
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode('ascii')}"


def _for_script(json: str) -> str:
    """JSON that can stand in a script element: no end of the element, no comment."""
    return json.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026").strip()
