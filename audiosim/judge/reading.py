"""What a value means, in a few words: the scales of tables/anchors.csv, official, measured, or of listeners.

A scale is a row of anchors from good to bad. The words of an anchor hold for values from the anchor before it to its
own. Where there is no scale, nothing is said. tests/benchmarks/anchors.py writes the file, and says where it is from.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from importlib import resources
from math import isnan
from typing import Any, Literal, get_args

from .rows import Row, number

Kind = Literal["official", "measured", "listeners"]
KINDS: tuple[Kind, ...] = get_args(Kind)
FILE = "anchors.csv"
# metric, its options that are not at their defaults, those that leave the scale as it is, its version, and the anchor
COLUMNS = ("metric", "options", "free", "version", "to", "words", "severity", "kind", "source")
WIDEST = 28  # characters of a reading
VERDICT = "verdict"  # stands for a metric in rows of the file that hold the thresholds of the verdict


@dataclass(frozen=True, slots=True)
class Anchor:
    """Words for values down to `to`, the worst of them. severity: from 0, as the reference, to 1, as bad as can be."""

    to: float
    words: str
    severity: float
    kind: Kind
    source: str


@dataclass(frozen=True, slots=True)
class Scale:
    """anchors: from good to bad; the last one holds for all that is worse. version: of the metric that it was made for.

    free: options that leave it as it is.
    """

    metric: str
    options: str
    free: tuple[str, ...]
    version: int
    anchors: tuple[Anchor, ...]

    @property
    def lower(self) -> bool:
        """Whether lower values are better."""
        return self.anchors[-1].to > 0

    def place(self, value: float) -> int:
        """Which anchor holds for the value."""
        last = len(self.anchors) - 1
        return next((i for i, a in enumerate(self.anchors) if (value <= a.to if self.lower else value >= a.to)), last)

    def bounds(self) -> list[str]:
        """Which values each anchor holds for."""
        *ends, last = (f"{anchor.to:.4g}" for anchor in self.anchors)
        worse = f"{'above' if self.lower else 'below'} {ends[-1]}" if ends else last
        return [*(f"{'up to' if self.lower else 'from'} {end}" for end in ends), worse]

    def told(self) -> str:
        """All of it in one line."""
        return "; ".join(f"{bound}: {a.words}" for bound, a in zip(self.bounds(), self.anchors, strict=True))


@dataclass(frozen=True, slots=True)
class Reading:
    """What a value means. severity: for colours, from 0, green, to 1, red."""

    text: str
    severity: float
    kind: Kind | None = None
    source: str = ""


@cache
def scales() -> dict[str, tuple[Scale, ...]]:
    """All of the file, by metric."""
    found: dict[tuple[str, str], list[dict[str, str]]] = {}
    with resources.files("audiosim.tables").joinpath(FILE).open(encoding="utf-8") as lines:
        for row in csv.DictReader(lines):
            found.setdefault((row["metric"], row["options"]), []).append(row)
    by_metric: dict[str, tuple[Scale, ...]] = {}
    for (metric, options), rows in found.items():
        anchors = tuple(
            Anchor(float(r["to"]), r["words"], float(r["severity"]), _kind(r["kind"]), r["source"]) for r in rows
        )
        scale = Scale(metric, options, tuple(rows[0]["free"].split()), int(rows[0]["version"]), anchors)
        by_metric[metric] = (*by_metric.get(metric, ()), scale)
    return by_metric


def scale_of(metric: str, options: Row | None = None) -> Scale | None:
    """The scale of the metric under these options; those that are not given are at their defaults."""
    known = scales().get(metric, ()) if metric != VERDICT else ()
    if not known:
        return None
    changed: Row = {}
    if options:
        from .. import metrics

        defaults = {o.name: o.default for o in metrics.get(metric).options.values()}
        changed = {k: v for k, v in options.items() if k in defaults and v != defaults[k]}
    for scale in known:
        named = dict(part.split("=") for part in scale.options.split(",") if part)
        kept = {k: str(v) for k, v in changed.items() if k in named or k not in scale.free}
        if kept == named:
            return scale
    return None


def reading(row: Row) -> Reading | None:
    """What the value of a row of results means; None where nothing is known of it."""
    value = number(row)
    return None if isnan(value) else of_value(row["metric"], value, row["options"], row["reason"])


def of_value(metric: str, value: float, options: Row | None = None, reason: str | None = None) -> Reading | None:
    """What the value of the metric under these options means."""
    scale = scale_of(metric, options)
    if scale is None or isnan(value):
        return None
    from .. import metrics
    from ..result import IDENTICAL

    card = metrics.get(metric).card
    official = scale.anchors[0].kind == "official"
    same = reason == IDENTICAL and not card.non_intrusive  # a bad recording is as bad beside itself
    if same or (value == card.identical and not official):
        return Reading("no difference", 0.0)
    anchor = scale.anchors[scale.place(value)]
    return Reading(anchor.words, anchor.severity, anchor.kind, anchor.source)


def threshold(name: str) -> float:
    """From which value of a measure on the verdict says something else: those of the verdict, by their names."""
    (scale,) = (s for s in scales()[VERDICT] if s.options == name)
    return scale.anchors[0].to


def words_of(metric: str) -> list[tuple[str, str]]:
    """What values of a metric mean, for its card: for each of its scales (options, values and words, source)."""
    said: list[tuple[str, str]] = []
    for scale in scales().get(metric, ()):
        where = f" where {scale.options}" if scale.options else ""
        sources = dict.fromkeys(f"{a.kind}: {a.source}" for a in scale.anchors)
        said += [(f"values{where}", scale.told()), (f"their source{where}", "; ".join(sources))]
    return said


def _kind(text: Any) -> Kind:
    return next(kind for kind in KINDS if kind == text)
