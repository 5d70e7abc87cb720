"""Noise loudness: how loud what the test adds to the reference is beside it. The variable RmsNoiseLoud of ITU-R
BS.1387-1, section 4.3; partial masking after Zwicker and Feldtkeller.

The value is the mean over the channels, without channels that are silent in both recordings (nan in per_channel).
per_time: sones. per_band: their rms over time. map: what each cell contributes to the value.

Recordings of different lengths are compared as far as the shorter one goes. Frames count from half a second into the
file, and from 50 ms after reference and test are both above 0.1 sone in any channel. In recordings below 28 frames
(0.62 s) the first half second counts too.
"""

from __future__ import annotations

from math import nan
from typing import Any

import numpy as np

from .. import models
from ..answer import Channel, Pair, pool
from ..card import Card
from ..models.peaq.audible import NEVER_LOUD, Audible, Playback
from ..result import Twin

CARD = Card(
    title="Noise loudness",
    family="perceptual",
    unit="sone",
    better="lower",
    identical=0.0,
    formula="rms over frames of (24 / Z) sum ((E0 / t)^0.23 ((1 + max(t Y - s X, 0) / (E0 + s X b))^0.23 - 1)), X, Y:"
    " excitation without steady differences, s, t: 0.15 modulation + 0.5, b = e^(-1.5 (Y - X) / X)",
    source="ITU-R BS.1387-1 eq. 42 to 57, 66 to 68 (RmsNoiseLoud), ear model with FFT",
    conventions="The value is PEAQ's RmsNoiseLoud, as in the details of peaq.",
    silence="Undefined for a silent reference, a silent test, and where the two are never loud (0.1 sone) at once.",
    caveat="It hears what is added, but hardly what is missing or a steady difference in level or timbre, to which it"
    " adapts; it is deaf to phase. Use it as a loss only beside one that hears these, such as nmr. Signals must be"
    " aligned to the sample. Profile and map begin before the first frame that counts; in the map such frames have no"
    " weight.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    rate=48000,
    lengths="any",
    joint_channels=True,
    level="full scale sine is 92 dB SPL (option level)",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    cap="a reference that is silent throughout: all frames count; two never loud at once: as if from the start",
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
    heard = variables.listen(sound, everything=True)
    if not variables.loud_together(heard):
        return Channel(value=nan, reason=NEVER_LOUD)
    counts = np.arange(*sound.frames) >= variables.after_loud(heard)

    def channel(e: int) -> Channel:
        value = variables.noise_loudness(heard, e)
        if sound.cuts is None:
            return Channel(value=value)
        one, here = heard.ears[e], slice(*sound.frames)
        sones, cells = one.noise_loudness[here], one.sones[here]
        share = (sones * counts)[:, None] * cells  # of the squares, whose mean is that of the value
        return Channel(
            value=value,
            per_band=np.sqrt(np.mean(cells[counts] ** 2, axis=0)),
            per_time=sones,
            map=share * (value / (np.sum((sones * counts) ** 2) or 1.0)) if sound.detail == "map" else None,
            **sound.grid(sound.times_of_changes),
        )

    return sound.with_silent_channels(pool([channel(e) for e in range(len(heard.ears))]))


def twin(rate: int, o: Options) -> Twin:
    """In float64. Which frames and channels count is decided without a gradient."""
    from ..engine.tensors import root
    from ..models.peaq.tensors import Boundary, Disturbed, together

    disturbed = Disturbed(o.level)

    def value(ref: Any, test: Any) -> Any:
        ref, test = together(ref, test)
        heard = disturbed.noise_loudness(ref.flatten(0, 1), test.flatten(0, 1))
        sones, loud = (x.unflatten(0, ref.shape[:2]) for x in heard)
        boundary = Boundary(ref, test)
        counts = boundary.frames(boundary.after_loud(loud))
        return boundary.pooled(root((sones.square() * counts).sum(2) / counts.sum(2)))

    return value
