"""Another sampling rate by a short polyphase filter, where a model was made with it: scipy.signal.resample_poly's."""

from __future__ import annotations

from functools import cache
from math import gcd
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernel import kernel

Array = NDArray[Any]

ARM = 10  # samples of the lower rate on either side


def resampled(x: Array, rate: int, wanted: int) -> Array:
    """x [sample] at `wanted` Hz instead of `rate`, float64; as many samples as begun."""
    common = gcd(rate, wanted)
    up, down = wanted // common, rate // common
    out = np.empty(-(-x.size * up // down))
    _resample(x, up, down, _taps(up, down), out)
    return out


@cache
def _taps(up: int, down: int) -> Array:
    """A sinc that cuts at the lower of the two bands, under a Kaiser window of shape 5."""
    wide = max(up, down)
    at = np.arange(-ARM * wide, ARM * wide + 1)
    taps = np.sinc(at / wide) * np.kaiser(at.size, 5.0)
    result: Array = taps * (up / taps.sum())
    return result


@kernel
def _resample(x: Array, up: int, down: int, taps: Array, out: Array) -> None:
    """out[m] = sum of taps[half + m down - n up] x[n]."""
    half = taps.size // 2
    for m in range(out.size):
        centre = m * down
        low = max((centre - half + up - 1) // up, 0)
        high = min((centre + half) // up, x.size - 1)
        total = 0.0
        at = half + centre - low * up
        for n in range(low, high + 1):
            total += taps[at] * x[n]
            at -= up
        out[m] = total
