"""The two recordings of a diagnosis on their way to each other, and what has been told of them so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import log10
from typing import TYPE_CHECKING, Any

from . import spectra, sums
from .finding import SHOWN, Cause, Finding, NullTest, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..dsp.drift import Drift
    from ..signal import Signal
    from .aligned import Aligned
    from .spectra import Spectra

    Array = NDArray[Any]

FEWEST = 512  # samples, below which only the null test says anything


@dataclass
class Pair:
    """ref, test: as they were decoded; null: their null test. shown: places of a finding.

    a, b: both, [channel, sample], of one `rate` and as many channels, as far as their times are one by now. late:
    samples by which b is late then, to a fraction; whole: of these, by which they are moved to overlap. x, y: of a
    and b what overlaps, with the same channels. seen: their spectra.
    """

    ref: Signal
    test: Signal
    null: NullTest | None
    shown: int = SHOWN
    findings: list[Finding] = field(default_factory=list)
    later: list[Finding] = field(default_factory=list)  # that hold only where the two are one recording
    left: float | None = None  # dB
    energy: float = 0.0  # of the difference as it is, against the reference's
    now: float = 0.0  # and what is left of it
    a: Array = field(init=False)
    b: Array = field(init=False)
    rate: int = 0
    powers: list[float] = field(default_factory=list)  # of both
    late: float = 0.0
    whole: int = 0
    offset: bool = False  # whether a constant that has been told is in y still
    strength: float = 0.0  # correlation at that delay
    seen: Spectra = field(init=False)
    joins: list[int] = field(default_factory=list)  # samples at which pieces begin that were joined
    undone: list[Callable[[Place], Place]] = field(default_factory=list)  # each gives a place its times as before
    searched: tuple[Drift, Array | None] | None = None  # the drift between a and b, and b without it
    clock: Drift | None = None  # undone
    start: float | None = None  # samples by which the test is late at its start, where the clocks differ
    moved: int = 0  # samples by which the test had been moved before `late` was measured
    x: Array = field(init=False)
    y: Array = field(init=False)
    gated: bool = False  # its dynamics are expanded: what was quiet is gone
    aligned: Aligned = field(init=False)
    _last: tuple[Array, Array, int, Spectra] | None = None

    @property
    def fraction(self) -> float:
        """Samples by which y is later than x."""
        return self.late - self.whole

    def overlapping(self, late: int) -> Spectra:
        """The spectra of what overlaps where b is so many samples late; computed once."""
        last = self._last
        if last is None or last[0] is not self.a or last[1] is not self.b or last[2] != late:
            seen = spectra.spectra(*sums.overlap(self.a, self.b, late), self.rate)
            self._last = last = self.a, self.b, late, seen
        return last[3]

    def look(self) -> None:
        """The spectra of x and y take the place of those before, which are let go first."""
        self._last = None
        del self.seen
        self.seen = spectra.spectra(self.x, self.y, self.rate)

    def tell(self, cause: Cause, size: float | None = None, unit: str = "", **more: Any) -> None:
        self.findings.append(Finding(cause, size, unit, **more))

    def gone(self, now: float) -> float | None:
        """The share that goes with what was undone last."""
        share = (self.now - now) / self.energy if self.energy > 0 else 0.0
        self.now = min(now, self.now)
        return round(min(max(share, 0.0), 1.0), 4)

    def leave(self, x: Array, y: Array) -> None:
        """This is left when all is undone."""
        e = sums.error(x, y)
        self.left = round(10 * log10(e), 2) if e > 0 else None
