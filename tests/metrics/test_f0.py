"""f0: pitch that is known from the synthesis, mir_eval's numbers on given tracks, definitions, and their profiles."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.bench import sources
from audiosim.models.pitch import agreement, tracker
from audiosim.testing.signals import COMPILED, Array, harmonic, silence, sine

RATE = 16000
compiled = pytest.mark.skipif(not COMPILED, reason="seconds of sound")


def given_tracks() -> tuple[Array, Array]:
    """Hz [frame]: drifting pitch, some octave errors, some voicing errors."""
    rng, n = np.random.default_rng(5), 200
    ref = 220 * 2 ** (np.cumsum(rng.normal(0, 0.03, n)))
    test = ref * 2 ** (rng.normal(0, 40, n) / 1200)
    test[::17] *= 2
    test[5::23] *= 1.4
    ref[20:40] = ref[150:170] = 0
    test[25:50] = test[120:130] = 0
    return ref, test


def test_given_tracks_as_mir_eval() -> None:
    """mir_eval 0.8.2: to_cent_voicing(t, ref, t, test), t in steps of 10 ms, then melody.raw_pitch_accuracy,
    raw_chroma_accuracy, overall_accuracy, voicing_recall and voicing_false_alarm."""
    found = agreement.measures(*given_tracks())
    theirs = {"rpa": 0.6375, "rca": 0.675, "accuracy": 0.585, "recall": 0.875, "false_alarm": 0.625}
    for name, value in theirs.items():
        assert found[name].value == pytest.approx(value, abs=1e-9)


def test_given_tracks_as_defined() -> None:
    ref, test = given_tracks()
    both = (ref > 0) & (test > 0)
    gross = np.abs(test[both] / ref[both] - 1) > 0.2
    voicing = (ref > 0) != (test > 0)
    cents = 1200 * np.log2(test[both] / ref[both])
    wanted = {
        "gpe": gross.mean(),
        "vde": voicing.mean(),
        "ffe": (gross.sum() + voicing.sum()) / ref.size,
        "rmse": np.sqrt(np.mean(cents**2)),
        "correlation": np.corrcoef(ref[both], test[both])[0, 1],
        "rmse_hz": np.sqrt(np.mean((test - ref)[both] ** 2)),
        "rmse_hz_zeros": np.sqrt(np.mean((test - ref) ** 2)),
        "correlation_zeros": np.corrcoef(ref, test)[0, 1],
    }
    found = agreement.measures(ref, test)
    for name, value in wanted.items():
        assert found[name].value == pytest.approx(value, rel=1e-9), name


def test_tracks_without_voice() -> None:
    zeros, ones = np.zeros(5), np.full(5, 200.0)
    neither = agreement.measures(zeros, zeros)
    assert (neither["ffe"].value, neither["gpe"].value, neither["rpa"].value) == (0.0, None, None)
    assert agreement.measures(zeros, ones)["ffe"].value == 1.0
    assert agreement.measures(ones, ones)["correlation"].value is None


@compiled
@pytest.mark.parametrize("hz", [62.0, 110.0, 247.3, 440.0, 880.0])
def test_steady_tones_are_found_to_some_cents(hz: float) -> None:
    """A parabola through a dip knows less of sharp ones, where a period of rich tones is few samples."""
    for make in (sine, harmonic):
        hertz = tracker.track(make(RATE, 0.4, 1, frequency=hz)[0], RATE, 60, 1000).hz[5:-5]
        np.testing.assert_allclose(1200 * np.log2(hertz / hz), 0, atol=2 if hz < 500 else 5)


def test_a_tone_is_found_uncompiled_too() -> None:
    hertz = tracker.track(sine(8000, 0.08, 1, frequency=200.0)[0], 8000, 100, 400).hz
    np.testing.assert_allclose(hertz[3:5], 200, rtol=2e-3)


@compiled
def test_voices_of_known_pitch() -> None:
    """Gross errors of at most 2 %: the figure asked of the tracker."""
    for seed in range(4):
        voice = sources.voice(np.random.default_rng(seed), RATE, 4.0)
        track = tracker.track(voice.samples, RATE, 60, 1000)
        truth = voice.pitch[np.minimum(np.round(track.times * RATE).astype(int), voice.pitch.size - 1)]
        found = agreement.measures(truth, track.hz)
        gross, correlation = found["gpe"].value, found["correlation"].value
        assert gross is not None
        assert gross <= 0.02
        assert correlation is not None
        assert correlation > 0.98


@compiled
def test_a_shift_of_pitch_shows_in_cents() -> None:
    ref, test = (harmonic(RATE, 1.0, 1, frequency=f) for f in (200.0, 200.0 * 2 ** (70 / 1200)))
    found = compare(ref, test, ["f0:output=rmse", "f0:output=rca", "f0"], rate=RATE, detail="map")
    cents = found["f0:output=rmse"]
    assert (cents.unit, cents.value) == ("cent", pytest.approx(70, abs=1))
    assert cents.details["cents"] == pytest.approx(70, abs=1)
    assert cents.map is not None
    assert cents.map.sum() == pytest.approx(cents.value)
    assert cents.bands is not None
    assert cents.bands[np.nanargmax(cents.per_band)] == pytest.approx(200, abs=30)
    assert found["f0:output=rca"].value == 0
    assert found["f0:output=rca"].better == "higher"
    assert found["f0"].value < 0.05  # 70 cents are no gross error


@compiled
def test_undefined_says_why() -> None:
    tone, quiet = harmonic(RATE, 0.5), silence(RATE, 0.5)
    metric = metrics.get("f0")
    assert metric.compute(tone, quiet, RATE).value > 0.9
    assert metric.compute(quiet, quiet, RATE).value == 0
    assert "in the test" in str(metric.compute(tone, quiet, RATE, output="rmse").reason)
