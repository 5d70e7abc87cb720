"""Segmental signal-to-noise ratio, in dB: the mean over frames of the SNR clipped to -10..35 dB. Hansen and Pellom
1998; Loizou 2013, section 11.1; as pysepm's SNRseg."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import dsp
from ..card import Card
from ..errors import InputError, UsageError
from ..hearing.profile import Detail, View, waveform
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Channel, Result, Twin, pool

if TYPE_CHECKING:
    from ..dsp.stream import Stream

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

EPS = 2.220446049250313e-16
TASK = 1024  # frames


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    frame: Annotated[float, "seconds of a frame"] = 0.03,
    overlap: Annotated[float, "share of a frame that it shares with the next, below 1"] = 0.75,
    low: Annotated[float, "dB, lower clip"] = -10.0,
    high: Annotated[float, "dB, upper clip"] = 35.0,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    return pool(
        [
            _channel(r, t, (frame, overlap, low, high), view)
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..dsp.differentiable import segments

    window, hop = _frames(rate, o.frame, o.overlap, o.low, o.high)
    energies = segments(window, hop)

    def value(ref: Any, test: Any) -> Any:
        count = _count(ref.shape[-1], window.size, hop)
        if count < 1:
            raise InputError(_too_short(ref.shape[-1], window.size, hop))
        signal, noise = energies(ref, test, count)
        return (10 * (signal / (noise + EPS) + EPS).log10()).clamp(o.low, o.high).mean(1)

    return value


def _frames(rate: int, frame: float, overlap: float, low: float, high: float) -> tuple[Any, int]:
    """The window [sample], a Hann window without its zeros, and the hop in samples."""
    size = round(frame * rate)
    hop = int((1 - overlap) * frame * rate)
    if size < 1 or hop < 1 or not low < high:
        raise UsageError(f"seg-snr: a frame of {size} samples with a hop of {hop}, clipped to {low:g}..{high:g}")
    return 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, size + 1) / (size + 1))), hop


def _count(length: int, size: int, hop: int) -> int:
    return (length - size + hop) // hop - 1


def _too_short(length: int, size: int, hop: int) -> str:
    return f"too short: two frames take {size + hop} samples, there are {length}"


def _channel(r: Stream, t: Stream, options: tuple[float, float, float, float], view: View) -> Channel:
    low, high = options[2:]
    window, hop = _frames(view.rate, *options)
    count = _count(r.length, window.size, hop)
    if count < 1:
        return waveform(r, t, nan, view, reason=_too_short(r.length, window.size, hop))

    def task(first: int) -> Any:
        energies = np.empty((min(TASK, count - first), 2))
        dsp.moments.segments(r.samples, t.samples, r.coef, r.lag, window, hop, first, energies)
        return energies

    signal, noise = np.concatenate(dsp.spectrum.spread(task, range(0, count, TASK), view.jobs)).T
    snr = np.clip(10 * np.log10(signal / (noise + EPS) + EPS), low, high)
    return waveform(r, t, float(snr.mean()), view)
