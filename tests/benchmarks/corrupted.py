"""Corrupted sound files through compare and batch: python -m tests.benchmarks.corrupted [--files 1000] [--seed 1].

Each is a sound file of ours with flipped bits, a cut, a part missing or zeroed, another file or garbage behind it, a
tag before it, or a size that lies. Printed is what must be 0: tracebacks, hangs, exit codes other than 0, 1 and 3,
lines that are not ours, and files that are scored although ffmpeg, where it is installed, reads them differently.
Exit code 1 if any is not.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import soundfile

import audiosim
from audiosim.errors import AudiosimError
from audiosim.testing.signals import pink

RATE = 44100
SECONDS = 60  # after which a command hangs
KINDS = (  # suffix, format, subtype, channels
    *(("wav", "WAV", s, 2) for s in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")),
    *(("wav", "WAV", s, 1) for s in ("IMA_ADPCM", "MS_ADPCM", "GSM610", "PCM_16")),
    *(("wav", "WAVEX", "PCM_16", 2), ("wav", "RF64", "PCM_16", 2), ("w64", "W64", "PCM_16", 2)),
    *(("aiff", "AIFF", s, 2) for s in ("PCM_16", "PCM_24", "FLOAT")),
    *(("caf", "CAF", s, 2) for s in ("PCM_16", "FLOAT", "ALAC_16")),
    *(("au", "AU", s, 2) for s in ("PCM_16", "FLOAT")),
    *(("flac", "FLAC", s, 2) for s in ("PCM_16", "PCM_16", "PCM_24")),
    *(("ogg", "OGG", s, 2) for s in ("VORBIS", "VORBIS", "OPUS", "OPUS")),
    *(("mp3", "MP3", "MPEG_LAYER_III", c) for c in (1, 2, 2, 2)),
)
OFTEN = ("flip", "header", "cut", "lie")
LOSSY = ("ogg", "mp3")


@dataclass
class Found:
    """counts: of what happened; wrong: what must not, one line each."""

    counts: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)


def made(kind: tuple[str, str, str, int], seed: int) -> bytes:
    """A good file."""
    _, form, subtype, channels = kind
    rate = 48000 if subtype == "OPUS" else RATE
    file = io.BytesIO()
    sound = np.clip(pink(rate, 0.7, seed, channels) * 0.5, -0.9, 0.9)
    soundfile.write(file, np.atleast_2d(sound).T, rate, subtype, format=form)
    return file.getvalue()


def corrupted(data: bytes, rng: Random, others: list[bytes]) -> tuple[str, bytes]:
    """(what was done, the bytes)."""
    bad = bytearray(data)
    size = len(bad)
    how = rng.choice((*OFTEN, *OFTEN, "zero", "lose", "tail", "front", "join", "other"))
    if how == "flip":
        for _ in range(rng.choice((1, 1, 3, 10, 100))):
            bad[rng.randrange(size)] ^= 1 << rng.randrange(8)
    elif how == "header":
        for _ in range(rng.choice((1, 1, 2))):
            bad[rng.randrange(min(100, size))] ^= 1 << rng.randrange(8)
    elif how == "cut":
        del bad[rng.choice((rng.randrange(size), size - rng.randrange(1, 3000))) :]
    elif how == "lie":
        place = rng.randrange(4, min(200, size - 4), 2)
        names = [bad.find(name) for name in (b"data", b"SSND", b"COMM", b"fmt ", b"ds64", b"FORM", b"RIFF")]
        place = rng.choice([place, *(i + 4 for i in names if i >= 0)])
        lie = rng.choice((bytes(4), b"\xff" * 4, rng.randbytes(4), rng.randrange(size).to_bytes(4, "little")))
        bad[place : place + 4] = lie
    elif how == "zero":
        at = rng.randrange(size)
        count = min(rng.choice((4, 100, 3000)), size - at)
        bad[at : at + count] = bytes(count)
    elif how == "lose":
        at = rng.randrange(size)
        del bad[at : at + rng.choice((1, 4, 417, 5000))]
    elif how == "tail":
        bad += rng.choice((rng.randbytes(rng.choice((1, 100, 9000))), bytes(700), b"TAG" + bytes(125)))
    elif how == "front":
        bad[:0] = b"ID3\x04\0\0" + rng.choice((b"\0\0\0\x20" + bytes(32), b"\0\0\x7f\x7f" + bytes(5000)))
    elif how == "join":
        bad += data
    else:
        bad += rng.choice(others)
    return how, bytes(bad)


def cases(count: int, seed: int) -> Iterator[tuple[str, str, bytes, bytes]]:
    """(name, what was done, the good file, the bad one)."""
    rng = Random(seed)
    good = [made(kind, i) for i, kind in enumerate(KINDS)]
    for i in range(count):
        kind = KINDS[i % len(KINDS)]
        how, bad = corrupted(good[i % len(KINDS)], rng, good)
        yield f"{i:04d}-{kind[2].lower()}-{how}.{kind[0]}", how, good[i % len(KINDS)], bad


def run(count: int, seed: int, folder: Path) -> Found:
    """All cases, written below the folder, through compare and batch."""
    found = Found()
    refs, tests = folder / "ref", folder / "test"
    refs.mkdir()
    tests.mkdir()
    names = []
    for name, how, good, bad in cases(count, seed):
        if bad == good or not bad:
            continue
        (refs / name).write_bytes(good)
        (tests / name).write_bytes(bad)
        names.append((name, how))
    ok = _through_compare(folder, names, found)
    _through_batch(folder, ok, found)
    if shutil.which("ffmpeg"):
        for name, how in names:
            if name in ok and (why := _read_differently(tests / name, how, refs / name)):
                found.wrong.append(f"{name}: scored, but {why}")
    else:
        found.counts["no ffmpeg to read them too"] = 1
    return found


def _through_compare(folder: Path, names: list[tuple[str, str]], found: Found) -> set[str]:
    """Names of files that were scored."""
    ok = set()
    worker = [sys.executable, "-c", _LOOP]
    with tempfile.TemporaryFile() as said:  # a file: what C code prints is caught too
        process = subprocess.Popen(worker, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True)
        assert process.stdin is not None
        assert process.stdout is not None
        for name, how in names:
            before = said.seek(0, io.SEEK_END)
            process.stdin.write(json.dumps([str(folder / "ref" / name), str(folder / "test" / name)]) + "\n")
            process.stdin.flush()
            line = _line(process)
            if line is None:
                found.wrong.append(f"{name}: hangs or kills the process")
                process.kill()
                return ok
            said.seek(before)
            text = said.read().decode("utf-8", "replace")
            code, printed = json.loads(line)
            found.counts[f"{how}: exit {code}"] += 1
            if code not in (0, 3):
                found.wrong.append(f"{name}: exit {code}: {text.strip()[-200:]}")
            if "Traceback" in text or not all(one.startswith("audiosim: ") for one in text.splitlines()):
                found.wrong.append(f"{name}: prints {text.strip()[:200]!r}")
            if code == 3 and (len(text.splitlines()) != 1 or printed):
                found.wrong.append(f"{name}: is not refused in one line: {text!r} {printed!r}")
            if code == 0:
                ok.add(name)
        process.stdin.close()
        process.wait(SECONDS)
        process.stdout.close()
    return ok


_LOOP = """
import io, json, sys
from contextlib import redirect_stdout
from audiosim.cli import run
for line in sys.stdin:
    ref, test = json.loads(line)
    with redirect_stdout(io.StringIO()) as out:
        policy = ["--length", "trim", "--channels", "match", "--rate", "resample"]
        code = run(["compare", ref, test, "-m", "mse", *policy, "-q"])
    sys.stderr.flush()
    print(json.dumps([int(code), out.getvalue()]), flush=True)
"""


def _line(process: Any) -> str | None:
    from threading import Timer

    watch = Timer(SECONDS, process.kill)
    watch.start()
    try:
        return process.stdout.readline() or None
    finally:
        watch.cancel()


def _through_batch(folder: Path, ok: set[str], found: Found) -> None:
    """The same files at once: a row each, with a value where compare has one."""
    journal = folder / "run.jsonl"
    policy = ["--length", "trim", "--channels", "match", "--rate", "resample"]
    command = [sys.executable, "-m", "audiosim", "batch", str(folder / "ref"), str(folder / "test"), "-m", "mse"]
    ended = subprocess.run(
        [*command, *policy, "-q", "-o", str(journal), "--format", "jsonl"],
        capture_output=True,
        text=True,
        timeout=20 * SECONDS,
    )
    if ended.returncode not in (0, 3) or "Traceback" in ended.stderr:
        found.wrong.append(f"batch: exit {ended.returncode}: {ended.stderr[-300:]}")
    found.wrong += [f"batch prints {line!r}" for line in ended.stderr.splitlines() if not line.startswith("audiosim: ")]
    rows = [json.loads(line) for line in ended.stdout.splitlines()]
    scored = {Path(row["test"]).name for row in rows if row["status"] != "error"}
    found.wrong += [f"{name}: compare and batch disagree" for name in sorted(scored ^ ok)]


def _read_differently(path: Path, how: str, good: Path) -> str | None:
    """What ffmpeg, which shares no code with libsndfile, reads otherwise, where it reads the good file alike."""
    try:
        signal = audiosim.load(path)
    except AudiosimError as refused:
        return f"not read again: {refused}"
    if how in ("tail", "front", "lie", "header") and np.array_equal(audiosim.load(good).samples, signal.samples):
        return None  # what does not concern the sound
    if signal.decoder == "ffmpeg":
        return "only ffmpeg reads it"
    if path.suffix == ".flac" and how in ("join", "other"):  # ffmpeg leaves out what has the same frame numbers
        first = audiosim.load(good)
        return None if np.array_equal(first.samples, signal.samples[:, : first.length]) else "the start differs"
    off = _difference(path, signal, how)
    if isinstance(off, str):
        return off if not isinstance(_difference(good, audiosim.load(good), "good"), str) else None
    if off <= 1e-6:
        return None
    usual = _difference(good, audiosim.load(good), "good")
    limit = 1e-3 if path.suffix[1:] in LOSSY else max(usual, 1e-6) if isinstance(usual, float) else 1e-6
    if usual != off and isinstance(usual, float) and usual > 1e-2:
        return None  # the two never agree on this codec
    return f"they differ by {off:.2g}" if off > 2 * limit else None


def _difference(path: Path, signal: Any, how: str) -> float | str:
    """The largest difference of samples, as a share of the peak where that is above 1, or what else differs."""
    command = ["ffmpeg", "-nostdin", "-v", "quiet", "-i", f"file:{path}", "-map", "0:a:0", "-f", "f32le", "-"]
    other = np.frombuffer(subprocess.run(command, capture_output=True).stdout, np.float32)
    if other.size % signal.channels:
        return "ffmpeg finds other channels"
    other = other.reshape(-1, signal.channels).T
    lossy = path.suffix[1:] in LOSSY
    slack = 0 if not lossy else 2 * 2304 if how in ("join", "other") else 1152
    if abs(other.shape[1] - signal.length) > slack:
        return f"ffmpeg reads {other.shape[1]} samples, not {signal.length}"
    if lossy and how in ("join", "other"):
        return 0.0  # at seams each drops other samples
    lag = 0
    if path.suffix == ".mp3":
        size = min(signal.length, other.shape[1])
        spectra = np.fft.rfft(signal.samples[0, :size], 2 * size), np.fft.rfft(other[0, :size], 2 * size)
        lag = int(np.argmax(np.fft.irfft(spectra[0] * spectra[1].conj())))
        lag -= 2 * size if lag > size else 0
    a, b = signal.samples[:, max(lag, 0) :], other[:, max(-lag, 0) :]
    size = min(a.shape[1], b.shape[1])
    return float(np.abs(a[:, :size] - b[:, :size]).max(initial=0)) / max(1, float(np.abs(b).max(initial=0)))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--into", type=Path, help="an empty folder, for looking at the files afterwards")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = run(asked.files, asked.seed, asked.into or Path(folder))
    for what, count in sorted(found.counts.items()):
        print(f"{count:5d}  {what}")
    for line in found.wrong:
        print("WRONG", line)
    print(f"{len(found.wrong)} wrong in {sum(found.counts.values())}")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
