"""man/ and completions/ are what the application generates, and what shells and man can use."""

from __future__ import annotations

import shutil
import subprocess

import pytest
import typer

from audiosim.cli import docs
from audiosim.errors import ExitCode

pytestmark = pytest.mark.skipif(not (docs.ROOT / "pyproject.toml").is_file(), reason="needs a checkout")


@pytest.mark.skipif(
    not typer.__version__.startswith("0.29."), reason="made with Typer 0.29, others word them otherwise"
)
def test_the_files_are_current(capsys):
    assert docs.main(["--check"]) == 0, capsys.readouterr().err


def test_every_subcommand_has_a_page():
    pages = docs.pages()
    assert {"man/audiosim.1", "man/audiosim-compare.1", "man/audiosim-explain.1"} <= set(pages)
    assert pages["completions/_audiosim"].startswith("#compdef audiosim\n")


@pytest.mark.parametrize("page", ["man/audiosim.1", "man/audiosim-compare.1", "man/audiosim-explain.1"])
def test_pages_state_the_exit_codes(page):
    text = docs.pages()[page]
    for code in ExitCode:
        assert f"\\fB{int(code)}\\fR" in text


@pytest.mark.skipif(not shutil.which("mandoc"), reason="no mandoc")
def test_pages_are_sound():
    for name in docs.pages():
        if name.startswith("man/"):
            checked = subprocess.run(
                ["mandoc", "-Tlint", "-Wwarning", docs.ROOT / name], capture_output=True, text=True, check=False
            )
            complaints = [line for line in checked.stdout.splitlines() if "missing date" not in line]
            assert complaints == []


@pytest.mark.parametrize(
    ("shell", "file"), [("bash", "audiosim.bash"), ("zsh", "_audiosim"), ("fish", "audiosim.fish")]
)
def test_scripts_are_sound(shell, file):
    if not shutil.which(shell):
        pytest.skip(f"no {shell}")
    subprocess.run([shell, "-n", docs.ROOT / "completions" / file], check=True)
