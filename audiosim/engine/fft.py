"""The real FFT that all spectral metrics use: the one place that names an FFT.

How `_spectra` works. n real samples are m = n / 2 complex ones, z[j] = x[2 j] + i x[2 j + 1], read as a matrix [m / V,
V] of V lanes (8 float32 or 4 float64, one vector of AVX):

1. An FFT down the columns by Stockham passes of radix 4, the first one of radix 8 where the number of rows asks for
   it. Every lane does the same, so nothing is shuffled.
2. A product with the twiddles W_m^(lane row), a transpose of V rows, and a V-point FFT over the lanes: row k becomes
   the bins k + (m / V) q.
3. The split into the m + 1 bins of the real signal: its even samples are the real part of z, its odd ones the imaginary
   part.

Each frame is computed alone, by the same instructions: the same bits in blocks, alone and on any thread.

The inverse is the same FFT once more, since the Hartley transform (sums with cos + sin) is its own transpose: see
`irfft`. Sizes that are no power of two, or beyond SIZES, are scipy's.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from .kernel import exact_kernel
from .vectors import BYTES, codelet, shuffle

Array = NDArray[Any]

SIZES = frozenset(1 << k for k in range(7, 15))
BLOCK = 1 << 14  # samples of an inverse at a time: its three steps meet in the cache


def rfft(x: Array, n: int | None = None) -> Array:
    """Real FFT over the last axis, in the dtype given; n: cut, or continued with zeros, to so many samples."""
    n = n or x.shape[-1]
    plan = _plan(n, x.dtype)
    if plan is None:
        import scipy.fft

        result: Array = scipy.fft.rfft(x, n)
        return result
    if x.shape[-1] != n:
        fitted = np.zeros((*x.shape[:-1], n), x.dtype)
        used = min(n, x.shape[-1])
        fitted[..., :used] = x[..., :used]
        x = fitted
    rows = np.ascontiguousarray(x).reshape(1, -1)
    out = np.empty((1, rows.size // n, n + 2), x.dtype)
    tables, kind = plan
    _spectra(rows, n, _constant(n, 1.0, x.dtype), tables, out)
    spectra: Array = out.view(kind).reshape(*x.shape[:-1], n // 2 + 1)
    return spectra


def irfft(x: Array, n: int) -> Array:
    """Inverse of rfft, n samples.

    With h[k] = re - im and h[n - k] = re + im of each bin, the sum of re cos - im sin is that of h (cos + sin): the
    Hartley transform of h, which its FFT holds in the same way.
    """
    dtype = x.real.dtype
    plan = _plan(n, dtype)
    if plan is None or x.shape[-1] != n // 2 + 1:
        import scipy.fft

        result: Array = scipy.fft.irfft(x, n)
        return result
    pairs = np.ascontiguousarray(x).view(dtype).reshape(-1, n + 2)
    out = np.empty((len(pairs), n), dtype)
    size = max(1, BLOCK // n)
    scale = _constant(n, 1 / n, dtype)
    bins = np.empty((1, size, n + 2), dtype)
    for first in range(0, len(pairs), size):
        rows = out[first : first + size]
        part = bins[:, : len(rows)]
        _hartley(pairs[first : first + size], rows)
        _spectra(rows.reshape(1, -1), n, scale, plan[0], part)
        _hartley(part[0], rows)
    return out.reshape(*x.shape[:-1], n)


def frames_rfft(x: Array, hop: int, window: Array, out: Array) -> Array:
    """Spectra of windowed frames, every hop samples of x [signal, sample]: complex [signal, frame, bin].

    window: [n_fft] of the samples' dtype, zeros included. out: [signal, frame, n_fft + 2] of that dtype, overwritten:
    the result is a view of it.
    """
    n = window.size
    plan = _plan(n, x.dtype)
    if plan is not None:
        tables, kind = plan
        _spectra(x, hop, window, tables, out)
        return out.view(kind)
    cut = np.lib.stride_tricks.sliding_window_view(x, n, axis=-1)[:, : 1 + (out.shape[1] - 1) * hop : hop]
    return rfft(np.multiply(cut, window, out=out[..., :n]))


def analytic_magnitude(spectra: Array) -> Array:
    """|inverse complex FFT| over the last axis: of the bins of a band above 0 Hz, its envelope at a lower rate."""
    import scipy.fft

    result: Array = np.abs(scipy.fft.ifft(spectra, overwrite_x=True))
    return result


def fast_length(n: int) -> int:
    """The next length that rfft handles fast."""
    import scipy.fft

    return int(scipy.fft.next_fast_len(n, real=True))


@lru_cache(maxsize=64)
def _plan(n: int, dtype: Any) -> tuple[Array, Any] | None:
    """Tables and complex dtype where `_spectra` does it; uncompiled it would be a thousand times slower than scipy."""
    if n not in SIZES or dtype not in (np.float32, np.float64) or numba.config.DISABLE_JIT:
        return None
    return _tables(n, dtype), np.result_type(dtype, np.complex64)


# The FFT of m complex numbers: re at [i], im at [m + i] of an array; a complex vector is a pair (re, im)


def _times(x: Any, w: Any) -> Any:
    return x[0] * w[0] - x[1] * w[1], x[0] * w[1] + x[1] * w[0]


def _plus(x: Any, y: Any) -> Any:
    return x[0] + y[0], x[1] + y[1]


def _minus(x: Any, y: Any) -> Any:
    return x[0] - y[0], x[1] - y[1]


def _plus_i(x: Any, y: Any) -> Any:
    """x + i y."""
    return x[0] - y[1], x[1] + y[0]


def _minus_i(x: Any, y: Any) -> Any:
    """x - i y."""
    return x[0] + y[1], x[1] - y[0]


def _fft4(a: Any, b: Any, c: Any, d: Any) -> Any:
    p, q, r, s = _plus(a, c), _minus(a, c), _plus(b, d), _minus(b, d)
    return _plus(p, r), _minus_i(q, s), _minus(p, r), _plus_i(q, s)


def _fft8(*x: Any) -> Any:
    even, odd = _fft4(*x[::2]), _fft4(*x[1::2])
    root = math.sqrt(0.5)
    (p, q), (r, s) = odd[1], odd[3]
    first = (p + q) * root, (q - p) * root  # odd[1] W_8
    third = (r - s) * root, (r + s) * root  # odd[3] W_8^3, times -1
    low = _plus(even[0], odd[0]), _plus(even[1], first), _minus_i(even[2], odd[2]), _minus(even[3], third)
    high = _minus(even[0], odd[0]), _minus(even[1], first), _plus_i(even[2], odd[2]), _plus(even[3], third)
    return *low, *high


_FFT = {4: _fft4, 8: _fft8}


def _get(a: Any, i: Any, m: Any) -> Any:
    return a.load(i), a.load(m + i)


def _put(a: Any, i: Any, m: Any, x: Any) -> None:
    a.store(i, x[0])
    a.store(m + i, x[1])


def _pass(x: Any, twiddles: Any, t: Any, out: Any, o: Any, step: Any, m: Any) -> None:
    """One butterfly: the FFT of the rows x, times the twiddles [row - 1, (re, im)] from t on (None: all 1)."""
    for j, y in enumerate(_FFT[len(x)](*x)):
        if j and twiddles is not None:
            y = _times(y, (twiddles.splat(t + (2 * j - 2)), twiddles.splat(t + (2 * j - 1))))
        _put(out, o + step * j, m, y)


def _even(lanes: int) -> list[int]:
    """The even elements of two vectors, in the order in which one instruction of AVX picks them: by 16 bytes."""
    half = lanes // 2
    return [v * lanes + i for start in (0, half) for v in (0, 1) for i in range(start, start + half, 2)]


def _windowed(radix: int, x: Any, start: Any, window: Any, i: Any, step: Any) -> Any:
    """Rows of the matrix of complex samples from the windowed signal, lanes in the order of _even."""
    even = _even(x.lanes)
    odd = [k + 1 for k in even]
    rows = []
    for j in range(radix):
        at = 2 * (i + step * j)
        p, q = (x.load(start + k) * window.load(k) for k in (at, at + x.lanes))
        rows.append((shuffle(p, q, even), shuffle(p, q, odd)))
    return rows


@codelet
def _first4(x: Any, start: Any, window: Any, i: Any, step: Any, table: Any, t: Any, out: Any, o: Any, m: Any) -> None:
    _pass(_windowed(4, x, start, window, i, step), table, t, out, o, x.lanes, m)


@codelet
def _first8(x: Any, start: Any, window: Any, i: Any, step: Any, table: Any, t: Any, out: Any, o: Any, m: Any) -> None:
    _pass(_windowed(8, x, start, window, i, step), table, t, out, o, x.lanes, m)


@codelet
def _middle(a: Any, i: Any, step: Any, twiddles: Any, t: Any, out: Any, o: Any, apart: Any, m: Any) -> None:
    _pass([_get(a, i + step * j, m) for j in range(4)], twiddles, t, out, o, apart, m)


@codelet
def _last(a: Any, i: Any, step: Any, out: Any, m: Any) -> None:
    _pass([_get(a, i + step * j, m) for j in range(4)], None, 0, out, i, step, m)


def _interleaved(lanes: int, step: int, part: int, group: int) -> list[int]:
    """Pieces of `step` lanes of two vectors in turns, from one half (part 0 or 1) of each group of lanes."""
    half = group // 2
    starts = range(part * half, lanes, group)
    return [v * lanes + i + k for s in starts for i in range(s, s + half, step) for v in (0, 1) for k in range(step)]


def _exchanged(rows: Any) -> Any:
    """Rows become lanes, in an order that takes one instruction of AVX for each vector and step."""
    lanes = len(rows)
    step = 1
    while step < lanes:
        low, high = (_interleaved(lanes, step, part, max(lanes // 2, 2 * step)) for part in (0, 1))
        rows = [shuffle(rows[i & ~step], rows[i | step], high if i & step else low) for i in range(lanes)]
        step *= 2
    return rows


def _transposed(rows: Any) -> Any:
    lanes = len(rows)
    order = [int(row[0]) for row in _exchanged([np.arange(lanes)] * lanes)]
    rows = _exchanged(rows)
    return [rows[order.index(i)] for i in range(lanes)]


@codelet
def _lanes(a: Any, k: Any, count: Any, twiddles: Any, t: Any, out: Any, m: Any) -> None:
    """Rows k, k + 1, ... of the matrix of `count` rows, transformed over their lanes, become bins."""
    lanes = a.lanes
    at = [lanes * k + lanes * j for j in range(lanes)]
    rows = [_times(_get(a, i, m), _get(twiddles, t + i, m)) for i in at]
    re, im = (_transposed([row[part] for row in rows]) for part in (0, 1))
    place = [k // 2 for k in _even(lanes)].index
    for q, y in enumerate(_FFT[lanes](*((re[place(j)], im[place(j)]) for j in range(lanes)))):
        _put(out, k + count * q, m, y)


@codelet
def _split(z: Any, k: Any, j: Any, twiddles: Any, t: Any, half: Any, out: Any, m: Any) -> None:
    """Bins k, k + 1, ... and j, j + 1, ... of the real signal, which mirror each other, as pairs of reals."""
    lanes = z.lanes
    backwards = range(lanes)[::-1]
    low, high = (_interleaved(lanes, 1, part, lanes) for part in (0, 1))
    a, b = _get(z, k, m), _get(z, j, m)
    b = shuffle(b[0], None, backwards), shuffle(b[1], None, backwards)
    even = (a[0] + b[0]) * 0.5, (a[1] - b[1]) * 0.5
    odd = _times((a[0] - b[0], a[1] + b[1]), _get(twiddles, t + k - 1, half))
    x = _plus(even, odd)
    y = shuffle(even[0] - odd[0], None, backwards), shuffle(odd[1] - even[1], None, backwards)
    for i, (re, im) in ((k, x), (j, y)):
        out.store(2 * i, shuffle(re, im, low))
        out.store(2 * i + lanes, shuffle(re, im, high))


@exact_kernel
def _spectra(x: Array, hop: int, window: Array, tables: Array, out: Array) -> None:
    """out[signal, frame] = pairs of reals, the spectrum of the windowed samples from frame * hop on of x[signal]."""
    m = window.size // 2
    lanes = BYTES // x.itemsize
    count = m // lanes
    radix = 4
    while radix < count:
        radix *= 4
    radix = 4 if radix == count else 8
    first = tables.size - 3 * m  # behind the twiddles of the passes: those of the lanes, then those of the split
    work = np.empty((2, 2 * m), x.dtype)
    for s in range(out.shape[0]):
        signal = x[s]
        for f in range(out.shape[1]):
            start = f * hop
            a, b = work[0], work[1]
            t = 0
            step = m // radix
            for p in range(count // radix):
                if radix == 4:
                    _first4(signal, start, window, p * lanes, step, tables, t, a, p * radix * lanes, m)
                else:
                    _first8(signal, start, window, p * lanes, step, tables, t, a, p * radix * lanes, m)
                t += 2 * (radix - 1)
            done, size = radix, count // radix  # done: columns' FFTs of so many rows; size: what is left of them
            while size > 4:
                step = done * (size // 4) * lanes
                for p in range(size // 4):
                    for q in range(done):
                        at, to = q + done * p, q + done * 4 * p
                        _middle(a, at * lanes, step, tables, t, b, to * lanes, done * lanes, m)
                    t += 6
                done, size = 4 * done, size // 4
                a, b = b, a
            if size == 4:
                for q in range(done):
                    _last(a, q * lanes, done * lanes, b, m)
                a, b = b, a
            for k in range(0, count, lanes):
                _lanes(a, k, count, tables, first, b, m)
            bins = out[s, f]
            for k in range(1, m // 2, lanes):
                _split(b, k, m - k - (lanes - 1), tables, first + 2 * m, m // 2, bins, m)
            bins[0] = b[0] + b[m]
            bins[1] = 0
            bins[2 * m] = b[0] - b[m]
            bins[2 * m + 1] = 0


@codelet
def _sums(z: Any, k: Any, out: Any, j: Any) -> None:
    """re - im of bins k, k + 1, ... to k of out, and re + im of these backwards to j."""
    lanes = z.lanes
    p, q = z.load(2 * k), z.load(2 * k + lanes)
    re, im = (shuffle(p, q, range(part, 2 * lanes, 2)) for part in (0, 1))
    out.store(k, re - im)
    out.store(j, shuffle(re + im, None, range(lanes)[::-1]))


@exact_kernel
def _hartley(spectra: Array, out: Array) -> None:
    """out[frame, k] = re - im and out[frame, n - k] = re + im of bin k; bins 0 and n / 2 are taken as real."""
    n = out.shape[1]
    lanes = BYTES // out.itemsize
    for f in range(out.shape[0]):
        z = spectra[f]
        row = out[f]
        for k in range(1, n // 2, lanes):
            _sums(z, k, row, n - k - (lanes - 1))
        row[0] = z[0]
        row[n // 2] = z[n]


def _tables(n: int, dtype: Any) -> Array:
    """Twiddles, made in float64: of the passes [p, row - 1, (re, im)], of the lanes [(re, im), row, lane], of the split
    [(re, im), bin]."""
    m = n // 2
    lanes = BYTES // dtype.itemsize
    count = m // lanes
    passes = []
    size, radix = count, 4 if round(math.log2(count)) % 2 == 0 else 8
    while size > 4:
        w = _roots(np.outer(np.arange(size // radix), np.arange(1, radix)), size)
        passes.append(np.stack([w.real, w.imag], -1).ravel())
        size, radix = size // radix, 4
    lane = _roots(np.outer(np.arange(count), [k // 2 for k in _even(lanes)]), m).ravel()
    split = -0.5j * _roots(np.arange(1, m // 2 + 1), n)
    return np.concatenate([*passes, lane.real, lane.imag, split.real, split.imag]).astype(dtype)


def _roots(k: Array, n: int) -> Array:
    """exp(-2 pi i k / n) for integers k, n a multiple of 8; each rounded but once, as the angle stays below pi / 4."""
    turns = (8 * k // n + 1) // 2  # quarters nearest to the angle
    z: Array = np.exp(-2j * np.pi * ((4 * k - turns * n) / (4 * n))) * np.array([1, -1j, -1, 1j])[turns % 4]
    return z


@lru_cache(maxsize=64)
def _constant(n: int, value: float, dtype: Any) -> Array:
    """A window that is the same everywhere."""
    return np.full(n, value, dtype)
