"""Short-time spectra of a pair, in blocks that stay in cache, folded into sums: no spectrogram is ever built for a
scalar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .fft import frames_rfft
from .frames import STFT, Sums
from .kernel import kernel
from .stream import Stream, part, plain, read, read_reflected
from .threads import in_threads

Array = NDArray[Any]
Measure = Callable[[Array, Array, Array], None]

BLOCK = 1 << 16  # samples of windowed frames per signal and block: few calls, and a block stays in the cache
BLOCKS_PER_TASK = 16  # fixed, so that sums do not depend on the number of threads


@kernel
def _read(ref: Array, test: Array, coef: Any, lag: int, start: int, reflect: bool, out: Array) -> None:
    """out[signal] = samples from `start` on, of reference and test."""
    for s in range(2):
        x = ref if s == 0 else test
        if reflect and (start < 0 or start + out.shape[1] > x.size + lag):
            read_reflected(x, coef, lag, start, out[s])
        else:
            read(x, coef, lag, start, out[s])


def cutter(ref: Stream, test: Stream, stft: STFT, most: int) -> Callable[[int, int], Array]:
    """(first frame, number of frames <= most) -> their spectra, complex [2, frame, bin]; axis 0 is reference, test.

    Buffers are made once and used again: one cutter per thread.
    """
    dtype = ref.dtype
    n = stft.n_fft
    window = _padded(stft, dtype)
    samples = np.empty(2 * ((most - 1) * stft.hop + n), dtype)
    buffer = np.empty(2 * most * (n + 2), dtype)
    reflect = stft.pad == "reflect"

    def cut(frame: int, frames: int) -> Array:
        length = (frames - 1) * stft.hop + n
        part = samples[: 2 * length].reshape(2, length)
        _read(ref.samples, test.samples, ref.coef, ref.lag, frame * stft.hop - stft.lead, reflect, part)
        return frames_rfft(part, stft.hop, window, buffer[: 2 * frames * (n + 2)].reshape(2, frames, n + 2))

    return cut


def spectra(x: Array, stft: STFT) -> Iterator[Array]:
    """Of x [sample] alone, with zeros around it: complex [frame, bin], some frames after the others. Each block
    overwrites the one before."""
    count, size = stft.count(x.size), max(1, BLOCK // stft.n_fft)
    window = _padded(stft, x.dtype)
    buffer = np.empty((1, min(size, count), stft.n_fft + 2), x.dtype)
    for first in range(0, count, size):
        frames = min(size, count - first)
        samples = part(plain(x), first * stft.hop - stft.lead, (frames - 1) * stft.hop + stft.n_fft)
        yield frames_rfft(samples[None], stft.hop, window, buffer[:, :frames])[0]


@lru_cache(maxsize=64)
def _padded(stft: STFT, dtype: Any) -> Array:
    """The window in the middle of a frame."""
    window = np.zeros(stft.n_fft, dtype)
    offset = (stft.n_fft - stft.window.size) // 2
    window[offset : offset + stft.window.size] = stft.window
    return window


def fold(
    ref: Stream,
    test: Stream,
    stft: STFT,
    measure: Measure,
    terms: int,
    *,
    bins: int | None = None,
    bands: Array | None = None,
    per_frame: Callable[[Array, Array], Array] | None = None,
    keep_map: bool = False,
    lookback: int = 0,
    threads: int = 1,
) -> Sums | None:
    """Sum a measure over the spectra of a pair of equal length; None when the pair is shorter than a frame.

    measure(spectra, edges, out) writes out[frame, range, term], float64: each term's sum over the bins
        edges[i]..edges[i + 1]; spectra as a cutter gives them.
    bins: length of the axis that the edges cut (default: the bins of the spectrum).
    bands: [band + 1] ascending bin numbers; None when only the total is wanted. They need not cover all bins.
    per_frame(sums, bins): replaces the terms by what is to be summed over frames, for metrics that take a root in each
        frame: [frame, range, term], [range] -> [frame, range, term].
    lookback: frames before its own that the measure is shown first; their rows of out are dropped.
    """
    count = stft.count(ref.length)
    if count == 0:
        return None
    bins = bins or stft.bins
    edges = np.array([0, bins]) if bands is None else np.unique(np.concatenate([[0], bands, [bins]]))
    inner = slice(0, 0) if bands is None else slice(*np.searchsorted(edges, [bands[0], bands[-1]]))
    widths = np.diff(edges)
    size = max(1, min(256, BLOCK // stft.n_fft))

    def task(first: int) -> list[Array]:
        cut = cutter(ref, test, stft, size + lookback)
        stop = min(count, first + size * BLOCKS_PER_TASK)
        sums = np.zeros((stop - first, widths.size, terms))
        for frame in range(first, stop, size):
            rows = sums[frame - first : frame - first + size]
            back = min(lookback, frame)
            if back:
                shown = np.zeros((back + len(rows), widths.size, terms))
                measure(cut(frame - back, len(shown)), edges, shown)
                rows[:] = shown[back:]
            else:
                measure(cut(frame, len(rows)), edges, rows)
        whole = sums.sum(axis=1, keepdims=True) if widths.size > 1 else sums
        if per_frame:
            whole, sums = per_frame(whole, np.array([bins])), per_frame(sums, widths)
        if bands is None:
            return [whole[:, 0].sum(axis=0)]
        parts = sums[:, inner]
        return [whole[:, 0].sum(axis=0), parts.sum(axis=0), whole[:, 0], parts if keep_map else parts[:0]]

    results = in_threads(task, range(0, count, size * BLOCKS_PER_TASK), threads)
    total = np.sum([sums[0] for sums in results], axis=0)
    if bands is None:
        return Sums(total, count, bins)
    return Sums(
        total,
        count,
        bins,
        by_band=np.sum([sums[1] for sums in results], axis=0),
        by_frame=np.concatenate([sums[2] for sums in results]),
        map=np.concatenate([sums[3] for sums in results]) if keep_map else None,
        band_bins=widths[inner],
    )
