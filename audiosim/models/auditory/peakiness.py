"""How peaked a waveform is below 1 kHz, where the ear follows its fine structure: the part of a sound's timbre that
hangs on the phases of its partials.

R = 20 lg((mean |x|^0.6)^(1 / 0.6) / rms x) in windows of 200 ms, every 100 ms, of x passed through Butterworth filters
of second order from 30 to 1000 Hz; the mean over windows within 40 dB of the loudest, weighted by rms^0.6. In dB, 0 for
a square wave, some -1.9 for noise. |x|^0.6 is (x^2 + 1e-4 ms)^0.3 with the mean square of 100 ms, so that it is smooth.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.elementary import exponentials, logarithms
from ...engine.kernel import kernel

Array = NDArray[Any]

LOWEST, HIGHEST = 30.0, 1000.0  # Hz, corners of the filters
PIECE = 0.1  # seconds: windows are two of them
EXPONENT = 0.6
SMOOTH = 1e-4  # of a piece's mean square
QUIETER = 40.0  # dB: windows further below the loudest do not count
QUIET = 1e-150  # states below are zero


@lru_cache(maxsize=16)
def sections(rate: int) -> Array:
    """The two filters as biquads [2, 5], b0 b1 b2 a1 a2, by the bilinear transform."""
    rows = []
    for corner, high in ((LOWEST, True), (HIGHEST, False)):
        k = np.tan(np.pi * corner / rate)
        norm = 1 + np.sqrt(2) * k + k * k
        b = np.array([1, -2, 1]) if high else k * k * np.array([1, 2, 1])
        rows.append([*(b / norm), 2 * (k * k - 1) / norm, (1 - np.sqrt(2) * k + k * k) / norm])
    return np.array(rows)


def pieces(x: Array, rate: int) -> Array:
    """Mean of |x|^0.6 and of x^2 [piece, 2] of the filtered x [sample], filled up with silence."""
    size = round(PIECE * rate)
    out = np.empty((-(-x.size // size), 2))
    state, y = np.zeros((2, 2)), np.empty(size)
    for j in range(len(out)):
        part = x[j * size : (j + 1) * size]
        y[part.size :] = 0.0
        y[: part.size] = part
        _filter(y[: part.size], sections(rate), state)
        _moments(y, out[j], np.empty(size, np.int64))
    return out


def peakiness(x: Array, rate: int) -> tuple[float, Array]:
    """R of x [sample] in dB, nan when it is silent; and its part by windows [window], which add up to it."""
    by_window, sounds = by_windows(np, *pieces(x, rate).T)
    return float(by_window.sum()) if sounds else nan, by_window


def by_windows(xp: Any, low: Any, square: Any) -> tuple[Any, Any]:
    """Parts of R [..., window], 0 where silent, and whether there is sound [...], of means of |x|^0.6 and of x^2
    [..., piece], arrays or tensors: xp is numpy or torch."""
    if low.shape[-1] > 1:
        low, square = ((p[..., 1:] + p[..., :-1]) / 2 for p in (low, square))
    heard = square > 10 ** (-QUIETER / 10) * xp.amax(square, -1)[..., None]
    low, square = (xp.where(heard, p, 1) for p in (low, square))
    weight = square ** (EXPONENT / 2) * heard
    r = 20 / EXPONENT * xp.log10(low) - 10 * xp.log10(square)
    sounds = heard.any(-1)
    return r * weight / (weight.sum(-1) + ~sounds)[..., None], sounds


def peakiness_torch(rate: int) -> Callable[[Any], tuple[Any, Any]]:
    """x [item, sample], float64 -> R [item], 0 where silent, and whether there is sound [item]."""
    import torch
    from torch.nn import functional

    size = round(PIECE * rate)
    filtered = filtered_torch(rate)

    def value(x: Any) -> Any:
        y = filtered(x)
        count = -(-y.shape[-1] // size)
        y = functional.pad(y, (0, count * size - y.shape[-1])).unflatten(-1, (count, size)).square()
        square = y.mean(-1)
        silent = (square == 0)[..., None]
        low = (torch.where(silent, 1, y + SMOOTH * square[..., None]) ** (EXPONENT / 2) * ~silent).mean(-1)
        by_window, sounds = by_windows(torch, low, square)
        return by_window.sum(-1), sounds

    return value


def filtered_torch(rate: int) -> Callable[[Any], Any]:
    """The filters for tensors [item, sample], float64."""
    operator, by_fft = _operator(), filtered_by_fft(rate)
    return lambda x: operator(x, rate, False) if x.device.type in ("cpu", "meta") else by_fft(x)


@cache
def _operator() -> Callable[..., Any]:
    import torch
    from torch.library import custom_op

    def value(x: Any, rate: int, backwards: bool) -> Any:
        y = x.detach().flip(-1) if backwards else x.detach().clone()
        for row in y.contiguous().numpy() if y.is_contiguous() else ():
            _filter(row, sections(rate), np.zeros((2, 2)))
        return y.flip(-1) if backwards else y

    operator: Any = custom_op(
        "audiosim::peakiness_filter",
        value,
        mutates_args=(),
        schema="(Tensor x, int rate, bool backwards) -> Tensor",
    )
    operator.register_fake(lambda x, rate, backwards: torch.empty_like(x))

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        _, ctx.rate, ctx.backwards = inputs

    # the adjoint of a filter at rest is the same filter on reversed time
    operator.register_autograd(
        lambda ctx, slope: (operator(slope.contiguous(), ctx.rate, not ctx.backwards), None, None), setup_context=setup
    )
    return operator  # type: ignore[no-any-return]


def filtered_by_fft(rate: int) -> Callable[[Any], Any]:
    """The filters for tensors on any device: their response until it falls below 1e-16."""
    import torch

    from ...engine.tensors import Constant, fast_length

    impulse = np.zeros(min(int(0.3 * rate) + 1, 1 << 17))
    impulse[0] = 1.0
    _filter(impulse, sections(rate), np.zeros((2, 2)))
    response = Constant(impulse)

    def by_fft(x: Any) -> Any:
        size = fast_length(x.shape[-1] + impulse.size)
        return torch.fft.irfft(torch.fft.rfft(x, size) * torch.fft.rfft(response(x), size), size)[..., : x.shape[-1]]

    return by_fft


@kernel
def _filter(x: Array, sections: Array, state: Array) -> None:
    """x [sample] in place through biquads [2, 5] in series, transposed direct form II."""
    p, q, r, s = state[0, 0], state[0, 1], state[1, 0], state[1, 1]
    b0, b1, b2, a1, a2 = sections[0, 0], sections[0, 1], sections[0, 2], sections[0, 3], sections[0, 4]
    d0, d1, d2, c1, c2 = sections[1, 0], sections[1, 1], sections[1, 2], sections[1, 3], sections[1, 4]
    for i in range(x.size):
        v = x[i]
        y = b0 * v + p
        p = b1 * v - a1 * y + q
        q = b2 * v - a2 * y
        z = d0 * y + r
        r = d1 * y - c1 * z + s
        s = d2 * y - c2 * z
        x[i] = z
    state[0, 0], state[0, 1], state[1, 0], state[1, 1] = p, q, r, s
    for i in range(2):
        for j in range(2):
            state[i, j] *= np.abs(state[i, j]) >= QUIET


@kernel
def _moments(y: Array, out: Array, exponents: Array) -> None:
    """out: mean of (y^2 + SMOOTH mean y^2)^0.3, and mean of y^2; y is lost."""
    square = 0.0
    for i in range(y.size):
        y[i] *= y[i]
        square += y[i]
    square /= y.size
    out[0] = 0.0
    out[1] = square
    if square * SMOOTH < 1e-300:
        out[1] = 0.0
        return
    y += SMOOTH * square
    logarithms(y, exponents)
    y *= EXPONENT / 2
    exponentials(y, exponents)
    out[0] = np.sum(y) / y.size
