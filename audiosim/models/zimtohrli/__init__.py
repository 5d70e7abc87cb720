"""Zimtohrli: its filter bank, structural similarity and time warping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        greedy_warping as greedy_warping,
        phasor_bank as phasor_bank,
        structure as structure,
    )

__getattr__ = lazy.modules(__name__, __file__)
