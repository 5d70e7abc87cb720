"""ViSQOL: patches, their similarity (NSIM), and the support vectors that make a score of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        downmix as downmix,
        mos as mos,
        nsim as nsim,
        patches as patches,
        rectified_lag as rectified_lag,
        support_vectors as support_vectors,
    )

__getattr__ = lazy.modules(__name__, __file__)
