"""audiosim.Metric: one metric of a whole batch of arrays, item by item, with the numbers of audiosim.compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import metrics
from .comparison import Comparison, Detail, compare_sounds, policy_of
from .engine.threads import cores, in_threads
from .errors import InputError, UsageError
from .match import check, warn
from .result import Result
from .signal import Signal, cuts

Batch = ArrayLike | Sequence[ArrayLike]


class Metric:
    """One metric for batches of arrays: `Metric("si-sdr", 16000)(refs, tests)` gives a value per item.

    spec: a metric with its options, as on the command line.
    rate: Hz of all items.
    threads: that share the items; None for all cores. The numbers do not depend on it.
    policy: fields of match.Policy, as audiosim.compare takes them.
    name, unit, better: what the values are.

    Each item has the bits that `compare` gives it alone. Raises UsageError for a wrong spec, rate or policy.
    """

    def __init__(self, spec: str, rate: int, *, threads: int | None = None, **policy: Any) -> None:
        self.spec, self.rate, self.threads, self.policy = spec, rate, threads, policy_of(policy)
        check(self.policy)
        if threads is not None and threads < 1:
            raise UsageError(f"threads must be at least 1, not {threads}")
        if rate < 1 or rate != int(rate):
            raise UsageError(f"rate is a whole number of Hz, not {rate!r}")
        self.name = metrics.parse(spec, self.policy.listener).name
        self.unit, self.better = metrics.scale(spec)

    def __call__(self, ref: Batch, test: Batch, lengths: Sequence[int] | None = None) -> NDArray[np.float64]:
        """The values, float64 [item]: nan where there is none, +-inf where one is infinite; `results` says why.

        ref, test: [batch, channel, sample], [batch, sample], or [sample] for one item, full scale 1.0; or lists of
            items [sample] or [channel, sample], which may be of different lengths.
        lengths: samples [item] that count in both; what is beyond is padding. None: all.
        Raises InputError for items that cannot be compared, and names them.
        """
        return np.array([result.value for result in self.results(ref, test, lengths)], dtype=np.float64)

    def results(
        self,
        ref: Batch,
        test: Batch,
        lengths: Sequence[int] | None = None,
        *,
        detail: Detail = "value",
        band_edges: Any = None,
    ) -> list[Result]:
        """The Result of each item. ref, test, lengths: as in a call; detail, band_edges: as in audiosim.compare."""
        refs, tests = _items(ref, "ref"), _items(test, "test")
        if len(refs) != len(tests):
            raise UsageError(f"ref has {len(refs)} items and test {len(tests)}: give as many of each")
        ends = _ends(lengths, refs, tests)
        threads = self.threads or cores()
        each = max(1, threads // max(1, len(refs)))

        def compared(i: int) -> Comparison:
            r, t = (
                Signal.of(items[i][..., : ends[i]], self.rate, f"{name}[{i}]")
                for name, items in (("ref", refs), ("test", tests))
            )
            return compare_sounds(r, t, [self.spec], self.policy, detail=detail, band_edges=band_edges, jobs=each)

        done = in_threads(compared, range(len(refs)), threads)
        for item in done:
            warn(item.match)
        return [item.results[self.spec] for item in done]

    def __repr__(self) -> str:
        return f"Metric({self.spec!r}, rate={self.rate})"


def _items(batch: Any, name: str) -> list[NDArray[Any]]:
    """The items of a batch, each [sample] or [channel, sample]."""
    if isinstance(batch, list | tuple) and not (batch and np.isscalar(batch[0])):
        return [_array(item, f"{name}[{i}]") for i, item in enumerate(batch)]
    array = _array(batch, name)
    if array.ndim not in (1, 2, 3):
        raise UsageError(
            f"{name} is [batch, channel, sample], [batch, sample], [sample] or a list of items, "
            f"not {array.ndim}-dimensional"
        )
    return [array] if array.ndim == 1 else list(array)


def _array(x: Any, name: str) -> NDArray[Any]:
    try:
        return np.asarray(x)
    except (TypeError, ValueError, RuntimeError) as wrong:
        raise InputError(f"{name}: is no array of samples: {wrong}".splitlines()[0]) from None


def _ends(lengths: Sequence[int] | None, *batches: list[NDArray[Any]]) -> list[int | None]:
    """Samples of each item that count; None: all."""
    if lengths is None:
        return [None] * len(batches[0])
    shortest = [min(item.shape[-1] if item.ndim else 0 for item in items) for items in zip(*batches, strict=True)]
    return list(cuts(lengths, shortest))
