"""What values mean: `python -m tests.benchmarks.anchors` prints the scales and thresholds of tables/anchors.csv.

It degrades synthesised speech, music and noise by known steps (MP3 and Opus through ffmpeg, white noise, low-passes)
and compares. Of each metric it takes the ladder of steps that it orders best over all sounds, and none where it
confuses more than one in six pairs of steps. --only measures some of the metrics and keeps the scales of the others.
Official scales stand below as their sources state them, and those of
listeners as ../shared/audio has them. --write writes the data file; --verdicts says how often the verdict is right on
pairs whose truth is known.
"""

from __future__ import annotations

import argparse
import csv
import io
import itertools
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from math import inf, log
from pathlib import Path
from typing import Any

import numpy as np

import audiosim
from audiosim import metrics
from audiosim.judge.reading import COLUMNS, FILE, VERDICT
from audiosim.judge.verdict import RULE_VERSION
from audiosim.signal import Signal
from audiosim.testing import signals

from .listeners import AUDIO, SOURCE, coded, low_passed

RATE, SECONDS = 48000, 4.0
SCALE, STEEPNESS = 5.97, 1.5  # of what listeners gave coded speech, 0 to 100, by distance
CONFUSED = 1 / 6  # of the pairs of steps on two sounds: a ladder that is confused as often says nothing
ALIKE = 1e-3  # of the range of a ladder: steps nearer than this are one

Array = Any
MP3 = {f"{k}": lambda x, k=k: coded(x, RATE, "libmp3lame", "mp3", k) for k in (256, 128, 64, 32)}
OPUS = {f"{k}": lambda x, k=k: coded(x, RATE, "libopus", "opus", k) for k in (128, 64, 32, 16)}
NOISE = {f"{s}": lambda x, s=s: signals.added_noise(x, RATE, 10 ** (-s / 20)) for s in (60, 50, 40, 30, 20, 10)}
STRONG = {f"{-s}": lambda x, s=s: signals.added_noise(x, RATE, 10 ** (-s / 20)) for s in (20, 10, 0)}
LOW_PASS = {f"{k}": lambda x, k=k: low_passed(x, RATE, 1000 * k) for k in (16, 12, 7, 3)}
# name: steps from mild to strong; words of a better value, of one between two steps, of a worse one
LADDERS: Mapping[str, tuple[Mapping[str, Callable[[Array], Array]], str, str, str]] = {
    "MP3": (MP3, "better than MP3 at {} kb/s", "as MP3 at {} to {} kb/s", "worse than MP3 at {} kb/s"),
    "white noise": (NOISE, "better than noise at -{} dB", "as noise at -{} to -{} dB", "worse than noise at -{} dB"),
    "low-pass": (LOW_PASS, "better than {} kHz low-pass", "as low-pass of {} to {} kHz", "worse than {} kHz low-pass"),
    "Opus": (OPUS, "better than Opus at {} kb/s", "as Opus at {} to {} kb/s", "worse than Opus at {} kb/s"),
}
# For those that hear nothing in the mild steps of the others.
COARSE = {
    "strong white noise": (STRONG, "better than noise at {} dB", "as noise at {} to {} dB", "worse than noise at {} dB")
}
OF_SPEECH = {"siib-gauss", "warp-q", "llr", "wss", "cepstrum-distance", "fwseg-snr", "pmsqe", "hasqi", "ncm", "mcd"}
OF_SPEECH |= {"seg-snr"}
NOT_OF_NOISE = {"stft", "mr-stft"}  # on noise their values for white noise are others
MEASURED = (
    *("snr", "si-sdr", "sd-sdr", "sdr", "seg-snr", "esr", "log-mel", "lsd", "mfcc", "mcd", "mr-stft", "mel-stft"),
    *("stft", "spectral-convergence", "complex-stft", "phase", "zimtohrli", "visqol:output=vnsim", "nmr", "tversky"),
    *("spectral-transport", "noise-loudness", "modulation-difference", "auditory-loss", "log-wmse", "usdr", "bss-eval"),
    *("masked-loss", "cosh"),
    *("siib-gauss", "warp-q", "llr", "wss", "cepstrum-distance", "fwseg-snr", "pmsqe", "hasqi", "ncm"),
)


def sounds() -> dict[str, Array]:
    """Stereo, as music is coded; half of them quiet, so that a measure of absolute level has no scale."""
    from audiosim.dsp.resampling import to_rate

    samples = {n: to_rate(audiosim.load(SOURCE / f"{n}.flac"), RATE).samples.astype(float) for n in ("speech", "music")}
    speech = {"speech": samples["speech"], **{f"speech {s}": signals.speech_like(RATE, SECONDS, s) for s in (1, 2)}}
    doubled = {name: np.repeat(x[:1, : round(SECONDS * RATE)], 2, 0) for name, x in speech.items()}
    music = {f"music {s}": signals.chord_music(RATE, SECONDS, s, 2) for s in (1, 2)}
    found = doubled | {"music": samples["music"][:, : round(SECONDS * RATE)]} | music
    found["noise"] = signals.pink(RATE, SECONDS, 1, 2)
    return {name: x * (0.1 if i % 2 else 1.0) for i, (name, x) in enumerate(found.items())}


def measured(wanted: Sequence[str]) -> dict[tuple[str, str, str, str], float]:
    """(ladder, step, sound, spec): value, of the wanted; auditory says how bad a step is."""
    found = {}
    for sound, x in sounds().items():
        speech, noise = sound.startswith("speech"), sound == "noise"
        specs = [s for s in wanted if speech or (s not in OF_SPEECH and not (noise and s in NOT_OF_NOISE))]
        for ladder, (steps, *_) in (LADDERS | COARSE).items():
            for step, change in steps.items():
                results = audiosim.compare(_signal(x), _signal(change(x)), ["auditory", *specs])
                found.update({(ladder, step, sound, spec): r.value for spec, r in results.items()})
        print(sound, file=sys.stderr, flush=True)
    return found


def _signal(x: Array) -> Signal:
    return Signal(samples=np.asarray(x, dtype=np.float32), rate=RATE)


def confused(values: Array) -> float:
    """[step, sound], higher is worse: the share of pairs of steps, on any two sounds, that are in the wrong order."""
    wrong = [np.mean(a[:, None] >= b[None, :]) for a, b in itertools.combinations(values, 2)]
    return float(np.mean(wrong))


Row = tuple[str, str, str, float, str, float, str, str]  # metric, options, free, to, words, severity, kind, source


def ladders(found: Mapping[tuple[str, str, str, str], float], wanted: Sequence[str]) -> Iterator[Row]:
    """The scale of each of the wanted metrics that has one."""
    for spec in wanted:
        metric, _, options = spec.partition(":")
        sign = 1 if metrics.get(metric).card.better == "lower" else -1
        tables = {}
        for ladder, (steps, *_) in (LADDERS | COARSE).items():
            of = list(dict.fromkeys(k[2] for k in found if k[0] == ladder and k[3] == spec))
            tables[ladder] = sign * np.array([[found[ladder, step, s, spec] for s in of] for step in steps])
        best = min(LADDERS, key=lambda name: confused(tables[name]))
        share = confused(tables[best])
        if share >= CONFUSED:
            best = min(COARSE, key=lambda name: confused(tables[name]))
            share = min(share, confused(tables[best]))
        if share >= CONFUSED:
            print(f"| `{spec}` | none | {100 * share:.0f} % |")
            continue
        print(f"| `{spec}` | {best} | {100 * share:.0f} % |")
        steps, better, between, worse = (LADDERS | COARSE)[best]
        values = np.maximum.accumulate(np.median(tables[best], axis=1))
        apart = np.append(np.diff(values) > ALIKE * (values[-1] - values[0]), True)
        names = [name for name, kept in zip(steps, apart, strict=True) if kept]
        bad = [severity(found, best, name) for name in names]
        words = [better.format(names[0]), *(between.format(*n) for n in itertools.pairwise(names))]
        words.append(worse.format(names[-1]))
        middles = [bad[0] / 2, *((a + b) / 2 for a, b in itertools.pairwise(bad)), (1 + bad[-1]) / 2]
        ends = [*(sign * v for v in values[apart]), sign * inf]
        free = " ".join(o for o in ("exact", "search") if o in metrics.get(metric).options)
        what = "speech" if metric in OF_SPEECH else "speech, music and noise"
        what = "speech and music" if metric in NOT_OF_NOISE else what
        source = f"synthesised {what}, median of its values after {best}"
        for to, said, bad_ in zip(ends, words, middles, strict=True):
            yield metric, options, free, to, said, bad_, "measured", source


def severity(found: Mapping[tuple[str, str, str, str], float], ladder: str, step: str) -> float:
    """Of a step, 0 to 1: what listeners would take from 100 of it in a MUSHRA test, by auditory, the median."""
    distances = [v for (name, at, _, spec), v in found.items() if (name, at, spec) == (ladder, step, "auditory")]
    return float(1 - np.exp(-((np.median(distances) / SCALE) ** STEEPNESS)))


ACR = ("excellent", "good", "fair", "poor", "bad")
P835 = {
    "sig": (
        "speech signal",
        ("not distorted", "slightly distorted", "somewhat distorted", "fairly distorted", "very distorted"),
    ),
    "bak": (
        "background",
        (
            *("not noticeable", "slightly noticeable", "noticeable, not intrusive", "somewhat intrusive"),
            "very intrusive",
        ),
    ),
}
COMPOSITE = {  # as the listeners read them by whose ratings composite was fitted
    "sig": ("no degradation", "little degradation", "somewhat degraded", "fairly degraded", "very degraded"),
    "bak": (
        *("not noticeable", "somewhat noticeable", "noticeable, not intrusive", "somewhat intrusive"),
        "very intrusive",
    ),
}
IMPAIRMENT = ("imperceptible", "perceptible, not annoying", "slightly annoying", "annoying", "very annoying")
FIVE = (0.0, 0.25, 0.5, 0.75, 1.0)
HALVES = (4.5, 3.5, 2.5, 1.5, -inf)  # halfway between the points of a five-point scale
UNDERSTOOD = (0.99, 0.95, 0.75, 0.5, 0.25)  # shares


def categories(metric: str, options: str, free: str, ends: Sequence[float], words: Sequence[str], source: str) -> Any:
    """An official scale of five categories."""
    return [(metric, options, free, *anchor, "official", source) for anchor in zip(ends, words, FIVE, strict=True)]


def understood(metric: str, free: str, what: str, source: str, value: Callable[[float], float]) -> Iterator[Row]:
    """A scale of what share is understood. value: of the metric at a share."""
    for better, share in itertools.pairwise((1.0, *UNDERSTOOD)):
        range_ = f"{100 * share:g} to {100 * better:g} %" if better < 1 else f"over {100 * share:g} %"
        words = f"{range_} of {what}"
        yield metric, "", free, round(value(share), 4), words, 1 - (share + better) / 2, "official", source
    share = UNDERSTOOD[-1]
    yield metric, "", free, -inf, f"under {100 * share:g} % of {what}", 1 - share / 2, "official", source


def official() -> Iterator[Row]:
    """Scales as their sources state them; the nearest point of those with five."""
    acr = "ITU-T P.800, listening quality (ACR), the nearest category"
    for metric, options, free in (
        ("pesq", "", "band"),
        ("visqol", "", "model exact search"),
        ("visqol-speech", "", "exact search"),
        ("composite", "", "band convention"),
        ("dnsmos", "output=p808", "model"),
        ("plcmos", "", "model"),
        ("nisqa", "", "model"),
    ):
        yield from categories(metric, options, free, HALVES, ACR, acr)
    yield from categories("dnsmos", "", "model", HALVES, ACR, "ITU-T P.835, overall quality, the nearest category")
    for output, words in COMPOSITE.items():
        source = f"Hu and Loizou 2008, after ITU-T P.835: {P835[output][0]}, the nearest category"
        yield from categories("composite", f"output={output}", "band convention", HALVES, words, source)
    for output, (what, words) in P835.items():
        source = f"ITU-T P.835, {what}, the nearest category"
        yield from categories("dnsmos", f"output={output}", "model", HALVES, words, source)
    for metric, free in (("peaq", "level"), ("peaq-advanced", "floor network clamp level")):
        source = "ITU-R BS.1387, objective difference grade, the nearest category of BS.1284"
        yield from categories(metric, "", free, [h - 5 for h in HALVES], IMPAIRMENT, source)
    source = "Huber and Kollmeier 2006, PSMt mapped to the grades of ITU-R BS.1116, the nearest category"
    ends = [h - 5 for h in HALVES]
    yield from categories("pemo-q", "output=odg", "level modulation", ends, IMPAIRMENT, source)
    source = "ITU-R BS.1534, the five intervals of the MUSHRA scale"
    yield from categories("two-f", "", "level", (80.0, 60.0, 40.0, 20.0, -inf), ACR, source)
    source = "Taal et al. 2011, logistic function fitted to words of Dantale II in noise"
    yield from understood("stoi", "", "words", source, lambda p: (9.6921 + log(p / (1 - p))) / 17.4906)
    source = "Kates and Arehart 2021: the value is the proportion of sentences understood"
    yield from understood("haspi", "audiogram level", "sentences", source, lambda p: p)
    source = "ANSI S3.5-1997: good systems exceed an SII of 0.75, poor ones are below 0.45"
    for to, words, bad in ((0.75, "good for speech", 0.1), (0.45, "neither good nor poor", 0.5), (-inf, "poor", 0.9)):
        yield "csii", "", "", to, words, bad, "official", source
    source = "van de Par et al. 2005: 1 is the threshold of detection"
    for to, words, bad in ((1.0, "below detection", 0.0), (inf, "above detection", 0.5)):
        yield "par", "", "level", to, words, bad, "official", source
    source = (
        "EBU R 128 version 4 (2020): tolerance of programme loudness, 1 LU in production, 0.2 LU of QC measurements"
    )
    for to, words, bad in ((0.2, "within EBU R 128, QC", 0.0), (1.0, "within EBU R 128", 0.3)):
        yield "lufs", "", "", to, words, bad, "official", source
    yield "lufs", "", "", inf, "beyond EBU R 128", 0.8, "official", source


def listeners() -> Iterator[Row]:
    """Scales that people's answers give."""
    source = (
        "ABX of phase (300 trials a pair): at chance up to 0.42, told apart from 1.69; MUSHRA of speech codecs (84 "
        "conditions, 8 to 11 listeners): mean ratings of 80, 60, 40, 20"
    )
    ends = [0.42, *(round(SCALE * log(100 / mushra) ** (1 / STEEPNESS), 2) for mushra in (80, 60, 40, 20)), inf]
    words = ("hardly audible", *(f"{word} quality" for word in ACR))
    for to, said, bad in zip(ends, words, (0.0, 0.15, 0.3, 0.5, 0.7, 1.0), strict=True):
        yield "auditory", "", "", to, said, bad, "listeners", source
    source = (
        "threshold in quiet: a tone of 1 kHz there has 3 dB; partial masking of 488 tones: of those heard at more than "
        "6 dB above it 95 % lie above 4 dB"
    )
    for to, said, bad in ((4.0, "hardly audible", 0.0), (inf, "audible", 0.5)):
        yield "auditory", "form=audibility", "level", to, said, bad, "listeners", source


def thresholds() -> Iterator[Row]:
    """Of the verdict, see docs/verdict.md."""
    abx = "ABX of phase: between the largest pair at chance and the smallest told apart"
    for name, to, said, kind, source in (
        ("quality", 0.5, "audible", "listeners", f"{abx} (0.42, 1.69)"),
        ("audibility", 4.0, "audible", "listeners", "threshold in quiet, partial masking, as auditory:form=audibility"),
        ("audibility somewhere", 20.0, "audible", "measured", "MP3 at 256 and Opus at 96 kb/s below it, clicks above"),
        ("quality, plainly", 6.0, "different", "measured", "beyond MUSHRA 'fair': noise at 20 dB, a 4 kHz low-pass"),
        ("audibility, plainly", 55.0, "different", "measured", "8 dB of gain above it, 3 dB below"),
        ("early or late", 45.0, "audible", "official", "ITU-R BT.1359-1, detectability of sound before picture, ms"),
        ("drift", 2000.0, "audible", "listeners", "just noticeable change of pitch, 0.2 % (Moore 2012, ch. 6), ppm"),
        ("rounding", -93.0, "equivalent", "official", "two roundings to 16 bits with triangular dither, dBFS RMS"),
    ):
        yield VERDICT, name, "", to, said, 0.0, kind, source


def lines(rows: Iterable[Row]) -> list[list[str]]:
    """As they stand in the data file."""
    made = []
    for metric, options, free, to, words, bad, kind, source in rows:
        version = RULE_VERSION if metric == VERDICT else metrics.get(metric).version
        told = f"{to:.4g}" if kind == "measured" else f"{to:g}"
        if metric != VERDICT and not options and float(told) > metrics.get(metric).card.range[1] >= to:
            told = repr(float(to))
        made.append([metric, options, free, str(version), told, words, f"{bad:.2f}", kind, source])
    return made


def written(measured_anew: Sequence[list[str]], kept: Sequence[list[str]]) -> str:
    """The data file. kept: measured lines of metrics that were not measured anew."""
    order = {tuple(spec.partition(":")[::2]): place for place, spec in enumerate(MEASURED)}
    own = sorted([*measured_anew, *kept], key=lambda line: order[line[0], line[1]])
    text = io.StringIO()
    out = csv.writer(text, lineterminator="\n")
    out.writerows([COLUMNS, *lines([*listeners(), *official()]), *own, *lines(thresholds())])
    return text.getvalue()


def pairs_with_truth() -> Iterator[tuple[str, set[str], Any, Any]]:
    """What was done, the levels that are true of it, and the pair. Where people differ, two levels are."""
    inaudible, audible, different = {"inaudible"}, {"audible"}, {"different"}
    doubtful, plain = inaudible | audible, audible | different
    rng = np.random.default_rng(1)
    for x in sounds().values():
        x = x / np.abs(x).max() * 0.5
        for what, levels, change in (
            ("nothing", {"identical"}, lambda x: x),
            ("16 bits, dither", {"equivalent"}, lambda x: _dithered(x, 16, rng)),
            ("24 bits", {"equivalent"}, lambda x: np.round(x * 2**23) / 2**23),
            ("noise at -80 dB", inaudible | {"equivalent"}, lambda x: signals.added_noise(x, RATE, 1e-4)),
            ("0.1 dB quieter", inaudible, lambda x: x * 10 ** (-0.1 / 20)),
            ("5 ms late", inaudible, lambda x: _late(x, 240)),
            ("20 ms late", inaudible, lambda x: _late(x, 960)),
            ("polarity", inaudible, lambda x: -x),
            ("MP3 at 256 kb/s", inaudible, MP3["256"]),
            ("MP3 at 128 kb/s", doubtful, MP3["128"]),
            ("Opus at 128 kb/s", doubtful, OPUS["128"]),
            ("1 dB quieter", doubtful, lambda x: x * 10 ** (-1 / 20)),
            ("3 dB quieter", audible, lambda x: x * 10 ** (-3 / 20)),
            ("8 bits, dither", plain, lambda x: _dithered(x, 8, rng)),
            ("clipped at half of peak", doubtful, lambda x: signals.clipping(x, RATE, 0.5 / 0.95)),
            ("dropout of 20 ms", audible, _dropout),
            ("a click", audible, lambda x: signals.added_click(x, RATE, 0.03)),
            ("0.5 s late", audible, lambda x: _late(x, RATE // 2)),
            ("as much reverberation", plain, lambda x: signals.reverb(x, RATE, 1.0)),
            ("noise at -30 dB", plain, lambda x: signals.added_noise(x, RATE, 10**-1.5)),
            ("noise at -10 dB", different, lambda x: signals.added_noise(x, RATE, 10**-0.5)),
            ("low-pass 3 kHz", plain, LOW_PASS["3"]),
            ("MP3 at 32 kb/s", plain, MP3["32"]),
        ):
            yield what, levels, _signal(x), _signal(change(x))
        other = signals.chord_music(RATE, SECONDS, 7, 2)[:, : x.shape[1]]
        yield "another recording", {"unrelated"}, _signal(x), _signal(other)


def _late(x: Array, samples: int) -> Array:
    return np.pad(x, ((0, 0), (samples, 0)))[:, : x.shape[1]]


def _dithered(x: Array, bits: int, rng: np.random.Generator) -> Array:
    scale = 2 ** (bits - 1)
    return np.round(x * scale + rng.triangular(-1, 0, 1, x.shape)) / scale


def _dropout(x: Array) -> Array:
    y = x.copy()
    at = int(np.argmax(np.abs(x[0])))
    y[:, at : at + RATE // 50] = 0
    return y


def listened() -> Iterator[tuple[str, set[str], Any, Any]]:
    """Pairs of ../shared/audio whose truth listeners gave."""
    with (AUDIO / "pairs.csv").open(newline="") as lines:
        rows = list(csv.DictReader(lines))
    for row in rows:
        files = (audiosim.load(AUDIO / row[end]) for end in ("ref", "test"))
        if row["set"] == "phaseabx":
            apart = float(row["score"]) >= 0.7
            what = f"phase turned, {'told apart' if apart else 'at chance'} (ABX)"
            yield what, {"audible"} if apart else {"inaudible"}, *files
        elif row["set"] == "codecmushra" and row["ref"] != row["test"]:
            yield "speech codecs, MUSHRA below 80", {"audible", "different"}, *files
    with (AUDIO / "odd_one_out.csv").open(newline="") as lines:
        groups: dict[str, list[str]] = {}
        for row in csv.DictReader(lines):
            if row["set"] == "envodd4":
                groups.setdefault(row["category"], []).append(row["file"])
    for names in groups.values():
        for pair in itertools.combinations(names, 2):
            signals_ = (audiosim.load(AUDIO / name) for name in pair)
            yield "two everyday sounds of a kind", {"different", "unrelated"}, *signals_


def print_verdicts() -> None:
    """How often the level is one of those that are true, by what was done, and over all."""
    from audiosim.diagnosis import diagnose
    from audiosim.judge.verdict import verdict

    counted: dict[str, list[Any]] = {}
    for what, levels, ref, test in itertools.chain(pairs_with_truth(), listened() if AUDIO.exists() else ()):
        level = verdict(ref, test, diagnose(ref, test), jobs=1).level
        counted.setdefault(what, [levels, []])[1].append(level)
    print("| what was done | true | pairs | right | said otherwise |\n|---|---|---|---|---|")
    for what, (levels, said) in counted.items():
        right = sum(level in levels for level in said)
        other = ", ".join(sorted({str(level) for level in said} - levels))
        print(f"| {what} | {' or '.join(sorted(levels))} | {len(said)} | {right} | {other} |")
    every = [level in levels for levels, said in counted.values() for level in said]
    print(f"\n{sum(every)} of {len(every)} right, {100 * np.mean(every):.0f} %")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help=f"write audiosim/tables/{FILE}")
    parser.add_argument("--verdicts", action="store_true", help="measure the verdict instead")
    parser.add_argument(
        "--only", nargs="*", metavar="SPEC", choices=MEASURED, default=MEASURED, help="measure these, or none"
    )
    asked = parser.parse_args()
    if asked.verdicts:
        print_verdicts()
        return
    print("| metric | steps | out of order |\n|---|---|---|")
    file = Path(audiosim.__file__).with_name("tables") / FILE
    with file.open(newline="") as stored:
        kept = [line for line in csv.reader(stored) if line[7] == "measured" and line[0] != VERDICT]
    kept = [line for line in kept if ":".join(filter(None, line[:2])) not in asked.only]
    anew = ladders(measured(asked.only), asked.only) if asked.only else ()
    text = written(lines(anew), kept)
    if asked.write:
        file.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()
