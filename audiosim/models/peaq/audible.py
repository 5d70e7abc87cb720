"""What PEAQ's ear is given to hear: the channels that are not silent in both recordings, as far as the shorter one
goes, and the frames from the first to the last in which the reference sounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import nan
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from ... import models
from ...answer import Channel, Detail, Pair, shares
from ...hearing import scales
from ...options import Options, Within

if TYPE_CHECKING:
    from .fft_ear import BarkEar

Array = NDArray[Any]

NEVER_LOUD = "reference and test are never loud (0.1 sone) at once"


@dataclass(frozen=True, kw_only=True)
class Playback(Options):
    """Options of a metric that uses PEAQ's ear."""

    level: Annotated[float, Within(0, 130), "dB SPL of a full-scale sine"] = 92.0


@dataclass(frozen=True, slots=True, eq=False)
class Audible:
    """ref, test: one [sample] for each channel that sounds; places: the numbers of these channels among all, which are
    `channels`. frames: the first that counts, and the one past the last. cuts: band numbers [part + 1] between which
    cells are summed, and edges: their limits in Hz; None where only the value is wanted."""

    ref: list[Array]
    test: list[Array]
    places: list[int]
    channels: int
    ear: BarkEar
    frames: tuple[int, int]
    cuts: Array | None
    edges: Array | None
    detail: Detail
    threads: int

    @classmethod
    def of(
        cls,
        pairs: Sequence[Pair],
        level: float,
        step: float | None = None,
        stereo: bool = False,
        rate: int | None = None,
    ) -> Audible | str:
        """What is audible of all channels, or why nothing is.

        level: dB SPL of a full-scale sine. step: width of a band in Bark. stereo: more than two channels are refused.
        rate: of the ear, Hz; None: the standard's.
        """
        if stereo and len(pairs) > 2:
            return f"it takes mono and stereo only, these have {len(pairs)} channels"
        fft_ear, first = models.peaq.fft_ear, pairs[0]
        length = min(x.size for x in first.samples)
        ref, test = ([p.samples[i][:length] for p in pairs] for i in (0, 1))
        frames = fft_ear.data_boundary(ref)
        if frames[0] == frames[1]:
            return fft_ear.without_frames(length, rate or fft_ear.RATE)
        places = fft_ear.sounding(ref, test)
        ear = fft_ear.BarkEar.of(level, step or fft_ear.STEP, rate or fft_ear.RATE)
        cuts = edges = None
        if first.detail != "value":
            cuts, edges = scales.bands(ear.centres, ear.edges[-1], first.band_edges)
        return cls(
            [ref[c] for c in places],
            [test[c] for c in places],
            places,
            len(pairs),
            ear,
            frames,
            cuts,
            edges,
            first.detail,
            first.threads,
        )

    @property
    def times(self) -> Array:
        """Centres of the frames that count, seconds."""
        fft_ear = models.peaq.fft_ear
        result: Array = (np.arange(*self.frames) * fft_ear.HOP + fft_ear.FRAME / 2) / self.ear.rate
        return result

    @property
    def times_of_changes(self) -> Array:
        """Of what depends on a frame and the one before it: half-way between their centres, seconds."""
        return self.times - models.peaq.fft_ear.HOP / self.ear.rate / 2

    def grid(self, times: Array) -> dict[str, Any]:
        """Fields of a Channel: where its cells lie."""
        assert self.cuts is not None
        return {"bands": scales.centres(self.ear.centres, self.cuts), "edges": self.edges, "times": times}

    def shares(self, cells: Array, times: Array) -> dict[str, Any]:
        """Fields of a Channel: profile and map, as shares of the sum of cells [frame, part]."""
        return shares(cells, times, self.ear.centres, self.cuts, self.edges, self.detail)

    def with_silent_channels(self, channel: Channel) -> Channel:
        """What was measured of the channels that sound, with nan for those that are silent."""
        per_channel = np.full(self.channels, nan)
        per_channel[self.places] = channel.per_channel
        return replace(channel, per_channel=per_channel)
