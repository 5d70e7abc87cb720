"""The auditory loss: what it weighs, and that its details are its parts."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import compare
from audiosim.testing.signals import Array, pink, speech_like

RATE = 16000


def distance(ref: Array, test: Array) -> float:
    return compare(ref, test, "auditory-loss", RATE)["auditory-loss"].value


def test_details_are_its_parts() -> None:
    x = speech_like(RATE, 1.0)
    result = compare(x, 0.7 * x + 0.01 * pink(RATE, 1.0, 1), "auditory-loss", RATE)["auditory-loss"]
    assert set(result.details) == {"error", "loudness", "level"}
    assert sum(result.details.values()) == pytest.approx(result.value)


def test_it_hears_polarity_but_not_only_that() -> None:
    """The wave turned has an error of 4 R, 4 / 3 of all, and no other difference; silence one of R, 2 / 3 of all."""
    x = pink(RATE, 1.0, 1)
    turned, silent = (compare(x, y, "auditory-loss", RATE)["auditory-loss"] for y in (-x, 0 * x))
    assert turned.details["error"] == pytest.approx(2**0.5 * silent.details["error"], rel=0.02)
    assert turned.details["loudness"] == turned.details["level"] == 0
    assert distance(x, 0.1 * x) < distance(x, np.zeros_like(x)) < 2.0


def test_noise_in_a_quiet_band_counts_as_in_a_loud_one() -> None:
    """As far below the spectrum of the reference, at low and at high frequencies."""
    x = pink(RATE, 2.0, 1)
    rng = np.random.default_rng(2)
    spectrum = np.fft.rfft(pink(RATE, 2.0, 3)) * np.exp(2j * np.pi * rng.random(RATE + 1))
    f = np.fft.rfftfreq(2 * RATE, 1 / RATE)
    low, high = (0.3 * np.fft.irfft(spectrum * ((f >= a) & (f < b))) for a, b in ((200, 500), (2240, 4000)))
    assert np.sum(low**2) > 1.5 * np.sum(high**2)
    assert distance(x, x + low) == pytest.approx(distance(x, x + high), rel=0.35)


def test_what_is_below_the_threshold_in_quiet_is_not_heard() -> None:
    x = pink(RATE, 1.0, 1)
    assert distance(0 * x, 1e-5 * x) < 1e-2
    assert distance(x, x + 1e-5 * pink(RATE, 1.0, 2)) < 1e-4
