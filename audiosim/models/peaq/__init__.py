"""PEAQ (ITU-R BS.1387): both ears, what disturbs them, and the model output variables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ... import lazy

if TYPE_CHECKING:
    from . import (
        advanced_variables as advanced_variables,
        audible as audible,
        disturbance as disturbance,
        fft_ear as fft_ear,
        filter_bank_ear as filter_bank_ear,
        network as network,
        output_tensors as output_tensors,
        output_variables as output_variables,
        tensors as tensors,
        transposes as transposes,
    )

__getattr__ = lazy.modules(__name__, __file__)
