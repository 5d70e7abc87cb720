"""Error-to-signal ratio: sum (ref - test)^2 / (sum ref^2 + eps). Wright and Valimaki 2020 (arXiv 1911.08922, eq. 4),
where it is taken after pre-emphasis: esr:weighting=hp.

auraloss pads the signals before its hp and fd filters. That changes nothing here: the whole response counts.
"""

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
    title="Error-to-signal ratio",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sum (ref - test)^2 / (sum ref^2 + eps)",
    source="Wright and Valimaki 2020, arXiv 1911.08922, eq. 4",
    conventions="auraloss (default) adds eps = 1e-8 to the energy, CoreAudioML (convention=coreaudioml) 1e-5 to the "
    "mean power, the paper (convention=plain) nothing.",
    silence="Undefined for a silent reference; 1 for a silent test.",
    caveat="Sensitive to delay and polarity; a silent estimate scores 1, a wrong one more.",
    symmetric=False,
    gradient="exact",
    cap="against a silent reference as against one of -90 dB re full scale (mean power)",
    profile="local",
    map="sum",
)

# added to the energy: a constant, and one per sample
EPS = {"auraloss": (1e-8, 0.0), "coreaudioml": (0.0, 1e-5), "plain": (0.0, 0.0)}


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    convention: Annotated[Literal["auraloss", "coreaudioml", "plain"], "what guards against silence"] = "auraloss"


def measure(pair: Pair, o: Options) -> Channel:
    squares = engine.moments.squares
    signal, error = engine.moments.over(squares, 2, pair.ref, pair.test, 0.0, 0.0, 1.0, threads=pair.threads)
    if signal == 0:
        return waveform(pair, nan, reason="the reference is silent")
    eps, per_sample = EPS[o.convention]

    def finish(e: Any, samples: Any) -> Any:
        return e[..., 2] / (e[..., 0] + eps + per_sample * samples)

    whole = signal + eps + per_sample * pair.ref.length
    return waveform(pair, error / whole, finish, scale=whole)


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import Joint, heard

    eps, per_sample = EPS[o.convention]

    def value(ref: Any, test: Any) -> Any:
        sums, samples = Joint(ref, test), ref.shape[-1]
        return sums.noise / (heard(sums.signal, samples) + eps + per_sample * samples)

    return value
