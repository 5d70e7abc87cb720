"""Which piece of the test belongs to which piece of the reference: material inserted, removed, repeated or lost."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dsp.excerpt import thinning
from .finding import SHOWN, Cause, Finding, Place
from .sums import room, thinned

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

WINDOW = 0.05  # s, that is compared as one
FAINT = 1e-4  # of the loudest window, -40 dB: what is quieter belongs anywhere
FLOOR = 1e-6, 0.25  # of a window's energy that is left unexplained where all is well, at least and at most;
USUAL = 80  # the percentile of what is
UNMATCHED = 0.6  # cost of a window, from which on another delay is looked for
LEAST = 0.25  # s of unmatched sound, for which it is
GAP = 10  # matched windows, that do not end a stretch of unmatched ones
OFF = 2  # windows, by which such a stretch may seem shorter than what is missing
PIECE = 6.0  # s, that are looked for
REACH = 8.0  # s either way
SURE = 0.5  # correlation at the new delay
RIVALS = 3  # delays that are tried for one stretch,
RIVAL = 0.9  # of the best correlation at least
FORGIVEN = 0.9  # of the cost of a window that no delay explains
CHANGE = 2.0  # cost of a change of the delay, in unmatched windows,
ONLY = 1.0  # where it is the one that the lengths tell of,
LONG = 0.05  # and of each window by which it changes
MOST = 16  # delays
TRIES = 32  # searches
WELL = 0.25  # of a piece's windows' energy that may be unexplained
MATCHED = 0.5  # of a window: with more, the two are not the same sound
ABOUT, PARTS = 0.005, 4  # s, by which a place may be missed; parts of what may be a repetition
JUMP = 0.003  # s: a smaller change of the delay is a matter of clocks
PIECES = 12  # with more it is as well
NEAR = 0.5  # s around a change, in which its sample is looked for at first,
FAR = 30.0  # s, and at last
AS_GOOD = 1e-5, 0.02  # of the energy, and of what is unexplained anyway: a change that adds less is as good
UNCERTAIN = 0.02  # s, from which on a place is said to be uncertain
SHORT = 0.2  # s: what is shorter is a buffer, not an edit
BLOCK = 1 << 17  # samples
SILENT, QUIET = 1e-6, 0.03  # mean square against that of the reference, -60 dB; and at most, where something was added
PART, NEARLY_ALL = 0.01, 75  # s of a frame of silence; percentile of frames


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples start to stop of the reference, to be found in the test `late` samples later.

    latest: where it may begin as well, since the sound repeats itself or pauses; start where that is certain.
    """

    start: int
    stop: int
    late: int
    latest: int


def pieces(ref: Array, test: Array, rate: int) -> list[Piece]:
    """The reference cut where the delay of the test changes; empty where it does not, or where nothing fits.

    ref, test: [channel, sample] of one rate, of any lengths and gains.
    Of all ways from the start of both to their ends it is the cheapest: what a window leaves unexplained that another
    delay explains costs, a change of the delay does, and a little what is skipped, at either end too (alignment with
    affine gaps, Gotoh 1982).
    """
    seen = _Windows(ref, test, rate)
    if seen.count < 2 * LEAST / WINDOW or test.shape[1] < seen.size:
        return []
    ends = test.shape[1] - ref.shape[1]  # what was taken out or put in changes the length
    seen.look((0, ends) if abs(ends) > JUMP * rate else (0,))
    _search(seen)
    while len(seen.delays) > 1:
        costs = seen.costs()
        path = _path(costs - FORGIVEN * costs.min(axis=0), seen.delays, seen.size, ends)
        if len(path) == 1:
            return []
        poor = {k for k, first, last in path if not seen.fits(k, first, last)}
        if not poor:
            break
        seen.forget(poor)
    else:
        return []
    gain = seen.gain(path)
    for k, first, last in path:
        seen.delays[k] = _exact(seen, first, last, seen.delays[k])
    found: list[Piece] = []
    start = latest = 0
    for (k, _, stop), (after, _, _) in pairwise(path):
        change = _boundary(ref, test, rate, (start, stop * seen.size), seen.delays[k], seen.delays[after], gain)
        found.append(Piece(start, change[0], seen.delays[k], latest))
        start, latest = change
    found.append(Piece(start, ref.shape[1], seen.delays[path[-1][0]], latest))
    found = [piece for piece in found if piece.stop > piece.start]
    jumps = [abs(y.late - x.late) / rate for x, y in pairwise(found)]
    return found if jumps and min(jumps) >= JUMP and len(found) <= PIECES else []


def findings(
    ref: Array, test: Array, rate: int, cut: list[Piece], unexplained: float = 0.0, shown: int = SHOWN
) -> list[Finding]:
    """What was done where the delay changes: a finding for each cause, so many of the largest places in order of time.

    unexplained: of the test's energy, by the pieces: of silence beside noise as much is left.
    """
    by_cause: dict[Cause, list[_Change]] = {}
    silence = max(SILENT, min(2 * unexplained, QUIET)) * _power(ref)
    for before, after in pairwise(cut):
        longer = after.late - before.late
        start, test_start = before.stop, before.stop + before.late
        end, test_end = start + max(-longer, 0), test_start + max(longer, 0)
        cause: Cause = "edit"
        if longer > 0:  # the test has more
            extra = test[:, max(test_start, 0) : max(test_end, 0)]
            if _mostly(extra, rate) <= silence:
                cause = "silence inserted"
            elif _repeats(ref, test, rate, start, test_start, longer):
                cause = "repeated"
        elif _mostly(ref[:, start:end], rate) <= silence:
            cause = "silence removed"
        elif -longer <= SHORT * rate:
            cause = "lost"
        place = Place(start / rate, end / rate, test_start / rate, test_end / rate)
        later = (after.latest - start) / rate
        if cause.startswith("silence") or (cause == "repeated" and after.latest - start <= 1.05 * longer):
            later = 0.0  # as is the nature of it
        by_cause.setdefault(cause, []).append(_Change(abs(longer) / rate, place, later))
    return [_finding(cause, found, shown) for cause, found in by_cause.items()]


def together(ref: Array, test: Array, cut: list[Piece]) -> tuple[Array, Array, list[Piece]]:
    """Both without what the other lacks, so that one delay is left, that of the first piece; and the pieces, without
    that too."""
    kept = [cut[0]]
    for before, piece in pairwise(cut):
        missing = max(before.late - piece.late, 0)
        kept.append(replace(piece, start=min(piece.start + missing, piece.stop)))
    kept = [p for p in kept if p.stop > p.start]
    first, last = kept[0], kept[-1]
    a = _joined([ref[:, p.start : p.stop] for p in kept])
    b = [moved(test, min(max(p.start, -p.late), p.stop), p.stop, p.late) for p in kept[:-1]]
    b.append(test[:, max(last.start + last.late, 0) : max(last.stop + last.late, 0)])
    if first.late > 0:  # what stands before the first piece stays, as its delay
        b.insert(0, test[:, : first.late])
    return a, _joined(b), kept


def _joined(parts: list[Array]) -> Array:
    """One after the other, in a file where they are long."""
    out = room((parts[0].shape[0], sum(p.shape[1] for p in parts)), parts[0].dtype)
    at = 0
    for part in parts:
        for k in range(0, part.shape[1], BLOCK):
            block = part[:, k : k + BLOCK]
            out[:, at : at + block.shape[1]] = block
            at += block.shape[1]
    return out


@dataclass(frozen=True, slots=True)
class _Change:
    """So many s, at this place or at most so many s later."""

    seconds: float
    place: Place
    later: float


def _finding(cause: Cause, found: list[_Change], shown: int) -> Finding:
    largest = sorted(found, key=lambda f: -f.seconds)[:shown]
    places = tuple(sorted((f.place for f in largest), key=lambda p: (p.start, p.test_start)))
    later = max(f.later for f in found)
    detail = {"later_s": round(later, 3)} if later > UNCERTAIN else {}
    size = round(1000 * sum(f.seconds for f in found), 3)
    return Finding(cause, size, "ms", places, len(found), 0.6 if detail else 0.9, detail=detail)


def moved(samples: Array, start: int, stop: int, late: int) -> Array:
    """Samples start + late to stop + late, with silence beyond the ends."""
    n = samples.shape[1]
    first, last = start + late, stop + late
    inside = samples[:, max(first, 0) : max(min(last, n), 0)]
    if inside.shape[1] == stop - start:
        return inside
    lead = min(max(-first, 0), stop - start)
    return np.pad(inside, ((0, 0), (lead, stop - start - lead - inside.shape[1])))


def _thin(samples: Array, start: int, stop: int, q: int) -> Array:
    """The mean of the channels, of q samples each, from start to stop; silence lies around the ends."""
    mono: Array = thinned(moved(samples, start, stop, 0).mean(axis=0, dtype=np.float64)[None], q)[0]
    return mono


class _Windows:
    """Windows of the reference at a low rate, and what the test leaves of them unexplained at one delay or another.

    size: of a window, in samples of the full rate; count: of them; delays: in samples; left: [delay][window], 0 to 1,
    whatever the gain: 0 where the reference is faint, 1 beyond the ends of the test; beyond: where that is.
    """

    def __init__(self, ref: Array, test: Array, rate: int) -> None:
        self.ref, self.test, self.rate = ref, test, rate
        self.q = thinning(rate)
        self.window = max(round(WINDOW * rate / self.q), 16)
        self.size = self.window * self.q
        self.count = ref.shape[1] // self.size
        self.delays: list[int] = []
        self.left: list[Array] = []
        self.beyond: list[Array] = []
        self.energy = np.zeros(self.count)
        for first, x in self._blocks():
            self.energy[first : first + len(x)] = np.einsum("ij,ij->i", x, x)
        self.loud = self.energy > FAINT * self.energy.max(initial=0.0)

    def _blocks(self) -> Iterator[tuple[int, Array]]:
        """Windows of the reference without their means, [window, sample], some at a time, and the first's number."""
        step = max(BLOCK // self.size, 1)
        for first in range(0, self.count, step):
            last = min(first + step, self.count)
            yield first, self._rows(self.ref, first * self.size, last * self.size)

    def _rows(self, samples: Array, start: int, stop: int) -> Array:
        rows = _thin(samples, start, stop, self.q).reshape(-1, self.window)
        return np.asarray(rows - rows.mean(axis=1, keepdims=True))

    def look(self, delays: Iterable[int]) -> None:
        """At what is left at these delays too."""
        for late in delays:
            left = np.zeros(self.count)
            for first, x in self._blocks():
                last = first + len(x)
                y = self._rows(self.test, first * self.size + late, last * self.size + late)
                both = self.energy[first:last] * np.einsum("ij,ij->i", y, y)
                xy = np.einsum("ij,ij->i", x, y)
                explained = np.divide(xy * xy, both, out=np.zeros(len(x)), where=both > 0)
                left[first:last] = np.where(self.loud[first:last], np.maximum(1.0 - explained, 0.0), 0.0)
            start = np.arange(self.count) * self.size + late
            beyond = self.loud & ((start < 0) | (start + self.size > self.test.shape[1]))
            left[beyond] = 1.0
            self.delays.append(late)
            self.left.append(left)
            self.beyond.append(beyond)

    def forget(self, which: set[int]) -> None:
        kept = [k for k in range(len(self.delays)) if k not in which]
        self.delays = [self.delays[k] for k in kept]
        self.left, self.beyond = ([row[k] for k in kept] for row in (self.left, self.beyond))

    def costs(self) -> Array:
        """[delay, window], 0 to 1: by the logarithm of what is left, since a repetition is nearly as like.

        Of a window beyond the ends of the test another delay may find the sound within it. It is missing all the same
        if that sound belongs to another window of the reference: what is left of that one counts.
        """
        left, delays = np.array(self.left), np.array(self.delays)
        best = left.min(axis=0)
        finds = delays[left.argmin(axis=0)]
        for row, beyond, late in zip(left, self.beyond, self.delays, strict=True):
            at = np.flatnonzero(beyond)
            other = at + np.round((finds[at] - late) / self.size).astype(int)
            there = (other >= 0) & (other < self.count)
            there &= self.loud[np.clip(other, 0, self.count - 1)]
            row[at[there]] = row[other[there]]
        matched = best[self.loud & (best < MATCHED)]
        floor = float(np.clip(np.percentile(matched, USUAL) if matched.size else 0.0, *FLOOR))
        return np.asarray(np.log1p(left / floor) / np.log1p(1 / floor))

    def fits(self, k: int, first: int, last: int) -> bool:
        """Whether these windows are well explained at a delay, by their amplitudes."""
        weight = np.sqrt(self.energy[first:last]) * self.loud[first:last]
        return float(weight @ self.left[k][first:last]) <= WELL * float(weight.sum())

    def gain(self, path: list[tuple[int, int, int]]) -> float:
        """By which the test must be scaled, of the windows that fit."""
        products = np.zeros(2)
        for k, first, last in path:
            late = self.delays[k]
            good = first + np.flatnonzero(self.loud[first:last] & (self.left[k][first:last] < MATCHED))
            for w in good[:: max(good.size // 64, 1)].tolist():
                begin, end = w * self.size, (w + 1) * self.size
                x, y = self._rows(self.ref, begin, end)[0], self._rows(self.test, begin + late, end + late)[0]
                products += float(x @ y), float(y @ y)
        return float(products[0] / products[1]) if products[1] > 0 else 1.0


def _search(seen: _Windows) -> None:
    """Looks for delays at which stretches are found that no delay explains yet, the longest first."""
    tried = np.zeros(seen.count, dtype=bool)
    for _ in range(TRIES):
        if len(seen.delays) >= MOST:
            return
        costs = seen.costs()
        run = _longest((costs.min(axis=0) > UNMATCHED) & ~tried)
        if run is None or run[2] * WINDOW < LEAST:
            return
        if _is_missing(seen, costs, *run):
            tried[run[0] : run[1]] = True
            continue
        first, last = run[0], min(run[1], run[0] + round(PIECE / WINDOW))
        before = costs[:, max(first - GAP, 0) : first].sum(axis=1)
        found = _delays(seen, first, last, seen.delays[int(np.argmin(before))] if first else 0)
        new = [late for late in found if all(abs(late - other) > seen.q for other in seen.delays)]
        seen.look(new[: MOST - len(seen.delays)])
        if not new:
            tried[first : max(last - run[2] // 2, first + 1)] = True  # the rest may do alone


def _is_missing(seen: _Windows, costs: Array, first: int, last: int, count: int) -> bool:
    """Whether these windows were taken out, nearly all that do not match: the delay falls by as much from those before
    to those behind them."""
    if not (first and last < seen.count):
        return False
    before, behind = (costs[:, max(k, 0) : k + GAP].sum(axis=1).argmin() for k in (first - GAP, last))
    missing = (seen.delays[before] - seen.delays[behind]) / seen.size
    return bool(count - LEAST / WINDOW < missing <= last - first + OFF)


def _longest(flags: Array) -> tuple[int, int, int] | None:
    """(first, last + 1, how many) of the longest run of true ones; gaps of up to half a second do not end it."""
    at = np.flatnonzero(flags)
    if not at.size:
        return None
    ends = np.flatnonzero(np.diff(at) > GAP)
    starts = at[np.concatenate([[0], ends + 1])]
    stops = at[np.concatenate([ends, [at.size - 1]])] + 1
    sums = np.concatenate([[0], np.cumsum(flags)])
    size = sums[stops] - sums[starts]
    k = int(np.argmax(size))
    return int(starts[k]), int(stops[k]), int(size[k])


def _delays(seen: _Windows, first: int, last: int, about: int) -> list[int]:
    """By how much these windows of the reference may be late in the test, about so much, to a sample; likeliest first.

    The correlation over the energy of what is met; music that repeats has several peaks.
    """
    from scipy import fft

    q, start, stop = seen.q, first * seen.size, last * seen.size
    reach = round(REACH * seen.rate / q)
    begin = start + about - reach * q
    r = _thin(seen.ref, start, stop, q)
    t = _thin(seen.test, begin, stop + about + reach * q, q)
    r, t = r - r.mean(), t - t.mean()
    size = fft.next_fast_len(t.size, real=True)
    product = fft.irfft(fft.rfft(t, size) * np.conj(fft.rfft(r, size)), size)[: 2 * reach + 1]
    sums = np.concatenate([[0.0], np.cumsum(t * t)])
    met = sums[r.size :] - sums[: -r.size]
    own = float((r * r).sum())
    if own <= 0 or sums[-1] <= 0:
        return []
    height = np.abs(product) / np.sqrt(own * np.maximum(met, 1e-3 * met.max()))
    found: list[int] = []
    most = max(SURE, RIVAL * float(height.max()))
    for _ in range(RIVALS):
        peak = int(np.argmax(height))
        if height[peak] < most:
            break
        found.append(_exact(seen, first, last, begin + peak * q - start))
        height[max(peak - round(JUMP * seen.rate / q), 0) : peak + round(JUMP * seen.rate / q) + 1] = 0
    return found


def _exact(seen: _Windows, first: int, last: int, late: int) -> int:
    """The delay to a sample: the correlation of the loudest of these windows is largest."""
    q, size = seen.q, seen.size
    if q == 1:
        return late
    sums = np.zeros(4 * q + 1)
    for w in first + np.argsort(-seen.energy[first:last], kind="stable")[:8]:
        at = int(w) * size
        r = np.asarray(seen.ref[:, at : at + size], np.float64).mean(axis=0)
        t = moved(seen.test, at - 2 * q, at + size + 2 * q, late).mean(axis=0, dtype=np.float64)
        sums += np.correlate(t, r, "valid")
    return late + int(np.argmax(np.abs(sums))) - 2 * q


def _path(costs: Array, delays: list[int], size: int, ends: int) -> list[tuple[int, int, int]]:
    """The cheapest way: (delay, first window, last + 1) of each piece.

    costs: [delay, window]. A change to a smaller delay skips windows of the reference, which the test does not have.
    """
    count, windows = costs.shape
    late = np.array(delays) / size
    jump = np.abs(late[:, None] - late[None])  # [from, to]
    told = (late[:, None] == 0) & (late[None] == ends / size)
    price = np.where(jump > 0, np.where(told, ONLY, CHANGE) + LONG * jump, 0.0)
    skip = np.ceil(np.maximum(late[:, None] - late[None], 0.0)).astype(int)
    total = np.full((windows, count), np.inf)
    came = np.zeros((windows, count), dtype=np.int8)
    total[0] = costs[:, 0] + LONG * np.abs(late)
    which, to = np.arange(count)[:, None], np.arange(count)
    for k in range(1, windows):
        at = k - 1 - skip
        ways = np.where(at >= 0, total[np.maximum(at, 0), which], np.inf) + price
        best = ways.argmin(axis=0)
        came[k] = best
        total[k] = ways[best, to] + costs[:, k]
    j, k, last = int(np.argmin(total[-1] + LONG * np.abs(ends / size - late))), windows - 1, windows
    path: list[tuple[int, int, int]] = []
    while k > 0:
        i = int(came[k, j])
        if i != j:
            path.append((j, k, last))
            k = last = k - int(skip[i, j])
        j, k = i, k - 1
    path.append((j, 0, last))
    return path[::-1]


def _boundary(
    ref: Array, test: Array, rate: int, around: tuple[int, int], before: int, after: int, gain: float
) -> tuple[int, int]:
    """The first sample at which the delay may change, and the last one: what is left before and after it is least.

    around: the sample before which it does not, and the one near which it does.
    """
    least, at = around
    lacks = max(before - after, 0)  # samples that are in neither piece
    near = round(NEAR * rate)
    while True:
        first, last = max(at - near, least), min(at + near, ref.shape[1] - lacks)
        if last - first < 2:
            return max(min(at, last), least), max(min(at, last), least)
        errors = np.zeros((3, last - first))  # by the delay before, by that after, and nothing: the energy
        for k in range(first, last, BLOCK):
            end = min(k + BLOCK, last)
            for row, (late, shift) in enumerate(((before, 0), (after, lacks))):
                r = np.asarray(ref[:, k + shift : end + shift], np.float64)
                t = np.asarray(moved(test, k + shift, end + shift, late), np.float64)
                errors[row, k - first : end - first] = ((gain * t - r) ** 2).sum(axis=0)
                errors[2, k - first : end - first] += 0.5 * (r * r).sum(axis=0)
        sums = np.concatenate([np.zeros((3, 1)), np.cumsum(errors, axis=1)], axis=1)
        anyway = np.concatenate([[0.0], np.cumsum(np.minimum(errors[0], errors[1]))])
        left = sums[0] - sums[1]
        best = int(np.argmin(left))
        allowed = AS_GOOD[0] * np.abs(sums[2] - sums[2, best]) + AS_GOOD[1] * np.abs(anyway - anyway[best])
        good = left - left[best] <= allowed + 1e-9 * float(sums[2, -1]) / left.size
        start = best - int(np.argmin(np.concatenate([good[best::-1], [False]]))) + 1
        stop = best + int(np.argmin(np.concatenate([good[best:], [False]]))) - 1
        if (start > 0 or first == least) and (stop < left.size - 1 or last == ref.shape[1] - lacks):
            break
        if near >= FAR * rate:
            break
        near *= 2
    return first + start, first + stop


def _repeats(ref: Array, test: Array, rate: int, at: int, test_at: int, longer: int) -> bool:
    """Whether what the test has more is what came just before, or comes after."""
    extra = test[:, max(test_at, 0) : max(test_at, 0) + longer].mean(axis=0, dtype=np.float64)
    if extra.size < 4 * PARTS:
        return False
    near = round(ABOUT * rate)
    own = moved(ref, at - longer - near, at + longer + near, 0).mean(axis=0, dtype=np.float64)
    parts = np.array_split(extra, PARTS)  # since the place may be missed, and another part come first then
    energies = np.array([float((part * part).sum()) for part in parts])
    return float(energies @ [_found(part, own) for part in parts]) > MATCHED * float(energies.sum())


def _found(part: Array, whole: Array) -> float:
    """Squared correlation of a part with what is likest to it in a longer whole."""
    from scipy import fft

    size = fft.next_fast_len(whole.size, real=True)
    products = fft.irfft(fft.rfft(whole, size) * np.conj(fft.rfft(part, size)), size)[: whole.size - part.size + 1]
    sums = np.concatenate([[0.0], np.cumsum(whole * whole)])
    met = sums[part.size :] - sums[: -part.size]
    both = float((part * part).sum()) * np.maximum(met, 1e-3 * met.max())
    return float((products**2 / np.maximum(both, 1e-300)).max())


def _mostly(samples: Array, rate: int) -> float:
    """The power that nearly all frames lie below; whatever rings at the edges, and without a constant."""
    size = max(round(PART * rate), 1)
    n = max(samples.shape[1] // size, 1)
    frames = np.asarray(samples[:, : n * size], np.float64).reshape(len(samples), n, -1)
    return float(np.percentile(frames.var(axis=2).mean(axis=0), NEARLY_ALL)) if samples.size else 0.0


def _power(samples: Array) -> float:
    return float(np.vdot(samples, samples)) / max(samples.size, 1)
