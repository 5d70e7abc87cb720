"""PESQ: alignment of utterances, disturbance, score; PMSQE, its differentiable relative."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        alignment as alignment,
        disturbance as disturbance,
        pmsqe as pmsqe,
        score as score,
    )

__getattr__ = lazy.modules(__name__, __file__)
