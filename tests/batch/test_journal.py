"""The journal of a batch survives what kills a batch."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from audiosim.batch.journal import Journal, read, slot
from audiosim.errors import InputError, UsageError
from audiosim.judge.rows import to_jsonl

SETTINGS = {"rates": "error", "level": None}


def row(test: str, spec: str = "snr", value: float | None = 1.0, **other: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("system", "group", "rating", "higher_is_better", "start", "duration", "worst_s", "fault"))
    said = {"reference": "r.wav", "test": test, "id": test, "spec": spec, "value": value, "status": "ok", "key": "k"}
    content = {"reference": [1, 2, "d"], "test": None}
    return {"schema": 1, "columns": {}, "content": content, **blank, **said, **other}


def raw(path: Path) -> list[dict[str, Any]]:
    """The rows as any reader of the file sees them."""
    return [json.loads(line) for line in path.read_text().splitlines()[1:]]


def refused(*_: object) -> None:
    raise PermissionError(13, "no")


def test_what_is_written_is_there_at_once_and_after(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.write(row("a"))
        assert len(path.read_text().splitlines()) == 2
        journal.write(row("b"))
    with Journal(path, SETTINGS) as journal:
        assert [r["id"] for r in journal.rows()] == ["a", "b"]
        assert [r["id"] for r in journal.rows([slot(row("b")), slot(row("c")), slot(row("a"))])] == ["b", "a"]
        assert journal.contents["r.wav"].digest == "d"
        assert journal.repaired is None


def test_the_last_row_counts(tmp_path: Path) -> None:
    with Journal(tmp_path / "j", SETTINGS) as journal:
        for value in (1.0, 2.0):
            journal.write(row("a", value=value))
        assert journal.row(slot(row("a")))["value"] == 2.0
    assert [r["value"] for r in read(tmp_path / "j")] == [2.0]


def test_a_row_that_is_replaced_leaves_the_file(tmp_path: Path) -> None:
    """At the end of a batch, and when the next one begins after one that was killed."""
    path = tmp_path / "run.jsonl"
    with Journal(path, SETTINGS) as journal:
        for value, name in ((None, "a"), (2.0, "b"), (3.0, "a")):
            journal.write(row(name, value=value, status="ok" if value else "error"))
    assert [(r["id"], r["value"]) for r in raw(path)] == [("a", 3.0), ("b", 2.0)]
    killed = path.read_bytes() + to_jsonl([row("b", value=4.0)]).encode() + b'{"schema": 1, "id'
    path.write_bytes(killed)
    with Journal(path, SETTINGS) as journal:
        assert [(r["id"], r["value"]) for r in raw(path)] == [("a", 3.0), ("b", 4.0)]
        journal.write(row("c"))
        journal.replace([row("b", value=5.0), row("a", value=6.0)])
        assert [(r["id"], r["value"]) for r in raw(path)] == [("a", 6.0), ("b", 5.0), ("c", 1.0)]
        journal.write(row("d"))
        assert [r["id"] for r in journal.rows()] == ["a", "b", "c", "d"]
        assert journal.row(slot(row("d"))) == row("d")
        with pytest.raises(UsageError, match="another batch is writing it"):
            Journal(path, SETTINGS)
    assert [p.name for p in tmp_path.iterdir()] == ["run.jsonl"]


def test_rows_that_are_to_be_computed_again_leave_the_file_before(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.write(row("a", value=None, status="error"))
        journal.write(row("b"))
        journal.drop([slot(row("a")), slot(row("c"))])
        assert [r["id"] for r in raw(path)] == ["b"]
        assert slot(row("a")) not in journal.entries
        journal.write(row("a", value=2.0))
        assert [r["id"] for r in raw(path)] == ["b", "a"]  # whoever kills the batch now finds each row once
        assert [r["id"] for r in journal.rows([slot(row("a")), slot(row("b"))])] == ["a", "b"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="looks up what is open in /proc")
@pytest.mark.parametrize("refuses", [False, True])
def test_a_file_that_is_open_cannot_be_replaced_on_windows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refuses: bool
) -> None:
    """It is closed for that moment, and opened again whether that went well or not."""
    path, replace = tmp_path / "run.jsonl", Path.replace

    def as_windows(source: Path, target: Path) -> Path:
        held = {os.path.realpath(f"/proc/self/fd/{fd}") for fd in os.listdir("/proc/self/fd")}  # noqa: PTH208
        if refuses or {str(source), str(target)} & held:
            raise PermissionError(13, "is used by another process")
        return replace(source, target)

    monkeypatch.setattr("audiosim.batch.journal.SHARED", False)
    monkeypatch.setattr(Path, "replace", as_windows)
    with Journal(path, SETTINGS) as journal:
        for value, name in ((None, "a"), (2.0, "b")):
            journal.write(row(name, value=value, status="ok" if value else "error"))
        journal.drop([slot(row("a"))])
        journal.write(row("a", value=3.0))
        journal.replace([row("b", value=4.0)])
        journal.write(row("c", value=5.0))
        assert [r["value"] for r in journal.rows()] == ([3.0, 4.0, 5.0] if refuses else [4.0, 3.0, 5.0])
    names = ["a", "b", "a", "b", "c"] if refuses else ["b", "a", "c"]
    assert [r["id"] for r in raw(path)] == names
    assert [p.name for p in tmp_path.iterdir()] == ["run.jsonl"]


def test_where_the_file_cannot_be_written_anew_the_last_row_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "run.jsonl"
    monkeypatch.setattr(Path, "replace", refused)
    with Journal(path, SETTINGS) as journal:
        journal.write(row("a", value=1.0))
        journal.replace([row("a", value=2.0)])
        journal.write(row("b", value=3.0))
        assert [r["value"] for r in journal.rows()] == [2.0, 3.0]
    assert [r["value"] for r in raw(path)] == [1.0, 2.0, 3.0]
    assert [p.name for p in tmp_path.iterdir()] == ["run.jsonl"]


def test_a_link_to_a_journal_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "run.jsonl").symlink_to(tmp_path / "elsewhere" / "j")
    with Journal(tmp_path / "run.jsonl", SETTINGS) as journal:
        for value in (1.0, 2.0):
            journal.write(row("a", value=value))
    assert (tmp_path / "run.jsonl").is_symlink()
    assert [r["value"] for r in raw(tmp_path / "elsewhere" / "j")] == [2.0]


@pytest.mark.parametrize("room", [1, 40, 300])
def test_a_full_disk_leaves_whole_rows(tmp_path: Path, room: int) -> None:
    """A limit on the size of the file takes part of a row, as a full disk does."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "run.jsonl"
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    with Journal(path, SETTINGS) as journal:
        journal.write(row("a"))
        size = path.stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size + room, before[1]))
        try:
            with pytest.raises(OSError, match="too large"):
                journal.write(row("b" * 400))
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        assert path.stat().st_size == size
        journal.write(row("c"))
    assert [r["id"] for r in raw(path)] == ["a", "c"]


@pytest.mark.parametrize("path", ["/dev/null", "/dev/full", "/dev/stdout", "folder", "pipe", "-", ""])
def test_what_is_no_file_is_no_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    os.mkfifo("pipe")
    if path == "/dev/stdout" and Path(path).is_file():
        pytest.skip("standard output is a file here")
    for resume in (True, False):
        with pytest.raises(UsageError, match=f"^-o {path or repr('')}: is "):
            Journal(path, SETTINGS, resume=resume)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["folder", "pipe"]


def test_a_torn_line_is_cut_off_and_the_rest_kept(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.write(row("a"))
        journal.write(row("b"))
    whole = path.read_bytes()
    for cut in (1, 5, 100):
        path.write_bytes(whole[:-cut])
        assert [r["id"] for r in read(path)] == ["a"]
        with Journal(path, SETTINGS) as journal:
            assert "an unfinished last line" in str(journal.repaired)
            journal.write(row("c"))
        assert [r["id"] for r in read(path)] == ["a", "c"]
    for line in path.read_text().splitlines():
        json.loads(line)


@pytest.mark.parametrize("left", [0, 3, 20])
def test_a_header_torn_in_the_middle_is_written_anew(tmp_path: Path, left: int) -> None:
    path = tmp_path / "run.jsonl"
    Journal(path, SETTINGS).close()
    path.write_bytes(path.read_bytes()[:left])
    with Journal(path, SETTINGS) as journal:
        journal.write(row("a"))
    assert [r["id"] for r in read(path)] == ["a"]


def test_other_files_are_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    for text in ("my notes\nthe last line", '{"a": 1}\n{"b": 2', "[]\n", '{"schema": 1}\n'):
        path.write_text(text)
        with pytest.raises(InputError, match=r"notes\.txt"):
            Journal(path, SETTINGS)
        assert path.read_text() == text


@pytest.mark.parametrize("schema", [0, 99])
def test_another_schema_is_refused_with_its_number(tmp_path: Path, schema: int) -> None:
    path = tmp_path / "old.jsonl"
    path.write_text(json.dumps({"schema": schema, "settings": SETTINGS}) + "\n")
    for use in (lambda: Journal(path, SETTINGS), lambda: list(read(path))):
        with pytest.raises(InputError, match=f"has schema {schema}, but this audiosim reads 1"):
            use()


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    Journal(path, SETTINGS).close()
    with pytest.raises(UsageError, match=r"made with rates=error \(now resample\)"):
        Journal(path, {**SETTINGS, "rates": "resample"})


def test_beginning_anew_keeps_the_old_one(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.write(row("a"))
    with Journal(path, SETTINGS, resume=False) as journal:
        assert not journal.entries
    assert [r["id"] for r in read(tmp_path / "run.jsonl.old")] == ["a"]


def test_two_at_once_are_refused(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    path = tmp_path / "run.jsonl"
    with Journal(path, SETTINGS), pytest.raises(UsageError, match="another batch is writing it"):
        Journal(path, SETTINGS)
    Journal(path, SETTINGS).close()


def test_a_line_in_the_middle_that_is_no_row(tmp_path: Path) -> None:
    path = tmp_path / "run.jsonl"
    with Journal(path, SETTINGS) as journal:
        journal.write(row("a"))
    path.write_text(path.read_text() + "oops\n")
    for use in (lambda: Journal(path, SETTINGS), lambda: list(read(path))):
        with pytest.raises(InputError, match="line 3: is not a row"):
            use()
    with pytest.raises(InputError, match="cannot be read"):
        list(read(tmp_path / "none"))
    with pytest.raises(UsageError, match="cannot be written"):
        Journal(tmp_path / "no" / "folder", SETTINGS)


def test_what_compare_writes_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "compare.jsonl"
    bare = {"schema": 1, "reference": "r", "test": "t", "rate": 8000, "spec": "snr", "value": 1.0, "status": "ok"}
    path.write_text(json.dumps(bare) + "\n")
    (found,) = read(path)
    assert (found["id"], found["system"], found["fault"], found["value"]) == ("t", None, None, 1.0)
