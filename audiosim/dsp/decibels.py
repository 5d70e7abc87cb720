"""Ratios of energies in dB, guarded as the peers guard them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def ratio(signal: ArrayLike, noise: ArrayLike, eps: float, floor: bool = False) -> NDArray[Any]:
    """10 lg((signal + eps) / (noise + eps)), with floor 10 lg(signal / (noise + eps) + eps)."""
    s, n = np.asarray(signal, dtype=np.float64), np.asarray(noise, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        result: NDArray[Any] = 10 * np.log10(s / (n + eps) + eps if floor else (s + eps) / (n + eps))
    return result
