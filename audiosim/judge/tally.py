"""A compact form of many rows: the values and names that statistics and gates need, and nothing else."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import nan
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from ..channels import describe, kinds
from ..result import IDENTICAL
from .rows import Row, composed, extreme, number, per_channel, silent_channels
from .verdict import LEVELS, Level

STATUSES = ("ok", "infinite", "undefined", "error")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two recordings that were compared.

    item: what listeners compared versions of: the manifest's column `item`, else the reference.
    condition: the system, else the manifest's column `condition`.
    rating: what people said, nan when nobody was asked; higher_is_better: whether it is a quality or a dissimilarity.
    """

    id: str
    system: str | None
    group: str | None
    reference: str
    test: str
    start: float | None
    item: str
    condition: str | None
    rating: float
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class Faulty:
    """A pair with a faulty channel. faults: their kinds, each once; sentences: what is wrong with which channel."""

    id: str
    system: str | None
    faults: tuple[str, ...]
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """One thing that happened to the sound, in so many pairs. sentence: where all of these say the same."""

    cause: str
    pairs: int
    sentence: str | None


@dataclass(frozen=True, slots=True)
class Answers:
    """One metric's values for all pairs of a tally, each [pair].

    value: nan where there is none; worst_s: second, nan where there is none; status: index into STATUSES, -1 where the
    metric was not asked; identical: whether the recordings are, where the value depends on the signal even then.
    lowest, highest: the value in the channel where it is smallest or largest; nan where a channel has none.
    """

    value: NDArray[np.float64]
    worst_s: NDArray[np.float64]
    status: NDArray[np.int8]
    identical: NDArray[np.bool_]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]


@dataclass(slots=True)
class Measure:
    """A metric of the tally, and its values in the order in which they came."""

    spec: str
    metric: str
    unit: str
    better: Literal["lower", "higher"]
    _pair: array[int] = field(default_factory=lambda: array("q"))
    _value: array[float] = field(default_factory=lambda: array("d"))
    _worst_s: array[float] = field(default_factory=lambda: array("d"))
    _status: array[int] = field(default_factory=lambda: array("b"))
    _identical: array[int] = field(default_factory=lambda: array("b"))
    _lowest: array[float] = field(default_factory=lambda: array("d"))
    _highest: array[float] = field(default_factory=lambda: array("d"))


class Tally:
    """Rows of a batch, taken in one by one.

    measures: by spec, in the order of their first row; columns: names of the manifest's extra columns. A row that comes
    again, as after a retry, replaces the earlier one.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.measures: dict[str, Measure] = {}
        self.columns: list[str] = []
        self._pairs: list[Pair] = []
        self._sorted = 0  # so many of the pairs are in order
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._names: dict[str, str] = {}
        self._faulty: dict[tuple[Any, ...], Faulty] = {}
        self._causes: dict[tuple[Any, ...], dict[str, str]] = {}
        self._verdicts: dict[tuple[Any, ...], Level | None] = {}
        for row in rows:
            self.add(row)

    def add(self, row: Row) -> None:
        """Take in one row."""
        spec = row["spec"]
        if spec not in self.measures:
            self.measures[spec] = Measure(spec, row["metric"], row["unit"], row["better"])
        measure = self.measures[spec]
        worst_s = row.get("worst_s")
        measure._pair.append(self._pair(row))
        measure._value.append(number(row))
        measure._worst_s.append(nan if worst_s is None else worst_s)
        measure._status.append(STATUSES.index(row["status"]))
        measure._identical.append(row["status"] == "ok" and row["reason"] == IDENTICAL)
        values, silent = per_channel(row), silent_channels(row)
        measure._lowest.append(extreme(values, "min", silent)[0])
        measure._highest.append(extreme(values, "max", silent)[0])
        self._note_faults(row)

    @property
    def pairs(self) -> list[Pair]:
        """All pairs, by name, so that no statistic depends on the order of the rows, which is that of the work."""
        if self._sorted < len(self._pairs):
            order = sorted(range(len(self._pairs)), key=lambda k: _order(self._pairs[k]))
            place = np.empty(len(order), dtype=np.int64)
            place[order] = np.arange(len(order))
            self._pairs = [self._pairs[k] for k in order]
            self._numbers = {key: int(place[k]) for key, k in self._numbers.items()}
            for measure in self.measures.values():
                measure._pair = array("q", place[np.array(measure._pair)].tobytes())
            self._sorted = len(order)
        return self._pairs

    @property
    def systems(self) -> list[str | None]:
        """All systems, by name."""
        return sorted({p.system for p in self._pairs}, key=lambda s: (s is not None, s or ""))

    def answers(self, spec: str) -> Answers:
        """What the metric of this spec said about every pair."""
        size = len(self.pairs)
        measure = self.measures[spec]
        at = np.array(measure._pair, dtype=np.int64)
        found = Answers(
            np.full(size, nan),
            np.full(size, nan),
            np.full(size, -1, dtype=np.int8),
            np.zeros(size, dtype=bool),
            np.full(size, nan),
            np.full(size, nan),
        )
        found.value[at] = np.array(measure._value)
        found.worst_s[at] = np.array(measure._worst_s)
        found.status[at] = np.array(measure._status, dtype=np.int8)
        found.identical[at] = np.array(measure._identical, dtype=bool)
        found.lowest[at] = np.array(measure._lowest)
        found.highest[at] = np.array(measure._highest)
        return found

    @property
    def faulty(self) -> list[Faulty]:
        """The pairs with a faulty channel, by name."""
        return [fault for _, fault in sorted(self._faulty.items(), key=lambda f: str(f[0]))]

    @property
    def causes(self) -> list[Cause]:
        """What happened to the sound of how many pairs, the commonest first; empty where none was diagnosed."""
        found = []
        for cause, count in Counter(cause for pair in self._causes.values() for cause in pair).items():
            said = Counter(pair[cause] for pair in self._causes.values() if cause in pair)
            sentence, alike = said.most_common(1)[0]
            found.append(Cause(cause, count, sentence if alike == count else None))
            if 1 < alike < count and 2 * alike >= count:
                found.append(Cause(cause, alike, sentence))
        return sorted(found, key=lambda c: (-c.pairs, c.cause, c.sentence or ""))

    @property
    def verdicts(self) -> dict[Level | None, int]:
        """How many pairs have which verdict, the best first; None where a pair has none. Empty where none was asked."""
        count = Counter(self._verdicts.values())
        return {level: count[level] for level in (*LEVELS, None) if count[level]}

    def of_system(self, system: str | None) -> NDArray[np.bool_]:
        """Which pairs are the system's, [pair]."""
        return np.array([p.system == system for p in self.pairs], dtype=bool)

    def twins(self) -> NDArray[np.int64]:
        """A number for each pair, [pair], that it shares with its like in other systems.

        That is the pair of the same id, or else, where each system has only one, the pair of the same reference; group
        and start of the piece are the same too.
        """
        named = [(composed(p.id), composed(p.reference), p.group, p.start) for p in self.pairs]
        ids = Counter(named)
        own = Counter((p.system, *name[1:]) for p, name in zip(self.pairs, named, strict=True))
        several = {key[1:] for key, count in own.items() if count > 1}
        numbers: dict[tuple[Any, ...], int] = {}
        found = []
        for k, like in enumerate(cast("list[tuple[Any, ...]]", named)):
            if ids[like] == 1:
                like = like[1:] if like[1:] not in several else (k,)
            found.append(numbers.setdefault(like, len(numbers)))
        return np.array(found, dtype=np.int64)

    @property
    def rated(self) -> bool:
        """Whether people judged any of the pairs."""
        return any(p.rating == p.rating for p in self._pairs)

    def _note_faults(self, row: Row) -> None:
        """A pair that could not be compared keeps what is known of it."""
        if row["rate"] is None:
            return
        name, system = row.get("id") or row["test"], row.get("system")
        key = (name, system, row["reference"], row["test"], row.get("group"), row.get("start"))
        if faults := (row.get("match") or {}).get("channel_faults"):
            self._faulty[key] = Faulty(name, system, tuple(kinds(row["match"])), tuple(describe(faults)))
        else:
            self._faulty.pop(key, None)
        if row.get("causes") is not None:
            self._causes[key] = {self._once(c["cause"]): self._once(c["sentence"]) for c in row["causes"]}
        if row.get("verdict"):
            self._verdicts[key] = row["verdict"]["level"]

    def _pair(self, row: Row) -> int:
        name = row.get("id") or row["test"]
        system, group = row.get("system"), row.get("group")
        start = row.get("start")
        key = (name, row["reference"], row["test"], group, system, start)
        if key in self._numbers:
            return self._numbers[key]
        columns = row.get("columns") or {}
        rating = row.get("rating")
        self._pairs.append(
            Pair(
                self._once(name),
                self._once(system),
                self._once(group),
                self._once(row["reference"]),
                self._once(row["test"]),
                start,
                self._once(columns.get("item") or row["reference"]),
                self._once(system or columns.get("condition")),
                nan if rating is None else float(rating),
                row.get("higher_is_better") is not False,
            )
        )
        self.columns += [c for c in columns if c not in self.columns]
        self._numbers[key] = len(self._pairs) - 1
        return self._numbers[key]

    def _once(self, name: Any) -> Any:
        """Each text is kept once, however many rows repeat it."""
        return name if name is None else self._names.setdefault(name, name)


def _order(pair: Pair) -> tuple[Any, ...]:
    return pair.id, pair.reference, pair.test, pair.system or "", pair.group or "", pair.start or 0.0
