"""Mean absolute error: mean |test - ref|. Textbook; as torch.nn.functional.l1_loss."""

from __future__ import annotations

from typing import Any

from ..answer import Channel, Pair
from ..card import Card
from ..distance import MeanError
from ..engine.term import ErrorTerm, absolute
from ..hearing.weighting import Weighted
from ..result import Twin

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
    version=2,
    symmetric=True,
    triangle=True,
    gradient="exact",
    profile="share",
    map="share",
)


Options = Weighted


@ErrorTerm
def absolute_error(e: Any) -> Any:
    return absolute(e)


def measure(pair: Pair, o: Options) -> Channel:
    return MeanError(absolute_error).measure(pair)


def twin(rate: int, o: Options) -> Twin:
    return MeanError(absolute_error).twin()
