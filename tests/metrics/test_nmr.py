"""nmr: that it is PEAQ's variable and its plain formula, and its map."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.judge.explain import explain
from audiosim.signal import Signal
from audiosim.testing.signals import Array, added_click, added_noise, added_tone, affordable, chord_music, pink, silence
from tests import naive

RATE = 48000


def answer(ref: Array, test: Array, spec: str = "nmr", **options: Any) -> Any:
    return compare(ref, test, spec, RATE, **options)[spec]


def pair(seconds: float = 1.0) -> tuple[Array, Array]:
    x = chord_music(RATE, affordable(seconds), 1, 2)
    return x, added_noise(x, RATE, 0.01, 2)


@pytest.mark.parametrize("level", [92.0, 60.0])
def test_it_is_the_variable_of_peaq(level: float) -> None:
    both = compare(*pair(), [f"nmr:level={level}", f"peaq:level={level}"], RATE)
    nmr, peaq = both.values()
    assert nmr.value == pytest.approx(peaq.details["TotalNMR"], rel=1e-12)
    assert nmr.details["audible_frames"] == peaq.details["RelDistFrames"]


def ratios(r: Array, t: Array) -> Any:
    """Noise to mask [frame, band] of one channel."""
    a, b = naive.peaq_ear(r), naive.peaq_ear(t)
    noise = naive.bark_bands((np.sqrt(a["weighted"]) - np.sqrt(b["weighted"])) ** 2)
    return noise * naive.Bark.mask / a["excitation"]


def test_value_profile_and_map_are_their_plain_formulas() -> None:
    ref, test = (x[:1] for x in pair())
    plain = ratios(ref[0], test[0])
    result = answer(ref, test, detail="map", band_edges="bins")
    assert result.value == pytest.approx(10 * np.log10(plain.mean()), rel=1e-9)
    assert result.details["audible_frames"] == np.mean(plain.max(axis=1) > 10**0.15)
    np.testing.assert_allclose(result.per_band, 10 * np.log10(plain.mean(axis=0)), rtol=1e-9)
    np.testing.assert_allclose(result.per_time, 10 * np.log10(plain.mean(axis=1)), rtol=1e-9)
    np.testing.assert_allclose(result.map, plain / plain.size, rtol=1e-9)
    np.testing.assert_allclose(result.bands, naive.Bark.f, rtol=1e-9)


def test_noise_10_db_down_is_masked_10_db_better() -> None:
    x = pink(RATE, affordable(2.0), 1)
    values = [answer(x, x * (1 + gain)).value for gain in (0.1, 0.01, 0.001)]
    np.testing.assert_allclose(np.diff(values), -20, atol=1e-6)


def test_identical_recordings_are_at_the_floor() -> None:
    x, _ = pair()
    result = answer(x, x, detail="map")
    assert result.value < -120
    assert result.details["audible_frames"] == 0
    assert not result.map.any(), "there is nothing to point at"
    said = explain(Signal.of(x, RATE, "a"), Signal.of(x, RATE, "b"), "nmr").sentence
    assert "no difference" in said


def test_explain_finds_a_tone_and_a_click() -> None:
    x = pink(RATE, affordable(2.0), 1)
    for distorted in (
        added_tone(x, RATE, 0.5, frequency=3000.0),
        added_click(x, RATE, 1.0, time=x.shape[1] / RATE / 2),
    ):
        top = explain(Signal.of(x, RATE, "a"), Signal.of(distorted, RATE, "b"), "nmr").regions[0]
        assert top.low <= 3300
        assert top.high >= 2700
        assert top.start <= x.shape[1] / RATE / 2 <= top.end


def test_where_it_has_no_number_it_says_why() -> None:
    x, quiet = pink(RATE, 0.1, 1), silence(RATE, 0.1)
    assert answer(quiet, x).reason == "the reference is silent"
    assert "2048" in str(answer(x[:, :100], x[:, :100]).reason)
    assert answer(x, quiet).value > 0, "all of the reference is missing"


def test_a_channel_that_is_silent_in_both_is_left_out() -> None:
    ref, test = (x[:1] for x in pair())
    result = answer(*(np.concatenate([x, 0 * x]) for x in (ref, test)))
    assert result.value == answer(ref, test).value
    assert np.isnan(result.per_channel[1])


def test_six_channels() -> None:
    x = pink(RATE, 0.1, 1, 6)
    assert answer(x, added_noise(x, RATE, 0.1, 1)).per_channel.shape == (6,)


def test_its_map_is_a_level() -> None:
    assert metrics.get("nmr").card.map == "level"
