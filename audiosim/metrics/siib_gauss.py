"""SIIB-Gauss: speech intelligibility in bits, how much of the information in the envelopes of speech arrives. Van Kuyk,
Kleijn and Hendriks 2018, IEEE SPL 25(1), with the Gaussian channel of their evaluation, IEEE TASLP 26(11)."""

from __future__ import annotations

from math import log2, nan
from typing import Any

import numpy as np

from .. import models
from ..answer import Channel, Detail, View, pool, shares
from ..card import Card
from ..errors import InputError
from ..hearing import scales
from ..result import Result, Twin

MOST = 28 * 80 * log2(1 / (1 - 0.75**2)) / 2  # bit/s, of a recording with itself

CARD = Card(
    title="Speech intelligibility in bits, Gaussian channel",
    family="perceptual",
    unit="bit/s",
    better="higher",
    identical=MOST,
    range=(0.0, MOST),
    formula="-80 / 15 sum log2(1 - 0.75^2 rho^2) / 2 over 420 components of the reference's masked log energies, 28"
    " gammatone bands in stacks of 15 frames; rho: correlation with the test in each",
    source="Van Kuyk et al. 2018, IEEE SPL 25(1), 115-119; Gaussian: TASLP 26(11), eq. 1; pysiib at 226c2f3",
    conventions="As pysiib with gauss=True, window='hann', to 1e-11 where more than 5.5 s of speech are left without"
    " pauses. With less, components are left in which the reference does not vary; pysiib takes those that rounding"
    " makes, and its number moves with the machine, on 2 to 3 s of speech mostly by 1e-3, at worst by 1e-2, on 1 s by"
    " 5e-2. Here they count about the mean over all choices: mostly 1e-3, at worst 3e-2, on 1 s 0.1 from"
    " it. SIIB with a k-nearest-neighbour estimator has other values.",
    silence="Undefined for a silent reference; near 0 for a silent test, 100 bit/s where there are 2 s of speech only.",
    caveat="For speech at the same time and of the same speaker. No percentage of words: that takes a mapping fitted to"
    " the listening test. Less than 20 s of speech make values that depend on its length; compare those of one length"
    " only, or join recordings.",
    minimum="0.23 s of the reference within 40 dB of its loudest frames; 20 s to be reliable",
    shortest=0.2250625,
    pauses=True,
    settles=20.0,
    rate=16000,
    level="none of both together: that of the reference is brought to one, the test by as much",
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    gradient="exact",
    cap="0, without a gradient, where too little of the reference is not silent",
    holds="which frames count, and the components",
    deaf_start=True,
    profile="share",
    map="share",
)


def compute(
    ref: Any, test: Any, rate: int, *, detail: Detail = "value", band_edges: Any = None, jobs: int = 1
) -> Result:
    """ref, test [channel, sample] at 16 kHz; the channels are averaged.

    Profile and map: shares of the information that is lost, 1336 bit/s less the value: what of the test the reference
    does not explain, each component weighted by the bits that it lacks, in frames and gammatone bands. Frames of the
    reference that do not count have none.
    Details: speech_seconds, of the reference, that counted; components that vary, of 420.
    """
    view = View(rate, detail, band_edges, jobs)
    channels = [_channel(r, t, view) for r, t in zip(ref, test, strict=True)]
    if any(c.reason for c in channels):  # the others have profiles and details, these have none
        return pool([Channel(value=c.value, reason=c.reason) for c in channels])
    return pool(channels)


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors, in float64."""
    stage = models.siib
    measure = stage.information_torch()

    def value(ref: Any, test: Any) -> Any:
        if stage.frames(ref.shape[-1]) <= stage.STACK + 1:
            raise InputError(_too_short(ref.shape[-1], rate))
        lost, enough = measure(ref.double(), test.double())
        return (MOST - lost).clamp(min=0) * enough

    return value


def _channel(ref: Any, test: Any, view: View) -> Channel:
    stage = models.siib
    count = stage.frames(ref.size)
    if count <= stage.STACK + 1:
        return Channel(value=nan, reason=_too_short(ref.size, view.rate))
    envelopes, kept = stage.envelopes(ref, test, view.jobs)
    if kept.size <= stage.STACK + 1:
        return Channel(value=nan, reason=_too_little(kept.size))
    found = stage.information(envelopes, view.jobs)
    details = {"speech_seconds": kept.size * stage.HOP / stage.RATE, "components": float(found.lost.size)}
    value = max(MOST - found.lost_per_second, 0.0)
    if view.detail == "value":
        return Channel(value=value, details=details)
    cells = np.zeros((count, stage.BANDS))
    cells[kept] = stage.lost_in(found, envelopes, view.jobs)
    cuts, edges = scales.bands(stage.centres(), view.rate / 2, view.band_edges)
    times = (np.arange(count) * stage.HOP + stage.FRAME / 2) / stage.RATE
    inside = np.add.reduceat(cells[:, : cuts[-1]], cuts[:-1], axis=1)
    where = shares(inside, times, stage.centres(), cuts, edges, view.detail)
    return Channel(value=value, details=details, **where)


def _too_short(length: int, rate: int) -> str:
    return f"too short: {CARD.shortest:.3g} s are needed, there are {length / rate:.3g} s"


def _too_little(frames: int) -> str:
    stage = models.siib
    if not frames:
        return "the reference is silent"
    seconds, needed = (n * stage.HOP / stage.RATE for n in (frames, stage.STACK + 2))
    return (
        f"{seconds:.2g} s of the reference are within {stage.DYNAMIC_RANGE:g} dB of its loudest frames, "
        f"{needed:.2g} s are needed"
    )
