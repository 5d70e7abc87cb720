"""Transposes by <A x, y> = <x, A* y>, derivatives by differences of the plain formulas."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from audiosim.engine import divergence, fft, fold, stream, transposes
from audiosim.engine.frames import STFT
from audiosim.errors import InputError
from audiosim.testing.signals import Array
from tests import naive

FLOOR = 1e-3
FRAMES = 3


def drawn(*shape: int, seed: int = 0) -> Array:
    return np.random.default_rng([*shape, seed]).standard_normal(shape)


def dot(x: Any, y: Any) -> float:
    """Of complex numbers as pairs of reals."""
    return float(np.sum((np.conj(x) * y).real))


# Transposes


@pytest.mark.parametrize("n", [2, 3, 8, 15, 64])
def test_rfft(n: int) -> None:
    x, y = drawn(2, n), drawn(2, n // 2 + 1, 2) @ [1, 1j]
    y[:, 0] = y[:, 0].real
    if n % 2 == 0:
        y[:, -1] = y[:, -1].real
    expected = dot(fft.rfft(x), y)
    assert n / 2 * dot(x, transposes.transposed_rfft(y, n)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("n_fft", "win", "hop"), [(8, 8, 2), (8, 5, 3), (9, 4, 7), (16, 16, 16)])
def test_overlap_add(n_fft: int, win: int, hop: int) -> None:
    window, offset = drawn(win), (n_fft - win) // 2
    x, y = drawn(2, (FRAMES - 1) * hop + win), drawn(2, FRAMES, n_fft)
    cut = np.zeros_like(y)
    for f in range(FRAMES):
        cut[:, f, offset : offset + win] = x[:, f * hop : f * hop + win] * window
    back = np.zeros_like(x)
    transposes.overlap_add(y, window, hop, back)
    assert dot(x, back) == pytest.approx(dot(cut, y), rel=1e-12)


@pytest.mark.parametrize("length", [1, 2, 20])
@pytest.mark.parametrize("start", [-30, -19, -3, 0, 5, 19, 25])
def test_reads(length: int, start: int) -> None:
    x, factor = drawn(length), 0.7
    pairs = [(stream.read, transposes.transposed_read, 40)]
    if -length < start < length:
        pairs.append((stream.read_reflected, transposes.transposed_reflected_read, 2 * length - 1 - start))
    for there, back, size in pairs:
        read, y, out = np.empty(size), drawn(size, seed=1), drawn(length, seed=2)
        there(x, 0.0, 0, start, read)
        added = out.copy()
        back(y, factor, start, added)
        assert dot(x, added - out) == pytest.approx(factor * dot(read, y), rel=1e-12, abs=1e-12)


def test_project() -> None:
    weights = np.array([[0, 1, 2, 0, 0], [0, 0, 3, 4, 5], [0, 0, 0, 0, 0]], float)
    starts, stops = np.array([1, 2, 0]), np.array([3, 5, 0])
    x, y, there, back = drawn(2, FRAMES, 5), drawn(2, FRAMES, 3), np.empty((2, FRAMES, 3)), np.empty((2, FRAMES, 5))
    divergence.project(x, starts, stops, weights, there)
    transposes.transposed_project(y, starts, stops, weights, back)
    np.testing.assert_allclose(back, y @ weights)
    assert dot(x, back) == pytest.approx(dot(there, y), rel=1e-12)


# Derivatives


def slope(function: Callable[[Array], Array], x: Array) -> Array:
    """Of a function of each element, by central differences."""
    step = 1e-6 * np.abs(x)
    return (function(x + step) - function(x - step)) / (2 * step)


def powers(dtype: type = np.float64) -> tuple[Array, Array]:
    """Some equal, some below the floor in either or both, none at it."""
    rng = np.random.default_rng(1)
    ref, test = 10 ** rng.uniform(-5, 2, (2, FRAMES, 40))
    return ref.astype(dtype), test.astype(dtype)


def test_log_absolute() -> None:
    ref, test = powers()
    ours = np.full_like(test, np.nan)
    transposes.log_absolute(ref, test, FLOOR, ours)
    expected = slope(lambda t: naive.log_absolute(ref, t, FLOOR)[..., 0], test)
    np.testing.assert_allclose(ours, expected, rtol=1e-5, atol=1e-7)
    assert not ours[test < FLOOR].any()


def test_cepstral() -> None:
    ref, test = powers()
    basis = drawn(6, ref.shape[1])
    ours = np.full_like(test, np.nan)
    transposes.cepstral(ref, test, FLOOR, basis, ours)

    def squares(t: Array) -> Array:
        return np.sum(((np.log(np.maximum(t, FLOOR)) - np.log(np.maximum(ref, FLOOR))) @ basis.T) ** 2, axis=1)

    for k in range(test.shape[1]):
        step = np.zeros_like(test)
        step[:, k] = 1e-6 * test[:, k]
        expected = (squares(test + step) - squares(test - step)) / (2 * step[:, k])
        np.testing.assert_allclose(ours[:, k], expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_powers_have_no_slope(dtype: type) -> None:
    x = powers(dtype)[0]
    for kernel, arguments in ((transposes.log_absolute, ()), (transposes.cepstral, (np.eye(x.shape[1]),))):
        ours = np.full_like(x, np.nan)
        kernel(x, x.copy(), FLOOR, *arguments, ours)  # type: ignore[operator]
        assert not ours.any()


def gradient(function: Callable[[Array], Array], z: Array) -> Array:
    """d/d re + i d/d im of a function of each element, by central differences."""
    step = 1e-6 * np.abs(z)
    re, im = ((function(z + turn * step) - function(z - turn * step)) / (2 * step) for turn in (1, 1j))
    return np.asarray(re + 1j * im)


def spectra() -> Array:
    return drawn(2, FRAMES, 20, 2) @ [1, 1j] * 10 ** drawn(2, FRAMES, 20, seed=1)


def test_through_powers() -> None:
    z, slopes = spectra()[1], drawn(FRAMES, 20)
    expected = slopes * gradient(lambda x: np.maximum(np.abs(x) ** 2, FLOOR), z)
    transposes.through_powers(slopes, FLOOR, z.view(float))
    np.testing.assert_allclose(z, expected, rtol=1e-6)


@pytest.mark.parametrize("parts", [1, 2])
def test_through_magnitudes(parts: int) -> None:
    z, slopes = spectra(), drawn(parts, FRAMES, 20)
    magnitudes = np.sqrt(np.maximum(np.abs(z[1]) ** 2, FLOOR))
    expected = slopes * gradient(lambda x: np.sqrt(np.maximum(np.abs(x) ** 2, FLOOR)), z[1])
    transposes.through_magnitudes(slopes, magnitudes, FLOOR, z.view(float))
    np.testing.assert_allclose(z[-parts:], expected, rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("floor", [1e-8, 1e-10, 3e-7, 1e-37])
def test_what_lies_at_the_floor_does_not_move(dtype: type, floor: float) -> None:
    """Whatever the square root of the floor is rounded to."""
    z = np.full((2, 1, 4), 1e-3 * floor**0.5, dtype)
    magnitudes = np.empty((2, 1, 2), dtype)
    divergence.magnitudes(z, floor, magnitudes)
    transposes.through_magnitudes(np.ones((2, 1, 2), dtype), magnitudes[1], floor, z)
    assert not z.any()
    z[1] = 1e-3 * floor**0.5
    transposes.through_powers(np.ones((1, 2), dtype), floor, z[1])
    assert not z.any()


@pytest.mark.parametrize("squared", [True, False])
@pytest.mark.parametrize("power", [0.3, 1.0])
def test_compressed(power: float, squared: bool) -> None:
    ref, test = spectra()

    def value(y: Array) -> Array:
        terms = naive.compressed(ref, y, power, FLOOR)
        return 0.6 * terms[..., 1 if squared else 0] + 0.4 * terms[..., 3 if squared else 2]

    ours = test.copy()
    transposes.compressed(ref.view(float), ours.view(float), power, FLOOR, 0.6, 0.4, squared)
    np.testing.assert_allclose(ours, gradient(value, test), rtol=1e-5, atol=1e-7)
    silent = np.zeros_like(test)
    transposes.compressed(ref.view(float), silent.view(float), power, FLOOR, 0.0, 1.0, squared)
    assert not silent.any(), "the tip of a cone"
    same = ref.copy()
    transposes.compressed(ref.view(float), same.view(float), power, FLOOR, 0.6, 0.4, squared)
    assert not same.any()


def test_phases() -> None:
    """Also below the floor, where phases fade."""
    ref, test = spectra()
    test[0, :5] *= 1e-4
    floor = 1e-4

    def value(y: Array) -> Array:
        u, v = (x / np.maximum(np.abs(x), floor**0.5) for x in (ref, y))
        return np.abs(ref) * np.abs(v - u) ** 2 / 2

    ours = test.copy()
    transposes.phases(ref.view(float), ours.view(float), floor)
    np.testing.assert_allclose(ours, gradient(value, test), rtol=1e-5, atol=1e-6)
    same = ref.copy()
    transposes.phases(ref.view(float), same.view(float), floor)
    assert not same.any()


# All of it


def energy(stft: STFT, parts: int = 1) -> transposes.Objective:
    """Half the squared difference of spectra, or twice a quarter: its gradient is that difference."""

    def measure(dtype: Any, gradient: bool) -> fold.Measure:
        def measure(spectra: Array, edges: Array, out: Array) -> None:
            difference = spectra[1] - spectra[0]
            out[:, 0, 0] = np.sum(np.abs(difference) ** 2, axis=1) / 2
            if gradient:
                spectra[-parts:] = difference

        return measure

    return transposes.Objective(stft, stft.bins, 1, parts, measure, lambda sums, _: (sums[0], [1 / parts] * parts))


@pytest.mark.parametrize("parts", [1, 2])
@pytest.mark.parametrize("length", [9, 20, 101])
@pytest.mark.parametrize(
    "stft",
    [
        STFT.of(16, 4),
        STFT.of(16, 5, "hamming", 7),
        STFT.of(15, 20, "hann", 11),
        STFT.of(16, 6, pad="zero"),
        STFT.of(8, 3, centre=False, pad="zero"),
    ],
)
def test_evaluate(stft: STFT, length: int, parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Quadratic forms: the gradient's product with a direction is the difference of values around, exactly."""
    monkeypatch.setattr(transposes, "BLOCK", 3 * stft.n_fft)
    monkeypatch.setattr(transposes, "BLOCKS_PER_TASK", 2)
    objective = energy(stft, parts)
    ref, test, way = (drawn(2, length, seed=s) for s in range(3))
    values, gradient = transposes.evaluate(objective, ref, test, True, 1)
    before, after = (transposes.evaluate(objective, ref, test + s * way, False, 1) for s in (-1, 1))
    np.testing.assert_allclose(np.sum(gradient * way, axis=1), (after[0] - before[0]) / 2, rtol=1e-10, atol=1e-10)
    assert after[1].shape == (0, length)
    for threads, wanted in ((2, True), (3, False)):
        again, same = transposes.evaluate(objective, ref, test, wanted, threads)
        assert again.tobytes() == values.tobytes()
        assert same.tobytes() == (gradient.tobytes() if wanted else b"")


def test_too_short_is_said() -> None:
    with pytest.raises(InputError, match="too short: a frame takes 9 samples, there are 8"):
        transposes.evaluate(energy(STFT.of(16, 4)), drawn(1, 8), drawn(1, 8), True, 1)
