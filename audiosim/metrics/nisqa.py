"""NISQA: how people rate speech over telephone and network, predicted by a network that hears the test alone: the
whole, and noise, coloration, discontinuity and loudness. Mittag, Naderi, Chehadi and Moeller 2021, Interspeech,
arXiv 2104.09494.

The weights are the authors': `audiosim models get nisqa`, or model=PATH. They are for research: CC BY-NC-SA 4.0.

Result.domain says whether the test is like speech that is clean, noisy, coded by Opus, of 300 to 3400 Hz, or has lost
packets: made by audiosim from 45 speakers, not the recordings of the training.

The network's attention says how much each moment of 150 ms counts; per_time holds what each would be rated by itself.
Details: the five ratings of the test; with drop=true also test and reference, of the output that was asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..answer import Channel, Pair
from ..card import Card
from ..domain import SPEECH
from ..models import ratings
from ..models.ratings import Rated, Ratings
from ..trained import nisqa
from ..trained.networks import network
from ..trained.weights import present

Array = NDArray[Any]

CARD = Card(
    title="Non-intrusive speech quality assessment",
    family="trained",
    unit="MOS",
    better="higher",
    identical=None,
    range=(-inf, inf),
    formula="mean over moments, weighted by attention, of the ratings of a network of convolutions and self-attention"
    " over mel spectra",
    source="Mittag et al. 2021, arXiv 2104.09494; weights: gabrielmittag/NISQA at fe84f0f, nisqa.tar",
    conventions="The original's number to 1e-5, at any rate, as it takes recordings at the rate they have. It stops at"
    " 52 s; longer ones are taken here, and nothing vouches for them. Ratings are not clipped to 1..5 either.",
    silence=ratings.SILENCE,
    caveat="It judges the test alone, as speech over telephone and network: how far it is from the reference says"
    " drop=true. It was trained on English and German, with codecs, packet loss and noise, live"
    " and simulated; noise, music and singing have ratings too, which mean little.",
    minimum="150 ms",
    shortest=0.14,
    lengths="any",
    domain=SPEECH,
    non_intrusive=True,
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="none",
    profile="local",
    profile_free=True,
    map="none",
)


@dataclass(frozen=True, kw_only=True)
class Options(Rated):
    output: Annotated[
        Literal["mos", "noisiness", "coloration", "discontinuity", "loudness"],
        "what is rated: the whole, or one dimension; higher is better of all",
    ] = "mos"
    model: Annotated[str, "file of the weights; empty for where `audiosim models` finds it"] = ""

    @property
    def files(self) -> tuple[Path, ...]:
        return present("nisqa", self.model)


def measure(pair: Pair, o: Options) -> Channel:
    weights = network("nisqa", o.model, nisqa.weights)
    least = nisqa.shortest(pair.rate)
    for name, x in zip(("test", "reference") if o.drop else ("test",), pair.samples[::-1], strict=False):
        if len(x) < least:
            return Channel(value=nan, reason=f"the {name} is too short: {least} samples are needed, there are {len(x)}")

    def rate(x: Array) -> Ratings:
        found = nisqa.opinions(nisqa.spectrum(x, pair.rate), weights)
        times = (np.arange(found.local.shape[1]) * nisqa.STEP + nisqa.WIDTH / 2) * nisqa.HOP
        named = (dict(zip(nisqa.OPINIONS, y, strict=True)) for y in (found.local, found.attention))
        return Ratings(next(named), times, next(named))

    return ratings.measure(pair, o, o.output, ("nisqa", pair.rate, o.model), rate)
