"""PMSQE: the disturbance that PESQ hears, frame by frame and differentiable, a loss for speech enhancement.

Martin-Donas, Gomez, Gonzalez and Peinado 2018, "A deep learning loss function based on the perceptual evaluation of the
speech quality", IEEE SPL 25(11).
"""

from __future__ import annotations

from math import nan
from typing import Annotated, Any

import numpy as np

from .. import models
from ..answer import Channel, Detail, View, pool
from ..card import Card
from ..hearing import scales
from ..result import Result, Twin

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
    conventions="As SingleSrcPMSQE of asteroid, fed with squared magnitudes of frames of 512 under the root of a Hann"
    " window (its own example feeds magnitudes), to 1e-6 with EPS = 0. Its EPS, under a root, gives equal files 3e-4;"
    " no value is further away. Of PESQ it has no alignment, no memory of the gain and no sixth-power mean, and it"
    " corrects the test, not the reference, for a filter. At 16 kHz only.",
    silence="Undefined where the reference has nothing between 350 and 3250 Hz; a silent test is compared as it is.",
    caveat="For speech at the same time: a delay counts as damage. It hears no level, and with frequency_eq no filter"
    " that is the same all the time. No opinion score: Spearman's correlation with raw wide-band PESQ is 0.91 on 96"
    " pairs without a delay.",
    minimum="one frame: 32 ms",
    shortest=0.032,
    rate=16000,
    level="none: both are brought to one level",
    symmetric=False,
    triangle=False,
    blind=("polarity", "gain"),
    loses_track=("added_tone",),
    gradient="exact",
    cap="the disturbance against silence, where the reference is silent",
    deaf_start=True,
    profile="local",
    map="sum",
)

SYMMETRIC, ASYMMETRIC = 0.1, 0.0309  # P.862's weights in the raw score


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    frequency_eq: Annotated[bool, "do not hear a filter that is the same all the time"] = True,
    gain_eq: Annotated[bool, "do not hear the level of single frames, within -35 to 7 dB"] = True,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 16 kHz, of one length; the channels are averaged.

    Profile: the value of a frame, or of what a Bark band alone holds. The map adds up to the value. added: where the
    test is louder.
    Details: symmetric and asymmetric disturbance, means over frames.
    """
    view = View(rate, detail, band_edges, jobs)
    channels = [_channel(r, t, frequency_eq, gain_eq, view) for r, t in zip(ref, test, strict=True)]
    if any(c.reason for c in channels):  # the others have profiles and details, these have none
        return pool([Channel(value=c.value, reason=c.reason) for c in channels])
    return pool(channels)


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    measure = models.pesq.pmsqe.disturbance_torch(o.frequency_eq, o.gain_eq)

    def value(ref: Any, test: Any) -> Any:
        symmetric, asymmetric = measure(ref, test)
        return (SYMMETRIC * symmetric + ASYMMETRIC * asymmetric).mean(1)

    return value


def _channel(ref: Any, test: Any, frequency_eq: bool, gain_eq: bool, view: View) -> Channel:
    stage = models.pesq.pmsqe
    count = stage.stft().count(ref.size)
    if not count:
        return Channel(value=nan, reason=stage.stft().too_short(ref.size))
    powers, levels = stage.powers(ref, test, view.jobs)
    if not levels[0]:
        return Channel(value=nan, reason="the reference is silent between 350 and 3250 Hz")
    powers *= np.divide(stage.LEVEL, levels, out=np.zeros(2), where=levels > 0)[:, None, None]
    found, cells = stage.disturbance(powers[0], powers[1], frequency_eq, gain_eq, view.detail != "value")
    symmetric, asymmetric = (float(d.mean()) for d in found)
    value, details = SYMMETRIC * symmetric + ASYMMETRIC * asymmetric, {"symmetric": symmetric, "asymmetric": asymmetric}
    if view.detail == "value":
        return Channel(value=value, details=details)
    model = models.pesq.disturbance.bands(view.rate)
    cuts, edges = scales.bands(model.centres, view.rate / 2, view.band_edges)
    squares, sums = (np.add.reduceat(cells[:, : cuts[-1], k], cuts[:-1], axis=1) for k in (0, 1))
    heights = np.array([SYMMETRIC, ASYMMETRIC])[:, None, None] * found[:, :, None]
    local = cells[:, :, 0] * heights[0] + cells[:, :, 1] * heights[1]
    share, added = (
        np.add.reduceat(z[:, : cuts[-1]], cuts[:-1], axis=1) / count for z in (local, local * (cells[:, :, 2] > 0))
    )
    return Channel(
        value=value,
        per_band=(np.sqrt(squares) * heights[0] + sums * heights[1]).mean(axis=0),
        per_time=heights.sum(axis=(0, 2)),
        bands=scales.centres(model.centres, cuts),
        edges=edges,
        times=stage.stft().times(count, view.rate),
        map=share if view.detail == "map" else None,
        added=added if view.detail == "map" else None,
        details=details,
    )
