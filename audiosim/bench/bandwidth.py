"""Bandwidth extension: a dilated convolution adds what lies above 4 kHz (variant 4kHz) or 2 kHz (2kHz) in speech."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from torch import nn

from .layers import Dilated, tensor
from .sources import Array, voice
from .task import Example, Task

RATE = 16000
VARIANTS = ("4kHz", "2kHz")
LENGTH = 32768


class Extension(nn.Module):  # type: ignore[misc]
    """[batch, sample] to the same: what is added to the input."""

    def __init__(self) -> None:
        super().__init__()
        self.added = Dilated(6)

    def forward(self, x: Any) -> Any:
        return x + self.added(x)


@cache
def _pairs(variant: str, seed: int, count: int, seconds: float) -> list[tuple[Array, Array]]:
    from scipy.signal import butter, sosfiltfilt

    filters = butter(8, 1000 * int(variant[0]), fs=RATE, output="sos")
    rng = np.random.default_rng([seed, 47])
    wide = [voice(rng, RATE, seconds).samples for _ in range(count)]
    return [(sosfiltfilt(filters, x), x) for x in wide]


def task(variant: str) -> Task:
    def batch(rng: np.random.Generator) -> Example:
        pairs = _pairs(variant, 1, 24, 5.0)
        narrow, wide = pairs[rng.integers(len(pairs))]
        at = rng.integers(0, wide.size - LENGTH)
        return tensor(narrow[None, at : at + LENGTH].copy()), tensor(wide[None, at : at + LENGTH])

    def held_out(split: str) -> list[Example]:
        pairs = _pairs(variant, 2, 3, 3.0) if split == "validation" else _pairs(variant, 3, 5, 3.0)
        return [(tensor(narrow[None].copy()), tensor(wide[None])) for narrow, wide in pairs]

    return Task(name=f"bandwidth/{variant}", rate=RATE, network=Extension, batch=batch, held_out=held_out, speech=True)
