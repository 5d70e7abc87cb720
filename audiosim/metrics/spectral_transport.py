"""Spectral optimal transport: how far, in pitch, the energy of one spectrum must be moved to become the other's.
Wasserstein distance over frequency in each frame, as Torres, Peeters and Richard 2024 (arXiv 2312.14507).

Both spectra have a mass of 1. Frames count as the 0.3rd power of the reference's energy, about as loud as they are, so
that silent ones do not decide. Only whole frames are taken, because one that is cut splatters energy over all
frequencies.

per_band and map hold what starts or ends in a band, half of every way at either end: per_band sums to the value.

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import dsp
from ..answer import Channel, Pair, spectral
from ..card import Card
from ..engine.frames import STFT
from ..hearing import scales
from ..hearing.magnitudes import Floor, Spectral, power
from ..options import Within
from ..result import Twin

CARD = Card(
    title="Spectral optimal transport",
    family="conventional",
    unit="Cam, Hz or octave",  # as scale says
    better="lower",
    identical=0.0,
    formula="sum w W_p^p / sum w over frames; W_1 = integral |F(test) - F(ref)| dx, F: cumulated power, of 1 in all",
    source="Torres, Peeters and Richard 2024, arXiv 2312.14507 (p=2, Hz, w=1); ERB-rate of Glasberg and Moore 1990",
    conventions="The value is in Cams (scale=erb), Hz (hz) or octaves (log), to the power p. Torres et al. put half "
    "the rate at 1: divide scale=hz,p=2,weight=0 by its square. They may also leave out the quantiles where the louder "
    "signal has energy left. weight=0 counts all frames alike, and centre=true takes the cut frames at the ends too.",
    silence="Defined through the floor of -100 dB: a silent frame reads as white noise; 0 when both are silent.",
    caveat="Deaf to level, by design: add a loss that hears it. A little broadband noise moves much energy far; what "
    "is added where the reference is silent hardly counts; it ranks reverberation badly.",
    version=2,
    minimum="a frame: 2048 samples by default",
    symmetric=False,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)

LOWEST = 20.0  # Hz: scale=log sees no pitch below


@dataclass(frozen=True, kw_only=True)
class Options(Spectral):
    scale: Annotated[Literal["erb", "hz", "log"], "what distance is measured in: Cams, Hz, octaves (from 20 Hz)"] = (
        "erb"
    )
    p: Annotated[Literal[1, 2], "order of the distance: mean way of the energy, or mean square"] = 1
    weight: Annotated[float, Within(0, 1), "frames count as the energy of the reference to this power"] = 0.3
    centre: Annotated[bool, "frame t is centred on sample t hop, with zeros beyond the ends"] = False
    floor: Floor = 1e-10

    @property
    def value_unit(self) -> str:
        return {"erb": "Cam", "hz": "Hz", "log": "octave"}[self.scale] + ("²" if self.p == 2 else "")


def measure(pair: Pair, o: Options) -> Channel:
    stft, positions = _prepared(pair.rate, o)

    def measure(spectra: Any, edges: Any, out: Any) -> None:
        m = power(spectra, o.floor)
        dsp.transport.transport(m[0], m[1], positions, o.p, o.weight, edges, out)

    def finish(sums: Any, frames: Any, bins: Any) -> Any:
        return sums[..., 0] / (sums[..., 1] * (stft.bins / bins))

    def parts(sums: Any) -> Any:
        return sums.map[:, :, 0] / sums.total[1]

    return spectral(pair, stft, measure, 2, finish, parts)


def twin(rate: int, o: Options) -> Twin:
    """Sums over frequency are taken in float64."""
    from ..engine.tensors import power, spectra

    stft, positions = _prepared(rate, o)
    transform, distance = spectra(stft), dsp.transport.differentiable(positions, o.p)

    def value(ref: Any, test: Any) -> Any:
        x, y = (power(transform(s), o.floor).double() for s in (ref, test))
        w = x.sum(2) ** o.weight
        return (w * distance(x, y)).sum(1) / w.sum(1)

    return value


def _prepared(rate: int, o: Options) -> tuple[STFT, NDArray[Any]]:
    """The frames, and the positions of their bins."""
    stft = o.stft("zero", o.centre)
    hz = stft.frequencies(rate)
    if o.scale == "erb":
        return stft, scales.erb_rate(hz)
    return stft, hz if o.scale == "hz" else np.log2(np.maximum(hz, LOWEST) / LOWEST)
