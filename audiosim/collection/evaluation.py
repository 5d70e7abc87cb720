"""How well methods find what belongs together, and how alike they rank. A method: a metric with a scaling."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..judge import retrieval
from .neighbours import others
from .space import Scaling, Space, over, ranking
from .tables import Trial

Array = NDArray[Any]


@dataclass(frozen=True)
class Method:
    """A space, all of whose points are items, and its scaling."""

    space: Space
    scaling: Scaling


@dataclass(frozen=True)
class Evaluation:
    """What every method does, [method, query], nan where a query tells nothing: first: whether the nearest item has the
    query's label; precision: the share of the k nearest that have; average_precision; triplets: how often an item of
    the label is nearer than one of another. chance: the share of all allowed items that have the label [query].

    occurrences: how often each item is among the k nearest [method, item]. agreement: top-10 rank agreement of the
    second with the first [method, method, query]. choices: distances in each trial [method][trial].
    """

    first: Array
    precision: Array
    average_precision: Array
    triplets: Array
    chance: Array
    occurrences: Array
    agreement: Array
    choices: list[list[retrieval.Choice]]


def evaluate(
    methods: Sequence[Method],
    k: int,
    label: Array | None = None,
    group: Array | None = None,
    trials: Sequence[Trial] = (),
    threads: int = 1,
    done: Callable[[int], None] = lambda _: None,
) -> Evaluation:
    """Ask every method about every item. All methods are of the same items.

    label: a number of what each belongs to [item], below 0 for none; group: as in neighbours.find. done: called with
        how many queries are.
    """
    items = methods[0].space.items
    asked: dict[int, list[int]] = {}
    for t, trial in enumerate(trials):
        asked.setdefault(trial.target, []).append(t)

    def one(query: int) -> tuple[Array, Array, float, list[Array], dict[int, list[retrieval.Choice]]]:
        allowed = others(methods[0].space, query, group)
        same = np.zeros(items, bool)
        if label is not None and label[query] >= 0:
            same = label == label[query]
        orders, values = [], []
        for method in methods:
            row = method.space.row(query)
            scaled = method.scaling.scaled(query, row)
            orders.append(ranking(row, scaled, allowed))
            values.append(scaled)
        found = np.array([_measures(same[order], k) for order in orders])
        known = allowed.sum()
        chance = float(same[allowed].sum() / known) if known and same[allowed].any() else nan
        chosen = {
            t: [retrieval.Choice(float(v[trials[t].chosen]), [float(v[u]) for u in trials[t].unchosen]) for v in values]
            for t in asked.get(query, ())
        }
        return found, _agreement(orders, items), chance, [order[:k] for order in orders], chosen

    measures = np.full((len(methods), items, 4), nan)
    agreement = np.full((len(methods), len(methods), items), nan)
    chances = np.full(items, nan)
    occurrences = np.zeros((len(methods), items), np.int64)
    choices: list[list[retrieval.Choice]] = [[retrieval.Choice(nan, [])] * len(trials) for _ in methods]
    for q, (found, alike, chance, nearest, chosen) in enumerate(over(range(items), one, threads, done)):
        measures[:, q], agreement[:, :, q], chances[q] = found, alike, chance
        for m, order in enumerate(nearest):
            occurrences[m, order] += 1
        for t, by_method in chosen.items():
            for m, choice in enumerate(by_method):
                choices[m][t] = choice
    first, precision, average, triplets = np.moveaxis(measures, 2, 0)
    return Evaluation(first, precision, average, triplets, chances, occurrences, agreement, choices)


def _measures(relevant: Array, k: int) -> tuple[float, float, float, float]:
    """Of a ranking: relevant [rank]."""
    count = int(relevant.sum())
    unlike = len(relevant) - count
    nearer = np.cumsum(~relevant)[relevant].sum()  # pairs of a relevant item and a nearer one that is not
    triplets = 1 - float(nearer) / (count * unlike) if count and unlike else nan
    return (
        retrieval.precision(relevant, 1),
        retrieval.precision(relevant, k),
        retrieval.average_precision(relevant),
        triplets,
    )


def _agreement(orders: Sequence[Array], items: int) -> Array:
    """[reference, candidate]"""
    places = []
    for order in orders:
        place = np.full(items, items + 1.0)
        place[order] = np.arange(1, len(order) + 1)
        places.append(place)
    return np.array([[retrieval.rank_agreement(place[order]) for place in places] for order in orders])
