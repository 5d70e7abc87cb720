"""Every kind of file that must load, loads; every kind that cannot, says so in one line."""

from __future__ import annotations

import io
import os
import shutil
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiosim import Signal, load
from audiosim.audio import _decoded, data_name, display_name, encode, lossless, save
from audiosim.errors import InputError, UsageError
from audiosim.testing.signals import noise, pink

RATE = 48000


def _sound(channels: int = 2, seconds: float = 0.5, rate: int = RATE) -> Any:
    return np.clip(pink(rate, seconds, 1, channels), -0.9, 0.9)


def _write(path: Path, samples: Any, rate: int = RATE, subtype: str | None = None, **how: Any) -> Path:
    with path.open("wb") as file:  # by handle: names of all kinds
        soundfile.write(file, samples.T, rate, subtype=subtype, format=how.pop("format", path.suffix[1:]), **how)
    return path


def _refusal(path: Any) -> str:
    with pytest.raises(InputError) as refused:
        load(path)
    message = str(refused.value)
    assert message.isprintable()  # one line
    return message


# What loads


@pytest.mark.parametrize(
    ("name", "subtype", "dtype", "error"),
    [
        ("a.wav", "PCM_U8", np.float32, 2**-7),
        ("a.wav", "PCM_16", np.float32, 2**-15),
        ("a.wav", "PCM_24", np.float32, 2**-23),
        ("a.wav", "PCM_32", np.float64, 2**-31),
        ("a.wav", "FLOAT", np.float32, 2**-24),
        ("a.wav", "DOUBLE", np.float64, 0),
        ("a.flac", "PCM_16", np.float32, 2**-15),
        ("a.flac", "PCM_24", np.float32, 2**-23),
        ("a.aiff", "PCM_16", np.float32, 2**-15),
        ("a.aiff", "PCM_24", np.float32, 2**-23),
        ("a.au", "PCM_16", np.float32, 2**-15),
        ("a.w64", "PCM_24", np.float32, 2**-23),
        ("a.caf", "ALAC_32", np.float64, 2**-31),
    ],
)
def test_lossless_formats_are_exact_to_one_step(
    tmp_path: Path, name: str, subtype: str, dtype: Any, error: float
) -> None:
    x = _sound()
    signal = load(_write(tmp_path / name, x, subtype=subtype))
    assert signal.rate == RATE
    assert signal.samples.dtype == dtype
    assert signal.samples.flags.c_contiguous
    assert signal.samples.shape == x.shape
    assert np.abs(signal.samples - x).max() <= error * 1.001


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.ogg", "VORBIS"), ("a.ogg", "OPUS"), ("a.mp3", "MPEG_LAYER_III"), ("a.wav", "MS_ADPCM")]
)
def test_lossy_formats(tmp_path: Path, name: str, subtype: str) -> None:
    x = _sound(seconds=1.0)
    signal = load(_write(tmp_path / name, x, subtype=subtype))
    assert signal.samples.dtype == np.float32
    assert signal.channels == 2
    length = min(signal.length, x.shape[1])
    assert abs(signal.length - x.shape[1]) < 2500
    assert np.corrcoef(signal.samples[0, :length], x[0, :length])[0, 1] > 0.9


@pytest.mark.parametrize("channels", [1, 2, 7])
@pytest.mark.parametrize("seconds", [0.1, 3.0])  # within one block, and several
def test_channels_stay_in_order(tmp_path: Path, channels: int, seconds: float) -> None:
    x = noise(RATE, seconds, 2, channels)
    signal = load(_write(tmp_path / "a.wav", x, subtype="DOUBLE"))
    assert np.array_equal(signal.samples, x)
    assert signal.samples.flags.c_contiguous


def test_24_bits_come_out_bit_by_bit(tmp_path: Path) -> None:
    steps = np.arange(-(2**23), 2**23, 12345, dtype=np.int64)
    path = _write(tmp_path / "a.wav", (steps[None] << 8).astype(np.int32), subtype="PCM_24")
    assert np.array_equal(load(path).samples[0].astype(np.float64) * 2**23, steps)


def test_float_files_may_exceed_full_scale(tmp_path: Path) -> None:
    x = np.float32([[0.5, -3.0, 2.0]])
    assert np.array_equal(load(_write(tmp_path / "a.wav", x, subtype="FLOAT")).samples, x)


def test_high_rates_and_single_samples(tmp_path: Path) -> None:
    assert load(_write(tmp_path / "a.wav", _sound(rate=96000), 96000)).rate == 96000
    assert load(_write(tmp_path / "b.wav", np.float32([[0.25]]), 8000)).samples.tolist() == [[0.25]]


@pytest.mark.parametrize(
    "name", ["with space.wav", "new\nline.wav", b"latin-\xe9.wav", "ünïcode.wav", "-dash.wav", "x.raw"]
)
def test_names_of_all_kinds(tmp_path: Path, name: str | bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = os.fsdecode(name)
    try:
        _write(Path(text), _sound(), format="WAV")
    except OSError:
        pytest.skip("this file system has no such names")
    signal = load(text)
    assert signal.channels == 2
    assert signal.name == display_name(text)
    assert signal.name.isprintable()
    assert load(Path(text)).name == signal.name


def test_display_names() -> None:
    assert display_name("plain name.wav") == "plain name.wav"
    assert display_name("ünïcode.wav") == "ünïcode.wav"
    assert display_name(b"caf\xc3\xa9.wav") == "café.wav"
    assert display_name("a\nb.wav") == r"'a\nb.wav'"
    assert display_name("\x1b[31mred.wav") == r"'\x1b[31mred.wav'"
    assert display_name("latin-\udce9.wav") == r"'latin-\udce9.wav'"
    assert display_name(Path("x") / "y.wav") == os.path.join("x", "y.wav")  # noqa: PTH118
    assert display_name("-") == "stdin"
    assert display_name("") == "''"


def test_names_in_data_are_as_given() -> None:
    assert [data_name(n) for n in ("a\nb.wav", "-", "é.wav")] == ["a\nb.wav", "stdin", "é.wav"]
    assert data_name("latin-\udce9.wav") == r"'latin-\udce9.wav'"  # no UTF-8, so no JSON


def test_an_empty_name_is_no_directory() -> None:
    assert "is not a file name" in _refusal("")


def test_a_variable_rate_mp3_without_length_is_read_to_its_end(tmp_path: Path) -> None:
    """Its decoder estimates the length from the first frame and would stop there."""
    x = _sound(seconds=4.0)
    x[:, : x.shape[1] // 4] *= 1e-4  # few bits, then many
    path = _write(tmp_path / "a.mp3", x, bitrate_mode="VARIABLE", compression_level=0.5)
    whole = path.read_bytes()
    assert b"Xing" in whole[:200]
    path.write_bytes(whole[whole.index(whole[:2], 4) :])  # the header is the first frame
    assert abs(load(path).length - x.shape[1]) < 5000


def test_an_mp3_with_a_tag(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.mp3", _sound(1))
    plain = load(path)
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x02\x00" + bytes(256) + path.read_bytes())
    assert np.array_equal(load(path).samples, plain.samples)


def test_a_streamed_flac_has_no_length(tmp_path: Path) -> None:
    x = _sound(2, 3.0)
    path = _write(tmp_path / "a.flac", x)
    data = bytearray(path.read_bytes())
    data[21] &= 0xF0  # STREAMINFO: 36 bits of length
    data[22:26] = bytes(4)
    path.write_bytes(data)
    signal = load(path)
    assert signal.samples.shape == x.shape
    assert np.abs(signal.samples - x).max() < 2**-15


@pytest.mark.parametrize("size", [b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x00\xf0\xff\x7f"])
def test_a_streamed_wav_has_no_length(tmp_path: Path, size: bytes) -> None:
    path = _write(tmp_path / "a.wav", _sound())
    data = bytearray(path.read_bytes())
    data[40:44] = size
    path.write_bytes(data)
    assert load(path).length == RATE // 2


def test_a_header_off_by_its_own_size_is_forgiven(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.wav", _sound())
    data = bytearray(path.read_bytes())
    data[40:44] = (int.from_bytes(data[40:44], "little") + 44).to_bytes(4, "little")
    path.write_bytes(data)
    assert load(path).length == RATE // 2


# Pipes


def test_stdin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = _write(tmp_path / "a.flac", _sound()).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    signal = load("-")
    assert signal.length == RATE // 2
    assert signal.name == "stdin"


def test_empty_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    assert "stdin: is empty" in _refusal("-")


def test_closed_stdin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    assert "stdin: nothing is piped in" in _refusal("-")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
@pytest.mark.parametrize("name", ["a.wav", "a.mp3"])
def test_named_pipes(tmp_path: Path, name: str) -> None:
    data = _write(tmp_path / name, _sound(1)).read_bytes()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    writer = threading.Thread(target=fifo.write_bytes, args=(data,))
    writer.start()
    assert np.array_equal(load(fifo).samples, load(tmp_path / name).samples)
    writer.join()


def test_many_threads(tmp_path: Path) -> None:
    paths = [_write(tmp_path / f"{i}.{kind}", _sound(i % 3 + 1)) for i, kind in enumerate(["wav", "mp3", "flac"] * 4)]
    alone = [load(path) for path in paths]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(load, paths))
    for a, b in zip(alone, together, strict=True):
        assert np.array_equal(a.samples, b.samples)


# What does not load


def test_missing(tmp_path: Path) -> None:
    assert "nowhere.wav: no such file" in _refusal(tmp_path / "nowhere.wav")
    assert "no such file" in _refusal(tmp_path / "new\nline.wav")
    assert "no such file" in _refusal(str(tmp_path / "latin-\udce9.wav"))
    assert "not a possible path" in _refusal("nul\0.wav")


def test_directory(tmp_path: Path) -> None:
    assert "is a directory" in _refusal(tmp_path)


def test_path_through_a_file(tmp_path: Path) -> None:
    assert "cannot be opened" in _refusal(_write(tmp_path / "a.wav", _sound()) / "b.wav")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
def test_unreadable(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.wav", _sound())
    path.chmod(0)
    assert "no permission" in _refusal(path)


@pytest.mark.skipif(not Path("/dev/null").exists(), reason="no devices here")
def test_device() -> None:
    assert "is a device" in _refusal("/dev/null")


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    assert "a.wav: is empty (0 bytes)" in _refusal(tmp_path / "a.wav")


@pytest.mark.parametrize("kind", ["wav", "flac", "aiff", "ogg"])
def test_truncated_header(tmp_path: Path, kind: str) -> None:
    path = _write(tmp_path / f"a.{kind}", _sound())
    path.write_bytes(path.read_bytes()[:30])
    assert f"a.{kind}: " in _refusal(path)


@pytest.mark.parametrize("kind", ["wav", "flac", "aiff", "au", "w64", "caf", "mp3", "rf64"])
def test_cut_short(tmp_path: Path, kind: str, capfd: pytest.CaptureFixture[str]) -> None:
    path = _write(tmp_path / f"a.{kind}", _sound())
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "cut short" in _refusal(path)
    assert capfd.readouterr() == ("", "")  # nor do the decoders print


def test_a_cut_ogg_is_read_as_far_as_it_goes_where_that_is_allowed(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.ogg", _sound(seconds=4.0))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    assert "cut short" in _refusal(path)
    left = load(path, damaged="allow")
    assert 0 < left.duration < 4
    assert "cut short" in left.notes[0]


@pytest.mark.parametrize("kind", ["wav", "aiff"])
def test_no_samples(tmp_path: Path, kind: str) -> None:
    assert "has no samples" in _refusal(_write(tmp_path / f"a.{kind}", np.zeros((2, 0))))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_not_finite(tmp_path: Path, value: float, subtype: str) -> None:
    x = _sound()
    x[1, 1234] = value
    message = _refusal(_write(tmp_path / "a.wav", x, subtype=subtype))
    assert "sample 1234 of channel 2" in message
    assert "NaN or infinite" in message


def test_text_renamed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.wav"
    path.write_text("This is no sound at all.\n" * 40)
    if shutil.which("ffmpeg"):
        assert "neither soundfile nor ffmpeg can read it" in _refusal(path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install ffmpeg" in _refusal(path)


# ffmpeg

needs_ffmpeg = pytest.mark.skipif(not shutil.which("ffmpeg"), reason="ffmpeg is not installed")


def _foreign(path: Path, codec: str) -> Path:
    source = _write(path.with_suffix(".source.wav"), _sound())
    command = ["ffmpeg", "-nostdin", "-v", "error", "-i", str(source), "-c:a", codec, str(path)]
    if subprocess.run(command, capture_output=True).returncode:
        pytest.skip(f"this ffmpeg does not write {codec}")
    return path


@needs_ffmpeg
@pytest.mark.parametrize(
    ("name", "codec"), [("a.m4a", "alac"), ("-a:b.wv", "wavpack"), ("a.wav", "ac3"), ("a.caf", "alac")]
)
def test_what_only_ffmpeg_reads(tmp_path: Path, name: str, codec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = _foreign(tmp_path / name, codec)
    monkeypatch.chdir(tmp_path)
    signal = load(name)
    assert signal.rate == RATE
    assert signal.samples.dtype == np.float32
    assert signal.name == name
    if codec != "ac3":
        assert np.abs(signal.samples - _sound()).max() < 2**-15
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(path.read_bytes())))
    assert np.array_equal(load("-").samples, signal.samples)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "install ffmpeg" in _refusal(name)


@needs_ffmpeg
def test_ffmpeg_does_not_hide_that_a_file_is_cut_short(tmp_path: Path) -> None:
    path = _foreign(tmp_path / "a.wv", "wavpack")
    path.write_bytes(path.read_bytes()[:-5000])
    assert "a.wv: " in _refusal(path)


@pytest.mark.skipif(os.name != "posix", reason="needs a shell script")
@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo 'a: b: nothing found' >&2; exit 1", "(nothing found)"),
        ("printf 'bad\\033name' >&2; exit 1", r"('bad\x1bname')"),
        ("exit 7", "it ended with 7"),
        ("echo no sound", "ffmpeg finds no sound in it"),
        ("exec sleep 9", "takes over"),
    ],
)
def test_an_unruly_ffmpeg(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr("audiosim.audio.FFMPEG_SECONDS", 1)
    path = tmp_path / "a.xyz"
    path.write_bytes(b"something foreign " * 50)
    assert message in _refusal(path)


# What is written


@pytest.mark.parametrize("rate", [8000, 44100, 65535, 192000, 655350])
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_flac_is_written_to_half_a_step_of_24_bits(tmp_path: Path, rate: int, channels: int) -> None:
    x = np.concatenate([np.linspace(-1, 1, 301), [1.0, 0.0, 2**-24, -1.0]])
    signal = Signal.of(np.stack([np.roll(x, c) for c in range(channels)]), rate)
    assert lossless(signal) == "flac"
    save(tmp_path / "a.flac", signal)
    assert soundfile.info(tmp_path / "a.flac").subtype == "PCM_24"
    back = load(tmp_path / "a.flac")
    assert back.rate == rate
    error = np.abs(back.samples - signal.samples)
    assert error[signal.samples < 1].max() <= 2**-24
    assert error.max() <= 2**-23  # there is no step at full scale
    steps = Signal.of(np.arange(-(2**23), 2**23, 54321) / 2**23, RATE)
    assert np.array_equal(_decoded(io.BytesIO(encode(steps, "flac")), "steps").samples, steps.samples)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_wav_is_written_as_it_is(tmp_path: Path, dtype: Any) -> None:
    signal = Signal.of(np.array([[0.1, -3.0, 1e-30], [2.0, 0.5, -0.0]], dtype), RATE)
    assert lossless(signal) == "wav"
    save(tmp_path / "a.wav", signal)
    back = load(tmp_path / "a.wav")
    assert np.array_equal(back.samples, signal.samples)
    assert back.samples.dtype == dtype


@pytest.mark.parametrize(("channels", "rate"), [(9, 48000), (1, 65537), (1, 700000)])
def test_what_flac_cannot_carry_goes_to_wav(channels: int, rate: int) -> None:
    signal = Signal.of(np.full((channels, 20), 0.5), rate)
    assert lossless(signal) == "wav"
    with pytest.raises(UsageError, match="use WAV"):
        encode(signal, "flac")
    assert _decoded(io.BytesIO(encode(signal, "wav")), "a").rate == rate


def test_what_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    signal = Signal.of([0.5, 0.25], RATE)
    with pytest.raises(UsageError, match=r"written as \.flac or \.wav"):
        save(tmp_path / "a.mp3", signal)
    with pytest.raises(UsageError, match="cannot be written"):
        save(tmp_path / "no" / "a.wav", signal)
    save(tmp_path / "a.wav", signal)
    assert [p.name for p in tmp_path.iterdir()] == ["a.wav"]  # no draft is left


def test_importing_the_module_is_cheap() -> None:
    code = "import sys, audiosim.audio; print(*(m for m in ('numpy', 'soundfile') if m in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == ""


@pytest.mark.parametrize("bits", [16, 24])
def test_what_is_encoded_decodes_to_the_same(bits):
    full = 1 << (bits - 1)
    numbers = np.random.default_rng(0).integers(-full, full, (2, 1000))
    decoded, rate = soundfile.read(io.BytesIO(encode(Signal(numbers / full, 44100), "flac", bits)), always_2d=True)
    assert rate == 44100
    assert (decoded.T * full == numbers).all()


def test_encoding_rounds_and_clips():
    samples = np.array([[1.5, -1.5, 1.4 / 32768, 1.6 / 32768]])
    decoded, _ = soundfile.read(io.BytesIO(encode(Signal(samples, 8000), "flac", 16)), dtype="int16")
    assert decoded.tolist() == [32767, -32768, 1, 2]
