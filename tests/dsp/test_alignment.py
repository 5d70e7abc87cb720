"""Delays are found to a fraction of a sample, and not found where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim.dsp.alignment import CLEAR, CONFIDENCE, SHORTEST, advanced, correlation, delay, overlap
from audiosim.testing.signals import (
    COMPILED,
    SIGNALS,
    added_noise,
    clipping,
    low_pass,
    noise,
    pink,
    quantisation,
    sine,
    speech_like,
)

pytestmark = pytest.mark.skipif(not COMPILED, reason="no kernels here, and it has run compiled")

RATE = 16000
BROAD = ("noise", "pink", "sweep", "speech_like", "clicks", "chord_music")  # have one delay, not one a period


def _pair(name: str, late: int, fraction: float = 0.0, seconds: float = 1.5, channels: int = 1) -> tuple[Any, Any]:
    x = SIGNALS[name](RATE, seconds + 1, 3, channels)
    n, start = round(RATE * seconds), RATE // 2
    return x[:, start : start + n], advanced(x, -fraction)[:, start - late : start - late + n]


@pytest.mark.parametrize("name", BROAD)
@pytest.mark.parametrize("late", [0, 1, -1, 37, -1234, 4000])
def test_whole_samples_are_exact(name: str, late: int) -> None:
    ref, test = _pair(name, late)
    found = delay(ref, test, RATE)
    assert found.found
    assert abs(found.samples - late) < 1e-3
    assert found.correlation == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", ["noise", "pink", "speech_like", "chord_music"])
@pytest.mark.parametrize("fraction", [0.3, -0.3, 0.5, -0.07])
def test_fractions(name: str, fraction: float) -> None:
    ref, test = _pair(name, 100, fraction)
    assert delay(ref, test, RATE).samples == pytest.approx(100 + fraction, abs=1e-3)
    single = delay(ref.astype(np.float32), test.astype(np.float32), RATE)
    assert single.samples == pytest.approx(100 + fraction, abs=1e-3)


@pytest.mark.parametrize("name", ["noise", "pink", "speech_like"])
@pytest.mark.parametrize(
    ("spoilt", "strength"), [(added_noise, 0.3), (quantisation, 0.5), (clipping, 0.6), (low_pass, 0.4)]
)
def test_fractions_of_spoilt_tests(name: str, spoilt: Any, strength: float) -> None:
    ref, test = _pair(name, -250, 0.3)
    found = delay(ref, spoilt(test, RATE, strength, 5), RATE)
    assert found.samples == pytest.approx(-249.7, abs=0.02)


@pytest.mark.parametrize("name", ["noise", "pink", "speech_like", "clicks", "chord_music", "sweep"])
def test_far_below_the_noise(name: str) -> None:
    ref, test = _pair(name, 800)
    found = delay(ref, added_noise(test, RATE, 3.0, 5), RATE)
    assert found.found
    assert abs(found.samples - 800) < 1
    assert found.correlation < 0.4


@pytest.mark.parametrize("name", ["noise", "pink", "speech_like", "clicks", "chord_music"])
def test_inverted_polarity(name: str) -> None:
    ref, test = _pair(name, 77)
    found = delay(ref, -0.1 * test, RATE)
    assert abs(found.samples - 77) < 1e-3
    assert found.correlation == pytest.approx(-1, abs=1e-6)


def test_channels_share_one_delay() -> None:
    ref, test = _pair("speech_like", 60, 0.25, channels=2)
    ref[1], test[1] = -ref[0], -test[0]  # their mean is silence
    assert delay(ref, test, RATE).samples == pytest.approx(60.25, abs=1e-3)


def test_a_tone_is_moved_by_less_than_a_period() -> None:
    tone = sine(RATE, 1.1)
    found = delay(tone[:, 100:-100], tone[:, 97:-103], RATE)
    assert found.found
    assert abs((found.samples - 3 + 8) % 16 - 8) < 0.01
    assert found.correlation == pytest.approx(1, abs=1e-3)


def test_different_lengths_and_offsets() -> None:
    ref, test = _pair("speech_like", 300)
    assert abs(delay(ref, test[:, :-5000] + 0.2, RATE).samples - 300) < 1e-3
    assert abs(delay(ref[:, :9000], test, RATE).samples - 300) < 1e-3


def test_beyond_the_limit_nothing_is_found() -> None:
    ref, test = _pair("noise", 3000)
    assert not delay(ref, test, 2000).found
    assert delay(ref, test, 3000).found


@pytest.mark.parametrize("seconds", [0.05, 0.5, 2.0])
def test_unrelated_sounds_have_no_delay(seconds: float) -> None:
    for make in (noise, pink, speech_like):
        false = [delay(make(RATE, seconds, seed), make(RATE, seconds, seed + 100), RATE).found for seed in range(10)]
        assert sum(false) <= 1


@pytest.mark.parametrize("pair", [("chord_music", "harmonic"), ("pink", "harmonic"), ("speech_like", "harmonic")])
@pytest.mark.parametrize("channels", [1, 2])
def test_chance_peaks_of_tones_are_no_delay(pair: tuple[str, str], channels: int) -> None:
    for seed in range(3):
        ref, test = (SIGNALS[n](RATE, 2.0, seed + 50 * i, channels) for i, n in enumerate(pair))
        found = delay(ref, test, RATE)
        assert not found.found or abs(found.correlation) > CLEAR


@pytest.mark.parametrize("name", ["noise", "speech_like", "chord_music"])
@pytest.mark.parametrize("strength", [0.0, 1.0])
def test_an_inverted_channel(name: str, strength: float) -> None:
    ref, test = _pair(name, 700, channels=2)
    found = delay(ref, added_noise(test * [[1], [-1]], RATE, strength, 5), RATE)
    assert found.found
    assert abs(found.samples - 700) < 0.1
    assert abs(found.correlation) > 0.65
    assert found.inverted == (1,)


@pytest.mark.parametrize("channels", [2, 3])
def test_exchanged_channels(channels: int) -> None:
    ref = np.concatenate([SIGNALS["speech_like"](RATE, 2.0, seed) for seed in range(channels)])
    late = np.pad(ref, ((0, 0), (700, 0)))
    found = delay(ref, added_noise(np.roll(late, 1, axis=0), RATE, 0.3, 5), RATE)
    assert found.found
    assert abs(found.samples - 700) < 0.1
    assert found.correlation > CLEAR
    assert found.inverted == ()
    unrelated = np.concatenate([SIGNALS["speech_like"](RATE, 2.0, 50 + seed) for seed in range(channels)])
    assert not delay(ref, unrelated, RATE).found


@pytest.mark.parametrize("late", [0, 700])
def test_exchanged_channels_of_spaced_microphones(late: int) -> None:
    x = SIGNALS["speech_like"](RATE, 2.0, 0)[0]
    ref = np.stack([x[17:], x[:-17]]) + 0.01 * noise(RATE, 2.0, 1, 2)[:, 17:]
    found = delay(ref, np.pad(ref[::-1], ((0, 0), (late, 0))), RATE)
    assert abs(found.samples - late) < 0.1
    assert found.correlation > 0.99


def test_a_delay_beyond_the_range_is_seen_but_not_found() -> None:
    ref, test = _pair("speech_like", 6000)
    found = delay(ref, test, 800)
    assert (found.found, found.samples) == (False, 6000)
    assert found.confidence >= CONFIDENCE


def test_silence_constants_and_short_ones_have_no_delay() -> None:
    x = noise(RATE, 0.5)
    for ref, test in ((x, 0 * x), (0 * x, x), (0 * x, 0 * x), (0 * x + 0.5, 0 * x - 0.5)):
        assert not delay(ref, test, RATE).found
    assert not delay(x[:, : SHORTEST - 1], x[:, : SHORTEST - 1], RATE).found
    assert not delay(x[:, :1], x, RATE).found


def test_inputs_stay_as_they_are() -> None:
    ref, test = _pair("noise", 10)
    kept = ref.copy(), test.copy()
    assert delay(ref, test, RATE) == delay(ref, test, RATE)
    advanced(test, 0.4)
    assert np.array_equal(ref, kept[0])
    assert np.array_equal(test, kept[1])


@pytest.mark.parametrize(("dtype", "error"), [(np.float32, 1e-6), (np.float64, 1e-9)])
@pytest.mark.parametrize("by", [0.3, -0.5, 0.999])
def test_a_fractional_shift_is_the_sound_at_other_times(dtype: Any, error: float, by: float) -> None:
    t = np.arange(RATE) / RATE

    def burst(t: Any) -> Any:
        return np.stack([np.exp(-(((t - 0.5) / 0.05) ** 2)) * np.sin(2 * np.pi * f * t) for f in (300, 5000)])

    moved = advanced(burst(t).astype(dtype), by)
    assert moved.dtype == dtype
    assert np.abs(moved - burst(t + by / RATE)).max() < error


def test_there_and_back() -> None:
    x = low_pass(noise(RATE, 1.0), RATE, 0.3)
    x *= np.hanning(x.shape[1])
    assert np.abs(advanced(advanced(x, 0.37), -0.37) - x).max() < 1e-4


def test_overlap() -> None:
    x = np.arange(10.0)[None]
    a, b = overlap(x, x[:, :8], 3)
    assert (a[0].tolist(), b[0].tolist()) == ([0, 1, 2, 3, 4], [3, 4, 5, 6, 7])
    a, b = overlap(x, x[:, :8], -3)
    assert (a[0, 0], b[0, 0], a.shape, b.shape) == (3, 0, (1, 7), (1, 7))


def test_correlation() -> None:
    x = noise(RATE, 0.2, channels=2)
    assert correlation(x, 3 * x + 1) == pytest.approx(1)
    assert correlation(x, -x) == pytest.approx(-1)
    assert abs(correlation(x, noise(RATE, 0.2, 9, 2))) < 0.1
    assert correlation(x, 0 * x) == 0
