"""Mean absolute error: mean |test - ref|. Textbook; as torch.nn.functional.l1_loss."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .. import engine
from ..answer import Channel, Detail, View, pool, waveform
from ..card import Card
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Mean absolute error",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean |test - ref|",
    source="textbook definition",
    conventions="Nothing differs between programs.",
    silence="Defined: the mean magnitude of whichever signal is not silent, 0 when both are.",
    caveat="Deaf to what people hear, as mse; its gradient does not fade as the error shrinks.",
    symmetric=True,
    triangle=True,
    gradient="exact",
    profile="share",
    map="share",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    return pool([_channel(r, t, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)])


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..engine.tensors import mean_of_errors

    return mean_of_errors(lambda error: error.abs(), "absolute")


def _channel(r: Stream, t: Stream, view: View) -> Channel:
    total = engine.moments.over(engine.moments.absolute, 1, r, t, jobs=view.jobs)[0]
    return waveform(r, t, total / r.length, view)
