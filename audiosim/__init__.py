"""audiosim: how alike two recordings sound, where and when they differ.

Names are imported on first use, so that ``import audiosim`` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import metrics, nn as nn, torchmetrics as torchmetrics
    from .audio import load
    from .batched import Metric
    from .card import Card
    from .loss import Loss as Loss
    from .published import schema
    from .result import Result
    from .results import Results, compare, compare_sources
    from .sets.compared import compare_sets
    from .signal import Signal
    from .testing.audit import audit

__version__ = "0.1.0"
# Loss and nn are public too, but need torch: a star import must not.
__all__ = [
    "Card",
    "Metric",
    "Result",
    "Results",
    "Signal",
    "audit",
    "compare",
    "compare_sets",
    "compare_sources",
    "load",
    "metrics",
    "schema",
]

_HOME = {
    "Card": "card",
    "Metric": "batched",
    "Result": "result",
    "Results": "results",
    "Signal": "signal",
    "audit": "testing.audit",
    "compare": "results",
    "compare_sets": "sets.compared",
    "compare_sources": "results",
    "load": "audio",
    "Loss": "loss",
    "schema": "published",
}


def __getattr__(name: str) -> Any:
    if name in ("metrics", "nn", "torchmetrics"):
        return import_module(f".{name}", __name__)
    if name in _HOME:
        value = getattr(import_module(f".{_HOME[name]}", __name__), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
