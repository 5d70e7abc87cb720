"""Signals, and what can happen to them, with the truth: what tests and benchmarks/diagnosis.py hold the diagnosis to.

A signal is a function (rate, seconds, seed) -> float64 [channel, sample]. A degradation is a function
(x, rate, strength, rng) -> Degraded. Add one to DEGRADATIONS with the strengths that are audible.
"""

# ruff: noqa: ARG005

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from audiosim.diagnosis import Cause
from audiosim.testing import signals

Array = NDArray[Any]
Random = np.random.Generator


@dataclass(frozen=True, slots=True)
class Signal:
    """make: (rate, seconds, seed) -> [channel, sample]; steady: without onsets or pauses, so that levels say nothing;
    wide: with energy at all frequencies."""

    make: Callable[[int, float, int], Array]
    rate: int
    steady: bool = False
    wide: bool = True


def speech(rate: int, seconds: float, seed: int) -> Array:
    return 0.5 * signals.speech_like(rate, seconds, seed)


def music(rate: int, seconds: float, seed: int) -> Array:
    """Plucked chords, a bass, drums and cymbals, each with its place in the stereo image, in a quiet room."""
    rng = np.random.default_rng([seed, 7])
    x = 0.5 * signals.chord_music(rate, seconds, seed, 2)
    n, t = x.shape[1], np.arange(x.shape[1]) / rate
    for begin in np.arange(0.0, seconds, 0.25):
        since = t - begin
        on = since >= 0
        near = on & (since < 0.4)
        kind, pan = rng.integers(0, 3), rng.uniform(0.2, 0.8)
        sound = np.zeros(n)
        if kind == 0:
            sound[near] = np.sin(2 * pi * (50 + 40 * np.exp(-30 * since[near])) * since[near]) * np.exp(
                -9 * since[near]
            )
        elif kind == 1:
            sound[near] = rng.standard_normal(int(near.sum())) * np.exp(-25 * since[near])
        else:
            hiss = np.diff(rng.standard_normal(int(near.sum())), prepend=0.0)
            sound[near] = 0.4 * hiss * np.exp(-12 * since[near])
        x += 0.15 * rng.uniform(0.4, 1.0) * np.outer([pan, 1 - pan], sound)
    bass = np.repeat(rng.choice([55.0, 65.4, 73.4, 82.4], int(seconds / 0.5) + 1), rate // 2)[:n]
    x += 0.08 * np.sin(2 * pi * np.cumsum(np.pad(bass, (0, n - bass.size), mode="edge")) / rate)
    return x * (0.5 / np.abs(x).max()) + 3e-5 * rng.standard_normal(x.shape)


def steady(rate: int, seconds: float, seed: int) -> Array:
    """Pink noise, in both channels partly the same."""
    a, b = signals.pink(rate, seconds, seed, 2)
    return np.stack([a, 0.6 * a + 0.8 * b])


def sparse(rate: int, seconds: float, seed: int) -> Array:
    """Words with long pauses of digital silence between them."""
    x = speech(rate, seconds, seed)
    t = np.arange(x.shape[1]) / rate
    return x * np.clip(20 * (0.55 - np.abs((t % 2.0) - 0.7)), 0, 1)


def tonal(rate: int, seconds: float, seed: int) -> Array:
    """A voice of 12 partials with vibrato that swells, note after note."""
    rng = np.random.default_rng([seed, 11])
    t = np.arange(round(rate * seconds)) / rate
    notes = np.repeat(rng.integers(0, 13, int(seconds / 0.8) + 1), round(0.8 * rate))[: t.size]
    f = 220 * 2 ** (np.pad(notes, (0, t.size - notes.size), mode="edge") / 12) * (1 + 0.006 * np.sin(2 * pi * 5 * t))
    phase = 2 * pi * np.cumsum(f) / rate
    swell = 0.25 + 0.75 * np.sin(pi * ((t / 0.8) % 1.0)) ** 2
    x = sum(np.sin(k * phase + rng.uniform(0, 2 * pi)) / k**1.3 for k in range(1, 13)) * swell
    return np.asarray(0.3 * x / np.abs(x).max())[None] + 1e-5 * rng.standard_normal((1, t.size))


SIGNALS: dict[str, Signal] = {
    "speech": Signal(speech, 16000),
    "wide speech": Signal(speech, 48000),
    "music": Signal(music, 44100),
    "noise": Signal(steady, 48000, steady=True),
    "sparse": Signal(sparse, 32000),
    "tonal": Signal(tonal, 44100, wide=False),
}


@dataclass(frozen=True, slots=True)
class Degraded:
    """What came out, with its rate.

    size: the truth in the unit of the finding, where it has one. time: s of the reference where it happened.
    """

    samples: Array
    rate: int
    size: float | None = None
    time: float | None = None


@dataclass(frozen=True, slots=True)
class Degradation:
    """cause: that must be found at each of the strengths. or_: causes that are as right.

    also: what may be told beside it. within: of the size, absolute or as a part of it, whichever is more.
    stereo: needs two channels. signals: that show it; () for all.
    """

    cause: Cause
    apply: Callable[[Array, int, float, Random], Degraded]
    strengths: tuple[float, ...]
    or_: frozenset[Cause] = frozenset()
    also: frozenset[Cause] = frozenset()
    within: tuple[float, float] | None = None
    stereo: bool = False
    signals: tuple[str, ...] = ()
    combines: bool = True  # with others, one after the other

    @property
    def right(self) -> frozenset[Cause]:
        """Any of these must be told."""
        return self.or_ | {self.cause}


# Of the whole recording


def delay(x: Array, rate: int, ms: float, rng: Random) -> Degraded:
    """Later by so many ms, to a fraction of a sample; earlier where it is negative."""
    late = ms * rate / 1000
    whole = int(np.floor(late))
    y = _moved(x, late - whole)
    y = np.pad(y, ((0, 0), (whole, 0))) if whole >= 0 else y[:, -whole:]
    return Degraded(y, rate, ms)


def drift(x: Array, rate: int, ppm: float, rng: Random) -> Degraded:
    return Degraded(_resampled(x, 1 + ppm * 1e-6), rate, ppm)


def speed(x: Array, rate: int, percent: float, rng: Random) -> Degraded:
    return Degraded(_resampled(x, 1 / (1 + percent / 100)), rate, percent)


def pitch(x: Array, rate: int, semitones: float, rng: Random) -> Degraded:
    """Played faster, then stretched again by overlapping what is most alike (WSOLA)."""
    ratio = 2 ** (semitones / 12)
    return Degraded(_stretched(_resampled(x, 1 / ratio), x.shape[1], rate), rate, semitones)


def tempo(x: Array, rate: int, percent: float, rng: Random) -> Degraded:
    return Degraded(_stretched(x, round(x.shape[1] / (1 + percent / 100)), rate), rate, percent)


def gain(x: Array, rate: int, db: float, rng: Random) -> Degraded:
    return Degraded(x * 10 ** (db / 20), rate, db)


def equaliser(x: Array, rate: int, db: float, rng: Random) -> Degraded:
    """A bell, an octave wide, between 300 Hz and 3 kHz."""
    centre = 300 * 10 ** rng.uniform(0, 1)
    return Degraded(_bell(x, rate, centre, db), rate, db)


def shelf(x: Array, rate: int, db: float, rng: Random) -> Degraded:
    """From 2 kHz on."""
    return Degraded(_filtered(x, rate, lambda f: 10 ** (db / 20 / (1 + (2000 / np.maximum(f, 1)) ** 4))), rate, db)


def compression(x: Array, rate: int, ratio: float, rng: Random) -> Degraded:
    """From 20 dB below the peak on, made up to the same RMS."""
    level = _followed(x, rate)
    return _with_gain(x, rate, -(1 - 1 / ratio) * np.maximum(level + 20, 0))


def expansion(x: Array, rate: int, ratio: float, rng: Random) -> Degraded:
    """From 15 dB below the peak downwards, by 40 dB at most."""
    level = _followed(x, rate)
    return _with_gain(x, rate, np.maximum((ratio - 1) * np.minimum(level + 15, 0), -40))


def moving_gain(x: Array, rate: int, db: float, rng: Random) -> Degraded:
    """Up and down by so many dB within 5 s, as slowly as a levelling moves."""
    t = np.arange(0, x.shape[1] / rate, 0.0005)
    return _with_gain(x, rate, db / 2 * np.sin(2 * pi * t / 5 + rng.uniform(0, 2 * pi)))


def _followed(x: Array, rate: int) -> Array:
    """Level in dB below the peak every 0.5 ms: attack 5 ms, release 80 ms."""
    level = np.abs(x).max(axis=0)
    up, down = np.exp(-1 / (0.005 * rate)), np.exp(-1 / (0.08 * rate))
    step = max(rate // 2000, 1)
    peaks = level[: level.size // step * step].reshape(-1, step).max(axis=1)
    follower, now = np.empty(peaks.size), 0.0
    for i, p in enumerate(peaks):
        a = (up if p > now else down) ** step
        now = a * now + (1 - a) * p
        follower[i] = now
    return np.asarray(20 * np.log10(np.maximum(follower, 1e-9) / level.max()))


def _with_gain(x: Array, rate: int, db: Array) -> Degraded:
    """A gain every 0.5 ms, made up to the same RMS."""
    step = max(rate // 2000, 1)
    y = x * np.interp(np.arange(x.shape[1]), step * np.arange(db.size), 10 ** (db / 20))
    return Degraded(y * np.sqrt((x**2).mean() / (y**2).mean()), rate)


def polarity(x: Array, rate: int, strength: float, rng: Random) -> Degraded:
    return Degraded(-x, rate)


def exchanged(x: Array, rate: int, strength: float, rng: Random) -> Degraded:
    return Degraded(x[::-1], rate)


def dead(x: Array, rate: int, strength: float, rng: Random) -> Degraded:
    return Degraded(x * [[1.0], [0.0]], rate)


def inverted(x: Array, rate: int, strength: float, rng: Random) -> Degraded:
    return Degraded(x * [[1.0], [-1.0]], rate)


def copied(x: Array, rate: int, strength: float, rng: Random) -> Degraded:
    return Degraded(x[[0, 0]], rate)


def mono(x: Array, rate: int, strength: float, rng: Random) -> Degraded:
    return Degraded(np.repeat(x.mean(axis=0, keepdims=True), 2, axis=0), rate)


def one_channel(x: Array, rate: int, strength: float, rng: Random) -> Degraded:
    return Degraded(x.mean(axis=0, keepdims=True), rate)


def dc(x: Array, rate: int, strength: float, rng: Random) -> Degraded:
    return Degraded(x + strength, rate, strength)


def rate_conversion(x: Array, rate: int, other: float, rng: Random) -> Degraded:
    """To another rate."""
    import soxr

    return Degraded(np.ascontiguousarray(soxr.resample(x.T, rate, int(other)).T), int(other), other)


def there_and_back(x: Array, rate: int, other: float, rng: Random) -> Degraded:
    """To another rate, and back to the old one."""
    import soxr

    low = soxr.resample(x.T, rate, int(other))
    y = soxr.resample(low, int(other), rate).T
    return Degraded(np.ascontiguousarray(y[:, : x.shape[1]]), rate, other / 2)


def low_pass(x: Array, rate: int, hz: float, rng: Random) -> Degraded:
    """Butterworth of order 8."""
    from scipy.signal import butter, sosfilt

    return Degraded(sosfilt(butter(8, hz, fs=rate, output="sos"), x), rate, hz)


def bit_depth(x: Array, rate: int, bits: float, rng: Random) -> Degraded:
    full = 2 ** (int(bits) - 1)
    return Degraded(np.round(x * full) / full, rate, bits)


def dither(x: Array, rate: int, bits: float, rng: Random) -> Degraded:
    full = 2 ** (int(bits) - 1)
    return Degraded(np.round(x * full + rng.uniform(-0.5, 0.5, (2, *x.shape)).sum(axis=0)) / full, rate, bits)


# Of places


def dropout(x: Array, rate: int, ms: float, rng: Random) -> Degraded:
    at, y = _loud(x, rate), x.copy()
    y[:, at : at + round(ms * rate / 1000)] = 0
    return Degraded(y, rate, ms, at / rate)


def click(x: Array, rate: int, height: float, rng: Random) -> Degraded:
    at, y = _loud(x, rate), x.copy()
    y[:, at] += height
    return Degraded(y, rate, time=at / rate)


def clipping(x: Array, rate: int, db: float, rng: Random) -> Degraded:
    """So many dB below the peak."""
    most = float(np.abs(x).max()) * 10 ** (-db / 20)
    return Degraded(np.clip(x, -most, most), rate, 20 * np.log10(most))


def saturation(x: Array, rate: int, drive: float, rng: Random) -> Degraded:
    """By a hyperbolic tangent, so many times as steep as the peak allows; harmonics of odd order."""
    top = np.abs(x).max() / drive
    return Degraded(np.tanh(x / top) * top, rate)


def asymmetry(x: Array, rate: int, part: float, rng: Random) -> Degraded:
    """A square of so many times the peak; harmonics of even order."""
    return Degraded(x + part * x**2 / np.abs(x).max(), rate)


def crossover(x: Array, rate: int, part: float, rng: Random) -> Degraded:
    """Nothing below so many times the peak, as where one half of an amplifier does not yet follow the other."""
    least = part * np.abs(x).max()
    return Degraded(x - np.clip(x, -least, least), rate)


def silence(x: Array, rate: int, ms: float, rng: Random) -> Degraded:
    at = _loud(x, rate)
    return Degraded(_inserted(x, at, np.zeros((len(x), round(ms * rate / 1000)))), rate, ms, at / rate)


def repeated(x: Array, rate: int, ms: float, rng: Random) -> Degraded:
    at = _loud(x, rate)
    return Degraded(_inserted(x, at, x[:, at - round(ms * rate / 1000) : at]), rate, ms, at / rate)


def lost(x: Array, rate: int, ms: float, rng: Random) -> Degraded:
    at = _loud(x, rate)
    return Degraded(np.delete(x, np.s_[at : at + round(ms * rate / 1000)], axis=1), rate, ms, at / rate)


def noise(x: Array, rate: int, db: float, rng: Random) -> Degraded:
    """White, of so many dB against the sound."""
    return Degraded(_noisy(x, -db, rng), rate, db)


def hum(x: Array, rate: int, db: float, rng: Random) -> Degraded:
    """50 Hz and two harmonics, of so many dB against the sound."""
    t = np.arange(x.shape[1]) / rate
    y = np.sum([np.sin(2 * pi * 50 * k * t) / k for k in (1, 2, 3)], axis=0)
    return Degraded(x + y * np.sqrt((x**2).mean() / (y**2).mean()) * 10 ** (db / 20), rate, db)


def reverberation(x: Array, rate: int, seconds: float, rng: Random) -> Degraded:
    """A tail of noise from 10 ms on, 10 dB below the direct sound, that falls by 60 dB in so many s."""
    n = round(seconds * rate)
    tail = rng.standard_normal(n) * 10 ** (-3 * np.arange(n) / n)
    tail[: rate // 100] = 0
    tail *= 0.3 / np.sqrt((tail**2).sum())
    tail[0] = 1
    size = 1 << (x.shape[1] + n).bit_length()
    return Degraded(np.fft.irfft(np.fft.rfft(x, size) * np.fft.rfft(tail, size), size)[:, : x.shape[1]], rate, seconds)


def _loud(x: Array, rate: int) -> int:
    """A sample where a loud stretch begins, away from the ends."""
    size = rate // 25
    power = (x[:, : x.shape[1] // size * size].reshape(len(x), -1, size) ** 2).sum(axis=(0, 2))
    ends = max(power.size // 4, 1)
    power[:ends] = power[-ends:] = 0
    return int(np.argmax(power)) * size


def _inserted(x: Array, at: int, more: Array) -> Array:
    return np.concatenate([x[:, :at], more, x[:, at:]], axis=1)


# Of codecs


def pre_echo(x: Array, rate: int, db: float, rng: Random) -> Degraded:
    """Each band of each block rounded to steps so many dB below its largest coefficient, without block switching."""

    def rounded(c: Array, bands: Array) -> Array:
        step = np.repeat(np.maximum(np.maximum.reduceat(np.abs(c), bands[:-1], axis=-1), 1e-9), np.diff(bands), axis=-1)
        return np.round(c / step * 10 ** (db / 20)) * step * 10 ** (-db / 20)

    return Degraded(_coded(x, rate, rounded), rate)


def band_holes(x: Array, rate: int, part: float, rng: Random) -> Degraded:
    """So many of the middling cells of bands and blocks set to 0, as where bits run out."""

    def starved(c: Array, bands: Array) -> Array:
        power = np.add.reduceat(c**2, bands[:-1], axis=-1) + 1e-12
        relative = power / power.mean(axis=1, keepdims=True)
        loud = power > 1e-5 * power.sum(axis=-1, keepdims=True)
        middling = loud & (relative > 0.05) & (relative < 1) & (np.arange(bands.size - 1) > 4)
        gone = middling & (rng.uniform(size=loud.shape) < part)
        return c * np.repeat(~gone, np.diff(bands), axis=-1)

    return Degraded(_coded(x, rate, starved), rate)


def _coded(x: Array, rate: int, change: Callable[[Array, Array], Array]) -> Array:
    """With the coefficients [channel, block, line] of an MDCT of 46 ms changed; bands: their edges in lines."""
    from scipy.fft import dct, idct

    half = 1 << round(np.log2(0.023 * rate))
    window = np.sin(pi * (np.arange(2 * half) + 0.5) / (2 * half))
    blocks = -(-x.shape[1] // half) + 1
    padded = np.pad(x, ((0, 0), (half, blocks * half - x.shape[1])))
    a, b, c, d = np.split(np.lib.stride_tricks.sliding_window_view(padded, 2 * half, axis=1)[:, ::half] * window, 4, 2)
    lines = dct(np.concatenate((-c[..., ::-1] - d, a - b[..., ::-1]), axis=2), type=4, norm="ortho")
    bands = np.unique(np.concatenate(([0], np.round(half * np.geomspace(0.01, 1.0, 25)).astype(int))))
    u, v = np.split(idct(change(lines, bands), type=4, norm="ortho"), 2, 2)
    y = np.concatenate((v, -v[..., ::-1], -u[..., ::-1], -u), axis=2) * window
    out = np.zeros(padded.shape)
    for k in range(y.shape[1]):
        out[:, k * half : (k + 2) * half] += y[:, k]
    return out[:, half : half + x.shape[1]]


_FREQUENCY = frozenset[Cause](("low-pass", "rate conversion"))
_CODEC = frozenset[Cause](("pre-echo", "band holes", "coding noise"))
_CODED = _FREQUENCY | _CODEC | {"gain", "equaliser"}
_WITH_PAUSES = ("speech", "wide speech", "music", "sparse", "tonal")
_GAIN = frozenset[Cause](("gain", "loudness normalisation"))

DEGRADATIONS: dict[str, Degradation] = {
    "delay": Degradation("delay", delay, (23.02, -8.3, 412.6, 1.37), within=(0.02, 0.0)),
    "drift": Degradation("drift", drift, (50.0, -200.0, 800.0), within=(5.0, 0.05), also=frozenset(("delay",))),
    "speed": Degradation("speed", speed, (4.1, -2.5), within=(0.1, 0.0), also=frozenset(("delay", "drift"))),
    "pitch": Degradation(
        "pitch",
        pitch,
        (2.0, -3.0),
        within=(0.3, 0.0),
        combines=False,
        signals=("speech", "wide speech", "music", "sparse", "tonal"),
    ),
    "varispeed": Degradation(
        "speed",
        speed,
        (30.0,),
        within=(0.1, 0.0),
        also=frozenset(("delay",)),
        signals=("speech", "wide speech", "music", "sparse"),
    ),
    "tempo": Degradation(
        "tempo",
        tempo,
        (5.0, -12.0),
        within=(0.3, 0.0),
        combines=False,
        signals=("speech", "wide speech", "music", "sparse", "tonal"),
    ),
    "gain": Degradation("gain", gain, (-12.0, 3.0, -1.0), or_=_GAIN, within=(0.1, 0.0)),
    "bell": Degradation("equaliser", equaliser, (6.0, -8.0), also=_GAIN, within=(2.0, 0.0)),
    "shelf": Degradation("equaliser", shelf, (9.0, -6.0), also=_GAIN, within=(2.0, 0.0)),
    "compression": Degradation(
        "compression", compression, (2.0, 4.0, 8.0), also=_GAIN, signals=("speech", "wide speech", "music", "sparse")
    ),
    "expansion": Degradation(
        "expansion", expansion, (2.0, 4.0), also=_GAIN, signals=("speech", "wide speech", "sparse")
    ),
    "moving gain": Degradation("moving gain", moving_gain, (6.0, -12.0), also=_GAIN),
    "polarity": Degradation("polarity", polarity, (1.0,)),
    "exchanged": Degradation("exchanged", exchanged, (1.0,), stereo=True),
    "dead": Degradation("dead", dead, (1.0,), stereo=True),
    "inverted": Degradation("polarity", inverted, (1.0,), stereo=True),
    "copied": Degradation("copied", copied, (1.0,), stereo=True),
    "mono": Degradation("mono", mono, (1.0,), stereo=True),
    "one channel": Degradation("mono", one_channel, (1.0,), stereo=True),
    "dc": Degradation("dc", dc, (0.01, -0.05), within=(0.0005, 0.02)),
    "other rate": Degradation("rate conversion", rate_conversion, (8000.0, 22050.0)),
    "there and back": Degradation(
        "rate conversion",
        there_and_back,
        (8000.0,),
        or_=_FREQUENCY,
        within=(0.0, 0.1),
        signals=("speech", "wide speech", "music", "noise", "sparse"),
    ),
    "low-pass": Degradation(
        "low-pass",
        low_pass,
        (3400.0, 6000.0),
        or_=_FREQUENCY,
        within=(0.0, 0.1),
        signals=("speech", "wide speech", "music", "noise", "sparse"),
        also=frozenset(("delay",)),
    ),
    "bit depth": Degradation("bit depth", bit_depth, (16.0, 12.0, 8.0), within=(0.1, 0.0), combines=False),
    "dither": Degradation("bit depth", dither, (16.0, 12.0), within=(0.1, 0.0), combines=False),
    "dropout": Degradation("dropout", dropout, (30.0,), within=(5.0, 0.0)),
    "click": Degradation("click", click, (0.3,)),
    "clipping": Degradation("clipping", clipping, (6.0,), also=_GAIN | {"compression", "dc"}, within=(0.1, 0.0)),
    "saturation": Degradation("nonlinear distortion", saturation, (1.5, 4.0), also=_GAIN | {"dc"}),
    "asymmetry": Degradation("nonlinear distortion", asymmetry, (0.3,), also=_GAIN | {"dc"}),
    "crossover": Degradation("nonlinear distortion", crossover, (0.02,), also=_GAIN | {"dc"}),
    "silence": Degradation("silence inserted", silence, (500.0,), within=(1.0, 0.0)),
    "repeated": Degradation("repeated", repeated, (60.0,), within=(1.0, 0.0)),
    "lost": Degradation("lost", lost, (60.0,), or_=frozenset(("silence removed",)), within=(1.0, 0.0)),
    "edit": Degradation("edit", lost, (600.0,), or_=frozenset(("silence removed",)), within=(1.0, 0.0)),
    "noise": Degradation("noise", noise, (-20.0, -30.0), within=(1.0, 0.0), signals=_WITH_PAUSES),
    "hum": Degradation("hum", hum, (-20.0, -26.0), within=(1.5, 0.0)),
    "reverberation": Degradation(
        "reverberation", reverberation, (0.5,), also=_GAIN | {"equaliser"}, within=(0.0, 0.4), signals=_WITH_PAUSES
    ),
    "pre-echo": Degradation(
        "pre-echo",
        pre_echo,
        (4.0,),
        also=_CODED,
        signals=("wide speech", "music", "sparse"),
    ),
    "band holes": Degradation(
        "band holes",
        band_holes,
        (0.6,),
        also=_CODED,
        signals=("speech", "wide speech", "music", "noise", "sparse"),
    ),
}
"""What is done, by the name of how."""


# What is no cause, or only that of `allowed`


def coded(x: Array, rate: int, format: str, subtype: str, quality: float | None) -> Array:
    """Through a codec of libsndfile and back, aligned by its own delay, as long as it was."""
    import soundfile

    file = io.BytesIO()
    soundfile.write(file, x.T, rate, format=format, subtype=subtype, compression_level=quality)
    file.seek(0)
    y = soundfile.read(file, always_2d=True)[0].T
    return np.asarray(y[:, : x.shape[1]])


HARMLESS: dict[str, tuple[Callable[[Array, int, Random], Array], frozenset[Cause]]] = {
    "identical": (lambda x, rate, rng: x, frozenset()),
    "24 bit": (lambda x, rate, rng: np.round(x * 2**23) / 2**23, frozenset(("bit depth", "dither"))),
    "noise at 30 dB": (lambda x, rate, rng: _noisy(x, 30, rng), frozenset(("noise",))),
    "noise at 12 dB": (lambda x, rate, rng: _noisy(x, 12, rng), frozenset(("noise",))),
    "MP3, good": (
        lambda x, rate, rng: coded(x, rate, "MP3", "MPEG_LAYER_III", 0.2),
        _FREQUENCY | {"delay", "coding noise"},
    ),
    "MP3, bad": (
        lambda x, rate, rng: coded(x, rate, "MP3", "MPEG_LAYER_III", 0.8),
        _FREQUENCY | _CODEC | {"delay"},
    ),
    "Vorbis": (
        lambda x, rate, rng: coded(x, rate, "OGG", "VORBIS", 0.6),
        _FREQUENCY | _CODEC,
    ),
    "Opus": (
        lambda x, rate, rng: coded(x, rate, "OGG", "OPUS", 0.6) if rate in (8000, 12000, 16000, 24000, 48000) else x,
        _FREQUENCY | _CODEC,
    ),
}
"""What is done, and the causes that may be told of it."""


@dataclass(frozen=True, slots=True)
class Case:
    """A pair with its truth. names: of what was done; labels: with strengths. allowed: causes that are no false alarm.

    sizes, times (s of the reference): by name, where there is one. test: samples and rate.
    """

    signal: str
    seconds: float
    names: tuple[str, ...]
    labels: tuple[str, ...]
    ref: Array
    rate: int
    test: tuple[Array, int]
    allowed: frozenset[Cause]
    sizes: Mapping[str, float]
    times: Mapping[str, float]


def cases(
    seeds: Sequence[int],
    seconds: tuple[float, ...],
    combined: bool = True,
    recordings: Mapping[str, tuple[Array, int]] | None = None,
    kinds: Collection[str] = (),
) -> Iterator[Case]:
    """Every degradation of every signal (of `kinds` alone), at each strength; what is harmless; unrelated pairs; and
    two at once."""
    for seed in seeds:
        taken = recordings or {n: (s.make(s.rate, seconds[(seed + i) % len(seconds)], seed), s.rate)
                               for i, (n, s) in enumerate(SIGNALS.items())}  # fmt: skip
        for i, (name, (x, rate)) in enumerate(taken.items()):
            if kinds and name not in kinds:
                continue
            rng = np.random.default_rng([seed, i])
            possible = {
                n: d
                for n, d in DEGRADATIONS.items()
                if (len(x) == 2 or not d.stereo) and (not d.signals or name in d.signals or recordings)
            }
            for d in possible:
                for strength in DEGRADATIONS[d].strengths:
                    if d in ("other rate", "there and back") and strength >= 0.8 * rate:
                        continue
                    if recordings and d in ("bit depth", "dither") and strength >= 16:
                        continue  # they have no more
                    if d == "low-pass" and strength > 0.4 * rate:
                        continue
                    yield _case(name, x, rate, ((d, strength),), rng)
            for h, (change, allowed) in HARMLESS.items():
                y = change(x, rate, rng)
                yield Case(name, x.shape[1] / rate, (h,), (h,), x, rate, (y, rate), allowed, {}, {})
            pairs = [(a, b) for a in possible for b in possible if a < b]
            rng.shuffle(pairs)
            for a, b in pairs[:12] if combined else ():
                if not (DEGRADATIONS[a].combines and DEGRADATIONS[b].combines):
                    continue
                if DEGRADATIONS[a].cause == DEGRADATIONS[b].cause or any({a, b} <= group for group in ONE_OF):
                    continue
                chosen = [(n, float(rng.choice(DEGRADATIONS[n].strengths))) for n in (a, b)]
                chosen.sort(key=lambda c: (c[0] in ("other rate", "there and back"), c[0] not in PLACES))
                if any(n in ("other rate", "there and back") and s >= 0.8 * rate for n, s in chosen):
                    continue
                yield _case(name, x, rate, tuple(chosen), rng)
            others = [n for n, (_, r) in taken.items() if n != name and r == rate] if recordings else []
            y = taken[others[0]][0] if others else None
            if not recordings:
                s = SIGNALS[name]
                y = s.make(rate, x.shape[1] / rate, seed + 1000)
            if y is not None:
                y = y[: len(x)] if len(y) >= len(x) else np.repeat(y, len(x), axis=0)
                yield Case(name, x.shape[1] / rate, (UNRELATED,), (UNRELATED,), x, rate, (y, rate),
                           frozenset(("unrelated",)), {}, {})  # fmt: skip


def _case(signal: str, x: Array, rate: int, chosen: tuple[tuple[str, float], ...], rng: Random) -> Case:
    y, now = x, rate
    allowed: frozenset[Cause] = frozenset()
    sizes: dict[str, float] = {}
    times: dict[str, float] = {}
    for name, strength in chosen:
        d = DEGRADATIONS[name]
        out = d.apply(y, now, strength, rng)
        y, now = out.samples, out.rate
        allowed |= d.right | d.also
        if out.size is not None:
            sizes[name] = out.size
        if out.time is not None:
            times[name] = out.time
    labels = tuple(f"{n} {s:g}" for n, s in chosen)
    return Case(
        signal, x.shape[1] / rate, tuple(n for n, _ in chosen), labels, x, rate, (y, now), allowed, sizes, times
    )


UNRELATED = "unrelated"
PLACES = {"dropout", "click", "silence", "repeated", "lost", "edit"}  # happen first
# Of each of these one at a time.
ONE_OF = (
    {"exchanged", "dead", "inverted", "copied", "mono", "one channel", "polarity"},
    {"drift", "speed", "varispeed"},
    {"compression", "expansion", "moving gain"},
    {"pre-echo", "band holes"},
    {"clipping", "saturation", "asymmetry", "crossover"},
    PLACES,
)


def _noisy(x: Array, db: float, rng: Random) -> Array:
    return x + 10 ** (-db / 20) * np.sqrt((x**2).mean()) * rng.standard_normal(x.shape)


def _moved(x: Array, by: float) -> Array:
    """Later by a fraction of a sample."""
    return _filtered(x, 1, lambda f: np.exp(-2j * pi * f * by)) if by else x


def _filtered(x: Array, rate: int, response: Callable[[Array], Array]) -> Array:
    n = 2 * x.shape[1]
    return np.asarray(np.fft.irfft(np.fft.rfft(x, n) * response(np.fft.rfftfreq(n, 1 / rate)), n)[:, : x.shape[1]])


def _bell(x: Array, rate: int, centre: float, db: float) -> Array:
    """The peaking filter of the Audio EQ Cookbook, an octave wide."""
    from scipy.signal import lfilter

    a, w = 10 ** (db / 40), 2 * pi * centre / rate
    alpha = np.sin(w) * np.sinh(np.log(2) / 2 * w / np.sin(w))
    b = [1 + alpha * a, -2 * np.cos(w), 1 - alpha * a]
    return np.asarray(lfilter(b, [1 + alpha / a, -2 * np.cos(w), 1 - alpha / a], x))


def _resampled(x: Array, ratio: float) -> Array:
    """As many times as long, band-limited: read at every 1 / ratio samples of 16 times the rate."""
    from scipy.interpolate import CubicSpline
    from scipy.signal import resample_poly

    fine = resample_poly(np.pad(x, ((0, 0), (0, 64))), 8, 1, axis=1)
    at = np.arange(round(x.shape[1] * ratio)) * (8 / ratio)
    first = np.clip(at.astype(int), 1, fine.shape[1] - 3)
    return np.asarray(CubicSpline(np.arange(fine.shape[1]), fine, axis=1)(np.clip(at, 1, fine.shape[1] - 2))) * (
        first > 0
    )


def _stretched(x: Array, length: int, rate: int) -> Array:
    """To so many samples without a change of pitch: WSOLA with frames of 40 ms."""
    win, reach = 2 * round(0.02 * rate), round(0.008 * rate)
    hop, taper = win // 2, np.hanning(win + 1)[:-1]
    scale = (x.shape[1] - win) / max(length - win, 1)
    x = np.pad(x, ((0, 0), (reach, win + reach)))
    y, wanted = np.zeros((x.shape[0], length + win)), x[:, reach : reach + win]
    for start in range(0, length, hop):
        at = reach + round(start * scale)
        near = x[:, max(at - reach, 0) : at + reach + win].sum(axis=0)
        fit = np.correlate(near, wanted.sum(axis=0), "valid")
        best = max(at - reach, 0) + int(np.argmax(fit))
        best = min(best, x.shape[1] - win - hop)
        y[:, start : start + win] += x[:, best : best + win] * taper
        wanted = x[:, best + hop : best + hop + win]
        if wanted.shape[1] < win:
            wanted = np.pad(wanted, ((0, 0), (0, win - wanted.shape[1])))
    return y[:, :length]
