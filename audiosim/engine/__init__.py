"""How loops are compiled, cut into blocks, threaded and cached. It knows nothing of acoustics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import lazy

if TYPE_CHECKING:
    from . import (
        cache as cache,
    )
    from . import (
        compilation as compilation,
    )
    from . import (
        decibels as decibels,
    )
    from . import (
        divergence as divergence,
    )
    from . import (
        elementary as elementary,
    )
    from . import (
        fft as fft,
    )
    from . import (
        fold as fold,
    )
    from . import (
        frames as frames,
    )
    from . import (
        kernel as kernel,
    )
    from . import (
        moments as moments,
    )
    from . import (
        stream as stream,
    )
    from . import (
        tensors as tensors,
    )
    from . import (
        threads as threads,
    )
    from . import (
        transposes as transposes,
    )
    from . import (
        windows as windows,
    )

__getattr__ = lazy.modules(__name__, __file__)
