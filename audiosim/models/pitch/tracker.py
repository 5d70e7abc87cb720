"""Fundamental frequency (F0) of one voice or instrument: probabilistic YIN. Mauch and Dixon 2014, ICASSP, 659-663; the
difference function of de Cheveigne and Kawahara 2002, J. Acoust. Soc. Am. 111, 1917-1930.

In each frame every dip of YIN's normalised difference is a candidate, with the probability that a threshold drawn from
Beta(2, 18) stops there: the paper's sum over a hundred thresholds in closed form. A hidden Markov model, of a voiced
and an unvoiced state for each pitch, finds the likeliest track. The paper gives the pitch of a state; here the
candidate nearest to it is given, so that the track is as fine as the parabola through the dip.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log, log2
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import engine
from ...engine.kernel import exact_kernel

Array = NDArray[Any]

HOP = 0.01  # seconds between frames
PERIODS = 2.0  # of the lowest pitch that a frame sums over
SHAPE = 18  # of the distribution of thresholds, Beta(2, SHAPE): its mean is 0.1
NO_DIP = 0.01  # probability that a frame whose dips all lie above the threshold has the pitch of the deepest
SWITCH = 0.01  # probability that voicing changes from one frame to the next
STEP = 20.0  # cents from one state to the next
FASTEST = 36.0  # octaves in a second that a pitch moves at most
QUIET = 1e-7  # of the loudest frame's power: a quieter one is unvoiced
IMPOSSIBLE = 1e-30  # probability of what is not seen
BLOCK = 256  # frames in work at a time


@dataclass(frozen=True, slots=True)
class Track:
    """hz: of each frame, 0 where it is unvoiced; times: centres of the frames, in seconds; power: mean square of the
    frame; all [frame]."""

    hz: Array
    times: Array
    power: Array


def track(x: Array, rate: int, low: float, high: float) -> Track:
    """The pitch of x [sample] between low and high Hz, every HOP seconds, the first at 0 s.

    A frame sums over two periods of `low`, after which comes the longest period; silence lies around the recording.
    """
    shortest, longest = max(2, int(rate / high)), ceil(rate / low)
    window = ceil(PERIODS * rate / low)
    hop = max(1, round(HOP * rate))
    count = 1 + (x.size - 1) // hop
    lags = longest + 2  # a dip at the longest period has a neighbour
    states = 1 + ceil(1200 / STEP * log2(high / low))
    observed, hz = np.zeros((count, states)), np.zeros((count, states))
    power = np.empty(count)
    n_fft = engine.fft.fast_length(window + lags)
    size = 1 << (n_fft - 1).bit_length()
    n_fft = size if size in engine.fft.SIZES else n_fft
    lead = (window + longest // 2) // 2
    padded = np.zeros(lead + x.size + n_fft)
    padded[lead : lead + x.size] = x
    for first in range(0, count, BLOCK):
        part = slice(first, min(first + BLOCK, count))
        frames = np.zeros((part.stop - first, n_fft))
        span = window + lags
        starts = padded[first * hop : (part.stop - 1) * hop + span]
        frames[:, :span] = np.lib.stride_tricks.sliding_window_view(starts, span)[::hop]
        heads = np.zeros_like(frames)
        heads[:, :window] = frames[:, :window]
        products = engine.fft.irfft(np.conj(engine.fft.rfft(heads)) * engine.fft.rfft(frames), n_fft)
        _candidates(frames, products, window, lags, shortest, longest, rate, low, observed[part], hz[part], power[part])
    observed[power <= QUIET * power.max()] = 0.0
    reach = max(1, round(FASTEST * HOP * 1200 / STEP))
    path = _likeliest(observed, log(1 - SWITCH), log(SWITCH), np.log(_triangle(reach)))
    return Track(_read(path, hz, low), np.arange(count) * (hop / rate), power)


def tracked(samples: Array, rate: int, low: float, high: float) -> Track:
    """As track; remembered while the samples are compared."""
    return engine.cache.cached(samples, ("pitch", rate, low, high), lambda: track(samples, rate, low, high))


def _triangle(reach: int) -> Array:
    weights = reach + 1.0 - np.abs(np.arange(-reach, reach + 1))
    return np.asarray(weights / weights.sum())


def _read(path: Array, hz: Array, low: float) -> Array:
    """Hz [frame] of a path of states, -1 where unvoiced: of the candidate in the state or beside it, or the state's."""
    out = np.zeros(path.size)
    for t in np.flatnonzero(path >= 0):
        near = hz[t, max(path[t] - 1, 0) : path[t] + 2]
        near = near[near > 0]
        centre = low * 2 ** (path[t] * STEP / 1200)
        out[t] = near[np.argmin(np.abs(np.log(near / centre)))] if near.size else centre
    return out


@exact_kernel
def _candidates(
    x: Array,
    products: Array,
    window: int,
    lags: int,
    shortest: int,
    longest: int,
    rate: int,
    low: float,
    observed: Array,
    hz: Array,
    power: Array,
) -> None:
    """Of frames x [frame, sample] and products [frame, lag] with their heads: the probability of each state [frame,
    state] and its likeliest candidate in Hz, and the mean square of the head [frame]."""
    raw, d = np.empty(lags), np.empty(lags)
    best = np.empty(observed.shape[1])
    for t in range(x.shape[0]):
        energy = 0.0
        for i in range(window):
            energy += x[t, i] * x[t, i]
        power[t] = energy / window
        later, total = energy, 0.0
        raw[0], d[0] = 0.0, 1.0
        for k in range(1, lags):
            later += x[t, k + window - 1] * x[t, k + window - 1] - x[t, k - 1] * x[t, k - 1]
            difference = max(energy + later - 2 * products[t, k], 0.0)
            if difference < 1e-12 * (energy + later):  # rounding
                difference = 0.0
            raw[k] = difference
            total += difference
            d[k] = difference * k / total if total > 0 else 1.0
        best[:] = 0.0
        lowest, least, deepest = 1.0, 1.0, -1.0
        for k in range(shortest, longest + 1):
            if not (d[k] < d[k - 1] and d[k] <= d[k + 1]):
                continue
            bend = raw[k - 1] - 2 * raw[k] + raw[k + 1]  # the normalised one leans towards longer periods
            shift = 0.5 * (raw[k - 1] - raw[k + 1]) / bend if bend > 0 else 0.0
            shift = min(max(shift, -1.0), 1.0)
            pitch = rate / (k + shift)
            if d[k] < least:
                least, deepest = d[k], pitch
            if d[k] < lowest:
                p = _below(lowest) - _below(d[k])
                lowest = d[k]
                _add(p, pitch, low, best, observed[t], hz[t])
        if deepest > 0:
            _add(NO_DIP * _below(least), deepest, low, best, observed[t], hz[t])


@exact_kernel
def _below(x: float) -> float:
    """Probability that a threshold lies below x: the distribution of Beta(2, SHAPE)."""
    return 1.0 - (1.0 - x) ** SHAPE * (1.0 + SHAPE * x)


@exact_kernel
def _add(p: float, pitch: float, low: float, best: Array, observed: Array, hz: Array) -> None:
    state = int(np.floor(1200 / STEP * np.log2(pitch / low) + 0.5))
    if 0 <= state < observed.size:
        observed[state] += p
        if p > best[state]:
            best[state] = p
            hz[state] = pitch


@exact_kernel
def _likeliest(observed: Array, stay: float, switch: float, moves: Array) -> Array:
    """The likeliest states [frame], -1 for unvoiced, of the probabilities of the voiced ones [frame, state] (Viterbi).

    moves: log-probabilities of a step by -reach to reach states.
    """
    count, states = observed.shape
    reach = moves.size // 2
    whence = np.empty((count, 2, states), np.int8)  # the step, and 64 more where voicing changed
    before = np.full((2, states + 2 * reach), -np.inf)
    now = np.empty((2, states))
    best = np.empty((2, states))
    step = np.empty((2, states), np.int8)
    for t in range(count):
        voiced = 0.0
        for b in range(states):
            voiced += observed[t, b]
        quiet = np.log(max(1.0 - voiced, IMPOSSIBLE) / states)
        if t == 0:
            for b in range(states):
                now[0, b] = np.log(max(observed[t, b], IMPOSSIBLE))
                now[1, b] = quiet
        else:
            for v in range(2):
                best[v] = -np.inf
                for o in range(moves.size):
                    move = moves[o]
                    for b in range(states):
                        c = before[v, b + o] + move
                        if c > best[v, b]:
                            best[v, b] = c
                            step[v, b] = o - reach
            for v in range(2):
                for b in range(states):
                    same, other = best[v, b] + stay, best[1 - v, b] + switch
                    seen = quiet if v else np.log(max(observed[t, b], IMPOSSIBLE))
                    if same >= other:
                        now[v, b] = same + seen
                        whence[t, v, b] = step[v, b]
                    else:
                        now[v, b] = other + seen
                        whence[t, v, b] = step[1 - v, b] + 64
        before[:, reach : reach + states] = now
    path = np.empty(count, np.int64)
    v, b = 0, 0
    for w in range(2):
        for c in range(states):
            if now[w, c] > now[v, b]:
                v, b = w, c
    for t in range(count - 1, -1, -1):
        path[t] = -1 if v else b
        if t:
            move = int(whence[t, v, b])
            if move > 31:
                v, move = 1 - v, move - 64
            b += move
    return path
