"""BSS-eval of a song beside museval 0.4.1 (pip install museval): deviation, CPU time on one thread, memory.

python -m tests.benchmarks.separation [SECONDS]
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

NAMES = ("sdr", "isr", "sir", "sar")
RATE, STEMS = 44100, 4


def song(seconds: float) -> tuple[Any, Any]:
    """Stereo sources of noise that swell in turns, and estimates into which others leak, [source, channel, sample]."""
    rng = np.random.default_rng(1)
    time = np.arange(int(seconds * RATE)) / RATE
    swell = 0.05 * (0.1 + np.abs(np.sin(2 * np.pi * np.outer(np.arange(1, STEMS + 1) / 5, time))))
    noise = rng.standard_normal((STEMS, 2, time.size))
    sources = swell[:, None] * (noise + np.roll(noise, 1, -1))
    sources[:, 1] = 0.7 * sources[:, 0] + 0.3 * sources[:, 1]
    leaked = 0.9 * sources + 0.1 * np.roll(sources, 2, -1) + 0.1 * np.roll(sources, 1, 0)
    return sources, np.clip(leaked + 0.003 * rng.standard_normal(sources.shape), -0.2, 0.2)


def ours(sources: Any, estimates: Any) -> Any:
    """[output, source]."""
    import audiosim

    audiosim.compare_sources(
        *(x[..., :RATE] for x in (sources, estimates)), "bss-eval", RATE, in_order=True
    )  # compiles
    begun = process_time()
    found = audiosim.compare_sources(sources, estimates, "bss-eval", RATE, in_order=True, jobs=1)
    print(process_time() - begun)
    return np.array([[results["bss-eval"].details[name] for results in found] for name in NAMES])


def theirs(sources: Any, estimates: Any) -> Any:
    import museval

    begun = process_time()
    found = museval.evaluate(sources.transpose(0, 2, 1), estimates.transpose(0, 2, 1), win=RATE, hop=RATE)
    print(process_time() - begun)
    return np.nanmedian(found, axis=2)


def main() -> None:
    if len(sys.argv) == 3:  # in a process of its own, whose memory is its own
        values = {"ours": ours, "theirs": theirs}[sys.argv[2]](*song(float(sys.argv[1])))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(*values.ravel().tolist())
        return
    seconds = sys.argv[1] if len(sys.argv) > 1 else "240"
    read = {}
    for who in ("theirs", "ours"):
        command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.separation", seconds, who]
        done = subprocess.run(
            command,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=True,
        )
        read[who] = [np.array([float(x) for x in line.split()]) for line in done.stdout.splitlines()]
    (cpu, memory, values), (own_cpu, own_memory, own) = read["theirs"], read["ours"]
    print("| song | museval | audiosim | ratio | memory of museval | of audiosim | largest deviation |")
    print("|---|---|---|---|---|---|---|")
    print(
        f"| {seconds} s, {STEMS} stereo stems | {cpu[0]:.1f} s | {own_cpu[0]:.1f} s | {cpu[0] / own_cpu[0]:.1f} "
        f"| {memory[0]:.0f} MiB | {own_memory[0]:.0f} MiB | {np.abs(own - values).max():.1e} dB |"
    )


if __name__ == "__main__":
    main()
