"""PEMO, the Oldenburg model of hearing: what reaches the modulations that PEMO-Q compares.

Dau, Pueschel and Kohlrausch 1996, JASA 99, 3615-3622; Dau, Kollmeier and Kohlrausch 1997, JASA 102, 2892-2905:
gammatone filters as four complex one-poles, one ERB apart (Hohmann 2002, Acta Acustica 88, 433-442); half-wave
rectification and a low-pass at 1 kHz; a threshold; five adaptation loops; a low rate; modulation filters.

The loops are those that Huber and others wrote in Oldenburg (adapt.c, 1998 to 2003): overshoots are not limited, and no
divisor falls below what it is in quiet. In float64 whatever the samples are.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from .. import dsp, engine
from ..engine import stream
from ..engine.kernel import fused_kernel
from ..engine.lanes import EveryLane

if TYPE_CHECKING:
    from ..engine.stream import Stream

Array = NDArray[Any]

LOWEST, BASE, HIGHEST = 235.0, 1000.0, 14500.0  # Hz: the range of centre frequencies, and one that is among them
EAR_Q, LEAST_BANDWIDTH = 9.265, 24.7  # ERB(f) = f / EAR_Q + LEAST_BANDWIDTH, Hz (Hohmann 2002, eq. 17)
WIDTH = 1 / (np.pi * 720 / (2**6 * 6**2))  # of a filter's b in ERB: 1.0186 (Hohmann 2002, eq. 14)
FINE_STRUCTURE = 1000.0  # Hz that the hair cells follow
RANGE = 100.0  # dB from the threshold to an amplitude of 1, and model units from one to the other
ADAPTATION = (0.005, 0.05, 0.129, 0.253, 0.5)  # s, time constants of the loops
OVERSAMPLED = 3  # times the highest centre frequency is the least rate


class Modulation(NamedTuple):
    """A bank of modulation filters: one-poles on the adapted envelopes at a low rate."""

    rate: int  # Hz
    centres: tuple[float, ...]  # Hz
    widths: tuple[float, ...]  # Hz

    @property
    def envelope(self) -> Array:
        """Of which filters the magnitude counts instead of the real part: those above 10 Hz [modulation]."""
        return np.array(self.centres) > 10

    @property
    def poles(self) -> Array:
        """complex [modulation]."""
        w = np.pi * (2j * np.array(self.centres) - np.array(self.widths)) / self.rate
        result: Array = np.exp(w)
        return result


_STEPS = 5 * (5 / 3) ** np.arange(6)
MODULATIONS = {
    "bank": Modulation(800, (0.0, 5.0, *(2 * _STEPS)), (5.0, 5.0, *_STEPS)),
    "lowpass": Modulation(100, (0.0,), (15.92,)),  # 20 ms
}

LANES = 36 if numba.config.DISABLE_JIT else 16  # bands that the kernels take side by side
BLOCK = 1024  # samples in work at a time
LOOPS = len(ADAPTATION)


class Ear(NamedTuple):
    """Constants at a rate; bands are padded to whole groups of LANES."""

    frequencies: Array  # Hz [band]
    state: Array  # [group, row, lane], flat: before the first sample
    step: Array  # of the low-pass and of the loops: how much of the old value stays [1 + loop]
    floors: Array  # of the loops' divisors [loop]


def rate_for(rate: int) -> int:
    """The rate in Hz that the ear works at: the same where all its filters fit, else half as much again, or twice."""
    if rate >= OVERSAMPLED * min(rate / 2, HIGHEST):
        return rate
    return rate * 3 // 2 if rate % 2 == 0 else 2 * rate


def centres(rate: int) -> Array:
    """Centre frequencies in Hz of what can be heard of a recording at this rate, ascending, 1 ERB apart; 35 of all."""
    low, base, high = EAR_Q * np.log1p(np.array([LOWEST, BASE, min(rate / 2, HIGHEST)]) / (EAR_Q * LEAST_BANDWIDTH))
    steps = np.arange(-np.floor(base - low), np.floor(high - base) + 1)
    result: Array = EAR_Q * LEAST_BANDWIDTH * np.expm1((base + steps) / EAR_Q)
    return result


@lru_cache(maxsize=16)
def ear(rate: int) -> Ear:
    """For recordings at this rate."""
    f, inner = centres(rate), rate_for(rate)
    groups = max(1, -(-f.size // LANES))
    padded = np.append(f, np.full(groups * LANES - f.size, BASE))
    poles = np.exp(2 * np.pi * (1j * padded - WIDTH * (padded / EAR_Q + LEAST_BANDWIDTH)) / inner)
    floors = 10 ** (-RANGE / 20 / 2.0 ** np.arange(1, LOOPS + 1))
    state = np.zeros((groups, _ROWS, LANES))
    for row, values in enumerate((poles.real, poles.imag, 2 * (1 - np.abs(poles)) ** 4)):
        state[:, row] = values.reshape(groups, LANES)
    state[:, _D1 // LANES :] = floors[:, None]
    times = np.array([1 / (2 * np.pi * FINE_STRUCTURE), *ADAPTATION])
    return Ear(f, state.reshape(groups, -1), np.exp(-1 / (inner * times)), floors)


def adapted(x: Stream, rate: int, gain: float, m: Modulation, threads: int = 1) -> Array:
    """Output of the loops in model units at the rate of the modulations: float64 [frame, band].

    gain: from samples to an amplitude of which 1 is RANGE dB above the threshold.
    """
    design = dsp.polyphase.short_taps
    samples = dsp.polyphase.resampled(stream.double(x), rate, rate_for(rate), threads, design)
    samples *= gain
    return _adapted(samples, rate, m, threads)


def _adapted(samples: Array, rate: int, m: Modulation, threads: int) -> Array:
    """As adapted, of amplitudes at the ear's rate for `rate`."""
    e, low = ear(rate), _Low.of(rate_for(rate), m)
    out = np.zeros((len(e.state), low.frames(samples.size), LANES))

    def group(g: int) -> None:
        state, part, flat = e.state[g].copy(), np.empty(BLOCK * LANES), out[g].reshape(-1)
        unused = np.empty(_KEPT * LANES)
        for first in range(0, samples.size, BLOCK):
            x = samples[first : first + BLOCK]
            _hear(x, state, e.step, e.floors, unused, part)
            _decimate(part[: x.size * LANES], first, *low, flat)

    engine.threads.in_threads(group, range(len(e.state)), threads)
    joined = out.transpose(1, 0, 2).reshape(out.shape[1], -1)
    return np.ascontiguousarray(joined[:, : e.frequencies.size])


def _adapted_slope(samples: Array, rate: int, m: Modulation, slope: Array, threads: int) -> Array:
    """What amplitudes [sample] at the ear's rate get for slopes [frame, band] of what _adapted makes of them.

    From the states at which blocks begin, each is gone through again, and then backwards through the adjoints.
    """
    e, low = ear(rate), _Low.of(rate_for(rate), m)
    groups = len(e.state)
    padded = np.zeros((len(slope), groups * LANES))
    padded[:, : slope.shape[1]] = slope
    of_group = np.ascontiguousarray(padded.reshape(-1, groups, LANES).transpose(1, 0, 2))
    out = np.zeros((groups, samples.size))

    def group(g: int) -> None:
        state, back, states = e.state[g].copy(), np.zeros(_BACK * LANES), []
        part, record = np.empty(BLOCK * LANES), np.empty(BLOCK * _KEPT * LANES)
        starts = range(0, samples.size, BLOCK)
        for first in starts:
            states.append(state.copy())
            _hear(samples[first : first + BLOCK], state, e.step, e.floors, record[: _KEPT * LANES], part)
        for first in reversed(starts):
            x = samples[first : first + BLOCK]
            state = states.pop()
            _hear(x, state, e.step, e.floors, record, part)
            part[:] = 0
            _spread(of_group[g].reshape(-1), first, *low, part[: x.size * LANES])
            _recede(part, record, state, back, e.step, e.floors, out[g, first : first + BLOCK])

    engine.threads.in_threads(group, range(groups), threads)
    total: Array = out.sum(0)
    return total


@cache
def adapted_torch() -> Callable[..., Any]:
    """_adapted for tensors: (amplitudes [item, sample], float64; rate; rate of the modulations) -> [item, frame, band].

    The loops go from sample to sample, so it is computed on the CPU wherever the tensors are.
    """
    import torch
    from torch.library import custom_op

    def bank(rate: int) -> Modulation:
        return next(m for m in MODULATIONS.values() if m.rate == rate)

    def spread(task: Callable[..., Array], like: Any, *tensors: Any) -> Any:
        rows = list(zip(*(t.detach().cpu().contiguous().numpy() for t in tensors), strict=True))
        threads = torch.get_num_threads()
        each = max(1, threads // len(rows))
        done = engine.threads.in_threads(lambda i: task(*rows[i], each), range(len(rows)), threads)
        return torch.from_numpy(np.stack(done)).to(like.device)

    def value(x: Any, rate: int, low: int) -> Any:
        return spread(lambda y, threads: _adapted(y, rate, bank(low), threads), x, x)

    def slopes(x: Any, rate: int, low: int, slope: Any) -> Any:
        return spread(lambda y, s, threads: _adapted_slope(y, rate, bank(low), s, threads), x, x, slope)

    def shape(x: Any, rate: int, low: int) -> Any:
        up, down = dsp.polyphase.ratio(rate_for(rate), low)
        return x.new_empty((x.shape[0], -(-x.shape[1] * up // down), centres(rate).size))

    forward: Any = custom_op("audiosim::pemo", value, mutates_args=(), schema="(Tensor x, int rate, int low) -> Tensor")
    forward.register_fake(shape)
    schema = "(Tensor x, int rate, int low, Tensor slope) -> Tensor"
    backward: Any = custom_op("audiosim::pemo_slope", slopes, mutates_args=(), schema=schema)
    backward.register_fake(lambda x, rate, low, slope: torch.empty_like(x))

    def setup(ctx: Any, inputs: Any, output: Any) -> None:
        x, ctx.rate, ctx.low = inputs
        ctx.save_for_backward(x)

    forward.register_autograd(
        lambda ctx, slope: (backward(*ctx.saved_tensors, ctx.rate, ctx.low, slope), None, None), setup_context=setup
    )
    return forward  # type: ignore[no-any-return]


class _Low(NamedTuple):
    """The way down to the rate of the modulations."""

    table: Array  # taps [phase, tap]
    up: int
    down: int
    half: int

    @staticmethod
    def of(rate: int, m: Modulation) -> _Low:
        up, down = dsp.polyphase.ratio(rate, m.rate)
        design = dsp.polyphase.short_taps
        return _Low(dsp.polyphase.phases(up, down, design), up, down, design(up, down).size // 2)

    def frames(self, samples: int) -> int:
        return -(-samples * self.up // self.down)


# Rows of the state, flat so that compilers see that they do not overlap: poles and gain of the filters, their four
# stages, the low-pass, the divisors of the loops.
_RE, _IM, _GAIN, _1, _2, _3, _4, _LOW, _D1, _D2, _D3, _D4, _D5 = (
    LANES * row for row in (0, 1, 2, 3, 5, 7, 9, 11, 12, 13, 14, 15, 16)
)
_ROWS = 17
# Rows of the record: outputs of filter and low-pass, and the divisors before the sample.
_FILTERED, _FLOWN, _K1, _K2, _K3, _K4, _K5 = (LANES * row for row in range(7))
_KEPT = 7


larger: Callable[[Any, Any], Any] = np.maximum if numba.config.DISABLE_JIT else max


@fused_kernel
def _each_lane() -> Any:
    return range(LANES)


if numba.config.DISABLE_JIT:  # lanes one by one would take plain Python minutes
    _all_of_them = (EveryLane(LANES),)

    def _each_lane() -> Any:
        return _all_of_them


@fused_kernel
def _hear(x: Array, state: Array, step: Array, floors: Array, record: Array, out: Array) -> None:
    """out [sample, lane], flat: output of the loops, 0 at the threshold, in model units.

    record [sample, row, lane], flat: what the way back needs, or that of the last sample where there is no room for
    more. Written out, because compilers vectorise over no calls.
    """
    keep = _KEPT * LANES if record.size >= x.size * _KEPT * LANES else 0
    c, a1, a2, a3, a4, a5 = step[0], step[1], step[2], step[3], step[4], step[5]
    f1, f2, f3, f4, f5 = floors[0], floors[1], floors[2], floors[3], floors[4]
    quiet = f1 * f1
    scale = RANGE / (1 - f5)
    for i in range(x.size):
        sample = x[i]
        y = out[i * LANES : i * LANES + LANES]
        kept = record[i * keep : i * keep + _KEPT * LANES]
        for k in _each_lane():
            a, b = state[_RE + k], state[_IM + k]
            p, q = state[_1 + k], state[_1 + LANES + k]
            p, q = a * p - b * q + sample, a * q + b * p
            state[_1 + k], state[_1 + LANES + k] = p, q
            r, s = state[_2 + k], state[_2 + LANES + k]
            p, q = a * r - b * s + p, a * s + b * r + q
            state[_2 + k], state[_2 + LANES + k] = p, q
            r, s = state[_3 + k], state[_3 + LANES + k]
            p, q = a * r - b * s + p, a * s + b * r + q
            state[_3 + k], state[_3 + LANES + k] = p, q
            r, s = state[_4 + k], state[_4 + LANES + k]
            p, q = a * r - b * s + p, a * s + b * r + q
            state[_4 + k], state[_4 + LANES + k] = p, q
            v = p * state[_GAIN + k]
            kept[_FILTERED + k] = v
            v = c * state[_LOW + k] + (1 - c) * larger(v, 0.0)
            state[_LOW + k] = v
            kept[_FLOWN + k] = v
            v = larger(v, quiet)
            d = state[_D1 + k]
            kept[_K1 + k] = d
            v = v / d
            d = a1 * d + (1 - a1) * v
            state[_D1 + k] = larger(d, f1)
            d = state[_D2 + k]
            kept[_K2 + k] = d
            v = v / d
            d = a2 * d + (1 - a2) * v
            state[_D2 + k] = larger(d, f2)
            d = state[_D3 + k]
            kept[_K3 + k] = d
            v = v / d
            d = a3 * d + (1 - a3) * v
            state[_D3 + k] = larger(d, f3)
            d = state[_D4 + k]
            kept[_K4 + k] = d
            v = v / d
            d = a4 * d + (1 - a4) * v
            state[_D4 + k] = larger(d, f4)
            d = state[_D5 + k]
            kept[_K5 + k] = d
            v = v / d
            d = a5 * d + (1 - a5) * v
            state[_D5 + k] = larger(d, f5)
            y[0 + k] = (v - f5) * scale


@fused_kernel
def _decimate(x: Array, first: int, table: Array, up: int, down: int, half: int, out: Array) -> None:
    """Adds to out [frame, lane], flat, what it gets of x [sample, lane], flat, which begins at sample `first`."""
    size = table.shape[1]
    samples = x.size // LANES
    count = out.size // LANES
    for m in range(max(0, (first * up - half) // down - 1), count):
        position = m * down + half
        start = position // up - size + 1
        low = max(first, start)
        high = min(first + samples, start + size)
        if start >= first + samples:
            return
        taps = table[position % up]
        y = out[m * LANES : m * LANES + LANES]
        n = low
        while n + 8 <= high:
            at = (n - first) * LANES
            z = x[at : at + 8 * LANES]
            t0, t1, t2, t3 = taps[n - start], taps[n - start + 1], taps[n - start + 2], taps[n - start + 3]
            t4, t5, t6, t7 = taps[n - start + 4], taps[n - start + 5], taps[n - start + 6], taps[n - start + 7]
            for k in _each_lane():
                a = (t0 * z[0 + k] + t1 * z[LANES + k]) + (t2 * z[2 * LANES + k] + t3 * z[3 * LANES + k])
                b = (t4 * z[4 * LANES + k] + t5 * z[5 * LANES + k]) + (t6 * z[6 * LANES + k] + t7 * z[7 * LANES + k])
                y[0 + k] += a + b
            n += 8
        while n < high:
            at = (n - first) * LANES
            z = x[at : at + LANES]
            t0 = taps[n - start]
            for k in _each_lane():
                y[0 + k] += t0 * z[0 + k]
            n += 1


@fused_kernel
def _spread(slope: Array, first: int, table: Array, up: int, down: int, half: int, out: Array) -> None:
    """Adjoint of _decimate: adds to out [sample, lane], flat, from sample `first` on, what slopes [frame, lane], flat,
    leave there."""
    size = table.shape[1]
    samples = out.size // LANES
    for m in range(max(0, (first * up - half) // down - 1), slope.size // LANES):
        position = m * down + half
        start = position // up - size + 1
        if start >= first + samples:
            return
        taps = table[position % up]
        y = slope[m * LANES : m * LANES + LANES]
        for n in range(max(first, start), min(first + samples, start + size)):
            at = (n - first) * LANES
            z = out[at : at + LANES]
            t = taps[n - start]
            for k in _each_lane():
                z[0 + k] += t * y[0 + k]


# Rows of the adjoint's state: four stages, the low-pass, the divisors.
_B1, _B2, _B3, _B4, _BLOW, _BD1, _BD2, _BD3, _BD4, _BD5 = (LANES * row for row in (0, 2, 4, 6, 8, 9, 10, 11, 12, 13))
_BACK = 14


@fused_kernel
def _recede(slope: Array, record: Array, state: Array, back: Array, step: Array, floors: Array, out: Array) -> None:
    """out [sample]: slopes of the input of _hear, for slopes [sample, lane], flat, of its output.

    state: any of the forward filters, for their poles. back: of the adjoint, after the block; turned into that before.
    """
    c, a1, a2, a3, a4, a5 = step[0], step[1], step[2], step[3], step[4], step[5]
    f1, f2, f3, f4, f5 = floors[0], floors[1], floors[2], floors[3], floors[4]
    quiet = f1 * f1
    scale = RANGE / (1 - f5)
    for i in range(out.size - 1, -1, -1):
        given = slope[i * LANES : i * LANES + LANES]
        kept = record[i * _KEPT * LANES : (i + 1) * _KEPT * LANES]
        for k in _each_lane():
            low = kept[_FLOWN + k]
            d1, d2, d3, d4, d5 = kept[_K1 + k], kept[_K2 + k], kept[_K3 + k], kept[_K4 + k], kept[_K5 + k]
            v1 = larger(low, quiet) / d1
            v2 = v1 / d2
            v3 = v2 / d3
            v4 = v3 / d4
            v5 = v4 / d5
            g = given[0 + k] * scale
            h = back[_BD5 + k] * (a5 * d5 + (1 - a5) * v5 > f5)
            g = (g + (1 - a5) * h) / d5
            back[_BD5 + k] = a5 * h - g * v5
            h = back[_BD4 + k] * (a4 * d4 + (1 - a4) * v4 > f4)
            g = (g + (1 - a4) * h) / d4
            back[_BD4 + k] = a4 * h - g * v4
            h = back[_BD3 + k] * (a3 * d3 + (1 - a3) * v3 > f3)
            g = (g + (1 - a3) * h) / d3
            back[_BD3 + k] = a3 * h - g * v3
            h = back[_BD2 + k] * (a2 * d2 + (1 - a2) * v2 > f2)
            g = (g + (1 - a2) * h) / d2
            back[_BD2 + k] = a2 * h - g * v2
            h = back[_BD1 + k] * (a1 * d1 + (1 - a1) * v1 > f1)
            g = (g + (1 - a1) * h) / d1
            back[_BD1 + k] = a1 * h - g * v1
            h = g * (low > quiet) + back[_BLOW + k]
            back[_BLOW + k] = c * h
            g = (1 - c) * h * (kept[_FILTERED + k] > 0) * state[_GAIN + k]
            a, b = state[_RE + k], state[_IM + k]
            r, s = back[_B1 + k], back[_B1 + LANES + k]
            p, q = a * r + b * s + g, a * s - b * r
            back[_B1 + k], back[_B1 + LANES + k] = p, q
            r, s = back[_B2 + k], back[_B2 + LANES + k]
            p, q = a * r + b * s + p, a * s - b * r + q
            back[_B2 + k], back[_B2 + LANES + k] = p, q
            r, s = back[_B3 + k], back[_B3 + LANES + k]
            p, q = a * r + b * s + p, a * s - b * r + q
            back[_B3 + k], back[_B3 + LANES + k] = p, q
            r, s = back[_B4 + k], back[_B4 + LANES + k]
            p, q = a * r + b * s + p, a * s - b * r + q
            back[_B4 + k], back[_B4 + LANES + k] = p, q
        out[i] = np.sum(back[_B4 : _B4 + LANES])


@fused_kernel
def _modulate(x: Array, poles: Array, state: Array, out: Array) -> None:
    """out [frame, modulation, band]: of x [frame, band]; poles [modulation]; all but x complex."""
    for m in range(poles.size):
        pole = poles[m]
        drive = 1 - np.abs(pole)
        for k in range(x.shape[1]):
            z = state[m, k]
            for i in range(len(x)):
                z = pole * z + drive * x[i, k]
                out[i, m, k] = z
            state[m, k] = z


def modulated(x: Array, m: Modulation, state: Array) -> Array:
    """Output of the modulation filters, float64 [frame, modulation, band], for adapted envelopes x [frame, band].

    state: complex [modulation, band], that before x; turned into that after it.
    """
    out = np.empty((len(x), *state.shape), np.complex128)
    _modulate(np.ascontiguousarray(x), m.poles, state, out)
    result: Array = np.where(m.envelope[:, None], np.abs(out), out.real)
    return result


def at_rest(m: Modulation, bands: int) -> Array:
    """The state of the modulation filters before all."""
    return np.zeros((len(m.centres), bands), np.complex128)


def modulated_torch(m: Modulation) -> Callable[[Any], Any]:
    """modulated from rest for tensors: x [item, frame, band], float64 -> [item, frame, modulation, band]."""
    import torch

    from ..engine.tensors import Constant, fast_length, modulus

    re, im = (Constant(z) for z in (np.log(m.poles).real, np.pi * 2 * np.array(m.centres) / m.rate))
    drive, envelope = Constant(1 - np.abs(m.poles)), Constant(m.envelope)

    def transform(x: Any) -> Any:
        length = x.shape[1]
        n = torch.arange(length, dtype=x.dtype, device=x.device)[:, None]
        responses = torch.polar(drive(x) * torch.exp(re(x) * n), im(x) * n)
        size = fast_length(2 * length)
        spectrum = torch.fft.fft(responses, size, dim=0)[:, :, None] * torch.fft.fft(x, size, dim=1)[:, :, None]
        y = torch.fft.ifft(spectrum, dim=1)[:, :length]
        above = envelope(x)[:, None] > 0
        return torch.where(above, modulus(y), y.real)

    return transform
