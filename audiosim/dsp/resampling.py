"""Another sampling rate."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..engine.cache import cached
from ..errors import InputError

if TYPE_CHECKING:
    from ..signal import Signal


def to_rate(signal: Signal, rate: int, quality: str = "VHQ") -> Signal:
    """The Signal at `rate` Hz, by soxr's linear-phase filter of this quality; dtype and start are kept.

    The same object when it has that rate already. InputError when it is too short to have one sample there.
    """
    if signal.rate == rate:
        return signal
    import soxr

    def resampled() -> NDArray[Any]:
        return np.ascontiguousarray(soxr.resample(signal.samples.T, signal.rate, rate, quality=quality).T)

    samples = cached(signal.samples, ("rate", signal.rate, rate, quality), resampled)
    if samples.shape[1] == 0:
        raise InputError(
            f"{signal.name}: {signal.length} {'sample' if signal.length == 1 else 'samples'} at {signal.rate} Hz, "
            f"too short for {rate} Hz; compare longer recordings"
        )
    return replace(signal, samples=samples, rate=rate)
