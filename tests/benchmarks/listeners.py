"""Agreement with listeners: `python -m tests.benchmarks.listeners` prints the tables of the README.

Needs the folder ../shared beside the checkout: rated recordings, and in human_agreement.py the definitions of all
numbers here; positive is agreement. Intervals are 95 % percentiles of 1000 draws with replacement: of items for
codecmushra, of studies for timbre, of rows for partial masking. Cross-validated is `auditory` with the weights of its
parts chosen anew without the talker-item, or without the family of timbre studies, that is then predicted; all else of
it stays as it is. --anchors prints its distance after known degradations, which needs ffmpeg.
"""

from __future__ import annotations

import argparse
import importlib.util
import itertools
import math
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from audiosim import Signal, compare, load, metrics
from audiosim.metrics import auditory
from audiosim.testing import signals
from tests.conftest import SHARED

AUDIO = SHARED / "audio"
SPECS = ("auditory", "log-mel", "mfcc", "mr-stft", "mcd", "tversky", "zimtohrli", "visqol:output=vnsim", "two-f")
PARTS = ("spectrum", "modulation", "course", "peakiness")
WEIGHTS = np.array([auditory.SPECTRUM, auditory.MODULATION, auditory.COURSE, auditory.PEAKINESS])
GRID = np.array([(w, 2.0, c, k) for w, c, k in itertools.product((3, 4, 5, 6, 7.5), (3, 4.5, 6, 9), (0.3, 0.5, 0.7))])
DRAWS = 1000
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


@cache
def rated() -> dict[str, list[Any]]:
    """Rows of pairs.csv by set."""
    sets: dict[str, list[Any]] = {}
    for row in agreement().rows_of(str(AUDIO / "pairs.csv")):
        if row["set"].startswith(("codecmushra", "phaseabx", "timbre/")):
            sets.setdefault(row["set"], []).append(row)
    return sets


def family(study: str) -> str:
    """Studies that share sounds are left out together."""
    name = study.removeprefix("timbre/").split("2")[0].split("1977")[0].rstrip("0123456789_")
    return {"Saitis": "Siedenburg"}.get(name, name)


@cache
def sound(name: str) -> Signal:
    return load(AUDIO / name)


def distances(spec: str, pairs: Iterable[Pair]) -> dict[Pair, Any]:
    """Results by pair; where they are better when higher, with the sign turned."""
    name = spec.partition(":")[0]
    length = "keep" if metrics.get(name).card.lengths == "any" else "pad"
    found = {}
    for ref, test in pairs:
        found[ref, test] = compare(
            sound(ref), sound(test), spec, length=length, rates="resample", channels="mono", jobs=1
        )[spec]
    return found


def value(spec: str, result: Any) -> float:
    sign = 1.0 if metrics.get(spec.partition(":")[0]).card.better == "lower" else -1.0
    return sign * result.value


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


def odd_one_out(spec: str) -> str:
    tool = agreement()
    odd = tool.rows_of(str(AUDIO / "odd_one_out.csv"))
    groups = tool.groups([(row["set"], row["category"]) for row in odd]).values()
    pairs = [pair for v in groups for pair in itertools.combinations([odd[i]["file"] for i in v], 2)]
    found = {pair: value(spec, r) for pair, r in distances(spec, pairs).items()}
    o = tool.envodd(odd, lambda a, b: found.get((a, b), math.nan))
    return f"{o['top1']:.2f} / {o['spearman']:.2f}" if o else "-"


def similarity(d: Array) -> str:
    """The mapping to 0-100 as the ratings of codecmushra have it, and how far off it is for items left out."""
    rows = rated()["codecmushra"]
    score = np.array([float(row["score"]) for row in rows])
    kept = np.array([row["ref"] != row["test"] for row in rows])
    items = np.array([row["item"] for row in rows])

    def fitted(here: Array) -> tuple[float, float]:
        grid = [(np.sum((auditory.similarity(d[here], a, b) - score[here]) ** 2), a, b) for a in A for b in B]
        return min(grid)[1:]

    A, B = np.geomspace(2, 30, 100), np.linspace(0.5, 3, 51)
    off = np.concatenate(
        [
            score[kept & (items == i)] - auditory.similarity(d[kept & (items == i)], *fitted(kept & (items != i)))
            for i in np.unique(items)
        ]
    )
    low, high = np.percentile(off, [2.5, 97.5])
    a, b = fitted(kept)
    rms = np.sqrt(np.mean(off**2))
    return f"Similarity 100 exp(-(D / {a:.3g})^{b:.3g}), items left out: rms {rms:.1f}, 95 % {low:+.0f} to {high:+.0f}"


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


def possible(spec: str) -> bool:
    return spec.partition(":")[0] in metrics.names()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--anchors", action="store_true")
    parser.add_argument("--odd", action="store_true", help="the odd one out as well, which is no gate")
    parser.add_argument("specs", nargs="*", default=SPECS)
    given = parser.parse_args()
    if given.anchors:
        anchors()
        return
    if not AUDIO.is_dir():
        sys.exit("tests.benchmarks.listeners: needs the folder ../shared beside the checkout")
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
        print(similarity(parts["codecmushra"] @ WEIGHTS))
    print()
    masking(["auditory:form=audibility", "auditory:level=90", *given.specs[1:]])


if __name__ == "__main__":
    main()
