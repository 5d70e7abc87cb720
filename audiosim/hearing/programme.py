"""Programme loudness (ITU-R BS.1770-4, annex 1): gated loudness of K-weighted recordings, channels together."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import dsp
from ..signal import Signal
from . import weighting

Array = NDArray[Any]

STEP = 0.1  # seconds between blocks
BLOCK, SHORT_TERM = 4, 30  # steps of a block (momentary loudness), and of short-term loudness
ABSOLUTE = -70.0  # LUFS, of a gate
BELOW = 10.0  # LU of the relative gate under the loudness of what passed the absolute one
SURROUND = 1.41
GAINS = {  # of the channels of the layouts that are known by their number
    1: (1.0,),
    2: (1.0, 1.0),
    3: (1.0, 1.0, 1.0),
    4: (1.0, 1.0, SURROUND, SURROUND),
    5: (1.0, 1.0, 1.0, SURROUND, SURROUND),
    6: (1.0, 1.0, 1.0, 0.0, SURROUND, SURROUND),
}
LOWEST_RATE = 4000  # Hz; the shelf of the K-weighting lies at 1.7 kHz


def cuts(length: int, rate: int) -> Array:
    """Where the steps of a tenth of a second begin and end; all of it where that is less than a block."""
    steps = np.round(np.arange(int(length / (STEP * rate)) + 2) * (STEP * rate)).astype(np.int64)
    steps = steps[steps <= length]
    return steps if steps.size > BLOCK else np.array([0, length])


def means(energies: Array, sizes: Array, steps: int) -> Array:
    """Mean squares of all runs of so many steps."""
    if energies.size < steps:
        return np.zeros(0)
    ones = np.ones(steps)
    result: Array = np.convolve(energies, ones, "valid") / np.convolve(sizes, ones, "valid")
    return result


def loudness(power: float) -> float:
    """LUFS of a weighted mean square."""
    return -0.691 + 10 * float(np.log10(power)) if power > 0 else -inf


def gated(powers: Array, below: float) -> Array:
    """Those above both gates (eq. 5 and 6)."""
    heard = powers[powers > 10 ** ((ABSOLUTE + 0.691) / 10)]
    return heard[heard > heard.mean() * 10 ** (-below / 10)] if heard.size else heard


def integrated(energies: Array, sizes: Array) -> float:
    """LUFS of weighted energies [step] of so many samples; -inf where nothing passes the gates."""
    heard = gated(means(energies, sizes, min(BLOCK, energies.size)), BELOW)
    return loudness(float(heard.mean())) if heard.size else -inf


def of(recording: Signal) -> float:
    """LUFS of one recording; -inf where nothing passes the gates, nan where its channels or its rate have no weight."""
    if recording.channels not in GAINS or recording.rate < LOWEST_RATE:
        return nan
    steps = cuts(recording.length, recording.rate)
    energies = np.zeros((recording.channels, steps.size - 1))
    for x, out in zip(recording.samples, energies, strict=True):
        dsp.recursive.energies(x, weighting.k_sections(recording.rate), steps, out)
    return integrated(np.array(GAINS[recording.channels]) @ energies, np.diff(steps))
