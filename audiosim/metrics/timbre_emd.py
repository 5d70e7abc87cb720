"""Timbre by clusters: earth mover's distance of the mel-frequency cepstra of two recordings. Logan and Salomon 2001,
ICME, "A music similarity function based on signal analysis".

The frames of each recording fall into clusters, Gaussians with diagonal covariances; the distance is the least cost of
carrying the weights of one set to the other, by the symmetrised Kullback-Leibler divergence of clusters. The transport
is exact, and the clusters are found without random numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from .. import dsp, models
from ..answer import Channel, Pair
from ..card import Card
from ..options import Options as Plain, Within

Array = NDArray[Any]

COEFFICIENTS = 20
RIDGE = 1e-2  # added to variances, nepers^2

CARD = Card(
    title="Timbre, clusters (earth mover's distance)",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    formula="least sum of f_ik (KL(i|k) + KL(k|i)), f: flow from the weights of clusters i of one to k of the other",
    source="Logan and Salomon 2001, ICME, section 2; Rubner, Tomasi and Guibas 2000",
    conventions="Frames and cepstra are those of timbre-kl. Logan and Salomon take 16 clusters of k-means, which begins"
    " at random; here they come from splitting.",
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
    gradient="none",
    profile="share",
    map="share",
)


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    clusters: Annotated[int, Within(1, 64), "Gaussian clusters of the frames of each recording"] = 16


def feature(samples: Array, o: Options) -> Array:
    cepstra = models.timbre.cepstra(models.unaligned.mono(samples), COEFFICIENTS)
    return dsp.clusters.fit(cepstra, o.clusters, RIDGE).reshape(-1)


def distances(one: Array, many: Array, o: Options) -> Array:
    out, shape = np.empty(len(many)), (o.clusters, 1 + 2 * COEFFICIENTS)
    dsp.clusters.transport(one.reshape(shape), many.reshape(-1, *shape), out)
    return out


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o)
