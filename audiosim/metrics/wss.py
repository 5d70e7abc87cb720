"""Weighted spectral slope: how the slopes of the spectrum over 25 critical bands differ, most where both have peaks.
Klatt 1982, ICASSP; Quackenbush, Barnwell and Clements 1988; Loizou 2013, section 11.1.2; as pysepm's wss."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import models
from ..answer import Channel, Detail, View, pooled
from ..card import Card
from ..errors import UsageError
from ..hearing import scales
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..models.loizou.envelopes import KEEP, Keep
from ..models.loizou.segments import FRAME, OVERLAP, Segments, lowest
from ..result import Result

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Weighted spectral slope distance",
    family="conventional",
    unit="dB²",
    better="lower",
    identical=0.0,
    formula="mean of the lowest 95 % of frames of sum_b W_b (dX_b - dY_b)^2 / sum_b W_b, dX, dY: slopes in dB per"
    " critical band, W: the higher the nearer to a peak and to the highest",
    source="Klatt 1982; Loizou 2013, eq. 11.17 and 11.18; pysepm at 7ef88af, wss",
    conventions="At 16 kHz; frames of 30 ms, three quarters overlapping, the last left out; levels end at -100 dB, so"
    " silence is flat. On a rising slope the band before the peak stands for it, as in Loizou's and pysepm's programs,"
    " which all published values come from.",
    silence="Undefined for a silent reference; a silent frame is a flat spectrum.",
    caveat="Hears the shape of the spectrum below 3.8 kHz alone. Added noise in pauses costs as much as in speech.",
    minimum="two frames: 37.5 ms by default",
    rate=16000,
    symmetric=True,
    triangle=False,
    blind=("polarity", "gain"),
    gradient="none",
    profile="local",
    map="sum",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    frame: Annotated[float, "seconds of a frame"] = FRAME,
    overlap: Annotated[float, "share of a frame that it shares with the next, below 1"] = OVERLAP,
    keep: Keep = KEEP,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 16 kHz; the channels are averaged.

    per_time: of each frame. per_band: over the slopes on both sides of a band alone, in the frames that count.
    map: what slopes add to the value, half of it in either band.
    """
    view, segments = View(rate, detail, band_edges, jobs), Segments.of(rate, frame, overlap)
    if not 0 < keep <= 1:
        raise UsageError(f"keep is above 0 to 1, not {keep:g}")
    return pooled(
        [_channel(r, t, segments, keep, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)]
    )


def _channel(r: Stream, t: Stream, segments: Segments, keep: float, view: View) -> Channel:
    count = segments.count(r.length)
    if count < 1:
        return Channel(value=nan, reason=segments.too_short(r.length))
    critical = models.loizou.critical_bands
    distances, silent, weights, terms = critical.weighted_slopes(r, t, segments, view.jobs, view.detail != "value")
    if silent.all():
        return Channel(value=nan, reason="the reference is silent")
    counting = lowest(distances, keep)
    value = float(distances[counting].mean())
    if view.detail == "value":
        return Channel(value=value)
    cuts, edges = critical.edges(view.rate / 2, view.band_edges)
    weight, term = (np.add.reduceat(critical.by_band(z)[:, : cuts[-1]], cuts[:-1], axis=1) for z in (weights, terms))
    cells = np.zeros(term.shape)
    cells[counting] = term[counting] / (weights[counting].sum(1, keepdims=True) * counting.size)
    return Channel(
        value=value,
        per_band=(term / weight)[counting].mean(0),
        per_time=distances,
        bands=scales.centres(critical.CENTRES, cuts),
        edges=edges,
        times=segments.times(count),
        map=cells if view.detail == "map" else None,
    )
