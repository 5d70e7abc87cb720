"""PEAQ, basic version: how annoying the difference between two recordings is, by a model of the ear and a network that
was trained on listening tests. ITU-R BS.1387-1, as GstPEAQ computes it; Thiede et al. 2000.

The model describes the difference by 11 variables. Each is averaged over the channels, except ADB and MFPD, which take
the better ear. The network turns them into the distortion index DI, and a sigmoid turns DI into the objective
difference grade: 0 is imperceptible, -4 very annoying. The value is the grade unclipped: an imperceptible difference
scores about 0.2.

details: the variables in their usual units (bandwidths in bins of 23.4 Hz, TotalNMR in dB) and DI; DI_clipped and
ODG_clipped are those with the variables held within the network's training range. per_channel: the grade of each ear
alone, nan where it is silent in both recordings. Profile and map: shares of the noise-to-mask ratio, in bands of a
quarter Bark.

Recordings of different lengths are compared as far as the shorter one goes. A channel that is silent in both is left
out. The standard drops the first half second; below 28 frames (0.62 s) all frames count. A bandwidth that no frame has
is 0, as in PQevalAudio; GstPEAQ has no value there. No public program meets the standard's tolerance of 0.02 in DI,
nor does this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Annotated, Any, Literal

import numpy as np

from .. import models
from ..answer import Channel, Pair
from ..card import Card
from ..errors import InputError, UsageError
from ..models.peaq.audible import NEVER_LOUD, Audible, Playback
from ..models.peaq.network import Network, grade
from ..result import Twin

CARD = Card(
    title="PEAQ objective difference grade",
    family="perceptual",
    unit="ODG",
    better="higher",
    range=(-3.98, 0.22),
    formula="ODG = -3.98 + 4.2 / (1 + e^-DI), DI: network of 11 model output variables",
    source="ITU-R BS.1387-1, basic version, read as GstPEAQ 0.6.1 does (Holters and Zoelzer, DAFx-15)",
    conventions="Compatible with GstPEAQ, so not conforming to the standard; no public program conforms. PQevalAudio"
    " differs in EHS, by 0.07 ODG in the mean. The grade within the network's training range is the detail"
    " ODG_clipped. ear=44.1k resamples nothing: frames of 2048 samples, and all else in Hz and seconds. It has the"
    " variables of PQevalAudio with its rate set to 44100, but gives the network bandwidths in bins of 48 kHz, for"
    " which it was trained. No standard knows it. Grades may differ by 1 from those of the resampled recording, which"
    " has nothing above 22 kHz and so a larger bandwidth.",
    silence="Undefined for a silent reference, a silent test, and where the two are never loud (0.1 sone) at once.",
    caveat="It aligns nothing: signals must be aligned to the sample and in level. It was made for codecs; whatever is"
    " worse than 64 kbit/s scores about -3.8, in no order: there DI or two-f tell more. As a loss it is for what is"
    " nearly good already, since its network saturates; from afar nmr leads, and beside it noise-loudness and"
    " modulation-difference, which are among its variables.",
    minimum="one frame: 2048 samples at 48 kHz",
    shortest=2048 / 48000,
    settles=2.0,
    rate=48000,
    channels="mono or stereo",
    joint_channels=True,
    lengths="any",
    level="full scale sine is 92 dB SPL (option level)",
    symmetric=False,
    gradient="straight-through",
    surrogate="whether a frame is disturbed, and whether a bin is within the bandwidth: a logistic function 1 dB wide;"
    " whole dB of ADB: the difference in dB; which frames count, and where maxima are: no gradient",
    cap="a reference that is silent throughout: all frames count; two never loud at once: as if from the start",
    twice=False,
    steepest=1e5,
    zero_gradient_on_silence=True,
    profile="share",
    map="share",
)

NETWORK = Network(
    names=(
        *("BandwidthRef", "BandwidthTest", "TotalNMR", "WinModDiff1", "ADB", "EHS"),
        *("AvgModDiff1", "AvgModDiff2", "RmsNoiseLoud", "MFPD", "RelDistFrames"),
    ),
    least=np.array(
        [393.916656, 361.965332, -24.045116, 1.110661, -0.206623, 0.074318, 1.113683, 0.950345, 0.029985, 0.000101, 0.0]
    ),
    most=np.array(
        [921.0, 881.131226, 16.21203, 107.137772, 2.886017, 13.933351, 63.257874, 1145.018555, 14.81974, 1.0, 1.0]
    ),
    hidden=np.array(
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
    ),
    hidden_bias=np.array([-2.518254, 0.654841, -2.207228]),
    output=np.array([-3.817048, 4.107138, 4.629582]),
    output_bias=-0.307594,
)
BOTH_EARS = [NETWORK.names.index("ADB"), NETWORK.names.index("MFPD")]


@dataclass(frozen=True, kw_only=True)
class Options(Playback):
    ear: Annotated[
        Literal["48k", "44.1k"], "44.1k: of recordings at 44.1 kHz, by an ear made for that rate; no standard knows it"
    ] = "48k"

    @property
    def resampled_to(self) -> int | None:
        return None if self.ear == "48k" else 44100


def twin(rate: int, o: Options) -> Twin:
    """In float64. Steps have the gradient of what stands for them in models/peaq/output_tensors.py."""
    import torch

    from ..engine.tensors import tell
    from ..models.peaq.output_tensors import OutputVariables
    from ..models.peaq.tensors import together

    if o.resampled_to:
        raise UsageError("peaq:ear=44.1k has no gradient to train on; use 48 kHz")
    variables = OutputVariables(o.level)

    def value(ref: Any, test: Any) -> Any:
        if ref.shape[1] > 2:
            raise InputError(f"peaq takes mono and stereo only, these have {ref.shape[1]} channels")
        heard = variables.basic(*together(ref, test))
        index = NETWORK.index_torch(torch.stack([heard[name] for name in NETWORK.names], -1))
        tell(lambda: {**{name: x.detach() for name, x in heard.items()}, "DI": index.detach()})
        return (-3.98 + 4.2 * index.sigmoid())[:, None]

    return value


def measure(pairs: list[Pair], o: Options) -> Channel:
    variables = models.peaq.output_variables
    sound = Audible.of(pairs, o.level, stereo=True, rate=o.resampled_to)
    if isinstance(sound, str):
        return Channel(value=nan, reason=sound)
    heard = variables.listen(sound, everything=True)
    if not variables.loud_together(heard):
        return Channel(value=nan, reason=NEVER_LOUD)
    alone = np.array([variables.basic(heard, e) for e in range(len(heard.ears))])
    together = alone.mean(axis=0)
    together[BOTH_EARS] = variables.distorted_block(heard, -1), variables.detection_probability(heard, -1)
    details = NETWORK.details(together)
    channel = Channel(
        value=grade(details["DI"]),
        per_channel=np.array([grade(NETWORK.index(v)) for v in alone]),
        details=details,
        **sound.shares(heard.cells, sound.times),
    )
    return sound.with_silent_channels(channel)
