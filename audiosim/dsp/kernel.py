"""The one way in which audiosim compiles a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])


def kernel(function: F) -> F:
    """Compile on first call, without the interpreter lock; sums may be reordered, so that loops vectorise.

    Nothing else is relaxed: equal inputs stay equal, nan and inf stay what they are. A kernel calls kernels of its own
    file only, because the cache on disk does not notice a change in another file.
    """
    return _compile(function, {"reassoc", "nsz"})


def exact_kernel(function: F) -> F:
    """As kernel, but every operation in the order written: for differences of sums that must cancel exactly."""
    return _compile(function, False)


def _compile(function: F, fastmath: Any) -> F:
    try:
        compiled: F = njit(function, cache=True, nogil=True, fastmath=fastmath)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        compiled = njit(function, nogil=True, fastmath=fastmath)
    return compiled
