"""DPAM: the distance that a network hears which was trained on judgements of whether two recordings sound the same.
Manocha, Finkelstein, Zhang, Bryan, Mysore and Jin 2020, Interspeech, arXiv 2001.04460.

The weights are the authors': `audiosim models get dpam`, or model=PATH. Samples are compared at 22.05 kHz, in the units
of 16 bits; the original rounds them to integers, which files of 16 bits are. Its loaders leave the resampling to
librosa or to the user: after another resampler values differ in the third digit.

per_time holds by how much the layers differ there, in parts of 46 ms, of which the value is the mean; the last layers
see half a second and more. Details: what each of the 14 layers adds, the first being the finest in time.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from .. import options
from ..answer import Channel, Pair
from ..card import Card
from ..result import Twin
from ..trained import dpam
from ..trained.networks import network
from ..trained.weights import present

CARD = Card(
    title="Deep perceptual audio metric",
    family="trained",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sum over layers of the mean of |w (F(test) - F(ref))|; F: what 14 convolutions make of the waveform,"
    " w: a weight for each channel, learned from listeners",
    source="Manocha et al. 2020, arXiv 2001.04460; weights: pranaymanocha/PerceptualAudio at 4bd0a84, scratch",
    conventions="The original's number to 1e-6 (0.1929 for its own example). Of recordings of different lengths it pads"
    " the shorter one with zeros in front; here they are made equally long first. model=PATH takes its other"
    " checkpoints, such as finetune.",
    silence="0 when both are silent; silence has a distance from sound.",
    caveat="Align to the sample first: on the authors' example a delay of one sample, which nobody hears, counts 4"
    " times as much as the audible difference, and the other polarity 6 times. It was trained on short English speech"
    " with noise, reverberation, equalisation and MP3, on which listeners said whether they heard a difference, and"
    " says little about large ones: on rated codecs and timbres it agrees with listeners no better than chance. It does"
    " not hear the level. Memory: 12 MB a second, up to half a gigabyte.",
    rate=dpam.RATE,
    level="none: each layer is brought to one level",
    symmetric=True,
    triangle=True,
    insensitive_to=("gain",),
    gradient="exact",
    profile="local",
    profile_free=True,
    map="none",
)

PART = 1024  # samples of a part in which differences are told, of about 46 ms


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    model: Annotated[str, "checkpoint of the weights, NAME.index; empty for where `audiosim models` finds it"] = ""

    @property
    def files(self) -> tuple[Path, ...]:
        return present("dpam", self.model)


def measure(pair: Pair, o: Options) -> Channel:
    weights = network("dpam", o.model, dpam.weights)
    ref, test = (x.astype(np.float64) for x in pair.samples)
    layers = [d / len(d) for d in dpam.differences(ref, test, weights)]
    details = {f"layer_{i}": float(d.sum()) for i, d in enumerate(layers, 1)}
    value = sum(details.values())
    if pair.detail == "value":
        return Channel(value=value, details=details)
    edges = np.linspace(0, 1, max(1, pair.ref.length // PART) + 1)
    local = sum(np.diff(np.interp(edges, np.linspace(0, 1, len(d) + 1), np.append(0, np.cumsum(d)))) for d in layers)
    middles = (edges[1:] + edges[:-1]) / 2 * (pair.ref.length / pair.rate)
    return Channel(value=value, per_time=local * len(middles), times=middles, details=details)


def twin(rate: int, o: Options) -> Twin:
    from torch import cat

    from ..engine.tensors import tell
    from ..trained import tensors

    weights = tensors.Weights(network("dpam", o.model, dpam.weights))

    def value(ref: Any, test: Any) -> Any:
        both = cat([ref, test]).double()
        known = weights(both)
        halves = (x.chunk(2) for x in dpam.features(both, known, tensors))
        layers = [dpam.difference(r, t, i, known).mean(-1) for i, (r, t) in enumerate(halves)]
        tell(lambda: {f"layer_{i}": d for i, d in enumerate(layers, 1)})
        return sum(layers)

    return value
