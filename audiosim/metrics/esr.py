"""Error-to-signal ratio: sum (ref - test)^2 / (sum ref^2 + eps). Wright and Valimaki 2020 (arXiv 1911.08922, eq. 4),
where it is taken after pre-emphasis: esr:weighting=hp.

auraloss pads the signals before its hp and fd filters. That changes nothing here: the whole response counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import nan
from typing import Annotated, Any, Literal

from .. import engine
from ..answer import Channel, Pair, waveforms
from ..card import Card
from ..models.energy_ratio import Pooled
from ..result import Twin

CARD = Card(
    title="Error-to-signal ratio",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sum (ref - test)^2 / (sum ref^2 + eps), sums over all channels",
    source="Wright and Valimaki 2020, arXiv 1911.08922, eq. 4",
    conventions="auraloss (default) adds eps = 1e-8 to the energy, CoreAudioML (convention=coreaudioml) 1e-5 to the "
    "mean power, the paper (convention=plain) nothing. Channels: energies are added; auraloss takes the mean of the "
    "channels' values (channels=mean).",
    silence="Undefined for a silent reference; 1 for a silent test. Of several channels, one that is silent in both "
    "adds nothing, and one that is silent in the reference alone counts as error.",
    caveat="Sensitive to delay and polarity; a silent estimate scores 1, a wrong one more.",
    version=3,
    pooling="energy",
    joint_channels=True,
    symmetric=False,
    gradient="exact",
    steepest=250.0,
    ratio=True,
    cap="against a silent reference as against one of -90 dB re full scale (mean power)",
    profile="local",
    map="sum",
)

# added to the energy: a constant, and one per sample
EPS = {"auraloss": (1e-8, 0.0), "coreaudioml": (0.0, 1e-5), "plain": (0.0, 0.0)}


@dataclass(frozen=True, kw_only=True)
class Options(Pooled):
    convention: Annotated[Literal["auraloss", "coreaudioml", "plain"], "what guards against silence"] = "auraloss"


def measure(pairs: list[Pair], o: Options) -> Channel:
    eps, per_sample = EPS[o.convention]

    def energies(pair: Pair) -> Any:
        squares = engine.moments.squares
        return engine.moments.over(squares, 2, pair.ref, pair.test, 0.0, 0.0, 1.0, threads=pair.threads)

    def finish(e: Any, samples: Any) -> Any:
        return e[..., 2] / (e[..., 0] + eps + per_sample * samples)

    def concluded(pairs: Any, channels: Any) -> Channel:
        signal, error = sum(channels)
        if signal == 0:
            return waveforms(pairs, nan, reason="the reference is silent")
        whole = signal + eps + per_sample * (pairs[0].ref.length * len(pairs))
        return waveforms(pairs, error / whole, finish, scale=whole)

    return o.answered(pairs, energies, concluded)


def twin(rate: int, o: Options) -> Twin:
    from ..engine.tensors import Joint, heard, over_channels

    eps, per_sample = EPS[o.convention]

    def formula(ref: Any, test: Any, channels: int) -> Any:
        sums, samples = Joint(ref, test), ref.shape[-1] * channels
        signal, noise = (over_channels(x, channels) for x in (sums.signal, sums.noise))
        return noise / (heard(signal, samples) + eps + per_sample * samples)

    return o.twin(formula)
