"""The figure for a paper: text that stays text, the same bytes each time, and what it shows."""

from __future__ import annotations

import struct

import numpy as np
import pytest

from audiosim import metrics
from audiosim.comparison import Comparison
from audiosim.judge.explain import taken_apart
from audiosim.report import figure
from audiosim.result import undefined
from audiosim.signal import Signal

pytest.importorskip("matplotlib")
BEGINS = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_both_figures_in_every_form(pair, form):
    _, compared = pair()
    found = taken_apart("mse", compared, compared.results["mse"])
    for drawn in (figure.levels(compared, ["si-sdr", "mse"], form), figure.shares(found, form)):
        assert drawn.startswith(BEGINS[form])


def test_a_png_has_the_width_of_a_column(pair):
    _, compared = pair()
    drawn = figure.levels(compared, ["mse"], "png")
    assert struct.unpack_from(">II", drawn, 16) == (round(3.5 * 300), round(2.6 * 300))


def test_the_text_of_an_svg_is_text_and_it_is_the_same_each_time(pair):
    _, compared = pair()
    drawn = figure.levels(compared, ["si-sdr", "mse"], "svg").decode()
    for said in ("time [s]", "frequency [kHz]", "test over reference [dB]", "si-sdr [dB]"):
        assert f">{said}</text>" in drawn
    assert drawn == figure.levels(compared, ["si-sdr", "mse"], "svg").decode()
    assert ">a.wav: si-sdr " in figure.levels(compared, ["si-sdr"], "svg", "a.wav").decode()
    assert "http" not in drawn.replace("http://www.w3.org", "").replace("https://matplotlib.org", "").split("<defs>")[1]


def test_a_metric_without_an_answer_leaves_the_sides_empty(pair):
    _, compared = pair()
    silent = Signal(0.0 * compared.ref.samples, compared.ref.rate)
    nothing = undefined("the reference is silent", 1, metrics.scale("si-sdr"))
    nothing = Comparison(silent, silent, {}, {"si-sdr": nothing})
    assert figure.levels(nothing, ["si-sdr"], "svg").startswith(b"<?xml")
    found = taken_apart("si-sdr", nothing, nothing.results["si-sdr"])
    assert figure.shares(found, "svg").startswith(b"<?xml")


def test_the_difference_is_white_where_there_is_none():
    from audiosim.report import pictures

    palette = figure._opaque(pictures.difference_map())
    assert (palette[len(palette) // 2] == 255).all()
    assert np.ptp(palette[0]) > 100


@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_a_ranking_in_every_form_the_best_system_first(form):
    score = {"metric": "snr", "unit": "dB", "better": "higher", "mean": 1.0, "low": 0.5, "high": 1.5}
    scores = [{**score, "system": "$bad$"}, {**score, "system": "good", "mean": 9.0, "high": 9.5}]
    nothing = {**score, "metric": "mse", "unit": "1", "system": None, "mean": np.nan}
    drawn = figure.ranking([*scores, nothing], form)
    assert drawn.startswith(BEGINS[form])
    if form == "svg":
        text = drawn.decode()
        assert text.index(">good</text>") < text.index(">$bad$</text>")
        assert ">no mean</text>" in text
        assert ">snr [dB], higher is better</text>" in text
    assert figure.ranking([], form).startswith(BEGINS[form])
