"""Measures of the book by Loizou: segments, critical bands, envelopes, coherence, speech bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        band_envelopes as band_envelopes,
    )
    from . import (
        coherence_levels as coherence_levels,
    )
    from . import (
        critical_bands as critical_bands,
    )
    from . import (
        envelopes as envelopes,
    )
    from . import (
        segments as segments,
    )
    from . import (
        speech_bands as speech_bands,
    )

__getattr__ = lazy.modules(__name__, __file__)
