"""Rows of a batch as csv, tsv, json, jsonl and Parquet: nothing lost, nothing run."""

from __future__ import annotations

import csv
import io
import json
import sys
from math import inf

import pytest

from audiosim.cli import formats
from audiosim.errors import MissingExtra
from audiosim.judge.rows import number
from audiosim.judge.summary import summarise
from tests.batches import row

NASTY = ["=1+1", "+cmd", "-x", "@SUM(A1)", "\tx", "\rx", "\nx", "'quoted", 'a"b,c', "fine.wav", "ünï☃"]


def rows():
    return [
        row("a", value=0.1, columns={"codec": "opus", "value": "mine"}, rating=3.5, worst_s=0.25),
        row("b", "si-sdr", inf, "two", columns={"codec": "=1+1"}),
        row("c", status="undefined", gates=[{"require": "mr-stft<1", "passed": False}], per_band=[1.0, None]),
    ]


def test_csv_runs_no_formula():
    made = [row(name, value=-1.5, columns={"x": "-3", "y": name}) for name in NASTY]
    table = list(csv.DictReader(io.StringIO(formats.batch_text(made, "csv", ["x", "y"]), newline="")))
    assert len(table) == len(NASTY)
    for line, name in zip(table, NASTY, strict=True):
        for cell in (line["id"], line["y"]):
            assert cell[0] not in "=+-@\t\r\n"
            assert (cell[1:] if cell.startswith("'") else cell) == name
        assert line["value"] == "-1.5"
        assert line["x"] == "-3"


def test_the_manifests_columns_come_last_and_hide_none_of_ours():
    for form, delimiter in (("csv", ","), ("tsv", "\t")):
        text = formats.batch_text(rows(), form, ["codec", "value"])
        a, b, c = csv.DictReader(io.StringIO(text), delimiter=delimiter)
        assert list(a)[-2:] == ["codec", "columns.value"]
        assert (a["value"], a["columns.value"], a["codec"], a["worst_s"]) == ("0.1", "mine", "opus", "0.25")
        assert (b["system"], b["status"], b["value"], b["reason"]) == ("two", "infinite", "inf", "+inf")
        assert (c["status"], c["value"], c["codec"], c["rating"]) == ("undefined", "nan", "", "")
    assert [json.loads(x) for x in formats.batch_text(rows(), "jsonl", []).splitlines()] == rows()


def test_json_is_one_strict_object():
    text = formats.batch_json(
        rows(), {"rate": "error"}, summary=summarise(rows()).data(), gates=[{"value": inf}], baseline=None
    )
    data = json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert list(data) == ["schema", "audiosim", "settings", "summary", "gates", "baseline", "rows"]
    assert data["rows"] == rows()
    assert data["summary"]["scores"][0]["mean"] == 0.1
    assert data["gates"] == [{"value": None}]
    assert json.loads(formats.batch_json([], {}))["rows"] == []


def test_parquet_holds_all_of_it():
    pq = pytest.importorskip("pyarrow.parquet")
    table = pq.read_table(io.BytesIO(formats.to_parquet(iter(rows()), ["codec", "value"]))).to_pylist()
    assert len(table) == 3
    for got, made in zip(table, rows(), strict=True):
        value = number(made)
        assert got["value"] == (value if value == value else None)
        for name in ("id", "system", "spec", "metric_version", "rating", "worst_s", "status", "reason", "rate"):
            assert got[name] == made[name]
        for name in ("gates", "options", "match", "per_channel"):
            assert json.loads(got[name]) == made[name]
        assert got["map"] is None
        assert (got["codec"], got["columns.value"]) == (made["columns"].get("codec"), made["columns"].get("value"))
    assert json.loads(table[2]["per_band"]) == [1.0, None]
    assert pq.read_table(io.BytesIO(formats.to_parquet([], []))).num_rows == 0


def test_parquet_holds_metrics_from_outside():
    """Their version is a number and a digest."""
    parquet = pytest.importorskip("pyarrow.parquet")
    made = formats.to_parquet([row("a", metric_version="3-0123456789abcdef"), row("b", metric_version=2)], ())
    assert parquet.read_table(io.BytesIO(made))["metric_version"].to_pylist() == [3, 2]


def test_parquet_needs_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtra, match=r"pip install 'audiosim\[parquet\]'"):
        formats.to_parquet([], [])
