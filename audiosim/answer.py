"""From sums over frames and bins to a metric's answer about one channel: value, profile and map out of one pass."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite, nan
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from . import engine
from .engine.frames import STFT, Sums
from .hearing import scales
from .result import Result, Status

if TYPE_CHECKING:
    from .engine.fold import Measure
    from .engine.stream import Stream

Array = NDArray[Any]
Detail = Literal["value", "profile", "map"]
Finish = Callable[[Array, Any, Any], Array]

STEPS = 256  # of a warped path at once
ERROR_FRAME = 0.04  # seconds, about, of the frames in which error energy is reported


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """A metric's answer about one channel, before pooling. Fields as in Result."""

    value: float
    per_band: Array | None = None
    per_time: Array | None = None
    bands: Array | None = None
    edges: Array | None = None
    times: Array | None = None
    map: Array | None = None
    added: Array | None = None
    details: Mapping[str, float] = field(default_factory=dict)
    reason: str | None = None  # why the value is nan or infinite


def pool(channels: list[Channel], details: Mapping[str, float] | None = None) -> Result:
    """Mean over channels of values, profiles, maps and details, with the status that follows from the values."""
    values = np.array([c.value for c in channels], dtype=np.float64)
    with np.errstate(invalid="ignore"):  # +inf and -inf have no mean
        value = float(values.mean())
    reasons = [f"channel {i}: {c.reason}" for i, c in enumerate(channels, 1) if c.reason]
    if len({c.reason for c in channels}) == 1 and channels[0].reason:  # the same for all
        reasons = [channels[0].reason]
    status: Status = "ok" if isfinite(value) else "undefined" if value != value else "infinite"

    def mean(name: str) -> Array | None:
        arrays = [getattr(c, name) for c in channels]
        if arrays[0] is None:
            return None
        result: Array = np.mean(arrays, axis=0) if len(arrays) > 1 else arrays[0]
        return result

    first = channels[0]
    return Result(
        value=value,
        per_channel=values,
        per_band=mean("per_band"),
        per_time=mean("per_time"),
        bands=first.bands,
        edges=first.edges,
        times=first.times,
        map=mean("map"),
        added=mean("added"),
        details=details or {name: float(np.mean([c.details[name] for c in channels])) for name in first.details},
        status=status,
        reason=None if status == "ok" else "; ".join(reasons) or "no finite number",
    )


@dataclass(frozen=True, slots=True)
class View:
    """How much of the answer is wanted, and on how many threads."""

    rate: int
    detail: Detail = "value"
    band_edges: Any = None
    jobs: int = 1


def spectral(
    ref: Stream,
    test: Stream,
    stft: STFT,
    measure: Measure,
    terms: int,
    finish: Finish,
    parts: Callable[[Any], Array],
    view: View,
    *,
    frequencies: Array | None = None,
    per_frame: Callable[[Array, Array], Array] | None = None,
    lookback: int = 0,
    added: Callable[[Any], Array] | None = None,
    details: Callable[[Any], Mapping[str, float]] | None = None,
) -> Channel:
    """One channel's answer of a metric that is a function of sums over frames and bins.

    finish(sums [..., term], frames, bins): the metric of such sums: of all, of a band, of a frame.
    parts(sums): contributions [frame, band] from sums.map.
    frequencies: centres in Hz of the bins that the measure writes (default: those of the STFT).
    added(sums): what of the contributions is Result.added. details(sums): named parts, from sums.total.
    Other arguments as in engine.fold.fold.
    """
    centres = stft.frequencies(view.rate) if frequencies is None else frequencies
    cuts = edges = None
    if view.detail != "value":
        cuts, edges = scales.bands(centres, view.rate / 2, view.band_edges)
    sums = engine.fold.fold(
        ref,
        test,
        stft,
        measure,
        terms,
        bins=centres.size,
        bands=cuts,
        per_frame=per_frame,
        keep_map=view.detail == "map",
        lookback=lookback,
        jobs=view.jobs,
    )
    if sums is None:
        return Channel(value=nan, reason=stft.too_short(ref.length))
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
            times=stft.times(sums.frames, view.rate),
            map=parts(sums) if view.detail == "map" else None,
            added=added(sums) if added and view.detail == "map" else None,
            details=named,
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


def pooled(channels: list[Channel]) -> Result:
    """As result.pool, of channels of which some may have no value, and so no profile and details either, and some no
    value in some frames: per_time is the mean of those that have one."""
    if any(c.reason for c in channels):
        return pool([Channel(value=c.value, reason=c.reason) for c in channels])
    result = pool(channels)
    if result.per_time is None or len(channels) == 1:
        return result
    heard = np.array([c.per_time for c in channels])
    counts = np.isfinite(heard).sum(0)
    by_time = np.divide(np.nansum(heard, 0), counts, out=np.full(counts.size, nan), where=counts > 0)
    return replace(result, per_time=by_time)


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
        bands = np.add.reduceat(squares[:, : cuts[-1]], cuts[:-1], axis=1)
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
    ref: Stream,
    test: Stream,
    value: float,
    view: View,
    finish: Callable[[Array, Any], Array] | None = None,
    scale: float | None = None,
    gain: float = 1.0,
    reason: str | None = None,
    means: tuple[float, ...] = (0.0, 0.0),
) -> Channel:
    """One channel's answer of a metric whose value was computed from the samples.

    Profile and map come from the energies of reference, test and error (test - gain * reference) in frames under a sine
    window, half overlapping: its squares add up to one, so the energies of all frames and bins add up to that of the
    samples (Parseval).
    finish(energies [..., 3], samples): the metric of such energies; None: the share of error energy.
    means: of reference and test, where the metric removes them.
    scale: what error energy is divided by in the map; None: all of it, so that the map sums to 1.
    """
    if view.detail == "value":
        return Channel(value=value, reason=reason)
    if any(means):
        ref, test = (engine.stream.centred(s, mean) for s, mean in zip((ref, test), means, strict=True))
    stft = error_frames(view.rate)

    def measure(spectra: Array, edges: Array, out: Array) -> None:
        z = spectra.view(ref.samples.dtype)
        engine.divergence.energies(z[0], z[1], gain, 1 / stft.n_fft, edges, out)

    def local(sums: Array, frames: Any, bins: Any) -> Array:
        if finish is None:
            return sums[..., 2]
        return finish(sums, stft.hop if frames == 1 else ref.length)  # every signal has two frames or more

    def parts(sums: Sums) -> Array:
        assert sums.map is not None
        return sums.map[:, :, 2] / (sums.total[2] if scale is None else scale)

    channel = spectral(ref, test, stft, measure, 3, local, parts, view)
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
