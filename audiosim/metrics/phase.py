"""Phase distance: 1 - cos of the difference in phase, weighted by the magnitude of the reference; on request of its
change over time (instantaneous frequency) and over frequency (group delay)."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from .. import engine
from ..answer import Channel, Detail, View, pool, spectral
from ..card import Card
from ..engine.frames import STFT
from ..errors import UsageError
from ..hearing.magnitudes import Window, check_floor, stft_options
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

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
    conventions="The magnitude-weighted cosine needs no unwrapping; auraloss takes the square of raw angle "
    "differences, Ai and Ling their wrapped magnitude. The three parts are weighted by w_phase, w_if "
    "and w_gd, whose sum divides.",
    silence="Undefined for a silent reference; a silent test scores 0.5, as does every bin that is silent in it.",
    caveat="Knows nothing of magnitudes; a one-sample delay is large for phase, small for w_if alone. Random phase "
    "scores 1.",
    minimum="half a frame and one sample",
    symmetric=False,
    triangle=False,
    blind=("gain",),
    gradient="exact",
    cap="0, without a gradient, for a part of which the reference has no phase",
    profile="local",
    map="sum",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    w_phase: Annotated[float, "weight of the phase"] = 1.0,
    w_if: Annotated[float, "weight of the instantaneous frequency"] = 0.0,
    w_gd: Annotated[float, "weight of the group delay"] = 0.0,
    n_fft: Annotated[int, "samples of a frame"] = 1024,
    hop: Annotated[int, "samples between frames"] = 256,
    win: Annotated[int, "samples of the window, 0 for n_fft"] = 0,
    window: Window = "hann",
    floor: Annotated[float, "power of a bin below which its phase fades out"] = 1e-16,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    stft, weights = _prepared(n_fft, hop, win, window, floor, w_phase, w_if, w_gd)

    def finish(sums: Any, frames: Any = None, bins: Any = None) -> Any:
        with np.errstate(invalid="ignore"):  # no weight, no answer
            total = sum(w * sums[..., 2 * i] / sums[..., 2 * i + 1] for i, w in enumerate(weights) if w > 0)
            return np.minimum(total, 2.0)  # opposite phases may round to a last digit more

    def parts(sums: Any) -> Any:
        return sum(w * sums.map[:, :, 2 * i] / sums.total[2 * i + 1] for i, w in enumerate(weights) if w > 0)

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        z = spectra.view(spectra.real.dtype)
        engine.divergence.phases(z[0], z[1], floor, edges, out)

    return pool(
        [
            _reasoned(spectral(r, t, stft, measure, 6, finish, parts, view, lookback=1))
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors: of unit vectors, the angle is never taken."""
    from ..engine.tensors import modulus, power, spectra
    from ..hearing.tensors import fused

    stft, weights = _prepared(o.n_fft, o.hop, o.win, o.window, o.floor, o.w_phase, o.w_if, o.w_gd)
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
        return value
    return fused(value, engine.transposes.Objective(stft, stft.bins, 6, 1, measure, finish))


def _prepared(
    n_fft: int, hop: int, win: int, window: str, floor: float, w_phase: float, w_if: float, w_gd: float
) -> tuple[STFT, list[float]]:
    """The frames, and the weights of the three parts with a sum of 1."""
    check_floor(floor)
    weights = np.array([w_phase, w_if, w_gd])
    if weights.min() < 0 or weights.sum() == 0:
        raise UsageError("w_phase, w_if and w_gd must be 0 or more, and not all 0")
    return stft_options(n_fft, hop, win, window), (weights / weights.sum()).tolist()


def _reasoned(channel: Channel) -> Channel:
    if channel.value == channel.value or channel.reason:
        return channel
    return replace(
        channel, reason="the reference has no phase: it is silent, or has one frame where its change is asked for"
    )
