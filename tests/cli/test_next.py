"""The next useful command: one, that can be typed, on a terminal only."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from audiosim.cli import compare, next as following
from audiosim.cli.app import command
from audiosim.config import Settings
from audiosim.errors import Mismatch
from audiosim.judge.summary import summarise
from tests.batches import row
from tests.cli import screens

SETTINGS = Settings()


def after(*pairs: dict[str, Any], settings: Settings = SETTINGS, report: str | None = None) -> str:
    return (following.after_compare(pairs, settings, report) or "").replace("\n", " ")


def test_after_a_comparison() -> None:
    pair = screens.pair("a b.wav")
    assert after(pair) == "audiosim explain original.wav 'a b.wav' says what happened"
    better = screens.pair("c.wav")
    assert after(better, pair) == "audiosim explain original.wav 'a b.wav' says what happened to the worst"
    assert after({**pair, "rate": None}) == ""
    failed = {**pair, "gates": screens.gates()[2:]}
    assert after(failed, better).startswith("audiosim explain original.wav 'a b.wav' says")
    failed = {**pair, "gates": screens.gates(2.0)}
    said = after(failed, better, settings=replace(SETTINGS, align="auto", full_scale="int16"))
    assert said.startswith("audiosim explain snr original.wav 'a b.wav' --full-scale int16 --align auto shows where")
    same = {**pair, "verdict": screens.verdict("identical"), "diagnosis": screens.diagnosis(0)}
    assert after(same).startswith("audiosim compare original.wav 'a b.wav' --require 'verdict<=identical'")


def test_after_a_diagnosis() -> None:
    pair = screens.pair()
    flags = "audiosim compare original.wav decoded.wav --align auto --gain match compares without that"
    assert after({**pair, "diagnosis": screens.diagnosis(2)}) == flags
    said = str(following.after_diagnosis("original.wav", "decoded.wav", screens.diagnosis()))
    assert said.replace("\n", " ") == flags
    assert after({**pair, "diagnosis": screens.diagnosis(5)}) == ""  # it stands below the diagnosis
    needs = str(
        following.after_diagnosis("a.wav", "b.wav", screens.diagnosis(), {"rate": "resample", "length": "trim"})
    )
    assert needs.startswith("audiosim compare a.wav b.wav --rate resample --length trim --align auto --gain match")
    other = {**screens.diagnosis(), "findings": screens.diagnosis()["findings"][2:]}
    assert "--residual" in str(following.after_diagnosis("a.wav", "b.wav", other))
    assert "--report" in after({**pair, "diagnosis": other})
    assert after({**pair, "diagnosis": other}, report="page.html") == ""
    unknown = screens.diagnosis(0)
    said = "audiosim explain auditory a.wav b.wav\nsays where and when they differ"
    assert following.after_diagnosis("a.wav", "b.wav", unknown) == said
    same = {**unknown, "null": {**unknown["null"], "differing": 0}}
    assert following.after_diagnosis("a.wav", "b.wav", same) is None
    slight = screens.diagnosis(1)
    slight["findings"][0]["share"] = 0.001
    assert "--residual" in str(following.after_diagnosis("a.wav", "b.wav", slight))


@pytest.mark.parametrize("name", ["stdin", "-a.wav", "x" * 150 + ".wav", "new\nline.wav"])
def test_names_that_cannot_be_typed_are_not_told(name: str) -> None:
    assert after(screens.pair(name)) == "audiosim explain REF TEST says what happened"


def test_after_a_batch() -> None:
    summary = summarise([row("a", value=1.0), row("b", value=2.0)])
    assert "--from run.jsonl --report" in str(following.after_batch(summary, "run.jsonl", None))
    for journal, report in ((None, None), ("run.jsonl", "page.html")):
        assert "explain ref/b test/b" in str(following.after_batch(summary, journal, report))
    assert following.after_batch(summarise([]), None, None) is None
    assert following.after_dry_run(0, "pairs") is None


def test_every_command_that_is_told_is_understood() -> None:
    told = [
        *(after({**screens.pair(), **more}) for more in ({}, {"gates": screens.gates(2.0)})),
        after({**screens.pair(), "diagnosis": screens.diagnosis(2)}),
        str(following.after_diagnosis("a.wav", "b.wav", screens.diagnosis())),
        *(following.after_catalogue(every, 54) for every in (False, True)),
        following.after_card("log-mel:bands=64"),
        following.after_explanation("snr", "a.wav", "b.wav", replace(SETTINGS, rate="resample", level=60.0)),
        following.after_explanation("cdpam", "a.wav", "b.wav", SETTINGS, mapped=False),
        str(following.after_batch(summarise([row("a")]), None, None)),
        str(following.after_batch(summarise([row("a")]), "run.jsonl", None)),
        following.after_merge("all.jsonl"),
    ]
    tree = command()
    for sentence in told:
        words = shlex.split(sentence)
        known = {flag for param in tree.commands[words[1]].params for flag in (*param.opts, *param.secondary_opts)}
        assert words[0] == "audiosim"
        assert {word for word in words if word.startswith("-")} <= known


@pytest.mark.parametrize("looked_at", [True, False])
@pytest.mark.parametrize("quiet", [True, False])
def test_it_is_told_to_people_only(capsys, monkeypatch, looked_at: bool, quiet: bool) -> None:
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: looked_at, raising=False)
    for width, gap in ((80, " "), (30, "\n      ")):
        monkeypatch.setenv("COLUMNS", str(width))
        following.say("audiosim explain\nlists them", replace(SETTINGS, quiet=quiet))
        expected = f"next: audiosim explain{gap}lists them\n" if looked_at and not quiet else ""
        assert capsys.readouterr().err == expected


ENDINGS = {
    "compare ref.wav far.wav -m mse --format table": "explain ref.wav far.wav",
    "compare ref.wav near.wav far.wav -m mse --format table": "to the worst",
    "compare ref.wav far.wav -m mse --require mse<0 --format table": "explain mse ref.wav far.wav",
    "compare ref.wav far.wav -m mse --format json": "",
    "explain --format table": "--all lists all",
    "explain --all --format table": "explain NAME",
    "explain mse --format table": "compare REF TEST -m mse",
    "explain mse ref.wav far.wav --format table": "-m mse --report",
    "batch tests tests -m mse --include n*.wav -n": "without -n",
}


@pytest.mark.parametrize("typed", ENDINGS)
def test_every_ending_tells_once(cli, sounds, tmp_path, monkeypatch, typed: str) -> None:
    for name in ("ref.wav", "near.wav", "far.wav"):
        (tmp_path / name).symlink_to(sounds / name)
    (tmp_path / "tests").symlink_to(sounds)
    told: list[str] = []
    monkeypatch.setattr(following, "say", lambda sentence, _: told.append(sentence or ""))
    assert cli(*typed.split()).code in (0, 1)
    assert len(told) == bool(ENDINGS[typed])
    assert ENDINGS[typed] in "".join(told).replace("\n", " ")


def test_after_recordings_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, rate in (("a", 8000), ("b", 16000)):
        soundfile.write(f"{name}.wav", np.zeros(800), rate)
    for quiet, notes in ((False, ["audiosim explain a.wav b.wav\nsays what happened"]), (True, [])):
        settings = replace(SETTINGS, metric=("mse",), quiet=quiet)
        with pytest.raises(Mismatch) as refused:
            compare.run(("a.wav", ["b.wav"]), settings, with_map=False, output=None)
        assert getattr(refused.value, "__notes__", []) == notes
