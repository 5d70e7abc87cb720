"""Segmental signal-to-noise ratio, in dB: the mean over frames of the SNR clipped to -10..35 dB. Hansen and Pellom
1998; Loizou 2013, section 11.1; as pysepm's SNRseg.

Frames last 30 ms, overlap by three quarters, and lie under a Hann window without its zeros. As in pysepm the last is
left out.
"""

from __future__ import annotations

from math import nan
from typing import Any

from .. import models
from ..answer import Channel, Pair, waveform
from ..card import Card
from ..errors import InputError
from ..models.loizou.segments import EPS, Clipped
from ..result import Twin

CARD = Card(
    title="Segmental signal-to-noise ratio",
    family="conventional",
    unit="dB",
    better="higher",
    identical=None,
    range=(-10.0, 35.0),
    formula="mean over frames of clip(10 lg(sum (w ref)^2 / sum (w (ref - test))^2), low, high)",
    source="Hansen and Pellom 1998; Loizou 2013, section 11.1; pysepm at 7ef88af, SNRseg",
    conventions="As pysepm, eps = 2.2e-16 guards the noise and the ratio. Identical files score 35 dB, less what "
    "their silent frames take away.",
    silence="-10 dB in every frame in which the reference is silent, also when both are.",
    caveat="Pauses count as much as speech; the clipping hides how bad or good a frame is.",
    minimum="two frames: 37.5 ms by default",
    symmetric=False,
    gradient="exact",
    profile="share",
    map="share",
)

Options = Clipped


def measure(pair: Pair, o: Options) -> Channel:
    segments, length = o.segments(pair.rate), pair.ref.length
    if segments.count(length) < 1:
        return waveform(pair, nan, reason=segments.too_short(length))
    ratios = models.loizou.segments.ratios(pair.ref, pair.test, segments, o.low, o.high, pair.threads)
    return waveform(pair, float(ratios.mean()))


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import segments

    cut = o.segments(rate)
    energies = segments(cut.window, cut.hop)

    def value(ref: Any, test: Any) -> Any:
        count = cut.count(ref.shape[-1])
        if count < 1:
            raise InputError(cut.too_short(ref.shape[-1]))
        signal, noise = energies(ref, test, count)
        return (10 * (signal / (noise + EPS) + EPS).log10()).clamp(o.low, o.high).mean(1)

    return value
