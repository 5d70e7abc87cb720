"""Zimtohrli: structural dissimilarity of the spectrograms that a model of the ear gives, after warping time.

google/zimtohrli at ff5f049 (September 2025), cpp/zimt/zimtohrli.h; Alakuijala et al. 2025, arXiv 2509.26133. Bands,
filters and loudness: models.zimtohrli.phasor_bank; alignment: greedy_warping there; similarity: structure. It has the
constants of the code: README and paper have others.

Details: reference_compared and test_compared, the parts of both files that were compared before the walk came to an
end; mos, where it is asked for. Channels whose walks end sooner do not count in the rest of per_time and map.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import exp, isnan, nan
from typing import Annotated, Any

import numpy as np

from .. import models
from ..answer import Channel, Pair, pool
from ..card import Card
from ..engine.threads import in_threads
from ..hearing import scales
from ..hearing.weighting import Weighted
from ..result import Twin

CARD = Card(
    title="Zimtohrli",
    family="perceptual",
    unit="1",
    better="lower",
    identical=0.0,
    range=(0.0, 1.0),
    formula="1 - mean of intensity^1.05 structure^0.258 over aligned steps and bands",
    source="google/zimtohrli at ff5f049, cpp/zimt/zimtohrli.h; Alakuijala et al. 2025, arXiv 2509.26133",
    conventions="As the original's code, in double precision where the file is, within 1e-6. Below 8 steps the "
    "original reads beyond its memory: here its formula goes on. mos=true adds the opinion score of its mos.h, fitted "
    "to an older distance on another scale.",
    silence="Defined: 0 when both are silent, some 0.05 for silence against music.",
    caveat="It hardly exceeds 0.05, so it cannot rank gross damage. Time is warped and the walk ends with the shorter "
    "file: a part of a recording scores like the whole. Level counts little: both spectra are brought to one maximum."
    " Beyond a minute the way is looked for in the minute of the test about it, where the original looks at all:"
    " exact=true does so too. The spectra of the whole are held, half as much memory as the recordings.",
    version=2,
    minimum="33 samples; windows are full from 8 steps on, 3949 samples",
    rate=48000,
    pooling="rms",
    joint_channels=True,
    lengths="any",
    level="full scale is 1.0; the original's option for the level of a full-scale sine has no effect",
    symmetric=True,
    insensitive_to=("polarity",),
    loses_track=("added_click",),
    gradient="exact",
    twice=False,
    zero_gradient_on_silence=True,
    profile="local",
    map="sqrt",
)

COR_LOUDER, COR_SOFTER = 0.5828284197882053, 0.6310239126768997  # exponents of the ratio of the two maxima
MOS_SHIFT, MOS_SLOPE = -5.784e-09, 51.06


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    mos: Annotated[bool, "add the original's approximate opinion score, 1 to 5, to the details"] = False
    exact: Annotated[bool, "find the way through all of both recordings, however long that takes"] = False


def measure(pairs: list[Pair], o: Options) -> Channel:
    """mos is that of the pooled value, so the channels are pooled here."""
    threads = pairs[0].threads
    each = max(1, threads // len(pairs))
    channels = in_threads(lambda c: _channel(replace(pairs[c], threads=each), o), range(len(pairs)), threads)
    pooled = pool(channels, CARD.pooling)
    if not o.mos or isnan(pooled.value):
        return pooled
    return replace(pooled, details={**pooled.details, "mos": opinion(pooled.value)})


def twin(rate: int, o: Options) -> Twin:
    """In float64. The walk is found on detached spectra."""
    import torch

    energies, find = models.zimtohrli.phasor_bank.spectrogram_torch(), models.zimtohrli.greedy_warping.walk_torch()
    dissimilarities = models.zimtohrli.structure.dissimilarities_torch()

    def value(ref: Any, test: Any) -> Any:
        x, y = (energies(z.flatten(0, 1)) for z in (ref, test))
        a, b = (z.amax((1, 2), keepdim=True) for z in (x, y))
        louder = (a > b).double()
        up, down = COR_SOFTER + (COR_LOUDER - COR_SOFTER) * louder, COR_LOUDER + (COR_SOFTER - COR_LOUDER) * louder
        x, y = x * (b / a) ** up, y * (a / b) ** down
        path, real = find(x, y, o.exact)
        i, j = path[..., None].unbind(1)
        aligned = torch.take_along_dim(x, i, 1), torch.take_along_dim(y, j, 1)
        by_step = dissimilarities(*aligned).mean(2) * real
        return (by_step.sum(1) / real.sum(1)).clamp(0, 1).reshape(ref.shape[:2])

    return value


def opinion(distance: float) -> float:
    """Mean opinion score, 1 to 5, of a distance, as mos.h."""
    return 1 + 4 * (MOS_SHIFT + 1) / (MOS_SHIFT + exp(MOS_SLOPE * distance))


def _channel(pair: Pair, o: Options) -> Channel:
    files = pair.ref, pair.test
    shortest = min(x.length for x in files)
    if shortest < models.zimtohrli.phasor_bank.SHORTEST:
        return Channel(value=nan, reason=models.zimtohrli.phasor_bank.too_short(shortest))
    x, y = in_threads(lambda k: models.zimtohrli.phasor_bank.spectrogram(files[k]), range(2), pair.threads)
    x, y = _compensated(x, y)
    i, j = models.zimtohrli.greedy_warping.walk(x, y, o.exact)
    centres = models.zimtohrli.phasor_bank.bank().frequencies
    cuts, edges = scales.bands(centres, pair.rate / 2, pair.band_edges)
    totals, parts = [], []
    for whole, local in models.zimtohrli.structure.dissimilarities(x, y, i, j, pair.detail != "value"):
        totals.append(whole.sum())
        parts.append(np.hstack([scales.by_band(local, cuts), local.sum(1)[:, None]]))
    pairs, cells, compared = len(i), len(i) * len(centres), int(i[-1]) + 1
    value = min(float(np.sum(totals)) / cells, 1.0)
    details = {"reference_compared": compared / len(x), "test_compared": float(j[-1] + 1) / len(y)}
    if pair.detail == "value":
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
        times=np.arange(compared) * (pair.ref.length // len(x) / pair.rate),
        map=bands * (value / cells) if pair.detail == "map" else None,
        details=details,
    )


def _compensated(x: Any, y: Any) -> tuple[Any, Any]:
    """Spectra brought towards one maximum, and past each other: the exponents add up to more than 1."""
    a, b = float(x.max()), float(y.max())
    if a == b:
        return x, y
    return x * (b / a) ** (COR_LOUDER if a > b else COR_SOFTER), y * (a / b) ** (COR_LOUDER if b > a else COR_SOFTER)
