"""Segmental signal-to-noise ratio, in dB: the mean over frames of the SNR clipped to -10..35 dB. Hansen and Pellom
1998; Loizou 2013, section 11.1; as pysepm's SNRseg."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Annotated, Any

from .. import models
from ..answer import Channel, Detail, View, pool, waveform
from ..card import Card
from ..errors import InputError, UsageError
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..models.loizou.segments import EPS, FRAME, HIGHEST, LOWEST, OVERLAP, Segments
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Segmental signal-to-noise ratio",
    family="conventional",
    unit="dB",
    better="higher",
    identical=None,
    range=(-10.0, 35.0),
    formula="mean over frames of clip(10 lg(sum (w ref)^2 / sum (w (ref - test))^2), low, high)",
    source="Hansen and Pellom 1998; Loizou 2013, section 11.1; pysepm at 7ef88af, SNRseg",
    conventions="Frames of 30 ms, three quarters overlapping, under a Hann window without its zeros; as pysepm the "
    "last frame is left out, and eps = 2.2e-16 guards the noise and the ratio. Identical files "
    "score 35 dB less what their silent frames take away, so identical depends on the signal.",
    silence="-10 dB in every frame in which the reference is silent, also when both are.",
    caveat="Pauses count as much as speech; the clipping hides how bad or good a frame is.",
    minimum="two frames: 37.5 ms by default",
    symmetric=False,
    triangle=False,
    gradient="exact",
    profile="share",
    map="share",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    frame: Annotated[float, "seconds of a frame"] = FRAME,
    overlap: Annotated[float, "share of a frame that it shares with the next, below 1"] = OVERLAP,
    low: Annotated[float, "dB, lower clip"] = LOWEST,
    high: Annotated[float, "dB, upper clip"] = HIGHEST,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    segments = Segments.of(rate, frame, overlap)
    _check(low, high)
    return pool(
        [_channel(r, t, segments, low, high, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..engine.tensors import segments

    cut = Segments.of(rate, o.frame, o.overlap)
    _check(o.low, o.high)
    energies = segments(cut.window, cut.hop)

    def value(ref: Any, test: Any) -> Any:
        count = cut.count(ref.shape[-1])
        if count < 1:
            raise InputError(cut.too_short(ref.shape[-1]))
        signal, noise = energies(ref, test, count)
        return (10 * (signal / (noise + EPS) + EPS).log10()).clamp(o.low, o.high).mean(1)

    return value


def _check(low: float, high: float) -> None:
    if not low < high:
        raise UsageError(f"low and high ascend, not {low:g} and {high:g}")


def _channel(r: Stream, t: Stream, segments: Segments, low: float, high: float, view: View) -> Channel:
    if segments.count(r.length) < 1:
        return waveform(r, t, nan, view, reason=segments.too_short(r.length))
    return waveform(r, t, float(models.loizou.segments.ratios(r, t, segments, low, high, view.jobs).mean()), view)
