"""Spectrograms of a pair whose waveforms have nothing in common: another pitch, or another recording."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WINDOW = 0.09  # s
STRETCH = 30.0  # s, of the middle of longer recordings
PER_OCTAVE = 24
LOW, HIGH = 200.0, 5000.0  # Hz
REACH = 14.0  # semitones
RANGE = 6.0  # bels below the strongest cell, that count
LEAST = 0.7  # correlation of spectra that are shifted alike
CLEAR = 0.1  # by which it exceeds that of spectra as they are, or shifted otherwise
SHORTEST = 8  # frames
LAG = 1.0  # s


def pitch(ref: Array, test: Array, rate: int) -> tuple[float, float] | None:
    """Semitones by which the test is higher at the same tempo, and the confidence. None: it is not."""
    cells = _cells(ref, test, rate)
    if cells is None:
        return None
    x, y = cells
    reach = round(REACH * PER_OCTAVE / 12)
    if x.shape[1] < 2 * reach:
        return None
    fits = np.array([_fit(x, y, s) for s in range(-reach, reach + 1)])
    best = int(np.argmax(fits))
    size = peak(fits, best) - reach
    semitones = size * 12 / PER_OCTAVE
    near = fits[reach - 1 : reach + 2].max()
    away = np.delete(fits, range(max(best - 3, 0), min(best + 4, fits.size)))
    if fits[best] < LEAST or abs(semitones) < 0.4 or fits[best] - max(near, away.max(initial=0)) < CLEAR:
        return None
    return round(semitones, 2), round(float(min(0.5 + 2 * (fits[best] - max(near, away.max(initial=0))), 1.0)), 2)


def likeness(ref: Array, test: Array, rate: int) -> float | None:
    """Correlation of the courses of levels in bands, at the best delay, -1 to 1. None for what is too short."""
    cells = _cells(ref, test, rate, per_octave=3, low=60.0, high=16000.0)
    if cells is None or len(cells[0]) < 3 * SHORTEST:
        return None
    x, y = (c - c.mean(axis=0) for c in cells)
    energy = float(np.sqrt((x**2).sum() * (y**2).sum()))
    if energy == 0:
        return None
    reach = min(round(LAG / (WINDOW / 2)), len(x) // 4)
    return max(float((x[max(-s, 0) : len(x) - max(s, 0)] * y[max(s, 0) : len(y) - max(-s, 0)]).sum()) / energy
               for s in range(-reach, reach + 1))  # fmt: skip


def _cells(
    ref: Array, test: Array, rate: int, per_octave: int = PER_OCTAVE, low: float = LOW, high: float = HIGH
) -> tuple[Array, Array] | None:
    """Levels [frame, band] in bels, of as many frames, none below RANGE."""
    from scipy import fft

    window = 1 << max(round(np.log2(WINDOW * rate)), 6)
    hop, size = window // 2, 2 * window
    high = min(high, 0.45 * rate)
    length = min(ref.shape[1], test.shape[1])
    if length < SHORTEST * window or high < 2 * low:
        return None
    first = max((length - round(STRETCH * rate)) // 2, 0)
    centres = low * 2.0 ** (np.arange(int(per_octave * np.log2(high / low))) / per_octave)
    edges = np.concatenate((centres, centres[-1:] * 2 ** (1 / per_octave))) * 2 ** (-0.5 / per_octave)
    at = edges * size / rate
    taper = np.hanning(window + 1)[:-1]
    found = []
    for x in (ref, test):
        piece = x[:, first : min(first + round(STRETCH * rate), length)].mean(axis=0)
        frames = np.lib.stride_tricks.sliding_window_view(piece, window)[::hop] * taper
        power = np.abs(fft.rfft(frames, size)) ** 2
        run = np.concatenate((np.zeros((len(power), 1)), np.cumsum(power, axis=1)), axis=1)
        whole = np.floor(at).astype(int)
        upto = run[:, whole] + (at - whole) * (run[:, whole + 1] - run[:, whole])
        cells = np.diff(upto, axis=1) / np.diff(at)
        top = cells.max(initial=0)
        found.append(np.log10(np.maximum(cells, max(top * 10**-RANGE, 1e-30))))
    return found[0], found[1]


def _fit(x: Array, y: Array, shift: int) -> float:
    """Mean correlation of frames, where y is `shift` bands higher."""
    a, b = (x[:, : x.shape[1] - shift], y[:, shift:]) if shift >= 0 else (x[:, -shift:], y[:, : y.shape[1] + shift])
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    energy = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / energy if energy > 0 else 0.0


def peak(y: Array, i: int) -> float:
    """Where the parabola through the values at i and beside it is highest."""
    if not 0 < i < y.size - 1:
        return float(i)
    bend = y[i - 1] - 2 * y[i] + y[i + 1]
    return i + (0.5 * float(y[i - 1] - y[i + 1]) / float(bend) if bend < 0 else 0.0)
