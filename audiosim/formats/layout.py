"""What the bytes of a file say about it, and the tags that players put behind the sound."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import IO, Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A recording in the file, which a decoder reads on its own.

    length: samples that it announces. least: samples that it must hold, as far as its frames tell.
    """

    source: Callable[[], Any]
    length: int | None = None
    least: int = 0


class Window:
    """A part of an open file as a file of its own, in which some bytes are others; nothing is copied."""

    def __init__(self, file: IO[bytes], start: int, end: int, patches: Mapping[int, bytes] | None = None) -> None:
        self._file, self._start, self._end = file, start, end
        self._patches = dict(patches or {})
        self._first = max((at + len(new) for at, new in self._patches.items()), default=0)  # from here on none
        self._at = 0
        file.seek(start)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._end - self._start}[whence]
        self._at = max(base + offset, 0)
        self._file.seek(self._start + self._at)
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)
        left = self._end - self._start - self._at
        if len(view) > left:
            view = view[: max(left, 0)]
        count: int = self._file.readinto(view) or 0  # type: ignore[attr-defined]
        if self._at < self._first:
            for at, new in self._patches.items():
                for place, byte in enumerate(new, at - self._at):
                    if 0 <= place < count:
                        view[place : place + 1] = bytes([byte])
        self._at += count
        return count

    def read(self, count: int = -1) -> bytes:
        left = self._end - self._start - self._at
        buffer = bytearray(max(left if count < 0 else min(count, left), 0))
        return bytes(buffer[: self.readinto(buffer)])

    def write(self, data: bytes) -> int:
        raise OSError(f"{len(data)} bytes cannot be written: the file is only read")


@dataclass(frozen=True, slots=True)
class Layout:
    """kind: the format; unknown where the first bytes tell none, other where they tell one that is not looked into.

    damage: what is wrong, as sentences about the file. parts: its recordings in their order; none where the decoder may
    read the file itself. most: samples that it can hold by the bytes a
    second that it announces, generously; 0 where they tell nothing. noisy: its decoder may print.
    own: libsndfile knows its codec. piped: libsndfile reads it to its end from a pipe alone.
    misread: libsndfile reads it wrongly, ffmpeg does not.
    """

    kind: str
    damage: tuple[str, ...] = ()
    parts: tuple[Part, ...] = ()
    most: int = 0
    noisy: bool = False
    own: bool = False
    piped: bool = False
    misread: bool = False


def without_tags(file: IO[bytes], size: int) -> int:
    """Where the file ends without the tags behind its sound: ID3v1, Lyrics3, APE, in any order."""
    while size > 32:
        file.seek(max(size - 355, 0))
        tail = file.read(min(size, 355))
        if len(tail) >= 128 and tail[-128:-125] == b"TAG":
            size -= 355 if tail[:4] == b"TAG+" else 128
        elif tail[-32:-24] == b"APETAGEX":
            length = int.from_bytes(tail[-20:-16], "little") + (32 if tail[-9] & 0x80 else 0)
            if not 32 <= length <= size:
                break
            size -= length
        elif tail[-9:] == b"LYRICS200" and tail[-15:-9].isdigit():
            size -= min(int(tail[-15:-9]) + 15, size)
        elif tail[-10:-7] == b"3DI":
            size -= min(sum(byte << shift for byte, shift in zip(tail[-4:], (21, 14, 7, 0), strict=True)) + 20, size)
        else:
            break
    return size


def behind(count: int) -> str:
    """What to say of bytes behind the sound that are neither sound nor a tag."""
    return f"is read in part: {count} bytes behind its sound are not of its format"


def cut_short(announced: int, held: int) -> str:
    """What to say of a file that ends before its header says so."""
    return f"is cut short: its header announces about {announced} samples, it holds {held}"
