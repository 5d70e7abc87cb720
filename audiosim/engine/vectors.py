"""Straight-line code on short vectors, written once: machine instructions when compiled, numpy slices when not.

A `codelet` is a function of arrays and indices whose loads, stores, sums, products and shuffles become vector
instructions one for one. Neither numba's type inference nor LLVM's vectoriser has a say in them, so they compile fast
and are the same on every processor: LLVM splits a vector where registers are shorter (AVX: one register, SSE and NEON:
two). With NUMBA_DISABLE_JIT=1 the same text runs on numpy slices.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

BYTES = 32  # of a vector: 8 float32 or 4 float64

_FLOATS = {4: ir.FloatType(), 8: ir.DoubleType()}


class _Value:
    """A vector, or an index, of LLVM's intermediate representation."""

    def __init__(self, builder: Any, value: Any) -> None:
        self.builder, self.value = builder, value

    def _combined(self, other: Any, of_vectors: Callable[..., Any], of_indices: Callable[..., Any]) -> _Value:
        kind = self.value.type
        vector = isinstance(kind, ir.VectorType)
        if not isinstance(other, _Value):
            other = _Value(self.builder, ir.Constant(kind, [other] * kind.count if vector else other))
        if vector:  # a product and a sum may be one instruction
            return _Value(self.builder, of_vectors(self.value, other.value, flags=("contract",)))
        return _Value(self.builder, of_indices(self.value, other.value, flags=("nsw",)))

    def __add__(self, other: Any) -> _Value:
        return self._combined(other, self.builder.fadd, self.builder.add)

    def __sub__(self, other: Any) -> _Value:
        return self._combined(other, self.builder.fsub, self.builder.sub)

    def __mul__(self, other: Any) -> _Value:
        return self._combined(other, self.builder.fmul, self.builder.mul)

    __radd__, __rmul__ = __add__, __mul__


class _Array:
    """A contiguous array, in compiled code. size: bytes of an element; lanes: elements of a vector."""

    def __init__(self, builder: Any, data: Any, size: int, lanes: int) -> None:
        self.builder, self.data, self.size, self.lanes = builder, data, size, lanes

    def _at(self, i: Any, kind: Any) -> Any:
        place = i.value if isinstance(i, _Value) else ir.Constant(ir.IntType(64), i)
        return self.builder.bitcast(self.builder.gep(self.data, [place], inbounds=True), kind.as_pointer())

    @property
    def _vector(self) -> Any:
        return ir.VectorType(_FLOATS[self.size], self.lanes)

    def load(self, i: Any) -> _Value:
        """Elements i, i + 1, ... as a vector."""
        value = self.builder.load(self._at(i, self._vector))
        value.align = self.size
        return _Value(self.builder, value)

    def zero(self) -> _Value:
        """A vector of zeros."""
        return _Value(self.builder, ir.Constant(self._vector, [0.0] * self.lanes))

    def store(self, i: Any, x: _Value) -> None:
        """Write a vector to elements i, i + 1, ..."""
        self.builder.store(x.value, self._at(i, self._vector)).align = self.size

    def splat(self, i: Any) -> _Value:
        """Element i in all lanes."""
        element = self.builder.load(self._at(i, _FLOATS[self.size]))
        first = ir.Constant(ir.IntType(32), 0)
        one = self.builder.insert_element(ir.Constant(self._vector, ir.Undefined), element, first)
        result: _Value = shuffle(_Value(self.builder, one), None, [0] * self.lanes)
        return result


class _Plain:
    """The same on a numpy array."""

    def __init__(self, a: Any, lanes: int) -> None:
        self.a, self.lanes = a.reshape(-1), lanes  # contiguous, so a view

    def load(self, i: int) -> Any:
        return self.a[i : i + self.lanes].copy()

    def zero(self) -> Any:
        return np.zeros(self.lanes, self.a.dtype)

    def store(self, i: int, x: Any) -> None:
        self.a[i : i + self.lanes] = x

    def splat(self, i: int) -> Any:
        return np.full(self.lanes, self.a[i])


def shuffle(x: Any, y: Any, order: Sequence[int]) -> Any:
    """The lanes of x, and of y after them, in this order; y may be None."""
    if isinstance(x, np.ndarray):
        return np.concatenate([x, x if y is None else y])[list(order)]
    mask = ir.Constant(ir.VectorType(ir.IntType(32), len(order)), list(order))
    return _Value(x.builder, x.builder.shuffle_vector(x.value, x.value if y is None else y.value, mask))


def folded(count: Any, first: Sequence[Any], step: Callable[..., Sequence[Any]]) -> Sequence[Any]:
    """values = step(i, *values) for i from 0 to count - 1, at least once, beginning with `first`: a loop whose vectors
    stay in registers."""
    if not isinstance(count, _Value):
        values = first
        for i in range(count):
            values = step(i, *values)
        return values
    builder, kind = count.builder, count.value.type
    before, body, behind = builder.block, builder.append_basic_block("step"), builder.append_basic_block("folded")
    builder.branch(body)
    builder.position_at_end(body)
    i = builder.phi(kind)
    held = [builder.phi(x.value.type) for x in first]
    found = step(_Value(builder, i), *(_Value(builder, x) for x in held))
    following = builder.add(i, ir.Constant(kind, 1), flags=("nsw",))
    for phi, start, end in zip(
        [i, *held],
        [ir.Constant(kind, 0), *(x.value for x in first)],
        [following, *(x.value for x in found)],
        strict=True,
    ):
        phi.add_incoming(start, before)
        phi.add_incoming(end, builder.block)
    builder.cbranch(builder.icmp_signed("<", following, count.value), body, behind)
    builder.position_at_end(behind)
    return found


def codelet(function: Callable[..., None], size: int = BYTES) -> Callable[..., None]:
    """Make function(arrays and indices), which returns nothing, callable from kernels. size: bytes of its vectors."""
    if numba.config.DISABLE_JIT:

        def plain(*arguments: Any) -> None:
            function(*(_Plain(a, size // a.itemsize) if isinstance(a, np.ndarray) else a for a in arguments))

        return plain

    def typed(context: Any, *arguments: Any) -> Any:
        del context

        def generate(target: Any, builder: Any, signature: Any, values: Any) -> Any:
            def given(kind: Any, value: Any) -> Any:
                if not isinstance(kind, types.Array):
                    return _Value(builder, value)
                bytes_each = kind.dtype.bitwidth // 8
                data = target.make_array(kind)(target, builder, value).data
                return _Array(builder, data, bytes_each, size // bytes_each)

            function(*(given(*pair) for pair in zip(signature.args, values, strict=True)))
            return target.get_dummy_value()

        return types.void(*(a if isinstance(a, types.Array) else types.intp for a in arguments)), generate

    names = ["context", *inspect.signature(function).parameters]
    parameters = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_OR_KEYWORD) for name in names]
    typed.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # numba counts the arguments
    typed.__name__ = typed.__qualname__ = function.__name__
    result: Callable[..., None] = intrinsic(typed)
    return result
