"""Packages whose modules load on first use, because kernels bring numba with them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any


def modules(package: str, file: str) -> Callable[[str], Any]:
    """A package's __getattr__: its modules and packages, imported when they are first named."""
    folder = Path(file).parent
    names = {p.stem for p in folder.glob("[!_]*.py")} | {p.parent.name for p in folder.glob("[!_]*/__init__.py")}

    def attribute(name: str) -> Any:
        if name in names:
            return import_module(f".{name}", package)
        raise AttributeError(f"module {package!r} has no attribute {name!r}")

    return attribute
