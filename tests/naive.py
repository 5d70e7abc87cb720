"""Slow, obvious twins of the engine and of the conventional metrics: numpy, float64, whole spectrograms, the formula.

Kernels: terms of every bin [frame, bin, term], to be summed by in_ranges. Metrics: functions of one weighted channel of
reference and test, r and t [sample], with the metric's own options; DEFINITIONS has them by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from math import inf
from types import SimpleNamespace
from typing import Any

import numpy as np
import scipy.fft
import scipy.linalg
import scipy.ndimage
import scipy.optimize
import scipy.signal
from numpy.typing import NDArray

from audiosim import metrics
from audiosim.models.loizou import critical_bands

Array = NDArray[Any]

DB = 10 / np.log(10)  # a difference of natural logarithms of powers, in dB
CLIP_STOI = 1 + 10 ** (15 / 20)
TORCHMETRICS_EPS = np.finfo(np.float64).eps


# Streams and frames


def filtered(x: Array, coef: float, lag: int) -> Array:
    """x[n] - coef x[n - lag], the whole response."""
    return np.pad(x, (0, lag)) - coef * np.pad(x, (lag, 0)) if lag else x


def part(y: Array, start: int, n: int) -> Array:
    """y[start:start + n], zero outside of y."""
    return np.array([y[i] if 0 <= i < y.size else 0.0 for i in range(start, start + n)])


def reflected(y: Array, start: int, n: int) -> Array:
    """As part, but mirrored at the ends."""
    side = y.size - 1
    return np.pad(y, side, mode="reflect")[start + side : start + side + n]


def spectra(
    x: Array,
    n_fft: int,
    hop: int,
    window: str = "hann",
    win: int = 0,
    centre: bool = True,
    pad: str = "reflect",
) -> Array:
    """Complex [frame, bin]."""
    w = scipy.signal.get_window({"rectangular": "boxcar"}.get(window, window), win or n_fft)  # periodic
    before = (n_fft - w.size) // 2
    w = np.pad(w, (before, n_fft - w.size - before))
    if centre:
        x = np.pad(x, n_fft // 2, mode="reflect" if pad == "reflect" else "constant")
    return np.array([np.fft.rfft(w * x[s : s + n_fft]) for s in range(0, x.size - n_fft + 1, hop)])


# Kernels over spectra: terms of every bin


def in_ranges(terms: Array, edges: Array) -> Array:
    """Sums of [frame, bin, term] over edges[i]..edges[i + 1]: [frame, range, term]."""
    return np.stack([terms[:, a:b].sum(axis=1) for a, b in pairwise(edges)], axis=1)


def log_absolute(ref: Array, test: Array, floor: float) -> Array:
    return np.abs(np.log(np.maximum(test, floor)) - np.log(np.maximum(ref, floor)))[..., None]


def log_squares(ref: Array, test: Array, floor: float) -> Array:
    return log_absolute(ref, test, floor) ** 2


def differences(ref: Array, test: Array) -> Array:
    return np.stack([(test - ref) ** 2, ref**2, np.abs(test - ref)], axis=-1)


def itakura_saito(ref: Array, test: Array) -> Array:
    return (ref / test - np.log(ref / test) - 1)[..., None]


def cosh(ref: Array, test: Array) -> Array:
    return (np.cosh(np.log(ref / test)) - 1)[..., None]


def energies(ref: Array, test: Array, gain: float, scale: float) -> Array:
    """Of complex spectra of an even number of samples."""
    count = np.full(ref.shape[1], 2.0)  # a bin stands for its negative frequency too
    count[[0, -1]] = 1
    return scale * count[:, None] * np.abs(np.stack([ref, test, test - gain * ref], axis=-1)) ** 2


def compressed(ref: Array, test: Array, power: float, floor: float) -> Array:
    x, y = (z * (np.abs(z) ** 2 + floor) ** ((power - 1) / 2) for z in (ref, test))
    d, m = np.abs(y - x), np.abs(y) - np.abs(x)
    return np.stack([d, d**2, np.abs(m), m**2], axis=-1)


def phases(ref: Array, test: Array, floor: float) -> Array:
    """1 - cos of the difference in phase, in its change over time, in its change over frequency, each with its weight.

    A phase fades out below the floor: its unit vector is shorter there.
    """
    weight = np.abs(ref)
    u, v = (z / np.maximum(np.abs(z), np.sqrt(floor)) for z in (ref, test))
    terms = np.zeros((*ref.shape, 6))
    terms[:, :, 0], terms[:, :, 1] = weight * np.abs(v - u) ** 2 / 2, weight
    turn = np.abs(v[1:] * v[:-1].conj() - u[1:] * u[:-1].conj()) ** 2 / 2
    terms[1:, :, 2], terms[1:, :, 3] = weight[1:] * turn, weight[1:]
    turn = np.abs(v[:, 1:] * v[:, :-1].conj() - u[:, 1:] * u[:, :-1].conj()) ** 2 / 2
    terms[:, :-1, 4], terms[:, :-1, 5] = weight[:, :-1] * turn, weight[:, :-1]
    return terms


def cepstral(ref: Array, test: Array, floor: float, basis: Array) -> Array:
    """Squares of the log ratio after it went to the coefficients of basis and back."""
    d = np.log(np.maximum(test, floor)) - np.log(np.maximum(ref, floor))
    return ((d @ basis.T @ basis) ** 2)[..., None]


# Kernels over samples


def moments(name: str, r: Array, t: Array, *arguments: float) -> list[float]:
    """The sums of a kernel of engine.moments."""
    if name == "offset":
        return [np.sum(r - t), np.sum(r**2)]
    if name == "means":
        return [r.sum(), t.sum()]
    if name == "squares":
        mean_r, mean_t, gain = arguments
        return [np.sum((r - mean_r) ** 2), np.sum((t - mean_t - gain * (r - mean_r)) ** 2)]
    if name == "error":
        return [np.sum((t - r) ** 2)]
    if name == "product":
        u, v = r - arguments[0], t - arguments[1]
        return [np.sum(u**2), np.sum(v**2), np.sum(u * (v - u))]
    if name == "absolute":
        return [np.sum(np.abs(t - r))]
    assert name == "log_cosh"
    slope, eps = arguments
    return [np.sum(np.log(np.cosh(slope * (t - r)) + eps))]


def segments(r: Array, t: Array, window: Array, hop: int, frames: int) -> Array:
    """[frame, (signal, noise)] energies."""
    starts = [f * hop for f in range(frames)]
    cut = [[window * x[s : s + window.size] for x in (r, r - t)] for s in starts]
    return np.array([[np.sum(a**2), np.sum(b**2)] for a, b in cut])


def lags(r: Array, t: Array, count: int) -> tuple[Array, Array]:
    """Sums r[n] r[n + k] and r[n] t[n + k]."""
    auto, cross = ([np.sum(r[: r.size - k] * x[k:]) if k < r.size else 0.0 for k in range(count)] for x in (r, t))
    return np.array(auto), np.array(cross)


def coherence(auto: Array, cross: Array, load: float) -> float:
    matrix = scipy.linalg.toeplitz(auto) + load * np.eye(auto.size)
    return float(cross @ np.linalg.solve(matrix, cross))


def dct(n: int) -> Array:
    return np.asarray(scipy.fft.dct(np.eye(n), norm="ortho", axis=0))


# Warping


def distances(x: Array, y: Array) -> Array:
    """Euclidean, [n, m], of x [n, feature] and y [m, feature]."""
    return np.array([[np.sqrt(np.sum((p - q) ** 2)) for q in y] for p in x])


def inside(n: int, m: int, band: float | None) -> Array:
    """Which cells lie in the corridor, bool [n, m]."""
    if band is None or n == 1:
        return np.ones((n, m), bool)
    slope = (m - 1) / (n - 1)
    half = max(band, max(slope, 1) / 2 + 1e-6)
    return np.array([[abs(j - i * (m - 1) / (n - 1)) <= half for j in range(m)] for i in range(n)])


def dtw(cost: Array, penalty: float = 0.0) -> tuple[float, Array]:
    """The cheapest path through costs [n, m] (infinite where it may not go), [2, step]; the diagonal comes first."""
    n, m = cost.shape
    total = np.full((n + 1, m + 1), inf)
    total[0, 0] = 0
    for i in range(n):
        for j in range(m):
            total[i + 1, j + 1] = cost[i, j] + min(total[i, j], total[i, j + 1] + penalty, total[i + 1, j] + penalty)
    i, j, path = n, m, []
    while (i, j) != (0, 0):
        path.append((i - 1, j - 1))
        before = {(i - 1, j - 1): 0.0, (i - 1, j): penalty, (i, j - 1): penalty}
        i, j = min(before, key=lambda cell: total[cell] + before[cell])
    return float(total[n, m]), np.array(path[::-1]).T


def soft_dtw(cost: Array, gamma: float) -> float:
    """Of the costs of all paths, which are listed one by one."""

    def costs(i: int, j: int) -> list[float]:
        if (i, j) == (0, 0):
            return [cost[0, 0]]
        before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
        return [c + cost[i, j] for p in before if min(p) >= 0 for c in costs(*p)]

    return float(-gamma * np.log(np.sum(np.exp(-np.array(costs(cost.shape[0] - 1, cost.shape[1] - 1)) / gamma))))


# Mel-cepstra and their filter


def frequency_transform(size_in: int, size_out: int, alpha: float) -> Array:
    """Row n: the Fourier series of z^-n as a function of the warped angle."""
    n = 4096
    turn = np.exp(-2j * np.pi / n * np.arange(n))
    delay = (turn + alpha) / (1 + alpha * turn)
    return np.stack([np.fft.ifft(delay**m).real[:size_out] for m in range(size_in)])


def log_response(c: Array, alpha: float, gamma: float, n_fft: int) -> Array:
    """ln H, complex, at the bins of n_fft."""
    z = np.exp(2j * np.pi / n_fft * np.arange(n_fft // 2 + 1))
    warped = (1 / z - alpha) / (1 - alpha / z)
    exponent = sum(c[m] * warped**m for m in range(len(c)))
    return np.asarray(exponent if gamma == 0 else np.log(1 + gamma * exponent) / gamma)


def unbiased_log(c: Array, power: Array, alpha: float, gamma: float) -> float:
    """Mean over the circle of e^R - R - 1, that of ln|H|^2 in closed form; infinite where H is no filter."""
    first = sum(c[m] * (-alpha) ** m for m in range(len(c)))
    if 1 + gamma * first <= 0:
        return inf
    level = 2 * first if gamma == 0 else 2 / gamma * np.log(1 + gamma * first)
    n_fft = 2 * (power.size - 1)
    part = np.full(power.size, 2 / n_fft)
    part[[0, -1]] = 1 / n_fft
    ratio = power * np.exp(-2 * log_response(c, alpha, gamma, n_fft).real)
    return float(part @ (ratio - np.log(power) - 1) + level)


def mel_cepstrum(power: Array, order: int, alpha: float, gamma: float) -> Array:
    """The least of unbiased_log, found without its derivatives."""
    start = np.zeros(order + 1)
    start[0] = 0.5 * np.log(power.mean()) if gamma == 0 else (power.mean() ** (gamma / 2) - 1) / gamma
    options = {"gtol": 1e-8, "maxiter": 10000}
    found = scipy.optimize.minimize(
        unbiased_log, start, (power, alpha, gamma), method="BFGS", jac="3-point", options=options
    )
    return np.asarray(found.x)


def newton_step(c: Array, r: Array, t: Array, h: Array, first: Array, gamma: float) -> Array:
    """c [frame, order + 1] after one step of dsp.mel_cepstrum."""
    out = []
    for c_, r_, t_, h_ in zip(c, r, t, h, strict=True):
        u = first / (1 + gamma * (first @ c_))
        n = c_.size
        hessian = scipy.linalg.toeplitz(t_) + (1 + gamma) * scipy.linalg.hankel(h_[:n], h_[n - 1 :])
        out.append(c_ + np.linalg.solve(hessian - gamma * np.outer(u, u), r_ - u))
    return np.array(out)


def mlsa(x: Array, mc: Array, alpha: float, hop: int, gamma: float = 0.0, n_fft: int = 4096) -> Array:
    """Each sample through the filter of its moment: coefficients run linearly from mc[i] at i hop to the next."""
    y = np.zeros(x.size + n_fft)
    for s in range(x.size):
        now, part = divmod(s, hop)
        c = mc[now] + part / hop * (mc[min(now + 1, len(mc) - 1)] - mc[now])
        y[s : s + n_fft] += x[s] * np.fft.irfft(np.exp(log_response(c, alpha, gamma, n_fft)))
    return y[: x.size]


# Hearing


def mel(hz: float) -> float:
    return 3 * hz / 200 if hz < 1000 else 15 + 27 * np.log(hz / 1000) / np.log(6.4)


def mel_inverse(mels: float) -> float:
    return 200 * mels / 3 if mels < 15 else 1000 * 6.4 ** ((mels - 15) / 27)


def mel_filters(rate: int, n_fft: int, bands: int, fmin: float = 0.0, fmax: float = 0.0) -> Array:
    """Triangles of unit area [band, bin]."""
    edges = [mel_inverse(m) for m in np.linspace(mel(fmin), mel(fmax or rate / 2), bands + 2)]
    weights = np.zeros((bands, n_fft // 2 + 1))
    for b, (low, centre, high) in enumerate(zip(edges, edges[1:], edges[2:], strict=False)):
        for k in range(weights.shape[1]):
            f = k * rate / n_fft
            if low < f <= centre:
                weights[b, k] = (f - low) / (centre - low) * 2 / (high - low)
            elif centre < f < high:
                weights[b, k] = (high - f) / (high - centre) * 2 / (high - low)
    return weights


def curve(name: str, f: Array, rate: int, coef: float = 0.85) -> Array:
    """Magnitude of a weighting at f Hz."""
    s = 2j * np.pi * f
    w1, w2, w3, w4, w5 = (2 * np.pi * p for p in (20.598997, 107.65265, 737.86223, 12194.217, 158.48932))
    if name == "aw-lp":
        return curve("a", f, rate) * np.abs(1 + coef * np.exp(-s / rate))
    if name == "a":
        h = s**4 / ((s + w1) ** 2 * (s + w2) * (s + w3) * (s + w4) ** 2)
        return 10 ** (1.9997 / 20) * w4**2 * np.abs(h)
    if name == "b":
        return 10 ** (0.17 / 20) * w4**2 * np.abs(s**3 / ((s + w1) ** 2 * (s + w5) * (s + w4) ** 2))
    if name == "c":
        return 10 ** (0.0619 / 20) * w4**2 * np.abs(s**2 / ((s + w1) ** 2 * (s + w4) ** 2))
    if name == "k":  # analogue prototypes seen through the bilinear transform, normalised to their corners
        shelf, high_pass = (
            1j * np.tan(np.pi * f / rate) / np.tan(np.pi * corner / rate)
            for corner in (1681.9744509555319, 38.13547087613982)
        )
        gain, q = 10 ** (3.99984385397 / 20), 0.7071752369554193
        h = (gain * shelf**2 + gain**0.4996667741545416 * shelf / q + 1) / (shelf**2 + shelf / q + 1)
        q, k = 0.5003270373253953, np.tan(np.pi * 38.13547087613982 / rate)
        h *= (1 + k / q + k**2) * high_pass**2 / (high_pass**2 + high_pass / q + 1)  # its numerator is 1, -2, 1
        return np.abs(h)
    if name == "itu468":
        h1 = np.polyval([-4.737338981378384e-24, 0, 2.043828333606125e-15, 0, -1.363894795463638e-7, 0, 1], f)
        h2 = np.polyval([1.306612257412824e-19, 0, -2.118150887518656e-11, 0, 5.559488023498642e-4, 0], f)
        return 10 ** (18.246 / 20) * 1.246332637532143e-4 * f / np.abs(h1 + 1j * h2)
    if name == "bs1387":  # BS.1387-1, annex 2, eq. 8
        khz = np.maximum(f, 1e-3) / 1000
        decibels = -0.6 * 3.64 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 1e-3 * khz**3.6
        return 10 ** (decibels / 20)
    assert name == "iso226"
    from audiosim.hearing.weighting import equal_loudness  # tested in tests/hearing/test_weighting.py

    hz, level = equal_loudness(40)
    weights = level[17] - level  # row 17 is 1 kHz
    return 10 ** (np.interp(np.log10(np.maximum(f, 1e-9)), np.log10(hz), weights) / 20)


def weighted(x: Array, rate: int, weighting: str, coef: float = 0.85) -> Array:
    """One channel through a weighting."""
    if weighting == "none":
        return x
    if weighting in ("hp", "fd"):
        return np.convolve(x, [1, -coef] if weighting == "hp" else [1, 0, -coef])
    if weighting == "auraloss-aw":
        from audiosim.hearing.weighting import auraloss_taps

        return np.convolve(x, auraloss_taps(rate).astype(np.float64))[50 : 50 + x.size]
    n = scipy.fft.next_fast_len(x.size + round(0.25 * rate), real=True)  # padded with a quarter of a second
    spectrum = np.fft.rfft(x, n) * curve(weighting, np.fft.rfftfreq(n, 1 / rate), rate, coef)
    return np.fft.irfft(spectrum, n)[: x.size]


# Metrics of samples


def mse(r: Array, t: Array, rate: int) -> float:
    return float(np.mean((t - r) ** 2))


def rmse(r: Array, t: Array, rate: int) -> float:
    return float(np.sqrt(np.mean((t - r) ** 2)))


def mae(r: Array, t: Array, rate: int) -> float:
    return float(np.mean(np.abs(t - r)))


def log_cosh(r: Array, t: Array, rate: int, a: float = 1.0, eps: float = 0.0) -> float:
    u = np.cosh(a * (t - r)) - 1 + eps
    return float(np.mean(np.log1p(u)) / a)


def esr(r: Array, t: Array, rate: int, convention: str = "auraloss") -> float:
    eps = {"auraloss": 1e-8, "coreaudioml": 1e-5 * r.size, "plain": 0}[convention]
    return float(np.sum((r - t) ** 2) / (np.sum(r**2) + eps))


def dc(r: Array, t: Array, rate: int, convention: str = "auraloss") -> float:
    eps = {"auraloss": 1e-8, "coreaudioml": 1e-5, "plain": 0}[convention]
    return float(np.mean(r - t) ** 2 / (np.mean(r**2) + eps))


def _without_means(r: Array, t: Array, convention: str, zero_mean: bool) -> tuple[Array, Array]:
    return (r - r.mean(), t - t.mean()) if zero_mean or convention == "auraloss" else (r, t)


def _decibels(signal: float, noise: float, convention: str) -> float:
    if convention == "auraloss":
        return float(10 * np.log10(signal / (noise + 1e-8) + 1e-8))
    eps = TORCHMETRICS_EPS if convention == "torchmetrics" else 0
    return float(10 * np.log10((signal + eps) / (noise + eps)))


def snr(r: Array, t: Array, rate: int, convention: str = "torchmetrics", zero_mean: bool = False) -> float:
    r, t = _without_means(r, t, convention, zero_mean)
    return _decibels(np.sum(r**2), np.sum((t - r) ** 2), convention)


def usdr(r: Array, t: Array, rate: int) -> float:
    return float(10 * np.log10((np.sum(r**2) + 1e-7) / (np.sum((t - r) ** 2) + 1e-7)))


def _scaled(r: Array, t: Array, convention: str) -> Array:
    """The part of the test that is the reference."""
    eps = {"torchmetrics": TORCHMETRICS_EPS, "auraloss": 1e-8, "plain": 0}[convention]
    above = eps if convention == "torchmetrics" else 0
    return (t @ r + above) / (r @ r + eps) * r


def si_sdr(r: Array, t: Array, rate: int, convention: str = "torchmetrics", zero_mean: bool = False) -> float:
    r, t = _without_means(r, t, convention, zero_mean)
    target = _scaled(r, t, convention)
    return _decibels(np.sum(target**2), np.sum((t - target) ** 2), convention)


def sd_sdr(r: Array, t: Array, rate: int, convention: str = "torchmetrics", zero_mean: bool = False) -> float:
    r, t = _without_means(r, t, convention, zero_mean)
    return _decibels(np.sum(_scaled(r, t, convention) ** 2), np.sum((t - r) ** 2), convention)


def sdr(r: Array, t: Array, rate: int, taps: int = 512, load: float = 0.0, zero_mean: bool = False) -> float:
    """The test projected on all delays of the reference below `taps` samples."""
    c = _explained(r, t, taps, load, zero_mean)
    return float(10 * np.log10(c / (1 - c))) if c < 1 else inf


def sdr_of_all(rs: Array, ts: Array, rate: int, taps: int = 512, load: float = 0.0, zero_mean: bool = False) -> float:
    """Of [channel, sample]: each channel has its own filter."""
    ts = np.stack([t - t.mean() for t in ts]) if zero_mean else ts
    energies = np.sum(ts**2, axis=1)
    explained = energies * [_explained(r, t, taps, load, zero_mean) for r, t in zip(rs, ts, strict=True)]
    return float(10 * np.log10(np.sum(explained) / np.sum(energies - explained)))


def _explained(r: Array, t: Array, taps: int, load: float, zero_mean: bool) -> float:
    r, t = _without_means(r, t, "", zero_mean)
    r, t = (np.pad(x / np.linalg.norm(x), (0, taps)) for x in (r, t))
    delayed = np.stack([np.roll(r, k) for k in range(taps)])
    b = delayed @ t
    return float(b @ np.linalg.solve(delayed @ delayed.T + load * np.eye(taps), b))


def seg_snr(
    r: Array, t: Array, rate: int, frame: float = 0.03, overlap: float = 0.75, low: float = -10.0, high: float = 35.0
) -> float:
    """Of one channel [sample], or of [channel, sample] together."""
    n, hop = round(frame * rate), int((1 - overlap) * frame * rate)
    window = np.hanning(n + 2)[1:-1]
    eps = TORCHMETRICS_EPS
    scores = []
    for start in range(0, r.shape[-1] - n + 1, hop):
        signal, noise = (np.sum((window * x[..., start : start + n]) ** 2) for x in (r, r - t))
        scores.append(np.clip(10 * np.log10(signal / (noise + eps) + eps), low, high))
    return float(np.mean(scores[:-1]))  # the last frame is left out


# Metrics of spectra


def _powers(r: Array, t: Array, floor: float, frames: dict[str, Any]) -> tuple[Array, Array]:
    p, q = (np.maximum(np.abs(spectra(x, **frames)) ** 2, floor) for x in (r, t))
    return p, q


def _stft_loss(
    x: Array, y: Array, w_sc: float = 1.0, w_log: float = 1.0, w_lin: float = 0.0, distance: str = "l1"
) -> float:
    """Of magnitudes, those of the reference first."""
    mean = {"l1": lambda d: np.mean(np.abs(d)), "l2": lambda d: np.mean(d**2)}[distance]
    convergence = np.linalg.norm(y - x) / np.linalg.norm(x)
    logs = np.log(np.maximum(y, 1e-30)) - np.log(np.maximum(x, 1e-30))  # mel bands that hold no bin
    return float(w_sc * convergence + w_log * mean(logs) + w_lin * mean(y - x))


def stft(r: Array, t: Array, rate: int, **options: Any) -> float:
    frames, floor, rest = _split(options, 1024, 256, 1e-8)
    return _stft_loss(*map(np.sqrt, _powers(r, t, floor, frames)), **rest)


def mel_stft(r: Array, t: Array, rate: int, bands: int = 128, **options: Any) -> float:
    frames, floor, rest = _split(options, 1024, 256, 1e-8)
    filters = mel_filters(rate, frames["n_fft"], bands)
    x, y = (np.sqrt(p) @ filters.T for p in _powers(r, t, floor, frames))
    return _stft_loss(x, y, **rest)


def mr_stft(
    r: Array,
    t: Array,
    rate: int,
    resolutions: str = "1024/120/600+2048/240/1200+512/50/240",
    bands: int = 0,
    **options: Any,
) -> float:
    one: Callable[..., float] = mel_stft if bands else stft
    losses = []
    for resolution in resolutions.split("+"):
        n_fft, hop, win = map(int, resolution.split("/"))
        losses.append(one(r, t, rate, n_fft=n_fft, hop=hop, win=win, **({"bands": bands} if bands else {}), **options))
    return float(np.mean(losses))


def spectral_convergence(r: Array, t: Array, rate: int, **options: Any) -> float:
    return stft(r, t, rate, w_log=0.0, **options)


def log_mel(r: Array, t: Array, rate: int, **options: Any) -> float:
    return float(np.mean(np.abs(_log_mel_difference(r, t, rate, **options))))


def mfcc(
    r: Array,
    t: Array,
    rate: int,
    convention: str = "euclidean",
    coefficients: int = 20,
    deltas: int = 0,
    **options: Any,
) -> float:
    d = _log_mel_difference(r, t, rate, **options)
    c = scipy.fft.dct(d, norm="ortho", axis=1)[:, :coefficients]
    if convention == "db-rms":
        c = c[:, 1:] / np.sqrt(d.shape[1])
    parts = [c]
    for _ in range(deltas):  # of a difference, as all is linear
        parts.append(scipy.ndimage.correlate1d(parts[-1], np.arange(-2, 3) / 10, axis=0, mode="nearest"))
    return float(np.mean(np.linalg.norm(np.hstack(parts), axis=1)))


def plp(r: Array, t: Array, rate: int, rasta: bool = False, order: int = 12, deltas: int = 0) -> float:
    """The all-pole model from its normal equations, its cepstrum from the logarithm of its spectrum."""
    size, hop = round(0.025 * rate), round(0.01 * rate)
    n_fft = 1 << (size - 1).bit_length()
    window = scipy.signal.windows.hann(size + 2)[1:-1]
    edge = 6 * np.arcsinh(rate / 2 / 600)
    centres = np.linspace(0, edge, math.ceil(edge) + 1)
    order = min(order, centres.size - 1)
    away = 6 * np.arcsinh(np.arange(n_fft // 2 + 1) * rate / n_fft / 600) - centres[:, None]
    gains = 10 ** np.clip(np.where(away < 0, away + 0.5, 1.25 - 2.5 * away), None, 0)
    f = (600 * np.sinh(centres / 6)) ** 2
    loudness = f**2 * (f + 1.44e6) / ((f + 1.6e5) ** 2 * (f + 9.61e6))

    def cepstra(x: Array) -> Array:
        frames = np.array([x[k : k + size] * window for k in range(0, x.size - size + 1, hop)])
        bands = (np.abs(np.fft.rfft(32768 * frames, n_fft)) ** 2 + size) @ gains.T
        if rasta:
            steady = scipy.signal.lfilter([0.2, 0.1, 0, -0.1, -0.2], 1, np.log(bands), axis=0)[4:]
            bands = np.exp(scipy.signal.lfilter([1], [1, -0.94], steady, axis=0))
        found = []
        for row in (bands * loudness) ** 0.33:
            row[[0, -1]] = row[[1, -2]]
            acf = np.fft.irfft(row)
            a = np.concatenate([[1], scipy.linalg.solve_toeplitz(acf[:order], -acf[1 : order + 1])])
            c = np.concatenate([[np.log(a @ acf[: order + 1])], _lpc_cepstra(a[None])[0]])
            found.append(c * np.concatenate([[1], np.arange(1, order + 1) ** 0.6]))
        return np.array(found)

    parts = [cepstra(t) - cepstra(r)]
    for _ in range(deltas):
        parts.append(scipy.ndimage.correlate1d(parts[-1], np.arange(-2, 3) / 10, axis=0, mode="nearest"))
    return float(np.mean(np.linalg.norm(np.hstack(parts), axis=1)))


def linear_filters(rate: int, n_fft: int, bands: int) -> Array:
    """[band, bin], triangles of unit area over the whole range, each as wide as the others."""
    width = rate / 2 / (bands + 1)
    rows = [[max(0.0, 1 - abs(k * rate / n_fft - (b + 1) * width) / width) for k in range(n_fft // 2 + 1)]
            for b in range(bands)]  # fmt: skip
    return np.array(rows) / width


def bark_filters(rate: int, n_fft: int, bands: int) -> Array:
    """[band, bin], the masking curves of Hermansky 1990 from 0 Hz to half the rate."""

    def gain(z: float) -> float:
        if z < -1.3 or z > 2.5:
            return 0.0
        return 10 ** (2.5 * (z + 0.5)) if z < -0.5 else 1.0 if z < 0.5 else 10 ** (0.5 - z)

    top = 6 * np.arcsinh(rate / 2 / 600)
    return np.array([[gain(6 * np.arcsinh(k * rate / n_fft / 600) - top * b / (bands - 1))
                      for k in range(n_fft // 2 + 1)] for b in range(bands)])  # fmt: skip


def gammatone_filters(rate: int, n_fft: int, bands: int) -> Array:
    """[band, bin], powers of Slaney's filters from 0 Hz, the next one above the last at half the rate."""
    knee = 9.26449 * 24.7
    centres = np.geomspace(knee, rate / 2 + knee, bands + 1)[:-1] - knee
    f = np.arange(n_fft // 2 + 1)
    return np.array([np.abs(scipy.signal.sosfreqz(gammatone_sections(c, rate), f, fs=n_fft)[1]) ** 2 for c in centres])


def human_factor_filters(rate: int, n_fft: int, bands: int) -> Array:
    """[band, bin], triangles of unit area, as wide as Moore and Glasberg's ERB of 1983, over the whole range."""

    def edges(c: float) -> tuple[float, float]:
        erb = 28.52 + 93.39 * c / 1000 + 6.23 * (c / 1000) ** 2
        low = scipy.optimize.brentq(lambda f: (700 + f) * (700 + f + 2 * erb) - (700 + c) ** 2, -700, c)
        return low, low + 2 * erb

    outer = [scipy.optimize.brentq(f, 0, rate) for f in (lambda c: edges(c)[0], lambda c: edges(c)[1] - rate / 2)]
    centres = 700 * np.expm1(np.linspace(*np.log1p(np.array(outer) / 700), bands))
    f = np.arange(n_fft // 2 + 1) * rate / n_fft
    return np.array([np.interp(f, [low, c, high], [0, 2 / (high - low), 0])
                     for c in centres for low, high in [edges(c)]])  # fmt: skip


OTHER_FILTERS = {
    "linear": linear_filters,
    "bark": bark_filters,
    "gammatone": gammatone_filters,
    "human-factor": human_factor_filters,
}


def _log_mel_difference(
    r: Array,
    t: Array,
    rate: int,
    bands: int = 128,
    fmin: float = 0.0,
    fmax: float = 0.0,
    cepstra: str = "mel",
    **options: Any,
) -> Array:
    """[frame, band], dB."""
    frames, floor, _ = _split(options, 2048, 512, 1e-10)
    if cepstra == "mel":
        filters = mel_filters(rate, frames["n_fft"], bands, fmin, fmax)
    else:
        filters = OTHER_FILTERS[cepstra](rate, frames["n_fft"], bands)
    p, q = (m @ filters.T for m in _powers(r, t, 0.0, {**frames, "pad": "zero"}))
    return 10 * np.log10(np.maximum(q, floor)) - 10 * np.log10(np.maximum(p, floor))


def lsd(r: Array, t: Array, rate: int, centre: bool = True, **options: Any) -> float:
    frames, floor, _ = _split(options, 2048, 512, 1e-10)
    p, q = _powers(r, t, floor, {**frames, "centre": centre, "pad": "zero"})
    return float(np.mean(np.sqrt(np.mean((10 * np.log10(p) - 10 * np.log10(q)) ** 2, axis=1))))


def itakura_saito_metric(r: Array, t: Array, rate: int, **options: Any) -> float:
    frames, floor, _ = _split(options, 2048, 512, 1e-10)
    return float(np.mean(itakura_saito(*_powers(r, t, floor, {**frames, "pad": "zero"}))))


def cosh_metric(r: Array, t: Array, rate: int, **options: Any) -> float:
    frames, floor, _ = _split(options, 2048, 512, 1e-10)
    return float(np.mean(cosh(*_powers(r, t, floor, {**frames, "pad": "zero"}))))


def complex_stft(
    r: Array, t: Array, rate: int, c: float = 0.3, a: float = 0.7, distance: str = "l2", **options: Any
) -> float:
    frames, floor, _ = _split(options, 1024, 256, 1e-12)
    d, d2, m, m2 = np.moveaxis(compressed(spectra(r, **frames), spectra(t, **frames), c, floor), -1, 0)
    return float((1 - a) * np.mean(d2 if distance == "l2" else d) + a * np.mean(m2 if distance == "l2" else m))


def phase(
    r: Array, t: Array, rate: int, w_phase: float = 1.0, w_if: float = 0.0, w_gd: float = 0.0, **options: Any
) -> float:
    frames, floor, _ = _split(options, 1024, 256, 1e-16)
    sums = phases(spectra(r, **frames), spectra(t, **frames), floor).sum(axis=(0, 1))
    weights = np.array([w_phase, w_if, w_gd])
    return float(weights @ (sums[0::2] / sums[1::2]) / weights.sum())


def spectral_transport(
    r: Array,
    t: Array,
    rate: int,
    scale: str = "erb",
    p: int = 1,
    weight: float = 0.3,
    centre: bool = False,
    **options: Any,
) -> float:
    frames, floor, _ = _split(options, 2048, 512, 1e-10)
    x, y = _powers(r, t, floor, {**frames, "centre": centre, "pad": "zero"})
    f = np.arange(x.shape[1]) * rate / frames["n_fft"]
    where = {"erb": 21.4 * np.log10(1 + 0.00437 * f), "hz": f, "log": np.log2(np.maximum(f, 20) / 20)}[scale]
    return float(np.average([transport(a, b, where, p) for a, b in zip(x, y, strict=True)], weights=x.sum(1) ** weight))


def transport(a: Array, b: Array, x: Array, p: int) -> float:
    """W_p^p of masses a and b at positions x: integral over quantiles of the distance to the power p."""
    f, g = (np.cumsum(m / m.sum()) for m in (a, b))
    q = np.sort(np.concatenate([f, g]))
    here, there = (x[np.minimum(np.searchsorted(c, q), x.size - 1)] for c in (f, g))
    return float(np.sum(np.abs(there - here) ** p * np.diff(q, prepend=0)))


def specific_loudness(x: Array, rate: int, level: float = 92.0) -> Array:
    """[frame, band] of x [sample]."""
    return (1 + excitation_over_threshold(x, rate, level)) ** 0.23 - 1


def excitation_over_threshold(x: Array, rate: int, level: float, seconds: float = 4096 / 44100) -> Array:
    """[frame, band] of x [sample]: every band's excitation from its own ear, filter and threshold."""
    hop = max(2, round(seconds * rate / 4))
    w = scipy.signal.get_window("hann", 4 * hop)
    n = 2 * scipy.fft.next_fast_len(2 * hop, real=True)
    padded = np.pad(x, n // 2)
    side = (n - w.size) // 2
    frames = [padded[s + side : s + side + w.size] * w for s in range(0, x.size + 1 - n % 2, hop)]
    power = np.abs(np.fft.rfft(frames, n)) ** 2 * 10 ** (level / 10) / (n * np.sum(w**2) / 4)
    f = np.maximum(np.arange(n // 2 + 1) * rate / n, 1.0) / 1000
    ear = 10 ** ((-0.6 * 3.64 * f**-0.8 + 6.5 * np.exp(-0.6 * (f - 3.3) ** 2) - 1e-3 * f**3.6) / 10)
    bands, cam = [], 21.4 * np.log10(1 + 4.37e-3 * 50)
    while (fc := (10 ** (cam / 21.4) - 1) / 4.37) <= min(18, rate / 2000) + 1e-9:  # kHz
        b = 1.019 * 24.7e-3 * (1 + 4.37 * fc)
        excitation = power @ (ear * (1 + ((np.arange(n // 2 + 1) * rate / n / 1000 - fc) / b) ** 2) ** -4)
        threshold = 10 ** (0.4 * 0.364 * fc**-0.8)
        bands.append(excitation / threshold)
        cam += 0.5
    return np.array(bands).T


def auditory_loss(r: Array, t: Array, rate: int, level: float = 90.0) -> float:
    values = []
    for seconds in (0.008, 0.032, 0.128):
        a, b, e = (excitation_over_threshold(x, rate, level, seconds) for x in (r, t, t - r))
        heard = a > 1
        q = e[heard] / (a[heard] + e[heard] / 2 + 1)
        error = np.mean(np.sqrt(q + 1e-3) - np.sqrt(1e-3)) if heard.any() else 0.0
        m, n = (1 + a) ** 0.23 - 1, (1 + b) ** 0.23 - 1
        loudness = np.mean(np.abs(n - m)) / (np.mean(m) + 0.17)
        values.append(1.2 * error + 0.5 * loudness + 0.1 * np.mean(np.abs(np.log10((1 + b) / (1 + a)))))
    return float(np.mean(values))


def tversky(
    r: Array,
    t: Array,
    rate: int,
    form: str = "ratio",
    preset: str = "default",
    alpha: float = -1,
    beta: float = -1,
    jnd: float = 1.0,
    level: float = 92.0,
) -> float:
    presets = {"default": (2, 1), "symmetric": (1, 1), "dice": (0.5, 0.5), "artefact": (4, 1), "dropout": (1, 2)}
    of = {**presets, "precision": (1, 0), "recall": (0, 1)}[preset]
    alpha, beta = of[0] if alpha < 0 else alpha, of[1] if beta < 0 else beta
    b, a = specific_loudness(r, rate, level), specific_loudness(t, rate, level)
    p, q, tau = np.maximum(a - b, 0), np.maximum(b - a, 0), jnd * (0.053 * b + 0.02)
    if jnd:
        p, q = p**2 / (p + tau), q**2 / (q + tau)
    difference = alpha * np.mean(p) + beta * np.mean(q)
    common = np.mean(np.minimum(a, b))
    if form == "log":
        return float(np.log(1 + difference / (common + 0.02 * np.mean(b) + 1e-3)))
    return float(difference / (common + difference))


def mcd(
    r: Array,
    t: Array,
    rate: int,
    align: str = "dtw",
    band: float = 0.2,
    order: int = 0,
    alpha: float = -1.0,
    gate: float = 50.0,
    floor: float = 1e-10,
) -> float:
    """Without the variants, iterations and soft alignment."""
    from audiosim.dsp.mel_cepstrum import alpha_of  # tested in tests/dsp/test_mel_cepstrum.py

    size, hop = round(0.025 * rate), round(0.005 * rate)
    n_fft = 2 ** int(np.ceil(np.log2(size)))
    alpha = alpha_of(rate) if alpha == -1 else alpha
    order = order or (24 if rate <= 16000 else 34 if rate <= 24000 else 39)
    p, q = (np.abs(spectra(x, n_fft, hop, win=size, pad="zero")) ** 2 for x in (r, t))
    eps = floor * (scipy.signal.get_window("hann", size).sum() / 2) ** 2
    c, d = (warped_cepstrum(np.log(x + eps) / 2, order, alpha)[:, 1:] for x in (p, q))
    energy = p.sum(1) + 1e-30
    weights = energy / (energy + 10 ** (-gate / 10) * energy.max())
    cost = DB * np.sqrt(2) * distances(c, d)
    path = np.array([np.arange(len(c))] * 2)
    if align == "dtw":
        inf_outside = np.where(inside(*cost.shape, band * rate / hop if band else None), cost, np.inf)
        _, path = dtw(inf_outside, 1e-6)
    return float(np.average(cost[tuple(path)], weights=weights[path[0]]))


def warped_cepstrum(log: Array, order: int, alpha: float) -> Array:
    """Cepstra [frame, order + 1] on the axis w + 2 atan(alpha sin w / (1 - alpha cos w)) of logarithms [frame, bin], as
    the trigonometric polynomials through them are there."""
    lags = np.fft.irfft(log)[:, : log.shape[1]]
    lags[:, 1:-1] *= 2
    warped = np.pi * (np.arange(4096) + 0.5) / 4096
    w = warped + 2 * np.arctan2(-alpha * np.sin(warped), 1 + alpha * np.cos(warped))
    there = lags @ np.cos(np.arange(log.shape[1])[:, None] * w)
    c = there @ np.cos(warped[:, None] * np.arange(order + 1)) * (2 / warped.size)
    c[:, 0] /= 2
    return np.asarray(c)


def _predictors(x: Array, rate: int, order: int, frame: float, overlap: float) -> tuple[Array, Array]:
    """Predictors and autocorrelations of all frames but the last [frame, order + 1]."""
    n, hop = round(frame * rate), int((1 - overlap) * frame * rate)
    order = order or (10 if rate < 10000 else 16)
    frames = [np.hanning(n + 2)[1:-1] * x[s : s + n] for s in range(0, x.size - n + 1, hop)][:-1]
    lags = np.array([[y[: n - k] @ y[k:] for k in range(order + 1)] for y in frames])
    lags[:, 0] += 1e-13 * lags[:, 0] + 1e-20
    a = [np.concatenate([[1], -scipy.linalg.solve_toeplitz(c[:-1], c[1:])]) for c in lags]
    return np.array(a), lags


def llr(
    r: Array,
    t: Array,
    rate: int,
    order: int = 0,
    frame: float = 0.03,
    overlap: float = 0.75,
    limit: float = 2.0,
    keep: float = 0.95,
) -> float:
    a, lags = _predictors(r, rate, order, frame, overlap)
    b, _ = _predictors(t, rate, order, frame, overlap)
    matrices = [scipy.linalg.toeplitz(c) for c in lags]
    ratios = [(v @ m @ v) / (u @ m @ u) for u, v, m in zip(a, b, matrices, strict=True)]
    scores = np.sort(np.minimum(np.log(ratios), limit or inf))
    return float(np.mean(scores[: max(1, round(keep * scores.size))]))


def cepstrum_distance(
    r: Array,
    t: Array,
    rate: int,
    order: int = 0,
    frame: float = 0.03,
    overlap: float = 0.75,
    limit: float = 10.0,
    keep: float = 0.95,
) -> float:
    c, d = (_lpc_cepstra(_predictors(x, rate, order, frame, overlap)[0]) for x in (r, t))
    scores = np.sort(np.minimum(DB * np.sqrt(2 * np.sum((d - c) ** 2, axis=1)), limit or inf))
    return float(np.mean(scores[: max(1, round(keep * scores.size))]))


def _lpc_cepstra(a: Array) -> Array:
    """Of 1 / A [frame, order]: the logarithm's Fourier series, its tail cut."""
    n_fft = 1 << 16
    return 2 * np.array([np.fft.irfft(-np.log(np.abs(np.fft.rfft(row, n_fft))))[1 : row.size] for row in a])


def fwseg_snr(
    r: Array, t: Array, rate: int, frame: float = 0.03, overlap: float = 0.75, low: float = -10.0, high: float = 35.0
) -> float:
    gains, scores = critical_filters(rate, frame), []
    for a, b in zip(*(hann_spectra(z, rate, frame, overlap) for z in (r, t)), strict=True):
        x, y = (gains @ np.abs(z) / np.sum(np.abs(z)) for z in (a, b))
        snr = 10 * np.log10(x**2 / np.maximum((x - y) ** 2, TORCHMETRICS_EPS))
        scores.append(np.clip(np.sum(x**0.2 * snr) / np.sum(x**0.2), low, high))
    return float(np.mean(scores))


def wss(r: Array, t: Array, rate: int, frame: float = 0.03, overlap: float = 0.75, keep: float = 0.95) -> float:
    gains, scores = critical_filters(rate, frame), []
    for pair in zip(*(hann_spectra(z, rate, frame, overlap) for z in (r, t)), strict=True):
        levels = [10 * np.log10(np.maximum(gains @ np.abs(z) ** 2, 1e-10)) for z in pair]
        weight = np.mean([slope_weights(level) for level in levels], axis=0)
        squares = (np.diff(levels[0]) - np.diff(levels[1])) ** 2
        scores.append(np.sum(weight * squares) / np.sum(weight))
    return float(np.mean(np.sort(scores)[: max(1, round(keep * len(scores)))]))


def hann_spectra(x: Array, rate: int, frame: float, overlap: float) -> Array:
    """Of all frames but the last, over a power of two: complex [frame, bin below the Nyquist frequency]."""
    n, hop = round(frame * rate), int((1 - overlap) * frame * rate)
    frames = [np.hanning(n + 2)[1:-1] * x[s : s + n] for s in range(0, x.size - n + 1, hop)][:-1]
    return np.fft.rfft(frames, 2 ** math.ceil(math.log2(2 * n)))[:, :-1]


def critical_filters(rate: int, frame: float) -> Array:
    """Gains of the 25 bands, one bin after the other."""
    n_fft = 2 ** math.ceil(math.log2(2 * round(frame * rate)))
    gains = np.zeros((25, n_fft // 2))
    for i, (centre, width) in enumerate(zip(critical_bands.CENTRES, critical_bands.WIDTHS, strict=True)):
        peak = math.floor(centre * n_fft / rate)
        for k in range(n_fft // 2):
            gain = math.exp(-11 * ((k - peak) * rate / n_fft / width) ** 2) * 70 / width
            gains[i, k] = gain if gain > math.exp(-30 / 4.606) else 0
    return gains


def slope_weights(level: Array) -> Array:
    """Klatt's, of one spectrum in dB [band]: [band - 1]."""
    weights = []
    for b in range(level.size - 1):
        if level[b + 1] > level[b]:
            after = [n for n in range(b, level.size - 1) if level[n + 1] <= level[n]]
            peak = level[min([*after, level.size - 1]) - 1]
        else:
            before = [n for n in range(b) if level[n + 1] > level[n]]
            peak = level[max([*before, -1]) + 1]
        weights.append(20 / (20 + level.max() - level[b]) / (1 + peak - level[b]))
    return np.array(weights)


def zimtohrli(r: Array, t: Array) -> float:
    """At 48 kHz, with whole tables and filters by their closed form."""
    a, b = zimtohrli_spectrogram(r), zimtohrli_spectrogram(t)
    low, high = sorted((a, b), key=np.max)
    ratio = high.max() / low.max()
    low *= ratio**0.6310239126768997
    high *= ratio**-0.5828284197882053
    i, j = greedy_walk(a, b).T
    return float(np.mean(zimtohrli_dissimilarity(a[i], b[j])))


def zimtohrli_spectrogram(x: Array) -> Array:
    """[step, band]: |x * h|^2 of h[m] = g w^m m (m + 1) / 2 exp(2 pi i f m / rate), added up under a soft window."""
    from audiosim.models.zimtohrli.phasor_bank import bank  # the constants

    b = bank()
    steps = int(np.ceil(x.size / 564))
    hop, m = x.size // steps, np.arange(x.size)
    ahead = np.lib.stride_tricks.sliding_window_view(x, 32)[:-1]
    signal, p, q = ahead @ b.direct, 0.0, 0.0
    for n, drive in enumerate(ahead @ b.resonator):
        p = 0.97018703367139569 * p - 0.02209312182872265 * q + drive
        q += p
        signal[n] += p
    u = 1 / (1 + np.exp(8.0246040186567118 * (2 * (np.arange(hop) + 0.5) / hop - 1)))
    out = np.zeros((steps, b.frequencies.size))
    for k, f in enumerate(b.frequencies):
        h = b.gain[k] / np.sqrt(hop) * b.leak[k] ** m * m * (m + 1) / 2 * np.exp(2j * np.pi * f * m / 48000)
        energy = np.abs(scipy.signal.fftconvolve(signal, h)[: signal.size]) ** 2
        step, weight = m[: energy.size] // hop, u[m[: energy.size] % hop]
        weight[step >= steps - 1] = 1
        for n in range(steps):
            here, before = step == n, step == n - 1
            out[n, k] = weight[here] @ energy[here] + (1 - weight[before]) @ energy[before]
    return np.log(out + b.noise) * b.factor


def greedy_walk(a: Array, b: Array) -> Array:
    """Pairs of frames [pair, 2] through the whole table of costs."""
    table = np.full((len(a), len(b)), np.inf)
    table[0, 0] = 0
    for i in range(1, len(a)):
        for j in range(1, len(b)):
            cost = np.sum((a[i] - b[j]) ** 2) ** 0.32264042946823823
            both = table[i - 1, j - 1] + 0.90394786214451761 * cost
            table[i, j] = min(both, min(table[i - 1, j], table[i, j - 1]) + cost)
    path = [(0, 0)]
    while path[-1][0] + 1 < len(a) and path[-1][1] + 1 < len(b):
        i, j = path[-1]
        path.append(min([(i + 1, j + 1), (i + 1, j), (i, j + 1)], key=lambda cell: table[cell]))
    return np.array(path)


def zimtohrli_dissimilarity(a: Array, b: Array) -> Array:
    """[step, band]."""

    def mean(x: Array) -> Array:
        padded = np.pad(x, ((7, 0), (4, 0)))
        return np.lib.stride_tricks.sliding_window_view(padded, (8, 5)).mean((2, 3))

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean((a - ma) ** 2), mean((b - mb) ** 2), mean((a - ma) * (b - mb))
    c1, c3 = 26.426389124321354, 1.9522719384622791
    intensity = ((2 * np.sqrt(ma * mb) + c1) / (ma + mb + c1)) ** 1.0500187278772866
    structure = np.maximum((cov + c3) / (np.sqrt(va) * np.sqrt(vb) + c3), 0.6325126087671703) ** 0.25808223975919764
    return np.asarray(1 - intensity * structure)


# ViSQOL 3, step by step as google/visqol at 38d0b01 has them, of recordings [channel, sample]


def visqol_bands(ref: Array, test: Array, rate: int, speech: bool = False, search: int = 60) -> Array:
    """NSIM [patch, band]."""
    r, t = ref.mean(0), test.mean(0)
    t = visqol_moved(t, visqol_lag(r, t))
    t = t * np.sqrt(np.mean(r**2) / np.mean(t**2))
    size, hop = (20, 30)[not speech], round(0.08 * rate) // 4
    a, b = visqol_spectrogram(r, rate, speech), visqol_spectrogram(t, rate, speech)
    if speech:
        chunks = np.trunc(np.clip(r[9:] / r.max() * 32768, -32768, 32767))
        loud = [np.sqrt(np.mean(chunks[i : i + hop] ** 2)) >= 5000 for i in range(0, len(chunks), hop)]
        voice = [i < 2 or any(loud[i - 2 : i + 1]) for i in range(len(loud))]
        starts = [9 + 20 * k for k in range((len(a) - 9) // 20) if any(voice[20 * k : 20 * k + 20])]
    else:
        starts = [i - 1 for i in range(15, max(len(a) - 30, 16), 30)]
    x, y = visqol_decibels(a, b)
    y = np.concatenate([y, np.zeros((size, y.shape[1]))])
    starts = [s for s in starts if s - size // 2 <= len(b)]
    total, came = np.zeros((len(starts), len(b))), np.zeros((len(starts), len(b)), int)
    for k, s in enumerate(starts):
        for o in range(max(0, s - search * size), min(s + search * size + 1, len(b))):
            here = nsim(x[s : s + size], y[o : o + size]).mean()
            if k:
                earlier = range(o - 1, max(0, starts[k - 1] - search * size) - 1, -1)
                came[k, o] = max(earlier, key=lambda e: total[k - 1, e], default=-1)
                here += total[k - 1, came[k, o]] if len(earlier) else -np.inf
                if total[k - 1, o] > here:
                    here, came[k, o] = total[k - 1, o], o
            else:
                came[k, o] = -1
            total[k, o] = here
    first = max(0, starts[-1] - search * size)
    o = first + int(np.argmax(total[-1, first : starts[-1] + search * size + 1]))
    bands = np.zeros((len(starts), x.shape[1]))
    for k in range(len(starts) - 1, -1, -1):
        if came[k, o] != o:
            coarse = nsim(x[starts[k] : starts[k] + size], y[o : o + size]).mean(0)
            fine = visqol_realigned(r, t, starts[k] * (hop / rate), o * (hop / rate), size * (hop / rate), rate, speech)
            bands[k] = fine if fine.mean() >= coarse.mean() else coarse
        o = came[k, o]
    return bands


def visqol_realigned(r: Array, t: Array, at: float, there: float, long: float, rate: int, speech: bool) -> Array:
    """NSIM by band of what lies at these seconds in both."""
    parts = []
    for z, start in ((r, at), (t, there)):
        part = z[int(start * rate) : min(len(z) - 1, int((start + long) * rate))]
        parts.append(np.concatenate([np.zeros(max(int((start + long) * rate - len(z)), 0)), part]))
    a, lag = parts[0], visqol_lag(*parts)
    b = visqol_moved(parts[1], lag)
    cut = int(lag / rate * rate) if len(a) < len(b) else 0
    a, b = a[cut : len(b)], b[cut : len(a)]
    return nsim(*visqol_decibels(*(visqol_spectrogram(z, rate, speech) for z in (a, b)))).mean(0)


def visqol_moved(t: Array, lag: int) -> Array:
    return np.concatenate([np.zeros(max(lag, 0)), t[max(-lag, 0) :]])


def visqol_lag(r: Array, t: Array) -> int:
    envelopes = []
    for z in (r, t):
        size = max(32, 2 ** int(np.ceil(np.log2(len(z)))))
        spectrum = np.fft.rfft(z - z.mean(), size)
        spectrum[1:-1] *= 2
        spectrum[-1] *= len(z) == size
        envelopes.append(np.abs(np.fft.irfft(spectrum)[: len(z)]) + z.mean())
    correlation = scipy.signal.correlate(*envelopes, method="fft")
    lag = int(np.argmax(correlation)) - (len(t) - 1)
    return lag if abs(lag) <= len(r) / 2 else 0


def visqol_spectrogram(x: Array, rate: int, speech: bool) -> Array:
    """[frame, band] amplitudes."""
    size = round(0.08 * rate)
    frames = np.lib.stride_tricks.sliding_window_view(x, size)[:: size // 4]
    windowed, bands = frames * np.hanning(size), 21 if speech else 32
    top, a = min(8000 if speech else rate / 2, rate / 2), 9.26449 * 24.7
    levels = []
    for i in range(bands, 0, -1):
        f = -a + (top + a) * np.exp(i * (np.log(50 + a) - np.log(top + a)) / bands)
        y = scipy.signal.sosfilt(gammatone_sections(f, rate), windowed)
        levels.append(np.sqrt(np.mean(y**2, axis=1)))
    return np.array(levels).T


def gammatone_sections(f: float, rate: int) -> Array:
    """Slaney's four biquads, gain 1 at f."""
    w, e = 2 * np.pi * f / rate, np.exp(-2 * np.pi * 1.019 * (f / 9.26449 + 24.7) / rate)
    sections = []
    for s in (np.sqrt(3 + 2**1.5), -np.sqrt(3 + 2**1.5), np.sqrt(3 - 2**1.5), -np.sqrt(3 - 2**1.5)):
        sections.append([1, -e * (np.cos(w) + s * np.sin(w)), 0, 1, -2 * e * np.cos(w), e**2])
        z = np.exp(-1j * w)
        response = (1 + sections[-1][1] * z) / (1 + sections[-1][4] * z + sections[-1][5] * z**2)
        sections[-1][:3] = (np.array(sections[-1][:3]) / abs(response)).tolist()
    return np.array(sections)


def visqol_decibels(a: Array, b: Array) -> tuple[Array, Array]:
    x, y = (np.maximum(10 * np.log10(np.where(z == 0, np.finfo(float).eps, z)), -45) for z in (a, b))
    for i in range(min(len(x), len(y))):
        floor = max(x[i].max(), y[i].max()) - 45
        x[i], y[i] = np.maximum(x[i], floor), np.maximum(y[i], floor)
    lowest = min(x.min(), y.min())
    return x - lowest, y - lowest


def nsim(r: Array, d: Array) -> Array:
    """Of each cell."""
    corner, edge, centre = 0.0113033910173052, 0.0838251475442633, 0.619485845753726
    window = np.array([[corner, edge, corner], [edge, centre, edge], [corner, edge, corner]])

    def mean(x: Array) -> Array:
        return np.asarray(scipy.signal.correlate(np.pad(x, 1, "edge"), window, "valid", "direct"))

    mr, md = mean(r), mean(d)
    vr, vd, cov = mean(r * r) - mr * mr, mean(d * d) - md * md, mean(r * d) - mr * md
    intensity = (2 * mr * md + 1e-4) / (mr * mr + md * md + 1e-4)
    return np.asarray(intensity * (cov + 4.5e-4) / (np.sqrt(np.maximum(vr * vd, 0)) + 4.5e-4))


def octave_resampled(x: Array, rate: int, wanted: int) -> Array:
    """Octave's resample: a Kaiser-windowed sinc of 60 dB, by SciPy."""
    up, down = wanted // math.gcd(rate, wanted), rate // math.gcd(rate, wanted)
    if up == down:
        return x
    cutoff = 1 / (2 * max(up, down))
    half = math.ceil((60 - 8) / (28.714 * cutoff / 10))
    taps = np.kaiser(2 * half + 1, 0.1102 * (60 - 8.7)) * np.sinc(2 * cutoff * np.arange(-half, half + 1))
    return np.asarray(scipy.signal.resample_poly(x, up, down, window=taps / taps.sum()))


def stoi(r: Array, t: Array, rate: int, extended: bool = False) -> float:
    """Taal et al. 2011; extended: Jensen and Taal 2016."""
    r, t = (octave_resampled(z, rate, 10000) for z in (r, t))
    w = np.hanning(258)[1:-1]
    starts = range(0, r.size - 256, 128)
    loud = [np.sum((w * r[i : i + 256]) ** 2) for i in starts]
    kept = [i for i, energy in zip(starts, loud, strict=True) if energy > max(loud) / 10**4]
    bands = []
    for z in (r, t):
        joined = np.zeros(128 * (len(kept) + 1))
        for k, i in enumerate(kept):
            joined[128 * k : 128 * k + 256] += w * z[i : i + 256]
        powers = np.array(
            [np.abs(np.fft.rfft(w * joined[i : i + 256], 512)) ** 2 for i in range(0, joined.size - 256, 128)]
        )
        cuts = np.round(150 * 2 ** ((2 * np.arange(16) - 1) / 6) * 512 / 10000).astype(int)
        bands.append(np.sqrt([powers[:, a:b].sum(1) for a, b in pairwise(cuts)]))

    def normal(z: Array, axis: int) -> Array:
        z = z - z.mean(axis, keepdims=True)
        norm = np.linalg.norm(z, axis=axis, keepdims=True)
        return np.asarray(z / np.where(norm > 0, norm, 1))

    values = []
    for m in range(bands[0].shape[1] - 29):
        x, y = (z[:, m : m + 30] for z in bands)
        if extended:
            values.append(np.sum(normal(normal(x, 1), 0) * normal(normal(y, 1), 0)) / 30)
        else:
            norms = np.linalg.norm(y, axis=1, keepdims=True)
            y = np.minimum(y * np.linalg.norm(x, axis=1, keepdims=True) / np.where(norms > 0, norms, 1), x * CLIP_STOI)
            values.append(np.sum(normal(x, 1) * normal(y, 1)) / 15)
    return float(np.mean(values))


def _split(options: dict[str, Any], n_fft: int, hop: int, floor: float) -> tuple[dict[str, Any], float, dict[str, Any]]:
    """Options as those of the frames, the floor, and the rest."""
    frames = {"n_fft": n_fft, "hop": hop, **{k: options[k] for k in ("n_fft", "hop", "win", "window") if k in options}}
    return frames, options.get("floor", floor), {k: v for k, v in options.items() if k not in (*frames, "floor")}


DEFINITIONS: dict[str, Callable[..., float]] = {
    **{f.__name__.replace("_", "-"): f for f in (mse, rmse, mae, log_cosh, esr, dc, snr, si_sdr)},
    **{f.__name__.replace("_", "-"): f for f in (sd_sdr, sdr, seg_snr, usdr)},
    **{f.__name__.replace("_", "-"): f for f in (stft, mel_stft, mr_stft, spectral_convergence, log_mel, mfcc, lsd)},
    **{f.__name__.replace("_", "-"): f for f in (mcd, llr, cepstrum_distance, fwseg_snr, wss, plp)},
    "itakura-saito": itakura_saito_metric,
    "cosh": cosh_metric,
    "complex-stft": complex_stft,
    "tversky": tversky,
    "phase": phase,
    "spectral-transport": spectral_transport,
}


def _end_to_end(definition: Callable[..., float]) -> Callable[..., float]:
    """The metric of channels [channel, sample] laid end to end, each without its own mean where the metric removes it.

    Of equally long channels whose means are gone, the mean of all samples is 0.
    """

    def of_all(r: Array, t: Array, rate: int, **options: Any) -> float:
        if options.get("zero_mean") or (definition is not esr and options.get("convention") == "auraloss"):
            r, t = (x - x.mean(axis=1, keepdims=True) for x in (r, t))
        return definition(r.ravel(), t.ravel(), rate, **options)

    return of_all


# Metrics whose channels=pooled is of all channels [channel, sample] together
POOLED: dict[str, Callable[..., float]] = {
    **{f.__name__.replace("_", "-"): _end_to_end(f) for f in (esr, snr, si_sdr, sd_sdr, usdr)},
    "sdr": sdr_of_all,
    "seg-snr": seg_snr,
}


def value(text: str, ref: Array, test: Array, rate: int) -> float:
    """A metric as the user writes it, of [channel, sample]."""
    spec = metrics.parse(text)
    options = dict(spec.options)
    weighting, coef = options.pop("weighting", "none"), options.pop("coef", 0.85)
    if options.pop("mid_side", False):
        ref, test = (np.stack([x[0] + x[1], x[0] - x[1]]) for x in (ref, test))
    channels = [[weighted(x, rate, weighting, coef) for x in pair] for pair in zip(ref, test, strict=True)]
    if options.pop("channels", "pooled") == "pooled" and spec.name in POOLED:
        return POOLED[spec.name](*(np.stack(x) for x in zip(*channels, strict=True)), rate, **options)
    return float(np.mean([DEFINITIONS[spec.name](r, t, rate, **options) for r, t in channels]))


# PEAQ, basic version (ITU-R BS.1387-1), of recordings [channel, sample] at 48 kHz


def bark_constants(step: float) -> SimpleNamespace:
    """Of bands so many Bark wide."""
    lowest, highest = 7 * np.arcsinh(80 / 650), 7 * np.arcsinh(18000 / 650)
    z = np.append(np.arange(lowest, highest, step), highest)
    f = 650 * np.sinh((z[:-1] + z[1:]) / 2 / 7)
    above = step * np.arange(f.size)
    return SimpleNamespace(
        step=step,
        f=f,
        edges=650 * np.sinh(z / 7),
        noise=10 ** (0.4 * 0.364 * (f / 1000) ** -0.8),
        mask=10 ** (np.where(above <= 12, 3.0, 0.25 * above) / 10),
    )


Bark, HalfBark = bark_constants(0.25), bark_constants(0.5)  # 109 bands, and the 55 of the advanced version


def bark_power(x: Array, level: float = 92.0) -> tuple[Array, Array]:
    """Power spectra, plain and after outer and middle ear, [frame, bin] each, in energy re 0 dB SPL."""
    n = (x.size - 2048) // 1024 + 2
    padded = np.pad(x.astype(np.float64), (0, 1024 * n + 1024 - x.size))
    window = np.sqrt(8 / 3) * np.hanning(2048)
    z = np.fft.rfft([window * padded[1024 * i : 1024 * i + 2048] for i in range(n)])
    power = np.abs(z) ** 2 * 10 ** (level / 10) / (8 / 3 * (0.84971762641205 / 4 * 2047) ** 2)
    f = np.arange(1, 1025) * 48 / 2048
    ear = -2.184 * f**-0.8 + 6.5 * np.exp(-0.6 * (f - 3.3) ** 2) - 0.001 * f**3.6
    return power, power * np.append(0, 10 ** (ear / 10))


def bark_bands(power: Array, b: Any = Bark) -> Array:
    """[frame, bin] -> [frame, band], at least 1e-12."""
    k = np.arange(1025) * 48000 / 2048
    half = 12000 / 1024
    low, high = b.edges[:-1, None], b.edges[1:, None]
    shares = np.maximum(0, np.minimum(k + half, high) - np.maximum(k - half, low)) / (2 * half)
    return np.maximum(power @ shares.T, 1e-12)


def bark_spread(energy: Array, b: Any = Bark) -> Array:
    """Band by band [frame, band], by levels in dB."""

    def plain(e: Array) -> Array:
        out = np.zeros_like(e)
        distance = np.arange(b.f.size)[:, None] - np.arange(b.f.size)  # from the second to the first
        for frame, p in zip(out, e, strict=True):
            up_db = -24 - 230 / b.f + 0.2 * 10 * np.log10(p)
            shape = 10 ** (np.where(distance < 0, 27, up_db) * b.step * distance / 10)
            frame[:] = ((p / shape.sum(axis=0) * shape) ** 0.4).sum(axis=1) ** 2.5
        return out

    return plain(energy) / plain(np.ones((1, b.f.size)))


def bark_one_pole(x: Array, longest: float, gain: Array | float | None = None) -> Array:
    """y = a y + g x over frames, with g = 1 - a unless given."""
    a = np.exp(-1024 / 48000 / (0.008 + 100 / Bark.f * (longest - 0.008)))
    y, state = np.zeros_like(x), np.zeros(109)
    for i, frame in enumerate(x):
        y[i] = state = a * state + (1 - a if gain is None else gain) * frame
    return y


def peaq_ear(x: Array, level: float = 92.0) -> dict[str, Array]:
    """The patterns of one channel [sample]."""
    power, weighted = bark_power(x, level)
    spread = bark_spread(bark_bands(weighted) + Bark.noise)
    excitation = np.maximum(spread, bark_one_pole(spread, 0.030))
    loudness = spread**0.3
    change = bark_one_pole(np.abs(np.diff(loudness, axis=0, prepend=0)) * 46.875, 0.050)
    average = bark_one_pole(loudness, 0.050)
    quiet = 10 ** (0.364 * (Bark.f / 1000) ** -0.8)
    s = 10 ** (0.1 * (-2 - 2.05 * np.arctan(Bark.f / 4000) - 0.75 * np.arctan((Bark.f / 1600) ** 2)))
    bands = 1.07664 * (quiet / (1e4 * s)) ** 0.23 * ((1 - s + s * excitation / quiet) ** 0.23 - 1)
    return {
        "power": power,
        "weighted": weighted,
        "excitation": excitation,
        "average": average,
        "modulation": change / (1 + average / 0.3),
        "sones": 24 / 109 * np.maximum(bands, 0).sum(axis=1),
    }


def peaq_noise_loudness(r: dict[str, Array], t: dict[str, Array]) -> Array:
    """Sones [frame], of adapted patterns."""
    x, y = r["excitation"], t["excitation"]
    p, q = bark_one_pole(x, 0.050), bark_one_pole(y, 0.050)
    level = (np.sqrt(p * q).sum(axis=1) / q.sum(axis=1)) ** 2
    x, y = x / np.maximum(level, 1)[:, None], y * np.minimum(level, 1)[:, None]
    ratio = bark_one_pole(x * y, 0.050, 1.0) / bark_one_pole(x * x, 0.050, 1.0)
    for pattern, factor in ((x, np.minimum(ratio, 1)), (y, np.minimum(1 / ratio, 1))):
        near = np.stack([factor[:, max(0, i - 3) : i + 5].mean(axis=1) for i in range(109)], axis=1)
        pattern *= bark_one_pole(near, 0.050)
    s, u = 0.15 * r["modulation"] + 0.5, 0.15 * t["modulation"] + 0.5
    masked = 1 + np.maximum(u * y - s * x, 0) / (Bark.noise + s * x * np.exp(-1.5 * (y - x) / x))
    return np.maximum(24 / 109 * ((Bark.noise / u) ** 0.23 * (masked**0.23 - 1)).sum(axis=1), 0)


def peaq_harmonics(r: Array, t: Array) -> float:
    """Of weighted spectra [bin]."""
    d = np.array([np.log(b / a) if a > 0 and b > 0 else 0.0 for a, b in zip(r[:512], t[:512], strict=True)])
    norm = np.linalg.norm
    c = np.array([d[:256] @ d[i : 256 + i] / (norm(d[:256]) * norm(d[i : 256 + i]) or inf) for i in range(256)])
    s = np.abs(np.fft.rfft((c - c.mean()) * np.sqrt(8 / 3) * np.hanning(256) / 256)) ** 2
    return 1000 * max([b for a, b in pairwise(s) if b > a], default=0.0)


def peaq_detection(ears: list[tuple[dict[str, Array], dict[str, Array]]]) -> tuple[Array, Array]:
    """Probability that any difference is heard, and steps above the threshold [frame], by the better of the ears."""
    p, q = [], []
    for r, t in ears:
        x, y = 10 * np.log10(r["excitation"]), 10 * np.log10(t["excitation"])
        v = 0.3 * np.maximum(x, y) + 0.7 * y
        s = np.full_like(v, 1e30)
        v, some = v[v > 0], v > 0
        s[some] = 5.95072 * (6.39468 / v) ** 1.71332 + np.polyval(
            [9.01033e-11, 5.05622e-6, -0.00102438, 0.0550197, -0.198719], v
        )
        e = x - y
        p.append(1 - 0.5 ** ((np.abs(e) / s) ** np.where(e > 0, 4, 6)))
        q.append(np.abs(np.trunc(e)) / s)
    return 1 - np.prod(1 - np.max(p, axis=0), axis=1), np.max(q, axis=0).sum(axis=1)


def peaq_variables(ref: Array, test: Array, level: float = 92.0) -> dict[str, float]:
    """The 11 model output variables; the data boundary is that of sounds without silent ends."""
    ears = [(peaq_ear(r, level), peaq_ear(t, level)) for r, t in zip(ref, test, strict=True)]
    frames = len(ears[0][0]["power"])
    late = 24 if frames >= 28 else 0
    loud = [np.minimum(r["sones"], t["sones"]) > 0.1 for r, t in ears]
    begin = min(max(late, int(np.argmax(np.any(loud, axis=0))) + 3), frames - 1)
    padded = np.pad(np.concatenate([ref, test]), ((0, 0), (0, 2048)))
    halves = [np.sum(padded[:, 1024 * i : 1024 * i + 1024] ** 2, axis=1).max() for i in range(1, frames + 1)]
    probability, steps = peaq_detection(ears)
    smooth = scipy.signal.lfilter([0.1], [1, -0.9], probability)
    above = steps[probability > 0.5]
    alone = []
    for r, t in ears:
        widths = []
        for p, q in zip(r["power"], t["power"], strict=True):
            noise = q[921:1024].max()
            width = 1 + np.max(np.flatnonzero(p[:921] > 10 * noise), initial=-1)
            if width > 346:
                widths.append((width, 1 + np.max(np.flatnonzero(q[:width] >= 10**0.5 * noise), initial=-1)))
        noise = bark_bands((np.sqrt(r["weighted"]) - np.sqrt(t["weighted"])) ** 2)
        ratio = noise / (r["excitation"] / Bark.mask)
        x, y = r["modulation"], t["modulation"]
        first = 100 * np.mean(np.abs(y - x) / (1 + x), axis=1)[late:]
        second = 100 * np.mean(np.where(y >= x, 1, 0.1) * np.abs(y - x) / (0.01 + x), axis=1)[late:]
        weight = np.sum(r["average"] / (r["average"] + 100 * Bark.noise**0.3), axis=1)[late:]
        n = min(4, len(first))
        windows = [np.mean(np.sqrt(first[i : i + n])) ** 4 for i in range(len(first) - n + 1)]
        harmonics = [
            peaq_harmonics(p, q)
            for p, q, energy in zip(r["weighted"], t["weighted"], halves, strict=True)
            if energy >= 8000 / 32768**2
        ]
        alone.append(
            {
                "BandwidthRef": np.mean([w[0] for w in widths] or [0]),
                "BandwidthTest": np.mean([w[1] for w in widths] or [0]),
                "TotalNMR": 10 * np.log10(ratio.mean()),
                "WinModDiff1": np.sqrt(np.mean(windows)),
                "EHS": np.mean(harmonics or [0]),
                "AvgModDiff1": np.average(first, weights=weight),
                "AvgModDiff2": np.average(second, weights=weight),
                "RmsNoiseLoud": np.sqrt(np.mean(peaq_noise_loudness(r, t)[begin:] ** 2)),
                "RelDistFrames": np.mean(ratio.max(axis=1) > 10**0.15),
            }
        )
    return {
        **{name: float(np.mean([a[name] for a in alone])) for name in alone[0]},
        "ADB": float(np.log10(above.mean()) if above.sum() else -0.5 if above.size else 0.0),
        "MFPD": float(smooth.max()),
    }


# PEAQ, advanced version


BANK = 650 * np.sinh(np.linspace(np.arcsinh(50 / 650), np.arcsinh(18000 / 650), 40))  # centres of its filters, Hz
BANK_NOISE = 10 ** (0.4 * 0.364 * (BANK / 1000) ** -0.8)


def bank_one_pole(x: Array, longest: float, shortest: float = 0.008, gain: float | None = None) -> Array:
    """As bark_one_pole, 250 times a second."""
    a = np.exp(-192 / 48000 / (shortest + 100 / BANK * (longest - shortest)))
    y, state = np.zeros_like(x), np.zeros(40)
    for i, frame in enumerate(x):
        y[i] = state = a * state + (1 - a if gain is None else gain) * frame
    return y


def filter_bank_ear(x: Array, level: float = 92.0) -> dict[str, Array]:
    """The patterns of one channel [sample], 250 times a second."""
    n, f = -(-x.size // 192), BANK
    lengths = [1456, 1438, 1406, 1362, 1308, 1244, 1176, 1104, 1030, 956, 884, 814, 748, 686, 626, 570, 520, 472, 430]
    lengths += [390, 354, 320, 290, 262, 238, 214, 194, 176, 158, 144, 130, 118, 106, 96, 86, 78, 70, 64, 58, 52]
    y = np.pad(x.astype(np.float64), (0, 192 * n - x.size)) * 10 ** (level / 20)
    y = scipy.signal.lfilter([1, -2, 1], [1, -1.99517, 0.995174], y)
    y = scipy.signal.lfilter([1, -2, 1], [1, -1.99799, 0.997998], y)
    outputs = np.zeros((6 * n, 40), complex)
    for band, length in enumerate(lengths):
        k = np.arange(length)
        khz = f[band] / 1000
        gain = 10 ** ((-2.184 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 0.001 * khz**3.6) / 20)
        h = gain * 4 / length * np.sin(np.pi * k / length) ** 2
        h = h * np.exp(2j * np.pi * f[band] / 48000 * (k - length / 2))
        late = np.zeros(1 + (1456 - length) // 2)
        outputs[:, band] = scipy.signal.upfirdn(np.append(late, h), y, down=32)[: 6 * n]
    near = 10 ** (-7 * (np.arcsinh(18000 / 650) - np.arcsinh(50 / 650)) / (39 * 20))  # a dB per Bark, from band to band
    factor, up = np.zeros(40), np.arange(40)[:, None] - np.arange(40)  # bands from the second to the first
    energy = np.zeros((6 * n + 5, 40))
    for m, here in enumerate(outputs):
        slope = np.maximum(4, 24 + 230 / f - 0.2 * 10 * np.log10(np.maximum(np.abs(here) ** 2, 1e-12)))
        factor += np.exp(-32 / 4800) * (near**slope - factor)
        whole = np.where(up >= 0, factor ** np.maximum(up, 0), 0) @ here
        for j in range(38, -1, -1):
            whole[j] += near**31 * whole[j + 1]
        energy[m + 5] = np.abs(whole) ** 2
    ahead = np.cos(np.pi * np.arange(-5, 6) / 12) ** 2 * 0.9761 / 6
    spread = np.array([ahead @ energy[6 * i : 6 * i + 11] + BANK_NOISE for i in range(n)])
    excitation = bank_one_pole(spread, 0.020, 0.004)
    loudness = spread**0.3
    change = bank_one_pole(np.abs(np.diff(loudness, axis=0, prepend=0)) * 250, 0.050)
    average = bank_one_pole(loudness, 0.050)
    quiet = 10 ** (0.364 * (f / 1000) ** -0.8)
    s = 10 ** (0.1 * (-2 - 2.05 * np.arctan(f / 4000) - 0.75 * np.arctan((f / 1600) ** 2)))
    bands = 1.26539 * (quiet / (1e4 * s)) ** 0.23 * ((1 - s + s * excitation / quiet) ** 0.23 - 1)
    return {
        "spread": spread,
        "excitation": excitation,
        "average": average,
        "modulation": change / (1 + average / 0.3),
        "sones": 24 / 40 * np.maximum(bands, 0).sum(axis=1),
    }


def peaq_advanced_variables(ref: Array, test: Array, level: float = 92.0) -> dict[str, float]:
    """The 5 model output variables of sounds without silent ends."""
    ears = [(filter_bank_ear(r, level), filter_bank_ear(t, level)) for r, t in zip(ref, test, strict=True)]
    frames = len(ears[0][0]["spread"])
    late = 125 if frames > 125 else 0
    loud = [np.minimum(r["sones"], t["sones"]) > 0.1 for r, t in ears]
    begin = min(max(late, int(np.argmax(np.any(loud, axis=0))) + 13), frames - 1)
    padded = np.pad(np.concatenate([ref, test]), ((0, 0), (0, 2048)))
    alone = []
    for (r, t), pair in zip(ears, zip(ref, test, strict=True), strict=True):
        weight = np.sum(r["average"] / (r["average"] + BANK_NOISE**0.3), axis=1)[late:]
        first = 100 * np.mean(np.abs(t["modulation"] - r["modulation"]) / (1 + r["modulation"]), axis=1)[late:]

        x, y = r["excitation"], t["excitation"]
        p, q = (bank_one_pole(v, 0.050) for v in (x, y))
        balance = (np.sqrt(p * q).sum(axis=1) / q.sum(axis=1)) ** 2
        x, y = x / np.maximum(balance, 1)[:, None], y * np.minimum(balance, 1)[:, None]
        n, d = (bank_one_pole(v, 0.050, gain=1.0) for v in (x * y, x * x))
        for pattern, factor in ((x, np.minimum(n / d, 1)), (y, np.minimum(d / n, 1))):
            near = np.stack([factor[:, max(0, i - 1) : i + 2].mean(axis=1) for i in range(40)], axis=1)
            pattern *= bank_one_pole(near, 0.050)

        def sones(a: Array, b: Array, m: Array, n: Array, alpha: float, c: float) -> Array:
            s, u = c * m + 1, c * n + 1
            masked = 1 + np.maximum(u * b - s * a, 0) / (BANK_NOISE + s * a * np.exp(-alpha * (b - a) / a))
            return 24 / 40 * ((BANK_NOISE / u) ** 0.23 * (masked**0.23 - 1)).sum(axis=1)[begin:]

        m, n = r["modulation"], t["modulation"]
        added = sones(x, y, m, n, 2.5, 0.3)
        added[added < 0.1] = 0
        lost = np.maximum(sones(y, x, n, m, 1.5, 0.15), 0)

        (_, a), (_, b) = (bark_power(v, level) for v in pair)
        spread = bark_spread(bark_bands(a, HalfBark) + HalfBark.noise, HalfBark)
        decay = np.exp(-1024 / 48000 / (0.008 + 100 / HalfBark.f * 0.022))
        excitation, state = spread.copy(), np.zeros(55)
        for i, row in enumerate(spread):
            state = decay * state + (1 - decay) * row
            excitation[i] = np.maximum(state, row)
        ratio = bark_bands((np.sqrt(a) - np.sqrt(b)) ** 2, HalfBark) * HalfBark.mask / excitation
        harmonics = [
            peaq_harmonics(u, v)
            for i, (u, v) in enumerate(zip(a, b, strict=True), 1)
            if np.sum(padded[:, 1024 * i : 1024 * i + 1024] ** 2, axis=1).max() >= 8000 / 32768**2
        ]
        alone.append(
            {
                "RmsModDiff": np.sqrt(40 * np.average(first**2, weights=weight**2)),
                "RmsNoiseLoudAsym": np.sqrt(np.mean(added**2)) + 0.5 * np.sqrt(np.mean(lost**2)),
                "SegmentalNMR": np.mean(10 * np.log10(ratio.mean(axis=1))),
                "EHS": np.mean(harmonics or [0]),
                "AvgLinDist": np.mean(np.maximum(sones(x, r["excitation"], m, m, 1.5, 0.15), 0)),
            }
        )
    return {name: float(np.mean([a[name] for a in alone])) for name in alone[0]}


# Broadcasters' loudness


def bs1770(x: Array, rate: int) -> dict[str, float]:
    """Integrated loudness, maxima, range and true peak of [channel, sample] (BS.1770-4, Tech 3342)."""
    k, q = np.tan(np.pi * 1681.9744509555319 / rate), 0.7071752369554193
    high = 10 ** (3.99984385397 / 20)
    band = high**0.4996667741545416
    shelf = [high + band * k / q + k * k, 2 * (k * k - high), high - band * k / q + k * k]
    y = scipy.signal.lfilter(shelf, [1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k], x)
    k, q = np.tan(np.pi * 38.13547087613982 / rate), 0.5003270373253953
    poles = np.array([1 + k / q + k * k, 2 * (k * k - 1), 1 - k / q + k * k])
    y = scipy.signal.lfilter([1, -2, 1], poles / poles[0], y)
    gains = {5: [1, 1, 1, 1.41, 1.41], 6: [1, 1, 1, 0, 1.41, 1.41]}.get(len(x), np.ones(len(x)))

    def powers(seconds: float) -> Array:
        count = round((x.shape[1] / rate - seconds) * 10 + 1e-9) + 1
        cuts = [(round(i * rate / 10), round((i + 10 * seconds) * rate / 10)) for i in range(max(count, 0))]
        return np.array([gains @ np.mean(y[:, a:b] ** 2, axis=1) for a, b in cuts if b <= x.shape[1]])

    def level(power: Any) -> Any:
        return -0.691 + 10 * np.log10(power)

    def gated(p: Array, below: float) -> Array:
        p = p[level(p) > -70]
        return p[level(p) > level(np.mean(p)) - below]

    blocks, long = powers(0.4), powers(3)
    found = {"integrated": level(np.mean(gated(blocks if blocks.size else gains @ np.mean(y**2, axis=1)[:, None], 10)))}
    if long.size:
        found["short_term_max"] = level(long.max())
    if blocks.size:
        found["momentary_max"] = level(blocks.max())
    if long.size:
        sorted_levels = np.sort(level(gated(long, 20)))
        low, high = (sorted_levels[((sorted_levels.size - 1) * percent + 50) // 100] for percent in (10, 95))
        found["range"] = high - low
    factor = 4  # below 96 kHz
    n = np.arange(-24 * factor + 1, 24 * factor)
    taps = np.sinc(n / factor) * np.i0(8 * np.sqrt(1 - (n / (24 * factor)) ** 2))
    for phase in range(factor):  # no ripple at frequency zero
        taps[(phase + 23 * factor) % factor :: factor] /= taps[(phase + 23 * factor) % factor :: factor].sum()
    found["true_peak"] = 20 * np.log10(max(np.max(np.abs(scipy.signal.upfirdn(taps, c, factor))) for c in x))
    return {name: float(v) for name, v in found.items()}
