"""What SIIB-Gauss is made of: envelopes, moments of their stacks, lost information. Small enough for uncompiled
kernels."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.models import siib as stage
from audiosim.testing.signals import Array, added_noise, noise

RATE = stage.RATE


def pair(seconds: float = 0.3) -> tuple[Array, Array]:
    """Noise with a pause in the middle, and the same with other noise."""
    x = noise(RATE, seconds, 1)
    x[:, round(0.4 * x.size) : round(0.6 * x.size)] *= 1e-4
    return x[0], added_noise(x, RATE, 0.3, 1)[0]


def plain_envelopes(ref: Array, test: Array) -> tuple[Array, Array]:
    """Frame by frame, as the paper tells it."""
    x, y = (z / ref.std() for z in (ref, test))
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(400) / 400)
    starts = range(0, ref.size - 400, 200)
    level = np.array([10 * np.log10(np.mean((window * x[i : i + 400]) ** 2) + 2.0**-52) for i in starts])
    loudest = np.sort(level)[round(0.999 * level.size) - 1]
    kept = [n for n in range(level.size) if level[n] > loudest - 40]
    cams = np.linspace(*(21.4 * np.log10(1 + 0.00437 * np.array([100.0, 6500.0]))), 28)
    centres = (10 ** (cams / 21.4) - 1) / 0.00437
    k = np.arange(201) * 40.0
    bands = []
    for f in centres:
        b = 1.0186 * 24.7 * (1 + 0.00437 * f)
        gain = (b * b + (k - f) ** 2) ** -2.0
        gain /= gain.max()
        bands.append(np.where(gain < 1e-3, 0, gain) ** 2)
    logs = []
    for z in (x, y):
        power = [np.abs(np.fft.rfft(window * z[200 * n : 200 * n + 400])) ** 2 + 2.0**-52 for n in kept]
        logs.append(np.log(np.array(power) @ np.array(bands).T))
    lowest = logs[0].min(0)
    out = []
    for z in logs:
        masked = np.array(
            [
                np.max([z[n - d] - np.log(1 + d) / np.log(16) * (z[n - d] - lowest) for d in range(min(16, n + 1))], 0)
                for n in range(len(z))
            ]
        )
        masked[-1] = lowest
        out.append(masked - masked.mean(0))
    return np.array(out), np.array(kept)


def stacks(z: Array) -> Array:
    return np.array([z[n : n + 15].ravel() for n in range(len(z) - 15)])


def plain_lost(envelopes: Array, basis: Array) -> Array:
    """Bits that each column of the basis lacks."""
    a, b = (stacks(z) @ basis for z in envelopes)
    rho = np.mean(a * b, 0) ** 2 / (np.mean(a**2, 0) * np.mean(b**2, 0))
    return np.asarray(0.5 * np.log2((1 - 0.5625 * rho) / (1 - 0.5625)))


def test_plain_formula_of_envelopes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "FRAMES_PER_TASK", 9)
    ref, test = pair()
    expected, expected_frames = plain_envelopes(ref, test)
    for threads in (1, 2):
        found, kept = stage.envelopes(ref, test, threads)
        assert kept.tolist() == expected_frames.tolist()
        assert 15 < kept.size < stage.frames(ref.size)
        np.testing.assert_allclose(found, expected, atol=2e-4)  # 1.0186 stands for a longer number
    both, _ = stage.envelopes(ref, ref.copy())
    assert np.array_equal(both[0], both[1])


def test_frames_that_end_with_the_recording_are_left_out() -> None:
    assert [stage.frames(n) for n in (0, 400, 401, 600, 601, 3600, 3601)] == [0, 0, 1, 1, 2, 16, 17]


def test_moments_are_those_of_all_stacks() -> None:
    envelopes = np.random.default_rng(1).standard_normal((2, 20, stage.BANDS))
    covariances, means = stage._moments(envelopes, 1)
    x, y = (stacks(z) for z in envelopes)
    np.testing.assert_allclose(means, [x.mean(0), y.mean(0)], atol=1e-14)
    for found, (a, b) in zip(covariances, ((x, x), (x, y), (y, y)), strict=True):
        np.testing.assert_allclose(found, (a - a.mean(0)).T @ (b - b.mean(0)) / len(x), atol=1e-13)
    envelopes[1] = envelopes[0]
    covariances, _ = stage._moments(envelopes, 2)
    assert np.array_equal(covariances[0], covariances[1])
    assert np.array_equal(covariances[0], covariances[2])


def test_components_in_which_the_reference_does_not_vary_count_their_mean_over_all_choices() -> None:
    envelopes, _ = stage.envelopes(*pair(0.4))
    found = stage.information(envelopes)
    assert found.basis.shape == (420, envelopes.shape[1] - 16)
    np.testing.assert_allclose(found.lost, plain_lost(envelopes, found.basis), rtol=1e-9)
    still = np.linalg.svd(found.basis, full_matrices=True)[0][:, found.basis.shape[1] :]
    rng = np.random.default_rng(2)
    choices = [still @ np.linalg.qr(rng.standard_normal((still.shape[1],) * 2))[0] for _ in range(4)]
    bits = np.mean([plain_lost(envelopes, c).sum() for c in choices])
    assert found.still_lost == pytest.approx(bits, rel=0.05)  # the variance of the test is not quite even there


def test_equal_envelopes_lose_exactly_nothing() -> None:
    for ref in (pair()[0], np.sin(2 * np.pi * 1000 / RATE * np.arange(5000))):  # this one does not vary at all
        envelopes, _ = stage.envelopes(ref, ref.copy())
        assert stage.information(envelopes).lost_per_second == 0


def test_the_place_of_what_is_lost_adds_up_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "STACKS_PER_TASK", 5)
    envelopes, _ = stage.envelopes(*pair())
    found = stage.information(envelopes)
    cells = stage.lost_in(found, envelopes, 2)
    assert cells.shape == envelopes.shape[1:]
    assert (cells >= 0).all()
    assert cells.sum() / (len(cells) - 15) * stage.PER_SECOND == pytest.approx(found.lost_per_second, rel=1e-9)
