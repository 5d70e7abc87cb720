"""A synthesiser: from a sound to the parameters that make it, learned through the synthesiser itself, so that the loss
must know which way a pitch or a filter has to move. The phase of the target is not known. Variants: subtractive (a
sawtooth through a falling resonant low-pass) and fm (one sine modulates another)."""

from __future__ import annotations

from math import pi
from typing import Any

import numpy as np
import torch
from torch import nn

from .layers import Spectral, tensor
from .task import Example, Task

RATE = 16000
VARIANTS = ("subtractive", "fm")
BATCH, LENGTH = 4, 16384
BANDS, STEPS = 48, 8  # of what the network hears
HARMONICS = 24


def subtractive(settings: Any, phase: Any, n: int) -> Any:
    """Sounds [batch, n] of settings [batch, 4] from 0 to 1 (pitch, cutoff, resonance, decay) and phases [batch]."""
    t = torch.arange(n) / RATE
    pitch = 80 * 2 ** (2.5 * settings[:, 0, None, None])
    fall = torch.exp(-t / (0.05 + 0.6 * settings[:, 3, None, None]))
    cutoff = 200 * 2 ** (4.5 * settings[:, 1, None, None]) * (0.4 + 0.6 * fall)
    k = torch.arange(1, HARMONICS + 1)[:, None]
    far = (k * pitch / cutoff) ** 2
    width = 1.4 - 1.1 * settings[:, 2, None, None]
    heights = (k * pitch < 0.45 * RATE) / (k * ((1 - far) ** 2 + width**2 * far).sqrt())
    tones = heights * torch.sin(2 * pi * (k * pitch * t) + k * phase[:, None, None])
    return 0.2 * (tones * fall).sum(1)


def fm(settings: Any, phase: Any, n: int) -> Any:
    """As subtractive, of pitch, index of modulation, its decay, and the decay of the sound; the ratio is 2 (Chowning
    1973)."""
    t = torch.arange(n) / RATE
    pitch, index, soon, decay = (settings[:, i, None] for i in range(4))
    hertz = 80 * 2 ** (2.5 * pitch)
    depth = 6 * index * torch.exp(-t / (0.03 + 0.5 * soon))
    turns = 2 * pi * hertz * t + phase[:, None]
    return 0.3 * torch.exp(-t / (0.05 + 0.6 * decay)) * torch.sin(turns + depth * torch.sin(2 * turns))


MAKERS = {"subtractive": subtractive, "fm": fm}


class Listener(nn.Module):  # type: ignore[misc]
    """[batch, sample] to what the synthesiser makes of the settings that it hears."""

    def __init__(self, make: Any, width: int = 64) -> None:
        super().__init__()
        self.make = make
        self.spectral = Spectral(RATE, 1024, 256, BANDS)
        self.layers = nn.Sequential(
            nn.Linear(BANDS * STEPS, width), nn.LeakyReLU(0.1), nn.Linear(width, width), nn.LeakyReLU(0.1)
        )
        self.end = nn.Linear(width, 4)

    def settings(self, x: Any) -> Any:
        """[batch, 4], from 0 to 1."""
        heard = nn.functional.adaptive_avg_pool1d(self.spectral.log_bands(x), STEPS)
        return self.end(self.layers(heard.flatten(1))).sigmoid()

    def forward(self, x: Any) -> Any:
        return self.make(self.settings(x), torch.zeros(len(x)), x.shape[-1])


def task(variant: str) -> Task:
    make = MAKERS[variant]

    def sounds(rng: np.random.Generator, count: int) -> Example:
        with torch.no_grad():
            x = make(tensor(rng.uniform(0, 1, (count, 4))), tensor(rng.uniform(0, 2 * pi, count)), LENGTH)
        return x, x

    def held_out(split: str) -> list[Example]:
        rng = np.random.default_rng([2 if split == "validation" else 3, 45])
        return [sounds(rng, 1) for _ in range(6 if split == "validation" else 12)]

    return Task(
        name=f"synthesiser/{variant}",
        rate=RATE,
        network=lambda: Listener(make),
        batch=lambda rng: sounds(rng, BATCH),
        held_out=held_out,
    )
