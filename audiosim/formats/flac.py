"""FLAC (RFC 9639): recordings one after the other, tags behind them, and headers that contradict each other."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from typing import IO, Any

from .layout import Layout, Part, Window, cut_short

_RATES = (0, 88200, 176400, 192000, 8000, 16000, 22050, 24000, 32000, 44100, 48000, 96000)
_BITS = (0, 8, 12, 0, 16, 20, 24, 32)


def layout(file: IO[bytes], size: int) -> Layout:
    """The layout of a file that begins with FLAC."""
    return _of([(file, 0, size)])


def joined(file: IO[bytes], size: int) -> Layout | None:
    """The layout where several recordings stand in a row, for which all of the file is read; None where one does."""
    file.seek(0)
    data = file.read(size)
    bounds = [m.start() for m in re.finditer(rb"fLaC[\0\x80]\0\0\x22", data)]
    if len(bounds) < 2:
        return None
    return _of([(file, a, b) for a, b in zip(bounds, [*bounds[1:], len(data)], strict=True)])


def _of(bounds: list[tuple[IO[bytes], int, int]]) -> Layout:
    damage: list[str] = []
    parts = []
    for file, start, end in bounds:
        head = header(Window(file, start, end))
        damage += contradictions(head)
        parts.append(part(partial(Window, file, start, end), head))
    return Layout("flac", tuple(damage), tuple(parts))


def part(opened: Callable[..., Any], head: bytes) -> Part:
    """The recording in what `opened` opens, without the announced length: its decoder goes on to the end, and says what
    it does not understand. opened: gets the bytes that are other ones."""
    if len(head) < 42:
        return Part(source=opened)
    patch = {21: bytes([head[21] & 0xF0, 0, 0, 0, 0])}
    return Part(source=lambda: opened(patch), length=int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF or None)


def header(file: Any) -> bytes:
    """The first block of FLAC's header, and the first 16 bytes of sound behind the last; empty for what is none."""
    head: bytes = file.read(42)
    if len(head) < 42 or head[4] & 0x7F or head[:4] != b"fLaC":
        return b""
    last, at = head[4] & 0x80, 42
    while not last:
        file.seek(at)
        block = file.read(4)
        if len(block) < 4:
            return head
        last, at = block[0] & 0x80, at + 4 + int.from_bytes(block[1:], "big")
    file.seek(at)
    return head + bytes(file.read(16))


def contradictions(head: bytes) -> list[str]:
    """What the header of the file and that of its first frame say differently of rate, channels and bits."""
    if not head:
        return ["is damaged: its header is cut or not in its place"]
    rate = int.from_bytes(head[18:21], "big") >> 4
    channels = (head[20] >> 1 & 7) + 1
    bits = (int.from_bytes(head[20:22], "big") >> 4 & 31) + 1
    frame = head[42:]
    if not frame:
        announced = int.from_bytes(head[21:26], "big") & 0xF_FFFF_FFFF
        return [cut_short(announced, 0)] if announced else []
    if len(frame) < 6 or frame[0] != 0xFF or frame[1] & 0xFE != 0xF8:
        return ["is damaged: no sound lies where its header ends"]
    said = []
    of_frame = _RATES[frame[2] & 15] if frame[2] & 15 < 12 else 0
    if of_frame and of_frame != rate:
        said.append(f"{rate} and {of_frame} Hz")
    width = frame[3] >> 4
    if (width + 1 if width < 8 else 2) != channels:
        said.append(f"{channels} and {width + 1 if width < 8 else 2} channels")
    if (of_bits := _BITS[frame[3] >> 1 & 7]) and of_bits != bits:
        said.append(f"{bits} and {of_bits} bits")
    return [f"is damaged: its headers contradict each other ({', '.join(said)})"] if said else []
