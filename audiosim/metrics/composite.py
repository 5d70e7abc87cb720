"""Composite measures of enhanced speech: what listeners would say of the speech, of the background and of the whole, by
regression on PESQ, LLR, WSS and segmental SNR. Hu and Loizou 2008, IEEE TASLP 16(1), eq. 4 to 6; as pysepm's
composite.

LLR is not clipped here. Profile and map are shares of what the four parts take off the best score, before it is
clipped. Details: ovl, sig and bak, the three opinions; pesq, llr, wss and seg_snr, which they are made of.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import Annotated, Literal

import numpy as np

from .. import models, options
from ..answer import Channel, Grid, Pair, too_short, waveform
from ..card import Card
from ..models.loizou.envelopes import KEEP, Envelopes
from ..models.loizou.segments import HIGHEST, LOWEST, lowest
from ..models.pesq.score import BEST_RAW, SHORTEST, opinion, score

CARD = Card(
    title="Composite measures of speech enhancement",
    family="perceptual",
    unit="MOS",
    better="higher",
    identical=5.0,
    range=(1.0, 5.0),
    formula="ovl = 1.594 + 0.805 PESQ - 0.512 LLR - 0.007 WSS; sig = 3.093 + 0.603 PESQ - 1.029 LLR - 0.009 WSS; bak ="
    " 1.634 + 0.478 PESQ - 0.007 WSS + 0.063 segmental SNR; each clipped to 1..5",
    source="Hu and Loizou 2008, eq. 4 to 6; Loizou 2013, composite; pysepm at 7ef88af, composite",
    conventions="At 16 kHz with PESQ as MOS-LQO of P.862.2 before Corrigendum 2, as papers of today report it;"
    " band=narrow-8k: at 8 kHz with the raw score of P.862, for which the regression was made. Given the same PESQ,"
    " pysepm is within 2e-6; a difference in PESQ counts 0.805, 0.603 and 0.478 times. For"
    " band=narrow-8k recordings at other rates are resampled first: where a low-pass has emptied the top, LLR hears the"
    " slope of the resampler, and pysepm after another one (scipy's resample_poly) is up to 0.3 apart; from the same"
    " samples at 8 kHz it is not."
    " In digital silence pysepm's LLR"
    " is what rounding makes of it, which convention=pysepm repeats; here such frames are flat. pysepm stops at 16 kHz"
    " for want of a name that NumPy 2 dropped.",
    silence="Undefined where reference or test has nothing between 350 and 3250 Hz.",
    caveat="For speech whose noise was reduced: the regression was made for that, in one language, at 8 kHz. It ends"
    " at 5, which mild damage reaches, and at 1. The notice on pesq's licence holds here too."
    " Memory grows with the recordings, to three times what they take.",
    minimum="0.25 s, and an utterance of 0.2 s",
    shortest=SHORTEST,
    settles=2.0,
    rate=16000,
    symmetric=False,
    insensitive_to=("polarity", "gain"),
    loses_track=("added_tone",),
    saturates=1.0,
    gradient="none",
    profile="share",
    map="share",
    version=2,
)

# constant, and slopes over PESQ, LLR, WSS and segmental SNR
SCALES = {
    "ovl": (1.594, 0.805, -0.512, -0.007, 0.0),
    "sig": (3.093, 0.603, -1.029, -0.009, 0.0),
    "bak": (1.634, 0.478, 0.0, -0.007, 0.063),
}
ABOVE = (4400.0, 5300.0, 6400.0, 8000.0)  # Hz: edges of a report's bands above the critical ones


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    output: Annotated[Literal["ovl", "sig", "bak"], "opinion of the whole, of the speech, of the background"] = "ovl"
    band: Annotated[
        Literal["wide", "narrow-8k"], "at 16 kHz with wide-band PESQ, or at 8 kHz with the raw narrow-band one"
    ] = "wide"
    convention: Annotated[
        Literal["guarded", "pysepm"], "silent frames are flat to LLR, or what rounding makes of them"
    ] = "guarded"

    @property
    def resampled_to(self) -> int | None:
        return 8000 if self.band == "narrow-8k" else None


def measure(pair: Pair, o: Options) -> Channel:
    if pair.ref.length < SHORTEST * pair.rate:
        return Channel(value=nan, reason=too_short(SHORTEST, pair.ref.length, pair.rate))
    scored = score(*pair.samples, pair.rate, o.band, pair.detail != "value")
    if isinstance(scored, str):
        return Channel(value=nan, reason=scored)
    pesq, best = scored.raw, BEST_RAW
    if o.band == "wide":
        pesq, best = (opinion(raw, o.band) for raw in (pesq, best))
    critical, envelopes = models.loizou.critical_bands, Envelopes.of(pair.rate)
    segments, streams = envelopes.segments, (pair.ref, pair.test)
    predicted = envelopes.log_likelihood_ratios(*streams, o.convention == "pysepm", pair.threads)
    slopes = critical.weighted_slopes(*streams, segments, pair.threads, pair.detail != "value")
    llr, wss = (float(d[lowest(d, KEEP)].mean()) for d in (predicted[0], slopes[0]))
    seg_snr = float(models.loizou.segments.ratios(*streams, segments, LOWEST, HIGHEST, pair.threads).mean())
    found = ratings(pesq, llr, wss, seg_snr)
    answer = Channel(value=found[o.output], details={**found, "pesq": pesq, "llr": llr, "wss": wss, "seg_snr": seg_snr})
    if pair.detail == "value":
        return answer
    edges = critical.edges(pair.rate / 2, pair.band_edges)[1]
    if pair.band_edges is None or isinstance(pair.band_edges, str):
        edges = np.concatenate([edges, [hz for hz in ABOVE if hz < pair.rate / 2], [pair.rate / 2]])
    hop, located = scored.found.hop / pair.rate, replace(pair, detail="map", band_edges=None)
    grid = Grid(-(-pair.ref.length // scored.found.hop) + 1, hop, edges)
    _, of_pesq, of_llr, of_wss, of_seg_snr = SCALES[o.output]
    cells, _ = scored.cells()
    centres = models.pesq.disturbance.bands(pair.rate).centres
    grid.add(of_pesq * (best - pesq), cells, (np.arange(len(cells)) + 1) * hop, centres)
    channel = envelopes.channel(*predicted, located)
    grid.add(-of_llr * llr, channel.map, channel.times, channel.bands)
    counting = lowest(slopes[0], KEEP)
    cells = critical.by_band(slopes[3][counting] / slopes[2][counting].sum(1, keepdims=True))
    grid.add(-of_wss * wss, cells, segments.times(len(slopes[0]))[counting], critical.CENTRES)
    channel = waveform(located, seg_snr)
    grid.add(of_seg_snr * (HIGHEST - seg_snr), channel.map, channel.times, channel.bands)
    return replace(answer, **grid.shares(pair.detail))


def ratings(pesq: float, llr: float, wss: float, seg_snr: float) -> dict[str, float]:
    """Each opinion, 1 to 5."""
    parts = np.array([1.0, pesq, llr, wss, seg_snr])
    return {name: float(np.clip(slopes @ parts, 1, 5)) for name, slopes in SCALES.items()}
