"""Alignment in time: against plain recursions, against librosa and fastdtw, and against what is known of each."""

from __future__ import annotations

import tracemalloc
from typing import Any

import numpy as np
import pytest

from audiosim.dsp import warping
from audiosim.testing.signals import COMPILED, Array
from tests import naive

SIZES = [(1, 1), (1, 7), (7, 1), (2, 9), (20, 20), (20, 23), (31, 17)]
BANDS = [None, 0, 2, 3.5]


def walk(frames: int, features: int = 3, seed: int = 0) -> Array:
    return np.cumsum(np.random.default_rng(seed).standard_normal((frames, features)), axis=0)


# DTW


@pytest.mark.parametrize(("n", "m"), SIZES)
@pytest.mark.parametrize("band", BANDS)
@pytest.mark.parametrize("penalty", [0.0, 0.3])
def test_dtw_is_the_plain_recursion(n: int, m: int, band: float | None, penalty: float) -> None:
    for features in (1, 2, 3, 6):
        x, y = walk(n, features), walk(m, features, 1)
        cost = np.where(naive.inside(n, m, band), naive.distances(x, y), np.inf)
        expected, cells = naive.dtw(cost, penalty)
        total, path = warping.dtw(x, y, band, penalty)
        assert total == pytest.approx(expected, rel=1e-13)
        np.testing.assert_array_equal(path, cells)
        if not penalty:
            assert warping.dtw_cost(x, y, band) == total
            assert total == pytest.approx(cost[tuple(path)].sum(), rel=1e-12)


def test_longer_than_a_block_of_distances() -> None:
    x, y = walk(40, 13), walk(2 * warping.BLOCK + 7 if COMPILED else warping.BLOCK + 7, 13, 1)
    expected, cells = naive.dtw(naive.distances(x, y))
    total, path = warping.dtw(x, y)
    assert total == pytest.approx(expected, rel=1e-13)
    np.testing.assert_array_equal(path, cells)


def test_equal_sequences_stay_on_the_diagonal() -> None:
    """Also where frames repeat and every way costs nothing."""
    x = walk(50)
    x[10:30] = x[10]
    total, path = warping.dtw(x, x)
    assert total == 0
    np.testing.assert_array_equal(path, [np.arange(50)] * 2)
    _, path = warping.dtw(np.zeros((50, 3)), np.zeros((50, 3)))
    np.testing.assert_array_equal(path, [np.arange(50)] * 2)


def test_finds_a_known_warp() -> None:
    x = walk(200)
    places = np.clip(np.round(np.arange(260) / 1.3 + 6 * np.sin(np.arange(260) / 20)), 0, 199).astype(int)
    places = np.maximum.accumulate(places)
    places[0], places[-1] = 0, 199
    total, path = warping.dtw(x, x[places])
    assert total == pytest.approx(np.linalg.norm(x[path[0]] - x[places][path[1]], axis=1).sum(), rel=1e-12)
    assert np.median(np.abs(path[0] - places[path[1]])) == 0
    narrow = [warping.dtw_cost(x, x[places], band) for band in (0, 2, 4, 8, 16, None)]
    assert narrow == sorted(narrow, reverse=True), "a wider corridor never costs more"


@pytest.mark.parametrize(("n", "m"), [*SIZES, (2, 100), (100, 2), (33, 65), (33, 66)])
@pytest.mark.parametrize("band", [0, 0.4, 1, 5, 1000])
def test_corridor_holds_together(n: int, m: int, band: float) -> None:
    starts, stops = warping.corridor(n, m, band)
    assert starts[0] == 0
    assert stops[-1] == m
    assert (starts < stops).all()
    assert (np.diff(starts) >= 0).all()
    assert (np.diff(stops) >= 0).all()
    assert (starts[1:] <= stops[:-1]).all(), "a diagonal step leads from each frame to the next"
    cells = (np.arange(m) >= starts[:, None]) & (np.arange(m) < stops[:, None])
    np.testing.assert_array_equal(cells, naive.inside(n, m, band))


@pytest.mark.parametrize(("n", "m"), [(120, 133), (133, 120), (100, 100)])
def test_librosa(n: int, m: int) -> None:
    librosa = pytest.importorskip("librosa")
    x, y = walk(n, 13), walk(m, 13, 1)
    accumulated, path = librosa.sequence.dtw(x.T, y.T)
    total, cells = warping.dtw(x, y)
    assert total == pytest.approx(accumulated[-1, -1], rel=1e-13)
    np.testing.assert_array_equal(cells.T, path[::-1])
    if n == m:  # its band is parallel to the diagonal of the matrix and open: |i - j| < radius
        accumulated, path = librosa.sequence.dtw(x.T, y.T, global_constraints=True, band_rad=0.1)
        total, cells = warping.dtw(x, y, 0.1 * n - 1)
        assert total == pytest.approx(accumulated[-1, -1], rel=1e-13)
        np.testing.assert_array_equal(cells.T, path[::-1])


@pytest.mark.parametrize("radius", [1, 3, 10])
def test_fastdtw(radius: int) -> None:
    fastdtw = pytest.importorskip("fastdtw")
    for n, m in [(50, 61), (200, 133), (7, 150), (11, 12), (12, 12), (13, 13), (1, 5)]:
        x, y = walk(n), walk(m, seed=1)
        x[n // 3 : n // 2] = y[m // 3 : m // 2] = 0  # equal costs
        theirs, path = fastdtw.fastdtw(x, y, radius=radius, dist=2)
        total, cells = warping.fast_dtw(x, y, radius)
        assert total == pytest.approx(theirs, rel=1e-12)
        np.testing.assert_array_equal(cells.T, path)


@pytest.mark.skipif(not COMPILED, reason="long sequences")
def test_memory_of_the_cost_is_linear_and_of_the_path_two_bits_a_cell() -> None:
    x, y = walk(3000), walk(3000, seed=1)
    warping.dtw(x[:9], y[:9]), warping.dtw_cost(x[:9], y[:9])
    peak = []
    for measured in (lambda: warping.dtw_cost(x, y), lambda: warping.dtw(x, y), lambda: warping.dtw(x, y, 50)):
        tracemalloc.start()
        measured()
        peak.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peak[0] < 40 * 3000 * 8
    assert peak[1] < 3000 * 3000 / 4 + 80 * 3000 * 8
    assert peak[2] < 3000 * 104 / 4 + 80 * 3000 * 8


@pytest.mark.parametrize(("x", "y"), [((5,), (5,)), ((5, 2), (5, 3)), ((0, 2), (5, 2)), ((5, 2), (0, 2))])
def test_what_is_no_pair_of_sequences_is_refused(x: Any, y: Any) -> None:
    with pytest.raises(ValueError, match="sequences are"):
        warping.dtw(np.zeros(x), np.zeros(y))


# Soft-DTW


def weighted(n: int, m: int) -> tuple[Array, Array, Array, Array]:
    rng = np.random.default_rng(5)
    return walk(n), walk(m, seed=1), rng.uniform(0.2, 2, n), rng.uniform(0.2, 2, m)


@pytest.mark.parametrize(("n", "m"), [(1, 1), (1, 4), (4, 1), (5, 5), (4, 6)])
@pytest.mark.parametrize("gamma", [0.05, 1.0, 10.0])
def test_soft_dtw_is_the_soft_minimum_over_all_paths(n: int, m: int, gamma: float) -> None:
    x, y, a, b = weighted(n, m)
    cost = naive.distances(x, y)
    assert warping.soft_dtw(x, y, gamma) == pytest.approx(naive.soft_dtw(cost, gamma), rel=1e-11)
    expected = naive.soft_dtw((a[:, None] + b) * cost, gamma)
    assert warping.soft_dtw(x, y, gamma, None, a, b) == pytest.approx(expected, rel=1e-11)


def test_soft_dtw_becomes_dtw() -> None:
    x, y = walk(30), walk(33, seed=1)
    for band in (None, 2):
        hard = warping.dtw_cost(x, y, band)
        soft = [warping.soft_dtw(x, y, gamma, band) for gamma in (1e-6, 1e-3, 0.1, 1.0, 10.0)]
        assert soft[0] == pytest.approx(hard, rel=1e-4)
        assert soft == sorted(soft, reverse=True)
        assert np.isfinite(warping.soft_dtw(1e6 * x, 1e6 * y, 1e-6, band))


@pytest.mark.parametrize(("n", "m"), [(1, 1), (2, 7), (17, 17), (25, 18)])
@pytest.mark.parametrize("band", [None, 3])
def test_soft_dtw_gradient_is_the_derivative(n: int, m: int, band: float | None) -> None:
    arguments = weighted(n, m)
    x, y, a, b = arguments
    found = warping.soft_dtw_gradient(x, y, 0.7, band, a, b)
    for which, gradient in enumerate(found):
        direction = np.random.default_rng(which).standard_normal(gradient.shape)
        ends = []
        for step in (1e-5, -1e-5):
            moved = list(arguments)
            moved[which] = moved[which] + step * direction
            ends.append(warping.soft_dtw(moved[0], moved[1], 0.7, band, moved[2], moved[3]))
        assert (gradient * direction).sum() == pytest.approx((ends[0] - ends[1]) / 2e-5, rel=1e-6, abs=1e-8)


def test_divergence_is_exactly_zero_with_zero_gradient_at_identity() -> None:
    x, _, a, _ = weighted(40, 2)
    for gamma in (0.01, 1.0, 100.0):
        assert warping.soft_dtw(x, x, gamma) < 0, "why there is a divergence"
        assert warping.soft_dtw_divergence(x, x.copy(), gamma, 5, a, a.copy()) == 0
        by_x, by_y, _, _ = warping.soft_dtw_gradient(x, x, gamma, 5, a, a)
        np.testing.assert_array_equal(by_x, by_y)  # what both sequences move cancels the mean of the two


def test_divergence_is_positive_and_grows_with_the_difference() -> None:
    for seed in range(20):
        x, y = walk(20, seed=2 * seed), walk(23, seed=2 * seed + 1)
        for gamma in (0.01, 1.0, 10.0):
            values = [
                warping.soft_dtw_divergence(x, x + scale * (walk(20, seed=99)), gamma) for scale in (0.01, 0.1, 1)
            ]
            assert 0 < values[0] < values[1] < values[2]
            assert warping.soft_dtw_divergence(x, y, gamma) > 0


@pytest.mark.skipif(not COMPILED, reason="long sequences")
def test_memory_of_the_gradient_is_not_that_of_the_matrix() -> None:
    x, y = walk(1000), walk(1000, seed=1)
    warping.soft_dtw_gradient(x[:9], y[:9], 1.0)
    tracemalloc.start()
    warping.soft_dtw_gradient(x, y, 1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 1000 * 32 * 8


# Torch


def tensors(items: int = 2, n: int = 9, m: int = 12) -> list[Any]:
    torch = pytest.importorskip("torch")
    made = [weighted(n, m) for _ in range(items)]
    stacks = [np.stack([(1 + i) * arguments[k] for i, arguments in enumerate(made)]) for k in range(4)]
    return [torch.tensor(s, requires_grad=True) for s in stacks]


@pytest.mark.parametrize("band", [None, 3.0])
def test_soft_dtw_of_tensors(band: float | None) -> None:
    """Kernels, torch text and the items one by one agree, in value and gradient."""
    torch = pytest.importorskip("torch")
    inputs = tensors()
    soft = warping.soft_dtw_torch()
    values, text = soft(*inputs, 0.7, band), warping.soft_dtw_text(*inputs, 0.7, band)
    arrays = [[t.detach().numpy()[i] for t in inputs] for i in range(2)]
    alone = [warping.soft_dtw(x, y, 0.7, band, a, b) for x, y, a, b in arrays]
    assert values.tolist() == alone
    assert text.tolist() == pytest.approx(alone, rel=1e-12)
    weights = torch.tensor([1.0, -3.0], dtype=torch.float64)
    for p, q in zip(*(torch.autograd.grad(v @ weights, inputs) for v in (values, text)), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-10, atol=1e-12)
    assert torch.autograd.gradcheck(lambda *t: soft(*t, 0.7, band), inputs, fast_mode=True)
    single = soft(*(t.float() for t in inputs), 0.7, band)
    assert single.dtype == torch.float32
    assert single.tolist() == pytest.approx(alone, rel=1e-5)


@pytest.mark.parametrize("options", [{}, {"band": 3.0, "penalty": 0.1}, {"radius": 2}])
def test_dtw_of_tensors(options: dict[str, Any]) -> None:
    x, y, *_ = tensors()
    path, real = warping.dtw_torch()(x, y, **options)
    assert path.shape == (2, 2, 20)
    for i in range(2):
        p, q = x[i].detach().numpy(), y[i].detach().numpy()
        _, cells = warping.fast_dtw(p, q, 2) if "radius" in options else warping.dtw(p, q, **options)
        steps = cells.shape[1]
        np.testing.assert_array_equal(path[i, :, :steps].numpy(), cells)
        assert real[i].tolist() == [1.0] * steps + [0.0] * (20 - steps)


def test_runs_compiled_and_without_memory() -> None:
    torch = pytest.importorskip("torch")
    find, soft = warping.dtw_torch(), warping.soft_dtw_torch()

    def both(x: Any, y: Any, a: Any, b: Any) -> Any:
        path, real = find(x, y, 3.0)
        p, q = (torch.take_along_dim(z, path[:, k, :, None], 1) for k, z in enumerate((x, y)))
        return ((p - q).square().sum(-1) * real).sum(1) + soft(x, y, a, b, 0.7, 3.0)

    inputs = tensors()
    compiled = torch.compile(both, backend="aot_eager", fullgraph=True)
    values = [f(*inputs) for f in (both, compiled)]
    torch.testing.assert_close(*values, rtol=1e-12, atol=0)
    for p, q in zip(*(torch.autograd.grad(v.sum(), inputs) for v in values), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)
    nowhere = [t.detach().to("meta").requires_grad_() for t in inputs]
    both(*nowhere).sum().backward()
    assert [t.grad.shape for t in nowhere] == [t.shape for t in inputs]


# Subsequences


def naive_subsequence(x: Array, y: Array) -> tuple[Array, list[tuple[int, int]]]:
    """Costs of all ends, and the cheapest path."""
    cost, steps = naive.distances(x, y), ((1, 0), (0, 3), (1, 3))
    total, origin = cost.copy(), {}
    for i in range(1, len(x)):
        for j in range(len(y)):
            ways = [(total[i - a, j - b], (i - a, j - b)) for a, b in steps if j >= b]
            least, origin[i, j] = min(ways, key=lambda way: way[0])
            total[i, j] += least
    path = [(len(x) - 1, int(total[-1].argmin()))]
    while path[-1] in origin:
        path.append(origin[path[-1]])
    return total[-1], path[::-1]


@pytest.mark.parametrize(("n", "m"), [(1, 1), (5, 2), (4, 30), (30, 4), (12, 40)])
def test_subsequence_is_the_plain_recursion(n: int, m: int) -> None:
    for features, seed in ((1, 0), (3, 1), (4, 2)):
        x, y = walk(n, features, seed), walk(m, features, seed + 10)
        ends, cells = naive_subsequence(x, y)
        (cost,), (end,) = warping.subsequences(x, y, np.array([0]), n)
        assert cost == pytest.approx(ends.min(), rel=1e-12)
        assert end == ends.argmin()
        np.testing.assert_array_equal(warping.subsequence(x, y, end, cost).T, cells)


def test_patches_share_distances_and_chunks_hand_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patches that overlap, that lie apart, in more than one group; a second sequence of more than one chunk."""
    size, m = 6, warping.CHUNK + 40 if COMPILED else 70
    if not COMPILED:
        monkeypatch.setattr(warping, "CHUNK", 32)
    x, y = walk(150, 2), walk(m, 2, 1)
    starts = np.concatenate([np.arange(0, 60, 3), [80, 83, 130]])
    y[m - 30 : m - 30 + 3 * size : 3] = x[83 : 83 + size]  # across the end of a chunk, or near
    costs, ends = warping.subsequences(x, y, starts, size)
    for start, cost, end in zip(starts, costs, ends, strict=True):
        expected, cells = naive_subsequence(x[start : start + size], y)
        assert cost == pytest.approx(expected.min(), rel=1e-12, abs=1e-12)
        assert end == cells[-1][1]
    assert costs[21] == 0
    assert ends[21] == m - 30 + 3 * (size - 1)
    for given in ({"threads": 3}, {"reach": m}):
        other = warping.subsequences(x, y, starts, size, **given)
        np.testing.assert_array_equal(other, (costs, ends))
    near, _ = warping.subsequences(x, y, starts, size, reach=5)
    assert (near >= costs).all()
    assert (near > costs).any()


def test_a_path_that_waits_is_followed_to_its_beginning() -> None:
    """It runs through far more of the second sequence than its steps would take it."""
    x, y = np.array([[5.0], [0.0], [9.0]]), np.full((300, 1), 20.0)
    y[2::3] = 0.0
    y[2], y[-1] = 5.0, 9.0
    (cost,), (end,) = warping.subsequences(x, y, np.array([0]), 3)
    ends, cells = naive_subsequence(x, y)
    assert cost == ends.min() == 0
    np.testing.assert_array_equal(warping.subsequence(x, y, end, cost).T, cells)


def test_librosa_finds_the_same_subsequences() -> None:
    librosa = pytest.importorskip("librosa")
    rng = np.random.default_rng(3)
    y, x = rng.standard_normal((400 if COMPILED else 60, 13)), rng.standard_normal((20, 13))
    totals, cells = librosa.sequence.dtw(
        X=x.T, Y=y.T, step_sizes_sigma=np.array([[1, 0], [0, 3], [1, 3]]), weights_mul=np.ones(3), subseq=True
    )
    (cost,), (end,) = warping.subsequences(x, y, np.array([0]), 20)
    assert cost == pytest.approx(totals[-1].min(), rel=1e-12)
    assert end == totals[-1].argmin()
    np.testing.assert_array_equal(warping.subsequence(x, y, end, cost).T, cells[::-1])


# Long sequences


def test_near_path_is_the_cheapest_where_that_lies_near() -> None:
    """With a penalty fast_dtw is dtw, and so is what is soft about it."""
    n = 600 if COMPILED else 90
    x = walk(n, 5)
    y = x[np.sort(np.random.default_rng(4).integers(0, n, n + 30))] + 0.1 * walk(n + 30, 5, 1)
    for penalty in (1e-6, 0.3):
        total, cells = warping.dtw(x, y, None, penalty)
        near, others = warping.fast_dtw(x, y, n // 8, penalty)
        assert near == total
        np.testing.assert_array_equal(others, cells)
        assert warping.fast_dtw(x, y, 1, penalty)[0] >= total
    lane = warping.near_path(x, y, n // 8, 1e-6)
    assert warping.soft_dtw(x, y, 0.1, lane) == pytest.approx(warping.soft_dtw(x, y, 0.1), rel=1e-9)


def test_likely_subsequences_are_those_of_all() -> None:
    size, m = 24, 3000 if COMPILED else 300
    y = walk(m, 4)
    starts = np.arange(0, m // 3 - size, 17)
    x = y[::3] + 0.1 * walk(m // 3, 4, 2)[: len(y[::3])]
    costs, ends = warping.subsequences(x, y, starts, size)
    near, places = warping.likely_subsequences(x, y, starts, size, m)
    assert (near >= costs).all()
    assert np.mean(near == costs) > 0.9
    np.testing.assert_array_equal(places[near == costs], ends[near == costs])
    np.testing.assert_array_equal(warping.likely_subsequences(x, y, starts, size, m, threads=3), (near, places))


@pytest.mark.skipif(not COMPILED, reason="tracing every allocation of plain Python takes minutes")
def test_memory_of_a_path_in_a_corridor_grows_with_the_length() -> None:
    import tracemalloc

    peaks = []
    for n in (4000, 16000):
        x = np.random.default_rng(n).standard_normal((n, 3))
        warping.fast_dtw(x[:99], x[:99], 40, 1e-6)
        tracemalloc.start()
        warping.fast_dtw(x, x[::-1], 40, 1e-6)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 6 * peaks[0]
