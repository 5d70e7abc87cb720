"""Normalised covariance measure: how the envelopes of speech in 20 bands correlate, read as signal-to-noise ratios. Ma,
Hu and Loizou 2009, JASA 125(5), eq. 8 to 11, after Holube and Kollmeier 1996 and Goldsworthy and Greenberg 2004; as
pysepm's ncm.

The bands lie evenly along the cochlea. One in which the reference does not vary does not count.

per_band is the measure of each band alone, nan where the reference does not vary. What it lacks to 1 has its place
where the test's envelope is no linear image of the reference's: per_time is 1 less what is lacking there. It may fall
far below 0; its mean is the value. The map holds shares of what is lacking or, where nothing is, of what does not
correlate.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from .. import engine, models
from ..answer import Channel, Pair, too_short
from ..card import Card
from ..hearing import scales
from ..hearing.weighting import Weighted
from ..models.loizou import speech_bands

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Normalised covariance measure",
    family="perceptual",
    unit="1",
    better="higher",
    identical=1.0,
    range=(0.0, 1.0),
    formula="sum_b I_b clip((10 lg(r_b^2 / (1 - r_b^2)) + 15) / 30, 0, 1) / sum_b I_b, r_b: correlation of the"
    " envelopes below 16 Hz of band b, I: importance of speech",
    source="Ma, Hu and Loizou 2009, eq. 8 to 11; Goldsworthy and Greenberg 2004; ANSI S3.5-1997, table B.1; pysepm at"
    " 7ef88af, ncm",
    conventions="20 bands from 300 to 7400 Hz; band=narrow-8k: 300 to 3400 Hz at 8 kHz, as in the paper. pysepm agrees"
    " within 3e-6, as its filters of order 8 round; as second-order sections they agree within 1e-8. Where rounding"
    " makes its list of band edges one too long it stops; the first 21 are the right ones. It has no value for"
    " identical files, which score 1 here.",
    silence="Undefined for a silent reference; 0 for a silent test.",
    caveat="It does not hear a constant filter or a gain, and an envelope turned upside down counts as one that is"
    " preserved. The correlation of short recordings is too high: take seconds of speech.",
    version=2,
    minimum="0.5 s",
    shortest=0.5,
    rate=16000,
    symmetric=True,
    insensitive_to=("polarity", "gain"),
    gradient="none",
    profile="local",
    map="share",
)

TINY = 1e-20  # guards the ratio, as in the authors' program


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    band: Annotated[Literal["wide", "narrow-8k"], "20 bands up to 7400 Hz, or up to 3400 Hz at 8 kHz"] = "wide"

    @property
    def resampled_to(self) -> int | None:
        return 8000 if self.band == "narrow-8k" else None


def measure(pair: Pair, o: Options) -> Channel:
    if pair.ref.length < CARD.shortest * pair.rate:
        return Channel(value=nan, reason=too_short(CARD.shortest, pair.ref.length, pair.rate))
    x, y = (_envelopes(s, pair) for s in (pair.ref, pair.test))
    x, y = x - x.mean(0), y - y.mean(0)
    xx, yy, xy = (x * x).sum(0), (y * y).sum(0), (x * y).sum(0)
    counts = xx > 0
    if not counts.any():
        return Channel(value=nan, reason="the reference is silent")
    squared = np.divide(xy * xy, xx * yy, out=np.zeros(xx.shape), where=xx * yy > 0)
    heard = speech_bands.audibility(10 * np.log10((squared + TINY) / (np.maximum(1 - squared, 0) + TINY)))
    bands = models.loizou.band_envelopes
    centres = bands.centres(pair.rate)
    weights = np.where(counts, speech_bands.importance(centres), 0)
    lacking = weights / weights.sum() * (1 - heard)
    value = float(1 - lacking.sum())
    if pair.detail == "value":
        return Channel(value=value)
    residual = np.square(y - x * np.divide(xy, xx, out=np.zeros(xx.shape), where=counts))
    residual = np.where(yy > 0, residual, x * x)  # what is missing
    share = residual / np.where(residual.any(0), residual.sum(0), 1)
    placed = share * (lacking if lacking.any() else weights * (1 - squared))
    cuts, edges = scales.bands(centres, bands.edges(pair.rate)[-1], pair.band_edges)
    parts, local, cells = (scales.by_band(z, cuts) for z in (weights, weights * heard, placed))
    return Channel(
        value=value,
        per_band=np.divide(local, parts, out=np.full(parts.size, nan), where=parts > 0),
        per_time=1 - share @ lacking * len(share),
        bands=scales.centres(centres, cuts),
        edges=edges,
        times=np.arange(len(share)) / bands.RATE,
        map=cells / (placed.sum() or 1.0) if pair.detail == "map" else None,
    )


def _envelopes(s: Stream, pair: Pair) -> Any:
    what = ("ncm", pair.rate, float(s.coef), s.lag)
    bands = models.loizou.band_envelopes
    return engine.cache.cached(s.samples, what, lambda: bands.envelopes(s, pair.rate, pair.threads))
