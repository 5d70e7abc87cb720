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

from ..engine.kernel import exact_kernel, kernel

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
    cost = np.empty(edges.size - 1)
    for f in range(ref.shape[0]):
        mass = _sum(ref[f])
        w = mass**weight
        scale_r = 1.0 / mass
        scale_t = 1.0 / _sum(test[f])
        scale = w
        if p == 1 and cost.size == 1:
            cost[0] = _area(ref[f], test[f], scale_r, scale_t, positions)
        else:
            _share(ref[f], test[f], scale_r, scale_t, positions, p, where, cost)
        if p == 1 and cost.size > 1 and cost.sum() > 0.0:  # so that all ranges together are the same number as one
            scale *= _area(ref[f], test[f], scale_r, scale_t, positions) / cost.sum()
        for e in range(cost.size):
            out[f, e, 0] = scale * cost[e]
            out[f, e, 1] = w * (edges[e + 1] - edges[e]) / bins


@kernel
def _sum(x: Array) -> float:
    total = 0.0
    for k in range(x.size):
        total += np.float64(x[k])
    return total


@exact_kernel
def _area(r: Array, t: Array, scale_r: float, scale_t: float, positions: Array) -> float:
    """W_1 from the cumulated masses: a fraction of the time that the moves take."""
    ahead = 0.0
    total = 0.0
    for k in range(r.size - 1):
        ahead += np.float64(t[k]) * scale_t - np.float64(r[k]) * scale_r
        total += abs(ahead) * (positions[k + 1] - positions[k])
    return total


@exact_kernel
def _share(
    r: Array, t: Array, scale_r: float, scale_t: float, positions: Array, p: int, where: Array, cost: Array
) -> None:
    """cost [range] of all moves, half at either end: from the lowest mass on, to the lowest place that takes it."""
    cost[:] = 0.0
    i = 0
    j = 0
    a = np.float64(r[0]) * scale_r  # what is left to be moved from bin i
    b = np.float64(t[0]) * scale_t  # what bin j still takes
    while True:
        if i != j:
            way = abs(positions[j] - positions[i])
            half = 0.5 * min(a, b) * (way if p == 1 else way * way)
            cost[where[i]] += half
            cost[where[j]] += half
        if a <= b:
            b -= a
            i += 1
            if i == r.size:
                break
            a = np.float64(r[i]) * scale_r
        else:
            a -= b
            j += 1
            if j == r.size:
                break
            b = np.float64(t[j]) * scale_t


def differentiable(positions: Array, p: int) -> Callable[[Any, Any], Any]:
    """W_p^p as torch text: masses ref, test [item, frame, bin] -> [item, frame]; arguments as above.

    p = 1 from the cumulated masses, without a sort; p = 2 from the quantiles, at all the steps of both, where the
    gradient flows through the steps alone: exact but where two of them meet.
    """
    import torch

    from ..engine.tensors import Constant

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
