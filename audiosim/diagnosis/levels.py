"""Gains that change: with the level, as of a compressor, an expander or a gate; or over time, as of a levelling."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import sums

Array = NDArray[Any]

FRAME = 0.01  # s
PARTS, LONGEST = 4, 24.0  # stretches of a long recording, and their length in all, s
MARGIN = 0.1  # s before a stretch, in which a filter settles
RANGE = 45.0  # dB below the loudest frames, that are looked at
ALIKE = 0.9  # of a frame's energy that a gain explains, where it says anything of the gain
FEWEST = 60  # such frames
SETTLES = 0.6  # s at the start, and of a tenth of the whole at most, in which a gain may not yet follow
KNOWN = 0.25  # of the frames within RANGE, that must be such
ATTACKS, RELEASES = (0.003, 0.02, 0.06, 0.25), (0.03, 0.1, 0.25, 0.8)  # s, of followers of the level
OF = 1, 2  # exponents of the amplitude that is followed
STEP = 1.5  # dB of level, of which the gain's median is taken
IN_STEP = 5  # frames of one, at least
LEAST = 1.0  # dB of gain between quiet and loud, that are told
SLOPE = 0.1  # dB of gain for a dB of level
FARTHEST = 15.0  # dB, from which on a gain is not taken for any further away
FOLLOWS = 0.5  # of the gain's variance that the level explains
ABOUT = 1.0  # s, over which a moving gain is told
MOVES = 2.0  # dB from its 5th to its 95th percentile
SMOOTH = 0.7  # of the gain's variance that moves slowly
CLEARLY = 0.5  # of what a gain by level leaves, that one by time must leave
FLOOR = -20.0  # dB, of a gain that is undone
PLATEAU = 0.998  # of the largest sample: what lies above may be clipped
BLOCK = 1 << 17  # samples
FLAT = 2  # samples of a frame on the plateau: it is clipped

Kind = Literal["compression", "expansion", "moving gain"]


@dataclass(frozen=True, slots=True)
class Short:
    """Sums of each frame: reference through a filter times itself, times the test; the test times itself.

    level: dB of the reference as it is. at: which frame of the recording it is. usable: without clipped ones.
    """

    own: Array
    cross: Array
    test: Array
    level: Array
    at: Array
    usable: Array

    @property
    def known(self) -> Array:
        """Frames that differ by a gain alone, about."""
        top = float(np.percentile(self.level, 98))
        alike = self.cross**2 >= ALIKE * self.own * self.test
        known: Array = (self.level > top - RANGE) & alike & (self.cross > 0) & (self.own > 0) & self.usable
        known[: min(round(SETTLES / FRAME), known.size // 10)] = False
        return known

    @property
    def gain(self) -> Array:
        """dB."""
        gain: Array = 20 * np.log10(np.maximum(self.cross, 1e-300) / np.maximum(self.own, 1e-300))
        return gain


@dataclass(frozen=True, slots=True)
class Dynamics:
    """A gain that changes.

    size: dB between quiet and loud, or between least and most. ratio: dB of the input for one of the output where they
    are compressed, the other way round where they are expanded. threshold: dB below the loudest, from which on, or
    below which, it acts. rest: of the gain's variance in dB², that is left. follower: exponent, attack, release in s.
    levels, gains: dB, the curve; of a moving gain: frames, and its gain.
    """

    kind: Kind
    size: float
    ratio: float
    threshold: float
    rest: float
    follower: tuple[float, float, float]
    top: float
    levels: Array
    gains: Array

    def at(self, level: Array) -> Array:
        """Factor of each frame, [frame], from the level of all frames of the reference in dB."""
        if self.kind == "moving gain":
            db = np.interp(np.arange(level.size), self.levels, self.gains)
        else:
            db = np.interp(followed(level, np.array(self.follower)[:, None])[0] - self.top, self.levels, self.gains)
        factor: Array = 10 ** (np.maximum(db, FLOOR) / 20)
        return factor


def short(x: Array, y: Array, rate: int, taps: Array | None = None) -> Short:
    """Of stretches of the reference, through a filter, and the test."""
    from .filters import filtered

    peak = PLATEAU * np.maximum(y.max(axis=1), -y.min(axis=1))[:, None]
    found: list[list[Array]] = []
    for first, last in sums.stretches(x.shape[1], round(LONGEST / PARTS / FRAME) * hop(rate), PARTS, hop(rate)):
        begin = max(first - round(MARGIN * rate), 0)
        a, b = x[:, begin:last], y[:, first:last]
        through = (a if taps is None else filtered(a, taps, np.empty_like(a)))[:, first - begin :]
        a = a[:, first - begin :]
        found.append([_summed(p * q, rate) for p, q in ((through, through), (through, b), (b, b), (a, a))])
        found[-1].append(_summed(np.abs(b) >= peak, rate))
        found[-1].append(first // hop(rate) + np.arange(found[-1][0].size))
    own, cross, test, level, flat, at = (np.concatenate(z) for z in zip(*found, strict=True))
    return Short(own, cross, test, _db(level), at, flat < FLAT)


def levels(x: Array, rate: int) -> Array:
    """dB of each frame of all of the reference."""
    step = 1024 * hop(rate)
    parts = (x[:, at : at + step] for at in range(0, x.shape[1], step))
    return _db(np.concatenate([_summed(p * p, rate) for p in parts]))


def hop(rate: int) -> int:
    """Samples of a frame."""
    return max(round(FRAME * rate), 8)


def _summed(product: Array, rate: int) -> Array:
    """Over channels and frames; the rest at the end is a frame."""
    size = hop(rate)
    rest = -product.shape[1] % size
    whole = np.pad(product, ((0, 0), (0, rest))) if rest else product
    total: Array = whole.reshape(len(whole), -1, size).sum(axis=(0, 2), dtype=np.float64)
    return total


def _db(power: Array) -> Array:
    db: Array = 10 * np.log10(np.maximum(power, 1e-20))
    return db


def followed(level: Array, followers: Array) -> Array:
    """The level in dB as compressors follow it, [follower, frame]: what is followed rises and falls by exponentials.

    followers: exponent of the amplitude that is followed; attack and release in s, [3, follower].
    """
    up, down = (1 - np.exp(-FRAME / t) for t in followers[1:])
    values = 10 ** (level[:, None] / 20 * followers[0])
    now = values[0]
    out = np.empty(values.shape)
    for k, p in enumerate(values):
        now = now + (p - now) * np.where(p > now, up, down)
        out[k] = now
    db: Array = 20 / followers[0] * np.log10(np.maximum(out, 1e-20))
    return db.T


def dynamics(seen: Short) -> Dynamics | None:
    """The gain that changes, if there is one."""
    known = seen.known
    top = float(np.percentile(seen.level, 98))
    within = seen.level > top - RANGE
    if np.count_nonzero(known) < max(FEWEST, KNOWN * np.count_nonzero(within)):
        return None
    gain = seen.gain
    of_level, moving = _of_level(seen, known, gain), _moving(seen, known, gain)
    if of_level is None or (moving is not None and moving.rest < CLEARLY * of_level.rest):
        return moving
    return of_level


def variance(seen: Short, found: Dynamics | None) -> float:
    """Of the gain in dB²; with what changes it taken away."""
    if found is not None:
        return found.rest
    known = seen.known
    return _spread(seen.gain[known]) if known.any() else np.inf


def _spread(values: Array) -> float:
    """A variance that a few do not make."""
    centre = np.median(values)
    return float(np.mean(np.minimum((values - centre) ** 2, FARTHEST**2)))


def _of_level(seen: Short, known: Array, gain: Array) -> Dynamics | None:
    followers = np.array([(e, a, r) for e in OF for a in ATTACKS for r in RELEASES if a <= r]).T
    before = _spread(gain[known])
    best: tuple[float, int, Array, Array, Array, float] | None = None
    for k, level in enumerate(followed(seen.level, followers)):
        top = float(np.percentile(level, 98))
        at, own = level[known] - top, gain[known]
        cells = np.floor(at / STEP).astype(int)
        names, counts = np.unique(cells, return_counts=True)
        names, counts = names[counts >= IN_STEP], counts[counts >= IN_STEP]
        if names.size < 4:
            continue
        x = np.array([at[cells == n].mean() for n in names])
        y = np.array([np.median(own[cells == n]) for n in names])
        rest = float(np.mean(np.minimum((own - np.interp(at, x, y)) ** 2, FARTHEST**2)))
        if best is None or rest < best[0]:
            best = rest, k, x, y, counts, top
    if best is None or best[0] > (1 - FOLLOWS) * before:
        return None
    rest, k, x, y, counts, top = best
    knee, below, above = _knee(x, y, counts)
    fitted = below * np.minimum(x - knee, 0) + above * np.maximum(x - knee, 0)
    quiet, loud = float(fitted[0]), float(fitted[-1])
    common = {"rest": rest, "follower": tuple(followers[:, k].tolist()), "top": top, "levels": x, "gains": y}
    if above < -SLOPE and -loud >= LEAST:
        return Dynamics("compression", -loud, 1 / max(1 + above, 0.05), knee, **common)  # type: ignore[arg-type]
    if below > SLOPE and -quiet >= LEAST:
        return Dynamics("expansion", -quiet, 1 + below, knee, **common)  # type: ignore[arg-type]
    if below < -SLOPE and quiet >= LEAST:
        return Dynamics("compression", quiet, 1 / max(1 + below, 0.05), float(x[0]), **common)  # type: ignore[arg-type]
    return None


def _knee(x: Array, y: Array, counts: Array) -> tuple[float, float, float]:
    """The level at which two lines meet, and their slopes before and after it."""
    best = (np.inf, float(x[0]), 0.0, 0.0)
    weight = np.sqrt(counts)[:, None]
    for knee in np.arange(x[0], x[-1] - 2 * STEP, 0.5):
        basis = weight * np.stack((np.ones_like(x), np.minimum(x - knee, 0), np.maximum(x - knee, 0)), axis=1)
        fit, *_ = np.linalg.lstsq(basis, weight[:, 0] * y, rcond=None)
        error = float(((weight[:, 0] * y - basis @ fit) ** 2).sum())
        if error < best[0]:
            best = error, float(knee), float(fit[1]), float(fit[2])
    return best[1:]


def _moving(seen: Short, known: Array, gain: Array) -> Dynamics | None:
    """A gain that moves slowly over time, whatever the level is."""
    size = round(ABOUT / FRAME)
    at = np.flatnonzero(known)
    windows = seen.at[at] // size
    names, counts = np.unique(windows, return_counts=True)
    names = names[counts >= size // 10]
    if names.size < 3:
        return None
    x = (names + 0.5) * size
    y = np.array([np.median(gain[at[windows == n]]) for n in names])
    rest = float(np.mean(np.minimum((gain[at] - np.interp(seen.at[at], x, y)) ** 2, FARTHEST**2)))
    low, high = np.percentile(gain[at], (5, 95))
    if high - low < MOVES or rest > (1 - SMOOTH) * _spread(gain[at]):
        return None
    return Dynamics("moving gain", float(y.max() - y.min()), 1.0, 0.0, rest, (2.0, 0.0, 0.0), 0.0, x, y)


def undone(y: Array, factors: Array, rate: int, out: Array) -> Array:
    """y [channel, sample] without these gains [frame], into `out`, block by block."""
    size = hop(rate)
    centres = (np.arange(factors.size) + 0.5) * size
    for at in range(0, y.shape[1], BLOCK):
        stop = min(at + BLOCK, y.shape[1])
        out[:, at:stop] = y[:, at:stop] / np.interp(np.arange(at, stop), centres, factors)
    return out
