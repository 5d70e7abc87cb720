"""What is found of what happened at places of a recording: `python -m tests.benchmarks.places` prints, for each cause,
how often it was found, how far its place and size were off, and what else was told; then false alarms of pairs to which
something else happened. Synthesised signals of 8 s, some seeds; nothing was tuned on the last of them.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiosim.diagnosis import Finding, diagnose
from audiosim.signal import Signal
from tests.diagnosis import degradations

Array = NDArray[Any]
SECONDS = 8.0
SIGNALS: Mapping[str, tuple[Callable[[int, float, int], Array], int]] = {
    "speech": (degradations.speech, 16000),
    "music": (degradations.music, 48000),
    "sparse": (degradations.sparse, 48000),
    "tonal": (degradations.tonal, 48000),
}
# Each may stand beside what is asked for, as its consequence.
ALLOWED = {"clipping": {"gain", "compression"}, "reverberation": {"gain", "equaliser"}}


@dataclass(frozen=True, slots=True)
class Made:
    """A test; at: seconds of the reference at which something happened; size: in the unit of the finding."""

    test: Array
    causes: set[str]
    at: float = nan
    size: float = nan


def loud(x: Array, rate: int) -> int:
    """A sample in a loud stretch, away from the ends."""
    size = rate // 25
    power = (x[:, : x.shape[1] // size * size].reshape(len(x), -1, size) ** 2).sum(axis=(0, 2))
    power[: round(2.0 * rate / size)] = power[-round(2.0 * rate / size) :] = 0
    return int(np.argmax(power)) * size


def cases(x: Array, rate: int, rng: np.random.Generator) -> dict[str, Made]:
    """By name."""
    k, n, level = loud(x, rate), x.shape[1], float(np.std(x))

    def without(seconds: float) -> Array:
        return np.concatenate([x[:, :k], x[:, k + round(seconds * rate) :]], axis=1)

    def with_(more: Array) -> Array:
        return np.concatenate([x[:, :k], more, x[:, k:]], axis=1)

    def added(sound: Array, db: float) -> Array:
        return x + sound / float(np.std(sound)) * level * 10 ** (db / 20)

    gap, clicked = x.copy(), x.copy()
    gap[:, k : k + round(0.03 * rate)] = 0
    clicked[:, k] += 0.3
    most, t = 0.5 * float(np.abs(x).max()), np.arange(n) / rate
    hum = np.tile(sum(np.sin(2 * np.pi * 50 * h * t) / h for h in (1, 2, 3)), (len(x), 1))
    tail = rng.standard_normal(round(0.5 * rate)) * 10 ** (-3 * np.arange(round(0.5 * rate)) / rate / 0.5)
    tail[: rate // 100] = 0
    tail *= 0.3 / float(np.sqrt((tail**2).sum()))
    tail[0] = 1
    size = 1 << (n + tail.size).bit_length()
    reverberant = np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[:, :n]
    at = k / rate
    return {
        "dropout of 30 ms": Made(gap, {"dropout"}, at, 30),
        "click": Made(clicked, {"click"}, at),
        "clipped by 6 dB": Made(np.clip(x, -most, most), {"clipping"}, size=20 * np.log10(most)),
        "0.5 s of silence inserted": Made(with_(np.zeros((len(x), rate // 2))), {"silence inserted"}, at, 500),
        "a buffer of 60 ms repeated": Made(with_(x[:, k - round(0.06 * rate) : k]), {"repeated"}, at, 60),
        "a buffer of 60 ms lost": Made(without(0.06), {"lost", "silence removed"}, at, 60),
        "0.6 s cut out": Made(without(0.6), {"edit", "silence removed"}, at, 600),
        "white noise at -30 dB": Made(added(rng.standard_normal(x.shape), -30), {"noise"}, size=-30),
        "hum at -30 dB": Made(added(hum, -30), {"hum"}, size=-30),
        "reverberation of 0.5 s": Made(reverberant, {"reverberation"}, size=0.5),
    }


def harmless(x: Array, rate: int) -> dict[str, Array]:
    """Pairs to which nothing happened at places."""
    made = {
        "identical": x,
        "-6 dB": 0.5 * x,
        "late": np.pad(x, ((0, 0), (round(0.02 * rate), 0))),
        "16 bits": np.round(x * 32768) / 32768,
        "inverted": -x,
    }
    for name, form, kind, quality in (
        ("MP3, good", "MP3", "MPEG_LAYER_III", 0.2),
        ("MP3, bad", "MP3", "MPEG_LAYER_III", 0.8),
        ("Vorbis", "OGG", "VORBIS", 0.6),
    ):
        made[name] = degradations.coded(x, rate, form, kind, quality)
    return made


PLACES = {
    *("dropout", "click", "clipping", "silence inserted", "silence removed", "repeated", "lost", "edit"),
    *("noise", "hum", "reverberation"),
}


def told(x: Array, test: Array, rate: int) -> dict[str, Finding]:
    """Findings by cause."""
    pair = (Signal.of(np.ascontiguousarray(z, np.float32), rate) for z in (x, test))
    return {f.cause: f for f in diagnose(*pair).findings}


def main() -> None:
    """Print the tables."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[3, 11, 12])
    seeds = arguments.parse_args().seeds
    found: dict[str, list[tuple[bool, float, float, set[str]]]] = {}
    alarms: dict[str, Counter[str]] = {}
    for seed in seeds:
        for make, rate in SIGNALS.values():
            x = make(rate, SECONDS, seed)
            for name, case in cases(x, rate, np.random.default_rng(seed)).items():
                findings = told(x, case.test, rate)
                right = [f for cause, f in findings.items() if cause in case.causes]
                off = abs(right[0].places[0].start - case.at) if right and right[0].places else nan
                size = abs((right[0].size or nan) - case.size) if right else nan
                other = (findings.keys() & PLACES) - case.causes
                found.setdefault(name, []).append((bool(right), off, size, set(other)))
            for name, test in harmless(x, rate).items():
                alarms.setdefault(name, Counter()).update(["pairs", *(told(x, test, rate).keys() & PLACES)])
    print("| what happened | pairs | found | place off by at most, s | size off by at most | told beside it |")
    print("|---|---|---|---|---|---|")
    for name, rows in found.items():
        hits = [r for r in rows if r[0]]
        place, size = (max([v for v in column if v == v], default=nan) for column in list(zip(*hits, strict=True))[1:3])
        others = Counter(cause for r in rows for cause in r[3])
        shown = ", ".join(f"{c} {n}" for c, n in others.items()) or "-"
        print(f"| {name} | {len(rows)} | {len(hits)} | {place:.3f} | {size:.3g} | {shown} |")
    print("\n| pairs to which something else happened | pairs | told of places |\n|---|---|---|")
    for name, counter in alarms.items():
        others_ = ", ".join(f"{c} {n}" for c, n in counter.items() if c != "pairs") or "-"
        print(f"| {name} | {counter['pairs']} | {others_} |")


if __name__ == "__main__":
    main()
