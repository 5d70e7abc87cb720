"""Stereo image: how far apart two recordings are in level, time and coherence between left and right, band by band.

In each of 32 bands, s = (P_l - P_r, 2 Re C, 2 Im C) / (P_l + P_r) of the powers P and the cross-spectrum C of all of
the recording: the Stokes vector of optics. Its direction says where the sound is, by level and by phase; its length is
1 for one source and 0 for two channels that have nothing to do with one another. The distance is the mean over bands of
|s(test) - s(ref)| / 2, from 0 to 1.

A recording of one channel is in the middle. Both may play anything, in any order and of any length.

details, of ref, test and difference (test - ref): width, the power of the side, (l - r) / 2, over that of middle and
side, 0 to 1; balance, level of the left over the right, dB; coherence, the mean length of s, 0 to 1; delay of the right
channel, from the phase below 1.5 kHz, ms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import engine, models
from ..answer import Channel, Pair
from ..card import Card
from ..errors import NoFeature
from ..hearing import scales
from ..options import Options as Plain

Array = NDArray[Any]

CARD = Card(
    title="Stereo image",
    family="music",
    unit="1",
    better="lower",
    identical=0.0,
    range=(0.0, 1.0),
    formula="mean over bands of |s(test) - s(ref)| / 2, s = (P_l - P_r, 2 Re C, 2 Im C) / (P_l + P_r)",
    source="Born and Wolf 1999, Principles of Optics, section 10.9 (Stokes parameters, coherence)",
    conventions="What lies 80 dB below the mean band counts as noise without direction.",
    silence="Undefined where the reference or the test is silent.",
    caveat="No measure of quality: it is deaf to order, to level, and to all but the mean over time, so that a source"
    " that moves reads as a wide one. Of mono recordings it hears only which bands are empty. The profile and the map"
    " tell where the spectra are unlike, not parts of the value.",
    rate=48000,
    channels="one or two",
    pooling="downmix",
    joint_channels=True,
    lengths="any",
    level="any: it is evened out",
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity", "gain"),
    gradient="none",
    profile="share",
    map="share",
)

FLOOR = 1e-8  # of the mean power of a band
LOW = 1500.0  # Hz, up to which the phase tells a delay


@dataclass(frozen=True, kw_only=True)
class Options(Plain):
    """None."""


def feature(samples: Array, o: Options) -> Array:
    """s of each band, level, in phase and in quadrature [3, band], then width, balance in dB, and delay in ms."""
    del o
    if len(samples) > 2:
        raise NoFeature(f"has {len(samples)} channels: a stereo image has two")
    if not samples.any():
        raise NoFeature("is silent")
    colour = models.colour
    left, right = samples.astype(np.float64)[[0, -1]]
    sums: Any = 0.0
    for both in zip(*(engine.fold.spectra(x, colour.stft()) for x in (left, right)), strict=True):
        cross = both[0] * both[1].conj()
        powers = (np.square(z.real) + np.square(z.imag) for z in both)
        sums = sums + np.stack([p.sum(0) for p in (*powers, cross.real, cross.imag)])
    of_left, of_right, real, imag = scales.by_band(sums[:, : colour.cuts()[-1]], colour.cuts())
    power = of_left + of_right
    image = np.stack([of_left - of_right, 2 * real, 2 * imag]) / (power + FLOOR * power.mean() + colour.SILENCE)
    low = colour.centres() < LOW
    turn = np.angle(real + 1j * imag)[low]
    weight = power[low] / colour.centres()[low]
    delay = np.sum(weight * turn) / (2e-3 * np.pi * np.sum(power[low]) + colour.SILENCE)
    a, b = left @ left, right @ right
    width = (a + b - 2 * left @ right) / (2 * (a + b))
    balance = 10 * np.log10((a + FLOOR * b) / (b + FLOOR * a))
    return np.concatenate([image.reshape(-1), [width, balance, delay]])


def distances(one: Array, many: Array, o: Options) -> Array:
    del o
    apart = (many - one)[:, :-3].reshape(len(many), 3, -1)
    result: Array = np.sqrt(np.square(apart).sum(1)).mean(1) / 2
    return result


def details(ref: Array, test: Array) -> dict[str, float]:
    def of(feature: Array) -> dict[str, float]:
        image, rest = feature[:-3].reshape(3, -1), map(float, feature[-3:])
        coherence = float(np.sqrt(np.square(image).sum(0)).mean())
        return {**dict(zip(("width", "balance", "delay"), rest, strict=True)), "coherence": coherence}

    return models.unaligned.sides(of(ref), of(test))


def measure(pairs: list[Pair], o: Options) -> Channel:
    return models.unaligned.measure(pairs, feature, distances, o, details)
