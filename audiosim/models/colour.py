"""Colour of a recording at 48 kHz, whatever is played: levels in bands, image between two channels, shapes of blocks.

Hann frames of 85 ms, half overlapping, zeros beyond the ends. 32 bands from 40 Hz to 16 kHz, evenly spaced in ERB-rate.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import fft, fold
from ..engine.frames import STFT
from ..errors import NoFeature
from ..hearing import scales
from .unaligned import too_short

Array = NDArray[Any]

RATE = 48000  # Hz
FRAME, HOP = 4096, 2048
BANDS, LOWEST, HIGHEST = 32, 40.0, 16000.0
FLOOR = 1e-8  # of the mean power of a band: silence
SILENCE = 1e-30  # mean power that silence is given
LOW = 700.0  # Hz, up to which the phase tells delays of 0.7 ms
CHUNK = 1 << 18  # samples whose spectrum is taken at a time
PLACES, LOUDNESS = 17, 0.3  # places from right to left; frames count as this power of their energy
BLOCK, FEWEST = 4096, 4  # samples, and blocks that are needed
OCTAVES, FIRST = 7, 1 << 9  # FIRST: bins of the lowest octave, and where it begins: 94 Hz
ACTIVE = 1e-4  # of the power of the loudest block
SHAPES, SHAPES_IN_ALL = 4, 22
TINY = 1e-12
# Deviations of the shapes among riffs through one device, of loud and of soft blocks: tests/benchmarks/devices.py
SCALE = np.array(
    [
        [0.04, 0.06, 0.05, 0.03, 0.10, 0.05, 0.06, 0.06, 0.05, 0.05, 0.10],
        [0.25, 0.17, 0.06, 0.09, 0.08, 0.10, 0.07, 0.07, 0.12, 0.17, 0.20],
    ]
)


@cache
def stft() -> STFT:
    return STFT.of(FRAME, HOP, pad="zero")


@cache
def cuts() -> Array:
    """Edges of the bands in bins, int64 [band + 1]."""
    hz = scales.erb_rate_inverse(np.linspace(scales.erb_rate(LOWEST), scales.erb_rate(HIGHEST), BANDS + 1))
    return np.round(hz * (FRAME / RATE)).astype(np.int64)


@cache
def centres() -> Array:
    """Of the bands, Hz [band]."""
    return (cuts()[1:] + cuts()[:-1]) / 2 * (RATE / FRAME)


def levels(x: Array) -> Array:
    """Of x [sample] in the bands, dB [band], of mean 0."""
    sums: Any = sum((z.real**2 + z.imag**2).sum(0) for z in fold.spectra(x, stft()))
    power = scales.by_band(sums[: cuts()[-1]], cuts())
    level = 10 * np.log10(power / (power.mean() + SILENCE) + FLOOR)
    result: Array = level - level.mean()
    return result


def levels_torch() -> Callable[[Any], Any]:
    """x [item, channel, sample] -> levels of the mean of the channels [item, band]."""
    from ..engine import tensors

    transform, gather = tensors.spectra(stft()), _gather_torch()

    def of(x: Any) -> Any:
        power = gather(tensors.power(transform(x.mean(1)), 0.0).sum(1))
        level = 10 * (power / (power.mean(1, keepdim=True) + SILENCE) + FLOOR).log10()
        return level - level.mean(1, keepdim=True)

    return of


def _gather_torch() -> Callable[[Any], Any]:
    """Sums over the bins of each band: [..., bin] -> [..., band]."""
    from ..engine import tensors

    inside = np.zeros((stft().bins, BANDS))
    for band, (start, stop) in enumerate(pairwise(cuts())):
        inside[start:stop, band] = 1
    weights = tensors.Constant(inside)
    return lambda bins: tensors.product(bins, weights(bins))


def rms(one: Array, many: Array) -> Array:
    """Of the difference of one [value] and many [item, value]: [item]."""
    result: Array = np.sqrt(np.square(many - one).mean(1))
    return result


def rms_torch(ref: Any, test: Any) -> Any:
    """[item, value] twice -> [item]; its gradient is 0 where both are equal."""
    from ..engine.tensors import root

    return root((test - ref).square().mean(1))


def image(samples: Array) -> Array:
    """Of one channel or two: Stokes vectors (P_l - P_r, 2 Re C, 2 Im C) / (P_l + P_r) [3, band], then the part of the
    side in the power, the level of the left over the right in dB, and the delay of the right in ms."""
    if len(samples) > 2:
        raise NoFeature(f"has {len(samples)} channels: a stereo image has two")
    if not samples.any():
        raise NoFeature("is silent")
    left, right = samples.astype(np.float64)[[0, -1]]
    sums: Any = 0.0
    for both in zip(*(fold.spectra(x, stft()) for x in (left, right)), strict=True):
        cross = both[0] * both[1].conj()
        powers = (np.square(z.real) + np.square(z.imag) for z in both)
        sums = sums + np.stack([p.sum(0) for p in (*powers, cross.real, cross.imag)])
    of_left, of_right, real, imag = scales.by_band(sums[:, : cuts()[-1]], cuts())
    power = of_left + of_right
    vectors = np.stack([of_left - of_right, 2 * real, 2 * imag]) / (power + FLOOR * power.mean() + SILENCE)
    low = centres() < LOW
    turn = np.angle(real + 1j * imag)[low]
    weight = power[low] / centres()[low]
    delay = np.sum(weight * turn) / (2e-3 * np.pi * np.sum(power[low]) + SILENCE)
    a, b = left @ left, right @ right
    width = (a + b - 2 * left @ right) / (2 * (a + b))
    balance = 10 * np.log10((a + FLOOR * b) / (b + FLOOR * a))
    return np.concatenate([vectors.reshape(-1), [width, balance, delay]])


def apart(one: Array, many: Array) -> Array:
    """Half the distance of the Stokes vectors, the mean over bands, of one image [value] and many [item, value]."""
    vectors = (many - one)[:, :-3].reshape(len(many), 3, -1)
    result: Array = np.sqrt(np.square(vectors).sum(1)).mean(1) / 2
    return result


def image_torch() -> Callable[[Any], Any]:
    """x [item, channel, sample] -> Stokes vectors [item, 3, band]."""
    from ..engine import tensors
    from ..errors import InputError

    transform, gather = tensors.spectra(stft()), _gather_torch()

    def of(x: Any) -> Any:
        import torch

        if x.shape[1] > 2:
            raise InputError(f"{x.shape[1]} channels: a stereo image has two")
        left, right = transform(x[:, 0]), transform(x[:, -1])
        powers = (tensors.power(z, 0.0).sum(1) for z in (left, right))
        cross = (left * right.conj()).sum(1)
        of_left, of_right, real, imag = gather(torch.stack([*powers, cross.real, cross.imag])).unbind()
        power = of_left + of_right
        vectors = torch.stack([of_left - of_right, 2 * real, 2 * imag], 1)
        return vectors / (power + FLOOR * power.mean(1, keepdim=True) + SILENCE)[:, None]

    return of


def apart_torch(ref: Any, test: Any) -> Any:
    """Of Stokes vectors [item, 3, band] twice -> [item]."""
    from ..engine.tensors import root

    return root((test - ref).square().sum(1)).mean(1) / 2


def panorama(samples: Array) -> Array:
    """Of one channel or two: the distribution over time of the place (P_l - P_r) / (P_l + P_r) in each band, cumulated
    up to PLACES places from -1 to 1, flat [band * place]. Frames count as P^0.3, and are as wide as a step is."""
    left, right = samples.astype(np.float64)[[0, -1]]
    total, sums, step = np.zeros((BANDS, 1)), np.zeros((BANDS, PLACES)), 2 / (PLACES - 1)
    for both in zip(*(fold.spectra(x, stft()) for x in (left, right)), strict=True):
        of_left, of_right = (scales.by_band((z.real**2 + z.imag**2)[:, : cuts()[-1]], cuts()) for z in both)
        power = of_left + of_right
        place = (of_left - of_right) / (power + SILENCE)
        weight = power**LOUDNESS
        total[:, 0] += weight.sum(0)
        sums += np.einsum("tb,tbp->bp", weight, np.clip(0.5 + (places() - place[:, :, None]) / step, 0, 1))
    result: Array = (sums / (total + SILENCE)).reshape(-1)
    return result


@cache
def places() -> Array:
    return np.linspace(-1, 1, PLACES)


def panorama_torch() -> Callable[[Any], Any]:
    """x [item, channel, sample] -> [item, band * place]. The loudness of a silent frame has no gradient."""
    import torch

    from ..engine import tensors

    transform, gather, at = tensors.spectra(stft()), _gather_torch(), tensors.Constant(places())

    def of(x: Any) -> Any:
        of_left, of_right = (gather(tensors.power(transform(x[:, side]), 0.0)) for side in (0, -1))
        power = of_left + of_right
        place = (of_left - of_right) / (power + SILENCE)
        heard = power > 0
        weight = torch.where(heard, power, 1) ** LOUDNESS * heard
        under = (0.5 + (at(x) - place[..., None]) / (2 / (PLACES - 1))).clamp(0, 1)
        return ((weight[..., None] * under).sum(1) / (weight.sum(1) + SILENCE)[..., None]).flatten(1)

    return of


def moved(one: Array, many: Array) -> Array:
    """How far places must move for one panorama [value] to become each of many [item, value], from 0 to 1: half the
    area between the cumulated distributions, the mean over bands."""
    result: Array = np.abs(many - one).mean(1) * (PLACES / (PLACES - 1))
    return result


def moved_torch(ref: Any, test: Any) -> Any:
    """[item, value] twice -> [item]."""
    return (test - ref).abs().mean(1) * (PLACES / (PLACES - 1))


def scaled_shapes(x: Array) -> Array:
    """The shapes over their scales, flat [22]."""
    result: Array = (shapes(x) / SCALE).reshape(-1)
    return result


def shapes(x: Array) -> Array:
    """Means over the blocks of x [sample] above and below the median level, of those within 40 dB of the loudest:
    [2, 11]: |skewness|, ln kurtosis, ln of the peak over the root mean square, |ln| of the higher over the lower side;
    ln kurtosis of the envelope in seven octaves. NoFeature where x is shorter than four blocks."""
    if x.size < FEWEST * BLOCK:
        raise NoFeature(f"is {too_short(x.size, FEWEST * BLOCK, RATE)}")
    parts = [_blocks(x[at : at + CHUNK]) for at in range(0, x.size - BLOCK + 1, CHUNK)]
    rows, level = (np.concatenate(found) for found in zip(*parts, strict=True))
    active = level > ACTIVE * level.max()
    rows, level = rows[active], level[active]
    middle = np.median(level)
    return np.stack([rows[level >= middle].mean(0), rows[level <= middle].mean(0)])


def scaled_shapes_torch() -> Callable[[Any], Any]:
    """x [item, channel, sample] -> shapes of the mean of the channels, over their scales [item, 22]. Which blocks are
    loud, soft or left out is held fixed in the gradient."""
    from ..engine import tensors
    from ..errors import InputError

    scale = tensors.Constant(SCALE)

    def of(x: Any) -> Any:
        import torch

        x = x.mean(1)
        if x.shape[1] < FEWEST * BLOCK:
            raise InputError(too_short(x.shape[1], FEWEST * BLOCK, RATE))
        rows, level = _blocks_torch(x)
        with torch.no_grad():
            active = level > ACTIVE * level.amax(1, keepdim=True)
            ordered = torch.where(active, level, torch.inf).sort(1).values
            count = active.sum(1, keepdim=True)
            middle = (ordered.gather(1, (count - 1).clamp(min=0) // 2) + ordered.gather(1, count // 2)) / 2
            chosen = torch.stack([active & (level >= middle), active & (level <= middle)], 1).to(x.dtype)
        means = chosen @ rows / chosen.sum(2, keepdim=True).clamp(min=1)
        return (means / scale(x)).flatten(1)

    return of


def _blocks_torch(x: Any) -> Any:
    """As _blocks, of x [item, sample]: [item, block, 11] and [item, block]."""
    import torch
    from torch.nn import functional

    count = x.shape[1] // BLOCK
    blocks = x[:, : count * BLOCK].unflatten(1, (count, BLOCK))
    blocks = blocks - blocks.mean(2, keepdim=True)
    power = blocks.square().mean(2)
    u = blocks / (power + SILENCE).sqrt()[:, :, None]
    square = u.square()
    high, low = (side.clamp(min=0) + TINY for side in (u.amax(2), -u.amin(2)))
    found = [
        (square * u).mean(2).abs(),
        (square.square().mean(2) + TINY).log(),
        torch.maximum(high, low).log(),
        (high / low).log().abs(),
    ]
    chunks = -(-count * BLOCK // CHUNK)
    x = x[:, : chunks * CHUNK]
    spectrum = torch.fft.rfft(functional.pad(x, (0, chunks * CHUNK - x.shape[1])).unflatten(1, (chunks, CHUNK)))
    floor = (1e-6 * power).square() + SILENCE
    for octave in range(OCTAVES):
        size = FIRST << octave
        z = torch.fft.ifft(spectrum[..., size : 2 * size]) * (size / CHUNK)
        p = (z.real.square() + z.imag.square()).reshape(len(x), chunks * CHUNK // BLOCK, -1)[:, :count]
        found.append(((p.square().mean(2) + floor) / (p.mean(2).square() + floor)).log())
    return torch.stack(found, 2), power


def _blocks(x: Array) -> tuple[Array, Array]:
    """Of whole blocks: what shapes takes means of [block, 11], and power [block]."""
    count = x.size // BLOCK
    blocks = x[: count * BLOCK].reshape(count, BLOCK)
    blocks = blocks - blocks.mean(1, keepdims=True)
    power = np.square(blocks).mean(1)
    u = blocks / np.sqrt(power + SILENCE)[:, None]
    square = u * u
    high, low = (np.maximum(side, 0) + TINY for side in (u.max(1), -u.min(1)))  # of a constant rounding is left
    out = np.empty((count, SHAPES + OCTAVES))
    out[:, 0] = np.abs(np.einsum("bn,bn->b", square, u)) / BLOCK
    out[:, 1] = np.log(np.einsum("bn,bn->b", square, square) / BLOCK + TINY)
    out[:, 2] = np.log(np.maximum(high, low))
    out[:, 3] = np.abs(np.log(high / low))
    spectrum = fft.rfft(x, CHUNK)
    for octave in range(OCTAVES):
        size = FIRST << octave
        envelope = fft.analytic_magnitude(spectrum[size : 2 * size].copy()) * (size / CHUNK)
        p = np.square(envelope).reshape(CHUNK // BLOCK, -1)[:count]
        floor = np.square(1e-6 * power) + SILENCE
        out[:, SHAPES + octave] = np.log((np.square(p).mean(1) + floor) / (np.square(p.mean(1)) + floor))
    return out, power
