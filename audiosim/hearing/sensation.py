"""Kernels of loudness: from excitation to sensation, and what two sensations have in common."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine.elementary import exponentials, logarithms
from ..engine.kernel import exact_kernel, kernel

Array = NDArray[Any]


@exact_kernel
def compress(excitation: Array, exponent: float, scratch: Array) -> None:
    """excitation = (1 + excitation)^exponent - 1 in place: float64 [n], in units of the threshold. scratch:
    int64 [n]."""
    total = 0.0
    for i in range(excitation.size):
        total += excitation[i]
        excitation[i] = 1.0 + excitation[i]
    if not np.isfinite(total):  # what follows reads bits, those of infinity as any number's
        excitation[:] = np.nan
        return
    logarithms(excitation, scratch)
    for i in range(excitation.size):
        excitation[i] *= exponent
    exponentials(excitation, scratch)
    for i in range(excitation.size):
        excitation[i] -= 1.0


@kernel
def overlap(ref: Array, test: Array, slope: float, floor: float, edges: Array, out: Array) -> None:
    """Terms 0..3: added, missing and common loudness, and that of the reference: sums of p^2 / (p + tau),
    q^2 / (q + tau), min(ref, test) and ref, with p = max(test - ref, 0), q = max(ref - test, 0), tau = slope ref +
    floor, a just noticeable difference. ref, test: [frame, band]; edges [range + 1]; out [frame, range, term]."""
    for f in range(ref.shape[0]):
        for e in range(edges.size - 1):
            r = ref[f, edges[e] : edges[e + 1]]
            t = test[f, edges[e] : edges[e + 1]]
            added = 0.0
            missing = 0.0
            common = 0.0
            loudness = 0.0
            for i in range(r.size):
                tau = slope * r[i] + floor
                p = max(t[i] - r[i], 0.0)  # nan comes through: max returns what stands first unless it is less
                q = max(r[i] - t[i], 0.0)
                added += p * p / (p + tau)
                missing += q * q / (q + tau)
                common += min(r[i], t[i])
                loudness += r[i]
            out[f, e, 0] = added
            out[f, e, 1] = missing
            out[f, e, 2] = common
            out[f, e, 3] = loudness


@kernel
def heard_errors(ref: Array, test: Array, error: Array, knee: float, exponent: float, edges: Array, out: Array) -> None:
    """Terms 0..4, sums of: sqrt(q + knee) - sqrt(knee), q = error / (ref + error / 2 + 1), where the reference is heard
    (ref > 1); 1 where it is; the |difference| of specific loudness (1 + x)^exponent - 1, and that of the reference; the
    |difference| of lg(1 + x). ref, test, error: excitation over threshold [frame, band]; edges [range + 1]; out [frame,
    range, term]."""
    low = np.sqrt(knee)
    for f in range(ref.shape[0]):
        for e in range(edges.size - 1):
            relative = 0.0
            heard = 0.0
            loudness = 0.0
            whole = 0.0
            level = 0.0
            for b in range(edges[e], edges[e + 1]):
                r = 1.0 + ref[f, b]
                if r > 2.0:
                    relative += np.sqrt(error[f, b] / (r + 0.5 * error[f, b]) + knee) - low
                    heard += 1.0
                x = np.log(r)
                y = np.log(1.0 + test[f, b])
                n = np.exp(exponent * x)
                loudness += abs(np.exp(exponent * y) - n)
                whole += n - 1.0
                level += abs(y - x)
            out[f, e, 0] = relative
            out[f, e, 1] = heard
            out[f, e, 2] = loudness
            out[f, e, 3] = whole
            out[f, e, 4] = level / np.log(10.0)
