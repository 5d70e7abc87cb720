"""Layers of networks on arrays [..., channel, sample], without torch. `tensors` has the same names for torch, so that
one text of a network serves both."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[Any]

COLUMNS = 1024  # of outputs at once: fixed, so that no sum depends on the length; their inputs stay in cache


def conv1d(x: Array, kernel: Array, stride: int = 1, pad: tuple[int, int] = (0, 0)) -> Array:
    """Correlation of x [channel, sample] with kernel [out, channel, tap], behind zeros -> [out, sample]."""
    out, channels, taps = kernel.shape
    x = np.pad(x, ((0, 0), pad))
    windows = sliding_window_view(x, taps, axis=1)[:, ::stride]
    rows = np.ascontiguousarray(kernel.transpose(0, 2, 1)).reshape(out, taps * channels)
    answer = np.empty((out, windows.shape[1]), np.result_type(x, kernel))
    for start in range(0, windows.shape[1], COLUMNS):
        part = windows[:, start : start + COLUMNS]
        columns = part.transpose(2, 0, 1).reshape(taps * channels, -1)
        np.matmul(rows, columns, out=answer[:, start : start + COLUMNS])
    return answer


def leaky_relu(x: Array, slope: float) -> Array:
    """x, where it is negative times slope."""
    return np.maximum(x, slope * x)  # type: ignore[no-any-return]


def unit(x: Array) -> Array:
    """x [..., channel], divided by its norm; 0 where that is 0."""
    norm = np.sqrt((x * x).sum(-1))[..., None]
    return x / np.maximum(norm, 1e-12)  # type: ignore[no-any-return]


def linear(x: Array, weight: Array) -> Array:
    """x [..., in] by weight [out, in] -> [..., out]."""
    return x @ weight.T
