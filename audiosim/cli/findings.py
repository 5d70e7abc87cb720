"""What failed in a batch, the worst first, for annotations, Markdown and stderr."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import inf, isfinite, isnan, nan
from typing import Any

from ..judge.gates import FAMILIAR, Change, Verdict
from ..judge.rows import VERDICT, Row
from .words import about, amount, told


@dataclass(frozen=True, slots=True)
class Finding:
    """title: what failed; about: the pair, and its system where there is one; text: how, in one line.

    file: the test recording, None where the batch as a whole failed. weight: to sort by, more is worse.
    """

    title: str
    about: str
    text: str
    file: str | None
    weight: tuple[int, float]

    @property
    def line(self) -> str:
        """All of it but the file, for people."""
        return ": ".join(filter(None, (self.about, self.title, self.text)))


def findings(rows: Iterable[Row], verdicts: Sequence[Verdict] = (), changes: Iterable[Change] = ()) -> list[Finding]:
    """What failed, the worst first. verdicts: on gates over the batch; changes: against a baseline.

    First come the gates over the batch, then what could not be compared, then gates on pairs and changes, by how far
    they missed, as a share of the limit or of the old value. What fails alike for every metric is told once.
    """
    found: dict[tuple[str, str, str], Finding] = {}
    tests: dict[tuple[str, str | None], str] = {}
    for verdict in verdicts:
        if not verdict.passed:
            title = f"gate failed: {verdict.gate.text}"
            _tell(found, Finding(title, about(verdict.system), missed(verdict), None, (3, 0)))
    for row in rows:
        pair = row.get("id") or row["test"], row.get("system")
        tests[pair] = row["test"]
        for finding in _of_row(row, about(*pair)):
            _tell(found, finding)
    for change in changes:
        if not change.passed:
            pair = change.id, change.system
            title = f"{change.spec} against the baseline"
            _tell(found, Finding(title, about(*pair), told(change), tests.get(pair), (1, change.severity)))
    return sorted(found.values(), key=lambda f: f.weight, reverse=True)


def missed(verdict: Verdict) -> str:
    """How a verdict on a gate came about, in a few words."""
    from .. import metrics

    unit = "1" if verdict.gate.familiar else metrics.scale(verdict.gate.spec).unit
    return _missed(verdict.value, verdict.missed_by, unit, verdict.reason)


def unmet(gate: Row, unit: str) -> str:
    """The same of a gate in a row; of one on the verdict, what it is."""
    if gate["spec"] == VERDICT:
        return str(gate["reason"])
    unit = "1" if gate["require"].lstrip().startswith(FAMILIAR) else unit
    return _missed(_number(gate["value"]), _number(gate["missed_by"]), unit, gate["reason"])


def _of_row(row: Row, of: str) -> Iterator[Finding]:
    if row["status"] == "error":
        spec = "" if row["rate"] is None else f"{row['spec']}: "
        yield Finding("not compared", of, f"{spec}{row['reason']}", row["test"], (2, 0))
        return
    for gate in row["gates"]:
        if not gate["passed"]:
            by = _number(gate["missed_by"])
            limit = abs(float(re.split("[<>=]+", gate["require"])[-1])) if gate["spec"] != VERDICT else 0.0
            weight = inf if isnan(by) else by / limit if limit else by
            yield Finding(f"gate failed: {gate['require']}", of, unmet(gate, row["unit"]), row["test"], (1, weight))


def _missed(value: float, by: float, unit: str, reason: str | None) -> str:
    found = "" if isnan(value) else amount(value, unit)
    far = f"missed by {amount(by, unit)}" if isfinite(by) and by else ""
    return ", ".join(filter(None, (found, far, reason))) or "no value"


def _number(value: Any) -> float:
    return nan if value is None else float(value)


def _tell(found: dict[tuple[str, str, str], Finding], finding: Finding) -> None:
    line = " ".join(finding.text.split())
    key = (finding.title, finding.about, line)
    found.setdefault(key, Finding(finding.title, finding.about, line, finding.file, finding.weight))
