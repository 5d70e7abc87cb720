"""Mel-cepstral distortion, in dB: how far apart two smooth spectra are, their levels aside. Kubichek 1993; mel-cepstra
of Tokuda, Kobayashi, Chiba and Imai 1992; aligned by dynamic time warping.

With ln|H(w)| = c_0 + sum c_m cos(m w~), the distance 10 / ln 10 sqrt(2 sum_{m=1}^{M} (c_m - c'_m)^2) is the root mean
square over the warped axis w~ of the difference in dB of two spectra of equal mean. The constant is right for this
cepstrum and for no other: before cepstra of power or of mel bands it gives no dB. variant=db-rms takes the cepstrum of
the log spectrum in 25 ms frames every 5 ms.

Under align=soft-dtw, frames i and j are weighted by (w_i + w_j) / 2, and the divergence is divided by the sum of w.

Details, where the two are aligned: path_deviation_ms and path_deviation_max_ms, by which the path leads them apart
(mean and largest); penalty, 2 - (n + m) / steps, which is 0 where the path stays on the diagonal. Under soft-dtw they,
profile and map are those of the one cheapest path.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from math import nan
from typing import Annotated, Any, Literal

import numpy as np

from .. import dsp, engine
from ..answer import STEPS, Channel, Pair, local_distances
from ..card import Card
from ..errors import InputError, UsageError
from ..hearing.magnitudes import POWER
from ..hearing.weighting import Weighted
from ..models.mel_cepstra import Analysis, BelCepstra, Frames, MelCepstra, WorldCepstra
from ..options import ABOVE_ZERO, AT_LEAST_ZERO, Within
from ..result import Twin

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
    conventions="variant=sptk: mcep fitted to the end under a Blackman window, without gate and floor; align=none is "
    "SPTK's cdist. variant=mel-cepstral-distance: version 0.0.4, orders 2 to 16 of 20 bands in bel without a constant; "
    "align=dtw is its default, and its penalty is among the details. variant=pymcd: version 0.2.1, its dtw or "
    "(align=none) plain: c_0 counts, and power taken for amplitude doubles the value; its dtw_sl is that of dtw times "
    "the ratio of the lengths.",
    silence="Defined: 0 when both are silent. A frame in which the reference is silent counts little under the gate.",
    caveat="Alignment forgives errors of timing (path_deviation_ms among the details says how large) and some noise. "
    "It is deaf to pitch and phase, and to level but for the floor. Compare values of one variant, order and "
    "rate only. Where band=0 lets recordings over a minute lead or lag by any time, the path is looked for within 4 s "
    "of the best one at half the rate, exact=true among all. The cepstra of the whole are held: at most 3 times as "
    "much memory as the recordings, mostly about once.",
    version=2,
    lengths="any",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)

LONG, NEAR = 60.1, 2.0  # seconds from which on band=0 stays near to the path at half the rate, and how near
TIE = 1e-6  # of the unit: what a step off the diagonal costs, so that rounding does not choose among equal paths
SILENT = 1e-30  # energy of a frame below all others: a weight is never 0 / 0
FITTED = 10  # Newton steps, of which the last changes nothing any more

# What a variant settles
OTHERS = ("order", "alpha", "iterations", "gate", "floor")
SETTLED = {"sptk": OTHERS[2:], "mel-cepstral-distance": OTHERS, "pymcd": OTHERS}


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    variant: Annotated[
        Literal["db-rms", "sptk", "mel-cepstral-distance", "pymcd"], "true dB, or the values of another program"
    ] = "db-rms"
    align: Annotated[
        Literal["dtw", "none", "soft-dtw"], "of test and reference in time; none: frames at equal times"
    ] = "dtw"
    band: Annotated[float, AT_LEAST_ZERO, "seconds that the test may lead or lag by, 0 for any"] = 0.2
    exact: Annotated[bool, "band=0 tries all ways, however much time and memory that takes"] = False
    gamma: Annotated[float, ABOVE_ZERO, "softness of soft-dtw, dB"] = 0.1
    order: Annotated[int, AT_LEAST_ZERO, "of the cepstrum, 0 for 24 up to 16 kHz, 34 up to 24 kHz, 39 above"] = 0
    alpha: Annotated[float, Within(-1, 1, open_high=True), "all-pass warping, -1 for that of the mel scale"] = -1.0
    iterations: Annotated[int, AT_LEAST_ZERO, "Newton steps that fit the cepstrum to the peaks of the spectrum"] = 0
    gate: Annotated[float, ABOVE_ZERO, "dB below the reference's loudest frame at which a frame counts half"] = 50.0
    floor: Annotated[float, POWER, "power added to every bin, re a full-scale sine"] = 1e-10

    def check(self) -> None:
        for name in SETTLED.get(self.variant, ()):
            if getattr(self, name) != getattr(Options, name):
                raise UsageError(f"{name} is settled by variant={self.variant}; leave it out, or use variant=db-rms")
        if self.align == "soft-dtw" and self.variant in ("mel-cepstral-distance", "pymcd"):
            raise UsageError(f"variant={self.variant} knows align=dtw and none, not soft-dtw")

    def corridor(self, analysis: Analysis) -> float | None:
        """Half of it, in frames; None: the test may lead or lag by any time."""
        return self.band / analysis.period if self.band and not analysis.radius else None

    def radius(self, analysis: Analysis, n: int, m: int) -> int:
        """Of fast_dtw in frames, for recordings of n and m frames; 0: the corridor is searched."""
        if analysis.radius or self.band or self.exact or max(n, m) * analysis.period <= LONG:
            return analysis.radius
        return round(NEAR / analysis.period)

    def weights(self, energy: Any, loudest: Any) -> Any:
        """Of frames with these energies; the same for all in silence, and for all of other programs."""
        if self.variant != "db-rms":
            return energy * 0 + 1
        return (energy + SILENT) / (energy + SILENT + 10 ** (-self.gate / 10) * (loudest + SILENT))


@lru_cache(maxsize=16)
def _analysis(rate: int, o: Options) -> Analysis:
    match o.variant:
        case "db-rms":
            return MelCepstra(rate, o.order, o.alpha, o.iterations, o.floor)
        case "sptk":
            return MelCepstra(rate, o.order, o.alpha, FITTED, window="blackman")
        case "mel-cepstral-distance":
            return BelCepstra(rate)
        case "pymcd":
            return WorldCepstra(rate)


def measure(pair: Pair, o: Options) -> Channel:
    r, t = pair.ref, pair.test
    analysis = _analysis(pair.rate, o)
    if o.align == "none" and r.length != t.length:
        raise InputError(
            f"mcd:align=none compares equal times, but the lengths are {r.samples.size} and {t.samples.size} samples: "
            "use align=dtw, or --length trim or pad"
        )
    if reason := analysis.too_short(min(r.length, t.length)):
        return Channel(value=nan, reason=reason)
    x, y = engine.threads.in_threads(lambda k: analysis.frames((r, t)[k]), range(2), pair.threads)
    weights = o.weights(x.energy, x.energy.max())
    details = {}
    if o.align == "none":
        i = j = np.arange(len(x.cepstra))
    else:
        radius = o.radius(analysis, len(x.shape), len(y.shape))
        if radius:
            _, (i, j) = dsp.warping.fast_dtw(x.shape, y.shape, radius, tie(analysis))
        else:
            _, (i, j) = dsp.warping.dtw(x.shape, y.shape, o.corridor(analysis), tie(analysis))
        lag = 1000 * np.abs(analysis.times(len(y.shape))[j] - analysis.times(len(x.shape))[i])
        details = {
            "path_deviation_ms": float(lag.mean()),
            "path_deviation_max_ms": float(lag.max()),
            "penalty": float(2 - (len(x.shape) + len(y.shape)) / len(i)),
        }

    def difference(steps: slice) -> Any:
        return x.cepstra[i[steps]] - y.cepstra[j[steps]]

    distances = np.empty(len(i))
    for k in range(0, len(i), STEPS):
        steps = slice(k, k + STEPS)
        distances[steps] = analysis.factor * np.sqrt(np.square(difference(steps)).sum(1))
    share = weights[i] / weights[i].sum()
    value = _soft(x, y, weights, analysis, o) if o.align == "soft-dtw" else float(share @ distances)
    if pair.detail == "value":
        return Channel(value=value, details=details)
    channel = local_distances(
        value,
        distances,
        share,
        i,
        lambda steps: difference(steps) @ analysis.basis.T,
        analysis.frequencies,
        analysis.top,
        analysis.times(len(weights)),
        pair,
    )
    per_time = np.where(weights >= 0.5 * weights.max(), np.asarray(channel.per_time), nan)  # where the gate is open
    return replace(channel, per_time=per_time, details=details)


def tie(analysis: Analysis) -> float:
    """What a step off the diagonal costs; nothing in the alignment of other programs."""
    return 0.0 if analysis.radius else TIE / analysis.factor


def _soft(x: Frames, y: Frames, weights: Any, analysis: Analysis, o: Options) -> float:
    """The soft-DTW divergence, every distance weighted by the mean of the weights at its two ends: it stays symmetric,
    and no loud frame comes cheap. A test of another length has the weights of the reference at the same part of it."""
    there = np.interp(np.linspace(0, 1, len(y.cepstra)), np.linspace(0, 1, len(weights)), weights)
    a, b = (0.5 * analysis.factor * w for w in (weights, weights if len(there) == len(weights) else there))
    radius = o.radius(analysis, len(x.cepstra), len(y.cepstra))
    if radius:
        lane = dsp.warping.near_path(x.cepstra, y.cepstra, radius, tie(analysis))
        both = dsp.warping.soft_dtw(x.cepstra, y.cepstra, o.gamma, lane, a, b)
        each = (dsp.warping.soft_dtw(z, z, o.gamma, 2 * radius, w, w) for z, w in ((x.cepstra, a), (y.cepstra, b)))
        found = both - sum(each) / 2
    else:
        found = dsp.warping.soft_dtw_divergence(x.cepstra, y.cepstra, o.gamma, o.corridor(analysis), a, b)
    return float(max(found, 0.0) / weights.sum())


def twin(rate: int, o: Options) -> Twin:
    """The path of align=dtw is found on detached cepstra."""
    import torch

    from ..engine.tensors import root

    analysis = _analysis(rate, o)
    width = o.corridor(analysis)
    if isinstance(analysis, WorldCepstra):
        raise UsageError("mcd:variant=pymcd has no gradient to train on; use variant=db-rms")
    analyse, find, soft = analysis.differentiable(), dsp.warping.dtw_torch(), dsp.warping.soft_dtw_torch()

    def value(ref: Any, test: Any) -> Any:
        x, y = (analyse(s.double()) for s in (ref, test))
        p, q = x.cepstra, y.cepstra
        w = o.weights(x.energy, x.energy.amax(-1, keepdim=True))
        total = w.sum(1)
        if o.align == "soft-dtw":
            a = 0.5 * analysis.factor * w
            both, one, other = (soft(u, v, a, a, o.gamma, width) for u, v in ((p, q), (p, p), (q, q)))
            return (both - (one + other) / 2).clamp(min=0) / total
        if o.align == "dtw":
            radius = o.radius(analysis, x.shape.shape[1], y.shape.shape[1])
            path, real = find(x.shape, y.shape, width, tie(analysis), radius)
            i, j = path.unbind(1)
            p, q = torch.take_along_dim(p, i[..., None], 1), torch.take_along_dim(q, j[..., None], 1)
            w = w.gather(1, i) * real
            total = w.sum(1)
        return analysis.factor * (w * root((q - p).square().sum(-1))).sum(1) / total

    return value
