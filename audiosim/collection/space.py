"""Points of a collection, how far they are apart, and scalings that even out hubs. Arrays in, numbers out.

Hubs are items that are among the neighbours of very many others, which distances of many dimensions bring about. Both
remedies ask not how near two points are, but how near they are by the measure of both neighbourhoods.

Nothing here holds a square of all distances: a row at a time, and of each item what is known of its neighbourhood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ..engine.threads import in_threads

Array = NDArray[Any]
T = TypeVar("T")
Name = Literal["none", "mp", "mp-empiric", "nicdm"]

SAMPLE = 1000  # items at most that Mutual Proximity knows a neighbourhood by
RADIUS = 7  # nearest items that NICDM knows it by
LEAST = 1e-30  # standard deviation of distances that are all the same
BLOCK = 32  # points between two looks at whether to go on


@dataclass(frozen=True)
class Space:
    """Points: the items of a collection, and after them queries from outside.

    between(point, items) -> distance [item] from the point to these items: an array of numbers, or a slice. nan where
        there is none. points, items: how many.
    """

    points: int
    items: int
    between: Callable[[int, Any], Array]

    def row(self, point: int) -> Array:
        """Distances from the point to all items [item]."""
        return self.between(point, slice(0, self.items))


class Scaling(Protocol):
    """scaled(point, row) -> distances [item] from the point, made of the plain ones [item]; they order alike where
    nothing has a neighbourhood of its own."""

    def scaled(self, point: int, row: Array) -> Array: ...


class Plain:
    """No scaling."""

    def scaled(self, point: int, row: Array) -> Array:
        del point
        return row


class MutualProximity:
    """1 - P(X > d) P(Y > d), X and Y: distances from either point to the collection, taken for normal and independent.
    Schnitzer, Flexer, Schedl and Widmer 2012, JMLR 13, 2871-2902; with mean and standard deviation as musly has them.
    """

    def __init__(self, moments: Array) -> None:
        """moments: mean and standard deviation of the distances from each point [point, 2]."""
        self.mean, self.deviation = moments.T

    def scaled(self, point: int, row: Array) -> Array:
        from scipy.special import ndtr

        def below(mean: Array, deviation: Array) -> Any:
            return ndtr((row - mean) / np.maximum(deviation, LEAST))

        n = len(row)
        a, b = below(self.mean[point], self.deviation[point]), below(self.mean[:n], self.deviation[:n])
        found: Array = a + b - a * b  # of small ones, 1 - (1 - a) (1 - b) would be rounding
        return found


class EmpiricMutualProximity:
    """The same of the distances that there are, without a normal distribution."""

    def __init__(self, samples: Array) -> None:
        """samples: distances [point, item of the sample], ordered, nan last."""
        self.ordered = samples
        self.count = np.maximum((~np.isnan(samples)).sum(1), 1)

    def scaled(self, point: int, row: Array) -> Array:
        n = len(row)
        a = np.searchsorted(self.ordered[point, : self.count[point]], row, "right") / self.count[point]
        b = _how_many_up_to(self.ordered[:n], self.count[:n], row) / self.count[:n]
        found: Array = np.where(np.isnan(row), np.nan, a + b - a * b)
        return found


class NICDM:
    """d / sqrt(r_x r_y), r: mean distance to the 7 nearest items. Jegou, Harzallah and Schmid 2007, CVPR; as the
    non-iterative contextual dissimilarity measure of Schnitzer et al. 2012."""

    def __init__(self, radii: Array) -> None:
        """radii: mean distances [point] to the nearest."""
        self.radii = radii

    def scaled(self, point: int, row: Array) -> Array:
        area = np.sqrt(self.radii[point] * self.radii[: len(row)])
        far = np.where(row > 0, np.inf, row)  # of copies of each other, whose neighbourhood is a point
        found: Array = np.divide(row, area, out=far, where=area > 0)
        return found


def scaling(name: Name, space: Space, threads: int = 1, done: Callable[[int], None] = lambda _: None) -> Scaling:
    """The scaling of this name, with what it must know of each point. done: called with how many points are."""
    if name == "none" or not space.items:
        return Plain()
    picks = sample(space.items)

    def each(task: Callable[[int], Any]) -> Array:
        return np.array(list(over(range(space.points), task, threads, done)))

    if name == "nicdm":
        return NICDM(each(lambda p: _radius(space, p)))
    if name == "mp":
        return MutualProximity(each(lambda p: _moments(space.between(p, picks))))
    return EmpiricMutualProximity(each(lambda p: np.sort(space.between(p, picks))))


def sample(items: int) -> Array:
    """The items that Mutual Proximity measures neighbourhoods by: all of a small collection, else the same at any time,
    drawn by chance."""
    if items <= SAMPLE:
        return np.arange(items)
    return np.sort(np.random.default_rng(0).choice(items, SAMPLE, replace=False))


def over(
    points: Sequence[int], task: Callable[[int], T], threads: int, done: Callable[[int], None] = lambda _: None
) -> Iterator[T]:
    """task(point) of all points, in order, a block on several threads at a time. done: called with how many are."""
    for first in range(0, len(points), BLOCK):
        block = points[first : first + BLOCK]
        yield from in_threads(lambda i: task(block[i]), range(len(block)), threads)  # noqa: B023
        done(first + len(block))


def ranking(row: Array, scaled: Array, allowed: Array, k: int | None = None) -> Array:
    """Numbers of the allowed items [rank], the nearest first, at most k: by scaled distances, among equals by the plain
    ones and then in the order of the collection. Those without a distance are none."""
    able = np.flatnonzero(allowed & ~np.isnan(scaled))
    if k is not None and k < len(able):
        values = scaled[able]
        able = able[values <= np.partition(values, k - 1)[k - 1]]
    order = able[np.lexsort((able, row[able], scaled[able]))]
    return order if k is None else order[:k]


def _moments(values: Array) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else 0.0, float(known.std(ddof=1)) if len(known) > 1 else 0.0


def _radius(space: Space, point: int) -> float:
    row = space.row(point)
    row = np.delete(row, point) if point < space.items else row
    row = row[np.isfinite(row)]
    near = min(RADIUS, len(row))
    return float(np.partition(row, near - 1)[:near].mean()) if near else 0.0


def _how_many_up_to(ordered: Array, count: Array, values: Array) -> Array:
    """For each row of ordered [row, place], of which the first `count` [row] count, how many are at most values [row]:
    all rows are halved at a time."""
    low, high = np.zeros(len(values), np.int64), count.astype(np.int64)
    rows = np.arange(len(values))
    for _ in range(int(count.max(initial=1)).bit_length()):
        middle = (low + high) // 2
        inside = low < high
        up = inside & (ordered[rows, np.minimum(middle, ordered.shape[1] - 1)] <= values)
        low, high = np.where(up, middle + 1, low), np.where(inside & ~up, middle, high)
    return low
