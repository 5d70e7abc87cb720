"""Back end of HASPI: cepstra of the envelopes, a modulation filter bank over them, and how the two sides' covary.

Kates & Arehart 2021 (Speech Communication 131, 35-46), sections 2.2 to 2.4; constants as pyclarity 0.9.0 has them.
"""

from __future__ import annotations

from functools import cache
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.kernel import fused_kernel
from . import impaired_ear
from .impaired_ear import BANDS, Heard

Array = NDArray[Any]

SPACING = 9  # samples of 24 kHz between two of an envelope
NOMINAL = 2560.0  # Hz, for which the modulation filters are made
TAPS = 52  # of the low-pass at 320 Hz in front
AUDIBLE = 2.5  # dB, loudness of the reference from which on a sample counts
JITTER = 0.1  # dB, noise of the firing rates
BASES = 6  # of the cepstrum; the first, the level, does not count
CENTRES = (2, 6, 10, 16, 25, 40, 64, 100, 160, 256)  # Hz, of the modulation filters
LONGEST = 0.24  # s, of their responses; from the third filter on as long in cycles
PER_BLOCK = 256  # envelope samples in work at a time
BLOCK = PER_BLOCK * SPACING  # and samples of 24 kHz
CELL = 360  # samples of 24 kHz in a cell of the map: 15 ms
MODULATION_BLOCK = 4096  # samples of the FFT that the modulation filters work by


@cache
def bases() -> Array:
    """Half-cosines [band, BASES] of unit norm."""
    waves = np.cos(pi / (BANDS - 1) * np.outer(np.arange(BANDS), np.arange(BASES)))
    result: Array = waves / np.linalg.norm(waves, axis=0)
    return result


@cache
def modulation_filters() -> list[Array]:
    """Taps of each filter, centred: a Hann window times twice a cosine, but for the first one."""
    filters = []
    for i, f in enumerate(CENTRES):
        seconds = LONGEST * CENTRES[2] / max(f, CENTRES[2])
        half = int(seconds * NOMINAL / 2)
        window = np.hanning(2 * half + 1)
        carrier = 2 * np.cos(2 * pi * f / NOMINAL * np.arange(-half, half + 1)) if i else 1.0
        filters.append(window / window.sum() * carrier)
    return filters


def cepstra(heard: Heard, cells: int, threads: int) -> tuple[Array, Array]:
    """Cepstra without the level [2, sample, BASES - 1], float32, of the samples where the reference is audible, and the
    squared difference of the envelopes without their means [cell, band], dB^2, summed over these samples.

    cells: of CELL samples of 24 kHz, from the recording's start on; 0 where they are not wanted.
    """
    size = heard.pair.ref.size
    total = -(-size // SPACING)
    parts = Deviations(cells)
    offset = heard.pair.start - heard.delay()
    low_pass = _low_pass()
    kept: list[Array] = []
    for block, (_, rows, _) in enumerate(impaired_ear.adapted(heard, BLOCK, False, threads, TAPS, TAPS)):
        start = block * BLOCK
        first = max(start // SPACING - _LATE, 0)
        stop = total if start + BLOCK >= size else start // SPACING + PER_BLOCK - _LATE
        ready = np.empty((2, stop - first, BANDS))
        at = SPACING * first - TAPS // 2 + 1 - start + TAPS  # row of the first sample that the first one needs
        engine.threads.in_threads(lambda s: _smooth(rows[s, at:], low_pass, ready[s]), range(2), threads)  # noqa: B023
        audible = np.flatnonzero(np.mean(10 ** (ready[0] / 20), axis=1) > 10 ** (AUDIBLE / 20))
        ready = ready[:, audible]
        if cells:
            at_cell = np.clip((offset + SPACING * (first + audible)) // CELL, 0, cells - 1)
            parts.add(at_cell, ready[1] - ready[0])
        kept.append((ready @ bases()[:, 1:]).astype(np.float32))
    return np.concatenate(kept, axis=1), parts.squares()


class Deviations:
    """Squared differences of two signals in each band without their mean, summed over cells of time."""

    def __init__(self, cells: int) -> None:
        self._counts = np.zeros(cells)
        self._sums, self._squares = np.zeros((2, cells, BANDS))

    def add(self, cells: Array, difference: Array) -> None:
        """Differences [sample, band] that belong to cells [sample], ascending."""
        if not cells.size:
            return
        first = np.flatnonzero(np.diff(cells, prepend=-1))
        at = cells[first]
        self._counts[at] += np.diff(first, append=cells.size)
        self._sums[at] += np.add.reduceat(difference, first)
        self._squares[at] += np.add.reduceat(difference**2, first)

    def squares(self) -> Array:
        """[cell, band]"""
        mean = self._sums.sum(0) / max(self._counts.sum(), 1)
        result: Array = self._squares - 2 * mean * self._sums + self._counts[:, None] * mean**2
        return result.clip(0)


def covariances(cepstra: Array, jitter: float = JITTER) -> Array:
    """Magnitude of the normalised covariance of the two sides [2, sample, basis] behind each modulation filter, mean of
    the bases [filter]; 0 where a side is silent.

    jitter: dB, of noise in the envelopes, whose energy is added to both sides as it is expected to be.
    """
    count = cepstra.shape[1]
    means = cepstra.mean(axis=1, dtype=np.float64)
    filters = modulation_filters()
    half = filters[0].size // 2
    size = min(MODULATION_BLOCK, engine.fft.fast_length(count + 2 * half))
    step = size - 2 * half
    centred = np.zeros((len(filters), size))
    for row, taps in zip(centred, filters, strict=True):
        row[: taps.size] = taps
        row[:] = np.roll(row, -(taps.size // 2))
    responses = engine.fft.rfft(centred).real
    rows = cepstra.shape[2]
    sums = np.zeros((5, len(filters), rows))
    for start in range(0, count, step):
        piece = np.zeros((2, rows, size))
        low, high = max(start - half, 0), min(start + step + half, count)
        piece[:, :, low - start + half : high - start + half] = (cepstra[:, low:high] - means[:, None]).swapaxes(1, 2)
        spectra = engine.fft.rfft(piece)
        used = slice(half, half + min(step, count - start))
        for i, response in enumerate(responses):
            x, y = engine.fft.irfft(spectra * response, size)[:, :, used]
            sums[:, i] += x.sum(1), y.sum(1), (x * x).sum(1), (y * y).sum(1), (x * y).sum(1)
    x, y, xx, yy, xy = sums
    xx, yy, xy = xx - x * x / count, yy - y * y / count, xy - x * y / count
    inside = np.maximum(count - np.abs(np.arange(-half, half + 1)), 0)  # samples that a tap of that lag meets
    hiss = [jitter**2 * np.sum(h**2 * inside[half - h.size // 2 : half + h.size // 2 + 1]) for h in filters]
    xx, yy = xx + np.array(hiss)[:, None], yy + np.array(hiss)[:, None]
    silent = (xx < impaired_ear.SMALL) | (yy < impaired_ear.SMALL)
    result: Array = np.where(silent, 0.0, np.abs(xy) / np.sqrt(np.where(silent, 1.0, xx * yy))).mean(axis=1)
    return result


_LATE = 2  # envelope samples of a block that wait for the next one


@cache
def _low_pass() -> Array:
    """A Hann window without its zeros, each half by itself."""
    rising = 0.5 * (1 - np.cos(2 * pi / (TAPS + 1) * np.arange(1, TAPS // 2 + 1)))
    taps: Array = np.concatenate([rising, rising[::-1]])
    taps /= taps.sum()
    return taps


@fused_kernel
def _smooth(envelope: Array, taps: Array, out: Array) -> None:
    """out[m, band] = sum of taps[i] envelope[SPACING m + i]; a multiple of four taps."""
    for m in range(len(out)):
        row = out[m]
        row[:] = 0.0
        for i in range(0, taps.size, 4):
            p = envelope[SPACING * m + i]
            q = envelope[SPACING * m + i + 1]
            r = envelope[SPACING * m + i + 2]
            s = envelope[SPACING * m + i + 3]
            for k in range(BANDS):
                row[k] += taps[i] * p[k] + taps[i + 1] * q[k] + taps[i + 2] * r[k] + taps[i + 3] * s[k]
