"""Speed of losses: `python -m tests.benchmarks.losses_speed` prints the table of the README.

Forward and backward on the CPU, warm, a batch of four times 10 s of 48 kHz mono float32, on one thread and on as many
as torch takes by itself; CPU time on one thread, wall time on several. Against the peers, and each loss against its own
plain torch, which serves where its kernels do not. They take turns, and the median of the ratios counts. Needs the
extra "peers" and torch. No test depends on it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any
from unittest import mock

import numpy as np
import torch

THREADS = torch.get_num_threads()  # before the module below asks for one

from audiosim.hearing.magnitudes import MelFilters
from audiosim.loss import Loss
from audiosim.testing import signals
from tests.benchmarks.speed import CASES, RATE, milliseconds

KERNELS = (  # sdr not: the LU of its text fails (oneMKL 2024.2, torch 2.13) once the number of threads was set back up
    *("mr-stft", "stft", "mel-stft", "spectral-convergence", "log-mel", "lsd", "mfcc"),
    *("itakura-saito", "cosh", "complex-stft", "phase"),
    *("mse", "mae", "rmse", "log-cosh", "esr", "dc", "snr", "si-sdr", "sd-sdr", "seg-snr"),
)


class MelL1(torch.nn.Module):
    """L1 of log-mel spectra as in recipes: torch.stft, power, a matrix of mel bands, clamp, logarithm."""

    def __init__(self) -> None:
        super().__init__()
        mel = torch.as_tensor(MelFilters.of(RATE, 2048, 128).weights, dtype=torch.float32)
        self.register_buffer("window", torch.hann_window(2048))
        self.register_buffer("mel", mel)

    def forward(self, input: Any, target: Any) -> Any:
        x, y = (10 * torch.log10(torch.clamp(self.mel @ self.power(s[:, 0]), min=1e-10)) for s in (input, target))
        return torch.nn.functional.l1_loss(x, y)

    def power(self, x: Any) -> Any:
        return torch.stft(x, 2048, 512, window=self.window, pad_mode="constant", return_complex=True).abs().square()


def cases() -> Iterator[tuple[str, str, Callable[[Any, Any], Any], float]]:
    """Loss, peer, its call on (input, target), the ratio that is asked for."""
    for name, peer, _ in CASES["mr-stft"]:
        yield "mr-stft", name, peer, 1.5
    yield "log-mel", "torch.stft, mel, L1", MelL1(), 1.5
    for spec in KERNELS:
        loss = Loss(spec, RATE)

        def text(input: Any, target: Any, loss: Any = loss) -> Any:
            with mock.patch("audiosim.engine.tensors.in_memory", return_value=False):
                return loss(input, target)

        yield spec, "its plain torch", text, 1.0


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--seconds", type=float, default=10.0)
    arguments.add_argument("--batch", type=int, default=4)
    arguments.add_argument("--repeats", type=int, default=5)
    arguments.add_argument("specs", nargs="*", help="only these")
    given = arguments.parse_args()
    ref = np.concatenate([signals.speech_like(RATE, given.seconds, seed=i) for i in range(given.batch)])
    test = ref + 0.3 * np.concatenate([signals.pink(RATE, given.seconds, seed=i) for i in range(given.batch)])
    target, start = (torch.tensor(x[:, None], dtype=torch.float32) for x in (ref, test))

    def step(loss: Callable[[Any, Any], Any]) -> None:
        loss(start.clone().requires_grad_(), target).backward()

    print("| loss | threads | peer | peer ms (CPU; several threads: wall) | ours ms (same) | times faster | asked |")
    print("|---|---|---|---|---|---|---|")
    for threads in dict.fromkeys((1, THREADS)):
        torch.set_num_threads(threads)
        clock = time.process_time if threads == 1 else time.perf_counter
        for spec, name, peer, asked in cases():
            if given.specs and spec not in given.specs:
                continue
            theirs, ours = partial(step, peer), partial(step, Loss(spec, RATE))
            theirs(), ours()
            pairs = [(milliseconds(theirs, clock), milliseconds(ours, clock)) for _ in range(given.repeats)]
            ratio = statistics.median(a / b for a, b in pairs)
            a, b = (statistics.median(times) for times in zip(*pairs, strict=True))
            print(f"| {spec} | {threads} | {name} | {a:.0f} | {b:.0f} | {ratio:.1f} | {asked:g} |", flush=True)


if __name__ == "__main__":
    main()
