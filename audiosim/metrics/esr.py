"""Error-to-signal ratio: sum (ref - test)^2 / (sum ref^2 + eps). Wright and Valimaki 2020 (arXiv 1911.08922, eq. 4),
where it is taken after pre-emphasis: esr:weighting=hp."""

from __future__ import annotations

from math import nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

from .. import engine
from ..answer import Channel, Detail, View, pool, waveform
from ..card import Card
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Error-to-signal ratio",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sum (ref - test)^2 / (sum ref^2 + eps)",
    source="Wright and Valimaki 2020, arXiv 1911.08922, eq. 4",
    conventions="eps is 1e-8 on the energy in auraloss (default), 1e-5 on the mean power in CoreAudioML "
    "(convention=coreaudioml), none in the paper (convention=plain). auraloss pads its hp and fd filters, "
    "which changes nothing here: the whole response counts.",
    silence="Undefined for a silent reference; 1 for a silent test.",
    caveat="Sensitive to delay and polarity; a silent estimate scores 1, a wrong one more.",
    symmetric=False,
    triangle=False,
    gradient="exact",
    cap="against a silent reference as against one of -90 dB re full scale (mean power)",
    profile="local",
    map="sum",
)

# added to the energy: a constant, and one per sample
EPS = {"auraloss": (1e-8, 0.0), "coreaudioml": (0.0, 1e-5), "plain": (0.0, 0.0)}


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    convention: Annotated[Literal["auraloss", "coreaudioml", "plain"], "what guards against silence"] = "auraloss",
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    return pool([_channel(r, t, convention, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)])


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..engine.tensors import Joint, heard

    eps, per_sample = EPS[o.convention]

    def value(ref: Any, test: Any) -> Any:
        sums, samples = Joint(ref, test), ref.shape[-1]
        return sums.noise / (heard(sums.signal, samples) + eps + per_sample * samples)

    return value


def _channel(r: Stream, t: Stream, convention: str, view: View) -> Channel:
    signal, error = engine.moments.over(engine.moments.squares, 2, r, t, 0.0, 0.0, 1.0, jobs=view.jobs)
    if signal == 0:
        return waveform(r, t, nan, view, reason="the reference is silent")
    eps, per_sample = EPS[convention]

    def finish(e: Any, samples: Any) -> Any:
        return e[..., 2] / (e[..., 0] + eps + per_sample * samples)

    whole = signal + eps + per_sample * r.length
    return waveform(r, t, error / whole, view, finish, scale=whole)
