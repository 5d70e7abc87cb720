"""Clipping: the test follows the reference up to a level, and no further. Its peaks need not be flat any more, as a
filter, noise, or another clock may have come after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, Any

import numpy as np

from .finding import SHOWN, Finding, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

STEPS, FIRST = 64, 12  # of the amplitude, up to the largest one; the lowest at which it may be clipped
SATURATES = 0.7  # of what a gain leaves, that is left at most where peaks are clipped
BELOW = 0.95  # of the largest amplitude, that the level is at most
LEVEL = 0.7  # of the RMS of the test, that the level is at least: what is clipped stays below it
PLATEAU = 0.9999  # of the peak
CLIPPED = 3, 8  # plateaus, and samples on them, at least
BEYOND = 0.6  # of these samples, where the reference goes on
BLOCK = 1 << 17  # samples


@dataclass(frozen=True, slots=True)
class Clipped:
    """Of one channel. level: amplitude of the test that is not exceeded; at: of the reference, where that begins.

    flat: whether the peaks of the test are flat still. runs: first sample and length of each peak.
    """

    level: float
    at: float
    flat: bool
    runs: Array


def find(
    ref: Array, test: Array, offset: Array, through: Callable[[], Array]
) -> tuple[list[Clipped | None], bool] | None:
    """Of each channel; and whether that is so of the reference through the filter alone. None: nothing is clipped.

    offset: a constant in the test, [channel]. through: gives the reference through the filter of the test.
    """
    constants = [offset, 0 * offset] if offset.any() else [offset]  # peaks of one sign alone may have made it
    for filtered in (False, True):
        x = through() if filtered else ref
        for constant in constants:
            found = [_channel(*each) for each in zip(x, test, constant.tolist(), strict=True)]
            if any(found):
                return found, filtered and any(c is not None and c.flat for c in found)
    return None


def applied(x: Array, levels: list[float], out: Array) -> Array:
    """x [channel, sample], clipped at these amplitudes, into `out`."""
    for c, most in enumerate(levels):
        for at in range(0, x.shape[1], BLOCK):
            out[c, at : at + BLOCK] = np.clip(x[c, at : at + BLOCK], -most, most)
    return out


def _blocks(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    for at in range(0, arrays[0].size, BLOCK):
        yield tuple(np.asarray(x[at : at + BLOCK], np.float64) for x in arrays)


def _highest(y: Array, offset: float) -> float:
    return max(float(y.max()) - offset, offset - float(y.min()))


def _flat(y: Array, offset: float, highest: float) -> Array | None:
    """First sample and length of each plateau at the peak, [2, plateau]; None where there is none."""
    if highest <= 0:
        return None
    blocks = range(0, y.size, BLOCK)
    at = np.concatenate(
        [k + np.flatnonzero(np.abs(y[k : k + BLOCK] - y.dtype.type(offset)) >= PLATEAU * highest) for k in blocks]
    )
    if at.size < CLIPPED[1]:
        return None
    starts = np.flatnonzero(np.concatenate([[True], (np.diff(at) > 1) | (np.diff(np.sign(y[at])) != 0)]))
    sizes = np.diff(np.concatenate([starts, [at.size]]))
    flat = sizes >= 2
    if flat.sum() < CLIPPED[0] or sizes[flat].sum() < CLIPPED[1]:
        return None
    return np.stack([at[starts[flat]], sizes[flat]])


def _channel(x: Array, y: Array, offset: float) -> Clipped | None:
    highest = _highest(y, offset)
    flat = _flat(y, offset, highest)
    gain, level, left = _saturation(x, y, offset)
    if flat is not None and gain > 0:
        on = np.repeat(flat[0] - np.cumsum(flat[1]) + flat[1], flat[1]) + np.arange(flat[1].sum())
        if (gain * np.abs(x[on]) > 1.002 * highest).mean() >= BEYOND:
            return Clipped(highest, highest / gain, True, flat)
    if left > SATURATES or level <= 0:
        return None
    at = level / gain
    runs = _beyond(x, at)
    if runs.shape[1] < CLIPPED[0] or runs[1].sum() < CLIPPED[1]:
        return None
    return Clipped(level, at, False, runs)


def _saturation(x: Array, y: Array, offset: float) -> tuple[float, float, float]:
    """The gain of small amplitudes, the level that large ones keep to, and what that leaves of what a gain leaves.

    Of all levels at which the amplitude may end, that which leaves least.
    """
    top = max(float(x.max()), -float(x.min()), 1e-30)
    counts, heights, own, cross = np.zeros((4, STEPS))
    power = 0.0
    for a, b in _blocks(x, y):
        b = (b - offset) * np.sign(a)
        a = np.abs(a)
        step = np.minimum((a * (STEPS / top)).astype(np.intp), STEPS - 1)
        counts += np.bincount(step, minlength=STEPS)
        heights += np.bincount(step, b, STEPS)
        own += np.bincount(step, a * a, STEPS)
        cross += np.bincount(step, a * b, STEPS)
        power += float((b * b).sum())
    own_below, cross_below = np.cumsum(own), np.cumsum(cross)
    linear = power - cross_below[-1] ** 2 / max(own_below[-1], 1e-300)
    if linear <= 1e-9 * power or own_below[-1] <= 0:
        return float(cross_below[-1] / max(own_below[-1], 1e-300)), 0.0, 1.0
    knees = np.arange(FIRST, round(BELOW * STEPS))
    above = counts.sum() - np.cumsum(counts)[knees - 1]
    flat = heights.sum() - np.cumsum(heights)[knees - 1]
    below = np.maximum(own_below[knees - 1], 1e-300)
    left = power - cross_below[knees - 1] ** 2 / below - flat**2 / np.maximum(above, 1)
    best = int(np.argmin(np.where(above >= CLIPPED[1], left, np.inf)))
    gain = float(cross_below[knees[best] - 1] / below[best])
    level = float(flat[best] / max(above[best], 1))
    if gain <= 0 or not level <= BELOW * gain * top or level**2 * x.size < LEVEL**2 * power:
        return gain, 0.0, 1.0
    return gain, level, float(left[best] / linear)


def _beyond(x: Array, at: float) -> Array:
    """First sample and length of each stretch of amplitudes of more than this, [2, stretch]."""
    found = [np.zeros((2, 0), np.intp)]
    for k in range(0, x.size, BLOCK):
        over = np.abs(x[k : k + BLOCK]) > at
        edges = np.flatnonzero(np.diff(np.concatenate([[False], over, [False]]).astype(np.int8)))
        found.append(np.stack([k + edges[::2], edges[1::2] - edges[::2]]))
    return np.concatenate(found, axis=1)


def finding(
    found: list[Clipped | None], rate: int, offsets: tuple[float, float], share: float | None, shown: int = SHOWN
) -> Finding:
    """offsets: s, of sample 0 in the two recordings as they were given. shown: so many of the longest places."""
    ref, test = offsets

    def channel(c: int) -> int | None:
        return c + 1 if len(found) > 1 else None

    every = [(int(n), int(at), c) for c, of in enumerate(found) if of is not None for at, n in of.runs.T]
    largest = sorted((at, n, c) for n, at, c in sorted(every, key=lambda run: -run[0])[:shown])
    places = tuple(
        Place(ref + at / rate, ref + (at + n) / rate, test + at / rate, test + (at + n) / rate, channel(c))
        for at, n, c in largest
    )
    level = round(20 * log10(max(of.level for of in found if of is not None)), 2)
    sure = 0.95 if any(of is not None and of.flat for of in found) else 0.8
    detail = {"samples": sum(n for n, _, _ in every)}
    return Finding("clipping", level, "dBFS", places, len(every), sure, share, detail)
