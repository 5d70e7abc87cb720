"""Correlations over short lags, against sums of products, and the projection that follows from them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim.dsp import correlation
from audiosim.engine.stream import Stream, plain
from audiosim.testing.signals import noise
from tests import naive


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
    for threads in (2, 8):
        np.testing.assert_array_equal(first, correlation.lags(ref, test, 10, threads=threads))


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("gain", [0.7, 1.0, -2.0])
def test_lags_of_what_the_reference_leaves(gain: float) -> None:
    ref, test = pair(700, 0.85, 1)
    r, t = (naive.filtered(s.samples, 0.85, 1) for s in (ref, test))
    _, cross = correlation.lags(ref, test, 15, 0.3, -0.2, gain)
    wanted = naive.lags(r - 0.3, t + 0.2 - gain * (r - 0.3), 15)[1]
    np.testing.assert_allclose(cross, wanted, rtol=0, atol=1e-11)
    assert not correlation.lags(ref, ref, 15, gain=1.0)[1].any()


def unit_pair(ref: Any, test: Any) -> tuple[Any, Any]:
    return ref / np.linalg.norm(ref), test / np.linalg.norm(test)


def split(ref: Any, test: Any, taps: int, load: float = 0.0) -> tuple[float, float]:
    """correlation.shares of signals of unit energy."""
    gain = float(ref @ test)
    rest = test - gain * ref
    return correlation.shares(*naive.lags(ref, rest, taps), gain, float(rest @ rest), load)[:2]


@pytest.mark.parametrize("load", [0.0, 0.1])
def test_shares(load: float) -> None:
    ref, test = (s.samples for s in pair(2000))
    ref, test = unit_pair(ref, np.convolve(ref, [0.5, 0.3, -0.2])[:2000] + 0.1 * test)
    target, distortion = split(ref, test, 20, load)
    assert target == pytest.approx(naive.coherence(*naive.lags(ref, test, 20), load), rel=1e-12)
    assert target + distortion == pytest.approx(1, rel=1e-12)
    if not load:  # the share of the test's energy that lies in the span of the delayed references
        delayed = np.stack([np.pad(ref, (k, 20 - k)) for k in range(20)])
        padded = np.pad(test, (0, 20))
        fitted = delayed.T @ np.linalg.lstsq(delayed.T, padded, rcond=None)[0]
        assert target == pytest.approx(np.sum(fitted**2), rel=1e-10)


def test_small_shares_keep_their_digits() -> None:
    """1 - c would have two of them left, or none."""
    ref, noise = unit_pair(*(s.samples for s in pair(2000)))
    noise = noise - (ref @ noise) * ref
    share = split(ref, noise, 1)[1] - split(ref, noise, 20)[0]  # of the noise, what no filter of 20 taps explains
    for level in (1e-7, 1e-10):
        assert split(*unit_pair(ref, 3 * ref + 3 * level * noise), 20)[1] == pytest.approx(level**2 * share, rel=1e-6)
    assert split(ref, noise, 1)[0] < 1e-30


@pytest.mark.parametrize("count", [1, 2, 3, 60])
def test_levinson(count: int) -> None:
    x, y = noise(200, 1, 1, 2)
    x = np.convolve(x, [1.0, 0.9, 0.5])
    auto = naive.lags(x, x, count)[0]
    lag = np.arange(count)
    right = np.stack([y[:count], np.ones(count)])
    wanted = np.linalg.solve(auto[np.abs(lag[:, None] - lag)], right.T).T
    assert correlation.levinson(auto, right)
    np.testing.assert_allclose(right, wanted, rtol=1e-9, atol=1e-12)
    assert not correlation.levinson(np.zeros(3), np.ones((1, 3)))


def test_shares_of_a_singular_matrix() -> None:
    for gain, cross, rest in ((0.5, 0.0, 0.75), (0.0, 0.5, 1.0)):
        assert correlation.shares(np.ones(3), np.full(3, cross), gain, rest)[:2] == pytest.approx((0.25, 0.75))
    assert correlation.shares(np.zeros(3), np.zeros(3), 0.0, 1.0)[:2] == (0, 1)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("load", [0.0, 0.1])
@pytest.mark.parametrize("means", [(0.0, 0.0), (0.3, -0.2)])
def test_fit(load: float, means: tuple[float, float]) -> None:
    """Shares, filter, and the derivative by differences."""
    ref, test = pair(300)
    samples = 2 * ref.samples + np.convolve(ref.samples, [0.0, 0.3, -0.2])[:300] + 0.1 * test.samples

    def found(y: Any) -> correlation.Fit:
        return correlation.fit(ref, plain(y), 20, load, means)

    r, t = ref.samples - means[0], samples - means[1]
    result = found(samples)
    assert (result.signal, result.other) == pytest.approx((r @ r, t @ t))
    assert result.target + result.distortion == pytest.approx(1)
    unit = unit_pair(r, t)
    assert result.target == pytest.approx(naive.coherence(*naive.lags(*unit, 20), load))
    if not load:
        delayed = np.stack([np.pad(r, (k, 20 - k)) for k in range(20)])
        wanted = np.linalg.lstsq(delayed.T, np.pad(t, (0, 20)), rcond=None)[0]
        np.testing.assert_allclose(result.taps + result.gain * (np.arange(20) == 0), wanted, rtol=0, atol=1e-10)
    slope = correlation.slope(ref, plain(samples), result, means)
    for at in (0, 1, 150, 299):
        shares = [found(samples + step * (np.arange(300) == at)) for step in (1e-5, -1e-5)]
        up, down = (np.log(s.target / s.distortion) for s in shares)
        assert slope[at] == pytest.approx((up - down) / 2e-5, rel=1e-5, abs=1e-6)


def test_fit_of_silence_and_of_copies() -> None:
    ref = pair(100)[0]
    nothing = plain(np.zeros(100))
    for given in ((nothing, ref), (ref, nothing), (nothing, nothing)):
        assert correlation.fit(*given, 5).target == 0
    assert correlation.fit(ref, ref, 5).distortion == 0
    assert abs(correlation.fit(ref, plain(-0.5 * ref.samples), 5).distortion) < 1e-30
