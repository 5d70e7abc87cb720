"""What the ear makes of band powers: level, threshold in quiet, compression; and how such patterns fluctuate and lie in
time.

Levels are N = 10 lg(1 + E / F) in dB: E power in units of the threshold in quiet (Terhardt 1979, as ITU-R BS.1387-1
parts it), F a soft floor 5 dB above it, so that 0 is silence.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.elementary import exponentials, logarithms
from ...engine.kernel import fused_kernel, kernel
from ...hearing import loudness
from .complex_gammatone import BANDS, BLOCKS, CHUNK, bank, each_band

Array = NDArray[Any]

LEVEL = 65.0  # dB SPL that a recording of unknown level is brought to
QUIETER = 40.0  # dB: blocks further below the loudest do not count in its level
SILENT = 60.0  # dB: a recording begins and ends with blocks less far below the loudest
FLOOR = 10**0.5  # of the compression, in units of the threshold: the noise of the ear
LAGS = BLOCKS // 20  # blocks, 50 ms, by which two recordings may lie apart
PIECE = BLOCKS // 25  # blocks, 40 ms: windows of 80 ms are two of them
FINE = BLOCKS // 100  # blocks, 10 ms: windows of 20 ms are two of them
ROUGH, SLOW = (0.002, 0.005), (0.016, 0.040)  # s: two Gaussians; their difference passes 27-66 Hz, and some 3-8 Hz
HALF = 64  # blocks, 4 times the widest Gaussian: taps of the filters on either side
_DB = float(10 / np.log(10))


@lru_cache(maxsize=16)
def threshold(rate: int) -> Array:
    """In quiet, dB SPL [band]; that of 18 kHz is that of 16."""
    f = np.minimum(bank(rate).frequencies, 16000.0)
    result: Array = loudness.internal_noise(f) - loudness.transmission(f)
    return result


# What takes xp is written for NumPy and torch alike: xp is one or the other, powers are [..., block, band].


def calibration(xp: Any, total: Any, level: float | None) -> Any:
    """Factor [..., 1, 1] to power re 0 dB SPL of powers re a full-scale sine, which is of that level; None: the mean of
    the blocks within 40 dB of the loudest is brought to LEVEL. total: power of all bands [..., block]."""
    if level is not None:
        return 10 ** (level / 10)
    loud = total > 10 ** (-QUIETER / 10) * xp.amax(total, -1)[..., None]
    mean = (total * loud).sum(-1) / loud.sum(-1).clip(1)
    return (10 ** (LEVEL / 10) / (mean + (mean == 0)))[..., None, None]


def sounding(xp: Any, total: Any) -> tuple[Any, Any]:
    """First block and one past the last [...] that lie within 60 dB of the loudest; all blocks of silence. total: power
    of all bands [..., block]."""
    there = total > 10 ** (-SILENT / 10) * xp.amax(total, -1)[..., None]
    there = (there | ~there.any(-1)[..., None]).view(xp.uint8)
    return xp.argmax(there, -1), total.shape[-1] - xp.argmax(xp.flip(there, (-1,)), -1)


def levels(excitation: Array) -> Array:
    """Excitations [block, band] in units of the threshold in quiet become levels N in dB, in place."""
    scratch = np.empty(CHUNK * BANDS, np.int64)
    for first in range(0, len(excitation), CHUNK):
        part = excitation[first : first + CHUNK].reshape(-1)
        part /= FLOOR
        part += 1.0
        logarithms(part, scratch)
        part *= _DB
    return excitation


def levels_torch(excitation: Any) -> Any:
    """levels for tensors."""
    return _DB * (excitation / FLOOR).log1p()


def pieces(xp: Any, x: Any) -> Any:
    """Means over pieces of 40 ms [..., piece, band] of x [..., block, band], which is followed by zeros."""
    if rest := -x.shape[-2] % PIECE:
        x = xp.concatenate([x, *[xp.zeros_like(x[..., :1, :])] * rest], -2)
    return x.reshape(*x.shape[:-2], -1, PIECE, x.shape[-1]).mean(-2)


def windows(xp: Any, means: Any, silence: float) -> Any:
    """Means over 80 ms, every 40 ms, [..., piece + 1, band] of those over pieces; before the first and after the last
    there is silence, so that each piece counts twice."""
    edge = xp.full_like(means[..., :1, :], silence)
    return halves(xp.concatenate([edge, means, edge], -2))


def halves(means: Any) -> Any:
    """Means over two pieces that follow one another [..., piece - 1, band]."""
    return (means[..., 1:, :] + means[..., :-1, :]) / 2


def correlate(ref: Array, test: Array, sums: Array, shift: int = 0) -> None:
    """To sums [lag + LAGS] the products of levels [block, band] are added, of the test by so many blocks later; its
    first block is that of the reference at `shift`. Beyond the ends there is silence."""
    _correlate(ref, test, shift, sums)


def likeliest(sums: Array) -> int:
    """Blocks by which the test must be moved later to lie as the reference does: the largest of the sums, within 50 ms;
    the smallest such lag."""
    near = np.array(_NEAR)
    return int(near[np.argmax(sums[near + LAGS])])


def lag(ref: Array, test: Array) -> int:
    """The likeliest, of all levels [block, band]."""
    sums = np.zeros(2 * LAGS + 1)
    correlate(ref, test, sums)
    return likeliest(sums)


def lag_torch(ref: Any, test: Any) -> Any:
    """The same of [item, block, band]: [item]."""
    import torch

    sums = []
    for move in _NEAR:
        a, b = max(move, 0), max(-move, 0)
        common = max(min(ref.shape[1] - a, test.shape[1] - b), 0)
        sums.append((ref[:, a : a + common] * test[:, b : b + common]).sum((1, 2)))
    return torch.tensor(_NEAR, device=ref.device)[torch.stack(sums, -1).argmax(-1)]


_NEAR = tuple(sorted(range(-LAGS, LAGS + 1), key=abs))


def piece_powers(x: Array, late: int, count: int) -> tuple[Array, Array]:
    """Means of 10^(N / 10) of levels [block, band] in so many pieces of 40 ms [piece, band], and in the pieces of 10 ms
    in them, when they begin at block `late` of the first, or, below 0, so many before it; silence where there are
    none."""
    powers, fine = np.empty((count, BANDS)), np.empty((count * (PIECE // FINE), BANDS))
    _piece_powers(x, late, powers, fine, np.empty(PIECE * BANDS), np.empty(PIECE * BANDS, np.int64))
    return powers, fine


def modulation(x: Array, part: tuple[int, int], late: int, count: int) -> Array:
    """Sums of squares of rough and slow modulation [2, piece, band] of blocks part[0]..part[1] of levels [block, band],
    in pieces as piece_powers; beyond its ends that part is mirrored. It may go on beyond the levels, which then reach
    HALF blocks further than the pieces."""
    squares = np.zeros((2, count, BANDS))
    for taps, out in zip(modulation_taps(), squares, strict=True):
        used = np.flatnonzero(taps)
        _modulation(x, part[0], part[1] - part[0], late, taps[used], used - HALF, out)
    return squares


@cache
def modulation_taps() -> Array:
    """Differences of two normalised Gaussians, rough and slow [2, 2 HALF + 1]; 0 beyond 4 times the wider."""
    t = np.arange(-HALF, HALF + 1) / BLOCKS
    rows = []
    for pair in (ROUGH, SLOW):
        narrow, wide = (np.exp(-0.5 * (t / sigma) ** 2) * (np.abs(t) < 4.001 * pair[1]) for sigma in pair)
        rows.append(narrow / narrow.sum() - wide / wide.sum())
    return np.stack(rows)


@cache
def modulation_torch() -> Callable[[Any, Any, Any], Any]:
    """(levels [item, block, band], first, end [item]) -> mean squares of rough and slow modulation [item, 2, band]."""
    import torch

    from ...engine.tensors import Constant, fast_length

    taps = Constant(modulation_taps()[:, None])  # symmetric

    def value(x: Any, first: Any, end: Any) -> Any:
        blocks = x.shape[1]
        size = (end - first)[:, None]
        at = (torch.arange(-HALF, blocks + HALF, device=x.device) - first[:, None]) % (2 * size)
        at = first[:, None] + torch.minimum(at, 2 * size - 1 - at)
        mirrored = torch.take_along_dim(x, at[..., None], 1).transpose(1, 2)[:, None]  # item, 1, band, block
        size_fft = fast_length(blocks + 2 * HALF)
        spectra = torch.fft.rfft(mirrored, size_fft) * torch.fft.rfft(taps(x), size_fft)
        wave = torch.fft.irfft(spectra, size_fft)[..., 2 * HALF : 2 * HALF + blocks]  # item, 2, band, block
        place = torch.arange(blocks, device=x.device)
        inside = ((place >= first[:, None]) & (place < end[:, None]))[:, None, None]
        return (wave.square() * inside).sum(-1) / size[..., None]

    return value


@kernel
def _correlate(ref: Array, test: Array, shift: int, sums: Array) -> None:
    """sums[lag + LAGS] of the products of ref[t + shift + lag] and test[t], silence beyond the ends."""
    for first in range(0, len(test), CHUNK):  # so much stays in the processor's cache for all lags
        for k in range(2 * LAGS + 1):
            lag = k - LAGS + shift
            start = max(first, -lag)
            stop = max(min(first + CHUNK, len(test), len(ref) - lag), start)
            x = test[start:stop].reshape((stop - start) * BANDS)
            y = ref[start + lag : stop + lag].reshape((stop - start) * BANDS)
            total = 0.0
            for i in range(x.size):
                total += x[i] * y[i]
            sums[k] += total


@kernel
def _piece_powers(x: Array, late: int, powers: Array, fine: Array, scratch: Array, exponents: Array) -> None:
    for j in range(len(powers)):
        start = min(max(PIECE * j - late, 0), len(x))
        stop = max(min(PIECE * (j + 1) - late, len(x)), start)
        part = scratch[: (stop - start) * BANDS]
        levels = x[start:stop].reshape(part.size)
        for i in range(part.size):
            part[i] = levels[i] / _DB
        exponentials(part, exponents)
        row = powers[j]
        for k in range(BANDS):
            row[k] = PIECE - (stop - start)
        for t in range(stop - start):
            _add(1.0, part[t * BANDS : (t + 1) * BANDS], row)
        for k in range(BANDS):
            row[k] /= PIECE
        first = start - (PIECE * j - late)
        for i in range(PIECE // FINE):
            row = fine[PIECE // FINE * j + i]
            for k in range(BANDS):
                row[k] = 0.0
            for t in range(i * FINE - first, (i + 1) * FINE - first):
                if 0 <= t < stop - start:
                    _add(1.0 / FINE, part[t * BANDS : (t + 1) * BANDS], row)
                else:
                    for k in range(BANDS):
                        row[k] += 1.0 / FINE


@fused_kernel
def _modulation(x: Array, first: int, size: int, late: int, taps: Array, places: Array, squares: Array) -> None:
    wave = np.empty(BANDS)
    for t in range(max(0, -first - late), min(size, PIECE * len(squares) - first - late)):
        wave[:] = 0.0
        for k in range(taps.size):
            at = t + places[k]
            if at < 0 or at >= size:
                at %= 2 * size
                at = min(at, 2 * size - 1 - at)
            _add(taps[k], x[first + at], wave)
        _add_squares(wave, squares[(first + t + late) // PIECE])


@kernel
def _add_squares(row: Array, out: Array) -> None:
    for k in each_band():
        out[0 + k] += row[0 + k] * row[0 + k]


@fused_kernel
def _add(factor: float, row: Array, out: Array) -> None:
    for k in each_band():
        out[0 + k] += factor * row[0 + k]
