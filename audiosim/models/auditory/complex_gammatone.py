"""Gammatone filters as four complex one-poles in series, and the power of their envelopes in short blocks.

h[n] = (n + 1)(n + 2)(n + 3) / 6 a^n with a = exp(2 pi (-b + i f) / rate), b = 1.019 ERB(f): a fourth-order gammatone
(Patterson et al. 1987, with the ERB of Glasberg and Moore 1990) whose output is complex, so that its magnitude is the
envelope and needs no low-pass. z_s[n] = a z_s[n - 1] + z_(s-1)[n], z_0 = x. In float64 whatever the samples are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.kernel import fused_kernel
from ...engine.lanes import EveryLane
from ...hearing import loudness, scales

Array = NDArray[Any]

BANDS = 64
LOWEST, HIGHEST = 50.0, 18000.0  # Hz, centres of the outermost bands
STEP = float(np.diff(scales.erb_rate([LOWEST, HIGHEST]))[0]) / (BANDS - 1)  # ERB between two bands, 0.535
WIDTH = 1.019  # b in ERB
TOP = 0.47  # of the rate: bands above it hear nothing
BLOCKS = 400  # per second
CHUNK = 64  # blocks in work at a time
QUIET = 1e-150  # states below are zero: numbers too small for the processor's fast path
_STEPS = 4  # samples that the kernels take at a time


class Bank(NamedTuple):
    """Constants of the bands [band], ascending."""

    rate: int
    frequencies: Array  # Hz
    poles: Array  # [2, band]: real and imaginary part of a
    gain: Array  # a full-scale sine at the centre has power 1; 0 for bands that hear nothing


@lru_cache(maxsize=16)
def bank(rate: int) -> Bank:
    """The filters at a rate in Hz."""
    low, high = scales.erb_rate([LOWEST, HIGHEST])
    f = scales.erb_rate_inverse(np.linspace(low, high, BANDS))
    poles = np.exp(2 * np.pi * (1j * f - WIDTH * loudness.erb(f)) / rate)
    gain = 4 * (1 - np.abs(poles)) ** 8 * (f < TOP * rate)
    return Bank(rate, f, np.stack([poles.real, poles.imag]), gain)


def blocks(samples: int, rate: int) -> int:
    """How many blocks of 2.5 ms hold so many samples; the last is filled up with silence."""
    return -(-samples * BLOCKS // rate)


def cuts(count: int, rate: int, first: int = 0) -> Array:
    """Samples [count + 1] at which blocks begin, from one on: int64."""
    result: Array = (np.arange(first, first + count + 1, dtype=np.int64) * rate + BLOCKS // 2) // BLOCKS
    return result


def powers(x: Array, rate: int) -> Array:
    """Mean power [block, band] of the bands in blocks of 2.5 ms of x [sample]."""
    return powers_in_parts(x, rate)(blocks(x.size, rate))


def powers_in_parts(x: Array, rate: int) -> Callable[[int], Array]:
    """The same bits part by part: each call gives the next so many blocks."""
    b = bank(rate)
    state, first = _at_rest(b), 0

    def more(count: int) -> Array:
        nonlocal first
        edges, out = cuts(count, rate, first), np.empty((count, BANDS))
        for k in range(0, count, CHUNK):
            part = edges[k : k + CHUNK + 1]
            _powers(_samples(x, part), part - part[0], state, out[k : k + CHUNK])
        out *= b.gain / np.diff(edges)[:, None]
        first += count
        return out

    return more


def powers_slope(x: Array, rate: int, slope: Array) -> Array:
    """What x [sample] gets for slopes [block, band] of its powers: float64.

    The adjoint of a filter at rest is its conjugate on reversed time. Outputs are made again, block by block, from the
    states at which blocks begin.
    """
    b, count = bank(rate), blocks(x.size, rate)
    edges = cuts(count, rate)
    factors = slope * (2 * b.gain / np.diff(edges)[:, None])
    state, back, starts = _at_rest(b), _at_rest(b), []
    unused = np.empty((1, BANDS))
    for at in range(count):
        starts.append(state.copy())
        part = edges[at : at + 2]
        _powers(_samples(x, part), part - part[0], state, unused)
    out = np.zeros(edges[-1])
    record = np.empty((int(np.diff(edges).max()), 2 * BANDS))
    for at in reversed(range(count)):
        part = edges[at : at + 2]
        _retrace(_samples(x, part), starts[at], factors[at], back, record, out[part[0] : part[1]])
    return out[: x.size]


@cache
def powers_torch(rate: int) -> Callable[[Any], Any]:
    """powers for tensors: x [item, sample], float64 -> [item, block, band]."""
    operator, by_fft = _operator(), powers_by_fft(rate)
    return lambda x: operator(x, rate) if x.device.type in ("cpu", "meta") else by_fft(x)


@cache
def _operator() -> Callable[..., Any]:
    import torch
    from torch.library import custom_op

    def arrays(*tensors: Any) -> Any:
        return zip(*(t.detach().contiguous().numpy() for t in tensors), strict=True)

    def spread(task: Callable[..., Array], items: Any) -> Any:
        rows = list(items)
        done = engine.threads.in_threads(lambda i: task(*rows[i]), range(len(rows)), torch.get_num_threads())
        return torch.from_numpy(np.stack(done))

    def value(x: Any, rate: int) -> Any:
        return spread(lambda y: powers(y, rate), arrays(x))

    def slopes(x: Any, rate: int, slope: Any) -> Any:
        return spread(lambda y, s: powers_slope(y, rate, s), arrays(x, slope))

    forward: Any = custom_op(
        "audiosim::complex_gammatone", value, mutates_args=(), schema="(Tensor x, int rate) -> Tensor"
    )
    forward.register_fake(lambda x, rate: x.new_empty((x.shape[0], blocks(x.shape[1], rate), BANDS)))
    schema = "(Tensor x, int rate, Tensor slope) -> Tensor"
    backward: Any = custom_op("audiosim::complex_gammatone_slope", slopes, mutates_args=(), schema=schema)
    backward.register_fake(lambda x, rate, slope: torch.empty_like(x))

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.rate = inputs
        ctx.save_for_backward(x)

    forward.register_autograd(
        lambda ctx, slope: (backward(*ctx.saved_tensors, ctx.rate, slope), None), setup_context=setup
    )
    return forward  # type: ignore[no-any-return]


def powers_by_fft(rate: int) -> Callable[[Any], Any]:
    """powers for tensors on any device; one band after the other, because all take the memory of a GPU."""
    import torch
    from torch.nn import functional

    from ...engine.tensors import Constant, fast_length

    b = bank(rate)
    longest = min(_until_silent(b), 1 << 18)
    n = np.arange(longest)
    a = b.poles[0] + 1j * b.poles[1]
    gains = b.gain.tolist()
    rising = (n + 1.0) * (n + 2) * (n + 3) / 6
    responses = [(Constant(h.real.copy()), Constant(h.imag.copy())) for h in (rising * pole**n for pole in a)]

    def by_fft(x: Any) -> Any:
        count = blocks(x.shape[-1], rate)
        ends = (torch.arange(count + 1, device=x.device) * rate + BLOCKS // 2) // BLOCKS
        x = functional.pad(x, (0, (count * rate + BLOCKS // 2) // BLOCKS - x.shape[-1]))
        size = fast_length(x.shape[-1] + longest)
        spectrum = torch.fft.rfft(x, size)
        rows = []
        for k in range(BANDS):
            y = [torch.fft.irfft(spectrum * torch.fft.rfft(h(x), size), size)[..., : x.shape[-1]] for h in responses[k]]
            total = functional.pad((y[0].square() + y[1].square()).cumsum(-1), (1, 0))[..., ends]
            rows.append(total.diff(dim=-1) * (gains[k] / ends.diff().to(x.dtype)))
        return torch.stack(rows, -1)

    return by_fft


def _until_silent(b: Bank) -> int:
    """Samples until the narrowest filter's response has fallen below 1e-16 of its peak."""
    decay = -np.log(np.hypot(*b.poles[:, 0]))
    return int(50 / decay) + 1


def _samples(x: Array, part: Array) -> Array:
    """x from part[0] to part[-1], silence beyond its end: float64."""
    out = np.zeros(part[-1] - part[0])
    inside = x[part[0] : part[-1]]
    out[: inside.size] = inside
    return out


# The rows of the state, one after the other so that compilers see that they do not overlap.
_RE, _IM, _1, _2, _3, _4, _TOTAL = (BANDS * row for row in (0, 1, 2, 4, 6, 8, 10))


def _at_rest(b: Bank) -> Array:
    state = np.zeros(11 * BANDS)
    state[: 2 * BANDS] = b.poles.reshape(-1)
    return state


@fused_kernel
def each_band() -> Any:
    return range(BANDS)


if numba.config.DISABLE_JIT:  # bands one by one would take plain Python minutes
    _all_of_them = (EveryLane(BANDS),)

    def each_band() -> Any:
        return _all_of_them


@fused_kernel
def _powers(x: Array, edges: Array, state: Array, out: Array) -> None:
    """out [block, band]: sums of |z_4|^2 over the samples edges[block]..edges[block + 1]; the gain is left out."""
    for block in range(len(edges) - 1):
        state[_TOTAL:] = 0.0
        i = edges[block]
        end = edges[block + 1]
        while i + _STEPS <= end:
            _advance_four(state, x[i], x[i + 1], x[i + 2], x[i + 3])
            i += _STEPS
        while i < end:
            _advance(state, x[i])
            i += 1
        for k in each_band():
            out[block, 0 + k] = state[_TOTAL + k]
        _calm(state)


@fused_kernel
def _advance(state: Array, sample: Any) -> None:
    """All bands by one sample."""
    for k in each_band():
        a, b = state[_RE + k], state[_IM + k]
        p, q = state[_1 + k], state[_1 + BANDS + k]
        p, q = a * p - b * q + sample, a * q + b * p
        state[_1 + k], state[_1 + BANDS + k] = p, q
        r, s = state[_2 + k], state[_2 + BANDS + k]
        p, q = a * r - b * s + p, a * s + b * r + q
        state[_2 + k], state[_2 + BANDS + k] = p, q
        r, s = state[_3 + k], state[_3 + BANDS + k]
        p, q = a * r - b * s + p, a * s + b * r + q
        state[_3 + k], state[_3 + BANDS + k] = p, q
        r, s = state[_4 + k], state[_4 + BANDS + k]
        p, q = a * r - b * s + p, a * s + b * r + q
        state[_4 + k], state[_4 + BANDS + k] = p, q
        state[_TOTAL + k] += p * p + q * q


@fused_kernel
def _advance_four(state: Array, x0: Any, x1: Any, x2: Any, x3: Any) -> None:
    """All bands by four samples, stage by stage, so that the state is read and written once. Written out, because
    compilers vectorise over no calls."""
    for k in each_band():
        a, b = state[_RE + k], state[_IM + k]
        p, q = state[_1 + k], state[_1 + BANDS + k]
        p0, q0 = a * p - b * q + x0, a * q + b * p
        p1, q1 = a * p0 - b * q0 + x1, a * q0 + b * p0
        p2, q2 = a * p1 - b * q1 + x2, a * q1 + b * p1
        p3, q3 = a * p2 - b * q2 + x3, a * q2 + b * p2
        state[_1 + k], state[_1 + BANDS + k] = p3, q3
        p, q = state[_2 + k], state[_2 + BANDS + k]
        p0, q0 = a * p - b * q + p0, a * q + b * p + q0
        p1, q1 = a * p0 - b * q0 + p1, a * q0 + b * p0 + q1
        p2, q2 = a * p1 - b * q1 + p2, a * q1 + b * p1 + q2
        p3, q3 = a * p2 - b * q2 + p3, a * q2 + b * p2 + q3
        state[_2 + k], state[_2 + BANDS + k] = p3, q3
        p, q = state[_3 + k], state[_3 + BANDS + k]
        p0, q0 = a * p - b * q + p0, a * q + b * p + q0
        p1, q1 = a * p0 - b * q0 + p1, a * q0 + b * p0 + q1
        p2, q2 = a * p1 - b * q1 + p2, a * q1 + b * p1 + q2
        p3, q3 = a * p2 - b * q2 + p3, a * q2 + b * p2 + q3
        state[_3 + k], state[_3 + BANDS + k] = p3, q3
        p, q = state[_4 + k], state[_4 + BANDS + k]
        p0, q0 = a * p - b * q + p0, a * q + b * p + q0
        p1, q1 = a * p0 - b * q0 + p1, a * q0 + b * p0 + q1
        p2, q2 = a * p1 - b * q1 + p2, a * q1 + b * p1 + q2
        p3, q3 = a * p2 - b * q2 + p3, a * q2 + b * p2 + q3
        state[_4 + k], state[_4 + BANDS + k] = p3, q3
        state[_TOTAL + k] += (p0 * p0 + q0 * q0) + (p1 * p1 + q1 * q1) + ((p2 * p2 + q2 * q2) + (p3 * p3 + q3 * q3))


@fused_kernel
def _retrace(x: Array, state: Array, factors: Array, back: Array, record: Array, out: Array) -> None:
    """out [sample]: slopes of x in one block, for slopes `factors` [band] of half its sums of |z_4|^2.

    state: before the block. back: of the adjoint, after the block; turned into that before it. record: scratch.
    """
    for i in range(x.size):
        _advance(state, x[i])
        for k in each_band():
            record[i, 0 + k], record[i, BANDS + k] = state[_4 + k], state[_4 + BANDS + k]
    for i in range(x.size - 1, -1, -1):
        _recede(back, record[i], factors)
        out[i] = np.sum(back[_4 : _4 + BANDS])
    _calm(back)


@fused_kernel
def _calm(state: Array) -> None:
    """States below QUIET to zero."""
    for row in range(_1, _TOTAL, BANDS):
        for k in each_band():
            state[row + k] *= np.abs(state[row + k]) >= QUIET


@fused_kernel
def _recede(state: Array, row: Array, factors: Array) -> None:
    """The conjugate filters by one sample of factors z_4."""
    for k in each_band():
        a, b = state[_RE + k], state[_IM + k]
        f = factors[0 + k]
        p, q = f * row[0 + k], f * row[BANDS + k]
        r, s = state[_1 + k], state[_1 + BANDS + k]
        p, q = a * r + b * s + p, a * s - b * r + q
        state[_1 + k], state[_1 + BANDS + k] = p, q
        r, s = state[_2 + k], state[_2 + BANDS + k]
        p, q = a * r + b * s + p, a * s - b * r + q
        state[_2 + k], state[_2 + BANDS + k] = p, q
        r, s = state[_3 + k], state[_3 + BANDS + k]
        p, q = a * r + b * s + p, a * s - b * r + q
        state[_3 + k], state[_3 + BANDS + k] = p, q
        r, s = state[_4 + k], state[_4 + BANDS + k]
        p, q = a * r + b * s + p, a * s - b * r + q
        state[_4 + k], state[_4 + BANDS + k] = p, q
