"""Zimtohrli: structural dissimilarity of the spectrograms that a model of the ear gives, after warping time.

google/zimtohrli at ff5f049 (September 2025), cpp/zimt/zimtohrli.h; Alakuijala et al. 2025, arXiv 2509.26133. Bands,
filters and loudness: models.zimtohrli.phasor_bank; alignment: greedy_warping there; similarity: structure.
"""

from __future__ import annotations

from dataclasses import replace
from math import exp, nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import engine, models
from ..answer import Channel, Detail, View, pool
from ..card import Card
from ..hearing import scales
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Zimtohrli",
    family="perceptual",
    unit="1",
    better="lower",
    identical=0.0,
    range=(0.0, 1.0),
    formula="1 - mean of intensity^1.05 structure^0.258 over aligned steps and bands",
    source="google/zimtohrli at ff5f049, cpp/zimt/zimtohrli.h; Alakuijala et al. 2025, arXiv 2509.26133",
    conventions="As the code, not its README or paper, which have other constants; in double precision where the file "
    "is, within 1e-6. Below 8 steps the original reads beyond its memory: here its formula goes on. mos=true adds the "
    "opinion score of its mos.h, fitted to an older distance on another scale.",
    silence="Defined: 0 when both are silent, some 0.05 for silence against music.",
    caveat="It hardly exceeds 0.05, so it cannot rank gross damage. Time is warped and the walk ends with the shorter "
    "file: a part of a recording scores like the whole. Level counts little, as spectra are brought to one maximum.",
    minimum="33 samples; windows are full from 8 steps on, 3949 samples",
    rate=48000,
    pooling="rms",
    lengths="any",
    level="full scale is 1.0; its level of a full-scale sine is an option without effect",
    symmetric=True,
    triangle=False,
    blind=("polarity",),
    loses_track=("added_click",),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sqrt",
)

COR_LOUDER, COR_SOFTER = 0.5828284197882053, 0.6310239126768997  # exponents of the ratio of the two maxima
MOS_SHIFT, MOS_SLOPE = -5.784e-09, 51.06


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    mos: Annotated[bool, "add the original's approximate opinion score, 1 to 5, to the details"] = False,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 48 kHz, of any lengths; channels are pooled by their root mean square.

    Details: the parts of both files that were compared before the walk came to an end; mos, where asked for.
    """
    view = View(rate, detail, band_edges, jobs)
    pairs = streams(ref, test, rate, weighting, coef, mid_side)
    channels = _of_one_length(engine.threads.in_threads(lambda c: _channel(*pairs[c], view), range(len(pairs)), jobs))
    result = pool(channels)
    value = float(_rms([c.value for c in channels]))
    details = dict(result.details)
    if mos and value == value:
        details["mos"] = opinion(value)
    result = replace(result, value=value, details=details)
    if result.per_band is None:
        return result
    per_band, per_time = (_rms([getattr(c, name) for c in channels]) for name in ("per_band", "per_time"))
    return replace(result, per_band=per_band, per_time=per_time)


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text, in float64; the walk is found on detached spectra. mos changes details alone."""
    import torch

    energies, find = models.zimtohrli.phasor_bank.spectrogram_torch(), models.zimtohrli.greedy_warping.walk_torch()
    dissimilarities = models.zimtohrli.structure.dissimilarities_torch()

    def value(ref: Any, test: Any) -> Any:
        x, y = energies(ref), energies(test)
        a, b = (z.amax((1, 2), keepdim=True) for z in (x, y))
        louder = (a > b).double()
        up, down = COR_SOFTER + (COR_LOUDER - COR_SOFTER) * louder, COR_LOUDER + (COR_SOFTER - COR_LOUDER) * louder
        x, y = x * (b / a) ** up, y * (a / b) ** down
        path, real = find(x, y)
        i, j = path[..., None].unbind(1)
        aligned = torch.take_along_dim(x, i, 1), torch.take_along_dim(y, j, 1)
        by_step = dissimilarities(*aligned).mean(2) * real
        return (by_step.sum(1) / real.sum(1)).clamp(0, 1)

    return value


def opinion(distance: float) -> float:
    """Mean opinion score, 1 to 5, of a distance, as mos.h."""
    return 1 + 4 * (MOS_SHIFT + 1) / (MOS_SHIFT + exp(MOS_SLOPE * distance))


def _channel(r: Stream, t: Stream, view: View) -> Channel:
    shortest = min(r.length, t.length)
    if shortest < models.zimtohrli.phasor_bank.SHORTEST:
        return Channel(value=nan, reason=models.zimtohrli.phasor_bank.too_short(shortest))
    x, y = engine.threads.in_threads(lambda k: models.zimtohrli.phasor_bank.spectrogram((r, t)[k]), range(2), view.jobs)
    x, y = _compensated(x, y)
    i, j = models.zimtohrli.greedy_warping.walk(x, y)
    centres = models.zimtohrli.phasor_bank.bank().frequencies
    cuts, edges = scales.bands(centres, view.rate / 2, view.band_edges)
    totals, parts = [], []
    for whole, local in models.zimtohrli.structure.dissimilarities(x[i], y[j], view.detail != "value"):
        totals.append(whole.sum())
        parts.append(np.hstack([np.add.reduceat(local[:, : cuts[-1]], cuts[:-1], axis=1), local.sum(1)[:, None]]))
    pairs, cells, compared = len(i), len(i) * len(centres), int(i[-1]) + 1
    value = min(float(np.sum(totals)) / cells, 1.0)
    details = {"reference_compared": compared / len(x), "test_compared": float(j[-1] + 1) / len(y)}
    if view.detail == "value":
        return Channel(value=value, details=details)
    starts = np.searchsorted(i, np.arange(compared))  # of each step of the reference among the pairs
    sums = np.add.reduceat(np.concatenate(parts), starts)
    bands, whole = sums[:, :-1], sums[:, -1]
    return Channel(
        value=value,
        per_band=bands.sum(0) / (pairs * np.diff(cuts)),
        per_time=whole / (np.diff(starts, append=pairs) * len(centres)),
        bands=scales.centres(centres, cuts),
        edges=edges,
        times=np.arange(compared) * (r.length // len(x) / view.rate),
        map=bands * (value / cells) if view.detail == "map" else None,
        details=details,
    )


def _compensated(x: Any, y: Any) -> tuple[Any, Any]:
    """Spectra brought towards one maximum, and past each other: the exponents add up to more than 1."""
    a, b = float(x.max()), float(y.max())
    if a == b:
        return x, y
    return x * (b / a) ** (COR_LOUDER if a > b else COR_SOFTER), y * (a / b) ** (COR_LOUDER if b > a else COR_SOFTER)


def _of_one_length(channels: list[Channel]) -> list[Channel]:
    """The walks of the channels may end at different steps: nan and 0 for those that a channel did not reach."""
    if channels[0].times is None:
        return channels
    times: Any = max((np.asarray(c.times) for c in channels), key=len)

    def padded(array: Any, fill: float) -> Any:
        if array is None:
            return None
        return np.concatenate([array, np.full((len(times) - len(array), *array.shape[1:]), fill)])

    return [replace(c, times=times, per_time=padded(c.per_time, nan), map=padded(c.map, 0.0)) for c in channels]


def _rms(channels: list[Any]) -> Any:
    """Root mean square of those that are numbers."""
    squares = np.square(np.array(channels, dtype=np.float64))
    numbers = ~np.isnan(squares)
    with np.errstate(invalid="ignore"):  # none at all: 0 / 0
        return np.sqrt(np.where(numbers, squares, 0).sum(0) / numbers.sum(0))
