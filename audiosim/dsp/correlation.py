"""Correlations of a pair over short lags, in blocks that stay in cache, and what follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .spectrum import fast_length, irfft, rfft, spread
from .stream import Stream, read

Array = NDArray[Any]

BLOCK = 1 << 13  # samples of the shortest FFT
BLOCKS_PER_TASK = 128  # fixed, so that sums do not depend on the number of threads


def lags(
    ref: Stream, test: Stream, count: int, mean_r: float = 0.0, mean_t: float = 0.0, gain: float = 0.0, jobs: int = 1
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
            for row, stream, mean in ((1, ref, mean_r), (2, test, mean_t)):
                raw = np.empty(size, stream.samples.dtype)
                read(*stream, start, raw)
                frames[row] = raw
                frames[row, : max(0, length - start)] -= mean
            frames[2] -= np.multiply(frames[1], gain, out=scaled)
            frames[0] = frames[1]
            frames[0, step:] = 0
            head, *others = rfft(frames)
            sums += np.conj(head) * np.stack(others)
        return sums

    total = np.sum(spread(task, range(0, length, BLOCKS_PER_TASK * step), jobs), axis=0)
    auto, cross = irfft(total, size)[:, :count]
    return auto, cross


def shares(auto: Array, cross: Array, gain: float, rest: float, load: float = 0.0) -> tuple[float, float]:
    """How a signal t = gain r + d of unit energy splits into what a filter of r explains, c = b^T (R + load)^-1 b, and
    the rest, 1 - c. Both keep their digits when they are small, d being orthogonal to r but for rounding.

    auto: [lag] r[n] r[n + k], r of unit energy; cross: [lag] r[n] d[n + k]; rest: energy of d. R: Toeplitz matrix of
    auto; b = gain auto + cross: r[n] t[n + k].
    """
    lag = np.arange(auto.size)
    matrix = auto[np.abs(lag[:, None] - lag)]
    matrix[lag, lag] += load
    both = np.stack([cross, lag == 0], axis=1)
    try:
        filters = np.linalg.solve(matrix, both)
    except np.linalg.LinAlgError:
        filters = np.linalg.lstsq(matrix, both, rcond=None)[0]
    explained, shared = cross @ filters
    # auto = (R + load) e_0 - load e_0, so that without load nothing but d needs its filter
    lost = load * (gain * gain * (1 - load * filters[0, 1]) + 2 * gain * shared)
    return (
        float(gain * gain + 2 * gain * cross[0] + explained - lost),
        float(rest - explained + lost),
    )
