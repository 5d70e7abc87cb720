"""Finds what was added to the whole recording and does not follow it: noise, hum, reverberation."""

from __future__ import annotations

from math import log2, log10
from typing import TYPE_CHECKING, Any

import numpy as np

from . import sums
from .aligned import WINDOW, Aligned, frame, sounds
from .finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Array = NDArray[Any]

FEWEST = 20  # windows
QUIET, LOUDEST = 20, 80  # percentiles
DYNAMICS = 12.0  # dB between these: with less, noise is not told from what follows the signal
RISE = 0.25  # dB by which noise may rise with the reference, a dB
STEADY = 0.2  # of what is left in loud frames, that is left in quiet ones where noise was added
FAINTEST = -50.0  # dB against the reference: quieter noise is not told
SECONDS, PARTS = 16.0, 4  # that are looked at, in so many parts
MAINS = 50.0, 60.0  # Hz
HARMONICS = 8
LINE = 30.0  # times its surroundings
ALONE = 1000.0  # times, where it has no harmonics
OWN = 0.1  # of the reference's power there, from which on a line is no change of the reference's own;
CONSTANT = 0.95  # with less it must be as constant,
FOREIGN = 0.5  # and as little coherent with the reference
TURN = 0.34  # s, in which a line is as before
TAIL = 0.02, 0.12, 0.25  # s after the direct sound: early and late part of a decay
AHEAD = 6.0  # times what stands as far before the direct sound
AUDIBLE_TAIL = 10**-3.0  # of the direct sound
ALIKE = 0.35  # correlation of the tails of two halves of the windows, at least: what a codec leaves has none
COLOURS = ((-4.5, "brown"), (-1.5, "pink"), (1.5, "white"), (99.0, "blue"))  # dB an octave at most


def find(pair: Aligned, ref: Array, left: Array, cross: Array, otherwise: Array) -> list[Finding]:
    """ref, left: energies of windows of aligned.WINDOW frames; cross: their products, [window]. otherwise: [frame], in
    which something else happened."""
    if float(left.sum()) <= 1e-9 * float(ref.sum()):
        return []
    x, e = _stretches(pair, otherwise)
    if x.shape[1] < pair.rate:
        return []
    hum, line_power = _hum(x, e, pair.rate)
    room = _reverberation(x, e, pair.rate)  # first: its tail stands in pauses as noise does
    return [*hum, *(room or _noise(pair, ref, left, cross, otherwise, x, e, line_power))]


def _stretches(pair: Aligned, otherwise: Array) -> tuple[Array, Array]:
    """The mean of the channels of the reference, and what is left between it and the test, of at most 16 s; nothing is
    left in frames in which something else happened."""
    found = sums.stretches(pair.ref.shape[1], round(SECONDS / PARTS * pair.rate), PARTS)
    x, e = np.empty((2, len(found), found[0][1]))
    for own, left, (first, last) in zip(x, e, found, strict=True):
        r, t = sounds(pair, first, last)
        own[:], left[:] = r.mean(axis=0), (t - r).mean(axis=0)
        frames = np.minimum(np.arange(first, last) // frame(pair.rate), otherwise.size - 1)
        left[otherwise[frames]] = 0
    return x, e


def _spectrum(x: Array, size: int) -> Array:
    """Mean power per bin over windows of so many samples; sums to the mean square."""
    window = np.hanning(size)
    power, count = np.zeros(size // 2 + 1), 0
    for row in x:
        for at in range(0, row.size - size + 1, size // 2):
            power += np.abs(np.fft.rfft(row[at : at + size] * window)) ** 2
            count += 1
    mean: Array = 2 * (power / count) / (size * float((window**2).sum()))
    return mean


def _hum(x: Array, e: Array, rate: int) -> tuple[list[Finding], float]:
    size = 1 << int(log2(min(1.4 * rate, x.shape[1])))
    wanted, had = _spectrum(e, size), _spectrum(x, size)
    step = rate / size
    best: tuple[int, float, float, list[float]] = (0, 0.0, 0.0, [])
    for mains in MAINS:
        lines, total = [], 0.0
        for k in range(1, HARMONICS + 1):
            at = round(k * mains / step)
            near, far = 2 + round(1 / step), round(12 / step) + 4
            if at + far >= wanted.size:
                break
            power = float(wanted[at - near : at + near + 1].sum())
            beside = np.concatenate([wanted[max(at - far, 1) : at - near], wanted[at + near + 1 : at + far]])
            ratio = power / max((2 * near + 1) * float(np.median(beside)), 1e-300)
            strong = power > OWN * float(had[at - near : at + near + 1].sum())
            if ratio > LINE and (strong or _constant(x, e, rate, k * mains)):
                lines.append(k)
                total += power
                if k == 1:
                    first = ratio
        plain = 1 in lines and (len(lines) > 1 or first > ALONE)
        if plain and total > best[2]:
            best = len(lines), mains, total, [float(k) for k in lines]
    count, mains, total, lines_ = best
    level = _db(total, x)
    if not count or level < FAINTEST:
        return [], 0.0
    share = min(total / max(float(np.mean(e * e)), 1e-300), 1.0)
    detail = {"hz": mains, "harmonics": [int(k) for k in lines_]}
    return [Finding("hum", round(level, 2), "dB", confidence=0.9, share=round(share, 4), detail=detail)], total


def _constant(x: Array, e: Array, rate: int, hz: float) -> bool:
    """Whether what is left goes on evenly at a frequency at which the reference does not do the same: a hum below a
    bass."""
    size = round(TURN * rate)
    phase = -2j * np.pi * hz / rate
    heard = np.hanning(size) * np.exp(phase * np.arange(size))
    own, left = (
        np.array(
            [
                [(row[at : at + size] @ heard) * np.exp(phase * at) for at in range(0, row.size - size + 1, size // 2)]
                for row in z
            ]
        )
        for z in (x, e)
    )
    if left.shape[1] < 4:
        return False
    power = float((np.abs(left) ** 2).sum())
    steady = abs((left[:, 1:] * left[:, :-1].conj()).sum()) / max(float((np.abs(left[:, 1:]) ** 2).sum()), 1e-300)
    alike = abs((left * own.conj()).sum()) ** 2 / max(power * float((np.abs(own) ** 2).sum()), 1e-300)
    return bool(CONSTANT < steady < 1 / CONSTANT and alike < FOREIGN)


def _noise(
    pair: Aligned, ref: Array, left: Array, cross: Array, otherwise: Array, x: Array, e: Array, lines: float
) -> list[Finding]:
    """What is left in the pauses of the reference as in its loud parts, whatever the gain is in either."""
    n = np.maximum(left - cross**2 / np.maximum(ref, 1e-300), 0.0)
    fine = ~otherwise[: ref.size * WINDOW].reshape(ref.size, WINDOW).any(axis=1)
    r, n = ref[fine], n[fine]
    if r.size < FEWEST:
        return []
    low, high = np.percentile(r, (QUIET, LOUDEST))
    quiet, loud = float(np.median(n[r <= low])), float(np.median(n[r >= high]))
    if quiet < STEADY * loud:
        return []
    steady = 10 * log10(max(high, 1e-300) / max(low, 1e-300)) < DYNAMICS
    if steady and (0 < pair.band < pair.rate / 2 or _follows(x, e, pair.rate)):
        return []
    size = len(pair.ref) * WINDOW * frame(pair.rate)
    power = quiet / size - lines
    if power < 0.2 * quiet / size:
        return []
    mean = float(r.mean()) / size
    level = 10 * log10(max(power, 1e-300) / max(mean, 1e-300))
    if level < FAINTEST:
        return []
    spectrum = _spectrum(e, 2048) if e.shape[1] >= 2048 else _spectrum(e, 256)
    f = np.fft.rfftfreq(2 * (spectrum.size - 1), 1 / pair.rate)
    inside = (f >= max(200.0, f[2])) & (f <= 0.4 * pair.rate)
    octave = np.log2(f[inside])
    weight = 1 / f[inside]  # the same for each octave
    y = 10 * np.log10(np.maximum(spectrum[inside], 1e-300))
    centre = np.average(octave, weights=weight)
    slope = float((weight * (octave - centre) * y).sum() / (weight * (octave - centre) ** 2).sum())
    colour = next(name for most, name in COLOURS if slope <= most)
    share = min(power / max(float(n.mean()) / size, 1e-300), 1.0)
    detail = {"colour": colour, "db_per_octave": round(slope, 2)}
    return [Finding("noise", round(level, 2), "dB", confidence=0.9, share=round(share, 4), detail=detail)]


def _follows(x: Array, e: Array, rate: int) -> bool:
    """Whether what is left is strong at the frequencies and times at which the reference is, as of a codec."""
    size = 1024
    window = np.hanning(size)
    frames = [np.abs(np.fft.rfft(v.ravel()[: v.size // size * size].reshape(-1, size) * window)) ** 2 for v in (x, e)]
    f = np.fft.rfftfreq(size, 1 / rate)
    inside = (f > 100) & (f < 0.3 * rate)
    a, b = (part[:, inside].ravel() for part in frames)
    low, high = np.percentile(a, (QUIET, LOUDEST))
    decibels = 10 * log10(max(high, 1e-300) / max(low, 1e-300))
    rise = 10 * log10(max(float(b[a >= high].mean()), 1e-300) / max(float(b[a <= low].mean()), 1e-300))
    return decibels < DYNAMICS or rise > RISE * decibels


def _reverberation(x: Array, e: Array, rate: int) -> list[Finding]:
    """A tail in the response from the reference to what is left, that decays."""
    size = 1 << round(log2(0.68 * rate))
    window = np.hanning(size)
    cross, own = np.zeros((2, size // 2 + 1), dtype=complex), np.zeros((2, size // 2 + 1))
    count = 0
    for a, b in zip(x, e, strict=True):
        for at in range(0, a.size - size + 1, size // 2):
            fa = np.fft.rfft(a[at : at + size] * window)
            fb = np.fft.rfft(b[at : at + size] * window)
            half = count // 2 % 2
            cross[half] += fa.conj() * fb
            own[half] += np.abs(fa) ** 2
            count += 1
    if count < 4:
        return []
    first, middle, last = (round(s * rate) for s in TAIL)
    halves = [_response(c, p, size)[first:middle] for c, p in zip(cross, own, strict=True)]
    if float(halves[0] @ halves[1]) <= ALIKE * float(np.sqrt(np.prod([h @ h for h in halves]))):
        return []
    response = _response(cross.sum(axis=0), own.sum(axis=0), size)
    # Of a late part less is in the window: the autocorrelation of the window says how much.
    there = np.fft.irfft(np.abs(np.fft.rfft(window, 2 * size)) ** 2)[: size // 2]
    energy = (response[: size // 2] / np.maximum(there / there[0], 0.05)) ** 2
    before = response[-(size // 2) :] ** 2
    bin_ = max(round(0.01 * rate), 1)
    floor = float(np.median(before[: before.size // 2 // bin_ * bin_].reshape(-1, bin_).mean(axis=1)))
    bins = energy[first : first + (last - first) // bin_ * bin_].reshape(-1, bin_).mean(axis=1)
    tail = float((energy[first:middle] - floor).sum())
    mirrored = float(before[-middle:-first].sum())  # a codec rings before as well as behind
    if tail < max(AUDIBLE_TAIL, AHEAD * mirrored) or bins[: (middle - first) // bin_].mean() < 4 * floor:
        return []
    above = bins > 2.5 * floor
    length = int(np.argmin(above)) if not above.all() else bins.size
    if length < 4:
        return []
    t = (np.arange(length) + 0.5) * bin_ / rate
    slope = float(np.polyfit(t, 10 * np.log10(np.maximum(bins[:length] - floor, 1e-30)), 1)[0])
    if not -900 < slope < -20:  # 0.07 to 3 s
        return []
    seconds = -60 / slope
    detail = {"level_db": round(10 * log10(tail), 1)}
    return [Finding("reverberation", round(seconds, 3), "s", confidence=0.7, detail=detail)]


def _response(cross: Array, own: Array, size: int) -> Array:
    """In time, from the reference to what is left: the mean of windows of `size` samples."""
    response: Array = np.fft.irfft(cross / (own + 1e-3 * own.mean()), size)
    return response


def _db(power: float, x: Array) -> float:
    return 10 * log10(max(power, 1e-300) / max(float(np.mean(x * x)), 1e-300))
