"""The gammatone bank against scipy.signal and its definition."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from audiosim.hearing import gammatone
from audiosim.testing.signals import COMPILED, noise
from tests import naive

RATE = 16000


def test_centres_of_the_original() -> None:
    """google/visqol at 38d0b01: 32 bands from 50 to 24000 Hz, 21 from 50 to 8000 Hz."""
    assert gammatone.centres(32, 50, 24000)[[0, 1, -1]] == pytest.approx([50, 91.7478245168, 20844.7851743])
    assert gammatone.centres(21, 50, 8000)[[0, -1]] == pytest.approx([50, 6775.04], abs=5e-3)


def test_filters_are_their_definition() -> None:
    bank = gammatone.bank(np.array([50.0, 440.0, 3000.0, 7000.0]), RATE)
    x = noise(RATE, 0.05, 1)[0]
    found = gammatone.filtered(x, bank)
    for f, y in zip(bank.frequencies, found, strict=True):
        expected = scipy.signal.sosfilt(naive.gammatone_sections(f, RATE), x)
        np.testing.assert_allclose(y, expected, rtol=0, atol=1e-10 * np.abs(expected).max())
    gain = np.abs(gammatone.response(bank, bank.frequencies))
    np.testing.assert_allclose(np.diagonal(gain), 1, rtol=1e-12)
    assert (gain <= 1 + 1e-9).all()
    taps = gammatone.impulse_responses(bank, 4096)
    np.testing.assert_allclose(
        np.fft.rfft(taps)[:, 100], gammatone.response(bank, [RATE / 4096 * 100])[:, 0], atol=1e-6
    )


@pytest.mark.parametrize("size", [80, 81, 83])
def test_levels_in_frames(size: int) -> None:
    """Any frames of any length, also such as reach beyond the ends, or begin with zeros."""
    bank, window, x = gammatone.erb_bank(5, 50, 500, 1000), np.hanning(size), noise(1000, 0.5, 2)[0]
    starts = np.array([0, 7, -30, -size, len(x) - 20, len(x) + 5, *range(40, 340, 15)])
    lowest = np.where(np.arange(len(starts)) % 3 == 1, starts + 25, 0)
    found = gammatone.frame_levels(x, starts, window, bank, lowest=lowest)
    padded = np.pad(x, 200)
    for start, low, levels in zip(starts, lowest, found, strict=True):
        frame = padded[start + 200 : start + 200 + size].copy()
        frame[: max(0, low - start)] = 0
        expected = np.sqrt(np.mean(np.square(gammatone.filtered(frame * window, bank)), axis=1))
        np.testing.assert_allclose(levels, expected, rtol=1e-9)
    again = gammatone.frame_levels(x, starts[::-1], window, bank, threads=2, lowest=lowest[::-1])
    np.testing.assert_array_equal(again[::-1], found, "a frame's level does not hang on its neighbours")


@pytest.mark.skipif(not COMPILED, reason="long frames")
def test_low_bands_keep_their_digits() -> None:
    bank, window = gammatone.erb_bank(32, 50, 24000, 48000), np.hanning(3840)
    x = noise(48000, 0.08, 3)[0]
    found = gammatone.frame_levels(x, np.zeros(1, np.int64), window, bank)[0]
    for f, level in zip(bank.frequencies, found, strict=True):
        y = scipy.signal.sosfilt(naive.gammatone_sections(f, 48000), x[:3840] * window)
        assert level == pytest.approx(np.sqrt(np.mean(y**2)), rel=1e-9)


@pytest.mark.parametrize("size", [80, 83])
def test_adjoint_is_the_gradient_of_the_text_by_fft(size: int) -> None:
    torch = pytest.importorskip("torch")
    bank, window = gammatone.erb_bank(4, 50, 500, 1000), np.hanning(size)
    starts = np.array([[-30, 0, 40, 55, 60, 290, 400], [10, 20, 30, 40, 250, 260, -200]])
    lowest = np.where(np.arange(7) % 3 == 1, starts + 25, -1000)
    given = [torch.tensor(a) for a in (starts, lowest, window, gammatone.as_rows(bank))]
    x = torch.tensor(noise(1000, 0.3, 1, 2), requires_grad=True)
    by_kernels, by_fft = gammatone.frame_levels_torch()(x, *given), gammatone._levels_by_fft(x, *given)
    np.testing.assert_allclose(by_kernels.detach(), by_fft.detach(), rtol=1e-8, atol=1e-12)
    slopes = torch.tensor(np.random.default_rng(0).uniform(-1, 1, by_fft.shape))
    found, expected = (torch.autograd.grad(levels, x, slopes)[0] for levels in (by_kernels, by_fft))
    np.testing.assert_allclose(found, expected, atol=1e-8 * expected.abs().max().item())
