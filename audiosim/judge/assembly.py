"""Rows made of answers: of one metric's result, and of a pair with its verdict, diagnosis and contradictions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

from .. import __version__
from .contradiction import contradictions
from .reading import of_value
from .rows import SCHEMA, Row

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis
    from ..result import Result
    from .verdict import Verdict


def reason(result: Result) -> str | None:
    """Why the value is none, infinite, or says nothing; of an infinite one with its sign, which JSON does not know."""
    sign = "+inf" if result.value == inf else "-inf"
    if result.status != "infinite" or (result.reason or "").startswith(sign):
        return result.reason
    return f"{sign}: {result.reason}" if result.reason else sign


def result_row(spec: str, result: Result, listener: Row | None = None) -> dict[str, Any]:
    """One metric's result as plain data, with nan and inf as they are. listener: the policy's."""
    from .. import metrics

    parsed = metrics.parse(spec, listener)
    metric = metrics.get(parsed.name)
    defaults = {o.name: o.default for o in metric.options.values()}
    read = of_value(parsed.name, float(result.value), parsed.options, result.reason)
    return {
        "metric": parsed.name,
        "metric_version": metric.version,
        "spec": spec,
        "options": {**defaults, **parsed.options},
        "value": float(result.value),
        "per_channel": _list(result.per_channel),
        "infinite_channels": _infinite(result.per_channel),
        "details": {k: float(v) for k, v in result.details.items()},
        "unit": result.unit,
        "better": result.better,
        "status": result.status,
        "reason": reason(result),
        "reading": None if read is None else read.text,
        "domain": result.domain,
        "domain_p": None if result.domain is None else result.domain_p,
        "per_band": _list(result.per_band),
        "bands": _list(result.bands),
        "edges": _list(result.edges),
        "per_time": _list(result.per_time),
        "times": _list(result.times),
        "map": _list(result.map),
    }


def pair_row(
    reference: str,
    test: str,
    results: Mapping[str, Result],
    gates: Sequence[Row] = (),
    *,
    rate: int | None = None,
    channels: int | None = None,
    duration_s: float | None = None,
    match: Row | None = None,
    verdict: Verdict | None = None,
    diagnosis: Diagnosis | None = None,
) -> dict[str, Any]:
    """One comparison. rate, channels and duration are those in which the two were compared, None when they were not."""
    match = match or {}
    listener = {option: match[option]["value"] for option in ("level", "audiogram") if option in match}
    rows = [result_row(spec, result, listener) for spec, result in results.items()]
    return {
        "schema": SCHEMA,
        "audiosim": __version__,
        "reference": reference,
        "test": test,
        "rate": rate,
        "channels": channels,
        "duration_s": duration_s,
        "match": dict(match),
        "verdict": None if verdict is None else verdict.to_dict(),
        "diagnosis": None if diagnosis is None else diagnosis.to_dict(),
        "contradictions": contradictions(rows, diagnosis) if verdict is not None else [],
        "results": rows,
        "gates": list(gates),
    }


def _infinite(per_channel: Any) -> dict[str, list[int]] | None:
    """The channels, counted from 1, whose value is infinite, for JSON, which does not know such values."""
    values = per_channel.tolist()
    signs = {sign: [i for i, v in enumerate(values, 1) if v == float(sign)] for sign in ("+inf", "-inf")}
    return {sign: at for sign, at in signs.items() if at} or None


def _list(array: Any) -> list[Any] | None:
    return None if array is None else array.tolist()
