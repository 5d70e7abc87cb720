"""Long short-term memory: Hochreiter and Schmidhuber 1997, Neural Computation 9, 1735-1780; with gates that forget."""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba.extending import intrinsic
from numpy.typing import NDArray

from .kernel import fused_kernel, vector_kernel
from .products import TALL, tile

Array = NDArray[Any]

_LOG2E = 1.4426950408889634
_LN2_HIGH = 0.693359375  # nine bits: times an exponent it is exact
_LN2_LOW = -2.1219444005469057e-4  # the rest
ROWS = 64  # of inputs that pass their weights at once: what they give stays in cache
SATURATED = 40.0  # beyond which 1 / (1 + e^-x) is 1 to the last bit; and squares of e^40 are float32 still


@intrinsic  # type: ignore[untyped-decorator]
def _two_to(_typing: Any, k: Any) -> Any:
    """2^k of a whole number k, a float, in its type."""

    def generate(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits, mantissa, bias = (32, 23, 127) if k.bitwidth == 32 else (64, 52, 1023)
        whole = ir.IntType(bits)
        biased = builder.add(builder.fptosi(arguments[0], whole), ir.Constant(whole, bias))
        return builder.bitcast(builder.shl(biased, ir.Constant(whole, mantissa)), arguments[0].type)

    return k(k), generate


two_to: Any = np.exp2 if numba.config.DISABLE_JIT else _two_to


@fused_kernel
def power(x: Any, kind: Any) -> Any:
    """e^x as a fraction, of numbers of a kind: 2^k times what Pade's approximant of order 5 has for the rest."""
    x = min(max(x, kind(-SATURATED)), kind(SATURATED))
    k = np.floor(x * kind(_LOG2E) + kind(0.5))
    r = (x - k * kind(_LN2_HIGH)) - k * kind(_LN2_LOW)
    s = r * r
    even = kind(1) + s * (kind(1 / 9) + s * kind(1 / 1008))
    odd = r * (kind(0.5) + s * (kind(1 / 72) + s * kind(1 / 30240)))
    return two_to(k) * (even + odd), even - odd


@fused_kernel
def _remember(gates: Array, given: Array, bias: Array, cell: Array, out: Array) -> None:
    """A step of one item, whose gates are the sum of the first three [4 unit]: its cells [unit] go on, and out [unit]
    is let out. 1 / (1 + e^-x) and tanh x are fractions of powers; those that are multiplied share a division. Loops
    over slices vectorise."""
    units = cell.size
    kind = cell.dtype.type
    for u in range(bias.size):
        gates[u] += given[u] + bias[u]
    taken, kept, new, left = gates[:units], gates[units : 2 * units], gates[2 * units : 3 * units], gates[3 * units :]
    for u in range(units):
        i, j = power(taken[u], kind)
        f, g = power(kept[u], kind)
        n, d = power(kind(2) * new[u], kind)
        cell[u] = cell[u] * f / (f + g) + i * (n - d) / ((i + j) * (n + d))
    for u in range(units):
        o, p = power(left[u], kind)
        n, d = power(kind(2) * cell[u], kind)
        out[u] = o * (n - d) / ((o + p) * (n + d))


@vector_kernel
def _products(x: Array, first: int, rows: int, strips: Array, out: Array) -> None:
    """out [row, column]: so many rows of x, from the first on, times a matrix in strips."""
    common, wide, width = strips.shape[1], strips.shape[2], out.shape[1]
    for s in range(len(strips)):
        for i in range(0, rows, TALL):
            tile(
                x, (first + i) * common, 1, common, strips, s * common * wide, common, out, i * width + s * wide, width
            )


@vector_kernel
def states(x: Array, items: int, by_input: Array, by_state: Array, bias: Array, out: Array) -> None:
    """out [row, unit]: the states after each step for x [row, channel], step by step of so many items, behind the
    items' first states. Both have TALL rows to spare.

    by_input, by_state: weights of the gates, input, forget, cell and output, in strips (.products); bias [4 unit].
    """
    units = out.shape[1]
    width = len(by_input) * by_input.shape[2]
    together = max(1, ROWS // items)
    cell = np.zeros((items, units), out.dtype)
    given = np.empty((together * items + TALL, width), out.dtype)
    gates = np.empty((items + TALL, width), out.dtype)
    steps = (len(x) - TALL) // items
    for step in range(steps):
        at = step % together
        if at == 0:
            _products(x, step * items, min(together, steps - step) * items, by_input, given)
        _products(out, step * items, items, by_state, gates)
        for i in range(items):
            _remember(gates[i], given[at * items + i], bias, cell[i], out[(step + 1) * items + i])
