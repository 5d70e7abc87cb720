"""Colour of distortion: how far apart two recordings are in what a nonlinear device does to a sound, as a function of
level and band, whatever is played, as far as that can be told from the output alone.

Clipping flattens a waveform; the intermodulation of its partials fills the gaps between peaks, above all in high bands;
uneven curves make one side of it differ from the other. In blocks of 85 ms within 40 dB of the loudest, those above
and those below the median level apart, the means are taken of: skewness, ln kurtosis, ln of the peak over the root
mean square, and ln of the higher over the lower side, of the waveform; ln kurtosis of the envelope in seven octaves
from 94 Hz to 12 kHz. Each counts over the deviation that it has among riffs through one device.

details: shape (of the waveform) and bands, each of loud and of soft blocks, as distances of their own. The channels are
averaged first. Both may play anything, in any order and of any length.
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
    title="Colour of distortion",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    formula="rms over 22 of D / s, D: differences of means of shapes of blocks, s: their deviation among riffs",
    source="audiosim; envelope kurtosis: Dwyer 1983, IEEE Trans. Acoust. 31 (spectral kurtosis)",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order and to level. Notes have their own shapes: chords and low notes"
    " read as more distorted than single and high ones, and rooms and choruses change the shapes too. The profile and"
    " the map tell where the spectra are unlike, not parts of the value.",
    minimum="four blocks: 16384 samples at 48 kHz",
    shortest=16384 / 48000,
    rate=48000,
    channels="averaged",
    pooling="downmix",
    joint_channels=True,
    lengths="any",
    level="any: it is evened out",
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    cap="the distance to shapes of 0 where one is silent, 0 where both are",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)


def feature(samples: Array, o: Options) -> Array:
    """Shapes over their scales [level, 11], flat."""
    del o
    return models.colour.scaled_shapes(models.unaligned.mono(samples))


def distances(one: Array, many: Array, o: Options) -> Array:
    del o
    return models.colour.rms(one, many)


def details(ref: Array, test: Array) -> dict[str, float]:
    apart, shapes = np.square(test - ref).reshape(2, -1), models.colour.SHAPES
    return {
        f"{name}_{level}": float(np.sqrt(of_level[part].mean()))
        for level, of_level in zip(("loud", "soft"), apart, strict=True)
        for name, part in (("shape", slice(shapes)), ("bands", slice(shapes, None)))
    }


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o, details)


def twin(rate: int, o: Options) -> Twin:
    del rate, o
    return models.unaligned.twin(models.colour.scaled_shapes_torch(), models.colour.rms_torch)
