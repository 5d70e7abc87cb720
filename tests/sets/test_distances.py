"""Distances between sets of points, beside values of other programs and closed forms."""

from __future__ import annotations

from math import isnan, sqrt
from typing import Any

import numpy as np
import pytest

from audiosim.dsp import covariance
from audiosim.errors import UsageError
from audiosim.sets import distances

Array = Any
RNG = np.random.default_rng(7)


@pytest.fixture(autouse=True)
def _drawn_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(7))


def waves(points: int, features: int, phase: float, gain: float = 1.0) -> Array:
    """Points that every program computes alike."""
    i, j = np.arange(points)[:, None], np.arange(1, features + 1)[None]
    return gain * np.sin(phase + i * np.sqrt(j) * 1.7) + 0.3 * np.cos(2.1 * i + j * phase) + 0.05 * j


def recordings(count: int, windows: int, features: int = 6, shift: float = 0.0) -> tuple[Array, Array]:
    """Points of recordings that each have a character of their own."""
    files = np.repeat(np.arange(count), windows)
    return (RNG.normal(shift, 1, (count, features)))[files] + RNG.normal(0, 0.5, (len(files), features)), files


# fadtk 1.1.0: calc_frechet_distance(*calc_embd_statistics(ref), *calc_embd_statistics(test)).
# kadtk 1.1.0: calc_kernel_audio_distance(test, ref, (None, None), "cpu", precision=torch.float64), whose bandwidth is
# the median of its second set. prdc 0.2: compute_prdc(ref, test, nearest_k=5).
FOREIGN = [
    ((40, 50, 4, 0.3, 1.0), 0.10181940904661957, -1.410974325917258, (1.0, 1.0, 1.084, 1.0)),
    ((120, 80, 8, 1.0, 1.5), 1.3245049109017053, 4.212575713470068, (0.5, 1.0, 0.19, 0.4166666666666667)),
    ((60, 60, 12, 0.0, 0.7), 0.5133296800676082, 0.011313016561098621, (1.0, 1.0, 2.5433333333333334, 1.0)),
]


@pytest.mark.parametrize(("shape", "frechet", "kernel", "shares"), FOREIGN)
def test_values_of_other_programs(shape: Any, frechet: float, kernel: float, shares: tuple[float, ...]) -> None:
    n, m, features, phase, gain = shape
    ref, test = waves(n, features, 0.0), waves(m, features, phase, gain)
    assert distances.frechet(ref, test) == pytest.approx(frechet, abs=1e-6)
    assert distances.kernel_distance(ref, test) == pytest.approx(kernel, abs=1e-6)
    found = distances.manifolds(ref, test)
    means = [x.mean() for x in (found.precision, found.recall, found.density, found.coverage)]
    assert means == pytest.approx(shares, abs=1e-12)


def test_gaussians_in_closed_form() -> None:
    unit, other = (np.zeros(2), np.eye(2)), (np.array([1.0, 2.0]), np.array([[2.0, 0.5], [0.5, 1.0]]))
    roots = [(mean, np.linalg.cholesky(cov).T) for mean, cov in (unit, other)]
    assert covariance.frechet(*roots) == pytest.approx(5.247842, abs=1e-6)
    both = covariance.divergence(unit, other) + covariance.divergence(other, unit)
    assert both / 2 == pytest.approx(2.428571, abs=1e-6)
    assert covariance.divergence(other, other) == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize("count", [3, 30, 300])
def test_sets_of_one_kind(count: int) -> None:
    """With fewer points than features, too."""
    x = RNG.normal(0, 30, (count, 40))
    assert 0 <= distances.frechet(x, x) < 1e-8
    assert 0 <= distances.frechet(x, x[::-1]) < 1e-8
    assert distances.divergence(x, x) == pytest.approx(0, abs=1e-9)


def test_frechet_with_fewer_points_than_features() -> None:
    """Points that vary in one direction each: standard deviations s1, s2 at right angles, or in the same direction."""
    steps = np.array([-1.0, 0.0, 1.0])[:, None]
    first, second = np.eye(50)[:1], np.eye(50)[1:2]
    assert distances.frechet(2 * steps * first, 3 * steps * second) == pytest.approx(4 + 9)
    assert distances.frechet(2 * steps * first, 3 * steps * first) == pytest.approx(1)
    assert distances.frechet(2 * steps * first, 3 * steps * first + 4 * second) == pytest.approx(17)


def test_kernel_distance_is_unbiased() -> None:
    found = [distances.kernel_distance(RNG.normal(size=(30, 4)), RNG.normal(size=(30, 4))) for _ in range(60)]
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 3 * np.std(found) / sqrt(60)


def test_windows_of_one_recording_are_no_neighbours() -> None:
    points, files = recordings(20, 6)
    more, theirs = recordings(20, 6)
    alone = distances.manifolds(points, more).coverage.mean()
    assert distances.manifolds(points, more, files=(files, theirs)).coverage.mean() > alone + 0.1
    one = np.zeros(len(points), int)
    assert np.isnan(distances.manifolds(points, more, files=(one, theirs)).precision).all()


def test_all_of_two_sets() -> None:
    ref = distances.Reference(*recordings(24, 4), draws=60)
    near, far = (ref.distances(*recordings(24, 4, shift=shift)) for shift in (0.0, 2.0))
    for one in (near, far):
        for found in (one.frechet, one.kernel, one.precision, one.recall, one.density, one.coverage):
            assert found.low <= found.value <= found.high
        assert one.influence.sum() == pytest.approx(0, abs=1e-9)
        assert 0 <= one.frechet_infinite < one.frechet.value
    assert near.frechet.high < far.frechet.low
    assert near.kernel.high < far.kernel.low
    assert near.kernel.low < 0
    assert near.coverage.low > far.coverage.high
    assert near.divergence < far.divergence
    assert far.frechet_infinite == pytest.approx(6 * 2**2, rel=0.5)
    for threads in (2, 3):
        again = ref.distances(*recordings_again(), threads=threads)
        assert again.kernel == ref.distances(*recordings_again()).kernel


def recordings_again() -> tuple[Array, Array]:
    files = np.repeat(np.arange(100), 4)
    return waves(400, 6, 0.3), files


def test_the_recording_that_does_not_belong_has_the_largest_influence() -> None:
    ref = distances.Reference(*recordings(30, 4), draws=0)
    points, files = recordings(30, 4)
    points[files == 17] += 4
    found = ref.distances(points, files)
    assert found.influence.argmax() == 17
    rest = files != 17
    less = found.frechet.value - distances.frechet(ref.points, points[rest])
    assert found.influence[17] == pytest.approx(less, rel=0.35)
    assert isnan(found.frechet.low)


def test_extrapolation_takes_most_of_the_bias_away() -> None:
    """The distance of two small sets of one kind is far above 0."""
    found = [distances.Reference(*recordings(20, 2, 8), draws=0).distances(*recordings(20, 2, 8)) for _ in range(8)]
    assert np.mean([f.frechet_infinite for f in found]) < 0.35 * np.mean([f.frechet.value for f in found])


def test_recordings_that_are_drawn_in_groups_have_the_same_distances(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = recordings(60, 4), recordings(50, 4, shift=1.0)
    alone = distances.Reference(*one).distances(*other)
    monkeypatch.setattr(distances, "GROUPS", 25)
    grouped = distances.Reference(*one).distances(*other)
    assert grouped.kernel.value == pytest.approx(alone.kernel.value, rel=1e-12)
    assert grouped.coverage == alone.coverage
    for a, b in ((alone.kernel, grouped.kernel), (alone.frechet, grouped.frechet)):
        assert b.high - b.low == pytest.approx(a.high - a.low, rel=0.4)


def test_points_that_are_none() -> None:
    x = waves(5, 3, 0.0)
    for ref, test, said in (
        (x, x[:1], "test: points are .* at least 2"),
        (x[0], x, "reference: points are"),
        (x, x[:, :2], "3 features, the test 2"),
        (x, x * np.nan, "test: a point is NaN"),
    ):
        with pytest.raises(UsageError, match=said):
            distances.frechet(ref, test)
