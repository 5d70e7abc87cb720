"""Error of the mean: mean(ref - test)^2 / (mean ref^2 + eps). Wright and Valimaki 2020 (arXiv 1911.08922, eq. 6)."""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Annotated, Any, Literal

from .. import engine
from ..answer import Channel, Pair, waveform
from ..card import Card
from ..hearing.weighting import Weighted
from ..result import Twin

CARD = Card(
    title="DC error",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="(mean(ref - test))^2 / (mean ref^2 + eps)",
    source="Wright and Valimaki 2020, arXiv 1911.08922, eq. 6",
    conventions="auraloss (default) adds eps = 1e-8 to the mean power, CoreAudioML (convention=coreaudioml) 1e-5, the "
    "paper (convention=plain) nothing.",
    silence="Undefined for a silent reference.",
    caveat="Sees nothing but the offset; meant as a small part of a sum with esr.",
    version=2,
    symmetric=False,
    insensitive_to=("delay",),  # any distortion that leaves the mean alone
    gradient="exact",
    ratio=True,
    cap="against a silent reference as against one of -90 dB re full scale (mean power)",
    profile="share",
    map="share",
)

EPS = {"auraloss": 1e-8, "coreaudioml": 1e-5, "plain": 0.0}  # added to the mean power


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    convention: Annotated[Literal["auraloss", "coreaudioml", "plain"], "what guards against silence"] = "auraloss"


def measure(pair: Pair, o: Options) -> Channel:
    sums = engine.moments.over(engine.moments.offset, 2, pair.ref, pair.test, threads=pair.threads)
    offset, signal = sums / pair.ref.length
    if signal == 0:
        return waveform(pair, nan, reason="the reference is silent")
    return waveform(pair, offset**2 / (signal + EPS[o.convention]))


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import Joint, heard

    def value(ref: Any, test: Any) -> Any:
        sums, samples = Joint(ref, test), ref.shape[-1]
        return (sums.offset / samples).square() / (heard(sums.signal, samples) / samples + EPS[o.convention])

    return value
