"""Linear prediction by the autocorrelation method: the all-pole envelope of windowed frames. Markel and Gray 1976.

A(z) = 1 + sum_{k=1}^{P} a_k z^-k, by the recursion of Levinson and Durbin. The cepstrum of 1 / A is one-sided, of the
natural logarithm of amplitude: ln|1 / A| = sum c_m cos(m w).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.kernel import kernel
from ..engine.stream import Stream, read
from ..engine.threads import in_threads

Array = NDArray[Any]

SILENCE = 1e-20  # energy of white noise under every frame: what is silent has a flat spectrum
RIDGE = 1e-13  # of it in parts of the frame's energy, so that tones, which are predicted without error, do no harm
TASK = 256  # frames


def frame_count(length: int, size: int, hop: int) -> int:
    """Frames of size samples, hop apart, that lie within so many."""
    return max(0, (length - size) // hop + 1)


def predictors(
    stream: Stream,
    window: Array,
    hop: int,
    count: int,
    order: int,
    *,
    offset: float = 0.0,
    guarded: bool = True,
    threads: int = 1,
) -> tuple[Array, Array]:
    """Of `count` frames under the window: predictors a [frame, order + 1], a_0 = 1, and the autocorrelation [the same]
    that they solve, float64.

    offset: added to all samples. guarded: with RIDGE and SILENCE put under every frame.
    """

    def task(first: int) -> tuple[Array, Array]:
        a, r = np.empty((2, min(TASK, count - first), order + 1))
        _autocorrelations(stream.samples, stream.coef, stream.lag, window, hop, first, offset, r)
        if guarded:
            r[:, 0] += RIDGE * r[:, 0] + SILENCE
        levinson(r, a)
        return a, r

    parts = in_threads(task, range(0, count, TASK), threads)
    return np.concatenate([a for a, _ in parts]), np.concatenate([r for _, r in parts])


@kernel
def _autocorrelations(
    x: Array, coef: Any, lag: int, window: Array, hop: int, first: int, offset: float, r: Array
) -> None:
    """r[frame, k] = sum_i y_i y_{i+k}, y: the frame under the window."""
    samples = np.empty(window.size)
    y = np.empty(window.size)
    for f in range(r.shape[0]):
        read(x, coef, lag, (first + f) * hop, samples)
        for i in range(y.size):
            y[i] = window[i] * (samples[i] + offset)
        for k in range(r.shape[1]):
            tail = y[min(k, y.size) :]
            total = 0.0
            for i in range(tail.size):
                total += y[i] * tail[i]
            r[f, k] = total


@kernel
def levinson(r: Array, a: Array) -> None:
    """a = predictors of autocorrelations r, both [frame, order + 1]; what is predicted without error is left at that.

    k_i = -(r_i + sum_{j=1}^{i-1} a_j r_{i-j}) / E, a_j += k_i a_{i-j}, E *= 1 - k_i^2, from E = r_0.
    """
    a[:] = 0.0
    for f in range(r.shape[0]):
        a[f, 0] = 1.0
        error = r[f, 0]
        for i in range(1, r.shape[1]):
            if error == 0.0:
                break
            total = r[f, i]
            for j in range(1, i):
                total += a[f, j] * r[f, i - j]
            k = -total / error
            for j in range(1, i // 2 + 1):
                p = a[f, j]
                q = a[f, i - j]
                a[f, j] = p + k * q
                a[f, i - j] = q + k * p
            a[f, i] = k
            error *= 1.0 - k * k


@kernel
def prediction_errors(a: Array, r: Array, out: Array) -> None:
    """out[frame] = sum_ij a_i r_|i - j| a_j: the energy that predictor a leaves of a frame with autocorrelation r."""
    for f in range(out.size):
        total = 0.0
        for i in range(a.shape[1]):
            row = 0.0
            for j in range(a.shape[1]):
                row += r[f, abs(i - j)] * a[f, j]
            total += a[f, i] * row
        out[f] = total


@kernel
def cepstra(a: Array, out: Array) -> None:
    """c_1 to c_P of 1 / A [frame, order]: c_n = -a_n - sum_{k=1}^{n-1} k / n c_k a_{n-k}."""
    for f in range(out.shape[0]):
        for n in range(1, a.shape[1]):
            total = 0.0
            for k in range(1, n):
                total += k * out[f, k - 1] * a[f, n - k]
            out[f, n - 1] = -a[f, n] - total / n


# Torch


def predictors_torch(
    window: Array, hop: int, order: int, *, offset: float = 0.0, guarded: bool = True
) -> Callable[[Any, int], tuple[Any, Any]]:
    """predictors as torch text: (x [item, sample], count) -> a, r [item, frame, order + 1]."""
    import torch

    from ..engine.tensors import Constant

    shape = Constant(window)

    def of(x: Any, count: int) -> tuple[Any, Any]:
        y = shape(x) * (x + offset).unfold(-1, window.size, hop)[:, :count]
        lags = [(y[..., : max(window.size - k, 0)] * y[..., k:]).sum(-1) for k in range(order + 1)]
        r = torch.stack(lags, -1)
        if guarded:
            r = torch.cat([r[..., :1] + (RIDGE * r[..., :1] + SILENCE), r[..., 1:]], -1)
        return levinson_torch(r), r

    return of


def levinson_torch(r: Any) -> Any:
    """levinson as torch text: r [..., order + 1] -> a."""
    import torch

    a, error = torch.ones_like(r[..., :1]), r[..., :1]
    for i in range(1, r.shape[-1]):
        some = error != 0
        k = -(a * r[..., 1 : i + 1].flip(-1)).sum(-1, keepdim=True) / torch.where(some, error, 1) * some
        longer = torch.cat([a, torch.zeros_like(k)], -1)
        a = longer + k * longer.flip(-1)
        error = error * (1 - k * k)
    return a


def prediction_errors_torch(a: Any, r: Any) -> Any:
    """prediction_errors as torch text: a, r [..., order + 1] -> [...]."""
    n = a.shape[-1]
    lags = [(a[..., : n - k] * a[..., k:]).sum(-1) * (2 if k else 1) * r[..., k] for k in range(n)]
    return sum(lags)


def cepstra_torch(a: Any) -> Any:
    """cepstra as torch text: a [..., order + 1] -> [..., order]."""
    import torch

    slopes = a[..., :0]  # n c_n
    for n in range(1, a.shape[-1]):
        earlier = (slopes * a[..., 1:n].flip(-1)).sum(-1, keepdim=True)
        slopes = torch.cat([slopes, -n * a[..., n : n + 1] - earlier], -1)
    return slopes / torch.arange(1, a.shape[-1], dtype=a.dtype, device=a.device)
