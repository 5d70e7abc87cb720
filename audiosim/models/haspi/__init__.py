"""HASPI and HASQI: the impaired ear, modulation cepstra and coherence of the basilar membrane."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        impaired_ear as impaired_ear,
        lag as lag,
        listener as listener,
        membrane_coherence as membrane_coherence,
        modulation_cepstra as modulation_cepstra,
    )

__getattr__ = lazy.modules(__name__, __file__)
