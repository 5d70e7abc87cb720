"""Distance to foreign programs: `python -m tests.benchmarks.agreement` prints the table of the README.

Ours against the values recorded in ../shared/oracles/speech.json, which it needs. tests/metrics/test_agreement.py holds
every one of them to the tolerance in the last column. Pairs without a finite number on both sides are left out.
"""

from __future__ import annotations

import sys
from math import isfinite

import numpy as np

from audiosim import compare, load
from tests.metrics.test_agreement import ORACLES, RATE, SHARED, pairs


def deviation(ours: float, theirs: float, relative: float, absolute: float) -> float:
    """As the tolerance is: relative, or in dB; 0 below an absolute tolerance that only guards tiny values."""
    difference = abs(ours - theirs)
    if relative:
        return difference / abs(theirs) if difference > absolute else 0.0
    return difference


def short(number: float, digits: int) -> str:
    return f"{number:.{digits}e}".replace("e-0", "e-") if number else "0"


def main() -> None:
    if not pairs():
        sys.exit("tests.benchmarks.agreement: needs the folder ../shared beside the checkout")
    specs = sorted({spec for spec, *_ in ORACLES.values()})
    found: dict[str, list[float]] = {name: [] for name in ORACLES}
    for oracle in pairs().values():
        ref, test = (load(SHARED / "audio/speech" / oracle[end]).samples.astype(np.float64) for end in ("ref", "deg"))
        length = min(ref.shape[1], test.shape[1])  # as the oracles were made
        results = compare(ref[:, :length], test[:, :length], specs, RATE)
        for name, (spec, relative, absolute, factor) in ORACLES.items():
            theirs, ours = oracle["metrics"][name], results[spec].value
            if not isinstance(theirs, str) and isfinite(ours):
                found[name].append(deviation(ours, factor * theirs, relative, absolute))
    print("| metric | program | pairs | largest deviation | asked |\n|---|---|---|---|---|")
    for name, (spec, relative, absolute, _) in ORACLES.items():
        program, _, call = name.partition(".")
        unit = "" if relative else " dB"
        cells = [
            f"`{spec}`",
            "plain NumPy" if program == "np" else f"{program} {call}",
            str(len(found[name])),
            short(max(found[name]), 1) + unit,
            short(relative or absolute, 0) + unit,
        ]
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
