"""What PMSQE is made of, against its plain formula. Small enough for uncompiled kernels."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.models.pesq import pmsqe as stage
from audiosim.models.pesq.disturbance import bands
from audiosim.testing.signals import Array, added_noise, dc, noise, sine

RATE = stage.RATE
SWITCHES = [(True, True), (False, True), (True, False), (False, False)]


def plain_powers(x: Array) -> tuple[Array, float]:
    """Frame by frame."""
    window = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512))
    model, mask = bands(RATE), np.zeros(257)
    mask[12:104], mask[11], mask[104] = 1, 0.4, 0.5
    spectra = np.array([np.abs(np.fft.rfft(window * x[i : i + 512])) ** 2 for i in range(0, x.size - 511, 256)])
    grouped = np.add.reduceat(spectra[:, :256], model.cuts[:-1], axis=1) * model.scale
    return grouped, float(np.mean((spectra * mask).mean(1)) * 2 * 514 / 512**2)


def plain_disturbance(p: Array, q: Array, bands_equal: bool, frames_equal: bool) -> Array:
    """The paper's, of whole arrays."""
    model = bands(RATE)
    limit = model.threshold

    def above(z: Array, factor: float = 1.0) -> Array:
        return np.where(z > factor * limit, z, 0)

    if bands_equal:
        counts = (p > 100 * limit) & (above(p, 100).sum(1, keepdims=True) >= 1e7)
        ratio = ((p * counts).sum(0) + 1000) / ((q * counts).sum(0) + 1000)
        q = q * np.clip(ratio, 0.01, 100)
    if frames_equal:
        ratio = (above(p).sum(1, keepdims=True) + 5e3) / (above(q).sum(1, keepdims=True) + 5e3)
        q = q * np.clip(ratio, 3e-4, 5)
    sones = 0.1866055 * (limit / 0.5) ** model.exponent
    x, y = (np.where(z > limit, sones * ((0.5 + 0.5 * z / limit) ** model.exponent - 1), 0) for z in (p, q))
    d = np.maximum(np.abs(y - x) - 0.25 * np.minimum(x, y), 0)
    h = ((q + 50) / (p + 50)) ** 1.2
    added = np.where(h < 3, 0, np.minimum(h, 12)) * d
    weight = ((above(p).sum(1) + 1e5) / 1e7) ** 0.04
    symmetric = np.sqrt(((d * model.width) ** 2).sum(1) * model.width.sum())
    return np.minimum(np.stack([symmetric, (added * model.width).sum(1)]) / weight, 45)


def test_plain_formula_of_powers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stage, "FRAMES_PER_TASK", 3)
    x = noise(RATE, 0.15, 1)
    y = dc(added_noise(x, RATE, 0.3, 1), RATE, 0.3)
    for threads in (1, 2):
        powers, levels = stage.powers(x[0], y[0], threads)
        for z, found, level in zip((x[0], y[0]), powers, levels, strict=True):
            expected, mean = plain_powers(z)
            np.testing.assert_allclose(found, expected, rtol=1e-9)
            assert level == pytest.approx(mean, rel=1e-12)


def test_level_is_that_of_the_samples_in_the_telephone_band() -> None:
    for hz, share in ((1000.0, 1.0), (3000.0, 1.0), (100.0, 0.0), (5000.0, 0.0)):
        x = sine(RATE, 0.2, 1, frequency=hz)[0]
        _, levels = stage.powers(x, x)
        assert levels[0] == pytest.approx(share * 0.125, rel=0.01, abs=1e-4)


@pytest.mark.parametrize(("bands_equal", "frames_equal"), SWITCHES)
def test_plain_formula_of_disturbance(bands_equal: bool, frames_equal: bool) -> None:
    rng = np.random.default_rng(3)
    p, q = 10 ** rng.uniform(-2, 8, (2, 6, 49))
    before = p.copy(), q.copy()
    d, cells = stage.disturbance(p, q, bands_equal, frames_equal, where=True)
    np.testing.assert_allclose(d, plain_disturbance(p, q, bands_equal, frames_equal), rtol=1e-12)
    np.testing.assert_allclose(cells[:, :, :2].sum(1), 1, rtol=1e-9)
    assert np.array_equal(p, before[0])
    assert np.array_equal(q, before[1])
    assert not stage.disturbance(p, p.copy(), bands_equal, frames_equal, where=False)[0].any()
