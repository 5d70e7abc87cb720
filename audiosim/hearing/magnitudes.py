"""Magnitude, power and mel spectra of a pair, and distances of powers with their gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..engine.frames import STFT
from ..errors import UsageError
from . import scales

if TYPE_CHECKING:
    from ..engine.fold import Measure
    from ..engine.transposes import Objective

Array = NDArray[Any]

Distance = Annotated[Literal["l1", "l2"], "mean absolute or mean squared difference of magnitudes"]
Window = Annotated[Literal["hann", "hamming", "blackman", "rectangular"], "periodic window"]
Floor = Annotated[float, "lower clamp of the power of a bin, above 0, re full scale"]


@dataclass(frozen=True, slots=True, eq=False)
class MelFilters:
    """Slaney triangles with the bins that each of them uses."""

    weights: Array  # float64 [band, bin]
    starts: Array
    stops: Array
    centres: Array  # Hz

    @classmethod
    def of(cls, rate: int, n_fft: int, bands: int, fmin: float = 0.0, fmax: float = 0.0) -> MelFilters:
        """fmax 0: half the rate. UsageError for an impossible range."""
        return _mel_filters(rate, n_fft, bands, fmin, fmax)

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
def _mel_filters(rate: int, n_fft: int, bands: int, fmin: float, fmax: float) -> MelFilters:
    """Made once: they cost more than a second of sound takes to measure."""
    weights, centres = scales.mel_filters(rate, n_fft, bands, fmin, fmax or None)
    return MelFilters(weights, *scales.support(weights), centres)


def check_floor(floor: float) -> None:
    """UsageError unless the floor is a positive power."""
    if not 1e-37 <= floor < 1:
        raise UsageError(f"floor is a power re full scale, 1e-37 to below 1, not {floor:g}")


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


def power_distance(
    stft: STFT,
    mel: MelFilters | None,
    floor: float,
    scale: float,
    distance: Callable[..., None],
    slope: Callable[..., None],
    arguments: tuple[Any, ...] = (),
    root: bool = False,
) -> Objective:
    """scale times the mean over frames of the sum over bins, or mel bands, of a distance of powers, or of that sum's
    root; with its gradient, as kernels.

    distance: of engine.divergence, one term; slope: its derivative, of engine.transposes; arguments: those of both.
    floor: of the power of a bin; that of a band is the kernels' matter.
    """
    bins = mel.centres.size if mel else stft.bins
    low = 0.0 if mel else floor

    def measure(dtype: Any, gradient: bool) -> Measure:
        project, back = (mel.projector(dtype), mel.transposed(dtype)) if mel else (None, None)

        def measure(spectra: Array, edges: Array, out: Array) -> None:
            m = power(spectra, low)
            m = project(m) if project else m
            distance(m[0], m[1], *arguments, edges, out)
            if root:
                np.sqrt(out, out=out)
            if gradient:
                slopes = np.empty((1, *m.shape[1:]), dtype)
                slope(m[0], m[1], *arguments, slopes[0])
                if root:
                    slopes[0] *= np.divide(0.5, out[:, 0], out=np.zeros_like(out[:, 0]), where=out[:, 0] > 0)
                engine.transposes.through_powers((back(slopes) if back else slopes)[0], low, spectra.view(dtype)[1])

        return measure

    def finish(sums: Array, frames: int) -> tuple[float, list[float]]:
        return scale / frames * float(sums[0]), [scale / frames]

    return engine.transposes.Objective(stft, bins, 1, 1, measure, finish)


def stft_options(n_fft: int, hop: int, win: int, window: str) -> STFT:
    """Frames as torch.stft cuts them: centred, reflected at the ends; win 0 means n_fft."""
    return STFT.of(n_fft, hop, window, win or n_fft)
