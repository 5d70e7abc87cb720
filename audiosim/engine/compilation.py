"""When kernels are compiled, which takes seconds and happens once a machine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

NOTICE = "compiling kernels for their first use on this machine: up to a minute, only once"


def when_compiling(tell: Callable[[], None]) -> None:
    """Call `tell` at the first compilation of this process; a kernel from the cache says nothing."""
    from numba.core import event

    class First(event.Listener):  # type: ignore[misc]  # numba has no types
        said = False

        def on_start(self, event: Any) -> None:
            del event
            if not First.said:
                First.said = True
                tell()

        def on_end(self, event: Any) -> None:
            del event

    event.register("numba:compile", First())
