"""Loss: any differentiable metric, or a weighted sum of some, as a torch.nn.Module. Which way is better, and the order
of its arguments, are settled here and nowhere else."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial
from typing import Any, Literal, get_args

from . import metrics
from .answer import Channel, pool, result
from .errors import InputError, MissingExtra, UsageError
from .metrics import Spec
from .result import Result, undefined

try:
    import torch
except ModuleNotFoundError:
    raise MissingExtra("audiosim.Loss needs torch: pip install torch, or pip install 'audiosim[torch]'") from None

from .hearing.tensors import weighted
from .hearing.weighting import Weighted

Reduction = Literal["mean", "none", "sum"]

# A + between two terms: what follows is a name, or a weight and a name. (Resolutions of mr-stft hold a + too.)
_PLUS = re.compile(r"\s*\+\s*(?=(?:[\d.]+(?:e[-+]?\d+)?\s*\*\s*)?[a-z])", re.IGNORECASE)
_TERM = re.compile(r"(?:(?P<weight>[^*]*)\*)?(?P<spec>[^*]*)")


class Loss(torch.nn.Module):  # type: ignore[misc]
    """What `audiosim compare` prints, to be minimised.

    spec: a metric with its options, as on the command line, or a weighted sum: "mr-stft + 0.1*log-mel:bands=64".
        A metric that is better when higher enters with its sign turned.
    rate: Hz of the signals.
    reduction: of the batch: "mean", "sum", or "none" for one value per element.
    dither: level in dB re full scale of a fixed noise that is added to the input; None: none. For metrics whose
        gradient is exactly zero on silence (Card.zero_gradient_on_silence): -100 sets a network going that starts
        there.

    forward(input, target) -> scalar, or [batch] without reduction; input (the estimate) and target [batch, sample] or
        [batch, channel, sample], full scale 1.0. Each element is reduced by itself, so a batch gives what its elements
        give one by one. The value equals that of `compute` on the same samples,
        or is that of Card.surrogate where the card's gradient is one; where it is undefined or infinite (Card.cap says
        what stands instead) value and gradient are still finite. float16 and bfloat16 are computed in float32, autocast
        or not. There are no parameters, and constants follow the input to its device.

    Raises UsageError for an unknown spec, a metric without gradient or for another rate, or shapes that do not fit;
    InputError for signals that are too short.
    """

    def __init__(self, spec: str, rate: int, reduction: Reduction = "mean", *, dither: float | None = None) -> None:
        super().__init__()
        if reduction not in get_args(Reduction):
            raise UsageError(f"reduction is mean, none or sum, not {reduction!r}")
        if rate < 1 or rate != int(rate):
            raise UsageError(f"rate is a whole number of Hz, not {rate!r}")
        if dither is not None and not -300 <= dither <= 0:
            raise UsageError(f"dither is a level of -300 to 0 dB re full scale, not {dither!r}")
        self.spec, self.rate, self.reduction, self.dither = spec, int(rate), reduction, dither
        self.terms = [(weight, _Term(term, self.rate)) for weight, term in parse(spec)]

    def forward(self, input: Any, target: Any) -> Any:
        if not (isinstance(input, torch.Tensor) and isinstance(target, torch.Tensor)):
            raise UsageError("input and target are torch tensors; for arrays there is audiosim.compare")
        test, ref = (x[:, None] if x.ndim == 2 else x for x in (input, target))
        if test.ndim != 3 or test.shape != ref.shape:
            raise UsageError(
                f"input {list(input.shape)} and target {list(target.shape)} must be of one shape, "
                "[batch, sample] or [batch, channel, sample]"
            )
        if not test.numel():
            raise InputError(f"nothing to compare: the signals have the shape {list(input.shape)}")
        dtype = torch.promote_types(test.dtype, ref.dtype)
        if not dtype.is_floating_point:
            raise UsageError(f"signals are floating point with full scale 1.0, not {dtype}")
        if dtype not in (torch.float32, torch.float64):
            dtype = torch.float32
        device = test.device.type if torch.amp.is_autocast_available(test.device.type) else "cpu"
        with torch.autocast(device, enabled=False):
            test, ref = test.to(dtype), ref.to(dtype)
            if self.dither is not None:
                test = test + 10 ** (self.dither / 20) * _noise(test)
            values = sum(weight * term(ref, test) for weight, term in self.terms)
        values = values.to(dtype)
        return values.mean() if self.reduction == "mean" else values.sum() if self.reduction == "sum" else values

    def __reduce__(self) -> Any:
        return partial(Loss, dither=self.dither), (self.spec, self.rate, self.reduction)

    def extra_repr(self) -> str:
        """What print(loss) shows."""
        dither = "" if self.dither is None else f", dither={self.dither:g}"
        return f"{self.spec!r}, rate={self.rate}, reduction={self.reduction!r}{dither}"


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

    def __init__(self, spec: Spec, rate: int) -> None:
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

    def values(self, ref: Any, test: Any) -> Any:
        """The metric [batch, channel] of ref, test [batch, channel, sample]."""
        o = self.options
        if isinstance(o, Weighted):
            ref, test = (weighted(x, self.rate, o) for x in (ref, test))
        if self.card.joint_channels:
            return self.twin(ref, test)
        return self.twin(ref.flatten(0, 1), test.flatten(0, 1)).reshape(ref.shape[:2])

    def __call__(self, ref: Any, test: Any) -> Any:
        """Badness [batch]: smaller is better."""
        values = self.values(ref, test)
        pooled = _rms(values, 1) if self.card.pooling == "rms" else values.mean(1)
        return pooled if self.card.better == "lower" else -pooled


def _rms(values: Any, axis: int) -> Any:
    """Root mean square of values >= 0; its slope where all are 0 is that of their mean."""
    if values.shape[axis] == 1:
        return values.squeeze(axis)
    squares = values.square().mean(axis)
    silent = squares == 0
    return torch.where(silent, values.mean(axis), torch.where(silent, 1, squares).sqrt())


def evaluate(spec: Spec, ref: Any, test: Any, rate: int) -> Result:
    """The metric of arrays ref, test [channel, sample] as a loss computes it, on the GPU where there is one.

    Where it has no number, the answer is that of `compute`, not the cap that a loss takes.
    """
    term = _Term(spec, rate)
    if term.card.gradient == "surrogate":
        raise UsageError(f"torch has no {spec.name}, only a surrogate to be minimised; leave the backend to numba")
    unit = None
    if term.card.cap:
        answer = metrics.get(spec.name).compute(ref, test, rate, **spec.options)
        if answer.status != "ok":
            return answer
        unit = answer.unit
    device = "cuda" if torch.cuda.is_available() else "cpu"
    with torch.no_grad():
        try:
            values = term.values(*(torch.tensor(x, device=device)[None] for x in (ref, test)))[0]
        except InputError as short:
            return undefined(str(short), len(ref))
    pooled = pool([Channel(value=value) for value in values.tolist()], term.card.pooling)
    return result(replace(pooled, unit=unit), len(ref))


def gradient(spec: Spec, ref: Any, test: Any, rate: int) -> Any:
    """How the loss changes with each sample of the test: float64 [channel, sample]; ref, test as in evaluate."""
    term = _Term(spec, rate)
    r, t = (torch.tensor(x, dtype=torch.float64)[None] for x in (ref, test))
    t.requires_grad_()
    term(r, t).sum().backward()
    return t.grad[0].numpy()


def _noise(like: Any) -> Any:
    """The same white noise [channel, sample] of unit power every time, on like's device."""
    generator = torch.Generator().manual_seed(0)
    return torch.randn(like.shape[1:], generator=generator, dtype=torch.float64).to(like.device, like.dtype)
