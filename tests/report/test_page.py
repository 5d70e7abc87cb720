"""The page: what it says, what no name can do to it, and how it stays below its size."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile

from audiosim import metrics, report
from audiosim.comparison import Comparison, compare_signals
from audiosim.errors import InputError
from audiosim.judge.rows import to_jsonl
from audiosim.judge.summary import summarise
from audiosim.match import Policy
from audiosim.report import charts, sound
from audiosim.signal import Signal
from audiosim.testing.signals import affordable, noise

RATE = 16000
EVIL = (
    '"><script>alert(1)</script>.wav',
    "</script><script>alert(2)</script>.wav",
    "</title></style><img src=x onerror=alert(3)>.wav",
    "{{ 7 * 7 }}{% raw %}.wav",
    "<!--<script>.wav",
    "'onmouseover='alert(4)",
    "\u202egnp.wav",
    "javascript:alert(5)//",
)


class Elements(HTMLParser):
    """All start tags with their attributes, and the text outside of scripts and styles."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts, self.scripts, self.inside = [], [], [], None
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside = tag if tag in ("script", "style") else self.inside

    def handle_endtag(self, tag):
        if tag == self.inside:
            self.inside = None

    def handle_data(self, data):
        if self.inside == "script":
            self.scripts.append(data)
        elif self.inside is None:
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())

    def of(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def always(compared):
    """A recompute for reports of one pair."""
    return lambda _: compared


def page(*pairs, **options):
    """The report of pairs as the fixture makes them."""
    known = {rows[0]["test"]: compared for rows, compared in pairs}
    rows = [r for rows, _ in pairs for r in rows]
    return report.page(iter(rows), lambda asked: known[asked[0]["test"]], **options)


def test_one_pair_says_values_directions_gates_and_units(pair):
    made = page(pair(require=("si-sdr>=45", "mse<=1")))
    text = Elements(made.text).text
    assert made.left_out == ()
    for said in ("ref.wav", "test.wav", "si-sdr", "dB", "lower", "higher", "1 of 2 gates failed", "Mean squared error"):
        assert said in text
    assert "si-sdr>=45 failed, by 2" in text  # 25 dB are missing
    assert "mse<=1 held" in text


@pytest.mark.parametrize("name", EVIL)
def test_no_name_becomes_markup(pair, name):
    plain = Elements(page(pair(reference="r.wav"), pair("b.wav")).text)
    found = Elements(page(pair(name, reference=f"{name} of"), pair("b.wav")).text)
    assert [t for t, _ in found.tags] == [t for t, _ in plain.tags]
    assert [sorted(a) for _, a in found.tags] == [sorted(a) for _, a in plain.tags]
    shown = name if name.isprintable() else repr(name)
    assert " ".join(shown.split()) in found.text
    assert "49" not in found.text or "49" in plain.text


def test_titles_reasons_and_summaries_are_escaped_too(pair):
    rows, compared = pair("a.wav")
    broken = [{**r, "test": "b.wav", "rate": None, "status": "error", "value": None, "reason": EVIL[0]} for r in rows]
    summary = [{"metric": EVIL[1], "mean": 1.5}, {"metric": "mse", "mean": float("nan")}]
    made = report.page([*rows, *broken], always(compared), title=EVIL[2], summary=summary)
    found = Elements(made.text)
    assert len(found.of("img")) == 3  # the spectrograms
    assert len(found.of("script")) == 5  # rows, facts, two sounds, the script
    assert all(name in found.text for name in EVIL[:2])


def test_the_rows_are_in_the_page_as_json(pair):
    made = page(pair(EVIL[1]), pair("b.wav"))
    (text,) = re.findall(r'<script type="application/json" id="rows">(.*?)</script>', made.text, re.DOTALL)
    rows = json.loads(text)
    assert [(r["test"], r["spec"]) for r in rows] == [(t, s) for t in (EVIL[1], "b.wav") for s in ("mse", "si-sdr")]


def test_nothing_is_requested_from_anywhere(pair):
    made = page(pair(), pair("b.wav"))
    found = Elements(made.text)
    policy = next(a["content"] for a in found.of("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    for _, attributes in found.tags:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:image/png;base64,"))
    assert "http://" not in made.text
    assert "https://" not in made.text
    assert not re.search(r"url\(|@import|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", made.text)


def test_the_policy_names_script_and_style_by_their_hash(pair):
    text = page(pair()).text
    for element, directive in (("script", "script-src"), ("style", "style-src")):
        inside = re.findall(rf"<{element}>(.*?)</{element}>", text, re.DOTALL)
        assert len(inside) == 1
        digest = base64.b64encode(hashlib.sha256(inside[0].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in text.replace("&#39;", "'")
    assert not re.search(r'<[^>]* (style|on\w+)="', text)


def test_the_same_rows_give_the_same_bytes(pair):
    assert page(pair()).text == page(pair()).text


@pytest.mark.parametrize("channels", [1, 2, 3])
def test_the_sound_is_that_of_the_pair(pair, channels):
    _, compared = pair(channels=channels)
    cut = sound.cut(compared, 0.0, compared.ref.duration)
    for flac, signal in ((cut.ref, compared.ref), (cut.test, compared.test)):
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(flac)), always_2d=True)
        assert rate == RATE
        expected = signal.samples if channels < 3 else signal.samples.mean(axis=0, keepdims=True)
        assert samples.T.shape == expected.shape
        np.testing.assert_allclose(samples.T, expected, atol=2 / 32768)
    assert bool(cut.notes) == (channels == 3)


def test_sixteen_bits_are_kept_exactly_and_what_is_identical_stays_so(pair):
    _, compared = pair()
    exact = np.rint(compared.ref.samples * 32768) / 32768
    same = replace(compared, ref=Signal(exact, RATE), test=Signal(exact, RATE))
    cut = sound.cut(same, 0.0, compared.ref.duration)
    samples, _ = soundfile.read(io.BytesIO(base64.b64decode(cut.ref)), always_2d=True)
    assert (exact == samples.T).all()
    same = replace(compared, test=compared.ref)
    cut = sound.cut(same, 0.0, compared.ref.duration)  # dithered
    assert cut.ref == cut.test
    assert cut.match_db == 0.0


def test_what_is_beyond_full_scale_is_lowered_alike(pair):
    _, compared = pair(gain=30.0)
    cut = sound.cut(compared, 0.0, compared.ref.duration)
    test, _ = soundfile.read(io.BytesIO(base64.b64decode(cut.test)))
    assert np.abs(test).max() == pytest.approx(1.0, abs=2 / 32768)
    assert "lowered by" in cut.notes[0]


def test_a_quiet_recording_gets_24_bits(pair):
    _, compared = pair(gain=1e-3)
    quiet = replace(compared, ref=Signal(compared.ref.samples * 1e-3, RATE))
    cut = sound.cut(quiet, 0.0, compared.ref.duration)
    assert soundfile.info(io.BytesIO(base64.b64decode(cut.test))).subtype == "PCM_24"


def test_the_level_match_brings_the_test_to_the_loudness_of_the_reference(pair):
    _, compared = pair(level=0.0, gain=0.5)
    assert sound.cut(compared, 0.0, compared.ref.duration).match_db == pytest.approx(20 * np.log10(2), abs=0.02)
    silent = replace(compared, test=Signal(0.0 * compared.test.samples, RATE))
    assert sound.cut(silent, 0.0, compared.ref.duration).match_db is None


def test_the_worst_stretch_is_where_the_difference_is():
    ref = noise(RATE, affordable(4.0), 1)
    test = ref.copy()
    n = test.shape[1] // 8
    test[:, 5 * n : 6 * n] += noise(RATE, affordable(4.0), 2)[:, 5 * n : 6 * n]
    compared = compare_signals(Signal.of(ref, RATE), Signal.of(test, RATE), ["mse"], Policy(), detail="map", jobs=1)
    whole = compared.ref.duration
    start, end = sound.worst(compared, ["mse"], whole / 4)
    assert end - start == pytest.approx(whole / 4)
    assert start <= 5 / 8 * whole <= 6 / 8 * whole <= end
    assert sound.worst(compared, ["mse"], 2 * whole) == (0.0, whole)


@pytest.mark.parametrize(("audio", "sounds"), [("worst", 2), ("full", 2), ("none", 0)])
def test_sound_is_there_as_asked(pair, audio, sounds):
    found = Elements(page(pair(), audio=audio).text)
    assert sum("audio-" in (a.get("class") or "") for a in found.of("script")) == sounds
    assert ("player" in {a.get("class") for a in found.of("div")}) == (sounds > 0)


def test_a_full_page_leaves_out_by_name_and_stays_below_its_cap(pair):
    pairs = [pair(f"{i}.wav", 0.1 * (i + 1), channels=2) for i in range(4)]
    whole = page(*pairs)
    assert whole.left_out == ()
    silent = len(page(*pairs, audio="none").text)
    for cap in ((len(whole.text) + silent) // 2, int(0.75 * silent)):
        made = page(*pairs, cap=cap)
        assert len(made.text.encode()) <= cap
        assert made.left_out
        text = Elements(made.text).text
        for sentence in made.left_out:
            assert re.match(r"\d\.wav: its (sound|pictures)", sentence)
            assert sentence in text
    assert made.left_out[-1] == "0.wav: its pictures"  # the least bad one
    assert not any(sentence.startswith("3.wav: its pictures") for sentence in made.left_out)


def test_only_the_worst_are_looked_at_again(pair):
    pairs = [pair(f"{i}.wav", 0.1 * (i + 1)) for i in range(5)]
    asked = []

    def recompute(rows):
        asked.append(rows[0]["test"])
        return next(c for known, c in pairs if known[0]["test"] == rows[0]["test"])

    report.page((r for rows, _ in pairs for r in rows), recompute, details=2)
    assert asked == ["4.wav", "3.wav"]


def test_a_pair_that_cannot_be_read_again_is_a_sentence(pair):
    rows, _ = pair()

    def gone(rows):
        raise InputError("test.wav: no such file; check the path")

    made = report.page(rows, gone)
    assert "test.wav: no such file; check the path" in Elements(made.text).text


def test_many_rows_keep_only_the_worst(pair, monkeypatch):
    monkeypatch.setattr(report, "TABLE", 12)
    monkeypatch.setattr(report, "UNREAD", 2)
    rows, compared = pair()
    many = [{**r, "test": f"{i}.wav", "value": r["value"] + i} for i in range(100) for r in rows]
    made = report.page(iter(many), always(compared), details=1)
    found = Elements(made.text)
    assert "The 10 worst of 100" in found.text
    assert "99.wav" in found.text
    assert "50.wav" not in found.text


def test_systems_and_groups_have_columns_and_pairs_of_one_name_are_told_apart(pair):
    rows, compared = pair()
    both = [{**r, "id": "x.wav", "system": s, "group": "g"} for s in ("one", "two") for r in rows]
    found = Elements(report.page(both, always(compared)).text)
    assert "2 pairs" in found.text
    assert "one: x.wav" in found.text
    assert "two: x.wav" in found.text
    assert {"system", "group"} <= set(found.text.split())


def test_rows_from_a_journal_know_infinity_by_status(pair):
    rows, compared = pair()
    infinite = {"value": np.inf, "status": "infinite", "reason": "+inf: nothing is wrong"}
    read = [json.loads(line) for line in to_jsonl([{**r, **infinite} for r in rows]).splitlines()]
    found = Elements(report.page(read, always(compared)).text)
    assert "inf" in found.text.split()
    assert {"data-sort": "Infinity", "class": "number"} in found.of("td")


@pytest.mark.parametrize("length", [1, 7, 300])
def test_the_shortest_and_the_silent_have_a_page(pair, length):
    rows, compared = pair()
    for scale in (1.0, 0.0):
        ref, test = [Signal(scale * s.samples[:, :length], RATE) for s in (compared.ref, compared.test)]
        short = Comparison(ref, test, {}, compared.results)
        assert "nan" not in re.sub(r"base64,\S+|<script.*?</script>", "", report.page(rows, always(short)).text)


def test_lengths_may_differ(pair):
    rows, compared = pair()
    other = replace(compared, test=Signal(compared.test.samples[:, : compared.test.length // 2].copy(), RATE))
    assert "difference" in report.page(rows, always(other)).text


def test_a_gate_is_drawn_over_time_where_it_is_in_reach(pair):
    _, compared = pair()
    result = compared.results["si-sdr"]
    limit = round(float(np.nanmedian(result.per_time)), 3)
    gates = [{"require": f"si-sdr>={at}"} for at in (limit, 900.0)] + [{"require": f"mean(si-sdr)>={limit}"}]
    drawn = charts.course(result, "si-sdr", metrics.get("si-sdr").card, gates, (0.0, compared.ref.duration))
    assert [g["text"] for g in drawn["gates"]] == [f"≥ {limit}"]
    assert float(drawn["gates"][0]["top"]) + float(drawn["gates"][0]["height"]) == pytest.approx(100)


@pytest.mark.parametrize(("view", "first"), [((0.0, 6.0), "0 s"), ((32.69, 92.69), "40 s"), ((0.0, 0.05), "0.00 s")])
def test_ticks_are_round(view, first):
    ticks = charts.time_ticks(view)
    assert 2 <= len(ticks) <= 8
    assert ticks[0]["text"] == first


def test_gates_over_all_are_said_at_the_top(pair):
    verdicts = [
        {"require": "mean(mse)<=1", "spec": "mse", "value": 0.5, "passed": True, "missed_by": 0.0, "reason": None},
        {
            "require": "p95(mse)<=0",
            "spec": "mse",
            "value": np.nan,
            "passed": False,
            "missed_by": 0.0,
            "reason": EVIL[0],
        },
    ]
    rows, compared = pair()
    found = Elements(report.page(rows, always(compared), verdicts=verdicts).text)
    assert "mean(mse)<=1 held: 0.5" in found.text
    assert f"p95(mse)<=0 failed: {EVIL[0]}" in found.text
    assert "1 of 2 gates over all failed" in found.text
    assert "every gate held" not in found.text
    assert "every gate held" in Elements(report.page(rows, always(compared), verdicts=verdicts[:1]).text).text


def test_rates_that_flac_does_not_know_are_played_too(pair):
    _, compared = pair()
    odd = replace(compared, ref=Signal(compared.ref.samples, 70001), test=Signal(compared.test.samples, 70001))
    cut = sound.cut(odd, 0.0, odd.ref.duration)
    assert soundfile.info(io.BytesIO(base64.b64decode(cut.ref))).format == "WAV"


def test_many_broken_pairs_do_not_hide_the_others(pair, monkeypatch):
    monkeypatch.setattr(report, "TABLE", 12)
    monkeypatch.setattr(report, "UNREAD", 2)
    rows, compared = pair()
    gone = {"rate": None, "status": "error", "value": None, "reason": "no such file"}
    many = [{**r, **gone, "test": f"{i}.wav"} for i in range(20) for r in rows]
    found = Elements(report.page([*many, *rows], always(compared)).text)
    assert "The 3 worst of 21" in found.text
    assert "20 could not be compared" in found.text
    assert len(found.of("img")) == 3


def test_a_table_of_very_many_metrics_is_shortened(pair):
    rows, compared = pair()
    many = [{**r, "test": f"{i}.wav", "spec": f"mse:x={m}"} for i in range(30) for r in rows[:1] for m in range(100)]
    whole = report.page(many, always(compared), details=0)
    cap = len(whole.text) // 2
    made = report.page(many, always(compared), details=0, cap=cap)
    assert len(made.text) <= cap
    assert re.search(r"The \d+ worst of 30", Elements(made.text).text)


def test_a_summary_has_a_column_for_what_is_known(pair):
    rows, compared = pair()
    summary = [{"metric": "mse", "system": None, "mean": 1.5}, {"metric": "si-sdr", "system": None, "mean": None}]
    found = Elements(report.page(rows, always(compared), summary=summary).text)
    assert "Summary metric mean mse 1.5 si-sdr" in found.text


def diagnosed(rows, **more):
    """The rows of a pair with a verdict and a diagnosis."""
    spot = {"start": 0.1, "end": 0.15, "test_start": 0.11, "test_end": 0.16, "channel": 1, "low": 300.0, "high": 2000.0}
    far = {**spot, "start": 90.0, "end": 90.0, "test_start": 90.0, "test_end": 90.0, "low": None, "high": None}
    finding = {"size": None, "unit": "", "confidence": 1.0, "share": 0.72, "detail": {}}
    told = {
        "findings": [
            {**finding, "cause": "dropout", "sentence": f"5 dropouts {EVIL[0]}", "places": [spot, far], "count": 5},
            {**finding, "cause": "gain", "share": None, "sentence": "the test is quieter", "places": [], "count": 0},
        ],
        "null": {
            "samples": 100,
            "differing": 3,
            "first_sample": 2,
            "first": 0.0,
            "peak_dbfs": -6.0,
            "rms_dbfs": -9.0,
            "bits": 1.0,
        },
        "left_db": -40.0,
    }
    level = {"level": "audible", "sentence": "an audible difference", "reasons": ["it is heard"], "rule_version": 1}
    said = {"verdict": level, "diagnosis": told, "contradictions": ["snr and auditory contradict each other: why"]}
    return [{**r, **said, **more} for r in rows]


def test_the_verdict_and_what_happened_come_first(pair):
    rows, compared = pair()
    found = Elements(report.page(diagnosed(rows), always(compared)).text)
    order = (
        "An audible difference",
        f"5 dropouts {EVIL[0]}",
        "72 % of the difference",
        "0:00.10 to 0:00.15, 300 Hz to 2 kHz, channel 1",
        "1:30.00, channel 1",
        "and 3 more",
        "The test is quieter",
        "What is left lies 40 dB below the reference.",
        "Null test: 3 of 100 samples differ",
        "it is heard",
        "Snr and auditory contradict each other: why.",
        "metric",
    )
    at = [found.text.index(said) for said in order]
    assert at == sorted(at)
    buttons = [a for a in found.of("button") if a.get("class") == "place"]
    assert [b["data-a"] for b in buttons] == ["0.1000 0.1500", "0.0000 0.0000"]  # what is not in the sound is text
    assert buttons[0]["data-b"] == "0.1100 0.1600"


def test_places_are_those_of_what_was_aligned(pair):
    rows, compared = pair()
    step = {"policy": "auto", "found": True, "search_s": 1.0, "delay_ms": 10.0, "delay_samples": RATE // 100}
    sure = {"correlation": 1.0, "confidence": 1.0, "trimmed_start_samples": {"reference": 0, "test": RATE // 100}}
    cut = {"align": {**step, **sure}}
    found = Elements(report.page(diagnosed(rows), always(replace(compared, match=cut))).text)
    button = next(a for a in found.of("button") if a.get("class") == "place")
    assert (button["data-a"], button["data-b"]) == ("0.1000 0.1500", "0.1000 0.1500")


def test_without_a_diagnosis_nothing_is_said_of_it(pair):
    text = Elements(page(pair()).text).text
    assert "Null test" not in text
    assert "contradict" not in text


def test_a_reading_stands_beside_its_value_with_the_scale_behind_it(pair):
    rows, compared = pair()
    read = next(r["reading"] for r in rows if r["reading"])
    found = Elements(page((rows, compared)).text)
    assert read in found.text
    assert sum("here" in (a.get("class") or "") for a in found.of("rect")) == sum(bool(r["reading"]) for r in rows)
    worst = page(pair(level=30.0)).text
    assert re.search(r'class="word-of sev-[34]"', worst)


def test_a_batch_has_a_ranking_a_table_of_items_and_the_worst_of_each_system(batch):
    rows, recompute = batch
    scores = summarise(iter(rows)).table()
    made = report.page(rows, recompute, summary=scores, notes=["3 of 6 pairs: gain"], details=4)
    found = Elements(made.text)
    for said in ("At a glance", "3 of 6 pairs: gain", "Worst pairs of each system", "the test is 2 dB louder"):
        assert said in found.text
    assert len(found.of("circle")) == 4  # two systems by two metrics
    assert made.text.index('<span class="system">one') < made.text.index('<span class="system">two')  # the best first
    items = re.findall(r'<div class="wide items" data-metric="(\S+)"( hidden)?>', made.text)
    assert items == [("mse", ""), ("si-sdr", " hidden")]
    table = re.search(r'<div class="wide items".*?</table>', made.text, re.DOTALL)[0]
    assert table.count("<tr>") == 1 + 3
    assert {a.get("href") for a in found.of("a")} == {f"#pair-{i}" for i in range(1, 5)}
    assert "one: item-2" in found.text  # the worst of the better system is shown, too


def test_one_system_has_no_ranking(pair):
    rows, compared = pair()
    found = Elements(report.page(rows, always(compared), summary=summarise(iter(rows)).table()).text)
    assert "At a glance" not in found.text
    assert not found.of("circle")
