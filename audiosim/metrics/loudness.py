"""Loudness difference by Zwicker's method: how much louder or softer a listener finds the test than the reference, in
sone. ISO 532-1:2017, for time-varying and for stationary sounds.

Details, each of ref, test and difference (test - ref): N5 and Nmax in sone, or N for method=stationary; loudness_level
in phon, of N5 or N. specific_difference, in sone: mean over the time that both recordings have of the integral of
|N'(test) - N'(ref)|.
per_time holds |N(test) - N(ref)| in steps of 20 ms, in sone; per_band the mean |N'(test) - N'(ref)|, in sone/Bark. The
map shares out specific_difference. Stationary sounds have one step.

N5 is the 95th percentile of N(t) every 2 ms. N is not rounded, where the standard gives three digits. Each recording is
measured as long as it is, from rest. The levels of the stationary method come from the standard's filters over all of
the recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import models, options
from ..answer import Channel, Pair
from ..card import Card
from ..hearing import scales
from ..options import Within
from ..result import Twin

Array = NDArray[Any]

CARD = Card(
    title="Loudness difference (Zwicker)",
    family="perceptual",
    unit="sone",
    better="lower",
    identical=0.0,
    formula="|N5(test) - N5(ref)|, N5: loudness exceeded during 5 % of the time; stationary: |N(test) - N(ref)|",
    source="ISO 532-1:2017, methods for time-varying and for stationary sounds",
    conventions="MoSQITo and SQAT report the same N5. MoSQITo's first frames hear the end of the recording, and its"
    " stationary method has other filters. Each channel is heard by both ears and the differences are averaged, where"
    " ISO/TS 12913-3 takes the louder ear.",
    silence="Defined: silence has 0 sone.",
    caveat="A difference of loudness is no judgement of quality: two opposite changes cancel, though not in the detail"
    " specific_difference. It depends on the level at which the sound is played. The profile is in sone and sone per"
    " Bark; the map shares out specific_difference."
    " Memory grows with the recordings, by at most what they take.",
    settles=1.0,
    minimum="one sample; its filters take some 0.2 s to respond",
    rate=48000,
    lengths="any",
    level="full scale sine is 100 dB SPL (option level), as in the test signals of the standard",
    symmetric=True,
    triangle=True,
    insensitive_to=("polarity",),
    gradient="surrogate",
    surrogate="mean over half overlapping frames of 43 ms of sum |N'(test) - N'(ref)| over critical bands, N': core"
    " loudness in sone, without decay and slopes; stationary: of one frame with the mean power",
    zero_gradient_on_silence=True,
    profile="local",
    map="share",
)

BLOCK = 48000  # samples that are heard at a time
POOL = 10  # values of N(t), 20 ms, that make a step of the profile
PERCENTILE = 95  # of N(t): N5


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    method: Annotated[
        Literal["time-varying", "stationary"], "of the standard's two; stationary takes the mean power of all"
    ] = "time-varying"
    field: Annotated[Literal["free", "diffuse"], "the sound field that the listener is in"] = "free"
    level: Annotated[float, Within(0, 140), "dB SPL of a full-scale sine"] = 100.0


def measure(pair: Pair, o: Options) -> Channel:
    zwicker = models.zwicker
    cuts = edges = None
    if pair.detail != "value":
        cuts, edges = scales.bands(zwicker.frequencies(), float(zwicker.hertz(24.0)), pair.band_edges)
    r, t = pair.samples
    where = _Where(cuts)
    stationary = o.method == "stationary"
    statistic, heard = ("N", _stationary) if stationary else ("N5", _time_varying)
    measured = heard(r, t, o, where)
    of_ref, of_test = measured[statistic]
    measured["loudness_level"] = zwicker.phon(of_ref), zwicker.phon(of_test)
    details = {
        f"{name}_{which}": float(number)
        for name, (a, b) in measured.items()
        for which, number in (("ref", a), ("test", b), ("difference", b - a))
    }
    details["specific_difference"] = where.total / where.frames
    value = abs(details[f"{statistic}_difference"])
    if cuts is None:
        return Channel(value=value, details=details)
    cells, added = np.concatenate(where.cells, axis=1) / (where.total or 1.0)
    step = min(r.size, t.size) / pair.rate if stationary else POOL * zwicker.INTERVAL
    return Channel(
        value=value,
        per_band=cells.sum(axis=0) * where.total / (where.frames * np.diff(cuts) * zwicker.CELL),
        per_time=np.concatenate(where.loudness),
        bands=scales.centres(zwicker.frequencies(), cuts),
        edges=edges,
        times=(np.arange(len(cells)) + 0.5) * step,
        map=cells if pair.detail == "map" else None,
        added=added if pair.detail == "map" else None,
        details=details,
    )


def twin(rate: int, o: Options) -> Twin:
    """The card's surrogate: the difference of core loudness; of frames that only one has, to silence."""
    from torch.nn import functional

    core = models.zwicker.core_torch(o.level, o.field, whole=o.method == "stationary")

    def value(ref: Any, test: Any) -> Any:
        x, y = core(ref), core(test)
        longest = max(x.shape[1], y.shape[1])
        x, y = (functional.pad(z, (0, 0, 0, longest - z.shape[1])) for z in (x, y))
        return (y - x).abs().sum(2).mean(1)

    return value


class _Where:
    """Where two recordings differ in specific loudness: sums over frames of the difference's integral over bands.

    total: of all frames and bands, in sone. cells: arrays [2, step, band], the same by steps of time and bands: all of
    it, and that which the test has more. loudness: arrays [step], mean of the difference in loudness, in sone.
    """

    def __init__(self, cuts: Array | None) -> None:
        self.cuts, self.total, self.frames = cuts, 0.0, 0
        self.cells: list[Array] = []
        self.loudness: list[Array] = []

    def add(self, ref: tuple[Array, Array], test: tuple[Array, Array]) -> None:
        """Loudness [frame] and specific loudness [frame, cell] of both, as far as both go. Steps begin with them."""
        frames = min(len(ref[0]), len(test[0]))
        louder = models.zwicker.CELL * (test[1][:frames] - ref[1][:frames])
        total = np.abs(louder)
        self.frames += frames
        self.total += float(total.sum())
        if self.cuts is None:
            return
        steps = np.arange(0, frames, POOL)
        parts = np.stack([total, np.maximum(louder, 0.0)])[..., : self.cuts[-1]]
        self.cells.append(np.add.reduceat(np.add.reduceat(parts, self.cuts[:-1], axis=2), steps, axis=1))
        difference = np.abs(test[0][:frames] - ref[0][:frames])
        self.loudness.append(np.add.reduceat(difference, steps) / np.diff(steps, append=frames))


def _time_varying(r: Array, t: Array, o: Options, where: _Where) -> dict[str, tuple[float, float]]:
    """N5 and Nmax of both."""
    ears = [models.zwicker.Listener(o.level, o.field) for _ in range(2)]
    loudness: tuple[list[Array], list[Array]] = ([], [])
    for start in range(0, max(r.size, t.size), BLOCK):
        both = start < min(r.size, t.size)
        heard = [ear.hear(x[start : start + BLOCK], specific=both) for ear, x in zip(ears, (r, t), strict=True)]
        for course, (block, _) in zip(loudness, heard, strict=True):
            course.append(block)
        if both:
            where.add(*heard)
    a, b = (np.concatenate(course) for course in loudness)
    return {"N5": (np.percentile(a, PERCENTILE), np.percentile(b, PERCENTILE)), "Nmax": (a.max(), b.max())}


def _stationary(r: Array, t: Array, o: Options, where: _Where) -> dict[str, tuple[float, float]]:
    """N of both."""
    heard = [models.zwicker.stationary(x, o.level, o.field) for x in (r, t)]
    where.add(*((np.array([loudness]), specific[None]) for loudness, specific in heard))
    return {"N": (heard[0][0], heard[1][0])}
