"""A guitar amplifier, learned from a guitar and what the amplifier makes of it.

The amplifier has two clipping stages, of which the first shifts its bias as long as it is driven, a tone stack and a
cabinet. Variants: a dilated convolution and a recurrent network, each with a capture in time and one 1 ms late.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import torch
from torch import nn

from .layers import Dilated, tensor
from .sources import Array, riff
from .task import Example, Task

RATE = 48000
VARIANTS = ("convolution", "gru", "convolution-late", "gru-late")
LENGTH = 32768  # samples of a step
LATE = 48  # samples
LEAST = 0.02  # RMS of what is worth a step
UP = 4  # oversampling of the amplifier


class Recurrent(nn.Module):  # type: ignore[misc]
    """A GRU over stretches of its input, each begun early enough to forget that it starts: [batch, sample] to same."""

    def __init__(self, hidden: int = 8, stretch: int = 256, early: int = 128) -> None:
        super().__init__()
        self.gru, self.end = nn.GRU(1, hidden), nn.Linear(hidden + 1, 1)
        self.stretch, self.early = stretch, early

    def forward(self, x: Any) -> Any:
        batch, n = x.shape
        padded = nn.functional.pad(x, (self.early, -n % self.stretch))
        cuts = padded.unfold(1, self.early + self.stretch, self.stretch)  # [batch, cut, sample]
        inputs = cuts.reshape(-1, cuts.shape[-1], 1).transpose(0, 1)
        states, _ = self.gru(inputs)
        out = self.end(torch.cat([states, inputs], 2)[self.early :])[..., 0]  # [sample, batch and cut]
        return out.T.reshape(batch, -1)[:, :n]


def amplified(x: Array) -> Array:
    """[sample] at RATE through the amplifier."""
    from scipy import signal

    rate = UP * RATE

    def through(x: Array, order: int, frequency: float, kind: str, rate: int = rate) -> Array:
        return np.asarray(signal.sosfilt(signal.butter(order, frequency, kind, fs=rate, output="sos"), x))

    y = 25 * through(signal.resample_poly(x, UP, 1), 1, 120, "high")
    y = y - 0.6 * through(np.maximum(y - 1, 0), 1, 8, "low")  # the coupling capacitor charges while the grid conducts
    y = np.tanh(y + 0.3) - np.tanh(0.3)
    y = np.where(y > 0, y, 0.7 * np.tanh(y / 0.7))
    y = through(through(y, 1, 40, "high"), 1, 7000, "low")
    y = y - 0.5 * signal.lfilter(*signal.iirpeak(500, 0.7, fs=rate), y)  # scooped
    y = signal.resample_poly(np.tanh(2.5 * y), 1, UP)
    y = through(y, 2, 90, "high", RATE)
    y = y + 1.2 * signal.lfilter(*signal.iirpeak(2600, 1.2, fs=RATE), y)
    return 0.35 * through(y, 4, 5200, "low", RATE)


@cache
def _captured(seed: int, seconds: float) -> tuple[Array, Array]:
    x = riff(np.random.default_rng([seed, 41]), RATE, seconds)
    return x.astype(np.float32), amplified(x).astype(np.float32)


@cache
def _worth(seed: int, seconds: float) -> Array:
    """Starts of stretches that sound."""
    y = _captured(seed, seconds)[1].astype(float)
    energy = np.concatenate([[0.0], np.cumsum(y**2)])
    return np.flatnonzero(energy[LENGTH:] - energy[:-LENGTH] > LENGTH * LEAST**2)[:-1]


def task(variant: str) -> Task:
    kind, _, late = variant.partition("-")
    shift = LATE if late else 0

    def network() -> Any:
        return Dilated(6) if kind == "convolution" else Recurrent()

    def cut(seed: int, seconds: float, begin: int, length: int) -> Example:
        x, y = _captured(seed, seconds)
        y = np.concatenate([np.zeros(shift, y.dtype), y])
        return tensor(x[None, begin : begin + length]), tensor(y[None, begin : begin + length])

    def batch(rng: np.random.Generator) -> Example:
        return cut(1, 60.0, int(rng.choice(_worth(1, 60.0))), LENGTH)

    def held_out(split: str) -> list[Example]:
        seeds = (2, 3) if split == "validation" else (4, 5, 6, 7)
        return [cut(seed, 4.0, 0, 4 * RATE) for seed in seeds]

    return Task(name=f"amplifier/{variant}", rate=RATE, network=network, batch=batch, held_out=held_out)
