"""What the test has that the reference has not, what it lacks, and what both have, by band and time (Tversky 1977).

Levels are 10 lg X in windows of 20 ms, both sounds with the gain that brings the reference to its level: u of the
reference, v of the test. Added is a = p^2 / (p + 1 dB) with p = max(v - u, 0), missing is m with the roles exchanged,
both have min(u, v). Below a just noticeable difference of 1 dB a difference thus counts by its square, so that identity
has no slope in either direction.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .complex_gammatone import BANDS
from .levels import FINE, PIECE, halves

Array = NDArray[Any]

JND = 1.0  # dB
AT_ONCE = 64  # windows
_PER_PIECE = PIECE // FINE


def windows(end: Any) -> Any:
    """How many windows the blocks before `end` reach into."""
    return 1 - (-end // FINE)


def levels(xp: Any, means: Any, gain: Any) -> Any:
    """dB [..., window, band] of means of X over windows, after a gain of the power."""
    return 10 * xp.log10(1 + (means - 1) * gain)


def split(xp: Any, u: Any, v: Any) -> tuple[Any, Any, Any]:
    """Added, missing and both [..., window, band] of levels of reference and test, for NumPy and torch alike."""
    change = v - u
    more, less = change.clip(0), (-change).clip(0)
    return more * more / (more + JND), less * less / (less + JND), xp.minimum(u, v)


class Sums:
    """Sums over windows of levels of the reference, added, missing and both [band], and of missing to a power [band].

    Where they are kept, by frame too [frame, band]: frame i is centred on window 4 i.
    """

    def __init__(self, power: int, frames: int = 0) -> None:
        self.power, self._next = power, 0
        self.ref, self.added, self.missing, self.both, self.deep = np.zeros((5, BANDS))
        self.frames = np.zeros((3, frames, BANDS))  # added, missing, missing to a power
        self._before: tuple[Array, Array] = (np.ones((1, BANDS)), np.ones((1, BANDS)))

    def add(self, means: tuple[Array, Array], gains: tuple[Any, Any], last: bool) -> None:
        """The next means of X over 10 ms of reference and test [piece, band]; silence follows the last."""
        for first in range(0, len(means[0]), AT_ONCE):
            part = tuple(x[first : first + AT_ONCE] for x in means)
            ends = [np.ones((1, BANDS))] if last and first + AT_ONCE >= len(means[0]) else []
            u, v = (
                levels(np, halves(np.concatenate([before, x, *ends])), gain)
                for before, x, gain in zip(self._before, part, gains, strict=True)
            )
            self._before = part[0][-1:].copy(), part[1][-1:].copy()  # a view would keep all of them
            added, missing, both = split(np, u, v)
            deep = missing**self.power
            for total, x in (
                (self.ref, u), (self.added, added), (self.missing, missing), (self.both, both), (self.deep, deep)
            ):  # fmt: skip
                total += x.sum(0)
            if self.frames.size:
                frame = (self._next + np.arange(len(u)) + _PER_PIECE // 2) // _PER_PIECE
                starts = np.flatnonzero(np.diff(frame, prepend=-1))
                for kept, x in zip(self.frames, (added, missing, deep), strict=True):
                    kept[frame[starts]] += np.add.reduceat(x, starts, axis=0)
            self._next += len(u)
