"""What is kept of many rows: the numbers and names that statistics and gates need, and nothing else of a row."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass, field
from math import nan
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .rows import Row, number

STATUSES = ("ok", "infinite", "undefined", "error")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two recordings that were compared.

    twin: the number that it shares with the pairs of other systems that have the same id, reference, group and piece.
    item: what listeners compared versions of: the manifest's column `item`, else the reference.
    condition: the system, else the manifest's column `condition`.
    rating: what people said, nan when nobody was asked; higher_is_better: whether it is a quality or a dissimilarity.
    """

    id: str
    system: str | None
    group: str | None
    reference: str
    test: str
    twin: int
    item: str
    condition: str | None
    rating: float
    higher_is_better: bool


@dataclass(frozen=True, slots=True)
class Answers:
    """One metric's answers to all pairs of a tally, each [pair].

    value: nan where there is none; worst_s: second, nan where there is none; status: index into STATUSES, -1 where the
    metric was not asked.
    """

    value: NDArray[np.float64]
    worst_s: NDArray[np.float64]
    status: NDArray[np.int8]


@dataclass(slots=True)
class Measure:
    """A metric of the tally, and its answers in the order in which they came."""

    spec: str
    metric: str
    unit: str
    better: Literal["lower", "higher"]
    _pair: array[int] = field(default_factory=lambda: array("q"))
    _value: array[float] = field(default_factory=lambda: array("d"))
    _worst_s: array[float] = field(default_factory=lambda: array("d"))
    _status: array[int] = field(default_factory=lambda: array("b"))


class Tally:
    """Rows of a batch, taken in one by one.

    pairs: in the order of their first row; measures: by spec, in the order of theirs; systems: likewise; columns: names
    of the manifest's extra columns. A row that comes again, as after a retry, replaces the earlier one.
    """

    def __init__(self, rows: Iterable[Row] = ()) -> None:
        self.pairs: list[Pair] = []
        self.measures: dict[str, Measure] = {}
        self.systems: list[str | None] = []
        self.columns: list[str] = []
        self._numbers: dict[tuple[Any, ...], int] = {}
        self._twins: dict[tuple[Any, ...], int] = {}
        self._names: dict[str, str] = {}
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

    def answers(self, spec: str) -> Answers:
        """What the metric of this spec said about every pair."""
        measure = self.measures[spec]
        size = len(self.pairs)
        at = np.array(measure._pair, dtype=np.int64)
        found = Answers(np.full(size, nan), np.full(size, nan), np.full(size, -1, dtype=np.int8))
        found.value[at] = np.array(measure._value)
        found.worst_s[at] = np.array(measure._worst_s)
        found.status[at] = np.array(measure._status, dtype=np.int8)
        return found

    def of_system(self, system: str | None) -> NDArray[np.bool_]:
        """Which pairs are the system's, [pair]."""
        return np.array([p.system == system for p in self.pairs], dtype=bool)

    @property
    def rated(self) -> bool:
        """Whether people judged any of the pairs."""
        return any(p.rating == p.rating for p in self.pairs)

    def _pair(self, row: Row) -> int:
        name = row.get("id") or row["test"]
        system, group = row.get("system"), row.get("group")
        of = (name, row["reference"], group, row.get("start"))
        key = (*of, row["test"], system)
        if key in self._numbers:
            return self._numbers[key]
        columns = row.get("columns") or {}
        rating = row.get("rating")
        self.pairs.append(
            Pair(
                self._once(name),
                self._once(system),
                self._once(group),
                self._once(row["reference"]),
                self._once(row["test"]),
                self._twins.setdefault(of, len(self._twins)),
                self._once(columns.get("item") or row["reference"]),
                self._once(system or columns.get("condition")),
                nan if rating is None else float(rating),
                row.get("higher_is_better") is not False,
            )
        )
        if system not in self.systems:
            self.systems.append(system)
        self.columns += [c for c in columns if c not in self.columns]
        self._numbers[key] = len(self.pairs) - 1
        return self._numbers[key]

    def _once(self, name: Any) -> Any:
        """Each text is kept once, however many rows repeat it."""
        return name if name is None else self._names.setdefault(name, name)
