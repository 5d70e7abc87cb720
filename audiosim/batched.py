"""audiosim.Metric: one metric of a whole batch of arrays, item by item, with the numbers of audiosim.compare."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import metrics
from .comparison import Batch, Detail, compare_batch, policy_of
from .errors import UsageError
from .match import check, warn
from .result import Result


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
        done = compare_batch(
            ref,
            test,
            lengths,
            self.rate,
            [self.spec],
            self.policy,
            detail=detail,
            band_edges=band_edges,
            jobs=self.threads,
        )
        for item in done:
            warn(item.match)
        return [item.results[self.spec] for item in done]

    def __repr__(self) -> str:
        return f"Metric({self.spec!r}, rate={self.rate})"
