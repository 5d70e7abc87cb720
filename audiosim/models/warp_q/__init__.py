"""WARP-Q: normalised cepstra and voice activity."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        normalised_cepstra as normalised_cepstra,
        voice_activity as voice_activity,
    )

__getattr__ = lazy.modules(__name__, __file__)
