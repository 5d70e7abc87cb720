"""Mel-frequency cepstra normalised within a sliding window, so that neither level nor a filter nor how lively a voice
is counts: what WARP-Q compares. Cepstra as librosa.feature.mfcc; Jassim et al. 2022, IET Signal Processing 16(9)."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import dsp, engine
from ...engine.frames import STFT
from ...engine.kernel import exact_kernel
from ...hearing.magnitudes import MelFilters

Array = NDArray[Any]

RATE = 16000  # Hz
FRAME, HOP, N_FFT = 512, 64, 1024  # samples: 32 ms every 4 ms
BANDS, TOP = 128, 5000.0  # mel bands up to so many Hz
COEFFICIENTS = 13
FLOOR, DYNAMIC_RANGE = 1e-10, 80.0  # of the power of a band: absolute, and dB below the greatest of the recording
WINDOW = 201  # frames, 0.8 s
EPS = 2.0**-30  # added to a standard deviation
BLOCK = 256  # frames in work at a time


@cache
def stft() -> STFT:
    return STFT.of(N_FFT, HOP, "hann", FRAME, pad="zero")


def mel() -> MelFilters:
    return MelFilters.of(RATE, N_FFT, BANDS, 0.0, TOP)


def basis() -> Array:
    """Cosines, by which cepstra become log spectra again: [coefficient, band]."""
    return np.asarray(dsp.cepstrum.dct(BANDS)[:COEFFICIENTS])


def features(x: Array) -> Array:
    """Of x [sample] at 16 kHz: [frame, coefficient] of mean 0 and deviation 1 within 0.8 s, of the same dtype."""
    c = _cepstra(x)
    centred, out = np.empty_like(c), np.empty(c.shape, x.dtype)
    _sliding(c, WINDOW, False, centred)
    _sliding(centred, WINDOW, True, out)
    return out


def _cepstra(x: Array) -> Array:
    """In dB, [frame, coefficient]. Where a later sound turns out to be so loud that earlier ones lie deeper than 80 dB
    below it, those are made once more: that takes less memory than to keep all spectra."""
    count, rows = stft().count(x.size), np.ascontiguousarray(basis().T)
    out, starts = np.empty((count, COEFFICIENTS)), range(0, count, BLOCK)
    floors, lowest, peak = np.empty(len(starts)), np.empty(len(starts)), -np.inf
    for k, first in enumerate(starts):
        levels = _levels(x, first, min(BLOCK, count - first))
        peak, lowest[k] = max(peak, levels.max()), levels.min()
        floors[k] = peak - DYNAMIC_RANGE
        out[first : first + BLOCK] = np.maximum(levels, floors[k]) @ rows
    floor = peak - DYNAMIC_RANGE
    for first in np.array(starts)[(lowest < floor) & (floors < floor)]:
        out[first : first + BLOCK] = np.maximum(_levels(x, first, min(BLOCK, count - first)), floor) @ rows
    return out


def _levels(x: Array, first: int, frames: int) -> Array:
    """Of the mel bands in some frames, dB re full scale: float64 [frame, band]."""
    span = np.empty((frames - 1) * HOP + FRAME, x.dtype)
    engine.stream.read(*engine.stream.plain(x), first * HOP - FRAME // 2, span)
    cut = np.zeros((frames, N_FFT), x.dtype)  # their phase does not matter, so the zeros may all stand behind
    cut[:, :FRAME] = np.lib.stride_tricks.sliding_window_view(span, FRAME)[::HOP] * stft().window.astype(x.dtype)
    spectra = engine.fft.rfft(cut)[None, :, : _bins()]
    power = np.ascontiguousarray(spectra.real**2 + spectra.imag**2)
    bands = mel().projector(x.dtype)(power)[0]
    return np.asarray(10 * np.log10(np.maximum(bands, FLOOR, dtype=np.float64)))


def _bins() -> int:
    """Of the spectrum, that lie in bands."""
    return int(mel().stops.max())


@exact_kernel
def _sliding(x: Array, width: int, scaled: bool, out: Array) -> None:
    """Of each column: less the mean of the frames around, or over their deviation; the ends are mirrored."""
    count, half = x.shape[0], width // 2
    for k in range(x.shape[1]):
        total = 0.0
        squares = 0.0
        for i in range(count):
            if i % width == 0:  # afresh, so that no rounding errors add up
                total = 0.0
                squares = 0.0
                for near in range(i - half, i + half + 1):
                    v = x[_mirrored(near, count), k]
                    total += v
                    squares += v * v
            mean = total / width
            if scaled:
                out[i, k] = x[i, k] / (np.sqrt(max(squares / width - mean * mean, 0.0)) + EPS)
            else:
                out[i, k] = x[i, k] - mean
            gone = x[_mirrored(i - half, count), k]
            come = x[_mirrored(i + half + 1, count), k]
            total += come - gone
            squares += come * come - gone * gone


@exact_kernel
def _mirrored(i: int, count: int) -> int:
    """Where index i falls when the frames are mirrored at both ends, the outermost twice."""
    i %= 2 * count
    return i if i < count else 2 * count - 1 - i
