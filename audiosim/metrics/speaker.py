"""Speaker similarity: whether it is the same voice, as the cosine of two embeddings by the network of Resemblyzer. Wan,
Wang, Papir and Moreno 2018, ICASSP, arXiv 1710.10467; Jemine 2019, resemble-ai/Resemblyzer.

The weights are the authors': `audiosim models get resemblyzer`, or model=PATH. Silence is not cut out: Resemblyzer's
preprocess_wav does that with WebRTC's detector of speech before it embeds, which moves a cosine by some hundredths.

per_time holds how like the voice of the reference is that of the test in parts of 1.6 s, one every 0.77 s.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from .. import options
from ..answer import Channel, Pair
from ..card import Card
from ..engine.cache import cached
from ..trained import resemblyzer
from ..trained.networks import network
from ..trained.weights import present

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
    caveat="It hears who speaks, not what and not how well: damage lowers it, but as a side effect. Of 34 readers of"
    " English, 5 s each, the same one with other words has 0.74 or more (0.89 in the median), different ones at most"
    " 0.79 (0.55 in the median); noise at 10 dB brings the same recording to 0.66. It was trained on English speech;"
    " music has a value too, which means little.",
    minimum="one sample; a part takes 1.6 s and is filled up with silence",
    settles=1.6,
    rate=resemblyzer.RATE,
    lengths="any",
    level="none above -30 dB re full scale; quieter recordings are raised to it",
    symmetric=True,
    insensitive_to=("polarity",),
    gradient="none",
    profile="local",
    profile_free=True,
    map="none",
)

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    model: Annotated[str, "file of the weights; empty for where `audiosim models` finds it"] = ""

    @property
    def files(self) -> tuple[Path, ...]:
        return present("resemblyzer", self.model)


def measure(pair: Pair, o: Options) -> Channel:
    voices = network("resemblyzer", o.model, resemblyzer.prepared)
    for x, name in zip(pair.samples, ("reference", "test"), strict=True):
        if not x.any():
            return Channel(value=nan, reason=f"the {name} is silent")

    def voice(x: Array) -> resemblyzer.Voice:
        return cached(x, ("resemblyzer", o.model), lambda: resemblyzer.voice(x, voices))

    ref, test = (voice(x) for x in pair.samples)
    value = float(_cosine(ref.embedding, test.embedding))
    if pair.detail == "value":
        return Channel(value=value)
    return Channel(value=value, per_time=_cosine(ref.embedding, test.parts), times=test.times)


def _cosine(x: Array, y: Array) -> Any:
    """Of unit vectors [..., number] of what is not below 0; 1 for identical ones, to the bit."""
    return np.maximum(1 - np.square(x - y).sum(-1) / 2, 0.0)
