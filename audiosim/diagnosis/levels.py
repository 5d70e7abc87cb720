"""Compression of dynamics: a gain that falls where the reference is loud."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .spectra import Spectra

Array = NDArray[Any]

RANGE = 35.0  # dB below the loudest frames, that are looked at
STEP = 0.7, 2.5  # dB at least and at most, of the levels of which medians are taken
CELLS = 8  # such levels, about
FEWEST = 4  # frames of a level, and levels
FEWEST_FRAMES = 24
LEAST = 1.0  # dB of gain between quiet and loud, that are called compression
FOLLOWS = 0.45  # correlation of gain and level from which on one follows the other
PLATEAU = 0.998  # of the largest sample: what lies above may be clipped
RELEASE = 3.0  # dB from frame to frame
FLAT = 3  # samples of a frame on the plateau: it is clipped


@dataclass(frozen=True, slots=True)
class Compression:
    """reduction: dB by which the loudest frames are quieter against quiet ones. ratio: of levels in dB, where it acts.
    threshold: dB below the loudest frames, from which on it acts. confidence: 0 to 1.
    gains: of each frame, by its level, as a factor."""

    reduction: float
    ratio: float
    threshold: float
    confidence: float
    gains: Array


def compression(seen: Spectra, response: Array, original: Array) -> Compression | None:
    """A gain that falls with the level, where there is one.

    response: complex [band], what the test has of the reference as a whole. original: the test.
    """
    usable = np.abs(response) > 0
    if not usable.any():
        return None
    x = seen.ref_bands[:, usable].astype(np.float64)
    factor = response[usable]
    y = (seen.cross_bands[:, usable] * (np.conj(factor) / np.abs(factor) ** 2)).real
    energy, passed = x.sum(axis=1), y.sum(axis=1)
    good = seen.good[seen.segment_of] & (energy > 0)
    if not good.any():
        return None
    level = 10 * np.log10(np.maximum(energy, 1e-300))
    every = level = _held(level)
    top = float(np.percentile(level[good], 98))
    good &= (level > top - RANGE) & (passed > 0)
    good[good] = ~_clipped(original, seen.times[good], seen.window)
    if np.count_nonzero(good) < FEWEST_FRAMES:
        return None
    level, gain = level[good] - top, 10 * np.log10(passed[good] / energy[good]) * 2
    low, high = np.percentile(level, (5, 98))
    cells = np.floor(level / min(max((high - low) / CELLS, STEP[0]), STEP[1])).astype(int)
    names, counts = np.unique(cells, return_counts=True)
    kept = names[counts >= FEWEST]
    if kept.size < FEWEST:
        return None
    levels = np.array([np.median(level[cells == c]) for c in kept])
    gains = np.array([np.median(gain[cells == c]) for c in kept])
    spread = np.array([np.median(np.abs(gain[cells == c] - g)) for c, g in zip(kept, gains, strict=True)])
    loud = float(gains[-2:].mean())
    quiet = float(np.median(gains[: max(kept.size // 2, 2)]))
    reduction = quiet - loud
    follows = -float(np.corrcoef(level, gain)[0, 1]) if gain.std() > 0 else 0.0
    steady = reduction > float(np.median(spread))
    falls = gains[-1] <= gains.max() - 0.8 * reduction
    if reduction < LEAST or follows < FOLLOWS or not steady or not falls:
        return None
    knee, slope = _knee(levels, gains)
    ratio = 1 / max(1 + slope, 0.05)
    return Compression(
        reduction, ratio, knee, min(0.5 + reduction / 6, 1.0), 10 ** (np.interp(every - top, levels, gains) / 20)
    )


def _held(level: Array) -> Array:
    """Levels that fall by RELEASE from frame to frame at most, as a compressor holds them."""
    held = level.copy()
    for k in range(1, 16):
        held[k:] = np.maximum(held[k:], level[:-k] - k * RELEASE)
    return held


def _knee(levels: Array, gains: Array) -> tuple[float, float]:
    """The level from which on gains fall in a line, and its slope: the best of a level and a line after it."""
    best = (np.inf, float(levels[0]), 0.0)
    for knee in levels[:-2]:
        over = np.maximum(levels - knee, 0)
        basis = np.stack((np.ones_like(over), over))
        fit, *_ = np.linalg.lstsq(basis.T, gains, rcond=None)
        error = float(((gains - fit @ basis) ** 2).sum())
        if error < best[0]:
            best = error, float(knee), float(fit[1])
    return best[1], min(best[2], 0.0)


def _clipped(original: Array, starts: Array, window: int) -> Array:
    """Of the frames from these samples on, whether they hold a plateau at the largest sample of their channel."""
    peak = PLATEAU * np.maximum(original.max(axis=1), -original.min(axis=1))[:, None]
    return np.array([np.count_nonzero(np.abs(original[:, at : at + window]) >= peak) >= FLAT for at in starts], bool)
