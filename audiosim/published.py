"""What other programs may rely on: the JSON Schema of rows and results."""

from __future__ import annotations

from typing import Any, Literal, get_args

from .errors import UsageError

Kind = Literal["pair", "pairs", "row", "batch", "journal_header", "batch_row", "audit", "audits"]


def schema(kind: Kind | None = None) -> dict[str, Any]:
    """The JSON Schema (2020-12) of what audiosim writes, or of one kind of document alone; a new dict each time.

    pair, pairs: `compare --format json` of one test, of several; row: a line of `compare --format jsonl`;
    batch: `batch --format json`; journal_header, batch_row: the first line of a journal, and any other;
    audit, audits: `audit --format json` of one metric, of several.
    """
    import json
    from importlib.resources import files

    whole: dict[str, Any] = json.loads(files(__package__).joinpath("schema.json").read_text(encoding="utf-8"))
    if kind is None:
        return whole
    if kind not in get_args(Kind):
        raise UsageError(f"there is no schema of {kind!r}; one of: {', '.join(get_args(Kind))}")
    one = {name: whole[name] for name in ("$schema", "$id", "title")}
    return {**one, "$ref": f"#/$defs/{kind}", "$defs": whole["$defs"]}
