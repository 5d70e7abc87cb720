"""Losses of odd recordings: `python -m tests.benchmarks.odd_losses` prints where a loss or its gradient is not finite,
or where a loss leaves `compute` by more than 1e-4 of it (or 1e-4 of its unit).

Every loss, or those that are named, of the items of tests/test_loss_odd.py in batches of eight: float32, float64,
float16, and float32 within autocast, backward too. Exits with 1 where something is not finite.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from typing import Any

import torch

from audiosim import metrics
from audiosim.errors import FullScaleWarning
from audiosim.loss import Loss
from tests.test_loss_odd import NAMES, odd, rate_of

KINDS = {"float32": "float32", "float64": "float64", "float16": "float16", "autocast": "float32"}
NEAR = 1e-4


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="only these")
    names = parser.parse_args().names or NAMES
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", FullScaleWarning)
    infinite = tried = 0
    print("| loss | samples | item | what | loss says | compute says |\n|---|---|---|---|---|---|")
    for name in names:
        for kind, dtype in KINDS.items():
            items = odd(name, getattr(torch, dtype))
            for what, value, number, finite in judged(name, items, kind == "autocast"):
                tried += 1
                infinite += not finite
                if not finite:
                    print(f"| {name} | {kind} | {what} | not finite | {value:.9g} | |", flush=True)
                elif number is not None and not abs(value - number) <= NEAR * max(1, abs(number)):
                    print(f"| {name} | {kind} | {what} | apart | {value:.9g} | {number:.9g} |", flush=True)
    print(f"\n{tried} items of {len(names)} losses, {infinite} not finite")
    return int(infinite > 0)


def judged(name: str, items: dict[str, tuple[Any, Any]], autocast: bool) -> Any:
    """Of each item: its name, the value of the loss, that of compute where there is one, whether all is finite."""
    loss, metric = Loss(name, rate_of(name), "none", silent="keep"), metrics.get(name)
    sign = 1 if metric.card.better == "lower" else -1
    names = list(items)
    for first in range(1, len(names), 7):
        batch = [names[0], *names[first : first + 7]]
        estimate, target = (torch.stack([items[what][i] for what in batch]) for i in (0, 1))
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            e = estimate.clone().requires_grad_()
            values = loss(e, target)
            values.sum().backward()
        for i, what in enumerate(batch[1:], 1):
            test, ref = (x[i : i + 1].to(values.dtype).numpy() for x in (estimate, target))
            number = None
            if metric.card.gradient == "exact":
                answer = metric.compute(ref, test, rate_of(name))
                number = answer.value if answer.status == "ok" else None
            value = sign * values[i].item()
            yield what, value, number, bool(values[i].isfinite() and e.grad[i].isfinite().all())


if __name__ == "__main__":
    sys.exit(main())
