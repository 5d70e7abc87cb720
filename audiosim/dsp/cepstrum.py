"""Cepstra: log spectra seen through a cosine transform, and their slopes in time."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

REACH = 2  # frames on either side that a slope is fitted to
SQUARES = 2 * sum(k * k for k in range(1, REACH + 1))


@cache
def dct(n: int) -> Array:
    """Orthonormal DCT-II matrix, float64 [coefficient, band]."""
    k = np.arange(n)
    matrix: Array = np.sqrt(2 / n) * np.cos(np.pi / n * (k[None, :] + 0.5) * k[:, None])
    matrix[0] /= np.sqrt(2)
    return matrix


def with_deltas(cepstra: Array, times: int) -> Array:
    """Features [frame, (times + 1) coefficient] of cepstra [frame, coefficient]: beside them their slopes per frame,
    and the slopes of these.

    d_t = sum_k k (c_{t+k} - c_{t-k}) / (2 sum_k k^2), k = 1 to 2, the first and last frame repeated beyond the ends
    (Young et al., The HTK Book 3.4, eq. 5.16).
    """
    parts = [cepstra]
    for _ in range(times):
        frames, slopes = np.arange(len(cepstra)), np.zeros_like(cepstra)
        for k in range(1, REACH + 1):
            after, before = np.minimum(frames + k, frames[-1]), np.maximum(frames - k, 0)
            slopes += k * (parts[-1][after] - parts[-1][before])
        parts.append(slopes / SQUARES)
    return np.concatenate(parts, axis=1) if times else cepstra


def with_deltas_torch(cepstra: Any, times: int) -> Any:
    """The same on tensors [item, frame, coefficient]."""
    import torch

    parts = [cepstra]
    for _ in range(times):
        c = parts[-1]
        ends = c[:, :1].expand(-1, REACH, -1), c[:, -1:].expand(-1, REACH, -1)
        runs = torch.cat([ends[0], c, ends[1]], 1).unfold(1, 2 * REACH + 1, 1)
        parts.append((runs * torch.arange(-REACH, REACH + 1, dtype=c.dtype, device=c.device)).sum(-1) / SQUARES)
    return torch.cat(parts, -1) if times else cepstra
