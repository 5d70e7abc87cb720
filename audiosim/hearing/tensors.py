"""Stages of this folder as torch text: weighting of signals, mel bands, PEAQ's ear and what disturbs it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..engine.tensors import Constant, by_kernels, fast_length, filtered, power, product, spectra
from ..engine.transposes import Objective, evaluate
from ..result import Twin
from .loudness import EXPONENT, Ear
from .magnitudes import MelFilters
from .weighting import LAG, PAD, Weighted, auraloss_taps, check_channels, magnitude


def weighted(x: Tensor, rate: int, o: Weighted) -> Tensor:
    """What hearing.weighting.streams does to one signal: x [batch, channel, sample] -> the same, weighted.

    Raises UsageError as it does.
    """
    check_channels(o, x.shape[1])
    weighting, coef = o.weighting, o.coef
    if o.mid_side:
        x = torch.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], dim=1)
    if weighting in LAG:
        return filtered(x, coef, LAG[weighting])
    samples = x.shape[-1]
    if weighting == "auraloss-aw":
        taps = _taps(rate, x.dtype, x.device)
        n = fast_length(samples + taps.numel() - 1)
        half = taps.numel() // 2
        return torch.fft.irfft(torch.fft.rfft(x, n) * torch.fft.rfft(taps, n), n)[..., half : half + samples]
    n = fast_length(samples + round(PAD * rate))
    gain = _gain(weighting, n, rate, coef, x.dtype, x.device)
    return torch.fft.irfft(torch.fft.rfft(x, n) * gain, n)[..., :samples]


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]  # which cannot follow NumPy
def _taps(rate: int, dtype: Any, device: Any) -> Tensor:
    return _kept_taps(rate)(torch.empty(0, dtype=dtype, device=device))


@torch.compiler.assume_constant_result  # type: ignore[untyped-decorator]
def _gain(weighting: str, n: int, rate: int, coef: float, dtype: Any, device: Any) -> Tensor:
    return _kept_gain(weighting, n, rate, coef)(torch.empty(0, dtype=dtype, device=device))


@lru_cache(maxsize=16)
def _kept_taps(rate: int) -> Constant:
    return Constant(auraloss_taps(rate))


@lru_cache(maxsize=16)
def _kept_gain(weighting: str, n: int, rate: int, coef: float) -> Constant:
    return Constant(magnitude(weighting, np.arange(n // 2 + 1) * (rate / n), rate, coef))


def mel(filters: MelFilters) -> Callable[[Tensor], Tensor]:
    """[item, frame, bin] -> mel bands [item, frame, band]."""
    weights = Constant(filters.weights.T)
    return lambda values: product(values, weights(values))


def specific_loudness(ear: Ear) -> Callable[[Tensor], Tensor]:
    """x [item, sample] -> specific loudness [item, frame, band]."""
    transform, weights = spectra(ear.stft), Constant(ear.weights.T)

    def loudness(x: Tensor) -> Tensor:
        z = power(transform(x), 0.0)
        return torch.expm1(EXPONENT * torch.log1p(product(z, weights(z))))

    return loudness


def fused(text: Twin, objective: Objective) -> Twin:
    """text, (ref, test) [item, sample] -> value [item], by the objective's kernels where they serve (by_kernels)."""
    return by_kernels(text, partial(evaluate, objective))


def in_float64(value: Twin) -> Twin:
    """The same, computed in float64 whatever the tensors are: where the rounding of float32 spectra counts."""
    return lambda ref, test: value(ref.double(), test.double())
