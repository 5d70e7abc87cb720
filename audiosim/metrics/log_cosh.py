"""Log-cosh error: mean ln(cosh(a (test - ref)) + eps) / a. Chen et al. 2019, "Log hyperbolic cosine loss improves
variational auto-encoder"; as auraloss.time.LogCoshLoss, in a form that neither overflows nor loses the digits of
small errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from .. import engine
from ..answer import Channel, Detail, View, pool, waveform
from ..card import Card
from ..errors import UsageError
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..engine.stream import Stream

CARD = Card(
    title="Log-cosh error",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean ln(cosh(a (test - ref)) + eps) / a",
    source="Chen et al. 2019; auraloss 0.4.0 LogCoshLoss",
    conventions="auraloss adds eps=1e-8, which its usual float32 arithmetic rounds away; give eps=1e-8 for its float64 "
    "number. There float32 loses up to 1e-3 of small values and overflows beyond a |error| = 88; here neither happens.",
    silence="Defined: as against zeros; 0 when both are silent.",
    caveat="With a=1 and audio below full scale it is half the mse; of use for a >= 10, where large errors count "
    "linearly.",
    symmetric=True,
    triangle=False,
    gradient="exact",
    profile="share",
    map="share",
)

LINEAR = 80.0  # beyond, ln cosh u is u - ln 2 to the last digit; here the cosh still fits float32


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    a: Annotated[float, "slope: errors above 1/a count linearly, above 0"] = 1.0,
    eps: Annotated[float, "added to the cosh, 0 or more"] = 0.0,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    return pool([_channel(r, t, a, eps, view) for r, t in streams(ref, test, rate, weighting, coef, mid_side)])


def twin(rate: int, o: Any) -> Twin:
    """The same on tensors."""
    from ..engine.tensors import mean_of_errors

    _check(o.a, o.eps)

    def text(error: Any) -> Any:
        u = (o.a * error).abs()
        bounded = u.clamp(max=LINEAR)
        # cosh u - 1 = 2 sinh(u / 2)^2 keeps the digits of small errors
        return (2 * (bounded / 2).sinh().square() + o.eps).log1p() + (u - bounded)

    mean = mean_of_errors(text, "log_cosh", o.a, o.eps)
    return lambda ref, test: mean(ref, test) / o.a


def _check(a: float, eps: float) -> None:
    if a <= 0 or eps < 0:
        raise UsageError(f"log-cosh needs a > 0 and eps >= 0, not a={a:g}, eps={eps:g}")


def _channel(r: Stream, t: Stream, a: float, eps: float, view: View) -> Channel:
    _check(a, eps)
    total = engine.moments.over(engine.moments.log_cosh, 1, r, t, a, eps, jobs=view.jobs)[0]
    return waveform(r, t, total / r.length / a, view)
