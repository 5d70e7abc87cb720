"""What a second of sound is like, in numbers: level, fluctuation and movement of its auditory bands.

Bands are 1 Cam apart (ERB-rate: Glasberg and Moore 1990, Hearing Research 47, 103-138), from 50 Hz to 16 kHz. Spectra
of 32 ms, every 10 ms, give their powers P at the file's own rate; bands above half of it have none. Levels are
10 lg(P / P0 + floor) in dB, where P0 is the power of all bands in the mean over frames that lie within 40 dB of the
loudest: how loud a recording is does not count. Of each window of 1 s, every 0.5 s, each band has the features KINDS.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..engine.elementary import logarithms
from ..engine.frames import STFT
from ..engine.kernel import kernel
from . import scales
from .magnitudes import MelFilters, power

Array = NDArray[Any]

LOW, HIGH = 50.0, 16000.0  # Hz, ends of the bands
BANDS = 34
FRAME, HOP = 0.032, 0.010  # s
WINDOW, STEP = 100, 50  # frames
QUIETER = 40.0  # dB: frames further below the loudest do not count in the level, and are no sound
FLOOR = 1e-5  # of levels, in each band
SOUNDING = 0.1  # share of the frames of a window that must be sound
# Of each band, dB: mean and standard deviation of its level, the mean of how far it moves within 10 ms; the level that
# a tenth of the frames lie below, and the root mean square of its rises within 10 ms.
KINDS = ("level", "deviation", "movement", "quiet", "rise")
FIRST = KINDS[:3]
MOST = 1 << 17  # samples of frames at a time
_DB = float(10 / np.log(10))


@lru_cache(maxsize=1)
def centres() -> Array:
    """Centres of the bands [band] in Hz."""
    return _edges()[1:-1]


def _edges() -> Array:
    return scales.erb_rate_inverse(np.linspace(scales.erb_rate(LOW), scales.erb_rate(HIGH), BANDS + 2))


def names(kinds: Sequence[str] = FIRST) -> list[str]:
    """Of the features, such as "level 1000 Hz"."""
    return [f"{kind} {hz:.0f} Hz" for kind in kinds for hz in centres()]


@lru_cache(maxsize=16)
def _front(rate: int) -> tuple[STFT, MelFilters]:
    """Frames at this rate, and triangles whose output is the power of a band re a full-scale sine."""
    samples = max(2, round(FRAME * rate))
    n_fft = 1 << (samples - 1).bit_length()
    stft = STFT.of(n_fft, max(1, round(HOP * rate)), "hann", samples, centre=False)
    f, edges = stft.frequencies(rate), _edges()
    rising, falling = (
        (f - edges[:-2, None]) / np.diff(edges)[:-1, None],
        (edges[2:, None] - f) / np.diff(edges)[1:, None],
    )
    weights = np.maximum(0, np.minimum(rising, falling)) * 4 / (n_fft * np.square(stft.window).sum())
    return stft, MelFilters(weights, *scales.support(weights), centres())


def band_powers(x: Array, rate: int) -> Array:
    """Powers [frame, band] of x [sample], float64; a recording shorter than a frame is followed by zeros."""
    stft, filters = _front(rate)
    if x.size < stft.n_fft:
        x = np.concatenate([x, np.zeros(stft.n_fft - x.size)])
    x = np.ascontiguousarray(x, np.float64)
    count = 1 + (x.size - stft.n_fft) // stft.hop
    out = np.empty((BANDS, count))
    window = np.zeros(stft.n_fft)
    lead = (stft.n_fft - stft.window.size) // 2
    window[lead : lead + stft.window.size] = stft.window
    project = filters.projector(np.float64)
    block = max(1, MOST // stft.n_fft)
    for first in range(0, count, block):
        size = min(block, count - first)
        part = x[first * stft.hop : (first + size - 1) * stft.hop + stft.n_fft]
        spectra = engine.fft.frames_rfft(part[None], stft.hop, window, np.empty((1, size, stft.n_fft + 2)))
        out[:, first : first + size] = project(power(spectra, 0.0))[0].T
    return out.T


def features(x: Array, rate: int, kinds: Sequence[str] = FIRST, floor: float = FLOOR) -> Array:
    """[window, feature] of x [sample] at rate Hz, in the order of `names`: dB. Windows that hold no sound are left out;
    silence has none. A recording shorter than a second has one window."""
    return of_powers(band_powers(x, rate), kinds, floor, overwrite=True)


def of_powers(powers: Array, kinds: Sequence[str] = FIRST, floor: float = FLOOR, *, overwrite: bool = False) -> Array:
    """The features of powers [frame, band], which may be overwritten."""
    sound = sounding(powers)
    if not sound.any():
        return np.empty((0, len(kinds) * BANDS))
    mean = np.einsum("fb->f", powers)[sound].mean()
    across = np.ascontiguousarray(powers.T) if overwrite else np.array(powers.T, order="C")  # [band, frame]
    across /= mean
    across += floor
    scratch = np.empty(across.shape[1], np.int64)
    for levels in across:
        logarithms(levels, scratch)
    across *= _DB
    size = min(WINDOW, across.shape[1])
    starts = range(0, across.shape[1] - size + 1, STEP)
    kept = np.array([s for s in starts if sound[s : s + size].mean() >= SOUNDING], np.int64)
    out = np.empty((len(kept), len(KINDS), BANDS))
    _statistics(across, kept, size, out)
    if "quiet" in kinds:
        for levels, quiet in zip(across, out[:, KINDS.index("quiet")].T, strict=True):
            pieces = np.lib.stride_tricks.sliding_window_view(levels, size)[kept]
            quiet[:] = np.partition(pieces, size // 10, axis=-1)[:, size // 10]
    return out[:, [KINDS.index(kind) for kind in kinds]].reshape(len(kept), len(kinds) * BANDS)


def sounding(powers: Array) -> Array:
    """Which frames of powers [frame, band] lie within 40 dB of the loudest; none of silence."""
    total = np.einsum("fb->f", powers)
    return np.asarray(total > 10 ** (-QUIETER / 10) * total.max())


@kernel
def _statistics(levels: Array, starts: Array, size: int, out: Array) -> None:
    """Of levels [band, frame] in windows of so many frames: out [window, kind, band], but for the quiet level."""
    for b in range(levels.shape[0]):
        for w in range(starts.size):
            part = levels[b, starts[w] : starts[w] + size]
            total = 0.0
            for f in range(size):
                total += part[f]
            mean = total / size
            square = moved = risen = 0.0
            for f in range(size):
                square += (part[f] - mean) * (part[f] - mean)
            for f in range(1, size):
                step = part[f] - part[f - 1]
                moved += abs(step)
                risen += max(step, 0.0) * max(step, 0.0)
            steps = max(size - 1, 1)
            out[w, 0, b] = mean
            out[w, 1, b] = np.sqrt(square / size)
            out[w, 2, b] = moved / steps
            out[w, 4, b] = np.sqrt(risen / steps)
