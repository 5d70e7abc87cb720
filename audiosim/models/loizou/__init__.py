"""Measures of the book by Loizou: segments, critical bands, envelopes, coherence, speech bands."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        band_envelopes as band_envelopes,
        coherence_levels as coherence_levels,
        critical_bands as critical_bands,
        envelopes as envelopes,
        segments as segments,
        speech_bands as speech_bands,
    )

__getattr__ = lazy.modules(__name__, __file__)
