"""Files are read whole, or it is said how much of them is not; what is damaged is not scored as if it were not."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

import audiosim
from audiosim import audio, load
from audiosim.errors import AudiosimError, InputError, UsageError
from audiosim.formats import mpeg, muffled, ogg, raw
from audiosim.testing.signals import pink
from tests.benchmarks import corrupted
from tests.conftest import Done

RATE = 48000
Cli = Callable[..., Done]


def _sound(seconds: float = 0.5, seed: int = 1, channels: int = 2, rate: int = RATE) -> Any:
    return np.clip(pink(rate, seconds, seed, channels), -0.9, 0.9).astype(np.float32)


def _encoded(form: str, subtype: str | None = None, x: Any = None, rate: int = RATE, **how: Any) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, (_sound() if x is None else x).T, rate, subtype, format=form, **how)
    return file.getvalue()


def _put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _refused(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        load(path)
    assert str(refused.value).isprintable()  # one line
    return str(refused.value)


# Several recordings in a row


@pytest.mark.parametrize(
    ("name", "form", "subtype"),
    [
        ("a.ogg", "OGG", "VORBIS"),
        ("a.opus", "OGG", "OPUS"),
        ("a.mp3", "MP3", "MPEG_LAYER_III"),
        ("a.flac", "FLAC", "PCM_16"),
        ("a.flac", "FLAC", "PCM_24"),
    ],
)
@pytest.mark.parametrize("tag", [b"", b"TAG" + bytes(125)])
def test_recordings_in_a_row_are_read_to_the_last(
    tmp_path: Path, name: str, form: str, subtype: str, tag: bytes
) -> None:
    if tag and form == "OGG":
        tag = b""
    parts = [_encoded(form, subtype, _sound(s, i)) for i, s in enumerate((0.5, 0.3, 0.4))]
    alone = [load(_put(tmp_path / f"{i}{name}", part)).samples for i, part in enumerate(parts)]
    together = load(_put(tmp_path / name, b"".join(parts) + tag))
    assert np.array_equal(together.samples, np.concatenate(alone, axis=1))
    assert together.notes == ()


@pytest.mark.parametrize("form", ["OGG", "FLAC", "MP3"])
def test_recordings_that_differ_cannot_be_one(tmp_path: Path, form: str) -> None:
    data = _encoded(form) + _encoded(form, x=_sound(channels=1))
    assert "2 channels at 48000 Hz, 1 channels at 48000 Hz" in _refused(_put(tmp_path / "a", data)) or form == "MP3"
    other = _encoded(form) + _encoded(form, x=_sound(rate=44100), rate=44100)
    assert _refused(_put(tmp_path / "b", other))


@pytest.mark.parametrize("form", ["WAV", "AIFF", "CAF", "W64", "AU"])
def test_what_stands_behind_the_sound_is_not_passed_over(tmp_path: Path, form: str) -> None:
    data = _encoded(form, "PCM_16")
    assert f"{len(data)} bytes behind its sound" in _refused(_put(tmp_path / "a", data + data))
    path = _put(tmp_path / "b", data + b"\x07garbage" * 100)
    assert "800 bytes behind its sound" in _refused(path)
    left = load(path, damaged="allow")
    assert left.length >= RATE // 2
    assert "800 bytes" in left.notes[0]


@pytest.mark.parametrize("form", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU", "FLAC", "MP3"])
def test_tags_behind_the_sound_are_no_sound(tmp_path: Path, form: str) -> None:
    data = _encoded(form)
    plain = load(_put(tmp_path / "plain", data))
    ape = b"APETAGEX" + (2000).to_bytes(4, "little") + (32).to_bytes(4, "little") + bytes(16)
    id3 = b"TAG" + b"title".ljust(125, b"\0")
    for tags in (id3, ape, ape + id3, b"LYRICSBEGIN000011LYRICS200" + id3):
        tagged = load(_put(tmp_path / "tagged", data + tags))
        assert np.array_equal(tagged.samples, plain.samples)
        assert tagged.notes == ()


def _id3v2(size: int, footer: bool = False) -> bytes:
    body = bytes([size >> shift & 0x7F for shift in (21, 14, 7, 0)])
    flags = 0x10 if footer else 0
    return b"ID3\x04\0" + bytes([flags]) + body + bytes(size) + (b"3DI\x04\0\x10" + body if footer else b"")


@pytest.mark.parametrize("form", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU", "FLAC", "OGG", "MP3"])
def test_tags_of_mp3_before_any_sound_are_no_sound(tmp_path: Path, form: str) -> None:
    data = _encoded(form)
    plain = load(_put(tmp_path / "plain", data))
    for tags in (_id3v2(300), _id3v2(70_000), _id3v2(300) + bytes(64), _id3v2(300, footer=True), 2 * _id3v2(4086)):
        for tail in (b"", b"TAG" + bytes(125)) if form != "OGG" else (b"",):
            tagged = load(_put(tmp_path / "tagged", tags + data + tail))
            assert np.array_equal(tagged.samples, plain.samples)
            assert (tagged.notes, tagged.decoder) == ((), "")
    assert _refused(_put(tmp_path / "cut", _id3v2(300) + data[: len(data) * 2 // 3]))


def _chunk(name: bytes, body: bytes, pad: bool = True) -> bytes:
    return name + len(body).to_bytes(4, "little") + body + (b"\0" if pad and len(body) % 2 else b"")


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("pad", [True, False])
def test_chunks_before_and_behind_the_sound_are_no_sound(tmp_path: Path, bits: int, pad: bool) -> None:
    """Also where the sound has an odd number of bytes and the writer left out the one that pads them."""
    sound = np.random.default_rng(1).integers(0, 256, 4801 * bits // 8, np.uint8).tobytes()
    form = struct.pack("<HHIIHH", 1, 1, RATE, RATE * bits // 8, bits // 8, bits)
    others = [(b"LIST", b"INFO" + _chunk(b"INAM", b"a title")), (b"JUNK", bytes(28)), (b"bext", bytes(602))]
    others += [(b"iXML", b"<BWFXML/> "), (b"cue ", bytes(28)), (b"smpl", bytes(36)), (b"odd ", b"abc")]
    others += [(b"id3 ", _id3v2(9)), (b"APIC", bytes(3_000_000))]

    def wav(before: bytes, behind: bytes) -> bytes:
        body = b"WAVE" + _chunk(b"fmt ", form) + before + _chunk(b"data", sound, pad) + behind
        return b"RIFF" + len(body).to_bytes(4, "little") + body

    plain = load(_put(tmp_path / "plain.wav", wav(b"", b"")))
    assert plain.length == 4801
    for made in [[other] for other in others] + [others]:
        chunks = b"".join(_chunk(*one) for one in made)
        for before, behind in ((chunks, b""), (b"", chunks), (chunks, chunks)):
            assert np.array_equal(load(_put(tmp_path / "a.wav", wav(before, behind))).samples, plain.samples)


def test_flac_with_a_picture_is_read(tmp_path: Path) -> None:
    data = _encoded("FLAC", "PCM_16")
    picture = b"\0\0\0\x03\0\0\0\x09image/png" + bytes(20) + (10_000_000).to_bytes(4, "big") + bytes(10_000_000)
    with_it = data[:42] + b"\x06" + len(picture).to_bytes(3, "big") + picture + data[42:]
    plain = load(_put(tmp_path / "a.flac", data))
    assert np.array_equal(load(_put(tmp_path / "b.flac", with_it)).samples, plain.samples)


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_voc_in_several_blocks_is_sound_alone(tmp_path: Path) -> None:
    """libsndfile takes what stands between the blocks for sound."""
    steps = (_sound(0.2, channels=1).ravel() * 32767).astype("<i2")
    head = b"Creative Voice File\x1a\x1a\0\x14\x01\x1f\x11"
    form = RATE.to_bytes(4, "little") + b"\x10\x01\x04\0" + bytes(4)
    first, second = steps[:4000].tobytes(), steps[4000:].tobytes()
    blocks = b"\x09" + (12 + len(first)).to_bytes(3, "little") + form + first
    blocks += b"\x02" + len(second).to_bytes(3, "little") + second + b"\0"
    read = load(_put(tmp_path / "a.voc", head + blocks))
    assert np.array_equal(read.samples[0] * 32768, steps)
    assert read.decoder == "ffmpeg"


# Sizes that lie


@pytest.mark.parametrize("size", [0, 0xFFFF_FFFF, 0x7FFF_F000])
@pytest.mark.parametrize("subtype", ["PCM_16", "FLOAT", "PCM_24"])
@pytest.mark.parametrize("tag", [b"", b"TAG" + bytes(125)])
def test_wav_from_a_pipe_goes_on_to_its_end(tmp_path: Path, size: int, subtype: str, tag: bytes) -> None:
    data = bytearray(_encoded("WAV", subtype))
    at = data.index(b"data") + 4
    plain = load(_put(tmp_path / "plain.wav", data))
    data[at : at + 4] = size.to_bytes(4, "little")
    data[4:8] = size.to_bytes(4, "little")
    assert np.array_equal(load(_put(tmp_path / "a.wav", data + tag)).samples, plain.samples)


@pytest.mark.parametrize("size", [0, 1 << 63, 0xFFFF_FFFF_FFFF_FFFF])
@pytest.mark.parametrize("form", ["RF64", "W64"])
def test_so_do_its_large_kinds(tmp_path: Path, form: str, size: int) -> None:
    data = bytearray(_encoded(form, "PCM_16"))
    plain = load(_put(tmp_path / "plain.wav", data))
    at = data.index(b"ds64") + 16 if form == "RF64" else data.index(b"data") + 16
    data[at : at + 8] = size.to_bytes(8, "little")
    assert np.array_equal(load(_put(tmp_path / "a.wav", data)).samples, plain.samples)


@pytest.mark.parametrize("form", ["WAV", "RF64", "W64", "AIFF", "CAF", "AU"])
@pytest.mark.parametrize("share", [0.5, 2.0])
def test_a_size_that_lies_is_told(tmp_path: Path, form: str, share: float) -> None:
    data = bytearray(_encoded(form, "PCM_16"))
    at, width, order, extra = {
        "WAV": (data.find(b"data") + 4, 4, "little", 0),
        "RF64": (data.find(b"ds64") + 16, 8, "little", 0),
        "W64": (data.find(b"data") + 16, 8, "little", 24),
        "AIFF": (data.find(b"SSND") + 4, 4, "big", 8),
        "CAF": (data.find(b"data") + 4, 8, "big", 4),
        "AU": (8, 4, "big", 0),
    }[form]
    size = int.from_bytes(data[at : at + width], order) - extra  # type: ignore[arg-type]
    data[at : at + width] = (int(share * size) // 8 * 8 + extra).to_bytes(width, order)  # type: ignore[arg-type]
    path = _put(tmp_path / "a", data)
    said = _refused(path)
    assert ("behind its sound" if share < 1 and form != "AIFF" else "is damaged" if share < 1 else "cut short") in said
    assert load(path, damaged="allow").length > 0


def test_a_wav_that_lacks_a_millisecond_is_cut_short(tmp_path: Path) -> None:
    data = _encoded("WAV", "PCM_16")
    assert "cut short: its header announces about 24000 samples, it holds 23952" in _refused(
        _put(tmp_path / "a.wav", data[: -48 * 4])
    )
    assert load(tmp_path / "a.wav", damaged="allow").length == 23952


# Damage


@pytest.mark.parametrize("place", [0.2, 0.5, 0.9])
@pytest.mark.parametrize(("form", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("OGG", "OPUS")])
def test_a_flipped_bit_under_a_checksum_is_damage(tmp_path: Path, form: str, subtype: str, place: float) -> None:
    data = bytearray(_encoded(form, subtype))
    data[int(place * len(data))] ^= 4
    assert "is damaged" in _refused(_put(tmp_path / "a", data))
    if place > 0.2 or form == "FLAC":  # else it is the table of codes, without which nothing can be read
        left = load(tmp_path / "a", damaged="allow")
        assert "is damaged" in left.notes[0]


@cache
def _noisy_mp3() -> bytes:
    """An MP3 of whose damage its decoder speaks, and nothing else tells."""
    good = _encoded("MP3", x=_sound(2.0, channels=1), bitrate_mode="CONSTANT", compression_level=0.5)
    for seed in range(100):
        data = bytearray(good)
        data[3000:3200] = np.random.default_rng(seed).integers(0, 128, 200, np.uint8).tobytes()
        if not mpeg.layout(bytes(data)).damage and audio.decode(bytes(data), "a", damaged="allow").notes:
            return bytes(data)
    pytest.skip("this encoder's files cannot be damaged like that")


def test_what_the_decoder_of_mp3_prints_is_said_in_our_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = _put(tmp_path / "a.mp3", _noisy_mp3())
    assert "is damaged" in _refused(path)
    assert load(path, damaged="allow").notes
    assert capfd.readouterr() == ("", "")


@pytest.mark.skipif(os.name != "posix", reason="by descriptors")
def test_other_threads_go_on_writing_meanwhile(capfd: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = _put(tmp_path / "a.mp3", _noisy_mp3())
    good = _put(tmp_path / "b.mp3", _encoded("MP3"))
    failed: list[bool] = []

    def read(which: Path, bad: bool) -> None:
        failed.extend(bool(load(which, damaged="allow").notes) != bad for _ in range(4))

    readers = [threading.Thread(target=read, args=a) for a in ((path, True), (good, False)) * 2]
    for reader in readers:
        reader.start()
    for i in range(200):
        print(f"line {i}", file=sys.stderr, flush=True)
    for reader in readers:
        reader.join()
    assert failed == [False] * 16  # each file is told only what its own decoder said
    assert capfd.readouterr().err.splitlines() == [f"line {i}" for i in range(200)]


def test_nothing_is_caught_after_an_error() -> None:
    with pytest.raises(ZeroDivisionError), muffled():
        1 / 0  # noqa: B018
    with muffled() as said:
        pass
    assert said == []


def _frames(data: bytes) -> list[int]:
    """Where the frames of an MP3 begin."""
    at, starts = 0, []
    while (found := mpeg._frame(data[at : at + 3])) is not None:
        starts.append(at)
        at += found[0]
    assert at == len(data)
    return starts


def _with_bits(data: bytes, place: int, width: int, change: Callable[[int], int]) -> bytes:
    """The data with other bits at this place."""
    whole = int.from_bytes(data, "big")
    shift = 8 * len(data) - place - width
    old = whole >> shift & (1 << width) - 1
    return (whole ^ (old ^ change(old)) << shift).to_bytes(len(data), "big")


@pytest.mark.parametrize("rate", [44100, 24000])
@pytest.mark.parametrize("channels", [1, 2])
def test_the_accounts_of_mp3_tell_of_damage(tmp_path: Path, rate: int, channels: int) -> None:
    """Decoders go on without a word, each in its own way."""
    data = _encoded("MP3", x=_sound(2.0, channels=channels, rate=rate), rate=rate)
    assert mpeg.layout(data).damage == ()
    first = rate > 32000
    lead = {(True, 2): 20, (True, 1): 18, (False, 2): 10, (False, 1): 9}[first, channels]  # bits before the length
    for start in _frames(data)[10:40:7]:
        side = 8 * (start + 4)
        for bad in (
            _with_bits(data, side + lead, 12, lambda n: n | 0xC00),  # bits of its first half
            _with_bits(data, side, 9 if first else 8, lambda n: n ^ 0x80),  # bytes before the frame
        ):
            assert "runs into that of the next" in _refused(_put(tmp_path / "a.mp3", bad))
            assert "runs into" in load(tmp_path / "a.mp3", damaged="allow").notes[0]


def test_a_frame_of_mp3_with_too_much_gain_is_damage(tmp_path: Path) -> None:
    x = _sound(2.0, channels=1)
    data = _encoded("MP3", x=x)
    loud = _with_bits(data, 8 * (_frames(data)[20] + 4) + 18 + 21, 8, lambda n: n | 0xF0)
    assert "a: is damaged: it peaks at +" in _refused(_put(tmp_path / "a", loud))
    everywhere = load(_put(tmp_path / "b", _encoded("MP3", x=np.float32(1000) * x)))  # in other units
    assert everywhere.notes == ()
    assert np.abs(everywhere.samples).max() > audio.BURST


def test_the_header_of_fraunhofer_is_no_sound(tmp_path: Path) -> None:
    data = _encoded("MP3", x=_sound(1.0), bitrate_mode="CONSTANT", compression_level=0.5)
    starts = _frames(data)
    frames = data[starts[1] :]  # without LAME's header
    head = bytearray(starts[1] - starts[0])
    head[:4] = data[:4]
    head[36:42] = b"VBRI\0\1"
    head[50:54] = (len(starts) - 1).to_bytes(4, "big")
    plain = load(_put(tmp_path / "plain.mp3", frames))
    read = load(_put(tmp_path / "a.mp3", bytes(head) + frames))
    assert np.array_equal(read.samples, plain.samples)
    cut = bytes(head) + frames[: starts[-1] - starts[1]]
    assert "cut short: its header announces" in _refused(_put(tmp_path / "b.mp3", cut))


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
@pytest.mark.parametrize("rate", [44100, 24000, 8000])
@pytest.mark.parametrize("channels", [1, 2])
def test_mp3_of_ffmpeg_is_read(tmp_path: Path, rate: int, channels: int) -> None:
    """It takes the checksum of its header over other bytes than LAME does."""
    path = _put(tmp_path / "a.wav", _encoded("WAV", "PCM_16", _sound(1.0, channels=channels, rate=rate), rate))
    subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), str(tmp_path / "a.mp3")], check=True)
    read = load(tmp_path / "a.mp3")
    assert (read.length, read.notes, read.decoder) == (rate, (), "")
    head = mpeg.tag_end((tmp_path / "a.mp3").read_bytes()[:10])
    bad = bytearray((tmp_path / "a.mp3").read_bytes())
    bad[head + 150] ^= 1
    assert "wrong checksum" in _refused(_put(tmp_path / "b.mp3", bad))


@pytest.mark.skipif(not shutil.which("lame"), reason="lame is not installed")
@pytest.mark.parametrize("rate", [44100, 24000])
@pytest.mark.parametrize("channels", [1, 2])
def test_checksums_of_mp3_frames_are_those_of_its_encoder(tmp_path: Path, rate: int, channels: int) -> None:
    path = _put(tmp_path / "a.wav", _encoded("WAV", "PCM_16", _sound(1.0, channels=channels, rate=rate), rate))
    subprocess.run(["lame", "--quiet", "-p", str(path), str(tmp_path / "a.mp3")], check=True)
    assert load(tmp_path / "a.mp3").notes == ()
    data = (tmp_path / "a.mp3").read_bytes()
    for start in _frames(data)[3:20:4]:
        bad = bytearray(data)
        bad[start + 10] ^= 2
        said = _refused(_put(tmp_path / "b.mp3", bad))
        assert "has a wrong checksum" in said or "runs into" in said


@pytest.mark.skipif(not shutil.which("lame"), reason="lame is not installed")
@pytest.mark.parametrize("header", [[], ["-t"]])
def test_mp3_of_a_free_bit_rate_is_read_to_its_end(tmp_path: Path, header: list[str]) -> None:
    path = _put(tmp_path / "a.wav", _encoded("WAV", "PCM_16", _sound(2.0)))
    free = ["lame", "--quiet", *header, "--freeformat", "-b", "400"]
    subprocess.run([*free, str(path), str(tmp_path / "a.mp3")], check=True)
    read = load(tmp_path / "a.mp3")
    assert read.notes == ()
    assert 0 <= read.length - 2 * RATE <= (3 * 1152 if header else 0)
    data = (tmp_path / "a.mp3").read_bytes()
    assert "is cut short" in _refused(_put(tmp_path / "b.mp3", data[:-500]))


def test_alac_is_checked_where_it_does_not_lie_on_disk(tmp_path: Path) -> None:
    if not shutil.which("ffmpeg"):
        pytest.skip("ffmpeg is not installed")
    data = bytearray(_encoded("CAF", "ALAC_16"))
    assert audio.decode(bytes(data), "a").notes == ()
    at = data.index(b"data") + 16
    data[at : at + 300] = bytes(300)
    assert "is damaged: ffmpeg" in _refused(_put(tmp_path / "a.caf", data))
    with pytest.raises(InputError, match="is damaged: ffmpeg"):
        audio.decode(bytes(data), "a")


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_a_codec_that_finds_more_sound_than_there_is_room_for(tmp_path: Path) -> None:
    data = bytearray(_encoded("WAV", "ULAW"))
    data[data.index(b"fmt ") + 8] ^= 0x10  # the tag of Dialogic's ADPCM, which has two samples in a byte
    said = _refused(_put(tmp_path / "a.wav", data))
    assert "its header has room for" in said


@pytest.mark.parametrize(("subtype", "place"), [("IMA_ADPCM", 2), ("IMA_ADPCM", 3), ("MS_ADPCM", 0)])
@pytest.mark.parametrize("channels", [1, 2])
def test_blocks_of_adpcm_that_begin_as_none_does(tmp_path: Path, subtype: str, place: int, channels: int) -> None:
    data = bytearray(_encoded("WAV", subtype, _sound(channels=channels)))
    assert load(_put(tmp_path / "a.wav", data)).notes == ()
    at, block = data.index(b"data") + 8, int.from_bytes(data[32:34], "little")
    data[at + 3 * block + place + (channels - 1) * (1 if subtype == "MS_ADPCM" else 4)] ^= 0x80
    assert "a block of its ADPCM" in _refused(_put(tmp_path / "a.wav", data))


def test_frames_that_are_lost_between_others(tmp_path: Path) -> None:
    data = _encoded("MP3", x=_sound(2.0))
    assert "is damaged" in _refused(_put(tmp_path / "a.mp3", data[:4000] + b"\x00\x01\x02" * 50 + data[4000:]))
    assert "cut short" in _refused(_put(tmp_path / "b.mp3", data[:-5]))


def test_checksums_of_ogg_are_those_of_its_writer() -> None:
    data = _encoded("OGG", "VORBIS")
    size = 27 + data[26] + sum(data[27 : 27 + data[26]])
    assert ogg.checksum(data[:size]) == int.from_bytes(data[22:26], "little")
    assert ogg.layout(data).damage == ()


@pytest.mark.parametrize("place", [22, 24, 28, 32, 34])  # channels, rate, bytes a second, bytes a sample, bits
def test_a_header_that_contradicts_itself(tmp_path: Path, place: int) -> None:
    data = bytearray(_encoded("WAV", "PCM_16"))
    data[place] ^= 8
    assert "a: is damaged" in _refused(_put(tmp_path / "a", data))


# FLAC in Ogg


def _ogg_flac(native: bytes) -> bytes:
    """FLAC in Ogg, a packet a page, made of native FLAC: only the header and one frame, or what fits a page."""

    def page(flags: int, number: int, packet: bytes) -> bytes:
        lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
        head = b"OggS\0" + bytes([flags]) + bytes(8) + b"\x07\0\0\0" + number.to_bytes(4, "little") + bytes(4)
        made = head + bytes([len(lacing)]) + lacing + packet
        return made[:22] + ogg.checksum(made).to_bytes(4, "little") + made[26:]

    frames = native[native.index(b"\xff\xf8", 42) :]
    first = b"\x7fFLAC\x01\0\0\x01" + native[:4] + native[4:42]
    return page(2, 0, first) + page(0, 1, b"\x84\0\0\x04" + bytes(4)) + page(4, 2, frames)


def test_flac_in_ogg_is_read(tmp_path: Path) -> None:
    x = _sound(0.08) * np.float32(0.1)
    native = _encoded("FLAC", "PCM_16", x)
    assert len(native) < 60_000
    plain = load(_put(tmp_path / "a.flac", native))
    wrapped = load(_put(tmp_path / "a.oga", _ogg_flac(native)))
    assert np.array_equal(wrapped.samples, plain.samples)
    assert "is damaged" in _refused(_put(tmp_path / "b.oga", _ogg_flac(native)[:-1] + b"\x55"))


@pytest.mark.skipif(not shutil.which("flac"), reason="the program flac is not installed")
def test_flac_in_ogg_of_the_original_encoder(tmp_path: Path) -> None:
    path = _put(tmp_path / "a.wav", _encoded("WAV", "PCM_16", _sound(1.5)))
    subprocess.run(["flac", "-s", "--ogg", str(path), "-o", str(tmp_path / "a.oga")], check=True)
    assert np.array_equal(load(tmp_path / "a.oga").samples, load(path).samples)


# What holds no sound


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n", "git lfs pull"),
        (b"/annex/objects/SHA256E-s7--1.wav\n", "git annex get"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "is a picture (PNG)"),
        (b"\xff\xd8\xff\xe0" + bytes(100), "is a picture (JPEG)"),
        (b"GIF89a" + bytes(100), "is a picture (GIF)"),
        (b"<!DOCTYPE html><html>404</html>", "is a web page"),
        (np.sin(np.arange(9000) / 7).astype("<f4").tobytes(), "--raw RATE:CHANNELS:FORMAT"),
        (b"no sound at all " * 90, "--raw RATE:CHANNELS:FORMAT"),
    ],
)
@pytest.mark.parametrize("tools", [True, False])
def test_what_holds_no_sound_is_named(
    tmp_path: Path, data: bytes, said: str, tools: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not tools:
        monkeypatch.setenv("PATH", str(tmp_path))
    assert said in _refused(_put(tmp_path / "a.wav", data))


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")
def test_a_silent_video_holds_no_sound(tmp_path: Path) -> None:
    made = ["ffmpeg", "-v", "quiet", "-f", "lavfi", "-i", "color=c=red:s=64x64:d=0.2", "-c:v", "mpeg4"]
    subprocess.run([*made, str(tmp_path / "a.mp4")], check=True)
    assert "holds no sound, only pictures" in _refused(tmp_path / "a.mp4")


# Samples without a header


@pytest.mark.parametrize("form", raw.FORMATS)
def test_raw_samples_are_those_that_soundfile_reads(tmp_path: Path, form: str) -> None:
    subtypes = {"u8": "PCM_U8", "s8": "PCM_S8", "ulaw": "ULAW", "alaw": "ALAW", "s16": "PCM_16", "s24": "PCM_24"}
    subtypes |= {"s32": "PCM_32", "f32": "FLOAT", "f64": "DOUBLE"}
    bare = form if form in subtypes else form[:-2]
    endian = {"le": "LITTLE", "be": "BIG"}.get(form[-2:], "FILE")
    x = _sound(0.1)
    how: dict[str, Any] = {"samplerate": RATE, "subtype": subtypes[bare], "format": "RAW", "endian": endian}
    path = tmp_path / "a.raw"
    soundfile.write(path, x.T, **how)
    expected, _ = soundfile.read(path, channels=2, **how)
    read = load(path, raw=f"{RATE}:2:{form}")
    assert np.array_equal(read.samples, expected.T)
    assert read.decoder == f"headerless PCM ({RATE}:2:{form})"


def test_raw_is_for_files_without_a_header(tmp_path: Path) -> None:
    wav = _put(tmp_path / "a.wav", _encoded("WAV", "PCM_16"))
    bare = _put(tmp_path / "a.pcm", wav.read_bytes()[44:])
    assert np.array_equal(load(bare, raw="48000:2:s16").samples, load(wav, raw="8000:1:u8").samples)
    named = _put(tmp_path / "a.mp3", _id3v2(300) + _encoded("MP3"))
    assert np.array_equal(load(named, raw="8000:1:u8").samples, load(named).samples)
    begins_like_mp3 = _put(tmp_path / "b.pcm", b"\xff\xfb\x90\x44" * 500)
    assert load(begins_like_mp3, raw="48000:2:s16le").length == 500
    assert "no whole number of samples" in _refused_raw(_put(tmp_path / "c", bytes(range(9))))


def _refused_raw(path: Path) -> str:
    with pytest.raises(InputError) as refused:
        load(path, raw="8000:2:s16le")
    assert load(path, raw="8000:2:s16le", damaged="allow").length == 2
    return str(refused.value)


@pytest.mark.parametrize(
    "text", ["", "48000", "48000:2", "48000:2:x7", "0:1:s16le", "1e3:1:u8", "8000:0:u8", "8000:-1:u8"]
)
def test_raw_that_is_no_format(text: str, cli: Cli) -> None:
    with pytest.raises(UsageError):
        raw.parse(text)
    if text:
        done = cli("compare", "a.wav", "b.wav", "--raw", text)
        assert (done.code, done.out, len(done.err.splitlines())) == (2, "", 1)


# Compare, batch, Python


def test_compare_refuses_damage_and_goes_on_where_it_may(tmp_path: Path, cli: Cli) -> None:
    data = _encoded("WAV", "PCM_16")
    ref, test = _put(tmp_path / "ref.wav", data), _put(tmp_path / "test.wav", data[:-4000])
    done = cli("compare", str(ref), str(test), "-m", "mse")
    assert (done.code, done.out) == (3, "")
    assert "cut short" in done.err
    assert "--damaged allow" in done.err
    done = cli(
        "compare", str(ref), str(test), "-m", "mse", "--damaged", "allow", "--length", "trim", "--format", "json"
    )
    assert done.code == 0
    assert "the test is cut short" in done.err
    (note,) = json.loads(done.out)["match"]["read"]["test"]["notes"]
    assert "cut short" in note
    with pytest.raises(InputError, match="cut short"):
        audiosim.compare(ref, test, "mse")
    assert audiosim.compare(ref, test, "mse", damaged="allow", length="trim")["mse"].value == 0


def test_batch_gives_damage_a_row_and_names_what_it_passed_over(tmp_path: Path, cli: Cli) -> None:
    data = _encoded("OGG")
    for name in ("ref", "test"):
        (tmp_path / name).mkdir()
        _put(tmp_path / name / "a.ogg", data)
        _put(tmp_path / name / "b.ogg", data if name == "ref" else data[:-9])
        _put(tmp_path / name / "c.txt", b"notes")
    _put(tmp_path / "test" / "c.sph", b"x")
    both = [str(tmp_path / "ref"), str(tmp_path / "test"), "-m", "mse", "-j", "1"]
    done = cli("batch", *both, "--format", "jsonl")
    assert done.code == 3
    assert "passed over by their suffix: 2 .txt, 1 .sph" in done.err
    rows = {row["id"]: row for row in map(json.loads, done.out.splitlines())}
    assert (rows["a.ogg"]["status"], rows["b.ogg"]["status"]) == ("ok", "error")
    assert "cut short" in rows["b.ogg"]["reason"]
    done = cli("batch", *both, "--format", "jsonl", "--damaged", "allow", "--length", "trim", "--include", "*.ogg")
    assert done.code == 0
    assert "passed over" not in done.err
    assert {json.loads(line)["status"] for line in done.out.splitlines()} == {"ok"}


def test_a_gate_does_not_hold_against_half_of_a_recording(tmp_path: Path, cli: Cli) -> None:
    data = _encoded("OGG")
    one, two = _put(tmp_path / "1.ogg", data), _put(tmp_path / "2.ogg", data + data)
    done = cli("compare", str(two), str(one), "-m", "mse", "--require", "mse<=0")
    assert done.code == 3
    assert "lengths differ" in done.err


# Corrupted files of all kinds


def test_corrupted_files(tmp_path: Path) -> None:
    """A sample of tests/benchmarks/corrupted.py."""
    found = corrupted.run(2 * len(corrupted.KINDS), 7, tmp_path)
    assert found.wrong == []
    assert sum(found.counts.values()) >= len(corrupted.KINDS)


@pytest.mark.parametrize("kind", sorted(set(corrupted.KINDS)), ids=str)
def test_good_files_are_not_damaged(kind: tuple[str, str, str, int], tmp_path: Path) -> None:
    path = _put(tmp_path / f"a.{kind[0]}", corrupted.made(kind, 1))
    try:
        signal = load(path)
    except AudiosimError as refused:
        pytest.fail(str(refused))
    assert signal.notes == ()
    assert signal.decoder == ""
