"""Divergences of Gaussians: closed forms, their integrals, equal and nearly equal ones, many at once."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.linalg

from audiosim.dsp import gaussians
from audiosim.dsp.gaussians import Array

D = 5


def random(seed: int, d: int = D) -> Array:
    points = np.random.default_rng(seed).standard_normal((40, d)) @ np.random.default_rng([seed, 1]).normal(size=(d, d))
    return gaussians.fit(points + 0.3 * seed, 1e-2)


def kl(one: Array, other: Array, d: int) -> float:
    out = np.empty(1)
    gaussians.symmetric_kl(gaussians.with_inverse(one, d), gaussians.with_inverse(other, d)[None], d, out)
    return float(out[0])


def js(one: Array, other: Array, d: int) -> float:
    out = np.empty(1)
    ends = gaussians.with_log_determinant(one, d), gaussians.with_log_determinant(other, d)[None]
    gaussians.jensen_shannon(*ends, d, out)
    return float(out[0])


def test_a_pair_worked_by_hand() -> None:
    """m = (1, 2), S = ((2, 0.5), (0.5, 1)), |S| = 7/4; the other is standard normal. S^-1 = ((4, -2), (-2, 8)) / 7:
    (tr S + tr S^-1 + m' m + m' S^-1 m) / 4 - 1 = (3 + 12/7 + 5 + 4) / 4 - 1 = 17/7. M = (S + 1) / 2 + m m' / 4 =
    ((7/4, 3/4), (3/4, 2)), |M| = 47/16."""
    standard, other = np.array([0.0, 0, 1, 0, 1]), np.array([1, 2, 2, 0.5, 1])
    assert kl(standard, other, 2) == pytest.approx(17 / 7, rel=1e-12)
    assert js(standard, other, 2) == pytest.approx(np.sqrt(np.log(47 / 16) / 2 - np.log(7 / 4) / 4), rel=1e-12)
    assert js(standard, other, 2) == pytest.approx(0.631566, abs=1e-6)


def test_formulas_by_linear_algebra() -> None:
    for seed in range(4):
        p, q = random(seed), random(seed + 10)
        (m, s), (n, t) = ((x[:D], gaussians.full(x[D:], D)) for x in (p, q))
        inverses = np.linalg.inv(s) + np.linalg.inv(t)
        traces = np.trace(s @ np.linalg.inv(t)) + np.trace(t @ np.linalg.inv(s))
        assert kl(p, q, D) == pytest.approx((traces + (m - n) @ inverses @ (m - n)) / 4 - D / 2, rel=1e-9)
        mixed = (s + t) / 2 + np.outer(m - n, m - n) / 4
        of_all, *own = (np.linalg.slogdet(x)[1] for x in (mixed, s, t))
        assert js(p, q, D) == pytest.approx(np.sqrt(of_all / 2 - sum(own) / 4), rel=1e-9)
        assert kl(p, q, D) == pytest.approx(kl(q, p, D), rel=1e-12)
        assert js(p, q, D) == pytest.approx(js(q, p, D), rel=1e-12)


def test_equal_ones_are_exactly_equal() -> None:
    p = random(1)
    assert kl(p, p, D) == 0
    assert js(p, p, D) == 0


@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6, 1e-8])
def test_nearly_equal_ones(size: float) -> None:
    """To second order the squared Jensen-Shannon distance is tr(X^2) / 16 + m' S^-1 m / 8, X = S^-1 (T - S)."""
    p = random(2)
    step = np.random.default_rng(3).standard_normal(p.size) * size
    s = gaussians.full(p[D:], D)
    x = np.linalg.solve(s, gaussians.full(step[D:], D))
    square = np.trace(x @ x) / 16 + step[:D] @ np.linalg.solve(s, step[:D]) / 8
    assert js(p, p + step, D) == pytest.approx(np.sqrt(square), rel=max(100 * size, 1e-5))


def test_many_are_each_of_them() -> None:
    one, many = random(1), [random(seed) for seed in (1, 2, 3)]
    out = np.empty(3)
    complete = np.stack([gaussians.with_log_determinant(g, D) for g in many])
    gaussians.jensen_shannon(complete[0], complete, D, out)
    assert out.tolist() == [js(one, other, D) for other in many]
    complete = np.stack([gaussians.with_inverse(g, D) for g in many])
    gaussians.symmetric_kl(complete[0], complete, D, out)
    assert out.tolist() == [kl(one, other, D) for other in many]


def test_a_fit_is_mean_and_covariance() -> None:
    points = np.random.default_rng(5).standard_normal((30, D))
    fitted = gaussians.fit(points, 0.5)
    np.testing.assert_allclose(fitted[:D], points.mean(0))
    np.testing.assert_allclose(gaussians.full(fitted[D:], D), np.cov(points.T) + 0.5 * np.eye(D))
    lower = scipy.linalg.cholesky(gaussians.full(fitted[D:], D), lower=True)
    assert gaussians.with_log_determinant(fitted, D)[-1] == pytest.approx(2 * np.log(np.diag(lower)).sum())


def test_torch_is_the_same() -> None:
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(6)
    points = rng.standard_normal((30, D)), 2 + rng.standard_normal((20, D)) * 1.5
    fits = [gaussians.fit(x, 1e-2) for x in points]
    both = [gaussians.fit_torch(torch.tensor(x), 1e-2) for x in points]
    assert gaussians.symmetric_kl_torch(*both).item() == pytest.approx(kl(*fits, D), rel=1e-12)
    assert gaussians.jensen_shannon_torch(*both).item() == pytest.approx(js(*fits, D), rel=1e-12)
