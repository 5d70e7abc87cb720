"""Who listens in HASPI and HASQI, and how loud: their options, and a pair of recordings as that ear is given it. No
kernels here: cards need the options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ... import models
from ...answer import Pair, View, shares, too_short
from ...hearing import audiogram as audiograms, scales
from ...options import Options

if TYPE_CHECKING:
    from .impaired_ear import Aligned

Array = NDArray[Any]

SHORTEST = 0.25  # seconds


@dataclass(frozen=True, kw_only=True)
class Listener(Options):
    """An ear, and the level of what is played to it."""

    audiogram: Annotated[str, audiograms.HELP] = "normal"
    level: Annotated[float | None, "dB SPL of a full-scale sine; none: so that the reference has 65 dB SPL"] = None

    def check(self) -> None:
        audiograms.losses(self.audiogram)

    @property
    def losses(self) -> tuple[float, ...]:
        """Hearing losses in dB at audiogram.FREQUENCIES."""
        return audiograms.losses(self.audiogram)

    def aligned(self, pair: Pair, taps: Array | None = None, lead: int = 0) -> Aligned | str:
        """The pair at 24 kHz behind the middle ear, as far as the shorter recording goes; or why there is no value.

        taps, lead: of a filter for the reference, as in impaired_ear.aligned.
        """
        ear, length = models.haspi.impaired_ear, _length(pair)
        ref, test = (x[:length] for x in pair.samples)
        if length < SHORTEST * pair.rate:
            return too_short(SHORTEST, length, pair.rate)
        if not ref.any():
            return "the reference is silent"
        loudness = ear.reference_level(ref, self.level)
        ref, test = (ear.presented(x, pair.rate, pair.threads) for x in (ref, test))
        return ear.aligned(ref, test, loudness, taps, lead)


def cells(pair: Pair, size: int) -> int:
    """How many cells of so many samples of 24 kHz the map has; 0 where only the value is asked for."""
    return 0 if pair.detail == "value" else -(-_length(pair) * models.haspi.impaired_ear.RATE // (pair.rate * size))


def located(where: Array, size: int, view: View) -> dict[str, Any]:
    """Fields of a Channel: where [cell, band] >= 0, of cells of so many samples of 24 kHz, as shares of its sum."""
    if view.detail == "value":
        return {}
    ear = models.haspi.impaired_ear
    cuts, edges = scales.bands(ear.centres(), ear.RATE / 2, view.band_edges)
    inside = scales.by_band(where, cuts)
    times = (np.arange(len(where)) + 0.5) * (size / ear.RATE)
    return shares(inside, times, ear.centres(), cuts, edges, view.detail)


def _length(pair: Pair) -> int:
    """Samples of the shorter recording."""
    return min(pair.ref.length, pair.test.length)
