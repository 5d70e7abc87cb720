"""Auditory distance: how different two recordings sound, as a sum of four parts that say why. Our own.

It does not compare spectra but what the ear keeps of them. Each step stands for one limit of the ear:

1. Filters: 64 gammatone bands from 50 Hz to 18 kHz give powers in blocks of 2.5 ms (models.auditory.complex_gammatone).

2. Level: each recording is brought to 65 dB SPL, measured over its blocks within 40 dB of the loudest. How loud a file
   happens to be is thus no difference. With the option level both are heard as they are, and loudness counts.

3. Threshold in quiet, with a soft floor: X = 1 + E / F, where E is the power in units of the threshold and F lies 5 dB
   above the threshold. Levels N = 10 lg X are decibels where a sound is heard, and 0 where it is not.

4. Time: one lag of at most 50 ms aligns the two. What hangs over is compared with silence.

The distance (ask=difference) is D = 5 s + 2 m + 6 c + 0.5 k. It has no unit and is symmetric.

* s, spectrum in time: mean |difference of u| over bands and windows of 80 ms. u = X^0.2 - 1, of the mean X in a window,
  grows as loudness does. Windows are weighted by the louder mean u.

* m, modulation: mean over bands of |difference of 10 lg(mean square of N's modulation + floor)|, in dB. Modulations of
  27 to 66 Hz (roughness) and of 3 to 8 Hz (fluctuation) are measured apart, then added. N is mirrored at its ends.

* c, course: which share of all N has come by time t. The absolute difference is integrated over log2(t + 10 ms), so
  that attack and decay count.

* k, peakiness of the waveform below 1 kHz, in dB: what phase does to timbre (models.auditory.peakiness).

ask: what listeners are asked decides which differences count (Tversky 1977, diagnosticity). Asked for the sound quality
of a voice that was separated from a mix they punish what is missing; asked for interference, or for the most similar of
some, what was added. models.auditory.directed splits the levels of windows of 20 ms into a, added, m, missing, and what
both have, in dB. A, M and U are the means over time of a, m and the level of the reference in a band, r that of the
roughness that the test has more, in dB. All count in the unit of a just noticeable difference of 1 dB.

* ask=interference: mean over bands of A / (U + A + 1), Tversky's ratio with what was added alone, + 0.03 r.
* ask=similarity: the same, and a tenth of what it is with M in the numerator.
* ask=quality: (mean of m^8)^(1/8) over bands and windows, in dB: the deepest holes.

An ask hears a common gain: both sounds are played with the gain that brings the reference to 65 dB SPL, so that what
was added does not count as missing elsewhere. Where the reference is silent, a full-scale sine is 65 dB SPL. Details
are added, missing and both as shares of their sum, and asked_similarity, asked_quality and asked_interference; all of
these stand in the details of ask=difference too. In the map of an ask roughness counts as added.

Details of ask=difference: spectrum, modulation, course and peakiness are the weighted parts and add up to the value.
similarity is what listeners give the sound quality in MUSHRA tests, 0 to 100, of D (M + A / 10) / (M + A), where M and
A are the details missing and added: asked for quality people forgive what was added. It was fitted on two sets, coded
speech and separated voices. 90 % lie from similarity_low to similarity_high: of conditions of a set that was left out
of the fit, 92 and 90 %. The rest tells what lies behind the parts, test over reference:
roughness_change, fluctuation_change and peakiness_change in dB; course_change in octaves of time (above 0: energy comes
earlier); attack_change in octaves (above 0: power takes longer to rise). The test was moved later by lag seconds.
per_band and per_time hold the distance if all were as there, so their means are the value. Modulation lies where its
squares differ, course where the shares of loudness do, peakiness below 1 kHz. Times count from the start of the
recording that begins earlier.

Recordings over a minute are heard twice, first for their level, then part by part: levels are not kept. A third time
where the lag at their beginning is not that of the whole. Last digits may differ from those of one part.

Result.domain says whether anybody rated such a pair: rules bound its rate, length, level and bandwidth, and its parts,
holes (ask=quality) and additions (ask=interference) are held against those of 2275 rated pairs (audiosim/domain.py). Of
sets that were left out 4 % are called unfamiliar, but a third of percussion. It is None with a level and of
form=audibility.

form=audibility asks whether a difference is heard beneath what both recordings have; it has no other ask. Levels are
calibrated: a full-scale sine is 90 dB SPL. The value is the level in dB SPL that the difference would have, alone, to
sound as loud as it does in its place; 0 where it is masked, or below the threshold in quiet. It comes from partial
loudness (models.auditory.partial_loudness), of the mean over time of power and loudness, and is symmetric. per_time
holds the level in windows of 80 ms, the map the value by where the partial loudness is. The detail sensation, in dB,
says how far a sound that is as loud as the loudest 80 ms of the difference lies above its own threshold: 10 lg(1 + S),
S = 1 at the threshold, so that 3 dB is just noticeable. A tone of 1 kHz at its threshold in quiet has a value of 3 dB
and a sensation of 3 dB; values below 4 dB are hardly audible.

By that criterion thresholds in quiet lie within 3 dB of Terhardt's from 100 Hz to 8 kHz, forward and backward masking,
the growth of the upward spread, just noticeable changes of level, of frequency and of modulation, and gaps in noise
within a factor of two of what is published (tests/models/auditory/test_partial_loudness.py). It is too keen in one
case: a tone in white noise is heard up to 10 dB too early, since the very same noise is there without it. It says how
loud a difference is, not how bad: it does not rank speech codecs, whose differences are all plainly heard (Spearman
with MUSHRA -.1, within items -.2).

What the data say (tests/benchmarks/listeners.py; Spearman of codecs .81, of timbre .75): without s it is .76 and .64,
without m .71 and .68, without c .81 and .72. Without k an audible change of phase goes unheard. s alone gives .71 and
.64. Codecs need the common level. Nothing was gained by masking between bands in this form, by other weights for added
than for missing sound, by structural similarity, or by emphasis on onsets; nor, for percussion, by decay, attack,
quantiles of the course or spectra without time or pitch. A logarithm in place of u costs .01 and .02. Ten constants are
tuned: three ratios of weights, the exponent of u, F, the window, two modulation bands and their floors. form=audibility
tunes one, how much steeper masking is at higher frequencies; what lingers of maskers, and over how many frames
excitations are averaged, is set by published thresholds, and so, with the ratings in view, is the fall of the upper
slope with level. On 488 tones beside maskers it agrees by .52 within one level of the tone. The asks tune three, one
set for all data: their window of 20 ms, the weight of roughness, and that of what is missing for similarity; 8 stands
for the deepest holes, 1 dB is the just noticeable difference. On 50 separated voices each, and 48 that were voted on
(Spearman of all, within songs), quality reaches .88 and .83, interference .87 and .89, similarity .75 and .89, where
auditory as it is has .34, .03 and .31. Songs were few, of one genre: quality and interference rate the same sounds.
Constants chosen without the song give .85 and .82, .86 and .85, .77 and .91. A power of X in place of the level does as
well; a level for each sound, or windows of 40 ms, cost .01 to .03. The asks say little of codecs: quality has .45
there. Weights chosen anew without the item or family of studies that is predicted lie within 5.4 to 6.7 s, 7.6 to 8.7
c, 0.4 to 0.5 k for 2 m, and predict as well. That test is mild: which parts there are was decided with all data in
view, and only four pairs differ in phase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from math import isnan, nan
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import engine, models, options
from ..answer import Channel, Pair
from ..card import Card
from ..errors import InputError, UsageError
from ..hearing import scales
from ..options import Within
from ..result import Result, Twin

if TYPE_CHECKING:
    from ..models.auditory.directed import Sums
    from ..models.auditory.recording import Heard, Levels

Array = NDArray[Any]

CARD = Card(
    title="Auditory distance",
    family="perceptual",
    unit="1",
    better="lower",
    identical=0.0,
    formula="5 s + 2 m + 6 c + 0.5 k: spectrum in time, modulation, course of loudness, peakiness",
    source="ours; audiosim/metrics/auditory.py tells how it was derived and what it was tuned on,"
    " tests/benchmarks/listeners.py how well it agrees with listeners",
    conventions="Of samples of speech and music: 16-bit dither 0, MP3 at 128 kb/s 0.04 and 1.0, Opus at 64 kb/s 0.5 and"
    " 1.3, MP3 at 32 kb/s 2.1 and 14, a 3 kHz low-pass 10, white noise at an SNR of 20 dB 11 and 6, another recording"
    " 42. Gates: hardly anybody hears what is below 0.5, a good codec is below 1.5, what is beyond 6 is plainly another"
    " sound. form=audibility gives the level, in dB SPL, of a sound that is as loud as the difference is beneath what"
    " both have: hardly audible below 4. ask=quality, ask=interference and ask=similarity count what is missing, what"
    " was added, and both, as listeners do who are asked so; they are not symmetric.",
    silence="Defined: 0 when both are silent; that of a sound to silence is large.",
    version=3,
    caveat="It ranks percussion badly, and does not ask what is masked: form=audibility does. It hears no common gain"
    " unless level is given, or another ask; each channel is brought to one level by itself. What is stretched, or"
    " comes later by more than 50 ms, is another recording to it. Similarity was fitted on coded speech and separated"
    " singing.",
    minimum="one sample; it was made for 0.1 s and more",
    lengths="any",
    level="each recording is brought to 65 dB SPL, unless level says how loud it is played",
    domain="pairs that listeners rated: coded speech, tones of instruments, sung vowels, separated voices; 0.2 to 7 s",
    symmetric=True,
    insensitive_to=("gain", "polarity"),
    gradient="exact",
    twice=False,
    zero_gradient_on_silence=True,
    profile="local",
    map="sum",
)

SPECTRUM, MODULATION, COURSE, PEAKINESS = 5.0, 2.0, 6.0, 0.5  # weights of the parts
LOUDNESS = 0.2  # exponent of the spectrum in time
UNHEARD = np.array([[0.25], [1.0]])  # dB^2, rough and slow modulation that is not heard
ONSET = 0.01  # seconds, from which on time counts by its logarithm
CALIBRATED = 90.0  # dB SPL of a full-scale sine, where audibility is asked for without a level
LOUDEST = 8  # exponent of the mean over bands and windows: nearly that of the deepest hole
SCALE, STEEPNESS, ADDED = 5.7, 0.95, 0.1  # of the similarity; weight of what was added in it
LOW, HIGH = 1.1, 1.7  # ends of its interval, in units of unsure
SLOWEST = 4000  # Hz, of the sampling rate
COURSE_STEP = 1 << 15  # blocks of the course at a time
PARTS = ("spectrum", "modulation", "course", "peakiness")
MENTIONED = 0.1  # of the distance: words leave out parts with less
ROUGHER = 0.03  # weight of added roughness, per dB: asked for interference or similarity
HOW = {"added": "was added", "missing": "is missing"}  # of details, in words
MISSED = 0.1  # weight of what is missing: asked for similarity, listeners hardly punish it
EDGE = 0.1  # of an energy: what lies beyond the place that words name
PLACE = {  # features of the domain, and what is little of them
    "spectrum": 1.0,
    "modulation": 1.0,
    "course": 0.3,
    "peakiness": 0.3,
    "asked_quality": 3.0,
    "asked_interference": 0.1,
}


@dataclass(frozen=True, kw_only=True)
class Options(options.Options):
    form: Annotated[
        Literal["difference", "audibility", "quality"],
        "difference: how different the two sound; audibility: whether a difference is heard beneath what both have; "
        "quality: the former name of difference",
    ] = "difference"
    ask: Annotated[
        Literal["difference", "similarity", "quality", "interference"],
        "what listeners are asked: difference: how different; similarity: which is most similar (what was added, and a "
        "little of what is missing); quality: how good (what is missing); interference: how much else is heard (what "
        "was added)",
    ] = "difference"
    level: Annotated[
        float | None,
        Within(20, 140),
        "dB SPL of a full-scale sine; none: each recording is brought to 65 dB SPL (audibility: 90)",
    ] = None

    @property
    def value_unit(self) -> str | None:
        return "dB" if self.form == "audibility" or self.ask == "quality" else None

    def check(self) -> None:
        if self.form == "audibility" and self.ask != "difference":
            raise UsageError(f"form=audibility has no ask={self.ask}; leave one of the two out")


def measure(pair: Pair, o: Options) -> Channel:
    if pair.rate < SLOWEST:
        return Channel(value=nan, reason=_too_slow(pair.rate))
    return _audibility(pair, o.level) if o.form == "audibility" else _difference(pair, o)


def twin(rate: int, o: Options) -> Twin:
    """In float64. Lags, and what counts as silent, are decided on detached values."""
    if o.form == "audibility":
        return _rated(rate, models.auditory.partial_loudness.level_torch(rate, _playback(o.level)))
    import torch

    ear, recording, split = models.auditory.levels, models.auditory.recording, models.auditory.directed
    powers = models.auditory.complex_gammatone.powers_torch(rate)
    squares, peakiness = ear.modulation_torch(), models.auditory.peakiness.peakiness_torch(rate)
    tell = engine.tensors.tell
    sensitivity, unheard = (engine.tensors.Constant(x) for x in (recording.sensitivity(rate), UNHEARD))

    def moved(x: Any, late: Any, count: int) -> Any:
        """Levels [item, block, band] so many blocks later, with silence before and after: [item, count, band]."""
        place = torch.arange(count, device=x.device) - late[:, None]
        inside = ((place >= 0) & (place < x.shape[1]))[..., None]
        return torch.take_along_dim(x, place.clamp(0, x.shape[1] - 1)[..., None], 1) * inside

    def difference(ref: Any, test: Any) -> Any:
        both = [(x, x.sum(-1)) for x in map(powers, (ref, test))]
        gains = [ear.calibration(torch, total, o.level) for _, total in both]
        a, b = (ear.levels_torch(x * (gain * sensitivity(x))) for (x, _), gain in zip(both, gains, strict=True))
        p, q = (squares(z, *ear.sounding(torch, total)) for z, (_, total) in zip((a, b), both, strict=True))
        m = _modulation(torch, p, q, unheard(p))
        late = ear.lag_torch(a.detach(), b.detach())
        ends = torch.maximum(a.shape[1] + (-late).clamp(min=0), b.shape[1] + late.clamp(min=0))
        count = -(-(max(a.shape[1], b.shape[1]) + ear.LAGS) // ear.PIECE) * ear.PIECE
        a, b = moved(a, (-late).clamp(min=0), count), moved(b, late.clamp(min=0), count)
        if o.ask != "difference":
            means = [(z * (np.log(10) / 10)).exp().unflatten(1, (-1, ear.FINE)).mean(2) for z in (a, b)]
            windows = [ear.windows(torch, z, 1.0) for z in means]
            u, v = (split.levels(torch, z, g) for z, g in zip(windows, (1.0, gains[0] / gains[1]), strict=True))
            added, missing, both_have = split.split(torch, u, v)
            tell(lambda: _directed(*(z.sum((1, 2)) for z in (added, missing, both_have))))
            u, deep, added, missing = (z.sum(1) for z in (u, missing**LOUDEST, added, missing))
            return _asked(torch, u, added, missing, deep, split.windows(ends)[:, None], m[:, 0])[o.ask]
        x, y = (ear.pieces(torch, (z * (np.log(10) / 10)).exp()) for z in (a, b))
        s = _spectrum(torch, *(_loudness(ear.windows(torch, z, 1.0)) for z in (x, y)))
        c = _course(torch, a.mean(2), b.mean(2))
        (p, p_sounds), (q, q_sounds) = peakiness(ref), peakiness(test)
        k = (q - p) * (p_sounds & q_sounds)
        s, m, c = (x.abs().flatten(1).sum(1) for x in (s, m, c))
        parts = [SPECTRUM * s, MODULATION * m, COURSE * c, PEAKINESS * k.abs()]
        tell(lambda: dict(zip(PARTS, (part.detach() for part in parts), strict=True)))
        return sum(parts)

    return _rated(rate, difference)


def _rated(rate: int, value: Twin) -> Twin:
    """In float64, at rates that it takes."""

    def checked(ref: Any, test: Any) -> Any:
        if rate < SLOWEST:
            raise InputError(_too_slow(rate))
        return value(ref.double(), test.double())

    return checked


# The parts, written for NumPy and torch alike: xp is one or the other. In those that are signed the test has more where
# they are above 0; s, m and c are the sums of their magnitudes.


def _loudness(windows: Any) -> Any:
    """u of means of X over windows."""
    return windows**LOUDNESS - 1


def _weight(xp: Any, x: Any, y: Any) -> Any:
    """Of windows [..., window] of loudness x and y."""
    return xp.maximum(x.mean(-1), y.mean(-1))


def _spectrum(xp: Any, x: Any, y: Any) -> Any:
    """s, signed [..., window, band], of loudness x and y."""
    weight = _weight(xp, x, y)
    total = weight.sum(-1)[..., None]
    return (y - x) * (weight / ((total + (total == 0)) * x.shape[-1]))[..., None]


def _modulation(xp: Any, p: Any, q: Any, unheard: Any) -> Any:
    """m, signed [..., 2, band], of mean squares p and q of rough and of slow modulation."""
    return (10 * xp.log10(q + unheard) - 10 * xp.log10(p + unheard)) / q.shape[-1]


def _course(xp: Any, x: Any, y: Any, first: int = 0, before: Any = (0.0, 0.0), totals: Any = None) -> Any:
    """c, signed [..., block], of mean levels x and y. Of a part: its first block, the sums of what comes before it, and
    those of all."""
    t = xp.arange(first, first + x.shape[-1] + 1, dtype=xp.float64, device=x.device)
    t = t / models.auditory.complex_gammatone.BLOCKS
    x, y = (z.cumsum(-1) + so_far for z, so_far in zip((x, y), before, strict=True))
    totals = (x[..., -1:], y[..., -1:]) if totals is None else totals
    x, y = (z / (whole + (whole == 0)) for z, whole in zip((x, y), totals, strict=True))
    return (y - x) * xp.diff(xp.log2(t + ONSET))


def _asked(xp: Any, ref: Any, added: Any, missing: Any, deep: Any, count: Any, rougher: Any) -> dict[str, Any]:
    """The answers [...] by ask. Sums [..., band] over so many windows of levels of the reference, of what was added and
    of what is missing, and of its power LOUDEST; and the change of roughness [..., band], signed, as _modulation has
    it."""
    weight = 1 / (ref + added + models.auditory.directed.JND * count) / ref.shape[-1]
    interference = (added * weight).sum(-1) + ROUGHER * rougher.clip(0).sum(-1)
    deepest = (deep / count).mean(-1)
    hole = deepest > 0  # else the gradient of the root is 0, not infinite
    return {
        "similarity": interference + MISSED * (missing * weight).sum(-1),
        "quality": xp.where(hole, deepest, 1) ** (1 / LOUDEST) * hole,
        "interference": interference,
    }


def _directed(added: Any, missing: Any, both: Any) -> dict[str, Any]:
    """The three as shares of their sum."""
    total = added + missing + both
    total = total + (total == 0)
    return {"added": added / total, "missing": missing / total, "both": both / total}


def _playback(level: float | None) -> float:
    """Power re 0 dB SPL of a full-scale sine, where audibility is asked for."""
    return float(10 ** ((level or CALIBRATED) / 10))


def similarity(distance: Any, missing: Any, added: Any) -> tuple[Any, Any, Any]:
    """0 to 100, what listeners give the quality of a sound beside its reference in a MUSHRA test, on average, of a
    distance of ask=difference and of shares of what is missing and what was added; and the ends of the interval that
    holds 90 % of conditions of a set that was left out of the fit."""
    changed = missing + added
    directed = distance * np.where(changed > 0, (missing + ADDED * added) / (changed + (changed == 0)), 1.0)
    middle = 100 * np.exp(-((directed / SCALE) ** STEEPNESS))
    return middle, np.maximum(middle - LOW * unsure(middle), 0.0), np.minimum(middle + HIGH * unsure(middle), 100.0)


def unsure(middle: Any) -> Any:
    """How far off ratings lie, relatively, of a similarity: least at the ends of the scale."""
    return 4 + middle * (100 - middle) / 100


def _place(both: Sequence[Heard], rate: int, split: Sums, count: int, parts: dict[str, float]) -> dict[str, float]:
    """Of a pair among those that listeners rated: what rules bound, and features."""
    seconds = [x.blocks / models.auditory.complex_gammatone.BLOCKS for x in both]
    gains = [x.factor[0] / models.auditory.recording.sensitivity(rate)[0] for x in both]
    audible = np.flatnonzero(split.ref > models.auditory.directed.JND * count)
    frequencies = models.auditory.complex_gammatone.bank(rate).frequencies
    return {
        "rate": float(rate),
        "shortest": min(seconds),
        "longest": max(seconds),
        "level": models.auditory.levels.LEVEL - 10 * float(np.log10(max(gains))),
        "loudness": float(min(split.ref.sum(), (split.both + split.added).sum())) / (count * len(split.ref)),
        "bandwidth": float(frequencies[audible[-1]]) if audible.size else 0.0,
        **{name: float(np.log1p(parts[name] / little)) for name, little in PLACE.items()},
    }


def words(result: Result) -> list[str]:
    """What the test sounds like beside the reference, in words for the parts that matter, the largest first."""
    d, said = result.details, {}
    if "added" in d and "spectrum" not in d:
        return _more_and_less(d)
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


def _more_and_less(d: Any) -> list[str]:
    said = {f"{100 * d[part]:.0f} % of what is heard {how}": d[part] for part, how in HOW.items()}
    found = sorted((text for text, share in said.items() if share >= MENTIONED), key=lambda text: -said[text])
    return found + ["rougher"] * (d["roughness_change"] >= models.auditory.directed.JND)


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


class _Together(NamedTuple):
    """Of two recordings at a lag. sums: levels.correlate of long ones. s: its value. p, q [2, band]: sums of squares of
    modulation. courses [2, block]: mean levels. cells, where they are wanted, of part after part: u of both and s,
    signed [window, band], and squares of modulation of both [2, piece, band]. split: added and missing."""

    sums: Array
    s: float
    p: Array
    q: Array
    courses: Array
    cells: list[tuple[Array, Array, Array, Array, Array]]
    split: Sums


def _together(both: Sequence[Levels], lag: int, detail: bool, threads: int) -> _Together:
    """Long recordings part by part, short ones in one go."""
    ear, recording = models.auditory.levels, models.auditory.recording
    longest = max(x.known.blocks for x in both)
    count = -(-(longest + ear.LAGS) // ear.PIECE)
    step = recording.STEP if recording.is_long(longest) else count
    late = max(-lag, 0), max(lag, 0)
    sums, courses = np.zeros(2 * ear.LAGS + 1), np.zeros((2, count * ear.PIECE))
    before = [np.ones((1, models.auditory.complex_gammatone.BANDS))] * 2  # silence
    values, weights, squares, cells = [], [], [], []
    split = models.auditory.directed.Sums(LOUDEST, count + 1 if detail else 0)
    gains = 1.0, both[0].known.factor / both[1].known.factor
    for first in range(0, count, step):
        size = min(step, count - first)
        listen = partial(lambda size, first, i: recording.listen(both[i], late[i], first, size), size, first)
        x, y = engine.threads.in_threads(listen, range(2), threads)
        split.add((x.fine, y.fine), gains, first + size == count)
        x, y = (z._replace(fine=np.empty(0)) for z in (x, y))  # its memory is wanted below
        if step < count:
            ear.correlate(x.levels, y.levels[y.inner], sums, y.start + y.inner.start - x.start)
        for row, z in zip(courses, (x, y), strict=True):
            means = z.levels[z.inner].mean(1)
            row[ear.PIECE * first + z.place :][: means.size] = means
        after = [np.ones_like(before[0])] if first + size == count else []
        u, v = (
            _loudness(ear.halves(np.concatenate([b, z.powers, *after]))) for b, z in zip(before, (x, y), strict=True)
        )
        before = [z.powers[-1:] for z in (x, y)]
        spectrum = SPECTRUM * _spectrum(np, u, v)
        values.append(float(np.abs(spectrum).sum()))
        weights.append(float(_weight(np, u, v).sum()))
        squares.append([z.squares.sum(1) for z in (x, y)])
        if detail:
            cells.append((u, v, spectrum, x.squares, y.squares))
    shares = [w / (sum(weights) or 1.0) for w in weights]  # 1 of a single part
    s = sum(value * share for value, share in zip(values, shares, strict=True))
    p, q = (np.sum(z, axis=0) for z in zip(*squares, strict=True))
    cells = [(a, b, c * share, d, e) for (a, b, c, d, e), share in zip(cells, shares, strict=False)]
    return _Together(sums, s, p, q, courses, cells, split)


def _course_sums(courses: Array) -> tuple[float, float]:
    """Sum of magnitudes, and sum, of c of mean levels [2, block]."""
    starts = range(0, courses.shape[1], COURSE_STEP)
    before = [np.zeros((2, 1))]
    for k in starts:
        before.append(before[-1] + courses[:, k : k + COURSE_STEP].cumsum(1)[:, -1:])
    size = change = 0.0
    for k, sums in zip(starts, before, strict=False):
        x, y = courses[:, k : k + COURSE_STEP]
        c = _course(np, x, y, k, sums, before[-1])
        size, change = size + float(np.abs(c).sum()), change + float(c.sum())
    return size, change


def _difference(pair: Pair, o: Options) -> Channel:
    level = o.level
    ear, recording, files = models.auditory.levels, models.auditory.recording, pair.samples
    ref, test = engine.threads.in_threads(lambda i: recording.heard(files[i], pair.rate, level), range(2), pair.threads)
    longest = max(ref.blocks, test.blocks)
    long = recording.is_long(longest)

    def levels() -> list[Levels]:
        return [recording.Levels(f, x, pair.rate) for f, x in zip((ref, test), files, strict=True)]

    both = levels()
    lag = ear.lag(*(x.between(0, recording.STEP * ear.PIECE if long else longest)[0] for x in both))
    found = _together(both, lag, pair.detail != "value", pair.threads)
    if long and lag != (lag := ear.likeliest(found.sums)):  # the beginning lies elsewhere than the whole
        found = _together(levels(), lag, pair.detail != "value", pair.threads)
    p, q = (z / (f.part[1] - f.part[0]) for z, f in zip((found.p, found.q), (ref, test), strict=True))
    rougher, slower = _modulation(np, p, q, UNHEARD)
    course, course_change = _course_sums(found.courses)
    change = test.peakiness - ref.peakiness
    change = 0.0 if isnan(change) else change
    parts = {
        "spectrum": found.s,
        "modulation": MODULATION * float(np.abs(rougher).sum() + np.abs(slower).sum()),
        "course": COURSE * course,
        "peakiness": PEAKINESS * abs(change),
    }
    value = sum(parts.values())
    split = found.split
    end = max(ref.blocks + max(-lag, 0), test.blocks + max(lag, 0))
    count = models.auditory.directed.windows(end)
    asked = _asked(np, split.ref, split.added, split.missing, split.deep, count, rougher)
    directed = {
        **_directed(*(float(x.sum()) for x in (split.added, split.missing, split.both))),
        **{f"asked_{name}": float(x) for name, x in asked.items()},
    }
    similar = similarity(value, directed["missing"], directed["added"])
    details = {
        **parts,
        **{f"similarity{end}": float(x) for end, x in zip(("", "_low", "_high"), similar, strict=True)},
        **directed,
        "roughness_change": float(rougher.sum()),
        "fluctuation_change": float(slower.sum()),
        "course_change": course_change,
        "attack_change": float(np.log2(test.attack / ref.attack)),
        "peakiness_change": change,
        "lag": lag / models.auditory.complex_gammatone.BLOCKS,
    }
    if o.ask != "difference":
        value = float(asked[o.ask])
        details = {name: details[name] for name in (*directed, "roughness_change", "lag")}
    place = {} if level is not None else _place((ref, test), pair.rate, split, count, {**parts, **directed})
    channel = Channel(value=value, details=details, place=place)
    if pair.detail == "value":
        return channel
    x, y, spectrum = (np.concatenate(z) for z in list(zip(*found.cells, strict=True))[:3])
    squares = [np.concatenate(z, axis=1) for z in list(zip(*found.cells, strict=True))[3:]]
    if o.ask != "difference":
        rough = ear.windows(np, squares[1][0] - squares[0][0], 0.0)
        more, less = _directed_cells(o.ask, split, count, rougher, rough, value)
        return replace(channel, **_placed(more + less, more, 1 - (-longest // ear.PIECE), pair, *_axes(pair.rate)))
    energy_there = y / (y.sum() or 1.0) - x / (x.sum() or 1.0)
    energy = np.sign(spectrum)  # a gap fluctuates too, but nothing was added there
    contributions = [  # signed, above 0 where the test has more
        spectrum,
        *(
            np.where(energy, energy, np.sign(change))
            * np.abs(MODULATION * change * _shares(ear.windows(np, q - p, 0.0), 0))
            for change, p, q in zip((rougher, slower), *squares, strict=True)
        ),
        parts["course"] * _shares(energy_there) * np.sign(energy_there),
        -np.sign(change) * parts["peakiness"] * _peaks(ref, test, len(x), pair.rate),
    ]
    cells = np.sum([np.abs(c) for c in contributions], axis=0)
    added = np.sum([np.maximum(c, 0) for c in contributions], axis=0)
    return replace(channel, **_placed(cells, added, 1 - (-longest // ear.PIECE), pair, *_axes(pair.rate)))


def _directed_cells(
    ask: str, split: Sums, count: int, rougher: Array, rough: Array, value: float
) -> tuple[Array, Array]:
    """Contributions [frame, band] of what was added and of what is missing to the answer. rough: change of the squares
    of rough modulation [frame, band]."""
    added, missing, deep = split.frames
    if ask == "quality":
        return 0 * deep, deep * (value / (deep.sum() or 1.0))
    weight = 1 / (split.ref + split.added + models.auditory.directed.JND * count) / len(split.ref)
    more = added * weight + ROUGHER * np.maximum(rougher, 0) * _shares(rough, 0)
    return more, missing * (weight * (MISSED if ask == "similarity" else 0.0))


def _peaks(ref: Heard, test: Heard, frames: int, rate: int) -> Array:
    """Where peakiness differs: shares [frame, band]."""
    longest = max(len(ref.by_window), len(test.by_window))
    parts = np.zeros((2, longest))
    for heard, row in zip((ref, test), parts, strict=True):
        row[: len(heard.by_window)] = heard.by_window
    seconds = np.arange(frames) * models.auditory.levels.PIECE / models.auditory.complex_gammatone.BLOCKS
    window = np.clip(seconds / models.auditory.peakiness.PIECE - 0.5, 0, longest - 1).astype(int)
    f = models.auditory.complex_gammatone.bank(rate).frequencies
    return _shares((parts[1] - parts[0])[window, None] * (f < models.auditory.peakiness.HIGHEST))


def _audibility(pair: Pair, level: float | None) -> Channel:
    partial = models.auditory.partial_loudness
    found = partial.pieces(*pair.samples, pair.rate, _playback(level), pair.threads)
    kept = pair.detail != "value"
    power, alone, heard, cells, added = [], [], [], [], []
    for part in found:
        power.append(part.power)
        alone.append(part.alone)
        heard.append(part.partial.sum(1))
        if kept:
            cells.append(part.partial)
            added.append(part.added)
    sums = [np.concatenate(x) for x in (power, alone, heard)]
    count = partial.frames(max(x.size for x in pair.samples), pair.rate)
    total = (float(x.sum()) / count for x in sums)
    power_by_window, alone_by_window, by_window = (_windows(x) / partial.PIECE for x in sums)
    loudest = 10 * np.log10(1 + float(partial.sensation(np, by_window.max())))
    all_power, all_alone, all_heard = total
    value = float(partial.level(np, all_power, all_heard, all_alone))
    channel = Channel(value=value, details={"sensation": float(loudest)})
    if not kept:
        return channel
    everything = float(by_window.sum()) or 1.0
    x, more = (_windows(np.concatenate(z)) * (value / partial.PIECE / everything) for z in (cells, added))
    ear = partial.ear(pair.rate)
    seconds = partial.PIECE * ear.stft.hop / pair.rate
    placed = _placed(x, more, len(x), pair, ear.frequencies, seconds)
    return replace(channel, **placed | {"per_time": partial.level(np, power_by_window, by_window, alone_by_window)})


def _windows(x: Array) -> Array:
    """Means of two pieces that follow one another [window, ...] of x [piece, ...], with silence at both ends."""
    edge = np.zeros_like(x[:1])
    x = np.concatenate([edge, x, edge])
    return np.asarray((x[1:] + x[:-1]) / 2)


def _axes(rate: int) -> tuple[Array, float]:
    """Frequencies of the bands that hear something, and seconds between two windows."""
    bank = models.auditory.complex_gammatone.bank(rate)
    return bank.frequencies[bank.gain > 0], models.auditory.levels.PIECE / models.auditory.complex_gammatone.BLOCKS


def _placed(cells: Array, added: Array, frames: int, pair: Pair, frequencies: Array, seconds: float) -> dict[str, Any]:
    """Fields of a Channel from contributions [frame, band] so many seconds apart; those of the frames and bands beyond
    count in the last."""
    live = len(frequencies)
    folded = []
    for x in (cells, added):
        x = x.copy()
        x[frames - 1] += x[frames:].sum(0)
        x[:, live - 1] += x[:, live:].sum(1)
        folded.append(x[:frames, :live])
    cuts, edges = scales.bands(frequencies, pair.rate / 2, pair.band_edges)
    parts, more = (np.add.reduceat(x[:, : cuts[-1]], cuts[:-1], axis=1) for x in folded)
    return {
        "per_band": parts.sum(0) * (live / np.diff(cuts)),
        "per_time": folded[0].sum(1) * frames,
        "bands": scales.centres(frequencies, cuts),
        "edges": edges,
        "times": np.arange(frames) * seconds,
        "map": parts if pair.detail == "map" else None,
        "added": more if pair.detail == "map" else None,
    }


def _shares(x: Array, axis: int | None = None) -> Array:
    """|x| over its sum; all alike where that is 0."""
    x = np.abs(x)
    total = x.sum(axis, keepdims=True)
    alike = x.shape[1] / x.size if axis == 0 else 1 / x.size
    return np.asarray(np.where(total > 0, x / (total + (total == 0)), alike))


def _too_slow(rate: int) -> str:
    return f"a sampling rate of at least {SLOWEST} Hz is needed, this is {rate}"
