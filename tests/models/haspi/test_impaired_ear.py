"""Filters, compression and adaptation of the impaired ear against their plain formulas; also uncompiled."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.models.haspi import impaired_ear as ear, membrane_coherence, modulation_cepstra
from audiosim.models.haspi.lag import Correlation
from audiosim.testing.signals import Array

BLOCK = 2 * ear.ROWS


def sound(size: int, seed: int = 0) -> Array:
    return np.random.default_rng(seed).standard_normal(size)


def recursive(b: list[float], a: list[float], x: Array) -> Array:
    """y[n] = (sum b x - sum a[1:] y) of the samples before, a[0] = 1."""
    y = np.zeros_like(x)
    for n in range(len(x)):
        y[n] = sum(c * x[n - i] for i, c in enumerate(b) if n >= i) - sum(
            c * y[n - i] for i, c in enumerate(a) if n >= i > 0
        )
    return y


def gammatone(x: Array, width: Array, k: int) -> Array:
    """Complex envelope of band k, by polynomials."""
    f = ear.centres()[k]
    a = np.exp(-2 * np.pi / 24000 * 1.019 * width[k] * (24.7 + f / 9.26449))
    numerator = np.array([1, 4 * a, 4 * a * a])
    denominator = np.array([1, -4 * a, 6 * a * a, -4 * a**3, a**4])
    gain = 2 * denominator.sum() / numerator.sum()
    down = x * np.exp(-2j * np.pi / 24000 * f * np.arange(len(x)))
    return gain * recursive(list(numerator), list(denominator), down)


def test_centres_and_splits_of_the_loss() -> None:
    assert ear.centres()[[0, -1]] == pytest.approx([80, 8000])
    normal, deaf = ear.ear((0.0,) * 6), ear.ear((100.0,) * 6)
    assert (normal.outer == 0).all()
    assert (normal.width == 1).all()
    assert normal.ratio == pytest.approx(np.linspace(1.25, 3.5, 32))
    assert deaf.outer + deaf.inner == pytest.approx(100)
    assert deaf.ratio == pytest.approx(1.0)  # all that compresses is lost


def test_membrane_is_a_compressed_gammatone() -> None:
    x, normal = sound(BLOCK - 5).astype(np.float32), ear.ear((30.0,) * 6)
    power, motion = np.empty((BLOCK, 32), np.float32), np.empty((BLOCK, 96), np.float32)
    membrane = ear.Membrane(x, normal, normal.width)
    for start in range(0, BLOCK, ear.ROWS):
        membrane.read(power[start : start + ear.ROWS], motion[start : start + ear.ROWS])
    broad = ear.ear((100.0,) * 6).width
    for k in (0, 13, 31):
        control = np.abs(gammatone(x.astype(float), broad, k))
        level = np.clip(65 + 20 * np.log10(np.maximum(control, 1e-30)), normal.knee[k], 100)
        gain = 10 ** ((-normal.outer[k] - (level - normal.knee[k]) * (1 - 1 / normal.ratio[k])) / 20)
        corner = np.tan(np.pi * 800 / 24000)
        smooth = recursive([corner / (1 + corner)] * 2, [1, (corner - 1) / (corner + 1)], gain)
        wanted = smooth * gammatone(x.astype(float), normal.width, k)
        np.testing.assert_allclose(power[: len(x), k], np.abs(wanted) ** 2, rtol=1e-5, atol=1e-12)
        turned = (wanted * np.exp(2j * np.pi / 24000 * ear.centres()[k] * np.arange(len(x)))).real
        np.testing.assert_allclose(motion[: len(x), k], turned, rtol=1e-5, atol=1e-7)
    assert not power[len(x) :].any()


def test_adaptation_overshoots_and_settles() -> None:
    """A step of 40 dB: two resistors and capacitors, solved as a linear system at every sample."""
    normal = ear.ear((0.0,) * 6)
    record = ear.Recorded(BLOCK, True)
    record.powers[:], record.motions[:] = 10 ** ((40 - 65) / 10), 1.0
    late, correction = np.zeros((2, 32), np.int64), np.zeros(32, np.int64)
    late[:, 3], correction[5] = 7, 11
    cells = ear.Adapted(record, normal, BLOCK, late, correction, 0)
    envelope, motion = np.empty((BLOCK, 32)), np.empty((BLOCK, 32))
    cells.read(envelope, motion)
    r1, r2, r3 = 0.5, 0.25, 0.25
    p = r1 * r2 * 0.002 * (r1 + r2) / (r1 * r2) * 24000
    q = r2 * r3 * 0.060 / ((r1 + r2) * r3) * 24000
    v, wanted = np.zeros(2), []
    for _ in range(BLOCK):
        v = np.linalg.solve([[r1 + r2 + p, -r1], [-r3, r2 + r3 + q]], [40 * r2 + p * v[0], q * v[1]])
        wanted.append((40 - v[0]) / r1)
    np.testing.assert_allclose(envelope[:, 0], wanted, rtol=1e-6)
    assert 70 < envelope[0, 0] < 80  # twice the step, falling
    hiss = 10 ** (-75 / 20) * ear.noise()[:BLOCK, 0, 0]
    np.testing.assert_allclose(motion[:, 0] - hiss, envelope[:, 0] / 10 ** ((40 - 65) / 20), rtol=1e-6)
    np.testing.assert_allclose(envelope[11:, 5], envelope[:-11, 0], rtol=1e-9)  # delayed
    assert not envelope[:11, 5].any()
    assert not motion[:11, 5].any()
    assert envelope[-8, 3] > 0 == envelope[-7, 3]  # advanced: nothing follows the end


def test_lags_of_blocks_are_those_of_the_whole() -> None:
    x, y = sound(200), sound(200, 1)
    for complex_rows in (False, True):
        a = (x + 1j * y if complex_rows else x)[None].astype(np.complex64 if complex_rows else np.float32)
        b = (y - 2j * x if complex_rows else y)[None].astype(a.dtype)
        found = Correlation(1, 20, 64, complex_rows)
        padded = np.pad(b, ((0, 0), (20, 84)))
        for start in range(0, 200, 64):
            ref = a[:, start : start + 64]
            found.add(0, ref, padded[:, start : start + ref.shape[1] + 40])
        wanted = np.correlate(a[0], b[0], "full")[199 - 20 : 199 + 21]
        np.testing.assert_allclose(found.by_lag()[0], wanted, atol=1e-3)
        np.testing.assert_allclose(found.by_lag(3)[0, ::3], wanted, atol=1e-3)


def test_prescribed_gain() -> None:
    assert ear.gain_prescribed((0.0,) * 6) is None
    taps = ear.gain_prescribed((40.0, 40.0, 50.0, 60.0, 70.0, 70.0))
    assert taps is not None
    np.testing.assert_allclose(taps, taps[::-1], atol=1e-12)
    response = np.abs(np.fft.rfft(taps, 24000))
    at_1k = 0.05 * 150 + 0.31 * 50 + 1
    assert 20 * np.log10(response[1000]) == pytest.approx(at_1k, abs=1.0)  # a bend between 500 and 2000 Hz, by 141 taps


def test_smoothed_envelopes_and_modulation_filters() -> None:
    rows = np.abs(np.random.default_rng(0).standard_normal((52 + 9 * 3, 32)))
    out = np.empty((3, 32))
    taps = modulation_cepstra._low_pass()
    modulation_cepstra._smooth(rows, taps, out)
    np.testing.assert_allclose(out, [taps @ rows[9 * m : 9 * m + 52] for m in range(3)], rtol=1e-12)
    assert taps.size % 4 == 0
    filters = modulation_cepstra.modulation_filters()
    for f, h in zip(modulation_cepstra.CENTRES, filters, strict=True):
        half = h.size // 2
        gain = np.sum(h * np.cos(2 * np.pi * (f if f > 2 else 0) / 2560 * np.arange(-half, half + 1)))
        assert gain == pytest.approx(1.0, abs=0.05)


def test_covariances_by_plain_convolution() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((700, 5))
    y = x + rng.standard_normal((700, 5))
    found = modulation_cepstra.covariances(np.array([x, y], np.float32), jitter=0.0)
    for i, h in enumerate(modulation_cepstra.modulation_filters()):
        half = h.size // 2
        a, b = ([np.convolve(z[:, j] - z[:, j].mean(), h)[half : half + 700] for j in range(5)] for z in (x, y))
        assert found[i] == pytest.approx(np.mean([abs(np.corrcoef(p, q)[0, 1]) for p, q in zip(a, b, strict=True)]))


def test_covariance_of_a_segment_by_plain_correlation() -> None:
    rng = np.random.default_rng(2)
    x = 20 * rng.standard_normal((384, 32))
    y = np.roll(x, 5, axis=0) + 20 * rng.standard_normal((384, 32))
    x[:, 7] *= 0.01  # too soft to count
    window = np.hanning(384)
    squares, covariance = np.zeros(32), np.zeros(32)
    inverse = membrane_coherence._inverse(384, True)
    membrane_coherence._covary(x, y, window, inverse, 2.5, squares, covariance)
    for k in (0, 31):
        a, b = (z[:, k] * window - np.mean(z[:, k] * window) for z in (x, y))
        power = np.sum(window**2)
        assert squares[k] == pytest.approx(np.sum(a * a) / power, rel=1e-5)
        lags = np.correlate(a, b, "full") / np.correlate(window, window, "full").clip(1e-9)
        most = np.abs(lags[383 - 24 : 384 + 24]).max() / np.sqrt(np.sum(a * a) * np.sum(b * b)) * power
        assert covariance[k] == pytest.approx(min(most, 1.0), rel=1e-5)
    assert covariance[7] == 0
    mean = np.empty(32)
    membrane_coherence._mean(x, window, mean)
    np.testing.assert_allclose(mean, np.average(x, axis=0, weights=window), rtol=1e-9)
