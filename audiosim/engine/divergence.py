"""How two spectra differ: sums over ranges of bins, one kernel per formula.

Every kernel takes reference and test [frame, bin] (complex ones as pairs of reals [frame, 2 bin]), edges [range + 1] in
bins, and writes terms into out [frame, range, term], float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .elementary import bits_of, exponentials, logarithms
from .kernel import exact_kernel, kernel
from .lanes import dot

Array = NDArray[Any]


@kernel
def powers(spectra: Array, floor: float, out: Array) -> None:
    """max(re^2 + im^2, floor) of pairs of reals: [signal, frame, 2 bin] -> [signal, frame, bin]."""
    low = out.dtype.type(floor)
    for s in range(out.shape[0]):
        for f in range(out.shape[1]):
            z = spectra[s, f]
            p = out[s, f]
            for k in range(p.size):
                v = z[2 * k] * z[2 * k] + z[2 * k + 1] * z[2 * k + 1]
                p[k] = max(v, low)


@kernel
def magnitudes(spectra: Array, floor: float, out: Array) -> None:
    """sqrt(max(re^2 + im^2, floor)) of pairs of reals: [signal, frame, 2 bin] -> [signal, frame, bin]."""
    for s in range(out.shape[0]):
        for f in range(out.shape[1]):
            _magnitude(spectra[s, f], floor, out[s, f])


@kernel
def _magnitude(z: Array, floor: float, out: Array) -> None:
    low = out.dtype.type(floor)
    for k in range(out.size):
        v = z[2 * k] * z[2 * k] + z[2 * k + 1] * z[2 * k + 1]
        out[k] = np.sqrt(max(v, low))


@kernel
def project(values: Array, starts: Array, stops: Array, weights: Array, out: Array) -> None:
    """out[signal, frame, band] = weights[band, starts:stops] . values[signal, frame, starts:stops]."""
    for s in range(values.shape[0]):
        for f in range(values.shape[1]):
            row = values[s, f]
            for b in range(starts.size):
                out[s, f, b] = dot(row[starts[b] : stops[b]], weights[b, starts[b] : stops[b]])


_EXPONENT = 52  # bits of a float64 below its exponent
_MANTISSA = (1 << 52) - 1
_ONE = 1023 << 52  # the bits of 1.0
_LN2 = float(np.log(2.0))


@kernel
def log_absolute(ref: Array, test: Array, floor: float, edges: Array, out: Array) -> None:
    """Term 0: sum |ln(max(test, floor) / max(ref, floor))|."""
    ratio = np.empty(ref.shape[1])
    for f in range(ref.shape[0]):
        _log_absolute(ref[f], test[f], floor, ratio, edges, out[f, :, 0])


@kernel
def _log_absolute(r: Array, t: Array, floor: float, ratio: Array, edges: Array, out: Array) -> None:
    """One frame. Exponents are added and mantissas multiplied, 512 at a time (their product stays below 2^512), so that
    one logarithm serves many bins."""
    low = r.dtype.type(floor)
    bits = bits_of(ratio)
    sum_of_ratios = 0.0
    for k in range(r.size):
        a = max(r[k], low)
        b = max(t[k], low)
        ratio[k] = max(a, b) / min(b, a)  # nan comes through when it stands first, so each does once
        sum_of_ratios += ratio[k]
    if not np.isfinite(sum_of_ratios):  # beyond float32, where bits tell nothing
        for e in range(edges.size - 1):
            out[e] = 0.0
            for k in range(edges[e], edges[e + 1]):
                out[e] += abs(np.log(np.float64(max(t[k], low))) - np.log(np.float64(max(r[k], low))))
        return
    for e in range(edges.size - 1):
        total = 0.0
        for start in range(edges[e], edges[e + 1], 512):
            x = ratio[start : min(start + 512, edges[e + 1])]
            n = bits[start : min(start + 512, edges[e + 1])]
            exponent = 0
            for i in range(n.size):
                exponent += n[i] >> _EXPONENT
                n[i] = (n[i] & _MANTISSA) | _ONE
            product = 1.0
            for i in range(x.size):
                product *= x[i]
            total += _LN2 * (exponent - 1023 * n.size) + np.log(product)
        out[e] = total


@kernel
def differences(ref: Array, test: Array, edges: Array, out: Array) -> None:
    """Terms 0..2: sum (test - ref)^2, sum ref^2, sum |test - ref|."""
    for f in range(ref.shape[0]):
        _differences(ref[f], test[f], edges, out[f])


@kernel
def _differences(ref: Array, test: Array, edges: Array, out: Array) -> None:
    for e in range(edges.size - 1):
        r = ref[edges[e] : edges[e + 1]]
        t = test[edges[e] : edges[e + 1]]
        squares = 0.0
        energy = 0.0
        absolute = 0.0
        for i in range(r.size):
            d = np.float64(t[i] - r[i])
            squares += d * d
            absolute += abs(d)
            energy += np.float64(r[i]) * np.float64(r[i])
        out[e, 0] = squares
        out[e, 1] = energy
        out[e, 2] = absolute


@kernel
def magnitude_distances(ref: Array, test: Array, floor: float, edges: Array, out: Array) -> None:
    """Terms 0..2 as differences and 3 as log_absolute, of the magnitudes of pairs of reals: a frame at a time, so that
    it stays in the L1 cache."""
    r = np.empty(ref.shape[1] // 2, ref.dtype)
    t = np.empty(ref.shape[1] // 2, ref.dtype)
    ratio = np.empty(r.size)
    for f in range(ref.shape[0]):
        _magnitude(ref[f], floor, r)
        _magnitude(test[f], floor, t)
        _differences(r, t, edges, out[f])
        _log_absolute(r, t, 0.0, ratio, edges, out[f, :, 3])


@kernel
def log_ratio(ref: Array, test: Array, floor: float, out: Array, scratch: Array) -> None:
    """out = ln(max(test, floor) / max(ref, floor)); nan throughout when one of them is not finite."""
    total = 0.0
    for k in range(out.size):
        a = max(np.float64(ref[k]), floor)
        b = max(np.float64(test[k]), floor)
        out[k] = b / a
        total += a + b
    logarithms(out, scratch)
    if not np.isfinite(total):  # logarithms() reads bits, those of infinity as any number's
        out[:] = np.nan


@kernel
def energies(ref: Array, test: Array, gain: float, scale: float, edges: Array, out: Array) -> None:
    """Terms 0..2: energy of ref, of test, and of test - gain ref; complex spectra as pairs of reals.

    Bins between 0 and the last count twice (they stand for negative frequencies too); all times scale. Even n_fft.
    """
    last = ref.shape[1] // 2 - 1
    g = ref.dtype.type(gain)
    for f in range(ref.shape[0]):
        for e in range(edges.size - 1):
            r = ref[f, 2 * edges[e] : 2 * edges[e + 1]]
            t = test[f, 2 * edges[e] : 2 * edges[e + 1]]
            a = 0.0
            b = 0.0
            c = 0.0
            for i in range(r.size):
                d = np.float64(t[i] - g * r[i])
                a += np.float64(r[i]) * np.float64(r[i])
                b += np.float64(t[i]) * np.float64(t[i])
                c += d * d
            for k in (0, last):  # these stand for themselves alone: half a share of what is doubled below
                if edges[e] <= k < edges[e + 1]:
                    x = np.float64(ref[f, 2 * k]) ** 2 + np.float64(ref[f, 2 * k + 1]) ** 2
                    y = np.float64(test[f, 2 * k]) ** 2 + np.float64(test[f, 2 * k + 1]) ** 2
                    re = np.float64(test[f, 2 * k] - g * ref[f, 2 * k])
                    im = np.float64(test[f, 2 * k + 1] - g * ref[f, 2 * k + 1])
                    a -= 0.5 * x
                    b -= 0.5 * y
                    c -= 0.5 * (re * re + im * im)
            out[f, e, 0] = 2.0 * scale * a
            out[f, e, 1] = 2.0 * scale * b
            out[f, e, 2] = 2.0 * scale * max(c, 0.0)


@exact_kernel
def compression(z: Array, power: float, floor: float, energy: Array, gain: Array, scratch: Array) -> None:
    """energy = |z|^2 and gain = (|z|^2 + floor)^((power - 1) / 2), float64 [bin], of pairs of reals; scratch: int64."""
    for k in range(energy.size):
        a = np.float64(z[2 * k])
        b = np.float64(z[2 * k + 1])
        energy[k] = a * a + b * b
        gain[k] = energy[k] + floor
    logarithms(gain, scratch)
    for k in range(gain.size):
        gain[k] *= 0.5 * (power - 1.0)
    exponentials(gain, scratch)


@exact_kernel
def compressed(ref: Array, test: Array, power: float, floor: float, edges: Array, out: Array) -> None:
    """Terms 0..3: sum |d|, sum |d|^2 of compressed complex bins X (|X|^2 + floor)^((power - 1) / 2), and the same of
    their magnitudes; pairs of reals."""
    bins = ref.shape[1] // 2
    energy = np.empty((2, bins))
    gain = np.empty((2, bins))
    scratch = np.empty(bins, np.int64)
    for f in range(ref.shape[0]):
        compression(ref[f], power, floor, energy[0], gain[0], scratch)
        compression(test[f], power, floor, energy[1], gain[1], scratch)
        for e in range(edges.size - 1):
            absolute = 0.0
            squares = 0.0
            magnitude = 0.0
            magnitude_squares = 0.0
            for k in range(edges[e], edges[e + 1]):
                g = gain[0, k]
                h = gain[1, k]
                x = test[f, 2 * k] * h - ref[f, 2 * k] * g
                y = test[f, 2 * k + 1] * h - ref[f, 2 * k + 1] * g
                m = np.sqrt(energy[1, k]) * h - np.sqrt(energy[0, k]) * g
                absolute += np.sqrt(x * x + y * y)
                squares += x * x + y * y
                magnitude += abs(m)
                magnitude_squares += m * m
            out[f, e, 0] = absolute
            out[f, e, 1] = squares
            out[f, e, 2] = magnitude
            out[f, e, 3] = magnitude_squares


@exact_kernel
def _turn_difference(u: Array, i: int, v: Array, k: int) -> tuple[float, float]:
    """Test minus reference of the unit vectors' quotients u[i] / v[k]."""
    re = (u[2, i] * v[2, k] + u[3, i] * v[3, k]) - (u[0, i] * v[0, k] + u[1, i] * v[1, k])
    im = (u[3, i] * v[2, k] - u[2, i] * v[3, k]) - (u[1, i] * v[0, k] - u[0, i] * v[1, k])
    return re, im


@exact_kernel
def phases(ref: Array, test: Array, floor: float, edges: Array, out: Array) -> None:
    """Terms 0, 2, 4: sum of w (1 - cos) of the difference in phase, in its change from the frame before, in that to
    the next bin; terms 1, 3, 5: the sums of w = |ref| that go with each. Pairs of reals.

    1 - cos of two angles is half the squared distance of their unit vectors, exactly 0 for equal ones.
    """
    bins = ref.shape[1] // 2
    low = np.sqrt(floor)
    now = np.zeros((4, bins + 1))  # unit vectors: ref re, im, test re, im; the last bin stays empty
    before = np.zeros((4, bins + 1))
    weight = np.empty(bins)
    for f in range(ref.shape[0]):
        now, before = before, now
        for k in range(bins):
            a = np.float64(ref[f, 2 * k])
            b = np.float64(ref[f, 2 * k + 1])
            weight[k] = np.sqrt(a * a + b * b)
            scale = 1.0 / max(weight[k], low)
            now[0, k] = a * scale
            now[1, k] = b * scale
            a = np.float64(test[f, 2 * k])
            b = np.float64(test[f, 2 * k + 1])
            scale = 1.0 / max(np.sqrt(a * a + b * b), low)
            now[2, k] = a * scale
            now[3, k] = b * scale
        for e in range(edges.size - 1):
            for i in range(6):
                out[f, e, i] = 0.0
            for k in range(edges[e], edges[e + 1]):
                w = weight[k]
                x = now[2, k] - now[0, k]
                y = now[3, k] - now[1, k]
                out[f, e, 0] += 0.5 * w * (x * x + y * y)
                out[f, e, 1] += w
                if f > 0:
                    x, y = _turn_difference(now, k, before, k)
                    out[f, e, 2] += 0.5 * w * (x * x + y * y)
                    out[f, e, 3] += w
                if k + 1 < bins:
                    x, y = _turn_difference(now, k, now, k + 1)
                    out[f, e, 4] += 0.5 * w * (x * x + y * y)
                    out[f, e, 5] += w


@kernel
def cepstral(ref: Array, test: Array, floor: float, basis: Array, edges: Array, out: Array) -> None:
    """Term 0: squares of ln(max(test, floor) / max(ref, floor)) after projection on the orthonormal rows of basis
    [coefficient, band]: over all bands they sum to the squared Euclidean distance of the coefficients."""
    bands = ref.shape[1]
    difference = np.empty(bands)
    smooth = np.empty(bands)
    scratch = np.empty(bands, np.int64)
    for f in range(ref.shape[0]):
        log_ratio(ref[f], test[f], floor, difference, scratch)
        smooth[:] = 0.0
        squares = 0.0
        for j in range(basis.shape[0]):
            row = basis[j]
            c = 0.0
            for k in range(bands):
                c += row[k] * difference[k]
            squares += c * c
            if edges.size > 2:
                for k in range(bands):
                    smooth[k] += c * row[k]
        if edges.size == 2:
            out[f, 0, 0] = squares
        else:
            for e in range(edges.size - 1):
                total = 0.0
                for k in range(edges[e], edges[e + 1]):
                    total += smooth[k] * smooth[k]
                out[f, e, 0] = total
