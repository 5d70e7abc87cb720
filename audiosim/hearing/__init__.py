"""Stages of the ear that several families of metrics share."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import lazy

if TYPE_CHECKING:
    from . import (
        audiogram as audiogram,
    )
    from . import (
        gammatone as gammatone,
    )
    from . import (
        loudness as loudness,
    )
    from . import (
        magnitudes as magnitudes,
    )
    from . import (
        scales as scales,
    )
    from . import (
        sensation as sensation,
    )
    from . import (
        stft_loss as stft_loss,
    )
    from . import (
        tensors as tensors,
    )
    from . import (
        weighting as weighting,
    )

__getattr__ = lazy.modules(__name__, __file__)
