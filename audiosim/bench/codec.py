"""A codec: an autoencoder with a quantiser between its halves, for speech and music. Variants: 2, 4 and 16 levels of
each of eight numbers, 250 times a second: 2, 4 and 8 kb/s."""

from __future__ import annotations

from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import nn

from .layers import tensor
from .sources import LEVEL, Array, riff, voice
from .task import Example, Task

RATE = 16000
VARIANTS = ("2kbps", "4kbps", "8kbps")
LEVELS = {"2kbps": 2, "4kbps": 4, "8kbps": 16}
LENGTH = 32768
NUMBERS = 8
STEPS = 1500  # they are cheap, and a codec that has learned for 300 has learned nothing


class Coder(nn.Module):  # type: ignore[misc]
    """[batch, sample] to the same, through NUMBERS values of so many levels for every 64 samples."""

    def __init__(self, levels: int, width: int = 24) -> None:
        super().__init__()
        self.levels = levels
        sizes = (1, width // 2, width, width)
        down = pairwise(sizes)
        self.encoder = nn.ModuleList(nn.Conv1d(a, b, 8, 4, padding=2) for a, b in down)
        self.inward, self.outward = nn.Conv1d(width, NUMBERS, 3, padding=1), nn.Conv1d(NUMBERS, width, 3, padding=1)
        up = pairwise(reversed(sizes))
        self.decoder = nn.ModuleList(nn.ConvTranspose1d(a, b, 8, 4, padding=2) for a, b in up)

    def forward(self, x: Any) -> Any:
        n, h = x.shape[-1], nn.functional.pad(x[:, None], (0, -x.shape[-1] % 64))
        for layer in self.encoder:
            h = nn.functional.leaky_relu(layer(h), 0.1)
        h = self.outward(self._quantised(self.inward(h)))
        for layer in self.decoder:
            h = layer(nn.functional.leaky_relu(h, 0.1))
        return h[:, 0, :n]

    def _quantised(self, x: Any) -> Any:
        """To the nearest of the levels from -1 to 1; the gradient passes as if it had not been rounded."""
        x, steps = torch.tanh(x), self.levels - 1
        return x + (((x + 1) / 2 * steps).round() / steps * 2 - 1 - x).detach()


@cache
def _sounds(seed: int, count: int, seconds: float) -> list[Array]:
    """Voices and guitars in turns; RMS LEVEL."""
    rng = np.random.default_rng([seed, 46])
    made = [voice(rng, RATE, seconds).samples if i % 2 else riff(rng, RATE, seconds) for i in range(count)]
    return [LEVEL * x / np.sqrt(np.mean(x**2)) for x in made]


def task(variant: str) -> Task:
    def batch(rng: np.random.Generator) -> Example:
        sounds = _sounds(1, 24, 5.0)
        x = sounds[rng.integers(len(sounds))]
        at = rng.integers(0, x.size - LENGTH)
        y = tensor(x[None, at : at + LENGTH])
        return y, y

    def held_out(split: str) -> list[Example]:
        made = _sounds(2, 4, 3.0) if split == "validation" else _sounds(3, 6, 3.0)
        return [(tensor(x)[None], tensor(x)[None]) for x in made]

    return Task(
        name=f"codec/{variant}",
        rate=RATE,
        network=lambda: Coder(LEVELS[variant]),
        batch=batch,
        held_out=held_out,
        speech=True,
        steps=STEPS,
    )
