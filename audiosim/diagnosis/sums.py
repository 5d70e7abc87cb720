"""Sums over long recordings [channel, sample], block by block and in one order whatever the number of threads; and
room for copies of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    Array = NDArray[Any]

BLOCK = 1 << 18  # samples at a time
LARGE = 1 << 22  # bytes, beyond which a copy of a recording lies in a file: several are needed at once


def room(shape: tuple[int, ...], dtype: Any) -> Array:
    """As np.empty, for what is as long as a recording (scratch.py)."""
    from .. import scratch

    return scratch.empty(shape, dtype, LARGE)


def overlap(a: Array, b: Array, late: int) -> tuple[Array, Array]:
    from ..dsp import alignment

    return alignment.overlap(a, b, late)


def error(a: Array, b: Array) -> float:
    """Energy of the difference against the reference's."""
    error = own = 0.0
    for at in range(0, a.shape[1], BLOCK):
        x, y = a[:, at : at + BLOCK], b[:, at : at + BLOCK]
        e = y - x
        error += product(e, e)
        own += product(x, x)
    return error / own if own > 0 else 0.0


def product(x: Array, y: Array) -> float:
    """Sum of x y; not by a library whose order of additions depends on its threads."""
    return float((x * y).sum(dtype="float64"))


def power(x: Array) -> float:
    blocks = (x[:, at : at + BLOCK] for at in range(0, x.shape[1], BLOCK))
    return sum(product(z, z) for z in blocks) / x.size


def varying(x: Array) -> float:
    """Mean square about the mean."""
    power = 0.0
    for c in x:
        mean = c.mean(dtype=np.float64)
        power += sum(float(((c[at : at + BLOCK] - mean) ** 2).sum(dtype=np.float64)) for at in range(0, c.size, BLOCK))
    return power / x.size


def correlation(a: Array, b: Array) -> float:
    """Of the channels in place, at no delay; of an even choice of blocks."""
    ab, aa, bb = products(a, b)
    return float(sum(ab)) / (sum(aa) * sum(bb)) ** 0.5 if sum(aa) > 0 and sum(bb) > 0 else 0.0


def unlike(a: Array, b: Array) -> float:
    """The part of the channels that those of the other at any gain and polarity leave unexplained."""
    ab, aa, bb = products(a, b)
    explained = sum(x * x / y for x, y in zip(ab, aa, strict=True) if y > 0)
    return max(1 - float(explained) / sum(bb), 0.0) if sum(bb) > 0 else 0.0


def products(a: Array, b: Array) -> tuple[list[float], list[float], list[float]]:
    """Of each channel, of an even choice of blocks: products with the other, and of both with themselves."""
    step = max(a.shape[1] // 8, BLOCK) if a.shape[1] > 8 * BLOCK else BLOCK
    sums = [[0.0] * len(a) for _ in range(3)]
    for at in range(0, a.shape[1], step):
        for c, (p, q) in enumerate(zip(a[:, at : at + BLOCK], b[:, at : at + BLOCK], strict=True)):
            p, q = p - p.mean(), q - q.mean()
            for k, (x, y) in enumerate(((p, q), (p, p), (q, q))):
                sums[k][c] += product(x, y)
    return sums[0], sums[1], sums[2]


def thinned(x: Array, q: int) -> Array:
    """Means of q values each, along the last axis; what is left over at the end is not there."""
    cut = x.shape[1] // q * q
    thin: Array = x[:, :cut].reshape(len(x), -1, q).mean(axis=2)
    return thin


def stretches(length: int, size: int, count: int, step: int = 1) -> list[tuple[int, int]]:
    """First and last sample of so many stretches of this size, spread evenly, which begin at multiples of `step`; all
    of it in one where it is no longer than these."""
    if length <= count * size:
        return [(0, length)]
    return [(at, at + size) for at in (round(k * (length - size) / (count - 1) / step) * step for k in range(count))]


def arranged(x: Array, hold: Sequence[int], turned: Collection[int] = ()) -> Array:
    """These channels of x, of which those that are `turned` are inverted. x itself where that changes nothing."""
    if list(hold) == list(range(len(x))) and not turned:
        return x
    out = room((len(hold), x.shape[1]), x.dtype)
    for into, c in zip(out, hold, strict=True):
        for at in range(0, x.shape[1], BLOCK):
            piece = x[c, at : at + BLOCK]
            into[at : at + BLOCK] = -piece if c in turned else piece
    return out


def mean(x: Array) -> Array:
    """One channel, the mean of all."""
    out = room((1, x.shape[1]), x.dtype)
    for at in range(0, x.shape[1], BLOCK):
        out[0, at : at + BLOCK] = x[:, at : at + BLOCK].mean(axis=0)
    return out
