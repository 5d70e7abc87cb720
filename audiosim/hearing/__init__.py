"""Stages of the ear that several families of metrics share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import lazy

if TYPE_CHECKING:
    from . import (
        audiogram as audiogram,
        band_statistics as band_statistics,
        gammatone as gammatone,
        loudness as loudness,
        magnitudes as magnitudes,
        programme as programme,
        scales as scales,
        sensation as sensation,
        tensors as tensors,
        weighting as weighting,
    )

__getattr__ = lazy.modules(__name__, __file__)
