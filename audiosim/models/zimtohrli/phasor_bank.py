"""Zimtohrli's ear: a resonant ear drum, 128 third-order gammatone filters, logarithmic energies some 85 times a second.

google/zimtohrli at ff5f049, cpp/zimt/zimtohrli.h; Alakuijala et al. 2025, arXiv 2509.26133. The code, not the paper or
the README, has the constants. A band's filter is h[m] = g w^m m (m + 1) / 2 exp(2 pi i f m / rate), m >= 0: the signal
times a phasor that turns against f, through three leaky integrators.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import resources
from math import ceil, frexp, ldexp
from typing import TYPE_CHECKING, Any, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.kernel import kernel
from ...engine.stream import plain
from ...errors import InputError

if TYPE_CHECKING:
    from ...engine.stream import Stream

Array = NDArray[Any]

RATE = 48000  # Hz
BANDS = 128
TAPS = 32  # of the look-ahead in front of the filters
BLOCK = int(RATE / 85.0)  # samples, about, of a step
SHORTEST = TAPS + 1  # samples that have one step
LEAK, LEAK_EXPONENT = 0.9996073584827937, 0.73227703638356523  # of the integrators, per Hz of bandwidth
SCALE = 931912404783.44507  # of energies
FADE = 8.0246040186567118  # steepness of the cross-fade from one step to the next
DRUM_DECAY, DRUM_SPRING = 0.97018703367139569, -0.02209312182872265  # of the resonator
NOISE = 766068.03396368888  # energy that is added in the lowest band
CHUNK = 1 << 16  # samples in work at a time


class Bank(NamedTuple):
    """Constants of the bands: [band], and [tap] of the two correlations."""

    frequencies: Array  # Hz
    leak: Array  # w
    turn: Array  # complex, of the phasor in one sample
    gain: Array  # g for steps of one sample; energies of longer steps are means
    factor: Array  # of the logarithm
    noise: Array  # energy
    resonator: Array
    direct: Array


@cache
def bank() -> Bank:
    """The filter bank. The leaks have the float32 values of the original: 1 - w keeps no more than 5 digits there."""
    f, factor, slope = _table("zimtohrli_bands.csv")
    edges = np.sqrt(f[1:] * f[:-1])
    width = np.diff(edges)
    leak = (LEAK ** (LEAK_EXPONENT * width)).astype(np.float32).astype(np.float64)
    gain = np.sqrt(SCALE) * (1 - leak) ** 3 * f[1:-1] / width
    noise = NOISE + np.concatenate([[0.0], np.cumsum(slope[1:-2])])
    turn = np.exp(-2j * np.pi * f[1:-1] / RATE)
    return Bank(f[1:-1], leak, turn, gain, factor[1:-1], noise, *_table("zimtohrli_ear.csv"))


def steps(samples: int) -> int:
    """How many steps so many samples have: 85.1 per second, rounded up, in the original's float32."""
    return ceil(_single(_single(_single(samples) * _single(RATE / BLOCK)) / RATE))


def _single(x: float) -> float:
    """The nearest float32, in arithmetic that torch can compile."""
    mantissa, exponent = frexp(x)
    return ldexp(round(ldexp(mantissa, 24)), exponent - 24)


def fade(hop: int) -> Array:
    """Part of the energy of each of a step's samples [hop] that counts there; the rest counts in the next step."""
    result: Array = 1 / (1 + np.exp(FADE * (2 * (np.arange(hop) + 0.5) / hop - 1)))
    return result


def spectrogram(stream: Stream) -> Array:
    """Logarithmic energies [step, band] in the dtype of the stream, of at least SHORTEST samples at 48 kHz.

    Step t lies around sample t hop, hop = samples // steps. The last step ends TAPS samples before the end. It may come
    from the cache, so nobody may change it.
    """
    if stream.lag:
        return _spectrogram(stream)
    return engine.cache.cached(stream.samples, "phasor bank", lambda: _spectrogram(stream))


def _spectrogram(stream: Stream) -> Array:
    constants = bank()
    levels = energies(stream)
    levels += constants.noise.astype(levels.dtype)
    np.log(levels, levels)
    levels *= constants.factor.astype(levels.dtype)
    return levels


def energies(stream: Stream) -> Array:
    """[step, band] as spectrogram, before noise and logarithm."""
    dtype = stream.samples.dtype
    count = steps(stream.length)
    hop = stream.length // count
    state, weights = _initial(hop, dtype), fade(hop).astype(dtype)
    drum = np.zeros(2)
    result = np.zeros((count, BANDS), dtype)
    per_chunk = max(1, CHUNK // hop)
    for step in range(0, count, per_chunk):
        start, last = step * hop, step + per_chunk >= count
        stop = min(min(step + per_chunk, count) * hop, stream.length - TAPS)
        x = np.empty(stop - start + TAPS - 1, dtype)
        engine.stream.read(*stream, start, x)
        _filter(_heard(x, drum), hop, weights, last, state, result[step : step + per_chunk + 1])
    return result


def energies_slope(x: Array, slope: Array) -> Array:
    """What x [sample] gets for slopes of energies(x) [step, band], float64.

    Time runs backwards through the adjoints of the same filters. Their outputs are made again from the state at
    which each step begins, so memory is that of two steps per second more.
    """
    count = steps(x.size)
    hop = x.size // count
    state, weights = _initial(hop, x.dtype), fade(hop)
    signal = _heard(x[: min(count * hop, x.size - TAPS) + TAPS - 1], np.zeros(2))
    parts = [slice(step * hop, (step + 1) * hop) for step in range(count)]
    states, scratch = [], np.zeros((2, BANDS))
    for part in parts:
        states.append(state.copy())
        _filter(signal[part], hop, weights, False, state, scratch)
    slope = np.vstack([slope, slope[-1]])  # all of the last step's energy counts there
    adjoint, record, of_signal = np.zeros(7 * BANDS), np.empty((hop, 4 * BANDS)), np.empty_like(signal)
    for step in reversed(range(count)):
        part = parts[step]
        _retrace(signal[part], weights, states[step], slope[step], slope[step + 1], adjoint, record, of_signal[part])
    driven = np.zeros_like(signal)
    _resonate(of_signal[::-1].copy(), np.zeros(2), driven)
    result = np.zeros_like(x)
    reached = result[: signal.size + TAPS - 1]
    reached += np.convolve(of_signal, bank().direct) + np.convolve(driven[::-1], bank().resonator)
    return result


@cache
def spectrogram_torch() -> Callable[[Any], Any]:
    """The same for tensors: x [item, sample] -> [item, step, band] in float64; InputError when shorter than a step."""
    import torch
    from torch.library import custom_op

    from ...engine.tensors import Constant

    by_fft, noise, factor = _energies_by_fft(), Constant(bank().noise), Constant(bank().factor)

    def value(x: Any) -> Any:
        if x.device.type != "cpu":
            return by_fft(x)
        return torch.from_numpy(np.stack([energies(plain(y)) for y in x.detach().contiguous().numpy()]))

    def slopes(x: Any, slope: Any) -> Any:
        if x.device.type != "cpu":
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(by_fft(x), x, slope)[0]
        pairs = zip(*(z.detach().contiguous().numpy() for z in (x, slope)), strict=True)
        return torch.from_numpy(np.stack([energies_slope(*pair) for pair in pairs]))

    forward: Any = custom_op("audiosim::phasor_bank", value, mutates_args=(), schema="(Tensor x) -> Tensor")
    forward.register_fake(lambda x: x.new_empty((x.shape[0], steps(x.shape[1]), BANDS)))
    schema = "(Tensor x, Tensor slope) -> Tensor"
    backward: Any = custom_op("audiosim::phasor_bank_slope", slopes, mutates_args=(), schema=schema)
    backward.register_fake(lambda x, slope: torch.empty_like(x))
    forward.register_autograd(
        lambda ctx, slope: backward(*ctx.saved_tensors, slope),
        setup_context=lambda ctx, inputs, output: ctx.save_for_backward(*inputs),
    )

    def levels(x: Any) -> Any:
        if x.shape[-1] < SHORTEST:
            raise InputError(too_short(x.shape[-1]))
        total = forward(x.double())
        return (total + noise(total)).log() * factor(total)

    return levels


def _energies_by_fft() -> Callable[[Any], Any]:
    """energies for tensors on any device: convolved with the filters' responses until these fall below 1e-16."""
    import torch
    from torch.nn import functional

    from ...engine.tensors import Constant, fast_length

    b = bank()
    taps = Constant(np.stack([b.direct, b.resonator])[:, None])
    w, gain, angle = (Constant(a[:, None]) for a in (b.leak, b.gain, 2 * np.pi * b.frequencies / RATE))
    ring = np.zeros(_RINGS)
    impulse = np.zeros(_RINGS)
    impulse[0] = 1
    _resonate(impulse, np.zeros(2), ring)
    drum = Constant(ring)

    def by_fft(x: Any) -> Any:
        count = steps(x.shape[-1])
        hop, used = x.shape[-1] // count, x.shape[-1] - TAPS
        n = min(used, _LONGEST)
        m = torch.arange(n, dtype=x.dtype, device=x.device)
        envelope = gain(x) / hop**0.5 * (m * (m + 1) / 2) * w(x) ** m
        size = fast_length(used + n + _RINGS)
        responses = torch.fft.fft(torch.polar(envelope, angle(x) * m), size)
        direct, drive = torch.fft.fft(functional.conv1d(x[:, None], taps(x))[..., :-1], size).unbind(1)
        signal = direct + drive * torch.fft.fft(drum(x), size)
        z = torch.fft.ifft(signal[:, None] * responses, size)[..., : min(used, count * hop)]
        energy = z.real.square() + z.imag.square()
        energy = functional.pad(energy, (0, count * hop - energy.shape[-1])).unflatten(-1, (count, hop))
        position = (torch.arange(hop, dtype=x.dtype, device=x.device) + 0.5) / hop
        here = energy @ (1 / (1 + torch.exp(FADE * (2 * position - 1))))
        whole = energy.sum(-1)
        total = torch.cat([here[..., :-1], whole[..., -1:]], -1) + functional.pad((whole - here)[..., :-1], (1, 0))
        return total.transpose(1, 2)

    return by_fft


def too_short(samples: int) -> str:
    """Why so many samples have no step."""
    return f"too short: a step takes {SHORTEST} samples, there are {samples}"


_RINGS = 4096  # samples until the resonator has died away
_LONGEST = 20000  # and the narrowest filter


@cache
def _table(name: str) -> Array:
    with resources.files("audiosim.tables").joinpath(name).open() as lines:
        rows = [line for line in lines if line[0] in "-0123456789"]
    table: Array = np.loadtxt(rows, delimiter=",").T
    return table


# The rows of the state, one after the other so that compilers see that they do not overlap.
_WEIGHT, _TURN, _PHASOR, _FIRST, _SECOND, _THIRD, _HERE, _NEXT, _GAIN = (
    BANDS * row for row in (0, 1, 3, 5, 7, 9, 11, 12, 13)
)


def _initial(hop: int, dtype: Any) -> Array:
    constants = bank()
    state = np.zeros(14 * BANDS, dtype)
    gain = constants.gain / np.sqrt(hop)
    rows = ((_WEIGHT, constants.leak), (_TURN, constants.turn.real), (_TURN + BANDS, constants.turn.imag))
    for at, row in (*rows, (_PHASOR, gain), (_GAIN, gain)):
        state[at : at + BANDS] = row
    return state


def _heard(x: Array, drum: Array) -> Array:
    """What enters the filters, of x with TAPS - 1 samples more; drum: state of the resonator."""
    signal: Array = np.correlate(x, bank().direct.astype(x.dtype))
    _resonate(np.correlate(x, bank().resonator.astype(x.dtype)), drum, signal)
    return signal


@kernel
def _resonate(drive: Array, drum: Array, signal: Array) -> None:
    """p = 0.97 p - 0.022 q + drive, q += p, signal += p; drum: p and q."""
    p = drum[0]
    q = drum[1]
    for i in range(drive.size):
        p = DRUM_DECAY * p + DRUM_SPRING * q + drive[i]
        q += p
        signal[i] += p
    drum[0] = p
    drum[1] = q


@kernel
def _filter(signal: Array, hop: int, weights: Array, last: bool, state: Array, energies: Array) -> None:
    """energies [step, band] += those of the signal, whose first sample begins a step; last: of all the signal."""
    one = weights.dtype.type(1)
    for start in range(0, signal.size, hop):
        step = start // hop
        final = last and step == energies.shape[0] - 1
        for i in range(start, min(start + hop, signal.size)):
            u = one if final else weights[i - start]
            if _AT_ONCE:
                _advance(state, _EVERY_BAND, signal[i], u, one - u)
            else:
                for k in range(BANDS):
                    _advance(state, k, signal[i], u, one - u)
        for k in range(BANDS):
            energies[step, k] += state[_HERE + k]
            if step + 1 < energies.shape[0]:
                energies[step + 1, k] += state[_NEXT + k]
            state[_HERE + k] = 0
            state[_NEXT + k] = 0
            re = state[_PHASOR + k]
            im = state[_PHASOR + BANDS + k]
            norm = state[_GAIN + k] / np.sqrt(re * re + im * im)
            state[_PHASOR + k] = norm * re
            state[_PHASOR + BANDS + k] = norm * im


class _EveryBand:
    """Stands for the index of a band where all are meant: at + every band is the row of the state that begins there."""

    def __radd__(self, at: int) -> slice:
        return slice(at, at + BANDS)


_EVERY_BAND = _EveryBand()
_AT_ONCE = bool(numba.config.DISABLE_JIT)  # one by one they would take plain Python minutes


@kernel
def _advance(state: Array, k: Any, sample: Any, u: Any, v: Any) -> None:
    """Band k by one sample, whose energy counts by u in this step and by v in the next one."""
    w = state[_WEIGHT + k]
    re = state[_PHASOR + k]
    im = state[_PHASOR + BANDS + k]
    first = w * state[_FIRST + k]
    second = w * state[_SECOND + k] + first
    third = w * state[_THIRD + k] + second
    first_im = w * state[_FIRST + BANDS + k]
    second_im = w * state[_SECOND + BANDS + k] + first_im
    third_im = w * state[_THIRD + BANDS + k] + second_im
    state[_FIRST + k] = first + re * sample
    state[_FIRST + BANDS + k] = first_im + im * sample
    state[_SECOND + k] = second
    state[_SECOND + BANDS + k] = second_im
    state[_THIRD + k] = third
    state[_THIRD + BANDS + k] = third_im
    turned = state[_TURN + k] * re - state[_TURN + BANDS + k] * im
    state[_PHASOR + BANDS + k] = state[_TURN + k] * im + state[_TURN + BANDS + k] * re
    state[_PHASOR + k] = turned
    energy = third * third + third_im * third_im
    state[_HERE + k] += u * energy
    state[_NEXT + k] += v * energy


@kernel
def _retrace(
    signal: Array,
    weights: Array,
    state: Array,
    here: Array,
    later: Array,
    adjoint: Array,
    record: Array,
    out: Array,
) -> None:
    """out: slopes of the signal in one step, given those of its energy [band] and of the next step's. state: before the
    step; adjoint: after it, turned into that before it; record: scratch."""
    for i in range(signal.size):
        row = record[i]
        if _AT_ONCE:
            _note(state, row, _EVERY_BAND, signal[i])
        else:
            for k in range(BANDS):
                _note(state, row, k, signal[i])
    for i in range(signal.size - 1, -1, -1):
        row = record[i]
        if _AT_ONCE:
            _recede(state, row, here, later, adjoint, _EVERY_BAND, weights[i])
        else:
            for k in range(BANDS):
                _recede(state, row, here, later, adjoint, k, weights[i])
        out[i] = np.sum(adjoint[6 * BANDS :])


@kernel
def _note(state: Array, row: Array, k: Any, sample: Any) -> None:
    """Phasor and output of band k at one sample into the row."""
    row[0 + k] = state[_PHASOR + k]
    row[BANDS + k] = state[_PHASOR + BANDS + k]
    _advance(state, k, sample, 0.0, 0.0)
    row[2 * BANDS + k] = state[_THIRD + k]
    row[3 * BANDS + k] = state[_THIRD + BANDS + k]


@kernel
def _recede(state: Array, row: Array, here: Array, later: Array, adjoint: Array, k: Any, u: float) -> None:
    """Adjoint of _advance: slopes of the integrators of band k, first to third, from after the sample to before it."""
    w = state[_WEIGHT + k]
    slope = 2 * (u * here[0 + k] + (1 - u) * later[0 + k])
    first = w * (adjoint[0 + k] + adjoint[2 * BANDS + k])
    first_im = w * (adjoint[BANDS + k] + adjoint[3 * BANDS + k])
    third = slope * row[2 * BANDS + k] + w * adjoint[4 * BANDS + k]
    third_im = slope * row[3 * BANDS + k] + w * adjoint[5 * BANDS + k]
    adjoint[0 + k] = first
    adjoint[BANDS + k] = first_im
    adjoint[2 * BANDS + k] = third + w * adjoint[2 * BANDS + k]
    adjoint[3 * BANDS + k] = third_im + w * adjoint[3 * BANDS + k]
    adjoint[4 * BANDS + k] = third
    adjoint[5 * BANDS + k] = third_im
    adjoint[6 * BANDS + k] = row[0 + k] * first + row[BANDS + k] * first_im
