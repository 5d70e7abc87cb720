"""Ogg (RFC 3533): pages with checksums, recordings one after the other, and FLAC within."""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass, field
from functools import partial

from . import flac
from .layout import Layout, Part, Window, behind

_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SOUND = {b"\x01vorbis": "vorbis", b"OpusHead": "opus", b"\x7fFLAC": "flac", b"Speex   ": "speex"}


@dataclass(slots=True)
class _Stream:
    """Pages of one logical stream: where each lies, and whether the last one was there."""

    codec: str
    pages: list[tuple[int, int]] = field(default_factory=list)
    number: int = 0
    ended: bool = False


def layout(data: bytes) -> Layout:
    """The layout of a file that begins with a page."""
    links: list[dict[int, _Stream]] = []
    damage: list[str] = []
    skipped = at = 0
    opening = False
    while at < len(data):
        if data[at : at + 4] != b"OggS" or at + 27 > len(data):
            found = data.find(b"OggS", at + 1)
            if found < 0:
                if data[at:].strip(b"\0") and data[at : at + 3] != b"TAG":
                    damage.append(behind(len(data) - at) if len(data) - at > 27 else "is cut short within a page")
                break
            skipped += found - at
            at = found
            continue
        segments = data[at + 26]
        size = 27 + segments + sum(data[at + 27 : at + 27 + segments])
        page = data[at : at + size]
        if len(page) < size:
            damage.append(f"is cut short: {size - len(page)} bytes of its last page are missing")
            break
        if checksum(page) != int.from_bytes(page[22:26], "little"):
            damage.append(f"is damaged: the page at byte {at} has a wrong checksum")
            at += 1 if data[at + size : at + size + 4] not in (b"OggS", b"") else size
            continue
        flags, serial = page[5], int.from_bytes(page[14:18], "little")
        number = int.from_bytes(page[18:22], "little")
        if flags & 2:
            if not opening:
                links.append({})
            body = page[27 + segments :]
            codec = next((name for magic, name in _SOUND.items() if body.startswith(magic)), "")
            links[-1][serial] = _Stream(codec, number=number)
        opening = bool(flags & 2)
        stream = links[-1].get(serial) if links else None
        if stream is None:
            damage.append(f"is damaged: the page at byte {at} belongs to no recording")
        else:
            if number != stream.number and stream.codec:
                damage.append(f"is damaged: {abs(number - stream.number)} pages are missing before byte {at}")
            stream.number = number + 1
            stream.pages.append((at, at + size))
            stream.ended = bool(flags & 4)
        at += size
    if skipped:
        damage.append(f"is damaged: {skipped} bytes between its pages are no Ogg")
    sounds = [[s for s in link.values() if s.codec] for link in links]
    chosen = [streams[0] for streams in sounds if streams]
    if any(len(streams) > 1 for streams in sounds):
        damage.append("is read in part: it holds several streams of sound side by side, of which the first is read")
    if any(not stream.ended for stream in chosen) and not damage:
        damage.append("is cut short: its last page is missing")
    if any(s.codec == "speex" for s in chosen) or not chosen:
        return Layout("ogg", tuple(damage), noisy=True)
    parts = tuple(_part(data, stream, damage) for stream in chosen)
    return Layout("ogg", tuple(damage), parts, noisy=True)


def checksum(page: bytes) -> int:
    """CRC-32 of a page: zlib's, with the bits of bytes and result the other way round, from 0, its field taken as 0."""
    mirrored = (page[:22] + bytes(4) + page[26:]).translate(_REVERSED)
    found = zlib.crc32(mirrored, 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(found.to_bytes(4, "little").translate(_REVERSED), "big")


def _part(data: bytes, stream: _Stream, damage: list[str]) -> Part:
    pages = [data[a:b] for a, b in stream.pages]
    if stream.codec != "flac":
        return Part(source=lambda: io.BytesIO(b"".join(pages)))
    native = packets(pages)[9:]
    head = flac.header(io.BytesIO(native))
    damage += flac.contradictions(head)
    return flac.part(partial(Window, io.BytesIO(native), 0, len(native)), head)


def packets(pages: list[bytes]) -> bytes:
    """The bodies of all pages in a row: what they carry."""
    return b"".join(page[27 + page[26] :] for page in pages)
