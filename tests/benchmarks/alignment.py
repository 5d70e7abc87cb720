"""How exactly clocks that differ and clips of longer recordings are found, and what that costs.

python -m tests.benchmarks.alignment drift|find|hint
"""

from __future__ import annotations

import resource
import sys
from collections.abc import Iterator
from functools import cache
from time import process_time
from typing import Any

import numpy as np
import soxr

from audiosim.dsp.drift import drift, late, undone
from audiosim.dsp.excerpt import find
from audiosim.testing.signals import clipping, low_pass, noise, pink, speech_like
from tests.diagnosis import degradations

RATE = 48000
SOURCES = {"speech-like": speech_like, "pink noise": pink}
STRANGERS = {
    "speech-like": degradations.speech,
    "music": degradations.music,
    "words with pauses": degradations.sparse,
    "voice of partials": degradations.tonal,
    "pink noise": degradations.steady,
}


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
        for seconds in (5, 20):
            x = source(RATE, seconds + 1, 1, 1)
            for decibel in (None, 10, 0):
                cells, spent = [], 0.0
                for ppm in PPM:
                    y = _noisy(soxr.resample(x.T, 1.0, 1 + ppm / 1e6, quality="VHQ").T, decibel)
                    begun = process_time()
                    found = drift(x[:, 5000:], y, RATE)
                    spent += process_time() - begun
                    cells.append(f"{abs(found.ppm - ppm):.2g}" if found.found else "not found")
                said = "none" if decibel is None else f"{decibel} dB"
                yield f"| {name} | {seconds} | {said} | {' | '.join(cells)} | {spent / len(PPM):.2f} |"
    yield ""
    yield "| mono at 48 kHz, 100 ppm | error, ppm | CPU s to find it | to undo it | more memory, MB |"
    yield "| --- | --- | --- | --- | --- |"
    piece = speech_like(RATE, 20.0, 1, 1).astype(np.float32)
    for minutes in (10, 60):
        x = np.tile(piece, (1, 3 * minutes))
        y = soxr.resample(x.T, 1.0, 1 + 100 / 1e6, quality="VHQ").T
        before, begun = _resident(), process_time()
        found = drift(x, y, RATE)
        spent = process_time() - begun
        undone(y, found)
        undoing = process_time() - begun - spent
        more = max(_resident() - before, 0)
        yield f"| {minutes} min | {abs(found.ppm - 100):.2g} | {spent:.1f} | {undoing:.1f} | {more:.0f} |"


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
    yield from strangers()
    yield ""
    yield "| source, stereo at 48 kHz | clip | CPU s | more memory than both recordings, MB |"
    yield "| --- | --- | --- | --- |"
    piece = speech_like(RATE, 20.0, 1, 2).astype(np.float32)
    clip = pink(RATE, 20.0, 1, 2).astype(np.float32)
    for minutes in (10, 60):
        long = np.tile(piece, (1, 3 * minutes))
        long[:, -30 * RATE : -10 * RATE] = clip
        before = _resident()
        begun = process_time()
        found = find(long, clip, RATE)
        spent = process_time() - begun
        assert abs(found.start_samples - long.shape[1] + 30 * RATE) < 0.5
        yield f"| {minutes} min | 20 s | {spent:.1f} | {max(_resident() - before, 0):.0f} |"


def strangers() -> Iterator[str]:
    """Clips that are in no place of the source, and how often one is said to be. At 16 kHz; the search is at 8 kHz."""
    yield "| source | clips of 1, 3 or 10 s from other recordings | said to be found |"
    yield "| --- | --- | --- |"
    rate, total = 16000, np.zeros(2, int)

    @cache
    def clip(name: str, seed: int) -> Any:
        return STRANGERS[name](rate, 10.0, seed)[:1].astype(np.float32)

    def looked_for(long: Any, seeds: range, lengths: tuple[float, ...]) -> Any:
        found = [
            find(long, clip(name, seed)[:, : round(seconds * rate)], rate).found
            for seed in seeds
            for name in STRANGERS
            for seconds in lengths
        ]
        return np.array([len(found), sum(found)])

    for name, source in STRANGERS.items():
        seen = looked_for(source(rate, 60.0, 1)[:1].astype(np.float32), range(2, 6), (1.0, 3.0, 10.0))
        total += seen
        yield f"| {name}, 60 s | {seen[0]} | {seen[1]} |"
    mixed = np.concatenate([source(rate, 60.0, 11)[:1] for source in STRANGERS.values()], axis=1).astype(np.float32)
    for minutes, seeds, lengths in ((10, range(21, 23), (3.0, 10.0)), (60, range(31, 32), (3.0,))):
        seen = looked_for(np.resize(mixed, (1, 60 * minutes * rate)), seeds, lengths)
        total += seen
        yield f"| all of these, {minutes} min | {seen[0]} | {seen[1]} |"
    yield f"| together | {total[0]} | {total[1]}, {100 * total[1] / total[0]:.1f} % |"


def _resident() -> float:
    """The most memory that this process had, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


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
