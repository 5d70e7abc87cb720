"""`audiosim models`: which trained models are known and here; to get one; to check one by its test vector."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from .. import metrics
from ..config import Settings
from ..errors import ExitCode, UsageError
from ..trained import download, vectors, weights
from . import formats
from .compare import progress_line, put, say

Row = dict[str, Any]

FOUND = {"user": "models folder", "package": "package"}
COLUMNS = ("name", "judges", "kHz", "MB", "licence", "source", "found")


def run(action: str, names: Sequence[str], settings: Settings, output: str | None) -> ExitCode:
    """List, get, check or calibrate."""
    if action == "calibrate":
        return _calibrate(names, settings)
    known = [weights.model(name) for name in names]
    match action:
        case "list":
            form = formats.chosen(settings.format, output, sys.stdout.isatty(), formats.TABLES)
            _list([_row(model) for model in known or weights.models().values()], form, output)
            return ExitCode.OK
        case "get":
            _named(known, "get")
            for model in known:
                _get(model, settings)
            return ExitCode.OK
        case "check":
            _named(known, "check")
            right = [_check(model) for model in known]
            return ExitCode.OK if all(right) else ExitCode.METRIC
    raise UsageError(
        f"models lists; or models get NAME, models check NAME, or models calibrate METRIC FOLDER; not {action!r}"
    )


def _calibrate(names: Sequence[str], settings: Settings) -> ExitCode:
    from ..calibration import calibrate

    if len(names) != 2:
        raise UsageError(
            "models calibrate needs a metric and a folder, such as: audiosim models calibrate pesq speech/"
        )
    shown = sys.stderr.isatty() and not settings.quiet

    def progress(done: int, of: int) -> None:
        progress_line(f"{done} of {of} recordings")

    try:
        found = calibrate(*names, progress=progress if shown else None)
    finally:
        if shown:
            progress_line("")
    for line in found.unread:
        say(line)
    if not settings.quiet:
        say(f"{names[0]} now goes by {found.recordings} recordings, whose statistics are in {found.file}")
    return ExitCode.INPUT if found.unread else ExitCode.OK


def _named(models: Sequence[weights.Model], action: str) -> None:
    if not models:
        raise UsageError(f"models {action} needs a name; one of: {', '.join(weights.models())}")


def _row(model: weights.Model) -> Row:
    """is_known: whether size and sha256 are the known ones; None where it is not here."""
    place = weights.located(model.name)
    return {
        "name": model.name,
        "judges": model.judges,
        "rate": model.rate,
        "bytes": model.bytes,
        "licence": model.licence,
        "source": model.source,
        "found": place and place.where,
        "files": place and [str(path) for path in place.files],
        "is_known": place and weights.is_known(model.name, place),
    }


def _list(rows: Sequence[Row], form: str, output: str | None) -> None:
    if form != "table":
        put(formats.rows_text(rows, form), output)
        return
    from .explain import page
    from .table import rows_table

    lines = [
        row
        | {
            "MB": f"{row['bytes'] / 1e6:.1f}",
            "kHz": f"{row['rate'] / 1000:g}",
            "source": row["source"].partition("@")[0].removeprefix("github.com/"),
            "found": FOUND.get(row["found"], "no") + (", not the known file" if row["is_known"] is False else ""),
        }
        for row in rows
    ]
    with page(output) as out:
        rows_table(lines, COLUMNS, out)


def _get(model: weights.Model, settings: Settings) -> None:
    if not settings.quiet:
        say(f"{model.name}: {model.bytes / 1e6:.1f} MB from {model.source}, licence {model.licence}")
    shown = sys.stderr.isatty() and not settings.quiet

    def progress(name: str, have: int, size: int) -> None:
        if shown:
            progress_line(f"{name}: {have / 1e6:.1f} of {size / 1e6:.1f} MB" if size else f"{name}: pip downloads it")

    try:
        files = download.get(model, progress)
    finally:
        if shown:
            progress_line("")
    for file in files:
        print(file)


def _check(model: weights.Model) -> bool:
    """Whether the model gives the value that is stored for it, which is printed."""
    if model.vector is None:
        raise UsageError(f"{model.name} has no test vector")
    from ..results import compare

    weights.find(model.name)
    spec, stored = model.vector
    rate = metrics.get(metrics.parse(spec).name).card.rate or model.rate
    result = compare(*vectors.sounds(rate), spec, rate)[spec]
    right = vectors.agrees(result.value, stored)
    told = f"{model.name}: {spec} gives {result.value:.6g}"
    print(f"{told}, as it should" if right else f"{told}, not {stored:.6g}: {result.reason or 'its files are others'}")
    return right
