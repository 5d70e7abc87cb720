"""audiosim.compare, and the mapping that it gives: results that print themselves, and go into JSON or a data frame."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from html import escape
from importlib import import_module
from math import nan
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, overload

from numpy.typing import ArrayLike

from .audio import data_name, display_name
from .comparison import (
    Backend,
    Batch,
    Comparison,
    Detail,
    as_many,
    compare_batch,
    compare_one,
    compare_sounds,
    order_of,
    policy_of,
    signal_of,
)
from .engine.cache import caching
from .errors import InputError, MissingExtra, UsageError
from .judge.assembly import pair_row, reason
from .judge.rows import strict
from .match import Policy, describe, hint, warn
from .presets import PRESETS
from .result import Result
from .signal import Signal

if TYPE_CHECKING:
    from .diagnosis import Diagnosis
    from .judge.verdict import Verdict

GAP = "   "  # between the columns of a printed table
UNLIKE = {  # domain of a result: the mark behind its value, and what it means
    "unfamiliar": ("?", "? unlike nearly all sounds that it was judged on"),
    "foreign": ("??", "?? like no sound that it was judged on: rate, length, level, clipping, bandwidth or kind"),
}


class Results(dict[str, Result]):
    """What each metric answers about one pair, by its spec: a dict that prints itself.

    str, and what a notebook shows, are the table of `audiosim compare`, without bands and times.
    reference, test: names. rate, channels, duration_s: in which the two were compared.
    match: what was done to make the two comparable, and what is wrong with their channels (JSON-ready; empty if
        nothing).
    estimate: of compare_sources, which of the estimates the test is, from 0.
    """

    reference: str = "reference"
    test: str = "test"
    rate: int | None = None
    channels: int | None = None
    duration_s: float | None = None
    match: Mapping[str, Any] = MappingProxyType({})
    estimate: int | None = None

    _sounds: tuple[Any, Any, int | None, Policy] | None = None  # the two as they were given, their rate, the policy
    _diagnosis: Diagnosis | None = None
    _verdict: Verdict | None = None
    _hint: str | None = None  # of a delay; empty: there is none; None: not looked for yet

    @property
    def diagnosis(self) -> Diagnosis:
        """What happened to the sound, computed when it is first asked for; until then arrays are held, and files read
        again. Raises UsageError in a copy that another process made."""
        if self._diagnosis is None:
            from .diagnosis import diagnose

            self._diagnosis = diagnose(*self._given())
        return self._diagnosis

    @property
    def verdict(self) -> Verdict:
        """Whether a listener would notice, by the rule in docs/verdict.md; computed when it is first asked for."""
        if self._verdict is None:
            from .judge.verdict import verdict

            self._verdict = verdict(*self._given(), self.diagnosis, self)
            self._late()
            self._sounds = None
        return self._verdict

    def _late(self) -> str:
        if self._hint is None and self._sounds is not None:
            try:
                self._hint = "" if self._sounds[-1].align != "none" else hint(*self._given()) or ""
            except InputError:  # the files are gone
                self._hint = ""
        return self._hint or ""

    def _given(self) -> tuple[Signal, Signal]:
        if self._sounds is None:
            raise UsageError("a copy holds no recordings: ask for .verdict before copying or pickling")
        ref, test, rate, policy = self._sounds
        return signal_of(ref, rate, "reference", policy), signal_of(test, rate, "test", policy)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickled without the recordings."""
        state = {name: value for name, value in vars(self).items() if name != "_sounds"}
        state["match"] = dict(self.match)
        return type(self), (dict(self),), state

    @property
    def notes(self) -> list[str]:
        """The sentences of match, as the command prints them, with the names of its options; and, where `align` was not
        asked for, that the test is late or early if that explains most of the difference: the start of both is looked
        at when the notes are first asked for, and files are read again."""
        return [*describe(self.match), *([late] if (late := self._late()) else [])]

    def to_dict(self) -> dict[str, Any]:
        """The pair as a row of `audiosim compare --format json`, with keys "results", "match" and others.

        Plain data that json.dumps takes. A value that is no finite number is None, and its status says which it was;
        the reason of an infinite one begins with its sign.
        """
        shape: dict[str, Any] = {"rate": self.rate, "channels": self.channels, "duration_s": self.duration_s}
        shape |= {"match": self.match, "verdict": self._verdict, "diagnosis": self._diagnosis}
        row: dict[str, Any] = strict(pair_row(self.reference, self.test, self, **shape))
        return row

    def to_frame(self) -> Any:
        """A data frame with one row a metric, of pandas or polars; where both are installed, of the one in use already.

        Columns: reference, test, metric (the spec), value, unit, better, status, reason, reading; of more than one
        channel also channel_1, channel_2 ... Numbers are as they are: nan where there is none, and inf.
        Raises MissingExtra where neither is installed.
        """
        rows = self._shown()["results"]
        texts = ("unit", "better", "status", "reason", "reading")
        columns: dict[str, list[Any]] = {name: [getattr(self, name)] * len(rows) for name in ("reference", "test")}
        columns |= {"metric": [row["spec"] for row in rows], "value": [row["value"] for row in rows]}
        columns |= {name: [row[name] for row in rows] for name in texts}
        each = [_channels(row) for row in rows]
        for i in range(max(map(len, each), default=0)):
            columns[f"channel_{i + 1}"] = [values[i] if i < len(values) else nan for values in each]
        kinds = {name: str if name in ("reference", "test", "metric", *texts) else float for name in columns}
        for library in sorted(("pandas", "polars"), key=lambda name: name not in sys.modules):
            try:
                frames = import_module(library)
            except ImportError:
                continue
            # None alone would have no type in polars, and frames of two pairs could not be joined.
            how = {"schema": kinds} if library == "polars" else {}
            return frames.DataFrame(columns, **how)
        raise MissingExtra("to_frame() needs pandas or polars: pip install pandas, or pip install polars")

    def __str__(self) -> str:
        pair = self._shown()
        cells = [("metric", "value", "unit", "better")]
        cells += [(row["spec"], shown(row), shown_unit(row), row["better"]) for row in pair["results"]]
        name, value, of, _ = (max(map(len, column)) for column in zip(*cells, strict=True))
        table = [GAP.join((a.ljust(name), b.rjust(value), c.ljust(of), d)) for a, b, c, d in cells]
        if any(row["reading"] for row in pair["results"]):
            words = ["reading", *(row["reading"] or "" for row in pair["results"])]
            width = max(map(len, table))
            table = [f"{line:{width}}{GAP}{said}".rstrip() for line, said in zip(table, words, strict=True)]
        return "\n".join([*header(pair), *table, *reasons(pair)])

    __repr__ = __str__

    def _repr_html_(self) -> str:
        """What a notebook shows: the same table, with a column a channel where there are several."""
        pair = self._shown()
        rows, names = pair["results"], ["metric", "value", "unit", "better"]
        each = [_channels(row) for row in rows]
        read = ["reading"] * any(row["reading"] for row in rows)
        names += [*read, *(f"channel {i + 1}" for i in range(max(map(len, each), default=0)))]
        names += ["reason"] * any(row["reason"] for row in rows)
        lines = []
        for row, values in zip(rows, each, strict=True):
            texts = [row["spec"], shown(row), shown_unit(row), row["better"], *(row["reading"] or "" for _ in read)]
            texts += ["" if v != v else number(v) for v in values]
            texts += [""] * (len(names) - len(texts))
            if row["reason"]:
                texts[-1] = row["reason"]
            lines.append(_line("td", texts, names))
        caption = "<br>".join(map(escape, header(pair)))
        return (
            f'<table><caption style="text-align: left; white-space: pre-wrap">{caption}</caption>'
            f"<thead>{_line('th', names, names)}</thead><tbody>{''.join(lines)}</tbody></table>"
        )

    def _shown(self) -> dict[str, Any]:
        """What people see of to_dict, which needs no metric: one from a file may be unknown where a pickle is read."""
        rows = [
            {
                "spec": spec,
                "value": float(result.value),
                "unit": result.unit,
                "better": result.better,
                "status": result.status,
                "reason": reason(result),
                "reading": _reading(spec, result),
                "domain": result.domain,
                "per_channel": result.per_channel.tolist(),
            }
            for spec, result in self.items()
        ]
        names = ("reference", "test", "rate", "channels", "duration_s")
        return {**{name: getattr(self, name) for name in names}, "results": rows}


Sound = Signal | ArrayLike | str | os.PathLike[str]


@overload
def compare(
    ref: Sound,
    test: Sound,
    metrics: str | Sequence[str] = ...,
    rate: int | None = ...,
    detail: Detail = ...,
    *,
    lengths: None = ...,
    band_edges: Any = ...,
    jobs: int | None = ...,
    backend: Backend = ...,
    **policy: Any,
) -> Results: ...


@overload
def compare(
    ref: Batch,
    test: Batch,
    metrics: str | Sequence[str] = ...,
    rate: int | None = ...,
    detail: Detail = ...,
    *,
    lengths: Sequence[int],
    band_edges: Any = ...,
    jobs: int | None = ...,
    backend: Backend = ...,
    **policy: Any,
) -> list[Results]: ...


def compare(
    ref: Any,
    test: Any,
    metrics: str | Sequence[str] = PRESETS["default"],
    rate: int | None = None,
    detail: Detail = "value",
    *,
    lengths: Sequence[int] | None = None,
    band_edges: Any = None,
    jobs: int | None = None,
    backend: Backend = "numba",
    **policy: Any,
) -> Results | list[Results]:
    """How alike two recordings are, by each of the metrics: a dict of spec and Result that prints itself.

    ref, test: paths, URLs, Signals, or arrays [sample] or [channel, sample] with full scale 1.0. Of arrays
        [batch, channel, sample] the answer is a list with one for each item, with the bits that it has alone.
    metrics: specs such as "si-sdr" or "log-mel:bands=64"; the keys of the answer.
    rate: Hz, for arrays.
    lengths: of a batch, the samples [item] that count; what is beyond is padding. With it, ref and test are batches:
        [batch, sample] and lists of arrays too, as for audiosim.Metric, which gives the values of one metric as an
        array.
    detail: "profile" adds per_band and per_time, "map" also map.
    band_edges: Hz, ascending [band + 1]; "bins" for all bins; None for a summary of at most 40 bands.
    jobs: threads; None for all cores. The numbers do not depend on it.
    backend: "torch" gives the values of audiosim.Loss, of float64 tensors, on the GPU where there is one.
    policy: fields of match.Policy.
    Warns once a process of samples beyond full scale (FullScaleWarning), and once more of those above +6 dBFS.
    Raises InputError for recordings that cannot be read or compared, UsageError for wrong specs or options.
    """
    asked = policy_of(policy)
    specs = [metrics] if isinstance(metrics, str) else list(metrics)
    how: Any = {"detail": detail, "band_edges": band_edges, "jobs": jobs, "backend": backend}
    if lengths is not None or getattr(ref, "ndim", 0) == 3:
        if rate is None:
            raise UsageError("arrays need their sampling rate, such as rate=48000")
        items = compare_batch(ref, test, lengths, rate, specs, asked, **how)
        for item in items:
            warn(item.match)
        return [_results(item, item.ref, item.test, None, asked) for item in items]
    done = compare_sounds(ref, test, specs, asked, rate, **how)
    warn(done.match)
    return _results(done, ref, test, rate, asked)


def compare_sources(
    sources: Sequence[Signal | ArrayLike | str | os.PathLike[str]],
    estimates: Sequence[Signal | ArrayLike | str | os.PathLike[str]],
    metrics: str | Sequence[str] = "bss-eval",
    rate: int | None = None,
    detail: Detail = "value",
    *,
    in_order: bool = False,
    band_edges: Any = None,
    jobs: int | None = None,
    **policy: Any,
) -> list[Results]:
    """How well the sources of a mixture were separated: one Results a source, of the source and its estimate.

    sources, estimates: as many of one as of the other; each as in `compare`.
    metrics: specs; those that look for the other sources in an estimate, such as bss-eval, get them.
    in_order: the n-th estimate is of the n-th source. Otherwise the estimates are given to the sources so that the mean
        of the first metric is best, of bss-eval that of its SIR; `estimate` of each Results is the place (from 0) of
        its estimate.
    Other arguments, warnings and errors as in `compare`; UsageError also where the counts differ.
    """
    asked = policy_of(policy)
    specs = [metrics] if isinstance(metrics, str) else list(metrics)
    count = as_many(sources, estimates)
    refs = [signal_of(x, rate, f"source {i}", asked) for i, x in enumerate(sources, 1)]
    tests = [signal_of(x, rate, f"estimate {i}", asked) for i, x in enumerate(estimates, 1)]
    order = list(range(count)) if in_order or not specs else order_of(refs, tests, specs[0], asked, jobs=jobs)
    answers = []
    with caching(*(signal.samples for signal in (*refs, *tests))):
        for j, i in enumerate(order):
            done = compare_one(refs, tests, order, j, specs, asked, detail=detail, band_edges=band_edges, jobs=jobs)
            warn(done.match)
            results = _results(done, sources[j], estimates[i], rate, asked)
            results.estimate = i
            answers.append(results)
    return answers


def _results(done: Comparison, ref: Any, test: Any, rate: int | None, asked: Policy) -> Results:
    """The answers about what was given as ref and test."""
    results = Results(done.results)
    results.reference, results.test = _name(ref, done.ref), _name(test, done.test)
    results.rate, results.channels, results.duration_s = done.ref.rate, done.ref.channels, done.ref.duration
    results.match = done.match
    results._sounds = ref, test, rate, asked
    return results


def header(pair: Mapping[str, Any]) -> list[str]:
    """What stands above the table of a pair: the two, and in what form they were compared."""
    lines = [f"reference  {display_name(pair['reference'])}", f"test       {display_name(pair['test'])}"]
    if pair["rate"] is not None:
        count = pair["channels"]
        channels = "mono" if count == 1 else "stereo" if count == 2 else f"{count} channels"
        lines.append(f"compared   {pair['duration_s']:.3f} s at {pair['rate']} Hz, {channels}")
    return lines


def reasons(pair: Mapping[str, Any]) -> dict[str, str]:
    """What stands below: why a value is none, infinite, says nothing, or is marked; the status by each sentence."""
    said = {
        r["reason"] if pair["rate"] is None else f"{r['spec']}: {r['reason']}": r["status"]
        for r in pair["results"]
        if r["status"] != "ok" or r["reason"]
    }
    return said | {f"{r['spec']}: {text}": r["status"] for r in pair["results"] if (text := unlike(r))}


def number(value: float) -> str:
    """Five significant digits."""
    return f"{value:.5g}"


def shown(row: Mapping[str, Any]) -> str:
    """The value as tables show it, marked where the pair is outside the metric's domain; or why there is none in a
    word."""
    if row["status"] in ("undefined", "error"):
        return str(row["status"])
    return number(row["value"]) + mark(row)


def mark(row: Mapping[str, Any]) -> str:
    """Behind a value: whether the sound lies outside the metric's domain."""
    return UNLIKE[row["domain"]][0] if row.get("domain") in UNLIKE else ""


def unlike(row: Mapping[str, Any]) -> str | None:
    """What the mark means."""
    return UNLIKE[row["domain"]][1] if row.get("domain") in UNLIKE else None


def shown_unit(row: Mapping[str, Any]) -> str:
    """Nothing for a pure number."""
    return "" if row["unit"] == "1" else str(row["unit"])


def _name(sound: Any, signal: Signal) -> str:
    return data_name(os.fsdecode(sound)) if isinstance(sound, str | os.PathLike) else signal.name


def _reading(spec: str, result: Result) -> str | None:
    """What the value means; None where nothing is known of it, or of the metric."""
    from . import metrics
    from .judge.reading import of_value

    try:
        parsed = metrics.parse(spec)
    except UsageError:
        return None
    read = of_value(parsed.name, float(result.value), parsed.options, result.reason)
    return None if read is None else read.text


def _channels(row: Mapping[str, Any]) -> list[float]:
    """The values of the channels, where there are several."""
    values: list[float] = row["per_channel"]
    return values if len(values) > 1 else []


def _line(tag: str, texts: Sequence[str], names: Sequence[str]) -> str:
    cells = (
        f'<{tag} style="text-align: {"right" if name == "value" or name.startswith("channel") else "left"}">'
        f"{escape(text)}</{tag}>"
        for text, name in zip(texts, names, strict=True)
    )
    return f"<tr>{''.join(cells)}</tr>"
