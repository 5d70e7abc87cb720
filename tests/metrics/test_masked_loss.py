"""masked-loss: its plain formula, what it hears of noise under and beside a masker, its gradients."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from audiosim import metrics
from audiosim.errors import UsageError
from audiosim.testing.signals import COMPILED, Array, added_noise, affordable, harmonic, noise, pink, speech_like
from tests.models.masking.test_threshold import plain

SECONDS = affordable(0.3)


def compute(ref: Array, test: Array, rate: int, **options: Any) -> Any:
    return metrics.get("masked-loss").compute(ref, test, rate, **options)


def cells(ref: Array, test: Array, rate: int, level: float, weight: float) -> tuple[Array, Array]:
    """Both terms [frame, bin] of one channel: the paper's formulas, one frame after the other."""
    n = 2 ** round(np.log2(0.0255 * rate))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)
    unit = 10 ** (level / 20) / (n / 4)  # a full-scale sine has the level
    padded = [np.pad(x, n // 2) for x in (ref, test)]
    priority, excess = [], []
    for start in range(0, ref.size + 1, n // 4):
        x, y = (unit * np.fft.rfft(window * z[start : start + n]) for z in padded)
        p = np.abs(x) ** 2
        m = 10 ** (plain(p, rate)[2] / 10)
        m[0] = np.inf
        priority.append(np.log10(p / m + 1) * (np.abs(y) - np.abs(x)) ** 2 / 512)
        over = np.abs(y - x) ** 2 / m - 1
        excess.append(np.where((over == over.max()) & (over > 0), weight * over, 0))
    return np.array(priority), np.array(excess)


@pytest.mark.parametrize(
    ("rate", "options"), [(48000, {}), (44100, {"noise": 0.0, "level": 90.0}), (8000, {"noise": 30.0, "level": 70.0})]
)
@pytest.mark.parametrize("signal", [pink, harmonic])
def test_value_profile_and_map_are_their_plain_formulas(signal: Any, rate: int, options: dict[str, float]) -> None:
    ref = signal(rate, SECONDS, 1)
    test = 0.9 * added_noise(ref, rate, 0.03, 2)
    priority, excess = cells(ref[0], test[0], rate, options.get("level", 96.0), options.get("noise", 1.0))
    r = compute(ref, test, rate, detail="map", band_edges="bins", **options)
    both = priority + excess
    close = {"rtol": 1e-7, "atol": 1e-9 * both.max()}
    assert r.value == pytest.approx(both.sum(axis=1).mean(), rel=1e-8)
    assert r.details["priority"] == pytest.approx(priority.sum(axis=1).mean(), rel=1e-8)
    assert r.details["excess"] == pytest.approx(excess.sum(axis=1).mean(), rel=1e-8)
    assert r.details["audible_frames"] == np.mean(excess.max(axis=1) > 0)
    np.testing.assert_allclose(r.per_band, both.mean(axis=0), **close)
    np.testing.assert_allclose(r.per_time, both.sum(axis=1), **close)
    np.testing.assert_allclose(r.map, both / len(both), **close)


def band_of_noise(rate: int, seconds: float, low: float, high: float, spl: float) -> Array:
    """White between two frequencies; 96 dB SPL is that of a full-scale sine."""
    x = noise(rate, seconds, 1)
    spectrum = np.fft.rfft(x)
    f = np.arange(spectrum.shape[1]) * rate / x.shape[1]
    x = np.fft.irfft(np.where((f >= low) & (f < high), spectrum, 0), x.shape[1])
    return np.asarray(x * 10 ** ((spl - 96) / 20) / (np.sqrt(2) * np.sqrt(np.mean(x**2))))


def test_noise_under_the_masker_counts_little_against_the_same_in_a_gap() -> None:
    """A tone of 1 kHz and 70 dB SPL; noise of 40 dB SPL and 200 Hz wide, below it and at 4 kHz."""
    rate, seconds = 48000, 0.5 if COMPILED else 0.08
    t = np.arange(round(rate * seconds)) / rate
    ref = 10 ** (-26 / 20) * np.sin(2 * np.pi * 1000 * t)[None] * np.hanning(t.size)
    hidden = compute(ref, ref + band_of_noise(rate, seconds, 950, 1150, 40), rate)
    gap = compute(ref, ref + band_of_noise(rate, seconds, 3900, 4100, 40), rate)
    assert gap.details["excess"] > 100 * hidden.details["excess"]
    assert gap.value > 20 * hidden.value


def test_priority_alone_is_deaf_where_the_reference_is_silent() -> None:
    ref, test = np.zeros((1, 4800)), noise(48000, 0.1, 1)
    assert compute(ref, test, 48000, noise=0.0).value == 0.0
    assert compute(ref, test, 48000).value > 1e3


def test_playback_level_moves_the_threshold_in_quiet() -> None:
    """A quiet error is below it, until the level is turned up."""
    ref, test = np.zeros((1, 4800)), 1e-3 * noise(48000, 0.1, 1)
    assert compute(ref, test, 48000, level=50.0).value == 0.0
    assert compute(ref, test, 48000, level=120.0).value > 1.0


def test_impossible_options_are_refused() -> None:
    x = noise(8000, 0.1, 1)
    for options, says in (({"noise": -1.0}, "noise must be 0 to 1e"), ({"level": 20.0}, "level must be 40 to 140")):
        with pytest.raises(UsageError, match=f"masked-loss: {says}"):
            compute(x, x, 8000, **options)


def losses(spec: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Values and gradients of a batch of two, by kernels and by torch."""
    torch = pytest.importorskip("torch")
    from audiosim.engine import tensors
    from audiosim.loss import Loss

    ref = torch.tensor(np.concatenate([pink(16000, 0.3, 1), speech_like(16000, 0.3, 1)]), dtype=getattr(torch, dtype))
    for serves in (True, False):
        if not serves:
            monkeypatch.setattr(tensors, "in_memory", lambda *_: False)
        test = (0.9 * ref + 0.01 * torch.tensor(noise(16000, 0.3, 2, 2), dtype=ref.dtype)).requires_grad_()
        values = Loss(spec, 16000, "none")(test, ref)
        values.sum().backward()
        yield values.detach(), test.grad


@pytest.mark.skipif(not COMPILED, reason="too slow uncompiled")
@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("spec", ["masked-loss", "masked-loss:noise=0", "masked-loss:noise=100,level=80"])
def test_kernels_and_torch_agree(spec: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found = list(losses(spec, dtype, monkeypatch))
    tolerance = {"float64": 1e-11, "float32": 1e-4}[dtype]
    for ours, other in zip(*found, strict=True):
        assert (ours - other).norm() <= tolerance * other.norm()


@pytest.mark.skipif(not COMPILED, reason="too slow uncompiled")
def test_gradient_of_the_target_holds_the_mask_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is the derivative once the mask no longer follows the target."""
    torch = pytest.importorskip("torch")
    from audiosim.loss import Loss
    from audiosim.models.masking import threshold

    ref, x = (torch.tensor(y) for y in (pink(16000, 0.2, 1), noise(16000, 0.2, 2)))
    fixed = threshold.masks_torch()(ref, 16000, 96.0)
    monkeypatch.setattr(threshold, "masks_torch", lambda: lambda *_: fixed)
    loss, test = Loss("masked-loss", 16000), (ref + 0.01 * x).requires_grad_()
    ref.requires_grad_()
    assert torch.autograd.gradcheck(loss, (test, ref), fast_mode=True, eps=1e-7, atol=1e-5, rtol=1e-3)


def test_one_masked_pair_is_measured_alike_at_every_rate() -> None:
    """Frames last about as long, and formulas stand for tables: within a factor of two from 16 to 96 kHz."""
    found = []
    for rate in (16000, 22050, 44100, 48000, 96000) if COMPILED else (16000, 22050):
        t = np.arange(round(0.3 * rate)) / rate
        ref = sum(0.05 / k * np.sin(2 * np.pi * 220 * k * t + k * k) for k in range(1, 30))[None]
        test = ref + 0.002 * np.sin(2 * np.pi * 3500 * t)
        found.append(compute(ref, test, rate).value)
    assert max(found) < 2 * min(found)
