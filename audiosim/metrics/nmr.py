"""Noise-to-mask ratio: the level of the error above what the reference masks, in bands of a quarter Bark. Brandenburg
and Sporer 1992; as the variable Total NMR of ITU-R BS.1387-1, section 4.5."""

from __future__ import annotations

from dataclasses import replace
from math import inf, nan
from typing import Annotated, Any

import numpy as np

from .. import engine, models
from ..answer import Channel, Detail, pool
from ..card import Card
from ..hearing import scales
from ..result import Result, Twin, undefined

CARD = Card(
    title="Noise-to-mask ratio",
    family="perceptual",
    unit="dB",
    better="lower",
    identical=None,
    range=(-inf, inf),
    formula="10 lg mean over frames and bands of N / M, N: energy of |Y| - |X| behind the middle ear, M: mask of X",
    source="Brandenburg and Sporer 1992; ITU-R BS.1387-1 eq. 26, 70, 71, ear model with FFT",
    conventions="PEAQ's TotalNMR, mean over channels in dB; a channel that is silent in both is left out. Others take"
    " the mean over frames in dB (segmental NMR).",
    silence="Undefined for a reference that is silent throughout; a silent test has about the level of the reference"
    " above its own mask.",
    caveat="Deaf to phase, since magnitudes are subtracted. Above 0 dB the error is heard, below about -10 dB not. Two"
    " identical recordings are below -120 dB, how far depends on them.",
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
    cap="a reference that is silent throughout: all frames count, and its mask is that of silence",
    deaf_start=True,
    profile="local",
    map="level",
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

    The channels are averaged in dB, without those silent in both (nan in per_channel).

    Details: audible_frames, the fraction of frames in which a band is 1.5 dB or more above the mask.
    """
    bark, variables = models.peaq.fft_ear, models.peaq.output_variables
    ear = bark.BarkEar.of(level)
    cuts, edges = (None, None) if detail == "value" else scales.bands(ear.centres, ear.edges[-1], band_edges)
    ref, test = (x[:, : min(ref.shape[1], test.shape[1])] for x in (ref, test))
    frames = bark.data_boundary(ref)
    if frames[0] == frames[1]:
        return undefined(bark.without_frames(ref.shape[1]), len(ref))

    def channel(c: int) -> Channel:
        mean, highest, cells = variables.noise_to_mask(ref[c], test[c], ear, frames, cuts)
        value = variables.total_noise_to_mask(mean)
        details = {"audible_frames": variables.disturbed_frames(highest)}
        if cuts is None:
            return Channel(value=value, details=details)
        return Channel(
            value=value,
            per_band=10 * np.log10(np.maximum(cells.mean(axis=0) / np.diff(cuts), bark.FLOOR)),
            per_time=10 * np.log10(mean),
            bands=scales.centres(ear.centres, cuts),
            edges=edges,
            times=bark.times(*frames),
            map=cells / (len(cells) * ear.bands) if detail == "map" else None,
            details=details,
        )

    heard = bark.sounding(ref, test)
    result = pool(engine.threads.in_threads(lambda i: channel(heard[i]), range(len(heard)), jobs))
    per_channel = np.full(len(ref), nan)
    per_channel[heard] = result.per_channel
    return replace(result, per_channel=per_channel)


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text, in float64; which frames and channels count is found on detached samples."""
    from ..models.peaq.tensors import BarkListener, Boundary

    listener = BarkListener(o.level)

    def value(ref: Any, test: Any) -> Any:
        mean = listener.noise_to_mask(ref.flatten(0, 1), test.flatten(0, 1)).mean(2).unflatten(0, ref.shape[:2])
        boundary = Boundary(ref, test)
        counts = boundary.frames(boundary.first)
        return boundary.pooled(10 * ((mean * counts).sum(2) / counts.sum(2)).log10())

    return value
