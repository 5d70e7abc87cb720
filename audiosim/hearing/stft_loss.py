"""The STFT loss: spectral convergence, log and linear magnitude distance, with its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..engine.frames import STFT, Sums
from ..errors import UsageError
from ..result import Twin
from .magnitudes import MelFilters, check_floor, magnitude

if TYPE_CHECKING:
    from ..engine.fold import Measure
    from ..engine.transposes import Objective

Array = NDArray[Any]

TINY = 1e-30  # guards the logarithm of mel bands that hold no bin: both signals read the same, so they add nothing


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
        log = engine.divergence.log_absolute if self.distance == "l1" else engine.divergence.log_squares

        def measure(spectra: Array, edges: Array, out: Array) -> None:
            z = spectra.view(dtype)
            if project is None and self.distance == "l1" and not gradient:
                engine.divergence.magnitude_distances(z[0], z[1], self.floor, edges, out)
                return
            whole = magnitude(spectra, self.floor)
            m = project(whole) if project else whole
            engine.divergence.differences(m[0], m[1], edges, out[:, :, :3])
            if self.w_log:
                log(m[0], m[1], low, edges, out[:, :, 3:])
            if gradient:
                slopes = self._slopes(m[0], m[1], low)
                engine.transposes.through_magnitudes(back(slopes) if back else slopes, whole[1], self.floor, z)

        return measure

    def _slopes(self, ref: Array, test: Array, low: float) -> Array:
        """Derivatives with respect to the magnitudes of the test [part, frame, bin]: of half the squares that make the
        convergence, and of the sums that make the means."""
        slopes = np.zeros((self._parts, *test.shape), test.dtype)
        if self.w_log:
            log = engine.transposes.log_absolute if self.distance == "l1" else engine.transposes.log_squares
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

        return engine.transposes.Objective(stft, bins, self.TERMS, self._parts, measure, finish)

    def twin(self, stft: STFT, mel: MelFilters | None) -> Twin:
        """The loss on tensors."""
        import torch

        from ..engine.tensors import power, root, spectra
        from .tensors import fused
        from .tensors import mel as differentiable_mel

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
