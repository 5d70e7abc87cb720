"""Are two devices told apart whatever is played? `python -m tests.benchmarks.devices` plays ten riffs through twenty
amplifiers and effects, and asks of each recording what is nearest to it: the same device with one of nine other riffs,
or one of nineteen other devices with the same riff. Beside it, the median distance between riffs through one device.
With `--one-cabinet` all devices share a loudspeaker: then they differ by their distortion and effects alone.
The embedding of musicnn stands beside, by the cosine of its means, where its weights are.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from itertools import product

import numpy as np
from scipy import signal

from audiosim import Signal, metrics
from audiosim.bench.amplifier import amplified
from audiosim.bench.sources import riff, room
from audiosim.dsp.resampling import to_rate
from audiosim.errors import MissingModel
from audiosim.trained import embedding

RATE, SECONDS, RIFFS, UP = 48000, 12.0, 10, 2
MUSICNN = "embedding of musicnn"
METRICS = ("tone", "long-term-spectrum", "distortion", "space", "timbre-kl", "timbre-js")


def through(x, order, frequency, kind, rate=RATE):
    return signal.sosfilt(signal.butter(order, frequency, kind, fs=rate, output="sos"), x)


def peak(x, frequency, q, gain):
    return x + gain * signal.lfilter(*signal.iirpeak(frequency, q, fs=RATE), x)


def cabinet(rng):
    """A loudspeaker in its box, and the tone controls before it: three resonances or holes, and two ends."""
    ends = rng.uniform(60, 150), np.exp(rng.uniform(np.log(3500), np.log(9000)))
    places = np.exp(rng.uniform(np.log([200, 700, 2000]), np.log([700, 2000, 4500])))
    gains = np.where(rng.random(3) < 0.35, -rng.uniform(0.4, 0.75, 3), rng.uniform(0.5, 2.0, 3))

    def through_it(x):
        y = through(through(x, 2, ends[0], "high"), 4, ends[1], "low")
        for place, gain in zip(places, gains, strict=True):
            y = peak(y, place, 1.2, gain)
        return y

    return through_it


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


def devices(setting: float, rng: np.random.Generator, one_cabinet: bool = False) -> dict[str, Callable]:
    """Twenty by name, each with its own cabinet, or all with one. setting: what gains are multiplied with; rng: of all
    else."""
    s, hall, small = setting, room(rng, RATE, 1.2 * setting), room(rng, RATE, 0.3 * setting)

    def tremolo(x):
        return x * (1 + 0.8 * np.sin(2 * np.pi * 5.5 * s * np.arange(x.size) / RATE))

    def scream(x):
        return driven(20 * s, soft, 720)(x) + x

    def fuzz(x):
        return driven(200 * s, lambda y: np.tanh(y + 1.5) - np.tanh(1.5))(x)

    def wet(x, response):
        return signal.fftconvolve(x, response)[: x.size]

    before: dict[str, Callable] = {
        "clean": lambda x: x,
        "clean, other cabinet": lambda x: x,
        "crunch": driven(6 * s, soft),
        "crunch, other cabinet": driven(6 * s, soft),
        "lead": driven(20 * s, soft),
        "high gain": driven(80 * s, soft),
        "high gain, other cabinet": driven(80 * s, soft),
        "uneven diodes": driven(20 * s, uneven),
        "hard clipping": driven(8 * s, hard),
        "fuzz": fuzz,
        "octave fuzz": driven(15 * s, lambda y: np.tanh(np.abs(y)) - 0.5),
        "scooped amplifier": lambda x: amplified(s * x),
        "bit crusher": lambda x: crushed(x, 5, max(2, round(6 * s))),
        "compressor": lambda x: compressed(x, 0.03 / s, 6),
        "tremolo": tremolo,
        "screamer": scream,
    }
    after: dict[str, tuple[Callable, Callable]] = {
        "chorus": (lambda x: x, lambda x: chorus(x, 90 * s, 0.8)),
        "phaser": (driven(6 * s, soft), lambda x: phaser(x, 0.5 * s)),
        "small room": (driven(6 * s, soft), lambda x: wet(x, small)),
        "hall": (lambda x: x, lambda x: wet(x, hall)),
    }
    plain = {name: (drive, lambda x: x) for name, drive in before.items()}
    shared = cabinet(rng)
    made = (plain | after).items()
    return {name: chained(drive, shared if one_cabinet else cabinet(rng), last) for name, (drive, last) in made}


def chained(*stages):
    return lambda x: stages[2](stages[1](stages[0](x)))


def recordings(setting: float, seed: int, one_cabinet: bool):
    """(device, riff, recording) of all devices and riffs, brought to one peak."""
    played = [riff(np.random.default_rng([seed, 7, i]), RATE, SECONDS) for i in range(RIFFS)]
    made = devices(setting, np.random.default_rng([seed, 8]), one_cabinet)
    for (d, through_device), (i, x) in product(enumerate(made.values()), enumerate(played)):
        y = np.atleast_2d(through_device(x))
        yield d, i, Signal.of((0.8 / np.abs(y).max() * y).astype(np.float32), RATE)


def first(distances) -> np.ndarray:
    """Of each device, how often the nearest is itself: distances [device, riff, device, riff]."""
    count, riffs = distances.shape[:2]
    hits = np.zeros((count, riffs))
    for d, i in product(range(count), range(riffs)):
        own = np.delete(distances[d, i, d], i).min()
        hits[d, i] = own < np.delete(distances[d, i, :, i], d).min()
    return hits.mean(1)


def main(one_cabinet: bool, setting: float = 1.0, seed: int = 1) -> None:
    names = list(devices(1.0, np.random.default_rng(0)))
    features: dict[str, list] = {name: [] for name in (*METRICS, "mean MFCC")}
    try:
        network = embedding.load("musicnn-mtt")
        features[MUSICNN] = []
    except MissingModel as missing:
        print(missing, file=sys.stderr)
    for _, _, recording in recordings(setting, seed, one_cabinet):
        for name in METRICS:
            features[name].append(metrics.get(name).feature(recording))
        features["mean MFCC"].append(features["timbre-kl"][-1][:20])
        if MUSICNN in features:
            mono = to_rate(recording, network.sidecar.rate).samples.mean(0)
            mean = network.computed(mono).numbers.mean(0)
            features[MUSICNN].append(mean / np.linalg.norm(mean))
    print("| metric | precision at 1 | between riffs | never found |\n|---|---|---|---|")
    for name, found in features.items():
        x = np.stack(found)
        if name in ("mean MFCC", MUSICNN):
            apart = np.sqrt(np.square(x[:, None] - x).sum(2))
        else:
            apart = np.stack([metrics.get(name).distances(f, x) for f in x])
        square = apart.reshape(len(names), RIFFS, len(names), RIFFS)
        hits = first(square)
        between = np.median([square[d, i, d, k] for d in range(len(names)) for i in range(RIFFS) for k in range(i)])
        missed = ", ".join(f"{n} {h:.1f}" for n, h in zip(names, hits, strict=True) if h < 0.5)
        print(f"| {name} | {hits.mean():.3f} | {between:.3g} | {missed} |")


if __name__ == "__main__":
    main("--one-cabinet" in sys.argv)
