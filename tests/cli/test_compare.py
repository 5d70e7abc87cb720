"""`audiosim compare` from files to formats, gates and exit codes."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path
from typing import get_args
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

from audiosim import compare, load, metrics
from audiosim.cli.formats import BY_SUFFIX
from audiosim.config import Format
from audiosim.presets import PRESETS
from audiosim.testing.signals import noise, speech_like
from tests.cli.conftest import RATE


def strict(text):
    def refuse(token):
        raise AssertionError(f"{token} is not JSON")

    return json.loads(text, parse_constant=refuse)


def table(out):
    lines = [line.split("\t") for line in out.splitlines()]
    return [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


def test_the_panel_is_a_row_a_metric_in_full_precision(cli, sounds):
    done = cli("compare", sounds / "ref.wav", sounds / "near.wav")
    assert done.code == 0
    expected = compare(load(sounds / "ref.wav"), load(sounds / "near.wav"))
    rows = table(done.out)
    assert [r["spec"] for r in rows] == list(expected)
    assert [float(r["value"]) for r in rows] == [r.value for r in expected.values()]
    assert {r["status"] for r in rows} == {"ok"}


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_answers_for_stereo_at_48_khz(cli, tmp_path, preset):
    x = speech_like(48000, 1.5, seed=1, channels=2)
    for name, samples in (("ref.wav", x), ("test.wav", x + 0.01 * noise(48000, 1.5, seed=2, channels=2))):
        soundfile.write(tmp_path / name, samples.T, 48000, subtype="FLOAT")
    done = cli("compare", tmp_path / "ref.wav", tmp_path / "test.wav", "--preset", preset)
    assert done.code == 0
    rows = table(done.out)
    assert [row["spec"] for row in rows] == list(PRESETS[preset])
    assert {row["status"] for row in rows} == {"ok"}


def test_a_preset_of_the_configuration(cli, sounds, tmp_path):
    (tmp_path / "audiosim.toml").write_text('[presets]\nours = ["mse", "mae"]\nnull = ["snr"]\n')
    pair = sounds / "ref.wav", sounds / "near.wav"
    assert [r["spec"] for r in table(cli("compare", *pair, "--preset", "ours").out)] == ["mse", "mae"]
    assert [r["spec"] for r in table(cli("compare", *pair, "--preset", "null").out)] == ["snr"]
    assert "rmse" not in cli("compare", *pair, "--preset", "ours", "-m", "snr").out
    done = cli("compare", *pair, "--preset", "our")
    assert (done.code, "did you mean 'ours'?" in done.err) == (2, True)


def test_losses_of_the_preset_can_be_trained_on():
    for spec in PRESETS["loss"]:
        assert metrics.get(metrics.parse(spec).name).card.gradient == "exact"


@pytest.mark.parametrize("argv", [("compare",), ("explain", "mse")])
def test_json_has_a_flag_of_its_own(cli, sounds, argv):
    (command, *name), pair = argv, (sounds / "ref.wav", sounds / "near.wav")
    extra = ["-m", "mse"] if command == "compare" else []
    made = [cli(command, *name, *pair, *extra, *form) for form in (["--json"], ["--format", "json", "--json"])]
    strict(made[0].out)
    assert made[0] == made[1] == cli(command, *name, *pair, *extra, "--format", "json")


MISMATCHES = {  # the test's rate, channels and length, of a reference of 48000 Hz, 2 channels and 1 s; what mends it
    "8000 1 0.5": "--rate resample --channels match --length trim",
    "16000 2 0.5": "--rate resample --length trim",
    "44100 6 1": "--rate resample --channels mono",
    "48000 6 0.5": "--channels mono --length trim",
    "96000 1 1": "--rate resample --channels match",
}


@pytest.mark.parametrize("name", ["test.wav", "it's a test.wav"])
@pytest.mark.parametrize(("form", "flags"), MISMATCHES.items())
def test_all_that_differs_is_told_at_once_with_a_command_that_works(cli, tmp_path, monkeypatch, form, flags, name):
    monkeypatch.chdir(tmp_path)
    rate, channels, seconds = (float(word) for word in form.split())
    soundfile.write("ref.wav", noise(48000, 1, seed=1, channels=2).T, 48000)
    soundfile.write(name, noise(int(rate), seconds, seed=1, channels=int(channels)).T, int(rate))
    argv = "compare", "ref.wav", name, "-m", "mse"
    for more in ((), ("--length", "keep") if "trim" in flags else ()):
        refused = cli(*argv, *more)
        assert (refused.code, refused.out, refused.err.count("\n")) == (3, "", 1)
        told, _, command = refused.err.strip().partition(": audiosim compare ")
        assert told.endswith(f"use {flags}")
        assert ("Hz" in told, "channel" in told) == ("rate" in flags, "channels" in flags)
        assert cli("compare", *shlex.split(command)).code == 0


def test_a_long_command_is_not_repeated(cli, sounds):
    names = [sounds / "ref.wav", *[sounds / "fast.wav"] * 2]
    done = cli("compare", *names, "-m", "mse")
    assert (done.code, "audiosim compare" in done.err) == (3, False)
    (long := sounds / ("l" * 200 + ".wav")).write_bytes((sounds / "fast.wav").read_bytes())
    done = cli("compare", sounds / "ref.wav", long, "-m", "mse")
    assert done.err.strip().partition("use ")[2].startswith("--rate resample --length trim, or --align find")


def test_several_tests_that_differ_are_mended_by_one_set_of_flags(cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    soundfile.write("ref.wav", noise(48000, 1, seed=1, channels=2).T, 48000)
    soundfile.write("mono.wav", noise(48000, 1, seed=1).T, 48000)
    soundfile.write("six.wav", noise(16000, 0.5, seed=1, channels=6).T, 16000)
    argv = "compare", "ref.wav", "mono.wav", "six.wav", "-m", "mse"
    done = cli(*argv)
    _, _, flags = done.err.strip().splitlines()[-1].partition("to compare all of these, use ")
    assert flags == "--rate resample --channels mono --length trim"
    assert cli(*argv, *flags.split()).code == 0


def test_json_is_the_documented_object(cli, sounds):
    done = cli("compare", sounds / "ref.wav", sounds / "near.wav", "-m", "si-sdr", "-m", "mse", "--format", "json")
    found = strict(done.out)
    assert list(found) == [
        "schema",
        "audiosim",
        "reference",
        "test",
        "rate",
        "channels",
        "duration_s",
        "match",
        "verdict",
        "diagnosis",
        "contradictions",
        "results",
        "gates",
    ]
    assert found["verdict"] is found["diagnosis"] is None, "nobody asked for them"
    assert (found["schema"], found["rate"], found["channels"]) == (1, RATE, 1)
    assert found["test"] == str(sounds / "near.wav")
    keys = "metric spec options value per_channel details unit better status reason per_band bands per_time times"
    for result in found["results"]:
        assert set(keys.split()) <= set(result)
        assert result["per_band"] is result["per_time"] is result["map"] is None
    assert [r["metric"] for r in found["results"]] == ["si-sdr", "mse"]
    assert found["results"][1]["options"]["weighting"] == "none"


def test_breakdowns_come_only_when_asked_for(cli, sounds):
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "--format", "json"
    bins = strict(cli(*argv, "--bins").out)["results"][0]
    assert len(bins["per_band"]) == len(bins["bands"]) > 40
    bands = strict(cli(*argv, "--bands").out)["results"][0]
    assert len(bands["per_band"]) == len(bands["bands"]) == len(bands["edges"]) - 1
    assert bands["per_time"] is bands["map"] is None
    times = strict(cli(*argv, "--times").out)["results"][0]
    assert len(times["per_time"]) == len(times["times"])
    assert times["per_band"] is None
    whole = strict(cli(*argv, "--map").out)["results"][0]
    assert np.shape(whole["map"]) == (len(whole["times"]), len(whole["bands"]))


def test_jsonl_csv_tsv_and_value_say_the_same(cli, sounds):
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-m", "si-sdr", "--times", "--format"
    lines = [strict(line) for line in cli(*argv, "jsonl").out.splitlines()]
    comma = list(csv.DictReader(io.StringIO(cli(*argv, "csv").out)))
    tabbed = table(cli(*argv, "tsv").out)
    numbers = cli(*argv[:-2], "--format", "value").out.split()
    assert [r["value"] for r in lines] == [float(r["value"]) for r in comma] == list(map(float, numbers))
    assert [r["times"] for r in comma] == [r["times"] for r in tabbed]
    assert [float(x) for x in tabbed[0]["times"].split()] == lines[0]["times"]
    assert lines[0]["test"] == tabbed[0]["test"] == comma[0]["test"]


def test_what_is_no_number_is_null_in_json_and_nan_or_inf_elsewhere(cli, sounds):
    same = "compare", sounds / "ref.wav", sounds / "ref.wav", "-m", "sdr", "--format"
    done = cli(*same, "json")
    result = strict(done.out)["results"][0]
    assert done.code == 0
    assert (result["value"], result["status"]) == (None, "infinite")
    assert "+inf" in result["reason"]
    assert cli(*same, "value").out == "inf\n"
    silent = "compare", sounds / "silent.wav", sounds / "ref.wav", "-m", "si-sdr", "--bands", "--format"
    done = cli(*silent, "json")
    result = strict(done.out)["results"][0]
    assert done.code == 0
    assert (result["value"], result["status"]) == (None, "undefined")
    assert result["reason"]
    assert cli(*silent[:-2], "--format", "value").out == "nan\n"


def test_several_tests_are_ranked_by_the_first_metric(cli, sounds):
    tests = [sounds / n for n in ("far.wav", "silent.wav", "near.wav")]
    rows = table(cli("compare", sounds / "ref.wav", *tests, "-m", "si-sdr", "-m", "mse").out)
    assert [r["test"] for r in rows if r["spec"] == "mse"] == [
        str(sounds / f"{n}.wav") for n in ("near", "far", "silent")
    ]
    found = strict(cli("compare", sounds / "ref.wav", *tests, "-m", "mse", "--format", "json").out)
    values = [pair["results"][0]["value"] for pair in found]
    assert values == sorted(values)


def test_an_unreadable_test_takes_no_other_down(cli, sounds):
    tests = [sounds / n for n in ("gone.wav", "near.wav", "broken.wav")]
    done = cli("compare", sounds / "ref.wav", *tests, "-m", "mse", "--require", "mse<1")
    assert done.code == 3
    rows = {r["test"]: r for r in table(done.out)}
    assert rows[str(sounds / "near.wav")]["status"] == "ok"
    assert rows[str(sounds / "gone.wav")]["status"] == "error"
    assert "gone.wav" in rows[str(sounds / "gone.wav")]["reason"]
    assert len([line for line in done.err.splitlines() if "error:" in line]) == 2
    pairs = strict(cli("compare", sounds / "ref.wav", *tests, "-m", "mse", "--format", "json").out)
    assert [p["results"][0]["status"] for p in pairs] == ["ok", "error", "error"]


@pytest.mark.parametrize("bad", ["gone.wav", "broken.wav", "empty.wav", ".", "short.wav", "fast.wav"])
@pytest.mark.parametrize("order", [1, -1])
def test_bad_input_is_one_line_and_3(cli, sounds, bad, order):
    done = cli("compare", *(sounds / "ref.wav", sounds / bad)[::order], "-m", "mse", "-q")
    assert done.code == 3
    assert done.out == ""
    assert done.err.startswith("audiosim: error: ")
    assert done.err.count("\n") == 1


def test_a_metric_that_breaks_is_4_and_the_others_go_on(cli, sounds, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("off by one")

    monkeypatch.setattr(metrics.get("mse").module, "measure", broken)
    done = cli("compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-m", "si-sdr", "-q")
    assert done.code == 4
    assert [r["status"] for r in table(done.out)] == ["error", "ok"]


def test_gates_decide_the_exit_code_and_say_by_how_much(cli, sounds):
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse"
    assert cli(*argv, "--require", "si-sdr>=20").code == 0
    done = cli(*argv, "--require", "si-sdr>=100", "--require", "mse<1", "--format", "json")
    assert done.code == 1
    failed, held = strict(done.out)["gates"]
    assert (failed["require"], failed["passed"], held["passed"]) == ("si-sdr>=100", False, True)
    assert failed["missed_by"] == pytest.approx(100 - failed["value"])
    assert [r["spec"] for r in strict(done.out)["results"]] == ["mse", "si-sdr"]
    assert "gate failed: si-sdr>=100" in done.err
    assert "missed by" in done.err


def test_a_gate_on_what_is_undefined_fails_with_the_reason(cli, sounds):
    done = cli("compare", sounds / "silent.wav", sounds / "ref.wav", "--require", "si-sdr<1000", "-q")
    assert done.code == 1
    assert "undefined" in done.err


def test_a_gate_on_a_band(cli, sounds):
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "--require"
    assert cli(*argv, "mse@1000-4000<1").code == 0
    assert cli(*argv, "mse@1000-4000<1e-12").code == 1
    outside = cli(*argv, "mse@1000-9000<1")
    assert outside.code == 2
    assert "8000 Hz" in outside.err


def test_the_playback_level_reaches_the_metrics_to_which_it_matters(cli, sounds):
    asked = [word for spec in ("nmr", "nmr:level=92", "snr") for word in ("-m", spec)]
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", *asked, "--format"
    played, own = (strict(cli(*argv, "json", *level).out) for level in (("--level", "60"), ()))
    (softer, fixed, snr), (usual, same, _) = played["results"], own["results"]
    assert softer["value"] != fixed["value"] == same["value"] == usual["value"]
    assert (softer["options"]["level"], fixed["options"]["level"], "level" in snr["options"]) == (60, 92, False)
    assert played["match"]["level"] == {"value": 60.0, "metrics": ["nmr"]}
    assert cli(*argv, "json", "--level", "60", "--require", "nmr@500-4000<-200").code == 1
    assert "60 dB SPL for nmr" in cli(*argv, "tsv", "--level", "60").err
    for wrong, says in (("-1", "0 to 200 dB SPL"), ("nan", "0 to 200"), ("loud", "a number")):
        done = cli(*argv, "tsv", "--level", wrong)
        assert done.code == 2
        assert says in done.err


def test_the_audiogram_reaches_the_metrics_to_which_it_matters(cli, sounds):
    asked = [word for spec in ("haspi", "haspi:audiogram=N1", "snr") for word in ("-m", spec)]
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", *asked, "--format"
    played = strict(cli(*argv, "json", "--audiogram", "N4").out)
    assert [r["options"].get("audiogram") for r in played["results"]] == ["N4", "N1", None]
    assert played["match"]["audiogram"] == {"value": "N4", "metrics": ["haspi"]}
    assert "audiogram is N4 for haspi" in cli(*argv, "tsv", "--audiogram", "N4").err
    wrong = cli(*argv, "tsv", "--audiogram", "20/30")
    assert wrong.code == 2
    assert "such as 20/20/25/35/45/50" in wrong.err


def test_output_goes_to_the_file_at_once_or_not_at_all(cli, sounds, tmp_path):
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-o"
    done = cli(*argv, "out.json")
    assert (done.code, done.out) == (0, "")
    assert strict((tmp_path / "out.json").read_text())["schema"] == 1
    assert cli(*argv, "out.txt", "--format", "table").code == 0
    assert "mse" in (tmp_path / "out.txt").read_text()
    assert cli(*argv, "-", "--format", "value").out.strip()
    before = (tmp_path / "out.json").read_bytes()
    assert cli("compare", sounds / "ref.wav", sounds / "gone.wav", "-o", "out.json").code == 3
    assert (tmp_path / "out.json").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.json", "out.txt"]


READERS = {  # what shows that a text is of the format
    "markdown": lambda text: text.startswith("### audiosim: "),
    "junit": lambda text: ElementTree.fromstring(text).tag == "testsuites",
    "html": lambda text: text.startswith("<!doctype html>"),
    "json": lambda text: bool(strict(text)["results"]),
    "jsonl": lambda text: [strict(line)["spec"] for line in text.splitlines()] == ["mse", "snr"],
    "csv": lambda text: text.startswith("spec,value,"),
    "tsv": lambda text: text.startswith("spec\tvalue\t"),
    "value": lambda text: len([*map(float, text.split())]) == 2,
    "table": lambda text: text.startswith("reference "),
}


@pytest.mark.parametrize("form", [*get_args(Format)])
def test_every_format_of_the_help_is_made_both_ways(cli, sounds, tmp_path, form):
    if form == "parquet":
        pytest.importorskip("pyarrow")
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-m", "snr", "-q"
    suffixes = [suffix for suffix, meant in BY_SUFFIX.items() if meant == form]
    for name, given in (("by-name", form), *((f"by-suffix.{suffix}", None) for suffix in suffixes)):
        done = cli(*argv, "-o", name, *(("--format", given) if given else ()))
        assert (done.code, done.out, done.err) == (0, "", "")
        if form == "parquet":
            rows = pytest.importorskip("pyarrow.parquet").read_table(tmp_path / name).to_pylist()
            assert [r["spec"] for r in rows] == ["mse", "snr"]
        else:
            assert READERS[form]((tmp_path / name).read_text(encoding="utf-8"))
    if form != "parquet":
        assert READERS[form](cli(*argv, "--format", form).out)


def test_junit_and_markdown_say_what_failed_and_why(cli, sounds):
    argv = "compare", sounds / "ref.wav", sounds / "far.wav", sounds / "broken.wav", sounds / "ref.wav", "-m", "snr"
    done = cli(*argv, "--require", "snr>=40", "-q", "--format", "junit")
    assert done.code == 3
    suite = ElementTree.fromstring(done.out)
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    page = cli(*argv, "--require", "snr>=40", "-q", "--format", "markdown").out
    assert page.count("**failed**") == 2
    assert "<code>snr</code>: identical recordings" in page
    assert "broken.wav" in page


def test_what_a_format_cannot_hold_is_said(cli, sounds, tmp_path):
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse"
    for form in ("value", "markdown", "junit"):
        done = cli(*argv, "--bands", "--format", form)
        assert (done.code, done.out) == (2, "")
        assert f"--format {form} prints only values" in done.err
    done = cli("explain", "-o", "list.md")
    assert done.code == 2
    assert "-o list.md: markdown is not for this command; one of: table, tsv, csv, json, jsonl" in done.err
    assert not [*tmp_path.iterdir()]


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no /dev/stdout")
def test_output_to_stdout_by_name_keeps_what_is_in_its_file(process, sounds, tmp_path):
    log = tmp_path / "log"
    log.write_text("before\n")
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-q", "--format", "value", "-o"
    with log.open("ab") as out:
        running = process(*argv, "/dev/stdout", stdout=out)
        assert running.communicate(timeout=60)[1] == b""
        assert running.returncode == 0
        out.write(b"after\n")
    first, value, last = log.read_text().splitlines()
    assert (first, last) == ("before", "after")
    assert float(value) > 0


def test_output_needs_a_name(cli, sounds):
    done = cli("compare", sounds / "ref.wav", sounds / "near.wav", "-o", "")
    assert (done.code, done.err) == (2, "audiosim: error: --output needs a file name, this one is empty\n")


def test_output_may_be_a_device(cli, sounds):
    assert cli("compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-o", "/dev/null").code == 0


@pytest.mark.parametrize("name", ["with space.wav", "new\nline.wav", "tab\t.wav", "naïve-音.wav", "-dash.wav"])
def test_any_file_name_is_one_row(cli, sounds, tmp_path, name):
    (tmp_path / name).write_bytes((sounds / "near.wav").read_bytes())
    done = cli("compare", "-m", "mse", "-q", "--", sounds / "ref.wav", tmp_path / name)
    assert (done.code, done.out.count("\n")) == (0, 2)
    missing = cli("compare", sounds / "ref.wav", tmp_path / f"no{name}")
    assert (missing.code, missing.err.count("\n")) == (3, 1)
    found = strict(cli("compare", "-m", "mse", "--format", "json", "--", sounds / "ref.wav", tmp_path / name).out)
    assert found["test"] == str(tmp_path / name)
    page = cli("compare", "-m", "mse", "--format", "table", "-q", "--", sounds / "ref.wav", tmp_path / name)
    assert page.code == 0
    assert "new\n" not in page.out


def test_what_was_done_is_said_unless_quiet(cli, sounds):
    argv = "compare", sounds / "ref.wav", sounds / "fast.wav", "-m", "mse", "--rate", "resample", "--length", "trim"
    done = cli(*argv, "--format", "json")
    assert done.code == 0
    assert done.err
    assert strict(done.out)["match"]
    assert cli(*argv, "-q").err == ""


def test_seven_channels_and_other_widths_work(cli, tmp_path):
    samples = np.random.default_rng(3).uniform(-0.5, 0.5, (RATE // 10, 7))
    for subtype in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"):
        soundfile.write(tmp_path / f"{subtype}.wav", samples, 96000, subtype=subtype)
        done = cli("compare", f"{subtype}.wav", f"{subtype}.wav", "-m", "mse", "--format", "json")
        found = strict(done.out)
        assert (done.code, found["channels"], found["rate"], found["results"][0]["value"]) == (0, 7, 96000, 0.0)


def test_the_torch_backend_gives_the_same_numbers(cli, sounds):
    pytest.importorskip("torch")
    argv = "compare", sounds / "ref.wav", sounds / "far.wav", "-m", "mse", "-m", "snr", "-m", "log-mel"
    numba, torch = (
        [r["value"] for r in json.loads(cli(*argv, "--format", "json", *more).out)["results"]]
        for more in ((), ("--backend", "torch"))
    )
    assert torch == pytest.approx(numba, rel=1e-4)
    done = cli(*argv, "--backend", "torch", "--bands")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "values only" in done.err


def test_the_torch_backend_passes_no_cap_off_as_a_number(cli, sounds, tmp_path):
    pytest.importorskip("torch")
    ref = str(sounds / "ref.wav")
    found = json.loads(
        cli("compare", ref, ref, "-m", "snr:convention=plain", "--backend", "torch", "--format", "json").out
    )
    assert found["results"][0]["status"] == "infinite"


def test_verbose_says_what_is_held_in_memory(cli, sounds, monkeypatch):
    from audiosim import scratch

    monkeypatch.setattr(scratch, "LARGE", 0)
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "-v"
    held = "MB of samples are held in memory"
    assert held in cli(*argv, "--gain", "match").err
    assert (held in cli(*argv).err) == (not scratch.POSSIBLE)
