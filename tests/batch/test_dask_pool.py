"""A batch on a real Dask cluster: a scheduler and two workers on this machine, one of which is killed."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from audiosim import audio
from audiosim.batch import dask_pool, workers
from audiosim.batch.dask_pool import Dask
from audiosim.batch.journal import Journal
from audiosim.batch.pairing import Pair
from audiosim.batch.workers import Terms, outstanding, run
from audiosim.errors import InputError, MissingExtra, UsageError
from audiosim.match import Policy
from audiosim.signal import Signal
from audiosim.testing.signals import noise
from tests.conftest import PACKAGE

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals")

RATE = 8000
PATIENCE = 120.0  # s for anything that a busy machine may be slow at
TERMS = Terms(specs=("snr", "mse"), policy=Policy())


class Fatal(float):
    """A start that kills whoever computes with it."""

    def __mul__(self, other: object) -> Any:
        ctypes.string_at(0)


class Cluster:
    """A scheduler and workers as processes of their own, all ended at the end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.processes: list[subprocess.Popen[bytes]] = []
        self.address = ""
        self.failures = 3

    def start(self, failures: int = 3) -> None:
        """The scheduler. failures: so many workers a task may lose before it is given up."""
        self.failures = failures
        self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard", "--scheduler-file", "at")

    def _start(self, program: str, *arguments: str) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), str(PACKAGE.parent / "tests")]),
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(self.failures),
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "30s",
        }
        code = f"import sys; sys.argv[0] = {program!r}; from distributed.cli.{program} import main; main()"
        with (self.folder / f"{program}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-c", code, *arguments], cwd=self.folder, env=environment, stdout=log, stderr=log
            )
        self.processes.append(process)
        return process

    def worker(self, *arguments: str) -> subprocess.Popen[bytes]:
        return self._start(
            "dask_worker",
            *(
                "--scheduler-file",
                "at",
                "--host",
                "127.0.0.1",
                "--nthreads",
                "1",
                "--no-dashboard",
                "--memory-limit",
                "0",
            ),
            *arguments,
        )

    def wait(self, workers: int) -> None:
        """Until the scheduler listens and knows so many workers."""
        from distributed import Client

        until = time.monotonic() + PATIENCE
        at = self.folder / "at"
        while not (at.exists() and at.read_text()):  # it is there before it is written
            assert time.monotonic() < until
            time.sleep(0.02)
        self.address = json.loads(at.read_text())["address"]
        if workers:
            with Client(self.address, set_as_default=False, timeout=PATIENCE) as client:
                client.wait_for_workers(workers, timeout=PATIENCE)

    def end(self) -> None:
        for process in reversed(self.processes):
            process.kill()
        for process in self.processes:
            process.wait(PATIENCE)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    try:
        yield cluster
    finally:
        cluster.end()


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], list[Pair]]:
    """Pairs with paths from the working directory, which is none of the workers'."""
    folder = tmp_path / "sounds"
    folder.mkdir()
    monkeypatch.chdir(folder)

    def make(count: int) -> list[Pair]:
        for i in range(count):
            x = noise(RATE, 0.05, seed=i)
            audio.save(f"r{i}.wav", Signal.of(x, RATE))
            audio.save(f"t{i}.wav", Signal.of(x + 0.01 * noise(RATE, 0.05, seed=99), RATE))
        return [Pair(reference=f"r{i}.wav", test=f"t{i}.wav", id=f"t{i}") for i in range(count)]

    return make


@contextmanager
def _bounded() -> Iterator[None]:
    """An end to what would wait for ever."""
    alarm = threading.Timer(PATIENCE, os.kill, (os.getpid(), signal.SIGINT))
    alarm.start()
    try:
        yield
    finally:
        alarm.cancel()


def test_a_worker_that_is_killed_costs_no_row(
    cluster: Cluster, pairs: Callable[[int], list[Pair]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_pool, "CHUNK", 0.05)  # many tasks
    cluster.start()
    todo = pairs(60)
    victim = cluster.worker("--no-nanny")
    cluster.worker("--no-nanny")
    cluster.wait(2)
    seen = 0
    with _bounded(), Journal(tmp_path / "run.jsonl", TERMS.settings) as journal:
        for rows in run(outstanding(todo, TERMS, journal), TERMS, journal, Dask(TERMS, cluster.address)):
            seen += 1
            assert len(rows) == 2
            if seen == 10:
                victim.kill()
        rows = list(journal.rows())
        assert outstanding(todo, TERMS, journal) == []
    assert victim.wait(PATIENCE) == -signal.SIGKILL
    assert seen == 60
    assert sorted((r["id"], r["spec"]) for r in rows) == sorted((p.id, s) for p in todo for s in TERMS.specs)
    assert len((tmp_path / "run.jsonl").read_text().splitlines()) == 1 + len(rows), "no row is written twice"
    with Journal(tmp_path / "here.jsonl", TERMS.settings) as journal:
        with closing(workers.Processes(TERMS, 1)) as pool:
            list(run(outstanding(todo, TERMS, journal), TERMS, journal, pool))
        here = {(r["id"], r["spec"]): r for r in journal.rows()}
    assert all(row == here[row["id"], row["spec"]] for row in rows), "the rows are those of this machine"


def test_a_job_that_kills_workers_is_told_from_its_neighbours(
    cluster: Cluster, pairs: Callable[[int], list[Pair]], tmp_path: Path
) -> None:
    terms = replace(TERMS, specs=("mse",))
    good, bad = pairs(2)
    same = replace(bad, reference=good.reference, start=Fatal(0.01))  # in one task with the good one
    cluster.start(failures=0)
    cluster.worker("--nanny")
    cluster.wait(1)
    with _bounded(), Journal(tmp_path / "run.jsonl", terms.settings) as journal:
        list(run(outstanding([good, same], terms, journal), terms, journal, Dask(terms, cluster.address)))
        rows = {r["id"]: r for r in journal.rows()}
    assert rows["t0"]["status"] == "ok"
    assert (rows["t1"]["status"], rows["t1"]["fault"]) == ("error", "metric")
    assert rows["t1"]["reason"].startswith("the Dask workers that computed it were lost")


def test_what_a_worker_cannot_read_is_a_row(
    cluster: Cluster, pairs: Callable[[int], list[Pair]], tmp_path: Path
) -> None:
    cluster.start()
    todo = pairs(2)
    Path("t1.wav").write_text("no sound")
    said: list[str] = []
    with _bounded(), Journal(tmp_path / "run.jsonl", TERMS.settings) as journal:
        cluster.wait(0)

        def note(sentence: str) -> None:
            said.append(sentence)
            cluster.worker("--no-nanny")  # it comes when the batch waits already

        list(run(outstanding(todo, TERMS, journal), TERMS, journal, Dask(TERMS, cluster.address, note)))
        rows = list(journal.rows())
    assert [(r["id"], r["fault"]) for r in rows if r["fault"]] == [("t1", "input")] * 2
    assert len(rows) == 4
    assert len(said) == 1
    assert "has no workers: waiting" in said[0]


def test_a_scheduler_that_goes_away_leaves_a_journal_to_go_on_from(
    cluster: Cluster, pairs: Callable[[int], list[Pair]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dask_pool, "CHUNK", 0.05)
    cluster.start()
    todo = pairs(60)
    cluster.worker("--no-nanny")
    cluster.wait(1)
    with _bounded(), Journal(tmp_path / "run.jsonl", TERMS.settings) as journal:
        answers = run(outstanding(todo, TERMS, journal), TERMS, journal, Dask(TERMS, cluster.address))
        next(answers)
        cluster.processes[0].kill()
        with pytest.raises(InputError, match="the scheduler went away; the same command resumes there"):
            list(answers)
        assert 0 < len(outstanding(todo, TERMS, journal)) < 60


def test_no_scheduler_is_said_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_pool, "CONNECTING", 1.0)
    for address, reason in (("tcp://127.0.0.1:9", "(Connection refused|Timed out)"), ("nonsense://x", "nonsense")):
        with pytest.raises(UsageError, match=rf"no scheduler answers there \(.*{reason}.*\)") as refused:
            list(Dask(TERMS, address).run(lambda: None))
        assert str(refused.value).isprintable()
        assert address in str(refused.value)


def test_without_distributed_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtra, match=r"pip install 'audiosim\[dask\]'"):
        list(Dask(TERMS, "tcp://127.0.0.1:9").run(lambda: None))
