"""Frequency-weighted segmental signal-to-noise ratio, in dB: how far the magnitudes of the test are from those of the
reference in 25 critical bands, each band weighted by its magnitude. Tribolet et al. 1978; Hu and Loizou 2008, eq. 3; as
pysepm's fwSNRseg.

By default frames last 30 ms and overlap by three quarters; as in pysepm the last is left out. Each frame is brought to
one sum of magnitudes, so that gain is not heard; what lies above 3.8 kHz enters only that sum.

per_band is the mean over frames of the clipped ratio of each band alone; per_time is the ratio of each frame, nan where
it does not count. The map holds shares of what frames lack to the upper clip, by the bands that lack it; where no frame
lacks anything, shares of weighted noise.

All is computed in float64, of float32 samples too.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..errors import InputError
from ..hearing import scales
from ..models.loizou.segments import EPS, Clipped
from ..result import Twin

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
    conventions="pysepm adds 2.2e-16 to all samples and compares frames of digital silence by that constant, so that"
    " noise in a pause costs 45 dB; convention=pysepm does the same. By default frames count where the reference has"
    " sound, and score 0 dB where the test has none.",
    silence="Undefined for a silent reference; 0 dB for a silent test.",
    caveat="It hears neither phase nor level, and pauses as much as speech."
    " Memory grows with the recordings, by at most what they take.",
    version=2,
    minimum="two frames: 37.5 ms by default",
    rate=16000,
    symmetric=False,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    cap="the lower clip, without a gradient, where the reference is silent; frames at either clip have none either",
    zero_gradient_on_silence=True,
    profile="local",
    map="share",
)

GAMMA = 0.2  # exponent of the weight
DB = float(10 / np.log(10))
TINY = 1e-150  # magnitude of a band without any: its weight is 1e-30, and its logarithm finite


@dataclass(frozen=True, kw_only=True)
class Options(Clipped):
    convention: Annotated[
        Literal["guarded", "pysepm"], "silent frames do not count, or are compared by an added constant"
    ] = "guarded"

    float64: ClassVar[bool] = True

    @property
    def offset(self) -> float:
        """What is added to all samples."""
        return EPS if self.convention == "pysepm" else 0.0


def measure(pair: Pair, o: Options) -> Channel:
    segments, length = o.segments(pair.rate), pair.ref.length
    count = segments.count(length)
    if count < 1:
        return Channel(value=nan, reason=segments.too_short(length))
    located = slice(None) if pair.detail != "value" else slice(0)

    def ratios(bands: Any, totals: Any) -> tuple[Any, ...]:
        """Of every frame its ratio, nan where it does not count; by band, where asked for, ratios and weights."""
        x, y = bands / np.where(totals > 0, totals, 1)[..., None]
        log = np.log(np.maximum(x, TINY))
        weights = np.exp(GAMMA * log)
        snr = DB * (2 * log - np.log(np.maximum((x - y) ** 2, EPS)))
        snr[(x == y).all(1)] = inf
        frames = np.clip((weights * snr).sum(1) / weights.sum(1), o.low, o.high)
        frames[totals[0] == 0] = nan
        return frames, snr[located], weights[located]

    critical = models.loizou.critical_bands
    frames, snr, weights = critical.over_frames(pair.ref, pair.test, segments, False, o.offset, ratios, pair.threads)
    counts = np.isfinite(frames)
    if not counts.any():
        return Channel(value=nan, reason="the reference is silent")
    value = float(frames[counts].mean())
    if pair.detail == "value":
        return Channel(value=value)
    cuts, edges = critical.edges(pair.rate / 2, pair.band_edges)
    frames, snr, weights = frames[:, None], snr[:, : cuts[-1]], weights[:, : cuts[-1]]
    snr, whole = np.where(frames == o.high, np.maximum(snr, o.high), snr), weights.sum(1, keepdims=True)
    lacking = np.where(counts[:, None], weights / whole * np.maximum(o.high - snr, 0), 0)
    lacking *= np.where(counts[:, None], o.high - frames, 0) / np.maximum(lacking.sum(1, keepdims=True), TINY)
    if not lacking.any():
        lacking = np.where(counts[:, None], weights * 10 ** (-snr / 10), 0)
    cells, local, parts = (np.add.reduceat(z, cuts[:-1], axis=1) for z in (lacking, weights * snr, weights))
    return Channel(
        value=value,
        per_band=np.clip(local / parts, o.low, o.high)[counts].mean(0),
        per_time=frames[:, 0],
        bands=scales.centres(critical.CENTRES, cuts),
        edges=edges,
        times=segments.times(count),
        map=cells / (cells.sum() or 1.0) if pair.detail == "map" else None,
    )


def twin(rate: int, o: Options) -> Twin:
    """Which frames count is decided on detached samples."""
    import torch

    segments = o.segments(rate)
    magnitudes = models.loizou.critical_bands.magnitudes_torch(segments, o.offset)

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
