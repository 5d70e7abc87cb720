"""When kernels are compiled, which takes seconds and happens once a machine."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

NOTICE = "compiling kernels, once on this machine"
TABLE = Path(__file__).parents[1] / "tables" / "kernels.csv"  # metric, kernel; written by audiosim.build_cache --table


def expected(metrics: Iterable[str]) -> int:
    """How many kernels a first comparison by these metrics compiles, with their default options; 0: nobody counted."""
    names = set(metrics)
    rows = [line.split(",") for line in TABLE.read_text().splitlines()[1:]]
    return len({kernel for metric, kernel in rows if metric in names}) if names <= {row[0] for row in rows} else 0


def when_compiling(begun: Callable[[str], None], ended: Callable[[], None] = lambda: None) -> None:
    """Call begun(kernel) as each kernel begins to be compiled in this process, and `ended` when none is in work any
    more; kernels from the cache say nothing."""
    from numba.core import event

    class Compilations(event.Listener):  # type: ignore[misc]  # numba has no types
        depth = 0  # one at a time, but each compiles those that it calls

        def on_start(self, event: Any) -> None:
            self.depth += 1
            function = event.data["dispatcher"].py_func
            if not function.__module__.startswith("numba."):
                begun(f"{function.__module__}.{function.__qualname__}")

        def on_end(self, event: Any) -> None:
            del event
            self.depth -= 1
            if self.depth == 0:
                ended()

    event.register("numba:compile", Compilations())


def target() -> str:
    """The processor that kernels are compiled for: values depend on it in their last digits."""
    import llvmlite.binding
    import numba

    from .kernel import TARGET, carried

    here = numba.config.CPU_NAME or llvmlite.binding.get_host_cpu_name()
    return f"{TARGET}, compiled with this package; others for {here}" if carried() else f"{here}, compiled here"
