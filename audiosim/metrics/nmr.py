"""Noise-to-mask ratio: the level of the error above what the reference masks, in bands of a quarter Bark. Brandenburg
and Sporer 1992; as the variable Total NMR of ITU-R BS.1387-1, section 4.5.

The value is the mean over the channels in dB, without channels that are silent in both recordings (nan in per_channel).
details: audible_frames, the fraction of frames in which a band is 1.5 dB or more above the mask.

Recordings of different lengths are compared as far as the shorter one goes, from the first to the last frame in which
the reference sounds.
"""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np

from .. import engine, models
from ..answer import Channel, Pair, pool
from ..card import Card
from ..models.peaq.audible import Audible, Playback
from ..result import Twin

CARD = Card(
    title="Noise-to-mask ratio",
    family="perceptual",
    unit="dB",
    better="lower",
    range=(-inf, inf),
    formula="10 lg mean over frames and bands of N / M, N: energy of |Y| - |X| behind the middle ear, M: mask of X",
    source="Brandenburg and Sporer 1992; ITU-R BS.1387-1 eq. 26, 70, 71, ear model with FFT",
    conventions="The value is PEAQ's TotalNMR. Others take the mean over frames in dB (segmental NMR); that is"
    " SegmentalNMR in the details of peaq-advanced.",
    silence="Undefined for a reference that is silent throughout; a silent test scores about the level of the reference"
    " above its own mask.",
    caveat="Deaf to phase, since magnitudes are subtracted. Above 0 dB the error is heard, below about -10 dB it is"
    " not. Two identical recordings score below -120 dB; how far below depends on them.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    rate=48000,
    lengths="any",
    joint_channels=True,
    level="full scale sine is 92 dB SPL (option level)",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    cap="a reference that is silent throughout: all frames count, and its mask is that of silence",
    zero_gradient_on_silence=True,
    profile="local",
    map="level",
)

Options = Playback


def measure(pairs: list[Pair], o: Options) -> Channel:
    variables = models.peaq.output_variables
    sound = Audible.of(pairs, o.level)
    if isinstance(sound, str):
        return Channel(value=nan, reason=sound)

    def channel(c: int) -> Channel:
        mean, highest, cells = variables.noise_to_mask(sound, c)
        value = variables.total_noise_to_mask(mean)
        details = {"audible_frames": variables.disturbed_frames(highest)}
        if sound.cuts is None:
            return Channel(value=value, details=details)
        per_band = cells.mean(axis=0) / np.diff(sound.cuts)
        return Channel(
            value=value,
            per_band=10 * np.log10(np.maximum(per_band, models.peaq.fft_ear.FLOOR)),
            per_time=10 * np.log10(mean),
            map=cells / (len(cells) * sound.ear.bands) if sound.detail == "map" else None,
            details=details,
            **sound.grid(sound.times),
        )

    channels = engine.threads.in_threads(channel, range(len(sound.places)), sound.threads)
    return sound.with_silent_channels(pool(channels))


def twin(rate: int, o: Options) -> Twin:
    """In float64. Which frames and channels count is decided without a gradient."""
    from ..models.peaq.tensors import BarkListener, Boundary, together

    listener = BarkListener(o.level)

    def value(ref: Any, test: Any) -> Any:
        ref, test = together(ref, test)
        mean = listener.noise_to_mask(ref.flatten(0, 1), test.flatten(0, 1)).mean(2).unflatten(0, ref.shape[:2])
        boundary = Boundary(ref, test)
        counts = boundary.frames(boundary.first)
        return boundary.pooled(10 * ((mean * counts).sum(2) / counts.sum(2)).log10())

    return value
