"""Losses by kernels against their implementation in torch, on which all else rests, and where which of them serves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from audiosim import metrics
from audiosim.errors import InputError
from audiosim.testing.signals import COMPILED, added_noise, pink

torch = pytest.importorskip("torch")

from audiosim.engine import tensors as dsp, transposes  # noqa: E402  needs torch
from audiosim.hearing import tensors as hearing  # noqa: E402
from audiosim.loss import Loss  # noqa: E402

RATE = 16000
FUSED = (
    *("stft", "stft:w_sc=0", "stft:w_log=0", "stft:w_log=0,w_sc=0,w_lin=1", "stft:distance=l2,w_lin=0.5,floor=1e-5"),
    *("stft:n_fft=255,hop=100,win=201,window=hamming", "mel-stft:bands=20", "mel-stft:distance=l2,w_sc=0,w_lin=2"),
    *("mr-stft", "mr-stft:bands=16,resolutions=256/64/256+101/30/64", "spectral-convergence"),
    *("log-mel", "log-mel:bands=30,floor=1e-3,n_fft=400,hop=160", "lsd", "lsd:centre=false,n_fft=500", "mfcc"),
    *("mfcc:convention=db-rms,bands=40", "itakura-saito", "cosh", "complex-stft", "complex-stft:distance=l1,c=0.5"),
    *("log-mel:weighting=hp", "mr-stft:weighting=a"),
)
every = pytest.mark.parametrize("spec", FUSED)


class Served:
    """Calls of the kernels, each with whether a gradient was asked for, and a way to enforce torch."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.kernels: list[bool] = []
        self.only_torch = False
        evaluate, in_memory = hearing.evaluate, dsp.in_memory

        def evaluated(objective: Any, ref: Any, test: Any, gradient: bool, threads: int) -> Any:
            self.kernels.append(gradient)
            return evaluate(objective, ref, test, gradient, threads)

        monkeypatch.setattr(hearing, "evaluate", evaluated)
        monkeypatch.setattr(dsp, "in_memory", lambda *x: in_memory(*x) and not self.only_torch)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> Served:
    return Served(monkeypatch)


@pytest.fixture(autouse=True)
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def pair(dtype: str = "float64", seconds: float = 0.2, channels: int = 1) -> tuple[Any, Any]:
    ref = pink(RATE, seconds if COMPILED else 0.1, 3, channels)
    test = 0.9 * added_noise(ref, RATE, 0.1, 1)
    return ref.astype(dtype), test.astype(dtype)


def both(served: Served, spec: str, test: Any, ref: Any) -> Any:
    """Values and gradients of kernels and of torch, of signals [channel, sample], a batch of them."""
    for served.only_torch in (False, True):
        served.kernels.clear()
        y = torch.tensor(test[:, None], requires_grad=True)
        value = Loss(spec, RATE, "none")(y, torch.tensor(ref[:, None]))
        weights = torch.linspace(1, 2, len(value), dtype=value.dtype)
        (weights * value).sum().backward()
        assert any(served.kernels) == (not served.only_torch)
        yield value.detach(), y.grad


def apart(ours: Any, expected: Any) -> float:
    """Relative to the norm."""
    return float(torch.linalg.norm(ours - expected) / torch.linalg.norm(expected))


@every
def test_agree_with_torch_and_with_compute(spec: str, served: Served) -> None:
    parsed = metrics.parse(spec)
    for dtype, of_value, of_gradient in (("float64", 1e-9, 1e-9), ("float32", 1e-4, 5e-3)):
        ref, test = pair(dtype, channels=2)
        ours, plain = both(served, spec, test, ref)
        assert ours[0].dtype == plain[0].dtype
        assert ours[0].tolist() == pytest.approx(plain[0].tolist(), rel=of_value)
        assert ours[0].tolist() == pytest.approx(
            metrics.get(parsed.name).compute(ref, test, RATE, **parsed.options).per_channel.tolist(), rel=of_value
        )
        assert ours[1].dtype == plain[1].dtype
        assert apart(ours[1], plain[1]) < of_gradient


@every
def test_the_gradient_is_the_derivative(spec: str, served: Served) -> None:
    ref, test = (torch.tensor(x) for x in pair())
    test.requires_grad_()
    loss = Loss(spec, RATE)
    assert torch.autograd.gradcheck(lambda y: loss(y, ref), test, fast_mode=True, eps=1e-7, atol=1e-5, rtol=1e-3)
    assert all(served.kernels)


@every
def test_edges_agree_with_torch(spec: str, served: Served) -> None:
    ref, test = (x[0] for x in pair())
    silent, click = np.zeros_like(ref), np.zeros_like(ref)
    click[click.size // 2] = 1.0
    half = test * (np.arange(test.size) < test.size // 2)
    cases = [(ref, ref), (ref, silent), (silent, test), (silent, silent), (silent, click), (click, silent)]
    cases += [(click, click), (ref, half), (half, ref), (ref, 1e-6 * ref)]
    refs, tests = (np.stack(x) for x in zip(*cases, strict=True))
    (value, gradient), (expected, slope) = both(served, spec, tests, refs)
    assert torch.isfinite(gradient).all()
    assert value.tolist() == pytest.approx(expected.tolist(), rel=1e-9, abs=1e-12)
    for ours, theirs in zip(gradient, slope, strict=True):
        assert torch.linalg.norm(ours - theirs) <= 1e-9 * torch.linalg.norm(theirs)


@pytest.mark.parametrize("spec", ["mr-stft", "log-mel"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_bits_on_any_number_of_threads_alone_and_in_a_batch(
    spec: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transposes, "BLOCKS_PER_TASK", 1)
    monkeypatch.setattr(transposes, "BLOCK", 1 << 12)
    ref, test = (torch.tensor(x[:, None]) for x in pair(dtype, channels=3))

    def run(part: slice) -> Any:
        y = test[part].clone().requires_grad_()
        value = Loss(spec, RATE, "none")(y, ref[part])
        value.sum().backward()
        return value.detach().numpy().tobytes(), y.grad.numpy().tobytes()

    torch.set_num_threads(1)
    whole = run(slice(None))
    parts = [run(slice(i, i + 1)) for i in range(3)]
    assert whole == tuple(b"".join(x) for x in zip(*parts, strict=True))
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert run(slice(None)) == whole


def test_inputs_are_read_as_they_lie_and_left_as_they_are(served: Served) -> None:
    ref, test = pair(channels=2)
    (value, gradient), _ = both(served, "log-mel", test, ref)
    loss = Loss("log-mel", RATE, "none")
    for lie in (
        lambda x: torch.tensor(x[:, ::-1].copy()).flip(1),
        lambda x: torch.tensor(x.T.copy()).T,
        lambda x: torch.tensor(np.repeat(x, 2, axis=1))[:, ::2],
        lambda x: (torch.tensor(x) * 1j).conj().imag.neg(),
    ):
        y, target = lie(test).detach().requires_grad_(), lie(ref)
        served.only_torch = False
        found = loss(y, target)
        found.sum().backward()
        assert found.tolist() == value.tolist()
        assert torch.equal(y.grad[0], gradient[0, 0])
        assert np.array_equal(y.detach().numpy(), test)
        assert np.array_equal(target.resolve_neg().numpy(), ref)


def test_the_gradient_flows_on_and_can_be_asked_for_twice() -> None:
    ref, test = (torch.tensor(x) for x in pair())
    loss = Loss("stft", RATE)
    y = test.clone().requires_grad_()
    loss(y, ref).backward()
    gain = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    value = 3 * loss(gain * test / 2, ref)
    for _ in range(2):
        (found,) = torch.autograd.grad(value, gain, retain_graph=True)
        assert found.item() == pytest.approx(3 * (y.grad * test / 2).sum().item(), rel=1e-12)


def test_no_gradient_is_made_where_none_is_asked_for(served: Served) -> None:
    ref, test = (torch.tensor(x) for x in pair())
    loss = Loss("stft", RATE)
    expected = loss(test.clone().requires_grad_(), ref).item()
    with torch.no_grad():
        assert loss(test.clone().requires_grad_(), ref.clone().requires_grad_()).item() == expected
    with torch.inference_mode():
        assert loss(test.clone(), ref).item() == expected
    assert loss(test, ref).item() == expected
    assert served.kernels == [True, False, False, False]


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own, in forward mode
def test_torch_serves_where_more_than_the_gradient_of_the_test_is_wanted(served: Served) -> None:
    ref, test = (torch.tensor(x) for x in pair())
    loss = Loss("stft", RATE)
    y = test.clone().requires_grad_()
    loss(y, ref).backward()
    assert served.kernels == [True]

    both_ends = [x.clone().requires_grad_() for x in (test, ref)]
    loss(*both_ends).backward()
    assert apart(both_ends[0].grad, y.grad) < 1e-9
    assert both_ends[1].grad.any()

    way = torch.ones_like(test)
    _, slope = torch.func.jvp(lambda x: loss(x, ref), (test,), (way,))
    assert slope.item() == pytest.approx((way * y.grad).sum().item(), rel=1e-9)
    with torch.autograd.forward_ad.dual_level():
        dual = loss(torch.autograd.forward_ad.make_dual(test, way), ref)
        assert torch.autograd.forward_ad.unpack_dual(dual).tangent.item() == pytest.approx(slope.item(), rel=1e-12)
    assert apart(torch.func.grad(lambda x: loss(x, ref))(test), y.grad) < 1e-9
    assert served.kernels == [True]


def test_a_gradient_can_have_one_itself(served: Served) -> None:
    """A penalty on the gradient, by torch and by torch behind kernels."""
    ref, test = (torch.tensor(x) for x in pair())
    found = []
    for served.only_torch in (False, True):
        y = test.clone().requires_grad_()
        (gradient,) = torch.autograd.grad(Loss("log-mel", RATE)(y, ref), y, create_graph=True)
        gradient.square().sum().backward()
        found.append((gradient.detach(), y.grad))
    assert served.kernels == [True]
    for ours, plain in zip(*found, strict=True):
        assert apart(ours, plain) < 1e-9


def test_too_short_is_said_in_the_same_words(served: Served) -> None:
    ref = test = torch.zeros(1, 300, dtype=torch.float64)
    said = []
    for served.only_torch in (False, True):
        with pytest.raises(InputError, match="too short") as error:
            Loss("stft", RATE)(test, ref)
        said.append(str(error.value))
    assert said[0] == said[1]
    assert served.kernels == [False]
