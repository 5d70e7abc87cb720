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
from . import arrays

Array = NDArray[Any]
Weights = Mapping[str, Any]  # kernel0 [out, in, tap], beta0 [out, 1], weight0 [out, 1], kernel1...

RATE = 22050  # Hz
FULL_SCALE = 32768.0  # it was trained on samples of 16 bits, as integers
EPSILON = 1e-3  # of the variance, in the units of a layer
SLOPE = 0.2
HELD = 1 << 23  # numbers of a layer that are held at once
BLOCK = 1 << 12  # samples of a layer that are computed at once, where it has more


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
    return _from(FULL_SCALE * x[..., None, :], 0, weights, nn)


def _from(x: Any, first: int, weights: Weights, nn: Any) -> Iterator[Any]:
    """What layers from the first one given make of x, and of one another."""
    for i in range(first, depth(weights)):
        length = x.shape[-1]
        x = nn.conv1d(x, weights[f"kernel{i}"], _stride(i, weights), _padding(i, length, weights))
        x = x - x.mean(-1)[..., None]
        x = _heard(x, (x * x).mean(-1)[..., None], i, weights, nn)
        yield x


def _heard(x: Any, variance: Any, i: int, weights: Weights, nn: Any) -> Any:
    """Normalised numbers of layer i, from those without their mean."""
    return nn.leaky_relu(x / (variance + EPSILON) ** 0.5 + weights[f"beta{i}"], SLOPE)


def _stride(i: int, weights: Weights) -> int:
    return 1 if i == depth(weights) - 1 else 2


def _padding(i: int, length: int, weights: Weights) -> tuple[int, int]:
    """TensorFlow's "SAME", of so many samples: as many outputs as samples, divided by the stride."""
    stride, taps = _stride(i, weights), weights[f"kernel{i}"].shape[-1]
    missing = max((-(-length // stride) - 1) * stride + taps - length, 0)
    return missing // 2, missing - missing // 2


def differences(ref: Array, test: Array, weights: Weights) -> Iterator[Array]:
    """difference of each layer of ref and test float64 [sample]: [sample of the layer]. Of long recordings the first
    layers, which have the most numbers, are computed block by block, and anew for each layer that needs them."""
    sounds = [_Blocks(x, weights) for x in (ref, test)]
    first = 0
    while len(weights[f"kernel{first}"]) * sounds[0].lengths[first] > HELD and first < depth(weights) - 1:
        for sound in sounds:
            sound.normalise(first)
        blocks = zip(*(sound.blocks(first) for sound in sounds), strict=True)
        yield np.concatenate([difference(r, t, first, weights) for r, t in blocks])
        first += 1
    layers = (sound.rest(first) for sound in sounds)
    for i, (r, t) in enumerate(zip(*layers, strict=True), first):
        yield difference(r, t, i, weights)


class _Blocks:
    """The layers of a recording, of which the first ones are not kept. lengths: samples of each layer."""

    def __init__(self, x: Array, weights: Weights) -> None:
        self.x, self.weights = x, weights
        self.norms: list[tuple[Array, Array]] = []  # mean and variance of the layers that are computed in blocks
        self.lengths: list[int] = []
        for i in range(depth(weights)):
            self.lengths.append(-(-(self.lengths[-1] if i else len(x)) // _stride(i, weights)))

    def normalise(self, i: int) -> None:
        """Find the mean and the variance of layer i."""
        count, mean, squares = 0, np.zeros((1, 1)), np.zeros((1, 1))
        for start in range(0, self.lengths[i], BLOCK):
            part = self._convolved(i, start, start + BLOCK)
            own, size = part.mean(-1)[:, None], part.shape[1]
            apart = own - mean
            mean = mean + apart * (size / (count + size))
            squares = squares + np.square(part - own).sum(-1)[:, None] + apart**2 * (count * size / (count + size))
            count += size
        self.norms.append((mean, squares / count))

    def blocks(self, i: int) -> Iterator[Array]:
        """Layer i, one block after the other."""
        return (self._layer(i, start, start + BLOCK) for start in range(0, self.lengths[i], BLOCK))

    def rest(self, first: int) -> Iterator[Array]:
        """Layers from this one on, as a whole."""
        if not first:
            yield from features(self.x, self.weights, arrays)
            return
        starts = range(0, self.lengths[first], BLOCK)
        x = np.concatenate([self._convolved(first, start, start + BLOCK) for start in starts], axis=1)
        x -= x.mean(-1)[:, None]
        x = _heard(x, np.stack([np.mean(row * row) for row in x])[:, None], first, self.weights, arrays)
        yield x
        yield from _from(x, first + 1, self.weights, arrays)

    def _layer(self, i: int, start: int, stop: int) -> Array:
        """Samples of layer i, the recording being layer -1."""
        if i < 0:
            return np.asarray(FULL_SCALE * self.x[None, start:stop])
        mean, variance = self.norms[i]
        return np.asarray(_heard(self._convolved(i, start, stop) - mean, variance, i, self.weights, arrays))

    def _convolved(self, i: int, start: int, stop: int) -> Array:
        """Samples of layer i before it is normalised."""
        kernel, stride = self.weights[f"kernel{i}"], _stride(i, self.weights)
        length = self.lengths[i - 1] if i else len(self.x)
        begin = start * stride - _padding(i, length, self.weights)[0]
        end = (min(stop, self.lengths[i]) - 1) * stride + kernel.shape[-1] - _padding(i, length, self.weights)[0]
        seen = self._layer(i - 1, max(begin, 0), min(end, length))
        return arrays.conv1d(seen, kernel, stride, (max(-begin, 0), max(end - length, 0)))


def difference(ref: Any, test: Any, layer: int, weights: Weights) -> Any:
    """Of what a layer made of ref and test [..., channel, sample], as the mean over its channels [..., sample]."""
    return abs(weights[f"weight{layer}"] * (test - ref)).mean(-2)
