"""2f model: quality as a multi-stimulus listening test would rate it, 0 to 100, of two of PEAQ's variables. Kastner and
Herre, "An efficient model for estimating subjective quality of separated audio source signals", WASPAA 2019."""

from __future__ import annotations

from math import nan
from typing import Annotated, Any

import numpy as np

from .. import models
from ..answer import Detail, shares
from ..card import Card
from ..hearing import scales
from ..result import Result, undefined

CARD = Card(
    title="2f model",
    family="perceptual",
    unit="MMS",
    better="higher",
    identical=100.0,
    range=(0.0, 100.0),
    formula="56.1345 / (1 + (-0.0282 AvgModDiff1 - 0.8628)^2) - 27.1451 ADB + 86.3515, within 0 and 100",
    source="Kastner and Herre 2019, of the variables of ITU-R BS.1387-1, basic version",
    conventions="Variables as in peaq, within about 1 % of those of PQevalAudio, which the model was fitted to. Short"
    " recordings and silent channels as in peaq.",
    silence="Undefined for a reference that is silent throughout. A silent test has a value.",
    caveat="Made for separated sources; steady with codecs too. A quieter test of 1 dB already scores 60 to 70: match"
    " levels first. Needs signals aligned to the sample. Profile and map are of AvgModDiff1, all frames.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    rate=48000,
    channels="mono or stereo",
    lengths="any",
    level="full scale sine is 92 dB SPL (option level)",
    symmetric=False,
    triangle=False,
    gradient="none",
    profile="share",
    map="share",
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
    """ref, test [channel, sample] at 48000 Hz, one or two channels, compared as far as the shorter one goes.

    per_channel: of each ear alone, nan where it is silent in both.

    Details: AvgModDiff1, the mean of the channels, and ADB, of the better ear. Profile and map: shares of the weighted
    modulation difference, in bands of a quarter Bark.
    """
    bark, variables = models.peaq.fft_ear, models.peaq.output_variables
    ear = bark.BarkEar.of(level)
    cuts, edges = (None, None) if detail == "value" else scales.bands(ear.centres, ear.edges[-1], band_edges)
    channels = len(ref)
    if channels > 2:
        return undefined(f"the 2f model knows mono and stereo only, these have {channels} channels", channels)
    ref, test = (x[:, : min(ref.shape[1], test.shape[1])] for x in (ref, test))
    frames = bark.data_boundary(ref)
    if frames[0] == frames[1]:
        return undefined(bark.without_frames(ref.shape[1]), channels)
    sounding = bark.sounding(ref, test)
    heard = variables.listen([ref[c] for c in sounding], [test[c] for c in sounding], ear, frames, cuts, False, jobs)
    differences = [variables.modulation_difference(heard, e) for e in range(len(heard.ears))]
    per_channel = np.full(channels, nan)
    per_channel[sounding] = [score(d, variables.distorted_block(heard, e)) for e, d in enumerate(differences)]
    difference, block = float(np.mean(differences)), variables.distorted_block(heard, -1)
    times = bark.times(*frames) - bark.HOP / bark.RATE / 2  # a change lies between a frame and the one before it
    return Result(
        value=score(difference, block),
        per_channel=per_channel,
        details={"AvgModDiff1": difference, "ADB": block},
        **shares(heard.cells, times, ear.centres, cuts, edges, detail),
    )


def score(difference: float, block: float) -> float:
    """MMS of AvgModDiff1 in percent and ADB."""
    mms = 56.1345 / (1 + (-0.0282 * difference - 0.8628) ** 2) - 27.1451 * block + 86.3515
    return min(max(mms, 0.0), 100.0)
