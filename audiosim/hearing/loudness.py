"""Specific loudness of a short-time spectrum: outer and middle ear, auditory filters, threshold in quiet, compression.

Ear and internal noise: ITU-R BS.1387-1 (PEAQ), section 2.1, which parts Terhardt's threshold in quiet (1979, Hearing
Research 1, 155-182) into a transmission of the ear and a noise inside it. Filters: the power response of a fourth-order
gammatone (Patterson et al. 1987) of bandwidth 1.019 ERB (Glasberg and Moore 1990, eq. 3), half an ERB apart.
Compression: Zwicker's power law with exponent 0.23 (Fastl and Zwicker, Psychoacoustics, section 8.7) in units of the
threshold, (1 + E / E_threshold)^0.23 - 1: a sound at the threshold has 0.17 in its band; a 1 kHz tone of 40 dB SPL, one
sone, has 13.2 over all bands times half an ERB.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray

from .. import engine, hearing
from ..engine.frames import STFT
from ..errors import UsageError
from ..options import Within
from . import scales

Array = NDArray[Any]

Level = Annotated[float, Within(40, 140), "dB SPL of a full-scale sine"]

FRAME = 4096 / 44100  # seconds; the same at every rate, so that the loudness is too
LOWEST, HIGHEST = 50.0, 18000.0  # Hz, centres of the outermost filters
SPACING = 0.5  # ERB
BANDWIDTH = 1.019  # ERB: a fourth-order gammatone of this b is one ERB wide
EXPONENT = 0.23


@dataclass(frozen=True, slots=True, eq=False)
class Ear:
    """Auditory filters over the spectra of frames of its own, calibrated.

    stft: Hann frames of 93 ms, or so many seconds, at every rate, a quarter apart.
    weights: float64 [band, bin], from |X|^2 to excitation in units of the threshold in quiet; 0 outside of
        starts..stops [band].
    centres: Hz [band], half an ERB apart from 50 Hz to 18 kHz or half the rate.
    """

    stft: STFT
    weights: Array
    starts: Array
    stops: Array
    centres: Array

    @classmethod
    def of(cls, rate: int, level: float = 92.0, frame: float = FRAME) -> Ear:
        """level: dB SPL of a full-scale sine; frame: seconds. UsageError for a rate that holds no filter."""
        if rate < 2 * LOWEST:
            raise UsageError(f"auditory filters begin at {LOWEST:g} Hz: the rate must be at least {2 * LOWEST:g} Hz")
        return _ear(rate, float(level), frame)

    def excitation(self, dtype: Any) -> Callable[[Array], Array]:
        """Complex [signal, frame, bin] of that real dtype -> excitation over threshold [signal, frame, band]."""
        weights = self.weights.astype(dtype)

        def project(spectra: Array) -> Array:
            power = np.empty(spectra.shape, dtype)
            engine.divergence.powers(spectra.view(dtype), 0.0, power)
            out = np.empty((*spectra.shape[:2], self.centres.size), dtype)
            engine.divergence.project(power, self.starts, self.stops, weights, out)
            return out

        return project

    def loudness(self, dtype: Any) -> Callable[[Array], Array]:
        """Complex [signal, frame, bin] of that real dtype -> specific loudness, float64 [signal, frame, band]."""
        excitation = self.excitation(dtype)

        def specific(spectra: Array) -> Array:
            out = excitation(spectra).astype(np.float64)
            hearing.sensation.compress(out.reshape(-1), EXPONENT, np.empty(out.size, np.int64))
            return out

        return specific


@lru_cache(maxsize=16)
def _ear(rate: int, level: float, frame: float) -> Ear:
    hop = max(2, round(frame * rate / 4))
    stft = STFT.of(2 * engine.fft.fast_length(2 * hop), hop, win=4 * hop, pad="zero")
    f = stft.frequencies(rate)
    low, high = scales.erb_rate([LOWEST, min(HIGHEST, rate / 2)])
    centres = scales.erb_rate_inverse(low + SPACING * np.arange(1 + int((high - low) / SPACING)))
    full_scale = stft.n_fft * np.sum(stft.window**2) / 4  # sum over bins of |X|^2 of a full-scale sine
    weights = filters(f, centres) * 10 ** ((level + transmission(f) - internal_noise(centres)[:, None]) / 10)
    weights /= full_scale
    return Ear(stft, weights, *scales.support(weights), centres)


def erb(hz: Any) -> Array:
    """Equivalent rectangular bandwidth, Hz (Glasberg and Moore 1990, eq. 3)."""
    result: Array = 24.7 * (1 + 4.37e-3 * np.asarray(hz, dtype=np.float64))
    return result


def filters(hz: Array, centres: Array) -> Array:
    """Power responses [band, bin], 1 at their centres: (1 + ((f - fc) / b)^2)^-4, b = 1.019 ERB."""
    x = (hz - centres[:, None]) / (BANDWIDTH * erb(centres)[:, None])
    result: Array = (1 + x * x) ** -4.0
    return result


def transmission(hz: Array) -> Array:
    """Outer and middle ear, dB: ITU-R BS.1387-1, eq. 7; nothing comes through at 0 Hz."""
    f = np.maximum(hz, 1.0) / 1000
    result: Array = -0.6 * 3.64 * f**-0.8 + 6.5 * np.exp(-0.6 * (f - 3.3) ** 2) - 1e-3 * f**3.6
    return result


def internal_noise(hz: Array) -> Array:
    """Level of the noise in the ear, dB: ITU-R BS.1387-1, eq. 13. Less the transmission, it is the threshold."""
    result: Array = 0.4 * 3.64 * (hz / 1000) ** -0.8
    return result
