"""Mean squared error: mean (test - ref)^2. Textbook; as torch.nn.functional.mse_loss."""

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
    title="Mean squared error",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean (test - ref)^2",
    source="textbook definition",
    conventions="Nothing differs between programs.",
    silence="Defined: the power of whichever signal is not silent, 0 when both are.",
    caveat="Deaf to what people hear: a one-sample delay or a flipped polarity outweighs loud noise. Use it to check "
    "that two files are the same, not that they sound the same.",
    symmetric=True,
    triangle=False,
    gradient="exact",
    profile="local",
    map="sum",
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
    from ..engine.tensors import Joint

    return lambda ref, test: Joint(ref, test).noise / ref.shape[-1]


def _channel(r: Stream, t: Stream, view: View) -> Channel:
    error = engine.moments.over(engine.moments.error, 1, r, t, jobs=view.jobs)[0]
    return waveform(r, t, error / r.length, view, lambda e, samples: e[..., 2] / samples, scale=r.length)
