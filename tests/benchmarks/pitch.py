"""Sense of pitch: `python -m tests.benchmarks.pitch` prints how well each loss knows which way a sine must move.

Sines of 0.5 s, amplitude 0.5 and random phase; f0 log-uniform from 30 to 4000 Hz, all others from 30 Hz to 0.45 of the
rate. rank: share of triples in which the nearer of two sines on the same side of f0, up to 3 octaves off, has the
smaller loss. gradient: share of pairs, by their distance, in which the derivative of the loss by log2 f points away
from f0, so that descent leads to it. Chance is 0.5. After Turian and Henry 2020 (arXiv 2012.04572), whose test is the
rank.
"""

from __future__ import annotations

import argparse

import torch

from audiosim import Loss, metrics
from audiosim.testing import pitch
from audiosim.testing.training import pitch_direction

RATE = 22050
SECONDS = 0.5
SEMITONES = ((0.0, 1.0), (1.0, 6.0), (6.0, 12.0), (12.0, 36.0))  # classes of distance
SPECS = (
    "spectral-transport",
    "spectral-transport:scale=hz",
    "spectral-transport:scale=log",
    "spectral-transport:p=2",
    *("mse", "si-sdr", "mr-stft", "log-mel", "mfcc", "lsd", "mcd:align=none", "tversky", "tversky:form=log"),
)


def available(spec: str) -> bool:
    """Is there such a metric, and does it have a gradient?"""
    name = spec.partition(":")[0]
    return name in metrics.names() and metrics.get(name).card.gradient == "exact"


def rank(spec: str, triples: int = 400, seed: int = 1, rate: int = RATE) -> float:
    """P(loss(nearer) < loss(farther))."""
    target, *others = (torch.tensor(x) for x in pitch.triples(triples, rate, SECONDS, seed))
    loss = Loss(spec, rate, "none")
    with torch.no_grad():
        near, far = (loss(x, target) for x in others)
    return float((near < far).double().mean())


def gradient(spec: str, semitones: tuple[float, float], pairs: int = 120, seed: int = 2, rate: int = RATE) -> float:
    """P(the loss grows where log2 f moves away from f0), offsets drawn from a range of semitones."""
    return pitch_direction(spec, rate, semitones, pairs, SECONDS, seed)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--triples", type=int, default=400)
    arguments.add_argument("--pairs", type=int, default=120, help="of each class")
    arguments.add_argument("--rate", type=int, default=RATE, help="Hz")
    arguments.add_argument("specs", nargs="*", default=SPECS)
    given = arguments.parse_args()
    torch.set_num_threads(1)  # more of them would wait for each other, these signals are short
    print("| loss | rank | gradient: below 1 semitone | 1-6 | 6-12 | 1-3 octaves |\n|---|---|---|---|---|---|")
    for spec in filter(available, given.specs):
        cells = [f"{rank(spec, given.triples, rate=given.rate):.3f}"]
        cells += [f"{gradient(spec, range_, given.pairs, rate=given.rate):.2f}" for range_ in SEMITONES]
        print(f"| `{spec}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
