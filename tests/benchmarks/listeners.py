"""Agreement with listeners: `python -m tests.benchmarks.listeners` prints the tables of the README.

Needs the folder ../shared beside the checkout: rated recordings, and in human_agreement.py the definitions of all
numbers here; positive is agreement. Intervals are 95 % percentiles of 1000 draws with replacement: of items for
codecmushra, of studies for timbre, of rows for partial masking. Cross-validated is `auditory` with the weights of its
parts chosen anew without the talker-item, or without the family of timbre studies, that is then predicted; all else of
it stays as it is.

--asks prints how far ask=quality, ask=interference and ask=similarity predict what listeners said of separated voices:
Spearman of all and its mean within songs, 95 % intervals and paired differences by drawing songs with replacement. The
constants of an ask (window, exponent or weights) are chosen anew without the song that is predicted, and, once more,
on another set alone: those of quality on codecs, those of interference on votes for the most similar, and those of
similarity on interference, which says nothing of its weight of what is missing.

--scores FOLDER prints how every metric agrees with every set, and what weights that were chosen without a whole set, or
by half of the raters, predict. Columns are means of Spearman of all and within items or songs (timbre, voice: within
studies and matrices); a bracket behind another metric is the 95 % interval of by how much auditory is above it, drawing
items and raters, studies, matrices or songs with replacement. --masking prints how far form=audibility predicts the
loudness of tones beside maskers, with its one tuned constant, SHARPER, alone or with its slopes, chosen anew without
the frequency or level that is predicted. --anchors prints the distance after known degradations, which needs ffmpeg.
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import itertools
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from audiosim import Signal, compare, load, metrics, models
from audiosim.engine.cache import caching
from audiosim.metrics import auditory
from audiosim.testing import signals
from tests.conftest import SHARED

AUDIO = SHARED / "audio"
SPECS = ("auditory", "log-mel", "mfcc", "mr-stft", "mcd", "tversky", "zimtohrli", "visqol:output=vnsim", "two-f")
PARTS = ("spectrum", "modulation", "course", "peakiness")
WEIGHTS = np.array([auditory.SPECTRUM, auditory.MODULATION, auditory.COURSE, auditory.PEAKINESS])
GRID = np.array([(w, 2.0, c, k) for w, c, k in itertools.product((3, 4, 5, 6, 7.5), (3, 4.5, 6, 9), (0.3, 0.5, 0.7))])
DRAWS = 1000
ENOUGH = 0.9  # of a set's pairs must have a value
ASKS = {  # set: ask, and the agreement to reach, of all and within songs
    "separation_quality": ("quality", (0.87, 0.79)),
    "separation_interferer": ("interference", (0.86, 0.86)),
    "pickbest": ("similarity", (0.75, 0.87)),
}
RIVALS = ("auditory", "tversky", "nmr", "log-mel", "pesq", "stoi")
ANCHORS = ("ref", "Interferer", "Quality")  # conditions of separated voices that are none
WINDOWS, EXPONENTS, ROUGHER, MISSED = (2, 4, 8), (2, 4, 8, 16), (0.0, 0.01, 0.03, 0.1), (0.0, 0.1, 0.3)  # of 10 ms
SOURCE = Path(__file__).parents[2] / "samples"
Pair = tuple[str, str]
Array = Any


@cache
def agreement() -> Any:
    """The module human_agreement.py."""
    spec = importlib.util.spec_from_file_location("human_agreement", AUDIO / "human_agreement.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def rated() -> dict[str, list[Any]]:
    """Rows of pairs.csv by set."""
    return {s: rows for s, rows in rated_sets().items() if s.startswith(("codecmushra", "phaseabx", "timbre/"))}


def voices() -> dict[str, list[Any]]:
    """Rows of pairs_2.csv by set of ASKS, without anchors."""
    return {s: without_anchors(rated_sets()[s]) for s in ASKS}


def family(study: str) -> str:
    """Studies that share sounds are left out together."""
    name = study.removeprefix("timbre/").split("2")[0].split("1977")[0].rstrip("0123456789_")
    return {"Saitis": "Siedenburg"}.get(name, name)


@cache
def sound(name: str) -> Signal:
    return load(AUDIO / name)


def compare_one(spec: str, pair: Pair) -> Any:
    """The result of a metric for a pair of files."""
    length = "keep" if metrics.get(spec.partition(":")[0]).card.lengths == "any" else "pad"
    return compare(*map(sound, pair), spec, length=length, rates="resample", channels="mono", jobs=1)[spec]


def distances(spec: str, pairs: Iterable[Pair]) -> dict[Pair, Any]:
    """Results by pair."""
    return {pair: compare_one(spec, pair) for pair in pairs}


def value(spec: str, result: Any) -> float:
    """Of a result, with the sign turned where it is better when higher."""
    sign = 1.0 if result.better == "lower" else -1.0
    return sign * result.value


@cache
def rated_sets() -> dict[str, list[Any]]:
    """All rows of pairs.csv and pairs_2.csv by set."""
    sets: dict[str, list[Any]] = {}
    for name in ("pairs.csv", "pairs_2.csv"):
        for row in agreement().rows_of(str(AUDIO / name)):
            sets.setdefault(row["set"], []).append(row)
    return sets


def without_anchors(rows: list[Any]) -> list[Any]:
    """Nor hidden references."""
    return [row for row in rows if row["condition"] not in ANCHORS and row["ref"] != row["test"]]


def scored(spec: str, folder: Path, compute: bool = True, sets: str = "") -> dict[Pair, float]:
    """Distances of all rated pairs, kept in FOLDER, one file a metric; those that are not there yet are computed. nan
    where a metric has none. sets: what the names of those that are computed begin with."""
    file = folder / f"{spec.replace(':', '_')}.csv"
    known: dict[Pair, float] = {}
    if file.exists():
        with file.open(encoding="utf-8", newline="") as lines:
            known = {(ref, test): float(x) for ref, test, x in csv.reader(lines)}
    if not compute:
        return known
    with file.open("a", encoding="utf-8", newline="") as out:
        for rows in (without_anchors(rows) for name, rows in rated_sets().items() if name.startswith(sets)):
            pairs = dict.fromkeys((r["ref"], r["test"]) for r in rows)
            missing = [pair for pair in pairs if pair not in known]
            with caching(*(sound(name).samples for name in dict.fromkeys(n for pair in missing for n in pair))):
                for pair in missing:
                    known[pair] = value(spec, compare_one(spec, pair))
                    csv.writer(out).writerow([*pair, repr(known[pair])])
                    out.flush()
    return known


# Statistics of distances d, one a row of a set


def codec(rows: list[Any], d: Array) -> tuple[float, float]:
    """Spearman without the hidden reference, and its mean within items."""
    found = agreement().quality(rows, list(d), 0)["without hidden ref"]
    return found["spearman"], found["spearman_within_item"]


def codec_by_item(rows: list[Any], d: Array, items: Iterable[str]) -> tuple[float, float]:
    """The same for items that may be drawn more than once."""
    drawn, kept = [], []
    for i, item in enumerate(items):
        for row, x in zip(rows, d, strict=True):
            if row["item"] == item:
                drawn.append({**row, "item": f"{item} {i}"})
                kept.append(x)
    return codec(drawn, np.array(kept))


def timbre(rows: list[Any], d: Array) -> tuple[float, float]:
    found = agreement().timbre(rows, list(d))
    return found["spearman"], found["triplet"]


def phase(rows: list[Any], d: Array) -> tuple[int, float]:
    """How many audible pairs lie further apart than inaudible ones, of four, and the least ratio of the two."""
    heard = [x for row, x in zip(rows, d, strict=True) if float(row["score"]) >= 0.7]
    chance = [x for row, x in zip(rows, d, strict=True) if float(row["score"]) <= 0.6]
    ratio = min(heard) / max(chance) if max(chance) > 0 else math.inf
    return sum(x > y for x in heard for y in chance), ratio


def interval(draw: Callable[[Any], Any]) -> tuple[float, float]:
    """95 % of what draw(generator) gives, first of its numbers."""
    generator = np.random.default_rng(0)
    low, high = np.nanpercentile([draw(generator) for _ in range(DRAWS)], [2.5, 97.5])
    return float(low), float(high)


def row_of(name: str, by_set: dict[str, Array], intervals: bool = True) -> list[str]:
    """Cells of the table for distances of every set."""
    rows = rated()
    items = sorted({row["item"] for row in rows["codecmushra"]})
    spearman, within = codec(rows["codecmushra"], by_set["codecmushra"])
    studies = [timbre(rows[s], by_set[s]) for s in rows if s.startswith("timbre/")]
    without = [timbre(rows[s], by_set[s]) for s in rows if s.startswith("timbre/") and "Perc" not in s]
    mean, triplets = np.mean(studies, axis=0)
    order, ratio = phase(rows["phaseabx"], by_set["phaseabx"]) if "phaseabx" in by_set else (0, math.nan)
    cells = [name]
    if intervals:

        def drawn(g: Any) -> Any:
            return codec_by_item(rows["codecmushra"], by_set["codecmushra"], g.choice(items, len(items)))

        both = [drawn(g) for g in [np.random.default_rng(0)] for _ in range(DRAWS)]
        (a, c), (b, d) = np.nanpercentile(both, [2.5, 97.5], axis=0)
        again = [
            np.array(studies)[np.random.default_rng(i).integers(0, len(studies), len(studies))].mean(0)
            for i in range(DRAWS)
        ]
        (e, g), (f, h) = np.percentile(again, [2.5, 97.5], axis=0)
        cells += [f"{spearman:.3f} [{a:.2f}, {b:.2f}]", f"{within:.3f} [{c:.2f}, {d:.2f}]"]
        cells += [f"{mean:.3f} [{e:.2f}, {f:.2f}]", f"{triplets:.3f} [{g:.2f}, {h:.2f}]"]
    else:
        cells += [f"{spearman:.3f}", f"{within:.3f}", f"{mean:.3f}", f"{triplets:.3f}"]
    return [
        *cells,
        f"{np.mean(without, axis=0)[0]:.3f}",
        f"{order}/4" + (f", {ratio:.1f}" if order == 4 else "") if "phaseabx" in by_set else "-",
    ]


def cross_validated(parts: dict[str, Array]) -> tuple[dict[str, Array], str]:
    """Distances of every set [row] from parts [row, part] with weights from GRID that were chosen without them."""
    rows = rated()
    items = sorted({row["item"] for row in rows["codecmushra"]})
    studies = [s for s in rows if s.startswith("timbre/")]
    by_study = {s: np.array([timbre(rows[s], parts[s] @ w)[0] for w in GRID]) for s in studies}
    phases = np.array([phase(rows["phaseabx"], parts["phaseabx"] @ w) for w in GRID])
    allowed = (phases[:, 0] == 4) & (phases[:, 1] >= 2)

    def best(items: list[str], studies: list[str]) -> Array:
        codecs = np.array([np.mean(codec_by_item(rows["codecmushra"], parts["codecmushra"] @ w, items)) for w in GRID])
        score = codecs + np.mean([by_study[s] for s in studies], axis=0)
        return GRID[np.argsort(np.where(allowed, score, -np.inf))[-10:]].mean(0)  # one maximum would be luck

    found = {s: np.empty(len(parts[s])) for s in (*studies, "codecmushra")}
    chosen = []
    for item in items:
        w = best([i for i in items if i != item], studies)
        here = np.array([row["item"] == item for row in rows["codecmushra"]])
        found["codecmushra"][here] = parts["codecmushra"][here] @ w
        chosen.append(w)
    for name in sorted({family(s) for s in studies}):
        w = best(items, [s for s in studies if family(s) != name])
        for s in studies:
            if family(s) == name:
                found[s] = parts[s] @ w
        chosen.append(w)
    spread = ", ".join(
        f"{p} {low:g} to {high:g}" for p, low, high in zip(PARTS, *np.sort(chosen, axis=0)[[0, -1]], strict=True)
    )
    return found, f"Weights of the folds: {spread}."


# Separated voices


def spearman(d: Array, rows: list[Any], songs: Iterable[str] | None = None) -> tuple[float, float]:
    """Of all, and its mean within songs, of distances d and qualities; of songs that may be drawn more than once."""
    score, item = (np.array([r[k] for r in rows]) for k in ("score", "item"))
    score = score.astype(float)
    drawn = [np.flatnonzero(item == s) for s in (np.unique(item) if songs is None else songs)]
    within = [rho(-d[k], score[k]) for k in drawn]
    every = np.concatenate(drawn)
    return rho(-d[every], score[every]), float(np.nanmean(within))


def rho(x: Array, y: Array) -> float:
    from scipy.stats import rankdata

    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return math.nan
    return float(np.corrcoef(rankdata(x), rankdata(y))[0, 1])


def rhos(x: Array, y: Array) -> Array:
    """Spearman over the last axis; nan where one of the two is all the same."""
    from scipy.stats import rankdata

    x, y = (rankdata(z, axis=-1) - (z.shape[-1] + 1) / 2 for z in (x, y))
    with np.errstate(invalid="ignore"):
        return (x * y).sum(-1) / np.sqrt((x * x).sum(-1) * (y * y).sum(-1))


@cache
def heard(ref: str, test: str) -> tuple[Array, Array, float]:
    """Means of X over 10 ms of reference and test, aligned, with the gain of the reference [piece, band]; the roughness
    that the test has more, in dB."""
    ear, recording, split = models.auditory.levels, models.auditory.recording, models.auditory.directed
    rate = sound(ref).rate
    files = [sound(name).samples.astype(float).mean(0) for name in (ref, test)]
    both = [recording.heard(x, rate, None) for x in files]
    lag = ear.lag(*(h.levels for h in both))
    count = -(-(max(h.blocks for h in both) + ear.LAGS) // ear.PIECE)
    late = max(-lag, 0), max(lag, 0)
    parts = [
        recording.listen(recording.Levels(h, x, rate), move, 0, count)
        for h, x, move in zip(both, files, late, strict=True)
    ]
    p, q = (part.squares.sum(1) / (h.part[1] - h.part[0]) for part, h in zip(parts, both, strict=True))
    rougher = auditory._modulation(np, p, q, auditory.UNHEARD)[0].clip(0).sum()
    pieces = -(-split.windows(max(h.blocks + move for h, move in zip(both, late, strict=True))) // 8) * 8
    gains = 1.0, both[0].factor / both[1].factor
    x, y = (1 + (part.fine[:pieces] - 1) * g for part, g in zip(parts, gains, strict=True))
    return x, y, float(rougher)


def forms(ask: str, rows: list[Any], missed: Iterable[float] = MISSED) -> dict[tuple[float, ...], Array]:
    """Distances [row] by the constants of an ask."""
    split, found = models.auditory.directed, {}
    for window in WINDOWS:
        values: list[dict[tuple[float, ...], float]] = []
        for row in rows:
            x, y, rougher = heard(row["ref"], row["test"])
            half = window // 2
            x, y = (z[: len(z) // half * half].reshape(-1, half, z.shape[1]).mean(1) for z in (x, y))
            u, v = (split.levels(np, models.auditory.levels.windows(np, z, 1.0), 1.0) for z in (x, y))
            added, missing, _ = split.split(np, u, v)
            if ask == "quality":
                values.append({(window, p): float((missing**p).mean() ** (1 / p)) for p in EXPONENTS})
                continue
            weight = 1 / (u.mean(0) + added.mean(0) + split.JND)
            a, m = (float((z.mean(0) * weight).mean()) for z in (added, missing))
            grid = itertools.product(ROUGHER, missed if ask == "similarity" else (0.0,))
            values.append({(window, k, share): a + k * rougher + share * m for k, share in grid})
        found |= {key: np.array([v[key] for v in values]) for key in values[0]}
    return found


def without_song(found: dict[tuple[float, ...], Array], rows: list[Any]) -> Array:
    """Each song as the constants predict it that are best on the others, in units of their median."""
    item, out = np.array([r["item"] for r in rows]), np.empty(len(rows))
    for song in np.unique(item):
        others = [s for s in np.unique(item) if s != song]
        best = max(found.values(), key=lambda d: sum(spearman(d, rows, others)))
        out[item == song] = best[item == song] / np.median(best)
    return out


def asks() -> None:
    """The tables of separated voices."""
    rows = voices()
    codecs = [r for r in rated()["codecmushra"] if r["ref"] != r["test"]]
    other = {
        "quality": ("codecmushra", codecs),
        "interference": ("pickbest", rows["pickbest"]),
        "similarity": ("separation_interferer", rows["separation_interferer"]),
    }
    print("| set | metric | all | within song | `ask` above it, all | within song |\n|---|---|---|---|---|---|")
    for name, (ask, reach) in ASKS.items():
        spec, set_rows = f"auditory:ask={ask}", rows[name]
        songs = sorted({r["item"] for r in set_rows})
        pairs = [(r["ref"], r["test"]) for r in set_rows]
        found = forms(ask, set_rows)
        from_name, from_rows = other[ask]
        there = forms(ask, from_rows, (0.0,))
        best = max(there, key=lambda k: sum(spearman(there[k], from_rows)))
        by_metric = {f"`{spec}`": np.array([value(spec, r) for r in distances(spec, pairs).values()])}
        ours = next(iter(by_metric.values()))
        by_metric["its constants chosen without the song"] = without_song(found, set_rows)
        by_metric[f"its constants chosen on {from_name}"] = found[best]
        for rival in RIVALS:
            by_metric[f"`{rival}`"] = np.array([value(rival, r) for r in distances(rival, pairs).values()])
        draws = [np.random.default_rng(i).choice(songs, len(songs)) for i in range(DRAWS)]
        own = np.array([spearman(ours, set_rows, drawn) for drawn in draws])
        for metric, d in by_metric.items():
            again = own if d is ours else np.array([spearman(d, set_rows, drawn) for drawn in draws])
            (a, c), (b, e) = np.nanpercentile(again, [2.5, 97.5], axis=0)
            every, within = spearman(d, set_rows)
            cells = [f"{every:.2f} [{a:.2f}, {b:.2f}]", f"{within:.2f} [{c:.2f}, {e:.2f}]"]
            if d is ours:
                cells += [f"to reach: {reach[0]:.2f}", f"{reach[1]:.2f}"]
            else:
                low, high = np.nanpercentile(own - again, [2.5, 97.5], axis=0)
                cells += [f"[{x:+.2f}, {y:+.2f}]" for x, y in zip(low, high, strict=True)]
            print(f"| {name} | {metric} | {' | '.join(cells)} |", flush=True)


def masking(specs: Iterable[str]) -> None:
    """Partial masking: the tones are synthesised, a full-scale sine being 90 dB SPL."""
    tool = agreement()
    rows = next(rows for table, rows in tool.pm_tables(str(AUDIO)) if "partial" in table)
    tones = [tool.pm_pair(row) for row in rows]
    heard = np.array([float(row["perceived_mean"]) for row in rows])
    levels = np.array([float(row["probe_level"]) for row in rows])
    print("| metric | within probe level | 30 dB | 60 dB | all rows |\n|---|---|---|---|---|")
    for spec in filter(possible, specs):
        d = np.array([value(spec, compare(*pair, spec, tool.PM_FS, jobs=1)[spec]) for pair in tones])

        def within(rows: Array, d: Array = d) -> list[float]:
            return [tool.rho_omit(d[k], heard[k]) for k in (rows[levels[rows] == x] for x in np.unique(levels))]

        every = np.arange(len(rows))
        low, high = interval(lambda g: np.mean(within(g.integers(0, len(rows), len(rows)))))
        cells = [f"{np.mean(within(every)):.3f} [{low:.2f}, {high:.2f}]", *(f"{x:.2f}" for x in within(every))]
        print(f"| `{spec}` | {' | '.join(cells)} | {tool.rho_omit(d, heard):.2f} |", flush=True)


SHARPER = (0.3, 0.6, 0.9)
STEEPEST = (32.0, 36.0, 40.0)
UPPER = ((0.4, 3.0), (0.4, 7.0), (0.37, 8.0), (0.36, 9.0), (0.35, 9.0), (0.33, 7.0))  # PER_DB, LEAST
FOLDS = ("masker_freqs", "probe_freq", "masker_levels", "probe_level")
MASKING_RIVALS = ("mr-stft", "zimtohrli")


def audible(tones: list[tuple[Array, Array]], **constants: float) -> Array:
    """form=audibility of tones with other constants of models.auditory.partial_loudness."""
    partial, rate = models.auditory.partial_loudness, agreement().PM_FS
    before = {name: getattr(partial, name) for name in constants}
    try:
        for name, x in constants.items():
            setattr(partial, name, x)
        partial.ear.cache_clear()
        measured = metrics.get("auditory").compute
        return np.array([measured(r[None], t[None], rate, form="audibility").value for r, t in tones])
    finally:
        for name, x in before.items():
            setattr(partial, name, x)
        partial.ear.cache_clear()


def masking_cross_validated(rivals: Iterable[str] = MASKING_RIVALS) -> None:
    """Tones beside maskers: Spearman within the levels of the tone, their mean, of all predictions out of fold."""
    tool = agreement()
    rows = next(rows for table, rows in tool.pm_tables(str(AUDIO)) if "partial" in table)
    tones = [tool.pm_pair(row) for row in rows]
    heard = np.array([float(row["perceived_mean"]) for row in rows])
    levels = np.array([row["probe_level"] for row in rows])

    def within(d: Array, rows: Array) -> float:
        parts = (rows[levels[rows] == x] for x in np.unique(levels))
        return float(np.mean([rho(d[k], heard[k]) for k in parts if len(k) > 2]))

    every = np.arange(len(rows))
    ours = audible(tones)
    choices: dict[str, list[dict[str, float]]] = {
        "SHARPER": [{"SHARPER": s} for s in SHARPER],
        "and STEEPEST": [{"SHARPER": s, "STEEPEST": x} for s in SHARPER for x in STEEPEST],
        "and PER_DB, LEAST": [{"SHARPER": s, "PER_DB": x, "LEAST": y} for s in SHARPER for x, y in UPPER],
    }
    print("| metric | all | chosen | without | pooled out of fold | in folds |\n|---|---|---|---|---|---|")
    for label, several in choices.items():
        by = [audible(tones, **constants) for constants in several]
        for name in FOLDS:
            fold, found, chosen = np.array([row[name] for row in rows]), np.empty(len(rows)), []
            for x in np.unique(fold):
                best = max(range(len(by)), key=lambda k: within(by[k], every[fold != x]))
                found[fold == x] = by[best][fold == x]
                chosen.append(" ".join(f"{c:g}" for c in several[best].values()))
            low, high = interval(lambda g, d=found: within(d, g.integers(0, len(rows), len(rows))))
            cells = [label, name.replace("_", " ").rstrip("s"), f"{within(found, every):.3f} [{low:.2f}, {high:.2f}]"]
            spread = ", ".join(f"{c} ({chosen.count(c)})" for c in sorted(set(chosen)))
            print(
                f"| `auditory:form=audibility` | {within(ours, every):.3f} | {' | '.join(cells)} | {spread} |",
                flush=True,
            )
    for spec in filter(possible, rivals):
        d = np.array([value(spec, compare(*pair, spec, tool.PM_FS, jobs=1)[spec]) for pair in tones])
        draws = [np.random.default_rng(i).integers(0, len(rows), len(rows)) for i in range(DRAWS)]
        low, high = np.percentile([within(ours, k) - within(d, k) for k in draws], [2.5, 97.5])
        print(f"| `{spec}` | {within(d, every):.3f} | | | below by [{low:.2f}, {high:.2f}] | |", flush=True)


def odd_one_out(spec: str) -> str:
    tool = agreement()
    odd = tool.rows_of(str(AUDIO / "odd_one_out.csv"))
    groups = tool.groups([(row["set"], row["category"]) for row in odd]).values()
    pairs = [pair for v in groups for pair in itertools.combinations([odd[i]["file"] for i in v], 2)]
    found = {pair: value(spec, r) for pair, r in distances(spec, pairs).items()}
    o = tool.envodd(odd, lambda a, b: found.get((a, b), math.nan))
    return f"{o['top1']:.2f} / {o['spearman']:.2f}" if o else "-"


# All metrics on all sets


class Column(NamedTuple):
    """What is agreed with: rows, and the units that are drawn, left out, or within which ranks count. pooled: whether
    ranks over all units, which are of one size, count too, as much. ours: the form of auditory that is asked."""

    rows: list[Any]
    unit: Array
    pooled: bool
    ours: str

    @property
    def units(self) -> list[Array]:
        """Which rows they hold [row]."""
        return [self.unit == u for u in np.unique(self.unit)]

    def of(self, d: Array, score: Array, drawn: Array | None = None) -> Array:
        """Agreement of distances d [row] with ratings [row], or [draw, row], for units that are drawn [draw, unit];
        without a draw, of all [1]. nan where too few have a value."""
        units = self.units
        drawn = np.arange(len(units))[None] if drawn is None else drawn
        known = ~np.isnan(d)
        if known.mean() < (1 if self.pooled else ENOUGH):
            return np.full(len(drawn), math.nan)
        if not self.pooled:
            return np.nanmean(np.array([rho(d[k & known], score[k & known]) for k in units])[drawn], axis=1)
        rows = np.array([np.flatnonzero(k) for k in units])[drawn]
        x, y = d[rows], np.broadcast_to(score, (len(drawn), len(d)))[np.arange(len(drawn))[:, None, None], rows]
        every = rhos(x.reshape(len(drawn), -1), y.reshape(len(drawn), -1))
        return (every + np.nanmean(rhos(x, y), axis=1)) / 2

    @property
    def score(self) -> Array:
        """Rising with distance."""
        return np.array([float(r["score"]) * (1 - 2 * int(r["higher_is_better"])) for r in self.rows])

    def distances(self, found: dict[Pair, float]) -> Array:
        return np.array([found.get((r["ref"], r["test"]), math.nan) for r in self.rows])


@cache
def columns() -> dict[str, Column]:
    sets = {name: without_anchors(rows) for name, rows in rated_sets().items()}

    def several(start: str) -> list[Any]:
        return [row for name, rows in sets.items() if name.startswith(start) for row in rows]

    def column(rows: list[Any], unit: str, pooled: bool, ours: str = "auditory") -> Column:
        return Column(rows, np.array([row[unit] for row in rows]), pooled, ours)

    voices = {name: column(sets[name], "item", True, f"auditory:ask={ask}") for name, (ask, _) in ASKS.items()}
    return {
        "codecs": column(sets["codecmushra"], "item", True),
        "timbre": column(several("timbre/"), "set", False),
        "voice": column(several("voice/"), "set", False),
        **voices,
    }


@cache
def raters() -> Array:
    """What each rater said of each row of codecs [row, rater]; nan where nothing."""
    said: dict[Pair, dict[str, float]] = {}
    for row in agreement().rows_of(str(AUDIO / "codecmushra" / "ratings_raw.csv")):
        said.setdefault((row["ref"], row["test"]), {})[row["rater"]] = float(row["rating"])
    names = sorted({name for by in said.values() for name in by})
    return np.array([[said[r["ref"], r["test"]].get(n, math.nan) for n in names] for r in columns()["codecs"].rows])


def mean_rating(drawn: Array) -> Array:
    """-mean [row] of raters that may be drawn more than once; of all, where none of them rated it."""
    heard = raters()[:, drawn]
    counts = np.isfinite(heard).sum(1)
    return np.where(counts > 0, -np.nansum(heard, 1) / np.maximum(counts, 1), -np.nanmean(raters(), axis=1))


def draws(name: str) -> tuple[Array, Array]:
    """Units [draw, unit] drawn with replacement; ratings, of codecs by raters that are drawn too [draw, row]."""
    column, g = columns()[name], np.random.default_rng(0)
    units, count = len(column.units), raters().shape[1]
    drawn = g.integers(0, units, (DRAWS, units))
    if name != "codecs":
        return drawn, column.score
    return drawn, np.array([mean_rating(g.integers(0, count, count)) for _ in range(DRAWS)])


def everything(folder: Path) -> None:
    """Agreement with every metric in the folder of every set of which all pairs have been computed."""
    specs = sorted(file.stem.replace("_", ":", 1) for file in folder.glob("*.csv"))
    known = {spec: scored(spec, folder, compute=False) for spec in specs}

    def whole(spec: str, column: Column) -> bool:
        return all((r["ref"], r["test"]) in known[spec] for r in column.rows)

    specs = [spec for spec in specs if any(whole(spec, column) for column in columns().values())]
    print(f"| metric | {' | '.join(columns())} |\n|---{'|---' * len(columns())}|")
    cells: dict[str, list[str]] = {spec: [] for spec in specs}
    for name, column in columns().items():
        drawn, said = draws(name)
        own = column.of(column.distances(known[column.ours]), said, drawn)
        for spec in specs:
            d = column.distances(known[spec])
            (x,) = column.of(d, column.score) if whole(spec, column) else (math.nan,)
            if math.isnan(x):
                cells[spec].append("-")
            elif spec == column.ours:
                cells[spec].append("{:.2f} [{:.2f}, {:.2f}]".format(x, *np.nanpercentile(own, [2.5, 97.5])))
            else:
                above = own - column.of(d, said, drawn)
                cells[spec].append("{:.2f} [{:+.2f}, {:+.2f}]".format(x, *np.nanpercentile(above, [2.5, 97.5])))
    first = [spec for spec in specs if spec.startswith("auditory")]
    for spec in (*first, *(s for s in specs if s not in first)):
        print(f"| `{spec}` | {' | '.join(cells[spec])} |")


def left_out() -> None:
    """Weights of the parts as they are chosen without a whole set, an item or half of the raters."""
    parts = {}
    for name, column in columns().items():
        found = [compare_one("auditory", (r["ref"], r["test"])).details for r in column.rows]
        parts[name] = np.array([[d[p] for p in PARTS] for d in found]) / WEIGHTS
    agreed = {
        name: np.array([column.of(parts[name] @ w, column.score)[0] for w in GRID])
        for name, column in columns().items()
    }
    now = {name: column.of(parts[name] @ WEIGHTS, column.score)[0] for name, column in columns().items()}

    def chosen(by: Array) -> Array:
        return GRID[np.argsort(by)[-10:]].mean(0)  # one maximum would be luck

    print("| predicted | weights as they are | chosen on | weights | chosen |\n|---|---|---|---|---|")
    sound = ("codecs", "timbre", "voice")
    for name, column in columns().items():
        rests = {" ".join(n for n in sound if n != name): [n for n in sound if n != name]}
        rests["all others"] = [n for n in columns() if n != name]
        for label, rest in rests.items():
            w = chosen(np.mean([agreed[n] for n in rest], axis=0))
            (x,) = column.of(parts[name] @ w, column.score)
            print(f"| {name} | {now[name]:.3f} | {label} | {' '.join(f'{v:.2g}' for v in w)} | {x:.3f} |", flush=True)
    codecs = columns()["codecs"]
    count, halves = raters().shape[1], []
    for i in range(20):
        order = np.random.default_rng(i).permutation(count)
        one, other = (mean_rating(k) for k in (order[: count // 2], order[count // 2 :]))
        w = chosen(np.array([codecs.of(parts["codecs"] @ w, one)[0] for w in GRID]))
        halves.append([codecs.of(parts["codecs"] @ x, other)[0] for x in (WEIGHTS, w)] + [codecs.of(one, other)[0]])
    a, b, c = np.mean(halves, axis=0)
    print(f"| codecs by half of the raters | {a:.3f} | codecs by the other half | | {b:.3f} |")
    print(f"\nThe two halves of the raters agree by {c:.3f}.")


RATING = ("codecmushra", "separation_quality")  # sets that rate quality


def similarity() -> None:
    """The mapping to 0-100 as all sets that rate quality have it, and its interval by leaving each of them out."""
    rows = [row for name in RATING for row in rated_sets()[name]]
    sets = np.array([row["set"] for row in rows])
    score = np.array([float(row["score"]) for row in rows])
    found = [compare_one("auditory", (row["ref"], row["test"])) for row in rows]
    missing, added = (np.array([r.details[k] for r in found]) for k in ("missing", "added"))
    changed = missing + added
    x = np.array([r.value for r in found]) * (missing + auditory.ADDED * added) / (changed + (changed == 0))
    weight = sum((sets == name) / np.sum(sets == name) for name in RATING)
    A, B = np.geomspace(2, 20, 80), np.linspace(0.5, 2, 31)

    def curve(x: Array, a: float, b: float) -> Array:
        return 100 * np.exp(-((x / a) ** b))

    def fitted(weight: Array) -> tuple[float, float]:
        return min((np.sum(weight * (curve(x, a, b) - score) ** 2), a, b) for a in A for b in B)[1:]

    middle = np.empty(len(score))
    for name in RATING:
        middle[sets == name] = curve(x[sets == name], *fitted(weight * (sets != name)))
    off = (score - middle) / auditory.unsure(middle)
    order = np.argsort(off)
    share = np.cumsum(weight[order]) / weight.sum()
    low, high = (off[order][np.searchsorted(share, q)] for q in (0.05, 0.95))
    a, b = fitted(weight)
    print(f"Similarity 100 exp(-(x / {a:.3g})^{b:.3g}), 90 % within {low:+.2f} and {high:+.2f} of its unit\n")
    print("| set left out | rms | inside | fitted on both: rms | inside |\n|---|---|---|---|---|")
    ours = np.array([[r.details[f"similarity{end}"] for end in ("", "_low", "_high")] for r in found]).T
    left = middle, *((middle + q * auditory.unsure(middle)).clip(0, 100) for q in (low, high))
    for name in RATING:
        cells = []
        for mid, bottom, top in (left, ours):
            k = sets == name
            cells += [f"{np.sqrt(np.mean((score - mid)[k] ** 2)):.1f}"]
            cells += [f"{np.mean(((score >= bottom) & (score <= top))[k]):.0%}"]
        print(f"| {name} | {' | '.join(cells)} |")


DEGRADATIONS: dict[str, Any] = {
    "16-bit dither": lambda x, _: x + np.random.default_rng(0).triangular(-1, 0, 1, x.shape) / 32768,
    "1 dB quieter": lambda x, _: x * 10 ** (-1 / 20),
    "1 dB quieter, level=90": None,
    "1 ms later": lambda x, rate: np.pad(x, ((0, 0), (rate // 1000, 0)))[:, : x.shape[1]],
    "white noise, SNR 40 dB": lambda x, rate: signals.added_noise(x, rate, 0.01),
    "white noise, SNR 30 dB": lambda x, rate: signals.added_noise(x, rate, 10**-1.5),
    "white noise, SNR 20 dB": lambda x, rate: signals.added_noise(x, rate, 0.1),
    "white noise, SNR 10 dB": lambda x, rate: signals.added_noise(x, rate, 10**-0.5),
    "low-pass 7 kHz": lambda x, rate: low_passed(x, rate, 7000),
    "low-pass 3 kHz": lambda x, rate: low_passed(x, rate, 3000),
    "clipped at half of the peak": lambda x, rate: signals.clipping(x, rate, 0.5 / 0.95),
    "as much reverberation": lambda x, rate: signals.reverb(x, rate, 1.0),
    "another recording": None,
}
CODED = {"MP3": ("libmp3lame", "mp3", (320, 128, 64, 32)), "Opus": ("libopus", "opus", (128, 64, 32, 16))}


def low_passed(x: Array, rate: int, corner: float) -> Array:
    return signals.low_pass(x, rate, float(np.log(rate / corner) / np.log(100)))


def coded(x: Array, rate: int, codec: str, kind: str, kbps: int) -> Array:
    """Through a codec of ffmpeg; what it is late by is taken out."""
    import soundfile

    with tempfile.TemporaryDirectory() as folder:
        wav, file, back = (f"{folder}/{n}" for n in ("x.wav", f"y.{kind}", "z.wav"))
        soundfile.write(wav, x.T, rate, subtype="FLOAT")
        for line in (
            ["-i", wav, "-c:a", codec, "-b:a", f"{kbps}k", file],
            ["-i", file, "-ar", str(rate), "-c:a", "pcm_f32le", back],
        ):
            subprocess.run(["ffmpeg", "-v", "error", "-y", *line], check=True)
        y = soundfile.read(back, always_2d=True)[0].T
    n = min(y.shape[1], x.shape[1])
    return np.pad(y[:, :n], ((0, 0), (0, x.shape[1] - n)))


def anchors() -> None:
    """Distances after known degradations of the samples, at 48 kHz."""
    from audiosim.dsp.resampling import to_rate

    rate, measured = 48000, metrics.get("auditory").compute
    speech, music = (to_rate(load(SOURCE / f"{n}.flac"), rate).samples.astype(np.float64) for n in ("speech", "music"))
    sources = {"speech": speech, "music": music}
    print("| | speech | music |\n|---|---|---|")

    def row(name: str, change: Callable[[Array], Array]) -> None:
        found = [measured(x, change(x), rate).value for x in sources.values()]
        print(f"| {name} | {' | '.join(f'{v:.2f}' for v in found)} |", flush=True)

    for name, change in DEGRADATIONS.items():
        if name == "1 dB quieter, level=90":
            found = [measured(x, x * 10 ** (-1 / 20), rate, level=90.0).value for x in sources.values()]
            print(f"| {name} | {' | '.join(f'{v:.2f}' for v in found)} |")
        elif change is None:
            n = min(speech.shape[1], music.shape[1])
            other = np.repeat(speech[:, :n], len(music), 0), music[:, :n]
            distance = measured(*other, rate).value
            print(f"| {name} | {distance:.2f} | {distance:.2f} |")
        else:
            row(name, lambda x, change=change: change(x, rate))
    for codec, (encoder, kind, rates) in CODED.items():
        for kbps in rates:
            row(f"{codec}, {kbps} kb/s", lambda x, e=encoder, k=kind, b=kbps: coded(x, rate, e, k, b))


def every_metric() -> tuple[str, ...]:
    """What is computed for --scores; of visqol its similarity, as its model must be had elsewhere. Of ratings of the
    test their drop from the reference. What has no weights here is left out, with a line."""
    own = []
    for name in metrics.own_names():
        options = metrics.options(name)
        spec = f"{name}:drop=true" if "drop" in options else name
        chosen = metrics.get(name).chosen(dict(metrics.parse(spec).options))
        if metrics.get(name).card.family == "trained" and not chosen.files:
            print(f"{name} is left out: its weights are not here; see audiosim models", file=sys.stderr)
        elif name not in ("auditory", "visqol"):
            own.append(spec)
    return ("auditory", *(f"auditory:ask={ask}" for ask, _ in ASKS.values()), "visqol:output=vnsim", *own)


def possible(spec: str) -> bool:
    return spec.partition(":")[0] in metrics.names()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anchors", action="store_true")
    parser.add_argument("--asks", action="store_true", help="separated voices alone")
    parser.add_argument("--scores", type=Path, help="folder: every metric with every set, from what is kept there")
    parser.add_argument("--compute", action="store_true", help="compute what is missing there first: hours")
    parser.add_argument("--sets", default="", help="with --compute: what names of sets begin with; all otherwise")
    parser.add_argument("--masking", action="store_true", help="tones beside maskers alone, cross-validated")
    parser.add_argument("--odd", action="store_true", help="the odd one out as well, which is no gate")
    parser.add_argument("specs", nargs="*", default=SPECS)
    given = parser.parse_args()
    if given.anchors:
        anchors()
        return
    if not AUDIO.is_dir():
        sys.exit("tests.benchmarks.listeners: needs the folder ../shared beside the checkout")
    if given.asks:
        asks()
        return
    if given.scores:
        given.scores.mkdir(parents=True, exist_ok=True)
        asked = every_metric() if given.specs is SPECS else given.specs
        for spec in asked if given.compute else ():
            scored(spec, given.scores, sets=given.sets)
        everything(given.scores)
        print()
        left_out()
        return
    if given.masking:
        masking_cross_validated()
        return
    rows = rated()
    print(
        "| metric | codecs: Spearman | within item | timbre: Spearman | triplets | without percussion | phase | odd one"
        " out |\n|---|---|---|---|---|---|---|---|"
    )
    for spec in filter(possible, given.specs):
        results = {s: distances(spec, ((r["ref"], r["test"]) for r in rows[s])) for s in rows}
        by_set = {s: np.array([value(spec, results[s][r["ref"], r["test"]]) for r in rows[s]]) for s in rows}
        odd = odd_one_out(spec) if given.odd else "-"
        print(f"| {' | '.join([*row_of(f'`{spec}`', by_set), odd])} |", flush=True)
        if spec == "auditory":
            parts = {
                s: np.array([[results[s][r["ref"], r["test"]].details[p] for p in PARTS] for r in rows[s]]) / WEIGHTS
                for s in rows
            }
    if "auditory" in given.specs:
        found, spread = cross_validated(parts)
        print(f"| {' | '.join([*row_of('`auditory`, cross-validated', found), '-'])} |\n\n{spread}")
        print()
        similarity()
    print()
    masking(["auditory:form=audibility", "auditory:level=90", *given.specs[1:]])
    print()
    asks()


if __name__ == "__main__":
    main()
