"""Back end of HASQI: how envelopes and fine structure of the membrane's motion agree in segments of 16 ms, and how the
long-term spectra differ.

Kates & Arehart 2014 (J. Audio Eng. Soc. 62, 99-117), sections 2.2 to 2.4; constants as pyclarity 0.9.0 has them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.kernel import fused_kernel
from . import impaired_ear
from .impaired_ear import BANDS, SMALL, Ear, Heard, centres
from .modulation_cepstra import AUDIBLE, Deviations, bases

Array = NDArray[Any]

SEGMENT, HOP = 384, 192  # samples of 24 kHz
LAGS = 24  # samples either way
SYNCHRONY, ORDER = 3500.0, 5  # Hz and order of the low-pass by which the nerve follows fine structure
PER_BLOCK = 12  # segments in work at a time
CELL = SEGMENT  # samples in a cell of the map
FLOOR = 1e-6  # a factor of the quality below this counts as this in the map
SHORTEST = 2 * SEGMENT  # samples


@dataclass(frozen=True, slots=True)
class Agreement:
    """cepstral: mean correlation of the cepstra of the envelopes; fine: mean covariance of the motion, weighted by the
    nerve's synchrony; segments: how many were heard. envelopes, motions [cell, band]: where the two fall short."""

    cepstral: float
    fine: float
    segments: int
    envelopes: Array
    motions: Array


def agreement(heard: Heard, cells: int, threads: int) -> Agreement:
    """cells: of CELL samples of 24 kHz, from the recording's start on; 0 where they are not wanted. Of SHORTEST samples
    or more."""
    size = heard.pair.ref.size
    last = size // SEGMENT + (size - HOP) // SEGMENT  # segment
    synchrony = np.sqrt(1 / (1 + (centres() / SYNCHRONY) ** (2 * ORDER)))
    window = np.hanning(SEGMENT)
    smooth: list[Array] = []
    parts, lost = Deviations(cells), np.zeros((cells, BANDS))
    offset = heard.pair.start - heard.delay() + HOP
    total, weight, count = 0.0, 0.0, 0
    block = PER_BLOCK * HOP
    for b, (_, envelopes, motions) in enumerate(impaired_ear.adapted(heard, block, True, threads, HOP, 0)):
        first = max(PER_BLOCK * b - 1, 0)
        stop = min(PER_BLOCK * (b + 1) - 1, last + 1)
        if stop == last:  # its half lies in this block too
            stop += (last + 1) * HOP <= (b + 1) * block
        found = np.zeros((3, stop - first, BANDS))
        squares, covariance = np.zeros((2, stop - first, BANDS))

        def measure(n: int) -> None:
            at = HOP * (n - PER_BLOCK * b) + HOP  # noqa: B023
            part = window[HOP:] if n == 0 else window[:HOP] if n == last else window
            rows, i = slice(at, at + part.size), n - first  # noqa: B023
            for side in range(2):
                _mean(envelopes[side, rows], part, found[side, i])  # noqa: B023
            inverse = _inverse(part.size, bool(n))
            _covary(motions[0, rows], motions[1, rows], part, inverse, AUDIBLE, squares[i], covariance[i])  # noqa: B023

        engine.threads.in_threads(measure, range(first, stop), threads)
        at_cell = np.clip((offset + HOP * np.arange(first, stop)) // CELL, 0, max(cells - 1, 0))
        loud = np.flatnonzero(np.mean(10 ** (found[0] / 20), axis=1) > 10 ** (AUDIBLE / 20))
        smooth.append(found[:2, loud])
        heard_levels = np.sqrt(2 * squares)
        loud_motion = np.mean(10 ** (heard_levels / 20), axis=1) > 10 ** (AUDIBLE / 20)
        weights = synchrony * (heard_levels > AUDIBLE) * loud_motion[:, None]
        total += float(np.sum(weights * covariance))
        weight += float(np.sum(weights))
        count += int(loud_motion.sum())
        if cells:
            parts.add(at_cell[loud], found[1, loud] - found[0, loud])
            np.add.at(lost, at_cell, weights * (1 - covariance))
    levels = np.concatenate(smooth, axis=1)
    fine = total / weight if weight and count > 1 else 0.0
    return Agreement(_correlation(levels), fine, min(count, levels.shape[1]), parts.squares(), lost)


def loudness_differences(powers: Array, control: Array, ears: tuple[Ear, Ear]) -> tuple[float, float, Array]:
    """Standard deviations over the bands, times their number, of the difference of specific loudness and of its slope,
    and the former itself [band]. powers, control: mean squares [2, band] of envelopes and control envelopes."""
    loudness = [10 ** (impaired_ear.spectrum(*sew) / 20) for sew in zip(powers, control, ears, strict=True)]
    difference: Array = loudness[0] / loudness[0].sum() - loudness[1] / loudness[1].sum()
    return BANDS * float(difference.std()), BANDS * float(np.diff(difference).std()), difference


def _correlation(levels: Array) -> float:
    """Mean magnitude of the correlation between the two sides' cepstra without the level; levels [2, segment, band]."""
    cepstra = levels @ bases()[:, 1:]
    if cepstra.shape[1] < 2:
        return 0.0
    x, y = cepstra - cepstra.mean(axis=1, keepdims=True)
    xx, yy, xy = (np.sum(p * q, axis=0) for p, q in ((x, x), (y, y), (x, y)))
    silent = (xx < SMALL) | (yy < SMALL)
    return float(np.mean(np.where(silent, 0, np.abs(xy) / np.sqrt(np.where(silent, 1, xx * yy)))))


@cache
def _inverse(size: int, rising: bool) -> Array:
    """1 over the window's own correlation at lags from -LAGS to LAGS."""
    window = np.hanning(SEGMENT)
    part = window if size == SEGMENT else window[:HOP] if rising else window[HOP:]
    result: Array = 1 / np.correlate(part, part, "full")[size - 1 - LAGS : size + LAGS]
    return result


@fused_kernel
def _mean(rows: Array, window: Array, out: Array) -> None:
    """out [band] = weighted mean of rows [sample, band]."""
    out[:] = 0.0
    for i in range(len(rows)):
        row = rows[i]
        w = window[i]
        for k in range(BANDS):
            out[k] += w * row[k]
    out /= np.sum(window)


@fused_kernel
def _covary(
    x: Array, y: Array, window: Array, inverse: Array, audible: float, squares: Array, covariance: Array
) -> None:
    """squares [band]: mean square of the windowed x [sample, band] without its mean; covariance [band]: largest
    normalised covariance with y at any lag, where x is audible, in dB above threshold of the envelope."""
    n = window.size
    power = inverse[LAGS]
    a = np.zeros(n + 2 * LAGS, np.float32)
    b = np.zeros(n, np.float32)
    inside = a[LAGS : LAGS + n]
    for k in range(BANDS):
        for i in range(n):
            inside[i] = window[i] * x[i, k]
            b[i] = window[i] * y[i, k]
        inside -= np.mean(inside)
        b -= np.mean(b)
        squares[k] = np.sum(inside * inside) * power
        other = np.sum(b * b) * power
        if np.sqrt(2 * squares[k]) <= audible or other <= SMALL:
            continue
        most = 0.0
        for lag in range(0, 2 * LAGS + 1, 7):
            s0 = s1 = s2 = s3 = s4 = s5 = s6 = np.float32(0)
            a0 = a[lag : lag + n]
            a1 = a[lag + 1 : lag + 1 + n]
            a2 = a[lag + 2 : lag + 2 + n]
            a3 = a[lag + 3 : lag + 3 + n]
            a4 = a[lag + 4 : lag + 4 + n]
            a5 = a[lag + 5 : lag + 5 + n]
            a6 = a[lag + 6 : lag + 6 + n]
            for i in range(n):
                v = b[i]
                s0 += v * a0[i]
                s1 += v * a1[i]
                s2 += v * a2[i]
                s3 += v * a3[i]
                s4 += v * a4[i]
                s5 += v * a5[i]
                s6 += v * a6[i]
            most = max(most, abs(s0) * inverse[lag], abs(s1) * inverse[lag + 1], abs(s2) * inverse[lag + 2])
            most = max(most, abs(s3) * inverse[lag + 3], abs(s4) * inverse[lag + 4], abs(s5) * inverse[lag + 5])
            most = max(most, abs(s6) * inverse[lag + 6])
        covariance[k] = min(most / np.sqrt(squares[k] * other), 1.0)
