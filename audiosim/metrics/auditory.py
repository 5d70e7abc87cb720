"""Auditory distance: how different two recordings sound, in four parts that say why."""

from __future__ import annotations

from dataclasses import replace
from math import isnan, nan
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import dsp, hearing
from ..card import Card
from ..errors import InputError
from ..hearing import scales
from ..hearing.profile import Detail, View
from ..result import Channel, Result, Twin, pool

Array = NDArray[Any]

CARD = Card(
    title="Auditory distance",
    family="perceptual",
    unit="dB",
    better="lower",
    identical=0.0,
    formula="s + 1.5 m + 3 c + 0.5 k: spectrum in time, roughness, course of energy, peakiness",
    source="ours",
    conventions="none",
    silence="Defined: 0 when both are silent, the level of the other where one is.",
    caveat="-",
    minimum="one sample",
    lengths="any",
    level="each recording is brought to 65 dB SPL, unless level says how loud it is played",
    symmetric=True,
    triangle=False,
    blind=("gain", "polarity"),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sum",
)

ROUGHNESS, COURSE, PEAKINESS = 1.5, 3.0, 0.5  # weights of the parts; that of the spectrum is 1
ROUGH_FLOOR = 0.25  # dB^2
ONSET = 0.01  # seconds
SLOWEST = 4000  # Hz, of the sampling rate

Level = Annotated[float | None, "dB SPL of a full-scale sine, for both; none: each recording is brought to 65 dB SPL"]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    level: Level = None,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz, of any lengths; the channels are averaged."""
    if rate < SLOWEST:
        return pool([Channel(value=nan, reason=_too_slow(rate)) for _ in ref])
    files = [np.ascontiguousarray(x) for pair in zip(ref, test, strict=True) for x in pair]
    heard = dsp.spectrum.spread(lambda i: _heard(files[i], rate, level), range(len(files)), jobs)
    view = View(rate, detail, band_edges, jobs)
    pairs = list(zip(heard[::2], heard[1::2], strict=True))
    return pool(dsp.spectrum.spread(lambda c: _channel(*pairs[c], view), range(len(pairs)), jobs))


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text, in float64; lags and what counts as silent are decided on detached values."""
    import torch
    from torch.nn import functional

    ear = hearing.auditory_levels
    powers = hearing.complex_gammatone.powers_torch(rate)
    calibrated, peakiness = ear.calibrated_torch(o.level), hearing.peakiness.peakiness_torch(rate)
    sensitivity = dsp.differentiable.Constant(ear.sensitivity(rate))

    def moved(x: Any, late: Any, count: int) -> Any:
        """Levels [item, block, band] so many blocks later, with silence before and after: [item, count, band]."""
        place = torch.arange(count, device=x.device) - late[:, None]
        inside = ((place >= 0) & (place < x.shape[1]))[..., None]
        return torch.take_along_dim(x, place.clamp(0, x.shape[1] - 1)[..., None], 1) * inside

    def windows(x: Any) -> Any:
        powers = (x * (np.log(10) / 10)).exp().unflatten(1, (-1, ear.PIECE)).mean(2)
        powers = functional.pad(powers - 1, (0, 0, 1, 1)) + 1
        return 10 * ((powers[:, 1:] + powers[:, :-1]) / 2).log10()

    def value(ref: Any, test: Any) -> Any:
        if rate < SLOWEST:
            raise InputError(_too_slow(rate))
        ref, test = ref.double(), test.double()
        a, b = (ear.levels_torch(calibrated(powers(x)) * sensitivity(x)) for x in (ref, test))
        rough = [10 * (ear.modulation_torch(x).square().mean(1) + ROUGH_FLOOR).log10() for x in (a, b)]
        m = (rough[0] - rough[1]).abs().mean(1)
        late = ear.lag_torch(a.detach(), b.detach())
        count = -(-(a.shape[1] + ear.LAGS) // ear.PIECE) * ear.PIECE
        a, b = moved(a, (-late).clamp(min=0), count), moved(b, late.clamp(min=0), count)
        x, y = windows(a), windows(b)
        weight = torch.maximum(x.mean(2), y.mean(2))
        total = weight.sum(1)
        s = ((x - y).abs().mean(2) * weight).sum(1) / (total + (total == 0))
        course = []
        for z in (a, b):
            risen = z.mean(2).cumsum(1)
            course.append(risen / (risen[:, -1:] + (risen[:, -1:] == 0)))
        octaves = torch.as_tensor(_octaves(count), device=a.device)
        c = ((course[0] - course[1]).abs() * octaves).sum(1)
        (p, p_sounds), (q, q_sounds) = peakiness(ref), peakiness(test)
        k = (p - q).abs() * (p_sounds & q_sounds)
        return s + ROUGHNESS * m + COURSE * c + PEAKINESS * k

    return value


class _Heard:
    """levels [block, band] in dB; peakiness in dB, nan where silent, and by_window [window, 2] its parts."""

    __slots__ = ("by_window", "levels", "peakiness")

    def __init__(self, levels: Array, peakiness: float, by_window: Array) -> None:
        self.levels, self.peakiness, self.by_window = levels, peakiness, by_window

    @property
    def nbytes(self) -> int:
        return self.levels.nbytes + self.by_window.nbytes


def _heard(x: Array, rate: int, level: float | None) -> _Heard:
    def make() -> _Heard:
        power = hearing.complex_gammatone.powers(x, rate)
        power *= hearing.auditory_levels.calibration(power, level) * hearing.auditory_levels.sensitivity(rate)
        return _Heard(hearing.auditory_levels.levels(power), *hearing.peakiness.peakiness(x, rate))

    return dsp.kept.kept(x, ("auditory", rate, level), make)


def _channel(ref: _Heard, test: _Heard, view: View) -> Channel:
    ear = hearing.auditory_levels
    lag = ear.lag(ref.levels, test.levels)
    offsets = max(-lag, 0), max(lag, 0)
    longest = max(len(ref.levels), len(test.levels))
    count = -(-(longest + ear.LAGS) // ear.PIECE)
    files = ref, test
    powers, squares = zip(*(ear.pieces(f.levels, late, count) for f, late in zip(files, offsets, strict=True)), strict=True)
    x, y = (10 * np.log10(_windows(p, 1.0)) for p in powers)
    weight = np.maximum(x.mean(1), y.mean(1))
    weight /= weight.sum() or 1.0
    spectrum = np.abs(y - x) * weight[:, None] / x.shape[1]
    rough = [10 * np.log10(q.sum(0) / len(f.levels) + ROUGH_FLOOR) for q, f in zip(squares, files, strict=True)]
    m = np.abs(rough[1] - rough[0]) / len(rough[0])
    sums, course = [], []
    for f, late in zip(files, offsets, strict=True):
        risen = np.zeros(count * ear.PIECE)
        risen[late : late + len(f.levels)] = f.levels.mean(1)
        sums.append(risen.sum() or 1.0)
        np.cumsum(risen, out=risen)
        course.append(risen / (risen[-1] or 1.0))
    c = np.abs(course[1] - course[0]) @ _octaves(count * ear.PIECE)
    change = test.peakiness - ref.peakiness
    k = 0.0 if isnan(change) else abs(change)
    parts = {
        "spectrum": float(spectrum.sum()),
        "roughness": ROUGHNESS * float(m.sum()),
        "course": COURSE * float(c),
        "peakiness": PEAKINESS * k,
    }
    return Channel(value=sum(parts.values()), details=parts)


def _windows(x: Array, silence: float) -> Array:
    """Means of neighbours [piece + 1, band], with silence before the first and after the last."""
    edge = np.full((1, x.shape[1]), silence)
    both = np.concatenate([edge, x, edge])
    result: Array = (both[1:] + both[:-1]) / 2
    return result


def _octaves(count: int) -> Array:
    """Lengths [block] of so many blocks on the scale log2(t + 10 ms)."""
    t = np.arange(count + 1) / hearing.complex_gammatone.BLOCKS
    return np.diff(np.log2(t + ONSET))


def _too_slow(rate: int) -> str:
    return f"the ear of this distance needs a sampling rate of at least {SLOWEST} Hz, not {rate}"
