"""Two sequences laid over each other in time: dynamic time warping (Sakoe and Chiba 1978), its approximation by coarser
sequences (Salvador and Chan 2007), soft-DTW (Cuturi and Blondel 2017, arXiv 1703.01541), and where in a long sequence
a short one fits best (subsequence DTW, Mueller 2015, section 7.2).

Sequences are [frame, feature]; the cost of two frames is their Euclidean distance. But for subsequences, whose paths
have rules of their own, a path starts at both first frames, ends at both last ones, and moves on by one frame in one
sequence or in both, every cell counted once. A corridor says for every frame of the first sequence which frames of the
second may meet it: starts, stops, both never falling.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.kernel import exact_kernel
from ..engine.threads import in_threads

Array = NDArray[Any]
Corridor = tuple[Array, Array]

BLOCK = 512  # frames of the second sequence whose distances are made at a time: they stay in the L1 cache


def corridor(n: int, m: int, band: float | None = None) -> Corridor:
    """Frames of m that each of n frames may meet: int64 starts [n], stops [n].

    band: half-width in frames of m around the line from corner to corner; None: all. Where the line is too steep for
    corridor to hold together it is wider.
    """
    if band is None or n == 1:
        return np.zeros(n, np.int64), np.full(n, m)
    slope = (m - 1) / (n - 1)
    half = max(band, max(slope, 1) / 2 + 1e-6)  # less, and rounding could part two frames
    line = np.arange(n) * (m - 1) / (n - 1)
    starts = np.maximum(np.ceil(line - half), 0).astype(np.int64)
    return starts, np.minimum(np.floor(line + half) + 1, m).astype(np.int64)


def dtw_cost(x: Array, y: Array, band: float | None = None) -> float:
    """Total cost of the cheapest path, in memory of two rows. Arguments as of dtw."""
    x, y = _sequences(x, y)
    return float(_cost(x, np.ascontiguousarray(y.T), *corridor(len(x), len(y), band)))


def dtw(x: Array, y: Array, band: float | None = None, penalty: float = 0.0) -> tuple[float, Array]:
    """The cheapest path of x [n, feature] and y [m, feature]: its total cost, and its cells int64 [2, step].

    band: half-width of the corridor in frames of y, see corridor. penalty: what a step in one sequence alone costs
    besides. Of equal paths the one that keeps to the diagonal is taken. Memory: two bits a cell of the corridor.
    """
    x, y = _sequences(x, y)
    return _cheapest(x, y, corridor(len(x), len(y), band), penalty, True)


def fast_dtw(x: Array, y: Array, radius: int = 1, penalty: float = 0.0) -> tuple[float, Array]:
    """As dtw, but only near to the path of the sequences at half their rate, found in the same way: time and memory
    grow with n radius. Without a penalty the path of the package fastdtw 0.3.4, with its preference among equal ones;
    with one that of dtw, as long as the cheapest path lies near.

    radius: frames at the halved rate around that path, 1 or more.
    """
    x, y = _sequences(x, y)
    if min(len(x), len(y)) < radius + 2:
        return _cheapest(x, y, corridor(len(x), len(y)), penalty, penalty > 0)
    return _cheapest(x, y, near_path(x, y, radius, penalty), penalty, penalty > 0)


def near_path(x: Array, y: Array, radius: int, penalty: float = 0.0) -> Corridor:
    """The corridor of fast_dtw, of sequences of radius + 2 frames or more."""
    n, m = len(x), len(y)
    _, (i, j) = fast_dtw(_halved(x), _halved(y), radius, penalty)
    coarse = np.arange((n + 1) // 2)
    first = np.searchsorted(i, coarse - radius)  # the path's first cell in one of the rows at most radius away
    last = np.searchsorted(i, coarse + radius, side="right") - 1
    row = np.arange(n) // 2
    return np.maximum(2 * (j[first] - radius), 0)[row], np.minimum(2 * (j[last] + radius) + 2, m)[row]


def soft_dtw(
    x: Array, y: Array, gamma: float, band: float | Corridor | None = None, a: Any = None, b: Any = None
) -> float:
    """The soft minimum over all paths of their total cost: -gamma ln sum exp(-cost / gamma), gamma above 0.

    a [n], b [m]: weights; the cost of frames i and j is (a_i + b_j) |x_i - y_j|. Below 0 for alike sequences, see
    soft_dtw_divergence. Memory of two rows.
    """
    x, y = _sequences(x, y)
    rows = np.empty((0, len(y) + 2))
    lane = band if isinstance(band, tuple) else corridor(len(x), len(y), band)
    return float(_soft_forward(x, y, *_weights(x, y, a, b), gamma, *lane, 1, rows))


def soft_dtw_gradient(
    x: Array, y: Array, gamma: float, band: float | None = None, a: Any = None, b: Any = None
) -> tuple[Array, Array, Array, Array]:
    """Derivatives of soft_dtw by x [n, feature], y [m, feature], a [n] and b [m].

    The distance of equal frames has the gradient 0. Every row of the recursion comes from one in sqrt(n) that is kept:
    memory of 2 m sqrt(n).
    """
    x, y = _sequences(x, y)
    a, b = _weights(x, y, a, b)
    every = max(1, round(len(x) ** 0.5))
    rows = np.full((-(-len(x) // every), len(y) + 2), inf)
    lane = corridor(len(x), len(y), band)
    _soft_forward(x, y, a, b, gamma, *lane, every, rows)
    out = np.zeros_like(x), np.zeros_like(y), np.zeros_like(a), np.zeros_like(b)
    _soft_backward(x, y, a, b, gamma, *lane, every, rows, *out)
    return out


def soft_dtw_divergence(
    x: Array, y: Array, gamma: float, band: float | None = None, a: Any = None, b: Any = None
) -> float:
    """soft_dtw(x, y) less the mean of soft_dtw(x, x) and soft_dtw(y, y): 0 for x = y (Blondel, Mensch and Vert 2021,
    arXiv 2010.08354)."""
    both = soft_dtw(x, y, gamma, band, a, b)
    return both - (soft_dtw(x, x, gamma, band, a, a) + soft_dtw(y, y, gamma, band, b, b)) / 2


def subsequences(
    x: Array, y: Array, starts: Array, size: int, reach: int | None = None, threads: int = 1
) -> tuple[Array, Array]:
    """Where in y [m, feature] each patch of x [n, feature] fits best: `size` frames from each of starts, which rise.

    A path begins and ends anywhere in y; it moves on by one frame of the patch, by STRIDE frames of y, or by both, and
    every cell's distance counts once. Returns its total cost and the last frame of y on it, [patch].
    reach: frames of y around the patch's place in proportion, in which it is looked for; None: all of y.
    Memory: some rows of CHUNK frames of y, and STRIDE numbers for every frame of PATCHES patches.
    """
    columns, rows = np.ascontiguousarray(y.T), np.ascontiguousarray(x, y.dtype)
    m = len(y)
    places = np.round(starts * (m / len(x))).astype(np.int64)
    costs, ends = np.empty(len(starts)), np.empty(len(starts), np.int64)

    def task(first: int) -> None:
        part = slice(first, first + PATCHES)
        near, far = int(places[part][0]), int(places[part][-1]) + size
        low, high = (0, m) if reach is None else (max(0, min(near, m - size) - reach), min(m, far + reach))
        _subsequences(rows, columns, starts[part], size, low, high, costs[part], ends[part])

    in_threads(task, range(0, len(starts), PATCHES), threads)
    return costs, ends


def likely_subsequences(
    x: Array, y: Array, starts: Array, size: int, reach: int, threads: int = 1
) -> tuple[Array, Array]:
    """As subsequences, but every frame counts only near the end that fits best at a COARSE-th of the rate: a cost is
    never below that of subsequences, and mostly the same. Time grows with patches times reach / COARSE^2."""
    p, q = (z[: len(z) // COARSE * COARSE].reshape(-1, COARSE, z.shape[1]).mean(1, dtype=y.dtype) for z in (x, y))
    _, places = subsequences(p, q, starts // COARSE, size // COARSE, reach // COARSE, threads)
    columns, rows = np.ascontiguousarray(y.T), np.ascontiguousarray(x, y.dtype)
    costs, ends = np.empty(len(starts)), np.empty(len(starts), np.int64)
    span = 2 * STRIDE * size

    def task(first: int) -> None:
        for k in range(first, min(first + PATCHES, len(starts))):
            end = COARSE * (int(places[k]) + 1)
            low, high, one = max(0, end - span), min(len(y), end + size // 2), slice(k, k + 1)
            _subsequences(rows, columns, starts[one], size, low, high, costs[one], ends[one])

    in_threads(task, range(0, len(starts), PATCHES), threads)
    return costs, ends


def subsequence(x: Array, y: Array, end: int, cost: float) -> Array:
    """The path of subsequences for one patch x [frame, feature], of which it told the last frame in y and the total
    cost: cells int64 [2, step]."""
    x = np.ascontiguousarray(x, y.dtype)
    span = 2 * STRIDE * len(x)
    while True:
        first = max(0, end + 1 - span)
        totals = np.full((len(x), end + 1 - first + STRIDE), inf)
        _subsequence_costs(x, np.ascontiguousarray(y[first : end + 1].T), totals)
        if totals[-1, -1] <= cost or first == 0:
            break
        span *= 2  # the path began earlier
    path = np.empty((2, len(x) + totals.shape[1]), np.int64)
    path = path[:, _subsequence_walk(totals, path) :]
    path[1] += first
    return path


def dtw_torch() -> Callable[..., tuple[Any, Any]]:
    """dtw for tensors, and fast_dtw with a radius above 0: (x [item, n, feature], y [item, m, feature], band=None,
    penalty=0.0, radius=0) -> cells int64 [item, 2, n + m - 1], and 1 for each of them that is one, else 0.

    The path is a decision and has no gradient: that of a cost along the path, with the path held, is the gradient of
    the smallest cost wherever there is one (envelope theorem). It is found on the CPU whatever the device.
    """
    return _operators()[0]


def soft_dtw_torch() -> Callable[..., Any]:
    """soft_dtw for tensors, with gradients by all of them: (x [item, n, feature], y [item, m, feature], a [item, n],
    b [item, m], gamma, band=None) -> [item].

    On the CPU the kernels, elsewhere the same recursion by anti-diagonals.
    """
    return _operators()[1]


def _sequences(x: Any, y: Any) -> tuple[Array, Array]:
    x, y = (np.ascontiguousarray(z, np.float64) for z in (x, y))
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1] or not len(x) or not len(y):
        raise ValueError(f"sequences are [frame, feature] with the same features, not {x.shape} and {y.shape}")
    return x, y


def _halved(x: Array) -> Array:
    even = len(x) // 2 * 2
    return np.asarray((x[0:even:2] + x[1:even:2]) / 2)


def _weights(x: Array, y: Array, a: Any, b: Any) -> tuple[Array, Array]:
    a, b = (np.full(len(z), 0.5) if w is None else np.ascontiguousarray(w, np.float64) for z, w in ((x, a), (y, b)))
    return a, b


@exact_kernel
def _distances(x: Array, columns: Array, start: int, stop: int, out: Array) -> None:
    """out[j] = |x - y_j| for start <= j < stop; columns: y as [feature, frame]."""
    for low in range(start, stop, BLOCK):
        d = out[low : min(low + BLOCK, stop)]
        d[:] = 0.0
        high = low + d.size
        odd = x.size % 2
        if odd:
            c0 = columns[0, low:high]
            for j in range(d.size):
                p = x[0] - c0[j]
                d[j] = p * p
        for k in range(odd, x.size, 2):  # two features at a time, so that d is loaded and stored less often
            c0 = columns[k, low:high]
            c1 = columns[k + 1, low:high]
            for j in range(d.size):
                p = x[k] - c0[j]
                q = x[k + 1] - c1[j]
                d[j] = (d[j] + p * p) + q * q
        for j in range(d.size):
            d[j] = np.sqrt(d[j])


@exact_kernel
def _next_row(distances: Array, penalty: float, start: int, stop: int, before: Array, row: Array) -> None:
    """row[j + 1] = D[j] + min(before[j], before[j + 1] + penalty, row[j] + penalty), D added inside of the minimum, so
    that only one sum and one comparison wait for the cell to the left. Index 0 stands before the first frame."""
    d = distances[start:stop]
    diagonal = before[start:stop]
    above = before[start + 1 : stop + 1]
    here = row[start + 1 : stop + 1]
    for j in range(d.size):
        here[j] = min(diagonal[j] + d[j], above[j] + (d[j] + penalty))
    left = inf
    for j in range(d.size):
        left = min(left + (d[j] + penalty), here[j])
        here[j] = left
    row[start] = inf


@exact_kernel
def _cost(x: Array, columns: Array, starts: Array, stops: Array) -> float:
    m = columns.shape[1]
    distances = np.empty(m)
    row = np.full(m + 1, inf)
    before = np.full(m + 1, inf)
    before[0] = 0.0
    for i in range(x.shape[0]):
        _distances(x[i], columns, starts[i], stops[i], distances)
        if i:
            before[stops[i - 1] + 1 : stops[i] + 1] = inf
        _next_row(distances, 0.0, starts[i], stops[i], before, row)
        before, row = row, before
    return float(before[m])


DIAGONAL, ABOVE, LEFT = 0, 1, 2  # where a cell's path comes from


@exact_kernel
def _steps(
    x: Array,
    columns: Array,
    starts: Array,
    stops: Array,
    penalty: float,
    diagonal_first: bool,
    offsets: Array,
    packed: Array,
) -> float:
    """Total cost; packed: where every cell's path comes from, four cells a byte, row i from offsets[i] on."""
    m = columns.shape[1]
    distances = np.empty(m)
    code = np.zeros(m + 3, np.uint8)
    row = np.full(m + 1, inf)
    before = np.full(m + 1, inf)
    before[0] = 0.0
    for i in range(x.shape[0]):
        start = starts[i]
        stop = stops[i]
        _distances(x[i], columns, start, stop, distances)
        if i:
            before[stops[i - 1] + 1 : stop + 1] = inf
        _next_row(distances, penalty, start, stop, before, row)
        d = distances[start:stop]
        diagonal = before[start:stop]
        above = before[start + 1 : stop + 1]
        left = row[start:stop]
        if diagonal_first:
            for j in range(d.size):
                p = diagonal[j] + d[j]
                q = above[j] + (d[j] + penalty)
                r = left[j] + (d[j] + penalty)
                side = np.uint8(ABOVE) if q <= r else np.uint8(LEFT)
                code[j] = np.uint8(DIAGONAL) if p <= min(q, r) else side
        else:
            for j in range(d.size):
                p = diagonal[j] + d[j]
                q = above[j] + (d[j] + penalty)
                r = left[j] + (d[j] + penalty)
                other = np.uint8(LEFT) if r <= p else np.uint8(DIAGONAL)
                code[j] = np.uint8(ABOVE) if q <= min(r, p) else other
        out = packed[offsets[i] : offsets[i + 1]]
        for k in range(out.size):
            out[k] = code[4 * k] | code[4 * k + 1] << 2 | code[4 * k + 2] << 4 | code[4 * k + 3] << 6
        before, row = row, before
    return float(before[m])


@exact_kernel
def _walk(starts: Array, offsets: Array, packed: Array, path: Array) -> int:
    """The path from its end backwards into path [2, n + m - 1] from behind; returns where it begins."""
    i = starts.size - 1
    j = path.shape[1] - starts.size
    at = path.shape[1]
    while True:
        at -= 1
        path[0, at] = i
        path[1, at] = j
        if i == 0 and j == 0:
            return int(at)
        k = j - starts[i]
        code = packed[offsets[i] + k // 4] >> (2 * (k % 4)) & 3
        if code != LEFT:
            i -= 1
        if code != ABOVE:
            j -= 1


def _cheapest(x: Array, y: Array, lane: Corridor, penalty: float, diagonal_first: bool) -> tuple[float, Array]:
    starts, stops = lane
    offsets = np.concatenate([[0], np.cumsum((stops - starts + 3) // 4)])
    packed = np.empty(offsets[-1], np.uint8)
    cost = _steps(x, np.ascontiguousarray(y.T), starts, stops, penalty, diagonal_first, offsets, packed)
    path = np.empty((2, len(x) + len(y) - 1), np.int64)
    return float(cost), path[:, _walk(starts, offsets, packed, path) :].copy()


# Subsequences. Rows hold y from STRIDE on; before that, what the row ended with in the chunk before.

STRIDE = 3  # frames of y in a step
CHUNK = 1024  # frames of y at a time, so that the distances of a patch stay in the L2 cache
PATCHES = 16  # at a time: patches that overlap share distances
COARSE = 4  # frames that are one where likely places are looked for


@exact_kernel
def _subsequences(
    x: Array, columns: Array, starts: Array, size: int, low: int, high: int, costs: Array, ends: Array
) -> None:
    ring = np.empty((size, CHUNK), x.dtype)
    edges = np.full((starts.size, size, STRIDE), inf)
    before = np.empty(CHUNK + STRIDE)
    row = np.empty(CHUNK + STRIDE)
    costs[:] = inf
    ends[:] = low
    for c in range(low, high, CHUNK):
        width = min(CHUNK, high - c)
        part = np.ascontiguousarray(columns[:, c : c + width])  # strided, distances would not vectorise
        made = 0
        for p in range(starts.size):
            first = starts[p]
            for i in range(max(made, first), first + size):
                _distances(x[i], part, 0, width, ring[i % size])
            made = first + size
            for i in range(size):
                for j in range(STRIDE):
                    row[j] = edges[p, i, j]
                _next_subsequence_row(ring[(first + i) % size, :width], i == 0, before, row)
                for j in range(STRIDE):
                    edges[p, i, j] = row[width + j]
                before, row = row, before
            for j in range(STRIDE, width + STRIDE):
                if before[j] < costs[p]:
                    costs[p] = before[j]
                    ends[p] = c + j - STRIDE


@exact_kernel
def _next_subsequence_row(d: Array, begins: bool, before: Array, row: Array) -> None:
    """row[j] = d[j] + min(before[j], before[j - STRIDE], row[j - STRIDE]), or d[j] where paths begin. The distance is
    added inside of the minimum, as in _next_row, and the three chains run side by side."""
    here = row[STRIDE:]
    if begins:
        for j in range(d.size):
            here[j] = d[j]
        return
    above = before[STRIDE:]
    for j in range(d.size):
        p = above[j]
        q = before[j]
        here[j] = (p if p < q else q) + d[j]
    a = row[0]
    b = row[1]
    c = row[2]
    whole = d.size // 3 * 3
    for j in range(0, whole, 3):
        a = min(here[j], a + d[j])
        here[j] = a
        b = min(here[j + 1], b + d[j + 1])
        here[j + 1] = b
        c = min(here[j + 2], c + d[j + 2])
        here[j + 2] = c
    for j in range(whole, d.size):
        here[j] = min(here[j], row[j] + d[j])


@exact_kernel
def _subsequence_costs(x: Array, columns: Array, totals: Array) -> None:
    """totals[i, j + STRIDE]: the cheapest way to cell i, j."""
    d = np.empty(columns.shape[1], x.dtype)
    for i in range(x.shape[0]):
        _distances(x[i], columns, 0, d.size, d)
        _next_subsequence_row(d, i == 0, totals[i - 1], totals[i])


@exact_kernel
def _subsequence_walk(totals: Array, path: Array) -> int:
    """The path to the last cell into path from behind; returns where it begins."""
    i = totals.shape[0] - 1
    j = totals.shape[1] - 1
    at = path.shape[1]
    while True:
        at -= 1
        path[0, at] = i
        path[1, at] = j - STRIDE
        if i == 0:
            return int(at)
        above = totals[i - 1, j]
        left = totals[i, j - STRIDE]
        diagonal = totals[i - 1, j - STRIDE]
        if above <= left and above <= diagonal:
            i -= 1
        elif left <= diagonal:
            j -= STRIDE
        else:
            i -= 1
            j -= STRIDE


# Soft-DTW. Rows hold R[i, j] at j + 1, infinite outside of the corridor. Sums run in an order that is the same for both
# sequences, so that those of two equal ones are symmetric to the last bit and cancel in the divergence.


@exact_kernel
def _soft_minimum(above: float, left: float, diagonal: float, gamma: float) -> float:
    low = min(above, left, diagonal)
    total = (np.exp((low - above) / gamma) + np.exp((low - left) / gamma)) + np.exp((low - diagonal) / gamma)
    return float(low - gamma * np.log(total))


@exact_kernel
def _distance(x: Array, y: Array) -> float:
    total = 0.0
    for k in range(x.size):
        total += (x[k] - y[k]) * (x[k] - y[k])
    return float(np.sqrt(total))


@exact_kernel
def _soft_row(
    x: Array, y: Array, a: float, b: Array, gamma: float, start: int, stop: int, before: Array, row: Array
) -> None:
    row[start] = inf  # nothing further left is ever read, nothing further right was ever written
    for j in range(start, stop):
        low = _soft_minimum(before[j + 1], row[j], before[j], gamma)
        row[j + 1] = (a + b[j]) * _distance(x, y[j]) + low


@exact_kernel
def _soft_forward(
    x: Array, y: Array, a: Array, b: Array, gamma: float, starts: Array, stops: Array, every: int, rows: Array
) -> float:
    """The value; rows[k] = the row before row k every, where there is room."""
    before = np.full(y.shape[0] + 2, inf)
    before[0] = 0.0
    row = before.copy()
    for i in range(x.shape[0]):
        if i % every == 0 and i // every < rows.shape[0]:
            rows[i // every] = before
        _soft_row(x[i], y, a[i], b, gamma, starts[i], stops[i], before, row)
        before, row = row, before
    return float(before[y.shape[0]])


@exact_kernel
def _soft_backward(
    x: Array,
    y: Array,
    a: Array,
    b: Array,
    gamma: float,
    starts: Array,
    stops: Array,
    every: int,
    rows: Array,
    by_x: Array,
    by_y: Array,
    by_a: Array,
    by_b: Array,
) -> None:
    """Cuturi and Blondel's algorithm 2: E[i, j] = dR[n, m] / dR[i, j], from the last cell to the first.

    low: what the soft minimum was that entered a cell, so exp((low - R) / gamma) is the share of each of its sources.
    """
    n, m = x.shape[0], y.shape[0]
    block = np.full((every + 1, m + 2), inf)  # R, from the row before the block on
    low = np.full((2, m + 2), -inf)  # of this row and the one below, as R less the cost
    share = np.zeros((2, m + 2))  # E of this row and the one below
    distances = np.zeros(m + 2)
    for first in range((n - 1) // every * every, -1, -every):
        last = min(first + every, n)
        block[0] = rows[first // every]
        for i in range(first, last):
            block[i - first + 1] = inf
            _soft_row(x[i], y, a[i], b, gamma, starts[i], stops[i], block[i - first], block[i - first + 1])
        for i in range(last - 1, first - 1, -1):
            here, below = i % 2, (i + 1) % 2
            low[here] = -inf
            share[here] = 0.0
            r = block[i - first + 1]
            for j in range(starts[i], stops[i]):
                distances[j] = _distance(x[i], y[j])
                low[here, j + 1] = r[j + 1] - (a[i] + b[j]) * distances[j]
            for j in range(stops[i] - 1, starts[i] - 1, -1):
                if i == n - 1 and j == m - 1:
                    e = 1.0
                else:
                    c = r[j + 1]
                    down = share[below, j + 1] * np.exp((low[below, j + 1] - c) / gamma)
                    right = share[here, j + 2] * np.exp((low[here, j + 2] - c) / gamma)
                    e = (down + right) + share[below, j + 2] * np.exp((low[below, j + 2] - c) / gamma)
                share[here, j + 1] = e
                d = distances[j]
                by_a[i] += e * d
                by_b[j] += e * d
                if d > 0.0:
                    g = e * (a[i] + b[j]) / d
                    for k in range(x.shape[1]):
                        by_x[i, k] += g * (x[i, k] - y[j, k])
                        by_y[j, k] += g * (y[j, k] - x[i, k])


# Torch


def soft_dtw_text(x: Any, y: Any, a: Any, b: Any, gamma: float, band: float | None = None) -> Any:
    """soft_dtw of tensors as soft_dtw_torch computes it off the CPU: all cells of an anti-diagonal at once."""
    import torch

    n, m = x.shape[1], y.shape[1]
    cost = (a[:, :, None] + b[:, None]) * torch.cdist(x, y, compute_mode="donot_use_mm_for_euclid_dist")
    starts, stops = (torch.as_tensor(edge, device=x.device)[:, None] for edge in corridor(n, m, band))
    frames = torch.arange(m, device=x.device)
    cost = torch.where((starts <= frames) & (frames < stops), cost, _FAR)
    # row i moves i places to the right, so that anti-diagonals become columns
    cost = torch.nn.functional.pad(cost, (0, n), value=_FAR).flatten(1)[:, : n * (n + m - 1)].unflatten(1, (n, -1))
    outside = torch.full_like(cost[:, :1, 0], _FAR)
    corner = torch.zeros_like(outside)
    before = last = torch.full_like(cost[:, :, 0], _FAR)
    for column in cost.unbind(2):
        above = torch.cat([outside, last[:, :-1]], 1)
        diagonal = torch.cat([corner, before[:, :-1]], 1)
        corner = outside
        before, last = last, column - gamma * torch.logsumexp(torch.stack([above, last, diagonal]) / -gamma, 0)
    return last[:, -1]


_FAR = 1e12  # the cost of a cell outside of the corridor: infinity would make gradients nan


@cache
def _operators() -> tuple[Callable[..., tuple[Any, Any]], Callable[..., Any]]:
    """Registered with torch, so that they can stand in a compiled graph and have shapes on the device "meta"."""
    import torch
    from torch.library import custom_op

    def arrays(*tensors: Any) -> Any:
        """Item by item."""
        return zip(*(t.detach().to("cpu", torch.float64).numpy() for t in tensors), strict=True)

    def path_like(x: Any, y: Any, *_: Any) -> tuple[Any, Any]:
        steps = x.shape[1] + y.shape[1] - 1
        return x.new_zeros((x.shape[0], 2, steps), dtype=torch.int64), x.new_zeros((x.shape[0], steps))

    def find(x: Any, y: Any, band: float | None, penalty: float, radius: int) -> tuple[Any, Any]:
        path, real = path_like(x, y)
        for item, (p, q) in enumerate(arrays(x, y)):
            _, cells = fast_dtw(p, q, radius, penalty) if radius else dtw(p, q, band, penalty)
            path[item, :, : cells.shape[1]] = torch.from_numpy(cells).to(x.device)
            real[item, : cells.shape[1]] = 1
        return path, real

    def value(x: Any, y: Any, a: Any, b: Any, gamma: float, band: float | None) -> Any:
        if x.device.type != "cpu":
            return soft_dtw_text(x, y, a, b, gamma, band)
        return x.new_tensor([soft_dtw(p, q, gamma, band, u, v) for p, q, u, v in arrays(x, y, a, b)])

    def slopes(x: Any, y: Any, a: Any, b: Any, gamma: float, band: float | None) -> Any:
        if x.device.type != "cpu":
            with torch.enable_grad():
                x, y, a, b = (t.detach().requires_grad_() for t in (x, y, a, b))
                return torch.autograd.grad(soft_dtw_text(x, y, a, b, gamma, band).sum(), (x, y, a, b))
        found = [soft_dtw_gradient(p, q, gamma, band, u, v) for p, q, u, v in arrays(x, y, a, b)]
        return tuple(x.new_tensor(np.array(g)) for g in zip(*found, strict=True))

    four, options = "Tensor x, Tensor y, Tensor a, Tensor b", "float gamma, float? band"
    paths: Any = custom_op(
        "audiosim::dtw",
        find,
        mutates_args=(),
        schema="(Tensor x, Tensor y, float? band, float penalty, int radius) -> (Tensor, Tensor)",
    )
    paths.register_fake(path_like)
    soft: Any = custom_op("audiosim::soft_dtw", value, mutates_args=(), schema=f"({four}, {options}) -> Tensor")
    soft.register_fake(lambda x, *_: x.new_empty(x.shape[0]))
    gradient: Any = custom_op(
        "audiosim::soft_dtw_gradient",
        slopes,
        mutates_args=(),
        schema=f"({four}, {options}) -> (Tensor, Tensor, Tensor, Tensor)",
    )
    gradient.register_fake(lambda *inputs: tuple(torch.empty_like(t) for t in inputs[:4]))

    def keep(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:  # noqa: ARG001  torch's signature
        ctx.save_for_backward(*inputs[:4])
        ctx.options = inputs[4:]

    def backward(ctx: Any, slope: Any) -> tuple[Any, ...]:
        found = gradient(*ctx.saved_tensors, *ctx.options)
        return (*(g * slope.reshape(-1, *[1] * (g.ndim - 1)) for g in found), None, None)

    soft.register_autograd(backward, setup_context=keep)
    return (
        lambda x, y, band=None, penalty=0.0, radius=0: paths(x.detach(), y.detach(), band, penalty, radius),
        lambda x, y, a, b, gamma, band=None: soft(x, y, a, b, gamma, band),
    )
