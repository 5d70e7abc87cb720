"""Result.domain: rules, distances and p of a stored summary, and what is written and shown of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from math import isnan, nan
from pathlib import Path

import numpy as np
import pytest

import audiosim
from audiosim import domain, metrics
from audiosim.errors import UsageError
from audiosim.judge import gates
from audiosim.judge.assembly import pair_row
from audiosim.judge.rows import to_json
from audiosim.metrics import auditory
from audiosim.result import Result
from audiosim.testing.signals import added_noise, affordable, noise, speech_like

RATE = 16000
compute = metrics.get("auditory").compute


def known() -> domain.Summary:
    """Two features, independent, with deviations of 1 and 2; 99 distances from 0.01 to 0.99."""
    return domain.Summary(
        {"seconds": (1.0, 10.0), "rate": (8000.0, None)},
        ("a", "b"),
        np.array([1.0, 2.0]),
        np.diag([1.0, 0.25]),
        np.arange(1, 100) / 100,
    )


def judged(**place: float) -> tuple[str, float]:
    return known().judge({"a": 1.0, "b": 2.0, "seconds": 5.0, "rate": 16000.0} | place)


def test_p_is_the_share_that_lies_as_far_out() -> None:
    assert judged() == ("ok", 1.0)
    assert judged(a=1.505) == ("ok", pytest.approx(0.5))
    assert judged(b=2 - 2 * 0.505) == ("ok", pytest.approx(0.5))
    assert judged(a=1.955) == ("ok", pytest.approx(0.05))
    assert judged(a=1.965) == ("unfamiliar", pytest.approx(0.04))
    assert judged(a=1 + 1.97) == ("unfamiliar", 0.01)
    assert judged(a=1 + 1.99) == ("foreign", 0.01)


def test_a_broken_rule_is_foreign() -> None:
    for place in ({"seconds": 0.9}, {"seconds": 11.0}, {"rate": 7999.0}, {"seconds": nan}):
        assert judged(**place) == ("foreign", 0.01), place
    assert judged(seconds=10.0, rate=8000.0)[0] == "ok"


def test_the_stored_summary_is_of_this_version() -> None:
    stored = json.loads((domain.resources.files("audiosim.tables") / "domain_auditory.json").read_text())
    summary = domain.summary("auditory")
    assert stored["version"] == auditory.CARD.version
    assert summary.features == tuple(auditory.PLACE)
    assert (np.diff(summary.calibrated) >= 0).all()
    assert (np.linalg.eigvalsh(summary.precision) > 0).all()


def test_cards_name_the_domains_that_are_stored() -> None:
    stored = {p.name for p in domain.resources.files("audiosim.tables").iterdir() if p.name.startswith("domain_")}
    of_speech = {n for n in metrics.own_names() if metrics.get(n).card.domain == domain.SPEECH}
    assert of_speech >= {"pesq", "visqol-speech", "stoi", "haspi", "srmr", "warp-q"}
    own = {n for n in metrics.own_names() if metrics.get(n).card.domain} - of_speech
    assert stored == {domain.FILE.format(n) for n in own | {"speech", "srmr", "dnsmos", "plcmos", "nisqa"}}


def test_what_listeners_rated_is_familiar_and_what_nobody_rated_is_not() -> None:
    x = speech_like(RATE, affordable(1.0), 1)
    assert compute(x, x, RATE).domain == "ok"
    assert compute(x, added_noise(x, RATE, 0.05), RATE).domain == "ok"
    assert compute(x, 0 * x, RATE).domain == "foreign"
    assert compute(0 * x, x, RATE).domain == "foreign"
    assert compute(0 * x, 0 * x, RATE).domain == "foreign"
    assert compute(1e-4 * x, 1e-4 * x, RATE).domain == "foreign"
    assert compute(x[:, :160], x[:, :160], RATE).domain == "foreign"
    assert compute(x, x, 8000).domain == "foreign"
    late = compute(x, np.concatenate([np.zeros((1, RATE // 2)), x], axis=1), RATE)
    assert late.domain == "unfamiliar"
    assert 0 < late.domain_p < 0.05
    stereo = compute(np.repeat(x, 2, 0), np.concatenate([x, added_noise(x, RATE, 0.05)]), RATE)
    assert stereo.domain == "ok"


def test_there_is_none_where_nothing_is_calibrated() -> None:
    x = noise(RATE, 0.2)
    for result in (
        compute(x, x, RATE, level=90.0),
        compute(x, x, RATE, form="audibility"),
        compute(x, x, 2000),
        metrics.get("snr").compute(x, 0.9 * x, RATE),
    ):
        assert result.domain is None
        assert isnan(result.domain_p)
    for ask in ("similarity", "quality", "interference"):
        assert compute(x, x, RATE, ask=ask).domain == "ok"


def result(word: str | None) -> Result:
    x = noise(RATE, 0.1)
    return replace(compute(x, x, RATE), domain=word, domain_p=nan if word is None else 0.01)  # type: ignore[arg-type]


@pytest.mark.parametrize(("word", "mark"), [(None, ""), ("ok", ""), ("unfamiliar", "?"), ("foreign", "??")])
def test_rows_and_tables(word: str | None, mark: str) -> None:
    row = pair_row("a", "b", {"auditory": result(word)})
    (written,) = json.loads(to_json(row))["results"]
    assert written["domain"] == word
    assert written["domain_p"] == (None if word is None else 0.01)
    shown = audiosim.Results({"auditory": result(word)})
    assert f" 0{mark} " in str(shown)
    assert ("that it was judged on" in str(shown)) == bool(mark)
    assert f">0{mark}<" in shown._repr_html_()


def test_markdown_and_page_show_the_mark() -> None:
    from audiosim.cli.markdown import of_pairs
    from audiosim.judge.rows import strict
    from audiosim.report.pair import answer

    row = pair_row("a", "b", {"auditory": result("unfamiliar")}, rate=RATE)
    assert "0?" in of_pairs([row])
    (one,) = strict(row)["results"]
    cell = answer({**one, "gates": []})
    assert cell["text"].endswith("?")
    assert "unlike nearly all sounds" in cell["reason"]


def syllables(seed: int = 0, seconds: float = 3.0, rate: int = RATE) -> np.ndarray:
    """Bursts of a coloured noise [channel, sample]."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(seconds * rate)) / rate
    envelope = np.abs(np.sin(np.pi * 3.1 * t)) * (np.sin(2 * np.pi * 0.4 * t) > -0.7)
    spectrum = np.fft.rfft(rng.normal(size=t.size)) / (1 + np.fft.rfftfreq(t.size, 1 / rate) / 800)
    x = envelope * np.fft.irfft(spectrum, t.size)
    return 0.1 * x[None] / x.std()


@cache
def of_syllables() -> domain.Summary:
    sounds = [syllables(i)[0] for i in range(24)]
    pieces = [domain.pieces(x, RATE) for x in sounds]
    return domain.fitted([domain.recording(x, RATE) for x in sounds], range(24), pieces)


@pytest.fixture
def own_summary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[domain.Summary]:
    """Of such bursts, as if a user had made it for stoi."""
    monkeypatch.setattr(domain, "folder", lambda: tmp_path)
    (tmp_path / domain.FILE.format("stoi")).write_text(domain.stored(of_syllables(), "bursts"))
    domain.summary.cache_clear()
    yield of_syllables()
    domain.summary.cache_clear()


def test_a_summary_survives_its_file(own_summary: domain.Summary) -> None:
    read = domain.summary("stoi")
    assert read.features == own_summary.features == domain.features()
    assert np.allclose(read.precision, own_summary.precision, rtol=1e-5, atol=0)
    assert np.allclose(read.calibrated, own_summary.calibrated, rtol=1e-5)
    assert read.rules == own_summary.rules
    for a, b in zip(read.pieces, own_summary.pieces, strict=True):
        assert (a.seconds, a.rules) == (b.seconds, b.rules)
        assert np.allclose(a.calibrated, b.calibrated, rtol=1e-5)
    (domain.folder() / domain.FILE.format("pesq")).write_text("{}")
    with pytest.raises(UsageError, match="is no summary of recordings"):
        domain.summary("pesq")


def test_recordings_like_the_known_ones_and_others(own_summary: domain.Summary) -> None:
    x = syllables(99)
    judge = metrics.get("stoi").compute
    assert judge(x, x, RATE).domain == "ok"
    assert judge(x, noise(RATE, 3.0), RATE).domain == "ok"  # what was done to the test is what it judges
    assert judge(noise(RATE, 3.0), x, RATE).domain == "foreign"
    spectrum = np.fft.rfft(x)
    narrow = np.fft.irfft(np.where(np.fft.rfftfreq(x.shape[1], 1 / RATE) < 3400, spectrum, 0), x.shape[1])
    peak = np.quantile(np.abs(x), 0.9)
    for strange in (narrow, np.clip(x, -peak, peak), 1e-3 * x):
        found = own_summary.judge(*domain.recording(strange[0], RATE))
        assert found == ("foreign", pytest.approx(1 / 25))
    assert own_summary.judge(*domain.recording(0 * x[0], RATE))[0] == "foreign"
    assert own_summary.broken(domain.recording(x[0, :1000], RATE).place) == ["seconds"]
    stereo = judge(np.repeat(x, 2, 0), np.repeat(x, 2, 0), RATE)
    assert (stereo.domain, stereo.domain_p) == ("ok", judge(x, x, RATE).domain_p)
    assert judge(x[:, ::2], x[:, ::2], RATE // 2).domain is None


def test_alarms_are_as_rare_as_they_are_said_to_be(own_summary: domain.Summary) -> None:
    said = [own_summary.judge(*domain.recording(syllables(i)[0], RATE))[0] for i in range(100, 124)]
    assert said.count("ok") >= 19


def test_short_recordings_are_held_against_pieces(own_summary: domain.Summary) -> None:
    """Of the longest that are no longer; the mean over fewer windows varies more."""
    one, two = own_summary.pieces  # recordings of 3 s have none of 4
    assert (one.seconds, two.seconds) == (1.0, 2.0)
    assert len(one.calibrated) == len(two.calibrated) == 24
    x = syllables(99, seconds=5.0)[0]
    for seconds, known in ((0.8, one), (1.0, one), (1.9, one), (2.0, two), (3.9, two), (4.0, own_summary)):
        place, points = domain.recording(x[: int(seconds * RATE)], RATE)
        far = own_summary.score(points)
        p = (1 + np.count_nonzero(known.calibrated >= far)) / 25
        assert own_summary.judge(place, points) == ("ok" if p >= 0.05 else "unfamiliar", pytest.approx(p)), seconds
    for seconds in (1.0, 1.5, 2.5):
        cut = [domain.pieces(syllables(i, seconds)[0], RATE) for i in range(100, 124)]
        assert all(max(found, default=0) < seconds for found in cut)
        said = [own_summary.judge(*domain.recording(syllables(i, seconds)[0], RATE))[0] for i in range(100, 124)]
        assert said.count("ok") >= 21, seconds
    assert domain.pieces(np.zeros(3 * RATE), RATE) == {}


def test_speech_summaries() -> None:
    for name, count in (("stoi", 45), ("srmr", 90), ("dnsmos", 135), ("plcmos", 135), ("nisqa", 225)):
        found = domain.summary(name)
        assert found.features == domain.features()
        assert len(found.calibrated) == count
        assert [pieces.seconds for pieces in found.pieces] == list(domain.PIECES)
        assert (np.linalg.eigvalsh(found.precision) > 0).all()
        assert set(found.rules) == {"seconds", "level", "clipped", "bandwidth"}
    x = noise(RATE, 1.5)
    assert metrics.get("srmr").compute(0 * x, x, RATE).domain != "ok"


def test_unfamiliar_sounds_are_an_error_where_that_is_asked_for(own_summary: domain.Summary) -> None:
    x, other = syllables(99), noise(RATE, 3.0)
    assert audiosim.compare(x, x, "stoi", rate=RATE, unfamiliar="error")["stoi"].status == "ok"
    found = audiosim.compare(other, other, ["stoi", "snr"], rate=RATE, unfamiliar="error")
    assert (found["stoi"].status, found["stoi"].domain) == ("error", "foreign")
    assert "foreign: the sound is unlike those" in str(found["stoi"].reason)
    assert found["snr"].status == "ok"
    assert audiosim.compare(other, other, "stoi", rate=RATE)["stoi"].status == "ok"


def test_gates(own_summary: domain.Summary) -> None:
    gate = gates.parse("domain_p(stoi)>=0.05")
    assert (gate.spec, gate.familiar, gate.limit) == ("stoi", True, 0.05)
    x, other = syllables(99), noise(RATE, 3.0)
    for sound, held in ((x, True), (other, False)):
        results = audiosim.compare(sound, sound, "stoi", rate=RATE)
        verdict = gates.verdict(gate, results["stoi"])
        assert verdict.passed == held
        assert verdict.value == results["stoi"].domain_p
        (row,) = json.loads(to_json(pair_row("a", "b", results)))["results"]
        assert gates.verdict_of_row(gate, row).passed == held
    assert gates.verdict(gate, replace(results["stoi"], domain=None, domain_p=nan)).reason.startswith("undefined")
    for wrong, said in (
        ("domain_p(snr)>=0.05", "snr has no domain"),
        ("domain_p()>=0.05", "takes a metric"),
        ("domain_p(min_channel(stoi))>=0.05", "takes a metric"),
        ("domain_p(verdict)<=inaudible", "verdict"),
    ):
        with pytest.raises(UsageError, match=said):
            gates.parse(wrong)
