"""The delay between two recordings of one sound, and its removal."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
SAME = 0.9  # of the waveforms, above which the plain peak is believed at once
CLEAR = 0.5  # of the waveforms, above which the plain peak needs no second half, and little confidence
CONFIDENCE = 0.25  # that is needed below: by so much of its height a peak must exceed every other one
LITTLE = 0.05  # confidence that is needed above CLEAR: a tone has none
APART = 800  # samples within which peaks are echoes of one another, where the caller does not say
WINDOW = 8192  # samples, of the fine search
REACH = 2.0  # samples either way, of the fine search
PADDING = 2048  # samples of silence between the end and the start, which the fractional shift joins


@dataclass(frozen=True, slots=True)
class Delay:
    """How late the test is.

    samples: positive when the test is late; whole and fraction.
    correlation: of the waveforms at that delay, -1..1: magnitudes of the channels, so that opposite polarities do not
        cancel; negative when the polarity of most is opposite.
    found: False when nothing in common sticks out; the others say what was seen then, 0 for nothing at all.
    confidence: by how much of its height the peak exceeds every other one, 0..1; 0 also where it is not in both halves.
    inverted: channels from 0 whose polarity is opposite while that of others is not.
    """

    samples: float
    correlation: float
    found: bool
    confidence: float = 0.0
    inverted: tuple[int, ...] = ()


def delay(ref: Array, test: Array, limit: int, apart: int = APART) -> Delay:
    """The one delay common to all channels, to a fraction of a sample, at most `limit` samples either way.

    Where equal channels have none, or are not one waveform at it, those of the test are tried in turns: they may be
    exchanged, which spaced microphones turn into a delay. correlation is then that of the channels which hold the
    same sound.
    ref, test, apart: as in _in_place.
    """
    found = _in_place(ref, test, limit, apart)
    for by in range(1, 1 if found.found and abs(found.correlation) > SAME else len(ref)):
        exchanged = _in_place(ref, np.roll(test, by, axis=0), limit, apart)
        if exchanged.found and abs(exchanged.correlation) > max(CLEAR, abs(found.correlation)):
            found = replace(exchanged, inverted=())
    return found


def roughly(ref: Array, test: Array, limit: int, apart: int = APART) -> Delay:
    """As `delay`, but to a whole sample, at a part of the cost."""
    longest = max(ref.shape[1], test.shape[1]) - 1
    energy = sqrt(_energy(ref) * _energy(test))
    if min(ref.shape[1], test.shape[1]) < SHORTEST or energy == 0:
        return Delay(0.0, 0.0, False)
    seen = min(max(limit, 20 * apart), longest)
    best = Delay(0.0, 0.0, False)
    for by in range(len(ref)):
        turned = np.roll(test, by, axis=0) if by else test
        late, confidence, found = _whole(*_correlations(ref, turned, seen), energy, min(limit, longest), apart)
        rho = _signed(*overlap(ref, turned, late)) if found else 0.0
        if found and (by == 0 or abs(rho) > max(CLEAR, abs(best.correlation))):
            best = Delay(float(late), rho, True, confidence)
        if abs(best.correlation) > SAME:
            break
    return best


def _in_place(ref: Array, test: Array, limit: int, apart: int) -> Delay:
    """The delay of equal channels.

    ref, test: [channel, sample], as many channels, any lengths. apart: samples within which peaks are echoes of one
    another, and none takes confidence from the other.
    Generalised cross-correlation with phase transform (Knapp & Carter 1976), the plain one where that has no clear
    peak, as for tones; then the peak of the coherence-weighted correlation between samples.
    A delay is found where the waveforms correlate by more than SAME, where they do so by more than CLEAR with LITTLE
    confidence, or where the peak has CONFIDENCE and both halves of the recording show it. A peak is compared with those
    beyond the limit too, up to 20 times `apart`; one there that would have been found is what was seen.
    """
    longest = max(ref.shape[1], test.shape[1]) - 1
    limit = min(limit, longest)
    energy = sqrt(_energy(ref) * _energy(test))
    if min(ref.shape[1], test.shape[1]) < SHORTEST or energy == 0:
        return Delay(0.0, 0.0, False)
    seen = min(max(limit, 20 * apart), longest)
    plain, phase = _correlations(ref, test, seen)
    late, confidence, found = _whole(plain, phase, energy, limit, apart)
    if not found:
        if seen > limit:
            beyond = _whole(plain, phase, energy, seen, apart)
            late, confidence = beyond[:2] if beyond[2] else (late, confidence)
        return Delay(float(late), _signed(*overlap(ref, test, late)), False, confidence)
    best = Delay(float(late), 0.0, False, confidence)
    for _ in range(4):
        a, b = overlap(ref, test, late)
        if a.shape[1] < SHORTEST:
            break
        rho = _signed(a, b)
        if abs(rho) <= abs(best.correlation):
            break
        each = channel_correlations(a, b)
        signs = np.where(each < 0, -1, 1).astype(b.dtype)[:, None]
        fraction = _fraction(a, b * signs)
        best = Delay(late + fraction, rho, True, confidence, opposite(each))
        if abs(fraction) <= 0.5:
            break
        late += round(fraction)
    return best


def _whole(plain: _Correlation, phase: _Correlation, energy: float, limit: int, apart: int) -> tuple[int, float, bool]:
    """The delay in whole samples, its confidence, and whether it is found, of peaks within the limit."""
    seen = plain.value.size // 2
    inside = slice(seen - limit, seen + limit + 1)
    by_phase, by_plain = (int(np.argmax(c.value[inside])) + inside.start for c in (phase, plain))
    strength = plain.magnitude / energy
    near = slice(max(by_phase - NEAR, 0), by_phase + NEAR + 1)
    apart = min(apart, seen // 4)
    if strength[by_plain] > SAME:
        return by_plain - seen, _prominence(plain.magnitude, by_plain, apart), True
    confidence = phase.confidence(by_phase, apart)
    if confidence >= CONFIDENCE and strength[near].max() > AGREES * strength[by_plain]:
        return by_phase - seen, confidence, True
    if strength[by_plain] > CLEAR:
        confidence = _prominence(plain.magnitude[inside], by_plain - inside.start, min(apart, limit // 4))
        return by_plain - seen, confidence, confidence >= LITTLE
    confidence = plain.confidence(by_plain, apart)
    return by_plain - seen, confidence, confidence >= CONFIDENCE


def channel_correlations(ref: Array, test: Array) -> Array:
    """Normalised correlation of the waveforms [channel], each by itself, -1..1; 0 where one is silent."""
    return np.array([correlation(r[None], t[None]) for r, t in zip(ref, test, strict=True)])


def opposite(each: Array) -> tuple[int, ...]:
    """The channels, from 0, whose polarity is clearly opposite, where that of another one clearly is not."""
    return tuple(np.flatnonzero(each <= -CLEAR).tolist()) if (each >= CLEAR).any() else ()


def _signed(ref: Array, test: Array) -> float:
    """The correlations of the channels by their energy, as magnitudes, with the sign that most of them have."""
    energy = sqrt(_energy(ref) * _energy(test))
    if ref.shape[1] == 0 or energy == 0:
        return 0.0
    products = [float(np.vdot(r, t)) for r, t in zip(_centred(ref), _centred(test), strict=True)]
    size = min(sum(abs(p) for p in products) / energy, 1.0)
    return -size if sum(products) < 0 else size


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


@dataclass(frozen=True, slots=True)
class _Correlation:
    """Of all channels, by lag: their magnitudes do not cancel where polarities are opposite.

    value [lag]: of nearly equal magnitudes a positive one is larger, since polarity is seldom inverted.
    magnitude [lag]; halves [half, lag]: magnitude by the even and by the odd blocks.
    """

    value: Array
    magnitude: Array
    halves: Array

    def confidence(self, peak: int, apart: int) -> float:
        """The prominence where both halves by themselves have a peak there: chance peaks of unrelated sounds do not."""
        near = self.halves[:, max(peak - NEAR, 0) : peak + NEAR + 1].max(axis=1)
        steady = bool((near > STEADY * self.halves.max(axis=1)).all())
        return _prominence(self.magnitude, peak, apart) if steady else 0.0


def _correlations(ref: Array, test: Array, limit: int) -> tuple[_Correlation, _Correlation]:
    """Plain and phase-transformed cross-correlation at lags -limit to +limit.

    Blocks of the reference meet as much of the test as the lags reach; the sum over blocks is the whole correlation.
    The halves are the even and the odd blocks.
    """
    from scipy import fft

    block = max(min(2 * limit, ceil(ref.shape[1] / 4)), SHORTEST // 4)
    size = fft.next_fast_len(block + 2 * limit, real=True)
    cross = np.zeros((2, ref.shape[0], size // 2 + 1), np.complex128)
    for i, start in enumerate(range(0, ref.shape[1], block)):
        first = start - limit
        near = test[:, max(first, 0) : max(start + block + limit, 0)]
        if near.shape[1] == 0:
            break
        padded = np.zeros((test.shape[0], size), test.dtype)
        padded[:, max(-first, 0) : max(-first, 0) + near.shape[1]] = near
        cross[i % 2] += np.conj(fft.rfft(ref[:, start : start + block], size)) * fft.rfft(padded)
    cross[..., : ceil(size / max(limit, 1)) if limit else 1] = 0  # slower than the search: offset and drift
    magnitude = np.abs(cross.sum(axis=0)).sum(axis=0)
    plain = _by_lag(cross, size, limit)
    cross /= np.maximum(magnitude, FLOOR * magnitude.max() or 1.0)
    return plain, _by_lag(cross, size, limit)


def _by_lag(cross: Array, size: int, limit: int) -> _Correlation:
    from scipy import fft

    lags = 2 * limit + 1
    value, magnitude, halves = np.zeros(lags), np.zeros(lags), np.zeros((2, lags))
    for c in range(cross.shape[1]):
        own = fft.irfft(cross[:, c], size)[:, :lags]
        whole = own.sum(axis=0)
        size_of = np.abs(whole)
        magnitude += size_of
        value += np.where(whole < 0, 0.9 * size_of, size_of)
        halves += np.abs(own)
    return _Correlation(value, magnitude, halves)


def _prominence(magnitude: Array, peak: int, apart: int) -> float:
    """By how much of its height the peak exceeds every other one that is no echo of it."""
    height = float(magnitude[peak])
    others = np.concatenate((magnitude[: max(peak - apart, 0)], magnitude[peak + apart + 1 :]))
    return max(1 - float(others.max(initial=0.0)) / height, 0.0) if height > 0 else 0.0


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
