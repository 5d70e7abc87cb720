"""Ratios of energies of several channels: a broken channel shows, whatever the others are. Closed forms, and the metric
of the channels laid end to end."""

from __future__ import annotations

from math import inf, isnan, log10
from typing import Any

import numpy as np
import pytest

from audiosim import compare
from audiosim.testing.signals import COMPILED, Array, noise, pink, speech_like
from tests import naive

RATE = 16000
SECONDS = 0.5 if COMPILED else 0.1
NAMES = ["snr", "esr", "sd-sdr", "si-sdr", "sdr:taps=32", "seg-snr"]
END_TO_END = ["snr", "esr", "sd-sdr", "si-sdr"]
every = pytest.mark.parametrize("spec", NAMES)


def pair(channels: int = 2, seed: int = 1) -> tuple[Array, Array]:
    """Channels of other levels, under noise of other levels and after other gains."""
    steps = np.arange(1, channels + 1)[:, None]
    ref = pink(RATE, SECONDS, seed, channels) / steps
    return ref, (0.8 + 0.1 * steps) * ref + 0.003 * steps**2 * noise(RATE, SECONDS, seed + 1, channels)


def of(spec: str, ref: Array, test: Array, **how: Any) -> Any:
    return compare(ref, test, spec, RATE, **how)[spec]


def with_option(spec: str, option: str) -> str:
    return f"{spec}{',' if ':' in spec else ':'}{option}"


def broken(x: Array, fault: str, channel: int) -> Array:
    y = x.copy()
    if fault == "click":
        y[channel, y.shape[1] // 2] += 0.5
    elif fault == "exchanged":
        y[[channel, channel - 1]] = x[[channel - 1, channel]]
    else:
        y[channel] *= {"dead": 0.0, "inverted": -1.0, "quiet": 0.1}[fault]
    return y


# Faults


@every
@pytest.mark.parametrize("channels", [2, 6])
@pytest.mark.parametrize("fault", ["dead", "inverted", "quiet", "click", "exchanged"])
def test_a_fault_of_one_channel_shows(spec: str, channels: int, fault: str) -> None:
    """A mean of decibels gave 88 dB and more: an identical channel counts 170 dB, or is infinite."""
    x = noise(RATE, SECONDS, 1, channels)
    for channel in range(channels):
        result = of(spec, x, broken(x, fault, channel))
        assert result.per_channel.shape == (channels,)
        if spec.startswith("sdr") and fault in ("inverted", "quiet"):
            assert result.value == inf, "each channel has its own filter"
        elif spec.startswith("sdr") and fault == "dead":
            assert (result.status, result.reason) == ("undefined", f"channel {channel + 1}: the test is silent")
        elif spec == "seg-snr" and fault == "click":
            assert result.value < of(spec, x, x).value - 0.05, "few frames hold it"
        else:
            assert result.value < 40 if spec != "esr" else result.value > 1e-4


def test_what_the_faults_amount_to() -> None:
    x = noise(RATE, SECONDS, 1, 2)
    left, right = (x**2).sum(1)
    dead, inverted = (broken(x, fault, 1) for fault in ("dead", "inverted"))
    assert of("snr", x, dead).value == pytest.approx(10 * log10((left + right) / right), rel=1e-9)
    assert of("snr", x, inverted).value == pytest.approx(10 * log10((left + right) / (4 * right)), rel=1e-9)
    assert of("esr:convention=plain", x, dead).value == pytest.approx(right / (left + right), rel=1e-9)
    gain = left / (left + right)  # the one that fits best, of both channels
    target, lost = gain**2 * (left + right), (1 - gain) ** 2 * left + gain**2 * right
    assert of("si-sdr", x, dead).value == pytest.approx(10 * log10(target / lost), rel=1e-9, abs=1e-9)
    assert of("sd-sdr", x, dead).value == pytest.approx(10 * log10(target / right), rel=1e-9)


@pytest.mark.parametrize("spec", ["snr", "si-sdr", "sd-sdr", "sdr:taps=32"])
@pytest.mark.parametrize("fault", ["dead", "click"])
def test_the_gate_of_the_report_fails(spec: str, fault: str) -> None:
    x = noise(RATE, SECONDS, 0, 2).astype(np.float32)
    result = of(spec, x, broken(x, fault, 1))
    assert not result.value >= 60
    assert of(with_option(spec, "channels=mean"), x, broken(x, "click", 1)).value >= 60, "as the packages have it"


# Which channels make the value


@pytest.mark.parametrize("spec", END_TO_END)
@pytest.mark.parametrize("convention", ["default", "plain"])
@pytest.mark.parametrize("channels", [2, 5])
def test_it_is_the_metric_of_the_channels_end_to_end(spec: str, convention: str, channels: int) -> None:
    spec = spec if convention == "default" else f"{spec}:convention={convention}"
    ref, test = pair(channels)
    end_to_end = of(spec, ref.reshape(1, -1), test.reshape(1, -1))
    assert of(spec, ref, test).value == pytest.approx(end_to_end.value, rel=1e-10)


@pytest.mark.parametrize("spec", ["si-sdr", "si-sdr:convention=auraloss", "si-sdr:zero_mean"])
def test_one_gain_keeps_its_digits(spec: str) -> None:
    """Channels that differ from the reference by one gain are as good as one that does, at 100 dB and beyond."""
    ref = pink(RATE, SECONDS, 3, 2)
    for level in (1e-3, 1e-5):
        test = 0.5 * (ref + level * noise(RATE, SECONDS, 4, 2))
        assert of(spec, ref, test).value == pytest.approx(naive.value(spec, ref, test, RATE), rel=1e-8)


@every
@pytest.mark.parametrize("channels", [2, 3])
def test_each_channel_has_its_value_beside(spec: str, channels: int) -> None:
    ref, test = pair(channels)
    alone = [of(spec, ref[c : c + 1], test[c : c + 1]).value for c in range(channels)]
    for detail in ("value", "map"):
        result = of(spec, ref, test, detail=detail)
        assert result.per_channel.tolist() == alone
        mean = of(with_option(spec, "channels=mean"), ref, test, detail=detail)
        assert mean.per_channel.tolist() == alone
        assert mean.value == pytest.approx(np.mean(alone), rel=1e-12)
        assert mean.value != pytest.approx(result.value, rel=1e-3)


@every
def test_one_channel_is_the_same_by_both(spec: str) -> None:
    ref, test = pair(1)
    assert of(spec, ref, test).value == of(with_option(spec, "channels=mean"), ref, test).value


def test_filters_are_those_of_each_channel() -> None:
    ref = noise(RATE, SECONDS, 1, 2)
    test = np.stack([ref[0] + 0.5 * np.roll(ref[0], 3), 0.2 * ref[1] - 0.1 * np.roll(ref[1], 1)])
    test[:, :8] = 0
    ref[:, :8] = 0
    assert of("sdr:taps=32", ref, test).value > 20


def test_the_profile_is_that_of_the_channel_that_is_wrong() -> None:
    x = noise(RATE, 4 * SECONDS, 1, 2)
    y = broken(x + 1e-4 * noise(RATE, 4 * SECONDS, 2, 2), "click", 1)
    for spec in NAMES:
        result = of(spec, x, y, detail="map")
        worst = np.argmin if spec in ("snr", "sd-sdr", "si-sdr") else np.argmax
        assert result.times[worst(result.per_time)] == pytest.approx(2 * SECONDS, abs=0.06)


# Silence


@every
@pytest.mark.parametrize("which", [0, 1])
def test_a_channel_that_is_silent_in_both_adds_nothing(spec: str, which: int) -> None:
    ref, test = pair(2)
    ref[which] = test[which] = 0
    other = slice(1 - which, 2 - which)
    assert of(spec, ref, test).value == pytest.approx(of(spec, ref[other], test[other]).value, rel=1e-12)


@every
@pytest.mark.parametrize("which", [0, 1])
def test_a_channel_that_is_silent_in_the_reference_alone_counts_as_error(spec: str, which: int) -> None:
    ref = noise(RATE, SECONDS, 1, 2)
    test = ref.copy()
    ref[which] = 0
    result = of(spec, ref, test)
    assert result.status == "ok"
    assert result.value == pytest.approx(1.0, abs=0.1) if spec == "esr" else abs(result.value) < 0.5
    assert spec == "seg-snr" or isnan(result.per_channel[which])


@every
def test_silence_in_all_channels_is_as_in_one(spec: str) -> None:
    x = noise(RATE, SECONDS, 1, 2)
    for ref, test in ((0 * x, x), (x, 0 * x), (0 * x, 0 * x)):
        one, two = of(spec, ref[:1], test[:1]), of(spec, ref, test)
        assert (one.status, one.reason) == (two.status, two.reason)


# Training


@every
@pytest.mark.parametrize("pooling", ["pooled", "mean"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_losses_follow(spec: str, pooling: str, channels: int) -> None:
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss

    spec = with_option(spec, f"channels={pooling}")
    batch = [pair(channels, seed) for seed in (1, 5, 9)]
    batch[1][0][-1] = 0  # the reference of a channel is silent
    if channels == 1 or pooling == "mean":
        batch.pop(1)
    ref, test = (torch.tensor(np.stack(x)) for x in zip(*batch, strict=True))
    loss = Loss(spec, RATE, "none")
    sign = 1 if spec.startswith("esr") else -1
    expected = [sign * of(spec, r, t).value for r, t in batch]
    assert loss(test, ref).tolist() == pytest.approx(expected, rel=1e-9)
    ref, test = (x[..., :1200].clone().requires_grad_() for x in (ref, test))
    assert torch.autograd.gradcheck(lambda y: loss(y, ref.detach()), test, fast_mode=True, eps=1e-7, atol=1e-5)
    assert torch.autograd.gradcheck(loss, (test, ref), fast_mode=True, eps=1e-7, atol=1e-5)


@every
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_torch_backend_gives_the_channels_too(spec: str, dtype: str) -> None:
    pytest.importorskip("torch")
    ref, test = (x.astype(dtype) for x in pair(3))
    test[2] = ref[2] = 0
    ours, theirs = (of(spec, ref, test, backend=backend) for backend in ("numba", "torch"))
    tolerance = 1e-9 if dtype == "float64" else 1e-4
    assert theirs.value == pytest.approx(ours.value, rel=tolerance)
    np.testing.assert_allclose(theirs.per_channel, ours.per_channel, rtol=tolerance)


def test_training_mends_a_channel_that_is_inverted() -> None:
    """What a mean of channels did not see for si-sdr: both of them score 178 dB."""
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss

    x = torch.tensor(speech_like(RATE, SECONDS, 1, 1)).expand(2, -1)[None]
    gains = torch.tensor([1.0, -0.3], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([gains], lr=0.05)
    loss = Loss("si-sdr", RATE)
    for _ in range(100):
        optimizer.zero_grad()
        loss(gains[:, None] * x, x).backward()
        optimizer.step()
    assert gains[1].item() == pytest.approx(gains[0].item(), rel=0.2)
