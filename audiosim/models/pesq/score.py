"""PESQ's score of one channel: alignment and model of hearing, means over time, opinion. ITU-T P.862 (2001), P.862.1
(2003), P.862.2 (2007). No kernels here: cards need the ends of the scale."""

from __future__ import annotations

from dataclasses import dataclass
from math import exp
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import models

if TYPE_CHECKING:
    from .alignment import Utterance
    from .disturbance import Disturbance

Array = NDArray[Any]

WORST, BEST = 0.999, 4.999  # ends of the mapping
BEST_RAW, SYMMETRIC, ASYMMETRIC = 4.5, 0.1, 0.0309  # P.862, eq. of the score
MAPPINGS = {"narrow": (1.4945, 4.6607), "wide": (1.3669, 3.8224)}  # P.862.1; P.862.2
SHORTEST = 0.25  # seconds


def opinion(raw: float, band: str) -> float:
    """MOS-LQO of a raw score."""
    slope, offset = MAPPINGS[band[: len("wide")] if band.startswith("wide") else "narrow"]
    return WORST + (BEST - WORST) / (1 + exp(offset - slope * raw))


@dataclass(frozen=True, slots=True, eq=False)
class Score:
    """raw: of P.862; symmetric, asymmetric: disturbance over time. found: what it is made of, in frames of `found.hop`.

    margin: samples before the first in the utterances; rate: Hz of the model.
    """

    raw: float
    symmetric: float
    asymmetric: float
    found: Disturbance
    utterances: list[Utterance]
    margin: int
    rate: int

    def cells(self) -> tuple[Array, Array]:
        """What frames and Bark bands take off the raw score, but for pooling over time, and what of that is where the
        test is louder: [frame, band], [the same]."""
        found = self.found
        assert found.cells is not None
        counts = np.arange(found.last + 1) >= found.first
        heights = np.stack([SYMMETRIC * found.symmetric, ASYMMETRIC * found.asymmetric], axis=1) * counts[:, None]
        cells = found.cells[:, :, 0] * heights[:, :1] + found.cells[:, :, 1] * heights[:, 1:]
        return cells, np.where(found.cells[:, :, 2] > 0, cells, 0)


def score(ref: Array, test: Array, rate: int, band: str, cells: bool = False) -> Score | str:
    """Of ref and test [sample] at 8 or 16 kHz, each of SHORTEST or more; or why there is none.

    band: narrow, wide or wide-cor2, wide ones at 16 kHz. cells: whether Score.cells will be asked for.
    """
    alignment, model = models.pesq.alignment, models.pesq.disturbance
    longest = max(ref.size, test.size)
    r, t = (alignment.brought_to_level(x, rate, longest, band) for x in (ref, test))
    if r is None or t is None:
        return f"the {'test' if r else 'reference'} is silent between 350 and 3250 Hz"
    utterances = alignment.align(r, t)
    if not utterances:
        return "no utterance of 0.2 s in the reference, or the test does not reach it"
    found = model.disturbance(r, t, utterances, cells)
    if found is None:
        return "no speech in the reference"
    inside = slice(found.first, found.last + 1)
    symmetric, asymmetric = (model.over_time(d[inside]) for d in (found.symmetric, found.asymmetric))
    raw = BEST_RAW - SYMMETRIC * symmetric - ASYMMETRIC * asymmetric
    return Score(raw, symmetric, asymmetric, found, utterances, r.margin, rate)
