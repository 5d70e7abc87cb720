"""Modulation difference: how differently the envelopes of test and reference fluctuate, in bands of a quarter Bark. The
variable AvgModDiff1 of ITU-R BS.1387-1, section 4.2.

The value is the mean over the channels, without channels that are silent in both recordings (nan in per_channel).
Profile and map: percent.

Recordings of different lengths are compared as far as the shorter one goes. The first half second does not count
(GstPEAQ: that of the file), except in recordings below 28 frames (0.62 s).
"""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from .. import models
from ..answer import Channel, Pair, pool
from ..card import Card
from ..models.peaq.audible import Audible, Playback
from ..result import Twin

CARD = Card(
    title="Modulation difference",
    family="perceptual",
    unit="%",
    better="lower",
    identical=0.0,
    formula="100 mean |m(Y) - m(X)| / (1 + m(X)), m: rate of change of E^0.3 over its mean, E: excitation; frames of a"
    " loud reference count more",
    source="ITU-R BS.1387-1 eq. 53 to 57, 63 to 65 (AvgModDiff1), ear model with FFT",
    conventions="The value is PEAQ's AvgModDiff1; WinModDiff1 and AvgModDiff2 are in the details of peaq.",
    silence="Undefined for a reference that is silent throughout. A silent test has a value.",
    caveat="It hears noise by the modulation that it fills or adds, but hardly a change of level or timbre; it is deaf"
    " to phase. Use it as a loss only beside one that hears steady noise, such as nmr. Signals must be aligned to the"
    " sample. Profile and map include the first half second; in the map it has no weight.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    rate=48000,
    lengths="any",
    joint_channels=True,
    level="full scale sine is 92 dB SPL (option level)",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    cap="a reference that is silent throughout: all frames count, but for the first half second",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)

Options = Playback


def measure(pairs: list[Pair], o: Options) -> Channel:
    variables = models.peaq.output_variables
    sound = Audible.of(pairs, o.level)
    if isinstance(sound, str):
        return Channel(value=nan, reason=sound)
    heard = variables.listen(sound, everything=False)
    counts = np.arange(*sound.frames) >= heard.settled

    def channel(e: int) -> Channel:
        value = variables.modulation_difference(heard, e)
        if sound.cuts is None:
            return Channel(value=value)
        one, here = heard.ears[e], slice(*sound.frames)
        share = one.cells[here] * counts[:, None] / (sound.ear.bands * np.sum(one.weight[here] * counts))
        return Channel(
            value=value,
            per_band=share.sum(axis=0) * (sound.ear.bands / np.diff(sound.cuts)),
            per_time=one.difference[here],
            map=share if sound.detail == "map" else None,
            **sound.grid(sound.times_of_changes),
        )

    return sound.with_silent_channels(pool([channel(e) for e in range(len(heard.ears))]))


def twin(rate: int, o: Options) -> Twin:
    """In float64. Which frames and channels count is decided without a gradient."""
    from ..models.peaq.tensors import Boundary, Disturbed, together

    disturbed = Disturbed(o.level)

    def value(ref: Any, test: Any) -> Any:
        ref, test = together(ref, test)
        heard = disturbed.modulation_difference(ref.flatten(0, 1), test.flatten(0, 1))
        difference, weight = (x.unflatten(0, ref.shape[:2]) for x in heard)
        boundary = Boundary(ref, test)
        weight = weight * boundary.frames(boundary.settled)
        return boundary.pooled((difference * weight).sum(2) / weight.sum(2))

    return value
