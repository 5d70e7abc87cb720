"""Gammatone filters as four biquads in cascade: the bank of this package.

Slaney 1993, "An efficient implementation of the Patterson-Holdsworth auditory filter bank", Apple technical report 35:
the impulse response t^3 e^(-2 pi b t) cos(2 pi f t) by impulse invariance, b = 1.019 ERB(f), ERB(f) = f / 9.26449 +
24.7 Hz (Glasberg and Moore 1990), gain 1 at f. Numerators are 1 + c z^-1, so the states of the denominators serve them
too (direct form II). Computed in float64: at low frequencies the poles lie so near to 1 that float32 would lose them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..engine.kernel import exact_kernel
from ..engine.lanes import EveryLane

Array = NDArray[Any]

EAR_Q, LEAST_BANDWIDTH = 9.26449, 24.7  # ERB(f) = f / EAR_Q + LEAST_BANDWIDTH, Hz
WIDTH = 1.019  # of the filter's b in ERB
SECTIONS = 4
LANES = 16  # frames that the kernels filter side by side
_STEPS = 4  # samples that they take at a time
FRAMES_PER_TASK = 4 * LANES


class Bank(NamedTuple):
    """Filters; each is gain times the product of (1 + zeros z^-1) / (1 + poles_1 z^-1 + poles_2 z^-2)."""

    frequencies: Array  # [band] Hz
    rate: int  # Hz
    poles: Array  # [band, 2]: -2 r cos w, r^2
    zeros: Array  # [band, section]
    gain: Array  # [band]


def centres(bands: int, low: float, high: float) -> Array:
    """Centre frequencies [band] in Hz, ascending, evenly spaced in ERB from low on; high is where the next one would
    be (Slaney 1993, page 33)."""
    a = EAR_Q * LEAST_BANDWIDTH
    steps = np.arange(bands, 0, -1)
    result: Array = (high + a) * np.exp(steps * ((np.log(low + a) - np.log(high + a)) / bands)) - a
    return result


def bank(frequencies: Array, rate: int) -> Bank:
    """The filters at these centre frequencies [band] in Hz, below half the rate."""
    f = np.asarray(frequencies, np.float64)
    w = 2 * np.pi * f / rate
    radius = np.exp(-2 * np.pi * WIDTH * (f / EAR_Q + LEAST_BANDWIDTH) / rate)
    shift = np.sqrt(3 + np.array([1, 1, -1, -1]) * 2**1.5) * np.array([1, -1, 1, -1])
    zeros = -radius[:, None] * (np.cos(w)[:, None] + shift * np.sin(w)[:, None])
    poles = np.stack([-2 * radius * np.cos(w), radius**2], axis=1)
    plain = Bank(f, rate, poles, zeros, np.ones_like(f))
    return plain._replace(gain=1 / np.abs(np.diagonal(response(plain, f))))


@lru_cache(maxsize=16)
def erb_bank(bands: int, low: float, high: float, rate: int) -> Bank:
    """The bank at centres(bands, low, high)."""
    return bank(centres(bands, low, high), rate)


def response(b: Bank, hz: Array) -> Array:
    """Complex frequency response [band, frequency]."""
    z = np.exp(-2j * np.pi * np.asarray(hz) / b.rate)
    numerator = np.prod(1 + b.zeros[:, :, None] * z, axis=1)
    result: Array = b.gain[:, None] * numerator / (1 + b.poles[:, :1] * z + b.poles[:, 1:] * z**2) ** SECTIONS
    return result


def impulse_responses(b: Bank, samples: int) -> Array:
    """[band, sample]."""
    impulse = np.zeros(samples)
    impulse[:1] = 1
    return filtered(impulse, b)


def filtered(x: Array, b: Bank) -> Array:
    """What the filters make of x [sample] at rest before it: float64 [band, sample]."""
    out = np.empty((len(b.gain), x.size))
    _filter(np.ascontiguousarray(x, np.float64), b.poles, b.zeros, b.gain, out)
    return out


def frame_levels(
    x: Array, starts: Array, window: Array, b: Bank, threads: int = 1, lowest: Array | None = None
) -> Array:
    """Root mean square of each filter's output in frames of x [sample]: float64 [frame, band].

    starts: sample at which each frame begins, int64 [frame]. Zeros are read outside of x, and below the sample `lowest`
    [frame]. Each frame is windowed and filtered from rest, and what rings on after it is not counted.
    """
    starts = np.ascontiguousarray(starts, np.int64)
    lowest = np.zeros_like(starts) if lowest is None else np.maximum(lowest, 0)
    x = np.ascontiguousarray(x)
    out = np.empty((len(starts), len(b.gain)))
    scale = b.gain / np.sqrt(window.size)

    def task(first: int) -> None:
        rows = slice(first, first + FRAMES_PER_TASK)
        _levels(x, starts[rows], lowest[rows], window, b.poles, b.zeros, out[rows])
        out[rows] *= scale

    engine.threads.in_threads(task, range(0, len(starts), FRAMES_PER_TASK), threads)
    return out


def frame_levels_slope(x: Array, starts: Array, window: Array, b: Bank, lowest: Array, slope: Array) -> Array:
    """What x [sample], float64, gets for slopes [frame, band] of its frame_levels."""
    levels = frame_levels(x, starts, window, b, lowest=lowest)
    factors = slope * np.square(b.gain) / (window.size * np.where(levels > 0, levels, np.inf))
    out = np.zeros_like(x)
    _level_slopes(x, starts, np.maximum(lowest, 0), window, b.poles, b.zeros, factors, out)
    return out


@cache
def frame_levels_torch() -> Callable[..., Any]:
    """frame_levels for tensors: (x [item, sample], starts [item, frame], lowest [item, frame], window [sample], filters
    [band, 7], which as_rows gives) -> [item, frame, band]; x, window and filters float64."""
    import torch
    from torch.library import custom_op

    def bank_of(filters: Any) -> Bank:
        rows = filters.detach().cpu().numpy()
        return Bank(np.empty(len(rows)), 0, *(np.ascontiguousarray(rows[:, c]) for c in (slice(2), slice(2, 6), 6)))

    def arrays(*tensors: Any) -> Any:
        return zip(*(t.detach().contiguous().numpy() for t in tensors), strict=True)

    def value(x: Any, starts: Any, lowest: Any, window: Any, filters: Any) -> Any:
        if x.device.type != "cpu":
            return _levels_by_fft(x, starts, lowest, window, filters)
        b, w, threads = bank_of(filters), window.numpy(), torch.get_num_threads()
        levels = [frame_levels(y, s, w, b, threads, low) for y, s, low in arrays(x, starts, lowest)]
        return torch.from_numpy(np.stack(levels))

    def slopes(x: Any, starts: Any, lowest: Any, window: Any, filters: Any, slope: Any) -> Any:
        if x.device.type != "cpu":
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(_levels_by_fft(x, starts, lowest, window, filters), x, slope)[0]
        b, w, items = bank_of(filters), window.numpy(), list(arrays(x, starts, lowest, slope))

        def task(i: int) -> Array:
            y, s, low, to = items[i]
            return frame_levels_slope(y, s, w, b, low, to)

        return torch.from_numpy(np.stack(engine.threads.in_threads(task, range(len(items)), torch.get_num_threads())))

    given = "Tensor x, Tensor starts, Tensor lowest, Tensor window, Tensor filters"
    forward: Any = custom_op("audiosim::gammatone", value, mutates_args=(), schema=f"({given}) -> Tensor")
    forward.register_fake(lambda x, starts, lowest, window, filters: x.new_empty((*starts.shape, filters.shape[0])))
    schema = f"({given}, Tensor slope) -> Tensor"
    backward: Any = custom_op("audiosim::gammatone_slope", slopes, mutates_args=(), schema=schema)
    backward.register_fake(lambda x, *rest: torch.empty_like(x))
    forward.register_autograd(
        lambda ctx, slope: (backward(*ctx.saved_tensors, slope), None, None, None, None),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )
    return forward  # type: ignore[no-any-return]


def as_rows(b: Bank) -> Array:
    """The filters as one array [band, 7]."""
    return np.hstack([b.poles, b.zeros, b.gain[:, None]])


def _levels_by_fft(x: Any, starts: Any, lowest: Any, window: Any, filters: Any) -> Any:
    """frame_levels for tensors on any device; one band after the other, because all take the memory of a GPU."""
    import torch
    from torch.nn import functional

    from ..engine.tensors import root

    size, bands = window.numel(), filters.shape[0]
    place = starts[..., None] + torch.arange(size, device=x.device)
    there = (place >= lowest[..., None].clamp(min=0)) & (place < x.shape[1])
    frames = x.gather(1, place.clamp(0, x.shape[1] - 1).flatten(1)).view(place.shape) * there * window
    spectra = torch.fft.rfft(frames, 2 * size)
    turns = torch.arange(size + 1, dtype=x.dtype, device=x.device) * (-torch.pi / size)
    z = torch.polar(torch.ones_like(turns), turns)
    levels = []
    for k in range(bands):
        a1, a2, *c, gain = filters[k].unbind()
        response = gain * torch.stack([(1 + zero * z) / (1 + a1 * z + a2 * z * z) for zero in c]).prod(0)
        impulse = functional.pad(torch.fft.irfft(response, 2 * size)[:size], (0, size))
        y = torch.fft.irfft(spectra * torch.fft.rfft(impulse), 2 * size)[..., :size]
        levels.append(root(y.square().mean(-1)))
    return torch.stack(levels, -1)


@exact_kernel
def _each_lane() -> Any:
    return range(LANES)


if numba.config.DISABLE_JIT:  # lanes one by one would take plain Python minutes
    _all_of_them = (EveryLane(LANES),)

    def _each_lane() -> Any:
        return _all_of_them


# Rows of what is flat, so that compilers see that they do not overlap.
_1, _2, _3, _4, _5, _6, _7, _TOTAL = (LANES * row for row in range(1, 2 * SECTIONS + 1))
_ROWS = 2 * SECTIONS + 1


@exact_kernel
def _filter(x: Array, poles: Array, zeros: Array, gain: Array, out: Array) -> None:
    """w_s[n] = y_(s-1)[n] - a_1 w_s[n - 1] - a_2 w_s[n - 2], y_s[n] = w_s[n] + c_s w_s[n - 1], y_0 = x."""
    for band in range(out.shape[0]):
        state = np.zeros((SECTIONS, 2))
        a1 = poles[band, 0]
        a2 = poles[band, 1]
        for i in range(x.size):
            y = x[i]
            for s in range(SECTIONS):
                w = y - a2 * state[s, 1] - a1 * state[s, 0]
                y = w + zeros[band, s] * state[s, 0]
                state[s, 1] = state[s, 0]
                state[s, 0] = w
            out[band, i] = gain[band] * y


@exact_kernel
def _levels(x: Array, starts: Array, lowest: Array, window: Array, poles: Array, zeros: Array, out: Array) -> None:
    """out [frame, band]: root of the sum of squares of each filter's output, gains aside."""
    pad = -window.size % _STEPS  # silence before a frame leaves the filters at rest
    frames = np.zeros((pad + window.size) * LANES)
    state = np.empty(_ROWS * LANES)
    scratch = np.empty(_STEPS * LANES)
    for first in range(0, len(starts), LANES):
        count = min(LANES, len(starts) - first)
        _cut(x, starts[first : first + count], lowest[first : first + count], window, frames[pad * LANES :])
        if not frames.any():
            out[first : first + count] = 0
            continue
        for band in range(out.shape[1]):
            _cascade(frames, poles[band], zeros[band], state, scratch)
            for k in range(count):
                out[first + k, band] = np.sqrt(state[_TOTAL + k])


@exact_kernel
def _cut(x: Array, starts: Array, lowest: Array, window: Array, out: Array) -> None:
    """out [sample, lane], flat: windowed frames."""
    for k in range(len(starts)):
        start = starts[k]
        low = min(max(0, lowest[k] - start), window.size)
        high = max(low, min(window.size, x.size - start))
        lane = out[k::LANES]
        lane[:low] = 0
        lane[high:] = 0
        for i in range(low, high):
            lane[i] = window[i] * x[start + i]


@exact_kernel
def _cascade(frames: Array, poles: Array, zeros: Array, state: Array, out: Array) -> None:
    """out [sample, lane], flat: one filter's output for frames [sample, lane], gain aside, or the last _STEPS samples
    of it where there is no room for more. The last row of the state [row, lane]: its sum of squares.

    Written out, because compilers vectorise over no calls.
    """
    state[:] = 0
    a1 = poles[0]
    a2 = poles[1]
    c0 = zeros[0]
    c1 = zeros[1]
    c2 = zeros[2]
    c3 = zeros[3]
    keep = 1 if out.size == frames.size else 0
    for i in range(0, frames.size, _STEPS * LANES):
        x = frames[i : i + _STEPS * LANES]
        y = out[keep * i : keep * i + _STEPS * LANES]
        for k in _each_lane():
            p, q, r, s = x[0 + k], x[_1 + k], x[_2 + k], x[_3 + k]
            w, v = state[0 + k], state[_1 + k]
            t = (p - a2 * v) - a1 * w
            u = (q - a2 * w) - a1 * t
            p, q = t + c0 * w, u + c0 * t
            v = (r - a2 * t) - a1 * u
            w = (s - a2 * u) - a1 * v
            r, s = v + c0 * u, w + c0 * v
            state[0 + k], state[_1 + k] = w, v
            w, v = state[_2 + k], state[_3 + k]
            t = (p - a2 * v) - a1 * w
            u = (q - a2 * w) - a1 * t
            p, q = t + c1 * w, u + c1 * t
            v = (r - a2 * t) - a1 * u
            w = (s - a2 * u) - a1 * v
            r, s = v + c1 * u, w + c1 * v
            state[_2 + k], state[_3 + k] = w, v
            w, v = state[_4 + k], state[_5 + k]
            t = (p - a2 * v) - a1 * w
            u = (q - a2 * w) - a1 * t
            p, q = t + c2 * w, u + c2 * t
            v = (r - a2 * t) - a1 * u
            w = (s - a2 * u) - a1 * v
            r, s = v + c2 * u, w + c2 * v
            state[_4 + k], state[_5 + k] = w, v
            w, v = state[_6 + k], state[_7 + k]
            t = (p - a2 * v) - a1 * w
            u = (q - a2 * w) - a1 * t
            p, q = t + c3 * w, u + c3 * t
            v = (r - a2 * t) - a1 * u
            w = (s - a2 * u) - a1 * v
            r, s = v + c3 * u, w + c3 * v
            state[_6 + k], state[_7 + k] = w, v
            y[0 + k], y[_1 + k], y[_2 + k], y[_3 + k] = p, q, r, s
            state[_TOTAL + k] += p * p + q * q + (r * r + s * s)


@exact_kernel
def _level_slopes(
    x: Array,
    starts: Array,
    lowest: Array,
    window: Array,
    poles: Array,
    zeros: Array,
    factors: Array,
    out: Array,
) -> None:
    """out [sample] += slopes of x, given factors [frame, band] of the filters' outputs, gains aside.

    The adjoint of a filter at rest is the same filter on the reversed frame.
    """
    pad = -window.size % _STEPS
    frames = np.zeros((pad + window.size) * LANES)
    forth = np.zeros_like(frames)
    back = np.zeros_like(frames)
    total = np.empty_like(frames)
    state = np.empty(_ROWS * LANES)
    rows = pad + window.size
    for first in range(0, len(starts), LANES):
        count = min(LANES, len(starts) - first)
        _cut(x, starts[first : first + count], lowest[first : first + count], window, frames[pad * LANES :])
        if not frames.any():
            continue
        total[:] = 0
        for band in range(factors.shape[1]):
            _cascade(frames, poles[band], zeros[band], state, forth)
            for i in range(rows):
                for k in range(count):
                    back[(rows - 1 - i) * LANES + k] = factors[first + k, band] * forth[i * LANES + k]
            _cascade(back, poles[band], zeros[band], state, forth)
            total += forth
        for k in range(count):
            start = starts[first + k]
            low = min(max(0, lowest[first + k] - start), window.size)
            high = max(low, min(window.size, x.size - start))
            for i in range(low, high):
                out[start + i] += window[i] * total[(window.size - 1 - i) * LANES + k]
