"""The lag between two recordings by the cross-correlation of their rectified waveforms, as ViSQOL 3 finds it.

google/visqol at 38d0b01, envelope.cc and xcorr.cc. What is called an upper envelope there is none: the inverse
transform of the one-sided spectrum is taken for real, which leaves |2 (x - mean)| + mean, of x without its component at
half the rate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.fft import fast_length, irfft, rfft
from .downmix import Downmix

Array = NDArray[Any]

SMALLEST_FFT = 32
LONG = 1 << 25  # samples of the correlation from which it is computed in float32, as all are in the original
COARSE_RATE = 250  # Hz, at which likely lags of long recordings are looked for
TREND = 25  # lags at that rate on either side, above whose mean a likely one sticks out
LIKELY = 4  # such lags, at most,
CLOSE = 0.5  # that stick out by so much of what the first one does
BLOCK = 1 << 20  # samples that are held
FFT = 1 << 16  # samples


def lag(ref: Array, test: Array) -> int:
    """Samples by which the test [sample] must be moved later to lie as the reference [sample] does, 0 where that is
    more than half of the reference. Both float64, one sample or more."""
    size = fast_length(len(ref) + len(test) - 1)
    dtype = np.float32 if size > LONG else np.float64
    product = rfft(rectified(ref).astype(dtype, copy=False), size)
    other = rfft(rectified(test).astype(dtype, copy=False), size)
    product *= np.conj(other, out=other)
    del other
    correlation = irfft(product, size)
    del product
    # lags from 1 - len(test) to len(ref) - 1, the others being 0 there; the first of equals, and those are next to none
    early, late = correlation[size - len(test) + 1 :], correlation[: len(ref)]
    best = int(np.argmax(late))
    if len(early) and early.max() >= late[best]:
        best = int(np.argmax(early)) - len(early)
    return best if abs(best) <= len(ref) / 2 else 0


def rectified(x: Array) -> Array:
    """|2 (x - mean) - a (-1)^n| + mean of x [sample], where a takes out what lies at half the rate."""
    size = max(SMALLEST_FFT, 1 << (len(x) - 1).bit_length())
    mean = x.mean()
    y: Array = x - mean
    at_half_rate = (y[::2].sum() - y[1::2].sum()) / size
    at_zero = y.sum() / size
    weight = 1.0 if len(x) == size else 2.0
    y *= 2
    y[::2] -= at_zero + weight * at_half_rate
    y[1::2] -= at_zero - weight * at_half_rate
    np.abs(y, out=y)
    y += mean
    return y


def coarse_to_fine(ref: Downmix, test: Downmix, rate: int) -> int:
    """As lag, of recordings too long to be transformed at once: the largest correlation near those lags that stick out
    when means of 4 ms are correlated. It differs where no lag sticks out, as in unrelated recordings."""
    r, t = Rectified(ref), Rectified(test)
    step = max(1, rate // COARSE_RATE)
    x, y = r.sums(step), t.sums(step)
    if not y.any():
        return 0
    size = fast_length(len(x) + len(y) - 1)
    whole = irfft(rfft(x, size) * np.conj(rfft(y, size)), size)
    correlation = np.concatenate([whole[size - len(y) + 1 :], whole[: len(x)]])
    likely = {int(np.argmax(correlation))}
    sums = np.cumsum(np.pad(correlation, (TREND + 1, TREND), "edge"))
    above = correlation - (sums[2 * TREND + 1 :] - sums[: -2 * TREND - 1]) / (2 * TREND + 1)
    least = CLOSE * above.max()
    for _ in range(LIKELY):
        place = int(np.argmax(above))
        if above[place] < least:
            break
        likely.add(place)
        above[max(place - 2, 0) : place + 3] = -np.inf
    firsts = [(place - (len(y) - 1) - 2) * step for place in sorted(likely)]
    near = [_lags(r, t, first, 4 * step + 1) for first in firsts]
    best = int(np.argmax([c.max() for c in near]))
    found = firsts[best] + int(np.argmax(near[best]))
    return found if abs(found) <= len(ref) / 2 else 0


class Rectified:
    """The rectified waveform of a long recording, made where it is read."""

    def __init__(self, x: Downmix) -> None:
        self.x = x
        self.mean = sum(float(part.sum()) for part in x.pieces()) / len(x)
        size = 1 << (len(x) - 1).bit_length()
        weight = 1.0 if len(x) == size else 2.0
        signs = np.resize([1.0, -1.0], x.long)
        total = sum((-1.0) ** (k * x.long) * float(part @ signs[: part.size]) for k, part in enumerate(x.pieces()))
        self.at_half_rate = weight * (total - self.mean * (len(x) % 2)) / size

    def read(self, first: int, count: int) -> Array:
        """So many samples from one on, zeros outside."""
        out = np.zeros(count)
        inside = slice(min(max(-first, 0), count), max(min(len(self.x) - first, count), 0))
        part = out[inside]
        if part.size:
            part += self.x.read(first + inside.start, first + inside.stop)
            part -= self.mean
            part *= 2
            odd = (first + inside.start) % 2
            part[odd::2] -= self.at_half_rate
            part[1 - odd :: 2] += self.at_half_rate
            np.abs(part, out=part)
            part += self.mean
        return out

    def sums(self, step: int) -> Array:
        """Over every so many samples."""
        count = max(1, BLOCK // step) * step
        parts = [self.read(k, count).reshape(-1, step).sum(1) for k in range(0, len(self.x), count)]
        return np.concatenate(parts)[: -(-len(self.x) // step)]


def _lags(ref: Rectified, test: Rectified, first: int, count: int) -> Array:
    """Sums of ref[n + k] test[n] for so many lags k from the first on."""
    size = max(FFT, fast_length(4 * count))
    step = size - count + 1
    total = np.zeros(size // 2 + 1, np.complex128)
    for n in range(max(0, -first - count + 1), min(len(test.x), len(ref.x) - first), step):
        total += rfft(ref.read(n + first, size)) * np.conj(rfft(test.read(n, step), size))
    return irfft(total, size)[:count]
