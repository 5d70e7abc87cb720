"""Formats made of chunks with an announced size: WAV, RF64, W64, AIFF, CAF; and AU, which is one chunk."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import IO

from .layout import Layout, Part, Window, behind, cut_short

STREAMED = 0x7FFF_0000  # writers to a pipe put this or more where they cannot know the size
STREAMED_AIFF = 0x7E00_0000
ROUGH = 4096  # samples that a codec may add to the last of its blocks
PADDING = 4096  # zeros behind the sound that fill up a block of storage
W64 = b"riff.\x91\xcf\x11\xa5\xd6\x28\xdb\x04\xc1\x00\x00"
_W64_TAIL = b"\xf3\xac\xd3\x11\x8c\xd1\x00\xc0O\x8e\xdb\x8a"
_PLAIN = {1, 3, 6, 7, 0xFFFE}  # PCM, floats, A-law, mu-law, extensible
_BLOCKS = {2, 0x11, 0x31}  # ADPCM of Microsoft and IMA, GSM 6.10: blocks of as many bytes, for as many samples
_AIFF_PLAIN = {b"NONE", b"twos", b"sowt", b"raw ", b"fl32", b"FL32", b"fl64", b"FL64", b"in24", b"in32", b"23ni"}
NO_CHUNK = "is damaged: its header does not lead to any sound"

Header = Callable[[bytes], tuple[bytes, int, int] | None]  # bytes -> name, size of the chunk's body, size of its header


def riff(file: IO[bytes], size: int, head: bytes) -> Layout:
    """WAV, its big-endian kind, and RF64."""
    order = ">" if head[:4] == b"RIFX" else "<"
    wide = head[:4] in (b"RF64", b"BW64")
    (whole,) = struct.unpack_from(order + "I", head, 4)
    damage: list[str] = []
    frame, own, patch = 0, False, 0
    body = b""
    data64 = None
    read = _riff_header(order)
    for name, at, claimed in _walk(file, 12, size, read):
        if name == b"ds64" and wide:
            file.seek(at)
            whole, data64 = struct.unpack("<QQ", file.read(16).ljust(16, b"\0"))
            patch = at + 8
        elif name == b"fmt ":
            file.seek(at)
            body = file.read(20)
            frame, own, wrong = _format(body, order)
            damage += wrong
        elif name == b"data":
            if wide and claimed == 0xFFFF_FFFF and data64 is not None:
                claimed = data64
                streamed = data64 in (0, 0xFFFF_FFFF) or data64 >= 1 << 62
            else:
                streamed, patch = claimed >= STREAMED and not wide, at - 4
            form = "<Q" if patch != at - 4 else order + "I"
            held = size - at
            if not streamed and claimed == 0 and held > 0:
                streamed = _rest(file, at, size, read) > 0
            if streamed:
                return _streamed(file, "wav", at, size, patch, form, claimed, damage, noisy=not frame, own=own)
            damage += _block_heads(file, at, min(claimed, held), body, order)
            slack = at if 8 + whole <= size else 0  # the header counts itself, and the file is whole
            found = _sized("wav", file, at, claimed, size, read, damage, frame, slack, noisy=not frame, own=own)
            return found if own else replace(found, most=_most(body, order, claimed))
    return Layout("wav", (*damage, NO_CHUNK), noisy=True)


def w64(file: IO[bytes], size: int) -> Layout:
    """Sony's Wave64, whose sizes count their headers."""

    def read(head: bytes) -> tuple[bytes, int, int] | None:
        if len(head) < 24 or head[4:16] not in (_W64_TAIL, W64[4:]):
            return _zeros(head)
        return head[:4], int.from_bytes(head[16:24], "little") - 24, 24

    damage: list[str] = []
    frame, own = 0, False
    for name, at, claimed in _walk(file, 40, size, read, align=8):
        if name == b"fmt ":
            file.seek(at)
            frame, own, wrong = _format(file.read(20), "<")
            damage += wrong
        elif name == b"data":
            if claimed <= 0 < size - at or claimed >= 1 << 62:
                return _streamed(
                    file, "w64", at, size, at - 8, "<Q", claimed, damage, noisy=not frame, own=own, extra=24
                )
            found = _sized("w64", file, at, claimed, size, read, damage, frame, align=8, noisy=not frame, own=own)
            if at + claimed >= size:
                return found
            return replace(found, parts=(Part(source=partial(Window, file, 0, at + claimed)),))  # libsndfile reads on
    return Layout("w64", (*damage, NO_CHUNK), noisy=True)


def aiff(file: IO[bytes], size: int) -> Layout:
    """AIFF and AIFF-C."""
    read = _riff_header(">")
    damage: list[str] = []
    frame, frames, plain, seen, place = 0, 0, False, False, 0
    result: tuple[int, int] | None = None
    for name, at, claimed in _walk(file, 12, size, read):
        if name == b"COMM":
            file.seek(at)
            body, place = file.read(22), at + 2
            if len(body) >= 18:
                channels, frames, bits = struct.unpack_from(">HIH", body)
                plain = len(body) < 22 or claimed < 22 or body[18:22] in _AIFF_PLAIN
                frame, seen = channels * ((bits + 7) // 8), True
        elif name == b"SSND":
            result = at + 8, claimed - 8
    if result is None:
        return Layout("aiff", (*damage, NO_CHUNK), noisy=True)
    at, claimed = result
    if claimed >= STREAMED_AIFF and at + claimed > size:
        return Layout("aiff", tuple(damage), noisy=not plain, own=plain)  # libsndfile reads to the end
    if claimed <= 0 == frames and plain and frame and size - at >= frame:  # written to a pipe
        sound = (size - at) // frame
        sizes = {4: size - 8, place: sound, at - 12: sound * frame + 8}
        patches = {offset: (now & 0xFFFF_FFFF).to_bytes(4, "big") for offset, now in sizes.items()}
        return Layout("aiff", tuple(damage), (Part(source=partial(Window, file, 0, size, patches)),), own=True)
    file.seek(4)
    whole = int.from_bytes(file.read(4), "big") + 8
    if whole < at + claimed <= size:
        damage.append(f"is damaged: its header announces {whole} bytes, of which its sound is {claimed}")
    if seen and plain and frame and at + claimed <= size and frames != claimed // frame:
        damage.append(f"is damaged: its header announces {frames} samples, and sound of {claimed // frame}")
    return _sized("aiff", file, at, claimed, size, read, damage, frame if plain else 0, noisy=not plain, own=plain)


def caf(file: IO[bytes], size: int) -> Layout:
    """Apple's Core Audio Format."""

    def read(head: bytes) -> tuple[bytes, int, int] | None:
        if len(head) < 12 or not _is_name(head[:4]):
            return _zeros(head)
        return head[:4], int.from_bytes(head[4:12], "big", signed=True), 12

    damage: list[str] = []
    frame, plain = 0, False
    for name, at, claimed in _walk(file, 8, size, read, align=1):
        if name == b"desc":
            file.seek(at)
            body = file.read(32)
            if len(body) == 32:
                rate, code, _, packet, per_packet, channels, bits = struct.unpack(">d4sIIIII", body)
                plain, frame = code == b"lpcm", packet
                if plain and (packet != channels * ((bits + 7) // 8) or per_packet != 1):
                    damage.append("is damaged: its header contradicts itself on the channels or the bits")
                if not (1 <= rate < 1 << 32 and rate == int(rate)):
                    damage.append(f"is damaged: its header gives a sampling rate of {rate:g} Hz")
        elif name == b"data":
            if claimed < 0:
                if not plain:
                    return Layout("caf", tuple(damage), noisy=True)
                sound = (size - at - 4) // max(frame, 1) * frame + 4
                patch = {at - 8: sound.to_bytes(8, "big")}
                return Layout("caf", tuple(damage), (Part(source=partial(Window, file, 0, size, patch)),), own=True)
            frame = frame if plain else 0
            at, claimed = at + 4, claimed - 4  # without the count of edits
            return _sized("caf", file, at, claimed, size, read, damage, frame, align=1, noisy=not plain, own=plain)
    return Layout("caf", (*damage, NO_CHUNK), noisy=True)


def au(size: int, head: bytes) -> Layout:
    """Sun's and NeXT's AU."""
    if len(head) < 24:
        return Layout("au")
    order = ">" if head[:4] == b".snd" else "<"
    at, claimed, code, _, channels = struct.unpack_from(order + "5I", head, 4)
    frame = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}.get(code, 0) * channels
    if claimed >= STREAMED or at > size:
        return Layout("au", noisy=not frame, own=bool(frame))
    held = size - at
    if claimed > held and frame:
        return Layout("au", (cut_short(claimed // frame, held // frame),), own=True)
    if claimed < held:
        return Layout("au", (behind(held - claimed),), noisy=not frame, own=bool(frame))
    return Layout("au", noisy=not frame, own=bool(frame))


def _format(body: bytes, order: str) -> tuple[int, bool, list[str]]:
    """Of a chunk `fmt `: (bytes of a sample of all channels, 0 where it is compressed; whether libsndfile knows the
    codec; what is wrong)."""
    if len(body) < 16:
        return 0, False, []
    tag, channels, rate, byte_rate, block, bits = struct.unpack_from(order + "HHIIHH", body)
    wrong = False
    if tag in _PLAIN:
        wrong = block != channels * ((bits + 7) // 8) or byte_rate not in (0, rate * block)
    elif tag in _BLOCKS and len(body) >= 20:
        (samples,) = struct.unpack_from(order + "H", body, 18)
        held = {
            2: (block - 7 * channels) * 2 // max(channels, 1) + 2,
            0x11: (block - 4 * channels) * 2 // max(channels, 1) + 1,
            0x31: block * 320 // 65,
        }
        wrong = channels == 0 or samples != held[tag]
    said = ["is damaged: its header contradicts itself on the rate, the channels or the bits"] if wrong else []
    return block if tag in _PLAIN else 0, tag in _PLAIN | _BLOCKS, said


def _block_heads(file: IO[bytes], at: int, held: int, body: bytes, order: str) -> list[str]:
    """What is wrong with the beginnings of the blocks of ADPCM, of which each decoder makes something else."""
    tag, channels = struct.unpack_from(order + "HH", body) if len(body) >= 20 else (0, 0)
    if tag not in (2, 0x11):
        return []
    (block,) = struct.unpack_from(order + "H", body, 12)
    file.seek(at)
    data = file.read(held // max(block, 1) * block)
    for channel in range(min(channels, block // 4)):
        if tag == 2:  # Microsoft's: which of the 7 pairs of coefficients
            wrong = max(data[channel::block], default=0) > 6
        else:  # IMA's: which of the 89 steps, and a byte that is 0
            step, zero = (data[4 * channel + i :: block] for i in (2, 3))
            wrong = max(step, default=0) > 88 or any(zero)
        if wrong:
            return ["is damaged: a block of its ADPCM begins as none does"]
    return []


def _most(body: bytes, order: str, claimed: int) -> int:
    """Samples at most in so many bytes of a foreign codec, by the bytes a second in the chunk `fmt `; 0 for unknown."""
    if len(body) < 16:
        return 0
    rate, byte_rate = struct.unpack_from(order + "II", body, 4)
    return claimed * rate // byte_rate * 5 // 4 + ROUGH if byte_rate else 0


def _sized(
    kind: str,
    file: IO[bytes],
    at: int,
    claimed: int,
    end: int,
    read: Header,
    damage: list[str],
    frame: int,
    slack: int = 0,
    *,
    align: int = 2,
    noisy: bool,
    own: bool,
) -> Layout:
    """The layout of a file whose sound begins at `at` and has an announced size.

    end: of the file. frame: bytes of a sample of all channels, 0 where they are compressed.
    slack: bytes by which the header may miscount.
    """
    held = end - at
    if claimed > held:
        if claimed - held > slack:
            damage.append(
                cut_short(claimed // frame, held // frame)
                if frame
                else f"is cut short: its header announces {claimed} bytes of sound, it holds {max(held, 0)}"
            )
    elif lost := min(_rest(file, at + claimed + pad, end, read, align) for pad in {0, -claimed % align}):
        damage.append(behind(lost))
    elif frame and claimed % frame:
        damage.append(f"is damaged: its sound is no whole number of samples ({claimed % frame} bytes are left)")
    return Layout(kind, tuple(damage), noisy=noisy, own=own)


def _streamed(
    file: IO[bytes],
    kind: str,
    at: int,
    end: int,
    patch: int,
    form: str,
    claimed: int,
    damage: list[str],
    *,
    noisy: bool,
    own: bool,
    extra: int = 0,
) -> Layout:
    """The layout of a file whose writer could not go back to note the size: its sound goes on to the end."""
    if claimed >= STREAMED and form[1] == "I":
        return Layout(kind, tuple(damage), noisy=noisy, own=own)  # libsndfile knows

    size_now = struct.pack(form, min(end - at + extra, 0xFFFF_FFFE) if form[1] == "I" else end - at + extra)
    return Layout(
        kind, tuple(damage), (Part(source=lambda: Window(file, 0, end, {patch: size_now})),), noisy=noisy, own=own
    )


def _walk(file: IO[bytes], at: int, end: int, read: Header, align: int = 2) -> Iterator[tuple[bytes, int, int]]:
    """(name, start of the body, announced size) of each chunk, as long as there are any."""
    while at < end:
        file.seek(at)
        found = read(file.read(24))
        if found is None:
            return
        name, size, header = found
        at += header
        yield name, at, size
        if size < 0:
            return
        at += size + -size % align


def _rest(file: IO[bytes], at: int, end: int, read: Header, align: int = 2) -> int:
    """Bytes from `at` to the end that are no chunks, beyond zeros that fill up a block."""
    while at < end:
        file.seek(at)
        head = file.read(24)
        found = read(head)
        if found is None or (name := found[0]) in (b"RIFF", b"RF64", b"FORM", b"riff", b"data", b"SSND"):
            if found is None and at % 2 == 1 and align == 2:  # some writers leave out the byte that pads
                return _rest(file, at + 1, end, read, align)
            break
        if name == b"\0\0\0\0":
            if end - at > PADDING:
                break
            file.seek(at)
            return 0 if not file.read(end - at).strip(b"\0") else end - at
        _, size, header = found
        if size < 0 or at + header + size > end:
            break
        at += header + size + -size % align
    return max(end - at, 0)


def _riff_header(order: str) -> Header:
    def read(head: bytes) -> tuple[bytes, int, int] | None:
        if len(head) < 8 or not _is_name(head[:4]):
            return _zeros(head)
        return head[:4], struct.unpack_from(order + "I", head, 4)[0], 8

    return read


def _is_name(name: bytes) -> bool:
    return all(32 <= byte < 127 for byte in name)


def _zeros(head: bytes) -> tuple[bytes, int, int] | None:
    """A chunk without a name where there are but zeros."""
    return None if head.strip(b"\0") else (b"\0\0\0\0", -1, 0)
