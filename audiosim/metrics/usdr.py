"""uSDR, the signal-to-distortion ratio of the music demixing challenges, in dB: over a whole song, without filters.
Mitsufuji et al. 2022 (Frontiers in Signal Processing 1, 808395)."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

from .. import engine
from ..answer import Channel, Pair, waveforms
from ..card import Card
from ..engine.decibels import ratio
from ..models.energy_ratio import Pooled
from ..result import Twin

CARD = Card(
    title="SDR of the music demixing challenges (uSDR)",
    family="conventional",
    unit="dB",
    better="higher",
    identical=None,
    range=(-inf, inf),
    formula="10 lg((sum ref^2 + eps) / (sum (test - ref)^2 + eps)), eps = 1e-7, sums over all samples and channels",
    source="Mitsufuji et al. 2022, doi 10.3389/frsip.2021.808395; Fabbro et al. 2024, TISMIR 7, 63",
    conventions="The challenges' SDR: of a song its sources' mean, of a system the songs' mean. It is the plain "
    "signal-to-noise ratio, and no BSS-eval: bss-eval takes the median of windows, sdr allows a filter. Full scale is "
    "1.0, on which eps depends. channels=mean takes each channel's own value.",
    silence="Defined through eps: 0 dB when both are silent.",
    caveat="A waveform measure: a delay of one sample, a changed phase or gain counts as distortion.",
    pooling="energy",
    joint_channels=True,
    gradient="exact",
    ratio=True,
    profile="local",
    map="share",
)

CHALLENGE = "usdr"  # its eps in engine.decibels.EPS

Options = Pooled


def measure(pairs: list[Pair], o: Options) -> Channel:
    def energies(pair: Pair) -> Any:
        return engine.moments.over(engine.moments.squares, 2, pair.ref, pair.test, 0.0, 0.0, 1.0, threads=pair.threads)

    def finish(signal: Any, noise: Any) -> Any:
        return ratio(signal, noise, CHALLENGE)

    def concluded(pairs: Sequence[Pair], channels: Sequence[Any]) -> Channel:
        signal, noise = sum(channels)
        value = float(finish(signal, noise))
        return waveforms(pairs, value, lambda e, samples: finish(e[..., 0], e[..., 2]))

    return o.answered(pairs, energies, concluded)


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import Joint, decibels, over_channels

    def formula(ref: Any, test: Any, channels: int) -> Any:
        sums = Joint(ref, test)
        return decibels(over_channels(sums.signal, channels), over_channels(sums.noise, channels), CHALLENGE)

    return o.twin(formula)
