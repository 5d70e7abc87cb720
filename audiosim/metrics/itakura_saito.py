"""Itakura-Saito divergence of power spectra: mean P/Q - ln(P/Q) - 1, P the reference. Itakura and Saito 1968.

The floor is part of the definition, because the divergence has no bound where the test is quiet. All is computed in
double precision: in quiet bins float32 spectra are rounding noise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..answer import Channel, Pair
from ..card import Card
from ..distance import PowerDistance
from ..engine.term import PairTerm, ln
from ..hearing.magnitudes import Floor, Spectral
from ..result import Twin

CARD = Card(
    title="Itakura-Saito divergence",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean P/Q - ln(P/Q) - 1, P: power of ref, Q: of test",
    source="Itakura and Saito 1968; Fevotte et al. 2009, eq. 4",
    conventions="This is the mean over bins, with the reference in the numerator. Some programs sum over bins, some "
    "exchange the two signals.",
    silence="Defined through the floor: 0 when both are silent; a silent test can score 1e10 and more.",
    caveat="Explodes where the test is much quieter than the reference, hardly notices where it is louder; one "
    "spectral zero can decide.",
    version=2,
    symmetric=False,
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
def divergence(r: Any, t: Any) -> Any:
    q = r / t
    return (q - 1) - ln(q)


@divergence.slope
def slope(r: Any, t: Any) -> Any:
    return (t - r) / (t * t)


def distance(o: Options) -> PowerDistance:
    return PowerDistance(o.stft("zero"), divergence, floor=o.floor, float64=True)


def measure(pair: Pair, o: Options) -> Channel:
    return distance(o).measure(pair)


def twin(rate: int, o: Options) -> Twin:
    return distance(o).twin()
