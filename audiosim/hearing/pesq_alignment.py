"""Time alignment of two recordings of speech, as PESQ does it: level, activity of the voice, utterances and their delays.

ITU-T P.862 (2001), 10.1; Rix, Hollier, Hekstra and Beerends 2002 (J. Audio Eng. Soc. 50, 755-764). Delays are found
first from the envelopes, in steps of 4 ms, then from the waveforms, to the sample; an utterance during which the delay
changes is split where both parts then agree better. The recommendation's filter for the aligning copy is a table of
12 biquads; here two Butterworth filters of telephone bandwidth take its place, as only delays come of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..dsp.kernel import exact_kernel, kernel
from ..dsp.spectrum import fast_length, irfft, rfft
from ..dsp.windows import periodic

Array = NDArray[Any]

BLOCKS_PER_SECOND = 250
MARGIN = 75  # blocks of silence before and after a recording: the farthest that an utterance is searched
AFTER = 0.32  # seconds of silence behind
POWER = 1e7  # of both recordings in the telephone band
TELEPHONE = (0.0, 300.0, 350.0, 3250.0, 3500.0), (-500.0, -500.0, 0.0, 0.0, -500.0)  # Hz, dB: where level is measured
RECEIVER = (  # the standard receiving telephone (IRS), Hz and dB
    (0, 50, 100, 125, 160, 200, 250, 300, 350, 400, 500, 600, 3250, 3500, 4000),
    (-200, -40, -20, -12, -6, 0, 4, 6, 8, 10, 11, 12, 12, 4, -200),
)
RAMP = 15  # samples that wide-band recordings take to rise and fall
WIDE_HIGH_PASS = np.array([[2.740826, -5.4816519, 2.740826, -1.9444777, 0.94597794]])  # P.862.2, at 16 kHz
CORRECTION = 0.251188  # of its gain: P.862 Corrigendum 2
FLOOR = 1e-4  # of the loudest block: what no block lies below
SPEECH_TO_NOISE = 1000.0  # from which on faint runs count as noise
SHORTEST_RUN, LONGEST_GAP, SHORTEST_UTTERANCE = 4, 50, 50  # blocks
SPLIT_FROM, SPLIT_MARGIN, SPLITS = 200, 75, 41  # blocks, blocks, breaks that are tried
COVERED = 0.801  # of an utterance by the breaks
FRAMES_AT_ONCE = 512


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """A recording brought to level and through the input filter, with silence around.

    heard: float32 [margin + length + margin + after], what the model of hearing gets; traced: the same for alignment.
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
        return MARGIN * self.block

    @property
    def blocks(self) -> int:
        return self.length // self.block + 2 * MARGIN


@dataclass(frozen=True, slots=True)
class Utterance:
    """start, stop: samples of the reference, margin included; delay: samples that the test lags; confidence: 0 to 1."""

    start: int
    stop: int
    delay: int
    confidence: float


def brought_to_level(x: Array, rate: int, longest: int, band: str) -> Recording | None:
    """x [sample] as the model takes it; None where nothing is in the telephone band.

    longest: samples of the longer of the two recordings. band: narrow, wide or wide-cor2.
    """
    after, margin = round(AFTER * rate), MARGIN * (rate // BLOCKS_PER_SECOND)
    size = fast_length(x.size + after)
    padded = np.zeros(size, np.float32)
    padded[: x.size] = x
    spectrum = rfft(padded)
    hz = np.arange(spectrum.size) * (rate / size)
    gain = _gain(hz, *TELEPHONE)
    power = 2 * float(np.sum(np.square(np.abs(spectrum) * gain), dtype=np.float64)) / size / (longest + after)
    if not power > 0:
        return None
    level = np.float32(np.sqrt(POWER / power))
    heard = np.zeros(x.size + 2 * margin + after, np.float32)
    heard[margin : margin + x.size] = x
    heard *= level
    if band == "narrow":
        heard = _received(heard, rate)
    else:
        rise = np.arange(1, RAMP + 1, dtype=np.float32) / (RAMP + 1)
        part = heard[margin : margin + x.size]
        part[:RAMP] *= rise
        part[-RAMP:] *= rise[::-1]
        sections = WIDE_HIGH_PASS.copy()
        sections[0, :3] *= CORRECTION if band == "wide-cor2" else 1.0
        filtered(part, sections)
    traced = heard.copy()
    part = traced[margin : margin + x.size]
    part -= np.float32(part.sum(dtype=np.float64) / (x.size + 2 * margin))
    block = rate // BLOCKS_PER_SECOND
    rise = ((np.arange(block) + 0.5) / block).astype(np.float32)
    part[:block] *= rise
    part[-block:] *= rise[::-1]
    filtered(part, telephone_sections(rate))
    return Recording(heard, traced, rate, x.size)


def _gain(hz: Array, points: Any, db: Any) -> Array:
    result: Array = 10 ** (np.interp(hz, points, db) / 20)
    return result


def _received(x: Array, rate: int) -> Array:
    """x through the receiving telephone, zero-phase, 0 dB at 1 kHz."""
    size = fast_length(x.size)
    hz = np.arange(size // 2 + 1) * (rate / size)
    spectrum = rfft(x, size)
    spectrum *= (_gain(hz, *RECEIVER) / _gain(np.array([1000.0]), *RECEIVER)).astype(np.float32)
    result: Array = irfft(spectrum, size)[: x.size]
    return result


@cache
def telephone_sections(rate: int) -> Array:
    """Butterworth high-pass and low-pass of order 4 at 300 and 3400 Hz, as biquads [4, 5]."""
    sections = []
    for corner, sign in ((300.0, -1), (3400.0, 1)):
        k = np.tan(np.pi * corner / rate)
        for damping in (2 * np.cos(np.pi / 8), 2 * np.cos(3 * np.pi / 8)):
            a0 = 1 + damping * k + k * k
            b = (k * k if sign > 0 else 1.0) / a0
            sections.append([b, 2 * sign * b, b, 2 * (k * k - 1) / a0, (1 - damping * k + k * k) / a0])
    return np.array(sections)


@exact_kernel
def filtered(x: Array, sections: Array) -> None:
    """x, in place, through biquads [section, 5] (b0 b1 b2 a1 a2) in series, at rest before."""
    state = np.zeros((len(sections), 2))
    for n in range(x.size):
        v = float(x[n])
        for s in range(len(sections)):
            y = sections[s, 0] * v + state[s, 0]
            state[s, 0] = sections[s, 1] * v - sections[s, 3] * y + state[s, 1]
            state[s, 1] = sections[s, 2] * v - sections[s, 4] * y
            v = y
        x[n] = v
        if n % 64 == 0:
            for s in range(len(sections)):
                if abs(state[s, 0]) < 1e-30 and abs(state[s, 1]) < 1e-30:
                    state[s, 0] = state[s, 1] = 0.0


def activity(x: Recording) -> Array:
    """Per block of 4 ms: how loud the voice is, ln of its power over the threshold, at least 0; nan where it is silent."""
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
    """The utterances of the reference and the delay of each, in order; none where no speech is found."""
    voices = activity(ref), activity(test)
    loud = np.nan_to_num(voices[0]), np.nan_to_num(voices[1])
    whole = _lags(loud[0][None], loud[1][None])[0]
    found = []
    for start, stop in _runs(~np.isnan(voices[0])):
        if stop - start < SHORTEST_UTTERANCE:
            continue
        if start + whole - MARGIN > test.blocks - MARGIN or stop + whole + MARGIN < MARGIN:
            continue
        found.append(_split(ref, test, loud, start, stop, whole))
    return _limited(found, ref)


def _runs(speaks: Array) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], speaks, [False]]).astype(np.int8)))
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
    return [delay + int(lag) for lag in _lags(*pairs)]


def _split(
    ref: Recording, test: Recording, loud: tuple[Array, Array], start: int, stop: int, delay: int
) -> list[Utterance]:
    """The utterance of blocks start to stop, in as many parts as have delays of their own; delay: blocks, about."""
    (coarse,) = _coarse(loud, [(max(start - MARGIN, 0), min(stop + MARGIN, loud[0].size))], delay)
    frames = _Frames(ref, test)
    lag, confidence = frames.delays(start, stop, coarse, [stop])[0]
    found = Utterance(start * ref.block, stop * ref.block, lag, confidence)
    return _parts(frames, loud, found, coarse)


def _parts(frames: _Frames, loud: tuple[Array, Array], whole: Utterance, coarse: int) -> list[Utterance]:
    block = frames.ref.block
    start, stop = whole.start // block, whole.stop // block
    if stop - start < SPLIT_FROM:
        return [whole]
    length = stop - start + 2
    step = int((COVERED * length + 4 * (SPLITS - 1) - 1) / (4 * (SPLITS - 1))) * 4
    lead = max(SPLIT_MARGIN, int((1 - COVERED) / 2 * length))
    breaks = list(range(start + lead, stop - lead + 1, step))[:SPLITS]
    left = _coarse(loud, [(max(start - MARGIN, 0), b) for b in breaks], coarse)
    right = _coarse(loud, [(b, min(stop + MARGIN, loud[0].size)) for b in breaks], coarse)
    best: tuple[float, int, tuple[int, float], tuple[int, float], int, int] | None = None
    lefts = _by_delay(left, lambda d, at: frames.delays(start, stop, d, [breaks[i] for i in at]))
    rights = _by_delay(right, lambda d, at: frames.delays(start, stop, d, [breaks[i] for i in at], True))
    for i, b in enumerate(breaks):
        (d1, c1), (d2, c2) = lefts[i], rights[i]
        if abs(d1 - d2) >= block and min(c1, c2) > whole.confidence and (best is None or c1 + c2 > best[0]):
            best = c1 + c2, b, lefts[i], rights[i], left[i], right[i]
    if best is None:
        return [whole]
    _, b, one, two, near, far = best
    return [
        *_parts(frames, loud, Utterance(whole.start, b * block, *one), near),
        *_parts(frames, loud, Utterance(b * block, whole.stop, *two), far),
    ]


def _by_delay(delays: list[int], find: Any) -> list[tuple[int, float]]:
    result: list[Any] = [None] * len(delays)
    for d in set(delays):
        at = [i for i, other in enumerate(delays) if other == d]
        for i, found in zip(at, find(d, at), strict=True):
            result[i] = found
    return result


class _Frames:
    """Correlations of short frames, gathered as histograms of lags."""

    def __init__(self, ref: Recording, test: Recording) -> None:
        self.ref, self.test = ref, test
        self.size = 16 * ref.block
        self.window = periodic("hann", self.size).astype(np.float32)

    def delays(
        self, start: int, stop: int, coarse: int, breaks: list[int], after: bool = False
    ) -> list[tuple[int, float]]:
        """Delay in samples and confidence of the frames before (after) each ascending break in blocks."""
        block, hop = self.ref.block, self.size // 4
        first = start * block
        first = max(first, -coarse * block)
        starts = np.arange(first, min(stop * block, self.ref.traced.size) - self.size + 1, hop)
        starts = starts[starts + coarse * block + self.size <= self.test.traced.size]
        counts = np.zeros((len(breaks) + 1, self.size))
        ends = np.array(breaks) * block
        parts = np.searchsorted(ends, starts if after else starts + self.size, side="right" if after else "left")
        for i in range(0, starts.size, FRAMES_AT_ONCE):
            at = starts[i : i + FRAMES_AT_ONCE]
            r = rfft(_cut(self.ref.traced, at, self.window))
            t = rfft(_cut(self.test.traced, at + coarse * block, self.window))
            _gather(irfft(np.conj(r) * t, self.size), parts[i : i + FRAMES_AT_ONCE], counts)
        sums = counts[::-1].cumsum(axis=0)[::-1][1:] if after else counts.cumsum(axis=0)[:-1]
        return [self._peak(h, coarse * block) for h in sums]

    def _peak(self, histogram: Array, shift: int) -> tuple[int, float]:
        total = float(histogram.sum())
        if not total > 0:
            return shift, 0.0
        width = self.size // 64
        triangle = 1 - np.abs(np.arange(1 - width, width)) / width
        wrapped = np.concatenate([histogram[1 - width :], histogram, histogram[: width - 1]])
        smooth = np.convolve(wrapped, triangle, "valid")
        lag = int(smooth.argmax())
        return shift + (lag - self.size if lag >= self.size // 2 else lag), float(smooth[lag]) / total


@kernel
def _cut(x: Array, starts: Array, window: Array) -> Array:
    out = np.empty((starts.size, window.size), np.float32)
    for i in range(starts.size):
        for n in range(window.size):
            out[i, n] = x[starts[i] + n] * window[n]
    return out


@kernel
def _gather(products: Array, parts: Array, counts: Array) -> None:
    """Adds the lags of each frame [frame, lag] that come within 1 % of its best to its part's histogram."""
    for i in range(len(products)):
        most = np.float32(0)
        for v in products[i]:
            most = max(most, abs(v))
        weight = float(most) ** 0.125
        least = np.float32(0.99) * most
        for k in range(products.shape[1]):
            if abs(products[i, k]) > least:
                counts[parts[i], k] += weight


def _limited(found: list[list[Utterance]], ref: Recording) -> list[Utterance]:
    """Utterances that reach from one to the next: to the middle of a pause, less half of what the test has twice; a part
    of an utterance begins in the middle of what the test has more."""
    result: list[Utterance] = []
    block = ref.block
    for parts in found:
        for i, u in enumerate(parts):
            start = u.start
            if not result:
                start = ref.margin
            elif i:
                start -= max(u.delay - parts[i - 1].delay, 0) // 2
            else:
                before = result[-1]
                start = (before.stop // block + u.start // block) // 2 * block
                start += max(before.delay - u.delay, 0) // 2
            if result:
                b = result[-1]
                result[-1] = Utterance(b.start, max(b.start, start), b.delay, b.confidence)
            result.append(Utterance(start, u.stop, u.delay, u.confidence))
    if result:
        b = result[-1]
        result[-1] = Utterance(b.start, ref.margin + ref.length, b.delay, b.confidence)
    return result
