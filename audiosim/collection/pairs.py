"""Distances of small collections by metrics that compare recordings moment by moment: pair after pair."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..batch import workers
from ..batch.journal import Journal
from ..batch.pairing import Pair
from ..errors import UsageError
from ..judge.rows import Row, number

Array = NDArray[Any]

MOST = 4000  # pairs of a metric without features


@dataclass
class Distances:
    """By one metric. square: distances [point, item], nan where there is none. without: why some points have none at
    all; broken: those of them that could not be compared, and not only have no value. missing: how many other pairs
    have none; example: why one of these has none."""

    square: Array
    without: dict[int, str] = field(default_factory=dict)
    broken: set[int] = field(default_factory=set)
    missing: int = 0
    example: str = ""


def count(items: int, points: int, spec: str) -> int:
    """How many pairs it takes: of all points with all items. UsageError where they are too many."""
    both = _symmetric(spec)
    pairs = items * (items - 1) // (2 if both else 1) + (points - items) * items
    if pairs > MOST:
        raise UsageError(
            f"{spec} has no features, so that it compares pair by pair, and {items} recordings make {pairs} pairs, "
            f"more than {MOST}; timbre-js and others of the family music have features"
        )
    return pairs


def matrix(
    paths: Sequence[str],
    items: int,
    terms: workers.Terms,
    processes: int,
    note: Callable[[str], None],
    done: Callable[[list[Row]], None],
) -> dict[str, Distances]:
    """By each metric, from all recordings to the first `items` of them. done: called with the rows of each pair."""
    both = all(_symmetric(spec) for spec in terms.specs)
    wanted = ((p, i) for p in range(len(paths)) for i in range(items) if p != i and not (both and i < p < items))
    pairs = [Pair(reference=paths[p], test=paths[i], id=f"{p} {i}") for p, i in wanted]
    found = {spec: Distances(np.full((len(paths), items), np.nan)) for spec in terms.specs}
    failed: dict[str, list[tuple[int, int, str, bool]]] = {spec: [] for spec in terms.specs}
    handle, path = tempfile.mkstemp(prefix="audiosim-", suffix=".jsonl")
    os.close(handle)
    try:
        with Journal(path, terms.settings) as journal, closing(workers.Processes(terms, processes, note)) as pool:
            jobs = workers.outstanding(pairs, terms, journal)
            for rows in workers.run(jobs, terms, journal, pool):
                for row in rows:
                    p, i = map(int, row["id"].split())
                    value, spec = number(row), row["spec"]
                    ways = [(p, i), (i, p)] if both and p < items else [(p, i)]
                    for a, b in ways:
                        found[spec].square[a, b] = value
                    if value != value:
                        failed[spec].append((p, i, row["reason"] or "there is no value", row["fault"] == "input"))
                done(rows)
    finally:
        Path(path).unlink()
    own = np.arange(items)
    for spec, distances in found.items():
        known = ~np.isnan(distances.square)
        alone: Array = np.logical_not(known.any(axis=1))
        distances.square[own, own] = 0.0
        for p, i, reason, broken in failed[spec]:
            guilty = [q for q in (p, i) if alone[q]]
            for q in guilty:
                distances.without.setdefault(q, reason)
                distances.broken |= {q} if broken else set()
            if not guilty:
                distances.missing += 1
                distances.example = distances.example or reason
    return found


def _symmetric(spec: str) -> bool:
    return bool(metrics.get(metrics.parse(spec).name).card.symmetric)
