"""When metrics contradict one another: by what their values mean for one pair, by their intervals for a batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .reading import reading
from .rows import Row
from .verdict import TIME

if TYPE_CHECKING:
    from ..diagnosis import Diagnosis
    from .summary import Summary

MOST = 0.5  # of the difference, that a cause must make to be the reason
FAR = 0.5  # of severity, between what two metrics say
# Metrics that ask something else than how different it sounds.
OTHER_QUESTIONS = {"stoi", "haspi", "csii", "ncm", "siib-gauss", "lufs", "srmr"}
# A cause under which the first of the two hears what listeners do not, and the property of the second one's card.
UNHEARD = {"delay": "delay", "drift": "delay", "polarity": "polarity", "gain": "gain", "loudness normalisation": "gain"}
APART = TIME | {"excerpt", "unrelated"}
# Those that compare sample by sample, or phases.
OF_SAMPLES = {"snr", "si-sdr", "sd-sdr", "sdr", "seg-snr", "esr", "phase", "usdr", "bss-eval"}


def contradictions(rows: Sequence[Row], diagnosis: Diagnosis | None = None) -> list[str]:
    """One line where the readings of two rows of one pair lie far apart, and why that can be; else nothing.

    The first row is one of the two where it can be: recordings are ranked by it. Where time is not the same in both,
    no metric says more than that, and there is nothing to tell.
    """
    if diagnosis is not None and not APART.isdisjoint(diagnosis.causes):
        return []
    told = [(row, found) for row in rows if row["metric"] not in OTHER_QUESTIONS and (found := reading(row))]
    if len(told) < 2:
        return []
    (mild, low), *_, (harsh, high) = sorted(told, key=lambda t: t[1].severity)
    if high.severity - low.severity < FAR:
        return []
    first, found = told[0]
    if first is rows[0] and high.severity - found.severity >= FAR:
        mild, low = first, found
    elif first is rows[0] and found.severity - low.severity >= FAR:
        harsh, high = first, found
    said = f"{mild['spec']} and {harsh['spec']} contradict each other ({low.text}; {high.text})"
    return [f"{said}: {_why(mild, harsh, diagnosis)}"]


def _why(mild: Row, harsh: Row, diagnosis: Diagnosis | None) -> str:
    from .. import metrics

    deaf = metrics.get(mild["metric"]).card.insensitive_to
    hears = metrics.get(harsh["metric"]).card.insensitive_to
    for finding in diagnosis.findings if diagnosis is not None else ():
        kind = UNHEARD.get(finding.cause)
        if kind is None or kind in hears or (finding.share is not None and finding.share < MOST):
            continue
        size = abs(finding.size or 0.0)
        what = f"a {finding.cause} of {size:.3g} {finding.unit}" if size else f"the {finding.cause}"
        if kind == "delay" and harsh["metric"] in OF_SAMPLES:
            return f"{harsh['spec']} hears {what} that listeners do not"
        if kind in deaf:
            return f"{harsh['spec']} hears {what}, to which {mild['spec']} is deaf"
    if harsh["metric"] in OF_SAMPLES:
        return f"{harsh['spec']} compares samples, and counts what is masked and phases that nobody hears"
    if mild["metric"] in OF_SAMPLES:
        return f"{mild['spec']} weighs by energy, and faint sounds that are heard count little"
    return f"they ask different questions; audiosim explain {mild['metric']} and {harsh['metric']} say which"


def of_batch(summary: Summary) -> list[str]:
    """A line for each two systems of which one metric prefers the first and another the second, both surely."""
    first = summary.systems[0] if summary.systems else None
    lines = []
    for system in summary.systems[1:]:
        sides: dict[bool, list[str]] = {}
        for score in summary.scores:
            if score.system == system and (side := score.surely_better) is not None:
                sides.setdefault(side, []).append(score.spec)
        if len(sides) == 2:
            lines.append(
                f"{_listed(sides[False])} {_say(sides[False], 'prefer')} {first} to {system}, "
                f"{_listed(sides[True])} {_say(sides[True], 'prefer')} {system}: the 95 % intervals exclude chance"
            )
    return lines


def _listed(specs: Sequence[str]) -> str:
    *before, last = specs
    return f"{', '.join(before)} and {last}" if before else last


def _say(specs: Sequence[Any], verb: str) -> str:
    return verb if len(specs) > 1 else f"{verb}s"
