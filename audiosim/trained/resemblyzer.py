"""The network of Resemblyzer, which tells speakers. Wan, Wang, Papir and Moreno 2018, "Generalized end-to-end loss for
speaker verification", ICASSP, arXiv 1710.10467, section 2; Jia et al. 2018, arXiv 1806.04558, section 2.1.

Three layers of long short-term memory read 1.6 s of mel spectrum; their last state, dense and rectified, is brought to
unit length. A recording is the mean of such embeddings, one every 0.77 s.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import arrays
from .mel import Mel

Array = NDArray[Any]
Weights = Mapping[str, Array]

RATE, HOP = 16000, 160  # Hz, samples
MEL = Mel(rate=RATE, n_fft=400, hop=HOP, bands=40)
WIDTH, STEP = 160, 77  # frames of a part of the recording, and by which parts go on: 1.3 a second
COVERED = 0.75  # of the last part that the recording must fill
LOUDNESS = -30.0  # dB re full scale, to which quieter recordings are brought
PARTS = 64  # at once


class Voice(NamedTuple):
    """embedding [number], of unit length; of each part its own [part, number], and its centre in seconds."""

    embedding: Array
    parts: Array
    times: Array


def weights(file: Mapping[str, Any], told: str = "the checkpoint") -> dict[str, Array]:
    """The weights in the original's file, float32; InputError where it is another network's."""
    state: Mapping[str, Array] = file.get("model_state", file)
    found: dict[str, Array] = {}
    for i in count():
        names = [f"lstm.{name}_l{i}" for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")]
        if i and names[0] not in state:
            break
        names += [] if i else ["linear.weight", "linear.bias"]
        if missing := [name for name in names if name not in state]:
            raise InputError(f"{told} holds no network of Resemblyzer: it has no {missing[0]}")
        for name in names:
            found[name] = np.asarray(state[name], np.float32)
    return found


def spectrum(x: Array, samples: int) -> Array:
    """Power in mel bands [frame, band] of x [sample], which is no silence, at its loudness, and with zeros behind it
    up to so many samples."""
    x = x.astype(np.float64)
    level = 10 * np.log10(np.mean(x * x))
    gain = 10 ** (max(LOUDNESS - level, 0) / 20)
    return gain**2 * MEL(np.pad(x, (0, max(0, samples - len(x)))))  # type: ignore[no-any-return]


def starts(samples: int) -> Array:
    """The first frames of the parts of a recording."""
    frames = -(-(samples + 1) // HOP)
    first = np.arange(0, max(1, frames - WIDTH + STEP + 1), STEP)
    if len(first) > 1 and samples - first[-1] * HOP < COVERED * WIDTH * HOP:
        first = first[:-1]
    return first


def prepared(file: Mapping[str, Any], told: str = "the checkpoint") -> Network:
    """The network in the original's file; InputError where it is another's."""
    return Network.of(weights(file, told))


class Network(NamedTuple):
    """Layers, and what makes an embedding [number] of their last state [unit]."""

    layers: tuple[arrays.Memory, ...]
    dense: Array
    offset: Array

    @classmethod
    def of(cls, weights: Weights) -> Network:
        """That computes in the type of its weights."""
        layers: list[arrays.Memory] = []
        while f"lstm.weight_ih_l{len(layers)}" in weights:
            of_input, of_state, bias, other = (
                weights[f"lstm.{name}_l{len(layers)}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            layers.append(arrays.Memory(of_input, of_state, bias + other))
        return cls(tuple(layers), weights["linear.weight"], weights["linear.bias"])

    def __call__(self, x: Array) -> Array:
        """Embeddings of parts [part, frame, band]: [part, number]."""
        last = arrays.lstm(x, self.layers)[:, -1]
        return np.asarray(np.maximum(arrays.linear(last, self.dense) + self.offset, 0))


def voice(x: Array, network: Network) -> Voice:
    """Of a recording x [sample] at 16 kHz that is no silence."""
    first = starts(len(x))
    levels = spectrum(x, (int(first[-1]) + WIDTH) * HOP)
    cut = np.stack([levels[i : i + WIDTH] for i in first])
    parts = np.concatenate([network(cut[i : i + PARTS]) for i in range(0, len(cut), PARTS)])
    parts = arrays.unit(parts.astype(np.float64))
    return Voice(arrays.unit(parts.mean(0)), parts, (first + WIDTH / 2) * HOP / RATE)
