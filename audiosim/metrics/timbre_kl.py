"""Timbre by one Gaussian: symmetrised Kullback-Leibler divergence of the Gaussians of all mel-frequency cepstra of two
recordings. Mandel and Ellis 2005, ISMIR, 594-599; as musly's method mandelellis.

Both may play anything, in any order and of any length: reversed in time, a recording has a distance of about 0 from
itself. The channels are averaged first.
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

COEFFICIENTS = 20
RIDGE = {"plain": 1e-2, "musly": 1e-4}  # added to variances, nepers^2

CARD = Card(
    title="Timbre, one Gaussian (KL)",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    formula="(tr(S^-1 T) + tr(T^-1 S) + m' (S^-1 + T^-1) m) / 4 - d/2 of Gaussians of 20 MFCC, m: difference of means",
    source="Mandel and Ellis 2005, ISMIR, eq. 1; convention=musly: method mandelellis of musly",
    conventions="Mandel and Ellis have four times this value. convention=musly takes the central 60 s, a peak of 96 dB"
    " and musly's own filters.",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order, and a recording played backwards is about 0 from itself. It"
    " hears sounds and how they vary, not what is played, and it hears filters and codecs as other sounds. The channels"
    " are averaged. The profile and the map tell where the spectra are unlike, not parts of the value.",
    minimum="21 frames: 11264 samples at 22.05 kHz",
    shortest=11264 / 22050,
    rate=22050,
    channels="averaged",
    pooling="downmix",
    joint_channels=True,
    lengths="any",
    level="any: it is evened out",
    symmetric=True,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    cap="the distance to a Gaussian at the floor where one is silent, 0 where both are",
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    convention: Annotated[
        Literal["plain", "musly"], "plain: all of it, over its mean power; musly: as musly's mandelellis"
    ] = "plain"


def feature(samples: Array, o: Options) -> Array:
    cepstra = models.timbre.cepstra(models.unaligned.mono(samples), COEFFICIENTS, o.convention)
    return dsp.gaussians.with_inverse(dsp.gaussians.fit(cepstra, RIDGE[o.convention]), COEFFICIENTS)


def distances(one: Array, many: Array, o: Options) -> Array:
    del o
    out = np.empty(len(many))
    dsp.gaussians.symmetric_kl(one, many, COEFFICIENTS, out)
    return out


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o)


def twin(rate: int, o: Options) -> Twin:
    del rate
    return models.timbre.twin(COEFFICIENTS, o.convention, RIDGE[o.convention], dsp.gaussians.symmetric_kl_torch)
