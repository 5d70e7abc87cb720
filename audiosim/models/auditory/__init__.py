"""The auditory distance: its filter bank, levels and peakiness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        complex_gammatone as complex_gammatone,
        directed as directed,
        levels as levels,
        partial_loudness as partial_loudness,
        peakiness as peakiness,
        recording as recording,
    )

__getattr__ = lazy.modules(__name__, __file__)
