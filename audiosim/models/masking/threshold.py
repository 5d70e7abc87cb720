"""Global masking threshold of psychoacoustic model 1 of MPEG-1 audio (ISO/IEC 11172-3:1993, annex D, section D.1), and
the loss that Zhen, Lee, Sung, Beack and Kim 2020 (IEEE Signal Processing Letters 27, arXiv 2101.00054) made of it.

The model is defined at 32, 44.1 and 48 kHz, by tables. Those of critical-band rate and threshold in quiet are the two
formulas below to their last digit, so these serve at every rate; frames are 1024 samples at the three rates, as in
layer II, and 18 to 36 ms long at others. Critical bands end where the rate passes whole Bark: that is within one line
of the tables below line 100 and within four above. At 32 kHz the tables end at 15 kHz, here at half the rate. Left out
is what belongs to a coder: levels of scale factors, and the minimum over a subband.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.elementary import exponentials, logarithms
from ...engine.fold import BLOCK, Measure
from ...engine.frames import STFT
from ...engine.kernel import exact_kernel, kernel
from ...engine.transposes import Objective
from ...errors import UsageError

Array = NDArray[Any]

FRAME = 0.0255  # seconds: the power of two nearest to it is 1024 at 32, 44.1 and 48 kHz
HIGHEST = 20250.0  # Hz: the last line of the tables
QUIET_MOST = 68.0  # dB SPL: where the tables end the threshold in quiet
# Spectral lines in which thresholds are found: up to line 48 all, then to 96, 192 and the highest one in 2, 4 and 8
STEPS = ((48, 1), (96, 2), (192, 4), (1 << 30, 8))
# A tonal line exceeds those at up to so many lines on either side; up to line 62, 126, 254, and beyond
REACH = ((62, 2), (126, 3), (254, 6), (1 << 30, 12))
LINES = 512  # of a frame of the standard: what sums over lines are divided by, at every rate
PROMINENT = 10**0.7  # by 7 dB
APART = 0.5  # Bark: of tonal maskers that are nearer, the stronger stays
BELOW, ABOVE = 3.0, 8.0  # Bark, how far a masker masks
_DB = float(np.log(10.0) / 10)


def bark(hz: Array) -> Array:
    """Critical-band rate of frequencies in Hz (Zwicker and Terhardt 1980, JASA 68, 1523-1525)."""
    result: Array = 13 * np.arctan(0.76e-3 * hz) + 3.5 * np.arctan((hz / 7500) ** 2)
    return result


def threshold_in_quiet(hz: Array) -> Array:
    """dB SPL of frequencies in Hz (Terhardt 1979, Hearing Research 1, 155-182), at most 10000 dB."""
    f = np.maximum(hz, 1e-3) / 1000
    result: Array = np.minimum(3.64 * f**-0.8 - 6.5 * np.exp(-0.6 * (f - 3.3) ** 2) + 1e-3 * f**4, 1e4)
    return result


@dataclass(frozen=True, slots=True, eq=False)
class MaskingModel:
    """What of the model does not depend on samples, at one rate and level.

    stft: Hann frames, three quarters overlapping. gain: from |X|^2 to intensity, 1 being that at 0 dB SPL.
    bark: [bin]. quiet: [bin] threshold in quiet, intensity. reach: [bin] lines that a tonal one exceeds, on either
        side; 0 where none can be.
    edges: [band + 1] bins that part the critical bands. centres: [band] the bins nearest to their geometric means.
    lines: [line] bins in which thresholds are found. line: [bin] the nearest of these.
    """

    stft: STFT
    gain: float
    bark: Array
    quiet: Array
    reach: Array
    edges: Array
    centres: Array
    lines: Array
    line: Array

    @classmethod
    def of(cls, rate: int, level: float) -> MaskingModel:
        """level: dB SPL of a full-scale sine. UsageError for a rate that is too low."""
        if rate < 4000:
            raise UsageError(f"the masking threshold needs a rate of at least 4000 Hz, not {rate}")
        return _model(rate, float(level))

    def masks(self, spectra: Array) -> tuple[Array, Array]:
        """What complex spectra [frame, bin] mask: weights lg(p / m + 1) and inverse thresholds 1 / m, float64 [frame,
        bin], p the intensity and m the global masking threshold. Both are 0 in bin 0, which is not heard."""
        weights, inverse = np.empty(spectra.shape), np.empty(spectra.shape)
        z = np.ascontiguousarray(spectra).view(spectra.real.dtype)
        tables = (self.bark, self.quiet, self.reach, self.edges, self.centres, self.lines, self.line)
        _masks(z, self.gain, *tables, weights, inverse)
        return weights, inverse

    def masks_of(self, x: Array) -> Array:
        """The same for samples x [sample]: [2, frame, bin]."""
        count = self.stft.count(x.size)
        size = max(1, min(256, BLOCK // self.stft.n_fft))
        stream = engine.stream.plain(x)
        cut = engine.fold.cutter(stream, stream, self.stft, size)
        out = np.empty((2, count, self.stft.bins))
        for frame in range(0, count, size):
            rows = min(size, count - frame)
            out[:, frame : frame + rows] = self.masks(cut(frame, rows)[0])
        return out

    def measure(self, noise: float, gradient: bool = False) -> Measure:
        """Of spectra of the reference and of the error, test - reference, two terms: the sum over bins of w d^2 / 512,
        d the difference of magnitudes, and noise times what the error exceeds the threshold by, in the bin of its
        maximum. gradient as engine.transposes.Objective's."""
        scale = self.gain / LINES

        def measure(spectra: Array, edges: Array, out: Array) -> None:
            weights, inverse = self.masks(spectra[0])
            z = spectra.view(spectra.real.dtype)
            masked_error(z[0], z[1], scale * weights, noise, self.gain * inverse, edges, out)
            if gradient:
                masked_error_slope(z[0], z[1], scale * weights, noise, self.gain * inverse)

        return measure

    def objective(self, noise: float) -> Objective:
        """The mean over frames of both terms with its gradient with respect to the error, as kernels."""

        def finish(sums: Array, frames: int) -> tuple[float, list[float]]:
            return float(sums.sum()) / frames, [1 / frames]

        def measure(_: Any, gradient: bool) -> Measure:
            return self.measure(noise, gradient)

        def named(sums: Array, frames: int) -> dict[str, Array]:
            return {"priority": sums[:, 0] / frames, "excess": sums[:, 1] / frames}

        return Objective(self.stft, self.stft.bins, 2, 1, measure, finish, named)


@lru_cache(maxsize=16)
def _model(rate: int, level: float) -> MaskingModel:
    n = 1 << round(np.log2(FRAME * rate))
    stft = STFT.of(n, n // 4, pad="zero")
    hz = stft.frequencies(rate)
    z = bark(hz)
    bins = np.arange(stft.bins)
    reach = np.select([bins <= last for last, _ in REACH], [lines for _, lines in REACH])
    reach[(bins < 3) | (bins + reach >= stft.bins)] = 0
    bands = np.floor(z).astype(int)
    edges = np.unique(np.concatenate([[1], np.flatnonzero(np.diff(bands)) + 1, [stft.bins]]))
    centres = [round(float(np.exp(np.log(bins[a:b]).mean()))) for a, b in pairwise(edges)]
    top = min(stft.bins - 1, int(HIGHEST * n / rate))
    lines: list[int] = []
    for last, step in STEPS:
        lines += range((lines[-1] if lines else 0) + step, min(last, top) + 1, step)
    nearest = np.abs(bins[:, None] - np.array(lines)).argmin(axis=1)
    return MaskingModel(
        stft,
        10 ** (level / 10) / (stft.window.sum() / 2) ** 2,
        z,
        10 ** (np.minimum(threshold_in_quiet(hz), QUIET_MOST) / 10),
        reach,
        edges,
        np.array(centres),
        np.array(lines),
        nearest,
    )


@exact_kernel
def _masks(
    spectra: Array,
    gain: float,
    z: Array,
    quiet: Array,
    reach: Array,
    edges: Array,
    centres: Array,
    lines: Array,
    line: Array,
    weights: Array,
    inverse: Array,
) -> None:
    """MaskingModel.masks of pairs of reals [frame, 2 bin]."""
    bins = z.size
    power = np.empty(bins)
    most = bins + centres.size
    places = np.empty(most, np.int64)
    levels = np.empty(most)
    found = np.empty(lines.size)
    scratch = np.empty(bins, np.int64)
    at_lines = z[lines]
    quiet_at_lines = quiet[lines]
    for f in range(spectra.shape[0]):
        x = spectra[f]
        for k in range(bins):
            re = np.float64(x[2 * k])
            im = np.float64(x[2 * k + 1])
            power[k] = gain * (re * re + im * im)
        tonal, count = _maskers(power, z, quiet, reach, edges, centres, places, levels)
        _individual(places, levels, tonal, count, z, at_lines, quiet_at_lines, found, scratch)
        w = weights[f]
        v = inverse[f]
        v[0] = 0.0
        for k in range(1, bins):
            v[k] = 1.0 / found[line[k]]
        for k in range(bins):
            w[k] = 1.0 + power[k] * v[k]
        logarithms(w, scratch)
        for k in range(bins):
            w[k] /= 10.0 * _DB


@exact_kernel
def _maskers(
    power: Array, z: Array, quiet: Array, reach: Array, edges: Array, centres: Array, places: Array, levels: Array
) -> tuple[int, int]:
    """Steps 4 and 5: places and levels (intensities) of the maskers that count: the tonal ones up to a number that is
    returned, then the others up to the second one."""
    rest = power.copy()
    count = 0
    for k in range(3, power.size - 1):
        if reach[k] == 0 or power[k] <= power[k - 1] or power[k] < power[k + 1]:
            continue
        tonal = True
        for j in range(2, reach[k] + 1):
            if power[k] < PROMINENT * power[k - j] or power[k] < PROMINENT * power[k + j]:
                tonal = False
                break
        if not tonal:
            continue
        rest[k - reach[k] : k + reach[k] + 1] = 0.0
        level = power[k - 1] + power[k] + power[k + 1]
        if level < quiet[k]:
            continue
        if count > 0 and z[k] - z[places[count - 1]] < APART:
            if level <= levels[count - 1]:
                continue
            count -= 1
        places[count] = k
        levels[count] = level
        count += 1
    tones = count
    for b in range(centres.size):
        level = 0.0
        for k in range(edges[b], edges[b + 1]):
            level += rest[k]
        if level >= quiet[centres[b]]:
            places[count] = centres[b]
            levels[count] = level
            count += 1
    return tones, count


@exact_kernel
def _individual(
    places: Array, levels: Array, tonal: int, count: int, z: Array, lines: Array, quiet: Array, out: Array, logs: Array
) -> None:
    """Steps 6 and 7: out = quiet and what each masker adds to it, intensities in lines at these critical-band rates."""
    out[:] = quiet
    part = np.empty(lines.size)
    for i in range(count):
        at = z[places[i]]
        level = np.log(levels[i]) / _DB
        index = -6.025 - 0.275 * at if i < tonal else -2.025 - 0.175 * at
        first = np.searchsorted(lines, at - BELOW)
        last = np.searchsorted(lines, at + ABOVE)
        steep = 0.4 * level + 6.0
        flat = 17.0 - 0.15 * level
        these = part[: last - first]
        for n in range(these.size):
            dz = lines[first + n] - at
            lower = 17.0 * min(dz + 1.0, 0.0) + steep * max(min(dz, 0.0), -1.0)
            upper = 17.0 * min(max(dz, 0.0), 1.0) + flat * max(dz - 1.0, 0.0)
            these[n] = _DB * (level + index + lower - upper)
        exponentials(these, logs[: these.size])
        for n in range(these.size):
            out[first + n] += these[n]


@kernel
def masked_error(
    ref: Array, error: Array, weights: Array, noise: float, inverse: Array, edges: Array, out: Array
) -> None:
    """Terms of MaskingModel.measure: ref, error pairs of reals [frame, 2 bin]; weights, of squared differences, and
    inverse thresholds, of |error|^2 [frame, bin]; edges [range + 1]; out [frame, range, term], float64."""
    for f in range(ref.shape[0]):
        x = ref[f]
        e = error[f]
        highest = 0.0
        where = -1
        for r in range(edges.size - 1):
            total = 0.0
            for k in range(edges[r], edges[r + 1]):
                d, square = _difference(x, e, k)
                total += weights[f, k] * d * d
                ratio = square * inverse[f, k] - 1.0
                if ratio > highest:
                    highest = ratio
                    where = r
            out[f, r, 0] = total
            out[f, r, 1] = 0.0
        if where >= 0:
            out[f, where, 1] = noise * highest


@kernel
def _difference(x: Array, e: Array, k: int) -> tuple[float, float]:
    """|x + e| - |x|, without the cancellation of two numbers that are nearly equal, and |e|^2."""
    a = np.float64(x[2 * k])
    b = np.float64(x[2 * k + 1])
    c = np.float64(e[2 * k])
    d = np.float64(e[2 * k + 1])
    square = c * c + d * d
    both = np.sqrt(a * a + b * b) + np.sqrt((a + c) * (a + c) + (b + d) * (b + d))
    return ((2.0 * (a * c + b * d) + square) / both if both > 0.0 else 0.0), square


@kernel
def masked_error_slope(ref: Array, error: Array, weights: Array, noise: float, inverse: Array) -> None:
    """The gradient of both terms together with respect to error, which it replaces. Arguments as in masked_error."""
    for f in range(ref.shape[0]):
        x = ref[f]
        e = error[f]
        highest = 0.0
        where = -1
        for k in range(weights.shape[1]):
            difference, square = _difference(x, e, k)
            ratio = square * inverse[f, k] - 1.0
            if ratio > highest:
                highest = ratio
                where = k
        at = max(where, 0)
        re = np.float64(e[2 * at])
        im = np.float64(e[2 * at + 1])
        for k in range(weights.shape[1]):
            difference, square = _difference(x, e, k)
            c = np.float64(x[2 * k]) + np.float64(e[2 * k])
            d = np.float64(x[2 * k + 1]) + np.float64(e[2 * k + 1])
            modulus = np.sqrt(c * c + d * d)
            slope = 2.0 * weights[f, k] * difference / modulus if modulus > 0.0 else 0.0
            e[2 * k] = slope * c
            e[2 * k + 1] = slope * d
        if where >= 0:
            e[2 * at] += 2.0 * noise * inverse[f, at] * re
            e[2 * at + 1] += 2.0 * noise * inverse[f, at] * im


@cache
def masks_torch() -> Callable[[Any, int, float], Any]:
    """MaskingModel.masks_of as an operator on tensors: (x [item, sample], rate, level) -> [item, 2, frame, bin] of x's
    dtype and device, without gradient. It runs on the CPU, on detached samples: which lines are maskers has no slope.
    """
    import torch
    from torch.library import custom_op

    def value(x: Any, rate: int, level: float) -> Any:
        model = MaskingModel.of(rate, level)
        samples = x.detach().cpu().contiguous().numpy()
        return torch.from_numpy(np.stack([model.masks_of(y) for y in samples])).to(x)

    def fake(x: Any, rate: int, level: float) -> Any:
        stft = MaskingModel.of(rate, level).stft
        return x.new_empty((x.shape[0], 2, stft.count(x.shape[1]), stft.bins))

    schema = "(Tensor x, int rate, float level) -> Tensor"
    operator: Any = custom_op("audiosim::masks", value, mutates_args=(), schema=schema)
    operator.register_fake(fake)
    return lambda x, rate, level: operator(x.detach(), rate, level)
