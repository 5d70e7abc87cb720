"""PEAQ, advanced version: the ear as a bank of filters, which hears 250 times a second, beside the one with an FFT.
ITU-R BS.1387-1, as GstPEAQ computes it; Thiede et al. 2000.

Five variables, averaged over the channels, describe the difference. A network that was trained on listening tests turns
them into the distortion index DI, and a sigmoid turns DI into the objective difference grade: 0 is imperceptible, -4
very annoying. The value is the grade unclipped: an imperceptible difference scores about 0.2.

details: the variables in their usual units (RmsModDiff in percent, RmsNoiseLoudAsym and AvgLinDist in sones,
SegmentalNMR in dB, with the floor) and DI; DI_clipped and ODG_clipped are those with the variables held within the
network's training range. per_channel: the grade of each ear alone, nan where it is silent in both recordings. Profile
and map: shares of the noise-to-mask ratio, in bands of half a Bark.

The network knows only codecs. A frame without any error is at some -130 dB of noise to mask, far outside of the
training range, so a recording with errors in some frames only may score as well as one without. The options floor and
clamp mend that, and clamp also mends sound that is 30 ms late, but they are not in the standard.

Recordings of different lengths are compared as far as the shorter one goes. A channel that is silent in both is left
out. The standard drops the first half second; in recordings shorter than that all frames count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import nan
from typing import Annotated, Literal

import numpy as np

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..models.peaq.audible import NEVER_LOUD, Audible, Playback
from ..models.peaq.network import Network, grade
from ..options import Within

CARD = Card(
    title="PEAQ objective difference grade, advanced version",
    family="perceptual",
    unit="ODG",
    better="higher",
    range=(-3.98, 0.22),
    formula="ODG = -3.98 + 4.2 / (1 + e^-DI), DI: network of 5 model output variables",
    source="ITU-R BS.1387-1, advanced version, read as GstPEAQ 0.6.1 does (Holters and Zoelzer, DAFx-15)",
    conventions="Compatible with GstPEAQ, so not conforming to the standard; no public program conforms. One weight of"
    " GstPEAQ's network is -39.013052 where the standard has -39.913052; network=standard takes the latter and raises"
    " the grade by up to 0.04. The grade within the network's training range is the detail ODG_clipped, and the value"
    " with the option clamp.",
    silence="Undefined for a silent reference, a silent test, and where the two are never loud (0.1 sone) at once.",
    caveat="Not monotone outside of the training range of its network: clipped peaks, or drop-outs between frames"
    " without any error, may score as well as no error at all, which the option floor=-25 mends; so may sound that is"
    " 30 ms late, which the option clamp mends. Neither option is in the standard, and peaq needs neither. Signals must"
    " be aligned to the sample and in level.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    settles=2.0,
    rate=48000,
    channels="mono or stereo",
    joint_channels=True,
    lengths="any",
    level="full scale sine is 92 dB SPL (option level)",
    symmetric=False,
    saturates=-3.9,
    identity_tolerance=0.01,
    gradient="none",
    profile="share",
    map="share",
)

GSTPEAQ = Network(
    names=("RmsModDiff", "RmsNoiseLoudAsym", "SegmentalNMR", "EHS", "AvgLinDist"),
    least=np.array([13.298751, 0.041073, -25.018791, 0.061560, 0.024523]),
    most=np.array([2166.5, 13.24326, 13.46708, 10.226771, 14.224874]),
    hidden=np.array(
        [
            [21.211773, -39.013052, -1.382553, -14.545348, -0.320899],
            [-8.981803, 19.956049, 0.935389, -1.686586, -3.238586],
            [1.633830, -2.877505, -7.442935, 5.606502, -1.783120],
            [6.103821, 19.587435, -0.240284, 1.088213, -0.511314],
            [11.556344, 3.892028, 9.720441, -3.287205, -11.031250],
        ]
    ),
    hidden_bias=np.array([1.330890, 2.686103, 2.096598, -1.327851, 3.087055]),
    output=np.array([-4.696996, -3.289959, 7.004782, 6.651897, 4.009144]),
    output_bias=-1.360308,
)
STANDARD = replace(GSTPEAQ, hidden=GSTPEAQ.hidden.copy())
STANDARD.hidden[0, 1] = -39.913052


@dataclass(frozen=True, kw_only=True)
class Options(Playback):
    floor: Annotated[
        float, Within(high=0), "dB of noise to mask that a frame has at least; not in the standard, -25 is sound"
    ] = -300.0
    network: Annotated[
        Literal["gstpeaq", "standard"], "with the weight that GstPEAQ has, or with that of the standard"
    ] = "gstpeaq"
    clamp: Annotated[bool, "hold the variables within the network's training range; not in the standard"] = False


def measure(pairs: list[Pair], o: Options) -> Channel:
    variables = models.peaq.advanced_variables
    sound = Audible.of(pairs, o.level, models.peaq.fft_ear.COARSE_STEP, stereo=True)
    if isinstance(sound, str):
        return Channel(value=nan, reason=sound)
    heard = variables.listen(sound, o.level)
    if not variables.loud_together(heard):
        return Channel(value=nan, reason=NEVER_LOUD)
    network = STANDARD if o.network == "standard" else GSTPEAQ
    alone = variables.advanced(heard, o.floor)
    details = network.details(alone.mean(axis=0), o.clamp)
    channel = Channel(
        value=grade(details["DI"]),
        per_channel=np.array([grade(network.index(v, o.clamp)) for v in alone]),
        details=details,
        **sound.shares(np.sum([h.cells for h in heard], axis=0), sound.times),
    )
    return sound.with_silent_channels(channel)
