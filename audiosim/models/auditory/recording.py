"""One recording as the auditory distance hears it: as a whole while it is short, else part by part, so that an hour
takes no more memory than a minute; what must be known of all of it comes from a first hearing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ... import engine
from . import complex_gammatone, levels, peakiness
from .complex_gammatone import BANDS, BLOCKS
from .levels import HALF, PIECE

Array = NDArray[Any]

LONG = 60.0  # seconds beyond which levels are not kept but heard anew
STEP = 256  # pieces of 40 ms of a long recording at a time
ATTACK = 0.05, 0.8  # of the highest power: it rises from the one to the other


def is_long(blocks: int) -> bool:
    return blocks > LONG * BLOCKS


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """blocks: how many; factor [band]: from powers to units of the threshold; part: the blocks in which it sounds;
    attack: blocks that its power takes to rise; peakiness in dB, nan where silent, and by_window [window] its parts;
    levels [block, band] in dB, None of a long recording."""

    blocks: int
    factor: Array
    part: tuple[int, int]
    attack: float
    peakiness: float
    by_window: Array
    levels: Array | None

    @property
    def nbytes(self) -> int:
        return self.by_window.nbytes + (0 if self.levels is None else self.levels.nbytes)


def sensitivity(rate: int) -> Array:
    """Factor [band] from power re 0 dB SPL to power in units of the threshold."""
    return np.asarray(10 ** (-levels.threshold(rate) / 10))


def heard(x: Array, rate: int, level: float | None) -> Heard:
    """x: [sample]. level: dB SPL of a full-scale sine; None: the recording is brought to levels.LEVEL."""

    def make() -> Heard:
        count, power = complex_gammatone.blocks(x.size, rate), None
        if is_long(count):
            more, step = complex_gammatone.powers_in_parts(x, rate), STEP * PIECE
            total = np.concatenate([more(min(step, count - k)).sum(1) for k in range(0, count, step)])
        else:
            power = complex_gammatone.powers(x, rate)
            total = power.sum(1)
        first, end = levels.sounding(np, total)
        factor = np.ravel(levels.calibration(np, total, level) * sensitivity(rate))
        if power is not None:
            power *= factor
            power = levels.levels(power)
        peaks = peakiness.peakiness(x, rate)
        return Heard(count, factor, (int(first), int(end)), _attack(total), *peaks, power)

    return engine.cache.cached(x, ("auditory", rate, level), make)


def _attack(power: Array) -> float:
    """Blocks in which power [block] rises from 5 to 80 % of its maximum, for the first time."""
    low, high = (share * power.max() for share in ATTACK)
    top = int(np.argmax(power >= high))
    return float(np.argmax(np.append(power[:top][::-1] <= low, True)) + 1)


class Levels:
    """Levels of a recording as they were kept, or heard anew part by part."""

    def __init__(self, known: Heard, x: Array, rate: int) -> None:
        self.known, self._more, self._first = known, complex_gammatone.powers_in_parts(x, rate), 0
        self._kept = np.empty((0, BANDS)) if known.levels is None else known.levels

    def between(self, start: int, stop: int) -> tuple[Array, int]:
        """Of blocks start..stop those that there are [block, band], and the first of them; start never goes back."""
        start, stop = (min(max(at, 0), self.known.blocks) for at in (start, stop))
        missing = stop - self._first - len(self._kept)
        if missing > 0:
            power = self._more(missing)
            power *= self.known.factor
            self._kept = np.concatenate([self._kept[start - self._first :], levels.levels(power)])
            self._first = start
        return self._kept[start - self._first : stop - self._first], start


class Part(NamedTuple):
    """Some pieces of 40 ms. levels [block, band], which reach HALF blocks further on either side; start: the block that
    is first in them; inner: those of them in the pieces, where they begin at block `place`. powers [piece, band],
    fine [piece of 10 ms, band] and squares [2, piece, band] as in models.auditory.levels."""

    levels: Array
    start: int
    inner: slice
    place: int
    powers: Array
    fine: Array
    squares: Array


def listen(of: Levels, late: int, first: int, count: int) -> Part:
    """So many pieces from the first on, of a recording that begins at block `late` of the pieces."""
    begin = PIECE * first - late
    end = begin + PIECE * count
    x, start = of.between(begin - HALF, end + HALF)
    inner = slice(max(begin, 0) - start, max(min(end, of.known.blocks), begin, 0) - start)
    a, b = (at - start for at in of.known.part)
    powers, fine = levels.piece_powers(x, start - begin, count)
    squares = levels.modulation(x, (a, b), start - begin, count)
    return Part(x, start, inner, max(-begin, 0), powers, fine, squares)
