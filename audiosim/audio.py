"""Path, "-" or URL -> Signal, and back to a file; the only reader and writer of sound files."""

from __future__ import annotations

import io
import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, BinaryIO, Literal

from . import remote
from .errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .signal import Signal

BLOCK = 1 << 16  # samples per channel decoded at a time: in cache, and as fast as one whole read
UNKNOWN_LENGTH = 1 << 48  # libsndfile says 2**63 - 1 where the header does not tell
STREAMED_SIZE = 0x7FFF_0000  # writers to a pipe put this or more where they cannot know the size
HEADER_SLACK = 2304  # samples by which honest headers overstate the length: two MPEG frames, miscounted chunks
FFMPEG_SECONDS = 300
FFMPEG_BYTES = 4_000_000_000  # what a WAV can carry

# Errors of libsndfile that mean "another decoder may know it": unrecognised, unsupported, and a foreign codec in WAV.
_FOREIGN = (1, 4, 64)


def display_name(path: str | bytes | os.PathLike[Any]) -> str:
    """A path as messages show it, always printable: quoted and escaped only where it would not be; "-" is stdin.

    A URL loses its password.
    """
    text = os.fsdecode(path)
    if text == "-":
        return "stdin"
    if remote.is_url(text):
        text = remote.without_secrets(text)
    return text if text and text.isprintable() else repr(text)


def data_name(path: str) -> str:
    """A path as data holds it: as it was given, "-" is stdin; as messages show it where UTF-8 cannot hold it.

    A URL loses its password.
    """
    try:
        path.encode()
    except UnicodeEncodeError:
        return display_name(path)
    if remote.is_url(path):
        return remote.without_secrets(path)
    return "stdin" if path == "-" else path


def load(path: str | os.PathLike[str] | Literal["-"]) -> Signal:
    """Decode a sound file, a pipe, stdin ("-"), or what a URL names (`https://`, `s3://`; extra `remote`).

    WAV, FLAC, AIFF, Ogg (Vorbis, Opus), MP3 and the other formats of libsndfile; what it does not know goes through
    ffmpeg where that is installed. Samples [channel, sample] are float32, or float64 for 32-bit integer and double
    files; full scale is 1.0. Safe to call from several threads.
    Raises InputError, one line, for what cannot be read, holds no samples, holds NaN or infinite ones, or is shorter
    than its header announces (Ogg announces nothing: a cut one is read as far as it goes).
    """
    name = display_name(path)
    if not os.fspath(path):
        raise InputError("'': is not a file name; check that no variable in the command is empty")
    if path == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError("stdin: nothing is piped in; use - as in `cat sound.wav | audiosim compare ref.wav -`")
        return _decoded(_in_memory(sys.stdin.buffer, name), name)
    if remote.is_url(path):
        return decode(remote.read(os.fspath(path)), name)
    with _raw(Path(path), name) as file:
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode):
            if found.st_size == 0:
                raise _empty(name)
            return _decoded(file, name, Path(path))
        if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            raise InputError(f"{name}: is a device; give a sound file or a pipe")
        return _decoded(_in_memory(file, name), name)


def decode(data: bytes, name: str) -> Signal:
    """The Signal of a sound file with these bytes, as by `load`; name: for messages."""
    return _decoded(_in_memory(io.BytesIO(data), name), name)


def lossless(signal: Signal) -> Literal["flac", "wav"]:
    """The smaller of the two forms of `encode` that holds the signal: samples beyond full scale need WAV."""
    return "flac" if _fits_flac(signal) and abs(signal.samples).max() <= 1.0 else "wav"


def encode(signal: Signal, form: Literal["flac", "wav"], bits: Literal[16, 24] = 24) -> bytes:
    """A sound file's bytes: FLAC, rounded to so many bits and clipped at full scale, or WAV with floats as they are.

    Raises UsageError for what FLAC cannot carry: more than 8 channels, and most rates above 65535 Hz that are no
    multiple of 10.
    """
    import numpy as np
    import soundfile

    samples = signal.samples.T
    if form == "flac":
        if not _fits_flac(signal):
            raise UsageError(f"FLAC cannot carry {signal.channels} channels at {signal.rate} Hz; use WAV")
        # In whole steps: libsndfile takes floats times 2**23 - 1, which is no step of what it reads.
        full = 1 << (bits - 1)
        steps = np.clip(np.round(samples * float(full)), -full, full - 1)
        samples, subtype = steps.astype(np.int32) << (32 - bits), f"PCM_{bits}"
    else:
        subtype = "DOUBLE" if samples.dtype == np.float64 else "FLOAT"
    file = io.BytesIO()
    soundfile.write(file, samples, signal.rate, subtype, format=form.upper())
    return file.getvalue()


def _fits_flac(signal: Signal) -> bool:
    """By the channels and rates that its frame headers can name."""
    return signal.channels <= 8 and (signal.rate < 1 << 16 or (signal.rate % 10 == 0 and signal.rate <= 655_350))


def save(path: str | os.PathLike[str], signal: Signal) -> None:
    """Write a sound file, completely or not at all: .flac or .wav, as in `encode`. UsageError if it cannot."""
    target, name = Path(path), display_name(path)
    form = target.suffix.lower().removeprefix(".")
    if form not in ("flac", "wav"):
        raise UsageError(f"{name}: sound is written as .flac or .wav")
    data = encode(signal, "flac" if form == "flac" else "wav")
    draft = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        try:
            draft.write_bytes(data)
            draft.replace(target)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as broken:
        raise UsageError(f"{name}: cannot be written ({broken.strerror})") from None


def _raw(path: Path, name: str) -> io.FileIO:
    try:
        return path.open("rb", buffering=0)
    except FileNotFoundError:
        raise InputError(f"{name}: no such file; check the path") from None
    except IsADirectoryError:
        raise InputError(f"{name}: is a directory; give a sound file") from None
    except PermissionError:
        raise InputError(f"{name}: no permission to read it; change its mode or owner") from None
    except ValueError:
        raise InputError(f"{name}: is not a possible path; check the spelling") from None
    except OSError as broken:
        raise InputError(f"{name}: cannot be opened ({broken.strerror}); check the path") from None


def _empty(name: str) -> InputError:
    return InputError(f"{name}: is empty (0 bytes); record or export it again")


def _in_memory(pipe: IO[bytes], name: str) -> io.BytesIO:
    try:
        data = pipe.read()
    except OSError as broken:
        raise InputError(f"{name}: cannot be read ({broken.strerror}); check where it comes from") from None
    if not data:
        raise _empty(name)
    return io.BytesIO(data)


def _decoded(file: BinaryIO | io.RawIOBase, name: str, path: Path | None = None) -> Signal:
    """The Signal in an open file that can seek; path where it has one, for ffmpeg."""
    from soundfile import LibsndfileError

    try:
        return _read(file, name)
    except LibsndfileError as refused:
        reason = refused.error_string.removeprefix("Error : ").strip(" .")
        if refused.code not in _FOREIGN:
            raise InputError(f"{name}: is damaged or cut short ({reason}); copy or export it again") from None
    except MemoryError:
        raise InputError(f"{name}: does not fit into memory; compare shorter pieces") from None
    return _through_ffmpeg(file, name, path, reason)


def _read(file: BinaryIO | io.RawIOBase, name: str) -> Signal:
    from .signal import Signal, check_finite

    with _sound(file) as sound:
        samples = _samples(sound)
        length = samples.shape[1]
        announced = _announced(sound)
        if length == 0:
            raise InputError(f"{name}: has no samples; record or export it again")
        if announced - length > min(HEADER_SLACK, announced // 10):
            raise InputError(
                f"{name}: is cut short: its header announces about {announced} samples, it holds {length}; "
                "copy it again, or re-export it to compare what is left"
            )
        check_finite(samples, name)
        return Signal(samples, sound.samplerate, name)


@contextmanager
def _sound(file: BinaryIO | io.RawIOBase) -> Iterator[Any]:
    """A soundfile.SoundFile to be read once from start to end."""
    import soundfile

    class Stream(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:  # soundfile seeks after each read, which fails at the end of a streamed FLAC
            return False

    if os.name == "posix" and _is_mpeg(file):
        # Without a Xing header an MP3 has no length but an estimate from its first frame, at which libsndfile stops;
        # from a pipe it reads to the end.
        reading, writing = os.pipe()
        feeder = threading.Thread(target=_feed, args=(file, writing), daemon=True)
        feeder.start()
        try:
            with Stream(reading, closefd=False) as sound:
                yield sound
        finally:
            os.close(reading)  # ends the feeder, should it still be writing
            feeder.join()
    else:
        # By descriptor: soundfile would take a name that ends in .raw for headerless samples.
        by_descriptor = os.name == "posix" and not isinstance(file, io.BytesIO)
        with Stream(file.fileno() if by_descriptor else file, closefd=False) as sound:
            yield sound


def _is_mpeg(file: BinaryIO | io.RawIOBase) -> bool:
    """Whether the file is bare MPEG audio, perhaps after an ID3 tag."""
    head = file.read(10) or b""
    if head[:3] == b"ID3" and len(head) == 10:
        file.seek(10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True)))
        head = (file.read(4096) or b"").lstrip(b"\0")
    file.seek(0)
    return len(head) > 1 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0 and head[1] & 0x06 != 0


def _feed(file: BinaryIO | io.RawIOBase, descriptor: int) -> None:
    try:
        with os.fdopen(descriptor, "wb") as pipe:
            shutil.copyfileobj(file, pipe, 1 << 16)
    except OSError:  # the decoder stopped reading, or the file cannot be read: it sees the end
        pass


def _samples(sound: Any) -> NDArray[Any]:
    """[channel, sample] of all that the file holds."""
    import numpy as np

    # float32 holds 24 bits exactly; only these formats hold more.
    dtype = np.float64 if sound.subtype in ("PCM_32", "ALAC_32", "DOUBLE") else np.float32
    known = sound.frames < UNKNOWN_LENGTH
    samples = np.empty((sound.channels, sound.frames if known else BLOCK), dtype)
    if known and sound.channels == 1:  # in place
        return samples[:, : len(sound.read(out=samples.T))]
    block = np.empty((BLOCK, sound.channels), dtype)
    length = 0
    while count := len(decoded := sound.read(out=block)):
        if length + count > samples.shape[1]:
            samples = np.concatenate((samples, np.empty_like(samples)), axis=1)
        samples[:, length : length + count] = decoded.T
        length += count
    return np.ascontiguousarray(samples[:, :length])


def _announced(sound: Any) -> int:
    """Samples that the header claims, 0 where it claims nothing. libsndfile corrects the claim, but logs it."""
    frames = int(sound.frames)
    if frames >= UNKNOWN_LENGTH:
        return 0
    log = sound.extra_info
    if found := re.search(r"does not match value from 'ds64' chunk of (\d+)", log):
        return int(found[1])
    chunk = "riff" if sound.format == "W64" else "data|SSND|Data Size"
    if found := re.search(rf"(?m)^\s*(?:{chunk})\s*: (\d+) \(should be (\d+)\)", log):
        claimed, held = int(found[1]), int(found[2])
        if claimed < STREAMED_SIZE and held:
            return max(frames, frames * claimed // held)
    return frames


def _through_ffmpeg(file: BinaryIO | io.RawIOBase, name: str, path: Path | None, reason: str) -> Signal:
    """The first audio stream as ffmpeg decodes it, float32."""
    from soundfile import LibsndfileError

    program = shutil.which("ffmpeg")
    if program is None:
        raise InputError(
            f"{name}: soundfile cannot read it ({reason}); if it is a sound file, install ffmpeg, which reads more, "
            "or convert it to WAV"
        )
    with tempfile.TemporaryDirectory(prefix="audiosim-") as folder:
        if path is None:  # many formats cannot be read from a pipe
            path = Path(folder, "input")
            file.seek(0)
            with path.open("wb") as copy:
                shutil.copyfileobj(file, copy)
        source = b"file:" + os.fsencode(path.absolute())  # no name is an option or an address
        # The samples go to a file, not through memory; ffmpeg opens files only, whatever a playlist says.
        before = ["-nostdin", "-v", "error", "-xerror", "-protocol_whitelist", "file,pipe"]
        after = ["-map", "0:a:0", "-c:a", "pcm_f32le", "-fs", str(FFMPEG_BYTES), "-f", "wav", "-"]
        with Path(folder, "output").open("w+b", buffering=0) as output:
            try:
                ended = subprocess.run(
                    [program, *before, "-i", source, *after],
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.PIPE,
                    timeout=FFMPEG_SECONDS,
                )
            except subprocess.TimeoutExpired:
                raise InputError(f"{name}: ffmpeg takes over {FFMPEG_SECONDS} s; convert it to WAV or FLAC") from None
            except OSError as broken:
                raise InputError(f"{name}: ffmpeg does not start ({broken.strerror}); convert it to WAV") from None
            if ended.returncode != 0:
                said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
                cause = said[-1].split(": ")[-1] if said else f"it ended with {ended.returncode}"
                raise InputError(
                    f"{name}: neither soundfile nor ffmpeg can read it ({display_name(cause)}); "
                    "check that it is a complete sound file"
                )
            if os.fstat(output.fileno()).st_size > FFMPEG_BYTES - (1 << 20):
                raise InputError(f"{name}: is too long to go through ffmpeg; convert it to FLAC")
            output.seek(0)
            try:
                return _read(output, name)
            except LibsndfileError:
                raise InputError(f"{name}: ffmpeg finds no sound in it; check it, or convert it to WAV") from None
