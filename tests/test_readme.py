"""What the documents show is what happens: commands with output and exit codes, Python, names of metrics and files."""

from __future__ import annotations

import re
import runpy
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from audiosim import metrics
from audiosim.errors import ExitCode
from audiosim.testing.signals import COMPILED
from tests.conftest import Done

ROOT = Path(__file__).parents[1]
DOCUMENTS = ("README.md", "CONTRIBUTING.md", "docs/metrics.md", "docs/training.md", "samples/README.md")
DOCUMENTS += ("tests/benchmarks/README.md", "docs/recipes/README.md")
TEXTS = {name: (ROOT / name).read_text(encoding="utf-8") for name in DOCUMENTS}
README = TEXTS["README.md"]
# A code span that looks like this is a metric only if it stands below one of these headings of a table.
SPEC_COLUMNS = ("metric", "distance", "loss", "trained by")

compiled = pytest.mark.skipif(not COMPILED, reason="the samples are too long for uncompiled kernels")


def blocks(kind: str) -> list[object]:
    """The fenced blocks of this kind in all documents."""
    return [
        pytest.param(block, id=f"{name}-{block.splitlines()[0][:60]}")
        for name, text in TEXTS.items()
        for block in re.findall(rf"^```{kind}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    ]


def lines(text: str) -> list[str]:
    """Without trailing blanks, and without the note of a first use."""
    return [line.rstrip() for line in text.strip().splitlines() if "compiling kernels" not in line]


def test_the_readme_is_short_and_has_examples() -> None:
    assert len(README.splitlines()) <= 160
    assert len(re.findall(r"^```console$", README, re.MULTILINE)) >= 3
    assert len(re.findall(r"^```python$", README, re.MULTILINE)) >= 2


@compiled
@pytest.mark.parametrize("block", blocks("console"))
def test_commands_print_what_is_shown(block: str, cli: Callable[..., Done], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("AUDIOSIM_FORMAT", "table")
    monkeypatch.setenv("COLUMNS", "100")
    code = 0
    for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        program, *arguments = shlex.split(command)
        if program == "audiosim":
            # As on a terminal, where compare without -m gives a verdict.
            monkeypatch.setenv("AUDIOSIM_VERDICT", str(arguments[0] == "compare" and "-m" not in arguments))
            done = cli(*arguments)
            code = done.code
            assert lines(done.err + done.out) == lines(shown)
        else:
            assert (command, shown) == ("echo $?", f"{code}\n")


@compiled
@pytest.mark.parametrize("block", blocks("python"))
def test_python_runs(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for needed in ("torch", "torchmetrics"):
        if needed in block:
            pytest.importorskip(needed)
    monkeypatch.chdir(ROOT)
    file = tmp_path / "shown.py"  # a file, because a metric's formula is read from its source
    file.write_text(block, encoding="utf-8")
    runpy.run_path(str(file))


@pytest.mark.parametrize("block", blocks("py"))
def test_python_that_stands_for_your_own_compiles(block: str) -> None:
    compile(block, "shown", "exec")


def test_metrics_exist() -> None:
    specs = [spec for text in TEXTS.values() for spec in shown_specs(text)]
    assert len(specs) > 200
    for spec in specs:
        for term in spec.split(" + "):
            metrics.parse(term.rpartition("*")[2])


def shown_specs(text: str) -> list[str]:
    """Metrics with options in code spans, and those in tables."""
    found = [
        s
        for s in re.findall(r"`([a-z-]+:[a-z_]+=[^`]*)`", text)
        if "PATH" not in s and s != "name:option=value,option=value"
    ]
    for head, rows in re.findall(r"^(\|.*)\n\|[-| ]+\n((?:\|.*\n)+)", text, re.MULTILINE):
        names = [cell.strip() for cell in head.split("|")]
        for column in (i for i, name in enumerate(names) if name in SPEC_COLUMNS):
            cells = [row.split("|")[column].strip() for row in rows.splitlines()]
            found += [s for c in cells for s in (re.findall(r"`([^`]+)`", c) or [c]) if " " not in c or "`" in c]
    return found


def test_every_metric_has_a_question() -> None:
    choosing = TEXTS["docs/metrics.md"].split("\n## Which metric")[1].split("\n## ")[0]
    named = {spec.partition(":")[0] for spec in re.findall(r"`([^`]+)`", choosing)}
    assert named == set(metrics.own_names())


def test_the_default_metrics_are_told() -> None:
    from audiosim.presets import PRESETS

    *most, last = (f"`{name}`" for name in PRESETS["default"])
    assert f"{', '.join(most)} and {last}" in TEXTS["docs/metrics.md"]


def test_exit_codes_are_all_told() -> None:
    assert all(f"`{int(code)}` {code.meaning}" in README for code in ExitCode)


def test_the_two_commands_stand_there() -> None:
    assert "pip install . && audiosim compare samples/speech.flac samples/speech_degraded.flac\n" in README
    assert "pip install '.[test]' && pytest --numprocesses auto\n" in README


@pytest.mark.parametrize("document", DOCUMENTS)
def test_files_that_are_named_exist(document: str) -> None:
    text = TEXTS[document]
    for name in re.findall(r"`((?:audiosim|tests|samples|docs|man|\.ci)/[^` ]*)`", text):
        assert (ROOT / name).exists() or "my_metric" in name, name
    for target, anchor in re.findall(r"\]\(([^):#]*)(#[^)]*)?\)", text):
        file = (ROOT / document).parent / target
        assert file.exists(), target
        assert not anchor or anchor[1:] in anchors(file.read_text(encoding="utf-8")), anchor


def anchors(text: str) -> set[str]:
    """Of the headings, as GitHub makes them."""
    return {
        re.sub(r"[^\w -]", "", h).strip().lower().replace(" ", "-") for h in re.findall(r"^#+ (.*)", text, re.MULTILINE)
    }


def test_scripts_that_are_named_exist() -> None:
    table = TEXTS["tests/benchmarks/README.md"].split("| script |")[1].split("\n\n")[0]
    listed = set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE))
    there = {p.stem for p in (ROOT / "tests/benchmarks").glob("*.py")} - {"__init__"}
    assert listed == there
    named = {m for text in TEXTS.values() for m in re.findall(r"`python -m tests\.benchmarks\.(\w+)", text)}
    assert named - {"NAME"} <= there
