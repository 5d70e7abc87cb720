"""STOI and ESTOI: short-time objective intelligibility, how the envelopes of speech in third octaves correlate over 384
ms. Taal et al. 2011, IEEE TASLP 19(7); extended: Jensen and Taal 2016, IEEE TASLP 24(11); as pystoi 0.4.1.

As in pystoi and the authors' MATLAB program, the recordings are resampled to 10 kHz by Octave's filter, frames in which
the reference is 40 dB below its loudest are cut out of both, and the last frame is left out.

What a segment lacks to 1 has a place in its frames and bands. per_band and per_time are 1 less what is lacking there.
Their mean is about the value; a single frame may fall far below 0, and is nan where the reference is silent. The map
holds shares of what is lacking. Details: speech_seconds, how much of the reference counted, and the number of segments.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from .. import dsp, engine, models
from ..answer import Channel, Pair, too_quiet, too_short
from ..card import Card
from ..domain import SPEECH
from ..errors import InputError
from ..hearing import scales
from ..hearing.weighting import Weighted
from ..result import Twin

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
    conventions="pystoi gives the same, with three exceptions: where less than 30 frames remain it gives 1e-5, and this"
    " nothing; a band that varies in neither recording counts 0 there, 1 here; and its ESTOI draws random numbers."
    " torch_stoi cuts silence in another way and differs by some 1e-3.",
    silence="Undefined for a silent reference; 0 for a silent test.",
    caveat="For speech at the same time and of the same speaker: it does not hear a constant filter, the level, or"
    " anything above 4.3 kHz. It is no percentage of words; that takes a mapping fitted to the listening test. A delay"
    " of 40 ms reads as unintelligible."
    " Memory grows with the recordings, by at most what they take.",
    version=2,
    minimum="0.41 s of the reference within 40 dB of its loudest frame",
    shortest=0.4096,
    pauses=True,
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    steepest=4000.0,
    cap="0, without a gradient, where too little of the reference is not silent",
    zero_gradient_on_silence=True,
    profile="local",
    map="share",
    domain=SPEECH,
)


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    extended: Annotated[bool, "ESTOI, which correlates the spectra of frames too: for noise that fluctuates"] = False


def measure(pair: Pair, o: Options) -> Channel:
    octaves = models.stoi
    x, y = (_resampled(s, pair) for s in (pair.ref, pair.test))
    if x.size < octaves.SHORTEST:
        return Channel(value=nan, reason=_too_short(pair.ref.length, pair.rate))
    counting = octaves.counting(x)
    if counting.size <= octaves.SEGMENT:
        seconds, needed = (n * octaves.HOP / octaves.RATE for n in (counting.size, octaves.SEGMENT + 1))
        return Channel(value=nan, reason=too_quiet(seconds, needed, octaves.DYNAMIC_RANGE))
    p, q = (octaves.envelopes(z, counting, pair.threads) for z in (x, y))
    values, lost = octaves.correlations(p, q, o.extended, pair.detail != "value", pair.threads)
    value = float(values.mean())
    details = {
        "speech_seconds": counting.size * octaves.HOP / octaves.RATE,
        "segments": float(len(values)),
    }
    if lost is None:
        return Channel(value=value, details=details)
    centres = octaves.centres()
    cuts, edges = np.arange(octaves.BANDS + 1), octaves.edges()
    if pair.band_edges is not None and not isinstance(pair.band_edges, str):
        cuts, edges = scales.bands(centres, edges[-1], pair.band_edges)
    lacking = np.add.reduceat(lost[:, : cuts[-1]], cuts[:-1], axis=1)
    held = np.convolve(np.ones(len(values)), np.ones(octaves.SEGMENT))  # segments that hold a frame
    each = octaves.BANDS if o.extended else 1  # ESTOI's lack 1 at most in all bands together
    count = octaves.frames(x.size)
    per_time, cells = np.full(count, nan), np.zeros((count, len(cuts) - 1))
    per_time[counting[:-1]] = 1 - lost.sum(1) * each * octaves.SEGMENT / (held * octaves.BANDS)
    cells[counting[:-1]] = lacking / (lost.sum() or 1.0)
    return Channel(
        value=value,
        per_band=1 - lacking.sum(0) * each / (len(values) * np.diff(cuts)),
        per_time=per_time,
        bands=scales.centres(centres, cuts),
        edges=edges,
        times=(np.arange(count) * octaves.HOP + octaves.FRAME / 2) / octaves.RATE,
        map=cells if pair.detail == "map" else None,
        details=details,
    )


def twin(rate: int, o: Options) -> Twin:
    """In float64; which frames count is decided on detached samples."""
    octaves = models.stoi
    resample, envelopes = dsp.polyphase.resampler_torch(rate, octaves.RATE), octaves.envelopes_torch()

    def value(ref: Any, test: Any) -> Any:
        x, y = (resample(s.double()) for s in (ref, test))
        if x.shape[-1] < octaves.SHORTEST:
            raise InputError(_too_short(ref.shape[-1], rate))
        x, y, frames = envelopes(x, y)
        alike = octaves.correlations_torch(x, y, o.extended).mean(-1)
        segments = (frames - octaves.SEGMENT + 1).clamp(min=0)[:, None]
        counts = alike.new_ones(alike.shape[1]).cumsum(0) <= segments
        return (alike * counts).sum(1) / segments.clamp(min=1)[:, 0]

    return value


def _resampled(s: Stream, pair: Pair) -> Any:
    """At 10 kHz."""
    rate = models.stoi.RATE
    what = ("polyphase", pair.rate, rate, float(s.coef), s.lag)
    return engine.cache.cached(s.samples, what, lambda: dsp.polyphase.resampled(s, pair.rate, rate, pair.threads))


def _too_short(length: int, rate: int) -> str:
    return too_short(models.stoi.SHORTEST / models.stoi.RATE, length, rate)
