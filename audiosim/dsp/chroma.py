"""Chroma: how the energy of a sound is shared by the twelve pitch classes, octaves aside. Bartsch and Wakefield 2001,
WASPAA; weights of spectral bins as Ellis 2007 (fft2chroma), which librosa.filters.chroma uses too."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import engine
from ..engine.frames import STFT

Array = NDArray[Any]

FRAME = 0.17  # seconds, about: so long a frame tells semitones apart from 100 Hz on
LOWEST = 27.5  # Hz, A0: octaves are counted from there
CENTRE, WIDTH = 5.0, 2.0  # octaves: where a pitch counts most, and the deviation of the weights


@lru_cache(maxsize=16)
def filters(rate: int, n_fft: int) -> Array:
    """Weights of spectral power float64 [12, n_fft // 2 + 1], C first.

    A bin belongs to the classes around its pitch under a Gaussian of a semitone, or of a bin where that is wider; the
    squares of its weights sum to that of a Gaussian over octaves.
    """
    spacing = rate / n_fft
    pitch = 12 * np.log2(np.arange(1, n_fft // 2 + 2) * spacing / LOWEST)
    pitch = np.concatenate([[pitch[0] - 18], pitch])  # 0 Hz: an octave and a half below
    width = np.maximum(np.diff(pitch), 1)
    pitch = pitch[:-1]
    distance = np.remainder(pitch - np.arange(12)[:, None] + 6, 12) - 6
    weights = np.exp(-0.5 * (2 * distance / width) ** 2)
    weights /= np.sqrt((weights**2).sum(0))
    weights *= np.exp(-0.5 * ((pitch / 12 - CENTRE) / WIDTH) ** 2)
    return np.asarray(np.roll(weights, -3, axis=0))  # from A to C


def stft(rate: int, overlap: int = 4) -> STFT:
    """Frames of about FRAME seconds, a power of two, centred, with so many hops in each."""
    n_fft = 1 << max(6, round(np.log2(FRAME * rate)))
    return STFT.of(n_fft, n_fft // overlap, pad="zero")


def chromagram(x: Array, rate: int, frames: STFT) -> tuple[Array, Array]:
    """Of x [sample]: power by pitch class [frame, 12], and in all of the spectrum [frame]."""
    weights = np.ascontiguousarray(filters(rate, frames.n_fft).T)
    scale = 4 / frames.window.sum() ** 2  # a full-scale sine has the power 1
    chroma, power = [], []
    for z in engine.fold.spectra(x.astype(np.float64, copy=False), frames):
        p = scale * (z.real**2 + z.imag**2)
        chroma.append(p @ weights)
        power.append(p.sum(1))
    return np.concatenate(chroma), np.concatenate(power)


def transposition(ref: Array, test: Array) -> int:
    """Semitones by which the test [frame, 12] is raised to be in the key of the reference: 0 to 11, 0 of equals.
    Serra et al. 2008, IEEE Trans. ASLP 16, 1138-1151."""
    x, y = (c.mean(0) for c in (ref, test))
    fits = np.array([float((x * np.roll(y, k)).sum()) for k in range(12)])
    return int(np.argmax(fits > fits.max() * (1 - 1e-9)))
