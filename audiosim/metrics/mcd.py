"""Mel-cepstral distortion, in dB: how far apart two smooth spectra are, their levels aside. Kubichek 1993; mel-cepstra
of Tokuda, Kobayashi, Chiba and Imai 1992; aligned by dynamic time warping.

With ln|H(w)| = c_0 + sum c_m cos(m w~), the distance 10 / ln 10 sqrt(2 sum_{m=1}^{M} (c_m - c'_m)^2) is the root mean
square over the warped axis w~ of the difference in dB of two spectra of equal mean. The constant is right for this
cepstrum and for no other.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np

from .. import dsp, engine
from ..answer import Channel, Detail, View, local_distances, pool
from ..card import Card
from ..errors import InputError, UsageError
from ..hearing.magnitudes import check_floor
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..models.mel_cepstra import Analysis, BelCepstra, Frames, MelCepstra, WorldCepstra
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Mel-cepstral distortion",
    family="cepstral",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="sum over the path of w d / sum of w, d = 10 / ln 10 sqrt(2 sum_{m=1}^{M} (c_m(test) - c_m(ref))^2), "
    "w = E / (E + max E 10^(-gate / 10)) of the reference's energy E in a frame",
    source="Kubichek 1993; mel-cepstra of Tokuda et al. 1992; DTW of Sakoe and Chiba 1978; the soft-DTW divergence of "
    "Blondel, Mensch and Vert 2021",
    conventions="db-rms: rms in dB over the mel axis, of the cepstrum of the log spectrum in 25 ms frames every 5 ms. "
    "The same constant before other cepstra (of power, of mel bands) gives no dB. sptk: mcep fitted to the end under a "
    "Blackman window, no gate and no floor; with align=none as SPTK's cdist. mel-cepstral-distance: version 0.0.4, "
    "orders 2 to 16 of 20 bands in bel without a constant; align=dtw is its default, its penalty is among the details. "
    "pymcd: version 0.2.1, its dtw or (align=none) plain: c_0 counts, and power taken for amplitude doubles the value; "
    "its dtw_sl is that of dtw times the ratio of the lengths. align=soft-dtw: frames i and j are weighted by "
    "(w_i + w_j) / 2, and the divergence is divided by the sum of w.",
    silence="Defined: 0 when both are silent. A frame in which the reference is silent counts little under the gate.",
    caveat="Alignment forgives errors of timing (path_deviation_ms among the details says how large) and some noise. "
    "Deaf to pitch and phase, and to level but for the floor. Only values of one variant, order and rate compare.",
    lengths="any",
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sum",
)

TIE = 1e-6  # of the unit: what a step off the diagonal costs, so that rounding does not choose among equal paths
SILENT = 1e-30  # energy of a frame below all others: a weight is never 0 / 0
FITTED = 10  # Newton steps, of which the last changes nothing any more

Variant = Annotated[
    Literal["db-rms", "sptk", "mel-cepstral-distance", "pymcd"], "true dB, or the numbers of another program"
]
Align = Annotated[Literal["dtw", "none", "soft-dtw"], "of test and reference in time; none: frames at equal times"]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    variant: Variant = "db-rms",
    align: Align = "dtw",
    band: Annotated[float, "seconds that the test may lead or lag by, 0 for any"] = 0.2,
    gamma: Annotated[float, "softness of soft-dtw, dB"] = 0.1,
    order: Annotated[int, "of the cepstrum, 0 for 24 up to 16 kHz, 34 up to 24 kHz, 39 above"] = 0,
    alpha: Annotated[float, "all-pass warping between -1 and 1, -1 for that of the mel scale"] = -1.0,
    iterations: Annotated[int, "Newton steps that fit the cepstrum to the peaks of the spectrum"] = 0,
    gate: Annotated[float, "dB below the reference's loudest frame at which a frame counts half"] = 50.0,
    floor: Annotated[float, "power added to every bin, re a full-scale sine"] = 1e-10,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz, of any lengths where they are aligned; the channels are averaged.

    Details, of aligned ones: path_deviation_ms and path_deviation_max_ms, by which the path leads the two apart (mean
    and largest); penalty, 2 - (n + m) / steps, 0 where it keeps to the diagonal. Under soft-dtw they, profile and map
    are those of the one cheapest path.
    """
    recipe = _recipe(rate, variant, align, band, gamma, order, alpha, iterations, gate, floor)
    if align == "none" and ref.shape[1] != test.shape[1]:
        raise InputError(
            f"mcd:align=none compares equal times, but the lengths are {ref.shape[1]} and {test.shape[1]} samples: "
            "use align=dtw, or --length trim or pad"
        )
    view = View(rate, detail, band_edges, jobs)
    channels, details = zip(
        *(_channel(r, t, recipe, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)), strict=True
    )
    return pool(list(channels), {name: float(np.mean([d[name] for d in details])) for name in details[0]})


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text. The path of align=dtw is found on detached cepstra."""
    import torch

    from ..engine.tensors import root

    recipe = _recipe(rate, o.variant, o.align, o.band, o.gamma, o.order, o.alpha, o.iterations, o.gate, o.floor)
    analysis = recipe.analysis
    if isinstance(analysis, WorldCepstra):
        raise UsageError("mcd:variant=pymcd has no gradient to train on; use variant=db-rms")
    analyse, find, soft = analysis.differentiable(), dsp.warping.dtw_torch(), dsp.warping.soft_dtw_torch()

    def value(ref: Any, test: Any) -> Any:
        x, y = (analyse(s.double()) for s in (ref, test))
        p, q = x.cepstra, y.cepstra
        w = recipe.weights(x.energy, x.energy.amax(-1, keepdim=True))
        total = w.sum(1)
        if recipe.align == "soft-dtw":
            a = 0.5 * analysis.factor * w
            both, one, other = (soft(u, v, a, a, recipe.gamma, recipe.width) for u, v in ((p, q), (p, p), (q, q)))
            return (both - (one + other) / 2).clamp(min=0) / total
        if recipe.align == "dtw":
            path, real = find(x.shape, y.shape, recipe.width, recipe.tie, analysis.radius)
            i, j = path.unbind(1)
            p, q = torch.take_along_dim(p, i[..., None], 1), torch.take_along_dim(q, j[..., None], 1)
            w = w.gather(1, i) * real
            total = w.sum(1)
        return analysis.factor * (w * root((q - p).square().sum(-1))).sum(1) / total

    return value


class Recipe(NamedTuple):
    """What the options come to."""

    analysis: Analysis
    align: str
    width: float | None  # half of the corridor, in frames
    gamma: float
    gate: float | None  # dB

    @property
    def tie(self) -> float:
        return 0.0 if self.analysis.radius else TIE / self.analysis.factor

    def weights(self, energy: Any, loudest: Any) -> Any:
        """Of frames with these energies; the same for all in silence."""
        if self.gate is None:
            return energy * 0 + 1
        return (energy + SILENT) / (energy + SILENT + 10 ** (-self.gate / 10) * (loudest + SILENT))


@lru_cache(maxsize=16)
def _recipe(
    rate: int,
    variant: str,
    align: str,
    band: float,
    gamma: float,
    order: int,
    alpha: float,
    iterations: int,
    gate: float,
    floor: float,
) -> Recipe:
    def refuse(**given: Any) -> None:
        for name, value in given.items():
            if value != metric_defaults[name]:
                raise UsageError(f"mcd: {name} is settled by variant={variant}; leave it out, or use variant=db-rms")

    metric_defaults = {"order": 0, "alpha": -1.0, "iterations": 0, "gate": 50.0, "floor": 1e-10}
    if not band >= 0 or not gamma > 0 or not gate > 0:
        raise UsageError(
            f"mcd: band is 0 or more seconds, gamma and gate are above 0 dB, not {band:g}, {gamma:g} and {gate:g}"
        )
    check_floor(floor)
    analysis: Analysis
    if variant == "db-rms":
        analysis = MelCepstra(rate, order, alpha, iterations, floor)
    elif variant == "sptk":
        refuse(iterations=iterations, gate=gate, floor=floor)
        analysis = MelCepstra(rate, order, alpha, FITTED, window="blackman")
    else:
        refuse(order=order, alpha=alpha, iterations=iterations, gate=gate, floor=floor)
        if align == "soft-dtw":
            raise UsageError(f"mcd: variant={variant} knows align=dtw and none, not soft-dtw")
        analysis = BelCepstra(rate) if variant == "mel-cepstral-distance" else WorldCepstra(rate)
    width = band / analysis.period if band and not analysis.radius else None
    return Recipe(analysis, align, width, gamma, gate if variant == "db-rms" else None)


def _channel(r: Stream, t: Stream, recipe: Recipe, view: View) -> tuple[Channel, dict[str, float]]:
    analysis = recipe.analysis
    if reason := analysis.too_short(min(r.length, t.length)):
        return Channel(value=nan, reason=reason), {}
    x, y = engine.threads.in_threads(lambda k: analysis.frames(_samples((r, t)[k])), range(2), view.jobs)
    weights = recipe.weights(x.energy, x.energy.max())
    details = {}
    if recipe.align == "none":
        i = j = np.arange(len(x.cepstra))
    else:
        if analysis.radius:
            _, (i, j) = dsp.warping.fast_dtw(x.shape, y.shape, analysis.radius)
        else:
            _, (i, j) = dsp.warping.dtw(x.shape, y.shape, recipe.width, recipe.tie)
        lag = 1000 * np.abs(analysis.times(len(y.shape))[j] - analysis.times(len(x.shape))[i])
        details = {
            "path_deviation_ms": float(lag.mean()),
            "path_deviation_max_ms": float(lag.max()),
            "penalty": float(2 - (len(x.shape) + len(y.shape)) / len(i)),
        }
    difference = x.cepstra[i] - y.cepstra[j]
    distances = analysis.factor * np.sqrt(np.square(difference).sum(1))
    share = weights[i] / weights[i].sum()
    value = float(share @ distances)
    if recipe.align == "soft-dtw":
        value = _soft(x, y, weights, recipe)
    if view.detail == "value":
        return Channel(value=value), details
    channel = local_distances(
        value,
        distances,
        share,
        i,
        lambda steps: difference[steps] @ analysis.basis.T,
        analysis.frequencies,
        analysis.top,
        analysis.times(len(weights)),
        view,
    )
    per_time = np.where(weights >= 0.5 * weights.max(), np.asarray(channel.per_time), nan)  # where the gate is open
    return replace(channel, per_time=per_time), details


def _samples(stream: Stream) -> Any:
    """All of them, filtered, float64."""
    out = np.empty(stream.length, stream.samples.dtype)
    engine.stream.read(*stream, 0, out)
    return out.astype(np.float64, copy=False)


def _soft(x: Frames, y: Frames, weights: Any, recipe: Recipe) -> float:
    """The soft-DTW divergence, every distance weighted by the mean of the weights at its two ends: it stays symmetric,
    and no loud frame comes cheap. A test of another length has the weights of the reference at the same part of it."""
    there = np.interp(np.linspace(0, 1, len(y.cepstra)), np.linspace(0, 1, len(weights)), weights)
    a, b = (0.5 * recipe.analysis.factor * w for w in (weights, weights if len(there) == len(weights) else there))
    found = dsp.warping.soft_dtw_divergence(x.cepstra, y.cepstra, recipe.gamma, recipe.width, a, b)
    return float(max(found, 0.0) / weights.sum())
