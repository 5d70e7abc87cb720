"""Levels beyond full scale and delays that are not found: `compare`, `batch` and `explain` say so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from audiosim.testing.signals import noise, speech_like
from tests.conftest import Done

Cli = Callable[..., Done]
RATE = 16000
X = speech_like(RATE, 1.0, 1, 2)
INT16 = np.rint(X * 32767)


def _peaking(amplitude: float) -> Any:
    return X * (amplitude / np.abs(X).max())


def _files(folder: Path, **sounds: Any) -> None:
    folder.mkdir()
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}.wav", samples.T, RATE, "FLOAT")


def test_the_command_line(tmp_path: Path, cli: Cli) -> None:
    _files(tmp_path / "x", plain=X, loud=INT16, hot=_peaking(1.5))
    plain, loud, hot = (str(tmp_path / "x" / f"{n}.wav") for n in ("plain", "loud", "hot"))

    def run(*argv: str) -> tuple[int, str, str]:
        done = cli(*argv)
        return done.code, done.out, done.err

    code, out, err = run("compare", loud, loud, "-m", "snr", "--format", "json")
    assert code == 0
    assert "dBFS" in err
    assert json.loads(out)["match"]["full_scale"]["policy"] == "keep"
    assert run("compare", loud, plain, "-m", "snr", "--full-scale", "error")[0] == 3
    code, out, err = run("compare", loud, plain, "-m", "mse", "--full-scale", "int16", "--format", "value")
    assert code == 0
    assert float(out) < 1e-9
    assert "divided the reference by 32768" in err
    said = run("compare", hot, plain, hot, plain, "-m", "mse")[2]
    assert said.count("the reference peaks") == 2  # once for plain.wav, and with hot.wav
    assert "--full-scale int16" in run("explain", "mse", plain, loud)[2]
    assert run("compare", loud, plain, "-m", "mse", "--full-scale", "int8")[0] == 2
    assert run("compare", loud, plain, "-m", "mse", "--align", "auto:x")[0] == 2


def test_batches(tmp_path: Path, cli: Cli) -> None:
    _files(tmp_path / "a", one=X, two=X, three=X)
    _files(tmp_path / "b", one=X, two=INT16, three=_peaking(1.5))
    folders = [str(tmp_path / "a"), str(tmp_path / "b")]
    journal = str(tmp_path / "run.jsonl")
    done = cli("batch", *folders, "-m", "mse", "-o", journal, "--jobs", "1")
    assert done.code == 0
    err = done.err
    assert "two.wav: the test peaks at" in err
    assert "1 of 3 pairs: peaks above +6 dBFS" in err
    assert "1 of 3 pairs: peaks above full scale" in err
    rows = [json.loads(line) for line in Path(journal).read_text().splitlines()[1:]]
    assert {r["id"]: "full_scale" in r["match"] for r in rows} == {"one.wav": False, "two.wav": True, "three.wav": True}
    assert "1 of 3 pairs: peaks above +6 dBFS" in cli("batch", "--from", journal, "--format", "markdown").out
    assert cli("batch", *folders, "-m", "mse", "--full-scale", "error", "--format", "tsv").code == 3


def test_recordings_with_nothing_in_common_are_not_shifted(tmp_path: Path, cli: Cli) -> None:
    _files(tmp_path / "a", one=X, two=X)
    _files(tmp_path / "b", one=X, two=noise(RATE, 1.0, 5, 2))
    pair = [str(tmp_path / folder / "two.wav") for folder in "ab"]
    plain = float(cli("compare", *pair, "-m", "mse", "--format", "value").out)
    aligned = cli("compare", *pair, "-m", "mse", "--format", "value", "--align", "auto")
    assert float(aligned.out) == plain
    assert "did not align: nothing in common sticks out within 1 s" in aligned.err
    done = cli("batch", str(tmp_path / "a"), str(tmp_path / "b"), "-m", "mse", "--align", "auto:0.5", "--format", "tsv")
    assert done.code == 0
    assert "two.wav: did not align" in done.err
    assert "1 of 2 pairs: not aligned" in done.err
