"""An estimate of a source, taken apart: the source, its spatial distortion, interference of other sources, artifacts.
Vincent et al. 2006, IEEE TASLP 14, 1462; Vincent et al. 2012, Signal Processing 92, 1928."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import dsp, engine
from ..engine.kernel import kernel
from ..engine.stream import Stream

Array = NDArray[Any]

BLOCK = 1 << 14  # samples of an FFT; the longest that engine.fft does itself
BLOCKS_PER_TASK = 32  # fixed, so that sums do not depend on the number of threads
SOURCE, SPATIAL, INTERFERENCE, ARTIFACTS, FILTERED, EXPLAINED, ERROR = range(7)


@dataclass(frozen=True, slots=True, eq=False)
class Filters:
    """taps [lag, channel of the references, channel of the estimate]. own: from the channels of the source itself;
    every: from those of all sources, its own first."""

    own: Array
    every: Array


def fitted(
    source: Sequence[Stream], others: Sequence[Stream], estimate: Sequence[Stream], taps: int, threads: int
) -> Filters:
    """The filters of this many taps that explain most of the estimate. Streams are the channels, of equal length."""
    auto, cross = dsp.projection.correlations([*source, *others], estimate, taps, threads)
    own = len(source)
    of_own = np.ascontiguousarray(auto[:, :own, :own]), np.ascontiguousarray(cross[:, :own])
    alone = dsp.projection.filters(*of_own)
    return Filters(alone, dsp.projection.filters(auto, cross) if others else alone)


def energies(
    source: Sequence[Stream],
    others: Sequence[Stream],
    estimate: Sequence[Stream],
    filters: Filters,
    threads: int = 1,
) -> Array:
    """Energies [7] of the parts of an estimate, all channels together, the tails of the filters included:

    SOURCE s, SPATIAL e_spat, INTERFERENCE e_interf, ARTIFACTS e_artif, FILTERED s + e_spat, EXPLAINED s + e_spat +
    e_interf, ERROR e_interf + e_artif.
    """
    lead = len(filters.own) - 1
    size = engine.fft.fast_length(max(BLOCK, 4 * lead))
    step, stop = size - lead, source[0].length + lead
    own, count = len(source), len(estimate)
    every = [*source, *others]
    of_own, of_all = (
        engine.fft.rfft(np.ascontiguousarray(np.moveaxis(f, 0, -1)), size) for f in (filters.own, filters.every)
    )

    def task(first: int) -> Array:
        sums = np.zeros(7)
        frames = np.empty((len(every), size))
        target = np.empty((count, step))
        products = np.empty((2 * count, size // 2 + 1), np.complex128)
        for start in range(first, min(stop, first + BLOCKS_PER_TASK * step), step):
            for frame, stream in zip(frames, every, strict=True):
                frame[:] = engine.stream.part(stream, start - lead, size)
            for frame, stream in zip(target, estimate, strict=True):
                frame[:] = engine.stream.part(stream, start, step)
            spectra = engine.fft.rfft(frames)
            products[:] = 0
            for x, response in zip(spectra, of_all, strict=True):
                products[count:] += x * response
            for x, response in zip(spectra, of_own, strict=False):
                products[:count] += x * response
            found = engine.fft.irfft(products, size)[:, lead:]
            add_energies(frames[:own, lead:], found[:count], found[count:], target, sums)
        return sums

    total: Array = np.sum(engine.threads.in_threads(task, range(0, stop, BLOCKS_PER_TASK * step), threads), axis=0)
    return total


def image_error(source: Sequence[Stream], estimate: Sequence[Stream], threads: int = 1) -> tuple[float, float]:
    """Energies of the source and of estimate - source, all channels together; no filter is needed for them."""
    moments, double = engine.moments, engine.stream.double
    pairs = [(double(s), double(e)) for s, e in zip(source, estimate, strict=True)]
    sums = [moments.over(moments.squares, 2, s, e, 0.0, 0.0, 1.0, threads=threads) for s, e in pairs]
    return float(sum(x[0] for x in sums)), float(sum(x[1] for x in sums))


@kernel
def add_energies(source: Array, filtered: Array, explained: Array, estimate: Array, sums: Array) -> None:
    """The energies of `energies`, of [channel, sample]."""
    for c in range(source.shape[0]):
        s, f, p, e = source[c], filtered[c], explained[c], estimate[c]
        a0 = a1 = a2 = a3 = a4 = a5 = a6 = 0.0
        for n in range(s.size):
            a0 += s[n] * s[n]
            a1 += (f[n] - s[n]) * (f[n] - s[n])
            a2 += (p[n] - f[n]) * (p[n] - f[n])
            a3 += (e[n] - p[n]) * (e[n] - p[n])
            a4 += f[n] * f[n]
            a5 += p[n] * p[n]
            a6 += (e[n] - f[n]) * (e[n] - f[n])
        sums += np.array([a0, a1, a2, a3, a4, a5, a6])


# Torch, of a source alone

LOAD = 1e-12  # of the mean energy of the channels, on the diagonal: one may be silent, or a copy of another


def filtered_torch(taps: int) -> tuple[Callable[[Any, Any], Any], Callable[[Any, Any], Any]]:
    """fitted(source, estimate [item, channel, sample], float64) -> the own filters of `fitted`, [item, channel of the
    source, channel of the estimate, lag]; and filtered(source, filters) -> [item, channel of the estimate, sample],
    tails included."""
    import torch

    from ..engine.tensors import fast_length

    def transforms(*signals: Any) -> tuple[list[Any], int]:
        size = fast_length(signals[0].shape[-1] + taps)
        return [torch.fft.rfft(x, size) for x in signals], size

    def fitted(source: Any, estimate: Any) -> Any:
        channels = source.shape[1]
        (x, y), size = transforms(source, estimate)
        auto, cross = (torch.fft.irfft(x.conj()[:, :, None] * z[:, None], size) for z in (x, y))
        lag = torch.arange(taps, device=source.device)
        system = auto[..., (lag - lag[:, None]) % size]  # [item, i, j, b, a]: sum of x_i[n - a] x_j[n - b]
        system = system.permute(0, 2, 3, 1, 4).flatten(3).flatten(1, 2)
        energy = source.square().sum((1, 2)) / channels
        load = LOAD * torch.where(energy > 0, energy, 1)
        system = system + load[:, None, None] * torch.eye(channels * taps, dtype=source.dtype, device=source.device)
        right = cross[..., :taps].transpose(2, 3).flatten(1, 2)
        solved = torch.linalg.solve(system, right)
        return solved.unflatten(1, (channels, taps)).transpose(2, 3)

    def filtered(source: Any, filters: Any) -> Any:
        (x, h), size = transforms(source, filters)
        found = torch.fft.irfft((x[:, :, None] * h).sum(1), size)
        return found[..., : source.shape[-1] + taps - 1]

    return fitted, filtered
