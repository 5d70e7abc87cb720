"""Root mean squared error: sqrt(mean (test - ref)^2). Textbook."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .. import engine
from ..answer import Channel, Detail, View, pool, waveform
from ..card import Card
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Root mean squared error",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="sqrt(mean (test - ref)^2)",
    source="textbook definition",
    conventions="Nothing differs between programs.",
    silence="Defined: the rms of whichever signal is not silent, 0 when both are.",
    caveat="Deaf to what people hear, as mse; in the unit of the samples.",
    symmetric=True,
    triangle=True,
    gradient="exact",
    profile="local",
    map="sqrt",
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
    from ..engine.tensors import Joint, root

    return lambda ref, test: root(Joint(ref, test).noise / ref.shape[-1])


def _channel(r: Stream, t: Stream, view: View) -> Channel:
    error = engine.moments.over(engine.moments.error, 1, r, t, jobs=view.jobs)[0]
    value = float(np.sqrt(error / r.length))
    return waveform(r, t, value, view, lambda e, samples: np.sqrt(e[..., 2] / samples), scale=r.length)
