"""Chroma distance: how far harmony and melody are from those of the reference, octaves, timbre and level aside.

In each frame the energy of both is shared out among the twelve pitch classes (Bartsch and Wakefield 2001; weights of
Ellis 2007); the roots of these shares are compared by the cosine. Frames count as the 0.3rd power of the energy, about
as loud as they are, in the mean of the two recordings.

per_band: the distance of what lies in that band; per_time: that of a frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from .. import dsp, engine
from ..answer import Channel, Pair
from ..card import Card
from ..hearing import scales
from ..hearing.weighting import Weighted
from ..result import Twin

CARD = Card(
    title="Chroma distance",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    range=(0.0, 1.0),
    formula="sum w (1 - cos(c(ref), c(test))) / sum w over frames; c: root of the power in 12 pitch classes, "
    "w = E(ref)^0.3 + E(test)^0.3",
    source="Bartsch and Wakefield 2001, WASPAA; weights of bins: Ellis 2007",
    conventions="The weights of bins are those of librosa.filters.chroma 0.11 with its defaults, of the tuning A = 440"
    " Hz. VERSA's chroma_alignment warps time and compares power: see --align warp.",
    silence="Defined through a floor of -100 dB in each pitch class: 0 when both are silent.",
    caveat="It compares which notes sound, not how well: deaf to octaves and to level, nearly so to timbre. Recordings"
    " must be aligned: see --align auto and warp, and cover for another key.",
    content=True,
    symmetric=True,
    insensitive_to=("polarity",),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)

FLOOR = 1e-10  # power of a pitch class, re a full-scale sine
LOUDNESS = 0.3
BLOCK = 64  # frames in work at a time


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    pass


def measure(pair: Pair, o: Options) -> Channel:
    frames = dsp.chroma.stft(pair.rate)
    count = frames.count(pair.ref.length)
    weights = np.ascontiguousarray(dsp.chroma.filters(pair.rate, frames.n_fft).T)
    scale = 4 / frames.window.sum() ** 2
    frequencies = frames.frequencies(pair.rate)
    cuts, edges = scales.bands(frequencies, pair.rate / 2, pair.band_edges)
    wanted = pair.detail != "value"
    distances, loud = np.empty(count), np.empty(count)
    by_band = np.zeros((2, cuts.size - 1))  # sums over frames of distances and of weights
    cells = np.zeros((count if wanted else 0, cuts.size - 1))
    cut = engine.fold.cutter(engine.stream.double(pair.ref), engine.stream.double(pair.test), frames, BLOCK)
    for first in range(0, count, BLOCK):
        part = slice(first, min(first + BLOCK, count))
        z = cut(first, part.stop - first)
        p = scale * (z.real**2 + z.imag**2)
        distances[part] = _distance(p @ weights)
        loud[part] = (p.sum(2) ** LOUDNESS).sum(0)
        if not wanted:
            continue
        for k, (a, b) in enumerate(pairwise(cuts)):
            heard = (p[..., a:b].sum(2) ** LOUDNESS).sum(0)
            by_band[:, k] += heard @ _distance(p[..., a:b] @ weights[a:b]), heard.sum()
        amplitude = np.sqrt(p / (p.sum(2, keepdims=True) + FLOOR))
        apart = scales.by_band((amplitude[1] - amplitude[0]) ** 2, cuts)
        cells[part] = apart / np.maximum(apart.sum(1, keepdims=True), 1e-300)
    total = loud.sum()
    share = loud / total if total else np.full(count, 1 / count)
    value = float(share @ distances)
    if not wanted:
        return Channel(value=value)
    cells *= (share * distances)[:, None]
    whole = cells.sum()
    return Channel(
        value=value,
        per_band=np.divide(by_band[0], by_band[1], out=np.zeros(cuts.size - 1), where=by_band[1] > 0),
        per_time=distances,
        bands=scales.centres(frequencies, cuts),
        edges=edges,
        times=frames.times(count, pair.rate),
        map=cells * (value / whole if whole else 0.0) if pair.detail == "map" else None,
    )


def _distance(powers: Any) -> Any:
    """Of chroma [2, frame, 12]: 1 - cosine of their roots [frame], exactly 0 where they are equal."""
    c = np.sqrt(powers + FLOOR)
    c /= np.sqrt((c**2).sum(2, keepdims=True))
    return np.minimum(0.5 * ((c[1] - c[0]) ** 2).sum(1), 1.0)


def twin(rate: int, o: Options) -> Twin:
    """The loudness of a silent frame has no gradient."""
    del o
    import torch

    from ..engine import tensors
    from ..hearing.tensors import in_float64

    frames = dsp.chroma.stft(rate)
    scale = 4 / frames.window.sum() ** 2
    transform, weights = tensors.spectra(frames), tensors.Constant(dsp.chroma.filters(rate, frames.n_fft).T)

    def value(ref: Any, test: Any) -> Any:
        r, t = (scale * tensors.power(transform(x), 0.0) for x in (ref, test))
        c, d = (torch.nn.functional.normalize((tensors.product(p, weights(p)) + FLOOR).sqrt(), dim=2) for p in (r, t))
        distances = ((d - c).square().sum(2) / 2).clamp(max=1)
        energies = torch.stack([r.sum(2), t.sum(2)])
        heard = energies > 0
        loud = (torch.where(heard, energies, 1) ** LOUDNESS * heard).sum(0)
        total = loud.sum(1)
        return (loud * distances).sum(1) / torch.where(total > 0, total, 1)

    return in_float64(value)
