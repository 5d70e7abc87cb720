"""Cepstra: log spectra seen through a cosine transform."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray


@cache
def dct(n: int) -> NDArray[Any]:
    """Orthonormal DCT-II matrix, float64 [coefficient, band]."""
    k = np.arange(n)
    matrix: NDArray[Any] = np.sqrt(2 / n) * np.cos(np.pi / n * (k[None, :] + 0.5) * k[:, None])
    matrix[0] /= np.sqrt(2)
    return matrix
