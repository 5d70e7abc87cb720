"""Stages of this folder as torch text, for gradients on any device: the same formulas and clamps as the kernels.

Signals are [item, sample]; an item is one channel of one element of a batch, and nothing here mixes items.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from ..errors import InputError
from .decibels import EPS
from .frames import STFT


class Constant:
    """A NumPy array that becomes a tensor of the dtype and on the device of what it meets; each is made once."""

    def __init__(self, array: Any) -> None:
        self.array = np.ascontiguousarray(array)
        self.tensors: dict[Any, Tensor] = {}

    def __call__(self, like: Tensor) -> Tensor:
        key = like.dtype, like.device
        if key not in self.tensors:
            with torch.inference_mode(False):
                self.tensors[key] = torch.as_tensor(self.array).to(like.dtype).to(like.device)
        return self.tensors[key]


def filtered(x: Tensor, coef: float, lag: int) -> Tensor:
    """y[n] = x[n] - coef x[n - lag], the whole response [item, sample + lag], as dsp.stream."""
    return functional.pad(x, (0, lag)) - coef * functional.pad(x, (lag, 0)) if lag else x


def spectra(stft: STFT) -> Callable[[Tensor], Tensor]:
    """x [item, sample] -> complex [item, frame, bin]; InputError when x is shorter than a frame takes."""
    window = Constant(stft.window)
    side = (stft.lead, stft.trail)

    def transform(x: Tensor) -> Tensor:
        if stft.count(x.shape[-1]) == 0:
            raise InputError(stft.too_short(x.shape[-1]))
        y = functional.pad(x, side, mode="reflect") if stft.pad == "reflect" else functional.pad(x, side)
        w = window(x)
        z = torch.stft(y, stft.n_fft, stft.hop, w.numel(), w, center=False, onesided=True, return_complex=True)
        return z.transpose(1, 2)

    return transform


def power(z: Tensor, floor: float) -> Tensor:
    """max(re^2 + im^2, floor) of complex z."""
    return (z.real.square() + z.imag.square()).clamp(min=floor)


def root(x: Tensor) -> Tensor:
    """Square root of x >= 0 whose gradient at 0 is 0, not infinite."""
    positive = x > 0
    return torch.where(positive, x, 1).sqrt() * positive


def modulus(z: Tensor) -> Tensor:
    """|z| of complex z; its gradient at 0 is 0."""
    return root(power(z, 0.0))


def segment_energies(x: Tensor, squares: Constant, hop: int) -> Tensor:
    """Energies [item, frame] of x [item, sample] in frames that start every hop samples; squares: of their window."""
    return functional.conv1d(x.square()[:, None], squares(x)[None, None], stride=hop)[:, 0]


def _fft_length(n: int) -> int:
    """A length of at least n that FFTs handle fast. dsp.spectrum.fast_length keeps a cache that compilers warn of."""
    return min(odd << (-(-n // odd) - 1).bit_length() for odd in (1, 3, 5, 9, 15, 25, 27, 45, 75, 81, 125, 135, 225))


def lags(ref: Tensor, test: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Sums ref[n] ref[n + k] and ref[n] test[n + k], k = 0..count - 1: [item, sample] -> [item, lag], twice."""
    n = _fft_length(ref.shape[-1] + count - 1)
    x, y = torch.fft.rfft(ref, n), torch.fft.rfft(test, n)
    return torch.fft.irfft(power(x, 0.0), n)[:, :count], torch.fft.irfft(x.conj() * y, n)[:, :count]


def shares(
    auto: Tensor, cross: Tensor, gain: Tensor, rest: Tensor, load: float, without: Tensor
) -> tuple[Tensor, Tensor]:
    """As dsp.correlation.shares, per item; (gain^2, rest) for items [item] that go without."""
    count = auto.shape[-1]
    matrix = torch.cat([auto.flip(-1), auto[:, 1:]], -1).unfold(-1, count, 1).flip(-2)
    diagonal = torch.eye(count, dtype=auto.dtype, device=auto.device)
    matrix = torch.where(without[:, None, None], diagonal, matrix + load * diagonal)
    both = torch.stack([cross, diagonal[0].expand_as(cross)], -1)
    filters = torch.linalg.solve_ex(matrix, both)[0]
    explained, shared = (cross[:, None] @ filters)[:, 0].unbind(-1)
    lost = load * (gain.square() * (1 - load * filters[:, 0, 1]) + 2 * gain * shared)
    return gain.square() + 2 * gain * cross[:, 0] + explained - lost, rest - explained + lost


def centred(x: Tensor) -> Tensor:
    """x less the mean of each item."""
    return x - x.mean(-1, keepdim=True)


def energy(x: Tensor) -> Tensor:
    """Sum of squares [item], float64: in float32 the ratio of two of them would lose its last digits."""
    return x.square().sum(-1, dtype=torch.float64)


SILENCE = 1e-9  # mean power that stands for a silent reference where a ratio to it is wanted: -90 dB re full scale


def heard(signal: Tensor, samples: int) -> Tensor:
    """Energy [item] of so many samples; that of SILENCE where it is 0."""
    return torch.where(signal == 0, SILENCE * samples, signal)


LIMIT_DB = 200.0  # Loss's cap of a ratio that compute calls infinite or undefined


def decibels(signal: Tensor, noise: Tensor, convention: str) -> Tensor:
    """dsp.decibels.ratio of energies >= 0, within -LIMIT_DB..LIMIT_DB where it would be infinite."""
    eps = EPS[convention]
    if convention == "auraloss":
        return 10 * (signal / (noise + eps) + eps).log10()
    if eps == 0:
        low = 10 ** (-LIMIT_DB / 10)
        nothing, all_of_it = signal == 0, noise == 0
        signal = torch.where(nothing, low * torch.where(all_of_it, 1, noise), signal)
        noise = torch.where(all_of_it, low * signal, noise)
    return 10 * ((signal + eps) / (noise + eps)).log10()
