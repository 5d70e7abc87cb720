"""A denoiser: a recurrent network masks the bands of noisy speech. Variants: noise, and noise in a room, of which the
dry voice is to be found."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from torch import nn

from .layers import Spectral, tensor
from .sources import LEVEL, Array, coloured, room, voice
from .task import Example, Task

RATE = 16000
VARIANTS = ("noise", "room")
BATCH, SECONDS = 2, 2.0
BANDS = 48


class Mask(nn.Module):  # type: ignore[misc]
    """[batch, sample] to the same: a gain of 0 to 1 for each band and frame."""

    def __init__(self, hidden: int = 48) -> None:
        super().__init__()
        self.spectral = Spectral(RATE, 512, 128, BANDS)
        self.gru, self.end = nn.GRU(BANDS, hidden, batch_first=True), nn.Linear(hidden, BANDS)

    def forward(self, x: Any) -> Any:
        states, _ = self.gru(self.spectral.log_bands(x).transpose(1, 2))
        gains = self.end(states).sigmoid() @ self.spectral.filters  # [batch, frame, bin]
        return self.spectral.samples(self.spectral.spectrum(x) * gains.transpose(1, 2), x.shape[-1])


@cache
def _voices(seed: int, count: int, seconds: float) -> list[Array]:
    rng = np.random.default_rng([seed, 42])
    return [voice(rng, RATE, seconds).samples for _ in range(count)]


def _noisy(rng: np.random.Generator, x: Array, variant: str) -> Array:
    n = x.size
    y = x
    if variant == "room":
        from scipy.signal import fftconvolve

        y = fftconvolve(x, room(rng, RATE, rng.uniform(0.25, 0.6)))[:n]
    noise = coloured(rng, n, rng.uniform(0, 2))
    noise = noise * (1 + 0.8 * np.sin(2 * np.pi * rng.uniform(0.3, 3) * np.arange(n) / RATE + rng.uniform(0, 6)))
    return np.asarray(y + LEVEL * 10 ** (-rng.uniform(-2, 12) / 20) * noise)


def task(variant: str) -> Task:
    def batch(rng: np.random.Generator) -> Example:
        voices, n = _voices(1, 24, 5.0), round(RATE * SECONDS)
        cuts = [voices[rng.integers(len(voices))][(at := rng.integers(0, 3 * RATE)) : at + n] for _ in range(BATCH)]
        return tensor(np.stack([_noisy(rng, x, variant) for x in cuts])), tensor(np.stack(cuts))

    def held_out(split: str) -> list[Example]:
        seed, count = (2, 3) if split == "validation" else (3, 5)
        rng = np.random.default_rng([seed, 43])
        return [(tensor(_noisy(rng, x, variant))[None], tensor(x)[None]) for x in _voices(seed, count, 3.0)]

    return Task(name=f"denoiser/{variant}", rate=RATE, network=Mask, batch=batch, held_out=held_out, speech=True)
