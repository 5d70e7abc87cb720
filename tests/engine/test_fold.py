"""Blocks of spectra are those of the whole signal, and sums over them do not depend on blocks or threads."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import pytest

from audiosim.engine import divergence, fft, fold
from audiosim.engine.frames import STFT
from audiosim.engine.stream import Stream
from audiosim.engine.threads import in_threads
from audiosim.errors import UsageError
from audiosim.testing.signals import Array, noise
from tests import naive

FRAMES = [  # as options of STFT.of
    {"n_fft": 64, "hop": 16},
    {"n_fft": 64, "hop": 16, "pad": "zero"},
    {"n_fft": 64, "hop": 16, "centre": False},
    {"n_fft": 64, "hop": 100, "win": 40},
    {"n_fft": 63, "hop": 10, "win": 40, "window": "hamming"},
    {"n_fft": 33, "hop": 33, "window": "blackman", "pad": "zero"},
    {"n_fft": 65, "hop": 1, "win": 1, "window": "rectangular"},
    {"n_fft": 2, "hop": 1},
]
FILTERS = ((0.0, 0), (0.85, 1), (0.85, 2))


def pair(length: int, coef: float = 0.0, lag: int = 0, dtype: type = np.float64) -> tuple[Stream, Stream]:
    x, y = noise(length, 1, 1, 2).astype(dtype)
    return Stream(x, x.dtype.type(coef), lag), Stream(y, y.dtype.type(coef), lag)


def naive_spectra(streams: tuple[Stream, Stream], options: dict[str, Any]) -> Array:
    return np.stack([naive.spectra(naive.filtered(s.samples, s.coef, s.lag), **options) for s in streams])


@pytest.mark.parametrize("options", FRAMES)
@pytest.mark.parametrize(("coef", "lag"), FILTERS)
@pytest.mark.parametrize("length", [33, 64, 65, 300])
def test_spectra(options: dict[str, Any], coef: float, lag: int, length: int) -> None:
    stft = STFT.of(**options)
    streams = pair(length, coef, lag)
    whole = naive_spectra(streams, options) if stft.count(length + lag) else np.zeros((2, 0, stft.bins))
    assert stft.count(length + lag) == whole.shape[1]
    for most in (1, 3, 1000):
        cut = fold.cutter(*streams, stft, most)
        for first in range(0, whole.shape[1], most):
            frames = min(most, whole.shape[1] - first)
            np.testing.assert_allclose(cut(first, frames), whole[:, first : first + frames], rtol=0, atol=1e-13)


@pytest.mark.parametrize("options", FRAMES)
def test_too_short_for_a_frame(options: dict[str, Any]) -> None:
    stft = STFT.of(**options)
    longest = next(n for n in range(1, 100) if stft.count(n)) - 1
    if options.get("centre", True):
        assert longest == (0 if options.get("pad") == "zero" else stft.n_fft // 2)
    else:
        assert longest == stft.n_fft - 1
    if longest:
        assert fold.fold(*pair(longest), stft, differences, 3) is None
    assert fold.fold(*pair(longest + 1), stft, differences, 3) is not None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_in_the_samples_own_type(dtype: type) -> None:
    streams = pair(300, dtype=dtype)
    block = fold.cutter(*streams, STFT.of(64, 16), 5)(0, 5)
    assert block.real.dtype == dtype
    whole = naive_spectra(streams, {"n_fft": 64, "hop": 16})
    np.testing.assert_allclose(block, whole[:, :5], rtol=0, atol=1e-6)


@pytest.mark.parametrize("bad", [{"n_fft": 1}, {"n_fft": 1 << 21}, {"hop": 0}, {"win": 0}, {"win": 65}, {"hop": -3}])
def test_impossible_frames(bad: dict[str, int]) -> None:
    with pytest.raises(UsageError, match="must be"):
        STFT.of(**{"n_fft": 64, "hop": 16, **bad})


def test_axes() -> None:
    stft = STFT.of(64, 16, centre=True)
    np.testing.assert_allclose(stft.times(3, 8000), [0, 0.002, 0.004])
    np.testing.assert_allclose(STFT.of(64, 16, centre=False).times(3, 8000), [0.004, 0.006, 0.008])
    assert stft.frequencies(8000)[[0, 1, -1]].tolist() == [0, 125, 4000]
    assert STFT.of(63, 16).frequencies(6300)[[0, 1, -1]].tolist() == [0, 100, 3100]


def test_fft() -> None:
    x = noise(501, 1, channels=2)
    for n in (500, 501, 512, None):
        np.testing.assert_allclose(fft.rfft(x, n), np.fft.rfft(x, n), rtol=0, atol=1e-13)
    np.testing.assert_allclose(fft.irfft(fft.rfft(x), 501), x, rtol=0, atol=1e-15)
    assert fft.rfft(x.astype(np.float32)).dtype == np.complex64
    assert fft.irfft(np.zeros(5, np.complex64), 8).dtype == np.float32
    for n in (1, 7, 1000, 48001):
        assert n <= fft.fast_length(n) <= 2 * n


def differences(spectra: Array, edges: Array, out: Array) -> None:
    """Of magnitudes."""
    m = np.abs(spectra)
    divergence.differences(m[0], m[1], edges, out)


def root(sums: Array, bins: Array) -> Array:
    return np.sqrt(sums / bins[..., None])


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four frames of 64 samples a block, two blocks a task."""
    monkeypatch.setattr(fold, "BLOCK", 256)
    monkeypatch.setattr(fold, "BLOCKS_PER_TASK", 2)


STFT_64 = STFT.of(64, 16)
BANDS = [[0, 33], [0, 10, 33], [0, 1, 2, 33], list(range(34)), [5, 6], [5, 6, 30], [32, 33], [0, 12]]


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("bands", BANDS)
@pytest.mark.parametrize("length", [33, 97, 100, 160, 300])
def test_fold(bands: list[int], length: int) -> None:
    streams = pair(length, 0.85, 1)
    x, y = np.abs(naive_spectra(streams, {"n_fft": 64, "hop": 16}))
    terms = naive.differences(x, y)
    inside = naive.in_ranges(terms, np.array(bands))
    for threads in (1, 3):
        sums = fold.fold(*streams, STFT_64, differences, 3, bands=np.array(bands), keep_map=True, threads=threads)
        assert sums is not None
        assert (sums.frames, sums.bins) == terms.shape[:2]
        np.testing.assert_allclose(sums.total, terms.sum(axis=(0, 1)), rtol=1e-12)
        np.testing.assert_allclose(sums.by_frame, terms.sum(axis=1), rtol=1e-12)
        np.testing.assert_allclose(sums.by_band, inside.sum(axis=0), rtol=1e-12, atol=1e-14)
        np.testing.assert_allclose(sums.map, inside, rtol=1e-12, atol=1e-14)
        assert sums.band_bins is not None
        assert sums.band_bins.tolist() == np.diff(bands).tolist()


@pytest.mark.usefixtures("small_blocks")
def test_only_what_was_asked_for() -> None:
    streams = pair(300)
    plain = fold.fold(*streams, STFT_64, differences, 3)
    profile = fold.fold(*streams, STFT_64, differences, 3, bands=np.array([0, 33]))
    assert plain is not None
    assert profile is not None
    assert plain.by_band is plain.by_frame is plain.map is plain.band_bins is None
    assert profile.map is None
    np.testing.assert_allclose(plain.total, profile.total, rtol=1e-15)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("bands", BANDS)
def test_a_root_in_each_frame(bands: list[int]) -> None:
    streams = pair(300)
    terms = naive.differences(*np.abs(naive_spectra(streams, {"n_fft": 64, "hop": 16})))
    edges = np.array(bands)
    sums = fold.fold(*streams, STFT_64, differences, 3, bands=edges, per_frame=root, keep_map=True)
    assert sums is not None
    whole = np.sqrt(terms.mean(axis=1))
    inside = np.sqrt(naive.in_ranges(terms, edges) / np.diff(edges)[:, None])
    np.testing.assert_allclose(sums.total, whole.sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(sums.by_frame, whole, rtol=1e-12)
    np.testing.assert_allclose(sums.by_band, inside.sum(axis=0), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(sums.map, inside, rtol=1e-12, atol=1e-14)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("lookback", [1, 2])
def test_lookback(lookback: int) -> None:
    """Each frame's measure may look at those before it, across blocks and tasks."""
    streams = pair(300)

    def change(spectra: Array, edges: Array, out: Array) -> None:
        m = np.abs(spectra[1])
        out[lookback:, 0, 0] = (m[lookback:] - m[:-lookback]).sum(axis=1)

    m = np.abs(naive_spectra(streams, {"n_fft": 64, "hop": 16}))[1].sum(axis=1)
    for threads in (1, 3):
        sums = fold.fold(*streams, STFT_64, change, 1, bands=np.array([0, 33]), lookback=lookback, threads=threads)
        assert sums is not None
        assert sums.by_frame is not None
        expected = np.concatenate([np.zeros(lookback), m[lookback:] - m[:-lookback]])
        np.testing.assert_allclose(sums.by_frame[:, 0], expected, rtol=0, atol=1e-12)


@pytest.mark.usefixtures("small_blocks")
def test_other_bins_than_those_of_the_spectrum() -> None:
    streams = pair(300)

    def halves(spectra: Array, edges: Array, out: Array) -> None:
        m = np.abs(spectra)
        m = np.stack([m[:, :, :16].sum(axis=2), m[:, :, 16:].sum(axis=2)], axis=2)
        divergence.differences(m[0], m[1], edges, out)

    sums = fold.fold(*streams, STFT_64, halves, 3, bins=2, bands=np.array([0, 1, 2]), keep_map=True)
    assert sums is not None
    x, y = np.abs(naive_spectra(streams, {"n_fft": 64, "hop": 16}))
    squares = [(y[:, a].sum(axis=1) - x[:, a].sum(axis=1)) ** 2 for a in (slice(0, 16), slice(16, 33))]
    assert sums.bins == 2
    assert sums.map is not None
    np.testing.assert_allclose(sums.map[:, :, 0], np.stack(squares, axis=1), rtol=1e-10)


@pytest.mark.usefixtures("small_blocks")
def test_same_bits_on_any_number_of_threads() -> None:
    streams = pair(2000, 0.85, 2)
    first = fold.fold(*streams, STFT_64, differences, 3, bands=np.array([0, 9, 33]), keep_map=True)
    assert first is not None
    for threads in (2, 8):
        again = fold.fold(*streams, STFT_64, differences, 3, bands=np.array([0, 9, 33]), keep_map=True, threads=threads)
        assert again is not None
        for field in ("total", "by_band", "by_frame", "map"):
            np.testing.assert_array_equal(getattr(first, field), getattr(again, field))


def test_spread_keeps_order_and_uses_threads() -> None:
    barrier = threading.Barrier(4, timeout=10)  # only four at a time come through

    def task(start: int) -> int:
        barrier.wait()
        return start

    assert in_threads(task, range(0, 80, 10), 4) == list(range(0, 80, 10))
    assert in_threads(lambda start: start, range(0), 4) == []
    assert in_threads(lambda start: start, range(5), 1) == list(range(5))


def test_what_breaks_in_a_thread_is_raised() -> None:
    def task(start: int) -> int:
        raise ValueError(f"broken at {start}")

    with pytest.raises(ValueError, match="broken at 0"):
        in_threads(task, range(3), 2)
