"""Stages of the measures of speech against their formulas; small enough for uncompiled kernels."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.engine.stream import plain
from audiosim.models.loizou import band_envelopes, coherence_levels, critical_bands, speech_bands
from audiosim.models.loizou.segments import Segments, lowest
from audiosim.testing.signals import Array, added_noise, noise, speech_like
from tests import naive

RATE = 16000


def pair(seconds: float) -> tuple[Array, Array]:
    x = speech_like(RATE, seconds, 1)
    return x[0], added_noise(x, RATE, 0.2, 1)[0]


def test_segments() -> None:
    segments = Segments.of(RATE)
    assert (segments.window.size, segments.hop, segments.stft().n_fft) == (480, 120, 1024)
    for length, count in ((599, 0), (600, 1), (719, 1), (720, 2), (16000, 129)):
        assert segments.count(length) == segments.stft().count(length) == count
    np.testing.assert_allclose(segments.times(2), segments.stft().times(2, RATE))
    np.testing.assert_array_equal(np.sort(lowest(np.array([3.0, 1.0, 2.0, 9.0]), 0.75)), [0, 1, 2])
    assert lowest(np.array([3.0]), 0.1).tolist() == [0]


def test_critical_filters() -> None:
    np.testing.assert_allclose(critical_bands.filters(RATE, 1024), naive.critical_filters(RATE, 0.03), rtol=1e-12)


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_critical_bands(squared: bool, dtype: type[np.floating]) -> None:
    r, t = (x.astype(dtype) for x in pair(0.05))
    found = critical_bands.over_frames(
        plain(r), plain(t), Segments.of(RATE), squared, 0.0, lambda bands, totals: (*bands, *totals), 2
    )
    gains = naive.critical_filters(RATE, 0.03)
    for x, bands, totals in zip((r, t), found[:2], found[2:], strict=True):
        z = np.abs(naive.hann_spectra(x.astype(float), RATE, 0.03, 0.75)) ** (2 if squared else 1)
        tolerance = 1e-4 if dtype == np.float32 else 1e-9
        np.testing.assert_allclose(bands, z @ gains.T, rtol=tolerance)
        np.testing.assert_allclose(totals, z.sum(1), rtol=tolerance)


def test_slope_weights() -> None:
    """Plateaus, monotone spectra and peaks at either end too."""
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 4, (2, 40, 25)).astype(float)
    x[0], x[1], x[2] = np.arange(25.0), -np.arange(25.0), 0
    weights, terms = np.empty((2, 40, 24))
    critical_bands.slope_distances(x, y, weights, terms)
    expected = np.array([(naive.slope_weights(a) + naive.slope_weights(b)) / 2 for a, b in zip(x, y, strict=True)])
    np.testing.assert_allclose(weights, expected, rtol=1e-12)
    np.testing.assert_allclose(terms, expected * (np.diff(x) - np.diff(y)) ** 2, rtol=1e-12)
    halves = critical_bands.by_band(terms)
    np.testing.assert_allclose(halves.sum(1), terms.sum(1))
    np.testing.assert_allclose(halves[:, 0], terms[:, 0] / 2)


def test_coherence() -> None:
    """Of its three levels, and what of the test is no linear image of the reference."""
    r, t = pair(0.15)
    found = coherence_levels.heard(plain(r), plain(t), Segments.of(RATE), 2, detail=True)
    x, y = (naive.hann_spectra(z, RATE, 0.03, 0.75) for z in (r, t))
    gains = coherence_levels.filters(RATE, 1024)
    power = np.lib.stride_tricks.sliding_window_view(r, 480)[::120][: len(x)] ** 2
    db = 10 * np.log10(power.mean(1) / np.mean(r**2))
    np.testing.assert_array_equal(found.level, np.where(db >= 0, 0, np.where(db >= -10, 1, 2)))
    for level in np.unique(found.level):
        u, v = (z[found.level == level] for z in (x, y))
        coherence = np.abs((u * v.conj()).sum(0)) ** 2 / ((np.abs(u) ** 2).sum(0) * (np.abs(v) ** 2).sum(0))
        sdr = (np.abs(v) ** 2 * coherence) @ gains.T / ((np.abs(v) ** 2 * (1 - coherence)) @ gains.T)
        lacking = 1 - np.clip((10 * np.log10(sdr) + 15) / 30, 0, 1)
        cells = found.cells[found.level == level]
        np.testing.assert_allclose(cells, lacking * coherence_levels.WEIGHTS, rtol=1e-7, atol=1e-9)
        incoherent = (np.abs(v) ** 2).sum(0) * (1 - coherence)
        np.testing.assert_allclose(found.residual[found.level == level].sum(0), incoherent @ gains.T, rtol=1e-9)
    np.testing.assert_allclose(found.lacking, found.cells.sum(1))


def test_importance() -> None:
    np.testing.assert_allclose(speech_bands.importance(np.array([450.0, 1085.0])), [0.1031, 0.044])
    np.testing.assert_allclose(speech_bands.audibility(np.array([-20.0, -15.0, 0.0, 30.0])), [0, 0, 0.5, 1])
    assert np.sum(speech_bands.IMPORTANCE) == pytest.approx(1, abs=2e-3)


def test_band_passes() -> None:
    """SciPy's, of sections of order 2."""
    scipy_signal = pytest.importorskip("scipy.signal")
    n = 4096
    responses = band_envelopes.responses(RATE, n)
    edges = band_envelopes.edges(RATE)
    for band in (0, 7, 19):
        sections = scipy_signal.butter(4, edges[band : band + 2], "bandpass", fs=RATE, output="sos")
        _, expected = scipy_signal.sosfreqz(sections, np.arange(n // 2 + 1), fs=n)
        np.testing.assert_allclose(responses[band], expected, atol=1e-9)


def test_envelopes_of_blocks_are_those_of_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """And the same on any number of threads."""
    x = plain(noise(RATE, 8.0, 1)[0])
    whole = band_envelopes.envelopes(x, RATE)
    assert whole.shape == (256, 20)
    np.testing.assert_array_equal(band_envelopes.envelopes(x, RATE, 4), whole)
    monkeypatch.setattr(band_envelopes, "BLOCK", 1 << 15)
    blocks = band_envelopes.envelopes(x, RATE)
    np.testing.assert_allclose(blocks, whole, rtol=1e-6)
    monkeypatch.setattr(band_envelopes, "SEAM", 1 << 16)
    np.testing.assert_allclose(band_envelopes.envelopes(x, RATE), whole, atol=1e-6)  # the seam has ends too
