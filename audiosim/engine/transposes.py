"""Gradients of short-time distances with respect to the test signal, by the transposes of what makes their spectra.

As in engine.fold, blocks of frames stay in cache: what is folded into sums is also differentiated there, and goes back
to samples by the transposes of the FFT, of the windowed cut and of the padding.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from .divergence import compression, log_ratio
from .fft import irfft
from .fold import BLOCK, BLOCKS_PER_TASK, Measure, cutter
from .frames import STFT
from .kernel import exact_kernel, kernel
from .parts import tell
from .stream import plain

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Objective:
    """A distance that is a function of sums over frames and bins, and its derivative.

    bins: length of the axis that is summed over. terms: how many sums.
    measure(dtype, gradient) -> a measure as engine.fold.fold takes it. With gradient it also overwrites the last
        `parts` of the two spectra with gradients with respect to that of the test (d/d re + i d/d im).
    parts: gradients that are kept apart, since the factors of some depend on the sums over all frames.
    finish(sums [term], frames) -> the distance, and the factor of each part.
    named(sums [item, term], frames) -> what engine.parts is told.
    """

    stft: STFT
    bins: int
    terms: int
    parts: int
    measure: Callable[[Any, bool], Measure]
    finish: Callable[[Array, int], tuple[float, list[float]]]
    named: Callable[[Array, int], dict[str, Array]] | None = None


def evaluate(objective: Objective, ref: Array, test: Array, gradient: bool, threads: int) -> tuple[Array, Array]:
    """Distance [item], float64, and its gradient with respect to the test [item, sample] (of no item without gradient).

    ref, test: [item, sample], C-contiguous and of one dtype. The same bits on any number of threads.
    InputError when they are shorter than a frame takes.
    """
    stft, dtype = objective.stft, test.dtype
    items, length = test.shape
    count = stft.count(length)
    if count == 0:
        raise InputError(stft.too_short(length))
    edges = np.array([0, objective.bins])
    measure = objective.measure(dtype, gradient)
    start = (stft.n_fft - stft.window.size) // 2 - stft.lead
    size = max(1, min(256, BLOCK // stft.n_fft))
    window = (stft.window * (stft.n_fft / 2)).astype(dtype)  # what the transposed FFT leaves out
    firsts = range(0, count, size * BLOCKS_PER_TASK)

    def task(item: int, first: int) -> tuple[Array, Array]:
        cut = cutter(plain(ref[item]), plain(test[item]), stft, size)
        frames = min(count - first, size * BLOCKS_PER_TASK)
        sums = np.zeros((frames, 1, objective.terms))
        parts = np.zeros((objective.parts if gradient else 0, (frames - 1) * stft.hop + window.size), dtype)
        for frame in range(0, frames, size):
            rows = sums[frame : frame + size]
            spectra = cut(first + frame, len(rows))
            measure(spectra, edges, rows)
            if gradient:
                back = transposed_rfft(spectra[-objective.parts :], stft.n_fft)
                overlap_add(back, window, stft.hop, parts[:, frame * stft.hop :])
        return sums[:, 0].sum(axis=0), parts

    totals = np.empty((items, objective.terms))
    values, slope = np.empty(items), np.zeros((items if gradient else 0, length), dtype)
    give = transposed_reflected_read if stft.pad == "reflect" else transposed_read
    tasks = [(item, first) for item in range(items) for first in firsts]
    with ThreadPoolExecutor(max(1, min(threads, len(tasks)))) as pool:
        done = (pool.map if threads > 1 and len(tasks) > 1 else map)(task, *zip(*tasks, strict=True))
        for item in range(items):  # in this order, however the threads are done
            sums, parts = zip(*(next(done) for _ in firsts), strict=True)
            totals[item] = np.sum(sums, axis=0)
            values[item], factors = objective.finish(totals[item], count)
            if gradient:
                for first, part in zip(firsts, parts, strict=True):
                    for x, factor in zip(part, factors, strict=True):
                        give(x, factor, start + first * stft.hop, slope[item])
    if objective.named is not None:
        tell(partial(objective.named, totals, count))
    return values, slope


def transposed_rfft(spectra: Array, n: int) -> Array:
    """2 / n times the transpose of spectrum.rfft as a map from n reals to pairs of reals. spectra [..., bin] complex is
    overwritten: bins 0 and n / 2 stand for themselves alone."""
    spectra[..., 0] *= 2
    if n % 2 == 0:
        spectra[..., -1] *= 2
    return irfft(spectra, n)


@kernel
def overlap_add(frames: Array, window: Array, hop: int, out: Array) -> None:
    """The transpose of the windowed cut: adds frames [part, frame, n_fft], windowed in their middle, where they were
    cut from, every hop samples of out [part, sample]."""
    offset = (frames.shape[2] - window.size) // 2
    for p in range(frames.shape[0]):
        for f in range(frames.shape[1]):
            x = frames[p, f, offset : offset + window.size]
            y = out[p, f * hop : f * hop + window.size]
            for i in range(window.size):
                y[i] += window[i] * x[i]


@kernel
def transposed_read(x: Array, factor: float, start: int, out: Array) -> None:
    """The transpose of stream.read: out[start + i] += factor x[i], where there is such a sample."""
    a = min(max(0, -start), x.size)
    b = max(min(x.size, out.size - start), a)
    inside = x[a:b]
    y = out[start + a : start + b]
    for i in range(inside.size):
        y[i] += factor * inside[i]


@kernel
def transposed_reflected_read(x: Array, factor: float, start: int, out: Array) -> None:
    """The transpose of stream.read_reflected: as transposed_read, and what lies outside adds to its mirror image."""
    transposed_read(x, factor, start, out)
    last = out.size - 1
    for i in range(min(-start, x.size)):
        out[-start - i] += factor * x[i]
    for i in range(max(0, last + 1 - start), x.size):
        out[2 * last - start - i] += factor * x[i]


@kernel
def transposed_project(values: Array, starts: Array, stops: Array, weights: Array, out: Array) -> None:
    """The transpose of divergence.project: [part, frame, band] -> out [part, frame, bin]."""
    for p in range(values.shape[0]):
        for f in range(values.shape[1]):
            row = out[p, f]
            row[:] = 0
            for b in range(starts.size):
                w = weights[b, starts[b] : stops[b]]
                y = row[starts[b] : stops[b]]
                v = values[p, f, b]
                for i in range(w.size):
                    y[i] += v * w[i]


@kernel
def through_powers(slopes: Array, floor: float, spectra: Array) -> None:
    """Chain rule of divergence.powers: slopes [frame, bin], the derivatives with respect to the powers, times that of
    each power, 2 z; it replaces z, pairs of reals [frame, 2 bin]. 0 where the floor holds."""
    low = slopes.dtype.type(floor)
    none = slopes.dtype.type(0)
    for f in range(slopes.shape[0]):
        z = spectra[f]
        g = slopes[f]
        for k in range(g.size):
            v = z[2 * k] * z[2 * k] + z[2 * k + 1] * z[2 * k + 1]
            gain = g[k] + g[k] if v > low else none
            z[2 * k] *= gain
            z[2 * k + 1] *= gain


@kernel
def through_magnitudes(slopes: Array, magnitudes: Array, floor: float, spectra: Array) -> None:
    """Chain rule of divergence.magnitudes: slopes [part, frame, bin], the derivatives with respect to the magnitudes
    [frame, bin], times that of each magnitude, z / |z|; z are the last of spectra, pairs of reals [2, frame, 2 bin],
    and each part replaces one of these, the last part z itself. 0 where the floor (of the power) holds."""
    kind = slopes.dtype.type
    one, none, least = kind(1), kind(0), np.sqrt(kind(floor))  # as in magnitudes, to the last bit
    inverse = np.empty(magnitudes.shape[1], slopes.dtype)
    for f in range(slopes.shape[1]):
        m = magnitudes[f]
        z = spectra[1, f]
        for k in range(m.size):
            inverse[k] = one / m[k] if m[k] > least else none
        for p in range(slopes.shape[0] - 1):
            g = slopes[p, f]
            x = spectra[p, f]
            for k in range(g.size):
                x[2 * k] = z[2 * k] * (g[k] * inverse[k])
                x[2 * k + 1] = z[2 * k + 1] * (g[k] * inverse[k])
        g = slopes[-1, f]
        for k in range(g.size):
            gain = g[k] * inverse[k]
            z[2 * k] *= gain
            z[2 * k + 1] *= gain


# Derivatives of the distances of divergence: out [frame, bin], that of the term with respect to test [frame, bin]


@kernel
def log_absolute(ref: Array, test: Array, floor: float, out: Array) -> None:
    """sign(test - ref) / test; 0 below the floor."""
    kind = out.dtype.type
    low, one, none = kind(floor), kind(1), kind(0)
    for f in range(out.shape[0]):
        r = ref[f]
        t = test[f]
        g = out[f]
        for k in range(g.size):
            a = max(r[k], low)
            b = max(t[k], low)
            side = (one if b > a else none) - (one if b < a else none)
            g[k] = side / b if t[k] >= low else none


@kernel
def _per_power(slopes: Array, test: Array, floor: float, out: Array) -> None:
    """out = 2 slopes / test; 0 below the floor."""
    for k in range(out.size):
        b = np.float64(test[k])
        out[k] = 2.0 * slopes[k] / max(b, floor) if b >= floor else 0.0


@kernel
def cepstral(ref: Array, test: Array, floor: float, basis: Array, out: Array) -> None:
    """2 (basis^T basis ln(test / ref)) / test, ref being at least the floor; 0 below it."""
    logs = np.empty(out.shape[1])
    smooth = np.empty(out.shape[1])
    scratch = np.empty(out.shape[1], np.int64)
    for f in range(out.shape[0]):
        log_ratio(ref[f], test[f], floor, logs, scratch)
        smooth[:] = 0.0
        for j in range(basis.shape[0]):
            row = basis[j]
            c = 0.0
            for k in range(row.size):
                c += row[k] * logs[k]
            for k in range(row.size):
                smooth[k] += c * row[k]
        _per_power(smooth, test[f], floor, out[f])


@exact_kernel
def compressed(
    ref: Array, test: Array, power: float, floor: float, of_complex: float, of_magnitude: float, squared: bool
) -> None:
    """The gradient of of_complex |d| + of_magnitude |m|, or of these weights times the squares; d and m are the
    differences of divergence.compressed. It replaces test, pairs of reals [frame, 2 bin].

    Y being the test, h its gain, e = h' / h by power: of |d|^2 it is 2 h (d + 2 e Re(d* Y) Y), of m h (1 / |Y| + 2 e
    |Y|) Y; of |d| and |m| it is 0 at 0.
    """
    bins = test.shape[1] // 2
    energy = np.empty((2, bins))
    gain = np.empty((2, bins))
    scratch = np.empty(bins, np.int64)
    for f in range(test.shape[0]):
        x = ref[f]
        y = test[f]
        compression(x, power, floor, energy[0], gain[0], scratch)
        compression(y, power, floor, energy[1], gain[1], scratch)
        for k in range(bins):
            a = np.float64(y[2 * k])
            b = np.float64(y[2 * k + 1])
            h = gain[1, k]
            e = 0.5 * (power - 1.0) / (energy[1, k] + floor)
            re = a * h - x[2 * k] * gain[0, k]
            im = b * h - x[2 * k + 1] * gain[0, k]
            modulus = np.sqrt(energy[1, k])
            m = modulus * h - np.sqrt(energy[0, k]) * gain[0, k]
            if squared:
                u = 2.0 * of_complex
                v = 2.0 * of_magnitude * m
            else:
                distance = np.sqrt(re * re + im * im)
                u = of_complex / distance if distance > 0.0 else 0.0
                v = of_magnitude * ((1.0 if m > 0.0 else 0.0) - (1.0 if m < 0.0 else 0.0))
            radial = v * (1.0 / modulus + 2.0 * e * modulus) if modulus > 0.0 else 0.0
            along = h * (2.0 * u * e * (re * a + im * b) + radial)
            y[2 * k] = u * h * re + along * a
            y[2 * k + 1] = u * h * im + along * b


@exact_kernel
def phases(ref: Array, test: Array, floor: float) -> None:
    """The gradient of the sum of w (1 - cos) of divergence.phases. It replaces test, pairs of reals [frame, 2 bin].

    With unit vectors u and v of reference and test it is w (v - u) less its part along v, over |test|; where |test|
    is below the root of the floor, w (v - u) over that.
    """
    low = np.sqrt(floor)
    for f in range(test.shape[0]):
        x = ref[f]
        y = test[f]
        for k in range(y.size // 2):
            a = np.float64(x[2 * k])
            b = np.float64(x[2 * k + 1])
            c = np.float64(y[2 * k])
            d = np.float64(y[2 * k + 1])
            weight = np.sqrt(a * a + b * b)
            modulus = np.sqrt(c * c + d * d)
            turn = 1.0 / max(weight, low)
            scale = 1.0 / max(modulus, low)
            c *= scale
            d *= scale
            re = c - a * turn
            im = d - b * turn
            along = (re * c + im * d) if modulus >= low else 0.0
            y[2 * k] = weight * scale * (re - along * c)
            y[2 * k + 1] = weight * scale * (im - along * d)
