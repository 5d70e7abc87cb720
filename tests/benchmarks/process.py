"""What a process costs: `python -m tests.benchmarks.process` prints start-up against bare imports (CPU time, in turns,
median of the ratios), the memory that each metric takes beyond its inputs, and what a second thread brings."""

from __future__ import annotations

import argparse
import ctypes
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import soundfile

from audiosim import metrics
from audiosim.testing import signals

RATE = 48000
MAIN = "import sys; from audiosim.cli import main; sys.argv[0] = 'audiosim'; main()"


def cpu(command: Sequence[str]) -> float:
    """User and system seconds of a finished command."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime


def start_up(repeats: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder, name)) for name in ("ref.wav", "test.wav")]
        ref = signals.speech_like(RATE, 10, seed=1)
        for file, samples in zip(files, (ref, ref + 0.1 * signals.pink(RATE, 10, seed=2)), strict=True):
            soundfile.write(file, samples.T, RATE)
        cases = {
            "audiosim --help": (["--help"], "typer", 2.5),
            "audiosim explain": (["explain"], "numpy", 0.0),
            "audiosim compare, default panel, 10 s": (["compare", *files], "numba", 2.5),
        }
        print("| command | CPU s | against | CPU s | ratio | at most |\n|---|---|---|---|---|---|")
        for name, (arguments, module, most) in cases.items():
            ours = [sys.executable, "-c", MAIN, *arguments]
            theirs = [sys.executable, "-c", f"import {module}"]
            cpu(ours), cpu(theirs)
            pairs = [(cpu(ours), cpu(theirs)) for _ in range(repeats)]
            a, b = (statistics.median(times) for times in zip(*pairs, strict=True))
            ratio = statistics.median(x / y for x, y in pairs)
            print(f"| {name} | {a:.2f} | import {module} | {b:.2f} | {ratio:.2f} | {most or '-'} |")


def peak_mebibytes(call: Callable[[], object]) -> float:
    """Peak of resident memory while a call runs, beyond what there was before (Linux with glibc)."""
    ctypes.CDLL(None).malloc_trim(0)  # what was freed before does not count as already there
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmRSS")
    call()
    return (_status("VmHWM") - before) / 1024


def _status(field: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(field)).split()[1])


def memory(seconds: float) -> None:
    rng = np.random.default_rng(1)
    ref = 0.1 * rng.standard_normal((1, round(RATE * seconds)), dtype=np.float32)
    test = ref + 0.01 * rng.standard_normal(ref.shape, dtype=np.float32)
    print(f"\n| metric, {seconds:g} s pair | MiB beyond the inputs | with hp |\n|---|---|---|")
    for name in metrics.without_weights():
        compute = metrics.get(name).compute
        cells = []
        for weighting in ("none", "hp") if "weighting" in metrics.options(name) else (None,):
            weighted = {} if weighting is None else {"weighting": weighting}
            compute(ref[:, :RATE], test[:, :RATE], RATE, **weighted)  # compiled, and its tables made
            call = lambda: compute(ref, test, RATE, **weighted)  # noqa: E731, B023
            cells.append(f"{peak_mebibytes(call):.1f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def threads(repeats: int) -> None:
    """A second thread for mr-stft, and for the bare FFT beside it: where that is below 1.8, the machine is busy."""
    from concurrent.futures import ThreadPoolExecutor

    from audiosim.engine import fft

    ref = signals.pink(RATE, 120, seed=1).astype(np.float32)
    test = ref + np.float32(0.1) * signals.pink(RATE, 120, seed=2).astype(np.float32)
    frames = np.zeros((128, 1024), np.float32)
    compute = metrics.get("mr-stft").compute

    def transform(_: int) -> None:
        for _ in range(400):
            fft.rfft(frames)

    def timed(call: Callable[[], object]) -> float:
        start = time.perf_counter()
        call()
        return time.perf_counter() - start

    def both() -> None:
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(transform, range(2)))

    compute(ref[:, :RATE], test[:, :RATE], RATE)
    rows = []
    for _ in range(repeats):
        one, two = (timed(lambda j=j: compute(ref, test, RATE, threads=j)) for j in (1, 2))
        bare = 2 * timed(lambda: transform(0)) / timed(both)
        rows.append((one / two, bare))
    ours, bare = (statistics.median(ratios) for ratios in zip(*rows, strict=True))
    print(f"\ntwo threads, mr-stft of 120 s: {ours:.2f} times one; the bare FFT: {bare:.2f} times")


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--repeats", type=int, default=7)
    arguments.add_argument("--seconds", type=float, default=600.0, help="length of the pair for memory")
    given = arguments.parse_args()
    start_up(given.repeats)
    memory(given.seconds)
    threads(given.repeats)


if __name__ == "__main__":
    main()
