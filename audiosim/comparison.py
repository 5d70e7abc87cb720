"""(reference, test, metric specs) -> Comparison. No files are written, nothing is printed.

Not named compare: importing a module of that name would hide the function audiosim.compare, which is in results.py.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import metrics as catalogue
from .channels import Survey, examine, survey
from .engine.cache import caching
from .engine.threads import cores, in_threads
from .errors import AudiosimError, InputError, MetricError, NothingToCompare, UsageError
from .match import Policy, check, match
from .result import IDENTICAL, Result, Scale, failed, undefined
from .signal import Signal, check_finite, cuts

FAR = 1e6  # in place of an infinite value, or none, where estimates are given to sources
PART = 1 << 18  # samples of all channels that are looked at together

Batch = ArrayLike | Sequence[ArrayLike]
Detail = Literal["value", "profile", "map"]
Backend = Literal["numba", "torch"]


@dataclass(frozen=True, slots=True)
class Comparison:
    """One pair: what was compared, each metric's answer by its spec, and what was done to make the two comparable, with
    what is wrong with their channels (channels.examine)."""

    ref: Signal
    test: Signal
    match: Mapping[str, Any]
    results: Mapping[str, Result]
    others: tuple[tuple[Signal, Signal], ...] = ()  # the other sources and their estimates, if a metric takes them


def compare_sounds(
    ref: Signal | ArrayLike | str | os.PathLike[str],
    test: Signal | ArrayLike | str | os.PathLike[str],
    specs: Sequence[str],
    policy: Policy,
    rate: int | None = None,
    *,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int | None = None,
    backend: Backend = "numba",
) -> Comparison:
    """compare_signals of what audiosim.compare takes: paths, URLs, Signals, or arrays, which must be finite."""
    given = {"reference": ref, "test": test}
    first, second = (signal_of(x, rate, n, policy, finite=True) for n, x in given.items())
    seen = _seen(first, second)
    for (name, sound), signal in zip(given.items(), (first, second), strict=True):
        if not (isinstance(sound, Signal | str | os.PathLike) or (seen and seen.finite)):
            check_finite(signal.samples, name)
    return compare_signals(
        first, second, specs, policy, detail=detail, band_edges=band_edges, jobs=jobs, backend=backend, seen=seen
    )


def compare_batch(
    ref: Batch,
    test: Batch,
    lengths: Sequence[int] | None,
    rate: int,
    specs: Sequence[str],
    policy: Policy,
    *,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int | None = None,
    backend: Backend = "numba",
) -> list[Comparison]:
    """compare_sounds of each item of a batch, the items shared by the threads: each has the bits that it has alone.

    ref, test: [batch, channel, sample], [batch, sample], or [sample] for one item; or lists of items.
    lengths: samples [item] that count in both; None: all.
    """
    refs, tests = _items(ref, "ref"), _items(test, "test")
    if len(refs) != len(tests):
        raise UsageError(f"ref has {len(refs)} items and test {len(tests)}: give as many of each")
    ends = _ends(lengths, refs, tests)
    threads = jobs or cores()
    each = max(1, threads // max(1, len(refs)))

    def compared(i: int) -> Comparison:
        r, t = (
            Signal.of(items[i][..., : ends[i]], rate, f"{name}[{i}]")
            for name, items in (("ref", refs), ("test", tests))
        )
        return compare_sounds(r, t, specs, policy, detail=detail, band_edges=band_edges, jobs=each, backend=backend)

    return in_threads(compared, range(len(refs)), threads)


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


def _identical(a: NDArray[Any], b: NDArray[Any]) -> bool:
    """Part by part: what is compared takes memory."""
    parts = (slice(k, k + PART) for k in range(0, a.shape[1], PART))
    return a.shape == b.shape and all(np.array_equal(a[:, part], b[:, part]) for part in parts)


def _familiar(found: Result, policy: Policy) -> Result:
    """The result, or an error where the sound is unlike those that the metric was judged on and the policy asks for
    that."""
    if policy.unfamiliar == "mark" or found.domain in (None, "ok"):
        return found
    said = f"{found.domain}: the sound is unlike those that the metric was judged on (p = {found.domain_p:.2g})"
    none = failed(f"{said}; unfamiliar=mark gives a value", len(found.per_channel), Scale(found.unit, found.better))
    return replace(none, domain=found.domain, domain_p=found.domain_p)


def _of_identical(spec: str, found: Result) -> Result:
    """The result of recordings that are identical, with the reason for a value that the card does not know."""
    known = catalogue.get(catalogue.parse(spec).name).card.identical
    if found.status == "infinite" or (found.status == "ok" and found.value != known):
        return replace(found, reason=IDENTICAL)
    return found


def policy_of(given: Mapping[str, Any]) -> Policy:
    """The policy of these fields; UsageError for what is none."""
    known = [f.name for f in fields(Policy)]
    for name in given:
        if name not in known:
            raise UsageError(f"there is no option {name!r}; policies are {', '.join(known)}")
    return Policy(**given)


def _seen(ref: Signal, test: Signal) -> Survey | None:
    """What one pass over both says; None where they are of different form."""
    same = ref.samples.shape == test.samples.shape and ref.samples.dtype == test.samples.dtype
    return survey(ref, test) if same else None


def signal_of(
    sound: Signal | ArrayLike | str | os.PathLike[str],
    rate: int | None,
    name: str,
    policy: Policy | None = None,
    finite: bool = False,
) -> Signal:
    """A Signal as it is, of a path or URL by the policy, or of an array with its rate; errors as in `compare`.

    finite: as in Signal.of.
    """
    if isinstance(sound, Signal):
        return sound
    if isinstance(sound, str | os.PathLike):
        from .audio import load

        return load(sound, **(policy or Policy()).reading)
    if rate is None:
        raise UsageError("arrays need their sampling rate, such as rate=48000")
    return Signal.of(sound, rate, name, finite)


def compare_signals(
    ref: Signal,
    test: Signal,
    specs: Sequence[str],
    policy: Policy,
    *,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int | None = None,
    backend: Backend = "numba",
    seen: Survey | None = None,
    others: Sequence[tuple[Signal, Signal]] = (),
) -> Comparison:
    """Match two Signals under the policy, then ask each metric. A metric that breaks is a Result with status error.

    backend: "torch" gives the values of audiosim.Loss, of float64 tensors, on the GPU where there is one.
    seen: what channels.survey says of the two, where it is known.
    others: the other sources of a mixture and their estimates, for metrics that take them.
    """
    check(policy)
    parsed = [catalogue.parse(text, policy.listener) for text in specs]
    if not parsed:
        raise NothingToCompare("no metric was asked for; give one with -m, such as -m log-mel")
    if detail not in ("value", "profile", "map"):
        raise UsageError(f"detail is value, profile or map, not {detail!r}")
    if backend not in get_args(Backend):
        raise UsageError(f"backend is numba or torch, not {backend!r}")
    if backend == "torch" and detail != "value":
        raise UsageError("the torch backend gives values only; bands, times and maps come from numba")
    if jobs is not None and jobs < 1:
        raise UsageError(f"jobs must be at least 1, not {jobs}")
    jobs = jobs or cores()
    whole = ref, test
    seen = seen or _seen(ref, test)
    equal = any(_equal_lengths(spec) for spec in parsed)
    ref, test, done = match(ref, test, policy, seen, equal)
    if ref.samples is not whole[0].samples or test.samples is not whole[1].samples:
        seen = _seen(ref, test)
    beside = tuple(_beside(pair, ref, policy) for pair in others if any(map(_takes_sources, parsed)))
    at_rate = {ref.rate: [(ref, test), *beside]}
    results: dict[str, Result] = {}

    def ask(spec: catalogue.Spec) -> Result:
        metric = catalogue.get(spec.name)
        card = metric.card
        if ref.length != test.length and _equal_lengths(spec):
            own = f"these are {whole[0].length} and {whole[1].length} samples"
            if done.get("align", {}).get("delay_samples"):
                own += f", which differ by {abs(ref.length - test.length)} once they are aligned"
            raise InputError(f"{spec.name} needs equal lengths, {own}; use --length trim or pad instead of keep")
        wanted = card.rate or ref.rate
        if backend == "numba" and metric.chosen(spec.options).resampled_to == ref.rate:
            wanted = ref.rate  # not up and down again: that leaves a slope at the top
        if wanted not in at_rate:
            from .dsp import resampling

            try:
                both = at_rate[ref.rate]
                at_rate[wanted] = [(resampling.to_rate(r, wanted), resampling.to_rate(t, wanted)) for r, t in both]
            except InputError as short:  # that nothing is left at this rate leaves other metrics their number
                return undefined(str(short), ref.channels, catalogue.scale(spec))
        (a, b), *rest = at_rate[wanted]
        try:
            if backend == "torch":
                from .loss import evaluate

                return evaluate(spec, a.samples, b.samples, wanted)
            return metric.compute(
                a.samples,
                b.samples,
                wanted,
                detail=detail,
                band_edges=band_edges,
                threads=jobs,
                others=[(r.samples, t.samples) for r, t in rest if card.sources],
                **spec.options,
            )
        except MetricError as broken:
            return failed(str(broken), a.channels, catalogue.scale(spec))
        except AudiosimError:
            raise
        except Exception as broken:  # noqa: BLE001  a metric must not take the others down with it
            return failed(f"{type(broken).__name__}: {broken}", a.channels, catalogue.scale(spec))

    with caching(ref.samples, test.samples) if len(parsed) > 1 else nullcontext():
        for spec in parsed:
            results[spec.text] = _familiar(ask(spec), policy)
    if (seen is None or seen.alike) and _identical(ref.samples, test.samples):
        results = {text: _of_identical(text, found) for text, found in results.items()}
    done = {**done, **examine(ref, test, seen)}
    for option, value in policy.listener.items():
        listening = [spec.text for spec in parsed if spec.options.get(option) == value]
        done = {**done, option: {"value": value, "metrics": listening}}
    if len(at_rate) > 1:
        done = {**done, "metric_rates": sorted(r for r in at_rate if r != ref.rate)}
    return Comparison(ref, test, done, results, beside)


def order_of(
    sources: Sequence[Signal], estimates: Sequence[Signal], spec: str, policy: Policy, **how: Any
) -> list[int]:
    """Which estimate is of which source of a mixture, so that the mean over all pairs is best by this metric, or by the
    part of it that its card names; sources that it has no number for keep their place.

    how: as in compare_signals. Raises UsageError where there are not as many estimates as sources.
    """
    count = as_many(sources, estimates)
    if count == 1:
        return [0]

    def compared(j: int, i: int) -> Result:
        """With the estimates that are left in the places that are left."""
        order = list(range(count))
        order[order.index(i)], order[j] = j, i
        return compare_one(sources, estimates, order, j, [spec], policy, **how).results[spec]

    name = catalogue.get(catalogue.parse(spec).name).card.sources
    sign = 1.0 if name or catalogue.scale(spec).better == "higher" else -1.0
    gains = np.zeros((count, count))
    with caching(*(signal.samples for signal in (*sources, *estimates))):
        for j, i in np.ndindex(count, count):
            found = compared(j, i)
            gain = sign * found.details.get(name or "", found.value)
            gains[j, i] = -FAR if np.isnan(gain) else np.clip(gain, -FAR, FAR)
    from scipy.optimize import linear_sum_assignment

    best: list[int] = linear_sum_assignment(gains, maximize=True)[1].tolist()
    return best if gains[range(count), best].sum() > np.trace(gains) else list(range(count))


def as_many(sources: Sequence[Any], estimates: Sequence[Any]) -> int:
    """How many sources there are; UsageError where there are none, or not as many estimates."""
    if not len(sources) and not len(estimates):
        raise UsageError("no sources were given; each source needs one estimate")
    if len(sources) != len(estimates):
        counts = (f"{len(x)} {name}{'s' * (len(x) != 1)}" for x, name in ((sources, "source"), (estimates, "estimate")))
        raise UsageError(f"{' and '.join(counts)}: each source needs one estimate")
    return len(sources)


def compare_one(
    sources: Sequence[Signal],
    estimates: Sequence[Signal],
    order: Sequence[int],
    j: int,
    specs: Sequence[str],
    policy: Policy,
    **how: Any,
) -> Comparison:
    """Source j with its estimate, beside the others of its mixture. order: as order_of gives it; how: as in
    compare_signals."""
    pairs = [(source, estimates[i]) for source, i in zip(sources, order, strict=True)]
    return compare_signals(*pairs.pop(j), specs, policy, others=pairs, **how)


def _equal_lengths(spec: catalogue.Spec) -> bool:
    metric = catalogue.get(spec.name)
    return metric.equal_lengths(metric.chosen(spec.options))


def _takes_sources(spec: catalogue.Spec) -> bool:
    return bool(catalogue.get(spec.name).card.sources)


def _beside(pair: tuple[Signal, Signal], first: Signal, policy: Policy) -> tuple[Signal, Signal]:
    """Another source and its estimate, made comparable in the same way; InputError where they then do not stand beside
    the first."""
    ref, test, _ = match(*pair, policy)
    for signal in (ref, test):
        if (signal.rate, signal.samples.shape) != (first.rate, first.samples.shape):
            raise InputError(
                f"{signal.name}: {_form(signal)}, but {first.name}: {_form(first)}; sources of a mixture need one form"
                f"{', and --align may take them apart' if policy.align != 'none' else ''}"
            )
    return ref, test


def _form(signal: Signal) -> str:
    channels = f"{signal.channels} channel{'s' * (signal.channels != 1)}"
    return f"{channels} of {signal.length} samples at {signal.rate} Hz"
