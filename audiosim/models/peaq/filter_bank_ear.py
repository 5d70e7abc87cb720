"""From samples to excitation in 40 auditory bands: the ear model with a filter bank of ITU-R BS.1387-1 (PEAQ, advanced
version), annex 2, 2.2. Unlike the one with an FFT it hears 250 times a second, and temporal fine structure.

Sections are those of the standard; where its text leaves room, it is read as by GstPEAQ 0.6.1 (Holters and Zoelzer,
DAFx-15). Energy 1 is that of 0 dB SPL.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.elementary import exponentials, logarithms
from ...engine.kernel import kernel
from ...hearing.weighting import middle_ear
from . import fft_ear
from .fft_ear import RATE

Array = NDArray[Any]

BANDS = 40
LOWEST, HIGHEST = 50.0, 18000.0  # Hz, centres of the first and the last band
LENGTHS = (  # samples of the impulse responses (table 8)
    *(1456, 1438, 1406, 1362, 1308, 1244, 1176, 1104, 1030, 956, 884, 814, 748, 686, 626, 570, 520, 472, 430, 390),
    *(354, 320, 290, 262, 238, 214, 194, 176, 158, 144, 130, 118, 106, 96, 86, 78, 70, 64, 58, 52),
)
EARLY = 32  # samples from one output of the filter bank to the next
HOP = 192  # samples of a frame; frames do not overlap
OUTPUTS = HOP // EARLY  # of the filter bank in a frame
CENTRE = 1 + LENGTHS[0] // 2  # samples by which all bands are late
REACH = LENGTHS[0] // 2 - 1  # samples on either side of the centre that an output takes in
FFT = 8192  # samples that are filtered at a time
FRAMES = ((FFT - 2 * REACH - 1) // EARLY + 1) // OUTPUTS  # that come out of them
BLOCK = 8 * FRAMES  # frames that are in work at a time
AHEAD = np.cos(np.pi * (np.arange(11) - 5) / 12) ** 2 * 0.9761 / 6  # backward masking, per output
ATTACK = float(np.exp(-EARLY / (RATE * 0.1)))  # of the level that steers the slopes: a, where the text may mean 1 - a
FLATTEST, LOWER = 4.0, 31.0  # dB per Bark, of the slopes to higher and to lower bands
NEGLIGIBLE = 1e-10  # amplitude that is spread no further, re internal noise of 1 and more
QUIET = 1e-12  # energy below which slopes no longer change: far above rounding, so that they do not hang on it


@dataclass(frozen=True, slots=True, eq=False)
class FilterBankEar:
    """The constants of the ear: [band] unless said otherwise.

    centres: Hz; edges: Hz [band + 1], half-way between the centres in Bark. noise: internal noise, energy.
    responses: [bin of 0..128, 2 band, 32], spectra of the filters' real and imaginary (times -j) parts, real since
    they are even and odd: all those bins that decimation by 32 makes one.
    slopes: to higher bands at 0 dB, dB per Bark; step: from band to band, Bark.
    decay: of the excitation, from frame to frame.
    """

    centres: Array
    edges: Array
    noise: Array
    responses: Array
    slopes: Array
    step: float
    decay: Array

    @classmethod
    def of(cls, level: float = 92.0) -> FilterBankEar:
        """level: dB SPL of a full-scale sine."""
        return _ear(level)


@lru_cache(maxsize=2)
def _ear(level: float) -> FilterBankEar:
    low, high = fft_ear.bark(LOWEST), fft_ear.bark(HIGHEST)
    step = (high - low) / (BANDS - 1)
    centres = fft_ear.bark_inverse(np.linspace(low, high, BANDS))
    gains = 10 ** ((level + middle_ear(centres)) / 20)
    responses = np.empty((2 * BANDS, FFT))
    for band, (hz, n, gain) in enumerate(zip(centres, LENGTHS, gains, strict=True)):
        k = np.arange(-n // 2 + 1, n // 2)
        window = gain * 4 / n * np.cos(np.pi * k / n) ** 2
        for part, wave in enumerate((np.cos, np.sin)):
            h = np.zeros(FFT)
            h[k] = window * wave(2 * np.pi * hz / RATE * k)
            spectrum = np.fft.fft(h)
            responses[2 * band + part] = spectrum.imag if part else spectrum.real
    bins = FFT // EARLY  # after decimation
    folded = responses.reshape(2 * BANDS, EARLY, bins).transpose(2, 0, 1)[: bins // 2 + 1] / EARLY
    return FilterBankEar(
        centres=centres,
        edges=fft_ear.bark_inverse(low + step * (np.arange(BANDS + 1) - 0.5)),
        noise=fft_ear.internal_noise(centres),
        responses=np.ascontiguousarray(folded),
        slopes=24 + 230 / centres,
        step=float(step),
        decay=fft_ear.decays(centres, 0.020, 0.004, HOP),
    )


def count(length: int) -> int:
    """Frames of so many samples, the last one filled up with zeros."""
    return -(-length // HOP)


def listener(x: Array, ear: FilterBankEar, frames: int) -> Callable[[int, int], tuple[Array, ...]]:
    """(first frame, number of frames) -> the excitation of the signal x [sample], unsmeared and smeared in time
    [frame, band], which the next block overwrites. Blocks must be asked for in order until there are so many frames,
    since the ear remembers, and all but the last one are of BLOCK frames.

    Filters as long as these take least time as products of spectra. Only every 32nd sample of a product is wanted, so
    the 32 bins that such a decimation makes one are added before the transform back, which is then a short one.
    """
    past = 2 * REACH + 2
    samples = np.zeros(past + BLOCK * HOP)
    segments = np.zeros((BLOCK // FRAMES, FFT))
    early = AHEAD.size - OUTPUTS
    energy = np.zeros((BANDS, early + BLOCK * OUTPUTS))
    spread, excitation = np.empty((2, BLOCK, BANDS))
    sections, slopes, memory = np.zeros((2, 2)), np.zeros(BANDS), np.zeros(BANDS)

    def listen(first: int, n: int) -> tuple[Array, Array]:
        blocks = -(-n // FRAMES)
        samples[:past] = samples[-past:]
        _reject_dc(x, first * HOP, sections, samples[past : past + n * HOP])
        samples[past + n * HOP :] = 0
        for segment, block in zip(segments[:blocks], range(blocks), strict=True):  # the centre of output 0 comes first
            part = samples[block * FRAMES * HOP :][: past + (FRAMES * OUTPUTS - 1) * EARLY]
            segment[: part.size - REACH] = part[REACH:]
            segment[FFT - REACH :] = part[:REACH]
        outputs = _filter(segments[:blocks], ear.responses)
        energy[:, :early] = energy[:, -early:]
        _spread(outputs, n * OUTPUTS, ear.slopes, ear.step, slopes, energy[:, early:])
        _smear(energy, AHEAD, ear.noise, ear.decay, memory, spread[:n], excitation[:n])
        return spread[:n], excitation[:n]

    return engine.cache.recorded(x, ear, frames, BANDS, 2, listen)


def _filter(segments: Array, responses: Array) -> Array:
    """Segments [segment, sample] -> every 32nd sample behind the filters, [segment, 2 band, sample]."""
    count, bins = len(segments), responses.shape[0]
    spectra = np.empty((count, FFT), np.complex128)
    half = FFT // 2 + 1
    spectra[:, :half] = engine.fft.rfft(segments)
    spectra[:, half:] = spectra[:, half - 2 : 0 : -1].conj()
    aliases = spectra.reshape(count, EARLY, -1)[:, :, :bins].transpose(2, 1, 0)
    folded = (responses @ np.ascontiguousarray(aliases).view(np.float64)).view(np.complex128)
    folded[:, 1::2] *= 1j
    return engine.fft.irfft(np.ascontiguousarray(folded.transpose(2, 1, 0)), FFT // EARLY)


@kernel
def _reject_dc(x: Array, start: int, memory: Array, out: Array) -> None:
    """High pass of two sections, from sample `start` on; zeros beyond the end (section 2.2.4). memory: [section, 2],
    last output and that before."""
    n = max(0, min(out.size, x.size - start))
    x1 = float(x[start - 1]) if 1 <= start <= x.size else 0.0
    x2 = float(x[start - 2]) if 2 <= start <= x.size + 1 else 0.0
    u1, u2, v1, v2 = memory[0, 0], memory[0, 1], memory[1, 0], memory[1, 1]
    for i in range(out.size):
        x0 = float(x[start + i]) if i < n else 0.0
        u = x0 - 2 * x1 + x2 + 1.99517 * u1 - 0.995174 * u2
        v = u - 2 * u1 + u2 + 1.99799 * v1 - 0.997998 * v2
        x2, x1 = x1, x0
        u2, u1 = u1, u
        v2, v1 = v1, v
        out[i] = v
    memory[0, 0], memory[0, 1], memory[1, 0], memory[1, 1] = u1, u2, v1, v2


@kernel
def _spread(outputs: Array, count: int, slopes: Array, step: float, memory: Array, energy: Array) -> None:
    """What a band puts out [segment, 2 band, sample] is added to all lower ones, and to higher ones the more, the
    louder it is (2.2.7); energy [band, sample] of the sum, for so many samples of all segments together. memory:
    smoothed factor to the next band [band]."""
    bands, n = memory.size, FRAMES * OUTPUTS
    near = -np.log(10.0) / 20 * step  # ln of a dB per Bark from band to band
    lower = np.exp(near * LOWER)
    re, im = np.empty((2, bands, n))
    factor = np.empty((bands, n))
    scratch = np.empty(n, np.int64)
    for segment in range(len(outputs)):
        some = min(n, count - segment * n)
        for i in range(bands):
            a, b, c = outputs[segment, 2 * i, :n], outputs[segment, 2 * i + 1, :n], factor[i, :some]
            for t in range(some):
                c[t] = max(a[t] * a[t] + b[t] * b[t], QUIET)
            logarithms(c, scratch)
            for t in range(some):
                c[t] = near * max(FLATTEST, slopes[i] - 0.2 * 10 / np.log(10.0) * c[t])
            exponentials(c, scratch)
            last = memory[i]
            for t in range(some):
                last += ATTACK * (c[t] - last)
                c[t] = last
            memory[i] = last
            factor[i, some:] = 0
            re[i] = a
            im[i] = b
        for i in range(bands):
            a, b, c = outputs[segment, 2 * i, :n], outputs[segment, 2 * i + 1, :n], factor[i]
            top, steepest = max(np.abs(a).max(), np.abs(b).max()), c.max()
            for j in range(i + 1, bands):
                top *= steepest
                if top < NEGLIGIBLE:
                    break
                r, s = re[j], im[j]
                a *= c
                r += a
                b *= c
                s += b
        for i in range(bands - 1, -1, -1):
            r, s, e = re[i], im[i], energy[i, segment * n :]
            if i + 1 < bands:
                p, q = re[i + 1], im[i + 1]
                r += lower * p
                s += lower * q
            e[:n] = r * r + s * s


@kernel
def _smear(
    energy: Array, ahead: Array, noise: Array, decay: Array, memory: Array, spread: Array, excitation: Array
) -> None:
    """Backward masking by a window over the outputs about the beginning of each frame, internal noise, and forward
    masking by a one-pole (2.2.9 to 2.2.11)."""
    for f in range(spread.shape[0]):
        e, o = spread[f], excitation[f]
        for i in range(noise.size):
            part = energy[i, f * OUTPUTS : f * OUTPUTS + ahead.size]
            total = noise[i]
            for k in range(ahead.size):
                total += ahead[k] * part[k]
            e[i] = total
            memory[i] = decay[i] * memory[i] + (1 - decay[i]) * total
            o[i] = memory[i]
