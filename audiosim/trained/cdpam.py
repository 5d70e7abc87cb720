"""The network of CDPAM. Manocha, Jin, Zhang and Finkelstein 2021, "CDPAM: Contrastive learning for perceptual audio
similarity", ICASSP, arXiv 2102.05109, section 2.

An encoder of 16 convolutions of 15 taps, which halves the rate after each fourth, turns a waveform into 1024 features
every 16 samples; their mean over time is split into what sounds and what is said, and only the first half is compared.
Of unit length, it passes four dense layers; the distance adds the absolute differences of all four, each number times
a weight that was learned from listeners.

One text of the network serves arrays and tensors: `nn` is the module of layers, .arrays or .tensors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]
Weights = Mapping[str, Any]  # kernel0 [out, in, tap], bias0 [out, 1]...; dense0 [out, in], offset0, weight0 [out]...

RATE = 22050  # Hz
FULL_SCALE = 32768.0  # it was trained on samples of 16 bits, as integers
GROUP = 4  # layers, after which every second sample goes on
STRIDE = 16  # samples of the recording between two features
EPSILON = 1e-5  # of the variance in batch normalisation
SLOPE, DENSE_SLOPE = 0.1, 0.01


def weights(state: Mapping[str, Array], told: str = "the checkpoint") -> dict[str, Array]:
    """The weights in the original's state, float32, its batch normalisation merged into the convolutions; InputError
    where it is another network's."""

    def get(name: str, *shape: int | None) -> Array:
        if name not in state:
            raise InputError(f"{told} holds no CDPAM: it has no {name}")
        array = np.asarray(state[name], np.float64)
        if array.ndim != len(shape) or any(n not in (None, m) for n, m in zip(shape, array.shape, strict=True)):
            raise InputError(f"{told} holds no CDPAM: {name} has the shape {list(array.shape)}")
        return array

    found: dict[str, Array] = {}
    channels: int = 1
    for i in range(4 * GROUP):
        kernel = get(f"base_encoder.encoder.{i}.weight", None, channels, 15)
        channels = len(kernel)
        bias = get(f"base_encoder.encoder.{i}.bias", channels)
        gain, shift, mean, variance = (
            get(f"base_encoder.ebatch.{i}.{name}", channels)
            for name in ("weight", "bias", "running_mean", "running_var")
        )
        gain = gain / np.sqrt(variance + EPSILON)
        found[f"kernel{i}"] = kernel * gain[:, None, None]
        found[f"bias{i}"] = ((bias - mean) * gain + shift)[:, None]
    size = channels // 2
    for i in range(4):
        dense = get(f"model_dist.convs.{i}.0.weight", None, size)
        size = len(dense)
        found[f"dense{i}"] = dense
        found[f"offset{i}"] = get(f"model_dist.convs.{i}.0.bias", size)
        found[f"weight{i}"] = get(f"model_dist.chan_w.{i}", size)
    return {name: array.astype(np.float32) for name, array in found.items()}


def encoded(x: Any, weights: Weights, nn: Any) -> Any:
    """Features of x [..., sample], full scale 1.0: [..., channel, time], one every 16 samples."""
    x = FULL_SCALE * x[..., None, :]
    for i in range(4 * GROUP):
        x = nn.leaky_relu(nn.conv1d(x, weights[f"kernel{i}"], 1, (7, 7)) + weights[f"bias{i}"], SLOPE)
        if i % GROUP == GROUP - 1:
            x = x[..., ::2]
    return x


def sounding(features: Any, nn: Any) -> Any:
    """What sounds of mean features [..., channel]: the first half, of unit length."""
    return nn.unit(features[..., : features.shape[-1] // 2])


def differences(ref: Any, test: Any, weights: Weights, nn: Any) -> list[Any]:
    """Of each dense layer the distance of ref and test [..., channel], as `sounding` gives them: [...]."""
    found = []
    for i in range(4):
        ref, test = (nn.linear(x, weights[f"dense{i}"]) + weights[f"offset{i}"] for x in (ref, test))
        if i < 3:
            ref, test = (nn.leaky_relu(x, DENSE_SLOPE) for x in (ref, test))
        found.append(abs(weights[f"weight{i}"] * (test - ref)).sum(-1))
    return found
