"""Long-term average spectrum: how far the levels of two recordings in bands of hearing are apart, and the equaliser
that would make them alike.

The power in 32 bands from 40 Hz to 16 kHz, evenly spaced in ERB-rate, averaged over all of each recording. Levels count
relative to their mean over bands, so no gain changes them. The channels are averaged first.

details: eq_62 to eq_16000, the gain in dB in each octave that brings the test to the reference; tilt, its slope in dB
per octave. Both may play anything, in any order and of any length.
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
    title="Long-term average spectrum",
    family="music",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="rms over 32 ERB bands of D - mean D, D: difference of the levels of the mean power spectra in dB",
    source="Byrne et al. 1994, J. Acoust. Soc. Am. 96, 2108; bands: Glasberg and Moore 1990",
    conventions="Byrne et al. take thirds of an octave. What lies 80 dB below the mean band reads as silence.",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order, to level and to all but the mean of the power. The notes that"
    " are played have their spectrum too: in another key, or with another bass line, the same device is a few dB away."
    " The profile and the map tell where the spectra are unlike at any time, not parts of the value.",
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
    cap="the distance to a flat spectrum where one is silent, 0 where both are",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)

OCTAVES = 31.25 * 2.0 ** np.arange(1, 10)  # Hz, centres


def feature(samples: Array, o: Options) -> Array:
    """Levels of the bands, dB [band], of mean 0."""
    del o
    return models.colour.levels(models.unaligned.mono(samples))


def distances(one: Array, many: Array, o: Options) -> Array:
    del o
    return models.colour.rms(one, many)


def details(ref: Array, test: Array) -> dict[str, float]:
    gain, octave = ref - test, np.log2(models.colour.centres() / 1000)
    named = {f"eq_{hz:.0f}": float(gain[abs(octave - np.log2(hz / 1000)) <= 0.5].mean()) for hz in OCTAVES}
    return named | {"tilt": float(np.polyfit(octave, gain, 1)[0])}


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o, details)


def twin(rate: int, o: Options) -> Twin:
    del rate, o
    return models.unaligned.twin(models.colour.levels_torch(), models.colour.rms_torch)
