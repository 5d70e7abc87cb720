"""The MLSA filter against its definition, against SPTK's (pysptk 1.0.1, called here), and to train through."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from audiosim.dsp import mel_cepstrum
from audiosim.errors import UsageError
from audiosim.testing.signals import COMPILED, Array, speech_like
from tests import naive, peers

torch = pytest.importorskip("torch")

import audiosim  # noqa: E402  needs torch
from audiosim.nn import MLSA  # noqa: E402

RATE, HOP, ORDER = 16000, 80, 24
ALPHA = mel_cepstrum.alpha_of(RATE)
GAMMAS = (0.0, -1 / 3, -0.5, -1.0)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors gain nothing from more."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def speech(gamma: float = 0.0, seconds: float = 1.0, smooth: int = 81) -> Array:
    """Mel-cepstra [frame, order + 1] of speech-like sound, gliding slowly: a Hann window of so many frames runs over
    them."""
    x = np.pad(speech_like(RATE, seconds, seed=3)[0], 256)
    frames = np.lib.stride_tricks.sliding_window_view(x, 512)[::HOP] * np.blackman(512) / 12.5
    mc = mel_cepstrum.mel_cepstrum(np.abs(np.fft.rfft(frames)) ** 2, ORDER, ALPHA, gamma, eps=1e-8)
    window = np.hanning(smooth + 2)[1:-1] / (smooth + 1) * 2
    edge = smooth // 2
    return np.stack([np.convolve(np.pad(c, edge, mode="edge"), window, "valid") for c in mc.T], 1)[:-1]


def excitation(kind: str, samples: int) -> Array:
    """Of unit power: white noise, or a pulse every 10 ms."""
    if kind == "noise":
        return np.random.default_rng(0).standard_normal(samples)
    period = RATE // 100
    return np.where(np.arange(samples) % period == 0, np.sqrt(period), 0.0)


def filtered(x: Array, mc: Array, alpha: float = ALPHA, hop: int = HOP, gamma: float = 0.0, **options: Any) -> Array:
    module = MLSA(mc.shape[1] - 1, alpha, hop, gamma, **options)
    y: Array = module(torch.tensor(x)[None], torch.tensor(mc)[None])[0].numpy()
    return y


def sptk(x: Array, mc: Array, gamma: float) -> Array:
    """pysptk's synthesis. It comes to a frame one hop after ours, so it is given a hop of silence first."""
    pysptk = peers.pysptk()
    stages = 0 if gamma == 0 else round(-1 / gamma)
    coefficients = []
    for c in mc:
        b = pysptk.mc2b(np.ascontiguousarray(c), ALPHA)
        if stages:
            b = pysptk.gnorm(b, gamma)
            b = np.concatenate([[np.log(b[0])], gamma * b[1:]])
        coefficients.append(b)
    filters = pysptk.synthesis
    one = filters.MGLSADF(ORDER, ALPHA, stages) if stages else filters.MLSADF(ORDER, ALPHA, 5)
    late = np.concatenate([np.zeros(HOP), x])
    y: Array = filters.Synthesizer(one, HOP).synthesis(late, np.array([*coefficients, coefficients[-1]]))
    return y[HOP:]


def log_spectral_error(y: Array, wanted: Array) -> float:
    """RMS in dB over bins of 64 ms frames, 100 Hz to 0.95 Nyquist, down to 60 dB below the loudest of the frame."""
    n = 1024
    low, high = 100 * n // RATE, int(0.95 * n / 2)

    def levels(x: Array) -> Array:
        frames = np.lib.stride_tricks.sliding_window_view(x, n)[:: n // 4] * np.blackman(n)
        return 20 * np.log10(np.abs(np.fft.rfft(frames))[:, low:high] + 1e-300)

    a, b = levels(y), levels(wanted)
    heard = b > b.max(1, keepdims=True) - 60
    return float(np.sqrt(np.mean((a - b)[heard] ** 2)))


# The definition


@pytest.mark.parametrize("gamma", GAMMAS)
def test_a_filter_at_every_sample_is_the_definition(gamma: float) -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal(90)
    mc = 0.15 * rng.standard_normal((10, 6)) / (1 + np.arange(6))
    wanted = naive.mlsa(x, mc, 0.35, 9, gamma, 1024)
    np.testing.assert_allclose(filtered(x, mc, 0.35, 9, gamma, period=1, n_fft=1024), wanted, atol=1e-10)
    near = filtered(x, mc, 0.35, 9, gamma)
    assert np.sqrt(np.mean((near - wanted) ** 2)) < 0.02 * np.sqrt(np.mean(wanted**2))


@pytest.mark.parametrize("period", [1, 7, 40, 80])
def test_a_filter_that_stands_still_is_its_impulse_response(period: int) -> None:
    mc = np.repeat(speech()[50:51], 7, axis=0)
    x = excitation("noise", 7 * HOP - 11)
    h = np.fft.irfft(np.exp(naive.log_response(mc[0], ALPHA, 0.0, 8192)))
    wanted = np.convolve(x, h)[: x.size]
    np.testing.assert_allclose(filtered(x, mc, period=period), wanted, atol=1e-5 * np.abs(wanted).max())
    np.testing.assert_allclose(filtered(x, mc, period=period, n_fft=4096), wanted, atol=1e-12 * np.abs(wanted).max())


def test_a_frame_is_in_force_at_its_sample() -> None:
    gains = np.array([0.0, 1.0, -0.5, 0.2])
    mc = gains[:, None] * (np.arange(3) == 0)
    y = filtered(np.ones(40), mc, hop=10, period=1)
    np.testing.assert_allclose(np.log(y), np.interp(np.arange(40), [0, 10, 20, 30], gains), atol=1e-12)


def test_nothing_sounds_before_the_excitation_does() -> None:
    x = np.zeros(800)
    x[403] = 1
    y = filtered(x, speech()[40:50], period=20)
    assert np.abs(y[:403]).max() < 1e-6 * np.abs(y).max()
    assert y[403] == pytest.approx(np.exp(speech()[45] @ (-ALPHA) ** np.arange(ORDER + 1)), rel=0.05)


def test_every_item_of_a_batch_by_itself() -> None:
    mc = torch.tensor(np.stack([speech()[:10], speech()[20:30]]))
    x = torch.tensor(np.stack([excitation("noise", 800), excitation("pulses", 800)]))
    module = MLSA(ORDER, ALPHA, HOP)
    together = module(x, mc)
    for i in range(2):
        torch.testing.assert_close(together[i : i + 1], module(x[i : i + 1], mc[i : i + 1]), rtol=1e-12, atol=1e-12)


# SPTK


@pytest.mark.parametrize("kind", ["noise", "pulses"])
@pytest.mark.parametrize("gamma", [0.0, -1 / 3, -0.5])
def test_agrees_with_sptk(kind: str, gamma: float) -> None:
    mc = speech(gamma)[50:110]
    x = excitation(kind, len(mc) * HOP)
    wanted = sptk(x, mc, gamma)
    assert log_spectral_error(filtered(x, mc, gamma=gamma), wanted) < 0.05
    assert log_spectral_error(filtered(x, mc, gamma=gamma, period=1), wanted) < 0.05
    assert log_spectral_error(1.01 * wanted, wanted) == pytest.approx(20 * np.log10(1.01), rel=1e-3)


@pytest.mark.parametrize("gamma", [-1 / 3, -0.5, -1.0])
def test_is_sptk_where_that_is_exact(gamma: float) -> None:
    """Below 0 there is no approximation of exp in SPTK's filter either."""
    mc = np.repeat(speech(gamma)[60:61], 20, axis=0)
    x = excitation("noise", 20 * HOP)
    wanted = sptk(x, mc, gamma)
    np.testing.assert_allclose(filtered(x, mc, gamma=gamma, n_fft=8192), wanted, atol=1e-9 * np.abs(wanted).max())


# A module to train through


@pytest.mark.parametrize("gamma", GAMMAS)
def test_gradients_are_the_derivatives(gamma: float) -> None:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2, 40, dtype=torch.float64, generator=generator).requires_grad_()
    mc = (0.1 * torch.randn(2, 6, 5, dtype=torch.float64, generator=generator)).requires_grad_()
    assert torch.autograd.gradcheck(MLSA(4, 0.3, 7, gamma, n_fft=128), (x, mc))


@pytest.mark.skipif(not COMPILED, reason="the loss has kernels")
def test_a_small_network_learns_mel_cepstra_through_it() -> None:
    """From four slow inputs to the mel-cepstra that another network makes of them, heard through noise alone."""
    torch.manual_seed(0)
    order, hop, frames = 12, 64, 40
    alpha = mel_cepstrum.alpha_of(8000)
    time = torch.linspace(0, 3, frames)
    inputs = torch.stack([f(k * time) for k in (1, 2) for f in (torch.sin, torch.cos)], -1)
    scale = 6 / (1 + torch.arange(order + 1.0))

    def network() -> Any:
        return torch.nn.Sequential(torch.nn.Linear(4, 24), torch.nn.Tanh(), torch.nn.Linear(24, order + 1))

    filters = MLSA(order, alpha, hop)
    noise = torch.randn(1, frames * hop)
    teacher, student = network(), network()
    with torch.no_grad():
        wanted = scale * teacher(inputs)[None]
        target = filters(noise, wanted)
    loss = audiosim.Loss("mr-stft", 8000)
    optimizer = torch.optim.Adam(student.parameters(), lr=0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 200)

    def distortion(mc: Any) -> float:
        """dB."""
        return float(6.1418514637 * (mc - wanted)[..., 1:].detach().norm(dim=-1).mean())

    start = distortion(scale * student(inputs)[None])
    history = []
    for _ in range(200):
        optimizer.zero_grad()
        value = loss(filters(noise, scale * student(inputs)[None]), target)
        value.backward()
        optimizer.step()
        schedule.step()
        history.append(value.item())
    end = distortion(scale * student(inputs)[None])
    assert history[-1] < 0.1 * history[0]
    assert end < 0.1 * start


def test_mel_cepstra_go_round() -> None:
    """Analysed again, the filter's answer to noise has the mel-cepstra that went in: both stages share a convention."""
    mc = np.repeat(speech()[60:61], 400, axis=0)
    y = filtered(excitation("noise", 400 * HOP), mc)
    frames = np.lib.stride_tricks.sliding_window_view(y, 512)[256::128] * np.blackman(512)
    power = (np.abs(np.fft.rfft(frames)) ** 2).mean(0) / np.sum(np.blackman(512) ** 2)
    again = mel_cepstrum.mel_cepstrum(power, ORDER, ALPHA)
    assert 6.1418514637 * np.linalg.norm((again - mc[0])[1:]) < 1.0, "dB"
    assert again[0] == pytest.approx(mc[0, 0], abs=0.1)


@pytest.mark.parametrize("gamma", [0.0, -0.5])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_value_and_gradient_are_finite(gamma: float, dtype: str) -> None:
    kind = getattr(torch, dtype)
    click = np.zeros(800)
    click[400] = 1
    deep = 0.5 * speech(gamma)[:10] * (1 + 5 * (gamma == 0))
    for x in (np.zeros(800), click, excitation("noise", 800)):
        for mc in (np.zeros((10, ORDER + 1)), deep):
            e = torch.tensor(x[None], dtype=kind, requires_grad=True)
            c = torch.tensor(mc[None], dtype=kind, requires_grad=True)
            y = MLSA(ORDER, ALPHA, HOP, gamma)(e, c)
            assert y.dtype == kind
            y.square().sum().backward()
            assert all(torch.isfinite(v).all() for v in (y, e.grad, c.grad))


def test_single_precision_and_less() -> None:
    mc, x = speech()[:100], excitation("noise", 100 * HOP)
    wanted = filtered(x, mc)
    module = MLSA(ORDER, ALPHA, HOP)
    single = torch.tensor(x[None], dtype=torch.float32), torch.tensor(mc[None], dtype=torch.float32)
    assert np.abs(module(*single)[0].numpy() - wanted).max() < 1e-5 * np.abs(wanted).max()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = module(*single)
    torch.testing.assert_close(inside, module(*single), rtol=0, atol=0)
    assert module(*(v.bfloat16() for v in single)).dtype == torch.float32


def test_runs_compiled_as_one_graph_and_without_data() -> None:
    module = MLSA(ORDER, ALPHA, HOP, -0.5)
    x, mc = torch.tensor(excitation("noise", 800)[None]), torch.tensor(speech(-0.5)[None, :10]).requires_grad_()
    assert module(x.to("meta"), mc.to("meta")).shape == (1, 800)
    torch.compiler.reset()
    compiled = torch.compile(module, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, mc), module(x, mc))
    (gradient,) = torch.autograd.grad(compiled(x, mc).square().sum(), mc)
    torch.testing.assert_close(gradient, torch.autograd.grad(module(x, mc).square().sum(), mc)[0])


def test_nothing_to_move_or_to_train() -> None:
    module = MLSA(ORDER, ALPHA, HOP)
    assert not list(module.parameters())
    assert not module.state_dict()
    again = pickle.loads(pickle.dumps(copy.deepcopy(module)))
    x, mc = torch.tensor(excitation("pulses", 800)[None]), torch.tensor(speech()[None, :10])
    torch.testing.assert_close(again(x, mc), module(x, mc), rtol=0, atol=0)
    assert repr(module) == f"MLSA(order=24, alpha=0.41, hop=80, n_fft={module.n_fft})"


@pytest.mark.parametrize(("samples", "frames"), [(800, 10), (800, 11), (799, 10), (721, 10), (1, 1), (80, 1), (80, 2)])
def test_so_many_frames(samples: int, frames: int) -> None:
    assert filtered(np.ones(samples), np.zeros((frames, 3))).shape == (samples,)
    np.testing.assert_allclose(filtered(np.ones(samples), np.zeros((frames, 3))), 1, atol=1e-12)


@pytest.mark.parametrize("order", [0, 1])
@pytest.mark.parametrize("gamma", [0.0, -0.5])
def test_small_orders(order: int, gamma: float) -> None:
    c = 0.3 * np.ones((4, order + 1))
    wanted = naive.mlsa(np.arange(8.0), c, 0.4, 2, gamma)
    np.testing.assert_allclose(filtered(np.arange(8.0), c, 0.4, 2, gamma), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"order": -1}, "order"),
        ({"alpha": 1.0}, "alpha"),
        ({"gamma": 0.5}, "gamma"),
        ({"gamma": -0.4}, "gamma of 0 or -1 / n"),
        ({"hop": 0}, "hop must be"),
        ({"period": 0}, "period must be"),
        ({"period": 81}, "period must be 1 to hop=80"),
        ({"n_fft": 40}, "n_fft must be at least two periods, 80"),
    ],
)
def test_parameters_out_of_range(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MLSA(**{"order": 12, "alpha": 0.41, "hop": 80, **given})


@pytest.mark.parametrize(
    ("excitation", "mel_cepstra", "message"),
    [
        ((800,), (1, 10, 13), r"\[batch, sample\]"),
        ((1, 800), (10, 13), r"\[batch, frame, 13\]"),
        ((2, 800), (1, 10, 13), "not"),
        ((1, 800), (1, 10, 25), r"\[1, 10, 25\]"),
        ((1, 0), (1, 0, 13), "not"),
        ((1, 801), (1, 10, 13), "801 samples takes 11 frames of mel-cepstra, one every 80 samples, not 10"),
        ((1, 800), (1, 12, 13), "not 12"),
        ((1, 800), (1, 9, 13), "not 9"),
    ],
)
def test_shapes_that_do_not_fit(excitation: Any, mel_cepstra: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MLSA(12, 0.41, 80)(torch.zeros(excitation), torch.zeros(mel_cepstra))


def test_whole_numbers_are_refused() -> None:
    with pytest.raises(UsageError, match="floating point"):
        MLSA(12, 0.41, 80)(torch.zeros(1, 80, dtype=torch.int16), torch.zeros(1, 1, 13))


def test_it_is_there_on_first_use_and_says_what_it_needs() -> None:
    assert audiosim.nn.MLSA is MLSA
    code = "import sys; sys.modules['torch'] = None\nimport audiosim\naudiosim.nn"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("audiosim.errors.MissingExtra: audiosim.nn needs torch")
    assert "audiosim[torch]" in last
