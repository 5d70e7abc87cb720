"""Cross-correlation over lags of either sign, summed block by block: memory does not grow with the recording."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.fft import fast_length, irfft, rfft

Array = NDArray[Any]


class Correlation:
    """sum of ref[n + lag] conj(test[n]) over all n for lag -reach..reach, of rows of single precision.

    Blocks of the reference, of at most `block` samples, follow one another; each comes with the test from `reach`
    samples before its start to as much after its end.
    """

    def __init__(self, rows: int, reach: int, block: int, complex_rows: bool = False) -> None:
        self._reach, self._complex = reach, complex_rows
        self._size = fast_length(block + 2 * reach)
        self._cross = np.zeros((rows, self._size if complex_rows else self._size // 2 + 1), np.complex64)

    def add(self, first: int, ref: Array, test: Array) -> None:
        """ref [row, n] and test [row, n + 2 reach], for the rows from `first` on."""
        spectra = [self._spectrum(x) for x in (ref, test)]
        self._cross[first : first + len(ref)] += spectra[0] * np.conj(spectra[1])

    def by_lag(self, factor: int = 1) -> Array:
        """[row, lag], with factor - 1 lags interpolated between two, from -reach to reach."""
        size = self._size * factor
        if self._complex:
            import scipy.fft

            half = self._size // 2
            padded = np.zeros((len(self._cross), size), np.complex64)
            padded[:, :half] = self._cross[:, :half]
            padded[:, half - self._size :] = self._cross[:, half:]
            circular = scipy.fft.ifft(padded)
        else:
            cross = self._cross.copy()
            if factor > 1 and self._size % 2 == 0:
                cross[:, -1] /= 2  # half of it belongs to the negative frequency
            circular = irfft(cross, size)
        reach = self._reach * factor
        # test[0] stands `reach` before ref[0]: lag l is at l - reach, modulo the size
        result: Array = circular[:, np.arange(-2 * reach, 1) % size] * factor
        return result

    def _spectrum(self, x: Array) -> Array:
        if not self._complex:
            return rfft(x, self._size)
        import scipy.fft

        spectrum: Array = scipy.fft.fft(x, self._size)
        return spectrum
