"""Numbers, pairs and changes as people read them."""

from __future__ import annotations

from ..audio import display_name
from ..judge.gates import Change
from ..judge.summary import Summary
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
    return f"{faulty} of {summary.pairs} pairs {'have' if faulty > 1 else 'has'} a faulty channel: {kinds}"


def causes(summary: Summary) -> list[str]:
    """What happened to the sound of how many pairs, the commonest first."""
    return [f"{c.pairs} of {summary.pairs} pairs: {c.sentence or c.cause}" for c in summary.causes]


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
