"""Multi-resolution STFT loss: the mean of the STFT loss at several resolutions. Yamamoto et al. 2020 (arXiv
1910.11480, eq. 6); as auraloss.freq.MultiResolutionSTFTLoss."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

import numpy as np

from ..answer import Channel, Detail, View, pool, spectral
from ..card import Card
from ..engine.frames import STFT
from ..errors import UsageError
from ..hearing import scales
from ..hearing.magnitudes import Distance, Floor, MelFilters, Window, stft_options
from ..hearing.stft_loss import STFTLoss
from ..hearing.weighting import Coefficient, MidSide, Weighting, streams
from ..result import Result, Twin

CARD = Card(
    title="Multi-resolution STFT loss",
    family="conventional",
    unit="1",
    better="lower",
    identical=0.0,
    formula="mean over resolutions of the stft loss",
    source="Yamamoto et al. 2020, arXiv 1910.11480, eq. 6; auraloss 0.4.0 MultiResolutionSTFTLoss",
    conventions="As auraloss 0.4.0, with its clamp of the power at 1e-8 and its natural logarithm, but reduced per "
    "channel and never across a batch, and without its unused, unwrapped phase term. Other packages floor the "
    "magnitude at 1e-5 or 1e-7 (floor=1e-10, 1e-14), or use only the L1 terms (w_sc=0, w_lin=1).",
    silence="Defined through the floor: large against a silent reference, 0 when both are silent.",
    caveat="Deaf to phase; a silent estimate gives a loss without gradient; a silent reference dominates any mean.",
    minimum="half the longest frame and one sample: 1025 samples by default",
    symmetric=False,
    triangle=False,
    blind=("polarity",),
    gradient="exact",
    deaf_start=True,
    profile="local",
    map="sum",
)


def compute(
    ref: Any,
    test: Any,
    rate: int,
    *,
    resolutions: Annotated[str, "n_fft/hop/window in samples, joined by +"] = "1024/120/600+2048/240/1200+512/50/240",
    bands: Annotated[int, "mel bands of the magnitudes, 0 for none"] = 0,
    window: Window = "hann",
    w_sc: Annotated[float, "weight of the spectral convergence"] = 1.0,
    w_log: Annotated[float, "weight of the log magnitude distance"] = 1.0,
    w_lin: Annotated[float, "weight of the linear magnitude distance"] = 0.0,
    distance: Distance = "l1",
    floor: Floor = 1e-8,
    weighting: Weighting = "none",
    coef: Coefficient = 0.85,
    mid_side: MidSide = False,
    detail: Detail = "value",
    band_edges: Any = None,
    jobs: int = 1,
) -> Result:
    """ref, test [channel, sample] at rate Hz; the channels are averaged."""
    view = View(rate, detail, band_edges, jobs)
    stfts, mels, loss = _prepared(rate, resolutions, window, bands, w_sc, w_log, w_lin, distance, floor)
    if detail != "value":  # one set of bands for all: that of the coarsest resolution
        s, m = min(zip(stfts, mels, strict=True), key=lambda pair: pair[0].n_fft)
        edges = scales.bands(m.centres if m else s.frequencies(rate), rate / 2, band_edges)[1]
        view = replace(view, band_edges=edges)
    return pool(
        [
            _mean(
                [
                    spectral(
                        r,
                        t,
                        s,
                        loss.measure(r.samples.dtype, m),
                        loss.TERMS,
                        loss.finish,
                        loss.parts,
                        view,
                        frequencies=m.centres if m else None,
                    )
                    for s, m in zip(stfts, mels, strict=True)
                ]
            )
            for r, t in streams(ref, test, rate, weighting, coef, mid_side)
        ]
    )


def twin(rate: int, o: Any) -> Twin:
    """The same as torch text."""
    stfts, mels, loss = _prepared(rate, o.resolutions, o.window, o.bands, o.w_sc, o.w_log, o.w_lin, o.distance, o.floor)
    twins = [loss.twin(s, m) for s, m in zip(stfts, mels, strict=True)]
    return lambda ref, test: sum(one(ref, test) for one in twins) / len(twins)


def _prepared(
    rate: int,
    resolutions: str,
    window: str,
    bands: int,
    w_sc: float,
    w_log: float,
    w_lin: float,
    distance: str,
    floor: float,
) -> tuple[list[STFT], list[MelFilters | None], STFTLoss]:
    stfts = _resolutions(resolutions, window)
    mels = [MelFilters.of(rate, s.n_fft, bands) if bands else None for s in stfts]
    return stfts, mels, STFTLoss(w_sc, w_log, w_lin, distance, floor)


def _resolutions(text: str, window: str) -> list[STFT]:
    try:
        sizes = [[int(n) for n in item.split("/")] for item in text.split("+")]
        return [stft_options(n_fft, hop, win, window) for n_fft, hop, win in sizes]
    except ValueError as error:
        if isinstance(error, UsageError):
            raise
        raise UsageError(
            f"mr-stft: resolutions are n_fft/hop/window joined by +, such as 512/50/240, not {text!r}"
        ) from None


def _mean(channels: list[Channel]) -> Channel:
    """Mean of the resolutions, on the time axis of the slowest: frames belong to the nearest of its frames."""
    value = float(np.mean([c.value for c in channels]))
    reason = next((c.reason for c in channels if c.reason), None)
    if reason or channels[0].times is None:
        return Channel(value=value, reason=reason)
    slowest = min(channels, key=lambda c: len(c.times))  # type: ignore[arg-type]
    grid: Any = slowest.times
    per_time = np.zeros(len(grid))
    contributions: Any = None if slowest.map is None else np.zeros_like(slowest.map)
    for c in channels:
        assert c.times is not None
        assert c.per_time is not None
        cell = np.searchsorted((grid[1:] + grid[:-1]) / 2, c.times)
        count = np.bincount(cell, minlength=len(grid))
        sums = np.bincount(cell, c.per_time, len(grid))
        nearest = np.searchsorted((c.times[1:] + c.times[:-1]) / 2, grid)
        per_time += np.where(count > 0, sums / np.maximum(count, 1), c.per_time[nearest]) / len(channels)
        if c.map is not None:
            np.add.at(contributions, cell, c.map / len(channels))
    return replace(
        slowest,
        value=value,
        per_band=np.mean([c.per_band for c in channels if c.per_band is not None], axis=0),
        per_time=per_time,
        map=contributions,
    )
