"""Where, when and how two recordings differ by one metric: its map, in words and figures. Nothing is printed here."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import metrics
from ..comparison import Comparison, compare_signals
from ..hearing.scales import frequencies, narrowest
from ..match import Policy
from ..result import Result
from ..signal import Signal
from .reading import words_of

Array = NDArray[Any]
Of = Literal["distance", "gradient"]
Change = Literal["louder", "quieter", "different"]

REGIONS = 5
CELLS = 64  # columns of time among which regions are searched
LITTLE = 0.005  # a share of the distance not worth a line
EMPTY = 0.05  # of a region's mean density: a time or band with less inside the region is a gap
PART = 0.1  # added or missing energy of less than this share of the distance is not mentioned
INSTANT = 0.2  # seconds: what is shorter happens at one time
GAPS = 0.2  # of a region's extent: where more is gap, they part it
MOST = 0.7  # "lies at": the narrowest band with this share of the distance
WIDE = 0.5  # a range that covers more than this of the whole is no place to point at
AUDIBLE_DB = 1.0  # a smaller difference in level is called different, not louder or quieter
FRAME = 8192  # samples of the analysis that tells louder from quieter
SILENT = 1e-12  # power relative to the other signal that counts as nothing


@dataclass(frozen=True, slots=True)
class Region:
    """A rectangle of time and frequency that holds much of the distance.

    start, end: seconds. low, high: Hz. share: of the whole distance, 0 to 1.
    change: how the test differs there; level_db: by how much, test over reference (+-inf where one is silent).
    """

    start: float
    end: float
    low: float
    high: float
    share: float
    change: Change
    level_db: float


@dataclass(frozen=True, slots=True, eq=False)
class Explanation:
    """One metric's result for one pair: where and when the distance lies.

    per_band [band], per_time [frame]: shares of the distance that add up to 1 (empty when there is no distance).
    map [frame, band]: the same, cell by cell; edges [band + 1] Hz, times [frame] s.
    regions: at most five, the largest share first.
    """

    spec: str
    comparison: Comparison
    result: Result
    per_band: Array
    per_time: Array
    map: Array
    edges: Array
    times: Array
    regions: tuple[Region, ...]
    sentence: str
    of: Of  # what the shares are of


def explain(
    ref: Signal,
    test: Signal,
    spec: str,
    policy: Policy | None = None,
    *,
    jobs: int | None = None,
    gradient: bool = False,
) -> Explanation:
    """Compare by the metric with its map, and say where the distance lies; with gradient, where audiosim.Loss would
    change the test first: where the energy of its gradient lies (needs torch).

    Raises what compare does. Where the metric has no value, the sentence gives its reason.
    """
    policy = policy or Policy()
    comparison = compare_signals(ref, test, [spec], policy, detail="map", jobs=jobs)
    result = comparison.results[spec]
    if gradient and result.status in ("ok", "infinite"):
        result = _of_gradient(result, metrics.parse(spec, policy.listener), comparison)
    return taken_apart(spec, comparison, result, "gradient" if gradient else "distance")


def taken_apart(spec: str, comparison: Comparison, result: Result, of: Of = "distance") -> Explanation:
    """What explain says of a comparison that has been made with detail="map", by the map of this result."""
    gradient = of == "gradient"
    share = np.empty((0, 0)) if result.map is None else np.nan_to_num(result.map.astype(np.float64), posinf=0.0)
    total = float(share.sum())
    if result.status in ("undefined", "error") or result.edges is None or result.times is None or not total > 0.0:
        sentence = (
            f"no value: {result.reason or result.status}"
            if result.status in ("undefined", "error")
            else "the gradient is zero: this loss would change nothing"
            if gradient
            else _without_map(spec, result)
            if result.map is None
            else "this metric finds no difference"
        )
        nothing = np.empty(0)
        return Explanation(
            spec, comparison, result, nothing, nothing, np.empty((0, 0)), nothing, nothing, (), sentence, of
        )
    share /= total
    added = None if result.added is None else result.added / total
    bounds = _time_bounds(result.times, comparison.ref.duration)
    found = tuple(_regions(share, added, result.edges, bounds, comparison))
    sentence = (
        _sentence(share, result.edges, bounds, comparison, of)
        if added is None
        else _added_and_missing(share, added, result.edges, bounds)
    )
    say = metrics.get(metrics.parse(spec).name).words
    pair = {"reference": comparison.ref, "test": comparison.test}
    words = [f"the {which} is silent" for which, sound in pair.items() if not sound.samples.any()]
    words = words or (say(result) if say and not gradient else [])
    return Explanation(
        spec,
        comparison,
        result,
        share.sum(axis=0),
        share.sum(axis=1),
        share,
        result.edges,
        result.times,
        found,
        "; ".join([", ".join(words), sentence]) if words else sentence,
        of,
    )


def worst_time(name: str, result: Result) -> float | None:
    """The time, in seconds, at which this metric is worst: the middle of its worst frame; None without a course over
    time."""
    if result.per_time is None or result.times is None or not np.isfinite(result.per_time).any():
        return None
    card = metrics.get(name).card
    find = np.nanargmax if card.profile == "share" or card.better == "lower" else np.nanargmin
    return float(result.times[find(result.per_time)])


def _without_map(spec: str, result: Result) -> str:
    said = "this metric does not tell in which bands"
    at = worst_time(metrics.parse(spec).name, result)
    if at is None or result.per_time is None or np.nanmin(result.per_time) == np.nanmax(result.per_time):
        return said
    return f"{said}; over time, it is worst at {at:.3g} s"


def _of_gradient(result: Result, spec: metrics.Spec, comparison: Comparison) -> Result:
    """The result with the energy of the loss's gradient in place of its map."""
    from ..answer import Pair, waveform
    from ..dsp import resampling
    from ..engine import stream
    from ..loss import gradient

    rate = metrics.get(spec.name).card.rate or comparison.ref.rate
    ref, test = (s if s.rate == rate else resampling.to_rate(s, rate) for s in (comparison.ref, comparison.test))
    slope = gradient(spec, ref.samples, test.samples, rate)
    slope /= np.abs(slope).max() or 1.0  # only its shape is wanted
    channels = [
        waveform(Pair(rate=rate, detail="map", ref=stream.plain(np.zeros_like(s)), test=stream.plain(s)), result.value)
        for s in slope
    ]
    weight = np.square(slope).sum(axis=1)
    weight /= weight.sum() or 1.0
    mean = sum(w * c.map for w, c in zip(weight, channels, strict=True) if c.map is not None)
    return replace(
        result,
        map=np.asarray(mean),
        added=None,
        per_band=None,
        per_time=None,
        bands=channels[0].bands,
        edges=channels[0].edges,
        times=channels[0].times,
    )


def _regions(share: Array, added: Array | None, edges: Array, bounds: Array, comparison: Comparison) -> list[Region]:
    """Greedy: the rectangle that stands out most is taken out, then the next, until little is left."""
    starts = np.unique(np.linspace(0, share.shape[0], min(CELLS, share.shape[0]) + 1).astype(int))
    cells = np.add.reduceat(share, starts[:-1], axis=0)
    area = np.diff(bounds[starts])[:, None] * np.ones(cells.shape[1])
    free = np.ones(cells.shape)
    regions: list[Region] = []
    while len(regions) < REGIONS and (cells * free).sum() > LITTLE:
        t0, t1, b0, b1 = _solid(cells, area, *_outstanding(cells, area, free))
        held = float(cells[t0:t1, b0:b1].sum())
        if held < LITTLE:
            break
        free[t0:t1, b0:b1] = 0.0
        seconds = float(bounds[starts[t0]]), float(bounds[starts[t1]])
        gained = None if added is None else float(added[starts[t0] : starts[t1], b0:b1].sum()) / held
        regions.append(_region(seconds, (float(edges[b0]), float(edges[b1])), held, comparison, gained))
    return sorted(regions, key=lambda r: -r.share)


def _outstanding(cells: Array, area: Array, free: Array) -> tuple[int, int, int, int]:
    """The free rectangle [t0, t1) x [b0, b1) of the largest likelihood ratio s ln(s/a) + (1-s) ln((1-s)/(1-a)).

    s and a are its parts of the free distance and of the free area (Kulldorff 1997, spatial scan statistic, eq. 1).
    The whole where nothing stands out.
    """
    t0, t1 = np.triu_indices(cells.shape[0] + 1, 1)
    b0, b1 = np.triu_indices(cells.shape[1] + 1, 1)

    def sums(values: Array) -> Array:  # [pair of times, pair of bands]
        table = np.zeros((cells.shape[0] + 1, cells.shape[1] + 1))
        table[1:, 1:] = values.cumsum(axis=0).cumsum(axis=1)
        strips = table[t1] - table[t0]
        result: Array = strips[:, b1] - strips[:, b0]
        return result

    s = np.clip(sums(cells * free) / (cells * free).sum(), 0.0, 1.0)
    a = np.clip(sums(area * free) / (area * free).sum(), 1e-12, 1.0)
    score = s * np.log(np.maximum(s, 1e-12) / a) + (1 - s) * np.log(np.maximum(1 - s, 1e-12) / np.maximum(1 - a, 1e-12))
    score[(s <= a) | (sums(1.0 - free) > 0.5)] = -1.0
    if score.max() <= 1e-9:
        return 0, cells.shape[0], 0, cells.shape[1]
    times, bands = np.unravel_index(int(score.argmax()), score.shape)
    return int(t0[times]), int(t1[times]), int(b0[bands]), int(b1[bands])


def _solid(cells: Array, area: Array, t0: int, t1: int, b0: int, b1: int) -> tuple[int, int, int, int]:
    """The part of a rectangle that holds most of it and bridges no gap: two events are two regions."""
    while True:
        held, size = cells[t0:t1, b0:b1], area[t0:t1, b0:b1]
        first, last = _fullest(held.sum(axis=1), size.sum(axis=1))
        if (first, last) != (0, t1 - t0):
            t0, t1 = t0 + first, t0 + last
            continue
        first, last = _fullest(held.sum(axis=0), size.sum(axis=0))
        if (first, last) == (0, b1 - b0):
            return t0, t1, b0, b1
        b0, b1 = b0 + first, b0 + last


def _fullest(held: Array, size: Array) -> tuple[int, int]:
    """The run [first, last) between the gaps that holds the most; all of it where gaps are few."""
    full = held * size.sum() >= EMPTY * size * held.sum()
    if size[~full].sum() < GAPS * size.sum():
        return 0, len(held)
    ends = np.flatnonzero(np.diff(full, prepend=False, append=False))
    return max(zip(ends[::2].tolist(), ends[1::2].tolist(), strict=True), key=lambda run: held[slice(*run)].sum())


def _region(
    seconds: tuple[float, float],
    hertz: tuple[float, float],
    share: float,
    comparison: Comparison,
    gained: float | None = None,
) -> Region:
    """gained: the part of the distance there that is added sound, by which it is told louder from quieter, unless the
    level says the opposite, as where the metric evens out a filter or a gain first; None: by level."""
    level_db = _level_db(comparison.ref, comparison.test, seconds, hertz)
    up, down = level_db > AUDIBLE_DB, level_db < -AUDIBLE_DB
    if gained is not None:
        up, down = gained > MOST and not down, gained < 1 - MOST and not up
    change: Change = "louder" if up else "quieter" if down else "different"
    return Region(*seconds, *hertz, share, change, level_db)


def _sentence(share: Array, edges: Array, bounds: Array, comparison: Comparison, of: Of) -> str:
    per_band = share.sum(axis=0)
    b0, b1 = narrowest(per_band, MOST)
    if b1 - b0 > WIDE * len(per_band):
        b0, b1 = 0, len(per_band)
        where = f"the {of} is spread over all frequencies"
    else:
        where = f"{100 * per_band[b0:b1].sum():.0f} % of the {of} lies at {frequencies(edges[b0], edges[b1])}"
    per_time = share[:, b0:b1].sum(axis=1)
    t0, t1 = narrowest(per_time, MOST)
    if bounds[t1] - bounds[t0] > WIDE * bounds[-1]:
        t0, t1 = 0, len(per_time)
        when = "all the time"
    else:
        when = f"mostly {_seconds(bounds[t0], bounds[t1])} s"
    there = _region((float(bounds[t0]), float(bounds[t1])), (float(edges[b0]), float(edges[b1])), 0.0, comparison)
    if there.level_db == inf:
        how = "where only the test sounds"
    elif there.level_db == -inf:
        how = "where only the reference sounds"
    elif there.change == "different":
        how = "where the test is as loud but different"
    else:
        how = f"where the test is {there.change}"
    return f"{where}, {when}, {how}"


def _added_and_missing(share: Array, added: Array, edges: Array, bounds: Array) -> str:
    """Where and when the test has what the reference lacks, and the other way round; the larger part first."""
    clauses = []
    for name, part in sorted((("added", added), ("missing", share - added)), key=lambda named: -named[1].sum()):
        if part.sum() < PART:
            continue
        b0, b1 = narrowest(part.sum(axis=0), MOST)
        if b1 - b0 > WIDE * part.shape[1]:
            b0, b1 = 0, part.shape[1]
        t0, t1 = narrowest(part[:, b0:b1].sum(axis=1), MOST)
        if bounds[t1] - bounds[t0] > WIDE * bounds[-1]:
            t0, t1 = 0, len(part)
        dominates = 2 * part[t0:t1, b0:b1].sum() > share[t0:t1, b0:b1].sum()
        where = "all frequencies" if b1 - b0 == part.shape[1] else frequencies(edges[b0], edges[b1])
        if t1 - t0 == len(part):
            when = "all the time"
        elif bounds[t1] - bounds[t0] < INSTANT:
            when = f"at {(bounds[t0] + bounds[t1]) / 2:.1f} s"
        else:
            when = f"at {_seconds(bounds[t0], bounds[t1])} s"
        how = "dominates" if dominates else "lies at"
        clauses.append(f"{name} energy ({100 * part.sum():.0f} % of the distance) {how} {where} {when}")
    return "; ".join(clauses)


def _time_bounds(times: Array, duration: float) -> Array:
    """[frame + 1] seconds: halfway between the centres, from 0 to the end of the signal."""
    inner = (times[1:] + times[:-1]) / 2
    bounds: Array = np.clip(np.concatenate([[0.0], inner, [duration]]), 0.0, duration)
    return bounds


def _level_db(ref: Signal, test: Signal, seconds: tuple[float, float], hertz: tuple[float, float]) -> float:
    """Level of the test over that of the reference in the rectangle, all channels together; 0 when both are silent."""
    low, high = (_power(s, seconds, hertz) for s in (ref, test))
    if high <= SILENT * low:
        return -inf if low > 0.0 else 0.0
    if low <= SILENT * high:
        return inf
    return float(10 * np.log10(high / low))


def _power(signal: Signal, seconds: tuple[float, float], hertz: tuple[float, float]) -> float:
    """Power in the rectangle: Hann frames with half overlap (one frame without a window where it is shorter)."""
    first, last = (round(t * signal.rate) for t in seconds)
    first = min(first, signal.length - 1)
    last = min(max(last, first + 1), signal.length)
    count = min(FRAME, last - first)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(count) / count) if count == FRAME else np.ones(count)
    frequency = np.fft.rfftfreq(count, 1 / signal.rate)
    wanted = (frequency >= hertz[0]) & (frequency < hertz[1])
    if not wanted.any():  # a band narrower than the resolution
        wanted = np.zeros(len(frequency), dtype=bool)
        wanted[np.argmin(np.abs(frequency - sum(hertz) / 2))] = True
    power, frames = 0.0, 0
    for begin in range(first, last - count + 1, max(count // 2, 1)):
        frame = signal.samples[:, begin : begin + count] * window
        power += float((np.abs(np.fft.rfft(frame, axis=1)[:, wanted]) ** 2).sum())
        frames += 1
    return power / max(frames, 1)


def _seconds(start: float, end: float) -> str:
    digits = 1 if end - start >= 0.2 else 2 if end - start >= 0.02 else 3
    return f"{start:.{digits}f}-{end:.{digits}f}"


def card_parts(name: str) -> dict[str, list[tuple[str, str]]]:
    """What the metric states about itself, in the parts of its card, as (field, text); no field stands there twice."""
    metric = metrics.get(name)
    card = metric.card
    low, high = card.range
    trains = card.gradient != "none"
    about = "\n\n".join(" ".join(paragraph.split()) for paragraph in metric.doc.split("\n\n"))
    ignored = card.target_gradient_ignores
    return {
        "What it is": _known(
            ("metric", name),
            ("title", card.title),
            ("family", card.family),
            ("formula", card.formula),
            ("unit", "pure number" if card.unit == "1" else card.unit),
            ("better", card.better),
            ("range", f"{low:g} to {high:g}"),
            ("identical files", "depends on the signal" if card.identical is None else f"{card.identical:g}"),
            ("source", card.source),
            ("conventions", card.conventions),
            ("on silence", card.silence),
            ("when not to use it", card.caveat),
            ("about", about),
        ),
        **({"What values mean": means} if (means := words_of(name)) else {}),
        "What it takes": _known(
            ("shortest recording", card.minimum),
            ("vouched for", card.settles and f"recordings of {card.settles:g} s and longer"),
            ("pauses", card.pauses and "silence of the reference does not count"),
            ("sampling rate", "any" if card.rate is None else f"{card.rate} Hz (others are resampled)"),
            ("channels", f"{card.channels}; pooled by {card.pooling}"),
            ("lengths", card.lengths),
            ("level", card.level),
            ("judged on", card.domain),
            ("judges", card.non_intrusive and "the test alone; the reference is for comparison"),
            ("needs", ", ".join(card.needs)),
        ),
        "In training": _known(
            ("gradient", card.gradient),
            ("surrogate", card.surrogate),
            ("where it has no value", card.cap),
            ("gradient of the target", ignored and f"takes {ignored} for constant"),
            ("silent estimate", card.zero_gradient_on_silence and "has a gradient of zero; use Loss(dither=-100)"),
            ("silent target", card.ratio and "Loss(silent=) says whether it counts"),
            (
                "gradient of an item",
                trains and f"its norm, times the root of its samples, is at most {card.steepest:g}",
            ),
            ("gradient of the gradient", trains and not card.twice and "none"),
        ),
        "What tests hold it to": _known(
            ("symmetric", "yes" if card.symmetric else "no"),
            ("triangle inequality", "yes" if card.triangle else "no"),
            ("does not hear", ", ".join(card.insensitive_to)),
            ("loses track after", ", ".join(card.loses_track)),
            ("saturates at", "" if card.saturates is None else f"{card.saturates:g}"),
            (
                "by band and time",
                f"its {card.profile_unit or 'value'} there"
                if card.profile == "local"
                else "share of the error energy there",
            ),
        ),
    }


def _known(*rows: tuple[str, str | bool | float]) -> list[tuple[str, str]]:
    """Those that say something."""
    return [(field, str(text)) for field, text in rows if text]
