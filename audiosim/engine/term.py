"""One scalar function of a distance gives all of its implementations: the compiled sum, its slope, torch and numpy.

    @PairTerm
    def log_square(r, t, floor):
        d = ln(maximum(t, floor) / maximum(r, floor))
        return d * d

The function holds assignments and one return, of + - * / **, numbers, and the functions below. It works on numpy arrays
as it stands. On tensors and in loops the same code object runs with these functions replaced. The slope is derived from
its syntax tree, by the rules of calculus, unless it is given: where derived terms cancel, a factored form keeps digits.
Kernels are made when they are first used, so that a card stays cheap.
"""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Mapping
from functools import cached_property
from types import FunctionType
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Scalar = Callable[..., Any]

ln, exp, sqrt, maximum, absolute = np.log, np.exp, np.sqrt, np.maximum, np.abs


class _Term:
    """What both kinds of terms share. arguments: numbers behind the samples, the same for all."""

    wrt: str  # the name of what the slope is taken with respect to

    def __init__(self, function: Scalar) -> None:
        self.function = function
        self.__doc__, self.__name__ = function.__doc__, function.__name__
        self._given: Scalar | None = None

    def slope(self, function: Scalar) -> Scalar:
        """Decorator: the slope, written by hand."""
        self._given = function
        return function

    def __call__(self, *values: Any) -> Any:
        """The term of arrays."""
        return self.function(*values)

    @cached_property
    def slope_function(self) -> Scalar:
        """The slope, of numbers."""
        return self._given or _compiled_source(slope_source(self.function, self.wrt), self.function)

    @cached_property
    def tensors(self) -> Scalar:
        """The term of tensors."""
        import torch

        def larger(x: Any, low: Any) -> Any:
            return x.clamp(min=low)

        names = {"ln": torch.log, "exp": torch.exp, "sqrt": torch.sqrt, "absolute": torch.abs, "maximum": larger}
        made: Scalar = _rebound(self.function, names)
        return made

    def _kernel(self, loop: Scalar, scalar: Scalar) -> Any:
        """The loop, compiled with this scalar in the place of _scalar."""
        import numba

        from . import elementary, kernel, moments

        names = _SCALARS
        if not numba.config.DISABLE_JIT:
            inline = numba.njit(inline="always", error_model="numpy")
            names = {name: inline(f) for name, f in {**_SCALARS, "ln": elementary.logarithm}.items()}
            scalar = numba.njit(error_model="numpy")(_rebound(scalar, names))
        else:
            scalar = _rebound(scalar, names)
        made = _rebound(loop, {"_scalar": scalar})
        # The kernel cache tells kernels apart by this name.
        code = self.function.__code__
        name = f"{self.function.__module__}.{self.__name__}{code.co_firstlineno}{loop.__name__}"
        made.__qualname__ = made.__name__ = name.replace(".", "_")
        return kernel.kernel_of(made, code.co_filename, elementary.__file__, moments.__file__)


class PairTerm(_Term):
    """A function of r, of the reference, and t, of the test, and of numbers: to be summed over bins."""

    wrt = "t"

    @cached_property
    def fold(self) -> Callable[..., None]:
        """(ref [frame, bin], test, arguments, edges [range + 1], out [frame, range, term]): term 0 is the sum over each
        range, float64; nan where a power is not finite."""
        return self._kernel(_fold, self.function)  # type: ignore[no-any-return]

    @cached_property
    def slopes(self) -> Callable[..., None]:
        """(ref [frame, bin], test, arguments, out [frame, bin]): the derivatives with respect to the test."""
        return self._kernel(_slopes, self.slope_function)  # type: ignore[no-any-return]


class ErrorTerm(_Term):
    """A function of e, the error test - reference, and of numbers: to be summed over samples."""

    wrt = "e"

    @cached_property
    def sums(self) -> Callable[..., None]:
        """As the kernels of engine.moments: adds the sum over samples to out [1]."""
        return self._kernel(_sums, self.function)  # type: ignore[no-any-return]

    @cached_property
    def slopes(self) -> Callable[..., None]:
        """(ref [item, sample], test, start, stop, out [item, sample], scale [item], *arguments): scale times the
        derivatives with respect to the test."""
        return self._kernel(_error_slopes, self.slope_function)  # type: ignore[no-any-return]


# The loops. _scalar stands for the term or its slope.


def _scalar(*values: Any) -> Any:
    raise NotImplementedError


def _fold(ref: Array, test: Array, arguments: Any, edges: Array, out: Array) -> None:
    for f in range(ref.shape[0]):
        for e in range(edges.size - 1):
            r = ref[f, edges[e] : edges[e + 1]]
            t = test[f, edges[e] : edges[e + 1]]
            total = 0.0
            power = 0.0
            for i in range(r.size):
                a = np.float64(r[i])
                b = np.float64(t[i])
                total += _scalar(a, b, *arguments)
                power += a + b
            out[f, e, 0] = total if np.isfinite(power) else np.nan  # ln reads bits, those of infinity as any number's


def _slopes(ref: Array, test: Array, arguments: Any, out: Array) -> None:
    for f in range(out.shape[0]):
        r = ref[f]
        t = test[f]
        g = out[f]
        for i in range(g.size):
            g[i] = _scalar(np.float64(r[i]), np.float64(t[i]), *arguments)


def _sums(ref: Array, test: Array, out: Array, *arguments: Any) -> None:
    for at in range(0, ref.size, 4096):
        r = ref[at : at + 4096]
        t = test[at : at + 4096]
        total = 0.0
        for i in range(r.size):
            total += _scalar(np.float64(t[i] - r[i]), *arguments)
        out[0] += total


def _error_slopes(ref: Array, test: Array, start: int, stop: int, out: Array, scale: Array, *arguments: Any) -> None:
    for k in range(ref.shape[0]):
        r = ref[k, start:stop]
        t = test[k, start:stop]
        y = out[k, start:stop]
        for i in range(y.size):
            y[i] = scale[k] * _scalar(np.float64(t[i] - r[i]), *arguments)


# What replaces the functions that a term may call, in compiled loops (there ln is elementary.logarithm).


def _sign(x: float) -> float:
    return (1.0 if x > 0 else 0.0) - (1.0 if x < 0 else 0.0)


def _maximum(x: float, low: float) -> float:
    return max(x, low)


def _absolute(x: float) -> float:
    return abs(x)


def _ln(x: float) -> float:
    return np.log(x)  # type: ignore[no-any-return]


def _exp(x: float) -> float:
    return np.exp(x)  # type: ignore[no-any-return]


def _sqrt(x: float) -> float:
    return np.sqrt(x)  # type: ignore[no-any-return]


_SCALARS: Mapping[str, Scalar] = {
    "ln": _ln,
    "exp": _exp,
    "sqrt": _sqrt,
    "maximum": _maximum,
    "absolute": _absolute,
    "sign": _sign,
}


def _rebound(function: Any, names: Mapping[str, Any]) -> Any:
    """The same code, in which these global names mean something else."""
    return FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__)


def _compiled_source(source: str, function: Any) -> Scalar:
    """The function that this source defines, as if it stood beside the term's."""
    names = {**function.__globals__, "sign": np.sign, "ln": ln, "exp": exp, "sqrt": sqrt}
    exec(compile(source, function.__code__.co_filename, "exec"), names)
    return names["slope"]  # type: ignore[no-any-return]


# The slope

_OUTER: Mapping[str, str] = {
    "ln": "(1.0 / ({0}))",
    "exp": "exp({0})",
    "sqrt": "(0.5 / sqrt({0}))",
    "absolute": "sign({0})",
}


def slope_source(function: Any, wrt: str) -> str:
    """The derivative of a term with respect to one of its arguments, as Python source of a function `slope`.

    Raises TypeError for what a term may not hold.
    """
    tree = ast.parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    known = {wrt: "1.0"}  # name -> the derivative of what it holds; absent where that is 0
    lines = [f"def slope({', '.join(a.arg for a in tree.args.args)}):"]
    for statement in tree.body:
        if isinstance(statement, ast.Assign) and [type(t) for t in statement.targets] == [ast.Name]:
            name = ast.unparse(statement.targets[0])
            slope = _derived(statement.value, known)
            known.pop(name, None)
            if slope:
                lines.append(f"    d_{name} = {slope}")  # before the name changes, which may be in it
                known[name] = f"d_{name}"
            lines.append(f"    {ast.unparse(statement)}")
        elif isinstance(statement, ast.Return) and statement.value is not None:
            lines.append(f"    return {_derived(statement.value, known) or '0.0'}")
        elif not (isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)):  # a docstring
            raise TypeError(f"a term holds assignments and one return, not {ast.unparse(statement)}")
    return "\n".join(lines) + "\n"


def _derived(node: ast.expr, known: Mapping[str, str]) -> str | None:
    """The derivative of an expression; None where it is 0."""
    if isinstance(node, ast.Name):
        return known.get(node.id)
    if isinstance(node, ast.Constant):
        return None
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _derived(node.operand, known)
        return inner and f"(-{inner})"
    if isinstance(node, ast.BinOp):
        return _of_operation(node, known)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
        inner = _derived(node.args[0], known)
        first = ast.unparse(node.args[0])
        if node.func.id == "maximum" and not _derived(node.args[1], known):
            return inner and f"(({inner}) if ({first}) >= ({ast.unparse(node.args[1])}) else 0.0)"
        if node.func.id in _OUTER:
            return inner and f"({_OUTER[node.func.id].format(first)} * {inner})"
    raise TypeError(f"a term may not hold {ast.unparse(node)}")


def _of_operation(node: ast.BinOp, known: Mapping[str, str]) -> str | None:
    a, b = ast.unparse(node.left), ast.unparse(node.right)
    x, y = _derived(node.left, known), _derived(node.right, known)
    if not x and not y:
        return None
    match node.op:
        case ast.Add():
            return f"({x} + {y})" if x and y else x or y
        case ast.Sub():
            return f"({x} - {y})" if x and y else x or f"(-{y})"
        case ast.Mult():
            parts = (x and f"({x} * ({b}))", y and f"(({a}) * {y})")
            return f"({' + '.join(p for p in parts if p)})"
        case ast.Div():
            return f"(({x or 0.0} - ({a}) / ({b}) * {y}) / ({b}))" if y else f"({x} / ({b}))"
        case ast.Pow() if not y:
            return f"(({b}) * ({a}) ** (({b}) - 1) * {x})"
    raise TypeError(f"a term may not hold {ast.unparse(node)}")
