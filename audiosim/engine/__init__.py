"""How loops are compiled, cut into blocks, threaded and cached. It knows nothing of acoustics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import lazy

if TYPE_CHECKING:
    from . import (
        cache as cache,
        compilation as compilation,
        decibels as decibels,
        divergence as divergence,
        elementary as elementary,
        fft as fft,
        fold as fold,
        frames as frames,
        gram as gram,
        kernel as kernel,
        lanes as lanes,
        memory as memory,
        moments as moments,
        pairwise as pairwise,
        parts as parts,
        products as products,
        start as start,
        stream as stream,
        tensors as tensors,
        term as term,
        threads as threads,
        transposes as transposes,
        vectors as vectors,
        windows as windows,
    )

__getattr__ = lazy.modules(__name__, __file__)
