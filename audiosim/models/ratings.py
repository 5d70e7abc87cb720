"""What metrics share whose networks rate a recording alone, window by window: DNSMOS, PLCMOS and their like."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import partial
from math import nan
from types import MappingProxyType
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..answer import Channel, Pair
from ..engine.cache import cached
from ..options import Options

Array = NDArray[Any]

SILENCE = "Undefined for a silent test, with drop=true for a silent reference too."  # of cards


class Ratings(NamedTuple):
    """Of one recording: each named rating in its windows [window], and where these are centred, in seconds [window].
    weights: how much the windows count in the mean of a rating [window]; all alike where it is not told."""

    windows: Mapping[str, Array]
    times: Array
    weights: Mapping[str, Array] = MappingProxyType({})

    def mean(self, name: str) -> float:
        """The named rating of the recording."""
        return float(np.average(self.windows[name], weights=self.weights.get(name)))


@dataclass(frozen=True, kw_only=True)
class Rated(Options):
    """Options of a metric that rates the test alone."""

    drop: Annotated[bool, "the rating of the reference minus that of the test"] = False

    @property
    def value_better(self) -> Literal["lower"] | None:
        return "lower" if self.drop else None


def measure(pair: Pair, o: Rated, output: str, network: Hashable, rate: Callable[[Array], Ratings]) -> Channel:
    """The mean of the named rating over the windows of the test; with drop, that of the reference minus it, window by
    window in per_time. The reference is heard for that alone.

    rate: samples [sample] -> their ratings by this network, which are kept while recordings are compared. Details: all
    ratings of the test; with drop also test and reference.
    """
    ref, test = pair.samples
    heard = {"test": test, "reference": ref} if o.drop else {"test": test}
    silent = next((name for name, x in heard.items() if not x.any()), None)
    if silent:
        return Channel(value=nan, reason=f"the {silent} is silent")
    ratings = {name: cached(x, ("ratings", network), partial(rate, x)) for name, x in heard.items()}
    means = {name: ratings["test"].mean(name) for name in ratings["test"].windows}
    value, course, times = means[output], ratings["test"].windows[output], ratings["test"].times
    if o.drop:
        before = ratings["reference"].windows[output]
        means |= {"test": value, "reference": ratings["reference"].mean(output)}
        value = means["reference"] - value
        n = min(len(before), len(course))
        course, times = before[:n] - course[:n], times[:n]
    if pair.detail == "value":
        return Channel(value=value, details=means)
    return Channel(value=value, details=means, per_time=np.asarray(course, np.float64), times=times)
