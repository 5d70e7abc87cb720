"""What a network is trained on: the protocol of a task, and where tasks come from.

A task of your own is a Python file with a constant and three functions:

    RATE = 16000                                  # Hz of what the network puts out

    def network():                                # a new torch.nn.Module: it maps an input to [batch, sample]
    def batch(rng):                               # input, target of one training step, from a numpy Generator
    def held_out(split):                          # inputs and targets to choose ("validation") and judge ("test") by

`batch` returns tensors with the batch as first axis; the target is [batch, sample], full scale 1.0, and as long as
what the network puts out. `held_out` returns a list of such pairs, with batches of one: the items that are judged.
`SPEECH = True` adds the judges of speech, PESQ and STOI. `STEPS = 1000` sets how many steps a training takes.
All random numbers come from torch's seed and from `rng`, so that a run can be repeated.
"""

from __future__ import annotations

import hashlib
import runpy
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import UsageError

if TYPE_CHECKING:
    import numpy as np

Example = tuple[Any, Any]  # input, target, batch first
BUILT_IN = ("amplifier", "denoiser", "vocoder", "synthesiser", "codec", "bandwidth")
SPLITS = ("validation", "test")
STEPS = 300


@dataclass(frozen=True, kw_only=True)
class Task:
    """A network, what it is trained on, and what it is judged by.

    name: "amplifier/gru" is a variant of "amplifier". rate: Hz. speech: whether PESQ and STOI judge too. steps: of a
    training, where a budget does not say: more where a step is cheap.
    """

    name: str
    rate: int
    network: Callable[[], Any]
    batch: Callable[[np.random.Generator], Example]
    held_out: Callable[[str], list[Example]]
    speech: bool = False
    steps: int = STEPS
    digest: str = ""  # of a file of the user's: when it changes, its task is another one


def names() -> list[str]:
    """All variants of all tasks that audiosim brings."""
    return [f"{task}/{variant}" for task in BUILT_IN for variant in _module(task).VARIANTS]


def load(name: str) -> list[Task]:
    """The tasks of a name: one variant ("amplifier/gru"), all variants of a task ("amplifier"), or of a file.

    Raises UsageError for what is neither, or for a file that is no task.
    """
    if name.endswith(".py"):
        return [_own(Path(name))]
    task, _, variant = name.partition("/")
    if task not in BUILT_IN:
        raise UsageError(f"there is no task {task!r}: there are {', '.join(BUILT_IN)}, or a file that ends in .py")
    module = _module(task)
    if variant and variant not in module.VARIANTS:
        raise UsageError(f"{task} has no variant {variant!r}: there are {', '.join(module.VARIANTS)}")
    return [module.task(v) for v in ([variant] if variant else module.VARIANTS)]


def _module(name: str) -> Any:
    return import_module(f".{name}", __package__)


def _own(path: Path) -> Task:
    try:
        found = runpy.run_path(str(path))
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror or error}") from None
    except Exception as error:  # noqa: BLE001  # it is not our code
        raise UsageError(f"{path} cannot be run: {type(error).__name__}: {error}") from None
    missing = [n for n in ("RATE", "network", "batch", "held_out") if n not in found]
    if missing:
        raise UsageError(f"{path} lacks {', '.join(missing)}; a task has RATE, network(), batch(rng), held_out(split)")
    return Task(
        name=path.stem,
        rate=int(found["RATE"]),
        network=found["network"],
        batch=found["batch"],
        held_out=found["held_out"],
        speech=bool(found.get("SPEECH", False)),
        steps=int(found.get("STEPS", STEPS)),
        digest=hashlib.sha256(path.read_bytes()).hexdigest(),
    )
