"""Parts of the networks that several tasks train."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

DILATIONS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


class Dilated(nn.Module):  # type: ignore[misc]
    """Gated dilated convolutions (van den Oord et al. 2016), causal: [batch, sample] to the same."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.begin = nn.Conv1d(1, channels, 1)
        self.gates = nn.ModuleList(nn.Conv1d(channels, 2 * channels, 3, dilation=d) for d in DILATIONS)
        self.mixes = nn.ModuleList(nn.Conv1d(channels, channels, 1) for _ in DILATIONS)
        self.end = nn.Conv1d(channels * len(DILATIONS), 1, 1)
        self.context = 2 * sum(DILATIONS)

    def forward(self, x: Any) -> Any:
        h, n, heard = self.begin(nn.functional.pad(x[:, None], (self.context, 0))), x.shape[-1], []
        for gate, mix in zip(self.gates, self.mixes, strict=True):
            a, b = gate(h).chunk(2, 1)
            z = torch.tanh(a) * torch.sigmoid(b)
            heard.append(z[..., -n:])
            h = mix(z) + h[..., -z.shape[-1] :]
        return self.end(torch.cat(heard, 1))[:, 0]


class Spectral(nn.Module):  # type: ignore[misc]
    """Short-time Fourier transform with a Hann window, there and back; bands are triangles on the mel scale."""

    def __init__(self, rate: int, size: int, hop: int, bands: int) -> None:
        super().__init__()
        self.size, self.hop = size, hop
        self.register_buffer("window", torch.hann_window(size))
        self.register_buffer("filters", triangles(rate, size, bands))  # [band, bin], each bin's weights add up to 1

    def spectrum(self, x: Any) -> Any:
        """[batch, sample] to complex [batch, bin, frame]."""
        return torch.stft(x, self.size, self.hop, window=self.window, return_complex=True)

    def samples(self, spectrum: Any, length: int) -> Any:
        """The inverse of spectrum."""
        return torch.istft(spectrum, self.size, self.hop, window=self.window, length=length)

    def log_bands(self, x: Any) -> Any:
        """Natural logarithms of band energies [batch, band, frame], about -1 to 1."""
        power = self.spectrum(x).abs().square()
        return ((self.filters @ power) + 1e-6).log() / 8


def triangles(rate: int, size: int, bands: int) -> Any:
    """Overlapping triangles on the mel scale [band, bin], whose sum over bands is 1 at each bin."""
    mel = 2595 * torch.log10(1 + torch.linspace(0, rate / 2, size // 2 + 1) / 700)
    place = mel / mel[-1] * (bands - 1)
    return (1 - (place[None] - torch.arange(bands)[:, None]).abs()).clamp(min=0)


def tensor(x: Any) -> Any:
    """float32."""
    return torch.as_tensor(x, dtype=torch.float32)
