"""Are two devices told apart whatever is played? `python -m tests.benchmarks.devices` plays ten riffs through twenty
amplifiers and effects, and asks of each recording what is nearest to it: the same device with another riff, or one of
nineteen other devices with the same riff.

`--calibrate` prints the scales of `tone`: what riffs alone do to each part, on other riffs and other settings.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from itertools import product

import numpy as np
from scipy import signal

from audiosim import Signal, metrics
from audiosim.bench.amplifier import amplified
from audiosim.bench.sources import riff, room

RATE, SECONDS, RIFFS, UP = 48000, 8.0, 10, 4
METRICS = (
    *("tone", "distortion", "long-term-spectrum", "loudness-profile", "space"),
    *("timbre-kl", "timbre-js", "timbre-emd", "timbre-ala", "fluctuation", "onset-pattern"),
)


def through(x, order, frequency, kind, rate=RATE):
    return signal.sosfilt(signal.butter(order, frequency, kind, fs=rate, output="sos"), x)


def peak(x, frequency, q, gain):
    return x + gain * signal.lfilter(*signal.iirpeak(frequency, q, fs=RATE), x)


def dark(x):
    """A closed cabinet."""
    return through(peak(through(x, 2, 90, "high"), 2200, 1.0, 0.8), 4, 4500, "low")


def bright(x):
    """An open cabinet with a hole at 800 Hz."""
    return through(peak(peak(through(x, 2, 130, "high"), 800, 1.5, -0.6), 3500, 1.5, 1.5), 4, 7500, "low")


def shaped(x, curve):
    """A curve of the samples, at four times the rate."""
    return signal.resample_poly(curve(signal.resample_poly(x, UP, 1)), 1, UP)


def driven(gain, curve, low=120):
    return lambda x: shaped(gain * through(x, 1, low, "high"), curve)


def soft(x):
    return np.tanh(x)


def hard(x):
    return np.clip(x, -1, 1)


def uneven(x):
    return np.where(x > 0, np.tanh(x), 0.4 * np.tanh(x / 0.4))


def compressed(x, threshold, ratio):
    envelope = np.sqrt(signal.lfilter([0.0005], [1, -0.9995], x**2))
    return x * np.maximum(envelope / threshold, 1) ** (1 / ratio - 1)


def delayed(x, by):
    n = np.arange(x.size)
    return np.interp(n - by, n, x)


def chorus(x, depth, speed):
    sweep = depth * np.sin(2 * np.pi * speed * np.arange(x.size) / RATE)
    return np.stack([x + 0.7 * delayed(x, 700 + sweep), x + 0.7 * delayed(x, 700 - sweep)])


def phaser(x, speed):
    n = np.arange(x.size)
    wet = delayed(x, 24 + 20 * np.sin(2 * np.pi * speed * n / RATE))
    return x + 0.9 * wet


def crushed(x, bits, hold):
    steps = np.round(x * 2**bits) / 2**bits
    return np.repeat(steps[::hold], hold)[: x.size]


def devices(setting: float, rng: np.random.Generator) -> dict[str, Callable]:
    """Twenty by name. setting: what gains are multiplied with; rng: of rooms and noise."""
    hall, small = room(rng, RATE, 1.2 * setting), room(rng, RATE, 0.3 * setting)
    s = setting

    def tape(x):
        return through(driven(4 * s, soft, 30)(x), 2, 9000, "low") + 0.002 * rng.standard_normal(x.size)

    def screamer(x):
        return through(driven(20 * s, soft, 720)(x) + x, 1, 1500, "low")

    def tremolo(x):
        return bright(x) * (1 + 0.8 * np.sin(2 * np.pi * 5.5 * s * np.arange(x.size) / RATE))

    return {
        "clean, dark": dark,
        "clean, bright": bright,
        "crunch": lambda x: dark(driven(6 * s, soft)(x)),
        "lead": lambda x: dark(driven(20 * s, soft)(x)),
        "high gain, dark": lambda x: dark(driven(80 * s, soft)(x)),
        "high gain, bright": lambda x: bright(driven(80 * s, soft)(x)),
        "uneven diodes": lambda x: dark(driven(20 * s, uneven)(x)),
        "hard clipping": lambda x: dark(driven(8 * s, hard)(x)),
        "fuzz": lambda x: through(driven(200 * s, lambda y: np.tanh(y + 1.5) - np.tanh(1.5))(x), 1, 3000, "low"),
        "octave fuzz": lambda x: dark(driven(15 * s, lambda y: np.tanh(np.abs(y)) - 0.5)(x)),
        "scooped amplifier": lambda x: amplified(s * x),
        "bit crusher": lambda x: crushed(x, 5, max(2, round(6 * s))),
        "compressor": lambda x: bright(compressed(x, 0.03 / s, 6)),
        "tremolo": tremolo,
        "chorus": lambda x: chorus(bright(x), 90 * s, 0.8),
        "phaser": lambda x: phaser(dark(driven(6 * s, soft)(x)), 0.5 * s),
        "hall": lambda x: signal.fftconvolve(dark(x), hall)[: x.size],
        "small room, crunch": lambda x: signal.fftconvolve(bright(driven(6 * s, soft)(x)), small)[: x.size],
        "tape": tape,
        "screamer": screamer,
    }


def recordings(setting: float, seed: int):
    """(device, riff, recording) of all devices and riffs, brought to one peak."""
    played = [riff(np.random.default_rng([seed, 7, i]), RATE, SECONDS) for i in range(RIFFS)]
    made = devices(setting, np.random.default_rng([seed, 8]))
    for (d, through_device), (i, x) in product(enumerate(made.values()), enumerate(played)):
        y = np.atleast_2d(through_device(x))
        yield d, i, Signal.of((0.8 / np.abs(y).max() * y).astype(np.float32), RATE)
