"""Distances of sequences of cepstra: frame by frame, along the path that aligns them, or of all frames from all.

An analysis turns one channel into cepstra [frame, coefficient], computed in float64 a few frames at a time; those of a
whole recording are held. cepstra @ basis.T is a log spectrum, up to a factor, at the analysis' frequencies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import dsp, engine
from ..answer import STEPS, Channel, Pair, local_distances
from ..engine.frames import STFT
from ..hearing.magnitudes import MelFilters, power
from ..options import ABOVE_ZERO, Options, Within
from ..result import Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

Array = NDArray[Any]

TIE = 1e-6  # what a step off the diagonal costs, so that rounding does not choose among equal paths


@dataclass(frozen=True, kw_only=True)
class Compared(Options):
    """How two sequences are compared."""

    deltas: Annotated[
        int,
        Within(0, 2),
        "1: with the slope of each coefficient in time (HTK's, over 5 frames); 2: and of these slopes",
    ] = 0
    align: Annotated[
        Literal["none", "dtw", "all-pairs"],
        "none: frames at equal times; dtw: along the cheapest path; all-pairs: mean distance of all frames of the one "
        "from all of the other, less the mean of that within each (energy distance, halved); both take any lengths",
    ] = "none"
    lag: Annotated[float, ABOVE_ZERO, "seconds that align=dtw lets the test lead or lag by"] = 0.2

    @property
    def lengths(self) -> Literal["any"] | None:
        return None if self.align == "none" else "any"


class Analysis(Protocol):
    """How a signal becomes cepstra, at one rate."""

    basis: Array  # [point, coefficient]
    frequencies: Array  # Hz, [point]
    top: float  # Hz, where they end
    period: float  # seconds from frame to frame

    def times(self, count: int) -> Array:
        """Middles of the frames in seconds."""

    def too_short(self, length: int, /) -> str | None:
        """Why a signal of so many samples has no frame, if so."""

    def cepstra(self, x: Stream) -> Array:
        """Of one channel, float64 [frame, coefficient]."""

    def differentiable(self) -> Callable[[Any], Any]:
        """The same on tensors: [item, sample], float64 -> [item, frame, coefficient]."""


class BandCepstra:
    """Cosine transforms of the logarithm of the power in bands. basis [coefficient, band]: rows of that transform."""

    def __init__(self, rate: int, stft: STFT, bands: MelFilters, basis: Array, factor: float, floor: float) -> None:
        self.rate, self.stft, self.bands, self.floor = rate, stft, bands, floor
        self.basis, self.frequencies, self.top = basis.T, bands.centres, rate / 2
        self.period, self.factor = stft.hop / rate, factor

    def times(self, count: int) -> Array:
        return self.stft.times(count, self.rate)

    def too_short(self, length: int) -> str | None:
        return None if self.stft.count(length) else self.stft.too_short(length)

    def cepstra(self, x: Stream) -> Array:
        project = self.bands.projector(np.float64)
        whole = engine.stream.part(engine.stream.double(x), 0, x.length)
        blocks = (project(power(z[None], 0.0))[0] for z in engine.fold.spectra(whole, self.stft))
        logarithms = np.log(np.maximum(np.concatenate(list(blocks)), self.floor))
        result: Array = self.factor * logarithms @ self.basis
        return result

    def differentiable(self) -> Callable[[Any], Any]:
        from ..engine.tensors import Constant, power, product, spectra
        from ..hearing.tensors import mel

        transform, project, basis = spectra(self.stft), mel(self.bands), Constant(self.basis)

        def cepstra(x: Any) -> Any:
            bands = project(power(transform(x), 0.0)).clamp(min=self.floor)
            return self.factor * product(bands.log(), basis(bands))

        return cepstra


def measure(pair: Pair, analysis: Analysis, o: Compared) -> Channel:
    """The distance of one channel; its profile and map tell where the log spectra differ."""
    both = pair.ref, pair.test
    if reason := analysis.too_short(min(x.length for x in both)):
        return Channel(value=nan, reason=reason)

    def features(k: int) -> Array:
        return dsp.cepstrum.with_deltas(analysis.cepstra(both[k]), o.deltas)

    x, y = engine.threads.in_threads(features, range(2), pair.threads)
    if o.align == "all-pairs":
        return _all_pairs(x, y, analysis, o, pair)
    i = j = np.arange(len(x))
    if o.align == "dtw":
        _, (i, j) = dsp.warping.dtw(x, y, o.lag / analysis.period, TIE)

    distances = np.empty(len(i))
    for k in range(0, len(i), STEPS):
        steps = slice(k, k + STEPS)
        distances[steps] = np.sqrt(np.square(x[i[steps]] - y[j[steps]]).sum(1))
    value = float(distances.mean())
    if pair.detail == "value":
        return Channel(value=value)
    shares, times = np.full(len(i), 1 / len(i)), analysis.times(len(x))

    def difference(steps: slice) -> Array:
        return _spectra(x[i[steps]] - y[j[steps]], analysis, o)

    return local_distances(value, distances, shares, i, difference, analysis.frequencies, analysis.top, times, pair)


def _all_pairs(x: Array, y: Array, analysis: Analysis, o: Compared, pair: Pair) -> Channel:
    """Where is told by the means of the frames, at one time: frames have no order here."""
    mean = engine.pairwise.mean_distance
    between, *within = (mean(a, b, pair.threads) for a, b in ((x, y), (x, x), (y, y)))
    value = max(between - sum(within) / 2, 0.0)
    details = {"mean_distance": between}
    if pair.detail == "value":
        return Channel(value=value, details=details)
    apart = _spectra((x.mean(0) - y.mean(0))[None], analysis, o)
    one, first, middle = np.ones(1), np.zeros(1, int), analysis.times(len(x)).mean(keepdims=True)
    found = local_distances(
        value, value * one, one, first, lambda _: apart.copy(), analysis.frequencies, analysis.top, middle, pair
    )
    return replace(found, details=details)


def _spectra(differences: Array, analysis: Analysis, o: Compared) -> Array:
    """[step, feature] -> how far apart the log spectra are, slopes included: [step, point]."""
    parts = differences.reshape(len(differences), o.deltas + 1, -1) @ analysis.basis.T
    result: Array = np.sqrt(np.square(parts).sum(1))
    return result


def twin(analysis: Analysis, o: Compared) -> Twin:
    """In float64. The path of align=dtw is found on detached cepstra."""
    import torch

    from ..engine.tensors import root
    from ..errors import InputError

    analyse, find, width = analysis.differentiable(), dsp.warping.dtw_torch(), o.lag / analysis.period

    def distances(x: Any, y: Any) -> Any:
        """[item, frame of x, frame of y]."""
        return torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")

    def value(ref: Any, test: Any) -> Any:
        if reason := analysis.too_short(min(ref.shape[-1], test.shape[-1])):
            raise InputError(reason)
        x, y = (dsp.cepstrum.with_deltas_torch(analyse(s.double()), o.deltas) for s in (ref, test))
        if o.align == "all-pairs":
            between, *within = (distances(a, b).mean((1, 2)) for a, b in ((x, y), (x, x), (y, y)))
            return (between - sum(within) / 2).clamp(min=0)
        if o.align == "none":
            return root((y - x).square().sum(-1)).mean(1)
        path, real = find(x, y, width, TIE, 0)
        i, j = path.unbind(1)
        x, y = torch.take_along_dim(x, i[..., None], 1), torch.take_along_dim(y, j[..., None], 1)
        return (root((y - x).square().sum(-1)) * real).sum(1) / real.sum(1)

    return value
