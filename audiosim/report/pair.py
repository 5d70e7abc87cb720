"""The block of one pair in the page, as plain data for pair.html.jinja."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import match as matching, metrics
from ..audio import display_name
from ..comparison import Comparison
from ..diagnosis import words
from ..judge import explain, reading as readings
from ..judge.rows import VERDICT, Row, number
from ..judge.verdict import LEVELS as OPINIONS
from ..results import mark, unlike
from . import charts, pictures
from .sound import Sound, duration

Array = NDArray[Any]

LONG = 60.0  # seconds: of a longer recording the pictures show the stretch around what is played
REGIONS = 3  # outlined in the picture of the difference
LEVELS = 5  # colours of severity, as style.css has them
INSTANT = 0.02  # s: what is shorter has one time


def name(row: Row, folder: str = "") -> str:
    """What the page calls the pair: its id or test, without the folder that all lie in, after its system if any."""
    called = display_name(str(row.get("id") or row["test"]).removeprefix(folder))
    return f"{row['system']}: {called}" if row.get("system") else called


def answer(row: Row) -> dict[str, Any]:
    """A metric's value as a cell shows it and sorts by it."""
    value, card = number(row), metrics.get(row["metric"]).card
    read = readings.reading(row)
    shown = row["status"] in ("ok", "infinite")
    return {
        "spec": row["spec"],
        "title": card.title,
        "text": charts.number(value) + mark(row) if shown else str(row["status"]),
        "sort": repr(value)
        if value == value and isfinite(value)
        else str(value).replace("inf", "Infinity")
        if shown
        else "",
        "unit": "" if row["unit"] == "1" else row["unit"],
        "better": row["better"],
        "arrow": charts.ARROWS[row["better"]],
        "reason": row["reason"] or unlike(row),
        "odd": row["status"] != "ok",
        "reading": None if read is None else {"text": read.text, "level": severity(read.severity)},
        "failed": any(not g["passed"] for g in row["gates"]),
        "gates": [_gate(g) for g in row["gates"]],
    }


def block(
    rows: Sequence[Row], comparison: Comparison, sound: Sound | None, view: tuple[float, float]
) -> dict[str, Any]:
    """The data of one pair. rows: its results. view: the seconds, from and to, that the pictures show."""
    specs = [r["spec"] for r in rows if r["spec"] in comparison.results]
    gates = [g for r in rows for g in r["gates"]]
    cards = {spec: metrics.get(metrics.parse(spec).name).card for spec in specs}
    drawn = [charts.course(comparison.results[s], s, cards[s], gates, view) for s in specs]
    by_band = [charts.bars(comparison.results[s], s, cards[s]) for s in specs]
    alone = not rows[0]["reference"]
    found = None if alone else _explanation(comparison, specs)
    ref, test = comparison.ref, comparison.test
    peak = max(float(np.abs(s.samples).max()) for s in (ref, test))
    channels = {1: "mono", 2: "stereo"}.get(ref.channels, f"{ref.channels} channels")
    return {
        "reference": display_name(rows[0]["reference"]) if rows[0]["reference"] else None,
        "test": display_name(rows[0]["test"]),
        "facts": f"{ref.duration:.3f} s at {ref.rate} Hz, {channels}",
        "notes": [s[0].upper() + s[1:] + "." for s in matching.describe(comparison.match)],
        "metrics": [{**answer(r), "scale": _scale(r)} for r in rows],
        "readings": any(readings.reading(r) for r in rows),
        **told(rows[0]),
        "causes": [_sentence(c["sentence"]) for c in rows[0].get("causes") or ()],
        **_diagnosis(rows[0].get("diagnosis"), comparison, sound),
        "sentences": [{"spec": found.spec, "text": found.sentence}] if found else [],
        "wave": _waves(comparison, view, peak, alone),
        "overview": _overview(comparison, view, peak, alone) if view != (0.0, duration(comparison)) else None,
        "pictures": _pictures(comparison, view, found, alone),
        "courses": [c for c in drawn if c],
        "bars": [b for b in by_band if b],
        "ticks": charts.time_ticks(view),
        **_player(sound, view, alone),
    }


def severity(share: float) -> int:
    """The class of a colour, from 0, green, to LEVELS - 1, red."""
    return round((LEVELS - 1) * min(max(share, 0.0), 1.0))


def told(row: Row) -> dict[str, Any]:
    """What the head of the pair says: the verdict, where there is one, and what contradicts what."""
    verdict = row.get("verdict")
    if not verdict:
        return {"verdict": None, "contradictions": []}
    level = verdict["level"]
    colour = None if level is None else severity(OPINIONS.index(level) / (len(OPINIONS) - 1))
    return {
        "verdict": {"level": level, "colour": colour, "text": verdict["sentence"], "reasons": verdict["reasons"]},
        "contradictions": row.get("contradictions") or [],
    }


def _scale(row: Row) -> dict[str, Any] | None:
    """The anchors of the metric from good to bad, and which of them holds for the value; None where it has none."""
    scale = readings.scale_of(row["metric"], row["options"])
    value = number(row)
    if scale is None or value != value:
        return None
    return {
        "here": scale.place(value),
        "steps": [
            {"text": f"{end}: {a.words}", "level": severity(a.severity)}
            for a, end in zip(scale.anchors, scale.bounds(), strict=True)
        ],
    }


def _diagnosis(found: Mapping[str, Any] | None, comparison: Comparison, sound: Sound | None) -> dict[str, Any]:
    """What happened to the sound, as sentences with the places that can be heard."""
    if not found:
        return {"diagnosis": None}
    null, left = found["null"], found["left_db"]
    first = null and null["first"]
    seen = words.null_test(null)
    return {
        "diagnosis": {
            "findings": [
                {
                    "text": f"Also: {f['sentence']}" if f.get("minor") else _sentence(f["sentence"]),
                    "share": None if f["share"] is None else f"{100 * f['share']:.3g} % of the difference",
                    "places": [_spot(p, comparison, sound) for p in f["places"]],
                    "more": max(f["count"] - len(f["places"]), 0),
                }
                for f in found["findings"]
            ],
            "none": "" if found["findings"] or (null and not null["differing"]) else "No cause of it was found.",
            "left": "" if left is None or not found["findings"] else f"{_sentence(words.left(left))}.",
            "null": f"Null test: {seen}.".replace("-", "\N{MINUS SIGN}"),
            "first": None
            if first is None
            else _spot(dict.fromkeys(("start", "end", "test_start", "test_end"), first), comparison, sound),
        }
    }


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _spot(place: Mapping[str, Any], comparison: Comparison, sound: Sound | None) -> dict[str, Any]:
    """A place as a button that plays it: its seconds in what was compared, which may begin later than the files."""
    start, end = place["start"], place["end"]
    text = charts.clock(start) if end - start < INSTANT else f"{charts.clock(start)} to {charts.clock(end)}"
    if place.get("high") is not None:
        text += f", {charts.hertz(place.get('low') or 0.0)} to {charts.hertz(place['high'])}"
    if place.get("channel") is not None:
        text += f", channel {place['channel']}"
    begins = (("reference", "start"), ("test", "test_start"))
    at = {which: place[key] - _cut(comparison, which) for which, key in begins}
    until = {"reference": end - start + at["reference"], "test": place["test_end"] - place["test_start"] + at["test"]}
    heard = sound is not None and any(sound.start <= until[w] and at[w] < sound.end for w in at)
    return {
        "text": text,
        "heard": heard,
        "reference": [f"{at['reference']:.4f}", f"{until['reference']:.4f}"],
        "test": [f"{at['test']:.4f}", f"{until['test']:.4f}"],
    }


def _cut(comparison: Comparison, which: str) -> float:
    """Seconds that the alignment took from the start of the recording; negative where it put silence before it."""
    step = comparison.match.get("align") or {}
    taken = (step.get("trimmed_start_samples") or {}).get(which, 0)
    added = (step.get("padded_start_samples") or {}).get(which, 0)
    return float(taken - added) / comparison.ref.rate


def _gate(row: Row) -> dict[str, Any]:
    missed = row.get("missed_by")
    told = missed is not None and isfinite(missed) and missed and row["spec"] != VERDICT
    return {"require": row["require"], "passed": row["passed"], "missed": charts.number(missed or 0.0) if told else ""}


def _explanation(comparison: Comparison, specs: Sequence[str]) -> explain.Explanation | None:
    """The explanation by the first metric that has a map."""
    for spec in specs:
        if comparison.results[spec].map is not None:
            return explain.taken_apart(spec, comparison, comparison.results[spec])
    return None


def _waves(comparison: Comparison, view: tuple[float, float], peak: float, alone: bool) -> dict[str, str]:
    """alone: there is no reference, and none is drawn."""
    return {
        which: charts.wave(s.samples, s.rate, view, peak)
        for which, s in (("ref", comparison.ref), ("test", comparison.test))
        if which == "test" or not alone
    }


def _overview(comparison: Comparison, view: tuple[float, float], peak: float, alone: bool) -> dict[str, str]:
    whole = duration(comparison)
    return {
        **_waves(comparison, (0.0, whole), peak, alone),
        "before": charts.percent(view[0] / whole),
        "after": charts.percent(view[1] / whole),
        "length": charts.clock(whole),
        "shown": f"{charts.clock(view[0])} to {charts.clock(view[1])}",
    }


def _pictures(
    comparison: Comparison, view: tuple[float, float], found: explain.Explanation | None, alone: bool
) -> list[dict[str, Any]]:
    rate = comparison.ref.rate
    start, stop = round(view[0] * rate), max(round(view[1] * rate), round(view[0] * rate) + 1)
    powers = [pictures.power(s.samples, rate, start, stop) for s in (comparison.ref, comparison.test)]
    (ref, edges), (test, _) = powers
    ref_db, test_db, top = pictures.decibels(ref, test)
    change, end = pictures.difference(ref_db, test_db)
    scale = f"{top - pictures.SPAN_DB:.0f} to {top:.0f} dBFS".replace("-", "\N{MINUS SIGN}") if isfinite(top) else ""
    hertz = charts.hertz_ticks(edges)
    regions = found.regions[:REGIONS] if found else ()
    drawn = [
        ("power", pictures.spectrogram(ref_db, top), "reference", scale, "Spectrogram of the reference"),
        ("power", pictures.spectrogram(test_db, top), "test", scale if alone else "", "Spectrogram of the test"),
        (
            "change",
            change,
            "test over reference",
            f"\N{MINUS SIGN}{end:.0f} to +{end:.0f} dB",
            "Difference of the spectrograms: blue where the test is quieter, orange where it is louder",
        ),
    ]
    return [
        {
            "kind": kind,
            "src": f"data:image/png;base64,{b64encode(image).decode('ascii')}",
            "alt": alt,
            "tag": tag,
            "scale": scaled,
            "hertz": hertz,
            "regions": [_box(r, view, edges) for r in regions if r.end > view[0] and r.start < view[1]]
            if kind == "change"
            else [],
        }
        for kind, image, tag, scaled, alt in (drawn[1:2] if alone else drawn)
    ]


def _box(region: explain.Region, view: tuple[float, float], edges: Array) -> dict[str, str]:
    """Where an SVG rectangle lies."""
    span, height = view[1] - view[0], np.log(edges[-1] / edges[0])
    left, right = (min(max((t - view[0]) / span, 0.0), 1.0) for t in (region.start, region.end))
    low, high = (float(np.log(np.clip(f, edges[0], edges[-1]) / edges[0]) / height) for f in (region.low, region.high))
    return {
        "x": charts.percent(left),
        "width": charts.percent(right - left),
        "y": charts.percent(1 - high),
        "height": charts.percent(high - low),
    }


def _player(sound: Sound | None, view: tuple[float, float], alone: bool) -> dict[str, Any]:
    if sound is None:
        return {"sound": None}
    span = view[1] - view[0]
    gain = sound.match_db
    note = " ".join(sound.notes)
    silent = [(view[0], sound.start), (sound.end, view[1])]
    if sound.start - view[0] > 0.01 or view[1] - sound.end > 0.01:
        note = f"Played is {charts.clock(sound.start)} to {charts.clock(sound.end)}, where it is worst. {note}"
    return {
        "sound": sound,
        "sound_note": note,
        "match_db": gain,
        "match_text": "" if gain is None else f"test {gain:+.2f} dB".replace("-", "\N{MINUS SIGN}"),
        "clip": (f"{sound.start:.2f}", f"{sound.end:.2f}"),
        "end_clock": charts.clock(sound.end),
        "silent": [
            {"x": charts.percent((a - view[0]) / span), "width": charts.percent((b - a) / span)}
            for a, b in silent
            if b - a > 0.01
        ],
        "player": {
            "view": view,
            "sound": [sound.start, sound.end],
            "rate": sound.rate,
            "match_db": gain,
            "alone": alone,
        },
    }
