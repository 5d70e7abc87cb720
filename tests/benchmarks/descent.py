"""What each loss teaches: `python -m tests.benchmarks.descent` trains waveforms and prints how far all metrics fall.

Sixteen signals of 0.74 s at 22.05 kHz: speech, music, chords, drums, four of each. Each starts once degraded (3 kHz
low-pass, then white noise 15 dB below it), once as white noise of its power, and Adam changes its samples for 150 steps
under the loss. Steps and learning rate are the same for all; with 2e-3 mr-stft by itself falls about as far as it can.
Cells are the distance at the end over that at the start, geometric mean over the signals: 1 is no progress, 0 is the
target. A metric that the loss holds is in brackets: it says only that Adam works. What counts is how a loss moves the
metrics that it does not know. SI-SDR is its mean gain.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from audiosim import Loss, load
from audiosim.dsp.resampling import to_rate
from audiosim.hearing.loudness import EXPONENT, Ear
from audiosim.hearing.tensors import specific_loudness
from audiosim.loss import parse
from audiosim.testing import signals
from audiosim.testing.training import LEARNING_RATE, descended
from tests.benchmarks.pitch import available

RATE = 22050
SECONDS = 0.74
COMBINED = "tversky:form=log + 0.1*mr-stft"
SPECS = (
    *("mse", "si-sdr", "log-mel", "mfcc", "mcd:align=none", "lsd", "spectral-transport", "tversky:form=log"),
    *("mr-stft", COMBINED, "tversky:form=log + 0.3*log-mel", "auditory", "auditory + 0.5*mr-stft"),
)
COLUMNS = ("log-mel", "mfcc", "lsd", "excitation", "tversky", "spectral-transport", "mr-stft")
SAMPLES = Path(__file__).parents[2] / "samples"


def drums(rate: int, seconds: float, seed: int = 0) -> Any:
    """Decaying noise, eight strokes a second, every other one an octave of low tones under it."""
    rng, t = np.random.default_rng(seed), np.arange(round(rate * seconds)) / rate
    x = np.zeros(t.size)
    for i, begin in enumerate(np.arange(0, seconds, 0.125)):
        since = np.maximum(t - begin, 0)
        stroke = rng.standard_normal(t.size) * np.exp(-since * rng.uniform(20, 60))
        if i % 2 == 0:
            stroke = 0.3 * stroke + np.sin(2 * np.pi * (60 * since - 5 * np.exp(-30 * since))) * np.exp(-12 * since)
        x += (t >= begin) * stroke
    return x[None]


def targets() -> Any:
    """[signal, sample], RMS 0.1."""
    n = round(RATE * SECONDS)
    cuts = [
        to_rate(load(SAMPLES / f"{name}.flac"), RATE).samples[:1, round(start * RATE) :][:, :n]
        for name, starts in (("speech", (0.2, 1.0, 2.4, 3.2)), ("music", (0.3, 1.0, 2.0, 3.0)))
        for start in starts
    ]
    cuts += [f(RATE, SECONDS, seed)[:, :n] for f in (signals.chord_music, drums) for seed in (1, 2, 3, 4)]
    x = np.concatenate(cuts)
    return torch.tensor(x * (signals.RMS / np.sqrt(np.mean(x**2, axis=1, keepdims=True))), dtype=torch.float32)


def degraded(target: Any) -> Any:
    """3 kHz low-pass (zero phase, 48 dB/octave), then white noise at an SNR of 15 dB."""
    corner = np.log(RATE / 3000) / np.log(100)  # signals.low_pass has it fall by a hundredth
    x = signals.low_pass(target.double().numpy(), RATE, float(corner))
    rms = np.sqrt(np.mean(x**2, axis=1, keepdims=True))
    return torch.tensor(x + 10 ** (-15 / 20) * rms * np.random.default_rng(1).standard_normal(x.shape)).float()


def white(target: Any) -> Any:
    return torch.tensor(signals.noise(RATE, 1.0, 2, len(target))[:, : target.shape[1]]).float()


STARTS = {"3 kHz low-pass and 15 dB noise": degraded, "white noise": white}


def excitation(test: Any, ref: Any) -> Any:
    """Mean absolute difference of excitation in dB, the threshold in quiet added [item]."""
    specific = specific_loudness(Ear.of(RATE))
    return 10 / EXPONENT * ((1 + specific(test)) / (1 + specific(ref))).log10().abs().mean((1, 2))


def distances(test: Any, ref: Any) -> dict[str, Any]:
    """Of every column, and SI-SDR in dB: float64 [item]."""
    measures: dict[str, Callable[..., Any]] = {
        name: excitation if name == "excitation" else Loss(name, RATE, "none") for name in COLUMNS
    }
    with torch.no_grad():
        found = {name: f(test.double(), ref.double()) for name, f in measures.items()}
        return {**found, "si-sdr": -Loss("si-sdr", RATE, "none")(test.double(), ref.double())}


def possible(spec: str) -> bool:
    """Are all its metrics there?"""
    return all(available(term.rpartition("*")[2].strip()) for term in spec.split(" + "))


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--steps", type=int, default=150)
    arguments.add_argument("--rate", type=float, default=LEARNING_RATE, help="learning rate of Adam; full scale is 1.0")
    arguments.add_argument("specs", nargs="*", default=SPECS)
    given = arguments.parse_args()
    torch.set_num_threads(1)  # more of them would wait for each other, these signals are short
    target = targets()
    for name, begin in STARTS.items():
        start = begin(target)
        before = distances(start, target)
        print(f"\nFrom {name}, {given.steps} steps of {given.rate:g}:\n")
        print(f"| trained by | {' | '.join(COLUMNS)} | SI-SDR |\n|{'---|' * (len(COLUMNS) + 2)}")
        for spec in filter(possible, given.specs):
            after = distances(descended(spec, start, target, RATE, given.steps, given.rate), target)
            falls = {c: float((after[c] / before[c]).log().mean().exp()) for c in COLUMNS}
            held = {term.name for _, term in parse(spec)}
            cells = [f"({fall:.2f})" if c in held else f"{fall:.2f}" for c, fall in falls.items()]
            gain = float((after["si-sdr"] - before["si-sdr"]).mean())
            print(f"| `{spec}` | {' | '.join(cells)} | {gain:+.1f} dB |", flush=True)


if __name__ == "__main__":
    main()
