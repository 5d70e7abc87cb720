"""`audiosim explain`: the catalogue, a card, a pair."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audiosim import metrics
from audiosim.cli.explain import brightness
from audiosim.cli.table import bar, hertz, sparkline


def test_the_catalogue_has_a_row_a_metric(cli):
    done = cli("explain")
    assert done.code == 0
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert lines[0] == ["name", "title", "family", "better", "unit", "gradient"]
    assert [line[0] for line in lines[1:]] == metrics.names()
    assert [r["name"] for r in json.loads(cli("explain", "--format", "json").out)] == metrics.names()


@pytest.mark.parametrize("name", metrics.names())
def test_every_card_is_printed_in_every_format(cli, name):
    card = metrics.get(name).card
    for form in ("table", "tsv", "csv", "json", "jsonl"):
        done = cli("explain", name, "--format", form)
        assert (done.code, done.err) == (0, "")
        assert card.title in done.out
    found = json.loads(cli("explain", name, "--format", "json").out)
    assert [o["option"] for o in found["options"]] == list(metrics.options(name))


def test_a_pair_is_explained(cli, sounds):
    argv = "explain", "mse", sounds / "ref.wav", sounds / "far.wav"
    page = cli(*argv, "--format", "table")
    assert page.code == 0
    assert "share" in page.out
    found = json.loads(cli(*argv, "--format", "json").out)
    assert found["sentence"] in " ".join(page.out.split())
    assert 1 <= len(found["regions"]) <= 5
    assert sum(found["share_per_band"]) == pytest.approx(1.0)
    rows = cli(*argv, "--format", "tsv")
    assert rows.out.startswith("from_s\tto_s\tfrom_hz\tto_hz\tshare\tchange\tlevel_db\n")
    assert found["sentence"] in rows.err


def test_identical_files_are_said_to_be(cli, sounds):
    done = cli("explain", "mse", sounds / "ref.wav", sounds / "ref.wav", "--format", "table")
    assert done.code == 0
    assert "the two are identical to this metric" in done.out


def test_the_page_goes_to_a_file(cli, sounds, tmp_path):
    done = cli("explain", "mse", sounds / "ref.wav", sounds / "far.wav", "--format", "table", "-o", "page.txt")
    assert (done.code, done.out) == (0, "")
    assert "share" in (tmp_path / "page.txt").read_text()


def test_the_picture_keeps_the_loudest_cell_and_its_place():
    share = np.zeros((50, 40))
    share[30, 5] = 1.0
    picture = np.array(brightness(share, 25, 20))
    assert picture.shape == (20, 25)
    assert np.unravel_index(picture.argmax(), picture.shape) == (17, 15)  # highest band first
    assert picture.max() == 1.0
    assert np.array(brightness(np.zeros((3, 2)), 5, 5)).max() == 0.0
    assert np.array(brightness(np.ones((1, 1)), 9, 4)).min() == pytest.approx(1.0)


def test_sparklines_and_bars():
    assert sparkline([0.0, 1.0], 10, ascii_only=False) == "▁█"
    assert sparkline([0.0, float("nan"), 1.0], 10, ascii_only=True) == "  @"
    assert len(sparkline(list(range(1000)), 40, ascii_only=True)) == 40
    assert sparkline([2.0, 2.0], 4, ascii_only=True).isascii()
    assert sparkline([0.0, float("inf")], 4, ascii_only=False)[1] == "█"
    assert bar(5.0, 0.0, 10.0, 10, ascii_only=True) == "#####"
    assert bar(float("nan"), 0.0, 10.0, 10, ascii_only=True) == ""
    assert (hertz(250.4), hertz(2140.0), hertz(999.7)) == ("250 Hz", "2.1 kHz", "1 kHz")


def test_the_gradient_of_a_pair_is_explained(cli, sounds):
    pytest.importorskip("torch")
    argv = "explain", "mse", sounds / "ref.wav", sounds / "far.wav", "--gradient"
    assert "of the gradient" in cli(*argv, "--format", "table").out
    assert json.loads(cli(*argv, "--format", "json").out)["of"] == "gradient"
    done = cli("explain", "mse", "--gradient")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "needs two recordings" in done.err
