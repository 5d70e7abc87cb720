"""Support vector regression with radial basis functions, of models in the text format of libsvm.

Chang and Lin 2011, "LIBSVM: a library for support vector machines", doi 10.1145/1961189.1961199: f(x) = sum_i a_i
exp(-gamma |v_i - x|^2) - rho. Scored and read here; nothing is trained.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import lru_cache
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...errors import InputError

Array = NDArray[Any]

REGRESSIONS = ("nu_svr", "epsilon_svr")
SINGLE = ("svm_type", "kernel_type", "gamma", "nr_class", "total_sv", "rho")  # the lines before the vectors
PACKAGE, FILE = "visqol", ("model", "libsvm_nu_svr_model.txt")  # where visqol-python keeps ViSQOL's model


class Regression(NamedTuple):
    """vectors [vector, feature]; weights [vector]."""

    vectors: Array
    weights: Array
    gamma: float
    rho: float

    def __call__(self, x: Array) -> float:
        """The value at x [feature]."""
        distances = np.square(self.vectors - x).sum(1)
        return float(self.weights @ np.exp(-self.gamma * distances)) - self.rho


def regression_torch(model: Regression) -> Callable[[Any], Any]:
    """The regression for tensors: x [item, feature] -> [item]."""
    from ...engine.tensors import Constant

    vectors, weights = Constant(model.vectors), Constant(model.weights)

    def value(x: Any) -> Any:
        distances = (vectors(x) - x[:, None]).square().sum(2)
        return (-model.gamma * distances).exp() @ weights(x) - model.rho

    return value


def installed_model() -> Path | None:
    """The file of the model in the installed package visqol-python, which is not imported; None where it is not."""
    found = importlib.util.find_spec(PACKAGE)
    for place in found.submodule_search_locations or () if found else ():
        if (file := Path(place, *FILE)).is_file():
            return file
    return None


def model_file(path: str) -> Path | None:
    """The file of the model at that path, or where it is empty the installed one; None where there is none."""
    return Path(path).expanduser() if path else installed_model()


def chosen(path: str, features: int) -> Regression | None:
    """The regression in that file, or where it is empty the installed one; None where there is none."""
    file = model_file(path)
    return load(file, features) if file else None


def load(path: str | Path, features: int) -> Regression:
    """The regression in a file of libsvm, of at most so many features; InputError with the number of the bad line."""
    file = Path(path).expanduser()
    try:
        stamp = file.stat()
        return _load(file, stamp.st_mtime_ns, stamp.st_size, features)
    except OSError as problem:
        raise InputError(f"cannot read the model {path}: {problem.strerror or problem}") from None
    except UnicodeDecodeError:
        raise InputError(f"{path} is no model of libsvm: it is not text") from None


@lru_cache(maxsize=8)
def _load(file: Path, modified: int, size: int, features: int) -> Regression:
    header: dict[str, str] = {}
    weights: list[float] = []
    rows: list[Array] = []
    vectors = False
    number = 0
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                if vectors:
                    weight, row = _vector(line, features)
                    weights.append(weight)
                    rows.append(row)
                elif line.strip() == "SV":
                    _check(header)
                    vectors = True
                else:
                    name, value = _entry(line)
                    if name in header:
                        raise ValueError(f"{name} is given twice")
                    header[name] = value
            except ValueError as problem:
                raise InputError(f"{file}, line {number}: {problem}") from None
    if not vectors:
        raise InputError(f"{file}, line {number + 1}: the file ends before its support vectors")
    if len(rows) != int(header["total_sv"]):
        raise InputError(f"{file}, line {number + 1}: the file ends after {len(rows)} of {header['total_sv']} vectors")
    return Regression(np.array(rows), np.array(weights), float(header["gamma"]), float(header["rho"]))


def _entry(line: str) -> tuple[str, str]:
    """Name and value of a line before the vectors; ValueError where it is none that is known."""
    name, _, value = line.strip().partition(" ")
    value = value.strip()
    if name not in SINGLE or not value:
        raise ValueError(f"{line.strip()[:40]!r} is no line of a libsvm regression")
    if name == "svm_type" and value not in REGRESSIONS:
        raise ValueError(f"svm_type is nu_svr or epsilon_svr, not {value!r}")
    if name == "kernel_type" and value != "rbf":
        raise ValueError(f"kernel_type is rbf, not {value!r}")
    if name == "nr_class" and value != "2":
        raise ValueError(f"nr_class is 2, not {value!r}")
    if name in ("gamma", "rho"):
        _number(value)
    if name == "total_sv" and (not value.isdecimal() or not int(value)):
        raise ValueError(f"total_sv is a whole number from 1 on, not {value!r}")
    return name, value


def _check(header: dict[str, str]) -> None:
    missing = [name for name in SINGLE if name not in header and name != "nr_class"]
    if missing:
        raise ValueError(f"{missing[0]} is missing before the support vectors")


def _vector(line: str, features: int) -> tuple[float, Array]:
    """Weight and features of a line `weight 1:x 2:y`, in which zeros may be left out."""
    first, *pairs = line.split() or [""]
    row = np.zeros(features)
    last = 0
    for pair in pairs:
        index, colon, value = pair.partition(":")
        if not colon or not index.isdecimal():
            raise ValueError(f"{pair[:40]!r} is no index:value")
        if not last < int(index) <= features:
            raise ValueError(f"index {index[:20]} after {last}; they ascend from 1 to {features}")
        last = int(index)
        row[last - 1] = _number(value)
    return _number(first), row


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise ValueError(f"{text[:40]!r} is no number")
    return value
