"""Modulations of a recording in bands of hearing: rhythm, whatever its phase.

x at 22.05 kHz is cut into Hann frames of 23 ms, half overlapping; the power is taken in 20 bands of hearing, evenly
spaced in Bark, at a level of 70 dB SPL for the mean power of the recording.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import fold
from ..engine.frames import STFT
from ..errors import NoFeature
from ..hearing import loudness, scales

Array = NDArray[Any]

RATE = 22050  # Hz
FRAME, HOP, BANDS = 512, 256, 20
LEVEL = 70.0  # dB SPL of the mean power
SEGMENT = 256  # frames, 3 s


@cache
def stft() -> STFT:
    return STFT.of(FRAME, HOP, centre=False, pad="zero")


@cache
def weights() -> Array:
    """From |X|^2 to excitation over the threshold in quiet, of a recording of mean square 1 [band, bin]."""
    bands, centres = scales.bark_filters(RATE, FRAME, BANDS, 60.0, 10000.0)
    hz = stft().frequencies(RATE)
    gain = 10 ** ((LEVEL + loudness.transmission(hz) - loudness.internal_noise(centres)[:, None]) / 10)
    result: Array = 2 * bands * gain / (FRAME * np.sum(stft().window ** 2))
    return result


def sensation(x: Array) -> Array:
    """Specific loudness of x [sample] at RATE, up to a factor: float64 [frame, band]. NoFeature where it is shorter
    than a segment."""
    frames = stft().count(x.size)
    if frames < SEGMENT:
        needed = (FRAME + (SEGMENT - 1) * HOP) / RATE
        raise NoFeature(f"is too short: {needed:.3f} s are needed, there are {x.size / RATE:.3g} s")
    x = x / np.sqrt(np.mean(x**2))
    power = np.concatenate([(z.real**2 + z.imag**2) @ weights().T for z in fold.spectra(x, stft())])
    result: Array = np.expm1(loudness.EXPONENT * np.log1p(power))
    return result


def segments(frames: Array, step: int) -> Array:
    """Stretches of SEGMENT frames, every step frames: [segment, band, frame] of [frame, band]."""
    return np.lib.stride_tricks.sliding_window_view(frames, SEGMENT, axis=0)[::step]


def frequencies() -> Array:
    """Of the bins of the spectrum of a segment, Hz."""
    result: Array = np.arange(SEGMENT // 2 + 1) * (RATE / (HOP * SEGMENT))
    return result
