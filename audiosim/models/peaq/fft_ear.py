"""From samples to excitation on the Bark scale: the FFT-based ear model of ITU-R BS.1387-1 (PEAQ), annex 2, 2.1.

Equations are those of the standard; where its text leaves room, it is read as by Kabal, "An examination and
interpretation of ITU-R BS.1387", McGill 2003. Energy 1 is that of 0 dB SPL.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.elementary import exponentials, logarithms
from ...engine.kernel import kernel
from ...hearing.scales import support
from ...hearing.weighting import middle_ear

Array = NDArray[Any]

RATE = 48000  # Hz, the only one that the standard knows
FRAME = 2048  # samples
HOP = 1024  # samples
STEP = 0.25  # Bark, width of a band in the basic version
COARSE_STEP = 0.5  # in the advanced version
LOWEST, HIGHEST = 80.0, 18000.0  # Hz, ends of the bands
FLOOR = 1e-12  # of the energy in a band
CALIBRATION = 1019.5  # Hz, of the sine that has the level
BETWEEN_BINS = 0.84971762641205  # gamma: peak of the window's transform for that sine at RATE, re its maximum
BLOCK = 32  # frames that are in work at a time
LOUD, RUN = 200 / 32768, 5  # sum of magnitudes of so many neighbours that makes a frame sound, not silence
LN10 = float(np.log(10.0))


def bark(hz: Any) -> Any:
    """Bark of a frequency in Hz (Schroeder; BS.1387 eq. 6)."""
    return 7 * np.arcsinh(np.asarray(hz) / 650)


def bark_inverse(z: Any) -> Any:
    """Hz of a Bark."""
    return 650 * np.sinh(np.asarray(z) / 7)


@dataclass(frozen=True, slots=True, eq=False)
class BarkEar:
    """The constants of the ear at a rate in Hz: [band] unless said otherwise.

    centres: Hz; edges: Hz [band + 1]. window: [sample]. gains: [bin], of power: calibration, outer and middle ear.
    overlaps: [band, bin], the share of a bin that a band takes, from starts to stops. noise: internal noise, energy.
    offset: what excitation is divided by to be the masking pattern.
    down: ln of the lower slope for one band; up: ln of the upper slope at 0 dB, and rise: by how much more for a factor
    of e in energy; below: area of the lower slope.
    unity: spread energy of energy 1 in all bands. decay: of the excitation, from frame to frame.
    """

    rate: int
    centres: Array
    edges: Array
    window: Array
    gains: Array
    overlaps: Array
    starts: Array
    stops: Array
    noise: Array
    offset: Array
    down: float
    up: Array
    rise: float
    below: Array
    unity: Array
    decay: Array

    @classmethod
    def of(cls, level: float = 92.0, step: float = STEP, rate: int = RATE) -> BarkEar:
        """level: dB SPL of a full-scale sine; step: width of a band, Bark; rate: of the samples, Hz."""
        return _ear(level, step, rate)

    @property
    def bands(self) -> int:
        return int(self.centres.size)

    def spread(self, energy: Array) -> Array:
        """Energies after internal noise [frame, band] -> spread over the bands: E2, the unsmeared excitation."""
        out = np.empty_like(energy)
        _spread(energy, self.down, self.up, self.rise, self.below, self.unity, out)
        return out


def decays(centres: Array, longest: float, shortest: float = 0.008, hop: int = HOP, rate: int = RATE) -> Array:
    """One-pole coefficients per frame [band]: longest seconds at 100 Hz, towards shortest at high frequencies
    (eq. 22)."""
    seconds = shortest + 100 / centres * (longest - shortest)
    result: Array = np.exp(-hop / (rate * seconds))
    return result


def internal_noise(hz: Array) -> Array:
    """Energy of the noise in a band about that frequency (eq. 13)."""
    result: Array = 10 ** (0.4 * 0.364 * (hz / 1000) ** -0.8)
    return result


@lru_cache(maxsize=4)
def _ear(level: float, step: float, rate: int) -> BarkEar:
    k = np.arange(FRAME)
    window = np.sqrt(8 / 3) * 0.5 * (1 - np.cos(2 * np.pi * k / (FRAME - 1)))
    scale = 10 ** (level / 10) / (8 / 3 * (_between_bins(rate) / 4 * (FRAME - 1)) ** 2)
    gains = scale * np.append(0.0, 10 ** (middle_ear(np.arange(1, FRAME // 2 + 1) * (rate / FRAME)) / 10))

    low, high = bark(LOWEST), bark(HIGHEST)
    z = np.append(np.arange(low, high, step), high)
    edges, centres = bark_inverse(z), bark_inverse((z[1:] + z[:-1]) / 2)
    bins = np.arange(FRAME // 2 + 1)
    e = edges[:, None] * (FRAME / rate)
    overlaps = np.clip(np.minimum(bins + 0.5, e[1:]) - np.maximum(bins - 0.5, e[:-1]), 0, 1)

    bands = centres.size
    number = np.arange(bands)
    down, up = -2.7 * step * LN10, (-2.4 - 23 / centres) * step * LN10
    below = (1 - np.exp(down * (number + 1))) / (1 - np.exp(down)) - 1
    ear = BarkEar(
        rate=rate,
        centres=centres,
        edges=edges,
        window=window,
        gains=gains,
        overlaps=overlaps,
        **dict(zip(("starts", "stops"), support(overlaps), strict=True)),
        noise=internal_noise(centres),
        offset=10 ** (np.maximum(3.0, 0.25 * step * number) / 10),
        down=down,
        up=up,
        rise=0.2 * step,
        below=below,
        unity=np.ones(bands),
        decay=decays(centres, 0.030, rate=rate),
    )
    ear.unity[:] = ear.spread(np.ones((1, bands)))[0]
    return ear


def _between_bins(rate: int) -> float:
    """gamma at a rate (Kabal, eq. 12)."""
    if rate == RATE:
        return BETWEEN_BINS
    bins = CALIBRATION * FRAME / rate
    away = abs(bins - round(bins)) * (FRAME - 1) / FRAME
    return float(np.sinc(away) / (1 - away**2))


def count(length: int) -> int:
    """Frames of so many samples, the last one filled up with zeros; 0 when they are fewer than a frame."""
    return (length - FRAME) // HOP + 2 if length >= FRAME else 0


def sounding(ref: Sequence[Array], test: Sequence[Array]) -> list[int]:
    """Numbers of the channels [sample] that are not silent in both."""
    return [c for c in range(len(ref)) if any(_first_loud(x[c], LOUD, RUN) >= 0 for x in (ref, test))]


def without_frames(length: int, rate: int = RATE) -> str:
    """Why a reference of so many samples has no frame that counts."""
    if length < FRAME:
        return f"too short: a frame takes {FRAME} samples at {rate} Hz, there are {length}"
    return "the reference is silent"


def data_boundary(ref: Sequence[Array], frame: int = FRAME, hop: int = HOP) -> tuple[int, int]:
    """First and one past the last frame in which any channel [sample] of the reference sounds; frames between them
    count, sounding or not. (0, 0) when there is none, or not one frame of the FFT."""
    length = len(ref[0])
    found = [(_first_loud(x, LOUD, RUN), _last_loud(x, LOUD, RUN)) for x in ref]
    found = [(a, b) for a, b in found if a >= 0]
    if not found or not count(length):
        return 0, 0
    begin, end = min(a for a, _ in found), max(b for _, b in found)
    most = -(-(length - frame) // hop) + 1 if frame == hop else count(length)
    return max(0, -((frame - RUN - begin) // hop)), min(most, end // hop + 1)


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Consecutive frames of one signal in the ear.

    power: [frame, bin], of the plain spectrum, uncalibrated. weighted: [frame, bin], after outer and middle ear.
    half: [frame], sum of the squared samples in the second half. spread: [frame, band], E2.
    excitation: [frame, band], smeared in time too. Buffers that the next block overwrites.
    """

    power: Array
    weighted: Array
    half: Array
    spread: Array
    excitation: Array


def listener(x: Array, ear: BarkEar, frames: int, excite: bool = True) -> Callable[[int, int], Block]:
    """(first frame, number of frames <= BLOCK) -> Block of the signal x [sample]; blocks must be asked for in order
    until there are so many frames, since excitation remembers. Without excite, spread and excitation stay empty."""
    cut, bins = np.empty((BLOCK, FRAME)), FRAME // 2 + 1
    power, weighted = np.empty((2, BLOCK, bins))
    half, grouped = np.empty(BLOCK), np.empty((1, BLOCK, ear.bands))
    excitation, memory = np.empty((BLOCK, ear.bands)), np.zeros(ear.bands)

    def excited(_: int, n: int) -> tuple[Array, Array]:
        energy = grouped[:, :n]
        engine.divergence.project(weighted[None, :n], ear.starts, ear.stops, ear.overlaps, energy)
        np.maximum(energy, FLOOR, out=energy)
        energy += ear.noise
        spread = ear.spread(energy[0])
        _smear(spread, ear.decay, memory, excitation)
        return spread, excitation[:n]

    if excite:
        patterns = engine.cache.recorded(x, ear, frames, ear.bands, 2, excited)

    def listen(first: int, n: int) -> Block:
        _cut(x, first * HOP, HOP, ear.window, cut[:n], half)
        _powers(engine.fft.rfft(cut[:n]).view(np.float64), ear.gains, power, weighted)
        nothing = excitation[:0]
        return Block(power[:n], weighted[:n], half[:n], *(patterns(first, n) if excite else (nothing, nothing)))

    return listen


def noise_to_mask(ref: Block, test: Block, ear: BarkEar, mean: Array, highest: Array, ratio: Array) -> None:
    """Energy of the difference of the magnitudes of the weighted spectra in each band, over the masking pattern of the
    reference (eq. 26, 70): its mean and its maximum over the bands [frame], and itself [frame, band], where it is not
    above the model's floor set to 0."""
    difference = np.empty((1, *ref.weighted.shape))
    _difference(ref.weighted, test.weighted, int(ear.stops[-1]), difference[0])
    engine.divergence.project(difference, ear.starts, ear.stops, ear.overlaps, ratio[None])
    _over_mask(ref.excitation, ear.offset, mean, highest, ratio)


@kernel
def add_up(values: Array, cuts: Array, out: Array) -> None:
    """Sums of values [frame, band] over the bands between cuts [part + 1] -> out [frame, part]."""
    for f in range(values.shape[0]):
        for p in range(out.shape[1]):
            total = 0.0
            for i in range(cuts[p], cuts[p + 1]):
                total += values[f, i]
            out[f, p] = total


@kernel
def _first_loud(x: Array, threshold: float, run: int) -> int:
    """First sample from which on a run of magnitudes adds up to the threshold; -1: none."""
    for i in range(x.size - run + 1):
        total = 0.0
        for j in range(i, i + run):
            total += abs(x[j])
        if total >= threshold:
            return i
    return -1


@kernel
def _last_loud(x: Array, threshold: float, run: int) -> int:
    """Last sample from which on a run of magnitudes adds up to the threshold; -1: none."""
    for i in range(x.size - run, -1, -1):
        total = 0.0
        for j in range(i, i + run):
            total += abs(x[j])
        if total >= threshold:
            return i
    return -1


@kernel
def _cut(x: Array, start: int, hop: int, window: Array, out: Array, half: Array) -> None:
    """out [frame, sample]: windowed frames from sample `start` on, zero beyond the end; half [frame]: sum of the
    squared samples in the second half of each."""
    for f in range(out.shape[0]):
        row = out[f]
        begin = min(start + f * hop, x.size)
        part = x[begin : begin + row.size]
        for i in range(part.size):
            row[i] = np.float64(part[i])
        row[part.size :] = 0
        energy = 0.0
        late = row[row.size // 2 :]
        for i in range(late.size):
            energy += late[i] * late[i]
        half[f] = energy
        for i in range(row.size):
            row[i] *= window[i]


@kernel
def _powers(spectra: Array, gains: Array, power: Array, weighted: Array) -> None:
    """re^2 + im^2 of pairs of reals [frame, 2 bin] -> power [frame, bin], and that times gains."""
    for f in range(spectra.shape[0]):
        z, p, w = spectra[f], power[f], weighted[f]
        for k in range(gains.size):
            v = z[2 * k] * z[2 * k] + z[2 * k + 1] * z[2 * k + 1]
            p[k] = v
            w[k] = v * gains[k]


@kernel
def _difference(ref: Array, test: Array, bins: int, out: Array) -> None:
    """(sqrt(test) - sqrt(ref))^2 of the first bins."""
    for f in range(ref.shape[0]):
        r, t, o = ref[f, :bins], test[f, :bins], out[f, :bins]
        for k in range(bins):
            d = np.sqrt(t[k]) - np.sqrt(r[k])
            o[k] = d * d


@kernel
def _over_mask(excitation: Array, offset: Array, mean: Array, highest: Array, ratio: Array) -> None:
    """As noise_to_mask, which says what it writes; ratio: on entry the energy of the difference."""
    bands = offset.size
    for f in range(ratio.shape[0]):
        total, worst = 0.0, 0.0
        for i in range(bands):
            noise = ratio[f, i]
            over = max(noise, FLOOR) * offset[i] / excitation[f, i]
            total += over
            worst = max(worst, over)
            ratio[f, i] = over if noise > FLOOR else 0.0
        mean[f] = total / bands
        highest[f] = worst


@kernel
def _spread(energy: Array, down: float, up: Array, rise: float, below: Array, unity: Array, out: Array) -> None:
    """Eq. 12 to 20: each band's energy, normalised to the area of its slopes, falls by e^down per band below it and by
    e^up energy^rise per band above it; contributions add up as powers of 0.4.

    energy, out: [frame, band], energy above 0.
    """
    bands = energy.shape[1]
    logarithm, area, slope, part, whole = np.empty((5, bands))
    scratch = np.empty(bands, np.int64)
    lower = np.exp(0.4 * down)
    for f in range(energy.shape[0]):
        for i in range(bands):
            logarithm[i] = energy[f, i]
        logarithms(logarithm, scratch)
        for i in range(bands):
            slope[i] = up[i] + rise * logarithm[i]
            area[i] = (bands - i) * slope[i]
            part[i] = slope[i]
            slope[i] *= 0.4
        exponentials(area, scratch)
        exponentials(part, scratch)
        exponentials(slope, scratch)
        for i in range(bands):
            area[i] = below[i] + (1 - area[i]) / (1 - part[i])
        logarithms(area, scratch)
        for i in range(bands):
            part[i] = 0.4 * (logarithm[i] - area[i])
        exponentials(part, scratch)
        carried = 0.0
        for i in range(bands - 1, -1, -1):
            carried = lower * carried + part[i]
            whole[i] = carried
        for j in range(1, bands):  # j bands up from each
            w, s = part[: bands - j], slope[: bands - j]
            target = whole[j:]
            for i in range(w.size):
                w[i] *= s[i]
                target[i] += w[i]
        for i in range(bands):
            out[f, i] = whole[i] * whole[i] * np.sqrt(whole[i]) / unity[i]


@kernel
def _smear(energy: Array, decay: Array, memory: Array, out: Array) -> None:
    """memory = decay memory + (1 - decay) energy; out = max(memory, energy): forward masking (eq. 21, 22)."""
    for f in range(energy.shape[0]):
        e, o = energy[f], out[f]
        for i in range(decay.size):
            m = decay[i] * memory[i] + (1 - decay[i]) * e[i]
            memory[i] = m
            o[i] = max(m, e[i])
