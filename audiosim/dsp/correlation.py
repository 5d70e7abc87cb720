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
    ref: Stream, test: Stream, count: int, mean_r: float = 0.0, mean_t: float = 0.0, jobs: int = 1
) -> tuple[Array, Array]:
    """Sums ref[n] ref[n + k] and ref[n] test[n + k] for k = 0..count - 1, of the signals without means; float64."""
    size = fast_length(max(BLOCK, 4 * count))
    step = size - count + 1
    length = ref.length

    def task(first: int) -> Array:
        sums = np.zeros((2, size // 2 + 1), np.complex128)
        frames = np.empty((3, size))
        for start in range(first, min(length, first + BLOCKS_PER_TASK * step), step):
            for row, stream, mean in ((1, ref, mean_r), (2, test, mean_t)):
                raw = np.empty(size, stream.samples.dtype)
                read(*stream, start, raw)
                frames[row] = raw
                frames[row, : max(0, length - start)] -= mean
            frames[0] = frames[1]
            frames[0, step:] = 0
            head, *others = rfft(frames)
            sums += np.conj(head) * np.stack(others)
        return sums

    total = np.sum(spread(task, range(0, length, BLOCKS_PER_TASK * step), jobs), axis=0)
    auto, cross = irfft(total, size)[:, :count]
    return auto, cross


def coherence(auto: Array, cross: Array, load: float = 0.0) -> float:
    """b^T R^-1 b of the Toeplitz matrix R of auto, load added to its diagonal, and b = cross."""
    lag = np.arange(auto.size)
    matrix = auto[np.abs(lag[:, None] - lag)]
    matrix[lag, lag] += load
    try:
        solution = np.linalg.solve(matrix, cross)
    except np.linalg.LinAlgError:
        solution = np.linalg.lstsq(matrix, cross, rcond=None)[0]
    return float(cross @ solution)
