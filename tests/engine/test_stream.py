"""Filtered samples are read as if the whole filtered signal lay in zeros, or between mirrors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim.engine.stream import Stream, double, part, plain, read, read_reflected
from audiosim.testing.signals import noise
from tests import naive

LENGTHS = (1, 2, 3, 7, 50)
FILTERS = ((0.0, 0), (0.85, 1), (0.85, 2), (1.0, 1))


def stream(length: int, coef: float, lag: int, dtype: Any = np.float64) -> Stream:
    x = noise(length, 1, seed=length)[0].astype(dtype)
    return Stream(x, x.dtype.type(coef), lag)


@pytest.mark.parametrize(("coef", "lag"), FILTERS)
@pytest.mark.parametrize("length", LENGTHS)
def test_read(length: int, coef: float, lag: int) -> None:
    s = stream(length, coef, lag)
    y = naive.filtered(s.samples, coef, lag)
    assert s.length == y.size == length + lag
    for start in (*range(-5, 6), length - 2, length - 1, length, length + 1, length + 5, -100, 1000):
        for n in (1, 2, 3, length, length + lag, length + 11):
            out = np.full(n, np.nan)
            read(*s, start, out)
            np.testing.assert_allclose(out, naive.part(y, start, n), rtol=0, atol=1e-16, err_msg=f"{start}, {n}")


@pytest.mark.parametrize(("coef", "lag"), FILTERS)
@pytest.mark.parametrize("length", LENGTHS)
def test_read_reflected(length: int, coef: float, lag: int) -> None:
    s = stream(length, coef, lag)
    y = naive.filtered(s.samples, coef, lag)
    side = y.size - 1  # the most that one mirror reaches
    for start in range(-side, y.size):
        for n in range(1, min(y.size + side - start, 2 * side + 2)):
            out = np.full(n, np.nan)
            read_reflected(*s, start, out)
            np.testing.assert_allclose(out, naive.reflected(y, start, n), rtol=0, atol=1e-16, err_msg=f"{start}, {n}")
            if length == 50 and n > 9:
                break  # the short signals have been everywhere


def test_in_the_samples_own_type() -> None:
    s = stream(50, 0.85, 1, np.float32)
    out = np.empty(51, np.float32)
    read(*s, 0, out)
    np.testing.assert_array_equal(out, naive.filtered(s.samples, np.float32(0.85), 1))  # type: ignore[arg-type]


def test_plain_reads_what_is_there() -> None:
    s = plain(noise(50, 1)[0])
    assert (s.length, s.lag) == (50, 0)
    out = np.empty(50)
    read(*s, 0, out)
    np.testing.assert_array_equal(out, s.samples)


def test_read_is_the_same_in_pieces() -> None:
    s = stream(1000, 0.85, 2)
    whole = np.empty(1002)
    read(*s, 0, whole)
    for step in (1, 7, 100, 999):
        parts = np.full(1002, np.nan)
        for start in range(0, 1002, step):
            read(*s, start, parts[start : start + step])
        np.testing.assert_array_equal(parts, whole)


def test_parts() -> None:
    """The samples themselves where nothing is to be done, in the stream's type where there is."""
    s = stream(50, 0.0, 0, np.float32)
    assert np.shares_memory(part(s, 10, 40), s.samples)
    np.testing.assert_array_equal(part(s, 45, 10), np.pad(s.samples[45:], (0, 5)))
    wide = part(double(s), 10, 40)
    assert wide.dtype == np.float64
    np.testing.assert_array_equal(wide, s.samples[10:])
    filtered = Stream(s.samples, np.float64(0.85), 2)
    np.testing.assert_array_equal(part(filtered, 0, 52), naive.filtered(s.samples.astype(float), 0.85, 2))
