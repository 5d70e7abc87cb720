"""What happened to the sound on the way from a reference to a test: causes, each with its size and places."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import (
    CAUSES as CAUSES,
    Cause as Cause,
    Diagnosis as Diagnosis,
    Finding as Finding,
    NullTest as NullTest,
    Place as Place,
)

if TYPE_CHECKING:
    from ..signal import Signal


def diagnose(ref: Signal, test: Signal) -> Diagnosis:
    """What was done to the reference to get the test: two recordings as they were decoded, of any rate and length."""
    from .whole import diagnosed

    return diagnosed(ref, test)
