"""The journal of a batch survives what kills a batch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from audiosim.batch.journal import Journal, read, slot
from audiosim.errors import InputError, UsageError

SETTINGS = {"rates": "error", "level": None}


def row(test: str, spec: str = "snr", value: float | None = 1.0, **other: Any) -> dict[str, Any]:
    blank = dict.fromkeys(("system", "group", "rating", "higher_is_better", "start", "duration", "worst_s", "fault"))
    said = {"reference": "r.wav", "test": test, "id": test, "spec": spec, "value": value, "status": "ok", "key": "k"}
    content = {"reference": [1, 2, "d"], "test": None}
    return {"schema": 1, "columns": {}, "content": content, **blank, **said, **other}


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
