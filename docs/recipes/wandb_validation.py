"""Weights & Biases: logs the mean of each metric over a validation set, and a table with the worst items to listen to.

run = wandb.init(project="codec"), then in each epoch: log_validation(run, references, estimates, 16000, epoch)
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import wandb

import audiosim

SPECS = ("si-sdr", "log-mel:bands=64")  # the first decides which items are the worst


def log_validation(run: Any, references: Sequence[Any], estimates: Sequence[Any], rate: int, step: int) -> None:
    """references, estimates: arrays [sample] or [channel, sample], which may be of different lengths."""
    metrics = [audiosim.Metric(spec, rate) for spec in SPECS]
    values = np.array([metric(references, estimates) for metric in metrics])  # [metric, item], nan where there is none
    finite = {metric.spec: row[np.isfinite(row)] for metric, row in zip(metrics, values, strict=True)}
    means = {f"audiosim/{spec}": float(row.mean()) for spec, row in finite.items() if row.size}
    order = np.argsort(-values[0] if metrics[0].better == "lower" else values[0])  # what has no value comes last
    table = wandb.Table(columns=["item", *SPECS, "reference", "estimate"])
    for i in order[:5]:
        sounds = (wandb.Audio(np.asarray(x[i]).T, sample_rate=rate) for x in (references, estimates))
        table.add_data(int(i), *map(float, values[:, i]), *sounds)
    run.log({**means, "audiosim/worst": table}, step=step)
