"""How time and memory grow with the length: `python -m tests.benchmarks.scaling` prints, for every metric, CPU seconds,
the peak of memory beyond the inputs, and the slope of the logarithm of time over that of length (1: linear).

Every length of every metric is a process of its own: mono, float32, noise whose level changes, at the rate that the
metric demands or at 48 kHz; kernels are compiled before. `-m zimtohrli -m mcd:band=0` picks metrics, `--seconds 10,60`
lengths. An hour of all of them takes long, and some take more memory than there may be: `--timeout`. Linux with glibc.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import time

import numpy as np
from numpy.typing import NDArray

from audiosim import metrics
from tests.benchmarks.process import peak_mebibytes

SECONDS = "10,60,600,3600"
WARM = 2.0  # seconds of a pair on which kernels are compiled
ASKED_SLOPE, ASKED_MEBIBYTES, ASKED_TIMES = 1.1, 64, 3


def recording(seconds: float, rate: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Noise at syllables of changing level, with less noise in the test: [1, sample]. Made second by second."""
    rng = np.random.default_rng(1)
    length = round(seconds * rate)
    ref, test = (np.empty((1, length), np.float32) for _ in range(2))
    for start in range(0, length, rate):
        x = ref[0, start : start + rate]
        levels = np.repeat(rng.uniform(0.01, 0.2, 8), -(-rate // 8))[: x.size].astype(np.float32)
        rng.standard_normal(out=x, dtype=np.float32)
        x *= levels
        test[0, start : start + rate] = x + np.float32(0.02) * rng.standard_normal(x.size, dtype=np.float32)
    return ref, test


def measured(text: str, seconds: float) -> dict[str, float | str]:
    """CPU seconds, mebibytes beyond the inputs, mebibytes of the inputs, and the value; in this process."""
    spec = metrics.parse(text)
    metric = metrics.get(spec.name)
    rate = metric.card.rate or 48000
    metric.compute(*recording(min(seconds, max(WARM, 1.5 * metric.card.shortest)), rate), rate, **spec.options)
    ref, test = recording(seconds, rate)
    found: dict[str, float | str] = {"inputs": (ref.nbytes + test.nbytes) / 2**20}

    def call() -> None:
        start = time.process_time()
        found["value"] = metric.compute(ref, test, rate, **spec.options).value
        found["cpu"] = time.process_time() - start

    found["memory"] = peak_mebibytes(call)
    return found


def child(text: str, seconds: float, timeout: float) -> dict[str, float | str]:
    """As measured, in a process of its own; why there is nothing, under the key "failed"."""
    command = [sys.executable, "-m", "tests.benchmarks.scaling", "--one", text, "--seconds", f"{seconds:g}"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        return {"failed": f"over {timeout:g} s"}
    if done.returncode:
        return {"failed": (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1][:60]}
    found: dict[str, float | str] = json.loads(done.stdout.splitlines()[-1])
    return found


def slope(lengths: list[float], times: list[float]) -> float:
    """Of the line through the logarithms, by least squares."""
    return float(np.polyfit(np.log(lengths), np.log(times), 1)[0]) if len(times) > 1 else math.nan


def row(text: str, lengths: list[float], timeout: float) -> str:
    found = []
    for seconds in lengths:
        found.append(child(text, seconds, timeout))
        if "failed" in found[-1]:  # longer ones would fail too
            break
    known = [(s, f) for s, f in zip(lengths, found, strict=False) if "failed" not in f]
    grows = slope([s for s, _ in known], [float(f["cpu"]) for _, f in known])
    cells = [str(f.get("failed", "")) or f"{f['cpu']:.2f} s, {f['memory']:.0f} MiB" for f in found]
    cells += ["-"] * (len(lengths) - len(found))
    fault = []
    if grows > ASKED_SLOPE:
        fault.append("time")
    if known and float(known[-1][1]["memory"]) > ASKED_MEBIBYTES:
        times = float(known[-1][1]["memory"]) / float(known[-1][1]["inputs"])
        fault.append(f"memory: {times:.2f} times the inputs" + (", too much" if times > ASKED_TIMES else ""))
    return f"| `{text}` | {' | '.join(cells)} | {grows:.2f} | {'; '.join(fault) or '-'} |"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("-m", "--metric", action="append", help="with options, as on the command line; default: all")
    arguments.add_argument("--seconds", default=SECONDS)
    arguments.add_argument("--timeout", type=float, default=1800.0, help="seconds for one length of one metric")
    arguments.add_argument("--one", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    lengths = [float(s) for s in given.seconds.split(",")]
    if given.one:
        print(json.dumps(measured(given.one, lengths[0])))
        return
    heads = [f"{s:g} s" for s in lengths]
    print(f"| metric | {' | '.join(heads)} | slope, asked {ASKED_SLOPE} | beyond what is asked |")
    print("|---" * (len(heads) + 3) + "|")
    for text in given.metric or metrics.own_names():
        print(row(text, lengths, given.timeout), flush=True)


if __name__ == "__main__":
    main()
