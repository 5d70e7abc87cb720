"""Structural similarity of two aligned spectrograms, in Zimtohrli's form.

After NSIM (Hines and Harte 2012, doi 10.1016/j.specom.2011.09.004), as google/zimtohrli at ff5f049 has it: means over
windows that end with the cell itself, deviations from the mean at each value's own place, exponents of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STEPS, BANDS = 8, 5  # of a window
C1, C3 = 26.426389124321354, 1.9522719384622791
FLOOR = 0.6325126087671703  # of the structure
P_INTENSITY, P_STRUCTURE = 1.0500187278772866, 0.25808223975919764
HISTORY = 2 * (STEPS - 1)  # steps that a cell's dissimilarity looks back
BLOCK = 512  # steps in work at a time
_EVEN = 1e-12  # weight of cells that do not differ, where none does


def dissimilarities(x: Array, y: Array, i: Array, j: Array, local: bool = False) -> Iterator[tuple[Array, Array]]:
    """One minus the similarity of x[i] and y[j] [step, band], both above 0, in blocks of steps: float64, none below 0.

    Each is that of the window that ends there; what lies before the first step and below the first band counts as 0.
    local: with each block the same brought to the cells of the windows, in proportion to how they differ; else empty.
    """
    for start in range(0, len(i), BLOCK):
        first, stop = max(0, start - HISTORY), min(start + BLOCK, len(i))
        a, b = (z[k[first : stop + (STEPS - 1) * local]].astype(np.float64) for z, k in ((x, i), (y, j)))
        steps = slice(start - first, stop - first)
        whole = _dissimilarity(a, b)
        yield whole[steps], _attributed(whole, np.square(b - a) + _EVEN)[steps] if local else whole[:0]


def _dissimilarity(a: Array, b: Array) -> Array:
    mean_a, mean_b = _windowed(a), _windowed(b)
    a, b = a - mean_a, b - mean_b
    # roots of products: sqrt(v v) is v to the last bit, so that equals are equal
    deviation = np.sqrt(_windowed(a * a) * _windowed(b * b))
    intensity = (2 * np.sqrt(mean_a * mean_b) + C1) / (mean_a + mean_b + C1)
    structure = np.maximum((_windowed(a * b) + C3) / (deviation + C3), FLOOR)
    similarity = P_INTENSITY * np.log(intensity) + P_STRUCTURE * np.log(structure)
    result: Array = np.maximum(-np.expm1(similarity), 0.0)  # rounding aside it is above 0
    return result


def _windowed(x: Array) -> Array:
    """Means over the last STEPS steps and BANDS bands, those before the first being 0."""
    total = x.copy()
    for lag in range(1, STEPS):
        total[lag:] += x[: max(0, len(x) - lag)]
    total /= STEPS * BANDS
    result = total.copy()
    for lag in range(1, BANDS):
        result[:, lag:] += total[:, :-lag]
    return result


def _attributed(whole: Array, weights: Array) -> Array:
    """What the windows [step, band] hold, divided among their cells by weight; the sum stays."""
    mirrored = (whole / _windowed(weights))[::-1, ::-1]  # the windows that cover a cell end at it or later
    result: Array = weights * _windowed(mirrored)[::-1, ::-1]
    return result


def dissimilarities_torch() -> Callable[[Any, Any], Any]:
    """The same for tensors: x, y [item, step, band] -> that of the window that ends there [item, step, band]."""
    import torch
    from torch.nn import functional

    from ...engine.tensors import root

    def windowed(x: Any) -> Any:
        padded = functional.pad(x, (BANDS - 1, 0, STEPS - 1, 0))
        return functional.avg_pool2d(padded[:, None], (STEPS, BANDS), 1)[:, 0]

    def dissimilarity(a: Any, b: Any) -> Any:
        mean_a, mean_b = windowed(a), windowed(b)
        a, b = a - mean_a, b - mean_b
        deviation = root(windowed(a * a) * windowed(b * b))
        intensity = (2 * (mean_a * mean_b).sqrt() + C1) / (mean_a + mean_b + C1)
        structure = ((windowed(a * b) + C3) / (deviation + C3)).clamp(min=FLOOR)
        return -torch.expm1(P_INTENSITY * intensity.log() + P_STRUCTURE * structure.log())

    return dissimilarity
