"""How sound files are laid out, read from their bytes: where the sound lies, what is damaged, what is no sound at all.

Decoders stop at the first end that they meet and mend headers without a word; what is found here tells.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import IO, Any, cast

from . import chunks, flac, mpeg, ogg
from .layout import Layout, Window, cut_short, without_tags
from .muffle import muffled

__all__ = ["HEAD", "Layout", "cut_short", "inspect", "joined", "muffled", "no_sound", "size_of", "untagged"]

HEAD = 64  # bytes that tell most formats
PADDING = 4096  # zeros at most behind a tag
SEARCHED = 1 << 16  # bytes in which MPEG audio is looked for that something precedes
# Known by their first bytes, and read by ffmpeg alone.
_FOREIGN = (
    *(b"\x1aE\xdf\xa3", b"0&\xb2u", b"wvpk", b"MAC ", b"TTA1", b"MPCK", b"MP+", b"#!AMR", b"\x0bw"),
    *(b"FLV\x01", b"DSD ", b"FRM8"),
)
_MISREAD = (b"Creative Voice File\x1a",)  # libsndfile takes what stands between its blocks for sound
_NO_SOUND = (
    (b"\x89PNG\r\n", "is a picture (PNG)"),
    (b"\xff\xd8\xff", "is a picture (JPEG)"),
    (b"GIF8", "is a picture (GIF)"),
    (b"II*\0", "is a picture (TIFF)"),
    (b"MM\0*", "is a picture (TIFF)"),
    (b"%PDF-", "is a PDF document"),
    (b"PK\x03\x04", "is a ZIP archive"),
    (b"\x1f\x8b", "is compressed by gzip"),
    (b"7z\xbc\xaf", "is a 7z archive"),
    (b"\x7fELF", "is a program"),
)


def inspect(file: IO[bytes], size: int) -> Layout:
    """The layout of an open file of this many bytes; it is left at its start."""
    layout = _inspect(file, size, _at(file, 0, HEAD))
    file.seek(0)
    return layout


def untagged(file: IO[bytes]) -> tuple[IO[bytes], bool]:
    """The file without the tags that players of MP3 put before and behind any kind of sound; whether there are any."""
    start = 0
    while (head := _at(file, start, 10))[:3] == b"ID3" and len(head) == 10:
        start += mpeg.tag_end(head)
        padding = _at(file, start, PADDING)
        start += len(padding) - len(padding.lstrip(b"\0"))
    size = size_of(file)
    end = without_tags(file, size)
    file.seek(0)
    return (file, False) if (start, end) == (0, size) else (cast(Any, Window(file, start, max(start, end))), True)


def no_sound(head: bytes) -> str | None:
    """What the file is, and what to do, where its first bytes tell that it holds no sound."""
    if head.startswith(b"version https://git-lfs.github.com/spec/"):
        return "is a Git LFS pointer, not the sound itself; fetch it with `git lfs pull`"
    if head.startswith((b"/annex/objects/", b"../.git/annex/", b".git/annex/")):
        return "is a git-annex pointer, not the sound itself; fetch it with `git annex get`"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "is a picture (WebP), which holds no sound; give a sound file"
    if head[4:12] in (b"ftypavif", b"ftypheic", b"ftypmif1"):
        return "is a picture (HEIF or AVIF), which holds no sound; give a sound file"
    if head[:2] == b"BM" and head[6:10] == bytes(4):
        return "is a picture (BMP), which holds no sound; give a sound file"
    start = head.lstrip()[:14].lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "is a web page, perhaps the message of a server; download the sound again"
    for magic, what in _NO_SOUND:
        if head.startswith(magic):
            return f"{what}, which holds no sound; give a sound file"
    return None


def joined(file: IO[bytes], size: int) -> Layout | None:
    """The layout of several FLAC recordings in one file; None where there is one."""
    return flac.joined(file, size)


def _inspect(file: IO[bytes], size: int, head: bytes) -> Layout:
    magic = head[:4]
    if magic in (b"RIFF", b"RIFX", b"RF64", b"BW64"):
        return chunks.riff(file, size, head) if head[8:12] == b"WAVE" else Layout("other")
    if magic == b"riff" and head[4:16] == chunks.W64[4:]:
        return chunks.w64(file, size)
    if magic == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return chunks.aiff(file, size)
    if magic == b"caff":
        return chunks.caf(file, size)
    if magic in (b".snd", b"dns."):
        return chunks.au(size, head)
    if magic == b"fLaC":
        return flac.layout(file, size)
    if magic == b"OggS":
        return ogg.layout(_at(file, 0, size))
    if len(head) > 3 and mpeg.is_frame(head):
        return mpeg.layout(_at(file, 0, size))
    if magic == b"ftyp" or head[4:8] == b"ftyp" or head.startswith(_FOREIGN):
        return Layout("other")
    if head.startswith(_MISREAD) or (magic == b"FORM" and head[8:12] == b"8SVX"):
        return Layout("other", misread=True)
    late = mpeg.starts_late(_at(file, 0, SEARCHED)) if no_sound(head) is None else None
    if late is not None:
        found = mpeg.layout(_at(file, late, size))
        before = f"is damaged: {late} bytes before its first frame are no MPEG audio"
        return replace(found, damage=(before, *found.damage))
    return Layout("unknown", noisy=True)


def _at(file: IO[bytes], start: int, count: int) -> bytes:
    file.seek(start)
    parts = []
    while count > 0 and (part := file.read(count)):  # one read of a raw file gives at most 2 GB
        parts.append(part)
        count -= len(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def size_of(file: IO[bytes]) -> int:
    """Bytes in the file, which is left at its start."""
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size
