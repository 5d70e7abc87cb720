"""Time alignment of two recordings of speech, as PESQ does it: level, activity of the voice, utterances, delays.

ITU-T P.862 (2001), 10.1; Rix, Hollier, Hekstra and Beerends 2002 (J. Audio Eng. Soc. 50, 755-764). Delays are found
first from the envelopes, in steps of 4 ms, then from the waveforms, to the sample; an utterance during which the delay
changes is split where both parts then agree better. The recommendation leaves two things open, which were measured on
the published program: the responses of its filters for alignment, and where utterances are split.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.fft import fast_length, irfft, rfft
from ...engine.kernel import exact_kernel, kernel
from ...engine.windows import periodic

Array = NDArray[Any]

BLOCKS_PER_SECOND = 250
MARGIN = 75  # blocks of silence before and after a recording: as far as an utterance is searched
AFTER = 0.32  # seconds of silence behind
SHORTEST = 0.25  # seconds
POWER = 1e7  # of both recordings in the telephone band
TELEPHONE = (0, 300, 350, 3250, 3500), (-500, -500, 0, 0, -500)  # Hz, dB: where it is measured
RECEIVER = (  # the receiving telephone of the intermediate reference system, Hz and dB
    (0, 50, 100, 125, 160, 200, 250, 300, 350, 400, 500, 600, 3250, 3500, 4000),
    (-200, -40, -20, -12, -6, 0, 4, 6, 8, 10, 11, 12, 12, 4, -200),
)
RAMP = 15  # samples in which wide-band recordings rise and fall
HIGH_PASS = np.array([2.740826, -5.4816519, 2.740826, -1.9444777, 0.94597794])  # P.862.2, b0 b1 b2 a1 a2 at 16 kHz
CORRECTION = 0.251188  # of its gain: P.862 Corrigendum 2
ALIGNERS = {  # measured: the amplitude at which a tone between two utterances makes them one, Hz and dB, at each rate
    16000: (
        *(
            (0, -80),
            (60, -65),
            (100, -50),
            (130, -41.4),
            (160, -33),
            (190, -26.4),
            (220, -20.3),
            (250, -15.9),
            (280, -11.7),
        ),
        *((310, -8.4), (350, -5.45), (375, -4.0), (400, -2.93), (450, -1.48), (500, -0.94), (600, -0.25), (700, 0.0)),
        *((850, -0.4), (1000, -0.76), (1200, -1.49), (1400, -2.74), (1700, -5.37), (1850, -7.3), (2000, -9.75)),
        *((2150, -12.4), (2300, -14.14), (2500, -14.77), (2700, -14.35), (2900, -14.0), (3100, -13.88), (3300, -14.74)),
        *((3500, -17.5), (3600, -19.5), (3800, -24.0), (4000, -28.6), (4200, -32.7), (4400, -36.0), (4700, -39.2)),
        *((5000, -41.3), (5500, -43.8), (6000, -46.0), (7000, -50.9), (8000, -58.0)),
    ),
    8000: (
        *((0, -80), (60, -65), (100, -50), (130, -41.4), (160, -33.3), (190, -26.1), (220, -20.4)),
        *((250, -15.9), (280, -12.2), (310, -9.6), (330, -8), (350, -7), (375, -5.6), (400, -4.7)),
        *((450, -3.1), (500, -2.3), (600, -1.1), (700, -0.4), (800, -0.1), (850, 0), (900, 0)),
        *((1000, -0.3), (1100, -0.9), (1200, -1.8), (1300, -2.9), (1400, -4), (1500, -5.1), (1700, -7.2)),
        *((1850, -8.8), (2000, -10.6), (2150, -12.5), (2300, -14.1), (2400, -14.7), (2500, -15), (2700, -14.7)),
        *((2800, -14.5), (2900, -14.5), (3000, -14.6), (3100, -14.8), (3200, -15.3), (3300, -16), (3400, -17.1)),
        *((3500, -19.1), (3600, -19.9), (4000, -28.6)),
    ),
}
FLOOR = 1e-4  # of the loudest block: what no block lies below
SPEECH_TO_NOISE = 1000.0  # from which on faint runs count as noise
SHORTEST_RUN, LONGEST_GAP, SHORTEST_UTTERANCE = 4, 50, 50  # blocks
SPLIT_FROM, SPLIT_MARGIN = 200, 75  # blocks
SPLITS, COVERED = 41, 0.801  # breaks that are tried, and the part of an utterance in which they lie
AFTER_BREAK = 3  # blocks from a break to the first frame that counts behind it
REACH = 8  # blocks by which a delay that the envelopes give may be wrong, for the waveforms to mend it

PART = 4096  # samples that have one delay in torch
BETTER = 1.3  # times the correlation without that delay, from which it is believed
QUIETEST = 1e-20  # mean power that counts as silence in torch

WHOLE = 1 << 22  # samples of which the spectrum is taken at once
_BINS = 1 << 16
TAPS, SPAN = 1 << 10, 1 << 15  # of the aligning and of the receiving filter
FRAMES_AT_ONCE = 256


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording brought to level and through the input filter, with silence around.

    heard: float32 [margin + length + margin + after], for the model of hearing; traced: the same for alignment.
    """

    heard: Array
    traced: Array
    rate: int
    length: int

    @property
    def block(self) -> int:
        """Samples of 4 ms."""
        return self.rate // BLOCKS_PER_SECOND

    @property
    def margin(self) -> int:
        """Samples before the first."""
        return MARGIN * self.block

    @property
    def blocks(self) -> int:
        """How many cover it, margins included."""
        return self.length // self.block + 2 * MARGIN


@dataclass(frozen=True, slots=True)
class Utterance:
    """start, stop: samples of the reference, its margin included; delay: samples that the test lags there.

    confidence: 0 to 1, the share of short frames that found that delay.
    """

    start: int
    stop: int
    delay: int
    confidence: float


def brought_to_level(x: Array, rate: int, longest: int, band: str) -> Recording | None:
    """x [sample] at 8 or 16 kHz as the model takes it; None where nothing is in the telephone band.

    longest: samples of the longer of the two recordings. band: narrow, wide or wide-cor2, wide ones at 16 kHz.
    """
    after = round(AFTER * rate)
    power = telephone_energy(x, rate) / (longest + after)
    if not power > 0:
        return None
    margin = MARGIN * (rate // BLOCKS_PER_SECOND)
    inside = slice(margin, margin + x.size)
    heard = np.zeros(x.size + 2 * margin + after, np.float32)
    np.multiply(x, (POWER / power) ** 0.5, out=heard[inside], casting="same_kind")
    if band.startswith("narrow"):
        _convolve(heard, receiver(rate), SPAN // 2)
    else:
        rise = np.arange(1, RAMP + 1, dtype=np.float32) / (RAMP + 1)
        heard[inside][:RAMP] *= rise
        heard[inside][-RAMP:] *= rise[::-1]
        gain = CORRECTION if band == "wide-cor2" else 1.0
        filtered(heard[inside], HIGH_PASS * np.array([gain, gain, gain, 1, 1]))
    traced = heard.copy()
    part = traced[inside]
    part -= np.float32(part.sum(dtype=np.float64) / (x.size + 2 * margin))
    block = rate // BLOCKS_PER_SECOND
    rise = ((np.arange(block) + 0.5) / block).astype(np.float32)
    part[:block] *= rise
    part[-block:] *= rise[::-1]
    _convolve(part, aligner(rate), 0)
    return Recording(heard, traced, rate, x.size)


def telephone_energy(x: Array, rate: int) -> float:
    """Sum of squares of x [sample] between 350 and 3250 Hz."""
    if x.size <= WHOLE:
        return _energy(x, rate, fast_length(x.size + round(AFTER * rate)))
    window = np.sin(np.pi * (np.arange(WHOLE) + 0.5) / WHOLE).astype(np.float32)  # squares of two neighbours add to 1
    total = 0.0
    for start in range(-WHOLE // 2, x.size, WHOLE // 2):
        part = x[max(start, 0) : start + WHOLE]
        offset = max(-start, 0)
        total += _energy(part * window[offset : offset + part.size], rate, WHOLE)
    return total


def _energy(x: Array, rate: int, size: int) -> float:
    padded = np.zeros(size, np.float32)
    padded[: x.size] = x
    spectrum = rfft(padded)
    for k in range(0, spectrum.size, _BINS):  # so many at a time: the gains take three times the memory of the bins
        bins = spectrum[k : k + _BINS]
        bins *= _gain(np.arange(k, k + bins.size) * (rate / size), TELEPHONE).astype(np.float32)
    parts = spectrum.view(np.float32)
    return 2 * float(np.sum(np.square(parts, out=parts), dtype=np.float64)) / size


def _gain(hz: Array, curve: tuple[Any, Any]) -> Array:
    """Of a curve of points in Hz and dB, straight between them."""
    result: Array = 10 ** (np.interp(hz, *curve) / 20)
    return result


@cache
def receiver(rate: int) -> Array:
    """Taps [SPAN] of the receiving telephone, 0 dB at 1 kHz, symmetric about SPAN / 2."""
    hz = np.arange(SPAN // 2 + 1) * (rate / SPAN)
    gain = _gain(hz, RECEIVER) / _gain(np.array([1000.0]), RECEIVER)
    result: Array = np.roll(np.fft.irfft(gain), SPAN // 2)
    return result


@cache
def aligner(rate: int) -> Array:
    """Taps [TAPS] of the filter of the aligning copy: of the measured magnitude, minimum phase by its cepstrum."""
    size = 1 << 14
    points = np.array(ALIGNERS[rate]).T
    level = np.log(_gain(np.arange(size // 2 + 1) * (rate / size), (points[0], points[1])))
    cepstrum = np.fft.irfft(level)
    cepstrum[1 : size // 2] *= 2
    cepstrum[size // 2 + 1 :] = 0
    result: Array = np.fft.irfft(np.exp(np.fft.rfft(cepstrum)))[:TAPS]
    return result


def _convolve(x: Array, taps: Array, lead: int) -> None:
    """x [sample], float32, in place: convolved with taps of which the one at `lead` does not delay."""
    size = max(8 * TAPS, 4 * taps.size)
    step = size - taps.size + 1
    response = rfft(taps.astype(np.float32), size)
    padded = np.zeros(size, np.float32)
    history = np.zeros(taps.size - 1, np.float32)  # of the input, as the output takes its place
    for start in range(0, x.size + lead, step):
        fresh = x[start : start + step]
        padded[: history.size] = history
        padded[history.size : history.size + fresh.size] = fresh
        padded[history.size + fresh.size :] = 0
        history = padded[step:].copy()
        out = irfft(rfft(padded) * response, size)[taps.size - 1 :]
        first = start - lead
        stop = min(first + step, x.size)
        if stop > max(first, 0):
            x[max(first, 0) : stop] = out[max(-first, 0) : stop - first]


@exact_kernel
def filtered(x: Array, section: Array) -> None:
    """x [sample], in place, through one biquad (b0 b1 b2 a1 a2) that starts at rest."""
    one = other = 0.0
    for n in range(x.size):
        v = float(x[n])
        y = section[0] * v + one
        one = section[1] * v - section[3] * y + other
        other = section[2] * v - section[4] * y
        if abs(one) < 1e-30 and abs(other) < 1e-30:
            one = other = 0.0
        x[n] = y


def activity(x: Recording) -> Array:
    """[block] of 4 ms: ln of the power of the voice over the threshold that tells it from noise, at least 0; nan where
    nobody speaks."""
    out = np.empty(x.blocks)
    _activity(x.traced, x.block, out)
    return out


@kernel
def _activity(x: Array, block: int, out: Array) -> None:
    count = out.size
    for i in range(count):
        total = 0.0
        for n in range(i * block, (i + 1) * block):
            total += float(x[n]) * float(x[n])
        out[i] = total / block
    floor = out.max() * FLOOR if out.max() > 0 else 1.0
    for i in range(count):
        out[i] = max(out[i], floor)
    threshold = out.mean()
    for _ in range(12):
        number, total, squares = 0, 0.0, 0.0
        for v in out:
            if v <= threshold:
                number += 1
                total += v
        mean = total / max(number, 1)
        for v in out:
            if v <= threshold:
                squares += (v - mean) * (v - mean)
        threshold = 1.001 * (mean + 2 * np.sqrt(squares / max(number, 1)))
    speaks = out > threshold
    speaks[0] = speaks[count - 1] = False
    speech, noise, talking = 0.0, 0.0, 0
    _fill(speaks, True, SHORTEST_RUN)
    for i in range(count):
        if speaks[i]:
            speech += out[i]
            talking += 1
        else:
            noise += out[i]
    if talking > 0:
        speech /= talking
        if talking < count:
            noise /= count - talking
    else:
        threshold = 0.0  # so that all is speech
    if talking and speech >= SPEECH_TO_NOISE * noise:
        i = 0
        while i < count:
            j = i + 1
            while j < count and speaks[j] == speaks[i]:
                j += 1
            if speaks[i] and out[i:j].mean() < 3 * threshold:
                speaks[i:j] = False
            i = j
    before = speaks.copy()
    _fill(speaks, False, LONGEST_GAP)
    for i in range(count):
        if speaks[i] and not before[i]:
            out[i] = floor
    if not talking:
        speaks[:] = True
        threshold = floor
    edges = speaks.copy()
    for i in range(2, count - 2):
        if edges[i] and not edges[i - 1]:
            speaks[i - 2] = speaks[i - 1] = True
            out[i - 2], out[i - 1] = 0.1 * out[i], 0.3 * out[i]
        if edges[i] and not edges[i + 1]:
            speaks[i + 2] = speaks[i + 1] = True
            out[i + 2], out[i + 1] = 0.1 * out[i], 0.3 * out[i]
    for i in range(count):
        out[i] = max(0.0, np.log(out[i] / threshold)) if speaks[i] else np.nan


@kernel
def _fill(speaks: Array, what: bool, longest: int) -> None:
    """Runs of `what` between two of the other, of at most so many blocks, become the other."""
    i = 0
    while i < speaks.size:
        j = i + 1
        while j < speaks.size and speaks[j] == speaks[i]:
            j += 1
        if speaks[i] == what and i > 0 and j < speaks.size and j - i <= longest:
            speaks[i:j] = not what
        i = j


def align(ref: Recording, test: Recording) -> list[Utterance]:
    """The utterances of the reference, from one to the next, and the delay of each; none where no speech is found."""
    voices = activity(ref), activity(test)
    loud = np.nan_to_num(voices[0]), np.nan_to_num(voices[1])
    whole = int(_lags(loud[0][None], loud[1][None])[0])
    frames = _Frames(ref, test)
    found = []
    for start, stop in runs(~np.isnan(voices[0])):
        searched = start + whole <= test.blocks and stop + whole >= 0
        if stop - start >= SHORTEST_UTTERANCE and searched:
            (coarse,) = _coarse(loud, [(start - MARGIN, stop + MARGIN)], whole)
            coarse = frames.likeliest(start, stop, coarse, (whole, 0))
            found.append(_utterances(frames, loud, start, stop, coarse, None))
    return _limited(found, ref)


def runs(flags: Array) -> list[tuple[int, int]]:
    """Where flags [n] are true: first and one past the last of each run."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _lags(ref: Array, test: Array) -> Array:
    """Blocks [pair] by which test [pair, block] follows ref [pair, block], where their product is largest."""
    size = fast_length(ref.shape[1] + test.shape[1])
    product = irfft(np.conj(rfft(ref, size)) * rfft(test, size), size)
    best = product.argmax(axis=1)
    found: Array = np.where(best >= test.shape[1], best - size, best)
    return found


def _coarse(loud: tuple[Array, Array], parts: list[tuple[int, int]], delay: int) -> list[int]:
    """Blocks of delay of each part [first, last) of the reference, searched around a delay."""
    longest = max(b - a for a, b in parts)
    pairs = np.zeros((2, len(parts), longest), np.float32)
    for i, (a, b) in enumerate(parts):
        for s, shift in ((0, 0), (1, delay)):
            first, last = max(a + shift, 0), min(b + shift, loud[s].size)
            if first < last:
                pairs[s, i, first - a - shift : last - a - shift] = loud[s][first:last]
    return [delay + int(lag) for lag in _lags(pairs[0], pairs[1])]


Delay = tuple[int, float]  # in samples, and its confidence


def _utterances(
    frames: _Frames, loud: tuple[Array, Array], start: int, stop: int, coarse: int, known: Delay | None
) -> list[Utterance]:
    """Blocks start to stop in as many parts as have a delay of their own.

    coarse: their delay in blocks; known: that of all of them, found before.
    """
    breaks = _breaks(start, stop)
    (*lefts, whole) = frames.before(start, [*breaks, stop], coarse)
    whole = whole if known is None else known
    block = frames.ref.block
    best: tuple[float, int] | None = None
    if breaks:
        near = _coarse(loud, [(start - MARGIN, b) for b in breaks], coarse)
        far = _coarse(loud, [(b, stop + MARGIN) for b in breaks], coarse)
        lefts = _by_delay(near, {coarse: lefts}, lambda d: frames.before(start, breaks, d))
        rights = _by_delay(far, {}, lambda d: frames.after(breaks, stop, d))
        for i, ((d1, c1), (d2, c2)) in enumerate(zip(lefts, rights, strict=True)):
            apart = abs(d1 - d2) >= block and min(c1, c2) > whole[1]
            if apart and (best is None or c1 + c2 >= best[0]):
                best = c1 + c2, i
    if best is None:
        return [Utterance(start * block, stop * block, *whole)]
    i = best[1]
    return [
        *_utterances(frames, loud, start, breaks[i], near[i], lefts[i]),
        *_utterances(frames, loud, breaks[i], stop, far[i], rights[i]),
    ]


def _breaks(start: int, stop: int) -> list[int]:
    """Blocks at which an utterance may be split: every few whole hops of the frames, in its middle."""
    if stop - start < SPLIT_FROM:
        return []
    length = stop - start + 2
    step = ceil(int(COVERED * length) / (4 * (SPLITS - 1))) * 4
    lead = max(SPLIT_MARGIN, int((1 - COVERED) / 2 * length))
    return list(range(start + lead, stop - lead + 1, step))[:SPLITS]


def _by_delay(delays: list[int], known: dict[int, list[Delay]], find: Callable[[int], list[Delay]]) -> list[Delay]:
    """find(delay)[i] for each i; few delays are different."""
    for d in delays:
        if d not in known:
            known[d] = find(d)
    return [known[d][i] for i, d in enumerate(delays)]


class _Frames:
    """Short frames of both recordings, and the lags at which they correlate, in histograms."""

    def __init__(self, ref: Recording, test: Recording) -> None:
        self.ref, self.test = ref, test
        self.size = 16 * ref.block
        self.hop = self.size // 4
        self.window = periodic("hann", self.size).astype(np.float32)

    def before(self, start: int, breaks: list[int], coarse: int) -> list[Delay]:
        """The delay of blocks start to each of the ascending breaks, about `coarse` blocks."""
        ends = np.array(breaks) * self.ref.block - self.size + self.hop  # a frame reaches beyond
        starts = self._within(np.arange((start + 1) * self.ref.block, ends[-1] + 1, self.hop), coarse)
        part = np.searchsorted(ends, starts)
        return [self._peak(h, coarse) for h in self._histograms(starts, part, len(breaks), coarse).cumsum(axis=0)]

    def likeliest(self, start: int, stop: int, coarse: int, others: tuple[int, ...]) -> int:
        """The delay in blocks that the waveforms bear out best, of those that are too far apart to find each other."""
        best = coarse
        for other in others:
            if abs(other - best) > REACH:
                (_, ours), (_, theirs) = (self.before(start, [stop], d)[0] for d in (best, other))
                best = other if theirs > ours else best
        return best

    def after(self, breaks: list[int], stop: int, coarse: int) -> list[Delay]:
        """The delay of the blocks from each of the ascending breaks to stop; frames are laid from there backwards."""
        begins = (np.array(breaks) + AFTER_BREAK) * self.ref.block
        last = (stop - 1) * self.ref.block - self.size
        starts = self._within(np.arange(last, begins[0] - 1, -self.hop)[::-1], coarse)
        part = np.searchsorted(begins, starts, side="right") - 1
        counts = self._histograms(starts, part, len(breaks), coarse)
        return [self._peak(h, coarse) for h in counts[::-1].cumsum(axis=0)[::-1]]

    def _within(self, starts: Array, coarse: int) -> Array:
        """Those of the frames that lie within both recordings."""
        shift = coarse * self.ref.block
        last = min(self.ref.traced.size, self.test.traced.size - shift) - self.size
        return starts[(starts >= max(0, -shift)) & (starts <= last)]

    def _histograms(self, starts: Array, part: Array, parts: int, coarse: int) -> Array:
        counts = np.zeros((parts, self.size))
        for i in range(0, starts.size, FRAMES_AT_ONCE):
            at = starts[i : i + FRAMES_AT_ONCE]
            r = rfft(cut(self.ref.traced, at, self.window))
            t = rfft(cut(self.test.traced, at + coarse * self.ref.block, self.window))
            _gather(irfft(np.conj(r, out=r) * t, self.size), part[i : i + FRAMES_AT_ONCE], counts)
        return counts

    def _peak(self, histogram: Array, coarse: int) -> Delay:
        shift = coarse * self.ref.block
        total = float(histogram.sum())
        if not total > 0:
            return shift, 0.0
        width = self.size // 64
        triangle = 1 - np.abs(np.arange(1 - width, width)) / width
        wrapped = np.concatenate([histogram[1 - width :], histogram, histogram[: width - 1]])
        smooth = np.convolve(wrapped, triangle, "valid")
        lag = int(smooth.argmax())
        return shift + (lag - self.size if lag >= self.size // 2 else lag), min(float(smooth[lag]) / total, 1.0)


@kernel
def cut(x: Array, starts: Array, window: Array) -> Array:
    """Windowed frames, float32 [frame, n]; silent where they reach beyond x [sample]."""
    out = np.zeros((starts.size, window.size), np.float32)
    for i in range(starts.size):
        if starts[i] >= 0 and starts[i] + window.size <= x.size:
            part = x[starts[i] : starts[i] + window.size]
            for n in range(window.size):
                out[i, n] = part[n] * window[n]
    return out


@kernel
def _gather(products: Array, part: Array, counts: Array) -> None:
    """Adds the lags of each frame [frame, lag] that come within 1 % of its best to the histogram of its part."""
    for i in range(len(products)):
        row = products[i]
        most = np.float32(0)
        for k in range(row.size):
            most = max(most, abs(row[k]))
        weight = float(most) ** 0.125
        least = np.float32(0.99) * most
        for k in range(row.size):
            if abs(row[k]) > least:
                counts[part[i], k] += weight


def _limited(found: list[list[Utterance]], ref: Recording) -> list[Utterance]:
    """Utterances that reach from one to the next. They meet in the middle of a pause, later by half of what the test
    leaves out there; where one was split, the later part begins earlier by half of what the test inserts."""
    flat = [u for parts in found for u in parts]
    if not flat:
        return []
    first_of = {id(parts[0]) for parts in found}
    meets = [ref.margin]
    for a, b in pairwise(flat):
        if id(b) in first_of:
            middle = (a.stop // ref.block + b.start // ref.block) // 2 * ref.block
            meets.append(middle + max(a.delay - b.delay, 0) // 2)
        else:
            meets.append(b.start - max(b.delay - a.delay, 0) // 2)
    ends = [*meets[1:], ref.margin + ref.length]
    return [Utterance(a, max(a, b), u.delay, u.confidence) for u, a, b in zip(flat, meets, ends, strict=True)]


def heard_torch(band: str) -> Callable[[Any, Any], tuple[Any, Any]]:
    """ref, test [item, sample] at 16 kHz -> the same at level and through the input filter, float64; of narrow-8k at
    8 kHz. The delay of the test is taken out, of up to 0.3 s, and by parts of 0.25 s up to 60 ms more; it is found on
    detached samples.
    """
    import torch
    from torch.nn import functional

    from ...engine.tensors import fast_length as length_for, power

    rate = 16000
    after, farthest = round(AFTER * rate), MARGIN * (rate // BLOCKS_PER_SECOND)
    narrow, half = band.startswith("narrow"), band == "narrow-8k"
    knees, db = (np.array(c, dtype=np.float64) for c in RECEIVER)
    slopes = np.append(np.diff(db) / np.diff(knees), 0.0)
    bends = [(float(at), float(by)) for at, by in zip(knees, np.diff(slopes, prepend=0.0), strict=True)]
    gain = CORRECTION if band == "wide-cor2" else 1.0
    b0, b1, b2, a1, a2 = (float(c) for c in HIGH_PASS)

    def filter_at(hz: Any) -> Any:
        if narrow:
            level = db[0] - 12.0 + sum(by * (hz - at).clamp(min=0) for at, by in bends)
            return 10 ** (level / 20)
        z = torch.polar(torch.ones_like(hz), -2 * torch.pi * hz / rate)
        return gain * (b0 + b1 * z + b2 * z * z) / (1 + a1 * z + a2 * z * z)

    def heard(ref: Any, test: Any) -> tuple[Any, Any]:
        samples = ref.shape[-1]
        n = 4 * length_for(-(-(samples + after) // 4))
        hz = torch.arange(n // 2 + 1, dtype=torch.float64, device=ref.device) * (rate / n)
        inside = ((hz >= TELEPHONE[0][2]) & (hz <= TELEPHONE[0][3])).double()
        response = filter_at(hz)
        kept, size = (n // 4 + 1, n // 2) if half else (n // 2 + 1, n)

        def through(x: Any) -> Any:
            spectrum = torch.fft.rfft(x.double(), n)
            mean = 2 * (power(spectrum, 0.0) * inside).sum(-1, keepdim=True) / n / (samples + after)
            level = (POWER / (mean + QUIETEST)).sqrt()
            return (spectrum * response * level)[:, :kept] * (size / n)

        r, t = through(ref), through(test)
        match = torch.fft.irfft((r.conj() * t).detach(), size).abs()
        reach = farthest * size // n
        late = torch.cat([match[:, : reach + 1], match[:, -reach:]], -1).argmax(-1)
        late = torch.where(late > reach, late - 2 * reach - 1, late)
        x, y = torch.fft.irfft(r, size), torch.fft.irfft(t, size)
        stop = -(-samples * size // n)
        at = torch.arange(stop, device=ref.device) + late[:, None]
        x = x[:, :stop]
        at = at + locally(x.detach(), taken(y.detach(), at), size * PART // n)
        return x, taken(y, at)

    def taken(y: Any, at: Any) -> Any:
        return torch.take_along_dim(y, at.clamp(0, y.shape[1] - 1), 1) * ((at >= 0) & (at < y.shape[1]))

    def locally(x: Any, y: Any, part: int) -> Any:
        """Lags [item, sample] of y, the same in each part; 0 where another is hardly better."""
        count = -(-x.shape[1] // part)
        frames = [functional.pad(z, (part, (count + 1) * part - z.shape[1])).unfold(1, 3 * part, part) for z in (x, y)]
        spectra = [torch.fft.rfft(z, 4 * part) for z in frames]
        match = torch.fft.irfft(spectra[0].conj() * spectra[1], 4 * part).abs()
        reach = part // 4
        near = torch.cat([match[..., : reach + 1], match[..., -reach:]], -1)
        most, lag = near.max(-1)
        lag = torch.where(lag > reach, lag - 2 * reach - 1, lag) * (most > BETTER * near[..., 0])
        return lag.repeat_interleave(part, 1)[:, : x.shape[1]]

    return heard
