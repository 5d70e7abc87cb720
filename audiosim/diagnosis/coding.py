"""Traces of a lossy codec: holes in the spectrum, noise that spreads before onsets (pre-echo), and noise that follows
the sound in time and frequency."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from . import sums
from .finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .aligned import Aligned

    Array = NDArray[Any]

LONGEST, PARTS = 24.0, 4  # s that are looked at, in so many parts

WINDOW = 0.023  # s
LOWEST, PER_OCTAVE, NARROWEST = 800.0, 6, 3  # Hz; bands; bins of one at least
LOWER = 8  # bands below, where noise is looked for, but no holes
HEARD = 1e-5  # of a frame's energy that a cell has
OWN = 0.05  # and of its band's mean
HOLE = 10**-1.4  # of the reference's energy in a cell: it is a hole
SURVIVES = 0.3  # of the energy of a band that is left: it was not filtered out
STANDS = 0.5  # of the cells of a frame that are no holes: it was not cut out
FEWEST_CELLS, FEWEST_HOLES = 300, 12
SHARE = 0.015  # of the cells that are holes, from which on it is told
SURE_SHARE = 0.05
STRETCHES, EVEN = 8, 0.3  # of time, of which half have that part of it: a filter of a stretch leaves holes there alone

SLOW = 8  # frames within which a filter that moves is as it was
TOGETHER = 4  # frames, in which noise is compared
AUDIBLE_CELL = 1e-5  # of the mean energy of a frame
UNLIKE = 0.32  # squared correlation of noise and reference in a cell, at most: with more it is a gain or a filter
FILTERED = 0.62  # of what is left, that is the reference through a filter that moves, at most
FOLLOWS = 0.6  # correlation of their levels, over time and over frequency, at least;
LOUD_NOISE, LOUD_FROM = 0.45, -25.0  # and over frequency where it is louder (dB), as of codecs of low rates
TOGETHER_FOLLOWS = 0.9  # and of the levels of all frequencies together
SLOPES = 0.35, 1.2  # dB by which noise rises over time with the reference, a dB: that of distortion rises more
FAINT = -42.0  # dB against the reference: fainter noise is not told

STEP = 0.002  # s
BEFORE, APART = 8, 2  # steps before an onset in which noise spreads, and that are its own beginning
FAR = 50, 30  # steps before an onset, from and to, in which none of its noise is
BEHIND = 5  # steps of an onset
RISE = 30.0  # times, by which it is louder than what was before
LOUD = 0.1  # of the mean power, that it has
SPREADS = 4.0  # times the reference's energy before it, that the test has
AUDIBLE = 1e-4  # of the onset's energy
FEWEST_ONSETS, PART = 3, 0.2  # with noise before them, and as a part of all


def find(pair: Aligned, otherwise: bool = False) -> list[Finding]:
    """All that is found, of at most 24 s. otherwise: what is left has other reasons too."""
    if pair.ref.shape[1] < pair.rate or not pair.ref.any() or not pair.test.any():
        return []
    cells = _cells(pair)
    return (_holes(cells) + _pre_echo(pair)) or ([] if otherwise else _noise(cells))


def follows(power: Array, left: Array) -> bool:
    """Whether what is left, [time], rises and falls with the sound as the noise of a codec does."""
    return _keeps_up(power[:, None], left[:, None], AUDIBLE, TOGETHER_FOLLOWS, SLOPES)


def _parts(pair: Aligned) -> list[tuple[int, int]]:
    return sums.stretches(pair.ref.shape[1], round(LONGEST / PARTS * pair.rate), PARTS)


@dataclass(frozen=True, slots=True)
class _Cells:
    """Energies of reference, test and what is left between them, and the product of this and the reference.

    Each [channel, frame, band]. cuts: edges of the bands in Hz. first: the band that begins at LOWEST. filtered: the
    part of the energy of what is left that is the reference's through a filter that moves slowly, as an echo's, a
    flanger's or a room's.
    """

    ref: Array
    test: Array
    left: Array
    cross: Array
    cuts: Array
    first: int
    filtered: float


def _cells(pair: Aligned) -> _Cells:
    from scipy import fft

    window = 1 << max(round(np.log2(WINDOW * pair.rate)), 6)
    above = int(PER_OCTAVE * np.log2(0.5 * pair.rate / LOWEST))
    cuts: list[int] = []
    first = 0
    for k in range(-LOWER, above + 1):
        cut = round(LOWEST * 2.0 ** (k / PER_OCTAVE) * window / pair.rate)
        if k == 0:
            first = len(cuts)
        if k == 0 or not cuts or cut - cuts[-1] >= NARROWEST:
            cuts.append(cut)
    taper = np.hanning(window + 1)[:-1]
    found: list[list[Array]] = []
    like = whole = 0.0
    for start, stop in _parts(pair):
        for at in range(start, stop - window + 1, 64 * window):
            piece = slice(at, min(at + 64 * window + window // 2, stop))
            x, y = (
                fft.rfft(
                    np.lib.stride_tricks.sliding_window_view(np.asarray(z[:, piece], np.float64), window, axis=1)[
                        :, :: window // 2
                    ]
                    * taper
                )[:, :, : cuts[-1]]
                for z in (pair.ref, pair.test)
            )
            e = y - x
            products = (_power(x), _power(y), _power(e), x * e.conj())
            found.append([np.add.reduceat(p, cuts[:-1], axis=2) for p in products])
            xx, _, ee, xe = (_sums(p[:, :, cuts[0] :]) for p in products)
            like += float((_power(xe) / np.maximum(xx, 1e-300)).sum())
            whole += float(ee.sum())
    ref, test, left, cross = (np.concatenate(z, axis=1) for z in zip(*found, strict=True))
    return _Cells(ref, test, left, cross, np.array(cuts) * pair.rate / window, first, like / max(whole, 1e-300))


def _sums(p: Array) -> Array:
    """Of so many frames each, [channel, frame, bin]."""
    count = p.shape[1] // SLOW
    sums: Array = p[:, : count * SLOW].reshape(len(p), count, SLOW, p.shape[2]).sum(axis=2)
    return sums


def _power(z: Array) -> Array:
    power: Array = z.real**2 + z.imag**2
    return power


def _holes(cells: _Cells) -> list[Finding]:
    """Cells of time and frequency that the test has lost while those around them are left."""
    cuts = cells.cuts[cells.first :]
    if cuts.size < 3:
        return []
    ref, test = (x[:, :, cells.first :] for x in (cells.ref, cells.test))
    heard = (ref > HEARD * ref.sum(axis=2, keepdims=True)) & (ref > OWN * ref.mean(axis=1, keepdims=True))
    hole = heard & (test < HOLE * ref)
    left = test.sum(axis=1, keepdims=True) > SURVIVES * ref.sum(axis=1, keepdims=True)
    stands = hole.sum(axis=2, keepdims=True) < (1 - STANDS) * heard.sum(axis=2, keepdims=True)
    looked_at = heard & left & stands
    hole &= looked_at
    count, holes = int(looked_at.sum()), int(hole.sum())
    share = holes / max(count, 1)
    if count < FEWEST_CELLS or holes < FEWEST_HOLES or share < SHARE:
        return []
    of_stretches = [
        float(some.sum() / max(all_of_it.sum(), 1))
        for some, all_of_it in zip(*(np.array_split(x, STRETCHES, axis=1) for x in (hole, looked_at)), strict=True)
    ]
    if np.median(of_stretches) < EVEN * share:
        return []
    bands = np.flatnonzero(hole.sum(axis=(0, 1)) > 0.5 * SHARE * np.maximum(looked_at.sum(axis=(0, 1)), 1))
    detail = {"low_hz": round(float(cuts[bands[0]])), "high_hz": round(float(cuts[bands[-1] + 1]))}
    confidence = round(min(0.5 + 0.5 * share / SURE_SHARE, 0.9), 2)
    return [Finding("band holes", round(100 * share, 2), "%", confidence=confidence, detail=detail)]


def _noise(cells: _Cells) -> list[Finding]:
    """Noise that is not like the reference, and rises and falls with it: at each frequency, as that of quantised
    spectra, or as a whole, as that of quantised samples whose steps follow the level."""
    count = cells.ref.shape[1] // TOGETHER
    x, e, xe = (
        z[:, : count * TOGETHER].reshape(len(z), count, TOGETHER, -1).sum(axis=2)
        for z in (cells.ref, cells.left, cells.cross)
    )
    whole = max(float(e.sum()), 1e-300)
    steady = xe.sum(axis=1, keepdims=True) / np.maximum(x.sum(axis=1, keepdims=True), 1e-300)
    share = float((_power(steady) * x).sum()) / whole  # of a filter that does not move, which is no noise
    e = np.maximum(e - 2 * (steady.conj() * xe).real + _power(steady) * x, 0)
    xe = xe - steady * x
    level = 10 * np.log10(max(float(e.sum()), 1e-300) / max(float(x.sum()), 1e-300))
    heard = (x > AUDIBLE_CELL * x.sum(axis=2, keepdims=True).mean(axis=1, keepdims=True)) & (e > 0)
    if level < FAINT or np.count_nonzero(heard) < FEWEST_CELLS:
        return []
    alike = _power(xe[heard]) / (x[heard] * e[heard])
    if np.median(alike) > UNLIKE or cells.filtered - share > FILTERED * (1 - share):
        return []
    x, e = x.sum(axis=0), e.sum(axis=0)
    if _keeps_up(x, e, AUDIBLE_CELL, FOLLOWS, SLOPES, LOUD_NOISE if level > LOUD_FROM else FOLLOWS):
        detail = {"in": "time and frequency"}
    elif follows(x.sum(axis=1), e.sum(axis=1)):
        detail = {"in": "time"}
    else:
        return []
    return [Finding("coding noise", round(float(level), 1), "dB", confidence=0.7, detail=detail)]


def _keeps_up(
    x: Array, e: Array, least: float, follows: float, slopes: tuple[float, float], over_frequency: float = -1.0
) -> bool:
    """Whether e [time, band] rises and falls with x, where x has at least this part of its mean over time: over time
    with these correlation and slope, and over frequency with this correlation."""
    heard = (x > least * x.sum(axis=1).mean()) & (e > 0)
    own, left = (10 * np.log10(np.maximum(z, 1e-30)) for z in (x, e))
    slope, correlation = _correlation(own, left, heard, 0)
    if correlation < follows or not slopes[0] <= slope <= slopes[1]:
        return False
    return over_frequency < 0 or _correlation(own, left, heard, 1)[1] >= over_frequency


def _correlation(x: Array, y: Array, where: Array, axis: int) -> tuple[float, float]:
    """Slope of y over x, and their correlation, along this axis of all others together."""
    count = np.maximum(where.sum(axis=axis, keepdims=True), 1)
    x, y = (np.where(where, z - np.where(where, z, 0).sum(axis=axis, keepdims=True) / count, 0) for z in (x, y))
    xx, yy, xy = float((x * x).sum()), float((y * y).sum()), float((x * y).sum())
    return xy / max(xx, 1e-300), xy / max((xx * yy) ** 0.5, 1e-300)


def _pre_echo(pair: Aligned) -> list[Finding]:
    """Energy of the test just before onsets, that the reference has not, and that is not there before."""
    size = max(round(STEP * pair.rate), 4)
    onsets = 0
    excess: list[float] = []
    for first, last in _parts(pair):
        ref, test = (_steps(x[:, first:last], size) for x in (pair.ref, pair.test))
        k = np.arange(FAR[0], ref.size - BEHIND)
        if k.size == 0:
            continue
        onset = _mean(ref, k, k + BEHIND)
        before = k - APART - BEFORE, k - APART
        own, had = (_mean(z, *before) for z in (ref, test))
        far_own, far_had = (_mean(z, k - FAR[0], k - FAR[1]) for z in (ref, test))
        rises = (onset > RISE * np.maximum(own, far_own)) & (onset > LOUD * float(ref.mean()))
        rises &= ~np.concatenate(([False], rises[:-1]))  # the first of a row
        more = had - own
        noisy = rises & (more > SPREADS * np.maximum(own, far_had - far_own)) & (had > AUDIBLE * onset)
        onsets += int(rises.sum())
        excess += (10 * np.log10(had[noisy] / np.maximum(own[noisy], AUDIBLE * onset[noisy]))).tolist()
    if len(excess) < max(FEWEST_ONSETS, PART * onsets):
        return []
    detail = {"onsets": len(excess), "of": onsets}
    return [Finding("pre-echo", round(float(np.median(excess)), 1), "dB", confidence=0.7, detail=detail)]


def _steps(x: Array, size: int) -> Array:
    """Energy of steps, over channels. Low frequencies count less, and so does half the rate, where filters ring."""
    y = np.asarray(x[:, 2:], np.float64) - x[:, :-2]
    n = y.shape[1] // size
    energy: Array = (y[:, : n * size] ** 2).sum(axis=0).reshape(n, size).sum(axis=1)
    return energy


def _mean(z: Array, first: Array, last: Array) -> Array:
    """Of steps first to last."""
    run = np.concatenate(([0.0], np.cumsum(z)))
    mean: Array = (run[last] - run[first]) / (last - first)
    return mean
