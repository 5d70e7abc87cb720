"""The complex gammatone bank against its impulse response."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from audiosim.hearing.loudness import erb
from audiosim.models.auditory import complex_gammatone
from audiosim.testing.signals import COMPILED, Array, noise


def naive(x: Array, rate: int) -> Array:
    """Powers [block, band] by convolution with h[n] = (n + 1)(n + 2)(n + 3) / 6 a^n."""
    bank = complex_gammatone.bank(rate)
    count = int(np.ceil(x.size * 400 / rate))
    edges = [int(np.floor(i * rate / 400 + 0.5)) for i in range(count + 1)]
    x = np.pad(x, (0, edges[-1] - x.size))
    n = np.arange(x.size)
    out = np.zeros((count, 64))
    for k, f in enumerate(bank.frequencies):
        if f >= 0.47 * rate:
            continue
        pole = np.exp(2 * np.pi * (1j * f - 1.019 * erb(f)) / rate)
        y = np.convolve(x, (n + 1.0) * (n + 2) * (n + 3) / 6 * pole**n)[: x.size]
        power = 4 * (1 - abs(pole)) ** 8 * np.abs(y) ** 2
        out[:, k] = [power[a:b].mean() for a, b in pairwise(edges)]
    return out


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000, 192000])
def test_powers_are_their_definition(rate: int) -> None:
    """Also where blocks are of two lengths, and bands lie beyond the rate."""
    for samples in (1, 3, round(0.031 * rate)):
        x = noise(rate, 1.0, 1)[0, :samples]
        for dtype in (np.float64, np.float32):
            found = complex_gammatone.powers(x.astype(dtype), rate)
            np.testing.assert_allclose(found, naive(x.astype(dtype).astype(float), rate), rtol=1e-9, atol=1e-20)
    assert found.shape[1] == complex_gammatone.BANDS


def test_a_full_scale_sine_has_power_one_in_its_band() -> None:
    bank = complex_gammatone.bank(48000)
    for k in (30, 50):
        t = np.arange(48000 // (10 if COMPILED else 25)) / 48000
        power = complex_gammatone.powers(np.sin(2 * np.pi * bank.frequencies[k] * t), 48000)
        assert power[-2, k] == pytest.approx(1, abs=1e-3)
        assert power[-2].argmax() == k
    assert np.diff(21.4 * np.log10(1 + 4.37e-3 * bank.frequencies)) == pytest.approx(complex_gammatone.STEP)


def test_the_past_is_a_chunk_of_blocks_away_and_silence_is_silent() -> None:
    """Chunks follow one another without a seam; long after a sound its states are zero, not tiny."""
    x = noise(8000, 0.2, 2)[0]
    whole = complex_gammatone.powers(np.concatenate([x, np.zeros(8000)]), 8000)
    assert len(whole) > 2 * complex_gammatone.CHUNK
    np.testing.assert_array_equal(whole[: len(x) // 20], complex_gammatone.powers(x, 8000))
    assert whole[-1].max() < 1e-60
    assert not complex_gammatone.powers(np.zeros(500), 8000).any()


@pytest.mark.skipif(not COMPILED, reason="convolutions that are as long as the narrowest filter rings")
@pytest.mark.parametrize("rate", [8000, 22050])
def test_adjoint_is_the_gradient_of_the_text_by_fft(rate: int) -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(noise(rate, 0.1, 3, 2), requires_grad=True)
    by_kernels, by_fft = complex_gammatone.powers_torch(rate)(x), complex_gammatone.powers_by_fft(rate)(x)
    np.testing.assert_allclose(by_kernels.detach(), by_fft.detach(), atol=1e-11 * by_fft.max().item())
    slopes = torch.tensor(np.random.default_rng(0).uniform(-1, 1, by_fft.shape))
    found, expected = (torch.autograd.grad(powers, x, slopes)[0] for powers in (by_kernels, by_fft))
    np.testing.assert_allclose(found, expected, atol=1e-10 * expected.abs().max().item())
