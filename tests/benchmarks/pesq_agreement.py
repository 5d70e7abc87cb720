"""Distance of pesq to the programs pesq and pesqc2: `python -m tests.benchmarks.pesq_agreement` prints a table.

Ours against the values recorded in ../shared/oracles/speech.json, which it needs, in MOS. Delays that differ: pairs of
which an utterance has another delay than the first one, by our alignment.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np

from audiosim import compare, load

SHARED = Path(__file__).parent.parent.parent.parent / "shared"
COLUMNS = {
    "pesq": "pesq.wb_mos_lqo",
    "pesq:band=wide-cor2": "pesqc2.wb_mos_lqo",
    "pesq:band=narrow": "pesq.nb_mos_lqo@16k",
    "pesq:band=narrow-8k": "pesq.nb_mos_lqo@8k(resample_poly 1/2)",
}


def main() -> None:
    file = SHARED / "oracles" / "speech.json"
    if not file.exists():
        sys.exit("tests.benchmarks.pesq_agreement: needs the folder ../shared beside the checkout")
    found: dict[str, list[tuple[float, bool, str]]] = {spec: [] for spec in COLUMNS}
    for pair in json.loads(file.read_text())["pairs"].values():
        ref, test = (load(SHARED / "audio" / "speech" / pair[end]) for end in ("ref", "deg"))
        for spec, result in compare(ref, test, list(COLUMNS), length="keep", jobs=1).items():
            theirs, d = pair["metrics"][COLUMNS[spec]], result.details
            if not isinstance(theirs, str):
                differ = d["delay_most_ms"] - d["delay_least_ms"] >= 1
                found[spec].append((abs(result.value - theirs), differ, pair["id"]))
    print(
        "| metric | pairs | median | largest, one delay | largest, delays that differ | on |\n|---|---|---|---|---|---|"
    )
    for spec, rows in found.items():
        one, several = (max(r for r in rows if r[1] is differ) for differ in (False, True))
        median = np.median([r[0] for r in rows])
        print(f"| `{spec}` | {len(rows)} | {median:.0e} | {one[0]:.4f} | {several[0]:.4f} | {one[2]}, {several[2]} |")


if __name__ == "__main__":
    main()
