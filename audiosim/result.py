"""Result: what one metric answers about one pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Torch implementation of a metric: (ref, test) [item, sample], weighted -> value [item]; where the card says
# joint_channels, [batch, channel, sample] -> [batch, channel].
Twin = Callable[[Any, Any], Any]
Status = Literal["ok", "undefined", "infinite", "error"]
IDENTICAL = "identical recordings"  # the reason of a value that depends on the signal even when the two are identical


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """One metric's answer.

    value: one number, channels pooled as the card says; nan when status is undefined or error, +-inf when infinite.
    per_channel: [channel], same unit (after mid-side: [sum, difference]); nan where a channel has no value of its own.
    per_band: [band], heard through that band alone; per_time: [frame], heard during that frame alone
        (or shares of the error energy where the card's profile says "share"); nan where it has no value there.
    bands: [band] centre in Hz; edges: [band + 1] in Hz; times: [frame] centre in seconds.
    map: [frame, band] contributions >= 0; the card's `map` says what they sum to.
    added: [frame, band], what of the map is sound that only the test has, the rest being what only the reference has;
        None where the metric does not tell them apart.
    details: named parts.
    reason: why the value is nan or infinite; of a pair, also that the recordings are identical (IDENTICAL), where the
        value depends on the signal even then: it says nothing about a difference.
    unit, better: of the value, where an option asked for something else than the card says.
    """

    value: float
    per_channel: Array
    per_band: Array | None = None
    per_time: Array | None = None
    bands: Array | None = None
    edges: Array | None = None
    times: Array | None = None
    map: Array | None = None
    added: Array | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    status: Status = "ok"
    reason: str | None = None
    unit: str | None = None
    better: Literal["lower", "higher"] | None = None


def undefined(reason: str, channels: int) -> Result:
    """No number exists, and why."""
    return Result(value=nan, per_channel=np.full(channels, nan), status="undefined", reason=reason)


def failed(reason: str, channels: int) -> Result:
    """The metric broke on valid input."""
    return Result(value=nan, per_channel=np.full(channels, nan), status="error", reason=reason)
