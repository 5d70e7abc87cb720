"""Frames as Loizou's programs cut them, and the signal-to-noise ratio in each. Loizou 2013, section 11.1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.frames import STFT
from ...errors import UsageError
from ...hearing.weighting import Weighted
from ...options import ABOVE_ZERO, Within

if TYPE_CHECKING:
    from ...engine.stream import Stream

Array = NDArray[Any]

FRAME, OVERLAP = 0.03, 0.75  # seconds; share of a frame
LOWEST, HIGHEST = -10.0, 35.0  # dB: clips of a frame's signal-to-noise ratio
EPS = 2.220446049250313e-16
TASK = 1024  # frames


@dataclass(frozen=True, kw_only=True)
class Framed(Weighted):
    """Options of a metric of frames as Loizou's programs cut them."""

    frame: Annotated[float, ABOVE_ZERO, "seconds of a frame"] = FRAME
    overlap: Annotated[float, Within(0, 1, open_high=True), "share of a frame that it shares with the next"] = OVERLAP

    def segments(self, rate: int) -> Segments:
        """Their frames at this rate."""
        return Segments.of(rate, self.frame, self.overlap)


@dataclass(frozen=True, kw_only=True)
class Clipped(Framed):
    """The same, of a metric that clips the signal-to-noise ratio of each frame."""

    low: Annotated[float, "dB, lower clip of a frame"] = LOWEST
    high: Annotated[float, "dB, upper clip of a frame"] = HIGHEST

    def check(self) -> None:
        if not self.low < self.high:
            raise UsageError(f"low and high must ascend, not {self.low:g} and {self.high:g}")


@dataclass(frozen=True, slots=True, eq=False)
class Segments:
    """Frames under a Hann window without its zeros, of which the last is left out.

    window: float64 [sample]; hop: samples.
    """

    rate: int
    window: Array
    hop: int

    @classmethod
    def of(cls, rate: int, frame: float = FRAME, overlap: float = OVERLAP) -> Segments:
        """frame: seconds; overlap: share of it that the next has too. UsageError where no sample is left of either."""
        size, hop = round(frame * rate), int((1 - overlap) * frame * rate)
        if size < 1 or hop < 1:
            raise UsageError(f"a frame of {size} samples with a hop of {hop}: give longer ones, that overlap less")
        return cls(rate, 0.5 * (1 - np.cos(2 * np.pi * np.arange(1, size + 1) / (size + 1))), hop)

    def count(self, length: int) -> int:
        """Frames of so many samples; 0 or less when there are too few."""
        return (length - self.window.size + self.hop) // self.hop - 1

    def too_short(self, length: int) -> str:
        """Why so many samples have none."""
        return f"too short: two frames take {self.window.size + self.hop} samples, there are {length}"

    def times(self, count: int) -> Array:
        """Centres of the frames, seconds."""
        return (np.arange(count) * self.hop + self.window.size / 2) / self.rate

    def stft(self) -> STFT:
        """Their spectra over a power of two of samples, twice the frame or more."""
        size = self.window.size
        n_fft = 1 << (2 * size - 1).bit_length()
        lead = (n_fft - size) // 2
        return STFT(n_fft, self.hop, self.window, lead, n_fft - size - lead - self.hop, "zero")


def lowest(distances: Array, keep: float) -> Array:
    """Which frames of distances [frame] a mean over that share of them is of, the worst being left out."""
    kept: Array = np.argsort(distances, kind="stable")[: max(1, round(keep * distances.size))]
    return kept


def energies(ref: Stream, test: Stream, segments: Segments, threads: int) -> Array:
    """(sum (w ref)^2, sum (w (ref - test))^2) of every frame: [2, frame]; as many samples of both as a frame takes."""
    count = segments.count(ref.length)

    def task(first: int) -> Array:
        out = np.empty((min(TASK, count - first), 2))
        start, size = first * segments.hop, (len(out) - 1) * segments.hop + segments.window.size
        r, t = (engine.stream.part(x, start, size) for x in (ref, test))
        engine.moments.segments(r, t, segments.window, segments.hop, out)
        return out

    found: Array = np.concatenate(engine.threads.in_threads(task, range(0, count, TASK), threads)).T
    return found


def ratios(ref: Stream, test: Stream, segments: Segments, low: float, high: float, threads: int) -> Array:
    """Signal-to-noise ratio of every frame in dB, clipped to low..high: [frame]."""
    return clipped(energies(ref, test, segments, threads), low, high)


def clipped(energies: Array, low: float, high: float) -> Array:
    """10 lg of a ratio of energies [2, frame], clipped to low..high."""
    signal, noise = energies
    within: Array = np.clip(10 * np.log10(signal / (noise + EPS) + EPS), low, high)
    return within
