"""peaq-advanced: the numbers of GstPEAQ, the plain formulas, what its guards mend, and where it has no number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import compare
from audiosim.errors import UsageError
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
from tests.metrics.test_peaq import audiotestsrc

RATE = 48000
NAMES = ("RmsModDiff", "RmsNoiseLoudAsym", "SegmentalNMR", "EHS", "AvgLinDist")
compiled = pytest.mark.skipif(not COMPILED, reason="takes seconds of sound")


def answer(ref: Array, test: Array, options: str = "", rate: int = RATE, **how: Any) -> Any:
    spec = "peaq-advanced" + (options and f":{options}")
    return compare(ref, test, spec, rate, **how)[spec]


# GstPEAQ 0.6.1


def music() -> Array:
    """Two seconds of a chord and a sweep in a little hiss, stereo; the same bits wherever sines are."""
    n = 2 * RATE
    t = np.arange(n) / RATE
    hiss = (np.random.PCG64(1).random_raw(2 * n) >> np.uint64(11)).reshape(2, n) * 2.0**-52 - 1
    phase = 2 * np.pi * (110 * t + 0.5 * np.sin(2 * np.pi * 1.3 * t))
    chord = sum(np.sin(k * phase) / k for k in range(1, 30)) * (0.6 + 0.4 * np.sin(2 * np.pi * 3 * t))
    sweep = np.sin(2 * np.pi * (200 * t + 1500 * t**2)) * (0.5 + 0.5 * np.sin(2 * np.pi * 5 * t))
    return np.asarray((0.2 * np.stack([chord, sweep]) + 1e-3 * hiss).astype(np.float32))


def degraded(kind: str) -> tuple[Array, Array]:
    if kind == "sine":
        return audiotestsrc("sine"), audiotestsrc("sine")
    if kind == "saw":
        return audiotestsrc("saw"), audiotestsrc("triangle")
    x = music()[: 1 if kind == "mono" else 2]
    if kind == "clipped":
        y = np.clip(x, -0.25, 0.25)
    elif kind == "dull":
        y = sum(np.roll(x, i, 1) for i in range(4)) / 4
    else:
        y = np.round(x * 512) / 512
    return x, y.astype(np.float32)


# what `peaq --advanced ref.wav test.wav` of GstPEAQ 0.6.1 prints of these pairs as float WAV, with console-output set
GSTPEAQ = {
    "sine": ([0.000000, 0.000000, -119.047694, 0.000000, 0.000029], 0.211),
    "saw": ([304.446921, 35.932421, -0.395338, 0.224674, 561.305029], -3.612),
    "steps": ([143.200273, 1.579873, -3.712521, 0.204086, 0.010937], -1.491),
    "clipped": ([230.385855, 3.573538, -92.078400, 0.972651, 0.438879], 0.191),
    "dull": ([76.881338, 0.298388, -5.706517, 0.019803, 5.793146], -1.302),
    "mono": ([95.137346, 0.683072, -4.300473, 0.232025, 0.004135], -0.722),
}


@compiled
@pytest.mark.parametrize("kind", GSTPEAQ)
def test_variables_and_grade_are_those_of_gstpeaq(kind: str) -> None:
    """To its print precision."""
    variables, grade = GSTPEAQ[kind]
    result = answer(*degraded(kind))
    assert [result.details[name] for name in NAMES] == pytest.approx(variables, rel=1e-6, abs=1e-6)
    assert result.value == pytest.approx(grade, abs=6e-4)


# The formulas


@pytest.mark.parametrize("seconds", [0.6, 0.3] if COMPILED else [0.05])
def test_variables_are_their_plain_formulas(seconds: float) -> None:
    """Also of recordings too short to settle."""
    ref = np.concatenate([chord_music(RATE, seconds, 1), speech_like(RATE, seconds, 2)])
    test = np.concatenate([added_noise(ref[:1], RATE, 0.01, 3), 0.9 * low_pass(ref[1:], RATE, 0.3)])
    plain = naive.peaq_advanced_variables(ref, test, 80.0)
    details = answer(ref, test, "level=80").details
    assert {name: details[name] for name in plain} == pytest.approx(plain, rel=1e-8, abs=1e-12)


@compiled
def test_one_weight_is_not_that_of_the_standard() -> None:
    """Which tells by a few hundredths of a grade at most."""
    pair = degraded("steps")
    ours, standard = answer(*pair), answer(*pair, "network=standard")
    assert {n: ours.details[n] for n in NAMES} == {n: standard.details[n] for n in NAMES}
    assert 0 < standard.value - ours.value < 0.05


# Its guards


@compiled
def test_clipped_peaks_and_dropouts_are_told_from_no_error_by_a_floor() -> None:
    """Frames without any error hide the others in the mean of their noise-to-mask ratios in dB: 10 ms of silence every
    half second score even better than none."""
    ref, clipped = degraded("clipped")
    gaps = ref.copy()
    for start in range(RATE // 2, ref.shape[1], RATE // 2):
        gaps[:, start : start + RATE // 100] = 0
    same = {options: answer(ref, ref, options).value for options in ("", "floor=-25", "clamp")}
    for test, margin in ((clipped, 0.3), (gaps, 0.1)):
        assert answer(ref, test).value > same[""] - 0.05, "as in GstPEAQ"
        assert answer(ref, test, "floor=-25").value < same["floor=-25"] - margin
        assert answer(ref, test, "clamp").value < same["clamp"] - 0.03


@compiled
def test_clamping_finds_what_is_far_out_of_range() -> None:
    """Sound that is late by 33 ms is beyond what the network knows, at the other end."""
    ref = np.concatenate([chord_music(RATE, 2.0, 1), speech_like(RATE, 2.0, 2)])
    late = np.roll(ref, 1600, axis=1)
    assert answer(ref, late, "clamp").value < -3
    assert answer(ref, late, "clamp").value == answer(ref, late, "clamp").details["ODG_clipped"]


@compiled
def test_guards_leave_alone_what_is_within_range() -> None:
    ref, test = degraded("steps")
    plain = answer(ref, test).value
    assert answer(ref, test, "floor=-25").value == plain
    assert answer(ref, test, "clamp").value == pytest.approx(plain, abs=0.02)


@pytest.mark.parametrize("floor", ["1", "inf"])
def test_a_floor_is_a_ratio_below_the_mask(floor: str) -> None:
    x = pink(RATE, 0.1, 1)
    with pytest.raises(UsageError, match=r"floor must be .*0.*, not 1$|must be finite"):
        answer(x, x, f"floor={floor}")


# What a user meets


@compiled
def test_what_is_imperceptible_and_what_is_annoying() -> None:
    ref = chord_music(RATE, 2.0, 1, 2)
    same, noisy = answer(ref, ref), answer(ref, added_noise(ref, RATE, 0.03, 1))
    assert 0.15 < same.value < 0.22
    assert same.details["RmsModDiff"] == same.details["RmsNoiseLoudAsym"] == same.details["EHS"] == 0
    assert noisy.value < -3


@pytest.mark.parametrize("rate", [8000, 44100])
def test_other_rates_are_resampled(rate: int) -> None:
    x = speech_like(rate, max(affordable(1.0), 0.1), 1)
    assert answer(x, x, rate=rate).value > 0
    assert answer(x, added_noise(x, rate, 0.3, 1), rate=rate).value < -1


@compiled
def test_alignment_brings_a_delayed_pair_back() -> None:
    ref = chord_music(RATE, 3.0, 1)
    test = added_noise(ref, RATE, 0.003, 2)
    late = np.concatenate([np.zeros((1, 1234)), test], axis=1)
    assert answer(ref, late, align="auto", length="trim").value == pytest.approx(answer(ref, test).value, abs=0.02)


def test_lengths_may_differ_under_keep() -> None:
    ref = chord_music(RATE, affordable(1.0), 1, 2)
    test = added_noise(ref, RATE, 0.01, 3)[:, :-700]
    n = test.shape[1]
    for a, b in ((ref, test), (test, ref)):
        assert answer(a, b, length="keep").value == answer(a[:, :n], b[:, :n]).value


def test_a_channel_that_is_silent_in_both_is_left_out() -> None:
    ref = chord_music(RATE, affordable(1.0), 1)
    test = added_noise(ref, RATE, 0.01, 3)
    alone, with_silence = answer(ref, test), answer(*(np.concatenate([x, 0 * x]) for x in (ref, test)))
    assert with_silence.value == alone.value
    assert with_silence.details == alone.details
    assert with_silence.per_channel[0] == alone.value
    assert np.isnan(with_silence.per_channel[1])


def test_where_it_has_no_number_it_says_why() -> None:
    x, quiet = pink(RATE, 0.1, 1), silence(RATE, 0.1)
    for ref, test, reason in [
        (quiet, x, "the reference is silent"),
        (x, quiet, "never loud"),
        (x[:, :2000], x[:, :2000], "a frame takes 2048 samples at 48000 Hz, there are 2000"),
        (x[:, :1], x[:, :1], "there are 1"),
        (np.repeat(x, 6, 0), np.repeat(x, 6, 0), "mono and stereo only, these have 6 channels"),
    ]:
        result = answer(ref, test)
        assert result.status == "undefined"
        assert reason in str(result.reason)


def test_level_is_a_level_of_sound() -> None:
    x = pink(RATE, 0.1, 1)
    with pytest.raises(UsageError, match="0 to 130, not 200"):
        answer(x, x, "level=200")
