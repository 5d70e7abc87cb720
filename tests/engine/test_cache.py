"""What is computed of a recording is kept while somebody compares it, and no longer."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import compare
from audiosim.dsp import resampling
from audiosim.engine import cache
from audiosim.engine.cache import caching
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED


class Counted:
    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return np.full(10, self.made)


def test_once_while_kept_and_anew_otherwise():
    x, make = np.zeros((2, 100)), Counted()
    for _ in range(2):
        cache.cached(x, "a", make)
    assert make.made == 2
    with caching(x):
        first = cache.cached(x, "a", make)
        with caching(x, x[0]):
            assert cache.cached(x, "a", make) is first
        assert cache.cached(x, "a", make) is first
        assert cache.cached(x, "b", make) is not first
    assert make.made == 4
    assert not cache._memories


def test_slices_and_copies_are_other_samples():
    x, make = np.zeros((2, 100)), Counted()
    with caching(x):
        values = [cache.cached(y, "a", make) for y in (x, x[0], x[1], x[:, :50], x[:, ::2], x[0].copy())]
        assert len({int(v[0]) for v in values}) == len(values)
        assert cache.cached(x[1][:], "a", make) is values[2]
        assert cache.cached(x[0].copy(), "a", make) is not values[5]


def test_what_is_made_of_something_kept_is_kept_too():
    signal, make = Signal.of(np.zeros(800), 8000), Counted()
    with caching(signal.samples):
        faster = resampling.to_rate(signal, 16000)
        assert resampling.to_rate(signal, 16000).samples is faster.samples
        assert cache.cached(faster.samples[0], "a", make) is cache.cached(faster.samples[0], "a", make)
    assert resampling.to_rate(signal, 16000).samples is not faster.samples
    assert not cache._memories


def test_no_more_than_the_limit_is_kept(monkeypatch):
    monkeypatch.setattr(cache, "LIMIT", 100)
    x, make = np.zeros(100), Counted()
    with caching(x):
        assert cache.cached(x, "a", make) is cache.cached(x, "a", make)
        assert cache.cached(x, "b", make) is not cache.cached(x, "b", make)


def test_nothing_is_left_behind_by_an_error():
    x = np.zeros(100)
    with pytest.raises(ValueError, match="broken"), caching(x):  # noqa: PT012
        cache.cached(x, "a", Counted())
        raise ValueError("broken")
    assert not cache._memories


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

        return cache.recorded(x, "a", 8, 2, 3, play)

    with caching(x):
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
