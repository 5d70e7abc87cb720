"""Retrieval: how well distances find what belongs together. Arrays in, numbers out.

A ranking is an array of items, the nearest first. Measures that a query does not have, such as the precision where
nothing is relevant, are nan.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import inf, nan, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .statistics import interval, resampled_means

Array = NDArray[Any]

TOP = 10  # ranks of the reference that the agreement of two rankings goes by
REFERENCE = 0.5 ** (1 / 3)  # what a rank counts less than the one before it, in the reference
CANDIDATE = 0.5 ** (2 / 3)  # the same in the ranking that is judged
NORMAL = 1.959963984540054  # standard deviations that hold the middle 95 %
DRAWS, SEED = 1000, 1


class Estimate(NamedTuple):
    """A mean over so many `cases`, and its 95 % interval."""

    value: float
    low: float
    high: float
    cases: int


class McNemar(NamedTuple):
    """Cases that only the first, or only the second, of two methods got right, and the two-sided exact p value."""

    first: int
    second: int
    p: float


def share(right: Array) -> Estimate:
    """The share of what is right [case], truth or nan, with Wilson's interval: Wilson 1927, J. Am. Stat. Assoc. 22,
    209-212. A half, for a tie, counts as a half."""
    known = right[~np.isnan(right.astype(np.float64))].astype(np.float64)
    n = len(known)
    if n == 0:
        return Estimate(nan, nan, nan, 0)
    p = float(known.mean())
    centre = p + NORMAL**2 / (2 * n)
    half = NORMAL * sqrt(p * (1 - p) / n + NORMAL**2 / (4 * n * n))
    scale = 1 + NORMAL**2 / n
    return Estimate(p, max((centre - half) / scale, 0.0), min((centre + half) / scale, 1.0), n)


def average(values: Array) -> Estimate:
    """The mean of values [case], nan for those without one, with the percentile interval of the bootstrap."""
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return Estimate(nan, nan, nan, 0)
    low, high = interval(resampled_means(known[:, None], DRAWS, SEED)[:, 0])
    return Estimate(float(known.mean()), low, high, len(known))


def precision(relevant: Array, k: int) -> float:
    """Of the first k of a ranking, the share that is relevant; relevant: truth [rank]. nan where none is at all."""
    return float(relevant[:k].sum() / min(k, len(relevant))) if relevant.any() else nan


def average_precision(relevant: Array) -> float:
    """The mean, over all that is relevant, of the precision at its rank; relevant: truth [rank] of all items. nan where
    none is. Its mean over queries is MAP."""
    ranks = np.flatnonzero(relevant) + 1
    return float((np.arange(1, len(ranks) + 1) / ranks).mean()) if len(ranks) else nan


def rank_agreement(ranks: Array, top: int = TOP) -> float:
    """Top-N rank agreement of a candidate with a reference, 1 where both begin alike: sum of a^r b^k over the first N
    of the reference, r their rank there and k in the candidate, over the largest such sum; a = .5^(1/3), b = a^2.
    Berenzweig, Logan, Ellis and Whitman 2004, Computer Music Journal 28(2), 63-76.

    ranks: from 1, [r], what the candidate gives to the r-th of the reference. Not symmetric.
    """
    first = np.asarray(ranks, np.float64)[:top]
    if len(first) == 0:
        return nan
    r = np.arange(1, len(first) + 1)
    return float((REFERENCE**r * CANDIDATE**first).sum() / ((REFERENCE * CANDIDATE) ** r).sum())


def ranks(distances: Array) -> Array:
    """The rank of each item [item], from 1; equal distances share their mean rank."""
    distinct, code, number = np.unique(distances, return_inverse=True, return_counts=True)
    del distinct
    last = np.cumsum(number)
    return ((last - number + 1 + last) / 2)[code]


class Choice(NamedTuple):
    """Somebody was asked what is most like a target, and chose one of several. Distances of a measure from the target:
    of the one that was chosen, and of the others that were offered."""

    chosen: float
    others: Sequence[float]


class Choices(NamedTuple):
    """first: how often the measure has the chosen one nearest (its share of a tie); by chance `by_chance`. rank: the
    mean rank that it gives it; by chance `rank_by_chance`. triplets: how often it is nearer than another."""

    first: Estimate
    by_chance: float
    rank: Estimate
    rank_by_chance: float
    triplets: Estimate


def firsts(choices: Sequence[Choice]) -> Array:
    """For each choice 1 where the measure has the chosen one nearest, 0 where not, its share of a tie; nan without a
    distance."""
    return np.array([_first(c) for c in choices])


def choices(trials: Sequence[Choice]) -> Choices:
    """First-place agreement, average response rank and triplet agreement (Ellis, Whitman, Berenzweig and Lawrence 2002,
    ISMIR). Intervals hold for trials that do not depend on each other."""
    known = [c for c in trials if not np.isnan([c.chosen, *c.others]).any()]
    offered = np.array([1.0 + len(c.others) for c in known])
    every = [_nearer(c.chosen, other) for c in known for other in c.others]
    ranked = [1 + sum(1 - _nearer(c.chosen, other) for other in c.others) for c in known]
    return Choices(
        share(firsts(known)),
        float((1 / offered).mean()) if known else nan,
        average(np.array(ranked)),
        float(((offered + 1) / 2).mean()) if known else nan,
        share(np.array(every)),
    )


def _first(c: Choice) -> float:
    if np.isnan([c.chosen, *c.others]).any():
        return nan
    nearest = min(c.others, default=inf)
    return 0.0 if nearest < c.chosen else 1 / (1 + sum(other == c.chosen for other in c.others))


def _nearer(chosen: float, other: float) -> float:
    return 0.5 if chosen == other else float(chosen < other)


def mcnemar(first: Array, second: Array) -> McNemar:
    """Whether two methods are right equally often in the same cases: right or not, [case], 1 or 0; others do not count.
    McNemar 1947, Psychometrika 12, 153-157, by the binomial distribution, exactly."""
    from scipy.stats import binomtest

    known = np.isin(first, (0, 1)) & np.isin(second, (0, 1))
    a, b = first[known] == 1, second[known] == 1
    only_a, only_b = int((a & ~b).sum()), int((b & ~a).sum())
    p = float(binomtest(only_a, only_a + only_b).pvalue) if only_a + only_b else 1.0
    return McNemar(only_a, only_b, p)


def hubness(occurrences: Array) -> float:
    """Skewness of how often each item is among the nearest of others [item]: 0 where all are equally often, above 1
    where a few are neighbours of many. Radovanovic, Nanopoulos and Ivanovic 2010, JMLR 11, 2487-2531."""
    apart = occurrences - np.mean(occurrences)
    power = float(np.mean(apart**2)) if len(apart) else 0.0
    return float(np.mean(apart**3)) / power**1.5 if power > 0 else 0.0
