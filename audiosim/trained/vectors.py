"""Test vectors of known models: a sound in closed form, and a damaged one, for which the value of a metric says whether
weights, front end and network are what they were when it was stored."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SECONDS = 4.0
TOLERANCE = 1e-4  # of the value, or where that is below 1, of 1: onnxruntime and torch round as the processor does


def sounds(rate: int) -> tuple[Array, Array]:
    """A voice without words, 20 harmonics of a gliding tone in syllables; and the same, clipped [1, sample]."""
    t = np.arange(int(SECONDS * rate)) / rate
    phase = 2 * np.pi * (150 * t + 8 * np.sin(2 * np.pi * 0.7 * t))
    voice = sum(np.sin(k * phase) / k ** (1.2 + 0.5 * np.sin(2 * np.pi * 1.3 * t)) for k in range(1, 21))
    x = (0.1 * voice * np.sin(2 * np.pi * 1.5 * t) ** 2)[None].astype(np.float32)
    return x, np.clip(x, -0.05, 0.05)


def agrees(value: float, stored: float) -> bool:
    """Whether this is the value that was stored."""
    return abs(value - stored) <= TOLERANCE * max(1.0, abs(stored))
