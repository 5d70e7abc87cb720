"""Two recordings made comparable: every step does what it reports, and nothing happens unasked."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import soxr

from audiosim import compare
from audiosim.dsp.alignment import CONFIDENCE, advanced
from audiosim.dsp.resampling import to_rate
from audiosim.errors import InputError, Mismatch, UsageError
from audiosim.match import Policy, as_keywords, describe, hint, match
from audiosim.signal import Signal
from audiosim.testing.signals import COMPILED, added_noise, low_pass as lowered, noise, speech_like

RATE = 16000
LATE = 1600  # samples, 100 ms


def _speech(channels: int = 1, seconds: float = 2.0, dtype: Any = np.float64) -> Any:
    return speech_like(RATE, seconds, 1, channels).astype(dtype)


def _matched(ref: Any, test: Any, hz: tuple[int, int] = (RATE, RATE), /, **policy: Any) -> tuple[Signal, Signal, Any]:
    signals = Signal.of(ref, hz[0], "ref.wav"), Signal.of(test, hz[1], "test.wav")
    kept = ref.copy(), test.copy()
    a, b, done = match(*signals, Policy(**policy))
    assert np.array_equal(ref, kept[0])
    assert np.array_equal(test, kept[1])
    assert json.loads(json.dumps(done, allow_nan=False)) == done
    sentences = describe(done)
    assert len(sentences) == len(done)
    assert all(s and s.isprintable() for s in sentences)
    for signal, given in ((a, ref), (b, test)):
        assert signal.samples.flags.c_contiguous
        assert signal.samples.dtype == given.dtype
    assert (a.name, b.name) == ("ref.wav", "test.wav")
    return a, b, done


def _refusal(*given: Any, **policy: Any) -> str:
    with pytest.raises(InputError) as refused:
        _matched(*given, **policy)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_nothing_to_do() -> None:
    x = Signal.of(_speech(2), RATE)
    y = Signal.of(_speech(2), RATE)
    for policy in (Policy(), Policy(rates="resample", channels="match", length="trim", polarity="match")):
        ref, test, done = match(x, y, policy)
        assert ref is x
        assert test is y
        assert done == {}
        assert describe(done) == []


def test_identical_recordings_stay_identical() -> None:
    x = Signal.of(_speech(2), RATE)
    ref, test, done = match(x, x, Policy(align="auto", polarity="match", gain="match"))
    assert ref is x
    assert test is x
    assert done["align"]["delay_ms"] == 0
    assert done["gain"]["gain_db"] == 0
    assert len(describe(done)) == 2


@pytest.mark.parametrize(
    ("name", "value", "possible"),
    [
        ("rates", "yes", "error, resample"),
        ("channels", "stereo", "error, mono, match"),
        ("length", "cut", "auto, error, trim, pad, keep"),
        ("align", True, "none, auto, auto:SECONDS"),
        ("align", "auto:0", "none, auto, auto:SECONDS"),
        ("align", "auto:61", "none, auto, auto:SECONDS"),
        ("align", "auto:", "none, auto, auto:SECONDS"),
        ("align", "auto:nan", "none, auto, auto:SECONDS"),
        ("align", "drift:0", "none, auto, auto:SECONDS, drift, drift:SECONDS, find"),
        ("align", "find:3", "none, auto, auto:SECONDS, drift, drift:SECONDS, find"),
        ("full_scale", "float", "error, int16, int24, keep"),
        ("gain", "auto", "none, match"),
        ("polarity", None, "keep, match"),
    ],
)
def test_unknown_policies(name: str, value: Any, possible: str) -> None:
    x = Signal.of([0.0, 1.0], RATE)
    with pytest.raises(UsageError, match=f"{name}=.* one of: {possible}"):
        match(x, x, Policy(**{name: value}))


# Several at once


def test_all_that_differs_is_told_at_once_and_in_words_of_python() -> None:
    ref, test = Signal.of(noise(48000, 1.0, 1, 2), 48000, "ref.wav"), Signal.of(noise(8000, 0.5, 1), 8000, "test.wav")
    with pytest.raises(Mismatch) as caught:
        match(ref, test, Policy())
    for part in ("48000 Hz, 2 channels and 1.000 s", "8000 Hz, 1 channel and 0.500 s"):
        assert part in str(caught.value)
    assert as_keywords(str(caught.value)).endswith("use rates='resample', channels='match', length='trim'")
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.flags) == (str(caught.value), caught.value.flags)
    match(ref, test, Policy(rates="resample", channels="match", length="trim"))


# Rate


def test_rates_differ() -> None:
    message = _refusal(_speech(), _speech(), (16000, 48000))
    for part in ("ref.wav has 16000 Hz", "test.wav has 48000 Hz", "--rate resample"):
        assert part in message


@pytest.mark.parametrize(("low", "high"), [(16000, 48000), (44100, 48000), (8000, 44100)])
def test_resampled_to_the_higher_rate(low: int, high: int) -> None:
    x = Signal.of(speech_like(low, 1.0, 1), low)
    fine = to_rate(x, high)
    for ref, test in ((x, fine), (fine, x)):
        a, b, done = _matched(ref.samples, test.samples, (ref.rate, test.rate), rates="resample", length="error")
        assert a.rate == b.rate == high
        assert np.array_equal(a.samples, b.samples)
        assert done == {
            "rate": {"policy": "resample", "reference_hz": ref.rate, "test_hz": test.rate, "to_hz": high},
        }
    assert f"from {low} to {high} Hz" in describe(done)[0]


def test_rounding_of_the_rate_is_no_difference_of_length() -> None:
    x, y = noise(16000, 0.5), noise(48000, 0.5)[:, :-2]
    a, b, done = _matched(x, y, (16000, 48000), rates="resample", length="error")
    assert a.length == b.length == y.shape[1]
    assert done["rate"]["trimmed"] == "reference"
    assert done["rate"]["trimmed_samples"] == 2
    assert "2 samples of rounding" in describe(done)[0]


# Channels


def test_channels_differ() -> None:
    message = _refusal(_speech(2), _speech(1))
    for part in ("ref.wav has 2", "test.wav has 1", "--channels match", "--channels mono"):
        assert part in message
    assert "match" not in _refusal(np.repeat(_speech(), 3, axis=0), _speech(2))  # nothing could be repeated


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_averaged(dtype: Any) -> None:
    x, y = _speech(2, dtype=dtype), _speech(1, dtype=dtype)
    a, b, done = _matched(x, y, channels="mono")
    assert np.allclose(a.samples[0], x.mean(axis=0), atol=1e-7)
    assert np.array_equal(b.samples, y)
    assert done["channels"] == {
        "policy": "mono", "reference_channels": 2, "test_channels": 1, "to_channels": 1, "how": "averaged",
    }  # fmt: skip
    _, _, done = _matched(x, x, channels="mono")
    assert done["channels"]["to_channels"] == 1
    assert _matched(y, y, channels="mono")[2] == {}


def test_one_channel_stands_for_all() -> None:
    x, y = _speech(3), _speech(1)
    a, b, done = _matched(x, y, channels="match")
    assert np.array_equal(a.samples, x)
    assert np.array_equal(b.samples, np.repeat(y, 3, axis=0))
    assert (done["channels"]["how"], done["channels"]["repeated"]) == ("repeated", "test")
    assert _matched(y, x, channels="match")[2]["channels"]["repeated"] == "reference"


def test_several_against_several_are_averaged() -> None:
    a, b, done = _matched(_speech(6), _speech(2), channels="match")
    assert a.channels == b.channels == 1
    assert done["channels"]["how"] == "averaged"
    assert "averaged all channels to one" in describe(done)[0]


# Length


def test_lengths_differ() -> None:
    x = _speech()
    message = _refusal(x, x[:, :-8000])
    for part in ("8000 samples", "ref.wav lasts 2.000 s", "test.wav 1.500 s", "--length trim", "--length pad", "50 ms"):
        assert part in message
    assert "1 sample:" in _refusal(x, x[:, :-1], length="error")


@pytest.mark.parametrize("policy", ["auto", "trim"])
def test_trimmed(policy: str) -> None:
    x = _speech(2)
    a, b, done = _matched(x, x[:, :-800], length=policy)  # 50 ms exactly
    assert np.array_equal(a.samples, x[:, :-800])
    assert np.array_equal(a.samples, b.samples)
    assert done["length"] == {"policy": policy, "trimmed": "reference", "trimmed_samples": 800, "trimmed_ms": 50.0}
    assert _matched(x[:, :-7], x)[2]["length"]["trimmed"] == "test"
    _refusal(x, x[:, :-801])


def test_trimmed_however_much() -> None:
    x = _speech()
    a, _, done = _matched(x, x[:, :1], length="trim")
    assert a.length == 1
    assert done["length"]["trimmed_samples"] == x.shape[1] - 1


def test_padded() -> None:
    x = _speech(2)
    a, b, done = _matched(x[:, :-8000], x, length="pad")
    assert a.length == b.length == x.shape[1]
    assert not a.samples[:, -8000:].any()
    assert done["length"] == {"policy": "pad", "padded": "reference", "padded_samples": 8000, "padded_ms": 500.0}
    assert "silence to the end of the reference" in describe(done)[0]


def test_kept() -> None:
    x = _speech()
    a, b, done = _matched(x, x[:, :-8000], length="keep")
    assert (a.length, b.length, done) == (32000, 24000, {})


# Delay


@pytest.mark.parametrize("length", ["auto", "error", "trim", "pad", "keep"])
@pytest.mark.parametrize("fixed", [True, False])  # the delayed recording lasts as long, or longer
@pytest.mark.parametrize("late", [LATE, -LATE])
def test_delay(length: Any, fixed: bool, late: int) -> None:
    x = _speech(2)
    delayed = np.pad(x, ((0, 0), (LATE, 0)))[:, : x.shape[1] if fixed else None]
    given = (x, delayed) if late > 0 else (delayed, x)
    a, b, done = _matched(*given, align="auto", length=length)
    assert done["align"]["delay_ms"] == pytest.approx(late / RATE * 1000, abs=1e-9)
    assert done["align"]["delay_samples"] == late
    assert f"100 ms {'late' if late > 0 else 'early'}" in describe(done)[0]
    common = min(a.length, b.length)
    if length != "keep":
        assert a.length == b.length
    skipped = LATE if length == "pad" else 0  # silence at the start of both
    lost = LATE if fixed and length == "pad" else 0  # sound at the end that only one holds
    assert np.array_equal(a.samples[:, skipped : common - lost], b.samples[:, skipped : common - lost])
    assert common == x.shape[1] + {"pad": LATE}.get(length, -LATE if fixed else 0)
    if length in ("auto", "error"):
        assert list(done) == ["align"]  # what the alignment cut is no difference of length


def test_alignment_does_not_hide_a_difference_of_length() -> None:
    x = _speech()
    delayed = np.pad(x, ((0, 0), (LATE, 0)))
    _refusal(x, np.pad(delayed, ((0, 0), (0, 4000))), align="auto")
    _refusal(x, delayed[:, :-8000], align="auto")


@pytest.mark.parametrize("fraction", [0.3, -0.45])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_fraction_of_a_sample(fraction: float, dtype: Any) -> None:
    x = _speech()
    x *= np.hanning(x.shape[1])
    y = advanced(np.pad(x, ((0, 0), (20, 0))), -fraction)[:, : x.shape[1]]
    a, b, done = _matched(x.astype(dtype), y.astype(dtype), align="auto")
    assert done["align"]["delay_samples"] == pytest.approx(20 + fraction, abs=1e-3)
    assert done["align"]["delay_ms"] == pytest.approx((20 + fraction) / 16, abs=1e-4)
    assert np.abs(a.samples - b.samples).max() < 1e-3 * np.abs(x).max()
    assert "fraction of a sample" in describe(done)[0]


def test_one_delay_for_all_channels() -> None:
    x = _speech(3)
    y = np.pad(x, ((0, 0), (LATE, 0)))
    a, b, _ = _matched(x, y, align="auto")
    assert np.array_equal(a.samples, b.samples)


def test_no_delay_to_be_found() -> None:
    x = _speech()
    for other, reason in (
        (noise(RATE, 2.0, 9), "nothing in common sticks out within 1 s either way"),
        (0 * x, "the test is silent"),
    ):
        a, b, done = _matched(x, other, align="auto")
        assert done["align"]["found"] is False
        assert reason in done["align"]["reason"]
        assert reason in describe(done)[0]
        assert np.array_equal(a.samples, x)
        assert np.array_equal(b.samples, other)
    assert "the reference is silent" in _matched(0 * x, x, align="auto")[2]["align"]["reason"]
    assert "both are silent" in _matched(0 * x, 0 * x, align="auto")[2]["align"]["reason"]
    assert "fewer than 32 samples" in _matched(x[:, :9], x[:, :9], align="auto")[2]["align"]["reason"]


@pytest.mark.parametrize("late", [0, LATE, -LATE])
@pytest.mark.parametrize("signs", [(1, -1), (-1, 1), (1, -1, 1, -1)])
def test_opposite_polarities_do_not_cancel(late: int, signs: tuple[int, ...]) -> None:
    x = _speech(1).repeat(len(signs), axis=0)  # the sum of all channels would be silent
    y = np.array(signs)[:, None] * np.pad(x, ((0, 0), (LATE, 0)))[:, LATE - late : x.shape[1] + LATE - late]
    a, b, done = _matched(x, y, align="auto")
    assert done["align"]["delay_samples"] == late
    assert abs(done["align"]["correlation"]) == pytest.approx(1, abs=1e-6)
    assert done["align"]["inverted_channels"] == [c + 1 for c, sign in enumerate(signs) if sign < 0]
    common = min(a.length, x.shape[1] - LATE)
    assert np.array_equal(a.samples[:, :common], np.array(signs)[:, None] * b.samples[:, :common])


@pytest.mark.parametrize("late", [0, LATE])
def test_one_inverted_channel_is_no_polarity_of_the_recording(late: int) -> None:
    x = _speech(2)
    y = np.pad(x, ((0, 0), (late, 0))) * np.array([[1.0], [-1.0]])
    _, b, done = _matched(x, y, polarity="match", length="trim")
    assert done["polarity"]["flipped"] is False
    assert "channel 2 is inverted, others are not" in describe(done)[-1]
    assert np.array_equal(b.samples, y[:, : x.shape[1]])


def test_what_is_not_shifted_says_what_was_seen() -> None:
    x = _speech()
    for other in (noise(RATE, 2.0, 9), speech_like(RATE, 2.0, 77)):
        _, b, done = _matched(x, other, align="auto")
        assert np.array_equal(b.samples, other)
        step = done["align"]
        assert step["found"] is False
        assert step["confidence"] < CONFIDENCE
        said = describe(done)[0]
        for part in (f"correlation of {step['seen_correlation']:.3f}", "confidence", f"{CONFIDENCE:g} is needed", "ms"):
            assert part in said


def test_the_range_of_the_delay() -> None:
    x = _speech(seconds=4.0)
    late = np.pad(x, ((0, 0), (int(1.5 * RATE), 0)))
    a, b, done = _matched(x, late, align="auto:2")
    assert np.array_equal(a.samples, b.samples)
    assert done["align"]["delay_ms"] == 1500
    assert "may be longer" not in describe(done)[0]
    assert done["align"]["policy"] == "auto:2"
    for policy in ("auto:1.5", f"auto:{1.5 + 1 / RATE}"):  # found, but at the end
        assert "the delay may be longer: --align auto:3" in describe(_matched(x, late, align=policy)[2])[0]
    message = _refusal(x, late, align="auto")
    for part in ("lasts 4.000 s", "5.500 s", "did not align", "within 1 s either way", "--align auto:2 searches"):
        assert part in message
    near = np.pad(x, ((0, 0), (int(0.4 * RATE), 0)))[:, : x.shape[1]]
    _, b, done = _matched(x, near, align="auto:0.1")
    assert np.array_equal(b.samples, near)
    assert "400 ms late (correlation" in done["align"]["reason"]
    assert "beyond the search of 0.1 s" in done["align"]["reason"]


def test_lengths_after_alignment_are_those_of_the_files() -> None:
    x = _speech()
    message = _refusal(x, np.pad(x, ((0, 0), (LATE, 4000))), align="auto")
    for part in ("differ by 4000 samples", "100 ms late, is aligned", "ref.wav lasts 2.000 s", "test.wav 2.350 s"):
        assert part in message
    with pytest.raises(InputError, match=r"32000 and 37600 samples, which differ by 4000 once they are aligned"):
        compare(x, np.pad(x, ((0, 0), (LATE, 4000))), "mse", RATE, align="auto", length="keep")


# Polarity and gain


@pytest.mark.parametrize("late", [0, LATE])
@pytest.mark.parametrize("align", ["none", "auto"])
def test_polarity(late: int, align: Any) -> None:
    x = _speech(2)
    y = -0.5 * np.pad(x, ((0, 0), (late, 0)))
    _, b, done = _matched(x, y, polarity="match", align=align, length="trim")
    assert done["polarity"]["flipped"] is True
    assert done["polarity"]["correlation"] == pytest.approx(-1, abs=1e-6)
    if align == "auto":
        assert np.array_equal(b.samples, 0.5 * x)
    assert "polarity" not in _matched(x, -y, polarity="match", align=align, length="trim")[2]
    assert "polarity" not in _matched(x, y, align=align, length="trim")[2]


def test_polarity_of_unrelated_sounds_is_kept() -> None:
    x, y = _speech(), noise(RATE, 2.0, 9)
    _, b, done = _matched(x, y, polarity="match")
    assert np.array_equal(b.samples, y)
    assert done["polarity"]["flipped"] is False
    assert "too small to tell" in describe(done)[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gain(dtype: Any) -> None:
    x = _speech(2, dtype=dtype)
    a, b, done = _matched(x, x / 2, gain="match")
    assert done["gain"]["gain_db"] == pytest.approx(6.0206, abs=1e-4)
    assert np.allclose(a.samples, b.samples, atol=1e-6)
    noisy = added_noise(x, RATE, 1.0, 2).astype(dtype)
    _, b, done = _matched(x, noisy, gain="match")  # by energy, not by likeness
    assert np.sqrt(np.mean(b.samples**2)) == pytest.approx(np.sqrt(np.mean(x**2)), rel=1e-5)
    assert done["gain"]["gain_db"] == pytest.approx(-3, abs=0.2)


def test_gain_keeps_the_balance_of_channels() -> None:
    x = noise(RATE, 0.5, 3, 2)
    y = x * np.array([[1.0], [0.1]])
    _, b, _ = _matched(x, y, gain="match")
    assert np.allclose(b.samples[1] / b.samples[0], y[1] / y[0])


def test_gain_of_silence() -> None:
    x = noise(RATE, 0.5)
    for ref, test, reason in (
        (x, 0 * x, "the test is silent"),
        (0 * x, x, "the reference is silent"),
        (0 * x, 0 * x, "both are silent"),
        (x.astype(np.float32), (1e-40 * x).astype(np.float32), "the test is silent"),
    ):
        _, b, done = _matched(ref, test, gain="match")
        assert done["gain"]["gain_db"] is None
        assert reason in describe(done)[0]
        assert np.array_equal(b.samples, test)


def test_everything_at_once() -> None:
    x = Signal.of(_speech(2), RATE)
    y = -0.25 * np.pad(x.samples.mean(axis=0, keepdims=True), ((0, 0), (LATE, 0)))
    fine = to_rate(Signal.of(y, RATE), 48000)
    a, b, done = _matched(
        x.samples, fine.samples, (RATE, 48000),
        rates="resample", channels="mono", align="auto", polarity="match", gain="match",
    )  # fmt: skip
    assert list(done) == ["rate", "channels", "align", "polarity", "gain"]
    assert done["align"]["delay_ms"] == pytest.approx(100, abs=1e-3)
    assert done["gain"]["gain_db"] == pytest.approx(12.04, abs=0.02)
    assert a.samples.shape == b.samples.shape
    assert np.abs(a.samples - b.samples).max() < 1e-3


def test_nothing_left_at_the_rate_of_one_metric_leaves_the_others_their_number() -> None:
    one = Signal.of([0.5], 48000, "a.wav")
    found = compare(one, one, ["mae", "pesq", "srmr"])
    assert found["mae"].value == 0
    for name in ("pesq", "srmr"):
        assert found[name].status == "undefined"
        assert found[name].reason == "a.wav: 1 sample at 48000 Hz, too short for 16000 Hz; compare longer recordings"


def test_metrics_at_their_own_rate_are_described() -> None:
    assert describe({"metric_rates": [8000, 16000]}) == [
        "resampled both to 8000, 16000 Hz for the metrics that need it"
    ]


# Clocks that differ, and clips


def _slower(x: Any, ppm: float) -> Any:
    return soxr.resample(x.T, 1.0, 1 + ppm / 1e6, quality="VHQ").T


@pytest.mark.parametrize("ppm", [300.0, -2000.0, 40000.0])
@pytest.mark.parametrize("late", [0, 800, -800])
def test_drift_is_removed(ppm: float, late: int) -> None:
    x = lowered(_speech(2, 6.0), RATE, 0.5, 0)
    y = _slower(x, ppm)
    ref, test = (x[:, max(-late, 0) :], y[:, max(late, 0) :]) if late <= 0 else (x, np.pad(y, ((0, 0), (late, 0))))
    a, b, done = _matched(ref, test, align="drift", length="trim")
    step = done["align"]
    assert abs(step["drift_ppm"] - ppm) < 0.1
    inside = slice(RATE // 4, -RATE // 4)
    assert np.square((a.samples - b.samples)[:, inside]).sum() < 1e-5 * np.square(a.samples[:, inside]).sum()
    assert f"{abs(ppm):.4g} ppm {'slower' if ppm > 0 else 'faster'}" in describe(done)[0]


def test_drift_without_a_drift_is_a_delay() -> None:
    x = _speech(1, 4.0)
    a, b, done = _matched(x[:, LATE:], x[:, :-LATE], align="drift")
    c, d, plain = _matched(x[:, LATE:], x[:, :-LATE], align="auto")
    assert np.array_equal(a.samples, c.samples)
    assert np.array_equal(b.samples, d.samples)
    assert done["align"]["drift_ppm"] == 0
    assert done["align"]["delay_samples"] == plain["align"]["delay_samples"]
    assert "the clocks agree" in describe(done)[0]


def test_drift_of_other_recordings_is_not_found() -> None:
    _, _, done = _matched(_speech(1, 3.0), noise(RATE, 3.0, 2), align="drift")
    assert done["align"]["found"] is False
    assert "--align drift:2 searches further" in describe(done)[0]


def test_a_clip_is_compared_where_it_belongs() -> None:
    x = _speech(2, 12.0)
    clip = x[:, 40000:100000]
    a, b, done = _matched(x, clip, align="find", length="error")
    assert np.array_equal(a.samples, clip)
    assert np.array_equal(b.samples, clip)
    assert "the test begins at 2.500 s of the reference" in describe(done)[0]
    a, b, done = _matched(clip, x, align="find", length="error")
    assert np.array_equal(a.samples, b.samples)
    assert "the reference begins at 2.500 s of the test" in describe(done)[0]


def test_a_clip_that_sticks_out_is_told() -> None:
    x = _speech(1, 12.0)
    a, b, done = _matched(x[:, 50000:], x[:, 40000:100000], align="find")
    assert np.array_equal(a.samples, b.samples)
    assert done["align"]["outside_ms"] == 625
    assert "begins 0.625 s before the reference" in describe(done)[0]
    assert "625 ms of the test lie outside of the reference" in describe(done)[0]


def test_a_clip_at_another_rate_and_with_one_channel() -> None:
    x = Signal.of(_speech(2, 12.0), RATE)
    clip = to_rate(replace(x, samples=x.samples[:1, 40000:100000]), 48000)
    a, b, done = _matched(
        x.samples, clip.samples, (RATE, 48000), align="find", rates="resample", channels="match", length="error"
    )
    assert a.samples.shape == b.samples.shape
    assert done["align"]["starts_s"] == pytest.approx(2.5, abs=1e-4)


def test_a_clip_of_something_else_is_refused_with_reasons() -> None:
    message = _refusal(_speech(1, 8.0), noise(RATE, 2.0, 2), align="find")
    assert "did not align: the test is in no place of the reference clearly" in message
    assert "the test is silent" in _refusal(_speech(1, 8.0), 0 * noise(RATE, 2.0, 2), align="find")
    assert "too short to be found" in _refusal(_speech(1, 8.0), _speech(1, 0.1), align="find")


def test_lengths_that_differ_by_much_name_find() -> None:
    x = _speech(1, 4.0)
    assert "--align find" in _refusal(x, x[:, :20000])
    assert "--align find" in _refusal(np.repeat(x, 2, axis=0), x[:, :20000])
    assert "--align find" not in _refusal(x, x[:, :40000])


def test_a_hint_of_a_clear_delay() -> None:
    x = _speech(2, 5.0)
    ref, late = Signal.of(x[:, LATE:], RATE), Signal.of(x[:, :-LATE], RATE)
    assert hint(ref, late) == "the test is 100 ms late; --align auto removes it"
    assert hint(ref, ref) is None
    assert hint(ref, replace(late, rate=8000)) is None
    assert hint(ref, replace(late, samples=late.samples[:1])) is None


@pytest.mark.skipif(not COMPILED, reason="seconds of sound")
def test_two_performances_are_laid_over_each_other() -> None:
    from audiosim.testing.signals import chord_music

    x = chord_music(RATE, 4.0, 1).astype(np.float32)
    test = np.concatenate([0 * x[:, :3700], x[:, : 2 * RATE], 0.02 * noise(RATE, 0.7, 2), x[:, 2 * RATE :]], axis=1)
    _, moved, done = _matched(x, test.astype(np.float32), align="warp")
    assert done["align"]["found"]
    assert moved.length == x.shape[1]
    for part in (slice(RATE // 4, RATE), slice(3 * RATE, 4 * RATE - 4000)):  # one recording: to the sample
        np.testing.assert_allclose(moved.samples[0, part], x[0, part], atol=1e-6)
    assert "splice" in describe(done)[0]
    _, kept, done = _matched(x, noise(RATE, 4.0, 5).astype(np.float32), align="warp")
    assert not done["align"]["found"]
    assert kept.length == x.shape[1]
    assert "does not play what the reference plays" in describe(done)[0]
    for silent in (0 * x, x[:, :2000]):
        *_, done = _matched(x, silent, align="warp", length="trim")
        assert not done["align"]["found"]
