"""One channel of samples, filtered by at most two taps while it is read: nothing is copied but the part in work."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .kernel import kernel

Array = NDArray[Any]


class Stream(NamedTuple):
    """y[n] = x[n] - coef x[n - lag], zero outside: the whole response, len(x) + lag samples."""

    samples: Array  # [sample], C-contiguous
    coef: np.floating[Any]  # of the dtype that all is computed in from here on: the samples' or a wider one
    lag: int  # 0: the samples as they are

    @property
    def dtype(self) -> np.dtype[Any]:
        """What all is computed in from here on."""
        return self.coef.dtype

    @property
    def as_they_are(self) -> bool:
        """Whether the samples are neither filtered nor widened."""
        return self.lag == 0 and self.dtype == self.samples.dtype

    @property
    def length(self) -> int:
        return int(self.samples.size) + self.lag


def plain(samples: Array) -> Stream:
    """The samples as they are."""
    return Stream(samples, samples.dtype.type(0), 0)


def double(stream: Stream) -> Stream:
    """The same, computed in float64 from the samples on; they are not copied."""
    return stream._replace(coef=np.float64(stream.coef))


def part(stream: Stream, start: int, size: int) -> Array:
    """y from sample `start` on, of the stream's dtype, zero outside of y; a copy only where y is not the samples."""
    if stream.as_they_are and 0 <= start <= stream.length - size:
        return stream.samples[start : start + size]
    out = np.empty(size, stream.dtype)
    read(*stream, start, out)
    return out


def centred(stream: Stream, mean: float) -> Stream:
    """The filtered samples less a constant: a copy."""
    return plain(part(stream, 0, stream.length) - stream.dtype.type(mean))


@kernel
def read(x: Array, coef: Any, lag: int, start: int, out: Array) -> None:
    """out[i] = y[start + i], zero outside of y."""
    n = out.size
    if lag > 0 and start >= lag and start + n <= x.size:  # all but the ends: one pass
        head = x[start : start + n]
        tail = x[start - lag : start - lag + n]
        for i in range(n):
            out[i] = head[i] - coef * tail[i]
        return
    a = min(max(0, -start), n)
    b = max(min(n, x.size - start), a)
    out[:a] = 0
    out[b:] = 0
    for i in range(a, b):
        out[i] = x[start + i]
    if lag > 0:
        a = min(max(0, lag - start), n)
        b = max(min(n, x.size + lag - start), a)
        tail = x[start - lag + a : start - lag + b]
        head = out[a:b]
        for i in range(tail.size):
            head[i] -= coef * tail[i]


@kernel
def read_reflected(x: Array, coef: Any, lag: int, start: int, out: Array) -> None:
    """As read, but mirrored at the first and the last sample of y instead of zero (numpy's pad mode "reflect").

    Needs that the part outside is shorter than y.
    """
    read(x, coef, lag, start, out)
    last = x.size + lag - 1
    for i in range(out.size):
        n = start + i
        if n < 0:
            n = -n
        elif n > last:
            n = 2 * last - n
        else:
            continue
        value = x[n] if n < x.size else x.dtype.type(0)
        if lag > 0 and n >= lag:
            value -= coef * x[n - lag]
        out[i] = value
