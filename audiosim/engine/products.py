"""Products of matrices, on one thread: the same bits however many there are. A BLAS would share each out among all
cores, which takes small products many times as long.

Rows of the first matrix and columns of the second are packed into strips, so that a tile of TALL rows and WIDE vectors
of columns stays in registers while it is summed over what the two have in common. Each number is summed by itself and
in order, so the length of a vector changes no bit.
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from . import vectors
from .kernel import longest_vector, vector_kernel
from .vectors import folded

Array = NDArray[Any]

BYTES = longest_vector()
TALL, WIDE = 4, 4 if BYTES == 64 else 3  # of a tile: of 16 registers 12 sums, 3 vectors, a number; AVX-512 has 32
CACHE = 1 << 18  # bytes of rows that meet one strip of columns after the other

_codelet = partial(vectors.codelet, size=BYTES)


def packed(a: Array) -> Array:
    """The rows of matrices a [matrix, row, common] in strips [matrix, strip, common, TALL], zeros at the end."""
    matrices, rows, common = a.shape
    if rows % TALL:
        a = np.pad(a, ((0, 0), (0, -rows % TALL), (0, 0)))
    return np.ascontiguousarray(a.reshape(matrices, -1, TALL, common).swapaxes(2, 3))


def product(a: Array, b: Array, rows: int, across: bool = False) -> Array:
    """So many packed rows times matrices b [several, common, column] of one dtype -> [several, row, column].

    Where there are more matrices b than a, each of a is for as many of b in a row. across: [row, several, column].
    """
    several, common, columns = b.shape
    if numba.config.DISABLE_JIT:
        plain = a.swapaxes(2, 3).reshape(len(a), -1, common)[:, :rows]
        groups = b.reshape(len(a), -1, common, columns)
        found: Array = (plain[:, None] @ groups).reshape(several, rows, columns)
        return np.ascontiguousarray(found.swapaxes(0, 1)) if across else found
    out = np.empty((rows, several, columns) if across else (several, rows, columns), b.dtype)
    steps = (columns, several * columns) if across else (rows * columns, columns)
    each, step, along = (n // b.itemsize for n in b.strides)
    _product(
        a, _flat(b), several, each, np.arange(common) * step, np.arange(columns) * along, rows, *steps, out.reshape(-1)
    )
    return out


def gathered(a: Array, x: Array, starts: Array, places: Array, rows: int) -> Array:
    """So many packed rows [1, ...] times the matrix [common, column] that has x[starts[common] + places[column]], of
    contiguous x, wherever that lies in it -> [row, column]. So a correlation needs no copy of what it slides over."""
    x = x.reshape(-1)
    if numba.config.DISABLE_JIT:
        return np.asarray(product(a, x[starts[:, None] + places][None], rows)[0])
    out = np.empty((rows, len(places)), x.dtype)
    _product(a, x, 1, 0, starts, places, rows, 0, len(places), out.reshape(-1))
    return out


def strips(b: Array) -> Array:
    """The columns of a matrix b [common, column] in strips [strip, common, WIDE vectors], zeros at the end: for
    `times`, where one matrix is multiplied again and again."""
    common, columns = b.shape
    wide = WIDE * (BYTES // b.itemsize)
    whole, rest = divmod(columns, wide)
    out = _aligned((whole + (rest > 0), common, wide), b.dtype)
    out[:whole] = b[:, : whole * wide].reshape(common, whole, wide).swapaxes(0, 1)
    out[whole:, :, rest:] = 0
    out[whole:, :, :rest] = b[:, whole * wide :]
    return out


def _aligned(shape: tuple[int, ...], dtype: Any) -> Array:
    """An array of which a vector lies in one line of the cache, and is loaded at once."""
    size, spare = math.prod(shape), BYTES // dtype.itemsize
    memory = np.empty(size + spare, dtype)
    first = -memory.ctypes.data % BYTES // dtype.itemsize
    return memory[first : first + size].reshape(shape)


def times(x: Array, b: Array, columns: int) -> Array:
    """x [row, common] times a matrix of so many columns, given in strips -> [row, column]."""
    rows = len(x)
    if numba.config.DISABLE_JIT:
        return np.asarray(x @ b.swapaxes(0, 1).reshape(len(b[0]), -1)[:, :columns])
    x = np.pad(np.asarray(x, b.dtype), ((0, -rows % TALL), (0, 0)))
    out = np.empty((len(x), b.shape[0] * b.shape[2]), b.dtype)
    _times(x, b, out)
    return out[:rows, :columns]


def _flat(x: Array) -> Array:
    """The memory from the first to the last number of x."""
    size = 1 + sum((n - 1) * step for n, step in zip(x.shape, x.strides, strict=True)) // x.itemsize
    return as_strided(x, (size,), (x.itemsize,))


@_codelet
def tile(a: Any, i: Any, along: Any, apart: Any, b: Any, j: Any, common: Any, out: Any, k: Any, row: Any) -> None:
    """TALL rows of out, from its number k on and `row` numbers apart: those of a from its number i on, `apart` numbers
    apart, of which each has its next number `along` further, times a strip of b from its number j on."""
    lanes = b.lanes

    def step(n: Any, *sums: Any) -> Any:
        columns = [b.load(j + (n * WIDE + w) * lanes) for w in range(WIDE)]
        rows = [a.splat(i + n * along + apart * t) for t in range(TALL)]
        return [x + rows[t] * columns[w] for x, (t, w) in zip(sums, places, strict=True)]

    places = [(t, w) for t in range(TALL) for w in range(WIDE)]
    sums = folded(common, [b.zero() for _ in places], step)
    for x, (t, w) in zip(sums, places, strict=True):
        out.store(k + row * t + w * lanes, x)


@_codelet
def _copied(x: Any, i: Any, out: Any, k: Any) -> None:
    """A row of a strip."""
    for w in range(WIDE):
        out.store(k + w * out.lanes, x.load(i + w * x.lanes))


@vector_kernel
def _product(
    a: Array,
    b: Array,
    several: int,
    each: int,
    starts: Array,
    places: Array,
    rows: int,
    apart: int,
    row: int,
    out: Array,
) -> None:
    """The matrices b begin `each` numbers one behind the other, and have theirs at starts[common] + places[column].
    apart, row: how many numbers of out two matrices, and two rows, lie apart."""
    count, common, columns = a.shape[1], a.shape[2], WIDE * (BYTES // b.itemsize)
    size = max(1, CACHE // (TALL * common * a.itemsize))
    strip = np.zeros(common * columns + columns, b.dtype)
    aligned = -strip.ctypes.data % BYTES // b.itemsize
    edge = np.empty((TALL, columns), b.dtype)
    for m in range(several):
        for top in range(0, count, size):
            for left in range(0, len(places), columns):
                where = places[left : left + columns]
                wide = len(where)
                together = wide == columns and where[-1] - where[0] == columns - 1
                for n in range(common):
                    i = m * each + starts[n]
                    if together:
                        _copied(b, i + where[0], strip, aligned + n * columns)
                        continue
                    for c in range(wide):
                        strip[aligned + n * columns + c] = b[i + where[c]]
                for s in range(top, min(top + size, count)):
                    i, k = (m * len(a) // several * count + s) * common * TALL, m * apart + s * TALL * row + left
                    high = min(TALL, rows - s * TALL)
                    if wide == columns and high == TALL:
                        tile(a, i, TALL, 1, strip, aligned, common, out, k, row)
                        continue
                    tile(a, i, TALL, 1, strip, aligned, common, edge, 0, columns)
                    for t in range(high):
                        for c in range(wide):
                            out[k + t * row + c] = edge[t, c]


@vector_kernel
def _times(x: Array, b: Array, out: Array) -> None:
    """x and out have a multiple of TALL rows."""
    common, wide = b.shape[1], b.shape[2]
    for s in range(len(b)):
        for p in range(0, len(x), TALL):
            tile(x, p * common, 1, common, b, s * common * wide, common, out, p * out.shape[1] + s * wide, out.shape[1])
