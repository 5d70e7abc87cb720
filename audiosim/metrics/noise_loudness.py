"""Noise loudness: how loud what the test adds to the reference is beside it. The variable RmsNoiseLoud of ITU-R
BS.1387-1, section 4.3; partial masking after Zwicker and Feldtkeller."""

from __future__ import annotations

from dataclasses import replace
from math import nan
from typing import Annotated, Any

import numpy as np

from .. import models
from ..answer import Channel, Detail, pool
from ..card import Card
from ..hearing import scales
from ..result import Result, Twin, undefined

CARD = Card(
    title="Noise loudness",
    family="perceptual",
    unit="sone",
    better="lower",
    identical=0.0,
    formula="rms over frames of (24 / Z) sum ((E0 / t)^0.23 ((1 + max(t Y - s X, 0) / (E0 + s X b))^0.23 - 1)), X, Y:"
    " excitation without steady differences, s, t: 0.15 modulation + 0.5, b = e^(-1.5 (Y - X) / X)",
    source="ITU-R BS.1387-1 eq. 42 to 57, 66 to 68 (RmsNoiseLoud), ear model with FFT",
    conventions="PEAQ's RmsNoiseLoud, mean over channels; a channel that is silent in both is left out. What counts"
    " begins half a second into the file and 50 ms after both are above 0.1 sone in any channel; the half second not in"
    " recordings below 28 frames (0.62 s).",
    silence="Undefined for a silent reference, a silent test, and where the two are never loud (0.1 sone) at once.",
    caveat="Hears what is added; hardly what is missing, nor a steady difference in level or timbre, to which it"
    " adapts; deaf to phase. As a loss only beside one that hears these, such as nmr. Needs signals aligned to the"
    " sample. What comes before it counts has its place in profile and map, in the map without weight.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    rate=48000,
    lengths="any",
    together=True,
    level="full scale sine is 92 dB SPL (option level)",
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    gradient="exact",
    cap="a reference that is silent throughout: all frames count; two never loud at once: as if from the start",
    deaf_start=True,
    profile="local",
    map="sum",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    level: Annotated[float, "dB SPL of a full-scale sine"] = 92.0,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 48000 Hz, compared as far as the shorter one goes.

    The channels are averaged, without those silent in both (nan in per_channel). per_time: sones; per_band: their rms
    over time; map: each cell's part of the value.
    """
    bark, variables = models.peaq.fft_ear, models.peaq.output_variables
    ear = bark.BarkEar.of(level)
    cuts, edges = (None, None) if detail == "value" else scales.bands(ear.centres, ear.edges[-1], band_edges)
    channels = len(ref)
    ref, test = (x[:, : min(ref.shape[1], test.shape[1])] for x in (ref, test))
    frames = bark.data_boundary(ref)
    if frames[0] == frames[1]:
        return undefined(bark.without_frames(ref.shape[1]), channels)
    sounding = bark.sounding(ref, test)
    heard = variables.listen([ref[c] for c in sounding], [test[c] for c in sounding], ear, frames, cuts, True, jobs)
    if not variables.loud_together(heard):
        return undefined("reference and test are never loud (0.1 sone) at once", channels)
    counts = np.arange(*frames) >= variables.after_loud(heard)

    def channel(e: int) -> Channel:
        value = variables.noise_loudness(heard, e)
        if cuts is None:
            return Channel(value=value)
        sones, cells = heard.ears[e].noise_loudness[slice(*frames)], heard.ears[e].sones[slice(*frames)]
        share = (sones * counts)[:, None] * cells  # of the squares, whose mean is that of the value
        return Channel(
            value=value,
            per_band=np.sqrt(np.mean(cells[counts] ** 2, axis=0)),
            per_time=sones,
            bands=scales.centres(ear.centres, cuts),
            edges=edges,
            times=bark.times(*frames) - bark.HOP / bark.RATE / 2,  # its memories are of a frame and those before it
            map=share * (value / (np.sum((sones * counts) ** 2) or 1.0)) if detail == "map" else None,
        )

    result = pool([channel(e) for e in range(len(sounding))])
    per_channel = np.full(channels, nan)
    per_channel[sounding] = result.per_channel
    return replace(result, per_channel=per_channel)


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text, in float64; which frames and channels count is found on detached signals."""
    from ..engine.tensors import root
    from ..models.peaq.tensors import Boundary, Disturbed

    disturbed = Disturbed(o.level)

    def value(ref: Any, test: Any) -> Any:
        heard = disturbed.noise_loudness(ref.flatten(0, 1), test.flatten(0, 1))
        sones, loud = (x.unflatten(0, ref.shape[:2]) for x in heard)
        boundary = Boundary(ref, test)
        counts = boundary.frames(boundary.after_loud(loud))
        return boundary.pooled(root((sones.square() * counts).sum(2) / counts.sum(2)))

    return value
