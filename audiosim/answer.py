"""From sums over frames and bins to a metric's answer about one channel: value, profile and map out of one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, isnan, nan
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from . import engine
from .engine.frames import STFT, Sums
from .hearing import scales
from .result import Better, Result, Scale, Status

if TYPE_CHECKING:
    from .engine.fold import Measure
    from .engine.stream import Stream

Array = NDArray[Any]
T = TypeVar("T")
Detail = Literal["value", "profile", "map"]
Finish = Callable[[Array, Any, Any], Array]

SHARED = ("per_band", "per_time", "bands", "edges", "times", "map", "added", "details")
STEPS = 256  # of a warped path at once
ERROR_FRAME = 0.04  # seconds, about, of the frames in which error energy is reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A metric's answer about one channel, before pooling; or about all of them, where it takes them together.
    Fields as in Result. What the options say of unit and better stands in Options.value_unit and value_better, which
    hold without an answer too."""

    value: float
    per_channel: Array | None = None  # of an answer about all channels; None: each has its value
    per_band: Array | None = None
    per_time: Array | None = None
    bands: Array | None = None
    edges: Array | None = None
    times: Array | None = None
    map: Array | None = None
    added: Array | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    place: Mapping[str, float] = field(default_factory=dict)  # what its domain is asked about; empty: it is not asked
    reason: str | None = None  # why the value is nan or infinite
    unit: str | None = None  # None: as options and card say
    better: Better | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How much of an answer is wanted, and on how many threads."""

    rate: int
    detail: Detail = "value"
    band_edges: Any = None
    threads: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(View):
    """One channel of the reference and of the test, weighted as the options say.

    others: the same channel of the other sources of a mixture and of their estimates, where the card asks for them.
    """

    ref: Stream
    test: Stream
    others: tuple[tuple[Stream, Stream], ...] = ()

    @property
    def samples(self) -> tuple[Array, Array]:
        """Of reference and test [sample], of a metric without weighting."""
        return self.ref.samples, self.test.samples


def each_of(pairs: Sequence[Pair], function: Callable[[Pair], T]) -> list[T]:
    """function of each channel, on the threads that they have together."""
    threads, count = pairs[0].threads, len(pairs)
    if count == 1:
        return [function(pairs[0])]
    shared = [replace(pair, threads=max(1, threads // count)) for pair in pairs]
    return engine.threads.in_threads(lambda c: function(shared[c]), range(count), min(threads, count))


def pool(channels: Sequence[Channel], pooling: str = "mean") -> Channel:
    """The channels as one: values, per_band and per_time by their mean or root mean square, the rest by its mean.

    What a channel lacks, all lack; in frames without a value (nan) the others count. Channels that go on for longer
    than others are alone there.
    """
    if len(channels) == 1:
        return replace(channels[0], per_channel=np.array([channels[0].value], dtype=np.float64))
    values = np.array([c.value for c in channels], dtype=np.float64)
    reasons = [f"channel {i}: {c.reason}" for i, c in enumerate(channels, 1) if c.reason]
    if len({c.reason for c in channels}) == 1 and channels[0].reason:  # the same for all
        reasons = [channels[0].reason]
    times = _longest([c.times for c in channels])

    def arrays(name: str) -> list[Array] | None:
        found = [getattr(c, name) for c in channels]
        return None if any(x is None for x in found) else found

    def mean(name: str) -> Array | None:
        found = arrays(name)
        if found is None:
            return None
        average: Array = np.mean([_padded(x, times, 0.0) for x in found], axis=0)
        return average

    def pooled(name: str) -> Array | None:
        found = arrays(name)
        if found is None:
            return None
        stacked = np.array(found if name == "per_band" else [_padded(x, times, nan) for x in found])
        if pooling == "rms":
            root: Array = np.sqrt(_mean_of_numbers(stacked**2))
            return root
        if name == "per_time" and np.isnan(stacked).any():
            return _mean_of_numbers(stacked)
        average: Array = np.mean(stacked, axis=0)
        return average

    def named(name: str) -> dict[str, float]:
        found = [getattr(c, name) for c in channels]
        return {k: float(np.mean([x[k] for x in found])) for k in found[0] if all(k in x for x in found)}

    with np.errstate(invalid="ignore"):  # +inf and -inf have no mean
        value = np.sqrt(np.mean(values**2)) if pooling == "rms" else values.mean()
    first, per_band = channels[0], pooled("per_band")
    return Channel(
        value=float(value),
        per_channel=values,
        per_band=per_band,
        per_time=pooled("per_time"),
        bands=None if per_band is None else first.bands,
        edges=None if per_band is None else first.edges,
        times=times,
        map=mean("map"),
        added=mean("added"),
        details=named("details"),
        place=named("place"),
        reason="; ".join(reasons) or None,
        unit=first.unit,
        better=first.better,
    )


def _longest(times: Sequence[Array | None]) -> Array | None:
    known = [t for t in times if t is not None]
    return max(known, key=len) if len(known) == len(times) else None


def _padded(x: Array, times: Array | None, fill: float) -> Array:
    """x [frame, ...], as long as times."""
    missing = 0 if times is None else len(times) - len(x)
    return np.concatenate([x, np.full((missing, *x.shape[1:]), fill)]) if missing else x


def _mean_of_numbers(stacked: Array) -> Array:
    """Mean over axis 0 of what is no nan; nan where nothing is."""
    counts = np.isfinite(stacked).sum(0)
    means: Array = np.divide(np.nansum(stacked, 0), counts, out=np.full(counts.shape, nan), where=counts > 0)
    return means


def too_short(needed: float, length: int, rate: int) -> str:
    """Why so many samples have no value, where so many seconds are needed."""
    return f"too short: {needed:g} s are needed, there are {length / rate:.3g} s"


def too_quiet(seconds: float, needed: float, below: float) -> str:
    """Why a reference has no value of which only so many seconds are within `below` dB of its loudest frame."""
    if not seconds:
        return "the reference is silent"
    return f"{seconds:.2g} s of the reference are within {below:g} dB of its loudest frame, {needed:.2g} s are needed"


def result(answer: Channel, channels: int, scale: Scale) -> Result:
    """The answer about all channels as a Result, with the status that follows from the value. scale: Metric.scale."""
    status: Status = "ok" if isfinite(answer.value) else "undefined" if isnan(answer.value) else "infinite"
    per_channel = np.full(channels, answer.value) if answer.per_channel is None else answer.per_channel
    return Result(
        value=float(answer.value),
        per_channel=per_channel,
        unit=answer.unit or scale.unit,
        better=answer.better or scale.better,
        status=status,
        reason=None if status == "ok" else answer.reason or "no finite number",
        **{name: getattr(answer, name) for name in SHARED},
    )


def spectral(
    pair: Pair | Sequence[Pair],
    stft: STFT,
    measure: Measure,
    terms: int,
    finish: Finish,
    parts: Callable[[Any], Array],
    *,
    frequencies: Array | None = None,
    per_frame: Callable[[Array, Array], Array] | None = None,
    lookback: int = 0,
    added: Callable[[Any], Array] | None = None,
    details: Callable[[Any], Mapping[str, float]] | None = None,
) -> Channel:
    """One channel's answer of a metric that is a function of sums over frames and bins; or that of some channels whose
    sums are added.

    finish(sums [..., term], frames, bins): the metric of such sums: of all, of a band, of a frame.
    parts(sums): contributions [frame, band] from sums.map.
    frequencies: centres in Hz of the bins that the measure writes (default: those of the STFT).
    added(sums): what of the contributions is Result.added. details(sums): named parts, from sums.total.
    Other arguments as in engine.fold.fold.
    """
    pairs = [pair] if isinstance(pair, Pair) else pair
    pair = pairs[0]
    centres = stft.frequencies(pair.rate) if frequencies is None else frequencies
    cuts = edges = None
    if pair.detail != "value":
        cuts, edges = scales.bands(centres, pair.rate / 2, pair.band_edges)

    def fold(channel: Pair) -> Sums | None:
        return engine.fold.fold(
            channel.ref,
            channel.test,
            stft,
            measure,
            terms,
            bins=centres.size,
            bands=cuts,
            per_frame=per_frame,
            keep_map=channel.detail == "map",
            lookback=lookback,
            threads=channel.threads,
        )

    sums = engine.frames.added(each_of(pairs, fold))
    if sums is None:
        return Channel(value=nan, reason=stft.too_short(pair.ref.length))
    value = float(finish(sums.total, sums.frames, sums.bins))
    named = details(sums) if details else {}
    if cuts is None:
        return Channel(value=value, details=named)
    with np.errstate(divide="ignore", invalid="ignore"):
        return Channel(
            value=value,
            per_band=finish(sums.by_band, sums.frames, sums.band_bins),  # type: ignore[arg-type]
            per_time=finish(sums.by_frame, 1, sums.bins),  # type: ignore[arg-type]
            bands=scales.centres(centres, cuts),
            edges=edges,
            times=stft.times(sums.frames, pair.rate),
            map=parts(sums) if pair.detail == "map" else None,
            added=added(sums) if added and pair.detail == "map" else None,
            details=named,
        )


def mean_of_resolutions(channels: Sequence[Channel]) -> Channel:
    """Mean of one metric's answers at several resolutions, on the time axis of the slowest: frames belong to the
    nearest of its frames."""
    value = float(np.mean([c.value for c in channels]))
    reason = next((c.reason for c in channels if c.reason), None)
    details = {name: float(np.mean([c.details[name] for c in channels])) for name in channels[0].details}
    if reason or channels[0].times is None:
        return Channel(value=value, reason=reason, details=details)
    slowest = min(channels, key=lambda c: len(c.times))  # type: ignore[arg-type]
    grid: Any = slowest.times
    per_time = np.zeros(len(grid))
    contributions: Any = None if slowest.map is None else np.zeros_like(slowest.map)
    for c in channels:
        assert c.times is not None
        assert c.per_time is not None
        cell = np.searchsorted((grid[1:] + grid[:-1]) / 2, c.times)
        count = np.bincount(cell, minlength=len(grid))
        sums = np.bincount(cell, c.per_time, len(grid))
        nearest = np.searchsorted((c.times[1:] + c.times[:-1]) / 2, grid)
        per_time += np.where(count > 0, sums / np.maximum(count, 1), c.per_time[nearest]) / len(channels)
        if c.map is not None:
            np.add.at(contributions, cell, c.map / len(channels))
    return replace(
        slowest,
        value=value,
        details=details,
        per_band=np.mean([c.per_band for c in channels if c.per_band is not None], axis=0),
        per_time=per_time,
        map=contributions,
    )


def shares(
    cells: Array, times: Array, frequencies: Array, cuts: Array | None, edges: Array | None, detail: Detail
) -> dict[str, Any]:
    """Fields of a Result that tell where cells [frame, band] >= 0 lie, as shares of their sum (0 where it is 0).

    times: centres of the frames, seconds. frequencies: centres of what the bands were cut from, by cuts and at edges in
    Hz, as scales.bands gives them.
    """
    if cuts is None:
        return {}
    share = cells / (cells.sum() or 1.0)
    return {
        "per_band": share.sum(axis=0),
        "per_time": share.sum(axis=1),
        "bands": scales.centres(frequencies, cuts),
        "edges": edges,
        "times": times,
        "map": share if detail == "map" else None,
    }


class Grid:
    """What several measures contribute, each on frames and bands of its own, added up on common ones.

    count frames, of which frame i is centred on i hop seconds; edges [band + 1] in Hz.
    """

    def __init__(self, count: int, hop: float, edges: Array) -> None:
        self.hop, self.edges = hop, edges
        self.per_time, self.map = np.zeros(count), np.zeros((count, edges.size - 1))

    def add(self, amount: float, cells: Any, times: Any, frequencies: Any) -> None:
        """Shares an amount >= 0 out like cells [frame, band] at times in s and frequencies in Hz, none where they are
        below 0: each goes to the two frames about it, and to the band that its frequency lies in, if there is one."""
        cells = np.maximum(cells, 0)
        total = float(cells.sum())
        if not (amount > 0 and total > 0):
            return
        inside = np.searchsorted(self.edges, frequencies, "right")[:, None] == np.arange(1, self.edges.size)
        places = np.clip(times / self.hop, 0, len(self.map) - 1)
        first = places.astype(int)
        for rows, parts in ((first, 1 - (places - first)), (np.minimum(first + 1, len(self.map) - 1), places - first)):
            heights = parts[:, None] * cells * (amount / total)
            self.per_time += np.bincount(rows, heights.sum(1), len(self.map))
            np.add.at(self.map, rows, heights @ inside)

    def shares(self, detail: Detail) -> dict[str, Any]:
        """Fields of a Result, as shares of all that was added (0 where that is nothing)."""
        total = self.per_time.sum() or 1.0
        return {
            "per_band": self.map.sum(0) / total,
            "per_time": self.per_time / total,
            "bands": (self.edges[1:] + self.edges[:-1]) / 2,
            "edges": self.edges,
            "times": np.arange(len(self.map)) * self.hop,
            "map": self.map / total if detail == "map" else None,
        }


def local_distances(
    value: float,
    distances: Array,
    shares: Array,
    frames: Array,
    difference: Callable[[slice], Array],
    frequencies: Array,
    top: float,
    times: Array,
    view: View,
) -> Channel:
    """One channel's answer of a metric that is a mean of distances of log spectra.

    distances, shares, frames [step]: of each pair of frames, its part in the mean, and the frame of the reference.
    difference: some steps -> their difference of log spectra, up to a factor, [step, point] at frequencies in Hz that
        end at top; by its squares a distance is shared out among bands.
    """
    cuts, edges = scales.bands(frequencies, top, view.band_edges)
    counts = np.diff(cuts)
    per_band, local = np.zeros(counts.size), np.zeros((times.size, counts.size))
    for k in range(0, distances.size, STEPS):
        part = slice(k, k + STEPS)
        squares = np.square(difference(part))
        whole = squares.sum(1, keepdims=True)
        squares /= np.where(whole > 0, whole, 1)
        bands = scales.by_band(squares, cuts)
        weight = shares[part] * distances[part]
        per_band += weight @ np.sqrt(bands * (squares.shape[1] / counts))
        np.add.at(local, frames[part], weight[:, None] * bands)
    hard = float(shares @ distances)
    totals, counts = (np.bincount(frames, w, minlength=times.size) for w in (distances, None))
    return Channel(
        value=value,
        per_band=per_band,
        per_time=np.divide(totals, counts, out=np.full(times.size, nan), where=counts > 0),
        bands=scales.centres(frequencies, cuts),
        edges=edges,
        times=times,
        map=local * (value / hard if hard else 1.0) if view.detail == "map" else None,
    )


def waveform(
    pair: Pair,
    value: float,
    finish: Callable[[Array, Any], Array] | None = None,
    scale: float | None = None,
    gain: float = 1.0,
    reason: str | None = None,
    means: tuple[float, ...] = (0.0, 0.0),
) -> Channel:
    """One channel's answer of a metric whose value was computed from the samples: as waveforms."""
    return waveforms([pair], value, finish, scale, gain, reason, [means])


def waveforms(
    pairs: Sequence[Pair],
    value: float,
    finish: Callable[[Array, Any], Array] | None = None,
    scale: float | None = None,
    gain: float = 1.0,
    reason: str | None = None,
    means: Sequence[tuple[float, ...]] = (),
) -> Channel:
    """The answer about channels whose energies are added, of a metric whose value was computed from the samples.

    Profile and map come from the energies of reference, test and error (test - gain * reference) in frames under a sine
    window, half overlapping: its squares add up to one, so the energies of all frames and bins add up to that of the
    samples (Parseval).
    finish(energies [..., 3], samples): the metric of such energies, of so many samples of all channels together; None:
        the share of error energy.
    means: of reference and test of each channel, where the metric removes them.
    scale: what error energy is divided by in the map; None: all of it, so that the map sums to 1.
    """
    pair = pairs[0]
    if pair.detail == "value":
        return Channel(value=value, reason=reason)
    if any(any(both) for both in means):
        pairs = [
            replace(p, ref=engine.stream.centred(p.ref, of_ref), test=engine.stream.centred(p.test, of_test))
            for p, (of_ref, of_test) in zip(pairs, means, strict=True)
        ]
    double = engine.stream.double  # spectra in float32 hold more rounding than a small error
    pairs = [replace(p, ref=double(p.ref), test=double(p.test)) for p in pairs]
    stft = error_frames(pair.rate)

    def measure(spectra: Array, edges: Array, out: Array) -> None:
        z = spectra.view(spectra.real.dtype)
        engine.divergence.energies(z[0], z[1], gain, 1 / stft.n_fft, edges, out)

    def local(sums: Array, frames: Any, bins: Any) -> Array:
        if finish is None:
            return sums[..., 2]
        samples = stft.hop if frames == 1 else pair.ref.length  # every signal has two frames or more
        return finish(sums, samples * len(pairs))

    def parts(sums: Sums) -> Array:
        assert sums.map is not None
        return sums.map[:, :, 2] / (sums.total[2] if scale is None else scale)

    channel = spectral(pairs, stft, measure, 3, local, parts)
    share = 1.0 if finish or not channel.value else channel.value
    return replace(
        channel,
        value=value,
        reason=reason,
        per_band=np.divide(channel.per_band, share),  # type: ignore[arg-type]
        per_time=np.divide(channel.per_time, share),  # type: ignore[arg-type]
        map=None if channel.map is None else np.nan_to_num(channel.map),  # no error at all: 0 / 0
    )


def error_frames(rate: int) -> STFT:
    """Frames of about 40 ms, a power of two, half overlapping, that cover every sample twice."""
    n = max(32, 1 << round(np.log2(ERROR_FRAME * rate)))
    window = np.sin(np.pi * (np.arange(n) + 0.5) / n)
    return STFT(n, n // 2, window, n // 2, n // 2 + n // 2 - 1, "zero")
