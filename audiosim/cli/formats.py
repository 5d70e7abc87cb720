"""Comparisons as plain data, and the small writers of it: tsv, csv, json, jsonl, value.

Everything here is data for programs: full precision, nothing cut, no NaN or Infinity in JSON.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Any

from .. import __version__, remote
from ..errors import MissingExtra, UsageError
from ..judge.rows import SCHEMA, Row, flat, number, to_json, to_jsonl

ARRAYS = ("per_band", "bands", "per_time", "times")  # what --bands and --times add; null when not asked for
COLUMNS = ("spec", "value", "unit", "better", "status", "reason", "reference", "test", "reading", "domain")
# A row of a batch: its columns in csv and tsv, and all of it, with its types, in Parquet; json is a list or an object.
BATCH = (
    *("id", "system", "group", "spec", "value", "unit", "better", "status", "reason", "worst_s"),
    *("reference", "test", "start", "duration", "rating", "higher_is_better", "reading", "domain"),
)
# What those columns say that are there only where a batch was asked for more.
JUDGED: Mapping[str, Callable[[Any], str | None]] = {
    "verdict": lambda verdict: verdict and verdict["level"],
    "causes": lambda causes: "; ".join(cause["sentence"] for cause in causes or ()),
}
WHOLE = {
    **dict.fromkeys(("id", "system", "group", "reference", "test"), "text"),
    **dict.fromkeys(("start", "duration", "rating"), "real"),
    "higher_is_better": "truth",
    **dict.fromkeys(("rate", "channels"), "whole"),
    **dict.fromkeys(("duration_s",), "real"),
    **dict.fromkeys(("metric", "spec"), "text"),
    "metric_version": "whole",
    **dict.fromkeys(("value", "worst_s"), "real"),
    **dict.fromkeys(("unit", "better", "status", "reason", "reading", "domain"), "text"),
    "domain_p": "real",
    **dict.fromkeys(("options", "details", "per_channel", "per_band", "bands", "edges", "per_time", "times"), "json"),
    **dict.fromkeys(("map", "match", "verdict", "diagnosis", "contradictions", "causes", "gates"), "json"),
    **dict.fromkeys(("audiosim", "key"), "text"),
    "schema": "whole",
}


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
        return "".join(f"{number(r)!r}\n" for r in rows)
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
    """RFC 4180 with a header.

    Spreadsheets run a text that begins with = + - or @ as a formula, and a file's name may be made to do harm there. So
    a text that begins with one of these, a tab, a newline or an apostrophe has an apostrophe before it; what follows
    the first apostrophe is the text. Numbers, also in the columns of a manifest, are as they are.
    """
    lines = [columns, *([row[c] for c in columns] for row in rows)]
    return "".join(",".join(_quoted(_harmless(cell)) for cell in line) + "\n" for line in lines)


def batch_text(rows: Iterable[Row], form: str, columns: Sequence[str]) -> str:
    """Rows of a batch as tsv, csv, jsonl or value. columns: the manifest's extra ones, which come last."""
    if form == "value":
        return "".join(f"{number(row)!r}\n" for row in rows)
    if form == "jsonl":
        return "".join(to_jsonl([row]) for row in rows)
    names = _named(columns)
    carried = [_carried(row, names) for row in rows]
    judged = [name for name in JUDGED if any(row.get(name) is not None for row in carried)]
    said = [{**row, **{name: JUDGED[name](row.get(name)) for name in judged}} for row in carried]
    return WRITERS[form](said, (*BATCH, *judged, *names))


def batch_json(rows: Iterable[Row], settings: Row, **parts: Any) -> str:
    """A batch as one strict JSON object: schema, audiosim, settings, each of the parts (summary, agreement, gates,
    baseline ...), and at the end all rows, one a line."""
    head = to_json({"schema": SCHEMA, "audiosim": __version__, "settings": settings, **parts}).removesuffix("\n}\n")
    lines = ",\n".join(to_jsonl([row]).rstrip("\n") for row in rows)
    return f'{head},\n  "rows": [\n{lines}\n]\n}}\n'


def to_parquet(rows: Iterable[Row], columns: Sequence[str]) -> bytes:
    """Rows of a batch as a Parquet file, zstd-compressed; lists and objects are JSON text, and a value may be infinite.

    columns: the manifest's extra ones. Raises MissingExtra without pyarrow.
    """
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise MissingExtra("--format parquet needs pyarrow: pip install 'audiosim[parquet]'") from None
    kinds = {"text": pa.string(), "json": pa.string(), "real": pa.float64(), "whole": pa.int64(), "truth": pa.bool_()}
    names = _named(columns)
    every = WHOLE | dict.fromkeys(names, "text")
    schema = pa.schema([(name, kinds[kind]) for name, kind in every.items()])
    file = io.BytesIO()
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for block in _blocks(rows):
            carried = [_carried(row, names) for row in block]
            cells = {name: [_parquet(row, name, kind) for row in carried] for name, kind in every.items()}
            writer.write_table(pa.Table.from_pydict(cells, schema))
    return file.getvalue()


WRITERS: Mapping[str, Callable[[Sequence[Row], Sequence[str]], str]] = {"tsv": to_tsv, "csv": to_csv}


TABLES = ("table", "tsv", "csv", "json", "jsonl")
BARE = ("tsv", "csv", "value")  # a verdict on a pair has no place in them
EVERY = (*TABLES, "value", "markdown", "junit", "html", "parquet")  # those of compare and batch
BY_SUFFIX = {
    "xml": "junit",
    "md": "markdown",
    "html": "html",
    "htm": "html",
    "parquet": "parquet",
    **{name: name for name in ("csv", "tsv", "json", "jsonl")},
}


def chosen(form: str | None, output: str | None, terminal: bool, known: Sequence[str] = EVERY) -> str:
    """The format: what was asked for, else what the suffix of the file says, else table on a terminal and tsv.

    UsageError for one that is not among the known, and for one that a terminal cannot show. MissingExtra for one that
    needs a package.
    """
    found = form
    if not form:
        found = (form_of(str(output)) or "tsv") if output not in (None, "-") else "table" if terminal else "tsv"
    if found not in known:
        asked = f"--format {form}" if form else f"-o {_shown(str(output))}: {found}"
        raise UsageError(f"{asked} is not for this command; one of: {', '.join(known)}")
    if found in ("html", "parquet") and terminal and output in (None, "-"):
        raise UsageError(f"--format {found} is not for a terminal; write it to a file")
    if found == "parquet":
        check_parquet()
    return str(found)


def form_of(path: str) -> str | None:
    """The format that the suffix of a file says."""
    return BY_SUFFIX.get(Path(path).suffix.lower().lstrip("."))


def check_parquet() -> None:
    """MissingExtra where nothing can write Parquet."""
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise MissingExtra("parquet needs pyarrow: pip install 'audiosim[parquet]'")


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


def _named(columns: Sequence[str]) -> dict[str, str]:
    """Names for a manifest's extra columns that are not ours already: {name: column}."""
    return {f"columns.{c}" if c in (*WHOLE, "columns") else c: c for c in columns}


def _carried(row: Row, names: Mapping[str, str]) -> Row:
    """The row with its number, which JSON may not have known, and a key for each of the manifest's extra columns."""
    extra = {name: (row.get("columns") or {}).get(column) for name, column in names.items()}
    return {**dict.fromkeys(BATCH), **row, "value": number(row), **extra}


def _blocks(rows: Iterable[Row], size: int = 10_000) -> Iterator[list[Row]]:
    rows = iter(rows)
    while block := list(islice(rows, size)):
        yield block


def _parquet(row: Row, name: str, kind: str) -> Any:
    cell = row.get(name)
    if cell != cell:  # nan is no number
        return None
    if kind == "whole" and isinstance(cell, str):  # the version of a metric from outside: number-digest
        return int(cell.partition("-")[0])
    return to_json(cell, None).rstrip("\n") if kind == "json" and cell is not None else cell


def _harmless(value: Any) -> str:
    text = _cell(value)
    if not isinstance(value, str) or not text.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "'")):
        return text
    try:
        float(text)
    except ValueError:
        return "'" + text
    return text


def _quoted(text: str) -> str:
    # The csv module leaves a bare \r unquoted, which its own reader takes for the end of the line.
    return '"' + text.replace('"', '""') + '"' if any(c in text for c in ',"\r\n') else text


_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return " ".join(_cell(v) for v in value)
    return repr(value) if isinstance(value, float) else str(value)


def _shown(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
