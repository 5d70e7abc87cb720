"""Finds what happened at places of two recordings that are aligned: dropouts and clicks; and what was added
throughout: noise, hum, reverberation. Edits, which move what follows, are timeline.py's."""

from __future__ import annotations

from math import log10
from typing import TYPE_CHECKING, Any

import numpy as np

from . import added, sums
from .aligned import FRAME, WINDOW, Aligned, frame, sounds
from .finding import SHOWN, Cause, Finding, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

# A dropout: frames in which the reference is loud and the test has lost it.
LOUD = 1e-3  # of the mean power, -30 dB: in quieter frames nobody would miss anything
LOST = 10**-2.5  # of the reference's energy, -25 dB: with less the sound is gone
SHORTEST_DROPOUT = 4  # frames: a zero crossing of a low tone is as quiet for less
BRIDGED = 3  # frames within a dropout that the reference is not loud in

# A dropout that an echo or noise fills: less of the energy is gone, but what is there is not the reference.
SHORTEST_FILLED = 8  # frames: longer, since chance makes some frames unlike
FILLED = 0.2  # of the reference's energy at most
FOREIGN = 0.02  # of the reference's energy that the test explains, at most
FILTERED = 0.5  # of the test that is the reference, from which on it is a filter that took the rest

# Another sound in the reference's place.
SHORTEST_OTHER = 10  # windows: what is shorter is a dropout or noise
EXPLAINED = 0.3  # of the energy that the reference explains, at most
PLAIN = 0.3  # of the mean power that is left there, at least
ELSEWHERE = 0.2  # of the power that is left elsewhere, at most: with more the whole test is unlike
FEW = 3  # windows without which that much must be left: a dropout or a click alone makes no other sound

# A click: a step from sample to sample that is far larger than those around it.
AROUND = 51  # frames around it
USUAL = 90  # percentile of their largest steps
ABOVE = 25.0  # times the energy of that one, 14 dB
HEARD = 1e-5  # of the mean power of the reference, -50 dB: a quieter click is none
BESIDE = 3  # frames beside dropouts, whose edges click by nature
IMPULSE = 0.25  # of the energy of three frames' steps that the largest step holds: an onset goes on
LONGEST_CLICK = 2  # frames

BLOCK = 1 << 15  # samples


def find(pair: Aligned, shown: int = SHOWN) -> list[Finding]:
    """All that is found, each with so many of its largest places."""
    if pair.ref.shape[1] < 64 * round(FRAME * pair.rate) or not pair.ref.any() or not pair.test.any():
        return []
    seen = _Frames(pair)
    replaced = seen.replaced()
    dropped = seen.dropouts() & ~replaced
    clicked = seen.clicks(_wider(dropped | seen.joined()) | replaced)
    flagged: dict[Cause, Array] = {"edit": replaced, "dropout": dropped, "click": clicked}
    found = [f for cause, flags in flagged.items() for f in _found(cause, flags, seen, shown)]
    ref, _, left, cross = seen.windows
    found += added.find(pair, ref, left, cross, np.any(dropped | clicked | replaced, axis=0))
    return found


class _Frames:
    """Of frames of 2 ms, [channel, frame]: energies of the reference, the test, what is left between them, its steps
    from sample to sample, which are small in a hum; the product of what is left and the reference; squares of the
    largest sample and the largest step of what is left, and of the largest step of the reference. In float32, since
    they grow with the recording.

    windows: energies of reference, test and what is left, and the product, of all channels, [window].
    """

    def __init__(self, pair: Aligned) -> None:
        self.pair = pair
        self.size = frame(pair.rate)
        channels, length = pair.ref.shape
        count = length // self.size
        every = sums.room((8, channels, count), np.float32)
        self.ref, self.test, self.cross, self.left, self.steps, self.peak, self.steep, self.usual = every
        step = max(BLOCK // self.size, 1)
        before = np.zeros((2, channels, 1))
        for k in range(0, count, step):
            end = min(k + step, count)
            r, t = sounds(pair, k * self.size, end * self.size)
            e = t - r
            own, more = (np.diff(x, axis=1, prepend=x0) for x, x0 in zip((r, e), before, strict=True))
            before = np.stack((r[:, -1:], e[:, -1:]))
            for into, x, y in (
                (self.ref, r, r),
                (self.test, t, t),
                (self.cross, r, e),
                (self.left, e, e),
                (self.steps, more, more),
            ):
                into[:, k:end] = (x * y).reshape(channels, -1, self.size).sum(axis=2)
            for into, x in ((self.peak, e), (self.steep, more), (self.usual, own)):
                into[:, k:end] = np.square(x).reshape(channels, -1, self.size).max(axis=2)
        self.mean = np.maximum(self.ref.mean(axis=1, dtype=np.float64), 1e-300)
        whole = count // WINDOW * WINDOW
        self.windows = tuple(
            x[:, :whole].reshape(channels, -1, WINDOW).sum(axis=(0, 2), dtype=np.float64)
            for x in (self.ref, self.test, self.left, self.cross)
        )

    def dropouts(self) -> Array:
        flags = np.zeros(self.ref.shape, dtype=bool)
        for c, (ref, test, cross) in enumerate(zip(self.ref, self.test, self.cross, strict=True)):
            loud = ref > LOUD * self.mean[c]
            gone = test < LOST * ref
            product = ref + cross  # of the test and the reference
            foreign = (product**2 < FOREIGN * ref**2) & (product < FILTERED * test)
            filled = foreign & (test < FILLED * ref)  # with an echo, or with noise
            lost = loud & gone
            if lost.mean() > 0.5 * max(loud.mean(), 1e-9):
                continue  # the channel is dead
            for first, last in runs(lost, bridge=BRIDGED, over=gone | ~loud):
                if last - first >= SHORTEST_DROPOUT:
                    flags[c, first:last] = True
            for first, last in runs(loud & filled):
                if last - first >= SHORTEST_FILLED:
                    flags[c, first:last] = True
        return flags

    def replaced(self) -> Array:
        """Where another sound stands for that of the reference, while the rest of the test is as the reference is."""
        ref, test, left, cross = self.windows
        mean = WINDOW * float(self.mean.sum())
        other = (ref + cross) ** 2 < EXPLAINED * ref * test  # the test times the reference
        heard = np.maximum(ref, test) > LOUD * mean
        flags = np.zeros(ref.size, dtype=bool)
        for first, last in runs(other & heard, bridge=SHORTEST_OTHER):
            its = slice(first, last)
            lasting = np.sort(left[its])[:-FEW].sum() / (last - first)  # not of a dropout or a click alone
            if last - first >= SHORTEST_OTHER and lasting > PLAIN * mean and test[its].mean() > LOUD * mean:
                flags[its] = True
        if flags.any() and (flags.mean() > 0.5 or left[~flags].sum() > ELSEWHERE * ref[~flags].sum()):
            flags[:] = False
        wide = np.zeros(self.ref.shape, dtype=bool)
        wide[:, : ref.size * WINDOW] = np.repeat(flags, WINDOW)
        return wide

    def joined(self) -> Array:
        """[frame]: in which pieces were joined."""
        flags = np.zeros(self.left.shape[1], dtype=bool)
        at = np.array(self.pair.joins, dtype=int) // self.size
        flags[at[(at >= 0) & (at < flags.size)]] = True
        return flags

    def clicks(self, otherwise: Array) -> Array:
        from scipy.ndimage import percentile_filter

        flags = np.zeros(self.left.shape, dtype=bool)
        narrow = min(2 * self.pair.band / self.pair.rate, 1.0) if self.pair.band else 1.0  # a narrow band makes it wide
        for c, steep in enumerate(self.steep):
            around = percentile_filter(steep, USUAL, AROUND, mode="nearest")
            high = (
                (steep > np.maximum(ABOVE * around, self.usual[c]))
                & (self.left[c] > HEARD * self.mean[c])
                & ~otherwise[c]
            )
            high &= steep > IMPULSE * narrow * np.convolve(
                self.steps[c], np.ones(3), "same"
            )  # no onset of what goes on
            for first, last in runs(high):
                flags[c, first:last] = last - first <= LONGEST_CLICK
        return flags

    def place(self, first: int, last: int, channel: int | None) -> Place:
        """Of frames first to last."""
        start, end = first * self.size, last * self.size
        rate, pair = self.pair.rate, self.pair
        times = pair.offset + start / rate, pair.offset + end / rate
        there = pair.test_offset + start / rate, pair.test_offset + end / rate
        return Place(*times, *there, channel)


def _wider(flags: Array) -> Array:
    """With the frames beside them."""
    wide = flags.copy()
    for by in range(1, BESIDE + 1):
        wide[:, by:] |= flags[:, :-by]
        wide[:, :-by] |= flags[:, by:]
    return wide


def runs(flags: Array, bridge: int = 0, over: Array | None = None) -> list[tuple[int, int]]:
    """(first, last + 1) of each run of true ones; gaps of at most `bridge` frames, all of them `over`, are no gaps."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    found: list[tuple[int, int]] = []
    for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        if found and bridge and first - found[-1][1] <= bridge and (over is None or over[found[-1][1] : first].all()):
            found[-1] = found[-1][0], last
        else:
            found.append((first, last))
    return found


def _found(cause: Cause, flags: Array, seen: _Frames, shown: int) -> list[Finding]:
    """A finding of all places where flags are true, [channel, frame]."""
    every = runs(np.any(flags, axis=0))
    if not every:
        return []
    total = float(seen.left.sum(dtype=np.float64))
    share = float(seen.left[flags].sum(dtype=np.float64)) / total if total > 0 else None
    energies = [float(seen.left[:, a:b].sum(dtype=np.float64)) for a, b in every]
    places = []
    for k in sorted(sorted(range(len(every)), key=lambda k: -energies[k])[:shown]):
        first, last = every[k]
        which = np.flatnonzero(flags[:, first:last].any(axis=1))
        places.append(seen.place(first, last, int(which[0]) + 1 if len(which) == 1 < len(flags) else None))
    frame = 1000 * seen.size / seen.pair.rate
    lengths = [frame * (b - a) for a, b in every]
    detail: dict[str, Any] = {"shortest_ms": round(min(lengths), 1), "longest_ms": round(max(lengths), 1)}
    size, unit = (_peak_db(seen, flags), "dBFS") if cause == "click" else (round(sum(lengths), 3), "ms")
    return [
        Finding(cause, size, unit, tuple(places), len(every), 0.9, None if share is None else round(share, 4), detail)
    ]


def _peak_db(seen: _Frames, flags: Array) -> float:
    return round(10 * log10(max(float(seen.peak[flags].max()), 1e-30)), 2)
