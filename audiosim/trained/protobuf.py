"""Messages in the encoding of protocol buffers (protobuf.dev/programming-guides/encoding), without their package.
ValueError or IndexError for what is damaged."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def varint(data: bytes, at: int) -> tuple[int, int]:
    """A number, seven bits a byte, the lowest first, and where it ends."""
    number = shift = 0
    while True:
        byte = data[at]
        at += 1
        number |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return number, at
        if shift > 63:
            raise ValueError("a number has more than 64 bits")


def fields(message: bytes) -> dict[int, Any]:
    """The last value of each field."""
    return {name: value for name, value, _ in every(message)}


def repeated(message: bytes, field: int) -> list[bytes]:
    """All values of a field."""
    return [value for name, value, _ in every(message) if name == field]


def every(message: bytes) -> Iterator[tuple[int, Any, bytes]]:
    """Fields in their order: number, value and all bytes. Values of fixed size are bytes."""
    at = 0
    while at < len(message):
        start = at
        tag, at = varint(message, at)
        match tag & 7:
            case 0:
                value, at = varint(message, at)
                yield tag >> 3, value, message[start:at]
                continue
            case 1 | 5 as kind:
                length = 8 if kind == 1 else 4
            case 2:
                length, at = varint(message, at)
            case other:
                raise ValueError(f"a field of the type {other}, which there is not")
        at += length
        if at > len(message):
            raise ValueError("a message ends within a field")
        yield tag >> 3, message[at - length : at], message[start:at]


def written(field: int, value: bytes) -> bytes:
    """A field that holds text or a message."""
    return _number(field << 3 | 2) + _number(len(value)) + value


def _number(n: int) -> bytes:
    return bytes([n & 127 | 128]) + _number(n >> 7) if n > 127 else bytes([n])
