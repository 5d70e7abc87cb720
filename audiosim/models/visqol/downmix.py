"""The mean of all channels, which is what ViSQOL compares, made where it is read: an hour of it is not held."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ... import engine

Array = NDArray[Any]
T = TypeVar("T")

LONG = 60.0  # seconds that are taken in one piece


class Downmix:
    """Of channels [sample], float64."""

    def __init__(self, channels: Sequence[Array], rate: int) -> None:
        self.channels, self.long = channels, round(LONG * rate)

    def __len__(self) -> int:
        return int(self.channels[0].size)

    def read(self, first: int, stop: int) -> Array:
        """Samples first to stop, as far as there are some. It may be a view: nobody may change it."""
        part = slice(max(first, 0), max(stop, 0))
        if len(self.channels) == 1:
            return np.asarray(self.channels[0][part], np.float64)
        total = np.array(self.channels[0][part], np.float64)
        for x in self.channels[1:]:
            total += x[part]
        total /= len(self.channels)
        return total

    def pieces(self, first: int = 0) -> Iterator[Array]:
        """All of it from a sample on, a minute at a time."""
        return (self.read(k, k + self.long) for k in range(first, len(self), self.long))

    def energy(self, first: int = 0) -> float:
        """Sum of the squares of all samples from one on."""
        return float(sum(np.vdot(x, x) for x in self.pieces(first)))

    def cached(self, what: Hashable, make: Callable[[], T]) -> T:
        """make(), remembered with the first of the channels."""
        places = tuple(x.__array_interface__["data"][0] for x in self.channels)
        return engine.cache.cached(self.channels[0], (what, places), make)
