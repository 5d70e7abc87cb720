"""PESQ: perceptual evaluation of speech quality, of telephone and wide-band connections. ITU-T P.862 (2001), P.862.1
(2003), P.862.2 (2007). Written from the published description; alignment: models.pesq.alignment, model of hearing:
models.pesq.disturbance.
"""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from .. import dsp, engine, models
from ..answer import Channel, Detail, View, pool
from ..card import Card
from ..errors import InputError
from ..hearing import scales
from ..models.pesq.score import ASYMMETRIC, BEST_RAW, SHORTEST, SYMMETRIC, Score, opinion, score, too_short
from ..result import Result, Twin
from ..signal import Signal

if TYPE_CHECKING:
    from ..models.pesq.alignment import Utterance

CARD = Card(
    title="Perceptual evaluation of speech quality",
    family="perceptual",
    unit="MOS",
    better="higher",
    identical=opinion(BEST_RAW, "wide"),
    range=(-1.4, 4.65),
    formula="MOS-LQO = 0.999 + 4 / (1 + exp(3.8224 - 1.3669 raw)), raw = 4.5 - 0.1 D - 0.0309 DA; narrow: 4.6607 -"
    " 1.4945 raw; D, DA: symmetric and asymmetric disturbance",
    source="ITU-T P.862 (2001), P.862.1, P.862.2, Corrigendum 2 (2018); Rix et al. 2002, Beerends et al. 2002, JAES 50",
    conventions="Wide-band by default, as nearly all papers of today report it; band=wide is the program before"
    " Corrigendum 2 (pypi: pesq), wide-cor2 with it (pesqc2), which scores noise up to 0.5 higher. band=narrow runs at"
    " 16 kHz, as pesq(16000, ..., 'nb'); narrow-8k resamples to 8 kHz, as pesq(8000, ..., 'nb'): up to 0.13 higher."
    " On 113 pairs within 0.0015 of them where the delay is constant (at 8 kHz 0.005), within 0.021 where it changes,"
    " mostly far nearer: the filters for alignment are measured, not copied, and so is the rule by which utterances are"
    " split, which another pair may miss by 0.1 or more. No limit of 50 utterances and 1000 bad intervals. Best is 4.64"
    " wide, 4.55 narrow.",
    silence="Undefined where reference or test has nothing between 350 and 3250 Hz.",
    caveat="For speech of about 3 to 30 s; the ITU withdrew it in favour of P.863, and it was never meant for"
    " the output of speech synthesis. The ITU's program carries a notice that use of the algorithm beyond study and"
    " conformance testing needs a licence. This one contains none of its code, but ask a lawyer before you sell with"
    " it.",
    minimum="0.25 s, and an utterance of 0.2 s",
    shortest=SHORTEST,
    settles=2.0,
    rate=16000,
    lengths="any",
    level="none: both are brought to one level",
    symmetric=False,
    triangle=False,
    blind=("polarity", "gain"),
    loses_track=("added_tone",),
    gradient="surrogate",
    surrogate="0.1 D + 0.0309 DA, 0 for identical files: without utterances and second alignment; one delay per item,"
    " and per quarter second where that is clearly better, found on detached samples. Pearson correlation with the raw"
    " score on 113 pairs: 0.99 in each band",
    cap="the surrogate goes on, at most 5.9",
    holds="the delays and where the reference is silent",
    deaf_start=True,
    profile="share",
    map="share",
)

Band = Annotated[
    Literal["wide", "wide-cor2", "narrow", "narrow-8k"],
    "wide: P.862.2; wide-cor2: with Corrigendum 2; narrow: a telephone receiver, P.862.1; narrow-8k: at 8 kHz",
]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    band: Band = "wide",
    scale: Annotated[Literal["mos-lqo", "raw"], "mapped to opinions of listeners, or P.862's own"] = "mos-lqo",
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 16 kHz, of any lengths; the channels are averaged.

    Details: raw and mos_lqo; symmetric and asymmetric disturbance; utterances, the delay of the test in the first of
    them, the least and the most, in ms, with the least confidence (0 to 1) in one; of a single channel also where each
    begins, in seconds, and its delay; realigned_seconds, of what was aligned once more.

    Profile and map: shares of what frames and Bark bands take off the raw score. added: where the test is louder, as
    added noise; the rest is softer or missing.
    """
    view = View(rate, detail, band_edges, jobs)
    channels = engine.threads.in_threads(lambda c: _channel(ref[c], test[c], band, scale, view), range(len(ref)), jobs)
    if any(c.reason for c in channels):  # the others have profiles and details, these have none
        return pool([Channel(value=c.value, reason=c.reason) for c in channels])
    if len(channels) > 1:
        return pool([_summary(c) for c in channels])
    return pool(channels)


def twin(rate: int, o: Any) -> Twin:
    """The card's surrogate, with its sign turned, as the score it stands for is better when higher."""
    heard = models.pesq.alignment.heard_torch(o.band)
    measure = models.pesq.disturbance.disturbance_torch(8000 if o.band == "narrow-8k" else rate)

    def value(ref: Any, test: Any) -> Any:
        if ref.shape[-1] < SHORTEST * rate:
            raise InputError(too_short(ref.shape[-1], rate))
        symmetric, asymmetric = measure(*heard(ref, test))
        return -(SYMMETRIC * symmetric + ASYMMETRIC * asymmetric)

    return value


def _channel(ref: Any, test: Any, band: str, scale: str, view: View) -> Channel:
    shortest, longest = sorted((ref.size, test.size))
    if shortest < SHORTEST * view.rate:
        return Channel(value=nan, reason=too_short(shortest, view.rate))
    rate, pair = view.rate, (ref, test)
    if band == "narrow-8k":
        rate = 8000
        pair = tuple(dsp.resampling.to_rate(Signal.of(x, view.rate, "speech"), rate).samples[0] for x in pair)
        longest = max(x.size for x in pair)
    scored = score(*pair, rate, band, view.detail != "value")
    if isinstance(scored, str):
        return Channel(value=nan, reason=scored)
    mos = opinion(scored.raw, band)
    details = {
        "raw": scored.raw,
        "mos_lqo": mos,
        "symmetric": scored.symmetric,
        "asymmetric": scored.asymmetric,
        "realigned_seconds": scored.found.realigned * scored.found.hop / rate,
        **_delays(scored.utterances, scored.margin, rate),
    }
    value = scored.raw if scale == "raw" else mos
    if view.detail == "value":
        return Channel(value=value, details=details)
    return _located(scored, value, details, longest, view)


def _delays(utterances: list[Utterance], margin: int, rate: int) -> dict[str, float]:
    delays = [1000.0 * u.delay / rate for u in utterances]
    summary = {
        "utterances": float(len(utterances)),
        "delay_first_ms": delays[0],
        "delay_least_ms": min(delays),
        "delay_most_ms": max(delays),
        "least_confidence": min(u.confidence for u in utterances),
    }
    for i, (u, delay) in enumerate(zip(utterances, delays, strict=True), 1):
        summary[f"{EACH}{i}_begins_s"] = (u.start - margin) / rate
        summary[f"{EACH}{i}_delay_ms"] = delay
    return summary


EACH = "utterance_"  # begins the names of details that only a single channel has


def _summary(channel: Channel) -> Channel:
    return replace(channel, details={k: v for k, v in channel.details.items() if not k.startswith(EACH)})


def _located(scored: Score, value: float, details: dict[str, float], longest: int, view: View) -> Channel:
    """Shares of what is taken off the score, in all frames that begin within the longer recording."""
    rate, hop = scored.rate, scored.found.hop
    model = models.pesq.disturbance.bands(rate)
    cuts, edges = scales.bands(model.centres, rate / 2, view.band_edges)
    cells, louder = scored.cells()
    total = cells.sum() or 1.0
    frames = max(-(-longest // hop), 1)
    share, added = np.zeros((2, frames, len(cuts) - 1))
    end = min(frames, len(cells))
    for out, part in ((share, cells), (added, louder)):
        out[:end] = np.add.reduceat(part[:end, : cuts[-1]], cuts[:-1], axis=1) / total
    per_time = np.zeros(frames)
    per_time[:end] = cells[:end].sum(axis=1) / total
    return Channel(
        value=value,
        per_band=share.sum(axis=0),
        per_time=per_time,
        bands=scales.centres(model.centres, cuts),
        edges=edges,
        times=(np.arange(frames) + 1.0) * hop / rate,
        map=share if view.detail == "map" else None,
        added=added if view.detail == "map" else None,
        details=details,
    )
