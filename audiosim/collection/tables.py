"""What tables say of recordings: columns such as artist or genre, and choices of listeners. Nothing is decoded here."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import remote
from ..audio import data_name, display_name
from ..batch import pairing
from ..errors import InputError, NothingToCompare, UsageError

FILE = ("file", "path", "test", "recording")  # names of the column that names the recording
TRIAL = ("target", "chosen", "unchosen")


@dataclass(frozen=True)
class File:
    """A recording. name: what outputs call it; columns: what a table says of it."""

    name: str
    path: str
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trial:
    """A choice: numbers of the target, of what was chosen as most like it, and of what else was offered."""

    target: int
    chosen: int
    unchosen: tuple[int, ...]


def files(
    folder: str | None, labels: str | None, include: Sequence[str] = (), exclude: Sequence[str] = ()
) -> tuple[list[File], list[str]]:
    """The recordings of a folder with what the table says of them, or those that the table names; and notes.

    The column file of the table has paths: below the folder, or from the table's own folder.
    """
    if folder is None and labels is None:
        raise UsageError("give a folder of recordings, or a table that names them with --labels FILE")
    told = {} if labels is None else _told(labels)
    if folder is None:
        assert labels is not None
        found = [File(data_name(name), pairing.below(labels, name), columns) for name, columns in told.items()]
        if not found:
            raise NothingToCompare(f"{display_name(labels)}: names no recording")
        return found, []
    listed, notes = pairing.recordings(folder, include, exclude)
    if labels is None:
        return [File(data_name(name), path) for name, path in listed.items()], notes
    by_place = {_place(pairing.below(labels, name)): columns for name, columns in told.items()}
    found = []
    for name, path in listed.items():
        columns = told.get(name) or by_place.get(_place(path)) or {}
        found.append(File(data_name(name), path, columns))
    unlabelled = [f.name for f in found if not f.columns]
    if len(unlabelled) == len(found):
        raise InputError(
            f"{display_name(labels)}: names no recording below {display_name(folder)}; its column file has paths below "
            "that folder, or from its own"
        )
    if unlabelled:
        several = f"{len(unlabelled)} recordings are" if len(unlabelled) > 1 else "1 recording is"
        notes.append(f"{several} not in {display_name(labels)}, such as {display_name(unlabelled[0])}")
    return found, notes


def codes(files: Iterable[File], column: str, table: str) -> NDArray[Any]:
    """A number for each value of the column [file]; -1 where it is empty. UsageError where there is no such column."""
    values = [str(f.columns.get(column) or "").strip() for f in files]
    known = {v: i for i, v in enumerate(dict.fromkeys(v for v in values if v))}
    if not known:
        names = list(dict.fromkeys(name for f in files for name in f.columns))
        raise UsageError(f"{display_name(table)} has no column {column!r}; it has: {', '.join(names) or 'none'}")
    return np.array([known.get(v, -1) for v in values])


def label(files: Iterable[File], asked: str | None, filtered: str | None, table: str) -> str | None:
    """The column that says what belongs together: the one asked for, else label, else the only one beside the filtered
    one; None where there is no other. UsageError where there are several."""
    names = [name for name in dict.fromkeys(name for f in files for name in f.columns) if name != filtered]
    if asked is not None or not names:
        return asked
    if "label" in names or len(names) == 1:
        return "label" if "label" in names else names[0]
    raise UsageError(
        f"{display_name(table)} has the columns {', '.join(names)}: say with --label COLUMN which one tells what "
        "belongs together"
    )


def trials(path: str, files: Sequence[File]) -> list[Trial]:
    """Choices of listeners, of a table with the columns target, chosen and unchosen, a row for each not chosen.

    Rows of the same target and chosen one are one choice, of the same trial where there is that column. The cells are
    names of the files, or paths from the table's folder.
    """
    name = display_name(path)
    numbers = {f.name: i for i, f in enumerate(files)} | {_place(f.path): i for i, f in enumerate(files)}
    unchosen: dict[tuple[Any, ...], list[int]] = {}
    for line, row in pairing.table(path):
        cells = {str(column).strip().lower(): str(value).strip() for column, value in row.items()}
        found = []
        for column in TRIAL:
            if not cells.get(column):
                raise InputError(f"{name}, line {line}: has no {column}; the columns are {', '.join(TRIAL)}")
            number = numbers.get(cells[column], numbers.get(_place(pairing.below(path, cells[column]))))
            if number is None:
                raise InputError(f"{name}, line {line}: {display_name(cells[column])} is not in the collection")
            found.append(number)
        target, chosen, other = found
        unchosen.setdefault((cells.get("trial"), target, chosen), []).append(other)
    if not unchosen:
        raise NothingToCompare(f"{name}: has no choices")
    return [Trial(target, chosen, tuple(rest)) for (_, target, chosen), rest in unchosen.items()]


def _told(labels: str) -> dict[str, dict[str, str]]:
    """{recording as it stands in the table: its other columns}."""
    name = display_name(labels)
    found: dict[str, dict[str, str]] = {}
    lines: dict[str, int] = {}
    for line, row in pairing.table(labels):
        plain = {str(column).strip(): "" if value is None else str(value).strip() for column, value in row.items()}
        column = next((c for c in plain if c.lower() in FILE), None)
        if column is None or not plain[column]:
            raise InputError(f"{name}, line {line}: has no file; the columns are file and others, such as artist")
        file = plain.pop(column)
        if found.get(file, plain) != plain:
            raise InputError(
                f"{name}, line {line}: says something else of {display_name(file)} than line {lines[file]}"
            )
        found[file], lines[file] = plain, line
    return found


def _place(path: str) -> str:
    return path if remote.is_url(path) else os.path.realpath(path)
