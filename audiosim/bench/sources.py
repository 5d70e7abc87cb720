"""Sounds to train on, made from random numbers: a guitar, a voice, rooms and noise."""

from __future__ import annotations

from math import pi
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STRINGS = 82.41 * 2 ** (np.array([0, 3, 5, 7, 10, 12, 15, 17, 19, 22, 24]) / 12)  # a minor pentatonic scale on E2
LEVEL = 0.05  # RMS of a voice: its peaks stay below full scale
FORMANTS = ((300, 800, 60), (900, 2200, 90), (2300, 2900, 140), (3300, 3900, 200))  # Hz: from, to, half width


class Voice(NamedTuple):
    """A voice [sample], and the pitch that it was made with: Hz [sample], 0 where nothing is voiced."""

    samples: Array
    pitch: Array


def riff(rng: np.random.Generator, rate: int, seconds: float) -> Array:
    """Plucked strings (Karplus and Strong 1983): single notes, fifths and octaves of four lengths; peak 0.5."""
    n = round(rate * seconds)
    x, at = np.zeros(n), 0
    while at < n:
        length = round(rate * rng.choice([0.15, 0.25, 0.5, 1.0]))
        root, loud = rng.choice(STRINGS), rng.choice([0.1, 0.3, 0.6])
        ratios = [1.0, *([1.5] if rng.random() < 0.4 else []), *([2.0] if rng.random() < 0.25 else [])]
        for ratio in ratios:
            span = min(n - at, round(length * rng.choice([0.5, 1.0, 1.5])))
            fade = np.minimum(1.0, np.arange(span, 0, -1) / (0.006 * rate))
            x[at : at + span] += loud * fade * _pluck(rng, round(rate / (root * ratio)), span)
        at += length
    return np.asarray(0.5 * x / np.abs(x).max())


def _pluck(rng: np.random.Generator, period: int, n: int) -> Array:
    """A burst of noise that runs round a string of so many samples, averaged at each turn."""
    from scipy.signal import lfilter

    burst = np.zeros(n)
    head = np.convolve(rng.uniform(-1, 1, period), [0.25, 0.5, 0.25], "same")
    burst[:period] = head[:n]
    string = np.zeros(period + 2)
    string[0], string[period], string[period + 1] = 1.0, -0.4985, -0.4985
    return np.asarray(lfilter([1.0], string, burst))


def voice(rng: np.random.Generator, rate: int, seconds: float) -> Voice:
    """Syllables of a gliding pitch under moving formants, hissing onsets and pauses; RMS LEVEL."""
    n = round(rate * seconds)
    t = np.arange(n) / rate
    knots = np.linspace(0, seconds, max(2, round(5 * seconds)))
    base = rng.uniform(90, 230)
    pitch = np.interp(t, knots, base * 2 ** rng.uniform(-0.35, 0.35, knots.size))
    turns = 2 * pi * np.cumsum(pitch) / rate
    tracks = [(np.interp(t, knots, rng.uniform(low, high, knots.size)), width) for low, high, width in FORMANTS]
    vowel, hiss = np.zeros(n), np.zeros(n)
    begin = 0.0
    while begin < seconds:
        span = rng.uniform(0.16, 0.32)
        if rng.random() > 0.2:
            vowel = np.maximum(vowel, _bump(t, begin + 0.02, span) * rng.uniform(0.5, 1.0))
            hiss = np.maximum(hiss, _bump(t, begin - 0.03, 0.07) * rng.uniform(0.0, 1.0))
        begin += span
    tone = np.zeros(n)
    for k in range(1, int(0.45 * rate / pitch.min()) + 1):
        envelope = sum(1 / (1 + ((k * pitch - centre) / width) ** 2) for centre, width in tracks)
        tone += np.where(k * pitch < 0.45 * rate, envelope, 0.0) * np.sin(k * turns) / np.sqrt(k)
    noise = np.diff(rng.standard_normal(n + 1))  # rises by 6 dB an octave
    x = tone / (_rms(tone) or 1) * vowel + 0.15 * noise * hiss + 1e-4 * rng.standard_normal(n)
    return Voice(LEVEL * x / (_rms(x) or 1), np.where(vowel > 1e-3, pitch, 0.0))


def _bump(t: Array, begin: float, span: float) -> Array:
    inside = np.clip((t - begin) / span, 0, 1)
    return np.asarray(np.sin(pi * inside) ** 2)


def coloured(rng: np.random.Generator, n: int, slope: float) -> Array:
    """Noise of n samples whose power falls with frequency to the power of the slope; RMS 1."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    spectrum *= np.maximum(np.arange(spectrum.size), 8.0) ** (-slope / 2)
    x = np.fft.irfft(spectrum, n)
    return np.asarray(x / (_rms(x) or 1))


def room(rng: np.random.Generator, rate: int, seconds: float) -> Array:
    """An impulse response: the direct sound, and a tail of noise that decays by 60 dB in so many seconds."""
    n = round(rate * seconds)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail[: round(0.005 * rate)] = 0
    tail *= rng.uniform(0.3, 0.8) / np.sqrt(np.sum(tail**2))
    tail[0] = 1.0
    return np.asarray(tail)


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x**2)))
