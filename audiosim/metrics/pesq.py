"""PESQ: perceptual evaluation of speech quality, of telephone and wide-band connections. ITU-T P.862 (2001), P.862.1
(2003), P.862.2 (2007).

This is written from the published description. Two things that it leaves open were measured on the published program:
the filters for alignment, and the rule by which utterances are split. Unlike that program, this one has no limit of 50
utterances and of 1000 bad intervals.

Profile and map are shares of what frames and Bark bands take off the raw score. added is the part of the map where the
test is louder; in the rest it is softer, or something is missing.

Details: raw and mos_lqo, the score on both scales; the symmetric and the asymmetric disturbance; the number of
utterances, the delay of the test in the first of them, the least and the most, in ms, and the least confidence in one
of them (0 to 1); realigned_seconds, how much was aligned a second time. With a single channel, they also tell where
each utterance begins, in seconds, and its delay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from .. import engine, models, options
from ..answer import Channel, Pair, pool, too_short
from ..card import Card
from ..domain import SPEECH
from ..errors import InputError
from ..hearing import scales
from ..models.pesq.score import ASYMMETRIC, BEST_RAW, SHORTEST, SYMMETRIC, Score, opinion, score
from ..result import Twin

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
    conventions="Wide-band by default, as nearly all papers of today report it. band=wide is the program before"
    " Corrigendum 2 (pypi: pesq); wide-cor2 is the one with it (pesqc2), which rates noise up to 0.5 higher."
    " band=narrow runs at 16 kHz, as pesq(16000, ..., 'nb'); narrow-8k resamples to 8 kHz, as pesq(8000, ..., 'nb'),"
    " and is up to 0.13 higher. The best value is 4.64 wide, 4.55 narrow. On 113 pairs the values are within 0.0015 of"
    " these programs' where the delay is constant (0.005 at 8 kHz), and within 0.021 where it changes, mostly far"
    " nearer. Where this splits an utterance and the program does not, it may be off by 0.1 or more."
    " In babble or music as loud as the speech the program may find delays of up to 1 s that are none, this one only"
    " where the waveforms bear them out: differences of up to 0.4, band=narrow most.",
    silence="Undefined where reference or test has nothing between 350 and 3250 Hz.",
    caveat="For speech of about 3 to 30 s. Frames begin where the recordings do: cutting up to 0.5 s off the front of"
    " both can move the score by up to 0.2, as it does that of the program."
    " The ITU withdrew it in favour of P.863; it was never meant for the output"
    " of speech synthesis. The ITU's program carries a notice that use of the algorithm beyond study and conformance"
    " testing needs a licence. This one contains none of its code, but ask a lawyer before you sell with it."
    " Memory grows with the recordings, to three times what they take.",
    minimum="0.25 s, and an utterance of 0.2 s",
    shortest=SHORTEST,
    settles=2.0,
    rate=16000,
    joint_channels=True,  # what single utterances tell has no mean over channels
    lengths="any",
    level="none: both are brought to one level",
    symmetric=False,
    insensitive_to=("polarity", "gain"),
    loses_track=("added_tone",),
    gradient="surrogate",
    surrogate="0.1 D + 0.0309 DA, 0 for identical files, without utterances and second alignment. One delay is taken"
    " out per item, and per quarter second where that is clearly better; it is found on detached samples. Pearson"
    " correlation with the raw score on 113 pairs: 0.99 in each band",
    cap="the surrogate goes on, at most 5.9",
    target_gradient_ignores="the delays and where the reference is silent",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
    version=2,
    domain=SPEECH,
)

EACH = "utterance_"  # begins the names of details that only a single channel has


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    band: Annotated[
        Literal["wide", "wide-cor2", "narrow", "narrow-8k"],
        "wide: P.862.2; wide-cor2: with Corrigendum 2; narrow: a telephone receiver, P.862.1; narrow-8k: at 8 kHz",
    ] = "wide"
    scale: Annotated[Literal["mos-lqo", "raw"], "mapped to opinions of listeners, or P.862's own"] = "mos-lqo"

    @property
    def resampled_to(self) -> int | None:
        return 8000 if self.band == "narrow-8k" else None


def measure(pairs: list[Pair], o: Options) -> Channel:
    channels = engine.threads.in_threads(lambda c: _channel(pairs[c], o), range(len(pairs)), pairs[0].threads)
    if len(channels) > 1:
        channels = [
            replace(c, details={k: v for k, v in c.details.items() if not k.startswith(EACH)}) for c in channels
        ]
    return pool(channels)


def twin(rate: int, o: Options) -> Twin:
    """The card's surrogate, with its sign turned, as the score it stands for is better when higher."""
    heard = models.pesq.alignment.heard_torch(o.band)
    disturbance = models.pesq.disturbance.disturbance_torch(8000 if o.band == "narrow-8k" else rate)

    def value(ref: Any, test: Any) -> Any:
        shortest = min(ref.shape[-1], test.shape[-1])
        if shortest < SHORTEST * rate:
            raise InputError(too_short(SHORTEST, shortest, rate))
        symmetric, asymmetric = disturbance(*heard(ref.flatten(0, 1), test.flatten(0, 1)))
        return -(SYMMETRIC * symmetric + ASYMMETRIC * asymmetric).reshape(ref.shape[:2])

    return value


def _channel(pair: Pair, o: Options) -> Channel:
    ref, test = pair.samples
    shortest, rate = min(ref.size, test.size), pair.rate
    if shortest < SHORTEST * rate:
        return Channel(value=nan, reason=too_short(SHORTEST, shortest, rate))
    scored = score(ref, test, rate, o.band, pair.detail != "value")
    if isinstance(scored, str):
        return Channel(value=nan, reason=scored)
    mos = opinion(scored.raw, o.band)
    channel = Channel(
        value=scored.raw if o.scale == "raw" else mos,
        details={
            "raw": scored.raw,
            "mos_lqo": mos,
            "symmetric": scored.symmetric,
            "asymmetric": scored.asymmetric,
            "realigned_seconds": scored.found.realigned * scored.found.hop / rate,
            **_delays(scored.utterances, scored.margin, rate),
        },
    )
    return channel if pair.detail == "value" else _located(channel, scored, max(ref.size, test.size), pair)


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


def _located(channel: Channel, scored: Score, longest: int, pair: Pair) -> Channel:
    """Shares of what is taken off the score, in all frames that begin within the longer recording."""
    rate, hop = scored.rate, scored.found.hop
    centres = models.pesq.disturbance.bands(rate).centres
    cuts, edges = scales.bands(centres, rate / 2, pair.band_edges)
    cells, louder = scored.cells()
    total = cells.sum() or 1.0
    frames = max(-(-longest // hop), 1)
    share, added = np.zeros((2, frames, len(cuts) - 1))
    end = min(frames, len(cells))
    for out, part in ((share, cells), (added, louder)):
        out[:end] = np.add.reduceat(part[:end, : cuts[-1]], cuts[:-1], axis=1) / total
    per_time = np.zeros(frames)
    per_time[:end] = cells[:end].sum(axis=1) / total
    return replace(
        channel,
        per_band=share.sum(axis=0),
        per_time=per_time,
        bands=scales.centres(centres, cuts),
        edges=edges,
        times=(np.arange(frames) + 1.0) * hop / rate,
        map=share if pair.detail == "map" else None,
        added=added if pair.detail == "map" else None,
    )
