"""The real FFT: right to rounding at every size, and the same bits however frames are grouped."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.fft
from llvmlite import binding

from audiosim.engine import fft

SIZES = sorted(fft.SIZES)
DTYPES = [np.float32, np.float64]
COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") == "0"

pytestmark = pytest.mark.filterwarnings("error")


def noise(shape: tuple[int, ...], dtype: type, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def rms(x: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.abs(x) ** 2)))


def rows(x: np.ndarray) -> np.ndarray:
    """By the kernel, whether compiled or not."""
    n = x.shape[-1]
    out = np.empty((1, len(x), n + 2), x.dtype)
    fft._spectra(x.reshape(1, -1), n, np.ones(n, x.dtype), fft._tables(n, x.dtype), out)
    return out.view(np.result_type(x.dtype, np.complex64))[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_the_kernel_is_as_exact_as_scipy(n: int, dtype: type) -> None:
    x = noise((16 if COMPILED else 1, n), dtype, n)
    true = np.fft.rfft(x.astype(np.longdouble))
    assert rms(rows(x) - true) < (1.2 if COMPILED else 1.5) * rms(scipy.fft.rfft(x) - true)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", SIZES)
def test_the_inverse_inverts(n: int, dtype: type) -> None:
    x = noise((5, n), dtype, n)
    ours, theirs = fft.irfft(fft.rfft(x), n), scipy.fft.irfft(scipy.fft.rfft(x), n)
    assert ours.dtype == dtype
    assert rms(ours - x) < 1.3 * rms(theirs - x)


@pytest.mark.parametrize("n", [256, 1024])
def test_the_inverse_is_the_transpose_of_the_fft(n: int) -> None:
    """irfft(z) is 2 / n times the transpose, but for the bins 0 and n / 2, which stand for themselves alone."""
    x, z = noise((3, n), np.float64), fft.rfft(noise((3, n), np.float64, 1))
    weights = np.full(n // 2 + 1, 2 / n)
    weights[[0, -1]] = 1 / n
    inner = (fft.rfft(x).conj() * z * weights).real.sum()
    assert inner == pytest.approx((x * fft.irfft(z, n)).sum(), rel=1e-12)


def test_the_ends_of_an_inverse_are_taken_as_real() -> None:
    z = fft.rfft(noise((2, 512), np.float64)) + 1j
    np.testing.assert_allclose(fft.irfft(z, 512), scipy.fft.irfft(z, 512), atol=1e-14)


@pytest.mark.parametrize("n", [100, 127, 64, 1000, 1 << 15])
@pytest.mark.parametrize("dtype", DTYPES)
def test_other_sizes_are_scipys(n: int, dtype: type) -> None:
    x = noise((2, n), dtype)
    np.testing.assert_array_equal(fft.rfft(x), scipy.fft.rfft(x))
    np.testing.assert_array_equal(fft.irfft(fft.rfft(x), n), scipy.fft.irfft(scipy.fft.rfft(x), n))


@pytest.mark.parametrize("length", [100, 512, 700])
def test_samples_are_cut_or_continued_with_zeros(length: int) -> None:
    x = noise((2, 3, length), np.float64)
    np.testing.assert_allclose(fft.rfft(x, 512), scipy.fft.rfft(x, 512), atol=1e-12)
    assert fft.rfft(x, 512).shape == (2, 3, 257)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("n", [128, 512, 1024])
def test_frames_have_the_same_bits_alone_in_blocks_on_threads_and_at_any_address(n: int, dtype: type) -> None:
    x = noise((2, 40 * n + 7), dtype)
    hop, count, window = n // 4 + 1, 100, np.hanning(n).astype(dtype)

    def spectra(y: np.ndarray, frames: int) -> np.ndarray:
        return fft.frames_rfft(y, hop, window, np.empty((len(y), frames, n + 2), dtype))

    whole = spectra(x, count)
    shifted = np.empty(x.size + 1, dtype)[1:].reshape(x.shape)
    shifted[:] = x
    np.testing.assert_array_equal(spectra(shifted, count), whole)

    def alone(f: int) -> np.ndarray:
        return np.concatenate([spectra(y[None, f * hop : f * hop + n].copy(), 1)[0] for y in x])

    with ThreadPoolExecutor(4) as pool:
        np.testing.assert_array_equal(np.stack(list(pool.map(alone, range(count))), axis=1), whole)
    np.testing.assert_array_equal(fft.rfft(x[0, : 4 * n].reshape(4, n)[2]), fft.rfft(x[0, 2 * n : 3 * n]))


@pytest.mark.parametrize("n", [300, 512])
def test_frames_are_windowed(n: int) -> None:
    x, window = noise((2, 4 * n), np.float32), np.hanning(n).astype(np.float32)
    got = fft.frames_rfft(x, 100, window, np.empty((2, 5, n + 2), np.float32))
    want = [[np.fft.rfft(y[100 * f : 100 * f + n] * window) for f in range(5)] for y in x]
    np.testing.assert_allclose(got, want, atol=1e-4)


def test_what_is_not_finite_stays_in_its_frame() -> None:
    x = noise((3, 512), np.float64)
    whole = fft.rfft(x)
    x[1, 7] = np.nan
    got = fft.rfft(x)
    assert np.isnan(got[1]).all()
    np.testing.assert_array_equal(got[[0, 2]], whole[[0, 2]])


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64") or not COMPILED, reason="compiled for x86-64")
@pytest.mark.parametrize("target", ["x86-64", "haswell"])
def test_other_processors(target: str, tmp_path: object) -> None:
    """Vectors of SSE alone, and of AVX2, give right numbers."""
    if target == "haswell" and not binding.get_host_cpu_features().get("avx2"):
        pytest.skip("no AVX2")
    script = (
        "import numpy as np\n"
        "from audiosim.engine import fft\n"
        "for dtype, most in ((np.float32, 1e-4), (np.float64, 1e-12)):\n"
        "    for n in (128, 256, 512):\n"
        "        x = np.random.default_rng(0).standard_normal((3, n)).astype(dtype)\n"
        "        assert abs(fft.rfft(x) - np.fft.rfft(x)).max() < most\n"
        "        assert abs(fft.irfft(fft.rfft(x), n) - x).max() < most\n"
    )
    environment = {**os.environ, "NUMBA_CPU_NAME": target, "NUMBA_CPU_FEATURES": "", "XDG_CACHE_HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
