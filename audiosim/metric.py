"""Metric: a file that describes a metric, as the rest of audiosim sees it. Here options are checked, channels weighted,
taken apart, given to threads and pooled, once for all metrics."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import domain, watch
from .answer import Channel, Detail, Pair, pool, result
from .card import Card
from .dsp.resampling import to_rate
from .engine.cache import cached
from .engine.threads import in_threads
from .errors import InputError, MetricError, NoFeature, UsageError
from .hearing.weighting import PLAIN, Weighted, streams
from .options import Option, Options, described
from .result import Result, Scale, Twin, undefined
from .signal import Signal, in_order

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric. Its file offers

    CARD, a Card: what it promises.
    Options: a subclass of options.Options, or hearing.weighting.Weighted for those that may be weighted.
    measure(pair, options) -> Channel: the metric of one channel; where the card says joint_channels, of a list of
        pairs, one per channel.
    feature(samples, options), distances(one, many, options): where it needs no alignment; see models.unaligned.
    twin(rate, options) -> Twin: the same on tensors; where the card says that there is a gradient. Its method
        advance(training), if there is one, is called when a forward of a loss begins.
    words(result) -> the sounds of what `explain` has found, the largest first; may be missing.
    """

    name: str
    module: ModuleType
    sha256: str | None = None  # of the source of a metric from outside audiosim
    fault: str = ""  # why a metric from outside cannot be used

    @property
    def card(self) -> Card:
        return self.module.CARD  # type: ignore[no-any-return]

    @property
    def version(self) -> int | str:
        """Of its values: those of another version are computed again."""
        return self.card.version if self.sha256 is None else f"{self.card.version}-{self.sha256[:16]}"

    def beside(self, given: Mapping[str, Any]) -> list[str]:
        """Digests of all that its results with these options depend on besides recordings and version: files of
        models, and the summary of its domain."""
        known = [domain.source(self.name)] if self.card.domain and self.sha256 is None else []
        return [hashlib.sha256(file.read_bytes()).hexdigest() for file in (*self.chosen(given).files, *known)]

    @property
    def doc(self) -> str:
        return (self.module.__doc__ or "").strip()

    @property
    def options(self) -> Mapping[str, Option]:
        """Its options by name, in the order in which they are told."""
        return described(self.module.Options)

    @property
    def words(self) -> Callable[[Result], list[str]] | None:
        return getattr(self.module, "words", None)

    def chosen(self, given: Mapping[str, Any]) -> Options:
        """Its options with these values; UsageError for what it does not know or does not allow."""
        if self.fault:
            return Options()
        for name in given:
            if name not in self.options:
                raise UsageError(f"{self.name} has no option {name!r}; it has: {', '.join(self.options) or 'none'}")
        try:
            return self.module.Options(**given)  # type: ignore[no-any-return]
        except UsageError as wrong:
            raise UsageError(f"{self.name}: {wrong}") from None

    def scale(self, options: Options) -> Scale:
        """Unit and direction of its values with these options, whether there is a value or not."""
        return Scale(options.value_unit or self.card.unit, options.value_better or self.card.better)

    def equal_lengths(self, options: Options) -> bool:
        """Whether it compares recordings of one length only, with these options."""
        return (options.lengths or self.card.lengths) == "equal"

    def compute(
        self,
        ref: Array,
        test: Array,
        rate: int,
        *,
        detail: Detail = "value",
        band_edges: Any = None,
        threads: int = 1,
        others: Sequence[tuple[Array, Array]] = (),
        **options: Any,
    ) -> Result:
        """The metric of ref, test [channel, sample] at rate Hz. Other arguments as in audiosim.compare.

        others: the other sources of a mixture and their estimates, of the same shape, where the card asks for them.

        Raises MetricError where a metric from outside audiosim does not do what its card says.
        """
        if self.fault:
            raise MetricError(self.fault)
        if self.sha256 is None:
            return self.measured(ref, test, rate, detail, band_edges, threads, options, others)
        with watch.watched(self.name):
            watch.examine(self.name, self.sha256, self.card, self.measured)
            return self.measured(ref, test, rate, detail, band_edges, threads, options, others)

    def measured(
        self,
        ref: Array,
        test: Array,
        rate: int,
        detail: Detail = "value",
        band_edges: Any = None,
        threads: int = 1,
        options: Mapping[str, Any] = MappingProxyType({}),
        others: Sequence[tuple[Array, Array]] = (),
    ) -> Result:
        """As compute, of a metric that is known to be sound."""
        o = self.chosen(options)
        every = [(in_order(r), in_order(t)) for r, t in ((ref, test), *others)]
        given, at = every[0], rate
        if o.resampled_to is not None:
            try:
                names = ("the reference", "the test")
                signals = [[Signal(x, rate, name) for x, name in zip(both, names, strict=True)] for both in every]
                every = [(to_rate(r, o.resampled_to).samples, to_rate(t, o.resampled_to).samples) for r, t in signals]
            except InputError as short:
                return undefined(str(short), len(ref), self.scale(o))
            rate = o.resampled_to
        weighting = o if isinstance(o, Weighted) else PLAIN
        at_once = 1 if self.card.joint_channels else min(threads, len(ref))
        each = max(1, threads // at_once)
        (first, *rest) = (streams(r, t, rate, weighting) for r, t in every)
        pairs = [
            Pair(rate=rate, detail=detail, band_edges=band_edges, threads=each, ref=r, test=t, others=tuple(beside))
            for (r, t), *beside in zip(first, *rest, strict=True)
        ]

        def ask(what: Any) -> Channel:
            answer = self.module.measure(what, o)
            if self.sha256 is not None:
                watch.check_channel(answer)
            return answer  # type: ignore[no-any-return]

        if self.card.joint_channels:
            answer = ask(pairs)
        else:
            channels = in_threads(lambda c: ask(pairs[c]), range(len(pairs)), at_once)
            answer = pool(channels, self.card.pooling)
        found = result(answer, len(ref), self.scale(o))
        if found.status != "ok" or self.sha256 is not None:  # no summary of others is stored
            return found
        if answer.place:
            known, p = domain.summary(self.name).judge(answer.place)
        elif self.card.domain == domain.SPEECH and min(at, o.resampled_to or at) >= domain.LEAST_RATE:
            known, p = domain.summary(self.name).judge(*self.looked_at(given, at))
        else:
            return found
        return replace(found, domain=known, domain_p=p)

    def feature(self, signal: Signal, **options: Any) -> Array:
        """What a metric that needs no alignment compares of a recording, float64 [value] (models.unaligned).

        InputError names the recording where it is silent or too short; UsageError where the metric is another one.
        """
        if not hasattr(self.module, "feature"):
            raise UsageError(f"{self.name} compares recordings moment by moment: it has no feature of one alone")
        o, rate = self.chosen(options), self.card.rate or signal.rate
        try:
            return self.module.feature(to_rate(signal, rate).samples, o)  # type: ignore[no-any-return]
        except NoFeature as why:
            raise InputError(f"{signal.name} {why}") from None

    def distances(self, one: Array, many: Array, **options: Any) -> Array:
        """The metric between one feature [value] and many [item, value]: float64 [item]."""
        return self.module.distances(one, many, self.chosen(options))  # type: ignore[no-any-return]

    def looked_at(self, pair: tuple[Array, Array], rate: int) -> domain.Recording:
        """The recording that the domain is asked about."""
        x = pair[1] if self.card.non_intrusive else pair[0]
        return cached(x, ("domain", rate), lambda: domain.recording(x.mean(0, dtype=np.float64), rate))

    def twin(self, rate: int, options: Options) -> Twin:
        """The same on tensors, made for this rate."""
        return self.module.twin(rate, options)  # type: ignore[no-any-return]
