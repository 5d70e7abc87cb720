"""Correlations over short lags, against sums of products, and the projection that follows from them."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.dsp import correlation
from audiosim.dsp.stream import Stream
from tests import naive
from tests.signals import noise


def pair(length: int, coef: float = 0.0, lag: int = 0, dtype: type = np.float64) -> tuple[Stream, Stream]:
    x, y = noise(length, 1, 1, 2).astype(dtype)
    return Stream(x, x.dtype.type(coef), lag), Stream(y, y.dtype.type(coef), lag)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(correlation, "BLOCK", 64)
    monkeypatch.setattr(correlation, "BLOCKS_PER_TASK", 2)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize(("coef", "lag"), [(0.0, 0), (0.85, 1), (0.85, 2)])
@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 100])
@pytest.mark.parametrize("length", [1, 2, 16, 49, 50, 99, 700])
def test_lags(length: int, count: int, coef: float, lag: int) -> None:
    """From the first to the last lag, also those longer than the signal, across blocks and tasks."""
    ref, test = pair(length, coef, lag)
    r, t = (naive.filtered(s.samples, coef, lag) for s in (ref, test))
    for means in ((0.0, 0.0), (0.3, -0.2)):
        auto, cross = correlation.lags(ref, test, count, *means)
        wanted = naive.lags(r - means[0], t - means[1], count)
        np.testing.assert_allclose(auto, wanted[0], rtol=0, atol=1e-11)
        np.testing.assert_allclose(cross, wanted[1], rtol=0, atol=1e-11)


@pytest.mark.parametrize("count", [1, 512, 3000])
def test_lags_of_a_long_signal(count: int) -> None:
    ref, test = pair(30000)
    auto, cross = correlation.lags(ref, test, count)
    wanted = naive.lags(ref.samples, test.samples, count)
    np.testing.assert_allclose(auto, wanted[0], rtol=0, atol=1e-11)
    np.testing.assert_allclose(cross, wanted[1], rtol=0, atol=1e-11)


@pytest.mark.usefixtures("small_blocks")
def test_float32_is_summed_in_float64() -> None:
    ref, test = pair(700, dtype=np.float32)
    auto, _ = correlation.lags(ref, test, 5)
    assert auto.dtype == np.float64
    np.testing.assert_allclose(auto, naive.lags(ref.samples.astype(np.float64), ref.samples, 5)[0], rtol=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_same_bits_on_any_number_of_threads() -> None:
    ref, test = pair(3000, 0.85, 1)
    first = correlation.lags(ref, test, 10)
    for jobs in (2, 8):
        np.testing.assert_array_equal(first, correlation.lags(ref, test, 10, jobs=jobs))


@pytest.mark.parametrize("load", [0.0, 0.1])
def test_coherence(load: float) -> None:
    ref, test = (s.samples for s in pair(2000))
    test = np.convolve(ref, [0.5, 0.3, -0.2])[:2000] + 0.1 * test
    auto, cross = naive.lags(ref, test, 20)
    auto, cross = auto / np.sum(ref**2), cross / np.linalg.norm(ref) / np.linalg.norm(test)
    assert correlation.coherence(auto, cross, load) == pytest.approx(naive.coherence(auto, cross, load), rel=1e-12)
    if not load:  # the share of the test's energy that lies in the span of the delayed references
        delayed = np.stack([np.pad(ref, (k, 20 - k)) for k in range(20)])
        padded = np.pad(test, (0, 20))
        fitted = delayed.T @ np.linalg.lstsq(delayed.T, padded, rcond=None)[0]
        share = np.sum(fitted**2) / np.sum(padded**2)
        assert correlation.coherence(auto, cross) == pytest.approx(share, rel=1e-10)


def test_coherence_of_a_singular_matrix() -> None:
    assert correlation.coherence(np.ones(3), np.full(3, 0.5)) == pytest.approx(0.25)
    assert correlation.coherence(np.zeros(3), np.zeros(3)) == 0
