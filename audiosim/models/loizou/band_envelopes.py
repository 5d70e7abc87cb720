"""Envelopes of 20 bands of speech at 32 Hz: Butterworth band-passes, the magnitude of the analytic signal, a low-pass
of 16 Hz. Ma, Hu and Loizou 2009, JASA 125(5), section II; Goldsworthy and Greenberg 2004.

Band and analytic signal come out of one spectrum of a block of samples, with as much before and after as they ring. As
in the authors' program the analytic signal is that of a recording repeated for ever, without what rings beyond its end:
around the seam it is taken once more.
"""

from __future__ import annotations

from functools import lru_cache
from math import pi
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import engine

if TYPE_CHECKING:
    from ...engine.stream import Stream

Array = NDArray[Any]

BANDS = 20
LOWEST, BELOW_NYQUIST = 300.0, 600.0  # Hz: first edge, and the last one below half the rate
PLACE = 165.0  # Hz: A of Greenwood's map of the cochlea
ORDER = 4
RATE = 32  # Hz of the envelopes
REACH, BETA = 10, 5.0  # half the taps of the low-pass in samples of the envelope; of its Kaiser window

BLOCK = 1 << 16  # samples of which a spectrum is taken
BEFORE, AFTER = 0.5, 0.25  # seconds that bands ring, and that an analytic signal looks ahead
SEAM = 1 << 14  # samples to either side of the seam


def edges(rate: int) -> Array:
    """Hz [band + 1], evenly along the cochlea. Greenwood 1990."""
    first, last = np.log10(np.array([LOWEST, rate / 2 - BELOW_NYQUIST]) / PLACE + 1)
    hz: Array = PLACE * (10 ** np.linspace(first, last, BANDS + 1) - 1)
    return hz


def centres(rate: int) -> Array:
    """Hz [band]."""
    hz = edges(rate)
    middles: Array = (hz[1:] + hz[:-1]) / 2
    return middles


@lru_cache(maxsize=8)
def responses(rate: int, n: int) -> Array:
    """Of the band-passes at the frequencies of a real spectrum of n samples: complex [band, n // 2 + 1].

    Butterworth by the bilinear transform: 1 / prod_k (u - p_k), u = (s^2 + w_1 w_2) / (s (w_2 - w_1)), s = i w,
    w = tan(pi f / rate).
    """
    low, high = np.tan(pi * np.array([edges(rate)[:-1], edges(rate)[1:]]) / rate)[..., None]
    w = np.tan(pi * np.arange(1, (n + 1) // 2) / n)
    u = 1j * (w - low * high / w) / (high - low)
    poles = np.exp(1j * pi * (2 * np.arange(1, ORDER + 1) + ORDER - 1) / (2 * ORDER))
    response = np.zeros((BANDS, n // 2 + 1), complex)  # nothing at 0 and at half the rate
    response[:, 1 : w.size + 1] = 1 / np.prod([u - p for p in poles], axis=0)
    return response


@lru_cache(maxsize=4)
def low_pass(every: int) -> Array:
    """Taps [2 REACH every + 1] to keep one of so many samples."""
    n = np.arange(-REACH * every, REACH * every + 1)
    taps = np.sinc(n / every) * np.kaiser(n.size, BETA)
    result: Array = taps / taps.sum()
    return result


def envelopes(stream: Stream, rate: int, threads: int = 1) -> Array:
    """[sample at 32 Hz, band] of a stream at 8 or 16 kHz."""
    every, length = rate // RATE, stream.length
    count = -(-length // every)
    taps = np.zeros(((2 * REACH + 2) * every,))
    taps[: 2 * REACH * every + 1] = low_pass(every)
    spread = taps[np.arange(2 * REACH + 1) * every - np.arange(every)[:, None]]  # [sample, envelope's sample]
    before, after = round(BEFORE * rate), round(AFTER * rate)
    step = (BLOCK - before - after) // every * every
    short = length <= 2 * SEAM
    near = length if short else SEAM // 2  # what the seam answers for, at either end
    H = responses(rate, BLOCK)

    def smoothed(band: int, magnitudes: Array, start: int, out: Array) -> None:
        """Adds what these samples [from start] give to the envelope."""
        lead = start % every
        chunks = np.zeros((-(-(lead + magnitudes.size) // every), every))
        chunks.reshape(-1)[lead : lead + magnitudes.size] = magnitudes
        parts = chunks @ spread
        first = start // every
        for d in range(parts.shape[1]):
            out[first + d : first + d + len(parts), band] += parts[:, d]

    def task(start: int) -> Array:
        z = engine.fft.rfft(_read(stream, start - before, BLOCK))
        stop = min(start + step, length - near)
        first = max(start, near)
        out = np.zeros((step // every + 2 * REACH + 1, BANDS))
        analytic = np.zeros(BLOCK, complex)
        for band in range(BANDS):
            analytic[: z.size] = 2 * z * H[band]
            analytic[z.size :] = 0
            magnitudes = engine.fft.analytic_magnitude(analytic)
            at = first - start + before
            smoothed(band, magnitudes[at : at + stop - first], first - start, out)
        return out

    out = np.zeros((count + 2 * REACH + 1 + step // every, BANDS))
    starts = range(0, 0 if short else length - near, step)
    for start, part in zip(starts, engine.threads.in_threads(task, starts, threads), strict=True):
        out[start // every : start // every + len(part)] += part
    head, tail = (length // 2, length - length // 2) if short else (SEAM, SEAM)
    for band, seam in enumerate(_seam(stream, rate, head, tail, before)):
        keep = (head, tail) if short else (near, near)
        smoothed(band, seam[tail : tail + keep[0]], 0, out)
        smoothed(band, seam[tail - keep[1] : tail], length - keep[1], out)
    result: Array = out[REACH : REACH + count]
    return result


def _seam(stream: Stream, rate: int, head: int, tail: int, before: int) -> Any:
    """Magnitude of the analytic signal of each band over the last and the first samples, joined [tail + head]."""
    n = engine.fft.fast_length(max(head, tail) + before)
    H = responses(rate, n)
    first = engine.fft.rfft(_read(stream, 0, head), n)
    last = engine.fft.rfft(_read(stream, stream.length - tail - before, tail + before), n)
    joined = tail + head
    for response in H:
        end = engine.fft.irfft(last * response, n)[before : before + tail]
        z = engine.fft.rfft(np.concatenate([end, engine.fft.irfft(first * response, n)[:head]]))
        analytic = np.zeros(joined, complex)
        analytic[: z.size] = z
        analytic[1 : (joined + 1) // 2] *= 2
        yield engine.fft.analytic_magnitude(analytic)


def _read(stream: Stream, start: int, count: int) -> Array:
    """float64 [count], zero outside of the stream."""
    return engine.stream.part(stream, start, count).astype(np.float64)
