"""Gain, equaliser and low-pass, read from the cross-spectra of a pair; and their undoing."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log10
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .spectra import Spectra

Array = NDArray[Any]

FLOOR = 1e-11  # of the reference's power, in a bin relative to its strongest: nothing that could pass a filter
AGREES = 0.5  # coherence of a band that says anything of the gain
FILTERED = 0.75  # and of the equaliser
STRONGEST = 100.0  # weight of a band in the gain
AUDIBLE_EQ = 1.5  # dB
ONE_BAND_EQ = 3.0  # dB, where it is one band alone
GONE = -20.0  # dB: what lies lower is taken away
FAINT = -75.0  # dB below the whole, of what a low-pass took, that is not worth a word
STEEP = 1.2  # from the corner to what is gone, as a ratio: made by a resampler or a codec
CLEAN = 1e-3  # of the energy below the corner, that is no copy: less than any codec leaves
RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)
SLOPE = 0.25  # from what is gone to the corner, as a ratio: less is an equaliser's
SLOW = 1.4  # from the corner to what is gone, as a ratio, from which on what is near the corner has lost already;
GENTLE = 0.1, 0.3  # of what is gone, in Hz: what such a low-pass leaves as it was,
EVEN = 3.0  # dB within which it does
NEAR_HALF = 0.86, 1.01  # of half a rate, where a resampler's corner lies
TAPS = 2048
LOWEST = 3  # bins, of which a filter is read
CHANCE = 8.0  # times what one frame has in common with another one by chance
HEARD, REGULAR = 1e-6, 1e-2  # of the strongest bin, whose usual response says by how much a filter is undone at most


@dataclass(frozen=True, slots=True)
class Response:
    """What of the reference is in the test: complex [band], 0 where nothing can be told. coherence: [band]."""

    bands: Array
    coherence: Array
    gain_db: float
    certain: float  # dB by which a codec may have changed the gain


@dataclass(frozen=True, slots=True)
class LowPass:
    corner: float  # Hz, where 3 dB are lost
    gone: float  # Hz, from which on nothing is left
    steep: bool
    clean: bool
    share: float  # of the reference's energy, beyond

    @property
    def rate(self) -> int | None:
        """The sampling rate that does this."""
        if not (self.steep and self.clean):
            return None
        return next((r for r in RATES if NEAR_HALF[0] <= 2 * self.corner / r <= NEAR_HALF[1]), None)


def response(seen: Spectra) -> Response:
    """Of all channels and the segments that are aligned."""
    xx, yy, xy = (z.sum(axis=0) for z in seen.totals())
    frames = max(int(seen.frames[seen.good].sum()), 1) * seen.ref.shape[1]
    cuts = seen.cuts
    x = np.add.reduceat(xx[: cuts[-1]], cuts[:-1])
    strength = np.abs(xy)
    c = np.add.reduceat((strength**2 / np.maximum(yy, 1e-300))[: cuts[-1]], cuts[:-1]) / np.maximum(x, 1e-300)
    chance = 1.5 / max(frames, 1.5)
    coherence = np.clip((c - chance) / (1 - chance), 0, 1)
    cross = np.add.reduceat(xy[: cuts[-1]], cuts[:-1])
    heard = x > FLOOR * x.max(initial=0)
    h = np.where(heard, cross / np.maximum(x, 1e-300), 0)
    coherence = np.where(heard & (np.abs(h) > 0), coherence, 0.0)
    told = (coherence > AGREES) & (np.abs(h) > 0)
    if not told.any():
        return Response(np.zeros_like(h), coherence, 0.0, np.inf)
    weight = np.minimum(coherence / (1.0001 - coherence), STRONGEST)[told]
    db = 20 * np.log10(np.abs(h[told]))
    gain = _median(db, weight)
    certain = 8.7 * float((weight * (1 - coherence[told])).sum() / weight.sum())
    return Response(np.where(told, h, 0), coherence, gain, certain)


def _median(values: Array, weight: Array) -> float:
    order = np.argsort(values)
    run = np.cumsum(weight[order])
    return float(np.interp(run[-1] / 2, run - weight[order] / 2, values[order]))


def curve(seen: Spectra, r: Response, low: LowPass | None, top: float) -> Array:
    """dB [band] against the gain, of an equaliser, up to `top` Hz; 0 where nothing can be told."""
    told = (r.coherence > FILTERED) & (np.abs(r.bands) > 0)
    told &= seen.frequencies[seen.cuts[1:] - 1] < top
    if low:
        told &= seen.frequencies[seen.cuts[1:] - 1] < 0.8 * low.corner
    db = np.zeros(told.size)
    db[told] = 20 * np.log10(np.abs(r.bands[told])) - r.gain_db
    return db


def bells(db: Array, r: Response, least: float = AUDIBLE_EQ) -> tuple[int, int, float] | None:
    """The first and the last band of the largest part of a curve that is audible, and its dB; None: there is none."""
    allowed = least + 3 * 8.7 * np.where(db < 0, 1 - r.coherence, 0)
    beyond = np.abs(db) > allowed
    if not beyond.any():
        return None
    peak = int(np.argmax(np.where(beyond, np.abs(db), 0)))
    size = float(db[peak])
    first = last = peak
    while first > 0 and db[first - 1] * size > 0 and abs(db[first - 1]) > abs(size) / 2:
        first -= 1
    while last + 1 < db.size and db[last + 1] * size > 0 and abs(db[last + 1]) > abs(size) / 2:
        last += 1
    if first == last and abs(size) < ONE_BAND_EQ + allowed[peak] - least:
        return None
    return first, last, size


def low_pass(seen: Spectra, r: Response) -> LowPass | None:
    """The frequency from which on the test has nothing of what the reference has."""
    xx, yy, xy = (z.sum(axis=0) for z in seen.totals())
    f = seen.frequencies
    wide = max(round(60.0 / f[1]), 1) | 1
    x, y = (np.convolve(z, np.ones(wide), "same") for z in (xx, yy))
    c = np.convolve(np.abs(xy), np.ones(wide), "same")
    total = float(xx.sum())
    heard = x > FLOOR * x.max(initial=0)
    heard[: max(np.searchsorted(f, 300.0), 4)] = False
    heard[-2:] = False
    if not heard.any() or r.gain_db < -80:
        return None
    scale = 10 ** (r.gain_db / 10)
    power = 10 * np.log10(np.maximum(y, 1e-30 * total) / np.maximum(scale * x, 1e-300))
    passed = 20 * np.log10(np.maximum(c, 1e-30 * total) / np.maximum(scale**0.5 * x, 1e-300))
    left = np.where(heard, np.maximum(passed, power), -np.inf)
    still = np.flatnonzero(heard & (left > GONE))
    if still.size == 0 or still[-1] + 1 >= f.size - 3:
        return None
    gone = int(still[-1]) + 1
    beyond = float(xx[gone:].sum()) / total
    if not np.any(heard[gone:]) or 10 * log10(max(beyond, 1e-30)) < FAINT or f[gone] > 0.96 * f[-1]:
        return None
    if heard[gone:].mean() < 0.5:
        return None
    near = int(0.4 * gone)
    around = left[near:gone][heard[near:gone]]
    level = min(float(np.percentile(around, 90)), 0.0) if around.size else 0.0  # beside an equaliser
    through = np.flatnonzero(heard[:gone] & (left[:gone] > level - 3.0))
    if through.size == 0:
        return None
    if f[gone] >= SLOW * f[through[-1]]:
        through = _gentle(f, left, heard, gone, through)
    corner = float(f[through[-1]])
    if corner < SLOPE * f[gone]:  # a slope: an equaliser
        return None
    below = slice(max(int(0.25 * through[-1]), 4), max(int(0.85 * through[-1]), 5))
    error = 1 - float(
        (np.abs(xy[below]) ** 2 / np.maximum(yy[below], 1e-300)).sum() / max(float(xx[below].sum()), 1e-300)
    )
    return LowPass(corner, float(f[gone]), f[gone] / corner < STEEP, error < CLEAN, beyond)


def _gentle(f: Array, left: Array, heard: Array, gone: int, through: Array) -> Array:
    """The bins that pass, against what passes far below: where a filter falls slowly, what is near has lost already."""
    far = slice(max(round(GENTLE[0] * gone), 1), round(GENTLE[1] * gone))
    passed = left[far][heard[far]]
    level = float(np.median(passed)) if passed.size else inf
    better = np.flatnonzero(heard[:gone] & (left[:gone] > min(level, 0.0) - 3.0))
    even = abs(level) < EVEN and better.size > 0 and better[-1] < through[-1] and f[better[-1]] > SLOPE * f[gone]
    return better if even else through


def impulse(frequencies: Array, magnitude: Array, late: float) -> Array:
    """A linear-phase filter of TAPS coefficients, its middle at TAPS / 2, that also moves by -late samples."""
    grid = np.arange(TAPS // 2 + 1) * (2 * frequencies[-1] / TAPS)
    shape = np.interp(grid, frequencies, magnitude)
    turn = np.exp(2j * np.pi * np.arange(grid.size) / TAPS * (late - TAPS // 2))
    taps = np.fft.irfft(shape * turn, TAPS) * np.hanning(TAPS + 1)[:TAPS]
    return np.asarray(taps)


def fitted(seen: Spectra) -> Array:
    """The filter that leads from the reference to the test best, as coefficients; its middle is its time zero."""
    return _taps(_spectrum(seen)[0])


def unfiltered(seen: Spectra) -> tuple[Array, Array]:
    """The filter that undoes this one where it lets enough through, and both of them one after the other."""
    spectrum, xx = _spectrum(seen)
    power = spectrum.real**2 + spectrum.imag**2
    usual = power[(xx > HEARD * xx.max()) & (power > 0)]
    back = spectrum.conj() / (power + REGULAR * (np.median(usual) if usual.size else 1.0))
    return _taps(back), _taps(spectrum * back)


def _spectrum(seen: Spectra) -> tuple[Array, Array]:
    """What leads from the reference to the test, [bin], and the power of the reference. 0 where the two are alike by
    chance: where a hum was added to next to nothing, a filter would seem to make it of that."""
    xx, yy, xy = (z.sum(axis=0) for z in seen.totals())
    frames = max(int(seen.frames[seen.good].sum()), 1) * seen.ref.shape[1]
    by_chance = np.abs(xy) ** 2 < min(CHANCE / frames, AGREES) * xx * yy
    return np.where(by_chance, 0, xy / np.maximum(xx, 1e-13 * xx.max())), xx


def _taps(spectrum: Array) -> Array:
    spectrum[:LOWEST] = np.abs(spectrum[LOWEST])  # a constant in one of them would look like a filter
    response = np.fft.irfft(spectrum)
    half = min(TAPS, response.size) // 2
    taps = np.concatenate([np.zeros(TAPS // 2 - half), response[-half:], response[:half], np.zeros(TAPS // 2 - half)])
    return np.asarray(taps * np.hanning(TAPS + 1)[:TAPS])


def filtered(x: Array, taps: Array, out: Array) -> Array:
    """x [channel, sample] through a filter whose middle is its time zero, into `out`, block by block."""
    from scipy import fft

    size = 8 * taps.size
    step, half = size - taps.size, taps.size // 2
    spectrum = fft.rfft(taps.astype(x.dtype), size)
    length = x.shape[1]
    for at in range(0, length, step):
        begin = at - half
        piece = x[:, max(begin, 0) : begin + size]
        if begin < 0:
            piece = np.pad(piece, ((0, 0), (-begin, 0)))
        y = fft.irfft(fft.rfft(piece, size) * spectrum, size)
        stop = min(at + step, length)
        out[:, at:stop] = y[:, 2 * half : 2 * half + stop - at]
    return out
