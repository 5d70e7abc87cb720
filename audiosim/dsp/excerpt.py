"""Where one recording begins in another, however long that is: a clip found in its source.

A few parts of the clip are looked for at a low rate by the correlation of spectrally flattened sound, over the energy
of what they meet. The place where most of them agree is refined at the full rate, to a fraction of a sample. The longer
one is read in blocks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import alignment

Array = NDArray[Any]

LOW = 8000  # Hz, below which the search does not thin a recording out
SETTLED = 64  # low samples in which the filter between the rates settles
BALANCE = 0.6  # by which each channel counts less than the one before: opposite polarities do not cancel

SHORTEST = 0.25  # s of a clip
PART = 6.0  # s of a clip that are looked for at a time, and at most half of it
PARTS = 3  # of a clip that is longer than two
STEP = 0.25  # s between the places where a part may begin
BLOCK = 1 << 18  # low samples of a transform of the search
SMOOTH = 8.0  # Hz, over which spectra are smoothed, to be divided by that
FLOOR = 1e-9  # of a spectrum's mean power: what lies below is not raised further
QUIET = 0.3  # of the mean energy: quieter stretches are not raised further
APART = 0.1  # s, within which peaks are one place
KEPT = 4  # peaks of a part
AGREE = 0.01  # s, by which parts may differ in where the clip begins
SURE = 8.0  # standard deviations of the correlation that its peak must have
LEAST = 0.06  # correlation of the flattened sound that there must be
CLEAR = 0.45  # confidence that is needed, being more than unrelated sounds have
STRONG = 0.5  # correlation from which it is not, since music may repeat
AS_GOOD = 0.95  # of the best place, from which a second one is as good


@dataclass(frozen=True, slots=True)
class Excerpt:
    """Where the second recording begins in the first.

    start_samples: whole and fraction; negative where the first begins in the second.
    confidence: by how much of its strength the place exceeds every other one, 0..1; 0 where another one is as good.
    found: False when no place is clear. correlation: of the flattened sound at the low rate, 0..1, as a mean of the
    parts. second_samples: where another place is as good, as in music that repeats; None: there is none.
    """

    start_samples: float
    confidence: float
    found: bool
    correlation: float = 0.0
    second_samples: float | None = None


NOWHERE = Excerpt(0.0, 0.0, False)


def find(long: Array, short: Array, rate: int) -> Excerpt:
    """Where `short` begins in `long`: [channel, sample], as many channels, either of them the longer one.

    What is found may stick out of the longer one by half of the clip.
    """
    if short.shape[1] > long.shape[1]:
        found = find(short, long, rate)
        second = None if found.second_samples is None else -found.second_samples
        return replace(found, start_samples=-found.start_samples, second_samples=second)
    q = thinning(rate)
    if short.shape[1] < max(SHORTEST * rate, 2 * q):
        return NOWHERE
    low = rate / q
    length = short.shape[1] // q
    size = min(round(PART * low), length // 2)
    places = _places(short, q, length, size, max(round(STEP * low), 1))
    if not places:
        return NOWHERE
    parts = np.stack([thin(short, q, first, size) for first in places])
    peaks = _search(long, parts, q, low)
    ranked = _ranked(peaks, places, round(AGREE * low))
    if not ranked:
        return NOWHERE
    best = ranked[0]
    other = ranked[1].strength if len(ranked) > 1 else 0.0
    start = _refined(long, short, rate, best.part * q, size * q, best.start * q)
    confidence = max(1 - other / best.strength, 0.0)
    sure = best.strength >= STRONG or (confidence >= CLEAR and start is not None)
    rough = float(best.start * q)
    found = Excerpt(rough if start is None else start, confidence, best.clear and sure, min(best.strength, 1.0))
    if other < AS_GOOD * best.strength:
        return found
    second = _refined(long, short, rate, ranked[1].part * q, size * q, ranked[1].start * q)
    return replace(found, second_samples=float(ranked[1].start * q) if second is None else second)


def thinning(rate: int) -> int:
    """By how much a recording is thinned out to LOW or a little more."""
    return max(rate // LOW, 1)


def thin(samples: Array, q: int, first: int, count: int) -> Array:
    """Every q-th sample of a mix of the channels, band-limited: float32 [count], from low sample `first` on.

    Zeros lie around the recording.
    """
    start, stop = q * (first - SETTLED), q * (first + count + SETTLED)
    mixed = np.zeros(stop - start, np.float32)
    inside = slice(max(start, 0), max(min(stop, samples.shape[1]), 0))
    part = mixed[inside.start - start : max(inside.stop, inside.start) - start]
    for c, channel in enumerate(samples):
        part += channel[inside] * np.float32(BALANCE**c)
    if q > 1:
        import soxr

        mixed = soxr.resample(mixed, q, 1, quality="MQ")
    return mixed[SETTLED : SETTLED + count]


def _places(short: Array, q: int, length: int, size: int, step: int) -> list[int]:
    """Low samples at which parts begin: either half, or the loudest of each stretch of the clip; none is silent."""
    power = np.concatenate(
        [
            (thin(short, q, at, min(BLOCK // step * step, length - at)).astype(np.float64) ** 2)
            for at in range(0, length, BLOCK // step * step)
        ]
    )
    energy = np.concatenate(([0.0], np.cumsum(power)))
    halves = size == length // 2
    starts = np.array([0, length - size]) if halves else np.arange(0, length - size + 1, step)
    heard = energy[starts + size] - energy[starts]
    stretches = np.array_split(np.arange(starts.size), 2 if halves else PARTS)
    places = [int(i[np.argmax(heard[i])]) for i in stretches]
    return [int(starts[i]) for i in places if heard[i] > 1e-6 * heard.max()]


@dataclass(frozen=True, slots=True)
class _Peak:
    """Of one part: low sample of the long recording where it lies, correlation, and that in standard deviations."""

    at: int
    height: float
    deviations: float


@dataclass(frozen=True, slots=True)
class _Place:
    """Where parts agree that the clip begins, in low samples, and how much they correlate on the average.

    strongest: the peak of the best of them, which begins at `part` in the clip. agreeing: how many see the place.
    """

    start: int
    strength: float
    strongest: _Peak
    part: int
    agreeing: int

    @property
    def clear(self) -> bool:
        """Whether it is more than chance: pulses and glides of other sounds meet for a moment, but not for two."""
        enough = self.strongest.deviations >= SURE and self.strength >= LEAST
        return enough and (self.agreeing > 1 or self.strongest.height >= STRONG)


def _search(long: Array, parts: Array, q: int, low: float) -> list[list[_Peak]]:
    """The highest peaks of each part."""
    from scipy import fft

    count, size = parts.shape
    length = -(-long.shape[1] // q)
    block = fft.next_fast_len(min(max(BLOCK, 4 * size), length + 2 * size), real=True)
    hop = block - size
    smooth = max(round(SMOOTH * block / low), 1)
    flat = np.stack([_flattened(fft.rfft(part, block), smooth) for part in parts])
    energy = [sqrt(float(np.square(fft.irfft(f, block)).sum())) for f in flat]
    flat = np.conj(flat)
    apart = round(APART * low)
    peaks: list[list[tuple[int, float]]] = [[] for _ in parts]
    squares, lags = np.zeros(count), 0
    for first in range(-size // 2, length - size // 2, hop):
        spectrum = _flattened(fft.rfft(thin(long, q, first, block)), smooth)
        sums = np.concatenate(([0.0], np.cumsum(np.square(fft.irfft(spectrum, block)), dtype=np.float64)))
        met = sums[size:] - sums[:-size]
        held = max(min(first + block, length) - max(first, 0), size)
        met = np.sqrt(np.maximum(met, QUIET * sums[-1] * size / held) + 1e-30)
        valid = min(hop, length - size // 2 - first)
        lags += valid
        for i in range(count):
            height = np.abs(fft.irfft(spectrum * flat[i], block)[:valid]) / (energy[i] * met[:valid])
            squares[i] += float(np.vdot(height, height))
            for _ in range(KEPT):
                at = int(np.argmax(height))
                if height[at] == 0:
                    break
                peaks[i].append((first + at, float(height[at])))
                height[max(at - apart, 0) : at + apart + 1] = 0
    return [
        [_Peak(at, height, height / sqrt(total / lags)) for at, height in _highest(found, apart)]
        for found, total in zip(peaks, squares, strict=True)
    ]


def _flattened(spectrum: Array, width: int) -> Array:
    """The spectrum over the root of its power, which is smoothed over so many bins."""
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    sums = np.concatenate(([0.0], np.cumsum(power, dtype=np.float64)))
    bins = np.arange(power.size)
    start, stop = np.maximum(bins - width // 2, 0), np.minimum(bins + width // 2 + 1, power.size)
    smooth = (sums[stop] - sums[start]) / (stop - start)
    flattened: Array = spectrum / np.sqrt(smooth + (FLOOR * smooth.mean() + 1e-30)).astype(np.float32)
    return flattened


def _highest(peaks: list[tuple[int, float]], apart: int) -> list[tuple[int, float]]:
    kept: list[tuple[int, float]] = []
    for at, height in sorted(peaks, key=lambda peak: -peak[1]):
        if all(abs(at - other) > apart for other, _ in kept):
            kept.append((at, height))
        if len(kept) == KEPT:
            break
    return kept


def _ranked(peaks: list[list[_Peak]], places: list[int], near: int) -> list[_Place]:
    """Where the clip may begin, the likeliest first; parts that see no peak there count as nothing."""
    found: list[_Place] = []
    candidates = [(peak, place) for part, place in zip(peaks, places, strict=True) for peak in part]
    for peak, place in sorted(candidates, key=lambda c: -c[0].height):
        start = peak.at - place
        if any(abs(start - other.start) <= near for other in found):
            continue
        agreeing = [
            max((p.height for p in part if abs(p.at - at - start) <= near), default=0.0)
            for part, at in zip(peaks, places, strict=True)
        ]
        strength = sum(agreeing) / len(agreeing)
        found.append(_Place(start, strength, peak, place, sum(height > 0 for height in agreeing)))
    return sorted(found, key=lambda place: -place.strength)


def _refined(long: Array, short: Array, rate: int, part: int, size: int, start: int) -> float | None:
    """Where the clip begins to a fraction of a sample, by a part of it, near `start`; None: no delay is clear there."""
    near = ceil(AGREE * rate)
    first = max(start + part, 0)
    clip = short[:, first - start : part + size]
    found = alignment.delay(long[:, first : first + clip.shape[1]], clip, near)
    return start - found.samples if found.found else None
