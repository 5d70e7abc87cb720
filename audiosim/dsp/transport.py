"""Optimal transport on a line: how far the mass of one spectrum must travel to become that of another.

Masses are normalised to 1 in each frame, so only where they lie counts. On a line the cheapest plan moves the lowest
mass to the lowest place, whatever the order p >= 1 (Santambrogio 2015, ch. 2), and both ends of every move are
known: the cost is shared out between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .kernel import exact_kernel

Array = NDArray[Any]


@exact_kernel
def transport(ref: Array, test: Array, positions: Array, p: int, weight: float, edges: Array, out: Array) -> None:
    """Term 0: w W_p^p, half of the cost of every move in the range where it starts, half where it ends; term 1: w,
    spread evenly over the bins, where w is the frame's (sum of ref)^weight.

    ref, test: [frame, bin] masses, 0 or more, with a sum above 0. positions: float64 [bin] ascending. p: 1 or 2, where
    W_1 = integral |F_test - F_ref| dx of the cumulated masses, W_2^2 = integral (Q_test - Q_ref)^2 dq of the quantiles.
    edges [range + 1] in bins; out float64 [frame, range, 2].
    """
    bins = ref.shape[1]
    where = np.empty(bins, np.int64)
    for e in range(edges.size - 1):
        where[edges[e] : edges[e + 1]] = e
    for f in range(ref.shape[0]):
        r = ref[f]
        t = test[f]
        sum_r = 0.0
        sum_t = 0.0
        for k in range(bins):
            sum_r += np.float64(r[k])
            sum_t += np.float64(t[k])
        w = sum_r**weight
        for e in range(edges.size - 1):
            out[f, e, 0] = 0.0
            out[f, e, 1] = w * (edges[e + 1] - edges[e]) / bins
        half = 0.5 * w
        i = 0
        j = 0
        a = np.float64(r[0]) / sum_r  # what is left to be moved from bin i
        b = np.float64(t[0]) / sum_t  # what bin j still takes
        while True:
            if i != j:
                way = abs(positions[j] - positions[i])
                cost = half * min(a, b) * (way if p == 1 else way * way)
                out[f, where[i], 0] += cost
                out[f, where[j], 0] += cost
            if a <= b:
                b -= a
                i += 1
                if i == bins:
                    break
                a = np.float64(r[i]) / sum_r
            else:
                a -= b
                j += 1
                if j == bins:
                    break
                b = np.float64(t[j]) / sum_t


def differentiable(positions: Array, p: int) -> Callable[[Any, Any], Any]:
    """W_p^p as torch text: masses ref, test [item, frame, bin] -> [item, frame]; arguments as above.

    p = 1 from the cumulated masses, without a sort; p = 2 from the quantiles, at all the steps of both, where the
    gradient flows through the steps alone: exact but where two of them meet.
    """
    import torch

    from .differentiable import Constant

    x = Constant(positions)
    steps = Constant(np.diff(positions))

    def first(ref: Any, test: Any) -> Any:
        ahead = (test / test.sum(-1, keepdim=True) - ref / ref.sum(-1, keepdim=True)).cumsum(-1)
        return (ahead[..., :-1].abs() * steps(ahead)).sum(-1)

    def second(ref: Any, test: Any) -> Any:
        f, g = ((m / m.sum(-1, keepdim=True)).cumsum(-1) for m in (ref, test))
        q = torch.cat([f, g], -1).sort(-1).values
        here, there = (x(c)[torch.searchsorted(c.detach(), q.detach()).clamp(max=positions.size - 1)] for c in (f, g))
        return ((there - here).square() * q.diff(dim=-1, prepend=torch.zeros_like(q[..., :1]))).sum(-1)

    return {1: first, 2: second}[p]
