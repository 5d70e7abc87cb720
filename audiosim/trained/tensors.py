"""`arrays` for torch: the layers of networks on tensors [item, channel, sample], with their gradients."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor
from torch.nn import functional

from ..engine.tensors import Constant, product


class Weights:
    """Arrays by name, that follow a tensor to its device and type: weights(x) -> the tensors by name."""

    def __init__(self, arrays: Mapping[str, Any]) -> None:
        self.constants = {name: Constant(array) for name, array in arrays.items()}

    def __call__(self, like: Tensor) -> dict[str, Tensor]:
        return {name: constant(like) for name, constant in self.constants.items()}


def conv1d(x: Tensor, kernel: Tensor, stride: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """arrays.conv1d of x [item, channel, sample]."""
    return functional.conv1d(functional.pad(x, pad), kernel, stride=stride)


def leaky_relu(x: Tensor, slope: float) -> Tensor:
    """x, where it is negative times slope."""
    return functional.leaky_relu(x, slope)


def unit(x: Tensor) -> Tensor:
    """x [..., channel], divided by its norm; 0 where that is 0."""
    return functional.normalize(x, dim=-1)


def linear(x: Tensor, weight: Tensor) -> Tensor:
    """x [..., in] by weight [out, in] -> [..., out]."""
    return product(x, weight.T)
