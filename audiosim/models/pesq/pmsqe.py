"""PESQ's disturbance on short-time power spectra, frame by frame and without alignment: what PMSQE is made of.

Martin-Donas, Gomez, Gonzalez and Peinado 2018, IEEE SPL 25(11), 1680-1684. Bands, thresholds, loudness and disturbance
are those of P.862, in .disturbance.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.frames import STFT
from ...engine.stream import plain
from ...engine.threads import in_threads
from ...engine.windows import periodic
from .disturbance import (
    AUDIBLE,
    GAINS,
    MOST,
    RATIOS,
    audible,
    bands,
    by_frame,
    differ,
    gain,
    group,
    grouping,
    hearing,
    hearing_torch,
    weight,
)

Array = NDArray[Any]

RATE, FRAME, HOP = 16000, 512, 256  # Hz, samples
LEVEL = 1e7  # power between 350 and 3250 Hz to which both are brought
SPEECH = slice(11, 105)  # bins that are about there
FRAMES_PER_TASK = 32  # fixed, so that nothing depends on the number of threads; their spectra stay in cache


@cache
def stft() -> STFT:
    """Frames of 32 ms under the root of a Hann window."""
    return STFT(FRAME, HOP, np.sqrt(periodic("hann", FRAME)), 0, 0, "zero")


def power_weights() -> Array:
    """By which powers of the bins SPEECH add up to the mean power of the samples there [bin]."""
    weights = np.ones(SPEECH.stop - SPEECH.start)
    weights[0], weights[-1] = 0.4, 0.5  # at 343.75 and 3250 Hz
    weights *= 2 / FRAME**2 / np.mean(stft().window ** 2)
    return weights


def powers(ref: Array, test: Array, threads: int = 1) -> tuple[Array, Array]:
    """Of ref and test [sample] at 16 kHz, of one length: power density [2, frame, band], and mean power [2] between 350
    and 3250 Hz. Not brought to a level yet."""
    count, model, weights = stft().count(ref.size), bands(RATE), power_weights()
    out, levels = np.empty((2, count, model.width.size)), np.empty((2, count))

    def task(first: int) -> None:
        stop = min(first + FRAMES_PER_TASK, count)
        part = slice(first * HOP, (stop - 1) * HOP + FRAME)
        r, t = (plain(x[part].astype(np.float64)) for x in (ref, test))
        spectra = engine.fold.cutter(r, t, stft(), stop - first)(0, stop - first)
        for z, grouped in zip(spectra, out[:, first:stop], strict=True):
            group(z, model.cuts, model.scale, grouped, 0)
        inside = spectra[..., SPEECH]
        levels[:, first:stop] = (inside.real**2 + inside.imag**2) @ weights

    in_threads(task, range(0, count, FRAMES_PER_TASK), threads)
    return out, levels.mean(axis=1)


def disturbance(p: Array, q: Array, bands_equal: bool, frames_equal: bool, where: bool) -> tuple[Array, Array]:
    """Symmetric and asymmetric disturbance [2, frame] of powers p, of the reference, and q [frame, band] at LEVEL, at
    most 45; and, where asked for, the cells [frame, band, 3] of disturbance.Disturbance. Options as of matched."""
    ear = hearing(bands(RATE), 0)
    q, reference = matched(p, q, ear.threshold, bands_equal, frames_equal)
    cells = np.zeros((len(p) if where else 0, p.shape[1], 3))
    return np.minimum(by_frame(p, q, ear, cells) / weight(reference), MOST), cells


def matched(p: Any, q: Any, threshold: Any, bands_equal: bool, frames_equal: bool) -> tuple[Any, Any]:
    """q, arrays or tensors [..., frame, band], as it is compared with p, and the audible power of p [..., frame].

    bands_equal: bands of the test are brought to the mean power of the reference where that is loud; frames_equal:
    frames to its level, without the memory that PESQ has. The band of 0 Hz, which PESQ leaves out, counts.
    """
    if bands_equal:
        loud = (p > 100 * threshold) & (audible(p, 100 * threshold, 0)[..., None] >= AUDIBLE)
        a, b = ((z * loud).sum(-2)[..., None, :] for z in (p, q))
        q = q * ((a + 1000) / (b + 1000)).clip(*RATIOS)
    reference = audible(p, threshold, 0)
    if frames_equal:
        q = q * gain(reference, q, threshold, 0).clip(*GAINS)[..., None]
    return q, reference


def disturbance_torch(bands_equal: bool, frames_equal: bool) -> Callable[[Any, Any], Any]:
    """ref, test [item, sample] at 16 kHz -> symmetric and asymmetric disturbance [item, frame]."""
    import torch

    from ...engine.tensors import Constant, power, product, spectra, unit

    model, transform = bands(RATE), spectra(stft())
    groups, hears, weights = Constant(grouping(model, 0)), hearing_torch(model, 0), Constant(power_weights()[:, None])

    def levelled(x: Any) -> Any:
        powers = power(transform(unit(x)), 0.0)
        mean = product(powers[..., SPEECH], weights(powers)).mean(1, keepdim=True)
        there = mean > 0
        return product(powers, groups(powers)) * torch.where(there, LEVEL / torch.where(there, mean, 1), 0)

    def measure(ref: Any, test: Any) -> tuple[Any, Any]:
        p, q = levelled(ref), levelled(test)
        ear = hears(p)
        q, reference = matched(p, q, ear.threshold, bands_equal, frames_equal)
        symmetric, asymmetric, _ = differ(torch, p, q, ear)
        each = weight(reference)
        return (symmetric / each).clamp(max=MOST), (asymmetric / each).clamp(max=MOST)

    return measure
