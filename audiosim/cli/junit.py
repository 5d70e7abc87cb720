"""JUnit XML, as Jenkins, GitLab and others read it: what pytest's own report is made of.

The schema is Jenkins' junit-10.xsd: testsuites > testsuite > testcase > skipped | error | failure, system-out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isnan
from xml.sax.saxutils import escape, quoteattr

from ..judge.gates import Change, Verdict
from ..judge.rows import VERDICT, Row, number
from .findings import missed, unmet
from .words import about, happened, told

# What XML 1.0 cannot hold, not even as a reference.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(slots=True)
class _Suite:
    cases: list[str] = field(default_factory=list)
    count: dict[str, int] = field(default_factory=lambda: {"failure": 0, "error": 0, "skipped": 0})

    def add(self, classname: str, name: str, out: str, kind: str | None = None, type: str = "", text: str = "") -> None:
        parts = [f'<testcase classname={_quoted(classname)} name={_quoted(name)} time="0">']
        if kind is not None:
            self.count[kind] += 1
            message = " ".join(text.split())
            parts.append(f"<{kind} type={_quoted(type)} message={_quoted(message)}>{_plain(text)}</{kind}>")
        if out:
            parts.append(f"<system-out>{_plain(out)}</system-out>")
        self.cases.append("".join((*parts, "</testcase>\n")))

    def text(self, name: str, seconds: float, timestamp: str, hostname: str) -> str:
        numbers = {"tests": len(self.cases), "failures": self.count["failure"], "errors": self.count["error"]}
        numbers["skipped"] = self.count["skipped"]
        counts = " ".join(f'{k}="{v}"' for k, v in numbers.items())
        head = f'<testsuite name={_quoted(name)} {counts} time="{seconds:.3f}"'
        when = f" timestamp={_quoted(timestamp)} hostname={_quoted(hostname)}>\n"
        return "".join((head, when, *self.cases, "</testsuite>\n"))


def to_junit(
    rows: Iterable[Row],
    verdicts: Sequence[Verdict] = (),
    changes: Iterable[Change] = (),
    *,
    seconds: float = 0.0,
    timestamp: str,
    hostname: str,
) -> str:
    """The rows as test cases, a suite for each system.

    verdicts: on gates over the batch, a suite of their own; changes: against a baseline, likewise.

    A case is a gate on a pair, or, where a metric has none, the metric on the pair: a gate that does not hold is a
    failure, a pair that could not be compared an error, and an undefined metric that nothing was asked of is skipped.
    seconds: how long all of it took, for every suite; timestamp: when it began, ISO 8601 without zone.
    """
    suites: dict[str, _Suite] = {}

    def suite(name: str) -> _Suite:
        return suites.setdefault(name, _Suite())

    for row in rows:
        _add_row(suite(f"audiosim {about(row.get('system'))}".strip()), row)
    for verdict in verdicts:
        name = " ".join(filter(None, (verdict.gate.text, about(verdict.system))))
        kind = None if verdict.passed else "failure"
        suite("audiosim gates").add("batch", name, "", kind, "gate", missed(verdict))
    for change in changes:
        kind = None if change.passed else "failure"
        name = f"{change.spec} against the baseline"
        suite("audiosim baseline").add(about(change.id, change.system), name, "", kind, "baseline", told(change))
    total = {kind: sum(s.count[kind] for s in suites.values()) for kind in ("failure", "error")}
    cases = sum(len(s.cases) for s in suites.values())
    return "".join(
        (
            '<?xml version="1.0" encoding="utf-8"?>\n',
            f'<testsuites name="audiosim" tests="{cases}" failures="{total["failure"]}" errors="{total["error"]}"',
            f' time="{seconds:.3f}">\n',
            *(s.text(name, seconds, timestamp, hostname) for name, s in suites.items()),
            "</testsuites>\n",
        )
    )


def _add_row(suite: _Suite, row: Row) -> None:
    classname = about(row.get("id") or row["test"])
    out = "".join(f"{line}\n" for line in _facts(row))
    asked = row["gates"]
    if all(gate["spec"] == VERDICT for gate in asked):
        asked = [{"require": row["spec"], "spec": row["spec"], "passed": True}, *asked]
    for gate in asked:
        name, status = gate["require"], row["status"]
        if gate["spec"] == VERDICT:  # which does not ask for the metric, only for the pair
            status = "error" if row["rate"] is None else "ok"
        if status == "error":
            suite.add(classname, name, out, "error", "error", row["reason"] or "")
        elif not gate["passed"]:
            suite.add(classname, name, out, "failure", "gate", unmet(gate, row["unit"]))
        elif status == "undefined":
            suite.add(classname, name, out, "skipped", "undefined", row["reason"] or "")
        else:
            suite.add(classname, name, out)


def _facts(row: Row) -> Iterator[str]:
    value = number(row)
    yield f"{row['spec']}={'' if isnan(value) else repr(value)}"
    for name in ("unit", "reading", "reference", "test", "group", "worst_s"):
        if row.get(name) not in (None, ""):  # no reference
            yield f"{name}={row[name]}"
    for name, sentence in happened(row):
        yield f"{name}={sentence}"
    for name, text in (row.get("columns") or {}).items():
        yield f"{name}={text}"


def _plain(text: str) -> str:
    return escape(_FORBIDDEN.sub("\ufffd", text))


def _quoted(text: str) -> str:
    return quoteattr(_FORBIDDEN.sub("\ufffd", text), {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"})
