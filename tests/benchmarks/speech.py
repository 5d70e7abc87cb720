"""Metrics of speech beside their originals: `python -m tests.benchmarks.speech` prints both tables.

Agreement: how far ours are from the values recorded in ../shared/oracles/speech.json, in the unit of the metric. Pairs
with several delays, of which PESQ's alignment gives an utterance another one than the first, are kept apart. Speed: CPU
seconds on one core for a pair at 16 kHz, in turns with the original where it is installed, the median of the ratios.
Of the originals pesq, pystoi, warpq and pyclarity (--no-deps will do) are on PyPI, pysepm, SRMRpy and pysiib on GitHub;
numpy 1.26 suits them all. No test depends on it.
"""

from __future__ import annotations

import argparse
import os
import statistics
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

for variable in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

from audiosim import metrics
from audiosim.testing import signals
from tests.benchmarks.hearing_models import cpu
from tests.recorded import LOSSES, SPEECH, Recorded

RATE = 16000
SECONDS = 24.0  # SIIB wants 20
Array = Any
Call = Callable[[], Any]


@dataclass(frozen=True, slots=True)
class Original:
    """How to call it on two arrays [sample]: make(ref, test) imports it and gives the call."""

    spec: str
    make: Callable[[Array, Array], Call]
    seconds: float = SECONDS


def pesq(band: str) -> Callable[[Array, Array], Call]:
    def make(ref: Array, test: Array) -> Call:
        from pesq import pesq

        return lambda: pesq(RATE, ref, test, band)

    return make


def stoi(extended: bool) -> Callable[[Array, Array], Call]:
    def make(ref: Array, test: Array) -> Call:
        from pystoi import stoi

        return lambda: stoi(ref, test, RATE, extended)

    return make


def clarity(name: str, losses: str) -> Callable[[Array, Array], Call]:
    def make(ref: Array, test: Array) -> Call:
        from importlib import import_module

        from clarity.utils.audiogram import Audiogram

        function = getattr(import_module(f"clarity.evaluator.{name}"), f"{name}_v2")
        levels = [float(loss) for loss in losses.split("/")] if losses else [0.0] * 6
        ear = Audiogram(levels=np.array(levels), frequencies=np.array([250, 500, 1000, 2000, 4000, 6000]))
        scale = 1 / np.sqrt(np.mean(ref**2))
        return lambda: function(scale * ref, RATE, scale * test, RATE, ear)

    return make


def pysepm(name: str) -> Callable[[Array, Array], Call]:
    def make(ref: Array, test: Array) -> Call:
        import pysepm
        from pysepm import intelligibilityMeasures as intelligibility

        if name == "ncm" and not hasattr(intelligibility, "mended"):  # it makes one edge too many, and raises
            edges = intelligibility.get_band
            intelligibility.get_band = lambda bands, rate: edges(bands, rate)[: bands + 1]
            intelligibility.mended = True
        return lambda: getattr(pysepm, name)(ref, test, RATE)

    return make


def srmr(norm: bool) -> Callable[[Array, Array], Call]:
    def make(_: Array, test: Array) -> Call:
        from srmrpy import srmr

        return lambda: srmr(test, RATE, fast=False, norm=norm)

    return make


def siib(ref: Array, test: Array) -> Call:
    from pysiib import SIIB

    return lambda: SIIB(ref, test, RATE, gauss=True, window="hann")


def warpq(ref: Array, test: Array) -> Call:
    from warpq.core import warpqMetric

    metric, pair = warpqMetric(n_jobs=1), (ref.astype(np.float32), test.astype(np.float32))
    return lambda: metric.evaluate(*pair, arr_sr=RATE)


def pmsqe(ref: Array, test: Array) -> Call:
    import torch
    from asteroid.losses import SingleSrcPMSQE

    torch.set_num_threads(1)
    measure = SingleSrcPMSQE()
    window = torch.hann_window(512).sqrt()

    def power(x: Array) -> Any:
        frames = torch.stft(torch.from_numpy(x)[None].float(), 512, 256, window=window, return_complex=True)
        return frames.abs().square().transpose(1, 2)

    return lambda: measure(power(test), power(ref))


ORIGINALS = [
    Original("pesq", pesq("wb")),
    Original("pesq:band=narrow", pesq("nb")),
    Original("stoi", stoi(False)),
    Original("stoi:extended=true", stoi(True)),
    Original("haspi", clarity("haspi", ""), 6.0),
    Original(f"haspi:audiogram={LOSSES}", clarity("haspi", LOSSES), 6.0),
    Original("hasqi", clarity("hasqi", ""), 6.0),
    Original(f"hasqi:audiogram={LOSSES}", clarity("hasqi", LOSSES), 6.0),
    Original("fwseg-snr", pysepm("fwSNRseg")),
    Original("wss", pysepm("wss")),
    Original("llr", pysepm("llr")),
    Original("cepstrum-distance", pysepm("cepstrum_distance")),
    Original("seg-snr", pysepm("SNRseg")),
    Original("composite", pysepm("composite")),
    Original("csii", pysepm("csii")),
    Original("ncm", pysepm("ncm")),
    Original("siib-gauss", siib),
    Original("warp-q", warpq),
    Original("srmr", srmr(False)),
    Original("srmr:norm=true", srmr(True)),
    Original("pmsqe", pmsqe),
]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", default="", metavar="METRIC", help="the rows of this metric alone")
    parser.add_argument("--table", choices=["agreement", "speed"], help="this table alone")
    arguments = parser.parse_args()

    def wanted(spec: str) -> bool:
        name = spec.partition(":")[0]
        return name in metrics.names() and arguments.only in ("", name)

    if arguments.table != "speed":
        agreement([r for r in SPEECH if wanted(r.spec)])
        print()
    if arguments.table != "agreement":
        speed([o for o in ORIGINALS if wanted(o.spec)], arguments.repeats)


def agreement(columns: list[Recorded]) -> None:
    several = several_delays()
    print(
        "| metric | original | pairs | median | largest, one delay | largest, several delays | asked | on |\n"
        "|---|---|---|---|---|---|---|---|"
    )
    for column in columns:
        share = bool(column.relative)
        apart = {name: abs(ours - theirs) / (abs(theirs) if share else 1) for name, ours, theirs in column.numbers()}
        if not apart:
            print(f"| `{column.spec}` | {column.program} | 0 | no recordings | | | | |")
            continue
        groups = ([n for n in apart if n not in several], [n for n in apart if n in several])
        worst = [max(group, key=apart.__getitem__) for group in groups if group]
        largest = [f"{max((apart[n] for n in group), default=0):.1e}" if group else "" for group in groups]
        median = f"{statistics.median(apart.values()):.0e}"
        asked = f"{column.relative:g} relative" if share else f"{column.absolute:g}"
        cells = [column.program, str(len(apart)), median, *largest, asked, ", ".join(worst)]
        print(f"| `{column.spec}` | {' | '.join(cells)} |", flush=True)


def several_delays() -> set[str]:
    """Pairs of which an utterance has another delay than the first one, by our alignment."""
    column = next(c for c in SPEECH if c.spec == "pesq")

    def spread(result: Any, _: Any) -> list[tuple[float, float]]:
        return [(result.details["delay_most_ms"], result.details["delay_least_ms"])]

    delays = Recorded(column.spec, "delays", "ours", column.pairs, spread, 1.0)
    return {name for name, most, least in delays.numbers() if most - least >= 1}


def speed(originals: list[Original], repeats: int) -> None:
    print("| metric | seconds | CPU s | x real time | the original's CPU s | times faster |\n|---|---|---|---|---|---|")
    piece = signals.speech_like(RATE, 6.0, 1)[0]  # more takes long to make
    whole = np.hstack([piece * gain for gain in np.linspace(0.5, 1.0, round(SECONDS / 6))])
    noisy = 0.9 * signals.added_noise(whole[None], RATE, 0.05, 3)[0]
    for original in originals:
        samples = round(original.seconds * RATE)
        ref, test = whole[:samples].copy(), noisy[:samples].copy()
        spec = metrics.parse(original.spec)
        compute = metrics.get(spec.name).compute

        def ours(ref: Array = ref, test: Array = test, spec: Any = spec, compute: Any = compute) -> None:
            compute(ref[None], test[None], RATE, threads=1, **spec.options)

        ours()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                theirs = original.make(ref, test)
                theirs()
                turns = [(cpu(theirs), cpu(ours)) for _ in range(repeats)]
                found = (
                    f"{statistics.median(t for t, _ in turns):.2f}",
                    f"{statistics.median(t / o for t, o in turns):.1f}",
                )
            except ImportError:
                turns, found = [(0.0, cpu(ours)) for _ in range(repeats)], ("", "")
        seconds = statistics.median(o for _, o in turns)
        cells = f"{original.seconds:g}", f"{seconds:.3f}", f"{original.seconds / seconds:.0f}", *found
        print(f"| `{original.spec}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
