"""A vocoder: from the log-mel spectrum and the pitch of a voice to its waveform, by harmonics and shaped noise (Engel
et al. 2020, DDSP). Variants: harmonics, whose phases start anew in each voice, and fourier, an inverse short-time
Fourier transform of what the network puts out (Kaneko et al. 2022, iSTFTNet)."""

from __future__ import annotations

from functools import cache
from math import pi
from typing import Any

import numpy as np
import torch
from torch import nn

from .layers import Spectral, tensor, triangles
from .sources import Voice, voice
from .task import Example, Task

RATE = 16000
VARIANTS = ("harmonics", "fourier")
BATCH, FRAMES = 2, 125
SIZE, HOP, BANDS = 1024, 256, 40
HARMONICS, SHAPES = 40, 24


class _Heard(nn.Module):  # type: ignore[misc]
    """What both networks hear [batch, BANDS + 1, frame]: band levels, and the logarithm of the pitch."""

    def __init__(self, outputs: int, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(BANDS + 1, width, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv1d(width, width, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv1d(width, outputs, 3, padding=1),
        )

    def forward(self, x: Any) -> Any:
        return self.layers(x)


class Harmonics(nn.Module):  # type: ignore[misc]
    """[batch, BANDS + 1, frame] to [batch, HOP (frames - 1)]."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = _Heard(2 * SHAPES + 1, 48)
        self.spectral = Spectral(RATE, SIZE, HOP, SHAPES)
        self.register_buffer("number", torch.arange(1, HARMONICS + 1.0)[:, None])

    def forward(self, x: Any) -> Any:
        n = HOP * (x.shape[-1] - 1)
        tone, hiss, level = torch.split(torch.exp(2 * self.heard(x) - 4), [SHAPES, SHAPES, 1], 1)
        pitch = torch.where(x[:, -1:] > 0, 100 * 2 ** (4 * x[:, -1:]), 0.0)  # see _heard
        place = self._place(self.number * pitch) * (SHAPES - 1)  # [batch, harmonic, frame]
        below = place.floor().clamp(max=SHAPES - 2)
        low, high = (tone.gather(1, (below + i).long()) for i in (0, 1))
        audible = (self.number * pitch < 0.48 * RATE) & (pitch > 0)
        heights = torch.where(audible, low + (place - below) * (high - low), 0.0) * level
        heights = nn.functional.interpolate(heights, n, mode="linear")
        track = nn.functional.interpolate(pitch, n, mode="linear").double()
        turns = torch.cumsum(track / RATE, 2)
        tones = (heights * torch.sin(2 * pi * (self.number * turns % 1)).float()).sum(1)
        noise = torch.rand(x.shape[0], n, generator=torch.Generator().manual_seed(0), dtype=x.dtype) - 0.5
        shaped = self.spectral.spectrum(noise) * (hiss.transpose(1, 2) @ self.spectral.filters).transpose(1, 2)
        return tones + self.spectral.samples(shaped, n)

    @staticmethod
    def _place(frequency: Any) -> Any:
        """0 to 1 along the mel scale."""
        return (torch.log10(1 + frequency / 700) / np.log10(1 + RATE / 1400)).clamp(max=1.0)


class Fourier(nn.Module):  # type: ignore[misc]
    """[batch, BANDS + 1, frame] to [batch, HOP (frames - 1)]: magnitudes and phases of frames of half the hop."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = _Heard(2 * 48 + 48, 64)
        self.size, self.hop = 512, HOP // 2
        self.register_buffer("window", torch.hann_window(self.size))
        self.register_buffer("filters", triangles(RATE, self.size, 48))

    def forward(self, x: Any) -> Any:
        n = HOP * (x.shape[-1] - 1)
        out = nn.functional.interpolate(self.heard(x), 2 * x.shape[-1] - 1, mode="linear", align_corners=True)
        size, real, imaginary = (self.filters.T @ part for part in out.chunk(3, 1))
        turn = pi * torch.arange(size.shape[-1]) * self.hop  # of each bin between frames
        bins = torch.arange(self.size // 2 + 1)[:, None] * 2 / self.size
        phase = torch.atan2(imaginary, real + 1e-7) + turn[None] * bins % (2 * pi)
        return torch.istft(
            torch.polar(torch.exp(2 * size - 3), phase), self.size, self.hop, window=self.window, length=n
        )


@cache
def _voices(seed: int, count: int, seconds: float) -> list[Voice]:
    rng = np.random.default_rng([seed, 44])
    return [voice(rng, RATE, seconds) for _ in range(count)]


def _heard(x: Voice, spectral: Any) -> Any:
    """[BANDS + 1, frame]: the last row is octaves above 100 Hz, over 4, and 0 or less where nothing is voiced."""
    bands = spectral.log_bands(tensor(x.samples)[None])[0]
    pitch = tensor(x.pitch)[::HOP][: bands.shape[-1]]
    pitch = nn.functional.pad(pitch, (0, bands.shape[-1] - pitch.shape[-1]))
    octaves = torch.where(pitch > 0, (pitch.clamp(min=1) / 100).log2() / 4, -0.1)
    return torch.cat([bands, torch.where(pitch > 0, octaves.clamp(min=1e-3), octaves)[None]])


@cache
def _pairs(seed: int, count: int, seconds: float) -> list[Example]:
    spectral = Spectral(RATE, SIZE, HOP, BANDS)
    return [(_heard(v, spectral), tensor(v.samples)) for v in _voices(seed, count, seconds)]


def _cut(pair: Example, begin: int, frames: int) -> Example:
    heard, samples = pair
    return heard[:, begin : begin + frames], samples[HOP * begin : HOP * (begin + frames - 1)]


def task(variant: str) -> Task:
    def batch(rng: np.random.Generator) -> Example:
        pairs = _pairs(1, 24, 5.0)
        cuts = []
        for _ in range(BATCH):
            pair = pairs[rng.integers(len(pairs))]
            cuts.append(_cut(pair, int(rng.integers(0, pair[0].shape[-1] - FRAMES)), FRAMES))
        return torch.stack([c[0] for c in cuts]), torch.stack([c[1] for c in cuts])

    def held_out(split: str) -> list[Example]:
        seed, count = (2, 3) if split == "validation" else (3, 5)
        cuts = [_cut(pair, 0, pair[0].shape[-1] - 1) for pair in _pairs(seed, count, 3.0)]
        return [(heard[None], samples[None]) for heard, samples in cuts]

    network = Harmonics if variant == "harmonics" else Fourier
    return Task(name=f"vocoder/{variant}", rate=RATE, network=network, batch=batch, held_out=held_out, speech=True)
