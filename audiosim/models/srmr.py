"""Energy of a recording by auditory filter and modulation filter: what SRMR weighs. Falk, Zheng and Chan 2010.

The Hilbert envelope of a gammatone filter is the magnitude of the part of its spectrum above 0 Hz. It is taken there,
from the bins around the filter alone, which leaves it at a lower rate; the modulation filters are brought to that rate.
"""

from __future__ import annotations

from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..engine import stream
from ..engine.fft import analytic_magnitude, rfft
from ..engine.kernel import exact_kernel
from ..engine.threads import in_threads
from ..hearing import gammatone

if TYPE_CHECKING:
    from ..engine.stream import Stream

Array = NDArray[Any]

RATE = 16000  # Hz
BANDS, LOWEST = 23, 125.0  # Hz, of the gammatone filters
MODULATIONS, SLOWEST, FASTEST, QUALITY = 8, 4.0, 128.0, 2.0  # Hz, evenly spaced in octaves
FRAME, HOP = 4096, 1024  # samples
REACH = 5  # bandwidths to either side of a filter that its envelope is made of, at least
FFT = 1 << 15
BEFORE, AFTER = 2048, 1024  # samples of a block in which filters settle; the rest is a whole number of hops
BLOCK = FFT - BEFORE - AFTER
BLOCKS = 16  # whose spectra are held at a time
FIT = 0.1  # of the rate, up to which a modulation filter is what it is at the full rate


@cache
def filters() -> gammatone.Bank:
    """The gammatone filters."""
    return gammatone.erb_bank(BANDS, LOWEST, RATE / 2, RATE)


def bandwidths() -> Array:
    """Equivalent rectangular bandwidths of the filters, Hz [band]."""
    return np.asarray(filters().frequencies / gammatone.EAR_Q + gammatone.LEAST_BANDWIDTH)


def modulations() -> Array:
    """Centres of the modulation filters, Hz [modulation]."""
    return SLOWEST * (FASTEST / SLOWEST) ** (np.arange(MODULATIONS) / (MODULATIONS - 1))


def lower_cutoffs() -> Array:
    """Of the modulation filters, -3 dB, Hz [modulation]."""
    f = modulations()
    result: Array = f - np.tan(np.pi * f / RATE) / QUALITY * RATE / (2 * np.pi)
    return result


@lru_cache(maxsize=4)
def resonators(down: int) -> tuple[Array, Array]:
    """Numerators [3, modulation] and denominators [2, modulation] of the modulation filters at RATE / down.

    By the bilinear transform at RATE; elsewhere with the same poles, and zeros fitted to the magnitude of its response.
    """
    w = np.tan(np.pi * modulations() / RATE)
    b = w / QUALITY
    a = np.stack([1 + b + w**2, 2 * w**2 - 2, 1 - b + w**2])
    if down == 1:
        return np.stack([b, 0 * b, -b]) / a[0], a[1:] / a[0]
    poles = np.array([np.roots(p)[0] for p in a.T]) ** down
    low = np.stack([np.ones(MODULATIONS), -2 * poles.real, np.abs(poles) ** 2])
    hz = np.linspace(0.0, FIT * RATE / down, 401)[1:, None]
    z = np.exp(-2j * np.pi * hz / RATE)
    wanted = np.abs(b * (1 - z**2) / (a[0] + a[1] * z + a[2] * z**2))
    z = z**down
    wanted *= np.abs((1 + low[1] * z + low[2] * z**2) / (1 - z))
    # the rest is |c0 + c1 z^-1|^2 = c0^2 + c1^2 + 2 c0 c1 cos w
    cosines = np.hstack([np.ones_like(hz), z.real])
    q = np.stack([np.linalg.lstsq(cosines / w[:, None] ** 2, np.ones(hz.size), rcond=None)[0] for w in wanted.T], 1)
    total, difference = np.sqrt(q[0] + q[1]), np.sqrt(q[0] - q[1])
    c0, c1 = (total + difference) / 2, (total - difference) / 2
    return np.stack([c0, c1 - c0, -c1]), low[1:]


@cache
def downs() -> tuple[int, ...]:
    """Samples for one of the envelope [band], 4 or, of wide filters, 2: half its rate is REACH bandwidths or more."""
    return tuple(4 if REACH * width <= RATE / 8 else 2 for width in bandwidths())


@cache
def _responses() -> list[tuple[slice, Array]]:
    """The bins of each filter [band], and what its envelope takes of them: complex [bin]."""
    hz = np.arange(FFT // 2 + 1) * (RATE / FFT)
    found = []
    for centre, down, whole in zip(filters().frequencies, downs(), gammatone.response(filters(), hz), strict=True):
        bins = FFT // down
        start = min(max(0, round(centre * FFT / RATE) - bins // 2), hz.size - bins)
        whole[0] = 0
        found.append((slice(start, start + bins), 2 / np.sqrt(down) * whole[start : start + bins]))  # energy is kept
    return found


@cache
def _squares(down: int) -> Array:
    """Of a Hamming window, of envelopes."""
    size = FRAME // down
    return np.asarray((0.54 - 0.46 * np.cos(2 * np.pi * np.arange(size) / size)) ** 2)


def frames(length: int) -> int:
    """Of so many samples."""
    return max(0, 1 + (length - FRAME) // HOP)


def energies(x: Stream, threads: int = 1) -> Array:
    """Of x at RATE, behind the filters, in Hamming windows of 256 ms: float64 [band, frame, modulation]."""
    count = frames(x.length)
    out = np.zeros((BANDS, count, MODULATIONS))
    states = np.zeros((BANDS, 2, MODULATIONS))
    total = (count - 1) * HOP + FRAME if count else 0
    for first in range(0, total, BLOCK * BLOCKS):
        begins = range(first, min(total, first + BLOCK * BLOCKS), BLOCK)
        samples = np.zeros((len(begins), FFT))
        for row, start in zip(samples, begins, strict=True):
            stream.read(*x, start - BEFORE, row)
        spectra = rfft(samples)

        def band(c: int, first: int = first, spectra: Array = spectra) -> None:
            down, (bins, response) = downs()[c], _responses()[c]
            whole = analytic_magnitude(spectra[:, bins] * response)
            x = whole[:, BEFORE // down : (BEFORE + BLOCK) // down].reshape(-1)[: (total - first) // down]
            _modulate(x, first // HOP, HOP // down, *resonators(down), _squares(down), states[c], out[c])

        in_threads(band, range(BANDS), threads)
    return out


@exact_kernel
def _modulate(x: Array, hop: int, size: int, b: Array, a: Array, squares: Array, state: Array, out: Array) -> None:
    """out[frame, k] += windowed energy of filter k's output, for x from the start of that hop on; hops of `size`.

    y = b0 x + s0, s0 = b1 x - a1 y + s1, s1 = b2 x - a2 y, for all filters at once.
    """
    parts = squares.size // size
    count = b.shape[1]
    y = np.empty(count)
    sums = np.empty((parts, count))
    s0 = state[0]
    s1 = state[1]
    for begin in range(0, x.size, size):
        sums[:] = 0
        for i in range(size):
            v = x[begin + i]
            for k in range(count):
                u = b[0, k] * v + s0[k]
                s0[k] = b[1, k] * v - a[0, k] * u + s1[k]
                s1[k] = b[2, k] * v - a[1, k] * u
                y[k] = u * u
            for p in range(parts):
                weight = squares[p * size + i]
                for k in range(count):
                    sums[p, k] += weight * y[k]
        for p in range(parts):
            frame = hop + begin // size - p
            if 0 <= frame < out.shape[0]:
                for k in range(count):
                    out[frame, k] += sums[p, k]
