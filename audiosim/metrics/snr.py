"""Signal-to-noise ratio of the test, in dB: the noise is test - ref. Textbook; as torchmetrics and auraloss."""

from __future__ import annotations

from math import inf, nan
from typing import Any

from .. import engine
from ..answer import Channel, Pair, waveforms
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
    formula="10 lg(sum ref^2 / sum (test - ref)^2), sums over all channels",
    source="textbook definition; torchmetrics 1.9 signal_noise_ratio; auraloss 0.4.0 SNRLoss",
    conventions="torchmetrics (default) adds eps = 2.2e-16 to both energies (its float64 value), auraloss 1e-8 to the "
    "noise and to the ratio after removing the means, plain nothing. Identical files therefore score "
    "10 lg(energy / eps), about 180 dB (so identical depends on the signal), and infinity under plain. "
    "Channels: energies are added; the packages take the mean of the channels' values (channels=mean), in which an "
    "identical channel hides a broken one.",
    silence="Undefined for a silent reference; 0 dB for a silent test. Of several channels, one that is silent in both "
    "adds nothing, and one that is silent in the reference alone counts as noise.",
    caveat="A waveform measure: a delay of one sample or a changed phase counts as noise.",
    version=3,
    pooling="energy",
    joint_channels=True,
    symmetric=False,
    triangle=False,
    gradient="exact",
    ratio=True,
    cap="a silent reference scores eps over the noise, 0 dB without noise; plain: -200 dB, and 200 dB without noise",
    profile="local",
    map="db",
)


Options = Guarded


def measure(pairs: list[Pair], o: Options) -> Channel:
    def energies(pair: Pair) -> tuple[Any, tuple[float, float]]:
        squares, means = engine.moments.squares, o.means(pair)
        return engine.moments.over(squares, 2, pair.ref, pair.test, *means, 1.0, threads=pair.threads), means

    def finish(signal: Any, noise: Any) -> Any:
        return ratio(signal, noise, o.convention)

    def concluded(pairs: Any, channels: Any) -> Channel:
        signal, noise = sum(energies for energies, _ in channels)
        if signal == 0:
            return waveforms(pairs, nan, reason="the reference is silent")
        value = float(finish(signal, noise))
        return waveforms(
            pairs,
            value,
            lambda e, samples: finish(e[..., 0], e[..., 2]),
            scale=signal,
            reason="+inf: no noise at all" if value == inf else None,
            means=[means for _, means in channels],
        )

    return o.answered(pairs, energies, concluded)


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import Joint, decibels, over_channels

    def formula(ref: Any, test: Any, channels: int) -> Any:
        sums = Joint(ref, test, centre=o.centred)
        return decibels(over_channels(sums.signal, channels), over_channels(sums.noise, channels), o.convention)

    return o.twin(formula)
