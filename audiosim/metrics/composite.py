"""Composite measures of enhanced speech: what listeners would say of the speech, of the background and of the whole, by
regression on PESQ, LLR, WSS and segmental SNR. Hu and Loizou 2008, IEEE TASLP 16(1), eq. 4 to 6; as pysepm's
composite."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import Annotated, Any, Literal

import numpy as np

from .. import dsp, engine, models
from ..answer import Channel, Detail, Grid, View, pooled, waveform
from ..card import Card
from ..models.loizou.envelopes import KEEP, Envelopes
from ..models.loizou.segments import FRAME, HIGHEST, LOWEST, OVERLAP, Segments, lowest, ratios
from ..models.pesq.score import BEST_RAW, SHORTEST, opinion, score
from ..result import Result
from ..signal import Signal

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
    " band=narrow-8k: at 8 kHz with the raw score of P.862, for which the regression was made. LLR is not clipped."
    " pysepm's stops at 16 kHz for want of a name that NumPy 2 dropped. Of digital silence its LLR is what rounding"
    " makes of it, which convention=pysepm repeats; here such frames are flat. Given one PESQ, within 2e-6 of it"
    " elsewhere; PESQ enters by 0.805, 0.603 and 0.478, and by as much ours moves these.",
    silence="Undefined where reference or test has nothing between 350 and 3250 Hz.",
    caveat="For speech whose noise was reduced: the regression was made for that, in one language, at 8 kHz. It ends"
    " at 5, which mild damage reaches, and at 1. The notice on pesq's licence holds here too.",
    minimum="0.25 s, and an utterance of 0.2 s",
    shortest=SHORTEST,
    settles=2.0,
    rate=16000,
    symmetric=False,
    triangle=False,
    blind=("polarity", "gain"),
    loses_track=("added_tone",),
    saturates=1.0,
    gradient="none",
    profile="share",
    map="share",
)

# constant, and slopes over PESQ, LLR, WSS and segmental SNR
SCALES = {
    "ovl": (1.594, 0.805, -0.512, -0.007, 0.0),
    "sig": (3.093, 0.603, -1.029, -0.009, 0.0),
    "bak": (1.634, 0.478, 0.0, -0.007, 0.063),
}
ABOVE = (4400.0, 5300.0, 6400.0, 8000.0)  # Hz: edges of a report's bands above the critical ones

Output = Annotated[Literal["ovl", "sig", "bak"], "opinion of the whole, of the speech, of the background"]
Band = Annotated[
    Literal["wide", "narrow-8k"], "at 16 kHz with wide-band PESQ, or at 8 kHz with the raw narrow-band one"
]
Convention = Annotated[Literal["guarded", "pysepm"], "silent frames are flat to LLR, or what rounding makes of them"]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    output: Output = "ovl",
    band: Band = "wide",
    convention: Convention = "guarded",
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 16 kHz; the channels are averaged.

    Details: ovl, sig and bak; pesq, llr, wss and seg_snr, which they are made of.
    Profile and map: shares of what these four take off the best score, before it is clipped.
    """
    view = View(rate, detail, band_edges)
    options = (output, band, convention == "pysepm", view)
    channels = engine.threads.in_threads(lambda c: _channel(ref[c], test[c], *options), range(len(ref)), jobs)
    return pooled(channels)


def ratings(pesq: float, llr: float, wss: float, seg_snr: float) -> dict[str, float]:
    """Each opinion, 1 to 5."""
    parts = np.array([1.0, pesq, llr, wss, seg_snr])
    return {name: float(np.clip(slopes @ parts, 1, 5)) for name, slopes in SCALES.items()}


def _channel(ref: Any, test: Any, output: str, band: str, as_pysepm: bool, view: View) -> Channel:
    if band == "narrow-8k":
        ref, test = (dsp.resampling.to_rate(Signal.of(x, view.rate, "speech"), 8000).samples[0] for x in (ref, test))
        view = replace(view, rate=8000)
    scored = score(ref, test, view.rate, band, view.detail != "value")
    if isinstance(scored, str):
        return Channel(value=nan, reason=scored)
    pesq, best = scored.raw, BEST_RAW
    if band == "wide":
        pesq, best = (opinion(raw, band) for raw in (pesq, best))
    r, t = (engine.stream.plain(np.ascontiguousarray(x)) for x in (ref, test))
    segments, envelopes = Segments.of(view.rate), Envelopes.of(view.rate, 0, FRAME, OVERLAP, 0, KEEP)
    predicted = envelopes.log_likelihood_ratios(r, t, as_pysepm, 1)
    slopes = models.loizou.critical_bands.weighted_slopes(r, t, segments, 1, view.detail != "value")
    llr, wss = (float(d[lowest(d, KEEP)].mean()) for d in (predicted[0], slopes[0]))
    seg_snr = float(ratios(r, t, segments, LOWEST, HIGHEST, 1).mean())
    found = ratings(pesq, llr, wss, seg_snr)
    details = {**found, "pesq": pesq, "llr": llr, "wss": wss, "seg_snr": seg_snr}
    if view.detail == "value":
        return Channel(value=found[output], details=details)
    critical, stage = models.loizou.critical_bands, models.pesq.disturbance.bands(view.rate)
    edges = critical.edges(view.rate / 2, view.band_edges)[1]
    if view.band_edges is None or isinstance(view.band_edges, str):
        edges = np.concatenate([edges, [hz for hz in ABOVE if hz < view.rate / 2], [view.rate / 2]])
    hop, located = scored.found.hop / view.rate, View(view.rate, "map")
    grid = Grid(-(-r.length // scored.found.hop) + 1, hop, edges)
    _, of_pesq, of_llr, of_wss, of_seg_snr = SCALES[output]
    cells, _ = scored.cells()
    grid.add(of_pesq * (best - pesq), cells, (np.arange(len(cells)) + 1) * hop, stage.centres)
    channel = envelopes.channel(*predicted, located)
    grid.add(-of_llr * llr, channel.map, channel.times, channel.bands)
    kept = lowest(slopes[0], KEEP)
    cells = critical.by_band(slopes[3][kept] / slopes[2][kept].sum(1, keepdims=True))
    grid.add(-of_wss * wss, cells, segments.times(len(slopes[0]))[kept], critical.CENTRES)
    channel = waveform(r, t, seg_snr, located)
    grid.add(of_seg_snr * (HIGHEST - seg_snr), channel.map, channel.times, channel.bands)
    return Channel(value=found[output], details=details, **grid.shares(view.detail))
