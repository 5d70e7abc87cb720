"""How two tracks of fundamental frequency agree, frame by frame: Hz [frame] of as many frames, 0 where unvoiced.

Errors of synthesised speech: Rabiner et al. 1976, IEEE Trans. ASSP 24, 399-418; Chu and Alwan 2009, ICASSP, 3969-3972.
Accuracies of melodies: Poliner et al. 2007, IEEE Trans. ASLP 15, 1247-1256, as mir_eval.melody.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

GROSS = 0.2  # of the reference's pitch: what is farther off is a gross error
TOLERANCE = 50.0  # cents: what is nearer is right
STEADY = 1e-4  # of the mean pitch: what deviates less has no course that could correlate


@dataclass(frozen=True, slots=True)
class Measure:
    """A mean over frames. frame: of each frame, nan where it does not count. root: the value is the mean's root."""

    frame: Array
    root: bool = False

    @property
    def value(self) -> float | None:
        """None where no frame counts."""
        counted = self.frame[~np.isnan(self.frame)]
        if not counted.size:
            return None
        mean = float(counted.mean())
        return sqrt(mean) if self.root else mean


def measures(ref: Array, test: Array) -> dict[str, Measure]:
    """By name.

    Of frames voiced in both: gpe, share of gross errors; rmse, root mean square error in cents; rmse_hz, the same in
    Hz; correlation (Pearson) of Hz.
    Of all frames: vde, share whose voicing differs; ffe, share of gross errors and of differing voicing; accuracy,
    share with the right voicing and, where voiced, within 50 cents; rmse_hz_zeros and correlation_zeros, with 0 Hz for
    unvoiced.
    Of frames voiced in the reference: rpa and rca, shares within 50 cents of it, of any octave of it; recall, share
    voiced in the test too. false_alarm: share of the others that the test voices.
    """
    voiced, heard = ref > 0, test > 0
    both = voiced & heard
    cents = np.zeros(ref.size)
    cents[both] = 1200 * (np.log2(test[both] / 10) - np.log2(ref[both] / 10))
    gross = np.zeros(ref.size, bool)
    gross[both] = np.abs(test[both] / ref[both] - 1) > GROSS
    right = both & (np.abs(cents) < TOLERANCE)
    octaves = 1200 * np.floor(np.abs(cents) / 1200 + 0.5)
    right_chroma = both & (np.abs(np.abs(cents) - octaves) < TOLERANCE)
    everywhere = np.ones(ref.size, bool)
    return {
        "ffe": _of(gross | (voiced != heard), everywhere),
        "gpe": _of(gross, both),
        "vde": _of(voiced != heard, everywhere),
        "rmse": _of(cents**2, both, root=True),
        "correlation": _correlation(ref, test, both),
        "rpa": _of(right, voiced),
        "rca": _of(right_chroma, voiced),
        "recall": _of(heard, voiced),
        "false_alarm": _of(heard, ~voiced),
        "accuracy": _of(right | ~(voiced | heard), everywhere),
        "rmse_hz": _of((test - ref) ** 2, both, root=True),
        "rmse_hz_zeros": _of((test - ref) ** 2, everywhere, root=True),
        "correlation_zeros": _correlation(ref, test, everywhere),
    }


def _of(frame: Array, counted: Array, root: bool = False) -> Measure:
    return Measure(np.where(counted, frame, np.nan), root)


def _correlation(ref: Array, test: Array, counted: Array) -> Measure:
    """As a mean of 1 - (z_test - z_ref)^2 / 2, z being free of mean and scale."""
    out = np.full(ref.size, np.nan)
    if counted.sum() > 1:
        x, y = ref[counted], test[counted]
        deviations = x.std(), y.std()
        if all(s > STEADY * z.mean() for s, z in zip(deviations, (x, y), strict=True)):
            difference = (y - y.mean()) / deviations[1] - (x - x.mean()) / deviations[0]
            out[counted] = 1 - difference**2 / 2
    return Measure(out)
