"""Euclidean distances of all points of one set from all of another."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernel import exact_kernel
from .threads import in_threads

Array = NDArray[Any]

TILE = 512  # points of the second set that are worked on at a time
STEPS = 4  # features
ROWS, COLUMNS = 256, 4096  # points of two sets whose distances are held at a time


def squared_distances(a: Array, b: Array) -> Array:
    """[point of a, point of b] of points [point, feature], float64: sums of squared differences, one after the other,
    so that equal points are exactly 0 apart."""
    features = -(-a.shape[1] // STEPS) * STEPS
    rows, columns = np.zeros((len(a), features)), np.zeros((features, len(b)))
    rows[:, : a.shape[1]], columns[: b.shape[1]] = a, b.T
    out = np.zeros((len(a), len(b)))
    _squared_distances(rows, columns, out)
    return out


def mean_distance(a: Array, b: Array, threads: int = 1) -> float:
    """Mean Euclidean distance of all points of a from all of b, both [point, feature], float64."""

    def task(first: int) -> float:
        rows = a[first : first + ROWS]
        blocks = (squared_distances(rows, b[k : k + COLUMNS]) for k in range(0, len(b), COLUMNS))
        return float(sum(np.sqrt(block, out=block).sum() for block in blocks))

    return sum(in_threads(task, range(0, len(a), ROWS), threads)) / (len(a) * len(b))


@exact_kernel
def _squared_distances(rows: Array, columns: Array, out: Array) -> None:
    for first in range(0, out.shape[1], TILE):
        stop = min(first + TILE, out.shape[1])
        for i in range(out.shape[0]):
            total = out[i, first:stop]
            for f in range(0, rows.shape[1], STEPS):
                a, b, c, d = rows[i, f], rows[i, f + 1], rows[i, f + 2], rows[i, f + 3]
                w, x = columns[f, first:stop], columns[f + 1, first:stop]
                y, z = columns[f + 2, first:stop], columns[f + 3, first:stop]
                for j in range(total.size):
                    total[j] += ((w[j] - a) ** 2 + (x[j] - b) ** 2) + ((y[j] - c) ** 2 + (z[j] - d) ** 2)
