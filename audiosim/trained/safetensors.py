"""Files of safetensors: a header in JSON that says where the numbers of each tensor lie, and the numbers. Nothing in
them can be run. The format is that of huggingface/safetensors, README.md, "Format"."""

from __future__ import annotations

import json
import struct
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError

TYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1"}


def read(path: str | Path) -> dict[str, NDArray[Any]]:
    """The tensors by name; InputError for what is damaged."""
    try:
        data = Path(path).read_bytes()
        (size,) = struct.unpack_from("<Q", data)
        header = json.loads(data[8 : 8 + size])
        header.pop("__metadata__", None)
        return {name: _tensor(memoryview(data)[8 + size :], **entry) for name, entry in header.items()}
    except OSError as problem:
        raise InputError(f"cannot read the model {path}: {problem.strerror or problem}") from None
    except KeyError as kind:
        raise InputError(f"{path}: numbers of the type {kind} are not read") from None
    except (ValueError, TypeError, AttributeError, RecursionError, struct.error) as broken:
        raise InputError(f"{path}: cannot be read as a file of safetensors: {broken}") from None


def _tensor(data: memoryview, dtype: str, shape: list[int], data_offsets: tuple[int, int]) -> NDArray[Any]:
    numbers = np.frombuffer(data[slice(*data_offsets)], TYPES[dtype])
    if min(shape, default=0) < 0 or prod(shape) != numbers.size:
        raise ValueError(f"{numbers.size} numbers do not have the shape {shape}")
    return numbers.reshape(shape)
