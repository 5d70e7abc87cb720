"""WARP-Q: how well pieces of the test fit anywhere into the reference, by cepstra without level, filter and liveliness.
Jassim, Skoglund, Chinen and Hines 2021, ICASSP, and 2022, IET Signal Processing 16(9); as warpq 1.5.2.

per_time holds the cost of each patch of the test, nan in its pauses; per_band the distance of the log spectra that the
normalised cepstra stand for. The map holds contributions to the raw score, as if that were the mean of the patches.
Details: raw and normalised score; patches; reference_seconds and test_seconds that counted.

The lifter of warpq's cepstra cancels out. What its authors map to a scale of opinions by a trained network is another
score.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import Annotated, Literal

import numpy as np

from .. import dsp, engine, models, options
from ..answer import Channel, Pair, local_distances
from ..card import Card
from ..domain import SPEECH
from ..errors import UsageError
from ..options import AT_LEAST_ZERO

CARD = Card(
    title="WARP-Q",
    family="perceptual",
    unit="1",
    better="lower",
    identical=None,
    formula="median over patches of 0.4 s of the test of D / 92, D: cheapest path of 92 frames through the reference",
    source="Jassim et al. 2021, arXiv 2102.10449; Jassim et al. 2022, IET Signal Processing 16(9); warpq 1.5.2",
    conventions="As warpq 1.5.2, which rounds to 3 digits: vad=none is its apply_vad=False, but for digital silence,"
    " whose rounding errors it scales up. It finds the voice by WebRTC's detector; here what is within 60 dB of the"
    " loudest 30 ms counts. The two are mostly 0.01 apart, up to 0.13, as that detector hears noise as a pause and a"
    " softer copy in another way, and more where half of a recording is pause.",
    silence="Undefined where reference or test is silent.",
    caveat="For speech, above all of generative codecs, whose waveform and timing are not those of the reference. A"
    " path takes three frames of the reference in a step, so identical files score about 0.5, and less is no better. It"
    " is deaf to level, to a constant filter, and to the order in which things are said. In more than a minute of the"
    " reference a patch is looked for within 2 minutes of its place, at a quarter of the frames first: on 2.5 minutes"
    " of speech up to 0.03 more than exact=true, which takes time that grows with the product of the lengths."
    " Memory grows with the recordings, by at most what they take.",
    version=2,
    minimum="0.4 s within 60 dB of the loudest, of reference and test",
    shortest=0.4,
    pauses=True,
    rate=16000,
    lengths="any",
    level="none: the mean level of about 0.8 s is taken away",
    symmetric=False,
    insensitive_to=("polarity",),
    loses_track=("added_tone",),
    identity_tolerance=0.05,
    gradient="none",
    profile="local",
    map="sum",
    domain=SPEECH,
)

PATCH, STEP = 92, 42  # frames of 4 ms: 0.4 s every 0.2 s, less half a frame of the spectrum
SECONDS = 0.4
LONG, REACH = 60.0, 120.0  # seconds of reference from which on a search is bounded, and those about a patch's place
WORST = 3.5  # raw score that is 0 when normalised


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    output: Annotated[
        Literal["raw", "normalised"], "cost, lower is better; or 1 - cost / 3.5 within 0 and 1, higher is better"
    ] = "raw"
    vad: Annotated[Literal["energy", "none"], "how voice is told from pauses, which are cut out"] = "energy"
    search: Annotated[
        float, AT_LEAST_ZERO, "seconds around its place in which a patch is looked for, 0 for as many as time allows"
    ] = 0.0
    exact: Annotated[bool, "search=0 is the whole reference, however long that takes"] = False

    def check(self) -> None:
        if self.search and self.exact:
            raise UsageError("exact=true looks for patches in the whole reference; leave search out")

    @property
    def value_better(self) -> Literal["higher"] | None:
        return "higher" if self.output == "normalised" else None


def measure(pair: Pair, o: Options) -> Channel:
    activity, cepstra = models.warp_q.voice_activity, models.warp_q.normalised_cepstra
    files, names = pair.samples, ("reference", "test")
    blocks = [activity.active(x, pair.rate) for x in files]
    for name, x, heard in zip(names, files, blocks, strict=True):
        if x.size < SECONDS * pair.rate:
            return _undefined(f"too short: {SECONDS:g} s are needed, there are {x.size / pair.rate:.3g} s")
        if not heard.any():
            return _undefined(f"the {name} is silent")
        if o.vad == "none":
            heard[:] = True
    voices = [activity.cut(x, heard, pair.rate) for x, heard in zip(files, blocks, strict=True)]
    for name, x in zip(names, voices, strict=True):
        if x.size < SECONDS * pair.rate:
            return _undefined(
                f"{x.size / pair.rate:.2g} s of the {name} are within {activity.RANGE:g} dB of its loudest part, "
                f"{SECONDS:g} s are needed"
            )
    r, t = engine.threads.in_threads(lambda k: cepstra.features(voices[k]), range(2), pair.threads)
    starts = np.arange(0, len(t) - PATCH + 1, STEP)
    per_second = pair.rate / cepstra.HOP
    if o.search or o.exact or len(r) <= LONG * per_second:
        reach = round(o.search * per_second) or None
        totals, ends = dsp.warping.subsequences(t, r, starts, PATCH, reach, pair.threads)
    else:
        reach = round(REACH * per_second)
        totals, ends = dsp.warping.likely_subsequences(t, r, starts, PATCH, reach, pair.threads)
    costs = totals / PATCH
    raw = float(np.median(costs))
    details = {
        "raw": raw,
        "normalised": min(1.0, max(0.0, 1 - raw / WORST)),
        "patches": float(len(costs)),
        "reference_seconds": voices[0].size / pair.rate,
        "test_seconds": voices[1].size / pair.rate,
    }
    score = Channel(value=details[o.output], details=details)
    if pair.detail == "value":
        return score
    paths = [
        dsp.warping.subsequence(t[start : start + PATCH], r, end, total)
        for start, end, total in zip(starts, ends, totals, strict=True)
    ]
    lengths = [path.shape[1] for path in paths]
    i, j = np.concatenate(paths, axis=1)
    i += np.repeat(starts, lengths)
    difference = t[i].astype(np.float64) - r[j]
    period, first = (n * cepstra.HOP / pair.rate for n in (STEP, PATCH / 2))
    times = first + period * np.arange(int((files[1].size / pair.rate - first) / period) + 1)
    middles = activity.times(times[: len(costs)], blocks[1])
    frames = np.round((middles - first) / period).astype(np.int64)
    per_time = np.full(times.size, nan)
    per_time[frames] = costs
    channel = local_distances(
        raw,
        np.sqrt(np.square(difference).sum(1)),
        np.full(i.size, 1 / (PATCH * len(costs))),
        np.repeat(frames, lengths),
        lambda steps: difference[steps] @ cepstra.basis(),
        cepstra.mel().centres,
        cepstra.TOP,
        times,
        pair,
    )
    return replace(channel, value=score.value, per_time=per_time, details=details)


def _undefined(reason: str) -> Channel:
    return Channel(value=nan, reason=reason)
