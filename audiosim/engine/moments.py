"""Sums over the samples of a pair: what the waveform metrics are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .elementary import exponentials, logarithms
from .kernel import exact_kernel, kernel
from .stream import Stream, part
from .threads import in_threads

Array = NDArray[Any]

CHUNK = 1 << 20  # samples per task; fixed, so that sums do not depend on the number of threads
_BLOCK = 4096  # samples that stay in the L1 cache
_PIECE = 1 << 14  # filtered samples that stay in the L2 cache


def over(
    sums: Callable[..., None], terms: int, ref: Stream, test: Stream, *arguments: float, threads: int = 1
) -> Array:
    """The sums [term] of a kernel, of this file or of an ErrorTerm, over a pair of equal length.

    arguments: what the kernel takes after out.
    """
    piece = CHUNK if ref.as_they_are else _PIECE

    def task(start: int) -> Array:
        out, stop = np.zeros(terms), min(start + CHUNK, ref.length)
        for at in range(start, stop, piece):
            size = min(piece, stop - at)
            sums(part(ref, at, size), part(test, at, size), out, *arguments)
        return out

    total: Array = np.sum(in_threads(task, range(0, ref.length, CHUNK), threads), axis=0)
    return total


def mean_pair(ref: Stream, test: Stream, threads: int = 1) -> tuple[float, float]:
    """Means of reference and test."""
    mean_r, mean_t = over(means, 2, ref, test, threads=threads) / ref.length
    return float(mean_r), float(mean_t)


@exact_kernel
def _error(r: Any, t: Any, mean_r: float, mean_t: float, gain: float) -> Any:
    """Of one sample, in this order: else what is equal would not cancel."""
    return (np.float64(t) - mean_t) - gain * (np.float64(r) - mean_r)


@kernel
def means(ref: Array, test: Array, out: Array) -> None:
    """sum r, sum t."""
    for at in range(0, ref.size, _BLOCK):
        r = ref[at : at + _BLOCK]
        t = test[at : at + _BLOCK]
        a = 0.0
        b = 0.0
        for i in range(r.size):
            a += np.float64(r[i])
            b += np.float64(t[i])
        out[0] += a
        out[1] += b


@kernel
def offset(ref: Array, test: Array, out: Array) -> None:
    """sum r - t, sum r^2."""
    for at in range(0, ref.size, _BLOCK):
        r = ref[at : at + _BLOCK]
        t = test[at : at + _BLOCK]
        a = 0.0
        b = 0.0
        for i in range(r.size):
            a += np.float64(r[i]) - np.float64(t[i])
            b += np.float64(r[i]) * np.float64(r[i])
        out[0] += a
        out[1] += b


@kernel
def squares(ref: Array, test: Array, out: Array, mean_r: float, mean_t: float, gain: float) -> None:
    """sum r^2, sum (t - gain r)^2, of r and t without their means."""
    simple = mean_r == 0.0 and mean_t == 0.0 and gain == 1.0
    for at in range(0, ref.size, _BLOCK):
        r = ref[at : at + _BLOCK]
        t = test[at : at + _BLOCK]
        a = 0.0
        b = 0.0
        if simple:  # the difference in the samples' own type: half the work for float32
            for i in range(r.size):
                d = np.float64(t[i] - r[i])
                a += np.float64(r[i]) * np.float64(r[i])
                b += d * d
        else:
            for i in range(r.size):
                u = np.float64(r[i]) - mean_r
                d = _error(r[i], t[i], mean_r, mean_t, gain)
                a += u * u
                b += d * d
        out[0] += a
        out[1] += b


@kernel
def error(ref: Array, test: Array, out: Array) -> None:
    """sum (t - r)^2."""
    for at in range(0, ref.size, _BLOCK):
        r = ref[at : at + _BLOCK]
        t = test[at : at + _BLOCK]
        a = 0.0
        for i in range(r.size):
            d = np.float64(t[i] - r[i])
            a += d * d
        out[0] += a


@kernel
def product(ref: Array, test: Array, out: Array, mean_r: float, mean_t: float) -> None:
    """sum r^2, sum t^2, sum r (t - r), of r and t without their means: the last is exactly 0 for equal signals."""
    for at in range(0, ref.size, _BLOCK):
        r = ref[at : at + _BLOCK]
        t = test[at : at + _BLOCK]
        a = 0.0
        b = 0.0
        c = 0.0
        for i in range(r.size):
            u = np.float64(r[i]) - mean_r
            v = np.float64(t[i]) - mean_t
            a += u * u
            b += v * v
            c += u * _error(r[i], t[i], mean_r, mean_t, 1.0)
        out[0] += a
        out[1] += b
        out[2] += c


@kernel
def joint(
    ref: Array, test: Array, start: int, stop: int, out: Array, gain: Array, mean_r: Array, mean_t: Array
) -> None:
    """sum r^2, sum d^2, sum r d, sum r, sum d over samples start to stop, with d = t - gain r, of r and t without their
    means: [item, sample] and [item] -> [item, 5]."""
    for k in range(ref.shape[0]):
        r = ref[k, start:stop]
        t = test[k, start:stop]
        x = mean_r[k]
        y = mean_t[k]
        g = gain[k]
        rr = 0.0
        dd = 0.0
        rd = 0.0
        sum_r = 0.0
        sum_d = 0.0
        for i in range(r.size):
            u = np.float64(r[i]) - x
            d = _error(r[i], t[i], x, y, g)
            rr += u * u
            dd += d * d
            rd += u * d
            sum_r += u
            sum_d += d
        out[k, 0] = rr
        out[k, 1] = dd
        out[k, 2] = rd
        out[k, 3] = sum_r
        out[k, 4] = sum_d


@exact_kernel
def combination(
    ref: Array,
    test: Array,
    start: int,
    stop: int,
    out: Array,
    gain: Array,
    mean_r: Array,
    mean_t: Array,
    of_r: Array,
    of_d: Array,
    constant: Array,
) -> None:
    """of_r r + of_d d + constant of what joint sums: [item, sample] and [item] -> [item, sample]."""
    for k in range(ref.shape[0]):
        r = ref[k, start:stop]
        t = test[k, start:stop]
        y = out[k, start:stop]
        x = mean_r[k]
        m = mean_t[k]
        g = gain[k]
        a = of_r[k]
        b = of_d[k]
        c = constant[k]
        for i in range(y.size):
            y[i] = a * (np.float64(r[i]) - x) + b * _error(r[i], t[i], x, m, g) + c


@kernel
def log_cosh(ref: Array, test: Array, out: Array, slope: float, eps: float) -> None:
    """sum ln(cosh(slope (t - r)) + eps), without overflow and without losing the digits of small errors.

    A block of small errors goes through the series of ln cosh, to 1e-12; others through the definition, beyond 300
    through its asymptote.
    """
    errors = np.empty(_BLOCK)
    exponents = np.empty(_BLOCK, np.int64)
    for at in range(0, ref.size, _BLOCK):
        r = ref[at : at + _BLOCK]
        t = test[at : at + _BLOCK]
        u = errors[: r.size]
        largest = 0.0
        for i in range(r.size):
            u[i] = abs(slope * np.float64(t[i] - r[i]))
            largest = max(largest, u[i])
        a = 0.0
        if largest < 0.25 and eps < 1e-4:
            for i in range(u.size):
                y = u[i] * u[i]
                p = 21844 / 85135050 - y * (929569 / 10216206000)
                p = 1382 / 1871100 - y * p
                p = 62 / 28350 - y * p
                p = 17 / 2520 - y * p
                p = 2 / 90 - y * p
                p = 1 / 12 - y * p
                p = y * (0.5 - y * p)
                z = eps * (1 - p * (1 - p * (0.5 - p * (1 / 6 - p / 24))))  # eps / cosh u
                a += p + z * (1 - z * (0.5 - z / 3))
        else:
            for i in range(u.size):
                bounded = min(u[i], 300.0)
                a += u[i] - bounded
                u[i] = bounded
            exponentials(u, exponents[: u.size])
            for i in range(u.size):
                u[i] = 0.5 * (u[i] + 1.0 / u[i]) + eps
            logarithms(u, exponents[: u.size])
            for i in range(u.size):
                a += u[i]
        out[0] += a


@kernel
def log_cosh_slope(
    ref: Array, test: Array, start: int, stop: int, out: Array, scale: Array, slope: float, eps: float
) -> None:
    """scale times the derivative of ln(cosh(slope (t - r)) + eps) with respect to t: [item, sample] and [item] ->
    [item, sample]. As log_cosh, a block of small errors goes through series."""
    errors = np.empty(_BLOCK)
    exponents = np.empty(_BLOCK, np.int64)
    for k in range(ref.shape[0]):
        factor = scale[k] * slope
        for at in range(start, stop, _BLOCK):
            end = min(at + _BLOCK, stop)
            r = ref[k, at:end]
            t = test[k, at:end]
            y = out[k, at:end]
            u = errors[: r.size]
            largest = 0.0
            for i in range(r.size):
                u[i] = slope * np.float64(t[i] - r[i])
                largest = max(largest, abs(u[i]))
            if largest < 0.5:
                for i in range(u.size):
                    z = u[i] * u[i]
                    cosh = 1 / 40320 + z * (1 / 3628800 + z * (1 / 479001600))
                    cosh = 1.0 + z * (0.5 + z * (1 / 24 + z * (1 / 720 + z * cosh)))
                    sinh = 1 / 362880 + z * (1 / 39916800 + z * (1 / 6227020800))
                    sinh = 1.0 + z * (1 / 6 + z * (1 / 120 + z * (1 / 5040 + z * sinh)))
                    y[i] = factor * u[i] * sinh / (cosh + eps)
                continue
            for i in range(u.size):
                u[i] = min(max(u[i], -300.0), 300.0)
            exponentials(u, exponents[: u.size])
            for i in range(u.size):
                y[i] = factor * (u[i] - 1 / u[i]) / (u[i] + 1 / u[i] + 2 * eps)


@kernel
def segments(ref: Array, test: Array, window: Array, hop: int, out: Array) -> None:
    """out[frame] = (sum (w r)^2, sum (w (r - t))^2), frame f starting at sample f hop."""
    n = window.size
    for f in range(out.shape[0]):
        r = ref[f * hop : f * hop + n]
        t = test[f * hop : f * hop + n]
        a = 0.0
        b = 0.0
        for i in range(n):
            u = window[i] * np.float64(r[i])
            d = window[i] * np.float64(r[i] - t[i])
            a += u * u
            b += d * d
        out[f, 0] = a
        out[f, 1] = b


@kernel
def segments_slope(x: Array, window: Array, hop: int, slopes: Array, out: Array) -> None:
    """The derivative of the sum of slopes[frame] sum (w x)^2 with respect to x [sample], frame f starting at f hop."""
    out[:] = 0
    for f in range(slopes.size):
        y = out[f * hop : f * hop + window.size]
        slope = 2.0 * slopes[f]
        for i in range(window.size):
            y[i] += slope * (window[i] * window[i])
    for i in range(x.size):
        out[i] *= x[i]
