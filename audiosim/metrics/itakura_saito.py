"""Itakura-Saito divergence of power spectra: mean P/Q - ln(P/Q) - 1, P the reference. Itakura and Saito 1968."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np

from .. import engine
from ..answer import Detail, View, pool, spectral
from ..card import Card
from ..engine.frames import STFT
from ..hearing.magnitudes import Floor, Window, check_floor, power, power_distance
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

CARD = Card(
    title="Itakura-Saito divergence",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean P/Q - ln(P/Q) - 1, P: power of ref, Q: of test",
    source="Itakura and Saito 1968; Fevotte et al. 2009, eq. 4",
    conventions="Some sum over bins, some exchange the signals; here the mean, the reference in the numerator. The "
    "floor is part of the definition, because the divergence has no bound where the test is quiet.",
    silence="Defined through the floor: 0 when both are silent; a silent test can score 1e10 and more.",
    caveat="Explodes where the test is much quieter than the reference, hardly notices where it is louder; one "
    "spectral zero can decide.",
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sum",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    n_fft: Annotated[int, "samples of a frame"] = 2048,
    hop: Annotated[int, "samples between frames"] = 512,
    win: Annotated[int, "samples of the window, 0 for n_fft"] = 0,
    window: Window = "hann",
    floor: Floor = 1e-10,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    stft = _frames(n_fft, hop, win, window, floor)
    ref, test = (np.asarray(x, np.float64) for x in (ref, test))  # in quiet bins float32 spectra are rounding noise

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        p = power(spectra, floor)
        engine.divergence.itakura_saito(p[0], p[1], edges, out)

    return pool(
        [
            spectral(
                r,
                t,
                stft,
                measure,
                1,
                lambda s, frames, bins: s[..., 0] / (frames * bins),
                lambda s: s.map[:, :, 0] / (s.frames * s.bins),
                view,
            )
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors, in float64 as there."""
    from ..engine.tensors import power, spectra
    from ..hearing.tensors import fused

    stft = _frames(o.n_fft, o.hop, o.win, o.window, o.floor)
    transform = spectra(stft)

    def text(ref: Any, test: Any) -> Any:
        p, q = (power(transform(s), o.floor) for s in (ref, test))
        ratio = p / q
        return ((ratio - 1) - ratio.log()).mean((1, 2))

    kernels = engine.divergence.itakura_saito, engine.transposes.itakura_saito
    value = fused(text, power_distance(stft, None, o.floor, 1 / stft.bins, *kernels))
    return lambda ref, test: value(ref.double(), test.double())


def _frames(n_fft: int, hop: int, win: int, window: str, floor: float) -> STFT:
    check_floor(floor)
    return STFT.of(n_fft, hop, window, win or n_fft, pad="zero")
