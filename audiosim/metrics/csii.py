"""Coherence speech intelligibility index: how much of speech is heard above what is not coherent with the reference, in
frames of middle level. Kates and Arehart 2005, JASA 117(4), eq. 7 to 13; as pysepm's csii.

Frames last 30 ms and overlap by three quarters; as in pysepm the last is left out. A frame is of high level from the
level of the whole reference on, of middle level down to 10 dB below, of low level else. The value is that of the frames
of middle level. The paper's I3, a logistic function of mid and low, is not computed.

Details: high, mid and low, as far as all channels have them. per_band is the index of each band alone. What it lacks to
1 has its place in the frames where the test is no linear image of the reference: per_time is 1 less what is lacking
there, and nan in frames of other levels. It may fall far below 0; its mean is the value. The map holds shares of what
is lacking or, where nothing is, of what is no linear image.
"""

from __future__ import annotations

from math import nan

import numpy as np

from .. import models
from ..answer import Channel, Pair, too_short
from ..card import Card
from ..hearing import scales
from ..hearing.weighting import Weighted
from ..models.loizou.segments import Segments

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
    conventions="pysepm gives the same, but no value for identical files and for frames without sound. Here identical"
    " files score 1, a frame in which only the test is silent scores 0, and one in which both are does not count.",
    silence="Undefined for a silent reference; 0 for a silent test.",
    caveat="It does not hear a constant filter, a gain, or anything above 3.4 kHz. The coherence of a few frames is too"
    " high, by about one over their number: take seconds of speech.",
    version=2,
    minimum="0.4 s, and a frame 0 to 10 dB below the level of the reference",
    shortest=0.4,
    rate=16000,
    symmetric=False,
    insensitive_to=("polarity", "gain"),
    gradient="none",
    profile="local",
    map="share",
)

COUNTS = "mid"  # the level of the value: in the paper it weighs most

Options = Weighted


def measure(pair: Pair, o: Options) -> Channel:
    if pair.ref.length < CARD.shortest * pair.rate:
        return Channel(value=nan, reason=too_short(CARD.shortest, pair.ref.length, pair.rate))
    levels, segments = models.loizou.coherence_levels, Segments.of(pair.rate)
    found = levels.heard(pair.ref, pair.test, segments, pair.threads, pair.detail != "value")
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
    if pair.detail == "value":
        return Channel(value=value, details=details)
    counts = found.level == levels.NAMES.index(COUNTS)
    lacking, residual = found.cells[counts], found.residual[counts]
    share = residual / np.where(residual.any(0), residual.sum(0), 1)
    placed = lacking.sum(0) * share
    missing = placed if placed.any() else levels.WEIGHTS * share
    cuts, edges = scales.bands(levels.CENTRES, levels.TOP, pair.band_edges)
    weights, lacking, cells = (scales.by_band(z, cuts) for z in (levels.WEIGHTS, lacking, missing))
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
        map=local if pair.detail == "map" else None,
        details=details,
    )
