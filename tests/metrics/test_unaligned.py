"""Distances that need no alignment: what each is made to hear, in closed form or on sounds made for it; halves of
pieces."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim import Signal, compare, metrics
from audiosim.errors import InputError
from audiosim.result import Result
from audiosim.testing.signals import COMPILED, Array, noise, pink

compiled = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")


def measured(name: str, ref: Array, test: Array, rate: int = 48000) -> Result:
    return compare(ref, test, name, rate)[name]


def filtered(x: Array, rate: int, decibels: object) -> Array:
    f = np.fft.rfftfreq(x.shape[1], 1 / rate)
    gain = 10 ** (np.asarray(decibels(f)) / 20)  # type: ignore[operator]
    return np.fft.irfft(np.fft.rfft(x) * gain, x.shape[1])


# Long-term average spectrum


@compiled
def test_an_equaliser_is_found() -> None:
    """Two bands of noise, another noise each time: 6 dB more above 2 kHz read as -6 dB there, to the noise's own."""
    x, y = (pink(48000, 8.0, seed) for seed in (1, 2))
    answer = measured("long-term-spectrum", x, 0.3 * filtered(y, 48000, lambda f: 6.0 * (f > 2000)))
    gains = {name: value for name, value in answer.details.items() if name.startswith("eq_")}
    assert list(gains) == [f"eq_{hz}" for hz in (62, 125, 250, 500, 1000, 2000, 4000, 8000, 16000)]
    low, high = (np.mean([gains[f"eq_{hz}"] for hz in at]) for at in ((125, 250, 500, 1000), (4000, 8000, 16000)))
    assert low - high == pytest.approx(6, abs=0.3)
    upper = np.mean(np.array(metrics.get("long-term-spectrum").module.models.colour.centres()) > 2000)
    assert answer.value == pytest.approx(6 * np.sqrt(upper * (1 - upper)), abs=0.3)


@compiled
def test_a_tilt_is_found() -> None:
    x = pink(48000, 8.0, 1)
    tilted = filtered(x, 48000, lambda f: -2 * np.log2(np.maximum(f, 20) / 1000))
    assert measured("long-term-spectrum", x, tilted).details["tilt"] == pytest.approx(2, abs=0.05)


# Loudness profile


@compiled
def test_two_levels_are_a_way_apart() -> None:
    """Noise, half of it 20 dB softer: half of the levels lie 20 dB below the other half, and the mean power is that of
    the loud half less 3 dB."""
    x = noise(48000, 10.0, 1)
    halves = x * np.where(np.arange(x.shape[1]) < x.shape[1] // 2, 1.0, 0.1)
    answer = measured("loudness-profile", x, halves)
    loud = 10 * np.log10(2 / 1.01)
    assert answer.value == pytest.approx((loud + 20 - loud) / 2, abs=0.2)
    assert answer.details["range_difference"] == pytest.approx(20, abs=0.5)


@compiled
def test_crest_of_a_sine_and_a_square() -> None:
    t = np.arange(48000) / 48000
    sine = np.sin(2 * np.pi * 100 * t)[None]
    details = measured("loudness-profile", sine, 0.1 * sine).details
    assert details["crest_ref"] == pytest.approx(10 * np.log10(2), abs=0.01)
    assert details["crest_difference"] == pytest.approx(0, abs=1e-9)


# Stereo image


def image(answer: Result, name: str) -> float:
    return answer.details[f"{name}_test"]


@compiled
def test_places_of_one_source() -> None:
    x = pink(48000, 2.0, 1)[0]
    middle, left, antiphase = np.stack([x, x]), np.stack([x, 0 * x]), np.stack([x, -x])
    panned = np.stack([2 * x, x])
    apart = np.stack([x, pink(48000, 2.0, 2)[0]])
    late = np.stack([np.concatenate([x, np.zeros(24)]), np.concatenate([np.zeros(24), x])])
    # s is (0, 1, 0), (1, 0, 0), (0, -1, 0), (0.6, 0.8, 0) and 0
    for test, wanted in ((left, 0.5**0.5), (antiphase, 1.0), (panned, 0.1**0.5)):
        assert measured("space", middle, test).value == pytest.approx(wanted, abs=1e-3)
    assert measured("space", middle, apart).value == pytest.approx(0.5, abs=0.05)
    assert image(measured("space", middle, panned), "balance") == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert image(measured("space", middle, antiphase), "width") == pytest.approx(1)
    assert image(measured("space", middle, apart), "width") == pytest.approx(0.5, abs=0.05)
    assert image(measured("space", middle, late), "delay") == pytest.approx(0.5, abs=0.05)
    assert image(measured("space", middle, left), "coherence") == pytest.approx(1, abs=1e-3)


@compiled
def test_a_source_that_moves_is_no_wide_one() -> None:
    """Left, then right, beside two channels that have nothing to do with one another: alike on average."""
    x, y = (pink(48000, 2.0, seed)[0] for seed in (1, 2))
    first = np.arange(x.size) < x.size // 2
    details = measured("space", np.stack([x, y]), np.stack([x * first, x * ~first])).details
    assert details["image"] < 0.1
    assert details["panorama"] > 0.3


@compiled
def test_places_of_a_panorama() -> None:
    x = pink(48000, 2.0, 1)[0]
    middle, left, panned = np.stack([x, x]), np.stack([x, 0 * x]), np.stack([2 * x, x])
    for one, other, wanted in ((middle, left, 0.5), (left, left[::-1], 1.0), (middle, panned, 0.3)):
        assert measured("space:output=panorama", one, other).value == pytest.approx(wanted, abs=1e-3)


def test_more_than_two_channels_have_no_image() -> None:
    with pytest.raises(InputError, match="has 3 channels: a stereo image has two"):
        metrics.get("space").feature(Signal.of(noise(48000, 0.1, 1, 3), 48000, "surround.wav"))


# Rhythm


def beat(per_minute: float, seed: int, seconds: float = 12.0) -> Array:
    rate = 22050
    t = np.arange(round(rate * seconds)) / rate
    return noise(rate, seconds, seed) * np.exp(-12 * (t * per_minute / 60 % 1)) + 1e-3 * noise(rate, seconds, 99)


@compiled
@pytest.mark.parametrize("name", ["fluctuation", "onset-pattern"])
def test_one_rhythm_in_other_noise_is_near_and_another_is_far(name: str) -> None:
    same, other = (measured(name, beat(120, 1), beat(b, 2), 22050).value for b in (120, 170))
    assert same < 0.3 * other


@compiled
def test_fluctuation_has_the_rate_of_the_beat() -> None:
    details = measured("fluctuation", beat(120, 1), beat(240, 1), 22050).details
    assert details["gravity_test"] > 1.05 * details["gravity_ref"]


@compiled
def test_another_tempo_is_a_shift_of_the_onset_pattern() -> None:
    by = 2 ** (2 / 5)
    same, shifted = (
        metrics.get("onset-pattern").compute(beat(100, 1), beat(100 * by, 1), 22050, tempo=tempo).value
        for tempo in ("same", "any")
    )
    assert shifted < 0.6 * same


# Pieces


def piece(seed: int, rate: int = 22050, seconds: float = 8.0) -> Array:
    """An instrument of its own plays a loop of four chords to a drum of its own, never twice as loud."""
    rng = np.random.default_rng([seed, 60])
    t = np.arange(round(rate * seconds)) / rate
    partials = np.arange(1, 9) ** -rng.uniform(0.5, 2.5) * rng.uniform(0.2, 1, 8)
    base, decay, period = rng.uniform(100, 300), rng.uniform(1, 8), rng.uniform(0.2, 0.4)
    loop, x = rng.choice([0, 3, 5, 7, 10, 12, 15], (4, 2)), np.zeros(t.size)
    for i, at in enumerate(np.arange(0, seconds, period)):
        on = slice(round(at * rate), round((at + 2 * period) * rate))
        since = t[on] - at
        for note in loop[i % 4]:
            f = base * 2 ** (note / 12)
            waves = np.sin(2 * np.pi * f * np.outer(np.arange(1, 9), since)) * np.exp(-decay * since)
            x[on] += rng.uniform(0.5, 1) * (partials * (f * np.arange(1, 9) < rate / 2)) @ waves
    drum = rng.standard_normal(t.size) * np.exp(-rng.uniform(10, 40) * (t % period))
    colour = rng.uniform(-6, 3)
    drum = filtered(drum[None], rate, lambda f: colour * np.log2(np.maximum(f, 50) / 1000))[0]
    return (x / np.abs(x).max() + rng.uniform(0.05, 0.5) * drum / np.abs(drum).max() + 1e-4 * noise(rate, seconds))[0]


@compiled
def test_halves_of_sixty_pieces_find_each_other() -> None:
    """The nearest of the other 119 halves is the other half of the piece."""
    pieces = [piece(seed) for seed in range(60)]
    halves = [half for x in pieces for half in np.split(x[: x.size // 2 * 2], 2)]
    partner = np.arange(120) ^ 1
    for name in ("timbre-kl", "timbre-js", "timbre-emd", "timbre-ala"):
        metric = metrics.get(name)
        features = np.stack([metric.feature(Signal.of(x, 22050)) for x in halves])
        apart = np.stack([metric.distances(f, features) for f in features])
        np.fill_diagonal(apart, np.inf)
        assert np.mean(apart.argmin(1) == partner) >= 0.9, name
