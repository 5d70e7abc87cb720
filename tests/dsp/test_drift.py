"""Clocks that differ are measured to a fraction of a ppm, undone, and not found where there are none."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import soxr

from audiosim.dsp.drift import Drift, drift, lasting, late, undone
from audiosim.testing.signals import COMPILED, added_noise, clipping, low_pass, noise, pink, sine, speech_like, sweep

pytestmark = pytest.mark.skipif(not COMPILED, reason="no kernels here, and it has run compiled")

RATE = 16000


def _pair(ppm: float, delay: int = 0, seconds: float = 6.0, channels: int = 1, source: Any = speech_like) -> Any:
    """A reference, a test whose clock differs, and where the reference's first sample lies in the test."""
    x = source(RATE, seconds + 2, 3, channels)
    stretch = 1 + ppm / 1e6
    y = soxr.resample(x.T, 1.0, stretch, quality="VHQ").T
    n, first = round(RATE * seconds), round(RATE * stretch) - delay
    return x[:, RATE : RATE + n], y[:, first : first + round(n * stretch)], RATE * stretch - first


@pytest.mark.parametrize("source", [speech_like, pink])
@pytest.mark.parametrize("ppm", [0.0, 2.0, -50.0, 1000.0, -20000.0, 79000.0])
def test_found_to_a_fraction_of_a_ppm(source: Any, ppm: float) -> None:
    ref, test, first = _pair(ppm, 200, source=source)
    found = drift(ref, test, RATE)
    assert found.found
    assert found.clear == (ppm != 0)
    assert abs(found.ppm - ppm) < 0.05
    assert abs(found.delay_samples_at_start - first) < 5e-3
    assert found.error_ppm < 0.05


@pytest.mark.parametrize("fine", [True, False])
def test_at_either_rate(fine: bool) -> None:
    ref, test, first = _pair(300.0)
    found = drift(ref, test, RATE, fine=fine)
    assert abs(found.ppm - 300) < 0.05
    assert abs(found.delay_samples_at_start - first) < 0.05


def test_noise_and_a_codecs_low_pass_widen_the_error_and_nothing_else() -> None:
    ref, test, _ = _pair(100.0, seconds=8.0)
    for spoilt in (added_noise(test, RATE, 0.3, 1), low_pass(test, RATE, 0.4, 1), clipping(test, RATE, 0.4, 1)):
        found = drift(ref, spoilt, RATE)
        assert found.clear
        assert abs(found.ppm - 100) < max(5 * found.error_ppm, 0.2) < 5


@pytest.mark.parametrize("spoilt", [added_noise, low_pass, clipping])
@pytest.mark.parametrize("source", [speech_like, pink, noise])
def test_no_drift_where_there_is_none(source: Any, spoilt: Any) -> None:
    x = source(RATE, 6.0, 5, 1)
    assert not drift(x, spoilt(x, RATE, 0.5, 2), RATE).clear


@pytest.mark.parametrize("source", [speech_like, pink, noise])
def test_unrelated_recordings_have_none(source: Any) -> None:
    assert not drift(source(RATE, 5.0, 1, 1), source(RATE, 5.0, 2, 1), RATE).found


def test_nothing_is_found_in_silence_in_a_tone_that_changed_or_in_too_little() -> None:
    x = speech_like(RATE, 3.0, 1, 1)
    for ref, test in (
        (x, np.zeros_like(x)),
        (np.zeros_like(x), x),
        (x[:, :800], x[:, :800]),
        (sine(RATE, 3.0), added_noise(sine(RATE, 3.0), RATE, 1.0, 1)),
    ):
        assert not drift(ref, test, RATE).clear


def test_lost_buffers_are_no_drift() -> None:
    x = speech_like(RATE, 8.0, 2, 1)
    assert not drift(x, np.concatenate((x[:, : 4 * RATE], x[:, 4 * RATE + 160 :]), axis=1), RATE).clear


def test_polarity_and_channels_do_not_matter() -> None:
    ref, test, _ = _pair(-400.0, channels=2)
    for changed in (-test, test * np.array([[1.0], [-1.0]]), 0.05 * test, test.astype(np.float32)):
        assert abs(drift(ref, changed, RATE).ppm + 400) < 0.1


@pytest.mark.parametrize("ppm", [-3000.0, 40.0, 50000.0])
def test_undone(ppm: float) -> None:
    """What lies far below the Nyquist frequency comes back; the resampler that made the test takes the rest."""
    ref, test, first = _pair(ppm, 150, channels=2, source=lambda *a: low_pass(speech_like(*a), RATE, 0.5, 0))
    back = undone(test, Drift(ppm, first, 1.0, True), 0, ref.shape[1])
    assert back.shape == ref.shape
    assert back.dtype == ref.dtype
    inside = slice(RATE // 4, -RATE // 4)
    left = (back - ref)[:, inside]
    assert np.square(left).sum() < 1e-6 * np.square(ref[:, inside]).sum()


@pytest.mark.parametrize("ppm", [100.0, -2000.0])
def test_nothing_is_lost_below_the_end_of_the_band(ppm: float) -> None:
    """Sines in closed form, up to 0.99 of the Nyquist frequency."""
    n, stretch = np.arange(RATE), 1 + ppm / 1e6
    for omega in np.pi * np.array([0.3, 0.92, 0.96, 0.99]):
        back = undone(np.sin(omega * n / stretch)[None], Drift(ppm, 0.0, 1.0, True), 0, RATE)[0]
        inside = slice(RATE // 4, -RATE // 4)
        np.testing.assert_allclose(back[inside], np.sin(omega * n)[inside], atol=1e-4)


@pytest.mark.parametrize("rate", [16000, 48000])
def test_a_sweep_has_no_drift_of_its_own(rate: int) -> None:
    x = sweep(rate, 8.0, 5, 1)
    for y in (x, 0.1 * x):
        assert not drift(x, y, rate).clear


def test_a_drift_in_noise_is_not_taken_for_none() -> None:
    x = pink(48000, 6.0, 1, 1)
    y = soxr.resample(x.T, 1.0, 1 + 30e-6, quality="VHQ").T
    y += np.random.default_rng(1).standard_normal(y.shape) * np.sqrt(np.square(y).mean() / 10)
    assert abs(drift(x, y, 48000).ppm - 30) < 1


def test_undone_in_parts_is_undone_at_once() -> None:
    _, test, first = _pair(500.0, seconds=10.0)
    clock = Drift(500.0, first, 1.0, True)
    whole = undone(test, clock)
    assert whole.shape[1] == lasting(test.shape[1], clock)
    part = undone(test, clock, 70000, 5000)
    assert np.abs(part - whole[:, 70000:75000]).max() < 1e-4 * np.abs(whole).max()


def test_the_same_bits_again() -> None:
    ref, test, _ = _pair(70.0)
    assert drift(ref, test, RATE) == drift(ref.copy(), test.copy(), RATE)


# The delay alone


@pytest.mark.parametrize("source", [speech_like, pink])
@pytest.mark.parametrize("by", [21, -37, 1105, -9000])
def test_a_clear_delay_is_told(source: Any, by: int) -> None:
    x = source(RATE, 6.0, 1, 2)
    ref, test = x[:, RATE:-RATE], x[:, RATE - by : -RATE - by]
    told = late(ref, test, RATE)
    assert told is not None
    assert abs(told - by) < 0.1
    told = late(ref, -0.2 * added_noise(test, RATE, 0.1, 1), RATE)
    assert told is not None
    assert abs(told - by) < 0.5


@pytest.mark.parametrize("source", [speech_like, pink, noise, sine])
def test_no_delay_is_told_where_there_is_none(source: Any) -> None:
    x = source(RATE, 3.0, 1, 1)
    spoilt = [made(x, RATE, strength, 1) for made in (added_noise, low_pass, clipping) for strength in (0.1, 0.5, 1.0)]
    for test in (x, -x, 0.1 * x, np.zeros_like(x), source(RATE, 3.0, 2, 1), *spoilt):
        assert late(x, test, RATE) is None
    assert late(x[:, :1000], x[:, 100:1100], RATE) is None


def test_a_tone_has_no_one_delay() -> None:
    x = sine(RATE, 3.0)
    assert late(x[:, :-100], x[:, 100:], RATE) is None
