"""Losses of odd recordings: very quiet, very loud, silent, constant, gated; within autocast, and differentiated twice.

Every input is made here, in a batch of eight beside ordinary ones."""

from __future__ import annotations

import copy
import pickle
import warnings
from shutil import which
from typing import Any
from unittest import mock

import numpy as np
import pytest

from audiosim import metrics
from audiosim.errors import FullScaleWarning, UsageError
from audiosim.testing.signals import COMPILED

torch = pytest.importorskip("torch")

from audiosim.loss import Loss  # noqa: E402  needs torch

NAMES = [name for name in metrics.names() if metrics.get(name).card.gradient != "none"]
BOUNDED = ["phase", "stoi", "complex-stft", "esr", "mr-stft", "mel-stft", "stft", "spectral-convergence"]
SNRS = ["snr", "sd-sdr", "si-sdr", "sdr", "bss-eval"]
every = pytest.mark.parametrize("name", NAMES)
# it makes an instance of the class of functions that it follows
OF_DYNAMO = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
pytestmark = pytest.mark.skipif(not COMPILED, reason="too slow uncompiled")


@every
@pytest.mark.parametrize("dtype", ["float32", "float64", "float16"])
def test_odd_items_in_a_batch_of_eight_are_finite(name: str, dtype: str) -> None:
    kinds = list(odd(name, getattr(torch, dtype)).values())
    ordinary = kinds[0]
    loss = Loss(name, rate_of(name))
    for first in range(1, len(kinds), 7):
        items = [ordinary, *kinds[first : first + 7]]
        items += [ordinary] * (8 - len(items))
        estimate = torch.stack([e for e, _ in items]).requires_grad_()
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.simplefilter("ignore", FullScaleWarning)
            value = loss(estimate, torch.stack([x for _, x in items]))
            value.backward()
        assert value.isfinite(), first
        assert estimate.grad.isfinite().all(), first


@pytest.mark.parametrize("name", BOUNDED)
def test_no_item_owns_the_batch(name: str) -> None:
    """Beside an ordinary item; of that the gradient keeps its bits, whatever else is in the batch."""
    items = odd(name, torch.float32)
    estimate = torch.stack([e for e, _ in items.values()]).requires_grad_()
    target = torch.stack([x for _, x in items.values()])
    Loss(name, rate_of(name), "none")(estimate, target).sum().backward()
    norms = estimate.grad.double().norm(dim=1)
    worst = dict(zip(items, (norms / norms[0]).tolist(), strict=True))
    assert max(worst.values()) <= 100, worst
    alone = estimate.detach()[:1].requires_grad_()
    Loss(name, rate_of(name), "none")(alone, target[:1]).sum().backward()
    assert torch.linalg.norm(alone.grad - estimate.grad[:1]) <= 1e-6 * norms[0]


@pytest.mark.parametrize("name", BOUNDED)
def test_the_bound_is_that_of_the_card_and_follows_the_slope(name: str) -> None:
    estimate, target = odd(name, torch.float64)["constant target" if name in ("esr",) else "constant estimate"]
    found = []
    for factor in (1.0, 65536.0):
        e = estimate[None].clone().requires_grad_()
        (factor * Loss(name, rate_of(name))(e, target[None])).backward()
        found.append(e.grad / factor)
    assert torch.allclose(found[0], found[1], rtol=1e-12, atol=0)
    samples = estimate.numel()
    assert found[0].norm().item() * samples**0.5 <= metrics.get(name).card.steepest * (1 + 1e-9)


@OF_DYNAMO
@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")  # inductor's own
@pytest.mark.parametrize(
    ("name", "backend"),
    [("esr", "eager"), ("esr", "aot_eager"), ("esr", "inductor"), ("stoi", "eager"), ("phase", "aot_eager")],
)
def test_a_compiled_loss_has_the_same_bound(name: str, backend: str) -> None:
    """As the same text without a compiler: of a constant estimate, kernels round another gradient."""
    if backend == "inductor" and not which("g++"):
        pytest.skip("inductor needs a C++ compiler")
    items = odd(name, torch.float64)
    kinds = [k for k in items if k == "ordinary" or k.split()[0] in ("constant", "silent", "gated") or "-08" in k]
    estimate, target = (torch.stack([items[kind][i] for kind in kinds]) for i in (0, 1))
    loss = Loss(name, rate_of(name), "none")
    torch.compiler.reset()

    def gradient(of: Any) -> Any:
        e = estimate.clone().requires_grad_()
        of(e, target).sum().backward()
        return e.grad

    with mock.patch("audiosim.engine.tensors.in_memory", return_value=False):
        found = [gradient(loss)]
    found.append(gradient(torch.compile(loss, backend=backend, fullgraph=True)))
    norms = found[0].norm(dim=1)
    assert norms.max() > 2 * norms[0], "the bound has something to do"
    for kind, one, other in zip(kinds, *found, strict=True):
        assert torch.linalg.norm(one - other) <= 1e-6 * one.norm() + 1e-9 * norms[0], kind


@OF_DYNAMO
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("name", ["mfcc", "log-mel"])
def test_a_compiled_backward_within_autocast(name: str, backend: str) -> None:
    estimate, target = ordinary(name, torch.float32)
    torch.compiler.reset()
    plain = gradients(Loss(name, rate_of(name)), estimate, target)
    with torch.autocast("cpu", torch.bfloat16):
        compiled = torch.compile(Loss(name, rate_of(name)), backend=backend, fullgraph=True)
        inside = gradients(compiled, estimate, target)
    for one, other in zip(plain, inside, strict=True):
        assert torch.linalg.norm(one - other) <= 1e-4 * torch.linalg.norm(one)


@pytest.mark.parametrize("name", ["mse", "si-sdr", "log-mel"])
def test_gradients_of_each_item_by_vmap(name: str) -> None:
    """torch.func makes them without a look at their samples."""
    pairs = [ordinary(name, torch.float64, seed) for seed in range(3)]
    estimate, target = (torch.stack(list(x)) for x in zip(*pairs, strict=True))
    loss = Loss(name, rate_of(name), "sum")
    each = torch.func.vmap(torch.func.grad(lambda e, x: loss(e[None], x[None])))(estimate, target)
    e = estimate.requires_grad_()
    loss(e, target).backward()
    assert torch.allclose(each, e.grad, rtol=1e-6, atol=1e-9 * e.grad.abs().max().item())


@every
def test_backward_within_autocast(name: str) -> None:
    estimate, target = ordinary(name, torch.float32)
    plain = gradients(Loss(name, rate_of(name)), estimate, target)
    for dtype, factor in ((torch.bfloat16, 1.0), (torch.float16, 65536.0)):
        with torch.autocast("cpu", dtype):
            inside = gradients(Loss(name, rate_of(name)), estimate, target, factor)
        for one, other in zip(plain, inside, strict=True):
            assert torch.linalg.norm(one - other) <= 1e-4 * torch.linalg.norm(one)


@every
def test_a_second_gradient_or_one_sentence(name: str) -> None:
    """The derivative of the gradient along a direction, against its difference quotient."""
    estimate, target = (x[None] for x in ordinary(name, torch.float64))
    loss = Loss(name, rate_of(name))
    generator = torch.Generator().manual_seed(3)
    along, weight = (torch.randn(estimate.shape, generator=generator).double() for _ in range(2))
    along /= along.norm()

    def gradient(step: float, again: bool = False) -> Any:
        e = (estimate + step * along).requires_grad_()
        return e, torch.autograd.grad(loss(e, target), e, create_graph=again)[0]

    e, first = gradient(0.0, again=True)
    assert torch.allclose(first, gradient(0.0)[1], rtol=1e-6, atol=1e-9 * first.abs().max().item())
    if not metrics.get(name).card.twice:
        with pytest.raises(UsageError, match=f"{name}: its gradient has no gradient"):
            (first * weight).sum().backward()
        return
    second = (torch.autograd.grad((first * weight).sum(), e)[0] * along).sum().item()
    steps = (1e-6, 1e-7, 1e-8, 1e-9)  # a longer one may pass a kink, where an absolute value changes its sign
    quotients = [((gradient(h)[1] - gradient(-h)[1]) / (2 * h) * weight).sum().item() for h in steps]
    assert any(second == pytest.approx(quotient, rel=1e-3) for quotient in quotients), (second, quotients)


@pytest.mark.parametrize("name", [*SNRS, "esr", "seg-snr", "mr-stft"])
def test_skipped_items_do_not_count(name: str) -> None:
    items = [ordinary(name, torch.float64, seed) for seed in range(3)]
    silent = torch.zeros_like(items[0][1])
    estimate = torch.stack([items[0][0], items[1][0], items[2][0]]).requires_grad_()
    target = torch.stack([items[0][1], silent, items[2][1]])
    each = Loss(name, 16000, "none", silent="skip")(estimate, target)
    alone = Loss(name, 16000, "none")(estimate[::2], target[::2])
    assert each[1] == 0
    assert torch.allclose(each[::2], alone, rtol=1e-12)
    mean = Loss(name, 16000, silent="skip")(estimate, target)
    assert mean.item() == pytest.approx(alone.mean().item(), rel=1e-12)
    mean.backward()
    assert not estimate.grad[1].any()
    assert estimate.grad[0].any()
    nothing = Loss(name, 16000, silent="skip")(estimate, torch.zeros_like(target))
    assert nothing == 0
    assert not torch.autograd.grad(nothing, estimate)[0].any()
    kept = Loss(name, 16000, "none", silent="keep")(estimate, target)
    assert bool(kept[1] != 0) == (name != "bss-eval")  # whose cap is 0 dB where one is silent


def test_terms_of_a_sum_skip_by_themselves() -> None:
    e, x = ordinary("mse", torch.float64)
    estimate, target = torch.stack([e, e]), torch.stack([x, 0 * x])
    parts = Loss("mse", 16000)(estimate, target) + 0.1 * Loss("snr", 16000)(estimate[:1], target[:1])
    assert Loss("mse + 0.1*snr", 16000)(estimate, target).item() == pytest.approx(parts.item(), rel=1e-12)


def test_by_default_ratios_in_db_skip() -> None:
    skipping = {name for name in NAMES if Loss(name, rate_of(name))._terms[0][1].skips}
    assert skipping == set(SNRS)


@pytest.mark.parametrize("name", SNRS)
def test_clamp_is_the_soft_threshold(name: str) -> None:
    """-10 lg(|e|^2 + tau |x|^2) + 10 lg |x|^2 with tau = 10^(-clamp / 10): Wisdom et al. 2020, eq. 2."""
    estimate, target = (x[None] for x in ordinary(name, torch.float64))
    ratio = -Loss(name, 16000)(estimate, target).item()
    for clamp in (5.0, 30.0):
        expected = 10 * np.log10(10 ** (-ratio / 10) + 10 ** (-clamp / 10))
        assert Loss(name, 16000, clamp=clamp)(estimate, target).item() == pytest.approx(expected, rel=1e-12)
    close = (target + 1e-6 * (estimate - target)).requires_grad_()
    Loss(name, 16000, clamp=30)(close, target).backward()
    bounded = close.grad.norm()
    Loss(name, 16000)(close.detach().requires_grad_(), target)
    free = close.detach().requires_grad_()
    Loss(name, 16000)(free, target).backward()
    assert bounded < 1e-4 * free.grad.norm()


def test_options_are_checked_told_and_kept() -> None:
    for options, says in (
        ({"silent": "drop"}, "skip or keep"),
        ({"clamp": 0.0}, "above 0 to 200 dB"),
        ({"clamp": 300.0}, "above 0 to 200 dB"),
    ):
        with pytest.raises(UsageError, match=says):
            Loss("snr", 16000, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'mse' has none"):
        Loss("mse", 16000, clamp=30)
    loss = Loss("snr + mse", 16000, silent="keep", clamp=30)
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert repr(twin).endswith("reduction='mean', silent='keep', clamp=30)")


@pytest.mark.parametrize("shape", [(4, 16000, 2), (1, 300, 1), (1, 17, 2), (4000, 2), (17, 16)])
def test_transposed_tensors_are_refused(shape: tuple[int, ...]) -> None:
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for name in ("mse", "si-sdr", "mr-stft"):
        with pytest.raises(UsageError, match=r"pass input\.mT and target\.mT"):
            Loss(name, 16000)(x, x)


@pytest.mark.parametrize(
    "name",
    [
        n
        for n in NAMES
        if metrics.get(n).card.level.startswith(("none", "each")) and metrics.get(n).card.gradient == "exact"
    ]
    + ["visqol"],
)
def test_level_does_not_leave_the_value_of_compute(name: str) -> None:
    """Quiet and loud samples as float32, where powers of them leave its range."""
    sign = 1 if metrics.get(name).card.better == "lower" else -1
    estimate, target = ordinary(name, torch.float32)
    for scale in (1e-20, 1e-10, 1e4, 1e6):
        e, x = (scale * estimate)[None], (scale * target)[None]
        answer = metrics.get(name).compute(x.numpy(), e.numpy(), rate_of(name))
        if scale == 1e-20 and answer.status == "undefined":  # siib-gauss, which squares them as float32: to silence
            assert np.isfinite(Loss(name, rate_of(name))(e, x).item())
            continue
        assert answer.status == "ok"
        assert sign * Loss(name, rate_of(name))(e, x).item() == pytest.approx(answer.value, rel=1e-4, abs=1e-6), scale


def rate_of(name: str) -> int:
    return metrics.get(name).card.rate or 16000


def ordinary(name: str, dtype: Any, seed: int = 0) -> tuple[Any, Any]:
    """Estimate and target [sample]: a swelling tone, and the same in noise."""
    card, rate = metrics.get(name).card, rate_of(name)
    generator = torch.Generator().manual_seed(seed)
    count = int(max(0.6, 1.3 * card.shortest * (2.5 if card.pauses else 1)) * rate)
    t = torch.arange(count, dtype=torch.float64) / rate
    target = 0.1 * torch.sin(2 * torch.pi * 220 * t) * (1 + torch.sin(2 * torch.pi * 3 * t))
    target = target + 0.003 * torch.randn(count, generator=generator).double()
    estimate = target + 0.02 * torch.randn(count, generator=generator).double()
    return estimate.to(dtype), target.to(dtype)


def odd(name: str, dtype: Any) -> dict[str, tuple[Any, Any]]:
    """Items [sample], the first of them ordinary; those that dtype holds."""
    estimate, target = ordinary(name, torch.float64)
    none = torch.zeros_like(target)
    half, click = target.numel() // 2, none.clone()
    click[half] = 1.0
    items = {
        "ordinary": (estimate, target),
        "silent target": (estimate, none),
        "silent estimate": (none, target),
        "both silent": (none, none),
        "gated estimate": (torch.cat([estimate[:half], none[half:]]), target),
        "gated target": (estimate, torch.cat([target[:half], none[half:]])),
        "constant estimate": (none + 0.1, target),
        "constant target": (estimate, none + 0.1),
        "click for an estimate": (click, target),
        "click for a target": (estimate, click),
        "inverted": (-target, target),
        "identical": (target, target),
        "quiet beside loud": (1e-30 * estimate, 1e8 * target),
        "loud beside quiet": (1e8 * estimate, 1e-30 * target),
    }
    for scale in (1e-45, 1e-40, 1e-30, 1e-19, 1e-10, 1e-5, 1e4, 1e10):
        items[f"both times {scale:g}"] = scale * estimate, scale * target
    for scale in (1e-42, 1e-20, 1e-8):
        items[f"estimate times {scale:g}"] = scale * estimate, target
        items[f"target times {scale:g}"] = estimate, scale * target
    held = {kind: (e.to(dtype), x.to(dtype)) for kind, (e, x) in items.items()}
    return {kind: pair for kind, pair in held.items() if all(x.isfinite().all() for x in pair)}


def gradients(loss: Any, estimate: Any, target: Any, factor: float = 1.0) -> list[Any]:
    """Of both arguments; called within autocast, so is backward."""
    e, x = (z[None].clone().requires_grad_() for z in (estimate, target))
    (factor * loss(e, x)).backward()
    return [e.grad / factor, x.grad / factor]
