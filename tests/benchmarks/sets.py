"""What it costs to compare sets: `python -m tests.benchmarks.sets [FILES]` makes so many recordings of 5 s at 44.1 kHz
(1000) in a temporary folder, half of them references, and prints CPU time and memory: of the embeddings, and of all the
distances between the two sets. One thread.

--guard prints what the guard adds to metrics: CPU time of one recording of 8 s with and without it.
"""

from __future__ import annotations

import argparse
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

import audiosim
from audiosim import Signal, audio, domain, metrics
from audiosim.sets.embedding import BANDS, embedded

RATE, SECONDS = 44100, 5.0
REPEATS = 15


def sound(rng: Any, seconds: float = SECONDS, rate: int = RATE) -> Any:
    """Notes of a coloured noise [sample]."""
    t = np.arange(int(seconds * rate)) / rate
    spectrum = np.fft.rfft(rng.normal(size=t.size)) / (1 + np.fft.rfftfreq(t.size, 1 / rate) / rng.uniform(300, 3000))
    x = np.abs(np.sin(np.pi * rng.uniform(1, 4) * t)) * np.fft.irfft(spectrum, t.size)
    return 0.1 * x / x.std()


def memory() -> float:
    """The most that the process has taken, MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def of_sets(count: int) -> None:
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as made:
        for i in range(count):
            folder = Path(made, ("ref", "test")[i % 2])
            folder.mkdir(exist_ok=True)
            audio.save(folder / f"{i}.wav", Signal.of(sound(rng).astype(np.float32), RATE))
        files = sorted(Path(made).glob("*/*.wav"))
        embedded(files[0], BANDS, keep=False)
        before, begun = memory(), time.process_time()
        windows = sum(len(embedded(file, BANDS, keep=False)) for file in files)
        spent = time.process_time() - begun
        print(f"embeddings of {count} recordings of {SECONDS:g} s: {spent:.1f} s CPU, {windows} windows")
        print(f"memory: {before:.0f} MB before, {memory():.0f} MB at most")
        begun = time.process_time()
        audiosim.compare_sets(f"{made}/ref", f"{made}/test", keep=False, jobs=1)
        print(
            f"with all distances and 200 resamples: {time.process_time() - begun:.1f} s CPU, {memory():.0f} MB at most"
        )


def of_guard() -> None:
    rng = np.random.default_rng(0)
    x = sound(rng, 8.0, 16000)[None]
    y = x + 0.01 * rng.normal(size=x.shape)
    domain.summary("pesq")
    print("| metric | without, ms CPU | with, ms CPU | ratio |\n|---|---|---|---|")
    for name in ("mse", "pesq", "stoi", "warp-q"):
        metric = metrics.get(name)
        spent: dict[bool, list[float]] = {False: [], True: []}
        real = domain.LEAST_RATE
        for i in range(2 * REPEATS + 2):
            domain.LEAST_RATE = real if i % 2 else 1 << 30  # type: ignore[misc]
            begun = time.process_time()
            metric.compute(x, y, 16000)
            if i > 1:
                spent[bool(i % 2)].append(1e3 * (time.process_time() - begun))
        domain.LEAST_RATE = real  # type: ignore[misc]
        off, on = (float(np.median(spent[guarded])) for guarded in (False, True))
        print(f"| {name} | {off:.2f} | {on:.2f} | {on / off:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", type=int, nargs="?", default=1000)
    parser.add_argument("--guard", action="store_true")
    given = parser.parse_args()
    if given.guard:
        of_guard()
    else:
        of_sets(given.files)


if __name__ == "__main__":
    main()
