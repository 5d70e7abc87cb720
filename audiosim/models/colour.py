"""Colour of a recording: the power of its frames in bands of hearing, at 48 kHz.

Hann frames of 85 ms, half overlapping, zeros beyond the ends. 32 bands from 40 Hz to 16 kHz, evenly spaced in ERB-rate.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.frames import STFT
from ..hearing import scales

Array = NDArray[Any]

RATE = 48000  # Hz
FRAME, HOP = 4096, 2048
BANDS, LOWEST, HIGHEST = 32, 40.0, 16000.0
SILENCE = 1e-30  # mean power that silence is given


@cache
def stft() -> STFT:
    return STFT.of(FRAME, HOP, pad="zero")


@cache
def cuts() -> Array:
    """Edges of the bands in bins, int64 [band + 1]."""
    hz = scales.erb_rate_inverse(np.linspace(scales.erb_rate(LOWEST), scales.erb_rate(HIGHEST), BANDS + 1))
    return np.round(hz * (FRAME / RATE)).astype(np.int64)


@cache
def centres() -> Array:
    """Of the bands, Hz [band]."""
    return (cuts()[1:] + cuts()[:-1]) / 2 * (RATE / FRAME)
