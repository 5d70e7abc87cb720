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

from .. import dsp
from ..dsp.kernel import kernel
from ..errors import InputError

if TYPE_CHECKING:
    from ..dsp.stream import Stream

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

    Step t lies around sample t hop, hop = samples // steps. The last step ends TAPS samples before the end.
    """
    constants, dtype = bank(), stream.samples.dtype
    count = steps(stream.length)
    hop = stream.length // count
    state = _initial(constants, hop, dtype)
    resonator, direct = constants.resonator.astype(dtype), constants.direct.astype(dtype)
    weights = fade(hop).astype(dtype)
    drum = np.zeros(2)
    energies = np.zeros((count, BANDS), dtype)
    per_chunk = max(1, CHUNK // hop)
    for step in range(0, count, per_chunk):
        start, last = step * hop, step + per_chunk >= count
        stop = min(min(step + per_chunk, count) * hop, stream.length - TAPS)
        x = np.empty(stop - start + TAPS - 1, dtype)
        dsp.stream.read(*stream, start, x)
        signal, drive = np.correlate(x, direct), np.correlate(x, resonator)
        _resonate(drive, drum, signal)
        _filter(signal, hop, weights, last, state, energies[step : step + per_chunk + 1])
    energies += constants.noise.astype(dtype)
    np.log(energies, energies)
    energies *= constants.factor.astype(dtype)
    return energies


def spectrogram_torch() -> Callable[[Any], Any]:
    """The same as torch text: x [item, sample] -> [item, step, band] in float64.

    Filters are convolutions with what their responses are before they fall below 1e-16. InputError for a sound that is
    shorter than a step.
    """
    import torch
    from torch.nn import functional

    from ..dsp.differentiable import Constant, fast_length

    b = bank()
    taps = Constant(np.stack([b.direct, b.resonator])[:, None])
    w, gain, factor, noise, angle = (
        Constant(a[:, None]) for a in (b.leak, b.gain, b.factor, b.noise, 2 * np.pi * b.frequencies / RATE)
    )
    ring = np.zeros(_RINGS)
    impulse = np.zeros(_RINGS)
    impulse[0] = 1
    _resonate(impulse, np.zeros(2), ring)
    drum = Constant(ring)

    def energies(x: Any) -> Any:
        x = x.double()
        samples = x.shape[-1]
        if samples < SHORTEST:
            raise InputError(too_short(samples))
        count = steps(samples)
        hop, used = samples // count, samples - TAPS
        n = min(used, _LONGEST)
        m = torch.arange(n, dtype=torch.float64, device=x.device)
        envelope = gain(x) / hop**0.5 * (m * (m + 1) / 2) * w(x) ** m
        size = fast_length(used + n + _RINGS)
        responses = torch.fft.fft(torch.polar(envelope, angle(x) * m), size)
        direct, drive = torch.fft.fft(functional.conv1d(x[:, None], taps(x))[..., :-1], size).unbind(1)
        signal = direct + drive * torch.fft.fft(drum(x), size)
        z = torch.fft.ifft(signal[:, None] * responses, size)[..., : min(used, count * hop)]
        energy = z.real.square() + z.imag.square()
        energy = functional.pad(energy, (0, count * hop - energy.shape[-1])).unflatten(-1, (count, hop))
        position = (torch.arange(hop, dtype=torch.float64, device=x.device) + 0.5) / hop
        here = energy @ (1 / (1 + torch.exp(FADE * (2 * position - 1))))
        whole = energy.sum(-1)
        total = torch.cat([here[..., :-1], whole[..., -1:]], -1) + functional.pad((whole - here)[..., :-1], (1, 0))
        return ((total + noise(x)).log() * factor(x)).transpose(1, 2)

    return energies


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


def _initial(constants: Bank, hop: int, dtype: Any) -> Array:
    state = np.zeros(14 * BANDS, dtype)
    gain = constants.gain / np.sqrt(hop)
    rows = ((_WEIGHT, constants.leak), (_TURN, constants.turn.real), (_TURN + BANDS, constants.turn.imag))
    for at, row in (*rows, (_PHASOR, gain), (_GAIN, gain)):
        state[at : at + BANDS] = row
    return state


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
