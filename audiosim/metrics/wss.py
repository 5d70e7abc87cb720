"""Weighted spectral slope: how the slopes of the spectrum over 25 critical bands differ, most where both have peaks.
Klatt 1982, ICASSP; Quackenbush, Barnwell and Clements 1988; Loizou 2013, section 11.1.2; as pysepm's wss.

By default frames last 30 ms and overlap by three quarters; as in pysepm the last is left out. Levels end at -100 dB, so
that silence is flat. On a rising slope the band before the peak stands for it, as in Loizou's and pysepm's programs,
which all published values come from.

per_time is the distance of each frame, per_band that of the slopes on both sides of a band alone, in the frames that
count. The map tells what each slope adds to the value, half of it in either band.

All is computed in float64, of float32 samples too.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import ClassVar

import numpy as np

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..hearing import scales
from ..models.loizou.envelopes import KEEP, Keep
from ..models.loizou.segments import Framed, lowest

CARD = Card(
    title="Weighted spectral slope distance",
    family="conventional",
    unit="dB²",
    better="lower",
    identical=0.0,
    formula="mean of the lowest 95 % of frames of sum_b W_b (dX_b - dY_b)^2 / sum_b W_b, dX, dY: slopes in dB per"
    " critical band, W: the higher the nearer to a peak and to the highest",
    source="Klatt 1982; Loizou 2013, eq. 11.17 and 11.18; pysepm at 7ef88af, wss",
    conventions="As Loizou's programs and pysepm at 16 kHz.",
    silence="Undefined for a silent reference; a silent frame is a flat spectrum.",
    caveat="It hears only the shape of the spectrum below 3.8 kHz. Added noise in pauses costs as much as in speech."
    " Memory grows with the recordings, by at most what they take.",
    version=2,
    minimum="two frames: 37.5 ms by default",
    rate=16000,
    symmetric=True,
    insensitive_to=("polarity", "gain"),
    gradient="none",
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(Framed):
    keep: Keep = KEEP

    float64: ClassVar[bool] = True


def measure(pair: Pair, o: Options) -> Channel:
    segments, length = o.segments(pair.rate), pair.ref.length
    if segments.count(length) < 1:
        return Channel(value=nan, reason=segments.too_short(length))
    critical, located = models.loizou.critical_bands, pair.detail != "value"
    distances, silent, weights, terms = critical.weighted_slopes(pair.ref, pair.test, segments, pair.threads, located)
    if silent.all():
        return Channel(value=nan, reason="the reference is silent")
    counting = lowest(distances, o.keep)
    value = float(distances[counting].mean())
    if not located:
        return Channel(value=value)
    cuts, edges = critical.edges(pair.rate / 2, pair.band_edges)
    weight, term = (scales.by_band(critical.by_band(z), cuts) for z in (weights, terms))
    cells = np.zeros(term.shape)
    cells[counting] = term[counting] / (weights[counting].sum(1, keepdims=True) * counting.size)
    return Channel(
        value=value,
        per_band=(term / weight)[counting].mean(0),
        per_time=distances,
        bands=scales.centres(critical.CENTRES, cuts),
        edges=edges,
        times=segments.times(distances.size),
        map=cells if pair.detail == "map" else None,
    )
