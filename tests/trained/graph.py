"""Writes small networks as files of ONNX (onnx/onnx.proto), so that tests need neither weights nor the package onnx."""

from __future__ import annotations

import numpy as np

from tests.trained.checkpoint import message, number


def written(path, nodes, weights, inputs, outputs):
    """nodes: (operator, inputs, output[, permutation]). weights: float32 arrays by name. inputs, outputs: shapes by
    name, in which a text is any size."""
    graph = b"".join(message(1, _node(*node)) for node in nodes) + text(2, "test")
    graph += b"".join(message(5, _tensor(name, x)) for name, x in weights.items())
    for field, values in ((11, inputs), (12, outputs)):
        graph += b"".join(message(field, _value(name, shape)) for name, shape in values.items())
    path.write_bytes(number(1, 8) + message(7, graph) + message(8, text(1, "") + number(2, 13)))


def text(field, value):
    return message(field, value.encode())


def _node(operator, inputs, output, permutation=None):
    node = b"".join(text(1, name) for name in inputs) + text(2, output) + text(4, operator)
    if permutation:
        axes = b"".join(number(8, axis) for axis in permutation)
        node += message(5, text(1, "perm") + axes + number(20, 7))
    return node


def _tensor(name, x):
    dims = b"".join(number(1, n) for n in x.shape)
    return dims + number(2, 1) + text(8, name) + message(9, np.ascontiguousarray(x, "<f4").tobytes())


def _value(name, shape):
    dims = b"".join(message(1, text(2, n) if isinstance(n, str) else number(1, n)) for n in shape)
    return text(1, name) + message(2, message(1, number(1, 1) + message(2, dims)))
