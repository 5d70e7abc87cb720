"""Gaussians fitted to points: shrunk covariances, and how far two Gaussians lie apart."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def shrunk(x: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Mean and covariance of points x [point, feature], shrunk towards equal variances by as much as Ledoit and Wolf
    2004 (Journal of Multivariate Analysis 88, 365-411) show to be best; features are scaled to the same variance first.
    Those that do not vary get the mean variance of the others, or 1.

    weights [point]: sum to 1; as much for each unless given.
    """
    w = np.full(len(x), 1 / len(x)) if weights is None else weights
    size = x.std(0)
    varied = size > 0
    size = np.where(varied, size, size[varied].mean() if varied.any() else 1.0)
    z = x / size
    z = z - w @ z
    cov = (z * w[:, None]).T @ z
    mu = np.trace(cov) / len(cov)
    off = float(np.square(cov - mu * np.eye(len(cov))).sum())
    square = np.einsum("if,if->i", z, z)
    noise = float((w * w) @ (square**2 - 2 * np.einsum("if,if->i", z @ cov, z) + np.square(cov).sum()))
    shrink = 1.0 if noise >= off else noise / off
    cov = (1 - shrink) * cov + shrink * (mu or 1.0) * np.eye(len(cov))
    return w @ x, cov * np.outer(size, size)


def deviations(x: Array, weights: Array | None = None) -> tuple[Array, Array]:
    """Mean [feature] of points x [point, feature], and a root R [row, feature] of their sample covariance (n - 1),
    which is R.T @ R, with as many rows as there are points or features, whichever are fewer.

    weights [point]: how often each point is there, whole numbers; once unless given.
    """
    w = np.ones(len(x)) if weights is None else weights
    mean = np.einsum("p,pf->f", w, x) / w.sum()
    off = (x - mean) * np.sqrt(w / (w.sum() - 1))[:, None]
    return mean, off if len(off) <= off.shape[1] else np.asarray(np.linalg.qr(off, "r"))


def frechet(a: tuple[Array, Array], b: tuple[Array, Array]) -> float:
    """Squared Fréchet distance of two Gaussians, each a mean and a root of its covariance as `deviations` gives them:
    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). Dowson and Landau 1982, Journal of Multivariate Analysis 12, 450-455.

    The trace is the least |R1 - U R2|^2 over rotations U of the roots, a sum of squares: it is never negative, needs no
    root of a matrix, and is right when covariances are singular.
    """
    (m1, r1), (m2, r2) = a, b
    r1, r2, turn = _turned(r1, r2)
    return float(np.square(m1 - m2).sum() + np.square(r1 - turn @ r2).sum())


def frechet_influence(a: tuple[Array, Array], b: tuple[Array, Array], x: Array) -> Array:
    """By how much more the squared Fréchet distance from a to b grows for the weight of each point x [point, feature]
    among those of b, than for that of a point on average: its influence function (Hampel 1974, Journal of the American
    Statistical Association 69, 383-393). The points are some of b's."""
    (m1, r1), (m2, r2) = a, b
    r1, r2, turn = _turned(r1, r2)
    off = x - m2
    # Points are off = parts @ r2; optimal transport takes them to parts @ turn.T @ r1.
    parts = off @ np.linalg.pinv(r2, rcond=1e-10)
    raw = np.square(off).sum(1) - np.einsum("pf,pf->p", off, parts @ (turn.T @ r1)) + 2 * off @ (m2 - m1)
    spread = np.square(r2).sum() - np.einsum("rf,rf->", turn @ r2, r1)
    return np.asarray(raw - spread)


def _turned(r1: Array, r2: Array) -> tuple[Array, Array, Array]:
    """Both roots with as many rows, and the rotation of the second that takes it nearest to the first."""
    rows = max(len(r1), len(r2))
    r1, r2 = (np.concatenate([r, np.zeros((rows - len(r), r.shape[1]))]) for r in (r1, r2))
    u, _, v = np.linalg.svd(r1 @ r2.T)
    return r1, r2, u @ v


def divergence(p: tuple[Array, Array], q: tuple[Array, Array]) -> float:
    """Kullback-Leibler divergence KL(p || q) of Gaussians, each a mean and a covariance of full rank, in nats."""
    (m1, c1), (m2, c2) = p, q
    low1, low2 = np.linalg.cholesky(c1), np.linalg.cholesky(c2)
    ratio, off = np.linalg.solve(low2, low1), np.linalg.solve(low2, m1 - m2)
    logs = np.log(np.diag(low1) / np.diag(low2)).sum()
    return max(0.0, float((np.square(ratio).sum() + off @ off - len(m1)) / 2 - logs))
