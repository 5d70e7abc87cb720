"""Gates: conditions on a comparison, on a whole batch, or against an earlier run.

``si-sdr>=20`` must hold for every pair, ``si-sdr@4000-8000>=10`` in one band, ``mean(si-sdr)>=25`` for the batch; with
a baseline nothing may get worse.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf, isfinite, isnan, nan
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import metrics as catalogue
from ..comparison import Comparison, compare_signals
from ..errors import UsageError
from ..match import Policy
from ..result import Result
from . import statistics
from .rows import VERDICT, Row, composed, extreme, number, per_channel, silent_channels
from .tally import STATUSES, Tally
from .verdict import LEVELS, Verdict as Opinion

COMPARE: Mapping[str, Callable[[float, float], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
# A spec may hold "=" itself, so the operator is the last one that stands before a number.
_GATE = re.compile(r"(?P<spec>.*?)(?:@(?P<band>[^@<>=]*))?\s*(?P<operator><=|>=|<|>)\s*(?P<limit>[^<>=]*)", re.DOTALL)
_POOLED = re.compile(r"(?P<pooled>[a-z]\w*(?:\.\d+)?)\s*\((?P<spec>.*)\)\s*(?P<rest>[<>=].*)", re.DOTALL)
_PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)")
POOLINGS = ("mean", "median", "min", "max", "worst")  # and p95, or p with any other number from 0 to 100
FAMILIAR = "domain_p"  # of a pair: the p of Result.domain_p
CHANNELS = {"min_channel": "min", "max_channel": "max"}  # of a pair: the channel with the smallest or largest value
# Another processor rounds differently, and files are decoded to single precision (1.2e-7): less than this is no change.
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Gate:
    """A requirement as the user wrote it: the metric of `spec`, in `band` (Hz) or as a whole, against `limit`.

    pooled: what of a batch must keep the limit: "mean", "median", "min", "max", "worst" or a percentile such as "p95";
    None where every pair must.
    channel: what of a pair must: its value (None), or the smallest ("min") or largest ("max") of those of its channels.
    familiar: instead of the value, p of how familiar the sound is to the metric.
    """

    text: str
    spec: str
    operator: str
    limit: float
    band: tuple[float, float] | None = None
    pooled: str | None = None
    channel: str | None = None
    familiar: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a gate held. missed_by: distance to the limit, >= 0, in the metric's unit; nan when there is no value.

    system: of a gate over a batch, which has a verdict for each.
    """

    gate: Gate
    value: float
    passed: bool
    missed_by: float
    reason: str | None = None
    system: str | None = None


def parse(text: str, *, batch: bool = False) -> Gate:
    """The gate; UsageError for a malformed one, an unknown metric or option, or a band of a metric without any.

    batch: whether gates over a batch, such as mean(mr-stft)<=0.8, have a place here too. worst is the largest or the
    smallest value, by the metric's direction; p95 is the value below which 95 % lie, whatever the direction.
    """
    over = _POOLED.fullmatch(text.strip())
    if over and over["pooled"] == FAMILIAR:
        return _of_domain(text, over)
    if over:
        return _of_channels(text, over) if over["pooled"] in CHANNELS else _pooled(text, over, batch)
    found = _GATE.fullmatch(text.strip())
    if not found or not found["spec"].strip() or found["spec"].rstrip()[-1] in "=!":
        raise UsageError(
            f"the gate {text!r} is not METRIC OPERATOR NUMBER with one of < <= > >=, such as 'si-sdr>=20' "
            "or 'si-sdr@4000-8000>=10', of channels 'min_channel(snr)>=60'; of a batch also 'mean(si-sdr)>=20'"
        )
    if found["spec"].strip() == VERDICT and found["band"] is None:
        return _of_verdict(text, found)
    try:
        limit = float(found["limit"])
    except ValueError:
        limit = nan
    if isnan(limit):
        raise UsageError(f"the gate {text!r} compares with {found['limit']!r}, which is not a number")
    spec = catalogue.parse(found["spec"].strip())
    band = None
    if found["band"] is not None:
        band = _band(found["band"], text)
        if catalogue.get(spec.name).card.profile == "share":
            raise UsageError(
                f"the gate {text!r}: {spec.name} has no value of its own in a band, only a share of the error energy; "
                "gate its whole value, or another metric"
            )
    return Gate(text, spec.text, found["operator"], limit, band)


def _pooled(text: str, found: re.Match[str], batch: bool) -> Gate:
    pooled = found["pooled"]
    _no_verdict(text, found)
    share = _PERCENTILE.fullmatch(pooled)
    if pooled not in POOLINGS and not (share and float(share[1]) <= 100):
        raise UsageError(
            f"the gate {text!r}: {pooled!r} is not one of {', '.join(POOLINGS)} or p0 to p100, such as p95, nor "
            f"{' or '.join(CHANNELS)}"
        )
    within = re.match(r"\s*(\w[\w.]*)\s*\(", found["spec"])
    if within and within[1] not in CHANNELS:
        raise UsageError(f"the gate {text!r} pools pairs twice; use one of {pooled} and {within[1]}")
    if "@" in found["spec"]:
        raise UsageError(f"the gate {text!r}: a gate over a batch takes whole values, not a band")
    if not batch:
        raise UsageError(f"the gate {text!r} is over many pairs, which `audiosim batch` compares")
    return replace(parse(found["spec"] + found["rest"]), text=text, pooled=pooled)


def _of_verdict(text: str, found: re.Match[str]) -> Gate:
    level, compares = found["limit"].strip(), found["operator"]
    if level not in LEVELS or compares not in ("<", "<="):
        raise UsageError(f"the gate {text!r} is not verdict<LEVEL or verdict<=LEVEL with one of {', '.join(LEVELS)}")
    return Gate(text, VERDICT, compares, float(LEVELS.index(level)))


def _of_channels(text: str, found: re.Match[str]) -> Gate:
    which, spec = found["pooled"], found["spec"]
    _no_verdict(text, found)
    if "(" in spec or not spec.strip():
        raise UsageError(
            f"the gate {text!r}: {which} takes a metric, such as {which}(snr); a gate over a batch stands around it, "
            f"such as worst({which}(snr))"
        )
    if "@" in spec:
        raise UsageError(f"the gate {text!r}: a gate on channels takes whole values, not a band")
    return replace(parse(spec + found["rest"]), text=text, channel=CHANNELS[which])


def _of_domain(text: str, found: re.Match[str]) -> Gate:
    _no_verdict(text, found)
    if "(" in found["spec"] or "@" in found["spec"] or not found["spec"].strip():
        raise UsageError(f"the gate {text!r}: {FAMILIAR} takes a metric, such as {FAMILIAR}(pesq)>=0.05")
    gate = parse(found["spec"] + found["rest"])
    name = catalogue.parse(gate.spec).name
    if not catalogue.get(name).card.domain:
        raise UsageError(f"the gate {text!r}: {name} has no domain, so that nothing is unfamiliar to it")
    return replace(gate, text=text, familiar=True)


def _no_verdict(text: str, found: re.Match[str]) -> None:
    if found["spec"].strip() == VERDICT:
        raise UsageError(f"the gate {text!r}: a verdict is one of each pair and of all its channels; gate it as it is")


def specs(gates: Sequence[Gate]) -> list[str]:
    """The metrics to compute for these gates, beside those asked for."""
    return list(dict.fromkeys(g.spec for g in gates if g.band is None and g.spec != VERDICT))


def judge(
    gates: Sequence[Gate],
    comparison: Comparison,
    policy: Policy,
    jobs: int | None = None,
    opinion: Opinion | None = None,
) -> list[Verdict]:
    """A verdict per gate on one pair. For gates on a band the metric is computed once more, for that band alone.

    opinion: the verdict on the pair, for gates on it. Raises UsageError for a band beyond half the sampling rate.
    """
    verdicts = []
    for gate in gates:
        if gate.spec == VERDICT:
            verdicts.append(_on_verdict(gate, None if opinion is None else opinion.to_dict()))
            continue
        if gate.band is None:
            quiet = comparison.match.get("silent_channels", ())
            verdicts.append(verdict(gate, comparison.results[gate.spec], quiet))
            continue
        card = catalogue.get(catalogue.parse(gate.spec).name).card
        rate = card.rate or comparison.ref.rate
        if gate.band[1] > rate / 2:
            raise UsageError(f"the gate {gate.text!r} goes beyond a {rate} Hz signal, which ends at {rate / 2:g} Hz")
        answer = compare_signals(
            comparison.ref,
            comparison.test,
            [gate.spec],
            Policy(length=policy.length, **policy.listener),  # the two have been matched already
            detail="profile",
            band_edges=list(gate.band),
            jobs=jobs,
            others=comparison.others,
        ).results[gate.spec]
        verdicts.append(verdict(gate, answer))
    return verdicts


def _on_verdict(gate: Gate, opinion: Row | None) -> Verdict:
    if opinion is None or opinion["level"] is None:
        why = "; ".join(opinion["reasons"]) if opinion else "it was not asked for when this was computed"
        return Verdict(gate, nan, False, nan, f"undefined: {why}")
    rank = float(LEVELS.index(opinion["level"]))
    passed, missed = _against(rank, gate)
    return Verdict(gate, rank, passed, missed, opinion["level"])


def verdict(gate: Gate, result: Result, silent: Sequence[int] = ()) -> Verdict:
    """Whether the result passes. An undefined or failed one never does; infinity compares as infinity.

    silent: channels, counted from 1, that are silent in both recordings and need no value of their own.
    """
    if gate.familiar:
        return _on_domain(gate, result.domain, result.domain_p, result.status, result.reason)
    if gate.channel is not None:
        return _on_channels(gate, result.per_channel.tolist(), result.status, result.reason, silent)
    value = result.value
    if gate.band is not None and result.status in ("ok", "infinite"):
        value = float(result.per_band[0]) if result.per_band is not None and len(result.per_band) else nan
    return verdict_on(value, gate, result.status, result.reason)


def verdict_of_row(gate: Gate, row: Row) -> Verdict:
    """The same of a row, for a gate that is not on a band; of one on the verdict, of the row that holds it."""
    if gate.spec == VERDICT:
        return _on_verdict(gate, row.get("verdict"))
    if gate.familiar:
        return _on_domain(gate, row["domain"], row["domain_p"], row["status"], row["reason"])
    if gate.channel is not None:
        return _on_channels(gate, per_channel(row), row["status"], row["reason"], silent_channels(row))
    return verdict_on(number(row), gate, row["status"], row["reason"])


def _on_domain(gate: Gate, domain: str | None, p: float | None, status: str, reason: str | None) -> Verdict:
    if domain is None or p is None:
        why = f"{status}: {reason}" if status in ("undefined", "error") else "undefined: not known with these options"
        return Verdict(gate, nan, False, nan, why)
    passed, missed = _against(p, gate)
    return Verdict(gate, p, passed, missed, None if passed else domain)


def _on_channels(
    gate: Gate, values: Sequence[float], status: str, reason: str | None, silent: Sequence[int]
) -> Verdict:
    value, channel = (nan, None) if status == "error" else extreme(values, str(gate.channel), silent)
    if isnan(value):
        why = f"undefined: channel {channel} has no value" if channel else "undefined: no channel has a value"
        return Verdict(gate, nan, False, nan, f"{status}: {reason}" if status in ("undefined", "error") else why)
    passed, missed = _against(value, gate)
    return Verdict(gate, value, passed, missed, None if passed else f"in channel {channel}")


def verdict_on(value: float, gate: Gate, status: str, reason: str | None) -> Verdict:
    """The same for a value (nan: none), with the status and reason of the result that it is from."""
    if isnan(value):
        why = f"{status if reason else 'undefined'}: {reason or 'it has no value in this band'}"
        return Verdict(gate, nan, False, nan, why)
    passed, missed = _against(value, gate)
    return Verdict(gate, value, passed, missed, reason if not isfinite(value) else None)


def judge_batch(gates: Sequence[Gate], rows: Tally | Iterable[Row], allow_failures: bool = False) -> list[Verdict]:
    """A verdict on every system per gate over the batch: the gate holds when all of its verdicts passed.

    A gate fails if a pair of the system is undefined or failed, unless `allow_failures`, and if there is no value at
    all. Infinite values count by the rule of all statistics (statistics.counted).
    """
    tally = rows if isinstance(rows, Tally) else Tally(rows)
    own = {system: tally.of_system(system) for system in tally.systems}
    verdicts = []
    for gate in gates:
        if gate.spec not in tally.measures:
            verdicts.append(Verdict(gate, nan, False, nan, "no pair was compared by this metric"))
            continue
        better = tally.measures[gate.spec].better
        answers = tally.answers(gate.spec)
        values = {None: answers.value, "min": answers.lowest, "max": answers.highest}[gate.channel]
        for system, mine in own.items():
            asked = np.flatnonzero(mine & (answers.status >= 0))
            missing, broken = np.isnan(values[asked]), answers.status[asked] == STATUSES.index("error")
            there = asked[~missing]
            value = _pool(str(gate.pooled), values[there], better)
            without = [int(np.sum(missing & ~broken)), int(np.sum(broken))]
            counted = " and ".join(f"{n} {s}" for n, s in zip(without, ("undefined", "error"), strict=True) if n)
            failures = f"{counted} of {len(asked)} pairs" if counted else None
            if isnan(value):
                verdicts.append(
                    Verdict(gate, nan, False, nan, failures or "no pair was compared by this metric", system)
                )
                continue
            passed, missed = _against(value, gate)
            where = None
            if not passed and gate.pooled in ("worst", "min", "max"):
                where = f"at {tally.pairs[int(there[values[there] == value][0])].test}"
            stopped = failures is not None and not allow_failures
            reason = "; ".join(filter(None, (failures, where))) or None
            verdicts.append(Verdict(gate, value, passed and not stopped, missed, reason, system))
    return verdicts


def unanswered(gates: Sequence[Gate], problem: str) -> list[Verdict]:
    """The verdicts on recordings that could not be compared."""
    return [Verdict(gate, nan, False, nan, f"error: {problem}") for gate in gates]


def row(verdict: Verdict) -> dict[str, Any]:
    """The verdict as plain data; one over a batch names its system too."""
    data = {
        "require": verdict.gate.text,
        "spec": verdict.gate.spec,
        "value": verdict.value,
        "passed": verdict.passed,
        "missed_by": verdict.missed_by,
        "reason": verdict.reason,
    }
    return data if verdict.gate.pooled is None else {**data, "system": verdict.system}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse than its baseline a value may be: a share of the old value, or an amount in the metric's unit."""

    text: str
    spec: str | None  # None: all metrics without one of their own
    amount: float
    relative: bool

    def allows(self, old: float) -> float:
        """In the metric's unit."""
        return self.amount * abs(old) if self.relative else self.amount


Kind = Literal["worse", "better", "same", "new", "missing", "other"]


@dataclass(frozen=True, slots=True)
class Change:
    """One metric on one pair, then and now.

    old, new: nan where there is no value. worse_by: in the metric's unit, negative where it got better, nan where that
    cannot be said; allowed: how much worse it could have been.
    kind: "worse" by more than is allowed, or no value any more; "better"; "same", within what is allowed; "new",
    not in the baseline; "missing" from this run; "other", not comparable: another version of the metric, other options.
    passed: what is worse, missing or not comparable did not.
    """

    id: str
    system: str | None
    spec: str
    unit: str
    kind: Kind
    old: float
    new: float
    worse_by: float
    allowed: float
    reason: str | None

    @property
    def passed(self) -> bool:
        return self.kind not in ("worse", "missing", "other")

    @property
    def severity(self) -> float:
        """For sorting changes of different units: how much worse, as a share of the old value; infinite if unknown."""
        if isnan(self.worse_by):
            return inf
        return self.worse_by / abs(self.old) if self.old and isfinite(self.worse_by) else self.worse_by

    def data(self) -> dict[str, Any]:
        """As plain data."""
        names = ("id", "system", "spec", "unit", "kind", "old", "new", "worse_by", "allowed", "reason", "passed")
        return {name: getattr(self, name) for name in names}


def parse_tolerance(text: str) -> Tolerance:
    """`mr-stft=2%` of the old value, `si-sdr=0.5` in its unit, or `all=1%`; UsageError for another text."""
    name, equals, amount = (part.strip() for part in text.rpartition("="))
    plain = amount.removesuffix("%").rstrip()
    try:
        size = float(plain)
    except ValueError:
        size = nan
    if not equals or not name or not 0 <= size < inf:
        raise UsageError(
            f"the tolerance {text!r} is not METRIC=NUMBER or METRIC=NUMBER%, such as 'mr-stft=2%', 'si-sdr=0.5' "
            "or 'all=1%'"
        )
    relative = amount.endswith("%")
    spec = None if name == "all" else catalogue.parse(name).text
    return Tolerance(text, spec, size / 100 if relative else size, relative)


def compare_with_baseline(
    rows: Iterable[Row], baseline: Iterable[Row], tolerances: Sequence[Tolerance] = ()
) -> Iterator[Change]:
    """Every row against the row of the same id, system and spec in the baseline; at the end what is missing.

    Of several tolerances for a metric, one for its full spec counts before one for its name, and that before `all`;
    without any, what got worse by more than rounding fails (ROUNDING, a share of the value). Metrics of the baseline
    that were not asked for in this run are not missed.
    """
    then: dict[tuple[str, str | None, str], tuple[float, str | None, str, str]] = {}
    texts: dict[str, str] = {}  # each text once, however many rows repeat it
    for row in baseline:
        settings = _settings(row)
        then[_identity(row)] = number(row), _why(row), texts.setdefault(settings, settings), row["unit"]
    asked = set()
    for row in rows:
        asked.add(row["spec"])
        known = then.pop(_identity(row), None)
        yield _change(row, known, tolerances)
    for (name, system, spec), (old, _, _, unit) in then.items():
        if spec in asked:
            reason = "it is in the baseline and not in this run"
            yield Change(name, system, spec, unit, "missing", old, nan, nan, nan, reason)


def _change(row: Row, known: tuple[float, str | None, str, str] | None, tolerances: Sequence[Tolerance]) -> Change:
    new = number(row)

    def change(
        kind: Kind, reason: str | None = None, old: float = nan, by: float = nan, allowed: float = nan
    ) -> Change:
        name, system, spec = _identity(row)
        return Change(name, system, spec, row["unit"], kind, old, new, by, allowed, reason)

    if known is None:
        return change("new", "it is not in the baseline")
    old, why, settings, _ = known
    if settings != _settings(row):
        reason = f"not comparable: the baseline has {settings}, this run {_settings(row)}; write a new baseline"
        return change("other", reason, old)
    if isnan(new):
        now = _why(row)
        return change("same", now, old) if isnan(old) else change("worse", f"it had a value and is now {now}", old)
    if isnan(old):
        return change("better", f"it was {why}", old)
    tolerance = _tolerance(row, tolerances)
    allowed = tolerance.allows(old) if tolerance else 0.0
    by = 0.0 if new == old else (new - old) * (1 if row["better"] == "lower" else -1)
    allowed = allowed if isfinite(allowed) else 0.0
    rounding = ROUNDING * max(abs(old), abs(new)) if isfinite(by) else 0.0
    kind: Kind = "worse" if by > allowed + rounding else "better" if by < -rounding else "same"
    return change(kind, None, old, by, allowed)


def _tolerance(row: Row, tolerances: Sequence[Tolerance]) -> Tolerance | None:
    for name in (row["spec"], row["metric"], None):
        found = [t for t in tolerances if t.spec == name]
        if found:
            return found[-1]
    return None


def _identity(row: Row) -> tuple[str, str | None, str]:
    return composed(row.get("id") or row["test"]), row.get("system"), row["spec"]


def _settings(row: Row) -> str:
    """What values depend on besides the recordings; only values with equal settings can be compared."""
    options = ",".join(f"{k}={v}" for k, v in sorted(row["options"].items()))
    return f"{row['metric']} version {row.get('metric_version', 1)}" + (f" with {options}" if options else "")


def _why(row: Row) -> str | None:
    return None if row["status"] in ("ok", "infinite") else f"{row['status']}: {row['reason']}"


def _pool(pooled: str, values: NDArray[np.float64], better: str) -> float:
    values = statistics.counted(values, better)
    if len(values) == 0:
        return nan
    if pooled == "mean":
        return float(values.mean())
    largest = pooled == "max" or (pooled == "worst" and better == "lower")
    if pooled in ("min", "max", "worst"):
        return float(values.max() if largest else values.min())
    return statistics.percentile(values, 50.0 if pooled == "median" else float(pooled[1:]))


def _against(value: float, gate: Gate) -> tuple[bool, float]:
    """Whether the value is within the limit, and by how much it misses it."""
    passed = COMPARE[gate.operator](value, gate.limit)
    return passed, 0.0 if passed else abs(value - gate.limit) if isfinite(value) and isfinite(gate.limit) else inf


def _band(text: str, gate: str) -> tuple[float, float]:
    found = re.fullmatch(r"\s*([0-9.]+)\s*-\s*([0-9.]+)\s*", text)
    try:
        low, high = (float(x) for x in found.groups()) if found else (1.0, 0.0)
    except ValueError:
        low, high = 1.0, 0.0
    if not low < high:
        raise UsageError(f"the gate {gate!r}: the band {text!r} is not LOW-HIGH in Hz, such as 4000-8000")
    return low, high
