"""How a signal is cut into frames, and what a sum over them holds. No kernels here: cards and options need it too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import UsageError
from . import windows

Array = NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class STFT:
    """How a signal is cut into frames.

    n_fft, hop: samples. window: float64 [<= n_fft], centred in the frame.
    lead, trail: samples of padding before and after the signal. pad: what they hold.
    """

    n_fft: int
    hop: int
    window: Array
    lead: int
    trail: int
    pad: Literal["reflect", "zero"]

    @classmethod
    def of(
        cls,
        n_fft: int,
        hop: int,
        window: str = "hann",
        win: int | None = None,
        centre: bool = True,
        pad: Literal["reflect", "zero"] = "reflect",
    ) -> STFT:
        """With a periodic window by name, of win samples (default n_fft). UsageError for impossible sizes.

        centre: frame t is centred on sample t * hop, as in torch.stft and librosa; else frame t starts there.
        """
        win = n_fft if win is None else win
        if not 2 <= n_fft <= 1 << 20:
            raise UsageError(f"n_fft must be 2 to {1 << 20} samples, not {n_fft}")
        if hop < 1:
            raise UsageError(f"hop must be at least 1 sample, not {hop}")
        if not 1 <= win <= n_fft:
            raise UsageError(f"the window must be 1 to n_fft={n_fft} samples, not {win}")
        return _stft(n_fft, hop, window, win, n_fft // 2 if centre else 0, pad)

    @property
    def bins(self) -> int:
        return self.n_fft // 2 + 1

    def count(self, length: int) -> int:
        """Frames of a signal of so many samples; 0 when it is too short."""
        if length < 1 or (self.pad == "reflect" and length <= max(self.lead, self.trail)):
            return 0
        return max(0, 1 + (length + self.lead + self.trail - self.n_fft) // self.hop)

    def too_short(self, length: int) -> str:
        """Why a signal of so many samples has no frame."""
        need = max(self.lead, self.trail) + 1 if self.pad == "reflect" else self.n_fft - self.lead - self.trail
        return f"too short: a frame takes {need} samples, there are {length}"

    def times(self, count: int, rate: int) -> Array:
        """Centres of the frames, seconds."""
        return (np.arange(count) * self.hop + self.n_fft / 2 - self.lead) / rate

    def frequencies(self, rate: int) -> Array:
        """Centres of the bins, Hz."""
        return np.arange(self.bins) * (rate / self.n_fft)


@lru_cache(maxsize=64)
def _stft(n_fft: int, hop: int, window: str, win: int, side: int, pad: Literal["reflect", "zero"]) -> STFT:
    """One object for one set of sizes, so that what is derived from it can be kept too."""
    return STFT(n_fft, hop, windows.periodic(window, win), side, side, pad)


@dataclass(frozen=True, slots=True, eq=False)
class Sums:
    """Sums of a measure's terms over frames and bins; by band and frame where they were asked for.

    total: [term]; by_band: [band, term]; by_frame: [frame, term]; map: [frame, band, term].
    frames, bins: how many the total covers; band_bins: [band] how many each band holds.
    """

    total: Array
    frames: int
    bins: int
    by_band: Array | None = None
    by_frame: Array | None = None
    map: Array | None = None
    band_bins: Array | None = None


def added(channels: Sequence[Sums | None]) -> Sums | None:
    """The sums of all channels, which have the same frames and bins; None where one of them has none."""
    known = [sums for sums in channels if sums is not None]
    if len(known) < len(channels) or len(known) == 1:
        return channels[0] if len(channels) == 1 else None
    summed = {
        name: sum(getattr(sums, name) for sums in known)
        for name in ("total", "by_band", "by_frame", "map")
        if getattr(known[0], name) is not None
    }
    return replace(known[0], **summed)
