"""What says how good a network has become: metrics of other families than the loss that it was trained with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from ..errors import AudiosimError
from ..metrics import Spec

FAMILIES: Mapping[str, frozenset[str]] = {
    "peaq": frozenset({"peaq", "peaq-advanced", "two-f", "nmr"}),
    "visqol": frozenset({"visqol", "visqol-speech"}),
    "zimtohrli": frozenset({"zimtohrli"}),
    "pesq": frozenset({"pesq", "pmsqe", "composite"}),
    "stoi": frozenset({"stoi", "estoi", "siib-gauss", "haspi", "csii", "ncm"}),
    "auditory": frozenset({"auditory", "auditory-loss", "tversky"}),
    "waveform": frozenset({"esr", "mse", "mae", "snr", "sd-sdr", "si-sdr", "sdr", "seg-snr"}),
    "spectrum": frozenset({"lsd", "log-mel", "spectral-transport"}),
    "time": frozenset(),
}


@dataclass(frozen=True, kw_only=True)
class Judge:
    """A column of the table.

    spec: a metric; "" for one of this file. part: a detail of its result, "" for its value. better: "lower" or
    "higher". family: of FAMILIES, whose losses it does not judge. speech: of speech alone.
    """

    name: str
    spec: str = ""
    part: str = ""
    better: str = "lower"
    family: str
    speech: bool = False

    def judges(self, loss: Sequence[Spec]) -> bool:
        """Whether no term of a loss is of the judge's family. An ear's weighting (bs1387) makes one PEAQ's."""
        terms = {spec.name for spec in loss}
        ears = {"peaq"} if any(spec.options.get("weighting") == "bs1387" for spec in loss) else set()
        return not terms & FAMILIES[self.family] and self.family not in ears


JUDGES = (
    Judge(name="ODG", spec="peaq", better="higher", family="peaq"),
    Judge(name="two-f", spec="two-f", better="higher", family="peaq"),
    Judge(name="ViSQOL", spec="visqol:output=vnsim", better="higher", family="visqol"),
    Judge(name="Zimtohrli", spec="zimtohrli", family="zimtohrli"),
    Judge(name="PESQ", spec="pesq", better="higher", family="pesq", speech=True),
    Judge(name="STOI", spec="stoi", better="higher", family="stoi", speech=True),
    Judge(name="added", spec="auditory", part="added", family="auditory"),
    Judge(name="missing", spec="auditory", part="missing", family="auditory"),
    Judge(name="ESR", spec="esr", family="waveform"),
    Judge(name="spectrum dB", family="spectrum"),
    Judge(name="delay ms", family="time"),
)
LEAST_LEVEL = 1e-6  # of third octaves, relative to the loudest: -60 dB
REACH = 0.05  # s within which a delay is looked for


def judged(ref: Any, test: Any, rate: int, speech: bool) -> dict[str, float | None]:
    """What every judge says of samples ref, test [sample]; None where it has no value."""
    from ..results import compare

    wanted = [j for j in JUDGES if speech or not j.speech]
    specs = list(dict.fromkeys(j.spec for j in wanted if j.spec))
    said: dict[str, float | None] = {}
    try:
        results = compare(ref[None], test[None], specs, rate=rate)
    except AudiosimError:  # not finite: the network has diverged
        return {j.name: None for j in wanted}
    for judge in wanted:
        if judge.spec:
            found = results[judge.spec]
            value = found.details.get(judge.part) if judge.part else found.value
            said[judge.name] = value if found.status == "ok" and value is not None and np.isfinite(value) else None
    said["spectrum dB"] = spectrum_error(ref, test, rate)
    said["delay ms"] = delay_error(ref, test, rate)
    return said


def spectrum_error(ref: Any, test: Any, rate: int) -> float:
    """Mean absolute difference in dB of the long-term power in third octaves from 50 Hz, of samples [sample]."""
    levels = []
    for x in (ref, test):
        power = np.abs(np.fft.rfft(np.asarray(x, np.float64) * np.hanning(len(x)))) ** 2
        edges = 50 * 2 ** (np.arange(0, np.floor(3 * np.log2(rate / 100)) + 1) / 3)
        bins = np.round(edges / rate * len(x)).astype(int)
        levels.append(np.array([power[a:b].sum() for a, b in pairwise(bins)]))
    floor = LEAST_LEVEL * (levels[0].max() or 1)
    return float(np.mean(np.abs(10 * np.log10((levels[1] + floor) / (levels[0] + floor)))))


def delay_error(ref: Any, test: Any, rate: int) -> float:
    """How late or early test is, ms, of samples [sample]; the reach where it is silent."""
    from ..dsp import alignment

    if not np.any(test) or not np.any(ref):
        return 1000 * REACH
    found = alignment.delay(ref[None], test[None], round(REACH * rate))
    return 1000 * abs(found.samples) / rate
