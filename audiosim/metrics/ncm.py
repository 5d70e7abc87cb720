"""Normalised covariance measure: how the envelopes of speech in 20 bands correlate, read as signal-to-noise ratios.
Holube and Kollmeier 1996; Goldsworthy and Greenberg 2004; Ma, Hu and Loizou 2009, JASA 125(5), eq. 8 to 11; as pysepm's
ncm."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from .. import dsp, engine, models
from ..answer import Channel, Detail, View, pooled
from ..card import Card
from ..hearing import scales
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..models.loizou import speech_bands
from ..result import Result
from ..signal import Signal

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
    conventions="20 bands along the cochlea, 300 to 7400 Hz; band=narrow-8k: 300 to 3400 Hz at 8 kHz, as the paper."
    " pysepm's list of band edges is one too long where rounding has it, and the program stops; with the first 21 it"
    " agrees within 3e-6, as its filters of order 8 round; as second-order sections they agree within 1e-8. It has no"
    " number for identical files; here they are 1. A band in which the reference does not vary does not count.",
    silence="Undefined for a silent reference; 0 for a silent test.",
    caveat="Hears no constant filter and no gain; an envelope turned upside down counts as one that is kept."
    " Correlation of short recordings is too high: take seconds of speech.",
    minimum="0.5 s",
    shortest=0.5,
    rate=16000,
    symmetric=True,
    triangle=False,
    blind=("polarity", "gain"),
    gradient="none",
    profile="local",
    map="share",
)

TINY = 1e-20  # guards the ratio, as in the authors' program


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    band: Annotated[Literal["wide", "narrow-8k"], "20 bands up to 7400 Hz, or up to 3400 Hz at 8 kHz"] = "wide",
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 16 kHz; the channels are averaged.

    per_band: the measure of a band alone, nan where the reference does not vary. What it lacks to 1 has its place where
    the test's envelope is no linear image of the reference's: per_time is 1 less what is lacking there, and may fall
    far below 0; their mean is the value. map: shares of what is lacking;
    where nothing is, of what does not correlate.
    """
    seconds = ref.shape[1] / rate
    if seconds < CARD.shortest:
        reason = f"too short: {CARD.shortest:g} s are needed, there are {seconds:.3g} s"
        return pooled([Channel(value=nan, reason=reason) for _ in ref])
    if band == "narrow-8k":
        ref, test = (dsp.resampling.to_rate(Signal.of(x, rate, "speech"), 8000).samples for x in (ref, test))
        rate = 8000
    view = View(rate, detail, band_edges, jobs)
    return pooled([_channel(r, t, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)])


def _channel(r: Stream, t: Stream, view: View) -> Channel:
    x, y = (_envelopes(s, view) for s in (r, t))
    x, y = x - x.mean(0), y - y.mean(0)
    xx, yy, xy = (x * x).sum(0), (y * y).sum(0), (x * y).sum(0)
    counts = xx > 0
    if not counts.any():
        return Channel(value=nan, reason="the reference is silent")
    squared = np.divide(xy * xy, xx * yy, out=np.zeros(xx.shape), where=xx * yy > 0)
    heard = speech_bands.audibility(10 * np.log10((squared + TINY) / (np.maximum(1 - squared, 0) + TINY)))
    centres = models.loizou.band_envelopes.centres(view.rate)
    weights = np.where(counts, speech_bands.importance(centres), 0)
    lacking = weights / weights.sum() * (1 - heard)
    value = float(1 - lacking.sum())
    if view.detail == "value":
        return Channel(value=value)
    residual = np.square(y - x * np.divide(xy, xx, out=np.zeros(xx.shape), where=counts))
    residual = np.where(yy > 0, residual, x * x)  # what is missing
    share = residual / np.where(residual.any(0), residual.sum(0), 1)
    placed = share * (lacking if lacking.any() else weights * (1 - squared))
    cuts, edges = scales.bands(centres, models.loizou.band_envelopes.edges(view.rate)[-1], view.band_edges)
    by_band = (np.add.reduceat(z[..., : cuts[-1]], cuts[:-1], axis=-1) for z in (weights, weights * heard, placed))
    parts, local, cells = by_band
    return Channel(
        value=value,
        per_band=np.divide(local, parts, out=np.full(parts.size, nan), where=parts > 0),
        per_time=1 - share @ lacking * len(share),
        bands=scales.centres(centres, cuts),
        edges=edges,
        times=np.arange(len(share)) / models.loizou.band_envelopes.RATE,
        map=cells / (placed.sum() or 1.0) if view.detail == "map" else None,
    )


def _envelopes(s: Stream, view: View) -> Any:
    what = ("ncm", view.rate, float(s.coef), s.lag)
    return engine.cache.cached(s.samples, what, lambda: models.loizou.band_envelopes.envelopes(s, view.rate, view.jobs))
