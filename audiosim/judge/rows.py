"""Answers as plain data: the row that every output is made of. Nothing here is cut or rounded; JSON is strict."""

from __future__ import annotations

import gc
import json
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from math import inf, isfinite, nan
from typing import Any

Row = Mapping[str, Any]
VERDICT = "verdict"  # the spec of gates on the verdict
SCHEMA = 1  # of a row; raised when a reader of older rows would misunderstand it


@contextmanager
def uncollected() -> Iterator[None]:
    """Read many rows without looking for garbage: they hold no cycles, and to look through them takes twice as long as
    to read them."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


class Held:
    """Rows in memory, to be gone through several times. What they share, such as their keys and names, is held once."""

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self._once: dict[Any, Any] = {}
        with uncollected():
            self._rows = [self.packed(row) for row in rows]

    def __iter__(self) -> Iterator[Row]:
        return (dict(zip(keys, values, strict=True)) for keys, values in self._rows)

    def packed(self, row: Row) -> tuple[tuple[str, ...], list[Any]]:
        """The row as its keys and its values."""
        keys, once = tuple(row), self._once
        values = [once.setdefault(value, value) if type(value) is str else value for value in row.values()]
        return once.setdefault(keys, keys), values

    def extend(self, packed: Iterable[tuple[tuple[str, ...], list[Any]]]) -> None:
        """Take in rows that it packed."""
        self._rows += packed


def things(references: Iterable[str]) -> str:
    """What so many comparisons are of: pairs, or recordings where none has a reference."""
    known = list(references)
    return "recordings" if known and not any(known) else "pairs"


def flat(pairs: Sequence[Row]) -> list[dict[str, Any]]:
    """One row a metric: the pair's keys, then the metric's; gates are those on that metric, of the first also those on
    the verdict."""
    rows = []
    for pair in pairs:
        shared = {k: v for k, v in pair.items() if k not in ("results", "gates")}
        for i, result in enumerate(pair["results"]):
            own = [g for g in pair["gates"] if g["spec"] == result["spec"] or (g["spec"] == VERDICT and i == 0)]
            rows.append({**shared, **result, "gates": own})
    return rows


def composed(name: str) -> str:
    """The name in the one Unicode form in which names are compared (NFC): an accent may be part of its letter, as Linux
    and git write it, or a character of its own, as archives from macOS have it."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def number(row: Row) -> float:
    """The row's value; one read from JSON, which knows no infinity, says by its status and reason which it was."""
    value = row["value"]
    if value is not None:
        return float(value)
    if row["status"] != "infinite":
        return nan
    reason = row["reason"] or ""
    return -inf if reason.startswith("-inf") or ("-inf" in reason and not reason.startswith("+inf")) else inf


def per_channel(row: Row) -> list[float]:
    """The row's value in each channel; what JSON does not know is told by infinite_channels."""
    values = [nan if v is None else float(v) for v in row["per_channel"] or ()]
    for sign, at in (row.get("infinite_channels") or {}).items():
        for channel in at:
            values[channel - 1] = float(sign)
    return values


def extreme(values: Sequence[float], which: str, silent: Sequence[int] = ()) -> tuple[float, int | None]:
    """The smallest or largest of the values of the channels (which: "min" or "max"), and its channel, counted from 1.

    nan and the channel where a channel has no value, unless it is one of the silent: those silent in both recordings.
    """
    known = [(float(value), channel) for channel, value in enumerate(values, 1) if value == value]
    absent = (c for c, value in enumerate(values, 1) if value != value and c not in silent)
    missing = next(absent, None)
    if missing is not None or not known:
        return nan, missing
    return min(known) if which == "min" else max(known, key=lambda k: (k[0], -k[1]))


def silent_channels(row: Row) -> Sequence[int]:
    """The channels, counted from 1, that are silent in both recordings of the row."""
    return (row.get("match") or {}).get("silent_channels") or ()


def to_json(data: Any, indent: int | None = 2) -> str:
    """Strict JSON, ASCII only, so that it survives every terminal and locale; what is not finite is null."""
    try:
        text = json.dumps(data, allow_nan=False, indent=indent)
    except ValueError:  # seldom, and the way around it takes ten times as long
        text = json.dumps(strict(data), allow_nan=False, indent=indent)
    return text + "\n"


def strict(data: Any) -> Any:
    """The same as strict JSON has it: what is not finite is None."""
    if isinstance(data, float):
        return data if isfinite(data) else None
    if isinstance(data, Mapping):
        return {str(k): strict(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [strict(v) for v in data]
    return data


def to_jsonl(rows: Sequence[Row]) -> str:
    """One strict JSON object a line."""
    return "".join(to_json(row, None) for row in rows)
