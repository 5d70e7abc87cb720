"""Cepstrum distance, in dB: how far apart the cepstra of two all-pole envelopes are. Kitawaki, Nagabuchi and Itoh 1988;
Loizou 2013, section 11.1; as pysepm's cepstrum_distance.

Frames last 30 ms, overlap by three quarters, and the last is left out. The order of the predictor is 16, or 10 below
10 kHz; there are as many coefficients.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Annotated, Any, Literal

import numpy as np

from .. import dsp
from ..answer import Channel, Pair
from ..card import Card
from ..models.loizou.envelopes import AllPole, Envelopes, Limit
from ..result import Twin

CARD = Card(
    title="Cepstrum distance of linear prediction",
    family="cepstral",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="mean of the lowest 95 % of frames of min(10, 10 / ln 10 sqrt(2 sum_{m=1}^{P} (c_m(test) - c_m(ref))^2)), "
    "c: cepstrum of the linear predictor",
    source="Kitawaki, Nagabuchi and Itoh 1988; Loizou 2013, section 11.1; pysepm at 7ef88af, cepstrum_distance",
    conventions="pysepm gives a frame that is digital silence in either recording the limit, 10, even where both are "
    "the same: convention=pysepm does so too. Here its spectrum is flat.",
    silence="Defined: silence has a flat spectrum; 0 when both are silent.",
    caveat="Hears the envelope alone: neither level nor pitch nor phase. The cepstrum ends at the order, so the dB are "
    "those of a smoothed envelope."
    " Memory grows with the recordings, by at most what they take.",
    version=2,
    minimum="two frames: 37.5 ms by default",
    symmetric=True,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)

DB = float(10 * 2**0.5 / np.log(10))


@dataclass(frozen=True, kw_only=True)
class Options(AllPole):
    convention: Annotated[Literal["guarded", "pysepm"], "silent frames are flat, or score the limit"] = "guarded"
    limit: Limit = 10.0


def measure(pair: Pair, o: Options) -> Channel:
    envelopes, length = Envelopes.of(pair.rate, o), pair.ref.length
    if envelopes.segments.count(length) < 1:
        return Channel(value=nan, reason=envelopes.segments.too_short(length))
    guarded = o.convention == "guarded"
    (a, p), (b, q) = (envelopes.predictors(s, 0.0, guarded, pair.threads) for s in (pair.ref, pair.test))
    c, d = np.empty((2, len(a), envelopes.order))
    dsp.linear_prediction.cepstra(a, c)
    dsp.linear_prediction.cepstra(b, d)
    distances = DB * np.sqrt(np.square(d - c).sum(1))
    if not guarded:
        distances[(p[:, 0] == 0) | (q[:, 0] == 0)] = envelopes.limit
    return envelopes.channel(distances, a, b, pair)


def twin(rate: int, o: Options) -> Twin:
    import torch

    from ..engine.tensors import root

    envelopes, guarded = Envelopes.of(rate, o), o.convention == "guarded"
    predict, cepstra = envelopes.differentiable(guarded=guarded), dsp.linear_prediction.cepstra_torch

    def value(ref: Any, test: Any) -> Any:
        (a, r), (b, s) = predict(ref), predict(test)
        distances = DB * root((cepstra(b) - cepstra(a)).square().sum(-1))
        if not guarded:
            distances = torch.where((r[..., 0] == 0) | (s[..., 0] == 0), envelopes.limit, distances)
        return envelopes.mean_torch(distances)

    return value
