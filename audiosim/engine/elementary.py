"""Logarithm and exponential of whole arrays in loops that vectorise, which those of the C library do not.

Both agree with the C library to a few units in the last place (tests/engine/test_elementary.py).
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numba.core import types
from numba.core.imputils import impl_ret_borrowed
from numba.extending import intrinsic
from numpy.typing import NDArray

from .kernel import exact_kernel

Array = NDArray[Any]

_ROOT_HALF = int(np.float64(np.sqrt(0.5)).view(np.int64))  # the bits of sqrt(1/2)
_LN2_HIGH = 0.6931471803691238  # the upper 32 bits of ln 2: times an exponent it is exact
_LN2_LOW = 1.9082149292705877e-10  # the rest
_LOG2E = 1.4426950408889634


@intrinsic  # type: ignore[untyped-decorator]
def _bits_of(_typing: Any, x: Any) -> Any:
    """x as integers of the same width, on the same memory: what x.view does, which takes numba ten times as long."""
    integers = x.copy(dtype=types.Integer.from_bitwidth(x.dtype.bitwidth))

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        floats = context.make_array(x)(context, builder, arguments[0])
        out = context.make_array(integers)(context, builder)
        for field in ("shape", "strides", "itemsize", "nitems", "meminfo", "parent"):
            setattr(out, field, getattr(floats, field))
        out.data = builder.bitcast(floats.data, out.data.type)
        return impl_ret_borrowed(context, builder, integers, out._getvalue())

    return integers(x), generate


def _view(x: Array) -> Array:
    return x.view(np.dtype(f"i{x.itemsize}"))


bits_of: Any = _view if numba.config.DISABLE_JIT else _bits_of


@exact_kernel
def logarithms(x: Array, exponents: Array) -> None:
    """x = ln x in place: float64 [n], normal numbers above 0; exactly 0 at 1. exponents: scratch, int64 [n].

    x = 2^k m with m in [sqrt(1/2), sqrt(2)); ln m = 2 artanh((m - 1) / (m + 1)) by its series, to 1e-17.
    """
    bits = bits_of(x)
    for i in range(x.size):
        k = (bits[i] - _ROOT_HALF) >> 52
        exponents[i] = k
        bits[i] = bits[i] - (k << 52)
    for i in range(x.size):
        f = x[i] - 1.0
        s = f / (2.0 + f)
        z = s * s
        p = 1 / 21.0
        p = p * z + 1 / 19.0
        p = p * z + 1 / 17.0
        p = p * z + 1 / 15.0
        p = p * z + 1 / 13.0
        p = p * z + 1 / 11.0
        p = p * z + 1 / 9.0
        p = p * z + 1 / 7.0
        p = p * z + 1 / 5.0
        p = p * z + 1 / 3.0
        k = np.float64(exponents[i])
        x[i] = k * _LN2_HIGH + (k * _LN2_LOW + 2.0 * s * (1.0 + z * p))


@exact_kernel
def exponentials(x: Array, exponents: Array) -> None:
    """x = e^x in place: float64 [n], within -700 to 700. exponents: scratch, int64 [n].

    x = k ln 2 + r with |r| <= ln(2) / 2; e^r by its Taylor series, to 1e-17.
    """
    bits = bits_of(x)
    for i in range(x.size):
        k = np.floor(x[i] * _LOG2E + 0.5)
        exponents[i] = np.int64(k)
        r = (x[i] - k * _LN2_HIGH) - k * _LN2_LOW
        p = 1 / 6227020800.0
        p = p * r + 1 / 479001600.0
        p = p * r + 1 / 39916800.0
        p = p * r + 1 / 3628800.0
        p = p * r + 1 / 362880.0
        p = p * r + 1 / 40320.0
        p = p * r + 1 / 5040.0
        p = p * r + 1 / 720.0
        p = p * r + 1 / 120.0
        p = p * r + 1 / 24.0
        p = p * r + 1 / 6.0
        p = p * r + 0.5
        x[i] = 1.0 + (r + r * r * p)
    for i in range(x.size):
        bits[i] = bits[i] + (exponents[i] << 52)


@intrinsic  # type: ignore[untyped-decorator]
def _bits(_typing: Any, _x: Any) -> Any:
    """The bits of a float64 as int64."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.int64))

    return types.int64(types.float64), generate


@intrinsic  # type: ignore[untyped-decorator]
def _number(_typing: Any, _bits: Any) -> Any:
    """The float64 of these bits."""

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.bitcast(arguments[0], context.get_value_type(types.float64))

    return types.float64(types.int64), generate


def logarithm(x: float) -> float:
    """ln x as `logarithms` has it, of one normal number above 0, to be compiled into a loop: there it vectorises."""
    n = _bits(x)
    exponent = (n - _ROOT_HALF) >> 52
    f = _number(n - (exponent << 52)) - 1.0
    s = f / (2.0 + f)
    z = s * s
    p = 1 / 21.0
    p = p * z + 1 / 19.0
    p = p * z + 1 / 17.0
    p = p * z + 1 / 15.0
    p = p * z + 1 / 13.0
    p = p * z + 1 / 11.0
    p = p * z + 1 / 9.0
    p = p * z + 1 / 7.0
    p = p * z + 1 / 5.0
    p = p * z + 1 / 3.0
    k = np.float64(exponent)
    return k * _LN2_HIGH + (k * _LN2_LOW + 2.0 * s * (1.0 + z * p))  # type: ignore[no-any-return]
