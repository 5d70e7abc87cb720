"""What has been computed of a recording, kept while it is being compared: a reference is analysed once for several
metrics and several tests."""

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

LIMIT = 1 << 28  # bytes kept in all; beyond them everything is computed anew


@dataclass(slots=True)
class _Memory:
    """Of one array and its slices. owners: how many keep it. arrays: those among the values, kept as long."""

    owners: int = 0
    values: dict[Hashable, Any] = field(default_factory=dict)
    arrays: list[Array] = field(default_factory=list)


_memories: dict[int, _Memory] = {}  # by the identity of the array that owns the samples, which its owners hold on to
_lock = Lock()


@contextmanager
def keeping(*recordings: Array) -> Iterator[None]:
    """Until the end of the block `kept` remembers what is computed of these arrays; they must not change meanwhile."""
    with _lock:
        for x in recordings:
            _keep(x)
    try:
        yield
    finally:
        with _lock:
            for x in recordings:
                _let_go(x)


def kept(samples: Array, what: Hashable, make: Callable[[], T]) -> T:
    """make(), or, while somebody keeps the samples, what it gave before for the same `what` of the same samples.

    samples: an array or a slice of it. The value must not be changed by anyone; of an array, such as the samples at
    another rate, is kept in turn what is computed of it.
    """
    memory = _memories.get(id(_root(samples)))
    if memory is None:
        return make()
    key = what, samples.__array_interface__["data"][0], samples.shape, samples.strides
    if key in memory.values:
        found: T = memory.values[key]
        return found
    value = make()  # outside of the lock: at worst two threads compute the same
    arrays = [value] if isinstance(value, np.ndarray) else []
    with _lock:
        held = sum(a.nbytes for m in _memories.values() for a in m.arrays)
        if key not in memory.values and held + sum(a.nbytes for a in arrays) <= LIMIT:
            memory.values[key] = value
            memory.arrays += arrays
            for x in arrays:
                _keep(x)
    return value


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
