"""Ratios of energies in dB, guarded as the peers guard them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Convention = Annotated[Literal["torchmetrics", "auraloss", "plain"], "what guards against division by zero"]
ZeroMean = Annotated[bool, "remove both means first (auraloss always does)"]

NEPER = 4.342944819032518  # dB of a power e times as high: 10 / ln 10
EPS = {"torchmetrics": 2.220446049250313e-16, "auraloss": 1e-8, "usdr": 1e-7, "plain": 0.0}  # of energies


def ratio(signal: ArrayLike, noise: ArrayLike, convention: str) -> NDArray[Any]:
    """10 lg((signal + eps) / (noise + eps)) of energies; 10 lg(signal / (noise + eps) + eps) as auraloss has it.

    +-inf where the convention has no eps and one of them is 0.
    """
    s, n, eps = np.asarray(signal, dtype=np.float64), np.asarray(noise, dtype=np.float64), EPS[convention]
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = s / (n + eps) + eps if convention == "auraloss" else (s + eps) / (n + eps)
        result: NDArray[Any] = 10 * np.log10(quotient)
    return result
