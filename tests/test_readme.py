"""What README.md shows is what happens: commands, their output and exit code, Python, names of metrics."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from audiosim import metrics
from audiosim.errors import ExitCode
from tests.conftest import Done
from tests.signals import COMPILED

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = {
    kind: re.findall(rf"^```{kind}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL) for kind in ("console", "python")
}

compiled = pytest.mark.skipif(not COMPILED, reason="the samples are too long for uncompiled kernels")


def lines(text: str) -> list[str]:
    """Without trailing blanks, and without the note of a first use."""
    return [line.rstrip() for line in text.strip().splitlines() if "compiling kernels" not in line]


def test_there_are_examples() -> None:
    assert len(BLOCKS["console"]) >= 3
    assert BLOCKS["python"]


@compiled
@pytest.mark.parametrize("block", BLOCKS["console"], ids=lambda block: block.splitlines()[0])
def test_commands_print_what_is_shown(block: str, cli: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AUDIOSIM_FORMAT", "table")
    monkeypatch.setenv("COLUMNS", "100")
    code = 0
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        program, *arguments = shlex.split(command)
        if program == "audiosim":
            done = cli(*arguments)
            code = done.code
            assert lines(done.err + done.out) == lines(shown)
        else:
            assert (command, shown) == ("echo $?", f"{code}\n")


@compiled
@pytest.mark.parametrize("block", BLOCKS["python"])
def test_python_runs(block: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "torch" in block:
        pytest.importorskip("torch")
    monkeypatch.chdir(ROOT)
    names: dict[str, Any] = {}
    exec(compile(block, "README.md", "exec"), names)


def test_metrics_exist() -> None:
    section = README.split("\n## Metrics")[1].split("\n## ")[0].split("\n\n")[1]
    listed = re.findall(r"`(.+?)`", section)
    tables = re.findall(r"^\| metric \|.*\n.*\n((?:\|.*\n)+)", README, re.MULTILINE)
    cells = [row.split("|")[1].strip(" `") for table in tables for row in table.splitlines()]
    assert len(listed) > 20
    assert len(cells) > 40
    for spec in [*listed, *cells]:
        metrics.parse(spec)


def test_exit_codes_are_all_told() -> None:
    told = re.findall(r"^\| (\d+) \| (.*) \|$", README, re.MULTILINE)
    assert told == [(str(int(code)), code.meaning) for code in ExitCode]


def test_the_two_commands_stand_there() -> None:
    assert "pip install . && audiosim compare samples/speech.flac samples/speech_degraded.flac\n" in README
    assert "pip install '.[test]' && pytest\n" in README


def test_files_that_are_named_exist() -> None:
    for name in re.findall(r"`((?:audiosim|tests|samples|\.ci)/[^` ]*)`", README):
        assert (ROOT / name).exists() or "my_metric" in name, name
