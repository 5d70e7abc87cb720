"""onset, beat, tempo, melody: mir_eval's numbers on given events, and music whose notes, tempo and key are known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from audiosim import metrics
from audiosim.models import rhythm
from audiosim.testing.signals import COMPILED, Array, noise, silence

RATE = 16000
compiled = pytest.mark.skipif(not COMPILED, reason="seconds of sound")


def tune(
    bpm: float,
    seconds: float = 8.0,
    semitones: float = 0.0,
    seed: int = 1,
    decay: float = 6.0,
    chord: tuple[int, ...] = (0,),
) -> tuple[Array, Array]:
    """A plucked note or chord on every beat: [channel, sample], and when they begin, s."""
    rng = np.random.default_rng(seed)
    begins = np.arange(0.1, seconds - 0.2, 60 / bpm)
    t = np.arange(round(seconds * RATE)) / RATE
    x = np.zeros(t.size)
    for begin in begins:
        step = rng.integers(0, 12)
        since = t[t >= begin] - begin
        for above, h in product(chord, range(1, 6)):
            f = 220 * 2 ** ((step + above + semitones) / 12)
            tone = np.sin(2 * np.pi * h * f * since + rng.uniform(0, 6.28)) * np.exp(-decay * since)
            x[t >= begin] += 0.1 / h * tone * np.minimum(1, since / 0.003)
    return x[None], begins


def given_events() -> tuple[Array, Array]:
    rng = np.random.default_rng(7)
    ref = np.sort(rng.uniform(0, 20, 60))
    return ref, np.sort(np.concatenate([ref[::2] + rng.normal(0, 0.04, 30), rng.uniform(0, 20, 25)]))


def test_given_events_as_mir_eval() -> None:
    """mir_eval 0.8.2: onset.f_measure(ref, test, window=0.05), and beat.f_measure(ref, test,
    f_measure_threshold=0.07)."""
    found = rhythm.agreement(*given_events(), 0.05)
    assert (found["f"], found["precision"], found["recall"]) == pytest.approx((0.5739130434782609, 0.6, 0.55), abs=1e-9)
    assert rhythm.agreement(*given_events(), 0.07)["f"] == pytest.approx(0.591304347826087, abs=1e-9)


def test_events_that_are_missing() -> None:
    none, some = np.zeros(0), np.ones(1)
    assert rhythm.agreement(none, none, 0.05)["f"] == 1
    assert rhythm.agreement(none, some, 0.05)["f"] == rhythm.agreement(some, none, 0.05)["f"] == 0
    assert rhythm.matches(np.array([1.0, 1.04]), np.array([1.05]), 0.05) == 1


@compiled
@pytest.mark.parametrize("bpm", [80.0, 120.0, 152.0])
def test_notes_and_pulse_of_a_tune(bpm: float) -> None:
    x, begins = tune(bpm)
    found = rhythm.onsets_of(x[0], RATE)
    assert rhythm.agreement(begins, rhythm.onsets(found), 0.05)["f"] > 0.95
    tempo = rhythm.tempo(found)
    assert tempo == pytest.approx(bpm, rel=0.01)
    assert rhythm.agreement(begins, rhythm.beats(found, tempo), 0.07)["f"] > 0.9


@compiled
@pytest.mark.parametrize("bpm", [100.0, 180.0])
def test_notes_that_ring_on_into_the_next(bpm: float) -> None:
    """Chords that fall by 13 dB a second: each adds little to what still sounds."""
    x, begins = tune(bpm, decay=1.5, chord=(0, 4, 7))
    found = rhythm.onsets_of(x[0], RATE)
    assert rhythm.agreement(begins, rhythm.onsets(found), 0.05)["f"] > 0.9
    assert rhythm.tempo(found) == pytest.approx(bpm, rel=0.01)


@compiled
def test_steady_noise_hardly_begins_again() -> None:
    assert rhythm.onsets(rhythm.onsets_of(noise(RATE, 4.0, 3)[0], RATE)).size <= 2


@compiled
def test_values() -> None:
    ref, faster = tune(100.0)[0], tune(125.0, 6.4)[0]
    onset, beat, tempo, melody = (metrics.get(name) for name in ("onset", "beat", "tempo", "melody"))
    late = np.concatenate([np.zeros((1, RATE // 10)), ref[:, : -RATE // 10]], axis=1)
    for metric, window in ((onset, 0.2), (beat, 0.2)):
        assert metric.compute(ref, 0.1 * ref, RATE).value == 1
        assert metric.compute(ref, late, RATE).value < 0.2
        assert metric.compute(ref, late, RATE, window=window).value > 0.9
    found = tempo.compute(ref, faster, RATE)
    assert found.value == pytest.approx(np.log2(1.25), abs=0.02)
    assert found.details["bpm_test"] == pytest.approx(125, rel=0.01)
    for semitones in (1, 5, 12):
        moved = tune(100.0, semitones=semitones)[0]
        assert melody.compute(ref, moved, RATE).value == pytest.approx(semitones, rel=0.1)
        assert onset.compute(ref, moved, RATE).value > 0.9


@compiled
def test_silence() -> None:
    quiet, sound = silence(RATE, 4.0), tune(100.0, 4.0)[0]
    for name in ("onset", "beat"):
        assert metrics.get(name).compute(quiet, quiet, RATE).value == 1
        assert metrics.get(name).compute(quiet, sound, RATE).value == 0
    found = metrics.get("tempo").compute(sound, quiet, RATE)
    assert "nothing begins in the test" in str(found.reason)
