"""Speaker similarity: whether it is the same voice, as the cosine of two embeddings by the network of Resemblyzer. Wan,
Wang, Papir and Moreno 2018, ICASSP, arXiv 1710.10467; Jemine 2019, resemble-ai/Resemblyzer.

The weights are the authors': `audiosim models get resemblyzer`, or model=PATH. Silence is not cut out: Resemblyzer's
preprocess_wav does that with WebRTC's detector of speech before it embeds, which moves a cosine by some hundredths.

Profile and map are shares of what is missing to 1: of time as the voice of the test is unlike that of the reference in
parts of 1.6 s, of bands as the energy of the test lies at that time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import nan
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from .. import options
from ..answer import Channel, Pair, timed
from ..card import Card
from ..engine.cache import cached
from ..hearing import scales
from ..trained import resemblyzer
from ..trained.networks import network

CARD = Card(
    title="Speaker similarity",
    family="trained",
    unit="1",
    better="higher",
    identical=1.0,
    range=(0.0, 1.0),
    formula="cosine of two embeddings of 256 numbers, each the mean over 1.6 s parts of what a recurrent network makes"
    " of mel spectra",
    source="Wan et al. 2018, arXiv 1710.10467; weights: package Resemblyzer 0.1.4",
    conventions="The number of Resemblyzer's embed_utterance to 1e-6, behind its normalize_volume, but not its"
    " trim_long_silences.",
    silence="Undefined where one of the two is silent: there is no voice.",
    caveat="It hears who speaks, not what and not how well: damage lowers it, but as a side effect. Different speakers"
    " have about 0.5 to 0.75, the same one 0.8 and more in a few seconds of clean speech; noise of 10 dB brings the"
    " same recording to 0.66. It was trained on English speech at 16 kHz.",
    minimum="one sample; a part takes 1.6 s and is filled up with silence",
    settles=1.6,
    rate=resemblyzer.RATE,
    lengths="any",
    level="none above -30 dB re full scale; quieter recordings are raised to it",
    symmetric=True,
    insensitive_to=("polarity",),
    gradient="none",
    profile="share",
    map="share",
)

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    model: Annotated[str, "file of the weights; empty for where `audiosim models` finds it"] = ""


def measure(pair: Pair, o: Options) -> Channel:
    weights = network("resemblyzer", o.model, resemblyzer.weights)
    for x, name in zip(pair.samples, ("reference", "test"), strict=True):
        if not x.any():
            return Channel(value=nan, reason=f"the {name} is silent")

    def voice(x: Array) -> resemblyzer.Voice:
        return cached(x, ("resemblyzer", o.model), lambda: resemblyzer.voice(x, _filters(), weights))

    ref, test = (voice(x) for x in pair.samples)
    value = 1 - float(np.square(ref.embedding - test.embedding).sum()) / 2  # 1 for identical ones, to the bit
    edges = (test.times[1:] + test.times[:-1]) / 2
    edges = np.concatenate([[0.0], edges, [max(pair.test.length / pair.rate, *edges, 0.0)]])
    unlike = np.square(test.parts - ref.embedding).sum(1) / 2
    return timed(pair, value, edges, unlike, {}, alone=True)


@cache
def _filters() -> Array:
    """librosa's mel filters [band, bin]."""
    weights, _ = scales.mel_filters(resemblyzer.RATE, resemblyzer.WINDOW, resemblyzer.BANDS)
    return weights
