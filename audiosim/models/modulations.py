"""Modulations of a recording in bands of hearing: rhythm, whatever its phase.

x at 22.05 kHz is cut into Hann frames of 23 ms, half overlapping; the power is taken in 20 bands of hearing, evenly
spaced in Bark, at a level of 70 dB SPL for the mean power of the recording.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import fold
from ..engine.frames import STFT
from ..errors import NoFeature
from ..hearing import loudness, scales
from .unaligned import too_short

Array = NDArray[Any]

RATE = 22050  # Hz
FRAME, HOP, BANDS = 512, 256, 20
LEVEL = 70.0  # dB SPL of the mean power
SEGMENT = 256  # frames, 3 s
SILENCE = 1e-30  # mean power that silence is given, in gradients


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
        raise NoFeature(f"is {too_short(x.size, FRAME + (SEGMENT - 1) * HOP, RATE)}")
    x = x / np.sqrt(np.mean(x**2))
    power = np.concatenate([(z.real**2 + z.imag**2) @ weights().T for z in fold.spectra(x, stft())])
    result: Array = np.expm1(loudness.EXPONENT * np.log1p(power))
    return result


def segments(frames: Array, step: int) -> Array:
    """Stretches of SEGMENT frames, every step frames: [segment, band, frame] of [frame, band]."""
    return np.lib.stride_tricks.sliding_window_view(frames, SEGMENT, axis=0)[::step]


def sensation_torch() -> Callable[[Any], Any]:
    """x [item, channel, sample] -> that of the mean of the channels [item, frame, band]."""
    from ..engine import tensors
    from ..errors import InputError

    frames, bands = stft(), tensors.Constant(weights().T)
    transform = tensors.spectra(frames)

    def of(x: Any) -> Any:
        x = x.mean(1)
        if frames.count(x.shape[1]) < SEGMENT:
            raise InputError(too_short(x.shape[1], FRAME + (SEGMENT - 1) * HOP, RATE))
        x = x / (x.square().mean(1, keepdim=True) + SILENCE).sqrt()
        power = tensors.power(transform(x), 0.0)
        return (loudness.EXPONENT * tensors.product(power, bands(power)).log1p()).expm1()

    return of


def frequencies() -> Array:
    """Of the bins of the spectrum of a segment, Hz."""
    result: Array = np.arange(SEGMENT // 2 + 1) * (RATE / (HOP * SEGMENT))
    return result
