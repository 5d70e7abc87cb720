"""`audiosim explain`: the catalogue, a card, a pair."""

from __future__ import annotations

import json

import numpy as np
import pytest

from audiosim import metrics
from audiosim.cli.explain import brightness


def test_the_catalogue_has_a_row_a_metric(cli):
    done = cli("explain")
    assert done.code == 0
    lines = [line.split("\t") for line in done.out.splitlines()]
    assert lines[0] == ["name", "title", "family", "better", "unit", "gradient", "groups"]
    assert [line[0] for line in lines[1:]] == metrics.names()
    rows = json.loads(cli("explain", "--format", "json").out)
    assert [r["name"] for r in rows] == metrics.names()
    assert next(r["groups"] for r in rows if r["name"] == "si-sdr") == ["same", "training"]


def test_the_catalogue_is_by_question_or_whole(cli):
    asked, every = (cli("explain", *more, "--format", "table").out for more in ((), ("--all",)))
    assert "would I hear it?" in asked
    assert "perceptual" not in asked
    assert every.splitlines()[0] == "perceptual"
    assert set(metrics.names()) <= set(every.split())
    done = cli("explain", "lsd", "--all")
    assert (done.code, "leave out either --all" in done.err) == (2, True)


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
    assert "|0.0 s" in page.out  # the axis
    assert "most of the distance" in page.out  # the legend
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
    assert "this metric finds no difference" in done.out


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


def test_the_gradient_of_a_pair_is_explained(cli, sounds):
    pytest.importorskip("torch")
    argv = "explain", "mse", sounds / "ref.wav", sounds / "far.wav", "--gradient"
    assert "of the gradient" in cli(*argv, "--format", "table").out
    assert json.loads(cli(*argv, "--format", "json").out)["of"] == "gradient"
    done = cli("explain", "mse", "--gradient")
    assert (done.code, done.err.count("\n")) == (2, 1)
    assert "two recordings: audiosim explain NAME REF TEST --gradient" in done.err
