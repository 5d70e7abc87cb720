"""Critical bands of speech and what they weigh. ANSI S3.5-1997, tables 1 and B.1."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

CENTRES = np.array(
    [
        *(150.0, 250.0, 350.0, 450.0, 570.0, 700.0, 840.0, 1000.0, 1170.0, 1370.0, 1600.0),
        *(1850.0, 2150.0, 2500.0, 2900.0, 3400.0, 4000.0, 4800.0, 5800.0, 7000.0, 8500.0),
    ]
)  # Hz
WIDTHS = np.array(
    [
        *(100.0, 100.0, 100.0, 110.0, 120.0, 140.0, 150.0, 160.0, 190.0, 210.0, 240.0),
        *(280.0, 320.0, 380.0, 450.0, 550.0, 700.0, 900.0, 1100.0, 1300.0, 1800.0),
    ]
)  # Hz
IMPORTANCE = np.array(
    [
        *(0.0192, 0.0312, 0.0926, 0.1031, 0.0735, 0.0611, 0.0495, 0.0440, 0.0440, 0.0490, 0.0486),
        *(0.0493, 0.0490, 0.0547, 0.0555, 0.0493, 0.0359, 0.0387, 0.0256, 0.0219, 0.0043),
    ]
)

LIMIT = 15.0  # dB of a signal-to-noise ratio, beyond which speech is lost, or heard in full


def audibility(ratio_db: Array) -> Array:
    """0 to 1: how much of a band is heard at a signal-to-noise ratio in dB. ANSI S3.5-1997, clause 5.4."""
    heard: Array = np.clip((ratio_db + LIMIT) / (2 * LIMIT), 0, 1)
    return heard


def importance(hz: Array) -> Array:
    """Importance of speech at frequencies from 150 to 8500 Hz, interpolated."""
    weights: Array = np.interp(hz, CENTRES, IMPORTANCE)
    return weights
