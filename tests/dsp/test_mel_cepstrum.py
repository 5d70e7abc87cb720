"""Mel-cepstra against their definition, against SPTK (pysptk 1.0.1, called here), and as a stage to train through."""

from __future__ import annotations

import time
from itertools import product
from typing import Any

import numpy as np
import pytest

from audiosim.dsp import mel_cepstrum as stage
from audiosim.errors import UsageError
from audiosim.testing.signals import COMPILED, SIGNALS, Array, affordable
from tests import naive, peers

GAMMAS = (0.0, -0.1, -1 / 3, -0.5, -1.0)
RATE = 16000


def frames(signal: str = "speech_like", n_fft: int = 512, count: int = 6, rate: int = RATE) -> Array:
    """Blackman-windowed frames [frame, sample]."""
    x = SIGNALS[signal](rate, affordable(1.0), seed=3)[0]
    starts = np.linspace(0, x.size - n_fft, count).astype(int)
    return np.stack([x[s : s + n_fft] for s in starts]) * np.blackman(n_fft)


def powers(*args: Any, **kwargs: Any) -> Array:
    return np.abs(np.fft.rfft(frames(*args, **kwargs))) ** 2


def noisy(frames: int, n_fft: int) -> Array:
    """Exponentially distributed power about a smooth slope."""
    bins = n_fft // 2 + 1
    return np.random.default_rng([frames, n_fft]).exponential(size=(frames, bins)) * np.exp(-3 * np.arange(bins) / bins)


# The definition


@pytest.mark.parametrize("alpha", [-0.4, 0.0, 0.42])
def test_warping_of_a_cepstrum(alpha: float) -> None:
    matrix = stage.frequency_transform(20, 90, alpha)
    np.testing.assert_allclose(matrix, naive.frequency_transform(20, 90, alpha), atol=1e-13)
    np.testing.assert_allclose(matrix @ stage.frequency_transform(90, 20, -alpha), np.eye(20), atol=1e-6)
    with pytest.raises(ValueError, match="read-only"):
        matrix[0, 0] = 2


@pytest.mark.parametrize(("order", "alpha", "gamma"), [*product([7], [0.35], GAMMAS), (0, 0.3, 0.0), (0, 0.3, -0.5)])
def test_the_criterion_is_least(order: int, alpha: float, gamma: float) -> None:
    for p in noisy(3, 64):
        c = stage.mel_cepstrum(p, order, alpha, gamma, threshold=0)
        wanted = naive.mel_cepstrum(p, order, alpha, gamma)
        assert naive.unbiased_log(c, p, alpha, gamma) <= naive.unbiased_log(wanted, p, alpha, gamma) + 1e-12
        np.testing.assert_allclose(c, wanted, atol=1e-5)


def test_an_exact_envelope_is_found() -> None:
    c = np.array([0.2, 0.3, -0.2, 0.1, 0.05])
    for gamma in GAMMAS:
        p = np.exp(2 * stage.spectrum(c, 0.4, gamma, 512))
        np.testing.assert_allclose(stage.mel_cepstrum(p, 4, 0.4, gamma, threshold=0), c, atol=1e-9)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_a_newton_step(gamma: float) -> None:
    p = noisy(3, 64)
    c = stage.mel_cepstrum(p, 7, 0.4, gamma, iterations=1)
    basis = stage._basis(64, 7, 0.4)
    _, r, t, h = stage._means(np, np.log(p), c, basis, gamma)
    wanted = naive.newton_step(c, r, t, h, basis.first, gamma)
    stage._step(c, r, t, h, basis.first, gamma)
    np.testing.assert_allclose(c, wanted, rtol=1e-9)


def test_a_louder_frame_differs_in_c0_alone() -> None:
    p = powers()
    quiet, loud = (stage.mel_cepstrum(g**2 * p, 24, 0.41) for g in (1.0, 30.0))
    np.testing.assert_allclose(loud - quiet, np.log(30) * (np.arange(25) == 0) + 0 * quiet, atol=1e-9)


def test_any_shape_and_every_frame_by_itself() -> None:
    p = np.resize(noisy(7, 64), (2, 3 * stage.BLOCK // 4 if COMPILED else 3, 33))
    together = stage.mel_cepstrum(p, 9, 0.35, -0.5)
    assert together.shape == (*p.shape[:2], 10)
    for i, j in ((0, 0), (1, 2), (1, p.shape[1] - 1)):
        np.testing.assert_allclose(together[i, j], stage.mel_cepstrum(p[i, j], 9, 0.35, -0.5), rtol=1e-9)
    assert stage.mel_cepstrum(p[:0], 9, 0.35).shape == (0, p.shape[1], 10)


def test_input_is_left_alone() -> None:
    p = noisy(2, 64)
    p[0, 3] = 0
    before = p.copy()
    stage.mel_cepstrum(p, 5, 0.3)
    np.testing.assert_array_equal(p, before)


@pytest.mark.parametrize("gamma", GAMMAS)
def test_silence_and_spectral_zeros_are_finite(gamma: float) -> None:
    one_bin, half, impulse = np.zeros(129), np.ones(129), np.ones(129)
    one_bin[40], half[64:] = 1, 0
    p = np.stack([np.zeros(129), one_bin, half, impulse, 1e-200 * impulse, 1e200 * impulse])
    c = stage.mel_cepstrum(p, 12, 0.41, gamma)
    assert np.isfinite(c).all()
    if gamma == 0:
        np.testing.assert_allclose(c[[0, 3, 4, 5], 0], np.log([1e-150, 1, 1e-100, 1e100]), atol=1e-9)
        np.testing.assert_allclose(c[[0, 3, 4, 5], 1:], 0, atol=1e-9)
        np.testing.assert_allclose(stage.mel_cepstrum(p[0], 3, 0.41, eps=1e-8), np.log([1e-4, 1, 1, 1]), atol=1e-9)


@pytest.mark.parametrize("alpha", [-0.3, 0.0, 0.5])
def test_the_warped_axis(alpha: float) -> None:
    z = np.exp(1j * np.linspace(0, np.pi, 50))
    wanted = -np.unwrap(np.angle((1 / z - alpha) / (1 - alpha / z)))
    np.testing.assert_allclose(stage.warp(np.angle(z), alpha), wanted, atol=1e-12)


@pytest.mark.parametrize(
    "given",
    [
        (-1, 0.4, 0.0, 1),
        (12, 1.0, 0.0, 1),
        (12, -1.0, 0.0, 1),
        (12, 0.4, 0.5, 1),
        (12, 0.4, -1.5, 1),
        (12, 0.4, 0.0, -1),
    ],
)
def test_what_is_no_analysis(given: Any) -> None:
    order, alpha, gamma, iterations = given
    with pytest.raises(UsageError, match="a mel-cepstrum takes"):
        stage.mel_cepstrum(np.ones(33), order, alpha, gamma, iterations)
    with pytest.raises(UsageError, match="2 bins at least"):
        stage.mel_cepstrum(np.ones((4, 1)), 0, 0.0)


# SPTK


def test_alpha_is_that_of_sptk() -> None:
    # pysptk 1.0.1: pysptk.util.mcepalpha(rate)
    table = {8000: 0.312, 16000: 0.41, 22050: 0.455, 24000: 0.466, 32000: 0.504, 44100: 0.544, 48000: 0.554}
    assert {rate: stage.alpha_of(rate) for rate in table} == table
    for rate in (6000, 10000, 11025, 12000, 96000, 192000):
        assert stage.alpha_of(rate) == pytest.approx(peers.pysptk().util.mcepalpha(rate), abs=1e-9)


@pytest.mark.skipif(not COMPILED, reason="many frames")
@pytest.mark.parametrize("order", [12, 24, 34, 49])
@pytest.mark.parametrize("signal", ["speech_like", "harmonic", "noise"])
def test_agrees_with_mcep(signal: str, order: int) -> None:
    """With its default number of iterations and threshold."""
    pysptk = peers.pysptk()
    for alpha in (0.0, 0.2, 0.41, 0.58):
        x = frames(signal, n_fft=1024)
        p = np.abs(np.fft.rfft(x)) ** 2
        wanted = [pysptk.mcep(frame, order, alpha, etype=1, eps=1e-8) for frame in x]
        np.testing.assert_allclose(stage.mel_cepstrum(p, order, alpha, eps=1e-8), wanted, atol=1e-6)
        wanted = [pysptk.mcep(frame, order, alpha, miniter=0, maxiter=0, etype=1, eps=1e-8) for frame in x]
        np.testing.assert_allclose(stage.mel_cepstrum(p, order, alpha, iterations=0, eps=1e-8), wanted, atol=1e-12)


@pytest.mark.parametrize("itype", [3, 4])
def test_agrees_with_mcep_of_spectra(itype: int) -> None:
    """Amplitude and power, in short frames, as they are and with a floor of -50 dB below the greatest."""
    pysptk = peers.pysptk()
    p = powers()
    given = np.sqrt(p) if itype == 3 else p
    wanted = [pysptk.mcep(x, 24, 0.41, itype=itype) for x in given]
    np.testing.assert_allclose(stage.mel_cepstrum(p, 24, 0.41), wanted, atol=1e-6)
    wanted = [pysptk.mcep(x, 24, 0.41, itype=itype, etype=2, eps=-50.0) for x in given]
    floored = np.maximum(p, 1e-5 * p.max(1, keepdims=True))
    np.testing.assert_allclose(stage.mel_cepstrum(floored, 24, 0.41), wanted, atol=1e-6)


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("alpha", [0.0, 0.41, 0.58])
def test_agrees_with_mgcep(alpha: float, gamma: float) -> None:
    """Both at the minimum, where it is well-conditioned for SPTK."""
    pysptk = peers.pysptk()
    for signal, order in (("noise", 12), ("noise", 24), ("pink", 34)):
        x = 1e4 * frames(signal, count=3)
        wanted = [pysptk.mgcep(f, order, alpha, gamma, maxiter=60, threshold=1e-9, etype=1, eps=1e-2) for f in x]
        c = stage.mel_cepstrum(np.abs(np.fft.rfft(x)) ** 2, order, alpha, gamma, eps=1e-2, threshold=1e-9)
        np.testing.assert_allclose(c, wanted, atol=1e-7)


@pytest.mark.skipif(not COMPILED, reason="the speed of kernels")
def test_no_slower_than_mcep() -> None:
    pysptk = peers.pysptk()
    p = powers(count=200)
    stage.mel_cepstrum(p[:2], 24, 0.41, eps=1e-8)

    def seconds(function: Any) -> float:
        start = time.perf_counter()
        function()
        return time.perf_counter() - start

    ours = min(seconds(lambda: stage.mel_cepstrum(p, 24, 0.41, eps=1e-8)) for _ in range(3))
    theirs = seconds(lambda: [pysptk.mcep(x, 24, 0.41, itype=4, etype=1, eps=1e-8) for x in p])
    assert ours < theirs


# The stage to train through


@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("iterations", [0, 1, 4])
def test_torch_has_the_same_value_and_its_derivative(gamma: float, iterations: int) -> None:
    torch = pytest.importorskip("torch")
    analyse = stage.mel_cepstrum_torch(5, 0.35, 32, gamma, iterations)
    p = noisy(2, 32)
    wanted = stage.mel_cepstrum(p, 5, 0.35, gamma, iterations, threshold=0)
    x = torch.tensor(p, requires_grad=True)
    np.testing.assert_allclose(analyse(x).detach().numpy(), wanted, rtol=1e-9, atol=1e-12)
    assert torch.autograd.gradcheck(analyse, (x,), fast_mode=True)
    half = analyse(x[None].float())
    assert half.shape == (1, 2, 6)
    assert half.dtype == torch.float32
    np.testing.assert_allclose(half[0].detach().numpy(), wanted, rtol=1e-4, atol=1e-5)


def test_torch_has_the_same_value_on_recorded_spectra() -> None:
    torch = pytest.importorskip("torch")
    for signal in ("speech_like", "harmonic", "clicks", "silence"):
        p = powers(signal, count=2)
        for gamma in (0.0, -0.5):
            analyse = stage.mel_cepstrum_torch(24, 0.41, 512, gamma, eps=1e-8)
            wanted = stage.mel_cepstrum(p, 24, 0.41, gamma, stage.STEPS, 1e-8, threshold=0)
            x = torch.tensor(p, requires_grad=True)
            c = analyse(x)
            np.testing.assert_allclose(c.detach().numpy(), wanted, rtol=1e-7, atol=1e-7)
            c.square().sum().backward()
            assert torch.isfinite(x.grad).all()


def test_torch_on_silence_and_spectral_zeros() -> None:
    torch = pytest.importorskip("torch")
    p = np.zeros((3, 129))
    p[1, 40], p[2, :64] = 1, 1
    for gamma, dtype in product((0.0, -0.5), (torch.float32, torch.float64)):
        x = torch.tensor(p, dtype=dtype, requires_grad=True)
        c = stage.mel_cepstrum_torch(12, 0.41, 256, gamma, eps=1e-10)(x)
        c.sum().backward()
        assert torch.isfinite(c).all()
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("gamma", [0.0, -0.5])
def test_torch_compiled_and_without_data(gamma: float) -> None:
    torch = pytest.importorskip("torch")
    analyse = stage.mel_cepstrum_torch(5, 0.35, 32, gamma, 2)
    p = torch.tensor(noisy(2, 32))
    assert analyse(p.to("meta")).shape == (2, 6)
    torch.compiler.reset()
    compiled = torch.compile(analyse, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(p), analyse(p))


@pytest.mark.skipif(not COMPILED, reason="many frames")
def test_default_steps_come_near_the_end() -> None:
    """For speech: to a thousandth of a neper of the envelope (0.01 dB), on average."""
    p = powers(count=40) + 1e-6
    few, all_of_them = (stage.mel_cepstrum(p, 24, 0.41, 0.0, n, threshold=0) for n in (stage.STEPS, 30))
    assert np.sqrt(np.mean(stage.spectrum(few - all_of_them, 0.41, 0.0, 512) ** 2)) < 1e-3
