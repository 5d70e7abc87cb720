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

STEPS = (1e-5, 1e-6, 1e-7, 1e-8, 1e-9)  # of the size of a sound: how far finite differences go; the best counts
NEARLY = 0.9  # of the steepest gradient: what is steeper may be bounded
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


def slope_error(loss: Any, test: Array, ref: Array, steepest: float, seed: int = 0) -> float:
    """By how much the derivative along the gradient, and halfway to a random direction, is off that of finite
    differences, as a share of it; the larger of the two. nan where the gradient is zero, or so steep that Card.steepest
    bounds it.

    Of several steps the best counts: long ones leave what is straight, where quiet bins have steep slopes, and short
    ones drown in rounding.
    """
    _, slope = with_gradient(loss, test, ref)
    length = float(np.linalg.norm(slope))
    if not 0 < length < NEARLY * steepest / np.sqrt(slope.size):
        return float("nan")
    along = slope / length
    aside = np.random.default_rng(seed).standard_normal(slope.shape)
    worst = 0.0
    for direction in (along, (along + aside / np.linalg.norm(aside)) / np.sqrt(2)):
        told = float(np.sum(slope * direction))
        worst = max(worst, min(abs(_difference(loss, test, ref, direction, step) - told) for step in STEPS) / abs(told))
    return worst


def _difference(loss: Any, test: Array, ref: Array, direction: Array, step: float) -> float:
    """The derivative along a direction by central differences."""
    step *= float(np.linalg.norm(test))
    with torch.no_grad():
        ahead, behind = (
            float(loss(torch.tensor((test + s * direction)[None]), torch.tensor(ref[None]))) for s in (step, -step)
        )
    return (ahead - behind) / (2 * step)


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
