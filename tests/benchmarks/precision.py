"""Files beside arrays: `python -m tests.benchmarks.precision` prints how far the value from float32 samples, which is
what files are decoded to, lies from that of the same samples as float64, for pairs whose difference is small.

All metrics, or those of -m. --options: each choice of each option too. --price: what float64 costs those metrics that
compute in it, as a ratio of CPU times. Exits with 1 where a deviation is above what is asked.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Iterator
from math import inf, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

import audiosim
from audiosim import metrics
from audiosim.errors import AudiosimError
from audiosim.testing import signals
from tests.benchmarks import values

Array = NDArray[Any]

ASKED = 1e-6  # relative
RUNS = 9


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--metric", action="append", help="only these")
    parser.add_argument("--options", action="store_true", help="each choice of each option too")
    parser.add_argument("--price", action="store_true", help="what float64 costs")
    given = parser.parse_args()
    if given.price:
        print("| metric | CPU time of float64 over float32 |\n|---|---|")
        for name in given.metric or metrics.without_weights():
            ratio = price(name)
            if ratio is not None:
                print(f"| `{name}` | {ratio:.2f} |", flush=True)
        return 0
    print("| metric | recording | largest deviation | pair | value |\n|---|---|---|---|---|")
    beyond = 0
    for spec, kind in values.cases(given.metric):
        if ":" in spec and not given.options:
            continue
        found = max(deviations(spec, kind), default=None)
        if found:
            worst, pair, value = found
            beyond += worst > ASKED
            print(f"| `{spec}` | {kind} | {worst:.1e} | {pair} | {value:.6g} |", flush=True)
    print(f"{beyond} beyond {ASKED:g}")
    return int(beyond > 0)


def deviations(spec: str, kind: str) -> Iterator[tuple[float, str, float]]:
    """(relative deviation, pair, value of float64 samples)."""
    for name, rate, ref, test in recordings(spec, kind):
        try:
            single, double = (
                audiosim.compare(ref.astype(t), test.astype(t), spec, rate)[spec].value for t in (np.float32, float)
            )
        except AudiosimError:
            continue
        yield deviation(single, double), name, double


def deviation(single: float, double: float) -> float:
    """Relative; 0 where both are the same infinity, or both undefined."""
    if not (isfinite(single) and isfinite(double)):
        return 0.0 if repr(single) == repr(double) else inf
    return abs(single - double) / abs(double) if double else abs(single)


def recordings(spec: str, kind: str) -> Iterator[tuple[str, int, Array, Array]]:
    card = metrics.get(metrics.parse(spec).name).card
    ref = values.signals(kind, card.rate, card.shortest)[0]
    for name, pair in pairs(ref.samples, ref.rate).items():
        yield name, ref.rate, *pair


def pairs(x: Array, rate: int) -> dict[str, tuple[Array, Array]]:
    """Pairs of float32 samples of a recording, made in float64."""
    x, rng = x.astype(np.float64), np.random.default_rng(7)
    n = x.shape[1]
    step, white = 2.0**-15, rng.standard_normal(x.shape)
    coded = np.diff(white, axis=1, prepend=0.0) * np.abs(x).mean() * 1e-4
    faded = x * np.geomspace(1, 1e-6, n)
    gated, gap = x.copy(), slice(n // 4, 3 * n // 4)
    gated[:, gap] = 0
    hushed = x.copy()
    hushed[:, gap] *= 1e-5
    one = x.copy()
    one[:, n // 3] += step
    made = {
        "16 bits, dithered": (x, np.round(x / step + rng.uniform(-1, 1, x.shape)) * step),
        "noise at -80 dB": (x, x + coded),
        "noise at -120 dB": (x, x + coded * 1e-2),
        "one sample": (x, one),
        "faded, noise at -80 dB": (faded, faded + faded * 1e-4 * white),
        "near silence in the middle": (hushed, hushed + coded * 1e-3),
        "digital silence in the middle": (gated, gated + coded * (gated != 0)),
        "digital silence against noise at -120 dB": (gated, gated + coded * 1e-2),
        "low-pass": (x, signals.low_pass(x, rate, 0.3)),
        "0.001 dB quieter": (x, x * 10**-0.00005),
        "a tone of 50 Hz": (x, signals.added_tone(x, rate, 0.3, frequency=50.0)),
        "a constant": (x, x + 0.01),
        "inverted, noise at -80 dB": (x, -x + coded),
        "noise at -20 dB": (x, x + 1e-1 * np.abs(x).mean() * white),
    }
    return {name: (ref.astype(np.float32), test.astype(np.float32)) for name, (ref, test) in made.items()}


def price(name: str, seconds: float = 10.0, rate: int = 48000) -> float | None:
    """CPU time of a metric that computes in float64, over that of the same in float32: median of runs in turns, of
    float32 samples."""
    metric = metrics.get(name)
    options = metric.module.Options
    if not getattr(options, "float64", False):
        return None
    rate = metric.card.rate or rate
    ref = signals.speech_like(rate, seconds).astype(np.float32)
    test = signals.added_noise(ref, rate, 0.01).astype(np.float32)
    ratios = []
    try:
        for _ in range(RUNS + 1):
            times = []
            for double in (True, False):
                options.float64 = double
                begin = time.process_time()
                metric.compute(ref, test, rate)
                times.append(time.process_time() - begin)
            ratios.append(times[0] / times[1])
    finally:
        options.float64 = True
    return statistics.median(ratios[1:])  # the first may compile


if __name__ == "__main__":
    sys.exit(main())
