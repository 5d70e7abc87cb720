"""PEAQ, advanced version, as GstPEAQ computes it: the ear as a bank of filters, which hears 250 times a second, beside
the one with an FFT. ITU-R BS.1387-1; Thiede et al. 2000.

Five model output variables (details), averaged over the channels, make the distortion index DI by a network trained on
listening tests, and a sigmoid makes of it the objective difference grade: 0 is imperceptible, -4 very annoying. The
value is the grade unclipped: what is imperceptible scores about 0.2.

The network knows only codecs. A frame without any error is at some -130 dB of noise to mask, far outside of what it was
trained on, and a recording with errors in some frames only may be told to be as good as one without. Options floor and
clamp mend that (clamp also what comes 30 ms late), but are not in the standard.
"""

from __future__ import annotations

from math import isnan, nan
from typing import Annotated, Any, Literal

import numpy as np

from .. import models
from ..answer import Detail, shares
from ..card import Card
from ..errors import UsageError
from ..hearing import scales
from ..result import Result, undefined

CARD = Card(
    title="PEAQ objective difference grade, advanced version",
    family="perceptual",
    unit="ODG",
    better="higher",
    identical=None,
    range=(-3.98, 0.22),
    formula="ODG = -3.98 + 4.2 / (1 + e^-DI), DI: network of 5 model output variables",
    source="ITU-R BS.1387-1, advanced version, read as GstPEAQ 0.6.1 does (Holters and Zoelzer, DAFx-15)",
    conventions="GstPEAQ-compatible: not conforming to the standard, as no public program is. One weight of GstPEAQ's"
    " network is not that of the standard: -39.013052 for -39.913052; option network=standard takes the latter, which"
    " raises the grade by up to 0.04. The value is unclipped; details have DI, all variables and, with the network's"
    " inputs held within its training range (option clamp), ODG_clipped. A channel that is silent in both is left out."
    " Below 0.5 s all frames count, where the standard drops as much.",
    silence="Undefined for a silent reference, a silent test, and where the two are never loud (0.1 sone) at once.",
    caveat="Not monotone outside of what its network was trained on: clipped peaks or drop-outs between frames without"
    " any error may score as well as no error at all, which option floor=-25 mends, and so may sound that is 30 ms"
    " late, which option clamp mends; neither is in the standard, and peaq needs neither. Needs signals aligned to the"
    " sample and in level.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    settles=2.0,
    rate=48000,
    channels="mono or stereo",
    lengths="any",
    level="full scale sine is 92 dB SPL (option level)",
    symmetric=False,
    triangle=False,
    saturates=-3.9,
    slack=0.01,
    gradient="none",
    profile="share",
    map="share",
)

Network = Literal["gstpeaq", "standard"]

NAMES = ("RmsModDiff", "RmsNoiseLoudAsym", "SegmentalNMR", "EHS", "AvgLinDist")
LEAST = np.array([13.298751, 0.041073, -25.018791, 0.061560, 0.024523])
MOST = np.array([2166.5, 13.24326, 13.46708, 10.226771, 14.224874])
HIDDEN = np.array(
    [
        [21.211773, -39.013052, -1.382553, -14.545348, -0.320899],
        [-8.981803, 19.956049, 0.935389, -1.686586, -3.238586],
        [1.633830, -2.877505, -7.442935, 5.606502, -1.783120],
        [6.103821, 19.587435, -0.240284, 1.088213, -0.511314],
        [11.556344, 3.892028, 9.720441, -3.287205, -11.031250],
    ]
)
HIDDEN_BIAS = np.array([1.330890, 2.686103, 2.096598, -1.327851, 3.087055])
OUTPUT = np.array([-4.696996, -3.289959, 7.004782, 6.651897, 4.009144])
OUTPUT_BIAS = -1.360308
STANDARD = HIDDEN.copy()
STANDARD[0, 1] = -39.913052


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    level: Annotated[float, "dB SPL of a full-scale sine"] = 92.0,
    floor: Annotated[
        float, "dB of noise to mask that a frame has at least; not in the standard, -25 is sound"
    ] = -300.0,
    network: Annotated[Network, "with the weight that GstPEAQ has, or with that of the standard"] = "gstpeaq",
    clamp: Annotated[bool, "hold the variables within the network's training range; not in the standard"] = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at 48000 Hz, one or two channels, compared as far as the shorter one goes.

    per_channel: of each ear alone, nan where it is silent in both.

    Details: the 5 variables in their usual units (RmsModDiff in percent, RmsNoiseLoudAsym and AvgLinDist in sones,
    SegmentalNMR in dB, with the floor), DI, DI_clipped and ODG_clipped. Profile and map: shares of the noise-to-mask
    ratio, in bands of half a Bark. UsageError where the floor is above 0 dB.
    """
    if isnan(floor) or floor > 0:
        raise UsageError(f"floor is a noise-to-mask ratio of at most 0 dB, not {floor:g}")
    bark, fine, variables = models.peaq.fft_ear, models.peaq.filter_bank_ear, models.peaq.advanced_variables
    ear, fine_ear = bark.BarkEar.of(level, bark.COARSE_STEP), fine.FilterBankEar.of(level)
    cuts, edges = (None, None) if detail == "value" else scales.bands(ear.centres, ear.edges[-1], band_edges)
    channels = len(ref)
    if channels > 2:
        return undefined(f"PEAQ knows mono and stereo only, these have {channels} channels", channels)
    ref, test = (x[:, : min(ref.shape[1], test.shape[1])] for x in (ref, test))
    frames, fine_frames = bark.data_boundary(ref), bark.data_boundary(ref, fine.HOP, fine.HOP)
    if frames[0] == frames[1]:
        return undefined(bark.without_frames(ref.shape[1]), channels)
    sounding = bark.sounding(ref, test)
    both = [ref[c] for c in sounding], [test[c] for c in sounding]
    heard = variables.listen(*both, ear, fine_ear, frames, fine_frames, cuts, jobs)
    if not variables.loud_together(heard):
        return undefined("reference and test are never loud (0.1 sone) at once", channels)
    alone = variables.advanced(heard, floor)
    together = alone.mean(axis=0)

    def index(values: Any) -> float:
        return distortion_index(np.clip(values, LEAST, MOST) if clamp else values, network)

    details = dict(zip(NAMES, together.tolist(), strict=True))
    details["DI"] = index(together)
    details["DI_clipped"] = distortion_index(np.clip(together, LEAST, MOST), network)
    details["ODG_clipped"] = grade(details["DI_clipped"])
    per_channel = np.full(channels, nan)
    per_channel[sounding] = [grade(index(v)) for v in alone]
    cells = np.sum([h.cells for h in heard], axis=0)
    return Result(
        value=grade(details["DI"]),
        per_channel=per_channel,
        details=details,
        **shares(cells, bark.times(*frames), ear.centres, cuts, edges, detail),
    )


def distortion_index(variables: Any, network: Network = "gstpeaq") -> float:
    """DI of the 5 variables [5]."""
    x = (variables - LEAST) / (MOST - LEAST)
    return float(OUTPUT_BIAS + OUTPUT @ _sigmoid(HIDDEN_BIAS + x @ (HIDDEN if network == "gstpeaq" else STANDARD)))


def grade(index: float) -> float:
    """ODG of a DI."""
    return float(-3.98 + 4.2 * _sigmoid(np.float64(index)))


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(x / 2))
