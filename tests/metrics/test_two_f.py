"""two-f: the published formula of two of PEAQ's variables."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import compare
from audiosim.metrics import two_f
from audiosim.testing.signals import (
    COMPILED,
    Array,
    added_noise,
    affordable,
    chord_music,
    low_pass,
    pink,
    silence,
    speech_like,
)
from tests import naive

RATE = 48000


def answer(ref: Array, test: Array, spec: str = "two-f", **options: Any) -> Any:
    return compare(ref, test, spec, RATE, **options)[spec]


def pair(seconds: float) -> tuple[Array, Array]:
    ref = np.concatenate([chord_music(RATE, seconds, 1), speech_like(RATE, seconds, 2)])
    return ref, np.concatenate([added_noise(ref[:1], RATE, 0.01, 3), low_pass(ref[1:], RATE, 0.3)])


@pytest.mark.parametrize("seconds", [1.5, 0.4] if COMPILED else [0.1])
def test_it_is_its_formula(seconds: float) -> None:
    ref, test = pair(seconds)
    plain = naive.peaq_variables(ref, test)
    d, b = plain["AvgModDiff1"], plain["ADB"]
    result = answer(ref, test)
    assert result.details == pytest.approx({"AvgModDiff1": d, "ADB": b}, rel=1e-9)
    mms = 56.1345 / (1 + (-0.0282 * d - 0.8628) ** 2) - 27.1451 * b + 86.3515
    assert result.value == pytest.approx(min(max(mms, 0), 100), rel=1e-9)


def test_variables_are_those_of_peaq() -> None:
    peaq, ours = compare(*pair(affordable(1.0)), ["peaq", "two-f"], RATE).values()
    assert {name: peaq.details[name] for name in ours.details} == ours.details


@pytest.mark.parametrize(("difference", "block", "mms"), [(0.0, 0.0, 100.0), (20.0, 1.0, 77.697), (60.0, 3.2, 6.945)])
def test_score(difference: float, block: float, mms: float) -> None:
    assert two_f.score(difference, block) == pytest.approx(mms, abs=0.01)


def test_mono_is_both_ears_alike() -> None:
    ref, test = (x[:1] for x in pair(affordable(1.0)))
    assert answer(ref, test).value == answer(np.repeat(ref, 2, 0), np.repeat(test, 2, 0)).value


@pytest.mark.skipif(not COMPILED, reason="takes seconds of sound")
@pytest.mark.parametrize("distorted", [added_noise, low_pass])
def test_it_orders_what_peaq_no_longer_tells_apart(distorted: Any) -> None:
    x = chord_music(RATE, 3.0, 1)
    scores = [answer(x, distorted(x, RATE, strength)).value for strength in (0.0, 0.02, 0.1, 0.3, 0.6)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 100
    assert scores[-1] < 50


def test_where_it_has_no_number_it_says_why() -> None:
    x, quiet = pink(RATE, 0.1, 1), silence(RATE, 0.1)
    assert answer(quiet, x).reason == "the reference is silent"
    assert "2048" in str(answer(x[:, :100], x[:, :100]).reason)
    assert "6 channels" in str(answer(np.repeat(x, 6, 0), np.repeat(x, 6, 0)).reason)
    assert answer(x, quiet).value < 40
