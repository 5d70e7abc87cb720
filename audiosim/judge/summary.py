"""The summary of many rows: each metric on each system, the ranking, the worst pairs, agreement with ratings."""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import inf, isfinite, isnan, nan
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError
from . import statistics
from .rows import Row, composed, things
from .tally import STATUSES, Answers, Cause, Faulty, Measure, Tally
from .verdict import Level

Interval = tuple[float, float]
DRAWS = 1000  # of the bootstrap of means
RATING_DRAWS = 500  # of the bootstrap of correlations
SURE = 6  # pairs from which on systems may surely differ: that six coins fall alike has p = 0.03, five have 0.06
FEWEST = 8  # rated pairs that a group needs to count in the mean over groups


@dataclass(frozen=True, slots=True)
class Place:
    """A pair, the value there, and the second at which it is worst (nan where the metric has no course over time)."""

    id: str
    reference: str
    test: str
    value: float
    worst_s: float


@dataclass(frozen=True, slots=True)
class Score:
    """One metric on one system, in the metric's unit.

    pairs: that it was asked about; numbers: of those, with a finite value; infinite, undefined, error: the others.
    infinitely_bad: of the infinite ones; identical: pairs of identical recordings whose value depends on the signal.
    mean, interval, p5 to maximum, difference: by the one rule for infinite values, statistics.counted: infinitely good
        ones are left out, unless all are; infinitely bad ones count as what they are.
    interval: the 95 % percentile interval of the bootstrap over pairs.
    difference, difference_interval: mean of this system minus that of the summary's first, over the pairs of which both
        have a value that counts, with a paired bootstrap; nan for the first itself and where there is no such mean.
    common: how many pairs these are.
    worst: the worst first.
    """

    spec: str
    metric: str
    unit: str
    better: str
    system: str | None
    pairs: int
    numbers: int
    infinite: int
    infinitely_bad: int
    undefined: int
    error: int
    identical: int
    mean: float
    interval: Interval
    p5: float
    p25: float
    median: float
    p75: float
    p95: float
    minimum: float
    maximum: float
    difference: float
    difference_interval: Interval
    common: int
    worst: tuple[Place, ...]

    @property
    def surely_better(self) -> bool | None:
        """Whether it is better (True) or worse (False) than the first system; None where that is not sure."""
        low, high = self.difference_interval
        if self.common < SURE or not (low > 0 or high < 0):
            return None
        return (low > 0) == (self.better == "higher")


@dataclass(frozen=True, slots=True)
class Summary:
    """systems: best first by the mean of the metric `ranked_by`, or where that is equal by the mean of finite values.
    scores: metric by metric, in the order of systems. faulty: the pairs with a faulty channel. causes: what happened to
    the sound, and verdicts: the levels, best first, each with its number of pairs, where that was asked for."""

    pairs: int
    systems: tuple[str | None, ...]
    ranked_by: str | None
    scores: tuple[Score, ...]
    faulty: tuple[Faulty, ...] = ()
    causes: tuple[Cause, ...] = ()
    verdicts: tuple[tuple[Level | None, int], ...] = ()
    things: str = "pairs"  # or recordings, where none has a reference

    @property
    def channel_faults(self) -> dict[str, int]:
        """How many pairs have a channel with this fault, and with any (`pairs`); empty where none has."""
        if not self.faulty:
            return {}
        named = Counter(kind for pair in self.faulty for kind in pair.faults)
        return {"pairs": len(self.faulty), **dict(sorted(named.items()))}

    def score(self, spec: str, system: str | None = None) -> Score | None:
        """The metric on the system; None where it was not asked."""
        return next((s for s in self.scores if s.spec == spec and s.system == system), None)

    def worst(self, spec: str, count: int) -> list[tuple[Score, Place]]:
        """The worst places of all systems by the metric, the worst first."""
        places = [(score, place) for score in self.scores if score.spec == spec for place in score.worst]
        return sorted(places, key=lambda p: p[1].value if p[0].better == "higher" else -p[1].value)[:count]

    def table(self) -> list[dict[str, Any]]:
        """The scores without their worst places, as rows of equal keys."""
        return [
            {
                "metric": s.spec,
                "system": s.system,
                "unit": s.unit,
                "better": s.better,
                "mean": s.mean,
                "low": s.interval[0],
                "high": s.interval[1],
                "median": s.median,
                "p5": s.p5,
                "p95": s.p95,
                "minimum": s.minimum,
                "maximum": s.maximum,
                "pairs": s.pairs,
                "infinite": s.infinite,
                "without_number": s.undefined + s.error,
            }
            for s in self.scores
        ]

    def data(self) -> dict[str, Any]:
        """As plain data."""
        told = {**asdict(self), "channel_faults": self.channel_faults}
        del told["things"]  # a word for people
        return told


@dataclass(frozen=True, slots=True)
class Agreement:
    """How well a metric agrees with people on one group of pairs; 1 is full agreement, whichever way both count.

    group: its name, None for pairs without one and for the mean over groups, of which `groups` says how many.
    pairs: rated ones with a finite value; left_out: rated ones without; items: as in tally.Pair.
    pearson, spearman: with 95 % percentile intervals of the bootstrap over pairs (seed 0, 500 draws); kendall: tau-b.
    within_item: mean over items of the Spearman in each; per_condition: Spearman of the means of the conditions.
    triplets: share of triplets ordered as people ordered them, for dissimilarities; else nan.
    rmse: of the ratings predicted by the best monotone map (isotonic regression), in their unit; fitted to the same
        pairs, so a lower bound. nan for the mean over groups, whose scales may differ.
    """

    spec: str
    metric: str
    group: str | None
    groups: int
    pairs: int
    left_out: int
    items: int
    pearson: float
    pearson_interval: Interval
    spearman: float
    spearman_interval: Interval
    kendall: float
    within_item: float
    per_condition: float
    triplets: float
    rmse: float


@dataclass(frozen=True, slots=True)
class Contest:
    """Whether the metric that agrees best beats the second: paired bootstrap of the difference of their Spearmans.

    The pairs are those of which both have a finite value, resampled within each group; the Spearmans are means over the
    groups. p: one-sided, (1 + draws in which the second is as good or better) / (1 + draws). The best was chosen on the
    same ratings, which flatters it.
    """

    best: str
    second: str
    difference: float
    interval: Interval
    p: float


@dataclass(frozen=True, slots=True)
class Agreements:
    """rows: metric by metric, in each the groups and, where there are several, their mean. contest: None for one metric
    only. people: rated pairs; hidden: those left out because reference and test are one file."""

    rows: tuple[Agreement, ...]
    contest: Contest | None
    people: int
    hidden: int

    def overall(self) -> list[Agreement]:
        """One row a metric: the mean over groups, or the only group."""
        return list({row.spec: row for row in self.rows}.values())

    def data(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def summarise(rows: Tally | Iterable[Row], worst: int = 10, draws: int = DRAWS, seed: int = 0) -> Summary:
    """Each metric on each system. worst: how many places to name; draws, seed: of the bootstrap.

    The bootstrap resamples pairs, the same ones for all metrics, and like ones for all systems (Tally.twins).
    """
    tally = rows if isinstance(rows, Tally) else Tally(rows)
    twin = tally.twins()
    own = {system: tally.of_system(system) for system in tally.systems}
    answers = {spec: tally.answers(spec) for spec in tally.measures}
    first = next(iter(tally.measures), None)
    systems = list(tally.systems)
    if first is not None:
        better = tally.measures[first].better
        systems.sort(key=lambda s: _rank(answers[first].value[own[s]], better))
    scores: list[Score] = []
    for spec, measure in tally.measures.items():
        table = np.full((int(twin.max()) + 1, len(systems)), nan)
        for column, system in enumerate(systems):
            table[twin[own[system]], column] = _counting(answers[spec].value[own[system]], measure.better)
        means = statistics.resampled_means(table, draws, seed)
        for column, system in enumerate(systems):
            asked = np.flatnonzero(own[system] & (answers[spec].status >= 0))
            if len(asked):
                mean = statistics.interval(means[:, column])
                gap = _difference(table[:, column], table[:, 0], draws, seed) if column else (nan, (nan, nan), 0)
                scores.append(_score(tally, measure, system, answers[spec], asked, mean, gap, worst))
    told = tuple(tally.faulty), tuple(tally.causes), tuple(tally.verdicts.items())
    return Summary(
        len(tally.pairs), tuple(systems), first, tuple(scores), *told, things(p.reference for p in tally.pairs)
    )


def agreement(
    rows: Tally | Iterable[Row], hidden: bool = False, draws: int = RATING_DRAWS, seed: int = 0
) -> Agreements:
    """Every metric against the ratings of people, group by group.

    hidden: whether to count the hidden references too, pairs of one file with itself, which people rate and on which
    every metric is right. A metric's distance is to fall where quality rises and to rise with dissimilarity; where the
    rows do not say (`higher_is_better`), ratings are qualities.
    """
    tally = rows if isinstance(rows, Tally) else Tally(rows)
    rated = [k for k, p in enumerate(tally.pairs) if isfinite(p.rating)]
    kept = [k for k in rated if hidden or tally.pairs[k].reference != tally.pairs[k].test]
    groups: dict[str | None, list[int]] = {}
    for k in kept:
        groups.setdefault(tally.pairs[k].group, []).append(k)
    found: list[Agreement] = []
    judged = {name: _Judged(tally, np.array(at, dtype=np.int64)) for name, at in groups.items()}
    for spec, measure in tally.measures.items():
        goodness = _goodness(tally, spec)
        mine, spread = [], []
        for name, people in judged.items():
            row, resampled = _group(spec, measure.metric, name, goodness[people.at], people, draws, seed)
            mine.append(row)
            if row.pairs >= FEWEST:
                spread.append((row, resampled))
        found += mine
        if len(mine) > 1 and spread:
            found.append(_over_groups(spec, measure.metric, spread))
    return Agreements(tuple(found), _contest(found, tally, judged, draws, seed), len(rated), len(rated) - len(kept))


class Ratings:
    """Ratings by people, from a file, to be joined to rows by their files.

    The CSV has the column `id`, or `test` and perhaps `reference`, with names as in the rows or relative to the file's
    folder; `rating` or `score`; and perhaps `system` and `higher_is_better` (1, 0, true, false). Several lines about
    one pair, such as one a listener, count with their mean.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        file = Path(path)
        self._sums: dict[tuple[str | None, ...], list[float]] = {}
        self._quality: dict[tuple[str | None, ...], bool | None] = {}
        self._used: set[tuple[str | None, ...]] = set()
        try:
            with file.open(newline="", encoding="utf-8-sig") as stream:
                self._read(csv.DictReader(stream), file)
        except OSError as problem:
            raise InputError(f"the ratings {str(file)!r} cannot be read: {problem.strerror}") from None
        except (UnicodeDecodeError, csv.Error) as problem:
            raise InputError(f"the ratings {str(file)!r} are not CSV in UTF-8: {problem}") from None

    def join(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows, with `rating` and `higher_is_better` where the file has them; a rating that is there stays else."""
        for row in rows:
            key = self._key_of(row)
            if key is None:
                yield row
                continue
            self._used.add(key)
            total, number = self._sums[key]
            yield {**row, "rating": total / number, "higher_is_better": self._quality[key]}

    @property
    def unused(self) -> list[str]:
        """What the file rates, but no row that went through `join` was about."""
        return [" ".join(part for part in key[1:] if part) for key in self._sums if key not in self._used]

    def _read(self, lines: csv.DictReader[str], file: Path) -> None:
        columns = lines.fieldnames or []
        score = next((c for c in ("rating", "score") if c in columns), None)
        test = "test" in columns
        reference = next((c for c in ("reference", "ref") if c in columns), None)
        if score is None or not (test or "id" in columns):
            raise InputError(f"the ratings {str(file)!r} need the columns rating and id, or rating and test")
        for line in lines:
            try:
                value = float(line[score])
            except (TypeError, ValueError):
                value = nan
            if not isfinite(value):
                if (line[score] or "").strip().lower() in ("", "nan"):
                    continue  # nobody was asked
                raise InputError(
                    f"the ratings {str(file)!r}, line {lines.line_num}: {score} is {line[score]!r}, not a number"
                )
            system = line.get("system") or None
            if "id" in columns:
                key: tuple[str | None, ...] = ("id", composed(line["id"] or ""), system)
            else:
                names = [_absolute(line[c] or "", file.parent) for c in ("test", reference) if c]
                key = ("test", names[0], names[1] if reference else None, system)
            total = self._sums.setdefault(key, [0.0, 0])
            total[0] += value
            total[1] += 1
            self._quality[key] = _yes(line.get("higher_is_better"), file, lines.line_num)

    def _key_of(self, row: Row) -> tuple[str | None, ...] | None:
        system = row.get("system")
        test, reference = (_absolute(row[n], Path()) for n in ("test", "reference"))
        for key in (
            ("id", composed(row.get("id") or row["test"])),
            ("test", test, reference),
            ("test", test, None),
        ):
            for of in (system, None):
                if (*key, of) in self._sums:
                    return (*key, of)
        return None


def _absolute(name: str, folder: Path) -> str:
    return composed(os.path.abspath(folder / name))  # noqa: PTH100  Path.resolve would ask the disk about every row


def _yes(text: str | None, file: Path, line: int) -> bool | None:
    plain = (text or "").strip().lower()
    if plain in ("", "1", "1.0", "true", "yes"):
        return True if plain else None
    if plain in ("0", "0.0", "false", "no"):
        return False
    raise InputError(f"the ratings {str(file)!r}, line {line}: higher_is_better is 1 or 0, not {text!r}")


def _counting(values: NDArray[np.float64], better: str) -> NDArray[np.float64]:
    """The values, with nan for those that do not count."""
    return np.where(np.isin(values, statistics.counted(values, better)), values, nan)


def _rank(values: NDArray[np.float64], better: str) -> tuple[bool, float, float]:
    """What systems are sorted by, the best first; those without a value come last."""
    sign = 1.0 if better == "lower" else -1.0
    mean = statistics.mean(statistics.counted(values, better).tolist())
    finite = statistics.mean(values[np.isfinite(values)].tolist())
    mean, finite = (nan if isnan(m) else sign * m for m in (mean, finite))
    return isnan(mean), 0.0 if isnan(mean) else mean, 0.0 if isnan(finite) else finite


def _difference(
    values: NDArray[np.float64], others: NDArray[np.float64], draws: int, seed: int
) -> tuple[float, Interval, int]:
    """Mean of values minus others, over the pairs where both count, its interval, and how many they are. Two that are
    infinite in the same way do not differ."""
    with np.errstate(invalid="ignore"):
        apart = np.where(np.isinf(values) & (values == others), 0.0, values - others)
        apart = apart[~np.isnan(apart)]
        mean = float(apart.mean()) if len(apart) else nan
    if isnan(mean):
        return nan, (nan, nan), 0
    means = statistics.resampled_means(apart[:, None], draws, seed)[:, 0]
    return mean, statistics.interval(means), len(apart)


def _score(
    tally: Tally,
    measure: Measure,
    system: str | None,
    answers: Answers,
    asked: NDArray[np.int64],
    interval: Interval,
    difference: tuple[float, Interval, int],
    worst: int,
) -> Score:
    value = answers.value[asked]
    there = asked[~np.isnan(value)]
    ordered = answers.value[there]
    counts = statistics.counted(value, measure.better)
    badness = ordered if measure.better == "lower" else -ordered
    places = there[np.argsort(-badness, kind="stable")][:worst]
    _, infinite, undefined, error = (int(np.sum(answers.status[asked] == code)) for code in range(len(STATUSES)))
    return Score(
        spec=measure.spec,
        metric=measure.metric,
        unit=measure.unit,
        better=measure.better,
        system=system,
        pairs=len(asked),
        numbers=int(np.isfinite(value).sum()),
        infinite=infinite,
        infinitely_bad=int(np.sum(value == (-inf if measure.better == "higher" else inf))),
        undefined=undefined,
        error=error,
        identical=int(answers.identical[asked].sum()),
        mean=statistics.mean(counts.tolist()),
        interval=interval,
        p5=statistics.percentile(counts, 5),
        p25=statistics.percentile(counts, 25),
        median=statistics.percentile(counts, 50),
        p75=statistics.percentile(counts, 75),
        p95=statistics.percentile(counts, 95),
        minimum=statistics.percentile(counts, 0),
        maximum=statistics.percentile(counts, 100),
        difference=difference[0],
        difference_interval=difference[1],
        common=difference[2],
        worst=tuple(
            Place(pair.id, pair.reference, pair.test, float(answers.value[k]), float(answers.worst_s[k]))
            for k, pair in ((k, tally.pairs[k]) for k in places)
        ),
    )


class _Judged:
    """The rated pairs of a group: their numbers in the tally, ratings turned so that more is better, and labels."""

    def __init__(self, tally: Tally, at: NDArray[np.int64]) -> None:
        pairs = [tally.pairs[k] for k in at]
        self.at = at
        self.dissimilar = not any(p.higher_is_better for p in pairs)
        self.quality = np.array([p.rating if p.higher_is_better else -p.rating for p in pairs])
        names: dict[str | None, int] = {}

        def coded(labels: Iterable[str | None]) -> NDArray[np.int64]:
            return np.array([names.setdefault(x, len(names)) for x in labels], dtype=np.int64)

        self.item = coded(p.item for p in pairs)
        self.condition = coded(p.condition for p in pairs)
        self.reference = coded(p.reference for p in pairs)
        self.test = coded(p.test for p in pairs)


def _goodness(tally: Tally, spec: str) -> NDArray[np.float64]:
    """The metric's values turned so that more is better, [pair]."""
    value = tally.answers(spec).value
    return value if tally.measures[spec].better == "higher" else -value


def _group(
    spec: str,
    metric: str,
    name: str | None,
    goodness: NDArray[np.float64],
    people: _Judged,
    draws: int,
    seed: int,
) -> tuple[Agreement, tuple[NDArray[Any], NDArray[Any]]]:
    """The agreement, and the draws of Pearson and Spearman."""
    ok = np.isfinite(goodness)
    x, y, item = goodness[ok], people.quality[ok], people.item[ok]
    some = len(x) > 1
    nothing = np.full(draws, nan)
    r, rho = statistics.resampled_correlations(x, y, draws, seed) if some else (nothing, nothing)
    row = Agreement(
        spec=spec,
        metric=metric,
        group=name,
        groups=1,
        pairs=len(x),
        left_out=int((~ok).sum()),
        items=len(np.unique(item)),
        pearson=statistics.pearson(x, y) if some else nan,
        pearson_interval=statistics.interval(r),
        spearman=statistics.spearman(x, y) if some else nan,
        spearman_interval=statistics.interval(rho),
        kendall=statistics.kendall(x, y) if some else nan,
        within_item=statistics.spearman_within(x, y, item) if some else nan,
        per_condition=statistics.spearman_of_means(x, y, people.condition[ok]) if some else nan,
        triplets=statistics.triplets(people.reference[ok], people.test[ok], -x, -y) if people.dissimilar else nan,
        rmse=statistics.rmse_after_map(x, y) if some else nan,
    )
    return row, (r, rho)


def _over_groups(
    spec: str, metric: str, spread: Sequence[tuple[Agreement, tuple[NDArray[Any], NDArray[Any]]]]
) -> Agreement:
    rows = [row for row, _ in spread]

    def average(name: str) -> float:
        return statistics.mean([getattr(row, name) for row in rows])

    return Agreement(
        spec=spec,
        metric=metric,
        group=None,
        groups=len(rows),
        pairs=sum(row.pairs for row in rows),
        left_out=sum(row.left_out for row in rows),
        items=sum(row.items for row in rows),
        pearson=average("pearson"),
        pearson_interval=statistics.interval(np.mean([r for _, (r, _) in spread], axis=0)),
        spearman=average("spearman"),
        spearman_interval=statistics.interval(np.mean([rho for _, (_, rho) in spread], axis=0)),
        kendall=average("kendall"),
        within_item=average("within_item"),
        per_condition=average("per_condition"),
        triplets=average("triplets"),
        rmse=nan,
    )


def _contest(
    found: list[Agreement], tally: Tally, judged: Mapping[str | None, _Judged], draws: int, seed: int
) -> Contest | None:
    overall = {row.spec: row.spearman for row in found if row.spearman == row.spearman}
    if len(overall) < 2:
        return None
    best, second = sorted(overall, key=lambda spec: -overall[spec])[:2]
    first, other = _goodness(tally, best), _goodness(tally, second)
    differences, spread = [], []
    several = len(judged) > 1
    for people in judged.values():
        x1, x2, y = first[people.at], other[people.at], people.quality
        ok = np.isfinite(x1) & np.isfinite(x2)
        if ok.sum() < (FEWEST if several else 2):
            continue
        x1, x2, y = x1[ok], x2[ok], y[ok]
        differences.append(statistics.spearman(x1, y) - statistics.spearman(x2, y))
        # The same seed and number of pairs: both metrics see the same resamples.
        pair = [statistics.resampled_correlations(x, y, draws, seed)[1] for x in (x1, x2)]
        spread.append(pair[0] - pair[1])
    if not differences:
        return None
    mean = np.mean(spread, axis=0)
    mean = mean[np.isfinite(mean)]
    p = (1 + int((mean <= 0).sum())) / (1 + len(mean))
    return Contest(best, second, statistics.mean(differences), statistics.interval(mean), p)
