"""noise-loudness: that it is PEAQ's variable and its plain formula, what it hears, and its profile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.judge.explain import explain
from audiosim.signal import Signal
from audiosim.testing.signals import (
    COMPILED,
    Array,
    added_noise,
    added_tone,
    affordable,
    chord_music,
    low_pass,
    pink,
    silence,
)
from tests import naive

RATE = 48000


def answer(ref: Array, test: Array, spec: str = "noise-loudness", **options: Any) -> Any:
    return compare(ref, test, spec, RATE, **options)[spec]


def pair(seconds: float = affordable(1.0)) -> tuple[Array, Array]:
    x = chord_music(RATE, seconds, 1, 2)
    return x, added_noise(x, RATE, 0.01, 2)


@pytest.mark.parametrize("seconds", [1.0, 0.5, 0.1] if COMPILED else [0.1])
@pytest.mark.parametrize("level", [92.0, 60.0])
def test_it_is_the_variable_of_peaq(level: float, seconds: float) -> None:
    both = compare(*pair(seconds), [f"noise-loudness:level={level}", f"peaq:level={level}"], RATE)
    ours, peaq = both.values()
    assert ours.value > 0
    assert ours.value == pytest.approx(peaq.details["RmsNoiseLoud"], rel=1e-12)


def test_value_and_profile_are_their_plain_formulas() -> None:
    ref, test = (x[:1] for x in pair())
    sones = naive.peaq_noise_loudness(naive.peaq_ear(ref[0]), naive.peaq_ear(test[0]))
    result = answer(ref, test, detail="map", band_edges="bins")
    begin = 24 if COMPILED else 3
    assert result.value == pytest.approx(np.sqrt(np.mean(sones[begin:] ** 2)), rel=1e-9)
    np.testing.assert_allclose(result.per_time, sones, rtol=1e-7)
    np.testing.assert_allclose(
        result.map.sum(axis=1)[begin:], sones[begin:] ** 2 * result.value / np.sum(sones[begin:] ** 2)
    )
    assert not result.map[:begin].any(), "they do not count"
    np.testing.assert_allclose(result.bands, naive.Bark.f, rtol=1e-9)


def test_it_hears_what_is_added_and_little_of_what_is_missing() -> None:
    x = pink(RATE, affordable(1.0), 1)
    without = low_pass(x, RATE, 0.4)
    added = answer(without, x).value
    assert added > 5 * answer(x, without).value
    for gain in (0.5, 2.0):
        assert answer(x, gain * x).value < 0.2 * added


def test_quieter_playback_hides_noise() -> None:
    values = [answer(*pair(), f"noise-loudness:level={level}").value for level in (92, 70, 50)]
    assert values == sorted(values, reverse=True)


def test_explain_finds_a_tone() -> None:
    x = pink(RATE, affordable(2.0), 1)
    y = added_tone(x, RATE, 0.5, frequency=3000.0)
    top = explain(Signal.of(x, RATE, "a"), Signal.of(y, RATE, "b"), "noise-loudness").regions[0]
    assert top.low <= 3000 <= top.high


def test_identical_recordings() -> None:
    x, _ = pair()
    result = answer(x, x, detail="map")
    assert result.value == 0
    assert not result.map.any()
    assert "no difference" in explain(Signal.of(x, RATE, "a"), Signal.of(x, RATE, "b"), "noise-loudness").sentence


def test_where_it_has_no_number_it_says_why() -> None:
    x, quiet = pink(RATE, 0.1, 1), silence(RATE, 0.1)
    assert answer(quiet, x).reason == "the reference is silent"
    assert "never loud" in answer(x, quiet).reason
    assert "2048" in answer(x[:, :100], x[:, :100]).reason


def test_a_channel_that_is_silent_in_both_is_left_out() -> None:
    ref, test = (x[:1] for x in pair())
    result = answer(*(np.concatenate([x, 0 * x]) for x in (ref, test)))
    assert result.value == answer(ref, test).value
    assert np.isnan(result.per_channel[1])


def test_six_channels() -> None:
    x = pink(RATE, 0.1, 1, 6)
    assert answer(x, added_noise(x, RATE, 0.1, 1)).per_channel.shape == (6,)


def test_its_card_says_what_identical_files_give() -> None:
    assert metrics.get("noise-loudness").card.identical == 0
