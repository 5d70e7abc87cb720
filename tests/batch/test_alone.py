"""Batches without references: for metrics that judge the test alone, and for them only."""

from __future__ import annotations

import json

import pytest

from audiosim import Signal, audio, compare
from audiosim.batch import pairing
from audiosim.errors import ExitCode, NothingToCompare
from audiosim.testing.signals import speech_like

RATE = 16000


@pytest.fixture
def folders(tmp_path):
    for folder, seeds in (("a", (1, 2)), ("b", (3, 4))):
        (tmp_path / folder / "in").mkdir(parents=True)
        for name, seed in zip(("one.wav", "in/two.wav"), seeds, strict=True):
            audio.save(tmp_path / folder / name, Signal.of(speech_like(RATE, 0.6, seed), RATE))
    (tmp_path / "a" / "notes.txt").write_text("not a recording")
    return tmp_path


def test_recordings_of_folders(folders):
    found = pairing.alone([str(folders / "a")])
    assert [(p.id, p.reference, p.system) for p in found.pairs] == [("in/two.wav", "", None), ("one.wav", "", None)]
    assert found.notes == ["passed over by their suffix: 1 .txt; --include '*.SUFFIX' takes them"]
    both = pairing.alone([str(folders / "a"), str(folders / "b")], include=["one*"])
    assert [(p.id, p.system) for p in both.pairs] == [("one.wav", "a"), ("one.wav", "b")]
    with pytest.raises(NothingToCompare, match="no recording below"):
        pairing.alone([str(folders / "a")], exclude=["*.wav"])


def test_rows_summary_and_resumption(folders, cli):
    metrics = ("-m", "srmr", "-m", "srmr:norm")
    asked = ("batch", "--no-reference", "a", "--no-reference", "b", *metrics, "-o", "run.jsonl", "-j1")
    done = cli(*asked, "--require", "mean(srmr)>=0", "--json")
    assert done.code == ExitCode.OK, done.err
    told = json.loads(done.out)
    assert [row["reference"] for row in told["rows"]] == [""] * 8
    assert {row["system"] for row in told["rows"]} == {"a", "b"}
    assert all(row["reason"] is None and row["match"] == {} for row in told["rows"])
    assert "silent" not in done.err
    assert not told["summary"]["faulty"]
    first = told["rows"][0]
    x = audio.load(first["test"])
    assert first["value"] == compare(x, x, "srmr")["srmr"].value
    assert set(first["details"]) == {"test"}
    again = cli(*asked)
    assert "4 of 4 recordings are in run.jsonl already" in again.err
    table = cli("batch", "--from", "run.jsonl", "--format", "table")
    assert "ranked by srmr" in table.out


def test_a_report_says_that_there_is_no_reference(folders, cli):
    done = cli("batch", "--no-reference", "a", "-m", "srmr", "-j1", "--report", "r.html", "-o", "run.jsonl", "-q")
    assert done.code == ExitCode.OK, done.err
    page = (folders / "r.html").read_text()
    assert "1 pair" not in page
    assert ">Pairs<" not in page
    assert ">Recordings<" in page
    assert "silent" not in page.partition("<script")[0]
    assert page.count("Spectrogram of the test") == page.count('class="audio-A"></script>') == 2
    for words in ("Spectrogram of the reference", "Difference of the spectrograms", "reference and test", "distance"):
        assert words not in page.partition("</style>")[2].rpartition("<script>")[0], words


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-m", "si-sdr"], "si-sdr needs a reference; with --no-reference ask for -m dnsmos"),
        ([], "auditory needs a reference"),
        (["-m", "plcmos:drop"], "plcmos:drop needs a reference"),
        (["-m", "srmr", "--require", "verdict<=inaudible"], "verdict needs a reference"),
        (["-m", "srmr", "--require", "snr>=3"], "snr needs a reference"),
        (["-m", "srmr", "--diagnose"], "--diagnose says what happened on the way from a reference"),
        (["-m", "srmr", "--stems"], "--no-reference takes the place of folders"),
        (["a", "-m", "srmr"], "--no-reference takes the place of folders"),
    ],
)
def test_what_needs_a_reference_is_one_line(folders, cli, words, said):
    done = cli("batch", "--no-reference", "a", "-q", *words)
    assert done.code == ExitCode.USAGE
    assert said in done.err
    assert done.err.count("\n") == 1


def test_pairs_can_be_listed(folders, cli):
    done = cli("batch", "--no-reference", "a", "-n")
    assert done.out.splitlines() == [
        "id\tsystem\treference\ttest",
        "in/two.wav\t\t\ta/in/two.wav",
        "one.wav\t\t\ta/one.wav",
    ]
