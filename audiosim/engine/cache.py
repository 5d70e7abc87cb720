"""Cache of intermediate results while recordings are compared: a reference is analysed once for several metrics and
several tests."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
T = TypeVar("T")

LIMIT = 1 << 28  # bytes cached in all; beyond them everything is computed again


@dataclass(slots=True)
class _Memory:
    """Of one array and its slices. owners: how many keep it. arrays: those among the values, cached as long."""

    owners: int = 0
    values: dict[Hashable, Any] = field(default_factory=dict)
    arrays: list[Array] = field(default_factory=list)


@dataclass(slots=True)
class _Record:
    """Of what was played. parts: [part, frame, band]. done: frames that are in it."""

    parts: Array
    done: int = 0

    @property
    def nbytes(self) -> int:
        return self.parts.nbytes


_memories: dict[int, _Memory] = {}  # by the identity of the array that owns the samples, which its owners hold on to
_lock = Lock()


@contextmanager
def caching(*recordings: Array) -> Iterator[None]:
    """Within the block `cached` remembers what is computed of these arrays; they must not change meanwhile."""
    with _lock:
        for x in recordings:
            _keep(x)
    try:
        yield
    finally:
        with _lock:
            for x in recordings:
                _let_go(x)


def cached(samples: Array, what: Hashable, make: Callable[[], T]) -> T:
    """make(), or, while somebody keeps the samples, what it gave before for the same `what` of the same samples.

    samples: an array or a slice of it. The value must not be changed by anyone; of an array, such as the samples at
    another rate, what is computed of it is cached in turn.
    """
    memory = _memories.get(id(_root(samples)))
    if memory is None:
        return make()
    key = what, samples.__array_interface__["data"][0], samples.shape, samples.strides
    if key in memory.values:
        found: T = memory.values[key]
        return found
    value = make()  # outside of the lock: at worst two threads compute the same
    with _lock:
        if key not in memory.values and _room(getattr(value, "nbytes", 0)):
            memory.values[key] = value
            if isinstance(value, np.ndarray) and _root(value) is not _root(samples):
                memory.arrays.append(value)
                _keep(value)
    return value


Player = Callable[[int, int], tuple[Array, ...]]


def recorded(samples: Array, what: Hashable, frames: int, bands: int, parts: int, play: Player) -> Player:
    """play, or, while somebody keeps the samples, a recording of what it played once.

    play: (first frame, how many) -> so many parts [frame, band]; asked for one block after the other until all frames
    are played, because it remembers. what: names all that the numbers depend on besides the samples.
    """
    if id(_root(samples)) not in _memories or not _room(8 * parts * frames * bands):
        return play
    record = cached(samples, (what, frames), lambda: _Record(np.empty((parts, frames, bands))))
    if record.done == frames:
        return lambda first, count: tuple(record.parts[:, first : first + count])

    def record_as_well(first: int, count: int) -> tuple[Array, ...]:
        played = play(first, count)
        for part, values in zip(record.parts, played, strict=True):
            part[first : first + count] = values
        record.done = first + count
        return played

    return record_as_well


def _room(size: int) -> bool:
    held = sum(getattr(v, "nbytes", 0) for m in list(_memories.values()) for v in list(m.values.values()))
    return held + size <= LIMIT


def _keep(x: Array) -> None:
    _memories.setdefault(id(_root(x)), _Memory()).owners += 1


def _let_go(x: Array) -> None:
    memory = _memories[id(_root(x))]
    memory.owners -= 1
    if not memory.owners:
        del _memories[id(_root(x))]
        for made in memory.arrays:
            _let_go(made)


def _root(samples: Array) -> Array:
    """The array that owns the samples."""
    while isinstance(samples.base, np.ndarray):
        samples = samples.base
    return samples
