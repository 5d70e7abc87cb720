"""Covers: `python -m tests.benchmarks.covers` prints what each metric knows of a piece that is played again in another
key or tempo, and what --align warp adds.

Pieces are drawn from random numbers: chords, a melody above them, and a bass. Each is played again with another timbre,
in each of the twelve keys and at 80 to 120 % of its tempo. right: share of covers that are nearer to their own piece
than all other pieces are. covers, others: median value for covers of it, and for other pieces. Columns: the same key
and tempo; other keys; other tempos; both.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from audiosim import compare

Array = NDArray[np.float64]

RATE = 16000
BEATS = 40
TEMPOS = (0.8, 0.9, 1.1, 1.2)
KEYS = tuple(range(-5, 7))
SPECS = ("cover", "cover:align=dtw", "chroma", "melody", "onset", "beat", "tempo", "f0", "log-mel", "mfcc")
ANY_LENGTH = ("cover", "cover:align=dtw", "tempo")


def piece(seed: int, semitones: int = 0, tempo: float = 1.0, brightness: float = 1.0) -> Array:
    """[channel, sample]: two notes a beat over a chord every four, in a key and at 100 beats a minute times tempo."""
    rng = np.random.default_rng(seed)
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    roots = rng.integers(0, 7, BEATS // 4 + 1)
    tune = np.clip(np.cumsum(rng.integers(-2, 3, 2 * BEATS)), -4, 10)
    rests = rng.random(2 * BEATS) < 0.25
    beat = 0.6 / tempo
    x = np.zeros(round((BEATS + 1) * beat * RATE))
    t = np.arange(x.size) / RATE

    def play(begin: float, lasting: float, step: int, octave: int, level: float) -> None:
        f = 130.8 * 2 ** (octave + (12 * (step // 7) + scale[step % 7] + semitones) / 12)
        first, last = round(begin * RATE), min(x.size, round((begin + lasting) * RATE))
        since = t[first:last] - begin
        shape = level * np.exp(-2 * since) * np.minimum(1, since / 0.005) * np.minimum(1, (lasting - since) / 0.01)
        for h in range(1, 9):
            if h * f < 0.45 * RATE:
                x[first:last] += shape * h**-brightness * np.sin(2 * np.pi * h * f * since + 1.7 * h)

    for k in range(BEATS):
        root = int(roots[k // 4])
        play(k * beat, beat, root, -1, 0.5)
        if k % 2 == 0:
            for third in (0, 2, 4):
                play(k * beat, 2 * beat, root + third, 0, 0.25)
        for half in range(2):
            if not rests[2 * k + half]:
                play((k + half / 2) * beat, beat / 2, int(tune[2 * k + half]), 1, 0.6)
    return np.asarray(0.1 * x[None])


def values(specs: Sequence[str], ref: Array, test: Array, align: str) -> list[float]:
    """Of each metric, turned so that less is nearer. They are asked together, so that a pair is aligned once."""
    found = {}
    for length in ("keep", "trim"):
        asked = [spec for spec in specs if (spec in ANY_LENGTH) == (length == "keep")]
        if asked:
            found |= dict(compare(ref, test, asked, rate=RATE, length=length, align=align))
    return [-r.value if r.better == "higher" else r.value for r in (found[spec] for spec in specs)]


def conditions(keys: int) -> dict[str, list[tuple[int, float]]]:
    """(semitones, tempo) of the covers in each column."""
    others = [k for k in KEYS if k][:: max(1, 11 // keys)]
    return {
        "same": [(0, 1.0)],
        "keys": [(k, 1.0) for k in others],
        "tempos": [(0, t) for t in TEMPOS],
        "both": [(k, TEMPOS[i % 4]) for i, k in enumerate(others)],
    }


def column(specs: Sequence[str], align: str, pieces: int, changes: list[tuple[int, float]]) -> list[str]:
    """A cell of each metric."""
    refs = [piece(s) for s in range(pieces)]
    found = np.array(
        [
            [values(specs, ref, piece(s, *change, brightness=2.0), align) for ref in refs]
            for s in range(pieces)
            for change in changes
        ]
    )  # [cover, piece, metric]
    own = np.repeat(np.arange(pieces), len(changes))
    mine = found[np.arange(own.size), own]
    strange = found[np.arange(pieces) != own[:, None]].reshape(own.size, pieces - 1, -1)
    right = (mine < strange.min(1)).mean(0)
    medians = zip(np.abs(np.median(mine, 0)), np.abs(np.median(strange, (0, 1))), strict=True)
    return [f"{share:.2f} ({one:.2g}, {other:.2g})" for share, (one, other) in zip(right, medians, strict=True)]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--pieces", type=int, default=6)
    arguments.add_argument("--keys", type=int, default=11, help="other keys of each piece")
    arguments.add_argument("--align", nargs="+", default=["none", "warp"])
    arguments.add_argument("specs", nargs="*", default=SPECS)
    given = arguments.parse_args()
    columns = conditions(given.keys)
    print("| metric | align | " + " | ".join(f"{name}: right (covers, others)" for name in columns) + " |")
    print("|" + "---|" * (2 + len(columns)))
    for align in given.align:
        specs = [spec for spec in given.specs if align == "none" or spec not in ANY_LENGTH]
        cells = [column(specs, align, given.pieces, changes) for changes in columns.values()]
        for spec, *row in zip(specs, *cells, strict=True):
            print(f"| `{spec}` | {align} | {' | '.join(row)} |", flush=True)
    print(f"\n{time.process_time():.0f} s of CPU time")


if __name__ == "__main__":
    main()
