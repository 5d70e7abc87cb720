"""One task after the other, or on several threads: the same results in the same order."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def cores() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_threads(task: Callable[[int], T], starts: range, threads: int) -> list[T]:
    """task(start) for every start, in order, on so many threads. Kernels and FFTs run without the interpreter lock."""
    if threads <= 1 or len(starts) <= 1:
        return [task(start) for start in starts]
    with ThreadPoolExecutor(min(threads, len(starts))) as pool:
        return list(pool.map(task, starts))
