"""What every differentiable metric must keep as a loss. It holds for every metric whose card says that it has a
gradient, so a new one needs no line here. Only the value of a surrogate is not held to that of the metric."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import warnings
from dataclasses import replace
from itertools import permutations
from math import inf
from typing import Any
from unittest import mock

import numpy as np
import pytest

from audiosim import compare, metrics
from audiosim.errors import InputError, UsageError
from audiosim.testing.signals import COMPILED, added_noise, affordable, noise, pink, speech_like
from tests.benchmarks.same_bits import tensors

torch = pytest.importorskip("torch")

from audiosim.loss import Loss, parse  # noqa: E402  needs torch

NAMES = [name for name in metrics.names() if metrics.get(name).card.gradient != "none"]
SURROGATES = [name for name in NAMES if metrics.get(name).card.gradient == "surrogate"]
UNTRAINABLE = {  # what runs through another program, or needs other sources; they say so
    "bss-eval": ("output=sir", "permutation=window"),
    "mcd": ("variant=pymcd",),
    "peaq": ("ear=44.1k",),
}
every = pytest.mark.parametrize("name", NAMES)
OF_DYNAMO = ".*should not be instantiated"  # it makes an instance of the class of functions that it follows

# Uncompiled, tests/dsp and tests/hearing hold every kernel to its formula; here it would take an hour.
pytestmark = pytest.mark.skipif(not COMPILED, reason="too slow uncompiled")


def test_twenty_metrics_and_more_are_exact() -> None:
    assert len(NAMES) - len(SURROGATES) >= 20


# The number


@every
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_value_is_that_of_compute(name: str, dtype: str) -> None:
    for ref, test in pairs(name):
        ref, test = ref.astype(dtype), test.astype(dtype)
        answer = metrics.get(name).compute(ref, test, rate_of(name))
        value = loss_of(name)(tensor(test[None]), tensor(ref[None]))
        assert value.dtype == getattr(torch, dtype)
        agrees(name, value.item(), answer.value, dtype)


@every
def test_every_choice_of_every_option(name: str) -> None:
    ref, test = (x[:, : length(name, 0.2)] for x in pairs(name)[0])
    stereo = np.stack([ref[0], test[0][::-1]]), np.stack([test[0], ref[0][::-1]])
    chosen = [
        f"{option.name}={choice}"
        for option in metrics.options(name).values()
        for choice in option.choices or ((False, True) if option.type is bool else ())
        if choice != option.default
    ]
    for spec in (name, *(f"{name}:{choice}" for choice in chosen)):
        given = metrics.parse(spec).options
        if spec.partition(":")[2] in UNTRAINABLE.get(name, ()):
            with pytest.raises(UsageError, match="gradient"):
                Loss(spec, rate_of(name))
            continue
        value = Loss(spec, rate_of(name))(*(tensor(x[None]) for x in stereo[::-1])).item()
        agrees(name, value, metrics.get(name).compute(*stereo, rate_of(name), **given).value, "float64")


@every
def test_gradient_is_the_derivative(name: str) -> None:
    """Along random directions, in both arguments; in the target unless its card says what is held fixed there."""
    ref, test = (tensor(x[None, :, : min(x.shape[1], length(name, 3000 / rate_of(name)))]) for x in pairs(name)[0])
    loss = loss_of(name)
    test.requires_grad_()
    if metrics.get(name).card.gradient == "straight-through":  # tests/models hold the smooth parts to their derivatives
        loss(test, ref).sum().backward()
        assert torch.isfinite(test.grad).all()
        assert test.grad.any()
        return
    assert torch.autograd.gradcheck(lambda y: loss(y, ref), test, fast_mode=True, eps=1e-7, atol=1e-5, rtol=1e-3)
    ref.requires_grad_()
    if metrics.get(name).card.target_gradient_ignores:
        loss(test, ref).sum().backward()
        assert torch.isfinite(ref.grad).all()
        return
    assert torch.autograd.gradcheck(loss, (test, ref), fast_mode=True, eps=1e-7, atol=1e-5, rtol=1e-3)


@every
def test_a_batch_is_its_items_one_by_one(name: str) -> None:
    ref, test = pairs(name, channels=2)[0]
    refs = np.stack([ref, 0.1 * ref, ref[:, ::-1]])
    tests = np.stack([test, 0.03 * test, 0.5 * test])
    whole = Loss(name, rate_of(name), "none")
    together, gradient = value_and_gradient(whole, tests, refs)
    assert together.shape == (3,)
    for i in range(3):
        alone, part = value_and_gradient(whole, tests[i : i + 1], refs[i : i + 1])
        assert together[i].item() == pytest.approx(alone.item(), rel=1e-12)
        assert torch.linalg.norm(gradient[i] - part[0]) <= 1e-9 * torch.linalg.norm(part)
    for reduction, expected in (("mean", together.mean()), ("sum", together.sum())):
        value = Loss(name, rate_of(name), reduction)(tensor(tests), tensor(refs))
        assert value.item() == pytest.approx(expected.item(), rel=1e-12)


PADDED_BY = (0, 333, 0, 200)  # samples; the second and the last are shorter


@every
def test_padding_counts_for_nothing(name: str) -> None:
    """Value and gradient of each item are those that it has alone, cut; to the bit."""
    ref, test = pairs(name)[0]
    samples = ref.shape[1]
    lengths = [samples - pad for pad in PADDED_BY]
    refs = np.stack([gain * ref for gain in (1, 1, 0.1, 0.3)])
    tests = np.stack([gain * test for gain in (1, 0.5, 0.2, 0.3)])
    padded = refs.copy(), tests.copy()
    for batch, odd in zip(padded, (7.0, np.nan), strict=True):
        for item, n in zip(batch, lengths, strict=True):
            item[:, n:] = odd
    y = tensor(padded[1]).requires_grad_()
    together = Loss(name, rate_of(name), "none")(y, tensor(padded[0]), lengths)
    together.sum().backward()
    for i, n in ((1, lengths[1]), (3, lengths[3])):
        alone, part = value_and_gradient(
            Loss(name, rate_of(name), "none"), tests[i : i + 1, :, :n], refs[i : i + 1, :, :n]
        )
        assert together[i].item() == alone.item()
        assert torch.equal(y.grad[i, :, :n], part[0])
        assert not y.grad[i, :, n:].any()
    full = Loss(name, rate_of(name), "none")(tensor(tests[::2]), tensor(refs[::2]))
    assert together[::2].tolist() == full.tolist()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_reductions_of_padded_items(reduction: Any) -> None:
    """Of sums with terms that skip, a dither, and lengths as a tensor."""
    ref, test = (np.stack([x, -x, x, x])[:, 0] for x in pairs("mse")[0])
    ref[2] = 0
    lengths = [4000, 3000, 4000, 3500]
    loss = Loss("mse + 0.1*snr", 48000, reduction, dither=-60)
    y = tensor(test).requires_grad_()
    value = loss(y, tensor(ref), torch.tensor(lengths))
    value.sum().backward()
    each = [
        Loss("mse + 0.1*snr", 48000, dither=-60)(*(tensor(x[i : i + 1, :n]) for x in (test, ref)))
        for i, n in enumerate(lengths)
    ]
    if reduction == "mean":  # the silent one has no ratio
        mse, snr = (
            [
                Loss(name, 48000, dither=-60)(*(tensor(x[i : i + 1, :n]) for x in (test, ref))).item()
                for i, n in enumerate(lengths)
            ]
            for name in ("mse", "snr")
        )
        assert value.item() == pytest.approx(np.mean(mse) + 0.1 * np.sum(snr) / 3, rel=1e-12)
    else:
        expected = torch.stack(each)
        assert value.tolist() == pytest.approx(
            (expected if reduction == "none" else expected.sum()).tolist(), rel=1e-12
        )
    assert y.grad[0].any()


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ([100], "lengths are whole numbers of samples, one for each of 2 items"),
        ([100.0, 50.0], "whole numbers"),
        ([100, 0], r"lengths\[1\] is 0, but the item has 1 to 100 samples"),
        (torch.tensor([100, 101]), r"lengths\[1\] is 101"),
        ("ab", "whole numbers"),
    ],
)
def test_wrong_lengths_get_one_line(lengths: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says) as error:
        Loss("mse", 16000)(torch.zeros(2, 100), torch.zeros(2, 100), lengths)
    assert "\n" not in str(error.value)


def test_a_short_item_is_named() -> None:
    with pytest.raises(InputError, match=r"item 1: .*too short"):
        Loss("mr-stft", 16000)(torch.zeros(2, 5000), torch.zeros(2, 5000), [5000, 100])


OF_ANY_LENGTHS = [name for name in NAMES if metrics.get(name).card.lengths == "any"]


@pytest.mark.parametrize("name", OF_ANY_LENGTHS)
def test_input_and_target_of_different_lengths(name: str) -> None:
    ref, test = pairs(name)[0]
    loss = Loss(name, rate_of(name), "none")
    short = int(0.9 * ref.shape[1])
    for r, t in ((ref, test[:, :short]), (ref[:, :short], test)):
        value, gradient = value_and_gradient(loss, t[None], r[None])
        assert torch.isfinite(gradient).all()
        assert gradient.any()
        agrees(name, value.item(), metrics.get(name).compute(r, t, rate_of(name)).value, "float64")
        padded = loss(tensor(test[None]), tensor(ref[None]), [t.shape[1]], [r.shape[1]])
        assert padded.tolist() == value.tolist()


def test_others_take_equal_lengths_only() -> None:
    ref, test = torch.zeros(2, 100), torch.zeros(2, 90)
    with pytest.raises(UsageError, match="mse takes no other"):
        Loss("auditory + mse", 16000)(test, ref)
    with pytest.raises(UsageError, match="those of item 1 are 80 samples of input and 70 of target"):
        Loss("mse", 16000)(ref, ref, [90, 80], [90, 70])


# Random resolutions


def test_random_resolutions_are_drawn_at_each_forward_in_training_only() -> None:
    ref, test = (x[None] for x in pairs("mse")[0])
    spec = "mr-stft:random=true,seed=3"
    first = metrics.get("mr-stft").compute(ref[0], test[0], 48000, random=True, seed=3).value

    def values(loss: Any, count: int = 4) -> list[float]:
        return [loss(tensor(test), tensor(ref)).item() for _ in range(count)]

    loss = Loss(spec, 48000)
    trained = values(loss)
    assert trained[0] == pytest.approx(first, rel=1e-12)
    assert len(set(trained)) == 4
    assert values(loss.eval()) == [trained[0]] * 4
    assert values(Loss(spec, 48000)) == trained == values(copy.deepcopy(loss))
    assert values(Loss("mr-stft:random=true", 48000), 1) != trained[:1]
    n = ref.shape[-1] - 500
    padded = Loss(spec, 48000, "none")(*(tensor(np.concatenate([x, x])) for x in (test, ref)), [ref.shape[-1], n])
    cut = Loss(spec, 48000)(tensor(test[..., :n]), tensor(ref[..., :n]))
    assert padded.tolist() == [trained[0], cut.item()], "one draw for all lengths"


def test_random_resolutions_are_within_their_ranges() -> None:
    draws = metrics.get("mr-stft").chosen({"random": True}).draws()  # type: ignore[attr-defined]
    first = next(draws)
    ref, test = pairs("mse")[0]
    given = "+".join(f"{s.n_fft}/{s.hop}/{s.window.size}" for s in first)
    values = [
        metrics.get("mr-stft").compute(ref, test, 48000, **options).value
        for options in ({"random": True}, {"resolutions": given})
    ]
    assert values[0] == values[1]
    stfts = first + [stft for _ in range(300) for stft in next(draws)]
    assert {s.n_fft for s in stfts} == {2**k for k in range(6, 14)}
    assert {s.n_fft // s.window.size for s in stfts} == {1, 2, 4}
    assert all(0.1 * s.window.size - 1 < s.hop < 0.5 * s.window.size + 1 for s in stfts)


# Sources without an order


def mixed(sources: int, batch: int = 3) -> tuple[Any, Any, Any]:
    """Targets [batch, source, sample], noisy estimates in another order, and where each target's estimate is."""
    generator = torch.Generator().manual_seed(sources)
    target = 0.1 * torch.randn(batch, sources, 1200, generator=generator, dtype=torch.float64)
    order = torch.stack([torch.randperm(sources, generator=generator) for _ in range(batch)])
    noisy = target + 0.03 * torch.randn(target.shape, generator=generator, dtype=torch.float64)
    return target, torch.take_along_dim(noisy, order[:, :, None], 1), order.argsort(1)


@pytest.mark.parametrize("sources", [1, 2, 3, 4, 5])
def test_sources_are_assigned_as_all_orders_say(sources: int) -> None:
    """Not only where it is plain: here every order is tried, of estimates that fit nothing as well."""
    target, estimate, place = mixed(sources)
    single = Loss("mse + 0.01*si-sdr", 16000, "none")
    for test, known in ((estimate, place), (estimate.flip(0), None)):
        loss = Loss("mse + 0.01*si-sdr", 16000, "none", permutation=True)
        y = test.clone().requires_grad_()
        value = loss(y, target)
        value.sum().backward()
        for b in range(3):
            tried = {p: single(test[b, list(p)], target[b]).mean().item() for p in permutations(range(sources))}
            best = min(tried, key=lambda p: tried[p])
            assert tuple(loss.assignment[b].tolist()) == best
            assert value[b].item() == pytest.approx(tried[best], rel=1e-12)
            z = test[b, list(best)].clone().requires_grad_()
            single(z, target[b]).mean().backward()
            assert torch.allclose(y.grad[b, list(best)], z.grad, rtol=1e-9, atol=0)
        assert known is None or torch.equal(loss.assignment, known)


def test_assignment_with_channels_lengths_and_silent_sources() -> None:
    target, estimate, place = mixed(3)
    loss = Loss("snr", 16000, permutation=True)
    value = loss(estimate, target)
    stereo = [x[:, :, None].expand(-1, -1, 2, -1) for x in (estimate, target)]
    assert loss(*stereo).item() == pytest.approx(value.item(), rel=1e-12)
    lengths = [1200, 700, 1200]
    each = [loss(estimate[i : i + 1, :, :n], target[i : i + 1, :, :n]).item() for i, n in enumerate(lengths)]
    assert loss(estimate, target, lengths).item() == pytest.approx(np.mean(each), rel=1e-12)
    assert torch.equal(loss.assignment, place)
    target[0] *= torch.tensor([1.0, 0.0, 1.0])[:, None]  # it does not count: the mean of the element is of two
    kept = [0, 2]
    two = Loss("snr", 16000)(torch.take_along_dim(estimate, place[:, :, None], 1)[0, kept], target[0, kept]).item()
    assert Loss("snr", 16000, "none", permutation=True)(estimate, target)[0].item() == pytest.approx(two, rel=1e-12)


def test_assignment_is_compiled() -> None:
    target, estimate, _ = mixed(3)
    loss = Loss("log-mel", 16000, permutation=True)
    torch.compiler.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    assert compiled(estimate, target).item() == pytest.approx(loss(estimate, target).item(), rel=1e-9)


@pytest.mark.parametrize(
    ("input", "target", "says"),
    [
        ((2, 2, 100), (2, 3, 100), "input has 2 sources and target 3"),
        ((2, 100), (2, 100), r"\[batch, source, sample\] or \[batch, source, channel, sample\]"),
        ((2, 100, 2), (2, 100, 2), "100 sources of 2 samples"),
    ],
)
def test_wrong_sources_get_one_line(input: Any, target: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        Loss("mse", 16000, permutation=True)(torch.zeros(input), torch.zeros(target))


# What it was made of


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_terms_add_up_to_the_loss(reduction: Any) -> None:
    target, estimate, _ = mixed(3)
    target[0] = 0
    loss = Loss("mr-stft + 0.1*snr + 2*mse + mse", 16000, reduction)
    value = loss(estimate.requires_grad_(), target)
    told = loss.terms()
    summands = [name for name in told if "/" not in name.replace("1024/", "")]
    assert [name for name in told if name in ("mr-stft", "snr", "mse", "mse (2)")] == [
        "mr-stft",
        "snr",
        "mse",
        "mse (2)",
    ]
    total = sum(told[name] for name in ("mr-stft", "snr", "mse", "mse (2)"))
    assert torch.allclose(total, value, rtol=1e-12)
    assert not any(x.requires_grad for x in told.values())
    assert all(x.shape == value.shape for x in told.values())
    mean = sum(x for name, x in told.items() if name.startswith("mr-stft/")) / 3
    assert torch.allclose(mean, told["mr-stft"], rtol=1e-12)
    assert summands


@pytest.mark.parametrize("spec", ["auditory", "auditory:ask=similarity", "tversky", "pmsqe", "masked-loss", "stft"])
@pytest.mark.parametrize("kernels", [True, False])
def test_parts_are_the_details_of_compute(spec: str, kernels: bool) -> None:
    parsed = metrics.parse(spec)
    rate = rate_of(parsed.name)
    ref, test = pairs(parsed.name, channels=2)[1]
    loss = Loss(spec, rate)
    with mock.patch("audiosim.engine.tensors.in_memory", return_value=kernels):
        value = loss(tensor(test[None]), tensor(ref[None]))
    details = metrics.get(parsed.name).compute(ref, test, rate, **parsed.options).details
    parts = {name.partition("/")[2]: x.item() for name, x in loss.terms().items() if "/" in name}
    assert parts
    for name, x in parts.items():
        if details:
            assert x == pytest.approx(details[name], rel=1e-6, abs=1e-9), name
    if spec == "stft":
        assert parts["convergence"] + parts["log"] == pytest.approx(value.item(), rel=1e-12)


def test_terms_are_of_the_last_forward_compiled_or_not() -> None:
    target, estimate, _ = mixed(2)
    loss = Loss("stft + mse", 16000)
    with pytest.raises(UsageError, match="call the loss first"):
        loss.terms()
    loss(estimate, target)
    first = loss.terms()
    torch.compiler.reset()
    value = torch.compile(loss, backend="aot_eager", fullgraph=True)(0.5 * estimate, target)
    second = loss.terms()
    assert second["mse"] != first["mse"]
    assert (second["stft"] + second["mse"]).item() == pytest.approx(value.item(), rel=1e-12)
    assert copy.deepcopy(loss).spec == loss.spec


# The edges


@every
def test_value_and_gradient_are_finite_everywhere(name: str) -> None:
    rate, card = rate_of(name), metrics.get(name).card
    capped = False
    for dtype in ("float64", "float32"):
        for case, (ref, test) in edges(name).items():
            ref, test = ref.astype(dtype), test.astype(dtype)
            value, gradient = value_and_gradient(loss_of(name), test[None], ref[None])
            assert torch.isfinite(value).all(), (case, dtype)
            assert torch.isfinite(gradient).all(), (case, dtype)
            answer = metrics.get(name).compute(ref, test, rate)
            if answer.status == "ok":
                agrees(name, value.item(), answer.value, dtype, case, tiny=case == "nearly identical")
            else:
                capped = True
    assert bool(card.cap) == capped, "Card.cap says what stands where there is no number, and only there"


@every
def test_silence_gives_a_gradient_or_its_card_says_so(name: str) -> None:
    ref = pairs(name)[0][0]
    _, gradient = value_and_gradient(loss_of(name), np.zeros_like(ref)[None], ref[None])
    assert metrics.get(name).card.zero_gradient_on_silence == (not gradient.any())
    _, gradient = value_and_gradient(Loss(name, rate_of(name), dither=-80.0), np.zeros_like(ref)[None], ref[None])
    assert gradient.any(), "dither mends it"


@every
def test_short_signals_are_refused_or_have_a_number(name: str) -> None:
    for length in (1, 3, 500):
        ref, test = (np.ascontiguousarray(x[:, :length]) for x in pairs(name)[0])
        answer = metrics.get(name).compute(ref, test, rate_of(name))
        if "too short" in (answer.reason or ""):
            with pytest.raises(InputError, match="too short"):
                loss_of(name)(tensor(test[None]), tensor(ref[None]))
        else:
            value, gradient = value_and_gradient(loss_of(name), test[None], ref[None])
            assert torch.isfinite(value).all()
            assert torch.isfinite(gradient).all()
            if answer.status == "ok":
                agrees(name, value.item(), answer.value, "float64")


# Where and how it runs


@every
def test_memory_layout_and_alignment_change_no_bit(name: str) -> None:
    ref, test = (torch.as_tensor(np.stack([x, x[::-1]]), dtype=torch.float32) for x in pairs(name, 2)[1])

    def bits(lay: Any) -> Any:
        x = lay(test).detach().requires_grad_()
        value = Loss(name, rate_of(name), "none")(x, lay(ref).detach())
        value.sum().backward()
        return value.tolist(), x.grad

    value, gradient = bits(torch.clone)
    for what, lay in tensors().items():
        assert torch.equal(lay(ref), ref)
        same_value, same_gradient = bits(lay)
        assert same_value == value, what
        assert torch.equal(same_gradient, gradient), what


@every
def test_runs_compiled_as_one_graph(name: str) -> None:
    ref, test = (x[:, : length(name, 0.1)] for x in pairs(name)[0])
    torch.compiler.reset()
    compiled = torch.compile(loss_of(name), backend="aot_eager", fullgraph=True)
    value, gradient = value_and_gradient(loss_of(name), test[None], ref[None])
    once, same_gradient = value_and_gradient(compiled, test[None], ref[None])
    assert once.item() == pytest.approx(value.item(), rel=1e-9)
    assert torch.linalg.norm(same_gradient - gradient) <= 1e-6 * torch.linalg.norm(gradient)


@pytest.mark.parametrize("weighting", ["fd", "k", "iso226", "bs1387", "auraloss-aw"])
def test_weightings_are_compiled_for_any_length(weighting: str) -> None:
    loss = Loss(f"si-sdr:weighting={weighting}", 48000)
    torch.compiler.reset()
    compiled = torch.compile(loss, backend="aot_eager", fullgraph=True)
    for length in (2000, 3001, 4000):
        ref, test = (tensor(x[None, :, :length]) for x in pairs("si-sdr")[0])
        assert compiled(test, ref).item() == pytest.approx(loss(test, ref).item(), rel=1e-9)


@every
def test_follows_the_input_to_its_device(name: str) -> None:
    """On the device without memory: what would meet a tensor left on the CPU, or look at a value, fails here."""
    shape = (2, 1, length(name, 0.1))
    test = torch.empty(shape, device="meta", requires_grad=True)
    value = loss_of(name)(test, torch.empty(shape, device="meta"))
    value.backward()
    assert value.device == test.grad.device == test.device
    assert test.grad.shape == shape


@every
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_cuda_agrees_with_cpu(name: str) -> None:
    loss = Loss(name, rate_of(name)).cuda()
    for dtype, tolerance in (("float64", 1e-9), ("float32", 1e-4)):
        for ref, test in pairs(name, channels=2):
            there = tensor(test[None].astype(dtype)).cuda().requires_grad_()
            value = loss(there, tensor(ref[None].astype(dtype)).cuda())
            value.backward()
            expected, gradient = value_and_gradient(loss_of(name), test[None].astype(dtype), ref[None].astype(dtype))
            assert value.item() == pytest.approx(expected.item(), rel=tolerance)
            if dtype == "float64":
                assert torch.linalg.norm(there.grad.cpu() - gradient) <= 1e-6 * torch.linalg.norm(gradient)


@every
def test_half_precision_and_autocast_are_computed_in_float32(name: str) -> None:
    ref, test = (tensor(x[None].astype("float32")) for x in pairs(name)[0])
    loss = loss_of(name)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert loss(test, ref).item() == loss(test, ref).item()
        inside = loss(test, ref)
    assert inside.dtype == torch.float32
    assert inside.item() == loss(test, ref).item()
    half = test.bfloat16().requires_grad_()
    value = loss(half, ref)
    value.backward()
    assert value.dtype == torch.float32
    assert half.grad.dtype == torch.bfloat16
    assert value.item() == loss(half.detach().float(), ref).item()


# The module


def test_a_sum_is_the_weighted_sum_with_signs_turned() -> None:
    ref, test = (tensor(x[None]) for x in (noise(16000, 0.5), noise(16000, 0.5, 1)))
    parts = [Loss(name, 16000)(test, ref).item() for name in ("mr-stft", "log-mel:bands=64", "snr")]
    total = Loss("mr-stft + 0.1*log-mel:bands=64+2e-1 * snr", 16000)(test, ref).item()
    assert total == pytest.approx(parts[0] + 0.1 * parts[1] + 0.2 * parts[2], rel=1e-12)
    assert parts[2] == pytest.approx(-metrics.get("snr").compute(ref[0].numpy(), test[0].numpy(), 16000).value)


def test_resolutions_keep_their_plus() -> None:
    spec = "0.5*mr-stft:resolutions=1024/120/600+512/50/240 + mse"
    assert [(w, s.name, dict(s.options)) for w, s in parse(spec)] == [
        (0.5, "mr-stft", {"resolutions": "1024/120/600+512/50/240"}),
        (1.0, "mse", {}),
    ]


@pytest.mark.parametrize(
    ("spec", "rate", "options", "says"),
    [
        ("log-mell", 16000, {}, "did you mean 'log-mel'"),
        ("x*mse", 16000, {}, "weight 'x' of mse is not a number"),
        ("0*mse", 16000, {}, "above 0"),
        ("-1*mse", 16000, {}, "above 0"),
        ("2*3*mse", 16000, {}, "not a weight times a metric"),
        ("", 16000, {}, "unknown metric ''"),
        ("mse", 0, {}, "whole number of Hz"),
        ("mse", 44100.5, {}, "whole number of Hz"),
        ("mse", 16000, {"reduction": "max"}, "mean, none or sum"),
        ("mse", 16000, {"dither": 6.0}, "-300 to 0 dB"),
        ("log-mel:fmax=9000", 16000, {}, "within 0 to 8000 Hz"),
        ("log-mel:floor=0", 16000, {}, "floor must be 1e-37 to below 1"),
    ],
)
def test_bad_losses_are_refused_when_they_are_made(spec: str, rate: Any, options: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("*", r"\*")) as error:
        Loss(spec, rate, **options)
    assert "\n" not in str(error.value)


def test_a_fixed_rate_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    metric: Any = metrics.get("mse")
    monkeypatch.setattr(metric.module, "CARD", replace(metric.card, rate=8000))
    assert Loss("mse", 8000).rate == 8000
    with pytest.raises(UsageError, match="mse is defined at 8000 Hz, this loss is for 16000 Hz"):
        Loss("mse", 16000)


@pytest.mark.parametrize("name", SURROGATES)
def test_a_surrogate_is_no_value_of_the_metric(name: str) -> None:
    ref, test = pairs(name)[0]
    with pytest.raises(UsageError, match="only a surrogate"):
        compare(ref, test, name, rate_of(name), backend="torch")
    values = [loss_of(name)(tensor(y[None]), tensor(ref[None])).item() for y in (ref, 0.5 * ref, 0.1 * ref)]
    assert values == sorted(values), "further away is worse"


def test_a_metric_without_gradient_is_refused() -> None:
    without = next((n for n in metrics.names() if metrics.get(n).card.gradient == "none"), None)
    if without is None:
        pytest.skip("every metric has a gradient")
    with pytest.raises(UsageError, match="no gradient"):
        Loss(without, metrics.get(without).card.rate or 48000)


@pytest.mark.parametrize(
    ("input", "target", "says"),
    [
        (torch.zeros(2, 100), torch.zeros(2, 99), "one shape"),
        (torch.zeros(100), torch.zeros(100), "one shape"),
        (torch.zeros(1, 1, 1, 100), torch.zeros(1, 1, 1, 100), "one shape"),
        (torch.zeros(2, 100, dtype=torch.int16), torch.zeros(2, 100, dtype=torch.int16), "full scale 1.0"),
        (torch.zeros(0, 100), torch.zeros(0, 100), "nothing to compare"),
        (np.zeros((2, 100)), np.zeros((2, 100)), "torch tensors"),
    ],
)
def test_bad_tensors_are_refused(input: Any, target: Any, says: str) -> None:
    with pytest.raises((UsageError, InputError), match=says):
        Loss("mse", 16000)(input, target)


def test_two_axes_are_batch_and_sample() -> None:
    ref, test = tensor(noise(16000, 0.1, 0, 3)), tensor(noise(16000, 0.1, 1, 3))
    loss = Loss("mse", 16000, "none")
    assert loss(test, ref).tolist() == loss(test[:, None], ref[:, None]).tolist()


def test_copies_and_pickles_and_says_what_it_is() -> None:
    loss = Loss("mr-stft + 0.1*mse", 16000, "sum", dither=-90.0)
    for twin in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):
        assert repr(twin) == repr(loss) == "Loss('mr-stft + 0.1*mse', rate=16000, reduction='sum', dither=-90)"
    assert not list(loss.parameters())
    assert not loss.state_dict()
    assert loss.to("meta").eval() is loss


def test_trains_in_a_module_and_moves_nothing_by_hand() -> None:
    """A gain learned by gradient descent."""
    x = tensor(speech_like(16000, affordable(1.0)))
    gain = torch.nn.Parameter(torch.tensor(0.1, dtype=torch.float64))
    optimizer = torch.optim.Adam([gain], lr=0.05)
    loss = Loss("log-mel", 16000)
    for _ in range(60):
        optimizer.zero_grad()
        loss(gain * x, x).backward()
        optimizer.step()
    assert gain.item() == pytest.approx(1.0, abs=0.1)


def test_without_torch_one_line_says_what_to_install() -> None:
    code = "import sys; sys.modules['torch'] = None\nimport audiosim\naudiosim.load, audiosim.compare\naudiosim.Loss"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("audiosim.errors.MissingExtra: audiosim.Loss needs torch")
    assert "audiosim[torch]" in last


# What the tests above have in common


def rate_of(name: str) -> int:
    return metrics.get(name).card.rate or 48000


def length(name: str, seconds: float) -> int:
    """Samples of a recording of so many seconds, or of one that the metric takes."""
    card = metrics.get(name).card
    return int(max(seconds, 1.3 * card.shortest * (2.5 if card.pauses else 1)) * rate_of(name))


def sign(name: str) -> float:
    return 1.0 if metrics.get(name).card.better == "lower" else -1.0


def loss_of(name: str) -> Any:
    return Loss(name, rate_of(name))


def tensor(x: Any) -> Any:
    return torch.as_tensor(np.ascontiguousarray(x))


def value_and_gradient(loss: Any, test: Any, ref: Any) -> Any:
    """Without a warning, whatever the input."""
    y = tensor(test).requires_grad_()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", OF_DYNAMO, DeprecationWarning)
        value = loss(y, tensor(ref))
        value.sum().backward()
    return value.detach(), y.grad


def agrees(name: str, value: float, expected: float, dtype: str, case: str = "", tiny: bool = False) -> None:
    """A loss with the metric's value; that of a surrogate is one of its own, 0 for identical files.

    tiny: a difference of the size of float32's rounding, which losses of float32 have and compute does not.
    """
    if name not in SURROGATES:
        same(value, sign(name) * expected, dtype, case, 1e-5 if tiny else 1e-7)
    elif case in ("identity", "click on itself", "both silent"):
        assert value == 0, case
    else:
        assert 0 <= value < inf, case


def same(value: float, expected: float, dtype: str, case: str = "", floor: float = 1e-7) -> None:
    tolerance = {"float64": 1e-9, "float32": 1e-4}[dtype]
    assert value == pytest.approx(expected, rel=tolerance, abs=1e-9 if dtype == "float64" else floor), case


def pairs(name: str, channels: int = 1) -> list[tuple[Any, Any]]:
    rate = rate_of(name)
    seconds = length(name, 0.4) / rate
    steady, speech = pink(rate, seconds, 11, channels), speech_like(rate, seconds, 11, channels)
    return [
        (steady, added_noise(steady, rate, 0.3, 1)),
        (speech, 0.8 * added_noise(speech, rate, 0.02, 2)),
    ]


def edges(name: str) -> dict[str, tuple[Any, Any]]:
    ref, test = pairs(name)[0]
    silent, click = np.zeros_like(ref), np.zeros_like(ref)
    click[:, click.shape[1] // 2] = 1.0
    full = 1.0 / max(np.abs(ref).max(), np.abs(test).max())
    half = test * (np.arange(test.shape[1]) < test.shape[1] // 2)
    return {
        "identity": (ref, ref),
        "scaled copy": (ref, 0.5 * ref),
        "inverted copy": (ref, -ref),
        "silent input": (ref, silent),
        "silent target": (silent, test),
        "both silent": (silent, silent),
        "click in silence": (silent, click),
        "silence for a click": (click, silent),
        "click on itself": (click, click),
        "half silent": (ref, half),
        "half silent target": (half, ref),
        "full scale": (full * ref, full * test),
        "a millionth": (1e-6 * ref, 1e-6 * test),
        "nearly identical": (ref, ref + 1e-7 * test),
        "offset": (ref, ref + 0.1),
    }
