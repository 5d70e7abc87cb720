"""Scale-dependent signal-to-distortion ratio, in dB. Le Roux et al. 2019 (arXiv 1811.02508, eq. 10): the scaled
target of SI-SDR over all of the error, so that attenuation counts."""

from __future__ import annotations

from math import inf

from ..answer import Channel, Pair
from ..card import Card
from ..models.energy_ratio import Guarded, ScaledTarget
from ..result import Twin

CARD = Card(
    title="Scale-dependent signal-to-distortion ratio",
    family="conventional",
    unit="dB",
    better="higher",
    identical=None,
    range=(-inf, inf),
    formula="10 lg(|a ref|^2 / |test - ref|^2), a = <test, ref> / |ref|^2, all channels end to end",
    source="Le Roux et al. 2019, arXiv 1811.02508, eq. 10; auraloss 0.4.0 SDSDRLoss",
    conventions="auraloss adds eps = 1e-8 after removing the means, plain nothing. torchmetrics has no such function: "
    "the default adds the eps of its SI-SDR, 2.2e-16. Identical files therefore score about 10 lg(energy / eps), which "
    "depends on the signal, and infinity under plain. Channels have one gain a, as in si-sdr, and their energies are "
    "added; the packages take the mean of the channels' values, each with a gain of its own (channels=mean).",
    silence="Undefined for a silent reference or test. Of several channels, one that is silent in both adds nothing, "
    "and one that is silent in one of them counts as error.",
    caveat="Punishes a level that is too low, but hardly one that is too high. Sensitive to delay, as all waveform "
    "measures are.",
    version=3,
    pooling="energy",
    joint_channels=True,
    symmetric=False,
    gradient="exact",
    ratio=True,
    cap="a silent reference or test scores eps over the error; plain: -200 dB, and 200 dB without error",
    profile="local",
    map="db",
)


Options = Guarded


def measure(pairs: list[Pair], o: Options) -> Channel:
    return ScaledTarget(o, scaled=False).measure(pairs)


def twin(rate: int, o: Options) -> Twin:
    return ScaledTarget(o, scaled=False).twin()
