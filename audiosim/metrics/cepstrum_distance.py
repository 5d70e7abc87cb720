"""Cepstrum distance, in dB: how far apart the cepstra of two all-pole envelopes are. Kitawaki, Nagabuchi and Itoh 1988;
Loizou 2013, section 11.1; as pysepm's cepstrum_distance."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from .. import dsp
from ..answer import Channel, Detail, View, pool
from ..card import Card
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..models.loizou.envelopes import Envelopes, Frame, Keep, Limit, Order, Overlap
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Cepstrum distance of linear prediction",
    family="cepstral",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="mean of the lowest 95 % of frames of min(10, 10 / ln 10 sqrt(2 sum_{m=1}^{P} (c_m(test) - c_m(ref))^2)), "
    "c: cepstrum of the linear predictor",
    source="Kitawaki, Nagabuchi and Itoh 1988; Loizou 2013, section 11.1; pysepm at 7ef88af, cepstrum_distance",
    conventions="Frames of 30 ms, three quarters overlapping, the last left out; order 16, 10 below 10 kHz; as many "
    "coefficients. pysepm gives a frame that is digital silence in either recording the limit, 10, even where both are "
    "the same; convention=pysepm does so too. Here its spectrum is flat.",
    silence="Defined: silence has a flat spectrum; 0 when both are silent.",
    caveat="Hears the envelope alone: neither level nor pitch nor phase. The cepstrum ends at the order, so the dB are "
    "those of a smoothed envelope.",
    minimum="two frames: 37.5 ms by default",
    symmetric=True,
    triangle=False,
    blind=("polarity", "gain"),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sum",
)

DB = float(10 * 2**0.5 / np.log(10))

Convention = Annotated[Literal["guarded", "pysepm"], "silent frames are flat, or score the limit"]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    convention: Convention = "guarded",
    order: Order = 0,
    frame: Frame = 0.03,
    overlap: Overlap = 0.75,
    limit: Limit = 10.0,
    keep: Keep = 0.95,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    envelopes = Envelopes.of(rate, order, frame, overlap, limit, keep)
    return pool(
        [
            _channel(r, t, envelopes, convention == "guarded", view)
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text."""
    import torch

    from ..engine.tensors import root

    envelopes = Envelopes.of(rate, o.order, o.frame, o.overlap, o.limit, o.keep)
    guarded = o.convention == "guarded"
    predict, cepstra = envelopes.differentiable(guarded=guarded), dsp.linear_prediction.cepstra_torch

    def value(ref: Any, test: Any) -> Any:
        (a, r), (b, s) = predict(ref), predict(test)
        distances = DB * root((cepstra(b) - cepstra(a)).square().sum(-1))
        if not guarded:
            distances = torch.where((r[..., 0] == 0) | (s[..., 0] == 0), envelopes.limit, distances)
        return envelopes.mean_torch(distances)

    return value


def _channel(r: Stream, t: Stream, envelopes: Envelopes, guarded: bool, view: View) -> Channel:
    count = envelopes.count(r.length)
    if count < 1:
        return Channel(value=nan, reason=envelopes.too_short(r.length))
    (a, p), (b, q) = (envelopes.predictors(s, count, view.jobs, 0.0, guarded) for s in (r, t))
    c, d = np.empty((2, count, envelopes.order))
    dsp.linear_prediction.cepstra(a, c)
    dsp.linear_prediction.cepstra(b, d)
    distances = DB * np.sqrt(np.square(d - c).sum(1))
    if not guarded:
        distances[(p[:, 0] == 0) | (q[:, 0] == 0)] = envelopes.limit
    return envelopes.channel(distances, a, b, view)
