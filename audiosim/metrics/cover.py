"""Cover: how much of a piece of music the test plays too, in whatever key, tempo and arrangement.

Chroma of both, transposed to one key (Serra et al. 2008), are laid over each other. align=qmax: the longest passage
that both share, with room for tempo (cross recurrence, Qmax; Serra, Serra and Andrzejak 2009); the value is the part
of the shorter recording that is not in it. align=dtw: all of both, from the beginning to the end, by dynamic time
warping; the value is the mean distance of chroma along the path, 0 to 1.

details: semitones, by which the test was raised (-5 to 6); qmax and serra, the paper's distance sqrt(frames of the
test) / Qmax; tempo_ratio, seconds of the reference's passage over the test's. per_time: 1 where the reference is not in
the passage (align=dtw: the distance there). per_band: the same, weighted by what sounds in the band.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan, sqrt
from typing import Annotated, Any, Literal

import numpy as np

from .. import dsp, engine, models, options
from ..answer import Channel, Pair
from ..card import Card
from ..hearing import scales

CARD = Card(
    title="Cover song distance",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    range=(0.0, 1.0),
    formula="1 - Qmax / min(n, m): Qmax, length of the longest trace in the cross recurrence of states of 9 chroma",
    source="Serra, Serra and Andrzejak 2009, New J. Phys. 11, 093017; Serra et al. 2008, IEEE Trans. ASLP 16, 1138",
    conventions="The detail serra is the paper's distance, as essentia's CoverSongSimilarity has it, of our chroma in"
    " the place of HPCP: rank by it where one query is held against pieces of many lengths.",
    silence="0 when both are silent, 1 when one is.",
    caveat="It says whether the same piece is played, not how well: deaf to level and timbre, and under align=qmax to"
    " what precedes and follows the shared passage. Unrelated music shares short passages: some 0.5 to 0.8, not 1."
    " Below 10 s it says little. Above 10 minutes frames become longer.",
    rate=16000,
    content=True,
    lengths="any",
    symmetric=True,
    insensitive_to=(),
    gradient="none",
    profile="local",
    map="sum",
)

FRAMES = 6  # of the chroma, that are averaged to one: 0.19 s
MOST = 3200  # averaged frames; longer recordings have longer ones
FLOOR = 1e-10  # power of a pitch class, re a full-scale sine


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    align: Annotated[Literal["qmax", "dtw"], "the longest shared passage, or all of both"] = "qmax"
    transpose: Annotated[bool, "the test is brought to the key of the reference first"] = True


def measure(pair: Pair, o: Options) -> Channel:
    frames = dsp.chroma.stft(pair.rate)
    longest = max(frames.count(x.size) for x in pair.samples)
    size = FRAMES * -(-longest // (FRAMES * MOST))
    x, y = engine.threads.in_threads(lambda k: _features(pair.samples[k], pair.rate, size), range(2), pair.threads)
    silent = [not s.any() for s in pair.samples]
    if any(silent):
        details: dict[str, float] = {}
        value, apart = (0.0 if all(silent) else 1.0), np.full(len(x), 0.0 if all(silent) else 1.0)
    else:
        semitones = dsp.chroma.transposition(x, y) if o.transpose else 0
        y = np.roll(y, semitones, axis=1)
        value, details, apart = (_qmax if o.align == "qmax" else _dtw)(x, y)
        details["semitones"] = float((semitones + 5) % 12 - 5)
    if pair.detail == "value":
        return Channel(value=value, details=details)
    return Channel(value=value, details=details, **_where(value, apart, pair, size))


def _features(x: Any, rate: int, size: int) -> Any:
    """Roots of the power by pitch class, the largest 1: [frame, 12], of `size` frames of the chroma each."""
    power, _ = dsp.chroma.chromagram(x, rate, dsp.chroma.stft(rate))
    starts = np.arange(0, len(power), size)
    mean = np.add.reduceat(power, starts) / np.diff([*starts, len(power)])[:, None]
    root = np.sqrt(mean + FLOOR)
    return root / root.max(1, keepdims=True)


def _qmax(x: Any, y: Any) -> tuple[float, dict[str, float], Any]:
    crp = models.cover.recurrence(x, y)
    q, path = models.cover.longest(crp)
    value = max(0.0, 1 - q / min(crp.shape))
    details = {"qmax": q, "serra": sqrt(crp.shape[1]) / q if q else sqrt(crp.shape[1])}
    apart = np.ones(len(x))
    if path.size:
        first, last = path[:, 0], path[:, -1]
        apart[first[0] : last[0] + models.cover.STACK] = 0  # all that the states hold
        if last[1] > first[1]:
            details["tempo_ratio"] = float((last[0] - first[0]) / (last[1] - first[1]))
    return value, details, apart


def _dtw(x: Any, y: Any) -> tuple[float, dict[str, float], Any]:
    x, y = (c / np.sqrt((c**2).sum(1, keepdims=True)) for c in (x, y))
    _, (i, j) = dsp.warping.fast_dtw(x, y, 50, 1e-6)
    steps = 0.5 * ((x[i] - y[j]) ** 2).sum(1)  # 1 - cosine
    sums, counts = np.bincount(i, steps, len(x)), np.bincount(i, minlength=len(x))
    return min(1.0, float(steps.mean())), {"tempo_ratio": len(x) / len(y)}, sums / counts


def _where(value: float, apart: Any, pair: Pair, size: int) -> dict[str, Any]:
    """Profile and map, of how far each frame of the reference is from the test [frame]."""
    frames = dsp.chroma.stft(pair.rate)
    frequencies = frames.frequencies(pair.rate)
    cuts, edges = scales.bands(frequencies, pair.rate / 2, pair.band_edges)
    loud = np.concatenate(
        [
            scales.by_band(z.real.astype(np.float64) ** 2 + z.imag.astype(np.float64) ** 2, cuts)
            for z in engine.fold.spectra(pair.ref.samples, frames)
        ]
    )
    loud = np.add.reduceat(loud, np.arange(0, len(loud), size)) ** 0.3
    cells = apart[:, None] * loud
    if not cells.any():
        cells = np.ones_like(loud)
    sounds = loud.sum(0)
    return {
        "per_band": np.divide(apart @ loud, sounds, out=np.full(sounds.size, nan), where=sounds > 0),
        "per_time": apart,
        "bands": scales.centres(frequencies, cuts),
        "edges": edges,
        "times": (np.arange(len(apart)) * size + (size - 1) / 2) * (frames.hop / pair.rate),
        "map": cells * (value / cells.sum()) if pair.detail == "map" else None,
    }
