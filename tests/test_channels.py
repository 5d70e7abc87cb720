"""Faulty channels are named, and channels that only differ are not."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import numpy as np
import pytest

import audiosim
from audiosim import match as matching
from audiosim.channels import CHUNK, describe, examine, kinds, survey
from audiosim.comparison import compare_signals
from audiosim.match import Policy
from audiosim.signal import Signal
from audiosim.testing.signals import noise

RATE = 16000
LENGTH = 20000  # more than one block
X = noise(RATE, 2.0, seed=1, channels=2)[:, :LENGTH]
OTHER = noise(RATE, 2.0, seed=2, channels=2)[:, :LENGTH]
MID = X[0]
NEAR = np.stack([MID, MID]) + 0.03 * OTHER  # almost mono
TONE = np.sin(2 * np.pi * 440 * np.arange(LENGTH) / RATE)
BASS = np.cumsum(X - X.mean(axis=1, keepdims=True), axis=1)
BASS *= 0.5 / np.abs(BASS).max()
SIX = np.concatenate([noise(RATE, 2.0, seed=s, channels=2) for s in (3, 4, 5)])[:, :LENGTH]
NOTHING = np.zeros(LENGTH)


def gains(*values: float) -> Any:
    return np.array(values)[:, None]


def faults(ref: Any, test: Any, dtype: Any = np.float32) -> list[dict[str, Any]]:
    signals = (Signal.of(np.ascontiguousarray(x, dtype), RATE) for x in (ref, test))
    found: list[dict[str, Any]] = examine(*signals).get("channel_faults", [])
    return found


def told(ref: Any, test: Any, dtype: Any = np.float32) -> list[tuple[Any, ...]]:
    return [(f["fault"], f["channels"]) for f in faults(ref, test, dtype)]


FAULTY = {
    "dead": (X, X * gains(1, 0), [("dead", [2])]),
    "dead but for noise": (X, X * gains(1, 0) + 1e-3 * OTHER, [("dead", [2])]),
    "dead but for a constant": (X, X * gains(0, 1) + 0.1, [("dead", [1])]),
    "dead in a quieter test": (X, 0.01 * X * gains(1, 0), [("dead", [2])]),
    "dead in the reference": (X * gains(1, 0), X, [("dead", [2])]),
    "silent": (X[:1], 0 * X[:1], [("dead", [1])]),
    "inverted": (X, X * gains(1, -1), [("inverted", [2])]),
    "inverted and noisy": (X, X * gains(-1, 1) + 0.7 * OTHER, [("inverted", [1])]),
    "inverted bass": (BASS, BASS * gains(1, -1) + 0.1 * BASS.std() / OTHER.std() * OTHER, [("inverted", [2])]),
    "inverted on a constant": (X + 0.5, X * gains(1, -1) + 0.5, [("inverted", [2])]),
    "inverted tone": (np.stack([TONE, TONE]), np.stack([TONE, -TONE]), [("inverted", [2])]),
    "all inverted": (X, -0.5 * X, [("inverted", [1, 2])]),
    "mono inverted": (X[:1], -X[:1], [("inverted", [1])]),
    "exchanged": (X, X[::-1], [("exchanged", [1, 2])]),
    "exchanged and noisy": (X, 0.5 * X[::-1] + 0.2 * OTHER, [("exchanged", [1, 2])]),
    "exchanged and almost mono": (NEAR, NEAR[::-1], [("exchanged", [1, 2])]),
    "exchanged with silence": (np.stack([MID, NOTHING]), np.stack([NOTHING, MID]), [("exchanged", [1, 2])]),
    "exchanged by level alone": (MID * gains(1, 0.5), MID * gains(0.5, 1), [("exchanged", [1, 2])]),
    "exchanged and one inverted": (X, X[::-1] * gains(1, -1), [("exchanged", [1, 2]), ("inverted", [2])]),
    "another order": (SIX, SIX[[0, 2, 1, 4, 5, 3]], [("exchanged", [2, 3]), ("exchanged", [4, 5, 6])]),
    "copied": (X, X[[0, 0]], [("copied", [2])]),
    "several faults": (SIX, SIX * gains(1, 0, 1, -1, 1, 1), [("dead", [2]), ("inverted", [4])]),
}
SOUND = {
    "identical": (X, X),
    "identical channels": (X[[0, 0]], X[[0, 0]]),
    "one channel on two": (X[[0, 0]], X[[0, 0]] + 0.1 * OTHER),
    "mixed down": (X, np.stack([X.mean(axis=0)] * 2)),
    "narrower": (X, np.array([[0.7, 0.3], [0.3, 0.7]]) @ X),
    "wider": (NEAR, np.array([[1.5, -0.5], [-0.5, 1.5]]) @ NEAR),
    "noisy": (X, X + OTHER),
    "unrelated": (X, OTHER),
    "late": (X, np.roll(X, 9, axis=1)),
    "bass late by about half a period": (BASS, np.roll(BASS, LENGTH // 3, axis=1)),
    "a tone out of phase": (np.stack([TONE] * 2), np.stack([TONE, np.roll(TONE, 15)])),
    "two microphones, late": (np.stack([MID, np.roll(MID, 7)]), np.stack([np.roll(MID, 7), np.roll(MID, 14)])),
    "quieter": (X, 1e-4 * X),
    "one quieter": (X, X * gains(1, 0.01)),
    "another balance": (MID * gains(1, 0.5), MID * gains(0.7, 1)),
    "silence in both": (X * gains(1, 0), 0.5 * X * gains(1, 0)),
    "next to silence in one": (X * gains(1, 1e-4), X * gains(1, 0)),
    "silent": (0 * X, 0 * X),
    "constants": (0 * X + 0.5, 0 * X + 0.3),
    "a constant added": (0.005 * X, 0.005 * X + 0.5),
    "too short to tell": (X[:, :20], -X[:, :20]),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", FAULTY)
def test_faults_are_named(name, dtype):
    ref, test, expected = FAULTY[name]
    assert told(ref, test, dtype) == expected


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", SOUND)
def test_what_only_differs_is_not(name, dtype):
    assert not told(*SOUND[name], dtype)


@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1.0, 1e15, 1e25])
def test_any_scale(scale):
    for name in ("dead", "inverted", "exchanged"):
        ref, test, expected = FAULTY[name]
        assert told(scale * ref, scale * test) == expected


def test_lengths_may_differ():
    assert told(X, (X * gains(1, -1))[:, :-3000]) == [("inverted", [2])]


def test_silence_in_both_is_told_apart():
    signals = (Signal.of(X * gains(1, 0), RATE) for _ in range(2))
    assert examine(*signals) == {"silent_channels": [2]}
    assert examine(Signal.of(0 * X, RATE), Signal.of(0 * X, RATE)) == {}


def test_sentences():
    def said(name: str) -> list[str]:
        return describe(faults(*FAULTY[name][:2]))

    assert said("dead") == ["channel 2 (right) of the test is dead (silent), that of the reference is not"]
    assert said("dead in the reference")[0].startswith("channel 2 (right) of the reference is dead")
    assert said("silent") == ["the test is dead (silent), the reference is not"]
    assert said("inverted") == ["channel 2 (right) of the test is inverted (correlation -1.000)"]
    assert said("all inverted") == ["all channels of the test are inverted (correlation -1.000)"]
    assert said("mono inverted") == ["the test is inverted (correlation -1.000)"]
    assert said("exchanged") == ["channels 1 and 2 of the test are exchanged"]
    assert said("another order")[1] == (
        "channels 4, 5 and 6 of the test hold channels 5, 6 and 4 of the reference, in this order"
    )
    assert said("copied") == [
        "channel 2 (right) of the test holds channel 1 (left) of the reference, not its own sound"
    ]
    level = faults(*FAULTY["dead but for noise"][:2])[0]["level_db"]
    assert level == pytest.approx(20 * np.log10(1e-3 * OTHER[1].std() / X[1].std()), abs=0.1)
    assert f"({level:.0f} dB against what it should be)" in said("dead but for noise")[0]


def test_a_comparison_tells_them_whatever_the_metrics_are():
    ref, test, _ = FAULTY["several faults"]
    done = compare_signals(Signal.of(ref, RATE), Signal.of(test, RATE), ["mse"], Policy())
    assert kinds(done.match) == ["dead", "inverted"]
    assert matching.describe(done.match) == describe(done.match["channel_faults"])


def test_they_are_looked_for_after_matching():
    pair = Signal.of(X, RATE), Signal.of(-X, RATE)
    assert kinds(compare_signals(*pair, ["mse"], Policy()).match) == ["inverted"]
    assert not kinds(compare_signals(*pair, ["mse"], Policy(polarity="match")).match)


@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("dtypes", [(np.float32, np.float32), (np.float64, np.float64), (np.float32, np.float64)])
@pytest.mark.parametrize(
    ("channels", "lengths"), [(1, (1, 1)), (2, (9000, 9000)), (3, (4096, 5000)), (1, (70000, 70001))]
)
def test_a_survey_holds_the_sums_of_the_samples(
    channels: int, lengths: tuple[int, int], dtypes: tuple[Any, Any], exact: bool
) -> None:
    assert lengths[0] < 10000 or lengths[0] > CHUNK  # one piece, or more than one
    rng = np.random.default_rng(channels)
    a, b = (rng.normal(0.1, 0.7, (channels, n)).astype(d) for n, d in zip(lengths, dtypes, strict=True))
    seen = survey(Signal(a, RATE), Signal(b, RATE), exact)
    z = np.concatenate([a[:, : min(lengths)], b[:, : min(lengths)]]).astype(np.float64)
    closeness = 1e-12 if exact or np.float64 in dtypes else 1e-6
    assert np.allclose(seen.products, z @ z.T, rtol=closeness, atol=closeness * z.shape[1])
    assert np.allclose(seen.sums, z.sum(1), rtol=closeness, atol=closeness * z.shape[1])
    assert (seen.beyond == (np.abs(z) > 1).sum(1)).all()
    assert seen.finite
    assert not seen.alike


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_survey_sees_the_last_bit_above_full_scale(dtype: Any) -> None:
    full = np.array([[1, -1, np.nextafter(dtype(1), dtype(2)), -np.nextafter(dtype(1), dtype(2))]], dtype)
    signals = Signal(full, RATE), Signal(np.sign(full), RATE)
    assert survey(*signals).beyond.tolist() == [2, 0]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("which", [0, 1])
def test_a_survey_misses_no_sample_that_is_not_finite(which: int, dtype: Any, value: float) -> None:
    for channel, sample in ((0, 0), (1, 4097), (1, 8999)):
        both = [X[:, :9000].astype(dtype), X[:, :9000].astype(dtype)]
        both[which][channel, sample] = value
        assert not survey(*(Signal(x, RATE) for x in both)).finite


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_identical_recordings_are_always_alike(dtype: Any) -> None:
    for length in (1, 3, 63, 4095, 4097, 9001):
        for offset in (0, 1, 7):  # of memory
            x = np.ascontiguousarray(X[:1, offset : offset + length], dtype)
            held = np.zeros((1, length + offset), dtype)[:, offset:]
            held[:] = x
            assert survey(Signal(x, RATE), Signal(held, RATE)).alike
    assert survey(Signal(np.zeros((1, 9), dtype), RATE), Signal(-np.zeros((1, 9), dtype), RATE)).alike


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_two_arrays_are_checked_and_matched_in_one_pass(dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    passes = {"comparison": ("survey", "check_finite"), "channels": ("survey",), "match": ("_peak",)}
    for module, names in {**passes, "signal": ("check_finite",)}.items():
        for name in names:
            original = getattr(import_module(f"audiosim.{module}"), name)

            def noted(*given: Any, name: str = name, original: Any = original, **options: Any) -> Any:
                calls.append(name)
                return original(*given, **options)

            monkeypatch.setattr(f"audiosim.{module}.{name}", noted)
    both = X.astype(dtype), (X + 0.1 * OTHER).astype(dtype)
    audiosim.compare(*both, "snr", RATE)
    assert calls == ["survey"]
