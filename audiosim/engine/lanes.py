"""What kernels do to a whole row at once where they run as plain Python, in which one by one takes minutes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from .kernel import kernel

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class EveryLane:
    """at + EveryLane(count): the row of so many lanes that begins there."""

    count: int

    def __radd__(self, at: int) -> slice:
        return slice(at, at + self.count)


@kernel
def _dot(x: Array, y: Array) -> Any:
    """The sum of the products of two rows that are equally long, in the type of both."""
    total = x.dtype.type(0)
    for i in range(x.size):
        total += x[i] * y[i]
    return total


dot: Any = np.dot if numba.config.DISABLE_JIT else _dot
