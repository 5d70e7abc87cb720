"""Frequency scales of hearing and the bands that reports are given in."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ..errors import UsageError

Array = NDArray[Any]

SUMMARY_BANDS = 40


def erb_rate(hz: ArrayLike) -> Array:
    """ERB-rate in Cams (Glasberg and Moore 1990, eq. 4)."""
    result: Array = 21.4 * np.log10(1 + 4.37e-3 * np.asarray(hz, dtype=np.float64))
    return result


def erb_rate_inverse(cams: ArrayLike) -> Array:
    """Hz of an ERB-rate."""
    result: Array = (10 ** (np.asarray(cams, dtype=np.float64) / 21.4) - 1) / 4.37e-3
    return result


def mel(hz: ArrayLike) -> Array:
    """Slaney's mel scale (Auditory Toolbox 1998): linear to 1 kHz, then logarithmic."""
    f = np.asarray(hz, dtype=np.float64)
    result: Array = np.where(f < 1000, f * 3 / 200, 15 + 27 * np.log(np.maximum(f, 1000) / 1000) / np.log(6.4))
    return result


def mel_inverse(mels: ArrayLike) -> Array:
    """Hz of a mel."""
    m = np.asarray(mels, dtype=np.float64)
    result: Array = np.where(m < 15, m * 200 / 3, 1000 * 6.4 ** ((np.maximum(m, 15) - 15) / 27))
    return result


def mel_filters(rate: int, n_fft: int, bands: int, fmin: float = 0.0, fmax: float | None = None) -> tuple[Array, Array]:
    """Triangles of unit area on Slaney's mel scale, as librosa.filters.mel(htk=False, norm="slaney").

    Returns weights float64 [band, n_fft // 2 + 1] and centres [band] in Hz. UsageError for an impossible range.
    """
    top = _top(rate, bands, fmin, fmax)
    return triangles(mel_inverse(np.linspace(mel(fmin), mel(top), bands + 2)), rate, n_fft)


def linear_filters(
    rate: int, n_fft: int, bands: int, fmin: float = 0.0, fmax: float | None = None
) -> tuple[Array, Array]:
    """Triangles of unit area and equal width, those of LFCC; otherwise as mel_filters."""
    return triangles(np.linspace(fmin, _top(rate, bands, fmin, fmax), bands + 2), rate, n_fft)


def gammatone_filters(
    rate: int, n_fft: int, bands: int, fmin: float = 0.0, fmax: float | None = None
) -> tuple[Array, Array]:
    """What the filters of `gammatone` pass of the power, those of GFCC, evenly spaced in ERB from fmin on, the next one
    above the highest at fmax. Otherwise as mel_filters."""
    from . import gammatone

    bank = gammatone.erb_bank(bands, fmin, _top(rate, bands, fmin, fmax), rate)
    f = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    return np.square(np.abs(gammatone.response(bank, f))), bank.frequencies


def bark_filters(
    rate: int, n_fft: int, bands: int, fmin: float = 0.0, fmax: float | None = None
) -> tuple[Array, Array]:
    """Masks of critical bands, evenly spaced in Bark from fmin to fmax, those of BFCC and PLP; otherwise as
    mel_filters."""
    centres = np.linspace(bark(fmin), bark(_top(rate, bands, fmin, fmax)), bands)
    f = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    return critical_band(bark(f) - centres[:, None]), 600 * np.sinh(centres / 6)


def human_factor_filters(
    rate: int, n_fft: int, bands: int, fmin: float = 0.0, fmax: float | None = None
) -> tuple[Array, Array]:
    """Triangles evenly spaced in mel that are as wide as the ear's filters, those of HFCC (Skowronski and Harris 2004,
    J. Acoust. Soc. Am. 116, 1774): the lowest starts at fmin, the highest ends at fmax. Otherwise as mel_filters.

    Half the width of each is Moore and Glasberg's (1983) ERB at its centre, which is in the middle in mel. The ERB was
    fitted up to 6.5 kHz, above which it is extrapolated.
    """
    low, high = 700 + fmin, 700 + _top(rate, bands, fmin, fmax)
    # (700 + centre)^2 = edge (edge +- 2 ERB(centre)), a quadratic in the centre
    outer = [
        np.roots(np.array([1.0, 1400.0, 490000.0]) - sign * 2 * edge * HUMAN_ERB - [0, 0, edge * edge]).max()
        for edge, sign in ((low, 1), (high, -1))
    ]
    if not outer[0] <= outer[1]:
        raise UsageError(f"no filter as wide as the ear's fits between {low - 700:g} and {high - 700:g} Hz")
    lowest, highest = np.log1p(np.array(outer) / 700)
    centres = 700 * np.expm1(np.linspace(lowest, highest, bands))
    erb = np.polyval(HUMAN_ERB, centres)
    lower = np.sqrt(erb**2 + (700 + centres) ** 2) - erb - 700
    return _triangles(lower, centres, lower + 2 * erb, rate, n_fft)


HUMAN_ERB = np.array([6.23e-6, 93.39e-3, 28.52])  # Hz, of a centre in Hz (Moore and Glasberg 1983, eq. 3)


def bark(hz: ArrayLike) -> Array:
    """Schroeder's approximation of the Bark scale (Wang, Sekey and Gersho 1992; Hermansky 1990)."""
    result: Array = 6 * np.arcsinh(np.asarray(hz, dtype=np.float64) / 600)
    return result


def critical_band(distance: Array) -> Array:
    """Gain of a critical band for power at so many Bark above its centre (Hermansky 1990, J. Acoust. Soc. Am.
    87, 1738)."""
    slopes = np.minimum(0, np.minimum(2.5 * (distance + 0.5), -(distance - 0.5)))
    result: Array = np.where((distance >= -1.3) & (distance <= 2.5), 10**slopes, 0.0)
    return result


def _top(rate: int, bands: int, fmin: float, fmax: float | None) -> float:
    """The upper end of a bank of filters in Hz; UsageError for an impossible range."""
    top = rate / 2 if fmax is None else fmax
    if bands < 1:
        raise UsageError(f"bands must be at least 1, not {bands}")
    if not 0 <= fmin < top <= rate / 2:
        raise UsageError(f"fmin and fmax must ascend within 0 to {rate / 2:g} Hz, not {fmin:g} and {top:g}")
    return top


def triangles(edges: Array, rate: int, n_fft: int) -> tuple[Array, Array]:
    """Of unit area, from one edge over the next to the one after: weights [band, bin], and their peaks."""
    return _triangles(edges[:-2], edges[1:-1], edges[2:], rate, n_fft)


def _triangles(low: Array, peak: Array, high: Array, rate: int, n_fft: int) -> tuple[Array, Array]:
    """Of unit area, between edges in Hz [band]: weights [band, bin], and their peaks."""
    f = np.arange(n_fft // 2 + 1) * (rate / n_fft)
    rising = (f - low[:, None]) / (peak - low)[:, None]
    falling = (high[:, None] - f) / (high - peak)[:, None]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return triangles * (2 / (high - low))[:, None], peak


def support(weights: Array) -> tuple[Array, Array]:
    """First bin and one past the last bin in which each band's weight is not zero: int64 [band], [band]."""
    used = weights > 0
    starts = np.where(used.any(axis=1), used.argmax(axis=1), 0)
    stops = np.where(used.any(axis=1), weights.shape[1] - used[:, ::-1].argmax(axis=1), 0)
    return starts.astype(np.int64), stops.astype(np.int64)


def bands(frequencies: Array, top: float, wanted: Any = None) -> tuple[Array, Array]:
    """Which bins make up which band of a report.

    frequencies: [bin] ascending centres in Hz; top: upper end in Hz.
    wanted: None for at most 40 bands evenly spaced in ERB-rate, each of at least one bin; "bins" for every bin;
        or ascending edges in Hz [band + 1], a bin belonging where its centre lies.
    Returns edges in bins int64 [band + 1] and in Hz [band + 1]. UsageError for edges that hold no bin.
    """
    middles = np.concatenate([[0.0], (frequencies[1:] + frequencies[:-1]) / 2, [top]])
    n = frequencies.size
    if wanted is None:
        ideal = erb_rate_inverse(np.linspace(0, erb_rate(top), SUMMARY_BANDS + 1))
        cuts = np.unique(np.concatenate([[0], np.searchsorted(middles[:-1], ideal[1:-1]), [n]]))
    elif isinstance(wanted, str):
        if wanted != "bins":
            raise UsageError(f"band_edges is None, 'bins' or edges in Hz, not {wanted!r}")
        cuts = np.arange(n + 1)
    else:
        edges = np.asarray(wanted, dtype=np.float64)
        if edges.ndim != 1 or edges.size < 2 or not np.all(np.diff(edges) > 0) or edges[0] < 0:
            raise UsageError("band edges must be at least two ascending frequencies in Hz")
        cuts = np.searchsorted(frequencies, edges)
        if edges[-1] >= top:
            cuts[-1] = n
        if np.any(np.diff(cuts) < 1):
            i = int(np.argmin(np.diff(cuts)))
            raise UsageError(
                f"no bin lies between {edges[i]:g} and {edges[i + 1]:g} Hz; bins are "
                f"{frequencies[min(1, n - 1)] - frequencies[0]:g} Hz apart or more, up to {frequencies[-1]:g} Hz"
            )
        return cuts.astype(np.int64), edges
    return cuts.astype(np.int64), middles[cuts]


def by_band(values: Array, cuts: Array) -> Array:
    """Sums of values [..., point] within bands that `bands` has cut [..., band]."""
    sums: Array = np.add.reduceat(values[..., : cuts[-1]], cuts[:-1], axis=-1)
    return sums


def centres(frequencies: Array, cuts: Array) -> Array:
    """Mean frequency of each band, Hz [band], from bands()'s edges in bins."""
    sums = np.concatenate([[0.0], np.cumsum(frequencies)])
    return np.diff(sums[cuts]) / np.diff(cuts)


def frequencies(low: float, high: float) -> str:
    """A range as people say it: 250-500 Hz, 0.9-1.2 kHz."""
    if high >= 1000:
        return f"{_round(low / 1000)}-{_round(high / 1000)} kHz"
    return f"{_round(low)}-{_round(high)} Hz"


def narrowest(share: Array, most: float) -> tuple[int, int]:
    """The shortest run [first, last) of neighbours that holds at least `most` of the sum; the densest of equals."""
    cumulated = np.concatenate([[0.0], np.cumsum(share)])
    target = most * cumulated[-1]
    last = np.searchsorted(cumulated, cumulated[:-1] + target - 1e-12 * cumulated[-1])
    first = np.arange(len(share))
    reached = last <= len(share)
    length = np.where(reached, last - first, len(share) + 1)
    held = cumulated[np.minimum(last, len(share))] - cumulated[:-1]
    best = min(first[reached], key=lambda i: (length[i], -held[i]))
    return int(best), int(last[best])


def hertz(frequency: float) -> str:
    """One frequency as people say it: 250 Hz, 1.2 kHz."""
    return f"{_round(frequency / 1000)} kHz" if frequency >= 1000 else f"{_round(frequency)} Hz"


def _round(value: float) -> str:
    return f"{float(f'{value:.2g}'):g}"
