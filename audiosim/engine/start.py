"""What a process of the command line need not load."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

whole_process = False  # whether nobody's program but ours runs in this process


class _Hidden:
    """Finds nothing for numba where it would import a package merely because it is installed."""

    names = ("cffi", "scipy.linalg", "yaml")  # foreign functions, BLAS inside kernels, numba's own settings

    @classmethod
    def find_spec(cls, name: str, path: Any = None, target: Any = None) -> None:
        del path, target
        if name in cls.names and _importer().startswith("numba."):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _importer() -> str:
    """The module whose import statement runs."""
    frame: Any = sys._getframe(2)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("importlib."):
        frame = frame.f_back
    return "" if frame is None else str(frame.f_globals.get("__name__", ""))


@contextmanager
def _hiding() -> Iterator[None]:
    sys.meta_path.insert(0, _Hidden)
    try:
        yield
    finally:
        sys.meta_path.remove(_Hidden)


def load_numba() -> None:
    """Import numba and make it ready for kernels: 0.1 s less than it takes by itself.

    Only for metrics of ours, in a process of ours: numba then compiles no linear algebra, and calls no C functions.
    """
    if not whole_process or "numba" in sys.modules or Path(".numba_config.yaml").exists():
        return
    with _hiding():
        from numba.core.registry import cpu_target

        cpu_target.target_context.refresh()
