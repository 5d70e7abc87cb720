"""Root mean squared error: sqrt(mean (test - ref)^2). Textbook."""

from __future__ import annotations

import numpy as np

from .. import engine
from ..answer import Channel, Pair, waveform
from ..card import Card
from ..hearing.weighting import Weighted
from ..result import Twin

CARD = Card(
    title="Root mean squared error",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sqrt(mean (test - ref)^2)",
    source="textbook definition",
    conventions="Nothing differs between programs.",
    silence="Defined: the rms of whichever signal is not silent, 0 when both are.",
    caveat="Deaf to what people hear, as mse; in the unit of the samples.",
    version=2,
    symmetric=True,
    triangle=True,
    gradient="exact",
    profile="local",
    map="sqrt",
)

Options = Weighted


def measure(pair: Pair, o: Options) -> Channel:
    error = engine.moments.over(engine.moments.error, 1, pair.ref, pair.test, threads=pair.threads)[0]
    length = pair.ref.length
    value = float(np.sqrt(error / length))
    return waveform(pair, value, lambda e, samples: np.sqrt(e[..., 2] / samples), scale=length)


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import Joint, root

    return lambda ref, test: root(Joint(ref, test).noise / ref.shape[-1])
