"""The delay between two recordings of one sound, and its removal."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SHORTEST = 32  # samples below which no delay is looked for
FLOOR = 1e-5  # of the strongest bin: what lies below counts less in the phase transform, being rounding noise
NEAR = 2  # samples within which two peaks are one
STEADY = 0.9  # of a half's strongest correlation that it must have at the peak of the whole
AGREES = 0.7  # of the strongest plain correlation that there must be at the peak of the phase transform
CORRELATION = 0.5  # of the waveforms, above which the plain peak is believed in any case
SAME = 0.9  # of the waveforms, above which it is believed at once
WINDOW = 8192  # samples, of the fine search
REACH = 2.0  # samples either way, of the fine search
PADDING = 2048  # samples of silence between the end and the start, which the fractional shift joins


@dataclass(frozen=True, slots=True)
class Delay:
    """How late the test is.

    samples: positive when the test is late; whole and fraction.
    correlation: of the waveforms at that delay, -1..1; negative when the polarity is opposite.
    found: False when nothing in common sticks out; the other two are 0 then.
    """

    samples: float
    correlation: float
    found: bool


def delay(ref: Array, test: Array, limit: int) -> Delay:
    """The one delay common to all channels, to a fraction of a sample, at most `limit` samples either way.

    ref, test: [channel, sample], as many channels, any lengths.
    Generalised cross-correlation with phase transform (Knapp & Carter 1976), the plain one where that has no clear
    peak, as for tones; then the peak of the coherence-weighted correlation between samples.
    """
    none = Delay(0.0, 0.0, False)
    limit = min(limit, max(ref.shape[1], test.shape[1]) - 1)
    energy = sqrt(_energy(ref) * _energy(test))
    if min(ref.shape[1], test.shape[1]) < SHORTEST or energy == 0:
        return none
    plain, phase = _correlations(ref, test, limit)
    by_phase, by_plain = _peak(phase.sum(axis=0)), _peak(plain.sum(axis=0))
    strength = np.abs(plain.sum(axis=0)) / energy
    near = slice(max(by_phase - NEAR, 0), by_phase + NEAR + 1)
    if strength[by_plain] > SAME:
        late = by_plain - limit
    elif _steady(phase, by_phase) and strength[near].max() > AGREES * strength[by_plain]:
        late = by_phase - limit
    elif _steady(plain, by_plain) or strength[by_plain] > CORRELATION:
        late = by_plain - limit
    else:
        return none
    best = none
    for _ in range(4):
        a, b = overlap(ref, test, late)
        if a.shape[1] < SHORTEST:
            break
        rho = correlation(a, b)
        if abs(rho) <= abs(best.correlation):
            break
        fraction = _fraction(a, b if rho > 0 else -b)
        best = Delay(late + fraction, rho, True)
        if abs(fraction) <= 0.5:
            break
        late += round(fraction)
    return best


def correlation(ref: Array, test: Array) -> float:
    """Normalised correlation of the waveforms, all channels together, -1..1; 0 when one is silent.

    ref, test: [channel, sample] of equal shape.
    """
    energy = sqrt(_energy(ref) * _energy(test))
    if energy == 0:
        return 0.0
    product = sum(float(np.vdot(r, t)) for r, t in zip(_centred(ref), _centred(test), strict=True))
    return min(max(product / energy, -1.0), 1.0)


def overlap(ref: Array, test: Array, late: int) -> tuple[Array, Array]:
    """Views of what both hold when the test is `late` samples late."""
    a, b = ref[:, max(-late, 0) :], test[:, max(late, 0) :]
    length = min(a.shape[1], b.shape[1])
    return a[:, :length], b[:, :length]


def advanced(samples: Array, by: float) -> Array:
    """The sound moved earlier by a fraction of a sample, -1..1, band-limited; same shape and dtype.

    A phase ramp over the spectrum: exact for what lies below the Nyquist frequency and is silent at both ends.
    """
    from scipy import fft

    length = samples.shape[1]
    size = fft.next_fast_len(length + PADDING, real=True)
    ramp = np.exp(2j * np.pi * by / size * np.arange(size // 2 + 1)).astype(np.result_type(samples.dtype, np.complex64))
    moved = [fft.irfft(fft.rfft(channel, size) * ramp, size)[:length] for channel in samples]
    return np.stack(moved).astype(samples.dtype, copy=False)


def _centred(samples: Array) -> Array:
    centred: Array = samples - samples.mean(axis=1, dtype=np.float64, keepdims=True)
    return centred


def _energy(samples: Array) -> float:
    centred = _centred(samples)
    return float(np.vdot(centred, centred))


def _correlations(ref: Array, test: Array, limit: int) -> tuple[Array, Array]:
    """Plain and phase-transformed cross-correlation, all channels together: [half, lag], lags -limit to +limit.

    Blocks of the reference meet as much of the test as the lags reach; the sum over blocks is the whole correlation.
    The halves are the even and the odd blocks.
    """
    from scipy import fft

    block = max(min(2 * limit, ceil(ref.shape[1] / 4)), SHORTEST // 4)
    size = fft.next_fast_len(block + 2 * limit, real=True)
    cross = np.zeros((2, size // 2 + 1), np.complex128)
    for i, start in enumerate(range(0, ref.shape[1], block)):
        first = start - limit
        near = test[:, max(first, 0) : max(start + block + limit, 0)]
        if near.shape[1] == 0:
            break
        padded = np.zeros((test.shape[0], size), test.dtype)
        padded[:, max(-first, 0) : max(-first, 0) + near.shape[1]] = near
        cross[i % 2] += (np.conj(fft.rfft(ref[:, start : start + block], size)) * fft.rfft(padded)).sum(axis=0)
    cross[:, : ceil(size / max(limit, 1)) if limit else 1] = 0  # slower than the search: offset and drift
    magnitude = np.abs(cross.sum(axis=0))
    flat = cross / np.maximum(magnitude, FLOOR * magnitude.max() or 1.0)
    return fft.irfft(cross, size)[:, : 2 * limit + 1], fft.irfft(flat, size)[:, : 2 * limit + 1]


def _peak(values: Array) -> int:
    """Where the correlation is strongest; of nearly equal peaks a positive one, since polarity is seldom inverted."""
    return int(np.argmax(np.where(values < 0, -0.9 * values, values)))


def _steady(halves: Array, peak: int) -> bool:
    """Whether both halves have, by themselves, a peak there: chance peaks of unrelated sounds do not."""
    values = np.abs(halves)
    near = values[:, max(peak - NEAR, 0) : peak + NEAR + 1].max(axis=1)
    return bool((near > STEADY * values.max(axis=1)).all())


def _fraction(ref: Array, test: Array) -> float:
    """What is left of the delay, in samples, between two recordings that are aligned to a few samples.

    The maximum of the sum over frequency of weight * cos(phase + omega * tau), where the weight is the maximum-
    likelihood one: coherence / (1 - coherence).
    """
    from scipy import fft

    length = ref.shape[1]
    window = min(WINDOW, 1 << max(floor(np.log2(length / 4)), 4))
    taper = np.hanning(window + 1)[:-1]
    cross = np.zeros(window // 2 + 1, np.complex128)
    powers = np.zeros((2, window // 2 + 1))
    frames = 0
    for start in range(0, length - window + 1, window // 2):
        r = fft.rfft(ref[:, start : start + window] * taper)
        t = fft.rfft(test[:, start : start + window] * taper)
        cross += (np.conj(r) * t).sum(axis=0)
        powers += (np.abs(r) ** 2).sum(axis=0), (np.abs(t) ** 2).sum(axis=0)
        frames += ref.shape[0]
    magnitude = np.abs(cross)
    coherence = magnitude**2 / np.maximum(powers[0] * powers[1], 1e-300)
    chance = min(4 / frames, 0.9)  # coherence that unrelated noise seldom exceeds
    coherence = np.clip((coherence - chance) / (1 - chance), 0, 1)
    weight = coherence / (1.001 - coherence)
    weight[0] = weight[-1] = 0  # have no phase
    spectrum = weight * cross / np.maximum(magnitude, FLOOR * magnitude.max() or 1.0)
    omega = 2 * np.pi * np.arange(spectrum.size) / window
    taus = np.arange(-32 * REACH, 32 * REACH + 1) / 32
    tau = float(taus[np.argmax((np.exp(1j * taus[:, None] * omega) @ spectrum).real)])
    for _ in range(8):  # Newton, on the derivative
        turned = spectrum * np.exp(1j * tau * omega)
        slope, curvature = -float(omega @ turned.imag), -float((omega**2) @ turned.real)
        if not curvature < 0:
            break
        tau -= max(min(slope / curvature, 1 / 32), -1 / 32)
    return tau
