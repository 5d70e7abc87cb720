"""PESQ: alignment of utterances, disturbance, score; PMSQE, its differentiable relative."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        alignment as alignment,
    )
    from . import (
        disturbance as disturbance,
    )
    from . import (
        pmsqe as pmsqe,
    )
    from . import (
        score as score,
    )

__getattr__ = lazy.modules(__name__, __file__)
