"""The real FFT beside others: `python -m tests.benchmarks.fft`. CPU time a frame, in turns, on one core.

16 frames at a time, warm: scipy, numpy, and whichever of torch, pyfftw (measured plans) and ducc0 are installed. Each
gets the frames as they are; ours multiplies them by a window on the way. rms errors are relative to scipy's.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import statistics
import time
from collections.abc import Callable

for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
    os.environ[name] = "1"

import numpy as np
import scipy.fft

from audiosim.engine import fft

FRAMES = 16
REPEATS = 5  # calls in a turn


def others(x: np.ndarray) -> dict[str, Callable[[], object]]:
    """What is installed, ready to transform x."""
    runs: dict[str, Callable[[], object]] = {"scipy": lambda: scipy.fft.rfft(x), "numpy": lambda: np.fft.rfft(x)}
    if importlib.util.find_spec("torch"):
        import torch

        torch.set_num_threads(1)
        tensor = torch.from_numpy(x)
        runs["torch"] = lambda: torch.fft.rfft(tensor)
    if importlib.util.find_spec("pyfftw"):
        import pyfftw

        runs["pyfftw"] = pyfftw.builders.rfft(x.copy(), threads=1, planner_effort="FFTW_MEASURE")
    if importlib.util.find_spec("ducc0"):
        import ducc0

        runs["ducc0"] = lambda: ducc0.fft.r2c(x, axes=(1,), nthreads=1)
    return runs


def turns(runs: dict[str, Callable[[], object]], count: int) -> dict[str, list[float]]:
    """CPU nanoseconds a frame of each, [turn]."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(count):
        for name, run in runs.items():
            run()  # what ran before has left its own data in the cache
            start = time.process_time_ns()
            for _ in range(REPEATS):
                run()
            taken[name].append((time.process_time_ns() - start) / FRAMES / REPEATS)
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=101)
    count = parser.parse_args().turns
    for dtype in (np.float32, np.float64):
        begin = time.process_time()
        fft.rfft(np.zeros((1, 128), dtype))
        print(f"{np.dtype(dtype)}: first call {time.process_time() - begin:.2f} CPU s\n")
        head = ""
        for n in sorted(fft.SIZES):
            x = np.random.default_rng(n).standard_normal((FRAMES, n)).astype(dtype)
            true = np.fft.rfft(x.astype(np.longdouble))
            error = [np.sqrt(np.mean(np.abs(f(x) - true) ** 2)) for f in (fft.rfft, scipy.fft.rfft)]
            line, window, out = x.reshape(1, -1), np.ones(n, dtype), np.empty((1, FRAMES, n + 2), dtype)
            spectra, their_spectra = fft.rfft(x), scipy.fft.rfft(x)
            runs = {"ours": lambda a=line, n=n, w=window, o=out: fft.frames_rfft(a, n, w, o), **others(x)}
            backwards = {
                "ours": lambda z=spectra, n=n: fft.irfft(z, n),
                "scipy": lambda z=their_spectra, n=n: scipy.fft.irfft(z, n),
            }
            taken, back = turns(runs, count), turns(backwards, count // 4)
            if not head:
                peers = [name for name in runs if name != "ours"]
                columns = [f"{name}, times" for name in peers]
                head = f"| n | ours ns | error | {' | '.join(columns)} | inverse: scipy, times |"
                print(head, "|" + "---|" * (4 + len(peers)), sep="\n")
            ratios = [statistics.median(a / b for a, b in zip(taken[p], taken["ours"], strict=True)) for p in peers]
            ratios.append(statistics.median(a / b for a, b in zip(back["scipy"], back["ours"], strict=True)))
            shown = " | ".join(f"{ratio:.2f}" for ratio in ratios)
            print(f"| {n} | {statistics.median(taken['ours']):.0f} | {error[0] / error[1]:.2f} | {shown} |", flush=True)
        print()


if __name__ == "__main__":
    main()
