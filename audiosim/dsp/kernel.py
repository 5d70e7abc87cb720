"""The one way in which audiosim compiles a loop."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

# Sums may be reordered and multiply-adds fused, so that loops vectorise; nothing may assume that nan or inf is absent.
# A kernel must not subtract two expressions of which one is the other's twin: fused differently they differ.
_REORDER = {"reassoc", "nsz", "contract"}


def kernel(function: F) -> F:
    """Compile on first call, without the interpreter lock, and keep the machine code on disk where that is possible.

    A kernel calls kernels of its own file only: the cache does not notice a change in another file.
    """
    try:
        compiled: F = njit(function, cache=True, nogil=True, fastmath=_REORDER)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        compiled = njit(function, nogil=True, fastmath=_REORDER)
    return compiled
