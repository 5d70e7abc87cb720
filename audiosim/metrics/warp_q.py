"""WARP-Q: how well pieces of the test fit anywhere into the reference, by cepstra without level, filter and liveliness.
Jassim, Skoglund, Chinen and Hines 2021, ICASSP, and 2022, IET Signal Processing 16(9); as warpq 1.5.2."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import Annotated, Any, Literal

import numpy as np

from .. import dsp, engine, models
from ..answer import Channel, Detail, View, local_distances, pooled
from ..card import Card
from ..errors import UsageError
from ..result import Result

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
    " loudest 30 ms counts. That is mostly 0.01 apart, up to 0.13, as its detector hears noise as a pause and a softer"
    " copy in another way, and more where half of a recording is pause. The lifter of its cepstra cancels out. What its"
    " authors map to a scale of opinions by a trained network is another score.",
    silence="Undefined where reference or test is silent.",
    caveat="For speech, above all of generative codecs, whose waveform and timing are not those of the reference. A"
    " path takes three frames of the reference in a step, so identical files score about 0.5, and less is no better."
    " Deaf to level, to a constant filter, and to the order in which things are said. The time it takes grows with the"
    " product of the lengths: give search for recordings of many minutes.",
    minimum="0.4 s within 60 dB of the loudest, of reference and test",
    shortest=0.4,
    pauses=True,
    rate=16000,
    lengths="any",
    level="none: the mean level of about 0.8 s is taken away",
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    loses_track=("added_tone",),
    slack=0.05,
    gradient="none",
    profile="local",
    map="sum",
)

PATCH, STEP = 92, 42  # frames of 4 ms: 0.4 s every 0.2 s, less half a frame of the spectrum
SECONDS = 0.4
WORST = 3.5  # raw score that is 0 when normalised


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    output: Annotated[
        Literal["raw", "normalised"], "cost, lower is better; or 1 - cost / 3.5 within 0 and 1, higher is better"
    ] = "raw",
    vad: Annotated[Literal["energy", "none"], "how voice is told from pauses, which are cut out"] = "energy",
    search: Annotated[
        float, "seconds around its place in which a patch is looked for, 0 for the whole reference"
    ] = 0.0,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 16 kHz, of any lengths; the channels are averaged.

    per_time: the cost of each patch of the test, nan in its pauses. per_band: the distance of the log spectra that
    normalised cepstra stand for. map: contributions to the raw score, as if it were the mean of the patches.
    Details: raw and normalised; patches; reference_seconds and test_seconds, that counted.
    """
    if search < 0:
        raise UsageError(f"warp-q: search is 0 or more seconds, not {search:g}")
    view = View(rate, detail, band_edges, jobs)
    channels = [_channel(r, t, vad, search, view) for r, t in zip(ref, test, strict=True)]
    result = pooled(channels)
    if output == "raw" or result.status == "undefined":
        return result
    scores = np.array([c.details["normalised"] for c in channels])
    return replace(result, value=result.details["normalised"], per_channel=scores, better="higher")


def _channel(ref: Any, test: Any, vad: str, search: float, view: View) -> Channel:
    activity, cepstra = models.warp_q.voice_activity, models.warp_q.normalised_cepstra
    blocks = [activity.active(x, view.rate) for x in (ref, test)]
    for name, x, heard in zip(("reference", "test"), (ref, test), blocks, strict=True):
        if x.size < SECONDS * view.rate:
            return _undefined(f"too short: {SECONDS:g} s are needed, there are {x.size / view.rate:.3g} s")
        if not heard.any():
            return _undefined(f"the {name} is silent")
        if vad == "none":
            heard[:] = True
    pair = [activity.cut(x, heard, view.rate) for x, heard in zip((ref, test), blocks, strict=True)]
    for name, x in zip(("reference", "test"), pair, strict=True):
        if x.size < SECONDS * view.rate:
            return _undefined(
                f"{x.size / view.rate:.2g} s of the {name} are within {activity.RANGE:g} dB of its loudest part, "
                f"{SECONDS:g} s are needed"
            )
    r, t = engine.threads.in_threads(lambda k: cepstra.features(pair[k]), range(2), view.jobs)
    starts = np.arange(0, len(t) - PATCH + 1, STEP)
    reach = round(search * view.rate / cepstra.HOP) or None
    totals, ends = dsp.warping.subsequences(t, r, starts, PATCH, reach, view.jobs)
    costs = totals / PATCH
    raw = float(np.median(costs))
    details = {
        "raw": raw,
        "normalised": min(1.0, max(0.0, 1 - raw / WORST)),
        "patches": float(len(costs)),
        "reference_seconds": pair[0].size / view.rate,
        "test_seconds": pair[1].size / view.rate,
    }
    if view.detail == "value":
        return Channel(value=raw, details=details)
    paths = [
        dsp.warping.subsequence(t[start : start + PATCH], r, end, total)
        for start, end, total in zip(starts, ends, totals, strict=True)
    ]
    lengths = [path.shape[1] for path in paths]
    i, j = np.concatenate(paths, axis=1)
    i += np.repeat(starts, lengths)
    difference = t[i].astype(np.float64) - r[j]
    period, first = (n * cepstra.HOP / view.rate for n in (STEP, PATCH / 2))
    times = first + period * np.arange(int((test.size / view.rate - first) / period) + 1)
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
        view,
    )
    return replace(channel, per_time=per_time, details=details)


def _undefined(reason: str) -> Channel:
    return Channel(value=nan, reason=reason)
