"""Mel STFT loss: the STFT loss on magnitudes in mel bands. As auraloss.freq.MelSTFTLoss.

auraloss also has a phase term, unwrapped and not used by default; here there is none.

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from ..answer import Channel, Pair
from ..card import Card
from ..hearing.magnitudes import MelFilters, ShortSpectral
from ..models.stft_loss import LossOptions, STFTLoss
from ..options import AT_LEAST_ONE
from ..result import Twin

CARD = Card(
    title="Mel STFT loss",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="as stft, on Slaney mel bands of the magnitudes",
    source="auraloss 0.4.0 MelSTFTLoss; mel bands as librosa.filters.mel",
    conventions="As auraloss 0.4.0, with its floor of the power and its natural logarithm, but per channel, not "
    "across a batch. Other packages floor the magnitude at 1e-5 or 1e-7 (floor=1e-10, 1e-14), or use only the L1 terms "
    "(w_sc=0,w_lin=1). Mel bands too narrow to hold a bin add nothing; auraloss gives nan.",
    silence="Defined through the floor: large against a silent reference, 0 when both are silent.",
    caveat="Deaf to phase; a silent estimate gives a loss without gradient; a silent reference dominates any mean.",
    version=2,
    minimum="half a frame and one sample",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    steepest=2000.0,
    ratio=True,
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(ShortSpectral, LossOptions):
    bands: Annotated[int, AT_LEAST_ONE, "mel bands"] = 128


def loss(rate: int, o: Options) -> STFTLoss:
    return STFTLoss(o, o.stft(), MelFilters.of(rate, o.n_fft, o.bands))


def measure(pair: Pair, o: Options) -> Channel:
    return loss(pair.rate, o).measure(pair)


def twin(rate: int, o: Options) -> Twin:
    return loss(rate, o).twin()
