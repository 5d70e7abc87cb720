"""Statistics: percentiles, correlations, triplets, and the bootstrap. Arrays in, numbers out.

One rule for infinite values holds in all of them but the correlations, which leave them out: `counted`.

A resample of the bootstrap is held as counts: how often each of the n values was drawn. Means, Pearson and, through
ranks made of the counts, Spearman then take a few passes over an array [draw, n] and no sorting at all.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil, floor, inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
BLOCK = 1 << 16  # values of resamples that are worked on at a time: they stay in the cache


def counted(values: Array, better: str) -> Array:
    """Those of the values that a statistic counts. nan never does. Infinitely good values are left out, so that a pair
    of identical files does not hide the others, unless all are infinitely good; infinitely bad ones count as what they
    are.
    """
    values = values[~np.isnan(values)]
    kept = values[values != (inf if better == "higher" else -inf)]
    return kept if len(kept) else values


def percentile(values: Array, share: float) -> float:
    """The value below which `share` percent of them lie, between two of them on a straight line (Hyndman and Fan 1996,
    definition 7); +-inf counts as what it is, and nan is the value of none at all, and between -inf and +inf.
    """
    if len(values) == 0:
        return nan
    place = (len(values) - 1) * share / 100
    low, high = floor(place), ceil(place)
    ordered = np.partition(values, (low, high))
    a, b = float(ordered[low]), float(ordered[high])
    return a if a == b else a * (high - place) + b * (place - low)


def resamples(count: int, draws: int, seed: int) -> Iterator[Array]:
    """Counts [draw, count], a block of draws at a time: `count` picks of `count` things, with replacement."""
    rng = np.random.default_rng(seed)
    block = max(1, BLOCK // count)
    for done in range(0, draws, block):
        size = min(block, draws - done)
        picks = rng.integers(0, count, (size, count))
        picks += count * np.arange(size)[:, None]
        yield np.bincount(picks.ravel(), minlength=size * count).reshape(size, count).astype(np.float64)


def resampled_means(columns: Array, draws: int, seed: int) -> Array:
    """Means [draw, column] of resamples of the rows of columns [row, column]; nan in them is a value that is missing,
    and an infinite one makes the means of the resamples that hold it infinite.

    All columns see the same resamples, so the difference of two means is that of a paired bootstrap.
    """
    there = ~np.isnan(columns)
    full = there.all(axis=0)
    filled = np.ascontiguousarray(np.where(np.isfinite(columns), columns, 0.0).T)
    infinite = np.ascontiguousarray(np.where(np.isinf(columns), np.sign(columns), 0.0).T)
    rows = np.flatnonzero(infinite.any(axis=0))
    weights = np.ascontiguousarray(there[:, ~full].T, dtype=np.float64)
    means = []
    for counts in resamples(len(columns), draws, seed):
        # einsum, not @: a matrix product may round differently on another number of threads.
        total = np.einsum("dn,cn->dc", counts, filled)
        number = np.full(total.shape, float(len(columns)))
        number[:, ~full] = np.einsum("dn,cn->dc", counts, weights)
        with np.errstate(invalid="ignore", divide="ignore"):  # a resample may miss all that a column has
            mean = total / number
            for sign in (1.0, -1.0) if len(rows) else ():
                drawn = np.einsum("dn,cn->dc", counts[:, rows], (infinite[:, rows] == sign).astype(np.float64))
                mean = np.where(drawn > 0, mean + sign * inf, mean)
        means.append(mean)
    return np.concatenate(means)


def interval(draws: Array) -> tuple[float, float]:
    """The middle 95 % of bootstrap draws (the percentile interval); draws without a value do not count."""
    known = draws[~np.isnan(draws)]
    return percentile(known, 2.5), percentile(known, 97.5)


def pearson(x: Array, y: Array) -> float:
    """Correlation of x and y [n]; nan where one is constant."""
    return float(_pearson(_centred(x), _centred(y), np.ones((1, len(x))))[0])


def spearman(x: Array, y: Array) -> float:
    """Pearson of the ranks, where equal values share their mean rank; nan where one is constant."""
    return float(_spearman(_Ranks(x), _Ranks(y), np.ones((1, len(x))))[0])


def resampled_correlations(x: Array, y: Array, draws: int, seed: int) -> tuple[Array, Array]:
    """Pearson [draw] and Spearman [draw] of resamples of the pairs (x, y) [n]."""
    centred, ranks = (_centred(x), _centred(y)), (_Ranks(x), _Ranks(y))
    found = [(_pearson(*centred, counts), _spearman(*ranks, counts)) for counts in resamples(len(x), draws, seed)]
    return np.concatenate([r for r, _ in found]), np.concatenate([rho for _, rho in found])


def kendall(x: Array, y: Array) -> float:
    """Kendall's tau-b."""
    from scipy.stats import kendalltau

    with np.errstate(invalid="ignore", divide="ignore"):
        return float(kendalltau(x, y).statistic)


def spearman_within(x: Array, y: Array, labels: Array) -> float:
    """Mean over the labels [n] of the Spearman of what bears each; those where it is nan do not count."""
    order = np.argsort(labels, kind="stable")
    cuts = np.flatnonzero(np.diff(labels[order], prepend=labels[order[0]] - 1))
    lengths = np.diff(cuts, append=len(labels))
    parts = (order[a : a + n] for a, n in zip(cuts.tolist(), lengths.tolist(), strict=True) if n > 1)
    return mean([spearman(x[part], y[part]) for part in parts])


def spearman_of_means(x: Array, y: Array, labels: Array) -> float:
    """Spearman between the means of x and the means of y over what bears each label [n]; nan for fewer than three."""
    _, code = np.unique(labels, return_inverse=True)
    number = np.bincount(code)
    return spearman(np.bincount(code, x) / number, np.bincount(code, y) / number) if len(number) > 2 else nan


def triplets(first: Array, second: Array, x: Array, y: Array) -> float:
    """How often x and y order alike: over all sounds a and pairs {b, c} of others, the share in which x(a, b) < x(a, c)
    where y(a, b) < y(a, c). Equal y says nothing; equal x is half right. nan where there is no triplet.

    first, second: [n], numbers of the two sounds of each pair; x, y: [n] dissimilarities. A pair that is there twice,
    in either order, counts with its mean.
    """
    sounds, code = np.unique(np.concatenate([first, second]), return_inverse=True)
    size = len(sounds)
    a, b = code[: len(first)], code[len(first) :]
    apart = a != b
    places = np.concatenate([a * size + b, b * size + a])[np.tile(apart, 2)]
    number = np.bincount(places, minlength=size**2).reshape(size, size)
    with np.errstate(invalid="ignore"):
        square = [np.bincount(places, np.tile(v[apart], 2), size**2).reshape(size, size) / number for v in (x, y)]
    right = total = 0.0
    for own_x, own_y, there in zip(*square, number > 0, strict=True):
        xs, ys = own_x[there], own_y[there]
        sign = np.sign(xs[:, None] - xs) * np.sign(ys[:, None] - ys)
        asked = ys[:, None] != ys
        right += ((1 + sign[asked]) / 2).sum()
        total += asked.sum()
    return right / total if total else nan


def rmse_after_map(x: Array, y: Array) -> float:
    """Root mean square error of y [n] predicted from x [n] by the best rising map (isotonic regression).

    The map is fitted to the very values that it is judged on, so the error is a lower bound. Without any agreement it
    is the standard deviation of y.
    """
    from scipy.optimize import isotonic_regression

    _, code = np.unique(x, return_inverse=True)
    number = np.bincount(code)
    fitted = isotonic_regression(np.bincount(code, y) / number, weights=number.astype(np.float64)).x
    return float(np.sqrt(np.mean((y - fitted[code]) ** 2)))


def mean(values: list[float]) -> float:
    """Of those that are numbers; nan for none."""
    kept = [v for v in values if v == v]
    return float(np.mean(kept)) if kept else nan


class _Ranks:
    """Ranks of values [n] in resamples of them; what can be known before they are drawn is sorted once."""

    def __init__(self, values: Array) -> None:
        distinct, self.code = np.unique(values, return_inverse=True)
        self.order = np.argsort(self.code, kind="stable")
        self.starts = np.flatnonzero(np.diff(self.code[self.order], prepend=-1))
        self.all_differ = len(distinct) == len(values)

    def of(self, counts: Array) -> tuple[Array, Array]:
        """Ranks less their mean, [draw, n], and the sum of their squares [draw]: so many values lie below each, and
        half of its equals."""
        equals = counts[:, self.order]
        if not self.all_differ:
            equals = np.add.reduceat(equals, self.starts, axis=1)
        ranks = np.cumsum(equals, axis=1)
        ranks -= equals / 2
        ranks -= counts.shape[1] / 2  # the mean, exactly
        return np.take(ranks, self.code, axis=1), np.einsum("dn,dn,dn->d", equals, ranks, ranks)


def _spearman(x: _Ranks, y: _Ranks, counts: Array) -> Array:
    (rx, xx), (ry, yy) = x.of(counts), y.of(counts)
    return _ratio(np.einsum("dn,dn,dn->d", counts, rx, ry), xx, yy)


def _centred(x: Array) -> Array:
    d = x - x.mean()
    return np.where(np.abs(d) <= 1e-13 * np.abs(x).max(), 0.0, d)  # what differs by rounding alone is constant


def _pearson(x: Array, y: Array, counts: Array) -> Array:
    """x, y: less their means, so that moments lose no digits."""
    number = counts.shape[1]
    sx, sy, xx, yy, xy = (np.einsum("dn,n->d", counts, v) for v in (x, y, x * x, y * y, x * y))
    xx, yy = (np.where(s - m**2 / number > 1e-13 * s, s - m**2 / number, 0.0) for s, m in ((xx, sx), (yy, sy)))
    return _ratio(xy - sx * sy / number, xx, yy)


def _ratio(xy: Array, xx: Array, yy: Array) -> Array:
    power = xx * yy
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(power > 0, np.clip(xy / np.sqrt(power), -1.0, 1.0), nan)
