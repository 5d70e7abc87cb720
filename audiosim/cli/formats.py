"""Comparisons as plain data, and the small writers of it: tsv, csv, json, jsonl, value.

Everything here is data for programs: full precision, nothing cut, no NaN or Infinity in JSON.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from .. import remote
from ..errors import UsageError
from ..rows import Row, flat, to_json, to_jsonl

ARRAYS = ("per_band", "bands", "per_time", "times")  # what --bands and --times add; null when not asked for
COLUMNS = ("spec", "value", "unit", "better", "status", "reason", "reference", "test")


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


def check_output(path: str, option: str = "--output") -> None:
    """UsageError when this file cannot be written: better said before the work than after it. option: what named it."""
    if not path:
        raise UsageError(f"{option} needs a file name, this one is empty")
    if remote.is_url(path):
        remote.check_writable(path)
        return
    target = Path(path)
    if target.is_dir():
        raise UsageError(f"{option} {_shown(path)} is a directory")
    folder = Path(os.path.realpath(path)).parent
    if not folder.is_dir():
        raise UsageError(f"{option} {_shown(path)}: there is no directory {_shown(str(folder))}")
    if not os.access(target if target.exists() else folder, os.W_OK):
        raise UsageError(f"{option} {_shown(path)}: no permission to write there")


def write_file(path: str, text: str | bytes, option: str = "--output") -> None:
    """Write bytes, or text as UTF-8, to the file at once or not at all; devices, pipes and our own stdout are written
    to directly."""
    if remote.is_url(path):
        remote.write_file(path, text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text)
        return
    real = Path(os.path.realpath(path))
    data = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
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
        raise UsageError(f"{option} {_shown(path)}: cannot be written: {problem.strerror}") from None


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


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
