"""Auditory distance: how different two recordings sound, in four parts that say why. Our own.

What is compared is not the spectrum but what the ear keeps of it, so each step stands for one of its limits.
1. Filters: 64 gammatone bands from 50 Hz to 18 kHz, powers in blocks of 2.5 ms (models.auditory.complex_gammatone).
2. Level: each recording is brought to 65 dB SPL by its blocks within 40 dB of the loudest: how loud a file happens to
   be is no difference. With `level` both are heard as they are, and loudness counts.
3. Threshold in quiet, and a soft floor: X = 1 + E / F, E power in units of the threshold and F 5 dB above it. Levels
   N = 10 lg X are decibels where a sound is heard, and 0 where it is not.
4. Time: one lag within 50 ms aligns the two; what hangs over is compared with silence.
The distance is D = 5 s + 2 m + 6 c + 0.5 k, a number without unit, symmetric:
* s, spectrum in time: mean |difference of u|, u = X^0.2 - 1 as loudness grows, of the mean X in windows of 80 ms, over
  bands and windows; windows are weighted by the louder mean u.
* m, modulation: mean over bands of |difference of 10 lg(mean square of N's modulation + floor)| in dB, of 27 to 66 Hz
  (roughness) and, added to it, of 3 to 8 Hz (fluctuation). Beyond the ends of the sound N is mirrored.
* c, course: the share of all N that has come by time t, its absolute difference over log2(t + 10 ms): attack, decay.
* k, peakiness of the waveform below 1 kHz, in dB: what phase does to timbre (models.auditory.peakiness).

What the data say (tests/benchmarks/listeners.py; Spearman of codecs .81, of timbre .75): without s it is .76 and .64,
without m .71 and .68, without c .81 and .72, and without k an audible change of phase goes unheard; s alone gives .71
and .64. The common level carries the codecs. No gain came of masking between bands in this form, of other weights for
added than for missing sound, of a structural similarity, of emphasis on onsets. A logarithm in place of u costs .01
and .02.
Ten constants are tuned: three ratios of weights, the exponent of u, F, the window, two modulation bands and their
floors; form=audibility tunes one, its part of the threshold. Weights chosen anew without the item or family of studies
that is predicted lie within 5.4 to 6.7 s, 7.6 to 8.7 c, 0.4 to 0.5 k for 2 m, and predict as well. That is mild: which
parts there are was decided with all data in view, and there are four pairs that differ in phase.

form=audibility asks whether a difference is heard at all: levels are calibrated (a full-scale sine is 90 dB SPL), what
both have masks over bands as models.auditory.levels says, and the distance is the excess 10 lg(1 + d / (q + 0.1 M)) of
the difference d in power over masker M and quiet threshold q in windows of 80 ms; over bands nearly the maximum, over
time the mean, in dB.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isnan, nan
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import engine, models
from ..answer import Channel, Detail, View, pool
from ..card import Card
from ..errors import InputError, UsageError
from ..hearing import scales
from ..result import Result, Twin

Array = NDArray[Any]

CARD = Card(
    title="Auditory distance",
    family="perceptual",
    unit="1",
    better="lower",
    identical=0.0,
    formula="5 s + 2 m + 6 c + 0.5 k: spectrum in time, modulation, course of loudness, peakiness",
    source="ours; derivation and what it was tuned on in the docstring of audiosim/metrics/auditory.py, agreement with"
    " listeners in the README",
    conventions="After known degradations of our samples of speech and music: 16-bit dither 0, MP3 at 128 kb/s 0.04 and"
    " 1.0, Opus at 64 kb/s 0.5 and 1.3, MP3 at 32 kb/s 2.1 and 14, a 3 kHz low-pass 10, white noise at an SNR of 20 dB"
    " 11 and 6, another recording 42. Gates: below 0.5 hardly anybody hears it, below 1.5 it is a good codec, beyond 6"
    " plainly another sound. The detail similarity is what listeners gave speech codecs in a MUSHRA test, 0 to 100; of"
    " single conditions left out, 95 % were within -19 to +18. form=audibility: dB above what is masked.",
    silence="Defined: 0 when both are silent; that of a sound to silence is large.",
    caveat="It ranks percussion badly, and does not ask what is masked: for that there is form=audibility. Hears no"
    " common gain unless level is given; each channel is brought to one level by itself. What is stretched, or later by"
    " more than 50 ms, is another recording. Similarity was fitted on speech at 24 kHz; for what is worse than its"
    " worst codec it is a guess.",
    minimum="one sample; it was made for 0.1 s and more",
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

SPECTRUM, MODULATION, COURSE, PEAKINESS = 5.0, 2.0, 6.0, 0.5  # weights of the parts
LOUDNESS = 0.2  # exponent of the spectrum in time
UNHEARD = np.array([[0.25], [1.0]])  # dB^2, rough and slow modulation that is not heard
ONSET = 0.01  # seconds, from which on time counts by its logarithm
CALIBRATED = 90.0  # dB SPL of a full-scale sine, where audibility is asked for without a level
MASKED = 0.1  # of the power that both have in a band: what an addition must exceed to be heard
QUIET = 0.7  # of the threshold in quiet, in dB SPL: what it must exceed without a masker
LOUDEST = 8  # exponent of the mean over bands: nearly that of the most audible one
SCALE, STEEPNESS = 5.97, 1.5  # of the similarity
SLOWEST = 4000  # Hz, of the sampling rate
ATTACK = 0.05, 0.8  # of the highest power: it rises from the one to the other
MENTIONED, EDGE = 0.1, 0.1  # words: of the distance, parts with less are left out; of an energy, lies beyond its place

Form = Annotated[
    Literal["quality", "audibility"],
    "quality: how different the two sound; audibility: whether a difference is heard at all, beneath what both have",
]
Level = Annotated[
    float | None,
    "dB SPL of a full-scale sine, 20 to 140; none: each recording is brought to 65 dB SPL (audibility: 90)",
]


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    form: Form = "quality",
    level: Level = None,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz, of any lengths; the channels are averaged.

    Details of form=quality, weighted, so that they add up to the value: spectrum, modulation, course,
    peakiness. similarity: 0 to 100, see there. What lies behind the parts, test over reference: roughness_change,
    fluctuation_change and peakiness_change in dB, course_change in octaves of time (above 0: energy comes earlier),
    attack_change in octaves (above 0: power takes longer to rise). lag: seconds by which the test was moved later.

    per_band and per_time: the distance if all were as there; their means are the value. Modulation lies where
    its squares differ, course where shares of loudness do, peakiness below 1 kHz. times: since the earlier one begins.
    """
    check_level(level)
    if rate < SLOWEST:
        return pool([Channel(value=nan, reason=_too_slow(rate)) for _ in ref])
    files = [np.ascontiguousarray(x) for pair in zip(ref, test, strict=True) for x in pair]
    hear: Any = _heard if form == "quality" else _excitation
    measure: Any = _quality if form == "quality" else _audibility
    heard = engine.threads.in_threads(lambda i: hear(files[i], rate, level), range(len(files)), jobs)
    view = View(rate, detail, band_edges, jobs)
    result = pool(engine.threads.in_threads(lambda c: measure(*heard[2 * c : 2 * c + 2], view), range(len(ref)), jobs))
    return result if form == "quality" else replace(result, unit="dB")


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text, in float64; lags and what counts as silent are decided on detached values."""
    import torch
    from torch.nn import functional

    check_level(o.level)
    ear = models.auditory.levels
    powers = models.auditory.complex_gammatone.powers_torch(rate)
    calibrated, masked, modulation = ear.calibrated_torch(o.level), ear.masked_torch(), ear.modulation_torch()
    peakiness = models.auditory.peakiness.peakiness_torch(rate)
    sensitivity, quiet, unheard = (
        engine.tensors.Constant(x)
        for x in (10 ** (-ear.threshold(rate) / 10), 10 ** (QUIET * ear.threshold(rate) / 10), UNHEARD)
    )

    def moved(x: Any, late: Any, count: int) -> Any:
        """Levels [item, block, band] so many blocks later, with silence before and after: [item, count, band]."""
        place = torch.arange(count, device=x.device) - late[:, None]
        inside = ((place >= 0) & (place < x.shape[1]))[..., None]
        return torch.take_along_dim(x, place.clamp(0, x.shape[1] - 1)[..., None], 1) * inside

    def windows(x: Any) -> Any:
        means = x.unflatten(1, (-1, ear.PIECE)).mean(2)
        return (functional.pad(means, (0, 0, 0, 1)) + functional.pad(means, (0, 0, 1, 0))) / 2

    def loudness(x: Any) -> Any:
        return (1 + windows((x * (np.log(10) / 10)).expm1())).pow(LOUDNESS) - 1

    def audibility(ref: Any, test: Any) -> Any:
        x, y = (powers(z) for z in (ref, test))
        x, y = (functional.pad(z, (0, 0, 0, -z.shape[1] % ear.PIECE)) for z in (x, y))
        x, y = (windows(z) * 10 ** ((o.level or CALIBRATED) / 10) for z in (x, y))
        excess = 10 * (1 + (y - x).abs() / (quiet(x) + MASKED * torch.minimum(masked(x), masked(y)))).log10()
        total = excess.pow(LOUDEST).mean(2)
        return (torch.where(total > 0, total, 1).pow(1 / LOUDEST) * (total > 0)).mean(1)

    def quality(ref: Any, test: Any) -> Any:
        both = [powers(x) for x in (ref, test)]
        a, b = (ear.levels_torch(calibrated(x) * sensitivity(x)) for x in both)
        p, q = (
            10 * (modulation(z, *ear.sounding_torch(x)) + unheard(z)).log10() for z, x in zip((a, b), both, strict=True)
        )
        m = (p - q).abs().sum(1).mean(1)
        late = ear.lag_torch(a.detach(), b.detach())
        count = -(-(a.shape[1] + ear.LAGS) // ear.PIECE) * ear.PIECE
        a, b = moved(a, (-late).clamp(min=0), count), moved(b, late.clamp(min=0), count)
        x, y = loudness(a), loudness(b)
        weight = torch.maximum(x.mean(2), y.mean(2))
        total = weight.sum(1)
        s = ((x - y).abs().mean(2) * weight).sum(1) / (total + (total == 0))
        course = []
        for z in (a, b):
            risen = z.mean(2).cumsum(1)
            course.append(risen / (risen[:, -1:] + (risen[:, -1:] == 0)))
        blocks = torch.arange(count + 1, dtype=a.dtype, device=a.device)
        octaves = (blocks / models.auditory.complex_gammatone.BLOCKS + ONSET).log2().diff()
        c = ((course[0] - course[1]).abs() * octaves).sum(1)
        (p, p_sounds), (q, q_sounds) = peakiness(ref), peakiness(test)
        k = (p - q).abs() * (p_sounds & q_sounds)
        return SPECTRUM * s + MODULATION * m + COURSE * c + PEAKINESS * k

    def value(ref: Any, test: Any) -> Any:
        if rate < SLOWEST:
            raise InputError(_too_slow(rate))
        return (quality if o.form == "quality" else audibility)(ref.double(), test.double())

    return value


def similarity(distance: Any, scale: float = SCALE, steepness: float = STEEPNESS) -> Any:
    """0 to 100 of a distance of form=quality: what listeners gave speech codecs in a MUSHRA test, on average."""
    return 100 * np.exp(-((np.asarray(distance) / scale) ** steepness))


def words(result: Result) -> list[str]:
    """What the test sounds like beside the reference, in words for the parts that matter, the largest first."""
    d, said = result.details, {}
    if "spectrum" in d:
        course = "energy comes earlier" if d["course_change"] > 0 else "energy comes later"
        if abs(d["attack_change"]) >= 1:
            course = "duller attack" if d["attack_change"] > 0 else "sharper attack"
        said = {
            "spectrum": _energy(result),
            "modulation": _modulated(d),
            "course": course,
            "peakiness": "flatter waveform" if d["peakiness_change"] > 0 else "more peaked waveform",
        }
    largest = sorted(said, key=lambda part: -d[part])
    return [said[part] for part in largest if said[part] and d[part] >= MENTIONED * result.value]


def _modulated(d: Any) -> str:
    if abs(d["roughness_change"]) > abs(d["fluctuation_change"]):
        return "rougher" if d["roughness_change"] > 0 else "smoother"
    return "more fluctuating" if d["fluctuation_change"] > 0 else "steadier"


def _energy(result: Result) -> str:
    """Where most of the energy lies that the test has more or less of; "" where that is everywhere."""
    assert result.map is not None
    assert result.added is not None
    assert result.edges is not None
    more, less = result.added.sum(0), (result.map - result.added).sum(0)
    way, how = (more, "more") if more.sum() > less.sum() else (less, "less")
    low, last = np.searchsorted(np.cumsum(way) / way.sum(), [EDGE, 1 - EDGE])
    bottom, top = low < 2, last > len(way) - 3
    if bottom and top:
        return ""
    if top:
        return f"{how} energy above {scales.hertz(result.edges[low])}"
    if bottom:
        return f"{how} energy below {scales.hertz(result.edges[last + 1])}"
    return f"{how} energy at {scales.frequencies(result.edges[low], result.edges[last + 1])}"


def check_level(level: float | None) -> None:
    """UsageError for a level that nobody listens at."""
    if level is not None and not 20 <= level <= 140:
        raise UsageError(f"level is that of a full-scale sine, 20 to 140 dB SPL, not {level:g}")


@dataclass(frozen=True, slots=True, eq=False)
class _Heard:
    """levels [block, band] in dB; part: the blocks in which it sounds; attack: blocks that its power takes to rise;
    peakiness in dB, nan where silent, and by_window [window, 2] its parts."""

    levels: Array
    part: tuple[int, int]
    attack: float
    peakiness: float
    by_window: Array

    @property
    def nbytes(self) -> int:
        return self.levels.nbytes + self.by_window.nbytes


def _heard(x: Array, rate: int, level: float | None) -> _Heard:
    def make() -> _Heard:
        power = models.auditory.complex_gammatone.powers(x, rate)
        part, attack = models.auditory.levels.sounding(power), _attack(power.sum(1))
        power *= models.auditory.levels.calibration(power, level) * 10 ** (-models.auditory.levels.threshold(rate) / 10)
        return _Heard(models.auditory.levels.levels(power), part, attack, *models.auditory.peakiness.peakiness(x, rate))

    return engine.cache.cached(x, ("auditory", rate, level), make)


def _attack(power: Array) -> float:
    """Blocks in which power [block] rises from 5 to 80 % of its maximum, for the first time."""
    low, high = (share * power.max() for share in ATTACK)
    top = int(np.argmax(power >= high))
    return float(top + 1 - np.flatnonzero(np.append(True, power[:top] <= low))[-1])


def _quality(ref: _Heard, test: _Heard, view: View) -> Channel:
    ear = models.auditory.levels
    files, longest = (ref, test), max(len(ref.levels), len(test.levels))
    lag = ear.lag(ref.levels, test.levels)
    late = max(-lag, 0), max(lag, 0)
    count = -(-(longest + ear.LAGS) // ear.PIECE)
    x, y = (
        ear.windows(ear.piece_powers(f.levels, t, count), 1.0) ** LOUDNESS - 1 for f, t in zip(files, late, strict=True)
    )
    weight = np.maximum(x.mean(1), y.mean(1))
    spectrum = (y - x) * (SPECTRUM * weight / ((weight.sum() or 1.0) * x.shape[1]))[:, None]
    squares = [ear.modulation(f.levels, f.part, t, count) for f, t in zip(files, late, strict=True)]  # 2, piece, band
    a, b = (10 * np.log10(q.sum(1) / (f.part[1] - f.part[0]) + UNHEARD) for q, f in zip(squares, files, strict=True))
    rougher, slower = (b - a) / x.shape[1]
    risen = np.zeros((2, count * ear.PIECE))
    for f, begin, row in zip(files, late, risen, strict=True):
        row[begin : begin + len(f.levels)] = f.levels.mean(1)
        np.cumsum(row, out=row)
        row /= row[-1] or 1.0
    earlier = (risen[1] - risen[0]) * _octaves(count * ear.PIECE)
    change = test.peakiness - ref.peakiness
    change = 0.0 if isnan(change) else change
    parts = {
        "spectrum": float(np.abs(spectrum).sum()),
        "modulation": MODULATION * float(np.abs(rougher).sum() + np.abs(slower).sum()),
        "course": COURSE * float(np.abs(earlier).sum()),
        "peakiness": PEAKINESS * abs(change),
    }
    value = sum(parts.values())
    details = {
        **parts,
        "similarity": float(similarity(value)),
        "roughness_change": float(rougher.sum()),
        "fluctuation_change": float(slower.sum()),
        "course_change": float(earlier.sum()),
        "attack_change": float(np.log2(test.attack / ref.attack)),
        "peakiness_change": change,
        "lag": lag / models.auditory.complex_gammatone.BLOCKS,
    }
    channel = Channel(value=value, details=details)
    if view.detail == "value":
        return channel
    energy_there = y / (y.sum() or 1.0) - x / (x.sum() or 1.0)
    contributions = [  # signed, above 0 where the test has more
        spectrum,
        *(
            MODULATION * change * _shares(ear.windows(q - p, 0.0), 0)
            for change, p, q in zip((rougher, slower), *squares, strict=True)
        ),
        parts["course"] * _shares(energy_there) * np.sign(energy_there),
        -np.sign(change) * parts["peakiness"] * _peaks(ref, test, len(x), view.rate),
    ]
    cells = np.sum([np.abs(c) for c in contributions], axis=0)
    added = np.sum([np.maximum(c, 0) for c in contributions], axis=0)
    return replace(channel, **_placed(cells, added, 1 - (-longest // ear.PIECE), view))


def _peaks(ref: _Heard, test: _Heard, frames: int, rate: int) -> Array:
    """Where peakiness differs: shares [frame, band]."""
    longest = max(len(ref.by_window), len(test.by_window))
    parts = np.zeros((2, longest))
    for heard, row in zip((ref, test), parts, strict=True):
        row[: len(heard.by_window)] = heard.by_window.prod(1)
    seconds = np.arange(frames) * models.auditory.levels.PIECE / models.auditory.complex_gammatone.BLOCKS
    window = np.clip(seconds / models.auditory.peakiness.PIECE - 0.5, 0, longest - 1).astype(int)
    f = models.auditory.complex_gammatone.bank(rate).frequencies
    return _shares((parts[1] - parts[0])[window, None] * (f < models.auditory.peakiness.HIGHEST))


def _excitation(x: Array, rate: int, level: float | None) -> Array:
    """Power re 0 dB SPL [window, band]."""
    ear = models.auditory.levels

    def make() -> Array:
        power = models.auditory.complex_gammatone.powers(x, rate)
        means = np.add.reduceat(power, np.arange(0, len(power), ear.PIECE)) / ear.PIECE
        result: Array = ear.windows(means, 0.0) * ear.calibration(power, level or CALIBRATED)
        return result

    return engine.cache.cached(x, ("excitation", rate, level), make)


def _audibility(ref: Array, test: Array, view: View) -> Channel:
    both = np.zeros((2, max(len(ref), len(test)), ref.shape[1]))
    both[0, : len(ref)], both[1, : len(test)] = ref, test
    masker = np.minimum(*(models.auditory.levels.masked(x) for x in both))
    quiet = 10 ** (QUIET * models.auditory.levels.threshold(view.rate) / 10)
    excess = 10 * np.log10(1 + np.abs(both[1] - both[0]) / (quiet + MASKED * masker))
    powers = excess**LOUDEST
    by_frame = powers.mean(1) ** (1 / LOUDEST)
    channel = Channel(value=float(by_frame.mean()))
    if view.detail == "value":
        return channel
    total = powers.sum(1, keepdims=True)
    cells = (by_frame / len(by_frame))[:, None] * powers / (total + (total == 0))
    return replace(channel, **_placed(cells, cells * (both[1] > both[0]), len(cells), view))


def _placed(cells: Array, added: Array, frames: int, view: View) -> dict[str, Any]:
    """Fields of a Channel from contributions [frame, band]; those of the frames and bands beyond count in the last."""
    b = models.auditory.complex_gammatone.bank(view.rate)
    live = int((b.gain > 0).sum())
    folded = []
    for x in (cells, added):
        x = x.copy()
        x[frames - 1] += x[frames:].sum(0)
        x[:, live - 1] += x[:, live:].sum(1)
        folded.append(x[:frames, :live])
    cuts, edges = scales.bands(b.frequencies[:live], view.rate / 2, view.band_edges)
    parts, more = (np.add.reduceat(x[:, : cuts[-1]], cuts[:-1], axis=1) for x in folded)
    return {
        "per_band": parts.sum(0) * (live / np.diff(cuts)),
        "per_time": folded[0].sum(1) * frames,
        "bands": scales.centres(b.frequencies[:live], cuts),
        "edges": edges,
        "times": np.arange(frames) * (models.auditory.levels.PIECE / models.auditory.complex_gammatone.BLOCKS),
        "map": parts if view.detail == "map" else None,
        "added": more if view.detail == "map" else None,
    }


def _shares(x: Array, axis: int | None = None) -> Array:
    """|x| over its sum; all alike where that is 0."""
    x = np.abs(x)
    total = x.sum(axis, keepdims=True)
    alike = x.shape[1] / x.size if axis == 0 else 1 / x.size
    return np.asarray(np.where(total > 0, x / (total + (total == 0)), alike))


def _octaves(count: int) -> Array:
    """Lengths [block] of so many blocks on the scale log2(t + 10 ms)."""
    t = np.arange(count + 1) / models.auditory.complex_gammatone.BLOCKS
    result: Array = np.diff(np.log2(t + ONSET))
    return result


def _too_slow(rate: int) -> str:
    return f"a sampling rate of at least {SLOWEST} Hz is needed, this is {rate}"
