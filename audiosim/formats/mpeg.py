"""MPEG audio (MP1, MP2, MP3): frames in a row, each found by the length of the one before.

A frame carries no checksum of its sound. What Layer III can tell of damage is its accounts: a frame says where its bits
begin, in the frames before it, and how many they are, and those of one end before those of the next begin. What keeps
the accounts cannot be told from sound: other bits in their places, which all decoders read alike, and, seldom, a number
that is too small or another table, of which each decoder makes something else.
"""

from __future__ import annotations

import io
from functools import cache, partial
from typing import TYPE_CHECKING, Any

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
_SUMMED = 190  # bytes of a frame that is a header, of which ffmpeg takes the checksum
_FOLLOWING = 3  # frames that tell the length of those of a free bit rate
_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # by the bits of the version


if TYPE_CHECKING:
    from numpy.typing import NDArray


def is_frame(head: bytes) -> bool:
    """Whether this begins as a frame does."""
    return head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0


def tag_end(head: bytes) -> int:
    """Where an ID3v2 tag that begins like this ends."""
    body = sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=True))
    return body + (20 if head[5] & 0x10 else 10)  # with a footer


def layout(data: bytes) -> Layout:
    """The layout of these bytes of a file, from its first frame on."""
    free = _free(data)
    kind = _kind(data[:3], free)
    if kind is None:
        return Layout("mp3", noisy=True)
    damage = _header_damage(data)
    bounds: list[tuple[int, int, int]] = []  # start, end, frames
    starts: list[int] = []  # of the frames of the recording
    begun = at = lost = 0
    announced = _announced(data, 0)
    size = len(data)

    def close(end: int) -> None:
        if frames := len(starts):
            first = starts[1] if frames > 1 and _is_vbri(data[begun : begun + 40]) else begun  # which libmpg123 plays
            bounds.append((first, end, frames))
            if announced is not None and frames - 1 < announced:
                damage.append(f"is cut short: its header announces {announced} frames, it holds {frames - 1}")
            if not (lost or damage):
                damage.extend(_accounts(data, starts, end))
        starts.clear()

    while at < size:
        found = _frame(data[at : at + 3], free)
        if found is None or found[1:] != kind:
            if data[at : at + 3] == b"ID3" and at + 10 <= size:  # the next recording
                close(at)
                at = begun = tag_end(data[at : at + 10]) + at
                while at < size and data[at] == 0:
                    at += 1
                begun, announced = at, _announced(data, at)
                kind = _kind(data[at : at + 3], free) or kind
                continue
            if data[at : at + 3] == b"TAG" and at + 128 <= size:
                close(at)
                at += 128
                begun, announced = at, _announced(data, at)
                kind = _kind(data[at : at + 3], free) or kind
                continue
            after = _resync(data, at + 1, kind, free)
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
        if starts and (again := _announced(data, at)) is not None:
            close(at)
            begun, announced = at, again
        elif announced is not None and len(starts) == announced + 1:  # more than the first recording's header knows of
            close(at)
            begun, announced = at, None
        starts.append(at)
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
    return Layout("mp3", tuple(damage), parts, noisy=True, piped=not free)


def _opened(data: bytes, start: int, end: int) -> io.BytesIO:
    return io.BytesIO(data[start:end])


@cache
def _frame(head: bytes, free: int = 0) -> tuple[int, int, int, int] | None:
    """(bytes, version, layer, rate) of the frame with this header; None for what is none.

    free: bytes of frames of a free bit rate without their padding, 0 where there are none.
    """
    if len(head) < 3 or not is_frame(head) or head[2] >> 4 == 15 or head[2] >> 2 & 3 == 3:
        return None
    if (head[2] >> 4 == 0) != (free > 0):
        return None
    version, layer = head[1] >> 3 & 3, 4 - (head[1] >> 1 & 3)
    if version == 1:
        return None
    bitrate = 1000 * _BITRATES[version == 3, layer][head[2] >> 4]
    rate = _RATES[version][head[2] >> 2 & 3]
    padding = head[2] >> 1 & 1
    if free:
        return free + padding * (4 if layer == 1 else 1), version, layer, rate
    if layer == 1:
        return (12 * bitrate // rate + padding) * 4, version, layer, rate
    return (72 if layer == 3 and version != 3 else 144) * bitrate // rate + padding, version, layer, rate


def _kind(head: bytes, free: int = 0) -> tuple[int, int, int] | None:
    found = _frame(head, free)
    return None if found is None else found[1:]


def _free(data: bytes) -> int:
    """Bytes of the frames of a free bit rate without their padding: the distance from header to header."""
    if len(data) < 4 or data[2] >> 4:
        return 0
    at = 4
    while (at := data.find(data[:2], at)) > 0:
        unpadded = at - (data[2] >> 1 & 1) * (4 if data[1] >> 1 & 3 == 3 else 1)
        after = 0
        for _ in range(_FOLLOWING):
            found = _frame(data[after : after + 3], unpadded)
            if found is None or found[1:] != _kind(data[:3], unpadded):
                break
            after += found[0]
        else:
            return unpadded
        at += 1
    return 0


def _resync(data: bytes, at: int, kind: tuple[int, int, int], free: int) -> int | None:
    """Where the next frame begins that another one follows."""
    while (at := data.find(b"\xff", at)) >= 0:
        found = _frame(data[at : at + 3], free)
        if found is not None and found[1:] == kind:
            after = at + found[0]
            if after == len(data) or _kind(data[after : after + 3], free) == kind:
                return at
        if data[at + 1 : at + 2] and data[at - 9 : at - 6] == b"ID3":
            return at
        at += 1
    return None


def _accounts(data: bytes, starts: list[int], end: int) -> list[str]:
    """What is wrong with the accounts, and the checksums where there are any, of these frames of Layer III."""
    if data[starts[0] + 1] >> 1 & 3 != 1:  # Layer I or II
        return []
    import numpy as np

    every = np.frombuffer(data, np.uint8)
    at = np.array(starts)
    mpeg1 = data[starts[0] + 1] >> 3 & 3 == 3  # its frames hold two granules
    stereo = every[at + 3] >> 6 != 3
    checked = every[at + 1] & 1 == 0
    side = np.where(stereo, 32, 17) if mpeg1 else np.where(stereo, 17, 9)  # bytes of what stands before the bits
    head = np.where(checked, 6, 4)

    def field(place: NDArray[Any], width: int) -> NDArray[Any]:
        """The number of so many bits, at most 17, at these bits of the file."""
        first, second, third = (every[(place >> 3) + i].astype(np.int64) for i in range(3))
        found: NDArray[Any] = (first << 16 | second << 8 | third) >> (24 - width - (place & 7)) & (1 << width) - 1
        return found

    place = 8 * (at + head)
    room = np.diff(at, append=end) - head - side
    begin = 8 * (np.cumsum(room) - room - field(place, 9 if mpeg1 else 8))
    place += np.where(stereo, 20, 18) if mpeg1 else np.where(stereo, 10, 9)
    held = np.zeros(len(at), np.int64)
    for _ in range(2 if mpeg1 else 1):
        for there in (np.True_, stereo):
            held += field(place * there, 12) * there
            place += (59 if mpeg1 else 63) * there
    over = begin + held > np.append(begin[1:], 8 * room.sum())
    if over.any():
        return [f"is damaged: the sound of its frame {over.argmax() + 1} runs into that of the next"]
    if not checked.any():
        return []
    wrong = checked & (_checksums(every, at, side) != field(8 * at + 32, 16))
    if 0 < wrong.sum() <= len(at) / 2:  # beyond, its encoder did not know how
        return [f"is damaged: its frame {wrong.argmax() + 1} has a wrong checksum"]
    return []


def _checksums(every: NDArray[Any], at: NDArray[Any], side: NDArray[Any]) -> NDArray[Any]:
    """CRC-16, the highest bit first, of these frames: of half of their header, and so many bytes behind it."""
    import numpy as np

    table = np.arange(256) << 8
    for _ in range(8):
        table = (table << 1 ^ (table >> 15) * 0x8005) & 0xFFFF
    found = np.full(len(at), 0xFFFF)
    for k, offset in enumerate((2, 3, *range(6, 6 + int(side.max())))):
        byte = every[np.minimum(at + offset, len(every) - 1)]
        found = np.where(k < 2 + side, (found << 8 & 0xFFFF) ^ table[found >> 8 ^ byte], found)
    return found


def _header_damage(data: bytes) -> list[str]:
    """What is wrong with the header of the first recording, where it has one."""
    place = max(data[:64].find(b"Xing"), data[:64].find(b"Info"))
    if place < 0:
        return []
    if data[4 if data[1] & 1 else 6 : place].strip(b"\0"):  # the frame would be taken for sound
        return ["is damaged: the frame that is its header is no header"]
    end = place + 154  # of what the encoder's checksum is over, where its part of the header follows
    noted = int.from_bytes(data[end : end + 2], "big")
    if data[place + 120 : place + 124] in (b"LAME", b"Lavf", b"Lavc") and data[place + 7] != 15:
        return ["is damaged: its header does not hold what it says"]
    if data[place + 7] != 15 or not data[place + 120 : end].strip(b"\0"):
        return []
    encoder = data[place + 120 : place + 124]
    named = all(32 <= byte < 127 for byte in encoder)
    known = encoder[:3] in (b"LAM", b"Lav") and noted
    if not named or (known and noted != _checksum(data[:end]) and noted != _checksum(_as_ffmpeg_sums(data, end))):
        return ["is damaged: the header that its encoder wrote has a wrong checksum"]
    return []


def _as_ffmpeg_sums(data: bytes, end: int) -> bytes:
    """What ffmpeg takes the checksum of: always as many bytes as LAME does for two channels of MPEG 1, before it writes
    the checksum into them."""
    found = _frame(data[:3])
    frame = data[: found[0] if found else end]
    return (frame[:end] + bytes(2) + frame[end + 2 :])[:_SUMMED].ljust(_SUMMED, b"\0")


def _checksum(data: bytes) -> int:
    """CRC-16, the lowest bit first."""
    found = 0
    for byte in data:
        found ^= byte
        for _ in range(8):
            found = found >> 1 ^ (0xA001 if found & 1 else 0)
    return found


def _is_vbri(head: bytes) -> bool:
    """Whether the frame is the header that encoders of Fraunhofer write."""
    return head[36:40] == b"VBRI"


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
    if _is_vbri(head):
        return int.from_bytes(head[50:54], "big")
    return None
