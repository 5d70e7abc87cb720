"""Stages on tensors: kernels against the torch text that serves elsewhere, their gradients, and those of gradients."""

from __future__ import annotations

from typing import Any
from unittest import mock

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiosim.distance import ErrorKernels  # noqa: E402  needs torch
from audiosim.engine import fft, moments, tensors  # noqa: E402
from audiosim.engine.tensors import Joint, by_kernels, in_memory, mean_of_errors, segments  # noqa: E402
from audiosim.metrics.mae import absolute_error  # noqa: E402

SUMS = ("signal", "noise", "common", "offset")


def drawn(dtype: str = "float64", items: int = 3, samples: int = 50, grad: bool = True) -> list[Any]:
    """ref, test [item, sample], gain [item]."""
    rng = np.random.default_rng(1)
    ref = rng.standard_normal((items, samples)) + 0.3
    test = ref + 0.2 * rng.standard_normal((items, samples))
    gain = rng.standard_normal(items)
    tensors = [torch.tensor(x.astype(dtype)) for x in (ref, test)] + [torch.tensor(gain)]
    return [x.requires_grad_(grad) for x in tensors]


def on_tensors() -> Any:
    return mock.patch.object(tensors, "in_memory", return_value=False)


def joint(ref: Any, test: Any, gain: Any, centre: bool) -> Any:
    sums = Joint(ref, test, gain, centre)
    return tuple(getattr(sums, name) for name in SUMS)


@pytest.mark.parametrize("centre", [False, True])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_joint_sums(dtype: str, scaled: bool, centre: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """In blocks of many sizes, also several items at a time."""
    ref, test, gain = drawn(dtype, grad=False)
    given = gain if scaled else None
    with on_tensors():
        wanted = joint(ref, test, given, centre)
    for chunk in (1, 7, 50, 110, 1 << 20):
        monkeypatch.setattr(tensors, "CHUNK", chunk)
        for ours, theirs in zip(joint(ref, test, given, centre), wanted, strict=True):
            assert ours.dtype == torch.float64
            torch.testing.assert_close(ours, theirs, rtol=1e-12 if dtype == "float64" else 1e-6, atol=1e-5)


@pytest.mark.parametrize("centre", [False, True])
def test_joint_sums_have_gradients_and_these_theirs(centre: bool) -> None:
    def function(ref: Any, test: Any, gain: Any) -> Any:
        return joint(ref, test, gain, centre)

    assert torch.autograd.gradcheck(function, drawn())
    assert torch.autograd.gradgradcheck(function, drawn(items=2, samples=6))


def log_cosh(e: Any, a: float, eps: float) -> Any:
    return ((a * e).cosh() + eps).log()


@pytest.mark.parametrize("name", ["absolute", "log_cosh"])
def test_means_of_errors_have_gradients_and_these_theirs(name: str) -> None:
    kernels = ErrorKernels(moments.log_cosh, moments.log_cosh_slope, log_cosh)
    term, arguments = {"absolute": (absolute_error, ()), "log_cosh": (kernels, (2.0, 0.1))}[name]
    mean = mean_of_errors(term, arguments)
    ref, test, _ = drawn()
    value = mean(ref, test)
    with on_tensors():
        torch.testing.assert_close(value, mean(ref, test))
    assert torch.autograd.gradcheck(mean, (ref, test))
    assert torch.autograd.gradgradcheck(mean, drawn(items=2, samples=6)[:2])


@pytest.mark.parametrize(("size", "hop"), [(12, 5), (5, 8), (50, 1)])
def test_segments_have_gradients_and_these_theirs(size: int, hop: int) -> None:
    energies = segments(np.hanning(size + 2)[1:-1], hop)
    ref, test, _ = drawn(samples=53)
    count = (53 - size) // hop
    with on_tensors():
        wanted = energies(ref, test, count)
    for ours, theirs in zip(energies(ref, test, count), wanted, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert torch.autograd.gradcheck(lambda r, t: energies(r, t, count), (ref, test))
    assert torch.autograd.gradgradcheck(lambda r, t: energies(r, t, count), (ref, test), fast_mode=True)


def test_only_what_is_asked_for_is_differentiated() -> None:
    ref, test, _ = drawn(grad=False)
    for i in (0, 1):
        pair = [ref.clone(), test.clone()]
        pair[i].requires_grad_()
        Joint(*pair).noise.sum().backward()
        assert [x.grad is not None for x in pair] == [i == 0, i == 1]


def quartic(ref: Any, test: Any, gradient: bool, threads: int) -> Any:
    assert not gradient or threads
    difference = test - ref
    return (difference**4).sum(axis=1), 4 * difference**3 if gradient else np.empty((0, 0))


def test_by_kernels() -> None:
    """The kernels' value and gradient, and the text's where theirs end."""
    calls = []

    def formula(ref: Any, test: Any) -> Any:
        calls.append(1)
        return ((test - ref) ** 4).sum(1)

    value = by_kernels(formula, quartic)
    ref, test, _ = drawn(grad=False)
    plain = formula(ref, test)
    calls.clear()
    torch.testing.assert_close(value(ref, test), plain)
    test.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: value(ref, y), test)
    with torch.no_grad():
        ref.requires_grad_()
        assert not value(ref, test).requires_grad
        ref.requires_grad_(False)
    assert not calls
    assert torch.autograd.gradgradcheck(lambda y: value(ref, y), test)
    assert torch.autograd.gradcheck(value, (ref.requires_grad_(), test))
    assert calls


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # torch's own, on first use
def test_what_kernels_can_read() -> None:
    x = torch.zeros(2, 3)
    assert in_memory(x, torch.nn.Parameter(x), x.T.contiguous().T, x[:, ::2])
    assert not in_memory(x, x.double())
    assert not in_memory(x.to("meta"))
    assert not in_memory(x.bfloat16())
    seen = []
    torch.func.vmap(lambda y: seen.append(in_memory(y)) or y)(x)
    torch.func.grad(lambda y: seen.append(in_memory(y)) or y.sum())(x)
    with torch.autograd.forward_ad.dual_level():
        seen.append(in_memory(torch.autograd.forward_ad.make_dual(x, x)))
    assert not any(seen)


def test_samples_apart_in_memory() -> None:
    """Views that are not contiguous, and negative ones."""
    ref, test, _ = drawn(grad=False)
    wanted = Joint(ref, test).noise
    apart = torch.stack([ref, test], -1)
    assert torch.equal(Joint(apart[..., 0], apart[..., 1]).noise, wanted)
    assert torch.equal(Joint(torch._neg_view(-ref), test).noise, wanted)


def test_no_sample() -> None:
    sums = Joint(torch.zeros(2, 0), torch.zeros(2, 0))
    assert [getattr(sums, name).tolist() for name in SUMS] == [[0, 0]] * 4


def test_fast_length_is_the_one_of_dsp_spectrum() -> None:
    for n in [*range(1, 1000), *np.random.default_rng(0).integers(1000, 10**8, 1000).tolist()]:
        assert tensors.fast_length(n) == fft.fast_length(n)
