"""STFT loss: spectral convergence plus log magnitude distance at one resolution. Yamamoto et al. 2020 (arXiv
1910.11480, eq. 3 to 5); as auraloss.freq.STFTLoss.

auraloss also has a phase term, unwrapped and not used by default; here there is none.

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..answer import Channel, Pair
from ..card import Card
from ..hearing.magnitudes import ShortSpectral
from ..models.stft_loss import LossOptions, STFTLoss
from ..result import Twin

CARD = Card(
    title="STFT loss",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="| |Y| - |X| |_F / | |X| |_F + mean |ln |Y| - ln |X||",
    source="Yamamoto et al. 2020, arXiv 1910.11480, eq. 3 to 5; auraloss 0.4.0 STFTLoss",
    conventions="As auraloss 0.4.0, with its floor of the power and its natural logarithm, but per channel, not "
    "across a batch. Other packages floor the magnitude at 1e-5 or 1e-7 (floor=1e-10, 1e-14), or use only the L1 terms "
    "(w_sc=0,w_lin=1).",
    silence="Defined through the floor: large against a silent reference, 0 when both are silent.",
    caveat="Deaf to phase; a silent estimate gives a loss without gradient; a silent reference dominates any mean.",
    version=2,
    minimum="half a frame and one sample",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    steepest=4000.0,
    ratio=True,
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(ShortSpectral, LossOptions):
    pass


def measure(pair: Pair, o: Options) -> Channel:
    return STFTLoss(o, o.stft()).measure(pair)


def twin(rate: int, o: Options) -> Twin:
    return STFTLoss(o, o.stft()).twin()
