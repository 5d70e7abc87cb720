"""What listeners rated, as the auditory distance hears it: `python -m tests.benchmarks.domain` prints how often the
stored summary recognises pairs of sets that were left out, and what it says of changes that nobody rated; --write
writes audiosim/tables/domain_auditory.json.

Needs the folder ../shared beside the checkout. All pairs of pairs.csv and pairs_2.csv count, hidden references and
anchors too. Studies that share sounds are one set; each set has the same weight in the Gaussian and in p. Rules allow
more than was rated: ten times as short and as long, half the rate and bandwidth, 20 dB quieter.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import audiosim
from audiosim import domain
from audiosim.answer import Pair
from audiosim.audio import load
from audiosim.dsp.resampling import to_rate
from audiosim.engine.cache import caching
from audiosim.hearing.weighting import PLAIN, streams
from audiosim.metrics import auditory
from audiosim.testing import signals

from . import listeners

Array = Any
FILE = Path(audiosim.__file__).parent / "tables" / domain.FILE.format("auditory")
KEPT = 199  # calibrated distances: p is a multiple of 1 / 200
WIDER: dict[str, tuple[float | None, float | None]] = {  # rule: factors of the least and the greatest rated
    "rate": (0.5, None),
    "shortest": (0.1, None),
    "longest": (None, 10.0),
    "loudness": (0.1, None),
    "bandwidth": (0.5, None),
}
QUIETER = 20.0  # dB


def place(ref: Array, test: Array, rate: int) -> dict[str, float]:
    """Of a pair [sample]."""
    ((a, b),) = streams(ref[None], test[None], rate, PLAIN)
    return dict(auditory.measure(Pair(rate=rate, ref=a, test=b), auditory.Options()).place)


def set_of(name: str) -> str:
    """Sets whose sounds, or kinds of sounds, are the same are left out together; four pairs alone are no set."""
    if name.startswith("timbre/"):
        return f"timbre {listeners.family(name)}"
    return {"phaseabx": "codecmushra"}.get(name, name.partition("/")[0].partition("_")[0])


def rated() -> tuple[list[dict[str, float]], Array]:
    """Places of all rated pairs, and their sets [pair]."""
    places: dict[tuple[str, str], dict[str, float]] = {}
    sets: dict[tuple[str, str], str] = {}
    for rows in listeners.rated_sets().values():
        pairs = [(r["ref"], r["test"]) for r in rows if (r["ref"], r["test"]) not in places]
        sounds = {name: listeners.sound(name) for pair in pairs for name in pair}
        files = {name: s.samples.astype(np.float64).mean(0) for name, s in sounds.items()}
        with caching(*files.values()):
            for pair in pairs:
                places[pair] = place(*(files[name] for name in pair), sounds[pair[0]].rate)
        sets |= dict.fromkeys(pairs, set_of(rows[0]["set"]))
    return list(places.values()), np.array([sets[pair] for pair in places])


def weights(sets: Array) -> Array:
    """[pair]: as much for each set."""
    names, where, count = np.unique(sets, return_inverse=True, return_counts=True)
    return 1 / (count[where] * len(names))


def gaussian(x: Array, sets: Array) -> tuple[Array, Array]:
    """Centre and precision of features [pair, feature], shrunk towards equal variances (Ledoit and Wolf 2004)."""
    size, w = x.std(0), weights(sets)
    z = x / size
    z = z - w @ z
    cov = (z * w[:, None]).T @ z
    mu = np.trace(cov) / len(cov)
    off = float(((cov - mu * np.eye(len(cov))) ** 2).sum())
    noise = sum(a * a * float(((np.outer(row, row) - cov) ** 2).sum()) for a, row in zip(w, z, strict=True))
    shrink = min(noise / off, 1.0)
    cov = (1 - shrink) * cov + shrink * mu * np.eye(len(cov))
    return w @ x, np.linalg.inv(cov) / np.outer(size, size)


def quantiles(x: Array, sets: Array) -> Array:
    """KEPT of them, evenly spaced, each set having the same weight."""
    order = np.argsort(x)
    share = np.cumsum(weights(sets)[order])
    at = (np.arange(KEPT) + 1) / KEPT
    return x[order][np.minimum(np.searchsorted(share, at - 1e-9), len(x) - 1)]


def summary(places: list[dict[str, float]], sets: Array) -> domain.Summary:
    names = tuple(auditory.PLACE)
    x = np.array([[p[name] for name in names] for p in places])
    far = np.empty(len(x))
    for name in np.unique(sets):
        rest = sets != name
        one = domain.Summary({}, names, *gaussian(x[rest], sets[rest]), np.empty(0))
        far[~rest] = one.distance(x[~rest])
    rules: dict[str, tuple[float | None, float | None]] = {}
    for name, factors in WIDER.items():
        values = [p[name] for p in places]
        low, high = (
            None if factor is None else float(f"{end * factor:.3g}")
            for factor, end in zip(factors, (min(values), max(values)), strict=True)
        )
        rules[name] = low, high
    rules["level"] = round(min(p["level"] for p in places) - QUIETER, 1), None
    return domain.Summary(rules, names, *gaussian(x, sets), quantiles(far, sets))


def stretched(x: Array, factor: float) -> Array:
    return np.interp(np.arange(int(len(x) / factor)) * factor, np.arange(len(x)), x)


def changes(rate: int) -> dict[str, Callable[[Array], Array]]:
    def by(distortion: Callable[..., Array], strength: float) -> Callable[[Array], Array]:
        return lambda x: distortion(x[None], rate, strength)[0]

    return {
        "the same": lambda x: x,
        "white noise, SNR 40 dB": by(signals.added_noise, 0.01),
        "white noise, SNR 20 dB": by(signals.added_noise, 0.1),
        "white noise, SNR 0 dB": by(signals.added_noise, 1.0),
        "low-pass 1 kHz": by(signals.low_pass, float(np.log(rate / 1000) / np.log(100))),
        "clipped": by(signals.clipping, 0.7),
        "as much reverberation": by(signals.reverb, 1.0),
        "dropouts": by(signals.dropout, 0.5),
        "clicks": by(signals.added_click, 0.8),
        "5 % faster": lambda x: stretched(x, 1.05),
        "half a second later": lambda x: np.concatenate([np.zeros(rate // 2), x]),
        "its first half": lambda x: x[: len(x) // 2],
        "backwards": lambda x: x[::-1].copy(),
        "one impulse": lambda x: np.eye(1, len(x), len(x) // 2)[0],
        "silence": lambda x: 0 * x,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    if not listeners.AUDIO.is_dir():
        sys.exit("tests.benchmarks.domain: needs the folder ../shared beside the checkout")
    places, sets = rated()
    print("| set left out | pairs | ok | unfamiliar | foreign |\n|---|---|---|---|---|")
    shares = []
    for name in np.unique(sets):
        rest = [p for p, s in zip(places, sets, strict=True) if s != name]
        known = summary(rest, sets[sets != name])
        said = [known.judge(p)[0] for p, s in zip(places, sets, strict=True) if s == name]
        shares.append([said.count(word) / len(said) for word in ("ok", "unfamiliar", "foreign")])
        print(f"| {name} | {len(said)} | {' | '.join(f'{x:.1%}' for x in shares[-1])} |", flush=True)
    print(f"| mean | {len(places)} | {' | '.join(f'{x:.1%}' for x in np.mean(shares, axis=0))} |\n")
    known = summary(places, sets)
    if given.write:
        arrays = {n: np.round(getattr(known, n), 5).tolist() for n in ("centre", "precision", "calibrated")}
        about = f"python -m tests.benchmarks.domain --write: {len(places)} rated pairs, {len(shares)} sets; statistics"
        stored = {"about": about, "version": auditory.CARD.version, "rules": known.rules, "features": known.features}
        FILE.write_text(json.dumps({**stored, **arrays}, indent=1) + "\n", encoding="utf-8")
    print(f"Rules: {known.rules}\n\n| made of 18 sounds | ok | unfamiliar | foreign |\n|---|---|---|---|")
    clean = [
        file for kind in ("speech", "music", "env") for file in sorted((listeners.AUDIO / "clean" / kind).iterdir())[:6]
    ]
    sounds = [to_rate(load(file), 44100).samples.astype(np.float64).mean(0)[: 4 * 44100] for file in clean]
    made = {name: [(x, change(x)) for x in sounds] for name, change in changes(44100).items()}
    made["another recording"] = list(zip(sounds, [*sounds[1:], sounds[0]], strict=True))
    for name, pairs in made.items():
        said = [known.judge(place(*pair, 44100))[0] for pair in pairs]
        cells = [f"{said.count(word) / len(said):.0%}" for word in ("ok", "unfamiliar", "foreign")]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
