"""2f model: quality as a multi-stimulus listening test would rate it, 0 to 100, from two of PEAQ's variables. Kastner
and Herre, "An efficient model for estimating subjective quality of separated audio source signals", WASPAA 2019.

details: AvgModDiff1, the mean of the channels, and ADB, of the better ear. per_channel: the score of each ear alone,
nan where it is silent in both recordings. Profile and map: shares of the weighted modulation difference, in bands of a
quarter Bark, in all frames.

Recordings of different lengths are compared as far as the shorter one goes. Short recordings and silent channels are
treated as in peaq.
"""

from __future__ import annotations

from math import nan

import numpy as np

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..models.peaq.audible import Audible, Playback

CARD = Card(
    title="2f model",
    family="perceptual",
    unit="MMS",
    better="higher",
    identical=100.0,
    range=(0.0, 100.0),
    formula="56.1345 / (1 + (-0.0282 AvgModDiff1 - 0.8628)^2) - 27.1451 ADB + 86.3515, within 0 and 100",
    source="Kastner and Herre 2019, of the variables of ITU-R BS.1387-1, basic version",
    conventions="The variables are those of peaq, within about 1 % of those of PQevalAudio, which the model was fitted"
    " to.",
    silence="Undefined for a reference that is silent throughout. A silent test has a value.",
    caveat="Made for separated sources; steady with codecs too. A test that is only 1 dB quieter already scores 60 to"
    " 70: match levels first. Signals must be aligned to the sample. Profile and map are of AvgModDiff1, in all"
    " frames.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    rate=48000,
    channels="mono or stereo",
    joint_channels=True,
    lengths="any",
    level="full scale sine is 92 dB SPL (option level)",
    symmetric=False,
    gradient="none",
    profile="share",
    map="share",
)

Options = Playback


def measure(pairs: list[Pair], o: Options) -> Channel:
    variables = models.peaq.output_variables
    sound = Audible.of(pairs, o.level, stereo=True)
    if isinstance(sound, str):
        return Channel(value=nan, reason=sound)
    heard = variables.listen(sound, everything=False)
    differences = [variables.modulation_difference(heard, e) for e in range(len(heard.ears))]
    scores = [score(d, variables.distorted_block(heard, e)) for e, d in enumerate(differences)]
    difference, block = float(np.mean(differences)), variables.distorted_block(heard, -1)
    channel = Channel(
        value=score(difference, block),
        per_channel=np.array(scores),
        details={"AvgModDiff1": difference, "ADB": block},
        **sound.shares(heard.cells, sound.times_of_changes),
    )
    return sound.with_silent_channels(channel)


def score(difference: float, block: float) -> float:
    """MMS of AvgModDiff1 in percent and ADB."""
    mms = 56.1345 / (1 + (-0.0282 * difference - 0.8628) ** 2) - 27.1451 * block + 86.3515
    return min(max(mms, 0.0), 100.0)
