"""Gaussian clusters of the frames of recordings, as vectors, and how far apart they are.

A mixture of Gaussians of d dimensions with diagonal covariances is a matrix of a row a cluster: weight, mean [d],
variances [d]. `fit` makes it; divergences take one mixture and many, flattened or not, and are exactly 0 for equal
ones.

transport: the cheapest way to carry the weights of one to the other, by the symmetrised Kullback-Leibler divergence of
clusters (the earth mover's distance; Logan and Salomon 2001, ICME). likelihood: the asymptotic approximation of the
symmetrised Kullback-Leibler divergence of mixtures, for clusters that hardly overlap (Vasconcelos 2001, ICIP).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.kernel import exact_kernel

Array = NDArray[Any]

ROUNDS = 20  # of Lloyd's algorithm after each split
SPLIT = 0.5  # standard deviations either way


def fit(points: Array, count: int, ridge: float) -> Array:
    """So many clusters of points [point, d], by splitting: float64 [cluster, 1 + 2 d].

    The cluster with the most scatter is split along its widest dimension, then all are moved to the means of the points
    that are nearest (Lloyd 1982), until there are enough. No random numbers. ridge: added to each variance. Clusters
    that hold nothing have the weight 0.
    """
    points = np.ascontiguousarray(points, dtype=np.float64)
    n, d = points.shape
    means, owner = np.zeros((count, d)), np.zeros(n, np.int64)
    means[0] = points.mean(0)
    scatter, sizes = np.zeros((count, d)), np.zeros(count)
    _measure(points, owner, means, scatter, sizes)
    for used in range(1, count):
        widest = int(scatter.sum(1).argmax())
        axis = int(scatter[widest].argmax())
        step = np.sqrt(scatter[widest, axis] / max(sizes[widest], 1)) * SPLIT
        means[used] = means[widest]
        means[used, axis] += step
        means[widest, axis] -= step
        for _ in range(ROUNDS):
            if not _assign(points, means[: used + 1], owner):
                break
            _centre(points, owner, means[: used + 1])
        _measure(points, owner, means, scatter, sizes)
    variances = scatter / np.maximum(sizes, 1)[:, None] + ridge
    return np.concatenate([sizes[:, None] / n, means, variances], axis=1)


@exact_kernel
def _assign(points: Array, means: Array, owner: Array) -> bool:
    """Each point to the nearest mean; whether any has moved."""
    moved = False
    for i in range(len(points)):
        nearest, least = 0, np.inf
        for k in range(len(means)):
            square = 0.0
            for j in range(points.shape[1]):
                square += (points[i, j] - means[k, j]) ** 2
            if square < least:
                nearest, least = k, square
        moved = moved or nearest != owner[i]
        owner[i] = nearest
    return moved


@exact_kernel
def _centre(points: Array, owner: Array, means: Array) -> None:
    """means = those of the points of each cluster; an empty one stays."""
    sums, sizes = np.zeros(means.shape), np.zeros(len(means))
    for i in range(len(points)):
        sizes[owner[i]] += 1
        for j in range(points.shape[1]):
            sums[owner[i], j] += points[i, j]
    for k in range(len(means)):
        if sizes[k] > 0:
            for j in range(means.shape[1]):
                means[k, j] = sums[k, j] / sizes[k]


@exact_kernel
def _measure(points: Array, owner: Array, means: Array, scatter: Array, sizes: Array) -> None:
    """scatter [cluster, d] = sums of squares about the means, sizes [cluster] = points of each."""
    scatter[:], sizes[:] = 0.0, 0.0
    for i in range(len(points)):
        sizes[owner[i]] += 1
        for j in range(points.shape[1]):
            scatter[owner[i], j] += (points[i, j] - means[owner[i], j]) ** 2


@exact_kernel
def costs(one: Array, other: Array, out: Array) -> None:
    """out[i, k] = KL(i|k) + KL(k|i) of the clusters of two mixtures, diagonal covariances."""
    d = one.shape[1] // 2
    for i in range(len(one)):
        for k in range(len(other)):
            total = 0.0
            for j in range(1, 1 + d):
                s, t = one[i, d + j], other[k, d + j]
                total += ((s - t) * (s - t) + (one[i, j] - other[k, j]) ** 2 * (s + t)) / (s * t)
            out[i, k] = total / 2


@exact_kernel
def cheapest(cost: Array, supply: Array, demand: Array) -> float:
    """Least sum of flow[i, k] cost[i, k] that carries supply [i] to demand [k], both >= 0 and of one sum; cost >= 0.

    Exact: one cheapest path after the other through the residual network, found by Dijkstra's algorithm over costs that
    potentials keep from being negative (Ahuja, Magnanti and Orlin 1993, section 9.7). It ends whatever the rounding:
    no cost that rounding makes negative can go round in circles.
    """
    n, m = cost.shape
    flow = np.zeros((n, m))
    here, there = supply.copy(), demand.copy()
    small = 1e-15 * max(supply.sum(), 1e-300)
    potential = np.zeros(n + m)  # the cost of the cheapest way to each node
    way, came, done = np.empty(n + m), np.empty(n + m, np.int64), np.empty(n + m, np.bool_)
    while True:
        way[:], came[:], done[:] = np.inf, -1, False
        for i in range(n):
            if here[i] > small:
                way[i] = max(-potential[i], 0.0)
        while True:
            node = -1
            for v in range(n + m):
                if not done[v] and way[v] < np.inf and (node < 0 or way[v] < way[node]):
                    node = v
            if node < 0:
                break
            done[node] = True
            if node < n:
                for k in range(m):
                    there_by = way[node] + max(cost[node, k] + potential[node] - potential[n + k], 0.0)
                    if not done[n + k] and there_by < way[n + k]:
                        way[n + k], came[n + k] = there_by, node
            else:
                for i in range(n):
                    if flow[i, node - n] > 0:
                        back_by = way[node] + max(potential[node] - cost[i, node - n] - potential[i], 0.0)
                        if not done[i] and back_by < way[i]:
                            way[i], came[i] = back_by, node
        end = -1
        for v in range(n + m):
            if done[v]:
                potential[v] += way[v]
        for k in range(n, n + m):
            if done[k] and there[k - n] > small and (end < 0 or potential[k] < potential[end]):
                end = k
        if end < 0:
            break
        most = there[end - n]
        node = end
        while came[node] >= 0:  # how much the path takes
            before = came[node]
            if before >= n:
                most = min(most, flow[node, before - n])
            node = before
        most = min(most, here[node])
        here[node] -= most
        there[end - n] -= most
        node = end
        while came[node] >= 0:
            before = came[node]
            if before < n:
                flow[before, node - n] += most
            else:
                flow[node, before - n] -= most
            node = before
    total = 0.0
    for i in range(n):
        for k in range(m):
            if flow[i, k] > 0:
                total += flow[i, k] * cost[i, k]
    return total


@exact_kernel
def transport(one: Array, many: Array, out: Array) -> None:
    """out[n] = earth mover's distance of one [cluster, 1 + 2 d] to many[n], by costs."""
    cost = np.empty((len(one), many.shape[1]))
    for n in range(len(many)):
        costs(one, many[n], cost)
        out[n] = cheapest(cost, one[:, 0].copy(), many[n, :, 0].copy())


@exact_kernel
def _expected(one: Array, other: Array) -> float:
    """The mean of ln q over p, by the cluster of q that explains each of p best."""
    d = one.shape[1] // 2
    total = 0.0
    for i in range(len(one)):
        if one[i, 0] > 0:
            best = -np.inf
            for k in range(len(other)):
                if other[k, 0] > 0:
                    value = np.log(other[k, 0])
                    for j in range(1, 1 + d):
                        t = other[k, d + j]
                        value -= ((one[i, j] - other[k, j]) ** 2 + one[i, d + j]) / (2 * t) + np.log(2 * np.pi * t) / 2
                    best = max(best, value)
            total += one[i, 0] * best
    return total


@exact_kernel
def likelihood(one: Array, many: Array, out: Array) -> None:
    """out[n] = sum of ALA(p|p) - ALA(p|q) both ways, of one [cluster, 1 + 2 d] and many[n]; 0 where it is negative."""
    own = _expected(one, one)
    for n in range(len(many)):
        there, back = own - _expected(one, many[n]), _expected(many[n], many[n]) - _expected(many[n], one)
        out[n] = max(0.0, there + back)
