"""Scale-invariant signal-to-distortion ratio, in dB. Le Roux et al. 2019 (arXiv 1811.02508, eq. 3 to 5): the target
is the reference scaled to fit the test."""

from __future__ import annotations

from math import inf

from ..answer import Channel, Pair
from ..card import Card
from ..models.energy_ratio import Guarded, ScaledTarget
from ..result import Twin

CARD = Card(
    title="Scale-invariant signal-to-distortion ratio",
    family="conventional",
    unit="dB",
    better="higher",
    identical=None,
    range=(-inf, inf),
    formula="10 lg(|a ref|^2 / |test - a ref|^2), a = <test, ref> / |ref|^2, all channels end to end",
    source="Le Roux et al. 2019, arXiv 1811.02508, eq. 3 to 5; torchmetrics 1.9",
    conventions="torchmetrics (default) adds eps = 2.2e-16 to every sum (its float64 value), auraloss 1e-8 after "
    "removing the means, plain nothing, as fast_bss_eval. Identical files therefore score about 10 lg(energy / eps), "
    "which depends on the signal, and infinity under plain. SI-SNR is zero_mean=true. Channels have one gain a, and "
    "their energies are added; the packages take the mean of the channels' values, each with a gain of its own "
    "(channels=mean), in which an identical channel hides a broken one.",
    silence="Undefined for a silent reference or test. Of several channels, one that is silent in both adds nothing, "
    "and one that is silent in one of them counts as error.",
    caveat="Deaf to gain and polarity by design, but not to those of one channel against the others; a delay of one "
    "sample destroys it.",
    version=3,
    pooling="energy",
    joint_channels=True,
    symmetric=True,
    insensitive_to=("gain", "polarity"),
    identity_tolerance=10.0,
    gradient="exact",
    ratio=True,
    cap="a silent test scores 0 dB, a silent reference eps over the energy of the test; plain: 0 dB, -200 dB, and "
    "200 dB without distortion",
    profile="local",
    map="db",
)


Options = Guarded


def measure(pairs: list[Pair], o: Options) -> Channel:
    return ScaledTarget(o, scaled=True).measure(pairs)


def twin(rate: int, o: Options) -> Twin:
    return ScaledTarget(o, scaled=True).twin()
