"""COSH distance of power spectra: the Itakura-Saito divergence made symmetric. Gray and Markel 1976, eq. 12.

The floor is part of the definition, as in itakura-saito. All is computed in double precision: in quiet bins float32
spectra are rounding noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..answer import Channel, Pair
from ..card import Card
from ..distance import PowerDistance
from ..engine.term import PairTerm
from ..hearing.magnitudes import Floor, Spectral
from ..result import Twin

CARD = Card(
    title="COSH distance",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean (P/Q + Q/P) / 2 - 1 = mean cosh(ln P/Q) - 1",
    source="Gray and Markel 1976, eq. 12",
    conventions="This is half the sum of both Itakura-Saito divergences. Some programs take the whole sum.",
    silence="Defined through the floor: 0 when both are silent; a silent test can score 1e10 and more.",
    caveat="As itakura-saito: one spectral zero in either signal can decide.",
    version=2,
    symmetric=True,
    insensitive_to=("polarity",),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)


@dataclass(frozen=True, kw_only=True)
class Options(Spectral):
    floor: Floor = 1e-10


@PairTerm
def half_sum(r: Any, t: Any) -> Any:
    d = t - r
    return d * d / (2 * r * t)


@half_sum.slope
def slope(r: Any, t: Any) -> Any:
    return (t - r) * (t + r) / (2 * r * t * t)


def distance(o: Options) -> PowerDistance:
    return PowerDistance(o.stft("zero"), half_sum, floor=o.floor, float64=True)


def measure(pair: Pair, o: Options) -> Channel:
    return distance(o).measure(pair)


def twin(rate: int, o: Options) -> Twin:
    return distance(o).twin()
