"""Logarithm and exponential agree with the C library to a few units in the last place."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.engine.elementary import exponentials, logarithms
from audiosim.testing.signals import COMPILED, Array

COUNT = 100_000 if COMPILED else 1000


def logs(x: Array) -> Array:
    y = np.array(x, dtype=np.float64)
    logarithms(y, np.empty(y.size, np.int64))
    return y


def exps(x: Array) -> Array:
    y = np.array(x, dtype=np.float64)
    exponentials(y, np.empty(y.size, np.int64))
    return y


def units(value: Array, exact: Array) -> float:
    """The largest difference in units in the last place."""
    return float(np.max(np.abs(value - exact) / np.spacing(np.abs(exact)), initial=0.0))


@pytest.mark.parametrize(("low", "high"), [(-307, 308), (-10, 10), (-1, 1), (-1e-3, 1e-3), (-1e-12, 1e-12)])
def test_logarithms(low: float, high: float) -> None:
    x = 10 ** np.random.default_rng(1).uniform(low, high, COUNT)
    assert units(logs(x), np.log(x)) <= 4


def test_logarithms_of_all_that_is_normal() -> None:
    tiny, huge = np.finfo(np.float64).tiny, np.finfo(np.float64).max
    borders = np.sqrt(0.5) * 2.0 ** np.arange(-1000, 1000)  # where the exponent is split off
    x = np.concatenate([[tiny, huge, np.nextafter(1, 0), np.nextafter(1, 2)], borders, np.nextafter(borders, 0)])
    assert units(logs(x), np.log(x)) <= 4


def test_logarithm_of_one_is_zero_and_of_powers_of_two_exact() -> None:
    assert logs(np.ones(9)).tolist() == [0.0] * 9
    k = np.arange(-1022, 1024)
    assert units(logs(2.0**k), k * np.log(2)) <= 1


def test_logarithms_of_reciprocals_are_opposite() -> None:
    k = 2.0 ** np.arange(-500, 500)
    np.testing.assert_array_equal(logs(k), -logs(1 / k))


@pytest.mark.parametrize("reach", [700.0, 10.0, 0.4, 1e-6, 1e-300])
def test_exponentials(reach: float) -> None:
    x = np.random.default_rng(2).uniform(-reach, reach, COUNT)
    assert units(exps(x), np.exp(x)) <= 4


def test_exponentials_at_the_ends() -> None:
    halves = (np.arange(-1000, 1000) + 0.5) * np.log(2)  # where the exponent is split off
    x = np.concatenate([[-700, 700, 0.0, -0.0], halves])
    assert units(exps(x), np.exp(x)) <= 4
    assert exps(np.zeros(3)).tolist() == [1.0] * 3


def test_one_undoes_the_other() -> None:
    x = np.random.default_rng(3).uniform(-300, 300, COUNT)
    np.testing.assert_allclose(logs(exps(x)), x, rtol=1e-15, atol=1e-15)


def test_nothing_to_do() -> None:
    assert logs(np.empty(0)).size == exps(np.empty(0)).size == 0
