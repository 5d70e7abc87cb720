"""Mel-generalised cepstra: a smooth spectral envelope of few coefficients on a warped frequency axis.

Model of a frame's periodogram I: H(z) = (1 + gamma C(z))^(1 / gamma), exp C(z) at gamma 0, with
C(z) = sum_{m=0}^{M} c_m z~^-m and the all-pass z~^-1 = (z^-1 - alpha) / (1 - alpha z^-1). With gamma 0,
ln|H| = sum c_m cos(m w~): c is a one-sided cepstrum of the natural logarithm of amplitude, SPTK's convention.

The coefficients minimise the unbiased estimator of log spectrum, mean_w(e^R - R - 1) with R = ln I - ln|H|^2 (Imai and
Furuichi 1988; Tokuda, Kobayashi, Chiba and Imai 1992), by Newton's method. H being minimum phase, the mean of ln|H|^2 is
2 / gamma ln(1 + gamma C(infinity)), and for gamma from -1 to 0 the criterion is convex.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from .kernel import kernel

Array = NDArray[Any]

ITERATIONS = 30  # at most, and
THRESHOLD = 1e-3  # relative change of the criterion at which a frame is done: SPTK's defaults


def alpha_of(rate: float) -> float:
    """The all-pass constant whose warping of 0..rate / 2 Hz is nearest to the mel scale, to 0.001.

    As SPTK and Merlin do: least squares over 1000 frequencies, with mel = 1000 / ln 2 ln(1 + f / 1000) and both axes
    scaled to 0..1.
    """
    omega = np.pi * np.arange(1000) / 1000
    mel = np.log1p(omega * (rate / (2 * np.pi) / 1000))
    alphas = np.arange(0, 1, 0.001)
    warped = warp(omega, alphas[:, None])
    errors = np.square(mel / mel[-1] - warped / warped[:, -1:]).sum(1)
    return float(np.round(alphas[np.argmin(errors)], 3))


def warp(omega: Array, alpha: Any) -> Array:
    """Radians on the axis that the all-pass makes: w~ = w + 2 atan(alpha sin w / (1 - alpha cos w))."""
    return np.asarray(omega + 2 * np.arctan2(alpha * np.sin(omega), 1 - alpha * np.cos(omega)))


@lru_cache(maxsize=32)
def frequency_transform(size_in: int, size_out: int, alpha: float) -> Array:
    """c @ this warps a one-sided cepstrum: float64 [size_in, size_out], read-only. -alpha undoes it.

    Row n holds the powers of z~^-1 in z^-n = ((z~^-1 + alpha) / (1 + alpha z~^-1))^n.
    """
    matrix = np.zeros((size_in, size_out))
    matrix[0, 0] = 1
    _all_pass(matrix, alpha)
    matrix.flags.writeable = False
    return matrix


@kernel
def _all_pass(rows: Array, alpha: float) -> None:
    """Each row is the one above through y[j] = alpha (x[j] - y[j - 1]) + x[j - 1]."""
    for n in range(1, rows.shape[0]):
        x, y = rows[n - 1], rows[n]
        y[0] = alpha * x[0]
        for j in range(1, rows.shape[1]):
            y[j] = alpha * (x[j] - y[j - 1]) + x[j - 1]


def mel_cepstrum(
    power: Array,
    order: int,
    alpha: float,
    gamma: float = 0.0,
    iterations: int = ITERATIONS,
    eps: float = 0.0,
    threshold: float = THRESHOLD,
) -> Array:
    """Mel-generalised cepstra c_0..c_order of power spectra [..., bin] (bins 0..n_fft / 2): float64 [..., order + 1].

    alpha: all-pass constant, above -1 and below 1; see alpha_of. gamma: -1 (mel-LPC) to 0 (mel-cepstrum).
    iterations: Newton steps at most; with 0 and gamma 0 the warped cepstrum of the log spectrum as it is.
    eps: added to the power, so that nothing is 0.
    threshold: a frame is done when mean_w(e^R) changes by less than this part, from the second step on, as in SPTK.
    """
    check(order, alpha, gamma, iterations)
    lead = power.shape[:-1]
    p = np.asarray(power, np.float64).reshape(-1, power.shape[-1]) + eps
    n_fft = 2 * (p.shape[1] - 1)
    cos, sin, weights = _basis(n_fft, 2 * order, alpha)
    toeplitz, hankel = _indices(order)
    mc = np.log(p) @ _start(n_fft, order, alpha)
    if gamma:
        mc = _mel_lpc(p * weights @ cos[:, : order + 1], alpha, gamma)
    for i in range(len(p)):
        c, criterion = mc[i], np.inf
        for step in range(iterations):
            w = 1 + gamma * (cos[:, : order + 1] @ c - 1j * (sin[:, : order + 1] @ c))
            log = np.log(np.abs(w)) / gamma if gamma else cos[:, : order + 1] @ c
            v = p[i] * np.exp(-2 * log) * weights
            inverse = 1 / w
            done = abs(v.sum() - criterion) < threshold * v.sum() and step >= 2
            criterion = v.sum()
            if done:
                break
            r = (v * inverse.real) @ cos[:, : order + 1] + (v * inverse.imag) @ sin[:, : order + 1]
            t = (v * np.abs(inverse) ** 2) @ cos[:, : order + 1]
            h = (v * (inverse**2).real) @ cos + (v * (inverse**2).imag) @ sin
            u = (-alpha) ** np.arange(order + 1)
            u = u / (1 + gamma * (u @ c))
            c += np.linalg.solve(t[toeplitz] + (1 + gamma) * h[hankel] - gamma * np.outer(u, u), r - u)
    return mc.reshape(*lead, order + 1)


def mel_cepstrum_torch(
    order: int, alpha: float, n_fft: int, gamma: float = 0.0, iterations: int = ITERATIONS, eps: float = 0.0
) -> Callable[[Any], Any]:
    """mel_cepstrum as torch text: power [..., bin] -> [..., order + 1], with gradients through every step."""
    import torch

    from .differentiable import Constant

    check(order, alpha, gamma, iterations)
    basis_cos, basis_sin, basis_weights = (Constant(a) for a in _basis(n_fft, 2 * order, alpha))
    start, powers = Constant(_start(n_fft, order, alpha)), Constant((-alpha) ** np.arange(order + 1.0))
    toeplitz, hankel = _indices(order)
    if gamma:
        raise NotImplementedError

    def analyse(power: Any) -> Any:
        p = power + eps
        cos, weights, u = basis_cos(p), basis_weights(p), powers(p)
        log = p.log()
        mc = log @ start(p)
        for _ in range(iterations):
            v = (log - 2 * (mc @ cos[:, : order + 1].T)).exp() * weights
            r = v @ cos
            mc = mc + torch.linalg.solve(r[..., toeplitz] + r[..., hankel], r[..., : order + 1] - u)
        return mc

    return analyse


def spectrum(mc: Array, alpha: float, gamma: float, n_fft: int) -> Array:
    """ln|H| at the bins 0..n_fft / 2 of mel-generalised cepstra [..., order + 1]: float64 [..., bin]."""
    cos, sin, _ = _basis(n_fft, mc.shape[-1] - 1, alpha)
    if not gamma:
        return np.asarray(mc @ cos.T)
    return np.asarray(np.log(np.hypot(1 + gamma * (mc @ cos.T), gamma * (mc @ sin.T))) / gamma)


def check(order: int, alpha: float, gamma: float, iterations: int) -> None:
    """UsageError for what is no analysis."""
    if order < 0 or not -1 < alpha < 1 or not -1 <= gamma <= 0 or iterations < 0:
        raise UsageError(
            "a mel-cepstrum takes order >= 0, alpha between -1 and 1, gamma of -1 to 0 and iterations >= 0, "
            f"not order={order}, alpha={alpha:g}, gamma={gamma:g}, iterations={iterations}"
        )


@lru_cache(maxsize=16)
def _basis(n_fft: int, order: int, alpha: float) -> tuple[Array, Array, Array]:
    """cos(m w~) and sin(m w~) [bin, order + 1], and the weights [bin] that make a sum over bins a mean over the circle."""
    warped = warp(2 * np.pi / n_fft * np.arange(n_fft // 2 + 1), alpha)
    phase = warped[:, None] * np.arange(order + 1)
    weights = np.full(len(warped), 2 / n_fft)
    weights[[0, -1]] = 1 / n_fft
    return np.cos(phase), np.sin(phase), weights


@lru_cache(maxsize=16)
def _start(n_fft: int, order: int, alpha: float) -> Array:
    """ln I @ this: the cepstrum of all lags up to n_fft / 2, warped. [bin, order + 1]."""
    a = frequency_transform(n_fft // 2 + 1, order + 1, alpha).copy()
    a[[0, -1]] /= 2
    _, _, weights = _basis(n_fft, 0, 0.0)
    from .spectrum import rfft

    return np.asarray(rfft(a.T, n_fft).real.T * weights[:, None])


@lru_cache(maxsize=16)
def _indices(order: int) -> tuple[Array, Array]:
    m = np.arange(order + 1)
    return np.abs(m[:, None] - m), m[:, None] + m


def _mel_lpc(r: Array, alpha: float, gamma: float) -> Array:
    """Where the analysis begins for gamma < 0: the solution for gamma -1, in closed form, as coefficients of gamma.

    r: warped autocorrelation [frame, order + 1].
    """
    order = r.shape[1] - 1
    u = (-alpha) ** np.arange(order + 1.0)
    x = np.linalg.solve(r[:, _indices(order)[0]], np.broadcast_to(u, r.shape)[..., None])[..., 0]
    w = x / np.sqrt(x @ u)[:, None]  # 1 / H
    g = np.empty_like(w)  # H^gamma, J. C. P. Miller's recursion for a power of a power series
    g[:, 0] = w[:, 0] ** -gamma
    for n in range(1, order + 1):
        k = np.arange(1, n + 1)
        g[:, n] = (((1 - gamma) * k - n) * w[:, 1 : n + 1] * g[:, n - k]).sum(1) / (n * w[:, 0])
    g[:, 0] -= 1
    return g / gamma
