"""Segmental signal-to-noise ratio, in dB: the mean over frames of the SNR clipped to -10..35 dB. Hansen and Pellom
1998; Loizou 2013, section 11.1; as pysepm's SNRseg.

Frames last 30 ms, overlap by three quarters, and lie under a Hann window without its zeros. As in pysepm the last is
left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Any

from .. import models
from ..answer import Channel, Pair, waveforms
from ..card import Card
from ..errors import InputError
from ..models.energy_ratio import Pooled
from ..models.loizou.segments import EPS, Clipped
from ..result import Twin

CARD = Card(
    title="Segmental signal-to-noise ratio",
    family="conventional",
    unit="dB",
    better="higher",
    identical=None,
    range=(-10.0, 35.0),
    formula="mean over frames of clip(10 lg(sum (w ref)^2 / sum (w (ref - test))^2), low, high), sums over all "
    "channels",
    source="Hansen and Pellom 1998; Loizou 2013, section 11.1; pysepm at 7ef88af, SNRseg",
    conventions="As pysepm, eps = 2.2e-16 guards the noise and the ratio. Identical files score 35 dB, less what "
    "their silent frames take away. Channels: the energies of a frame are added; pysepm takes one channel, and "
    "channels=mean is the mean of the channels' values.",
    silence="-10 dB in every frame in which the reference is silent in all channels, also when both are.",
    caveat="Pauses count as much as speech; the clipping hides how bad or good a frame is.",
    version=3,
    pooling="energy",
    joint_channels=True,
    minimum="two frames: 37.5 ms by default",
    symmetric=False,
    gradient="exact",
    ratio=True,
    profile="share",
    map="share",
)


@dataclass(frozen=True, kw_only=True)
class Options(Clipped, Pooled):
    pass


def measure(pairs: list[Pair], o: Options) -> Channel:
    segments, length = o.segments(pairs[0].rate), pairs[0].ref.length
    find, clipped = models.loizou.segments.energies, models.loizou.segments.clipped

    def energies(pair: Pair) -> Any:
        return find(pair.ref, pair.test, segments, pair.threads) if segments.count(length) > 0 else None

    def concluded(pairs: Any, channels: Any) -> Channel:
        if segments.count(length) < 1:
            return waveforms(pairs, nan, reason=segments.too_short(length))
        return waveforms(pairs, float(clipped(sum(channels), o.low, o.high).mean()))

    return o.answered(pairs, energies, concluded)


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import over_channels, segments

    cut = o.segments(rate)
    energies = segments(cut.window, cut.hop)

    def formula(ref: Any, test: Any, channels: int) -> Any:
        count = cut.count(ref.shape[-1])
        if count < 1:
            raise InputError(cut.too_short(ref.shape[-1]))
        signal, noise = (over_channels(x, channels) for x in energies(ref, test, count))
        return (10 * (signal / (noise + EPS) + EPS).log10()).clamp(o.low, o.high).mean(1)

    return o.twin(formula)
