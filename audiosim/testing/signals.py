"""Seeded signals, and distortions with a strength knob, that all tests use.

Signals are functions (rate, seconds, seed, channels) -> float64 [channel, sample]; channels differ, the same seed
gives the same samples. Distortions are functions (x, rate, strength, seed) -> y of the same shape: strength 0 is the
identity, bit for bit, and a larger strength is never milder. Everything works from 0.1 s down to one sample.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from math import ceil, pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

RMS = 0.1  # of the steady signals; full scale is 1.0
COMPILED = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")  # kernels run as plain Python otherwise


def affordable(seconds: float) -> float:
    """The signal length to use where `seconds` would be good: a tenth, at most 0.1 s, when kernels are not compiled."""
    return seconds if COMPILED else min(seconds / 10, 0.1)


# Signals


def noise(rate: int, seconds: float, seed: int = 0, channels: int = 1) -> Array:
    """White Gaussian noise."""
    return RMS * np.random.default_rng(seed).standard_normal((channels, _length(rate, seconds)))


def pink(rate: int, seconds: float, seed: int = 0, channels: int = 1) -> Array:
    """Noise with equal power per octave above 20 Hz."""
    x = noise(rate, seconds, seed, channels)
    y = _filtered(x, rate, lambda f: 1 / np.sqrt(np.maximum(f, 20.0)))
    return y * (RMS / _rms(y))


def sine(rate: int, seconds: float, seed: int = 0, channels: int = 1, frequency: float = 1000.0) -> Array:
    """A sine of amplitude 0.5; the seed draws each channel's phase."""
    phase = np.random.default_rng(seed).uniform(0, 2 * pi, (channels, 1))
    return np.asarray(0.5 * np.sin(2 * pi * frequency * _time(rate, seconds) + phase))


def sweep(rate: int, seconds: float, seed: int = 0, channels: int = 1) -> Array:
    """An exponential sweep from 50 Hz to 0.45 of the rate; the seed draws each channel's phase."""
    phase = np.random.default_rng(seed).uniform(0, 2 * pi, (channels, 1))
    growth = np.log(0.45 * rate / 50) / seconds
    return np.asarray(0.5 * np.sin(2 * pi * 50 / growth * np.expm1(growth * _time(rate, seconds)) + phase))


def harmonic(rate: int, seconds: float, seed: int = 0, channels: int = 1, frequency: float = 220.0) -> Array:
    """A steady tone complex: partial k has amplitude 1/k and a seeded phase, up to 0.45 of the rate."""
    rng, t = np.random.default_rng(seed), _time(rate, seconds)
    x = np.zeros((channels, t.size))
    for k in range(1, max(int(0.45 * rate / frequency), 1) + 1):
        x += np.sin(2 * pi * k * frequency * t + rng.uniform(0, 2 * pi, (channels, 1))) / k
    return x * (RMS / _rms(x))


def speech_like(rate: int, seconds: float, seed: int = 0, channels: int = 1) -> Array:
    """Harmonics of a gliding pitch under four moving formants, syllables with hissing onsets, pauses, a quiet room."""
    return np.stack([_utterance(rate, seconds, np.random.default_rng([seed, c])) for c in range(channels)])


def clicks(rate: int, seconds: float, seed: int = 0, channels: int = 1) -> Array:
    """Single samples of seeded sign and height, some 20 a second (at least two), in digital silence."""
    rng, n = np.random.default_rng(seed), _length(rate, seconds)
    x = np.zeros((channels, n))
    for channel in x:
        where = rng.integers(0, n, max(2, round(20 * seconds)))
        channel[where] = rng.choice([-1.0, 1.0], where.size) * rng.uniform(0.3, 0.9, where.size)
    return x


def chord_music(rate: int, seconds: float, seed: int = 0, channels: int = 1) -> Array:
    """Plucked triads, a new one every half second, each note with its own level in every channel."""
    rng, t = np.random.default_rng(seed), _time(rate, seconds)
    x = np.zeros((channels, t.size))
    for begin in np.arange(0.0, seconds, 0.5):
        since = t[t >= begin] - begin
        root = rng.integers(0, 12)
        for semitone in (0, rng.choice([3, 4]), 7):
            f = 196.0 * 2 ** ((root + semitone) / 12)
            levels = rng.uniform(0.3, 1.0, (channels, 1))
            for k in range(1, max(min(int(0.45 * rate / f), 20), 1) + 1):
                x[:, t >= begin] += levels / k * np.sin(2 * pi * k * f * since) * np.exp(-(2 + k) * since)
    return np.asarray(x * (0.7 / _peak(x)))


def silence(rate: int, seconds: float, seed: int = 0, channels: int = 1) -> Array:
    """Digital silence."""
    return np.zeros((channels, _length(rate, seconds)))


SIGNALS: dict[str, Callable[..., Array]] = {
    f.__name__: f for f in (noise, pink, sine, sweep, harmonic, speech_like, clicks, chord_music, silence)
}


# Distortions; levels are relative to the signal's RMS or peak (to 0.1 when it is silent)


def added_noise(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """White noise; as loud as the signal at strength 1."""
    return x + strength * _rms(x) * np.random.default_rng([seed, 1]).standard_normal(x.shape)


def low_pass(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Zero phase, 48 dB/octave; the corner falls from twice the Nyquist frequency to a fiftieth of it."""
    corner = rate * 0.01**strength
    return _filtered(x, rate, lambda f: 1 / np.sqrt(1 + (f / corner) ** 16)) if strength else x.copy()


def high_pass(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Zero phase, 48 dB/octave; the corner rises from 20 Hz to half the Nyquist frequency."""
    corner = 20 * (rate / 80) ** strength
    return _filtered(x, rate, lambda f: (q := (f / corner) ** 8) / np.sqrt(1 + q * q)) if strength else x.copy()


def clipping(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Hard, at the peak times 1 - 0.95 strength."""
    limit = _peak(x) * (1 - 0.95 * strength)
    return np.clip(x, -limit, limit)


def added_tone(x: Array, rate: int, strength: float, seed: int = 0, frequency: float = 1000.0) -> Array:
    """A steady sine; its RMS is the signal's at strength 1."""
    t = np.arange(x.shape[1]) / rate
    return np.asarray(x + strength * _rms(x) * np.sqrt(2) * np.sin(2 * pi * frequency * t))


def added_click(x: Array, rate: int, strength: float, seed: int = 0, time: float | None = None) -> Array:
    """One impulse at `time` seconds (None: in the middle); 30 times the signal's peak at strength 1."""
    y = x.copy()
    at = x.shape[1] // 2 if time is None else min(round(time * rate), x.shape[1] - 1)
    y[:, at] += 30 * strength * _peak(x)
    return y


def dropout(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Digital silence in the middle; half of the signal at strength 1."""
    y = x.copy()
    n = x.shape[1]
    gap = ceil(0.5 * strength * n)
    y[:, (n - gap) // 2 : (n - gap) // 2 + gap] = 0
    return y


def quantisation(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Rounding to steps from 2**-16 of the peak to the peak itself."""
    step = _peak(x) * 2.0 ** (16 * strength - 16)
    return np.asarray(np.round(x / step) * step) if strength else x.copy()


def gain(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Quieter, by 20 dB at strength 1."""
    return np.asarray(x * 10.0**-strength)


def polarity(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Inverted, whatever the strength."""
    return -x if strength else x.copy()


def delay(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Later by a whole number of samples, 5 ms at strength 1; silence comes in."""
    late = min(ceil(0.005 * rate * strength), x.shape[1])
    return np.concatenate([np.zeros((x.shape[0], late)), x[:, : x.shape[1] - late]], axis=1)


def reverb(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """A decaying noise tail (60 dB in 0.5 s) added; at strength 1 it has the energy of the direct sound."""
    n = x.shape[1]
    t = np.arange(1, n + 1) / rate
    tail = np.random.default_rng([seed, 2]).standard_normal(n) * 10 ** (-6 * t)
    tail *= strength / np.sqrt(np.sum(tail**2))
    spectrum = np.fft.rfft(x, 2 * n) * np.fft.rfft(tail, 2 * n)
    return x + np.fft.irfft(spectrum, 2 * n)[:, :n]


def phase(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """The same phase shift at all frequencies, 90 degrees at strength 1."""
    turn = np.exp(0.5j * pi * strength)
    return _filtered(x, rate, lambda f: np.where(f > 0, turn, 1.0)) if strength else x.copy()


def dc(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """A constant added; the signal's RMS at strength 1."""
    return np.asarray(x + strength * _rms(x))


_NAMED_ALIKE = (
    *(low_pass, clipping, high_pass, added_tone, added_click, dropout, quantisation),
    *(gain, polarity, delay, reverb, phase, dc),
)
DISTORTIONS: dict[str, Callable[..., Array]] = {"noise": added_noise, **{f.__name__: f for f in _NAMED_ALIKE}}


# Distortions that the audit grades and the contract does not ask for


def shaped_noise(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Noise that has the signal's spectrum in every third of an octave and every 40 ms; as loud as it at strength 1."""
    white = np.random.default_rng([seed, 3]).standard_normal(x.shape)

    def follow(frames: Array, f: Array) -> Array:
        own, its = np.split(frames, 2)
        return np.asarray(its * np.sqrt(_third_octaves(np.abs(own) ** 2, f)))

    y = _in_frames(np.concatenate([x, white]), rate, follow)
    return np.asarray(x + strength * _rms(x) / _rms(y) * y) if strength else x.copy()


def band_holes(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Thirds of an octave that are silent for 20 ms here and there, as of a codec; 90 % of them at strength 1."""

    def empty(frames: Array, f: Array) -> Array:
        band = _band(f)
        drawn = np.random.default_rng([seed, 4]).uniform(size=(*frames.shape[:2], band.max() + 1))
        return np.where(drawn[:, :, band] < 0.9 * strength, 0, frames)

    return _in_frames(x, rate, empty) if strength else x.copy()


def tremor(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Level that goes up and down five times a second, to silence and back at strength 1."""
    t = np.arange(x.shape[1]) / rate
    return np.asarray(x * (1 + strength * np.sin(2 * pi * 5 * t)))


def speed(x: Array, rate: int, strength: float, seed: int = 0) -> Array:
    """Faster about the middle, and thus higher: by a semitone at strength 1; silence comes in at both ends."""
    n, finer = x.shape[1], 8  # times the rate, at which straight lines between samples do
    spectrum = np.fft.rfft(x, 2 * n)
    fine = np.fft.irfft(spectrum, 2 * n * finer)[:, : n * finer] * finer
    at = (n / 2 + (np.arange(n) - n / 2) * 2 ** (strength / 12)) * finer
    places = np.arange(n * finer)
    return np.stack([np.interp(at, places, channel, left=0.0, right=0.0) for channel in fine]) if strength else x.copy()


GRADED: dict[str, Callable[..., Array]] = {
    "noise": added_noise,
    **{f.__name__: f for f in (shaped_noise, low_pass, high_pass, band_holes, clipping, quantisation)},
    **{f.__name__: f for f in (gain, delay, reverb, speed, tremor)},
}


def _length(rate: int, seconds: float) -> int:
    return max(1, round(rate * seconds))


def _time(rate: int, seconds: float) -> Array:
    return np.arange(_length(rate, seconds)) / rate


def _rms(x: Array) -> float:
    return float(np.sqrt(np.mean(x**2))) or RMS


def _peak(x: Array) -> float:
    return float(np.max(np.abs(x))) or RMS


def _filtered(x: Array, rate: int, response: Callable[[Any], Any]) -> Array:
    """x through the frequency response (a function of Hz); as much silence after it keeps its end off its start."""
    n = 2 * x.shape[1]
    spectrum = np.fft.rfft(x, n) * response(np.fft.rfftfreq(n, 1 / rate))
    return np.ascontiguousarray(np.fft.irfft(spectrum, n)[:, : x.shape[1]], dtype=np.float64)


def _in_frames(x: Array, rate: int, change: Callable[[Any, Any], Any]) -> Array:
    """x after change(spectra [channel, frame, bin], Hz of the bins), in frames of some 40 ms that overlap by half."""
    size = 2 ** round(np.log2(0.04 * rate))
    window = np.sin(pi * (np.arange(size) + 0.5) / size)
    padded = np.pad(x, ((0, 0), (size // 2, size + (-x.shape[1]) % (size // 2))))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size, axis=1)[:, :: size // 2] * window
    changed = change(np.fft.rfft(frames), np.fft.rfftfreq(size, 1 / rate))
    back = np.fft.irfft(changed, size)[: len(changed)] * window
    y = np.zeros((len(changed), padded.shape[1]))
    for i in range(back.shape[1]):
        y[:, i * size // 2 : i * size // 2 + size] += back[:, i]
    return np.ascontiguousarray(y[:, size // 2 : size // 2 + x.shape[1]])


def _band(f: Array) -> Any:
    """Which third of an octave each frequency is in, from 0 on; what lies below 100 Hz is one."""
    return np.maximum(np.floor(3 * np.log2(np.maximum(f, 100.0) / 100)), 0).astype(int)


def _third_octaves(power: Array, f: Array) -> Array:
    """Powers [..., bin], each the mean of its third of an octave."""
    band = _band(f)
    sums = np.zeros((*power.shape[:-1], band.max() + 1))
    np.add.at(np.moveaxis(sums, -1, 0), band, np.moveaxis(power, -1, 0))
    return np.asarray((sums / np.maximum(np.bincount(band), 1))[..., band])


def _utterance(rate: int, seconds: float, rng: np.random.Generator) -> Array:
    t = _time(rate, seconds)
    starts = np.cumsum(rng.uniform(0.16, 0.3, ceil(seconds / 0.16) + 1)) - rng.uniform(0.16, 0.3)
    vowel, hiss = np.zeros(t.size), np.zeros(t.size)
    for i, begin in enumerate(starts):
        if i % 5 == 4:
            continue  # a pause
        inside = np.clip((t - begin) / 0.15, 0, 1)
        vowel = np.maximum(vowel, np.sin(pi * inside) ** 2 * rng.uniform(0.5, 1.0))
        onset = np.clip((t - begin + 0.03) / 0.06, 0, 1)
        hiss = np.maximum(hiss, np.sin(pi * onset) ** 2 * rng.uniform(0.2, 1.0))
    knots = np.linspace(0, max(seconds, 1e-3), max(2, round(6 * seconds)))
    pitch = np.interp(t, knots, rng.uniform(100, 180, knots.size))
    turns = 2 * pi * np.cumsum(pitch) / rate
    formants = [
        (np.interp(t, knots, rng.uniform(low, high, knots.size)), width)
        for low, high, width in ((300, 800, 60), (900, 2200, 90), (2300, 2900, 140), (3300, 3900, 200))
    ]
    voice = np.zeros(t.size)
    for k in range(1, 41):
        f = k * pitch
        envelope = sum(1 / (1 + ((f - centre) / width) ** 2) for centre, width in formants)
        voice += np.where(f < 0.45 * rate, envelope, 0.0) * np.sin(k * turns) / np.sqrt(k)
    breath = rng.standard_normal(t.size)
    fricative = np.diff(breath, prepend=0.0)  # rises by 6 dB/octave
    x = vowel * voice + 0.1 * hiss * fricative
    return np.asarray(x * (0.7 / _peak(x)) + 1e-4 * breath)
