"""Which piece of the test belongs to which piece of the reference: material inserted, removed, repeated or lost."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from ..dsp import alignment
from .finding import Cause, Finding, Place

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

LOW = 8000  # Hz, about, at which delays are looked for
WINDOW = 0.05  # s, that is compared as one
MATCHED = 0.5  # of a window that the other leaves unexplained: with more, the two are not the same sound
FAINT = 1e-4  # of the loudest window, -40 dB: what is quieter belongs anywhere
LEAST = 0.4  # s of unmatched sound, from which on another delay is looked for
GAP = 10  # windows
PIECE = 6.0  # s, in which it is
REACH = 8.0  # s either way
SURE = 0.5  # correlation at the new delay
SWITCH = 1.5  # windows that must match better to make up for a change of the delay
MOST = 16  # delays
WELL = 0.25  # of the windows' energy that may be unexplained by all pieces together
BETTER = 0.05  # by how much less that must be than with one delay
JUMP = 0.003  # s: a smaller change of the delay is a matter of clocks
BEYOND = 0.2  # what is unexplained of a window that lies beyond the end of the test, at most
PIECES = 12  # with more it is as well
SHORT = 0.2  # s: what is shorter is a buffer, not an edit
SHOWN = 10  # places of a finding
BLOCK = 1 << 17  # samples
SILENT = 1e-6  # mean square against that of the reference, -60 dB


@dataclass(frozen=True, slots=True)
class Piece:
    """Samples start to stop of the reference, to be found in the test `late` samples later."""

    start: int
    stop: int
    late: int


def pieces(ref: Array, test: Array, rate: int) -> list[Piece]:
    """The reference cut where the delay of the test changes; empty where it does not, or where nothing fits.

    ref, test: [channel, sample] of one rate, of any lengths and gains.
    """
    q = max(rate // LOW, 1)
    a, b = (_thinned(x, q) for x in (ref, test))
    window = max(round(WINDOW * rate / q), 16)
    count = a.size // window
    if count < 2 * LEAST / WINDOW or b.size < window:
        return []
    delays = [0]
    left = [_left(a, b, window, 0)]
    tried = np.zeros(count, dtype=bool)
    while len(delays) < MOST:
        run = _longest((np.min(left, axis=0) > MATCHED) & ~tried)
        if run is None or run[2] * WINDOW < LEAST:
            break
        first, last = run[0] * window, min(run[1] * window, run[0] * window + round(PIECE * rate / q))
        late = _delay(a, b, first, last, round(REACH * rate / q))
        if late is None or late in delays:
            tried[run[0] : max(last // window - run[2] // 2, run[0] + 1)] = True  # the rest may do alone
            continue
        delays.append(late)
        left.append(_left(a, b, window, late))
    if len(delays) == 1:
        return []
    costs = np.minimum(np.array(left), 1.0)
    chosen = _path(costs)
    explained = float(costs[chosen, np.arange(count)].mean())
    changes = [k for k in range(1, count) if chosen[k] != chosen[k - 1]]
    if not changes or explained > WELL or explained > float(costs.mean(axis=1).min()) - BETTER:
        return []
    exact = {
        k: _exact(ref, test, delays[k] * q, q, np.flatnonzero(np.array(chosen) == k) * window * q, window * q)
        for k in set(chosen)
    }
    gain = _gain(a, b, window, [delays[k] for k in chosen], costs[chosen, np.arange(count)])
    found: list[Piece] = []
    begun = 0
    for k in changes:
        before, after = exact[chosen[k - 1]], exact[chosen[k]]
        near = (4 + abs(after - before) // (window * q)) * window * q
        around = max(k * window * q - near, begun), min(k * window * q + near, ref.shape[1])
        at = _boundary(ref, test, *around, before, after, gain)
        found.append(Piece(begun, at, before))
        begun = at
    found.append(Piece(begun, ref.shape[1], exact[chosen[-1]]))
    found = [piece for piece in found if piece.stop > piece.start]
    jumps = [abs(y.late - x.late) / rate for x, y in pairwise(found)]
    return found if jumps and min(jumps) >= JUMP and len(found) <= PIECES else []


def findings(ref: Array, test: Array, rate: int, cut: list[Piece]) -> list[Finding]:
    """What was done where the delay changes: a finding for each cause, the largest places in order of time."""
    by_cause: dict[Cause, list[tuple[float, Place]]] = {}
    loud = _power(ref)
    for before, after in pairwise(cut):
        longer = after.late - before.late
        start, test_start = before.stop, before.stop + before.late
        end, test_end = start + max(-longer, 0), test_start + max(longer, 0)
        cause: Cause = "edit"
        if longer > 0:  # the test has more
            extra = test[:, max(test_start, 0) : max(test_end, 0)]
            if _power(extra) <= SILENT * loud:
                cause = "silence inserted"
            elif _repeats(ref, test, start, test_start, longer):
                cause = "repeated"
        elif _power(ref[:, start:end]) <= SILENT * loud:
            cause = "silence removed"
        elif -longer <= SHORT * rate:
            cause = "lost"
        place = Place(start / rate, end / rate, test_start / rate, test_end / rate)
        by_cause.setdefault(cause, []).append((abs(longer) / rate, place))
    return [_finding(cause, found) for cause, found in by_cause.items()]


def together(ref: Array, test: Array, cut: list[Piece]) -> tuple[Array, Array, list[Piece]]:
    """Both without what the other lacks, so that one delay is left, that of the first piece; and the pieces, without
    that too."""
    kept = [cut[0]]
    for before, piece in pairwise(cut):
        missing = max(before.late - piece.late, 0)
        kept.append(Piece(min(piece.start + missing, piece.stop), piece.stop, piece.late))
    kept = [p for p in kept if p.stop > p.start]
    first, last = kept[0], kept[-1]
    a = np.concatenate([ref[:, p.start : p.stop] for p in kept], axis=1)
    b = [moved(test, p.start, p.stop, p.late) for p in kept[:-1]]
    b.append(test[:, max(last.start + last.late, 0) : max(last.stop + last.late, 0)])
    if first.late > 0:  # what stands before the first piece stays, as its delay
        b.insert(0, test[:, : first.late])
    elif first.late < 0:
        b[0] = b[0][:, -first.late :]
    return a, np.concatenate(b, axis=1), kept


def _finding(cause: Cause, found: list[tuple[float, Place]]) -> Finding:
    largest = sorted(found, key=lambda f: -f[0])[:SHOWN]
    places = tuple(sorted((place for _, place in largest), key=lambda p: (p.start, p.test_start)))
    return Finding(cause, round(1000 * sum(s for s, _ in found), 3), "ms", places, len(found), 0.9)


def moved(samples: Array, start: int, stop: int, late: int) -> Array:
    """Samples start + late to stop + late, with silence beyond the ends."""
    n = samples.shape[1]
    first, last = start + late, stop + late
    inside = samples[:, max(first, 0) : max(min(last, n), 0)]
    if inside.shape[1] == stop - start:
        return inside
    lead = min(max(-first, 0), stop - start)
    return np.pad(inside, ((0, 0), (lead, stop - start - lead - inside.shape[1])))


def _thinned(samples: Array, q: int) -> Array:
    """The mean of the channels, of q samples each."""
    length = samples.shape[1] // q
    thin = np.empty(length)
    block = max(BLOCK // q, 1)
    for k in range(0, length, block):
        end = min(k + block, length)
        part = np.asarray(samples[:, k * q : end * q], np.float64).mean(axis=0)
        thin[k:end] = part.reshape(end - k, q).mean(axis=1)
    return thin


def _left(a: Array, b: Array, window: int, late: int) -> Array:
    """What the test leaves unexplained of each window of the reference, whatever its gain: 0 to 1; 0 where it is
    faint."""
    count = a.size // window
    x = a[: count * window].reshape(count, window)
    y = moved(b[None], 0, count * window, late)[0].reshape(count, window)
    x, y = (z - z.mean(axis=1, keepdims=True) for z in (x, y))
    xx, yy, xy = (np.einsum("ij,ij->i", *pair) for pair in ((x, x), (y, y), (x, y)))
    loud = xx > FAINT * xx.max()
    explained = np.divide(xy * xy, xx * yy, out=np.zeros(count), where=(xx > 0) & (yy > 0))
    left: Array = np.where(loud, 1.0 - explained, 0.0)
    beyond = np.arange(1, count + 1) * window + late > b.size
    left[beyond] = np.minimum(left[beyond], BEYOND)
    return left


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


def _gain(a: Array, b: Array, window: int, lates: list[int], left: Array) -> float:
    """By which the test must be scaled, of the windows that fit."""
    products = np.zeros(2)
    for k in np.flatnonzero(left < MATCHED).tolist():
        x, y = a[k * window : (k + 1) * window], moved(b[None], k * window, (k + 1) * window, lates[k])[0]
        products += float(x @ y), float(y @ y)
    return float(products[0] / products[1]) if products[1] > 0 else 1.0


def _delay(a: Array, b: Array, first: int, last: int, reach: int) -> int | None:
    """By how much this piece of the reference is late in the test."""
    begin, end = max(first - reach, 0), min(last + reach, b.size)
    if end - begin < last - first:
        return None
    found = alignment.delay(a[None, first:last], b[None, begin:end], 2 * reach)
    late = round(found.samples) + begin - first
    r, t = a[first:last], moved(b[None], first, last, late)[0]
    both = float(np.sqrt((r * r).sum() * (t * t).sum()))
    return late if both > 0 and abs(float((r * t).sum())) > SURE * both else None


def _exact(ref: Array, test: Array, late: int, q: int, starts: Array, window: int) -> int:
    """The delay to a sample: the correlation of the loudest of these windows is largest."""
    mono = [(np.asarray(ref[:, at : at + window], np.float64).mean(axis=0), int(at)) for at in starts]
    mono = sorted((m for m in mono if m[0].size == window), key=lambda m: -float(m[0] @ m[0]))[:8]
    sums = np.zeros(4 * q + 1)
    for r, at in mono:
        t = moved(test, at - 2 * q, at + window + 2 * q, late).mean(axis=0, dtype=np.float64)
        sums += np.correlate(t, r, "valid")
    return late + int(np.argmax(np.abs(sums))) - 2 * q


def _path(costs: Array) -> list[int]:
    """The delay of each window, [delay, window] -> [window], that leaves least with few changes."""
    total = costs[:, 0]
    came = []
    for column in costs.T[1:]:
        best = int(np.argmin(total))
        stay = total <= total[best] + SWITCH
        came.append(np.where(stay, np.arange(len(total)), best))
        total = np.where(stay, total, total[best] + SWITCH) + column
    path = [int(np.argmin(total))]
    for step in reversed(came):
        path.append(int(step[path[-1]]))
    return path[::-1]


def _boundary(ref: Array, test: Array, first: int, last: int, before: int, after: int, gain: float) -> int:
    """The sample at which the delay changes: what is left before and after it is least."""
    r = np.asarray(ref[:, first:last], np.float64)
    errors = []
    for late in (before, after):
        t = np.asarray(moved(test, first, last, late), np.float64)
        errors.append(((gain * t - r) ** 2).sum(axis=0))
    as_before, as_after = (np.concatenate([[0.0], np.cumsum(e)]) for e in errors)
    lacks = max(before - after, 0)  # samples that are in neither piece
    again = np.minimum(np.arange(as_after.size) + lacks, as_after.size - 1)
    left = as_before - as_after[again]
    return first + int(np.flatnonzero(left <= float(left.min()) + 1e-9 * float(np.abs(left).max()))[0])


def _repeats(ref: Array, test: Array, at: int, test_at: int, longer: int) -> bool:
    """Whether what the test has more is what came just before, or comes after."""
    extra = np.asarray(test[:, max(test_at, 0) : max(test_at, 0) + longer], np.float64)
    for begin in (at - longer, at):
        if begin < 0:
            continue
        same = np.asarray(ref[:, begin : begin + longer], np.float64)
        n = min(same.shape[1], extra.shape[1])
        x, y = same[:, :n], extra[:, :n]
        if n and float((x * y).sum()) ** 2 > MATCHED * float((x * x).sum()) * float((y * y).sum()):
            return True
    return False


def _power(samples: Array) -> float:
    return float(np.vdot(samples, samples)) / max(samples.size, 1)
