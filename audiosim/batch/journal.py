"""The journal of a batch: one JSON row per line, appended and flushed one by one, so that no finished work is lost.

Each row stands in the file once, for every reader and at any time: rows that are to be computed again, such as failed
ones, are removed before that begins. Where the file cannot be written anew, because its folder is read-only or, on
Windows, because another program has it open, the last row of a slot counts, and the others go with the next occasion.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, ClassVar, NamedTuple, Self

from .. import __version__, remote
from ..audio import display_name
from ..errors import InputError, UsageError
from ..judge.rows import SCHEMA, Held, Row, to_jsonl, uncollected

HEAD = b'{"schema":'
SYNC = 2.0  # s between two writings through to the disk
SHARED = os.name != "nt"  # whether a file can be replaced that is open; in Windows it is closed for that moment
REOPENED = 3  # times at most, where the open file is not the one that the path names

Slot = tuple[Any, ...]  # what a row is about


def slot(row: Row) -> Slot:
    """What the row is about: the pair, the section of it, and the metric as it was asked for."""
    return (row["id"], row["system"], row["reference"], row["test"], row["start"], row["duration"], row["spec"])


class Content(NamedTuple):
    """A file as it was when it was read: size in bytes, time of its last change in ns, digest of its content."""

    size: int
    changed: int | str | None
    digest: str


class Entry(NamedTuple):
    """The last row of a slot: its place in the file, whether it has a result, and for which input."""

    offset: int
    answered: bool
    key: str
    carried: int  # hash of what the manifest said of the pair
    placed: bool  # whether it tells the worst second


class Journal:
    """An open journal, locked against others. `entries` holds the last row of each slot, `contents` the files.

    path: the file, created if there is none. settings: those under which its rows are made; they are its first line.
    resume: continue an existing file; otherwise it is renamed to path.old.
    repaired: a note on what had to be repaired, or None.
    Raises UsageError if another batch is writing the file, if it was made under other settings or cannot be written,
    and InputError if it holds anything but rows.
    """

    option = "-o"  # that names the file
    advice: ClassVar[
        Mapping[str, str]
    ] = {  # what else helps against a path that is a URL or no file, and other settings
        "url": "; write one here, then export it with --from FILE -o URL",
        "nothing": "; without -o, --format jsonl writes the rows to standard output",
        "settings": ", or --no-resume, which renames the old one to {}.old",
    }

    def __init__(self, path: str | os.PathLike[str], settings: Mapping[str, Any], *, resume: bool = True) -> None:
        self.path = Path(path)
        self.name = display_name(path)
        if remote.is_url(path):
            raise UsageError(
                f"{self.option} {self.name}: a journal grows row by row, which only a local file can"
                f"{self.advice['url']}"
            )
        if not os.fspath(path) or os.fspath(path) == "-":
            raise UsageError(
                f"{self.option} {os.fspath(path) or repr('')}: is not the name of a file, which a journal needs"
                f"{self.advice['nothing']}"
            )
        self.entries: dict[Slot, Entry] = {}
        self.contents: dict[str, Content] = {}
        self.repaired: str | None = None
        self._stale = 0  # lines that a later one replaces
        self._file = self._opened()
        try:
            if not resume and self._file.seek(0, os.SEEK_END):
                self.path.replace(self.path.with_name(f"{self.path.name}.old"))
                self._file.close()
                self._file = self._opened()
            self._synced = time.monotonic()
            self._end = self._file.seek(0, os.SEEK_END)
            if self._end:
                self._read(settings)
            if not self._end:
                self._append({"schema": SCHEMA, "audiosim": __version__, "settings": dict(settings)})
            self.settle()
        except BaseException:
            self._file.close()
            raise

    def write(self, row: Row) -> None:
        """Append the row: visible to others at once, on the disk within seconds. OSError if the disk is full; the
        journal then ends with the row before."""
        offset = self._append(row)
        self._note(row, offset)
        if time.monotonic() - self._synced > SYNC:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def replace(self, rows: Iterable[Row]) -> None:
        """Write the rows in the place of those of the same slots, all at once."""
        new = {slot(row): row for row in rows}
        if new and not self._rewritten(new):
            for row in new.values():
                self.write(row)

    def drop(self, slots: Iterable[Slot]) -> None:
        """Remove the rows of these slots, which are to be computed again."""
        gone = {place for place in slots if place in self.entries}
        if gone:
            self._rewritten({}, gone)

    def settle(self) -> None:
        """Remove the lines that later ones replace. Where the file cannot be written anew they stay, and do no harm."""
        if self._stale:
            self._rewritten({})

    def rows(self, slots: Iterable[Slot] | None = None) -> Iterator[Row]:
        """The last row of each slot, in the order of the slots, or of the journal; slots without a row are skipped."""
        entries = sorted(self.entries.values()) if slots is None else (self.entries.get(s) for s in slots)
        with self.path.open("rb") as file:
            for entry in entries:
                if entry is not None:
                    file.seek(entry.offset)
                    yield json.loads(file.readline())

    def row(self, slot: Slot) -> dict[str, Any]:
        """The last row of the slot."""
        return dict(next(self.rows([slot])))

    def close(self) -> None:
        """Write everything to the disk, and release the file."""
        with suppress(OSError, ValueError):
            self.settle()
            os.fsync(self._file.fileno())
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _append(self, row: Row) -> int:
        offset: int = self._end
        data = to_jsonl([row]).encode()
        try:
            _write_through(self._file.fileno(), data)
        except BaseException:  # a full disk takes part of a row
            with suppress(OSError):
                os.ftruncate(self._file.fileno(), offset)
            raise
        self._end += len(data)
        return offset

    def _opened(self) -> Any:
        file = self._locked()
        for _ in range(REOPENED):
            if self._is(file):
                break
            file.close()  # another batch wrote the journal anew after this one opened it
            file = self._locked()
        return file

    def _locked(self) -> Any:
        try:
            if self.path.exists() and not self.path.is_file():  # before it is opened: a pipe would wait for a reader
                raise UsageError(
                    f"{self.option} {self.name}: is {_kind(self.path)}, and a journal is a file that the next run "
                    f"reads; give a file, or leave {self.option} out"
                )
            file = self.path.open("a+b")
        except OSError as broken:
            raise UsageError(f"{self.option} {self.name}: cannot be written: {broken.strerror}") from None
        try:
            _lock(file, self.name, self.option)
        except BaseException:
            file.close()
            raise
        return file

    def _is(self, file: Any) -> bool:
        """Whether the open file is the one that the path names."""
        with suppress(OSError):
            return os.path.samestat(self.path.stat(), os.fstat(file.fileno()))
        return False

    def _rewritten(self, new: Mapping[Slot, Row], without: Container[Slot] = ()) -> bool:
        """Write the file anew: the last row of each slot once, or the new one instead, and none of some slots. False
        where that cannot be; the journal is then as it was."""
        real = Path(os.path.realpath(self.path))
        draft = real.with_name(f".{real.name}.tmp")
        offsets: dict[Slot, int] = {}
        try:
            draft.unlink(missing_ok=True)  # of a batch that was killed at this
            file = draft.open("a+b")
        except OSError:
            return False
        try:
            _lock(file, self.name, self.option)
            with self.path.open("rb") as old:
                end = file.write(old.readline())
                for key, entry in self.entries.items():
                    if key in without:
                        continue
                    old.seek(entry.offset)
                    offsets[key] = end
                    end += file.write(to_jsonl([new[key]]).encode() if key in new else old.readline())
            file.flush()
            os.fsync(file.fileno())
            shutil.copymode(real, draft)
            if not SHARED:
                file.close()
                self._file.close()
            draft.replace(real)
            if not SHARED:
                file = self._opened()
        except OSError:
            with suppress(OSError):
                file.close()
            with suppress(OSError):
                draft.unlink()
            if self._file.closed:
                self._file = self._opened()
            return False
        self._file.close()
        self._file, self._end, self._stale = file, end, 0
        self._synced = time.monotonic()
        self.entries = {key: self.entries[key]._replace(offset=offset) for key, offset in offsets.items()}
        for row in new.values():
            self._note(row, self.entries[slot(row)].offset, again=False)
        return True

    def _mend(self) -> None:
        """Remove the line that a killed process left unfinished."""
        start, block = self._end, b""
        while start and b"\n" not in block:
            start = max(0, start - 65536)
            self._file.seek(start)
            block = self._file.read(self._end - start)
        whole = start + block.rfind(b"\n") + 1
        if whole < self._end:
            self._file.truncate(whole)
            self.repaired = f"{self.name}: removed an unfinished last line of {self._end - whole} bytes"
            self._end = whole

    def _read(self, settings: Mapping[str, Any]) -> None:
        self._file.seek(0)
        first = self._file.readline()
        if not first.endswith(b"\n") and HEAD.startswith(first[: len(HEAD)]):  # killed while writing it
            self._mend()
            return
        header = _parsed(first, self.name, 1)  # before anything is cut off: it may be a file of another kind
        _check_schema(header, self.name)
        made = header.get("settings")
        if not isinstance(made, dict):
            raise InputError(f"{self.name}: is not a journal of audiosim; give another file with {self.option}")
        ours = json.loads(json.dumps(dict(settings)))
        if made != ours:
            other = sorted(k for k in {*made, *ours} if made.get(k) != ours.get(k))
            says = ", ".join(f"{k}={made.get(k)} (now {ours.get(k)})" for k in other)
            raise UsageError(
                f"{self.name} was made with {says}; give the same again, another file with {self.option}"
                f"{self.advice['settings'].format(self.path.name)}"
            )
        self._mend()
        self._file.seek(len(first))
        with uncollected():
            for row, offset in _lines(self._file, self.name):
                self._note(row, offset)

    def _note(self, row: Row, offset: int, again: bool = True) -> None:
        """again: whether a row of the same slot stands in the file before it."""
        try:
            key = slot(row)
            said = carried(row["group"], row["rating"], row["higher_is_better"], row["columns"])
            entry = Entry(offset, row["status"] != "error", row["key"], said, row["worst_s"] is not None)
            content = row["content"]
        except (KeyError, TypeError):
            raise InputError(
                f"{self.name}: holds a line that is not a row of a batch (byte {offset}); give another file with "
                f"{self.option}"
            ) from None
        self._stale += again and key in self.entries
        self.entries[key] = entry
        for which in ("reference", "test"):
            if content[which] is not None:
                self.contents[row[which]] = Content(*content[which])


def _write_through(file: int, data: bytes) -> None:
    """All of the data, past every buffer: what a buffer held back would be written by a later flush."""
    left = memoryview(data)
    while left:
        left = left[os.write(file, left) :]


def _kind(path: Path) -> str:
    """What a path names that is no file."""
    if path.is_dir():
        return "a directory"
    return "a pipe" if path.is_fifo() else "a socket" if path.is_socket() else "a device"


def carried(group: str | None, rating: float | None, better: bool | None, columns: Mapping[str, str]) -> int:
    """What the manifest says of a pair, as a hash."""
    return hash((group, rating, better, tuple(sorted(columns.items()))))


def header(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The settings under which a journal was made. InputError if the file is not a journal."""
    name = display_name(path)
    try:
        with _open(path) as file:
            return _settings(_parsed(file.readline(), name, 1), name)
    except OSError as broken:
        raise InputError(f"{name}: cannot be read: {broken.strerror}") from None


def _settings(first: Mapping[str, Any], name: str) -> dict[str, Any]:
    _check_schema(first, name)
    if not isinstance(first.get("settings"), dict):
        raise InputError(f"{name}: is not a journal of audiosim batch")
    return dict(first["settings"])


def _open(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a journal to read it, from a path or URL."""
    if remote.is_url(path):
        return io.BytesIO(remote.read(os.fspath(path)))
    return Path(path).open("rb")


def read(path: str | os.PathLike[str]) -> Iterator[Row]:
    """The rows of a journal that nobody needs to be writing, or of what compare wrote with --format jsonl: the last of
    each slot, those of a pair together.

    An unfinished last line is skipped. Raises InputError if the file is not a journal.
    """
    yield from _loaded(path)[1]


def load(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Held]:
    """The settings and the rows of a journal, as `header` and `read` give them, from one reading of the file."""
    first, rows = _loaded(path)
    return _settings(first, display_name(path)), rows


def _loaded(path: str | os.PathLike[str]) -> tuple[dict[str, Any], Held]:
    """The first line, and the rows."""
    name, rows = display_name(path), Held()
    pairs: dict[Slot, dict[str, Any]] = {}  # the last row of each metric
    try:
        with _open(path) as file, uncollected():
            first = _parsed(file.readline(), name, 1)
            _check_schema(first, name)
            if "settings" not in first and "spec" not in first:
                raise InputError(f"{name}: is not a journal of audiosim")
            if "spec" in first:
                file.seek(0)
            for bare, _ in _lines(file, name):
                row = _filled(bare)
                *pair, spec = slot(row)
                pairs.setdefault(tuple(pair), {})[spec] = rows.packed(row)
    except OSError as broken:
        raise InputError(f"{name}: cannot be read: {broken.strerror}") from None
    for metrics in pairs.values():
        rows.extend(metrics.values())
    return first, rows


def _filled(row: Mapping[str, Any]) -> dict[str, Any]:
    """The row, with the fields added that compare's rows lack."""
    if "key" in row:
        return dict(row)
    bare: dict[str, Any] = dict.fromkeys(
        ("group", "system", "rating", "higher_is_better", "start", "duration", "worst_s", "fault", "key")
    )
    fault = "input" if row["status"] == "error" and row["rate"] is None else None
    return bare | {
        "id": row["test"],
        "columns": {},
        "content": {"reference": None, "test": None},
        "fault": fault,
        **row,
    }


def _lines(file: Any, name: str) -> Iterator[tuple[dict[str, Any], int]]:
    """(row, its place) from here on; an unfinished last line is skipped."""
    offset = file.tell()
    for number, line in enumerate(file, 2):
        if not line.endswith(b"\n"):
            return
        yield _parsed(line, name, number), offset
        offset += len(line)


def _parsed(line: bytes, name: str, number: int) -> dict[str, Any]:
    try:
        row = json.loads(line)
    except ValueError:
        row = None
    if not isinstance(row, dict):
        raise InputError(f"{name}, line {number}: is not a row of audiosim; remove the line, or give another file")
    return row


def _check_schema(header: Mapping[str, Any], name: str) -> None:
    found = header.get("schema")
    if found != SCHEMA:
        what = (
            "is not a journal of audiosim" if found is None else f"has schema {found}, but this audiosim reads {SCHEMA}"
        )
        raise InputError(f"{name}: {what}; give another file, or use the version of audiosim that wrote it")


def _lock(file: Any, name: str, option: str) -> None:
    try:
        import fcntl
    except ImportError:  # Windows: whoever opens a file there for writing has it alone in practice
        return
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as broken:
        if broken.errno in (errno.EACCES, errno.EAGAIN):
            raise UsageError(
                f"{name}: another batch is writing it; wait for it, or give another file with {option}"
            ) from None
        # a file system without locks is no reason to stop
