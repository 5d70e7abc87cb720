"""How far a set of points lies from a reference set: the numbers that are told of generated sound.

Points are [point, feature]; `files` [point] says of which recording each is, as whole numbers from 0 on that never
descend. Everything is computed in float64, in one order on any number of threads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dsp import covariance
from ..engine.pairwise import squared_distances
from ..engine.threads import in_threads
from ..errors import UsageError

Array = NDArray[Any]

NEAREST = 5  # neighbours that reach as far as a point's manifold (Naeem et al. 2020)
SCALE = 100.0  # of the kernel distance, as kadtk
ROWS = 256  # points whose distances from all others are held at a time
MEDIAN_OF = 2048  # points at most, evenly spaced, of whose distances the bandwidth is the median
SIZES = 10  # of subsets, from a third of the files to all of them, from which an infinite set is extrapolated
SUBSETS = 4  # of each size
LEAST_FILES = 8  # of both sets, for that
GROUPS = 2000  # at most, that are drawn of a set: of more recordings some are drawn together, which bounds the memory
INTERVAL = 2.5, 97.5  # per cent
SEED = 0


def frechet(ref: Any, test: Any) -> float:
    """Squared Fréchet distance of the Gaussians with the means and sample covariances of two sets of points, in squared
    units of the features: Dowson and Landau 1982, as Heusel et al. 2017 and Kilgour et al. 2019 use it. At least 0.

    UsageError for fewer than two points in a set, or of different features.
    """
    a, b = _points(ref, test, least=2)
    return covariance.frechet(covariance.deviations(a), covariance.deviations(b))


def kernel_distance(ref: Any, test: Any, bandwidth: float | None = None) -> float:
    """Kernel audio distance (Chung et al. 2025, arXiv 2502.15602): 100 times the unbiased estimate of the squared
    maximum mean discrepancy (Gretton et al. 2012, Journal of Machine Learning Research 13, 723-773, eq. 3) under a
    Gaussian kernel. Being unbiased it is near 0 for sets of one kind, and as often below it as above.

    bandwidth: standard deviation of the kernel; the median distance between points of the reference unless given.
    """
    a, b = _points(ref, test, least=2)
    width = median_distance(a) if bandwidth is None else bandwidth
    n, m = np.array([len(a)]), np.array([len(b)])
    sums = [_kernel_sums(x, y, width) for x, y in ((a, a), (b, b), (a, b))]
    return _discrepancy(sums[0], sums[1], sums[2], n, m)


def median_distance(points: Any) -> float:
    """The median of the distances between points; of two in the middle the smaller. 1 where all are equal."""
    x = np.asarray(points, np.float64)
    if len(x) > MEDIAN_OF:
        x = x[np.linspace(0, len(x) - 1, MEDIAN_OF).round().astype(int)]
    square = squared_distances(x, x)[np.triu_indices(len(x), 1)]
    middle = (square.size - 1) // 2
    return float(np.sqrt(np.partition(square, middle)[middle])) or 1.0


def divergence(ref: Any, test: Any) -> float:
    """Kullback-Leibler divergence KL(reference || test) in nats of Gaussians with the means and shrunk covariances
    (Ledoit and Wolf 2004) of two sets of points: large where the test lacks what the reference has."""
    a, b = _points(ref, test, least=2)
    return covariance.divergence(covariance.shrunk(a), covariance.shrunk(b))


@dataclass(frozen=True, slots=True)
class Manifolds:
    """How far two sets cover one another, with balls around each point that reach as far as its k-th nearest neighbour
    in another recording of its own set.

    precision: share of the test's points that lie in a ball of the reference; recall: the other way round (Kynkäänniemi
    et al. 2019, arXiv 1904.06991). density: of how many such balls a point of the test lies in, by k; above 1 where it
    crowds where the reference is dense. coverage: share of the reference's balls that hold a point of the test (Naeem
    et al. 2020, arXiv 2002.09797). Each [point] of the set that it is a mean over.
    """

    precision: Array
    recall: Array
    density: Array
    coverage: Array


def manifolds(ref: Any, test: Any, nearest: int = NEAREST, files: tuple[Array, Array] | None = None) -> Manifolds:
    """Windows of one recording are alike, so that they are no neighbours; where files are not given, each point is a
    recording. nan in all where a set has no more than `nearest` points in other recordings than that of some point."""
    a, b = _points(ref, test)
    return _Distances(a, b, files or (np.arange(len(a)), np.arange(len(b))), nearest).manifolds


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number, and the bounds of 95 % of such numbers when recordings are drawn anew; nan: not to be had."""

    value: float
    low: float = nan
    high: float = nan


@dataclass(frozen=True, slots=True, kw_only=True)
class Distances:
    """frechet_infinite: extrapolated to infinitely many recordings. influence [recording of the test]: by how much the
    Fréchet distance would be smaller without it, less what that is on average, to first order."""

    frechet: Estimate
    frechet_infinite: float
    kernel: Estimate
    precision: Estimate
    recall: Estimate
    density: Estimate
    coverage: Estimate
    divergence: float
    influence: Array


class Reference:
    """A set of points that others are held against. draws: of the bootstrap; 0: no intervals."""

    def __init__(self, points: Any, files: Array, *, nearest: int = NEAREST, draws: int = 200) -> None:
        self.points, self.files, self.groups = np.asarray(points, np.float64), files, _groups(files)
        self.nearest, self.draws = nearest, draws
        self.gaussian = covariance.deviations(self.points)
        self.width = median_distance(self.points)
        self.own = _within(self.points, files, nearest, self.width)

    def distances(self, points: Any, files: Array, threads: int = 1) -> Distances:
        """Of the points of a test."""
        _, b = _points(self.points, points, least=2)
        found = _Distances(self.points, b, (self.files, files), self.nearest, self.width, self.own, threads)
        theirs = covariance.deviations(b)
        value = covariance.frechet(self.gaussian, theirs)
        influence = (
            _by_file(covariance.frechet_influence(self.gaussian, theirs, b), files) * _counts(files) / len(files)
        )
        draws = [*self._drawn(b, files, found)]
        drawn = np.array(draws).reshape(-1, 2)
        m = found.manifolds
        return Distances(
            frechet=_estimate(value, drawn[:, 0], least=0.0),
            frechet_infinite=self._infinite(b, files),
            kernel=_estimate(found.kernel, drawn[:, 1]),
            precision=self._mean(m.precision, files),
            recall=self._mean(m.recall, self.files),
            density=self._mean(m.density, files),
            coverage=self._mean(m.coverage, self.files),
            divergence=covariance.divergence(covariance.shrunk(self.points), covariance.shrunk(b)),
            influence=influence - influence.mean(),
        )

    def _drawn(self, points: Array, files: Array, found: _Distances) -> Iterator[tuple[float, float]]:
        """Fréchet and kernel distances of recordings drawn with replacement from both sets."""
        rng = np.random.default_rng(SEED)
        groups = _groups(files)
        sizes = _counts(self.groups), _counts(groups)
        if min(map(len, sizes)) < 2:
            return
        for _ in range(self.draws):
            w1, w2 = (np.bincount(rng.integers(0, len(n), len(n)), minlength=len(n)) for n in sizes)
            if min((w1 * sizes[0]).sum(), (w2 * sizes[1]).sum()) < 2:
                continue
            kernel = _discrepancy(*found.sums, *sizes, w1, w2)
            yield _plain_frechet(self.points, w1[self.groups], points, w2[groups]), kernel

    def _infinite(self, points: Array, files: Array) -> float:
        """The distance of subsets of both sets against one by their size, continued to 0 on a straight line (Chong and
        Forsyth 2020, arXiv 1911.07023, who fit it for the test alone)."""
        counts = [len(_counts(f)) for f in (self.files, files)]
        if min(counts) < LEAST_FILES:
            return nan
        rng = np.random.default_rng(SEED)
        inverse, values = [], []
        for share in np.linspace(1 / 3, 1, SIZES):
            for _ in range(SUBSETS if share < 1 else 1):
                some = [rng.permutation(n)[: max(2, round(share * n))] for n in counts]
                w1, w2 = (np.isin(f, chosen).astype(int) for f, chosen in zip((self.files, files), some, strict=True))
                if min(w1.sum(), w2.sum()) > 1:
                    inverse.append(1 / share)
                    values.append(_plain_frechet(self.points, w1, points, w2))
        x, y = np.array(inverse) - np.mean(inverse), np.array(values)
        return max(0.0, float(y.mean() - np.mean(inverse) * (x @ y) / (x @ x)))

    def _mean(self, x: Array, files: Array) -> Estimate:
        """Mean over points, and its interval over recordings."""
        if np.isnan(x).any():
            return Estimate(value=nan)
        counts, sums = _counts(files), np.bincount(files, x)
        if len(counts) < 2 or not self.draws:
            return Estimate(value=float(x.mean()))
        picks = np.random.default_rng(SEED).integers(0, len(counts), (self.draws, len(counts)))
        return _estimate(float(x.mean()), sums[picks].sum(1) / np.maximum(counts[picks].sum(1), 1), centred=False)


class _Distances:
    """Everything that the distances of all points from all others say."""

    def __init__(
        self,
        ref: Array,
        test: Array,
        files: tuple[Array, Array],
        nearest: int,
        width: float = 1.0,
        own: tuple[Array, Array] | None = None,
        threads: int = 1,
    ) -> None:
        radii, mine = own or _within(ref, files[0], nearest, width)
        reach, theirs = _within(test, files[1], nearest, width, threads)
        inside = np.zeros(len(test))
        recall, coverage = np.zeros(len(ref)), np.zeros(len(ref))
        groups = _groups(files[0]), _groups(files[1])
        across = np.zeros((groups[0][-1] + 1, groups[1][-1] + 1))

        def block(first: int) -> tuple[Array, Sums]:
            rows = slice(first, first + ROWS)
            square = squared_distances(ref[rows], test)
            recall[rows] = (square < reach).any(1)
            coverage[rows] = square.min(1) < radii[rows]
            return (square < radii[rows, None]).sum(0), _sums(square, width, groups[0][rows], groups[1])

        for count, (place, sums) in in_threads(block, range(0, len(ref), ROWS), threads):
            inside += count
            across[place] += sums
        known = not (np.isnan(radii).any() or np.isnan(reach).any())
        precise = (inside > 0).astype(float)
        found = precise, recall, inside / nearest, coverage
        self.manifolds = Manifolds(*(x if known else np.full(len(x), nan) for x in found))
        self.sums = mine, theirs, across
        self.kernel = _discrepancy(*self.sums, *map(_counts, groups))


def _within(x: Array, files: Array, nearest: int, width: float, threads: int = 1) -> tuple[Array, Array]:
    """Squared distances of points from the nearest-th one of another recording [point], nan where there is none, and
    sums of the kernel between groups of recordings [group, group]."""
    radii = np.full(len(x), nan)
    groups = _groups(files)
    sums = np.zeros((groups[-1] + 1,) * 2)

    def block(first: int) -> Sums:
        rows = slice(first, first + ROWS)
        square = squared_distances(x[rows], x)
        part = _sums(square, width, groups[rows], groups)
        square[files[rows, None] == files] = np.inf
        if nearest <= len(x):
            kth = np.partition(square, nearest - 1, axis=1)[:, nearest - 1]
            radii[rows] = np.where(np.isfinite(kth), kth, nan)
        return part

    for place, part in in_threads(block, range(0, len(x), ROWS), threads):
        sums[place] += part
    return radii, sums


Sums = tuple[tuple[Array, ...], Array]  # their places in the matrix of all groups, and they


def _sums(square: Array, width: float, rows: Array, columns: Array) -> Sums:
    """Sums of the Gaussian kernel over the points of each two groups of recordings, those of the rows and all."""
    kernel = np.exp(square * (-0.5 / width**2))
    own, other = _starts(rows), _starts(columns)
    found = np.add.reduceat(np.add.reduceat(kernel, own, axis=0), other, axis=1)
    return np.ix_(rows[own], columns[other]), found


def _groups(files: Array) -> Array:
    """Of points: the recording, or one of GROUPS groups of as many successive recordings each."""
    count = int(files[-1]) + 1
    return files if count <= GROUPS else files * GROUPS // count


def _starts(files: Array) -> Array:
    return np.flatnonzero(np.diff(files, prepend=-1))


def _kernel_sums(a: Array, b: Array, width: float) -> Array:
    """Of all points, as if each set were one recording."""
    files = np.zeros(max(len(a), len(b)), int)
    blocks = (squared_distances(a[i : i + ROWS], b) for i in range(0, len(a), ROWS))
    return np.asarray(sum(_sums(x, width, files[: len(x)], files[: len(b)])[1] for x in blocks))


def _discrepancy(
    first: Array, second: Array, across: Array, n: Array, m: Array, w: Array | None = None, v: Array | None = None
) -> float:
    """100 times the unbiased squared discrepancy of sums of the kernel between groups of recordings, which are there w
    and v times; a point and its copies are no pair. n, m: points of each group."""
    w, v = (np.ones(len(k)) if x is None else x.astype(float) for k, x in ((n, w), (m, v)))

    def within(sums: Array, w: Array, n: Array) -> float:
        same = (w * w * n).sum()
        return float((np.einsum("i,ij,j->", w, sums, w) - same) / ((w * n).sum() ** 2 - same))

    between = np.einsum("i,ij,j->", w, across, v) / ((w * n).sum() * (v * m).sum())
    return SCALE * (within(first, w, n) + within(second, v, m) - 2 * float(between))


def _plain_frechet(a: Array, w1: Array, b: Array, w2: Array) -> float:
    return covariance.frechet(*(covariance.deviations(x[w > 0], w[w > 0]) for x, w in ((a, w1), (b, w2))))


def _estimate(value: float, drawn: Array, least: float = -np.inf, centred: bool = True) -> Estimate:
    """centred: the draws are moved so that their mean is the value: copies of recordings make sets seem narrower."""
    if not len(drawn) or np.isnan(value):
        return Estimate(value=value)
    low, high = np.percentile(drawn, INTERVAL) + (value - drawn.mean() if centred else 0.0)
    return Estimate(value=value, low=max(least, float(low)), high=float(high))


def _counts(files: Array) -> Array:
    return np.bincount(files)


def _by_file(x: Array, files: Array) -> Array:
    """Means over the points of each recording."""
    return np.bincount(files, x) / np.maximum(_counts(files), 1)


def _points(ref: Any, test: Any, least: int = 1) -> tuple[Array, Array]:
    a, b = (np.asarray(x, np.float64) for x in (ref, test))
    for name, x in (("reference", a), ("test", b)):
        if x.ndim != 2 or len(x) < least or not x.shape[1]:
            raise UsageError(f"{name}: points are [point, feature], at least {least} of them, not {list(x.shape)}")
        if not np.isfinite(x).all():
            raise UsageError(f"{name}: a point is NaN or infinite")
    if a.shape[1] != b.shape[1]:
        raise UsageError(f"the reference has {a.shape[1]} features, the test {b.shape[1]}; they need the same")
    return a, b
