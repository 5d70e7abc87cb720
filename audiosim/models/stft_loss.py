"""The STFT loss: spectral convergence, log and linear magnitude distance, with its gradient."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..answer import Channel, Pair, spectral
from ..distance import BinDistance, log_absolute, log_square
from ..engine.frames import STFT, Sums
from ..errors import UsageError
from ..hearing.magnitudes import Distance, Floor, MelFilters, magnitude
from ..hearing.weighting import Weighted
from ..options import AT_LEAST_ZERO
from ..result import Twin

if TYPE_CHECKING:
    from ..engine.fold import Measure
    from ..engine.transposes import Objective

Array = NDArray[Any]

TERMS = 4
TINY = 1e-30  # guards the logarithm of mel bands that hold no bin: both signals read the same, so they add nothing


@dataclass(frozen=True, kw_only=True)
class LossOptions(Weighted):
    """What is summed."""

    w_sc: Annotated[float, AT_LEAST_ZERO, "weight of the spectral convergence"] = 1.0
    w_log: Annotated[float, AT_LEAST_ZERO, "weight of the log magnitude distance"] = 1.0
    w_lin: Annotated[float, AT_LEAST_ZERO, "weight of the linear magnitude distance"] = 0.0
    distance: Distance = "l1"
    floor: Floor = 1e-8

    float64: ClassVar[bool] = True

    def check(self) -> None:
        super().check()
        if not self.w_sc + self.w_log + self.w_lin:
            raise UsageError("w_sc, w_log and w_lin must not all be 0")


@dataclass(frozen=True, slots=True)
class STFTLoss:
    """Weighted sum of spectral convergence, log and linear magnitude distance (Yamamoto et al. 2020, arXiv 1910.11480,
    eq. 3 to 5): sqrt(sum (|Y| - |X|)^2 / sum |X|^2), mean |ln |Y| - ln |X||, mean ||Y| - |X||, X the reference."""

    o: LossOptions
    stft: STFT
    mel: MelFilters | None = None  # of the magnitudes
    name: str = ""  # what stands before the names of its parts

    def measure(self, pair: Pair) -> Channel:
        """The loss of one channel, with profile and map."""
        measure = self._measure(pair.ref.dtype, False)
        frequencies = self.frequencies(pair.rate)
        return spectral(pair, self.stft, measure, TERMS, self._finish, self._parts, frequencies=frequencies)

    def frequencies(self, rate: int) -> Array:
        """Centres of the bins or bands, Hz."""
        return self.mel.centres if self.mel else self.stft.frequencies(rate)

    def twin(self) -> Twin:
        """The loss on tensors."""
        import torch

        from ..engine.tensors import power, root, spectra, tell
        from ..hearing.tensors import fused, mel

        o, low, log = self.o, self._low, self._log
        transform, project = spectra(self.stft), mel(self.mel) if self.mel else None
        norm = torch.abs if o.distance == "l1" else torch.square

        def value(ref: Any, test: Any) -> Any:
            x, y = (power(transform(s), o.floor).sqrt() for s in (ref, test))
            if project:
                x, y = project(x), project(y)
            parts = {"convergence": root((y - x).square().sum((1, 2)) / x.square().sum((1, 2)))}
            loss = o.w_sc * parts["convergence"]
            if o.w_log:
                parts["log"] = log.tensors(x, y, low).mean((1, 2))
                loss = loss + o.w_log * parts["log"]
            if o.w_lin:
                parts["linear"] = norm(y - x).mean((1, 2))
                loss = loss + o.w_lin * parts["linear"]
            tell(lambda: {self.name + part: values.detach() for part, values in parts.items()})
            return loss

        return fused(value, self._objective())

    @property
    def _log(self) -> BinDistance:
        return log_absolute() if self.o.distance == "l1" else log_square

    @property
    def _low(self) -> float:
        """What magnitudes are floored at before their logarithm."""
        return TINY if self.mel else self.o.floor**0.5

    def _measure(self, dtype: Any, gradient: bool) -> Measure:
        """As that of engine.transposes.Objective."""
        o, low, log, mel = self.o, self._low, self._log, self.mel
        project, back = (mel.projector(dtype), mel.transposed(dtype)) if mel else (None, None)

        def measure(spectra: Array, edges: Array, out: Array) -> None:
            z = spectra.view(dtype)
            if project is None and o.distance == "l1" and not gradient:
                engine.divergence.magnitude_distances(z[0], z[1], o.floor, edges, out)
                return
            whole = magnitude(spectra, o.floor)
            m = project(whole) if project else whole
            engine.divergence.differences(m[0], m[1], edges, out[:, :, :3])
            if o.w_log:
                log.fold(m[0], m[1], (low,), edges, out[:, :, 3:])
            if gradient:
                slopes = self._slopes(m[0], m[1])
                engine.transposes.through_magnitudes(back(slopes) if back else slopes, whole[1], o.floor, z)

        return measure

    def _slopes(self, ref: Array, test: Array) -> Array:
        """Derivatives with respect to the magnitudes of the test [part, frame, bin]: of half the squares that make the
        convergence, and of the sums that make the means."""
        o = self.o
        slopes = np.zeros((self._gradients, *test.shape), test.dtype)
        if o.w_log:
            self._log.slopes(ref, test, (self._low,), slopes[-1])
            slopes[-1] *= o.w_log
        if o.w_lin:
            slopes[-1] += o.w_lin * (np.sign(test - ref) if o.distance == "l1" else 2 * (test - ref))
        if o.w_sc:
            np.subtract(test, ref, out=slopes[0])
        return slopes

    @property
    def _gradients(self) -> int:
        """The convergence and the means, where they count: their gradients differ by a factor known at the end."""
        return (self.o.w_sc > 0) + (self.o.w_log + self.o.w_lin > 0)

    def _objective(self) -> Objective:
        """The loss with its gradient, as kernels."""
        o, bins = self.o, self.mel.centres.size if self.mel else self.stft.bins

        def finish(sums: Array, frames: int) -> tuple[float, list[float]]:
            factors = []
            if o.w_sc:
                product = sums[0] * sums[1]
                factors.append(o.w_sc / float(np.sqrt(product)) if product > 0 else 0.0)
            if o.w_log + o.w_lin:
                factors.append(1 / (frames * bins))
            return float(self._finish(sums, frames, bins)), factors

        def named(sums: Array, frames: int) -> dict[str, Array]:
            return {self.name + part: values for part, values in self._named(sums, frames * bins).items()}

        return engine.transposes.Objective(self.stft, bins, TERMS, self._gradients, self._measure, finish, named)

    def _named(self, sums: Array, count: int) -> dict[str, Array]:
        """The parts that are summed, without their weights."""
        with np.errstate(divide="ignore", invalid="ignore"):
            parts = {"convergence": np.sqrt(sums[..., 0] / sums[..., 1])}
        if self.o.w_log:
            parts["log"] = sums[..., 3] / count
        if self.o.w_lin:
            parts["linear"] = sums[..., 2 if self.o.distance == "l1" else 0] / count
        return parts

    def _finish(self, sums: Array, frames: Any, bins: Any) -> Array:
        """The loss of sums [..., term] over frames and bins."""
        convergence: Array = np.sqrt(sums[..., 0] / sums[..., 1])
        return self.o.w_sc * convergence + self._means(sums, frames * bins)

    def _parts(self, sums: Sums) -> Array:
        """What each [frame, band] adds to the loss; the convergence is shared out by squared difference."""
        assert sums.map is not None
        squares, (total, energy) = sums.map[..., 0], sums.total[:2]
        convergence = squares / np.sqrt(total * energy) if total > 0 else squares
        return self.o.w_sc * convergence + self._means(sums.map, sums.frames * sums.bins)

    def _means(self, sums: Array, count: Any) -> Array:
        """Log and linear magnitude distance."""
        linear = sums[..., 2 if self.o.distance == "l1" else 0]
        means: Array = (self.o.w_log * sums[..., 3] + self.o.w_lin * linear) / count
        return means
