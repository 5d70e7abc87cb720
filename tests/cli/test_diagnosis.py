"""`explain REF TEST`, the verdict of `compare` and its gate, and `batch --diagnose`, as commands."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile

import audiosim
from audiosim.errors import UsageError
from audiosim.judge.verdict import LEVELS
from audiosim.testing.signals import speech_like

RATE = 16000
LATE = 160


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ref.wav; same.wav, late.wav by 10 ms, quiet.wav by 6 dB, noisy.wav; gap.wav, of 50 ms; other.wav, of another rate
    and channels."""
    made = tmp_path_factory.mktemp("recordings")
    ref = speech_like(RATE, 2.0, seed=3)[0]
    noise = np.random.default_rng(1).standard_normal(ref.size)
    loudest = int(np.argmax(np.convolve(ref**2, np.ones(400), "same")))
    gap = ref.copy()
    gap[loudest - 400 : loudest + 400] = 0
    tests = {
        "ref": ref,
        "gap": gap,
        "same": ref,
        "late": np.concatenate([np.zeros(LATE), ref[:-LATE]]),
        "quiet": ref * 10 ** (-6 / 20),
        "noisy": ref + 0.3 * noise * np.std(ref),
    }
    for name, samples in tests.items():
        soundfile.write(made / f"{name}.wav", samples, RATE, subtype="FLOAT")
    soundfile.write(made / "other.wav", np.stack([ref[::2]] * 2, axis=1), RATE // 2, subtype="FLOAT")
    return made


def explained(cli, folder, test, *more):
    return json.loads(cli("explain", folder / "ref.wav", folder / test, "--json", *more).out)


def test_two_recordings_are_diagnosed(cli, folder):
    found = explained(cli, folder, "late.wav")
    (cause,) = (f for f in found["diagnosis"]["findings"] if f["cause"] == "delay")
    assert cause["unit"] == "ms"
    assert abs(cause["size"] - 1000 * LATE / RATE) < 0.05
    assert "late" in cause["sentence"]
    assert found["verdict"]["level"] in LEVELS
    (gain,) = explained(cli, folder, "quiet.wav")["diagnosis"]["findings"]
    assert (gain["cause"], round(gain["size"], 1)) == ("gain", -6.0)
    page = cli("explain", folder / "ref.wav", folder / "late.wav", "--format", "table")
    assert page.code == 0
    assert cause["sentence"] in " ".join(page.out.split())
    for form, reader in (("tsv", "excel-tab"), ("csv", "excel")):
        rows = list(
            csv.DictReader(
                io.StringIO(cli("explain", folder / "ref.wav", folder / "late.wav", "--format", form).out),
                dialect=reader,
            )
        )
        assert [row["cause"] for row in rows] == [f["cause"] for f in found["diagnosis"]["findings"]]


def test_identical_recordings_have_no_findings(cli, folder):
    found = explained(cli, folder, "same.wav")
    assert found["diagnosis"]["findings"] == []
    assert found["diagnosis"]["null"]["differing"] == 0
    assert found["verdict"]["level"] == "identical"


def test_recordings_of_other_rates_and_channels_are_diagnosed_too(cli, folder):
    done = cli("explain", folder / "ref.wav", folder / "other.wav", "--json")
    assert done.code == 0
    found = json.loads(done.out)
    assert found["diagnosis"]["null"] is None
    assert found["results"]


def test_a_name_that_is_metric_and_file_is_the_metric(cli, folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("lsd").write_bytes(Path("late.wav").read_bytes())
    done = cli("explain", "lsd", "ref.wav")
    assert done.code == 2
    assert "needs both recordings" in done.err
    assert json.loads(cli("explain", "./lsd", "ref.wav", "--json").out)["diagnosis"]["findings"]
    assert "Log-spectral" in cli("explain", "lsd").out
    for wrong, said in (("lzd", "no file of that name"), ("gone.wav", "gone.wav")):
        done = cli("explain", wrong, "ref.wav")
        assert done.code in (2, 3)
        assert said in done.err
        assert len(done.err.splitlines()) == 1
    assert "is a recording" in cli("explain", "ref.wav").err


def test_the_residual_is_written(cli, folder, tmp_path):
    target = tmp_path / "residual.wav"
    done = cli("explain", folder / "ref.wav", folder / "noisy.wav", "--residual", target, "-q")
    assert done.code == 0
    ref, test, residual = (soundfile.read(p)[0] for p in (folder / "ref.wav", folder / "noisy.wav", target))
    assert np.array_equal(residual, (test.astype(np.float32) - ref.astype(np.float32)))
    for argv, said in (
        (("explain", folder / "ref.wav", folder / "noisy.wav", "--residual", tmp_path / "x.mp3"), ".wav"),
        (("explain", "mse", folder / "ref.wav", folder / "noisy.wav", "--residual", target), "no metric"),
        (("explain", folder / "ref.wav", folder / "other.wav", "--residual", target), "differ"),
    ):
        done = cli(*argv)
        assert done.code in (2, 3)
        assert said in done.err
        assert len(done.err.splitlines()) == 1


def test_the_residual_takes_flags(cli, folder, tmp_path):
    target = tmp_path / "residual.wav"
    made = cli(
        "explain",
        folder / "ref.wav",
        folder / "other.wav",
        "--residual",
        target,
        "--rate",
        "resample",
        "--channels",
        "match",
    )
    assert made.code == 0
    assert soundfile.info(target).channels == 2
    ref, test = (soundfile.read(folder / f"{name}.wav", dtype="float32")[0] for name in ("ref", "late"))
    assert cli("explain", folder / "ref.wav", folder / "late.wav", "--residual", target, "--align", "auto").code == 0
    residual, _ = soundfile.read(target)
    assert np.max(np.abs(residual)) < 1e-6 < np.max(np.abs(test - ref))


def test_what_compare_refuses_is_said(cli, folder):
    done = cli("explain", folder / "ref.wav", folder / "other.wav", "--json")
    assert "without --rate resample --channels match compare refuses these two" in done.err
    assert "refuses" not in cli("explain", folder / "ref.wav", folder / "late.wav", "--json").err
    flags = "--rate", "resample", "--channels", "match"
    assert "refuses" not in cli("explain", folder / "ref.wav", folder / "other.wav", "--json", *flags).err
    assert cli("compare", folder / "ref.wav", folder / "other.wav", "-m", "mse", *flags).code == 0


def test_a_gate_on_the_verdict(cli, folder):
    ref = folder / "ref.wav"
    held = cli("compare", ref, folder / "same.wav", "-m", "mse", "--require", "verdict<=equivalent")
    assert held.code == 0
    assert "gate held: verdict<=equivalent: identical" in held.err
    failed = cli("compare", ref, folder / "noisy.wav", "-m", "mse", "--require", "verdict<audible", "--json")
    assert failed.code == 1
    assert "gate failed: verdict<audible: " in failed.err
    row = json.loads(failed.out)
    assert row["verdict"]["level"] in ("audible", "different")
    assert [r["spec"] for r in row["results"]] == ["mse"]
    assert row["gates"][0]["passed"] is False
    for gate in ("verdict>inaudible", "verdict<=fine", "verdict>=audible"):
        done = cli("compare", ref, folder / "same.wav", "--require", gate)
        assert done.code == 2
        assert "unrelated" in done.err
    for gate in ("worst(verdict)<=audible", "min_channel(verdict)<=audible"):
        done = cli("batch", folder, folder, "--require", gate)
        assert (done.code, "gate it as it is" in done.err) == (2, True)


def test_the_verdict_comes_only_where_it_is_asked_for(cli, folder, monkeypatch):
    ref, test = folder / "ref.wav", folder / "late.wav"
    assert json.loads(cli("compare", ref, test, "-m", "mse", "--json", "--verdict").out)["verdict"]["level"]

    def never(*_):
        raise AssertionError("nobody asked")

    monkeypatch.setattr("audiosim.diagnosis.diagnose", never)
    for argv in (("-m", "mse", "--json"), ("--json",), ("--format", "tsv"), ("--no-verdict", "--format", "table")):
        assert cli("compare", ref, test, *argv).code == 0


@pytest.mark.parametrize("form", ["tsv", "csv", "value", "markdown"])
def test_a_verdict_that_is_asked_for_is_said_in_every_form(cli, folder, form):
    ref, tests = folder / "ref.wav", [folder / "late.wav", folder / "noisy.wav"]
    for several in (tests[:1], tests):
        done = cli("compare", ref, *several, "-m", "mse", "--verdict", "--format", form)
        assert done.code == 0
        assert " late" in (done.out if form == "markdown" else done.err)
        for test in several:
            row = json.loads(cli("compare", ref, test, "-m", "mse", "--verdict", "--json").out)
            said = [row["verdict"]["sentence"], *(f["sentence"] for f in row["diagnosis"]["findings"])]
            assert all(sentence in (done.out if form == "markdown" else done.err) for sentence in said)
    quiet = cli("compare", ref, *tests, "-m", "mse", "--verdict", "--format", form, "-q")
    assert quiet.err == ""


def pairs_of(folder, tmp_path, *sources):
    """Folders of references and tests, which are such files of the folder."""
    refs, tests = tmp_path / "refs", tmp_path / "tests"
    refs.mkdir()
    tests.mkdir()
    for name, source in zip("abcdef", sources, strict=False):
        (refs / f"{name}.wav").write_bytes((folder / "ref.wav").read_bytes())
        (tests / f"{name}.wav").write_bytes((folder / f"{source}.wav").read_bytes())
    return refs, tests


def test_a_batch_gates_verdicts(cli, folder, tmp_path):
    refs, tests = pairs_of(folder, tmp_path, "same", "noisy", "other")
    journal, junit = tmp_path / "run.jsonl", tmp_path / "run.xml"
    argv = "batch", refs, tests, "-m", "snr", "-m", "mse", "-o", journal, "-j", 1
    gated = (*argv, "--require", "verdict<=inaudible", "--export", junit)
    done = cli(*gated, "--format", "table")
    assert done.code == 3  # of the pair that cannot be compared, which has no verdict
    assert "b.wav: gate failed: verdict<=inaudible: different" in done.err
    assert "1 of 3 pairs: bit-identical" in done.out
    assert "1 of 3 pairs: plainly different" in done.out
    written = journal.read_text()
    rows = [json.loads(line) for line in written.splitlines()[1:]]
    assert {r["id"]: r["verdict"]["level"] for r in rows if "verdict" in r} == {
        "a.wav": "identical",
        "b.wav": "different",
    }
    assert {(r["id"], r["spec"]): [g["passed"] for g in r["gates"]] for r in rows} == {
        **{(f"{name}.wav", "mse"): [] for name in "abc"},
        ("a.wav", "snr"): [True],
        ("b.wav", "snr"): [False],
        ("c.wav", "snr"): [False],
    }
    cases = {(c.get("classname"), c.get("name")): c for c in ElementTree.parse(junit).iter("testcase")}
    assert len(cases) == 9
    assert cases["b.wav", "verdict<=inaudible"].find("failure").get("message") == "different"
    assert "verdict=plainly different" in cases["b.wav", "verdict<=inaudible"].findtext("system-out")
    assert cases["c.wav", "verdict<=inaudible"].find("error") is not None
    assert cases["a.wav", "snr"].find("failure") is None

    # Nothing is computed again, whatever level is asked for; without the gate rows are as they ever were.
    again = cli(*argv, "--require", "verdict<identical", "--format", "json")
    assert "2 of 3 pairs are in" in again.err
    assert json.loads(again.out)["summary"]["verdicts"] == [["identical", 1], ["different", 1]]
    assert sum(not g["passed"] for r in json.loads(again.out)["rows"] for g in r["gates"]) == 3
    table = list(csv.DictReader(io.StringIO(cli("batch", "--from", journal, "--format", "csv").out)))
    assert sorted(row["verdict"] for row in table if row["spec"] == "snr") == ["", "different", "identical"]
    judged = cli("batch", "--from", journal, "--require", "verdict<=audible", "--format", "jsonl")
    assert sum(not g["passed"] for line in judged.out.splitlines() for g in json.loads(line)["gates"]) == 2
    plain = [json.loads(line) for line in cli(*argv, "--format", "jsonl").out.splitlines()]
    assert not any("verdict" in row for row in plain)
    lacking = cli("batch", "--from", journal, "--require", "verdict<=audible", "--format", "jsonl")
    assert "undefined: it was not asked for" in lacking.err


def test_a_gate_of_one_pair_on_its_verdict(cli, folder, tmp_path):
    table = tmp_path / "pairs.csv"
    ref = folder / "ref.wav"
    table.write_text(
        f"reference,test,require\n{ref},{folder / 'same.wav'},verdict<=identical\n{ref},{folder / 'late.wav'},\n"
    )
    done = cli("batch", "--manifest", table, "-m", "mse", "--format", "jsonl", "-j", 1)
    assert done.code == 0
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [bool(row["gates"]) for row in rows] == ["verdict" in row for row in rows]
    assert sum("verdict" in row for row in rows) == 1


def test_junit_of_a_pair_has_its_verdict(cli, folder):
    done = cli(
        *("compare", folder / "ref.wav", folder / "late.wav", "-m", "mse", "-m", "auditory"),
        *("--require", "verdict<=equivalent", "--format", "junit"),
    )
    assert done.code == 1
    cases = {c.get("name"): c for c in ElementTree.fromstring(done.out).iter("testcase")}
    assert list(cases) == ["mse", "verdict<=equivalent", "auditory"]
    said = cases["auditory"].findtext("system-out")
    assert "reading=" in said
    assert "cause=the test is 10" in said


def test_a_batch_counts_causes(cli, folder, tmp_path):
    refs, tests = pairs_of(folder, tmp_path, "late", "late", "same", "gap")
    journal = tmp_path / "run.jsonl"
    argv = "batch", refs, tests, "-m", "mse", "-o", journal
    plain = cli(*argv, "-q", "--format", "jsonl")
    assert all("causes" not in json.loads(line) for line in plain.out.splitlines())
    page = cli(*argv, "--diagnose", "--format", "table")
    assert page.code == 0
    assert "2 of 4 pairs: the test is 10" in page.out
    assert "1 of 4 pairs: a dropout of " in page.out
    rows = [json.loads(line) for line in journal.read_text().splitlines()[1:]]
    causes = [[c["cause"] for c in row["causes"]] for row in sorted(rows, key=lambda r: r["id"])]
    assert causes == [["delay"], ["delay"], [], ["dropout"]]
    summary = json.loads(cli("batch", "--from", journal, "--format", "json").out)["summary"]
    assert summary["causes"][0]["pairs"] == 2
    table = list(csv.DictReader(io.StringIO(cli("batch", "--from", journal, "--format", "csv").out)))
    assert sum("late" in row["causes"] for row in table) == 2


def test_python_gives_both_when_asked(folder):
    found = audiosim.compare(folder / "ref.wav", folder / "late.wav", "mse")
    assert found.to_dict()["verdict"] is None
    assert found.diagnosis.causes == ("delay",)
    assert found.verdict.level in LEVELS
    assert found.to_dict()["verdict"]["level"] == found.verdict.level
    ref = speech_like(RATE, 1.0, seed=3)
    same = audiosim.compare(ref, ref, "mse", rate=RATE)
    assert (same.verdict.level, same.diagnosis.null.differing) == ("identical", 0)
    with pytest.raises(UsageError, match="copying"):
        _ = type(same)(same).verdict
