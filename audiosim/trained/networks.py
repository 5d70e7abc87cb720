"""Networks as they are used: the weights of a known model, read once and kept."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from . import read
from .weights import find

Make = Callable[[Any, str], Any]


def network(name: str, path: str, make: Make) -> Any:
    """make(what the model's file holds, its path), kept until the file changes.

    path: where the user says that the file is; "" for where it is found. MissingModel where it is not.
    """
    file = find(name, path or None)
    return _made(file, file.stat().st_mtime_ns, make)


@lru_cache(maxsize=8)
def _made(file: Path, _: int, make: Make) -> Any:
    return make(read(file), str(file))
