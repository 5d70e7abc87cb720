"""Statistics: against SciPy, and against texts that do the same in the slow and obvious way."""

from __future__ import annotations

import itertools
from math import inf, isnan, nan

import numpy as np
import pytest
from scipy import stats

from audiosim.judge import statistics


def numbers(seed, size=60, ties=False):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=size)
    y = x + rng.normal(size=size)
    return (np.round(x, 1), np.round(y)) if ties else (x, y)


@pytest.mark.parametrize("share", [0, 2.5, 33, 50, 95, 100])
@pytest.mark.parametrize("size", [1, 2, 7, 60])
def test_percentiles_are_numpys(share, size):
    x = numbers(1, size)[0]
    assert statistics.percentile(x, share) == pytest.approx(np.percentile(x, share), rel=1e-14)


def test_percentiles_of_infinite_values():
    x = np.array([1.0, inf, 3.0, inf])
    assert [statistics.percentile(x, q) for q in (0, 50, 100)] == [1.0, inf, inf]
    assert statistics.percentile(np.array([-inf, 1.0]), 50) == -inf
    assert statistics.percentile(np.array([inf, inf]), 50) == inf
    assert isnan(statistics.percentile(np.array([]), 50))


@pytest.mark.parametrize("ties", [False, True])
def test_correlations_are_scipys(ties):
    x, y = numbers(2, ties=ties)
    assert statistics.pearson(x, y) == pytest.approx(stats.pearsonr(x, y)[0], rel=1e-12)
    assert statistics.spearman(x, y) == pytest.approx(stats.spearmanr(x, y)[0], rel=1e-12)
    assert statistics.kendall(x, y) == pytest.approx(kendall(x, y), rel=1e-12)
    assert statistics.spearman(x, -y) == -statistics.spearman(x, y)
    assert statistics.spearman(x, x) == 1.0


def kendall(x, y):
    """Tau-b, pair by pair."""
    pairs = list(itertools.combinations(range(len(x)), 2))
    sx, sy = (np.array([np.sign(v[i] - v[j]) for i, j in pairs]) for v in (x, y))
    return (sx * sy).sum() / np.sqrt((sx**2).sum() * (sy**2).sum())


def test_what_is_constant_correlates_with_nothing():
    x, y = numbers(3)
    for constant in (np.full(len(x), 0.1), np.full(len(x), 1e9 / 3)):
        assert isnan(statistics.pearson(constant, y))
        assert isnan(statistics.spearman(constant, y))
        assert isnan(statistics.kendall(constant, y))
        assert np.isnan(statistics.resampled_correlations(constant, y, 20, 0)).all()


@pytest.mark.parametrize("ties", [False, True])
def test_resampled_correlations_are_those_of_drawn_pairs(ties):
    x, y = numbers(4, 40, ties)
    found = statistics.resampled_correlations(x, y, 30, seed=5)
    rng = np.random.default_rng(5)
    for r, rho in zip(*found, strict=True):
        at = rng.integers(0, len(x), len(x))
        assert r == pytest.approx(stats.pearsonr(x[at], y[at])[0], rel=1e-10)
        assert rho == pytest.approx(stats.spearmanr(x[at], y[at])[0], rel=1e-10)


def test_resamples_do_not_depend_on_the_block(monkeypatch):
    at_once = np.concatenate(list(statistics.resamples(37, 25, 3)))
    monkeypatch.setattr(statistics, "BLOCK", 100)
    assert (np.concatenate(list(statistics.resamples(37, 25, 3))) == at_once).all()
    assert (at_once.sum(axis=1) == 37).all()


def test_resampled_means_leave_out_what_is_missing():
    x = np.stack(numbers(6, 30), axis=1)
    x[3:9, 1] = nan
    means = statistics.resampled_means(x, 50, seed=7)
    rng = np.random.default_rng(7)
    for found in means:
        at = rng.integers(0, 30, 30)
        assert found == pytest.approx(np.nanmean(x[at], axis=0), rel=1e-12)


def test_an_infinite_value_makes_the_means_infinite_that_hold_it():
    x = np.array([[1.0, 1.0], [2.0, inf], [3.0, -inf], [4.0, nan]])
    means = statistics.resampled_means(x, 200, seed=3)
    rng = np.random.default_rng(3)
    with np.errstate(invalid="ignore"):
        for found in means:
            part = x[rng.integers(0, 4, 4)]
            kept = part[~np.isnan(part[:, 1]), 1]
            wanted = kept.mean() if len(kept) else nan
            assert found == pytest.approx([part[:, 0].mean(), wanted], rel=1e-12, nan_ok=True)
    assert statistics.interval(np.array([inf, 1.0, nan])) == (inf, inf)


def test_an_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(8)
    held = 0
    for _ in range(200):
        low, high = statistics.interval(statistics.resampled_means(rng.normal(size=(60, 1)), 200, 0)[:, 0])
        held += low <= 0.0 <= high
    assert 0.88 <= held / 200 <= 0.99  # 0.95, and what chance does to 200 tries


def test_spearman_within_and_of_means():
    x, y = numbers(9, 24)
    labels = np.arange(24) % 5
    labels[-1] = 77  # alone: does not count
    each = [stats.spearmanr(x[labels == i], y[labels == i])[0] for i in range(5)]
    assert statistics.spearman_within(x, y, labels) == pytest.approx(np.mean(each), rel=1e-12)
    means = [[v[labels == i].mean() for i in (*range(5), 77)] for v in (x, y)]
    assert statistics.spearman_of_means(x, y, labels) == pytest.approx(stats.spearmanr(*means)[0], rel=1e-12)
    assert isnan(statistics.spearman_of_means(x, y, labels * 0))


def test_triplets_one_by_one():
    names = list(itertools.combinations(range(7), 2))[:-3]  # some pairs nobody rated
    first, second = np.array(names).T
    x, y = numbers(10, len(names))
    y = np.round(y, 1)
    right = total = 0
    for a in range(7):
        others = {b if a == c else c: k for k, (b, c) in enumerate(names) if a in (b, c)}
        for i, j in itertools.combinations(others.values(), 2):
            if y[i] != y[j]:
                total += 1
                right += (x[i] < x[j]) == (y[i] < y[j])
    assert statistics.triplets(first, second, x, y) == pytest.approx(right / total, rel=1e-12)
    assert statistics.triplets(second, first, x, y) == pytest.approx(right / total, rel=1e-12)
    assert statistics.triplets(first, second, y, y) == 1.0
    assert statistics.triplets(first, second, -y, y) == 0.0
    assert statistics.triplets(first, second, 0 * y, y) == 0.5
    assert isnan(statistics.triplets(first[:1], second[:1], x[:1], y[:1]))


def test_a_monotone_map_takes_away_only_what_is_monotone():
    x = np.array([1.0, 2.0, 3.0, 4.0])
    assert statistics.rmse_after_map(x, np.exp(x)) == pytest.approx(0.0, abs=1e-12)
    assert statistics.rmse_after_map(x, np.array([0.0, 2.0, 1.0, 3.0])) == pytest.approx(np.sqrt(0.5 / 4))
    assert statistics.rmse_after_map(x, -x) == pytest.approx(np.std(x))
    # Equal x can only have one answer, however they are ordered.
    assert statistics.rmse_after_map(np.array([1.0, 1.0]), np.array([0.0, 1.0])) == pytest.approx(0.5)
