"""Stages of this folder as torch text, for gradients on any device: the same formulas and clamps as the kernels.

Signals are [item, sample]; an item is one channel of one element of a batch, and nothing here mixes items.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional

from ..errors import InputError, UsageError
from ..result import Twin
from . import moments, parts
from .decibels import EPS
from .frames import STFT
from .stream import plain
from .threads import in_threads

Array = NDArray[Any]


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
    """y[n] = x[n] - coef x[n - lag], the whole response [item, sample + lag], as engine.stream."""
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


_ODD: list[int] = [3**a * 5**b for a in range(20) for b in range(13) if 3**a * 5**b < 1 << 31]


def fast_length(n: int) -> int:
    """As engine.fold.fast_length, which no compiler can follow: the next number without other factors than 2, 3, 5."""
    lengths: list[int] = [odd << (-(-n // odd) - 1).bit_length() for odd in _ODD]
    return min(lengths)


def lags(ref: Tensor, test: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Sums ref[n] ref[n + k] and ref[n] test[n + k], k = 0..count - 1: [item, sample] -> [item, lag], twice."""
    n = fast_length(ref.shape[-1] + count - 1)
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
    """x less the mean of each item, float64."""
    x = x.double()
    return x - x.mean(-1, keepdim=True)


def energy(x: Tensor) -> Tensor:
    """Sum of squares [item], float64: in float32 the ratio of two of them would lose its last digits."""
    return x.square().sum(-1, dtype=torch.float64)


def over_channels(x: Tensor, channels: int) -> Tensor:
    """Sums of every so many items: [item, ...] -> [item / channels, ...]."""
    return x if channels == 1 else x.unflatten(0, (-1, channels)).sum(1)


def to_channels(x: Tensor, channels: int) -> Tensor:
    """Each value for so many items: [item] -> [item * channels]."""
    return x if channels == 1 else x[:, None].expand(-1, channels).flatten()


def product(x: Tensor, weights: Tensor) -> Tensor:
    """x @ weights in the precision of both, autocast or not, on the way back too; weights are constant."""
    if x.dtype != torch.float32:
        return x @ weights
    return cast(Tensor, _either(_Product, _ProductForward).apply(x, weights))


def _either(traced: type[Any], forward: type[Any]) -> type[Any]:
    """traced for torch.compile, which follows no function that has a forward derivative; elsewhere forward."""
    return traced if torch.compiler.is_compiling() else forward


class _Product(torch.autograd.Function):  # type: ignore[misc]
    """The gradient is such a product itself: whoever calls backward within autocast gets no half precision."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, weights: Tensor) -> Tensor:
        with torch.autocast(autocast_device(x), enabled=False):
            return x @ weights

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        del output
        ctx.save_for_backward(inputs[1])
        ctx.save_for_forward(inputs[1])

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        (weights,) = ctx.saved_tensors
        return product(slope, weights.mT if weights.ndim > 1 else weights), None


class _ProductForward(_Product):
    """The same with a forward derivative."""

    @staticmethod
    def jvp(ctx: Any, of_x: Tensor, _: Any) -> Tensor:
        (weights,) = ctx.saved_tensors
        return product(of_x, weights)


def tell(named: Callable[[], dict[str, Tensor]]) -> None:
    """Parts of a value [item] to engine.parts, without a gradient; not under a compiler or a transform."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return
    with torch.no_grad():
        parts.tell(named)


def autocast_device(x: Tensor) -> str:
    """The type of x's device, or one that autocast knows."""
    return x.device.type if torch.amp.is_autocast_available(x.device.type) else "cpu"


def unit(x: Tensor) -> Tensor:
    """x [item, sample] times a power of two that brings its peak near 1, so that no power of it leaves float32.

    Exact: what is brought to one level afterwards keeps its bits. The factor takes no part in the gradient.
    """
    peak = x.detach().abs().amax(-1, keepdim=True)
    exponent = torch.frexp(peak)[1].clamp(-126, 126)
    return x * torch.ldexp(torch.ones_like(peak), -exponent)


def bounded(x: Tensor, steepest: float, largest: float, once: str = "") -> tuple[Tensor, Tensor]:
    """x [item, channel, sample], and a zero [item] to be added to the value of each item: with both, the gradient of
    that value with respect to x is bounded.

    Where its norm, times the root of the number of samples, is above steepest, its samples are limited so that it is
    not; nothing of it is beyond largest. Other gradients keep their bits. The factor that the value is multiplied with
    afterwards, as by a scaler, is no part of it: that reaches the zero too.

    once: what a UsageError says when this gradient is to have a gradient itself; "" where it has one.
    """
    return cast("tuple[Tensor, Tensor]", _either(_Bounded, _BoundedForward).apply(x, steepest, largest, once))


class _Bounded(torch.autograd.Function):  # type: ignore[misc]
    """bounded; every step back has a gradient itself."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor, steepest: float, largest: float, once: str) -> tuple[Tensor, Tensor]:
        del steepest, largest, once
        return x.view_as(x), x.new_zeros(x.shape[0])

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        del output
        _, ctx.steepest, ctx.largest, ctx.once = inputs

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, slope: Tensor) -> Any:
        if ctx.once and torch.is_grad_enabled() and not torch.compiler.is_compiling():
            gradient = _Once.apply(gradient, ctx.once)
        samples = gradient[0].numel()
        each = min(ctx.steepest / samples, ctx.largest)  # what no sample exceeds where the norm is at its limit
        if in_memory(gradient, slope):  # elsewhere, to ask would be to wait
            low, high = torch.aminmax(gradient.detach())
            if max(-low.item(), high.item()) <= each * min(abs(x) or math.inf for x in slope.tolist()):
                return gradient.view_as(gradient), None, None, None  # a view, which autograd need not copy
        slope = slope.detach().abs()[:, None, None].double()
        slope = torch.where(slope == 0, math.inf, slope)  # without one it is the gradient of a gradient
        norm = torch.linalg.vector_norm(gradient.detach(), dim=(1, 2), keepdim=True, dtype=torch.float64)
        odd = norm > slope * (ctx.steepest / samples**0.5)
        limit = torch.where(odd, slope * each, slope * ctx.largest).to(gradient.dtype)
        return torch.maximum(torch.minimum(gradient, limit), -limit), None, None, None


class _BoundedForward(_Bounded):
    """The same with a forward derivative."""

    @staticmethod
    def jvp(_: Any, of_x: Tensor, *__: Any) -> tuple[Tensor, Tensor]:
        return of_x.view_as(of_x), of_x.new_zeros(of_x.shape[0])


class _Once(torch.autograd.Function):  # type: ignore[misc]
    """A gradient that has none itself, and says so."""

    @staticmethod
    def forward(ctx: Any, gradient: Tensor, says: str) -> Tensor:
        ctx.says = says
        return gradient.view_as(gradient)

    @staticmethod
    def backward(ctx: Any, _: Tensor) -> Any:
        raise UsageError(ctx.says)


SILENCE = 1e-9  # mean power that stands for a silent reference where a ratio to it is wanted: -90 dB re full scale


def heard(signal: Tensor, samples: int) -> Tensor:
    """Energy [item] of so many samples; that of SILENCE where it is 0."""
    return torch.where(signal == 0, SILENCE * samples, signal)


LIMIT_DB = 200.0  # Loss's cap of a ratio that compute calls infinite or undefined


def decibels(signal: Tensor, noise: Tensor, convention: str) -> Tensor:
    """decibels.ratio of energies >= 0; LIMIT_DB or -LIMIT_DB where it would be infinite, 0 for no energy at all."""
    eps = EPS[convention]
    if convention == "auraloss":
        return 10 * (signal / (noise + eps) + eps).log10()
    if eps == 0:
        low = 10 ** (-LIMIT_DB / 10)
        nothing, clean = signal == 0, noise == 0
        signal, noise = (
            torch.where(nothing, torch.where(clean, 1, low * noise), signal),
            torch.where(clean, torch.where(nothing, 1, low * signal), noise),
        )
    return 10 * ((signal + eps) / (noise + eps)).log10()


# Sums over the samples of a pair. On the CPU each of them, and its gradient, is one pass of a kernel.

CHUNK = 1 << 20  # samples per task; fixed, so that sums do not depend on the number of threads


def in_memory(*tensors: Tensor) -> bool:
    """Whether these hold samples that kernels can read, and nobody traces or transforms what is done to them."""
    if torch.compiler.is_compiling() or torch._C._are_functorch_transforms_active():
        return False
    return all(
        type(x) in (Tensor, torch.nn.Parameter)
        and x.device.type == "cpu"
        and x.dtype == tensors[0].dtype
        and x.dtype in (torch.float32, torch.float64)
        and forward_ad.unpack_dual(x).tangent is None
        for x in tensors
    )


def by_kernels(text: Twin, evaluate: Callable[[Array, Array, bool, int], tuple[Array, Array]]) -> Twin:
    """text, (ref, test) [item, ..., sample] -> value [item], by kernels where they serve: on the CPU, where no gradient
    but that of the test is wanted. They make it with the value, on as many threads as torch uses.

    evaluate(ref, test, gradient, threads) -> value [item], float64, and its gradient with respect to test
        [item, ..., sample] where that is asked for.
    The text serves elsewhere: other devices, compilers, transforms, the gradient of the reference, that of a gradient.
    """

    def value(ref: Tensor, test: Tensor) -> Tensor:
        if not in_memory(ref, test) or (ref.requires_grad and torch.is_grad_enabled()):
            return cast(Tensor, text(ref, test))
        if test.requires_grad and torch.is_grad_enabled():
            return cast(Tensor, _Fused.apply(test, ref, text, evaluate))
        return torch.from_numpy(evaluate(_array(ref), _array(test), False, torch.get_num_threads())[0]).to(test.dtype)

    return value


class _Fused(torch.autograd.Function):  # type: ignore[misc]
    """The gradient is made with the value, and scaled on the way back."""

    @staticmethod
    def forward(ctx: Any, test: Tensor, ref: Tensor, text: Twin, evaluate: Any) -> Tensor:
        value, gradient = evaluate(_array(ref), _array(test), True, torch.get_num_threads())
        ctx.text = text
        ctx.save_for_backward(test, ref, torch.from_numpy(gradient))
        return torch.from_numpy(value).to(test.dtype)

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        test, ref, gradient = ctx.saved_tensors
        if torch.is_grad_enabled():  # this gradient is to have one itself: that of the text has
            gradient = torch.autograd.grad(ctx.text(ref, test), test, slope, create_graph=True)[0]
        else:
            gradient = slope.reshape(-1, *(1,) * (gradient.ndim - 1)) * gradient
        return gradient, None, None, None


class Joint:
    """Sums [item], float64, over the samples of ref and of d = test - gain ref: ref, test [item, sample], gain [item]
    (default 1); centre: of both without their means."""

    def __init__(self, ref: Tensor, test: Tensor, gain: Tensor | None = None, centre: bool = False) -> None:
        self.sums: tuple[Tensor, ...] = ()
        if in_memory(ref, test):
            gain = ref.new_ones(len(ref), dtype=torch.float64) if gain is None else gain
            self.sums = _Joint.apply(ref, test, gain, centre)
            return
        self.ref, test = (centred(ref), centred(test)) if centre else (ref, test)
        self.rest = test - self.ref if gain is None else test.double() - gain[:, None] * self.ref.double()

    @property
    def signal(self) -> Tensor:
        """Energy of ref."""
        return self.sums[0] if self.sums else energy(self.ref)

    @property
    def noise(self) -> Tensor:
        """Energy of d."""
        return self.sums[1] if self.sums else energy(self.rest)

    @property
    def common(self) -> Tensor:
        """Sum of ref d; -signal, exactly, for a silent test and a gain of 1."""
        return self.sums[2] if self.sums else (self.ref * self.rest).sum(-1, dtype=torch.float64)

    @property
    def offset(self) -> Tensor:
        """Sum of d."""
        return self.sums[4] if self.sums else self.rest.sum(-1, dtype=torch.float64)


class _Joint(torch.autograd.Function):  # type: ignore[misc]
    """What moments.joint sums; the gradient is a combination of both signals."""

    @staticmethod
    def forward(ctx: Any, ref: Tensor, test: Tensor, gain: Tensor, centre: bool) -> tuple[Tensor, ...]:
        r, t, g = (_array(x) for x in (ref, test, gain))
        means = np.zeros((2, len(r)))
        sums = _summed(moments.joint, 5, r, t, g, *means)
        if centre:
            means = np.stack([sums[3], sums[4] + g * sums[3]]) / r.shape[1]
            sums = _summed(moments.joint, 5, r, t, g, *means)
        ctx.sums, ctx.means, ctx.centre = sums, means, centre
        ctx.save_for_backward(ref, test, gain)
        ctx.set_materialize_grads(False)
        return tuple(torch.from_numpy(x.copy()) for x in sums)

    @staticmethod
    def backward(ctx: Any, *slopes: Tensor | None) -> Any:
        if torch.is_grad_enabled():
            return *_through_text(_joint, ctx, slopes, ctx.centre), None
        r, t, g = (_array(x) for x in ctx.saved_tensors)
        rr, _, rd, sum_r, _ = ctx.sums
        of_rr, of_dd, of_rd, of_r, of_d = (np.zeros(len(r)) if x is None else _array(x) for x in slopes)
        if ctx.centre:  # no sample changes the sum of a centred signal
            of_r, of_d = 0 * of_r, 0 * of_d

        def combination(*factors: Array) -> Tensor:
            return _made(moments.combination, r, t, g, *ctx.means, *factors)

        of_ref, of_test, of_gain, _ = ctx.needs_input_grad
        return (
            combination(2 * of_rr - g * of_rd, of_rd - 2 * g * of_dd, of_r - g * of_d) if of_ref else None,
            combination(of_rd, 2 * of_dd, of_d) if of_test else None,
            torch.from_numpy(-2 * of_dd * rd - of_rd * rr - of_d * sum_r) if of_gain else None,
            None,
        )


def _joint(ref: Tensor, test: Tensor, gain: Tensor, centre: bool) -> tuple[Tensor, ...]:
    """_Joint as torch text."""
    r, t = (centred(ref), centred(test)) if centre else (ref.double(), test.double())
    d = t - gain[:, None] * r
    return energy(r), energy(d), (r * d).sum(-1), r.sum(-1), d.sum(-1)


def mean_of_errors(term: Any, arguments: tuple[float, ...]) -> Callable[[Tensor, Tensor], Tensor]:
    """(ref, test) [item, sample] -> the mean of a term of test - ref with these arguments [item]; by its kernels where
    they serve."""
    of_error = term.tensors  # made here: a compiler does not follow how

    def mean(ref: Tensor, test: Tensor) -> Tensor:
        if in_memory(ref, test):
            return cast(Tensor, _Errors.apply(ref, test, term, arguments))
        return cast(Tensor, of_error(test - ref, *arguments).mean(-1))

    return mean


class _Errors(torch.autograd.Function):  # type: ignore[misc]
    """mean_of_errors by kernels, float64."""

    @staticmethod
    def forward(ctx: Any, ref: Tensor, test: Tensor, term: Any, arguments: tuple[float, ...]) -> Tensor:
        r, t = _array(ref), _array(test)
        threads = _threads(r)
        total = [
            moments.over(term.sums, 1, plain(x), plain(y), *arguments, threads=threads)
            for x, y in zip(r, t, strict=True)
        ]
        ctx.term, ctx.arguments = term, arguments
        ctx.save_for_backward(ref, test)
        return torch.from_numpy(np.concatenate(total) / r.shape[1])

    @staticmethod
    def backward(ctx: Any, slope: Tensor) -> Any:
        term, arguments = ctx.term, ctx.arguments
        if torch.is_grad_enabled():
            of_ref, of_test = _through_text(lambda r, t: (term.tensors(t - r, *arguments).mean(-1),), ctx, (slope,))
        else:
            r, t = (_array(x) for x in ctx.saved_tensors)
            gradient = _made(term.slopes, r, t, _array(slope) / r.shape[1], *arguments)
            of_ref = -gradient if ctx.needs_input_grad[0] else None
            of_test = gradient if ctx.needs_input_grad[1] else None
        return of_ref, of_test, None, None


def segments(window: Array, hop: int) -> Callable[[Tensor, Tensor, int], tuple[Tensor, Tensor]]:
    """(ref, test [item, sample], count) -> energies of ref and of ref - test [item, frame], float64, in count frames of
    that window, float64 [sample], every hop samples."""
    squares = Constant(window**2)

    def energies(ref: Tensor, test: Tensor, count: int) -> tuple[Tensor, Tensor]:
        if in_memory(ref, test):
            signal, noise = _Segments.apply(ref, test, window, hop, count, squares)
            return signal, noise
        return _segments(ref, test, hop, count, squares)

    return energies


def _segments(ref: Tensor, test: Tensor, hop: int, count: int, squares: Constant) -> tuple[Tensor, Tensor]:
    """segments as torch text."""
    window = squares(ref)[None, None]
    frames = [functional.conv1d(x.square()[:, None], window, stride=hop) for x in (ref, ref - test)]
    return frames[0][:, 0, :count].double(), frames[1][:, 0, :count].double()


class _Segments(torch.autograd.Function):  # type: ignore[misc]
    """segments by kernels."""

    @staticmethod
    def forward(ctx: Any, ref: Tensor, test: Tensor, window: Array, hop: int, count: int, squares: Any) -> Any:
        r, t = _array(ref), _array(test)
        energies = np.empty((len(r), count, 2))

        def task(i: int) -> None:
            moments.segments(r[i], t[i], window, hop, energies[i])

        in_threads(task, range(len(r)), _threads(r))
        ctx.save_for_backward(ref, test)
        ctx.frames, ctx.text = (window, hop), (hop, count, squares)
        return tuple(torch.from_numpy(energies[..., i].copy()) for i in (0, 1))

    @staticmethod
    def backward(ctx: Any, of_signal: Tensor, of_noise: Tensor) -> Any:
        if torch.is_grad_enabled():
            return *_through_text(_segments, ctx, (of_signal, of_noise), *ctx.text), None, None, None, None
        r, t = (_array(x) for x in ctx.saved_tensors)
        through_noise, through_signal = np.empty_like(r), np.empty_like(r)
        signals, noises = _array(of_signal), _array(of_noise)
        window, hop = ctx.frames

        def task(i: int) -> None:
            moments.segments_slope(t[i] - r[i], window, hop, noises[i], through_noise[i])
            if ctx.needs_input_grad[0]:
                moments.segments_slope(r[i], window, hop, signals[i], through_signal[i])
                np.subtract(through_signal[i], through_noise[i], out=through_signal[i])

        in_threads(task, range(len(r)), _threads(r))
        of_ref, of_test = ctx.needs_input_grad[:2]
        return (
            torch.from_numpy(through_signal) if of_ref else None,
            torch.from_numpy(through_noise) if of_test else None,
            *(None,) * 4,
        )


def _through_text(
    text: Callable[..., tuple[Tensor, ...]], ctx: Any, slopes: tuple[Tensor | None, ...], *options: Any
) -> Any:
    """Gradients of the saved tensors that can be differentiated themselves."""
    needed = [x for x, needs in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False) if needs]
    followed = [
        (value, slope)
        for value, slope in zip(text(*ctx.saved_tensors, *options), slopes, strict=True)
        if slope is not None and value.requires_grad
    ]
    if not followed:
        return [None] * len(ctx.saved_tensors)
    results, given = zip(*followed, strict=True)
    found = iter(torch.autograd.grad(results, needed, given, create_graph=True, allow_unused=True))
    return [next(found) if needs else None for _, needs in zip(ctx.saved_tensors, ctx.needs_input_grad, strict=False)]


def _array(x: Tensor) -> Array:
    return cast(Array, x.detach().resolve_neg().contiguous().numpy())


def _threads(x: Array) -> int:
    return max(1, min(int(torch.get_num_threads()), x.size // CHUNK))


def _spread(kernel: Callable[..., None], out: Callable[[int], Array], ref: Array, test: Array, *arguments: Any) -> None:
    """kernel(ref, test, start, stop, out(start), *arguments) over all items and blocks of samples, several short items
    at a time. arguments: arrays [item], and numbers."""
    items, length = ref.shape
    per_task = max(1, CHUNK // max(length, 1))
    starts = range(0, length, CHUNK)

    def task(i: int) -> None:
        rows = slice(first := i // len(starts) * per_task, first + per_task)
        start = starts[i % len(starts)]
        rest = (a[rows] if isinstance(a, np.ndarray) else a for a in arguments)
        kernel(ref[rows], test[rows], start, min(start + CHUNK, length), out(start)[rows], *rest)

    in_threads(task, range(-(-items // per_task) * len(starts)), _threads(ref))


def _summed(kernel: Callable[..., None], terms: int, ref: Array, test: Array, *arguments: Any) -> Array:
    """Sums [term, item]."""
    blocks = np.zeros((-(-ref.shape[1] // CHUNK), len(ref), terms))
    _spread(kernel, lambda start: blocks[start // CHUNK], ref, test, *arguments)
    return np.ascontiguousarray(blocks.sum(axis=0).T)


def _made(kernel: Callable[..., None], ref: Array, test: Array, *arguments: Any) -> Tensor:
    """A signal [item, sample]."""
    out = np.empty_like(ref)
    _spread(kernel, lambda _: out, ref, test, *arguments)
    return torch.from_numpy(out)
