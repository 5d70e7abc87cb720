"""The bench of losses: tasks keep their protocol, trials repeat and resume, ranks are what they say."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from audiosim import bench  # noqa: E402
from audiosim.bench import judges, trial  # noqa: E402
from audiosim.bench.ranking import _fractions  # noqa: E402
from audiosim.bench.task import BUILT_IN  # noqa: E402
from audiosim.cli.app import TASKS, command  # noqa: E402
from audiosim.errors import UsageError  # noqa: E402
from audiosim.loss import parse  # noqa: E402

RATE = 16000
OWN = """
import torch
RATE = 16000

class Gain(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.gain = torch.nn.Parameter(torch.tensor(0.2))
    def forward(self, x):
        return self.gain * x

def network():
    return Gain()

def batch(rng):
    x = torch.tensor(rng.uniform(-0.5, 0.5, (2, 8000)), dtype=torch.float32)
    return x, 0.5 * x

def held_out(split):
    generator = torch.Generator().manual_seed(len(split))
    x = torch.rand(1, 16000, generator=generator) - 0.5
    return [(x, 0.5 * x)]
"""


@pytest.fixture
def own(tmp_path: Path) -> str:
    path = tmp_path / "gain.py"
    path.write_text(OWN)
    return str(path)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges that cost nothing."""

    def judged(ref: Any, test: Any, *_: Any) -> dict[str, float]:
        return {"ESR": float(np.mean((test - ref) ** 2))}

    monkeypatch.setattr(trial, "judged", judged)


def test_completion_knows_the_tasks() -> None:
    assert TASKS == BUILT_IN


@pytest.mark.parametrize("name", ["amplifier/gru-late", "denoiser/room", "vocoder/harmonics", "synthesiser/fm"])
def test_a_task_is_seeded_and_its_network_small_enough(name: str) -> None:
    (task,) = bench.load(name)
    x, y = task.batch(np.random.default_rng(1))
    again = task.batch(np.random.default_rng(1))
    assert torch.equal(x, again[0])
    assert torch.equal(y, again[1])
    network = task.network()
    assert network(x).shape == y.shape
    assert sum(p.numel() for p in network.parameters()) < 100_000
    assert float(y.abs().max()) <= 1
    network(x).square().mean().backward()
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in network.parameters())


def test_the_capture_is_late() -> None:
    (late,), (prompt,) = bench.load("amplifier/gru-late"), bench.load("amplifier/gru")
    (_, y), (_, on_time) = late.held_out("test")[0], prompt.held_out("test")[0]
    assert torch.equal(y[:, 48:], on_time[:, :-48])


def test_an_own_task_trains_and_is_not_trained_twice(own: str, quick: None, tmp_path: Path) -> None:
    plan = bench.Plan(bench.load(own), ["mse", "mr-stft"], (0, 1), bench.Budget(30), (3e-2, 1e-4))
    journal = tmp_path / "run.jsonl"
    said: list[str] = []
    rows = list(bench.run(plan, journal, said.append))
    assert said[0] == "1 of 4: gain, mse, seed 0"
    assert rows[0]["rate"] == 3e-2  # validation has seen that the other one is too low
    assert rows[0]["items"][0]["ESR"] < 0.3**2 / 12 / 10  # the gain was off by 0.3 in the beginning
    lines = journal.read_text()
    assert list(bench.run(plan, journal)) == rows
    assert journal.read_text() == lines
    assert [r["items"] for r in bench.run(plan)] == [r["items"] for r in rows]  # the same without a journal
    Path(own).write_text(OWN.replace("0.2", "0.3"))
    list(bench.run(bench.Plan(bench.load(own), ["mse"], (0,), bench.Budget(30), (3e-2, 1e-4)), journal))
    assert len(journal.read_text()) > len(lines)  # another task of the same name


def test_an_interrupted_training_goes_on_where_it_was(
    own: str, quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trial, "EVERY", 0.0)
    (task,) = bench.load(own)
    plan = bench.Plan([task], ["mse"], budget=bench.Budget(30), rates=(1e-2,))
    whole = list(bench.run(plan))
    batches = 0

    def failing(rng: Any) -> Any:
        nonlocal batches
        batches += 1
        if batches == 17:
            raise KeyboardInterrupt
        return task.batch(rng)

    broken = bench.Task(name=task.name, rate=RATE, network=task.network, batch=failing, held_out=task.held_out)
    journal = tmp_path / "run.jsonl"
    with pytest.raises(KeyboardInterrupt):
        list(bench.run(bench.Plan([broken], ["mse"], budget=bench.Budget(30), rates=(1e-2,)), journal))
    resumed = list(bench.run(bench.Plan([broken], ["mse"], budget=bench.Budget(30), rates=(1e-2,)), journal))
    assert batches == 17 + 10 + 30 - 16  # ten steps for the learning rate are not done again
    assert resumed[0]["items"] == whole[0]["items"]


def test_a_loss_that_cannot_do_a_task_has_a_reason(own: str, quick: None) -> None:
    plan = bench.Plan(bench.load(own), ["mse", "zimtohrli"], budget=bench.Budget(2), rates=(1e-3,))
    rows = list(bench.run(plan))
    cannot = next(row for row in bench.table(rows) if row.loss == "zimtohrli")
    assert cannot.rank is None
    assert "48000 Hz" in (cannot.reason or "")


def test_ranks_are_fractions_and_shared() -> None:
    judge = next(j for j in judges.JUDGES if j.name == "ODG")
    assert _fractions([-1.0, -3.0, -2.0], judge).tolist() == [0.0, 1.0, 0.5]
    assert _fractions([-1.0, -1.0, None], judge).tolist() == [0.25, 0.25, 1.0]
    assert np.isnan(_fractions([1.0], judge)).all()


def test_no_judge_knows_the_loss() -> None:
    def known(loss: str) -> set[str]:
        terms = [spec for _, spec in parse(loss)]
        return {j.name for j in judges.JUDGES if not j.judges(terms)}

    assert known("mr-stft + 0.1*esr") == {"ESR"}
    assert known("auditory") == {"added", "missing"}
    assert known("nmr") == {"ODG", "two-f"}
    assert known("mr-stft") == set()


def test_the_table_has_the_best_loss_first() -> None:
    def row(task: str, loss: str, seed: int, *values: float) -> dict[str, Any]:
        items = [{"ODG": v, "delay ms": -v} for v in values]
        costs = {"rate": 1e-3, "step_ms": 20.0, "trained_steps": 10, "cpu_s": 1.0, "reason": None}
        return {"task": task, "loss": loss, "seed": seed, "items": items, **costs}

    rows = [row("a", "mse", s, -2, -2) for s in (0, 1)] + [row("a", "log-mel", s, -1, -3 + 2 * s) for s in (0, 1)]
    rows += [row("b", "mse", 0, -2), row("b", "log-mel", 0, -1)]
    first, second, *_, best, _ = bench.table(rows)
    assert (first.loss, first.rank) == ("log-mel", 0.25)
    assert second.rank == 0.75
    assert first.low is not None
    assert first.low <= 0.25 <= (first.high or 0)
    assert (best.task, best.loss, best.rank) == ("all", "log-mel", 0.125)


def test_steps_are_those_of_the_task_unless_a_budget_says(own: str) -> None:
    Path(own).write_text(OWN + "\nSTEPS = 70\n")
    (task,) = bench.load(own)
    assert [bench.Budget().of(task), bench.Budget(5).of(task), bench.Budget(seconds=2).of(task, 0.1)] == [70, 5, 20]


def test_errors_of_spectrum_and_delay() -> None:
    x = np.random.default_rng(1).standard_normal(RATE)
    assert judges.spectrum_error(x, x, RATE) == 0
    assert judges.spectrum_error(x, 0.5 * x, RATE) == pytest.approx(6.02, abs=0.01)
    assert judges.delay_error(x, np.roll(x, 32), RATE) == pytest.approx(2.0, abs=0.01)
    assert judges.delay_error(x, np.zeros(RATE), RATE) == 50.0


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--loss", "mse", "--task", "piano"], "there is no task 'piano'"),
        (["--loss", "mse", "--task", "amplifier/tube"], "amplifier has no variant 'tube'"),
        (["--loss", "mse", "--task", "nowhere.py"], "nowhere.py"),
        (["--task", "denoiser"], "give a --loss"),
        (["--loss", "lufs", "--task", "denoiser"], "lufs"),
        (["--loss", "mse", "--steps", "0"], "--steps must be"),
        (["--loss", "mse", "--cpu", "-1"], "--cpu must be"),
    ],
)
def test_bad_arguments_are_said_in_one_line(flags: list[str], says: str) -> None:
    with pytest.raises(UsageError) as error:
        command().main(["bench", *flags], standalone_mode=False)
    assert says in str(error.value)
    assert "\n" not in str(error.value)


def test_a_file_that_is_no_task_is_told(tmp_path: Path) -> None:
    lacking, broken = tmp_path / "lacking.py", tmp_path / "broken.py"
    lacking.write_text("RATE = 16000\n")
    broken.write_text("1 / 0\n")
    with pytest.raises(UsageError, match="lacks network, batch, held_out"):
        bench.load(str(lacking))
    with pytest.raises(UsageError, match="ZeroDivisionError"):
        bench.load(str(broken))


def test_a_journal_of_something_else_is_left_alone(own: str, quick: None, tmp_path: Path) -> None:
    journal = tmp_path / "run.jsonl"
    journal.write_text(json.dumps({"spec": "mse"}) + "\n")
    plan = bench.Plan(bench.load(own), ["mse"], budget=bench.Budget(2))
    with pytest.raises(UsageError, match="no journal of audiosim bench"):
        list(bench.run(plan, journal))


def test_the_command_prints_a_table(own: str, quick: None, capsys: pytest.CaptureFixture[str]) -> None:
    flags = ["--task", own, "--loss", "mse", "--loss", "mr-stft", "--steps", "3", "--learning-rate", "1e-3"]
    command().main(["bench", *flags, "--json", "-q"], standalone_mode=False)
    rows = json.loads(capsys.readouterr().out)
    assert {row["loss"] for row in rows} == {"mse", "mr-stft"}
    journal = str(Path(own).with_name("run.jsonl"))
    command().main(["bench", *flags, "--journal", journal, "--format", "markdown", "-q"], standalone_mode=False)
    shown = capsys.readouterr().out
    command().main(["bench", "--journal", journal, "--format", "markdown", "-q"], standalone_mode=False)
    assert capsys.readouterr().out == shown  # of what the journal holds
    with pytest.raises(UsageError, match="no journal"):
        bench.read(Path(own).with_name("none.jsonl"))
    command().main(["bench", *flags, "--format", "markdown", "-q"], standalone_mode=False)
    assert capsys.readouterr().out.startswith("**gain**\n\n| loss | rank | 95 % | rate | steps | ms/step | ESR |\n")
