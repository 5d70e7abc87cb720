"""Masked thresholds and the detectability of a distortion."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        detectability as detectability,
        threshold as threshold,
    )

__getattr__ = lazy.modules(__name__, __file__)
