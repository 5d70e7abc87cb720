"""Envelopes of speech in third octaves without its silence, and how alike segments of them are: what STOI and ESTOI are
made of. Taal et al. 2011; Jensen and Taal 2016.

All work is done at 10 kHz. A frame counts where the reference has energy; those that count are joined again by
overlap-add.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.fft import rfft
from ..engine.kernel import exact_kernel, kernel
from ..engine.threads import in_threads

Array = NDArray[Any]

RATE = 10000  # Hz
FRAME, HOP, N_FFT = 256, 128, 512  # samples
BANDS, LOWEST = 15, 150.0  # Hz, centre of the lowest
SEGMENT = 30  # frames, 384 ms
SHORTEST = FRAME + SEGMENT * HOP + 1  # samples that have one frame more than a segment
DYNAMIC_RANGE = 40.0  # dB, below the loudest frame
CLIP = 1 + 10 ** (15 / 20)  # times the reference, at most: an error of -15 dB
WINDOW = np.hanning(FRAME + 2)[1:-1]
LANES = 16  # bands, and one more that is zero: kernels work on all at once

FRAMES_PER_TASK, SEGMENTS_PER_TASK = 256, 1024  # fixed, so that nothing depends on the number of threads


def edges() -> Array:
    """Of the bands, Hz [band + 1]."""
    return LOWEST * 2 ** ((2 * np.arange(BANDS + 1) - 1) / 6)


def centres() -> Array:
    """Of the bands, Hz [band]."""
    return LOWEST * 2 ** (np.arange(BANDS) / 3)


@cache
def bins() -> Array:
    """Of the spectrum, where bands begin and end: int64 [band + 1], each the nearest to its edge."""
    return np.round(edges() * (N_FFT / RATE)).astype(np.int64)


def frames(length: int) -> int:
    """Of so many samples; the original leaves out one that ends with them."""
    return max(0, -(-(length - FRAME) // HOP))


def counting(x: Array) -> Array:
    """Frames of the reference, x float64 [sample], that lie less than 40 dB below its loudest: int64 [frame].

    None of a silent one.
    """
    energies = np.empty(frames(x.size))
    _energies(x, WINDOW**2, HOP, energies)
    loudest = energies.max(initial=0.0)
    return np.flatnonzero(energies > loudest * 10 ** (-DYNAMIC_RANGE / 10)) if loudest > 0 else np.empty(0, np.int64)


@kernel
def _energies(x: Array, squares: Array, hop: int, out: Array) -> None:
    """out[f] = energy of frame f under the window of these squares."""
    for f in range(out.size):
        part = x[f * hop : f * hop + squares.size]
        total = 0.0
        for i in range(squares.size):
            total += squares[i] * part[i] * part[i]
        out[f] = total


def envelopes(x: Array, frames: Array, threads: int = 1) -> Array:
    """Of x float64 [sample], joined from these frames: float64 [frame, LANES], one frame less than were joined."""
    out = np.zeros((max(0, frames.size - 1), LANES))

    def task(first: int) -> None:
        part = out[first : first + FRAMES_PER_TASK]
        buffer = np.zeros((len(part), N_FFT))
        _join(x, frames, WINDOW, first, buffer)
        _magnitudes(rfft(buffer), bins(), part)

    in_threads(task, range(0, len(out), FRAMES_PER_TASK), threads)
    return out


@kernel
def _join(x: Array, frames: Array, window: Array, first: int, out: Array) -> None:
    """out[i] = windowed frame first + i of the sum of the windowed frames of x, each put half a frame behind the one
    before. A half, as all but the first and the last, holds the halves of two of them."""
    half = window.size // 2
    for i in range(out.shape[0]):
        for side in range(2):
            f = first + i + side  # the half where frame f begins
            to = out[i, side * half : (side + 1) * half]
            over = window[side * half : (side + 1) * half]
            begins = x[frames[f] * half : (frames[f] + 1) * half]
            for n in range(half):
                to[n] = window[n] * begins[n]
            if f > 0:
                ends = x[(frames[f - 1] + 1) * half : (frames[f - 1] + 2) * half]
                for n in range(half):
                    to[n] += window[half + n] * ends[n]
            for n in range(half):
                to[n] *= over[n]


@kernel
def _magnitudes(spectra: Array, bins: Array, out: Array) -> None:
    """out[frame, band] = root of the energy between two bins."""
    for f in range(out.shape[0]):
        for b in range(bins.size - 1):
            total = 0.0
            for i in range(bins[b], bins[b + 1]):
                total += spectra[f, i].real ** 2 + spectra[f, i].imag ** 2
            out[f, b] = np.sqrt(total)


def correlations(x: Array, y: Array, extended: bool, where: bool, threads: int = 1) -> tuple[Array, Array | None]:
    """How alike the segments of two envelopes [frame, LANES] are, -1 to 1: float64 [segment, band], or, when extended,
    [segment, 1]; and, where asked for, their shortfalls [frame, band], summed over the segments that hold a frame.

    Shortfalls: of unit vectors, 1 - u v is half the energy of u - v, which has a place. They add up to all of 1 - r.
    Two envelopes that do not vary are alike (the original says they are not, or draws lots).
    """
    segments = len(x) - SEGMENT + 1
    measure, width = (_extended, 1) if extended else (_plain, LANES)
    starts = range(0, segments, SEGMENTS_PER_TASK)

    def task(first: int) -> tuple[Array, Array]:
        values = np.empty((min(SEGMENTS_PER_TASK, segments - first), width))
        rows = slice(first, first + len(values) + SEGMENT - 1)
        lost = np.zeros((len(values) + SEGMENT - 1 if where else 0, LANES))
        measure(x[rows], y[rows], SEGMENT, CLIP, values, lost)
        return values, lost

    results = in_threads(task, starts, threads)
    values = np.concatenate([v for v, _ in results])
    if not where:
        return values[:, :BANDS], None
    lost = np.zeros((len(x), LANES))
    for first, (_, part) in zip(starts, results, strict=True):
        lost[first : first + len(part)] += part
    return values[:, :BANDS], lost[:, :BANDS]


# Kernels, as the array formula of correlations_torch takes 8 to 20 times as long in NumPy.


@exact_kernel
def _plain(x: Array, y: Array, segment: int, clip: float, out: Array, lost: Array) -> None:
    """STOI's: y brought to the energy of x, clipped, both without their means. Loops run over all bands at once, frames
    in order, so that equal envelopes give equal sums."""
    lanes = x.shape[1]
    for s in range(out.shape[0]):
        energy_x = np.zeros(lanes)
        energy_y = np.zeros(lanes)
        mean_x = np.zeros(lanes)
        mean_y = np.zeros(lanes)
        for n in range(s, s + segment):
            for b in range(lanes):
                energy_x[b] += x[n, b] * x[n, b]
                energy_y[b] += y[n, b] * y[n, b]
                mean_x[b] += x[n, b]
        gain = np.empty(lanes)
        for b in range(lanes):
            gain[b] = np.sqrt(energy_x[b] / energy_y[b]) if energy_y[b] > 0 else 0.0
            mean_x[b] /= segment
        for n in range(s, s + segment):
            for b in range(lanes):
                mean_y[b] += min(gain[b] * y[n, b], clip * x[n, b])
        for b in range(lanes):
            mean_y[b] /= segment
        xx = np.zeros(lanes)
        yy = np.zeros(lanes)
        xy = np.zeros(lanes)
        for n in range(s, s + segment):
            for b in range(lanes):
                u = x[n, b] - mean_x[b]
                v = min(gain[b] * y[n, b], clip * x[n, b]) - mean_y[b]
                xx[b] += u * u
                yy[b] += v * v
                xy[b] += u * v
        for b in range(lanes):
            out[s, b] = _cosine(xx[b], yy[b], xy[b])
        if lost.shape[0] == 0:
            continue
        for b in range(lanes):
            of_x = 1 / np.sqrt(xx[b]) if xx[b] > 0 else 0.0
            of_y = 1 / np.sqrt(yy[b]) if yy[b] > 0 else 0.0
            share = 0.5 if of_x > 0 and of_y > 0 else 1.0
            for n in range(s, s + segment):
                u = x[n, b] - mean_x[b]
                v = min(gain[b] * y[n, b], clip * x[n, b]) - mean_y[b]
                lost[n, b] += share * (of_x * u - of_y * v) ** 2


@exact_kernel
def _extended(x: Array, y: Array, segment: int, clip: float, out: Array, lost: Array) -> None:
    """ESTOI's: bands brought to mean 0 and energy 1, then the spectra of frames. They lie across each other, [band,
    frame], for the second half, so that again all loops run along memory and all sums in order."""
    lanes = x.shape[1]
    bands = lanes - 1
    p = np.empty((lanes, segment))
    q = np.empty((lanes, segment))
    for s in range(out.shape[0]):
        _normal_bands(x, s, p)
        _normal_bands(y, s, q)
        for z in (p, q):
            mean = np.zeros(segment)
            for b in range(bands):
                for n in range(segment):
                    mean[n] += z[b, n]
            for b in range(bands):
                for n in range(segment):
                    z[b, n] -= mean[n] / bands
        xx = np.zeros(segment)
        yy = np.zeros(segment)
        xy = np.zeros(segment)
        for b in range(bands):
            for n in range(segment):
                xx[n] += p[b, n] * p[b, n]
                yy[n] += q[b, n] * q[b, n]
                xy[n] += p[b, n] * q[b, n]
        total = 0.0
        for n in range(segment):
            total += _cosine(xx[n], yy[n], xy[n])
        out[s, 0] = total / segment
        if lost.shape[0] == 0:
            continue
        for n in range(segment):
            of_x = 1 / np.sqrt(xx[n]) if xx[n] > 0 else 0.0
            of_y = 1 / np.sqrt(yy[n]) if yy[n] > 0 else 0.0
            share = (0.5 if of_x > 0 and of_y > 0 else 1.0) / segment
            for b in range(bands):
                lost[s + n, b] += share * (of_x * p[b, n] - of_y * q[b, n]) ** 2


@exact_kernel
def _normal_bands(x: Array, start: int, out: Array) -> None:
    """out[band, n] = x[start + n, band] with mean 0 and energy 1, or 0 where it does not vary."""
    lanes, segment = out.shape
    mean = np.zeros(lanes)
    energy = np.zeros(lanes)
    for n in range(start, start + segment):
        for b in range(lanes):
            mean[b] += x[n, b]
    for b in range(lanes):
        mean[b] /= segment
    for n in range(start, start + segment):
        for b in range(lanes):
            d = x[n, b] - mean[b]
            energy[b] += d * d
    for b in range(lanes):
        energy[b] = 1 / np.sqrt(energy[b]) if energy[b] > 0 else 0.0
    for n in range(segment):
        for b in range(lanes):
            out[b, n] = (x[start + n, b] - mean[b]) * energy[b]


@exact_kernel
def _cosine(xx: float, yy: float, xy: float) -> float:
    """xy / sqrt(xx yy), exactly 1 for equal vectors; 1 for two that are 0, 0 for one."""
    if xx > 0 and yy > 0:
        return float(min(max(xy / np.sqrt(xx * yy), -1.0), 1.0))
    return 0.0 if xx > 0 or yy > 0 else 1.0


# The same on tensors [item, sample] at 10 kHz, float64. Which frames count is decided on detached samples. Shapes must
# not depend on it, so frames that do not count stand behind the others, as zeros.


def envelopes_torch() -> Callable[[Any, Any], tuple[Any, Any, Any]]:
    """(ref, test) -> their envelopes [item, frame, band], of all frames but one, and how many of these count [item]."""
    import torch
    from torch.nn import functional

    from ..engine.tensors import Constant, root

    window, squares = Constant(WINDOW), Constant(WINDOW**2)
    cuts = bins().tolist()

    def joined(x: Any, order: Any, counted: Any) -> Any:
        framed = x.unfold(-1, FRAME, HOP)[:, : order.shape[1]] * window(x)
        chosen = torch.take_along_dim(framed, order[..., None], 1) * counted[..., None]
        begins, ends = chosen.split(HOP, -1)
        return functional.pad(begins, (0, 0, 0, 1)) + functional.pad(ends, (0, 0, 1, 0))

    def magnitudes(x: Any, order: Any, counted: Any) -> Any:
        halves = joined(x, order, counted)
        spectra = torch.fft.rfft(torch.cat([halves[:, :-2], halves[:, 1:-1]], -1) * window(x), N_FFT)
        powers = spectra.real.square() + spectra.imag.square()
        return root(torch.stack([powers[..., a:b].sum(-1) for a, b in pairwise(cuts)], -1))

    def both(ref: Any, test: Any) -> tuple[Any, Any, Any]:
        count = frames(ref.shape[-1])
        with torch.no_grad():
            energies = (ref.detach().square().unfold(-1, FRAME, HOP)[:, :count] * squares(ref)).sum(-1)
            loudest = energies.amax(1, keepdim=True)
            counts = energies > loudest * 10 ** (-DYNAMIC_RANGE / 10)
            order = counts.int().argsort(dim=1, descending=True, stable=True)
            counted = torch.take_along_dim(counts, order, 1).to(ref.dtype)
        x, y = (magnitudes(z, order, counted) for z in (ref, test))
        return x, y, counts.sum(1) - 1

    return both


def correlations_torch(x: Any, y: Any, extended: bool) -> Any:
    """How alike segments of x and y [item, frame, band] are: [item, segment, band], or [..., frame] when extended."""
    from ..engine.tensors import root

    x, y = (z.unfold(1, SEGMENT, 1) for z in (x, y))  # [item, segment, band, frame]

    def normal(z: Any, axis: int) -> Any:
        z = z - z.mean(axis, keepdim=True)
        norm = root(z.square().sum(axis, keepdim=True))
        return z / norm.where(norm > 0, 1)

    axis = -1
    if extended:
        x, y, axis = normal(x, -1), normal(y, -1), -2
    else:
        energies = (z.square().sum(-1, keepdim=True) for z in (x, y))
        ratio = next(energies) / (e := next(energies)).where(e > 0, inf)
        y = (root(ratio) * y).minimum(CLIP * x)
    x, y = normal(x, axis), normal(y, axis)
    vary = [(z != 0).any(axis) for z in (x, y)]
    return (x * y).sum(axis).where(vary[0] | vary[1], 1)
