"""Zimtohrli's alignment of two sequences: a walk uphill through the costs of dynamic time warping.

google/zimtohrli at ff5f049, cpp/zimt/zimtohrli.h. It is not the cheapest path, which is found backwards from the end.
The walk looks at the next row only, so two rows of the table are all that is ever held. Of a long second sequence only
a window about the walk is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.elementary import exponentials, logarithms
from ...engine.kernel import exact_kernel, kernel

Array = NDArray[Any]

EXPONENT = 0.32264042946823823  # of the squared distance of two frames
TOGETHER = 0.90394786214451761  # what a step in both sequences costs, relative to a step in one
WINDOW = 5107  # steps of a minute
_NOTHING = 1e-300  # squared distance that stands for 0; its power vanishes in any sum


def walk(x: Array, y: Array, exact: bool = False) -> tuple[Array, Array]:
    """Frames of x [n, feature] and of y [m, feature], of one dtype, that belong together: int64 [pair], twice.

    From the first of both on, to whichever neighbour is cheaper to reach: the next in both, in x, in y. It stops where
    either ends. What is cheaper shows in the WINDOW frames of y about where the walk is, or, exact, in all of them.
    Time n WINDOW, or n m; memory n + m.
    """
    x, y = np.ascontiguousarray(x), np.ascontiguousarray(y)
    path = np.zeros((2, len(x) + len(y) - 1), np.int64)
    pairs = _walk(x, y, len(y) if exact else WINDOW, path)
    return path[0, :pairs].copy(), path[1, :pairs].copy()


@cache
def walk_torch() -> Callable[[Any, Any, bool], tuple[Any, Any]]:
    """walk for tensors: (x [item, n, feature], y [item, m, feature], exact) -> pairs int64 [item, 2, n + m - 1], and 1
    for each of them that is one, else 0. A decision without gradient, found on the CPU whatever the device."""
    import torch
    from torch.library import custom_op

    def like(x: Any, y: Any, exact: bool) -> tuple[Any, Any]:
        most = x.shape[1] + y.shape[1] - 1
        return x.new_zeros((x.shape[0], 2, most), dtype=torch.int64), x.new_zeros((x.shape[0], most))

    def find(x: Any, y: Any, exact: bool) -> tuple[Any, Any]:
        path, real = like(x, y, exact)
        for item, pair in enumerate(zip(x, y, strict=True)):
            a, b = (z.detach().cpu().numpy() for z in pair)
            found = np.stack(walk(a, b, exact))
            path[item, :, : found.shape[1]] = torch.from_numpy(found).to(x.device)
            real[item, : found.shape[1]] = 1
        return path, real

    schema = "(Tensor x, Tensor y, bool exact) -> (Tensor, Tensor)"
    operator: Any = custom_op("audiosim::greedy_walk", find, mutates_args=(), schema=schema)
    operator.register_fake(like)
    return lambda x, y, exact: operator(x.detach(), y.detach(), exact)


@exact_kernel
def _walk(x: Array, y: Array, window: int, path: Array) -> int:
    n = x.shape[0]
    m = y.shape[0]
    costs = np.zeros(m)
    exponents = np.empty(m, np.int64)
    before = np.full(m, inf)
    before[0] = 0.0
    row = np.full(m, inf)
    at = 0
    j = 0
    for i in range(1, n):
        if j + 1 == m:
            break
        start = max(min(j - window // 2, m - window), 0)  # before it no way leads to this row
        stop = min(start + window, m)  # from it on both rows are infinite yet
        c = costs[start + 1 : stop]
        _distances(x[i], y[start:stop], costs[start:stop])
        logarithms(c, exponents[start + 1 : stop])
        for k in range(c.size):
            c[k] *= EXPONENT
        exponentials(c, exponents[start + 1 : stop])
        _next_row(costs[start:stop], before[start:stop], row[start:stop])
        while j + 1 < m:
            at += 1
            here = row[j]
            ahead = before[j + 1]
            if row[j + 1] <= min(here, ahead):
                path[0, at] = i
                j += 1
                path[1, at] = j
                break
            if here <= ahead:
                path[0, at] = i
                path[1, at] = j
                break
            path[0, at] = i - 1
            j += 1
            path[1, at] = j
        before, row = row, before
    return at + 1


@kernel
def _distances(frame: Array, y: Array, out: Array) -> None:
    """out[j] = |frame - y_j|^2."""
    for j in range(1, y.shape[0]):
        other = y[j]
        total = frame.dtype.type(0)
        for k in range(frame.size):
            d = frame[k] - other[k]
            total += d * d
        out[j] = max(total, _NOTHING)


@exact_kernel
def _next_row(costs: Array, before: Array, row: Array) -> None:
    """row[j] = min(before[j - 1] + 0.9 c, before[j] + c, row[j - 1] + c), c = costs[j]; no way leads to row[0]."""
    row[0] = inf
    diagonal = before[:-1]
    above = before[1:]
    here = row[1:]
    c = costs[1:]
    for j in range(c.size):
        here[j] = min(diagonal[j] + TOGETHER * c[j], above[j] + c[j])
    left = inf
    for j in range(c.size):
        left = min(left + c[j], here[j])
        here[j] = left
