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


def voice(x: Array, weights: Weights) -> Voice:
    """Of a recording x [sample] at 16 kHz that is no silence, computed in the type of the weights."""
    first = starts(len(x))
    levels = spectrum(x, (int(first[-1]) + WIDTH) * HOP).astype(weights["linear.weight"].dtype)
    cut = np.stack([levels[i : i + WIDTH] for i in first])
    parts = np.concatenate([_embedded(cut[i : i + PARTS], weights) for i in range(0, len(cut), PARTS)])
    parts = arrays.unit(parts.astype(np.float64))
    return Voice(arrays.unit(parts.mean(0)), parts, (first + WIDTH / 2) * HOP / RATE)


def _embedded(x: Array, weights: Weights) -> Array:
    """Embeddings of parts [part, frame, band]: [part, number]."""
    layer = 0
    while f"lstm.weight_ih_l{layer}" in weights:
        of_input, of_state = (weights[f"lstm.weight_{name}_l{layer}"] for name in ("ih", "hh"))
        x = arrays.lstm(x, of_input, of_state, weights[f"lstm.bias_ih_l{layer}"] + weights[f"lstm.bias_hh_l{layer}"])
        layer += 1
    dense = arrays.linear(x[:, -1], weights["linear.weight"]) + weights["linear.bias"]
    return np.asarray(np.maximum(dense, 0))
