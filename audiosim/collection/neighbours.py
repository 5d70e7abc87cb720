"""The nearest items of each query, and how unequally often items are among them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..judge.retrieval import hubness
from .space import Plain, Scaling, Space, over, ranking

Array = NDArray[Any]


@dataclass(frozen=True)
class Neighbours:
    """nearest: numbers of items [query, rank], -1 where there are no more. distances: the plain ones; scaled: what they
    are ranked by, the same without a scaling; nan where there are no more.

    occurrences: how often each item is there [item]; plain_occurrences: how often it would be without the scaling.
    """

    nearest: Array
    distances: Array
    scaled: Array
    occurrences: Array
    plain_occurrences: Array

    @property
    def hubness(self) -> float:
        """Skewness of the occurrences (judge.retrieval.hubness)."""
        return hubness(self.occurrences)

    @property
    def plain_hubness(self) -> float:
        """The same without the scaling."""
        return hubness(self.plain_occurrences)


def find(
    space: Space,
    queries: Sequence[int],
    k: int,
    scaling: Scaling,
    group: Array | None = None,
    threads: int = 1,
    done: Callable[[int], None] = lambda _: None,
) -> Neighbours:
    """The k nearest items of each query, which is a point of the space; itself is none of them.

    group: a number of each point; items of the query's own group are left out, but for a number below 0, which is no
    group. done: called with how many queries are.
    """
    nearest = np.full((len(queries), k), -1, np.int64)
    distances, scaled = np.full((2, len(queries), k), np.nan)
    counts = np.zeros((2, space.items), np.int64)
    plain = isinstance(scaling, Plain)

    def one(point: int) -> tuple[Array, Array, Array, Array]:
        row = space.row(point)
        values = scaling.scaled(point, row)
        allowed = others(space, point, group)
        first = ranking(row, values, allowed, k)
        return first, row[first], values[first], first if plain else ranking(row, row, allowed, k)

    for q, (first, row, values, without) in enumerate(over(queries, one, threads, done)):
        nearest[q, : len(first)], distances[q, : len(first)], scaled[q, : len(first)] = first, row, values
        counts[0, first] += 1
        counts[1, without] += 1
    return Neighbours(nearest, distances, scaled, counts[0], counts[1])


def others(space: Space, point: int, group: Array | None) -> Array:
    """Whether each item may be a neighbour of the point [item]."""
    allowed = np.ones(space.items, bool)
    if group is not None and group[point] >= 0:
        allowed = group[: space.items] != group[point]
    if point < space.items:
        allowed[point] = False
    return allowed
