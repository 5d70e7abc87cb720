"""Named parts of a value, for whoever listens: a metric tells those that it has at hand when it computes the value."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_heard: ContextVar[dict[str, Any] | None] = ContextVar("heard", default=None)


@contextmanager
def listening() -> Iterator[dict[str, Any]]:
    """What is told meanwhile, in this thread: name -> values [item], tensors or arrays."""
    parts: dict[str, Any] = {}
    before = _heard.set(parts)
    try:
        yield parts
    finally:
        _heard.reset(before)


def tell(parts: Callable[[], Mapping[str, Any]]) -> None:
    """parts() is asked for only where somebody listens."""
    heard = _heard.get()
    if heard is not None:
        heard.update(parts())
