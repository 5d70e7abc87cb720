"""Two performances of one piece: where in the test the reference's music is, and the test on the reference's time.

The course of time is the cheapest path through chroma and loudness of both (dynamic time warping as Ewert, Mueller and
Grosche 2009, ICASSP, 1869-1872, here with levels in bands and their rises). Along it the test is put together from
short pieces that overlap, each continuing the one before (WSOLA; Verhelst and Roelands 1993, ICASSP, 554-557): its
sound and pitch stay, its timing becomes the reference's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import fold
from ..engine.frames import STFT
from ..engine.kernel import exact_kernel
from . import chroma, warping

Array = NDArray[Any]

HOP = 0.02  # seconds between frames of the path
FRAME = 0.09  # seconds, about, of a frame
SHORTEST = 0.5  # seconds of sound that have a course
EDGES = (0.0, 200.0, 800.0, 3200.0)  # Hz, where bands of the level begin
RANGE = 60.0  # dB below the loudest frame that are heard
LEVEL, RISE = 0.3, 1.0  # weights of the levels and of their rises beside the chroma, each from 0 to 1
OFF_DIAGONAL = 0.02  # what a step in one recording alone costs, where 2**0.5 is the distance of unlike chroma
NEAR = 2.0  # seconds around the path at half the rate in which the path is looked for
SMOOTH = 0.12  # seconds to either side, over which the course is averaged
PIECE = 0.02  # seconds from one piece to the next; each lasts two of them
SLACK = 0.01  # seconds by which a piece may be taken from elsewhere than the course says
LIKE = 0.3  # likeness from which on the two play the same
REACH = 0.05  # the same, where the piece is that of the reference: as far as a course may be off
SAME = 0.9  # correlation of pieces from which on they hold one waveform
THIN = 8000  # Hz, about, at which pieces are laid over each other first


@dataclass(frozen=True, slots=True)
class Course:
    """seconds of the test [frame] at which the music of the reference is that sounds at times [frame], in seconds.

    likeness: by how much nearer the frames on the path are than any two, 0 to 1. found: whether that is enough.
    semitones: by which the test was raised, in its chroma, to be in the key of the reference, 0 to 11.
    """

    times: Array
    seconds: Array
    likeness: float
    found: bool
    semitones: int = 0

    @property
    def tempo(self) -> Array:
        """Seconds of the test that pass in a second of the reference, in stretches of a second."""
        k = max(1, min(round(1 / HOP), self.times.size - 1))
        return np.asarray((self.seconds[k:] - self.seconds[:-k]) / (self.times[k:] - self.times[:-k]))


def course(ref: Array, test: Array, rate: int) -> Course:
    """Of ref and test [channel, sample]. Where either is silent or shorter than SHORTEST, none is found."""
    nothing = Course(np.zeros(0), np.zeros(0), 0.0, False)
    stft = _stft(rate)
    (x, heard), (y, sounding) = (_features(s, rate, stft) for s in (ref, test))
    a, b = (np.flatnonzero(h) for h in (heard, sounding))
    period = stft.hop / rate
    if min(a.size, b.size) == 0 or min(a[-1] - a[0], b[-1] - b[0]) * period < SHORTEST:
        return nothing
    x, y = x[a[0] : a[-1] + 1], y[b[0] : b[-1] + 1]
    radius = round(NEAR / (2 * period))
    keys = {0, chroma.transposition(x[:, :12], y[:, :12])}
    tries = [(*_path(x, _raised(y, k), radius), -k) for k in sorted(keys)]
    likeness, (i, j), key = max(tries, key=lambda t: (t[0], t[2]))
    places = np.bincount(i, j, len(x)) / np.bincount(i, minlength=len(x))
    smooth = np.maximum.accumulate(_averaged(places, round(SMOOTH / period)))
    return Course((a[0] + np.arange(len(x))) * period, (b[0] + smooth) * period, likeness, likeness > LIKE, -key)


def followed(ref: Array, test: Array, found: Course, rate: int) -> tuple[Array, int]:
    """The test [channel, sample] on the time of ref [channel, sample], and how often pieces are no longer neighbours.

    Where the two have the same waveform, as edited copies of one recording have, pieces lie as in the reference to a
    sample. Before and after the course time goes on as it does in the reference; silence lies around the test.
    """
    piece = max(1, round(PIECE * rate))
    count = ref.shape[1]
    at = np.arange(0, count + piece, piece) / rate
    places = np.interp(at, found.times, found.seconds)
    places += np.minimum(at - found.times[0], 0) + np.maximum(at - found.times[-1], 0)
    thin = max(1, rate // THIN)
    x, y = (np.ascontiguousarray(s.mean(0)) for s in (ref, test))
    p, q = (s[: s.size // thin * thin].reshape(-1, thin).mean(1) for s in (x, y))
    centres = np.round(places * rate).astype(np.int64)
    splices = _pieces(x, y, p, q, thin, centres, piece, max(1, round(SLACK * rate)), max(1, round(REACH * rate)))
    window = np.square(np.sin(np.pi * np.arange(2 * piece) / (2 * piece))).astype(test.dtype)
    out = np.zeros((len(test), count), test.dtype)
    for channel, whole in zip(test, out, strict=True):
        _overlapped(channel, centres, window, whole)
    return out, int(splices)


def _stft(rate: int) -> STFT:
    return STFT.of(1 << max(6, round(np.log2(FRAME * rate))), max(1, round(HOP * rate)), pad="zero")


def _features(samples: Array, rate: int, stft: STFT) -> tuple[Array, Array]:
    """[frame, feature] of all channels together, and which frames are heard."""
    weights = np.ascontiguousarray(chroma.filters(rate, stft.n_fft).T)
    hz = stft.frequencies(rate)
    cuts = np.unique(np.minimum(np.searchsorted(hz, EDGES), hz.size - 1))
    count = stft.count(samples.shape[1])
    tones, bands = np.zeros((count, 12)), np.zeros((count, cuts.size))
    for channel in samples:
        first = 0
        for z in fold.spectra(np.ascontiguousarray(channel), stft):
            p = z.real.astype(np.float64) ** 2 + z.imag.astype(np.float64) ** 2
            rows = slice(first, first + len(p))
            tones[rows] += p @ weights
            bands[rows] += np.add.reduceat(p, cuts, axis=1)
            first += len(p)
    power = bands.sum(1)
    floor = 10 ** (-RANGE / 10) * power.max() + 1e-300
    tones = np.sqrt(tones + floor / 12)
    tones /= np.sqrt((tones**2).sum(1, keepdims=True))
    levels = 1 + 10 * np.log10((bands + floor) / (power.max() + floor)) / RANGE
    rises = np.maximum(np.diff(levels, axis=0, prepend=levels[:1]), 0)
    return np.concatenate([tones, LEVEL * levels, RISE * rises], axis=1), power > floor


def _raised(y: Array, semitones: int) -> Array:
    """The features in another key."""
    return np.concatenate([np.roll(y[:, :12], semitones, axis=1), y[:, 12:]], axis=1)


def _path(x: Array, y: Array, radius: int) -> tuple[float, Array]:
    """Likeness, and the cells of the path [2, step]."""
    _, path = warping.fast_dtw(x, y, radius, OFF_DIAGONAL)
    met = float(np.sqrt(((x[path[0]] - y[path[1]]) ** 2).sum(1)).mean())
    any_two = _mean_distance(x, y)
    return max(0.0, 1 - met / any_two) if any_two else 1.0, path


def _mean_distance(x: Array, y: Array) -> float:
    """Of frames that do not belong together: each with those that lie some seconds off, all around."""
    distances = []
    for part in (0.23, 0.41, 0.59, 0.77):
        other = y[(np.arange(len(x)) * len(y) // len(x) + round(part * len(y))) % len(y)]
        distances.append(np.sqrt(((x - other) ** 2).sum(1)).mean())
    return float(np.mean(distances))


def _averaged(x: Array, half: int) -> Array:
    """Over as many neighbours to either side, fewer at the ends: a straight line stays what it is."""
    sums = np.concatenate([[0.0], np.cumsum(x)])
    at = np.arange(x.size)
    h = np.minimum(half, np.minimum(at, x.size - 1 - at))
    return np.asarray((sums[at + h + 1] - sums[at - h]) / (2 * h + 1))


@exact_kernel
def _pieces(
    ref: Array, test: Array, p: Array, q: Array, thin: int, centres: Array, piece: int, slack: int, reach: int
) -> int:
    """Moves each centre to where the sound goes on from the piece before, by at most slack; if it cannot, to where the
    waveform is that of the reference, by at most reach, or else to where it goes on best. p, q: ref and test thinned
    out."""
    splices = 0
    wanted = centres[0]
    for k in range(centres.size):
        if k and abs(wanted - centres[k]) <= slack:
            centres[k] = wanted
        else:
            centre, alike = _nearest(ref, test, p, q, thin, k * piece, centres[k], piece, reach)
            if alike < SAME and k:
                centre, alike = _nearest(test, test, q, q, thin, wanted, centres[k], piece, slack)
            if alike >= SAME or (k and alike > 0):
                centres[k] = centre
            if k and centres[k] != wanted:
                splices += 1
        wanted = centres[k] + piece
    return splices


@exact_kernel
def _nearest(
    x: Array, y: Array, p: Array, q: Array, thin: int, a: int, b: int, piece: int, slack: int
) -> tuple[int, float]:
    """The centre near b of the piece of y that is most like that of x around a, and their correlation."""
    best, at = -np.inf, b // thin
    for c in range((b - slack) // thin, (b + slack) // thin + 1):
        fit = _likeness(p, q, a // thin - piece // thin, c - piece // thin, 2 * piece // thin)
        if fit > best:
            best, at = fit, c
    best, centre = -np.inf, b
    for c in range(max((at - 1) * thin, b - slack), min((at + 2) * thin, b + slack) + 1):
        fit = _likeness(x, y, a - piece, c - piece, 2 * piece)
        if fit > best:
            best, centre = fit, c
    return centre, best


@exact_kernel
def _likeness(x: Array, y: Array, a: int, b: int, size: int) -> float:
    """Correlation of pieces of x from a and of y from b on, with silence around both; 0 where one is silent."""
    first = max(0, -a, -b)
    last = min(size, x.size - a, y.size - b)
    both, one, other = 0.0, 0.0, 0.0
    for i in range(first, last):
        both += x[a + i] * y[b + i]
        one += x[a + i] * x[a + i]
        other += y[b + i] * y[b + i]
    return both / np.sqrt(one * other) if one * other > 0 else 0.0


@exact_kernel
def _overlapped(x: Array, centres: Array, window: Array, out: Array) -> None:
    """out: pieces of x around the centres, each faded into the next."""
    piece = window.size // 2
    for k in range(centres.size):
        for i in range(window.size):
            to, at = k * piece - piece + i, centres[k] - piece + i
            if 0 <= to < out.size and 0 <= at < x.size:
                out[to] += window[i] * x[at]
