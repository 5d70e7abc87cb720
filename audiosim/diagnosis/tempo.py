"""Time stretching: the course of levels runs faster or slower, whether the pitch goes with it or not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .envelopes import peak
from .sums import thinned

Array = NDArray[Any]

WINDOW, HOP = 0.04, 0.01  # s
STRETCH = 20.0  # s, that are looked at
SHORTEST = 1.5  # s
LOW, HIGH, PER_OCTAVE = 100.0, 8000.0, 6
RANGE = 4.5  # bels below the strongest cell, that count
SLOWER, FASTER = 0.5, 2.0
STEPS = (4, 0.012), (2, 0.003), (1, 0.0006)  # hops that are one, and steps of the factor, as parts
AROUND = 4  # steps either way, in which the finer searches go
OVERLAP = 0.6  # of the shorter, that must overlap
LEAST = 0.75  # correlation of levels, below which there is no other factor
PROVEN = 0.9  # and from which on it needs no waveform to prove it
CLEAR = 0.04  # by which it exceeds that of other factors
CHANGED = 0.003  # of the factor, that is told


@dataclass(frozen=True, slots=True)
class Tempo:
    """factor: of the test's tempo against the reference's. late: s, by which the test starts late.
    shifted: whether the pitch goes with it. likeness: correlation of levels. gain_db: of the test."""

    factor: float
    late: float
    shifted: bool
    likeness: float
    gain_db: float


def tempo(ref: Array, test: Array, rate: int) -> Tempo | None:
    """The factor at which the courses of levels in bands are one. None: they are not, or there is no other factor."""
    if min(ref.shape[1], test.shape[1]) < SHORTEST * rate:
        return None
    x, y = (_levels(z, rate) for z in (ref, test))
    if x.std() == 0 or y.std() == 0:
        return None
    together, step = STEPS[0]
    a, b = (thinned(z, together) for z in (x, y))
    factors = SLOWER * np.exp(np.arange(round(np.log(FASTER / SLOWER) / step) + 1) * step)
    fits = {s: np.array([_fit(a, b, f, s)[0] for f in factors]) for s in (False, True)}
    shifted = bool(fits[True].max() > fits[False].max())
    best = int(np.argmax(fits[shifted]))
    others = np.delete(fits[shifted], range(max(best - AROUND, 0), min(best + AROUND + 1, factors.size)))
    factor, likeness = float(factors[best]), float(fits[shifted][best])
    if likeness < LEAST or likeness - others.max(initial=0) < CLEAR:
        return None
    late = 0.0
    for together, step in STEPS[1:]:
        a, b = (thinned(z, together) for z in (x, y))
        near = factor * np.exp(step * np.arange(-AROUND, AROUND + 1))
        found = [_fit(a, b, f, shifted) for f in near]
        values = np.array([f[0] for f in found])
        best = int(np.argmax(values))
        likeness, late = values[best], found[best][1] * together * HOP
        factor = float(near[best] * np.exp(step * (peak(values, best) - best)))
    if likeness < (LEAST if shifted else PROVEN) or abs(factor - 1) < CHANGED:
        return None
    return Tempo(factor, late / factor, shifted, float(likeness), _gain(ref, test, rate, factor, late / factor))


def _gain(ref: Array, test: Array, rate: int, factor: float, late: float) -> float:
    """dB of the power of the test against that of the reference, as far as both go."""
    begin = max(-late * factor, 0.0)
    end = min(ref.shape[1] / rate, (test.shape[1] / rate - late) * factor, begin + STRETCH)
    own = ref[:, round(begin * rate) : round(end * rate)]
    other = test[:, round((begin / factor + late) * rate) : round((end / factor + late) * rate)]
    powers = [float((z * z).mean(dtype=np.float64)) if z.size else 0.0 for z in (own, other)]
    return 10 * float(np.log10(powers[1] / powers[0])) if min(powers) > 0 else 0.0


def _levels(x: Array, rate: int) -> Array:
    """Levels [band, hop] in bels, without their means."""
    from scipy import fft

    window, hop = max(round(WINDOW * rate), 16), max(round(HOP * rate), 4)
    high = min(HIGH, 0.45 * rate)
    length = min(x.shape[1], round(STRETCH * rate))
    piece = x[:, :length].mean(axis=0)
    size = fft.next_fast_len(window)
    frames = np.lib.stride_tricks.sliding_window_view(piece, window)[::hop] * np.hanning(window + 1)[:-1]
    power = np.abs(fft.rfft(frames, size)) ** 2
    edges = LOW * 2.0 ** (np.arange(int(PER_OCTAVE * np.log2(high / LOW)) + 1) / PER_OCTAVE) * size / rate
    run = np.concatenate((np.zeros((len(power), 1)), np.cumsum(power, axis=1)), axis=1)
    whole = np.floor(edges).astype(int)
    cells = np.diff(run[:, whole] + (edges - whole) * (run[:, whole + 1] - run[:, whole]), axis=1)
    levels = np.log10(np.maximum(cells, max(cells.max(initial=0) * 10**-RANGE, 1e-30)))
    return np.ascontiguousarray((levels - levels.mean(axis=0)).T)


def _fit(x: Array, y: Array, factor: float, shifted: bool) -> tuple[float, float]:
    """The best correlation of levels [band, hop] of y, played slower by the factor, with those of x; and the hops by
    which y begins late then."""
    from scipy import fft

    count = int((y.shape[1] - 1) * factor) + 1
    at = np.arange(count) / factor
    whole = np.minimum(at.astype(int), y.shape[1] - 2)
    part = at - whole
    y = y[:, whole] * (1 - part) + y[:, whole + 1] * part
    if shifted:
        by = PER_OCTAVE * np.log2(factor)
        bands = np.arange(len(x)) + by
        kept = (bands >= 0) & (bands <= len(x) - 1)
        low = np.minimum(bands[kept].astype(int), len(x) - 2)
        w = (bands[kept] - low)[:, None]
        x, y = x[kept], y[low] * (1 - w) + y[low + 1] * w
    n, m = x.shape[1], y.shape[1]
    size = fft.next_fast_len(n + m, real=True)
    product = fft.irfft((np.conj(fft.rfft(x, size)) * fft.rfft(y, size)).sum(axis=0), size)
    ex, ey = (np.concatenate(([0.0], np.cumsum((z**2).sum(axis=0)))) for z in (x, y))
    least = int(OVERLAP * min(n, m))
    lags = np.arange(-(n - least), m - least + 1)
    first, last = np.maximum(-lags, 0), np.minimum(n, m - lags)
    energy = np.sqrt((ex[last] - ex[first]) * (ey[last + lags] - ey[first + lags]))
    c = product[lags] / np.maximum(energy, 1e-30)
    best = int(np.argmax(c))
    return float(c[best]), float(lags[best])
