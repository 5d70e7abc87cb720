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
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, get_args

from . import formats, remote
from .errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .formats import Layout
    from .signal import Signal

BLOCK = 1 << 16  # samples per channel decoded at a time: in cache, and as fast as one whole read
SMALL_BLOCK = 1 << 10  # where a block that the decoder breaks off is lost
UNKNOWN_LENGTH = 1 << 48  # libsndfile says 2**63 - 1 where the header does not tell
HEADER_SLACK = 2304  # samples by which honest headers of compressed sound overstate the length: two MPEG frames
BURST = 16.0  # times full scale, +24 dBFS, which no encoder writes of sound that is below it elsewhere
RARE = 0.1  # share of the samples
FFMPEG_SECONDS = 300
STRICT = ["-xerror", "-err_detect", "crccheck+bitstream+buffer+explode"]
FFMPEG_BYTES = 4_000_000_000  # what a WAV can carry

Damaged = Literal["error", "allow"]
# Errors of libsndfile that mean "another decoder may know it": unrecognised, unsupported, and a foreign codec in WAV.
_FOREIGN = (1, 4, 64)
_SOUND_FORMATS = ("mp3", "mp2", "mp1", "mpga", "mpeg")  # suffixes that --raw believes


@dataclass(frozen=True, slots=True)
class _Wanted:
    """damaged: whether what is left of a damaged file will do; raw: the format of files without a header."""

    damaged: Damaged = "error"
    raw: str | None = None

    def __post_init__(self) -> None:
        if self.damaged not in get_args(Damaged):
            raise UsageError(f"damaged={self.damaged!r} is not possible; one of: {', '.join(get_args(Damaged))}")
        if self.raw is not None:
            from .formats import raw

            raw.parse(self.raw)


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


def load(path: str | os.PathLike[str] | Literal["-"], *, damaged: Damaged = "error", raw: str | None = None) -> Signal:
    """Decode a sound file, a pipe, stdin ("-"), or what a URL names (`https://`, `s3://`; extra `remote`).

    WAV, FLAC, AIFF, Ogg (Vorbis, Opus, FLAC), MP3 and the other formats of libsndfile; what it does not know goes
    through ffmpeg where that is installed. Recordings that were joined to one file are read in a row. Samples
    [channel, sample] are float32, or float64 for 32-bit integer and double files; full scale is 1.0. Safe to call from
    several threads. On Linux the samples of long recordings lie in a temporary file (`scratch`).
    damaged: "allow" reads what is left of a damaged file, and the Signal's notes say what is wrong.
    raw: RATE:CHANNELS:FORMAT of files without a header, such as "48000:2:s16le".
    Raises InputError, one line, for what cannot be read, holds no samples, holds NaN or infinite ones, is damaged or
    would be read in part only.
    """
    name = display_name(path)
    wanted = _Wanted(damaged, raw)
    if not os.fspath(path):
        raise InputError("'': is not a file name; check that no variable in the command is empty")
    if path == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise InputError("stdin: nothing is piped in; use - as in `cat sound.wav | audiosim compare ref.wav -`")
        return _decoded(_in_memory(sys.stdin.buffer, name), name, wanted=wanted)
    if remote.is_url(path):
        return decode(remote.read(os.fspath(path)), name, damaged=damaged, raw=raw)
    with _raw(Path(path), name) as file:
        found = os.fstat(file.fileno())
        if stat.S_ISREG(found.st_mode):
            if found.st_size == 0:
                raise _empty(name)
            return _decoded(file, name, Path(path), wanted)
        if stat.S_ISCHR(found.st_mode) or stat.S_ISBLK(found.st_mode):
            raise InputError(f"{name}: is a device; give a sound file or a pipe")
        return _decoded(_in_memory(file, name), name, wanted=wanted)


def decode(data: bytes, name: str, *, damaged: Damaged = "error", raw: str | None = None) -> Signal:
    """The Signal of a sound file with these bytes, as by `load`; name: for messages."""
    return _decoded(_in_memory(io.BytesIO(data), name), name, wanted=_Wanted(damaged, raw))


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
        if path.is_symlink() and ".git/annex/objects" in os.fspath(path.readlink()):
            raise InputError(f"{name}: its content is not here; fetch it with `git annex get`") from None
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


def _decoded(file: IO[bytes], name: str, path: Path | None = None, wanted: _Wanted = _Wanted()) -> Signal:
    """The Signal in an open file that can seek; path where it has one, for ffmpeg."""
    from soundfile import LibsndfileError

    try:
        file, tagged = formats.untagged(file)
        layout = formats.inspect(file, formats.size_of(file))
        if wanted.raw is not None and _is_headerless(layout, path):
            return _headerless(file, name, wanted)
        path = None if tagged else path  # ffmpeg gets it without its tags
        if layout.kind == "unknown" and (what := formats.no_sound(file.read(formats.HEAD))):
            raise InputError(f"{name}: {what}")
        file.seek(0)
        if layout.damage and wanted.damaged == "error":
            raise _refused(name, layout.damage[0])
        try:
            if layout.misread:
                signal = _through_ffmpeg(file, name, path, "its sound is in pieces", layout, wanted)
            else:
                signal = _read(file, name, layout, wanted)
        except LibsndfileError as refused:
            reason = refused.error_string.removeprefix("Error : ").strip(" .")
            if layout.own and refused.code not in _FOREIGN and wanted.damaged == "error":
                raise _refused(name, f"is damaged or cut short ({reason})") from None
            signal = _through_ffmpeg(file, name, path, reason, layout, wanted)
        except _Broken as broken:
            signal = _through_ffmpeg(file, name, path, broken.said, layout, wanted)
            if not (layout.damage or signal.notes):
                said = f"is damaged or cut short: its decoder reports: {display_name(broken.said)}"
                signal = replace(signal, notes=(said,))
        # ALAC has no checksums, and libsndfile says nothing of packets that it does not understand.
        unsure = layout.kind == "caf" and not (layout.own or layout.damage or signal.notes or signal.decoder)
        if unsure and (complaint := _complaint(file, path)) is not None:
            if wanted.damaged == "error":
                raise _refused(name, complaint)
            signal = replace(signal, notes=(complaint,))
        notes = (*layout.damage, *signal.notes)
        return replace(signal, notes=notes) if layout.damage else signal
    except MemoryError:
        raise InputError(f"{name}: does not fit into memory; compare shorter pieces") from None
    except OSError as broken:
        raise InputError(f"{name}: cannot be read ({broken.strerror}); check where it comes from") from None


def _refused(name: str, damage: str) -> InputError:
    """The error of a file that is damaged, or of which only a part would be read."""
    return InputError(
        f"{name}: {damage}; copy or export it again, or use --damaged allow to go on with what can be read"
    )


class _Broken(Exception):
    """The decoder met what it does not understand: what it said, and the samples before it."""

    def __init__(self, said: str, samples: NDArray[Any]) -> None:
        super().__init__(said)
        self.said, self.samples = said, samples


def _read(file: IO[bytes], name: str, layout: Layout, wanted: _Wanted) -> Signal:
    """The Signal by libsndfile, of all recordings in the file. LibsndfileError where it does not know the file."""
    signal: Signal | None
    try:
        signal = _read_parts(file, name, layout, wanted)
        problem = None
    except InputError as found:
        signal, problem = None, found
    if layout.kind == "flac" and (signal is None or signal.notes):  # only then is it worth to look for several
        several = formats.joined(file, formats.size_of(file))
        if several is not None:
            if several.damage and wanted.damaged == "error":
                raise _refused(name, several.damage[0])
            signal = _read_parts(file, name, several, wanted)
            return replace(signal, notes=(*several.damage, *signal.notes)) if several.damage else signal
    if signal is None:
        assert problem is not None
        raise problem
    return signal


def _read_parts(file: IO[bytes], name: str, layout: Layout, wanted: _Wanted) -> Signal:
    import numpy as np

    from .signal import Signal, check_finite, dbfs

    notes: list[str] = []
    read: list[tuple[NDArray[Any], int]] = []
    for part in layout.parts or (None,):
        source = file if part is None else part.source()
        muffled: AbstractContextManager[list[str]] = formats.muffled() if layout.noisy else nullcontext([])
        with muffled as said, _sound(source, layout) as sound:
            length = part.length if part is not None else None
            log = sound.extra_info if layout.noisy else ""
            try:
                samples = _samples(sound, length, sure=wanted.damaged == "error")
                if layout.noisy and "rror" in (more := sound.extra_info.removeprefix(log)):
                    said.append(next(line for line in more.splitlines() if "rror" in line))
                announced = length or _announced(sound)
            except _Broken as broken:
                if wanted.damaged == "allow" and shutil.which("ffmpeg"):
                    raise  # ffmpeg goes on behind the damage
                samples, announced = broken.samples, 0
                notes.append(f"is damaged or cut short: its decoder reports: {display_name(broken.said)}")
            rate = sound.samplerate
            exact = length is not None
        if said:
            notes.append(f"is damaged: its decoder reports: {display_name(said[0])}")
        held = samples.shape[1]
        if layout.kind == "mp3" and (peak := _burst(samples)):
            notes.append(f"is damaged: it peaks at {dbfs(peak):+.1f} dBFS in a few of its frames")
        if announced - held > (0 if exact else min(HEADER_SLACK, announced // 10)):
            notes.append(formats.cut_short(announced, held))
        elif part is not None and held < part.least:
            notes.append(f"is read in part: its decoder gives {held} samples, its frames hold at least {part.least}")
        elif exact and announced and held > announced:
            notes.append(f"is damaged: its header announces {announced} samples, it holds {held}")
        if notes and wanted.damaged == "error":
            raise _refused(name, notes[0])
        read.append((samples, rate))
    shapes = [f"{len(samples)} channels at {rate} Hz" for samples, rate in read]
    if len({*shapes}) > 1:
        other = next(shape for shape in shapes if shape != shapes[0])
        raise InputError(
            f"{name}: holds {len(read)} recordings in a row that differ ({shapes[0]}, {other}); split it into files"
        )
    samples = read[0][0] if len(read) == 1 else np.concatenate([samples for samples, _ in read], axis=1)
    if samples.shape[1] == 0:
        if notes:
            raise _refused(name, notes[0])
        raise InputError(f"{name}: has no samples; record or export it again")
    check_finite(samples, name)
    return Signal(samples, read[0][1], name, notes=tuple(notes))


def _burst(samples: NDArray[Any]) -> float:
    """The peak where a few frames are far beyond full scale, as a flipped bit in the gain of one makes it; 0 where none
    are, or where all of the sound is: it is in other units."""
    import numpy as np

    peak = float(max(samples.max(initial=0), -samples.min(initial=0)))
    return peak if BURST < peak < np.inf and np.mean(np.abs(samples) > 1) < RARE else 0.0


def _is_headerless(layout: Layout, path: Path | None) -> bool:
    """Whether to take the file for bare samples, many of which begin like MPEG audio."""
    named = path is not None and path.suffix.lower().lstrip(".") in _SOUND_FORMATS
    return layout.kind == "unknown" or (layout.kind == "mp3" and not named)


def _headerless(file: IO[bytes], name: str, wanted: _Wanted) -> Signal:
    from .formats import raw
    from .signal import Signal, check_finite

    form = raw.parse(str(wanted.raw))
    file.seek(0)
    data = file.read()
    frame = form.width * form.channels
    notes: tuple[str, ...] = ()
    if left := len(data) % frame:
        notes = (f"is cut short: {len(data)} bytes are no whole number of samples of {frame} bytes ({left} are left)",)
        if wanted.damaged == "error":
            raise InputError(f"{name}: {notes[0]}; check --raw {wanted.raw}, or use --damaged allow")
        data = data[: len(data) - left]
    if not data:
        raise InputError(f"{name}: has no samples; record or export it again")
    samples = form.samples(data)
    check_finite(samples, name)
    return Signal(samples, form.rate, name, decoder=f"headerless PCM ({wanted.raw})", notes=notes)


@cache
def _stream() -> Any:
    import soundfile

    class Stream(soundfile.SoundFile):  # type: ignore[misc]
        def seekable(self) -> bool:  # soundfile seeks after each read, which fails at the end of a streamed FLAC
            return False

    return Stream


@contextmanager
def _sound(file: IO[bytes], layout: Layout) -> Iterator[Any]:
    """A soundfile.SoundFile to be read once from start to end."""
    stream = _stream()
    if os.name == "posix" and layout.piped:
        # Without a Xing header an MP3 has no length but an estimate from its first frame, at which libsndfile stops;
        # from a pipe it reads to the end.
        reading, writing = os.pipe()
        feeder = threading.Thread(target=_feed, args=(file, writing), daemon=True)
        feeder.start()
        try:
            with stream(reading, closefd=False) as sound:
                yield sound
        finally:
            os.close(reading)  # ends the feeder, should it still be writing
            feeder.join()
    else:
        # By descriptor: soundfile would take a name that ends in .raw for headerless samples.
        by_descriptor = os.name == "posix" and isinstance(file, io.FileIO)
        with stream(file.fileno() if by_descriptor else file, closefd=False) as sound:
            yield sound


def _feed(file: IO[bytes], descriptor: int) -> None:
    try:
        with os.fdopen(descriptor, "wb") as pipe:
            shutil.copyfileobj(file, pipe, 1 << 16)
    except OSError:  # the decoder stopped reading, or the file cannot be read: it sees the end
        pass


def _samples(sound: Any, length: int | None = None, *, sure: bool = True) -> NDArray[Any]:
    """[channel, sample] of all that the file holds. length: as announced, where libsndfile is not told.

    sure: the file is sound, or of no use if it is not; else as much as can be is read before its damage.
    """
    import numpy as np
    from soundfile import LibsndfileError

    from . import scratch

    # float32 holds 24 bits exactly; only these formats hold more.
    dtype = np.float64 if sound.subtype in ("PCM_32", "ALAC_32", "DOUBLE") else np.float32
    known = sound.frames < UNKNOWN_LENGTH
    # What a header announces is believed up to an hour; beyond, room is made for what comes.
    room = sound.frames if known else min(length or BLOCK, 3600 * sound.samplerate)
    samples = scratch.empty((sound.channels, room), dtype)
    held = 0
    try:
        if sound.channels == 1 and (known or length) and sure:  # in place
            held = len(sound.read(out=samples.T))
            if known or held < room:
                return samples[:, :held]
        block = np.empty((BLOCK if sure else SMALL_BLOCK, sound.channels), dtype)
        while count := len(decoded := sound.read(out=block)):
            if held + count > samples.shape[1]:
                room = held + max(room, BLOCK)
                larger = scratch.empty((len(samples), room), dtype)
                larger[:, :held] = samples[:, :held]
                samples = larger
            samples[:, held : held + count] = decoded.T
            held += count
    except LibsndfileError as broken:
        said = broken.error_string.removeprefix("Error : ").strip(" .")
        raise _Broken(said, scratch.shortened(samples, held)) from None
    return scratch.shortened(samples, held)


def _announced(sound: Any) -> int:
    """Samples that the header claims, 0 where it claims nothing."""
    frames = int(sound.frames)
    return 0 if frames >= UNKNOWN_LENGTH else frames


def _through_ffmpeg(
    file: IO[bytes], name: str, path: Path | None, reason: str, layout: Layout, wanted: _Wanted
) -> Signal:
    """The first audio stream as ffmpeg decodes it, float32."""
    from soundfile import LibsndfileError

    file.seek(0)
    headerless = layout.kind == "unknown"
    mend = "if it is headerless PCM, name its format with --raw RATE:CHANNELS:FORMAT"
    program = shutil.which("ffmpeg")
    if program is None:
        if layout.kind in ("unknown", "other"):
            raise InputError(
                f"{name}: soundfile cannot read it ({reason}); if it is a sound file, install ffmpeg, which reads "
                f"more, or convert it to WAV{'; ' + mend if headerless else ''}"
            )
        raise InputError(
            f"{name}: is damaged, or of a kind that soundfile cannot read ({reason}); copy or export it again, or "
            "install ffmpeg, which reads more"
        )
    with tempfile.TemporaryDirectory(prefix="audiosim-") as folder:
        source = _source(file, path, folder)
        # The samples go to a file, not through memory; ffmpeg opens files only, whatever a playlist says.
        strict = STRICT if wanted.damaged == "error" else []
        before = ["-nostdin", "-v", "error", *strict, "-protocol_whitelist", "file,pipe"]
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
            said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
            if ended.returncode != 0:
                silent = any("matches no streams" in line for line in said)
                if silent and not headerless:
                    raise InputError(f"{name}: holds no sound, only pictures or text; give a sound file")
                cause = said[-1].split(": ")[-1] if said else f"it ended with {ended.returncode}"
                cause = "no sound in it" if silent else cause
                raise InputError(
                    f"{name}: neither soundfile nor ffmpeg can read it ({display_name(cause)}); "
                    f"{mend if headerless else 'check that it is a complete sound file'}"
                )
            if os.fstat(output.fileno()).st_size > FFMPEG_BYTES - (1 << 20):
                raise InputError(f"{name}: is too long to go through ffmpeg; convert it to FLAC")
            output.seek(0)
            damage = [f"is damaged: ffmpeg reports: {display_name(_bare(said[-1]))}"] if said else []
            if damage and wanted.damaged == "error":
                raise _refused(name, damage[0])
            try:
                signal = _read_parts(output, name, formats.Layout("wav"), _Wanted("allow"))
            except LibsndfileError:
                raise InputError(f"{name}: ffmpeg finds no sound in it; check it, or convert it to WAV") from None
            if layout.most and signal.length > layout.most:
                damage.append(f"is damaged: its header has room for {layout.most} samples, it holds {signal.length}")
                if wanted.damaged == "error":
                    raise _refused(name, damage[-1])
            return replace(signal, decoder="ffmpeg", notes=tuple(damage))


def _source(file: IO[bytes], path: Path | None, folder: str) -> bytes:
    """How ffmpeg is given the file, which is copied into the folder where it has no path of its own."""
    if path is None:  # many formats cannot be read from a pipe
        path = Path(folder, "input")
        file.seek(0)
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy)
    return b"file:" + os.fsencode(path.absolute())  # no name is an option or an address


def _complaint(file: IO[bytes], path: Path | None) -> str | None:
    """What ffmpeg says of the file under its strict checks; None where it is content or not installed."""
    program = shutil.which("ffmpeg")
    if program is None:
        return None
    command = [program, "-nostdin", "-v", "error", *STRICT, "-protocol_whitelist", "file,pipe"]
    try:
        with tempfile.TemporaryDirectory(prefix="audiosim-") as folder:
            ended = subprocess.run(
                [*command, "-i", _source(file, path, folder), "-map", "0:a:0", "-f", "null", "-"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=FFMPEG_SECONDS,
            )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = ended.stderr.decode("utf-8", "replace").strip().splitlines()
    if said:
        return f"is damaged: ffmpeg reports: {display_name(_bare(said[0]).split(': ')[-1])}"
    return "is damaged: ffmpeg cannot decode all of it" if ended.returncode else None


def _bare(line: str) -> str:
    """A line of ffmpeg's without the address of the part that speaks."""
    return re.sub(r"^\[[^\]]*\]\s*", "", line)
