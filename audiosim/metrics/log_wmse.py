"""logWMSE: the error behind a filter like the ear's, against the level of the mixture that was processed, on a scale
like that of SDR. log-wmse-audio-quality 0.2.0 (Nomono 2023)."""

from __future__ import annotations

from functools import cache
from math import inf, log, nan
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..answer import Channel, Pair, waveform
from ..card import Card
from ..hearing import weighting
from ..options import Options
from ..result import Twin

Array = NDArray[Any]

EPS = 1e-8
SCALE = -4.0  # of the natural logarithm, so that its steps are like those of SDR
HEARD = 10 ** (-68 / 20)  # of the mixture's RMS: the package takes smaller samples of the error for inaudible
RATE = 44100  # Hz, for which the filter is made

CARD = Card(
    title="Frequency-weighted log squared error (logWMSE)",
    family="conventional",
    unit="1",
    better="higher",
    identical=SCALE * log(EPS),
    range=(-inf, SCALE * log(EPS)),
    formula="-4 ln(mean d^2 + 1e-8), d: the filtered error over the RMS of the filtered mixture, 0 below -68 dB",
    source="log-wmse-audio-quality 0.2.0, calculate_log_wmse; its filter is after Fenton and Lee 2017",
    conventions="The package's unprocessed audio is the sum of all sources here; where they are not given (--source), "
    "the reference alone, so that the value is that of calculate_log_wmse(ref, test, ref, 44100). The package has 73.7 "
    "for a silent mixture, whatever the test is; here the value is undefined. torch-log-wmse 1.1 has no threshold, and "
    "other means.",
    silence="A silent source in a mixture that sounds has a value. Undefined where the mixture is silent.",
    caveat="A waveform measure: a delay or a changed phase counts as error. It depends on the level of the mixture, "
    "for which a loss takes the target. What is inaudible by the threshold has no gradient.",
    rate=RATE,
    sources="log-wmse",
    identity_tolerance=0.0,
    gradient="exact",
    ratio=True,
    cap="a silent target counts as one of -90 dB re full scale behind the filter",
    profile="share",
    map="share",
)


def measure(pair: Pair, o: Options) -> Channel:
    length = pair.ref.length
    every = [pair.ref, *(ref for ref, _ in pair.others)]
    part, double = engine.stream.part, engine.stream.double
    mixture = sum(part(double(ref), 0, length) for ref in every)
    level = float(np.mean(_filtered(mixture) ** 2))
    if level == 0:
        return waveform(pair, nan, reason="the mixture is silent")
    error = _filtered(part(double(pair.test), 0, length) - part(double(pair.ref), 0, length)) / np.sqrt(level)
    error[np.abs(error) < HEARD] = 0.0
    return waveform(pair, SCALE * log(float(np.mean(error**2)) + EPS))


def twin(rate: int, o: Options) -> Twin:
    """The same on tensors, in float64, the target being the mixture."""
    import torch

    from ..engine.tensors import Constant, fast_length, heard

    response = Constant(taps())

    def filtered(x: Any) -> Any:
        length, h = x.shape[-1], response(x)
        size, middle = fast_length(length + h.numel() - 1), h.numel() // 2
        return torch.fft.irfft(torch.fft.rfft(x, size) * torch.fft.rfft(h, size), size)[..., middle : middle + length]

    def value(ref: Any, test: Any) -> Any:
        ref, test = ref.double(), test.double()
        level = heard(filtered(ref).square().sum(-1), ref.shape[-1]) / ref.shape[-1]
        squares = filtered(test - ref).square() / level[:, None]
        audible = torch.where(squares < HEARD**2, 0, squares)
        return SCALE * (audible.mean(-1) + EPS).log()

    return value


def _filtered(x: Any) -> Array:
    return weighting.convolve(np.ascontiguousarray(x), taps())


@cache
def taps() -> Array:
    """Of the linear-phase filter: as loud as a shelf, a high-pass, a peak and a low-pass, for 44.1 kHz.

    The package's design: 4000 taps from 4097 points of the response, which end one step below half the rate.
    """
    size = 8192
    z = np.exp(-1j * np.linspace(0, np.pi, size // 2 + 1, endpoint=False))
    gain = np.abs(_shelf(z, 1500.0, 5.0, 0.5**0.5) * _peak(z, 500.0, 2.5, 1.5 * 0.5**0.5))
    high, low = (np.tan(np.pi * f / RATE) for f in (120.0, 10000.0))
    s = (1 - z) / (1 + z)  # Butterworth filters of order 2 and, forwards and backwards, 1
    gain *= np.abs(s**2 / (s**2 + 2**0.5 * high * s + high**2)) * np.abs(low / (s + low)) ** 2
    middle = size // 2
    response: Array = np.fft.fftshift(np.fft.irfft(gain, size))[middle - 2000 : middle + 2001]
    response[0] = 0.0  # so that the middle is that of an odd number of taps
    return response


def _shelf(z: Array, hz: float, db: float, q: float) -> Array:
    """High shelf (Bristow-Johnson, Audio EQ Cookbook) at points z^-1 of the unit circle."""
    a, c, alpha = _angles(hz, db, q)
    root = 2 * np.sqrt(a) * alpha
    over = (a + 1 + (a - 1) * c + root, -2 * (a - 1 + (a + 1) * c), a + 1 + (a - 1) * c - root)
    under = (a + 1 - (a - 1) * c + root, 2 * (a - 1 - (a + 1) * c), a + 1 - (a - 1) * c - root)
    result: Array = a * np.polyval(over[::-1], z) / np.polyval(under[::-1], z)
    return result


def _peak(z: Array, hz: float, db: float, q: float) -> Array:
    """Peak of the same cookbook."""
    a, c, alpha = _angles(hz, db, q)
    over, under = ((1 + alpha * x, -2 * c, 1 - alpha * x) for x in (a, 1 / a))
    result: Array = np.polyval(over[::-1], z) / np.polyval(under[::-1], z)
    return result


def _angles(hz: float, db: float, q: float) -> tuple[float, float, float]:
    turn = 2 * np.pi * hz / RATE
    return 10 ** (db / 40), float(np.cos(turn)), float(np.sin(turn)) / (2 * q)
