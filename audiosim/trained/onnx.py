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
from . import protobuf

Array = NDArray[Any]

GRAPH = 7  # fields of ModelProto (onnx/onnx.proto)
NODE, INPUT, OUTPUT = 1, 11, 12  # of GraphProto
NODE_INPUT, NODE_OUTPUT = 1, 2  # of NodeProto
NAME = 1  # of ValueInfoProto


class Network(Protocol):
    """From inputs by name, float32, to the outputs in their order."""

    def __call__(self, inputs: Mapping[str, Array], outputs: list[str] | None = None, /) -> list[Array]: ...


def network(path: Path) -> Network:
    """The network in a file. MissingExtra without onnxruntime, InputError for a file that it cannot load."""
    return _loaded(path, *_stamp(path))


def halves(path: Path, tensor: str) -> tuple[Network, Network]:
    """The network in a file, cut where it has this tensor: what computes it, and what goes on from it and from the
    other inputs. So the first half can run once for many runs of the second. Errors as of network."""
    stamp = _stamp(path)
    return _loaded(path, *stamp, tensor, True), _loaded(path, *stamp, tensor, False)


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stamp = path.stat()
    except OSError as problem:
        raise InputError(f"cannot read the model {path}: {problem.strerror or problem}") from None
    return stamp.st_mtime_ns, stamp.st_size


@lru_cache(maxsize=8)
def _loaded(path: Path, modified: int, size: int, tensor: str = "", first: bool = True) -> Network:
    """tensor: of which the first half is wanted, or the second; "" for the whole network."""
    del modified, size  # of what the file was, when it was loaded
    try:
        import onnxruntime
    except ImportError:
        raise MissingExtra("networks of ONNX need onnxruntime: pip install 'audiosim[onnx]'") from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what it has to say is raised as well
    try:
        model = _half(path.read_bytes(), tensor, first) if tensor else str(path)
        session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as broken:  # noqa: BLE001  its own exceptions share no class
        raise InputError(f"{path}: cannot be read as a network of ONNX: {_told(broken)}") from None

    def run(inputs: Mapping[str, Array], outputs: list[str] | None = None) -> list[Array]:
        try:
            return [np.asarray(x) for x in session.run(outputs, dict(inputs))]
        except Exception as broken:  # noqa: BLE001
            raise InputError(f"{path}: the network refuses its input: {_told(broken)}") from None

    return run


def _half(model: bytes, tensor: str, first: bool) -> bytes:
    """The network with the nodes of one half alone; ValueError where it has no such tensor."""
    (graph,) = protobuf.repeated(model, GRAPH)
    nodes = protobuf.repeated(graph, NODE)
    makers = {name: node for node in nodes for name in protobuf.repeated(node, NODE_OUTPUT)}
    border = tensor.encode()
    if border not in makers:
        raise ValueError(f"it has no tensor {tensor}")
    ends = [border] if first else [protobuf.fields(value)[NAME] for value in protobuf.repeated(graph, OUTPUT)]
    needed: set[bytes] = set()
    while ends:
        name = ends.pop()
        if name not in needed and (first or name != border):
            needed.add(name)
            ends += protobuf.repeated(makers.get(name, b""), NODE_INPUT)

    def stays(field: int, value: bytes) -> bool:
        if field == NODE:
            return any(name in needed for name in protobuf.repeated(value, NODE_OUTPUT))
        if field == INPUT:
            return protobuf.fields(value)[NAME] in needed
        return field != OUTPUT or not first

    kept = b"".join(raw for field, value, raw in protobuf.every(graph) if stays(field, value))
    float32 = protobuf.written(2, protobuf.written(1, b"\x08\x01"))  # TypeProto, of any shape
    kept += protobuf.written(OUTPUT if first else INPUT, protobuf.written(NAME, border) + float32)
    rest = b"".join(raw for field, _, raw in protobuf.every(model) if field != GRAPH)
    return rest + protobuf.written(GRAPH, kept)


def _told(broken: Exception) -> str:
    return " ".join(str(broken).split())[:200]
