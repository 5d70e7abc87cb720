"""Pre-emphasis and perceptual weighting of both signals before a metric looks at them.

Two-tap filters run while samples are read and count their whole response (Wright and Valimaki 2020, arXiv 1911.08922).
The curves multiply the spectrum of the zero-padded signal by the exact magnitude, so they are zero-phase and hold down
to the lowest bin; what rings beyond both ends is cut.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..errors import UsageError
from ..options import Options, Within

if TYPE_CHECKING:
    from ..engine.stream import Stream

Array = NDArray[Any]

Weighting = Annotated[
    Literal["none", "hp", "fd", "aw-lp", "a", "b", "c", "k", "itu468", "iso226", "bs1387", "auraloss-aw"],
    "of both signals: two-tap pre-emphasis hp or fd; exact curves a, b, c, k (BS.1770), itu468, iso226 (40 phon), "
    "bs1387 (PEAQ's outer and middle ear), aw-lp (A and low-pass, Wright and Valimaki); auraloss-aw is that package's "
    "101-tap FIR",
]
Coefficient = Annotated[
    float,
    Within(0, 1),
    "of hp, fd and aw-lp; 0.85 is meant for 44.1 kHz, 0.85^(44100/rate) keeps the zero at its frequency",
]
MidSide = Annotated[bool, "compare left + right and left - right instead of left and right"]

LAG = {"none": 0, "hp": 1, "fd": 2}
PAD = 0.25  # seconds of zeros, so that the ends do not reach each other around the FFT


@dataclass(frozen=True, kw_only=True)
class Weighted(Options):
    """Options of a metric that both signals may be weighted for."""

    weighting: Weighting = "none"
    coef: Coefficient = 0.85
    mid_side: MidSide = False

    # Whether all is computed in float64 from the samples on: near-equal or near-silent powers of float32 spectra hold
    # more rounding than difference. Losses of float32 tensors stay in float32.
    float64: ClassVar[bool] = False


PLAIN = Weighted()


def streams(ref: Array, test: Array, rate: int, o: Weighted = PLAIN) -> list[tuple[Stream, Stream]]:
    """One pair of Streams per channel, weighted. ref, test: [channel, sample] of one dtype after this.

    What is weighted is computed in float64: in float32 its rounding would hide a small difference.
    Raises UsageError for mid-side on anything but stereo.
    """
    check_channels(o, ref.shape[0])
    if o.mid_side:
        both = (np.add, np.subtract)
        ref, test = (np.stack([f(x[0], x[1], dtype=np.float64) for f in both]) for x in (ref, test))
    dtype = np.result_type(ref, test) if o.weighting in LAG else np.dtype(np.float64)
    pairs = []
    for pair in zip(ref, test, strict=True):
        r, t = (np.ascontiguousarray(x, dtype) for x in pair)
        if o.weighting not in LAG:
            r, t = (weigh(x, rate, o.weighting, o.coef) for x in (r, t))
        lag = LAG.get(o.weighting, 0)
        c = np.float64(o.coef) if lag else np.float64(0) if o.float64 else dtype.type(0)
        pairs.append((engine.stream.Stream(r, c, lag), engine.stream.Stream(t, c, lag)))
    return pairs


def check_channels(o: Weighted, channels: int) -> None:
    """UsageError for mid-side on anything but stereo."""
    if o.mid_side and channels != 2:
        raise UsageError(f"mid_side needs stereo, these have {channels} channel{'s' * (channels != 1)}")


def weigh(x: Array, rate: int, weighting: str, coef: float = 0.85) -> Array:
    """x [sample] through a curve, zero-phase, same length and dtype."""
    if weighting == "auraloss-aw":
        return convolve(x, auraloss_taps(rate))
    n = engine.fft.fast_length(x.size + round(PAD * rate))
    gain = magnitude(weighting, np.arange(n // 2 + 1) * (rate / n), rate, coef)
    spectrum = engine.fft.rfft(x, n)
    spectrum *= gain.astype(x.dtype)
    result: Array = engine.fft.irfft(spectrum, n)[: x.size]
    return result


def magnitude(weighting: str, hz: Array, rate: int, coef: float = 0.85) -> Array:
    """Linear gain of a weighting at frequencies in Hz; exact, not that of a digital approximation."""
    z = np.exp(-2j * np.pi * hz / rate)
    if weighting in LAG:
        return np.abs(1 - coef * z ** LAG[weighting]) if LAG[weighting] else np.ones_like(hz)
    if weighting == "aw-lp":
        return _a(hz) * np.abs(1 + coef * z)
    if weighting == "k":
        return _k(z, rate)
    return _CURVES[weighting](hz)


# IEC 61672-1:2013 annex E, pole frequencies in Hz
_F1, _F2, _F3, _F4, _F5 = 20.598997, 107.65265, 737.86223, 12194.217, 158.48932


def _a(f: Array) -> Array:
    r = _F4**2 * f**4 / ((f**2 + _F1**2) * np.sqrt((f**2 + _F2**2) * (f**2 + _F3**2)) * (f**2 + _F4**2))
    result: Array = 10 ** (1.9997 / 20) * r
    return result


def _b(f: Array) -> Array:
    r = _F4**2 * f**3 / ((f**2 + _F1**2) * np.sqrt(f**2 + _F5**2) * (f**2 + _F4**2))
    result: Array = 10 ** (0.17 / 20) * r
    return result


def _c(f: Array) -> Array:
    result: Array = 10 ** (0.0619 / 20) * _F4**2 * f**2 / ((f**2 + _F1**2) * (f**2 + _F4**2))
    return result


def _itu468(f: Array) -> Array:
    """ITU-R BS.468-4, the response of its figure 1a network."""
    h1 = 1 - 1.363894795463638e-7 * f**2 + 2.043828333606125e-15 * f**4 - 4.737338981378384e-24 * f**6
    h2 = 5.559488023498642e-4 * f - 2.118150887518656e-11 * f**3 + 1.306612257412824e-19 * f**5
    result: Array = 10 ** (18.246 / 20) * 1.246332637532143e-4 * f / np.sqrt(h1**2 + h2**2)
    return result


@cache
def _iso226_table() -> Array:
    with resources.files("audiosim.tables").joinpath("iso226_2003.csv").open() as lines:
        table: Array = np.loadtxt(lines, delimiter=",", skiprows=3)
    return table


def equal_loudness(phon: float) -> tuple[Array, Array]:
    """Frequencies [29] in Hz and sound pressure levels [29] in dB of one loudness level (ISO 226:2003, eq. 1)."""
    f, alpha, transfer, threshold = _iso226_table().T
    a = 4.47e-3 * (10 ** (0.025 * phon) - 1.15) + (0.4 * 10 ** ((threshold + transfer) / 10 - 9)) ** alpha
    return f, 10 / alpha * np.log10(a) - transfer + 94


def _iso226(f: Array) -> Array:
    """Inverse of the 40 phon contour, 0 dB at 1 kHz; linear over log frequency, held beyond 20 Hz and 12.5 kHz."""
    table, level = equal_loudness(40)
    reference = level[np.searchsorted(table, 1000)]
    result: Array = 10 ** ((reference - np.interp(np.log(np.maximum(f, 1)), np.log(table), level)) / 20)
    return result


def k_sections(rate: int) -> Array:
    """ITU-R BS.1770-4, shelf and high-pass, as biquads [2, 5] (b0 b1 b2 a1 a2), derived for any rate from their
    analogue parameters; the rate must be above twice the shelf's 1682 Hz."""
    shelf_f, shelf_gain, shelf_q = 1681.9744509555319, 10 ** (3.99984385397 / 20), 0.7071752369554193
    k = np.tan(np.pi * shelf_f / rate)
    middle = shelf_gain**0.4996667741545416 * k / shelf_q
    a0 = 1 + k / shelf_q + k * k
    shelf = [shelf_gain + middle + k * k, 2 * (k * k - shelf_gain), shelf_gain - middle + k * k]
    shelf = [*shelf, 2 * (k * k - 1), 1 - k / shelf_q + k * k]
    k, q = np.tan(np.pi * 38.13547087613982 / rate), 0.5003270373253953
    high_pass = [2 * (k * k - 1), 1 - k / q + k * k]
    return np.array([np.divide(shelf, a0), [1, -2, 1, *np.divide(high_pass, 1 + k / q + k * k)]])


def _k(z: Array, rate: int) -> Array:
    gain = np.ones(z.shape)
    for b0, b1, b2, a1, a2 in k_sections(rate):
        gain *= np.abs((b0 + b1 * z + b2 * z**2) / (1 + a1 * z + a2 * z**2))
    return gain


def middle_ear(hz: Array) -> Array:
    """Gain in dB of the outer and the middle ear above 0 Hz (ITU-R BS.1387-1, annex 2, eq. 8)."""
    khz = hz / 1000
    result: Array = -2.184 * khz**-0.8 + 6.5 * np.exp(-0.6 * (khz - 3.3) ** 2) - 0.001 * khz**3.6
    return result


def _bs1387(f: Array) -> Array:
    """PEAQ's ear as a filter: -1.9 dB at 1 kHz, its peak of 5.6 dB near 3.3 kHz, nothing at 0 Hz."""
    result: Array = 10 ** (middle_ear(np.maximum(f, 1e-3)) / 20)
    return result


_CURVES: dict[str, Callable[[Array], Array]] = {
    "a": _a,
    "b": _b,
    "c": _c,
    "itu468": _itu468,
    "iso226": _iso226,
    "bs1387": _bs1387,
}


@cache
def auraloss_taps(rate: int) -> Array:
    """The 101 least-squares taps of auraloss 0.4.0, FIRFilter("aw"), in that package's float32."""
    import scipy.signal  # a second of start-up: only for this comparison

    w = 2 * np.pi
    numerator = [(w * _F4) ** 2 * 10 ** (1.9997 / 20), 0, 0, 0, 0]
    denominator = np.polymul([1, 2 * w * _F4, (w * _F4) ** 2], [1, 2 * w * _F1, (w * _F1) ** 2])
    denominator = np.polymul(denominator, np.polymul([1, w * _F3], [1, w * _F2]))
    b, a = scipy.signal.bilinear(numerator, denominator, fs=rate)
    hz, response = scipy.signal.freqz(b, a, worN=512, fs=rate)
    taps: Array = scipy.signal.firls(101, hz, np.abs(response), fs=rate)
    return taps.astype(np.float32)


def convolve(x: Array, taps: Array) -> Array:
    """Linear-phase FIR, centred: same length, zeros beyond the ends."""
    n = engine.fft.fast_length(x.size + taps.size - 1)
    spectrum = engine.fft.rfft(x, n) * engine.fft.rfft(taps.astype(x.dtype), n)
    half = taps.size // 2
    return np.ascontiguousarray(engine.fft.irfft(spectrum, n)[half : half + x.size])
