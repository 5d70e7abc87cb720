"""Linear prediction against the equations that it solves, and its torch text against its kernels."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import scipy.linalg

from audiosim.dsp import linear_prediction as lp
from audiosim.engine.stream import Stream, plain
from audiosim.testing.signals import Array, affordable, noise, silence, sine, speech_like
from tests import naive

RATE, SIZE, HOP = 8000, 240, 60
WINDOW = np.hanning(SIZE + 2)[1:-1]


def predicted(x: Array, order: int = 10, **options: Any) -> tuple[Array, Array]:
    count = lp.frame_count(x.size, SIZE, HOP)
    return lp.predictors(plain(x), WINDOW, HOP, count, order, **options)


def speech() -> Array:
    return speech_like(RATE, 5 * affordable(0.2), 3)[0]


@pytest.mark.parametrize("order", [1, 2, 3, 10, 16])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_predictors_solve_the_normal_equations(order: int, dtype: type) -> None:
    x = speech().astype(dtype)
    a, r = predicted(x, order)
    for f in range(0, len(a), 5):
        y = WINDOW * x[f * HOP : f * HOP + SIZE]
        lags = np.array([y[: SIZE - k] @ y[k:] for k in range(order + 1)])
        np.testing.assert_allclose(r[f], lags, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(a[f, 1:], -scipy.linalg.solve_toeplitz(r[f, :-1], r[f, 1:]), rtol=1e-5, atol=1e-6)
        assert a[f, 0] == 1
    errors = np.empty(len(a))
    lp.prediction_errors(a, r, errors)
    for f in range(0, len(a), 5):
        assert errors[f] == pytest.approx(a[f] @ scipy.linalg.toeplitz(r[f]) @ a[f], rel=1e-9)
        other = a[f] + np.r_[0, 1e-3 * np.random.default_rng(f).standard_normal(order)]
        assert errors[f] < other @ scipy.linalg.toeplitz(r[f]) @ other, "the least that a predictor can leave"


def test_an_autoregressive_process_is_found_again() -> None:
    poles = [0.9 * np.exp(0.6j), 0.9 * np.exp(-0.6j), 0.5]
    a = np.poly(poles).real
    r = naive_autocorrelation(a, 7)
    found = np.empty((1, 7))
    lp.levinson(r[None], found)
    np.testing.assert_allclose(found[0], [*a, 0, 0, 0], atol=1e-9)


def naive_autocorrelation(a: Array, count: int) -> Array:
    """Of the impulse response of 1 / A."""
    power = 1 / np.abs(np.fft.rfft(a, 1 << 14)) ** 2
    return np.asarray(np.fft.irfft(power)[:count])


def test_filtered_streams_tasks_and_threads() -> None:
    x = np.concatenate([speech()] * 3)
    y = naive.filtered(x, 0.85, 1)
    count = lp.frame_count(y.size, SIZE, HOP)
    a, r = lp.predictors(Stream(x, x.dtype.type(0.85), 1), WINDOW, HOP, count, 10)
    b, s = lp.predictors(plain(y), WINDOW, HOP, count, 10, threads=3)
    np.testing.assert_allclose(r, s, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    np.testing.assert_array_equal(b, lp.predictors(plain(y), WINDOW, HOP, count, 10)[0])


@pytest.mark.parametrize("order", [1, 2, 10])
def test_cepstra_are_the_logarithms_series(order: int) -> None:
    a, _ = predicted(speech(), order)
    c = np.empty((len(a), order))
    lp.cepstra(a, c)
    for f in range(0, len(a), 5):
        series = np.fft.irfft(-np.log(np.abs(np.fft.rfft(a[f], 1 << 16))))
        np.testing.assert_allclose(c[f], 2 * series[1 : order + 1], atol=1e-8)


@pytest.mark.parametrize("frames", [0, 1, 7])
def test_count(frames: int) -> None:
    length = SIZE + HOP * (frames - 1)
    assert lp.frame_count(length, SIZE, HOP) == frames
    assert lp.frame_count(length + HOP - 1, SIZE, HOP) == frames
    assert lp.frame_count(1, SIZE, HOP) == 0


def test_silence_is_flat_and_tones_do_no_harm() -> None:
    a, r = predicted(silence(RATE, 0.1)[0])
    np.testing.assert_array_equal(a, np.eye(1, 11).repeat(len(a), 0))
    np.testing.assert_array_equal(r[:, 0], lp.SILENCE)
    a, _ = predicted(silence(RATE, 0.1)[0], guarded=False)
    np.testing.assert_array_equal(a, np.eye(1, 11).repeat(len(a), 0))
    a, _ = predicted(sine(RATE, 0.1)[0], 16)
    assert np.isfinite(a).all()


@pytest.mark.parametrize("options", [{}, {"offset": 2.2e-16, "guarded": False}])
def test_torch_text_agrees(options: dict[str, Any]) -> None:
    torch = pytest.importorskip("torch")
    x = np.stack([noise(RATE, 0.1, 1)[0], speech()[:800], sine(RATE, 0.1, 2)[0] + 0.01 * noise(RATE, 0.1, 3)[0]])
    count = lp.frame_count(800, SIZE, HOP)
    a, r = lp.predictors_torch(WINDOW, HOP, 10, **options)(torch.tensor(x), count)
    errors, c = lp.prediction_errors_torch(a, r), lp.cepstra_torch(a)
    for i in range(3):
        b, s = lp.predictors(plain(x[i]), WINDOW, HOP, count, 10, **options)
        np.testing.assert_allclose(r[i].numpy(), s, rtol=1e-9, atol=1e-13)
        np.testing.assert_allclose(a[i].numpy(), b, rtol=1e-7, atol=1e-8)
        left, d = np.empty(count), np.empty((count, 10))
        lp.prediction_errors(b, s, left)
        lp.cepstra(b, d)
        np.testing.assert_allclose(errors[i].numpy(), left, rtol=1e-8)
        np.testing.assert_allclose(c[i].numpy(), d, rtol=1e-7, atol=1e-8)


def test_gradient_is_the_derivative_and_finite_on_silence() -> None:
    torch = pytest.importorskip("torch")
    predict = lp.predictors_torch(WINDOW, HOP, 4)
    x = torch.tensor(noise(RATE, 0.05, 1), requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: lp.cepstra_torch(predict(x, 2)[0]), x, fast_mode=True)
    assert torch.autograd.gradcheck(lambda x: lp.prediction_errors_torch(*predict(x, 2)), x, fast_mode=True)
    for y in (torch.zeros(1, 400), torch.tensor(sine(RATE, 0.05)), torch.eye(400)[:1] * 0.5):
        z = y.double().requires_grad_()
        lp.cepstra_torch(predict(z, 2)[0]).sum().backward()
        assert torch.isfinite(z.grad).all()
