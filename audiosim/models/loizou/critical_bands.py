"""The 25 critical bands of Loizou's programs, up to 3.8 kHz, and the slope of the spectrum over them. Klatt 1982;
Quackenbush, Barnwell and Clements 1988; table and filters as in Loizou 2013, comp_wss, and pysepm at 7ef88af."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.kernel import kernel
from ...hearing import scales

if TYPE_CHECKING:
    from ...engine.stream import Stream
    from .segments import Segments

Array = NDArray[Any]

CENTRES = np.array(
    [
        *(50.0, 120.0, 190.0, 260.0, 330.0, 400.0, 470.0, 540.0, 617.372, 703.378, 798.717, 904.128, 1020.38),
        *(1148.30, 1288.72, 1442.54, 1610.70, 1794.16, 1993.93, 2211.08, 2446.71, 2701.97, 2978.04, 3276.17, 3597.63),
    ]
)  # Hz
WIDTHS = np.array(
    [
        *(70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 70.0, 77.3724, 86.0056, 95.3398, 105.411, 116.256, 127.914),
        *(140.423, 153.823, 168.154, 183.457, 199.776, 217.153, 235.631, 255.255, 276.072, 298.126, 321.465, 346.136),
    ]
)  # Hz
STEEPNESS = 11.0  # of the Gaussian, over squared widths
LOWEST = np.exp(-30 / (2 * 2.303))  # gain below which a filter is cut: their "-30 dB"

FLOOR = 1e-10  # power of a band: -100 dB
KMAX, KLOCMAX = 20.0, 1.0  # dB: how fast a band counts less below the highest peak, and below the nearest; Klatt 1982

FRAMES_AT_ONCE = 24
TASK = 1024  # frames


@lru_cache(maxsize=16)
def filters(rate: int, n_fft: int) -> Array:
    """Gains [band, bin below the Nyquist frequency]: Gaussians about the bin below the centre, the wider the lower."""
    hz = rate / n_fft
    away = np.arange(n_fft // 2) - np.floor(CENTRES / hz)[:, None]
    gains = WIDTHS[0] / WIDTHS[:, None] * np.exp(-STEEPNESS * (away * hz / WIDTHS[:, None]) ** 2)
    kept: Array = gains * (gains > LOWEST)
    return kept


def edges(top: float, wanted: Any = None) -> tuple[Array, Array]:
    """Edges in bands [band + 1] and in Hz [band + 1] of a report, as scales.bands; None and "bins": the 25."""
    if wanted is None or isinstance(wanted, str):
        middles = (CENTRES[1:] + CENTRES[:-1]) / 2
        return np.arange(CENTRES.size + 1), np.array([0.0, *middles, CENTRES[-1] + WIDTHS[-1] / 2])
    return scales.bands(CENTRES, top, wanted)


def over_frames(
    ref: Stream,
    test: Stream,
    segments: Segments,
    squared: bool,
    offset: float,
    measure: Callable[[Array, Array], tuple[Array, ...]],
    threads: int,
) -> list[Array]:
    """What the measure says of all frames, a block at a time: its arrays, joined along their first axis.

    measure(bands [2, frame, band], totals [2, frame]): of reference and test the magnitudes, or powers if squared,
    behind the filters, and their sum over all bins below the Nyquist frequency. offset: added to all samples.
    """
    stft, count = segments.stft(), segments.count(ref.length)
    gains = filters(segments.rate, stft.n_fft)
    starts, stops = scales.support(gains)
    window = np.zeros(stft.n_fft)
    window[stft.lead : stft.lead + segments.window.size] = segments.window
    constant = offset * engine.fft.rfft(window)

    def task(first: int) -> tuple[Array, ...]:
        cut, frames = engine.fold.cutter(ref, test, stft, FRAMES_AT_ONCE), min(TASK, count - first)
        bands, totals = np.empty((2, frames, CENTRES.size)), np.empty((2, frames))
        for k in range(0, frames, FRAMES_AT_ONCE):
            z = cut(first + k, min(FRAMES_AT_ONCE, frames - k))
            if offset:
                z = z + constant
            part = slice(k, k + FRAMES_AT_ONCE)
            for s in range(2):
                _behind(z[s], squared, gains, starts, stops, bands[s, part], totals[s, part])
        return measure(bands, totals)

    parts = engine.threads.in_threads(task, range(0, count, TASK), threads)
    return [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]


@kernel
def _behind(z: Array, squared: bool, gains: Array, starts: Array, stops: Array, bands: Array, totals: Array) -> None:
    """bands[frame, band] = sum_k gain_k |z_k| or |z_k|^2, totals[frame] the same without gain; not of the last bin."""
    m = np.empty(gains.shape[1])
    for f in range(z.shape[0]):
        frame = z[f]
        for k in range(m.size):
            re = np.float64(frame[k].real)
            im = np.float64(frame[k].imag)
            m[k] = re * re + im * im
        if not squared:
            for k in range(m.size):
                m[k] = np.sqrt(m[k])
        total = 0.0
        for k in range(m.size):
            total += m[k]
        totals[f] = total
        for b in range(gains.shape[0]):
            gain = gains[b, starts[b] : stops[b]]
            part = m[starts[b] : stops[b]]
            sum_ = 0.0
            for k in range(gain.size):
                sum_ += gain[k] * part[k]
            bands[f, b] = sum_


def levels(powers: Array) -> Array:
    """dB of powers behind the filters, not below -100 dB."""
    db: Array = 10 * np.log10(np.maximum(powers, FLOOR))
    return db


@kernel
def slope_distances(x: Array, y: Array, weights: Array, terms: Array) -> None:
    """Of levels x, y [frame, band] in dB: the weights of their slopes [frame, band - 1], and terms = weight times the
    squared difference of slopes. Klatt 1982; Loizou 2013, eq. 11.17 and 11.18.

    Of either spectrum: K_max / (K_max + highest - level) times K_locmax / (K_locmax + peak - level), level being that
    of the band where the slope begins; the weight is the mean of both.
    """
    slopes = np.empty((2, x.shape[1] - 1))
    for f in range(x.shape[0]):
        weights[f] = 0.0
        for s in range(2):
            level = x[f] if s == 0 else y[f]
            slope = slopes[s]
            highest = level[0]
            for b in range(slope.size):
                slope[b] = level[b + 1] - level[b]
                highest = max(highest, level[b + 1])
            for b in range(slope.size):
                n = b
                if slope[b] > 0:  # up to the last band before the peak, as all programs have it
                    while n < slope.size and slope[n] > 0:
                        n += 1
                    peak = level[n - 1]
                else:
                    while n >= 0 and slope[n] <= 0:
                        n -= 1
                    peak = level[n + 1]
                weight = KMAX / (KMAX + highest - level[b]) * KLOCMAX / (KLOCMAX + peak - level[b])
                weights[f, b] += 0.5 * weight
        for b in range(slopes.shape[1]):
            terms[f, b] = weights[f, b] * (slopes[0, b] - slopes[1, b]) ** 2


def weighted_slopes(
    ref: Stream, test: Stream, segments: Segments, threads: int, detail: bool = False
) -> tuple[Array, Array, Array, Array]:
    """Distance of every frame [frame] in dB^2 per band; whether the reference is digital silence there [frame]; with
    detail also weights and terms of slope_distances [frame, 24], else [0, 24]."""

    def measure(bands: Array, totals: Array) -> tuple[Array, ...]:
        x, y = levels(bands)
        weights, terms = np.empty((2, len(x), x.shape[1] - 1))
        slope_distances(x, y, weights, terms)
        kept = slice(None) if detail else slice(0)
        return terms.sum(1) / weights.sum(1), totals[0] == 0, weights[kept], terms[kept]

    distances, silent, weights, terms = over_frames(ref, test, segments, True, 0.0, measure, threads)
    return distances, silent, weights, terms


def by_band(slopes: Array) -> Array:
    """What belongs to slopes [frame, band - 1], by band [frame, band]: half of it to either side."""
    bands = np.zeros((len(slopes), CENTRES.size))
    bands[:, :-1] = slopes / 2
    bands[:, 1:] += slopes / 2
    return bands


def magnitudes_torch(segments: Segments, offset: float) -> Callable[[Any], tuple[Any, Any]]:
    """over_frames' magnitudes on tensors: x [item, sample] -> bands [item, frame, band], totals [item, frame]."""
    import torch

    from ...engine.tensors import Constant, modulus

    n_fft = segments.stft().n_fft
    window, gains = Constant(segments.window), Constant(filters(segments.rate, n_fft).T)

    def of(x: Any) -> tuple[Any, Any]:
        count = segments.count(x.shape[-1])
        frames = (x.double() + offset).unfold(-1, segments.window.size, segments.hop)[:, :count]
        m = modulus(torch.fft.rfft(frames * window(frames), n_fft)[..., :-1])
        return m @ gains(m), m.sum(-1)

    return of
