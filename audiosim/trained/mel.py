"""Mel spectrograms as networks were trained on them: those of librosa's feature.melspectrogram, in float64."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..hearing import scales

Array = NDArray[Any]

BLOCK, SAMPLES = 1024, 1 << 19  # frames at once, and their samples: what is made of them stays in cache


@dataclass(frozen=True, slots=True, kw_only=True)
class Mel:
    """A spectrogram in bands of Slaney's mel scale, of unit area, behind a periodic window.

    n_fft, hop, win: samples; win 0: n_fft. fmin, fmax: Hz; fmax 0: half the rate; bands beyond that are empty. power:
    of the magnitudes.
    pad: what stands before the first sample and behind the last, so that frames are centred; none: they are not.
    """

    rate: int
    n_fft: int
    hop: int
    bands: int
    win: int = 0
    window: str = "hann"
    fmin: float = 0.0
    fmax: float = 0.0
    power: float = 2.0
    pad: Literal["zero", "reflect", "none"] = "zero"

    def __call__(self, x: Array) -> Array:
        """Of samples [sample] the bands [frame, band]; no frame where there are too few samples."""
        if self.pad != "none":
            side = self.n_fft // 2
            x = np.pad(x, side, mode="constant" if self.pad == "zero" or x.size <= side else "reflect")
        if x.size < self.n_fft:
            return np.empty((0, self.bands))
        frames = np.lib.stride_tricks.sliding_window_view(x, self.n_fft)[:: self.hop]
        size = max(1, min(BLOCK, SAMPLES // self.n_fft))
        blocks = range(0, len(frames), size)
        return np.concatenate([self._bands(frames[k : k + size]) for k in blocks])

    def _bands(self, frames: Array) -> Array:
        window, weights, starts, stops = _prepared(self)
        z = engine.fft.rfft(frames * window, self.n_fft)
        squares = z.real**2 + z.imag**2
        heard = squares if self.power == 2 else np.sqrt(squares) if self.power == 1 else squares ** (self.power / 2)
        out = np.empty((1, len(frames), self.bands))
        engine.divergence.project(heard[None], starts, stops, weights, out)
        return np.asarray(out[0])


@lru_cache(maxsize=16)
def _prepared(mel: Mel) -> tuple[Array, Array, Array, Array]:
    """The window, in the middle of n_fft samples; the weights [band, bin], and which bins each band has."""
    win = mel.win or mel.n_fft
    left = (mel.n_fft - win) // 2
    window = np.pad(engine.windows.periodic(mel.window, win), (left, mel.n_fft - win - left))
    fmax = mel.fmax or mel.rate / 2
    times = max(1, ceil(2 * fmax / mel.rate))  # bands beyond half the rate are there, and empty
    weights, _ = scales.mel_filters(times * mel.rate, times * mel.n_fft, mel.bands, mel.fmin, fmax)
    weights = np.ascontiguousarray(weights[:, : mel.n_fft // 2 + 1])
    return window, weights, *scales.support(weights)


def decibels(power: Array, floor: float, range_db: float | None, over_peak: bool) -> Array:
    """10 lg of power, at least the floor, over its peak where over_peak; no less than range_db below the loudest."""
    top = max(float(power.max()), floor) if over_peak else 1.0
    db = 10 * np.log10(np.maximum(power, floor) / top)
    return db if range_db is None else np.asarray(np.maximum(db, db.max() - range_db))
