"""Neurogram similarity index measure: how alike two patches of a spectrogram are, in intensity and in structure.

Hines and Harte 2012, doi 10.1016/j.specom.2011.09.004, as ViSQOL 3 has it (google/visqol at 38d0b01): over windows of
3 by 3 cells, at the borders of a patch over its outermost cells twice, with the constants of a range of 1 though values
reach 45.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...engine.kernel import kernel

Array = NDArray[Any]

CORNER, EDGE, CENTRE = 0.0113033910173052, 0.0838251475442633, 0.619485845753726  # weights of the 3 by 3 window
C1, C3 = 0.01**2, 0.03**2 / 2
TINY = 1e-300  # a product of variances: the gradient of its root is 0 below, where it would be infinite
OFFSETS_PER_TASK = 512


# Written for NumPy and torch alike: xp is one or the other.


def similarity(xp: Any, r: Any, d: Any) -> Any:
    """Of each cell of patches r, d [..., frame, band]: 1 where they are the same there, 0 or below where unrelated."""
    mean_r, mean_d = windowed(xp, r), windowed(xp, d)
    variance_r, variance_d = windowed(xp, r * r) - mean_r * mean_r, windowed(xp, d * d) - mean_d * mean_d
    covariance = windowed(xp, r * d) - mean_r * mean_d
    deviations = xp.sqrt((variance_r * variance_d).clip(TINY))
    intensity = (2 * mean_r * mean_d + C1) / (mean_r * mean_r + mean_d * mean_d + C1)
    return intensity * ((covariance + C3) / (deviations + C3))


def windowed(xp: Any, x: Any) -> Any:
    """Means of [..., frame, band] over the windows around each cell."""
    y = xp.concatenate([x[..., :1], x, x[..., -1:]], -1)
    y = xp.concatenate([y[..., :1, :], y, y[..., -1:, :]], -2)
    middle, sides = y[..., 1:-1], y[..., :-2] + y[..., 2:]
    outer, inner = EDGE * middle + CORNER * sides, CENTRE * middle + EDGE * sides
    return inner[..., 1:-1, :] + (outer[..., :-2, :] + outer[..., 2:, :])


class Search:
    """Mean similarity of patches to what a spectrogram holds from each frame on, silence after its end."""

    def __init__(self, spectrogram: Array, frames: int, first: int = 0, stop: int | None = None) -> None:
        """spectrogram [frame, band]; frames: of a patch; first, stop: the frames from which on it is asked for."""
        stop = len(spectrogram) if stop is None else stop
        self.first = first
        there = spectrogram[first : stop + frames - 1]
        followed = np.concatenate([there, np.zeros((stop + frames - 1 - first - len(there), there.shape[1]))])
        # at each frame as the first of a patch, as any but the first and the last, and as the last
        before, after = np.concatenate([followed[:1], followed[:-1]]), np.concatenate([followed[1:], followed[-1:]])
        around = [(followed, followed, after), (before, followed, after), (before, followed, followed)]
        means = np.stack([_over_three(*three) for three in around])
        variances = np.stack([_over_three(*(x * x for x in three)) for three in around]) - means * means
        self.cells = np.ascontiguousarray(followed.T)
        self.means = np.ascontiguousarray(means.swapaxes(1, 2))
        self.deviations = np.ascontiguousarray(_signed_root(variances).swapaxes(1, 2))

    def along(self, patch: Array, first: int, stop: int) -> Array:
        """Of the patch [frame, band] and what begins at each of the frames first to stop - 1."""
        mean = windowed(np, patch)
        deviation = _signed_root(windowed(np, patch * patch) - mean * mean)
        out = np.zeros(stop - first)
        for start in range(first, stop, OFFSETS_PER_TASK):
            end = min(start + OFFSETS_PER_TASK, stop)
            _along(
                patch,
                mean,
                deviation,
                self.cells,
                self.means,
                self.deviations,
                start - self.first,
                out[start - first : end - first],
            )
        out /= patch.size
        return out


def _over_three(before: Array, at: Array, after: Array) -> Array:
    """Means over windows of [frame, band] whose three frames are given."""

    def across(x: Array, middle: float, side: float) -> Array:
        y = np.concatenate([x[:, :1], x, x[:, -1:]], axis=1)
        result: Array = middle * x + side * (y[:, :-2] + y[:, 2:])
        return result

    total: Array = across(at, CENTRE, EDGE) + (across(before, EDGE, CORNER) + across(after, EDGE, CORNER))
    return total


def _signed_root(variance: Array) -> Array:
    """Product of two of these: root of the product of the variances, below 0 where rounding made one of them so."""
    root: Array = np.copysign(np.sqrt(np.abs(variance)), variance)
    return root


@kernel
def _along(
    patch: Array,
    mean: Array,
    deviation: Array,
    cells: Array,
    means: Array,
    deviations: Array,
    start: int,
    out: Array,
) -> None:
    """out[o] = sum of similarity over the patch [frame, band] and what begins at start + o. cells [band, frame];
    means, deviations [place in the patch, band, frame]."""
    frames, bands = patch.shape
    n = out.size
    for t in range(frames):
        place = 0 if t == 0 else 2 if t == frames - 1 else 1
        for b in range(bands):
            mean_r = mean[t, b]
            square_r = mean_r * mean_r
            deviation_r = deviation[t, b]
            t0 = max(t - 1, 0)
            t2 = min(t + 1, frames - 1)
            b0 = max(b - 1, 0)
            b2 = min(b + 1, bands - 1)
            w00 = CORNER * patch[t0, b0]
            w01 = EDGE * patch[t0, b]
            w02 = CORNER * patch[t0, b2]
            w10 = EDGE * patch[t, b0]
            w11 = CENTRE * patch[t, b]
            w12 = EDGE * patch[t, b2]
            w20 = CORNER * patch[t2, b0]
            w21 = EDGE * patch[t2, b]
            w22 = CORNER * patch[t2, b2]
            x00 = cells[b0, start + t0 : start + t0 + n]
            x01 = cells[b, start + t0 : start + t0 + n]
            x02 = cells[b2, start + t0 : start + t0 + n]
            x10 = cells[b0, start + t : start + t + n]
            x11 = cells[b, start + t : start + t + n]
            x12 = cells[b2, start + t : start + t + n]
            x20 = cells[b0, start + t2 : start + t2 + n]
            x21 = cells[b, start + t2 : start + t2 + n]
            x22 = cells[b2, start + t2 : start + t2 + n]
            mean_d = means[place, b, start + t : start + t + n]
            deviation_d = deviations[place, b, start + t : start + t + n]
            for o in range(n):
                products = w00 * x00[o] + w01 * x01[o] + w02 * x02[o] + w10 * x10[o] + w11 * x11[o] + w12 * x12[o]
                products += w20 * x20[o] + w21 * x21[o] + w22 * x22[o]
                m = mean_d[o]
                both = mean_r * m
                above = (2 * both + C1) * (products - both + C3)
                below = (square_r + m * m + C1) * (max(deviation_r * deviation_d[o], 0.0) + C3)
                out[o] += above / below
