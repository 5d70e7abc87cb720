"""Magnitude, power and mel spectra of a pair, and the STFT losses made of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import dsp
from ..dsp.frames import STFT, Sums
from ..errors import UsageError
from ..result import Twin
from . import scales

if TYPE_CHECKING:
    from ..dsp.adjoint import Objective
    from ..dsp.spectrum import Measure

Array = NDArray[Any]

TINY = 1e-30  # guards the logarithm of mel bands that hold no bin: both signals read the same, so they add nothing

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
            dsp.divergence.project(values, self.starts, self.stops, weights, out)
            return out

        return project

    def transposed(self, dtype: Any) -> Callable[[Array], Array]:
        """The transpose of projector: [part, frame, band] -> [part, frame, bin]."""
        weights = self.weights.astype(dtype)

        def project(values: Array) -> Array:
            out = np.empty((*values.shape[:2], weights.shape[1]), dtype)
            dsp.adjoint.transposed_project(values, self.starts, self.stops, weights, out)
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
    dsp.divergence.powers(spectra.view(out.dtype), floor, out)
    return out


def magnitude(spectra: Array, floor: float) -> Array:
    """sqrt(max(|X|^2, floor)) of complex [signal, frame, bin]."""
    out = np.empty(spectra.shape, spectra.real.dtype)
    dsp.divergence.magnitudes(spectra.view(out.dtype), floor, out)
    return out


@dataclass(frozen=True, slots=True)
class STFTLoss:
    """Weighted sum of spectral convergence, log and linear magnitude distance (Yamamoto et al. 2020, arXiv 1910.11480,
    eq. 3 to 5): sqrt(sum (|Y| - |X|)^2 / sum |X|^2), mean |ln |Y| - ln |X||, mean ||Y| - |X||, X the reference."""

    w_sc: float
    w_log: float
    w_lin: float
    distance: str
    floor: float

    def __post_init__(self) -> None:
        check_floor(self.floor)
        if min(self.w_sc, self.w_log, self.w_lin) < 0 or self.w_sc + self.w_log + self.w_lin == 0:
            raise UsageError("w_sc, w_log and w_lin must be 0 or more, and not all 0")

    TERMS = 4

    def measure(self, dtype: Any, mel: MelFilters | None, gradient: bool = False) -> Measure:
        """Kernel calls over a block of spectra; with mel filters, over bands of magnitudes. gradient as Objective's."""
        project = mel.projector(dtype) if mel else None
        back = mel.transposed(dtype) if mel else None
        low = TINY if mel else self.floor**0.5
        log = dsp.divergence.log_absolute if self.distance == "l1" else dsp.divergence.log_squares

        def measure(spectra: Array, edges: Array, out: Array) -> None:
            z = spectra.view(dtype)
            if project is None and self.distance == "l1" and not gradient:
                dsp.divergence.magnitude_distances(z[0], z[1], self.floor, edges, out)
                return
            whole = magnitude(spectra, self.floor)
            m = project(whole) if project else whole
            dsp.divergence.differences(m[0], m[1], edges, out[:, :, :3])
            if self.w_log:
                log(m[0], m[1], low, edges, out[:, :, 3:])
            if gradient:
                slopes = self._slopes(m[0], m[1], low)
                dsp.adjoint.through_magnitudes(back(slopes) if back else slopes, whole[1], self.floor, z)

        return measure

    def _slopes(self, ref: Array, test: Array, low: float) -> Array:
        """Derivatives with respect to the magnitudes of the test [part, frame, bin]: of half the squares that make the
        convergence, and of the sums that make the means."""
        slopes = np.zeros((self._parts, *test.shape), test.dtype)
        if self.w_log:
            log = dsp.adjoint.log_absolute if self.distance == "l1" else dsp.adjoint.log_squares
            log(ref, test, low, slopes[-1])
            slopes[-1] *= self.w_log
        if self.w_lin:
            slopes[-1] += self.w_lin * (np.sign(test - ref) if self.distance == "l1" else 2 * (test - ref))
        if self.w_sc:
            np.subtract(test, ref, out=slopes[0])
        return slopes

    @property
    def _parts(self) -> int:
        """The convergence and the means, where they count: their gradients differ by a factor known at the end."""
        return (self.w_sc > 0) + (self.w_log + self.w_lin > 0)

    def objective(self, stft: STFT, mel: MelFilters | None) -> Objective:
        """The loss with its gradient, as kernels."""
        bins = mel.centres.size if mel else stft.bins

        def finish(sums: Array, frames: int) -> tuple[float, list[float]]:
            factors = []
            if self.w_sc:
                product = sums[0] * sums[1]
                factors.append(self.w_sc / float(np.sqrt(product)) if product > 0 else 0.0)
            if self.w_log + self.w_lin:
                factors.append(1 / (frames * bins))
            return float(self.finish(sums, frames, bins)), factors

        def measure(dtype: Any, gradient: bool) -> Measure:
            return self.measure(dtype, mel, gradient)

        return dsp.adjoint.Objective(stft, bins, self.TERMS, self._parts, measure, finish)

    def twin(self, stft: STFT, mel: MelFilters | None) -> Twin:
        """The loss on tensors."""
        import torch

        from ..dsp.differentiable import power, root, spectra
        from .differentiable import fused
        from .differentiable import mel as differentiable_mel

        transform, project = spectra(stft), differentiable_mel(mel) if mel else None
        low = TINY if mel else self.floor**0.5
        norm = torch.abs if self.distance == "l1" else torch.square

        def value(ref: Any, test: Any) -> Any:
            x, y = (power(transform(s), self.floor).sqrt() for s in (ref, test))
            if project:
                x, y = project(x), project(y)
            loss = self.w_sc * root((y - x).square().sum((1, 2)) / x.square().sum((1, 2)))
            if self.w_log:
                loss = loss + self.w_log * norm((y.clamp(min=low) / x.clamp(min=low)).log()).mean((1, 2))
            return loss + self.w_lin * norm(y - x).mean((1, 2)) if self.w_lin else loss

        return fused(value, self.objective(stft, mel))

    def finish(self, sums: Array, frames: Any, bins: Any) -> Array:
        """The loss of sums [..., 4] over frames and bins."""
        squares, energy, absolute, logs = np.moveaxis(sums, -1, 0)
        linear = absolute if self.distance == "l1" else squares
        loss: Array = self.w_sc * np.sqrt(squares / energy) + (self.w_log * logs + self.w_lin * linear) / (
            frames * bins
        )
        return loss

    def parts(self, sums: Sums) -> Array:
        """What each [frame, band] adds to the loss; the convergence is shared out by squared difference."""
        assert sums.map is not None
        squares, _, absolute, logs = np.moveaxis(sums.map, -1, 0)
        linear = absolute if self.distance == "l1" else squares
        total, energy = sums.total[:2]
        convergence = squares / np.sqrt(total * energy) if total > 0 else squares
        parts: Array = self.w_sc * convergence + (self.w_log * logs + self.w_lin * linear) / (sums.frames * sums.bins)
        return parts


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

    distance: of dsp.divergence, one term; slope: its derivative, of dsp.adjoint; arguments: those of both.
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
                dsp.adjoint.through_powers((back(slopes) if back else slopes)[0], low, spectra.view(dtype)[1])

        return measure

    def finish(sums: Array, frames: int) -> tuple[float, list[float]]:
        return scale / frames * float(sums[0]), [scale / frames]

    return dsp.adjoint.Objective(stft, bins, 1, 1, measure, finish)


def stft_options(n_fft: int, hop: int, win: int, window: str) -> STFT:
    """Frames as torch.stft cuts them: centred, reflected at the ends; win 0 means n_fft."""
    return STFT.of(n_fft, hop, window, win or n_fft)
