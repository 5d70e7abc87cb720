"""Neighbours: by brute force, and of made points whose hubs are known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from audiosim import Signal, metrics
from audiosim.collection import neighbours, space
from audiosim.collection.space import Space
from audiosim.testing.signals import COMPILED
from tests.metrics.test_timbre import RATE, TIMBRE, sounds


def euclidean(x: np.ndarray, items: int | None = None) -> Space:
    def between(p, to):
        return np.sqrt(((x[p] - x[: items or len(x)][to]) ** 2).sum(1))

    return Space(len(x), items or len(x), between)


def square(s: Space) -> np.ndarray:
    return np.array([s.row(p) for p in range(s.points)])


def gaussian_proximity(d: np.ndarray) -> np.ndarray:
    beyond = stats.norm.sf(d, d.mean(1)[:, None], d.std(1, ddof=1)[:, None])
    return 1 - beyond * beyond.T


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(80, 40))


def test_nearest_by_brute_force(points):
    s = euclidean(points)
    found = neighbours.find(s, range(80), 5, space.Plain(), threads=2)
    d = square(s) + np.where(np.eye(80), np.inf, 0)
    np.testing.assert_array_equal(found.nearest, np.argsort(d, axis=1)[:, :5])
    np.testing.assert_array_equal(found.distances, np.sort(d, axis=1)[:, :5])
    np.testing.assert_array_equal(found.occurrences, np.bincount(found.nearest.ravel(), minlength=80))


def test_mutual_proximity_by_brute_force(points):
    s = euclidean(points)
    d = square(s)
    wanted = gaussian_proximity(d)
    made = space.scaling("mp", s)
    np.testing.assert_allclose([made.scaled(p, d[p]) for p in range(80)], wanted, atol=1e-12)


def test_empiric_mutual_proximity_by_brute_force(points):
    s = euclidean(np.round(points[:, :3], 1))  # with ties
    d = square(s)
    beyond = (d[:, None, :] > d[:, :, None]).mean(2)  # [x, y]: share of z farther from x than y is
    made = space.scaling("mp-empiric", s)
    np.testing.assert_allclose([made.scaled(p, d[p]) for p in range(80)], 1 - beyond * beyond.T, atol=1e-12)


def test_nicdm_by_brute_force(points):
    s = euclidean(points)
    d = square(s)
    radius = np.sort(d, axis=1)[:, 1:8].mean(1)
    made = space.scaling("nicdm", s)
    np.testing.assert_allclose([made.scaled(p, d[p]) for p in range(80)], d / np.sqrt(np.outer(radius, radius)))


def hubs() -> Space:
    """400 points of 60 dimensions, where those near the middle are neighbours of very many."""
    return euclidean(np.random.default_rng(1).normal(size=(400, 60)))


@pytest.mark.parametrize("name", ["mp", "mp-empiric", "nicdm"])
def test_scalings_even_out_hubs(name):
    s = hubs()
    found = neighbours.find(s, range(400), 5, space.scaling(name, s))
    assert found.plain_hubness > 2.5
    assert found.hubness < found.plain_hubness / 2
    assert found.occurrences.max() < found.plain_occurrences.max() / 2


@pytest.mark.parametrize("name", ["none", "mp", "mp-empiric", "nicdm"])
def test_any_number_of_threads(name):
    s = hubs()
    one, two = (neighbours.find(s, range(400), 5, space.scaling(name, s, t), threads=t) for t in (1, 2))
    np.testing.assert_array_equal(one.nearest, two.nearest)
    np.testing.assert_array_equal(one.scaled, two.scaled)


@pytest.mark.parametrize("name", ["none", "mp", "mp-empiric", "nicdm"])
def test_small_and_equal_collections(name):
    for x in (np.zeros((1, 3)), np.zeros((2, 3)), np.zeros((5, 3)), np.arange(6.0).reshape(2, 3)):
        s = euclidean(x)
        found = neighbours.find(s, range(len(x)), 3, space.scaling(name, s))
        kept = min(3, len(x) - 1)
        assert (found.nearest[:, :kept] >= 0).all()
        assert (found.nearest[:, kept:] == -1).all()
        assert not np.isnan(found.scaled[:, :kept]).any()


@pytest.mark.parametrize("name", ["none", "mp", "mp-empiric", "nicdm"])
def test_unknown_distances_are_no_neighbours(name, points):
    def between(p, to):
        d = np.sqrt(((points[p] - points[to]) ** 2).sum(1))
        number = np.arange(80)[to]
        return np.where((number == 7) | (p == 7) & (number != 7), np.nan, d)

    s = Space(80, 80, between)
    found = neighbours.find(s, range(80), 4, space.scaling(name, s))
    assert not (found.nearest == 7).any()
    assert (found.nearest[7] == -1).all()
    assert (np.delete(found.nearest, 7, 0) >= 0).all()


def test_groups_are_left_out(points):
    s = euclidean(points)
    group = np.arange(80) // 4
    group[:4] = -1
    found = neighbours.find(s, range(80), 70, space.Plain(), group)
    assert found.nearest[10, 69] >= 0
    for p in range(4, 80):
        assert not (group[found.nearest[p]] == group[p]).any()
    assert {1, 2, 3} <= set(found.nearest[0])


@pytest.mark.parametrize("name", ["none", "mp", "mp-empiric", "nicdm"])
def test_queries_from_outside(name, points):
    """They change nothing among the items, and one that is a copy of an item has its neighbours."""
    inside = euclidean(points)
    both = euclidean(np.concatenate([points, points[3:4]]), items=80)
    wanted = neighbours.find(inside, range(80), 6, space.scaling(name, inside))
    found = neighbours.find(both, [*range(80), 80], 6, space.scaling(name, both))
    np.testing.assert_array_equal(found.nearest[:80], wanted.nearest)
    assert found.nearest[80, 0] == 3
    if name != "nicdm":  # whose neighbourhood has the item itself
        np.testing.assert_array_equal(found.nearest[80, 1:], wanted.nearest[3, :5])


def test_sample_of_a_large_collection():
    picks = space.sample(5000)
    assert len(np.unique(picks)) == len(picks) == space.SAMPLE
    np.testing.assert_array_equal(picks, space.sample(5000))


@pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")
def test_mutual_proximity_of_musly():
    """pymusly 2.0.0, MuslyJukebox("timbre", "none"), set_style of all five; of 24 sounds it is within 1.1e-4."""
    metric = metrics.get("timbre-js")
    rows = np.stack([metric.feature(Signal.of(x, RATE), convention="musly") for x in sounds()])
    s = Space(5, 5, lambda p, to: metric.distances(rows[p], rows[to], convention="musly"))
    scaled = np.array([space.scaling("mp", s).scaled(p, s.row(p)) for p in range(5)])
    np.fill_diagonal(scaled, 0.0)
    np.testing.assert_allclose(scaled, TIMBRE, atol=5e-4)


@pytest.mark.parametrize("name", ["none", "mp", "mp-empiric", "nicdm"])
def test_infinite_distances_are_the_farthest(name, points):
    def between(p, to):
        d = np.sqrt(((points[p] - points[to]) ** 2).sum(1))
        far = (np.arange(80)[to] == 7) != (p == 7)
        return np.where(far, np.inf, d)

    s = Space(80, 80, between)
    found = neighbours.find(s, range(80), 79, space.scaling(name, s))
    assert (np.delete(found.nearest, 7, 0)[:, 78] == 7).all()
    assert not np.isnan(found.scaled).any()
