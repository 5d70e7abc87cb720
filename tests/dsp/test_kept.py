"""What is computed of a recording is kept while somebody compares it, and no longer."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import compare
from audiosim.dsp import kept, resampling
from audiosim.dsp.kept import keeping
from audiosim.signal import Signal
from tests.signals import COMPILED


class Counted:
    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return np.full(10, self.made)


def test_once_while_kept_and_anew_otherwise():
    x, make = np.zeros((2, 100)), Counted()
    for _ in range(2):
        kept.kept(x, "a", make)
    assert make.made == 2
    with keeping(x):
        first = kept.kept(x, "a", make)
        with keeping(x, x[0]):
            assert kept.kept(x, "a", make) is first
        assert kept.kept(x, "a", make) is first
        assert kept.kept(x, "b", make) is not first
    assert make.made == 4
    assert not kept._memories


def test_slices_and_copies_are_other_samples():
    x, make = np.zeros((2, 100)), Counted()
    with keeping(x):
        values = [kept.kept(y, "a", make) for y in (x, x[0], x[1], x[:, :50], x[:, ::2], x[0].copy())]
        assert len({int(v[0]) for v in values}) == len(values)
        assert kept.kept(x[1][:], "a", make) is values[2]
        assert kept.kept(x[0].copy(), "a", make) is not values[5]


def test_what_is_made_of_something_kept_is_kept_too():
    signal, make = Signal.of(np.zeros(800), 8000), Counted()
    with keeping(signal.samples):
        faster = resampling.to_rate(signal, 16000)
        assert resampling.to_rate(signal, 16000).samples is faster.samples
        assert kept.kept(faster.samples[0], "a", make) is kept.kept(faster.samples[0], "a", make)
    assert resampling.to_rate(signal, 16000).samples is not faster.samples
    assert not kept._memories


def test_no_more_than_the_limit_is_kept(monkeypatch):
    monkeypatch.setattr(kept, "LIMIT", 100)
    x, make = np.zeros(100), Counted()
    with keeping(x):
        assert kept.kept(x, "a", make) is kept.kept(x, "a", make)
        assert kept.kept(x, "b", make) is not kept.kept(x, "b", make)


def test_nothing_is_left_behind_by_an_error():
    x = np.zeros(100)
    with pytest.raises(ValueError, match="broken"), keeping(x):  # noqa: PT012
        kept.kept(x, "a", Counted())
        raise ValueError("broken")
    assert not kept._memories


def test_a_changed_array_is_another_recording():
    """Between two calls of compare everyone may change his arrays."""
    rng = np.random.default_rng(0)
    x, y = 0.1 * rng.standard_normal((2, 8000))
    specs = ["zimtohrli", "zimtohrli:mos"]
    before = compare(x, y, specs, 48000)
    y *= 0.5
    after = compare(x, y, specs, 48000)
    assert after["zimtohrli"].value == compare(x, y, "zimtohrli", 48000)["zimtohrli"].value
    assert before["zimtohrli"].value != after["zimtohrli"].value == after["zimtohrli:mos"].value


def test_players_are_heard_once():
    """And only from the first to the last block: the state of one that stops early is lost."""
    x, calls = np.zeros(100), []

    def player():
        def play(first, count):
            calls.append((first, count))
            return tuple(np.full((count, 2), float(10 * first + part)) for part in range(3))

        return kept.recorded(x, "a", 8, 2, 3, play)

    with keeping(x):
        player()(0, 5)
        first = [player()] * 2
        whole = [play(start, count) for play, start, count in zip(first, (0, 5), (5, 3), strict=True)]
        assert calls == [(0, 5), (0, 5), (5, 3)]
        again = [play(start, count) for play, start, count in zip([player()] * 2, (0, 5), (5, 3), strict=True)]
        assert len(calls) == 3
        for a, b in zip(whole, again, strict=True):
            assert all(np.array_equal(p, q) for p, q in zip(a, b, strict=True))
    player()(0, 5)
    assert len(calls) == 4


@pytest.mark.parametrize("names", [("peaq", "two-f", "nmr"), ("nmr", "peaq-advanced", "peaq", "peaq-advanced:clamp")])
def test_metrics_that_share_an_ear_give_the_same_bits(names):
    rng = np.random.default_rng(0)
    x = 0.1 * rng.standard_normal((2, 24000 if COMPILED else 4800))
    y = x + 0.01 * rng.standard_normal(x.shape)
    together = compare(x, y, names, 48000, detail="map")
    for name, alone in ((name, compare(x, y, name, 48000, detail="map")[name]) for name in names):
        assert repr(together[name].value) == repr(alone.value)
        assert together[name].details == alone.details
        assert np.array_equal(together[name].map, alone.map)
