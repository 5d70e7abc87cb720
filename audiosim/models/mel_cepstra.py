"""Signals as frames of mel-cepstra: SPTK's kind, and those of two programs whose values are quoted.

Every analysis turns one channel into Frames, computed in float64 a few frames at a time; cepstra @ basis.T is a log
spectrum, up to a factor, at the analysis' frequencies.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from math import ceil
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .. import dsp, engine
from ..engine.frames import STFT
from ..errors import MissingExtra, UsageError
from ..signal import Signal

if TYPE_CHECKING:
    from ..engine.stream import Stream

Array = NDArray[Any]

DB = float(10 * 2**0.5 / np.log(10))  # dB per unit of a one-sided cepstrum of the natural logarithm of amplitude
AXIS = 256  # points on the warped axis
BLOCK = 256  # frames in work at a time


class Frames(NamedTuple):
    """cepstra [frame, coefficient]: what is compared. shape [frame, feature]: what is aligned. energy [frame].

    Of tensors with an axis of items before.
    """

    cepstra: Any
    shape: Any
    energy: Any


class Analysis(Protocol):
    """How a signal becomes frames, at one rate."""

    factor: float  # of the Euclidean distance of cepstra
    radius: int  # of fastdtw for their alignment; 0: exact
    period: float  # seconds from frame to frame
    top: float  # Hz, where its frequencies end

    @property
    def basis(self) -> Array:
        """[point, coefficient]."""

    @property
    def frequencies(self) -> Array:
        """Hz, [point]."""

    def times(self, count: int) -> Array:
        """Middles of the frames in seconds."""

    def too_short(self, length: int, /) -> str | None:
        """Why a signal of so many samples has no frame, if so."""

    def frames(self, x: Stream) -> Frames:
        """Of one channel."""

    def differentiable(self) -> Callable[[Any], Frames]:
        """The same for tensors [item, sample]. UsageError where there is no such thing."""


class MelCepstra:
    """c_1 to c_order of ln|H| = sum c_m cos(m w~), in frames of 25 ms every 5 ms. See dsp.mel_cepstrum.

    order 0: 24 up to 16 kHz, 34 up to 24 kHz, 39 above. alpha -1: the mel scale's. iterations: Newton steps.
    floor: power added to every bin, re a full-scale sine. window: periodic "hann" or SPTK's symmetric "blackman".
    """

    factor = DB
    radius = 0

    def __init__(
        self,
        rate: int,
        order: int = 0,
        alpha: float = -1.0,
        iterations: int = 0,
        floor: float = 0.0,
        window: str = "hann",
    ) -> None:
        self.rate, self.iterations = rate, iterations
        self.order = order or (24 if rate <= 16000 else 34 if rate <= 24000 else 39)
        self.alpha = dsp.mel_cepstrum.alpha_of(rate) if alpha == -1 else alpha
        size, hop = max(2, round(0.025 * rate)), max(1, round(0.005 * rate))
        n_fft = 1 << (size - 1).bit_length()
        self.stft = STFT.of(n_fft, hop, "hann", size, pad="zero")
        if window == "blackman":
            self.stft = STFT(n_fft, hop, np.blackman(size), n_fft // 2, n_fft // 2, "zero")
        self.period, self.top = hop / rate, rate / 2
        self.eps = float(floor * (self.stft.window.sum() / 2) ** 2)

    @property
    def basis(self) -> Array:
        return _cosines(self.order, self.alpha)[:, 1:]

    @property
    def frequencies(self) -> Array:
        return _points(self.rate, self.alpha)

    def times(self, count: int) -> Array:
        return self.stft.times(count, self.rate)

    def too_short(self, _: int) -> None:
        return None

    def frames(self, x: Stream) -> Frames:
        count = self.stft.count(x.length)
        cepstra, energy = np.empty((count, self.order)), np.empty(count)
        for at, p in _powers(x, self.stft):
            c = dsp.mel_cepstrum.mel_cepstrum(p, self.order, self.alpha, 0.0, self.iterations, self.eps, threshold=0.0)
            cepstra[at], energy[at] = c[:, 1:], p.sum(1)
        return Frames(cepstra, cepstra, energy)

    def differentiable(self) -> Callable[[Any], Frames]:
        from ..engine.tensors import power, spectra

        transform = spectra(self.stft)
        analyse = dsp.mel_cepstrum.mel_cepstrum_torch(
            self.order, self.alpha, self.stft.n_fft, 0.0, self.iterations, self.eps
        )

        def frames(x: Any) -> Frames:
            p = power(transform(x), 0.0)
            cepstra = analyse(p)[..., 1:]
            return Frames(cepstra, cepstra, p.sum(-1))

        return frames


class BelCepstra:
    """As mel-cepstral-distance 0.0.4 makes them by default.

    Peaks at full scale; 32 ms every 8 ms under a symmetric Hann window, without a last frame that ends with the signal;
    20 of HTK's mel triangles with corners on bins, in bel; orders 2 to 16 of the unnormalised cosine transform. Aligned
    by the mel bands. Silence stays as it is, where the package has nan.
    """

    factor = 1.0
    radius = 10
    BANDS = 20
    EPS = 2.220446049250313e-16  # added to the energy of a band

    def __init__(self, rate: int) -> None:
        if rate < 125:
            raise UsageError(f"frames every 8 ms need a rate of 125 Hz or more, not {rate}")
        self.rate = rate
        size, hop = int(32 / 1000 * rate), int(8 / 1000 * rate)
        self.stft = STFT(size, hop, np.hanning(size), 0, -1, "zero")
        self.period, self.top = hop / rate, rate / 2
        corners = 700 * np.expm1(np.linspace(0, np.log1p(rate // 2 / 700), self.BANDS + 2))
        self.frequencies = corners[1:-1]
        bins = np.floor((size + 1) * corners / rate).astype(int)
        self.filters = np.zeros((self.stft.bins, self.BANDS))
        for n, (low, centre, high) in enumerate(zip(bins, bins[1:], bins[2:], strict=False)):
            self.filters[low:centre, n] = (np.arange(low, centre) - low) / max(centre - low, 1)
            self.filters[centre:high, n] = (high - np.arange(centre, high)) / max(high - centre, 1)
        self.basis = np.cos(np.pi / self.BANDS * (np.arange(self.BANDS)[:, None] + 0.5) * np.arange(2, 17))

    def times(self, count: int) -> Array:
        return self.stft.times(count, self.rate)

    def too_short(self, length: int) -> str | None:
        return None if self.stft.count(length) else self.stft.too_short(length)

    def frames(self, x: Stream) -> Frames:
        count = self.stft.count(x.length)
        bands, energy = np.empty((count, self.BANDS)), np.empty(count)
        peak = max(np.abs(_read(x, k, 1 << 20)).max() for k in range(0, x.length, 1 << 20))
        for at, p in _powers(x, self.stft, peak or 1.0):
            bands[at], energy[at] = np.log10(p @ self.filters + self.EPS), p.sum(1)
        return Frames(bands @ self.basis, bands, energy)

    def differentiable(self) -> Callable[[Any], Frames]:
        import torch

        from ..engine.tensors import Constant, power, spectra

        transform, filters, basis = spectra(self.stft), Constant(self.filters), Constant(self.basis)

        def frames(x: Any) -> Frames:
            peak = x.abs().amax(-1, keepdim=True)
            p = power(transform(x / torch.where(peak > 0, peak, 1.0)), 0.0)
            bands = (p @ filters(p) + self.EPS).log10()
            return Frames(bands @ basis(p), bands, p.sum(-1))

        return frames


class WorldCepstra:
    """As pymcd 0.2.1 makes them: WORLD's envelope every 5 ms at 22050 Hz, a power that is read as an amplitude, its c_0
    to c_13 with a warping of 0.65. Aligned without c_0. MissingExtra where pyworld is not installed."""

    factor = DB
    radius = 1
    period = 0.005
    RATE, N_FFT, ORDER, ALPHA, EPS = 22050, 512, 13, 0.65, 1e-8
    top = RATE / 2

    def __init__(self, rate: int) -> None:
        self.rate = rate

    @property
    def basis(self) -> Array:
        return _cosines(self.ORDER, self.ALPHA)

    @property
    def frequencies(self) -> Array:
        return _points(self.RATE, self.ALPHA)

    def times(self, count: int) -> Array:
        return np.arange(count) * self.period

    def too_short(self, _: int) -> None:
        return None

    def frames(self, x: Stream) -> Frames:
        world = _world()
        single = Signal(_read(x, 0, x.length)[None].astype(np.float32), self.rate, "the recording")
        y = dsp.resampling.to_rate(single, self.RATE, "HQ").samples[0].astype(np.float64)
        y.resize(ceil(x.length * (self.RATE / self.rate)), refcheck=False)  # as librosa.load: WORLD hears the end
        pitch, times = world.dio(y, self.RATE, frame_period=1000 * self.period)
        pitch = world.stonemask(y, pitch, times, self.RATE)
        envelope = world.cheaptrick(y, pitch, times, self.RATE, fft_size=self.N_FFT)
        cepstra = dsp.mel_cepstrum.mel_cepstrum(envelope**2, self.ORDER, self.ALPHA, 0.0, 0, self.EPS)
        return Frames(cepstra, cepstra[:, 1:], envelope.sum(1))

    def differentiable(self) -> Callable[[Any], Frames]:
        raise UsageError("WORLD's analysis has no gradient")


def _world() -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # pkg_resources, which pyworld imports, says that it is deprecated
            import pyworld
    except ModuleNotFoundError:
        raise MissingExtra("pymcd's cepstra need pyworld: pip install 'audiosim[world]'") from None
    return pyworld


def _powers(x: Stream, stft: STFT, peak: float = 1.0) -> Iterator[tuple[slice, Array]]:
    """Power spectra of x over the peak, some frames at a time: which, and [frame, bin]."""
    count, size = stft.count(x.length), stft.window.size
    offset = (stft.n_fft - size) // 2 - stft.lead
    for first in range(0, count, BLOCK):
        at = slice(first, min(first + BLOCK, count))
        y = _read(x, at.start * stft.hop + offset, (at.stop - at.start - 1) * stft.hop + size) / peak
        frames = np.lib.stride_tricks.sliding_window_view(y, size)[:: stft.hop]
        z = engine.fft.rfft(frames * stft.window, stft.n_fft)
        yield at, z.real**2 + z.imag**2


def _read(x: Stream, start: int, count: int) -> Array:
    """So many samples from one on, zeros outside, float64."""
    return engine.stream.part(x, start, count).astype(np.float64, copy=False)


def _cosines(order: int, alpha: float) -> Array:
    """cos(m w~) in the middles of equal parts of the warped axis: there the mean of squares is that of Parseval."""
    return np.asarray(np.cos((np.arange(AXIS)[:, None] + 0.5) * (np.pi / AXIS) * np.arange(order + 1)))


def _points(rate: float, alpha: float) -> Array:
    """Frequencies in Hz of these middles."""
    middles = (np.arange(AXIS) + 0.5) * (np.pi / AXIS)
    return np.asarray(dsp.mel_cepstrum.warp(middles, -alpha) * (rate / (2 * np.pi)))
