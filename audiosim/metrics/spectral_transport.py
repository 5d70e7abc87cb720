"""Spectral optimal transport: how far, in pitch, the energy of one spectrum must be moved to become the other's.
Wasserstein distance over frequency in each frame, as Torres, Peeters and Richard 2024 (arXiv 2312.14507)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import dsp
from ..answer import Detail, View, pool, spectral
from ..card import Card
from ..engine.frames import STFT
from ..errors import UsageError
from ..hearing import scales
from ..hearing.magnitudes import Floor, Window, check_floor, power
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

CARD = Card(
    title="Spectral optimal transport",
    family="conventional",
    unit="Cam, Hz or octave",  # as scale says
    better="lower",
    identical=0.0,
    formula="sum w W_p^p / sum w over frames; W_1 = integral |F(test) - F(ref)| dx, F: cumulated power, of 1 in all",
    source="Torres, Peeters and Richard 2024, arXiv 2312.14507 (p=2, Hz, w=1); ERB-rate of Glasberg and Moore 1990",
    conventions="In Cams (scale=erb), Hz (hz) or octaves (log), to the power p. Torres et al. put half the rate at 1 "
    "(divide scale=hz,p=2,weight=0 by its square), and may leave out the quantiles where the louder signal has energy "
    "left; here both have a mass of 1. Frames count as the 0.3rd power of the reference's energy, about as loud as "
    "they are, so that silent ones do not decide: weight=0 counts all alike. Only whole frames are taken, because one "
    "that is cut splatters energy over all frequencies; centre=true takes those at the ends too.",
    silence="Defined through the floor of -100 dB: a silent frame reads as white noise; 0 when both are silent.",
    caveat="Deaf to level, by design: add a loss that hears it. A little broadband noise moves much energy far; what is"
    " added where the reference is silent hardly counts; reverberation it ranks badly.",
    minimum="a frame: 2048 samples by default",
    symmetric=False,
    triangle=False,
    blind=("polarity", "gain"),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sum",
)

LOWEST = 20.0  # Hz: scale=log sees no pitch below

Scale = Literal["erb", "hz", "log"]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    scale: Annotated[Scale, "what distance is measured in: Cams, Hz, octaves (from 20 Hz)"] = "erb",
    p: Annotated[Literal[1, 2], "order of the distance: mean way of the energy, or mean square"] = 1,
    weight: Annotated[float, "frames count as the energy of the reference to this power"] = 0.3,
    n_fft: Annotated[int, "samples of a frame"] = 2048,
    hop: Annotated[int, "samples between frames"] = 512,
    win: Annotated[int, "samples of the window, 0 for n_fft"] = 0,
    window: Window = "hann",
    centre: Annotated[bool, "frame t is centred on sample t hop, with zeros beyond the ends"] = False,
    floor: Floor = 1e-10,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged.

    per_band holds what starts or ends in a band, half of every way at either end: it sums to the value.
    """
    view = View(rate, detail, band_edges, jobs)
    stft, positions = _prepared(rate, scale, weight, n_fft, hop, win, window, centre, floor)

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        m = power(spectra, floor)
        dsp.transport.transport(m[0], m[1], positions, p, weight, edges, out)

    def finish(sums: Any, frames: Any, bins: Any) -> Any:
        return sums[..., 0] / (sums[..., 1] * (stft.bins / bins))

    def parts(sums: Any) -> Any:
        return sums.map[:, :, 0] / sums.total[1]

    return pool(
        [
            spectral(r, t, stft, measure, 2, finish, parts, view)
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text; sums over frequency in float64."""
    from ..engine.tensors import power, spectra

    stft, positions = _prepared(rate, o.scale, o.weight, o.n_fft, o.hop, o.win, o.window, o.centre, o.floor)
    transform, distance = spectra(stft), dsp.transport.differentiable(positions, o.p)

    def value(ref: Any, test: Any) -> Any:
        x, y = (power(transform(s), o.floor).double() for s in (ref, test))
        w = x.sum(2) ** o.weight
        return (w * distance(x, y)).sum(1) / w.sum(1)

    return value


def _prepared(
    rate: int,
    scale: Scale,
    weight: float,
    n_fft: int,
    hop: int,
    win: int,
    window: str,
    centre: bool,
    floor: float,
) -> tuple[STFT, NDArray[Any]]:
    """The frames, and the positions of their bins."""
    check_floor(floor)
    if not 0 <= weight <= 1:
        raise UsageError(f"spectral-transport: weight is a power of 0 to 1, not {weight:g}")
    stft = STFT.of(n_fft, hop, window, win or n_fft, centre, "zero")
    hz = stft.frequencies(rate)
    if scale == "erb":
        return stft, scales.erb_rate(hz)
    return stft, hz if scale == "hz" else np.log2(np.maximum(hz, LOWEST) / LOWEST)
