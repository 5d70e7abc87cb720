"""tests/benchmarks/other_packages.md: what stands there is here, and nothing of the other packages is left out."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest

from audiosim import metrics
from audiosim.sets.compared import NUMBERS
from audiosim.trained import weights

TEXT = (Path(__file__).parent / "benchmarks/other_packages.md").read_text(encoding="utf-8")
SPEC = re.compile(r"`([^`]+)`")


def tables() -> dict[str, list[list[str]]]:
    """Cells of the rows, by the heading above."""
    found: dict[str, list[list[str]]] = {}
    heading = ""
    for line in TEXT.splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("| ") and not line.startswith(
            ("| row", "| torchmetrics |", "| museval,", "| spafe,", "| auraloss |")
        ):
            found.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def test_every_spec_is_one() -> None:
    cells = [row[-2] for rows in tables().values() for row in rows]
    specs = [spec for cell in cells for spec in SPEC.findall(cell) if not spec.startswith("audiosim ")]
    assert len(specs) > 40
    for spec in specs:
        metrics.parse(spec)


def test_a_row_without_a_metric_says_why() -> None:
    for rows in tables().values():
        for row in rows:
            assert SPEC.search(row[-2]) or (row[-2] in ("no", "audiosim") and row[-1]), row
            for name in SPEC.findall(row[-1]):
                model = name.removeprefix("audiosim models get ")
                if model != name:
                    assert model in weights.models(), row
                elif name not in (*NUMBERS, "divergence") and not name.startswith("-"):
                    assert metrics.parse(name), row


def test_all_rows_of_versa() -> None:
    parts = {"Of one recording": 55, "Of a pair": 29, "Of recordings that need not match": 16, "Of collections": 5}
    for part, count in parts.items():
        assert [int(row[0]) for row in tables()[part]] == list(range(1, count + 1))


def test_all_of_torchmetrics() -> None:
    peer = pytest.importorskip("torchmetrics.audio")
    optional = {
        "DeepNoiseSuppressionMeanOpinionScore",
        "NonIntrusiveSpeechQualityAssessment",
        "PerceptualEvaluationSpeechQuality",
        "SpeechReverberationModulationEnergyRatio",
    }
    assert {*peer.__all__, *optional} == {row[0] for row in tables()["torchmetrics"]}


def test_all_losses_of_auraloss() -> None:
    peer: Any = pytest.importorskip("auraloss")
    modules = (peer.time, peer.freq, peer.perceptual)
    theirs = {n for m in modules for n, c in inspect.getmembers(m, inspect.isclass) if c.__module__ == m.__name__}
    assert theirs == {row[0] for row in tables()["auraloss"]}
