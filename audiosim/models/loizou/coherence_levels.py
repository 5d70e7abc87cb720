"""Coherence of test and reference in the loud, the middle and the soft frames of the reference, as signal and
distortion in 16 critical bands. Kates and Arehart 2005, JASA 117(4), eq. 7 to 13."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.kernel import kernel
from . import speech_bands
from .segments import Segments, energies

if TYPE_CHECKING:
    from ...engine.stream import Stream

Array = NDArray[Any]

BANDS = 16  # up to 3.4 kHz
CENTRES = speech_bands.CENTRES[:BANDS]
TOP = float(CENTRES[-1] + speech_bands.WIDTHS[BANDS - 1] / 2)  # Hz
WEIGHTS = speech_bands.IMPORTANCE[:BANDS] / speech_bands.IMPORTANCE[:BANDS].sum()
HIGH, LOW = 0.0, -10.0  # dB re the level of the whole reference, between which a frame is of middle level
NAMES = ("high", "mid", "low")

FRAMES_AT_ONCE = 24
TASK = 1024  # frames
SAMPLES_AT_ONCE = 1 << 16
CACHED = 1 << 26  # bytes: so many power spectra are cached from the first reading to the second


@dataclass(frozen=True, slots=True, eq=False)
class Heard:
    """level: [frame] 0 high, 1 mid, 2 low; -1 where neither recording has sound, and everywhere if the reference has
    none. lacking: [frame] 1 less what is audible in it, bands weighted by their importance.

    Where asked for, else [0, band]: cells [frame, band], what each band adds to lacking; residual: [frame, band] power
    of what in the test is no linear image of the reference, the same image for all frames of one level.
    """

    level: Array
    lacking: Array
    cells: Array
    residual: Array


@lru_cache(maxsize=4)
def filters(rate: int, n_fft: int) -> Array:
    """Gains of rounded exponentials [band, bin below the Nyquist frequency] for powers, eq. 8 and 9."""
    centres = CENTRES[:, None]
    slope = 4 * centres / speech_bands.WIDTHS[:BANDS, None]
    away = slope * np.abs(1 - np.arange(n_fft // 2) * (rate / n_fft) / centres)
    gains: Array = (1 + away) * np.exp(-away)
    return gains


def heard(ref: Stream, test: Stream, segments: Segments, threads: int, detail: bool = False) -> Heard:
    """Of a pair that is long enough for a frame; a long one is read twice."""
    stft, count = segments.stft(), segments.count(ref.length)
    gains = filters(segments.rate, stft.n_fft).T
    bins = len(gains)
    found = _levels(ref, segments, threads)
    if found is None:
        return Heard(np.full(count, -1), np.zeros(count), *np.zeros((2, count if detail else 0, BANDS)))
    level, silent = found
    cached = 8 * count * bins <= CACHED

    def read(first: int, use: Callable[[slice, Array], None]) -> Array:
        """Powers of the test [frame, bin] in a task's frames; use(which of them, spectra) is called on the way."""
        frames = min(TASK, count - first)
        cut, power = engine.fold.cutter(ref, test, stft, FRAMES_AT_ONCE), np.empty((frames, bins))
        for k in range(0, frames, FRAMES_AT_ONCE):
            part = slice(k, min(k + FRAMES_AT_ONCE, frames))
            z = cut(first + k, part.stop - k)
            _powers(z[1], power[part])
            use(part, z)
        return power

    def cross(first: int) -> tuple[Array, Array | None]:
        sums = np.zeros((len(NAMES), bins, 4))
        power = read(first, lambda part, z: _cross(z[0], z[1], level[first:][part], sums))
        return sums, power if cached else None

    starts = range(0, count, TASK)
    crossed = engine.threads.in_threads(cross, starts, threads)
    re, im, xx, yy = np.moveaxis(np.sum([sums for sums, _ in crossed], axis=0), 2, 0)
    product = xx * yy
    coherence = np.divide(re * re + im * im, product, out=np.zeros(xx.shape), where=product > 0)
    parts = [np.concatenate([gains * c[:, None], gains * np.maximum(1 - c, 0)[:, None]], axis=1) for c in coherence]
    image = np.divide(re - 1j * im, xx, out=np.zeros(xx.shape, complex), where=xx > 0)

    def hear(first: int) -> tuple[Array, Array, Array]:
        here = level[first : first + TASK]
        residual = np.empty((here.size if detail else 0, BANDS))

        def leave(part: slice, z: Array) -> None:
            if detail:
                left = z[1, :, :bins] - image[here[part]] * z[0, :, :bins]
                residual[part] = (left.real**2 + left.imag**2) @ gains

        power = crossed[first // TASK][1]
        if power is None or detail:
            power = read(first, leave)
        audible = np.zeros((here.size, BANDS))
        for i, split in enumerate(parts):
            signal, distortion = np.split(power[here == i] @ split, 2, axis=1)
            with np.errstate(divide="ignore", invalid="ignore"):  # no distortion; a test without sound
                ratio = 10 * np.log10(signal / distortion)
            audible[here == i] = speech_bands.audibility(np.nan_to_num(ratio, nan=-np.inf))
        cells = (1 - audible) * WEIGHTS
        silent[first : first + TASK] &= ~power.any(1)
        return cells.sum(1), cells[: len(residual)], residual

    lacking, cells, residual = (
        np.concatenate(z) for z in zip(*engine.threads.in_threads(hear, starts, threads), strict=True)
    )
    return Heard(np.where(silent, -1, level), lacking, cells, residual)


def _levels(ref: Stream, segments: Segments, threads: int) -> tuple[Array, Array] | None:
    """[frame] 0 to 2, by the root mean square of a frame re that of the recording, and whether it is silent [frame];
    None where the recording is."""
    total = 0.0
    for start in range(0, ref.length, SAMPLES_AT_ONCE):
        block = engine.stream.part(ref, start, SAMPLES_AT_ONCE)
        total += float(np.square(block, dtype=np.float64).sum())
    if total == 0:
        return None
    flat = Segments(segments.rate, np.ones(segments.window.size), segments.hop)
    power, _ = energies(ref, ref, flat, threads)
    with np.errstate(divide="ignore"):  # a silent frame
        db = 20 * np.log10(np.sqrt(power / flat.window.size) / np.sqrt(total / ref.length))
    return np.where(db >= HIGH, 0, np.where(db >= LOW, 1, 2)), power == 0


@kernel
def _cross(x: Array, y: Array, level: Array, sums: Array) -> None:
    """sums[level, bin] += re and im of x conj(y), |x|^2, |y|^2; x, y [frame, bin]."""
    for f in range(x.shape[0]):
        out = sums[level[f]]
        for k in range(out.shape[0]):
            a = np.float64(x[f, k].real)
            b = np.float64(x[f, k].imag)
            c = np.float64(y[f, k].real)
            d = np.float64(y[f, k].imag)
            out[k, 0] += a * c + b * d
            out[k, 1] += b * c - a * d
            out[k, 2] += a * a + b * b
            out[k, 3] += c * c + d * d


@kernel
def _powers(z: Array, out: Array) -> None:
    """out = |z|^2 [frame, bin], as many bins as out has."""
    for f in range(out.shape[0]):
        for k in range(out.shape[1]):
            re = np.float64(z[f, k].real)
            im = np.float64(z[f, k].imag)
            out[f, k] = re * re + im * im
