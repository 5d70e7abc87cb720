"""glitches: synthesised faults are counted where they are, whatever else happened to the recording."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import metrics
from audiosim.result import Result
from audiosim.testing.signals import speech_like
from tests.diagnosis.degradations import SIGNALS

RATE = 16000
SECONDS = 4.0
AT = 0.71, 1.93, 3.12  # s


def music(channels: int = 1) -> Any:
    x = SIGNALS["music"].make(RATE, SECONDS, 1)
    return x[:channels] if channels <= len(x) else np.concatenate([x, 0.8 * x[:1]])[:channels]


def glitches(x: Any, y: Any, **options: Any) -> Result:
    return metrics.get("glitches").compute(np.ascontiguousarray(x), np.ascontiguousarray(y), RATE, **options)


def clicked(x: Any) -> Any:
    y = x.copy()
    for at in AT:
        y[:, round(at * RATE)] += 0.5
    return y


def dropped(x: Any) -> Any:
    y = x.copy()
    for at in AT:
        y[:, round(at * RATE) : round((at + 0.04) * RATE)] = 0
    return y


def lost(x: Any, at: float = AT[1], seconds: float = 0.064) -> Any:
    return np.delete(x, np.arange(round(at * RATE), round((at + seconds) * RATE)), axis=1)


def repeated(x: Any, at: float = AT[1], seconds: float = 0.064) -> Any:
    k, n = round(at * RATE), round(seconds * RATE)
    return np.concatenate([x[:, :k], x[:, k - n :]], axis=1)


FAULTS = {
    "clicks": (clicked, "clicks", 3),
    "dropouts": (dropped, "dropouts", 3),
    "a lost buffer": (lost, "skips", 1),
    "a repeated buffer": (repeated, "skips", 1),
}
ALSO = {
    "nothing": lambda y: y,
    "a gain, a delay and the other polarity": lambda y: np.pad(-0.3 * y, ((0, 0), (480, 0))),
    "noise": lambda y: y + 1e-3 * np.random.default_rng(1).standard_normal(y.shape),
}


@pytest.mark.parametrize("also", ALSO)
@pytest.mark.parametrize("fault", FAULTS)
def test_glitches_are_counted_whatever_else_happened(fault: str, also: str) -> None:
    make, kind, count = FAULTS[fault]
    x = music()
    r = glitches(x, ALSO[also](make(x)))
    assert (r.value, r.details[kind]) == (count, count)
    assert r.details["per_minute"] == pytest.approx(60 * count / SECONDS)


@pytest.mark.parametrize("also", ALSO)
def test_what_is_no_glitch_is_not_counted(also: str) -> None:
    x = music(2)
    assert glitches(x, ALSO[also](x)).value == 0


def test_the_profile_tells_when() -> None:
    x = music()
    for fault in ("clicks", "dropouts"):
        r = glitches(x, FAULTS[fault][0](x), detail="profile")
        for at in AT:
            assert r.per_time[np.abs(r.times - at).argmin()] == 1
        assert r.details["first"] == pytest.approx(AT[0], abs=0.005)
        assert 0 < r.per_time.sum() <= 6  # of 50 ms each
    assert r.details["longest"] == pytest.approx(0.04, abs=0.005)


def test_a_gate_may_ask_for_one_kind() -> None:
    x = music()
    y = clicked(np.clip(x, -0.5 * np.abs(x).max(), 0.5 * np.abs(x).max()))
    r = glitches(x, y)
    assert r.details["clicks"] == 3
    assert r.details["clipping"] >= 3
    assert r.value == r.details["clicks"] + r.details["clipping"]
    assert glitches(x, y, kind="clicks").value == 3
    assert glitches(x, y, kind="dropouts").value == 0


def test_more_glitches_than_a_diagnosis_shows_places_are_counted_and_placed() -> None:
    x = music()
    y = x.copy()
    at = np.linspace(0.21, 3.81, 25)
    y[:, (at * RATE).astype(int)] += 0.5
    r = glitches(x, y, detail="profile")
    assert r.value == 25
    assert np.count_nonzero(r.per_time) == 25


def test_a_glitch_that_both_have_is_none() -> None:
    x = dropped(clicked(music()))
    assert glitches(x, 0.5 * x).value == 0


def test_a_silent_test_is_a_dropout_a_channel_and_a_silent_reference_says_nothing() -> None:
    x = music(2)
    assert glitches(x, 0 * x).value == 2
    r = glitches(0 * x, x)
    assert (r.status, r.reason) == ("undefined", "the reference is silent")
    assert glitches(0 * x, 0 * x).value == 0


def test_what_cannot_be_laid_over_the_reference_has_no_count() -> None:
    other = speech_like(RATE, SECONDS, 5)
    r = glitches(music(), other)
    assert r.status == "undefined"
    assert r.reason == "the recordings cannot be laid over each other: unrelated"
    short = music()[:, : round(0.19 * RATE)]
    assert glitches(short, short).reason == "too short: 0.2 s are needed, there are 0.19 s"
