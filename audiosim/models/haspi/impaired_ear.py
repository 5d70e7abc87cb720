"""The ear of HASPI and HASQI: 32 gammatone filters that widen with level and hearing loss, compression by the outer
hair cells, adaptation of the inner ones, at 24 kHz.

Kates & Arehart 2014 (J. Audio Eng. Soc. 62, 99-117) and 2021 (Speech Comm. 131, 35-46); Kates 2013 (ICA) for the model
itself. Where the papers leave room, as pyclarity 0.9.0 has it. Recordings are scaled so that an RMS of 1 is LEVEL dB
SPL; a band's motion is that of the basilar membrane, its envelope what the motion is the fine structure of.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from math import factorial, log10, pi, sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import dsp, engine, models
from ...engine.elementary import bits_of
from ...engine.kernel import fused_kernel
from ...hearing.audiogram import FREQUENCIES

Array = NDArray[Any]

RATE = 24000  # Hz
BANDS = 32
LEVEL = 65.0  # dB SPL of an RMS of 1
LOWEST, HIGHEST = 80.0, 8000.0  # Hz, centres of the bands
EAR_Q, NARROWEST = 9.26449, 24.7  # equivalent rectangular bandwidth: f / EAR_Q + NARROWEST
KNEE, CEILING = 30.0, 100.0  # dB SPL between which the normal ear compresses
BROADEST = 100.0  # dB, hearing loss of the filters that control compression
WIDENING = 50.0, 100.0  # dB SPL between which filters widen from quiet width to the controls'
SMOOTHING = 800.0  # Hz, of the compression's gain
OVERSHOOT, RAPID, SHORT_TERM = 2.0, 0.002, 0.060  # of adaptation: factor, seconds
THRESHOLD_NOISE = -10.0  # dB SL, that membranes move by in silence
DISPERSION = 48  # samples that the test is left late, for the filters' sake
SEARCH = 10 * RATE  # samples either way, in which its delay is looked for
REACH = 2400  # and that of each band
PRUNED = 0.001  # of the reference's peak: what is softer is cut from its ends
NAL_TAPS = 140
SMALL = 1e-30
QUIET = np.float32(1e-30)  # states of filters below are zero
DB = 10 / np.log(10)  # dB per neper of power
NOISE_PERIOD = 4093  # samples: prime, so that no frame meets the same piece again soon
SPARSE = 2  # samples between those from which the delays are found: envelopes hold nothing above 6 kHz
CACHED = 15 * RATE  # samples: of so short a pair the membranes' motion is cached, not found twice
CHUNK = 384  # samples of motion in work at a time
LAG_BLOCK = 11584  # samples of the reference at a time, where they are looked for: 16384 with the reach


class Ear(NamedTuple):
    """Of each band [band]: how the hearing loss splits, dB, and what it does to width (1 is normal) and compression."""

    outer: Array
    inner: Array
    width: Array
    knee: Array  # dB SPL
    ratio: Array


@cache
def centres() -> Array:
    """Centre frequencies [band], Hz, evenly spaced in ERB rate."""
    shift = EAR_Q * NARROWEST
    low, high = np.log(LOWEST + shift), np.log(HIGHEST + shift)
    result: Array = np.exp(np.linspace(low, high, BANDS)) - shift
    return result


def ear(losses: Any) -> Ear:
    """The ear with an audiogram: hearing losses in dB at audiogram.FREQUENCIES, the outermost holding beyond them."""
    loss = np.maximum(np.interp(centres(), FREQUENCIES, losses), 0)
    ratio = np.linspace(1.25, 3.5, BANDS)
    most = 1.25 * 70 * (1 - 1 / ratio)  # beyond it nothing is left to compress
    outer = 0.8 * np.minimum(loss, most)
    width = 1 + outer / 50 + 2 * (outer / 50) ** 6
    knee = KNEE + outer
    loudest = KNEE + 70 / ratio  # dB, what an input of 100 dB SPL gives
    return Ear(outer, loss - outer, width, knee, (CEILING - knee) / (loudest + outer - knee))


def gain_prescribed(losses: Any) -> Array | None:
    """Taps [NAL_TAPS + 1] of the NAL-R prescription for the audiogram; None for normal hearing.

    Byrne & Dillon 1986: 0.31 of the loss, 0.05 of that at 500, 1000 and 2000 Hz together, and a shape; never below 0.
    """
    loss = np.asarray(losses, np.float64)
    if loss.max() <= 0:
        return None
    speech = loss[1:4].sum()
    common = 0.05 * speech if speech <= 180 else 9.0 + 0.116 * (speech - 180)
    gain = np.maximum(common + 0.31 * loss + np.array([-17, -8, 1, -1, -2, -2]), 0)
    at = np.linspace(0, 1, NAL_TAPS + 1)
    wanted = 10 ** (np.interp(at * RATE / 2, FREQUENCIES, gain) / 20)
    # sampled on a grid of 513 as MATLAB's fir2 does: point i of `at` falls on line floor(513 at_i) - 1
    lines = 512
    last = np.floor(at[1:] * (lines + 1)).astype(int) - 1
    first = np.concatenate([[0], last[:-1] + 1])
    response = np.empty(lines + 1)
    for i, (a, b) in enumerate(zip(first, last, strict=True)):
        response[a : b + 1] = np.linspace(wanted[i], wanted[i + 1], b - a + 1) if b > a else wanted[i]
    centred = np.fft.irfft(response)
    taps: Array = np.roll(centred, NAL_TAPS // 2)[: NAL_TAPS + 1] * np.hamming(NAL_TAPS + 1)
    return taps


@cache
def noise() -> Array:
    """Normal deviates [NOISE_PERIOD, 2, band], float32, always the same: for reference and test, over and over."""
    generator = np.random.RandomState(0)
    result: Array = generator.standard_normal((NOISE_PERIOD, 2, BANDS)).astype(np.float32)
    return result


@dataclass(frozen=True, slots=True)
class Aligned:
    """Reference and test behind the middle ear, float32 [sample], of one length; start: of both in the recording,
    samples. The reference is not silent."""

    ref: Array
    test: Array
    start: int


def presented(x: Array, rate: int, threads: int) -> Array:
    """x [sample] at 24 kHz. From below that with the RMS that it had, which the filter's slope would change."""
    if rate == RATE:
        return x
    found: Array = dsp.polyphase.resampled(engine.stream.plain(x), rate, RATE, threads, dsp.polyphase.short_taps)
    power = float(np.mean(found**2))
    if rate < RATE and power > 0:
        found *= sqrt(float(np.mean(np.square(x, dtype=np.float64))) / power)
    return found


def reference_level(ref: Array, level: float | None) -> float:
    """dB SPL of an RMS of 1, of recordings in which a full-scale sine has `level` dB SPL; without a level, so that the
    reference has LEVEL."""
    if level is not None:
        return level + 10 * log10(2)
    return LEVEL - 10 * log10(float(np.mean(np.square(ref, dtype=np.float64))))


def aligned(ref: Array, test: Array, level: float, taps: Array | None = None, lead: int = 0) -> Aligned:
    """The two [sample] of one length at 24 kHz, the test moved to be DISPERSION late, scaled and through the middle
    ear; where the reference is loud enough.

    level: dB SPL of an RMS of 1. taps: of a filter for the reference. lead: samples that it is then advanced by.
    """
    late = _lateness(ref, test) - DISPERSION
    scale = 10 ** ((level - LEVEL) / 20)
    sounding = np.flatnonzero(np.abs(ref) > PRUNED * np.abs(ref).max())
    first, last = int(sounding[0]), int(sounding[-1]) + 1
    amplified = ref[first:last] if taps is None else np.convolve(ref[first:last], taps)
    sections = _middle_ear()
    heard = [np.empty(last - first, np.float32) for _ in range(2)]
    _hear(amplified, lead, scale, sections, heard[0])
    _hear(test, first + late, scale, sections, heard[1])
    return Aligned(heard[0], heard[1], first)


def _lateness(ref: Array, test: Array) -> int:
    """Samples by which the test lags, where the correlation without means is largest in magnitude."""
    n = ref.size
    reach = min(n - 1, SEARCH)
    block = n if n <= 2 * SEARCH else (1 << 20) - 2 * reach
    found = models.haspi.lag.Correlation(1, reach, min(n, block))
    means = [float(x.mean(dtype=np.float64)) for x in (ref, test)]
    for start in range(0, n, block):
        a = np.asarray(ref[start : start + block] - means[0], np.float32)
        b = np.zeros(a.size + 2 * reach, np.float32)
        begin = max(start - reach, 0)
        piece = test[begin : start + a.size + reach]
        b[begin - start + reach :][: piece.size] = piece
        b[begin - start + reach :][: piece.size] -= means[1]
        found.add(0, a[None], b[None])
    return reach - int(np.argmax(np.abs(found.by_lag()[0])))


@cache
def _middle_ear() -> Array:
    """b0 b1 b2 a1 a2 of a low-pass of first order at 5 kHz and a high-pass of second order at 350 Hz (Butterworth)."""
    k = np.tan(pi * 350 / RATE)
    norm = 1 / (1 + sqrt(2) * k + k * k)
    return np.array(
        [
            [*(_low_pass(5000.0)[0],) * 2, 0.0, _low_pass(5000.0)[1], 0.0],
            [norm, -2 * norm, norm, 2 * (k * k - 1) * norm, (1 - sqrt(2) * k + k * k) * norm],
        ]
    )


def _low_pass(corner: float) -> tuple[float, float]:
    """b0 = b1, and a1, of a Butterworth filter of first order."""
    k = float(np.tan(pi * corner / RATE))
    return k / (1 + k), (k - 1) / (k + 1)


@fused_kernel
def _hear(x: Array, start: int, scale: float, sections: Array, out: Array) -> None:
    """out[i] = filtered scale x[start + i], zero outside of x; filters at rest before out[0]. Direct form II, turned
    round."""
    p = q = r = s = 0.0
    for i in range(out.size):
        n = start + i
        v = scale * x[n] if 0 <= n < x.size else 0.0
        y = sections[0, 0] * v + p
        p = sections[0, 1] * v - sections[0, 3] * y + q
        q = sections[0, 2] * v - sections[0, 4] * y
        z = sections[1, 0] * y + r
        r = sections[1, 1] * y - sections[1, 3] * z + s
        s = sections[1, 2] * y - sections[1, 4] * z
        out[i] = z


# One signal in all bands


def control_powers(x: Array) -> Array:
    """Mean square [band] of the envelopes of the filters that control compression."""
    sums = np.zeros(BANDS)
    _sum_powers(x, *_gammatones(_broadest()), np.empty((ROWS, BANDS), np.float32), sums)
    return sums / x.size


def widths(powers: Array, ear: Ear) -> Array:
    """Of the filters [band], relative to normal ones, at mean control powers [band]."""
    low, high = WIDENING
    part = np.clip((decibels(powers) - low) / (high - low), 0, 1)
    result: Array = ear.width + part * (_broadest() - ear.width)
    return result


def spectrum(powers: Array, control: Array, ear: Ear) -> Array:
    """Long-term levels [band], dB above threshold, of mean squares of the envelopes and of the control envelopes."""
    driven = np.clip(decibels(control), ear.knee, CEILING)
    gain = -ear.outer - (driven - ear.knee) * (1 - 1 / ear.ratio)
    result: Array = np.maximum(np.maximum(decibels(powers), 0) + gain - ear.inner, 0)
    return result


def decibels(powers: Array) -> Array:
    """Levels in dB SPL of mean squares."""
    result: Array = LEVEL + 10 * np.log10(np.maximum(powers, SMALL**2))
    return result


@cache
def _broadest() -> Array:
    return ear([BROADEST] * len(FREQUENCIES)).width


def corrections(width: Array) -> Array:
    """Samples [band] by which bands are delayed to be as late as the narrowest; width: relative to normal."""
    late = group_delays(width)
    result: Array = late.max() - late
    return result


def group_delays(width: Array) -> Array:
    """Of the bands [band] at their centres, samples."""
    pole = _poles(width)
    late = (4 * pole + 8 * pole**2) / (1 + 2 * pole) ** 2 + 4 * pole / (1 - pole)
    result: Array = np.rint(late).astype(np.int64)
    return result


def _poles(width: Array) -> Array:
    result: Array = np.exp(-2 * pi / RATE * 1.019 * width * (NARROWEST + centres() / EAR_Q))
    return result


# Rows of a bank's state, [row * BANDS + band], in one array so that compilers see that they do not overlap.
_POLE, _ZERO, _GAIN, _TURN_RE, _TURN_IM, _RE, _IM, _FIRST, _SECOND, _THIRD, _FOURTH = (
    BANDS * row for row in (0, 1, 2, 3, 4, 5, 6, 7, 9, 11, 13)
)
_POWER, _MOTION = BANDS * 15, BANDS * 16
ROWS = 32  # samples in work at a time: all that belongs to them stays in the innermost cache


def _gammatones(width: Array) -> tuple[Array, Array]:
    """State of a bank at rest, and its phasors [4, band] with their turn in ROWS samples, real and imaginary parts."""
    pole = _poles(width)
    turn = 2 * pi / RATE * centres()
    gain = 2 * (1 - pole) ** 4 / (1 + 2 * pole) ** 2
    state = np.zeros(19 * BANDS, np.float32)
    for at, row in (
        *((_POLE, pole), (_ZERO, 2 * pole), (_GAIN, gain), (_TURN_RE, np.cos(turn)), (_TURN_IM, -np.sin(turn))),
    ):
        state[at : at + BANDS] = row
    return state, np.array([np.ones(BANDS), np.zeros(BANDS), np.cos(ROWS * turn), -np.sin(ROWS * turn)])


@fused_kernel
def _gammatone(x: Array, state: Array, phasors: Array, power: Array, motion: Array) -> None:
    """power [sample, band] of the envelopes of ROWS samples; motion [sample, band] or, where it is three times as wide,
    motion and the real and imaginary parts whose turning with the centre frequency makes it, or, where it is empty,
    nothing. Fewer samples end the signal.

    The signal times a phasor that turns against the centre frequency, through (1 + 2a/z)^2 / (1 - a/z)^4, in single
    precision, of which stages of first order lose nothing; only the phasor is kept in double.
    """
    moves = motion.size > 0
    for k in range(BANDS):
        state[_RE + k] = phasors[0, k]
        state[_IM + k] = phasors[1, k]
    for k in range(BANDS):
        re = phasors[0, k] * phasors[2, k] - phasors[1, k] * phasors[3, k]
        phasors[1, k] = phasors[1, k] * phasors[2, k] + phasors[0, k] * phasors[3, k]
        phasors[0, k] = re
    for i in range(_FIRST, _POWER):  # numbers too small for the processor's fast path
        if abs(state[i]) < QUIET:
            state[i] = 0.0
    for i in range(x.size):
        v = np.float32(x[i])
        for k in range(BANDS):
            pole = state[_POLE + k]
            zero = state[_ZERO + k]
            c = state[_RE + k]
            s = state[_IM + k]
            a = state[_FIRST + k]
            b = state[_FIRST + BANDS + k]
            re = pole * a + c * v
            im = pole * b + s * v
            state[_FIRST + k] = re
            state[_FIRST + BANDS + k] = im
            re += zero * a
            im += zero * b
            a = state[_SECOND + k]
            b = state[_SECOND + BANDS + k]
            re += pole * a
            im += pole * b
            state[_SECOND + k] = re
            state[_SECOND + BANDS + k] = im
            re += zero * a + pole * state[_THIRD + k]
            im += zero * b + pole * state[_THIRD + BANDS + k]
            state[_THIRD + k] = re
            state[_THIRD + BANDS + k] = im
            re += pole * state[_FOURTH + k]
            im += pole * state[_FOURTH + BANDS + k]
            state[_FOURTH + k] = re
            state[_FOURTH + BANDS + k] = im
            re *= state[_GAIN + k]
            im *= state[_GAIN + k]
            state[_POWER + k] = re * re + im * im
            if moves:
                state[_MOTION + k] = re * c + im * s
                state[_MOTION + BANDS + k] = re
                state[_MOTION + 2 * BANDS + k] = im
            turn_re = state[_TURN_RE + k]
            turn_im = state[_TURN_IM + k]
            state[_RE + k] = c * turn_re - s * turn_im
            state[_IM + k] = s * turn_re + c * turn_im
        for k in range(BANDS):
            power[i, k] = state[_POWER + k]
        if moves:
            for k in range(motion.shape[1]):
                motion[i, k] = state[_MOTION + k]


@fused_kernel
def _sum_powers(x: Array, state: Array, phasors: Array, power: Array, sums: Array) -> None:
    """sums [band] += powers of the bank's envelopes."""
    for start in range(0, x.size, ROWS):
        piece = x[start : start + ROWS]
        _gammatone(piece, state, phasors, power, power[:0])
        for i in range(piece.size):
            row = power[i]
            for k in range(BANDS):
                sums[k] += row[k]


class Membrane:
    """The motion of the membrane after compression, read from the start of a signal to its end and beyond."""

    def __init__(self, x: Array, ear: Ear, width: Array) -> None:
        self._x, self._next = x, 0
        self._control, self._bank = _gammatones(_broadest()), _gammatones(width)
        self._law = (
            np.concatenate(
                [
                    np.tile(row, ROWS)
                    for row in (
                        10 ** ((LEVEL - ear.knee) / 10),
                        10 ** ((CEILING - ear.knee) / 10),
                        -(1 - 1 / ear.ratio) / 2,
                        -ear.outer * np.log(10) / 20,
                    )
                ]
            )
            .reshape(4, -1)
            .astype(np.float32)
        )
        self._gain = (
            np.zeros((ROWS + 1) * BANDS, np.float32),
            np.zeros(BANDS, np.float32),
        )  # and what it was before its low-pass
        self._scratch = np.ones(ROWS * BANDS, np.float32), np.empty(ROWS * BANDS, np.int32)
        self.powers = np.zeros(BANDS)  # sum of squares of the envelopes before compression

    def read(self, power: Array, motion: Array) -> None:
        """The next rows of the squared envelope [sample, band] and of the motion, as _gammatone has it."""
        piece = self._x[self._next : self._next + len(power)]
        self._next += len(power)
        if piece.size:
            control, control_phasors = self._control
            bank, bank_phasors = self._bank
            gain, before = self._gain
            b, a = map(np.float32, _low_pass(SMOOTHING))
            flat, exponents = self._scratch
            _compress(
                piece,
                control,
                control_phasors,
                bank,
                bank_phasors,
                self._law,
                gain,
                before,
                b,
                a,
                flat,
                exponents,
                self.powers,
                power,
                motion,
            )
        power[piece.size :] = 0
        motion[piece.size :] = 0


class Recorded:
    """What a membrane gives, to be read once more: powers and motions [sample, band], single precision."""

    def __init__(self, size: int, motion: bool) -> None:
        self.powers, self.motions = np.empty((size, BANDS), np.float32), np.empty((size * motion, BANDS), np.float32)


_NOTHING = Recorded(0, False)


@fused_kernel
def _lay_out(
    power: Array,
    moved: Array,
    start: int,
    powers: Array,
    motions: Array,
    at: int,
    envelopes: Array,
    step: int,
    parts: Array,
    parts_step: int,
) -> None:
    """Rows of a membrane from sample `start` on into the record, as far as it goes, and into envelopes [band, sample]
    and, of twice that many numbers, real and imaginary parts, from sample `at` on, of which every step-th counts."""
    for i in range(min(len(power), len(powers) - start)):
        for k in range(BANDS):
            powers[start + i, k] = power[i, k]
    for i in range(min(len(moved), len(motions) - start)):
        for k in range(BANDS):
            motions[start + i, k] = moved[i, k]
    for k in range(BANDS):
        row = envelopes[k, at // step :]
        column = power[::step, k]
        for i in range(column.size):
            row[i] = np.sqrt(column[i])
    for k in range(BANDS if len(moved) > 0 else 0):
        for side in range(2):
            row = parts[k, 2 * (at // parts_step) + side :: 2]
            column = moved[::parts_step, (1 + side) * BANDS + k]
            for i in range(column.size):
                row[i] = column[i]


@fused_kernel
def _compress(
    x: Array,
    control: Array,
    control_phasors: Array,
    bank: Array,
    bank_phasors: Array,
    law: Array,
    gain: Array,
    before: Array,
    b: Any,
    a: Any,
    flat: Array,
    exponents: Array,
    sums: Array,
    power: Array,
    motion: Array,
) -> None:
    """power, motion of the bank times the gain that the control filters' envelopes e ask for: e^(1/ratio - 1) from knee
    to ceiling, constant outside, through a low-pass b, a. law: scale, ceiling, exponent and logarithm of the gain at
    the knee, for every element of `flat`."""
    drive = flat.reshape(ROWS, BANDS)
    last = ROWS * BANDS
    for start in range(0, x.size, ROWS):
        piece = x[start : start + ROWS]
        _gammatone(piece, control, control_phasors, drive, power[:0])
        _power_law(flat, law[0], law[1], law[2], law[3], exponents)
        for i in range(BANDS):  # gain: the low-pass after the row before
            gain[i] = gain[last + i]
            gain[i + BANDS] = b * (flat[i] + before[i]) - a * gain[i]
        for i in range(BANDS, last):
            gain[i + BANDS] = b * (flat[i] + flat[i - BANDS])
        for i in range(BANDS, last):
            gain[i + BANDS] -= a * gain[i]
        for i in range(BANDS):
            before[i] = flat[last - BANDS + i]
        out = power[start : start + ROWS]
        moved = motion[start : start + ROWS]
        _gammatone(piece, bank, bank_phasors, out, moved)
        for i in range(piece.size):
            row = out[i]
            for k in range(BANDS):
                sums[k] += row[k]
        level = out.reshape(out.size)
        for i in range(piece.size * BANDS):  # behind the end nothing has been written
            level[i] *= gain[BANDS + i] * gain[BANDS + i]
        for side in range(moved.shape[1] // BANDS if moved.size > 0 else 0):
            for i in range(piece.size):
                row = moved[i, side * BANDS : (side + 1) * BANDS]
                factor = gain[(i + 1) * BANDS : (i + 2) * BANDS]
                for k in range(BANDS):
                    row[k] *= factor[k]


_ROOT_HALF = np.int32(np.float32(np.sqrt(0.5)).view(np.int32))  # the bits of sqrt(1/2)
_LN2, _LOG2E = np.float32(np.log(2)), np.float32(1 / np.log(2))
_ARTANH = tuple(np.float32(1 / n) for n in (9, 7, 5, 3, 1))
_TAYLOR = tuple(np.float32(1 / factorial(n)) for n in (7, 6, 5, 4, 3, 2, 1, 0))
_TWO, _HALF = np.float32(2), np.float32(0.5)


@fused_kernel
def _logarithms(x: Array, exponents: Array) -> None:
    """x = ln x in place, single precision, of normal numbers above 0; exactly 0 at 1. elementary has one for double."""
    bits = bits_of(x)
    for i in range(x.size):
        k = (bits[i] - _ROOT_HALF) >> 23
        exponents[i] = k
        bits[i] = bits[i] - (k << 23)
    for i in range(x.size):
        f = x[i] - _ARTANH[4]
        s = f / (_TWO + f)
        z = s * s
        p = (((_ARTANH[0] * z + _ARTANH[1]) * z + _ARTANH[2]) * z + _ARTANH[3]) * z + _ARTANH[4]
        x[i] = np.float32(exponents[i]) * _LN2 + _TWO * s * p


@fused_kernel
def _power_law(x: Array, scale: Array, most: Array, slope: Array, shift: Array, exponents: Array) -> None:
    """x = e^(shift + slope ln(scale x)) in place, single precision, with scale x held within 1 and most."""
    one = _ARTANH[4]
    for i in range(x.size):
        x[i] = min(max(x[i] * scale[i], one), most[i])
    _logarithms(x, exponents)
    for i in range(x.size):
        y = shift[i] + slope[i] * x[i]
        k = np.floor(y * _LOG2E + _HALF)
        exponents[i] = np.int32(k)
        r = y - k * _LN2
        p = ((_TAYLOR[0] * r + _TAYLOR[1]) * r + _TAYLOR[2]) * r + _TAYLOR[3]
        x[i] = (((p * r + _TAYLOR[4]) * r + _TAYLOR[5]) * r + _TAYLOR[6]) * r + _TAYLOR[7]
    bits = bits_of(x)
    for i in range(x.size):
        bits[i] = bits[i] + (exponents[i] << 23)


class Adapted:
    """What the inner hair cells make of it: envelopes in dB above threshold and the motion that they follow.

    late [2, band]: samples by which envelope and motion are to be advanced. correction [band]: those by which bands are
    delayed. side: 0 the reference's noise, 1 the test's.
    """

    def __init__(
        self, source: Membrane | Recorded, ear: Ear, size: int, late: Array, correction: Array, side: int
    ) -> None:
        offsets = late - correction
        self._ahead = -(-max(int(offsets.max()), 0) // ROWS) * ROWS
        self._back = max(int(-offsets.min()), 0)
        self._source, self._size, self._late, self._correction, self._side = source, size, late, correction, side
        self._threshold = (10 ** ((LEVEL - ear.inner) / 10)).astype(np.float32)
        self._voltages = np.zeros((ROWS + 1) * BANDS), np.zeros((ROWS + 1) * BANDS)
        self._scratch = *np.ones((2, ROWS * BANDS), np.float32), np.empty(ROWS * BANDS, np.int32)
        self._next = 0
        self._rows: tuple[Array, ...] | None = None

    def read(self, envelope: Array, motion: Array) -> None:
        """The next rows of envelope [sample, band] and, where it has room, motion, always as many."""
        count = len(envelope)
        if isinstance(self._source, Recorded):
            power, moved, origin = self._source.powers, self._source.motions, 0
        else:
            power, moved, origin = *self._window(self._source, count, motion.size > 0), self._next - self._back
        near, far = self._voltages
        flat, whole, exponents = self._scratch
        _adapt(
            power,
            moved,
            self._next,
            origin,
            self._size,
            self._late,
            self._correction,
            self._threshold,
            _circuit(),
            near,
            far,
            noise()[:, self._side],
            _NOISE_GAIN,
            flat,
            whole,
            exponents,
            envelope,
            motion,
        )
        self._next += count

    def _window(self, membrane: Membrane, count: int, motion: bool) -> tuple[Array, ...]:
        """The membrane's rows that the next ones may need, of all delays."""
        kept = self._back + self._ahead
        if self._rows is None:
            self._rows = tuple(
                np.zeros((kept + count if wanted else 0, BANDS), np.float32) for wanted in (True, motion)
            )
            self._append(membrane, slice(self._back, kept))
        else:
            for rows in self._rows:
                rows[:kept] = rows[count:].copy()
        self._append(membrane, slice(kept, kept + count))
        return self._rows

    def _append(self, membrane: Membrane, where: slice) -> None:
        assert self._rows is not None
        membrane.read(*(rows[where] for rows in self._rows))


_NOISE_GAIN = 10 ** ((THRESHOLD_NOISE - LEVEL) / 20)


@cache
def _circuit() -> Array:
    """v1 = c0 v0 + c1 v1 + c2 v2, v2 = c3 v0 + c4 v1 + c5 v2: two stages of a resistor and a capacitor, by backward
    differences."""
    r1 = 1 / OVERSHOOT
    r2 = r3 = 0.5 * (1 - r1)
    first = r1 * r2 * RATE * RAPID * (r1 + r2) / (r1 * r2)
    second = r2 * r3 * RATE * SHORT_TERM / ((r1 + r2) * r3)
    update = np.linalg.inv(np.array([[r1 + r2 + first, -r1], [-r3, r2 + r3 + second]]))
    result: Array = np.concatenate([[u[0] * r2, u[0] * first, u[1] * second] for u in update])
    return result


@fused_kernel
def _adapt(
    power: Array,
    moved: Array,
    start: int,
    origin: int,
    size: int,
    late: Array,
    correction: Array,
    threshold: Array,
    circuit: Array,
    near: Array,
    far: Array,
    noise: Array,
    noise_gain: float,
    flat: Array,
    whole: Array,
    exponents: Array,
    envelope: Array,
    motion: Array,
) -> None:
    """envelope, motion [sample, band] from `start` on; row 0 of power and moved is sample `origin` of `size`."""
    level = flat.reshape(ROWS, BANDS)
    source = whole.reshape(ROWS, BANDS)
    for first in range(0, len(envelope), ROWS):
        rows = min(ROWS, len(envelope) - first)
        _shift(power, start + first - correction, late[0], origin, size, source[:rows])
        for i in range(rows):
            for k in range(BANDS):
                level[i, k] = source[i, k] * threshold[k]
        for i in range(flat.size):
            flat[i] = max(flat[i], _ARTANH[4])
        _logarithms(flat, exponents)
        for i in range(BANDS):
            near[i] = near[flat.size + i]
            far[i] = far[flat.size + i]
        for i in range(flat.size):
            near[i + BANDS] = circuit[0] * DB * flat[i] + circuit[1] * near[i] + circuit[2] * far[i]
            far[i + BANDS] = circuit[3] * DB * flat[i] + circuit[4] * near[i] + circuit[5] * far[i]
        for i in range(flat.size):
            flat[i] = max((DB * flat[i] - near[i + BANDS]) * OVERSHOOT, 0.0)
        for i in range(rows):
            for k in range(BANDS):
                envelope[first + i, k] = level[i, k]
        if motion.size == 0:
            continue
        small = np.float32(SMALL)
        for i in range(flat.size):
            flat[i] = (flat[i] + small) / (np.sqrt(whole[i]) + small)
        _shift(moved, start + first - correction, late[1], origin, size, source[:rows])
        motion[first : first + rows] = 0.0
        for k in range(BANDS):
            begin = max(correction[k] - start - first, 0)
            at = (start + first - correction[k]) % NOISE_PERIOD
            split = min(rows, NOISE_PERIOD - at)  # where the noise begins anew
            for low, high, hiss in ((begin, split, at), (max(begin, split), rows, at - NOISE_PERIOD)):
                if low < high:
                    target = motion[first + low : first + high, k]
                    moves = source[low:high, k]
                    factor = level[low:high, k]
                    deviates = noise[hiss + low : hiss + high, k]
                    for i in range(target.size):
                        target[i] = moves[i] * factor[i] + noise_gain * deviates[i]


@fused_kernel
def _shift(rows: Array, first: Array, late: Array, origin: int, size: int, out: Array) -> None:
    """out[i, k] = sample first[k] + i + late[k] of band k, 0 outside of `size` samples and before first[k] + i = 0; row
    0 of rows is sample `origin`."""
    out[:] = 0.0
    for k in range(BANDS):
        low = max(-first[k], -first[k] - late[k], 0)
        high = min(size - first[k] - late[k], len(out))
        if low < high:
            shift = first[k] + late[k] - origin
            source = rows[low + shift : high + shift, k]
            target = out[low:high, k]
            for i in range(target.size):
                target[i] = source[i]


# The two together


@dataclass(frozen=True, slots=True)
class Heard:
    """A pair as the ears have it. Arrays of two: reference and test.

    widths: of the filters; control, powers: mean squares [2, band] of the envelopes; late [2, band]: samples by which
    the test's envelope and its motion lag in each band; records: of the membranes of a short pair.
    """

    pair: Aligned
    ears: tuple[Ear, Ear]
    widths: Array
    control: Array
    powers: Array
    late: Array
    records: tuple[Recorded, ...]

    def delay(self) -> int:
        """Samples by which everything that `adapted` gives is late."""
        return int(group_delays(self.widths[0]).max())


def hear(pair: Aligned, ears: tuple[Ear, Ear], motion: bool, threads: int) -> Heard:
    """Levels, widths and delays of the bands, which need the whole of both. motion: find its delays too."""
    signals, spread = (pair.ref, pair.test), engine.threads.in_threads
    control = np.array(spread(lambda s: control_powers(signals[s]), range(2), threads))
    width = np.array([widths(c, e) for c, e in zip(control, ears, strict=True)])
    membranes = [Membrane(*sew) for sew in zip(signals, ears, width, strict=True)]
    size = pair.ref.size
    records = tuple(Recorded(size, motion) for _ in range(2)) if size <= CACHED else ()
    # motion is narrower than the magnitude that makes the envelope; where it is asked for, both ears are alike, and an
    # envelope's delay is clear
    kinds: list[tuple[int, Any]] = [(4, np.float32), (4, np.complex64)] if motion else [(SPARSE, np.float32)]
    found = [models.haspi.lag.Correlation(BANDS, REACH // s, LAG_BLOCK // s, kind is np.complex64) for s, kind in kinds]
    # the test from before the block to after it
    ahead: list[Array] = [np.zeros((BANDS, (LAG_BLOCK + 2 * REACH) // s), kind) for s, kind in kinds]

    def read(side: int, start: int, count: int) -> list[Array]:
        rows: list[Array] = [np.empty((BANDS, count // s), kind) for s, kind in kinds]
        parts = rows[-1].view(np.float32)
        power, moved = (np.empty(shape, np.float32) for shape in ((CHUNK, BANDS), (CHUNK * motion, 3 * BANDS)))
        record = records[side] if records else _NOTHING
        for at in range(0, count, CHUNK):
            part = power[: count - at], moved[: count - at]
            membranes[side].read(*part)
            _lay_out(*part, start + at, record.powers, record.motions, at, rows[0], kinds[0][0], parts, kinds[-1][0])
        return rows

    for rows, new in zip(ahead, read(1, 0, REACH), strict=True):
        rows[:, -new.shape[1] :] = new
    for start in range(0, size, LAG_BLOCK):
        ref, test = spread(lambda s: read(s, start + s * REACH, LAG_BLOCK), range(2), threads)  # noqa: B023
        for correlation, rows, a, b in zip(found, ahead, ref, test, strict=True):
            kept = rows.shape[1] - b.shape[1]
            rows[:, :kept] = rows[:, b.shape[1] :].copy()
            rows[:, kept:] = b
            spread(lambda k: correlation.add(k, a[k : k + 8], rows[k : k + 8]), range(0, BANDS, 8), threads)  # noqa: B023
    lags = [correlation.by_lag(s) for correlation, (s, _) in zip(found, kinds, strict=True)]
    if motion:
        turn = 2 * pi / RATE * np.outer(centres(), np.arange(-REACH, REACH + 1))
        lags[1] = lags[1].real * np.cos(turn) - lags[1].imag * np.sin(turn)
    # the original leaves out the first lag
    late = REACH - 1 - np.argmax(np.array(lags)[:, :, 1:], axis=2)
    return Heard(pair, ears, width, control, np.array([m.powers for m in membranes]) / size, late, records)


def adapted(
    heard: Heard, block: int, motion: bool, threads: int, before: int = 0, after: int = 0
) -> Iterator[tuple[int, Array, Array]]:
    """Blocks one after the other: how many samples of them there are, and envelopes and motions (empty where not asked
    for) [2, before + block + after, band], with samples before the block, and zeros after it and after the end."""
    size = heard.pair.ref.size
    correction = corrections(heard.widths[0])
    late = np.broadcast_to(heard.late, (2, BANDS)) if len(heard.late) == 1 else heard.late
    sources: tuple[Any, ...] = heard.records or tuple(
        map(Membrane, (heard.pair.ref, heard.pair.test), heard.ears, heard.widths)
    )
    delays = np.zeros_like(late), late
    cells = [Adapted(sources[s], heard.ears[s], size, delays[s], correction, s) for s in range(2)]
    rows, here = before + block + after, slice(before, before + block)
    envelopes, motions = np.zeros((2, rows, BANDS)), np.zeros((2, rows if motion else 0, BANDS))
    for start in range(0, size, block):
        engine.threads.in_threads(lambda s: cells[s].read(envelopes[s, here], motions[s, here]), range(2), threads)
        count = min(block, size - start)
        for x in (envelopes, motions):
            x[:, before + count :] = 0
        yield count, envelopes, motions
        for x in (envelopes, motions):
            x[:, :before] = x[:, block : block + before].copy()
