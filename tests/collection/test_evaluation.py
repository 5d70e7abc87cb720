"""Evaluation of methods: by brute force, and of distances whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.collection import evaluation, space
from audiosim.collection.evaluation import Method
from audiosim.collection.space import Space
from audiosim.collection.tables import Trial
from audiosim.judge import retrieval


def of(square: np.ndarray) -> Space:
    return Space(len(square), len(square), lambda p, to: square[p][to])


@pytest.fixture
def labelled():
    """(distances [60, 60], labels [60]): classes that overlap."""
    rng = np.random.default_rng(0)
    label = np.arange(60) % 4
    x = rng.normal(size=(4, 6))[label] + rng.normal(size=(60, 6))
    return np.sqrt(((x[:, None] - x) ** 2).sum(2)), label


def test_measures_by_brute_force(labelled):
    d, label = labelled
    found = evaluation.evaluate([Method(of(d), space.Plain())], 5, label)
    for q in range(60):
        others = [i for i in range(60) if i != q]
        ranked = sorted(others, key=lambda i: d[q, i])
        same = [label[i] == label[q] for i in ranked]
        assert found.first[0, q] == same[0]
        assert found.precision[0, q] == np.mean(same[:5])
        precisions = [np.mean(same[: r + 1]) for r in range(59) if same[r]]
        assert found.average_precision[0, q] == pytest.approx(np.mean(precisions))
        triplets = [d[q, i] < d[q, j] for i in others for j in others if label[i] == label[q] != label[j]]
        assert found.triplets[0, q] == pytest.approx(np.mean(triplets))
        assert found.chance[q] == pytest.approx(14 / 59)


def test_a_perfect_method_and_chance():
    label = np.repeat(np.arange(20), 5)
    rng = np.random.default_rng(1)
    noise = rng.random((100, 100))
    perfect = (label[:, None] != label) + noise
    found = evaluation.evaluate([Method(of(m), space.Plain()) for m in (perfect, noise)], 4, label, threads=2)
    assert found.first[0].mean() == found.precision[0].mean() == found.average_precision[0].mean() == 1.0
    assert found.triplets[0].mean() == 1.0
    chance = found.chance.mean()
    assert chance == pytest.approx(4 / 99)
    assert found.first[1].mean() == pytest.approx(chance, abs=0.06)
    assert found.triplets[1].mean() == pytest.approx(0.5, abs=0.06)
    test = retrieval.mcnemar(found.first[0], found.first[1])
    assert test.second == 0
    assert test.p < 1e-10


def test_agreement_of_methods(labelled):
    d, _ = labelled
    rng = np.random.default_rng(2)
    methods = [Method(of(m), space.Plain()) for m in (d, 2 * d + 1, d + 0.3 * rng.random(d.shape), rng.random(d.shape))]
    found = evaluation.evaluate(methods, 5).agreement.mean(2)
    np.testing.assert_allclose(found[0, :2], 1.0)
    np.testing.assert_allclose(np.diag(found), 1.0)
    assert found[0, 1] > found[0, 2] > 3 * found[0, 3]
    q = 7
    orders = [np.argsort(np.where(np.arange(60) == q, np.inf, m.space.row(q)))[:59] for m in methods]
    ranks = [1 + list(orders[2]).index(i) for i in orders[0][:10]]
    wanted = retrieval.rank_agreement(np.array(ranks))
    assert evaluation.evaluate(methods, 5).agreement[0, 2, q] == pytest.approx(wanted)


def test_unlabelled_and_lonely_items_ask_nothing(labelled):
    d, label = labelled
    label = label.copy()
    label[0], label[1] = -1, 77
    found = evaluation.evaluate([Method(of(d), space.Plain())], 5, label)
    assert np.isnan(found.first[0, :2]).all()
    assert np.isnan(found.average_precision[0, :2]).all()
    assert not np.isnan(found.first[0, 2:]).any()


def test_a_filter_makes_it_harder(labelled):
    """Items of an artist are near each other; without them, what is left is the label."""
    d, label = labelled
    artist = np.arange(60) // 8
    near = d - 3 * (artist[:, None] == artist)
    label = artist // 2
    method = Method(of(near), space.Plain())
    open_, filtered = (evaluation.evaluate([method], 5, label, group) for group in (None, artist))
    assert open_.first[0].mean() > 0.9
    assert filtered.first[0][:48].mean() < 0.6


def test_choices(labelled):
    d, _ = labelled
    trials = [Trial(3, 5, (8, 9)), Trial(3, 8, (5,)), Trial(40, 2, (1,))]
    scaled = space.scaling("mp", of(d))
    found = evaluation.evaluate([Method(of(d), space.Plain()), Method(of(d), scaled)], 5, trials=trials).choices
    assert found[0] == [
        retrieval.Choice(d[3, 5], [d[3, 8], d[3, 9]]),
        retrieval.Choice(d[3, 8], [d[3, 5]]),
        retrieval.Choice(d[40, 2], [d[40, 1]]),
    ]
    row = scaled.scaled(40, d[40])
    assert found[1][2] == retrieval.Choice(row[2], [row[1]])
