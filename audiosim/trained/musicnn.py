"""musicnn: a network that was trained to tag music, of Pons and Serra 2019 (arXiv 1909.06654), in numpy. Its weights
are a checkpoint of TensorFlow, whose layers have the names that TensorFlow gave them in the order of their making.

Timbre is heard by filters of 7 frames and 38 or 67 bands, time by filters of 128, 64 and 32 frames; three residual
layers follow, maxima and means over time, and a dense layer of 200 units, the embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import read
from .onnx import Network

Array = NDArray[Any]

EPS = 1e-3  # of TensorFlow's batch normalisation
TIMBRE, TIME, RESIDUAL = (0, 1), (2, 3, 4), (5, 6, 7)  # numbers of the layers


def network(path: Path) -> Network:
    """The network whose checkpoint's index is at the path: patches [1, frame, band] -> embedding [1, 200]."""
    stamp = path.stat()
    return _loaded(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=2)
def _loaded(path: Path, modified: int, size: int) -> Network:
    del modified, size
    layers: Mapping[str, Array] = read(path)

    def run(inputs: Mapping[str, Array], _: list[str] | None = None) -> list[Array]:
        (x,) = inputs.values()
        return [np.stack([_embedding(layers, patch) for patch in x])]

    return run


def _embedding(layers: Mapping[str, Array], patch: Array) -> Array:
    """Of a patch [frame, band]."""
    x = _normalised(layers, 0, patch[..., None])[..., 0]
    front = [_across(layers, n, x) for n in TIMBRE] + [_along(layers, n, x) for n in TIME]
    y = np.concatenate(front, axis=1)
    middle = [y]
    for n in RESIDUAL:
        z = _across(layers, n, y)
        y = z if n == RESIDUAL[0] else z + y
        middle.append(y)
    every = np.concatenate(middle, axis=1)
    pooled = np.stack([every.max(0), every.mean(0)], axis=1).ravel()  # side by side for each channel
    dense = _normalised(layers, 9, pooled) @ layers["dense/kernel"] + layers["dense/bias"]
    return _normalised(layers, 10, np.maximum(dense, 0))


def _across(layers: Mapping[str, Array], n: int, x: Array) -> Array:
    """Filters of some frames and bands, and their maxima over bands: x [frame, band] -> [frame, filter]."""
    kernel = _of(layers, "conv2d", n, "kernel")[:, :, 0]
    frames, bands, filters = kernel.shape
    padded = np.pad(x, ((frames // 2, frames // 2), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, (frames, bands))  # [frame, place, frames, bands]
    z = seen.reshape(-1, frames * bands) @ kernel.reshape(-1, filters) + _of(layers, "conv2d", n, "bias")
    return np.asarray(_normalised(layers, n + 1, np.maximum(z, 0)).reshape(len(x), -1, filters).max(1))


def _along(layers: Mapping[str, Array], n: int, x: Array) -> Array:
    """Filters of some frames in each band, and their maxima over bands: x [frame, band] -> [frame, filter]."""
    kernel = _of(layers, "conv2d", n, "kernel")[:, 0, 0]
    frames, filters = kernel.shape
    padded = np.pad(x, (((frames - 1) // 2, frames // 2), (0, 0)))
    seen = np.lib.stride_tricks.sliding_window_view(padded, frames, axis=0)  # [frame, band, frames]
    z = seen.reshape(-1, frames) @ kernel + _of(layers, "conv2d", n, "bias")
    return np.asarray(_normalised(layers, n + 1, np.maximum(z, 0)).reshape(len(x), -1, filters).max(1))


def _normalised(layers: Mapping[str, Array], n: int, x: Array) -> Array:
    """By means and variances of the training, channels last."""
    mean, variance, gain, shift = (
        _of(layers, "batch_normalization", n, part) for part in ("moving_mean", "moving_variance", "gamma", "beta")
    )
    factor = gain / np.sqrt(variance + EPS)
    return np.asarray(x * factor + (shift - mean * factor))


def _of(layers: Mapping[str, Array], kind: str, n: int, part: str) -> Array:
    return layers[f"{kind}_{n}/{part}" if n else f"{kind}/{part}"]
