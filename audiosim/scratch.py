"""Room for the samples of long recordings: a file without a name, of whose pages few are in memory at a time. On Linux.

The pages that were read or written are let go every few milliseconds: they stay in the file, and the system's own cache
of files gives them back as long as it has the room. What counts as the memory of the process is thus a window.
"""

from __future__ import annotations

import mmap
import os
import shutil
import tempfile
import threading
import time
import weakref
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

LARGE = 1 << 26  # bytes beyond which samples go to a file
PAUSE = 0.005  # seconds until pages are let go
POSSIBLE = hasattr(os, "posix_fallocate") and hasattr(mmap, "MADV_DONTNEED")

_files: weakref.WeakSet[mmap.mmap] = weakref.WeakSet()
_lock = threading.Lock()
_sweeper: threading.Thread | None = None


def empty(shape: tuple[int, ...], dtype: Any, large: int | None = None) -> NDArray[Any]:
    """As np.empty. The file lies in the folder for temporary files (TMPDIR), has no name, and ends with the array;
    where it would take more than half of the room there, memory has to do. large: bytes beyond which there is a file;
    None: LARGE."""
    size = prod(shape) * np.dtype(dtype).itemsize
    least = LARGE if large is None else large
    if size > least and POSSIBLE and 2 * size < shutil.disk_usage(tempfile.gettempdir()).free:
        try:
            with tempfile.TemporaryFile(prefix="audiosim-") as file:
                os.posix_fallocate(file.fileno(), 0, size)
                pages = mmap.mmap(file.fileno(), size)
        except OSError:
            pass
        else:
            _watch(pages)
            samples: NDArray[Any] = np.frombuffer(pages, dtype).reshape(shape)
            return samples
    return np.empty(shape, dtype)


def held(samples: NDArray[Any]) -> int:
    """Bytes that samples above LARGE take in memory: 0 where they lie in a file."""
    owner: Any = samples
    while isinstance(owner, np.ndarray):
        owner = owner.base
    return 0 if samples.nbytes <= LARGE or isinstance(owner, memoryview) else samples.nbytes


def contiguous(samples: NDArray[Any]) -> NDArray[Any]:
    """As np.ascontiguousarray, with the room of `empty` for a copy."""
    if samples.flags.c_contiguous:
        return samples
    copy = empty(samples.shape, samples.dtype)
    copy[:] = samples
    return copy


def shortened(samples: NDArray[Any], length: int) -> NDArray[Any]:
    """The first so many samples of all channels [channel, sample], C-contiguous, in place: the rest is lost."""
    flat, room = samples.reshape(-1), samples.shape[1]
    step = 1 << 20
    for channel in range(1, len(samples) if length < room else 0):
        for k in range(0, length, step):
            n = min(step, length - k)
            flat[channel * length + k :][:n] = flat[channel * room + k :][:n].copy()
    return flat[: len(samples) * length].reshape(len(samples), length)


def _watch(pages: mmap.mmap) -> None:
    global _sweeper
    with _lock:
        _files.add(pages)
        if _sweeper is None or not _sweeper.is_alive():
            _sweeper = threading.Thread(target=_sweep, name="audiosim-scratch", daemon=True)
            _sweeper.start()


def _forked() -> None:
    """In a child process, which has no such thread, and may have a lock that nobody opens."""
    global _lock, _sweeper
    _lock, _sweeper = threading.Lock(), None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def _sweep() -> None:
    global _sweeper
    while True:
        time.sleep(PAUSE)
        with _lock:
            if not _files:
                _sweeper = None
                return
            _let_go()


def _let_go() -> None:
    """In a function of its own, whose end lets go of the files as well."""
    for pages in list(_files):
        pages.madvise(mmap.MADV_DONTNEED)
