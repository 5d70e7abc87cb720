"""Log-likelihood ratio: what the linear predictor of the test leaves of the reference, over what the reference's own
leaves. Itakura 1975; Quackenbush, Barnwell and Clements 1988; Hu and Loizou 2008, eq. 1; as pysepm's llr.

Frames last 30 ms, overlap by three quarters, and the last is left out. The order of the predictor is 16, or 10 below
10 kHz.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, nan
from typing import Annotated, Any, Literal

from .. import dsp
from ..answer import Channel, Pair
from ..card import Card
from ..models.loizou.envelopes import WORST, AllPole, Envelopes, Limit
from ..models.loizou.segments import EPS
from ..result import Twin

CARD = Card(
    title="Log-likelihood ratio",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean of the lowest 95 % of frames of min(2, ln(a(test) R(ref) a(test) / a(ref) R(ref) a(ref))), a: linear "
    "predictor, R: autocorrelation matrix",
    source="Itakura 1975; Hu and Loizou 2008, eq. 1; Loizou 2013, section 11.1; pysepm at 7ef88af, llr",
    conventions="Inside Loizou's composite measures nothing is clipped: limit=0. pysepm adds 2.2e-16 to all samples, "
    "so that frames of digital silence score what rounding makes of them, often 2: convention=pysepm does so too. Here "
    "they count as white noise of -200 dB.",
    silence="Defined: silence has a flat spectrum; 0 when both are silent.",
    caveat="Hears the envelope alone: neither level nor pitch nor phase; a steep spectrum runs into the limit."
    " Memory grows with the recordings, by at most what they take.",
    version=2,
    minimum="two frames: 37.5 ms by default",
    symmetric=False,
    insensitive_to=("polarity", "gain"),
    gradient="exact",
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)

Convention = Annotated[Literal["guarded", "pysepm"], "silent frames are flat, or what rounding makes of them"]


@dataclass(frozen=True, kw_only=True)
class Options(AllPole):
    convention: Convention = "guarded"
    limit: Limit = 2.0


def measure(pair: Pair, o: Options) -> Channel:
    envelopes, length = Envelopes.of(pair.rate, o), pair.ref.length
    if envelopes.segments.count(length) < 1:
        return Channel(value=nan, reason=envelopes.segments.too_short(length))
    found = envelopes.log_likelihood_ratios(pair.ref, pair.test, o.convention == "pysepm", pair.threads)
    return envelopes.channel(*found, pair)


def twin(rate: int, o: Options) -> Twin:
    import torch

    envelopes = Envelopes.of(rate, o)
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
