"""Frequency-weighted segmental signal-to-noise ratio, in dB: how far the magnitudes of the test are from those of the
reference in 25 critical bands, each band weighted by its magnitude. Tribolet et al. 1978; Hu and Loizou 2008, eq. 3; as
pysepm's fwSNRseg."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from .. import models
from ..answer import Channel, Detail, View, pooled
from ..card import Card
from ..errors import InputError, UsageError
from ..hearing import scales
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..models.loizou.segments import EPS, FRAME, HIGHEST, LOWEST, OVERLAP, Segments
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Frequency-weighted segmental signal-to-noise ratio",
    family="conventional",
    unit="dB",
    better="higher",
    identical=35.0,
    range=(-10.0, 35.0),
    formula="mean over frames of clip(sum_b X^0.2 10 lg(X^2 / (X - Y)^2) / sum_b X^0.2, low, high), X, Y: magnitudes of"
    " reference and test in 25 critical bands, over the sum of all magnitudes of their frame",
    source="Tribolet et al. 1978; Hu and Loizou 2008, eq. 3; Loizou 2013, section 11.1.3; pysepm at 7ef88af, fwSNRseg",
    conventions="At 16 kHz; frames of 30 ms, three quarters overlapping, the last left out; each frame is brought to"
    " one sum of magnitudes, so that gain is not heard. Nothing above 3.8 kHz is, but for that sum. pysepm adds 2.2e-16"
    " to all samples and compares frames of digital silence by that constant: noise in a pause costs 45 dB there."
    " convention=pysepm does so too. Here frames count where the reference has sound; where the test has none, 0 dB.",
    silence="Undefined for a silent reference; 0 dB for a silent test.",
    caveat="Hears neither phase nor level, and pauses as much as speech.",
    minimum="two frames: 37.5 ms by default",
    rate=16000,
    symmetric=False,
    triangle=False,
    blind=("polarity", "gain"),
    gradient="exact",
    cap="the lower clip, without a gradient, where the reference is silent; frames at either clip have none either",
    deaf_start=True,
    profile="local",
    map="share",
)

GAMMA = 0.2  # exponent of the weight
DB = float(10 / np.log(10))
TINY = 1e-150  # magnitude of a band without any: its weight is 1e-30, and its logarithm finite

Convention = Annotated[Literal["guarded", "pysepm"], "silent frames do not count, or are compared by an added constant"]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    convention: Convention = "guarded",
    frame: Annotated[float, "seconds of a frame"] = FRAME,
    overlap: Annotated[float, "share of a frame that it shares with the next, below 1"] = OVERLAP,
    low: Annotated[float, "dB, lower clip of a frame"] = LOWEST,
    high: Annotated[float, "dB, upper clip of a frame"] = HIGHEST,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 16 kHz; the channels are averaged.

    per_band: the mean over frames of the clipped ratio of that band alone; per_time: of a frame, nan where it does not
    count. map: shares of what frames lack to the upper clip, by the bands that lack it; where none does, of
    weighted noise.
    """
    view, segments = View(rate, detail, band_edges, jobs), _segments(rate, frame, overlap, low, high)
    offset = EPS if convention == "pysepm" else 0.0
    return pooled(
        [
            _channel(r, t, segments, offset, low, high, view)
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text; which frames count is decided on detached samples."""
    import torch

    segments = _segments(rate, o.frame, o.overlap, o.low, o.high)
    offset = EPS if o.convention == "pysepm" else 0.0
    magnitudes = models.loizou.critical_bands.magnitudes_torch(segments, offset)

    def value(ref: Any, test: Any) -> Any:
        if segments.count(ref.shape[-1]) < 1:
            raise InputError(segments.too_short(ref.shape[-1]))
        (x, x_total), (y, y_total) = magnitudes(ref), magnitudes(test)
        x, y = (m / torch.where(s > 0, s, 1)[..., None] for m, s in ((x, x_total), (y, y_total)))
        log = x.clamp(min=TINY).log()
        weights = (GAMMA * log).exp()
        snr = DB * (2 * log - (x - y).square().clamp(min=EPS).log())
        frames = ((weights * snr).sum(-1) / weights.sum(-1)).clamp(o.low, o.high)
        frames = torch.where((x == y).all(-1), o.high, frames)
        counts = x_total > 0
        mean = (frames * counts).sum(-1) / counts.sum(-1).clamp(min=1)
        return torch.where(counts.any(-1), mean, o.low)

    return value


def _segments(rate: int, frame: float, overlap: float, low: float, high: float) -> Segments:
    if not low < high:
        raise UsageError(f"low and high ascend, not {low:g} and {high:g}")
    return Segments.of(rate, frame, overlap)


def _channel(r: Stream, t: Stream, segments: Segments, offset: float, low: float, high: float, view: View) -> Channel:
    count = segments.count(r.length)
    if count < 1:
        return Channel(value=nan, reason=segments.too_short(r.length))
    kept = slice(None) if view.detail != "value" else slice(0)

    def measure(bands: Any, totals: Any) -> tuple[Any, ...]:
        """Of every frame its ratio, nan where it does not count; by band, where asked for, ratios and weights."""
        x, y = bands / np.where(totals > 0, totals, 1)[..., None]
        log = np.log(np.maximum(x, TINY))
        weights = np.exp(GAMMA * log)
        snr = DB * (2 * log - np.log(np.maximum((x - y) ** 2, EPS)))
        snr[(x == y).all(1)] = inf
        frames = np.clip((weights * snr).sum(1) / weights.sum(1), low, high)
        frames[totals[0] == 0] = nan
        return frames, snr[kept], weights[kept]

    critical = models.loizou.critical_bands
    frames, snr, weights = critical.over_frames(r, t, segments, False, offset, measure, view.jobs)
    counts = np.isfinite(frames)
    if not counts.any():
        return Channel(value=nan, reason="the reference is silent")
    value = float(frames[counts].mean())
    if view.detail == "value":
        return Channel(value=value)
    cuts, edges = critical.edges(view.rate / 2, view.band_edges)
    frames, snr, weights = frames[:, None], snr[:, : cuts[-1]], weights[:, : cuts[-1]]
    snr, whole = np.where(frames == high, np.maximum(snr, high), snr), weights.sum(1, keepdims=True)
    lacking = np.where(counts[:, None], weights / whole * np.maximum(high - snr, 0), 0)
    lacking *= np.where(counts[:, None], high - frames, 0) / np.maximum(lacking.sum(1, keepdims=True), TINY)
    if not lacking.any():
        lacking = np.where(counts[:, None], weights * 10 ** (-snr / 10), 0)
    cells = np.add.reduceat(lacking, cuts[:-1], axis=1)
    local, parts = (np.add.reduceat(z, cuts[:-1], axis=1) for z in (weights * snr, weights))
    return Channel(
        value=value,
        per_band=np.clip(local / parts, low, high)[counts].mean(0),
        per_time=frames[:, 0],
        bands=scales.centres(critical.CENTRES, cuts),
        edges=edges,
        times=segments.times(count),
        map=cells / (cells.sum() or 1.0) if view.detail == "map" else None,
    )
