"""Signal mathematics that knows nothing of ears."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .. import lazy

if TYPE_CHECKING:
    from . import (
        alignment as alignment,
        cepstrum as cepstrum,
        chroma as chroma,
        clusters as clusters,
        correlation as correlation,
        covariance as covariance,
        drift as drift,
        excerpt as excerpt,
        gaussians as gaussians,
        linear_prediction as linear_prediction,
        mel_cepstrum as mel_cepstrum,
        performance as performance,
        polyphase as polyphase,
        projection as projection,
        recursive as recursive,
        resampling as resampling,
        transport as transport,
        warping as warping,
    )

__getattr__ = lazy.modules(__name__, __file__)
