"""Training one network after another, and a journal that a later run takes up where this one ended."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from .. import __version__, metrics
from ..errors import AudiosimError, InputError, MissingExtra, UsageError
from .task import Task

try:
    import torch
except ModuleNotFoundError:
    raise MissingExtra("audiosim bench needs torch: pip install torch, or pip install 'audiosim[torch]'") from None

from ..loss import Loss, parse
from .judges import judged

LADDER = (1e-3, 3e-3, 1e-2)
SHORTER = 3  # so many times fewer steps are spent on a learning rate that is tried
BEYOND = 3.0  # a gradient so many times longer than usual is shortened
EVERY = 30.0  # CPU seconds between checkpoints

Row = dict[str, Any]


@dataclass(frozen=True)
class Budget:
    """How long a network is trained: so many steps, those of its task, or what fits into CPU seconds, loss included."""

    steps: int | None = None
    seconds: float | None = None

    def of(self, task: Task, step_seconds: float = 0.0) -> int:
        """Steps, where one takes so many CPU seconds."""
        if self.seconds is not None and step_seconds:
            return max(1, round(self.seconds / step_seconds))
        return self.steps or task.steps


@dataclass(frozen=True)
class Plan:
    """Every loss on every task, with every seed. rates: learning rates, of which validation chooses one."""

    tasks: Sequence[Task]
    losses: Sequence[str]
    seeds: Sequence[int] = (0,)
    budget: Budget = field(default_factory=Budget)
    rates: Sequence[float] = LADDER

    @property
    def trials(self) -> list[tuple[Task, str, int]]:
        return [(task, loss, seed) for task in self.tasks for loss in self.losses for seed in self.seeds]


def run(plan: Plan, journal: Path | None = None, say: Callable[[str], None] = lambda _: None) -> Iterator[Row]:
    """The outcome of each trial, as it is known: of the journal, or trained now and written there.

    A row has task, loss, seed, steps, rate (the learning rate), step_ms (CPU, loss included), cpu_s (of all of its
    training, learning rates included) and items: what each judge says of each test item. Where the loss cannot do the
    task, `reason` says why and there are no items. Raises UsageError for a loss that no task can use, OSError where the
    journal cannot be written.
    """
    torch.set_num_threads(1)  # a step is too short for more, and CPU time is what is compared
    known = _Journal(journal)
    for i, (task, loss, seed) in enumerate(plan.trials, 1):
        say(f"{i} of {len(plan.trials)}: {task.name}, {loss}, seed {seed}")
        yield _trial(task, loss, seed, plan, known)


def read(journal: Path) -> list[Row]:
    """The outcomes that a journal holds, as run gives them. UsageError for what is no journal, or not there."""
    if not journal.exists():
        raise UsageError(f"there is no journal {journal}")
    return [row for row in _Journal(journal).rows() if row["kind"] == "trial"]


def _trial(task: Task, spec: str, seed: int, plan: Plan, known: _Journal) -> Row:
    key: Row = {**_identity(task, spec), "seed": seed}
    budget = {"steps": plan.budget.of(task), "seconds": plan.budget.seconds, "rates": list(plan.rates)}
    if (row := known.get({**key, "kind": "trial", **budget})) is not None:
        return row
    try:
        loss = Loss(spec, task.rate)
        step_seconds, rate, spent = _learning_rate(task, loss, spec, plan, known)
        steps = plan.budget.of(task, step_seconds)
        checkpoint = known.checkpoint({**key, "steps": steps, "rate": rate})
        network, seconds = _trained(task, loss, rate, steps, seed, checkpoint)
    except (UsageError, InputError) as no:
        return known.put({**key, "kind": "trial", **budget}, {"reason": str(no), "items": []})
    items = [judged(*pair, task.rate, task.speech) for pair in _outputs(task, network, "test")]
    found = {"reason": None, "rate": rate, "trained_steps": steps, "step_ms": 1000 * seconds / steps}
    return known.put({**key, "kind": "trial", **budget}, {**found, "cpu_s": spent + seconds, "items": items})


def _identity(task: Task, spec: str) -> Row:
    """What a trained network depends on, but for the budget and the seed."""
    versions = [metrics.get(term.name).card.version for _, term in parse(spec)]
    return {"version": __version__, "task": task.name, "digest": task.digest, "loss": spec, "versions": versions}


def _learning_rate(task: Task, loss: Any, spec: str, plan: Plan, known: _Journal) -> tuple[float, float, float]:
    """CPU seconds of a step, the best learning rate, and CPU seconds that it took to find it."""
    steps = max(1, plan.budget.of(task) // SHORTER)
    found = []
    for rate in plan.rates:
        key: Row = {**_identity(task, spec), "kind": "rate", "rate": rate, "steps": steps}
        row = known.get(key)
        if row is None:
            network, seconds = _trained(task, loss, rate, steps, 0, known.checkpoint(key))
            with torch.no_grad():
                values = [float(loss(network(x), y)) for x, y in task.held_out("validation")]
            row = known.put(key, {"value": float(np.mean(values)), "cpu_s": seconds})
        found.append(row)
    best = min(found, key=lambda row: row["value"] if np.isfinite(row["value"]) else np.inf)
    spent = sum(row["cpu_s"] for row in found)
    return spent / (steps * len(found)), best["rate"], spent


def _trained(
    task: Task, loss: Any, rate: float, steps: int, seed: int, checkpoint: _Checkpoint
) -> tuple[torch.nn.Module, float]:
    """A network after so many steps of Adam, one cycle of the learning rate (Smith 2018), and its CPU seconds."""
    torch.manual_seed(seed)
    rng = np.random.default_rng([seed, 40])
    network = task.network()
    optimizer = torch.optim.Adam(network.parameters(), rate)
    cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=max(steps, 2))
    state = {"network": network, "optimizer": optimizer, "cycle": cycle}
    begin, seconds, usual = checkpoint.resume(state, rng)
    for step in range(begin, steps):
        x, y = task.batch(rng)
        began = time.process_time()
        optimizer.zero_grad()
        loss(network(x), y).backward()
        usual = _shorten(network, usual)
        optimizer.step()
        cycle.step()
        seconds += time.process_time() - began
        checkpoint.keep(step + 1, seconds, usual, state, rng)
    checkpoint.forget()
    return network, seconds


def _shorten(network: Any, usual: float) -> float:
    """Bound the gradient by the usual length of earlier ones, so that the scale of a loss does not matter; drop one
    that is not finite. The usual length after it."""
    length = float(torch.nn.utils.clip_grad_norm_(network.parameters(), BEYOND * usual if usual else 1e30))
    if not np.isfinite(length):
        for p in network.parameters():
            p.grad = None
        return usual
    return 0.9 * usual + 0.1 * min(length, BEYOND * usual) if usual else length


def _outputs(task: Task, network: Any, split: str) -> Iterable[tuple[Any, Any]]:
    """Target and output [sample] of each held-out item."""
    with torch.no_grad():
        for x, y in task.held_out(split):
            yield y[0].numpy(), network(x)[0].numpy()


class _Journal:
    """Rows by their keys, in a file of JSON lines or, without one, in memory."""

    def __init__(self, path: Path | None) -> None:
        self._path, self._rows = path, dict[str, Row]()
        if path is not None and path.exists():
            for i, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                try:
                    row = json.loads(line)
                    self._rows[_text(row["key"])] = row
                except (ValueError, KeyError, TypeError):
                    if line.strip().startswith("{") and not line.endswith("}"):
                        continue  # the last one of a run that was killed
                    raise UsageError(f"{path}, line {i}: this is no journal of audiosim bench") from None

    def get(self, key: Row) -> Row | None:
        row = self._rows.get(_text(key))
        return None if row is None else {**row["key"], **row["found"]}

    def rows(self) -> list[Row]:
        return [{**row["key"], **row["found"]} for row in self._rows.values()]

    def put(self, key: Row, found: Row) -> Row:
        row = {"key": key, "found": found}
        self._rows[_text(key)] = row
        if self._path is not None:
            with self._path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row, allow_nan=False, default=str) + "\n")
        return {**key, **found}

    def checkpoint(self, key: Row) -> _Checkpoint:
        return _Checkpoint(self._path and self._path.with_name(self._path.name + ".checkpoint"), _text(key))


def _text(key: Row) -> str:
    return json.dumps(key, sort_keys=True)


class _Checkpoint:
    """The state of a training that is not at its end, beside the journal."""

    def __init__(self, path: Path | None, key: str) -> None:
        self._path, self._key, self._last = path, key, time.process_time()

    def resume(self, state: dict[str, Any], rng: np.random.Generator) -> tuple[int, float, float]:
        """Steps done, their CPU seconds, and the usual length of a gradient."""
        if self._path is None or not self._path.exists():
            return 0, 0.0, 0.0
        with suppress(Exception):  # of an interrupted write, or of another training
            kept = torch.load(self._path, weights_only=True)
            if kept["key"] == self._key:
                for name, part in state.items():
                    part.load_state_dict(kept[name])
                rng.bit_generator.state = json.loads(kept["rng"])
                torch.set_rng_state(kept["torch"])
                return kept["step"], kept["seconds"], kept["usual"]
        return 0, 0.0, 0.0

    def keep(self, step: int, seconds: float, usual: float, state: dict[str, Any], rng: np.random.Generator) -> None:
        """Write it, if the last one is old enough."""
        if self._path is None or time.process_time() - self._last < EVERY:
            return
        self._last = time.process_time()
        parts = {name: part.state_dict() for name, part in state.items()}
        kept = {"key": self._key, "step": step, "seconds": seconds, "usual": usual, "torch": torch.get_rng_state()}
        beside = self._path.with_name(self._path.name + ".new")
        torch.save({**kept, **parts, "rng": json.dumps(rng.bit_generator.state)}, beside)
        beside.replace(self._path)

    def forget(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def usable(losses: Iterable[str], tasks: Iterable[Task]) -> None:
    """UsageError for a loss that does not parse, or that no task can use."""
    rates = {task.rate for task in tasks}
    for spec in losses:
        problems: list[AudiosimError] = []
        for rate in rates:
            try:
                Loss(spec, rate)
            except AudiosimError as problem:
                problems.append(problem)
        if len(problems) == len(rates):
            raise UsageError(str(problems[0]))
