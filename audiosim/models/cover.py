"""Where two pieces of music share a passage: cross recurrence of their states, and its longest curved trace (Qmax).
Serra, Serra and Andrzejak 2009, New J. Phys. 11, 093017, eq. 1 to 4."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..engine.kernel import exact_kernel

Array = NDArray[np.float64]

STACK = 9  # frames that make a state
NEIGHBOURS = 0.095  # of the frames of a recording, that count as near to a state of the other
OPENING, EXTENSION = 0.5, 0.5  # cost of a disruption of a trace


def recurrence(ref: Array, test: Array) -> NDArray[np.bool_]:
    """Which states are each other's neighbours [frame, frame], of features [frame, 12]; ends in fewer frames than
    there are features where states are stacked."""
    stack = min(STACK, len(ref), len(test))
    d = _distances(ref, test, stack)
    near = []
    for axis in (1, 0):
        k = int(np.ceil(NEIGHBOURS * d.shape[axis])) - 1
        near.append(d <= np.take(np.partition(d, k, axis), [k], axis))
    return np.asarray(near[0] & near[1])


def longest(crp: NDArray[np.bool_]) -> tuple[float, NDArray[np.int64]]:
    """Qmax of a cross recurrence plot, and the cells of its trace [2, step]."""
    q = np.zeros((crp.shape[0] + 2, crp.shape[1] + 2), np.float32)
    _trace(crp, q)
    at = int(np.argmax(q))
    path = np.empty((2, crp.shape[0]), np.int64)
    steps = _back(crp, q, at // q.shape[1], at % q.shape[1], path)
    return float(q.max()), path[:, :steps][:, ::-1]


@exact_kernel
def _distances(x: Array, y: Array, stack: int) -> NDArray[np.float32]:
    """Squared, of states of `stack` frames that follow each other."""
    n, m = x.shape[0], y.shape[0]
    one = np.empty((n, m), np.float32)
    for i in range(n):
        for j in range(m):
            s = 0.0
            for k in range(x.shape[1]):
                e = x[i, k] - y[j, k]
                s += e * e
            one[i, j] = s
    out = np.zeros((n - stack + 1, m - stack + 1), np.float32)
    for i in range(out.shape[0]):
        for k in range(stack):
            for j in range(out.shape[1]):
                out[i, j] += one[i + k, j + k]
    return out


@exact_kernel
def _cost(crp: NDArray[np.bool_], i: int, j: int) -> float:
    """Of a disruption after cell i, j of q; there is nothing before the first."""
    return OPENING if i >= 2 and j >= 2 and crp[i - 2, j - 2] else EXTENSION


@exact_kernel
def _trace(crp: NDArray[np.bool_], q: NDArray[np.float32]) -> None:
    """q[i + 2, j + 2]: the length of the best trace that ends at i, j."""
    for i in range(2, q.shape[0]):
        for j in range(2, q.shape[1]):
            if crp[i - 2, j - 2]:
                q[i, j] = max(q[i - 1, j - 1], q[i - 2, j - 1], q[i - 1, j - 2]) + 1
            else:
                best = np.float32(0.0)
                for a, b in ((1, 1), (2, 1), (1, 2)):
                    best = max(best, np.float32(q[i - a, j - b] - _cost(crp, i - a, j - b)))
                q[i, j] = best


@exact_kernel
def _back(crp: NDArray[np.bool_], q: NDArray[np.float32], i: int, j: int, path: NDArray[np.int64]) -> int:
    """The trace that ends at i, j of q, backwards; only the cells that recur. Returns how many."""
    steps = 0
    while i >= 2 and j >= 2 and q[i, j] > 0:
        if crp[i - 2, j - 2]:
            path[0, steps], path[1, steps] = i - 2, j - 2
            steps += 1
            gain = np.float32(1.0)
        else:
            gain = np.float32(-1.0)
        best, p, r = np.float32(-1.0), i - 1, j - 1
        for a, b in ((1, 1), (2, 1), (1, 2)):
            c = q[i - a, j - b]
            if gain < 0:
                c = np.float32(c - _cost(crp, i - a, j - b))
            if c > best:
                best, p, r = c, i - a, j - b
        i, j = p, r
    return steps
