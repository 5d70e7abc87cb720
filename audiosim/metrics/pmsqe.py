"""PMSQE: the disturbance that PESQ hears, frame by frame and differentiable, as a loss for speech enhancement.
Martin-Donas, Gomez, Gonzalez and Peinado 2018, IEEE SPL 25(11), 1680-1684.

It has PESQ's Bark bands, loudness and disturbance, but not its alignment, its memory of the gain or its sixth-power
mean over time. Where PESQ filters the reference to match the test, this filters the test.

per_time is the value of each frame, per_band the value of what each Bark band holds alone. The map adds up to the
value; added is the part of it where the test is louder. Details: the symmetric and the asymmetric disturbance, both
averaged over frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Annotated, Any

import numpy as np

from .. import models, options
from ..answer import Channel, Pair
from ..card import Card
from ..hearing import scales
from ..models.pesq.score import ASYMMETRIC, SYMMETRIC
from ..result import Twin

CARD = Card(
    title="Perceptual metric for speech quality evaluation",
    family="perceptual",
    unit="1",
    better="lower",
    identical=0.0,
    range=(0.0, 5.9),
    formula="mean over frames of 0.1 D + 0.0309 DA; D, DA: symmetric and asymmetric disturbance of loudness in Bark"
    " bands, relative to the level of the reference, each at most 45",
    source="Martin-Donas et al. 2018, IEEE SPL 25(11), 1680-1684; bands, loudness: ITU-T P.862; asteroid at 92c8d83",
    conventions="asteroid's SingleSrcPMSQE gives the same to 1e-6, if EPS is 0 there and it is fed with squared"
    " magnitudes of frames of 512 samples under the root of a Hann window; its own example feeds it with magnitudes."
    " With its own EPS it differs by at most 3e-4, the value that it gives for identical files.",
    silence="Undefined where the reference has nothing between 350 and 3250 Hz; a silent test is compared as it is.",
    caveat="For speech that is aligned in time: a delay counts as damage. It does not hear the level, nor, with"
    " frequency_eq, a filter that stays the same. No opinion score: Spearman's correlation with raw wide-band PESQ is"
    " 0.91 on 96 pairs without a delay."
    " Memory grows with the recordings, by at most what they take.",
    minimum="one frame: 32 ms",
    shortest=0.032,
    rate=16000,
    level="none: both are brought to one level",
    symmetric=False,
    insensitive_to=("polarity", "gain"),
    loses_track=("added_tone",),
    gradient="exact",
    cap="the disturbance against silence, where the reference is silent",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    frequency_eq: Annotated[bool, "do not hear a filter that stays the same"] = True
    gain_eq: Annotated[bool, "do not hear the level of single frames, within -35 to 7 dB"] = True


def measure(pair: Pair, o: Options) -> Channel:
    stage = models.pesq.pmsqe
    stft = stage.stft()
    count = stft.count(pair.ref.length)
    if not count:
        return Channel(value=nan, reason=stft.too_short(pair.ref.length))
    powers, levels = stage.powers(*pair.samples, pair.threads)
    if not levels[0]:
        return Channel(value=nan, reason="the reference is silent between 350 and 3250 Hz")
    powers *= np.divide(stage.LEVEL, levels, out=np.zeros(2), where=levels > 0)[:, None, None]
    found, cells = stage.disturbance(powers[0], powers[1], o.frequency_eq, o.gain_eq, pair.detail != "value")
    symmetric, asymmetric = (float(d.mean()) for d in found)
    value, details = SYMMETRIC * symmetric + ASYMMETRIC * asymmetric, {"symmetric": symmetric, "asymmetric": asymmetric}
    if pair.detail == "value":
        return Channel(value=value, details=details)
    centres = models.pesq.disturbance.bands(pair.rate).centres
    cuts, edges = scales.bands(centres, pair.rate / 2, pair.band_edges)
    heights = np.array([SYMMETRIC, ASYMMETRIC])[:, None, None] * found[:, :, None]
    local = cells[:, :, 0] * heights[0] + cells[:, :, 1] * heights[1]
    louder = local * (cells[:, :, 2] > 0)
    squares, sums, shares, added = (
        np.add.reduceat(z[:, : cuts[-1]], cuts[:-1], axis=1) for z in (cells[:, :, 0], cells[:, :, 1], local, louder)
    )
    return Channel(
        value=value,
        per_band=(np.sqrt(squares) * heights[0] + sums * heights[1]).mean(axis=0),
        per_time=heights.sum(axis=(0, 2)),
        bands=scales.centres(centres, cuts),
        edges=edges,
        times=stft.times(count, pair.rate),
        map=shares / count if pair.detail == "map" else None,
        added=added / count if pair.detail == "map" else None,
        details=details,
    )


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import tell

    disturbance = models.pesq.pmsqe.disturbance_torch(o.frequency_eq, o.gain_eq)

    def value(ref: Any, test: Any) -> Any:
        symmetric, asymmetric = disturbance(ref, test)
        tell(lambda: {"symmetric": symmetric.mean(1), "asymmetric": asymmetric.mean(1)})
        return (SYMMETRIC * symmetric + ASYMMETRIC * asymmetric).mean(1)

    return value
