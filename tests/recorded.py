"""Values of foreign programs, in ../shared/oracles beside the checkout: who gave them, and how far ours may be.

tests/metrics/test_recorded.py holds every one of RECORDED to its tolerance, tests/benchmarks/hearing_models.py prints
the table. Those of SPEECH are many; the tests of each metric take some, tests/benchmarks/speech.py all.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from math import isfinite
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiosim import compare, load, metrics
from audiosim.models.visqol.support_vectors import installed_model
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
    length: str = "keep"  # match.Policy's
    double: bool = False  # whether they were given in float64

    def numbers(self) -> Iterator[tuple[str, float, float]]:
        """(pair, ours, theirs) for every pair whose two files are there."""
        for name, oracle in self.pairs().items():
            if name in self.but:
                continue
            ref, test = (load(SHARED / oracle[end]) for end in ("ref", "test"))
            if self.double:
                ref, test = (replace(s, samples=s.samples.astype(np.float64)) for s in (ref, test))
            detail: Any = "profile" if self.bands else "value"
            keep: Any = {"rates": "resample", "channels": "match", "length": self.length}
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


def speech_pairs(key: str) -> Callable[[], dict[str, Oracle]]:
    """Those for which this program gave a number, or a list of them."""

    def pairs() -> dict[str, Oracle]:
        file, folder = SHARED / "oracles" / "speech.json", "audio/speech/"
        found = json.loads(file.read_text())["pairs"] if file.exists() else {}
        return {
            name: {**pair, "ref": folder + pair["ref"], "test": folder + pair["deg"]}
            for name, pair in found.items()
            if isinstance(pair["metrics"].get(key), float | list)
        }

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


def column(
    spec: str, program: str, key: str, absolute: float, place: int | None = None, relative: float = 0.0
) -> Recorded:
    """A column of oracles/speech.json; place: in a list of numbers. Lengths are trimmed where the metric needs it."""

    def read(result: Result, oracle: Oracle) -> list[tuple[float, float]]:
        theirs = oracle["metrics"][key]
        number = theirs if place is None else theirs[place]
        return [(result.value, number)] if isinstance(number, float) and isfinite(number) else []

    length = "keep" if metrics.get(spec.partition(":")[0]).card.lengths == "any" else "trim"
    return Recorded(spec, key, program, speech_pairs(key), read, absolute, relative, length=length, double=True)


PESQ, PYSTOI, PYSEPM, CLARITY = "pesq 0.0.4", "pystoi 0.4.1", "pysepm 7ef88af", "pyclarity 0.9.0"
HASQI, SEED = "clarity.hasqi_v2(comb,nonlin,lin,raw)", "level1=65 seed0"
LOSSES = "45/45/35/45/60/65"
IMPAIRED = f"HL({LOSSES.replace('/', ',')})"
COMPOSITE, OUTPUTS = "pysepm.composite(Csig,Cbak,Covl)", ("sig", "bak", "ovl")
COLUMNS: list[Any] = [
    ("pesq", PESQ, "pesq.wb_mos_lqo", 0.05),
    ("pesq:band=wide-cor2", "pesqc2 0.0.4", "pesqc2.wb_mos_lqo", 0.05),
    ("pesq:band=narrow", PESQ, "pesq.nb_mos_lqo@16k", 0.05),
    ("pesq:band=narrow-8k", PESQ, "pesq.nb_mos_lqo@8k(resample_poly 1/2)", 0.05),
    ("stoi", PYSTOI, "pystoi.stoi", 1e-6),
    ("stoi:extended=true", PYSTOI, "pystoi.estoi", 1e-6),
    ("haspi", CLARITY, f"clarity.haspi_v2[NH] {SEED}", 5e-3),
    (f"haspi:audiogram={LOSSES}", CLARITY, f"clarity.haspi_v2[{IMPAIRED}] {SEED}", 5e-3),
    ("hasqi", CLARITY, f"{HASQI}[NH] {SEED}", 5e-3, 0),
    (f"hasqi:audiogram={LOSSES}", CLARITY, f"{HASQI}[{IMPAIRED}] {SEED}", 5e-3, 0),
    ("fwseg-snr:convention=pysepm", PYSEPM, "pysepm.fwSNRseg", 1e-6),
    ("wss", PYSEPM, "pysepm.wss", 1e-6),
    ("llr:convention=pysepm", PYSEPM, "pysepm.llr", 2e-3),
    ("cepstrum-distance:convention=pysepm", PYSEPM, "pysepm.cepstrum_distance", 1e-6),
    ("seg-snr", PYSEPM, "pysepm.segSNR", 1e-6),
    *((f"composite:convention=pysepm,output={o}", PYSEPM, COMPOSITE, 0.05, i) for i, o in enumerate(OUTPUTS)),
    ("csii", PYSEPM, "pysepm.csii(high,mid,low)", 1e-6, 1),
    ("ncm", PYSEPM, "pysepm.ncm", 1e-5),
    ("siib-gauss", "pysiib 226c2f3", "pysiib.gauss", 0.1, None, 0.15),
    ("warp-q", "warpq 1.5.2", "warpq(raw,norm)", 0.15, 0),
    ("srmr", "SRMRpy fee0097", "pysepm.srmr(deg)", 1e-3),
    ("srmr:norm=true", "SRMRpy fee0097", "pysepm.srmr_norm(deg)", 1e-3),
]
SPEECH = [column(*c) for c in COLUMNS if c[0].partition(":")[0] in metrics.names()]
