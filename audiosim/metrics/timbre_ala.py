"""Timbre by clusters: how likely each recording is under the other's mixture of Gaussians of mel-frequency cepstra, by
the asymptotic likelihood approximation. Vasconcelos 2001, ICIP; as used for music by Berenzweig, Logan, Ellis and
Whitman 2004, Computer Music Journal 28(2).

The expected likelihood of one mixture under the other counts for each cluster of the one only the cluster of the other
that explains it best: good where clusters hardly overlap.
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
    title="Timbre, clusters (asymptotic likelihood)",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    formula="L(p|p) - L(p|q) + L(q|q) - L(q|p), L(p|q) = sum_i w_i max_k (ln w_k + ln N(m_i; k) - tr(S_k^-1 S_i) / 2)",
    source="Vasconcelos 2001, ICIP; Berenzweig, Logan, Ellis and Whitman 2004, Computer Music Journal 28(2)",
    conventions="Frames and cepstra are those of timbre-kl. A cluster is explained by the one of which its term is"
    " largest, where some texts choose by distance and weight alone. Negative values read as 0.",
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
    dsp.clusters.likelihood(one.reshape(shape), many.reshape(-1, *shape), out)
    return out


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o)
