"""Mel spectra as networks were fed with them: what librosa.feature.melspectrogram makes, in float64."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..engine.windows import periodic

Array = NDArray[Any]

FRAMES = 512  # at once


def mel(
    x: Array, filters: Array, window: int, hop: int, power: float, pad: Literal["reflect", "constant"] = "constant"
) -> Array:
    """Mel spectra [frame, band] of x [sample]: sums of |X|^power of frames under a periodic Hann window of so many
    samples, centred on every hop-th sample.

    filters: [band, bin], which say how long the Fourier transform is. pad: what lies beyond the ends, over half the
    length of the transform.
    """
    n_fft = 2 * (filters.shape[1] - 1)
    padded = np.pad(np.asarray(x, np.float64), n_fft // 2, mode=pad)
    start = (n_fft - window) // 2
    frames = sliding_window_view(padded, n_fft)[::hop, start : start + window]
    taper, weights = periodic("hann", window), np.ascontiguousarray(filters.T)
    found = np.empty((len(frames), len(filters)))
    for first in range(0, len(frames), FRAMES):
        magnitudes = np.abs(np.fft.rfft(frames[first : first + FRAMES] * taper, n_fft, axis=1))
        found[first : first + FRAMES] = (magnitudes if power == 1 else magnitudes**power) @ weights
    return found
