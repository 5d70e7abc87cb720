"""How exactly clocks that differ and clips of longer recordings are found, and what that costs.

python -m tests.benchmarks.alignment drift|find|hint
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from time import process_time
from typing import Any

import numpy as np
import soxr

from audiosim.dsp.drift import drift, late
from audiosim.dsp.excerpt import find
from audiosim.testing.signals import clipping, low_pass, noise, pink, speech_like

RATE = 48000
SOURCES = {"speech-like": speech_like, "pink noise": pink}


def _noisy(x: Any, decibel: float | None) -> Any:
    if decibel is None:
        return x
    rng = np.random.default_rng(1)
    return x + rng.standard_normal(x.shape) * np.sqrt(np.square(x).mean() / 10 ** (decibel / 10))


def drifts() -> Iterator[str]:
    """Error in ppm over how far the clocks are apart, how long the recordings are, and how noisy the test is."""
    yield "| signal | seconds | noise | " + " | ".join(f"{ppm:g} ppm" for ppm in PPM) + " | CPU s |"
    yield "| --- " * (4 + len(PPM)) + "|"
    for name, source in SOURCES.items():
        for seconds in (5, 20, 120):
            x = np.tile(source(RATE, min(seconds, 20) + 1, 1, 1), (1, max(seconds // 20, 1)))
            x = x[:, : (seconds + 1) * RATE] if seconds <= 20 else x
            for decibel in (None, 20, 10, 0):
                cells, spent = [], 0.0
                for ppm in PPM:
                    y = _noisy(soxr.resample(x.T, 1.0, 1 + ppm / 1e6, quality="VHQ").T, decibel)
                    begun = process_time()
                    found = drift(x[:, 5000:], y, RATE)
                    spent += process_time() - begun
                    cells.append(f"{abs(found.ppm - ppm):.2g}" if found.found else "not found")
                said = "none" if decibel is None else f"{decibel} dB"
                yield f"| {name} | {seconds} | {said} | {' | '.join(cells)} | {spent / len(PPM):.2f} |"


PPM = (1, 30, 1000, -20000, 75000)


def finds() -> Iterator[str]:
    """Clips found to half a sample, of as many; false finds; CPU and memory by length of the source."""
    yield "| source | clip | clean | noise at 10 dB | equaliser | clipped | others found |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    rng = np.random.default_rng(1)
    for name, source in (*SOURCES.items(), ("white noise", noise)):
        long, other = source(RATE, 60.0, 1, 1), source(RATE, 60.0, 2, 1)
        for seconds in (1.0, 3.0, 10.0):
            hits, false, count = [0, 0, 0, 0], 0, 8
            for _ in range(count):
                at = int(rng.integers(0, long.shape[1] - round(seconds * RATE)))
                clip = long[:, at : at + round(seconds * RATE)]
                spoilt = clip, _noisy(clip, 10), low_pass(clip, RATE, 0.5, 1), clipping(clip, RATE, 0.5, 1)
                for i, y in enumerate(spoilt):
                    found = find(long, y, RATE)
                    hits[i] += found.found and abs(found.start_samples - at) < 0.5
                false += find(other, clip, RATE).found
            yield f"| {name} | {seconds:g} s | {' | '.join(f'{n} of {count}' for n in hits)} | {false} of {count} |"
    yield ""
    yield "| source | CPU s | more memory, MB |"
    yield "| --- | --- | --- |"
    piece = speech_like(RATE, 20.0, 1, 2).astype(np.float32)
    clip = pink(RATE, 20.0, 1, 2).astype(np.float32)
    for minutes in (10, 60):
        long = np.tile(piece, (1, 3 * minutes))
        long[:, -30 * RATE : -10 * RATE] = clip
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begun = process_time()
        found = find(long, clip, RATE)
        spent = process_time() - begun
        assert abs(found.start_samples - long.shape[1] + 30 * RATE) < 0.5
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        yield f"| {minutes} min, stereo, 48 kHz | {spent:.1f} | {more:.0f} |"


def hints() -> Iterator[str]:
    """CPU seconds of the hint of a delay for 10 s at 48 kHz, the least of ten."""
    x = speech_like(RATE, 11.0, 1, 1)
    for name, by in (("none", 0), ("1105 samples", 1105)):
        spent = []
        for _ in range(10):
            begun = process_time()
            told = late(x[:, RATE:], x[:, RATE - by : x.shape[1] - by], RATE)
            spent.append(process_time() - begun)
        yield f"| delay of {name} | told {told} | {1000 * min(spent):.0f} ms |"


if __name__ == "__main__":
    for line in {"drift": drifts, "find": finds, "hint": hints}[sys.argv[1]]():
        print(line, flush=True)
