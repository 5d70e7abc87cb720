"""Timbre as the distribution of the mel-frequency cepstra of short frames, whatever their order.

Frames are of 46 ms at 22.05 kHz, half overlapping and whole; their power is taken in 36 mel bands, over the mean of all
frames and bands, and to ln(1 + 10^8 x): what lies 80 dB below the mean is silence. An orthonormal DCT-II gives the
cepstra. So no gain changes them.

convention "musly" takes the steps of musly's methods mandelellis and timbre: the central 60 s, a peak of 96 dB, a
symmetric window, its own mel triangles, ln(1 + x) (github.com/dominikschnitzer/musly, libmusly at 2.0).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..dsp import cepstrum, gaussians
from ..engine import fold
from ..engine.frames import STFT
from ..errors import NoFeature
from ..hearing import scales
from ..hearing.magnitudes import MelFilters, power
from ..result import Twin
from .unaligned import too_short

Array = NDArray[Any]
Convention = Literal["plain", "musly"]

RATE = 22050  # Hz
FRAME, HOP, BANDS = 1024, 512, 36
LOWEST = 20.0  # Hz
FLOOR = 1e-8  # of the mean power
SILENCE = 1e-30  # mean power that silence is given
LONGEST = 60 * RATE  # samples that musly takes
PEAK = 10 ** (96 / 20)  # that it brings them to


def shortest(frames: int) -> int:
    """Samples of so many frames."""
    return FRAME + (frames - 1) * HOP


def cepstra(x: Array, coefficients: int, convention: Convention = "plain") -> Array:
    """Of x [sample] at RATE: float64 [frame, coefficient]. NoFeature where it is too short for so many frames and one
    more."""
    musly = convention == "musly"
    if musly:
        start = max(0, (x.size - LONGEST) // 2)
        x = x[start : start + LONGEST]
        x = x * (PEAK / np.abs(x).max())
    frames = stft(convention)
    if frames.count(x.size) <= coefficients:
        raise NoFeature(f"is {too_short(x.size, shortest(coefficients + 1), RATE)}")
    mel = filters(convention).projector(np.float64)
    bands = np.concatenate([mel(power(z[None], 0.0))[0] for z in fold.spectra(x, frames)])
    if not musly:
        bands /= FLOOR * (bands.mean() + SILENCE)
    result: Array = np.log1p(bands) @ cepstrum.dct(BANDS)[:coefficients].T
    return result


@cache
def stft(convention: Convention) -> STFT:
    if convention == "musly":
        return STFT(FRAME, HOP, np.hanning(FRAME), 0, 0, "zero")
    return STFT.of(FRAME, HOP, centre=False, pad="zero")


@cache
def filters(convention: Convention) -> MelFilters:
    if convention == "plain":
        return MelFilters.of(RATE, FRAME, BANDS, LOWEST)
    hz = np.linspace(LOWEST, RATE // 2, int(RATE / 2 - LOWEST))  # that edges are rounded to
    mel = 1127.01048 * np.log1p(hz / 700)
    edges = hz[[np.abs(mel - m).argmin() for m in np.linspace(1, mel[-1], BANDS + 2)]]
    weights, centres = scales.triangles(edges, RATE, FRAME)
    return MelFilters(weights, *scales.support(weights), centres)


def cepstra_torch(coefficients: int, convention: Convention) -> Any:
    """x [item, sample] -> [item, frame, coefficient], as cepstra; InputError where it is too short."""
    from ..engine import tensors
    from ..errors import InputError
    from ..hearing.tensors import mel

    frames = stft(convention)
    transform, bands = tensors.spectra(frames), mel(filters(convention))
    basis = tensors.Constant(cepstrum.dct(BANDS)[:coefficients].T)

    def of(x: Any) -> Any:
        if frames.count(x.shape[1]) <= coefficients:
            raise InputError(too_short(x.shape[1], shortest(coefficients + 1), RATE))
        if convention == "musly":
            start = max(0, (x.shape[1] - LONGEST) // 2)
            x = x[:, start : start + LONGEST]
            x = x * (PEAK / x.abs().amax(1, keepdim=True).clamp(min=SILENCE))
        power = bands(tensors.power(transform(x), 0.0))
        if convention == "plain":
            power = power / (FLOOR * (power.mean((1, 2), keepdim=True) + SILENCE))
        return tensors.product(power.log1p(), basis(power))

    return of


def twin(coefficients: int, convention: Convention, ridge: float, divergence: Callable[[Any, Any], Any]) -> Twin:
    """The divergence of Gaussians of the cepstra, of the mean of all channels, in float64."""
    import torch

    from ..hearing.tensors import in_float64

    cepstra = cepstra_torch(coefficients, convention)

    def value(ref: Any, test: Any) -> Any:
        def one(r: Any, t: Any) -> Any:
            return divergence(*(gaussians.fit_torch(cepstra(x.mean(0)[None])[0], ridge) for x in (r, t)))

        return torch.stack([one(r, t) for r, t in zip(ref, test, strict=True)])[:, None]

    return in_float64(value)
