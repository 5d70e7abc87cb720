"""Two performances of one piece: the course of time is that of the synthesis, and what is rebuilt is the test."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.dsp import performance
from audiosim.testing.signals import COMPILED, Array, chord_music, noise, silence

RATE = 16000
compiled = pytest.mark.skipif(not COMPILED, reason="seconds of sound")


def performed(seed: int, beats: Array, brightness: float = 1.0, semitones: int = 0) -> Array:
    """A tune that the seed draws, in beats of so many seconds: [channel, sample]."""
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0.0], np.cumsum(beats)])
    x = np.zeros(round((starts[-1] + 0.5) * RATE))
    for k, length in enumerate(beats):
        first, last = round(starts[k] * RATE), min(x.size, round((starts[k] + 1.3 * length) * RATE))
        since = np.arange(first, last) / RATE - starts[k]
        for note in (rng.integers(0, 12) + 12, rng.integers(0, 4) * 3):
            for h in range(1, 6):
                tone = np.sin(2 * np.pi * h * 196 * 2 ** ((note + semitones) / 12) * since + rng.uniform(0, 6.28))
                x[first:last] += 0.1 * h**-brightness * tone * np.exp(-3 * since) * np.minimum(1, since / 0.005)
    return np.asarray(x[None])


STEADY = np.full(48, 0.3)
RUBATO = STEADY * np.interp(np.arange(48), [0, 12, 24, 36, 47], [1.2, 0.8, 1.1, 0.85, 1.2])


@compiled
@pytest.mark.parametrize(("brightness", "semitones"), [(1.0, 0), (2.0, 0), (1.0, 3)])
def test_the_course_is_that_of_the_performance(brightness: float, semitones: int) -> None:
    ref, test = performed(1, STEADY), performed(1, RUBATO, brightness, semitones)
    found = performance.course(ref, test, RATE)
    assert found.found
    assert found.semitones == -semitones % 12
    starts, wanted = (np.concatenate([[0.0], np.cumsum(b)[:-1]]) for b in (STEADY, RUBATO))
    off = np.abs(np.interp(starts, found.times, found.seconds) - wanted)
    assert np.median(off) < 0.01
    assert np.quantile(off, 0.95) < 0.03
    assert 0.75 < found.tempo.min() < 0.9
    assert 1.1 < found.tempo.max() < 1.3
    assert not performance.course(ref, performed(2, RUBATO), RATE).found


@compiled
def test_an_identical_recording_stays_as_it_is() -> None:
    x = chord_music(RATE, 3.0, 1, 2)
    found = performance.course(x, x, RATE)
    moved, splices = performance.followed(x, x, found, RATE)
    assert (found.likeness, splices) == (1.0, 0)
    np.testing.assert_allclose(moved, x, atol=1e-12)


@compiled
def test_what_is_inserted_is_left_out() -> None:
    x = performed(3, STEADY)
    cut = 5 * RATE
    longer = np.concatenate([x[:, :cut], 0.01 * noise(RATE, 1.0), x[:, cut:]], axis=1).astype(np.float32)
    found = performance.course(x, longer, RATE)
    moved, _ = performance.followed(x, longer, found, RATE)
    assert moved.dtype == np.float32
    assert moved.shape == x.shape
    late = slice(cut + RATE, x.shape[1] - RATE)
    places = np.interp(np.arange(cut / RATE + 1, 14, 0.1), found.times, found.seconds) - np.arange(
        cut / RATE + 1, 14, 0.1
    )
    np.testing.assert_allclose(places, 1.0, atol=0.03)
    np.testing.assert_allclose(moved[:, late], x[:, late], atol=1e-6)


def test_what_has_no_course() -> None:
    sound, quiet = noise(8000, 0.1), silence(8000, 0.1)
    for ref, test in ((sound, quiet), (quiet, sound), (quiet, quiet), (sound, sound), (sound[:, :1], sound[:, :1])):
        assert not performance.course(ref, test, 8000).found


def test_pieces_overlap_to_the_whole() -> None:
    x = noise(2000, 0.2, channels=2)
    times = np.array([0.0, 0.2])
    moved, splices = performance.followed(x, x, performance.Course(times, times, 1.0, True), 2000)
    assert splices == 0
    np.testing.assert_allclose(moved, x, atol=1e-12)
