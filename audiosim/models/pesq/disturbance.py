"""How much a distorted recording of speech disturbs, as PESQ hears it: loudness densities in Bark bands, their
difference frame by frame, symmetric and asymmetric, and its mean over time.

ITU-T P.862 (2001), 10.2; Beerends, Hekstra, Rix and Hollier 2002 (J. Audio Eng. Soc. 50, 765-778). Parts whose
disturbance says that the alignment failed are aligned once more, and the smaller disturbance counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise
from math import sqrt
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...engine.fft import fast_length, irfft, rfft
from ...engine.kernel import kernel
from ...engine.windows import periodic
from .alignment import AFTER, Recording, Utterance, cut, runs

Array = NDArray[Any]

# P.862, the bands of the model at 16 kHz; at 8 kHz the first 42, of which the last has 11 bins.
BINS = (
    *(1, 1, 1, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 3, 3, 3, 3, 4, 3, 4, 5, 4, 5, 6, 6, 7),
    *(8, 9, 9, 12, 12, 15, 16, 18, 21, 25, 20),
)
BINS_AT_8_KHZ = (*BINS[:41], 11)
WIDTHS_BARK = (
    *(0.157344, 0.317994, 0.322441, 0.326934, 0.331474, 0.336061, 0.340697, 0.345381, 0.350114, 0.354897, 0.359729),
    *(0.364611, 0.369544, 0.374529, 0.379565, 0.384653, 0.389794, 0.394989, 0.400236, 0.405538, 0.410894, 0.416306),
    *(0.421773, 0.427297, 0.432877, 0.438514, 0.444209, 0.449962, 0.455774, 0.461645, 0.467577, 0.473569, 0.479621),
    *(0.485736, 0.491912, 0.498151, 0.504454, 0.510819, 0.517250, 0.523745, 0.530308, 0.536934, 0.543629, 0.550390),
    *(0.557220, 0.564119, 0.571085, 0.578125, 0.585232),
)
WIDTHS_HZ = (
    *(15.734426, 31.799433, 32.244064, 32.693359, 33.147385, 33.606140, 34.069702, 34.538116, 35.011429, 35.489655),
    *(35.972870, 36.461121, 36.954407, 37.452911, 40.269653, 42.311859, 45.992554, 51.348511, 55.040527, 56.775208),
    *(58.699402, 62.445862, 64.820923, 69.195374, 76.745667, 84.016235, 90.825684, 97.931152, 103.348877, 107.801880),
    *(113.552246, 121.490601, 130.420410, 143.431763, 158.486816, 176.872803, 198.314697, 219.549561, 240.600098),
    *(268.702393, 306.060059, 349.937012, 398.686279, 454.713867, 506.841797, 564.863770, 637.261230, 794.717285),
    931.068359,
)
THRESHOLDS_DB = (
    *(77.1, 63.9, 48.5, 36.9, 30.7, 25.9, 20.2, 16.6, 12.5, 9.9, 6.9, 4.9, 2.8, 1.0, -0.1, -1.4, -2.5, -3.4, -4.1),
    *(-4.8, -5.3, -5.7, -5.9, -6.0, -6.0, -6.0, -6.0, -5.8, -5.4, -5.1, -4.7, -4.3, -4.0, -3.6, -3.3, -3.1, -3.0),
    *(-3.0, -2.9, -2.8, -2.8, -2.8, -2.9, -3.2, -3.7, -4.3, -4.4, -3.8, -2.7),
)
POWER_SCALE = {8000: 2.764344e-5, 16000: 6.910853e-6}
LOUDNESS_SCALE = 0.1866055
SILENCE = 500.0  # of five magnitudes in a row: below it the ends of the reference are left out
AUDIBLE = 1e7  # power of a frame in bands 100 times above threshold, below which it counts as silent
MOST = 45.0  # of a frame's disturbance
GAINS = (3e-4, 5.0)  # limits of what brings a frame of the test to the level of the reference
REMEMBERED = 0.2  # of that gain: the one before
RATIOS = (0.01, 100.0)  # limits of the filter between reference and test
BAD, SMEAR, SHORTEST_BAD = 30.0, 2, 5  # disturbance, frames, frames
SEARCH = 4  # frames, end to end, in which a bad interval is aligned once more
AGREES = 0.5  # correlation of magnitudes from which that is believed
SPURT, STEP = 20, 10  # frames over which disturbance is a sixth-power mean, and from one such mean to the next
LONG, RECENT = 1000, 5500  # frames from which on late disturbance counts more, and over which that grows
FRAMES_AT_ONCE = 1024
MEMORY = 16  # frames that the gain remembers in torch


@dataclass(frozen=True, slots=True, eq=False)
class Bands:
    """cuts: [band + 1] in bins; scale: [band] of power; width: [band] in Bark; centres: [band] in Hz.

    threshold: [band] power; exponent: [band] of Zwicker's law.
    """

    cuts: Array
    scale: Array
    width: Array
    threshold: Array
    exponent: Array
    centres: Array


@cache
def bands(rate: int) -> Bands:
    """Of the model at 8 or 16 kHz."""
    bins = np.array(BINS if rate == 16000 else BINS_AT_8_KHZ)
    bark, hz = (np.array(w[: bins.size]) for w in (WIDTHS_BARK, WIDTHS_HZ))
    middles = np.cumsum(bark) - bark / 2
    steep = np.where(middles < 4, np.clip(6 / (middles + 2), 1, 2), 1)  # Zwicker's exponent is larger at the low end
    cuts = np.concatenate([[0], np.cumsum(bins)])
    return Bands(
        cuts=cuts,
        scale=POWER_SCALE[rate] * hz / (bark * bins),
        width=bark,
        threshold=10 ** (np.array(THRESHOLDS_DB[: bins.size]) / 10),
        exponent=0.23 * steep**0.15,
        centres=(cuts[1:] + cuts[:-1] - 1) / 2 * (125 / 4),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Disturbance:
    """symmetric, asymmetric: [frame], in loudness over all bands relative to the level of the reference, at most 45;
    frames `first` to `last` count. Frame i begins at sample i hop of the reference.

    realigned: frames of which a second alignment was better.
    cells: [frame, band, 3], of the symmetric squares and of the asymmetric disturbance the part of each band, and how
    much louder the test is there; None where they were not asked for.
    """

    symmetric: Array
    asymmetric: Array
    first: int
    last: int
    hop: int
    realigned: int
    cells: Array | None = None


def disturbance(
    ref: Recording, test: Recording, utterances: list[Utterance], cells: bool = False
) -> Disturbance | None:
    """None where nothing of the reference is louder than its silence."""
    where = _Frames.of(ref, test, utterances)
    skipped, skipped_end = _silent_ends(ref, where.length)
    first, last = skipped // where.hop, (where.length - skipped_end) // where.hop - 1
    if last < first:
        return None
    frames = np.arange(last + 1)
    model = bands(ref.rate)
    p, raw = where.powers(ref, frames, 0), where.powers(test, frames, where.delays(frames))
    ear = hearing(model)
    p *= filter_between(p, raw, ear.threshold, where.length // where.hop - 1)
    reference = audible(p, ear.threshold)

    def compared() -> tuple[Array, Array]:
        slowly = remembered(gain(reference, raw, ear.threshold))
        shares = np.zeros((last + 1 if cells else 0, model.width.size, 3), np.float32)
        return by_frame(p, raw * slowly.clip(*GAINS)[:, None], ear, shares), shares

    d, shares = compared()
    for before, after in pairwise(utterances):
        jump = after.delay - before.delay
        if jump < -where.hop:  # what was heard just before is heard once more
            begin, end = ((after.start - ref.margin + shift) // where.hop for shift in (jump, -jump))
            d[:, max(begin, 0) : end + 2] = 0
            shares[max(begin, 0) : end + 2] = 0
    realigned = 0
    if intervals := bad_intervals(d[0]):
        for a, b in intervals:
            inside = frames[a:b]
            raw[a:b] = where.powers(test, inside, where.delays(inside) + where.lag(a, b))
        again, their_shares = compared()
        for a, b in intervals:
            better = a + np.flatnonzero(again[0, a:b] < d[0, a:b])
            realigned += better.size
            if cells:
                shares[better] = their_shares[better]
            d[:, a:b] = np.minimum(d[:, a:b], again[:, a:b])
    symmetric, asymmetric = np.minimum(d / weight(reference), MOST)
    return Disturbance(symmetric, asymmetric, first, last, where.hop, realigned, shares if cells else None)


@dataclass(frozen=True, slots=True, eq=False)
class _Frames:
    """Where frames of both recordings begin. length: samples, of the longer recording and the silence behind it."""

    ref: Recording
    test: Recording
    starts: Array  # [utterance], samples of the reference
    shifts: Array  # [utterance], samples of delay
    window: Array
    length: int

    @classmethod
    def of(cls, ref: Recording, test: Recording, utterances: list[Utterance]) -> _Frames:
        return cls(
            ref,
            test,
            np.array([u.start for u in utterances]),
            np.array([u.delay for u in utterances]),
            periodic("hann", 8 * ref.block).astype(np.float32),
            max(ref.length, test.length) + round(AFTER * ref.rate),
        )

    @property
    def hop(self) -> int:
        return self.window.size // 2

    def delays(self, frames: Array) -> Array:
        """Of the utterance in which each frame begins, samples."""
        return self._in_force(self.ref.margin + frames * self.hop)

    def _in_force(self, samples: Array) -> Array:
        result: Array = self.shifts[np.maximum(np.searchsorted(self.starts, samples, side="right") - 1, 0)]
        return result

    def powers(self, x: Recording, frames: Array, shifts: Any) -> Array:
        """Power density [frame, band] of frames that are so many samples late."""
        model = bands(x.rate)
        starts = x.margin + frames * self.hop + shifts
        out = np.empty((frames.size, model.width.size))
        for i in range(0, frames.size, FRAMES_AT_ONCE):
            spectra = rfft(cut(x.heard, starts[i : i + FRAMES_AT_ONCE], self.window))
            group(spectra, model.cuts, model.scale, out[i : i + FRAMES_AT_ONCE])
        return out

    def lag(self, first: int, stop: int) -> int:
        """Samples by which frames first to stop are later still, where the magnitudes agree; else 0."""
        size, search = self.window.size, SEARCH * self.window.size
        begin, end = self.ref.margin + first * self.hop, self.ref.margin + stop * self.hop + size
        x = np.abs(self.ref.heard[begin:end])
        at = np.arange(begin - search, end + search)
        at += self._in_force(at)
        heard = self.test.heard
        inside = (at >= 0) & (at < heard.size)
        y = np.where(inside, np.abs(heard[np.where(inside, at, 0)]), np.float32(0))
        energy = sqrt(float(np.square(x, dtype=np.float64).sum()) * float(np.square(y, dtype=np.float64).sum()))
        n = fast_length(y.size + x.size)
        products = irfft(np.conj(rfft(x, n)) * rfft(y, n), n)[: 2 * search + 1]
        best = int(products.argmax())
        return best - search if products[best] > AGREES * energy else 0


def _silent_ends(ref: Recording, length: int) -> tuple[int, int]:
    """Samples at the start and the end, up to half of the recording, that are silent in the reference."""
    x = ref.heard[ref.margin : ref.margin + length]
    most = max(ref.length, 1) // 2
    return int(_quiet(x, most)), int(_quiet(x[::-1], most)) + length - x.size


@kernel
def _quiet(x: Array, most: int) -> int:
    n = 0
    while n < most and n + 5 <= x.size:
        if abs(x[n]) + abs(x[n + 1]) + abs(x[n + 2]) + abs(x[n + 3]) + abs(x[n + 4]) >= SILENCE:
            break
        n += 1
    return n


@kernel
def group(spectra: Array, cuts: Array, scale: Array, out: Array, lowest: int = 1) -> None:
    """Sums of power over the bins of each band; those below the lowest count nothing."""
    for i in range(len(out)):
        for b in range(scale.size):
            total = 0.0
            for k in range(max(cuts[b], lowest), cuts[b + 1]):
                z = spectra[i, k]
                total += z.real * z.real + z.imag * z.imag
            out[i, b] = total * scale[b]


# How much frames disturb is written for NumPy and torch alike: xp is one or the other; p, of the reference, and q, of
# the test, are powers [..., frame, band].


class Hearing(NamedTuple):
    """What the formulas take of Bands, as arrays or tensors [band].

    sones: factor of loudness; width: 0 where a band does not count; whole: its sum.
    """

    threshold: Any
    exponent: Any
    sones: Any
    width: Any
    whole: float


def hearing(model: Bands, first: int = 1) -> Hearing:
    """first: the band from which on they count; that of 0 Hz does not in PESQ."""
    sones = LOUDNESS_SCALE * (model.threshold / 0.5) ** model.exponent
    width = np.where(np.arange(model.width.size) < first, 0, model.width)
    return Hearing(model.threshold, model.exponent, sones, width, float(width.sum()))


def hearing_torch(model: Bands, first: int = 1) -> Callable[[Any], Hearing]:
    """The same as tensors, of the dtype and on the device of what is given."""
    from ...engine.tensors import Constant

    *arrays, whole = hearing(model, first)
    threshold, exponent, sones, width = (Constant(array) for array in arrays)
    return lambda like: Hearing(threshold(like), exponent(like), sones(like), width(like), whole)


def audible(p: Any, threshold: Any, first: int = 1) -> Any:
    """Power [..., frame] of p above threshold, from the first band that counts on."""
    return (p * (p > threshold))[..., first:].sum(-1)


def filter_between(p: Any, q: Any, threshold: Any, frames: int) -> Any:
    """Factors [..., 1, band] that bring p through the mean linear filter that lies between p and q; frames: by how many
    the means are divided."""
    loud_p, loud_q = (z * (z > 100 * threshold) for z in (p, q))
    speaks = loud_p[..., 1:].sum(-1)[..., None] >= AUDIBLE
    a, b = ((z * speaks).sum(-2) / frames for z in (loud_p, loud_q))
    return ((b + 1000) / (a + 1000)).clip(*RATIOS)[..., None, :]


def gain(reference: Any, q: Any, threshold: Any, first: int = 1) -> Any:
    """What brings each frame of q to the level of the reference, whose audible power is given: [..., frame]."""
    return (reference + 5e3) / (audible(q, threshold, first) + 5e3)


def weight(reference: Any) -> Any:
    """What the disturbance of frames of that audible power is divided by."""
    return ((reference + 1e5) / 1e7) ** 0.04


def differ(xp: Any, p: Any, q: Any, ear: Hearing, smooth: bool = False) -> tuple[Any, Any, tuple[Any, Any, Any]]:
    """Symmetric and asymmetric disturbance [..., frame] of p and q at one level; and by band what is heard, what is
    added, how much louder q is.

    Differences of less than a quarter of the softer loudness are masked. What is added counts 3 to 12 times in the
    asymmetric one, other differences not at all; smooth: the factor rises from 2.5 to 3.5, where it else sets in at 3.
    """
    x, y = (
        ear.sones * ((0.5 + 0.5 * xp.maximum(z, ear.threshold) / ear.threshold) ** ear.exponent - 1) for z in (p, q)
    )
    louder = y - x
    heard = (abs(louder) - 0.25 * xp.minimum(x, y)).clip(0) * ear.width
    ratio = ((q + 50) / (p + 50)) ** 1.2
    added = ratio.clip(max=12) * ((ratio - 2.5).clip(0, 1) if smooth else ratio >= 3) * heard
    energy = ear.whole * xp.square(heard).sum(-1)
    differs = energy > 0  # else the gradient of the root is 0, not infinite
    return xp.sqrt(xp.where(differs, energy, 1)) * differs, added.sum(-1), (heard, added, louder)


def remembered(gains: Array) -> Array:
    """Gains [frame], each with a part of the one before, as it has become."""
    slowly = accumulate(gains.tolist(), lambda before, now: REMEMBERED * before + (1 - REMEMBERED) * now)
    return np.array(list(slowly))


def by_frame(p: Array, q: Array, ear: Hearing, cells: Array) -> Array:
    """What differ makes of p and q [frame, band]: [2, frame]; cells, unless empty, become those of Disturbance."""
    d = np.empty((2, len(p)))
    for i in range(0, len(p), FRAMES_AT_ONCE):
        part = slice(i, i + FRAMES_AT_ONCE)
        d[0, part], d[1, part], (heard, added, louder) = differ(np, p[part], q[part], ear)
        if cells.size:
            for k, x in enumerate((heard * heard, added)):
                cells[part, :, k] = x.astype(cells.dtype) / np.maximum(x.sum(axis=1, keepdims=True), 1e-30)
            cells[part, :, 2] = louder
    return d


def bad_intervals(d: Array) -> list[tuple[int, int]]:
    """First and one past the last frame of where the disturbance [frame] is large for long; small gaps count."""
    bad = np.pad(d > BAD, SMEAR)
    shifted = np.stack([bad[k : k + d.size] for k in range(2 * SMEAR + 1)])
    near = np.asarray(shifted[: SMEAR + 1].any(axis=0) & shifted[SMEAR:].any(axis=0))
    return [(a, b) for a, b in runs(near) if b - a >= SHORTEST_BAD]


def over_time(d: Array) -> float:
    """Mean of disturbance [frame]: sixth powers within 0.32 s, squares over such spurts; in long recordings late ones
    count more."""
    starts = np.arange(0, d.size, STEP)
    sums = np.add.reduceat(np.append(d**6, np.zeros(2 * STEP)), np.append(starts, d.size))[:-1]
    sums += np.append(sums[1:], 0.0)
    spurts = (sums / SPURT) ** (1 / 6)
    late = min(0.5, max(d.size - LONG, 0) / RECENT)
    weights = 1 - late + late * starts / d.size
    return float(np.sqrt(np.sum((weights * spurts) ** 2) / np.sum(weights**2)))


def grouping(model: Bands, lowest: int = 1) -> Array:
    """What group multiplies powers by: [bin, band]."""
    matrix = np.zeros((model.cuts[-1] + 1, model.width.size))
    for b in range(model.width.size):
        matrix[max(model.cuts[b], lowest) : model.cuts[b + 1], b] = model.scale[b]
    return matrix


def disturbance_torch(rate: int) -> Callable[[Any, Any], tuple[Any, Any]]:
    """ref, test [item, sample] as alignment.heard_torch gives them -> symmetric and asymmetric disturbance [item].

    As disturbance, without second alignments and weights of late parts, with a smooth asymmetric factor.
    """
    import torch
    from torch.nn import functional

    from ...engine.frames import STFT
    from ...engine.tensors import Constant, power, root, spectra

    size = 8 * (rate // 250)
    model = bands(rate)
    transform = spectra(STFT(size, size // 2, periodic("hann", size), 0, size // 2, "zero"))
    groups, hears = Constant(grouping(model)), hearing_torch(model)

    def sounding(x: Any, frames: int) -> Any:
        """[item, frame] between the silent ends of the reference: 1, else 0."""
        magnitude = x.detach().abs()
        loud = (functional.avg_pool1d(magnitude[:, None], 5, 1) * 5 >= SILENCE).double()
        hops = functional.max_pool1d(functional.pad(loud, (0, frames * size // 2 - loud.shape[-1])), size // 2)[:, 0]
        return hops.cummax(1).values * hops.flip(1).cummax(1).values.flip(1)

    def over_time(d: Any, counts: Any) -> Any:
        """d, counts [item, frame]; those that do not count are 0."""
        beyond = (0, -d.shape[1] % STEP + STEP)
        sixth = functional.pad(d, beyond).unfold(1, SPURT, STEP).pow(6).sum(-1) / SPURT
        weights = functional.pad(counts, beyond).unfold(1, SPURT, STEP).mean(-1)
        heard = sixth > 0
        spurts = torch.where(heard, sixth, 1) ** (1 / 6) * heard
        return root((spurts.square() * weights).sum(-1) / weights.sum(-1).clamp(min=1e-3))

    def measure(ref: Any, test: Any) -> tuple[Any, Any]:
        p, q = (power(transform(x), 0.0) @ groups(x) for x in (ref, test))
        ear = hears(p)
        p = p * filter_between(p, q, ear.threshold, p.shape[1])
        reference = audible(p, ear.threshold)
        at_once = gain(reference, q, ear.threshold)
        before = torch.cat([at_once[:, :1].expand(-1, MEMORY), at_once], 1).unfold(1, MEMORY + 1, 1)
        ages = torch.arange(MEMORY, -1, -1, dtype=p.dtype, device=p.device)
        slowly = (before * ((1 - REMEMBERED) * REMEMBERED**ages)).sum(-1)
        symmetric, asymmetric, _ = differ(torch, p, q * slowly.clamp(*GAINS)[..., None], ear, smooth=True)
        counts = sounding(ref, symmetric.shape[1])
        limited = ((d / weight(reference)).clamp(max=MOST) for d in (symmetric, asymmetric))
        symmetric, asymmetric = (over_time(d * counts, counts) for d in limited)
        return symmetric, asymmetric

    return measure
