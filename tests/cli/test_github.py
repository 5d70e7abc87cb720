"""Annotations and step summaries of GitHub Actions, by its documentation of workflow commands."""

from __future__ import annotations

import pytest

from audiosim.cli import github
from audiosim.cli.findings import Finding, findings
from audiosim.judge import gates
from tests.batches import row


def failed(id, value, limit=1.0, **fields):
    gate = {
        "require": f"mr-stft<={limit}", "spec": "mr-stft", "value": value, "passed": False,
        "missed_by": value - limit, "reason": None,
    }  # fmt: skip
    return row(id, value=value, gates=[gate], **fields)


def test_the_worst_come_first():
    rows = [
        failed("a", 1.5),
        row("b", status="error", rate=None),
        row("b", "mse", status="error", rate=None),
        failed("c", 3.0),
        row("fine"),
        row("d", "mse", 2.0),
    ]
    verdicts = gates.judge_batch([gates.parse("mean(mr-stft)<=0.8", batch=True)], [rows[0], rows[3]])
    changes = gates.compare_with_baseline([rows[-1]], [row("d", "mse", 1.0)])
    found = findings(rows, verdicts, changes)
    assert [f.line for f in found] == [
        "gate failed: mean(mr-stft)<=0.8: 2.25, missed by 1.45",
        "b: not compared: made up as error",  # once, though two metrics say so
        "c: gate failed: mr-stft<=1.0: 3, missed by 2",
        "d: mse against the baseline: 1 is now 2, worse by 1",
        "a: gate failed: mr-stft<=1.0: 1.5, missed by 0.5",
    ]
    assert [f.file for f in found] == [None, "test/b", "test/c", "test/d", "test/a"]


def test_nothing_failed():
    assert findings([row("a"), row("b", status="undefined")]) == []
    assert github.workflow_commands([]) == ""


def test_ten_annotations_and_a_count():
    text = github.workflow_commands(findings(failed(f"{i:02}", 2.0 + i) for i in range(14)), {})
    lines = text.splitlines()
    assert len(lines) == 11
    assert lines[0] == ("::error title=audiosim%3A gate failed%3A mr-stft<=1.0,file=test/13::13: 15, missed by 14")
    assert lines[-1] == "::notice title=audiosim::4 more failed; the step summary tells more"


def test_nothing_breaks_out_of_an_annotation():
    bad = "x::error::y\n::set-output name=a::b\r100%, a:b"
    text = github.workflow_commands([Finding("gate, failed: 1%", bad, bad, bad, (0, 0.0))], {})
    assert text.count("\n") == 1
    head, message = text[len("::error ") :].split("::", 1)
    title, file = head.split(",")
    assert title == "title=audiosim%3A gate%2C failed%3A 1%25"
    assert file == "file=x%3A%3Aerror%3A%3Ay%0A%3A%3Aset-output name=a%3A%3Ab%0D100%25%2C a%3Ab"
    assert message.count("%0A") == 2
    assert message.endswith("100%25, a:b\n")


def test_files_are_named_from_the_workspace():
    def file(path):
        return github.workflow_commands([Finding("t", "", "", path, (0, 0.0))], {"GITHUB_WORKSPACE": "/home/me/work"})

    assert "file=out/a.wav::" in file("/home/me/work/out/a.wav")
    assert "file=/elsewhere/a.wav::" in file("/elsewhere/a.wav")
    assert "file=out/a.wav::" in file("out/a.wav")


def test_a_step_summary_is_appended_and_never_too_long(tmp_path):
    path = tmp_path / "summary.md"
    environment = {"GITHUB_STEP_SUMMARY": str(path)}
    path.write_text("before\n")
    github.write_step_summary("one\n", environment)
    assert path.read_text() == "before\none\n"
    github.write_step_summary("a line of the table ☃\n" * 60000, environment)
    data = path.read_bytes()
    assert github.CAP - 100 < len(data) <= github.CAP
    assert data.endswith(f"☃\n{github.CUT}".encode())
    github.write_step_summary("no more\n" * 20, environment)
    assert path.stat().st_size <= github.CAP
    github.write_step_summary("nowhere", {})
    github.write_step_summary("nowhere", {"GITHUB_STEP_SUMMARY": str(tmp_path / "none" / "summary.md")})


@pytest.mark.parametrize(("value", "answer"), [("true", True), ("false", False), ("", False)])
def test_only_in_a_workflow(value, answer):
    assert github.wanted({"GITHUB_ACTIONS": value}) is answer
    assert not github.wanted({})
