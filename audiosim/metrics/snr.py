"""Signal-to-noise ratio of the test, in dB: the noise is test - ref. Textbook; as torchmetrics and auraloss."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Any

from .. import engine
from ..answer import Channel, Detail, View, pool, waveform
from ..card import Card
from ..engine.decibels import Convention, ZeroMean, ratio
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Signal-to-noise ratio",
    family="conventional",
    unit="dB",
    better="higher",
    identical=None,
    range=(-inf, inf),
    formula="10 lg(sum ref^2 / sum (test - ref)^2)",
    source="textbook definition; torchmetrics 1.9 signal_noise_ratio; auraloss 0.4.0 SNRLoss",
    conventions="torchmetrics (default) adds eps = 2.2e-16 to both energies (its float64 value), auraloss 1e-8 to the "
    "noise and to the ratio after removing the means, plain nothing. Identical files therefore score "
    "10 lg(energy / eps), about 180 dB (so identical depends on the signal), and infinity under plain.",
    silence="Undefined for a silent reference; 0 dB for a silent test.",
    caveat="A waveform measure: a delay of one sample or a changed phase counts as noise.",
    symmetric=False,
    triangle=False,
    gradient="exact",
    cap="a silent reference scores eps over the noise, 0 dB without noise; plain: -200 dB, and 200 dB without noise",
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

    def value(ref: Any, test: Any) -> Any:
        sums = Joint(ref, test, centre=o.zero_mean or o.convention == "auraloss")
        return decibels(sums.signal, sums.noise, o.convention)

    return value


def _channel(r: Stream, t: Stream, convention: str, zero_mean: bool, view: View) -> Channel:
    means = (0.0, 0.0)
    if zero_mean or convention == "auraloss":
        means = engine.moments.mean_pair(r, t, view.jobs)
    energies = engine.moments.over(engine.moments.squares, 2, r, t, *means, 1.0, jobs=view.jobs)
    if energies[0] == 0:
        return waveform(r, t, nan, view, reason="the reference is silent")

    def finish(signal: Any, noise: Any) -> Any:
        return ratio(signal, noise, convention)

    value = float(finish(*energies))
    reason = "+inf: no noise at all" if value == inf else None
    return waveform(
        r,
        t,
        value,
        view,
        lambda e, samples: finish(e[..., 0], e[..., 2]),
        scale=energies[0],
        reason=reason,
        means=means,
    )
