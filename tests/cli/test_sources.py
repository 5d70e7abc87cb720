"""Several sources and estimates on the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import soundfile

from audiosim.batch.workers import compared
from audiosim.match import Policy
from audiosim.testing.signals import noise
from tests.conftest import Done

Cli = Callable[..., Done]
RATE = 8000
SPEC = "bss-eval:output=sir,taps=8,window=0"


@pytest.fixture(scope="module")
def stems(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """a.wav, b.wav, c.wav, and what was separated of them: 1.wav of b, 2.wav of c, 3.wav of a."""
    folder = tmp_path_factory.mktemp("stems")
    sounds = {name: noise(RATE, 0.1, seed=i)[0] for i, name in enumerate("abc")}
    for name, x in sounds.items():
        soundfile.write(folder / f"{name}.wav", x, RATE, subtype="FLOAT")
    for name, of, other in (("1", "b", "a"), ("2", "c", "a"), ("3", "a", "b")):
        soundfile.write(folder / f"{name}.wav", sounds[of] + 0.1 * sounds[other], RATE, subtype="FLOAT")
    return folder


def given(folder: Path, sources: str = "abc", estimates: str = "123") -> list[str]:
    return [
        *(x for name in sources for x in ("--source", str(folder / f"{name}.wav"))),
        *(x for name in estimates for x in ("--estimate", str(folder / f"{name}.wav"))),
    ]


@pytest.mark.parametrize("first", [SPEC, "si-sdr", "mae"])
def test_estimates_are_given_to_their_sources(cli: Cli, stems: Path, first: str) -> None:
    done = cli("compare", *given(stems), "-m", first, "--json")
    assert done.code == 0
    rows = json.loads(done.out)
    assert [(Path(r["reference"]).stem, Path(r["test"]).stem) for r in rows] == [("a", "3"), ("b", "1"), ("c", "2")]


def test_in_order_they_stay(cli: Cli, stems: Path) -> None:
    done = cli("compare", *given(stems), "-m", SPEC, "--in-order", "--json", "--require", f"{SPEC}>=3")
    assert done.code == 1
    assert [Path(r["test"]).stem for r in json.loads(done.out)] == ["1", "2", "3"]


def test_what_a_person_sees(cli: Cli, stems: Path) -> None:
    done = cli("compare", *given(stems), "-m", SPEC, "--format", "table")
    assert "estimate" in done.out
    assert "rank" not in done.out
    assert done.out.index("a.wav") < done.out.index("b.wav") < done.out.index("c.wav")


def test_markdown_names_both(cli: Cli, stems: Path) -> None:
    done = cli("compare", *given(stems), "-m", SPEC, "--format", "markdown")
    assert "| source | estimate |" in done.out


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--source", "a.wav"], "1 source and 0 estimates: each source needs one estimate"),
        (["a.wav", "b.wav", "--source", "a.wav", "--estimate", "b.wav"], "not both"),
        (["a.wav", "b.wav", "--in-order"], "--in-order is for --source and --estimate"),
        (["a.wav"], "Missing argument 'TEST...'"),
    ],
)
def test_wrong_usage(cli: Cli, more: list[str], said: str) -> None:
    done = cli("compare", *more, "-m", "mae")
    assert (done.code, done.out) == (2, "")
    assert said in done.err


def test_folders_of_stems(cli: Cli, stems: Path, tmp_path: Path) -> None:
    for folder, names in (("ref", "abc"), ("est", "312")):
        (tmp_path / folder / "song").mkdir(parents=True)
        for own, name in zip("abc", names, strict=True):
            (tmp_path / folder / "song" / f"{own}.wav").write_bytes((stems / f"{name}.wav").read_bytes())
    folders = tmp_path / "ref", tmp_path / "est"
    done = cli("batch", *folders, "--stems", "-m", SPEC, "--format", "jsonl", "-q")
    alone = cli("compare", *given(stems), "-m", SPEC, "--json")
    rows = [json.loads(line) for line in done.out.splitlines()]
    values = [row["value"] for row in rows]
    assert values == pytest.approx([row["results"][0]["value"] for row in json.loads(alone.out)], abs=1e-9)
    again = compared(rows[:1], Policy(), [(row["reference"], row["test"]) for row in rows[1:]])
    assert again.results[SPEC].value == values[0]  # for the page
    page = tmp_path / "page.html"
    assert cli("batch", *folders, "--stems", "-m", SPEC, "--report", page, "-q").code == 0
    assert f"{values[0]:.3f}" in page.read_text(encoding="utf-8")
    assert cli("batch", "--manifest", "m.csv", "--stems", "-m", SPEC).code == 2
