"""SRMR: speech-to-reverberation modulation energy ratio of the test alone. Falk, Zheng and Chan 2010, IEEE TASLP 18(7);
normalised: Santos, Senoussaoui and Falk 2014, IWAENC; as SRMRpy at fee0097 without its fast mode.

K, where the fast modulations end, depends on the band below which 90 % of the energy lies.

per_band and per_time hold the ratio there. The map tells where the energy of the fast modulations lies, which the ratio
divides by. Details: test, and where the reference has a value, reference and difference (test - reference).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isfinite, nan
from typing import TYPE_CHECKING, Annotated

import numpy as np

from .. import engine, models
from ..answer import Channel, Pair, View, shares
from ..card import Card
from ..domain import SPEECH
from ..hearing import scales
from ..hearing.weighting import Weighted

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
    conventions="Within 4e-4 of SRMRpy with fast=False. Its default, fast=True, has other filters and other values (2.6"
    " for 5.1). torchmetrics gives the same, except with norm=true, where it clips to another range.",
    silence="Undefined for a silent test; the reference is not heard.",
    caveat="It judges the test alone: how far it is from the reference is in the details only. It was made for speech"
    " in reverberation: noise and music have values too, which mean little. Speakers differ by more than rooms do.",
    version=2,
    minimum="one frame: 256 ms",
    shortest=0.256,
    rate=16000,
    lengths="any",
    non_intrusive=True,
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="none",
    profile="local",
    map="share",
    domain=SPEECH,
)

SLOW = 4  # modulation filters whose energy is that of speech
HEARD = 0.9  # of the energy, by which K is chosen
RANGE = 1e-3  # of the peak, below which norm sees nothing


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    norm: Annotated[bool, "limit energies to 30 dB below their peak: less between speakers, more between rooms"] = False


def measure(pair: Pair, o: Options) -> Channel:
    test = _ratio(pair.test, o, pair)
    if test.reason:
        return test
    details = {"test": test.value}
    reference = _ratio(pair.ref, o, View(rate=pair.rate, threads=pair.threads)).value
    if isfinite(reference):
        details |= {"reference": reference, "difference": test.value - reference}
    return replace(test, details=details)


def _ratio(x: Stream, o: Options, view: View) -> Channel:
    modulation = models.srmr
    if not modulation.frames(x.length):
        return Channel(value=nan, reason=f"too short: a frame takes {modulation.FRAME} samples, there are {x.length}")
    what = ("modulation", float(x.coef), x.lag)
    energies = engine.cache.cached(x.samples, what, lambda: modulation.energies(x, view.threads))
    if not energies.any():
        return Channel(value=nan, reason="the test is silent")
    if o.norm:
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
