"""Error of the mean: mean(ref - test)^2 / (mean ref^2 + eps). Wright and Valimaki 2020 (arXiv 1911.08922, eq. 6)."""

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

# any distortion that leaves the mean alone
BLIND = ("delay",)

CARD = Card(
    title="DC error",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="(mean(ref - test))^2 / (mean ref^2 + eps)",
    source="Wright and Valimaki 2020, arXiv 1911.08922, eq. 6",
    conventions="eps on the mean power is 1e-8 in auraloss (default), 1e-5 in CoreAudioML, none in the paper.",
    silence="Undefined for a silent reference.",
    caveat="Sees one number, the offset; meant as a small part of a sum with esr.",
    symmetric=False,
    triangle=False,
    blind=BLIND,
    gradient="exact",
    cap="against a silent reference as against one of -90 dB re full scale (mean power)",
    profile="share",
    map="share",
)

EPS = {"auraloss": 1e-8, "coreaudioml": 1e-5, "plain": 0.0}  # added to the mean power


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

    def value(ref: Any, test: Any) -> Any:
        sums, samples = Joint(ref, test), ref.shape[-1]
        return (sums.offset / samples).square() / (heard(sums.signal, samples) / samples + EPS[o.convention])

    return value


def _channel(r: Stream, t: Stream, convention: str, view: View) -> Channel:
    offset, signal = engine.moments.over(engine.moments.offset, 2, r, t, jobs=view.jobs) / r.length
    if signal == 0:
        return waveform(r, t, nan, view, reason="the reference is silent")
    return waveform(r, t, offset**2 / (signal + EPS[convention]), view)
