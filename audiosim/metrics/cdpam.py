"""CDPAM: the distance that a network hears which was trained on what sounds the same, and on which of two recordings is
nearer to a third. Manocha, Jin, Zhang and Finkelstein 2021, ICASSP, arXiv 2102.05109.

The weights are the authors': `audiosim models get cdpam`, or model=PATH. Samples are compared at 22.05 kHz, in the
units of 16 bits; the original rounds them to integers, which files of 16 bits are, and resamples with librosa: after
another resampler values differ in the third digit. Computed in the type of the samples.

per_time holds the distance of parts of 46 ms, each by itself; the value, of means over all of them, is not their mean.
Details: what each of the four dense layers adds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .. import options
from ..answer import Channel, Pair
from ..card import Card
from ..engine.cache import cached
from ..result import Twin
from ..trained import arrays, cdpam
from ..trained.networks import network
from ..trained.weights import present

CARD = Card(
    title="Contrastive deep perceptual audio metric",
    family="trained",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sum over 4 dense layers of |w (h(test) - h(ref))|; h: made of the mean over time of 512 features of the"
    " waveform, w: weights learned from listeners",
    source="Manocha et al. 2021, arXiv 2102.05109; weights: package cdpam 0.0.6",
    conventions="The original's number to 1e-6 (0.1696 for its own example); that is of 22.05 kHz, and in float32.",
    silence="0 when both are silent; silence has a distance from sound.",
    caveat="Only means over time are compared, so that what happens when is lost; still, align first: the network was"
    " trained on aligned pairs. That was short English speech, in few kinds of degradation. Slow: about a second of a"
    " core for a second of each recording, and 0.6 GB of memory.",
    rate=cdpam.RATE,
    level="full scale is 1.0",
    symmetric=True,
    triangle=True,
    gradient="exact",
    profile="local",
    profile_free=True,
    map="none",
)


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    model: Annotated[str, "file of the weights; empty for where `audiosim models` finds it"] = ""

    @property
    def files(self) -> tuple[Path, ...]:
        return present("cdpam", self.model)


def measure(pair: Pair, o: Options) -> Channel:
    weights = network("cdpam", o.model, cdpam.prepared(np.result_type(*pair.samples)))

    def parts_of(x: Any) -> Any:
        return cached(x, ("cdpam", o.model), lambda: cdpam.parts(x, weights, pair.threads))

    ref, test = (parts_of(x) for x in pair.samples)
    counts = cdpam.counts(pair.ref.length)
    share = counts / counts.sum()
    whole = cdpam.differences(share @ ref, share @ test, weights, arrays)
    layers = {f"layer_{i}": float(d) for i, d in enumerate(whole, 1)}
    value = sum(layers.values())
    if pair.detail == "value":
        return Channel(value=value, details=layers)
    local = np.asarray(sum(cdpam.differences(ref, test, weights, arrays)))
    times = (np.cumsum(share) - share / 2) * (pair.ref.length / pair.rate)
    return Channel(value=value, per_time=local, times=times, details=layers)


def twin(rate: int, o: Options) -> Twin:
    from torch import cat

    from ..engine.tensors import tell
    from ..trained import tensors

    weights = tensors.Weights(network("cdpam", o.model, cdpam.weights))

    def value(ref: Any, test: Any) -> Any:
        known = weights(test)
        r, t = cdpam.encoded(cat([ref, test]), known, tensors).mean(-1).chunk(2)
        layers = cdpam.differences(r, t, known, tensors)
        tell(lambda: {f"layer_{i}": d for i, d in enumerate(layers, 1)})
        return sum(layers)

    return value
