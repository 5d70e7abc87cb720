"""Loudness by Zwicker's method, of stationary and of time-varying sounds: ISO 532-1:2017.

Sound at 48 kHz passes third-octave filters; critical bands of what they let through give the core loudness, which
decays slowly where the sound ends and has slopes towards higher bands: specific loudness, whose sum over 24 Bark is the
loudness. Tables A.1 to A.9 of the standard lie in audiosim/tables.

Levels are held as intensities in units of that of 0 dB, so that no logarithm is taken: tables of levels are turned into
factors. The standard rounds N to three digits or two, here it is not rounded; its tables end at 120 dB in the bands up
to 250 Hz, beyond which the last range goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..engine.frames import STFT
from ..engine.kernel import exact_kernel, kernel
from ..errors import UsageError

Array = NDArray[Any]
Field = Literal["free", "diffuse"]  # the sound field that the listener is in

RATE = 48000  # Hz
STEP = 24  # samples between values of the core loudness, 0.5 ms
EVERY = 4  # steps between values of the loudness, 2 ms
BANDS, CRITICAL = 28, 20  # third octaves, critical bands
LOW, RANGES = 11, 8  # third octaves whose weight depends on the range of their level, ranges
SECTIONS = (1, 2, 1), (1, 0, -1), (1, -2, 1)  # numerators of the filters
CELLS, CELL = 240, 0.1  # of specific loudness, and Bark of each
INTERVAL = STEP * EVERY / RATE  # seconds between values of the loudness

FINER = 24  # parts of a step in which core loudness is interpolated
SHORT, LONG, VARIABLE = 0.005, 0.015, 0.075  # seconds, time constants of the decay
WEIGHTS = (0.47, 0.0035), (0.53, 0.07)  # share and time constant in seconds of the two parts of the loudness
QUIET = 1e-150  # what is less is zero: numbers too small for the processor's fast path


@dataclass(frozen=True, slots=True, eq=False)
class Tables:
    """The standard's tables as factors of intensities, for one sound field.

    limits, factors [range, low band]: intensity up to which a range goes, and the weight of intensities in it.
    sensitivity [band]: from the intensity in a critical band to that over the one at the threshold in quiet.
    narrow [band]: from third octave to critical band. scale [band]: sone/Bark.
    edges [band + 1]: upper ends in Bark, the last one 24. ranges [18], slopes [18, 8]: table A.9.
    """

    limits: Array
    factors: Array
    sensitivity: Array
    narrow: Array
    scale: Array
    edges: Array
    ranges: Array
    slopes: Array

    @classmethod
    def of(cls, field: Field) -> Tables:
        return _tables(field)

    def core(self, power: Array) -> Array:
        """Core loudness [.., 20] in sone/Bark of intensities [.., 28]."""
        out = np.empty((*power.shape[:-1], CRITICAL))
        tables = self.limits, self.factors, self.sensitivity, self.narrow, self.scale
        core_loudness(power.reshape(-1, BANDS), *tables, out.reshape(-1, CRITICAL))
        return out

    def spread(self, core: Array, every: int, specific: Array) -> Array:
        """Loudness [frame] of core loudness [frame, 20]; specific loudness [*, 240] of every so manyth frame is written
        to specific, unless that is empty."""
        out = np.empty(len(core))
        spread_loudness(core, self.edges, self.ranges, self.slopes, every, out, specific)
        return out


@lru_cache(maxsize=2)
def _tables(field: Field) -> Tables:
    low, bands, slopes = (_table(f"iso532_1_{name}.csv") for name in ("low", "bands", "slopes"))
    edge, threshold, attenuation, diffuse, narrower = bands.T
    ear = (diffuse if field == "diffuse" else 0.0) - attenuation
    return Tables(
        limits=_factor(low[:, :1] - low[:, 1:]),
        factors=_factor(low[:, 1:]),
        sensitivity=_factor(ear - threshold),
        narrow=_factor(-narrower),
        scale=0.0635 * _factor(threshold / 4),
        edges=np.append(edge, 24.0),
        ranges=slopes[:, 0].copy(),
        slopes=slopes[:, 1:].copy(),
    )


@cache
def _table(name: str) -> Array:
    with resources.files("audiosim.tables").joinpath(name).open() as lines:
        table: Array = np.loadtxt(lines, delimiter=",", skiprows=3)
    return table


def _factor(db: Any) -> Array:
    result: Array = 10 ** (np.asarray(db, dtype=np.float64) / 10)
    return result


def filters() -> tuple[Array, Array]:
    """Third-octave filters: gain [28], and a1, a2 [28, 3, 2] of their sections, whose b are SECTIONS."""
    table = _table("iso532_1_filters.csv")
    return table[:, 0], np.array([-2.0, 1.0]) - table[:, 1:].reshape(BANDS, 3, 2)


def centres() -> Array:
    """Hz [28], of the third octaves."""
    return 1000 * _factor(np.arange(BANDS) - 16)


def hertz(bark: Any) -> Array:
    """Frequency of a critical-band rate: critical bands end where third octaves do, 24 Bark is 15.5 kHz."""
    octaves = 1000 * _factor(np.array([-10.5, -7.5, -5.5, *np.arange(-4.5, 12.5)]))
    result: Array = np.interp(bark, np.append(0.0, _tables("free").edges), [0.0, *octaves, 15500.0])
    return result


def frequencies() -> Array:
    """Hz [240], of the middles of the cells of specific loudness."""
    return hertz(CELL * (np.arange(CELLS) + 0.5))


def phon(sone: float) -> float:
    """Loudness level of a loudness; 3 phon or more."""
    if sone >= 1:
        return float(40 + 10 * np.log2(sone))
    return max(3.0, float(40 * (sone + 0.0005) ** 0.35))


def of_levels(levels: ArrayLike, field: Field = "free") -> tuple[float, Array]:
    """Loudness in sone and specific loudness [240] in sone/Bark, at 0.1, 0.2 .. 24 Bark, of a stationary sound.

    levels: [28] in dB SPL, of the third octaves from 25 Hz to 12.5 kHz; UsageError for another number of them.
    """
    level = np.asarray(levels, dtype=np.float64)
    if level.shape != (BANDS,):
        raise UsageError(f"there are {BANDS} third-octave levels, 25 Hz to 12.5 kHz, not {level.shape}")
    return _of_powers(_factor(level), Tables.of(field))


def _of_powers(power: Array, tables: Tables) -> tuple[float, Array]:
    specific = np.empty((1, CELLS))
    loudness = tables.spread(tables.core(power[None]), 1, specific)
    return float(loudness[0]), specific[0]


def stationary(x: Array, level: float = 100.0, field: Field = "free") -> tuple[float, Array]:
    """As of_levels, of x [sample] at 48 kHz; level: dB SPL of a full-scale sine.

    The levels are those over all of x; the filters start at rest, as the standard's do where it skips nothing.
    """
    ear = _ThirdOctaves(level, smooth=False)
    power = np.zeros(BANDS)
    for start in range(0, x.size, RATE):
        block = x[start : start + RATE]
        power += block.size * ear.hear(block)[0]
    return _of_powers(power / max(x.size, 1), Tables.of(field))


class Listener:
    """Time-varying loudness of a recording at 48 kHz, heard block by block.

    level: dB SPL of a full-scale sine.
    """

    def __init__(self, level: float = 100.0, field: Field = "free") -> None:
        self.tables = Tables.of(field)
        self.filters = _ThirdOctaves(level, smooth=True)
        self.decay = np.zeros(3 * CRITICAL)
        self.weighted = np.zeros(1 + len(WEIGHTS))
        self.started = False

    def hear(self, x: Array, specific: bool = True) -> tuple[Array, Array]:
        """Loudness [frame] in sone and specific loudness [frame, 240] in sone/Bark (empty unless wanted), at every 96th
        sample of x [sample] from the first on. All blocks but the last are multiples of 96 samples long."""
        core = self.tables.core(self.filters.hear(x))
        decayed(core, _decay(), self.decay, self.started)
        cells = np.empty((-(-len(core) // EVERY) if specific else 0, CELLS))
        loudness = self.tables.spread(core, EVERY, cells)
        temporally_weighted(loudness, _temporal(), self.weighted, self.started)
        self.started = self.started or len(core) > 0
        return loudness[::EVERY], cells


class _ThirdOctaves:
    """Intensities in the third octaves, of blocks of one recording."""

    def __init__(self, level: float, smooth: bool) -> None:
        full_scale = 2 * 10 ** (level / 10)  # intensity of a constant 1
        gain, poles = filters()
        self.state = np.zeros(_END)
        for row, values in enumerate((gain**2 * full_scale, *poles.reshape(BANDS, 6).T, _leak())):
            self.state[row * LANES : row * LANES + BANDS] = values
        self.smooth = smooth

    def hear(self, x: Array) -> Array:
        """[step, band] at every 24th sample from the first on, smoothed; without smoothing the mean of x [1, band]."""
        if self.smooth:
            out = np.empty((-(-x.size // STEP), BANDS))
            third_octaves(x, self.state, out)
            return out
        self.state[_SUM : _SUM + BANDS] = 0.0
        third_octaves(x, self.state, np.empty((0, BANDS)))
        mean: Array = self.state[_SUM : _SUM + BANDS] / x.size
        return mean[None]


@cache
def _leak() -> Array:
    """Of the three smoothers in each band [28]."""
    result: Array = np.exp(-np.minimum(centres(), 1000.0) * 1.5 / RATE)
    return result


@cache
def _decay() -> tuple[float, ...]:
    """Of the network that lets core loudness decay, per part of a step: weights of its output and of its memory in the
    next memory and output while the output is above the memory, and what remains of the output once it is not, and of
    the difference between memory and input."""
    rate = RATE / STEP * FINER
    p, q = (VARIABLE + LONG) / (VARIABLE * SHORT), 1 / (SHORT * VARIABLE)
    poles = -p / 2 + np.array([1, -1]) * np.sqrt(p * p / 4 - q)
    (slow, fast), (e, f) = VARIABLE * poles + 1, np.exp(poles / rate)
    below = VARIABLE * (poles[0] - poles[1])
    constants = (
        *((e - f) / below, (fast * e - slow * f) / below, (slow * e - fast * f) / below, slow * fast * (e - f) / below),
        *(np.exp(-1 / (rate * LONG)), np.exp(-1 / (rate * VARIABLE))),
    )
    return tuple(map(float, constants))


@cache
def _temporal() -> Array:
    """Of two one-pole filters that see the loudness interpolated in parts of a step [filter, 5]: share, weight of the
    first value; per step, of the last output, the last value and this one."""
    rows = []
    part = np.arange(1, FINER + 1) / FINER
    for share, seconds in WEIGHTS:
        leak = np.exp(-STEP / (RATE * FINER * seconds))
        each = (1 - leak) * leak ** (FINER - 1 - np.arange(FINER))
        rows.append([share, 1 - leak, leak**FINER, each @ (1 - part), each @ part])
    return np.array(rows)


# Rows of the filters' state, one after the other so that compilers see that they do not overlap.
LANES = 32  # of a row: the bands, and some more without gain
_GAIN, _A, _LEAK, _S, _POWER, _FIRST, _SECOND, _THIRD, _SUM, _END = (
    LANES * row for row in (0, 1, 7, 8, 14, 15, 16, 17, 18, 19)
)


@exact_kernel
def third_octaves(x: Array, state: Array, out: Array) -> None:
    """out [step, band]: smoothed intensities at every 24th sample; without out, sums of the plain ones in the state."""
    for n in range(x.size):
        v = float(x[n])
        if _AT_ONCE:
            _filter(state, _EVERY_BAND, v)
            _smooth(state, _EVERY_BAND)
        else:
            for k in range(LANES):
                _filter(state, k, v)
            for k in range(LANES):
                _smooth(state, k)
        if n % STEP == 0:
            for k in range(_S, _SUM):
                if abs(state[k]) < QUIET:
                    state[k] = 0.0
            if len(out):
                for k in range(BANDS):
                    out[n // STEP, k] = state[_THIRD + k]


class _EveryBand:
    """Stands for the index of a band where all are meant: at + every band is the row of the state that begins there."""

    def __radd__(self, at: int) -> slice:
        return slice(at, at + LANES)


_EVERY_BAND = _EveryBand()
_AT_ONCE = bool(numba.config.DISABLE_JIT)  # one by one they would take plain Python minutes


# Each small enough to be inlined, without which nothing would be done to several bands at once.


@exact_kernel
def _filter(state: Array, k: Any, x: Any) -> None:
    """Band k by one sample: three sections in transposed direct form II."""
    y = x + state[_S + k]
    state[_S + k] = 2 * x - state[_A + k] * y + state[_S + LANES + k]
    state[_S + LANES + k] = x - state[_A + LANES + k] * y
    z = y + state[_S + 2 * LANES + k]
    state[_S + 2 * LANES + k] = state[_S + 3 * LANES + k] - state[_A + 2 * LANES + k] * z
    state[_S + 3 * LANES + k] = -y - state[_A + 3 * LANES + k] * z
    y = z + state[_S + 4 * LANES + k]
    state[_S + 4 * LANES + k] = state[_S + 5 * LANES + k] - 2 * z - state[_A + 4 * LANES + k] * y
    state[_S + 5 * LANES + k] = z - state[_A + 5 * LANES + k] * y
    state[_POWER + k] = state[_GAIN + k] * y * y


@exact_kernel
def _smooth(state: Array, k: Any) -> None:
    """Three one-poles over the power."""
    leak = state[_LEAK + k]
    power = state[_POWER + k]
    state[_SUM + k] += power
    power += leak * (state[_FIRST + k] - power)
    state[_FIRST + k] = power
    power += leak * (state[_SECOND + k] - power)
    state[_SECOND + k] = power
    power += leak * (state[_THIRD + k] - power)
    state[_THIRD + k] = power


@kernel
def core_loudness(
    power: Array, limits: Array, factors: Array, sensitivity: Array, narrow: Array, scale: Array, out: Array
) -> None:
    """out [step, 20] in sone/Bark of intensities [step, 28]; other arguments as in Tables."""
    for t in range(len(power)):
        for k in range(3):
            out[t, k] = 0.0
        for i in range(LOW):
            r = 0
            while r < RANGES - 1 and power[t, i] > limits[r, i]:
                r += 1
            out[t, 0 if i < 6 else 1 if i < 9 else 2] += factors[r, i] * power[t, i]
        for k in range(3, CRITICAL):
            out[t, k] = power[t, k + BANDS - CRITICAL]
        for k in range(CRITICAL):
            heard = sensitivity[k] * out[t, k]
            core = scale[k] * (np.sqrt(np.sqrt(0.75 + 0.25 * narrow[k] * heard)) - 1)
            out[t, k] = core if heard > 1 and core > 0 else 0.0
        lowest = 0.4 + 0.32 * out[t, 0] ** 0.2
        if lowest < 1:
            out[t, 0] *= lowest


_INPUT, _OUTPUT, _MEMORY = 0, CRITICAL, 2 * CRITICAL


@exact_kernel
def decayed(core: Array, constants: tuple[float, ...], state: Array, started: bool) -> None:
    """Core loudness [step, 20] with its decay, in place: it follows a rise at once, and falls in 5 ms after a short
    sound, slower after a long one. The standard's network of two capacitors."""
    to_memory, memory_to_memory, to_output, memory_to_output, remains, forgets = constants
    for t in range(len(core)):
        parts = FINER if t or started else 1
        for part in range(FINER + 1 - parts, FINER + 1):
            position = part / FINER
            for k in range(CRITICAL):
                before = state[_INPUT + k]
                sound = before + position * (core[t, k] - before) if part < FINER else core[t, k]
                output = state[_OUTPUT + k]
                memory = state[_MEMORY + k]
                free = output * to_output - memory * memory_to_output if output > memory else output * remains
                falling = sound < output
                new = free if falling and free > sound else sound
                drained = output * to_memory - memory * memory_to_memory
                charged = sound + forgets * (memory - sound)
                level = abs(sound - output) < 1e-5 and sound <= memory
                drained = drained if output > memory and drained < new else new
                charged = sound if level else charged
                state[_MEMORY + k] = drained if falling else charged
                state[_OUTPUT + k] = new
        for k in range(CRITICAL):
            state[_INPUT + k] = core[t, k]
            if state[_OUTPUT + k] < QUIET:
                state[_OUTPUT + k] = state[_MEMORY + k] = 0.0
            core[t, k] = state[_OUTPUT + k]


@exact_kernel
def spread_loudness(
    core: Array, edges: Array, ranges: Array, slopes: Array, every: int, loudness: Array, specific: Array
) -> None:
    """Loudness [step] of core loudness [step, 20] with its slopes towards higher bands, and specific loudness [*, 240]
    of every so manyth step."""
    for t in range(len(core)):
        row = t // every if t % every == 0 and len(specific) else -1
        total = 0.0
        z = n = 0.0  # how far it goes, Bark, and specific loudness there
        r = len(ranges) - 1
        cell = 0
        for k in range(CRITICAL + 1):
            target = core[t, k] if k < CRITICAL else 0.0
            while z < edges[k]:
                start, above, slope = z, n, 0.0
                if n <= target:
                    if n < target:
                        r = 0
                        while r < len(ranges) - 1 and ranges[r] > target:
                            r += 1
                    z = edges[k]
                    n = above = target
                else:
                    slope = slopes[r, min(max(k - 1, 0), slopes.shape[1] - 1)]
                    n = max(ranges[r], target)
                    z = start + (above - n) / slope
                    if z > edges[k]:
                        z = edges[k]
                        n = above - (z - start) * slope
                total += (z - start) * (above + n) / 2
                while row >= 0 and cell < CELLS and cell + 1 <= 10 * z + 1e-6:
                    cell += 1
                    specific[row, cell - 1] = above - (cell / 10 - start) * slope
                while r < len(ranges) - 1 and n <= ranges[r]:
                    r += 1
        loudness[t] = total


@exact_kernel
def temporally_weighted(loudness: Array, constants: Array, state: Array, started: bool) -> None:
    """Loudness [step] as heard with some delay, in place."""
    for t in range(len(loudness)):
        now = loudness[t]
        total = 0.0
        for i in range(len(constants)):
            if t or started:
                y = constants[i, 2] * state[1 + i] + constants[i, 3] * state[0] + constants[i, 4] * now
            else:
                y = constants[i, 1] * now
            state[1 + i] = y if y > QUIET else 0.0
            total += constants[i, 0] * y
        state[0] = now
        loudness[t] = total


FRAME, HOP = 2048, 1024  # samples of the frames of the surrogate
SOFTNESS = 1.0  # dB, within which one range of levels passes into the next there


def core_torch(level: float, field: Field, whole: bool) -> Callable[[Any], Any]:
    """x [item, sample] at 48 kHz -> core loudness [item, frame, 20] in sone, of half overlapping Hann frames of 43 ms.

    No decay and no slopes; the ranges of low-frequency correction pass into each other, and loudness is continuous at
    the threshold. whole: one frame, of the mean power of all. Other arguments as in Listener.
    """
    import torch

    from ..engine.tensors import Constant, power, product, spectra

    tables = Tables.of(field)
    stft = STFT.of(FRAME, HOP, pad="zero")
    transform = spectra(stft)
    response = np.abs(_responses(stft.frequencies(RATE))) ** 2  # [bin, band]
    response[1:-1] *= 2
    scale = 2 * 10 ** (level / 10) / (FRAME * np.sum(stft.window**2))
    pick = np.zeros((BANDS, CRITICAL))
    pick[np.arange(LOW), np.repeat([0, 1, 2], [6, 3, 2])] = 1
    pick[np.arange(LOW, BANDS), np.arange(3, CRITICAL)] = 1
    db = 10 * np.log10(tables.factors)
    bands, groups = Constant(scale * response), Constant(pick)
    sensitivity = Constant(tables.sensitivity * tables.narrow)
    first, steps, limits = Constant(db[0]), Constant(np.diff(db, axis=0)), Constant(10 * np.log10(tables.limits[:-1]))
    sones, widths = Constant(tables.scale), Constant(np.diff(tables.edges[:-1], prepend=0.0))

    def core(x: Any) -> Any:
        bins = power(transform(x), 0.0)
        if whole:
            bins = bins.mean(1, keepdim=True)
        third = product(bins, bands(bins))
        low, high = third[..., :LOW], third[..., LOW:]
        decibel = 10 * low.clamp(min=1e-3).log10()[..., None, :]
        passed = ((decibel - limits(low)) / SOFTNESS).sigmoid()
        correction = first(low) + (passed * steps(low)).sum(-2)
        heard = product(torch.cat([low * 10 ** (correction / 10), high], -1), groups(low))
        loudness = sones(heard) * ((0.75 + 0.25 * sensitivity(heard) * heard).sqrt().sqrt() - 1).clamp(min=0)
        lowest = loudness[..., :1]
        lowest = torch.minimum(lowest, 0.4 * lowest + 0.32 * lowest**1.2)
        return torch.cat([lowest, loudness[..., 1:]], -1) * widths(loudness)

    return core


def _responses(hz: Array) -> Array:
    """Of the third-octave filters, complex [frequency, band]."""
    gain, poles = filters()
    delay = np.exp(-2j * np.pi * hz / RATE)[:, None] ** np.arange(3)
    response = gain.astype(complex)[None]
    for section, b in enumerate(SECTIONS):
        a = np.hstack([np.ones((BANDS, 1)), poles[:, section]])
        response = response * (delay @ np.array(b, float))[:, None] / (delay @ a.T)
    return response
