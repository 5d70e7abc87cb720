"""Detectability of a distortion under a masker: the spectral integration of van de Par, Kohlrausch, Heusdens, Jensen
and Jensen 2005 (EURASIP Journal on Applied Signal Processing 9, 1292-1304).

In every auditory filter the energy of the distortion is compared with that of the masker and of an internal noise; the
quotients add up over all filters. Filters: magnitudes of gammatones of fourth order, one ERB wide, evenly spaced in
ERB-rate from 0 Hz to half the rate. Before them, the outer and middle ear passes the inverse of the threshold in quiet.
Two constants, the scale of the sum and the internal noise, are found so that two tones are just detectable.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.fold import Measure
from ...engine.frames import STFT
from ...engine.kernel import kernel
from ...engine.transposes import Objective
from ...errors import UsageError
from ...hearing import scales
from ...hearing.loudness import erb
from .threshold import threshold_in_quiet

Array = NDArray[Any]

# Just detectable, D = 1: a tone of this frequency at its threshold in quiet, and one 18 dB below a masker of its own
# frequency and phase, which is a change in level of about 1 dB
FREQUENCY = 1000.0  # Hz
MASKER, PROBE = 70.0, 52.0  # dB SPL
WIDTH = 8 * 6 / (15 * np.pi)  # of a fourth-order gammatone that is one ERB wide, in ERB: 2^3 3! / (pi 5!!)

NOTHING = 1e-30  # of the largest weight: less would only be slow, since it lies below the normal numbers of float32


@dataclass(frozen=True, slots=True, eq=False)
class Detector:
    """The model for frames of one length at one rate and level, calibrated.

    stft: Hann frames, half overlapping; only whole ones.
    weights: float64 [filter, bin], from |X|^2 to energy in units of the internal noise; 0 outside of starts..stops
        [filter]. centres: Hz [filter].
    scale: what the sum of quotients is multiplied by.
    """

    stft: STFT
    weights: Array
    starts: Array
    stops: Array
    centres: Array
    scale: float

    @classmethod
    def of(cls, rate: int, level: float, frame: float, bands: int) -> Detector:
        """level: dB SPL of a full-scale sine. frame: seconds, about. bands: how many filters.

        UsageError for a rate that is too low for a calibration at 1 kHz.
        """
        if rate < 4 * FREQUENCY:
            raise UsageError(f"the model is calibrated at 1 kHz: the rate must be at least 4000 Hz, not {rate}")
        return _detector(rate, float(level), float(frame), bands)

    def measure(self, dtype: Any, gradient: bool = False) -> Measure:
        """Of spectra of masker and distortion, one term: the detectability. gradient as Objective's."""
        weights = self.weights.astype(dtype)

        def measure(spectra: Array, edges: Array, out: Array) -> None:
            z = spectra.view(dtype)
            power = np.empty(spectra.shape, dtype)
            engine.divergence.powers(z, 0.0, power)
            energy = np.empty((*spectra.shape[:2], self.centres.size), dtype)
            engine.divergence.project(power, self.starts, self.stops, weights, energy)
            detectability(energy[0], energy[1], self.scale, edges, out)
            if gradient:
                slopes = self.scale / (energy[:1] + 1)
                back = np.empty((1, *power.shape[1:]), dtype)
                engine.transposes.transposed_project(slopes, self.starts, self.stops, weights, back)
                engine.transposes.through_powers(back[0], 0.0, z[1])

        return measure

    def objective(self) -> Objective:
        """The mean over frames with its gradient with respect to the distortion, as kernels."""

        def finish(sums: Array, frames: int) -> tuple[float, list[float]]:
            return float(sums[0]) / frames, [1 / frames]

        return Objective(self.stft, self.centres.size, 1, 1, self.measure, finish)


@lru_cache(maxsize=16)
def _detector(rate: int, level: float, frame: float, bands: int) -> Detector:
    hop = engine.fft.fast_length(round(frame * rate / 2))
    stft = STFT.of(2 * hop, hop, centre=False, pad="zero")
    hz = stft.frequencies(rate)
    centres = scales.erb_rate_inverse(np.linspace(0, scales.erb_rate(rate / 2), bands))
    passed = (1 + ((hz - centres[:, None]) / (WIDTH * erb(centres)[:, None])) ** 2) ** -4.0
    weights = passed * 10 ** ((level - threshold_in_quiet(hz)) / 10)

    tone = stft.window * np.cos(2 * np.pi * FREQUENCY / rate * np.arange(stft.n_fft))
    by_filter = weights @ np.abs(np.fft.rfft(tone)) ** 2  # of a full-scale sine

    def energy(spl: float) -> Array:
        result: Array = by_filter * 10 ** ((spl - level) / 10)
        return result

    scale, noise = calibrate(energy(float(threshold_in_quiet(np.array(FREQUENCY)))), energy(MASKER), energy(PROBE))
    weights /= noise
    weights[weights < NOTHING * weights.max()] = 0.0
    return Detector(stft, weights, *scales.support(weights), centres, scale)


def calibrate(quiet: Array, masker: Array, probe: Array) -> tuple[float, float]:
    """(scale, noise) with scale sum quiet / noise = 1 and scale sum probe / (masker + noise) = 1, by bisection.

    quiet, masker, probe: energies [filter]. The second condition grows with the scale, the noise being scale sum quiet,
    from 0 to sum probe / sum quiet: there is one solution where the probe is above the threshold.
    """
    threshold = float(quiet.sum())
    low, high = 0.0, 1.0

    def excess(scale: float) -> float:
        return float((scale * probe / (masker + scale * threshold)).sum()) - 1

    while excess(high) < 0:
        high *= 2
    while (middle := (low + high) / 2) not in (low, high):
        low, high = (middle, high) if excess(middle) < 0 else (low, middle)
    return high, high * threshold


@kernel
def detectability(masker: Array, distortion: Array, scale: float, edges: Array, out: Array) -> None:
    """Term 0: scale times the sum of distortion / (masker + 1). masker, distortion: energies in units of the internal
    noise [frame, filter]; edges [range + 1]; out [frame, range, term], float64."""
    for f in range(masker.shape[0]):
        for e in range(edges.size - 1):
            m = masker[f, edges[e] : edges[e + 1]]
            d = distortion[f, edges[e] : edges[e + 1]]
            total = 0.0
            for i in range(m.size):
                total += np.float64(d[i]) / (np.float64(m[i]) + 1.0)
            out[f, e, 0] = scale * total
