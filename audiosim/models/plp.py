"""Perceptual linear prediction, and RASTA: cepstra of an all-pole model of the spectrum as the ear has it. Hermansky
1990, J. Acoust. Soc. Am. 87, 1738; Hermansky and Morgan 1994, IEEE Trans. Speech Audio Process. 2, 578; in the steps of
rastamat's rastaplp (Ellis 2005).

Power of 25 ms every 10 ms under a Hann window, over the noise of a 16-bit step; critical bands about 1 Bark apart; with
RASTA, their logarithms through a band-pass in time; the contour of equal loudness, the power 0.33, linear prediction,
its cepstrum, and the n-th coefficient times n^0.6.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import dsp, engine
from ..engine.frames import STFT
from ..engine.kernel import exact_kernel
from ..errors import UsageError
from ..hearing import scales
from ..hearing.magnitudes import power

if TYPE_CHECKING:
    from ..engine.stream import Stream

Array = NDArray[Any]

LOWEST_RATE = 1000  # Hz
STEP = 2.0**-15  # of 16-bit samples, the unit of amplitude
LOUDNESS = 0.33  # exponent of power
LIFTER = 0.6
AXIS = 64  # points on the Bark axis
POLE = 0.94  # of RASTA; its zeros are a slope over five frames
SLOPE = np.array([0.2, 0.1, 0.0, -0.1, -0.2])  # for the newest frame first
WARM = len(SLOPE) - 1  # frames before RASTA has an output
RUN = 256  # frames that its twin filters at a time


class PerceptualLinearPrediction:
    """c_0 to c_order. The order is less where a rate has few bands: at most one less than their number."""

    def __init__(self, rate: int, order: int, rasta: bool) -> None:
        if rate < LOWEST_RATE:
            raise UsageError(f"plp needs a rate of {LOWEST_RATE} Hz or more, not {rate}")
        self.rate, self.top, self.rasta = rate, rate / 2, rasta
        size, hop = round(0.025 * rate), round(0.01 * rate)
        n_fft = 1 << (size - 1).bit_length()
        before = (n_fft - size) // 2
        window = np.hanning(size + 2)[1:-1]
        self.stft = STFT(n_fft, hop, window, before, n_fft - size - before, "zero")
        self.period = hop / rate
        self.dither = float(size)
        edge = float(scales.bark(self.top))
        centres = np.linspace(0, edge, int(np.ceil(edge)) + 1)
        self.order = min(order, len(centres) - 1)
        bins = scales.bark(self.stft.frequencies(rate))
        self.filters = _critical_bands(bins[:, None] - centres)
        self.loudness = _equal_loudness(_hertz(centres)[1:-1])
        # The autocorrelation of a spectrum whose outermost bands repeat their neighbours
        lag, band = np.arange(self.order + 1), np.arange(len(centres))
        cosines = np.cos(np.pi / band[-1] * lag[:, None] * band)
        cosines[:, 1:-1] *= 2
        cosines[:, 1] += cosines[:, 0]
        cosines[:, -2] += cosines[:, -1]
        self.autocorrelation = cosines[:, 1:-1].T / (2 * band[-1])
        self.lifter = np.concatenate([[1.0], lag[1:] ** LIFTER])
        middles = (np.arange(AXIS) + 0.5) / AXIS
        self.frequencies = _hertz(middles * edge)
        self.basis = np.cos(np.pi * middles[:, None] * lag) * np.where(lag, 2**0.5, 1.0)

    def times(self, count: int) -> Array:
        before = WARM if self.rasta else 0
        return self.stft.times(before + count, self.rate)[before:]

    def too_short(self, length: int) -> str | None:
        frames = 1 + WARM if self.rasta else 1
        if self.stft.count(length) >= frames:
            return None
        needed = (frames - 1) * self.stft.hop + self.stft.window.size
        return f"too short: {needed} samples are needed, there are {length}"

    def cepstra(self, x: Stream) -> Array:
        whole = engine.stream.part(engine.stream.double(x), 0, x.length)
        spectra = engine.fold.spectra(whole, self.stft)
        bands = np.concatenate([(power(z[None], 0.0)[0] / STEP**2 + self.dither) @ self.filters for z in spectra])
        if self.rasta:
            steady = np.empty((len(bands) - WARM, bands.shape[1]))
            _rasta(np.log(bands), steady)
            bands = np.exp(steady)
        r = (self.loudness * bands[:, 1:-1]) ** LOUDNESS @ self.autocorrelation
        a, c = np.empty_like(r), np.empty_like(r)
        dsp.linear_prediction.levinson(r, a)
        dsp.linear_prediction.cepstra(a, c[:, 1:])
        c[:, 0] = np.log((a * r).sum(1))  # of the prediction error
        liftered: Array = c * self.lifter
        return liftered

    def differentiable(self) -> Callable[[Any], Any]:
        import torch

        from ..engine.tensors import Constant, power, spectra

        transform = spectra(self.stft)
        filters, loudness, autocorrelation, lifter = map(
            Constant, (self.filters, self.loudness, self.autocorrelation, self.lifter)
        )

        def cepstra(x: Any) -> Any:
            p = power(transform(x), 0.0) / STEP**2 + self.dither
            bands = p @ filters(p)
            if self.rasta:
                bands = _rasta_torch(bands.log()).exp()
            r = (loudness(p) * bands[..., 1:-1]) ** LOUDNESS @ autocorrelation(p)
            a = dsp.linear_prediction.levinson_torch(r)
            c = dsp.linear_prediction.cepstra_torch(a)
            return torch.cat([(a * r).sum(-1, keepdim=True).log(), c], -1) * lifter(p)

        return cepstra


def _critical_bands(distance: Array) -> Array:
    """Gain for power at so many Bark above the centre: 10 dB a Bark below, 25 above, without end."""
    result: Array = 10 ** np.minimum(0, np.minimum(distance + 0.5, -2.5 * (distance - 0.5)))
    return result


def _equal_loudness(hz: Array) -> Array:
    f = np.square(hz)
    result: Array = (f / (f + 1.6e5)) ** 2 * (f + 1.44e6) / (f + 9.61e6)
    return result


def _hertz(bark: Array) -> Array:
    result: Array = 600 * np.sinh(bark / 6)
    return result


@exact_kernel
def _rasta(x: Array, out: Array) -> None:
    """out[frame - 4, band]: x [frame, band] through the filter, which is at rest before its first output."""
    for band in range(x.shape[1]):
        y = 0.0
        for n in range(out.shape[0]):
            slope = SLOPE[0] * (x[n + 4, band] - x[n, band]) + SLOPE[1] * (x[n + 3, band] - x[n + 1, band])
            y = POLE * y + slope
            out[n, band] = y


def _rasta_torch(x: Any) -> Any:
    """_rasta on tensors [item, frame, band], some frames after the others."""
    import torch

    slopes = SLOPE[0] * (x[:, 4:] - x[:, :-4]) + SLOPE[1] * (x[:, 3:-1] - x[:, 1:-3])
    steps = torch.arange(RUN, device=x.device)
    apart = steps[:, None] - steps
    decay = torch.where(apart >= 0, POLE ** apart.clamp(min=0).to(x.dtype), 0)
    fading = (POLE ** (steps + 1).to(x.dtype))[:, None]
    runs, last = [], torch.zeros_like(x[:, :1])
    for part in slopes.split(RUN, 1):
        n = part.shape[1]
        runs.append(decay[:n, :n] @ part + fading[:n] * last)
        last = runs[-1][:, -1:]
    return torch.cat(runs, 1)
