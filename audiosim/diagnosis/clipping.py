"""Clipping: the test follows the reference up to a level, and no further. Its peaks need not be flat any more, as a
filter, noise, or another clock may have come after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from math import log10
from typing import TYPE_CHECKING, Any

import numpy as np

from . import coding, sums
from .finding import SHOWN, Finding, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

STEPS, FIRST = 64, 12  # of the amplitude, up to the largest one; the lowest at which it may be clipped
SATURATES = 0.7  # of what a gain leaves, that is left at most where peaks are clipped,
CODED = 0.5  # and where the rest follows the level
STRETCHES, SHORT = (1 << 14, 4), 1024  # samples of a stretch in which that is looked at, so many; of a value of it
BELOW = 0.95  # of the largest amplitude, that the level is at most
LEVEL = 0.7  # of the RMS of the test, that the level is at least: what is clipped stays below it
PLATEAU = 0.9999  # of the peak
CLIPPED = 3, 8  # plateaus, and samples on them, at least
BEYOND, SOME = 0.6, 1 << 12  # of these samples, where the reference goes on; plateaus of which that is asked
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


def _beyond(x: Array, most: float, offset: float = 0.0) -> Array:
    """First sample and length of each stretch of one sign that lies further than this from the offset, [2, stretch]."""
    edges, signs, before = [], [], np.zeros(1, np.int8)
    for at in range(0, x.size, BLOCK):
        around = x[at : at + BLOCK] - x.dtype.type(offset)
        sign = (around > most).astype(np.int8) - (around < -most)
        here = np.flatnonzero(np.diff(sign, prepend=before))
        edges.append(at + here)
        signs.append(sign[here])
        before = sign[-1:]
    starts, begins = np.concatenate([*edges, [x.size]]), np.flatnonzero(np.concatenate(signs))
    edges.clear()
    runs = np.empty((2, begins.size), np.int64)
    runs[0] = starts[begins]
    runs[1] = starts[begins + 1] - runs[0]
    return runs


def _enough(runs: Array) -> bool:
    return runs.shape[1] >= CLIPPED[0] and bool(runs[1].sum() >= CLIPPED[1])


def _channel(x: Array, y: Array, offset: float) -> Clipped | None:
    highest = _highest(y, offset)
    gain, level, left = _saturation(x, y, offset)
    if highest > 0 and gain > 0:
        flat = _beyond(y, PLATEAU * highest, offset)
        flat = flat[:, flat[1] >= 2]
        if _enough(flat) and _goes_on(x, flat, highest / gain):
            return Clipped(highest, highest / gain, True, flat)
    if left > SATURATES or level <= 0 or (left > CODED and _is_coded(x, y, gain, level, offset)):
        return None
    at = level / gain
    runs = _beyond(x, at)
    return Clipped(level, at, False, runs) if _enough(runs) else None


def _goes_on(x: Array, flat: Array, at: float) -> bool:
    """Whether most samples of x on these stretches lie beyond an amplitude; some of them are looked at."""
    first, size = flat[:, :: max(flat.shape[1] // SOME, 1)]
    on = np.repeat(first - np.cumsum(size) + size, size) + np.arange(size.sum())
    return bool((np.abs(x[on]) > 1.002 * at).mean() >= BEYOND)


def _is_coded(x: Array, y: Array, gain: float, level: float, offset: float) -> bool:
    """Whether what clipping leaves follows the level: a codec takes from peaks too."""
    own, left = [], []
    for first, last in sums.stretches(x.size, *STRETCHES):
        a, b = (np.asarray(z[first:last], np.float64) for z in (x, y))
        b = b - offset
        own.append(sums.thinned((b * b)[None], SHORT)[0])
        left.append(sums.thinned(((np.clip(gain * a, -level, level) - b) ** 2)[None], SHORT)[0])
    return coding.follows(np.concatenate(own), np.concatenate(left))


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


def finding(
    found: list[Clipped | None], rate: int, offsets: tuple[float, float], share: float | None, shown: int = SHOWN
) -> Finding:
    """offsets: s, of sample 0 in the two recordings as they were given. shown: so many of the longest places."""
    ref, test = offsets

    def channel(c: int) -> int | None:
        return c + 1 if len(found) > 1 else None

    clipped = [(c, of) for c, of in enumerate(found) if of is not None]
    longest = [(n, at, c) for c, of in clipped for at, n in _longest(of.runs, shown).T.tolist()]
    largest = sorted((at, n, c) for n, at, c in sorted(longest, key=lambda run: -run[0])[:shown])
    places = tuple(
        Place(ref + at / rate, ref + (at + n) / rate, test + at / rate, test + (at + n) / rate, channel(c))
        for at, n, c in largest
    )
    level = round(20 * log10(max(of.level for _, of in clipped)), 2)
    sure = 0.95 if any(of.flat for _, of in clipped) else 0.8
    detail = {"samples": sum(int(of.runs[1].sum()) for _, of in clipped)}
    return Finding("clipping", level, "dBFS", places, sum(of.runs.shape[1] for _, of in clipped), sure, share, detail)


def _longest(runs: Array, count: int) -> Array:
    """So many of them, the first of equal ones."""
    best = runs[:, :0]
    for k in range(0, runs.shape[1], BLOCK):
        some = np.concatenate([best, runs[:, k : k + BLOCK]], axis=1)
        best = some[:, np.argsort(-some[1], kind="stable")[:count]]
    return best
