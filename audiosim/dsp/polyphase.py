"""Windowed sincs in polyphase form, for metrics that were defined behind them: Octave's resampler and SciPy's.

Octave signal 1.4, resample, as scipy.signal.resample_poly with that filter; and resample_poly with its own. Signals are
brought to soxr's quality in dsp.resampling everywhere else.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil, gcd
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ..engine import stream
from ..engine.kernel import kernel
from ..engine.threads import in_threads
from ..errors import UsageError

if TYPE_CHECKING:
    from ..engine.stream import Stream

Array = NDArray[Any]

REJECTION = 60.0  # dB
ROLL_OFF = 0.1  # of the cut-off frequency
BLOCK = 1 << 13  # outputs per task; fixed, so that nothing depends on the number of threads
LARGEST = 1 << 25  # taps of all phases that the torch implementation takes


def ratio(rate: int, wanted: int) -> tuple[int, int]:
    """up and down, without common factors, that lead from one rate to the other."""
    common = gcd(rate, wanted)
    return wanted // common, rate // common


@lru_cache(maxsize=16)
def taps(up: int, down: int) -> Array:
    """The symmetric filter float64 [tap] at the rate times up, which passes what both rates hold; it sums to up."""
    cutoff = 0.5 / max(up, down)
    half = ceil((REJECTION - 8) / (28.714 * ROLL_OFF * cutoff))
    t = np.arange(-half, half + 1)
    h = np.kaiser(t.size, 0.1102 * (REJECTION - 8.7)) * np.sinc(2 * cutoff * t)
    result: Array = h * (up / h.sum())
    return result


@lru_cache(maxsize=16)
def short_taps(up: int, down: int) -> Array:
    """As taps, but SciPy's: ten samples of the lower rate on either side."""
    wide = max(up, down)
    t = np.arange(-10 * wide, 10 * wide + 1)
    h = np.kaiser(t.size, 5.0) * np.sinc(t / wide)
    result: Array = h * (up / h.sum())
    return result


@lru_cache(maxsize=16)
def phases(up: int, down: int, design: Callable[[int, int], Array] = taps) -> Array:
    """The taps by phase, the last first: float64 [up, tap]; phase r holds taps r, r + up, ..., zeros before them."""
    h = design(up, down)
    count = -(-h.size // up)
    padded = np.zeros(count * up)
    padded[: h.size] = h
    return np.ascontiguousarray(padded.reshape(count, up).T[:, ::-1])


def resampled(
    signal: Stream, rate: int, wanted: int, threads: int = 1, design: Callable[[int, int], Array] = taps
) -> Array:
    """The signal [sample] at the wanted rate, float64 [ceil(samples wanted / rate)]; zeros lie around it."""
    up, down = ratio(rate, wanted)
    if up == down:
        samples = np.empty(signal.length)
        stream.read(*signal, 0, samples)
        return samples
    table = phases(up, down, design)
    half = design(up, down).size // 2
    out = np.empty(-(-signal.length * up // down))

    def task(first: int) -> None:
        part = out[first : first + BLOCK]
        start = (first * down + half) // up - table.shape[1] + 1
        stop = ((first + part.size - 1) * down + half) // up + 1
        block = np.empty(stop - start)
        stream.read(*signal, start, block)
        _convolve(block, start, table, up, down, first * down + half, part)

    in_threads(task, range(0, out.size, BLOCK), threads)
    return out


@kernel
def _convolve(x: Array, start: int, table: Array, up: int, down: int, position: int, out: Array) -> None:
    """out[m] = sum_k table[r, k] x[n - taps + 1 + k], (n, r) = divmod(position + m down, up); x begins at `start`.

    Phase by phase, four outputs at a time: the taps are read once for all of them.
    """
    size = table.shape[1]
    for r in range(up):
        n = (position + r * down) // up
        taps = table[position + r * down - n * up]
        part = x[n - size + 1 - start :]
        m = r
        while m + 3 * up < out.size:
            a = part
            b = part[down:]
            c = part[2 * down :]
            d = part[3 * down :]
            sum_a = sum_b = sum_c = sum_d = 0.0
            for k in range(size):
                sum_a += taps[k] * a[k]
                sum_b += taps[k] * b[k]
                sum_c += taps[k] * c[k]
                sum_d += taps[k] * d[k]
            out[m] = sum_a
            out[m + up] = sum_b
            out[m + 2 * up] = sum_c
            out[m + 3 * up] = sum_d
            m += 4 * up
            part = part[4 * down :]
        while m < out.size:
            total = 0.0
            for k in range(size):
                total += taps[k] * part[k]
            out[m] = total
            m += up
            part = part[down:]


def resampler_torch(rate: int, wanted: int, design: Callable[[int, int], Array] = taps) -> Callable[[Any], Any]:
    """resampled for tensors: x [item, sample], float64 -> [item, sample].

    UsageError for rates whose ratio takes a filter beyond all measure, such as 44099 to 10000 Hz.
    """
    from ..engine.tensors import Constant

    up, down = ratio(rate, wanted)
    if up == down:
        return lambda x: x
    table = phases(up, down, design)
    half, size = design(up, down).size // 2, table.shape[1]
    # phase r of output m = up i + r: a filter over inputs from down i + first on
    starts = [(r * down + half) // up - size + 1 for r in range(up)]
    first, width = starts[0], starts[-1] - starts[0] + size
    if up * width > LARGEST:
        raise UsageError(f"a loss at {rate} Hz cannot be resampled to {wanted} Hz: give signals at a common rate")
    weights = np.zeros((up, 1, width))
    for r, begin in enumerate(starts):
        weights[r, 0, begin - first : begin - first + size] = table[(r * down + half) % up]
    filters = Constant(weights)

    def transform(x: Any) -> Any:
        from torch.nn import functional

        length = -(-x.shape[-1] * up // down)
        blocks = -(-length // up)
        behind = (blocks - 1) * down + first + width - x.shape[-1]
        padded = functional.pad(x, (-first, behind))[:, None]
        return functional.conv1d(padded, filters(x), stride=down).transpose(1, 2).flatten(1)[:, :length]

    return transform
