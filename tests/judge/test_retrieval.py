"""Retrieval: the vectors of the literature, closed forms, SciPy."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest
from scipy import stats

from audiosim.judge import retrieval
from audiosim.judge.retrieval import Choice


@pytest.mark.parametrize(
    ("ranks", "wanted"),
    [(range(1, 11), 1.0), (range(10, 0, -1), 0.2754), (range(2, 12), 0.6285), ([2, 1, *range(3, 11)], 0.9620)],
)
def test_rank_agreement(ranks, wanted, monkeypatch):
    """Worked out apart from this code, with the rounded exponents that LabROSA's page on these measures prints."""
    assert retrieval.rank_agreement(np.array(ranks)) == pytest.approx(wanted, abs=0.005)
    monkeypatch.setattr(retrieval, "REFERENCE", 0.5**0.33)
    monkeypatch.setattr(retrieval, "CANDIDATE", 0.5**0.67)
    assert retrieval.rank_agreement(np.array(ranks)) == pytest.approx(wanted, abs=5e-5)


def test_rank_agreement_of_chance():
    """Its mean over random permutations of n candidates is in closed form."""
    a, b = retrieval.REFERENCE, retrieval.CANDIDATE
    wanted = (a ** np.arange(1, 11)).sum() * np.mean(b ** np.arange(1, 400)) / (0.5 ** np.arange(1, 11)).sum()
    assert wanted == pytest.approx(0.0150, abs=3e-4)
    rng = np.random.default_rng(0)
    drawn = [retrieval.rank_agreement(1 + rng.permutation(399)) for _ in range(4000)]
    assert np.mean(drawn) == pytest.approx(wanted, abs=4 * np.std(drawn) / 4000**0.5)


def test_average_precision():
    assert retrieval.average_precision(np.array([1, 0, 1, 0, 0, 1], bool)) == pytest.approx((1 + 2 / 3 + 3 / 6) / 3)
    assert retrieval.average_precision(np.array([1, 1, 0], bool)) == 1.0
    assert isnan(retrieval.average_precision(np.zeros(4, bool)))


def test_precision():
    relevant = np.array([0, 1, 1, 0], bool)
    assert [retrieval.precision(relevant, k) for k in (1, 2, 3, 9)] == [0, 0.5, pytest.approx(2 / 3), 0.5]
    assert isnan(retrieval.precision(np.zeros(3, bool), 1))


def test_ranks():
    x = np.array([3.0, 1.0, 1.0, 2.0, np.inf])
    np.testing.assert_array_equal(retrieval.ranks(x), stats.rankdata(x))


@pytest.mark.parametrize(("right", "of"), [(0, 10), (3, 10), (10, 10), (40, 101)])
def test_wilson(right, of):
    found = retrieval.share(np.array([1.0] * right + [0.0] * (of - right) + [nan]))
    wanted = stats.binomtest(right, of).proportion_ci(method="wilson")
    assert (found.value, found.cases) == (right / of, of)
    assert (found.low, found.high) == pytest.approx((wanted.low, wanted.high), abs=1e-12)


def test_average_has_its_interval():
    x = np.random.default_rng(1).normal(5, 2, 400)
    found = retrieval.average(np.append(x, nan))
    assert found.value == pytest.approx(x.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
    assert isnan(retrieval.average(np.array([nan])).value)


def test_mcnemar():
    first = np.array([1] * 12 + [0] * 3 + [1] * 20 + [0] * 5 + [nan])
    second = np.array([0] * 12 + [1] * 3 + [1] * 20 + [0] * 5 + [1])
    assert retrieval.mcnemar(first, second) == (12, 3, pytest.approx(stats.binomtest(12, 15).pvalue))
    assert retrieval.mcnemar(first, first).p == 1.0


def test_choices():
    trials = [
        Choice(1.0, [2.0, 3.0, 4.0]),
        Choice(2.0, [1.0, 3.0, 4.0]),
        Choice(1.0, [1.0, 3.0, 0.5]),
        Choice(nan, [1.0]),
    ]
    found = retrieval.choices(trials)
    assert found.first.value == pytest.approx(1 / 3)
    assert found.by_chance == 0.25
    assert found.rank.value == pytest.approx((1 + 2 + 2.5) / 3)
    assert found.rank_by_chance == 2.5
    assert found.triplets.value == pytest.approx((3 + 2 + 1.5) / 9)


def test_first_place_of_a_tie():
    np.testing.assert_array_equal(
        retrieval.firsts([Choice(1.0, [1.0, 2.0]), Choice(1.0, [0.5, 1.0]), Choice(nan, [1.0])]), [0.5, 0, nan]
    )


def test_hubness_is_the_skewness():
    counts = np.random.default_rng(2).poisson(10, 500)
    assert retrieval.hubness(counts) == pytest.approx(stats.skew(counts))
    assert retrieval.hubness(np.full(9, 5)) == 0.0
