"""Where somebody may be speaking: what lies near in level to the loudest part of the recording."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

BLOCK = 0.03  # seconds
RANGE = 60.0  # dB below the loudest block


def active(x: Array, rate: int) -> Array:
    """Which blocks of 30 ms of x [sample] are within 60 dB of its loudest, or beside one that is: bool [block].

    The last block may be shorter. None of silence.
    """
    size = round(BLOCK * rate)
    whole, rest = x[: x.size // size * size].reshape(-1, size), x[x.size // size * size :]
    powers = np.einsum("ij,ij->i", whole, whole, dtype=np.float64) / size
    if rest.size:
        powers = np.append(powers, np.mean(np.square(rest, dtype=np.float64)))
    loud = np.pad(powers > powers.max(initial=0.0) * 10 ** (-RANGE / 10), 1)
    return np.asarray(loud[1:-1] | loud[:-2] | loud[2:])


def cut(x: Array, blocks: Array, rate: int) -> Array:
    """x [sample] without the other blocks."""
    return x if blocks.all() else x[np.repeat(blocks, round(BLOCK * rate))[: x.size]]


def times(seconds: Array, blocks: Array) -> Array:
    """When in the whole recording these times of the cut one were."""
    there = np.flatnonzero(blocks)
    block = np.minimum(seconds // BLOCK, there.size - 1).astype(np.int64)
    return np.asarray(seconds + (there[block] - block) * BLOCK)
