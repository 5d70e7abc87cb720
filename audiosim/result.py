"""Result: what one metric answers about one pair."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite, nan
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
# Torch text of a metric: (ref, test) [item, sample], weighted -> value [item]; where the card says that channels go
# together, [batch, channel, sample] -> [batch, channel].
Twin = Callable[[Any, Any], Any]
Status = Literal["ok", "undefined", "infinite", "error"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Result:
    """One metric's answer.

    value: one number, channels pooled as the card says; nan when status is undefined or error, +-inf when infinite.
    per_channel: [channel], same unit (after mid-side: [sum, difference]).
    per_band: [band], heard through that band alone; per_time: [frame], heard during that frame alone
        (or shares of the error energy where the card's profile says "share"); nan where it has no value there.
    bands: [band] centre in Hz; edges: [band + 1] in Hz; times: [frame] centre in seconds.
    map: [frame, band] contributions >= 0; the card's `map` says what they sum to.
    added: [frame, band], what of the map is sound that only the test has, the rest being what only the reference has;
        None where the metric does not tell them apart.
    details: named parts.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A metric's answer about one channel, before pooling. Fields as in Result."""

    value: float
    per_band: Array | None = None
    per_time: Array | None = None
    bands: Array | None = None
    edges: Array | None = None
    times: Array | None = None
    map: Array | None = None
    added: Array | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None  # why the value is nan or infinite


def pool(channels: list[Channel], details: Mapping[str, float] | None = None) -> Result:
    """Mean over channels of values, profiles, maps and details, with the status that follows from the values."""
    values = np.array([c.value for c in channels], dtype=np.float64)
    with np.errstate(invalid="ignore"):  # +inf and -inf have no mean
        value = float(values.mean())
    reasons = [f"channel {i}: {c.reason}" for i, c in enumerate(channels, 1) if c.reason]
    if len({c.reason for c in channels}) == 1 and channels[0].reason:  # the same for all
        reasons = [channels[0].reason]
    status: Status = "ok" if isfinite(value) else "undefined" if value != value else "infinite"

    def mean(name: str) -> Array | None:
        arrays = [getattr(c, name) for c in channels]
        if arrays[0] is None:
            return None
        result: Array = np.mean(arrays, axis=0) if len(arrays) > 1 else arrays[0]
        return result

    first = channels[0]
    return Result(
        value=value,
        per_channel=values,
        per_band=mean("per_band"),
        per_time=mean("per_time"),
        bands=first.bands,
        edges=first.edges,
        times=first.times,
        map=mean("map"),
        added=mean("added"),
        details=details or {name: float(np.mean([c.details[name] for c in channels])) for name in first.details},
        status=status,
        reason=None if status == "ok" else "; ".join(reasons) or "no finite number",
    )
