"""Distances of small collections by metrics that compare recordings moment by moment: pair after pair."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from contextlib import closing
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
) -> dict[str, tuple[Array, dict[int, str]]]:
    """Of each metric the distances [point, item] from all recordings to the first `items` of them, nan where there is
    none, and why there is none of some point to any item."""
    both = all(_symmetric(spec) for spec in terms.specs)
    wanted = ((p, i) for p in range(len(paths)) for i in range(items) if p != i and not (both and i < p < items))
    pairs = [Pair(reference=paths[p], test=paths[i], id=f"{p} {i}") for p, i in wanted]
    found = {spec: np.full((len(paths), items), np.nan) for spec in terms.specs}
    reasons: dict[str, dict[int, str]] = {spec: {} for spec in terms.specs}
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
                        found[spec][a, b] = value
                        if value != value:
                            reasons[spec].setdefault(a, row["reason"] or "there is no value")
                done(rows)
    finally:
        Path(path).unlink()
    answer = {}
    for spec, distances in found.items():
        own = np.arange(items)
        distances[own, own] = 0.0
        known = ~np.isnan(distances)
        known[own, own] = False
        without = {p: reasons[spec][p] for p in np.flatnonzero(~known.any(1)).tolist() if p in reasons[spec]}
        answer[spec] = distances, without
    return answer


def _symmetric(spec: str) -> bool:
    return bool(metrics.get(metrics.parse(spec).name).card.symmetric)
