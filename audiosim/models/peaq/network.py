"""PEAQ's networks: the distortion index DI of model output variables, and the objective difference grade ODG of DI
(ITU-R BS.1387-1, annex 2, section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Network:
    """One hidden layer. names, least, most: of each variable, its range in the training. hidden: [variable, node];
    hidden_bias, output: [node]."""

    names: tuple[str, ...]
    least: Array
    most: Array
    hidden: Array
    hidden_bias: Array
    output: Array
    output_bias: float

    def index(self, variables: Array, clamp: bool = False) -> float:
        """DI of the variables; clamp: they are first held within the range of the training."""
        if clamp:
            variables = np.clip(variables, self.least, self.most)
        x = (variables - self.least) / (self.most - self.least)
        return float(self.output_bias + self.output @ _sigmoid(self.hidden_bias + x @ self.hidden))

    def index_torch(self, variables: Any) -> Any:
        """DI of tensors [..., variable]."""
        import torch

        least, most, hidden, bias, output = (
            torch.as_tensor(a, dtype=variables.dtype, device=variables.device)
            for a in (self.least, self.most, self.hidden, self.hidden_bias, self.output)
        )
        x = (variables - least) / (most - least)
        return self.output_bias + (bias + x @ hidden).sigmoid() @ output

    def details(self, variables: Array, clamp: bool = False) -> dict[str, float]:
        """The variables by name, DI, and both DI and ODG with the variables held within their range."""
        clipped = self.index(variables, clamp=True)
        return {
            **dict(zip(self.names, variables.tolist(), strict=True)),
            "DI": self.index(variables, clamp),
            "DI_clipped": clipped,
            "ODG_clipped": grade(clipped),
        }


def grade(index: float) -> float:
    """ODG of a DI."""
    return float(-3.98 + 4.2 * _sigmoid(np.float64(index)))


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(x / 2))
