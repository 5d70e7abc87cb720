"""Clocks that differ: by how much, and the test brought back to the clock of the reference.

First a short part is tried without drift, then by its envelopes at every speed of a grid. Delays of stretches further
and further away follow, each near where the line through those before expects it; at last all at the full rate.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, floor, inf, sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import alignment
from .excerpt import SETTLED, thin, thinning

Array = NDArray[Any]

WIDEST = 0.085  # of the speed, by which it may differ
SEARCH = 1.0  # s either way, in which the delay at the start may lie
SHORTEST = 1.0  # s of a recording
SEED = 15.0  # s of the part that is looked at first
SEEDS = 8  # places where that part may be
EARLY = 60.0  # s, in which it begins
HOP = 0.005  # s between values of an envelope
EDGES = (150.0, 400.0, 900.0, 1800.0, 3600.0)  # Hz, of its bands
COMPRESSION = 0.3  # exponent of its power
SLOW = 40  # values, over which the mean of an envelope is taken from it
FINENESS = 0.006  # s, by which neighbours of the grid of speeds differ at the end of the first part
SIMILAR = 0.25  # correlation of envelopes that there must be
ALIKE = 0.1  # mean coherence that there must be of stretches
SAME = 0.6  # mean coherence from which the line is believed
TELLING = 0.5  # low samples of drift from which the coherence must rise by it
AS_GOOD = 0.98  # of the coherence that is as good
RESOLUTION = 1e-3  # ppm, that no error is below
NEWTON = 6  # steps to the fraction of a sample
COARSEST = 0.004  # of the speed, by which they differ at most
STRETCH = 0.25  # s, whose delay is measured
STRETCHES = 24  # of a range
NEAR = 0.02  # s either way, in which a stretch is looked for at first
PERIODIC = 0.1  # of its height that a peak at the end of the search counts less: equal peaks are periods of one
STRAIGHT = 1e-4  # s, by which delays may lie off the line
ON_LINE = 0.4  # of the stretches that must lie on it
FEWEST = 4  # stretches on it

HEARD = 15.0  # s from the start at which `late` looks
UNIQUE = 0.9  # of the peak that another delay may have
ECHOES = 0.1  # s, within which peaks are one delay
REMOVED = 0.9  # correlation that there must be in both halves when the delay is removed
EXPLAINED = 0.25  # of what did not correlate before, that may be left then

BLOCK = 1 << 16  # samples that are resampled at a time
EDGE = 0.004  # of the Nyquist frequency, at whose end the test fades out
MARGIN = 2048  # samples around them: half is faded in, half settles the filter


@dataclass(frozen=True, slots=True)
class Drift:
    """The clock of the test against that of the reference.

    What the reference has at sample n, the test has at sample delay_samples_at_start + n * stretch.
    ppm: by how much the test lasts longer; positive: slower, and lower in pitch. error_ppm: standard error of that.
    confidence: of the stretches that were measured, how many lie on one line, 0..1. found: False when there is none.
    """

    ppm: float
    delay_samples_at_start: float
    confidence: float
    found: bool
    error_ppm: float = inf

    @property
    def stretch(self) -> float:
        return 1 + self.ppm / 1e6

    @property
    def clear(self) -> bool:
        """Whether the clocks differ by more than chance."""
        return self.found and abs(self.ppm) > max(5 * self.error_ppm, 0.02)


NOTHING = Drift(0.0, 0.0, 0.0, False)


def drift(ref: Array, test: Array, rate: int, search: float = SEARCH, fine: bool = True) -> Drift:
    """The one line that leads from the times of the reference to those of the test.

    ref, test: [channel, sample], as many channels, any lengths. search: s either way, in which the delay at the start
    may lie. fine: measures at the full rate at last, for a test that is to be resampled; else at a low one, which is
    cheaper and told as exactly.
    """
    q = thinning(rate)
    low = rate / q
    lengths = ref.shape[1] / q, test.shape[1] / q
    if min(lengths) < SHORTEST * low:
        return NOTHING
    start, stop = _first(ref, q, low)
    size = round(STRETCH * low)
    at = _spread(0, ref.shape[1] // q, size)
    found, agreed = NOTHING, ALIKE
    for by_envelopes in (False, True):
        line = _guessed(ref, test, q, low, search, start, stop) if by_envelopes else replace(NOTHING, found=True)
        if line.found:
            line = _followed(ref, test, q, low, line, start, stop)
        if line.found and (value := _agreement(ref, test, q, line, at, size)) > agreed:
            found, agreed = line, value
        if agreed > SAME:
            break
    if not found.found:
        return NOTHING
    told = TELLING * q / ref.shape[1]
    if abs(found.stretch - 1) > told:
        found = _straightened(ref, test, q, found, at, size, agreed)
    found = replace(found, delay_samples_at_start=found.delay_samples_at_start * q)
    if found.found and fine and q > 1:
        fully = _spread(0, ref.shape[1], round(STRETCH * rate))
        for _ in range(2):
            better = _measured(ref, test, 1, rate, found, fully, 2 * q)
            found = better if better.found else found
        if abs(found.stretch - 1) > told:  # a sweep may seem to have one at the full rate
            size = round(STRETCH * rate)
            agreed = _agreement(ref, test, 1, found, fully, size)
            if agreed > SAME:
                found = _straightened(ref, test, 1, found, fully, size, agreed / AS_GOOD)
    return found


def late(ref: Array, test: Array, rate: int, search: float = SEARCH) -> float | None:
    """By how many samples the test is late, where that clearly is most of what distinguishes the two; else None.

    ref, test: [channel, sample], as many channels. search: s either way. Only the start of the two is looked at, which
    is much cheaper than alignment.delay. Delays below a sample of the low rate are not told.
    """
    from scipy import fft

    q = thinning(rate)
    low = rate / q
    size = min(round(HEARD * low), ref.shape[1] // q, test.shape[1] // q)
    limit = min(round(search * low), size // 2)
    if size < SHORTEST * low:
        return None
    r, t = thin(ref, q, 0, size), thin(test, q, 0, size)
    if not (r.any() and t.any()):
        return None
    block = fft.next_fast_len(size + limit, real=True)
    spectrum = fft.rfft(t, block)
    cross = np.conj(fft.rfft(r, block)) * spectrum
    plain, sharp = (
        np.abs(np.concatenate((by_lag[-limit:], by_lag[: limit + 1])))
        for by_lag in (fft.irfft(cross, block), fft.irfft(cross / (np.sqrt(np.abs(cross)) + 1e-30), block))
    )
    peak = int(np.argmax(sharp))
    rivals = plain[np.abs(np.arange(plain.size) - peak) > ECHOES * low]
    if peak == limit or rivals.max(initial=0.0) > UNIQUE * plain[peak]:
        return None
    stretch = round(STRETCH * rate)
    at = _spread(0, q * size - stretch, stretch)[2::5]
    points = _delays(ref, test, 1, Drift(0.0, float(q * (peak - limit)), 0.0, True), at, stretch, 2 * q)
    if points is None:
        return None
    found = q * (peak - limit) + float(np.median(points[1]))
    earlier = fft.irfft(spectrum * np.exp(2j * np.pi * found / (q * block) * np.arange(spectrum.size)), block)
    both = slice(max(ceil(-found / q), 0), size - max(ceil(found / q), 0))
    after = _likeness(r[both], earlier[both])
    if abs(found) < 1 or (after <= REMOVED).any():
        return None
    return found if (1 - after**2 < EXPLAINED * (1 - _likeness(r, t) ** 2)).all() else None


def _likeness(ref: Array, test: Array) -> Array:
    """Correlation of either half, as a magnitude."""
    found = np.zeros(2)
    for i, (a, b) in enumerate(zip(np.array_split(ref, 2), np.array_split(test, 2), strict=True)):
        a, b = a - a.mean(dtype=np.float64), b - b.mean(dtype=np.float64)
        energy = float((a * a).sum()) * float((b * b).sum())  # without threads of BLAS, which wait in turns
        found[i] = abs(float((a * b).sum())) / sqrt(energy) if energy > 0 else 0.0
    return found


def undone(test: Array, drift: Drift, first: int = 0, count: int | None = None, out: Array | None = None) -> Array:
    """The test on the clock of the reference, without delay: [channel, count], of its dtype, from sample `first` on.

    count: None: as many as there is room for in `out`, or to the end of the test. Silence lies around the test.
    """
    import soxr

    from .. import scratch

    if count is None:
        count = max(lasting(test.shape[1], drift) - first, 0) if out is None else out.shape[1]
    if out is None:
        out = scratch.empty((test.shape[0], count), test.dtype)
    fade = np.square(np.sin(np.linspace(0, np.pi / 2, MARGIN // 2))).astype(test.dtype)
    for at in range(0, count, BLOCK):
        size = min(BLOCK, count - at)
        start = drift.delay_samples_at_start + (first + at - MARGIN) * drift.stretch
        whole = floor(start)
        part = np.zeros((test.shape[0], ceil((size + 2 * MARGIN) * drift.stretch) + MARGIN), test.dtype)
        begin, end = max(whole, 0), min(whole + part.shape[1], test.shape[1])
        if begin < end:
            part[:, begin - whole : end - whole] = test[:, begin:end]
        part[:, : fade.size] *= fade
        part[:, -fade.size :] *= fade[::-1]
        moved = _doubled(part, start - whole, min(1 / drift.stretch, 1.0))
        even = soxr.resample(moved, drift.stretch, 1, quality="VHQ").T
        out[:, at : at + size] = even[:, 2 * MARGIN : 2 * (MARGIN + size) : 2]
    return out


def _doubled(samples: Array, by: float, top: float) -> Array:
    """The sound earlier by a fraction of a sample, at twice the rate, where a resampler's filter is above all of it.

    [channel, sample] -> [sample, channel]. top: of the Nyquist frequency; nothing above is left.
    """
    from scipy import fft

    length = samples.shape[1]
    size = 2 * fft.next_fast_len((length + alignment.PADDING) // 2, real=True)
    f = np.arange(size // 2 + 1) / (size // 2)
    keep = np.square(np.sin(np.pi / 2 * np.clip((top - f) / EDGE, 0, 1)))
    ramp = (2 * keep * np.exp(1j * np.pi * by * f)).astype(np.result_type(samples.dtype, np.complex64))
    out = np.empty((2 * length, samples.shape[0]), samples.dtype)
    for c, channel in enumerate(samples):
        out[:, c] = fft.irfft(fft.rfft(channel, size) * ramp, 2 * size)[: 2 * length]
    return out


def lasting(length: int, drift: Drift) -> int:
    """Samples on the clock of the reference, from its start on, until a test of this length ends."""
    return floor((length - 1 - drift.delay_samples_at_start) / drift.stretch) + 1


def _first(ref: Array, q: int, low: float) -> tuple[int, int]:
    """Where the part begins and ends that is looked at first, in low samples: the loudest of some early ones."""
    total = ref.shape[1] // q
    size = int(min(SEED * low, total))
    starts = np.unique(np.linspace(0, min(total - size, EARLY * low), SEEDS).astype(int))
    heard = [float(np.square(thin(ref, q, int(at), size), dtype=np.float64).sum()) for at in starts]
    start = int(starts[int(np.argmax(heard))])
    return start, start + size


def _spread(start: int, stop: int, size: int) -> Array:
    """Where stretches begin that lie evenly from start to stop."""
    return np.unique(np.linspace(start, stop - size, STRETCHES).astype(int))


def _straightened(ref: Array, test: Array, q: int, line: Drift, at: Array, size: int, agreed: float) -> Drift:
    """The line without a drift that explains nothing: sounds like sweeps and tones have one of their own."""
    middle = line.delay_samples_at_start + (line.stretch - 1) * (ref.shape[1] // q) / 2
    for late in (0.0, middle):
        level = Drift(0.0, late, line.confidence, True, abs(line.ppm))
        if _agreement(ref, test, q, level, at, size) > AS_GOOD * agreed:
            return level
    return line


def _followed(ref: Array, test: Array, q: int, low: float, line: Drift, start: int, stop: int) -> Drift:
    """The line, measured between start and stop, and from there on in ever wider ranges; all in low samples."""
    size, last, near = round(STRETCH * low), ref.shape[1] // q, NEAR
    while True:
        line = _measured(ref, test, q, low, line, _spread(start, stop, size), round(near * low))
        if not line.found or (near < NEAR and (start, stop) == (0, last)):
            return line
        if near < NEAR:
            reach = (stop - start) // 2 + 1
            start, stop = max(0, start - reach), min(last, stop + reach)
        near = NEAR / 4


def _measured(ref: Array, test: Array, q: int, rate: float, line: Drift, at: Array, near: int) -> Drift:
    """The line, corrected by the delays of stretches that begin there."""
    points = _delays(ref, test, q, line, at, round(STRETCH * rate), near)
    return NOTHING if points is None else _line(*points, line, STRAIGHT * rate)


def _guessed(ref: Array, test: Array, q: int, low: float, search: float, start: int, stop: int) -> Drift:
    """The line by the envelopes of this part, in low samples."""
    size, hop = stop - start, max(round(HOP * low), 1)
    reach = int(search * low + WIDEST * stop)
    first = start - reach
    step = min(FINENESS * low / size, COARSEST)
    speeds = 1 + step * np.arange(-ceil(WIDEST / step), ceil(WIDEST / step) + 1)
    r = _envelopes(thin(ref, q, start, size), hop, low)
    t = _envelopes(thin(test, q, first, size + 2 * reach), hop, low)
    found = _best_speed(r, t, speeds)
    if found is None:
        return NOTHING
    speed, at = found
    return Drift(1e6 * (speed - 1), first + at * hop - start * speed, 0.0, True)


def _best_speed(r: Array, t: Array, speeds: Array) -> tuple[float, float] | None:
    """The speed, and the frame of t where r begins, at which they correlate best."""
    from scipy import fft

    frames, longest = r.shape[1], t.shape[1]
    size = fft.next_fast_len(longest + frames, real=True)
    spectrum = fft.rfft(t, size)
    sums = np.cumsum(np.concatenate((np.zeros(1), np.square(t).sum(0))))
    best, found = SIMILAR, None
    for speed in speeds:
        count = int((frames - 1) * speed) + 1
        if count > longest:
            continue
        at = np.arange(count) / speed
        warped = np.stack([np.interp(at, np.arange(frames), band) for band in r])
        energy = float(np.square(warped).sum())
        valid = longest - count + 1
        met = sums[count:] - sums[: longest + 1 - count]
        value = fft.irfft((spectrum * np.conj(fft.rfft(warped, size))).sum(0), size)[:valid]
        value /= np.sqrt(np.maximum(met, 0.1 * sums[-1] * count / longest) * energy + 1e-30)
        peak = int(np.argmax(value))
        if value[peak] > best:
            best, found = float(value[peak]), (float(speed), float(peak))
    return found


def _envelopes(samples: Array, hop: int, low: float) -> Array:
    """Of each band, its mean taken out: float64 [band, frame]."""
    from scipy import fft, ndimage

    frames = samples.size // hop - 1
    windows = np.lib.stride_tricks.sliding_window_view(samples, 2 * hop)[: frames * hop : hop]
    power = np.square(np.abs(fft.rfft(windows * np.hanning(2 * hop).astype(np.float32))))
    edges = np.minimum(np.round(np.array(EDGES) * 2 * hop / low).astype(int), power.shape[1] - 1)
    bands = np.stack([power[:, a : b + 1].sum(axis=1) for a, b in pairwise(edges)])
    loud = (bands / (bands.mean(axis=1, keepdims=True) + 1e-30)).astype(np.float64) ** COMPRESSION
    return np.asarray(loud - ndimage.uniform_filter1d(loud, SLOW, axis=1))


def _stretches(
    ref: Array, test: Array, q: int, line: Drift, at: Array, size: int, near: int
) -> tuple[Array, Array, Array, Array] | None:
    """Stretches of so many low samples of the reference [stretch, sample], and what the test has there by the line.

    The latter begins `near` samples earlier and ends as many later; then come by how much of a sample it begins late,
    and where the stretches begin, of which silent ones are left out. None: too few are left.
    """
    import soxr

    wide = size + 2 * near
    refs, tests, late, kept = [], [], [], []
    for n in at:
        start = line.delay_samples_at_start + (n - near) * line.stretch
        first = floor(start) - ceil(SETTLED * line.stretch)
        met = thin(test, q, first, ceil((wide + 2 * SETTLED) * line.stretch) + 2)
        skip = ceil((start - first) / line.stretch)
        even = met if line.ppm == 0 else soxr.resample(met, line.stretch, 1, quality="HQ")
        part = even[skip : skip + wide]
        own = thin(ref, q, int(n), size)
        if part.size == wide and part.any() and own.any():
            refs.append(own)
            tests.append(part)
            late.append(skip - (start - first) / line.stretch)
            kept.append(n)
    return (np.stack(refs), np.stack(tests), np.array(late), np.array(kept)) if len(kept) >= FEWEST else None


def _delays(
    ref: Array, test: Array, q: int, line: Drift, at: Array, size: int, near: int
) -> tuple[Array, Array, Array] | None:
    """The middles of stretches, by how much the test is later there than by the line, and how sure that is.

    In low samples. near: by how many the test may be later or earlier.
    """
    from scipy import fft

    found = _stretches(ref, test, q, line, at, size, near)
    if found is None:
        return None
    r, t, late, kept = found
    block = fft.next_fast_len(size + t.shape[1], real=True)
    r = r * _taper(size)
    cross = np.conj(fft.rfft(r, block)) * fft.rfft(t, block)
    value = fft.irfft(cross / (np.sqrt(np.abs(cross)) + 1e-30), block)[:, : 2 * near + 1]
    peak = np.argmax(np.abs(value) * (1 - PERIODIC * np.square(np.linspace(-1, 1, 2 * near + 1))), axis=1)
    rows = np.arange(len(kept))[:, None]
    moved = t[rows, peak[:, None] + np.arange(size)] * np.sign(value[rows, peak[:, None]])
    fraction, sure = _fractions(r, (moved * _taper(size)).astype(np.float32))
    return kept + (size - 1) / 2, (peak - near + fraction + late) * line.stretch, sure


def _taper(size: int) -> Array:
    return np.hanning(size + 2)[1:-1].astype(np.float32)


def _fractions(r: Array, t: Array) -> tuple[Array, Array]:
    """Of each row, by how much of a sample t is later than r, and how well the two agree then, 0..1.

    The maximum of the sum over frequency of weight * cos(phase + omega * tau). The weight is the maximum-likelihood
    one, by the coherence over all rows.
    """
    from scipy import fft

    a, b = fft.rfft(r), fft.rfft(t)
    cross = (np.conj(a) * b).astype(np.complex128)
    unit = cross / (np.abs(cross) + 1e-30)
    omega = 2 * np.pi * np.arange(cross.shape[1]) / r.shape[1]
    tau, sure = np.zeros(len(r)), np.zeros(len(r))
    for _ in range(NEWTON):
        ramp = np.exp(1j * tau[:, None] * omega)
        coherence = np.minimum(_coherence(a, b, cross * ramp), 0.999)
        weight = coherence / (1 - coherence)
        weight[0] = weight[-1] = 0  # have no phase
        turned = weight * unit * ramp
        slope, curvature = -(turned.imag @ omega), -(turned.real @ omega**2)
        bent = curvature < 0
        tau -= np.clip(np.where(bent, slope / np.where(bent, curvature, 1), 0.0), -0.5, 0.5)
        sure = np.maximum(turned.real.sum(axis=1) / max(float(weight.sum()), 1e-30), 0.0)
    return tau, sure


def _coherence(a: Array, b: Array, cross: Array) -> Array:
    """By frequency, over all rows and neighbouring bins: of spectra and their cross-spectrum, 0..1."""
    width = max(cross.shape[1] // 128, 2)
    powers = [_smooth(np.square(np.abs(x)).sum(axis=0).astype(np.float64), width) for x in (a, b)]
    met = cross.sum(axis=0)
    both = np.square(_smooth(met.real, width)) + np.square(_smooth(met.imag, width))
    return np.asarray(both / (powers[0] * powers[1] + 1e-300))


def _agreement(ref: Array, test: Array, q: int, line: Drift, at: Array, size: int) -> float:
    """The mean coherence of stretches that begin there, if the line is right, 0..1."""
    from scipy import fft

    found = _stretches(ref, test, q, line, at, size, 0)
    if found is None:
        return 0.0
    r, t, late, _ = found
    a, b = fft.rfft(r * _taper(size)), fft.rfft(t * _taper(size))
    ramp = np.exp(2j * np.pi / size * late[:, None] * -np.arange(a.shape[1]))
    return float(_coherence(a, b, np.conj(a) * b * np.conj(ramp)).mean())


def _smooth(x: Array, width: int) -> Array:
    from scipy import ndimage

    return np.asarray(ndimage.uniform_filter1d(x, width))


def _line(at: Array, lag: Array, sure: Array, before: Drift, straight: float) -> Drift:
    """The line before, corrected: that on which most of the points lie, and least squares of those."""
    i, j = np.triu_indices(at.size, 1)
    slope: Array = (lag[j] - lag[i]) / (at[j] - at[i])
    off = np.abs(lag[None] - lag[i][:, None] - slope[:, None] * (at[None] - at[i][:, None]))
    on = off <= straight
    votes = on @ sure
    best = int(np.argmax(votes - 1e-9 * np.abs(slope)))
    chosen = on[best]
    share = float(votes[best] / max(sure.sum(), 1e-300))
    if chosen.sum() < FEWEST or share < ON_LINE:
        return replace(NOTHING, confidence=share)
    for _ in range(3):
        x, y, w = at[chosen], lag[chosen], sure[chosen] + 1e-12
        mean = float(w @ x / w.sum())
        spread = float(w @ np.square(x - mean))
        level, slant = float(w @ y / w.sum()), float(w @ ((x - mean) * y)) / spread
        left = lag - level - slant * (at - mean)
        error = sqrt(float(np.square(w * (x - mean)) @ np.square(left[chosen])) * x.size / (x.size - 2)) / spread
        closer = np.abs(left) <= min(max(4 * float(np.median(np.abs(left[chosen]))), 1e-3), straight)
        if closer.sum() < FEWEST or (closer == chosen).all():
            break
        chosen = closer
    ppm = before.ppm + 1e6 * slant
    return Drift(ppm, before.delay_samples_at_start + level - slant * mean, share, True, 1e6 * error + RESOLUTION)
