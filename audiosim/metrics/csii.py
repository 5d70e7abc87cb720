"""Coherence speech intelligibility index: how much of speech is heard above what is not coherent with the reference, in
frames of middle level. Kates and Arehart 2005, JASA 117(4); as pysepm's csii."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, Any

import numpy as np

from .. import models
from ..answer import Channel, Detail, View, pooled
from ..card import Card
from ..hearing import scales
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..models.loizou.segments import FRAME, OVERLAP, Segments
from ..result import Result

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Coherence speech intelligibility index",
    family="perceptual",
    unit="1",
    better="higher",
    identical=1.0,
    range=(0.0, 1.0),
    formula="mean over frames of middle level of sum_b I_b clip((SDR_b + 15) / 30, 0, 1) / sum_b I_b, SDR_b = 10"
    " lg(sum_k R_bk C_k |Y_k|^2 / sum_k R_bk (1 - C_k) |Y_k|^2), C: squared coherence over these frames",
    source="Kates and Arehart 2005, eq. 7 to 13; ANSI S3.5-1997, table B.1; pysepm at 7ef88af, csii",
    conventions="At 16 kHz; frames of 30 ms, three quarters overlapping, the last left out; high: from the level of the"
    " whole reference on, mid: down to 10 dB below, low: the rest. The value is mid, details have all three. The"
    " paper's I3, a logistic function of mid and low, is not computed. pysepm has no number for identical files and"
    " for frames without sound; here the former are 1, a frame in which only the test is silent is 0, and one in which"
    " both are does not count.",
    silence="Undefined for a silent reference; 0 for a silent test.",
    caveat="Hears no constant filter and no gain, and nothing above 3.4 kHz. Coherence of few frames is too high by"
    " about one over their number: take seconds of speech.",
    minimum="0.4 s, and a frame 0 to 10 dB below the level of the reference",
    shortest=0.4,
    rate=16000,
    symmetric=False,
    triangle=False,
    blind=("polarity", "gain"),
    gradient="none",
    profile="local",
    map="share",
)

COUNTS = "mid"  # the level of the value: in the paper it weighs most


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 16 kHz; the channels are averaged.

    Details: high, mid and low, those that all channels have.
    per_band: the index of a band alone. What it lacks to 1 has its place in the frames where the test is no linear
    image of the reference: per_time is 1 less what is lacking there, nan in frames of other levels, and may fall far
    below 0; their mean is the value. map: shares of what is lacking;
    where nothing is, of what is no linear image.
    """
    view, segments = View(rate, detail, band_edges, jobs), Segments.of(rate, FRAME, OVERLAP)
    channels = [_channel(r, t, segments, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)]
    common = [name for name in channels[0].details if all(name in c.details for c in channels)]
    return pooled([replace(c, details={name: c.details[name] for name in common}) for c in channels])


def _channel(r: Stream, t: Stream, segments: Segments, view: View) -> Channel:
    if r.length < CARD.shortest * view.rate:
        seconds = r.length / view.rate
        return Channel(value=nan, reason=f"too short: {CARD.shortest:g} s are needed, there are {seconds:.3g} s")
    levels = models.loizou.coherence_levels
    found = levels.heard(r, t, segments, view.jobs, view.detail != "value")
    details = {
        name: float(1 - found.lacking[found.level == i].mean())
        for i, name in enumerate(levels.NAMES)
        if (found.level == i).any()
    }
    if not details:
        return Channel(value=nan, reason="the reference is silent")
    if COUNTS not in details:
        return Channel(value=nan, reason="no frame of the reference is 0 to 10 dB below its level")
    value = details[COUNTS]
    if view.detail == "value":
        return Channel(value=value, details=details)
    counts = found.level == levels.NAMES.index(COUNTS)
    lacking, residual = found.cells[counts], found.residual[counts]
    share = residual / np.where(residual.any(0), residual.sum(0), 1)
    placed = lacking.sum(0) * share
    missing = placed if placed.any() else levels.WEIGHTS * share
    cuts, edges = scales.bands(levels.CENTRES, levels.TOP, view.band_edges)
    by_band = (np.add.reduceat(z[..., : cuts[-1]], cuts[:-1], axis=-1) for z in (levels.WEIGHTS, lacking, missing))
    weights, lacking, cells = by_band
    per_time, local = np.full(counts.size, nan), np.zeros((counts.size, len(weights)))
    per_time[counts] = 1 - placed.sum(1)
    local[counts] = cells / (missing.sum() or 1.0)
    return Channel(
        value=value,
        per_band=1 - lacking.sum(0) / (len(lacking) * weights),
        per_time=per_time,
        bands=scales.centres(levels.CENTRES, cuts),
        edges=edges,
        times=segments.times(counts.size),
        map=local if view.detail == "map" else None,
        details=details,
    )
