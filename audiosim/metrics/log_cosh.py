"""Log-cosh error: mean ln(cosh(a (test - ref)) + eps) / a. Chen et al. 2019, "Log hyperbolic cosine loss improves
variational auto-encoder"; as auraloss.time.LogCoshLoss.

It is computed in a form that neither overflows nor loses the digits of small errors. auraloss's usual float32
arithmetic loses up to 1e-3 of small values, and overflows where |a (test - ref)| exceeds 88.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from .. import engine
from ..answer import Channel, Pair
from ..card import Card
from ..distance import ErrorKernels, MeanError
from ..hearing.weighting import Weighted
from ..options import ABOVE_ZERO, AT_LEAST_ZERO
from ..result import Twin

CARD = Card(
    title="Log-cosh error",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean ln(cosh(a (test - ref)) + eps) / a",
    source="Chen et al. 2019; auraloss 0.4.0 LogCoshLoss",
    conventions="auraloss adds eps=1e-8, which its usual float32 arithmetic rounds away. For its float64 value, set "
    "eps=1e-8.",
    silence="Defined: as against zeros; 0 when both are silent.",
    caveat="With a=1 and audio below full scale it is half the mse. It is of use for a >= 10, where large errors count "
    "linearly.",
    version=2,
    symmetric=True,
    gradient="exact",
    profile="share",
    map="share",
)

LINEAR = 80.0  # beyond, ln cosh u is u - ln 2 to the last digit; here the cosh still fits float32


@dataclass(frozen=True, kw_only=True)
class Options(Weighted):
    a: Annotated[float, ABOVE_ZERO, "slope: errors above 1/a count linearly"] = 1.0
    eps: Annotated[float, AT_LEAST_ZERO, "added to the cosh"] = 0.0


def tensors(error: Any, a: float, eps: float) -> Any:
    u = (a * error).abs()
    bounded = u.clamp(max=LINEAR)
    # cosh u - 1 = 2 sinh(u / 2)^2 keeps the digits of small errors
    return (2 * (bounded / 2).sinh().square() + eps).log1p() + (u - bounded)


def distance(o: Options) -> MeanError:
    kernels = ErrorKernels(engine.moments.log_cosh, engine.moments.log_cosh_slope, tensors)
    return MeanError(kernels, (o.a, o.eps), scale=1 / o.a)


def measure(pair: Pair, o: Options) -> Channel:
    return distance(o).measure(pair)


def twin(rate: int, o: Options) -> Twin:
    return distance(o).twin()
