"""Correlations of a pair over short lags, in blocks that stay in cache, and what follows from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.fft import fast_length, irfft, rfft
from ..engine.kernel import kernel
from ..engine.moments import over, product, squares
from ..engine.stream import Stream, part
from ..engine.threads import in_threads

Array = NDArray[Any]

BLOCK = 1 << 13  # samples of the shortest FFT
BLOCKS_PER_TASK = 128  # fixed, so that sums do not depend on the number of threads


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """A signal t as what a filter of another signal r explains of it, gain r + taps * r, and the rest.

    signal, other: energies of r and t. target, distortion: the shares of t's energy that are explained and left.
    """

    signal: float
    other: float
    target: float
    distortion: float
    gain: float
    taps: Array

    def of_whole(self, energy: float, target: float, distortion: float) -> Fit:
        """The same filter, where this signal is a part of one of that energy, of which these shares are explained and
        left."""
        return replace(self, other=energy, target=target, distortion=distortion)


def shares_of_all(fits: Sequence[Fit]) -> tuple[float, float]:
    """The shares of the energy of several signals together, not all silent, that their own filters explain, and leave;
    none of which rounding takes below 0."""
    whole = sum(fit.other for fit in fits)
    target = sum(fit.other / whole * max(fit.target, 0.0) for fit in fits)
    return target, sum(fit.other / whole * max(fit.distortion, 0.0) for fit in fits)


def fit(
    ref: Stream, test: Stream, count: int, load: float = 0.0, means: tuple[float, float] = (0.0, 0.0), threads: int = 1
) -> Fit:
    """The filter of count taps of ref that explains most of test, both without means (Scheibler 2022, arXiv 2110.06440,
    eq. 9 and 14); load: added to the diagonal of the normal equations, for signals of unit energy.

    target is 0 where one of them is silent; distortion is 0 where they are equal.
    """
    signal, other, excess = over(product, 3, ref, test, *means, threads=threads)
    if signal == 0 or other == 0:
        return Fit(signal, other, 0.0, 1.0, 0.0, np.zeros(count))
    gain = 1 + excess / signal  # what this leaves of the test is small where the fit is good, and keeps its digits
    rest = over(squares, 2, ref, test, *means, gain, threads=threads)[1]
    if rest == 0:
        return Fit(signal, other, 1.0, 0.0, gain, np.zeros(count))
    auto, cross = lags(ref, test, count, *means, gain, threads=threads)
    unit = np.sqrt(signal * other)
    target, distortion, taps = shares(auto / signal, cross / unit, gain * signal / unit, rest / other, load)
    return Fit(signal, other, target, distortion, gain, taps * (unit / signal))


def slope(ref: Stream, test: Stream, found: Fit, means: tuple[float, float] = (0.0, 0.0), threads: int = 1) -> Array:
    """The derivative of ln(target / distortion) of a fit with respect to the samples of test, in their dtype."""
    taps = found.taps
    size = fast_length(max(BLOCK, 4 * taps.size))
    lead = taps.size - 1
    step = size - lead
    response = rfft(taps, size)
    explained, left = (2 / (found.other * share) for share in (found.target, found.distortion))
    out = np.empty(ref.length, ref.samples.dtype)

    most = 1e-8 * float(np.finfo(out.dtype).max)  # of silence in float32 it would overflow, there and in sums

    def task(start: int) -> None:
        """The part that the filter adds counts as explained, and is gone from what is left."""
        r = _part(ref, start - lead, size, means[0])
        added = irfft(rfft(r) * response, size)[lead:]
        stop = min(start + step, out.size)
        rest = _part(test, start, step, means[1]) - found.gain * r[lead:]
        whole = explained * (found.gain * r[lead:] + added) + left * (added - rest)
        out[start:stop] = whole[: stop - start].clip(-most, most)

    in_threads(task, range(0, ref.length, step), threads)
    return out


def _part(x: Stream, start: int, size: int, mean: float) -> Array:
    """Samples start to start + size of the signal without its mean, float64; zero outside."""
    y: Array = part(x, start, size).astype(np.float64)
    y[max(0, -start) : max(0, x.length - start)] -= mean
    return y


def lags(
    ref: Stream, test: Stream, count: int, mean_r: float = 0.0, mean_t: float = 0.0, gain: float = 0.0, threads: int = 1
) -> tuple[Array, Array]:
    """Sums r[n] r[n + k] and r[n] d[n + k] for k = 0..count - 1, float64; r: ref, d: test - gain ref, without means."""
    size = fast_length(max(BLOCK, 4 * count))
    step = size - count + 1
    length = ref.length

    def task(first: int) -> Array:
        sums = np.zeros((2, size // 2 + 1), np.complex128)
        frames = np.empty((3, size))
        scaled = np.empty(size)
        for start in range(first, min(length, first + BLOCKS_PER_TASK * step), step):
            frames[1] = _part(ref, start, size, mean_r)
            frames[2] = _part(test, start, size, mean_t)
            frames[2] -= np.multiply(frames[1], gain, out=scaled)
            frames[0] = frames[1]
            frames[0, step:] = 0
            head, *others = rfft(frames)
            sums += np.conj(head) * np.stack(others)
        return sums

    total = np.sum(in_threads(task, range(0, length, BLOCKS_PER_TASK * step), threads), axis=0)
    auto, cross = irfft(total, size)[:, :count]
    return auto, cross


def shares(auto: Array, cross: Array, gain: float, rest: float, load: float = 0.0) -> tuple[float, float, Array]:
    """How a signal t = gain r + d of unit energy splits into what a filter of r explains, c = b^T (R + load)^-1 b, and
    the rest, 1 - c; and the taps of that filter beside its gain. The shares keep their digits when they are small, d
    being orthogonal to r but for rounding.

    auto: [lag] r[n] r[n + k], r of unit energy; cross: [lag] r[n] d[n + k]; rest: energy of d. R: Toeplitz matrix of
    auto; b = gain auto + cross: r[n] t[n + k].
    """
    diagonal = auto.copy()
    diagonal[0] += load
    filters = _solve(diagonal, np.stack([cross, np.arange(auto.size) == 0], axis=1))
    explained, shared = cross @ filters
    # auto = (R + load) e_0 - load e_0, so that without load nothing but d needs its filter
    lost = load * (gain * gain * (1 - load * filters[0, 1]) + 2 * gain * shared)
    return (
        float(gain * gain + 2 * gain * cross[0] + explained - lost),
        float(rest - explained + lost),
        filters[:, 0] - gain * load * filters[:, 1],
    )


def _solve(auto: Array, right: Array) -> Array:
    """R^-1 right [lag, column] for the Toeplitz matrix R of auto; where R is singular, the shortest of the best."""
    columns = np.ascontiguousarray(right.T)
    if not levinson(auto, columns):
        lag = np.arange(auto.size)
        columns = np.linalg.lstsq(auto[np.abs(lag[:, None] - lag)], right, rcond=None)[0].T
    solved: Array = columns.T
    return solved


@kernel
def levinson(auto: Array, columns: Array) -> bool:
    """columns = R^-1 columns in place, [column, lag], for the Toeplitz matrix R of auto (Levinson 1947).

    False, and columns are spoilt, where R is not positive definite.
    """
    n = auto.size
    backward = auto[::-1].copy()
    predictor = np.zeros(n)  # 1, a_1, a_2...
    turned = np.zeros(n)  # the same from the last lag on
    predictor[0] = turned[n - 1] = 1.0
    error = auto[0]
    if not error > 0.0:
        return False
    for c in range(columns.shape[0]):
        columns[c, 0] /= error
    for i in range(1, n):
        past = backward[n - 1 - i : n - 1]  # auto[i], auto[i - 1]... auto[1]
        total = 0.0
        for j in range(i):
            total += predictor[j] * past[j]
        k = -total / error
        error *= 1.0 - k * k
        if not error > 0.0:
            return False
        head = predictor[1 : i + 1]
        tail = turned[n - i :]
        for j in range(i):
            head[j] += k * tail[j]
        for j in range(i + 1):
            turned[n - 1 - j] = predictor[j]
        for c in range(columns.shape[0]):
            x = columns[c, : i + 1]
            missing = x[i]
            for j in range(i):
                missing -= past[j] * x[j]
            x[i] = 0.0
            weight = missing / error
            for j in range(i + 1):
                x[j] += weight * turned[n - 1 - i + j]
    return True
