"""What `neighbours` and `retrieval` share: the recordings, their features or distances, and what is said of them."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from math import ceil
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING, Any

from .. import metrics
from ..collection import tables
from ..collection.tables import File
from ..config import Settings
from ..errors import ExitCode, InputError, NothingToCompare, UsageError
from ..match import Policy, check
from .batch import temporary
from .compare import progress_line, say

if TYPE_CHECKING:
    from ..collection.space import Scaling, Space

DEFAULT = ("timbre-js",)
SCALINGS = ("none", "mp", "mp-empiric", "nicdm")
LINE_SECONDS = 10.0  # between two lines of progress where stderr is no terminal
NAMED = 5  # recordings without features that are named


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The options of both commands, as they were typed."""

    folder: str | None
    labels: str | None
    include: Sequence[str]
    exclude: Sequence[str]
    journal: str | None
    metric_files: Sequence[str]


@dataclass(frozen=True)
class Measured:
    """A collection as one metric sees it. files: of the points of the space, the items first; without: why other files
    are none."""

    spec: str
    space: Space
    files: list[File]
    without: dict[str, str]


@dataclass
class Collection:
    """measured: by each metric. broken: paths of what could not be read or compared."""

    measured: list[Measured]
    broken: set[str] = field(default_factory=set)

    @property
    def codes(self) -> list[ExitCode]:
        """What they mean for the exit status."""
        return [ExitCode.INPUT] if self.broken else []


def gather(request: Request, settings: Settings) -> list[File]:
    """The recordings of the collection."""
    files, notes = tables.files(request.folder, request.labels, request.include, request.exclude)
    if not settings.quiet:
        for note in notes:
            say(note)
    return files


def specs(settings: Settings) -> list[str]:
    """The metrics: each a distance, and none with a wrong option."""
    asked = list(dict.fromkeys(settings.metric or DEFAULT))
    for spec in asked:
        card = metrics.get(metrics.parse(spec).name).card
        if card.better != "lower" or card.sources is not None:
            raise UsageError(f"{spec} is no distance; neighbours need one, such as timbre-js or log-mel")
    return asked


def chosen_scaling(name: str) -> Any:
    """The name of a scaling; UsageError for another."""
    if name not in SCALINGS:
        raise UsageError(f"--scaling is one of {', '.join(SCALINGS)}, not {name!r}")
    return name


def measure(request: Request, settings: Settings, items: Sequence[File], outside: Sequence[File] = ()) -> Collection:
    """The collection as the metrics see it, with queries from outside; recordings that have nothing to compare are
    said. KeyboardInterrupt after a line on how to go on."""
    wanted = specs(settings)
    alone = [spec for spec in wanted if hasattr(metrics.get(metrics.parse(spec).name).module, "feature")]
    together = [spec for spec in wanted if spec not in alone]
    policy = Policy(**settings.policy())
    check(policy)
    if together:
        from ..collection import pairs

        for spec in together:
            pairs.count(len(items), len(items) + len(outside), spec)
    files = [*items, *outside]
    collection = Collection([])
    found = dict(_by_features(request, settings, policy, alone, items, outside, collection)) if alone else {}
    if together:
        found |= _by_pairs(request, settings, policy, together, files, len(items), collection)
    collection.measured = [found[spec] for spec in wanted]
    _tell_without(collection, files, settings)
    for seen in collection.measured:
        if not seen.space.items or (seen.space.items == seen.space.points == 1):
            left = "none has" if not seen.space.items else "only one has"
            kind = InputError if collection.codes else NothingToCompare
            raise kind(f"{seen.spec}: of {len(files)} recordings {left} something to compare")
    return collection


def _by_features(
    request: Request,
    settings: Settings,
    policy: Policy,
    wanted: Sequence[str],
    items: Sequence[File],
    outside: Sequence[File],
    collection: Collection,
) -> Iterator[tuple[str, Measured]]:
    from ..batch.workers import Processes
    from ..collection import features
    from ..collection.space import Space
    from ..engine.threads import cores

    files = [*items, *outside]
    paths = list(dict.fromkeys(f.path for f in files))
    terms = features.Terms(specs=tuple(wanted), policy=policy, metric_files=absolute(request.metric_files))
    path = request.journal if request.journal is not None else temporary()
    with features.Store(path, terms.settings) as store:
        if store.repaired:
            say(store.repaired)
        jobs = features.outstanding(paths, terms, store)
        if len(jobs) < len(paths) and not settings.quiet:
            say(f"the features of {len(paths) - len(jobs)} of {len(paths)} recordings are in {store.name} already")
        try:
            if jobs:
                count = min(settings.jobs or cores(), len(jobs))
                with (
                    progress(settings, "features of recordings", len(jobs)) as done,
                    closing(Processes(terms, count, _noting(settings))) as pool,
                ):
                    for _ in features.run(jobs, store, pool):
                        done(1)
        except (KeyboardInterrupt, OSError):
            how = "the same command resumes there" if request.journal else f"resume with --journal {store.name}"
            kept = sum(entry.answered for entry in store.entries.values())
            say(f"stopped; {kept} features of {len(paths)} recordings are in {store.name}: {how}")
            raise
        for spec in wanted:
            vectors = features.vectors(paths, spec, store)
            place = {path: i for i, path in enumerate(vectors.names)}
            inside = [f for f in items if f.path in place]
            points = [*inside, *(f for f in outside if f.path in place)]
            rows = vectors.rows[[place[f.path] for f in points]] if points else vectors.rows
            collection.broken |= vectors.broken
            yield spec, Measured(spec, _space(Space, spec, rows, len(inside)), points, dict(vectors.without))
    if request.journal is None:
        Path(path).unlink()


def _space(kind: type[Space], spec: str, rows: Any, items: int) -> Space:
    parsed = metrics.parse(spec)
    metric = metrics.get(parsed.name)

    def between(point: int, to: Any) -> Any:
        return metric.distances(rows[point], rows[:items][to], **parsed.options)

    return kind(len(rows), items, between)


def _by_pairs(
    request: Request,
    settings: Settings,
    policy: Policy,
    wanted: Sequence[str],
    files: Sequence[File],
    items: int,
    collection: Collection,
) -> dict[str, Measured]:
    import numpy as np

    from ..batch.workers import Terms
    from ..collection import pairs
    from ..collection.space import Space
    from ..engine.threads import cores

    terms = Terms(
        specs=tuple(wanted),
        policy=policy,
        backend=settings.backend,
        metric_files=absolute(request.metric_files),
    )
    total = max(pairs.count(items, len(files), spec) for spec in wanted)
    with progress(settings, "pairs", total) as done:
        found = pairs.matrix(
            [f.path for f in files], items, terms, settings.jobs or cores(), _noting(settings), lambda _: done(1)
        )
    answer = {}
    for spec, distances in found.items():
        keep = [p for p in range(len(files)) if p not in distances.without]
        inside = [p for p in keep if p < items]
        square = distances.square[np.ix_(keep, inside)]
        space = Space(len(keep), len(inside), lambda p, to, d=square: d[p][to])  # type: ignore[misc]
        without = {files[p].path: reason for p, reason in distances.without.items()}
        answer[spec] = Measured(spec, space, [files[p] for p in keep], without)
        collection.broken |= {files[p].path for p in distances.broken}
        if distances.missing:
            say(f"{spec}: {distances.missing} pairs have no distance, such as: {distances.example}")
    return answer


def fitted(name: Any, seen: Measured, settings: Settings) -> Scaling:
    """The scaling of this name for the collection."""
    from ..collection import space
    from ..engine.threads import cores

    total = 0 if name == "none" else seen.space.points
    with progress(settings, f"neighbourhoods by {seen.spec}", total) as done:
        return space.scaling(name, seen.space, settings.jobs or cores(), done)


def absolute(metric_files: Sequence[str]) -> tuple[str, ...]:
    """Paths that worker processes find."""
    return tuple(str(Path(f).expanduser().absolute()) for f in metric_files)


def _noting(settings: Settings) -> Callable[[str], None]:
    return lambda sentence: None if settings.quiet else say(sentence)


def _tell_without(collection: Collection, files: Sequence[File], settings: Settings) -> None:
    """A line on each of a few recordings that have nothing to compare."""
    said = [f.path for f in files if f.path in collection.broken or not settings.quiet]
    reasons = [(path, seen.without[path]) for path in said for seen in collection.measured if path in seen.without]
    lines = list(dict(reversed(reasons)).values())[::-1]
    for line in lines[:NAMED]:
        say(line)
    if len(lines) > NAMED:
        say(f"and {len(lines) - NAMED} more recordings have nothing to compare; --json names them all")


@contextmanager
def progress(settings: Settings, what: str, total: int) -> Iterator[Callable[[int], None]]:
    """done(so many more): a line that is written anew on a terminal, a line now and then elsewhere."""
    shown = not settings.quiet if settings.progress is None else settings.progress
    terminal = sys.stderr.isatty()
    begun = said = monotonic()
    count = 0

    def done(more: int) -> None:
        nonlocal count, said
        count += more
        now = monotonic()
        if not shown or now - said < (0.2 if terminal else LINE_SECONDS) or count >= total:
            return
        said = now
        left = timedelta(seconds=ceil((total - count) * (now - begun) / count))
        line = f"{count} of {total} {what}, {left} left"
        if terminal:
            progress_line(line)
        else:
            say(line)

    try:
        yield done
    finally:
        if shown and terminal and total:
            progress_line("")
