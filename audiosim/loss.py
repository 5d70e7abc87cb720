"""Loss: any differentiable metric, or a weighted sum of some, as a torch.nn.Module. Which way is better, and the order
of its arguments, are settled here and nowhere else."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import permutations
from typing import Any, Literal, get_args

import numpy as np

from . import metrics
from .answer import Channel, pool, result
from .errors import InputError, MissingExtra, UsageError
from .metrics import Spec
from .result import Result, undefined
from .signal import MOST_CHANNELS, cuts, may_warn, warn_of_loss

try:
    import torch
except ModuleNotFoundError:
    raise MissingExtra("audiosim.Loss needs torch: pip install torch, or pip install 'audiosim[torch]'") from None

from .engine.parts import listening
from .engine.tensors import autocast_device, bounded, in_memory
from .hearing.tensors import weighted
from .hearing.weighting import Weighted

Reduction = Literal["mean", "none", "sum"]
Silent = Literal["skip", "keep"]


# A + between two terms: what follows is a name, or a weight and a name. (Resolutions of mr-stft hold a + too.)
_PLUS = re.compile(r"\s*\+\s*(?=(?:[\d.]+(?:e[-+]?\d+)?\s*\*\s*)?[a-z])", re.IGNORECASE)
_TERM = re.compile(r"(?:(?P<weight>[^*]*)\*)?(?P<spec>[^*]*)")
EXHAUSTIVE = 3  # sources, up to which all assignments are tried
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
        for snr, sd-sdr, si-sdr, sdr and bss-eval, "keep" for the others.
    permutation: signals are [batch, source, sample] or [batch, source, channel, sample], in no order, as in source
        separation: each target is compared with the input that makes the loss of the element smallest (permutation
        invariant training, Yu et al. 2017, arXiv 1607.00325), one input with one target. The value is the mean over
        sources; the gradient goes through this assignment, which is kept as `assignment` [batch, source]: for each
        target, which input. All orders are tried up to 3 sources; from 4 on the Hungarian algorithm finds it on the
        CPU. To look costs sources^2 forwards without gradient.
    clamp: dB; snr, sd-sdr, si-sdr, sdr and bss-eval level off below it: -10 lg(10^(-s/10) + 10^(-clamp/10)), so that
        elements that are good already do not outweigh the others (Wisdom et al. 2020, arXiv 2006.12701, eq. 2).

    forward(input, target, lengths=None, target_lengths=None) -> scalar, or [batch] without reduction; input (the
        estimate) and target [batch, sample] or [batch, channel, sample], full scale 1.0. Each element is reduced by
        itself, so a batch gives what its elements give one by one.
        lengths: of padded batches, the samples [batch] that count of each element; a list, or a tensor on the CPU,
        since one on a GPU is waited for. Value and gradient are those of the element cut to its length, and nothing
        reaches the padding, whatever is in it. Elements of one length are computed together, so a batch that is sorted
        into few lengths is fastest; a compiler compiles anew for other lengths.
        target_lengths: those of the target, where they differ (lengths is then of the input alone). Recordings of
        different lengths, padded or not, are for metrics that compare them (Card.lengths): mcd and zimtohrli align
        them, auditory compares the rest with silence, nmr leaves it out.
        The value equals that of `compute` on the same samples, or is that of Card.surrogate where the card's gradient
        is one; where it is undefined or infinite (Card.cap says what stands instead) value and gradient are still
        finite. float16 and bfloat16 are computed in float32, autocast or not, and backward too. Card.steepest bounds
        the gradient of each element: its norm, times the root of the number of samples. There are no parameters, and
        constants follow the input to its device.
    terms() says of what summands and parts the last value is made.

    Warns once a process of samples beyond full scale (FullScaleWarning): a target's, or an input's above +6 dBFS.
    Raises UsageError for an unknown spec, a metric without gradient or for another rate, or shapes or lengths that do
    not fit; InputError for signals that are too short.
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
        permutation: bool = False,
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
        self.silent, self.clamp, self.permutation = silent, clamp, permutation
        self._calls = 0
        self._last: _Answer | None = None
        self.assignment: Any = None
        parsed = parse(spec)
        self._terms = [(weight, _Term(term, self.rate, silent, clamp)) for weight, term in parsed]
        self._names = _different([term.text.strip() for _, term in parsed])
        self._equal = next((term.name for _, term in self._terms if term.equal_lengths), None)
        if clamp is not None and not any(term.clamps for _, term in self._terms):
            raise UsageError(f"clamp is for ratios in dB without an upper limit, such as snr; {spec!r} has none")

    def forward(self, input: Any, target: Any, lengths: Any = None, target_lengths: Any = None) -> Any:
        test, ref = self._signals(input, target)
        for _, term in self._terms:
            term.advance(self.training)
        groups = self._groups(ref, test, lengths, target_lengths)
        self._watch_level(groups)
        dtype = torch.promote_types(test.dtype, ref.dtype)
        if not dtype.is_floating_point:
            raise UsageError(f"signals are floating point with full scale 1.0, not {dtype}")
        if dtype not in (torch.float32, torch.float64):
            dtype = torch.float32
        largest = min(torch.finfo(x.dtype).max for x in (test, ref))
        with torch.autocast(autocast_device(test), enabled=False):
            answer = _joined([self._answer(group, dtype, largest) for group in groups], groups)
            if not torch._C._are_functorch_transforms_active():  # whose tensors mean nothing afterwards
                self._last = answer.detached()
                self.assignment = answer.assignment
            if self.reduction == "mean" and answer.counts is not None:
                return sum(weight * self._mean(answer, i) for i, (weight, _) in enumerate(self._terms)).to(dtype)
            total = sum(w * v for v, (w, _) in zip(answer.values, self._terms, strict=True)).to(dtype)
        return self._reduced(total)

    def terms(self) -> dict[str, Any]:
        """What the last forward was made of, for logs and schedulers: tensors without gradient, reduced as the loss is.

        Each summand by its spec, with its weight and its sign: their sum is the loss. And the parts of a metric by
        "spec/part", as far as it has them at hand: with the names and in the units of Result.details, neither weighted
        nor turned, in the mean of the channels (and sources). auditory has spectrum, modulation, course and peakiness,
        or with `ask` added and missing; mr-stft the convergence and the log distance of each resolution; peaq its
        variables. Nothing is computed for it beyond means over the batch. A compiled forward knows no parts.
        Raises UsageError before the first forward.
        """
        if self._last is None:
            raise UsageError("terms() tells of the last forward: call the loss first")
        told = {}
        for i, ((weight, _), name) in enumerate(zip(self._terms, self._names, strict=True)):
            mean = self.reduction == "mean" and self._last.counts is not None
            values = self._last.values[i].to(self._last.dtype)
            told[name] = weight * (self._mean(self._last, i) if mean else self._reduced(values))
            told |= {f"{name}/{part}": self._reduced(x) for part, x in self._last.parts[i].items()}
        return told

    def _reduced(self, values: Any) -> Any:
        return values.mean() if self.reduction == "mean" else values.sum() if self.reduction == "sum" else values

    def _mean(self, answer: _Answer, term: int) -> Any:
        """Mean of the values of a term that count; 0 of nothing."""
        values = answer.values[term].to(answer.dtype)
        return values.sum() / answer.counts.sum().clamp(min=1) if self._terms[term][1].skips else values.mean()

    def _signals(self, input: Any, target: Any) -> tuple[Any, Any]:
        """input and target, checked, as [batch, channel, sample], or [batch, source, channel, sample]."""
        if not (isinstance(input, torch.Tensor) and isinstance(target, torch.Tensor)):
            raise UsageError("input and target are torch tensors; for arrays there is audiosim.compare")
        axes = 4 if self.permutation else 3
        test, ref = (x[..., None, :] if x.ndim == axes - 1 else x for x in (input, target))
        if input.ndim != target.ndim or test.ndim != axes:
            raise self._of_one_shape(input, target)
        if self.permutation and test.shape[1] != ref.shape[1]:
            raise UsageError(
                f"input has {test.shape[1]} sources and target {ref.shape[1]}: permutation=True assigns as many to as "
                "many"
            )
        if test.shape[:-1] != ref.shape[:-1]:
            raise self._of_one_shape(input, target)
        if self._equal and test.shape[-1] != ref.shape[-1]:
            raise self._of_one_shape(input, target, f"; {self._equal} takes no other")
        if self.permutation:
            _check_axes(input, test[:, :, 0], "source")
            _check_axes(input, test.flatten(0, 1))
        else:
            _check_axes(input, test)
        if not (test.numel() and ref.numel()):
            raise InputError(f"nothing to compare: the signals have the shape {list(input.shape)}")
        return test, ref

    def _of_one_shape(self, input: Any, target: Any, why: str = "") -> UsageError:
        source = "source, " if self.permutation else ""
        return UsageError(
            f"input {list(input.shape)} and target {list(target.shape)} must be of one shape, "
            f"[batch, {source}sample] or [batch, {source}channel, sample]{why}"
        )

    def _groups(self, ref: Any, test: Any, lengths: Any, target_lengths: Any) -> list[_Group]:
        """The items, cut to their lengths; those that are equally long go together."""
        if lengths is None and target_lengths is None:
            return [_Group(ref, test)]
        places: dict[tuple[int, int], list[int]] = {}
        for i, (of_ref, of_test) in enumerate(_ends(ref, test, lengths, target_lengths)):
            if self._equal and of_ref != of_test:
                raise UsageError(
                    f"{self._equal} needs equal lengths: those of item {i} are {of_test} samples of input and {of_ref} "
                    "of target"
                )
            places.setdefault((of_ref, of_test), []).append(i)
        refs, tests = ref.unbind(), test.unbind()
        return [
            _Group(
                torch.stack([refs[i][..., :r] for i in items]), torch.stack([tests[i][..., :t] for i in items]), items
            )
            for (r, t), items in places.items()
        ]

    def _answer(self, group: _Group, dtype: Any, largest: float) -> _Answer:
        test, ref = _in_order(group.test.to(dtype)), _in_order(group.ref.to(dtype))
        if self.dither is not None:
            test = test + 10 ** (self.dither / 20) * _noise(test)
        try:
            if not self.permutation:
                return self._of_pairs(ref, test, largest)
            assignment = self._assigned(ref, test, largest)
            test = torch.take_along_dim(test, assignment[:, :, None, None], 1)
            each = self._of_pairs(ref.flatten(0, 1), test.flatten(0, 1), largest)
            return each.over_sources(ref.shape[1], [term.skips for _, term in self._terms], assignment)
        except InputError as wrong:
            if group.items is None:
                raise
            raise InputError(f"item {group.items[0]}: {wrong}") from None

    def _of_pairs(self, ref: Any, test: Any, largest: float) -> _Answer:
        """Of signals [item, channel, sample]."""
        skips = any(term.skips for _, term in self._terms)
        counts = ref.flatten(1).abs().sum(1) != 0 if skips else None
        values: list[Any] = []
        told: list[dict[str, Any]] = []
        for _, term in self._terms:
            if torch.compiler.is_compiling():
                values.append(term.counted(ref, test, largest, counts))
                told.append({})
                continue
            with listening() as parts:
                values.append(term.counted(ref, test, largest, counts))
            told.append({name: _by_item(x, ref) for name, x in parts.items()})
        return _Answer(ref.dtype, values, counts, told)

    def _assigned(self, ref: Any, test: Any, largest: float) -> Any:
        """For each target the input that goes with it [item, source], so that the loss is smallest."""
        sources = ref.shape[1]
        with torch.no_grad():
            targets, costs = ref.flatten(0, 1), []
            for i in range(sources):
                inputs = test[:, i : i + 1].expand(-1, sources, -1, -1).flatten(0, 1)
                values = self._of_pairs(targets, inputs, largest).values
                costs.append(
                    sum(w * v for v, (w, _) in zip(values, self._terms, strict=True)).unflatten(0, (-1, sources))
                )
            return _cheapest(torch.stack(costs, -1))

    def _watch_level(self, groups: Sequence[_Group]) -> None:
        """Warn once a process of samples beyond full scale. To look is to wait for the device: calls 1, 2, 4, 8..."""
        if torch.compiler.is_compiling() or not may_warn():
            return
        self._calls += 1
        if self._calls & (self._calls - 1) or (groups[0].ref.is_cuda and torch.cuda.is_current_stream_capturing()):
            return
        try:
            peaks = [[float(x.detach().abs().amax()) for x in (group.ref, group.test)] for group in groups]
        except (RuntimeError, NotImplementedError):  # under vmap, or without samples
            return
        target, estimate = map(max, zip(*peaks, strict=True))
        warn_of_loss(target, estimate, stacklevel=5)

    def __reduce__(self) -> Any:
        options = partial(Loss, dither=self.dither, silent=self.silent, clamp=self.clamp, permutation=self.permutation)
        return options, (self.spec, self.rate, self.reduction)

    def extra_repr(self) -> str:
        """What print(loss) shows."""
        said = f"{self.spec!r}, rate={self.rate}, reduction={self.reduction!r}"
        said += "" if self.dither is None else f", dither={self.dither:g}"
        said += "" if self.silent is None else f", silent={self.silent!r}"
        said += "" if self.clamp is None else f", clamp={self.clamp:g}"
        return said + (", permutation=True" if self.permutation else "")


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


def _different(names: Sequence[str]) -> list[str]:
    """Names of summands; the second of one name is "name (2)"."""
    return [n if n not in names[:i] else f"{n} ({names[:i].count(n) + 1})" for i, n in enumerate(names)]


class _Term:
    """One metric, ready for tensors: everything that does not depend on the samples is decided here."""

    def __init__(self, spec: Spec, rate: int, silent: Silent | None = None, clamp: float | None = None) -> None:
        metric = metrics.get(spec.name)
        self.name = spec.name
        self.card = card = metric.card
        if card.gradient == "none":
            raise UsageError(f"{spec.name} has no gradient; `audiosim explain` lists those that have")
        if card.rate not in (None, rate):
            raise UsageError(
                f"{spec.name} is defined at {card.rate} Hz, this loss is for {rate} Hz: resample the signals"
            )
        self.rate, self.options = rate, metric.chosen(spec.options)
        self.equal_lengths = metric.equal_lengths(self.options)
        self.twin = metric.twin(rate, self.options)
        self.skips = card.ratio and (silent == "skip" or (silent is None and card.unit == "dB" and bool(card.cap)))
        self.clamp = clamp
        self.clamps = clamp is not None and card.unit == "dB" and card.better == "higher" and card.range[1] == math.inf
        self.once = "" if card.twice else f"{spec.name}: its gradient has no gradient; use it without create_graph"

    def advance(self, training: bool) -> None:
        """A forward begins, of which a twin that changes from one to the next wants to know."""
        if hasattr(self.twin, "advance"):
            self.twin.advance(training)

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


@dataclass(frozen=True, eq=False)
class _Group:
    """Items of equal lengths [item, channel, sample]. items: their places in the batch; None: they are all of it."""

    ref: Any
    test: Any
    items: Sequence[int] | None = None


@dataclass(frozen=True, eq=False)
class _Answer:
    """values: badness by each term [term][item]. counts: which items count [item], where a term skips some. parts: of
    each term, by name [item]. assignment: [item, source], where sources were assigned."""

    dtype: Any
    values: list[Any]
    counts: Any
    parts: list[dict[str, Any]]
    assignment: Any = None

    def detached(self) -> _Answer:
        return replace(self, values=[v.detach() for v in self.values])

    def over_sources(self, sources: int, skips: Sequence[bool], assignment: Any) -> _Answer:
        """Of items that are so many sources each, the mean of those that count."""

        def apart(x: Any) -> Any:
            return x.unflatten(0, (-1, sources))

        counts = None if self.counts is None else apart(self.counts)
        values = [
            apart(v).sum(1) / counts.sum(1).clamp(min=1) if counts is not None and skip else apart(v).mean(1)
            for v, skip in zip(self.values, skips, strict=True)
        ]
        parts = [{name: apart(x).mean(1) for name, x in each.items()} for each in self.parts]
        return _Answer(self.dtype, values, None if counts is None else counts.any(1), parts, assignment)


def _ends(ref: Any, test: Any, lengths: Any, target_lengths: Any) -> list[tuple[int, int]]:
    """How many samples of the target and of the input count, for each item."""
    batch, of_ref, of_test = len(ref), ref.shape[-1], test.shape[-1]
    if target_lengths is None:
        both = cuts(lengths, [min(of_ref, of_test)] * batch)
        return [(n, n) for n in both]
    there = cuts(target_lengths, [of_ref] * batch, "target_lengths")
    here = [of_test] * batch if lengths is None else cuts(lengths, [of_test] * batch)
    return list(zip(there, here, strict=True))


def _joined(answers: Sequence[_Answer], groups: Sequence[_Group]) -> _Answer:
    """Those of the groups as one of the whole batch."""
    if groups[0].items is None:
        return answers[0]
    came = [i for group in groups for i in group.items or ()]
    order = torch.tensor(sorted(range(len(came)), key=came.__getitem__), device=groups[0].ref.device)

    def joined(found: Sequence[Any]) -> Any:
        return None if found[0] is None else torch.cat(list(found))[order]

    values = [joined(found) for found in zip(*(a.values for a in answers), strict=True)]
    parts = [
        {name: joined([p[name] for p in each]) for name in each[0]}
        for each in zip(*(a.parts for a in answers), strict=True)
    ]
    counts, assignment = (joined([getattr(a, name) for a in answers]) for name in ("counts", "assignment"))
    return _Answer(answers[0].dtype, values, counts, parts, assignment)


def _by_item(part: Any, ref: Any) -> Any:
    """[item], the mean over channels of what a metric told of each."""
    return torch.as_tensor(part, device=ref.device).reshape(len(ref), -1).mean(1)


def _cheapest(costs: Any) -> Any:
    """The assignment of least cost: costs [item, target, input] -> the input of each target [item, target]."""
    sources = costs.shape[-1]
    costs = costs.double().nan_to_num(nan=1e100, posinf=1e100, neginf=-1e100)
    if sources <= EXHAUSTIVE:
        orders = torch.tensor(list(permutations(range(sources))), device=costs.device)
        totals = costs[:, torch.arange(sources, device=costs.device), orders].sum(-1)
        return orders[totals.argmin(-1)]
    from scipy.optimize import linear_sum_assignment

    found = np.stack([linear_sum_assignment(c)[1] for c in costs.cpu().numpy()])
    return torch.from_numpy(found).to(costs.device)


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
    if term.card.gradient == "straight-through":
        raise UsageError(f"torch gives no value of {spec.name} for each channel; leave the backend to numba")
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


def _check_axes(given: Any, signal: Any, what: str = "channel") -> None:
    """UsageError for what is [batch, sample, channel] or [sample, channel]; what: a channel or a source."""
    batch, channels, samples = signal.shape
    if channels > max(MOST_CHANNELS, samples):
        raise UsageError(
            f"input {list(given.shape)} would be {channels} {what}s of {samples} samples; "
            f"the axes are [batch, {what}, sample]: pass input.mT and target.mT"
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
