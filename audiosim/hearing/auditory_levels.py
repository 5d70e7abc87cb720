"""What the ear makes of band powers: level, threshold in quiet, spreading over bands, compression; and how two such
patterns lie in time.

Levels are N = 10 lg(1 + W / F) in dB: W the power that reaches a band, in units of the threshold in quiet (Terhardt
1979, as ITU-R BS.1387-1 parts it), and F a soft floor 5 dB above it, so that 0 is silence. Spreading over ERB number:
27 dB per ERB downwards; upwards 20 dB per ERB, less 0.4 per dB of level above 40 dB, at least 3 (upward spread of
masking as in Terhardt 1979, on the bands of complex_gammatone, whose own slopes are the steeper part of it).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dsp.elementary import exponentials, logarithms
from ..dsp.kernel import kernel
from . import loudness
from .complex_gammatone import BANDS, STEP, bank

Array = NDArray[Any]

LEVEL = 65.0  # dB SPL that a recording of unknown level is brought to
QUIETER = 40.0  # dB: blocks further below the loudest do not count in its level
FLOOR = 10**0.5  # of the compression, in units of the threshold: the noise of the ear
DOWN = 27.0  # dB per ERB, slope of spreading to lower bands
UP, UP_FROM, UP_PER_DB, UP_LEAST = 20.0, 40.0, 0.4, 3.0  # dB per ERB; dB; dB per ERB and dB; dB per ERB
REACH = 13  # bands, 7 ERB, to which power spreads upwards
LAGS = 20  # blocks, 50 ms, by which two recordings may lie apart
PIECE = 16  # blocks, 40 ms: windows of 80 ms are two of them
SMOOTH, SMOOTHER = 0.8, 2.0  # blocks, 2 and 5 ms: the two Gaussians whose difference passes 27 to 66 Hz
HALF = 8  # taps of these on either side
_DB = float(10 / np.log(10))


@lru_cache(maxsize=16)
def sensitivity(rate: int) -> Array:
    """[band]: from power re 0 dB SPL to power re the threshold in quiet; 18 kHz counts as 16."""
    f = np.minimum(bank(rate).frequencies, 16000.0)
    result: Array = 10 ** ((loudness.transmission(f) - loudness.internal_noise(f)) / 10)
    return result


def calibration(power: Array, level: float | None) -> float:
    """Factor to power re 0 dB SPL of powers [block, band] re a full-scale sine, which is of that level; None: the mean
    of the blocks within 40 dB of the loudest is brought to LEVEL. 0 for silence."""
    if level is not None:
        return float(10 ** (level / 10))
    total = power.sum(1)
    loud = total[total > 10 ** (-QUIETER / 10) * total.max()]
    return float(10 ** (LEVEL / 10) / loud.mean()) if loud.size else 0.0


def levels(excitation: Array) -> Array:
    """Excitations [block, band] in units of the threshold in quiet become levels N in dB, in place."""
    _levels(excitation, np.empty((3, BANDS)), np.empty(BANDS, np.int64))
    return excitation


def spread(excitation: Array) -> Array:
    """The power that reaches each band, of excitations [block, band], in place."""
    _spread_all(excitation, np.empty((3, BANDS)), np.empty(BANDS, np.int64))
    return excitation


def calibrated_torch(level: float | None) -> Callable[[Any], Any]:
    """powers [item, block, band] -> powers re 0 dB SPL, as calibration does; which blocks count is held fixed."""

    def calibrated(power: Any) -> Any:
        if level is not None:
            return power * 10 ** (level / 10)
        total = power.sum(2)
        loud = (total > 10 ** (-QUIETER / 10) * total.amax(1, keepdim=True)).detach()
        mean = (total * loud).sum(1) / loud.sum(1).clamp(min=1)
        return power * (10 ** (LEVEL / 10) / (mean + (mean == 0)))[:, None, None]

    return calibrated


@cache
def spread_torch() -> Callable[[Any], Any]:
    """spread as torch text, of [item, block, band]."""
    import torch
    from torch.nn import functional

    from ..dsp.differentiable import Constant

    bands = np.arange(BANDS)
    below = np.minimum(bands - bands[:, None], 0)
    down = Constant(np.where(below < 0, 10 ** (DOWN * STEP / 10 * below), 0.0))

    def spread(excitation: Any) -> Any:
        level = _DB * excitation.clamp(min=10 ** (UP_FROM / 10)).log()
        ratio = torch.exp((UP - UP_PER_DB * (level - UP_FROM)).clamp(min=UP_LEAST) * (-STEP / _DB))
        reached, power = excitation + excitation @ down(excitation), excitation
        for j in range(1, REACH + 1):
            power = power[..., : BANDS - j] * ratio[..., : BANDS - j]
            reached = reached + functional.pad(power, (j, 0))
        return reached

    return spread


def levels_torch() -> Callable[[Any], Any]:
    """levels as torch text."""
    spread = spread_torch()
    return lambda excitation: _DB * (spread(excitation) / FLOOR).log1p()


def lag(ref: Array, test: Array) -> int:
    """Blocks by which levels of the test [block, band] must be moved later to lie as the reference's do: the largest
    correlation of levels less their mean over time, within 50 ms; the smallest such lag."""
    sums = np.zeros(2 * LAGS + 1)
    _correlate(ref, test, ref.mean(0), test.mean(0), sums)
    near = np.array(_NEAR)
    return int(near[np.argmax(sums[near + LAGS])])


def lag_torch(ref: Any, test: Any) -> Any:
    """The same of [item, block, band]: [item]."""
    import torch

    x, y = (z - z.mean(1, keepdim=True) for z in (ref, test))
    count = x.shape[1]
    sums = []
    for move in _NEAR:
        common = max(count - abs(move), 0)
        a, b = max(move, 0), max(-move, 0)
        sums.append((x[:, a : a + common] * y[:, b : b + common]).sum((1, 2)))
    return torch.tensor(_NEAR, device=ref.device)[torch.stack(sums, -1).argmax(-1)]


_NEAR = tuple(sorted(range(-LAGS, LAGS + 1), key=abs))


def pieces(x: Array, offset: int, count: int) -> tuple[Array, Array]:
    """Of levels [block, band] that begin at block `offset`, in so many pieces of 40 ms: mean of 10^(N / 10), silence
    where there are no blocks; and sum of squares of the modulation. [piece, band] both."""
    powers, squares = np.empty((count, BANDS)), np.zeros((count, BANDS))
    size = PIECE * BANDS
    _pieces(x, offset, modulation_taps(), powers, squares, np.empty(size), np.empty(size, np.int64))
    return powers, squares


def windows(means: Array, silence: float) -> Array:
    """Means over 80 ms, every 40 ms, [piece + 1, band] of those over pieces; before the first and after the last there
    is silence, so that each piece counts twice."""
    edge = np.full((1, means.shape[1]), silence)
    both = np.concatenate([edge, means, edge])
    result: Array = (both[1:] + both[:-1]) / 2
    return result


def modulation_taps() -> Array:
    """Difference of two normalised Gaussians [2 HALF + 1]."""
    t = np.arange(-HALF, HALF + 1)
    narrow, wide = (np.exp(-0.5 * (t / sigma) ** 2) for sigma in (SMOOTH, SMOOTHER))
    result: Array = narrow / narrow.sum() - wide / wide.sum()
    return result


_TAPS = tuple(modulation_taps().tolist())


def modulation_torch(x: Any) -> Any:
    """The modulation of levels [item, block, band], with silence before and after."""
    from torch.nn import functional

    padded = functional.pad(x, (0, 0, HALF, HALF))
    return sum(weight * padded[:, k : k + x.shape[1]] for k, weight in enumerate(_TAPS))


@kernel
def _spread(row: Array, work: Array, exponents: Array) -> None:
    """row [band] becomes what reaches the bands."""
    ratio, power, reached = work[0], work[1], work[2]
    ratio[:] = np.maximum(row, 10 ** (UP_FROM / 10))
    logarithms(ratio, exponents)
    ratio[:] = np.maximum(UP - UP_PER_DB * (_DB * ratio - UP_FROM), UP_LEAST) * (-STEP / _DB)
    exponentials(ratio, exponents)
    power[:] = row
    reached[:] = row
    for j in range(1, REACH + 1):
        w, r, target = power[: BANDS - j], ratio[: BANDS - j], reached[j:]
        for i in range(w.size):
            w[i] *= r[i]
            target[i] += w[i]
    fall = 10 ** (-DOWN * STEP / 10)
    carried = 0.0
    for i in range(BANDS - 2, -1, -1):
        carried = fall * (carried + row[i + 1])
        reached[i] += carried
    row[:] = reached


@kernel
def _spread_all(x: Array, work: Array, exponents: Array) -> None:
    for t in range(len(x)):
        _spread(x[t], work, exponents)


@kernel
def _levels(x: Array, work: Array, exponents: Array) -> None:
    for t in range(len(x)):
        row = x[t]
        _spread(row, work, exponents)
        row[:] = 1.0 + row / FLOOR
        logarithms(row, exponents)
        row *= _DB


@kernel
def _correlate(ref: Array, test: Array, mean_ref: Array, mean_test: Array, sums: Array) -> None:
    """sums[lag + LAGS] of the products of ref[t + lag] and test[t], both less their means."""
    size = 64  # rows that stay in the processor's cache for all lags
    rows = np.empty((size, BANDS))
    others = np.empty((size + 2 * LAGS, BANDS))
    for first in range(0, len(test), size):
        count = min(size, len(test) - first)
        for t in range(count):
            rows[t] = test[first + t] - mean_test
        for t in range(count + 2 * LAGS):
            at = first + t - LAGS
            if 0 <= at < len(ref):
                others[t] = ref[at] - mean_ref
            else:
                others[t] = 0.0
        x = rows[:count].reshape(count * BANDS)
        for k in range(2 * LAGS + 1):
            y = others[k : k + count].reshape(count * BANDS)
            total = 0.0
            for i in range(x.size):
                total += x[i] * y[i]
            sums[k] += total


@kernel
def _pieces(
    x: Array, offset: int, taps: Array, powers: Array, squares: Array, scratch: Array, exponents: Array
) -> None:
    wave = np.empty(BANDS)
    for j in range(len(powers)):
        start = min(max(PIECE * j - offset, 0), len(x))
        stop = max(min(PIECE * (j + 1) - offset, len(x)), start)
        powers[j] = PIECE - (stop - start)
        part = scratch[: (stop - start) * BANDS]
        part[:] = x[start:stop].reshape(part.size)
        part /= _DB
        exponentials(part, exponents)
        for t in range(start, stop):
            powers[j] += part[(t - start) * BANDS : (t - start + 1) * BANDS]
            wave[:] = 0.0
            for k in range(max(HALF - t, 0), min(2 * HALF + 1, len(x) + HALF - t)):
                wave += taps[k] * x[t + k - HALF]
            squares[j] += wave * wave
        powers[j] /= PIECE
