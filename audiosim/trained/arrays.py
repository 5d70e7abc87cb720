"""Layers of networks on arrays [..., channel, sample], without torch. `tensors` has the same names for torch, so that
one text of a network serves both."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from .. import engine

Array = NDArray[Any]

SPAN = 32  # samples of a transform: longer ones take up to a fifth less time and twice the memory
WINDOWS = 128  # at once: they stay in cache


def conv1d(x: Array, kernel: Array | Spectrum, stride: int = 1, pad: tuple[int, int] = (0, 0)) -> Array:
    """Correlation of x [channel, sample] with kernel [out, channel, tap], or its spectrum, behind zeros
    -> [out, sample]."""
    if isinstance(kernel, Spectrum):
        return kernel.correlated(x, pad)[:, ::stride]
    out, channels, taps = kernel.shape
    x = np.pad(x.astype(kernel.dtype, copy=False), ((0, 0), pad))
    rows = engine.products.packed(kernel.transpose(0, 2, 1).reshape(1, out, -1))  # by tap and channel
    starts = np.add.outer(np.arange(taps), np.arange(channels) * x.shape[1]).ravel()
    return engine.products.gathered(rows, x, starts, np.arange(0, x.shape[1] - taps + 1, stride), out)


class Spectrum:
    """Of a kernel [out, channel, tap] with many channels and taps: conv1d takes it in the kernel's place, and is some
    times as fast. Samples are correlated in windows of SPAN, at each frequency by one product of matrices.

    The frequencies lie halfway between those of an FFT, so that none of them is real. What wraps around has another
    sign, and is dropped anyway.
    """

    def __init__(self, kernel: Array) -> None:
        self.out, _, taps = kernel.shape
        self.fresh = SPAN - taps + 1  # samples of a window that do not wrap around
        waves = np.exp(2j * np.pi / SPAN * np.outer(np.arange(SPAN // 2) + 0.5, np.arange(SPAN)))
        both = np.stack([waves.real, -waves.imag], 1).reshape(SPAN, SPAN).astype(kernel.dtype)  # [bin and part, sample]
        self.forward = engine.products.packed(both[None])
        self.back = engine.products.packed((2 / SPAN) * both.T[None, : self.fresh])
        parts = np.tensordot(both[:, :taps], kernel, (1, 2)).reshape(-1, 2, *kernel.shape[:2])
        parts[:, 1] *= -1  # conjugated
        parts = parts.reshape(len(parts), -1, kernel.shape[1])  # [bin, part and out, channel]
        self.rows = engine.products.packed(parts)

    def correlated(self, x: Array, pad: tuple[int, int]) -> Array:
        """conv1d with stride 1, in the type of the kernel."""
        count = x.shape[1] + sum(pad) - (SPAN - self.fresh)
        x = np.pad(x, ((0, 0), (pad[0], pad[1] + -count % self.fresh)))  # the last window is filled up
        windows = sliding_window_view(x, SPAN, axis=1, writeable=True)  # nobody writes; but kernels ask who might
        windows = windows[:, :: self.fresh].swapaxes(1, 2)  # [channel, sample, window]
        found = np.empty((self.out, windows.shape[2], self.fresh), x.dtype)
        for start in range(0, windows.shape[2], WINDOWS):
            self._correlated(windows[:, :, start : start + WINDOWS], found[:, start : start + WINDOWS])
        return found.reshape(self.out, -1)[:, :count]

    def _correlated(self, windows: Array, out: Array) -> None:
        spectra = engine.products.product(self.forward, windows, SPAN, across=True)  # [bin and part, channel, window]
        multiplied = engine.products.product(self.rows, spectra, 2 * self.out)
        multiplied = multiplied.reshape(SPAN // 2, 2, 2, self.out, -1)  # [bin, of windows and of kernel, out, window]
        both = np.empty((SPAN // 2, 2, self.out, windows.shape[2]), out.dtype)
        np.subtract(multiplied[:, 0, 0], multiplied[:, 1, 1], out=both[:, 0])
        np.add(multiplied[:, 0, 1], multiplied[:, 1, 0], out=both[:, 1])
        by_channel = both.reshape(SPAN, self.out, -1).swapaxes(0, 1)
        out[:] = engine.products.product(self.back, by_channel, self.fresh).swapaxes(1, 2)


def leaky_relu(x: Array, slope: float) -> Array:
    """x, where it is negative times slope."""
    return np.maximum(x, slope * x)


def unit(x: Array) -> Array:
    """x [..., channel], divided by its norm; 0 where that is 0."""
    norm = np.sqrt((x * x).sum(-1))[..., None]
    return x / np.maximum(norm, 1e-12)  # type: ignore[no-any-return]


def linear(x: Array, weight: Array) -> Array:
    """x [..., in] by weight [out, in] -> [..., out], in the wider type of the two."""
    rows = x.reshape(-1, x.shape[-1])
    packed = engine.products.strips(weight.T.astype(np.result_type(x, weight), copy=False))
    return engine.products.times(rows, packed, len(weight)).reshape(*x.shape[:-1], -1)


def conv2d(x: Array, kernel: Array, pad: tuple[int, int]) -> Array:
    """Correlation of x [channel, item, row, column] with kernel [out, channel, row, column], behind so many zeros at
    each end of rows and columns -> [out, item, row, column]."""
    out, _, height, width = kernel.shape
    x = np.pad(x, ((0, 0), (0, 0), (pad[0], pad[0]), (pad[1], pad[1])))
    at = np.arange(x.size).reshape(x.shape)
    starts = at[:, 0, :height, :width].transpose(1, 2, 0).ravel()  # by tap and channel
    places = at[0, :, : x.shape[2] - height + 1, : x.shape[3] - width + 1]
    rows = engine.products.packed(kernel.transpose(0, 2, 3, 1).reshape(1, out, -1))
    return engine.products.gathered(rows, x, starts, places.ravel(), out).reshape(out, *places.shape)


def adaptive_max_pool(x: Array, sizes: tuple[int, int]) -> Array:
    """Largest values of x [..., row, column] in so many parts of rows and columns, which overlap where they must."""
    for axis, size in zip((-2, -1), sizes, strict=True):
        n, i = x.shape[axis], np.arange(size)
        first, last = i * n // size, -(-(i + 1) * n // size) - 1
        largest = x.take(first, axis)
        for k in range(1, int((last - first).max()) + 1):
            np.maximum(largest, x.take(np.minimum(first + k, last), axis), out=largest)
        x = largest
    return x


def softmax(x: Array) -> Array:
    """Over the last axis."""
    e = np.exp(x - x.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)  # type: ignore[no-any-return]


def layer_norm(x: Array, weight: Array, bias: Array) -> Array:
    """Over the last axis."""
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + 1e-5) * weight + bias  # type: ignore[no-any-return]


class Memory:
    """A layer of long short-term memory, its weights packed once.

    of_input [4 unit, channel], of_state [4 unit, unit], bias [4 unit]: of the gates in torch's order, input, forget,
    cell and output.
    """

    def __init__(self, of_input: Array, of_state: Array, bias: Array) -> None:
        self.units = of_state.shape[1]
        self.by_input, self.by_state = (engine.products.strips(w.T) for w in (of_input, of_state))
        self.bias = bias


def lstm(x: Array, layers: Sequence[Memory]) -> Array:
    """States [item, step, unit] of the last of layers over x [item, step, channel], in the type of their weights."""
    items, steps, channels = x.shape
    spare = engine.products.TALL
    rows = np.zeros((steps * items + spare, channels), layers[0].bias.dtype)
    rows[:-spare].reshape(steps, items, channels)[:] = x.swapaxes(0, 1)
    for layer in layers:
        states = np.zeros((items + len(rows), layer.units), rows.dtype)
        engine.memory.states(rows, items, layer.by_input, layer.by_state, layer.bias, states)
        rows = states[items:]
    return rows[:-spare].reshape(steps, items, -1).swapaxes(0, 1)
