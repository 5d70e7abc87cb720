"""Broken channels on the command line: gates on channels, and faults that are named whatever the metrics are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import soundfile

from audiosim.batch.journal import read
from audiosim.testing.signals import noise

RATE = 16000
X = noise(RATE, 0.25, seed=1, channels=2)
HISS = noise(RATE, 0.25, seed=2, channels=2)
CLICK = X.copy()
CLICK[1, 500] += 0.5
TESTS = {
    "good": X + 1e-5 * HISS,
    "dead": X * [[1], [0]],
    "inverted": X * [[1], [-1]],
    "exchanged": X[::-1],
    "clicking": CLICK,
}
NAMED = {
    "dead": "channel 2 (right) of the test is dead (silent), that of the reference is not",
    "inverted": "channel 2 (right) of the test is inverted (correlation -1.000)",
    "exchanged": "channels 1 and 2 of the test are exchanged",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """ref/ and test/ with a pair for each fault."""
    made = tmp_path_factory.mktemp("channels")
    for side in ("ref", "test"):
        (made / side).mkdir()
        for name, samples in TESTS.items():
            soundfile.write(made / side / f"{name}.wav", (X if side == "ref" else samples).T, RATE, subtype="FLOAT")
    return made


def pair(folder: Path, name: str) -> tuple[Path, Path]:
    return folder / "ref" / f"{name}.wav", folder / "test" / f"{name}.wav"


@pytest.mark.parametrize("name", TESTS)
def test_a_gate_on_channels_sees_the_broken_one(cli, folder, name):
    done = cli("compare", *pair(folder, name), "-m", "mse", "--require", "min_channel(snr)>=60", "--format", "json")
    row = json.loads(done.out)
    snr = next(r for r in row["results"] if r["spec"] == "snr")
    assert row["gates"][0]["value"] == min(snr["per_channel"])
    assert done.code == (0 if name == "good" else 1)
    if name != "good":
        assert f"in channel {snr['per_channel'].index(min(snr['per_channel'])) + 1}, missed by" in done.err


@pytest.mark.parametrize("name", TESTS)
def test_faults_are_named_whatever_the_metric_is(cli, folder, name):
    notes = [f"audiosim: {NAMED[name]}"] if name in NAMED else []
    done = cli("compare", *pair(folder, name), "-m", "mr-stft", "--format", "json")
    assert done.code == 0
    assert done.err.splitlines() == notes
    assert [f["fault"] for f in json.loads(done.out)["match"].get("channel_faults", [])] == [name] * len(notes)
    explained = cli("explain", "log-mel", *pair(folder, name), "--format", "json")
    assert explained.err.splitlines() == notes
    assert json.loads(explained.out)["match"] == json.loads(done.out)["match"]


def test_a_batch_names_and_counts_them(cli, folder, tmp_path):
    done = cli(
        *("batch", folder / "ref", folder / "test", "-m", "mr-stft", "-o", "run.jsonl", "--format", "json"),
        *("--report", "page.html", "--export", "page.md"),
    )
    assert done.code == 0
    for name, sentence in NAMED.items():
        assert f"audiosim: {name}.wav: {sentence}" in done.err.splitlines()
    found = json.loads(done.out)
    assert found["summary"]["channel_faults"] == {"pairs": 3, "dead": 1, "exchanged": 1, "inverted": 1}
    assert {r["id"] for r in found["rows"] if "channel_faults" in r["match"]} == {f"{name}.wav" for name in NAMED}
    count = "3 of 5 pairs have a faulty channel: 1 dead, 1 exchanged, 1 inverted"
    assert count in (tmp_path / "page.md").read_text()
    assert count in cli("batch", "--from", "run.jsonl", "--format", "table").out
    page = (tmp_path / "page.html").read_text()
    assert all(sentence[1:] in page for sentence in NAMED.values())


def test_a_batch_gates_channels_too(cli, folder, tmp_path):
    argv = "batch", folder / "ref", folder / "test", "-m", "snr", "-o", "run.jsonl", "--format", "json"
    done = cli(*argv, "--require", "worst(min_channel(snr))>=60", "--require", "min_channel(snr)>=60")
    worst = {r["id"]: min(r["per_channel"]) for r in read(tmp_path / "run.jsonl")}
    (over_all,) = json.loads(done.out)["verdicts"]
    assert done.code == 1
    assert over_all["value"] == min(worst.values())
    rows = json.loads(done.out)["rows"]
    assert [r["gates"][0]["passed"] for r in rows] == [r["id"] == "good.wav" for r in rows]
    again = cli("batch", "--from", "run.jsonl", "--format", "json", "--require", "max_channel(snr)>=60")
    assert {r["id"] for r in json.loads(again.out)["rows"] if not r["gates"][0]["passed"]} == {"exchanged.wav"}


def test_a_manifest_gates_channels_too(cli, folder, tmp_path):
    lines = [f"{','.join(map(str, pair(folder, name)))},min_channel(snr)>=60" for name in ("good", "inverted")]
    (tmp_path / "pairs.csv").write_text("\n".join(["reference,test,require", *lines]))
    done = cli("batch", "--manifest", "pairs.csv", "-m", "mse", "--format", "jsonl")
    assert done.code == 1
    verdicts = [g["passed"] for line in done.out.splitlines() for g in json.loads(line)["gates"]]
    assert verdicts == [True, False]


def test_infinite_channels_survive_the_journal(cli, folder, tmp_path):
    """JSON knows no infinity."""
    done = cli("batch", folder / "ref", folder / "test", "-m", "sdr", "-o", "run.jsonl", "--format", "json")
    assert done.code == 0
    again = cli("batch", "--from", "run.jsonl", "--format", "json", "--require", "min_channel(sdr)>=100")
    held = {r["id"]: r["gates"][0]["passed"] for r in json.loads(again.out)["rows"]}
    assert held["inverted.wav"]  # a filter may invert; its note tells
    assert not held["dead.wav"]
    assert not held["clicking.wav"]
