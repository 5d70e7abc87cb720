"""Log-likelihood ratio: what the linear predictor of the test leaves of the reference, over what the reference's own
leaves. Itakura 1975; Quackenbush, Barnwell and Clements 1988; Hu and Loizou 2008, eq. 1; as pysepm's llr."""

from __future__ import annotations

from math import inf, nan
from typing import TYPE_CHECKING, Annotated, Any, Literal

from .. import dsp
from ..answer import Channel, Detail, View, pool
from ..card import Card
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..models.loizou.envelopes import EPS, WORST, Envelopes, Frame, Keep, Limit, Order, Overlap
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Log-likelihood ratio",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean of the lowest 95 % of frames of min(2, ln(a(test) R(ref) a(test) / a(ref) R(ref) a(ref))), a: linear "
    "predictor, R: autocorrelation matrix",
    source="Itakura 1975; Hu and Loizou 2008, eq. 1; Loizou 2013, section 11.1; pysepm at 7ef88af, llr",
    conventions="Frames of 30 ms, three quarters overlapping, the last left out; order 16, 10 below 10 kHz. Inside "
    "Loizou's composite measures nothing is clipped: limit=0. pysepm adds 2.2e-16 to all samples, by which frames of "
    "digital silence score what rounding makes of them, often 2; convention=pysepm does so too. Here they count as "
    "white noise of -200 dB.",
    silence="Defined: silence has a flat spectrum; 0 when both are silent.",
    caveat="Hears the envelope alone: neither level nor pitch nor phase; a steep spectrum runs into the limit.",
    minimum="two frames: 37.5 ms by default",
    symmetric=False,
    triangle=False,
    blind=("polarity", "gain"),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sum",
)

Convention = Annotated[Literal["guarded", "pysepm"], "silent frames are flat, or what rounding makes of them"]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    convention: Convention = "guarded",
    order: Order = 0,
    frame: Frame = 0.03,
    overlap: Overlap = 0.75,
    limit: Limit = 2.0,
    keep: Keep = 0.95,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    envelopes = Envelopes.of(rate, order, frame, overlap, limit, keep)
    return pool(
        [
            _channel(r, t, envelopes, convention == "pysepm", view)
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text."""
    import torch

    envelopes = Envelopes.of(rate, o.order, o.frame, o.overlap, o.limit, o.keep)
    as_pysepm = o.convention == "pysepm"
    predict = envelopes.differentiable(offset=EPS if as_pysepm else 0.0, guarded=not as_pysepm)
    errors = dsp.linear_prediction.prediction_errors_torch

    def value(ref: Any, test: Any) -> Any:
        (a, r), (b, _) = predict(ref), predict(test)
        left, own = errors(b, r), errors(a, r)
        some = (left > 0) & (own > 0)
        ratio = torch.where(some, left, WORST) / torch.where(some, own, 1.0)
        return envelopes.mean_torch(ratio.log().clamp(min=-inf if as_pysepm else 0.0))

    return value


def _channel(r: Stream, t: Stream, envelopes: Envelopes, as_pysepm: bool, view: View) -> Channel:
    if envelopes.count(r.length) < 1:
        return Channel(value=nan, reason=envelopes.too_short(r.length))
    return envelopes.channel(*envelopes.log_likelihood_ratios(r, t, as_pysepm, view.jobs), view)
