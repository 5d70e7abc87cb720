"""How much a distorted recording of speech disturbs, as PESQ hears it: loudness densities in Bark bands, their difference
frame by frame, symmetric and asymmetric, and its mean over time.

ITU-T P.862 (2001), 10.2; Beerends, Hekstra, Rix and Hollier 2002 (J. Audio Eng. Soc. 50, 765-778). Parts whose
disturbance says that the alignment failed are aligned once more, and the smaller disturbance counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dsp.kernel import kernel
from ..dsp.spectrum import fast_length, irfft, rfft
from ..dsp.windows import periodic
from .pesq_alignment import AFTER, Recording, Utterance, cut

Array = NDArray[Any]

# P.862, the bands of the model at 16 kHz; at 8 kHz the first 42, of which the last has 11 bins.
BINS = (
    *(1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 3, 4, 5, 4, 5, 6, 6, 7),
    *(8, 9, 9, 12, 12, 15, 16, 18, 21, 25, 20),
)
BINS_AT_8_KHZ = (*BINS[:41], 11)
WIDTHS_BARK = (
    *(0.157344, 0.317994, 0.322441, 0.326934, 0.331474, 0.336061, 0.340697, 0.345381, 0.350114, 0.354897, 0.359729),
    *(0.364611, 0.369544, 0.374529, 0.379565, 0.384653, 0.389794, 0.394989, 0.400236, 0.405538, 0.410894, 0.416306),
    *(0.421773, 0.427297, 0.432877, 0.438514, 0.444209, 0.449962, 0.455774, 0.461645, 0.467577, 0.473569, 0.479621),
    *(0.485736, 0.491912, 0.498151, 0.504454, 0.510819, 0.517250, 0.523745, 0.530308, 0.536934, 0.543629, 0.550390),
    *(0.557220, 0.564119, 0.571085, 0.578125, 0.585232),
)
WIDTHS_HZ = (
    *(15.734426, 31.799433, 32.244064, 32.693359, 33.147385, 33.606140, 34.069702, 34.538116, 35.011429, 35.489655),
    *(35.972870, 36.461121, 36.954407, 37.452911, 40.269653, 42.311859, 45.992554, 51.348511, 55.040527, 56.775208),
    *(58.699402, 62.445862, 64.820923, 69.195374, 76.745667, 84.016235, 90.825684, 97.931152, 103.348877, 107.801880),
    *(113.552246, 121.490601, 130.420410, 143.431763, 158.486816, 176.872803, 198.314697, 219.549561, 240.600098),
    *(268.702393, 306.060059, 349.937012, 398.686279, 454.713867, 506.841797, 564.863770, 637.261230, 794.717285),
    931.068359,
)
THRESHOLDS_DB = (
    *(77.1, 63.9, 48.5, 36.9, 30.7, 25.9, 20.2, 16.6, 12.5, 9.9, 6.9, 4.9, 2.8, 1.0, -0.1, -1.4, -2.5, -3.4, -4.1),
    *(-4.8, -5.3, -5.7, -5.9, -6.0, -6.0, -6.0, -6.0, -5.8, -5.4, -5.1, -4.7, -4.3, -4.0, -3.6, -3.3, -3.1, -3.0),
    *(-3.0, -2.9, -2.8, -2.8, -2.8, -2.9, -3.2, -3.7, -4.3, -4.4, -3.8, -2.7),
)
POWER_SCALE = {8000: 2.764344e-5, 16000: 6.910853e-6}
LOUDNESS_SCALE = 0.1866055
SILENCE = 500.0  # of five magnitudes in a row: below it the ends of a recording are left out
AUDIBLE = 1e7  # power of a frame in bands 100 times above threshold, below which it counts as silent
MOST = 45.0  # of a frame's disturbance
BAD, SMEAR, SHORTEST_BAD = 30.0, 2, 5  # disturbance, frames, frames
SEARCH = 4  # frames without overlap
AGREES = 0.5  # correlation of magnitudes from which a second alignment is believed
SPURT, STEP = 20, 10  # frames over which disturbance is a sixth-power mean, and from one such mean to the next
FRAMES_AT_ONCE = 1024


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """cuts: [band + 1] in bins; scale: [band] of power; width: [band] in Bark; centres: [band] in Hz.

    threshold: [band] power; exponent: [band] of Zwicker's law.
    """

    cuts: Array
    scale: Array
    width: Array
    threshold: Array
    exponent: Array
    centres: Array

    @classmethod
    def of(cls, rate: int) -> Bands:
        return _bands(rate)


@cache
def _bands(rate: int) -> Bands:
    bins = np.array(BINS if rate == 16000 else BINS_AT_8_KHZ)
    bark, hz = (np.array(w[: bins.size]) for w in (WIDTHS_BARK, WIDTHS_HZ))
    middles = np.cumsum(bark) - bark / 2
    steep = np.clip(6 / (middles + 2), 1, 2)
    steep[middles >= 4] = 1.0
    return Bands(
        cuts=np.concatenate([[0], np.cumsum(bins)]),
        scale=POWER_SCALE[rate] * hz / (bark * bins),
        width=bark,
        threshold=10 ** (np.array(THRESHOLDS_DB[: bins.size]) / 10),
        exponent=0.23 * steep**0.15,
        centres=np.cumsum(hz) - hz / 2,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Disturbance:
    """Per frame, over all bands: symmetric and asymmetric [frame], weighted by the level of the reference, at most 45.

    first: index of the first frame; frame i starts at sample i hop of the reference (without margin).
    cells: [frame, band, 2] shares of both within their frame; louder: [frame, band] whether the test is the louder.
    realigned: frames of which a second alignment was better.
    """

    symmetric: Array
    asymmetric: Array
    first: int
    hop: int
    realigned: int
    cells: Array | None = None
    louder: Array | None = None


def disturbance(ref: Recording, test: Recording, utterances: list[Utterance], cells: bool) -> Disturbance | None:
    """None where no frame is left between the silent ends."""
    rate = ref.rate
    size = 8 * ref.block
    hop = size // 2
    bands = _bands(rate)
    longest = max(ref.length, test.length)
    count = (longest + round(AFTER * rate))
    skip, skip_end = _ends(ref, longest)
    first, last = skip // hop, (count - skip_end) // hop - 1
    if last < first:
        return None
    frames = np.arange(last + 1)
    starts = ref.margin + frames * hop
    delays = _in_force(utterances, starts)
    window = periodic("hann", size).astype(np.float32)
    p = powers(ref.heard, starts, window, bands)
    q = powers(test.heard, starts + delays, window, bands)
    compensated(p, q, count // hop - 1, bands)
    q_raw = q.copy()
    level(p, q, 1.0, bands)
    d = np.empty((frames.size, 2))
    parts = np.zeros((frames.size, bands.width.size, 3) if cells else (0, bands.width.size, 3))
    _difference(p, q, bands.threshold, bands.exponent, bands.width, d, parts)
    for before, after in zip(utterances, utterances[1:], strict=False):
        jump = after.delay - before.delay
        if jump < -hop:
            a = max(0, (after.start - ref.margin + jump) // hop)
            b = (after.start - ref.margin - jump) // hop + 1
            d[a : b + 1] = 0
            if cells:
                parts[a : b + 1] = 0
    realigned = _realign(ref, test, utterances, p, q_raw, d, parts, first, last, window, bands, cells)
    audible = _audible(p, bands.threshold)
    weight = ((audible + 1e5) / 1e7) ** 0.04
    d = np.minimum(d / weight[:, None], MOST)
    d = d[first:]
    return Disturbance(
        d[:, 0], d[:, 1], first, hop, realigned,
        parts[first:, :, :2] if cells else None, parts[first:, :, 2] > 0 if cells else None,
    )


def _ends(ref: Recording, longest: int) -> tuple[int, int]:
    x = np.abs(ref.heard)
    m = ref.margin
    half = longest // 2
    return int(_quiet(x[m:], half)), int(_quiet(x[m : m + longest + round(AFTER * ref.rate)][::-1], half))


@kernel
def _quiet(x: Array, most: int) -> int:
    n = 0
    while n < most and n + 5 <= x.size:
        if x[n] + x[n + 1] + x[n + 2] + x[n + 3] + x[n + 4] >= SILENCE:
            break
        n += 1
    return n


def _in_force(utterances: list[Utterance], starts: Array) -> Array:
    which = np.searchsorted([u.start for u in utterances], starts, side="right") - 1
    result: Array = np.array([u.delay for u in utterances])[np.maximum(which, 0)]
    return result


def powers(x: Array, starts: Array, window: Array, bands: Bands) -> Array:
    out = np.empty((starts.size, bands.width.size))
    for i in range(0, starts.size, FRAMES_AT_ONCE):
        at = starts[i : i + FRAMES_AT_ONCE]
        _group(rfft(cut(x, at, window)), bands.cuts, bands.scale, out[i : i + FRAMES_AT_ONCE])
    return out


@kernel
def _windowed(x: Array, starts: Array, window: Array) -> Array:
    out = np.zeros((starts.size, window.size), np.float32)
    for i in range(starts.size):
        if starts[i] >= 0 and starts[i] + window.size <= x.size:
            for n in range(window.size):
                out[i, n] = x[starts[i] + n] * window[n]
    return out


@kernel
def _group(spectra: Array, cuts: Array, scale: Array, out: Array) -> None:
    for i in range(len(out)):
        for b in range(scale.size):
            total = 0.0
            for k in range(max(cuts[b], 1), cuts[b + 1]):
                total += spectra[i, k].real * spectra[i, k].real + spectra[i, k].imag * spectra[i, k].imag
            out[i, b] = total * scale[b]


def compensated(p: Array, q: Array, frames: int, bands: Bands) -> None:
    loud = 100 * bands.threshold
    speaks = (np.where(p > loud, p, 0)[:, 1:].sum(axis=1) >= AUDIBLE)
    a = np.where(p > loud, p, 0)[speaks].sum(axis=0) / frames
    b = np.where(q > loud, q, 0)[speaks].sum(axis=0) / frames
    p *= np.clip((b + 1000) / (a + 1000), 0.01, 100)


def _audible(p: Array, threshold: Array) -> Array:
    return np.where(p > threshold, p, 0)[:, 1:].sum(axis=1)


def level(p: Array, q: Array, before: float, bands: Bands) -> None:
    a, b = _audible(p, bands.threshold), _audible(q, bands.threshold)
    g = (a + 5e3) / (b + 5e3)
    old = before
    for i in range(len(g)):
        old = g[i] = 0.2 * old + 0.8 * g[i] if i else g[i]
    q *= np.clip(g, 3e-4, 5)[:, None]


@kernel
def _difference(p: Array, q: Array, threshold: Array, exponent: Array, width: Array, d: Array, parts: Array) -> None:
    count = width.size
    whole = width[1:].sum()
    scale = np.empty(count)
    for b in range(count):
        scale[b] = LOUDNESS_SCALE * (threshold[b] / 0.5) ** exponent[b]
    for i in range(len(p)):
        squares, total = 0.0, 0.0
        for b in range(1, count):
            x = y = 0.0
            if p[i, b] > threshold[b]:
                x = scale[b] * ((0.5 + 0.5 * p[i, b] / threshold[b]) ** exponent[b] - 1)
            if q[i, b] > threshold[b]:
                y = scale[b] * ((0.5 + 0.5 * q[i, b] / threshold[b]) ** exponent[b] - 1)
            v = y - x
            r = abs(v) - 0.25 * min(x, y)
            if r <= 0:
                continue
            ratio = ((q[i, b] + 50) / (p[i, b] + 50)) ** 1.2
            h = 0.0 if ratio < 3 else min(ratio, 12.0)
            one, other = (r * width[b]) ** 2, h * r * width[b]
            squares += one
            total += other
            if parts.size:
                parts[i, b, 0] = one
                parts[i, b, 1] = other
                parts[i, b, 2] = v
        d[i, 0] = np.sqrt(squares * whole)
        d[i, 1] = total
        if parts.size:
            for b in range(count):
                parts[i, b, 0] /= max(squares, 1e-300)
                parts[i, b, 1] /= max(total, 1e-300)


def _realign(ref, test, utterances, p, q, d, parts, first, last, window, bands, cells) -> int:
    """Frames that disturb too much get a delay of their own; q: powers of the test before the level was compensated."""
    intervals = _bad_intervals(d[:, 0])
    if not intervals:
        return 0
    size, hop = window.size, window.size // 2
    q = q.copy()
    for a, b in intervals:
        start, stop = ref.margin + a * hop, ref.margin + b * hop + size
        lag = _lag(ref.heard, test.heard, utterances, start, stop, SEARCH * size)
        starts = ref.margin + np.arange(a, b) * hop
        q[a:b] = powers(test.heard, starts + _in_force(utterances, starts) + lag, window, bands)
    level(p, q, 1.0, bands)
    again = np.empty_like(d)
    _difference(p, q, bands.threshold, bands.exponent, bands.width, again, np.zeros((0, bands.width.size, 3)))
    better = 0
    for a, b in intervals:
        better += int((again[a:b, 0] < d[a:b, 0]).sum())
        d[a:b] = np.minimum(d[a:b], again[a:b])
    return better


def _bad_intervals(d: Array) -> list[tuple[int, int]]:
    bad = d > BAD
    padded = np.pad(bad, SMEAR)
    n = d.size
    left = np.any([padded[SMEAR - k : SMEAR - k + n] for k in range(SMEAR + 1)], axis=0)
    right = np.any([padded[SMEAR + k : SMEAR + k + n] for k in range(SMEAR + 1)], axis=0)
    edges = np.flatnonzero(np.diff(np.concatenate([[False], left & right, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2) if b - a >= SHORTEST_BAD]


def _lag(ref: Array, test: Array, utterances: list[Utterance], start: int, stop: int, search: int) -> int:
    x = np.abs(ref[start:stop])
    at = np.arange(start - search, stop + search)
    at = at + _in_force(utterances, at)
    y = np.where((at >= 0) & (at < test.size), np.abs(test[np.clip(at, 0, test.size - 1)]), 0).astype(np.float32)
    energy = float(np.sum(x.astype(float)**2) * np.sum(y.astype(float)**2))
    if not energy > 0:
        return 0
    n = fast_length(y.size + x.size)
    c = irfft(np.conj(rfft(x, n)) * rfft(y, n), n)[: 2 * search + 1]
    best = int(c.argmax())
    return best - search if c[best] > AGREES * sqrt(energy) else 0


def pooled(d: Array) -> float:
    n = d.size
    windows = np.add.reduceat
    starts = np.arange(0, n, STEP)
    sums = np.concatenate([[0.0], np.cumsum(d**6)])
    ends = np.minimum(starts + SPURT, n)
    l6 = ((sums[ends] - sums[starts]) / SPURT) ** (1 / 6)
    w = np.ones(starts.size)
    if n > 1000:
        t = min(0.5, (n - 1000) / 5500)
        w = 1 - t + t * starts / n
    return float(np.sqrt(np.sum((w * l6) ** 2) / np.sum(w**2)))
