"""Rows of a batch, made up: what the journal holds, without any sound."""

from __future__ import annotations

from math import isfinite, isnan, nan
from typing import Any

from audiosim import metrics
from audiosim.judge.rows import SCHEMA


def row(
    id: str, spec: str = "mr-stft", value: float = 0.5, system: str | None = None, status: str = "ok", **fields: Any
) -> dict[str, Any]:
    """A row as it is read from the journal: what is not finite is null there, and the status tells what it was."""
    card = metrics.get(metrics.parse(spec).name).card
    reason = None
    if status in ("undefined", "error"):
        value, reason = nan, f"made up as {status}"
    elif not isfinite(value) and not isnan(value):
        status, reason = "infinite", "+inf" if value > 0 else "-inf"
    return {
        "schema": SCHEMA,
        "audiosim": "1.0",
        "id": id,
        "group": None,
        "system": system,
        "columns": {},
        "rating": None,
        "higher_is_better": None,
        "start": None,
        "duration": None,
        "reference": f"ref/{id}",
        "test": f"{system or 'test'}/{id}",
        "rate": 16000,
        "channels": 1,
        "duration_s": 1.0,
        "match": {},
        "metric": metrics.parse(spec).name,
        "metric_version": card.version,
        "spec": spec,
        "options": {},
        "value": value if isfinite(value) else None,
        "per_channel": [value if isfinite(value) else None],
        "details": {},
        "unit": card.unit,
        "better": card.better,
        "status": status,
        "reason": reason,
        "per_band": None,
        "bands": None,
        "edges": None,
        "per_time": None,
        "times": None,
        "map": None,
        "gates": [],
        "worst_s": None,
        "key": "00",
        **fields,
    }
