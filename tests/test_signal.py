"""Arrays become Signals at full scale 1.0, or are refused in one line."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import Signal, compare, metrics
from audiosim.errors import InputError
from audiosim.signal import check_finite
from audiosim.testing.signals import noise
from tests.benchmarks.same_bits import ARRAYS


def test_shape_rate_and_duration() -> None:
    signal = Signal.of(np.zeros((2, 12000), np.float32), 8000, "a.wav")
    assert (signal.channels, signal.length, signal.rate, signal.duration, signal.name) == (2, 12000, 8000, 1.5, "a.wav")
    assert Signal.of([0.0, 1.0, 0.5], 8000).samples.shape == (1, 3)


@pytest.mark.parametrize(
    ("given", "kept"),
    [("f2", "f4"), ("f4", "f4"), (">f4", "f4"), ("f8", "f8"), ("g", "f8"), ("i1", "f8"), ("i2", "f8"), ("u1", "f8")],
)
def test_dtypes(given: str, kept: str) -> None:
    samples = Signal.of(np.ones((1, 3), given), 8000).samples
    assert samples.dtype == np.dtype(kept)
    assert samples.flags.c_contiguous


@pytest.mark.parametrize("dtype", ["f4", "f8"])
@pytest.mark.parametrize("layout", ARRAYS)
def test_memory_layout_and_alignment_change_no_bit(layout: str, dtype: str) -> None:
    ref, test = (noise(16000, 0.3, seed, 2).astype(dtype) for seed in (1, 2))
    lay = ARRAYS[layout]
    assert np.array_equal(lay(ref), ref)
    samples = Signal.of(lay(ref), 16000).samples
    assert samples.flags.c_contiguous
    assert samples.flags.aligned
    assert samples.dtype == np.dtype(dtype)
    for name in ("snr", "lsd"):
        known = compare(ref, test, name, 16000, gain="match")[name].value
        assert compare(lay(ref), lay(test), name, 16000, gain="match")[name].value == known
        given = metrics.get(name).compute(ref, test, 16000)
        assert metrics.get(name).compute(lay(ref), lay(test), 16000).value == given.value


@pytest.mark.parametrize("kind", ["i1", "i2", "i4", "i8", "u1", "u2", "u4"])
def test_integers_are_scaled_to_full_scale(kind: str) -> None:
    limits = np.iinfo(kind)
    middle = 0 if kind[0] == "i" else limits.max // 2 + 1
    samples = Signal.of(np.array([limits.min, middle, limits.max], kind), 8000).samples[0]
    assert samples[0] == -1
    assert samples[1] == 0
    assert 0.99 < samples[2] <= 1


def test_floats_are_not_copied() -> None:
    x = np.zeros((2, 100), np.float32)
    assert np.shares_memory(Signal.of(x, 8000).samples, x)


@pytest.mark.parametrize("rate", [8000, 8000.0, np.int64(8000), np.float32(8000)])
def test_whole_rates(rate: Any) -> None:
    signal = Signal.of([0.0], rate)
    assert signal.rate == 8000
    assert type(signal.rate) is int


@pytest.mark.parametrize(
    ("samples", "rate", "message"),
    [
        ([], 8000, "no samples"),
        (np.zeros((0, 5)), 8000, "no samples"),
        (np.zeros((2, 0)), 8000, "no samples"),
        (np.zeros((1, 1, 5)), 8000, "3-dimensional"),
        (0.5, 8000, "0-dimensional"),
        (np.zeros((8000, 2)), 8000, "pass the transpose"),
        (np.zeros((200, 2)), 8000, "pass the transpose"),
        (np.zeros((17, 1)), 8000, "pass the transpose"),
        (np.zeros((64, 63)), 8000, "pass the transpose"),
        ([1j], 8000, "complex"),
        ([True], 8000, "bool"),
        (["a"], 8000, "real numbers"),
        ([[1.0], [1.0, 2.0]], 8000, "unequal lengths"),
        ([0.0, np.nan], 8000, "sample 1 of channel 1"),
        ([[0.0, 0.0], [-np.inf, np.inf]], 8000, "2 samples are NaN or infinite, the first is sample 0 of channel 2"),
        ([0.0], 0, "sampling rate"),
        ([0.0], -8000, "sampling rate"),
        ([0.0], 44100.5, "sampling rate"),
        ([0.0], float("nan"), "sampling rate"),
        ([0.0], float("inf"), "sampling rate"),
        ([0.0], None, "sampling rate"),
        ([0.0], "fast", "sampling rate"),
    ],
)
def test_refusals(samples: Any, rate: Any, message: str) -> None:
    with pytest.raises(InputError, match=message) as refused:
        Signal.of(samples, rate, "a.wav")
    assert str(refused.value).startswith("a.wav: ")
    assert "\n" not in str(refused.value)


def test_huge_samples_are_finite() -> None:
    check_finite(np.full((1, 1000), 3e38, np.float32), "loud")  # their sum is not
    check_finite(np.full((1, 1000), 1e308), "loud")


def test_opposite_infinities_are_found() -> None:
    with pytest.raises(InputError):
        check_finite(np.array([[np.inf, -np.inf]]), "a.wav")
