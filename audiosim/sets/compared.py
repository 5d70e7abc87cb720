"""Folders of recordings against a folder of references, without pairs."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..audio import display_name
from ..batch import pairing
from ..engine.threads import cores
from ..errors import InputError, NothingToCompare, UsageError
from ..signal import Signal
from .distances import LEAST_FILES, NEAREST, Distances, Estimate, Reference
from .embedding import Embedding, embedded, embedding as chosen

Array = NDArray[Any]
Recordings = str | os.PathLike[str] | Sequence[Any]
NUMBERS = ("frechet", "kernel", "density", "coverage", "precision", "recall")
REFERENCE = ""  # among the names of sets, which no folder has
MOST_NAMES = 3  # of recordings that a note names


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One set against the reference.

    name: its folder's; recordings, points: how many were compared. influence: by how much the Fréchet distance would be
    smaller without the recording, less what that is on average; the largest first. notes: what to know of the numbers.
    """

    name: str
    recordings: int
    points: int
    distances: Distances
    influence: Mapping[str, float]
    notes: tuple[str, ...]

    def row(self) -> dict[str, Any]:
        """As plain data; nan where there is no number."""
        found: dict[str, Any] = {"set": self.name, "recordings": self.recordings, "points": self.points}
        for name in NUMBERS:
            number: Estimate = getattr(self.distances, name)
            found |= {name: number.value, f"{name}_low": number.low, f"{name}_high": number.high}
            if name == "frechet":
                found["frechet_infinite"] = self.distances.frechet_infinite
        return {**found, "divergence": self.distances.divergence, "notes": list(self.notes)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sets:
    """Sets of recordings against a reference, those with the smallest Fréchet distance first.

    reference, recordings, points: what they were held against. embedding: its name. unread: a line on each recording
    that could not be read, and is in no set. notes: what else to say.
    """

    reference: str
    recordings: int
    points: int
    embedding: str
    sets: tuple[Compared, ...]
    unread: tuple[str, ...]
    notes: tuple[str, ...]


def compare_sets(
    ref: Recordings,
    tests: Recordings | Mapping[str, Recordings],
    *more: Recordings,
    embedding: Embedding | Callable[[Signal], Any] | str | None = None,
    nearest: int = NEAREST,
    draws: int = 200,
    keep: bool = True,
    include: Sequence[str] = (),
    exclude: Sequence[str] = (),
    damaged: Any = "error",
    raw: str | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Sets:
    """How far sets of recordings lie from a reference set. No recording needs a partner.

    ref, tests, more: each a folder, or a sequence of paths and Signals; tests may be several sets by name.
    embedding: a trained model by name or file, a function of a Signal that gives points [point, feature], or an
        Embedding, whose points are kept on the disk by its name; statistics of auditory bands
        (hearing.band_statistics) unless given.
    nearest: neighbours of density, coverage, precision and recall. draws: resamples of recordings for the intervals.
    keep: whether points are kept on the disk, so that they are not computed again. include, exclude: patterns of files.
    damaged, raw: as in audiosim.load. jobs: threads; the numbers do not depend on it. progress: is told how many
        recordings of how many are done.

    Raises InputError for a folder that there is not, NothingToCompare for a set with fewer than two points.
    """
    if nearest < 1 or draws < 0:
        raise UsageError(f"nearest is at least 1 and draws at least 0, not {nearest} and {draws}")
    by = chosen(embedding)
    given = {REFERENCE: ref, **_named(tests, more)}
    folders = {n: os.fspath(x) for n, x in given.items() if isinstance(x, str | os.PathLike)}
    listed = {n: pairing.recordings(folder, include, exclude) for n, folder in folders.items()}
    notes = [line for _, lines in listed.values() for line in lines]
    files: dict[str, dict[str, Any]] = {n: dict(below) for n, (below, _) in listed.items()}
    files |= {n: _sequence(x) for n, x in given.items() if n not in folders}  # type: ignore[arg-type]
    every = [(name, own, sound) for name, sounds in files.items() for own, sound in sounds.items()]
    threads = jobs or cores()
    unread: list[str] = []
    silent: list[str] = []
    points: dict[str, dict[str, Array]] = {name: {} for name in files}

    def embed(item: tuple[str, str, Any]) -> Array | str:
        try:
            return embedded(item[2], by, keep=keep, damaged=damaged, raw=raw)
        except InputError as problem:
            return str(problem)

    with ThreadPoolExecutor(threads) as pool:
        try:
            for done, ((name, own, _), found) in enumerate(zip(every, pool.map(embed, every), strict=True), 1):
                if progress is not None:
                    progress(done, len(every))
                if isinstance(found, str):
                    unread.append(found)
                elif not len(found):
                    silent.append(own)
                else:
                    points[name][own] = found
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    if silent:
        notes = [*notes, f"{_counted(silent)} without a sound, and in no set: {_some(silent)}"]
    reference, places = _joined(points.pop(REFERENCE), files[REFERENCE], _told(ref, "the reference"))
    known = Reference(reference, places, nearest=nearest, draws=draws)
    compared = [_compared(name, sounds, files[name], known, threads) for name, sounds in points.items()]
    return Sets(
        reference=_told(ref, "reference"),
        recordings=int(places[-1]) + 1,
        points=len(reference),
        embedding=by.name or getattr(by.points, "__name__", "a function"),
        sets=tuple(sorted(compared, key=lambda one: one.distances.frechet.value)),
        unread=tuple(unread),
        notes=tuple(notes),
    )


def _compared(
    name: str, sounds: Mapping[str, Array], all_of: Mapping[str, Any], ref: Reference, threads: int
) -> Compared:
    points, places = _joined(sounds, all_of, name)
    if points.shape[1] != ref.points.shape[1]:
        raise UsageError(f"{name}: has {points.shape[1]} features, the reference {ref.points.shape[1]}")
    distances = ref.distances(points, places, threads)
    order = np.argsort(-distances.influence, kind="stable")
    names = list(sounds)
    return Compared(
        name=name,
        recordings=len(sounds),
        points=len(points),
        distances=distances,
        influence={names[i]: float(distances.influence[i]) for i in order},
        notes=tuple(_cautions(distances, ref, points, places)),
    )


def _cautions(distances: Distances, ref: Reference, points: Array, places: Array) -> list[str]:
    """What makes numbers of these sets doubtful."""
    said = []
    sets = (("the reference", ref.points, ref.files), ("it", points, places))
    for what, x, files in sets:
        if files[-1] + 1 < LEAST_FILES:
            said.append(
                f"{what} has {files[-1] + 1} recordings: too few to extrapolate from, and for intervals to be trusted; "
                f"{LEAST_FILES} are the least"
            )
        if len(x) <= x.shape[1]:
            said.append(
                f"{what} has {len(x)} points of {x.shape[1]} features: the Fréchet distance is far too large; rank by "
                "the kernel distance"
            )
    if not said and 1e-9 < distances.frechet.value > 2 * distances.frechet_infinite:
        said.append("more than half of the Fréchet distance is there because the sets are small; take more recordings")
    return said


def _joined(sounds: Mapping[str, Array], all_of: Mapping[str, Any], name: str) -> tuple[Array, Array]:
    """All points, and of which recording each is."""
    if sum(map(len, sounds.values())) < 2:
        raise NothingToCompare(
            f"{name}: {len(all_of)} recordings, {len(sounds)} of them with a sound that can be read; a set needs two "
            "points, about a second and a half of sound"
        )
    widths = {x.shape[1] for x in sounds.values()}
    if len(widths) > 1:
        raise UsageError(f"{name}: the embedding gives {min(widths)} to {max(widths)} features; a set needs the same")
    return np.concatenate(list(sounds.values())), np.repeat(np.arange(len(sounds)), [len(x) for x in sounds.values()])


def _named(tests: Recordings | Mapping[str, Recordings], more: Sequence[Recordings]) -> dict[str, Recordings]:
    """Sets by name: folders by theirs."""
    if isinstance(tests, Mapping):
        if more or not tests:
            raise UsageError("tests are sets by name, or one or more sets, not both")
        return {f"{name}": sounds for name, sounds in tests.items()}
    every = [tests, *more]
    folders = [os.fspath(x) for x in every if isinstance(x, str | os.PathLike)]
    names = iter(pairing.names_of(folders))
    return {
        next(names) if isinstance(x, str | os.PathLike) else f"test {i}" if len(every) > 1 else "test": x
        for i, x in enumerate(every, 1)
    }


def _sequence(sounds: Sequence[Any]) -> dict[str, Any]:
    """Recordings by name."""
    named: dict[str, Any] = {}
    for i, sound in enumerate(sounds, 1):
        if not isinstance(sound, str | os.PathLike | Signal):
            raise UsageError(f"a set is a folder, or a sequence of paths and Signals, not of {type(sound).__name__}")
        own = sound.name if isinstance(sound, Signal) else os.fspath(sound)
        named[own if own and own not in named else f"{own} {i}".strip()] = sound
    return named


def _told(sounds: Recordings, otherwise: str) -> str:
    return display_name(sounds) if isinstance(sounds, str | os.PathLike) else otherwise


def _counted(names: Sequence[str]) -> str:
    return f"{len(names)} recordings are" if len(names) > 1 else "1 recording is"


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(map(display_name, names[:MOST_NAMES])) + more
