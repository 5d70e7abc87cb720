"""PEAQ, basic version, as GstPEAQ computes it: how annoying the difference between two recordings is, by a model of the
ear and a network trained on listening tests. ITU-R BS.1387-1; Thiede et al. 2000.

Model output variables (details) are averages over the channels, but for ADB and MFPD, which take the better ear; the
network makes the distortion index DI of them, and a sigmoid the objective difference grade: 0 is imperceptible, -4 very
annoying. The value is the grade unclipped: what is imperceptible scores about 0.2. No public program meets the
standard's tolerance of 0.02 in DI, nor does this one.
"""

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
    title="PEAQ objective difference grade",
    family="perceptual",
    unit="ODG",
    better="higher",
    identical=None,
    range=(-3.98, 0.22),
    formula="ODG = -3.98 + 4.2 / (1 + e^-DI), DI: network of 11 model output variables",
    source="ITU-R BS.1387-1, basic version, read as GstPEAQ 0.6.1 does (Holters and Zoelzer, DAFx-15)",
    conventions="GstPEAQ-compatible: not conforming to the standard, as no public program is. PQevalAudio differs in"
    " EHS, by 0.07 ODG in the mean. The value is unclipped; details have DI, all variables and, with the network's"
    " inputs held within its training range, ODG_clipped. Where GstPEAQ has no number: a bandwidth that no frame has"
    " is 0, as in PQevalAudio; a channel that is silent in both is left out. Below 28 frames (0.62 s) all count, where"
    " the standard drops the first half second.",
    silence="Undefined for a silent reference, a silent test, and where the two are never loud (0.1 sone) at once.",
    caveat="Needs signals aligned to the sample and in level: it aligns nothing. Made for codecs; what is worse than"
    " 64 kbit/s is all about -3.8 and not in order: there DI or two-f tell more. No loss: its network and gates"
    " saturate; for that there are nmr and, beside it, noise-loudness and modulation-difference, its variables.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    settles=2.0,
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

NAMES = (
    *("BandwidthRef", "BandwidthTest", "TotalNMR", "WinModDiff1", "ADB", "EHS"),
    *("AvgModDiff1", "AvgModDiff2", "RmsNoiseLoud", "MFPD", "RelDistFrames"),
)
BOTH_EARS = [NAMES.index("ADB"), NAMES.index("MFPD")]
LEAST = np.array(
    [393.916656, 361.965332, -24.045116, 1.110661, -0.206623, 0.074318, 1.113683, 0.950345, 0.029985, 0.000101, 0.0]
)
MOST = np.array(
    [921.0, 881.131226, 16.21203, 107.137772, 2.886017, 13.933351, 63.257874, 1145.018555, 14.81974, 1.0, 1.0]
)
HIDDEN = np.array(
    [
        [-0.502657, 0.436333, 1.219602],
        [4.307481, 3.246017, 1.123743],
        [4.984241, -2.211189, -0.192096],
        [0.051056, -1.762424, 4.331315],
        [2.321580, 1.789971, -0.754560],
        [-5.303901, -3.452257, -10.814982],
        [2.730991, -6.111805, 1.519223],
        [0.624950, -1.331523, -5.955151],
        [3.102889, 0.871260, -5.922878],
        [-1.051468, -0.939882, -0.142913],
        [-1.804679, -0.503610, -0.620456],
    ]
)
HIDDEN_BIAS = np.array([-2.518254, 0.654841, -2.207228])
OUTPUT = np.array([-3.817048, 4.107138, 4.629582])
OUTPUT_BIAS = -0.307594


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

    Details: the 11 variables in their usual units (bandwidths in bins of 23.4 Hz, TotalNMR in dB), DI, DI_clipped and
    ODG_clipped. Profile and map: shares of the noise-to-mask ratio, in bands of a quarter Bark.
    """
    bark, variables = models.peaq.fft_ear, models.peaq.output_variables
    ear = bark.BarkEar.of(level)
    cuts, edges = (None, None) if detail == "value" else scales.bands(ear.centres, ear.edges[-1], band_edges)
    channels = len(ref)
    if channels > 2:
        return undefined(f"PEAQ knows mono and stereo only, these have {channels} channels", channels)
    ref, test = (x[:, : min(ref.shape[1], test.shape[1])] for x in (ref, test))
    frames = bark.data_boundary(ref)
    if frames[0] == frames[1]:
        return undefined(bark.without_frames(ref.shape[1]), channels)
    sounding = bark.sounding(ref, test)
    heard = variables.listen([ref[c] for c in sounding], [test[c] for c in sounding], ear, frames, cuts, True, jobs)
    if not variables.loud_together(heard):
        return undefined("reference and test are never loud (0.1 sone) at once", channels)
    alone = np.array([variables.basic(heard, e) for e in range(len(heard.ears))])
    together = alone.mean(axis=0)
    together[BOTH_EARS] = variables.distorted_block(heard, -1), variables.detection_probability(heard, -1)
    details = dict(zip(NAMES, together.tolist(), strict=True))
    details["DI"] = distortion_index(together)
    details["DI_clipped"] = distortion_index(np.clip(together, LEAST, MOST))
    details["ODG_clipped"] = grade(details["DI_clipped"])
    per_channel = np.full(channels, nan)
    per_channel[sounding] = [grade(distortion_index(v)) for v in alone]
    return Result(
        value=grade(details["DI"]),
        per_channel=per_channel,
        details=details,
        **shares(heard.cells, bark.times(*frames), ear.centres, cuts, edges, detail),
    )


def distortion_index(variables: Any) -> float:
    """DI of the 11 variables [11]."""
    x = (variables - LEAST) / (MOST - LEAST)
    return float(OUTPUT_BIAS + OUTPUT @ _sigmoid(HIDDEN_BIAS + x @ HIDDEN))


def grade(index: float) -> float:
    """ODG of a DI."""
    return float(-3.98 + 4.2 * _sigmoid(np.float64(index)))


def _sigmoid(x: Any) -> Any:
    return 0.5 * (1 + np.tanh(x / 2))
