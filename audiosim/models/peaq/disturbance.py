"""What of a test signal's excitation would be heard beside that of its reference: adaptation, modulation, loudness of
the noise, probability of detection and harmonic structure of the error, frame by frame (ITU-R BS.1387-1, annex 2,
sections 3 and 4). Patterns are [frame, band], memories [.., band]; equations are those of the standard.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.elementary import exponentials, logarithms
from ...engine.kernel import kernel
from .fft_ear import BLOCK, FRAME, HOP, RATE, BarkEar, Block, add_up, decays, listener, noise_to_mask

Array = NDArray[Any]

BEFORE, AFTER = 3, 4  # bands that the correction factors are averaged with (eq. 52)
ALPHA, THRESHOLD, S0 = 1.5, 0.15, 0.5  # of the noise loudness (eq. 66 to 68)
LOUDNESS = 1.07664  # eq. 58
LAGS = 256  # of the error's autocorrelation over frequency; as many bins
WINDOW = np.sqrt(8 / 3) * 0.5 * (1 - np.cos(2 * np.pi * np.arange(LAGS) / (LAGS - 1))) / LAGS
HIGH_BIN, TOP_BIN, LAST_BIN = 921, 1024, 346  # bandwidth: noise above the first, nothing counts up to the last
HIGH, LAST = 21586.0, 8109.0  # Hz, of the first and the last (Kabal, section 4.4)
LEAST = 1e-140  # energy in a bin; what is less is digital silence


class Disturbance:
    """What one channel's listener hears, block after block.

    difference, difference_2, weight: [frame], modulation differences in percent and what they count (eq. 63 to 65).
    noise_loudness: [frame], sones. loud: [frame], whether both signals are above 0.1 sone, up to the first that is.
    harmonic: [frame], of the error, 0 where it was not asked for. bandwidths: [frame, 2], of reference and test, in
    bins, 0 where there is none. noise, highest: [frame], noise to mask in the mean and in the worst of the bands.
    cells: [frame, part], noise to mask, or weighted modulation differences, added up in each part of the bands.
    sones: [frame, part], noise loudness added up likewise.
    exceeding, steps: [BLOCK, band], of the block heard last: (|e| / s)^b and |int e| / s of eq. 75 to 77.
    """

    def __init__(
        self, ref: Array, test: Array, ear: BarkEar, frames: int, cuts: Array | None, everything: bool
    ) -> None:
        """ref, test: [sample]. frames: how many there will be. cuts: band numbers [part + 1] between which cells are
        summed. everything: False for modulation differences and detection alone."""
        self.ear, self.cuts, self.everything = ear, cuts, everything
        self.difference, self.difference_2, self.weight, self.noise_loudness = np.zeros((4, frames))
        self.noise, self.highest, self.harmonic = np.zeros((3, frames))
        self.loud = np.zeros(frames, np.bool_)
        self.bandwidths = np.zeros((frames, 2))
        self.cells, self.sones = np.zeros((2, frames, 0 if cuts is None else len(cuts) - 1))
        self.exceeding, self.steps = np.empty((2, BLOCK, ear.bands))
        self._listeners = listener(ref, ear, frames), listener(test, ear, frames)
        self._decay = decays(ear.centres, 0.050, rate=ear.rate)
        bins = FRAME / ear.rate
        self._bandwidth = (HIGH_BIN, LAST_BIN) if ear.rate == RATE else (round(HIGH * bins), round(LAST * bins))
        self._quiet = 100 * ear.noise**0.3
        self._levels, self._factors, self._corrections = np.zeros((3, 2, ear.bands))
        self._envelopes = np.zeros((2, 3, ear.bands))
        self._work = np.empty((7, BLOCK, ear.bands))

    def hear(self, start: int, frames: int) -> tuple[Block, Block]:
        """The next block of frames, of which this is the first."""
        ref, test = blocks = self._listeners[0](start, frames), self._listeners[1](start, frames)
        here = slice(start, start + frames)
        m, n, average, _, r, t, local = self._work[:, :frames]
        modulate(ref.spread, self._decay, self.ear.rate / HOP, self._envelopes[0], m, average)
        modulate(test.spread, self._decay, self.ear.rate / HOP, self._envelopes[1], n, _)
        sums = self.difference[here], self.difference_2[here], self.weight[here]
        modulation_differences(m, n, average, self._quiet, local, *sums)
        _detection(ref.excitation, test.excitation, self.exceeding[:frames], self.steps[:frames])
        if self.everything:
            noise_to_mask(ref, test, self.ear, self.noise[here], self.highest[here], local)
            _bandwidths(ref.power, test.power, *self._bandwidth, self.bandwidths[here])
            memories = self._levels, self._factors, self._corrections
            adapt(ref.excitation, test.excitation, self._decay, BEFORE, AFTER, *memories, r, t)
            noise_loudness(r, t, m, n, self.ear.noise, ALPHA, THRESHOLD, S0, self.noise_loudness[here])
            if self.cuts is not None:
                add_up(r, self.cuts, self.sones[here])
            if not self.loud[:start].any():  # nobody asks for more than the first
                self.loud[here] = np.minimum(*(loudness(b.excitation, self.ear.centres) for b in blocks)) > 0.1
        else:
            local *= self.weight[here, None]
        if self.cuts is not None:
            add_up(local, self.cuts, self.cells[here])
        return blocks

    def hear_harmonics(self, start: int, blocks: tuple[Block, Block], which: Array) -> None:
        """harmonic of those frames [frame] of a block."""
        self.harmonic[start : start + which.size][which] = harmonic_error(*(b.weighted[which] for b in blocks))


def loudness(excitation: Array, centres: Array, constant: float = LOUDNESS) -> Array:
    """Sones [frame] of an excitation in bands with these centres in Hz (eq. 58, 59)."""
    f = centres
    s = 10 ** (0.1 * (-2 - 2.05 * np.arctan(f / 4000) - 0.75 * np.arctan((f / 1600) ** 2)))
    quiet = 10 ** (0.364 * (f / 1000) ** -0.8)
    scale = 24 / f.size * constant * (quiet / (1e4 * s)) ** 0.23
    result: Array = np.maximum(scale * ((1 - s + s * excitation / quiet) ** 0.23 - 1), 0).sum(axis=1)
    return result


def harmonic_error(ref: Array, test: Array) -> Array:
    """Largest peak [frame] in the spectrum of the autocorrelation over frequency of the log ratio of two weighted power
    spectra [frame, bin], times 1000 (section 4.8)."""
    ratio = np.zeros((2, len(ref), 2 * LAGS))
    _log_ratios(ref, test, ratio)
    spectra = engine.fft.rfft(ratio)
    correlation = engine.fft.irfft(spectra[0] * spectra[1].conj(), 2 * LAGS)[:, :LAGS]
    _normalise(correlation, ratio[0], WINDOW)
    z = engine.fft.rfft(correlation)
    power = z.real**2 + z.imag**2
    rising = np.where(power[:, 1:] > power[:, :-1], power[:, 1:], 0.0)
    result: Array = 1000 * np.max(rising, axis=1, initial=0.0)
    return result


@kernel
def modulate(spread: Array, decay: Array, per_second: float, memory: Array, modulation: Array, average: Array) -> None:
    """Eq. 53 to 57: how fast the loudness E2^0.3 changes, over its mean; so many frames per second. memory: last, mean
    of change, mean."""
    bands = decay.size
    row = np.empty(bands)
    scratch = np.empty(bands, np.int64)
    last, change, mean = memory[0], memory[1], memory[2]
    for f in range(spread.shape[0]):
        for i in range(bands):
            row[i] = spread[f, i]
        logarithms(row, scratch)
        for i in range(bands):
            row[i] *= 0.3
        exponentials(row, scratch)
        m, a = modulation[f], average[f]
        for i in range(bands):
            c = decay[i] * change[i] + (1 - decay[i]) * per_second * abs(row[i] - last[i])
            e = decay[i] * mean[i] + (1 - decay[i]) * row[i]
            last[i] = row[i]
            change[i] = c
            mean[i] = e
            m[i] = c / (1 + e / 0.3)
            a[i] = e


@kernel
def modulation_differences(
    ref: Array,
    test: Array,
    average: Array,
    quiet: Array,
    difference: Array,
    mean: Array,
    mean_2: Array,
    weight: Array,
) -> None:
    """Eq. 63 to 65, with offsets of 1 and 0.01 and weights of decreases of 1 and 0.1, in percent. average: of the
    loudness of the reference, weighed by itself over the sum of it and quiet; difference: of each band, offset 1."""
    bands = quiet.size
    for f in range(ref.shape[0]):
        r, t, a, o = ref[f], test[f], average[f], difference[f]
        first, second, w = 0.0, 0.0, 0.0
        for i in range(bands):
            d = abs(t[i] - r[i])
            o[i] = 100 * d / (1 + r[i])
            first += o[i]
            second += (1.0 if t[i] >= r[i] else 0.1) * d / (0.01 + r[i])
            w += a[i] / (a[i] + quiet[i])
        mean[f] = first / bands
        mean_2[f] = 100 * second / bands
        weight[f] = w


@kernel
def adapt(
    ref: Array,
    test: Array,
    decay: Array,
    before: int,
    after: int,
    levels: Array,
    factors: Array,
    corrections: Array,
    adapted_ref: Array,
    adapted_test: Array,
) -> None:
    """Eq. 42 to 52: what of a difference in level or timbre is steady is taken out of the louder of the two.

    before, after: bands about one over which factors are averaged. levels: mean energies; factors: means of product and
    square; corrections: means of the factors: [2, band].
    """
    bands = decay.size
    raw = np.empty((2, bands))
    for f in range(ref.shape[0]):
        r, t = adapted_ref[f], adapted_test[f]
        both, alone = 0.0, 0.0
        for i in range(bands):
            p = decay[i] * levels[0, i] + (1 - decay[i]) * ref[f, i]
            q = decay[i] * levels[1, i] + (1 - decay[i]) * test[f, i]
            levels[0, i] = p
            levels[1, i] = q
            both += np.sqrt(p * q)
            alone += q
        level = (both / alone) ** 2
        down, up = (1 / level, 1.0) if level > 1 else (1.0, level)
        for i in range(bands):
            r[i] = ref[f, i] * down
            t[i] = test[f, i] * up
            n = decay[i] * factors[0, i] + t[i] * r[i]
            d = decay[i] * factors[1, i] + r[i] * r[i]
            factors[0, i] = n
            factors[1, i] = d
            raw[0, i] = 1.0 if n >= d else n / d
            raw[1, i] = d / n if n >= d else 1.0
        for i in range(bands):
            begin, end = max(0, i - before), min(bands, i + after + 1)
            x, y = 0.0, 0.0
            for j in range(begin, end):
                x += raw[0, j]
                y += raw[1, j]
            share = (1 - decay[i]) / (end - begin)
            c = decay[i] * corrections[0, i] + share * x
            d = decay[i] * corrections[1, i] + share * y
            corrections[0, i] = c
            corrections[1, i] = d
            r[i] *= c
            t[i] *= d


@kernel
def noise_loudness(
    ref: Array,
    test: Array,
    ref_modulation: Array,
    test_modulation: Array,
    noise: Array,
    alpha: float,
    threshold: float,
    s0: float,
    out: Array,
) -> None:
    """Sones [frame] of the noise, partially masked by the reference (eq. 66 to 68); those of each band replace ref."""
    bands = noise.size
    loss, ratio, gain = np.empty((3, bands))
    scratch = np.empty(bands, np.int64)
    for f in range(ref.shape[0]):
        r, t, m, n = ref[f], test[f], ref_modulation[f], test_modulation[f]
        for i in range(bands):
            loss[i] = max(-alpha * (t[i] - r[i]) / r[i], -700.0)
        exponentials(loss, scratch)
        for i in range(bands):
            s, u = threshold * m[i] + s0, threshold * n[i] + s0
            gain[i] = noise[i] / u
            ratio[i] = 1 + max(u * t[i] - s * r[i], 0.0) / (noise[i] + s * r[i] * loss[i])
        logarithms(gain, scratch)
        logarithms(ratio, scratch)
        for i in range(bands):
            gain[i] *= 0.23
            ratio[i] *= 0.23
        exponentials(gain, scratch)
        exponentials(ratio, scratch)
        total = 0.0
        for i in range(bands):
            r[i] = 24 / bands * (gain[i] * (ratio[i] - 1))
            total += r[i]
        out[f] = max(total, 0.0)


@kernel
def _detection(ref: Array, test: Array, exceeding: Array, steps: Array) -> None:
    """Eq. 73 to 77, energies above 0: difference e in dB, over the just noticeable one s. exceeding: (|e| / s)^b;
    1 - 0.5^exceeding is the probability that it is heard. steps: |int e| / s."""
    bands = ref.shape[1]
    x, y, power = np.empty((3, bands))
    scratch = np.empty(bands, np.int64)
    db, middle = 10 / np.log(10.0), np.log(6.39468)
    for f in range(ref.shape[0]):
        for i in range(bands):
            x[i] = ref[f, i]
            y[i] = test[f, i]
        logarithms(x, scratch)
        logarithms(y, scratch)
        for i in range(bands):
            x[i] *= db
            y[i] *= db
            power[i] = max(0.3 * max(x[i], y[i]) + 0.7 * y[i], 1e-9)
        logarithms(power, scratch)
        for i in range(bands):
            power[i] = 1.71332 * (middle - power[i])
        exponentials(power, scratch)
        p, q = exceeding[f], steps[f]
        for i in range(bands):
            level = 0.3 * max(x[i], y[i]) + 0.7 * y[i]
            s = -0.198719 + level * (0.0550197 + level * (-0.00102438 + level * (5.05622e-6 + level * 9.01033e-11)))
            s = s + 5.95072 * power[i] if level > 0 else 1e30
            e = x[i] - y[i]
            v = (e / s) * (e / s)
            p[i] = v * v if e > 0 else v * v * v
            q[i] = abs(np.trunc(e)) / s


@kernel
def detect(exceeding: Array, steps: Array, probability: Array, above: Array) -> None:
    """Both ears together, the better one in each band: [channel, frame, band] -> the probability [frame] that the
    difference is heard, and by how many steps it exceeds the threshold [frame] (eq. 78 to 80)."""
    for f in range(probability.size):
        total, sum_of_steps = 0.0, 0.0
        for i in range(exceeding.shape[2]):
            p, q = 0.0, 0.0
            for c in range(exceeding.shape[0]):
                p = max(p, exceeding[c, f, i])
                q = max(q, steps[c, f, i])
            total += p
            sum_of_steps += q
        probability[f] = 1 - 0.5**total
        above[f] = sum_of_steps


@kernel
def highest_smoothed(probability: Array) -> float:
    """Maximum of 0.9 of the last plus 0.1 of the new (eq. 81, 82 with a factor of 1 for what was heard before)."""
    state, highest = 0.0, 0.0
    for f in range(probability.size):
        state = 0.9 * state + 0.1 * probability[f]
        highest = max(highest, state)
    return highest


@kernel
def _bandwidths(ref: Array, test: Array, high: int, last: int, out: Array) -> None:
    """One more than the last bin below `high` in which the reference is 10 dB above what the test has at higher
    frequencies, and then the same of the test and 5 dB; both 0 where the first is not above `last` (section 4.4)."""
    for f in range(ref.shape[0]):
        r, t = ref[f], test[f]
        noise = 0.0
        for k in range(high, TOP_BIN):
            noise = max(noise, t[k])
        width = high
        while width > 0 and not r[width - 1] > 10 * noise:
            width -= 1
        out[f] = 0
        if width > last:
            out[f, 0] = width
            while width > 0 and not t[width - 1] >= np.sqrt(10.0) * noise:
                width -= 1
            out[f, 1] = width


@kernel
def _log_ratios(ref: Array, test: Array, out: Array) -> None:
    """out[0] = ln(test / ref) of the lower bins, 0 where either is 0; out[1] = its first half."""
    n = out.shape[2]
    scratch = np.empty(n, np.int64)
    for f in range(ref.shape[0]):
        r, t, d = ref[f, :n], test[f, :n], out[0, f]
        for k in range(n):
            d[k] = t[k] / r[k] if r[k] > LEAST and t[k] > LEAST else 1.0
        logarithms(d, scratch)
        for k in range(n // 2):
            out[1, f, k] = d[k]


@kernel
def _normalise(correlation: Array, ratio: Array, window: Array) -> None:
    """Products of a run of ratios with a later one, over the norms of both; their mean removed, and windowed."""
    n = window.size
    norms = np.empty(n)
    for f in range(ratio.shape[0]):
        c, d = correlation[f], ratio[f]
        total = 0.0
        for k in range(n - 1, -1, -1):
            total += d[k] * d[k]
            norms[k] = total
        here, total = norms[0], 0.0
        for k in range(1, n):
            total += d[n + k - 1] * d[n + k - 1]
            norms[k] += total
        mean = 0.0
        for k in range(n):
            norm = here * norms[k]
            c[k] = min(max(c[k] / np.sqrt(norm), -1.0), 1.0) if norm > 0 else 0.0
            mean += c[k]
        for k in range(n):
            c[k] = (c[k] - mean / n) * window[k]
