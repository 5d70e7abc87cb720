"""Scales against published values, filters against librosa, bands of reports."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest

from audiosim.errors import UsageError
from audiosim.hearing import scales
from tests import naive


@pytest.mark.parametrize(("hz", "cams"), [(0, 0), (100, 3.37), (1000, 15.62), (4000, 27.11), (10000, 35.32)])
def test_erb_rate(hz: float, cams: float) -> None:
    """Glasberg and Moore 1990, eq. 4; its derivative is 1 / ERB, eq. 3: ERB = 24.7 (4.37 f/kHz + 1)."""
    assert float(scales.erb_rate(hz)) == pytest.approx(cams, abs=0.01)
    width = 24.7 * (4.37 * hz / 1000 + 1)
    slope = float(scales.erb_rate(hz + 0.5) - scales.erb_rate(hz - 0.5))
    assert slope == pytest.approx(1 / width, rel=0.01)


@pytest.mark.parametrize(("hz", "mels"), [(0, 0), (200, 3), (1000, 15), (6400, 42), (2529.8221281347, 28.5)])
def test_mel(hz: float, mels: float) -> None:
    """Slaney's Auditory Toolbox: 200/3 Hz a step up to 1 kHz, then 27 steps for a factor of 6.4."""
    assert float(scales.mel(hz)) == pytest.approx(mels, rel=1e-9)
    assert naive.mel(hz) == pytest.approx(mels, rel=1e-9)


def test_inverses() -> None:
    hz = np.concatenate([[0.0, 999.999, 1000, 1000.001], np.geomspace(1, 96000, 200)])
    np.testing.assert_allclose(scales.erb_rate_inverse(scales.erb_rate(hz)), hz, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(scales.mel_inverse(scales.mel(hz)), hz, rtol=1e-12, atol=1e-12)


FILTERS = [
    (16000, 1024, 128, 0.0, 0.0),
    (44100, 2048, 64, 30.0, 0.0),
    (8000, 511, 20, 100.0, 3500.0),
    (48000, 64, 128, 0.0, 0.0),
]


# spafe 0.3.3, spafe.fbanks.bark_fbanks.bark_filter_banks(nfilts=6, nfft=64, fs=16000): centres in Bark, sums of weights
SPAFE = [0.0, 3.9417811667193745, 7.883562333438749, 11.825343500158123, 15.767124666877498, 19.708905833596873]
SPAFE_SUMS = [1.0126692992184079, 0.9084775957450626, 1.4236583624056574, 2.588499015150255, 4.5893265959806175]


def test_critical_bands_are_those_of_spafe() -> None:
    """On its grid of bins, which are 1 / (n_fft + 1) of the rate apart, and without the last."""
    _, centres = scales.bark_filters(16000, 64, 6)
    np.testing.assert_allclose(scales.bark(centres), SPAFE, rtol=1e-9, atol=1e-9)
    bins = scales.bark(np.arange(32) * 16000 / 65)
    sums = scales.critical_band(bins - np.array(SPAFE)[:, None]).sum(1)
    np.testing.assert_allclose(sums[:5], SPAFE_SUMS, rtol=1e-9)


# spafe 0.3.3, gammatone_filter_banks(nfilts=24, nfft=2048, fs=16000, low_freq=50, high_freq=7500, order=1): the gain of
# amplitude of a band at a bin, 1 at the highest bin. Its default order, 4, is that of the filter taken for that of the
# formula of the bandwidth, and it multiplies power by this gain.
SPAFE_GAMMATONE = {
    (0, 0): 0.09416554930425072,
    (0, 10): 0.29765626348685537,
    (5, 50): 0.24116691551937242,
    (12, 100): 0.012262661224716505,
    (12, 200): 0.03999384869646529,
    (23, 700): 0.12049005698136675,
    (23, 1000): 0.08834634006417949,
}


def test_gammatone_filters_are_those_of_spafe() -> None:
    weights, _ = scales.gammatone_filters(16000, 2048, 24, 50, 7500)
    gains = np.sqrt(weights / weights.max(1, keepdims=True))
    assert [gains[at] for at in SPAFE_GAMMATONE] == pytest.approx(list(SPAFE_GAMMATONE.values()), rel=1e-9)


# Of 29 filters between such frequencies, hence at any rate (Skowronski and Harris 2004, as another program solves it)
HUMAN_FACTOR = {(0, 8000): (30.720774217196322, 6957.6740535948065), (100, 6250): (140.75022049, 5479.960729672455)}


@pytest.mark.parametrize(("edges", "centres"), HUMAN_FACTOR.items())
def test_human_factor_filters_are_as_wide_as_the_ear_s(edges: Any, centres: Any) -> None:
    weights, found = scales.human_factor_filters(16000, 1 << 15, 29, *edges)
    assert found[[0, -1]] == pytest.approx(centres, rel=1e-8)
    assert np.diff(np.log(700 + found)) == pytest.approx(np.log((700 + centres[1]) / (700 + centres[0])) / 28)
    erb = 6.23 * (found / 1000) ** 2 + 93.39 * found / 1000 + 28.52
    assert 1 / weights.max(1) == pytest.approx(erb, rel=0.02)  # a triangle of unit area is twice as wide as 1 / peak
    with pytest.raises(UsageError, match="no filter as wide as the ear's fits between 1000 and 1100 Hz"):
        scales.human_factor_filters(16000, 512, 4, 1000, 1100)


@pytest.mark.parametrize(("rate", "n_fft", "bands"), [(16000, 512, 26), (44100, 1024, 40)])
def test_other_filters(rate: int, n_fft: int, bands: int) -> None:
    for scale, definition in naive.OTHER_FILTERS.items():
        name = scale.replace("-", "_") + "_filters"
        weights, centres = getattr(scales, name)(rate, n_fft, bands)
        plain = definition(rate, n_fft, bands)
        exact = 1e-10 if scale == "gammatone" else 1e-12  # poles of four biquads near to 1
        np.testing.assert_allclose(weights, plain, rtol=0, atol=exact * plain.max())
        assert (np.diff(centres) > 0).all()
        with pytest.raises(UsageError, match="must ascend"):
            getattr(scales, name)(rate, n_fft, bands, 0.0, float(rate))


@pytest.mark.parametrize(("rate", "n_fft", "bands", "fmin", "fmax"), FILTERS)
def test_mel_filters(rate: int, n_fft: int, bands: int, fmin: float, fmax: float) -> None:
    weights, centres = scales.mel_filters(rate, n_fft, bands, fmin, fmax or None)
    plain = naive.mel_filters(rate, n_fft, bands, fmin, fmax)
    np.testing.assert_allclose(weights, plain, rtol=0, atol=1e-13 * plain.max())
    assert centres.shape == (bands,)
    assert (np.diff(centres) > 0).all()
    assert fmin < centres[0] < centres[-1] < (fmax or rate / 2)
    starts, stops = scales.support(weights)
    for band, a, b in zip(weights, starts, stops, strict=True):
        assert not band[:a].any()
        assert not band[b:].any()
        assert (band[a:b] > 0).all()


def test_mel_filters_have_unit_area() -> None:
    weights, _ = scales.mel_filters(16000, 1 << 14, 40)
    np.testing.assert_allclose(weights.sum(axis=1) * 16000 / (1 << 14), 1, rtol=1e-3)


@pytest.mark.parametrize(("rate", "n_fft", "bands", "fmin", "fmax"), FILTERS)
def test_mel_filters_of_librosa(rate: int, n_fft: int, bands: int, fmin: float, fmax: float) -> None:
    librosa = pytest.importorskip("librosa")
    empty: Any = pytest.warns(UserWarning, match="Empty filters") if n_fft == 64 else nullcontext()
    with empty:
        theirs = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands, fmin=fmin, fmax=fmax or None, dtype=float)
    weights, _ = scales.mel_filters(rate, n_fft, bands, fmin, fmax or None)
    np.testing.assert_allclose(weights, theirs, rtol=0, atol=1e-12 * theirs.max())


@pytest.mark.parametrize(
    ("bands", "fmin", "fmax", "said"),
    [(0, 0, None, "at least 1"), (9, -1, None, "ascend"), (9, 5000, 4000, "ascend"), (9, 0, 8001, "8000 Hz")],
)
def test_impossible_mel_filters(bands: int, fmin: float, fmax: float | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        scales.mel_filters(16000, 512, bands, fmin, fmax)


def bins(rate: int, n_fft: int) -> tuple[np.ndarray, float]:
    return np.arange(n_fft // 2 + 1) * (rate / n_fft), rate / 2


@pytest.mark.parametrize(
    ("rate", "n_fft"), [(48000, 2048), (16000, 512), (8000, 32), (8000, 64), (44100, 4), (96000, 2)]
)
def test_bands_of_a_summary(rate: int, n_fft: int) -> None:
    """At most 40, of all bins, none empty, each ERB-wide where the bins are fine enough."""
    frequencies, top = bins(rate, n_fft)
    cuts, edges = scales.bands(frequencies, top)
    assert cuts[0] == 0
    assert cuts[-1] == frequencies.size
    assert (np.diff(cuts) >= 1).all()
    assert cuts.size <= 41
    assert edges.shape == cuts.shape
    assert edges[0] == 0
    assert edges[-1] == top
    assert (np.diff(edges) > 0).all()
    centres = scales.centres(frequencies, cuts)
    assert ((edges[:-1] <= centres) & (centres <= edges[1:])).all()
    wide = np.diff(cuts) > 20
    if wide.any():
        widths = np.diff(scales.erb_rate(edges))[wide]
        np.testing.assert_allclose(widths, scales.erb_rate(top) / scales.SUMMARY_BANDS, rtol=0.1)


def test_bands_of_every_bin() -> None:
    frequencies, top = bins(16000, 16)
    cuts, edges = scales.bands(frequencies, top, "bins")
    assert cuts.tolist() == list(range(10))
    assert edges.tolist() == [0, 500, 1500, 2500, 3500, 4500, 5500, 6500, 7500, 8000]
    np.testing.assert_array_equal(scales.centres(frequencies, cuts), frequencies)


def test_bands_by_their_edges() -> None:
    """A bin belongs where its centre lies; a centre on an edge belongs above it; the last one to the top."""
    frequencies, top = bins(16000, 16)
    cuts, edges = scales.bands(frequencies, top, [0, 1000, 3500, 8000])
    assert cuts.tolist() == [0, 1, 4, 9]
    assert edges.tolist() == [0, 1000, 3500, 8000]
    assert scales.bands(frequencies, top, (900, 2100))[0].tolist() == [1, 3]
    assert scales.bands(frequencies, top, (900, 2000))[0].tolist() == [1, 2]
    assert scales.bands(frequencies, top, (900, 99000))[0].tolist() == [1, 9]
    np.testing.assert_allclose(scales.centres(frequencies, cuts), [0, 2000, 6000])


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("erb", "'bins'"),
        ([1000], "two ascending"),
        ([1000, 1000], "two ascending"),
        ([2000, 1000], "two ascending"),
        ([-1, 1000], "two ascending"),
        ([[0, 1000]], "two ascending"),
        ([0, np.nan], "two ascending"),
        ([0, 1100, 1200, 8000], "no bin lies between 1100 and 1200 Hz; bins are 1000 Hz apart"),
        ([9000, 10000], "no bin lies between 9000 and 10000 Hz"),
    ],
)
def test_impossible_bands(wanted: object, said: str) -> None:
    frequencies, top = bins(16000, 16)
    with pytest.raises(UsageError, match=said):
        scales.bands(frequencies, top, wanted)


def test_bands_of_mel_bands() -> None:
    _, centres = scales.mel_filters(16000, 1024, 128)
    cuts, edges = scales.bands(centres, 8000)
    assert (cuts[0], cuts[-1]) == (0, 128)
    assert (edges[0], edges[-1]) == (0, 8000)
    assert 30 <= cuts.size <= 41
