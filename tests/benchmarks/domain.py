"""What listeners rated, as the auditory distance hears it: `python -m tests.benchmarks.domain` prints how often the
stored summary recognises pairs of sets that were left out, and what it says of changes that nobody rated; --write
writes audiosim/tables/domain_auditory.json. --speech does the same for recordings of speech: domain_speech.json and,
with reverberant ones, domain_srmr.json. --ratings does it for networks that rate damaged speech, from speech that is
damaged here as theirs was: domain_dnsmos.json, domain_plcmos.json and domain_nisqa.json.

Needs the folder ../shared beside the checkout. All pairs of pairs.csv and pairs_2.csv count, hidden references and
anchors too. Studies that share sounds are one set; each set has the same weight in the Gaussian and in p. Rules allow
more than was rated: ten times as short and as long, half the rate and bandwidth, 20 dB quieter.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

import audiosim
from audiosim import domain
from audiosim.answer import Pair
from audiosim.audio import load
from audiosim.dsp.covariance import shrunk
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
    centre, covariance = shrunk(x, weights(sets))
    return centre, np.linalg.inv(covariance)


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


# Speech: one recording of each speaker; of those in speech/ the undamaged ones at 16 kHz, each once.
SPEECH_RATE = 16000
NARROW = ("sepm", "real_sepm", "real_itu", "real_visqol", "real_vctk")  # at 8 kHz, or there under another name
SINGING = ("sms_singing-female", "sms_vignesh")
SHORT, DRAWN = (1.0, 1.5, 2.0, 3.0, 5.0), 4  # s, and pieces of that length from each recording
SPLITS, TESTED = 20, 1 / 3  # of the speakers, who are in no summary
FEWER = 5  # splits of damaged speech, of which there is more
CODED = ("opus", "mp3", "g722", "lyra", "evs", "lpcnet")


def mono(file: Path) -> Array:
    return to_rate(load(file), SPEECH_RATE).samples.astype(np.float64).mean(0)


def speech() -> dict[str, Array]:
    """Recordings [sample] by speaker."""
    clean = [f for f in sorted((listeners.AUDIO / "clean" / "speech").iterdir()) if f.stem not in SINGING]
    more = [f for end in ("clean", "ref") for f in sorted((listeners.AUDIO / "speech").glob(f"*__{end}.flac"))]
    return {f.stem: mono(f) for f in [*clean, *(f for f in more if not f.stem.startswith(NARROW))]}


def reverberant(x: Array, seconds: float, rng: Any) -> Array:
    """As much of a tail that falls by 60 dB in so many seconds as of direct sound."""
    t = np.arange(int(1.2 * seconds * SPEECH_RATE)) / SPEECH_RATE
    tail = rng.normal(size=t.size) * 10 ** (-3 * t / seconds)
    n = x.size + t.size
    wet = np.fft.irfft(np.fft.rfft(x, n) * np.fft.rfft(tail / np.sqrt((tail**2).sum()), n), n)
    return x + wet[: x.size]


def changed(x: Array, rng: Any) -> dict[str, Array]:
    """What is done to a recording of a speaker whom the summary does not know."""
    spectrum = np.fft.rfft(x)
    f = np.fft.rfftfreq(x.size, 1 / SPEECH_RATE)
    shaped = np.fft.irfft(np.abs(spectrum) * np.exp(2j * np.pi * rng.uniform(size=f.size)), x.size)
    peak = np.quantile(np.abs(x), 0.9)
    return {
        "reverberation, 0.4 to 1 s": reverberant(x, rng.uniform(0.4, 1.0), rng),
        "3.4 kHz band": np.fft.irfft(np.where(f < 3400, spectrum, 0), x.size),
        "clipped, a tenth of the samples": np.clip(x, -peak, peak),
        "white noise, SNR 5 dB": x + rng.normal(size=x.size) * x.std() * 10 ** (-5 / 20),
        "speech-shaped noise, SNR 5 dB": x + shaped * x.std() / shaped.std() * 10 ** (-5 / 20),
        "30 dB quieter": x * 10 ** (-30 / 20),
    }


def piece(x: Array, seconds: float, rng: Any) -> Array:
    """Of a recording so many seconds, anywhere."""
    size = int(seconds * SPEECH_RATE)
    start = int(rng.integers(x.size - size + 1))
    return x[start : start + size]


LOST = 320  # samples of a packet
NOISE, LOSSES = (0.0, 30.0), (0.02, 0.2)  # SNR in dB, share of packets: least and most


def noisy(x: Array, noise: Array, rng: Any) -> Array:
    """With noise [sample] beside it, repeated from a place that is drawn."""
    beside = np.resize(np.roll(noise, int(rng.integers(noise.size))), x.size)
    return x + beside * x.std() / max(beside.std(), 1e-9) * 10 ** (-rng.uniform(*NOISE) / 20)


def suppressed(x: Array) -> Array:
    """What a simple suppressor leaves: each bin of 32 ms by Wiener's gain, at least -15 dB, over the level that a fifth
    of its frames lie below."""
    size, hop = 512, 256
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(size) + 0.5) / size))
    padded = np.pad(x, (hop, size + hop))
    starts = range(0, padded.size - size + 1, hop)
    spectra = np.fft.rfft([padded[s : s + size] * window for s in starts])
    power = np.abs(spectra) ** 2
    gain = np.maximum(1 - 3 * np.quantile(power, 0.2, axis=0) / np.maximum(power, 1e-20), 10 ** (-15 / 20))
    out = np.zeros(padded.size)
    for s, frame in zip(starts, np.fft.irfft(spectra * gain) * window, strict=True):
        out[s : s + size] += frame
    return out[hop : hop + x.size]


def lossy(x: Array, concealed: bool, rng: Any) -> Array:
    """Packets of 20 ms are lost, more likely behind a lost one; concealed: the one before takes their place, 6 dB
    quieter each time, else there is silence."""
    y, share, before = x.copy(), rng.uniform(*LOSSES), False
    for k in range(LOST, x.size - LOST + 1, LOST):
        before = rng.uniform() < (0.5 if before else share)
        if before:
            y[k : k + LOST] = y[k - LOST : k] / 2 if concealed else 0
    return y


def opus(x: Array, rng: Any) -> Array:
    """Through Opus of libsndfile, at rates from low to high."""
    file = io.BytesIO()
    kind = {"format": "OGG", "subtype": "OPUS", "compression_level": rng.uniform(0.5, 1.0)}
    soundfile.write(file, np.clip(x, -1, 1), SPEECH_RATE, **kind)
    file.seek(0)
    return soundfile.read(file)[0]


def damaged(x: Array, noise: Array, rng: Any) -> dict[str, dict[str, Array]]:
    """By metrics that rate speech: a recording, and it with the damage that their networks were trained on."""
    spectrum, f = np.fft.rfft(x), np.fft.rfftfreq(x.size, 1 / SPEECH_RATE)
    behind = noisy(x, noise, rng)
    lost, concealed = (lossy(x, c, rng) for c in (False, True))
    return {
        "dnsmos": {"clean": x, "noise": behind, "suppressed noise": suppressed(behind)},
        "plcmos": {"clean": x, "losses": lost, "concealed losses": concealed},
        "nisqa": {
            "clean": x,
            "noise": noisy(x, noise, rng),
            "losses": lossy(x, bool(rng.integers(2)), rng),
            "Opus": opus(x, rng),
            "300 to 3400 Hz": np.fft.irfft(np.where((f > 300) & (f < 3400), spectrum, 0), x.size),
        },
    }


def of_ratings(write: bool) -> None:
    """Figures of the guard on networks that rate damaged speech, and its summaries."""
    rng = np.random.default_rng(0)
    noises = [mono(f) for f in sorted((listeners.AUDIO / "clean" / "env").iterdir())]
    strange = {
        "music": [mono(f) for f in sorted((listeners.AUDIO / "clean" / "music").iterdir())],
        "environment": noises,
    }
    others = {k: [domain.recording(x, SPEECH_RATE) for x in sounds] for k, sounds in strange.items()}
    sounds = speech()
    made: dict[str, dict[str, list[tuple[domain.Recording, Any]]]] = {}
    for name, x in sounds.items():
        for metric, kinds in damaged(x, noises[rng.integers(len(noises))], rng).items():
            made.setdefault(metric, {})[name] = [
                (domain.recording(y, SPEECH_RATE), domain.pieces(y, SPEECH_RATE)) for y in kinds.values()
            ]
    print("| metric | speech like this | 1 s of it | music: AUROC | flagged | environment: AUROC | flagged |")
    print("|---|---|---|---|---|---|---|")
    for metric, by_speaker in made.items():

        def of(names: Any, by: Any = by_speaker) -> tuple[list[domain.Recording], list[Any], list[Any]]:
            every = [(r, name, parts) for name in names for r, parts in by[name]]
            return tuple(map(list, zip(*every, strict=True)))  # type: ignore[return-value]

        if write:
            whole, _, _ = of(sounds)
            about = f"python -m tests.benchmarks.domain --ratings --write: {len(whole)} recordings; statistics"
            text = domain.stored(domain.fitted(*of(sounds)), about)
            FILE.with_name(domain.FILE.format(metric)).write_text(text, encoding="utf-8")
        rows = []
        for _ in range(FEWER):
            order = rng.permutation(list(sounds))
            tested, rest = np.split(order, [round(TESTED * len(order))])
            known = domain.fitted(*of(rest))
            whole, _, parts = of(tested)
            cells = [whole, [r for one in parts for r in one.get(1.0, ())], *others.values()]
            familiar = np.array([out(known, r) for r in whole])
            flagged = [np.mean([known.judge(*r)[0] != "ok" for r in cell]) for cell in cells]
            areas = [area(familiar, np.array([out(known, r) for r in cell])) for cell in cells[2:]]
            rows.append([flagged[0], flagged[1], areas[0], flagged[2], areas[1], flagged[3]])
        a, b, c, d, e, f = np.mean(rows, axis=0)
        print(f"| {metric} | {a:.1%} | {b:.1%} | {c:.3f} | {d:.1%} | {e:.3f} | {f:.1%} |", flush=True)


def area(familiar: Array, strange: Array) -> float:
    """Under the receiver's operating characteristic; of equal scores half."""
    return float(((strange[:, None] > familiar) + 0.5 * (strange[:, None] == familiar)).mean())


def out(known: domain.Summary, what: domain.Recording) -> float:
    """How far out a recording is; infinitely where it breaks a rule."""
    return float("inf") if known.broken(what.place) or not len(what.points) else known.score(what.points)


def of_speech(write: bool) -> None:
    """Figures of the guard on speech, and its summaries."""
    rng = np.random.default_rng(0)
    sounds = speech()
    clean = {name: domain.recording(x, SPEECH_RATE) for name, x in sounds.items()}
    parts = {name: domain.pieces(x, SPEECH_RATE) for name, x in sounds.items()}
    short = {
        seconds: {
            name: [domain.recording(piece(x, seconds, rng), SPEECH_RATE) for _ in range(DRAWN)]
            for name, x in sounds.items()
            if x.size > seconds * SPEECH_RATE
        }
        for seconds in SHORT
    }
    made = {n: {k: domain.recording(x, SPEECH_RATE) for k, x in changed(x, rng).items()} for n, x in sounds.items()}
    folders = {
        "music": (listeners.AUDIO / "clean" / "music").iterdir(),
        "environment": (listeners.AUDIO / "clean" / "env").iterdir(),
        "speech through codecs (rated)": (listeners.AUDIO / "codecmushra").glob("stim_*/*.flac"),
        "speech through codecs (others)": (
            f for f in (listeners.AUDIO / "speech").iterdir() if any(c in f.stem for c in CODED) and "ref" not in f.stem
        ),
    }
    others = {k: [domain.recording(mono(f), SPEECH_RATE) for f in sorted(files)] for k, files in folders.items()}
    found: dict[str, list[tuple[float, ...]]] = {}
    names = list(clean)
    for _ in range(SPLITS):
        order = rng.permutation(len(names))
        tested = [names[i] for i in order[: round(TESTED * len(names))]]
        rest = [name for name in names if name not in tested]
        known = domain.fitted([clean[name] for name in rest], rest, [parts[name] for name in rest])
        familiar = np.array([out(known, clean[name]) for name in tested])
        cases = {"the same kind": [clean[name] for name in tested]}
        cases |= {kind: [made[name][kind] for name in tested] for kind in made[names[0]]} | others
        cases |= {f"{s:g} s of the same": [x for name in tested for x in of.get(name, [])] for s, of in short.items()}
        for kind, items in cases.items():
            said = [known.judge(*item)[0] for item in items]
            far = np.array([out(known, item) for item in items])
            shares = [said.count(word) / len(said) for word in ("unfamiliar", "foreign")]
            found.setdefault(kind, []).append((area(familiar, far), *shares))
    print(f"{len(names)} speakers, {SPLITS} splits, a third of them tested\n")
    print("| recordings | AUROC | unfamiliar | foreign | flagged |\n|---|---|---|---|---|")
    for kind, rows in found.items():
        auroc, unfamiliar, foreign = np.mean(rows, axis=0)
        print(f"| {kind} | {auroc:.3f} | {unfamiliar:.1%} | {foreign:.1%} | {unfamiliar + foreign:.1%} |")
    wet = [made[name]["reverberation, 0.4 to 1 s"] for name in names]
    rng = np.random.default_rng(0)
    wet_parts = [domain.pieces(reverberant(x, rng.uniform(0.4, 1.0), rng), SPEECH_RATE) for x in sounds.values()]
    for name, items, groups, pieces in (
        ("speech", [*clean.values()], names, [*parts.values()]),
        ("srmr", [*clean.values(), *wet], [*names, *names], [*parts.values(), *wet_parts]),
    ):
        whole = domain.fitted(items, groups, pieces)
        print(f"\n{name}: rules {dict(whole.rules)}, {len(items)} recordings")
        if write:
            about = f"python -m tests.benchmarks.domain --speech --write: {len(items)} recordings; statistics"
            FILE.with_name(domain.FILE.format(name)).write_text(domain.stored(whole, about), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--speech", action="store_true")
    parser.add_argument("--ratings", action="store_true")
    given = parser.parse_args()
    if not listeners.AUDIO.is_dir():
        sys.exit("tests.benchmarks.domain: needs the folder ../shared beside the checkout")
    if given.ratings:
        of_ratings(given.write)
        return
    if given.speech:
        of_speech(given.write)
        return
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
