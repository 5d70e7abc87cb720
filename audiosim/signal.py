"""Samples with their rate and name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import InputError

MOST_CHANNELS = 256  # more of them than samples are taken for [sample, channel], the other way round


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """A recording.

    samples: float32 or float64 [channel, sample], C-contiguous, finite; full scale is 1.0.
    rate: sampling rate in Hz.
    name: what messages call it (usually its path).
    """

    samples: NDArray[Any]
    rate: int
    name: str = ""

    @classmethod
    def of(cls, samples: ArrayLike, rate: int, name: str = "array") -> Signal:
        """A Signal from numbers: [sample] or [channel, sample], any real dtype.

        Integers are scaled to full scale 1.0 by their type's range; float32 and float64 are kept.
        Raises InputError for empty, non-finite or wrongly shaped input.
        """
        try:
            array = np.asarray(samples)
        except ValueError:
            raise InputError(f"{name}: samples must be [sample] or [channel, sample], not of unequal lengths") from None
        if array.dtype.kind == "u":
            half = (np.iinfo(array.dtype).max + 1) // 2
            array = (array.astype(np.float64) - half) / half
        elif array.dtype.kind == "i":
            array = array.astype(np.float64) / -float(np.iinfo(array.dtype).min)
        elif array.dtype.kind == "f":
            array = array.astype(np.float64 if array.dtype.itemsize > 4 else np.float32, copy=False)
        else:
            raise InputError(f"{name}: samples must be real numbers, not {array.dtype}")
        if array.ndim == 1:
            array = array[None, :]
        if array.ndim != 2:
            raise InputError(f"{name}: samples must be [sample] or [channel, sample], not {array.ndim}-dimensional")
        if array.shape[1] == 0 or array.shape[0] == 0:
            raise InputError(f"{name}: has no samples")
        if array.shape[0] > max(MOST_CHANNELS, array.shape[1]):
            raise InputError(f"{name}: {array.shape[0]} channels of {array.shape[1]} samples; pass the transpose (.T)")
        try:
            whole = int(rate)
        except (TypeError, ValueError, OverflowError):
            whole = 0
        if whole != rate or whole <= 0:
            raise InputError(f"{name}: the sampling rate must be a positive whole number of Hz, not {rate}")
        array = np.ascontiguousarray(array)
        check_finite(array, name)
        return cls(array, whole, name)

    @property
    def channels(self) -> int:
        return int(self.samples.shape[0])

    @property
    def length(self) -> int:
        """Samples per channel."""
        return int(self.samples.shape[1])

    @property
    def duration(self) -> float:
        """Seconds."""
        return self.length / self.rate


def check_finite(samples: NDArray[Any], name: str) -> None:
    """InputError when a sample is NaN or infinite; one cheap pass when all are fine."""
    with np.errstate(invalid="ignore", over="ignore"):
        suspicious = not np.isfinite(samples.sum())
    if suspicious:
        bad = ~np.isfinite(samples)
        if bad.any():
            channel, sample = np.argwhere(bad)[0]
            count = int(bad.sum())
            many = f"{count} samples are NaN or infinite, the first is" if count > 1 else "NaN or infinite is"
            raise InputError(
                f"{name}: {many} sample {sample} of channel {channel + 1}; repair the recording or export it again"
            )
