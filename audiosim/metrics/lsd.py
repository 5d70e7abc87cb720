"""Log-spectral distance: rms over bins of the difference in dB, averaged over frames. Gray and Markel 1976, eq. 3 with
p = 2.

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..answer import Channel, Pair
from ..card import Card
from ..distance import PowerDistance, log_square
from ..engine.decibels import NEPER
from ..hearing.magnitudes import Floor, Spectral
from ..result import Twin

CARD = Card(
    title="Log-spectral distance",
    family="conventional",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="mean over frames of sqrt(mean over bins of (10 lg P(ref) - 10 lg P(test))^2)",
    source="Gray and Markel 1976; 2048/512 as super-resolution papers use it",
    conventions="Some codes take lg of the power without the factor 10 (a tenth of this value), other frames "
    "(n_fft=512, hop=256), or no floor; frames here are zero-padded and centred, with centre=false they"
    " start at the first sample.",
    silence="Defined through the floor of -100 dB: 0 when both are silent.",
    caveat="Dominated by nearly silent bins and frames, so by dither, codecs' low-pass and the floor.",
    version=2,
    minimum="one sample; a frame when centre=false",
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity",),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(Spectral):
    centre: Annotated[bool, "frame t is centred on sample t hop"] = True
    floor: Floor = 1e-10


def distance(o: Options) -> PowerDistance:
    stft = o.stft("zero", o.centre)
    return PowerDistance(stft, log_square, (o.floor,), scale=NEPER, floor=o.floor, root=True)


def measure(pair: Pair, o: Options) -> Channel:
    return distance(o).measure(pair)


def twin(rate: int, o: Options) -> Twin:
    return distance(o).twin()
