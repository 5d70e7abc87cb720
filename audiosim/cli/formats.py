"""Comparisons as plain data, and the small writers of it: tsv, csv, json, jsonl, value.

Everything here is data for programs: full precision, nothing cut, no NaN or Infinity in JSON.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from math import inf, isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import __version__
from ..errors import UsageError

if TYPE_CHECKING:
    from ..result import Result

Row = Mapping[str, Any]
SCHEMA = 1
ARRAYS = ("per_band", "bands", "per_time", "times")  # what --bands and --times add; null when not asked for
COLUMNS = ("spec", "value", "unit", "better", "status", "reason", "reference", "test")


def result_row(spec: str, result: Result, listener: Row | None = None) -> dict[str, Any]:
    """One metric's answer; numbers as they are, also nan and inf. listener: the policy's."""
    from .. import metrics

    parsed = metrics.parse(spec, listener)
    card = metrics.get(parsed.name).CARD
    defaults = {o.name: o.default for o in metrics.options(parsed.name).values()}
    reason = result.reason
    if result.status == "infinite" and "inf" not in (reason or ""):
        sign = "+inf" if result.value == inf else "-inf"
        reason = f"{sign}: {reason}" if reason else sign
    return {
        "metric": parsed.name,
        "spec": spec,
        "options": {**defaults, **parsed.options},
        "value": float(result.value),
        "per_channel": _list(result.per_channel),
        "details": {k: float(v) for k, v in result.details.items()},
        "unit": result.unit or card.unit,
        "better": result.better or card.better,
        "status": result.status,
        "reason": reason,
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
) -> dict[str, Any]:
    """One comparison. rate, channels and duration are those in which the two were compared, None when they were not."""
    match = match or {}
    listener = {option: match[option]["value"] for option in ("level", "audiogram") if option in match}
    return {
        "schema": SCHEMA,
        "audiosim": __version__,
        "reference": reference,
        "test": test,
        "rate": rate,
        "channels": channels,
        "duration_s": duration_s,
        "match": dict(match),
        "results": [result_row(spec, result, listener) for spec, result in results.items()],
        "gates": list(gates),
    }


def flat(pairs: Sequence[Row]) -> list[dict[str, Any]]:
    """One row a metric: the pair's keys, then the metric's; gates are those on that metric."""
    rows = []
    for pair in pairs:
        shared = {k: v for k, v in pair.items() if k not in ("results", "gates")}
        for result in pair["results"]:
            own = [g for g in pair["gates"] if g["spec"] == result["spec"]]
            rows.append({**shared, **result, "gates": own})
    return rows


def arrays_of(pairs: Sequence[Row]) -> tuple[str, ...]:
    """The columns that the breakdowns add."""
    return tuple(a for a in ARRAYS if any(r[a] is not None for p in pairs for r in p["results"]))


def pairs_text(pairs: Sequence[Row], form: str) -> str:
    """Comparisons in one of the formats for programs."""
    if form == "json":
        # With arrays an indented text would have a line per number.
        return to_json(pairs[0] if len(pairs) == 1 else list(pairs), indent=None if arrays_of(pairs) else 2)
    rows = flat(pairs)
    if form == "jsonl":
        return to_jsonl(rows)
    if form == "value":
        return "".join(f"{r['value']!r}\n" for r in rows)
    return WRITERS[form](rows, (*COLUMNS, *arrays_of(pairs)))


def rows_text(rows: Sequence[Row], form: str) -> str:
    """Rows of equal keys in one of the formats for programs."""
    if form == "json":
        return to_json(list(rows))
    if form == "jsonl":
        return to_jsonl(rows)
    return WRITERS[form](rows, tuple(rows[0]) if rows else ())


def to_json(data: Any, indent: int | None = 2) -> str:
    """Strict JSON, ASCII only, so that it survives every terminal and locale; what is not finite is null."""
    return json.dumps(_strict(data), allow_nan=False, indent=indent) + "\n"


def to_jsonl(rows: Sequence[Row]) -> str:
    """One strict JSON object a line."""
    return "".join(json.dumps(_strict(r), allow_nan=False) + "\n" for r in rows)


def to_tsv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Tab-separated with a header; tabs, newlines and backslashes inside a cell are written \\t, \\n, \\r, \\\\."""
    lines = ["\t".join(columns)]
    lines += ["\t".join(_cell(row[c]).translate(_ESCAPES) for c in columns) for row in rows]
    return "\n".join(lines) + "\n"


def to_csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """RFC 4180 with a header."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_cell(row[c]) for c in columns] for row in rows)
    return text.getvalue()


WRITERS: Mapping[str, Callable[[Sequence[Row], Sequence[str]], str]] = {"tsv": to_tsv, "csv": to_csv}


def chosen(form: str | None, output: str | None, terminal: bool) -> str:
    """The format: what was asked for, else what the suffix of the file says, else table on a terminal and tsv."""
    if form:
        return form
    if output not in (None, "-"):
        suffix = Path(str(output)).suffix.lower().lstrip(".")
        return suffix if suffix in ("tsv", "csv", "json", "jsonl") else "tsv"
    return "table" if terminal else "tsv"


def check_output(path: str) -> None:
    """UsageError when this file cannot be written: better said before the work than after it."""
    if not path:
        raise UsageError("--output needs a file name, this one is empty")
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"--output {_shown(path)} is a directory")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise UsageError(f"--output {_shown(path)}: there is no directory {_shown(str(folder))}")
    if not os.access(target if target.exists() else folder, os.W_OK):
        raise UsageError(f"--output {_shown(path)}: no permission to write there")


def write_file(path: str, text: str) -> None:
    """Write UTF-8 text to the file at once or not at all; devices, pipes and our own stdout are written to directly."""
    real = Path(os.path.realpath(path))
    data = text.encode("utf-8", "backslashreplace")
    try:
        if real.exists() and (not real.is_file() or _is_ours(real)):
            with real.open("ab") as stream:
                stream.write(data)
            return
        draft = real.with_name(f".{real.name}.{os.getpid()}.tmp")
        try:
            draft.write_bytes(data)
            draft.replace(real)
        finally:
            draft.unlink(missing_ok=True)
    except BrokenPipeError:
        raise
    except OSError as problem:
        raise UsageError(f"--output {_shown(path)}: cannot be written: {problem.strerror}") from None


def _is_ours(file: Path) -> bool:
    """Whether stdout or stderr goes to this file, as after `-o /dev/stdout >>log`: a new one would lose the log."""
    for descriptor in (1, 2):
        with suppress(OSError):  # it may be closed
            if os.path.samestat(file.stat(), os.fstat(descriptor)):
                return True
    return False


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(_cell(v) for v in value)
    return repr(value) if isinstance(value, float) else str(value)


def _list(array: Any) -> list[Any] | None:
    return None if array is None else array.tolist()


def _strict(data: Any) -> Any:
    if isinstance(data, float):
        return data if isfinite(data) else None
    if isinstance(data, Mapping):
        return {str(k): _strict(v) for k, v in data.items()}
    if isinstance(data, list | tuple):
        return [_strict(v) for v in data]
    return data


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
