"""Peakiness against scipy.signal and its formula."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.signal

from audiosim.models.auditory import peakiness
from audiosim.testing.signals import COMPILED, Array, affordable, gain, harmonic, noise, polarity


def naive(x: Array, rate: int) -> float:
    for corner, kind in ((30, "high"), (1000, "low")):
        x = scipy.signal.sosfilt(scipy.signal.butter(2, corner, kind, fs=rate, output="sos"), x)
    size = round(0.1 * rate)
    pieces = np.pad(x, (0, -x.size % size)).reshape(-1, size) ** 2
    square = pieces.mean(1)
    low = ((pieces + 1e-4 * square[:, None]) ** 0.3).mean(1)
    if len(pieces) > 1:
        low, square = ((p[1:] + p[:-1]) / 2 for p in (low, square))
    loud = square > 1e-4 * square.max()
    r = 20 / 0.6 * np.log10(low[loud]) - 10 * np.log10(square[loud])
    return float(np.average(r, weights=square[loud] ** 0.3))


@pytest.mark.parametrize("rate", [8000, 44100])
def test_is_its_definition(rate: int) -> None:
    for seconds in (0.03, affordable(0.77)):
        x = noise(rate, seconds, 1)[0] * np.linspace(1e-3, 1, round(rate * seconds))
        found, by_window = peakiness.peakiness(x, rate)
        assert found == pytest.approx(naive(x, rate), rel=1e-9)
        assert by_window.sum() == pytest.approx(found)


@pytest.mark.skipif(not COMPILED, reason="needs some periods")
def test_hears_phase_and_no_level() -> None:
    t = np.arange(24000) / 48000
    partials = [np.cos(2 * np.pi * 50 * k * t[None]) for k in range(1, 16)]
    peaked = np.sum(partials, axis=0)
    flat = harmonic(48000, 0.5, 1, frequency=50.0)
    heard = [peakiness.peakiness(x[0], 48000)[0] for x in (peaked, flat)]
    assert heard[0] < heard[1] - 1
    for change in (gain(peaked, 48000, 1.0), polarity(peaked, 48000, 1.0)):
        assert peakiness.peakiness(change[0], 48000)[0] == pytest.approx(heard[0], rel=1e-12)


def test_silence_has_none() -> None:
    assert np.isnan(peakiness.peakiness(np.zeros(3000), 8000)[0])


@pytest.mark.skipif(not COMPILED, reason="responses of a third of a second")
def test_filters_as_text_and_their_adjoint() -> None:
    torch = pytest.importorskip("torch")
    x = torch.tensor(noise(8000, 0.1, 3, 2), requires_grad=True)
    by_kernels, by_fft = peakiness.filtered_torch(8000)(x), peakiness.filtered_by_fft(8000)(x)
    np.testing.assert_allclose(by_kernels.detach(), by_fft.detach(), atol=1e-12)
    slopes = torch.tensor(np.random.default_rng(0).uniform(-1, 1, by_fft.shape))
    found, expected = (torch.autograd.grad(y, x, slopes)[0] for y in (by_kernels, by_fft))
    np.testing.assert_allclose(found, expected, atol=1e-12 * expected.abs().max().item())
