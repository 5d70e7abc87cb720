"""Timbre by one Gaussian: Jensen-Shannon distance of the Gaussians of all mel-frequency cepstra of two recordings.
Schnitzer, Flexer, Schedl and Widmer 2011, ISMIR, 79-84, and musly's method timbre, before its Mutual Proximity.

The Gaussian of all frames of both together stands for their mixture. The root makes it nearly a distance in the sense
of geometry. Both may play anything, in any order and of any length: reversed in time, a recording has a distance of
about 0 from itself. The channels are averaged first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import dsp, models
from ..answer import Channel, Pair
from ..card import Card
from ..options import Options as Plain
from ..result import Twin

Array = NDArray[Any]

COEFFICIENTS = 25
RIDGE = {"plain": 1e-2, "musly": 1e-4}  # added to variances, nepers^2

CARD = Card(
    title="Timbre, one Gaussian (Jensen-Shannon)",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sqrt(ln|M| / 2 - (ln|S| + ln|T|) / 4), S, T: covariances of 25 MFCC, M = (S + T) / 2 + m m' / 4",
    source="Schnitzer, Flexer, Schedl and Widmer 2011, ISMIR; convention=musly: method timbre of musly",
    conventions="musly makes ranks of these distances in the collection, by Mutual Proximity. convention=musly takes"
    " the central 60 s, a peak of 96 dB and musly's own filters.",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order, and a recording played backwards is about 0 from itself. It"
    " hears sounds and how they vary, not what is played, and it hears filters and codecs as other sounds. The channels"
    " are averaged. The profile and the map tell where the spectra are unlike, not parts of the value.",
    minimum="26 frames: 13824 samples at 22.05 kHz",
    shortest=13824 / 22050,
    rate=22050,
    channels="averaged",
    pooling="downmix",
    joint_channels=True,
    lengths="any",
    level="any: it is evened out",
    symmetric=True,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    twice=False,
    cap="the distance to a Gaussian at the floor where one is silent, 0 where both are",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    convention: Annotated[
        Literal["plain", "musly"], "plain: all of it, over its mean power; musly: as musly's timbre"
    ] = "plain"


def feature(samples: Array, o: Options) -> Array:
    cepstra = models.timbre.cepstra(models.unaligned.mono(samples), COEFFICIENTS, o.convention)
    return dsp.gaussians.with_log_determinant(dsp.gaussians.fit(cepstra, RIDGE[o.convention]), COEFFICIENTS)


def distances(one: Array, many: Array, o: Options) -> Array:
    del o
    out = np.empty(len(many))
    dsp.gaussians.jensen_shannon(one, many, COEFFICIENTS, out)
    return out


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o)


def twin(rate: int, o: Options) -> Twin:
    del rate
    return models.timbre.twin(COEFFICIENTS, o.convention, RIDGE[o.convention], dsp.gaussians.jensen_shannon_torch)
