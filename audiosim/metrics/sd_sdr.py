"""Scale-dependent signal-to-distortion ratio, in dB. Le Roux et al. 2019 (arXiv 1811.02508, eq. 10): the scaled
target of SI-SDR over all of the error, so that attenuation counts."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any

from .. import engine
from ..answer import Channel, Detail, View, pool, waveform
from ..card import Card
from ..engine.decibels import EPS, Convention, ZeroMean, ratio
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Scale-dependent signal-to-distortion ratio",
    family="conventional",
    unit="dB",
    better="higher",
    identical=None,
    range=(-inf, inf),
    formula="10 lg(|a ref|^2 / |test - ref|^2), a = <test, ref> / |ref|^2",
    source="Le Roux et al. 2019, arXiv 1811.02508, eq. 10; auraloss 0.4.0 SDSDRLoss",
    conventions="auraloss adds eps = 1e-8 after removing the means, plain nothing; torchmetrics has no such "
    "function, the default guards as its si-sdr does (2.2e-16). Identical files therefore score about "
    "10 lg(energy / eps), which depends on the signal, and infinity under plain.",
    silence="Undefined for a silent reference or test.",
    caveat="Punishes a level that is too low, hardly one that is too high; sensitive to delay as all waveform "
    "measures.",
    symmetric=False,
    triangle=False,
    gradient="exact",
    cap="a silent reference or test scores eps over the error; plain: -200 dB, and 200 dB without error",
    profile="local",
    map="db",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    convention: Convention = "torchmetrics",
    zero_mean: ZeroMean = False,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    return pool(
        [_channel(r, t, convention, zero_mean, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..engine.tensors import Joint, decibels

    centre = o.zero_mean or o.convention == "auraloss"
    eps = EPS[o.convention]

    def value(ref: Any, test: Any) -> Any:
        sums = Joint(ref, test, centre=centre)
        signal = sums.signal
        common = signal + sums.common + (0 if o.convention == "auraloss" else eps)
        gain = common / (signal + eps).where(signal + eps > 0, 1)
        noise = sums.noise
        return decibels(gain * gain * signal, noise, o.convention)

    return value


def _channel(r: Stream, t: Stream, convention: str, zero_mean: bool, view: View) -> Channel:
    means = (0.0, 0.0)
    if zero_mean or convention == "auraloss":
        means = engine.moments.mean_pair(r, t, view.jobs)
    signal, other, excess = engine.moments.over(engine.moments.product, 3, r, t, *means, jobs=view.jobs)
    if signal == 0:
        return waveform(r, t, nan, view, reason="the reference is silent")
    if other == 0:
        return waveform(r, t, nan, view, reason="the test is silent: nothing of the reference can be found in it")
    eps = EPS[convention]
    # <test, ref> / |ref|^2 with eps as the convention has it, written so that equal signals give exactly 1
    gain = 1 + (excess - (eps if convention == "auraloss" else 0)) / (signal + eps)
    error = engine.moments.over(engine.moments.squares, 2, r, t, *means, 1.0, jobs=view.jobs)[1]

    def finish(target: Any, distortion: Any) -> Any:
        return ratio(gain * gain * target, distortion, convention)

    value = float(finish(signal, error))
    reason = "+inf: no distortion at all" if value == inf else "-inf: nothing in common" if value == -inf else None
    scale = gain * gain * signal or None
    return waveform(
        r, t, value, view, lambda e, samples: finish(e[..., 0], e[..., 2]), scale=scale, reason=reason, means=means
    )
