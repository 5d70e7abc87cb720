"""SRMR: speech-to-reverberation modulation energy ratio of the test alone. Falk, Zheng and Chan 2010, IEEE TASLP 18(7);
normalised: Santos, Senoussaoui and Falk 2014, IWAENC; as SRMRpy at fee0097 without its fast mode."""

from __future__ import annotations

from math import isfinite, nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import engine, models
from ..answer import Channel, Detail, View, pool, shares
from ..card import Card
from ..hearing import scales
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Speech-to-reverberation modulation energy ratio",
    family="perceptual",
    unit="1",
    better="higher",
    identical=None,
    formula="E(modulations 1 to 4) / E(5 to K), E: energy of 23 envelopes behind 8 modulation filters, 4 to 128 Hz",
    source="Falk, Zheng and Chan 2010, eq. 2 to 8; norm: Santos, Senoussaoui and Falk 2014; SRMRpy at fee0097",
    conventions="SRMRpy with fast=False, within 4e-4 of it; its default, fast=True, has others, and other values"
    " (2.6 for 5.1). K hangs on the band below which 90 % of the energy lies. torchmetrics gives the same, except with"
    " norm=true, where it clips to another range.",
    silence="Undefined for a silent test; the reference is not heard.",
    caveat="It judges the test alone: how far it is from the reference is in the details only. For speech, and made for"
    " reverberation: noise and music have values too, which mean little. Speakers differ by more than rooms do.",
    minimum="one frame: 256 ms",
    shortest=0.256,
    rate=16000,
    lengths="any",
    alone=True,
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    gradient="none",
    profile="local",
    map="share",
)

SLOW = 4  # modulation filters whose energy is that of speech
HEARD = 0.9  # of the energy, by which K is chosen
RANGE = 1e-3  # of the peak, below which norm sees nothing


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    norm: Annotated[
        bool, "limit energies to 30 dB below their peak: less between speakers, more between rooms"
    ] = False,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 16 kHz, of any lengths; the channels of the test are averaged.

    per_band, per_time: the ratio there. map: where the energy of the fast modulations lies, what the ratio is over.
    Details: test, reference and difference (test - reference), where the reference has a value.
    """
    view = View(rate, detail, band_edges, jobs)
    pairs = streams(ref, test, rate, weighting, coef, mid_side)
    channels = [_channel(t, norm, view) for _, t in pairs]
    references = [_channel(r, norm, View(rate, jobs=jobs)).value for r, _ in pairs]
    if any(c.reason for c in channels):
        return pool([Channel(value=c.value, reason=c.reason) for c in channels])
    details = {"test": float(np.mean([c.value for c in channels])), "reference": float(np.mean(references))}
    details["difference"] = details["test"] - details["reference"]
    return pool(channels, {name: value for name, value in details.items() if isfinite(value)})


def _channel(x: Stream, norm: bool, view: View) -> Channel:
    modulation = models.srmr
    if not modulation.frames(x.length):
        return Channel(value=nan, reason=f"too short: a frame takes {modulation.FRAME} samples, there are {x.length}")
    what = ("modulation", float(x.coef), x.lag)
    energies = engine.cache.cached(x.samples, what, lambda: modulation.energies(x, view.jobs))
    if not energies.any():
        return Channel(value=nan, reason="the test is silent")
    if norm:
        peak = energies.mean(axis=0).max()
        energies = np.clip(energies, RANGE * peak, peak)
    by_band = energies.mean(axis=1)
    cumulated = np.cumsum(by_band.sum(axis=1))
    width = modulation.bandwidths()[np.argmax(cumulated > HEARD * cumulated[-1])]
    fast = slice(SLOW, SLOW + 1 + int(np.sum(width > modulation.lower_cutoffs()[SLOW + 1 :])))
    value = float(by_band[:, :SLOW].sum() / by_band[:, fast].sum())
    if view.detail == "value":
        return Channel(value=value)
    centres = modulation.filters().frequencies
    cuts, edges = scales.bands(centres, view.rate / 2, view.band_edges)
    inside = energies[: cuts[-1]]
    slow, quick = (np.add.reduceat(inside[..., k].sum(-1), cuts[:-1], axis=0).T for k in (slice(SLOW), fast))
    times = (np.arange(energies.shape[1]) * modulation.HOP + modulation.FRAME / 2) / view.rate
    where = shares(quick, times, centres, cuts, edges, view.detail)
    with np.errstate(invalid="ignore"):  # a frame of silence
        where["per_band"] = slow.sum(0) / quick.sum(0)
        where["per_time"] = energies[..., :SLOW].sum((0, 2)) / energies[..., fast].sum((0, 2))
    return Channel(value=value, **where)
