"""Computing on a running Dask cluster (extra `dask`), for batches that take one machine too long.

A job is worked on as in the processes of `batch`; the journal stays with the client. The workers need the same version
of audiosim, and the files under the same paths or URLs.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from math import ceil
from time import monotonic, perf_counter
from typing import Any

from .. import __version__, remote
from ..audio import data_name
from ..errors import InputError, MissingExtra, UsageError
from .workers import Answer, Bench, Crash, Job, Terms

CONNECTING = 10.0  # s that a scheduler has to answer
CHUNK = 2.0  # s of work in a task, beside which sending it costs little
MOST = 1000  # jobs in a task, however quick they are
AHEAD = 2  # tasks in hand for each thread of the workers
COUNTED = 5.0  # s between two looks at how many threads there are


class Dask:
    """A workers.Pool. If a worker is lost, others repeat its tasks; a job that kills several workers is a Crash.

    address: of the scheduler, such as tcp://10.0.0.1:8786. note: is told in a sentence what the user should know.
    """

    def __init__(self, terms: Terms, address: str, note: Callable[[str], None] = lambda _: None) -> None:
        self._terms, self._address, self._note = terms, address, note
        self._job_seconds = CHUNK  # of the jobs lately; at first a group of theirs is a task

    def run(self, take: Callable[[], Sequence[Job] | None]) -> Iterator[tuple[Job, Answer | Crash]]:
        """See batch.Pool. Raises UsageError where there is no scheduler, InputError where it goes away."""
        with self._client() as client:
            from distributed import KilledWorker, as_completed

            tasks: dict[Any, list[Job]] = {}
            done = as_completed(loop=client.loop)

            def submit(jobs: list[Job]) -> None:
                task = client.submit(_work, self._terms, [_anywhere(job) for job in jobs], pure=False)
                tasks[task] = jobs
                done.add(task)

            threads, counted = 0, -COUNTED
            while True:
                if monotonic() - counted > COUNTED:
                    threads, counted = sum(client.nthreads().values()), monotonic()
                    if not threads:
                        self._say_once(f"the Dask scheduler {self._address} has no workers: waiting for some")
                while len(tasks) < AHEAD * max(threads, 1) and (jobs := self._taken(take)):
                    submit(jobs)
                if not tasks:
                    return
                task = next(done)
                jobs = tasks.pop(task)
                try:
                    seconds, answers = self._result(task)
                except KilledWorker as killed:
                    if len(jobs) == 1:
                        yield (
                            jobs[0],
                            Crash(f"the Dask workers that computed it were lost{_last(killed)}"),
                        )
                    else:
                        for job in jobs:  # to find the guilty one
                            submit([job])
                    continue
                self._job_seconds = seconds / len(jobs)
                for job, answer in zip(jobs, answers, strict=True):
                    names = {"reference": data_name(job.pair.reference), "test": data_name(job.pair.test)}
                    yield job, [{**row, **names} for row in answer]

    def close(self) -> None:
        """Nothing is left to end: the workers are the cluster's."""

    @contextmanager
    def _client(self) -> Iterator[Any]:
        import logging

        try:
            import distributed
        except ImportError:
            raise MissingExtra("--dask needs distributed: pip install 'audiosim[dask]'") from None
        logger = logging.getLogger("distributed")
        before = logger.level
        logger.setLevel(logging.CRITICAL)  # what it has to say is said here
        try:
            try:
                client: Any = distributed.Client(self._address, timeout=CONNECTING, set_as_default=False)
            except (OSError, TimeoutError, ValueError, ImportError) as broken:
                raise UsageError(f"--dask {self._address}: no scheduler answers there ({_reason(broken)})") from None
            gone = distributed.comm.CommClosedError, distributed.CancelledError
            try:
                yield client
            except gone:
                raise InputError(
                    f"--dask {self._address}: the scheduler went away; the same command resumes there"
                ) from None
            finally:
                client.close(timeout=CONNECTING)
        finally:
            logger.setLevel(before)

    def _taken(self, take: Callable[[], Sequence[Job] | None]) -> list[Job]:
        """Jobs for CHUNK seconds, as far as there are."""
        jobs: list[Job] = []
        wanted = min(ceil(CHUNK / max(self._job_seconds, 1e-9)), MOST)
        while len(jobs) < wanted and (group := take()):
            jobs += group
        return jobs

    def _result(self, task: Any) -> tuple[float, list[Answer]]:
        try:
            version, seconds, answers = task.result()
        except ModuleNotFoundError as missing:
            raise UsageError(
                f"--dask {self._address}: the workers have no {missing.name}; install audiosim {__version__} there"
            ) from None
        if version != __version__:
            raise UsageError(
                f"--dask {self._address}: the workers have audiosim {version}, this is {__version__}; install the same"
            )
        return seconds, answers

    def _say_once(self, sentence: str) -> None:
        self._note(sentence)
        self._note = lambda _: None


def _anywhere(job: Job) -> Job:
    """The job with paths that do not depend on the directory it was given in."""
    pair = job.pair

    def absolute(path: str) -> str:
        return path if remote.is_url(path) else os.path.abspath(path)  # noqa: PTH100  no link is followed

    others = tuple((absolute(ref), absolute(test)) for ref, test in pair.others)
    reference, test = absolute(pair.reference), absolute(pair.test)
    return replace(job, pair=replace(pair, reference=reference, test=test, others=others))


def _work(terms: Terms, jobs: Sequence[Job]) -> tuple[str, float, list[Answer]]:
    """On a worker: (version, seconds it took, the rows of each job)."""
    begun = perf_counter()
    bench = Bench(terms)
    try:
        answers = [bench.work(job, after) for job, after in zip(jobs, [*jobs[1:], None], strict=True)]
    finally:
        bench.close()
    return __version__, perf_counter() - begun, answers


def _reason(broken: BaseException) -> str:
    """What the system says of a connection that failed, else what distributed says."""
    cause: BaseException | None = broken
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror
        cause = cause.__cause__ or cause.__context__
    return " ".join(str(broken).split())


def _last(killed: Any) -> str:
    where = getattr(killed.last_worker, "address", None)
    return f", the last one at {where}" if where else ""
