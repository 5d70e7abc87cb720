"""Stages of this folder as torch text: weighting of signals, mel bands."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad

from .. import dsp
from ..dsp.adjoint import Objective, evaluate
from ..dsp.differentiable import Constant, filtered, power, spectra
from ..dsp.frames import STFT
from ..result import Twin
from .loudness import EXPONENT, Ear
from .magnitudes import MelFilters
from .weighting import LAG, PAD, auraloss_taps, check_weighting, magnitude


def weighted(x: Tensor, rate: int, weighting: str, coef: float, mid_side: bool) -> Tensor:
    """What hearing.weighting.streams does to one signal: x [batch, channel, sample] -> the same, weighted.

    Raises UsageError as it does.
    """
    check_weighting(weighting, coef, mid_side, x.shape[1])
    if mid_side:
        x = torch.stack([x[:, 0] + x[:, 1], x[:, 0] - x[:, 1]], dim=1)
    if weighting in LAG:
        return filtered(x, coef, LAG[weighting])
    samples = x.shape[-1]
    if weighting == "auraloss-aw":
        taps = _taps(rate)(x)
        n = dsp.spectrum.fast_length(samples + taps.numel() - 1)
        half = taps.numel() // 2
        return torch.fft.irfft(torch.fft.rfft(x, n) * torch.fft.rfft(taps, n), n)[..., half : half + samples]
    n = dsp.spectrum.fast_length(samples + round(PAD * rate))
    return torch.fft.irfft(torch.fft.rfft(x, n) * _gain(weighting, n, rate, coef)(x), n)[..., :samples]


@lru_cache(maxsize=16)
def _taps(rate: int) -> Constant:
    return Constant(auraloss_taps(rate))


@lru_cache(maxsize=16)
def _gain(weighting: str, n: int, rate: int, coef: float) -> Constant:
    return Constant(magnitude(weighting, np.arange(n // 2 + 1) * (rate / n), rate, coef))


def mel(filters: MelFilters) -> Callable[[Tensor], Tensor]:
    """[item, frame, bin] -> mel bands [item, frame, band]."""
    weights = Constant(filters.weights.T)
    return lambda values: cast(Tensor, values @ weights(values))


def mel_power(stft: STFT, filters: MelFilters) -> Callable[[Tensor], Tensor]:
    """x [item, sample] -> power in mel bands [item, frame, band]."""
    transform, project = spectra(stft), mel(filters)
    return lambda x: project(power(transform(x), 0.0))


def specific_loudness(ear: Ear) -> Callable[[Tensor], Tensor]:
    """x [item, sample] -> specific loudness [item, frame, band]."""
    transform, weights = spectra(ear.stft), Constant(ear.weights.T)

    def loudness(x: Tensor) -> Tensor:
        z = power(transform(x), 0.0)
        return torch.expm1(EXPONENT * torch.log1p(z @ weights(z)))

    return loudness


def fused(text: Twin, objective: Objective) -> Twin:
    """text, (ref, test) [item, sample] -> value [item], by kernels where they serve: on the CPU, where no gradient but
    that of the test is wanted. They make it with the value, in one pass, on as many threads as torch uses.

    The text serves elsewhere: other devices, compilers, transforms, the gradient of the reference, that of a gradient.
    """

    def value(ref: Tensor, test: Tensor) -> Tensor:
        if not _kernels_serve(ref, test):
            return cast(Tensor, text(ref, test))
        if test.requires_grad and torch.is_grad_enabled():
            return cast(Tensor, _Fused.apply(test, ref, text, objective))
        return _evaluated(objective, ref, test, False)[0]

    return value


def _kernels_serve(ref: Tensor, test: Tensor) -> bool:
    """Whether these are samples in memory, and nobody follows the reference."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    return (
        test.dtype == ref.dtype
        and not (ref.requires_grad and torch.is_grad_enabled())
        and all(
            type(x) in (Tensor, torch.nn.Parameter)
            and x.device.type == "cpu"
            and x.dtype in (torch.float32, torch.float64)
            and forward_ad.unpack_dual(x).tangent is None
            for x in (ref, test)
        )
    )


def _evaluated(objective: Objective, ref: Tensor, test: Tensor, gradient: bool) -> tuple[Tensor, Tensor]:
    """Value [item] and gradient [item, sample]."""
    x, y = (s.detach().resolve_neg().contiguous().numpy() for s in (ref, test))
    values, slopes = evaluate(objective, x, y, gradient, torch.get_num_threads())
    return torch.from_numpy(values).to(test.dtype), torch.from_numpy(slopes)


class _Fused(torch.autograd.Function):  # type: ignore[misc]
    """The gradient is made with the value, and scaled on the way back."""

    @staticmethod
    def forward(ctx: Any, test: Tensor, ref: Tensor, text: Twin, objective: Objective) -> Tensor:
        value, gradient = _evaluated(objective, ref, test, True)
        ctx.text = text
        ctx.save_for_backward(test, ref, gradient)
        return value

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        test, ref, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient is to have one itself: that of the text has
            gradient = torch.autograd.grad(ctx.text(ref, test), test, slope, create_graph=True)[0]
        else:
            gradient = slope[:, None] * gradient
        return gradient, None, None, None
