"""MPEG audio (MP1, MP2, MP3): frames in a row, each found by the length of the one before."""

from __future__ import annotations

import io
from functools import cache, partial

from .layout import Layout, Part, behind

_BITRATES = {  # kbit/s, by (MPEG 1?, layer)
    (True, 1): (0, 32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (0, 32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (0, 32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
TRIMMED = 3 * 1152 + 4096  # samples by which a decoder may shorten: a header, and what encoders add at both ends
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by the bits of the version


def is_frame(head: bytes) -> bool:
    """Whether this begins as a frame does."""
    return head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0


def tag_end(head: bytes) -> int:
    """Where an ID3v2 tag that begins like this ends."""
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))


def layout(data: bytes) -> Layout:
    """The layout of these bytes of a file, from its first frame on."""
    kind = _kind(data[:3])
    if kind is None:  # of a free bit rate
        return Layout("mp3", noisy=True)
    damage = _header_damage(data)
    bounds: list[tuple[int, int, int]] = []  # start, end, frames
    begun = at = lost = frames = 0
    announced = _announced(data, 0)
    size = len(data)

    def close(end: int) -> None:
        if frames:
            bounds.append((begun, end, frames))
            if announced is not None and frames - 1 < announced:
                damage.append(f"is cut short: its header announces {announced} frames, it holds {frames - 1}")

    while at < size:
        found = _frame(data[at : at + 3])
        if found is None or found[1:] != kind:
            if data[at : at + 3] == b"ID3" and at + 10 <= size:  # the next recording
                close(at)
                at = begun = tag_end(data[at : at + 10]) + at
                while at < size and data[at] == 0:
                    at += 1
                begun, frames, announced = at, 0, _announced(data, at)
                other = _kind(data[at : at + 3])
                kind = other or kind
                continue
            if data[at : at + 3] == b"TAG" and at + 128 <= size:
                close(at)
                at += 128
                begun, frames, announced = at, 0, _announced(data, at)
                kind = _kind(data[at : at + 3]) or kind
                continue
            after = _resync(data, at + 1, kind)
            if after is None:
                rest = data[at:]
                if rest.strip(b"\0"):
                    damage.append(behind(len(rest)))
                size = at
                break
            if data[at:after].strip(b"\0"):
                lost += after - at
            at = after
            continue
        if frames and (again := _announced(data, at)) is not None:
            close(at)
            begun, frames, announced = at, 0, again
        elif announced is not None and frames == announced + 1:  # more than the header of the first recording knows of
            close(at)
            begun, frames, announced = at, 0, None
        frames += 1
        at += found[0]
        if at > size:
            damage.append(f"is cut short: {at - size} bytes of its last frame are missing")
    close(min(at, size))
    if lost:
        damage.insert(0, f"is damaged: {lost} bytes between its frames are no MPEG audio")
    if not bounds:
        return Layout("mp3", ("is damaged: it holds no whole frame",), noisy=True)
    samples = 384 if kind[1] == 1 else 576 if kind[1] == 3 and kind[0] != 3 else 1152
    parts = tuple(
        Part(source=partial(_opened, data, a, b), least=max(count * samples - TRIMMED, 0)) for a, b, count in bounds
    )
    return Layout("mp3", tuple(damage), parts, noisy=True)


def _opened(data: bytes, start: int, end: int) -> io.BytesIO:
    return io.BytesIO(data[start:end])


@cache
def _frame(head: bytes) -> tuple[int, int, int, int] | None:
    """(bytes, version, layer, rate) of the frame with this header; None for what is none, or of a free bit rate."""
    if len(head) < 3 or not is_frame(head) or head[2] >> 4 in (0, 15) or head[2] >> 2 & 3 == 3:
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    if version == 1:
        return None
    bitrate = 1000 * _BITRATES[version == 3, layer][head[2] >> 4]
    rate = _RATES[version][head[2] >> 2 & 3]
    padding = head[2] >> 1 & 1
    if layer == 1:
        return (12 * bitrate // rate + padding) * 4, version, layer, rate
    return (72 if layer == 3 and version != 3 else 144) * bitrate // rate + padding, version, layer, rate


def _kind(head: bytes) -> tuple[int, int, int] | None:
    found = _frame(head)
    return None if found is None else found[1:]


def _resync(data: bytes, at: int, kind: tuple[int, int, int]) -> int | None:
    """Where the next frame begins that another one follows."""
    while (at := data.find(b"\xff", at)) >= 0:
        found = _frame(data[at : at + 3])
        if found is not None and found[1:] == kind:
            after = at + found[0]
            if after == len(data) or _kind(data[after : after + 3]) == kind:
                return at
        if data[at + 1 : at + 2] and data[at - 9 : at - 6] == b"ID3":
            return at
        at += 1
    return None


def _header_damage(data: bytes) -> list[str]:
    """What is wrong with the header of the first recording, where it has one."""
    place = max(data[:64].find(b"Xing"), data[:64].find(b"Info"))
    if place < 0:
        return []
    if data[4:place].strip(b"\0"):  # the frame would be taken for sound
        return ["is damaged: the frame that is its header is no header"]
    end = place + 154  # of what the encoder's checksum is over, where its part of the header follows
    noted = int.from_bytes(data[end : end + 2], "big")
    if data[place + 120 : place + 124] in (b"LAME", b"Lavf", b"Lavc") and data[place + 7] != 15:
        return ["is damaged: its header does not hold what it says"]
    if data[place + 7] != 15 or not data[place + 120 : end].strip(b"\0"):
        return []
    encoder = data[place + 120 : place + 124]
    named = all(32 <= byte < 127 for byte in encoder)
    if not named or (encoder[:3] in (b"LAM", b"Lav") and noted and _checksum(data[:end]) != noted):
        return ["is damaged: the header that its encoder wrote has a wrong checksum"]
    return []


def _checksum(data: bytes) -> int:
    """CRC-16, the lowest bit first."""
    found = 0
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0xA001 if found & 1 else 0)
    return found


def starts_late(data: bytes) -> int | None:
    """Where a row of four frames begins that something else precedes."""
    at = 0
    while (at := data.find(b"\xff", at)) >= 0:
        kind, after = _kind(data[at : at + 3]), at
        for _ in range(4):
            found = _frame(data[after : after + 3])
            if found is None or found[1:] != kind:
                break
            after += found[0]
        else:
            return at
        at += 1
    return None


def _announced(data: bytes, at: int) -> int | None:
    """Frames that follow, where this one is a header (Xing, Info, VBRI) and no sound."""
    head = data[at : at + 64]
    if len(head) < 64 or not is_frame(head):
        return None
    mono, first = head[3] >> 6 == 3, head[1] >> 3 & 3 == 3
    tag = 4 + ((17 if mono else 32) if first else (9 if mono else 17)) + (0 if head[1] & 1 else 2)
    for place in (tag, tag - 2 if not head[1] & 1 else tag):
        if head[place : place + 4] in (b"Xing", b"Info"):
            if head[place + 7] & 1:
                return int.from_bytes(data[at + place + 8 : at + place + 12], "big")
            return None
    if head[36:40] == b"VBRI":
        return int.from_bytes(head[50:54], "big")
    return None
