"""What is true of every metric: `python -m tests.benchmarks.audit` audits all, or those that are named, and prints two
tables: distances, and losses; then every claim of a card that is not true, in which case it exits with 1.

--journal FILE keeps what was found, a line a metric, and resumes from it. --full descends on samples too, of metrics
in the journal as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from audiosim import metrics
from audiosim.errors import AudiosimError
from audiosim.testing.audit import PROPERTIES, audit
from audiosim.testing.signals import speech_like

SLOW = ("siib-gauss",)  # more than a second a value: of speech alone, without the sense of pitch, and no descent
NOT_ASKED = ("pitch.value", "recovery")


def found_of(name: str, known: dict[str, Any] | None, full: bool) -> dict[str, Any]:
    """What is known already, and what is asked for beside it."""
    if known is None and name in SLOW:
        only = [p for p in PROPERTIES if p not in NOT_ASKED]
        rate = metrics.get(name).card.rate or 48000
        return audit(name, speech_like(rate, 1.0, 11), rate=rate, only=only).to_dict()
    found = known or audit(name).to_dict()
    if full and name not in SLOW and not any(f["name"] == "recovery" for f in found["findings"]):
        found["findings"] += audit(name, full=True, only=["recovery"]).to_dict()["findings"]
    return found


def shown(found: dict[str, Any], name: str, form: str = ".3g") -> str:
    value = next((f["value"] for f in found["findings"] if f["name"] == name), None)
    return "" if value is None else f"{value:{form}}"


DISTANCES = (
    *("symmetry", "symmetry.direction", "triangle", "triangle.size", "invariance.polarity"),
    *("invariance.delay_1_sample", "invariance.delay_10_ms", "invariance.dither", "invariance.gain_1_db"),
    *("added_to_missing", "masking", "pitch.value"),
)
HEADINGS = (
    *("asymmetry", "degraded test : reference", "triangle broken", "longest", "polarity"),
    *("1 sample", "10 ms", "dither", "1 dB", "added : missing", "white : masked", "pitch", "ms/s"),
)


def print_distances(rows: list[dict[str, Any]]) -> None:
    print(f"| metric | monotony | least under | {' | '.join(HEADINGS)} |\n|{'---|' * (len(HEADINGS) + 3)}")
    for found in rows:
        deaf = {f"monotony.{name}" for name in metrics.get(found["metric"]).card.insensitive_to}
        graded = [f for f in found["findings"] if f["name"].startswith("monotony.") and f["name"] not in deaf]
        taus = {f["name"][9:].replace("_", " "): f["value"] for f in graded if f["value"] is not None}
        mean = sum(taus.values()) / len(taus)
        least = sorted((tau, name) for name, tau in taus.items() if tau < 0.9)[:3]
        weak = ", ".join(f"{name} {tau:.2f}" for tau, name in least)
        cost = next(f["value"] for f in found["findings"] if f["name"] == "cost")
        cells = [f"{mean:.2f}", weak, *(shown(found, name) for name in DISTANCES), f"{1000 * cost:.2g}"]
        print(f"| `{found['spec']}` | {' | '.join(cells)} |")


LOSSES = ("pitch.gradient", "gradient.error", "gradient.identity", "gradient.silence", "recovery")


def print_losses(rows: list[dict[str, Any]]) -> None:
    headings = ("leads to the pitch", "off differences", "at identity", "at silence", "descent leaves", "ms/s")
    print(f"| loss | {' | '.join(headings)} |\n|{'---|' * (len(headings) + 1)}")
    for found in rows:
        cost = shown(found, "cost.gradient")
        if cost:
            cells = [*(shown(found, name, ".2g") for name in LOSSES), f"{1000 * float(cost):.2g}"]
            print(f"| `{found['spec']}` | {' | '.join(cells)} |")


def main() -> int:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("specs", nargs="*", default=metrics.own_names())
    arguments.add_argument("--journal", type=Path, help="resume from this file, and add to it")
    arguments.add_argument("--full", action="store_true", help="descend on samples too")
    given = arguments.parse_args()
    journal = given.journal
    lines = journal.read_text(encoding="utf-8").splitlines() if journal and journal.exists() else []
    known = {row["spec"]: row for row in map(json.loads, lines)}
    for spec in given.specs:
        before = json.dumps(known.get(spec))
        try:
            known[spec] = found_of(spec, known.get(spec), given.full)
        except AudiosimError as problem:  # an extra that is not installed
            print(f"{spec}: {problem}", file=sys.stderr)
            continue
        if journal and json.dumps(known[spec]) != before:
            with journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(known[spec]) + "\n")
    rows = [known[spec] for spec in given.specs if spec in known]
    print_distances(rows)
    print()
    print_losses(rows)
    wrong = [(row["spec"], f) for row in rows for f in row["findings"] if f["agrees"] is False]
    for spec, f in wrong:
        print(f"\n{spec}: {f['name']}: the card says {f['claim']}: {f['says'] or f['reason']}")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
