"""Loss: any differentiable metric, or a weighted sum of some, as a torch.nn.Module. Which way is better, and the order
of its arguments, are settled here and nowhere else."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

import numpy as np

from . import metrics
from .answer import Channel, pool, result
from .errors import InputError, MissingExtra, UsageError
from .metrics import Spec
from .result import Result, undefined
from .signal import MOST_CHANNELS, may_warn, warn_of_loss

try:
    import torch
except ModuleNotFoundError:
    raise MissingExtra("audiosim.Loss needs torch: pip install torch, or pip install 'audiosim[torch]'") from None

from .engine.tensors import autocast_device, bounded, in_memory
from .hearing.tensors import weighted
from .hearing.weighting import Weighted

Reduction = Literal["mean", "none", "sum"]
Silent = Literal["skip", "keep"]


# A + between two terms: what follows is a name, or a weight and a name. (Resolutions of mr-stft hold a + too.)
_PLUS = re.compile(r"\s*\+\s*(?=(?:[\d.]+(?:e[-+]?\d+)?\s*\*\s*)?[a-z])", re.IGNORECASE)
_TERM = re.compile(r"(?:(?P<weight>[^*]*)\*)?(?P<spec>[^*]*)")
_ALIGNED = 64  # bytes, as torch allocates


class Loss(torch.nn.Module):  # type: ignore[misc]
    """What `audiosim compare` prints, to be minimised.

    spec: a metric with its options, as on the command line, or a weighted sum: "mr-stft + 0.1*log-mel:bands=64".
        A metric that is better when higher enters with its sign turned.
    rate: Hz of the signals.
    reduction: of the batch: "mean", "sum", or "none" for one value per element.
    dither: level in dB re full scale of a fixed noise that is added to the input; None: none. For metrics whose
        gradient is exactly zero on silence (Card.zero_gradient_on_silence): -100 sets a network going that starts
        there.
    silent: what becomes of an element whose target is digital silence in a loss that is a ratio to the target's energy
        (Card.ratio). "skip": it does not count: "mean" divides by those that do, "none" and "sum" take 0 for it, and it
        has no gradient. "keep": it counts, by Card.cap where the metric has no value. None: what trains best, "skip"
        for snr, sd-sdr, si-sdr and sdr, "keep" for the others.
    clamp: dB; snr, sd-sdr, si-sdr and sdr level off below it: s becomes -10 lg(10^(-s/10) + 10^(-clamp/10)), so that
        elements that are good already do not outweigh the others (Wisdom et al. 2020, arXiv 2006.12701, eq. 2).

    forward(input, target) -> scalar, or [batch] without reduction; input (the estimate) and target [batch, sample] or
        [batch, channel, sample], full scale 1.0. Each element is reduced by itself, so a batch gives what its elements
        give one by one. The value equals that of `compute` on the same samples,
        or is that of Card.surrogate where the card's gradient is one; where it is undefined or infinite (Card.cap says
        what stands instead) value and gradient are still finite. float16 and bfloat16 are computed in float32, autocast
        or not, and backward too. Card.steepest bounds the gradient of each element: its norm, times the root of the
        number of samples. There are no parameters, and constants follow the input to its device.

    Warns once a process of samples beyond full scale (FullScaleWarning): a target's, or an input's above +6 dBFS.
    Raises UsageError for an unknown spec, a metric without gradient or for another rate, or shapes that do not fit;
    InputError for signals that are too short.
    """

    def __init__(
        self,
        spec: str,
        rate: int,
        reduction: Reduction = "mean",
        *,
        dither: float | None = None,
        silent: Silent | None = None,
        clamp: float | None = None,
    ) -> None:
        super().__init__()
        if reduction not in get_args(Reduction):
            raise UsageError(f"reduction is mean, none or sum, not {reduction!r}")
        if rate < 1 or rate != int(rate):
            raise UsageError(f"rate is a whole number of Hz, not {rate!r}")
        if dither is not None and not -300 <= dither <= 0:
            raise UsageError(f"dither is a level of -300 to 0 dB re full scale, not {dither!r}")
        if silent not in (None, *get_args(Silent)):
            raise UsageError(f"silent is skip or keep, not {silent!r}")
        if clamp is not None and not 0 < clamp <= 200:
            raise UsageError(f"clamp is a ratio above 0 to 200 dB, not {clamp!r}")
        self.spec, self.rate, self.reduction, self.dither = spec, int(rate), reduction, dither
        self.silent, self.clamp = silent, clamp
        self._calls = 0
        self.terms = [(weight, _Term(term, self.rate, silent, clamp)) for weight, term in parse(spec)]
        if clamp is not None and not any(term.clamps for _, term in self.terms):
            raise UsageError(f"clamp is for ratios in dB without an upper limit, such as snr; {spec!r} has none")

    def forward(self, input: Any, target: Any) -> Any:
        if not (isinstance(input, torch.Tensor) and isinstance(target, torch.Tensor)):
            raise UsageError("input and target are torch tensors; for arrays there is audiosim.compare")
        test, ref = (x[:, None] if x.ndim == 2 else x for x in (input, target))
        self._watch_level(ref, test)
        if test.ndim != 3 or test.shape != ref.shape:
            raise UsageError(
                f"input {list(input.shape)} and target {list(target.shape)} must be of one shape, "
                "[batch, sample] or [batch, channel, sample]"
            )
        _check_axes(input, test)
        if not test.numel():
            raise InputError(f"nothing to compare: the signals have the shape {list(input.shape)}")
        dtype = torch.promote_types(test.dtype, ref.dtype)
        if not dtype.is_floating_point:
            raise UsageError(f"signals are floating point with full scale 1.0, not {dtype}")
        if dtype not in (torch.float32, torch.float64):
            dtype = torch.float32
        largest = min(torch.finfo(x.dtype).max for x in (test, ref))
        with torch.autocast(autocast_device(test), enabled=False):
            test, ref = _in_order(test.to(dtype)), _in_order(ref.to(dtype))
            if self.dither is not None:
                test = test + 10 ** (self.dither / 20) * _noise(test)
            skips = any(term.skips for _, term in self.terms)
            counts = ref.flatten(1).abs().sum(1) != 0 if skips else None
            if self.reduction == "mean" and skips:
                means = (weight * term.mean(ref, test, largest, counts) for weight, term in self.terms)
                return sum(means).to(dtype)
            values = sum(weight * term.counted(ref, test, largest, counts) for weight, term in self.terms)
        values = values.to(dtype)
        return values.mean() if self.reduction == "mean" else values.sum() if self.reduction == "sum" else values

    def _watch_level(self, ref: Any, test: Any) -> None:
        """Warn once a process of samples beyond full scale. To look is to wait for the device: calls 1, 2, 4, 8..."""
        if torch.compiler.is_compiling() or not may_warn() or not (ref.numel() and test.numel()):
            return
        self._calls += 1
        if self._calls & (self._calls - 1) or (ref.is_cuda and torch.cuda.is_current_stream_capturing()):
            return
        try:
            target, estimate = (float(x.detach().abs().amax()) for x in (ref, test))
        except (RuntimeError, NotImplementedError):  # under vmap, or without samples
            return
        warn_of_loss(target, estimate, stacklevel=5)

    def __reduce__(self) -> Any:
        options = partial(Loss, dither=self.dither, silent=self.silent, clamp=self.clamp)
        return options, (self.spec, self.rate, self.reduction)

    def extra_repr(self) -> str:
        """What print(loss) shows."""
        said = f"{self.spec!r}, rate={self.rate}, reduction={self.reduction!r}"
        said += "" if self.dither is None else f", dither={self.dither:g}"
        said += "" if self.silent is None else f", silent={self.silent!r}"
        return said + ("" if self.clamp is None else f", clamp={self.clamp:g}")


def parse(text: str) -> list[tuple[float, Spec]]:
    """Weights and specs of a sum such as "mr-stft + 0.1*log-mel:bands=64"; UsageError when it is none."""
    terms = []
    for part in _PLUS.split(text.strip()):
        found = _TERM.fullmatch(part)
        if not found:
            raise UsageError(f"{part!r} is not a weight times a metric, such as 0.1*log-mel")
        weight = 1.0
        if found["weight"] is not None:
            try:
                weight = float(found["weight"])
            except ValueError:
                raise UsageError(f"the weight {found['weight']!r} of {found['spec'].strip()} is not a number") from None
        if not 0 < weight < float("inf"):
            raise UsageError(f"the weight of {found['spec'].strip()} must be above 0, not {weight:g}")
        terms.append((weight, metrics.parse(found["spec"])))
    return terms


class _Term:
    """One metric, ready for tensors: everything that does not depend on the samples is decided here."""

    def __init__(self, spec: Spec, rate: int, silent: Silent | None = None, clamp: float | None = None) -> None:
        metric = metrics.get(spec.name)
        self.card = card = metric.card
        if card.gradient == "none":
            raise UsageError(f"{spec.name} has no gradient; `audiosim explain` lists those that have")
        if card.rate not in (None, rate):
            raise UsageError(
                f"{spec.name} is defined at {card.rate} Hz, this loss is for {rate} Hz: resample the signals"
            )
        self.rate, self.options = rate, metric.chosen(spec.options)
        self.twin = metric.twin(rate, self.options)
        self.skips = card.ratio and (silent == "skip" or (silent is None and card.unit == "dB" and bool(card.cap)))
        self.clamp = clamp
        self.clamps = clamp is not None and card.unit == "dB" and card.better == "higher" and card.range[1] == math.inf
        self.once = "" if card.twice else f"{spec.name}: its gradient has no gradient; use it without create_graph"

    def values(self, ref: Any, test: Any, apart: bool = False) -> Any:
        """The metric [batch, channel] of ref, test [batch, channel, sample]; apart: each channel by itself, also where
        the metric is one of all of them."""
        o = self.options
        if isinstance(o, Weighted):
            ref, test = (weighted(x, self.rate, o) for x in (ref, test))
        if self.card.joint_channels:
            if apart:
                return self.twin(*(x.flatten(0, 1)[:, None] for x in (ref, test))).reshape(ref.shape[:2])
            return self.twin(ref, test)
        return self.twin(ref.flatten(0, 1), test.flatten(0, 1)).reshape(ref.shape[:2])

    def __call__(self, ref: Any, test: Any, largest: float = math.inf) -> Any:
        """Badness [batch]: smaller is better. largest: what no sample of a gradient may exceed."""
        zeros: list[Any] = []
        if torch.is_grad_enabled():
            ref, test = (self._bounded(x, largest, zeros) for x in (ref, test))
        values = self.values(ref, test)
        pooled = _rms(values, 1) if self.card.pooling == "rms" else values.mean(1)
        for zero in zeros:
            pooled = pooled + zero
        if self.clamp is not None and self.clamps:
            slope = math.log(10) / 10
            pooled = -torch.logaddexp(-slope * pooled, torch.full_like(pooled, -slope * self.clamp)) / slope
        return pooled if self.card.better == "lower" else -pooled

    def _bounded(self, x: Any, largest: float, zeros: list[Any]) -> Any:
        """x, and a zero more where it has a gradient; see engine.tensors.bounded."""
        if not x.requires_grad:
            return x
        x, zero = bounded(x, self.card.steepest, largest, self.once)
        zeros.append(zero)
        return x

    def counted(self, ref: Any, test: Any, largest: float, counts: Any) -> Any:
        """Badness [batch], 0 where an element does not count: counts [batch], whether its target sounds."""
        values = self(ref, test, largest)
        return torch.where(counts, values, 0) if self.skips else values

    def mean(self, ref: Any, test: Any, largest: float, counts: Any) -> Any:
        """Mean of what counts; 0 of nothing."""
        values = self.counted(ref, test, largest, counts).to(ref.dtype)
        return values.sum() / counts.sum().clamp(min=1) if self.skips else values.mean()


def _rms(values: Any, axis: int) -> Any:
    """Root mean square of values >= 0; its slope where all are 0 is that of their mean."""
    if values.shape[axis] == 1:
        return values.squeeze(axis)
    squares = values.square().mean(axis)
    silent = squares == 0
    return torch.where(silent, values.mean(axis), torch.where(silent, 1, squares).sqrt())


def evaluate(spec: Spec, ref: Any, test: Any, rate: int) -> Result:
    """The metric of arrays ref, test [channel, sample] as a loss of float64 tensors, on the GPU where there is one.

    Where it has no number, the answer is that of `compute`, not the cap that a loss takes.
    """
    term = _Term(spec, rate)
    if term.card.gradient == "surrogate":
        raise UsageError(f"torch has no {spec.name}, only a surrogate to be minimised; leave the backend to numba")
    answer = None
    if term.card.cap:
        answer = metrics.get(spec.name).compute(ref, test, rate, **spec.options)
        if answer.status != "ok":
            return answer
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.no_grad():
        try:
            r, t = (torch.tensor(x, dtype=torch.float64, device=device)[None] for x in (ref, test))
            values = term.values(r, t)[0]
            alone = term.values(r, t, apart=True)[0] if term.card.pooling == "energy" else None
        except InputError as short:
            return undefined(str(short), len(ref), metrics.scale(spec))
    pooled = pool([Channel(value=value) for value in values.tolist()], term.card.pooling)
    if alone is not None:
        per_channel = alone.double().cpu().numpy()
        if answer:  # a channel without a number of its own has a cap in a loss
            per_channel = np.where(np.isfinite(answer.per_channel), per_channel, answer.per_channel)
        pooled = replace(pooled, per_channel=per_channel)
    return result(pooled, len(ref), metrics.scale(spec))


def gradient(spec: Spec, ref: Any, test: Any, rate: int) -> Any:
    """How the loss changes with each sample of the test: float64 [channel, sample]; ref, test as in evaluate."""
    term = _Term(spec, rate)
    r, t = (torch.tensor(x, dtype=torch.float64)[None] for x in (ref, test))
    t.requires_grad_()
    term(r, t).sum().backward()
    return t.grad[0].numpy()


def _check_axes(given: Any, signal: Any) -> None:
    """UsageError for what is [batch, sample, channel] or [sample, channel]."""
    batch, channels, samples = signal.shape
    if channels > max(MOST_CHANNELS, samples):
        raise UsageError(
            f"input {list(given.shape)} would be {channels} channels of {samples} samples; "
            "the axes are [batch, channel, sample]: pass input.mT and target.mT"
        )
    if given.ndim == 2 and batch > MOST_CHANNELS >= samples > 0:
        raise UsageError(
            f"input {list(given.shape)} would be a batch of {batch} recordings of {samples} samples; "
            "the axes are [batch, sample]: pass input.mT and target.mT, or [batch, 1, sample] if they are so short"
        )


def _in_order(x: Any) -> Any:
    """x as torch lays out a tensor that it makes, so that no layout decides in which order kernels and FFTs add up."""
    x = x.resolve_neg().contiguous()
    return x.clone() if in_memory(x) and x.data_ptr() % _ALIGNED else x


def _noise(like: Any) -> Any:
    """The same white noise [channel, sample] of unit power every time, on like's device."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(like.shape[1:], generator=generator, dtype=torch.float64).to(like.device, like.dtype)
