"""Mel-generalised cepstra: a smooth spectral envelope of few coefficients on a warped frequency axis.

Model of a frame's power spectrum I: H(z) = (1 + gamma C(z))^(1 / gamma), at gamma 0 exp C(z), where
C(z) = sum_{m=0}^{M} c_m z~^-m and z~^-1 = (z^-1 - alpha) / (1 - alpha z^-1) is an all-pass. With gamma 0,
ln|H| = sum c_m cos(m w~): c is a one-sided cepstrum of the natural logarithm of amplitude, which is SPTK's convention.

The coefficients minimise the unbiased estimator of log spectrum, the mean over the circle of e^R - R - 1 with
R = ln I - ln|H|^2 (Imai and Furuichi 1988; Tokuda, Kobayashi, Masuko and Imai, ICSLP 1994). H is minimum phase, so that
the mean of ln|H|^2 is that of its first sample: 2 / gamma ln(1 + gamma sum c_m (-alpha)^m). With it the criterion is
convex for gamma from -1 to 0. Half its gradient and half its Hessian are, with W = 1 + gamma C, <x> for the mean of
x e^R and u_m = (-alpha)^m / (1 + gamma sum c_m (-alpha)^m):

    u_m - <Re(z~^-m / W)>
    <cos((m - n) w~) / |W|^2> + (1 + gamma) <Re(z~^-(m + n) / W^2)> - gamma u_m u_n

Newton's method starts at gamma 0 from the cepstrum of ln I, warped and cut; else from mel-LPC (gamma -1), which has a
closed form. Means are taken over the bins, where SPTK's mcep cuts warped sequences at n_fft / 2 lags: the two differ
where order (1 + alpha) / (1 - alpha) comes near to that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..engine.kernel import kernel
from ..errors import UsageError

Array = NDArray[Any]

ITERATIONS = 30  # at most, and
THRESHOLD = 1e-3  # the relative change of <1> at which a frame is done: SPTK's defaults
STEPS = 5  # bring spectra of speech to within 1e-3 of the end
FLOOR = 1e-30  # of a frame's mean power: the rounding of an FFT; bins below it are spectral zeros
SILENCE = 1e-300  # added to all power
RIDGE = 1e-12  # of a matrix's first element: a spectrum that is nearly all zeros makes it singular
BLOCK = 128  # frames: few calls, and their spectra stay in cache


def alpha_of(rate: float) -> float:
    """The all-pass constant whose warping of 0 to rate / 2 Hz is nearest to the mel scale, to 0.001.

    Least squares over 1000 frequencies, as SPTK's tools do; mel = 1000 log2(1 + f / 1000), both axes scaled to 1.
    """
    omega = np.pi / 1000 * np.arange(1000)
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
    """c @ this warps a one-sided cepstrum c: float64 [size_in, size_out], read-only. -alpha undoes it.

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
    """Mel-generalised cepstra c_0..c_order of power spectra [..., bin], bins 0 to n_fft / 2: float64 [..., order + 1].

    alpha: all-pass constant, above -1 and below 1; see alpha_of. gamma: -1 (mel-LPC) to 0 (mel-cepstrum).
    iterations: Newton steps at most; 0 gives where they begin (see above).
    eps: added to the power. A frame is given 1e-300 at least, a bin 1e-30 of the mean of its frame.
    threshold: from the third step on a frame is done when the mean of e^R changes by less than this part; 0: never.

    Raises UsageError for parameters out of range, and for fewer than 2 bins.
    """
    check(order, alpha, gamma, iterations)
    bins = power.shape[-1]
    if bins < 2:
        raise UsageError(f"a mel-cepstrum is made of 2 bins at least, from 0 Hz to half the rate, not {bins}")
    basis = _basis(2 * (bins - 1), order, alpha)
    p = np.asarray(power, np.float64).reshape(-1, bins)
    out = np.empty((len(p), order + 1))
    for i in range(0, len(p), BLOCK):
        out[i : i + BLOCK] = _analyse(p[i : i + BLOCK] + eps, basis, gamma, iterations, threshold)
    return out.reshape(*power.shape[:-1], order + 1)


def _analyse(p: Array, basis: Basis, gamma: float, iterations: int, threshold: float) -> Array:
    """mel_cepstrum of a block [frame, bin]."""
    p, level = _levelled(p)
    log = np.log(p)
    mc: Array = _start(np, log, p, basis, gamma, np.linalg.solve)
    left, last = np.arange(len(p)), np.full(len(p), np.inf)  # frames that are not done, and their means of e^R
    for step in range(iterations):
        mean, r, t, h = _means(np, log, mc[left], basis, gamma)
        if step >= 2 and threshold > 0:
            more = np.abs(mean - last) >= threshold * mean
            if not more.all():
                left, log, mean, r, t, h = (x[more] for x in (left, log, mean, r, t, h))
        last = mean
        c = mc[left]
        _step(c, r, t, h, basis.first, gamma)
        mc[left] = c
    return np.asarray(_raised(np, mc, level, gamma))


@kernel
def _step(c: Array, r: Array, t: Array, h: Array, first: Array, gamma: float) -> None:
    """One Newton step of every frame's coefficients c [frame, order + 1], in place, by Cholesky's decomposition."""
    n = c.shape[1]
    a = np.empty((n, n))
    u = np.empty(n)
    d = np.empty(n)
    for f in range(c.shape[0]):
        u0 = 1.0
        for i in range(n):
            u0 += gamma * c[f, i] * first[i]
        for i in range(n):
            u[i] = first[i] / u0
        ridge = RIDGE * (t[f, 0] + (1 + gamma) * h[f, 0])
        for i in range(n):
            for j in range(i + 1):
                a[i, j] = t[f, i - j] + (1 + gamma) * h[f, i + j] - gamma * u[i] * u[j]
            a[i, i] += ridge
        for i in range(n):
            for j in range(i + 1):
                total = a[i, j]
                for k in range(j):
                    total -= a[i, k] * a[j, k]
                a[i, j] = np.sqrt(total) if i == j else total / a[j, j]
        for i in range(n):
            total = r[f, i] - u[i]
            for k in range(i):
                total -= a[i, k] * d[k]
            d[i] = total / a[i, i]
        for i in range(n - 1, -1, -1):
            d[i] /= a[i, i]
            c[f, i] += d[i]
            for k in range(i):
                d[k] -= a[i, k] * d[i]


def mel_cepstrum_torch(
    order: int, alpha: float, n_fft: int, gamma: float = 0.0, iterations: int = STEPS, eps: float = 0.0
) -> Callable[[Any], Any]:
    """mel_cepstrum without a threshold as torch text: power [..., bin] -> [..., order + 1].

    Gradients pass through every step. It computes in float64, whatever the dtype of what it takes and returns.
    """
    import torch

    from ..engine.tensors import Constant

    check(order, alpha, gamma, iterations)
    constants = [Constant(array) for array in _basis(n_fft, order, alpha)]

    def solve(a: Any, b: Any) -> Any:
        return torch.linalg.solve_ex(a, b)[0]

    def analyse(power: Any) -> Any:
        p, level = _levelled(power.double() + eps)
        basis = Basis(*(constant(p) for constant in constants))
        log = p.log()
        c = _start(torch, log, p, basis, gamma, solve)
        for _ in range(iterations):
            _, r, t, h = _means(torch, log, c, basis, gamma)
            u = basis.first / (1 + gamma * (c @ basis.first))[..., None]
            a = _toeplitz(torch, t) + (1 + gamma) * _hankel(torch, h) - gamma * u[..., None] * u[..., None, :]
            ridge = RIDGE * (t[..., 0] + (1 + gamma) * h[..., 0])
            a = a + ridge[..., None, None] * torch.eye(order + 1, dtype=a.dtype, device=a.device)
            c = c + solve(a, (r - u)[..., None])[..., 0]
        return _raised(torch, c, level, gamma).to(power.dtype)

    return analyse


def spectrum(mc: Array, alpha: float, gamma: float, n_fft: int) -> Array:
    """ln|H| at the bins 0 to n_fft / 2 of mel-generalised cepstra [..., order + 1]: float64 [..., bin]."""
    cos, sin = waves(n_fft, mc.shape[-1] - 1, alpha)
    if gamma == 0:
        return np.asarray(mc @ cos)
    return np.asarray(np.log(np.hypot(1 + gamma * (mc @ cos), gamma * (mc @ sin))) / gamma)


def check(order: int, alpha: float, gamma: float, iterations: int = 0) -> None:
    """UsageError for what is no analysis."""
    if order < 0 or not -1 < alpha < 1 or not -1 <= gamma <= 0 or iterations < 0:
        raise UsageError(
            "a mel-cepstrum takes order >= 0, alpha between -1 and 1, gamma of -1 to 0 and iterations >= 0, "
            f"not order={order}, alpha={alpha:g}, gamma={gamma:g}, iterations={iterations}"
        )


def waves(n_fft: int, order: int, alpha: float) -> tuple[Array, Array]:
    """cos(m w~) and sin(m w~) at the bins 0 to n_fft / 2: float64 [order + 1, bin] both."""
    phase = np.arange(order + 1)[:, None] * warp(2 * np.pi / n_fft * np.arange(n_fft // 2 + 1), alpha)
    return np.cos(phase), np.sin(phase)


class Basis(NamedTuple):
    """What an analysis multiplies with, float64.

    cos, sin: of m w~ [order + 1, bin]. mean_cos, mean_sin: the same times the bin's part of the circle
        [bin, 2 order + 1].
    start: from ln I to its warped cepstrum [bin, order + 1]. first: (-alpha)^m [order + 1], the means of z~^-m.
    """

    cos: Any
    sin: Any
    mean_cos: Any
    mean_sin: Any
    start: Any
    first: Any


@lru_cache(maxsize=16)
def _basis(n_fft: int, order: int, alpha: float) -> Basis:
    from ..engine.fft import rfft

    cos, sin = waves(n_fft, 2 * order, alpha)
    part = np.full(cos.shape[1], 2 / n_fft)
    part[[0, -1]] /= 2
    lags = frequency_transform(part.size, order + 1, alpha).T.copy()
    lags[:, [0, -1]] /= 2
    return Basis(
        cos=np.ascontiguousarray(cos[: order + 1]),
        sin=np.ascontiguousarray(sin[: order + 1]),
        mean_cos=np.ascontiguousarray((cos * part).T),
        mean_sin=np.ascontiguousarray((sin * part).T),
        start=np.ascontiguousarray((rfft(lags, n_fft).real * part).T),
        first=(-alpha) ** np.arange(order + 1.0),
    )


# What follows is written for NumPy and torch alike: xp is one or the other.


def _levelled(p: Any) -> tuple[Any, Any]:
    """Power [..., bin] with a mean of 1 and without zeros, and the mean [...] that it had."""
    p = p + SILENCE
    level = p.mean(-1)
    return (p / level[..., None]).clip(FLOOR), level


def _raised(xp: Any, c: Any, level: Any, gamma: float) -> Any:
    """Coefficients of levelled power -> those of what it was."""
    if gamma == 0:
        return xp.concatenate([c[..., :1] + 0.5 * xp.log(level)[..., None], c[..., 1:]], -1)
    gain = level[..., None] ** (gamma / 2)
    return xp.concatenate([gain * c[..., :1] + (gain - 1) / gamma, gain * c[..., 1:]], -1)


def _start(xp: Any, log: Any, p: Any, basis: Basis, gamma: float, solve: Any) -> Any:
    """Where Newton's method begins [..., order + 1]; log: ln of power p [..., bin].

    For gamma < 0 that is the minimum for gamma -1, W = 1 - C with |W|^2 weighted by p (T w = u / (u w), T the Toeplitz
    matrix of the warped autocorrelation), whose H^gamma = W^-gamma is expanded by J. C. P. Miller's recursion.
    """
    if gamma == 0:
        return log @ basis.start
    n = basis.first.shape[0]
    r = (p + RIDGE) @ basis.mean_cos[:, :n]
    x = solve(_toeplitz(xp, r), (0 * r + basis.first)[..., None])[..., 0]
    w = x / xp.sqrt(x @ basis.first)[..., None]
    if gamma == -1:
        g = w
    else:
        powers = [w[..., 0] ** -gamma]
        for m in range(1, n):
            terms = ((k * (1 - gamma) - m) * w[..., k] * powers[m - k] for k in range(1, m + 1))
            powers.append(sum(terms) / (m * w[..., 0]))
        g = xp.stack(powers, -1)
    one = xp.concatenate([xp.ones_like(g[..., :1]), xp.zeros_like(g[..., 1:])], -1)
    return (g - one) / gamma


def _means(xp: Any, log: Any, c: Any, basis: Basis, gamma: float) -> tuple[Any, Any, Any, Any]:
    """<1> [...], and the means for the gradient, of the Toeplitz and of the Hankel part: [..., order + 1], the same,
    [..., 2 order + 1]."""
    n = c.shape[-1]
    real = c @ basis.cos
    if gamma == 0:
        h = xp.exp(log - 2 * real) @ basis.mean_cos
        return h[..., 0], h[..., :n], h[..., :n], h
    real, imag = 1 + gamma * real, -gamma * (c @ basis.sin)
    q = real * real + imag * imag
    v = xp.exp(log - xp.log(q) / gamma)
    a, b = v / q * real, v / q * imag
    r = a @ basis.mean_cos[:, :n] - b @ basis.mean_sin[:, :n]
    t = (v / q) @ basis.mean_cos[:, :n]
    a, b = (a * real - b * imag) / q, 2 * a * imag / q
    return v @ basis.mean_cos[:, 0], r, t, a @ basis.mean_cos - b @ basis.mean_sin


def _toeplitz(xp: Any, t: Any) -> Any:
    """[..., n] -> [..., n, n] of t[|i - j|]."""
    m = xp.arange(t.shape[-1], device=t.device)
    return t[..., abs(m[:, None] - m)]


def _hankel(xp: Any, h: Any) -> Any:
    """[..., 2 n - 1] -> [..., n, n] of h[i + j]."""
    m = xp.arange((h.shape[-1] + 1) // 2, device=h.device)
    return h[..., m[:, None] + m]
