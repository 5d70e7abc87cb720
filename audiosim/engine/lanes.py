"""An index that means all lanes of a row, for kernels that run as plain Python, in which one by one takes minutes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EveryLane:
    """at + EveryLane(count): the row of so many lanes that begins there."""

    count: int

    def __radd__(self, at: int) -> slice:
        return slice(at, at + self.count)
