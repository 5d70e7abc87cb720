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
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.threads import in_threads
from ..errors import InputError
from . import arrays
from .networks import Make

Array = NDArray[Any]
Weights = Mapping[str, Any]  # kernel0 [out, in, tap], bias0 [out, 1]...; dense0 [out, in], offset0, weight0 [out]...

RATE = 22050  # Hz
FULL_SCALE = 32768.0  # it was trained on samples of 16 bits, as integers
GROUP = 4  # layers, after which every second sample goes on
STRIDE = 16  # samples of the recording between two features
EPSILON = 1e-5  # of the variance in batch normalisation
SLOPE, DENSE_SLOPE = 0.1, 0.01
PART = 64  # features of a part that is listened to by itself: 46 ms
BLOCK = 1 << 14  # samples computed at once, a multiple of those of a part; fixed, so that threads change no bit
CONTEXT = 27 * STRIDE  # samples, more than the 420 that a feature sees on each side


def weights(file: Mapping[str, Any], told: str = "the checkpoint") -> dict[str, Array]:
    """The weights in the original's file, float32, its batch normalisation merged into the convolutions; InputError
    where it is another network's."""

    state: Mapping[str, Array] = file.get("state", file)

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
        found[f"kernel{i}"] = (kernel * gain[:, None, None]).astype(np.float32)  # at once: they are large
        found[f"bias{i}"] = ((bias - mean) * gain + shift)[:, None]
    size = channels // 2
    for i in range(4):
        dense = get(f"model_dist.convs.{i}.0.weight", None, size)
        size = len(dense)
        found[f"dense{i}"] = dense
        found[f"offset{i}"] = get(f"model_dist.convs.{i}.0.bias", size)
        found[f"weight{i}"] = get(f"model_dist.chan_w.{i}", size)
    return {name: array.astype(np.float32, copy=False) for name, array in found.items()}


@cache
def prepared(dtype: Any) -> Make:
    """weights for arrays of a type: in it, and the kernels by their spectra."""

    def make(file: Mapping[str, Any], told: str) -> dict[str, Any]:
        found: dict[str, Any] = weights(file, told)
        for name, array in found.items():
            own = array.astype(dtype, copy=False)
            found[name] = arrays.Spectrum(own) if name.startswith("kernel") else own
        return found

    return make


def encoded(x: Any, weights: Weights, nn: Any) -> Any:
    """Features of x [..., sample], full scale 1.0: [..., channel, time], one every 16 samples."""
    x = FULL_SCALE * x[..., None, :]
    for i in range(4 * GROUP):
        stride = 2 if i % GROUP == GROUP - 1 else 1  # the original computes all and drops every second one
        x = nn.leaky_relu(nn.conv1d(x, weights[f"kernel{i}"], stride, (7, 7)) + weights[f"bias{i}"], SLOPE)
    return x


def parts(x: Array, weights: Weights, threads: int = 1) -> Array:
    """Mean features float64 [part, channel] of parts of 46 ms of x [sample], in its type, which is that of the weights.
    Computed in blocks that see as far beyond their ends as the network does, so that memory does not grow with the
    recording."""

    def of_block(start: int) -> Array:
        before, after = min(start, CONTEXT), min(len(x) - start, BLOCK + CONTEXT)
        stop = min(len(x) - start, BLOCK)
        seen = encoded(x[start - before : start + after], weights, arrays)
        inside = seen[:, before // STRIDE : -(-(before + stop) // STRIDE)].astype(np.float64)
        cuts = np.arange(0, inside.shape[1], PART)
        sizes = np.diff(np.append(cuts, inside.shape[1]))
        return np.ascontiguousarray((np.add.reduceat(inside, cuts, axis=1) / sizes).T)

    return np.concatenate(in_threads(of_block, range(0, len(x), BLOCK), threads))


def counts(samples: int) -> Array:
    """How many features each part of so many samples has, float64 [part]."""
    features = -(-samples // STRIDE)
    cuts = np.arange(0, features, PART)
    return np.diff(np.append(cuts, features)).astype(np.float64)


def differences(ref: Any, test: Any, weights: Weights, nn: Any) -> list[Any]:
    """Of each dense layer the distance of the mean features ref and test [..., channel]: [...]."""
    found = []
    ref, test = (nn.unit(x[..., : x.shape[-1] // 2]) for x in (ref, test))  # the half that is what sounds
    for i in range(4):
        ref, test = (nn.linear(x, weights[f"dense{i}"]) + weights[f"offset{i}"] for x in (ref, test))
        if i < 3:
            ref, test = (nn.leaky_relu(x, DENSE_SLOPE) for x in (ref, test))
        found.append(abs(weights[f"weight{i}"] * (test - ref)).sum(-1))
    return found
