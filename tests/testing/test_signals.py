"""The signals and distortions that other tests rely on do what they say."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from audiosim.testing.signals import (
    DISTORTIONS,
    GRADED,
    SIGNALS,
    Array,
    added_click,
    added_tone,
    delay,
    noise,
    pink,
    shaped_noise,
    sine,
    speed,
    tremor,
)

STRENGTHS = (0.05, 0.2, 0.5, 1.0)
UNORDERED = ("delay", "speed")  # the sample-wise difference of a periodic sound comes and goes with the delay
EVERY = {**DISTORTIONS, **GRADED}


def _mse(x: Array, y: Array) -> float:
    return float(np.mean((x - y) ** 2))


@pytest.mark.parametrize("name", SIGNALS)
@pytest.mark.parametrize("seconds", [1 / 8000, 0.01, 0.1, 0.7])
def test_signal_is_a_signal(name: str, seconds: float) -> None:
    x = SIGNALS[name](8000, seconds, 1, 2)
    assert x.shape == (2, max(1, round(8000 * seconds)))
    assert x.dtype == np.float64
    assert x.flags.c_contiguous
    assert np.isfinite(x).all()
    assert np.abs(x).max() <= 1
    assert np.array_equal(x, SIGNALS[name](8000, seconds, 1, 2))
    if seconds >= 0.1 and name != "silence":
        assert not np.array_equal(x, SIGNALS[name](8000, seconds, 2, 2))
        assert not np.array_equal(x[0], x[1])


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("signal", SIGNALS)
def test_distortion_keeps_shape_and_strength_zero_is_identity(name: str, signal: str) -> None:
    for seconds in (1 / 8000, 0.1):
        x = SIGNALS[signal](8000, seconds, 3, 2)
        before = x.copy()
        assert np.array_equal(EVERY[name](x, 8000, 0.0, 1), x)
        y = EVERY[name](x, 8000, 0.7, 1)
        assert y.shape == x.shape
        assert y.dtype == np.float64
        assert y.flags.c_contiguous
        assert y is not x
        assert np.isfinite(y).all()
        assert np.array_equal(x, before)
        assert np.array_equal(y, EVERY[name](x, 8000, 0.7, 1))


@pytest.mark.parametrize("name", [n for n in EVERY if n not in UNORDERED])
@pytest.mark.parametrize("signal", ["noise", "pink", "harmonic", "speech_like"])
def test_stronger_is_never_milder(name: str, signal: str) -> None:
    x = SIGNALS[signal](16000, 0.3, 4)
    errors = [_mse(x, EVERY[name](x, 16000, s, 1)) for s in STRENGTHS]
    assert errors[0] > 0
    assert all(b >= a * (1 - 1e-9) for a, b in pairwise(errors)), errors


def test_delay_is_the_delay_it_says() -> None:
    x = noise(16000, 0.3, 5)
    for strength in STRENGTHS:
        late = int(np.argmax(np.correlate(delay(x, 16000, strength)[0], x[0], "full"))) - (x.shape[1] - 1)
        assert late == np.ceil(0.005 * 16000 * strength)


def test_tone_and_click_lie_where_they_should() -> None:
    x = noise(16000, 0.5, 6)
    tone = added_tone(x, 16000, 0.5, frequency=3000.0) - x
    assert np.argmax(np.abs(np.fft.rfft(tone[0]))) * 2 == 3000
    assert np.flatnonzero(added_click(x, 16000, 0.5, time=0.2) - x).tolist() == [3200]


def test_phase_turns_a_sine() -> None:
    x = sine(16000, 0.5, 7, frequency=500.0)
    y = DISTORTIONS["phase"](x, 16000, 1.0)
    inner = slice(2000, 6000)
    assert abs(np.vdot(x[0, inner], y[0, inner])) < 0.02 * np.vdot(x[0, inner], x[0, inner])


def test_pink_falls_three_decibels_an_octave() -> None:
    power = np.abs(np.fft.rfft(pink(16000, 4.0, 8)[0])) ** 2
    octave = [power[4 * f : 8 * f].sum() for f in (200, 400, 800, 1600)]
    assert max(octave) / min(octave) < 1.3


def test_shaped_noise_follows_the_signal_in_time_and_frequency() -> None:
    x = sine(16000, 1.0, 8, frequency=1000.0)
    x[:, 8000:] = 0
    added = shaped_noise(x, 16000, 0.2) - x
    assert 20 * np.log10(np.std(added) / np.sqrt(np.mean(x**2))) == pytest.approx(20 * np.log10(0.2), abs=0.01)
    assert np.std(added[0, 9000:]) < 1e-3 * np.std(added[0, :7000])
    power = np.abs(np.fft.rfft(added[0, :7000])) ** 2
    f = np.fft.rfftfreq(7000, 1 / 16000)
    assert power[(f > 700) & (f < 1400)].sum() > 0.95 * power.sum()


def test_speed_is_a_semitone_and_keeps_the_middle() -> None:
    x = sine(16000, 1.0, 9, frequency=1000.0)
    y = speed(x, 16000, 1.0)
    assert abs(np.argmax(np.abs(np.fft.rfft(y[0], 160000))) / 10 - 1000 * 2 ** (1 / 12)) < 1
    assert y[0, 8000] == pytest.approx(x[0, 8000], abs=1e-2)


def test_tremor_is_five_a_second() -> None:
    x = np.ones((1, 16000))
    assert np.argmax(np.abs(np.fft.rfft(tremor(x, 16000, 0.5)[0])) * (np.arange(8001) > 0)) == 5
