"""From pairs to rows: what is left to compute, and the processes that compute it. A pair that fails gets a row too."""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext, suppress
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, Protocol

from .. import audio, metrics, remote
from ..comparison import Backend, compare_signals
from ..errors import AudiosimError, ExitCode, InputError, MetricError, MissingExtra, UsageError
from ..judge import gates
from ..judge.assembly import pair_row
from ..judge.rows import VERDICT, Row, flat
from ..judge.verdict import RULE_VERSION, verdict
from ..match import Policy
from ..result import failed
from .journal import Content, Journal, Slot, carried, slot
from .pairing import Pair

if TYPE_CHECKING:
    from concurrent.futures import Future
    from multiprocessing.connection import Connection
    from multiprocessing.process import BaseProcess

    from ..comparison import Comparison, Detail
    from ..diagnosis import Diagnosis
    from ..result import Result
    from ..signal import Signal

LATER = ("damaged", "raw", "full_scale", "unfamiliar")  # policies that journals of 0.1 do not name
AHEAD = 2  # jobs that a worker has in hand: one that it computes, one that it decodes meanwhile
GROUP = 8  # jobs on one reference that go to one worker in a row, which decodes and analyses it once
HASHED = 1 << 20  # bytes of a file that are hashed at a time


@dataclass(frozen=True, kw_only=True)
class Terms:
    """The settings of a batch, equal for every pair.

    specs: the metrics; require: gates on each pair, or on all of them. bands, bins, times: what each row holds besides
    the value. diagnose: whether it says what happened to the sound.
    """

    specs: tuple[str, ...]
    policy: Policy
    require: tuple[str, ...] = ()
    bands: bool = False
    bins: bool = False
    times: bool = False
    backend: Backend = "numba"
    diagnose: bool = False
    metric_files: tuple[str, ...] = ()  # absolute paths, whose code the workers run

    @cached_property
    def settings(self) -> dict[str, Any]:
        """The settings that values depend on; all rows of a journal have the same."""
        policy, default = asdict(self.policy), asdict(Policy())
        return {k: v for k, v in policy.items() if k not in LATER or v != default[k]} | {"backend": self.backend}

    @property
    def detail(self) -> Detail:
        return "profile" if self.bands or self.bins or self.times else "value"

    def gates_of(self, pair: Pair) -> list[gates.Gate]:
        """The gates on the pair itself."""
        own = [gates.parse(text) for text in pair.require if text not in self.require]
        return [*(gate for gate in self._gates if gate.pooled is None), *own]

    @property
    def gates_over_all(self) -> list[gates.Gate]:
        return [gate for gate in self._gates if gate.pooled is not None]

    def specs_of(self, pair: Pair) -> list[str]:
        """The metrics to compute for the pair, including those of its gates."""
        if not (pair.metrics or pair.require):
            return self._specs
        return list(dict.fromkeys([*(pair.metrics or self.specs), *_gated(self.gates_of(pair))]))

    def judges(self, pair: Pair, specs: Sequence[str]) -> bool:
        """Whether rows of these metrics hold the verdict on the pair: a gate asks for it, and the row of its first
        metric has it."""
        asked = any(gate.spec == VERDICT for gate in self.gates_of(pair))
        return asked and self.specs_of(pair)[0] in specs

    def required(self, pair: Pair, specs: Sequence[str]) -> list[gates.Gate]:
        """The gates that rows of these metrics answer."""
        judges = self.judges(pair, specs)
        return [g for g in self.gates_of(pair) if g.spec in specs or (judges and g.spec == VERDICT)]

    def slots(self, pair: Pair) -> list[Slot]:
        """The slots of the rows that the pair has when it is done."""
        about = (pair.id, pair.system, *_names(pair), pair.start, pair.duration)
        return [(*about, spec) for spec in self.specs_of(pair)]

    def bench(self) -> Bench:
        """What a worker computes with."""
        return Bench(self)

    def takes_sources(self, spec: str) -> bool:
        """Whether its values depend on the other sources of a mixture."""
        return metrics.get(metrics.parse(spec).name).card.sources is not None

    def key(self, pair: Pair, spec: str, ref: str, test: str, others: Sequence[str] = ()) -> str:
        """A hash of all that a value depends on: files (their digests), metric, options, policy, version.

        others: digests of the other sources of the mixture and of their tests.
        """
        bands = "".join(f"{g.text}\0" for g in self.gates_of(pair) if g.band is not None and g.spec == spec)
        whole = f"{ref}\0{test}\0{self.asked(spec)}\0{bands}{pair.start}\0{pair.duration}"
        whole += "\0diagnosed" * self.diagnose + f"\0verdict {RULE_VERSION}" * self.judges(pair, [spec])
        if others and self.takes_sources(spec):
            whole += "\0beside\0" + "\0".join(others)
        return hashlib.blake2b(whole.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()

    @cached_property
    def _gates(self) -> list[gates.Gate]:
        return [gates.parse(text, batch=True) for text in dict.fromkeys(self.require)]

    @cached_property
    def _specs(self) -> list[str]:
        return list(dict.fromkeys([*self.specs, *_gated(self._gates)]))

    @cached_property
    def _by_spec(self) -> dict[str, str]:
        return {}

    def asked(self, spec: str) -> str:
        """The metric, version, options and settings that this spec stands for, and the models that it hears by, as
        JSON."""
        if spec not in self._by_spec:
            parsed = metrics.parse(spec, self.policy.listener)
            options = {o.name: o.default for o in metrics.options(parsed.name).values()} | dict(parsed.options)
            detail = [self.bands, self.bins, self.times]
            metric = metrics.get(parsed.name)
            told = [parsed.name, metric.version, options, self.settings, detail]
            self._by_spec[spec] = json.dumps(told + metric.beside(parsed.options))
        return self._by_spec[spec]


@dataclass(frozen=True, slots=True)
class Job:
    """Metrics to compute for a pair. where: only to find the second at which each is worst; its value is known."""

    pair: Pair
    specs: tuple[str, ...]
    where: bool = False


Answer = list[dict[str, Any]]  # a row for each spec of a job


@dataclass(frozen=True, slots=True)
class Crash:
    """A worker died while it computed a job."""

    reason: str


class Pool(Protocol):
    """Workers. run: hand out the jobs that `take` returns until it returns None, and yield results in any order; the
    workers stay for the next run, until `close`."""

    def run(self, take: Callable[[], Sequence[Job] | None]) -> Iterator[tuple[Job, Answer | Crash]]: ...

    def close(self) -> None: ...


def outstanding(pairs: Iterable[Pair], terms: Terms, journal: Journal) -> list[Job]:
    """What is left to compute: rows that are missing, failed, or of other files, options or versions.

    Where only what the manifest says of a pair has changed, its rows are written again without being computed.
    """
    contents: dict[str, Content | None] = {}

    def content(path: str) -> Content | None:
        if path not in contents:
            contents[path] = unchanged(path, journal.contents.get(path))
        return contents[path]

    jobs, retold = [], []
    for pair in pairs:
        missing = []
        manifest = carried(pair.group, pair.rating, pair.higher_is_better, pair.columns)
        for spec, place in zip(terms.specs_of(pair), terms.slots(pair), strict=True):
            terms.asked(spec)  # here, and not by workers on machines where the files of models may be others
            entry = journal.entries.get(place)
            if entry is None or not entry.answered:
                missing.append(spec)
                continue
            ref, test, *others = (content(path) for path in _files(pair, terms.takes_sources(spec)))
            if ref is None or test is None or None in others:
                missing.append(spec)
                continue
            if terms.key(pair, spec, ref.digest, test.digest, [c.digest for c in others if c]) != entry.key:
                missing.append(spec)
            elif entry.carried != manifest:
                retold.append({**journal.row(place), **_said(pair)})
        if missing:
            jobs.append(Job(pair, tuple(missing)))
    journal.replace(retold)
    return jobs


def run(jobs: Iterable[Job], terms: Terms, journal: Journal, pool: Pool) -> Iterator[list[Row]]:
    """Do the jobs, write their rows into the journal, and yield those of each job as they come.

    A job that kills its worker is tried again metric by metric, so that only the one at fault has no value.
    """
    jobs = list(jobs)
    journal.drop(
        place
        for job in jobs
        if not job.where
        for spec, place in zip(terms.specs_of(job.pair), terms.slots(job.pair), strict=True)
        if spec in job.specs
    )
    queue = deque(_grouped(jobs))
    placed: list[Row] = []  # rows that now tell the worst second: they replace those without it, all at once

    def take() -> Sequence[Job] | None:
        return queue.popleft() if queue else None

    for job, answer in pool.run(take):
        if isinstance(answer, Crash):
            if len(job.specs) > 1:
                queue.extendleft([Job(job.pair, (spec,), job.where)] for spec in reversed(job.specs))
                continue
            answer = [] if job.where else unanswered(job.pair, job.specs, terms, answer.reason, "metric")
        if job.where:
            found = (row for row in answer if row["worst_s"] is not None)
            answer = [{**journal.row(slot(row)), "worst_s": row["worst_s"]} for row in found]
            placed += answer
        else:
            for row in answer:
                journal.write(row)
        yield [*answer]
    journal.replace(placed)
    journal.settle()


def unanswered(
    pair: Pair, specs: Sequence[str], terms: Terms, problem: str, fault: Literal["input", "metric"]
) -> Answer:
    """Rows that say why there is no value."""
    results = {spec: failed(problem, 0, metrics.scale(spec)) for spec in specs}
    verdicts = gates.unanswered(terms.required(pair, specs), problem)
    rows = pair_row(*_names(pair), results, [gates.row(v) for v in verdicts])
    content = {"reference": None, "test": None}
    own = {"worst_s": None, "fault": fault, "content": content, "key": ""}
    caused: dict[str, Any] = {"causes": None} if terms.diagnose else {}
    return [{**row, **caused, **_said(pair), **own} for row in _flat(rows)]


def judged(rows: Iterable[Row], required: Sequence[gates.Gate]) -> Iterator[Row]:
    """The rows of a pair with the answers to these gates instead of those that they were written with; answers on bands
    stay as they were. A gate on the verdict is answered by the row that holds it, or by the first."""
    rows = list(rows)
    holder = next((i for i, row in enumerate(rows) if row.get("verdict")), 0)
    for i, row in enumerate(rows):
        known = {gate["require"]: gate for gate in row["gates"]}
        own = [gate for gate in required if gate.spec == row["spec"] or (gate.spec == VERDICT and i == holder)]
        answers = [_verdict(row, gate, known.get(gate.text)) for gate in own if gate.pooled is None]
        yield {**row, "gates": answers} if answers or row["gates"] else row


def rows(pairs: Iterable[Pair], terms: Terms, journal: Journal) -> Iterator[Row]:
    """What the journal holds of these pairs, in their order, judged by the gates in force."""
    for pair in pairs:
        yield from judged(journal.rows(terms.slots(pair)), terms.gates_of(pair))


def compared(rows: Sequence[Row], policy: Policy, beside: Sequence[tuple[str, str]] = ()) -> Comparison:
    """The pair that the rows are about, compared once more, with maps. beside: the other sources of its mixture."""
    first = rows[0]
    pair = Pair(
        reference=first["reference"], test=first["test"], id="", start=first["start"], duration=first["duration"]
    )
    specs = [row["spec"] for row in rows]
    takes = any(metrics.get(metrics.parse(spec).name).card.sources is not None for spec in specs)

    def read(path: str) -> Signal:
        return _piece(audio.load(path, **policy.reading), pair)

    ref, test = map(read, _files(pair, False))
    others = [(read(r), read(t)) for r, t in beside] if takes else []
    done = compare_signals(_heard_with(pair, ref), test, specs, policy, detail="map", others=others)
    return replace(done, match=_matched(pair, done))


def exit_codes(row: Row) -> list[ExitCode]:
    """What the row means for the exit status."""
    codes = {"input": [ExitCode.INPUT], "metric": [ExitCode.METRIC]}.get(row["fault"], [])
    return codes + [ExitCode.GATE for gate in row["gates"] if not gate["passed"]]


class Bench:
    """Computes the jobs of a worker: decodes ahead, and caches the reference and its analysis for the next job."""

    def __init__(self, terms: Terms) -> None:
        from concurrent.futures import ThreadPoolExecutor

        for file in terms.metric_files:
            metrics.add_file(file)
        self.terms = terms
        self._decoders = ThreadPoolExecutor(2, "decode")
        self._decoded: dict[str, Future[tuple[Signal, Content]]] = {}
        self._reference = ""
        self._analysed = ExitStack()

    def prepare(self, job: Job) -> None:
        """Begin to decode what the job needs."""
        for path in self._needs(job):
            if path not in self._decoded:
                self._decoded[path] = self._decoders.submit(load, path, self.terms.policy)

    def work(self, job: Job, following: Job | None = None) -> Answer:
        """The rows of the job, while the files of the following one are decoded. Raises UsageError only."""
        self.prepare(job)
        pair = job.pair
        needed = set(self._needs(job))
        try:
            (ref, ref_content), (test, test_content), *beside = (self._decoded[p].result() for p in self._needs(job))
            if following is not None:
                self.prepare(following)
                needed |= {self._needs(following)[0]}
            self._analyse_once(pair, ref)
            pieces = [_piece(signal, pair) for signal, _ in beside]
            others = list(zip(pieces[::2], pieces[1::2], strict=True))
            answer = self._rows(job, _heard_with(pair, _piece(ref, pair)), _piece(test, pair), others)
        except (InputError, MetricError) as problem:
            answer = unanswered(pair, job.specs, self.terms, str(problem), "input")
        except MemoryError:
            answer = unanswered(pair, job.specs, self.terms, "out of memory: compare shorter pieces", "input")
        except MissingExtra as missing:  # of a file's protocol
            answer = unanswered(pair, job.specs, self.terms, str(missing), "input")
        except UsageError:
            raise
        except Exception as bug:  # noqa: BLE001  one pair must not take the others down with it
            reason = f"internal error: {type(bug).__name__}: {bug}; please report it"
            answer = unanswered(pair, job.specs, self.terms, reason, "metric")
        else:
            for row in answer:
                digests = [content.digest for _, content in beside]
                row["key"] = self.terms.key(pair, row["spec"], ref_content.digest, test_content.digest, digests)
                row["content"] = {"reference": list(ref_content), "test": list(test_content)}
        if following is not None:
            needed |= set(self._needs(following))
        for path in self._decoded.keys() - needed:
            del self._decoded[path]
        return answer

    def close(self) -> None:
        """Drop the cached reference and its analysis."""
        self._decoders.shutdown(wait=False, cancel_futures=True)
        self._analysed.close()

    def _needs(self, job: Job) -> list[str]:
        return _files(job.pair, any(map(self.terms.takes_sources, job.specs)))

    def _analyse_once(self, pair: Pair, ref: Signal) -> None:
        from ..engine.cache import caching

        if pair.reference != self._reference:
            self._analysed.close()
            self._analysed.enter_context(caching(ref.samples))
            self._reference = pair.reference

    def _rows(self, job: Job, ref: Signal, test: Signal, others: Sequence[tuple[Signal, Signal]]) -> Answer:
        from ..diagnosis import diagnose
        from ..engine.cache import caching

        pair, terms = job.pair, self.terms
        # what tells where at no cost would else be computed again for the second at which the worst pairs are worst
        told = job.where or all(metrics.get(metrics.parse(s).name).card.profile_free for s in job.specs)
        detail: Detail = "profile" if told else terms.detail
        bands = "bins" if terms.bins else None
        judges = terms.judges(pair, job.specs) and not job.where
        with caching(ref.samples, test.samples) if judges else nullcontext():
            done = compare_signals(
                ref,
                test,
                job.specs,
                terms.policy,
                detail=detail,
                band_edges=bands,
                jobs=1,
                backend=terms.backend,
                others=others,
            )
            diagnosis = diagnose(ref, test) if judges or (terms.diagnose and not job.where) else None
            opinion = verdict(ref, test, diagnosis, done.results, 1) if judges and diagnosis else None
        required = [] if job.where else terms.required(pair, job.specs)
        try:
            verdicts = gates.judge(required, done, terms.policy, 1, opinion)
        except UsageError as problem:  # a band that this pair does not have
            verdicts = gates.unanswered(required, str(problem))
        whole = pair_row(
            *_names(pair),
            done.results,
            [gates.row(v) for v in verdicts],
            rate=done.ref.rate,
            channels=done.ref.channels,
            duration_s=done.ref.duration,
            match=_matched(pair, done),
            verdict=opinion,
        )
        rows = []
        caused = {"causes": _causes(diagnosis)} if terms.diagnose and diagnosis is not None else {}
        for row, result in zip(_flat(whole), done.results.values(), strict=True):
            if not (terms.bands or terms.bins):
                row.update(per_band=None, bands=None, edges=None)
            if not terms.times:
                row.update(per_time=None, times=None)
            fault = "metric" if row["status"] == "error" else None
            second = worst_second(row["metric"], result, pair)
            rows.append({**row, **caused, **_said(pair), "worst_s": second, "fault": fault})
        return rows


def _flat(pair: Row) -> list[dict[str, Any]]:
    """Its rows, without what a batch does not ask; the first has the verdict where there is one."""
    unasked = ("verdict", "diagnosis", "contradictions")
    rows = [{k: v for k, v in row.items() if k not in unasked} for row in flat([pair])]
    if pair["verdict"] is not None:
        rows[0]["verdict"] = pair["verdict"]
    return rows


def _causes(diagnosis: Diagnosis) -> list[dict[str, Any]]:
    """What happened to the sound."""
    found = diagnosis.findings
    return [{"cause": f.cause, "size": f.size, "unit": f.unit, "sentence": f.sentence} for f in found]


def _gated(asked: Iterable[gates.Gate]) -> list[str]:
    """The metrics that these gates are on."""
    return [gate.spec for gate in asked if gate.spec != VERDICT]


def prepared() -> Any:
    """The context that worker processes are started from. It begins to load what they need, once for all of them, while
    this process goes on."""
    import multiprocessing

    for library in ("OPENBLAS", "OMP", "MKL", "NUMEXPR"):  # a core is a worker's own
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    from multiprocessing import forkserver, resource_tracker

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["audiosim.batch.preload"])
    resource_tracker.ensure_running()  # first: when it starts its process it lets signals through again
    with _uninterrupted():
        forkserver.ensure_running()
    return context


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Ctrl-C waits until this is over. Processes started meanwhile never hear it, where the system can tell them so: a
    terminal sends it to all, but it is for us, who end them."""
    import signal

    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


class Processes:
    """Worker processes on this machine. One that dies is replaced, and the job that it computed is a Crash.

    terms: have a bench() with a method work(job, following), as Terms have; other terms have jobs of their own.
    count: how many. note: called once if one of them compiles kernels.
    """

    def __init__(self, terms: Any, count: int, note: Callable[[str], None] = lambda _: None) -> None:
        self._context = prepared()
        self._terms, self._count, self._note = terms, count, note
        self._workers: list[_Worker] = []
        self._stillborn = 0

    def run(self, take: Callable[[], Sequence[Any] | None]) -> Iterator[tuple[Any, Answer | Crash]]:
        """See Pool. Raises the UsageError of a worker."""
        from multiprocessing.connection import wait

        while True:
            self._fill(take)
            busy = {w.connection: w for w in self._workers if w.jobs}
            if not busy:
                return
            for connection in wait(list(busy)):
                worker = busy[connection]  # type: ignore[index]
                try:
                    said = worker.connection.recv()
                except (EOFError, OSError):
                    yield from self._buried(worker)
                    continue
                if isinstance(said, AudiosimError):
                    raise said
                if said == READY:
                    self._stillborn = 0
                    worker.ready = True
                    continue
                if said == COMPILING:
                    from ..engine.compilation import NOTICE

                    self._say_once(NOTICE)
                    continue
                yield worker.jobs.popleft(), said

    def close(self) -> None:
        for worker in self._workers:
            worker.process.kill()
            worker.connection.close()
        for worker in self._workers:
            worker.process.join()
        self._workers = []

    def _say_once(self, sentence: str) -> None:
        self._note(sentence)
        self._note = lambda _: None

    def _fill(self, take: Callable[[], Sequence[Any] | None]) -> None:
        """Give every worker as many jobs as it may hold, first one to each, then the next."""
        for depth in range(1, AHEAD + 1):
            for place in range(self._count):
                worker = self._workers[place] if place < len(self._workers) else None
                if worker is not None and len(worker.jobs) >= depth:
                    continue
                group = worker.group if worker is not None and worker.group else deque(take() or ())
                if not group:
                    continue
                if worker is None:
                    worker = _Worker(self._context, self._terms)
                    self._workers.append(worker)
                worker.group = group
                with suppress(OSError):  # it is dead, which is seen when it is listened to
                    worker.connection.send(group[0])
                worker.jobs.append(group.popleft())

    def _buried(self, worker: _Worker) -> Iterator[tuple[Any, Crash]]:
        """Replace a dead worker: the job that it computed is blamed, the others go to the new one."""
        import signal

        worker.process.join()
        if not worker.ready:
            self._stillborn += 1
            if self._stillborn == STILLBORN:
                raise MetricError(f"the worker processes do not start (exit code {worker.process.exitcode})")
        code = worker.process.exitcode or 0
        how = f"exit code {code}"
        with suppress(ValueError):
            how = signal.Signals(-code).name if code < 0 else how
        hint = ", perhaps out of memory" if how == "SIGKILL" else ""
        guilty, *others = [None, *worker.jobs] if not worker.ready else worker.jobs
        worker.connection.close()
        place = self._workers.index(worker)
        self._workers[place] = new = _Worker(self._context, self._terms)
        new.group = deque([*others, *worker.group])
        if guilty is not None:
            yield guilty, Crash(f"the process that computed it crashed ({how}{hint})")


READY, COMPILING = "ready", "compiling"  # what a worker sends besides results
STILLBORN = 3  # workers in a row that end before they are ready: no further one would live either


class _Worker:
    """A process and its jobs. jobs: sent, without a result yet; group: to be sent next. ready: whether it began."""

    def __init__(self, context: Any, terms: Any) -> None:
        self.connection: Connection
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, terms), daemon=True)
        with _uninterrupted():  # or it would be left with half of what it is told
            self.process.start()
        theirs.close()
        self.jobs: deque[Any] = deque()
        self.group: deque[Any] = deque()
        self.ready = False


def _serve(connection: Connection, terms: Any) -> None:
    """The main loop of a worker: jobs in, rows out, until the connection closes."""
    import signal

    from ..engine.compilation import when_compiling

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends us
    when_compiling(lambda _: connection.send(COMPILING))
    bench = terms.bench()
    waiting: deque[Any] = deque()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        connection.send(READY)
        while True:
            while not waiting or (len(waiting) < AHEAD and connection.poll()):
                waiting.append(connection.recv())
            job = waiting.popleft()
            try:
                connection.send(bench.work(job, waiting[0] if waiting else None))
            except UsageError as problem:
                connection.send(UsageError(str(problem)))


def worst_second(metric: str, result: Result, pair: Pair) -> float | None:
    """The second at which the metric is worst: the middle of its worst frame; None without a course over time."""
    from ..judge.explain import worst_time

    at = worst_time(metric, result)
    return None if at is None else at + (pair.start or 0.0)


def _verdict(row: Row, gate: gates.Gate, known: dict[str, Any] | None) -> dict[str, Any]:
    if gate.spec == VERDICT and row["rate"] is not None:
        return gates.row(gates.verdict_of_row(gate, row))
    if gate.band is not None:
        return known or gates.row(gates.unanswered([gate], "its band was not asked for when this was computed")[0])
    if row["status"] == "error":
        return gates.row(gates.unanswered([gate], row["reason"])[0])
    return gates.row(gates.verdict_of_row(gate, row))


def _said(pair: Pair) -> dict[str, Any]:
    """The fields of a row that describe its pair."""
    reference, test = _names(pair)
    return {
        "reference": reference,
        "test": test,
        "id": pair.id,
        "group": pair.group,
        "system": pair.system,
        "start": pair.start,
        "duration": pair.duration,
        "rating": pair.rating,
        "higher_is_better": pair.higher_is_better,
        "columns": dict(pair.columns),
    }


def _files(pair: Pair, others: bool) -> list[str]:
    """Reference (where there is none, the test) and test; then those of the other sources of the mixture."""
    return [pair.reference or pair.test, pair.test, *(path for both in pair.others if others for path in both)]


def _names(pair: Pair) -> tuple[str, str]:
    return audio.data_name(pair.reference), audio.data_name(pair.test)


def _grouped(jobs: Iterable[Job]) -> list[list[Job]]:
    """Jobs grouped by reference, in the order of the first of each."""
    by_reference: dict[str, list[list[Job]]] = {}
    groups = []
    for job in jobs:
        of = by_reference.setdefault(job.pair.reference or job.pair.test, [])
        if not of or len(of[-1]) == GROUP:
            of.append([])
            groups.append(of[-1])
        of[-1].append(job)
    return groups


def _piece(signal: Signal, pair: Pair) -> Signal:
    """The section of the recording that the pair names."""
    if pair.start is None and pair.duration is None:
        return signal
    first = round((pair.start or 0.0) * signal.rate)
    last = signal.length if pair.duration is None else min(first + round(pair.duration * signal.rate), signal.length)
    if first >= last:
        raise InputError(
            f"{signal.name}: lasts {signal.duration:.3f} s, but the section starts at {pair.start or 0:g} s"
        )
    return replace(signal, samples=signal.samples[:, first:last].copy())


def _heard_with(pair: Pair, ref: Signal) -> Signal:
    """What the test is given to metrics with: silence where it has no reference."""
    import numpy as np

    return ref if pair.reference else replace(ref, samples=np.zeros_like(ref.samples))


def _matched(pair: Pair, done: Comparison) -> dict[str, Any]:
    """What was done to make the two comparable, without what is found wrong with a reference that is none."""
    return {name: told for name, told in done.match.items() if pair.reference or name != "channel_faults"}


def load(path: str, policy: Policy) -> tuple[Signal, Content]:
    """A recording, and its file as it was read. Raises InputError."""
    if remote.is_url(path):
        data = remote.read(path)
        return audio.decode(data, audio.display_name(path), **policy.reading), _content_of(path, data)
    content = _content(path)
    return audio.load(path, **policy.reading), content


def _content(path: str) -> Content:
    """The file as it is now. Raises InputError, in audio.load's words, where it cannot be read."""
    if remote.is_url(path):
        return _content_of(path, remote.read(path))
    try:
        state = os.stat(path)  # noqa: PTH116
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123
            digest = hashlib.blake2b(digest_size=16)
            while block := file.read(HASHED):
                digest.update(block)
    except (OSError, ValueError):
        audio.load(path)  # which says what is wrong
        raise InputError(f"{audio.display_name(path)}: cannot be read") from None
    return Content(state.st_size, state.st_mtime_ns, digest.hexdigest())


def _content_of(url: str, data: bytes) -> Content:
    stated = remote.stat(url)
    return Content(len(data), stated[1] if stated else None, hashlib.blake2b(data, digest_size=16).hexdigest())


def unchanged(path: str, known: Content | None) -> Content | None:
    """The file's content, read only where size or time differ from the known; None where it cannot be read."""
    try:
        if known is not None and _state(path) == known[:2]:
            return known
        return _content(path)
    except (AudiosimError, OSError, ValueError):
        return None


def _state(path: str) -> tuple[int, int | str] | None:
    """Size and time of the last change, as far as they are known without reading the file."""
    if remote.is_url(path):
        return remote.stat(path)
    state = os.stat(path)  # noqa: PTH116
    return state.st_size, state.st_mtime_ns
