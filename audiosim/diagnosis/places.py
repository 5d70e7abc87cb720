"""Finds what happened at places of two recordings that are aligned: dropouts, clicks, clipping, noise, hum..."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Aligned:
    """A pair whose causes over the whole recording are undone as far as they can be.

    ref, test: [channel, sample] of one shape and rate (Hz). offset: seconds of the reference at sample 0 as the file
    has it; test_offset: of the test. original: the test as it was, at the same samples, without the undoing of gain and
    equaliser (clipping is seen there).
    """

    ref: Array
    test: Array
    original: Array
    rate: int
    offset: float = 0.0
    test_offset: float = 0.0


def find(pair: Aligned) -> list[Finding]:
    """All that is found."""
    return []
