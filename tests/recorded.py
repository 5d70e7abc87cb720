"""Values of foreign programs, in ../shared/oracles beside the checkout: who gave them, and how far ours may be.

tests/metrics/test_recorded.py holds every one to its tolerance, tests/benchmarks/hearing_models.py prints the table.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from audiosim import compare, load
from audiosim.result import Result

SHARED = Path(__file__).parent.parent.parent / "shared"
Oracle = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One column of numbers.

    folder: of the oracles, a function below. read: (our answer, oracle) -> pairs of numbers (ours, theirs).
    A number passes when it is within relative * |theirs| or within absolute. but: pairs that are left out.
    """

    spec: str
    what: str
    program: str
    pairs: Callable[[], Mapping[str, Oracle]]
    read: Callable[[Result, Oracle], list[tuple[float, float]]]
    absolute: float
    relative: float = 0.0
    but: tuple[str, ...] = ()

    def numbers(self) -> Iterator[tuple[str, float, float]]:
        """(pair, ours, theirs) for every pair whose two files are there."""
        for name, oracle in self.pairs().items():
            if name in self.but:
                continue
            ref, test = (load(SHARED / oracle[end]) for end in ("ref", "test"))
            result = compare(ref, test, self.spec, length="keep", jobs=1)[self.spec]
            for ours, theirs in self.read(result, oracle):
                yield name, ours, theirs

    def excess(self, ours: float, theirs: float) -> float:
        """The deviation as a share of what is allowed."""
        return abs(ours - theirs) / max(self.absolute, self.relative * abs(theirs))


@cache
def peaq_pairs() -> dict[str, Oracle]:
    """By name; none where the folder is not there."""
    file = SHARED / "oracles" / "peaq.json"
    return json.loads(file.read_text())["pairs"] if file.exists() else {}


def variables(result: Result, oracle: Oracle) -> list[tuple[float, float]]:
    """The 11 model output variables; None: not a number in the original."""
    theirs = oracle["gstpeaq_basic"]["MOV"]
    return [(result.details[name.removesuffix("B")], value) for name, value in theirs.items() if value is not None]


def of(*path: str) -> Callable[[Result, Oracle], list[tuple[float, float]]]:
    """The value beside the number at this place of the oracle."""

    def read(result: Result, oracle: Oracle) -> list[tuple[float, float]]:
        number: Any = oracle
        for key in path:
            number = number[key]
        return [] if number is None else [(result.value, number)]

    return read


GSTPEAQ = "GstPEAQ 0.6.1"
PADDED = ("contrabassoon48_stereo_24kbps_aac", "harpsichord48_stereo_96kbps_mp3")  # by it, and not by us: all but ODG
RECORDED = [
    Recorded("peaq", "ODG", GSTPEAQ, peaq_pairs, of("gstpeaq_basic", "ODG"), 1e-3),
    Recorded("peaq", "11 variables", GSTPEAQ, peaq_pairs, variables, 1e-6, 1e-5, PADDED),
    Recorded("nmr", "TotalNMR", GSTPEAQ, peaq_pairs, of("gstpeaq_basic", "MOV", "TotalNMRB"), 1e-6, 1e-5, PADDED),
    Recorded("two-f", "MMS", "formula on PEAQ's variables", peaq_pairs, of("two_f_model_MMS_from_prototype"), 0.05),
]
