"""The network of NISQA. Mittag, Naderi, Chehadi and Moeller 2021, "NISQA: A deep CNN-self-attention model for
multidimensional speech quality prediction with crowdsourced datasets", Interspeech, arXiv 2104.09494, section 3.

Six convolutions look at 150 ms of mel spectrum, every 40 ms; two layers of self-attention see all of the recording; and
for each of five opinions a head of its own says how much each of these moments counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import arrays
from .mel import Mel, decibels

Array = NDArray[Any]
Weights = Mapping[str, Array]

HOP, WINDOW = 0.01, 0.02  # seconds
N_FFT, BANDS, TOP = 4096, 48, 20000.0  # samples; mel bands up to so many Hz, whatever the rate
WIDTH, STEP = 15, 4  # frames that the convolutions see, and by which they go on
FLOOR, RANGE = 1e-4, 80.0  # of a magnitude; dB below the loudest band of the recording
OPINIONS = ("mos", "noisiness", "discontinuity", "coloration", "loudness")  # in the order of the heads
LONGEST = 1300  # moments that the original takes
POOLS = {1: (24, 7), 2: (12, 5), 4: (6, 3)}  # behind which convolutions, to how many rows and columns
MOMENTS = 64  # at once


class Opinions(NamedTuple):
    """values [opinion]; of each moment what it alone says, and how much it counts [opinion, moment]."""

    values: Array
    local: Array
    attention: Array


def weights(file: Mapping[str, Any], told: str = "the checkpoint") -> dict[str, Array]:
    """The weights in the original's file, float32; InputError where it is another network's."""
    state: Mapping[str, Array] = file.get("model_state_dict", file)
    wanted = [f"cnn.model.conv{i}.weight" for i in range(1, 7)] + [f"cnn.model.bn{i}.running_var" for i in range(1, 7)]
    wanted += ["time_dependency.model.norm1.weight", "time_dependency.model.layers.0.self_attn.in_proj_weight"]
    wanted += [f"pool_layers.{i}.model.linear3.weight" for i in range(len(OPINIONS))]
    for name in wanted:
        if name not in state:
            raise InputError(f"{told} holds no NISQA with five opinions: it has no {name}")
    return {name: np.asarray(array, np.float32) for name, array in state.items()}


def shortest(rate: int) -> int:
    """Samples at rate Hz of the shortest recording that has a moment."""
    return (WIDTH - 1) * int(HOP * rate)


def spectrum(x: Array, rate: int) -> Array:
    """Levels in mel bands, dB [frame, band], of x [sample] at rate Hz."""
    hop, win = int(HOP * rate), int(WINDOW * rate)
    mel = Mel(rate=rate, n_fft=N_FFT, hop=hop, win=win, bands=BANDS, fmax=TOP, power=1.0, pad="reflect")
    return decibels(mel(x.astype(np.float64)) ** 2, FLOOR**2, RANGE, over_peak=False)


def opinions(levels: Array, weights: Weights) -> Opinions:
    """Of a spectrum [frame, band] of WIDTH frames or more, computed in the type of the weights."""
    levels = levels.astype(weights["cnn.model.conv1.weight"].dtype, copy=False)
    moments = np.lib.stride_tricks.sliding_window_view(levels, WIDTH, axis=0)[::STEP]  # [moment, band, frame]
    seen = np.concatenate([_seen(moments[None, i : i + MOMENTS], weights) for i in range(0, len(moments), MOMENTS)])
    prefix = "time_dependency.model."
    x = _normed(_dense(seen, weights, f"{prefix}linear"), weights, f"{prefix}norm1")
    layer = 0
    while f"{prefix}layers.{layer}.linear1.weight" in weights:
        x = _attended(x, weights, f"{prefix}layers.{layer}.")
        layer += 1
    local, attention = np.empty((2, len(OPINIONS), len(x)))
    for i in range(len(OPINIONS)):
        head = f"pool_layers.{i}.model."
        heard = np.maximum(_dense(x, weights, f"{head}linear1"), 0)
        attention[i] = arrays.softmax(_dense(heard, weights, f"{head}linear2")[:, 0])
        local[i] = _dense(x, weights, f"{head}linear3")[:, 0]
    return Opinions((attention * local).sum(1), local, attention)


def _seen(x: Array, weights: Weights) -> Array:
    """What the convolutions make of x [1, moment, band, frame]: [moment, feature]."""
    for i in range(1, 7):
        name, norm = f"cnn.model.conv{i}.", f"cnn.model.bn{i}."
        gain = weights[f"{norm}weight"] / np.sqrt(weights[f"{norm}running_var"] + 1e-5)
        shift = (weights[f"{name}bias"] - weights[f"{norm}running_mean"]) * gain + weights[f"{norm}bias"]
        kernel = weights[f"{name}weight"] * gain[:, None, None, None]
        x = arrays.conv2d(x, kernel, (1, 0 if i == 6 else 1))
        if i in POOLS:  # what follows keeps the order of numbers, so it may as well come behind the maxima
            x = arrays.adaptive_max_pool(x, POOLS[i])
        x = np.maximum(x + shift[:, None, None, None], 0)
    return x.swapaxes(0, 1).reshape(x.shape[1], -1)


def _attended(x: Array, weights: Weights, name: str) -> Array:
    """x [moment, feature] behind a layer of self-attention with one head."""
    size = x.shape[1]
    mixed = arrays.linear(x, weights[f"{name}self_attn.in_proj_weight"]) + weights[f"{name}self_attn.in_proj_bias"]
    query, key, value = (mixed[:, i * size : (i + 1) * size] for i in range(3))
    query = query / np.sqrt(size)
    shares = (arrays.softmax(arrays.linear(query[i : i + MOMENTS], key)) for i in range(0, len(x), MOMENTS))
    found = np.concatenate([arrays.linear(share, value.T) for share in shares])
    x = _normed(x + _dense(found, weights, f"{name}self_attn.out_proj"), weights, f"{name}norm1")
    inner = np.maximum(_dense(x, weights, f"{name}linear1"), 0)
    return _normed(x + _dense(inner, weights, f"{name}linear2"), weights, f"{name}norm2")


def _dense(x: Array, weights: Weights, name: str) -> Array:
    return arrays.linear(x, weights[f"{name}.weight"]) + weights[f"{name}.bias"]


def _normed(x: Array, weights: Weights, name: str) -> Array:
    return arrays.layer_norm(x, weights[f"{name}.weight"], weights[f"{name}.bias"])
