"""Networks as they are used: the weights of a known model, read once and kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from ..errors import InputError
from . import read, weights

Make = Callable[[Mapping[str, Any], str], Any]


def network(name: str, path: str, make: Make) -> Any:
    """make(what the model's file holds, its path), kept until the file changes.

    path: where the user says that the file is; "" for where it is found. MissingModel where it is not.
    """
    file = weights.find(name, path or None)
    return _made(file, file.stat().st_mtime_ns, make)


@lru_cache(maxsize=8)
def _made(file: Path, _: int, make: Make) -> Any:
    held = read(file)
    if not isinstance(held, Mapping):
        raise InputError(f"{file} holds no weights by name")
    return make(held, str(file))
