"""Distance of embeddings: how far apart two recordings are to a network that was trained on something else.

model: a known model (audiosim models), or a file of ONNX with a sidecar in JSON beside it, which says what stands
before the network and holds a test vector (docs/embeddings.md). musicnn-mtt, the default, was trained to tag music
(Pons and Serra 2019, arXiv 1909.06654): patches of 3 s become 200 numbers.

pool=mean compares the means over frames; gram the mean products of all pairs of features, which know no order in time
(Gatys, Ecker and Bethge 2015, arXiv 1505.07376); frames+dtw frames along the path that dynamic time warping finds, the
mean over its steps. distance=cosine is 1 - cos of the angle, l2 the Euclidean distance, l1 the sum of absolute
differences. per_time holds the distance of the frames at equal times, as far as both recordings have some.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isnan, nan
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import dsp
from ..answer import Channel, Pair
from ..card import Card
from ..engine.threads import in_threads
from ..options import Options as Plain
from ..trained import embedding

Array = NDArray[Any]

CARD = Card(
    title="Distance of embeddings",
    family="trained",
    unit="1",
    better="lower",
    identical=0.0,
    formula="distance of E(ref) and E(test), E: the pooled output of a network",
    source="musicnn: Pons and Serra 2019; pool=gram: Gatys, Ecker and Bethge 2015",
    silence="That of the network; undefined where the embedding of silence is 0 and distance=cosine.",
    caveat="What it hears is what the network was trained to tell apart: musicnn tells instruments and genres, and"
    " hardly hears codecs. Compare values of one model, distance and pool only.",
    lengths="any",
    symmetric=True,
    insensitive_to=("polarity",),
    gradient="none",
    profile="local",
    profile_free=True,
    map="none",
)


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    model: Annotated[str, "a known model, or a file of ONNX that has its sidecar beside it"] = "musicnn-mtt"
    distance: Annotated[Literal["cosine", "l2", "l1"], "of two embeddings"] = "cosine"
    pool: Annotated[Literal["model", "mean", "gram", "frames+dtw"], "of frames; model: what its sidecar says"] = "model"

    @property
    def resampled_to(self) -> int:
        return embedding.load(self.model).sidecar.rate

    @property
    def files(self) -> tuple[Path, ...]:
        return embedding.files(self.model)


def measure(pair: Pair, o: Options) -> Channel:
    embedder = embedding.load(o.model)
    ref, test = in_threads(lambda k: embedder(pair.samples[k]), range(2), pair.threads)
    x, y = ref.numbers, test.numbers
    match embedder.sidecar.pool if o.pool == "model" else o.pool:
        case "mean":
            value = _distance(x.mean(0), y.mean(0), o.distance)
        case "gram":
            value = _distance(_gram(x), _gram(y), o.distance)
        case _:
            value = _along_path(x, y, o.distance)
    if isnan(value):
        return Channel(value=nan, reason="an embedding is 0, which has no direction; use distance=l2")
    if pair.detail == "value":
        return Channel(value=value)
    n = min(len(x), len(y))
    course = np.array([_distance(a, b, o.distance) for a, b in zip(x[:n], y[:n], strict=True)])
    return Channel(value=value, per_time=course, times=ref.times[:n])


def _distance(x: Array, y: Array, kind: str) -> float:
    """nan for the angle to nothing. Cosines by the chord: equal ones are at 0, and near ones keep their digits."""
    if kind == "cosine":
        lengths = np.linalg.norm(x), np.linalg.norm(y)
        return float(np.sum((x / lengths[0] - y / lengths[1]) ** 2) / 2) if all(lengths) else nan
    return float(np.linalg.norm(x - y) if kind == "l2" else np.abs(x - y).sum())


def _gram(x: Array) -> Array:
    return np.asarray(np.ravel(x.T @ x / len(x)))


def _along_path(x: Array, y: Array, kind: str) -> float:
    """The path is that of Euclidean distances, of directions where the angle is asked for."""
    if kind == "cosine":
        lengths = [np.linalg.norm(e, axis=1, keepdims=True) for e in (x, y)]
        if not all(length.all() for length in lengths):
            return nan
        x, y = x / lengths[0], y / lengths[1]
    _, (i, j) = dsp.warping.dtw(x, y)
    return float(np.mean([_distance(x[a], y[b], kind) for a, b in zip(i, j, strict=True)]))
