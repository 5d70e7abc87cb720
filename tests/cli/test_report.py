"""`--report` and `--plot`: files beside the answers, which they do not change."""

from __future__ import annotations

import sys

import pytest


def test_compare_writes_a_page_and_answers_as_without(cli, sounds, tmp_path):
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "si-sdr", "--format", "json", "--verdict"
    plain = cli(*argv)
    done = cli(*argv, "--report", tmp_path / "out.html")
    assert (done.code, done.out) == (0, plain.out)
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "<title>near.wav against ref.wav</title>" in text
    assert 'class="audio-A"' in text


def test_several_tests_are_one_page_also_when_one_is_broken(cli, sounds, tmp_path):
    tests = [sounds / f"{name}.wav" for name in ("near", "far", "broken")]
    done = cli("compare", sounds / "ref.wav", *tests, "-m", "mse", "--require", "mse<=1e-3", "--report", "out.html")
    assert done.code == 3
    text = (tmp_path / "out.html").read_text(encoding="utf-8")
    assert "3 pairs" in text
    assert "1 could not be compared" in text
    assert text.count('<details class="pair"') == 2


def test_the_sound_is_a_setting(cli, sounds, tmp_path, monkeypatch):
    argv = "compare", sounds / "ref.wav", sounds / "near.wav", "-m", "mse", "--report", "out.html"
    assert cli(*argv, "--report-audio", "none").code == 0
    assert 'class="audio-A"' not in (tmp_path / "out.html").read_text(encoding="utf-8")
    monkeypatch.setenv("AUDIOSIM_REPORT_AUDIO", "none")
    assert cli(*argv).code == 0
    assert 'class="audio-A"' not in (tmp_path / "out.html").read_text(encoding="utf-8")
    done = cli(*argv, "--report-audio", "some")
    assert done.code == 2
    assert "--report-audio is one of worst, full, none, not 'some'" in done.err


@pytest.mark.parametrize(
    ("option", "path", "said"),
    [
        ("--report", "nowhere/out.html", "there is no directory"),
        ("--report", ".", "is a directory"),
        ("--report", "", "needs a file name"),
        ("--plot", "nowhere/out.png", "there is no directory"),
        ("--plot", "out.gif", "must end in .png, .svg or .pdf"),
    ],
)
def test_what_cannot_be_written_is_said_before_the_work(cli, sounds, option, path, said):
    done = cli("compare", sounds / "ref.wav", sounds / "near.wav", option, path)
    assert (done.code, done.out) == (2, "")
    assert option in done.err
    assert said in done.err


def test_plots_of_compare_and_explain(cli, sounds, tmp_path):
    pytest.importorskip("matplotlib")
    pair = sounds / "ref.wav", sounds / "near.wav"
    assert cli("compare", *pair, "-m", "mse", "--plot", "compare.svg").code == 0
    assert b"mse" in (tmp_path / "compare.svg").read_bytes()
    assert cli("explain", "mse", *pair, "--plot", "explain.svg").code == 0
    assert b"% per s and octave" in (tmp_path / "explain.svg").read_bytes()
    assert cli("compare", *pair, "-m", "mse", "--plot", "compare.PNG").code == 0
    assert (tmp_path / "compare.PNG").read_bytes().startswith(b"\x89PNG")


def test_a_plot_is_of_one_pair(cli, sounds):
    done = cli("compare", sounds / "ref.wav", sounds / "near.wav", sounds / "far.wav", "--plot", "out.png")
    assert done.code == 2
    assert "--plot draws one pair" in done.err
    done = cli("explain", "mse", "--plot", "out.png")
    assert done.code == 2
    assert "--plot needs a metric and two recordings" in done.err


def test_without_matplotlib_it_says_what_to_install(cli, sounds, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    done = cli("compare", sounds / "ref.wav", sounds / "near.wav", "--plot", "out.png")
    assert done.code == 2
    assert done.err == "audiosim: error: --plot needs matplotlib: pip install 'audiosim[plot]'\n"
