"""Modulation difference: how far the test's envelopes in bands of a quarter Bark fluctuate in another way than those of
the reference. The variable AvgModDiff1 of ITU-R BS.1387-1, section 4.2."""

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
    title="Modulation difference",
    family="perceptual",
    unit="%",
    better="lower",
    identical=0.0,
    formula="100 mean |m(Y) - m(X)| / (1 + m(X)), m: rate of change of E^0.3 over its mean, E: excitation; frames of a"
    " loud reference count more",
    source="ITU-R BS.1387-1 eq. 53 to 57, 63 to 65 (AvgModDiff1), ear model with FFT",
    conventions="PEAQ's AvgModDiff1, mean over channels; a channel that is silent in both is left out. The first half"
    " second does not count (GstPEAQ: of the file), but in recordings below 28 frames (0.62 s). WinModDiff1 and"
    " AvgModDiff2 are in the details of peaq.",
    silence="Undefined for a reference that is silent throughout. A silent test has a value.",
    caveat="Hears noise by the modulation that it fills or adds, hardly a change of level or timbre; deaf to phase."
    " As a loss only beside one that hears steady noise, such as nmr. Needs signals aligned to the sample. The first"
    " half second has its place in profile and map, in the map without weight.",
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
    cap="a reference that is silent throughout: all frames count, but for the first half second",
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

    The channels are averaged, without those silent in both (nan in per_channel). Profile and map: percent.
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
    heard = variables.listen([ref[c] for c in sounding], [test[c] for c in sounding], ear, frames, cuts, False, jobs)

    def channel(e: int) -> Channel:
        value = variables.modulation_difference(heard, e)
        if cuts is None:
            return Channel(value=value)
        one, here = heard.ears[e], slice(*frames)
        counts = np.arange(*frames) >= heard.settled
        share = one.cells[here] * counts[:, None] / (ear.bands * np.sum(one.weight[here] * counts))
        return Channel(
            value=value,
            per_band=share.sum(axis=0) * (ear.bands / np.diff(cuts)),
            per_time=one.difference[here],
            bands=scales.centres(ear.centres, cuts),
            edges=edges,
            times=bark.times(*frames) - bark.HOP / bark.RATE / 2,  # a change lies between a frame and the one before it
            map=share if detail == "map" else None,
        )

    result = pool([channel(e) for e in range(len(sounding))])
    per_channel = np.full(channels, nan)
    per_channel[sounding] = result.per_channel
    return replace(result, per_channel=per_channel)


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text, in float64; which frames and channels count is found on detached samples."""
    from ..models.peaq.tensors import Boundary, Disturbed

    disturbed = Disturbed(o.level)

    def value(ref: Any, test: Any) -> Any:
        heard = disturbed.modulation_difference(ref.flatten(0, 1), test.flatten(0, 1))
        difference, weight = (x.unflatten(0, ref.shape[:2]) for x in heard)
        boundary = Boundary(ref, test)
        weight = weight * boundary.frames(boundary.settled)
        return boundary.pooled((difference * weight).sum(2) / weight.sum(2))

    return value
