"""BSS-eval has the numbers of museval, mir_eval and fast_bss_eval."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
import torch

import audiosim
from audiosim import Loss, metrics
from audiosim.errors import InputError, UsageError
from audiosim.result import Result
from audiosim.testing.signals import COMPILED

RATE = 8000
slow = pytest.mark.skipif(not COMPILED, reason="systems of thousands of equations")
OUTPUTS = ("sdr", "isr", "sir", "sar")
# Of mixture(2) [source, sample, channel], sources in order: museval 0.4.1 and mir_eval 0.8.2 under numpy 2.4.6.
MUSEVAL = {  # museval.evaluate(sources, estimates, win=8000, hop=8000), numpy.nanmedian of each
    "sdr": [12.603108080815469, 12.455058592350802, 12.924582474006112],
    "isr": [14.008692049146763, 13.948229360822355, 13.99133467075142],
    "sir": [19.55588172485397, 18.77235924163701, 21.986050653744545],
    "sar": [23.953287752356246, 27.629186579282532, 23.020010199964176],
}
MUSEVAL_3 = {  # the same with hop=4000, mode="v3"
    "sdr": [12.778811577332956, 11.976088581015244, 12.924582474006112],
    "isr": [13.871397476231333, 13.757949029255151, 13.897278902820794],
    "sir": [20.68651630063212, 17.194917137629066, 22.090484778955847],
    "sar": [25.123078664619605, 28.909753974612165, 24.577042853678424],
}
PERMUTED = {  # museval.metrics.bss_eval(sources, estimates[[2, 0, 1]], 12000, 6000, compute_permutation=True), means
    "sdr": [12.702235531040236, 12.302241107768259, 12.96125619736756],
    "isr": [14.002027274350892, 13.944312084278451, 13.995371753446587],
    "sir": [20.16527905866356, 17.97693462067018, 22.13189992982175],
    "sar": [23.576650005277642, 27.726946104219408, 23.007159451503192],
}
IMAGES = {  # mir_eval.separation.bss_eval_images(sources, estimates, compute_permutation=False)
    "sdr": [12.74240239169117, 12.19118975064049, 12.91804484944677],
    "isr": [14.000543220778148, 13.941873645216862, 14.000883143527592],
    "sir": [20.455667178673124, 17.56825334758101, 22.30363436352315],
    "sar": [23.63372899917931, 27.54589462242857, 22.666216130133385],
}
SOURCES = {  # of mixture(1): mir_eval.separation.bss_eval_sources(sources, estimates, compute_permutation=False)
    "sdr": [18.01602161281628, 16.971155579842502, 18.986069233936007],
    "sir": [20.36493067936069, 17.394718968055926, 22.600287476341904],
    "sar": [21.84659821812331, 27.36828775254239, 21.49006882355279],
}
SCALED = {  # of mixture(1): fast_bss_eval 0.1.4 on torch, si_bss_eval_sources(sources, estimates, None, False)
    "sdr": [12.443967938366686, 12.142075236798107, 12.758245758544462],
    "sir": [20.295220605142106, 17.168481793898525, 22.456930159116048],
    "sar": [13.262352730962792, 13.863368338789623, 13.275223831400869],
}
REORDERED = {  # of swapped(): museval.metrics.bss_eval(sources, estimates, 4000, 4000, True, 32, True), means
    "sdr": [12.530587899508951, 11.944253539375595, 12.944135426046305],
    "isr": [14.117460414089697, 13.979007588903594, 14.167037677866398],
    "sir": [19.91740919240512, 17.657115220044933, 22.928019667743904],
    "sar": [22.790910814267676, 26.97693121433009, 21.576324462793725],
}


@cache
def mixture(channels: int, count: int = 3, seconds: float = 2.5, rate: int = RATE) -> tuple[Any, Any]:
    """Sources, and estimates into which other sources leak, [source, channel, sample]: noise of several colours."""
    rng = np.random.default_rng(7)
    n = int(seconds * rate)
    noise = rng.standard_normal((count, channels, n + 2))
    swell = 0.1 + np.abs(np.sin(2 * np.pi * np.outer(np.arange(1, count + 1) / 3, np.arange(n) / rate)))[:, None]
    colour = np.linspace(-0.9, 0.9, count)[:, None, None]
    sources = 0.1 * swell * (noise[..., 2:] + colour * noise[..., 1:-1] + 0.3 * noise[..., :-2])
    sources[:, 1:] = 0.6 * sources[:, :1] + 0.4 * sources[:, 1:]
    estimates = sources + 0.2 * np.roll(sources, 3, axis=-1) + 0.1 * np.roll(sources, 1, axis=0)
    return sources, np.clip(estimates + 0.003 * rng.standard_normal(sources.shape), -0.3, 0.3)


def answer(sources: Any, estimates: Any, j: int, **options: Any) -> Result:
    others = [(sources[i], estimates[i]) for i in range(len(sources)) if i != j]
    return metrics.get("bss-eval").compute(sources[j], estimates[j], RATE, others=others, **options)


def value(sources: Any, estimates: Any, j: int, **options: Any) -> float:
    return answer(sources, estimates, j, **options).value


@pytest.mark.parametrize(
    ("golden", "channels", "options"),
    [
        pytest.param(MUSEVAL, 2, {}, marks=slow),
        pytest.param(MUSEVAL_3, 2, {"hop": 0.5, "filters": "window"}, marks=slow),
        pytest.param(IMAGES, 2, {"window": 0.0}, marks=slow),
        pytest.param(SOURCES, 1, {"window": 0.0, "target": "sources"}, marks=slow),
        (SCALED, 1, {"window": 0.0, "target": "sources", "taps": 1}),
    ],
    ids=["museval", "museval v3", "mir_eval images", "mir_eval sources", "fast_bss_eval si"],
)
def test_the_numbers_of_others(golden: Any, channels: int, options: dict[str, Any]) -> None:
    sources, estimates = mixture(channels)
    found = [answer(sources, estimates, j, **options).details for j in range(3)]
    for output, expected in golden.items():
        assert [details[output] for details in found] == pytest.approx(expected, abs=1e-6), output


@pytest.mark.parametrize("first", [pytest.param("bss-eval", marks=slow), "si-sdr", "mse"])
def test_the_best_order_is_found(first: str) -> None:
    sources, estimates = mixture(2)
    more = [f"bss-eval:window=1.5,hop=0.75,average=mean,output={name}" for name in OUTPUTS if first == "bss-eval"]
    found = audiosim.compare_sources(sources, estimates[[2, 0, 1]], [first, *more], RATE)
    assert [results.estimate for results in found] == [1, 2, 0]
    assert [results.test for results in found] == ["estimate 2", "estimate 3", "estimate 1"]
    for spec, output in zip(more, OUTPUTS, strict=False):
        assert [results[spec].value for results in found] == pytest.approx(PERMUTED[output], abs=1e-6)


def swapped() -> tuple[Any, Any]:
    """mixture(1), whose estimates change places for a second."""
    sources, estimates = mixture(1)
    estimates = estimates.copy()
    estimates[:, :, RATE : 2 * RATE] = estimates[[1, 2, 0], :, RATE : 2 * RATE]
    return sources, estimates


def test_each_window_may_have_its_order() -> None:
    options = {"window": 0.5, "hop": 0.5, "taps": 32, "filters": "window", "average": "mean"}
    found = [answer(*swapped(), j, permutation="window", **options).details for j in range(3)]
    for output, expected in REORDERED.items():
        assert [details[output] for details in found] == pytest.approx(expected, abs=1e-6), output
    short = [x[..., :RATE] for x in mixture(1)]
    for filters in ("whole", "window"):
        options["filters"] = filters
        plain, reordered = (value(*short, 0, **options, permutation=p) for p in ("none", "window"))
        assert plain == pytest.approx(reordered, abs=1e-9)


def test_in_order_they_stay() -> None:
    sources, estimates = mixture(1)
    found = audiosim.compare_sources(sources, estimates[[1, 0, 2]], "si-sdr", RATE, in_order=True)
    assert [results.estimate for results in found] == [0, 1, 2]
    assert found[0]["si-sdr"].value < 0 < found[2]["si-sdr"].value


def test_each_source_needs_an_estimate() -> None:
    sources, estimates = mixture(1)
    with pytest.raises(UsageError, match="3 sources and 2 estimates"):
        audiosim.compare_sources(sources, estimates[:2], "si-sdr", RATE)


def test_sources_have_one_form() -> None:
    sources, estimates = mixture(1)
    short = [*sources[:2], sources[2][:, :-800]], [*estimates[:2], estimates[2][:, :-800]]
    with pytest.raises(InputError, match="source 3: 1 channel of 19200 samples at 8000 Hz, but source 1"):
        audiosim.compare_sources(*short, "bss-eval:taps=8", RATE, in_order=True)


def test_alone_there_is_no_interference() -> None:
    sources, estimates = mixture(1)
    found = metrics.get("bss-eval").compute(sources[0], estimates[0], RATE, output="sir", taps=8)
    assert found.status == "undefined"
    assert "--source" in str(found.reason)


def test_windows_in_which_a_source_is_silent_do_not_count() -> None:
    sources, estimates = (x.copy() for x in mixture(1, count=2))
    sources[1, :, :RATE] = 0
    estimates[0, :, :RATE] *= 0.1  # what is wrong there is not seen
    later = [[x[:, RATE:] for x in signal] for signal in (sources, estimates)]
    same = {"output": "sdr", "average": "mean", "taps": 8}
    assert value(sources, estimates, 0, **same) == pytest.approx(value(*map(np.array, later), 0, **same), abs=1e-9)


@pytest.mark.parametrize("degenerate", ["mono", "silent channel", "silent source", "delayed channel"])
def test_sources_that_say_the_same_twice(degenerate: str) -> None:
    """Copies span nothing new: the numbers are those without them."""
    sources, estimates = (x.copy() for x in mixture(2, count=2))
    others = [(sources[1], estimates[1])]
    get = metrics.get("bss-eval").compute
    options = {"output": "sar", "window": 0.0, "taps": 16}
    if degenerate == "silent source":
        silent = np.zeros_like(sources[1])
        without = get(sources[0], estimates[0], RATE, others=others, **options).value
        assert np.isnan(get(sources[0], estimates[0], RATE, others=[*others, (silent, silent)], **options).value)
        assert np.isfinite(without)
        return
    mono = get(sources[0, :1], estimates[0, :1], RATE, others=[(sources[1, :1], estimates[1, :1])], **options).value
    second = {"mono": lambda x: x, "silent channel": np.zeros_like, "delayed channel": lambda x: np.roll(x, 1)}[
        degenerate
    ]
    stereo = [np.stack([x[0], second(x[0])]) for x in (sources[0], estimates[0], sources[1], estimates[1])]
    found = get(stereo[0], stereo[1], RATE, others=[(stereo[2], stereo[3])], **options).value
    assert found == pytest.approx(mono, abs=0.3 if degenerate == "delayed channel" else 1e-6)


def test_the_order_of_the_others_changes_nothing_that_is_heard() -> None:
    sources, estimates = mixture(2)
    a, b = (answer(*(x[o, :, :RATE] for x in (sources, estimates)), 0, taps=8) for o in ([0, 1, 2], [0, 2, 1]))
    assert set(a.details) == set(OUTPUTS)
    assert b.details == pytest.approx(a.details, abs=1e-9)


def slopes(loss: Loss, target: Any, estimate: Any, step: float) -> tuple[float, float, float]:
    """The loss, and its derivative in some direction: by its gradient, and by finite differences."""
    x, y = torch.tensor(target[None]), torch.tensor(estimate[None], requires_grad=True)
    found = loss(y, x)
    found.backward()
    way = torch.randn(y.shape, dtype=y.dtype, generator=torch.Generator().manual_seed(1))
    ahead, behind = (loss(y.detach() + s * way, x).item() for s in (step, -step))
    return found.item(), float((y.grad * way).sum()), (ahead - behind) / (2 * step)


@pytest.mark.parametrize(
    "options",
    [
        "window=0.5,hop=0.5",
        "output=isr,window=0.5,hop=0.5",
        "output=isr,filters=window,average=mean",
        "output=sar,window=0",
        "target=sources",
    ],
)
def test_losses_are_the_metric_of_a_source_alone(options: str) -> None:
    sources, estimates = mixture(2)
    spec = f"bss-eval:taps=16,{options}"
    found, exact, differences = slopes(Loss(spec, RATE), sources[0], estimates[0], 1e-6)
    assert -found == pytest.approx(audiosim.compare(sources[0], estimates[0], spec, RATE)[spec].value, abs=1e-7)
    assert exact == pytest.approx(differences, rel=1e-6)
    mono = [np.repeat(x[0, :1], 2, axis=0) for x in (sources, estimates)]  # channels that say the same
    assert slopes(Loss(spec, RATE), *mono, 1e-6)[0] == pytest.approx(
        -audiosim.compare(*mono, spec, RATE)[spec].value, abs=1e-5
    )


def test_a_loss_is_finite_whatever_sounds() -> None:
    sources, _ = mixture(2)
    x, silence = torch.tensor(sources[:1]), torch.zeros(1, 2, sources.shape[-1])
    loss = Loss("bss-eval:taps=16", RATE, silent="keep")
    assert [loss(a, b).item() for a, b in ((x, x), (silence, x), (x, silence))] == [-150, 0, 0]
    for options in ("output=sir", "permutation=window"):
        with pytest.raises(UsageError, match="has no gradient: a loss does not know the other sources"):
            Loss(f"bss-eval:{options}", RATE)
