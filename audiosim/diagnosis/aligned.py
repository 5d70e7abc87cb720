"""Two recordings that are aligned, and the frames in which their places are looked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

FRAME = 0.002  # s
WINDOW = 10  # frames of a window, in which another sound is looked for


@dataclass(frozen=True, slots=True)
class Aligned:
    """A pair whose causes over the whole recording are undone as far as they can be.

    ref, test: [channel, sample] of one shape and rate (Hz). offset: seconds of the reference at sample 0 as the file
    has it; test_offset: of the test. joins: samples at which pieces of the test were joined again. band: Hz, above
    which the test has nothing; 0: it is as wide as its rate allows.
    """

    ref: Array
    test: Array
    rate: int
    offset: float = 0.0
    test_offset: float = 0.0
    joins: tuple[int, ...] = ()
    band: float = 0.0


def frame(rate: int) -> int:
    """Samples of a frame."""
    return max(round(FRAME * rate), 8)


def sounds(pair: Aligned, start: int, stop: int) -> tuple[Array, Array]:
    """Samples of both, in float64."""
    return np.asarray(pair.ref[:, start:stop], np.float64), np.asarray(pair.test[:, start:stop], np.float64)
