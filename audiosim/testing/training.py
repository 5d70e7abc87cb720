"""What a loss does when it trains: whether its gradients are right, which way they lead, and what they recover."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import pi
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from ..errors import UsageError
from ..loss import Loss
from . import pitch

Array = NDArray[np.float64]

STEP = 1e-6  # of the RMS of a sound: how far finite differences go
ITEMS = 20  # sines at a time
LEARNING_RATE = 2e-3  # of Adam on samples; full scale is 1.0


@contextmanager
def one_thread() -> Iterator[None]:
    """More threads would wait for each other: these sounds are short."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def with_gradient(loss: Any, test: Array, ref: Array) -> tuple[float, Array]:
    """The loss of test, ref [channel, sample] and its gradient by each sample of the test."""
    estimate = torch.tensor(test[None]).requires_grad_()
    value = loss(estimate, torch.tensor(ref[None])).sum()
    (slope,) = torch.autograd.grad(value, estimate)
    return float(value.detach()), slope[0].numpy()


def slope_error(loss: Any, test: Array, ref: Array, seed: int = 0) -> float:
    """By how much the derivative along the gradient, and halfway to a random direction, is off that of finite
    differences, as a share of it; the larger of the two. nan where the gradient is zero."""
    _, slope = with_gradient(loss, test, ref)
    length = float(np.linalg.norm(slope))
    if not 0 < length < np.inf:
        return float("nan")
    other = np.random.default_rng(seed).standard_normal(slope.shape)
    along = slope / length
    step = STEP * float(np.sqrt(np.sum(test**2)))
    worst = 0.0
    for direction in (along, (along + other / np.linalg.norm(other)) / np.sqrt(2)):
        with torch.no_grad():
            ahead, behind = (
                float(loss(torch.tensor((test + s * step * direction)[None]), torch.tensor(ref[None]))) for s in (1, -1)
            )
        told = float(np.sum(slope * direction))
        worst = max(worst, abs((ahead - behind) / (2 * step) - told) / abs(told))
    return worst


def has_second_gradient(loss: Any, test: Array, ref: Array) -> bool:
    """Whether the gradient has one itself."""
    estimate = torch.tensor(test[None]).requires_grad_()
    try:
        (slope,) = torch.autograd.grad(loss(estimate, torch.tensor(ref[None])).sum(), estimate, create_graph=True)
        slope.square().sum().backward()
    except (RuntimeError, UsageError):  # torch's word, and that of a loss that says so
        return False
    return estimate.grad is not None


@one_thread()
def pitch_direction(
    spec: str, rate: int, semitones: tuple[float, float], pairs: int = 120, seconds: float = 0.5, seed: int = 2
) -> float:
    """Share of pairs of sines, some semitones apart, in which the loss falls as the frequency moves to its target."""
    rng = np.random.default_rng(seed)
    f0, f = pitch.drawn(rng, rng.uniform(*semitones, pairs) / 12, rate)
    phases = rng.uniform(0, 2 * pi, (2, pairs))
    target = pitch.sines(f0, phases[0], rate, seconds)
    time = torch.arange(round(seconds * rate), dtype=torch.float64) / rate
    octaves = torch.tensor(np.log2(f)).requires_grad_()
    loss = Loss(spec, rate, "sum")
    for first in range(0, pairs, ITEMS):
        some = slice(first, first + ITEMS)
        turns = 2 * pi * 2 ** octaves[some, None] * time + torch.tensor(phases[1, some, None])
        loss(0.5 * torch.sin(turns), torch.tensor(target[some])).backward()
    assert octaves.grad is not None
    return float(np.mean(np.sign(octaves.grad.numpy()) == np.sign(f - f0)))


def descended(
    spec: str, start: Any, target: Any, rate: int, steps: int = 150, learning_rate: float = LEARNING_RATE
) -> Any:
    """Waveforms [item, sample] after Adam has changed the samples of start under the loss; items do not meet, neither
    in the loss nor in Adam."""
    x = start.clone().requires_grad_()
    loss, optimizer = Loss(spec, rate, "sum"), torch.optim.Adam([x], lr=learning_rate)
    for _ in range(steps):
        optimizer.zero_grad()
        loss(x, target).backward()
        optimizer.step()
    return x.detach()


@one_thread()
def falls(spec: str, start: Array, target: Array, rate: int, judges: Sequence[str], steps: int) -> dict[str, float]:
    """What descent by the loss from start to target [item, sample] leaves of each judge's distance: that at the end
    over that at the start, geometric mean over the items."""
    begin, goal = (torch.tensor(x, dtype=torch.float32) for x in (start, target))
    end = descended(spec, begin, goal, rate, steps)
    left = {}
    for name in judges:
        judge = Loss(name, rate, "none")
        with torch.no_grad():
            then, now = (judge(x.double(), goal.double()) for x in (begin, end))
        left[name] = float((now / then).log().mean().exp())
    return left
