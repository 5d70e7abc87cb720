"""STOI and ESTOI: the original's numbers, their plain formula, their edges."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from audiosim import compare, load, models
from audiosim.judge.explain import explain
from audiosim.result import Result
from audiosim.signal import Signal
from audiosim.testing.signals import (
    COMPILED,
    Array,
    added_noise,
    clipping,
    dropout,
    gain,
    high_pass,
    noise,
    reverb,
    sine,
    speech_like,
)
from tests import naive

RATE = 10000
DAMAGES = {
    "noise": lambda x, rate: added_noise(x, rate, 0.5, 1),
    "reverb": lambda x, rate: reverb(x, rate, 1.0, 1),
    "clipping": lambda x, rate: clipping(x, rate, 0.9),
    "dropout": lambda x, rate: dropout(x, rate, 0.4),
}
compiled = pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")


def stoi(ref: Array, test: Array, rate: int = RATE, *, extended: bool = False, detail: str = "value") -> Result:
    spec = f"stoi:extended={extended}"
    return compare(ref, test, spec, rate, detail=detail)[spec]  # type: ignore[arg-type]


# The original


@compiled
@pytest.mark.parametrize(
    ("rate", "damage", "plain", "extended"),
    [
        (10000, "noise", 0.8304451774206967, 0.47133491856055065),
        (10000, "dropout", 0.6318315926883247, None),  # the original draws lots for a band of silence
        (8000, "clipping", 0.8711945171977438, 0.8080928412071804),
        (16000, "noise", 0.8864962465717695, 0.5344226553770415),
        (16000, "reverb", 0.8825923158983312, 0.6716111578173213),
        (22050, "clipping", 0.871459518818154, 0.7897491444749155),
        (44100, "dropout", 0.6233984500721361, None),
        (48000, "reverb", 0.8865128341043854, 0.6780467174103324),
    ],
)
def test_numbers_of_the_original(rate: int, damage: str, plain: float, extended: float | None) -> None:
    """pystoi 0.4.1, stoi(ref, test, rate, extended), its random numbers seeded by 0."""
    x = speech_like(rate, 3.0, 5)
    y = DAMAGES[damage](x, rate)
    assert stoi(x, y, rate).value == pytest.approx(plain, abs=1e-9)
    if extended is not None:
        assert stoi(x, y, rate, extended=True).value == pytest.approx(extended, abs=1e-9)


@compiled
def test_original_called_live() -> None:
    original = pytest.importorskip("pystoi").stoi
    for rate in (10000, 11025, 12000, 32000):
        x = speech_like(rate, 2.0, 6)
        for name, damage in DAMAGES.items():
            y = damage(x, rate)
            for extended in (False, True):
                value = stoi(x, y, rate, extended=extended).value
                expected = original(x[0], y[0], rate, extended)
                assert value == pytest.approx(expected, abs=0.02 if extended and name == "dropout" else 1e-9)


@compiled
def test_recorded_numbers(shared: Path) -> None:
    """pystoi 0.4.1 on files of 16 kHz; oracles/speech.json names the call. All pairs: tests/benchmarks."""
    folder, count = shared / "audio" / "speech", 0
    pairs = list(json.loads((shared / "oracles" / "speech.json").read_text())["pairs"].values())
    for pair in pairs[::9]:
        ref, test = (load(folder / pair[end]).samples.astype(np.float64) for end in ("ref", "deg"))
        length = min(ref.shape[1], test.shape[1])
        ref, test = ref[:, :length], test[:, :length]
        assert stoi(ref, test, 16000).value == pytest.approx(pair["metrics"]["pystoi.stoi"], abs=1e-9), pair["id"]
        value = stoi(ref, test, 16000, extended=True).value
        assert value == pytest.approx(pair["metrics"]["pystoi.estoi"], abs=1e-9), pair["id"]
        count += 1
    assert count >= 12


# The plain formula


@pytest.mark.parametrize("extended", [False, True])
def test_plain_formula(extended: bool) -> None:
    seconds = 1.5 if COMPILED else 0.45
    x = speech_like(RATE, seconds, 7) if COMPILED else noise(RATE, seconds, 7)
    y = added_noise(x, RATE, 0.3, 1)
    y[:, : int(0.2 * RATE)] = 0
    for detail in ("value", "map"):
        value = stoi(x, y, extended=extended, detail=detail).value
        assert value == pytest.approx(naive.stoi(x[0], y[0], RATE, extended), rel=1e-12)


@pytest.mark.parametrize("extended", [False, True])
def test_shortfalls_add_up_to_what_is_lacking(extended: bool) -> None:
    """By unit vectors, and where one of both, or both, do not vary."""
    rng = np.random.default_rng(8)
    x, y = rng.uniform(0.5, 1, (2, 33, models.stoi.LANES))
    x[..., -1] = y[..., -1] = 0
    x[:, 1] = 0.5
    y[:, 2] = 0.5
    x[:, 3] = y[:, 3] = 0.0
    values, lost = models.stoi.correlations(x, y, extended, where=True)
    assert lost is not None
    assert lost.min() >= 0
    assert lost.sum() == pytest.approx((1 - values).sum(), rel=1e-12)
    if not extended:
        np.testing.assert_allclose(lost.sum(0), (1 - values).sum(0), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(values[:, 1:4], np.tile([0, 0, 1], (4, 1)), atol=1e-9)


# What it hears


@compiled
@pytest.mark.parametrize("extended", [False, True])
def test_profiles_have_the_value_as_their_mean(extended: bool) -> None:
    x = noise(16000, 2.0, 9, 2)
    y = added_noise(x, 16000, 0.5, 1)
    y[0] = 0.5 * x[0]
    result = stoi(x, y, 16000, extended=extended, detail="map")
    assert result.per_band is not None
    assert result.per_time is not None
    assert result.per_band.shape == (15,)
    assert result.per_band.mean() == pytest.approx(result.value, rel=1e-9)
    assert result.per_time[30:-30].mean() == pytest.approx(result.value, rel=0.05)
    assert result.details["segments"] == 125


@compiled
def test_explain_finds_lost_words_and_lost_bands() -> None:
    rate = 16000
    x = speech_like(rate, 6.0, 10)
    y = x.copy()
    y[:, 3 * rate : int(3.5 * rate)] = 0
    found = explain(Signal.of(x, rate, "a"), Signal.of(y, rate, "b"), "stoi").regions[0]
    assert 2.9 < found.start < found.end < 3.6
    hiss = high_pass(added_noise(0 * x, rate, 1.0, 1), rate, 0.9)
    result = stoi(x, x + 0.5 * hiss, rate, detail="profile")
    assert result.per_band is not None
    assert result.bands is not None
    assert result.per_band[result.bands < 1000].min() > result.per_band[result.bands > 2500].max()


@compiled
def test_level_and_silence_before_and_after_change_nothing() -> None:
    x = speech_like(RATE, 2.0, 11)
    y = added_noise(x, RATE, 0.5, 1)
    value = stoi(x, y).value
    assert stoi(0.01 * x, gain(y, RATE, 1.0)).value == pytest.approx(value, rel=1e-9)
    pause = np.zeros((1, 5 * models.stoi.HOP))
    longer = (np.concatenate([pause, z, pause], axis=1) for z in (x, y))
    assert stoi(*longer).value == pytest.approx(value, abs=0.02)  # frames at both ends


# Its edges


@compiled
def test_what_has_no_number_says_why() -> None:
    x = speech_like(RATE, 2.0, 12)
    silent = np.zeros_like(x)
    assert stoi(silent, x).reason == "the reference is silent"
    assert stoi(x, silent).value == 0
    result = stoi(x[:, :4096], x[:, :4096])
    assert result.reason == "too short: 0.4097 s are needed, there are 0.41 s"
    mostly = x.copy()
    mostly[:, 3000:] *= 1e-5
    assert "0.4 s are needed" in (stoi(mostly, x).reason or "")
    both = stoi(np.concatenate([x, silent]), np.concatenate([x, x]), detail="map")
    assert both.reason == "channel 2: the reference is silent"
    assert both.per_channel[0] == 1


def test_a_steady_tone_is_like_itself() -> None:
    """Its bands hardly vary, or not at all; the original gives 0 for those."""
    x = sine(RATE, 0.5, 1)
    constant = np.ones((1, 5000))
    for extended in (False, True):
        assert stoi(x, x, extended=extended).value == 1
        assert stoi(constant, constant, extended=extended).value == 1


@compiled
def test_a_loss_tells_what_it_cannot_learn_from() -> None:
    torch = pytest.importorskip("torch")
    from audiosim import Loss

    x = speech_like(RATE, 1.5, 13)
    quiet = 1e-5 * x
    quiet[:, 2000:2100] = x[:, 2000:2100]
    refs = torch.from_numpy(np.stack([x, quiet]))
    tests = (refs + 0.1 * torch.from_numpy(noise(RATE, 1.5, 1))).requires_grad_()
    values = Loss("stoi", RATE, "none")(tests, refs)
    values.sum().backward()
    assert values[0] < -0.3
    assert values[1] == 0
    assert tests.grad[0].any()
    assert not tests.grad[1].any()
