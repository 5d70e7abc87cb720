"""How much of the information in the envelopes of speech a second recording shares, as SIIB-Gauss counts it.

Van Kuyk, Kleijn and Hendriks 2018, IEEE SPL 25(1), with the Gaussian channel of their evaluation, TASLP 26(11). Log
energies of gammatone bands, forward-masked (Rhebergen, Versfeld and Dreschler 2006), are stacked over 15 frames and
turned into the uncorrelated components of the reference; each is a Gaussian channel of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..engine.frames import STFT
from ..engine.kernel import exact_kernel, kernel
from ..engine.stream import plain
from ..engine.threads import in_threads
from ..engine.windows import periodic
from ..hearing import scales

Array = NDArray[Any]

RATE = 16000  # Hz
FRAME, HOP = 400, 200  # samples
BANDS, LOWEST, HIGHEST = 28, 100.0, 6500.0  # Hz, centres, one ERB apart
ORDER, REACH = 4, 1e-3  # of the gammatone filters; magnitude below which they end
DYNAMIC_RANGE, LOUDEST = 40.0, 0.999  # dB below this quantile of the frames' levels
FLOOR = float(np.finfo(np.float64).eps)  # added to powers, relative to the variance of the reference
MASKING = 16  # frames, 200 ms, over which a sound masks
STACK = 15  # frames, 187.5 ms
SIZE = STACK * BANDS
SHORTEST = FRAME + (STACK + 1) * HOP + 1  # samples that have two frames more than a stack
PER_SECOND = RATE / HOP / STACK  # stacks that do not overlap
PRODUCTION = 0.75**2  # squared correlation that two speakers of one text have
STILL = 1e-10  # share of the largest variance below which a component does not vary
STILLEST = 1e-20  # nepers^2, the same where nothing does
FRAMES_PER_TASK = 32  # fixed, so that nothing depends on the number of threads; their spectra stay in cache
STACKS_PER_TASK = 1024


def frames(length: int) -> int:
    """Of so many samples; as in the original, one that ends with them is left out."""
    return max(0, -(-(length - FRAME) // HOP))


@cache
def centres() -> Array:
    """Of the bands, Hz [band]."""
    return scales.erb_rate_inverse(np.linspace(scales.erb_rate(LOWEST), scales.erb_rate(HIGHEST), BANDS))


@cache
def filters() -> Array:
    """Squared magnitudes [band, bin] of gammatone filters, 1 at their best bin."""
    width = 36 / (np.pi * 720 * 2**-6)  # 3!^2 / (pi 6! 2^-6): with it the filters have the bandwidth of the ear
    bandwidths = width * 24.7 * (1 + 4.37e-3 * centres())
    hz = np.arange(FRAME // 2 + 1) * (RATE / FRAME)
    magnitude = (bandwidths[:, None] ** 2 + (hz - centres()[:, None]) ** 2) ** (-ORDER / 2)
    magnitude /= magnitude.max(axis=1, keepdims=True)
    magnitude[magnitude < REACH] = 0
    result: Array = magnitude**2
    return result


@cache
def decays() -> Array:
    """How far masking has gone from a sound to the lowest level of its band, after so many frames [MASKING]."""
    result: Array = np.log(np.arange(1, MASKING + 1)) / np.log(MASKING)
    return result


@cache
def _stft() -> STFT:
    return STFT(FRAME, HOP, periodic("hann", FRAME), 0, 0, "zero")


def envelopes(ref: Array, test: Array, threads: int = 1) -> tuple[Array, Array]:
    """Of ref and test [sample] at 16 kHz: masked log energies, less their means, float64 [2, frame, band], in the
    frames that count, int64 [frame]: those of the reference within 40 dB of its loudest.

    No frame of a reference that does not vary.
    """
    r = plain(np.ascontiguousarray(ref))
    mean, _ = engine.moments.mean_pair(r, r, threads)
    energy = engine.moments.over(engine.moments.squares, 2, r, r, mean, mean, 1.0, threads=threads)[0]
    if not energy > FLOOR**2 * ref.size:
        return np.empty((2, 0, BANDS)), np.empty(0, np.int64)
    levels, logs = _log_energies(ref, test, ref.size / energy, threads)
    loudest = np.partition(levels, place := round(LOUDEST * levels.size) - 1)[place]
    kept = np.flatnonzero(levels > loudest * 10 ** (-DYNAMIC_RANGE / 10))
    lowest = logs[0, kept].min(axis=0)
    out = np.empty((2, kept.size, BANDS))

    def task(first: int) -> None:
        for z, masked in zip(logs, out, strict=True):
            _mask(z, kept, lowest, decays(), first, masked[first : first + FRAMES_PER_TASK])

    in_threads(task, range(0, kept.size, FRAMES_PER_TASK), threads)
    out[:, -1] = lowest  # in the original too, all that is left of its last frame
    out -= out.mean(axis=1, keepdims=True)
    return out, kept


def _log_energies(ref: Array, test: Array, scale: float, threads: int) -> tuple[Array, Array]:
    """Mean power of the windowed reference, times scale [frame]; log energies of both [2, frame, band]."""
    count, weights = frames(ref.size), filters()
    starts, stops = scales.support(weights)
    levels, logs = np.empty(count), np.empty((2, count, BANDS))

    def task(first: int) -> None:
        stop = min(first + FRAMES_PER_TASK, count)
        part = slice(first * HOP, (stop - 1) * HOP + FRAME)
        r, t = (plain(x[part].astype(np.float64)) for x in (ref, test))
        spectra = engine.fold.cutter(r, t, _stft(), stop - first)(0, stop - first)
        out = logs[:, first:stop]
        _energies(spectra, weights, starts, stops, levels[first:stop], out)
        out *= scale
        out += FLOOR * weights.sum(axis=1)
        np.log(out, out=out)

    in_threads(task, range(0, count, FRAMES_PER_TASK), threads)
    return levels * (scale / FRAME**2) + FLOOR, logs


@kernel
def _energies(spectra: Array, weights: Array, starts: Array, stops: Array, levels: Array, out: Array) -> None:
    """out[signal, frame, band] = sum of weight times power over the bins of spectra [signal, frame, bin]; levels[frame]
    = the reference's over all bins, both sides of the spectrum."""
    bins = spectra.shape[2]
    power = np.empty(bins)
    for f in range(levels.size):
        for s in range(2):
            z = spectra[s, f]
            for k in range(bins):
                power[k] = z[k].real * z[k].real + z[k].imag * z[k].imag
            for b in range(starts.size):
                total = 0.0
                for k in range(starts[b], stops[b]):
                    total += weights[b, k] * power[k]
                out[s, f, b] = total
            if s == 0:
                total = 0.0
                for k in range(1, bins - 1):
                    total += power[k]
                levels[f] = power[0] + 2 * total + power[bins - 1]


@exact_kernel
def _mask(logs: Array, kept: Array, lowest: Array, decays: Array, first: int, out: Array) -> None:
    """out[i] = the largest of what the sounds in frame first + i and before it have decayed to, of the frames kept."""
    for i in range(len(out)):
        row = out[i]
        row[:] = -np.inf
        for k in range(min(decays.size, first + i + 1)):
            before = logs[kept[first + i - k]]
            for b in range(row.size):
                row[b] = max(row[b], before[b] - decays[k] * (before[b] - lowest[b]))


@dataclass(frozen=True, slots=True, eq=False)
class Information:
    """What the envelopes [2, frame, band] of a pair share.

    basis: the components in which the reference varies, as columns [SIZE, component]; gain: of the test over the
    reference in each; residual: mean square of what that leaves of the test; lost: bits per stack that it lacks to the
    reference. still_residual, still_lost: of all others together.
    """

    basis: Array
    gain: Array
    residual: Array
    lost: Array
    still_residual: float
    still_lost: float

    @property
    def lost_per_second(self) -> float:
        """In bits; exactly 0 for equal recordings."""
        return float(PER_SECOND * (self.lost.sum() + self.still_lost))


def information(envelopes: Array, threads: int = 1) -> Information:
    """Of two envelopes of more than STACK + 1 frames.

    Below 5.5 s of speech the reference has fewer stacks than these have values, and components are left in which it
    does not vary. The original takes those that rounding gives it: its value changes with the machine, for 3 s by some
    1e-3. Here they count what they would in the mean over all choices of them, were the variance of the test the same
    in each: with its squared mean m and its variance v there, all together, the squared correlation is m g^2 / (m g^2 +
    v), g normal.
    """
    covariances, means = _moments(envelopes, threads)
    values, basis = np.linalg.eigh(covariances[0])
    basis = np.ascontiguousarray(basis[:, values > max(STILL * values[-1], STILLEST)])
    spread_xx, spread_xy, spread_yy = np.einsum("mij,ij->mj", covariances @ basis, basis)
    x, y = means @ basis
    xx, xy, yy = spread_xx + x * x, spread_xy + x * y, spread_yy + y * y
    rho = np.divide(xy * xy, xx * yy, out=np.zeros_like(xy), where=yy > 0)
    gain = xy / xx
    still = SIZE - basis.shape[1]
    variance = lost = 0.0
    if still:
        level = max(np.square(means[1]).sum() - np.square(y).sum(), 0.0)
        traces = np.trace(covariances, axis1=1, axis2=2)  # variances are those of test - reference: 0 for equal ones
        variance = max(_apart(*traces) - _apart(spread_xx, spread_xy, spread_yy).sum(), 0.0)
        nodes, weights = _normal()
        total = level * nodes + variance
        of_level = np.divide(level * nodes, total, out=np.ones_like(total), where=total > 0)
        lost = still * float(weights @ _lost(of_level))
    return Information(basis, gain, np.maximum(yy - gain * xy, 0.0), _lost(np.minimum(rho, 1.0)), variance, lost)


def _apart(xx: Any, xy: Any, yy: Any) -> Any:
    """Variance of y - x."""
    return (xx - xy) + (yy - xy)


def _lost(rho: Any) -> Any:
    """Bits that a component of this squared correlation lacks to one of 1: the rest of eq. 1 of the evaluation."""
    return 0.5 * np.log2((1 - PRODUCTION * rho) / (1 - PRODUCTION))


@cache
def _normal() -> tuple[Array, Array]:
    """Squared nodes, and weights, of a mean over a normal variable."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(32)
    return nodes**2, weights / weights.sum()


def _moments(envelopes: Array, threads: int) -> tuple[Array, Array]:
    """Covariances [3, SIZE, SIZE] of the stacks of reference and reference, reference and test, test and test, and
    means [2, SIZE]; the bits are the same where the envelopes are.

    Blocks of them on one diagonal are sums of the same products but for those at either end.
    """
    stacks = envelopes.shape[1] - STACK
    pairs = ((0, 0), (0, 1), (1, 0), (1, 1))
    lagged = np.zeros((4, STACK, BANDS, BANDS))

    def task(i: int) -> None:
        a, b = pairs[i // STACK]
        _lagged(envelopes[a], envelopes[b], i % STACK, stacks, lagged[i // STACK, i % STACK])

    in_threads(task, range(4 * STACK), threads)
    sums = np.empty((3, SIZE, SIZE))
    for i, (a, b, ahead, back) in enumerate(((0, 0, 0, 0), (0, 1, 1, 2), (1, 1, 3, 3))):
        _unfold(envelopes[a], envelopes[b], lagged[ahead], lagged[back], stacks, sums[i])
    means = _means(envelopes)
    x, y = means
    for i, (a, b) in enumerate(((x, x), (x, y), (y, y))):
        sums[i] = sums[i] / stacks - np.outer(a, b)
    return sums, means


def _means(envelopes: Array) -> Array:
    """Of the stacks [2, SIZE]."""
    stacks = envelopes.shape[1] - STACK
    parts = [envelopes[:, k : k + stacks].mean(axis=1) for k in range(STACK)]
    return np.stack(parts, axis=1).reshape(2, SIZE)


@exact_kernel
def _lagged(x: Array, y: Array, lag: int, stacks: int, out: Array) -> None:
    """out[i, j] += sum of x[s, i] y[s + lag, j] over the stacks s."""
    for s in range(stacks):
        row = y[s + lag]
        for i in range(x.shape[1]):
            value = x[s, i]
            for j in range(row.size):
                out[i, j] += value * row[j]


@exact_kernel
def _unfold(x: Array, y: Array, ahead: Array, back: Array, stacks: int, out: Array) -> None:
    """out[a bands + i, b bands + j] = sum of x[s + a, i] y[s + b, j] over the stacks s, from the sums of _lagged of x
    and y, ahead, and of y and x, back."""
    count, bands = ahead.shape[0], ahead.shape[1]
    for lag in range(count):
        for a in range(count - lag):
            b = a + lag
            for i in range(bands):
                for j in range(bands):
                    p, q = a * bands + i, b * bands + j
                    if a == 0:
                        out[p, q] = ahead[lag, i, j]
                        out[q, p] = back[lag, i, j]
                        continue
                    u, v = a - 1 + stacks, b - 1 + stacks
                    out[p, q] = out[p - bands, q - bands] + (x[u, i] * y[v, j] - x[a - 1, i] * y[b - 1, j])
                    out[q, p] = out[q - bands, p - bands] + (y[u, i] * x[v, j] - y[a - 1, i] * x[b - 1, j])


def lost_in(found: Information, envelopes: Array, threads: int = 1) -> Array:
    """Where the lost information lies: [frame, band] >= 0, whose sum is what was lost in all stacks.

    What of the test its components do not have from the reference, weighted by what each of them loses, is turned back
    into frames and bands, where it has an energy.
    """
    stacks = envelopes.shape[1] - STACK
    basis, there = found.basis, found.residual > 0
    weights = np.sqrt(np.divide(found.lost, found.residual, out=np.zeros(there.size), where=there))
    still = np.sqrt(found.still_lost / found.still_residual) if found.still_residual > 0 else 0.0
    of_still = still * (np.eye(SIZE) - basis @ basis.T)
    of_test = (basis * weights) @ basis.T + of_still
    of_ref = (basis * (weights * found.gain)) @ basis.T + of_still
    mean = _means(envelopes)
    constant = (mean[1] - mean[0]) @ of_still

    def task(first: int) -> Array:
        count = min(STACKS_PER_TASK, stacks - first)
        rows = np.arange(first, first + count)[:, None] + np.arange(STACK)
        x, y = (z[rows].reshape(count, SIZE) for z in envelopes)
        rest = np.square(y @ of_test - x @ of_ref - constant).reshape(count, STACK, BANDS)
        cells = np.zeros((count + STACK - 1, BANDS))
        for k in range(STACK):
            cells[k : k + count] += rest[:, k]
        return cells

    starts = range(0, stacks, STACKS_PER_TASK)
    cells = np.zeros(envelopes.shape[1:])
    for first, some in zip(starts, in_threads(task, starts, threads), strict=True):
        cells[first : first + len(some)] += some
    return cells


def information_torch() -> Callable[[Any, Any], Any]:
    """ref, test [item, sample] at 16 kHz, float64 -> lost bit/s [item], and whether enough of the reference counts.

    The frames that count and the components of the reference are those of detached samples.
    """
    import torch
    from torch.nn import functional

    from ..engine.tensors import Constant, power

    window, weights, decay = Constant(_stft().window), Constant(filters().T), Constant(decays())
    floors, nodes, chances = Constant(FLOOR * filters().sum(axis=1)), Constant(_normal()[0]), Constant(_normal()[1])

    def lost(rho: Any) -> Any:
        return 0.5 * torch.log2((1 - PRODUCTION * rho) / (1 - PRODUCTION))

    def ratio(a: Any, b: Any, otherwise: float) -> Any:
        there = b > 0
        return torch.where(there, a / torch.where(there, b, 1), otherwise)

    def counting(powers: Any, variance: Any) -> Any:
        """Which frames count [item, frame]."""
        both_sides = powers.sum(-1) * 2 - powers[..., 0] - powers[..., -1]
        levels = both_sides / (FRAME**2 * variance) + FLOOR
        loudest = levels.sort(1).values[:, round(LOUDEST * levels.shape[1]) - 1, None]
        return levels > loudest * 10 ** (-DYNAMIC_RANGE / 10)

    def masked(x: Any, lowest: Any) -> Any:
        earlier = functional.pad(x, (0, 0, MASKING - 1, 0)).unfold(1, MASKING, 1).flip(-1)
        faded = earlier - decay(x) * (earlier - lowest[..., None])
        exists = torch.arange(x.shape[1], device=x.device)[:, None, None] >= torch.arange(MASKING, device=x.device)
        return torch.where(exists, faded, -torch.inf).amax(-1)

    def stacked(x: Any) -> Any:
        return x.unfold(1, STACK, 1)[:, :-1].transpose(2, 3).flatten(2)

    def measure(ref: Any, test: Any) -> Any:
        count = frames(ref.shape[-1])
        variance = (ref - ref.mean(1, keepdim=True)).square().mean(1, keepdim=True)
        silent = variance <= FLOOR**2
        variance = torch.where(silent, 1, variance)
        spectra = (torch.fft.rfft(z.unfold(-1, FRAME, HOP)[:, :count] * window(z)) for z in (ref, test))
        powers = [power(z, 0.0) for z in spectra]
        with torch.no_grad():
            counts = counting(powers[0], variance)
            order = counts.int().argsort(dim=1, descending=True, stable=True)
            number = counts.sum(1)[:, None, None]
            place = torch.arange(count, device=ref.device)[:, None]
            there, last = place < number, place == number - 1
            used = place[: count - STACK] < number - STACK
            stacks = (number - STACK).clamp(min=1)
        logs = [torch.log(p @ weights(p) / variance[..., None] + floors(p)) for p in powers]
        logs = [torch.take_along_dim(z, order[..., None], 1) for z in logs]
        lowest = torch.where(there, logs[0], torch.inf).amin(1, keepdim=True)
        both = (torch.where(last, lowest, masked(z, lowest)) * there for z in logs)
        x, y = (stacked(z - z.sum(1, keepdim=True) / number) * used for z in both)
        means = [z.sum(1, keepdim=True) / stacks for z in (x, y)]
        with torch.no_grad():
            centred = (x - means[0]) * used
            values, basis = torch.linalg.eigh(centred.transpose(1, 2) @ centred / stacks)
            varies = values > (STILL * values[:, -1:]).clamp(min=STILLEST)
        a, b = x @ basis, y @ basis
        xx, xy, yy = ((p * q).sum(1) / stacks[..., 0] for p, q in ((a, a), (a, b), (b, b)))
        rho = ratio(xy.square(), torch.where(varies, xx * yy, 0), 0.0).clamp(max=1)
        apart = ((y - x - means[1] + means[0]) * used) @ basis
        still = ~varies
        variance = (apart.square().sum(1) / stacks[..., 0] * still).sum(1, keepdim=True)
        level = ((means[1] @ basis)[:, 0].square() * still).sum(1, keepdim=True)
        heard = level * nodes(level)
        of_still = (lost(ratio(heard, heard + variance, 1.0)) * chances(level)).sum(1) * still.sum(1)
        total = (lost(rho) * varies).sum(1) + of_still
        return PER_SECOND * total, ~silent[:, 0] & (number[:, 0, 0] > STACK + 1)

    return measure
