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

import numpy as np
from numpy.typing import NDArray

from audiosim import compare, load
from audiosim.hearing.support_vectors import installed_model
from audiosim.result import Result

SHARED = Path(__file__).parent.parent.parent / "shared"
Oracle = Mapping[str, Any]
Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Recorded:
    """One column of numbers.

    pairs: the oracles by name. read: (our answer, oracle) -> pairs of numbers (ours, theirs).
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
    bands: bool = False  # whether read looks at per_band

    def numbers(self) -> Iterator[tuple[str, float, float]]:
        """(pair, ours, theirs) for every pair whose two files are there."""
        for name, oracle in self.pairs().items():
            if name in self.but:
                continue
            ref, test = (load(SHARED / oracle[end]) for end in ("ref", "test"))
            detail: Any = "profile" if self.bands else "value"
            keep: Any = {"rates": "resample", "channels": "match", "length": "keep"}
            (result,) = compare(ref, test, self.spec, detail=detail, band_edges="bins", jobs=1, **keep).values()
            for ours, theirs in self.read(result, oracle):
                yield name, ours, theirs

    def excess(self, ours: float, theirs: float) -> float:
        """The deviation as a share of what is allowed."""
        return abs(ours - theirs) / max(self.absolute, self.relative * abs(theirs))


def speech() -> Iterator[tuple[str, Array, Array, Oracle]]:
    """Name, reference and test [1, sample] in float64 at 16 kHz, cut to the shorter, and the values of all programs."""
    file = SHARED / "oracles" / "speech.json"
    for name, pair in (json.loads(file.read_text())["pairs"] if file.exists() else {}).items():
        ref, test = (load(SHARED / "audio" / "speech" / pair[end]).samples.astype(np.float64) for end in ("ref", "deg"))
        n = min(ref.shape[1], test.shape[1])
        yield name, ref[:, :n], test[:, :n], pair["metrics"]


@cache
def peaq_pairs() -> dict[str, Oracle]:
    """By name; none where the folder is not there."""
    file = SHARED / "oracles" / "peaq.json"
    return json.loads(file.read_text())["pairs"] if file.exists() else {}


def visqol_pairs(mode: str, key: str = "measured", option: str = "") -> Callable[[], dict[str, Oracle]]:
    """Those of ViSQOL's own recordings that were measured in this mode with this option."""

    def pairs() -> dict[str, Oracle]:
        file = SHARED / "oracles" / "visqol_zimtohrli.json"
        found = {}
        for pair in json.loads(file.read_text())["pairs"] if file.exists() else ():
            files = {new: f"audio/visqol/{Path(pair[old]).stem}.flac" for new, old in (("ref", "ref"), ("test", "deg"))}
            wanted = mode in (pair["mode"], "any") and (mode == "any" or option == "".join(pair["options"]))
            if wanted and "error" not in pair[key] and all((SHARED / f).exists() for f in files.values()):
                found[f"{files['ref']} {files['test']} {pair['mode']}"] = {**pair, **files}
        return found

    return pairs


def similarities(result: Result, oracle: Oracle) -> list[tuple[float, float]]:
    """vnsim and NSIM by band."""
    assert result.per_band is not None
    theirs = oracle["measured"]
    return [(result.details["vnsim"], theirs["vnsim"]), *zip(result.per_band, theirs["fvnsim"], strict=True)]


def variables(result: Result, oracle: Oracle) -> list[tuple[float, float]]:
    """The 11 model output variables; None: not a number in the original."""
    theirs = oracle["gstpeaq_basic"]["MOV"]
    return [(result.details[name.removesuffix("B")], value) for name, value in theirs.items() if value is not None]


def advanced_variables(result: Result, oracle: Oracle) -> list[tuple[float, float]]:
    """The 5 model output variables."""
    theirs = oracle["gstpeaq_advanced"]["MOV"]
    return [(result.details[name[:-1]], value) for name, value in theirs.items()]


def of(*path: str) -> Callable[[Result, Oracle], list[tuple[float, float]]]:
    """The value beside the number at this place of the oracle."""

    def read(result: Result, oracle: Oracle) -> list[tuple[float, float]]:
        number: Any = oracle
        for key in path:
            number = number[key]
        return [] if number is None else [(result.value, number)]

    return read


GSTPEAQ, VISQOL, ZIMTOHRLI = "GstPEAQ 0.6.1", "ViSQOL 38d0b01", "Zimtohrli ff5f049"
PADDED = ("contrabassoon48_stereo_24kbps_aac", "harpsichord48_stereo_96kbps_mp3")  # by it, and not by us: all but ODG
RECORDED = [
    Recorded("peaq", "ODG", GSTPEAQ, peaq_pairs, of("gstpeaq_basic", "ODG"), 1e-3),
    Recorded("peaq", "11 variables", GSTPEAQ, peaq_pairs, variables, 1e-6, 1e-5, PADDED),
    Recorded("peaq-advanced", "ODG", GSTPEAQ, peaq_pairs, of("gstpeaq_advanced", "ODG"), 5e-3),
    Recorded("peaq-advanced", "5 variables", GSTPEAQ, peaq_pairs, advanced_variables, 1e-6, 1e-5, PADDED),
    Recorded("nmr", "TotalNMR", GSTPEAQ, peaq_pairs, of("gstpeaq_basic", "MOV", "TotalNMRB"), 1e-6, 1e-5, PADDED),
    Recorded("two-f", "MMS", "formula on PEAQ's variables", peaq_pairs, of("two_f_model_MMS_from_prototype"), 0.05),
    Recorded("zimtohrli", "distance", ZIMTOHRLI, visqol_pairs("any", "zimtohrli"), of("zimtohrli", "distance"), 1e-6),
    Recorded("visqol:output=vnsim", "vnsim, 32 bands", VISQOL, visqol_pairs("audio"), similarities, 1e-6, bands=True),
    Recorded("visqol-speech", "vnsim, 21 bands", VISQOL, visqol_pairs("speech"), similarities, 1e-6, bands=True),
    Recorded("visqol-speech", "MOS-LQO", VISQOL, visqol_pairs("speech"), of("measured", "moslqo"), 1e-3),
    Recorded(
        *("visqol-speech:scale=unscaled", "MOS-LQO", VISQOL, visqol_pairs("speech", option="--unscaled")),
        of("measured", "moslqo"),
        1e-3,
    ),
]
if MODEL := installed_model():  # the original's, of the extra visqol; it is not ours to ship
    RECORDED.append(
        Recorded(f"visqol:model={MODEL}", "MOS-LQO", VISQOL, visqol_pairs("audio"), of("measured", "moslqo"), 1e-3)
    )
