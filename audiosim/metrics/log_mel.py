"""Log-mel distance: mean absolute difference of mel spectra in dB.

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..answer import Channel, Pair
from ..card import Card
from ..distance import PowerDistance, log_absolute
from ..engine.decibels import NEPER
from ..hearing.magnitudes import Floor, MelSpectral
from ..result import Twin

CARD = Card(
    title="Log-mel distance",
    family="conventional",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="mean |10 lg max(M(test), floor) - 10 lg max(M(ref), floor)|, M: power in mel bands",
    source="common practice; mel bands as Slaney 1998, spectra as librosa.feature.melspectrogram and power_to_db",
    conventions="The spectra are librosa's, but without its top_db, which hides what is 80 dB below the peak of each "
    "file. Vocoder papers take the natural logarithm of magnitudes (1 there is 8.7 dB here) and floor these at 1e-5.",
    silence="Defined through the floor of -100 dB: 0 when both are silent.",
    caveat="All bands and frames count alike, so near-silent ones can dominate; deaf to phase.",
    version=2,
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity",),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(MelSpectral):
    floor: Floor = 1e-10


def distance(rate: int, o: Options) -> PowerDistance:
    return PowerDistance(o.stft("zero"), log_absolute(), (o.floor,), scale=NEPER, mel=o.mel(rate))


def measure(pair: Pair, o: Options) -> Channel:
    return distance(pair.rate, o).measure(pair)


def twin(rate: int, o: Options) -> Twin:
    return distance(rate, o).twin()
