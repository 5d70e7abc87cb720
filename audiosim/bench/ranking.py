"""Which loss taught best: ranks by judges that do not know the loss, with intervals over seeds and items."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..judge.statistics import interval
from ..loss import parse
from .judges import JUDGES, Judge

DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class Row:
    """A loss in one task or, by rank alone, in all.

    rank: 0 where every judge has it first among the losses that it judges, 1 where it is last everywhere. low, high:
    95 % of bootstrap draws of seeds and items lie between. judged: mean over seeds and items, None where a judge does
    not know any. rate, step_ms, steps, cpu_s: learning rate, CPU time of a step, steps and CPU time of a training, all
    means over seeds. reason: why there is nothing of that.
    """

    task: str
    loss: str
    rank: float | None = None
    low: float | None = None
    high: float | None = None
    judged: dict[str, float | None]
    rate: float | None = None
    step_ms: float | None = None
    steps: int | None = None
    cpu_s: float | None = None
    reason: str | None = None


def table(rows: Iterable[dict[str, Any]]) -> list[Row]:
    """Of the rows of trial.run, the best first, one task after another; "all" is last where there are several."""
    by_task: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for row in rows:
        by_task[row["task"]].append(row)
    shown: list[Row] = []
    draws: dict[str, list[Any]] = defaultdict(list)
    for task, found in by_task.items():
        ranked = _ranks(found)
        lines = []
        for loss in dict.fromkeys(row["loss"] for row in found):
            mine = [row for row in found if row["loss"] == loss]
            ranks = ranked.get(loss)
            if ranks is not None:
                draws[loss].append(ranks)
            lines.append(_line(task, loss, mine, ranks))
        shown += sorted(lines, key=lambda line: (line.rank is None, line.rank))
    if len(by_task) > 1:
        everywhere = [loss for loss, ranks in draws.items() if len(ranks) == len(by_task)]
        overall = [_overall(loss, np.mean(draws[loss], axis=0)) for loss in everywhere]
        shown += sorted(overall, key=lambda line: (line.rank is None, line.rank))
    return shown


def _ranks(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Mean rank of each loss [1 + DRAWS]: of all seeds and items, then of draws of them."""
    done = [row for row in rows if row["items"]]
    losses = list(dict.fromkeys(row["loss"] for row in done))
    seeds = sorted({row["seed"] for row in done})
    whole = [s for s in seeds if all(any(r["seed"] == s and r["loss"] == n for r in done) for n in losses)]
    if len(losses) < 2 or not whole:
        return {}
    items = {(row["loss"], row["seed"]): row["items"] for row in done}
    count = len(done[0]["items"])
    units = [(seed, i) for seed in whole for i in range(count)]
    names = list(done[0]["items"][0])
    ranks = np.full((len(names), len(units), len(losses)), np.nan)
    for j, judge in enumerate(judge for judge in JUDGES if judge.name in names):
        columns = [k for k, loss in enumerate(losses) if judge.judges([spec for _, spec in parse(loss)])]
        for u, (seed, i) in enumerate(units):
            values = [items[losses[k], seed][i][judge.name] for k in columns]
            ranks[j, u, columns] = _fractions(values, judge)
    rng = np.random.default_rng(0)
    picks = [np.arange(len(units)), *(rng.integers(0, len(units), len(units)) for _ in range(DRAWS))]
    judged = ~np.all(np.isnan(ranks), axis=1)  # [judge, loss]
    means = np.array([np.where(judged, _mean(ranks[:, pick], 1), np.nan) for pick in picks])
    return {loss: _mean(means[:, :, k], 1) for k, loss in enumerate(losses) if judged[:, k].any()}


def _mean(x: Any, axis: int) -> Any:
    """Of what is a number."""
    known = ~np.isnan(x)
    return np.where(known, x, 0).sum(axis) / np.maximum(known.sum(axis), 1)


def _fractions(values: Sequence[float | None], judge: Judge) -> Any:
    """0 for the best of the values, 1 for the worst; equal values share theirs. None is the worst."""
    if len(values) < 2:
        return np.full(len(values), np.nan)
    sign = 1 if judge.better == "lower" else -1
    x = np.array([np.inf if v is None else sign * v for v in values])
    better = (x[None] < x[:, None]).sum(1)
    same = (x[None] == x[:, None]).sum(1) - 1
    return (better + same / 2) / (len(values) - 1)


def _line(task: str, loss: str, rows: Sequence[dict[str, Any]], ranks: Any) -> Row:
    done = [row for row in rows if row["items"]]
    if not done:
        return Row(task=task, loss=loss, judged={}, reason=rows[0]["reason"])
    said: dict[str, float | None] = {}
    for name in done[0]["items"][0]:
        known = [item[name] for row in done for item in row["items"] if item[name] is not None]
        said[name] = float(np.mean(known)) if known else None
    low, high = (None, None) if ranks is None else interval(ranks[1:])
    means = {key: float(np.mean([row[key] for row in done])) for key in ("rate", "step_ms", "trained_steps", "cpu_s")}
    return Row(
        task=task,
        loss=loss,
        rank=None if ranks is None else float(ranks[0]),
        low=low,
        high=high,
        judged=said,
        rate=means["rate"],
        step_ms=means["step_ms"],
        steps=round(means["trained_steps"]),
        cpu_s=means["cpu_s"],
    )


def _overall(loss: str, ranks: Any) -> Row:
    low, high = interval(ranks[1:])
    return Row(task="all", loss=loss, rank=float(ranks[0]), low=low, high=high, judged={})
