"""Phase distance: 1 - cos of the difference in phase, weighted by the magnitude of the reference; on request of its
change over time (instantaneous frequency) and over frequency (group delay).

The magnitude-weighted cosine needs no unwrapping. auraloss takes the square of raw angle differences, Ai and Ling their
wrapped magnitude.

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Any

import numpy as np

from .. import engine
from ..answer import Channel, Pair, spectral
from ..card import Card
from ..errors import UsageError
from ..hearing.magnitudes import POWER, ShortSpectral
from ..options import AT_LEAST_ZERO
from ..result import Twin

CARD = Card(
    title="Phase distance",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    range=(0.0, 2.0),
    formula="sum |X| (1 - cos(arg Y - arg X)) / sum |X|",
    source="cosine distance of phases; the differences in time and frequency as Ai and Ling 2023 (arXiv 2211.15974) "
    "use them",
    conventions="The value is the mean of the three parts, weighted by w_phase, w_if and w_gd.",
    silence="Undefined for a silent reference; a silent test scores 0.5, as does every bin that is silent in it.",
    caveat="Knows nothing of magnitudes; a one-sample delay is large for phase, small for w_if alone. Random phase "
    "scores 1.",
    version=2,
    minimum="half a frame and one sample",
    symmetric=False,
    insensitive_to=("gain",),
    gradient="exact",
    steepest=700.0,
    cap="0, without a gradient, for a part of which the reference has no phase",
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(ShortSpectral):
    w_phase: Annotated[float, AT_LEAST_ZERO, "weight of the phase"] = 1.0
    w_if: Annotated[float, AT_LEAST_ZERO, "weight of the instantaneous frequency"] = 0.0
    w_gd: Annotated[float, AT_LEAST_ZERO, "weight of the group delay"] = 0.0
    floor: Annotated[float, POWER, "power of a bin below which its phase fades out"] = 1e-16

    def check(self) -> None:
        super().check()
        if not self.w_phase + self.w_if + self.w_gd:
            raise UsageError("w_phase, w_if and w_gd must not all be 0")

    @property
    def weights(self) -> list[float]:
        """Of the three parts, with a sum of 1."""
        weights = np.array([self.w_phase, self.w_if, self.w_gd])
        return (weights / weights.sum()).tolist()  # type: ignore[no-any-return]


def measure(pair: Pair, o: Options) -> Channel:
    parts = [(w, 2 * i) for i, w in enumerate(o.weights) if w > 0]  # the weight, and where the sums are

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        r, t = spectra.view(spectra.real.dtype)
        engine.divergence.phases(r, t, o.floor, edges, out)

    def finish(sums: Any, frames: Any, bins: Any) -> Any:
        with np.errstate(invalid="ignore"):  # nothing has a phase: nan
            total = sum(w * sums[..., i] / sums[..., i + 1] for w, i in parts)
            return np.minimum(total, 2.0)  # opposite phases may round to a last digit more

    def contributions(sums: Any) -> Any:
        return sum(w * sums.map[:, :, i] / sums.total[i + 1] for w, i in parts)

    channel = spectral(pair, o.stft(), measure, 6, finish, contributions, lookback=1)
    if channel.value == channel.value or channel.reason:
        return channel
    return replace(
        channel, reason="the reference has no phase: it is silent, or has one frame where its change is asked for"
    )


def twin(rate: int, o: Options) -> Twin:
    """Made from unit vectors: the angle is never taken. In float64: the phase of an empty bin is that of rounding."""
    from ..engine.tensors import modulus, power, spectra
    from ..hearing.tensors import fused, in_float64

    stft, weights = o.stft(), o.weights
    transform, low = spectra(stft), o.floor**0.5

    def distance(x: Any, y: Any, weight: Any) -> Any:
        total = weight.sum((1, 2))
        return 0.5 * (weight * power(y - x, 0.0)).sum((1, 2)) / total.where(total > 0, 1)

    def value(ref: Any, test: Any) -> Any:
        x, y = transform(ref), transform(test)
        weight = modulus(x)
        x, y = x / weight.clamp(min=low), y / modulus(y).clamp(min=low)
        total: Any = 0.0
        if weights[0]:
            total = total + weights[0] * distance(x, y, weight)
        if weights[1]:  # the turn from the frame before
            x_turn, y_turn = (u[:, 1:] * u[:, :-1].conj() for u in (x, y))
            total = total + weights[1] * distance(x_turn, y_turn, weight[:, 1:])
        if weights[2]:  # to the next bin
            x_turn, y_turn = (u[:, :, :-1] * u[:, :, 1:].conj() for u in (x, y))
            total = total + weights[2] * distance(x_turn, y_turn, weight[:, :, :-1])
        return total.clamp(max=2.0)

    def measure(dtype: Any, gradient: bool) -> Any:
        def measure(spectra: Any, edges: Any, out: Any) -> None:
            r, t = spectra.view(dtype)
            engine.divergence.phases(r, t, o.floor, edges, out)
            if gradient:
                engine.transposes.phases(r, t, o.floor)

        return measure

    def finish(sums: Any, frames: int) -> Any:
        share = 1 / sums[1] if sums[1] > 0 else 0.0
        return min(sums[0] * share, 2.0), [share]

    if o.w_if or o.w_gd:  # kernels know the gradient of the phase alone
        return in_float64(value)
    return in_float64(fused(value, engine.transposes.Objective(stft, stft.bins, 6, 1, measure, finish)))
