"""NISQA: what listeners would say of the test alone, as speech: of the whole, and of noise, coloration, discontinuity
and loudness. Mittag, Naderi, Chehadi and Moeller 2021, Interspeech, arXiv 2104.09494.

The weights are the authors': `audiosim models get nisqa`, or model=PATH. They are for research: CC BY-NC-SA 4.0.

Profile and map are shares of what is missing to a full score: of time as the network's attention weighs the moments,
of bands as the energy of the test lies at that time. Details: the five opinions of the test, and those of the reference
where it has any, with their difference (test - reference).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import nan
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import options
from ..answer import Channel, Pair, timed
from ..card import Card
from ..engine.cache import cached
from ..hearing import scales
from ..trained import nisqa
from ..trained.networks import network

CARD = Card(
    title="Non-intrusive speech quality assessment",
    family="trained",
    unit="MOS",
    better="higher",
    identical=None,
    range=(-np.inf, np.inf),
    formula="sum over moments of attention times opinion, by a network of convolutions and self-attention over mel"
    " spectra",
    source="Mittag et al. 2021, arXiv 2104.09494; weights: gabrielmittag/NISQA at fe84f0f, nisqa.tar",
    conventions="The original's number to 1e-6, at any rate, as it takes recordings at the rate they have. It stops at"
    " 52 s; longer ones are taken here, and nothing vouches for them. Opinions are not clipped to 1..5 either.",
    silence="Defined: silence has the opinion that the network has of it, which means nothing.",
    caveat="It judges the test alone, as speech over telephone and network: how far it is from the reference is in the"
    " details only, or with drop=true. It was trained on English and German, with codecs, packet loss and noise, live"
    " and simulated; noise, music and singing have opinions too, which mean little.",
    minimum="150 ms",
    shortest=0.14,
    lengths="any",
    non_intrusive=True,
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="none",
    profile="share",
    map="share",
)

BEST = 5.0

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    output: Annotated[
        Literal["mos", "noisiness", "coloration", "discontinuity", "loudness"],
        "opinion of the whole, or of one dimension; higher is better of all",
    ] = "mos"
    drop: Annotated[bool, "by how much the opinion of the test is below that of the reference"] = False
    model: Annotated[str, "file of the weights; empty for where `audiosim models` finds it"] = ""

    @property
    def value_better(self) -> Literal["lower"] | None:
        return "lower" if self.drop else None


def measure(pair: Pair, o: Options) -> Channel:
    weights = network("nisqa", o.model, nisqa.weights)
    least = nisqa.shortest(pair.rate)

    def opinions(x: Array) -> nisqa.Opinions:
        levels = nisqa.spectrum(x, pair.rate, _filters(pair.rate))
        return nisqa.opinions(levels, weights)

    def kept(x: Array) -> nisqa.Opinions:
        return cached(x, ("nisqa", o.model), lambda: opinions(x))

    for x, name in zip(pair.samples[::-1] if o.drop else pair.samples[1:], ("test", "reference"), strict=False):
        if len(x) < least:
            return Channel(value=nan, reason=f"the {name} is too short: {least} samples are needed, there are {len(x)}")
    of_test = kept(pair.test.samples)
    details = dict(zip(nisqa.OPINIONS, of_test.values.tolist(), strict=True))
    if pair.ref.length >= least:
        of_ref = kept(pair.ref.samples).values
        details |= {f"reference_{n}": float(v) for n, v in zip(nisqa.OPINIONS, of_ref, strict=True)}
        details["difference"] = details[o.output] - details[f"reference_{o.output}"]
    value = -details["difference"] if o.drop else details[o.output]
    which = nisqa.OPINIONS.index(o.output)
    missing = of_test.attention[which] * np.maximum(BEST - of_test.local[which], 0)
    return timed(pair, value, _edges(pair, len(missing)), missing, details, alone=True)


def _edges(pair: Pair, moments: int) -> Array:
    """Seconds between which each moment is looked at; the first and the last reach to the ends."""
    middles = (np.arange(moments + 1) * nisqa.STEP + (nisqa.WIDTH - nisqa.STEP) / 2) * nisqa.HOP
    middles[0], middles[-1] = 0, max(middles[-1], pair.test.length / pair.rate)
    return middles


@cache
def _filters(rate: int) -> Array:
    """librosa's mel filters up to 20 kHz [band, bin], whatever the rate."""
    times = -(-2 * round(nisqa.TOP) // rate)  # as many bins of the same width as reach up there
    weights, _ = scales.mel_filters(times * rate, times * nisqa.N_FFT, nisqa.BANDS, 0.0, nisqa.TOP)
    return np.ascontiguousarray(weights[:, : nisqa.N_FFT // 2 + 1])
