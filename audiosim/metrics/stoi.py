"""STOI and ESTOI: short-time objective intelligibility, how the envelopes of speech in third octaves correlate over 384
ms. Taal et al. 2011, IEEE TASLP 19(7); extended: Jensen and Taal 2016, IEEE TASLP 24(11); as pystoi 0.4.1."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import dsp, engine, models
from ..answer import Channel, Detail, View, pooled
from ..card import Card
from ..errors import InputError
from ..hearing import scales
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Short-time objective intelligibility",
    family="perceptual",
    unit="1",
    better="higher",
    identical=1.0,
    range=(-1.0, 1.0),
    formula="mean over 15 third octaves and segments of 30 frames of the correlation of X and min(aY, 6.6 X)",
    source="Taal et al. 2011, eq. 1 to 6; extended: Jensen and Taal 2016, eq. 4 to 10; pystoi 0.4.1",
    conventions="As pystoi and the authors' MATLAB: the resampler of Octave to 10 kHz inside, frames of the reference"
    " 40 dB below its loudest are cut out of both, the last frame is left out. Where pystoi answers 1e-5, because less"
    " than 30 frames remain, there is no number here; a band that varies in neither recording counts 1, not 0; ESTOI"
    " draws no random numbers. torch_stoi cuts silence in another way: some 1e-3 apart.",
    silence="Undefined for a silent reference; 0 for a silent test.",
    caveat="For speech at the same time and of the same speaker: it hears no constant filter, no level, and nothing"
    " above 4.3 kHz. A percentage of words only after a mapping fitted to the listening test. A delay of 40 ms reads as"
    " unintelligible.",
    minimum="0.41 s of the reference within 40 dB of its loudest frame",
    shortest=0.4096,
    pauses=True,
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    gradient="exact",
    cap="0, without a gradient, where too little of the reference is not silent",
    deaf_start=True,
    profile="local",
    map="share",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    extended: Annotated[bool, "ESTOI, which correlates the spectra of frames too: for noise that fluctuates"] = False,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged.

    What segments lack to 1 has a place in their frames and bands. per_band and per_time: 1 less what is lacking there;
    their mean is about the value, a single frame may fall far below 0, a silent one of the reference is nan.
    map: shares of what is lacking.
    Details: speech_seconds, of the reference, that counted; segments.
    """
    view = View(rate, detail, band_edges, jobs)
    return pooled([_channel(r, t, extended, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)])


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors, in float64; which frames count is decided on detached samples."""
    octaves = models.stoi
    resample, envelopes = dsp.polyphase.resampler_torch(rate, octaves.RATE), octaves.envelopes_torch()

    def value(ref: Any, test: Any) -> Any:
        x, y = (resample(s.double()) for s in (ref, test))
        if octaves.frames(x.shape[-1]) <= octaves.SEGMENT:
            raise InputError(_too_short(ref.shape[-1], rate))
        x, y, frames = envelopes(x, y)
        alike = octaves.correlations_torch(x, y, o.extended).mean(-1)
        segments = (frames - octaves.SEGMENT + 1).clamp(min=0)[:, None]
        counts = alike.new_ones(alike.shape[1]).cumsum(0) <= segments
        return (alike * counts).sum(1) / segments.clamp(min=1)[:, 0]

    return value


def _channel(r: Stream, t: Stream, extended: bool, view: View) -> Channel:
    octaves = models.stoi
    x, y = (_resampled(s, view) for s in (r, t))
    if octaves.frames(x.size) <= octaves.SEGMENT:
        return Channel(value=nan, reason=_too_short(r.length, view.rate))
    kept = octaves.kept(x)
    if kept.size <= octaves.SEGMENT:
        return Channel(value=nan, reason=_too_little(kept.size))
    x, y = (octaves.envelopes(z, kept, view.jobs) for z in (x, y))
    values, lost = octaves.correlations(x, y, extended, view.detail != "value", view.jobs)
    value = float(values.mean())
    details = {
        "speech_seconds": kept.size * octaves.HOP / octaves.RATE,
        "segments": float(len(values)),
    }
    if lost is None:
        return Channel(value=value, details=details)
    centres = octaves.centres()
    cuts, edges = np.arange(octaves.BANDS + 1), octaves.edges()
    if view.band_edges is not None and not isinstance(view.band_edges, str):
        cuts, edges = scales.bands(centres, edges[-1], view.band_edges)
    lacking = np.add.reduceat(lost[:, : cuts[-1]], cuts[:-1], axis=1)
    frames, bands, whole = np.ones(octaves.SEGMENT), octaves.BANDS, lost.sum()
    held = np.convolve(np.ones(len(values)), frames)  # segments that hold a frame
    each = bands if extended else 1  # ESTOI's lack 1 at most in all bands together
    count = octaves.frames(x.size)
    per_time, cells = np.full(count, nan), np.zeros((count, len(cuts) - 1))
    per_time[kept[:-1]] = 1 - lost.sum(1) * each * octaves.SEGMENT / (held * bands)
    cells[kept[:-1]] = lacking / (whole or 1.0)
    return Channel(
        value=value,
        per_band=1 - lacking.sum(0) * each / (len(values) * np.diff(cuts)),
        per_time=per_time,
        bands=scales.centres(centres, cuts),
        edges=edges,
        times=(np.arange(count) * octaves.HOP + octaves.FRAME / 2) / octaves.RATE,
        map=cells if view.detail == "map" else None,
        details=details,
    )


def _resampled(s: Stream, view: View) -> Any:
    """At 10 kHz."""
    rate = models.stoi.RATE
    what = ("polyphase", view.rate, rate, float(s.coef), s.lag)
    return engine.cache.cached(s.samples, what, lambda: dsp.polyphase.resampled(s, view.rate, rate, view.jobs))


def _too_short(length: int, rate: int) -> str:
    return f"too short: more than {CARD.shortest:g} s are needed, there are {length / rate:.3g} s"


def _too_little(frames: int) -> str:
    octaves = models.stoi
    if not frames:
        return "the reference is silent"
    seconds = frames * octaves.HOP / octaves.RATE
    return (
        f"{seconds:.2g} s of the reference are within {octaves.DYNAMIC_RANGE:g} dB of its loudest frame, "
        f"more than {octaves.SEGMENT * octaves.HOP / octaves.RATE:.2g} s are needed"
    )
