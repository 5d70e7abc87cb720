"""Periodic windows, made in float64."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError

Window = Literal["hann", "hamming", "blackman", "rectangular"]

_COSINES: dict[str, tuple[float, ...]] = {
    "hann": (0.5, -0.5),
    "hamming": (0.54, -0.46),
    "blackman": (0.42, -0.5, 0.08),
    "rectangular": (1.0,),
}


def periodic(name: str, n: int) -> NDArray[Any]:
    """Window of n samples, float64 [n], one period of a sum of cosines (not symmetric)."""
    if name not in _COSINES:
        raise UsageError(f"unknown window {name!r}; one of {', '.join(get_args(Window))}")
    if n == 1:
        return np.ones(1)  # as scipy and torch have it: the formula may say 0, and all spectra would be
    phase = np.arange(n) * (2 * np.pi / n)
    window: NDArray[Any] = np.sum([a * np.cos(k * phase) for k, a in enumerate(_COSINES[name])], axis=0)
    return window
