"""Spectral convergence: Frobenius norm of the magnitude difference over that of the reference. Arik et al. 2018 (arXiv
1808.06719, eq. 5).

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .. import engine
from ..answer import Channel, Pair, spectral
from ..card import Card
from ..hearing.magnitudes import Floor, ShortSpectral, magnitude
from ..models.stft_loss import LossOptions, STFTLoss
from ..result import Twin

CARD = Card(
    title="Spectral convergence",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sqrt(sum (|Y| - |X|)^2 / sum |X|^2)",
    source="Arik et al. 2018, arXiv 1808.06719, eq. 5; auraloss 0.4.0 SpectralConvergenceLoss",
    conventions="As auraloss, with its floor of the power, but per channel: auraloss takes one norm over the batch, so "
    "that loud items count more.",
    silence="Defined through the floor: very large against a silent reference, 0 when both are silent.",
    caveat="Loud low frequencies decide; alone it is almost deaf to the top octaves.",
    version=2,
    minimum="half a frame and one sample",
    symmetric=False,
    insensitive_to=("polarity",),
    gradient="exact",
    steepest=300.0,
    ratio=True,
    zero_gradient_on_silence=True,
    profile="local",
    map="sqrt",
)


@dataclass(frozen=True, kw_only=True)
class Options(ShortSpectral):
    floor: Floor = 1e-8


def measure(pair: Pair, o: Options) -> Channel:
    def measure(spectra: Any, edges: Any, out: Any) -> None:
        m = magnitude(spectra, o.floor)
        engine.divergence.differences(m[0], m[1], edges, out)

    return spectral(
        pair,
        o.stft(),
        measure,
        3,
        lambda sums, frames, bins: np.sqrt(sums[..., 0] / sums[..., 1]),
        lambda sums: sums.map[:, :, 0] / sums.total[1],
    )


def twin(rate: int, o: Options) -> Twin:
    return STFTLoss(LossOptions(w_log=0.0, floor=o.floor), o.stft()).twin()
