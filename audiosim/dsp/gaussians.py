"""Gaussians of the frames of recordings, as vectors, and how far apart they are.

A Gaussian of d dimensions is a vector of its mean [d] and the upper triangle, row by row, of its covariance
[d (d + 1) / 2]; `fit` makes it. Divergences take one vector and many, and are exactly 0 for equal ones.

symmetric_kl: (KL(p|q) + KL(q|p)) / 2. jensen_shannon: sqrt(ln|M| / 2 - (ln|S| + ln|T|) / 4), M the covariance of the
mixture of both, whose Gaussian stands for it (Schnitzer et al. 2011, ISMIR, as musly has it).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.kernel import exact_kernel, kernel

Array = NDArray[Any]

NEAR = 1e-6  # squared Jensen-Shannon distance, below which differences of logarithms would be rounding


def triangle(matrix: Array) -> Array:
    """Upper triangles, row by row: [..., d, d] -> [..., d (d + 1) / 2]."""
    rows, columns = np.triu_indices(matrix.shape[-1])
    result: Array = matrix[..., rows, columns]
    return result


def full(packed: Array, d: int) -> Array:
    """The symmetric matrix of an upper triangle: [d (d + 1) / 2] -> [d, d]."""
    matrix = np.empty((d, d))
    rows, columns = np.triu_indices(d)
    matrix[rows, columns] = matrix[columns, rows] = packed
    return matrix


def fit(points: Array, ridge: float) -> Array:
    """The Gaussian of points [point, d], two or more: float64 [d + d (d + 1) / 2]. ridge: added to each variance."""
    mean = points.mean(0)
    apart = points - mean
    covariance = apart.T @ apart / (len(points) - 1) + ridge * np.eye(points.shape[1])
    return np.concatenate([mean, triangle(covariance)])


def with_log_determinant(gaussian: Array, d: int) -> Array:
    """The same, and ln of the determinant of the covariance: what jensen_shannon takes."""
    lower = np.linalg.cholesky(full(gaussian[d:], d))
    return np.append(gaussian, 2 * np.log(np.diag(lower)).sum())


def with_inverse(gaussian: Array, d: int) -> Array:
    """The same, and the upper triangle of the inverse covariance: what symmetric_kl takes."""
    return np.concatenate([gaussian, triangle(np.linalg.inv(full(gaussian[d:], d)))])


@exact_kernel
def symmetric_kl(one: Array, many: Array, d: int, out: Array) -> None:
    """out[i] = (KL(one|many[i]) + KL(many[i]|one)) / 2 of vectors made by with_inverse.

    (m^T (P + Q) m - tr (S - T) (P - Q)) / 4, of covariances S, T, their inverses P, Q and the difference m of means:
    differences of equals are 0.
    """
    size = d * (d + 1) // 2
    for n in range(len(many)):
        other = many[n]
        total = 0.0
        k = d
        for i in range(d):
            mi = one[i] - other[i]
            for j in range(i, d):
                weight = 1.0 if i == j else 2.0
                p, q = one[k + size], other[k + size]
                moved = mi * (one[j] - other[j]) * (p + q)
                total += weight * (moved - (one[k] - other[k]) * (p - q))
                k += 1
        out[n] = total / 4 if total > 0 else 0.0


@kernel
def jensen_shannon(one: Array, many: Array, d: int, out: Array) -> None:
    """out[i] = Jensen-Shannon distance of one to many[i], vectors made by with_log_determinant.

    Nearly equal Gaussians are compared in the coordinates in which that of the mixture is 1.
    """
    mixed, lower = np.empty((d, d)), np.empty((d, d))
    left, apart = np.empty((d, d)), np.empty((d, d))
    for n in range(len(many)):
        other = many[n]
        k = d
        for i in range(d):
            for j in range(i, d):
                mean = (one[i] - other[i]) * (one[j] - other[j]) / 4
                mixed[i, j] = mixed[j, i] = (one[k] + other[k]) / 2 + mean
                k += 1
        square = _log_determinant(mixed, lower) / 2 - (one[k] + other[k]) / 4
        if square < NEAR:
            square = 0.0
            for sign in (1.0, -1.0):
                k = d
                for i in range(d):
                    for j in range(i, d):
                        mean = (one[i] - other[i]) * (one[j] - other[j]) / 4
                        apart[i, j] = apart[j, i] = sign * (one[k] - other[k]) / 2 - mean
                        k += 1
                _whiten(apart, lower, left)
                square -= _log_determinant_of_one_and(left, apart) / 4
        out[n] = np.sqrt(square) if square > 0 else 0.0


@kernel
def _log_determinant(a: Array, lower: Array) -> float:
    """ln |a| of a positive definite matrix, by its Cholesky factor, which is left in lower."""
    total = 0.0
    for i in range(len(a)):
        for j in range(i + 1):
            rest = a[i, j]
            for k in range(j):
                rest -= lower[i, k] * lower[j, k]
            if i == j:
                lower[i, i] = np.sqrt(rest)
                total += np.log(rest)
            else:
                lower[i, j] = rest / lower[j, j]
    return total


@kernel
def _whiten(a: Array, lower: Array, out: Array) -> None:
    """out = L^-1 a L^-T of a symmetric a, which is overwritten by L^-1 a."""
    d = len(a)
    for i in range(d):
        for j in range(d):
            rest = a[i, j]
            for k in range(i):
                rest -= lower[i, k] * a[k, j]
            a[i, j] = rest / lower[i, i]
    for i in range(d):
        for j in range(d):
            rest = a[i, j]
            for k in range(j):
                rest -= lower[j, k] * out[i, k]
            out[i, j] = rest / lower[j, j]


@kernel
def _log_determinant_of_one_and(w: Array, factors: Array) -> float:
    """ln |1 + w| of a symmetric w that may be tiny: pivots of L D L^T less 1. factors: overwritten."""
    d = len(w)
    total = 0.0
    beyond = np.empty(d)
    for i in range(d):
        for j in range(i + 1):
            rest = w[i, j]
            for k in range(j):
                rest -= factors[i, k] * factors[j, k] * (1 + beyond[k])
            if i == j:
                beyond[i] = rest
                total += np.log1p(rest)
            else:
                factors[i, j] = rest / (1 + beyond[j])
    return total


# The same as torch text


def fit_torch(points: Any, ridge: float) -> tuple[Any, Any]:
    """points [point, d] -> mean [d], covariance [d, d]."""
    import torch

    mean = points.mean(0)
    apart = points - mean
    covariance = apart.mT @ apart / (len(points) - 1)
    return mean, covariance + ridge * torch.eye(points.shape[1], dtype=points.dtype, device=points.device)


def symmetric_kl_torch(p: tuple[Any, Any], q: tuple[Any, Any]) -> Any:
    """Of means and covariances."""
    import torch

    m, s = p[0] - q[0], p[1] - q[1]
    inverse_p, inverse_q = torch.linalg.inv(p[1]), torch.linalg.inv(q[1])
    return ((m @ (inverse_p + inverse_q) @ m - (s * (inverse_p - inverse_q)).sum()) / 4).clamp(min=0)


def jensen_shannon_torch(p: tuple[Any, Any], q: tuple[Any, Any]) -> Any:
    """Of means and covariances; its gradient is 0 where both are equal."""
    import torch

    from ..engine.tensors import root

    m, s = p[0] - q[0], (p[1] - q[1]) / 2
    between = m[:, None] * m / 4
    lower = torch.linalg.cholesky_ex((p[1] + q[1]) / 2 + between)[0]

    def beyond(apart: Any) -> Any:
        half = torch.linalg.solve_triangular(lower, apart, upper=False)
        white = torch.linalg.solve_triangular(lower, half.mT, upper=False)
        return torch.linalg.eigh(white)[0].log1p().sum()  # eigvalsh has other last digits without a gradient

    return root((-(beyond(s - between) + beyond(-s - between)) / 4).clamp(min=0))
