"""The real FFT that all spectral metrics use: the one place that names an FFT."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


def rfft(x: Array, n: int | None = None) -> Array:
    """Real FFT over the last axis, in the dtype given."""
    import scipy.fft

    result: Array = scipy.fft.rfft(x, n)
    return result


def irfft(x: Array, n: int) -> Array:
    """Inverse of rfft, n samples."""
    import scipy.fft

    result: Array = scipy.fft.irfft(x, n)
    return result


def analytic_magnitude(spectra: Array) -> Array:
    """|inverse complex FFT| over the last axis: of the bins of a band above 0 Hz, its envelope at a lower rate."""
    import scipy.fft

    result: Array = np.abs(scipy.fft.ifft(spectra, overwrite_x=True))
    return result


def fast_length(n: int) -> int:
    """The next length that rfft handles fast."""
    import scipy.fft

    return int(scipy.fft.next_fast_len(n, real=True))
