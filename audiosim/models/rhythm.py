"""Rhythm of one recording: how strongly notes begin, when they do, the tempo, and the beats; and how events agree.

Onset strength: spectral flux of levels in mel bands against the loudest of three neighbours 20 ms before (SuperFlux;
Boeck and Widmer 2013, DAFx). Onsets: Boeck, Krebs and Schedl 2012, ISMIR, 49-54. Tempo and beats: Ellis 2007, J. New
Music Res. 36, 51-60, eq. 3 to 7. Agreement: as mir_eval.onset and mir_eval.beat.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..answer import Pair, shares
from ..engine.frames import STFT
from ..engine.kernel import exact_kernel
from ..hearing import scales
from ..hearing.magnitudes import MelFilters

Array = NDArray[Any]

HOP, FRAME = 0.01, 0.046  # seconds, about
BANDS, LOWEST = 80, 30.0  # mel bands, from so many Hz on
RANGE = 60.0  # dB below the loudest band of the recording that are heard
BEFORE = 2  # frames to the one that a level is compared with
PEAK, MEAN = 0.03, (0.1, 0.07)  # seconds around an onset: it is the largest there; and in which the mean is taken
TIMES, ABOVE = 2.0, 0.003  # an onset exceeds so many means around it by so much of RANGE, in the mean over bands
SLOWEST, FASTEST = 30.0, 300.0  # beats in a minute
USUAL, SPREAD = 120.0, 0.9  # the tempo that people hear first, and octaves around it
EVEN, HASTY = 0.9, 210.0  # a pulse twice as fast that is so strong beside the beat is the beat, up to this tempo
TIGHT = 100.0  # how much a beat that comes early or late costs
FLAT = 1e-9  # onset strength below which there is nothing


@dataclass(frozen=True, slots=True)
class Onsets:
    """strength: by band [frame, band], mean over bands [frame]; times of the frames, and seconds between them."""

    by_band: Array
    strength: Array
    times: Array
    hop: float
    centres: Array  # Hz, of the bands

    @property
    def heard(self) -> bool:
        return bool(self.strength.max() > FLAT)


def onsets_of(samples: Array, rate: int) -> Onsets:
    """Of samples [sample]; remembered while they are compared."""
    return engine.cache.cached(samples, ("onsets", rate), lambda: _onsets(samples, rate))


def _onsets(x: Array, rate: int) -> Onsets:
    n_fft = 1 << max(6, round(np.log2(FRAME * rate)))
    stft = STFT.of(n_fft, max(1, round(HOP * rate)), pad="zero")
    mel = MelFilters.of(rate, n_fft, BANDS, min(LOWEST, rate / 8))
    weights = np.ascontiguousarray(mel.weights.T)
    x = x.astype(np.float64, copy=False)
    parts = [(z.real**2 + z.imag**2) @ weights for z in engine.fold.spectra(x, stft)]
    power = np.concatenate(parts)
    loudest = power.max()
    levels = np.zeros_like(power)
    if loudest > 0:
        levels = np.maximum(0.0, 1 + 10 / RANGE * np.log10(power / loudest + 1e-30))
    wide = levels.copy()
    wide[:, 1:] = np.maximum(wide[:, 1:], levels[:, :-1])
    wide[:, :-1] = np.maximum(wide[:, :-1], levels[:, 1:])
    rises = np.zeros_like(levels)
    rises[BEFORE:] = np.maximum(levels[BEFORE:] - wide[:-BEFORE], 0)
    rises[:BEFORE] = levels[:BEFORE] if len(levels) <= BEFORE else 0  # what sounds from the start on has not begun
    return Onsets(rises, rises.mean(1), stft.times(len(rises), rate), stft.hop / rate, mel.centres)


def onsets(found: Onsets) -> Array:
    """Times of onsets, s."""
    s = found.strength
    reach, behind, ahead = (max(1, round(t / HOP)) for t in (PEAK, *MEAN))
    padded = np.pad(s, reach)
    highest = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1).max(1)
    sums = np.concatenate([[0.0], np.cumsum(s)])
    at = np.arange(s.size)
    low, high = np.maximum(at - behind, 0), np.minimum(at + ahead + 1, s.size)
    means = (sums[high] - sums[low]) / (high - low)
    peaks = np.flatnonzero((s >= highest) & (s >= TIMES * means + ABOVE))
    kept = [int(p) for k, p in enumerate(peaks) if k == 0 or p - peaks[k - 1] > 1]  # a plateau begins once
    return found.times[kept]


def tempo(found: Onsets) -> float | None:
    """Beats in a minute; None where nothing begins, or the recording is shorter than two beats at any tempo."""
    if not found.heard:
        return None
    s = found.strength - found.strength.mean()
    lags = np.arange(s.size)
    first, last = max(1, round(60 / FASTEST / found.hop)), min(round(60 / SLOWEST / found.hop), s.size - 2)
    if last <= first:
        return None
    n_fft = engine.fft.fast_length(2 * s.size)
    spectrum = engine.fft.rfft(s, n_fft)
    course = engine.fft.irfft(spectrum * np.conj(spectrum), n_fft)[: s.size]
    course = course / np.maximum(s.size - lags, s.size / 4)  # a mean, where there is enough to take it of
    window = slice(first, last + 1)
    prior = np.exp(-0.5 * (np.log2(60 / found.hop / lags[window] / USUAL) / SPREAD) ** 2)
    beat = first + int(np.argmax(course[window] * prior))
    half = _near(course, beat / 2, 1)
    if course[half] >= EVEN * course[beat] and half * found.hop >= 60 / HASTY:
        beat = half
    lag = _top(course, beat, 1)
    for times in (2, 4, 8):  # finer: the same peak again after some beats
        near = round(times * lag)
        reach = max(2, times // 2)
        if near + reach + 1 >= s.size * 0.75:
            break
        lag = _top(course, _near(course, near, reach), 1) / times
    return float(60 / (lag * found.hop))


def _near(x: Array, at: float, reach: int) -> int:
    """Where x is largest around there."""
    low = max(0, round(at) - reach)
    return low + int(np.argmax(x[low : round(at) + reach + 1]))


def _top(x: Array, at: int, least: int) -> float:
    """Where the parabola through a maximum has its own."""
    if not least <= at < x.size - 1:
        return float(at)
    bend = x[at - 1] - 2 * x[at] + x[at + 1]
    return float(at + (np.clip(0.5 * (x[at - 1] - x[at + 1]) / bend, -0.5, 0.5) if bend < 0 else 0.0))


def beats(found: Onsets, bpm: float | None) -> Array:
    """Times of beats at about this tempo, s."""
    if bpm is None:
        return np.zeros(0)
    period = 60 / bpm / found.hop
    s = found.strength / found.strength.std()
    width = max(1, round(period / 32))
    bell = np.exp(-0.5 * (np.arange(-4 * width, 4 * width + 1) / width) ** 2)
    smooth = np.convolve(s, bell, "full")[4 * width : 4 * width + s.size]
    return found.times[_beats(smooth, period, TIGHT)]


@exact_kernel
def _beats(s: Array, period: float, tight: float) -> Array:
    """Frames of the sequence that gathers most strength s while it keeps the period."""
    total = np.empty(s.size)
    back = np.full(s.size, -1, np.int64)
    first, last = int(np.ceil(period / 2)), int(2 * period)
    least = 0.01 * s.max()
    begun = False
    for t in range(s.size):
        best = -np.inf
        for lag in range(first, min(last, t) + 1):
            octaves = np.log(lag / period)
            c = total[t - lag] - tight * octaves * octaves
            if c > best:
                best = c
                back[t] = t - lag
        total[t] = s[t] + (best if best > -np.inf else 0.0)
        if not begun and s[t] < least:
            back[t] = -1  # nothing has begun yet
        else:
            begun = True
    end = 0
    low = max(0, s.size - int(np.ceil(period)))
    for t in range(low, s.size):
        if t == low or total[t] > total[end]:
            end = t
    count = 0
    t = end
    while t >= 0:
        count += 1
        t = back[t]
    out = np.empty(count, np.int64)
    t = end
    for k in range(count - 1, -1, -1):
        out[k] = t
        t = back[t]
    return out


@exact_kernel
def matches(ref: Array, test: Array, window: float) -> int:
    """The most pairs of rising times ref and test, in s, that are at most `window` apart, each used once."""
    i, j, found = 0, 0, 0
    while i < ref.size and j < test.size:
        if abs(ref[i] - test[j]) <= window:
            found += 1
            i += 1
            j += 1
        elif ref[i] < test[j]:
            i += 1
        else:
            j += 1
    return found


def agreement(ref: Array, test: Array, window: float) -> dict[str, float]:
    """f, precision and recall of times; 1 where there are none in either, 0 where there are in one alone."""
    found = matches(ref, test, window)
    if not (ref.size and test.size):
        alike = float(ref.size == test.size)
        return {"f": alike, "precision": alike, "recall": alike}
    precision, recall = found / test.size, found / ref.size
    return {"f": 2 * found / (ref.size + test.size), "precision": precision, "recall": recall}


def where(pair: Pair, ref: Onsets, test: Onsets) -> dict[str, Any]:
    """Profile and map: where the onset strengths of the two differ."""
    if pair.detail == "value":
        return {}
    longer = max(ref, test, key=lambda x: x.times.size)
    cells = np.zeros_like(longer.by_band)
    cells[: len(test.by_band)] += test.by_band
    cells[: len(ref.by_band)] -= ref.by_band
    cuts, edges = scales.bands(longer.centres, pair.rate / 2, pair.band_edges)
    return shares(scales.by_band(np.abs(cells), cuts), longer.times, longer.centres, cuts, edges, pair.detail)
