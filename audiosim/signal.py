"""Samples with their rate and name."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log10
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import FullScaleWarning, InputError, UsageError

LOUD = 2.0  # +6 dBFS: decoders overshoot by less; samples beyond are probably in other units
MOST_CHANNELS = 16  # more of them than samples are taken for [sample, channel], the other way round


@dataclass(frozen=True, slots=True, eq=False)
class Signal:
    """A recording.

    samples: float32 or float64 [channel, sample], C-contiguous, finite; full scale is 1.0.
    rate: sampling rate in Hz.
    name: what messages call it (usually its path).
    decoder: what read it, empty for libsndfile and arrays; notes: what is wrong with its file.
    """

    samples: NDArray[Any]
    rate: int
    name: str = ""
    decoder: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, samples: ArrayLike, rate: int, name: str = "array", finite: bool = False) -> Signal:
        """A Signal from numbers: [sample] or [channel, sample], any real dtype.

        Integers are scaled to full scale 1.0 by their type's range; float32 and float64 are kept.
        finite: somebody else sees to it that the samples are.
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
        array = in_order(array)
        if not finite:
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


def in_order(samples: NDArray[Any]) -> NDArray[Any]:
    """The samples one after the other, aligned, in the byte order of this machine; a copy only where they are not.

    Sums in another order of memory have other last digits.
    """
    return np.require(samples, samples.dtype.newbyteorder("="), ["C", "A"])


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


def cuts(lengths: Any, there: Sequence[int], name: str = "lengths") -> list[int]:
    """lengths [item], the samples that count of items in a padded batch, as whole numbers; there: how many each item
    has. UsageError where they do not fit."""
    given = np.asarray(lengths.tolist() if hasattr(lengths, "tolist") else lengths)
    if given.shape != (len(there),) or given.dtype.kind not in "iu":
        raise UsageError(
            f"{name} are whole numbers of samples, one for each of {len(there)} items, "
            f"not {given.dtype} of shape {list(given.shape)}"
        )
    found: list[int] = given.tolist()
    for i, (cut, most) in enumerate(zip(found, there, strict=True)):
        if not 0 < cut <= most:
            raise UsageError(f"{name}[{i}] is {cut}, but the item has 1 to {most} samples")
    return found


def dbfs(amplitude: float) -> float:
    """Of an amplitude from 0 on, relative to full scale; -inf of silence."""
    return 20 * log10(amplitude) if amplitude > 0 else -inf


_warned: set[bool] = set()


def may_warn() -> bool:
    """Whether anything is left to warn of in this process."""
    return True not in _warned


def warn_once(loud: bool, said: str, stacklevel: int) -> None:
    """A FullScaleWarning: one a process, and one more of samples above +6 dBFS."""
    if loud not in _warned:
        _warned.add(loud)
        warnings.warn(said, FullScaleWarning, stacklevel + 1)


def warn_of_loss(target: float, estimate: float, stacklevel: int) -> None:
    """The same for these peaks of a loss; an estimate may overshoot by 6 dB without a word."""
    peaks = {"target": target, "input": estimate if estimate > LOUD else 0.0}
    beyond = {name: dbfs(peak) for name, peak in peaks.items() if 1 < peak < inf}
    if beyond:
        said = " and ".join(f"the {name} peaks at {peak:+.1f} dBFS" for name, peak in beyond.items())
        advice = "scale the samples to full scale 1.0; those in units of int16 are divided by 32768"
        warn_once(max(beyond.values()) > dbfs(LOUD), f"{said}, beyond full scale: {advice}", stacklevel + 1)
