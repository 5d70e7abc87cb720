"""What audiosim.compare gives: a dict that prints itself as the command does, goes into JSON and frames, and whose
results always say unit and direction."""

from __future__ import annotations

import copy
import json
import pickle
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from math import inf, isnan
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import soundfile

import audiosim
from audiosim import compare, metrics
from audiosim.errors import MissingExtra
from audiosim.judge.assembly import result_row
from audiosim.judge.rows import number
from audiosim.judge.summary import summarise
from audiosim.judge.tally import Tally
from audiosim.result import Result, failed
from audiosim.testing.signals import noise, speech_like
from tests.conftest import Done

RATE = 16000
REF = noise(RATE, 0.6, 1, 2)
TEST = REF + 0.1 * noise(RATE, 0.6, 2, 2)
BRIEF = REF[:, :4800]  # too short for stoi
SPECS = ["auditory", "snr", "log-mel:bands=20", "pesq", "warp-q:output=normalised", "spectral-transport:scale=log,p=2"]
# Options that give the value another unit or direction than the card's.
SCALES = {
    "auditory:form=audibility": ("dB", "lower"),
    "visqol:output=vnsim": ("NSIM", "higher"),
    "visqol-speech:output=vnsim": ("NSIM", "higher"),
    "warp-q:output=normalised": ("1", "higher"),
    "spectral-transport": ("Cam", "lower"),
    "spectral-transport:scale=hz": ("Hz", "lower"),
    "spectral-transport:scale=log,p=2": ("octave²", "lower"),
}


def files(folder: Path, **sounds: Any) -> list[str]:
    paths = [str(folder / f"{name}.wav") for name in sounds]
    for path, samples in zip(paths, sounds.values(), strict=True):
        soundfile.write(path, samples.T, RATE, "DOUBLE")
    return paths


PAIRS = {
    "a pair": (REF, TEST),
    "identical": (REF, REF),
    "a silent channel": (REF * [[1], [0]], TEST),
    "silence": (0 * REF, 0 * REF),
    "too short for most": (REF[:1, :50], TEST[:1, :50]),
    "trimmed, and beyond full scale": (3 * REF / np.abs(REF).max(), TEST[:, :-100]),
}


@pytest.mark.filterwarnings("ignore::audiosim.errors.FullScaleWarning")
@pytest.mark.parametrize("name", PAIRS)
def test_it_is_what_the_command_prints(
    name: str, tmp_path: Path, cli: Callable[..., Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    ref, test = files(tmp_path, ref=PAIRS[name][0], test=PAIRS[name][1])
    results = compare(ref, test, SPECS)
    asked = ["compare", ref, test, *(part for spec in SPECS for part in ("-m", spec))]
    table, rows = cli(*asked, "--format", "table"), cli(*asked, "--format", "json")
    shown = [line.rstrip() for line in table.out.splitlines()]
    assert [line.rstrip() for line in str(results).splitlines()] == shown
    assert repr(results) == str(results)
    assert [f"audiosim: {note}" for note in results.notes] == table.err.splitlines()
    assert results.to_dict() == json.loads(rows.out)
    assert json.loads(json.dumps(results.to_dict(), allow_nan=False)) == results.to_dict()


def test_it_stays_a_dict() -> None:
    results = compare(REF, TEST, SPECS, RATE, length="keep")
    assert isinstance(results, dict)
    assert isinstance(results, audiosim.Results)
    assert list(results) == SPECS
    plain = dict(results)
    assert type(plain) is dict
    assert results == plain == results.copy()
    assert all(isinstance(result, Result) for result in results.values())
    assert (results.rate, results.channels, results.duration_s) == (RATE, 2, REF.shape[1] / RATE)
    assert (results.reference, results.test) == ("reference", "test")
    for twin in (copy.copy(results), copy.deepcopy(results), pickle.loads(pickle.dumps(results))):
        assert type(twin) is audiosim.Results
        assert str(twin) == str(results)
        assert twin.match == results.match
        assert {spec: r.value for spec, r in twin.items()} == {spec: r.value for spec, r in results.items()}
    del results["snr"]
    assert "snr" not in str(results)
    assert "log-mel" in str(audiosim.Results(plain)), "made by hand, it says less"
    assert "gone" in str(audiosim.Results(gone=plain["snr"])), "of a metric that is not there, as a pickle may be"


class Cells(HTMLParser):
    """The rows of a table."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.rows: list[list[str]] = []
        self.open: list[str] = []
        self.attributes: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes |= {name for name, _ in attrs}
        if tag != "br":
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open[-1] in ("td", "th"):
            self.rows[-1][-1] += data


def test_a_notebook_shows_a_table_of_its_own(tmp_path: Path) -> None:
    ref, test = files(tmp_path, **{"<b>&": BRIEF, "other": np.stack([BRIEF[0], TEST[1, :4800]])})
    results = compare(ref, test, ["snr", "stoi"])
    page = results._repr_html_()
    table = Cells(page)
    assert not table.open
    assert table.attributes == {"style"}
    assert "&lt;b&gt;&amp;.wav" in page
    head, snr, stoi = table.rows
    assert head == ["metric", "value", "unit", "better", "reading", "channel 1", "channel 2", "reason"]
    assert snr[:4] == ["snr", f"{results['snr'].value:.5g}", "dB", "higher"]
    assert snr[4] == results.to_dict()["results"][0]["reading"] == "as noise at -30 to -20 dB"
    assert snr[5:7] == [f"{v:.5g}" for v in results["snr"].per_channel]
    assert stoi == ["stoi", "undefined", "", "higher", "", "", "", results["stoi"].reason]
    mono = Cells(compare(REF[:1], TEST[:1], "snr", RATE)._repr_html_())
    assert mono.rows[0] == ["metric", "value", "unit", "better", "reading"]


def _odd() -> audiosim.Results:
    """Numbers, none, and an infinite one."""
    return compare(BRIEF, BRIEF, ["log-mel", "snr:convention=plain", "stoi"], RATE)


def test_plain_data_knows_which_infinity_it_was() -> None:
    ok, infinite, undefined = _odd().to_dict()["results"]
    assert (ok["value"], infinite["value"], undefined["value"]) == (0, None, None)
    assert (number(infinite), undefined["status"]) == (inf, "undefined")


def test_data_frames_of_what_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand-ins for the two; both are installed in the last step."""
    results = _odd()
    given: dict[str, tuple[Any, Any]] = {}

    def stand_in(name: str) -> None:
        module = ModuleType(name)
        module.DataFrame = lambda data, **how: given.update({name: (data, how)}) or name  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, module)

    for name in ("pandas", "polars"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtra, match=r"^to_frame\(\) needs pandas or polars: pip install pandas, or [^\n]*$"):
        results.to_frame()
    stand_in("polars")
    assert results.to_frame() == "polars"
    stand_in("pandas")
    assert results.to_frame() == "pandas"
    data, how = given["pandas"]
    assert not how
    assert repr(data) == repr(given["polars"][0])
    assert list(given["polars"][1]["schema"]) == list(data)
    assert data["value"][:2] == [0, inf]
    assert isnan(data["value"][2])
    assert data["metric"] == list(results)
    assert {len(column) for column in data.values()} == {3}
    assert data["status"] == [r.status for r in results.values()]
    assert list(data)[-2:] == ["channel_1", "channel_2"]


@pytest.mark.parametrize("library", ["pandas", "polars"])
def test_data_frames(library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = pytest.importorskip(library)
    other = {"pandas": "polars", "polars": "pandas"}[library]
    monkeypatch.setitem(sys.modules, other, None)
    results = _odd()
    frame = results.to_frame()
    assert isinstance(frame, frames.DataFrame)
    columns = ["reference", "test", "metric", "value", "unit", "better", "status", "reason", "channel_1", "channel_2"]
    assert list(frame.columns) == columns
    np.testing.assert_array_equal(frame["value"].to_numpy(), [r.value for r in results.values()])
    numbers = compare(REF[:1], TEST[:1], "snr", RATE).to_frame()
    both = frames.concat([numbers, compare(REF[:1], REF[:1], "snr", RATE).to_frame()])
    assert both["reason"].to_list()[1] == audiosim.result.IDENTICAL


# Unit and direction


@pytest.mark.parametrize("spec", SCALES)
def test_options_that_change_unit_or_direction(spec: str) -> None:
    assert metrics.scale(spec) == SCALES[spec]


def _specs(name: str) -> list[str]:
    """The metric, and with each choice of its own."""
    chosen = [(o.name, c) for o in metrics.options(name).values() for c in o.choices if c != o.default]
    return [name, *(f"{name}:{option}={choice}" for option, choice in chosen if option not in ("pre", "window"))]


@pytest.mark.parametrize("name", metrics.own_names())
def test_a_result_without_a_value_says_its_unit_and_direction(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too short or silent, or because the metric breaks: in Python, and in the rows of compare and batch."""
    specs = _specs(name)
    metric = metrics.get(name)
    rate = metric.card.rate or RATE
    answers = compare(REF[:1, :1], TEST[:1, :1], specs, rate) | {}
    silent = compare(0 * REF[:, :800], 0 * REF[:, :800], specs, rate)
    monkeypatch.setattr(metric.module, "measure", lambda *_: 1 / 0)
    broken = compare(REF[:, :800], TEST[:, :800], specs, rate)
    for spec in specs:
        for result in (answers[spec], silent[spec], broken[spec], failed("unreadable", 0, metrics.scale(spec))):
            assert (result.unit, result.better) == metrics.scale(spec), (spec, result.status)
            row = result_row(spec, result)
            assert (row["unit"], row["better"]) == metrics.scale(spec)
        assert broken[spec].status in ("error", "undefined")


@pytest.mark.parametrize("name", [n for n in metrics.own_names() if metrics.get(n).card.gradient == "exact"])
def test_results_of_tensors_say_theirs(name: str) -> None:
    pytest.importorskip("torch")
    rate = metrics.get(name).card.rate or RATE
    ref = speech_like(rate, 1.0, 1)
    for spec in (name, *(s for s in SCALES if s.startswith(f"{name}:"))):
        for test in (ref + 0.01 * noise(rate, 1.0, 2), ref):
            result = compare(ref, test, spec, rate, backend="torch")[spec]
            assert (result.unit, result.better) == metrics.scale(spec)


def test_a_batch_that_begins_with_a_failure_ranks_the_right_way(tmp_path: Path, cli: Callable[..., Done]) -> None:
    """A normalised warp-q is better when higher, whatever the first row says."""
    spec = "warp-q:output=normalised"
    speech = speech_like(RATE, 3.0, 1)
    hiss = noise(RATE, 3.0, 2) * speech.std()
    for folder, amount in (("ref", 0.0), ("bad", 1.0), ("good", 0.05)):
        (tmp_path / folder).mkdir()
        files(tmp_path / folder, a=speech[:, :800], b=speech + amount * hiss)
        (tmp_path / folder / "0.wav").write_bytes(b"no sound")
    journal = tmp_path / "run.jsonl"
    cli("batch", *(tmp_path / f for f in ("ref", "bad", "good")), "-m", spec, "-o", journal, "-q")
    rows = [row for row in map(json.loads, journal.read_text().splitlines()) if "spec" in row]
    assert {row["status"] for row in rows} == {"ok", "undefined", "error"}
    assert {row["better"] for row in rows} == {"higher"}
    rows.sort(key=lambda row: row["status"] == "ok")
    value = {row["system"]: number(row) for row in rows if row["status"] == "ok"}
    assert value["good"] > value["bad"]
    assert summarise(Tally(rows)).systems[0] == "good"


def test_a_gate_names_the_unit_of_its_spec(tmp_path: Path, cli: Callable[..., Done]) -> None:
    ref, test = files(tmp_path, ref=REF, test=TEST)
    done = cli("compare", ref, test, "--require", "auditory:form=audibility<=-99")
    assert "dB, missed by" in done.err


def test_notes_tell_of_a_delay_that_nobody_removed(tmp_path: Path) -> None:
    x = speech_like(RATE, 3.0, 1, 1)
    late = np.pad(x, ((0, 0), (368, 0)))[:, : x.shape[1]]
    hint = "the test is 23 ms late; --align auto removes it"
    results = compare(x, late, ["mse"], rate=RATE)
    assert results.notes == [hint]
    assert pickle.loads(pickle.dumps(results)).notes == [hint]
    assert compare(x, x, ["mse"], rate=RATE).notes == []
    assert hint not in compare(x, late, ["mse"], rate=RATE, align="auto").notes
    gone = compare(*files(tmp_path, ref=x, test=late), ["mse"])
    for file in tmp_path.iterdir():
        file.unlink()
    assert gone.notes == []
