"""man/ and completions/ are what the application generates, and what shells and man can use."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
import typer

from audiosim import metrics
from audiosim.cli import docs
from audiosim.errors import ExitCode
from audiosim.judge.reading import VERDICT, scales

pytestmark = pytest.mark.skipif(not (docs.ROOT / "pyproject.toml").is_file(), reason="needs a checkout")


@pytest.mark.skipif(
    not typer.__version__.startswith("0.29."), reason="made with Typer 0.29, others word them otherwise"
)
def test_the_files_are_current(capsys):
    assert docs.main(["--check"]) == 0, capsys.readouterr().err


def test_every_subcommand_has_a_page():
    pages = docs.pages()
    names = ("audiosim", "audiosim-compare", "audiosim-batch", "audiosim-explain")
    assert {f"man/man1/{name}.1" for name in names} <= set(pages)
    assert pages["completions/_audiosim"].startswith("#compdef audiosim\n")


@pytest.mark.parametrize("page", ["audiosim.1", "audiosim-compare.1", "audiosim-explain.1"])
def test_pages_state_the_exit_codes(page):
    text = docs.pages()[f"man/man1/{page}"]
    for code in ExitCode:
        assert f"\\fB{int(code)}\\fR" in text


def test_the_page_of_metrics_has_them_all():
    page = docs.pages()["man/man7/audiosim-metrics.7"].split(".SH METRICS")[1].split(".SH OPTIONS")[0]
    page = page.replace("\\-", "-")
    told = re.findall(r"^\.TP\n\\fB(.+)\\fR\n(.+)$", page, re.MULTILINE)
    assert sorted(name for name, _ in told) == list(metrics.own_names())
    for name, text in told:
        card = metrics.get(name).card
        assert text.startswith(card.title)
        assert f"{card.better.capitalize()} is better; gradient: {card.gradient}" in text


def test_the_page_of_metrics_says_what_values_mean():
    page = docs.pages()["man/man7/audiosim-metrics.7"].replace("\\-", "-")
    for name, known in scales().items():
        if name != VERDICT:
            for scale in known:
                assert f"): {scale.told()}." in page


def test_the_page_of_training_has_every_loss():
    page = docs.pages()["man/man7/audiosim-training.7"].split(".SH METRICS WITH A GRADIENT")[1].split(".PP\nNo gr")[0]
    plain = re.sub(r"\\f[BR]", "", page.replace("\\-", "-"))
    for name in metrics.own_names():
        assert (metrics.get(name).card.gradient != "none") == bool(
            re.search(rf"(^|[^\w-]){name}([^\w-]|$)", plain, re.MULTILINE)
        )


def test_pages_of_topics_leave_nothing_of_their_source():
    for topic in docs.TOPICS:
        page = docs.pages()[f"man/man7/audiosim-{topic}.7"]
        assert not re.search(r"<!--|```|\*\*|^[-#] |`\w", page, re.MULTILINE)


@pytest.mark.skipif(not shutil.which("groff"), reason="no groff")
def test_groff_has_nothing_to_complain_about():
    for name, page in docs.pages().items():
        if name.startswith("man/"):
            run = ["groff", "-man", "-ww", "-z", "-Kutf8"]
            checked = subprocess.run(run, input=page.encode(), capture_output=True, check=True)
            assert checked.stderr == b"", name


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
