"""SIIB-Gauss: speech intelligibility in bits, how much of the information in the envelopes of speech arrives. Van Kuyk,
Kleijn and Hendriks 2018, IEEE SPL 25(1), with the Gaussian channel of their evaluation, IEEE TASLP 26(11), eq. 1.

With less than 5.5 s of speech, components are left in which the reference does not vary. pysiib takes those that
rounding makes, so that its value moves with the machine. Here they count about the mean over all choices.

Profile and map are shares of the information that is lost, 1336 bit/s less the value. It lies where the test, in frames
and gammatone bands, is not explained by the reference, each component weighted by the bits that it lacks. Frames of the
reference that do not count hold none. Details: speech_seconds, how much of the reference counted, and how many of the
420 components vary.
"""

from __future__ import annotations

from math import log2, nan
from typing import Any

import numpy as np

from .. import models, options
from ..answer import Channel, Pair, shares, too_quiet, too_short
from ..card import Card
from ..errors import InputError
from ..hearing import scales
from ..result import Twin

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
    conventions="pysiib with gauss=True, window='hann' gives the same to 1e-11 where more than 5.5 s of speech are left"
    " without pauses. With less, its value moves with the machine: on 2 to 3 s of speech mostly by 1e-3, at worst by"
    " 1e-2, on 1 s by 5e-2. The value here is mostly 1e-3 from it, at worst 3e-2, on 1 s 0.1. SIIB with a"
    " k-nearest-neighbour estimator has other values.",
    silence="Undefined for a silent reference; near 0 for a silent test, 100 bit/s where there are 2 s of speech only.",
    caveat="For speech at the same time and of the same speaker. It is no percentage of words; that takes a mapping"
    " fitted to the listening test. With less than 20 s of speech the value depends on its length: compare values of"
    " one length only, or join recordings."
    " Memory grows with the recordings, by at most what they take.",
    minimum="0.23 s of the reference within 40 dB of its loudest frames; 20 s to be reliable",
    shortest=0.2250625,
    pauses=True,
    settles=20.0,
    rate=16000,
    level="none of both together: that of the reference is brought to one, the test by as much",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    cap="0, without a gradient, where too little of the reference is not silent",
    target_gradient_ignores="which frames count, and the components",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)

Options = options.Options


def measure(pair: Pair, o: Options) -> Channel:
    stage, length = models.siib, pair.ref.length
    if length < stage.SHORTEST:
        return Channel(value=nan, reason=too_short(stage.SHORTEST / pair.rate, length, pair.rate))
    envelopes, counting = stage.envelopes(*pair.samples, pair.threads)
    seconds, needed = (n * stage.HOP / stage.RATE for n in (counting.size, stage.STACK + 2))
    if counting.size < stage.STACK + 2:
        return Channel(value=nan, reason=too_quiet(seconds, needed, stage.DYNAMIC_RANGE))
    found = stage.information(envelopes, pair.threads)
    details = {"speech_seconds": seconds, "components": float(found.lost.size)}
    value = max(MOST - found.lost_per_second, 0.0)
    if pair.detail == "value":
        return Channel(value=value, details=details)
    cells = np.zeros((stage.frames(length), stage.BANDS))
    cells[counting] = stage.lost_in(found, envelopes, pair.threads)
    cuts, edges = scales.bands(stage.centres(), pair.rate / 2, pair.band_edges)
    times = (np.arange(len(cells)) * stage.HOP + stage.FRAME / 2) / stage.RATE
    inside = scales.by_band(cells, cuts)
    where = shares(inside, times, stage.centres(), cuts, edges, pair.detail)
    return Channel(value=value, details=details, **where)


def twin(rate: int, o: Options) -> Twin:
    """In float64."""
    stage = models.siib
    information = stage.information_torch()

    def value(ref: Any, test: Any) -> Any:
        if ref.shape[-1] < stage.SHORTEST:
            raise InputError(too_short(stage.SHORTEST / rate, ref.shape[-1], rate))
        lost, enough = information(ref.double(), test.double())
        return (MOST - lost).clamp(min=0) * enough

    return value
