"""Numbers, pairs and changes as people read them."""

from __future__ import annotations

from ..audio import display_name
from ..judge.gates import Change
from ..judge.rows import Row
from ..judge.summary import Summary
from ..judge.verdict import SAID
from ..results import number as number


def about(*names: str | None) -> str:
    """A pair and its system, or either, as people read it."""
    return " of ".join(display_name(n) for n in names if n is not None)


def faulty_channels(summary: Summary) -> str:
    """How many pairs have a faulty channel, and which faults these are; nothing where none has."""
    count = summary.channel_faults
    if not count:
        return ""
    kinds = ", ".join(f"{n} {kind}" for kind, n in count.items() if kind != "pairs")
    faulty = count["pairs"]
    return f"{faulty} of {summary.pairs} {summary.things} {'have' if faulty > 1 else 'has'} a faulty channel: {kinds}"


def causes(summary: Summary) -> list[str]:
    """The verdicts on how many pairs, the best first, then what happened to the sound of how many, the commonest."""
    verdicts = [(count, SAID[level]) for level, count in summary.verdicts]
    happened = [(c.pairs, c.sentence or c.cause) for c in summary.causes]
    return [f"{count} of {summary.pairs} {summary.things}: {what}" for count, what in (*verdicts, *happened)]


def happened(row: Row) -> list[tuple[str, str]]:
    """What a row says of its pair: (verdict, reason or cause; sentence), the verdict first."""
    verdict = row.get("verdict")
    found = (row.get("diagnosis") or {}).get("findings") or row.get("causes") or ()
    said = [("verdict", verdict["sentence"]), *(("reason", text) for text in verdict["reasons"])] if verdict else []
    return [*said, *(("cause", cause["sentence"]) for cause in found)]


def told(change: Change) -> str:
    """A change in a few words."""
    if change.reason:
        return change.reason
    by = f", worse by {amount(change.worse_by, change.unit)}" if change.worse_by > 0 else ""
    may = f", {amount(change.allowed, change.unit)} allowed" if change.allowed else ""
    return f"{amount(change.old, change.unit)} is now {amount(change.new, change.unit)}{by}{may}"


def amount(value: float, unit: str) -> str:
    """A number with its unit."""
    return number(value) + ("" if unit == "1" else f" {unit}")
