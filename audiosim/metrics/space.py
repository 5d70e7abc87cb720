"""Stereo image: how far apart two recordings are in level, time and coherence between left and right, band by band.

In each of 32 bands, s = (P_l - P_r, 2 Re C, 2 Im C) / (P_l + P_r) of the powers P and the cross-spectrum C of all of
the recording: the Stokes vector of optics. Its direction says where the sound is, by level and by phase; its length is
1 for one source and 0 for two channels that have nothing to do with one another. The distance is the mean over bands of
|s(test) - s(ref)| / 2, from 0 to 1.

output=panorama compares where sounds are at each moment, and so tells a source that moves from a wide one: the place of
a band in a frame is (P_l - P_r) / (P_l + P_r), and the distance is how far places must move, on average over bands, for
the one distribution over time to become the other, from 0 to 1. It hears levels alone, not phases.

A recording of one channel is in the middle. Both may play anything, in any order and of any length.

details, of ref, test and difference (test - ref): width, the power of the side, (l - r) / 2, over that of middle and
side, 0 to 1; balance, level of the left over the right, dB; coherence, the mean length of s, 0 to 1; delay of the right
channel, from the phase below 700 Hz, ms. And image and panorama, the two distances.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..options import Options as Plain
from ..result import Twin

Array = NDArray[Any]

CARD = Card(
    title="Stereo image",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    range=(0.0, 1.0),
    formula="mean over bands of |s(test) - s(ref)| / 2, s = (P_l - P_r, 2 Re C, 2 Im C) / (P_l + P_r); panorama: mean"
    " over bands of W_1 / 2 of (P_l - P_r) / (P_l + P_r) over time",
    source="Born and Wolf 1999, Principles of Optics, section 10.9 (Stokes parameters, coherence)",
    conventions="What lies 80 dB below the mean band counts as noise without direction.",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order and to level, and the image to all but the mean over time: a"
    " source that moves reads as a wide one there, see output=panorama. Of mono recordings it hears only which bands"
    " are empty. The profile and the map tell where the spectra are unlike, not parts of the value.",
    version=2,
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
    twice=False,
    cap="the distance to no image at all where one is silent, 0 where both are",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    output: Annotated[
        Literal["image", "panorama"], "image: level, phase and coherence on average; panorama: levels at each moment"
    ] = "image"


def feature(samples: Array, o: Options) -> Array:
    """s of each band, level, in phase and in quadrature [3, band], then width, balance in dB, and delay in ms; then the
    distribution of places in each band [band, place]."""
    del o
    return np.concatenate([models.colour.image(samples), models.colour.panorama(samples)])


def _parts(one: Array, many: Array) -> dict[str, Array]:
    """Both distances [item], by name."""
    colour, size = models.colour, models.colour.BANDS * models.colour.PLACES
    return {
        "image": colour.apart(one[:-size], many[:, :-size]),
        "panorama": colour.moved(one[-size:], many[:, -size:]),
    }


def distances(one: Array, many: Array, o: Options) -> Array:
    return _parts(one, many)[o.output]


def details(ref: Array, test: Array) -> dict[str, float]:
    def of(feature: Array) -> dict[str, float]:
        at = 3 * models.colour.BANDS
        image, rest = feature[:at].reshape(3, -1), map(float, feature[at : at + 3])
        coherence = float(np.sqrt(np.square(image).sum(0)).mean())
        return {**dict(zip(("width", "balance", "delay"), rest, strict=True)), "coherence": coherence}

    both = {name: float(part[0]) for name, part in _parts(ref, test[None]).items()}
    return models.unaligned.sides(of(ref), of(test)) | both


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o, details)


def twin(rate: int, o: Options) -> Twin:
    del rate
    colour = models.colour
    if o.output == "panorama":
        return models.unaligned.twin(colour.panorama_torch(), colour.moved_torch)
    return models.unaligned.twin(colour.image_torch(), colour.apart_torch)
