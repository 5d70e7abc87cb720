"""Traces of a lossy codec: holes in the spectrum, and noise that spreads before onsets (pre-echo)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from .finding import Finding

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from .places import Aligned

    Array = NDArray[Any]

LONGEST, PARTS = 24.0, 4  # s that are looked at, in so many parts

WINDOW = 0.023  # s
LOWEST, PER_OCTAVE, NARROWEST = 800.0, 6, 3  # Hz; bands; bins of one at least
HEARD = 1e-5  # of a frame's energy that a cell has
OWN = 0.05  # and of its band's mean
HOLE = 10**-1.4  # of the reference's energy in a cell: it is a hole
SURVIVES = 0.3  # of the energy of a band that is left: it was not filtered out
STANDS = 0.5  # of the cells of a frame that are no holes: it was not cut out
FEWEST_CELLS, FEWEST_HOLES = 300, 12
SHARE = 0.015  # of the cells that are holes, from which on it is told
SURE_SHARE = 0.05
STRETCHES, EVEN = 8, 0.3  # of time, of which half have that part of it: a filter of a stretch leaves holes there alone

STEP = 0.002  # s
BEFORE, APART = 8, 2  # steps before an onset in which noise spreads, and that are its own beginning
FAR = 50, 30  # steps before an onset, from and to, in which none of its noise is
BEHIND = 5  # steps of an onset
RISE = 30.0  # times, by which it is louder than what was before
LOUD = 0.1  # of the mean power, that it has
SPREADS = 4.0  # times the reference's energy before it, that the test has
AUDIBLE = 1e-4  # of the onset's energy
FEWEST_ONSETS, PART = 3, 0.2  # with noise before them, and as a part of all


def find(pair: Aligned) -> list[Finding]:
    """All that is found, of at most 24 s."""
    if pair.ref.shape[1] < pair.rate or not pair.ref.any() or not pair.test.any():
        return []
    return [*_holes(pair), *_pre_echo(pair)]


def _parts(pair: Aligned) -> list[tuple[int, int]]:
    length = pair.ref.shape[1]
    size = round(LONGEST / PARTS * pair.rate)
    if length <= PARTS * size:
        return [(0, length)]
    return [(at, at + size) for at in (round(k * (length - size) / (PARTS - 1)) for k in range(PARTS))]


def _holes(pair: Aligned) -> list[Finding]:
    """Cells of time and frequency that the test has lost while those around them are left."""
    window = 1 << max(round(np.log2(WINDOW * pair.rate)), 6)
    edges = LOWEST * 2.0 ** (np.arange(int(PER_OCTAVE * np.log2(0.5 * pair.rate / LOWEST)) + 1) / PER_OCTAVE)
    cuts = [round(edges[0] * window / pair.rate)]
    for cut in np.round(edges[1:] * window / pair.rate).astype(int).tolist():
        if cut - cuts[-1] >= NARROWEST:
            cuts.append(cut)
    if len(cuts) < 3:
        return []
    ref, test = (_cells(x, _parts(pair), window, cuts) for x in (pair.ref, pair.test))
    heard = (ref > HEARD * ref.sum(axis=2, keepdims=True)) & (ref > OWN * ref.mean(axis=1, keepdims=True))
    hole = heard & (test < HOLE * ref)
    left = test.sum(axis=1, keepdims=True) > SURVIVES * ref.sum(axis=1, keepdims=True)
    stands = hole.sum(axis=2, keepdims=True) < (1 - STANDS) * heard.sum(axis=2, keepdims=True)
    looked_at = heard & left & stands
    hole &= looked_at
    cells, holes = int(looked_at.sum()), int(hole.sum())
    share = holes / max(cells, 1)
    if cells < FEWEST_CELLS or holes < FEWEST_HOLES or share < SHARE:
        return []
    of_stretches = [
        float(some.sum() / max(all_of_it.sum(), 1))
        for some, all_of_it in zip(*(np.array_split(x, STRETCHES, axis=1) for x in (hole, looked_at)), strict=True)
    ]
    if np.median(of_stretches) < EVEN * share:
        return []
    bands = np.flatnonzero(hole.sum(axis=(0, 1)) > 0.5 * SHARE * np.maximum(looked_at.sum(axis=(0, 1)), 1))
    hz = [cuts[b] * pair.rate / window for b in (int(bands[0]), int(bands[-1]) + 1)]
    detail = {"low_hz": round(hz[0]), "high_hz": round(hz[1])}
    confidence = round(min(0.5 + 0.5 * share / SURE_SHARE, 0.9), 2)
    return [Finding("band holes", round(100 * share, 2), "%", confidence=confidence, detail=detail)]


def _cells(x: Array, parts: list[tuple[int, int]], window: int, cuts: list[int]) -> Array:
    """Power [channel, frame, band]."""
    from scipy import fft

    taper = np.hanning(window + 1)[:-1]
    found = []
    for first, last in parts:
        for at in range(first, last - window + 1, 64 * window):
            piece = np.asarray(x[:, at : min(at + 64 * window + window // 2, last)], np.float64)
            frames = np.lib.stride_tricks.sliding_window_view(piece, window, axis=1)[:, :: window // 2]
            z = fft.rfft(frames * taper)
            power = z.real**2 + z.imag**2
            found.append(np.add.reduceat(power[:, :, : cuts[-1]], cuts[:-1], axis=2))
    return np.concatenate(found, axis=1)


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
