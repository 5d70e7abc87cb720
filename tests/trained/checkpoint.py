"""Writes a checkpoint as TensorFlow does, so that tests need none: one block of keys, one of blocks, and the footer."""

import struct

import numpy as np

TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 9}


def written(tensors, stem):
    """stem.index and stem.data-00000-of-00001 with these arrays by name."""
    entries, data = {b"": number(1, 1)}, b""
    for name in sorted(tensors):
        numbers = np.ascontiguousarray(tensors[name])
        shape = b"".join(message(2, number(1, n)) for n in tensors[name].shape)
        entries[name.encode()] = (
            number(1, TYPES[numbers.dtype.name]) + message(2, shape) + number(4, len(data)) + number(5, numbers.nbytes)
        )
        data += numbers.tobytes()
    keys = _block(entries)
    index = keys + _block({b"\xff": _varint(0) + _varint(len(keys) - 5)})
    handles = _varint(0) + _varint(0) + _varint(len(keys)) + _varint(len(index) - len(keys) - 5)
    footer = handles.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)
    stem.with_name(f"{stem.name}.index").write_bytes(index + footer)
    stem.with_name(f"{stem.name}.data-00000-of-00001").write_bytes(data)


def _block(entries):
    """Keys share what they have in common with the one before; one restart; type and checksum behind."""
    out, last = b"", b""
    for key, value in entries.items():
        shared = next((i for i, (a, b) in enumerate(zip(key, last, strict=False)) if a != b), min(len(key), len(last)))
        out += _varint(shared) + _varint(len(key) - shared) + _varint(len(value)) + key[shared:] + value
        last = key
    return out + struct.pack("<II", 0, 1) + bytes(5)


def _varint(n):
    return bytes([n & 127 | 128]) + _varint(n >> 7) if n > 127 else bytes([n])


def number(field, value):
    return _varint(field << 3) + _varint(value)


def message(field, value):
    return _varint(field << 3 | 2) + _varint(len(value)) + value
