"""Metrics for evaluation loops: any audiosim metric as a torchmetrics.Metric, for Lightning and MetricCollection."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import fields
from hashlib import blake2b
from math import fsum, inf, isfinite, isnan, nan
from typing import Any, Literal, get_args

from .batched import Metric
from .errors import InputError, MissingExtra, UsageError
from .match import Policy
from .result import Result

try:
    import torch
    import torchmetrics
except ModuleNotFoundError:
    raise MissingExtra(
        "audiosim.torchmetrics needs torch and torchmetrics: pip install 'audiosim[torchmetrics]'"
    ) from None

Reduction = Literal["mean", "none"]
Undefined = Literal["skip", "nan", "error"]
KINDS = ("numbers", "infinitely_good", "infinitely_bad", "undefined")


class AudiosimMetric(torchmetrics.Metric):  # type: ignore[misc]
    """The mean of a metric over all items that `update` has seen, on this process and, once synchronised, on all.

    spec: a metric with its options, as on the command line.
    rate: Hz of the signals.
    reduction: "mean", or "none" for the values of all items [item], in the order in which they came.
    undefined: what becomes of an item without a value, such as one that is too short. "skip": it does not count, and
        the mean of nothing is nan; "nan": the mean is nan; "error": update raises InputError. With reduction "none"
        it is nan in its place, unless update raises.
    threads: that share the items of a batch; None for all cores.
    settings: fields of match.Policy, such as gain="match"; anything else goes to torchmetrics.Metric.

    update(preds, target, lengths=None): the estimate first, as with all of torchmetrics; both [sample],
        [batch, sample] or [batch, channel, sample] with full scale 1.0, on any device; lengths [item] says how many
        samples count, the rest being padding. Values are those of `audiosim.compare` of each item, to the last bit.
        They are computed on the CPU, in the precision that the tensors have; float16 and bfloat16 become float32.
    compute(): a float64 scalar, or [item]. Infinite values as in the summary of `audiosim batch`: infinitely good ones
        (of identical signals, for ratios) do not count unless there is nothing else, infinitely bad ones do.
    counts: how many items had a number, an infinite value, or none.

    A metric measures, so is_differentiable is False: to train, take audiosim.Loss, which has the same values.
    States are sums, in float64; for a device without it, such as mps, call set_dtype(torch.float32) before `to`.
    Raises UsageError for a wrong spec or option, InputError for signals that cannot be compared.
    """

    is_differentiable = False
    full_state_update = False

    def __init__(
        self,
        spec: str,
        rate: int,
        *,
        reduction: Reduction = "mean",
        undefined: Undefined = "skip",
        threads: int | None = None,
        **settings: Any,
    ) -> None:
        for name, value, possible in (("reduction", reduction, Reduction), ("undefined", undefined, Undefined)):
            if value not in get_args(possible):
                raise UsageError(f"{name}={value!r} is not possible; one of: {', '.join(get_args(possible))}")
        policy = {field.name: settings.pop(field.name) for field in fields(Policy) if field.name in settings}
        super().__init__(**settings)
        self.spec, self.rate, self.reduction, self.undefined = spec, rate, reduction, undefined
        self._metric = Metric(spec, rate, threads=threads, **policy)
        self._warned = False
        # A MetricCollection takes metrics for one whose states are equal after the first batch, and updates only one
        # of them from then on: states of different metrics have different names.
        asked = f"{spec}\0{rate}\0{undefined}\0{self._metric.policy}".encode()
        self._values, self._total, self._counts = (
            f"{what}_{blake2b(asked, digest_size=8).hexdigest()}" for what in ("values", "total", "counts")
        )
        if reduction == "none":
            self.add_state(self._values, [], dist_reduce_fx="cat")
            self._begin()
        else:
            self.add_state(self._total, torch.zeros((), dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state(self._counts, torch.zeros(len(KINDS), dtype=torch.int64), dist_reduce_fx="sum")

    @property
    def higher_is_better(self) -> bool:
        return self._metric.better == "higher"

    @property
    def counts(self) -> dict[str, int]:
        """Items by what became of them: numbers, infinitely_good, infinitely_bad, undefined."""
        return dict(zip(KINDS, map(int, getattr(self, self._counts).tolist()), strict=True))

    def reset(self) -> None:
        super().reset()
        if self.reduction == "none":
            self._begin()

    def _begin(self) -> None:
        """No values yet, in float64: where torchmetrics gathers from a process that has seen nothing it would take
        float32."""
        getattr(self, self._values).append(torch.zeros(0, dtype=torch.float64, device=self.device))

    def update(self, preds: Any, target: Any, lengths: Sequence[int] | Any = None) -> None:
        if not (isinstance(preds, torch.Tensor) and isinstance(target, torch.Tensor)):
            raise UsageError("preds and target are torch tensors; for arrays there is audiosim.Metric")
        if preds.shape != target.shape or not 1 <= preds.ndim <= 3:
            raise UsageError(
                f"preds {list(preds.shape)} and target {list(target.shape)} must be of one shape, "
                "[sample], [batch, sample] or [batch, channel, sample]"
            )
        if isinstance(lengths, torch.Tensor):
            lengths = lengths.tolist()
        results = self._metric.results(_array(target), _array(preds), lengths)
        self._complain(results)
        values = [result.value for result in results]
        bad = -inf if self.higher_is_better else inf
        kinds = [0 if isfinite(v) else 3 if isnan(v) else 2 if v == bad else 1 for v in values]
        counts = getattr(self, self._counts)
        setattr(self, self._counts, counts + torch.tensor([kinds.count(k) for k in range(4)], device=counts.device))
        if self.reduction == "none":
            known = getattr(self, self._values)
            known.append(torch.tensor(values, dtype=known[0].dtype, device=known[0].device))
        else:
            setattr(self, self._total, getattr(self, self._total) + fsum(v for v in values if isfinite(v)))

    def compute(self) -> Any:
        if self.reduction == "none":
            known = getattr(self, self._values)
            return torch.cat(known) if isinstance(known, list) else known  # torchmetrics joins them to synchronise
        total, good = getattr(self, self._total), inf if self.higher_is_better else -inf
        of = self.counts
        if of["undefined"] and self.undefined == "nan":
            return torch.full_like(total, nan)
        if of["infinitely_bad"]:
            return torch.full_like(total, -good)
        if of["numbers"]:
            return total / of["numbers"]
        return torch.full_like(total, good if of["infinitely_good"] else nan)

    def _complain(self, results: Sequence[Result]) -> None:
        """Of items without a value: as an error where it was asked for, and once of a metric that broke."""
        for i, result in enumerate(results):
            if result.status in ("undefined", "error") and self.undefined == "error":
                raise InputError(f"item {i}: {self.spec} has no value: {result.reason}")
            if result.status == "error" and not self._warned:
                self._warned = True
                warnings.warn(f"item {i}: {self.spec} has no value: {result.reason}", stacklevel=4)

    def __repr__(self) -> str:
        return f"AudiosimMetric({self.spec!r}, rate={self.rate})"


def _array(x: Any) -> Any:
    """The tensor as an array on the CPU."""
    x = x.detach().cpu()
    return (x.float() if x.dtype in (torch.float16, torch.bfloat16) else x).numpy()
