"""What the page plays: a section of reference and test as FLAC, at one level and in step."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import audio, metrics
from ..comparison import Comparison
from ..signal import Signal

Array = NDArray[Any]

EXCERPT = 10.0  # seconds of the worst
SHORTEST = 3.0  # seconds to which an excerpt is cut where the page is full
QUIET = 2**-6  # peak below which 16 bits are too few


@dataclass(frozen=True, slots=True, eq=False)
class Sound:
    """start, end: seconds of the recording. ref, test: FLAC in base64, or WAV at rates that FLAC does not know; ref is
    empty where there is no reference.

    match_db: what brings the test to the loudness of the reference; None where either has none.
    notes: what was done to fit them.
    """

    start: float
    end: float
    rate: int
    ref: str
    test: str
    match_db: float | None
    notes: tuple[str, ...]

    @property
    def size(self) -> int:
        """Bytes in the page."""
        return len(self.ref) + len(self.test)


def duration(comparison: Comparison) -> float:
    """Seconds of the longer one."""
    return max(comparison.ref.duration, comparison.test.duration)


def worst(comparison: Comparison, specs: Sequence[str], seconds: float) -> tuple[float, float]:
    """(from, to) in seconds: the stretch of so many seconds that holds most of what the first metric with an answer
    finds; all of a shorter recording."""
    whole = duration(comparison)
    if whole <= seconds:
        return 0.0, whole
    for spec in specs:
        times, weight = _badness(comparison, spec)
        if len(times) and weight.sum() > 0.0:
            bounds = np.concatenate([[0.0], (times[1:] + times[:-1]) / 2, [whole]])
            held = np.concatenate([[0.0], np.cumsum(weight)])
            starts = np.clip(times - seconds / 2, 0.0, whole - seconds)
            best = np.interp(starts + seconds, bounds, held) - np.interp(starts, bounds, held)
            start = float(starts[np.argmax(best)])
            return start, start + seconds
    return 0.0, seconds


def cut(comparison: Comparison, start: float, end: float, *, alone: bool = False) -> Sound:
    """Both recordings from start to end, the test alone where there is no reference: at most two channels, 16 bits
    where that is enough, else 24.

    Where 16 bits round, both get the same dither, so that what is identical stays so.
    """
    ref, test = comparison.ref, comparison.test
    rate = ref.rate
    first = min(round(start * rate), max(ref.length, test.length) - 1)
    last = max(round(end * rate), first + 1)
    clips = [_stretch(s.samples, first, last) for s in (ref, test)]
    notes = []
    if len(clips[0]) > 2 or len(clips[1]) > 2:
        clips = [c.mean(axis=0, keepdims=True) for c in clips]
        notes.append("The channels are averaged to one for listening.")
    peak = max(float(np.abs(c).max()) for c in clips)
    if peak > 1.0:
        clips = [c / peak for c in clips]
        who, they = ("It is", "it goes") if alone else ("Both are", "they go")
        notes.append(f"{who} lowered by {20 * np.log10(peak):.1f} dB for listening: {they} beyond full scale.")
    match_db = _match_db(clips[0], clips[1], rate)
    bits: Any = 16 if peak >= QUIET else 24
    if bits == 16 and any((np.rint(c * 32768) != c * 32768).any() for c in clips):
        random = np.random.default_rng(0)
        noise = (random.random(last - first) - random.random(last - first)) / 32768
        clips = [np.clip(c + noise, -1.0, 1.0) for c in clips]
    made = [Signal(c.astype(np.float32), rate) for c in (clips[1:] if alone else clips)]
    heard = [b64encode(audio.encode(s, audio.lossless(s), bits)).decode("ascii") for s in made]
    before, after = ["", *heard] if alone else heard
    return Sound(first / rate, last / rate, rate, before, after, match_db, tuple(notes))


def _badness(comparison: Comparison, spec: str) -> tuple[Array, Array]:
    """(centres of frames, how bad each is, >= 0)."""
    result, card = comparison.results[spec], metrics.get(metrics.parse(spec).name).card
    if result.times is None:
        return np.empty(0), np.empty(0)
    if result.map is not None:
        return result.times, np.nan_to_num(result.map, nan=0.0, posinf=0.0).sum(axis=1)
    if result.per_time is None or not np.isfinite(result.per_time).any():
        return np.empty(0), np.empty(0)
    values = np.where(np.isfinite(result.per_time), result.per_time, np.nan)
    bad = (
        np.nanmax(values) - values
        if card.better == "higher" and card.profile == "local"
        else values - np.nanmin(values)
    )
    return result.times, np.nan_to_num(bad)


def _stretch(samples: Array, first: int, last: int) -> Array:
    """[channel, last - first], silent where the recording has ended; never a view of it."""
    clip = np.zeros((len(samples), last - first), np.float64)
    inside = samples[:, first:last]
    clip[:, : inside.shape[1]] = inside
    return clip


def _match_db(ref: Array, test: Array, rate: int) -> float | None:
    """By BS.1770; by RMS where that has no answer, as below 4 kHz; None where one is silent."""
    difference = metrics.get("lufs").compute(ref, test, rate, threads=1).details.get("integrated_difference")
    if difference is not None and np.isfinite(difference):
        return -float(difference)
    low, high = (float(np.sqrt(np.mean(np.square(c)))) for c in (ref, test))
    return float(20 * np.log10(low / high)) if min(low, high) > 1e-5 else None
