"""Transport between spectra against its closed forms, and its torch text against finite differences."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.stats import wasserstein_distance

from audiosim.dsp.transport import differentiable, transport
from audiosim.testing.signals import Array
from tests import naive

FRAMES = 3
BINS = (1, 2, 3, 17, 129, 1025)


def spectra(bins: int, seed: int = 0) -> tuple[Array, Array, Array]:
    """Masses of ref and test [frame, bin] over six decades, some of them 0, and uneven positions [bin]."""
    rng = np.random.default_rng([bins, seed])
    ref, test = 10 ** rng.uniform(-3, 3, (2, FRAMES, bins))
    ref[0, 1::4] = 0
    test[1, 1::3] = 0
    return ref, test, np.cumsum(rng.uniform(0.1, 2, bins))


def costs(ref: Any, test: Any, positions: Any, p: int = 1, weight: float = 0.0, edges: Any = None) -> Any:
    """[frame, range, term]; one range unless edges say otherwise."""
    edges = np.array([0, ref.shape[1]]) if edges is None else edges
    out = np.full((ref.shape[0], edges.size - 1, 2), np.nan)
    transport(ref, test, positions, p, weight, edges, out)
    return out


@pytest.mark.parametrize("bins", BINS)
def test_order_1_is_the_area_between_the_cumulated_masses(bins: int) -> None:
    ref, test, x = spectra(bins)
    ahead = np.cumsum(test / test.sum(1, keepdims=True) - ref / ref.sum(1, keepdims=True), axis=1)
    area = np.sum(np.abs(ahead[:, :-1]) * np.diff(x), axis=1)
    np.testing.assert_allclose(costs(ref, test, x)[:, 0, 0], area, rtol=1e-11, atol=1e-13)
    scipys = [wasserstein_distance(x, x, a, b) for a, b in zip(ref, test, strict=True)]
    np.testing.assert_allclose(costs(ref, test, x)[:, 0, 0], scipys, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("bins", BINS)
def test_is_the_integral_over_the_quantiles(bins: int, p: int) -> None:
    ref, test, x = spectra(bins)
    plain = [naive.transport(a, b, x, p) for a, b in zip(ref, test, strict=True)]
    np.testing.assert_allclose(costs(ref, test, x, p)[:, 0, 0], plain, rtol=1e-11, atol=1e-12)


def test_order_2_of_equal_masses_is_the_mean_square_of_sorted_points() -> None:
    """Ten of 40 places each, of mass 1 each: the i-th lowest goes to the i-th lowest."""
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(0, 40, 40))
    places = [np.sort(rng.choice(40, 10, replace=False)) for _ in range(2)]
    ref, test = np.zeros((2, 1, 40))
    ref[0, places[0]] = test[0, places[1]] = 1.0
    square = np.mean((x[places[1]] - x[places[0]]) ** 2)
    assert costs(ref, test, x, 2)[0, 0, 0] == pytest.approx(square, rel=1e-12)


@pytest.mark.parametrize("p", [1, 2])
def test_each_end_of_a_move_bears_half_its_cost(p: int) -> None:
    x = np.array([0.0, 1.0, 3.0, 7.0])
    ref, test = np.array([[1.0, 0.0, 1.0, 2.0]]), np.array([[0.0, 0.0, 8.0, 0.0]])
    out = costs(ref, test, x, p, edges=np.arange(5))[0, :, 0]
    low, high = 3**p / 4, 4**p / 2  # a quarter from 0 to 3, half from 7 to 3
    np.testing.assert_allclose(out, [low / 2, 0, (low + high) / 2, high / 2], rtol=1e-15)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("p", [1, 2])
def test_ranges_add_up(p: int, dtype: type) -> None:
    ref, test, x = spectra(129)
    ref, test = ref.astype(dtype), test.astype(dtype)
    whole = costs(ref, test, x, p, 0.3)[:, 0]
    np.testing.assert_allclose(whole[:, 1], ref.astype(np.float64).sum(axis=1) ** 0.3, rtol=1e-12)
    for edges in (np.arange(130), np.array([0, 1, 40, 100, 129])):
        parts = costs(ref, test, x, p, 0.3, edges)
        np.testing.assert_allclose(parts.sum(axis=1), whole, rtol=1e-12)
        np.testing.assert_allclose(parts[:, :, 1], whole[:, 1:] * np.diff(edges) / 129, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_spectra_differ_by_exactly_nothing(dtype: type) -> None:
    ref, _, x = spectra(1025)
    ref = ref.astype(dtype)
    for edges in (None, np.arange(1026)):
        assert not costs(ref, ref.copy(), x, edges=edges)[:, :, 0].any()
        assert not costs(ref, 4 * ref, x, 2, edges=edges)[:, :, 0].any()


@pytest.mark.parametrize("p", [1, 2])
def test_torch_text(p: int) -> None:
    torch = pytest.importorskip("torch")
    ref, test, x = spectra(17, 1)
    distance = differentiable(x, p)
    a, b = (torch.tensor(m[None], requires_grad=True) for m in (ref, test))
    np.testing.assert_allclose(distance(a, b).detach()[0], costs(ref, test, x, p)[:, 0, 0], rtol=1e-12)
    a, b = (torch.rand(2, FRAMES, 17, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(distance, (a, b))
    value = distance(a, a)
    value.sum().backward()
    assert not value.any()
    assert torch.isfinite(a.grad).all()


@pytest.mark.parametrize("p", [1, 2])
def test_torch_text_compiles_and_needs_no_memory(p: int) -> None:
    torch = pytest.importorskip("torch")
    distance = differentiable(np.arange(17.0), p)
    empty = torch.empty(2, FRAMES, 17, device="meta", dtype=torch.float64, requires_grad=True)
    distance(empty, torch.empty_like(empty)).sum().backward()
    assert empty.grad.shape == empty.shape
    torch.compiler.reset()
    a, b = torch.rand(2, 2, FRAMES, 17, dtype=torch.float64)
    compiled = torch.compile(distance, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(a, b), distance(a, b))
