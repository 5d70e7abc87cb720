"""Which loss teaches networks best: `python -m tests.benchmarks.teaching --journal FILE` trains and prints the tables.

--show prints the tables of what the journal holds, without training: ranks of all tasks, then what the judges say. With
--final it prints the ranks of those losses alone that were trained in every task of the journal, a row a task.
Screening trains one network a task with every loss; the final trains those of FINAL and the baselines in every variant
with three seeds. All goes into the journal: the command can be ended and given again, and --hours ends it by itself.
Tasks, networks, judges and ranks are those of `audiosim bench`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audiosim import bench
from audiosim.bench.task import BUILT_IN
from audiosim.cli.bench import markdown
from audiosim.errors import AudiosimError
from audiosim.loss import Loss

WEIGHTINGS = ("none", "hp", "fd", "a", "aw-lp", "itu468", "iso226", "bs1387")
SPECS = (
    *("mse", "mae", "si-sdr", *(f"esr:weighting={w}" if w != "none" else "esr" for w in WEIGHTINGS)),
    *("mr-stft", "mr-stft:random=true", "stft", "mel-stft", "log-mel", "mfcc", "mcd:align=none", "lsd"),
    *("complex-stft", "phase", "tversky:form=log", "spectral-transport", "visqol-speech:output=vnsim", "zimtohrli"),
    *("nmr", "masked-loss", "par", "pmsqe", "stoi", "peaq"),
    *("auditory", "auditory:level=90", "auditory:form=audibility"),
    *("mr-stft + esr", "mr-stft + esr:weighting=hp", "log-mel + esr:weighting=hp", "mr-stft + complex-stft"),
    *("tversky:form=log + 0.1*mr-stft", "auditory:level=90 + mr-stft", "auditory:level=90 + 10*esr"),
    *("auditory:level=90 + 10*esr:weighting=hp", "0.1*nmr + mr-stft"),
)
BASELINES = ("esr", "mr-stft", "log-mel", "mr-stft + esr")
BEST = 8  # of the screening


def possible(specs: Sequence[str], rates: Sequence[int]) -> list[str]:
    """Those that some task can use, with what is installed."""
    found = []
    for spec in specs:
        for rate in rates:
            try:
                Loss(spec, rate)
            except AudiosimError as problem:
                said = str(problem)
            else:
                found.append(spec)
                break
        else:
            print(f"{spec}: left out: {said}")
    return found


def trained(plan: bench.Plan, journal: Path, until: float) -> list[dict[str, Any]]:
    """The rows that are there when the time is over."""
    rows = []
    for row in bench.run(plan, journal, lambda text: print(f"\r\x1b[K{text}", end="", flush=True)):
        rows.append(row)
        if time.time() > until:
            break
    print("\r\x1b[K", end="")
    return rows


def ranks(rows: Sequence[bench.Row]) -> str:
    """A line a loss, the best first: its mean rank, then rank, interval and CPU time of a step in each task."""
    tasks = [task for task in dict.fromkeys(row.task for row in rows) if task != "all"]
    of = {(row.task, row.loss): row for row in rows if row.rank is not None}
    mean = {}
    for loss in dict.fromkeys(loss for _, loss in of):
        found = [of[task, loss].rank for task in tasks if (task, loss) in of]
        mean[loss] = len(found), sum(rank or 0.0 for rank in found) / len(found)
    lines = [f"| loss | tasks | mean | {' | '.join(tasks)} |", f"|{'---|' * (len(tasks) + 3)}"]
    for loss, (count, average) in sorted(mean.items(), key=lambda item: (-item[1][0], item[1][1])):
        cells = [_cell(of.get((task, loss))) for task in tasks]
        lines.append(f"| `{loss}` | {count} | {average:.2f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def final_ranks(trained: Sequence[dict[str, Any]]) -> str:
    """A row a task and one for the mean of tasks, a column a loss, the best first: ranks, with intervals."""
    tasks = list(dict.fromkeys(row["task"] for row in trained))
    known = {(row["task"], row["loss"]) for row in trained}
    losses = {row["loss"] for row in trained if all((task, row["loss"]) in known for task in tasks)}
    kept = [row for row in trained if row["loss"] in losses]
    of = {(row.task, row.loss): row for row in bench.table(kept) if row.rank is not None}
    families = [[task for task in tasks if task.partition("/")[0] == name] for name in _names(tasks)]

    def mean(loss: str) -> float:
        """Over the tasks, each the mean of its variants."""
        parts = [[of[task, loss].rank or 0.0 for task in family if (task, loss) in of] for family in families]
        return sum(sum(part) / len(part) for part in parts if part) / sum(map(bool, parts))

    best = sorted(losses, key=mean)
    lines = [f"| task | seeds | {' | '.join(f'`{loss}`' for loss in best)} |", f"|{'---|' * (len(best) + 2)}"]
    lines.append(f"| mean of tasks | | {' | '.join(f'**{mean(loss):.2f}**' for loss in best)} |")
    for task in sorted(tasks, key=lambda task: (_names(tasks).index(task.partition("/")[0]), tasks.index(task))):
        seeds = len({row["seed"] for row in kept if row["task"] == task})
        cells = [_cell(of.get((task, loss))).partition(",")[0] for loss in best]
        lines.append(f"| {task} | {seeds} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _names(tasks: Sequence[str]) -> list[str]:
    """Of tasks, without their variants."""
    return list(dict.fromkeys(task.partition("/")[0] for task in tasks))


def _cell(row: bench.Row | None) -> str:
    if row is None:
        return ""
    return f"{row.rank:.2f} ({row.low:.2f} to {row.high:.2f}), {row.step_ms:.0f} ms"


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--journal", type=Path, required=True)
    arguments.add_argument("--hours", type=float, default=2.0)
    arguments.add_argument("--steps", type=int)
    arguments.add_argument("--final", action="store_true", help="all variants, three seeds, the best of the screening")
    arguments.add_argument("--task", nargs="+", default=BUILT_IN)
    arguments.add_argument("--show", action="store_true", help="what the journal holds, without training")
    arguments.add_argument("specs", nargs="*", default=SPECS)
    given = arguments.parse_args()
    if given.show:
        rows = bench.read(given.journal)
        if given.final:
            print(final_ranks(rows))
            return
        print(f"{ranks(bench.table(rows))}\n\n{markdown(bench.table(rows))}")
        print(f"{sum(row.get('cpu_s', 0.0) for row in rows) / 3600:.1f} core-hours of training, data and judges apart.")
        return
    until = time.time() + 3600 * given.hours
    firsts = [bench.load(name)[0] for name in given.task]
    specs = possible(given.specs, sorted({task.rate for task in firsts}))
    budget = bench.Budget(given.steps)
    rows = trained(bench.Plan(firsts, specs, budget=budget), given.journal, until)
    print(f"Screening, {len(rows)} of {len(firsts) * len(specs)} trainings:\n\n{markdown(bench.table(rows))}")
    if given.final and time.time() < until:
        best = [row.loss for row in bench.table(rows) if row.task == "all"][:BEST]
        every = [task for name in given.task for task in bench.load(name)]
        plan = bench.Plan(every, list(dict.fromkeys([*best, *BASELINES])), (0, 1, 2), budget)
        rows = trained(plan, given.journal, until)
        print(f"Final, {len(rows)} of {len(plan.trials)} trainings:\n\n{markdown(bench.table(rows))}")
    hours = sum(row.get("cpu_s", 0.0) for row in rows) / 3600
    print(f"{hours:.1f} core-hours of training, data and judges apart.")


if __name__ == "__main__":
    main()
