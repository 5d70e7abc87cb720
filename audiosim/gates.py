"""Gates: what must hold of a comparison, such as ``si-sdr>=20`` or, in one band, ``si-sdr@4000-8000>=10``."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from typing import Any

from . import metrics as catalogue
from .comparison import Comparison, compare_signals
from .errors import UsageError
from .match import Policy
from .result import Result

_COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# A spec may hold "=" itself, so the operator is the last one that stands before a number.
_GATE = re.compile(r"(?P<spec>.*?)(?:@(?P<band>[^@<>=]*))?\s*(?P<operator><=|>=|<|>)\s*(?P<limit>[^<>=]*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Gate:
    """A requirement as the user wrote it: the metric of `spec`, in `band` (Hz) or as a whole, against `limit`."""

    text: str
    spec: str
    operator: str
    limit: float
    band: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a gate fared. missed_by: distance to the limit, >= 0, in the metric's unit; nan when there is no number."""

    gate: Gate
    value: float
    passed: bool
    missed_by: float
    reason: str | None = None


def parse(text: str) -> Gate:
    """The gate; UsageError for a malformed one, an unknown metric or option, or a band of a metric without any."""
    found = _GATE.fullmatch(text.strip())
    if not found or not found["spec"].strip() or found["spec"].rstrip()[-1] in "=!":
        raise UsageError(
            f"the gate {text!r} is not METRIC OPERATOR NUMBER with one of < <= > >=, such as 'si-sdr>=20' "
            "or 'si-sdr@4000-8000>=10'"
        )
    try:
        limit = float(found["limit"])
    except ValueError:
        limit = nan
    if isnan(limit):
        raise UsageError(f"the gate {text!r} compares with {found['limit']!r}, which is not a number")
    spec = catalogue.parse(found["spec"].strip())
    band = None
    if found["band"] is not None:
        band = _band(found["band"], text)
        if catalogue.get(spec.name).CARD.profile == "share":
            raise UsageError(
                f"the gate {text!r}: {spec.name} has no value of its own in a band, only a share of the error energy; "
                "gate its whole value, or another metric"
            )
    return Gate(text, spec.text, found["operator"], limit, band)


def specs(gates: Sequence[Gate]) -> list[str]:
    """The metrics to compute for these gates, beside those asked for."""
    return list(dict.fromkeys(g.spec for g in gates if g.band is None))


def judge(gates: Sequence[Gate], comparison: Comparison, policy: Policy, jobs: int | None = None) -> list[Verdict]:
    """A verdict per gate. Gates of a band ask their metric once more, about that band alone.

    Raises UsageError for a band that leaves 0 Hz to half the sampling rate.
    """
    verdicts = []
    for gate in gates:
        if gate.band is None:
            verdicts.append(verdict(gate, comparison.results[gate.spec]))
            continue
        card = catalogue.get(catalogue.parse(gate.spec).name).CARD
        rate = card.rate or comparison.ref.rate
        if gate.band[1] > rate / 2:
            raise UsageError(
                f"the gate {gate.text!r} leaves the band of a {rate} Hz signal, which ends at {rate / 2:g} Hz"
            )
        answer = compare_signals(
            comparison.ref,
            comparison.test,
            [gate.spec],
            Policy(length=policy.length, **policy.listener),  # the two have been matched already
            detail="profile",
            band_edges=list(gate.band),
            jobs=jobs,
        ).results[gate.spec]
        verdicts.append(verdict(gate, answer))
    return verdicts


def verdict(gate: Gate, result: Result) -> Verdict:
    """Whether the result passes; what is undefined or broken never does, and infinity compares as infinity."""
    value = result.value
    if gate.band is not None and result.status in ("ok", "infinite"):
        value = float(result.per_band[0]) if result.per_band is not None and len(result.per_band) else nan
    if isnan(value):
        return Verdict(
            gate,
            nan,
            False,
            nan,
            f"{result.status if result.reason else 'undefined'}: {result.reason or 'it has no value in this band'}",
        )
    passed = _COMPARE[gate.operator](value, gate.limit)
    missed = 0.0 if passed else abs(value - gate.limit) if isfinite(value) and isfinite(gate.limit) else inf
    return Verdict(gate, value, passed, missed, result.reason if not isfinite(value) else None)


def unanswered(gates: Sequence[Gate], problem: str) -> list[Verdict]:
    """The verdicts on recordings that could not be compared."""
    return [Verdict(gate, nan, False, nan, f"error: {problem}") for gate in gates]


def row(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain data."""
    return {
        "require": verdict.gate.text,
        "spec": verdict.gate.spec,
        "value": verdict.value,
        "passed": verdict.passed,
        "missed_by": verdict.missed_by,
        "reason": verdict.reason,
    }


def _band(text: str, gate: str) -> tuple[float, float]:
    found = re.fullmatch(r"\s*([0-9.]+)\s*-\s*([0-9.]+)\s*", text)
    try:
        low, high = (float(x) for x in found.groups()) if found else (1.0, 0.0)
    except ValueError:
        low, high = 1.0, 0.0
    if not low < high:
        raise UsageError(f"the gate {gate!r}: the band {text!r} is not LOW-HIGH in Hz, such as 4000-8000")
    return low, high
