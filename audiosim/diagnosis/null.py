"""The null test: one recording minus the other, sample by sample; and how coarse the steps of their samples are."""

from __future__ import annotations

from collections.abc import Iterator
from math import log2, sqrt
from typing import TYPE_CHECKING, Any

from ..errors import Mismatch
from ..signal import dbfs
from .finding import NullTest

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ..signal import Signal

    Array = NDArray[Any]

BLOCK = 1 << 18  # samples at a time
FINEST = 24  # bits that are looked for


def null_test(ref: Signal, test: Signal) -> NullTest | None:
    """None where rates or channels differ."""
    import numpy as np

    if ref.rate != test.rate or ref.channels != test.channels:
        return None
    length = min(ref.length, test.length)
    differing, first, peak, energy = 0, None, 0.0, 0.0
    for at in range(0, length, BLOCK):
        x, y = (s.samples[:, at : min(at + BLOCK, length)] for s in (ref, test))
        unequal = x != y
        count = int(np.count_nonzero(unequal))
        if count == 0:
            continue
        if first is None:
            first = at + int(unequal.any(axis=0).argmax())
        differing += count
        e = np.subtract(y, x, dtype=np.float64)
        peak = max(peak, float(e.max()), -float(e.min()))
        energy += float(np.square(e).sum())
    samples = length * ref.channels
    return NullTest(
        samples=samples,
        differing=differing,
        first_sample=first,
        first=None if first is None else first / ref.rate,
        peak_dbfs=dbfs(peak) if peak else None,
        rms_dbfs=dbfs(sqrt(energy / samples)) if energy else None,
        bits=max(-log2(peak), 0.0) if peak else None,
    )


def residual(ref: Signal, test: Signal) -> Signal:
    """The test minus the reference as they are, as far as both of them go.

    Raises Mismatch where rates or channels differ.
    """
    from dataclasses import replace

    import numpy as np

    from .. import scratch

    if ref.rate != test.rate:
        raise Mismatch(
            f"rates differ: {ref.name} has {ref.rate} Hz, {test.name} has {test.rate} Hz; "
            "a difference needs equal ones, which --rate resample makes",
            {"rate": "resample"},
        )
    if ref.channels != test.channels:
        raise Mismatch(
            f"channels differ: {ref.name} has {ref.channels}, {test.name} has {test.channels}; "
            "a difference needs equal ones, which --channels mono makes",
            {"channels": "mono"},
        )
    length = min(ref.length, test.length)
    out = scratch.empty((ref.channels, length), np.result_type(ref.samples, test.samples))
    for at in range(0, length, BLOCK):
        cut = slice(at, min(at + BLOCK, length))
        np.subtract(test.samples[:, cut], ref.samples[:, cut], out=out[:, cut])
    return replace(test, samples=out, name=f"{test.name} - {ref.name}")


def bit_depth(samples: Array) -> int | None:
    """The fewest bits that hold all samples exactly; None for more than FINEST, for silence, and beyond full scale."""
    import numpy as np

    used = 0
    for block in _blocks(samples):
        scaled = block * block.dtype.type(1 << (FINEST - 1))
        if np.abs(scaled).max() > 1 << (FINEST - 1):
            return None
        whole = scaled.astype(np.int32)
        if (whole != scaled).any():
            return None
        used |= int(np.bitwise_or.reduce(whole, axis=None))
    if used == 0:
        return None
    unused = (used & -used).bit_length() - 1
    return FINEST - unused


def _blocks(samples: Array) -> Iterator[Array]:
    """Small ones first: most recordings that are on no grid show it at once."""
    at, size = 0, 1 << 12
    while at < samples.shape[1]:
        yield samples[:, at : at + size]
        at, size = at + size, BLOCK
