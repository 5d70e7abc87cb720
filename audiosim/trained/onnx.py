"""Networks in files of ONNX, run by onnxruntime on the processor: one thread a call, so that a value has the same bits
on any machine with as many or as few cores. Calls may come from several threads at once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, MissingExtra

Array = NDArray[Any]


class Network(Protocol):
    """From inputs by name, float32, to the outputs in their order."""

    def __call__(self, inputs: Mapping[str, Array], outputs: list[str] | None = None) -> list[Array]: ...


def network(path: Path) -> Network:
    """The network in a file. MissingExtra without onnxruntime, InputError for a file that it cannot load."""
    try:
        stamp = path.stat()
    except OSError as problem:
        raise InputError(f"cannot read the model {path}: {problem.strerror or problem}") from None
    return _loaded(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=8)
def _loaded(path: Path, modified: int, size: int) -> Network:
    del modified, size  # of what the file was, when it was loaded
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("networks of ONNX need onnxruntime: pip install 'audiosim[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it has to say is raised as well
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as broken:  # noqa: BLE001  its own exceptions share no class
        raise InputError(f"{path}: cannot be read as a network of ONNX: {_told(broken)}") from None

    def run(inputs: Mapping[str, Array], outputs: list[str] | None = None) -> list[Array]:
        try:
            return [np.asarray(x) for x in session.run(outputs, dict(inputs))]
        except Exception as broken:  # noqa: BLE001
            raise InputError(f"{path}: the network refuses its input: {_told(broken)}") from None

    return run


def _told(broken: Exception) -> str:
    return " ".join(str(broken).split())[:200]
