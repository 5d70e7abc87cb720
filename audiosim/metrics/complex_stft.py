"""Compressed complex STFT distance: complex spectra and magnitudes, both with magnitudes raised to a power. Ephrat et
al. 2018 (arXiv 1804.03619) and Braun and Tashev 2020 (arXiv 2009.12286, eq. 4).

All is computed in float64, of float32 samples too; losses stay in the type of their tensors.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from .. import engine
from ..answer import Channel, Pair, spectral
from ..card import Card
from ..hearing.magnitudes import POWER, Distance, ShortSpectral
from ..options import Within
from ..result import Twin

CARD = Card(
    title="Compressed complex STFT distance",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="(1 - a) mean |d| ^2 of |X|^c e^(j arg X) + a mean d^2 of |X|^c",
    source="Ephrat et al. 2018, arXiv 1804.03619; Braun and Tashev 2020, arXiv 2009.12286, eq. 4",
    conventions="Papers on enhancement agree on the weight a=0.7, but not on the frames, nor on c (0.5 and 1/3 are "
    "common too). c=1,a=0 is the plain complex STFT distance, and distance=l1 makes it the mean modulus.",
    silence="Defined: the compressed energy of whichever signal is not silent, 0 when both are.",
    caveat="Through the phase as sensitive to delay and polarity as a waveform measure.",
    version=2,
    minimum="half a frame and one sample",
    symmetric=True,
    gradient="exact",
    steepest=250.0,
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(ShortSpectral):
    c: Annotated[float, Within(0, 1, open_low=True), "power of the magnitudes"] = 0.3
    a: Annotated[float, Within(0, 1), "weight of the magnitude term"] = 0.7
    distance: Distance = "l2"
    floor: Annotated[float, POWER, "added to the power before compression"] = 1e-12

    def mix(self, sums: Any) -> Any:
        """Both parts, from the terms [..., 4] of engine.divergence.compressed."""
        term = 1 if self.distance == "l2" else 0
        return (1 - self.a) * sums[..., term] + self.a * sums[..., term + 2]


def measure(pair: Pair, o: Options) -> Channel:
    def measure(spectra: Any, edges: Any, out: Any) -> None:
        r, t = spectra.view(spectra.real.dtype)
        engine.divergence.compressed(r, t, o.c, o.floor, edges, out)

    return spectral(
        pair,
        o.stft(),
        measure,
        4,
        lambda sums, frames, bins: o.mix(sums) / (frames * bins),
        lambda sums: o.mix(sums.map) / (sums.frames * sums.bins),
    )


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import power, root, spectra
    from ..hearing.tensors import fused, in_float64

    stft = o.stft()
    transform = spectra(stft)

    def value(ref: Any, test: Any) -> Any:
        x, y = transform(ref), transform(test)
        p, q = power(x, 0.0), power(y, 0.0)
        g, h = ((energy + o.floor) ** ((o.c - 1) / 2) for energy in (p, q))
        squares = power(y * h - x * g, 0.0)
        magnitude = root(q) * h - root(p) * g
        if o.distance == "l2":
            parts = (1 - o.a) * squares + o.a * magnitude.square()
        else:
            parts = (1 - o.a) * root(squares) + o.a * magnitude.abs()
        return parts.mean((1, 2))

    def measure(dtype: Any, gradient: bool) -> Any:
        def measure(spectra: Any, edges: Any, out: Any) -> None:
            r, t = spectra.view(dtype)
            engine.divergence.compressed(r, t, o.c, o.floor, edges, out)
            if gradient:
                engine.transposes.compressed(r, t, o.c, o.floor, 1 - o.a, o.a, o.distance == "l2")

        return measure

    def finish(sums: Any, frames: int) -> Any:
        scale = 1 / (frames * stft.bins)
        return scale * o.mix(sums), [scale]

    # in float64: compression raises the rounding of empty bins
    return in_float64(fused(value, engine.transposes.Objective(stft, stft.bins, 4, 1, measure, finish)))
