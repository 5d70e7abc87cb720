"""Stages of the ear that several metrics share. Modules load on first use, because kernels bring numba with them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

_MODULES = {path.stem for path in Path(__file__).parent.glob("[!_]*.py")}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
