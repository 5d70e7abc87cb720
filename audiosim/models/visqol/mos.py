"""What both modes of ViSQOL have in common: the value, its profile and its map, from the similarity of patches by band;
and the value on tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ... import models
from ...answer import Channel, Pair
from ...hearing import scales
from ...options import AT_LEAST_ONE, Options
from ...result import Twin

if TYPE_CHECKING:
    from .patches import Ear, Likeness, Mode

Array = NDArray[Any]

DISSIMILAR = 0.15  # mean similarity below which a score is 1


@dataclass(frozen=True, kw_only=True)
class Searching(Options):
    """Options of both modes."""

    output: Annotated[Literal["mos", "vnsim"], "MOS-LQO, or the mean similarity that it is made of"] = "mos"
    search: Annotated[
        int, AT_LEAST_ONE, "how far from its place a patch is looked for, in patches: 0.6 s each, for speech 0.4 s"
    ] = 60
    exact: Annotated[bool, "find the lag of recordings over a minute at once, in 12 times their memory"] = False

    @property
    def value_unit(self) -> str | None:
        return "NSIM" if self.output == "vnsim" else None


def measure(pairs: Sequence[Pair], mode: Mode, o: Searching, score: Callable[[Array], float | str]) -> Channel:
    """The value of all channels, averaged to one.

    score: similarity by band [band] -> MOS-LQO before it is held, or why there is none.
    """
    view = pairs[0]
    ear = models.visqol.patches.Ear.of(mode, view.rate)
    ref, test = ([p.samples[i] for p in pairs] for i in (0, 1))
    found = models.visqol.patches.likeness(ref, test, ear, o.search, view.threads, o.exact)
    if isinstance(found, str):
        return Channel(value=nan, per_channel=np.array([nan]), reason=found)
    bands = found.by_patch.mean(0)
    vnsim = float(bands.mean())
    value, reason = vnsim, None
    if o.output == "mos":
        mos = score(bands)
        value, reason = (nan, mos) if isinstance(mos, str) else (held(mos, vnsim), None)
    return Channel(
        value=value,
        per_channel=np.array([value]),
        details={
            "vnsim": vnsim,
            "alignment_lag_s": found.plan.late / view.rate,
            "patches": float(len(found.by_patch)),
            "lost": float(np.count_nonzero(found.plan.found < 0)),
        },
        reason=reason,
        **_profile(found, ear, view),
    )


def twin(rate: int, mode: Mode, o: Searching, score: Callable[[Any], Any] | None = None) -> Twin:
    """In float64. What is compared with what is found without a gradient; a score of 1 has the gradient that it would
    have if it were not held there.

    score: of similarity by band [item, band] -> MOS-LQO before it is held [item]; None for the similarity itself.
    """
    similar = models.visqol.patches.bands_torch(models.visqol.patches.Ear.of(mode, rate), o.search, o.exact)

    def value(ref: Any, test: Any) -> Any:
        bands, known = similar(ref, test)
        vnsim = bands.mean(1)
        if score is None:
            return (vnsim * known)[:, None]
        return (1 + (_held_torch(score(bands), vnsim) - 1) * known)[:, None]

    return value


def held(score: float, vnsim: float) -> float:
    """The score of a vnsim within 1 and 5, and 1 where vnsim is below DISSIMILAR."""
    return 1.0 if vnsim < DISSIMILAR else min(max(score, 1.0), 5.0)


def _held_torch(score: Any, vnsim: Any) -> Any:
    """held of tensors, with the gradient of the score before, so that there is a way out of 1."""
    inside = 1 + (score.clamp(1, 5) - 1) * (vnsim >= DISSIMILAR)
    return score + (inside - score).detach()


def _profile(found: Likeness, ear: Ear, view: Pair) -> dict[str, Any]:
    """Fields of a Channel: similarity by band and by patch, and in the map how much each lacks, as shares of it all."""
    if view.detail == "value":
        return {}
    cuts, edges = scales.bands(ear.bank.frequencies, ear.top, view.band_edges)
    lacks = np.maximum(1 - found.by_patch, 0.0)
    shares = scales.by_band(lacks, cuts) / (lacks.sum() or 1.0)
    bands = found.by_patch.mean(0)
    return {
        "per_band": scales.by_band(bands, cuts) / np.diff(cuts),
        "per_time": found.by_patch.mean(1),
        "bands": scales.centres(ear.bank.frequencies, cuts),
        "edges": edges,
        "times": found.times,
        "map": shares if view.detail == "map" else None,
    }
