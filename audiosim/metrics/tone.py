"""Tone: would two devices, amplifiers or effects, be taken for one another, whatever is played through them?

One distance of three: long-term-spectrum, distortion and space, each over what it comes to among riffs through one
device, added as squares. So 1 is about as far as another riff takes the same device. Dynamics and rhythm are the
riff's, and left out.

details: spectrum, distortion and space, the parts over their scales, whose squares add up to that of the value. Both
recordings may play anything, in any order and of any length; more of it makes the answer surer.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..options import Options
from ..result import Twin

Array = NDArray[Any]

CARD = Card(
    title="Tone of a device",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sqrt((spectrum / 2.0 dB)^2 + (distortion / 1.4)^2 + (space / 0.05)^2)",
    source="audiosim: long-term-spectrum, distortion and space; scales of tests/benchmarks/devices.py",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order and to level. Play the same kind of thing through both, for half"
    " a minute: other instruments, keys or ways of playing read as another device, and devices that share a loudspeaker"
    " and differ in gain alone as one. Its scales come from synthesised guitar riffs; it was tried on simulated"
    " devices, not on listeners. The profile and the map tell where the spectra are unlike, not parts of the value.",
    minimum="four blocks: 16384 samples at 48 kHz",
    shortest=16384 / 48000,
    rate=48000,
    channels="one or two",
    pooling="downmix",
    joint_channels=True,
    lengths="any",
    level="any: it is evened out",
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    cap="the distance to an even spectrum without distortion and image where one is silent, 0 where both are",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)

SCALES = {"spectrum": 2.0, "distortion": 1.4, "space": 0.05}


def feature(samples: Array, o: Options) -> Array:
    """Those of long-term-spectrum, distortion and space, one after the other."""
    del o
    colour, mono = models.colour, models.unaligned.mono(samples)
    return np.concatenate([colour.levels(mono), colour.scaled_shapes(mono), colour.image(samples)])


def parts(one: Array, many: Array) -> dict[str, Array]:
    """Over their scales [item], by name."""
    colour, distances = models.colour, (models.colour.rms, models.colour.rms, models.colour.apart)
    sizes = (colour.BANDS, colour.SHAPES_IN_ALL)
    at = np.cumsum((0, *sizes, one.size - sum(sizes)))
    return {
        name: distance(one[start:stop], many[:, start:stop]) / SCALES[name]
        for name, distance, start, stop in zip(SCALES, distances, at, at[1:], strict=False)
    }


def distances(one: Array, many: Array, o: Options) -> Array:
    del o
    result: Array = np.sqrt(sum(np.square(part) for part in parts(one, many).values()))
    return result


def details(ref: Array, test: Array) -> dict[str, float]:
    return {name: float(part[0]) for name, part in parts(ref, test[None]).items()}


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o, details)


def twin(rate: int, o: Options) -> Twin:
    del rate, o
    from ..engine.tensors import root

    colour = models.colour
    features = colour.levels_torch(), colour.scaled_shapes_torch(), colour.image_torch()
    apart = colour.rms_torch, colour.rms_torch, colour.apart_torch

    def distance(ref: Any, test: Any) -> Any:
        found = zip(apart, ref, test, SCALES.values(), strict=True)
        return root(sum((of(r, t) / scale).square() for of, r, t, scale in found))

    return models.unaligned.twin(lambda x: [of(x) for of in features], distance)
