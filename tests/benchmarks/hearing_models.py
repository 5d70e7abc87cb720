"""Models of hearing beside their originals: `python -m tests.benchmarks.hearing_models` prints the table of the README.

Agreement: the largest deviation from the recorded values in ../shared/oracles. Speed: CPU seconds on one core for a
pair of 60 s at 48 kHz in stereo, in turns with the original, the median of the ratios. Originals that are Python
packages are called where they are installed; others are given as programs, such as
    --program 'peaq=peaq {ref} {test}' --program 'peaq-advanced=peaq --advanced {ref} {test}'
and are timed with their start and the decoding of two WAV files (ours without: some 0.1 s). No test depends on it.
"""

from __future__ import annotations

import argparse
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np
import soundfile

from audiosim import metrics
from audiosim.testing import signals
from tests.recorded import RECORDED

RATE = 48000
SECONDS = 60.0
Array = Any


@dataclass(frozen=True, slots=True)
class Pair:
    """Two recordings in memory, float64 [channel, sample], and as 16-bit WAV files."""

    ref: Array
    test: Array
    files: Mapping[str, str]  # "ref", "test"

    @classmethod
    def of(cls, ref: Array, test: Array, folder: Path, name: str) -> Pair:
        files = {side: str(folder / f"{name}_{side}.wav") for side in ("ref", "test")}
        for file, samples in zip(files.values(), (ref, test), strict=True):
            soundfile.write(file, samples.T, RATE, subtype="PCM_16")
        return cls(ref, test, files)


@dataclass(frozen=True, slots=True)
class Original:
    """Who made the model, what it takes to beat, and how to call it: make(pair) gives the call, None: a program."""

    spec: str
    name: str
    asked: float
    make: Callable[[Pair], Callable[[], Any]] | None = None
    seconds: float = SECONDS  # of one channel, where it is too slow for more


def zimtohrli(pair: Pair) -> Callable[[], Any]:
    from zimtohrli import Pyohrli

    return lambda: [Pyohrli().distance(r, t) for r, t in zip(pair.ref, pair.test, strict=True)]


def mosqito(pair: Pair) -> Callable[[], Any]:
    from mosqito.sq_metrics import loudness_zwtv

    return lambda: [loudness_zwtv(2 * 2**0.5 * x, RATE) for side in (pair.ref, pair.test) for x in side]


def ebur128(pair: Pair) -> Callable[[], Any]:
    if not shutil.which("ffmpeg"):
        raise ImportError("ffmpeg")
    line = ["ffmpeg", "-nostats", "-hide_banner", "-threads", "1", "-i"]
    rest = ["-filter_complex", "ebur128=peak=true", "-f", "null", "-"]
    return lambda: [
        subprocess.run([*line, file, *rest], check=True, capture_output=True) for file in pair.files.values()
    ]


ORIGINALS = [
    Original("auditory", "zimtohrli 0.2.1.post1 (C++ in a wheel)", 4, zimtohrli),  # there is none; the fastest peer
    Original("zimtohrli", "zimtohrli 0.2.1.post1 (C++ in a wheel)", 1, zimtohrli),
    Original("zimtohrli", "zimtohrli", 1),
    Original("peaq", "GstPEAQ", 1),
    Original("peaq-advanced", "GstPEAQ --advanced", 1),
    Original("visqol:output=vnsim", "ViSQOL", 8, seconds=12.0),
    Original("visqol-speech", "ViSQOL, speech mode", 8, seconds=12.0),
    Original("loudness", "MoSQITo 1.2.1 loudness_zwtv", 20, mosqito, seconds=10.0),
    Original("lufs", "ffmpeg ebur128=peak=true", 1, ebur128),
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--program", action="append", default=[], metavar="METRIC=COMMAND")
    arguments = parser.parse_args()
    agreement()
    print()
    speed(dict(p.split("=", 1) for p in arguments.program), arguments.repeats)


def agreement() -> None:
    print("| metric | original | number | pairs | largest deviation | asked |\n|---|---|---|---|---|---|")
    for r in RECORDED:
        numbers = list(r.numbers())
        pairs = len({name for name, *_ in numbers})
        worst = max(((r.excess(a, b), abs(a - b), a, b) for _, a, b in numbers), default=None)
        relative = bool(worst) and r.relative * abs(worst[3]) > r.absolute
        found = "no recordings" if worst is None else f"{worst[1] / (abs(worst[3]) if relative else 1):.1e}"
        asked = f"{r.absolute:g}" + (f" or {r.relative:g} relative" if r.relative else "")
        cells = f"`{r.spec.partition(':model')[0]}`", r.program, r.what, str(pairs)
        print(f"| {' | '.join(cells)} | {found}{' relative' if relative else ''} | {asked} |")


def speed(programs: Mapping[str, str], repeats: int) -> None:
    print(
        "| metric | original | its CPU s | ours | times faster | asked | x real time |\n|---|---|---|---|---|---|---|"
    )
    with tempfile.TemporaryDirectory() as folder:
        pair = recordings(Path(folder), SECONDS)
        for original in ORIGINALS:
            cells = side_by_side(original, pair, programs.get(original.spec.partition(":")[0], ""), repeats)
            if cells:
                print(f"| {' | '.join(cells)} |", flush=True)


def recordings(folder: Path, seconds: float) -> Pair:
    piece = np.vstack([signals.speech_like(RATE, 5.0, 1), signals.pink(RATE, 5.0, 2)])  # more takes long to make
    ref = np.hstack([piece * gain for gain in np.linspace(0.5, 1.0, round(seconds / 5))])
    test = 0.9 * signals.added_noise(ref, RATE, 0.05, 3)
    return Pair.of(ref, test, folder, "whole")


def side_by_side(original: Original, pair: Pair, program: str, repeats: int) -> list[str] | None:
    """A row of the table; None where the original is not there."""
    if original.seconds < SECONDS:
        samples, folder = round(original.seconds * RATE), Path(pair.files["ref"]).parent
        pair = Pair.of(pair.ref[:1, :samples].copy(), pair.test[:1, :samples].copy(), folder, "short")
    if original.make is not None:
        try:
            theirs = original.make(pair)
        except ImportError:
            return None
    elif program:
        command = [word.format(**pair.files) for word in shlex.split(program)]
        theirs = lambda: subprocess.run(command, check=True, capture_output=True)  # noqa: E731
    else:
        return None
    spec = metrics.parse(original.spec)
    compute = metrics.get(spec.name).compute

    def ours() -> None:
        compute(pair.ref, pair.test, RATE, threads=1, **spec.options)

    ours()
    turns = [(cpu(theirs), cpu(ours)) for _ in range(repeats)]
    a, b = (statistics.median(t[i] for t in turns) for i in range(2))
    ratio = statistics.median(t / o for t, o in turns)
    cells = f"{a:.2f}", f"{b:.2f}", f"{ratio:.1f}", f"{original.asked:g}", f"{pair.ref.shape[1] / RATE / b:.0f}"
    return [f"`{original.spec}`", original.name, *cells]


def cpu(call: Callable[[], Any]) -> float:
    """User and system seconds of this process and of those that it starts."""

    def now() -> float:
        children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return time.process_time() + children.ru_utime + children.ru_stime

    before = now()
    call()
    return now() - before


if __name__ == "__main__":
    main()
