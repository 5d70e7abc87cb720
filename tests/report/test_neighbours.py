"""The page of neighbours: each sound once, no markup in names, below its cap."""

from __future__ import annotations

import numpy as np

from audiosim.errors import InputError
from audiosim.report import neighbours
from audiosim.signal import Signal

RATE = 8000


def rows(names, k=2):
    return [
        {
            "spec": "timbre-js",
            "query": q,
            "rank": r + 1,
            "file": names[(i + r + 1) % len(names)],
            "distance": 0.5,
            "scaled": None,
        }
        for i, q in enumerate(names)
        for r in range(k)
    ]


def load(name):
    if name == "gone.wav":
        raise InputError("gone.wav: no such file")
    return Signal(np.random.default_rng(len(name)).normal(0, 0.1, (2, 3 * RATE)).astype(np.float32), RATE, name)


def test_each_sound_once_and_one_player_a_name():
    page = neighbours.page(rows(["a.wav", "b.wav", "gone.wav"]), load, notes=["a note"])
    assert page.text.count('type="text/plain"') == 2
    assert page.text.count("<audio") == 6  # of 9 names, 3 are of what cannot be loaded
    assert "a note" in page.text
    assert page.left_out == ()


def test_names_are_no_markup():
    page = neighbours.page(rows(["<b>x</b>.wav", "y.wav"], 1), load, title="</title><script>")
    assert "<b>x" not in page.text
    assert "&lt;b&gt;x" in page.text
    assert page.text.count("<script>") == 1


def test_what_does_not_fit_is_said():
    names = [f"{'x' * i}.wav" for i in range(1, 8)]
    page = neighbours.page(rows(names), load, cap=100_000)
    assert 0 < page.text.count('type="text/plain"') < 7
    assert len(page.left_out) == 7 - page.text.count('type="text/plain"')
    assert "have no player" in page.text


def test_the_first_queries():
    names = [f"{i}.wav" for i in range(30)]
    page = neighbours.page(rows(names, 1), load)
    assert page.text.count('id="query-') == neighbours.QUERIES
