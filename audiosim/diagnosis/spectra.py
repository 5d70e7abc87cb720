"""Cross-spectra of an aligned pair: what a filter, a gain, a delay and a level-dependent gain are read from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

WINDOW = 0.085  # s, of a frame
SHORTEST = 64  # samples of a frame
SEGMENT = 1.0  # s
MOST = 128  # segments; of longer recordings evenly spread ones are looked at
AT_ONCE = 64  # frames
LOWEST = 40.0  # Hz
PER_OCTAVE = 3  # bands
STEADY = 0.5  # of the best segment's coherence that one must have to be trusted
FINE = 8  # steps of a sample in which the first search for a lag goes


@dataclass(frozen=True, slots=True)
class Spectra:
    """Sums over frames.

    ref, test: power [segment, channel, bin]; cross: conj(ref) * test, the same. frequencies: Hz [bin].
    starts: s, of the segments. frames: how many in each segment.
    ref_bands, test_bands, cross_bands [frame, band]: the same of all channels, in bands by thirds of an octave, of
    edges `cuts` in bins and centres Hz [band]. segment_of: [frame].
    """

    ref: Array
    test: Array
    cross: Array
    frequencies: Array
    starts: Array
    frames: Array
    ref_bands: Array
    test_bands: Array
    cross_bands: Array
    cuts: Array
    centres: Array
    segment_of: Array
    hop: int
    window: int
    times: Array  # samples where the frames begin

    @property
    def coherences(self) -> Array:
        """Of each segment, 0 to 1, by energy; what unrelated sounds have by chance is taken off."""
        seen = np.array([_coherence(*each) for each in zip(self.ref, self.test, self.cross, strict=True)])
        chance = 1.5 / np.maximum(self.frames, 1.5)
        return np.asarray(np.clip((seen - chance) / np.maximum(1 - chance, 1e-9), 0, 1))

    @property
    def good(self) -> Array:
        """The segments that are aligned as well as the best: an edit or a drift moves the others away."""
        coherence = self.coherences
        audible = self.ref.sum(axis=(1, 2)) > 1e-5 * self.ref.sum(axis=(1, 2)).max(initial=0)
        best = coherence[audible].max(initial=0)
        kept: Array = audible & (coherence >= STEADY * best)
        return kept if kept.any() else np.ones(len(coherence), bool)

    def totals(self) -> tuple[Array, Array, Array]:
        """ref, test and cross of all good segments, [channel, bin]; without a copy of these."""
        xx, yy, xy = (np.zeros_like(z[0]) for z in (self.ref, self.test, self.cross))
        for segment in np.flatnonzero(self.good):
            xx += self.ref[segment]
            yy += self.test[segment]
            xy += self.cross[segment]
        return xx, yy, xy

    def lag(self, cross: Array, weight: Array, reach: float) -> float:
        """How late the test is, in samples, at most `reach` either way, from phases [channel, bin]."""
        spectrum = (weight * cross / np.maximum(np.abs(cross), 1e-300)).sum(axis=0)
        spectrum[:1] = 0
        fine = np.fft.irfft(spectrum, FINE * self.window)
        far = min(round(FINE * reach), fine.size // 2 - 1)
        near = np.concatenate((fine[-far:], fine[: far + 1])) if far else fine[:1]
        tau = (int(np.argmax(near)) - far) / FINE
        omega = 2 * np.pi * np.arange(spectrum.size) / self.window
        for _ in range(6):  # Newton, on the derivative
            turned = spectrum * np.exp(1j * tau * omega)
            slope, curvature = -float(omega @ turned.imag), -float((omega**2) @ turned.real)
            if not curvature < 0:
                break
            tau -= max(min(slope / curvature, 1 / FINE), -1 / FINE)
        return tau


def spectra(ref: Array, test: Array, rate: int) -> Spectra:
    """Of two recordings [channel, sample] of one shape, at least 4 * SHORTEST samples."""
    from scipy import fft

    length = ref.shape[1]
    window = 1 << max(round(np.log2(WINDOW * rate)), 6)
    while 4 * window > length and window > SHORTEST:
        window //= 2
    hop = window // 2
    taper = np.hanning(window + 1)[:-1].astype(ref.dtype)
    total = (length - window) // hop + 1
    per = max(min(round(SEGMENT * rate / hop), -(-total // 4)), 1)
    segments = np.arange(max(total // per, 1))
    if segments.size > MOST:
        segments = np.round(np.linspace(0, segments.size - 1, MOST)).astype(int)
    frequencies = np.arange(window // 2 + 1) * (rate / window)
    cuts = _cuts(frequencies, rate)
    centres = np.sqrt(frequencies[cuts[:-1]] * frequencies[cuts[1:] - 1])
    shape = (segments.size, ref.shape[0], window // 2 + 1)
    xx, yy, xy = np.zeros(shape), np.zeros(shape), np.zeros(shape, np.complex128)
    counts = np.zeros(segments.size, int)
    bands: list[tuple[Array, Array, Array]] = []
    owner: list[Array] = []
    times: list[Array] = []
    for s, segment in enumerate(segments):
        first, last = segment * per, (min((segment + 1) * per, total) if segment < total // per - 1 else total)
        counts[s] = last - first
        for at in range(first, last, AT_ONCE):
            n = min(AT_ONCE, last - at)
            a, b = (_frames(x, at * hop, n, hop, window) * taper for x in (ref, test))
            p, q = fft.rfft(a), fft.rfft(b)  # [channel, frame, bin]
            pp, qq = (z.real**2 + z.imag**2 for z in (p, q))
            pq = np.conj(p) * q
            xx[s] += pp.sum(axis=1)
            yy[s] += qq.sum(axis=1)
            xy[s] += pq.sum(axis=1)
            narrow = [np.add.reduceat(z.sum(axis=0)[:, : cuts[-1]], cuts[:-1], axis=1) for z in (pp, qq, pq)]
            bands.append((narrow[0], narrow[1], narrow[2]))
            owner.append(np.full(n, s))
            times.append((at + np.arange(n)) * hop)
    ref_bands, test_bands, cross_bands = (np.concatenate(z) for z in zip(*bands, strict=True))
    starts = segments * per * hop / rate
    return Spectra(
        ref=xx,
        test=yy,
        cross=xy,
        frequencies=frequencies,
        starts=starts,
        frames=counts,
        ref_bands=ref_bands,
        test_bands=test_bands,
        cross_bands=cross_bands,
        cuts=cuts,
        centres=centres,
        segment_of=np.concatenate(owner),
        hop=hop,
        window=window,
        times=np.concatenate(times),
    )


def _coherence(ref: Array, test: Array, cross: Array) -> float:
    both = ref * test
    weight = np.sqrt(both)
    explained = np.abs(cross) ** 2 / np.maximum(both, 1e-300)
    return float((weight * explained).sum()) / max(float(weight.sum()), 1e-300)


def _frames(x: Array, start: int, count: int, hop: int, window: int) -> Array:
    piece = x[:, start : start + (count - 1) * hop + window]
    frames: Array = np.lib.stride_tricks.sliding_window_view(piece, window, axis=1)[:, ::hop]
    return frames


def _cuts(frequencies: Array, rate: int) -> Array:
    """Bins where bands by thirds of an octave begin, and the end of the last: each holds at least one bin."""
    top = rate / 2
    count = max(int(PER_OCTAVE * np.log2(top / LOWEST)), 1)
    edges = top * 2.0 ** (-np.arange(count, -1, -1) / PER_OCTAVE)
    cuts = np.unique(np.maximum(np.searchsorted(frequencies, edges), 2))
    cuts[-1] = min(cuts[-1], frequencies.size - 1)
    return np.unique(cuts)
