"""Patches found again, and how alike they are: kernels against plain formulas."""

from __future__ import annotations

import numpy as np
import pytest

from audiosim.models.visqol import nsim, patches, rectified_lag
from audiosim.models.visqol.downmix import Downmix
from audiosim.testing.signals import COMPILED, noise
from tests import naive


def spectrograms(seed: int, frames: int, bands: int = 6) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    r = np.maximum(rng.normal(15, 12, (frames, bands)), 0)
    return r, np.maximum(r + rng.normal(0, 4, r.shape), 0)


def test_similarity_of_cells() -> None:
    r, d = spectrograms(0, 20)
    for a, b in ((r, d), (r, 0 * d), (0 * r, 0 * d), (r[:1], d[:1]), (r[:, :1], d[:, :1])):
        np.testing.assert_allclose(nsim.similarity(np, a, b), naive.nsim(a, b), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(nsim.similarity(np, r, r), 1, rtol=1e-12)
    both = nsim.similarity(np, np.stack([r, d]), np.stack([d, d]))
    np.testing.assert_allclose(both[0], nsim.similarity(np, r, d), rtol=1e-12)


@pytest.mark.parametrize("size", [2, 3, 7])
def test_search_is_the_mean_similarity_at_each_place(size: int) -> None:
    r, d = spectrograms(1, 17)
    table = nsim.Search(d, size)
    padded = np.vstack([d, np.zeros((size, d.shape[1]))])
    for first, stop in ((0, 17), (5, 6), (3, 11)):
        expected = [naive.nsim(r[4 : 4 + size], padded[o : o + size]).mean() for o in range(first, stop)]
        np.testing.assert_allclose(table.along(r[4 : 4 + size], first, stop), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("search", [1, 2, 9])
def test_order_of_patches_is_kept_and_the_sum_is_the_largest(search: int) -> None:
    """Against all ways through the table."""
    r, _ = spectrograms(2, 16)
    t = np.vstack([r[8:12], r[4:8], r[:4], r[12:]])  # out of order
    starts, size = np.array([1, 5, 9]), 4
    found = patches.find(r, starts, t, size, search)
    table = nsim.Search(t, size)
    alike = np.stack([table.along(r[s : s + size], 0, len(t)) for s in starts])
    windows = [range(max(0, s - search * size), min(s + search * size + 1, len(t))) for s in starts.tolist()]
    kept = [k for k in range(3) if found[k] >= 0]
    assert (np.diff(found[kept]) > 0).all()
    total = sum(alike[k, found[k]] for k in kept)
    orders = [(a, b, c) for a in windows[0] for b in windows[1] for c in windows[2] if a < b < c]
    assert total >= max(alike[0, a] + alike[1, b] + alike[2, c] for a, b, c in orders) - 1e-12


def test_a_patch_that_is_not_there_is_lost() -> None:
    r, _ = spectrograms(3, 30)
    t = np.vstack([r[:5], r[15:]])  # without the middle
    found = patches.find(r, np.array([0, 5, 10, 15, 20]), t, 5, 60).tolist()
    assert found[0] == 0
    assert found[-2:] == [5, 10]
    assert -1 in found[1:3]


def test_patches_beyond_the_end_are_left_out() -> None:
    r, _ = spectrograms(4, 40)
    assert len(patches.find(r, np.arange(4, 34, 10), r[:12], 10, 60)) == 2
    assert patches.find(r, np.arange(4, 34, 10), r, 10, 60, threads=2).tolist() == [4, 14, 24]


@pytest.mark.parametrize("length", [2, 31, 32, 33, 64, 500])
def test_rectified_waveform_is_that_of_the_original(length: int) -> None:
    """By the one-sided spectrum, as written there."""
    x = noise(1000, length / 1000, 5)[0] + 0.03
    size = max(32, 1 << (length - 1).bit_length())
    spectrum = np.fft.rfft(x - x.mean(), size)
    spectrum[1:-1] *= 2
    spectrum[-1] *= length == size
    expected = np.abs(np.fft.irfft(spectrum)[:length]) + x.mean()
    np.testing.assert_allclose(rectified_lag.rectified(x), expected, atol=1e-15)


@pytest.mark.parametrize("late", [-120, -1, 0, 1, 120, 400])
@pytest.mark.parametrize("longest", [1, 1 << 25])
def test_lag(late: int, longest: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rectified_lag, "LONG", longest)  # float32 above it
    x = noise(1000, 1.3, 6)[0]
    r, t = x[200:900], x[200 + late : 880 + late]
    assert rectified_lag.lag(r, t) == naive.visqol_lag(r, t)
    if abs(late) <= 350:  # half of the reference
        assert rectified_lag.lag(r, t) == late
    assert rectified_lag.lag(0 * r, t) == 0


def test_voice_is_looked_for_in_every_hop() -> None:
    x = 1e-3 * noise(1000, 2.0, 7)[0]
    x[1000:1100] = 0.5
    active = patches._voice(Downmix([x], 1000), 9, 90, 20)
    hops = (np.array([1000, 1100]) - 9) // 20
    assert active[:2].all()
    assert np.flatnonzero(active[2:]).tolist() == list(range(hops[0] - 2, hops[1] + 1))


@pytest.mark.skipif(not COMPILED, reason="frames are too long for uncompiled kernels")
@pytest.mark.parametrize("mode", [patches.AUDIO, patches.SPEECH])
def test_frames_that_are_known_are_not_made_again(mode: patches.Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the whole's frames give is what the patch's own give, bit for bit."""
    ear = patches.Ear.of(mode, 8000)
    x = noise(8000, 1.5, 8)
    y = x + 0.3 * noise(8000, 1.5, 9)
    found = patches.likeness(x, y, ear, 60)
    assert not isinstance(found, str)
    assert found.plan.moved[:, 0].any()
    nothing_known, fine = np.empty((0, mode.bands)), patches._fine
    monkeypatch.setattr(patches, "_fine", lambda x, _, *rest: fine(x, nothing_known, *rest))
    again = patches.likeness(x, y, ear, 60)
    assert not isinstance(again, str)
    np.testing.assert_array_equal(again.by_patch, found.by_patch)


# Long recordings


@pytest.mark.parametrize("late", [-3000, -77, 0, 1, 1234, 6000])
@pytest.mark.parametrize("kind", ["steady", "bursts"])
def test_lag_from_coarse_to_fine_is_that_of_all(late: int, kind: str) -> None:
    rate = 2000
    x = noise(rate, 20.0, 6)[0]
    if kind == "bursts":
        x = x * np.repeat(np.random.default_rng(3).uniform(0, 1, 200), rate // 10)
    r, t = x[8000:32000], x[8000 + late : 30000 + late]
    t = t + 0.3 * noise(rate, 11.0, 7)[0]
    found = rectified_lag.coarse_to_fine(Downmix([r], rate), Downmix([t], rate), rate)
    assert found == rectified_lag.lag(r, t) == late
    assert rectified_lag.coarse_to_fine(Downmix([r], rate), Downmix([0 * t], rate), rate) == 0


def test_rectified_waveform_in_pieces() -> None:
    x = noise(1000, 2.001, 5)[0] + 0.03
    pieces = Downmix([x], 10)
    assert pieces.long < len(x)
    whole = rectified_lag.rectified(x)
    made = rectified_lag.Rectified(pieces)
    np.testing.assert_allclose(made.read(0, len(x)), whole, atol=1e-14)
    np.testing.assert_allclose(made.read(-3, 10), [0, 0, 0, *whole[:7]], atol=1e-14)
    np.testing.assert_allclose(made.read(len(x) - 5, 9), [*whole[-5:], 0, 0, 0, 0], atol=1e-14)
    np.testing.assert_allclose(made.sums(7), np.add.reduceat(whole, np.arange(0, len(x), 7)), atol=1e-12)


def test_downmix_is_the_mean_wherever_it_is_read() -> None:
    x = noise(1000, 0.3, 5, 3).astype(np.float32)
    mix, mean = Downmix(list(x), 1), x.astype(np.float64).sum(0) / 3
    assert mix.long < len(mix)
    np.testing.assert_array_equal(np.concatenate(list(mix.pieces())), mix.read(0, 300))
    np.testing.assert_allclose(mix.read(-5, 400), mean, rtol=1e-12)
    assert mix.energy(17) == pytest.approx(float(np.vdot(mean[17:], mean[17:])), rel=1e-12)


@pytest.mark.skipif(not COMPILED, reason="recordings are too long for uncompiled kernels")
@pytest.mark.parametrize("mode", [patches.AUDIO, patches.SPEECH])
def test_a_long_recording_is_compared_like_a_short_one(mode: patches.Mode, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces of a second: the same bits but for sums over all samples. exact: the lag as before."""
    from audiosim.models.visqol import downmix

    ear, x = patches.Ear.of(mode, 8000), noise(8000, 5.0, 8, 2)
    y = (x + 0.3 * noise(8000, 5.0, 9, 2))[:, 123:]
    whole = patches.likeness(x, y, ear, 60)
    monkeypatch.setattr(downmix, "LONG", 1.0)
    monkeypatch.setattr(patches, "FRAMES_AT_ONCE", 50)
    monkeypatch.setattr(patches, "PATCHES_AT_ONCE", 3)
    for exact in (False, True):
        found = patches.likeness(x, y, ear, 2, exact=exact)
        assert not isinstance(found, str)
        assert not isinstance(whole, str)
        assert found.plan.late == whole.plan.late == 123
        np.testing.assert_array_equal(found.plan.found, whole.plan.found)
        np.testing.assert_allclose(found.by_patch, whole.by_patch, rtol=1e-9)
