"""Sums over samples, against plain numpy, around the blocks that the kernels work in."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

from audiosim.engine import moments
from audiosim.engine.stream import Stream
from audiosim.metrics.mae import absolute_error
from audiosim.testing.signals import COMPILED, Array, noise
from tests import naive

KERNELS = {  # name: (terms, arguments to try)
    "means": (2, [()]),
    "offset": (2, [()]),
    "squares": (2, [(0.0, 0.0, 1.0), (0.01, -0.02, 0.7), (0.0, 0.0, 0.7)]),
    "error": (1, [()]),
    "product": (3, [(0.0, 0.0), (0.01, -0.02)]),
    "absolute": (1, [()]),
    "log_cosh": (1, [(1.0, 0.0), (1.0, 1e-8), (30.0, 0.01), (100.0, 0.0)]),
}
LENGTHS = (1, 2, 3, 4095, 4096, 4097, 8193) if COMPILED else (1, 2, 3, 4097)
FILTERS = ((0.0, 0), (0.85, 1), (0.85, 2))


def kernel_of(name: str) -> Any:
    return absolute_error.sums if name == "absolute" else getattr(moments, name)


def pair(length: int, coef: float, lag: int, dtype: type = np.float64) -> tuple[Stream, Stream]:
    r = noise(length, 1, 1)[0].astype(dtype)
    t = (0.9 * r + 0.1 * noise(length, 1, 2)[0]).astype(dtype)
    return Stream(r, r.dtype.type(coef), lag), Stream(t, t.dtype.type(coef), lag)


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize(("coef", "lag"), FILTERS)
@pytest.mark.parametrize("length", LENGTHS)
def test_sums(name: str, coef: float, lag: int, length: int) -> None:
    terms, arguments = KERNELS[name]
    ref, test = pair(length, coef, lag)
    r, t = (naive.filtered(s.samples, coef, lag) for s in (ref, test))
    for given in arguments:
        sums = moments.over(kernel_of(name), terms, ref, test, *given)
        np.testing.assert_allclose(sums, naive.moments(name, r, t, *given), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("name", KERNELS)
def test_chunks_and_threads(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(moments, "CHUNK", 5000)
    terms, arguments = KERNELS[name]
    ref, test = pair(23001 if COMPILED else 10001, 0.85, 1)
    r, t = (naive.filtered(s.samples, 0.85, 1) for s in (ref, test))
    kernel = kernel_of(name)
    first = moments.over(kernel, terms, ref, test, *arguments[0], threads=1)
    np.testing.assert_allclose(first, naive.moments(name, r, t, *arguments[0]), rtol=1e-10)
    for threads in (2, 8):
        again = moments.over(kernel, terms, ref, test, *arguments[0], threads=threads)
        np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("coef", "lag"), FILTERS)
def test_equal_signals_differ_by_exactly_nothing(dtype: type, coef: float, lag: int) -> None:
    ref, _ = pair(5000, coef, lag, dtype)
    same = Stream(ref.samples.copy(), ref.coef, lag)
    mean = float(np.mean(ref.samples))
    assert moments.over(moments.error, 1, ref, same).tolist() == [0]
    assert moments.over(absolute_error.sums, 1, ref, same).tolist() == [0]
    assert moments.over(moments.log_cosh, 1, ref, same, 1.0, 0.0).tolist() == [0]
    for means in ((0.0, 0.0), (mean, mean)):
        assert moments.over(moments.squares, 2, ref, same, *means, 1.0)[1] == 0
        assert moments.over(moments.product, 3, ref, same, *means)[2] == 0


@pytest.mark.parametrize("size", [1e-12, 1e-3, 0.1, 0.2499, 0.2501, 1.0, 30.0, 299.0, 301.0, 1e4, 1e100])
@pytest.mark.parametrize("eps", [0.0, 1e-8, 9e-5, 2e-4, 0.5])
def test_log_cosh_of_any_size(size: float, eps: float) -> None:
    """ln(cosh u + eps) from the series of small errors to the asymptote of huge ones."""
    errors = size * np.linspace(-1, 1, 101)
    cosh_less_1 = 2 * np.sinh(np.minimum(np.abs(errors), 600.0) / 2) ** 2
    exact = np.log1p(cosh_less_1 + eps) + np.maximum(np.abs(errors) - 600, 0)
    zero = np.zeros(101)
    ref, test = Stream(zero, zero.dtype.type(0), 0), Stream(errors, zero.dtype.type(0), 0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        total = moments.over(moments.log_cosh, 1, ref, test, 1.0, eps)[0]
    assert total == pytest.approx(float(exact.sum()), rel=1e-11, abs=1e-300)


def test_huge_float32_samples_do_not_overflow() -> None:
    big = np.full(10, 1e30, np.float32)
    ref, test = (Stream(x, np.float32(0), 0) for x in (big, -big))
    assert moments.over(moments.error, 1, ref, test)[0] == pytest.approx(10 * 4e60, rel=1e-6)
    assert moments.over(moments.squares, 2, ref, test, 0.0, 0.0, 1.0)[0] == pytest.approx(1e61, rel=1e-6)


@pytest.mark.parametrize(("size", "hop"), [(1, 1), (33, 10), (100, 150), (100, 100)])
def test_segments(size: int, hop: int) -> None:
    ref, test = (s.samples for s in pair(700, 0.0, 0))
    window = np.hanning(size + 2)[1:-1]
    out = np.empty(((ref.size - size) // hop + 1, 2))
    moments.segments(ref, test, window, hop, out)
    np.testing.assert_allclose(out, naive.segments(ref, test, window, hop, len(out)), rtol=1e-12)


@pytest.mark.parametrize(("coef", "lag"), [(0.85, 1), (0.99, 2)])
def test_a_filter_hides_no_small_difference(coef: float, lag: int) -> None:
    """Float32 samples, filtered in float64: as good as filtering the difference."""
    r = noise(40001 if COMPILED else 5001, 1, 1)[0].astype(np.float32)
    t = (r + 1e-6 * noise(r.size, 1, 2)[0]).astype(np.float32)
    ref, test = (Stream(x, np.float64(coef), lag) for x in (r, t))
    expected = np.sum(naive.filtered(t.astype(float) - r, coef, lag) ** 2)
    assert moments.over(moments.error, 1, ref, test)[0] == pytest.approx(expected, rel=1e-9)
    assert moments.over(moments.squares, 2, ref, test, 0.0, 0.0, 1.0)[1] == pytest.approx(expected, rel=1e-9)


def drawn() -> tuple[Array, ...]:
    """ref, test [item, sample]; gain, mean_r, mean_t [item]."""
    rng = np.random.default_rng(3)
    ref = rng.standard_normal((3, 50))
    test = ref + 0.3 * rng.standard_normal((3, 50))
    test[0], test[1, 20:] = ref[0], ref[1, 20:]
    return ref, test, np.array([1.0, 1.0, -0.7]), np.array([0.0, 0.1, 0.2]), np.array([0.0, 0.1, -0.3])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_joint_sums_and_combinations(dtype: type) -> None:
    ref, test, gain, mean_r, mean_t = drawn()
    ref, test = ref.astype(dtype), test.astype(dtype)
    r = ref.astype(np.float64) - mean_r[:, None]
    d = (test.astype(np.float64) - mean_t[:, None]) - gain[:, None] * r
    part = np.s_[:, 7:43]
    sums = np.full((3, 5), np.nan)
    moments.joint(ref, test, 7, 43, sums, gain, mean_r, mean_t)
    wanted = [np.sum(x[part], axis=1) for x in (r * r, d * d, r * d, r, d)]
    np.testing.assert_allclose(sums, np.stack(wanted, axis=1), rtol=1e-12, atol=1e-12)
    assert not sums[0, [1, 2, 4]].any(), "equal signals"
    moments.joint(ref, 0 * test, 0, 50, sums, np.ones(3), np.zeros(3), np.zeros(3))
    assert sums[:, 0].tolist() == (-sums[:, 2]).tolist(), "silence has nothing in common"

    of_r, of_d, constant = np.random.default_rng(4).standard_normal((3, 3))
    out = np.zeros((3, 50), dtype)
    moments.combination(ref, test, 7, 43, out, gain, mean_r, mean_t, of_r, of_d, constant)
    whole = of_r[:, None] * r + of_d[:, None] * d + constant[:, None]
    np.testing.assert_allclose(out[part], whole[part], rtol=1e-6 if dtype is np.float32 else 1e-12, atol=1e-6)
    assert not out[:, :7].any()
    assert not out[:, 43:].any()


SLOPES = {  # name: (kernel, derivative, arguments)
    "absolute": (absolute_error.slopes, np.sign, ()),
    "log_cosh": (moments.log_cosh_slope, lambda e: 3 * np.sinh(3 * e) / (np.cosh(3 * e) + 0.1), (3.0, 0.1)),
}


@pytest.mark.parametrize("scale", [1e-9, 0.1, 10.0])
@pytest.mark.parametrize("name", SLOPES)
def test_slopes(name: str, scale: float) -> None:
    kernel, derivative, arguments = SLOPES[name]
    ref, test = (scale * x for x in drawn()[:2])
    factor, out = np.array([1.0, -2.0, 0.5]), np.zeros((3, 50))
    kernel(ref, test, 7, 43, out, factor, *arguments)
    wanted = factor[:, None] * derivative(test - ref)
    np.testing.assert_allclose(out[:, 7:43], wanted[:, 7:43], rtol=1e-9, atol=0)
    assert not out[:, :7].any()
    assert not out[:, 43:].any()
    assert not out[0].any(), "equal signals"


def test_slopes_of_huge_errors() -> None:
    out = np.empty((1, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        moments.log_cosh_slope(np.zeros((1, 4)), np.array([[1e100, -1e3, 400.0, 0.0]]), 0, 4, out, np.ones(1), 1.0, 0.0)
    np.testing.assert_allclose(out, [[1, -1, 1, 0]], rtol=1e-15)
