"""Projection on delayed copies of several channels: the FIR filters, one for each of them, whose sum comes nearest to
other signals. Correlations and filtering go in blocks that stay in cache; the block Toeplitz system is solved in
place, without the matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from ..engine.cache import cached
from ..engine.fft import fast_length, irfft, rfft
from ..engine.kernel import kernel
from ..engine.stream import Stream, part
from ..engine.threads import in_threads

Array = NDArray[Any]

BLOCK = 1 << 13  # samples of the shortest FFT
BLOCKS_PER_TASK = 64  # fixed, so that sums do not depend on the number of threads
DEPENDENT = 1e-12  # of a channel's energy, below which what other channels do not explain of it is rounding
LOADS = (1e-14, 1e-12, 1e-10)  # of the mean energy of the channels, added where the system has no solution without


def correlations(ref: Sequence[Stream], test: Sequence[Stream], count: int, threads: int = 1) -> tuple[Array, Array]:
    """Sums over n of ref_i[n] ref_j[n + k] and of ref_i[n] test_j[n + k], [lag k, i, j], for k = 0..count - 1.

    All signals have one length, count as zero outside of it, and are read as they are. While a signal j is cached, what
    is known of it is not computed again, whatever the other signals are.
    """
    columns = [*ref, *test]
    known = [cached(x.samples, ("correlations", count), _Known) for x in columns]
    missing = [j for j, of in enumerate(known) if any(_address(r) not in of.lags for r in ref)]
    if missing:
        found = _correlated(ref, [columns[j] for j in missing], count, threads)
        for at, j in enumerate(missing):
            known[j].add(ref, found[:, at])
    lags = np.array([[of.lags[_address(r)][1] for of in known] for r in ref])
    own = len(ref)
    return tuple(np.ascontiguousarray(np.moveaxis(x, -1, 0)) for x in (lags[:, :own], lags[:, own:]))  # type: ignore[return-value]


@dataclass(slots=True)
class _Known:
    """Of one signal: the correlations of others with it, by the address of their samples, which are held on to, so that
    no others have it meanwhile."""

    lags: dict[int, tuple[Array, Array]] = field(default_factory=dict)
    nbytes: int = 0

    def add(self, others: Sequence[Stream], found: Array) -> None:
        self.lags |= {_address(x): (x.samples, lags.copy()) for x, lags in zip(others, found, strict=True)}
        self.nbytes += found.nbytes


def _address(stream: Stream) -> int:
    return int(stream.samples.__array_interface__["data"][0])


def _correlated(heads: Sequence[Stream], signals: Sequence[Stream], count: int, threads: int) -> Array:
    """Sums over n of head_i[n] signal_j[n + k], [i, j, lag k]."""
    size = fast_length(max(BLOCK, 4 * count))
    step = size - count + 1
    length = heads[0].length

    def task(first: int) -> Array:
        sums = np.zeros((len(heads), len(signals), size // 2 + 1), np.complex128)
        cut, whole = np.zeros((len(heads), size)), np.empty((len(signals), size))
        for start in range(first, min(length, first + BLOCKS_PER_TASK * step), step):
            for frame, stream in zip(cut, heads, strict=True):
                frame[:step] = part(stream, start, step)
            for frame, stream in zip(whole, signals, strict=True):
                frame[:] = part(stream, start, size)
            spectra = rfft(whole)
            for head, out in zip(rfft(cut), sums, strict=True):
                out += head.conj() * spectra
        return sums

    total: Any = 0.0
    for sums in in_threads(task, range(0, length, BLOCKS_PER_TASK * step), threads):
        total = total + sums
    found: Array = irfft(total, size)[..., :count]
    return found


def filters(auto: Array, cross: Array) -> Array:
    """The taps [lag, i, j] of the filters of ref_i whose sum over i comes nearest to test_j, by least squares.

    auto [lag, i, i'], cross [lag, i, j]: as `correlations` gives them. Channels that are silent, or a mixture of
    others, get none: what is explained is the same without them.
    """
    taps = np.zeros(cross.shape)
    kept = _independent(auto[0])
    if not kept:
        return taps
    of_kept, right = np.ascontiguousarray(auto[:, kept][:, :, kept]), np.ascontiguousarray(cross[:, kept])
    solved = np.empty(right.shape)
    energy = float(np.mean(np.diagonal(of_kept[0])))
    solve = dense if numba.config.DISABLE_JIT else block_levinson  # uncompiled that takes a thousand times as long
    for load in (0.0, *LOADS):  # they are needed where one channel is a filter of another
        of_kept[0] += load * energy * np.eye(len(kept))
        if solve(of_kept, right, solved):
            break
    taps[:, kept] = solved
    return taps


def _independent(energies: Array) -> list[int]:
    """Of channels with these inner products [i, j], those that are no mixture of the ones before: Cholesky with
    pivots."""
    left, kept = energies.astype(np.float64), list[int]()
    whole = np.diagonal(energies)
    while True:
        share = np.divide(np.diagonal(left), whole, out=np.zeros(len(whole)), where=whole > 0)
        i = int(np.argmax(share))
        if share[i] < DEPENDENT:
            return sorted(kept)
        kept.append(i)
        column = left[:, i] / np.sqrt(left[i, i])
        left = left - np.outer(column, column)
        left[i], left[:, i] = 0.0, 0.0


@kernel
def subtract_product(a: Array, b: Array, out: Array) -> None:
    """out -= a b, of matrices."""
    for i in range(a.shape[0]):
        row = out[i]
        for k in range(a.shape[1]):
            factor, other = a[i, k], b[k]
            for j in range(row.size):
                row[j] -= factor * other[j]


@kernel
def solve_definite(a: Array, b: Array, lower: Array) -> bool:
    """b = a^-1 b in place for a symmetric matrix a, by Cholesky. False where a is not positive definite."""
    n = a.shape[0]
    for i in range(n):
        for j in range(i + 1):
            total = a[i, j]
            for k in range(j):
                total -= lower[i, k] * lower[j, k]
            if i > j:
                lower[i, j] = total / lower[j, j]
            elif total > 0.0:
                lower[i, i] = np.sqrt(total)
            else:
                return False
    for c in range(b.shape[1]):
        for i in range(n):
            total = b[i, c]
            for k in range(i):
                total -= lower[i, k] * b[k, c]
            b[i, c] = total / lower[i, i]
        for i in range(n - 1, -1, -1):
            total = b[i, c]
            for k in range(i + 1, n):
                total -= lower[k, i] * b[k, c]
            b[i, c] = total / lower[i, i]
    return True


def dense(auto: Array, cross: Array, solved: Array) -> bool:
    """As block_levinson, by the whole matrix."""
    count, m = auto.shape[:2]
    lag = np.subtract.outer(np.arange(count), np.arange(count))
    blocks = np.where(lag[..., None, None] >= 0, auto[np.abs(lag)], np.swapaxes(auto, 1, 2)[np.abs(lag)])
    matrix = np.swapaxes(blocks, 1, 2).reshape(count * m, count * m)
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError:
        return False
    solved[:] = np.linalg.solve(matrix, cross.reshape(count * m, -1)).reshape(cross.shape)
    return True


@kernel
def block_levinson(auto: Array, cross: Array, solved: Array) -> bool:
    """Solves sum over l of R(k - l) solved[l] = cross[k], where R(k) = auto[k] and R(-k) = auto[k]^T (Wiggins and
    Robinson 1965, J. Geophys. Res. 70, 1885). False, and solved is spoilt, where R is not positive definite.
    """
    count, m = auto.shape[0], auto.shape[1]
    ahead, behind = np.zeros((count, m, m)), np.zeros((count, m, m))  # predictors of the first and of the last lag
    left_ahead, left_behind = auto[0].copy(), auto[0].copy()  # covariance of what they leave
    lower = np.zeros((m, m))
    weight = cross[0].copy()
    if not solve_definite(auto[0], weight, lower):
        return False
    solved[0] = weight
    for i in range(m):
        ahead[0, i, i] = behind[0, i, i] = 1.0
    for n in range(1, count):
        missed = np.zeros((m, m))  # the predictor ahead leaves -missed at lag n, the one behind -missed^T before lag 0
        for k in range(n):
            subtract_product(auto[n - k], ahead[k], missed)
        gain, other = missed.copy(), missed.T.copy()
        if not solve_definite(left_behind, gain, lower) or not solve_definite(left_ahead, other, lower):
            return False
        subtract_product(missed.T, gain, left_ahead)
        subtract_product(missed, other, left_behind)
        for k in range(n, -1, -1):  # each with the other, one lag later
            before = ahead[k].copy()
            if k > 0:
                subtract_product(behind[k - 1], -gain, ahead[k])
                behind[k] = behind[k - 1]
            else:
                behind[0] = 0.0
            subtract_product(before, -other, behind[k])
        weight = cross[n].copy()
        for k in range(n):
            subtract_product(auto[n - k], solved[k], weight)
        if not solve_definite(left_behind, weight, lower):
            return False
        solved[n] = 0.0
        for k in range(n + 1):
            subtract_product(behind[k], -weight, solved[k])
    return True
