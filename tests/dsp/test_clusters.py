"""Clusters: what they are fitted to, exact transport beside linear programming, closed forms of both distances."""

from __future__ import annotations

from math import log, pi

import numpy as np
import pytest
from scipy.optimize import linprog

from audiosim.dsp import clusters
from audiosim.dsp.clusters import Array


def blobs(seed: int, shift: float = 0.0) -> Array:
    rng = np.random.default_rng(seed)
    centres = np.array([[0.0, 0.0], [6.0, 0.0], [0.0, 9.0]]) + shift
    return np.concatenate([c + 0.3 * rng.standard_normal((n, 2)) for c, n in zip(centres, (20, 30, 50), strict=True)])


def distance(kind: str, one: Array, other: Array) -> float:
    out = np.empty(1)
    getattr(clusters, kind)(one, other[None], out)
    return float(out[0])


def test_clusters_are_found() -> None:
    found = clusters.fit(blobs(1), 3, 0.0)
    found = found[np.argsort(found[:, 0])]
    np.testing.assert_allclose(found[:, 0], [0.2, 0.3, 0.5])
    np.testing.assert_allclose(found[:, 1:3], [[0, 0], [6, 0], [0, 9]], atol=0.2)
    np.testing.assert_allclose(found[:, 3:], 0.09, atol=0.05)
    np.testing.assert_allclose(found[:, 0] @ found[:, 1:3], blobs(1).mean(0))


def test_fewer_points_than_clusters_leave_some_empty() -> None:
    found = clusters.fit(np.array([[0.0, 0.0], [1.0, 1.0]]), 4, 1e-2)
    assert np.isfinite(found).all()
    assert found[:, 0].sum() == 1
    assert distance("transport", found, found) == 0
    assert distance("likelihood", found, found) == 0


@pytest.mark.parametrize("seed", range(12))
def test_transport_is_the_solution_of_the_linear_programme(seed: int) -> None:
    """scipy 1.17.1, linprog(method="highs")."""
    rng = np.random.default_rng(seed)
    n, m = rng.integers(2, 9, 2)
    cost, supply, demand = rng.gamma(1, 50, (n, m)), rng.dirichlet(np.ones(n)), rng.dirichlet(np.ones(m))
    if seed % 3 == 0:
        supply[0] = 0
        supply /= supply.sum()
    rows = [np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))]
    wanted = linprog(cost.ravel(), A_eq=np.vstack(rows)[:-1], b_eq=np.concatenate([supply, demand])[:-1]).fun
    assert clusters.cheapest(cost, supply, demand) == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_transport_ends_where_all_plans_cost_the_same(seed: int) -> None:
    """Costs of a sum of a row's and a column's: ways round in circles cost nothing, or less by rounding."""
    rng = np.random.default_rng(seed)
    supply, demand = (rng.multinomial(60, np.ones(16) / 16) / 60 for _ in range(2))
    row, column = (10 ** rng.uniform(0, 4, 16) for _ in range(2))
    found = clusters.cheapest(row[:, None] + column, supply, demand)
    assert found == pytest.approx(supply @ row + demand @ column, rel=1e-12)


def mixture(seed: int) -> Array:
    """16 clusters of 20 dimensions."""
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.dirichlet(np.ones(16)), 3 * rng.standard_normal((16, 20)), rng.gamma(2, 1, (16, 20))])


@pytest.mark.parametrize(("seed", "wanted"), [(1, 223.28261272054525), (3, 225.9866938747126), (5, 247.03525529517344)])
def test_transport_as_pot(seed: int, wanted: float) -> None:
    """POT 0.9.7.post1, ot.emd2(a, b, M): weights of both, and the symmetrised divergence of Gaussians with diagonal
    covariances from its textbook formula."""
    assert distance("transport", mixture(seed), mixture(seed + 1)) == pytest.approx(wanted, rel=1e-12)


def test_transport_of_two_points() -> None:
    """One cluster each: the symmetrised divergence (s/t + t/s + m^2 (1/s + 1/t)) / 2 - 1 of every dimension."""
    one, other = np.array([[1.0, 0, 0, 2, 1]]), np.array([[1.0, 1, 2, 1, 4]])
    wanted = (2 + 0.5 + 1 * 1.5) / 2 - 1 + (4 + 0.25 + 4 * 1.25) / 2 - 1
    assert distance("transport", one, other) == pytest.approx(wanted, rel=1e-12)
    assert distance("likelihood", one, other) == pytest.approx(wanted, rel=1e-12)  # exact for one cluster


def test_likelihood_by_hand() -> None:
    """Far apart, so that each cluster is explained by the one beside it."""
    p, q = np.array([[0.25, 0, 1], [0.75, 50, 1]]), np.array([[0.5, 1, 1], [0.5, 50, 2]])

    def term(weight: float, apart: float, s: float, t: float) -> float:
        return log(weight) - apart**2 / (2 * t) - log(2 * pi * t) / 2 - s / (2 * t)

    there = 0.25 * (term(0.25, 0, 1, 1) - term(0.5, 1, 1, 1)) + 0.75 * (term(0.75, 0, 1, 1) - term(0.5, 0, 1, 2))
    back = 0.5 * (term(0.5, 0, 1, 1) - term(0.25, 1, 1, 1)) + 0.5 * (term(0.5, 0, 2, 2) - term(0.75, 0, 2, 1))
    assert distance("likelihood", p, q) == pytest.approx(there + back, rel=1e-12)


@pytest.mark.parametrize("kind", ["transport", "likelihood"])
def test_distances(kind: str) -> None:
    a, b, c = (clusters.fit(blobs(s, shift), 4, 1e-2) for s, shift in ((1, 0), (2, 0), (3, 2)))
    assert distance(kind, a, a) == 0
    assert distance(kind, a, b) == pytest.approx(distance(kind, b, a), rel=1e-12)
    assert distance(kind, a, b) < distance(kind, a, c)
