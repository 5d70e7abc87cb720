"""modulation-difference: that it is PEAQ's variable and its plain formula, what it hears, and its profile."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import compare
from audiosim.judge.explain import explain
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED, Array, added_noise, added_tone, affordable, chord_music, pink, silence
from tests import naive

RATE = 48000


def answer(ref: Array, test: Array, spec: str = "modulation-difference", **options: Any) -> Any:
    return compare(ref, test, spec, RATE, **options)[spec]


def pair(seconds: float = affordable(1.0)) -> tuple[Array, Array]:
    x = chord_music(RATE, seconds, 1, 2)
    return x, added_noise(x, RATE, 0.01, 2)


@pytest.mark.parametrize("seconds", [1.0, 0.5, 0.1] if COMPILED else [0.1])
@pytest.mark.parametrize("level", [92.0, 60.0])
def test_it_is_the_variable_of_peaq_and_two_f(level: float, seconds: float) -> None:
    specs = [f"{name}:level={level}" for name in ("modulation-difference", "peaq", "two-f")]
    ours, peaq, two_f = compare(*pair(seconds), specs, RATE).values()
    assert ours.value == pytest.approx(peaq.details["AvgModDiff1"], rel=1e-12)
    assert ours.value == pytest.approx(two_f.details["AvgModDiff1"], rel=1e-12)


def test_value_profile_and_map_are_their_plain_formulas() -> None:
    ref, test = (x[:1] for x in pair())
    r, t = naive.peaq_ear(ref[0]), naive.peaq_ear(test[0])
    percent = 100 * np.abs(t["modulation"] - r["modulation"]) / (1 + r["modulation"])
    weight = np.sum(r["average"] / (r["average"] + 100 * naive.Bark.noise**0.3), axis=1)
    weight[: 24 if COMPILED else 0] = 0
    result = answer(ref, test, detail="map", band_edges="bins")
    assert result.value == pytest.approx(np.average(percent.mean(axis=1), weights=weight), rel=1e-9)
    np.testing.assert_allclose(result.per_time, percent.mean(axis=1), rtol=1e-9)
    np.testing.assert_allclose(result.per_band, np.average(percent, axis=0, weights=weight), rtol=1e-9)
    np.testing.assert_allclose(result.map, percent * weight[:, None] / (109 * weight.sum()), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.bands, naive.Bark.f, rtol=1e-9)


def test_a_tremolo_is_more_than_a_gain() -> None:
    x = pink(RATE, affordable(1.0), 1)
    tremolo = x * (1 + 0.5 * np.sin(2 * np.pi * 4 * np.arange(x.shape[1]) / RATE))
    assert answer(x, tremolo).value > 3 * answer(x, 0.8 * x).value


def test_explain_finds_a_tone() -> None:
    x = pink(RATE, affordable(2.0), 1)
    y = added_tone(x, RATE, 0.5, frequency=3000.0)
    top = explain(Signal.of(x, RATE, "a"), Signal.of(y, RATE, "b"), "modulation-difference").regions[0]
    assert top.low <= 3000 <= top.high


def test_identical_recordings() -> None:
    x, _ = pair()
    result = answer(x, x, detail="map")
    assert result.value == 0
    assert not result.map.any()


def test_where_it_has_no_number_it_says_why() -> None:
    x, quiet = pink(RATE, 0.1, 1), silence(RATE, 0.1)
    assert answer(quiet, x).reason == "the reference is silent"
    assert "2048" in answer(x[:, :100], x[:, :100]).reason
    assert answer(x, quiet).value > 0


def test_a_channel_that_is_silent_in_both_is_left_out() -> None:
    ref, test = (x[:1] for x in pair())
    result = answer(*(np.concatenate([x, 0 * x]) for x in (ref, test)))
    assert result.value == answer(ref, test).value
    assert np.isnan(result.per_channel[1])


def test_six_channels() -> None:
    x = pink(RATE, 0.1, 1, 6)
    assert answer(x, added_noise(x, RATE, 0.1, 1)).per_channel.shape == (6,)
