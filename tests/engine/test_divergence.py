"""Each kernel over ranges of bins against its formula over whole spectra."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import scipy.fft

from audiosim.engine import divergence
from audiosim.testing.signals import Array
from tests import naive

FRAMES = 3
BINS = (1, 2, 3, 17, 129, 2500)
FLOOR = 1e-3

Kernel = Callable[..., None]


def powers(bins: int, seed: int = 0, dtype: type = np.float64) -> tuple[Array, Array]:
    """Powers from 1e-6 to 1e2 [frame, bin]; some equal, some below the floor in either or both."""
    rng = np.random.default_rng([bins, seed])
    ref, test = 10 ** rng.uniform(-6, 2, (2, FRAMES, bins))
    test[:, ::5] = ref[:, ::5]
    return ref.astype(dtype), test.astype(dtype)


def complex_spectra(bins: int) -> tuple[Array, Array]:
    rng = np.random.default_rng([bins, 1])
    ref, test = (rng.standard_normal((2, FRAMES, bins, 2)) @ [1, 1j]) * 10 ** rng.uniform(-3, 1, (2, FRAMES, bins))
    test[:, ::5] = ref[:, ::5]
    test[0, :] *= 1e-3
    return ref, test


def cuts(bins: int) -> list[Array]:
    """All bins; every bin alone; a few uneven ranges."""
    uneven = np.unique([0, 1, bins // 3, bins // 2, max(bins - 1, 0), bins])
    return [np.array([0, bins]), np.arange(bins + 1), uneven]


def sums(kernel: Kernel, arguments: Sequence[Any], edges: Array, terms: int, frames: int = FRAMES) -> Array:
    out = np.full((frames, edges.size - 1, terms), np.nan)
    kernel(*arguments, edges, out)
    return out


def reals(z: Array) -> Array:
    """[frame, bin] complex as [frame, 2 bin]."""
    return np.ascontiguousarray(z).view(z.real.dtype)


REAL = {
    "log_absolute": (divergence.log_absolute, naive.log_absolute, (FLOOR,)),
    "differences": (divergence.differences, naive.differences, ()),
}
COMPLEX = {
    "energies": (divergence.energies, naive.energies, (0.7, 0.01)),
    "compressed": (divergence.compressed, naive.compressed, (0.3, 1e-12)),
    "compressed, power 1": (divergence.compressed, naive.compressed, (1.0, 1e-3)),
    "phases": (divergence.phases, naive.phases, (1e-16,)),
    "phases, fading": (divergence.phases, naive.phases, (1e-2,)),
}


@pytest.mark.parametrize("bins", BINS)
@pytest.mark.parametrize("name", REAL)
def test_of_powers(name: str, bins: int) -> None:
    kernel, twin, arguments = REAL[name]
    ref, test = powers(bins)
    terms: Array = twin(ref, test, *arguments)  # type: ignore[operator]
    for edges in cuts(bins):
        ours = sums(kernel, (ref, test, *arguments), edges, terms.shape[2])  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, naive.in_ranges(terms, edges), rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("bins", [b for b in BINS if b > 1])
@pytest.mark.parametrize("name", COMPLEX)
def test_of_complex_spectra(name: str, bins: int) -> None:
    kernel, twin, arguments = COMPLEX[name]
    ref, test = complex_spectra(bins)
    terms: Array = twin(ref, test, *arguments)  # type: ignore[operator]
    for edges in cuts(bins):
        ours = sums(kernel, (reals(ref), reals(test), *arguments), edges, terms.shape[2])  # type: ignore[arg-type]
        np.testing.assert_allclose(ours, naive.in_ranges(terms, edges), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("name", [*REAL, *COMPLEX])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_spectra_differ_by_exactly_nothing(name: str, dtype: type) -> None:
    if name in REAL:
        kernel, _, arguments = REAL[name]
        x = powers(129, 3, dtype)[0]
    else:
        kernel, _, arguments = COMPLEX[name]
        x = reals(complex_spectra(129)[0]).astype(dtype)
    bins = 129
    differ = {"differences": (0, 2), "energies": (2,), "phases": (0, 2, 4), "compressed": (0, 1, 2, 3)}
    if name == "energies":
        arguments = (1.0, 0.01)
    for edges in cuts(bins):
        ours = sums(kernel, (x, x.copy(), *arguments), edges, 6)  # type: ignore[arg-type]
        assert not ours[:, :, list(differ.get(name.split(",")[0], (0,)))].any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("bins", [1, 511, 512, 513, 1024, 5000])
@pytest.mark.parametrize("decades", [0.01, 3.0, 15.0])
def test_log_absolute_multiplies_its_mantissas_without_overflow(dtype: type, bins: int, decades: float) -> None:
    rng = np.random.default_rng(bins)
    ref, test = (10 ** rng.uniform(-decades, decades, (2, FRAMES, bins))).astype(dtype)
    terms = naive.log_absolute(ref.astype(np.float64), test.astype(np.float64), 1e-30)
    for edges in (np.array([0, bins]), np.unique([0, 1, bins])):
        ours = sums(divergence.log_absolute, (ref, test, 1e-30), edges, 1)
        half_digits = bins * 2.0**-24 if dtype is np.float32 else 0  # quotients are rounded to the type of the powers
        np.testing.assert_allclose(ours, naive.in_ranges(terms, edges), rtol=1e-12, atol=half_digits)


def test_log_absolute_of_mantissas_just_below_two() -> None:
    ref = np.ones((1, 3000))
    test = np.full((1, 3000), np.nextafter(2, 0))
    ours = sums(divergence.log_absolute, (ref, test, 1e-30), np.array([0, 3000]), 1, 1)
    assert float(ours[0, 0, 0]) == pytest.approx(3000 * np.log(2), rel=1e-12)


LOGARITHMIC = {  # of powers or magnitudes
    "log_absolute": lambda r, t, e: sums(divergence.log_absolute, (r, t, 1e-37), e, 1),
    "cepstral": lambda r, t, e: sums(divergence.cepstral, (r, t, 1e-37, np.eye(r.shape[1])), e, 1),
}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOGARITHMIC)
def test_the_lowest_floor_against_the_loudest_power(name: str, dtype: type) -> None:
    """Quotients beyond the largest float32."""
    ref, test = (np.array(p, dtype) * np.ones((FRAMES, 40), dtype) for p in ([[0.0]], [[1e6]]))
    with np.errstate(over="ignore"):
        ours = LOGARITHMIC[name](ref, test, np.array([0, 7, 40]))
    log = np.log(1e6) - np.log(1e-37)
    expected = log if name == "log_absolute" else log**2
    np.testing.assert_allclose(ours[0, :, 0], [7 * expected, 33 * expected], rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", LOGARITHMIC)
@pytest.mark.parametrize("bad", [np.inf, np.nan])
def test_powers_that_overflowed_are_no_numbers(name: str, dtype: type, bad: float) -> None:
    ref, test = powers(40, 1, dtype)
    spoilt = test.copy()
    spoilt[1, 3] = bad
    with np.errstate(all="ignore"):
        for r, t in ((ref, spoilt), (spoilt, ref), (spoilt, spoilt)):
            ours = LOGARITHMIC[name](r, t, np.array([0, 40]))[:, 0, 0]
            assert not np.isfinite(ours[1])
            assert np.isfinite(ours[[0, 2]]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("floor", [0.0, 1e-8, 1.0])
def test_powers_and_magnitudes(dtype: type, floor: float) -> None:
    z = np.stack(complex_spectra(129)).astype(np.complex64 if dtype is np.float32 else np.complex128)
    z[0, 0, :4] = 0
    out = np.empty(z.shape, dtype)
    exact = np.maximum(np.abs(z.astype(np.complex128)) ** 2, floor)
    tolerance = 1e-6 if dtype is np.float32 else 1e-14
    divergence.powers(z.view(dtype), floor, out)
    np.testing.assert_allclose(out, exact, rtol=tolerance)
    divergence.magnitudes(z.view(dtype), floor, out)
    np.testing.assert_allclose(out, np.sqrt(exact), rtol=tolerance)


def test_project() -> None:
    rng = np.random.default_rng(2)
    weights = rng.random((5, 40))
    starts, stops = np.array([0, 3, 10, 20, 0]), np.array([5, 4, 40, 20, 40])  # one bin, none, all
    for band, (a, b) in enumerate(zip(starts, stops, strict=True)):
        weights[band, :a] = weights[band, b:] = 0
    values = rng.random((2, FRAMES, 40))
    out = np.full((2, FRAMES, 5), np.nan)
    divergence.project(values, starts, stops, weights, out)
    np.testing.assert_allclose(out, values @ weights.T, rtol=1e-13)


@pytest.mark.parametrize("bands", [1, 2, 20, 128])
def test_cepstral(bands: int) -> None:
    ref, test = powers(bands)
    for first, last in ((0, bands), (0, max(1, bands // 2)), (1, bands)):
        basis = naive.dct(bands)[first:last]
        if not basis.size:
            continue
        terms = naive.cepstral(ref, test, FLOOR, basis)
        coefficients = [scipy.fft.dct(np.log(np.maximum(x, FLOOR)), norm="ortho")[:, first:last] for x in (ref, test)]
        squared = np.sum((coefficients[1] - coefficients[0]) ** 2, axis=1)
        np.testing.assert_allclose(terms[:, :, 0].sum(axis=1), squared, rtol=1e-10, atol=1e-20)
        for edges in cuts(bands):
            ours = sums(divergence.cepstral, (ref, test, FLOOR, basis), edges, 1)
            np.testing.assert_allclose(ours, naive.in_ranges(terms, edges), rtol=1e-10, atol=1e-13)


def test_phases_are_those_of_angles() -> None:
    """Sum of |X| (1 - cos(arg Y - arg X)); the same of the steps to the next frame and bin."""
    ref, test = complex_spectra(129)
    ours = sums(divergence.phases, (reals(ref), reals(test), 1e-30), np.array([0, 129]), 6).sum(axis=(0, 1))
    turn, weight = np.angle(test) - np.angle(ref), np.abs(ref)
    wanted = [
        np.sum(weight * (1 - np.cos(turn))),
        np.sum(weight),
        np.sum(weight[1:] * (1 - np.cos(np.diff(turn, axis=0)))),
        np.sum(weight[1:]),
        np.sum(weight[:, :-1] * (1 - np.cos(np.diff(turn, axis=1)))),
        np.sum(weight[:, :-1]),
    ]
    np.testing.assert_allclose(ours, wanted, rtol=1e-11)


def test_opposite_and_silent_phases() -> None:
    ref = complex_spectra(129)[0]
    for test, distance in ((-ref, 2.0), (1j * ref, 1.0), (3 * ref, 0.0), (0 * ref, 0.5)):
        ours = sums(divergence.phases, (reals(ref), reals(test), 1e-16), np.array([0, 129]), 6).sum(axis=(0, 1))
        assert ours[0] / ours[1] == pytest.approx(distance, rel=1e-12, abs=1e-15)
