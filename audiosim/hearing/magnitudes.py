"""Magnitude, power and mel spectra of a pair, and the options that say how they are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..engine.frames import STFT
from ..errors import UsageError
from ..options import AT_LEAST_ONE, AT_LEAST_ZERO, Within
from . import scales
from .weighting import Weighted

Array = NDArray[Any]

Distance = Annotated[Literal["l1", "l2"], "mean absolute or mean squared difference of magnitudes"]
Window = Annotated[Literal["hann", "hamming", "blackman", "rectangular"], "periodic window"]
FrameSize = Annotated[int, Within(2, 1 << 20), "samples of a frame"]
Hop = Annotated[int, AT_LEAST_ONE, "samples between frames"]
Scale = Literal["mel", "linear", "bark", "gammatone", "human-factor"]
POWER = Within(1e-37, 1, open_high=True)  # a power re full scale that float32 knows
Floor = Annotated[float, POWER, "lower clamp of the power of a bin, re full scale"]


@dataclass(frozen=True, slots=True, eq=False)
class MelFilters:
    """Slaney triangles, or other bands, with the bins that each of them uses."""

    weights: Array  # float64 [band, bin]
    starts: Array
    stops: Array
    centres: Array  # Hz

    @classmethod
    def of(
        cls, rate: int, n_fft: int, bands: int, fmin: float = 0.0, fmax: float = 0.0, scale: Scale = "mel"
    ) -> MelFilters:
        """fmax 0: half the rate. UsageError for an impossible range."""
        return _filters(rate, n_fft, bands, fmin, fmax, scale)

    def projector(self, dtype: Any) -> Callable[[Array], Array]:
        """[signal, frame, bin] -> [signal, frame, band]."""
        weights = self.weights.astype(dtype)

        def project(values: Array) -> Array:
            out = np.empty((*values.shape[:2], self.centres.size), dtype)
            engine.divergence.project(values, self.starts, self.stops, weights, out)
            return out

        return project

    def transposed(self, dtype: Any) -> Callable[[Array], Array]:
        """The transpose of projector: [part, frame, band] -> [part, frame, bin]."""
        weights = self.weights.astype(dtype)

        def project(values: Array) -> Array:
            out = np.empty((*values.shape[:2], weights.shape[1]), dtype)
            engine.transposes.transposed_project(values, self.starts, self.stops, weights, out)
            return out

        return project


@lru_cache(maxsize=16)
def _filters(rate: int, n_fft: int, bands: int, fmin: float, fmax: float, scale: Scale) -> MelFilters:
    """Made once: they cost more than a second of sound takes to measure."""
    make = {
        "mel": scales.mel_filters,
        "linear": scales.linear_filters,
        "bark": scales.bark_filters,
        "gammatone": scales.gammatone_filters,
        "human-factor": scales.human_factor_filters,
    }[scale]
    weights, centres = make(rate, n_fft, bands, fmin, fmax or None)
    return MelFilters(weights, *scales.support(weights), centres)


@dataclass(frozen=True, kw_only=True)
class Spectral(Weighted):
    """Options of a metric of short-time spectra."""

    n_fft: FrameSize = 2048
    hop: Hop = 512
    win: Annotated[int, AT_LEAST_ZERO, "samples of the window, 0 for n_fft"] = 0
    window: Window = "hann"

    float64: ClassVar[bool] = True

    def check(self) -> None:
        super().check()
        if self.win > self.n_fft:
            raise UsageError(f"win must be 1 to n_fft={self.n_fft} samples, not {self.win}")

    def stft(self, pad: Literal["reflect", "zero"] = "reflect", centre: bool = True) -> STFT:
        """Frames as torch.stft cuts them: centred, and padded at the ends."""
        return STFT.of(self.n_fft, self.hop, self.window, self.win or self.n_fft, centre, pad)


@dataclass(frozen=True, kw_only=True)
class ShortSpectral(Spectral):
    """As Spectral, with shorter frames unless others are asked for."""

    n_fft: FrameSize = 1024
    hop: Hop = 256


@dataclass(frozen=True, kw_only=True)
class MelSpectral(Spectral):
    """Options of a metric of spectra in mel bands."""

    bands: Annotated[int, AT_LEAST_ONE, "mel bands"] = 128
    fmin: Annotated[float, AT_LEAST_ZERO, "Hz, lower end of the lowest band"] = 0.0
    fmax: Annotated[float, AT_LEAST_ZERO, "Hz, upper end of the highest band, 0 for half the rate"] = 0.0

    def mel(self, rate: int) -> MelFilters:
        """UsageError where the bands do not fit below half the rate."""
        return MelFilters.of(rate, self.n_fft, self.bands, self.fmin, self.fmax)


def power(spectra: Array, floor: float) -> Array:
    """max(|X|^2, floor) of complex [signal, frame, bin]."""
    out = np.empty(spectra.shape, spectra.real.dtype)
    engine.divergence.powers(spectra.view(out.dtype), floor, out)
    return out


def magnitude(spectra: Array, floor: float) -> Array:
    """sqrt(max(|X|^2, floor)) of complex [signal, frame, bin]."""
    out = np.empty(spectra.shape, spectra.real.dtype)
    engine.divergence.magnitudes(spectra.view(out.dtype), floor, out)
    return out
