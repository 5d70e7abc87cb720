"""Melody: how far, in semitones, what is sung or played must be moved in pitch to become the reference.

In each frame the salience of every pitch from 55 Hz to 3.5 kHz is the weighted sum of its harmonics (Hermes 1988;
Salamon and Gomez 2012), of several notes at once too. Both frames have a salience of 1 in all; the value is the mean
way of what is moved from one to the other (Wasserstein distance, as spectral-transport has it of spectra). Frames count
as the 0.3rd power of the reference's energy, about.

per_band and map hold what starts or ends at pitches of a band, half of every way at either end.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import nan
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .. import dsp
from ..answer import Channel, Pair, spectral
from ..card import Card
from ..hearing.magnitudes import magnitude
from ..hearing.weighting import Weighted

Array = NDArray[Any]

CARD = Card(
    title="Melody transport",
    family="music",
    unit="semitone",
    better="lower",
    identical=0.0,
    formula="sum w W_1 / sum w over frames; W_1 = integral |F(test) - F(ref)| dx over pitch x, F: cumulated salience^4",
    source="Torres, Peeters and Richard 2024, arXiv 2312.14507; salience: Salamon and Gomez 2012, IEEE Trans. ASLP 20,"
    " 1759, eq. 1 to 3",
    silence="Defined through a floor of -100 dB: a silent frame reads as white noise; 0 when both are silent.",
    caveat="It compares what is played, not how well it sounds: deaf to level, nearly so to timbre. Of several notes"
    " the loudest count most. An octave is 12 semitones, though the ear takes its ends for the same note: see chroma."
    " Recordings must be aligned: see --align auto and warp.",
    content=True,
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="none",
    profile="local",
    map="sum",
)

LOWEST, OCTAVES, STEP = 55.0, 6, 0.5  # Hz; pitches, and semitones between them
HARMONICS, DECAY = 8, 0.8  # how many count, and the weight of each beside the one before
WIDTH = 1.0  # semitones from a harmonic at which a bin no longer counts
SHARPNESS = 4  # the power of the salience, by which the pitches that are sung stand out from their subharmonics
LOUDNESS = 0.3 / (SHARPNESS / 2)
FLOOR = 1e-10  # power of a bin, re a full-scale sine


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    float64: ClassVar[bool] = True


@lru_cache(maxsize=16)
def _harmonics(rate: int, n_fft: int) -> tuple[Array, Array]:
    """Pitches in Hz below half the rate [pitch], and how much a bin's magnitude counts for each [bin, pitch]."""
    pitches = LOWEST * 2 ** (np.arange(12 * OCTAVES / STEP + 1) * STEP / 12)
    pitches = pitches[pitches < rate / 2]
    hz = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    weights = np.zeros((hz.size, pitches.size))
    for h in range(1, HARMONICS + 1):
        apart = np.abs(12 * np.log2(np.maximum(hz[:, None], 1e-3) / (h * pitches)))
        bin_apart = np.abs(hz[:, None] - h * pitches) * (n_fft / rate)  # low bins are wider than a semitone
        near = np.minimum(apart / WIDTH, bin_apart / 2)
        weights += DECAY ** (h - 1) * np.cos(np.minimum(near, 1) * np.pi / 2) ** 2
    return pitches, weights


def measure(pair: Pair, o: Options) -> Channel:
    stft = dsp.chroma.stft(pair.rate)
    pitches, weights = _harmonics(pair.rate, stft.n_fft)
    if pitches.size < 2:
        return Channel(value=nan, reason=f"at a rate of {pair.rate} Hz there are no pitches above {LOWEST:g} Hz")
    positions = 12 * np.log2(pitches / LOWEST)
    scale = 2 / stft.window.sum()  # a full-scale sine has the magnitude 1
    floor = FLOOR / scale**2

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        m = (scale * magnitude(spectra, floor) @ weights) ** SHARPNESS
        dsp.transport.transport(m[0], m[1], positions, 1, LOUDNESS, edges, out)

    def finish(sums: Any, frames: Any, bins: Any) -> Any:
        return sums[..., 0] / (sums[..., 1] * (pitches.size / bins))

    def parts(sums: Any) -> Any:
        return sums.map[:, :, 0] / sums.total[1]

    return spectral(pair, stft, measure, 2, finish, parts, frequencies=pitches)
