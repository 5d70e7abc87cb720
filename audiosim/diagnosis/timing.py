"""The time of the test against that of the reference: pieces, delay, clocks that differ, speed, tempo, clips."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from math import ceil, inf, log10
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from . import envelopes, sums
from .finding import Finding, Place
from .pair import FEWEST, Pair
from .spectra import Spectra
from .tempo import PROVEN, tempo
from .timeline import Piece, findings, pieces, together

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..dsp.alignment import Delay
    from ..dsp.drift import Drift

    Array = NDArray[Any]

SEARCH = 1.0  # s, of delays
LONGEST = 20.0  # s, in which delays are looked for first, at a low rate
ECHOES = 0.05  # s, within which peaks are one
ALIKE = 0.9  # correlation without a delay, from which on none is looked for but of a few samples
FRACTION = 1.0  # samples: a smaller delay may be an equaliser's
PART = 1.5  # times as long as the other, from which on a recording is first looked for in the longer one
TRENDS = 0.15  # samples by which the delay changes over the recording, where clocks differ
SCATTERED = 0.5  # samples between the delay of segments and that of the whole, by which something moves
WEAK = 0.3, 0.55  # correlation, and coherence of segments, below both of which a delay is chance
VARISPEED = 3000.0  # ppm, from which on it is no clock but a speed
SPEEDS = 0.002, 0.12  # as parts: of these the lengths may tell
CHANGES = 0.002  # of the length, below which there is no other tempo
MANY = 2  # pieces, from which on they may be those of time stretching
EVIDENT = 0.95  # likeness of levels at another tempo, that outdoes what the waveform says
POOR = 0.9  # coherence, below which the clocks may differ;
MOSTLY = 0.6  # of the segments, that are aligned where they do not
HEARD_LATE = 0.03  # s, of a delay beside another tempo
GAIN_OF_POWER = 0.75  # dB, of a gain told by power alone
CLIP = 1.0  # s by which lengths differ, from which on one may be a part of the other
BETTER = 0.98  # of what was unexplained, at most, where the clocks differ;
WELL = 0.02  # with more, there may be pieces,
ALL = 1e-7  # with less, pieces explain all, and no other clock does better
JOINED = 0.7  # which leave as much of it at most; and so does a drift between them
UNRELATED = 0.65  # correlation of envelopes, below which two recordings have nothing in common


def same_pieces(pair: Pair) -> bool:
    """Joins the test again where it was cut, so that one delay is left. False: time stretching cut it."""
    cut = pieces(pair.a, pair.b, pair.rate)
    if len(cut) > MANY and _stretched(pair, EVIDENT):
        return False
    if cut:
        before = pair.a, pair.b
        joined, rest, kept = together(*before, cut)
        unlike = sums.unlike(*sums.overlap(joined, rest, cut[0].late))
        pair.a, pair.b = joined, rest
        still = unlike < ALL or _course(pair.overlapping(cut[0].late)).still
        pair.a, pair.b = before
        if still or not _one_clock(pair, unlike):
            _join(pair, cut, joined, rest, kept, unlike)
    return True


def _join(pair: Pair, cut: list[Piece], joined: Array, rest: Array, kept: list[Piece], unlike: float) -> None:
    """The pieces take the place of both recordings, and what was cut is told. unlike: what they leave unexplained."""
    errors = [sums.error(*sums.overlap(x, y, cut[0].late)) for x, y in ((pair.a, pair.b), (joined, rest))]
    share = pair.gone(pair.now - errors[0] + errors[1]) or 0.0
    told = findings(pair.a, pair.b, pair.rate, cut, unlike, pair.shown)
    whole = sum(f.size or 0.0 for f in told)
    pair.findings += [as_given(pair, replace(f, share=round(share * (f.size or 0.0) / whole, 4))) for f in told]
    pair.a, pair.b, pair.searched = joined, rest, None
    at = 0
    starts: list[tuple[float, float, float]] = []
    for piece in kept:
        late = piece.late - cut[0].late
        starts.append((at / pair.rate, (piece.start - at) / pair.rate, late / pair.rate))
        pair.joins.append(at)
        at += piece.stop - piece.start
    pair.undone.append(partial(_shifted, cut=starts))


def _one_clock(pair: Pair, unlike: float) -> bool:
    """Whether another clock leaves less unexplained than pieces do: of steady tones any delay is near enough to
    some period."""
    found, even = _search(pair)
    return found.clear and even is not None and sums.unlike(*sums.overlap(pair.a, even, 0)) < unlike


def _search(pair: Pair) -> tuple[Drift, Array | None]:
    """The drift between the two as they are, and the test without it where it is clear; searched once."""
    from ..dsp.drift import drift

    if pair.searched is None:
        found = drift(pair.a, pair.b, pair.rate)
        pair.searched = found, _without(pair.b, found) if found.clear else None
    return pair.searched


def _without(test: Array, found: Drift) -> Array:
    """The test without this drift."""
    from ..dsp.drift import lasting, undone

    return undone(test, found, out=sums.room((len(test), max(lasting(test.shape[1], found), 0)), test.dtype))


def same_time(pair: Pair) -> bool:
    """Delay, drift, speed and clips. Whether the two are one recording."""
    rate = pair.rate
    excess = (pair.b.shape[1] - pair.a.shape[1]) / rate
    a, b = sums.overlap(pair.a, pair.b, 0)
    late, found = 0.0, False
    pair.strength = sums.correlation(a, b)
    if pair.strength > ALIKE:
        found = True
    else:
        late, found = _delay(pair)
        if found:
            _in_order(pair, round(late))
    if found and _refined(pair, late) is not None and not _weak(pair):
        _clock(pair)
        if pair.clock is None and float(median(pair.seen.coherences)) < POOR and _stretched(pair, EVIDENT):
            return False
        _tell_delay(pair)
        if abs(excess) > CLIP and not any(f.cause == "speed" for f in pair.findings):
            _tell_clip(pair, -pair.late)
        return True
    part = max(pair.a.shape[1], pair.b.shape[1]) > PART * min(pair.a.shape[1], pair.b.shape[1])
    if (part and _clip(pair)) or _speed(pair):
        _tell_delay(pair)
        return True
    if _stretched(pair) or _pitch(pair):
        if pair.clock is not None:
            _tell_delay(pair)
        return pair.clock is not None
    if not part and _clip(pair):
        return True
    _unrelated(pair)
    return False


def _delay(pair: Pair) -> tuple[float, bool]:
    """In samples."""
    found = roughly(pair.a, pair.b, pair.rate)
    pair.strength = abs(found.correlation)
    return found.samples, found.found


def roughly(a: Array, b: Array, rate: int) -> Delay:
    """Looked for at a low rate, where a is loud."""
    from ..dsp import alignment
    from ..dsp.excerpt import thinning

    q = thinning(rate)
    first, size = _loud(a, round(LONGEST * rate))
    a, b = (sums.thinned(x[:, first : first + size], q) for x in (a, b))
    found = alignment.roughly(a, b, ceil(SEARCH * rate / q), ceil(ECHOES * rate / q))
    return replace(found, samples=found.samples * q)


def _in_order(pair: Pair, late: int) -> None:
    """Undo an exchange of channels: where both hold one sound at two times it would pass for another delay."""
    found = _exchanged(pair, *sums.overlap(pair.a, pair.b, late))
    if found:
        pair.a = sums.arranged(pair.a, found["order"])
        _tell_exchanged(pair, found, 0)


def _exchanged(pair: Pair, a: Array, b: Array) -> dict[str, Any] | None:
    """Which channels of b hold those of a in another order; and `order`, that of a which is then b's."""
    from .. import channels
    from ..signal import Signal

    found = channels.examine(Signal(a, pair.rate), Signal(b, pair.rate)).get("channel_faults", ())
    exchanged = [f for f in found if f["fault"] == "exchanged"]
    if not exchanged:
        return None
    channels_of, hold = ([c for f in exchanged for c in f[k]] for k in ("channels", "hold"))
    order = channels.sources(len(a), exchanged)
    return {"channels": channels_of, "of": len(a), "hold": hold, "order": order}


def _tell_exchanged(pair: Pair, found: dict[str, Any], late: int) -> None:
    share = pair.gone(sums.error(*sums.overlap(pair.a, pair.b, late)))
    pair.tell("exchanged", share=share, detail={k: found[k] for k in ("channels", "of", "hold")})


def _weak(pair: Pair) -> bool:
    """Whether the delay is one by chance."""
    seen = pair.seen
    audible = seen.ref.sum(axis=(1, 2)) > 1e-4 * seen.ref.sum(axis=(1, 2)).max()
    return pair.strength < WEAK[0] and float(np.median(seen.coherences[audible])) < WEAK[1]


def _refined(pair: Pair, late: float) -> float | None:
    """The delay to a fraction of a sample, and the spectra at it. None where nothing is in common after all."""
    for _ in range(3):
        whole = round(late)
        if sums.overlap(pair.a, pair.b, whole)[0].shape[1] < FEWEST:
            return None
        seen = pair.overlapping(whole)
        more = lag(seen)
        late = whole + more
        if abs(more) <= 0.75:
            break
    pair.whole, pair.late, pair.seen = whole, late, seen
    return late


def again(pair: Pair) -> None:
    """Looks at x and y once more, since they have changed."""
    pair.look()
    pair.late = pair.whole + lag(pair.seen)


def lag(seen: Spectra) -> float:
    """How late the test is, in samples, over all segments that are aligned."""
    xy, weight = _phases(seen)
    return float(seen.lag(xy * _signs(xy * weight), weight, seen.window / 4))


def _phases(seen: Spectra) -> tuple[Array, Array]:
    """The cross-spectrum of the segments that are aligned, [channel, bin], and how much each phase says."""
    xx, yy, xy = seen.totals()
    coherence = np.abs(xy) ** 2 / np.maximum(xx * yy, 1e-300)
    chance = min(4 / max(int(seen.frames[seen.good].sum()), 1), 0.9)
    coherence = np.clip((coherence - chance) / (1 - chance), 0, 1)
    coherence[:, :2] = 0
    coherence[:, -1:] = 0
    coherence *= xx > 1e-9 * xx.max()
    return xy, coherence / (1.001 - coherence)


def _signs(products: Array) -> Array:
    """-1 of each channel whose products [channel, bin] are negative together, [channel, 1]."""
    return np.where(products.real.sum(axis=1, keepdims=True) < 0, -1.0, 1.0)


@dataclass(frozen=True, slots=True)
class _Course:
    """Of the delay: late: samples at the start; slope: more of them a second; rest: median distance of the segments
    from that line. even: whether it plainly rises or falls so. still: whether it plainly stays, so that no clocks
    differ."""

    late: float = 0.0
    slope: float = 0.0
    rest: float = inf
    even: bool = False
    still: bool = False


def _course(seen: Spectra) -> _Course:
    xy, weight = _phases(seen)
    good, signs = np.flatnonzero(seen.good), _signs(xy * weight)
    if good.size < 3:
        return _Course()
    turned = (seen.cross[k] * _signs(xy * seen.cross[k].conj()) * signs for k in good)
    times, lags = seen.starts[good], np.array([seen.lag(z, weight, seen.window / 4) for z in turned])
    late, slope, rest = _line(times, lags)
    even = bool(abs(slope) * (times[-1] - times[0]) > max(TRENDS, 4 * rest))
    return _Course(late, slope, rest, even, not even and rest < TRENDS and bool(seen.good.mean() > MOSTLY))


def _clock(pair: Pair) -> None:
    """Clocks that differ: the delay changes evenly from segment to segment."""
    seen, course = pair.seen, _course(pair.seen)
    if course.still:
        return
    poor = seen.good.mean() < MOSTLY or float(np.median(seen.coherences)) < POOR
    if (course.even or SCATTERED < course.rest < inf or poor) and not _drifting(pair) and course.even:
        _stretched_by(pair, 1 + course.slope / pair.rate, pair.whole + course.late)


def polarities(pair: Pair) -> Array:
    """-1 to 1 of each channel: whether what is coherent in both has the same sign."""
    xy = pair.seen.cross.sum(axis=0) * _phases(pair.seen)[1]
    turn = 2j * np.pi * np.arange(xy.shape[1]) / pair.seen.window * pair.fraction
    signs: Array = np.real(xy * np.exp(turn)).sum(axis=1) / np.maximum(np.abs(xy).sum(axis=1), 1e-300)
    return signs


def _drifting(pair: Pair) -> bool:
    """Whether the clocks differ; undone then."""
    return _on_one_clock(pair, *_search(pair))


def _on_one_clock(pair: Pair, found: Drift, even: Array | None) -> bool:
    """even: the test without this drift, which is told where that leaves less unexplained."""
    if even is None:
        return False
    before = pair.a, pair.b, pair.late
    turned = _exchanged(pair, *sums.overlap(pair.a, even, 0)) if len(pair.a) > 1 else None  # drift is that of their sum
    if turned:
        pair.a = sums.arranged(pair.a, turned["order"])
    middle = found.delay_samples_at_start + (found.stretch - 1) * pair.a.shape[1] / 2
    delays = (pair.whole, round(middle)) if turned else (pair.whole,)
    was = min(sums.unlike(*sums.overlap(pair.a, pair.b, late)) for late in delays)
    pair.b = even
    if _refined(pair, 0.0) is None:
        pair.a, pair.b, pair.late = before
        return False
    now = sums.error(*sums.overlap(before[0], pair.b, pair.whole))
    unlike = sums.unlike(*sums.overlap(pair.a, pair.b, pair.whole))
    by_joins = abs(found.ppm) * 1e-6 * pair.a.shape[1] < len(pair.joins)  # each of which may be off by a sample
    if (by_joins or unlike > (JOINED if pair.joins else BETTER) * was) and abs(found.ppm) < VARISPEED:
        pair.a, pair.b, pair.late = before
        _refined(pair, pair.late)
        return False
    pair.clock = found
    pair.start = float(found.delay_samples_at_start)
    detail = {"ppm": round(float(found.ppm), 3)}
    if abs(found.ppm) >= VARISPEED:
        pair.tell("speed", -found.ppm / 1e4 / (1 + found.ppm * 1e-6), "%", share=pair.gone(now), detail=detail)
    else:
        pair.tell("drift", float(found.ppm), "ppm", share=pair.gone(now), detail=detail)
    if turned:
        _tell_exchanged(pair, turned, pair.whole)
    pair.undone.append(partial(_of_clock, clock=found, rate=pair.rate))
    if not pair.joins and unlike > WELL:
        _pieces_on_one_clock(pair, unlike)
    early = max(ceil(-found.delay_samples_at_start / found.stretch), 0)  # before the test begins
    pair.a, pair.b, pair.moved = pair.a[:, early:], pair.b[:, early:], -early
    return True


def _pieces_on_one_clock(pair: Pair, unlike: float) -> None:
    """Joins what was cut, where that is seen only now."""
    cut = pieces(pair.a, pair.b, pair.rate)
    if not cut:
        return
    joined, rest, kept = together(pair.a, pair.b, cut)
    now = sums.unlike(*sums.overlap(joined, rest, cut[0].late))
    if now < JOINED * unlike:
        _join(pair, cut, joined, rest, kept, now)
        _refined(pair, float(cut[0].late))


def _speed(pair: Pair) -> bool:
    if min(pair.a.shape[1], pair.b.shape[1]) < pair.rate:
        return False
    stretch = pair.b.shape[1] / pair.a.shape[1]
    return _drifting(pair) or (SPEEDS[0] < abs(stretch - 1) < SPEEDS[1] and _stretched_by(pair, stretch, 0.0))


def _stretched_by(pair: Pair, stretch: float, late: float) -> bool:
    """Whether the test lasts about so many times longer, and lower, as its waveform has it; undone then."""
    from ..dsp.drift import Drift, drift

    guess = Drift(1e6 * (stretch - 1), late, 1.0, True, 0.0)
    rest = drift(pair.a, _without(pair.b, guess), pair.rate)
    if not rest.found:
        return False
    ppm = 1e6 * (stretch * rest.stretch - 1)
    start = late + stretch * rest.delay_samples_at_start
    found = replace(rest, ppm=ppm, delay_samples_at_start=start)
    return _on_one_clock(pair, found, _without(pair.b, found) if found.clear else None)


def _stretched(pair: Pair, least: float = 0.0) -> bool:
    """Another tempo, by the course of levels, of at least this likeness; the pitch may go with it."""
    if abs(pair.b.shape[1] / pair.a.shape[1] - 1) < CHANGES:
        return False  # time stretching without another length is rare
    found = tempo(pair.a, pair.b, pair.rate)
    if found is None or found.likeness < least:
        return False
    if found.shifted and _stretched_by(pair, 1 / found.factor, found.late * pair.rate):
        return True
    if found.likeness < PROVEN:
        return False
    percent = 100 * (found.factor - 1)
    pair.tell("speed" if found.shifted else "tempo", percent, "%", confidence=round(found.likeness, 2))
    if abs(found.late) > HEARD_LATE:
        pair.tell("delay", 1000 * found.late, "ms")
    _tell_power(pair, found.gain_db)
    return True


def _tell_power(pair: Pair, db: float) -> None:
    """Of a test whose waveform is another one."""
    if abs(db) > GAIN_OF_POWER:
        pair.tell("gain", db, "dB", confidence=0.7)


def _tell_delay(pair: Pair) -> None:
    late = pair.late if pair.start is None else pair.start
    if abs(late) < FRACTION or any(f.cause in ("delay", "excerpt") for f in pair.findings):
        return
    now = sums.error(*sums.overlap(pair.a, pair.b, pair.whole))
    pair.tell("delay", 1000 * late / pair.rate, "ms", share=pair.gone(now), detail={"samples": round(late, 3)})


def _clip(pair: Pair) -> bool:
    """Whether one is a part of the other, or further away than delays are looked for."""
    from ..dsp import excerpt

    a, b = pair.a, pair.b
    found = excerpt.find(a, b, pair.rate)
    if not found.found:
        return False
    start = found.start_samples
    before = sums.error(*sums.overlap(a, b, 0))
    pair.moved = -round(start)
    pair.a, pair.b = sums.overlap(a, b, pair.moved)
    if _refined(pair, 0.0) is not None:
        pair.strength = abs(sums.correlation(*sums.overlap(pair.a, pair.b, pair.whole)))
        if not _weak(pair):
            start -= pair.late + round(start) - start
            if max(a.shape[1], b.shape[1]) - pair.a.shape[1] > CLIP * pair.rate:
                _tell_clip(pair, start)
            else:
                pair.energy, pair.now = before, before
                share = pair.gone(sums.error(*sums.overlap(pair.a, pair.b, pair.whole)))
                pair.tell("delay", -1000 * start / pair.rate, "ms", share=share, detail={"samples": round(-start, 3)})
            return True
    pair.a, pair.b, pair.moved = a, b, 0
    return False


def _tell_clip(pair: Pair, start: float) -> None:
    """start: of the test in the reference, samples."""
    ref, test = pair.ref.duration, pair.test.duration
    shorter = "test" if test < ref else "reference"
    at = start if shorter == "test" else -start
    for f in [f for f in pair.findings if f.cause == "delay"]:
        pair.findings.remove(f)
    pair.tell(
        "excerpt",
        at / pair.rate,
        "s",
        share=None,
        detail={"shorter": shorter, "duration": round(min(ref, test), 6), "of": round(max(ref, test), 6)},
    )


def _pitch(pair: Pair) -> bool:
    found = envelopes.pitch(pair.a, pair.b, pair.rate)
    if found is None:
        return False
    pair.tell("pitch", found[0], "semitones", confidence=found[1])
    _tell_power(pair, 10 * log10(pair.powers[1] / pair.powers[0]))
    return True


def _unrelated(pair: Pair) -> None:
    a, b = sums.overlap(pair.a, pair.b, 0)
    pair.leave(a, b)
    alike = envelopes.likeness(a, b, pair.rate)
    if alike is not None and alike < UNRELATED:
        pair.tell("unrelated", share=None, confidence=round(min(1.0, 0.6 + UNRELATED - alike), 2))


def as_given(pair: Pair, finding: Finding) -> Finding:
    """With times as they are in the recordings as they were given."""
    places = finding.places
    for before in reversed(pair.undone):
        places = tuple(map(before, places))
    return replace(finding, places=places)


def _of_clock(place: Place, clock: Drift, rate: int) -> Place:
    """The place with its times in the test as its own clock has them."""
    late, stretch = clock.delay_samples_at_start / rate, clock.stretch
    return replace(place, test_start=late + stretch * place.test_start, test_end=late + stretch * place.test_end)


def _line(t: Array, y: Array) -> tuple[float, float, float]:
    """Level and slope of the straight line through most points, and the median distance from it."""
    i, k = np.triu_indices(t.size, 1)
    slope = float(np.median((y[k] - y[i]) / (t[k] - t[i])))
    rest = y - slope * t
    level = float(np.median(rest))
    return level, slope, float(np.median(np.abs(rest - level)))


def _loud(x: Array, length: int) -> tuple[int, int]:
    """Where the first sound begins, and how much is looked at from there."""
    if x.shape[1] <= length:
        return 0, x.shape[1]
    step = max(length // 20, 1)
    cut = x.shape[1] // step * step
    powers = [float((x[:, at : at + step] ** 2).sum()) for at in range(0, cut, step)]
    first = int(np.argmax(np.array(powers) > 0.05 * max(powers)))
    return min(first * step, x.shape[1] - length), length


def _shifted(place: Place, cut: list[tuple[float, float, float]]) -> Place:
    """The place with its times as they were before pieces were joined."""
    _, own, late = [piece for piece in cut if piece[0] <= place.start + 1e-6][-1]
    return replace(
        place,
        start=place.start + own,
        end=place.end + own,
        test_start=place.test_start + own + late,
        test_end=place.test_end + own + late,
    )
