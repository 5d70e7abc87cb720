"""Spectral convergence: Frobenius norm of the magnitude difference over that of the reference. Arik et al. 2018 (arXiv
1808.06719, eq. 5)."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from .. import engine
from ..answer import Detail, View, pool, spectral
from ..card import Card
from ..hearing.magnitudes import Floor, Window, check_floor, magnitude, stft_options
from ..hearing.stft_loss import STFTLoss
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

CARD = Card(
    title="Spectral convergence",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sqrt(sum (|Y| - |X|)^2 / sum |X|^2)",
    source="Arik et al. 2018, arXiv 1808.06719, eq. 5; auraloss 0.4.0 SpectralConvergenceLoss",
    conventions="As auraloss on its clamped magnitudes (power at least 1e-8), but per channel: auraloss takes one norm "
    "over the batch, so that loud items count more.",
    silence="Defined through the floor: very large against a silent reference, 0 when both are silent.",
    caveat="Loud low frequencies decide; alone it is almost deaf to the top octaves.",
    minimum="half a frame and one sample",
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sqrt",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    n_fft: Annotated[int, "samples of a frame"] = 1024,
    hop: Annotated[int, "samples between frames"] = 256,
    win: Annotated[int, "samples of the window, 0 for n_fft"] = 0,
    window: Window = "hann",
    floor: Floor = 1e-8,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    stft = stft_options(n_fft, hop, win, window)
    check_floor(floor)

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        m = magnitude(spectra, floor)
        engine.divergence.differences(m[0], m[1], edges, out)

    return pool(
        [
            spectral(
                r,
                t,
                stft,
                measure,
                3,
                lambda s, frames, bins: np.sqrt(s[..., 0] / s[..., 1]),
                lambda s: s.map[:, :, 0] / s.total[1],
                view,
            )
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text."""
    loss = STFTLoss(w_sc=1.0, w_log=0.0, w_lin=0.0, distance="l1", floor=o.floor)
    return loss.twin(stft_options(o.n_fft, o.hop, o.win, o.window), None)
