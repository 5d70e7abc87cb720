"""The network of DPAM. Manocha, Finkelstein, Zhang, Bryan, Mysore and Jin 2020, "A differentiable perceptual audio
metric learned from just noticeable differences", Interspeech, arXiv 2001.04460, section 3.2; its architecture is that
of Germain, Chen and Koltun 2019, arXiv 1806.10522.

14 convolutions of 3 taps over the waveform, of which all but the last take every second sample. Each channel is
normalised over the time of its own recording, which is what the original's batch normalisation does with a batch of
one; so the level of a recording is not heard. The distance adds the mean absolute differences of all 14 layers,
channel by channel times a weight that was learned from listeners.

One text of the network serves arrays and tensors: `nn` is the module of layers, .arrays or .tensors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

Array = NDArray[Any]
Weights = Mapping[str, Any]  # kernel0 [out, in, tap], beta0 [out, 1], weight0 [out, 1], kernel1...

RATE = 22050  # Hz
FULL_SCALE = 32768.0  # it was trained on samples of 16 bits, as integers
EPSILON = 1e-3  # of the variance, in the units of a layer
SLOPE = 0.2


def weights(checkpoint: Mapping[str, Array], told: str = "the checkpoint") -> dict[str, Array]:
    """The weights in a TensorFlow checkpoint of the original, float64; InputError where it is another network's."""
    found: dict[str, Array] = {}
    for i in count():
        names = (f"loss_conv_{i}/weights", f"loss_conv_{i}/BatchNorm/beta", f"weights_{i}")
        arrays = [checkpoint.get(name) for name in names]
        if arrays[0] is None and i:
            return found
        if any(a is None for a in arrays):
            missing = names[[a is None for a in arrays].index(True)]
            raise InputError(f"{told} holds no DPAM: it has no {missing}")
        kernel, beta, weight = (np.asarray(a, np.float64) for a in arrays)
        before = found[f"kernel{i - 1}"].shape[0] if i else 1
        channels = kernel.shape[-1]
        if kernel.shape != (1, 3, before, channels) or beta.shape != (channels,) or weight.shape != (channels,):
            raise InputError(f"{told} holds no DPAM: {names[0]} has the shape {list(kernel.shape)}")
        found[f"kernel{i}"] = np.ascontiguousarray(kernel[0].transpose(2, 1, 0))
        found[f"beta{i}"], found[f"weight{i}"] = beta[:, None], weight[:, None]
    raise AssertionError


def depth(weights: Weights) -> int:
    """Number of layers."""
    return len(weights) // 3


def features(x: Any, weights: Weights, nn: Any) -> Iterator[Any]:
    """What each layer makes of x float64 [..., sample], full scale 1.0: [..., channel, sample]. In float32 rounding
    would tell apart what differs in level or offset alone."""
    x = FULL_SCALE * x[..., None, :]
    last = depth(weights) - 1
    for i in range(last + 1):
        x = _same(x, weights[f"kernel{i}"], 1 if i == last else 2, nn)
        x = x - x.mean(-1)[..., None]
        x = x / ((x * x).mean(-1)[..., None] + EPSILON) ** 0.5 + weights[f"beta{i}"]
        x = nn.leaky_relu(x, SLOPE)
        yield x


def _same(x: Any, kernel: Any, stride: int, nn: Any) -> Any:
    """Convolution with TensorFlow's padding "SAME": as many outputs as samples, divided by the stride."""
    length, taps = x.shape[-1], kernel.shape[-1]
    missing = max((-(-length // stride) - 1) * stride + taps - length, 0)
    return nn.conv1d(x, kernel, stride, (missing // 2, missing - missing // 2))


def difference(ref: Any, test: Any, layer: int, weights: Weights) -> Any:
    """Of what a layer made of ref and test [..., channel, sample], as the mean over its channels [..., sample]."""
    return abs(weights[f"weight{layer}"] * (test - ref)).mean(-2)
