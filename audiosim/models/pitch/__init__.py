"""Fundamental frequency: a tracker, and how two tracks agree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        agreement as agreement,
        tracker as tracker,
    )

__getattr__ = lazy.modules(__name__, __file__)
