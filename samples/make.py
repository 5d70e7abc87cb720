"""Makes the sample recordings: `python samples/make.py` writes the four FLAC files beside this script.

The references are synthesised (speech only where espeak-ng 1.51 is on the PATH; its output differs a little between
versions, so the file in the repository stays as it is elsewhere). The degraded versions follow from the reference
files bit for bit.
"""

from __future__ import annotations

import io
import shutil
import subprocess
from math import pi
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray
from scipy.signal import resample_poly

Array = NDArray[np.float64]  # [channel, sample], full scale 1.0

HERE = Path(__file__).parent
SPEECH_RATE, MUSIC_RATE = 16000, 48000  # Hz
SENTENCE = "Listen closely: here are two recordings, and one of them has lost something on the way."
ESPEAK = ["espeak-ng", "-v", "en-us", "-s", "165", "-p", "45", "--stdout", SENTENCE]
PEAK = 10 ** (-3 / 20)


def speech() -> Array:
    """The sentence, read by espeak-ng at 22050 Hz, in a quiet room; about 5 s."""
    wav = subprocess.run(ESPEAK, capture_output=True, check=True).stdout
    samples, rate = soundfile.read(io.BytesIO(wav))
    spoken = np.trim_zeros(resample_poly(samples, SPEECH_RATE, rate))
    voice = np.pad(spoken, (SPEECH_RATE // 10, SPEECH_RATE // 5))
    voice = voice / np.abs(voice).max() + 10 ** (-69 / 20) * _noise(voice.size, 1)
    return np.asarray(voice[None, :] * (PEAK / np.abs(voice).max()))


def music() -> Array:
    """Six seconds: a plucked melody, a bowed bass and fifth, and light percussion, in a small hall."""
    beat = 0.375
    x = np.zeros((2, 6 * MUSIC_RATE))
    melody = [74, 78, 81, 86, 83, 79, 76, 79, 81, 78, 74, 76, 78]  # D major, MIDI numbers
    for i, key in enumerate(melody):
        _play(x, i * beat, _plucked(_hertz(key), 2.2), 0.34, pan=0.6 * np.sin(1.3 * i))
    for begin, bass, beats in ((0.0, 50, 4), (4 * beat, 43, 4), (8 * beat, 45, 2), (10 * beat, 50, 4)):
        _play(x, begin, _bowed(_hertz(bass), beats * beat + 0.1), 0.20, pan=-0.5)
        _play(x, begin, _bowed(_hertz(bass + 19), beats * beat + 0.1), 0.10, pan=0.5)
    for i in range(13):
        if i % 4 == 0:
            _play(x, i * beat, _drum(), 0.5, pan=0.0)
        _play(x, (i + 0.5) * beat, _shaker(i), 0.05 if i % 2 else 0.08, pan=0.7)
    x += _hall(x)
    x *= np.clip((6 - np.arange(x.shape[1]) / MUSIC_RATE) / 0.3, 0, 1) ** 2  # the last of the hall, faded out
    return np.asarray(x * (PEAK / np.abs(x).max()))


def degrade_speech(x: Array) -> Array:
    """Low-passed at 3 kHz from 0.6 to 1.6 s, noisy from 2.4 to 2.9 s, silent from 3.9 to 3.98 s."""
    rate = SPEECH_RATE
    y = _blend(x, _low_pass(x, rate, 3000), rate, 0.6, 1.6)
    y = _blend(y, y + 0.02 * _noise(x.shape[1], 2), rate, 2.4, 2.9)
    return _blend(y, np.zeros_like(y), rate, 3.9, 3.98)


def degrade_music(x: Array) -> Array:
    """Coarse 1-4 kHz from 0.8 to 1.6 s, a click at 2.2 s, low-passed at 6 kHz from 3 s, narrower stereo from 4.5 s."""
    rate = MUSIC_RATE
    band = _low_pass(x, rate, 4000) - _low_pass(x, rate, 1000)
    y = _blend(x, x - band + np.round(band * 24) / 24, rate, 0.8, 1.6)
    y[:, round(2.2 * rate) : round(2.2 * rate) + 3] += np.array([0.35, -0.5, 0.25])
    y = _blend(y, _low_pass(y, rate, 6000), rate, 3.0, 7.0)
    middle, side = y.mean(axis=0), (y[0] - y[1]) / 2
    return _blend(y, np.stack([middle + 0.15 * side, middle - 0.15 * side]), rate, 4.5, 7.0)


def pcm16(x: Array) -> NDArray[np.int16]:
    """Samples as the file holds them, [sample, channel]."""
    return np.round(np.clip(x.T, -1, 1 - 2**-15) * 2**15).astype(np.int16)


def read(name: str) -> Array:
    """A sample file, [channel, sample]."""
    return np.asarray(soundfile.read(HERE / f"{name}.flac", always_2d=True)[0].T)


def write(name: str, x: Array, rate: int) -> None:
    soundfile.write(HERE / f"{name}.flac", pcm16(x), rate, subtype="PCM_16", compression_level=1.0)


def main() -> None:
    if shutil.which(ESPEAK[0]):
        write("speech", speech(), SPEECH_RATE)
    write("music", music(), MUSIC_RATE)
    write("speech_degraded", degrade_speech(read("speech")), SPEECH_RATE)
    write("music_degraded", degrade_music(read("music")), MUSIC_RATE)


def _hertz(key: int) -> float:
    return float(440 * 2 ** ((key - 69) / 12))


def _play(x: Array, begin: float, note: Array, level: float, pan: float) -> None:
    """Mix a note in; pan -1 (left) to 1 (right) with equal power, the far ear up to 0.5 ms late."""
    angle = (pan + 1) * pi / 4
    for channel, (factor, late) in enumerate(((np.cos(angle), max(pan, 0)), (np.sin(angle), max(-pan, 0)))):
        at = round((begin + 0.0005 * late) * MUSIC_RATE)
        end = min(at + note.size, x.shape[1])
        x[channel, at:end] += level * factor * note[: end - at]


def _plucked(f: float, seconds: float) -> Array:
    """A stiff string plucked at a fifth of its length: high partials die first."""
    t = np.arange(round(seconds * MUSIC_RATE)) / MUSIC_RATE
    note = np.zeros(t.size)
    for k in range(1, 25):
        partial = k * f * np.sqrt(1 + 2e-4 * k * k)
        if partial < 16000:
            note += np.sin(pi * k / 5) / k * np.exp(-(1.5 + 0.35 * k + 0.02 * k * k) * t) * np.sin(2 * pi * partial * t)
    return np.asarray(note * np.minimum(t / 0.002, 1) * np.minimum((seconds - t) / 0.05, 1))


def _bowed(f: float, seconds: float) -> Array:
    """A sawtooth-like string with slow onset and vibrato."""
    t = np.arange(round(seconds * MUSIC_RATE)) / MUSIC_RATE
    turns = 2 * pi * f * t + 0.8 * np.sin(2 * pi * 5.2 * t) * np.minimum(t / 0.6, 1)
    note = np.zeros(t.size)
    for k in range(1, 16):
        note += np.sin(k * turns + k * k) / (k * (1 + (k * f / 1800) ** 2))
    return np.asarray(note * np.minimum(t / 0.12, 1) * np.minimum((seconds - t) / 0.15, 1))


def _drum() -> Array:
    t = np.arange(round(0.35 * MUSIC_RATE)) / MUSIC_RATE
    falling = 2 * pi * (55 * t - 4 * np.exp(-t / 0.03))
    return np.asarray(np.sin(falling) * np.exp(-t / 0.08) * np.minimum(t / 0.003, 1))


def _shaker(seed: int) -> Array:
    t = np.arange(round(0.12 * MUSIC_RATE)) / MUSIC_RATE
    hiss = np.diff(_noise(t.size + 2, 100 + seed), 2)
    return np.asarray(hiss * np.exp(-t / 0.02) * np.minimum(t / 0.008, 1))


def _hall(x: Array) -> Array:
    """The reverberation of 0.9 s alone, different on the two sides, darker than the sound."""
    n = x.shape[1]
    t = np.arange(round(0.9 * MUSIC_RATE)) / MUSIC_RATE
    tails = np.stack([_noise(t.size, 200 + c) for c in range(2)]) * 10 ** (-3 * t / 0.9) * (t > 0.012)
    wet = np.fft.irfft(np.fft.rfft(x, 2 * n) * np.fft.rfft(tails, 2 * n), 2 * n)[:, :n]
    return 0.006 * _low_pass(wet, MUSIC_RATE, 5000)


def _noise(n: int, seed: int) -> Array:
    """White, RMS 1, of a legacy generator whose numbers never change."""
    return np.asarray(np.random.RandomState(seed).uniform(-1, 1, n) * np.sqrt(3))


def _low_pass(x: Array, rate: int, corner: float) -> Array:
    """Zero phase, 96 dB/octave."""
    n = 2 * x.shape[1]
    response = 1 / np.sqrt(1 + (np.fft.rfftfreq(n, 1 / rate) / corner) ** 32)
    return np.asarray(np.fft.irfft(np.fft.rfft(x, n) * response, n)[:, : x.shape[1]])


def _blend(x: Array, y: Array, rate: int, begin: float, end: float) -> Array:
    """y from begin to end (s), x elsewhere, crossfaded within 5 ms."""
    t = np.arange(x.shape[1]) / rate
    share = np.clip((t - begin) / 0.005, 0, 1) * np.clip((end - t) / 0.005, 0, 1)
    return np.asarray(x + share * (y - x))


if __name__ == "__main__":
    main()
