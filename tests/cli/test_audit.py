"""`audiosim audit`: formats, rules, exit codes, interruption; and the page that explains it."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import pytest

from audiosim.errors import MetricError
from audiosim.testing import audit as auditing
from audiosim.testing.signals import COMPILED
from tests.conftest import Done

pytestmark = pytest.mark.skipif(not COMPILED, reason="hundreds of comparisons, too slow uncompiled")
PAGE = Path(__file__).parents[2] / "docs/audit.md"
SOME = ("identity", "symmetry", "invariance.polarity", "monotony.noise", "range")
OF_GRADIENTS = {f"gradient.{name}" for name in ("error", "identity", "silence", "second")}  # not told without torch
Cli = Callable[..., Done]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look at little."""
    monkeypatch.setattr(auditing, "audit", partial(auditing.audit, only=SOME))


def test_a_table_fits_eighty_columns(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    done = cli("audit", "esr", "--format", "table")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == "esr  Error-to-signal ratio"
    assert lines[1] == "speech like and chord music, 1 s at 48000 Hz"
    assert lines[2].split() == ["property", "value", "what", "it", "says", "the", "card"]
    assert max(map(len, lines)) <= 80
    named = {line.split()[0] for line in lines[3:] if line[0] != " "}
    untold = {"recovery"} if find_spec("torch") else {"recovery", *OF_GRADIENTS}
    assert named == set(auditing.PROPERTIES) - untold
    assert len(lines) < 60
    assert re.search(r"^symmetry +0\.\d+ +changed by \d+\S* % when exchanged +agrees *$", done.out, re.MULTILINE)


@pytest.mark.usefixtures("quick")
def test_formats_for_programs(cli: Cli, sounds: Path) -> None:
    argv = "audit", "mae", "--sound", sounds / "ref.wav", "--sound", sounds / "far.wav"
    one = json.loads(cli(*argv, "--json").out)
    assert {f["name"] for f in one["findings"]} == set(SOME)
    assert (one["rate"], one["seconds"], one["contradicted"]) == (16000, 0.5, 0)
    assert [Path(name).name for name in one["sounds"]] == ["ref.wav", "far.wav"]
    two = json.loads(cli("audit", "mae", "dc", "mae", "--json").out)
    assert [row["spec"] for row in two] == ["mae", "dc"]
    assert len(cli("audit", "mae", "dc", "--format", "jsonl").out.splitlines()) == 2
    rows = [line.split("\t") for line in cli("audit", "mae").out.splitlines()]
    assert rows[0] == ["spec", "name", "value", "unit", "says", "claim", "agrees", "reason"]
    assert len(rows) == 1 + len(SOME)


@pytest.mark.usefixtures("quick")
def test_rules_decide_the_exit_code(cli: Cli, sounds: Path) -> None:
    held = ["--require", "contradicted<=0", "--require", "monotony.noise>=1"]
    done = cli("audit", "mae", "--json", *held)
    assert (done.code, done.err.splitlines()) == (
        0,
        ["audiosim: mae: rule held: contradicted<=0: 0", "audiosim: mae: rule held: monotony.noise>=1: 1"],
    )
    done = cli("audit", "mae", "dc", "--json", "-q", "--require", "invariance.polarity<=0.1")
    assert done.code == 1
    assert done.err.startswith("audiosim: mae: rule failed: invariance.polarity<=0.1: ")
    assert [row["gates"][0]["passed"] for row in json.loads(done.out)] == [False, False]
    table = cli("audit", "mae", "--format", "table", "--require", "monotony>=0.9")
    assert (table.code, table.err) == (1, "")
    assert table.out.splitlines()[-1] == "rule failed: monotony>=0.9: it was not looked at"


@pytest.mark.parametrize(
    ("argv", "code", "told"),
    [
        (["nothing"], 2, "unknown metric 'nothing'"),
        (["mae", "nothing"], 2, "unknown metric 'nothing'"),
        ([], 2, "Missing argument 'METRIC"),
        (["mae", "--require", "speed<1"], 2, "there is no property 'speed'"),
        (["mae", "--require", "recovery<1"], 2, "a rule on recovery needs --full"),
        (["mae", "--sound", "nowhere.wav"], 3, "nowhere.wav: no such file"),
        (["mae", "--sound", "silent.wav"], 3, "silent.wav: is silent"),
        (["mae", "--sound", "short.wav"], 3, "short.wav: is 0.125 s long; an audit needs 0.25 s"),
        (["mae", "--format", "html"], 2, "--format html is not for this command; one of: table"),
        (["mae", "--metric-file", "nowhere.py"], 2, "there is no such file"),
    ],
)
def test_what_cannot_be_done_is_one_line(cli: Cli, sounds: Path, argv: list[str], code: int, told: str) -> None:
    done = cli("audit", *(sounds / a if a.endswith(".wav") else a for a in argv))
    assert (done.code, done.out, len(done.err.splitlines())) == (code, "", 1)
    assert told in done.err


@pytest.mark.usefixtures("quick")
def test_one_that_fails_takes_no_other_down(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = auditing.audit

    def failing(spec: str, *given: object, **how: object) -> object:
        if spec == "dc":
            raise MetricError("it broke")
        return whole(spec, *given, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(auditing, "audit", failing)
    done = cli("audit", "dc", "mae", "--format", "jsonl")
    assert (done.code, done.err) == (4, "audiosim: error: dc: it broke\n")
    assert json.loads(done.out)["spec"] == "mae"
    done = cli("audit", "dc")
    assert (done.code, done.out) == (4, "")


@pytest.mark.usefixtures("quick")
def test_an_interruption_keeps_what_was_printed(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    whole = auditing.audit

    def interrupted(spec: str, *given: object, **how: object) -> object:
        if spec == "dc":
            raise KeyboardInterrupt
        return whole(spec, *given, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(auditing, "audit", interrupted)
    done = cli("audit", "mae", "dc", "--format", "jsonl")
    assert (done.code, done.err) == (130, "audiosim: interrupted: 1 of 2 metrics were audited\n")
    assert json.loads(done.out)["spec"] == "mae"
    done = cli("audit", "mae", "dc", "-o", tmp_path / "out.json")
    assert done.code == 130
    assert not (tmp_path / "out.json").exists()


@pytest.mark.usefixtures("quick")
def test_a_file_has_the_format_of_its_suffix(cli: Cli, tmp_path: Path) -> None:
    for name, begins in (("a.json", "{"), ("a.csv", "spec,name,value"), ("a.jsonl", '{"schema"')):
        assert cli("audit", "mae", "-o", tmp_path / name).code == 0
        assert (tmp_path / name).read_text().startswith(begins)


def test_the_page_names_every_property_and_no_other() -> None:
    named = set()
    for cell in re.findall(r"^\| (`[^|]+`) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE):
        first, *more = re.findall(r"`([^`]+)`", cell)
        named |= {first, *(first.split(".")[0] + m if m.startswith(".") else m for m in more)}
    assert named == set(auditing.PROPERTIES)
