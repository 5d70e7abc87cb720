"""Checkpoints of TensorFlow 2 ("V2"), read with numpy alone: NAME.index, and NAME.data-00000-of-00001 beside it.

The index is a table as LevelDB writes it (leveldb/doc/table_format.md): blocks of keys, each of which shares a prefix
with the one before, found by a block of the blocks. Its values are BundleEntryProto
(tensorflow/core/protobuf/tensor_bundle.proto), in the encoding of protocol buffers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .protobuf import fields, repeated, varint

Array = NDArray[Any]

FOOTER, MAGIC = 48, 0xDB4775248B80FB57  # bytes at the end of a table, the last 8 of which are these
TYPES = {1: "<f4", 2: "<f8", 3: "<i4", 4: "u1", 6: "i1", 9: "<i8", 10: "?", 19: "<f2"}  # of DataType
DTYPE, SHAPE, SHARD, OFFSET, SIZE, SLICES = 1, 2, 3, 4, 5, 7  # fields of BundleEntryProto
DIMENSION, EXTENT = 2, 1  # of TensorShapeProto, and of a dimension in it
SHARDS, ENDIAN = 1, 2  # of BundleHeaderProto, the value of the empty key


def read(path: str | Path) -> dict[str, Array]:
    """The tensors of a checkpoint by name; InputError for what is damaged. path: of the index, or without a suffix."""
    stem = str(path).removesuffix(".index")
    index, numbers = Path(f"{stem}.index"), Path(f"{stem}.data-00000-of-00001")
    try:
        return dict(_tensors(index.read_bytes(), numbers.read_bytes()))
    except OSError as problem:
        raise InputError(f"cannot read the model {problem.filename}: {problem.strerror or problem}") from None
    except (ValueError, IndexError, TypeError, OverflowError, struct.error) as broken:
        raise InputError(f"{index}: cannot be read as a checkpoint of TensorFlow: {broken}") from None


def _tensors(index: bytes, numbers: bytes) -> Iterator[tuple[str, Array]]:
    if len(index) < FOOTER or struct.unpack("<Q", index[-8:])[0] != MAGIC:
        raise ValueError("it is no table")
    _, at = _handle(index, len(index) - FOOTER)  # of the block of what tables hold beside keys
    (start, size), _ = _handle(index, at)
    for _, value in _block(index, start, size):
        for key, entry in _block(index, *_handle(value, 0)[0]):
            known = fields(entry)
            if not key:
                if known.get(SHARDS, 1) != 1 or known.get(ENDIAN, 0):
                    raise ValueError("it has several files of data, or is big-endian: neither is read")
                continue
            kind, offset, length = (known.get(field, 0) for field in (DTYPE, OFFSET, SIZE))
            if kind not in TYPES:
                continue  # text, such as what the checkpoint says of its objects
            if SLICES in known:
                raise ValueError(f"{key.decode()} is cut in slices, which are not read")
            shape = [fields(extent).get(EXTENT, 0) for extent in repeated(known.get(SHAPE, b""), DIMENSION)]
            if offset + length > len(numbers) or prod(shape) * np.dtype(TYPES[kind]).itemsize != length:
                raise ValueError(f"{key.decode()} has not as many numbers as its shape {shape} asks for")
            yield key.decode(), np.frombuffer(numbers[offset : offset + length], TYPES[kind]).reshape(shape)


def _block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a block; the byte behind it says how it is compressed."""
    block = table[start : start + size]
    if len(block) != size or len(block) < 4:
        raise ValueError("it ends within a block")
    if table[start + size]:
        raise ValueError("its blocks are compressed, which is not read")
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]  # before the places at which keys are whole
    at, key = 0, b""
    while at < end:
        shared, at = varint(block, at)
        more, at = varint(block, at)
        length, at = varint(block, at)
        key = key[:shared] + block[at : at + more]
        at += more + length
        if at > end:
            raise ValueError("a block ends within a key")
        yield key, block[at - length : at]


def _handle(data: bytes, at: int) -> tuple[tuple[int, int], int]:
    """Start and size of a block, and where the handle ends."""
    start, at = varint(data, at)
    size, at = varint(data, at)
    return (start, size), at
