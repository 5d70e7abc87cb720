"""Distances that are one term summed over bins or over samples: the metric, its tensors and its gradient.

A metric file makes one in a function `distance(rate, options)`, and `measure` and `twin` ask it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from . import engine
from .answer import Channel, Pair, spectral, waveform
from .engine.frames import STFT
from .engine.term import ErrorTerm, PairTerm, ln, maximum
from .hearing.magnitudes import MelFilters, power
from .result import Twin

if TYPE_CHECKING:
    from .engine.fold import Measure

Array = NDArray[Any]


class BinDistance(Protocol):
    """A distance of powers [frame, bin], as engine.term.PairTerm is one. arguments: numbers and arrays that it needs
    beside the powers; on tensors, tensors."""

    def fold(self, ref: Array, test: Array, arguments: Any, edges: Array, out: Array, /) -> None:
        """Term 0 of out [frame, range, term]: the sum over each range of bins."""

    def slopes(self, ref: Array, test: Array, arguments: Any, out: Array, /) -> None:
        """out [frame, bin]: the derivative of the sum over all bins with respect to the test."""

    def tensors(self, ref: Any, test: Any, /, *arguments: Any) -> Any:
        """On tensors [item, frame, bin]: terms whose sum over the last axis is that over all bins."""


@dataclass(frozen=True, slots=True)
class BinKernels:
    """A distance of powers whose kernels are written by hand, because they are faster than a term's.

    summing: (ref, test, *arguments, edges, out) as BinDistance.fold. sloping: (ref, test, *arguments, out).
    """

    summing: Callable[..., None]
    sloping: Callable[..., None]
    tensors: Callable[..., Any]

    def fold(self, ref: Array, test: Array, arguments: Any, edges: Array, out: Array, /) -> None:
        self.summing(ref, test, *arguments, edges, out)

    def slopes(self, ref: Array, test: Array, arguments: Any, out: Array, /) -> None:
        self.sloping(ref, test, *arguments, out)


@PairTerm
def log_square(r: Any, t: Any, floor: float) -> Any:
    d = ln(maximum(t, floor) / maximum(r, floor))
    return d * d


def log_absolute() -> BinKernels:
    """|ln(max(t, floor) / max(r, floor))|. Its kernel takes one logarithm for many bins."""

    def tensors(ref: Any, test: Any, floor: float) -> Any:
        return (test.clamp(min=floor) / ref.clamp(min=floor)).log().abs()

    return BinKernels(engine.divergence.log_absolute, engine.transposes.log_absolute, tensors)


@dataclass(frozen=True, slots=True)
class ErrorKernels:
    """A function of the error whose kernels are written by hand: sums and slopes as those of engine.term.ErrorTerm."""

    sums: Callable[..., None]
    slopes: Callable[..., None]
    tensors: Callable[..., Any]


@dataclass(frozen=True, slots=True)
class PowerDistance:
    """scale times the mean over frames of a distance of powers, averaged over bins or mel bands.

    floor: lower clamp of the power of a bin; that of a mel band is the distance's matter.
    mean: of the bins; if false, their sum. root: in each frame the square root of that.
    """

    stft: STFT
    distance: BinDistance
    arguments: tuple[Any, ...] = ()
    scale: float = 1.0
    floor: float = 0.0
    mel: MelFilters | None = None
    mean: bool = True
    root: bool = False
    float64: bool = False  # tensors are made double first

    @property
    def bins(self) -> int:
        return self.mel.centres.size if self.mel else self.stft.bins

    def measure(self, pair: Pair) -> Channel:
        """The distance of one channel, with profile and map."""
        project = self.mel.projector(pair.ref.dtype) if self.mel else None

        def measure(spectra: Array, edges: Array, out: Array) -> None:
            p = power(spectra, self.floor)
            p = project(p) if project else p
            self.distance.fold(p[0], p[1], self.arguments, edges, out)
            if self.root:
                out[:, :, 1] = out[:, :, 0]  # kept as squares, to share the root out among bands

        def finish(sums: Any, frames: Any, bins: Any) -> Any:
            if self.root:
                return sums[..., 0] / frames
            return self.scale * sums[..., 0] / (frames * bins if self.mean else frames)

        return spectral(
            pair,
            self.stft,
            measure,
            2 if self.root else 1,
            finish,
            self._shares_of_roots if self.root else lambda sums: finish(sums.map, sums.frames, sums.bins),
            frequencies=self.mel.centres if self.mel else None,
            per_frame=self._roots if self.root else None,
        )

    def _roots(self, sums: Any, bins: Any) -> Any:
        root = self.scale * np.sqrt(sums[..., 0] / bins if self.mean else sums[..., 0])
        return np.stack([root, sums[..., 1]], axis=-1)

    def _shares_of_roots(self, sums: Any) -> Any:
        root, squares = sums.by_frame.T
        share = np.divide(root, squares, out=np.zeros_like(root), where=squares > 0)
        return sums.map[:, :, 1] * share[:, None] / sums.frames

    def twin(self) -> Twin:
        """The same on tensors."""
        from .engine.tensors import Constant, power, root, spectra
        from .hearing.tensors import fused, in_float64, mel

        transform, project = spectra(self.stft), mel(self.mel) if self.mel else None
        arguments = [Constant(a) if isinstance(a, np.ndarray) else a for a in self.arguments]
        distance = self.distance.tensors  # made here: a compiler does not follow how

        def plain(ref: Any, test: Any) -> Any:
            x, y = (power(transform(s), self.floor) for s in (ref, test))
            x, y = (project(z) for z in (x, y)) if project else (x, y)
            terms = distance(x, y, *(a(x) if isinstance(a, Constant) else a for a in arguments))
            terms = terms.mean(2) if self.mean else terms.sum(2)
            return self.scale * (root(terms) if self.root else terms).mean(1)

        value = fused(plain, self.objective())
        return in_float64(value) if self.float64 else value

    def objective(self) -> Any:
        """The distance with its gradient, as kernels."""
        scale = self.scale
        if self.mean:
            scale /= self.bins**0.5 if self.root else self.bins

        def measure(dtype: Any, gradient: bool) -> Measure:
            project, back = (self.mel.projector(dtype), self.mel.transposed(dtype)) if self.mel else (None, None)

            def measure(spectra: Array, edges: Array, out: Array) -> None:
                m = power(spectra, self.floor)
                m = project(m) if project else m
                self.distance.fold(m[0], m[1], self.arguments, edges, out)
                if self.root:
                    np.sqrt(out, out=out)
                if gradient:
                    slopes = np.empty((1, *m.shape[1:]), dtype)
                    self.distance.slopes(m[0], m[1], self.arguments, slopes[0])
                    if self.root:
                        slopes[0] *= np.divide(0.5, out[:, 0], out=np.zeros_like(out[:, 0]), where=out[:, 0] > 0)
                    slopes = back(slopes) if back else slopes
                    engine.transposes.through_powers(slopes[0], self.floor, spectra.view(dtype)[1])

            return measure

        def finish(sums: Array, frames: int) -> tuple[float, list[float]]:
            return scale / frames * float(sums[0]), [scale / frames]

        return engine.transposes.Objective(self.stft, self.bins, 1, 1, measure, finish)


@dataclass(frozen=True, slots=True)
class MeanError:
    """scale times the mean over samples of a function of the error test - reference."""

    term: ErrorTerm | ErrorKernels
    arguments: tuple[float, ...] = ()
    scale: float = 1.0

    def measure(self, pair: Pair) -> Channel:
        """The distance of one channel; profile and map tell where the error energy lies."""
        total = engine.moments.over(self.term.sums, 1, pair.ref, pair.test, *self.arguments, threads=pair.threads)[0]
        return waveform(pair, self.scale * float(total / pair.ref.length))

    def twin(self) -> Twin:
        """The same on tensors."""
        from .engine.tensors import mean_of_errors

        mean = mean_of_errors(self.term, self.arguments)
        return lambda ref, test: self.scale * mean(ref, test)
