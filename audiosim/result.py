"""Result: what one metric answers about one pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Torch implementation of a metric: (ref, test) [item, sample], weighted -> value [item]; where the card says
# joint_channels, [batch, channel, sample] -> [batch, channel].
Twin = Callable[[Any, Any], Any]
Status = Literal["ok", "undefined", "infinite", "error"]
Better = Literal["lower", "higher"]
Domain = Literal["ok", "unfamiliar", "foreign"]
IDENTICAL = "identical recordings"  # the reason of a value that depends on the signal even when the two are identical


class Scale(NamedTuple):
    """What values are measured in ("1" for pure numbers), and which of them are better."""

    unit: str
    better: Better


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
    domain: whether the pair is like those on which the metric was judged or tuned, which its card names. "unfamiliar":
        fewer than one in 20 of them lie as far out (domain_p < 0.05). "foreign": none lies half as far out, or a rule
        of rate, length, level or silence is broken. Then nothing vouches for the value, which may be right even so.
        None where the metric has no domain, or none under its options.
    domain_p: the share of them that lie as far out, above 0 and at most 1; nan where domain is None.
    unit, better: of the value under the metric's options, whether there is one or not; unit is "1" for a pure number.
    """

    value: float
    per_channel: Array
    unit: str
    better: Better
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
    domain: Domain | None = None
    domain_p: float = nan


def undefined(reason: str, channels: int, scale: Scale) -> Result:
    """No number exists, and why. scale: of the metric that was asked (Metric.scale)."""
    return _numberless("undefined", reason, channels, scale)


def failed(reason: str, channels: int, scale: Scale) -> Result:
    """The metric broke on valid input."""
    return _numberless("error", reason, channels, scale)


def _numberless(status: Status, reason: str, channels: int, scale: Scale) -> Result:
    return Result(
        value=nan,
        per_channel=np.full(channels, nan),
        unit=scale.unit,
        better=scale.better,
        status=status,
        reason=reason,
    )
