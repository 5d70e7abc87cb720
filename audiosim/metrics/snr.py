"""Signal-to-noise ratio of the test, in dB: the noise is test - ref. Textbook; as torchmetrics and auraloss."""

from __future__ import annotations

from math import inf, nan
from typing import Any

from .. import engine
from ..answer import Channel, Pair, waveform
from ..card import Card
from ..engine.decibels import ratio
from ..models.energy_ratio import Guarded
from ..result import Twin

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


Options = Guarded


def measure(pair: Pair, o: Options) -> Channel:
    means = (0.0, 0.0)
    if o.centred:
        means = engine.moments.mean_pair(pair.ref, pair.test, pair.threads)
    squares = engine.moments.squares
    energies = engine.moments.over(squares, 2, pair.ref, pair.test, *means, 1.0, threads=pair.threads)
    if energies[0] == 0:
        return waveform(pair, nan, reason="the reference is silent")

    def finish(signal: Any, noise: Any) -> Any:
        return ratio(signal, noise, o.convention)

    value = float(finish(*energies))
    return waveform(
        pair,
        value,
        lambda e, samples: finish(e[..., 0], e[..., 2]),
        scale=energies[0],
        reason="+inf: no noise at all" if value == inf else None,
        means=means,
    )


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import Joint, decibels

    def value(ref: Any, test: Any) -> Any:
        sums = Joint(ref, test, centre=o.centred)
        return decibels(sums.signal, sums.noise, o.convention)

    return value
