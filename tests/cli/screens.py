"""What people see, as text at three widths: `python -m tests.cli.screens` draws tests/cli/screens/*.txt anew.

All of it is drawn from numbers that stand here, so that only a change of the layout or of the words changes a file.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from itertools import pairwise
from math import inf, log, nan, pi, sin
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from rich.console import Console

from audiosim.cli import catalogue, explain, screen, table
from audiosim.diagnosis.finding import Finding, NullTest, Place
from audiosim.judge.reading import Anchor, Scale
from audiosim.judge.summary import agreement, summarise
from audiosim.judge.verdict import SAID
from tests.batches import row

FOLDER = Path(__file__).parent / "screens"
WIDTHS = (40, 80, 120)
LINES = 24
PANEL = {  # spec: unit, better, value, identical
    "auditory": ("1", "lower", 3.0363, 0.0),
    "snr": ("dB", "higher", 11.044, inf),
    "si-sdr": ("dB", "higher", 10.69, inf),
    "log-mel": ("dB", "lower", 3.8982, 0.0),
    "lsd": ("dB", "lower", 8.2942, 0.0),
    "mfcc": ("dB", "lower", 67.317, 0.0),
}
CODECS = ("opus_64", "opus_96", "mp3_128", "vorbis_q4", "aac_96", "gsm")
EDGES = [0.0, *(20.0 * 2 ** (i / 3) for i in range(1, 30))]
FINDINGS = (
    ("the test is late by 23.02 ms (1105 samples)", Finding("delay", 23.02, "ms", share=0.81, confidence=0.99)),
    ("the test is 3.2 dB quieter", Finding("gain", -3.2, "dB", share=0.12, confidence=0.97)),
    ("nothing is left above 16 kHz", Finding("low-pass", 16000.0, "Hz", share=0.04, confidence=0.9)),
    (
        "9 dropouts of up to 12 ms in channel 2, the first at 0.5 s",
        Finding(
            "dropout",
            12.0,
            "ms",
            tuple(Place(t, t + 0.012, t, t + 0.012, channel=2) for t in (0.5, 1.25, 3.0, 7.5)),
            count=9,
            confidence=0.95,
            share=0.02,
        ),
    ),
    ("a click at 4.000 s", Finding("click", None, "", (Place(4.0, 4.001, 4.0, 4.001, None, 2e3, 8e3),), 1, 0.6)),
)


def result(spec: str, worse: float = 1.0, **more: Any) -> dict[str, Any]:
    """One metric's row. worse: factor by which it is worse than usual."""
    unit, better, value, _ = PANEL[spec]
    value = value * worse if better == "lower" else value / worse
    arrays = dict.fromkeys(("per_band", "bands", "edges", "per_time", "times"))
    state = {"status": "ok", "reason": None, "reading": None}
    return {"spec": spec, "metric": spec, "value": value, "unit": unit, "better": better, **arrays, **state, **more}


def pair(test: str = "decoded.wav", worse: float = 1.0, specs: Any = PANEL, **more: Any) -> dict[str, Any]:
    """A comparison."""
    shape = {"rate": 48000, "channels": 2, "duration_s": 10.0, "gates": [], "verdict": None, "diagnosis": None}
    results = [result(spec, worse) for spec in specs]
    return {"reference": "original.wav", "test": test, **shape, "results": results, **more}


def gate(require: str, spec: str, value: float, passed: bool, missed_by: float = 0.0) -> dict[str, Any]:
    named = {"require": require, "spec": spec, "value": value, "passed": passed, "missed_by": missed_by}
    return {**named, "reason": "audible" if spec == "verdict" else None}


def gates(worse: float = 1.0) -> list[dict[str, Any]]:
    snr, band = 11.044 / worse, 8.2 / worse
    return [
        gate("snr>=10", "snr", snr, snr >= 10, max(10 - snr, 0.0)),
        gate("snr@4000-8000>=8", "snr", band, band >= 8, max(8 - band, 0.0)),
        gate("verdict<=inaudible", "verdict", 3.0, False, 1.0),
    ]


def diagnosis(count: int = len(FINDINGS)) -> dict[str, Any]:
    """With sentences of our own: those of words.py are held by its tests."""
    null = NullTest(960000, 957001, 1105, 1105 / 48000, -3.04, -21.5, 1.5)
    findings = [{**asdict(replace(f, detail={})), "sentence": sentence} for sentence, f in FINDINGS[:count]]
    return {"findings": findings, "null": asdict(null), "left_db": -41.7}


def verdict(level: str = "audible") -> dict[str, Any]:
    reasons = ["the auditory distance is 3.04 (hardly anybody hears less than 0.5)", FINDINGS[0][0]]
    return {"level": level, "reasons": reasons, "rule_version": 1, "sentence": SAID[level]}


def profiled(made: dict[str, Any]) -> dict[str, Any]:
    """The pair with bands and times: worst about 4 kHz and at 6 s."""
    centres = [(a + b) / 2 for a, b in pairwise(EDGES)]
    times = [0.05 + 0.1 * i for i in range(100)]
    for spoken in made["results"]:
        sign = 1.0 if spoken["better"] == "lower" else -1.0
        usual = spoken["value"]
        bands = [usual * (1 + sign * 0.8 * 2 ** (-abs(log(f / 4000) / log(2)) / 2)) for f in centres]
        frames = [usual * (1 + sign * 0.8 * 2 ** -abs(t - 6.0) + 0.05 * sin(2 * pi * t)) for t in times]
        spoken |= {"per_band": bands, "bands": centres, "edges": EDGES, "per_time": frames, "times": times}
    return made


def one(out: Console) -> None:
    made = pair(verdict=verdict(), diagnosis=diagnosis(), gates=gates())
    for spoken, reading in zip(made["results"], ("slightly annoying", None, None, "as MP3 at 64 kb/s"), strict=False):
        spoken["reading"] = reading
    made["results"][4] |= {"value": nan, "status": "undefined", "reason": "the reference is silent"}
    made["contradictions"] = ["snr and auditory contradict each other: snr hears a 2 ms delay that listeners do not"]
    screen.print_results([made], out)


def many(out: Console) -> None:
    made = []
    levels = ("inaudible", "inaudible", "audible", "audible", "audible", "different")
    for i, (codec, level) in enumerate(zip(CODECS, levels, strict=True)):
        more = {"verdict": verdict(level), "gates": gates(1 + i / 5), "diagnosis": diagnosis(i % 3)}
        made.append(pair(f"out/decoded_{codec}.wav", 1 + i / 5, **more))
        made[-1]["results"][0]["reading"] = "hardly audible" if i < 3 else "slightly annoying"
    made[5]["results"][1] |= {"value": nan, "status": "undefined", "reason": "the test is silent"}
    screen.print_results(made, out)


def long_names(out: Console) -> None:
    start = "experiments/2024-05-codec-listening-test/stimuli/decoded"
    screen.print_results([pair(f"{start}/speaker_03_sentence_{i}_opus.wav", 1 + i) for i in range(3)], out)


def bands(out: Console) -> None:
    screen.print_results([drop(profiled(pair(specs=["snr"])), "per_time")], out)


def bands_and_times(out: Console) -> None:
    screen.print_results([profiled(pair())], out)


def times_of_several(out: Console) -> None:
    made = [profiled(pair(f"out/decoded_{codec}.wav", 1 + i, ["auditory", "snr"])) for i, codec in enumerate(CODECS)]
    screen.print_results([drop(p, "per_band") for p in made], out)


def drop(made: dict[str, Any], name: str) -> dict[str, Any]:
    for spoken in made["results"]:
        spoken[name] = None
    return made


def happened(out: Console) -> None:
    screen.print_verdict({"verdict": verdict(), "diagnosis": diagnosis()}, out)
    screen.print_diagnosis(diagnosis(), out)


def picture(out: Console) -> None:
    frames, count = np.arange(200)[:, None], np.arange(40)[None, :]
    share = np.exp(-(((frames - 120) / 15) ** 2) - ((count - 25) / 4) ** 2)
    edges = np.geomspace(20.0, 20000.0, 41)
    comparison = SimpleNamespace(ref=SimpleNamespace(duration=10.0))
    found = SimpleNamespace(map=share / share.sum(), edges=edges, comparison=comparison, of="distance")
    explain._print_picture(found, out)  # type: ignore[arg-type]


def scale(out: Console) -> None:
    words = ("hardly audible", "excellent quality", "good quality", "fair quality, as MP3 at 64 kb/s or below", "bad")
    anchors = [Anchor(0.5 * 2**i, said, i / 4, "measured", "") for i, said in enumerate(words)]
    screen.print_scale(Scale("auditory", "", (), 1, tuple(anchors)), 3.04, out)


def questions(out: Console) -> None:
    rows = [{**r, "title": ""} for r in catalogue.catalogue()]
    catalogue.print_questions(rows, out)


def batch(out: Console) -> None:
    summary = summarise(batch_rows())
    table.print_summary(summary, out)
    table.print_differences(summary, out)
    table.print_worst(summary, out, 2)


def people(out: Console) -> None:
    rows = [{**r, "rating": 5.0 - float(r["value"]) / 9, "higher_is_better": True} for r in batch_rows()]
    table.print_agreement(agreement(rows), out)


def batch_rows() -> Iterator[dict[str, Any]]:
    for i in range(12):
        for k, system in enumerate(("opus_64", "vorbis_q4")):
            for spec, (_, better, value, _) in list(PANEL.items())[:3]:
                moved = value * (1 + 0.1 * ((i * 7 + k * 3) % 5) + 0.3 * k * (1 if better == "lower" else -1))
                yield row(f"item_{i:02d}.wav", spec, moved, system)


SCREENS: dict[str, Callable[[Console], None]] = {
    "compare": one,
    "compare_several": many,
    "compare_long_names": long_names,
    "compare_bands": bands,
    "compare_bands_times": bands_and_times,
    "compare_several_times": times_of_several,
    "explain_pair": happened,
    "explain_metric_pair": picture,
    "explain_metric_scale": scale,
    "explain": questions,
    "batch": batch,
    "batch_people": people,
}


def page(width: int, colours: bool = False) -> Console:
    """A screen of this width."""
    return Console(
        file=io.StringIO(), width=width, height=LINES, no_color=not colours, force_terminal=colours,
        color_system="standard" if colours else None, legacy_windows=False, highlight=False, markup=False, emoji=False,
    )  # fmt: skip


def drawn(name: str, width: int) -> str:
    """The screen as text, without blanks at the ends of lines."""
    out = page(width)
    SCREENS[name](out)
    assert isinstance(out.file, io.StringIO)
    return "".join(f"{line.rstrip()}\n" for line in out.file.getvalue().splitlines())


def file_of(name: str, width: int) -> Path:
    return FOLDER / f"{name}_{width}.txt"


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name in SCREENS:
        for width in WIDTHS:
            file_of(name, width).write_text(drawn(name, width), encoding="utf-8", newline="\n")
