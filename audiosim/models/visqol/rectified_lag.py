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

Array = NDArray[Any]

SMALLEST_FFT = 32
LONG = 1 << 25  # samples of the correlation from which it is computed in float32, as all are in the original


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
