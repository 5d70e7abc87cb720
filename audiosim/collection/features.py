"""Features of recordings: what metrics that need no alignment compare of each, computed once and kept in a journal."""

from __future__ import annotations

import hashlib
import json
from base64 import b64decode, b64encode
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import audio, metrics
from ..batch.journal import Content, Entry, Journal
from ..batch.workers import Crash, Processes, load, unchanged
from ..errors import InputError, MissingExtra, UsageError
from ..judge.rows import Row
from ..match import Policy

if TYPE_CHECKING:
    from concurrent.futures import Future

    from ..signal import Signal

Array = NDArray[Any]


@dataclass(frozen=True, kw_only=True)
class Terms:
    """What is computed of every recording. specs: metrics that have features; metric_files: as in batch."""

    specs: tuple[str, ...]
    policy: Policy
    metric_files: tuple[str, ...] = ()

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The first line of the journal holds them."""
        return {"kind": "features", **self.policy.reading}

    def key(self, spec: str, digest: str) -> str:
        """A hash of all that a feature depends on: file, metric, its version and options."""
        whole = f"{digest}\0{self._asked[spec]}"
        return hashlib.blake2b(whole.encode(), digest_size=16).hexdigest()

    def bench(self) -> Bench:
        """What a worker computes with."""
        return Bench(self)

    @cached_property
    def _asked(self) -> dict[str, str]:
        found = {}
        for spec in self.specs:
            parsed = metrics.parse(spec)
            options = {o.name: o.default for o in metrics.options(parsed.name).values()} | dict(parsed.options)
            found[spec] = json.dumps([parsed.name, metrics.get(parsed.name).version, options])
        return found


class Store(Journal):
    """A journal of features: a row a recording and metric."""

    option = "--journal"
    advice: ClassVar[Mapping[str, str]] = {"url": "", "nothing": "", "settings": ""}

    def _note(self, row: Row, offset: int, again: bool = True) -> None:
        try:
            key = (row["file"], row["spec"])
            self._stale += again and key in self.entries
            self.entries[key] = Entry(offset, row["status"] != "error", row["key"], 0, False)
            if row["content"] is not None:
                self.contents[row["file"]] = Content(*row["content"])
        except (KeyError, TypeError):
            raise InputError(
                f"{self.name}: holds a line that is not a feature (byte {offset}); give another file with {self.option}"
            ) from None


class Job(NamedTuple):
    """Features to compute of one recording."""

    path: str
    specs: tuple[str, ...]


class Bench:
    """Computes the jobs of a worker, while the next recording is decoded."""

    def __init__(self, terms: Terms) -> None:
        from concurrent.futures import ThreadPoolExecutor

        for file in terms.metric_files:
            metrics.add_file(file)
        self.terms = terms
        self._decoder = ThreadPoolExecutor(1, "decode")
        self._decoded: dict[str, Future[tuple[Signal, Content]]] = {}

    def work(self, job: Job, following: Job | None = None) -> list[dict[str, Any]]:
        """A row for each metric of the job. Raises UsageError only."""
        own = self._decoding(job.path)
        self._decoded = {} if following is None else {following.path: self._decoding(following.path)}
        try:
            signal, content = own.result()
            return [self._row(job.path, spec, signal, content) for spec in job.specs]
        except (InputError, MissingExtra) as problem:
            return failed(job, str(problem))
        except MemoryError:
            return failed(job, f"{audio.display_name(job.path)}: out of memory")
        except UsageError:
            raise
        except Exception as bug:  # noqa: BLE001  one recording must not take the others down with it
            name = audio.display_name(job.path)
            return failed(job, f"{name}: internal error: {type(bug).__name__}: {bug}; please report it")

    def _decoding(self, path: str) -> Future[tuple[Signal, Content]]:
        return self._decoded.get(path) or self._decoder.submit(load, path, self.terms.policy)

    def _row(self, path: str, spec: str, signal: Signal, content: Content) -> dict[str, Any]:
        parsed = metrics.parse(spec)
        feature, reason = None, None
        try:
            vector = metrics.get(parsed.name).feature(signal, **parsed.options)
            if not np.isfinite(vector).all():
                raise InputError(f"{signal.name} has no feature of {spec}: it is not finite")
            feature = b64encode(np.ascontiguousarray(vector, "<f8").tobytes()).decode("ascii")
        except InputError as nothing:
            reason = str(nothing)
        status = "ok" if feature is not None else "undefined"
        key = self.terms.key(spec, content.digest)
        return {**_about(path, spec, status, reason), "key": key, "content": list(content), "feature": feature}


def failed(job: Job, reason: str) -> list[dict[str, Any]]:
    """Rows that say why there is nothing; they are tried again."""
    bare = {"key": "", "content": None, "feature": None}
    return [{**_about(job.path, spec, "error", reason), **bare} for spec in job.specs]


def outstanding(paths: Sequence[str], terms: Terms, store: Store) -> list[Job]:
    """What is left to compute: features that are missing, failed, or of other files, options or versions."""
    jobs = []
    for path in paths:
        name = audio.data_name(path)
        entries = [store.entries.get((name, spec)) for spec in terms.specs]
        content = unchanged(path, store.contents.get(name)) if any(entries) else None
        missing = [
            spec
            for spec, entry in zip(terms.specs, entries, strict=True)
            if entry is None or not entry.answered or content is None or entry.key != terms.key(spec, content.digest)
        ]
        if missing:
            jobs.append(Job(path, tuple(missing)))
    return jobs


def run(jobs: Sequence[Job], store: Store, pool: Processes) -> Iterator[list[Row]]:
    """Do the jobs, write their rows into the store, and yield those of each job as they come."""
    store.drop((audio.data_name(job.path), spec) for job in jobs for spec in job.specs)
    queue = deque(jobs)

    def take() -> Any:
        return [queue.popleft()] if queue else None

    for job, answer in pool.run(take):
        rows = failed(job, f"{audio.display_name(job.path)}: {answer.reason}") if isinstance(answer, Crash) else answer
        for row in rows:
            store.write(row)
        yield [*rows]


@dataclass(frozen=True)
class Vectors:
    """Of one metric. names: recordings that have a feature, in the order that was asked for; rows: their features
    [recording, value]. without: the others, and why. broken: those of them that could not be read."""

    names: list[str]
    rows: Array
    without: Mapping[str, str]
    broken: frozenset[str]


def vectors(paths: Sequence[str], spec: str, store: Store) -> Vectors:
    """What the store holds of these recordings."""
    found: list[Array] = []
    names, without, broken = [], {}, set()
    for path, row in zip(paths, store.rows((audio.data_name(path), spec) for path in paths), strict=True):
        if row["feature"] is None:
            without[path] = row["reason"]
            if row["status"] == "error":
                broken.add(path)
        else:
            names.append(path)
            found.append(np.frombuffer(b64decode(row["feature"]), "<f8"))
    return Vectors(names, np.array(found) if found else np.empty((0, 0)), without, frozenset(broken))


def _about(path: str, spec: str, status: str, reason: str | None) -> dict[str, Any]:
    return {"file": audio.data_name(path), "spec": spec, "status": status, "reason": reason}
